//! Sorted sets: members added, scored, counted and taken out one by one.

use super::scan::{self, Options};
use super::{Context, Refusal};
use crate::number::{F64_TEXT_MAX, I64_TEXT_MAX, parse_f64, score_text};
use crate::resp::{Args, Reply};
use crate::structures::ziplist::Value;
use crate::values::zset::Added;
use crate::values::{Collection, Zset, ZsetLimits};

/// Writes a score as `%.17g` prints it.
pub(crate) fn write_score(reply: &mut Reply<'_>, score: f64) {
    reply.bulk(score_text(score, &mut [0; F64_TEXT_MAX]));
}

/// Writes a member, and its score if it is wanted.
pub(super) fn write_member(reply: &mut Reply<'_>, member: Value<'_>, score: f64, with_score: bool) {
    reply.bulk(member.text(&mut [0; I64_TEXT_MAX]));
    if with_score {
        write_score(reply, score);
    }
}

/// What ZADD does besides adding.
#[derive(Clone, Copy, Debug, Default)]
struct AddOptions {
    /// Only members that are not there.
    nx: bool,
    /// Only members that are there.
    xx: bool,
    /// Counts changed members too.
    ch: bool,
    /// The score is added to the one that is there.
    incr: bool,
}

/// What ZADD came to.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    added: usize,
    updated: usize,
    /// The score of the last member that an option did not leave as it was.
    score: Option<f64>,
}

impl Tally {
    fn add(
        &mut self,
        zset: &mut Zset,
        member: &[u8],
        score: f64,
        options: AddOptions,
        limits: &ZsetLimits,
    ) -> Result<(), Refusal> {
        let old = zset.score(member);
        if options.nx && old.is_some() || options.xx && old.is_none() {
            return Ok(());
        }
        let score = match old {
            Some(old) if options.incr => old + score,
            _ => score,
        };
        if score.is_nan() {
            return Err("ERR resulting score is not a number (NaN)".into());
        }
        match zset.insert_over(old, member, score, limits) {
            Added::New => self.added += 1,
            Added::Moved => self.updated += 1,
            Added::Same => {}
        }
        self.score = Some(score);
        Ok(())
    }
}

/// `ZADD key [NX|XX] [CH] [INCR] score member [score member …]`.
pub(crate) fn zadd(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    add(cx, args, AddOptions::default())
}

/// `ZINCRBY key increment member`: ZADD with INCR, whose options it takes in place of the increment, only to refuse the
/// rest.
pub(crate) fn zincrby(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    add(cx, args, AddOptions { incr: true, ..AddOptions::default() })
}

fn add(cx: &mut Context<'_>, args: &Args<'_>, mut options: AddOptions) -> Result<(), Refusal> {
    let key = &args[1];
    let mut at = 2;
    while at < args.len() {
        if args.is(at, "nx") {
            options.nx = true;
        } else if args.is(at, "xx") {
            options.xx = true;
        } else if args.is(at, "ch") {
            options.ch = true;
        } else if args.is(at, "incr") {
            options.incr = true;
        } else {
            break;
        }
        at += 1;
    }
    let rest = args.len() - at;
    if rest == 0 || !rest.is_multiple_of(2) {
        return Err(Refusal::SYNTAX);
    }
    if options.nx && options.xx {
        return Err("ERR XX and NX options at the same time are not compatible".into());
    }
    if options.incr && rest > 2 {
        return Err("ERR INCR option supports a single increment-element pair".into());
    }
    // Nothing is added before all scores are known to be floats.
    let scores = (at..args.len()).step_by(2).map(|at| parse_f64(&args[at]).ok_or(Refusal::NOT_A_FLOAT));
    let scores = scores.collect::<Result<Vec<f64>, Refusal>>()?;
    let pairs = || scores.iter().zip((at + 1..args.len()).step_by(2)).map(|(score, at)| (*score, &args[at]));
    let limits = cx.zset_limits();
    let mut tally = Tally::default();
    match cx.lookup_write(key) {
        Some(mut object) => {
            let mut zset = object.zset()?;
            for (score, member) in pairs() {
                tally.add(&mut zset, member, score, options, &limits)?;
            }
        }
        None if options.xx => {}
        None => {
            let mut zset = Zset::beginning_with(&args[at + 1], &limits);
            for (score, member) in pairs() {
                tally.add(&mut zset, member, score, options, &limits)?;
            }
            cx.add_collection(key, Collection::Zset(zset));
        }
    }
    let changed = tally.added + tally.updated;
    if changed > 0 {
        cx.modified_times(key, if options.incr { "zincr" } else { "zadd" }, changed);
    }
    let mut reply = cx.reply();
    match tally.score {
        Some(score) if options.incr => write_score(&mut reply, score),
        None if options.incr => reply.nil(),
        _ => reply.count(if options.ch { changed } else { tally.added }),
    }
    Ok(())
}

