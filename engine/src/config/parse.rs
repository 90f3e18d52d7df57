//! redis.conf and the command line.
//!
//! A file is lines; a line is empty, a comment (`#`), or a directive and its arguments, quoted as in [`super::quote`].
//! Options of the command line are turned into such lines and follow the file's. Numbers are read strictly: Redis takes
//! what begins like a number, or 0, and goes on; here such a line is an error.

use std::fmt;

use super::directive::Kind;
use super::set::{adjusted, adjusted_size, buffer_limit, check_text, parse_size, parse_switch, save_point};
use super::{BufferLimit, Config, Directive, NotifyEvents, SetError, quote};
use crate::number::parse_i64;

/// Most addresses that `bind` takes.
const BIND_MAX: usize = 16;

/// Reads the file that an `include` line names, or says why it cannot.
pub type Include<'a> = dyn FnMut(&[u8]) -> Result<Vec<u8>, String> + 'a;

/// A line that is wrong, shown as Redis shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Number of the line, from 1.
    pub line: usize,
    /// The line, trimmed.
    pub text: Vec<u8>,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f)?;
        writeln!(f, "*** FATAL CONFIG FILE ERROR ***")?;
        writeln!(f, "Reading the configuration file, at line {}", self.line)?;
        writeln!(f, ">>> '{}'", String::from_utf8_lossy(&self.text))?;
        write!(f, "{}", self.reason)
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Reads a configuration file that includes no other.
    pub fn parse(text: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        config.apply(text.as_ref(), &mut |path| {
            Err(format!("can't open config file '{}'", String::from_utf8_lossy(path)))
        })?;
        Ok(config)
    }

    /// Applies the lines of a text in order. `include` reads the files that are included.
    pub fn apply(&mut self, text: &[u8], include: &mut Include<'_>) -> Result<(), ConfigError> {
        self.apply_nested(text, include, 0)
    }

    fn apply_nested(&mut self, text: &[u8], include: &mut Include<'_>, depth: usize) -> Result<(), ConfigError> {
        /// Deeper nesting is taken for a file that includes itself.
        const INCLUDE_DEPTH_MAX: usize = 64;

        for (index, line) in text.split(|&byte| byte == b'\n').enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() || line[0] == b'#' {
                continue;
            }
            let fail = |reason: String| ConfigError { line: index + 1, text: line.to_vec(), reason };
            let words = quote::split(line).ok_or_else(|| fail("Unbalanced quotes in configuration line".into()))?;
            let Some((name, arguments)) = words.split_first() else { continue };
            if name.eq_ignore_ascii_case(b"include") && arguments.len() == 1 {
                if depth == INCLUDE_DEPTH_MAX {
                    return Err(fail("Files include each other".into()));
                }
                let included = include(&arguments[0]).map_err(fail)?;
                self.apply_nested(&included, include, depth + 1)?;
            } else {
                self.apply_directive(name, arguments).map_err(fail)?;
            }
        }
        Ok(())
    }

    /// Applies one directive of a file.
    fn apply_directive(&mut self, name: &[u8], arguments: &[Vec<u8>]) -> Result<(), String> {
        const BAD: &str = "Bad directive or wrong number of arguments";
        if name.eq_ignore_ascii_case(b"sentinel") {
            return Err("sentinel directive while not in sentinel mode".into());
        }
        let directive = Directive::find(name).filter(|found| found.in_file).ok_or(BAD)?;
        let complaint = || complaint(directive).to_owned();
        match (&directive.kind, arguments) {
            (Kind::Text(field), [value]) => {
                check_text(directive.name, value).map_err(|error| match error {
                    SetError::DbfilenameIsPath => error.to_string(),
                    _ if directive.name == "requirepass" => "Password is longer than CONFIG_AUTHPASS_MAX_LEN".into(),
                    _ => complaint(),
                })?;
                *(field.get_mut)(self) = value.clone();
            }
            (Kind::Number { field, min, max }, [value]) => {
                // `hz` has no limits in files: every number is moved into them.
                let limits = if directive.name == "hz" { i64::MIN..=i64::MAX } else { *min..=*max };
                let number = parse_i64(value).filter(|number| limits.contains(number)).ok_or_else(complaint)?;
                *(field.get_mut)(self) = adjusted(directive.name, number);
            }
            (Kind::Size { field, .. }, [value]) => {
                let size = parse_size(value).ok_or_else(complaint)?;
                *(field.get_mut)(self) = adjusted_size(directive.name, size);
            }
            (Kind::Switch(field), [value]) => *(field.get_mut)(self) = parse_switch(value).ok_or_else(complaint)?,
            (Kind::Choice { set, .. }, [value]) => {
                if !set(self, value) {
                    return Err(complaint());
                }
            }
            (Kind::Save, [value]) if value.is_empty() => self.save.clear(),
            (Kind::Save, [seconds, changes]) => {
                let numbers = parse_i64(seconds).zip(parse_i64(changes));
                let point = numbers.and_then(|(seconds, changes)| save_point(seconds, changes));
                self.save.push(point.ok_or_else(complaint)?);
            }
            (Kind::BufferLimits, [class, hard, soft, seconds]) => {
                let (class, limit) = buffer_limit(class, hard, soft, seconds).ok_or_else(|| {
                    if super::ClientClass::from_name(class).is_none() {
                        "Unrecognized client limit class: the user specified an invalid one, or 'master' which has no \
                         buffer limits."
                            .to_owned()
                    } else {
                        complaint()
                    }
                })?;
                let slot: &mut BufferLimit = &mut self.client_output_buffer_limit[class as usize];
                *slot = limit;
            }
            (Kind::Permissions, [value]) => {
                let octal = std::str::from_utf8(value).ok().and_then(|text| i64::from_str_radix(text, 8).ok());
                self.unixsocketperm = octal.filter(|bits| (0..=0o777).contains(bits)).ok_or_else(complaint)?;
            }
            (Kind::Primary, [host, port]) => {
                let no_one = host.eq_ignore_ascii_case(b"no") && port.eq_ignore_ascii_case(b"one");
                self.replicaof = if no_one {
                    None
                } else {
                    let port =
                        parse_i64(port).filter(|port| (0..=65535).contains(port)).ok_or("Invalid master port")?;
                    Some((host.clone(), port))
                };
            }
            (Kind::Events, [letters]) => {
                self.notify_keyspace_events = NotifyEvents::parse(letters).ok_or_else(complaint)?;
            }
            (Kind::Bind, [_, ..]) => {
                if arguments.len() > BIND_MAX {
                    return Err("Too many bind addresses specified".into());
                }
                self.bind = arguments.iter().filter(|address| !address.is_empty()).cloned().collect();
            }
            (Kind::Directory, [value]) => self.dir = value.clone(),
            (Kind::Rename, [old, new]) => self.rename(old, new)?,
            (Kind::Module, [_, ..]) => self.loadmodule.push(arguments.to_vec()),
            (Kind::Obsolete, [_]) => {}
            _ => return Err(BAD.into()),
        }
        Ok(())
    }
}

