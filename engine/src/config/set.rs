//! CONFIG SET: one directive changed at run time.

use std::fmt;

use super::directive::{BACKLOG_MIN, HZ_LIMITS, Kind, WATCHDOG_MIN};
use super::{BufferLimit, ClientClass, Config, Directive, NotifyEvents, SavePoint};
use crate::number::parse_i64;

/// Longest `requirepass`, bytes.
const PASSWORD_MAX: usize = 512;

/// Why a directive was not set. Nothing changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetError {
    /// There is no such directive, or it cannot be set at run time.
    Unsupported,
    /// The directive does not take this value.
    Invalid,
    /// `dbfilename` names another directory.
    DbfilenameIsPath,
}

impl fmt::Display for SetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported => f.write_str("Unsupported CONFIG parameter"),
            Self::Invalid => f.write_str("Invalid argument"),
            Self::DbfilenameIsPath => f.write_str("dbfilename can't be a path, just a filename"),
        }
    }
}

impl std::error::Error for SetError {}

impl Config {
    /// Sets a directive as CONFIG SET does and returns it, so that the caller can act on the change. `dir` is only stored:
    /// changing to it is the driver's, before.
    pub fn set(&mut self, name: &[u8], value: &[u8]) -> Result<&'static Directive, SetError> {
        let directive = Directive::find(name).filter(|found| found.settable).ok_or(SetError::Unsupported)?;
        match &directive.kind {
            Kind::Text(field) => {
                check_text(directive.name, value)?;
                *(field.get_mut)(self) = value.to_vec();
            }
            Kind::Number { field, min, max } => {
                let number = parse_i64(value).filter(|n| (min..=max).contains(&n)).ok_or(SetError::Invalid)?;
                *(field.get_mut)(self) = adjusted(directive.name, number);
            }
            Kind::Size { field, min, max } => {
                let size = parse_size(value).filter(|n| (min..=max).contains(&n)).ok_or(SetError::Invalid)?;
                *(field.get_mut)(self) = adjusted_size(directive.name, size);
            }
            Kind::Switch(field) => *(field.get_mut)(self) = parse_switch(value).ok_or(SetError::Invalid)?,
            Kind::Choice { set, .. } => {
                if !set(self, value) {
                    return Err(SetError::Invalid);
                }
            }
            Kind::Save => self.save = parse_save_points(value).ok_or(SetError::Invalid)?,
            Kind::BufferLimits => {
                let limits = parse_buffer_limits(value, self.client_output_buffer_limit);
                self.client_output_buffer_limit = limits.ok_or(SetError::Invalid)?;
            }
            Kind::Events => {
                self.notify_keyspace_events =
                    NotifyEvents::parse(crate::commands::until_nul(value)).ok_or(SetError::Invalid)?;
            }
            Kind::Directory => self.dir = value.to_vec(),
            Kind::Permissions | Kind::Primary | Kind::Bind | Kind::Rename | Kind::Module | Kind::Obsolete => {
                return Err(SetError::Unsupported);
            }
        }
        Ok(directive)
    }
}

/// Limits on text that have nothing to do with its form.
pub(super) fn check_text(name: &str, value: &[u8]) -> Result<(), SetError> {
    match name {
        "dbfilename" if value.iter().any(|byte| matches!(byte, b'/' | b'\\')) => Err(SetError::DbfilenameIsPath),
        "requirepass" if value.len() > PASSWORD_MAX => Err(SetError::Invalid),
        _ => Ok(()),
    }
}

/// The nearest value that some numbers are moved to instead of being refused.
pub(super) fn adjusted(name: &str, number: i64) -> i64 {
    match name {
        "hz" => number.clamp(HZ_LIMITS.0, HZ_LIMITS.1),
        "watchdog-period" if number > 0 => number.max(WATCHDOG_MIN),
        _ => number,
    }
}

/// The same for sizes.
pub(super) fn adjusted_size(name: &str, size: u64) -> u64 {
    if name == "repl-backlog-size" { size.max(BACKLOG_MIN) } else { size }
}

/// `yes` or `no`, in any letter case.
#[must_use]
pub fn parse_switch(value: &[u8]) -> Option<bool> {
    if value.eq_ignore_ascii_case(b"yes") {
        Some(true)
    } else if value.eq_ignore_ascii_case(b"no") {
        Some(false)
    } else {
        None
    }
}

/// Bytes: decimal digits, then nothing or one of the units `b`, `k` (1000), `kb` (1024), `m`, `mb`, `g`, `gb` in any
/// letter case. No digits are 0; digits beyond [`i64::MAX`] are [`i64::MAX`].
#[must_use]
pub fn parse_size(value: &[u8]) -> Option<u64> {
    const UNITS: [(&[u8], u64); 8] = [
        (b"", 1),
        (b"b", 1),
        (b"k", 1000),
        (b"kb", 1 << 10),
        (b"m", 1_000_000),
        (b"mb", 1 << 20),
        (b"g", 1_000_000_000),
        (b"gb", 1 << 30),
    ];
    let end = value.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(value.len());
    let (digits, unit) = value.split_at(end);
    let factor = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?.1;
    let limit = i64::MAX as u64;
    let number = digits
        .iter()
        .fold(0u64, |sum, digit| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0')).min(limit));
    number.checked_mul(factor).filter(|&bytes| bytes <= limit)
}

/// `seconds changes` pairs separated by single spaces.
fn parse_save_points(value: &[u8]) -> Option<Vec<SavePoint>> {
    let numbers = words(value).iter().map(|word| parse_i64(word)).collect::<Option<Vec<_>>>()?;
    let pairs = numbers.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    pairs.map(|pair| save_point(pair[0], pair[1])).collect()
}

/// A save point with numbers that make sense.
pub(super) fn save_point(seconds: i64, changes: i64) -> Option<SavePoint> {
    (seconds >= 1 && changes >= 0).then_some(SavePoint { seconds, changes })
}

/// `class hard soft seconds` groups; classes that are not named keep their limits.
fn parse_buffer_limits(value: &[u8], old: [BufferLimit; 3]) -> Option<[BufferLimit; 3]> {
    let words = words(value);
    let groups = words.chunks_exact(4);
    if !groups.remainder().is_empty() {
        return None;
    }
    let mut limits = old;
    for group in groups {
        let (class, limit) = buffer_limit(group[0], group[1], group[2], group[3])?;
        limits[class as usize] = limit;
    }
    Some(limits)
}

/// The limits of one class.
pub(super) fn buffer_limit(
    class: &[u8],
    hard: &[u8],
    soft: &[u8],
    seconds: &[u8],
) -> Option<(ClientClass, BufferLimit)> {
    let class = ClientClass::from_name(class)?;
    let soft_seconds = parse_i64(seconds).filter(|&seconds| seconds >= 0)?;
    Some((class, BufferLimit { hard: parse_size(hard)?, soft: parse_size(soft)?, soft_seconds }))
}

/// Pieces between single spaces; an empty text has none.
fn words(value: &[u8]) -> Vec<&[u8]> {
    if value.is_empty() { Vec::new() } else { value.split(|&byte| byte == b' ').collect() }
}
