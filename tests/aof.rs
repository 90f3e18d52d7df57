//! Append-only files, held against the naive reader, cut anywhere, and replayed.
#![allow(clippy::unwrap_used)]

use proptest::collection::vec;
use proptest::prelude::*;
use tally_check::properties::aof;
use tally_check::simulator::pipe::PipeEnd;
use tally_check::simulator::rewrite_child::SimulatedChild;
use tally_engine::aof::AofErrorKind;
use tally_engine::aof::rewrite::ParentEnds;
use tally_engine::config::Config;
use tally_engine::world::Still;
use tally_engine::{ClientId, Effect, Engine, Event, FileEffect, FileId, Peer, SnapshotMode};

/// An engine with a disk that never fails, and one client.
struct Server {
    engine: Engine,
    world: Still,
    client: ClientId,
    file: Vec<u8>,
    temporary: Vec<u8>,
    /// What was done, in order.
    done: Vec<Effect>,
    /// The child that rewrites, until the test lets it end.
    child: Option<(SimulatedChild, ParentEnds<PipeEnd>)>,
}

impl Server {
    fn new(directives: &str) -> Self {
        let config = Config::parse(format!("appendonly yes\nsave \"\"\n{directives}\n")).unwrap();
        let mut world = Still { unix_us: 1_700_000_000_000_000, ..Still::default() };
        let mut engine = Engine::new(config, 1);
        let peer = Peer { address: "127.0.0.1:5000".into(), descriptor: 7, local: true, unix_socket: false };
        let client = engine.connect(&mut world, peer);
        let mut server =
            Self { engine, world, client, file: Vec::new(), temporary: Vec::new(), done: Vec::new(), child: None };
        server.settle();
        server
    }

    /// The disk has no room for what a command writes; its reply is thrown away.
    fn fail_a_write(&mut self) {
        self.engine.feed(&mut self.world, self.client, b"SET a 1\r\n");
        self.engine.handle(&mut self.world, Event::BatchEnd);
        let failure = tally_engine::IoFailure::new(28, "No space left on device");
        self.engine.effects().retain(|effect| !matches!(effect, Effect::File(FileEffect::Write(_))));
        self.engine.handle(&mut self.world, Event::FileFailed { file: FileId::Aof, bytes: 0, failure });
        self.settle();
        let replies = self.engine.output(self.client).map(<[u8]>::len).sum();
        self.engine.written(self.client, replies);
    }

    fn settle(&mut self) {
        loop {
            let effects: Vec<Effect> = self.engine.effects().drain(..).collect();
            if effects.is_empty() {
                return;
            }
            for effect in effects {
                self.done.push(effect.clone());
                let step = match effect {
                    Effect::File(step) => step,
                    Effect::Rewrite => {
                        self.child = Some(SimulatedChild::fork(&self.engine, 64).unwrap());
                        self.engine.handle(&mut self.world, Event::ChildStarted { fork_us: 0 });
                        continue;
                    }
                    Effect::Snapshot(SnapshotMode::Background) => {
                        self.engine.handle(&mut self.world, Event::ChildStarted { fork_us: 0 });
                        continue;
                    }
                    Effect::StopRewrite => {
                        self.child = None;
                        continue;
                    }
                    _ => continue,
                };
                let file = match step {
                    FileEffect::Write(file) => {
                        let bytes = self.engine.file_bytes(file);
                        if file == FileId::Aof { &mut self.file } else { &mut self.temporary }.extend_from_slice(bytes);
                        file
                    }
                    FileEffect::Truncate(file, length) => {
                        let content = if file == FileId::Aof { &mut self.file } else { &mut self.temporary };
                        content.truncate(length as usize);
                        file
                    }
                    FileEffect::Rename(from, _) => {
                        self.file = std::mem::take(&mut self.temporary);
                        from
                    }
                    FileEffect::Open(file)
                    | FileEffect::Reopen(file)
                    | FileEffect::Fsync(file)
                    | FileEffect::FsyncInBackground(file)
                    | FileEffect::Close(file)
                    | FileEffect::Remove(file) => file,
                    FileEffect::SyncDirectory => FileId::Aof,
                };
                self.engine.handle(&mut self.world, Event::FileDone { file, bytes: 0 });
            }
        }
    }

    /// The cron runs.
    fn tick(&mut self) {
        self.world.now_us += 100_000;
        self.world.unix_us += 100_000;
        self.engine.handle(&mut self.world, Event::Tick);
        self.settle();
    }

