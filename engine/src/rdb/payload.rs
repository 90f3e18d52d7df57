//! The payload of DUMP: one value, the version it was written in and a checksum.
//!
//! ```text
//! type  value  version(2, low first)  crc64(8, low first, over all before it)
//! ```

use super::input::{Input, Scratch};
use super::reader::{Value, read_value};
use super::value_in::Holding;
use super::writer::Writer;
use super::{RdbError, RdbErrorKind, VERSION, first_version, value_out, value_type, write_text};
use crate::crc64::crc64;
use crate::object::ObjectRef;
use crate::values::CollectionRef;

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
    close(&mut payload);
    payload
}

/// The payload of a value. [PAYLOAD-1]
pub(crate) fn payload(object: ObjectRef<'_>, compress: bool) -> Vec<u8> {
    let mut payload = value_bytes(object, compress, vec![value_out::type_of(object)]);
    close(&mut payload);
    payload
}

/// The payload of a value that lies in no keyspace. [PAYLOAD-1]
#[must_use]
pub fn collection_payload(collection: CollectionRef<'_>, compress: bool) -> Vec<u8> {
    let mut writer = Writer::bare(vec![value_out::collection_type(collection)], compress);
    let mut payload = match writer.collection(collection).and_then(|()| writer.into_sink()) {
        Ok(bytes) => bytes,
        Err(_) => unreachable!("memory takes all that is written"),
    };
    close(&mut payload);
    payload
}

/// Appends the value to `target` as a file holds it, without its type.
pub(crate) fn value_bytes(object: ObjectRef<'_>, compress: bool, target: Vec<u8>) -> Vec<u8> {
    let mut writer = Writer::bare(target, compress);
    match writer.value(object).and_then(|()| writer.into_sink()) {
        Ok(bytes) => bytes,
        Err(_) => unreachable!("memory takes all that is written"),
    }
}

/// Appends version and checksum.
fn close(payload: &mut Vec<u8>) {
    payload.extend_from_slice(&(VERSION as u16).to_le_bytes());
    let checksum = crc64(payload);
    payload.extend_from_slice(&checksum.to_le_bytes());
}

/// What a payload's value is; bytes between the value and the footer are ignored. [RESTORE-16]
///
/// `keep` gets the value, which may be borrowed from the payload. It is made with the thresholds of a new server.
pub fn read_payload<T>(payload: &[u8], keep: impl FnOnce(Value<'_>) -> T) -> Result<T, PayloadError> {
    restore(payload, &Holding::default(), keep)
}

/// As [`read_payload`], with a value made as `holding` says.
pub(crate) fn restore<T>(
    payload: &[u8],
    holding: &Holding,
    keep: impl FnOnce(Value<'_>) -> T,
) -> Result<T, PayloadError> {
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
        let name = super::opcode_name(code).filter(|_| code < super::opcode::FIRST);
        let name = name.ok_or_else(|| input.error(0, RdbErrorKind::UnknownOpcode(code)))?;
        if first_version(code) > VERSION {
            return Err(input.error(0, RdbErrorKind::NotHeld(name)));
        }
        let mut scratch = Scratch::default();
        match read_value(code, &mut input, &mut scratch, holding)? {
            Value::Module(_) => Err(RdbError { offset: 0, opcode: Some(code), kind: RdbErrorKind::NotHeld(name) }),
            Value::Collection(collection) if collection.view().is_void() => {
                Err(RdbError { offset: 0, opcode: Some(code), kind: RdbErrorKind::Empty })
            }
            value => Ok(keep(value)),
        }
    })();
    read.map_err(PayloadError::Value)
}
