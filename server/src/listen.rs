//! Listening sockets: one per address of `bind`, and the Unix socket.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::io::Errno;
use rustix::net::sockopt;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

/// A socket that accepts connections.
#[derive(Debug)]
pub(crate) struct Listener {
    /// The descriptor, non-blocking and closed on exec.
    pub(crate) socket: OwnedFd,
    /// A Unix socket: its clients have no address of their own.
    pub(crate) unix: bool,
}

/// Which address could not be listened on, and why.
#[derive(Debug, thiserror::Error)]
#[error("{address}: {operation}: {source}")]
pub(crate) struct ListenError {
    address: String,
    operation: &'static str,
    source: io::Error,
}

/// Listens on `port` of every address; no address means every interface of both IP versions, of which one may be
/// missing on this machine.
pub(crate) fn tcp(addresses: &[String], port: u16, backlog: i32) -> Result<Vec<Listener>, ListenError> {
    let mut listeners = Vec::new();
    if addresses.is_empty() {
        for address in
            [SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)), SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))]
        {
            match tcp_one(address, backlog) {
                Ok(listener) => listeners.push(listener),
                Err((_, Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL)) => {}
                Err((operation, errno)) => {
                    return Err(ListenError { address: format!("*:{port}"), operation, source: errno.into() });
                }
            }
        }
        if listeners.is_empty() {
            let source = Errno::AFNOSUPPORT.into();
            return Err(ListenError { address: format!("*:{port}"), operation: "socket", source });
        }
        return Ok(listeners);
    }
    for host in addresses {
        let failed = |operation, source| ListenError { address: format!("{host}:{port}"), operation, source };
        let resolved = (host.as_str(), port).to_socket_addrs().map_err(|source| failed("resolve", source))?;
        let address = resolved.into_iter().next().ok_or_else(|| failed("resolve", Errno::ADDRNOTAVAIL.into()))?;
        listeners.push(tcp_one(address, backlog).map_err(|(operation, errno)| failed(operation, errno.into()))?);
    }
    Ok(listeners)
}

fn tcp_one(address: SocketAddr, backlog: i32) -> Result<Listener, (&'static str, Errno)> {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let socket = stream_socket(family).map_err(|errno| ("socket", errno))?;
    if address.is_ipv6() {
        // The IPv4 address has a socket of its own.
        sockopt::set_ipv6_v6only(&socket, true).map_err(|errno| ("setsockopt: IPV6_V6ONLY", errno))?;
    }
    sockopt::set_socket_reuseaddr(&socket, true).map_err(|errno| ("setsockopt SO_REUSEADDR", errno))?;
    rustix::net::bind(&socket, &address).map_err(|errno| ("bind", errno))?;
    rustix::net::listen(&socket, backlog).map_err(|errno| ("listen", errno))?;
    Ok(Listener { socket, unix: false })
}

/// Listens on a Unix socket, replacing what is left of an earlier run; `permissions` 0 leaves them to the umask.
pub(crate) fn unix(path: &Path, permissions: u32, backlog: i32) -> Result<Listener, ListenError> {
    let failed = |operation, source| ListenError { address: path.display().to_string(), operation, source };
    // Absent in the common case; anything else shows as a failure of bind.
    let _ = std::fs::remove_file(path);
    let address = SocketAddrUnix::new(path).map_err(|errno| failed("path", errno.into()))?;
    let socket = stream_socket(AddressFamily::UNIX).map_err(|errno| failed("socket", errno.into()))?;
    rustix::net::bind(&socket, &address).map_err(|errno| failed("bind", errno.into()))?;
    rustix::net::listen(&socket, backlog).map_err(|errno| failed("listen", errno.into()))?;
    if permissions != 0 {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(permissions))
            .map_err(|source| failed("chmod", source))?;
    }
    Ok(Listener { socket, unix: true })
}

fn stream_socket(family: AddressFamily) -> rustix::io::Result<OwnedFd> {
    rustix::net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)
}

/// Logs Linux's advice when the system caps the backlog below what is configured.
pub(crate) fn warn_of_small_backlog(backlog: i32) {
    let limit = std::fs::read_to_string("/proc/sys/net/core/somaxconn").ok();
    if let Some(limit) = limit.and_then(|text| text.trim().parse::<i32>().ok())
        && limit < backlog
    {
        tracing::warn!(
            "WARNING: The TCP backlog setting of {backlog} cannot be enforced because /proc/sys/net/core/somaxconn is \
             set to the lower value of {limit}."
        );
    }
}
