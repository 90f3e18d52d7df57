//! Records out of a file.
//!
//! A `Reader` is pulled: each `next` reads exactly one record. Strings are borrowed from the source's buffer where they
//! lie in one piece. EXPIRETIME, IDLE and FREQ belong to the next key and come with it; they survive records between.

use std::borrow::Cow;
use std::io::{self, Read};

use super::input::{Input, Scratch};
use super::module;
use super::value_in::{self, Holding};
use super::{FIRST_WITH_CHECKSUM, RdbError, RdbErrorKind, first_version, opcode, opcode_name, value_type};
use crate::number::{I64_TEXT_MAX, format_i64};
use crate::values::Collection;

/// A string as the file stores it: integers keep their form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Text<'a> {
    /// One of the integer encodings.
    Integer(i32),
    /// Plain or decompressed bytes; owned when long.
    Bytes(Cow<'a, [u8]>),
}

impl<'a> Text<'a> {
    /// The bytes it stands for.
    pub fn into_bytes(self) -> Cow<'a, [u8]> {
        match self {
            Text::Integer(value) => Cow::Owned(value.to_string().into_bytes()),
            Text::Bytes(bytes) => bytes,
        }
    }

    /// The bytes it stands for; an integer's text is written into `digits`.
    pub(crate) fn bytes<'b>(&'b self, digits: &'b mut [u8; I64_TEXT_MAX]) -> &'b [u8] {
        match self {
            Text::Integer(value) => format_i64(i64::from(*value), digits),
            Text::Bytes(bytes) => bytes,
        }
    }

    /// Replaces the content of `target` by the bytes it stands for.
    fn store(self, target: &mut Vec<u8>) {
        match self {
            Text::Bytes(Cow::Owned(bytes)) => *target = bytes,
            other => {
                target.clear();
                target.extend_from_slice(&other.into_bytes());
            }
        }
    }
}

/// The value of a key.
#[derive(Debug)]
pub enum Value<'a> {
    /// A string.
    String(Text<'a>),
    /// Another value that the engine holds.
    Collection(Collection),
    /// A module's value, walked over: the name of its type.
    Module(String),
}

/// One key and what belongs to it.
#[derive(Debug)]
pub struct Entry<'a> {
    /// The key's name.
    pub key: &'a [u8],
    /// Where its type byte stands.
    pub offset: u64,
    /// Its value type's number.
    pub value_type: u8,
    /// When it expires, Unix milliseconds.
    pub expires_at_ms: Option<i64>,
    /// Seconds since it was used.
    pub idle_seconds: Option<u64>,
    /// Its LFU counter.
    pub frequency: Option<u8>,
    /// Its value.
    pub value: Value<'a>,
}

/// How a file ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// The version has none.
    Absent,
    /// Stored as 0: switched off by the writer.
    Unused,
    /// Stored, and equal to what was read.
    Valid(u64),
}

/// One record.
#[derive(Debug)]
pub enum Record<'a> {
    /// A fact about the file.
    Aux {
        /// Its name.
        name: &'a [u8],
        /// What is said.
        text: &'a [u8],
    },
    /// The database of the keys after it.
    SelectDb(u64),
    /// The size of the database, a hint.
    ResizeDb {
        /// Keys.
        keys: u64,
        /// Keys that expire.
        expires: u64,
    },
    /// The size of a cluster slot, a hint.
    SlotInfo {
        /// Slot number.
        slot: u64,
        /// Keys.
        keys: u64,
        /// Keys that expire.
        expires: u64,
    },
    /// A module's data outside keys, skipped.
    ModuleAux {
        /// The module type's name.
        module: String,
        /// Before (1) or after (2) the keys.
        when: u64,
    },
    /// A library of functions.
    Function(&'a [u8]),
    /// A key.
    Entry(Entry<'a>),
    /// The end of the file.
    End(Checksum),
}

/// How often each form of a string was met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forms {
    /// Length and bytes.
    pub raw: u64,
    /// An integer of one byte.
    pub int8: u64,
    /// An integer of two bytes.
    pub int16: u64,
    /// An integer of four bytes.
    pub int32: u64,
    /// Compressed.
    pub lzf: u64,
}

