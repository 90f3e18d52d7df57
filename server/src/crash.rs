//! The last words of a server that cannot go on.
//!
//! A panic means that an invariant of the engine is broken: going on could write a damaged dataset over a good file. So
//! the panic is logged with its place and stack, and the process aborts at once: nothing is saved, files keep what was
//! appended to them, and whoever supervises the server sees a crash.

use std::backtrace::Backtrace;
use std::panic;

use tally_engine::LogLevel;

use crate::logging;

/// Makes every panic of this process a crash.
pub(crate) fn abort_on_panic() {
    panic::set_hook(Box::new(|panicked| {
        let payload = panicked.payload();
        let message = payload.downcast_ref::<&str>().copied();
        let message =
            message.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no message)");
        let place = panicked.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        report(&format!("panicked at {place}: {message}"));
        for line in Backtrace::force_capture().to_string().lines() {
            logging::line(LogLevel::Warning, line);
        }
        std::process::abort();
    }));
}

/// DEBUG SEGFAULT and its kin: the report, then the death that a real fault brings.
pub(crate) fn on_purpose(reason: &str) {
    report(reason);
    // SAFETY: delivers SIGSEGV to this process, whose handler reports it and lets the default action end it.
    unsafe { libc::raise(libc::SIGSEGV) };
    std::process::abort();
}

fn report(reason: &str) {
    let version = env!("CARGO_PKG_VERSION");
    logging::line(LogLevel::Warning, &format!("=== BUG REPORT: tally {version} ==="));
    logging::line(LogLevel::Warning, reason);
}
