//! Parts of a sorted set: by rank, by score and by member.

use super::members::removal;
use super::{Ranked, listed, syntax_error};
use crate::allowed::Allowed;
use crate::call::Call;
use crate::clause::Clause;
use crate::erratum::Erratum;
use crate::plan::{Plan, Refusal};
use crate::reply::Reply;
use crate::score::{Score, parse_limit};
use crate::strings::length;
use crate::zset::ZsetValue;

/// Which end of the order is answered first.
#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    Lowest,
    Highest,
}

fn empty(clause: Clause) -> Plan {
    Plan::reply(clause, Reply::Array(Vec::new()))
}

/// Removes what a range holds.
fn remove(call: &Call<'_>, clause: Clause, zset: &ZsetValue, ranked: &[&Ranked]) -> Plan {
    let plan = Plan::integer(clause, length(ranked.len()));
    if ranked.is_empty() {
        return plan;
    }
    let members = ranked.iter().map(|(_, member)| member.clone()).collect();
    plan.with(removal(call, call.args[1], zset, members)).verbatim()
}

// By rank.

/// The two ranks, which are judged before all else.
fn ranks(call: &Call<'_>) -> Result<(i64, i64), Refusal> {
    Ok((call.integer(2)?, call.integer(3)?))
}

/// What stands from the first to the last rank, negative ones counted from the end.
fn by_rank(zset: &ZsetValue, (first, last): (i64, i64), from: From) -> Vec<&Ranked> {
    let size = length(zset.order.len());
    let from_end = |rank: i64| if rank < 0 { rank.saturating_add(size) } else { rank };
    let (first, last) = (from_end(first).max(0), from_end(last).min(size - 1));
    let count = usize::try_from(last.saturating_sub(first).saturating_add(1)).unwrap_or(0);
    let first = usize::try_from(first).unwrap_or(0);
    match from {
        From::Lowest => zset.order.iter().skip(first).take(count).collect(),
        From::Highest => zset.order.iter().rev().skip(first).take(count).collect(),
    }
}

pub(crate) fn zrange(call: &Call<'_>) -> Result<Plan, Refusal> {
    range_by_rank(call, Clause::ZRANGE_1, From::Lowest)
}

pub(crate) fn zrevrange(call: &Call<'_>) -> Result<Plan, Refusal> {
    range_by_rank(call, Clause::ZREVRANGE_1, From::Highest)
}

fn range_by_rank(call: &Call<'_>, clause: Clause, from: From) -> Result<Plan, Refusal> {
    let ranks = ranks(call)?;
    let with_scores = match &call.args[4..] {
        [] => false,
        [word] if word.eq_ignore_ascii_case(b"withscores") => true,
        _ => return Err(syntax_error(Clause::ZRANGE_4)),
    };
    call.cite(Clause::ZSET_1);
    call.cite(Clause::ZRANGE_2);
    if with_scores {
        call.cite(Clause::ZRANGE_3);
    }
    Ok(match call.find_zset(call.args[1])? {
        None => empty(clause),
        Some(zset) => Plan::reply(clause, listed(by_rank(zset, ranks, from), with_scores)),
    })
}

pub(crate) fn zremrangebyrank(call: &Call<'_>) -> Result<Plan, Refusal> {
    let ranks = ranks(call)?;
    let clause = Clause::ZREMRANGEBYRANK_1;
    Ok(match call.find_zset(call.args[1])? {
        None => Plan::integer(clause, 0),
        Some(zset) => remove(call, clause, zset, &by_rank(zset, ranks, From::Lowest)),
    })
}

// By score.

/// A limit of a range of scores, and whether it is left out itself.
#[derive(Clone, Copy)]
struct ScoreLimit {
    score: Score,
    excluded: bool,
}

impl ScoreLimit {
    fn parse(call: &Call<'_>, position: usize) -> Result<Self, Refusal> {
        let text = call.args[position];
        let (excluded, number) = match text {
            [b'(', rest @ ..] => (true, rest),
            _ => (false, text),
        };
        call.cite(Clause::SCORE_7);
        match parse_limit(number) {
            Some(score) => Ok(Self { score: Score(score), excluded }),
            None => Err(Refusal::new(Clause::SCORE_8, "ERR min or max is not a float")),
        }
    }
}

/// What has a score within both limits, lowest first.
fn by_score(zset: &ZsetValue, min: ScoreLimit, max: ScoreLimit) -> Vec<&Ranked> {
    let from_min = zset.order.range((min.score, Vec::new())..);
    let within = from_min.take_while(|(score, _)| *score < max.score || (*score == max.score && !max.excluded));
    within.filter(|(score, _)| *score > min.score || !min.excluded).collect()
}

