//! The payload of DUMP: one value, the version it was written in and a checksum.
//!
//! ```text
//! type  value  version(2, low first)  crc64(8, low first, over all before it)
//! ```

use super::input::{Input, Scratch};
use super::reader::{Text, Value, read_value};
use super::{RdbError, RdbErrorKind, VERSION, value_type, write_text};
use crate::crc64::crc64;

/// Version and checksum.
const FOOTER: usize = 10;

/// Why a payload is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// Too short, from a newer version, or with another checksum. [RESTORE-8]
    #[error("version or checksum are wrong")]
    Footer,
    /// The value is damaged, or none that can be held. [RESTORE-9]
    #[error("bad data: {0}")]
    Value(RdbError),
}

/// The payload of a string. [PAYLOAD-1]
pub fn string_payload(bytes: &[u8], compress: bool) -> Vec<u8> {
    let mut payload = Vec::with_capacity(bytes.len().min(1 << 20) + FOOTER + 10);
    payload.push(value_type::STRING);
    write_text(bytes, compress, &mut payload);
    payload.extend_from_slice(&(VERSION as u16).to_le_bytes());
    let checksum = crc64(&payload);
    payload.extend_from_slice(&checksum.to_le_bytes());
    payload
}

/// What a payload's string is; bytes between the value and the footer are ignored. [RESTORE-16]
///
/// `keep` gets the value, which may be borrowed from the payload.
pub fn read_payload<T>(payload: &[u8], keep: impl FnOnce(Text<'_>) -> T) -> Result<T, PayloadError> {
    let (content, footer) = payload.split_last_chunk::<FOOTER>().ok_or(PayloadError::Footer)?;
    let [low, high, checksum @ ..] = footer;
    let summed = &payload[..payload.len() - checksum.len()];
    if u32::from(u16::from_le_bytes([*low, *high])) > VERSION || u64::from_le_bytes(*checksum) != crc64(summed) {
        return Err(PayloadError::Footer);
    }
    let mut input = Input::new(content, 0);
    input.forget_checksum();
    let read = (|| {
        let code = input.byte()?;
        input.opcode = Some(code);
        if code != value_type::STRING {
            let name = super::opcode_name(code).filter(|_| code < super::opcode::FIRST);
            let kind = name.map_or(RdbErrorKind::UnknownOpcode(code), RdbErrorKind::NotHeld);
            return Err(input.error(0, kind));
        }
        let mut scratch = Scratch::default();
        match read_value(code, &mut input, &mut scratch)? {
            Value::String(text) => Ok(keep(text)),
            Value::Other(_) => Err(RdbError { offset: 0, opcode: Some(code), kind: RdbErrorKind::UnknownOpcode(code) }),
        }
    })();
    read.map_err(PayloadError::Value)
}