/// Turns options of the command line into lines of a configuration file: each `--name` begins one, what follows are its
/// arguments. A first option without dashes is taken for an argument of nothing, which is an error when applied.
#[must_use]
pub fn lines_from_options<'a>(options: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut text = Vec::new();
    for option in options {
        if let Some(name) = option.strip_prefix(b"--") {
            text.push(b'\n');
            text.extend_from_slice(name);
        } else {
            text.push(b' ');
            quote::quote_into(&mut text, option);
        }
    }
    if !text.is_empty() {
        text.push(b'\n');
    }
    text
}

/// What Redis says of a value that a directive does not take.
fn complaint(directive: &Directive) -> &'static str {
    match &directive.kind {
        Kind::Switch(_) => return "argument must be 'yes' or 'no'",
        Kind::Choice { complaint, .. } => return complaint,
        _ => {}
    }
    match directive.renamed_to.unwrap_or(directive.name) {
        "timeout" => "Invalid timeout value",
        "tcp-keepalive" => "Invalid tcp-keepalive value",
        "tcp-backlog" => "Invalid backlog value",
        "port" | "cluster-announce-port" | "cluster-announce-bus-port" | "replica-announce-port" => "Invalid port",
        "databases" => "Invalid number of databases",
        "maxclients" => "Invalid max clients limit",
        "maxmemory-samples" => "maxmemory-samples must be 1 or greater",
        "lfu-log-factor" => "lfu-log-factor must be 0 or greater",
        "lfu-decay-time" => "lfu-decay-time must be 0 or greater",
        "active-defrag-threshold-lower" => "active-defrag-threshold-lower must be between 0 and 1000",
        "active-defrag-threshold-upper" => "active-defrag-threshold-upper must be between 0 and 1000",
        "active-defrag-ignore-bytes" => "active-defrag-ignore-bytes must above 0",
        "active-defrag-cycle-min" => "active-defrag-cycle-min must be between 1 and 99",
        "active-defrag-cycle-max" => "active-defrag-cycle-max must be between 1 and 99",
        "active-defrag-max-scan-fields" => "active-defrag-max-scan-fields must be positive",
        "auto-aof-rewrite-percentage" => "Invalid negative percentage for AOF auto rewrite",
        "latency-monitor-threshold" => "The latency threshold can't be negative",
        "repl-ping-replica-period" => "repl-ping-replica-period must be 1 or greater",
        "repl-timeout" => "repl-timeout must be 1 or greater",
        "repl-backlog-size" => "repl-backlog-size must be 1 or greater.",
        "repl-backlog-ttl" => "repl-backlog-ttl can't be negative ",
        "repl-diskless-sync-delay" => "repl-diskless-sync-delay can't be negative",
        "min-replicas-to-write" => "Invalid value for min-replicas-to-write.",
        "min-replicas-max-lag" => "Invalid value for min-replicas-max-lag.",
        "cluster-node-timeout" => "cluster node timeout must be 1 or greater",
        "cluster-migration-barrier" => "cluster migration barrier must zero or positive",
        "cluster-replica-validity-factor" => "cluster replica validity factor must be zero or positive",
        "save" => "Invalid save parameters",
        "client-output-buffer-limit" => "Negative number of seconds in soft limit is invalid",
        "unixsocketperm" => "Invalid socket file permissions",
        "notify-keyspace-events" => "Invalid event class character. Use 'g$lshzxeA'.",
        _ => "Invalid value",
    }
}