/// LIMIT's offset and count. [ZRANGEBYSCORE-4]
#[derive(Clone, Copy)]
struct Limit {
    offset: i64,
    count: i64,
}

impl Limit {
    fn cut<'z>(self, ranked: impl Iterator<Item = &'z Ranked>) -> Vec<&'z Ranked> {
        let Ok(offset) = usize::try_from(self.offset) else { return Vec::new() };
        ranked.skip(offset).take(usize::try_from(self.count).unwrap_or(usize::MAX)).collect()
    }
}

/// WITHSCORES, where it is an option, and LIMIT; the last of several counts.
fn options(call: &Call<'_>, scores_are_an_option: bool) -> Result<(bool, Option<Limit>), Refusal> {
    let (mut with_scores, mut limit) = (false, None);
    let mut position = 4;
    while let Some(word) = call.args.get(position) {
        let followed = position + 2 < call.args.len();
        match word.to_ascii_lowercase().as_slice() {
            b"withscores" if scores_are_an_option => with_scores = true,
            b"limit" if followed => {
                call.cite(Clause::ZRANGEBYSCORE_4);
                limit = Some(Limit { offset: call.integer(position + 1)?, count: call.integer(position + 2)? });
                position += 2;
            }
            _ => return Err(syntax_error(Clause::ZRANGEBYSCORE_5)),
        }
        position += 1;
    }
    Ok((with_scores, limit))
}

/// A range in the order in which it is answered, cut as LIMIT says.
fn answered(ranked: Vec<&Ranked>, from: From, limit: Option<Limit>) -> Vec<&Ranked> {
    let limit = limit.unwrap_or(Limit { offset: 0, count: -1 });
    match from {
        From::Lowest => limit.cut(ranked.into_iter()),
        From::Highest => limit.cut(ranked.into_iter().rev()),
    }
}

pub(crate) fn zrangebyscore(call: &Call<'_>) -> Result<Plan, Refusal> {
    range_by_score(call, Clause::ZRANGEBYSCORE_1, From::Lowest)
}

pub(crate) fn zrevrangebyscore(call: &Call<'_>) -> Result<Plan, Refusal> {
    range_by_score(call, Clause::ZREVRANGEBYSCORE_1, From::Highest)
}

/// The limits of a range of scores, the lower one first.
fn score_limits(call: &Call<'_>, from: From) -> Result<(ScoreLimit, ScoreLimit), Refusal> {
    let (first, second) = (ScoreLimit::parse(call, 2)?, ScoreLimit::parse(call, 3)?);
    Ok(if from == From::Lowest { (first, second) } else { (second, first) })
}

fn range_by_score(call: &Call<'_>, clause: Clause, from: From) -> Result<Plan, Refusal> {
    let (min, max) = score_limits(call, from)?;
    let (with_scores, limit) = options(call, true)?;
    if with_scores {
        call.cite(Clause::ZRANGEBYSCORE_3);
    }
    call.cite(Clause::ZRANGEBYSCORE_2);
    Ok(match call.find_zset(call.args[1])? {
        None => empty(clause),
        Some(zset) => Plan::reply(clause, listed(answered(by_score(zset, min, max), from, limit), with_scores)),
    })
}

pub(crate) fn zcount(call: &Call<'_>) -> Result<Plan, Refusal> {
    let (min, max) = score_limits(call, From::Lowest)?;
    let zset = call.find_zset(call.args[1])?;
    Ok(Plan::integer(Clause::ZCOUNT_1, zset.map_or(0, |zset| length(by_score(zset, min, max).len()))))
}

pub(crate) fn zremrangebyscore(call: &Call<'_>) -> Result<Plan, Refusal> {
    let (min, max) = score_limits(call, From::Lowest)?;
    let clause = Clause::ZREMRANGEBYSCORE_1;
    Ok(match call.find_zset(call.args[1])? {
        None => Plan::integer(clause, 0),
        Some(zset) => remove(call, clause, zset, &by_score(zset, min, max)),
    })
}

// By member.

