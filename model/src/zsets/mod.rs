//! Sorted set commands.
//!
//! - `members`: what is asked and changed of single members;
//! - `range`: parts of a sorted set by rank, by score and by member;
//! - `combine`: ZUNIONSTORE and ZINTERSTORE.

mod combine;
mod members;
mod range;

use crate::call::Call;
use crate::clause::Clause;
use crate::plan::{Plan, Refusal};
use crate::reply::{Bytes, Reply};
use crate::scan_elements::{Scanned, scan_elements};
use crate::score::Score;
use crate::value::Value;
use crate::zset::ZsetValue;

pub(crate) use combine::{zinterstore, zunionstore};
pub(crate) use members::{zadd, zcard, zincrby, zpopmax, zpopmin, zrank, zrem, zrevrank, zscore};
pub(crate) use range::{
    zcount, zlexcount, zrange, zrangebylex, zrangebyscore, zremrangebylex, zremrangebyrank, zremrangebyscore,
    zrevrange, zrevrangebylex, zrevrangebyscore,
};

/// A member and its score, as the order of a sorted set has them.
type Ranked = (Score, Bytes);

impl<'a> Call<'a> {
    /// The sorted set at a key; an error if the key holds something else.
    pub(crate) fn find_zset(&self, key: &[u8]) -> Result<Option<&'a ZsetValue>, Refusal> {
        match self.find(key).map(|entry| &entry.value) {
            None => Ok(None),
            Some(Value::Zset(zset)) => Ok(Some(zset)),
            Some(_) => Err(Self::wrong_type()),
        }
    }
}

/// A score as it is answered.
pub(crate) fn score_reply(score: Score) -> Reply {
    Reply::bulk(score.to_string())
}

/// An array of members, each followed by its score if that is wanted.
fn listed<'a>(ranked: impl IntoIterator<Item = &'a Ranked>, with_scores: bool) -> Reply {
    let mut elements = Vec::new();
    for (score, member) in ranked {
        elements.push(Reply::bulk(member.as_slice()));
        if with_scores {
            elements.push(score_reply(*score));
        }
    }
    Reply::Array(elements)
}

fn syntax_error(clause: Clause) -> Refusal {
    Refusal::new(clause, "ERR syntax error")
}

pub(crate) fn zscan(call: &Call<'_>) -> Result<Plan, Refusal> {
    scan_elements(call, Clause::ZSCAN_1, |call, key| Ok(call.find_zset(key)?.map(Scanned::Zset)))
}
