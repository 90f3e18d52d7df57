//! What `tally serve` leaves in its log and its append-only file, as an operator sees them.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Read;

use spawned::{Server, eventually, exchange, folder, request};
use tally_model::aof;
use tally_model::rdb::{self, Forms, Item, Writer};

mod spawned;

fn words(file: &aof::AofFile) -> Vec<String> {
    file.commands.iter().map(|(_, command)| String::from_utf8_lossy(&command.join(&b' ')).into_owned()).collect()
}

//= SPEC.md#security-commands
//# [POST-2] (file) Such a request MUST be logged at level warning, once a minute at most, by a line that holds `Possible SECURITY ATTACK detected`.
#[test]
fn an_attack_by_a_browser_is_logged_and_cut_off() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let mut answer = Vec::new();
    let mut socket = server.socket();
    std::io::Write::write_all(&mut socket, b"POST / HTTP/1.1\r\nHost: x\r\n\r\nSET a 1\r\n").unwrap();
    // A closed socket with unread bytes may also be a reset one.
    let _ = socket.read_to_end(&mut answer);
    assert_eq!(answer, b"");
    eventually("it is logged", || server.output().contains("Possible SECURITY ATTACK detected"));
    assert_eq!(exchange(server.socket(), &request(&["EXISTS", "a"])), ":0\r\n");
    assert_eq!(server.output().matches("Possible SECURITY ATTACK detected").count(), 1);
}

//= SPEC.md#debug
//# [DEBUG-21] (file) DEBUG LOG MUST answer `+OK` and write `DEBUG LOG: ` and its argument to the log at level warning.
#[test]
fn debug_log_writes_to_the_log() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    assert_eq!(exchange(server.socket(), &request(&["DEBUG", "LOG", "hello there"])), "+OK\r\n");
    eventually("the line is there", || server.output().contains(" # DEBUG LOG: hello there"));
}

//= SPEC.md#aof-file
//# [AOF-2] (file) SELECT MUST be written before the first command of the file and before each command of another database than the one before it.
//= SPEC.md#aof-file
//# [AOF-4] (file) Loading MUST execute the commands on an empty dataset in order, as a client would, without replies and without propagating them.
//= SPEC.md#aof-file
//# [AOF-12] (file) A failed command MUST NOT be written to the AOF file.
//= SPEC.md#aof-file
//# [AOF-13] (file) Loading the AOF file of a server MUST give the dataset that this server had, deadlines included.
//= SPEC.md#aof-durability
//# [DURABLE-1] (file) Under `appendfsync always` the commands of a batch MUST be written to the AOF file and forced to disk before any of their replies is sent.
#[test]
fn the_append_only_file_holds_what_changed_the_data_and_nothing_else() {
    let folder = folder();
    let mut server = Server::start(folder.path(), &["--appendonly", "yes", "--appendfsync", "always"]);
    let requests = [
        "SET a 1",
        "GET a",
        "INCR a",
        "INCR b x",
        "LPUSH",
        "SELECT 3",
        "SET c 9",
        "DEL missing",
        "SELECT 0",
        "APPEND a 0",
    ];
    let bytes: Vec<u8> = requests.iter().flat_map(|line| request(&line.split(' ').collect::<Vec<_>>())).collect();
    let answer = exchange(server.socket(), &bytes);
    assert!(answer.ends_with(":2\r\n"), "{answer}");
    // Under `always` what was answered is in the file, whatever becomes of the process.
    server.process.kill().unwrap();
    server.end();
    let file = aof::file(&fs::read(folder.path().join("appendonly.aof")).unwrap()).unwrap();
    assert_eq!(words(&file), ["SELECT 0", "SET a 1", "INCR a", "SELECT 3", "SET c 9", "SELECT 0", "APPEND a 0"]);

    let server = Server::start(folder.path(), &["--appendonly", "yes"]);
    let again: Vec<u8> =
        ["GET a", "SELECT 3", "GET c"].iter().flat_map(|line| request(&line.split(' ').collect::<Vec<_>>())).collect();
    assert_eq!(exchange(server.socket(), &again), "$2\r\n20\r\n+OK\r\n$1\r\n9\r\n");
}

