//! Connections to other servers: MIGRATE sends keys over them and waits for the answers, for no longer than it is told.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use tally_engine::{PeerFailure, PeerId};

/// The connections that are open.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    open: BTreeMap<PeerId, TcpStream>,
    next: u64,
}

/// What is left of a time that was granted.
struct Patience {
    began: Instant,
    granted: Duration,
}

impl Patience {
    fn of_ms(ms: u64) -> Patience {
        // The kernel takes no timeout of centuries.
        const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
        Patience { began: Instant::now(), granted: Duration::from_millis(ms).min(LONGEST) }
    }

    /// A timeout of zero is none to the system, so it is never that.
    fn left(&self) -> Result<Duration, PeerFailure> {
        let left = self.granted.checked_sub(self.began.elapsed()).filter(|left| !left.is_zero());
        left.ok_or(PeerFailure::TimedOut)
    }
}

/// What an error of a socket means; none where the call is to be made again.
fn failure(error: &io::Error) -> Option<PeerFailure> {
    match error.kind() {
        ErrorKind::Interrupted => None,
        ErrorKind::WouldBlock | ErrorKind::TimedOut => Some(PeerFailure::TimedOut),
        ErrorKind::NetworkUnreachable => Some(PeerFailure::Unreachable("connect: Network is unreachable".to_owned())),
        _ => Some(PeerFailure::Broken),
    }
}

/// The addresses of a host, or the resolver's words why there are none.
fn addresses(host: &[u8], port: u16) -> Result<Vec<SocketAddr>, PeerFailure> {
    let unknown = || PeerFailure::Unreachable("Name or service not known".to_owned());
    // As a C string it ends at its first NUL.
    let host = host.split(|&byte| byte == 0).next().unwrap_or_default();
    let host = std::str::from_utf8(host).ok().filter(|host| !host.is_empty()).ok_or_else(unknown)?;
    let found = (host, port).to_socket_addrs().map_err(|error| {
        let text = error.to_string();
        PeerFailure::Unreachable(text.rsplit(": ").next().unwrap_or(&text).to_owned())
    })?;
    let found: Vec<SocketAddr> = found.collect();
    if found.is_empty() { Err(unknown()) } else { Ok(found) }
}

impl Peers {
    /// Connects to the first of the host's addresses at which somebody listens.
    pub(crate) fn connect(&mut self, host: &[u8], port: u16, timeout_ms: u64) -> Result<PeerId, PeerFailure> {
        let patience = Patience::of_ms(timeout_ms);
        let mut failed = PeerFailure::Broken;
        for address in addresses(host, port)? {
            match TcpStream::connect_timeout(&address, patience.left()?) {
                Ok(stream) => {
                    // Without it answers to several small writes may be late, which is all.
                    let _late = stream.set_nodelay(true);
                    let peer = PeerId(self.next);
                    self.next += 1;
                    self.open.insert(peer, stream);
                    return Ok(peer);
                }
                Err(error) => failed = failure(&error).unwrap_or(PeerFailure::Broken),
            }
        }
        Err(failed)
    }

    pub(crate) fn send(&mut self, peer: PeerId, mut bytes: &[u8], timeout_ms: u64) -> Result<(), PeerFailure> {
        let stream = self.open.get_mut(&peer).ok_or(PeerFailure::Broken)?;
        let patience = Patience::of_ms(timeout_ms);
        while !bytes.is_empty() {
            stream.set_write_timeout(Some(patience.left()?)).map_err(|_| PeerFailure::Broken)?;
            match stream.write(bytes) {
                Ok(0) => return Err(PeerFailure::Broken),
                Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
                Err(error) => failure(&error).map_or(Ok(()), Err)?,
            }
        }
        Ok(())
    }

    pub(crate) fn receive(&mut self, peer: PeerId, room: &mut [u8], timeout_ms: u64) -> Result<usize, PeerFailure> {
        let stream = self.open.get_mut(&peer).ok_or(PeerFailure::Broken)?;
        let patience = Patience::of_ms(timeout_ms);
        loop {
            stream.set_read_timeout(Some(patience.left()?)).map_err(|_| PeerFailure::Broken)?;
            match stream.read(room) {
                Ok(0) => return Err(PeerFailure::Broken),
                Ok(received) => return Ok(received),
                Err(error) => failure(&error).map_or(Ok(()), Err)?,
            }
        }
    }

    pub(crate) fn close(&mut self, peer: PeerId) {
        self.open.remove(&peer);
    }
}
