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
        const STRING: u32 = 0;
        let Value::String(string) = &entry.value;
        self.mix(&STRING.to_be_bytes());
        self.mix(&string.bytes);
        if entry.deadline.is_some() {
            self.add(b"!!expire!!");
        }
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
