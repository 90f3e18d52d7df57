//! Sorted sets: parts of them, by rank, by score and by bytes: shown, counted and taken out.
//!
//! Every range becomes a range of ranks first, see [`crate::values::zset::range`].

use std::ops::Range;

use super::zsets::write_member;
use super::{Context, Refusal};
use crate::number::parse_i64;
use crate::resp::{Args, Reply};
use crate::values::Zset;
use crate::values::zset::range::{LexRange, ScoreRange, index_ranks};

/// From which end a range is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Forward,
    Backward,
}

fn integer(text: &[u8]) -> Result<i64, Refusal> {
    parse_i64(text).ok_or(Refusal::NOT_AN_INTEGER)
}

/// Writes the members of these ranks.
fn write_range(reply: &mut Reply<'_>, zset: &Zset, ranks: Range<usize>, direction: Direction, with_scores: bool) {
    let mut members = zset.range(ranks);
    reply.array(members.len() * if with_scores { 2 } else { 1 });
    loop {
        let member = match direction {
            Direction::Forward => members.next(),
            Direction::Backward => members.next_back(),
        };
        let Some((member, score)) = member else { return };
        write_member(reply, member, score, with_scores);
    }
}

/// `ZRANGE key start stop [WITHSCORES]`.
pub(crate) fn zrange(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    range_of_ranks(cx, args, Direction::Forward)
}

/// `ZREVRANGE key start stop [WITHSCORES]`.
pub(crate) fn zrevrange(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    range_of_ranks(cx, args, Direction::Backward)
}

fn range_of_ranks(cx: &mut Context<'_>, args: &Args<'_>, direction: Direction) -> Result<(), Refusal> {
    let (start, stop) = (integer(&args[2])?, integer(&args[3])?);
    let with_scores = match args.len() {
        4 => false,
        5 if args.is(4, "withscores") => true,
        _ => return Err(Refusal::SYNTAX),
    };
    let (found, mut reply) = cx.read(&args[1]);
    let Some(object) = found else {
        reply.array(0);
        return Ok(());
    };
    let zset = object.zset()?;
    let len = zset.len();
    let mut ranks = index_ranks(start, stop, len);
    if direction == Direction::Backward {
        ranks = len - ranks.end..len - ranks.start;
    }
    write_range(&mut reply, zset, ranks, direction, with_scores);
    Ok(())
}

/// The options of a range by score or bytes.
#[derive(Clone, Copy, Debug)]
struct RangeOptions {
    with_scores: bool,
    /// Members left out in front; a negative number leaves out all.
    offset: i64,
    /// Most members shown; negative for all.
    limit: i64,
}

impl RangeOptions {
    /// Reads the options from argument 4 on; `with_scores`: whether WITHSCORES is one.
    fn parse(args: &Args<'_>, with_scores: bool) -> Result<Self, Refusal> {
        let mut options = RangeOptions { with_scores: false, offset: 0, limit: -1 };
        let mut at = 4;
        while at < args.len() {
            if with_scores && args.is(at, "withscores") {
                options.with_scores = true;
                at += 1;
            } else if args.is(at, "limit") && at + 2 < args.len() {
                options.offset = integer(&args[at + 1])?;
                options.limit = integer(&args[at + 2])?;
                at += 3;
            } else {
                return Err(Refusal::SYNTAX);
            }
        }
        Ok(options)
    }

    /// What LIMIT leaves of a range.
    fn cut(&self, ranks: Range<usize>, direction: Direction) -> Range<usize> {
        let offset = usize::try_from(self.offset).unwrap_or(usize::MAX).min(ranks.len());
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX).min(ranks.len() - offset);
        match direction {
            Direction::Forward => ranks.start + offset..ranks.start + offset + limit,
            Direction::Backward => ranks.end - offset - limit..ranks.end - offset,
        }
    }
}

/// `ZRANGEBYSCORE key min max [WITHSCORES] [LIMIT offset count]`.
pub(crate) fn zrangebyscore(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let range = ScoreRange::parse(&args[2], &args[3])?;
    range_of_scores(cx, args, &range, Direction::Forward)
}

/// `ZREVRANGEBYSCORE key max min [WITHSCORES] [LIMIT offset count]`.
pub(crate) fn zrevrangebyscore(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let range = ScoreRange::parse(&args[3], &args[2])?;
    range_of_scores(cx, args, &range, Direction::Backward)
}

fn range_of_scores(
    cx: &mut Context<'_>,
    args: &Args<'_>,
    range: &ScoreRange,
    direction: Direction,
) -> Result<(), Refusal> {
    let options = RangeOptions::parse(args, true)?;
    let (found, mut reply) = cx.read(&args[1]);
    let Some(object) = found else {
        reply.array(0);
        return Ok(());
    };
    let zset = object.zset()?;
    let ranks = options.cut(zset.score_ranks(range), direction);
    write_range(&mut reply, zset, ranks, direction, options.with_scores);
    Ok(())
}

