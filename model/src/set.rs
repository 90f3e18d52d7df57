//! Sets.

use std::collections::BTreeSet;

use crate::reply::Bytes;
use crate::value::Encoding;

/// A set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetValue {
    /// Its members.
    pub members: BTreeSet<Bytes>,
    /// Intset, until something does not fit; then hashtable for good.
    pub encoding: Encoding,
}
