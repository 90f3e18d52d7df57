//! `tally serve` as a process: where its settings come from, what it listens on, whom it lets in, what it logs, how it
//! ends, and that it comes back with its data.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

use spawned::{Server, eventually, exchange, folder, free_port, request, serve};

mod spawned;

fn ask<T: redis::FromRedisValue>(client: &mut redis::Connection, words: &[&str]) -> redis::RedisResult<T> {
    let mut command = redis::cmd(words[0]);
    command.arg(&words[1..]);
    command.query(client)
}

#[track_caller]
fn text(client: &mut redis::Connection, words: &[&str]) -> String {
    match ask::<redis::Value>(client, words) {
        Ok(redis::Value::BulkString(bytes)) => String::from_utf8_lossy(&bytes).into_owned(),
        Ok(redis::Value::SimpleString(text)) => text,
        Ok(redis::Value::Okay) => "OK".to_owned(),
        Ok(redis::Value::Int(number)) => number.to_string(),
        Ok(redis::Value::Nil) => "(nil)".to_owned(),
        Ok(other) => format!("{other:?}"),
        Err(error) => error.to_string(),
    }
}

#[track_caller]
fn setting(client: &mut redis::Connection, name: &str) -> String {
    ask::<Vec<String>>(client, &["CONFIG", "GET", name]).unwrap().pop().unwrap()
}

#[test]
fn a_file_its_includes_and_the_options_set_directives_in_that_order() {
    let (folder, port) = (folder(), free_port());
    fs::write(folder.path().join("more.conf"), "maxclients 55\ntimeout 7\n").unwrap();
    let file = format!("# a comment\nport {port}\nloglevel verbose\ninclude more.conf\nmaxclients 66\n");
    fs::write(folder.path().join("redis.conf"), file).unwrap();
    let mut command = serve(folder.path());
    command.args(["redis.conf", "--timeout", "9", "--save", "60", "1"]);
    let server = Server::run(command, port, folder.path());
    let client = &mut server.client();
    assert_eq!(setting(client, "loglevel"), "verbose");
    assert_eq!(setting(client, "maxclients"), "66");
    assert_eq!(setting(client, "timeout"), "9");
    assert_eq!(setting(client, "save"), "60 1");
}

//= SPEC.md#configuration-file
//# [CONFFILE-6] (file) A configuration file named `-` MUST be read from standard input.
#[test]
fn settings_come_from_standard_input_too() {
    let (folder, port) = (folder(), free_port());
    let mut command = serve(folder.path());
    command.arg("-").stdin(Stdio::piped());
    let output = fs::File::create(folder.path().join("output.txt")).unwrap();
    let mut process = command.stdout(output).spawn().unwrap();
    let settings = format!("port {port}\nproto-max-bulk-len 5mb\n");
    process.stdin.take().unwrap().write_all(settings.as_bytes()).unwrap();
    let server = Server { process, port, folder: folder.path().to_owned() };
    eventually("the server is ready", || server.output().contains("Ready to accept connections"));
    assert_eq!(setting(&mut server.client(), "proto-max-bulk-len"), (5 << 20).to_string());
}

//= SPEC.md#configuration-file
//# [CONFFILE-2] (file) An error in the configuration MUST end the start with exit code 1 and on standard error the lines `*** FATAL CONFIG FILE ERROR ***`, `Reading the configuration file, at line N`, `>>> 'LINE'` and a reason.
//= SPEC.md#configuration-file
//# [CONFFILE-9] (file) `include FILE` MUST read that file at this place, and its absence ends the start with exit code 1.
#[test]
fn a_wrong_line_ends_the_start_with_its_number_and_text() {
    let folder = folder();
    fs::write(folder.path().join("redis.conf"), "port 0\n\nmaxmemory-policy often\n").unwrap();
    let output = serve(folder.path()).arg("redis.conf").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("*** FATAL CONFIG FILE ERROR ***"), "{said}");
    assert!(said.contains("at line 3\n>>> 'maxmemory-policy often'"), "{said}");
    let output = serve(folder.path()).args(["--bogus", "1"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let output = serve(folder.path()).arg("absent.conf").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("can't open config file 'absent.conf'"));
}

