//! Commands out of an append-only file.
//!
//! Stricter than the request protocol: only multibulk requests, no empty ones, and each argument must end in CR LF.
//! What a header announces is not believed before it has come, so damage costs no memory.
//!
//! A file may end anywhere, because a crash cuts it; where it ended inside a command (or a transaction) is told apart
//! from other damage, so that the tail can be cut off.

use std::io::{self, BufRead};

use super::{AofError, AofErrorKind};
use crate::rdb;
use crate::resp::OwnedArgs;

/// Longest header line: a sign, twenty digits and the line end fit with room to spare.
const MAX_HEADER: usize = 64;
/// Most arguments of one command.
const MAX_ARGUMENTS: u64 = 1024 * 1024;
/// Longest argument: 512 MB.
const MAX_ARGUMENT: u64 = 512 * 1024 * 1024;

/// Reads commands one by one.
pub struct Reader<R> {
    source: R,
    offset: u64,
    /// Where the command that was read last begins.
    start: u64,
    argument: Vec<u8>,
}

/// How a step of reading ended when it did not fail.
enum Fetched<T> {
    Whole(T),
    /// The source ended inside.
    Cut,
}

impl<R: BufRead> Reader<R> {
    /// Reads commands from `source`, whose next byte has the given offset in the file.
    pub fn new(source: R, offset: u64) -> Self {
        Self { source, offset, start: offset, argument: Vec::new() }
    }

    /// Bytes of the file up to the end of the last command.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Where the command that was read last begins.
    pub fn start(&self) -> u64 {
        self.start
    }

    fn error(&self, kind: AofErrorKind) -> AofError {
        AofError { offset: self.start, kind }
    }

    /// Reads the next command into `command`; `false` at the end of the file.
    pub fn read(&mut self, command: &mut OwnedArgs) -> Result<bool, AofError> {
        command.clear();
        self.start = self.offset;
        if self.fill()?.is_empty() {
            return Ok(false);
        }
        match self.whole_command(command)? {
            Fetched::Whole(()) => Ok(true),
            Fetched::Cut => Err(self.error(AofErrorKind::Truncated { end: self.offset })),
        }
    }

    fn whole_command(&mut self, command: &mut OwnedArgs) -> Result<Fetched<()>, AofError> {
        let Fetched::Whole(count) = self.header(b'*', 1, MAX_ARGUMENTS)? else {
            return Ok(Fetched::Cut);
        };
        for number in 0..count {
            let Fetched::Whole(length) = self.header(b'$', 0, MAX_ARGUMENT)? else {
                return Ok(Fetched::Cut);
            };
            let mut argument = std::mem::take(&mut self.argument);
            argument.clear();
            let fetched = self.gather(length + 2, &mut argument);
            let text = argument.strip_suffix(b"\r\n");
            let outcome = match (fetched?, text) {
                (Fetched::Cut, _) => Ok(Fetched::Cut),
                (Fetched::Whole(()), Some(text)) => {
                    command.push(text);
                    Ok(Fetched::Whole(()))
                }
                (Fetched::Whole(()), None) => Err(self.error(AofErrorKind::LineEnd(number as usize))),
            };
            self.argument = argument;
            if let Fetched::Cut = outcome? {
                return Ok(Fetched::Cut);
            }
        }
        Ok(Fetched::Whole(()))
    }

    /// A line of a prefix and a number between `least` and `most`.
    fn header(&mut self, prefix: u8, least: u64, most: u64) -> Result<Fetched<u64>, AofError> {
        let mut line = Vec::new();
        loop {
            let Some(&byte) = self.fill()?.first() else {
                return Ok(Fetched::Cut);
            };
            if line.is_empty() && byte != prefix {
                return Err(self.error(AofErrorKind::Prefix { expected: prefix, found: byte }));
            }
            self.take(1);
            line.push(byte);
            if byte == b'\n' || line.len() > MAX_HEADER {
                break;
            }
        }
        let number = line[1..]
            .strip_suffix(b"\r\n")
            .filter(|digits| !digits.is_empty() && digits.len() < 20 && digits.iter().all(u8::is_ascii_digit));
        let number = number.map(|digits| digits.iter().fold(0, |sum: u64, digit| sum * 10 + u64::from(digit - b'0')));
        match number.filter(|number| (least..=most).contains(number)) {
            Some(number) => Ok(Fetched::Whole(number)),
            None => Err(self.error(AofErrorKind::Number(line.trim_ascii_end().escape_ascii().to_string()))),
        }
    }

    fn gather(&mut self, length: u64, target: &mut Vec<u8>) -> Result<Fetched<()>, AofError> {
        let mut left = length;
        while left > 0 {
            let chunk = self.fill()?;
            let step = usize::try_from(left).map_or(chunk.len(), |left| left.min(chunk.len()));
            if step == 0 {
                return Ok(Fetched::Cut);
            }
            target.extend_from_slice(&chunk[..step]);
            self.take(step);
            left -= step as u64;
        }
        Ok(Fetched::Whole(()))
    }

