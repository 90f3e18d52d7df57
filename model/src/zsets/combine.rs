//! ZUNIONSTORE and ZINTERSTORE.

use std::collections::BTreeMap;

use super::syntax_error;
use crate::call::Call;
use crate::clause::Clause;
use crate::erratum::Erratum;
use crate::plan::{Change, Expiry, Plan, Refusal};
use crate::reply::Bytes;
use crate::score::{Score, parse_score};
use crate::set::SetValue;
use crate::strings::length;
use crate::value::Value;
use crate::zset::ZsetValue;

/// What is combined: sorted sets, and sets, whose members have the score 1.
#[derive(Clone, Copy)]
enum Source<'a> {
    Missing,
    Set(&'a SetValue),
    Zset(&'a ZsetValue),
}

impl<'a> Source<'a> {
    fn find(call: &Call<'a>, key: &[u8]) -> Result<Self, Refusal> {
        match call.find(key).map(|entry| &entry.value) {
            None => Ok(Self::Missing),
            Some(Value::Set(set)) => Ok(Self::Set(set)),
            Some(Value::Zset(zset)) => Ok(Self::Zset(zset)),
            Some(_) => Err(Call::wrong_type()),
        }
    }

    fn len(self) -> usize {
        match self {
            Self::Missing => 0,
            Self::Set(set) => set.members.len(),
            Self::Zset(zset) => zset.scores.len(),
        }
    }

    fn score(self, member: &[u8]) -> Option<f64> {
        match self {
            Self::Missing => None,
            Self::Set(set) => set.members.contains(member).then_some(1.0),
            Self::Zset(zset) => zset.scores.get(member).map(|score| score.0),
        }
    }

    fn members(self) -> Vec<&'a Bytes> {
        match self {
            Self::Missing => Vec::new(),
            Self::Set(set) => set.members.iter().collect(),
            Self::Zset(zset) => zset.scores.keys().collect(),
        }
    }
}

/// How the scores of a member that several sources have become one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    fn parse(word: &[u8]) -> Option<Self> {
        match word.to_ascii_lowercase().as_slice() {
            b"sum" => Some(Self::Sum),
            b"min" => Some(Self::Min),
            b"max" => Some(Self::Max),
            _ => None,
        }
    }

    fn join(self, one: f64, other: f64) -> f64 {
        match self {
            Self::Sum => number_or_zero(one + other),
            Self::Min => {
                if other < one {
                    other
                } else {
                    one
                }
            }
            Self::Max => {
                if other > one {
                    other
                } else {
                    one
                }
            }
        }
    }
}

/// What has no value, as infinity less infinity has not, counts as 0. [ZUNIONSTORE-6]
fn number_or_zero(value: f64) -> f64 {
    if value.is_nan() { 0.0 } else { value }
}

/// The command without its name, in parts.
struct Request<'a> {
    sources: Vec<(Source<'a>, f64)>,
    aggregate: Aggregate,
}

impl<'a> Request<'a> {
    fn parse(call: &Call<'a>) -> Result<Self, Refusal> {
        let count = call.integer(2)?;
        if count < 1 {
            let line = "ERR at least 1 input key is needed for ZUNIONSTORE/ZINTERSTORE";
            return Err(Refusal::new(Clause::ZUNIONSTORE_8, line));
        }
        let Some(count) = usize::try_from(count).ok().filter(|&count| count <= call.args.len() - 3) else {
            return Err(syntax_error(Clause::ZUNIONSTORE_9));
        };
        let mut sources = Vec::new();
        for key in &call.args[3..3 + count] {
            sources.push((Source::find(call, key)?, 1.0));
        }
        let mut request = Self { sources, aggregate: Aggregate::Sum };
        let mut position = 3 + count;
        while let Some(word) = call.args.get(position) {
            let followed = call.args.len() - position - 1;
            match word.to_ascii_lowercase().as_slice() {
                b"weights" if followed >= count => {
                    call.cite(Clause::ZUNIONSTORE_3);
                    for (source, text) in request.sources.iter_mut().zip(&call.args[position + 1..]) {
                        source.1 = parse_score(text)
                            .ok_or_else(|| Refusal::new(Clause::ZUNIONSTORE_10, "ERR weight value is not a float"))?;
                    }
                    position += 1 + count;
                }
                b"aggregate" if followed >= 1 => {
                    call.cite(Clause::ZUNIONSTORE_4);
                    request.aggregate =
                        Aggregate::parse(call.args[position + 1]).ok_or_else(|| syntax_error(Clause::ZUNIONSTORE_9))?;
                    position += 2;
                }
                _ => return Err(syntax_error(Clause::ZUNIONSTORE_9)),
            }
        }
        // The smallest first, which decides how sums are rounded. [ZUNIONSTORE-5]
        request.sources.sort_by_key(|(source, _)| source.len());
        Ok(request)
    }

