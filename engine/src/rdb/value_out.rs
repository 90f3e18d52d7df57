//! Values into a file: each in the form that its encoding has there.

use std::io::{self, Write};

use super::value_type;
use super::writer::{Attributes, Writer};
use crate::faults::{self, Fault};
use crate::number::I64_TEXT_MAX;
use crate::object::ObjectRef;
use crate::structures::quicklist::NodeView;
use crate::values::{CollectionRef, Hash, List, Set, Zset};

/// The number of the form in which a value is written.
pub(super) fn type_of(object: ObjectRef<'_>) -> u8 {
    match object.collection() {
        None => value_type::STRING,
        Some(collection) => collection_type(collection),
    }
}

pub(super) fn collection_type(collection: CollectionRef<'_>) -> u8 {
    match collection {
        CollectionRef::List(_) => value_type::LIST_QUICKLIST,
        CollectionRef::Hash(hash) if hash.as_ziplist().is_some() => value_type::HASH_ZIPLIST,
        CollectionRef::Hash(_) => value_type::HASH,
        CollectionRef::Set(set) if set.as_intset().is_some() => value_type::SET_INTSET,
        CollectionRef::Set(_) => value_type::SET,
        CollectionRef::Zset(zset) if zset.as_ziplist().is_some() => value_type::ZSET_ZIPLIST,
        CollectionRef::Zset(_) => value_type::ZSET_2,
        CollectionRef::Stream(_) => value_type::STREAM_LISTPACKS,
    }
}

impl<W: Write> Writer<W> {
    /// A key and its value.
    pub(crate) fn key(&mut self, object: ObjectRef<'_>, attributes: Attributes) -> io::Result<()> {
        self.entry(object.key(), attributes, type_of(object))?;
        self.value(object)
    }

    /// A value without its type.
    pub(crate) fn value(&mut self, object: ObjectRef<'_>) -> io::Result<()> {
        match (object.collection(), object.string()) {
            (Some(collection), _) => self.collection(collection),
            (None, Ok(string)) => match string.stored_int() {
                Some(value) => self.integer_text(value),
                None => self.text(string.bytes(&mut [0; I64_TEXT_MAX])),
            },
            (None, Err(_)) => unreachable!("what is no collection is a string"),
        }
    }

    pub(super) fn collection(&mut self, collection: CollectionRef<'_>) -> io::Result<()> {
        match collection {
            CollectionRef::List(list) => self.list(list),
            CollectionRef::Hash(hash) => self.hash(hash),
            CollectionRef::Set(set) => self.set(set),
            CollectionRef::Zset(zset) => self.zset(zset),
            CollectionRef::Stream(stream) => self.stream(stream),
        }
    }

    fn list(&mut self, list: &List) -> io::Result<()> {
        let mut nodes = list.nodes();
        self.number(nodes.len() as u64)?;
        nodes.try_for_each(|node| match node {
            NodeView::Plain(ziplist) => self.text(ziplist.as_bytes()),
            NodeView::Packed { block, size } => self.compressed(block, size),
        })
    }

    fn hash(&mut self, hash: &Hash) -> io::Result<()> {
        if let Some(ziplist) = hash.as_ziplist() {
            return self.text(ziplist.as_bytes());
        }
        self.number(hash.len() as u64)?;
        hash.iter().try_for_each(|(field, value)| {
            self.text(field.text(&mut [0; I64_TEXT_MAX]))?;
            self.text(value.text(&mut [0; I64_TEXT_MAX]))
        })
    }

    fn set(&mut self, set: &Set) -> io::Result<()> {
        if let Some(intset) = set.as_intset() {
            return self.text(intset.as_bytes());
        }
        self.number(set.len() as u64)?;
        set.iter().try_for_each(|member| self.text(member.text(&mut [0; I64_TEXT_MAX])))
    }

    /// The members of a skiplist are written from the last to the first: loading them so, each is added in front.
    fn zset(&mut self, zset: &Zset) -> io::Result<()> {
        if let Some(list) = zset.as_ziplist() {
            return self.text(list.as_bytes());
        }
        self.number(zset.len() as u64)?;
        for (member, score) in zset.iter().rev() {
            self.text(member.text(&mut [0; I64_TEXT_MAX]))?;
            let signless = score == 0.0 && faults::is(Fault::SavedZeroLosesSign);
            self.raw(&if signless { 0.0f64 } else { score }.to_le_bytes())?;
        }
        Ok(())
    }
}
