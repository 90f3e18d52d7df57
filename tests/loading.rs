//! Clients of a server that still loads its file.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Stdio};

use conversation::Conversation;
use spawned::{eventually, exchange, folder, free_port, request, serve};
use tally_engine::commands::table::{COMMANDS, LOADING};
use tally_engine::{Effect, Loading};
use tally_model::aof::write_command;
use tally_model::rdb::{self, Forms, Writer};

mod conversation;
mod spawned;

const TEXT: &str = "-LOADING Redis is loading the dataset in memory\r\n";
/// Keys of a file that takes several steps.
const KEYS: usize = 60_000;

fn key(number: usize) -> String {
    format!("key:{number}")
}

fn value(number: usize) -> String {
    format!("{number:0>100}")
}

fn dump(keys: usize) -> Vec<u8> {
    let mut writer = Writer::new(rdb::VERSION, Forms::default());
    writer.select_db(0);
    (0..keys).for_each(|number| writer.key(key(number).as_bytes(), value(number).as_bytes()));
    writer.finish()
}

fn append_only(keys: usize) -> Vec<u8> {
    let commands = (0..keys).map(|number| {
        let words = [String::from("SET"), key(number), value(number)];
        write_command(&words.map(String::into_bytes))
    });
    commands.flatten().collect()
}

/// A conversation in the middle of loading.
fn begun(file: &[u8], aof: bool) -> (Conversation, Loading<&[u8]>) {
    let mut conversation = Conversation::new();
    let Conversation { engine, world, .. } = &mut conversation;
    let mut loading = engine.begin_loading(world, file, aof, file.len() as u64).unwrap();
    // The first steps of an append-only file only look at how it begins.
    assert!(engine.load_step(world, &mut loading).unwrap());
    assert!(engine.load_step(world, &mut loading).unwrap());
    (conversation, loading)
}

fn finish(conversation: &mut Conversation, loading: &mut Loading<&[u8]>) {
    let Conversation { engine, world, .. } = conversation;
    while engine.load_step(world, loading).unwrap() {}
}

/// A table that is made as large as a file says is not moved again and again while its keys come.
#[test]
fn tables_get_the_size_that_a_dump_or_a_preamble_announces() {
    let mut writer = Writer::new(rdb::VERSION, Forms { compress_from: None, ..Forms::default() });
    writer.select_db(0);
    writer.resize_db(1000, 0);
    // A file is believed only as many keys as it has bytes for.
    writer.key(b"long", &[b'x'; 100_000]);
    let dump = writer.finish();
    let preamble = [&dump[..], &append_only(1)].concat();
    for (file, aof, keys) in [(&dump, false, 1), (&preamble, true, 2)] {
        let mut conversation = Conversation::new();
        let Conversation { engine, world, .. } = &mut conversation;
        let mut loading = engine.begin_loading(world, &file[..], aof, file.len() as u64).unwrap();
        finish(&mut conversation, &mut loading);
        let table = conversation.exchange_as(1, &[b"DEBUG", b"HTSTATS", b"0"]);
        let table = String::from_utf8(table).unwrap();
        assert!(table.contains("table size: 1024\n"), "aof {aof}: {table}");
        assert!(table.contains(&format!("number of elements: {keys}\n")), "aof {aof}: {table}");
    }
}

//= SPEC.md#loading-at-start
//# [LOADING-1] (wire) While a server loads its file at start it MUST accept connections and answer a command that lacks the flag `loading` by `-LOADING Redis is loading the dataset in memory`.
//= SPEC.md#loading-at-start
//# [LOADING-2] (wire) Commands that have the flag `loading` MUST be executed while a server loads its file.
#[test]
fn the_table_says_which_commands_run_while_a_file_is_loaded() {
    for (file, aof) in [(dump(KEYS), false), (append_only(KEYS), true)] {
        let (mut conversation, mut loading) = begun(&file, aof);
        for (number, command) in (1..).zip(COMMANDS) {
            // Those answer nothing, or end the process or the connection.
            if ["shutdown", "post", "host:"].contains(&command.name) {
                continue;
            }
            let words = vec![command.name; command.arity.unsigned_abs().max(1) as usize];
            let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
            let reply = conversation.exchange_as(number, &words);
            let refused = reply == TEXT.as_bytes();
            assert_eq!(refused, !command.has(LOADING), "{}: {}", command.name, reply.escape_ascii());
        }
        finish(&mut conversation, &mut loading);
        assert_eq!(conversation.tell(0, "DBSIZE"), format!(":{KEYS}|"));
        for number in [0, 1, KEYS / 2, KEYS - 1] {
            assert_eq!(conversation.text(&["GET", &key(number)]), value(number));
        }
    }
}

