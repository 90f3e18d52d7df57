//! What commands with subcommands have in common: HELP, unknown subcommands, integers in their arguments.

use std::sync::Arc;

use crate::allowed::{Allowed, Judge};
use crate::clause::Clause;
use crate::plan::Refusal;
use crate::reply::{Bytes, Reply};

/// The refusal of a subcommand that does not exist or has another number of arguments; the advice ends the line.
pub(crate) fn unknown_subcommand(clause: Clause, name: &[u8], advice: &str) -> Refusal {
    let mut line = b"ERR Unknown subcommand or wrong number of arguments for '".to_vec();
    line.extend(one_line(name));
    line.extend(b"'. Try ");
    line.extend(advice.as_bytes());
    Refusal::with(clause, line)
}

/// An argument as an error line shows it: up to its first zero byte, CR and LF as spaces. [REPLY-4] [REPLY-5]
pub(crate) fn one_line(argument: &[u8]) -> Bytes {
    let shown = argument.iter().take_while(|&&byte| byte != 0);
    shown.map(|&byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte }).collect()
}

/// A canonical decimal integer of 64 bits.
pub(crate) fn integer(text: &[u8]) -> Option<i64> {
    let number: i64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (number.to_string().as_bytes() == text).then_some(number)
}

/// The answer to HELP. [CLIENT-28]
pub(crate) fn help(name: &'static str) -> Allowed {
    Allowed::Judged(Arc::new(Help(name)))
}

#[derive(Debug)]
struct Help(&'static str);

impl Judge for Help {
    fn describe(&self) -> String {
        format!("statuses that explain {}", self.0)
    }

    fn judge(&self, reply: &Reply) -> Result<(), String> {
        let Reply::Array(lines) = reply else { return Err("not an array".into()) };
        let Some(Reply::Status(first)) = lines.first() else { return Err("no first status".into()) };
        if !first.starts_with(self.0.as_bytes()) {
            return Err(format!("the first line does not begin with {}", self.0));
        }
        let all = lines.iter().all(|line| matches!(line, Reply::Status(_)));
        if all { Ok(()) } else { Err("a line is no status".into()) }
    }
}
