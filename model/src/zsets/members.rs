//! Commands on single members of a sorted set, and on those at its ends.

use std::collections::{BTreeMap, BTreeSet};

use super::{Ranked, listed, score_reply, syntax_error};
use crate::call::Call;
use crate::clause::Clause;
use crate::edit::Edit;
use crate::plan::{Plan, Refusal};
use crate::reply::{Bytes, Reply};
use crate::score::{Score, parse_score};
use crate::strings::length;
use crate::zset::{ZsetEdit, ZsetValue};

/// The options of ZADD, and where its scores begin.
#[derive(Default)]
struct AddOptions {
    only_new: bool,
    only_existing: bool,
    counts_changes: bool,
    increments: bool,
    first_score: usize,
}

impl AddOptions {
    fn parse(args: &[&[u8]]) -> Self {
        let mut options = Self { first_score: 2, ..Self::default() };
        while let Some(word) = args.get(options.first_score) {
            match word.to_ascii_lowercase().as_slice() {
                b"nx" => options.only_new = true,
                b"xx" => options.only_existing = true,
                b"ch" => options.counts_changes = true,
                b"incr" => options.increments = true,
                _ => break,
            }
            options.first_score += 1;
        }
        options
    }
}

/// A score given as an argument.
fn score_argument(call: &Call<'_>, position: usize) -> Result<f64, Refusal> {
    call.cite(Clause::SCORE_2);
    parse_score(call.args[position]).ok_or_else(|| Refusal::new(Clause::SCORE_3, "ERR value is not a valid float"))
}

pub(crate) fn zadd(call: &Call<'_>) -> Result<Plan, Refusal> {
    let options = AddOptions::parse(call.args);
    let pairs = call.args.len() - options.first_score;
    if pairs == 0 || !pairs.is_multiple_of(2) {
        return Err(syntax_error(Clause::ZADD_7));
    }
    if options.only_new && options.only_existing {
        let line = "ERR XX and NX options at the same time are not compatible";
        return Err(Refusal::new(Clause::ZADD_8, line));
    }
    if options.increments && pairs > 2 {
        let line = "ERR INCR option supports a single increment-element pair";
        return Err(Refusal::new(Clause::ZADD_9, line));
    }
    let mut scores = Vec::new();
    for position in (options.first_score..call.args.len()).step_by(2) {
        scores.push((call.args[position + 1], score_argument(call, position)?));
    }
    if options.increments {
        let (member, increment) = scores[0];
        return increase(call, Clause::ZADD_6, member, increment, &options);
    }
    let key = call.args[1];
    let zset = call.find_zset(key)?;
    // The scores as they stand while the pairs are gone through.
    let mut changed: BTreeMap<&[u8], f64> = BTreeMap::new();
    // All of them in turn: a score may change and become an equal zero of the other sign.
    let mut edits: Vec<(Bytes, Score)> = Vec::new();
    let (mut added, mut updated) = (0, 0);
    for (member, score) in scores {
        let present = changed.get(member).copied().or_else(|| score_of(zset, member));
        match present {
            None if options.only_existing => continue,
            None => added += 1,
            Some(_) if options.only_new => continue,
            Some(present) if present == score => continue,
            Some(_) => updated += 1,
        }
        changed.insert(member, score);
        edits.push((member.to_vec(), Score(score)));
    }
    let clause = match (options.only_new, options.only_existing, options.counts_changes) {
        (true, ..) => Clause::ZADD_3,
        (_, true, _) => Clause::ZADD_4,
        (.., true) => Clause::ZADD_5,
        _ => Clause::ZADD_1,
    };
    let plan = Plan::integer(clause, if options.counts_changes { added + updated } else { added });
    if added + updated == 0 {
        call.cite(Clause::ZADD_2);
        return Ok(plan);
    }
    Ok(plan.with(call.edit(key, Edit::Zset(ZsetEdit::Score(edits)))).verbatim())
}

fn score_of(zset: Option<&ZsetValue>, member: &[u8]) -> Option<f64> {
    zset?.scores.get(member).map(|score| score.0)
}

/// Adds to a member's score.
fn increase(
    call: &Call<'_>,
    clause: Clause,
    member: &[u8],
    increment: f64,
    options: &AddOptions,
) -> Result<Plan, Refusal> {
    let key = call.args[1];
    let present = score_of(call.find_zset(key)?, member);
    if (present.is_none() && options.only_existing) || (present.is_some() && options.only_new) {
        return Ok(Plan::reply(clause, Reply::NilBulk));
    }
    let sum = present.map_or(increment, |present| present + increment);
    if sum.is_nan() {
        return Err(Refusal::new(Clause::ZINCRBY_2, "ERR resulting score is not a number (NaN)"));
    }
    let plan = Plan::reply(clause, score_reply(Score(sum)));
    if present == Some(sum) {
        call.cite(Clause::ZADD_2);
        return Ok(plan);
    }
    let scores = vec![(member.to_vec(), Score(sum))];
    Ok(plan.with(call.edit(key, Edit::Zset(ZsetEdit::Score(scores)))).verbatim())
}

