//! The forked child that writes a dump while the parent goes on serving.
//!
//! `fork` gives the child a frozen copy of the dataset. The child takes no lock (the C library's own are handled by its
//! `fork`), writes the dump, tells the parent through a pipe how many bytes that were and how much memory the two no
//! longer share, and leaves by `_exit`, so that nothing of the parent (buffers, destructors, exit handlers) runs twice.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use tally_engine::{Engine, IoFailure, LogLevel};

use crate::{files, logging, signals};

/// A dump being written by a child.
#[derive(Debug)]
pub(crate) struct SnapshotChild {
    pid: Pid,
    report: File,
}

/// What became of it.
#[derive(Debug)]
pub(crate) struct SnapshotEnd {
    /// Bytes of the dump, or why there is none.
    pub(crate) result: Result<u64, IoFailure>,
    /// Bytes that copy-on-write duplicated.
    pub(crate) copied_on_write: u64,
}

/// The child's last words: three little-endian numbers.
const REPORT: usize = 3 * 8;

impl SnapshotChild {
    /// Forks. `unwanted` are descriptors (listening sockets) that the child must not keep alive.
    pub(crate) fn start(
        engine: &Engine,
        destination: &Path,
        incremental_sync: bool,
        unwanted: &[BorrowedFd<'_>],
    ) -> io::Result<SnapshotChild> {
        let (reading, writing) = pipe_with(PipeFlags::CLOEXEC)?;
        // SAFETY: the child calls only what this module's header allows: it allocates (safe after the C library's
        // fork), writes files and leaves by _exit.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => {
                let code = in_child(engine, destination, incremental_sync, unwanted, &writing);
                // SAFETY: ends the child at once.
                unsafe { libc::_exit(code) }
            }
            pid => {
                let pid = Pid::from_raw(pid).ok_or_else(|| io::Error::other("fork returned no process id"))?;
                Ok(SnapshotChild { pid, report: File::from(reading) })
            }
        }
    }

    /// The child's process id.
    pub(crate) fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Ends it; what it had written is removed by [`SnapshotChild::reap`].
    pub(crate) fn kill(&self) {
        // It may have ended by itself in the meantime.
        let _ = kill_process(self.pid, Signal::KILL);
    }

    /// What became of the child, if it ended; waits for that when `wait`.
    pub(crate) fn reap(&mut self, wait: bool) -> Option<SnapshotEnd> {
        let options = if wait { WaitOptions::empty() } else { WaitOptions::NOHANG };
        let status = loop {
            match waitpid(Some(self.pid), options) {
                Ok(Some((_, status))) => break Some(status),
                Ok(None) => return None,
                Err(rustix::io::Errno::INTR) => {}
                // Somebody else reaped it: its report still says how it went.
                Err(_) => break None,
            }
        };
        let mut numbers = [0_u8; REPORT];
        let complete = self.report.read_exact(&mut numbers).is_ok();
        let number = |index: usize| {
            let bytes = numbers.get(index * 8..).and_then(|rest| rest.first_chunk::<8>());
            bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
        };
        let result = match status.and_then(rustix::process::WaitStatus::terminating_signal) {
            Some(signal) => Err(IoFailure { errno: 0, text: format!("terminated by signal {signal}") }),
            None if !complete => Err(IoFailure { errno: 0, text: "the child ended without a report".to_owned() }),
            None if number(0) != 0 => {
                let errno = i32::try_from(number(0)).unwrap_or(0);
                Err(files::failure(&io::Error::from_raw_os_error(errno)))
            }
            None => Ok(number(1)),
        };
        if result.is_err() {
            // Present only if the child was killed in the middle.
            let _ = fs::remove_file(files::temporary_dump(self.pid()));
        }
        Some(SnapshotEnd { result, copied_on_write: number(2) })
    }
}

/// Everything the child does; returns its exit code.
fn in_child(
    engine: &Engine,
    destination: &Path,
    incremental_sync: bool,
    unwanted: &[BorrowedFd<'_>],
    report: &OwnedFd,
) -> i32 {
    logging::set_role(logging::Role::Child);
    signals::restore_termination_defaults();
    for descriptor in unwanted {
        // SAFETY: the parent's owners of these descriptors never run in the child, which leaves by _exit.
        unsafe { libc::close(descriptor.as_raw_fd()) };
    }
    let result = files::write_dump(destination, incremental_sync, |writer| engine.snapshot(writer));
    let copied_on_write = private_dirty_bytes();
    let (errno, bytes) = match &result {
        Ok(bytes) => {
            logging::line(LogLevel::Notice, "DB saved on disk");
            if copied_on_write > 0 {
                let megabytes = copied_on_write / (1024 * 1024);
                logging::line(LogLevel::Notice, &format!("RDB: {megabytes} MB of memory used by copy-on-write"));
            }
            (0, *bytes)
        }
        Err(error) => {
            logging::line(LogLevel::Warning, &format!("Write error saving DB on disk: {}", files::failure(error).text));
            let errno = error.raw_os_error().and_then(|errno| u64::try_from(errno).ok()).filter(|errno| *errno != 0);
            (errno.unwrap_or(libc::EIO.unsigned_abs().into()), 0)
        }
    };
    let mut numbers = Vec::with_capacity(REPORT);
    for number in [errno, bytes, copied_on_write] {
        numbers.extend_from_slice(&number.to_le_bytes());
    }
    // A parent that is gone needs no report.
    let _ = rustix::io::write(report, &numbers);
    i32::from(result.is_err())
}

/// Pages of this process that it no longer shares with its parent, in bytes.
fn private_dirty_bytes() -> u64 {
    let text = fs::read_to_string("/proc/self/smaps_rollup")
        .or_else(|_| fs::read_to_string("/proc/self/smaps"))
        .unwrap_or_default();
    let kilobytes: u64 = text
        .lines()
        .filter_map(|line| line.strip_prefix("Private_Dirty:"))
        .filter_map(|rest| rest.trim().trim_end_matches("kB").trim().parse::<u64>().ok())
        .sum();
    kilobytes * 1024
}
