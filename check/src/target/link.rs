//! Where a live server listens, and a connection to it.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::time::Duration;

use tally_model::Reply;

use super::TargetError;
use crate::reply_reader::ReplyReader;
use crate::request::Request;

/// How long a server may take for one answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Where a server listens: `redis://[:password@]host[:port][/db]`, `unix:///path`, or `host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// Host and port, or the socket's path.
    pub place: Place,
    /// For AUTH.
    pub password: Option<String>,
    /// The database that is database 0 of the run; only 0 is possible, because runs use several databases.
    pub database: u32,
}

/// A host and port, or the path of a Unix socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Over TCP.
    Host(String, u16),
    /// Over a Unix socket.
    Socket(String),
}

/// Why a live server cannot be used at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LiveError {
    /// The URL makes no sense.
    #[error("{0:?} is no address of a server: {1}")]
    Url(String, &'static str),
    /// The server does not answer, or not as a server should.
    #[error("cannot use the server: {0}")]
    Target(#[from] TargetError),
    /// There are keys in it.
    #[error("the server holds {0} keys; with --flush they would be deleted")]
    NotEmpty(i64),
}

impl std::str::FromStr for Url {
    type Err = LiveError;

    fn from_str(text: &str) -> Result<Self, LiveError> {
        let wrong = |reason| LiveError::Url(text.to_owned(), reason);
        let path = text.strip_prefix("unix://").or_else(|| text.strip_prefix("redis+unix://"));
        if let Some(path) = path.or_else(|| text.starts_with('/').then_some(text)) {
            return Ok(Self { place: Place::Socket(path.to_owned()), password: None, database: 0 });
        }
        let rest = match text.split_once("://") {
            Some(("redis", rest)) => rest,
            Some(_) => return Err(wrong("only redis:// and unix:// are known")),
            None => text,
        };
        let (credentials, rest) = match rest.rsplit_once('@') {
            Some((credentials, rest)) => (Some(credentials), rest),
            None => (None, rest),
        };
        let password = credentials.map(|text| text.split_once(':').map_or(text, |(_, password)| password).to_owned());
        let (host, database) = match rest.split_once('/') {
            Some((host, "")) => (host, 0),
            Some((host, number)) => (host, number.parse().map_err(|_| wrong("the database is not a number"))?),
            None => (rest, 0),
        };
        if database != 0 {
            return Err(wrong("a run uses several databases, so it has to begin at 0"));
        }
        let (host, port) = match host.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => {
                (host, port.parse().map_err(|_| wrong("the port is not a number"))?)
            }
            _ => (host, 6379),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(wrong("the host is missing"));
        }
        Ok(Self { place: Place::Host(host.to_owned(), port), password, database })
    }
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl Stream {
    fn connect(place: &Place) -> std::io::Result<Self> {
        match place {
            Place::Host(host, port) => {
                let mut last = std::io::Error::new(ErrorKind::NotFound, "the host has no address");
                for address in (host.as_str(), *port).to_socket_addrs()? {
                    match TcpStream::connect_timeout(&address, PATIENCE) {
                        Ok(stream) => {
                            stream.set_nodelay(true)?;
                            return Ok(Self::Tcp(stream));
                        }
                        Err(error) => last = error,
                    }
                }
                Err(last)
            }
            #[cfg(unix)]
            Place::Socket(path) => UnixStream::connect(path).map(Self::Unix),
            #[cfg(not(unix))]
            Place::Socket(_) => Err(std::io::Error::new(ErrorKind::Unsupported, "no Unix sockets here")),
        }
    }

    fn set_timeout(&self, timeout: Option<Duration>) -> std::io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_read_timeout(timeout),
            #[cfg(unix)]
            Self::Unix(stream) => stream.set_read_timeout(timeout),
        }
    }

    fn set_nonblocking(&self, on: bool) -> std::io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_nonblocking(on),
            #[cfg(unix)]
            Self::Unix(stream) => stream.set_nonblocking(on),
        }
    }

    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(into),
            #[cfg(unix)]
            Self::Unix(stream) => stream.read(into),
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.write_all(bytes),
            #[cfg(unix)]
            Self::Unix(stream) => stream.write_all(bytes),
        }
    }

    fn local_address(&self) -> Option<String> {
        match self {
            Self::Tcp(stream) => stream.local_addr().ok().map(|address| address.to_string()),
            #[cfg(unix)]
            Self::Unix(_) => None,
        }
    }
}