    fn union(&self) -> BTreeMap<Bytes, f64> {
        let mut scores: BTreeMap<Bytes, f64> = BTreeMap::new();
        for &(source, weight) in &self.sources {
            for member in source.members() {
                let Some(score) = source.score(member) else { continue };
                let weighted = number_or_zero(weight * score);
                match scores.get_mut(member) {
                    Some(present) => *present = self.aggregate.join(*present, weighted),
                    None => {
                        scores.insert(member.clone(), weighted);
                    }
                }
            }
        }
        scores
    }

    /// What real servers ignore: products that are no number, in all sources but the first. (E-62)
    fn intersection(&self, ignoring: bool) -> BTreeMap<Bytes, f64> {
        let mut scores = BTreeMap::new();
        let Some((&(smallest, first_weight), others)) = self.sources.split_first() else { return scores };
        for member in smallest.members() {
            let mut joined = smallest.score(member).map(|score| number_or_zero(first_weight * score));
            for &(source, weight) in others {
                let (Some(present), Some(score)) = (joined, source.score(member)) else {
                    joined = None;
                    break;
                };
                let weighted = weight * score;
                joined = Some(match weighted.is_nan() && ignoring && self.aggregate != Aggregate::Sum {
                    true => present,
                    // A sum with what is no number becomes 0 as a whole in real servers.
                    false if weighted.is_nan() && ignoring => 0.0,
                    false => self.aggregate.join(present, number_or_zero(weighted)),
                });
            }
            if let Some(score) = joined {
                scores.insert(member.clone(), score);
            }
        }
        scores
    }
}

/// Stores the result in place of whatever the destination holds.
fn store(call: &Call<'_>, clause: Clause, scores: BTreeMap<Bytes, f64>) -> Plan {
    let key = call.args[1];
    let existed = call.find(key).is_some();
    let count = length(scores.len());
    if count == 0 {
        let plan = Plan::integer(Clause::ZUNIONSTORE_7, 0);
        return match existed {
            true => plan.with(Change::Remove { db: call.db(), key: key.to_vec() }).verbatim(),
            false => plan,
        };
    }
    call.cite(Clause::EXPIRY_9);
    let scores = scores.into_iter().map(|(member, score)| (member, Score(score)));
    let value = Value::Zset(ZsetValue::of(scores, &call.model.server.thresholds()));
    Plan::integer(clause, count)
        .with(Change::Put { db: call.db(), key: key.to_vec(), value, expiry: Expiry::Clear })
        .verbatim()
}

pub(crate) fn zunionstore(call: &Call<'_>) -> Result<Plan, Refusal> {
    let request = Request::parse(call)?;
    Ok(store(call, Clause::ZUNIONSTORE_1, request.union()))
}

pub(crate) fn zinterstore(call: &Call<'_>) -> Result<Plan, Refusal> {
    let request = Request::parse(call)?;
    let (right, wrong) = (request.intersection(false), request.intersection(true));
    let plan = store(call, Clause::ZINTERSTORE_1, right.clone());
    if right.iter().zip(&wrong).all(|(one, other)| one.1.to_bits() == other.1.to_bits()) {
        return Ok(plan);
    }
    let erratum = store(call, Clause::ZINTERSTORE_1, wrong);
    Ok(plan.or_erratum(Erratum::E_62, erratum.allowed, erratum.changes))
}