    /// The child that rewrites ends, and its file takes its place.
    fn end_rewrite(&mut self) {
        let (child, ends) = self.child.take().unwrap();
        self.temporary = child.finish(&mut self.engine, ends).unwrap();
        let result = Ok(self.temporary.len() as u64);
        self.engine.handle(&mut self.world, Event::RewriteEnded { result, copied_on_write: 0 });
        self.settle();
    }

    fn say(&mut self, line: &str) -> String {
        self.engine.feed(&mut self.world, self.client, format!("{line}\r\n").as_bytes());
        self.engine.handle(&mut self.world, Event::BatchEnd);
        self.settle();
        let output = self.engine.output(self.client).collect::<Vec<_>>().concat();
        self.engine.written(self.client, output.len());
        String::from_utf8_lossy(&output).into_owned()
    }

    fn reloaded(&self, directives: &str) -> Self {
        let mut other = Self::new(directives);
        other.world = self.world.clone();
        other.engine.load_aof(&mut other.world, &mut self.file.as_slice()).unwrap();
        other.engine.validate();
        other.file.clone_from(&self.file);
        other.settle();
        other
    }
}

fn command() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::sample::select(vec!["SET", "k", "v", "MULTI", "EXEC", "SELECT", "3", ""]);
    vec(words, 1..5).prop_map(|words| {
        let mut bytes = format!("*{}\r\n", words.len());
        for word in words {
            bytes.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        bytes.into_bytes()
    })
}

proptest! {
    //= SPEC.md#aof-file
    //# [AOF-7] (file) A transaction without its EXEC at the end of the file MUST be treated as if the file ended before its MULTI.
    #[test]
    fn files_cut_anywhere_are_judged_alike(commands in vec(command(), 0..8), cut in any::<prop::sample::Index>()) {
        let whole = commands.concat();
        aof::any_file_is_loaded_or_refused(&whole);
        aof::files_are_judged_alike(&whole[..cut.index(whole.len() + 1)]);
    }

    //= SPEC.md#aof-file
    //# [AOF-8] (file) Any other damage, for example a line that does not begin with `*` or `$`, a count below 1 or a command that does not exist, MUST be refused, naming the offset where the damaged command begins.
    #[test]
    fn damaged_files_are_judged_alike(
        commands in vec(command(), 1..6),
        place in any::<prop::sample::Index>(),
        byte in prop_oneof![any::<u8>(), prop::sample::select(b"*$\r\n019-".to_vec())],
    ) {
        let mut damaged = commands.concat();
        let place = place.index(damaged.len());
        damaged[place] = byte;
        aof::any_file_is_loaded_or_refused(&damaged);
    }

    #[test]
    fn any_bytes_are_judged_alike(bytes in vec(prop::sample::select(b"*$\r\n0123R".to_vec()), 0..40)) {
        aof::any_file_is_loaded_or_refused(&bytes);
    }
}

const LINES: [&str; 16] = [
    "SET a 1",
    "SET b hello EX 100",
    "APPEND b !",
    "SELECT 5",
    "SETEX c 50 x",
    "INCRBYFLOAT c2 1.5",
    "PSETEX gone 1 x",
    "SELECT 0",
    "SETBIT bits 100 1",
    "RENAME a z",
    "EXPIRE z 1000",
    "SET b kept XX",
    "MSET m1 1 m2 2",
    "MOVE m1 3",
    "SWAPDB 0 3",
    "DEL m2 nothing",
];

//= SPEC.md#aof-file
//# [AOF-13] (file) Loading the AOF file of a server MUST give the dataset that this server had, deadlines included.
//= SPEC.md#aof-file
//# [AOF-4] (file) Loading MUST execute the commands on an empty dataset in order, as a client would, without replies and without propagating them.
#[test]
fn a_replay_makes_the_same_dataset_after_every_command() {
    let mut server = Server::new("appendfsync always");
    for line in LINES {
        server.say(line);
        let digest = server.say("DEBUG DIGEST");
        let mut replayed = server.reloaded("");
        assert_eq!(replayed.say("DEBUG DIGEST"), digest, "after {line}");
    }
    assert!(server.file.len() > 500);
}

