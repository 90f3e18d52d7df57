//! The log: lines as Redis writes them, on standard output, in `logfile`, or to syslog.
//!
//! ```text
//!   pid:role dd Mon yyyy hh:mm:ss.mmm level message
//! ```
//! `role` is `M` (primary), `S` (replica) or `C` (a child, and the process before it is configured); `level` is `.`
//! debug, `-` verbose, `*` notice, `#` warning.
//!
//! Everything in the server logs through [`tracing`]; [`install`] makes this module the subscriber of the process.
//! The file is opened for each line, so that it can be rotated by renaming it.
//!
//! Invariant: nothing here takes a lock (the settings are atomics, the time zone is a number that the main thread
//! refreshes), so that a forked child and a panicking thread can log, whatever other threads were doing.

use std::ffi::{CStr, CString};
use std::fmt::{self, Write as _};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU8, Ordering};

use rustix::time::{ClockId, clock_gettime};
use tally_engine::LogLevel;
use tracing::field::{Field, Visit};
use tracing::span;
use tracing::{Event, Level, Metadata, Subscriber};

/// What the role character of a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A forked child, or the process while it starts.
    Child,
    /// A server that takes writes.
    Primary,
    /// A server that follows another.
    Replica,
}

static LEAST: AtomicU8 = AtomicU8::new(LogLevel::Notice as u8);
static ROLE: AtomicU8 = AtomicU8::new(b'C');
static UTC_OFFSET_SECONDS: AtomicI32 = AtomicI32::new(0);
static SYSLOG: AtomicBool = AtomicBool::new(false);
/// The log file's path; null for standard output. A replaced path is never freed: a signal handler may be reading it.
static PATH: AtomicPtr<libc::c_char> = AtomicPtr::new(ptr::null_mut());

/// Makes this module the process's `tracing` subscriber. Called once; a second call changes nothing.
pub fn install() {
    refresh_time_zone();
    // Fails only when a subscriber is set already, and then that one is wanted.
    let _ = tracing::subscriber::set_global_default(Log);
}

/// Lines below this level are dropped from now on (`loglevel`).
pub fn set_level(least: LogLevel) {
    LEAST.store(least as u8, Ordering::Relaxed);
}

/// Sets the role character of the lines that follow.
pub fn set_role(role: Role) {
    let character = match role {
        Role::Child => b'C',
        Role::Primary => b'M',
        Role::Replica => b'S',
    };
    ROLE.store(character, Ordering::Relaxed);
}

/// Appends to this file from now on (`logfile`); `None` is standard output.
pub fn set_file(path: Option<&Path>) -> std::io::Result<()> {
    let pointer = match path {
        None => ptr::null_mut(),
        Some(path) => CString::new(path.as_os_str().as_bytes())?.into_raw(),
    };
    PATH.store(pointer, Ordering::Release);
    Ok(())
}

/// Sends every line to syslog too (`syslog-enabled`), under this identity; `facility` is `user` or `local0` … `local7`.
pub fn enable_syslog(identity: &str, facility: &str) -> std::io::Result<()> {
    // openlog keeps the pointer, hence the leak; it is called once per process.
    let identity = CString::new(identity)?.into_raw();
    let facility = match facility.to_ascii_lowercase().strip_prefix("local").and_then(|digit| digit.parse::<i32>().ok())
    {
        Some(digit @ 0..=7) => libc::LOG_LOCAL0 + (digit << 3),
        _ => libc::LOG_USER,
    };
    // SAFETY: `identity` is a NUL-terminated string that is never freed.
    unsafe { libc::openlog(identity, libc::LOG_PID | libc::LOG_NDELAY | libc::LOG_NOWAIT, facility) };
    SYSLOG.store(true, Ordering::Relaxed);
    Ok(())
}

/// Whether lines go to standard output (and not to a file).
pub fn to_standard_output() -> bool {
    PATH.load(Ordering::Acquire).is_null()
}

/// Asks the C library for the offset of local time; called by the main thread now and then, because it takes a lock.
pub fn refresh_time_zone() {
    let seconds = clock_gettime(ClockId::Realtime).tv_sec;
    let mut parts = std::mem::MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: both pointers are valid for the call; a zeroed `tm` is a valid value whether or not it is filled.
    let offset = unsafe {
        libc::localtime_r(&seconds, parts.as_mut_ptr());
        parts.assume_init().tm_gmtoff
    };
    UTC_OFFSET_SECONDS.store(i32::try_from(offset).unwrap_or(0), Ordering::Relaxed);
}

/// Writes one line if its level is shown.
pub fn line(level: LogLevel, text: &str) {
    if (level as u8) < LEAST.load(Ordering::Relaxed) {
        return;
    }
    let now = clock_gettime(ClockId::Realtime);
    let local = now.tv_sec + i64::from(UTC_OFFSET_SECONDS.load(Ordering::Relaxed));
    let role = ROLE.load(Ordering::Relaxed) as char;
    let pid = std::process::id();
    let mark = match level {
        LogLevel::Debug => '.',
        LogLevel::Verbose => '-',
        LogLevel::Notice => '*',
        LogLevel::Warning => '#',
    };
    let mut out = String::with_capacity(text.len() + 48);
    // Writing into a String cannot fail.
    let _ = writeln!(out, "{pid}:{role} {}.{:03} {mark} {text}", Stamp(local), now.tv_nsec / 1_000_000);
    raw(out.as_bytes());
    if SYSLOG.load(Ordering::Relaxed) {
        syslog(level, text);
    }
}

