//! Scripts: what clients do, as text that people read, review and replay.
//!
//! ```text
//! # comments and empty lines are kept apart from the steps
//! @seed 0x2a                      the embedded engine's random seed
//! @config appendonly yes          a directive: before the first command for the embedded engine, CONFIG SET elsewhere
//! @chunked 7                      requests are cut into pieces at places drawn from this seed
//! 1> SET "k 1" \x00               client 1 sends a command; redis-cli's quoting
//! 2>> GET k                       the same, without waiting for the answer: the next step of this client is pipelined
//! 1~> GET k                       the same as an inline request
//! +120ms                          time passes
//! @reload                         DEBUG RELOAD: the dataset goes through an RDB file
//! @replay                         DEBUG LOADAOF: the dataset goes through the AOF
//! @close 2                        client 2 closes its connection
//! @cut 2 17 SET k v               client 2 sends the first 17 bytes of this request, then its connection ends
//! ```
//! Clients are opened when first named, and again when named after their connection ended. What a script lets a blocked
//! client send is passed over. After a step, `= reply`
//! lines in files under `tests/scripts` hold what the embedded engine answered when the file was blessed, and
//! `= 2< message` lines what client 2 received because of the step, `= 2< (closed)` that it lost its connection.

use std::fmt;

use crate::request::{Quoted, Request, split_arguments};

/// A client of a script: its number there, not the server's.
pub type Slot = u32;

/// One thing that happens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// A client sends a command.
    Command {
        /// Who.
        client: Slot,
        /// What.
        request: Request,
        /// Sent together with this client's next step: its answer is not awaited first.
        pipelined: bool,
        /// Sent as one line of words instead of an array of bulk strings.
        inline: bool,
    },
    /// Time passes, in milliseconds.
    Pass(u64),
    /// The dataset goes through an RDB file and back.
    Reload,
    /// The dataset goes through the AOF and back.
    Replay,
    /// A client closes its connection.
    Close(Slot),
    /// A client's connection ends within a request.
    Cut {
        /// Whose.
        client: Slot,
        /// So many bytes of the request are sent; fewer than it has.
        bytes: usize,
        /// What the client was about to send.
        request: Request,
    },
}

impl Step {
    /// A command that is answered before anything else happens.
    pub fn command(client: Slot, request: Request) -> Self {
        Self::Command { client, request, pipelined: false, inline: false }
    }
}

/// A whole script.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Script {
    /// Seed of the embedded engine's random numbers.
    pub seed: u64,
    /// Directives that differ from the defaults.
    pub config: Vec<(String, String)>,
    /// Requests are cut into pieces at places drawn from this seed.
    pub chunked: Option<u64>,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

impl Script {
    /// Number of commands among the steps.
    pub fn commands(&self) -> usize {
        self.steps.iter().filter(|step| matches!(step, Step::Command { .. })).count()
    }

    /// Ends the script with the batch of the command of that number, from 0: what came with it counts as memory in use, and
    /// so decides what is evicted.
    pub(crate) fn end_with_batch_of(&mut self, command: usize) {
        let commands = self.steps.iter().enumerate().filter(|(_, step)| matches!(step, Step::Command { .. }));
        let Some(index) = commands.map(|(index, _)| index).nth(command) else { return };
        let is_followed = |step: &&Step| matches!(step, Step::Command { pipelined: true, .. });
        let rest = self.steps.iter().skip(index).take_while(is_followed).count();
        self.steps.truncate(index + rest + 1);
        if let Some(Step::Command { pipelined, .. }) = self.steps.last_mut() {
            *pipelined = false;
        }
    }
}

/// Where a script's text is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct ScriptError {
    /// From 1.
    pub line: usize,
    /// What is wrong there.
    pub reason: String,
}

/// A step as it stands in a file: with the answers it is said to give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// Index of the step in [`Script::steps`].
    pub step: usize,
    /// Another client that receives it because of the step; none for the answer to the step itself.
    pub client: Option<Slot>,
    /// The text after `= ` and, where there is one, the client.
    pub reply: String,
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.client {
            Some(client) => write!(f, "= {client}< {}", self.reply),
            None => write!(f, "= {}", self.reply),
        }
    }
}

/// A parsed file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScriptFile {
    /// What to run.
    pub script: Script,
    /// What it should answer, where the file says so.
    pub expectations: Vec<Expectation>,
}