/// A limit of a range of members.
enum LexLimit<'a> {
    /// `-`
    BeforeAll,
    /// `+`
    BehindAll,
    /// `[` and a member.
    Including(&'a [u8]),
    /// `(` and a member.
    Excluding(&'a [u8]),
}

impl<'a> LexLimit<'a> {
    fn parse(call: &Call<'a>, position: usize) -> Result<Self, Refusal> {
        let text: &'a [u8] = call.args[position];
        Ok(match text {
            [b'-'] | [b'-', 0, ..] => Self::BeforeAll,
            [b'+'] | [b'+', 0, ..] => Self::BehindAll,
            [b'[', member @ ..] => Self::Including(member),
            [b'(', member @ ..] => Self::Excluding(member),
            _ => return Err(Refusal::new(Clause::ZRANGEBYLEX_4, "ERR min or max not valid string range item")),
        })
    }

    /// Whether a member does not stand before this lower limit.
    fn lets_from(&self, member: &[u8]) -> bool {
        match self {
            Self::BeforeAll => true,
            Self::BehindAll => false,
            Self::Including(limit) => member >= *limit,
            Self::Excluding(limit) => member > *limit,
        }
    }

    /// Whether a member does not stand behind this upper limit.
    fn lets_to(&self, member: &[u8]) -> bool {
        match self {
            Self::BeforeAll => false,
            Self::BehindAll => true,
            Self::Including(limit) => member <= *limit,
            Self::Excluding(limit) => member < *limit,
        }
    }
}

/// The limits of a range of members, the lower one first.
fn lex_limits<'a>(call: &Call<'a>, from: From) -> Result<(LexLimit<'a>, LexLimit<'a>), Refusal> {
    call.cite(Clause::ZRANGEBYLEX_2);
    let (first, second) = (LexLimit::parse(call, 2)?, LexLimit::parse(call, 3)?);
    Ok(if from == From::Lowest { (first, second) } else { (second, first) })
}

/// What stands between two members, in the order in which it is answered. Where scores differ, the members stand in no
/// order of their own: the range begins at the first that its near limit lets in, and ends before the first that its far
/// limit does not. [ZRANGEBYLEX-5]
fn by_lex<'z>(zset: &'z ZsetValue, min: &LexLimit<'_>, max: &LexLimit<'_>, from: From) -> Vec<&'z Ranked> {
    let ends = (zset.order.first(), zset.order.last());
    let (Some((_, lowest)), Some((_, highest))) = ends else { return Vec::new() };
    if !min.lets_from(highest) || !max.lets_to(lowest) {
        return Vec::new();
    }
    match from {
        From::Lowest => {
            let from_min = zset.order.iter().skip_while(|(_, member)| !min.lets_from(member));
            from_min.take_while(|(_, member)| max.lets_to(member)).collect()
        }
        From::Highest => {
            let from_max = zset.order.iter().rev().skip_while(|(_, member)| !max.lets_to(member));
            from_max.take_while(|(_, member)| min.lets_from(member)).collect()
        }
    }
}

/// What a real server makes of a range of members whose scores differ depends on chance in a skiplist, and in a ziplist on
/// which members LIMIT skips unseen. (E-44)
fn or_by_chance(plan: Plan, zset: &ZsetValue) -> Plan {
    let equal = zset.order.first().map(|(score, _)| *score) == zset.order.last().map(|(score, _)| *score);
    if equal {
        return plan;
    }
    let changes = plan.changes.clone();
    plan.or_erratum(Erratum::E_44, Allowed::Unspecified(Clause::ZRANGEBYLEX_5), changes)
}

pub(crate) fn zrangebylex(call: &Call<'_>) -> Result<Plan, Refusal> {
    range_by_lex(call, Clause::ZRANGEBYLEX_1, From::Lowest)
}

pub(crate) fn zrevrangebylex(call: &Call<'_>) -> Result<Plan, Refusal> {
    range_by_lex(call, Clause::ZREVRANGEBYLEX_1, From::Highest)
}

fn range_by_lex(call: &Call<'_>, clause: Clause, from: From) -> Result<Plan, Refusal> {
    let (min, max) = lex_limits(call, from)?;
    let (_, limit) = options(call, false)?;
    call.cite(Clause::ZRANGEBYLEX_3);
    let limit = limit.unwrap_or(Limit { offset: 0, count: -1 });
    Ok(match call.find_zset(call.args[1])? {
        None => empty(clause),
        Some(zset) => {
            let ranked = limit.cut(by_lex(zset, &min, &max, from).into_iter());
            or_by_chance(Plan::reply(clause, listed(ranked, false)), zset)
        }
    })
}

pub(crate) fn zlexcount(call: &Call<'_>) -> Result<Plan, Refusal> {
    let (min, max) = lex_limits(call, From::Lowest)?;
    let clause = Clause::ZLEXCOUNT_1;
    Ok(match call.find_zset(call.args[1])? {
        None => Plan::integer(clause, 0),
        Some(zset) => or_by_chance(Plan::integer(clause, length(by_lex(zset, &min, &max, From::Lowest).len())), zset),
    })
}

pub(crate) fn zremrangebylex(call: &Call<'_>) -> Result<Plan, Refusal> {
    let (min, max) = lex_limits(call, From::Lowest)?;
    let clause = Clause::ZREMRANGEBYLEX_1;
    Ok(match call.find_zset(call.args[1])? {
        None => Plan::integer(clause, 0),
        Some(zset) => or_by_chance(remove(call, clause, zset, &by_lex(zset, &min, &max, From::Lowest)), zset),
    })
}