/// Writes bytes to the log as they are (the banner, and reports of signal handlers): async-signal-safe.
pub fn raw(bytes: &[u8]) {
    let path = PATH.load(Ordering::Acquire);
    if path.is_null() {
        write_fully(std::io::stdout().as_raw_fd(), bytes);
        return;
    }
    // SAFETY: `path` came from CString::into_raw and is never freed.
    let path = unsafe { CStr::from_ptr(path) };
    // A log that cannot be written has nowhere to complain: the line is lost, as in Redis.
    // SAFETY: `path` is NUL-terminated; open, write and close are async-signal-safe.
    unsafe {
        let file = libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CREAT | libc::O_APPEND | libc::O_CLOEXEC, 0o644);
        if file >= 0 {
            write_fully(file, bytes);
            libc::close(file);
        }
    }
}

fn write_fully(descriptor: i32, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        // SAFETY: the pointer and length are those of a live slice.
        let written = unsafe { libc::write(descriptor, bytes.as_ptr().cast(), bytes.len()) };
        match usize::try_from(written) {
            Ok(written) if written > 0 => bytes = bytes.get(written..).unwrap_or_default(),
            _ => return,
        }
    }
}

fn syslog(level: LogLevel, text: &str) {
    let priority = match level {
        LogLevel::Debug => libc::LOG_DEBUG,
        LogLevel::Verbose => libc::LOG_INFO,
        LogLevel::Notice => libc::LOG_NOTICE,
        LogLevel::Warning => libc::LOG_WARNING,
    };
    if let Ok(text) = CString::new(text) {
        // SAFETY: both strings are NUL-terminated, and the format takes exactly one string.
        unsafe { libc::syslog(priority, c"%s".as_ptr(), text.as_ptr()) };
    }
}

/// Seconds since the epoch, already moved to local time, shown as `dd Mon yyyy hh:mm:ss`.
struct Stamp(i64);

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let (days, second) = (self.0.div_euclid(86_400), self.0.rem_euclid(86_400));
        let (year, month, day) = civil_date(days);
        let month = usize::try_from(month - 1).ok().and_then(|index| MONTHS.get(index)).unwrap_or(&"???");
        write!(f, "{day:02} {month} {year} {:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
    }
}

/// Year, month (1 to 12) and day of a day counted from 1 January 1970 in the Gregorian calendar.
///
/// Years are taken to begin on 1 March, so that the leap day is a year's last; 400 years have 146,097 days.
fn civil_date(days_since_epoch: i64) -> (i64, i64, i64) {
    const DAYS_FROM_MARCH_OF_YEAR_ZERO: i64 = 719_468;
    let days = days_since_epoch + DAYS_FROM_MARCH_OF_YEAR_ZERO;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// The subscriber: turns events into lines. Spans mean nothing to Redis' log and are ignored.
struct Log;

/// `tracing` has five levels and Redis four: its most talkative is our debug, and errors are warnings.
fn level_of(level: &Level) -> LogLevel {
    match *level {
        Level::TRACE => LogLevel::Debug,
        Level::DEBUG => LogLevel::Verbose,
        Level::INFO => LogLevel::Notice,
        Level::WARN | Level::ERROR => LogLevel::Warning,
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Dependencies (mio) trace too; Redis' log is about this server only. The level is asked per event, because
        // CONFIG SET loglevel must act at once and `enabled` is cached per call site.
        metadata.is_event() && metadata.target().starts_with("tally")
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &Event<'_>) {
        let level = level_of(event.metadata().level());
        if (level as u8) < LEAST.load(Ordering::Relaxed) {
            return;
        }
        let mut message = Message(String::new());
        event.record(&mut message);
        line(level, &message.0);
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// Collects an event's message, then its other fields as `name=value`.
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing into a String cannot fail.
        let _ = if field.name() == "message" {
            write!(self.0, "{value:?}")
        } else {
            write!(self.0, " {}={value:?}", field.name())
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_read_as_redis_writes_them_across_leap_years() {
        assert_eq!(Stamp(0).to_string(), "01 Jan 1970 00:00:00");
        assert_eq!(Stamp(951_782_399).to_string(), "28 Feb 2000 23:59:59");
        assert_eq!(Stamp(951_782_400).to_string(), "29 Feb 2000 00:00:00");
        assert_eq!(Stamp(1_795_375_144).to_string(), "22 Nov 2026 19:19:04");
        assert_eq!(Stamp(-1).to_string(), "31 Dec 1969 23:59:59");
    }

    #[test]
    fn dates_step_by_one_day_through_four_centuries() {
        let (mut year, mut month, mut day) = civil_date(-141_428);
        for days in -141_427..=4_671 {
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let last = match month {
                2 => 28 + i64::from(leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            (year, month, day) = match (day == last, month == 12) {
                (false, _) => (year, month, day + 1),
                (true, false) => (year, month + 1, 1),
                (true, true) => (year + 1, 1, 1),
            };
            assert_eq!(civil_date(days), (year, month, day));
        }
    }
}