/// Reads a script.
pub fn parse(text: &str) -> Result<ScriptFile, ScriptError> {
    let mut file = ScriptFile::default();
    for (index, line) in text.lines().enumerate() {
        parse_line(line.trim_end_matches('\r'), &mut file).map_err(|reason| ScriptError { line: index + 1, reason })?;
    }
    Ok(file)
}

fn parse_line(line: &str, file: &mut ScriptFile) -> Result<(), String> {
    let trimmed = line.trim_start();
    if trimmed.is_empty() || trimmed.starts_with('#') {
        return Ok(());
    }
    if let Some(directive) = trimmed.strip_prefix('@') {
        return parse_directive(directive, &mut file.script);
    }
    if let Some(time) = trimmed.strip_prefix('+') {
        file.script.steps.push(Step::Pass(milliseconds(time.trim())?));
        return Ok(());
    }
    if let Some(reply) = trimmed.strip_prefix("= ") {
        let step = file.script.steps.len().checked_sub(1).ok_or("an answer before the first step")?;
        let addressed = reply.split_once("< ").and_then(|(client, text)| Some((client.parse().ok()?, text)));
        let (client, reply) = match addressed {
            Some((client, text)) => (Some(client), text),
            None => (None, reply),
        };
        file.expectations.push(Expectation { step, client, reply: reply.to_owned() });
        return Ok(());
    }
    let (client, command) = trimmed.split_once('>').ok_or("neither a command `client> …` nor a directive")?;
    let (inline, client) = match client.strip_suffix('~') {
        Some(client) => (true, client),
        None => (false, client),
    };
    let client = slot(client)?;
    let (pipelined, command) = match command.strip_prefix('>') {
        Some(command) => (true, command),
        None => (false, command),
    };
    let request = split_arguments(command).ok_or("unbalanced quotes")?;
    if request.is_empty() {
        return Err("a command without a name".to_owned());
    }
    file.script.steps.push(Step::Command { client, request, pipelined, inline });
    Ok(())
}

fn slot(text: &str) -> Result<Slot, String> {
    text.trim().parse().map_err(|_| format!("{text:?} is not a client's number"))
}

fn parse_cut(text: &str) -> Result<Step, String> {
    let mut parts = text.trim_start().splitn(3, ' ');
    let (Some(client), Some(bytes), Some(command)) = (parts.next(), parts.next(), parts.next()) else {
        return Err("@cut needs a client, a number of bytes and a command".to_owned());
    };
    let client = slot(client)?;
    let bytes = bytes.parse().map_err(|_| format!("{bytes:?} is not a number of bytes"))?;
    let request = split_arguments(command).ok_or("unbalanced quotes")?;
    if bytes >= request.encoded_len() {
        return Err("the whole request is sent, so nothing is cut".to_owned());
    }
    Ok(Step::Cut { client, bytes, request })
}

fn parse_directive(directive: &str, script: &mut Script) -> Result<(), String> {
    if let Some(cut) = directive.strip_prefix("cut ") {
        script.steps.push(parse_cut(cut)?);
        return Ok(());
    }
    let mut words = directive.split_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some("reload"), None, None) => script.steps.push(Step::Reload),
        (Some("replay"), None, None) => script.steps.push(Step::Replay),
        (Some("close"), Some(client), None) => script.steps.push(Step::Close(slot(client)?)),
        (Some("seed"), Some(seed), None) => script.seed = parse_seed(seed).ok_or("the seed is not a number")?,
        (Some("chunked"), Some(seed), None) => {
            script.chunked = Some(parse_seed(seed).ok_or("the seed is not a number")?);
        }
        (Some("config"), Some(name), Some(_)) => {
            let value = directive.trim_start_matches("config").trim_start()[name.len()..].trim();
            script.config.push((name.to_owned(), value.trim_matches('"').to_owned()));
        }
        (Some("config"), Some(name), None) => return Err(format!("{name} needs a value")),
        _ => return Err(format!("unknown directive @{directive}")),
    }
    Ok(())
}

/// A seed in decimal, or in hexadecimal after `0x`.
pub fn parse_seed(text: &str) -> Option<u64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