/// A connection to a live server.
#[derive(Debug)]
pub(crate) struct Link {
    stream: Stream,
    pub(crate) reader: ReplyReader,
    /// Bytes to be sent.
    pub(crate) outgoing: Vec<u8>,
    /// The server closed it.
    pub(crate) closed: bool,
}

impl Link {
    /// Connects, and gives the password where there is one.
    pub(crate) fn open(url: &Url) -> Result<Self, TargetError> {
        let stream = Stream::connect(&url.place).map_err(|error| TargetError::Connection(error.to_string()))?;
        stream.set_timeout(Some(PATIENCE)).map_err(|error| TargetError::Connection(error.to_string()))?;
        let mut link = Self { stream, reader: ReplyReader::default(), outgoing: Vec::new(), closed: false };
        if let Some(password) = &url.password {
            let request: Request = ["AUTH", password].iter().collect();
            request.encode(&mut link.outgoing);
            link.flush();
            if let Reply::Error(text) = link.await_reply()? {
                return Err(TargetError::Connection(String::from_utf8_lossy(&text).into_owned()));
            }
        }
        Ok(link)
    }

    /// Waits for the next reply.
    pub(crate) fn await_reply(&mut self) -> Result<Reply, TargetError> {
        loop {
            if let Some(reply) = self.reader.next_reply()? {
                return Ok(reply);
            }
            if self.closed {
                return Err(TargetError::Connection("the server closed the connection".to_owned()));
            }
            if !self.fill()? {
                return Err(TargetError::Timeout(PATIENCE.as_millis() as u64));
            }
        }
    }

    /// As a server calls it over TCP.
    pub(crate) fn local_address(&self) -> Option<String> {
        self.stream.local_address()
    }

    /// Reads what is there; false when there is nothing.
    pub(crate) fn fill_at_once(&mut self) -> Result<bool, TargetError> {
        let broken = |error: std::io::Error| TargetError::Connection(error.to_string());
        self.stream.set_nonblocking(true).map_err(broken)?;
        let came = self.fill();
        self.stream.set_nonblocking(false).map_err(broken)?;
        came
    }

    /// Sends what is queued. A connection that the server closed meanwhile is no error: reading will find the end.
    pub(crate) fn flush(&mut self) {
        if !self.outgoing.is_empty() {
            if self.stream.write_all(&self.outgoing).is_err() {
                self.closed = true;
            }
            self.outgoing.clear();
        }
    }

    /// Reads once; false when nothing came in time.
    pub(crate) fn fill(&mut self) -> Result<bool, TargetError> {
        let mut piece = [0; 64 * 1024];
        loop {
            match self.stream.read(&mut piece) {
                Ok(0) => self.closed = true,
                Ok(length) => self.reader.push(&piece[..length]),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return Ok(false),
                Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {
                    self.closed = true;
                }
                Err(error) => return Err(TargetError::Connection(error.to_string())),
            }
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn addresses_are_read_in_every_form() {
        let host = |host: &str, port| Place::Host(host.to_owned(), port);
        let url = |text: &str| text.parse::<Url>().unwrap();
        assert_eq!(url("redis://localhost").place, host("localhost", 6379));
        assert_eq!(url("redis://:secret@localhost:7000/0").password.as_deref(), Some("secret"));
        assert_eq!(url("redis://user:se@cret@h:7000/").place, host("h", 7000));
        assert_eq!(url("localhost:1").place, host("localhost", 1));
        assert_eq!(url("redis://[::1]:7").place, host("::1", 7));
        assert_eq!(url("redis://[::1]").place, host("::1", 6379));
        assert_eq!(url("unix:///tmp/s").place, Place::Socket("/tmp/s".to_owned()));
        for wrong in ["http://x", "redis://", "redis://h:x", "redis://h/x", "redis://h/3"] {
            assert!(wrong.parse::<Url>().is_err(), "{wrong}");
        }
    }
}