//= SPEC.md#listening-and-limits
//# [LISTEN-2] (wire) A server that cannot listen on an address MUST log why and end with exit code 1.
#[test]
fn a_port_in_use_ends_the_start() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let output = serve(folder.path()).args(["--port", &server.port.to_string()]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stdout);
    let expected =
        format!("Could not create server TCP listening socket *:{}: bind: Address already in use", server.port);
    assert!(said.contains(&expected), "{said}");
}

//= SPEC.md#listening-and-limits
//# [LISTEN-3] (wire) A server with `unixsocket` set MUST listen on that path, with the permissions of `unixsocketperm` when these are set.
//= SPEC.md#shutdown
//# [SHUTDOWN-5] (file) SHUTDOWN MUST force the append-only file to disk, remove the pid file and the Unix socket, and end the process with exit code 0.
#[test]
fn a_unix_socket_serves_with_its_permissions_and_goes_with_the_server() {
    let folder = folder();
    let path = folder.path().join("tally.sock");
    let mut server = Server::start(folder.path(), &["--unixsocket", path.to_str().unwrap(), "--unixsocketperm", "700"]);
    eventually("the socket is there", || path.exists());
    let metadata = fs::metadata(&path).unwrap();
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o700);
    let mut socket = UnixStream::connect(&path).unwrap();
    socket.write_all(&request(&["CLIENT", "LIST"])).unwrap();
    let mut answer = [0; 512];
    let length = socket.read(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
    assert!(answer.contains(&format!("addr={}:0 ", path.display())), "{answer}");
    server.signal("TERM");
    assert!(server.end().success());
    assert!(!path.exists());
}

#[test]
fn the_server_can_listen_on_a_unix_socket_alone() {
    let folder = folder();
    let mut command = serve(folder.path());
    command.args(["--port", "0", "--unixsocket", "only.sock"]);
    let _server = Server::run(command, 0, folder.path());
    let mut socket = UnixStream::connect(folder.path().join("only.sock")).unwrap();
    socket.write_all(b"PING\r\n").unwrap();
    let mut answer = [0; 7];
    socket.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"+PONG\r\n");
}

//= SPEC.md#listening-and-limits
//# [LISTEN-1] (wire) A server MUST listen on every address that `bind` names and on all addresses of the machine without it, at `port`, and on no address when `port` is 0.
#[test]
fn only_the_addresses_of_bind_are_listened_on() {
    let folder = folder();
    let server = Server::start(folder.path(), &["--bind", "127.0.0.1", "127.0.0.2"]);
    for (address, listens) in [("127.0.0.1", true), ("127.0.0.2", true), ("127.0.0.3", false)] {
        assert_eq!(std::net::TcpStream::connect((address, server.port)).is_ok(), listens, "{address}");
    }
}

#[test]
fn a_password_and_renamed_commands_hold_from_the_start() {
    let folder = folder();
    let options =
        ["--requirepass", "tower bridge", "--rename-command", "ECHO", "REPEAT", "--rename-command", "TIME", ""];
    let server = Server::start(folder.path(), &options);
    let answer = exchange(
        server.socket(),
        &[
            request(&["PING"]),
            request(&["AUTH", "wrong"]),
            request(&["AUTH", "tower bridge"]),
            request(&["REPEAT", "hi"]),
            request(&["ECHO", "hi"]),
            request(&["TIME"]),
        ]
        .concat(),
    );
    assert_eq!(
        answer,
        "-NOAUTH Authentication required.\r\n-ERR invalid password\r\n+OK\r\n$2\r\nhi\r\n\
         -ERR unknown command `ECHO`, with args beginning with: `hi`, \r\n\
         -ERR unknown command `TIME`, with args beginning with: \r\n"
    );
}