//= SPEC.md#aof-file
//# [AOF-3] (file) A file that begins with `REDIS` MUST be read as an RDB file, its preamble, followed by commands.
#[test]
fn a_file_begun_at_run_time_holds_the_dataset_and_what_follows() {
    for preamble in ["yes", "no"] {
        let mut server = Server::new(&format!("aof-use-rdb-preamble {preamble}"));
        for line in LINES {
            server.say(line);
        }
        assert_eq!(server.say("CONFIG SET appendonly no"), "+OK\r\n");
        server.say("SET unlogged 1");
        assert_eq!(server.say("CONFIG SET appendonly yes"), "+OK\r\n");
        server.say("SET meanwhile 1");
        server.end_rewrite();
        assert_eq!(server.file.starts_with(b"REDIS"), preamble == "yes");
        server.say("SELECT 7");
        server.say("SET later 2");
        let digest = server.say("DEBUG DIGEST");
        assert_eq!(server.reloaded("").say("DEBUG DIGEST"), digest, "aof-use-rdb-preamble {preamble}");
    }
}

//= SPEC.md#aof-file
//# [AOF-6] (file) A file that ends within a command MUST be cut to the end of its last whole command and loaded with a log line that gives the offset while `aof-load-truncated` is on, and refused with it while it is off.
#[test]
fn a_truncated_tail_is_cut_off_or_refused() {
    let mut server = Server::new("");
    server.say("SET a 1");
    let whole = server.file.len();
    server.say("SET b 2");
    let torn = &server.file[..server.file.len() - 3];

    let mut lenient = Server::new("");
    let report = lenient.engine.load_aof(&mut lenient.world, &mut &*torn).unwrap();
    assert_eq!((report.bytes, report.cut), (whole as u64, true));
    lenient.file = torn.to_vec();
    lenient.settle();
    assert_eq!(lenient.file.len(), whole);
    lenient.say("SET c 3");
    assert_eq!(lenient.say("DBSIZE"), ":2\r\n");
    assert_eq!(lenient.reloaded("").say("MGET a b c"), "*3\r\n$1\r\n1\r\n$-1\r\n$1\r\n3\r\n");

    let mut strict = Server::new("aof-load-truncated no");
    strict.say("SET kept 1");
    let error = strict.engine.load_aof(&mut strict.world, &mut &*torn).unwrap_err();
    assert_eq!((error.offset, error.kind), (whole as u64, AofErrorKind::Truncated { end: torn.len() as u64 }));
    assert_eq!(strict.say("GET kept"), "$1\r\n1\r\n");
}

//= SPEC.md#aof-durability
//# [DURABLE-1] (file) Under `appendfsync always` the commands of a batch MUST be written to the AOF file and forced to disk before any of their replies is sent.
#[test]
fn under_always_a_reply_follows_the_write_and_the_sync() {
    let mut server = Server::new("appendfsync always");
    server.done.clear();
    server.say("SET a 1");
    let client = server.client;
    let wanted = [
        Effect::File(FileEffect::Write(FileId::Aof)),
        Effect::File(FileEffect::Fsync(FileId::Aof)),
        Effect::Output { client },
    ];
    assert_eq!(server.done, wanted);
}

//= SPEC.md#aof-durability
//# [DURABLE-11] (file) The name of a file that the server makes to append to MUST be forced to disk before what is appended counts as durable.
#[test]
fn the_name_of_a_new_file_is_durable_before_anything_is_answered() {
    let server = Server::new("appendfsync always");
    let wanted = [FileEffect::Open(FileId::Aof), FileEffect::SyncDirectory].map(Effect::File);
    assert_eq!(server.done, wanted);
}

//= SPEC.md#aof-durability
//# [DURABLE-7] (inside) A write or fsync that fails under `appendfsync always` MUST end the process, since a reply would promise what is not kept.
#[test]
fn under_always_a_failed_write_ends_the_process_and_nothing_is_answered() {
    let mut server = Server::new("appendfsync always");
    server.engine.feed(&mut server.world, server.client, b"SET a 1\r\n");
    server.engine.handle(&mut server.world, Event::BatchEnd);
    let failure = tally_engine::IoFailure::new(28, "No space left on device");
    server.engine.handle(&mut server.world, Event::FileFailed { file: FileId::Aof, bytes: 0, failure });
    let effects = server.engine.effects();
    assert!(effects.contains(&Effect::Exit { code: 1 }));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Output { .. })), "{effects:?}");
}

