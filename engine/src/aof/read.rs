//! Commands out of an append-only file.
//!
//! Stricter than the request protocol: only multibulk requests, no empty ones, and each argument must end in CR LF.
//! What a header announces is not believed before it has come, so damage costs no memory.
//!
//! A file may end anywhere, because a crash cuts it; where it ended inside a command (or a transaction) is told apart
//! from other damage, so that the tail can be cut off.

use std::io::{self, BufRead, BufReader, Read};

use super::{AofError, AofErrorKind};
use crate::rdb;
use crate::resp::OwnedArgs;

/// Bytes read at once.
const BUFFER: usize = 64 * 1024;
/// So much of a wrong header is shown.
const SHOWN: usize = 32;

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
        let Fetched::Whole(count) = self.header(b'*')? else {
            return Ok(Fetched::Cut);
        };
        if count == 0 {
            return Err(self.error(AofErrorKind::Number("*0".to_owned())));
        }
        for number in 0..count {
            let Fetched::Whole(length) = self.header(b'$')? else {
                return Ok(Fetched::Cut);
            };
            let mut argument = std::mem::take(&mut self.argument);
            argument.clear();
            let fetched = self.gather(length, &mut argument);
            command.push(&argument);
            self.argument = argument;
            if let Fetched::Cut = fetched? {
                return Ok(Fetched::Cut);
            }
            for wanted in *b"\r\n" {
                match self.byte()? {
                    Fetched::Whole(byte) if byte == wanted => {}
                    Fetched::Whole(_) => return Err(self.error(AofErrorKind::LineEnd(number))),
                    Fetched::Cut => return Ok(Fetched::Cut),
                }
            }
        }
        Ok(Fetched::Whole(()))
    }

    /// A line of a prefix and a number.
    fn header(&mut self, prefix: u8) -> Result<Fetched<u64>, AofError> {
        match self.byte()? {
            Fetched::Cut => return Ok(Fetched::Cut),
            Fetched::Whole(found) if found != prefix => {
                return Err(self.error(AofErrorKind::Prefix { expected: prefix, found }));
            }
            Fetched::Whole(_) => {}
        }
        let mut text = vec![prefix];
        let mut number = None;
        loop {
            let Fetched::Whole(byte) = self.byte()? else {
                return Ok(Fetched::Cut);
            };
            let next = match (byte, number) {
                (b'0'..=b'9', _) => {
                    let digit = u64::from(byte - b'0');
                    number.unwrap_or(0u64).checked_mul(10).and_then(|tens| tens.checked_add(digit))
                }
                (b'\r', Some(number)) => match self.byte()? {
                    Fetched::Whole(b'\n') => return Ok(Fetched::Whole(number)),
                    Fetched::Whole(_) => None,
                    Fetched::Cut => return Ok(Fetched::Cut),
                },
                _ => None,
            };
            if text.len() < SHOWN {
                text.push(byte);
            }
            if next.is_none() {
                return Err(self.error(AofErrorKind::Number(text.escape_ascii().to_string())));
            }
            number = next;
        }
    }

    fn byte(&mut self) -> Result<Fetched<u8>, AofError> {
        let Some(&byte) = self.fill()?.first() else {
            return Ok(Fetched::Cut);
        };
        self.take(1);
        Ok(Fetched::Whole(byte))
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
}

impl Transactions {
    /// Takes in a command named `name` at `start`. As for a client, MULTI inside a transaction and EXEC outside do
    /// nothing.
    pub(crate) fn step(&mut self, name: &[u8], start: u64) -> Role {
        if name.eq_ignore_ascii_case(b"exec") && self.open.take().is_some() {
            return Role::Exec;
        }
        if name.eq_ignore_ascii_case(b"multi") {
            self.open.get_or_insert(start);
        }
        if self.open.is_some() { Role::Queued } else { Role::Alone }
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
pub fn scan<R: Read>(source: R, each: impl FnMut(u64, &OwnedArgs)) -> Scan {
    let mut found = Scan { preamble_keys: None, commands: 0, whole_until: 0, damage: None };
    let mut source = BufReader::with_capacity(BUFFER, source);
    match source.fill_buf().map(|bytes| bytes.first().copied()) {
        Ok(Some(b'R')) => {}
        Ok(_) => return scan_commands(Reader::new(source, 0), found, each),
        Err(error) => {
            found.damage = Some(AofError { offset: 0, kind: AofErrorKind::Io(error.kind()) });
            return found;
        }
    }
    match skip_preamble(source) {
        Ok((rest, offset, keys)) => {
            found.preamble_keys = Some(keys);
            found.whole_until = offset;
            scan_commands(Reader::new(BufReader::with_capacity(BUFFER, rest), offset), found, each)
        }
        Err(error) => {
            found.damage = Some(AofError { offset: error.offset, kind: AofErrorKind::Preamble(error) });
            found
        }
    }
}

fn scan_commands<R: BufRead>(mut reader: Reader<R>, mut found: Scan, mut each: impl FnMut(u64, &OwnedArgs)) -> Scan {
    let mut transactions = Transactions::default();
    let mut command = OwnedArgs::default();
    let mut queued = 0;
    loop {
        let cut = |offset, end| AofError { offset, kind: AofErrorKind::Truncated { end } };
        match reader.read(&mut command) {
            Ok(true) => {}
            Ok(false) => {
                found.damage = transactions.open().map(|offset| cut(offset, reader.offset()));
                return found;
            }
            Err(AofError { kind: AofErrorKind::Truncated { end }, offset }) => {
                found.damage = Some(cut(transactions.open().unwrap_or(offset), end));
                return found;
            }
            Err(error) => {
                found.damage = Some(error);
                return found;
            }
        }
        let start = reader.start();
        match transactions.step(&command.as_args()[0], start) {
            Role::Queued => queued += 1,
            Role::Alone | Role::Exec => {
                found.commands += queued + 1;
                queued = 0;
                found.whole_until = reader.offset();
            }
        }
        each(start, &command);
    }
}

fn skip_preamble<R: Read>(source: R) -> Result<(impl Read, u64, u64), rdb::RdbError> {
    let mut reader = rdb::Reader::new(source, rdb::NEWEST_READABLE)?;
    let mut keys = 0;
    while let Some(record) = reader.read()? {
        keys += u64::from(matches!(record, rdb::Record::Entry(_)));
    }
    let offset = reader.offset();
    Ok((reader.into_rest(), offset, keys))
}
