//! XLEN, XRANGE and XREVRANGE.

use super::{StreamId, entry_reply, syntax_error};
use crate::call::Call;
use crate::clause::Clause;
use crate::plan::{Plan, Refusal};
use crate::reply::Reply;

pub(crate) fn xlen(call: &Call<'_>) -> Result<Plan, Refusal> {
    let length = call.find_stream(call.args[1])?.map_or(0, super::StreamValue::len);
    Ok(Plan::integer(Clause::XLEN_1, i64::try_from(length).unwrap_or(i64::MAX)))
}

pub(crate) fn xrange(call: &Call<'_>) -> Result<Plan, Refusal> {
    call.cite(Clause::XRANGE_7);
    let first = call.range_limit(call.args[2], 0)?;
    let last = call.range_limit(call.args[3], u64::MAX)?;
    range(call, Clause::XRANGE_1, first, last, false)
}

pub(crate) fn xrevrange(call: &Call<'_>) -> Result<Plan, Refusal> {
    call.cite(Clause::XRANGE_7);
    let last = call.range_limit(call.args[2], u64::MAX)?;
    let first = call.range_limit(call.args[3], 0)?;
    range(call, Clause::XREVRANGE_1, first, last, true)
}

fn range(call: &Call<'_>, clause: Clause, first: StreamId, last: StreamId, reverse: bool) -> Result<Plan, Refusal> {
    call.cite(Clause::XRANGE_2);
    let count = count(call)?;
    let Some(stream) = call.find_stream(call.args[1])? else {
        return Ok(Plan::reply(Clause::XRANGE_7, Reply::Array(Vec::new())));
    };
    let most = match count {
        None => usize::MAX,
        Some(count) => match usize::try_from(count) {
            Ok(count) if count > 0 => count,
            _ => return Ok(Plan::reply(Clause::XRANGE_4, Reply::NilArray)),
        },
    };
    call.cite(Clause::STREAM_9);
    let mut entries: Vec<_> = stream.entries().filter(|(id, _)| first <= *id && *id <= last).collect();
    if reverse {
        entries.reverse();
    }
    let entries = entries.into_iter().take(most).map(|(id, pairs)| entry_reply(id, pairs)).collect();
    Ok(Plan::reply(clause, Reply::Array(entries)))
}

/// [XRANGE-3] [XRANGE-5] [XRANGE-6]
fn count(call: &Call<'_>) -> Result<Option<i64>, Refusal> {
    let mut count = None;
    let mut at = 4;
    while at < call.args.len() {
        if !call.args[at].eq_ignore_ascii_case(b"count") || at + 1 == call.args.len() {
            return Err(syntax_error(Clause::XRANGE_6));
        }
        call.cite(Clause::XRANGE_3);
        count = Some(call.integer(at + 1).inspect_err(|_| call.cite(Clause::XRANGE_5))?);
        at += 2;
    }
    Ok(count)
}
