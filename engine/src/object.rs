//! Values as commands see them: type, encoding, and the string inside.
//!
//! The value lives in its key's entry ([`crate::structures::key_entry`]); what is here are views of it.

use std::borrow::Cow;

use crate::commands::Refusal;
use crate::number::{I64_TEXT_MAX, format_i64, i64_text_len, parse_i64};
use crate::structures::key_entry::{EMBSTR_MAX, Form, Payload, SHARED_INTEGERS, Stored};
use crate::structures::key_table::{KeyMut, KeyRef, RawMut};
use crate::values::{CollectionMut, CollectionRef, Guard, Hash, List, Set, Stream, Zset};
pub(crate) use crate::values::{Encoding, Type};

/// OBJECT REFCOUNT of a shared integer.
const SHARED_REFCOUNT: i64 = 2_147_483_647;
/// Longest text that is tried as an integer, bytes.
const INTEGER_TEXT_MAX: usize = 20;

/// A string to store.
#[derive(Debug)]
pub(crate) enum NewString<'a> {
    /// Becomes int, embstr or raw, whichever is the smallest that holds it.
    Bytes(&'a [u8]),
    /// Becomes int.
    Int(i64),
    /// As `Bytes`; a long one is not copied.
    Owned(Vec<u8>),
    /// Becomes embstr or raw by its length, even if it is the text of an integer.
    Text(&'a [u8]),
    /// Becomes raw, whatever it holds.
    RawOwned(Vec<u8>),
}

impl<'a> NewString<'a> {
    /// Chooses the encoding; `share`: small integers are shared.
    pub(crate) fn payload(self, share: bool) -> Payload<'a> {
        match self {
            NewString::Bytes(bytes) => match integer(bytes) {
                Some(value) => int(value, share),
                None if bytes.len() <= EMBSTR_MAX => Payload::Embstr(Cow::Borrowed(bytes)),
                None => Payload::Raw(bytes.to_vec()),
            },
            NewString::Int(value) => int(value, share),
            NewString::Text(bytes) if bytes.len() <= EMBSTR_MAX => Payload::Embstr(Cow::Borrowed(bytes)),
            NewString::Text(bytes) => Payload::Raw(bytes.to_vec()),
            NewString::Owned(bytes) => match integer(&bytes) {
                Some(value) => int(value, share),
                None if bytes.len() <= EMBSTR_MAX => Payload::Embstr(Cow::Owned(bytes)),
                None => Payload::Raw(bytes),
            },
            NewString::RawOwned(bytes) => Payload::Raw(bytes),
        }
    }
}

#[inline]
fn integer(bytes: &[u8]) -> Option<i64> {
    if bytes.len() <= INTEGER_TEXT_MAX { parse_i64(bytes) } else { None }
}

fn int<'a>(value: i64, share: bool) -> Payload<'a> {
    Payload::Int { value, shared: share && (0..SHARED_INTEGERS).contains(&value) }
}

/// A string value: its bytes, or its integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StringRef<'a> {
    /// Encoded as an integer.
    Int(i64),
    /// Any other.
    Bytes(&'a [u8]),
}

/// Room for the text of an integer, see [`StringRef::bytes`].
pub(crate) type Digits = [u8; I64_TEXT_MAX];

impl<'a> StringRef<'a> {
    /// Length in bytes.
    #[inline]
    pub(crate) fn len(self) -> usize {
        match self {
            StringRef::Int(value) => i64_text_len(value),
            StringRef::Bytes(bytes) => bytes.len(),
        }
    }

    /// The bytes; an integer's text is written into `digits`.
    #[inline]
    pub(crate) fn bytes<'b>(self, digits: &'b mut Digits) -> &'b [u8]
    where
        'a: 'b,
    {
        match self {
            StringRef::Int(value) => format_i64(value, digits),
            StringRef::Bytes(bytes) => bytes,
        }
    }

    /// The integer, when the encoding is int.
    #[inline]
    pub(crate) fn stored_int(self) -> Option<i64> {
        match self {
            StringRef::Int(value) => Some(value),
            StringRef::Bytes(_) => None,
        }
    }

    /// The integer that the string is the text of, whatever its encoding.
    #[inline]
    pub(crate) fn as_int(self) -> Option<i64> {
        match self {
            StringRef::Int(value) => Some(value),
            StringRef::Bytes(bytes) => parse_i64(bytes),
        }
    }
}

