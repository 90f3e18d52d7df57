//! Digests of values and datasets, as DEBUG DIGEST and DEBUG DIGEST-VALUE show them.
//!
//! A digest is twenty bytes that begin as zeros. *Adding* bytes means to exclusive-or it with their SHA-1, which forgets
//! their order; *mixing* them in means to add them and then to replace it by its own SHA-1, which remembers it. So the
//! digest of a dataset depends on what its keys hold, and not on the order in which they lie in memory.

use std::fmt;

use sha1::{Digest as _, Sha1};

use crate::faults::{self, Fault};
use crate::keyspace::Keyspace;
use crate::number::{I64_TEXT_MAX, format_f64};
use crate::object::{ObjectRef, Type};
use crate::values::Element;
use crate::values::stream::{Entry, ID_TEXT_MAX};

/// A digest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Digest([u8; 20]);

impl Digest {
    fn add(&mut self, bytes: &[u8]) {
        let sum: [u8; 20] = Sha1::digest(bytes).into();
        self.0.iter_mut().zip(sum).for_each(|(byte, other)| *byte ^= other);
    }

    fn mix(&mut self, bytes: &[u8]) {
        self.add(bytes);
        self.0 = Sha1::digest(self.0).into();
    }

    fn mix_value(&mut self, object: ObjectRef<'_>) {
        self.mix(&(object.kind() as u32).to_be_bytes());
        if let Some(collection) = object.collection() {
            let ordered = object.kind() == Type::List;
            collection.for_each(|element| self.take_in(element, ordered));
        } else if let Ok(string) = object.string() {
            self.mix(string.bytes(&mut [0; I64_TEXT_MAX]));
        }
        if object.expiry().is_some() {
            self.add(b"!!expire!!");
        }
    }

    /// An element: mixed in where order matters, added where it does not. Pairs have a sum of their own.
    fn take_in(&mut self, element: Element<'_>, ordered: bool) {
        let mut pair = Self::default();
        match element {
            Element::Item(item) if ordered => return self.mix(item),
            Element::Item(item) => return self.add(item),
            Element::Field(field, value) => {
                pair.mix(field);
                pair.mix(value);
            }
            Element::Scored(member, score) => {
                pair.mix(member);
                if !faults::is(Fault::DigestForgetsScores) {
                    pair.mix(format_f64(score).as_bytes());
                }
            }
            Element::Entry(entry) => return self.mix_entry(&entry),
        }
        self.add(&pair.0);
    }

    /// An entry of a stream: the id, and fields and values one after the other. Groups have no part in a digest.
    fn mix_entry(&mut self, entry: &Entry<'_>) {
        self.mix(entry.id.text_with(b'.', &mut [0; ID_TEXT_MAX]));
        for (field, value) in entry.fields() {
            self.mix(field.text(&mut [0; I64_TEXT_MAX]));
            self.mix(value.text(&mut [0; I64_TEXT_MAX]));
        }
    }

    /// The digest of one value and of whether it expires.
    pub(crate) fn of_value(object: ObjectRef<'_>) -> Self {
        let mut digest = Self::default();
        digest.mix_value(object);
        digest
    }

    /// The digest of everything.
    pub(crate) fn of_keyspace(keyspace: &Keyspace) -> Self {
        let mut whole = Self::default();
        for (index, db) in keyspace.iter().enumerate() {
            if db.keys.is_empty() {
                continue;
            }
            // Databases are fewer than 2^31.
            whole.mix(&(index as u32).to_be_bytes());
            for entry in db.keys.iter() {
                let mut one = Self::default();
                one.mix(entry.key());
                one.mix_value(ObjectRef::new(entry));
                whole.add(&one.0);
            }
        }
        whole
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