//= SPEC.md#listening-and-limits
//# [LISTEN-4] (wire) A connection beyond `maxclients` MUST be answered by `-ERR max number of clients reached` and closed, and counted in `rejected_connections`.
#[test]
fn clients_beyond_maxclients_are_refused_until_one_leaves() {
    let folder = folder();
    let server = Server::start(folder.path(), &["--maxclients", "3"]);
    let admitted = || {
        let mut socket = server.socket();
        let mut answer = [0; 7];
        let answered = socket.write_all(b"PING\r\n").is_ok() && socket.read_exact(&mut answer).is_ok();
        (answered && &answer == b"+PONG\r\n").then_some(socket)
    };
    let mut clients = Vec::new();
    // The connection that found the server ready may still be counted.
    eventually("three are let in", || {
        clients.extend(admitted());
        clients.len() == 3
    });
    let mut refused = String::new();
    server.socket().read_to_string(&mut refused).unwrap();
    assert_eq!(refused, "-ERR max number of clients reached\r\n");
    clients.pop();
    eventually("a place became free", || admitted().is_some());
}

//= SPEC.md#listening-and-limits
//# [LISTEN-6] (wire) A client that has sent nothing for more than `timeout` seconds, when that is above 0, MUST be closed within two seconds more, unless it is a replica, blocked or subscribed.
#[test]
fn idle_clients_are_closed_after_timeout_which_can_be_set_at_run_time() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    assert_eq!(text(&mut server.client(), &["CONFIG", "SET", "timeout", "1"]), "OK");
    let began = Instant::now();
    let mut socket = server.socket();
    assert_eq!(socket.read(&mut [0; 1]).unwrap(), 0);
    assert!(began.elapsed() > Duration::from_millis(900));
}

#[test]
fn replies_to_what_was_sent_before_the_end_are_delivered() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let requests: Vec<u8> = (0..20_000).flat_map(|number| request(&["ECHO", &number.to_string()])).collect();
    let answer = exchange(server.socket(), &requests);
    assert!(answer.ends_with("$5\r\n19999\r\n"), "{} bytes", answer.len());
}

//= SPEC.md#start-up-and-logging
//# [LOG-1] (file) A log line MUST be written as `PID:ROLE DAY MONTH YEAR HOURS:MINUTES:SECONDS.MILLISECONDS LEVEL MESSAGE` in local time, the month in three English letters, for example `4242:M 22 Nov 2026 19:17:03.974 * Ready to accept connections`.
//= SPEC.md#start-up-and-logging
//# [LOG-2] (file) ROLE MUST be `M` for a primary, `S` for a replica and `C` for a child or a server that has not started yet.
//= SPEC.md#start-up-and-logging
//# [LOG-3] (file) LEVEL MUST be `.` for debug, `-` for verbose, `*` for notice and `#` for warning, and lines below `loglevel` are left out.
//= SPEC.md#start-up-and-logging
//# [LOG-4] (file) The log MUST go to the file that `logfile` names, appended to and opened anew for each line so that it may be rotated, and without one to standard output.
#[test]
fn lines_of_the_log_have_the_form_of_redis() {
    let folder = folder();
    let log = folder.path().join("server.log");
    let mut server = Server::start(folder.path(), &["--logfile", log.to_str().unwrap(), "--loglevel", "verbose"]);
    drop(server.client());
    server.signal("TERM");
    assert!(server.end().success());
    let pid = server.process.id().to_string();
    let log = fs::read_to_string(log).unwrap();
    assert!(log.contains("Ready to accept connections"), "{log}");
    assert!(log.contains("Received SIGTERM scheduling shutdown..."), "{log}");
    for line in log.lines().filter(|line| !line.contains(":signal-handler (")) {
        // pid:role dd Mon yyyy hh:mm:ss.mmm level text
        let words: Vec<&str> = line.splitn(7, ' ').collect();
        let (number, role) = words[0].split_once(':').unwrap();
        assert_eq!(number, pid, "{line}");
        assert!(["C", "M"].contains(&role), "{line}");
        assert!(words[1].len() == 2 && words[2].len() == 3 && words[3].len() == 4, "{line}");
        let shape: String = words[4].chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
        assert_eq!(shape, "99:99:99.999", "{line}");
        assert!([".", "-", "*", "#"].contains(&words[5]), "{line}");
    }
    assert_eq!(server.output(), "");
}