/// A key and its value, to look at.
#[derive(Clone, Copy)]
pub(crate) struct ObjectRef<'a>(KeyRef<'a>);

impl<'a> ObjectRef<'a> {
    #[inline]
    pub(crate) fn new(entry: KeyRef<'a>) -> Self {
        ObjectRef(entry)
    }

    /// The key.
    #[inline]
    pub(crate) fn key(self) -> &'a [u8] {
        self.0.key()
    }

    /// The value's type.
    pub(crate) fn kind(self) -> Type {
        match self.0.stored() {
            Stored::Collection(collection) => collection.kind(),
            Stored::Int(_) | Stored::Bytes(_) => Type::String,
        }
    }

    /// The value's encoding.
    pub(crate) fn encoding(self) -> Encoding {
        match (self.0.form(), self.0.stored()) {
            (_, Stored::Collection(collection)) => collection.encoding(),
            (Form::Embstr, _) => Encoding::Embstr,
            (_, Stored::Int(_)) => Encoding::Int,
            (_, Stored::Bytes(_)) => Encoding::Raw,
        }
    }

    /// What OBJECT REFCOUNT answers.
    pub(crate) fn refcount(self) -> i64 {
        if self.0.form() == Form::SharedInt { SHARED_REFCOUNT } else { 1 }
    }

    /// The 24 bits of the LRU clock or LFU counter.
    pub(crate) fn lru(self) -> u32 {
        self.0.lru()
    }

    /// When the key expires, Unix milliseconds.
    #[inline]
    pub(crate) fn expiry(self) -> Option<i64> {
        self.0.expiry()
    }

    /// Bytes that key and value take.
    pub(crate) fn memory(self) -> usize {
        self.0.bytes()
    }

    /// The value as a string; refused when it is none.
    #[inline]
    pub(crate) fn string(self) -> Result<StringRef<'a>, Refusal> {
        match self.0.stored() {
            Stored::Int(value) => Ok(StringRef::Int(value)),
            Stored::Bytes(bytes) => Ok(StringRef::Bytes(bytes)),
            Stored::Collection(_) => Err(Refusal::WRONG_TYPE),
        }
    }

    /// The value as a hash; refused when it is none.
    #[inline]
    pub(crate) fn hash(self) -> Result<&'a Hash, Refusal> {
        match self.collection() {
            Some(CollectionRef::Hash(hash)) => Ok(hash),
            _ => Err(Refusal::WRONG_TYPE),
        }
    }

    /// The value as a list; refused when it is none.
    #[inline]
    pub(crate) fn list(self) -> Result<&'a List, Refusal> {
        match self.collection() {
            Some(CollectionRef::List(list)) => Ok(list),
            _ => Err(Refusal::WRONG_TYPE),
        }
    }

    /// The value as a set; refused when it is none.
    pub(crate) fn set(self) -> Result<&'a Set, Refusal> {
        match self.collection() {
            Some(CollectionRef::Set(set)) => Ok(set),
            _ => Err(Refusal::WRONG_TYPE),
        }
    }

    /// The value as a sorted set; refused when it is none.
    pub(crate) fn zset(self) -> Result<&'a Zset, Refusal> {
        match self.collection() {
            Some(CollectionRef::Zset(zset)) => Ok(zset),
            _ => Err(Refusal::WRONG_TYPE),
        }
    }

    /// The value as a stream; refused when it is none.
    pub(crate) fn stream(self) -> Result<&'a Stream, Refusal> {
        match self.collection() {
            Some(CollectionRef::Stream(stream)) => Ok(stream),
            _ => Err(Refusal::WRONG_TYPE),
        }
    }

    /// The value when it is no string.
    #[inline]
    pub(crate) fn collection(self) -> Option<CollectionRef<'a>> {
        match self.0.stored() {
            Stored::Collection(collection) => Some(collection),
            Stored::Int(_) | Stored::Bytes(_) => None,
        }
    }
}