pub(crate) fn zincrby(call: &Call<'_>) -> Result<Plan, Refusal> {
    if AddOptions::parse(call.args).first_score > 2 {
        return Err(syntax_error(Clause::ZINCRBY_3));
    }
    let increment = score_argument(call, 2)?;
    increase(call, Clause::ZINCRBY_1, call.args[3], increment, &AddOptions::default())
}

/// The change that takes members away; `all`: none is left.
pub(super) fn removal(call: &Call<'_>, key: &[u8], zset: &ZsetValue, members: Vec<Bytes>) -> crate::plan::Change {
    if members.len() == zset.scores.len() {
        call.cite(Clause::DB_5);
    } else {
        call.cite(Clause::EXPIRY_8);
    }
    call.edit(key, Edit::Zset(ZsetEdit::Remove(members)))
}

pub(crate) fn zrem(call: &Call<'_>) -> Result<Plan, Refusal> {
    let key = call.args[1];
    let Some(zset) = call.find_zset(key)? else {
        return Ok(Plan::integer(Clause::ZREM_1, 0));
    };
    let members: BTreeSet<&[u8]> =
        call.args[2..].iter().copied().filter(|&member| zset.scores.contains_key(member)).collect();
    let plan = Plan::integer(Clause::ZREM_1, length(members.len()));
    if members.is_empty() {
        return Ok(plan);
    }
    let members = members.into_iter().map(<[u8]>::to_vec).collect();
    Ok(plan.with(removal(call, key, zset, members)).verbatim())
}

pub(crate) fn zscore(call: &Call<'_>) -> Result<Plan, Refusal> {
    let score = score_of(call.find_zset(call.args[1])?, call.args[2]);
    for clause in [Clause::SCORE_1, Clause::SCORE_4, Clause::SCORE_5] {
        call.cite(clause);
    }
    Ok(Plan::reply(Clause::ZSCORE_1, score.map_or(Reply::NilBulk, |score| score_reply(Score(score)))))
}

pub(crate) fn zcard(call: &Call<'_>) -> Result<Plan, Refusal> {
    let zset = call.find_zset(call.args[1])?;
    Ok(Plan::integer(Clause::ZCARD_1, zset.map_or(0, |zset| length(zset.scores.len()))))
}

pub(crate) fn zrank(call: &Call<'_>) -> Result<Plan, Refusal> {
    rank(call, Clause::ZRANK_1, |rank, _| rank)
}

pub(crate) fn zrevrank(call: &Call<'_>) -> Result<Plan, Refusal> {
    rank(call, Clause::ZREVRANK_1, |rank, count| count - 1 - rank)
}

fn rank(call: &Call<'_>, clause: Clause, counted: fn(i64, i64) -> i64) -> Result<Plan, Refusal> {
    let zset = call.find_zset(call.args[1])?;
    call.cite(Clause::ZSET_1);
    let rank = zset.and_then(|zset| {
        let score = *zset.scores.get(call.args[2])?;
        // As many as stand before it.
        Some(length(zset.order.range(..(score, call.args[2].to_vec())).count()))
    });
    let count = zset.map_or(0, |zset| length(zset.scores.len()));
    Ok(Plan::reply(clause, rank.map_or(Reply::NilBulk, |rank| Reply::Integer(counted(rank, count)))))
}

pub(crate) fn zpopmin(call: &Call<'_>) -> Result<Plan, Refusal> {
    pop(call, Clause::ZPOPMIN_1, |zset, count| zset.order.iter().take(count).collect())
}

pub(crate) fn zpopmax(call: &Call<'_>) -> Result<Plan, Refusal> {
    pop(call, Clause::ZPOPMAX_1, |zset, count| zset.order.iter().rev().take(count).collect())
}

fn pop(
    call: &Call<'_>,
    clause: Clause,
    end: for<'z> fn(&'z ZsetValue, usize) -> Vec<&'z Ranked>,
) -> Result<Plan, Refusal> {
    let key = call.args[1];
    if call.args.len() > 3 {
        return Err(syntax_error(Clause::ZPOPMIN_3));
    }
    let count = if call.args.len() == 3 { call.integer(2)? } else { 1 };
    let count = usize::try_from(count).unwrap_or(0);
    let nothing = |clause| Ok(Plan::reply(clause, Reply::Array(Vec::new())));
    if count == 0 {
        return nothing(Clause::ZPOPMIN_2);
    }
    let Some(zset) = call.find_zset(key)? else { return nothing(clause) };
    let popped = end(zset, count);
    let plan = Plan::reply(clause, listed(popped.iter().copied(), true));
    let members = popped.into_iter().map(|(_, member)| member.clone()).collect();
    Ok(plan.with(removal(call, key, zset, members)).verbatim())
}