//= SPEC.md#start-up-and-logging
//# [LOG-5] (file) A server that logs to standard output MUST print at start a banner with a line that holds `PID: ` and its process id.
//= SPEC.md#start-up-and-logging
//# [LOG-6] (file) A server MUST log `Ready to accept connections` at level notice once it accepts connections and its dataset is loaded.
#[test]
fn standard_output_shows_the_pid_and_readiness() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    eventually("the server says that it is ready", || server.output().contains("Ready to accept connections"));
    assert!(server.output().contains(&format!("PID: {}", server.process.id())));
}

#[test]
fn loglevel_acts_at_run_time() {
    let folder = folder();
    let server = Server::start(folder.path(), &["--loglevel", "warning"]);
    let client = &mut server.client();
    eventually("the server has logged its start", || server.output().contains("Server initialized"));
    assert!(!server.output().contains("Ready to accept connections"));
    assert_eq!(text(client, &["CONFIG", "SET", "loglevel", "debug"]), "OK");
    eventually("debug lines appear", || {
        drop(server.client());
        server.output().contains("Client closed connection")
    });
}

//= SPEC.md#start-up-and-logging
//# [LOG-8] (file) A server with `pidfile` set, or `daemonize` on, MUST write its process id and LF to that file, `/var/run/redis.pid` unless set, and remove it when it stops.
#[test]
fn the_pid_file_lives_as_long_as_the_server() {
    let folder = folder();
    let path = folder.path().join("tally.pid");
    let mut server = Server::start(folder.path(), &["--pidfile", path.to_str().unwrap()]);
    assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", server.process.id()));
    server.signal("INT");
    assert!(server.end().success());
    assert!(!path.exists());
}

//= SPEC.md#start-up-and-logging
//# [LOG-7] (file) A server with `daemonize` on MUST leave the terminal and go on in the background, the starting process ending with exit code 0.
//= SPEC.md#shutdown
//# [SHUTDOWN-1] (wire) SHUTDOWN MUST stop the server without a reply, closing all connections.
#[test]
fn a_daemon_leaves_its_parent_and_serves_on() {
    let (folder, port) = (folder(), free_port());
    let (pid_file, log) = (folder.path().join("daemon.pid"), folder.path().join("daemon.log"));
    let status = serve(folder.path())
        .args(["--port", &port.to_string(), "--daemonize", "yes"])
        .args(["--pidfile", pid_file.to_str().unwrap(), "--logfile", log.to_str().unwrap()])
        .status()
        .unwrap();
    assert!(status.success());
    eventually("the daemon is ready", || {
        fs::read_to_string(&log).is_ok_and(|log| log.contains("Ready to accept connections"))
    });
    let address = format!("redis://127.0.0.1:{port}/");
    let mut client = redis::Client::open(address).unwrap().get_connection().unwrap();
    let pid = fs::read_to_string(&pid_file).unwrap();
    assert!(fs::read_to_string(format!("/proc/{}/cmdline", pid.trim())).unwrap().contains("serve"));
    let _ = ask::<()>(&mut client, &["SHUTDOWN", "NOSAVE"]);
    eventually("the daemon is gone", || !pid_file.exists());
}

