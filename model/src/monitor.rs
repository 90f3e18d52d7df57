//! MONITOR: the lines that show each command to those who asked for them.

use std::sync::Arc;

use crate::allowed::{Allowed, Judge};
use crate::call::Call;
use crate::clause::Clause;
use crate::client::{ClientChange, ClientId};
use crate::commands::Command;
use crate::delivery::Manner;
use crate::erratum::Erratum;
use crate::model::Model;
use crate::plan::{Change, Plan, Refusal};
use crate::reply::{Bytes, Reply};
use crate::script::SCRIPTS;
use crate::span::Span;

/// [MONITOR-1] [MONITOR-8]
pub(crate) fn monitor(call: &Call<'_>) -> Result<Plan, Refusal> {
    if call.client.monitors {
        return Ok(Plan::new(Clause::MONITOR_8, Allowed::Nothing));
    }
    Ok(Plan::ok(Clause::MONITOR_1).with(Change::Client(ClientChange::Monitor)))
}

/// A line of MONITOR. [MONITOR-2]
#[derive(Debug)]
struct Line {
    db: usize,
    /// The sender's address, where it is known.
    address: Option<Bytes>,
    /// The words in quotes.
    words: String,
    span: Span,
}

impl Judge for Line {
    fn describe(&self) -> String {
        format!("the line of MONITOR [{} ADDRESS]{}", self.db, self.words)
    }

    fn judge(&self, reply: &Reply) -> Result<(), String> {
        let Reply::Status(line) = reply else { return Err("not a status".into()) };
        let line = std::str::from_utf8(line).map_err(|error| error.to_string())?;
        let (time, rest) = line.split_once(" [").ok_or("no bracket behind the time")?;
        let (seconds, micros) = time.split_once('.').ok_or("no fraction of a second")?;
        if micros.len() != 6 {
            return Err(format!("{micros} are not six decimals"));
        }
        let seconds: i64 = seconds.parse().map_err(|_| format!("{seconds} is no time"))?;
        let micros: i64 = micros.parse().map_err(|_| format!("{micros} are no microseconds"))?;
        let millis = seconds.saturating_mul(1000).saturating_add(micros / 1000);
        if millis < self.span.earliest_ms - 1 || millis > self.span.latest_ms + 1 {
            return Err(format!("{time} is not when it was executed"));
        }
        let rest = rest.strip_suffix(self.words.as_str()).ok_or("other words")?;
        let rest = rest.strip_suffix(']').ok_or("no bracket before the words")?;
        let address = rest.strip_prefix(&format!("{} ", self.db)).ok_or_else(|| format!("not database {}", self.db))?;
        match &self.address {
            Some(known)
                if (known == b"lua" || known.contains(&b':') && !known.starts_with(b"/"))
                    && address.as_bytes() != known.as_slice() =>
            {
                Err(format!("{address} is another's address"))
            }
            _ => Ok(()),
        }
    }
}

/// Whether a status looks like a line of MONITOR: a time with decimals, and a bracket. DEBUG DIGEST answers a status of digits
/// and letters alone.
pub(crate) fn is_line(status: &[u8]) -> bool {
    let end = status.iter().position(|&byte| byte == b' ').unwrap_or(0);
    let (time, rest) = status.split_at(end);
    let is_time = time.contains(&b'.') && time.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.');
    is_time && rest.starts_with(b" [")
}

/// Appends a word in double quotes. [MONITOR-3]
fn append_quoted(word: &[u8], text: &mut String) {
    text.push('"');
    for &byte in word {
        match byte {
            b'\\' | b'"' => {
                text.push('\\');
                text.push(char::from(byte));
            }
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            0x07 => text.push_str("\\a"),
            0x08 => text.push_str("\\b"),
            b' '..=b'~' => text.push(char::from(byte)),
            _ => text.push_str(&format!("\\x{byte:02x}")),
        }
    }
    text.push('"');
}

impl Model {
    /// Who is in MONITOR.
    pub(crate) fn monitors(&self) -> Vec<ClientId> {
        self.clients.iter().filter(|(_, client)| client.monitors).map(|(&id, _)| id).collect()
    }

    /// The line that shows a client's command.
    pub(crate) fn monitor_line(&self, client: ClientId, line: &[&[u8]], span: Span) -> Allowed {
        let address = self.clients.get(&client).and_then(|client| client.peer.address.clone());
        // [EVAL-26]
        let address = if client == SCRIPTS { Some(b"lua".to_vec()) } else { address };
        let mut words = String::new();
        for word in line {
            words.push(' ');
            append_quoted(word, &mut words);
        }
        Allowed::Judged(Arc::new(Line { db: self.selected_db(client), address, words, span }))
    }

    /// Shows a command that is executed, or perhaps is. [MONITOR-4] [MONITOR-5] [MONITOR-7]
    pub(crate) fn show_to_monitors(
        &mut self,
        client: ClientId,
        command: &Command,
        line: &[&[u8]],
        perhaps: bool,
        span: Span,
    ) {
        let monitors = self.monitors();
        if monitors.is_empty() {
            return;
        }
        let mut hidden = command.flags.split(' ').any(|flag| matches!(flag, "admin" | "skip_monitor"));
        // Early versions show passwords.
        let doubtful = command.name == "auth" && self.has(Erratum::E_26);
        if doubtful {
            hidden = false;
        }
        if hidden {
            return;
        }
        let shown = self.monitor_line(client, line, span);
        for monitor in monitors {
            let manner = Manner { clause: Clause::MONITOR_7, early: false, optional: doubtful || perhaps };
            self.send(monitor, manner, shown.clone());
        }
    }
}
