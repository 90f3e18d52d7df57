//! Becoming a daemon, the pid file, and telling a supervisor that the server is ready.

use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;

use tally_engine::config::Supervised;

/// Leaves the terminal: the caller goes on in a child in a session of its own, with the standard streams on
/// `/dev/null`; the parent exits with 0. Must be called while the process has one thread.
pub(crate) fn daemonize() -> io::Result<()> {
    // SAFETY: the process has one thread, so that the child's copy of every lock is free.
    match unsafe { libc::fork() } {
        -1 => return Err(io::Error::last_os_error()),
        0 => {}
        // SAFETY: leaves without running the handlers that belong to the child now.
        _ => unsafe { libc::_exit(0) },
    }
    // Fails only for the leader of a process group, which a forked child is not.
    let _ = rustix::process::setsid();
    let null = fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
    for stream in 0..=2 {
        // SAFETY: dup2 onto the three standard descriptors, which nobody owns.
        if unsafe { libc::dup2(null.as_raw_fd(), stream) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    if null.as_raw_fd() <= 2 {
        // It became a standard stream itself (they had been closed): it must stay open.
        std::mem::forget(null);
    }
    Ok(())
}

/// Writes the process id; a file that cannot be written is not an error, as in Redis.
pub(crate) fn write_pid_file(path: &Path) {
    if let Err(error) = fs::write(path, format!("{}\n", std::process::id())) {
        tracing::debug!("Cannot write the pid file {}: {error}", path.display());
    }
}

/// Who watches over this process, as `supervised` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Supervisor {
    /// Nobody.
    None,
    /// systemd, told through `$NOTIFY_SOCKET`.
    Systemd,
    /// upstart, told by stopping.
    Upstart,
}

impl Supervisor {
    /// From the directive's value; `auto` asks the environment.
    pub(crate) fn from_directive(value: Supervised) -> Supervisor {
        match value {
            Supervised::Systemd => Supervisor::Systemd,
            Supervised::Upstart => Supervisor::Upstart,
            Supervised::Auto if std::env::var_os("UPSTART_JOB").is_some() => Supervisor::Upstart,
            Supervised::Auto if std::env::var_os("NOTIFY_SOCKET").is_some() => Supervisor::Systemd,
            Supervised::Auto | Supervised::No => Supervisor::None,
        }
    }

    /// Tells the supervisor that start-up is over.
    pub(crate) fn notify_ready(self) {
        match self {
            Supervisor::None => {}
            Supervisor::Upstart => {
                if std::env::var_os("UPSTART_JOB").is_none() {
                    tracing::warn!("upstart supervision requested, but UPSTART_JOB not found");
                    return;
                }
                tracing::info!("supervised by upstart, will stop to signal readiness");
                // SAFETY: stops this process until upstart continues it.
                unsafe { libc::raise(libc::SIGSTOP) };
            }
            Supervisor::Systemd => {
                let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else {
                    tracing::warn!("systemd supervision requested, but NOTIFY_SOCKET not found");
                    return;
                };
                tracing::info!("supervised by systemd, will signal readiness");
                if let Err(error) = notify_systemd(&socket.to_string_lossy()) {
                    tracing::warn!("Can't send notification to systemd: {error}");
                }
            }
        }
    }
}

fn notify_systemd(socket: &str) -> io::Result<()> {
    let address = match socket.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?.send_to_addr(b"READY=1\nSTATUS=Ready to accept connections\n", &address)?;
    Ok(())
}