//= SPEC.md#loading-at-start
//# [LOADING-3] (wire) While a file is loaded INFO MUST say `loading:1`, and at the end of the section Persistence `loading_start_time` in Unix seconds, `loading_total_bytes`, the file's length, `loading_loaded_bytes`, those that were read, `loading_loaded_perc`, the share of these in percent with two decimals, and `loading_eta_seconds`; otherwise `loading:0` and none of these.
#[test]
fn info_says_how_far_loading_is() {
    for (file, aof) in [(dump(KEYS), false), (append_only(KEYS), true)] {
        let (mut conversation, mut loading) = begun(&file, aof);
        conversation.pass_ms(3000);
        let text = conversation.text(&["INFO", "persistence"]);
        let fields: Vec<(&str, &str)> = text.lines().filter_map(|line| line.split_once(':')).collect();
        let number = |name: &str| {
            let found = fields.iter().find(|(field, _)| *field == name);
            found.unwrap_or_else(|| panic!("{name} is not in {text}")).1.parse::<f64>().unwrap()
        };
        assert_eq!(number("loading"), 1.0);
        let names: Vec<&str> = fields[fields.len() - 5..].iter().map(|(name, _)| *name).collect();
        let last = ["start_time", "total_bytes", "loaded_bytes", "loaded_perc", "eta_seconds"]
            .map(|name| format!("loading_{name}"));
        assert_eq!(names, last);
        assert_eq!(number("loading_start_time"), (conversation::BEGIN_MS / 1000) as f64);
        let (total, loaded) = (number("loading_total_bytes"), number("loading_loaded_bytes"));
        assert_eq!(total, file.len() as f64);
        assert!(loaded > 1_000_000.0 && loaded < total, "{loaded} of {total}");
        assert!((number("loading_loaded_perc") - 100.0 * loaded / total).abs() < 0.01);
        assert_eq!(number("loading_eta_seconds"), (3.0 * (total - loaded) / loaded).floor());
        finish(&mut conversation, &mut loading);
        let text = conversation.text(&["INFO", "persistence"]);
        assert!(text.contains("loading:0\r\n") && !text.contains("loading_"), "{text}");
    }
}

//= SPEC.md#loading-at-start
//# [LOADING-4] (wire) CONFIG with another subcommand than GET while a file is loaded MUST answer `-ERR Only CONFIG GET is allowed during loading`.
#[test]
fn no_append_only_file_begins_with_half_a_dataset() {
    let file = dump(KEYS);
    let (mut conversation, mut loading) = begun(&file, false);
    let reply = conversation.exchange(&[b"CONFIG", b"SET", b"appendonly", b"yes"]);
    assert_eq!(reply, b"-ERR Only CONFIG GET is allowed during loading\r\n");
    assert_eq!(conversation.exchange(&[b"CONFIG", b"NONSENSE"]), reply);
    let shown = b"*2\r\n$10\r\nappendonly\r\n$2\r\nno\r\n";
    assert_eq!(conversation.exchange(&[b"CONFIG", b"GET", b"appendonly"]), shown);
    finish(&mut conversation, &mut loading);
    assert!(conversation.text(&["INFO", "persistence"]).contains("aof_enabled:0"));
    assert_eq!(conversation.exchange(&[b"CONFIG", b"SET", b"appendonly", b"yes"]), b"+OK\r\n");
    assert!(conversation.effects.iter().any(|effect| matches!(effect, Effect::Rewrite)));
}

#[test]
fn a_damaged_file_leaves_the_dataset_as_it_was() {
    let mut damaged = dump(KEYS);
    let middle = damaged.len() * 3 / 4;
    damaged[middle..].fill(0xfe);
    let mut other = append_only(KEYS);
    let middle = other.len() * 3 / 4;
    other[middle..].fill(b'x');
    for (file, aof) in [(damaged, false), (other, true)] {
        let (mut conversation, mut loading) = begun(&file, aof);
        let Conversation { engine, world, .. } = &mut conversation;
        let error = loop {
            match engine.load_step(world, &mut loading) {
                Ok(more) => assert!(more, "the file is damaged"),
                Err(error) => break error,
            }
        };
        assert!(error.to_string().contains("offset"), "{error}");
        assert_eq!(conversation.exchange(&[b"DBSIZE"]), b":0\r\n");
        assert!(conversation.text(&["INFO", "persistence"]).contains("loading:0"));
    }
}

/// A server that has begun to load, or is about to.
struct Beginning {
    process: Child,
    port: u16,
}