/// `ZRANGEBYLEX key min max [LIMIT offset count]`.
pub(crate) fn zrangebylex(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let range = LexRange::parse(&args[2], &args[3])?;
    range_of_bytes(cx, args, &range, Direction::Forward)
}

/// `ZREVRANGEBYLEX key max min [LIMIT offset count]`.
pub(crate) fn zrevrangebylex(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let range = LexRange::parse(&args[3], &args[2])?;
    range_of_bytes(cx, args, &range, Direction::Backward)
}

fn range_of_bytes(
    cx: &mut Context<'_>,
    args: &Args<'_>,
    range: &LexRange<'_>,
    direction: Direction,
) -> Result<(), Refusal> {
    let options = RangeOptions::parse(args, false)?;
    let (found, mut reply) = cx.read(&args[1]);
    let Some(object) = found else {
        reply.array(0);
        return Ok(());
    };
    let zset = object.zset()?;
    let ranks = zset.lex_ranks(range, direction == Direction::Backward);
    write_range(&mut reply, zset, options.cut(ranks, direction), direction, false);
    Ok(())
}

/// `ZCOUNT key min max`.
pub(crate) fn zcount(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let range = ScoreRange::parse(&args[2], &args[3])?;
    count(cx, &args[1], |zset| zset.score_ranks(&range))
}

/// `ZLEXCOUNT key min max`.
pub(crate) fn zlexcount(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let range = LexRange::parse(&args[2], &args[3])?;
    count(cx, &args[1], |zset| zset.lex_ranks(&range, false))
}

fn count(cx: &mut Context<'_>, key: &[u8], ranks: impl FnOnce(&Zset) -> Range<usize>) -> Result<(), Refusal> {
    let (found, mut reply) = cx.read(key);
    let count = match found {
        Some(object) => ranks(object.zset()?).len(),
        None => 0,
    };
    reply.count(count);
    Ok(())
}

/// `ZREMRANGEBYRANK key start stop`.
pub(crate) fn zremrangebyrank(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let (start, stop) = (integer(&args[2])?, integer(&args[3])?);
    remove(cx, &args[1], "zremrangebyrank", |zset| index_ranks(start, stop, zset.len()))
}

/// `ZREMRANGEBYSCORE key min max`.
pub(crate) fn zremrangebyscore(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let range = ScoreRange::parse(&args[2], &args[3])?;
    remove(cx, &args[1], "zremrangebyscore", |zset| zset.score_ranks(&range))
}

/// `ZREMRANGEBYLEX key min max`.
pub(crate) fn zremrangebylex(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let range = LexRange::parse(&args[2], &args[3])?;
    remove(cx, &args[1], "zremrangebylex", |zset| zset.lex_ranks(&range, false))
}

fn remove(
    cx: &mut Context<'_>,
    key: &[u8],
    event: &'static str,
    ranks: impl FnOnce(&Zset) -> Range<usize>,
) -> Result<(), Refusal> {
    let Some(mut object) = cx.lookup_write(key) else {
        cx.reply().integer(0);
        return Ok(());
    };
    let mut zset = object.zset()?;
    let ranks = ranks(&zset);
    let removed = zset.remove_range(ranks);
    let emptied = zset.is_empty();
    drop(zset);
    if emptied {
        object.remove();
    }
    cx.elements_removed(key, event, removed, emptied);
    cx.reply().count(removed);
    Ok(())
}

/// `ZPOPMIN key [count]`.
pub(crate) fn zpopmin(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    pop(cx, args, "zpopmin", Direction::Forward)
}

/// `ZPOPMAX key [count]`.
pub(crate) fn zpopmax(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    pop(cx, args, "zpopmax", Direction::Backward)
}

fn pop(cx: &mut Context<'_>, args: &Args<'_>, event: &'static str, direction: Direction) -> Result<(), Refusal> {
    if args.len() > 3 {
        return Err(Refusal::SYNTAX);
    }
    let count = match args.get(2) {
        Some(count) => integer(count)?,
        None => 1,
    };
    let key = &args[1];
    let Some(count) = usize::try_from(count).ok().filter(|&count| count > 0) else {
        cx.reply().array(0);
        return Ok(());
    };
    let (found, mut reply) = cx.write(key);
    let Some(mut object) = found else {
        reply.array(0);
        return Ok(());
    };
    let mut zset = object.zset()?;
    let len = zset.len();
    let count = count.min(len);
    let ranks = match direction {
        Direction::Forward => 0..count,
        Direction::Backward => len - count..len,
    };
    write_range(&mut reply, &zset, ranks.clone(), direction, true);
    let removed = zset.remove_range(ranks);
    let emptied = zset.is_empty();
    drop(zset);
    if emptied {
        object.remove();
    }
    cx.elements_removed(key, event, removed, emptied);
    Ok(())
}