#[test]
fn config_rewrite_keeps_comments_and_writes_what_was_set() {
    let (folder, port) = (folder(), free_port());
    let path = folder.path().join("redis.conf");
    fs::write(&path, format!("# mine\nport {port}\nmaxclients 100\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let mut command = serve(folder.path());
    command.arg("redis.conf");
    let server = Server::run(command, port, folder.path());
    let client = &mut server.client();
    assert_eq!(text(client, &["CONFIG", "SET", "maxclients", "90"]), "OK");
    assert_eq!(text(client, &["CONFIG", "SET", "requirepass", "a \"b\""]), "OK");
    assert_eq!(text(client, &["AUTH", "a \"b\""]), "OK");
    assert_eq!(text(client, &["CONFIG", "REWRITE"]), "OK");
    drop(server);
    let rewritten = fs::read_to_string(&path).unwrap();
    assert!(rewritten.contains("# mine\n") && rewritten.contains("maxclients 90\n"), "{rewritten}");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    let mut command = serve(folder.path());
    command.arg("redis.conf");
    let server = Server::run(command, port, folder.path());
    let answer = exchange(server.socket(), &request(&["AUTH", "a \"b\""]));
    assert_eq!(answer, "+OK\r\n");
}

#[test]
fn config_rewrite_without_a_file_is_refused() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let answer = text(&mut server.client(), &["CONFIG", "REWRITE"]);
    assert!(answer.contains("The server is running without a config file"), "{answer}");
}

//= SPEC.md#listening-and-limits
//# [LISTEN-9] (wire) One connection that reads nothing MUST NOT keep others from being served.
#[test]
fn thousands_of_idle_clients_cost_the_busy_one_nothing() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let idle: Vec<_> = (0..3000).map(|_| server.socket()).collect();
    let client = &mut server.client();
    eventually("all are connected", || text(client, &["CLIENT", "LIST"]).lines().count() == idle.len() + 1);
    let began = Instant::now();
    for _ in 0..2000 {
        assert_eq!(text(client, &["PING"]), "PONG");
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    drop(idle);
    eventually("all are gone", || text(client, &["CLIENT", "LIST"]).lines().count() == 1);
}

//= SPEC.md#listening-and-limits
//# [LISTEN-8] (wire) A connection whose waiting replies exceed the hard limit of its class in `client-output-buffer-limit`, or its soft limit for that many seconds on end, MUST be closed.
#[test]
fn a_client_that_does_not_read_is_closed_at_its_output_limit_and_memory_stays_bounded() {
    let folder = folder();
    let server = Server::start(folder.path(), &["--client-output-buffer-limit", "normal", "8mb", "0", "0"]);
    let payload = "x".repeat(100_000);
    let mut slow = server.socket();
    slow.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
    let wanted = request(&["ECHO", &payload]);
    let closed = (0..2_000).any(|_| slow.write_all(&wanted).is_err());
    assert!(closed, "200 MB of replies were kept for a client that reads nothing");
    let resident = fs::read_to_string(format!("/proc/{}/statm", server.process.id())).unwrap();
    let pages: u64 = resident.split(' ').nth(1).unwrap().parse().unwrap();
    assert!(pages * 4096 < 100 << 20, "{pages} pages");
    assert_eq!(text(&mut server.client(), &["PING"]), "PONG");
}
#[test]
fn a_crash_on_purpose_leaves_a_report_and_a_signal() {
    use std::os::unix::process::ExitStatusExt;

    let folder = folder();
    let mut server = Server::start(folder.path(), &[]);
    let _ = ask::<()>(&mut server.client(), &["DEBUG", "SEGFAULT"]);
    assert_eq!(server.end().signal(), Some(11));
    assert!(server.output().contains("=== BUG REPORT: tally"), "{}", server.output());
}

/// Keys of every encoding, one with a deadline, one in another database.
fn fill(client: &mut redis::Connection) {
    for (key, value) in [("short", "hello"), ("number", "12345"), ("long", &*"x".repeat(100_000))] {
        assert_eq!(text(client, &["SET", key, value]), "OK");
    }
    assert_eq!(text(client, &["SET", "mortal", "soon", "EX", "1000"]), "OK");
    assert_eq!(text(client, &["SELECT", "7"]), "OK");
    assert_eq!(text(client, &["SETBIT", "bits", "77", "1"]), "0");
    assert_eq!(text(client, &["SELECT", "0"]), "OK");
}

#[track_caller]
fn is_filled(client: &mut redis::Connection) {
    assert_eq!(text(client, &["GET", "short"]), "hello");
    assert_eq!(text(client, &["OBJECT", "ENCODING", "number"]), "int");
    assert_eq!(text(client, &["STRLEN", "long"]), "100000");
    let left: i64 = text(client, &["TTL", "mortal"]).parse().unwrap();
    assert!((900..=1000).contains(&left), "{left}");
    assert_eq!(text(client, &["DBSIZE"]), "4");
    assert_eq!(text(client, &["SELECT", "7"]), "OK");
    assert_eq!(text(client, &["BITPOS", "bits", "1"]), "77");
    assert_eq!(text(client, &["SELECT", "0"]), "OK");
}

//= SPEC.md#signals-and-stopping
//# [SIGNAL-1] (file) SIGTERM and SIGINT MUST stop the server as SHUTDOWN without arguments does, with exit code 0.
//= SPEC.md#start-up-and-logging
//# [LOG-9] (file) A server MUST load its dataset before it serves commands.
//= SPEC.md#shutdown
//# [SHUTDOWN-3] (file) SHUTDOWN MUST save the dataset first when a save point is set or SAVE is given, and not with NOSAVE.
//= SPEC.md#save
//# [SAVE-6] (file) The RDB file MUST be named by the directives `dir` and `dbfilename`.
#[test]
fn a_polite_end_saves_and_the_next_start_has_the_data() {
    let folder = folder();
    let mut server = Server::start(folder.path(), &["--save", "900", "1"]);
    fill(&mut server.client());
    server.signal("TERM");
    assert!(server.end().success());
    assert!(folder.path().join("dump.rdb").exists());
    let server = Server::start(folder.path(), &[]);
    eventually("the load is logged", || server.output().contains("DB loaded from disk: "));
    is_filled(&mut server.client());
}

#[test]
fn without_save_points_a_polite_end_saves_nothing() {
    let folder = folder();
    let mut server = Server::start(folder.path(), &[]);
    fill(&mut server.client());
    server.signal("INT");
    assert!(server.end().success());
    assert!(!folder.path().join("dump.rdb").exists());
}

//= SPEC.md#signals-and-stopping
//# [SIGNAL-2] (file) A stop by signal whose save fails MUST leave the server running and log why.
#[test]
fn a_server_that_cannot_save_does_not_end() {
    let folder = folder();
    let server = Server::start(folder.path(), &["--save", "900", "1", "--dbfilename", "here"]);
    fs::create_dir(folder.path().join("here")).unwrap();
    fill(&mut server.client());
    server.signal("TERM");
    eventually("the failure is logged", || server.output().contains("can't exit"));
    is_filled(&mut server.client());
    fs::remove_dir(folder.path().join("here")).unwrap();
    let mut server = server;
    server.signal("TERM");
    assert!(server.end().success());
}

//= SPEC.md#save
//# [SAVE-4] (file) The RDB file MUST be written under another name in the same directory, forced to disk and renamed, so that a crash at any time leaves either the old or the new file whole.
#[test]
fn save_and_debug_reload_keep_everything_through_a_file() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let client = &mut server.client();
    fill(client);
    assert_eq!(text(client, &["SAVE"]), "OK");
    assert_eq!(text(client, &["DEBUG", "RELOAD"]), "OK");
    is_filled(client);
    let leftovers = fs::read_dir(folder.path())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("temp-"));
    assert_eq!(leftovers.count(), 0);
}