/// A key and its value, to change.
pub(crate) struct ObjectMut<'a> {
    entry: KeyMut<'a>,
    /// Small integers are shared.
    share: bool,
}

impl<'a> ObjectMut<'a> {
    #[inline]
    pub(crate) fn new(entry: KeyMut<'a>, share: bool) -> Self {
        ObjectMut { entry, share }
    }

    /// Looks at it.
    #[inline]
    pub(crate) fn view(&self) -> ObjectRef<'_> {
        ObjectRef(self.entry.get())
    }

    /// Looks at it for as long as the keyspace is borrowed.
    #[inline]
    pub(crate) fn into_view(self) -> ObjectRef<'a> {
        ObjectRef(self.entry.into_ref())
    }

    /// The value as a string; refused when it is none.
    #[inline]
    pub(crate) fn string(&self) -> Result<StringRef<'_>, Refusal> {
        self.view().string()
    }

    /// The value as a growable string, converted to one if it is another string; refused when it is no string.
    pub(crate) fn make_raw(&mut self) -> Result<RawMut<'_>, Refusal> {
        self.entry.raw().ok_or(Refusal::WRONG_TYPE)
    }

    /// The value as a hash, to change; refused when it is none.
    #[inline]
    pub(crate) fn hash(&mut self) -> Result<Guard<'_, Hash>, Refusal> {
        match self.collection() {
            Some((CollectionMut::Hash(hash), account)) => Ok(Guard::new(hash, account)),
            _ => Err(Refusal::WRONG_TYPE),
        }
    }

    /// The value as a list, to change; refused when it is none.
    #[inline]
    pub(crate) fn list(&mut self) -> Result<Guard<'_, List>, Refusal> {
        match self.collection() {
            Some((CollectionMut::List(list), account)) => Ok(Guard::new(list, account)),
            _ => Err(Refusal::WRONG_TYPE),
        }
    }

    /// The value as a set; refused when it is none.
    pub(crate) fn set(&mut self) -> Result<Guard<'_, Set>, Refusal> {
        match self.collection() {
            Some((CollectionMut::Set(set), account)) => Ok(Guard::new(set, account)),
            _ => Err(Refusal::WRONG_TYPE),
        }
    }

    /// The value as a sorted set; refused when it is none.
    pub(crate) fn zset(&mut self) -> Result<Guard<'_, Zset>, Refusal> {
        match self.collection() {
            Some((CollectionMut::Zset(zset), account)) => Ok(Guard::new(zset, account)),
            _ => Err(Refusal::WRONG_TYPE),
        }
    }

    /// The value as a stream, to change; refused when it is none.
    pub(crate) fn stream(&mut self) -> Result<Guard<'_, Stream>, Refusal> {
        match self.collection() {
            Some((CollectionMut::Stream(stream), account)) => Ok(Guard::new(stream, account)),
            _ => Err(Refusal::WRONG_TYPE),
        }
    }

    /// The value when it is no string, and the account of bytes that must follow what it takes or frees: see
    /// [`Guard`](crate::values::Guard).
    #[inline]
    pub(crate) fn collection(&mut self) -> Option<(CollectionMut<'_>, &mut usize)> {
        self.entry.collection()
    }

    /// Replaces the value; the expiry stays.
    pub(crate) fn overwrite(&mut self, value: NewString<'_>) {
        self.entry.overwrite(value.payload(self.share));
    }

    /// Sets when the key expires, Unix milliseconds.
    pub(crate) fn set_expiry(&mut self, at_ms: i64) {
        self.entry.set_expiry(at_ms);
    }

    /// Lets the key live for ever; false when it did already.
    pub(crate) fn persist(&mut self) -> bool {
        self.entry.persist()
    }

    /// Sets the 24 bits of the LRU clock or LFU counter.
    pub(crate) fn set_lru(&mut self, lru: u32) {
        self.entry.set_lru(lru);
    }

    /// Removes the key.
    pub(crate) fn remove(self) {
        self.entry.remove();
    }

    /// The key's entry.
    pub(crate) fn into_entry(self) -> KeyMut<'a> {
        self.entry
    }
}
