//! OBJECT: how values are stored and when they were used.

use crate::allowed::Allowed;
use crate::call::Call;
use crate::clause::Clause;
use crate::erratum::Erratum;
use crate::keyspace::Entry;
use crate::plan::{Plan, Refusal};
use crate::reply::Reply;
use crate::value::{Encoding, Value};

/// The reference count of shared objects.
const SHARED: i64 = 2_147_483_647;

pub(crate) fn object(call: &Call<'_>) -> Result<Plan, Refusal> {
    let subcommand = call.args[1].to_ascii_lowercase();
    let judge: fn(&Call<'_>, &Entry) -> Plan = match (subcommand.as_slice(), call.args.len()) {
        (b"help", 2) => return Ok(Plan::new(Clause::OBJECT_8, Allowed::Checked("an array of status lines", is_help))),
        (b"encoding", 3) => encoding,
        (b"refcount", 3) => reference_count,
        (b"idletime", 3) => idle_time,
        (b"freq", 3) => frequency,
        _ => {
            let mut line = b"ERR Unknown subcommand or wrong number of arguments for '".to_vec();
            line.extend(Call::quotable(call.args[1], usize::MAX));
            line.extend(b"'. Try OBJECT HELP.");
            return Err(Refusal::with(Clause::OBJECT_9, line));
        }
    };
    let key = call.args[2];
    if let Some(entry) = call.look(key) {
        return Ok(judge(call, entry));
    }
    let absent = Plan::reply(Clause::OBJECT_7, Reply::NilBulk);
    // Real servers look without regard to the deadline.
    Ok(call
        .ghosts(key)
        .fold(absent, |plan, entry| plan.or_erratum(Erratum::E_4, judge(call, entry).allowed, Vec::new())))
}

fn is_help(reply: &Reply) -> Result<(), String> {
    match reply {
        Reply::Array(lines) if lines.iter().all(|line| matches!(line, Reply::Status(_))) => Ok(()),
        _ => Err("not an array of status lines".to_owned()),
    }
}

fn encoding(call: &Call<'_>, entry: &Entry) -> Plan {
    for &clause in match entry.value.encoding() {
        Encoding::Int => &[Clause::STRING_5, Clause::STRING_1, Clause::STRING_3][..],
        Encoding::Embstr => &[Clause::STRING_5, Clause::STRING_1, Clause::STRING_4],
        Encoding::Raw => &[Clause::STRING_5, Clause::STRING_1, Clause::STRING_2],
        Encoding::Stream => &[Clause::OBJECT_10],
        _ => &[],
    } {
        call.cite(clause);
    }
    Plan::reply(Clause::OBJECT_1, Reply::bulk(entry.value.encoding().name()))
}

fn is_shared(entry: &Entry) -> bool {
    matches!(&entry.value, Value::String(string) if string.shared)
}

fn reference_count(call: &Call<'_>, entry: &Entry) -> Plan {
    call.cite(Clause::OBJECT_HEADER_2);
    if call.model.executing && matches!(entry.value, Value::String(_)) && !is_shared(entry) {
        return Plan::new(Clause::OBJECT_2, Allowed::Within(1..=2));
    }
    Plan::integer(Clause::OBJECT_2, if is_shared(entry) { SHARED } else { 1 })
}

fn idle_time(call: &Call<'_>, entry: &Entry) -> Plan {
    if call.model.server.counts_frequency() {
        return Refusal::new(
            Clause::OBJECT_4,
            "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between \
             policies at runtime LRU and LFU data will take some time to adjust.",
        )
        .into();
    }
    if is_shared(entry) {
        return Plan::new(Clause::IDLE_5, Allowed::Within(0..=i64::MAX));
    }
    call.cite(Clause::IDLE_1);
    call.cite(Clause::IDLE_2);
    let lag = call.model.profile.clock_lag_ms;
    let seconds = |ms: i64| ms.div_euclid(1000);
    let least = seconds(call.span.earliest_ms - lag) - seconds(entry.access.last.latest_ms);
    let most = seconds(call.span.latest_ms) - seconds(entry.access.last.earliest_ms - lag);
    Plan::new(Clause::OBJECT_3, Allowed::Within(least.max(0)..=most.max(0)))
}

fn frequency(call: &Call<'_>, entry: &Entry) -> Plan {
    if !call.model.server.counts_frequency() {
        return Refusal::new(
            Clause::OBJECT_6,
            "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching \
             between policies at runtime LRU and LFU data will take some time to adjust.",
        )
        .into();
    }
    let most = if is_shared(entry) { u8::MAX } else { entry.access.most_frequent };
    Plan::new(Clause::OBJECT_5, Allowed::Within(0..=i64::from(most)))
}