/// What came before a key and belongs to it.
#[derive(Default)]
struct Attributes {
    expires_at_ms: Option<i64>,
    idle_seconds: Option<u64>,
    frequency: Option<u8>,
}

/// Reads records one by one.
pub struct Reader<R> {
    input: Input<R>,
    version: u32,
    attributes: Attributes,
    /// How values are made; as a new server makes them where nothing else was said.
    holding: Option<Holding>,
    name: Vec<u8>,
    scratch: Scratch,
    /// How often each opcode and value type was met, when that was asked for.
    codes: Option<Box<[u64; 256]>>,
    /// Whether a wrong checksum is an error (`rdbchecksum`).
    verify: bool,
    ended: bool,
}

impl<R: Read> Reader<R> {
    /// Reads the header; versions beyond `newest` are refused.
    pub fn new(source: R, newest: u32) -> Result<Self, RdbError> {
        let mut input = Input::new(source, 0);
        let magic: [u8; 5] = input.array()?;
        if &magic != b"REDIS" {
            return Err(input.error(0, RdbErrorKind::Magic));
        }
        let text: [u8; 4] = input.array()?;
        if !text.iter().all(u8::is_ascii_digit) {
            return Err(input.error(5, RdbErrorKind::VersionText(text)));
        }
        let version = text.iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
        if version == 0 || version > newest {
            return Err(input.error(5, RdbErrorKind::Version { found: version, newest }));
        }
        if version < FIRST_WITH_CHECKSUM {
            input.forget_checksum();
        }
        Ok(Self {
            input,
            version,
            attributes: Attributes::default(),
            holding: None,
            name: Vec::new(),
            scratch: Scratch::default(),
            codes: None,
            verify: true,
            ended: false,
        })
    }

    /// Reads on whatever the checksum says (`rdbchecksum no`).
    pub fn without_verification(mut self) -> Self {
        self.verify = false;
        self.input.forget_checksum();
        self
    }

    /// Makes the values that are read as `holding` says.
    pub(crate) fn holding(mut self, holding: Holding) -> Self {
        self.holding = Some(holding);
        self
    }

    /// The file's version.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Bytes read so far.
    pub fn offset(&self) -> u64 {
        self.input.offset()
    }

    /// Counts opcodes and value types, for [`Reader::codes`].
    #[must_use]
    pub fn counting(mut self) -> Self {
        self.codes = Some(Box::new([0; 256]));
        self
    }

    /// How often each opcode and value type was met so far; nothing unless it is [`Reader::counting`].
    pub fn codes(&self) -> impl Iterator<Item = (u8, u64)> {
        let codes = self.codes.iter().flat_map(|codes| (0..=u8::MAX).zip(codes.iter().copied()));
        codes.filter(|(_, count)| *count > 0)
    }

    /// How often each form of a string was met so far.
    pub fn forms(&self) -> Forms {
        self.input.forms
    }

    /// What follows the last record: the rest of a file after its preamble.
    pub fn into_rest(self) -> io::Chain<io::Cursor<Vec<u8>>, R> {
        self.input.into_source()
    }

