//! Lists.

use std::collections::VecDeque;

use crate::reply::Bytes;

/// A list; its encoding is always quicklist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListValue {
    /// From head to tail.
    pub items: VecDeque<Bytes>,
}
