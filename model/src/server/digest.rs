//! The sums of DEBUG DIGEST and DIGEST-VALUE. [DEBUG-16] [DEBUG-17] [DEBUG-27]

use super::sha1::sha1;
use crate::keyspace::Entry;
use crate::value::Value;

/// A sum of twenty bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sum([u8; 20]);

impl Sum {
    /// Twenty zeros.
    pub(crate) const ZERO: Self = Self([0; 20]);

    /// Order does not matter.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        for (sum, hash) in self.0.iter_mut().zip(sha1(bytes)) {
            *sum ^= hash;
        }
    }

    /// Order matters.
    pub(crate) fn mix(&mut self, bytes: &[u8]) {
        self.add(bytes);
        self.0 = sha1(&self.0);
    }

    /// Goes on with a value and whether its key expires.
    pub(crate) fn value(&mut self, entry: &Entry) {
        let code: u32 = match &entry.value {
            Value::String(_) => 0,
            Value::List(_) => 1,
            Value::Set(_) => 2,
            Value::Zset(_) => 3,
            Value::Hash(_) => 4,
            Value::Stream(_) => 6,
        };
        self.mix(&code.to_be_bytes());
        match &entry.value {
            Value::String(string) => self.mix(&string.bytes),
            Value::List(list) => list.items.iter().for_each(|item| self.mix(item)),
            Value::Set(set) => set.members.iter().for_each(|member| self.add(member)),
            Value::Zset(zset) => {
                for (member, score) in &zset.scores {
                    self.add_pair(member, score.to_string().as_bytes());
                }
            }
            Value::Hash(hash) => hash.fields.iter().for_each(|(field, value)| self.add_pair(field, value)),
            // [DEBUG-35]
            Value::Stream(stream) => {
                for (id, pairs) in stream.entries() {
                    self.mix(format!("{}.{}", id.ms, id.seq).as_bytes());
                    for (field, value) in pairs {
                        self.mix(field);
                        self.mix(value);
                    }
                }
            }
        }
        if entry.deadline.is_some() {
            self.add(b"!!expire!!");
        }
    }

    /// Adds two strings that belong together.
    fn add_pair(&mut self, first: &[u8], second: &[u8]) {
        let mut sum = Self::ZERO;
        sum.mix(first);
        sum.mix(second);
        self.add(&sum.0);
    }

    /// Adds a key of the database at hand.
    pub(crate) fn key(&mut self, key: &[u8], entry: &Entry) {
        let mut sum = Self::ZERO;
        sum.mix(key);
        sum.value(entry);
        self.add(&sum.0);
    }

    /// Forty hexadecimal digits.
    pub(crate) fn hex(self) -> String {
        self.0.map(|byte| format!("{byte:02x}")).concat()
    }
}
