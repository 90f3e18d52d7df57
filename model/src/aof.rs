//! AOF files, naively: an optional RDB preamble, then commands as multibulk requests.

use std::fmt;

use crate::rdb;
use crate::reply::Bytes;

/// A file as far as it is whole.
#[derive(Clone, Debug, PartialEq)]
pub struct AofFile {
    /// The RDB file at its beginning, if it has one. [AOF-3]
    pub preamble: Option<rdb::File>,
    /// The commands, each with the offset of its first byte. [AOF-1]
    pub commands: Vec<(usize, Vec<Bytes>)>,
    /// How many bytes are whole; loading cuts the file here.
    pub whole: usize,
    /// How it ends.
    pub end: AofEnd,
}

/// How a file ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AofEnd {
    /// After a command.
    Whole,
    /// Within a command. [AOF-6]
    WithinCommand,
    /// Within a transaction, whose commands are left out. [AOF-7]
    WithinTransaction,
}

/// Damage that is more than a missing end. [AOF-8]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AofError {
    /// Where the damaged command begins, or where the preamble is damaged.
    pub offset: usize,
    /// What is wrong.
    pub kind: AofErrorKind,
}

/// What can be wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AofErrorKind {
    /// The preamble.
    Preamble(rdb::RdbErrorKind),
    /// Not `*`, a count above 0 and CR LF.
    Count,
    /// Not `$`, a length and CR LF.
    Length,
    /// No CR LF behind an argument.
    ArgumentEnd,
}

impl fmt::Display for AofError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "offset {}: ", self.offset)?;
        match &self.kind {
            AofErrorKind::Preamble(kind) => write!(f, "{kind}"),
            AofErrorKind::Count => f.write_str("a command has to begin with `*`, a count and CR LF"),
            AofErrorKind::Length => f.write_str("an argument has to begin with `$`, a length and CR LF"),
            AofErrorKind::ArgumentEnd => f.write_str("CR LF has to follow an argument"),
        }
    }
}

impl std::error::Error for AofError {}

/// What reading one piece of a file came to, if not the piece.
enum Stop {
    /// The file ends here, so far without damage.
    End,
    Damage(AofErrorKind),
}

/// Reads a file to its end or to the first damage.
pub fn file(bytes: &[u8]) -> Result<AofFile, AofError> {
    let mut at = 0;
    let mut preamble = None;
    if bytes.starts_with(b"REDIS") {
        let read = rdb::file(bytes)
            .map_err(|error| AofError { offset: error.offset, kind: AofErrorKind::Preamble(error.kind) })?;
        at = read.length;
        preamble = Some(read);
    }
    let mut commands = Vec::new();
    let mut transaction: Option<(usize, usize)> = None;
    let mut end = AofEnd::Whole;
    while at < bytes.len() {
        match command(bytes, at) {
            Ok((arguments, next)) => {
                let is = |name: &str| arguments[0].eq_ignore_ascii_case(name.as_bytes());
                if is("MULTI") && transaction.is_none() {
                    transaction = Some((at, commands.len()));
                } else if is("EXEC") {
                    transaction = None;
                }
                commands.push((at, arguments));
                at = next;
            }
            Err(Stop::End) => {
                end = AofEnd::WithinCommand;
                break;
            }
            Err(Stop::Damage(kind)) => return Err(AofError { offset: at, kind }),
        }
    }
    let mut whole = at;
    if let Some((began, commands_before)) = transaction {
        whole = began;
        commands.truncate(commands_before);
        end = AofEnd::WithinTransaction;
    }
    Ok(AofFile { preamble, commands, whole, end })
}

/// The command at an offset, and where the next one begins.
fn command(bytes: &[u8], start: usize) -> Result<(Vec<Bytes>, usize), Stop> {
    let (count, mut at) = line(bytes, start, b'*', AofErrorKind::Count)?;
    if count == 0 {
        return Err(Stop::Damage(AofErrorKind::Count));
    }
    let mut arguments = Vec::new();
    for _ in 0..count {
        let (length, content) = line(bytes, at, b'$', AofErrorKind::Length)?;
        let Some(end) = usize::try_from(length).ok().and_then(|length| content.checked_add(length)) else {
            return Err(Stop::End);
        };
        let Some(argument) = bytes.get(content..end) else { return Err(Stop::End) };
        match bytes[end..] {
            [b'\r', b'\n', ..] => {}
            [] | [b'\r'] => return Err(Stop::End),
            _ => return Err(Stop::Damage(AofErrorKind::ArgumentEnd)),
        }
        arguments.push(argument.to_vec());
        at = end + 2;
    }
    Ok((arguments, at))
}

/// A sign, decimal digits and CR LF: the number, and where the next byte stands.
fn line(bytes: &[u8], start: usize, sign: u8, wrong: AofErrorKind) -> Result<(u64, usize), Stop> {
    match bytes.get(start) {
        None => return Err(Stop::End),
        Some(&byte) if byte != sign => return Err(Stop::Damage(wrong)),
        Some(_) => {}
    }
    let mut at = start + 1;
    let mut number: u64 = 0;
    while let Some(digit @ b'0'..=b'9') = bytes.get(at) {
        let next = number.checked_mul(10).and_then(|number| number.checked_add(u64::from(digit - b'0')));
        let Some(next) = next else { return Err(Stop::Damage(wrong)) };
        number = next;
        at += 1;
    }
    let digits = at - start - 1;
    match bytes[at..] {
        [b'\r', b'\n', ..] if digits > 0 => Ok((number, at + 2)),
        [] => Err(Stop::End),
        [b'\r'] if digits > 0 => Err(Stop::End),
        _ => Err(Stop::Damage(wrong)),
    }
}

/// Writes a command as it stands in a file. [AOF-1]
pub fn write_command(arguments: &[Bytes]) -> Bytes {
    let mut bytes = format!("*{}\r\n", arguments.len()).into_bytes();
    for argument in arguments {
        bytes.extend(format!("${}\r\n", argument.len()).into_bytes());
        bytes.extend(argument);
        bytes.extend(b"\r\n");
    }
    bytes
}