    /// The next record; `None` after [`Record::End`].
    pub fn read(&mut self) -> Result<Option<Record<'_>>, RdbError> {
        if self.ended {
            return Ok(None);
        }
        loop {
            self.input.opcode = None;
            let offset = self.input.offset();
            let code = self.input.byte()?;
            self.input.opcode = Some(code);
            if let Some(codes) = &mut self.codes {
                codes[usize::from(code)] += 1;
            }
            if first_version(code) > self.version {
                return Err(self.input.error(offset, RdbErrorKind::UnknownOpcode(code)));
            }
            match code {
                opcode::EXPIRETIME => {
                    let seconds = i32::from_le_bytes(self.input.array()?);
                    self.attributes.expires_at_ms = Some(i64::from(seconds) * 1000);
                }
                opcode::EXPIRETIME_MS => {
                    self.attributes.expires_at_ms = Some(i64::from_le_bytes(self.input.array()?));
                }
                opcode::IDLE => self.attributes.idle_seconds = Some(self.input.number()?),
                opcode::FREQ => self.attributes.frequency = Some(self.input.byte()?),
                opcode::EOF => return Ok(Some(Record::End(self.end()?))),
                code if code < opcode::FIRST => return self.entry(code, offset).map(Some),
                code => return self.other_record(code, offset).map(Some),
            }
        }
    }

    fn other_record(&mut self, code: u8, offset: u64) -> Result<Record<'_>, RdbError> {
        let Self { input, name, scratch, .. } = self;
        Ok(match code {
            opcode::AUX => {
                input.text(scratch)?.store(name);
                // The text's own room is a second one, because the name still lives in the first.
                let text = input.text(scratch)?;
                let split = name.len();
                match text {
                    Text::Integer(value) => name.extend_from_slice(value.to_string().as_bytes()),
                    Text::Bytes(bytes) => name.extend_from_slice(&bytes),
                }
                let (name, text) = name.split_at(split);
                Record::Aux { name, text }
            }
            opcode::SELECTDB => Record::SelectDb(input.number()?),
            opcode::RESIZEDB => Record::ResizeDb { keys: input.number()?, expires: input.number()? },
            opcode::SLOT_INFO => {
                Record::SlotInfo { slot: input.number()?, keys: input.number()?, expires: input.number()? }
            }
            opcode::MODULE_AUX => {
                let name = module::type_name(input.number()?);
                // Two fields of the module format: the word "unsigned integer" and the number.
                let field = input.offset();
                let kind = input.number()?;
                if kind != module::UNSIGNED {
                    return Err(input.error(field, RdbErrorKind::ModuleField(kind)));
                }
                let when = input.number()?;
                module::skip_fields(input, scratch)?;
                Record::ModuleAux { module: name, when }
            }
            opcode::FUNCTION2 => {
                input.text(scratch)?.store(name);
                Record::Function(name)
            }
            _ => return Err(input.error(offset, RdbErrorKind::UnknownOpcode(code))),
        })
    }

    fn entry(&mut self, code: u8, offset: u64) -> Result<Record<'_>, RdbError> {
        if opcode_name(code).is_none() {
            return Err(self.input.error(offset, RdbErrorKind::UnknownOpcode(code)));
        }
        let Attributes { expires_at_ms, idle_seconds, frequency } = std::mem::take(&mut self.attributes);
        let Self { input, name, scratch, holding, .. } = self;
        input.text(scratch)?.store(name);
        let value = read_value(code, input, scratch, holding.get_or_insert_default())?;
        Ok(Record::Entry(Entry { key: name, offset, value_type: code, expires_at_ms, idle_seconds, frequency, value }))
    }

    fn end(&mut self) -> Result<Checksum, RdbError> {
        self.ended = true;
        if self.version < FIRST_WITH_CHECKSUM {
            return Ok(Checksum::Absent);
        }
        let computed = self.input.checksum();
        let offset = self.input.offset();
        let stored = u64::from_le_bytes(self.input.array()?);
        if stored == 0 || !self.verify {
            return Ok(Checksum::Unused);
        }
        if stored != computed {
            return Err(self.input.error(offset, RdbErrorKind::Checksum { stored, computed }));
        }
        Ok(Checksum::Valid(stored))
    }

    /// Whether the source holds nothing beyond what was read.
    pub fn at_end(&mut self) -> Result<bool, RdbError> {
        self.input.at_end()
    }
}

/// The value of type `code` that begins here.
pub(crate) fn read_value<'a, R: Read>(
    code: u8,
    input: &'a mut Input<R>,
    scratch: &'a mut Scratch,
    holding: &Holding,
) -> Result<Value<'a>, RdbError> {
    if code == value_type::STRING {
        return Ok(Value::String(input.text(scratch)?));
    }
    match value_in::collection(code, input, scratch, holding)? {
        Some(collection) => Ok(Value::Collection(collection)),
        None => Ok(Value::Module(module::walk(code, input, scratch)?)),
    }
}