/// `ZREM key member [member …]`.
pub(crate) fn zrem(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let key = &args[1];
    let Some(mut object) = cx.lookup_write(key) else {
        cx.reply().integer(0);
        return Ok(());
    };
    let mut zset = object.zset()?;
    let mut removed = 0;
    for member in args.iter().skip(2) {
        removed += usize::from(zset.remove(member).is_some());
        if zset.is_empty() {
            break;
        }
    }
    let emptied = zset.is_empty();
    drop(zset);
    if emptied {
        object.remove();
    }
    cx.elements_removed(key, "zrem", removed, emptied);
    cx.reply().count(removed);
    Ok(())
}

/// `ZCARD key`.
pub(crate) fn zcard(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let (found, mut reply) = cx.read(&args[1]);
    let members = match found {
        Some(object) => object.zset()?.len(),
        None => 0,
    };
    reply.count(members);
    Ok(())
}

/// `ZSCORE key member`.
pub(crate) fn zscore(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let (found, mut reply) = cx.read(&args[1]);
    let score = match found {
        Some(object) => object.zset()?.score(&args[2]),
        None => None,
    };
    match score {
        Some(score) => write_score(&mut reply, score),
        None => reply.nil(),
    }
    Ok(())
}

/// `ZRANK key member`.
pub(crate) fn zrank(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    rank(cx, args, |rank, _| rank)
}

/// `ZREVRANK key member`.
pub(crate) fn zrevrank(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    rank(cx, args, |rank, len| len - 1 - rank)
}

fn rank(cx: &mut Context<'_>, args: &Args<'_>, place: fn(usize, usize) -> usize) -> Result<(), Refusal> {
    let (found, mut reply) = cx.read(&args[1]);
    let Some(object) = found else {
        reply.nil();
        return Ok(());
    };
    let zset = object.zset()?;
    match zset.rank(&args[2]) {
        Some(rank) => reply.count(place(rank, zset.len())),
        None => reply.nil(),
    }
    Ok(())
}

/// `ZSCAN key cursor [MATCH pattern] [COUNT count]`.
pub(crate) fn zscan(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let cursor = scan::parse_cursor(&args[2])?;
    let (found, reply) = cx.read(&args[1]);
    let Some(object) = found else {
        scan::write_page::<&[u8]>(reply, 0, &[]);
        return Ok(());
    };
    let zset = object.zset()?;
    let options = Options::parse(args, 3)?;
    let mut elements = Vec::new();
    let mut digits = [0; I64_TEXT_MAX];
    let cursor = zset.scan(cursor, options.count, |member, score| {
        let member = member.text(&mut digits);
        if options.matches(member) {
            elements.push(member.to_vec());
            elements.push(score_text(score, &mut [0; F64_TEXT_MAX]).to_vec());
        }
    });
    scan::write_page(reply, cursor, &elements);
    Ok(())
}
