//! Forked children: one that writes a dump, or one that rewrites the append-only file, while the parent goes on serving.
//!
//! `fork` gives the child a frozen copy of the dataset. The child does its work, tells the parent through a pipe how
//! many bytes that were and how much memory the two no longer share, and leaves by `_exit`, so that nothing of the
//! parent (buffers, destructors, exit handlers) runs twice.
//!
//! Why no lock of another thread can hang it: only the thread that forks exists in the child, so a lock that another
//! held at that moment stays locked for ever. The process has one other thread, which syncs files; a lock of the
//! allocator is all that it could hold that the child needs, and it allocates only under the lock of its queues, which
//! the main thread holds while it forks ([`files::BackgroundSync::while_it_allocates_nothing`]). The child never takes
//! that one. The C library's own locks are handled by its `fork`, the engine has none, logging here is a raw write (see
//! [`crate::logging`]), and files and pipes are system calls.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use tally_engine::{Engine, IoFailure, LogLevel};

use crate::{files, logging, signals};

/// What a child works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// The dump.
    Snapshot,
    /// The append-only file.
    Rewrite,
}

impl Work {
    /// The name of the file that the child `pid` writes.
    fn temporary(self, pid: u32) -> String {
        match self {
            Work::Snapshot => files::temporary_dump(pid),
            Work::Rewrite => format!("temp-rewriteaof-bg-{pid}.aof"),
        }
    }
}

/// A child at work.
#[derive(Debug)]
pub(crate) struct Child {
    pid: Pid,
    report: File,
    work: Work,
    /// Microseconds that the fork took.
    pub(crate) fork_us: u64,
}

/// What became of it.
#[derive(Debug)]
pub(crate) struct ChildEnd {
    /// Bytes of its file, or why there is none.
    pub(crate) result: Result<u64, IoFailure>,
    /// Bytes that copy-on-write duplicated.
    pub(crate) copied_on_write: u64,
}

/// The child's last words: three little-endian numbers.
const REPORT: usize = 3 * 8;

impl Child {
    /// Forks a child that writes a dump. `unwanted` are descriptors (listening sockets) that it must not keep alive.
    pub(crate) fn save(
        engine: &Engine,
        destination: &Path,
        incremental_sync: bool,
        unwanted: &[BorrowedFd<'_>],
    ) -> io::Result<Child> {
        let unwanted: Vec<RawFd> = unwanted.iter().map(AsRawFd::as_raw_fd).collect();
        let server = rustix::process::getpid();
        Child::fork(Work::Snapshot, &unwanted, |_| {
            // Who lost its server may not put its dump in place: another one may have saved a newer one since. [BGSAVE-9]
            let wanted = || match rustix::process::getppid() {
                Some(parent) if parent == server => Ok(()),
                _ => Err(io::Error::from_raw_os_error(libc::ESRCH)),
            };
            files::write_dump(destination, incremental_sync, |writer| engine.snapshot(writer), wanted)
        })
    }

    /// Forks a child that does the work of `body`, which is given the path of its file and answers its length.
    pub(crate) fn fork(
        work: Work,
        unwanted: &[RawFd],
        body: impl FnOnce(&Path) -> io::Result<u64>,
    ) -> io::Result<Child> {
        let (reading, writing) = pipe_with(PipeFlags::CLOEXEC)?;
        let began = Instant::now();
        // SAFETY: the child does only what this module's header allows, and leaves by _exit.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => {
                let code = in_child(work, unwanted, body, &writing);
                // SAFETY: ends the child at once.
                unsafe { libc::_exit(code) }
            }
            pid => {
                let fork_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
                let pid = Pid::from_raw(pid).ok_or_else(|| io::Error::other("fork returned no process id"))?;
                Ok(Child { pid, report: File::from(reading), work, fork_us })
            }
        }
    }

    /// The child's process id.
    pub(crate) fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// What it works on.
    pub(crate) fn work(&self) -> Work {
        self.work
    }

    /// The path of its file while it writes.
    pub(crate) fn path(&self) -> PathBuf {
        self.work.temporary(self.pid()).into()
    }

    /// Ends it; what it had written is removed.
    pub(crate) fn stop(mut self) {
        // It may have ended by itself in the meantime.
        let _ = kill_process(self.pid, Signal::KILL);
        if self.reap(true).is_none_or(|end| end.result.is_ok()) {
            // A finished rewrite that nobody puts in place; a finished dump has its name already.
            let _ = fs::remove_file(self.path());
        }
    }

    /// What became of the child, if it ended; waits for that when `wait`.
    pub(crate) fn reap(&mut self, wait: bool) -> Option<ChildEnd> {
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
            Some(signal) => Err(IoFailure {
                // The signal that operators end children by.
                called_off: signal == Signal::USR1.as_raw(),
                ..IoFailure::new(0, format!("terminated by signal {signal}"))
            }),
            None if !complete => Err(IoFailure::new(0, "the child ended without a report")),
            None if number(0) != 0 => {
                let errno = i32::try_from(number(0)).unwrap_or(0);
                Err(files::failure(&io::Error::from_raw_os_error(errno)))
            }
            None => Ok(number(1)),
        };
        if result.is_err() {
            // Present only if the child was killed in the middle.
            let _ = fs::remove_file(self.path());
        }
        Some(ChildEnd { result, copied_on_write: number(2) })
    }
}

/// Everything the child does; returns its exit code.
fn in_child(work: Work, unwanted: &[RawFd], body: impl FnOnce(&Path) -> io::Result<u64>, report: &OwnedFd) -> i32 {
    logging::set_role(logging::Role::Child);
    signals::restore_termination_defaults();
    for descriptor in unwanted {
        // SAFETY: the parent's owners of these descriptors never run in the child, which leaves by _exit.
        unsafe { libc::close(*descriptor) };
    }
    let (done, failed, name) = match work {
        Work::Snapshot => ("DB saved on disk", "Write error saving DB on disk", "RDB"),
        Work::Rewrite => {
            ("SYNC append only file rewrite performed", "Error rewriting the append only file", "AOF rewrite")
        }
    };
    let result = body(Path::new(&work.temporary(std::process::id())));
    let copied_on_write = private_dirty_bytes();
    let (errno, bytes) = match &result {
        Ok(bytes) => {
            logging::line(LogLevel::Notice, done);
            if copied_on_write > 0 {
                let megabytes = copied_on_write / (1024 * 1024);
                logging::line(LogLevel::Notice, &format!("{name}: {megabytes} MB of memory used by copy-on-write"));
            }
            (0, *bytes)
        }
        Err(error) => {
            logging::line(LogLevel::Warning, &format!("{failed}: {}", files::failure(error).text));
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