//= SPEC.md#eval
//# [EVAL-37] (file) A script one of whose commands was refused because memory is short or the server takes no writes MUST be propagated as EVAL-28 and EVAL-29 say in place of EVAL-31.
#[test]
fn a_script_that_may_not_write_is_handed_on_as_what_it_did() {
    let script = "EVAL \"redis.pcall('set', 'x', '1') return redis.call('publish', 'c', 'v')\" 0";
    let handed_on = |fails: bool| {
        let mut server = Server::new("appendfsync no\nlua-replicate-commands no");
        server.engine.record_propagation();
        if fails {
            server.fail_a_write();
        }
        server.engine.take_propagated();
        assert_eq!(server.say(script), ":0\r\n");
        let handed_on = server.engine.take_propagated();
        let name = |arguments: &[Vec<u8>]| String::from_utf8(arguments[0].to_ascii_lowercase()).unwrap();
        handed_on.iter().map(|command| name(&command.arguments)).collect::<Vec<_>>()
    };
    assert_eq!(handed_on(false), ["eval"]);
    assert_eq!(handed_on(true), ["publish"]);
}

//= SPEC.md#aof-durability
//# [DURABLE-6] (wire) After a failed write, and until one succeeds, commands that write MUST answer `-MISCONF Errors writing to the AOF file: R` with the system's reason for R.
#[test]
fn after_a_failed_write_commands_that_write_are_refused_until_one_succeeds() {
    let mut server = Server::new("appendfsync no");
    server.fail_a_write();
    let refused = server.say("SET b 2");
    assert_eq!(refused, "-MISCONF Errors writing to the AOF file: No space left on device\r\n");
    assert_eq!(server.say("GET a"), "$1\r\n1\r\n");
    // A second later it is tried again, and the disk has room.
    server.world.now_us += 1_100_000;
    server.world.unix_us += 1_100_000;
    server.engine.handle(&mut server.world, Event::Tick);
    server.settle();
    assert_eq!(server.say("SET b 2"), "+OK\r\n");
    let digest = server.say("DEBUG DIGEST");
    assert_eq!(server.reloaded("").say("DEBUG DIGEST"), digest);
}

//= SPEC.md#restore
//# [RESTORE-18] (file) A successful RESTORE MUST be propagated as it came, but one with a positive relative TTL as `RESTORE key deadline payload ABSTTL` followed by those of REPLACE, IDLETIME and FREQ that were given, with the values that counted and in this order.
#[test]
fn a_restored_key_has_the_same_deadline_after_a_replay() {
    let mut server = Server::new("");
    let payload = tally_engine::rdb::string_payload(b"value", true);
    let mut restore = |options: &[&[u8]]| {
        let mut request = format!("*{}\r\n$7\r\nRESTORE\r\n$1\r\nk\r\n", options.len() + 3).into_bytes();
        let words = [&options[..1], &[payload.as_slice()][..], &options[1..]].concat();
        for word in words {
            request.extend(format!("${}\r\n", word.len()).into_bytes());
            request.extend(word);
            request.extend(b"\r\n");
        }
        server.engine.feed(&mut server.world, server.client, &request);
        assert_eq!(server.say("PING"), "+OK\r\n+PONG\r\n");
        let file = tally_model::aof::file(&server.file).unwrap();
        let (_, last) = file.commands.last().unwrap().clone();
        last.iter()
            .map(|word| String::from_utf8_lossy(word).into_owned())
            .filter(|word| !word.contains("value"))
            .collect::<Vec<_>>()
    };
    assert_eq!(restore(&[b"0"]), ["RESTORE", "k", "0"]);
    assert_eq!(
        restore(&[b"5000", b"freq", b"1", b"replace", b"FREQ", b"2"]),
        ["RESTORE", "k", "1700000005000", "ABSTTL", "REPLACE", "FREQ", "2"]
    );
    assert_eq!(
        restore(&[b"5000", b"replace", b"idletime", b"9"]),
        ["RESTORE", "k", "1700000005000", "ABSTTL", "REPLACE", "IDLETIME", "9"]
    );
    assert_eq!(
        restore(&[b"1800000000000", b"absttl", b"replace"]),
        ["RESTORE", "k", "1800000000000", "absttl", "replace"]
    );
    assert_eq!(server.reloaded("").say("PTTL k"), server.say("PTTL k"));
}

