//! Clients that people use, against `tally serve`. Where one cannot be had, its test says so and passes; with `CI` set
//! it fails, because the gate is meant to have them all.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;

use redis::{Commands, RedisResult};
use spawned::{Server, folder};

mod spawned;

/// Says why a test is not run.
fn skip(reason: &str) {
    assert!(std::env::var_os("CI").is_none(), "in CI nothing is skipped: {reason}");
    eprintln!("skipped: {reason}");
}

fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

#[track_caller]
fn passes(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{command:?}: {status}\n{stdout}{stderr}");
    stdout.into_owned()
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

#[test]
fn the_rust_client_works() -> RedisResult<()> {
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let mut client = server.client();
    let () = client.set("greeting", "hello")?;
    assert_eq!(client.get::<_, String>("greeting")?, "hello");
    assert_eq!(client.get::<_, Option<String>>("absent")?, None);
    let () = client.set_ex("session", b"\x00\xff", 60)?;
    assert_eq!(client.get::<_, Vec<u8>>("session")?, b"\x00\xff");
    assert!((1..=60).contains(&client.ttl::<_, i64>("session")?));
    assert_eq!(client.incr::<_, _, i64>("counter", 42)?, 42);
    assert_eq!(client.mget::<_, Vec<Option<String>>>(&["greeting", "absent"])?, [Some("hello".to_owned()), None]);
    assert!(!client.setbit::<_, bool>("bits", 7, true)?);
    assert_eq!(client.bitcount::<_, i64>("bits")?, 1);
    let refused = client.incr::<_, _, i64>("greeting", 1).unwrap_err();
    assert!(refused.to_string().contains("value is not an integer or out of range"), "{refused}");

    let mut pipeline = redis::pipe();
    for number in 0..1000 {
        pipeline.set(format!("many:{number}"), number).ignore();
    }
    pipeline.get("many:999");
    assert_eq!(pipeline.query::<(i64,)>(&mut client)?, (999,));
    let keys: Vec<String> = client.scan_match::<_, String>("many:*")?.collect::<RedisResult<_>>()?;
    assert_eq!(keys.iter().collect::<std::collections::BTreeSet<_>>().len(), 1000);
    assert_eq!(client.rename::<_, _, String>("greeting", "farewell")?, "OK");
    assert_eq!(client.del::<_, i64>(&["farewell", "counter", "absent"])?, 2);
    Ok(())
}

#[test]
fn redis_cli_works() {
    if !succeeds(Command::new("redis-cli").arg("--version")) {
        return skip("no redis-cli");
    }
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    let cli = |words: &[&str]| passes(Command::new("redis-cli").args(["-p", &server.port.to_string()]).args(words));
    assert_eq!(cli(&["PING"]), "PONG\n");
    assert_eq!(cli(&["SET", "greeting", "hello"]), "OK\n");
    assert_eq!(cli(&["--no-raw", "GET", "greeting"]), "\"hello\"\n");
    assert_eq!(cli(&["-n", "3", "DBSIZE"]), "0\n");
    assert!(cli(&["INFO", "server"]).contains("redis_version:5.0.14\r\n"));
    assert_eq!(cli(&["--scan", "--pattern", "gr*"]), "greeting\n");
    assert_eq!(cli(&["-r", "3", "INCR", "counter"]), "1\n2\n3\n");
    let mass: Vec<u8> = (0..5000).flat_map(|n| spawned::request(&["SET", &format!("mass:{n}"), "v"])).collect();
    let file = folder.path().join("mass.resp");
    std::fs::write(&file, mass).unwrap();
    let mut piped = Command::new("redis-cli");
    piped.args(["-p", &server.port.to_string(), "--pipe"]).stdin(std::fs::File::open(file).unwrap());
    assert!(passes(&mut piped).contains("errors: 0, replies: 5000"));
    assert!(cli(&["--bigkeys"]).contains("Sampled 5002 keys"));
}

#[test]
fn redis_benchmark_works() {
    if !succeeds(Command::new("redis-benchmark").arg("--version")) {
        return skip("no redis-benchmark");
    }
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    for pipeline in ["1", "16"] {
        let output = passes(Command::new("redis-benchmark").args([
            "-p",
            &server.port.to_string(),
            "-n",
            "20000",
            "-r",
            "1000",
            "-P",
            pipeline,
            "-q",
            "--csv",
            "-t",
            "ping,set,get,incr,mset",
        ]));
        for test in ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "MSET"] {
            assert!(output.contains(test), "{output}");
        }
    }
}

