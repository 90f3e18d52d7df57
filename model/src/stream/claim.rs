//! XCLAIM.

use super::group::pending_group;
use super::set_id_command;
use super::{Consumer, Group, Pending, StreamEdit, StreamId, StreamValue, ago, claim_command, entry_reply, naming};
use crate::call::Call;
use crate::clause::Clause;
use crate::numbers::parse_integer;
use crate::plan::{Plan, Propagation, Refusal};
use crate::reply::{Bytes, Reply};
use crate::span::Span;

/// What stands behind the ids.
#[derive(Default)]
struct Options {
    force: bool,
    just_id: bool,
    /// The time of delivery, or how long before the present it is.
    time: Option<Time>,
    retry_count: Option<u64>,
    last_id: Option<StreamId>,
}

#[derive(Clone, Copy)]
enum Time {
    At(i64),
    Idle(i64),
}

fn integer(clause: Clause, text: &[u8], line: &'static str) -> Result<i64, Refusal> {
    parse_integer(text).ok_or_else(|| Refusal::new(clause, line))
}

/// [XCLAIM-9] [XCLAIM-10]
fn options(call: &Call<'_>, mut at: usize) -> Result<Options, Refusal> {
    let mut options = Options::default();
    while let Some(&word) = call.args.get(at) {
        let value = call.args.get(at + 1);
        let clause = Clause::XCLAIM_10;
        match (word.to_ascii_lowercase().as_slice(), value) {
            (b"force", _) => options.force = true,
            (b"justid", _) => options.just_id = true,
            (b"idle", Some(value)) => {
                at += 1;
                let line = "ERR Invalid IDLE option argument for XCLAIM";
                options.time = Some(Time::Idle(integer(clause, value, line)?));
            }
            (b"time", Some(value)) => {
                at += 1;
                let line = "ERR Invalid TIME option argument for XCLAIM";
                options.time = Some(Time::At(integer(clause, value, line)?));
            }
            (b"retrycount", Some(value)) => {
                at += 1;
                let line = "ERR Invalid RETRYCOUNT option argument for XCLAIM";
                options.retry_count = u64::try_from(integer(clause, value, line)?).ok();
            }
            (b"lastid", Some(value)) => {
                at += 1;
                options.last_id = Some(call.stream_id(value)?);
            }
            _ => return Err(naming(Clause::XCLAIM_9, &[b"ERR Unrecognized XCLAIM option '", word, b"'"])),
        }
        at += 1;
    }
    Ok(options)
}

/// The time of delivery that a claimed entry gets. [XCLAIM-4]
fn delivered(time: Option<Time>, now: Span) -> Span {
    let at = |now_ms: i64| {
        let given = match time {
            None => now_ms,
            Some(Time::At(ms)) => ms,
            Some(Time::Idle(ms)) => now_ms.saturating_sub(ms),
        };
        if (0..=now_ms).contains(&given) { given } else { now_ms }
    };
    let (one, other) = (at(now.earliest_ms), at(now.latest_ms));
    Span { earliest_ms: one.min(other), latest_ms: one.max(other) }
}

/// Which of the ids are claimed, and what becomes of the group.
struct Claimed {
    replies: Vec<Reply>,
    group: Group,
    commands: Vec<Vec<Bytes>>,
}

struct Claim<'a> {
    call: &'a Call<'a>,
    stream: &'a StreamValue,
    consumer: &'a [u8],
    least_idle: i64,
    options: Options,
}

