//! Lists: always a quicklist, whose single node is a ziplist and nothing else.

use crate::config::Config;
use crate::structures::quicklist::Options;
pub use crate::structures::quicklist::Quicklist as List;
use crate::structures::ziplist::MAX_BYTES;

use super::Measured;

/// Longest element: with what a ziplist keeps beside it, it must stay below the greatest size of one.
pub(crate) const ELEMENT_MAX: usize = MAX_BYTES - 64;

impl Measured for List {
    fn bytes(&self) -> usize {
        List::bytes(self)
    }
}

impl Config {
    /// How lists that are made now are stored.
    pub(crate) fn list_options(&self) -> Options {
        Options::new(self.list_max_ziplist_size, self.list_compress_depth)
    }
}