/// Where installed clients stay for the next run.
fn kept(name: &str) -> PathBuf {
    let folder = std::env::var_os("TALLY_CLIENTS").unwrap_or_else(|| env!("CARGO_TARGET_TMPDIR").into());
    PathBuf::from(folder).join(name)
}

/// One test installs at a time: they share folders.
static INSTALLING: Mutex<()> = Mutex::new(());

/// A Python that can import these modules: the one named, or one of its own kind with them installed.
fn python_with(modules: &str) -> Option<PathBuf> {
    let _alone = INSTALLING.lock();
    let python = PathBuf::from(std::env::var_os("TALLY_PYTHON").unwrap_or_else(|| "python3".into()));
    let own = kept("python").join("bin/python");
    let import = format!("import {modules}");
    let ready = |python: &PathBuf| succeeds(Command::new(python).args(["-c", &import]));
    if let Some(ready) = [&python, &own].into_iter().find(|python| ready(python)) {
        return Some(ready.clone());
    }
    let made = succeeds(Command::new(&python).args(["-m", "venv"]).arg(kept("python")))
        // A later RQ may ask for a later server.
        && succeeds(Command::new(&own).args(["-m", "pip", "install", "-q", "redis", "rq<4"]));
    (made && ready(&own)).then_some(own)
}

/// A folder whose scripts can import ioredis and BullMQ.
fn node_home() -> Option<PathBuf> {
    let _alone = INSTALLING.lock();
    let home = kept("node");
    let ready = || {
        let modules = ["ioredis", "bullmq"].map(|module| home.join("node_modules").join(module).join("package.json"));
        succeeds(Command::new("node").arg("--version")) && modules.iter().all(|module| module.exists())
    };
    let mut install = Command::new("npm");
    install.args(["install", "--silent", "--no-save", "--no-package-lock", "--prefix"]).arg(&home);
    // A later BullMQ may ask for a later server.
    install.args(["ioredis", "bullmq@6"]);
    (ready() || succeeds(&mut install) && ready()).then_some(home)
}

/// Modules are looked for beside the script, so it is run from a copy there.
fn node_passes(home: &Path, name: &str, port: u16) {
    let copy = home.join(name);
    std::fs::copy(script(name), &copy).unwrap();
    passes(Command::new("node").arg(copy).arg(port.to_string()));
}

#[test]
fn redis_py_works() {
    let Some(python) = python_with("redis") else {
        return skip("neither redis-py nor a way to install it");
    };
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    passes(Command::new(python).arg(script("session.py")).arg(server.port.to_string()));
}

#[test]
fn what_redis_py_builds_on_commands_works() {
    let Some(python) = python_with("redis") else {
        return skip("neither redis-py nor a way to install it");
    };
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    passes(Command::new(python).arg(script("helpers.py")).arg(server.port.to_string()));
}

#[test]
fn workers_of_rq_work() {
    let Some(python) = python_with("redis, rq") else {
        return skip("neither RQ nor a way to install it");
    };
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    // It imports its jobs from beside it, where nothing compiled is to be left.
    let mut worker = Command::new(python);
    worker.env("PYTHONDONTWRITEBYTECODE", "1").arg(script("rq_worker.py")).arg(server.port.to_string());
    passes(&mut worker);
}

#[test]
fn ioredis_works() {
    let Some(home) = node_home() else {
        return skip("neither ioredis nor a way to install it");
    };
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    node_passes(&home, "session.mjs", server.port);
}

#[test]
fn workers_of_bullmq_work() {
    let Some(home) = node_home() else {
        return skip("neither BullMQ nor a way to install it");
    };
    let folder = folder();
    let server = Server::start(folder.path(), &[]);
    node_passes(&home, "bullmq.mjs", server.port);
}