impl Claim<'_> {
    /// The answer for one id that is claimed. [XCLAIM-1] [XCLAIM-6]
    fn reply(&self, id: StreamId) -> Reply {
        if self.options.just_id {
            return Reply::Bulk(id.to_text());
        }
        self.stream.entry(id).map_or(Reply::NilBulk, |pairs| entry_reply(id, pairs))
    }

    /// Whether a pending entry has been idle for long enough; where the clock leaves that open, the answer tells. [XCLAIM-2]
    fn is_idle(&self, id: StreamId, pending: &Pending, answered: usize) -> bool {
        let idle = ago(pending.delivered, self.call.span);
        if *idle.start() >= self.least_idle {
            return true;
        }
        let answer = match self.call.answer {
            Some(Reply::Array(elements)) => elements.get(answered),
            _ => None,
        };
        *idle.end() >= self.least_idle && answer == Some(&self.reply(id))
    }

    /// Goes through the ids in their order.
    fn claim(&self, ids: &[StreamId], group: &Group) -> Claimed {
        let (key, name) = (self.call.args[1], self.call.args[2]);
        let mut group = group.clone();
        let (mut replies, mut commands) = (Vec::new(), Vec::new());
        // [XCLAIM-7]
        let before = group.last_id;
        if let Some(id) = self.options.last_id {
            group.last_id = group.last_id.max(id);
        }
        for &id in ids {
            let present = match group.pending.get(&id) {
                Some(pending) if self.is_idle(id, pending, replies.len()) => pending.deliveries,
                Some(_) => continue,
                // [XCLAIM-3]
                None if self.options.force && self.stream.entry(id).is_some() => 1,
                None => continue,
            };
            // [XCLAIM-5]
            let deliveries = match self.options.retry_count {
                Some(count) => count,
                None if self.options.just_id => present,
                None => present.saturating_add(1),
            };
            let delivered = delivered(self.options.time, self.call.span);
            let pending = Pending { consumer: self.consumer.to_vec(), delivered, deliveries };
            group.consumers.insert(self.consumer.to_vec(), Consumer { seen: self.call.span });
            commands.push(claim_command(key, name, &group, id, &pending));
            replies.push(self.reply(id));
            group.pending.insert(id, pending);
        }
        // [PROPAGATION-24]
        if commands.is_empty() && group.last_id != before {
            commands.push(set_id_command(key, name, &group));
        }
        Claimed { replies, group, commands }
    }
}

pub(crate) fn xclaim(call: &Call<'_>) -> Result<Plan, Refusal> {
    let (stream, group) = pending_group(call).inspect_err(|_| call.cite(Clause::XCLAIM_11))?;
    let least_idle = integer(Clause::XCLAIM_10, call.args[4], "ERR Invalid min-idle-time argument for XCLAIM")?.max(0);
    for clause in [Clause::XCLAIM_8, Clause::XCLAIM_11] {
        call.cite(clause);
    }
    let ids: Vec<StreamId> = call.args[5..].iter().map_while(|text| StreamId::parse(text, 0)).collect();
    let options = options(call, 5 + ids.len())?;
    for clause in [Clause::XCLAIM_4, Clause::XCLAIM_5, Clause::GROUP_4, Clause::PROPAGATION_24] {
        call.cite(clause);
    }
    let clause = match &options {
        Options { force: true, .. } => Clause::XCLAIM_3,
        Options { just_id: true, .. } => Clause::XCLAIM_6,
        Options { last_id: Some(_), .. } => Clause::XCLAIM_7,
        _ if least_idle > 0 => Clause::XCLAIM_2,
        _ => Clause::XCLAIM_1,
    };
    let claim = Claim { call, stream, consumer: call.args[3], least_idle, options };
    let Claimed { replies, group: after, commands } = claim.claim(&ids, group);
    let edit = |group: Group| call.edit_stream(call.args[1], StreamEdit::Group(call.args[2].to_vec(), Some(group)));
    let mut plan = Plan::reply(clause, Reply::Array(replies));
    if call.model.profile.streams.claims_make_consumers {
        // The consumer is made, and counts as seen, whatever comes of it. (E-121)
        let mut early = after;
        early.consumers.insert(call.args[3].to_vec(), Consumer { seen: call.span });
        plan = plan.with(edit(early));
    } else if !commands.is_empty() {
        plan = plan.with(edit(after));
    }
    if !commands.is_empty() {
        plan.propagation = Propagation::Instead { aof: commands.clone(), replicas: Some(commands) };
    }
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::{Time, delivered};
    use crate::span::Span;

    #[test]
    fn times_of_delivery_lie_between_0_and_now() {
        let now = Span { earliest_ms: 1000, latest_ms: 1010 };
        assert_eq!(delivered(None, now), now);
        assert_eq!(delivered(Some(Time::At(5)), now), Span::at(5));
        assert_eq!(delivered(Some(Time::Idle(600)), now), Span { earliest_ms: 400, latest_ms: 410 });
        for time in [Time::At(-1), Time::At(1011), Time::Idle(-1), Time::Idle(i64::MIN), Time::Idle(i64::MAX)] {
            assert_eq!(delivered(Some(time), now), now);
        }
    }
}
