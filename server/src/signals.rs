//! Signals: a polite request to stop, crash reports, and those that are ignored.
//!
//! SIGTERM and SIGINT only set a flag, which the event loop turns into [`tally_engine::Event::Terminate`]; a second
//! SIGINT before that shutdown ended leaves at once. SIGHUP and SIGPIPE are ignored. The faults (SIGSEGV, SIGBUS,
//! SIGFPE, SIGILL) leave a report in the log and then kill the process as they would have.
//!
//! Invariant: the handlers call only async-signal-safe functions and touch only atomics.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::logging;

static REQUESTED: AtomicBool = AtomicBool::new(false);
static LOADING: AtomicBool = AtomicBool::new(false);

/// Whether SIGTERM or SIGINT came and was not withdrawn.
pub(crate) fn termination_requested() -> bool {
    REQUESTED.load(Ordering::Acquire)
}

/// The shutdown was tried and failed (the dataset could not be saved): wait for the next request.
pub(crate) fn withdraw_termination() {
    REQUESTED.store(false, Ordering::Release);
}

/// While a file is loaded at start-up there is nothing to save, so a request to stop is obeyed by the handler itself.
pub(crate) fn set_loading(loading: bool) {
    LOADING.store(loading, Ordering::Release);
}

/// Installs every handler.
pub(crate) fn install() -> io::Result<()> {
    for signal in [libc::SIGHUP, libc::SIGPIPE] {
        set(signal, libc::SIG_IGN, 0)?;
    }
    let terminate: extern "C" fn(libc::c_int) = on_termination;
    for signal in [libc::SIGTERM, libc::SIGINT] {
        // Without SA_RESTART: the wait for events must return early.
        set(signal, terminate as libc::sighandler_t, 0)?;
    }
    let fault: extern "C" fn(libc::c_int) = on_fault;
    for signal in [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL] {
        set(signal, fault as libc::sighandler_t, libc::SA_NODEFER | libc::SA_RESETHAND | libc::SA_ONSTACK)?;
    }
    Ok(())
}

/// In a forked child the requests to stop kill at once: only the parent shuts down politely.
pub(crate) fn restore_termination_defaults() {
    for signal in [libc::SIGTERM, libc::SIGINT] {
        // The child goes on without if it fails: then its parent's SIGKILL ends it.
        let _ = set(signal, libc::SIG_DFL, 0);
    }
}

fn set(signal: libc::c_int, handler: libc::sighandler_t, flags: libc::c_int) -> io::Result<()> {
    // SAFETY: a zeroed sigaction is valid and every field that matters is set; the handlers obey this module's
    // invariant.
    let result = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler;
        action.sa_flags = flags;
        libc::sigemptyset(&mut action.sa_mask);
        libc::sigaction(signal, &action, std::ptr::null_mut())
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

extern "C" fn on_termination(signal: libc::c_int) {
    if REQUESTED.load(Ordering::Acquire) && signal == libc::SIGINT {
        report(&[b"You insist... exiting now."]);
        crate::files::remove_own_temporary_dump();
        // SAFETY: _exit is async-signal-safe and does not return.
        unsafe { libc::_exit(1) };
    }
    if LOADING.load(Ordering::Acquire) {
        report(&[b"Received shutdown signal during loading, exiting now."]);
        // SAFETY: as above.
        unsafe { libc::_exit(0) };
    }
    let name: &[u8] = if signal == libc::SIGINT { b"SIGINT" } else { b"SIGTERM" };
    report(&[b"Received ", name, b" scheduling shutdown..."]);
    REQUESTED.store(true, Ordering::Release);
}

extern "C" fn on_fault(signal: libc::c_int) {
    let name: &[u8] = match signal {
        libc::SIGSEGV => b"SIGSEGV",
        libc::SIGBUS => b"SIGBUS",
        libc::SIGFPE => b"SIGFPE",
        _ => b"SIGILL",
    };
    report(&[b"=== BUG REPORT: tally ", env!("CARGO_PKG_VERSION").as_bytes(), b" crashed by signal ", name, b" ==="]);
    // SAFETY: raise is async-signal-safe; SA_RESETHAND restored the default action, which kills the process (and dumps
    // core where that is allowed).
    unsafe { libc::raise(signal) };
}

/// Writes `pid:signal-handler (unix time) text` without allocating.
fn report(parts: &[&[u8]]) {
    let mut buffer = [0_u8; 192];
    let mut used = 0;
    let mut push = |bytes: &[u8]| {
        for &byte in bytes {
            if let Some(place) = buffer.get_mut(used) {
                *place = byte;
                used += 1;
            }
        }
    };
    // SAFETY: getpid and time are async-signal-safe; time accepts a null pointer.
    let (pid, seconds) = unsafe { (libc::getpid(), libc::time(std::ptr::null_mut())) };
    push(Digits::of(u64::try_from(pid).unwrap_or(0)).as_bytes());
    push(b":signal-handler (");
    push(Digits::of(u64::try_from(seconds).unwrap_or(0)).as_bytes());
    push(b") ");
    for part in parts {
        push(part);
    }
    push(b"\n");
    logging::raw(buffer.get(..used).unwrap_or_default());
}

/// A number in decimal, on the stack.
pub(crate) struct Digits {
    buffer: [u8; 20],
    start: usize,
}

impl Digits {
    /// The decimal digits of `number`.
    pub(crate) fn of(mut number: u64) -> Digits {
        let mut buffer = [b'0'; 20];
        let mut start = buffer.len();
        for (index, place) in buffer.iter_mut().enumerate().rev() {
            // `number % 10` fits in a byte.
            *place = b'0' + (number % 10) as u8;
            number /= 10;
            start = index;
            if number == 0 {
                break;
            }
        }
        Digits { buffer, start }
    }

    /// The digits as text.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_agree_with_to_string() {
        for number in [0, 1, 9, 10, 99, 100, 12_345, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            assert_eq!(Digits::of(number).as_bytes(), number.to_string().as_bytes());
        }
    }
}
