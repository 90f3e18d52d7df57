//! Changes made to a collection where it is, so that a large value is not copied at every step.
//!
//! A handler says what is to be done ([`Edit`]); it is done when the step is committed. An edit of a missing key creates the
//! collection that the edit belongs to, and a collection that an edit leaves empty is removed with its key, a stream aside. The value type
//! decides its encoding anew after each edit, and only ever away from the small one.

use crate::hash::{HashEdit, HashValue};
use crate::keyspace::Fate;
use crate::list::{ListEdit, ListValue};
use crate::model::Model;
use crate::plan::Expiry;
use crate::reply::Bytes;
use crate::set::{SetEdit, SetValue};
use crate::span::Span;
use crate::stream::{StreamEdit, StreamValue};
use crate::thresholds::Thresholds;
use crate::value::Value;
use crate::zset::{ZsetEdit, ZsetValue};

/// What is done to a collection, by its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// To a list.
    List(ListEdit),
    /// To a hash.
    Hash(HashEdit),
    /// To a set.
    Set(SetEdit),
    /// To a sorted set.
    Zset(ZsetEdit),
    /// To a stream.
    Stream(StreamEdit),
}

impl Edit {
    /// The empty collection that the edit begins with where there is none.
    fn begun(&self, thresholds: &Thresholds) -> Value {
        match self {
            Self::List(_) => Value::List(ListValue::default()),
            Self::Hash(_) => Value::Hash(HashValue::new()),
            Self::Set(_) => Value::Set(SetValue::new()),
            Self::Zset(_) => Value::Zset(ZsetValue::new(thresholds)),
            Self::Stream(_) => Value::Stream(StreamValue::default()),
        }
    }

    /// The elements that it takes away, as iterations know them.
    fn lost(&self) -> &[Bytes] {
        match self {
            Self::Set(SetEdit::Remove(members)) | Self::Zset(ZsetEdit::Remove(members)) => members,
            Self::Hash(HashEdit::Remove(fields)) => fields,
            Self::List(_) | Self::Hash(_) | Self::Set(_) | Self::Zset(_) | Self::Stream(_) => &[],
        }
    }

    /// Does it. A value of another type, which no handler edits, stays as it is.
    fn apply(self, value: &mut Value, thresholds: &Thresholds) {
        match (self, value) {
            (Self::List(edit), Value::List(list)) => list.apply(edit),
            (Self::Hash(edit), Value::Hash(hash)) => hash.apply(edit, thresholds),
            (Self::Set(edit), Value::Set(set)) => set.apply(edit, thresholds),
            (Self::Zset(edit), Value::Zset(zset)) => zset.apply(edit, thresholds),
            (Self::Stream(edit), Value::Stream(stream)) => stream.apply(edit),
            _ => {}
        }
    }
}

impl Model {
    /// Edits the collection at a key, creates it before and removes it afterwards where need be.
    pub(crate) fn edit(&mut self, db: usize, key: Bytes, edit: Edit, span: Span) {
        let thresholds = self.server.thresholds();
        let is_gone = self.keyspace.slot(db, &key).is_none_or(|slot| slot.fate(span) == Fate::Gone);
        if is_gone {
            let mut value = edit.begun(&thresholds);
            edit.apply(&mut value, &thresholds);
            if !value.is_spent() {
                self.put(db, key, value, Expiry::Clear, span);
            }
            return;
        }
        self.element_iterations.lose(db, &key, edit.lost());
        let Some(entry) = self.keyspace.entry_mut(db, &key) else { return };
        edit.apply(&mut entry.value, &thresholds);
        if entry.value.is_spent() {
            self.keyspace.set_slot(db, &key, None);
        }
    }
}
