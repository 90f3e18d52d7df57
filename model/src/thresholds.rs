//! The directives that say how large a collection may grow before it leaves its small encoding.

use crate::numbers::parse_integer;
use crate::server::Configuration;

/// The present thresholds. All are numbers that CONFIG SET changes at run time; a change converts nothing by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Thresholds {
    /// Most fields of a ziplist hash.
    pub hash_ziplist_entries: usize,
    /// Most bytes of a field or value in a ziplist hash.
    pub hash_ziplist_value: usize,
    /// Most members of a ziplist sorted set.
    pub zset_ziplist_entries: usize,
    /// Most bytes of a member in a ziplist sorted set.
    pub zset_ziplist_value: usize,
    /// Most members of an intset.
    pub set_intset_entries: usize,
    /// Positive: most elements of a node of a quicklist; negative: the class of its most bytes.
    pub list_ziplist_size: i64,
    /// Nodes at each end of a quicklist that are not compressed; 0 for none compressed at all.
    pub list_compress_depth: usize,
    /// Most bytes of a sparse HyperLogLog.
    pub hll_sparse_bytes: usize,
    /// Most bytes of a node of a stream.
    pub stream_node_bytes: usize,
    /// Most entries of a node of a stream, 0 for any number.
    pub stream_node_entries: usize,
}

impl Thresholds {
    /// Those that a configuration leads to.
    pub(crate) fn of(configuration: &Configuration) -> Self {
        let number = |name: &str| configuration.value(name).and_then(parse_integer).unwrap_or(0);
        // A directive has no negative values here, and what does not fit is more than any collection holds.
        let size = |name: &str| usize::try_from(number(name)).unwrap_or(0);
        Self {
            hash_ziplist_entries: size("hash-max-ziplist-entries"),
            hash_ziplist_value: size("hash-max-ziplist-value"),
            zset_ziplist_entries: size("zset-max-ziplist-entries"),
            zset_ziplist_value: size("zset-max-ziplist-value"),
            set_intset_entries: size("set-max-intset-entries"),
            list_ziplist_size: number("list-max-ziplist-size"),
            list_compress_depth: size("list-compress-depth"),
            hll_sparse_bytes: size("hll-sparse-max-bytes"),
            stream_node_bytes: size("stream-node-max-bytes"),
            stream_node_entries: size("stream-node-max-entries"),
        }
    }
}