//= SPEC.md#bgsave
//# [BGSAVE-5] (wire) Each `save` pair of seconds and changes MUST start a background save when at least that many changes were made and more than that many seconds have passed since the last save.
//= SPEC.md#rdb-file
//# [RDB-36] (file) Keys with a deadline, idle time or frequency that are saved and loaded again MUST keep it, the idle time to the second.
#[test]
fn a_save_point_is_written_by_a_child_while_clients_are_served() {
    let folder = folder();
    let server = Server::start(folder.path(), &["--save", "1", "1"]);
    let client = &mut server.client();
    fill(client);
    let dump = folder.path().join("dump.rdb");
    eventually("the child has saved", || {
        assert_eq!(text(client, &["PING"]), "PONG");
        dump.exists()
    });
    eventually("its end is known", || server.output().contains("Background saving terminated with success"));
    assert!(server.output().contains("Background saving started by pid "), "{}", server.output());
    assert!(text(client, &["INFO", "persistence"]).contains("rdb_last_bgsave_status:ok"));
    drop(server);
    is_filled(&mut Server::start(folder.path(), &[]).client());
}

//= SPEC.md#rdb-file
//# [RDB-37] (file) A server that finds its RDB file damaged at start MUST log why and end with exit code 1 instead of serving an incomplete dataset.
#[test]
fn a_damaged_dump_ends_the_start_and_is_left_as_it_was() {
    let folder = folder();
    let damaged = b"REDIS0009\xfe\x00\x63";
    fs::write(folder.path().join("dump.rdb"), damaged).unwrap();
    let port = free_port().to_string();
    let output = serve(folder.path()).args(["--port", &port]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("Fatal error loading the DB from dump.rdb"), "{said}");
    assert_eq!(fs::read(folder.path().join("dump.rdb")).unwrap(), damaged);
}

