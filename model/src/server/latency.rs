//! LATENCY: which samples there are nobody knows, unless there are none.

use std::sync::Arc;

use super::ServerChange;
use super::container::{help, one_line, unknown_subcommand};
use crate::allowed::{Allowed, Judge};
use crate::call::Call;
use crate::clause::Clause;
use crate::erratum::Erratum;
use crate::plan::{Change, Plan, Refusal};
use crate::reply::Reply;

/// So many samples of an event are kept. [LATENCY-2]
const MOST_SAMPLES: usize = 160;

/// LATENCY and its subcommands.
pub(crate) fn latency(call: &Call<'_>) -> Result<Plan, Refusal> {
    let none = call.model.server.has_no_samples && is_off(call);
    match (call.args[1].to_ascii_lowercase().as_slice(), &call.args[2..]) {
        (b"help", []) => Ok(Plan::new(Clause::CLIENT_28, help("LATENCY"))),
        // Real servers answer whatever stands behind it.
        (b"help", _) => {
            let plan = Plan::from(unknown_subcommand(Clause::LATENCY_10, call.args[1], "LATENCY HELP."));
            Ok(plan.or_erratum(Erratum::E_161, help("LATENCY"), Vec::new()))
        }
        (b"latest", []) => Ok(samples(call, Clause::LATENCY_3, Shape::Latest, none)),
        (b"history", [_]) => Ok(samples(call, Clause::LATENCY_4, Shape::History, none)),
        (b"graph", [event]) => Ok(graph(call, event, none)),
        (b"doctor", []) => Ok(Plan::new(Clause::LATENCY_8, Allowed::Judged(Arc::new(Report { none })))),
        (b"reset", events) => Ok(reset(call, events, none)),
        _ => Err(unknown_subcommand(Clause::LATENCY_10, call.args[1], "LATENCY HELP.")),
    }
}

/// Nothing is sampled. [LATENCY-1]
fn is_off(call: &Call<'_>) -> bool {
    call.cite(Clause::LATENCY_1);
    call.model.server.config.value("latency-monitor-threshold") == Some(b"0")
}

fn samples(call: &Call<'_>, clause: Clause, shape: Shape, none: bool) -> Plan {
    call.cite(Clause::LATENCY_2);
    if none {
        return Plan::reply(clause, Reply::Array(Vec::new()));
    }
    Plan::new(clause, Allowed::Judged(Arc::new(shape)))
}

/// The rows of an answer.
#[derive(Clone, Copy, Debug)]
enum Shape {
    /// Events: name, time, latest and longest.
    Latest,
    /// Samples: time and length.
    History,
}

impl Judge for Shape {
    fn describe(&self) -> String {
        match self {
            Self::Latest => "the latest sample of each event".into(),
            Self::History => "the samples of an event".into(),
        }
    }

    fn judge(&self, reply: &Reply) -> Result<(), String> {
        let Reply::Array(rows) = reply else { return Err("not an array".into()) };
        let mut last = i64::MIN;
        for row in rows {
            let Reply::Array(parts) = row else { return Err(format!("{row} is no row")) };
            match (self, parts.as_slice()) {
                (
                    Self::Latest,
                    [Reply::Bulk(_), Reply::Integer(_), Reply::Integer(latest), Reply::Integer(longest)],
                ) if latest <= longest => {}
                (Self::History, [Reply::Integer(time), Reply::Integer(_)]) if *time > last => last = *time,
                _ => return Err(format!("{row} is no row")),
            }
        }
        match self {
            Self::History if rows.len() > MOST_SAMPLES => Err(format!("{} samples", rows.len())),
            _ => Ok(()),
        }
    }
}

/// [LATENCY-6] [LATENCY-7] [LATENCY-9]
fn graph(call: &Call<'_>, event: &[u8], none: bool) -> Plan {
    let mut line = b"ERR No samples available for event '".to_vec();
    line.extend(one_line(event));
    line.push(b'\'');
    let missing = Allowed::Error(line.into());
    if none {
        return Plan::new(Clause::LATENCY_7, missing);
    }
    call.cite(Clause::LATENCY_9);
    let drawn = Allowed::Judged(Arc::new(Graph { event: String::from_utf8_lossy(event).into_owned() }));
    Plan::new(Clause::LATENCY_6, Allowed::Either(Box::new(drawn), Box::new(missing)))
}

#[derive(Debug)]
struct Graph {
    event: String,
}

impl Judge for Graph {
    fn describe(&self) -> String {
        format!("a graph of {}", self.event)
    }

    fn judge(&self, reply: &Reply) -> Result<(), String> {
        let Reply::Bulk(text) = reply else { return Err("not a bulk string".into()) };
        let text = String::from_utf8_lossy(text);
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default();
        let numbers = first
            .strip_prefix(&format!("{} - high ", self.event))
            .and_then(|rest| rest.strip_suffix(" ms)"))
            .ok_or_else(|| format!("`{first}`"))?;
        let (high, rest) = numbers.split_once(" ms, low ").ok_or_else(|| format!("`{first}`"))?;
        let (low, ever) = rest.split_once(" ms (all time high ").ok_or_else(|| format!("`{first}`"))?;
        let number = |text: &str| text.parse::<u64>().map_err(|_| format!("{text} is no number"));
        let (high, low, ever) = (number(high)?, number(low)?, number(ever)?);
        if low > high || high > ever {
            return Err(format!("`{first}`"));
        }
        match lines.next() {
            Some(line) if line == "-".repeat(80) => Ok(()),
            other => Err(format!("{other:?} where 80 dashes are due")),
        }
    }
}

/// [LATENCY-5]
fn reset(call: &Call<'_>, events: &[&[u8]], none: bool) -> Plan {
    let most = match (none, events.len()) {
        (true, _) => 0,
        (false, 0) => i64::MAX,
        (false, named) => i64::try_from(named).unwrap_or(i64::MAX),
    };
    let plan = Plan::new(Clause::LATENCY_5, Allowed::Within(0..=most));
    if events.is_empty() && is_off(call) { plan.with(Change::Server(ServerChange::ResetSamples)) } else { plan }
}

/// [LATENCY-8]
#[derive(Debug)]
struct Report {
    none: bool,
}

impl Judge for Report {
    fn describe(&self) -> String {
        "a report on latency".into()
    }

    fn judge(&self, reply: &Reply) -> Result<(), String> {
        let Reply::Bulk(text) = reply else { return Err("not a bulk string".into()) };
        let text = String::from_utf8_lossy(text);
        if self.none && !text.contains("latency-monitor-threshold") {
            return Err("it does not say how to switch it on".into());
        }
        if text.is_empty() { Err("it is empty".into()) } else { Ok(()) }
    }
}