//= SPEC.md#aof-durability
//# [DURABLE-8] (file) While `no-appendfsync-on-rewrite` is on and a child saves or rewrites, fsync MAY be left out.
#[test]
fn while_a_child_saves_fsync_is_left_out_where_that_is_wanted() {
    for (directive, syncs) in [("yes", 0), ("no", 1)] {
        let mut server = Server::new(&format!("appendfsync always\nno-appendfsync-on-rewrite {directive}"));
        assert_eq!(server.say("BGSAVE"), "+Background saving started\r\n");
        server.done.clear();
        assert_eq!(server.say("SET a 1"), "+OK\r\n");
        let synced = server.done.iter().filter(|effect| **effect == Effect::File(FileEffect::Fsync(FileId::Aof)));
        assert_eq!(synced.count(), syncs, "no-appendfsync-on-rewrite {directive}");
    }
}

//= SPEC.md#aof-durability
//# [DURABLE-10] (file) A first file after CONFIG SET `appendonly yes` that cannot be written MUST leave a file that was there before as it was, and be tried again until it is in place or `appendonly` is off.
//= SPEC.md#shutdown
//# [SHUTDOWN-6] (wire) SHUTDOWN while the first append-only file since CONFIG SET `appendonly yes` is not yet in its place MUST answer `-ERR Errors trying to SHUTDOWN. Check logs.` and leave the server running.
//= SPEC.md#aof-durability
//# [DURABLE-9] (file) A new file that replaces another MUST be complete and forced to disk before it is renamed over it.
#[test]
fn a_file_begun_at_run_time_is_durable_before_it_takes_its_name_and_a_failure_leaves_the_old_one() {
    use FileId::{Aof, AofRewritten};
    let mut server = Server::new("");
    server.say("SET a 1");
    server.say("CONFIG SET appendonly no");
    server.done.clear();
    server.say("CONFIG SET appendonly yes");
    server.end_rewrite();
    let steps: Vec<&Effect> = server.done.iter().filter(|effect| matches!(effect, Effect::File(_))).collect();
    let wanted = [
        FileEffect::Reopen(AofRewritten),
        FileEffect::Write(AofRewritten),
        FileEffect::Fsync(AofRewritten),
        FileEffect::Rename(AofRewritten, Aof),
        FileEffect::SyncDirectory,
    ]
    .map(Effect::File);
    assert_eq!(steps, wanted.iter().collect::<Vec<_>>());

    server.say("CONFIG SET appendonly no");
    let old = server.file.clone();
    server.say("CONFIG SET appendonly yes");
    for _ in 0..2 {
        assert_eq!(server.say("SET b 2"), "+OK\r\n");
        assert_eq!(server.say("SHUTDOWN NOSAVE"), "-ERR Errors trying to SHUTDOWN. Check logs.\r\n");
        server.child = None;
        let failure = tally_engine::IoFailure::new(28, "No space left on device");
        server.engine.handle(&mut server.world, Event::RewriteEnded { result: Err(failure), copied_on_write: 0 });
        server.settle();
        assert_eq!(server.file, old);
        assert!(server.say("INFO persistence").contains("aof_rewrite_scheduled:1\r\n"));
        server.tick();
        assert!(server.child.is_some(), "it is tried again");
    }
    server.end_rewrite();
    let digest = server.say("DEBUG DIGEST");
    assert_eq!(server.reloaded("").say("DEBUG DIGEST"), digest);
}