//= SPEC.md#signals-and-stopping
//# [SIGNAL-3] (inside) A second SIGINT while the server stops SHOULD end it at once with exit code 1 and without saving.
#[test]
fn a_second_interrupt_ends_a_busy_server_at_once() {
    let folder = folder();
    let mut server = Server::start(folder.path(), &["--save", "900", "1"]);
    fill(&mut server.client());
    let mut sleeper = server.socket();
    sleeper.write_all(&request(&["DEBUG", "SLEEP", "15"])).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    server.signal("INT");
    eventually("the first one is seen", || server.output().contains("Received SIGINT scheduling shutdown..."));
    server.signal("INT");
    assert_eq!(server.end().code(), Some(1));
    assert!(server.output().contains("You insist... exiting now."));
    assert!(!folder.path().join("dump.rdb").exists());
}

//= SPEC.md#signals-and-stopping
//# [SIGNAL-4] (inside) SIGHUP and SIGPIPE MUST be ignored.
#[test]
fn a_lost_terminal_and_a_broken_pipe_are_ignored() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    for signal in ["HUP", "PIPE"] {
        server.signal(signal);
        assert_eq!(text(&mut server.client(), &["PING"]), "PONG", "{signal}");
    }
}

//= SPEC.md#bgsave
//# [BGSAVE-2] (wire) BGSAVE while a background save runs MUST answer `-ERR Background save already in progress`.
//= SPEC.md#save
//# [SAVE-2] (wire) SAVE while a background save runs MUST answer `-ERR Background save already in progress`.
#[test]
fn one_background_save_runs_at_a_time() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let commands = [
        request(&["DEBUG", "POPULATE", "200000"]),
        request(&["BGSAVE"]),
        request(&["BGSAVE"]),
        request(&["SAVE"]),
        request(&["DBSIZE"]),
    ];
    let refused = "-ERR Background save already in progress\r\n";
    assert_eq!(
        exchange(server.socket(), &commands.concat()),
        format!("+OK\r\n+Background saving started\r\n{refused}{refused}:200000\r\n")
    );
    eventually("the save ends", || server.output().contains("Background saving terminated with success"));
}

#[test]
fn a_killed_child_leaves_the_old_dump_and_nothing_else() {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let client = &mut server.client();
    fill(client);
    assert_eq!(text(client, &["SAVE"]), "OK");
    let before = fs::read(folder.path().join("dump.rdb")).unwrap();
    assert_eq!(text(client, &["DEBUG", "POPULATE", "500000"]), "OK");
    text(client, &["BGSAVE"]);
    let output = server.output();
    let pid = output.split("Background saving started by pid ").nth(1).unwrap().split_whitespace().next().unwrap();
    assert!(std::process::Command::new("kill").args(["-KILL", pid]).status().unwrap().success());
    eventually("the loss is noticed", || server.output().contains("Background saving error"));
    assert!(text(client, &["INFO", "persistence"]).contains("rdb_last_bgsave_status:err"));
    assert_eq!(fs::read(folder.path().join("dump.rdb")).unwrap(), before);
    assert!(!folder.path().join(format!("temp-{pid}.rdb")).exists());
}
