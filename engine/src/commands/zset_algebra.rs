//! Unions and intersections of sorted sets and sets, stored.
//!
//! A set counts as a sorted set whose scores are all 1. Sources are taken by their size, the smallest first, those of
//! equal size in the order of the arguments: sums of floats depend on the order in which they are made.

use super::{Context, Refusal};
use crate::faults::{self, Fault};
use crate::number::{I64_TEXT_MAX, parse_f64, parse_i64};
use crate::resp::Args;
use crate::structures::ziplist::Value;
use crate::values::{Collection, CollectionRef, Set, Zset, ZsetLimits};

/// How scores of the same member become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    fn of(self, score: f64, other: f64) -> f64 {
        match self {
            // The sum of an infinity and its opposite counts as 0.
            Aggregate::Sum => not_nan(score + other),
            Aggregate::Min if other < score => other,
            Aggregate::Max if other > score => other,
            Aggregate::Min | Aggregate::Max => score,
        }
    }
}

/// A float, or 0 in place of NaN.
fn not_nan(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}

/// A source.
#[derive(Clone, Copy)]
enum Source<'a> {
    Zset(&'a Zset),
    Set(&'a Set),
    Missing,
}

impl<'a> Source<'a> {
    fn len(self) -> usize {
        match self {
            Source::Zset(zset) => zset.len(),
            Source::Set(set) => set.len(),
            Source::Missing => 0,
        }
    }

    /// The score of a member.
    fn score(self, member: &[u8]) -> Option<f64> {
        match self {
            Source::Zset(zset) => zset.score(member),
            Source::Set(set) => set.contains(member).then_some(1.0),
            Source::Missing => None,
        }
    }

    fn for_each(self, mut visit: impl FnMut(Value<'a>, f64)) {
        match self {
            Source::Zset(zset) => zset.iter().for_each(|(member, score)| visit(member, score)),
            Source::Set(set) => set.iter().for_each(|member| visit(member, 1.0)),
            Source::Missing => {}
        }
    }
}

/// A source and the factor of its scores.
#[derive(Clone, Copy)]
struct Weighted<'a> {
    source: Source<'a>,
    weight: f64,
}

impl Weighted<'_> {
    /// The product of weight and score; 0 where that is no number.
    fn of(&self, score: f64) -> f64 {
        if faults::is(Fault::SetsHaveNoWeight) && matches!(self.source, Source::Set(_)) {
            return score;
        }
        not_nan(self.weight * score)
    }
}

/// `ZUNIONSTORE destination numkeys key [key …] [WEIGHTS weight …] [AGGREGATE SUM|MIN|MAX]`.
pub(crate) fn zunionstore(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    combine(cx, args, "zunionstore", union)
}

/// `ZINTERSTORE destination numkeys key [key …] [WEIGHTS weight …] [AGGREGATE SUM|MIN|MAX]`.
pub(crate) fn zinterstore(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    combine(cx, args, "zinterstore", intersection)
}

fn union(sources: &[Weighted<'_>], aggregate: Aggregate, limits: &ZsetLimits) -> Zset {
    let mut result = Zset::skiplist(limits.hash_key);
    let mut digits = [0; I64_TEXT_MAX];
    for weighted in sources {
        weighted.source.for_each(|member, score| {
            let member = member.text(&mut digits);
            let score = weighted.of(score);
            match result.score(member) {
                // The sum of -0 and 0 is 0, which compares as equal to what is there and is another text.
                Some(old) => result.set_score(member, aggregate.of(old, score)),
                None => drop(result.insert_over(None, member, score, limits)),
            }
        });
    }
    result
}

fn intersection(sources: &[Weighted<'_>], aggregate: Aggregate, limits: &ZsetLimits) -> Zset {
    let mut result = Zset::skiplist(limits.hash_key);
    let Some((smallest, others)) = sources.split_first() else { return result };
    let mut digits = [0; I64_TEXT_MAX];
    smallest.source.for_each(|member, score| {
        let member = member.text(&mut digits);
        let all = others.iter().try_fold(smallest.of(score), |sum, weighted| {
            let score = weighted.source.score(member)?;
            Some(aggregate.of(sum, weighted.of(score)))
        });
        if let Some(score) = all {
            result.insert_over(None, member, score, limits);
        }
    });
    result
}

/// Reads the weights and the aggregate from argument `at` on.
fn options(args: &Args<'_>, mut at: usize, sources: usize) -> Result<(Vec<f64>, Aggregate), Refusal> {
    let mut weights = vec![1.0; sources];
    let mut aggregate = Aggregate::Sum;
    while at < args.len() {
        let behind = args.len() - at - 1;
        if args.is(at, "weights") && behind >= sources {
            for (weight, at) in weights.iter_mut().zip(at + 1..) {
                *weight = parse_f64(&args[at]).ok_or("ERR weight value is not a float")?;
            }
            at += 1 + sources;
        } else if args.is(at, "aggregate") && behind >= 1 {
            aggregate = if args.is(at + 1, "sum") {
                Aggregate::Sum
            } else if args.is(at + 1, "min") {
                Aggregate::Min
            } else if args.is(at + 1, "max") {
                Aggregate::Max
            } else {
                return Err(Refusal::SYNTAX);
            };
            at += 2;
        } else {
            return Err(Refusal::SYNTAX);
        }
    }
    Ok((weights, aggregate))
}

type Combination = fn(&[Weighted<'_>], Aggregate, &ZsetLimits) -> Zset;

fn combine(
    cx: &mut Context<'_>,
    args: &Args<'_>,
    event: &'static str,
    combination: Combination,
) -> Result<(), Refusal> {
    const NO_KEY: Refusal = Refusal::Fixed("ERR at least 1 input key is needed for ZUNIONSTORE/ZINTERSTORE");
    const FIRST_KEY: usize = 3;
    let target = &args[1];
    let count = parse_i64(&args[2]).ok_or(Refusal::NOT_AN_INTEGER)?;
    if count < 1 {
        return Err(NO_KEY);
    }
    let count = usize::try_from(count).ok().filter(|&count| count <= args.len() - FIRST_KEY).ok_or(Refusal::SYNTAX)?;
    let keys = FIRST_KEY..FIRST_KEY + count;
    let mut found = Vec::with_capacity(count);
    for at in keys.clone() {
        let is_source =
            |collection: CollectionRef<'_>| matches!(collection, CollectionRef::Set(_) | CollectionRef::Zset(_));
        found.push(match cx.lookup_write(&args[at]) {
            Some(object) if !object.view().collection().is_some_and(is_source) => return Err(Refusal::WRONG_TYPE),
            object => object.is_some(),
        });
    }
    let (weights, aggregate) = options(args, keys.end, count)?;
    let limits = cx.zset_limits();
    let mut sources: Vec<Weighted<'_>> = keys
        .zip(found)
        .zip(weights)
        .map(|((at, found), weight)| {
            let object = if found { cx.peek(&args[at]) } else { None };
            let source = match object.and_then(|object| object.collection()) {
                Some(CollectionRef::Zset(zset)) => Source::Zset(zset),
                Some(CollectionRef::Set(set)) => Source::Set(set),
                _ => Source::Missing,
            };
            Weighted { source, weight }
        })
        .collect();
    sources.sort_by_key(|weighted| weighted.source.len());
    let mut result = combination(&sources, aggregate, &limits);
    result.pack(&limits);
    let members = result.len();
    let existed = cx.remove(target);
    if members > 0 {
        cx.add_collection(target, Collection::Zset(result));
        cx.modified(target, event);
    } else if existed {
        cx.modified(target, "del");
    }
    cx.reply().count(members);
    Ok(())
}
