//! What a collection holds, one element after the other, whatever its type and encoding: for whoever has to go through
//! all of it anyway, as digests, compaction and tools do.

use super::CollectionRef;
use super::stream::Entry;
use crate::number::I64_TEXT_MAX;

/// One element of a collection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Element<'a> {
    /// Of a list or a set.
    Item(&'a [u8]),
    /// Of a hash: the field and its value.
    Field(&'a [u8], &'a [u8]),
    /// Of a sorted set: the member and its score.
    Scored(&'a [u8], f64),
    /// Of a stream.
    Entry(Entry<'a>),
}

impl CollectionRef<'_> {
    /// Shows every element: those of lists, sorted sets and streams in their order, others as they lie.
    pub fn for_each(self, mut visit: impl FnMut(Element<'_>)) {
        let mut first = [0; I64_TEXT_MAX];
        match self {
            CollectionRef::List(list) => list.visit(0, list.len(), |item| visit(Element::Item(item.text(&mut first)))),
            CollectionRef::Hash(hash) => {
                let mut second = [0; I64_TEXT_MAX];
                for (field, value) in hash.iter() {
                    visit(Element::Field(field.text(&mut first), value.text(&mut second)));
                }
            }
            CollectionRef::Set(set) => set.iter().for_each(|member| visit(Element::Item(member.text(&mut first)))),
            CollectionRef::Zset(zset) => {
                zset.iter().for_each(|(member, score)| visit(Element::Scored(member.text(&mut first), score)));
            }
            CollectionRef::Stream(stream) => stream.entries().all().for_each(|entry| visit(Element::Entry(entry))),
        }
    }
}