fn milliseconds(text: &str) -> Result<u64, String> {
    let (digits, factor) = match text.strip_suffix("ms") {
        Some(digits) => (digits, 1),
        None => (text.strip_suffix('s').ok_or("time needs a unit, ms or s")?, 1000),
    };
    let amount: u64 = digits.trim().parse().map_err(|_| format!("{digits:?} is not a whole number"))?;
    amount.checked_mul(factor).ok_or_else(|| "that is too long".to_owned())
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command { client, request, pipelined, inline } => {
                write!(f, "{client}{}>{} ", if *inline { "~" } else { "" }, if *pipelined { ">" } else { "" })?;
                write!(f, "{request}")
            }
            Self::Pass(ms) => write!(f, "+{ms}ms"),
            Self::Reload => f.write_str("@reload"),
            Self::Replay => f.write_str("@replay"),
            Self::Close(client) => write!(f, "@close {client}"),
            Self::Cut { client, bytes, request } => write!(f, "@cut {client} {bytes} {request}"),
        }
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.seed != 0 {
            writeln!(f, "@seed {:#x}", self.seed)?;
        }
        for (name, value) in &self.config {
            writeln!(f, "@config {name} {}", Quoted(value.as_bytes()))?;
        }
        if let Some(seed) = self.chunked {
            writeln!(f, "@chunked {seed:#x}")?;
        }
        for step in &self.steps {
            writeln!(f, "{step}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_script_ends_with_the_batch_of_a_command() {
        let script = |lines: &[(&str, bool)]| {
            let step = |&(word, pipelined): &(&str, bool)| match word {
                "time" => Step::Pass(1),
                word => Step::Command { client: 1, request: [word].iter().collect(), pipelined, inline: false },
            };
            Script { steps: lines.iter().map(step).collect(), ..Script::default() }
        };
        let whole = script(&[("a", true), ("b", true), ("c", false), ("time", false), ("d", false), ("e", true)]);
        let until = |command: usize| {
            let mut script = whole.clone();
            script.end_with_batch_of(command);
            script
        };
        for command in 0..3 {
            assert_eq!(until(command), script(&[("a", true), ("b", true), ("c", false)]));
        }
        assert_eq!(until(3).steps, whole.steps[..5]);
        assert_eq!(
            until(4),
            script(&[("a", true), ("b", true), ("c", false), ("time", false), ("d", false), ("e", false)])
        );
        assert_eq!(until(5), whole);
    }

    #[test]
    fn a_script_reads_as_it_was_written() {
        let all: Vec<u8> = (0..=255).collect();
        let script = Script {
            seed: 42,
            config: vec![("appendonly".into(), "yes".into())],
            chunked: Some(7),
            steps: vec![
                Step::command(1, [b"SET".as_slice(), &all, b""].into_iter().collect()),
                Step::Command {
                    client: 2,
                    request: [b"GET".as_slice(), b"#ab"].into_iter().collect(),
                    pipelined: true,
                    inline: true,
                },
                Step::Pass(120),
                Step::Reload,
                Step::Replay,
                Step::Close(2),
                Step::Cut { client: 3, bytes: 11, request: [b"GET".as_slice(), b"a b"].into_iter().collect() },
                Step::command(2, [b"=".as_slice(), b"@x"].into_iter().collect()),
            ],
        };
        let file = parse(&script.to_string()).unwrap();
        assert_eq!(file.script, script);
        assert_eq!(file.expectations, []);
    }

    #[test]
    fn comments_seconds_and_expectations_are_understood() {
        let file = parse("# why\n\n 1> PING\n= PONG\n+2s\n").unwrap();
        assert_eq!(file.script.steps.len(), 2);
        assert_eq!(file.script.steps[1], Step::Pass(2000));
        assert_eq!(file.expectations, [Expectation { step: 0, client: None, reply: "PONG".into() }]);
    }

    #[test]
    fn what_other_clients_receive_stands_with_their_numbers() {
        let line = "= 2< [\"message\", \"c\", \"a< b\"]";
        let file = parse(&format!("1> PUBLISH c \"a< b\"\n= (integer) 1\n{line}\n")).unwrap();
        assert_eq!(file.expectations[1].client, Some(2));
        assert_eq!(file.expectations[1].to_string(), line);
    }

    #[test]
    fn a_cut_leaves_something_of_the_request_unsent() {
        // `*1\r\n$4\r\nPING\r\n` has 14 bytes.
        assert!(parse("@cut 1 13 PING").is_ok());
        assert!(parse("@cut 1 14 PING").is_err());
    }

    #[test]
    fn errors_name_their_line() {
        for (text, line) in
            [("1> GET \"", 1), ("\n@fly", 2), ("\n\n+5", 3), ("x> GET", 1), ("= OK", 1), ("1>", 1), ("@cut 1 PING", 1)]
        {
            assert_eq!(parse(text).unwrap_err().line, line, "{text:?}");
        }
    }
}