//= SPEC.md#aof-file
//# [AOF-9] (file) A server with `appendonly` on MUST load the AOF file at start, and the RDB file only when `appendonly` is off.
//= SPEC.md#aof-file
//# [AOF-10] (file) A server with `appendonly` on that finds no AOF file MUST start with an empty dataset and create one.
//= SPEC.md#aof-file
//# [AOF-11] (file) The AOF file MUST be named by the directives `dir` and `appendfilename`, by default `appendonly.aof`.
#[test]
fn an_append_only_file_is_loaded_instead_of_a_dump() {
    let folder = folder();
    let mut server = Server::start(folder.path(), &["--save", "900", "1"]);
    exchange(server.socket(), &request(&["SET", "from", "dump"]));
    server.signal("TERM");
    assert!(server.end().success());
    // No file yet: an empty dataset and a new file, whatever the dump holds.
    let mut server = Server::start(folder.path(), &["--appendonly", "yes", "--appendfilename", "commands.aof"]);
    assert_eq!(exchange(server.socket(), &request(&["DBSIZE"])), ":0\r\n");
    exchange(server.socket(), &request(&["SET", "from", "commands"]));
    server.signal("TERM");
    assert!(server.end().success());
    assert!(folder.path().join("commands.aof").exists());
    let server = Server::start(folder.path(), &["--appendonly", "yes", "--appendfilename", "commands.aof"]);
    assert_eq!(exchange(server.socket(), &request(&["GET", "from"])), "$8\r\ncommands\r\n");
}