//= SPEC.md#bgrewriteaof
//# [BGREWRITEAOF-1] (wire) BGREWRITEAOF MUST answer the status `Background append only file rewriting started` and replace the append-only file by one that makes the dataset of that moment and goes on with the commands after it, which are answered meanwhile.
//= SPEC.md#bgrewriteaof
//# [BGREWRITEAOF-2] (wire) BGREWRITEAOF while a rewrite runs MUST answer `-ERR Background append only file rewriting already in progress`.
//= SPEC.md#bgrewriteaof
//# [BGREWRITEAOF-5] (file) A rewritten file MUST begin with an RDB file while `aof-use-rdb-preamble` is on.
//= SPEC.md#bgsave
//# [BGSAVE-3] (wire) BGSAVE while the append-only file is rewritten MUST answer `-ERR An AOF log rewriting in progress: can't BGSAVE right now. Use BGSAVE SCHEDULE in order to schedule a BGSAVE whenever possible.`, and with SCHEDULE the status `Background saving scheduled`.
//= SPEC.md#bgsave
//# [BGSAVE-7] (wire) A background save that was scheduled MUST begin once the rewrite of the append-only file has ended.
#[test]
fn a_rewritten_file_holds_the_dataset_and_what_was_written_meanwhile_once() {
    for preamble in ["yes", "no"] {
        let mut server = Server::new(&format!("aof-use-rdb-preamble {preamble}"));
        for line in LINES {
            server.say(line);
        }
        server.say("SELECT 2");
        server.say("RPUSH list a");
        assert_eq!(server.say("BGREWRITEAOF"), "+Background append only file rewriting started\r\n");
        server.say("RPUSH list b");
        let running = "-ERR Background append only file rewriting already in progress\r\n";
        assert_eq!(server.say("BGREWRITEAOF"), running);
        assert!(server.say("BGSAVE").starts_with("-ERR An AOF log rewriting in progress"));
        assert_eq!(server.say("BGSAVE SCHEDULE"), "+Background saving scheduled\r\n");
        let old = server.file.clone();
        server.end_rewrite();
        assert_eq!(server.file.starts_with(b"REDIS"), preamble == "yes");
        assert_ne!(server.file, old);
        server.say("RPUSH list c");
        assert_eq!(server.reloaded("").say("DEBUG DIGEST"), server.say("DEBUG DIGEST"), "preamble {preamble}");
        server.tick();
        assert!(server.say("INFO persistence").contains("rdb_bgsave_in_progress:1\r\n"));
    }
}

//= SPEC.md#bgrewriteaof
//# [BGREWRITEAOF-3] (wire) BGREWRITEAOF while a background save runs MUST answer the status `Background append only file rewriting scheduled`, and the rewrite begins once the save has ended.
#[test]
fn a_rewrite_waits_for_a_background_save() {
    let mut server = Server::new("");
    assert_eq!(server.say("BGSAVE"), "+Background saving started\r\n");
    assert_eq!(server.say("BGREWRITEAOF"), "+Background append only file rewriting scheduled\r\n");
    server.tick();
    assert!(server.child.is_none());
    server.engine.handle(&mut server.world, Event::SnapshotEnded { result: Ok(1), copied_on_write: 0 });
    server.tick();
    assert!(server.child.is_some());
}

//= SPEC.md#bgrewriteaof
//# [BGREWRITEAOF-7] (file) A rewrite that begins inside a transaction MUST make the commands of the transaction that follow a transaction of their own in the new file.
#[test]
fn a_rewrite_inside_a_transaction_leaves_whole_transactions() {
    let mut server = Server::new("aof-use-rdb-preamble no");
    for line in ["MULTI", "INCR a", "BGREWRITEAOF", "INCR a", "SELECT 1", "INCR b"] {
        server.say(line);
    }
    server.say("EXEC");
    server.end_rewrite();
    let file = tally_model::aof::file(&server.file).unwrap();
    let words: Vec<String> =
        file.commands.iter().map(|(_, command)| String::from_utf8_lossy(&command.join(&b' ')).into_owned()).collect();
    assert_eq!(words, ["SELECT 0", "SET a 1", "MULTI", "SELECT 0", "INCR a", "SELECT 1", "INCR b", "EXEC"]);
    assert_eq!(server.reloaded("").say("DEBUG DIGEST"), server.say("DEBUG DIGEST"));
}

//= SPEC.md#bgrewriteaof
//# [BGREWRITEAOF-6] (wire) A rewrite MUST begin by itself when the file has more than `auto-aof-rewrite-min-size` bytes and has grown by at least `auto-aof-rewrite-percentage` percent since it was loaded or rewritten last, unless that percentage is 0.
#[test]
fn a_file_that_has_grown_is_rewritten() {
    let begins = |min: usize, percentage: u32| {
        let directives = format!(
            "aof-use-rdb-preamble no\nauto-aof-rewrite-min-size {min}\nauto-aof-rewrite-percentage {percentage}"
        );
        let mut server = Server::new(&directives);
        server.say(&format!("SET a {}", "x".repeat(1000)));
        server.say("BGREWRITEAOF");
        server.end_rewrite();
        let base = server.file.len();
        while server.file.len() < base * 2 {
            server.tick();
            assert!(server.child.is_none(), "at {} of {base} bytes", server.file.len());
            server.say("APPEND a y");
        }
        server.tick();
        (base, server.child.is_some())
    };
    let (base, begun) = begins(500, 100);
    assert!(begun);
    assert!(!begins(500, 0).1);
    assert!(!begins(base * 3, 100).1);
}
