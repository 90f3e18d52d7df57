//! A server of the built binary, on a free port and in a folder of its own, for tests that need a real process.
#![allow(dead_code)] // Each test file uses its part.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The most a test waits for anything that should happen at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Asks until it holds.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "this did not come true: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A port nobody listens on, and which no other process that runs tests gives out while this one lives: else two tests
/// might talk to the same server, and the one whose server it is end it. Its number in UDP, which no server here uses, is
/// the token of that.
///
/// It lies below the range from which systems take ports for outgoing connections, so that none of these takes it
/// before the server does; processes begin at different places of it.
pub(crate) fn free_port() -> u16 {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    static TOKENS: Mutex<Vec<UdpSocket>> = Mutex::new(Vec::new());
    const FIRST: u32 = 10_000;
    const PORTS: u32 = 20_000;
    let begin = std::process::id().wrapping_mul(151) % PORTS;
    loop {
        let next = (begin + TAKEN.fetch_add(1, Ordering::Relaxed)) % PORTS;
        let port = u16::try_from(FIRST + next).unwrap();
        let Ok(token) = UdpSocket::bind(("127.0.0.1", port)) else { continue };
        if TcpListener::bind(("0.0.0.0", port)).is_ok() {
            TOKENS.lock().unwrap().push(token);
            return port;
        }
    }
}

/// Whether a server on this port answers, and with more than that it is loading: it listens before it has loaded, so
/// neither a connection nor an answer alone says that it is ready.
fn answers(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok_and(|mut socket| {
        let mut answer = [0; 8];
        let waits = socket.set_read_timeout(Some(Duration::from_millis(200)));
        waits.is_ok()
            && socket.write_all(b"PING\r\n").is_ok()
            && socket.read(&mut answer).is_ok_and(|bytes| bytes > 0)
            && answer != *b"-LOADING"
    })
}

/// A folder that is removed with the value.
pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("tally-test-").tempdir().unwrap()
}

/// `tally serve` with nothing else.
pub(crate) fn serve(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tally"));
    command.arg("serve").current_dir(folder).stdin(Stdio::null());
    command
}

/// A running server; killed when the value goes.
pub(crate) struct Server {
    pub(crate) process: Child,
    pub(crate) port: u16,
    pub(crate) folder: PathBuf,
}

impl Server {
    /// Starts on a free port with these options, and waits until it accepts connections.
    pub(crate) fn start(folder: &Path, options: &[&str]) -> Server {
        let port = free_port();
        let mut command = serve(folder);
        command.args(["--port", &port.to_string()]).args(options);
        Server::run(command, port, folder)
    }

    /// A real server of version 5.0 with these options; none where none is at hand, which in CI is a failure.
    pub(crate) fn real(folder: &Path, options: &[&str]) -> Option<Server> {
        let Some(program) = std::env::var_os("TALLY_REDIS5") else {
            assert!(std::env::var_os("CI").is_none(), "TALLY_REDIS5 names no Redis 5.0.x");
            println!("SKIPPED: TALLY_REDIS5 names no Redis 5.0.x");
            return None;
        };
        let port = free_port();
        let mut command = Command::new(program);
        command.args(["--port", &port.to_string(), "--save", ""]).args(options).current_dir(folder);
        Some(Server::run(command, port, folder))
    }

    /// Starts a command that will listen on `port`; what it prints goes to `output.txt` of the folder.
    pub(crate) fn run(mut command: Command, port: u16, folder: &Path) -> Server {
        let output = std::fs::File::create(folder.join("output.txt")).unwrap();
        command.stdout(output.try_clone().unwrap()).stderr(output);
        let process = command.spawn().unwrap();
        let mut server = Server { process, port, folder: folder.to_owned() };
        eventually("the server accepts connections", || {
            if let Some(status) = server.process.try_wait().unwrap() {
                panic!("the server ended with {status}: {}", server.output());
            }
            server.output().contains("eady to accept connections") || answers(port)
        });
        server
    }

    /// What it printed so far.
    pub(crate) fn output(&self) -> String {
        std::fs::read_to_string(self.folder.join("output.txt")).unwrap_or_default()
    }

    /// A client.
    pub(crate) fn client(&self) -> redis::Connection {
        let address = format!("redis://127.0.0.1:{}/", self.port);
        redis::Client::open(address).unwrap().get_connection().unwrap()
    }

    /// A bare connection.
    pub(crate) fn socket(&self) -> TcpStream {
        let socket = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.process.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Waits until it has ended.
    pub(crate) fn end(&mut self) -> ExitStatus {
        let mut ended = None;
        eventually("the server ends", || {
            ended = self.process.try_wait().unwrap();
            ended.is_some()
        });
        ended.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A command in the protocol's form.
pub(crate) fn request(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        write!(bytes, "${}\r\n{word}\r\n", word.len()).unwrap();
    }
    bytes
}

/// Sends bytes, ends the sending side, and reads until the server closes.
pub(crate) fn exchange(mut socket: TcpStream, bytes: &[u8]) -> String {
    socket.write_all(bytes).unwrap();
    socket.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}