//= SPEC.md#aof-file
//# [AOF-8] (file) Any other damage, for example a line that does not begin with `*` or `$`, a count below 1 or a command that does not exist, MUST be refused, naming the offset where the damaged command begins.
#[test]
fn a_torn_append_only_file_is_cut_or_refused() {
    let folder = folder();
    let path = folder.path().join("appendonly.aof");
    let whole = aof::write_command(&["SET", "a", "1"].map(|word| word.as_bytes().to_vec()));
    let torn = [whole.as_slice(), b"*3\r\n$3\r\nSET\r\n$1\r\na"].concat();
    fs::write(&path, &torn).unwrap();
    let output = spawned::serve(folder.path())
        .args(["--port", &spawned::free_port().to_string(), "--appendonly", "yes", "--aof-load-truncated", "no"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(fs::read(&path).unwrap(), torn);
    let server = Server::start(folder.path(), &["--appendonly", "yes"]);
    assert_eq!(exchange(server.socket(), &request(&["GET", "a"])), "$1\r\n1\r\n");
    assert_eq!(fs::read(&path).unwrap()[..whole.len()], whole);
    drop(server);
    fs::write(&path, [whole.as_slice(), b"*1\r\nx"].concat()).unwrap();
    let output = spawned::serve(folder.path())
        .args(["--port", &spawned::free_port().to_string(), "--appendonly", "yes"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains(&whole.len().to_string()), "{said}");
}

/// Sends lines of plain words.
fn send(server: &Server, lines: &[&str]) -> String {
    let bytes: Vec<u8> = lines.iter().flat_map(|line| request(&line.split(' ').collect::<Vec<_>>())).collect();
    exchange(server.socket(), &bytes)
}

//= SPEC.md#rdb-strings
//# [RDB-9] (file) While `rdbcompression` is on, a string of more than 20 bytes SHOULD be written compressed when that saves at least four bytes, and no other string is.
//= SPEC.md#rdb-file
//# [RDB-15] (file) A writer MUST write AUX fields `redis-ver`, `redis-bits`, `ctime`, `used-mem` and `aof-preamble` (1 in a preamble of an AOF file, else 0) before any other item.
//= SPEC.md#rdb-file
//# [RDB-19] (file) A writer MUST write SELECTDB and RESIZEDB before the keys of each database that holds keys, in ascending order of number, and nothing for an empty one.
#[test]
fn a_dump_has_its_fields_then_each_database_in_order() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let long = format!("SET long {}", "x".repeat(5000));
    send(
        &server,
        &["SELECT 5", "SET five 1", "SELECT 2", &long, "SET soon 1 PX 1000000", "SELECT 3", "SET a 1", "DEL a", "SAVE"],
    );
    let bytes = fs::read(folder.path().join("dump.rdb")).unwrap();
    assert!(bytes.len() < 1000, "the long string is not compressed");
    let file = rdb::file(&bytes).unwrap();
    let aux: Vec<&[u8]> = file
        .items
        .iter()
        .map_while(|(_, item)| match item {
            Item::Aux { name, .. } => Some(name.as_slice()),
            _ => None,
        })
        .collect();
    for name in ["redis-ver", "redis-bits", "ctime", "used-mem", "aof-preamble"] {
        assert!(aux.contains(&name.as_bytes()), "{name}");
    }
    assert_eq!(file.aux(b"aof-preamble"), Some(b"0".as_slice()));
    let layout: Vec<String> = file.items[aux.len()..]
        .iter()
        .map(|(_, item)| match item {
            Item::SelectDb(db) => format!("db {db}"),
            Item::ResizeDb { keys, expires } => format!("{keys} keys, {expires} expire"),
            Item::Key(_) => "key".to_owned(),
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(layout, ["db 2", "2 keys, 1 expire", "key", "key", "db 5", "1 keys, 0 expire", "key"]);
}

//= SPEC.md#rdb-file
//# [RDB-35] (file) A value loaded as a string MUST have the encoding that SET of the same bytes gives.
#[test]
fn a_loaded_string_is_encoded_as_if_it_were_set() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let encodings = ["OBJECT ENCODING grown", "OBJECT ENCODING number"];
    send(&server, &["SET grown a", "APPEND grown b", "SET number 1", "APPEND number 2"]);
    assert_eq!(send(&server, &encodings), "$3\r\nraw\r\n$3\r\nraw\r\n");
    send(&server, &["DEBUG RELOAD"]);
    assert_eq!(send(&server, &encodings), "$6\r\nembstr\r\n$3\r\nint\r\n");
}

//= SPEC.md#rdb-file
//# [RDB-17] (file) A reader MUST refuse a database number that `databases` does not admit.
#[test]
fn a_dump_of_more_databases_than_the_server_has_is_refused() {
    let folder = folder();
    let mut writer = Writer::new(rdb::VERSION, Forms::default());
    writer.select_db(16);
    writer.key(b"k", b"v");
    fs::write(folder.path().join("dump.rdb"), writer.finish()).unwrap();
    let port = spawned::free_port().to_string();
    let output = spawned::serve(folder.path()).args(["--port", &port]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let server = Server::start(folder.path(), &["--databases", "17"]);
    assert_eq!(send(&server, &["SELECT 16", "GET k"]), "+OK\r\n$1\r\nv\r\n");
}

//= SPEC.md#command
//# [COMMAND-13] (wire) A command renamed by `rename-command` MUST be listed under its original name.
#[test]
fn a_renamed_command_is_listed_under_its_own_name() {
    let folder = folder();
    let server = Server::start(folder.path(), &["--rename-command", "ECHO", "REPEAT"]);
    let listed = send(&server, &["COMMAND"]);
    assert!(listed.contains("$4\r\necho\r\n") && !listed.contains("repeat"));
    assert_eq!(send(&server, &["REPEAT a", "COMMAND INFO nosuch"]), "$1\r\na\r\n*1\r\n$-1\r\n");
}

//= SPEC.md#bgsave
//# [BGSAVE-6] (wire) While `stop-writes-on-bgsave-error` is on, a save point is set and the last background save has failed, commands that write and PING MUST answer `-MISCONF Redis is configured to save RDB snapshots, but it is currently not able to persist on disk. Commands that may modify the data set are disabled, because this instance is configured to report errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB error.`.
#[test]
fn after_a_failed_background_save_writes_are_refused_until_the_switch_is_off() {
    let folder = folder();
    let server = Server::start(folder.path(), &["--save", "1", "1", "--dbfilename", "here"]);
    fs::create_dir(folder.path().join("here")).unwrap();
    assert_eq!(send(&server, &["SET a 1"]), "+OK\r\n");
    eventually("the save has failed", || send(&server, &["INFO persistence"]).contains("rdb_last_bgsave_status:err"));
    for command in ["SET a 2", "DEL a", "PING"] {
        let answer = send(&server, &[command]);
        assert!(answer.starts_with("-MISCONF Redis is configured to save RDB snapshots, but"), "{command}: {answer}");
    }
    assert_eq!(send(&server, &["GET a"]), "$1\r\n1\r\n");
    assert_eq!(send(&server, &["CONFIG SET stop-writes-on-bgsave-error no", "SET a 2"]), "+OK\r\n+OK\r\n");
}
