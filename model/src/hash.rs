//! Hashes.

use std::collections::BTreeMap;

use crate::reply::Bytes;
use crate::value::Encoding;

/// A hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashValue {
    /// Its fields and their values.
    pub fields: BTreeMap<Bytes, Bytes>,
    /// Ziplist, until something does not fit; then hashtable for good.
    pub encoding: Encoding,
}