impl Beginning {
    fn new(folder: &Path, aof: &str) -> Beginning {
        let port = free_port();
        let mut command = serve(folder);
        command.args(["--port", &port.to_string(), "--appendonly", aof]).stdout(Stdio::null());
        Beginning { process: command.spawn().unwrap(), port }
    }

    /// What this request is answered, by a server that is asked as soon as it listens.
    fn ask(&self, words: &[&str]) -> String {
        let mut socket = None;
        eventually("the server listens", || {
            socket = std::net::TcpStream::connect(("127.0.0.1", self.port)).ok();
            socket.is_some()
        });
        exchange(socket.unwrap(), &request(words))
    }
}

impl Drop for Beginning {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A file that takes a real server so long that a client comes in time.
const MANY: usize = 500_000;

#[test]
fn a_real_server_answers_while_it_loads() {
    let folder = folder();
    fs::write(folder.path().join("dump.rdb"), dump(MANY)).unwrap();
    fs::write(folder.path().join("appendonly.aof"), append_only(MANY)).unwrap();
    for aof in ["no", "yes"] {
        // Whoever looks away for long comes too late, so it is tried some times.
        let server = (0..10).find_map(|_| {
            let server = Beginning::new(folder.path(), aof);
            let first = server.ask(&["GET", "key:1"]);
            let facts = server.ask(&["INFO", "persistence"]);
            (first == TEXT && facts.contains("loading:1") && facts.contains("loading_loaded_perc:")).then_some(server)
        });
        let server = server.expect("no server was met while it loaded");
        eventually("all of it is loaded", || server.ask(&["DBSIZE"]) == format!(":{MANY}\r\n"));
        assert_eq!(server.ask(&["GET", "key:1"]), format!("$100\r\n{}\r\n", value(1)));
    }
}

//= SPEC.md#loading-at-start
//# [LOADING-5] (file) SHUTDOWN while a file is loaded MUST end the process with exit code 0 and leave that file as it was.
#[test]
fn a_server_that_loads_can_be_shut_down() {
    let folder = folder();
    for (name, aof, file) in [("dump.rdb", "no", dump(MANY)), ("appendonly.aof", "yes", append_only(MANY))] {
        let path = folder.path().join(name);
        fs::write(&path, &file).unwrap();
        let mut server = Beginning::new(folder.path(), aof);
        let mut socket = None;
        eventually("the server listens", || {
            socket = std::net::TcpStream::connect(("127.0.0.1", server.port)).ok();
            socket.is_some()
        });
        let mut socket = socket.unwrap();
        std::io::Write::write_all(&mut socket, &request(&["SHUTDOWN", "SAVE"])).unwrap();
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer);
        assert_eq!(answer, b"");
        assert_eq!(server.process.wait().unwrap().code(), Some(0));
        assert!(fs::read(&path).unwrap() == file, "{name} is another one");
    }
}

//= SPEC.md#debug
//# [DEBUG-36] (wire) While DEBUG RELOAD or LOADAOF loads, other clients MUST be answered as while a server loads its file at start.
#[test]
fn clients_are_answered_while_a_dataset_is_loaded_again() {
    let folder = folder();
    fs::write(folder.path().join("dump.rdb"), dump(MANY)).unwrap();
    fs::write(folder.path().join("appendonly.aof"), append_only(MANY)).unwrap();
    for (aof, how) in [("no", "RELOAD"), ("yes", "LOADAOF")] {
        let server = Beginning::new(folder.path(), aof);
        eventually("all of it is loaded", || server.ask(&["DBSIZE"]) == format!(":{MANY}\r\n"));
        let mut met = false;
        // Whoever looks away for long comes too late, so it is tried some times.
        for _ in 0..10 {
            let mut asker = std::net::TcpStream::connect(("127.0.0.1", server.port)).unwrap();
            std::io::Write::write_all(&mut asker, &request(&["DEBUG", how])).unwrap();
            asker.set_nonblocking(true).unwrap();
            let mut answer = [0; 5];
            let mut refused = false;
            let ended = loop {
                refused |= server.ask(&["GET", "key:1"]) == TEXT;
                match asker.read(&mut answer) {
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                    ended => break ended,
                }
            };
            assert_eq!((ended.unwrap(), &answer), (5, b"+OK\r\n"));
            assert_eq!(server.ask(&["GET", "key:1"]), format!("$100\r\n{}\r\n", value(1)));
            assert_eq!(server.ask(&["DBSIZE"]), format!(":{MANY}\r\n"));
            met |= refused;
            if met {
                break;
            }
        }
        assert!(met, "nobody was refused during DEBUG {how}");
    }
}