    fn fill(&mut self) -> Result<&[u8], AofError> {
        let offset = self.start;
        loop {
            // Asked twice because a borrow returned from inside a loop would last for all its rounds.
            match self.source.fill_buf() {
                Ok(_) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(AofError { offset, kind: AofErrorKind::Io(error.kind()) }),
            }
        }
        self.source.fill_buf().map_err(|error| AofError { offset, kind: AofErrorKind::Io(error.kind()) })
    }

    fn take(&mut self, bytes: usize) {
        self.source.consume(bytes);
        self.offset += bytes as u64;
    }
}

/// Where transactions of a file begin and end.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Transactions {
    /// Where the open one begins.
    open: Option<u64>,
}

/// What a command is to the transactions around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It runs by itself.
    Alone,
    /// It opens a transaction, or waits in one for its EXEC.
    Queued,
    /// It runs what the transaction gathered.
    Exec,
    /// It drops what the transaction gathered.
    Discard,
}

impl Transactions {
    /// Takes in a command named `name` at `start`.
    pub(crate) fn step(&mut self, name: &[u8], start: u64) -> Result<Role, AofErrorKind> {
        if name.eq_ignore_ascii_case(b"multi") {
            if self.open.replace(start).is_some() {
                return Err(AofErrorKind::Transaction("MULTI"));
            }
            return Ok(Role::Queued);
        }
        for (word, role) in [("EXEC", Role::Exec), ("DISCARD", Role::Discard)] {
            if name.eq_ignore_ascii_case(word.as_bytes()) {
                return self.open.take().map(|_| role).ok_or(AofErrorKind::Transaction(word));
            }
        }
        Ok(if self.open.is_some() { Role::Queued } else { Role::Alone })
    }

    /// Where the open transaction begins.
    pub(crate) fn open(&self) -> Option<u64> {
        self.open
    }
}

/// What a walk over a whole file found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// Keys in the preamble, if there is one.
    pub preamble_keys: Option<u64>,
    /// Whole commands, those of a transaction without EXEC left out.
    pub commands: u64,
    /// Bytes up to the end of the last whole command or transaction.
    pub whole_until: u64,
    /// Why it goes no further, if it does not end there.
    pub damage: Option<AofError>,
}

/// Walks over a file; `each` sees every whole command with its offset.
pub fn scan<R: BufRead>(mut source: R, mut each: impl FnMut(u64, &OwnedArgs)) -> Scan {
    let mut found = Scan { preamble_keys: None, commands: 0, whole_until: 0, damage: None };
    let fail = |mut found: Scan, error: AofError| {
        found.damage = Some(error);
        found
    };
    let begins = match source.fill_buf() {
        Ok(bytes) => bytes.first().copied(),
        Err(error) => return fail(found, AofError { offset: 0, kind: AofErrorKind::Io(error.kind()) }),
    };
    let mut reader = if begins == Some(b'R') {
        match skip_preamble(source) {
            Ok((source, offset, keys)) => {
                found.preamble_keys = Some(keys);
                found.whole_until = offset;
                Reader::new(source, offset)
            }
            Err(error) => {
                let offset = error.offset;
                return fail(found, AofError { offset, kind: AofErrorKind::Preamble(error) });
            }
        }
    } else {
        Reader::new(source, 0)
    };
    let mut transactions = Transactions::default();
    let mut command = OwnedArgs::default();
    let mut queued = 0;
    loop {
        match reader.read(&mut command) {
            Ok(true) => {}
            Ok(false) => {
                let end = reader.offset();
                return match transactions.open() {
                    None => found,
                    Some(offset) => fail(found, AofError { offset, kind: AofErrorKind::Truncated { end } }),
                };
            }
            Err(error) => return fail(found, error),
        }
        let start = reader.start();
        match transactions.step(&command.as_args()[0], start) {
            Err(kind) => return fail(found, AofError { offset: start, kind }),
            Ok(Role::Queued) => queued += 1,
            Ok(_) => {
                found.commands += queued + 1;
                queued = 0;
                found.whole_until = reader.offset();
            }
        }
        each(start, &command);
    }
}

fn skip_preamble<R: BufRead>(source: R) -> Result<(R, u64, u64), rdb::RdbError> {
    let mut reader = rdb::Reader::new(source, rdb::NEWEST_READABLE)?;
    let mut keys = 0;
    while let Some(record) = reader.read()? {
        keys += u64::from(matches!(record, rdb::Record::Entry(_)));
    }
    let offset = reader.offset();
    Ok((reader.into_source()?, offset, keys))
}
