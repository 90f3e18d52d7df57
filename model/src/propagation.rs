//! What reaches the AOF and the replicas.

use crate::reply::Bytes;

/// What a step wrote to the AOF and to replicas, without SELECT.
///
/// Mostly one piece; EXEC leads to a piece for MULTI, one for each command of the transaction and one for EXEC, and the
/// serving of each blocked client adds one more. [EXEC-10] [BLOCK-17]
///
/// A deadline in a PEXPIREAT is exact in virtual time; for a live server it is the earliest possible one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Propagated {
    /// Keys whose removal for being expired the step propagates first, as DEL or UNLINK (`lazyfree-lazy-expire`), unless the
    /// active cycle did so before.
    pub expired: Vec<(usize, Bytes)>,
    /// The database that the commands apply to.
    pub db: usize,
    /// Commands for the AOF.
    pub aof: Vec<Vec<Bytes>>,
    /// Commands for replicas.
    pub replicas: Vec<Vec<Bytes>>,
    /// The specification leaves open whether anything is written.
    pub unspecified: bool,
    /// The error that the command answers, which is a script propagated as it came: it ends with the same one wherever it is
    /// run again. [EVAL-31]
    pub raises: Option<Bytes>,
    /// The pieces that follow this one, in order; none of them has further ones itself.
    pub further: Vec<Propagated>,
}

impl Propagated {
    /// Whether nothing was written, for sure.
    pub fn is_empty(&self) -> bool {
        let commands = self.aof.is_empty() && self.replicas.is_empty() && self.expired.is_empty();
        commands && !self.unspecified && self.further.is_empty()
    }
}
