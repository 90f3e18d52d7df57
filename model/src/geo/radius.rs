//! GEORADIUS and GEORADIUSBYMEMBER: which members lie around a place.

use std::sync::Arc;

use super::place::{Place, is_place};
use super::{distance_reply, place_argument, place_reply, unit};
use crate::allowed::{Allowed, Judge};
use crate::call::Call;
use crate::clause::Clause;
use crate::erratum::Erratum;
use crate::plan::{Change, Expiry, Plan, Refusal};
use crate::reply::{Bytes, Reply};
use crate::score::{Score, parse_score};
use crate::sort::Window;
use crate::strings::length;
use crate::value::Value;
use crate::zset::ZsetValue;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Any,
    Nearest,
    Farthest,
}

/// What stands behind the radius.
struct Options<'a> {
    with_place: bool,
    with_distance: bool,
    with_hash: bool,
    order: Order,
    count: Option<usize>,
    /// The destination, and whether distances are its scores.
    store: Option<(&'a [u8], bool)>,
}

impl<'a> Options<'a> {
    fn parse(call: &Call<'a>, mut position: usize, stores: bool) -> Result<Self, Refusal> {
        let mut options = Self {
            with_place: false,
            with_distance: false,
            with_hash: false,
            order: Order::Any,
            count: None,
            store: None,
        };
        while let Some(word) = call.args.get(position) {
            let next = call.args.get(position + 1).copied();
            match (word.to_ascii_lowercase().as_slice(), next) {
                (b"withcoord", _) => options.with_place = true,
                (b"withdist", _) => options.with_distance = true,
                (b"withhash", _) => options.with_hash = true,
                (b"asc", _) => options.order = Order::Nearest,
                (b"desc", _) => options.order = Order::Farthest,
                (b"count", Some(_)) => {
                    position += 1;
                    let count = usize::try_from(call.integer(position)?).unwrap_or(0);
                    if count == 0 {
                        return Err(Refusal::new(Clause::GEORADIUS_7, "ERR COUNT must be > 0"));
                    }
                    options.count = Some(count);
                }
                (store @ (b"store" | b"storedist"), Some(key)) if stores => {
                    position += 1;
                    options.store = Some((key, store == b"storedist"));
                }
                _ => return Err(Refusal::new(Clause::GEORADIUS_8, "ERR syntax error")),
            }
            position += 1;
        }
        if options.store.is_some() && (options.with_place || options.with_distance || options.with_hash) {
            let line = "ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORDS options";
            return Err(Refusal::new(Clause::GEORADIUS_9, line));
        }
        if options.count.is_some() && options.order == Order::Any {
            options.order = Order::Nearest;
        }
        Ok(options)
    }
}

/// The radius in meters, and the meters of its unit.
fn radius_argument(call: &Call<'_>, position: usize) -> Result<(f64, f64), Refusal> {
    let Some(radius) = parse_score(call.args[position]) else {
        return Err(Refusal::new(Clause::GEORADIUS_5, "ERR need numeric radius"));
    };
    if radius < 0.0 {
        return Err(Refusal::new(Clause::GEORADIUS_6, "ERR radius cannot be negative"));
    }
    let meters = unit(call, position + 1)?;
    Ok((radius * meters, meters))
}

/// A member within the radius.
#[derive(Clone)]
struct Found<'a> {
    member: &'a Bytes,
    score: f64,
    place: Place,
    /// From the centre, in the unit of the command.
    distance: f64,
}

impl Found<'_> {
    fn shown(&self, options: &Options<'_>) -> Reply {
        let member = Reply::bulk(self.member.as_slice());
        if !(options.with_distance || options.with_hash || options.with_place) {
            return member;
        }
        let mut row = vec![member];
        if options.with_distance {
            row.push(distance_reply(self.distance));
        }
        if options.with_hash {
            // A geohash has 52 bits.
            row.push(Reply::Integer(self.score as i64));
        }
        if options.with_place {
            row.push(place_reply(self.place));
        }
        Reply::Array(row)
    }
}

/// The members within a distance in meters, in the order in which the command answers or cuts them: where that is by
/// distance, equally far ones by score and bytes.
fn around<'z>(zset: &'z ZsetValue, centre: Place, within: (f64, f64), order: Order) -> Vec<Found<'z>> {
    let (radius, meters) = within;
    let mut found = Vec::new();
    for (score, member) in zset.order.iter().filter(|(score, _)| is_place(score.0)) {
        let place = Place::of_score(score.0);
        let distance = centre.distance(place);
        if distance <= radius {
            found.push(Found { member, score: score.0, place, distance: distance / meters });
        }
    }
    // Stable, and no distance is not-a-number.
    match order {
        Order::Any => {}
        Order::Nearest => found.sort_by(|one, other| one.distance.total_cmp(&other.distance)),
        Order::Farthest => found.sort_by(|one, other| other.distance.total_cmp(&one.distance)),
    }
    found
}

/// What real servers answer that overlook members: rows of the right ones, in the right order. (E-63)
#[derive(Debug)]
struct Overlooking {
    /// All rows; those of a group may come in any order.
    groups: Vec<Vec<Reply>>,
}

impl Judge for Overlooking {
    fn describe(&self) -> String {
        format!("some of {}", Reply::Array(self.groups.concat()))
    }

    fn judge(&self, reply: &Reply) -> Result<(), String> {
        let Reply::Array(got) = reply else { return Err("not an array".to_owned()) };
        let mut groups = self.groups.as_slice();
        for row in got {
            let group = groups.iter().position(|group| group.contains(row));
            groups = &groups[group.ok_or_else(|| format!("{row} does not belong there"))?..];
        }
        Ok(())
    }
}

fn search(call: &Call<'_>, zset: &ZsetValue, centre: Place, position: usize, stores: bool) -> Result<Plan, Refusal> {
    let within = radius_argument(call, position)?;
    let options = Options::parse(call, position + 2, stores)?;
    let found = around(zset, centre, within, options.order);
    let count = options.count.map_or(found.len(), |count| count.min(found.len()));
    for (clause, holds) in [
        (Clause::GEORADIUS_2, options.with_distance || options.with_hash || options.with_place),
        (Clause::GEORADIUS_3, options.order != Order::Any),
        (Clause::GEORADIUS_4, options.count.is_some()),
    ] {
        if holds {
            call.cite(clause);
        }
    }
    if let Some((destination, by_distance)) = options.store {
        let plan = store(call, destination, by_distance, &found[..count]);
        // Real servers may store fewer or others; which, their answer does not tell.
        let other = Allowed::Within(0..=length(count));
        let changes = match call.answer {
            Some(Reply::Integer(0)) => vec![Change::Remove { db: call.db(), key: destination.to_vec() }],
            _ => plan.changes.clone(),
        };
        // Of members of equal distance any may be those that COUNT leaves. [GEORADIUS-4]
        let distance = |place: usize| found.get(place).map(|member| member.distance);
        let arbitrary = count > 0 && distance(count - 1) == distance(count);
        return Ok(Plan { arbitrary, ..plan.or_erratum(Erratum::E_63, other, changes) });
    }
    let mut groups: Vec<Vec<Vec<Reply>>> = Vec::new();
    let mut last = None;
    for member in &found {
        let row = vec![member.shown(&options)];
        match groups.last_mut() {
            Some(group) if options.order == Order::Any || last == Some(member.distance) => group.push(row),
            _ => groups.push(vec![row]),
        }
        last = Some(member.distance);
    }
    let overlooking = Overlooking { groups: groups.iter().map(|group| group.concat()).collect() };
    let plan = Plan::new(Clause::GEORADIUS_1, Allowed::Judged(Arc::new(Window { groups, start: 0, count })));
    let plan = plan.or_erratum(Erratum::E_63, Allowed::Judged(Arc::new(overlooking)), Vec::new());
    if zset.order.iter().all(|(score, _)| is_place(score.0)) {
        return Ok(plan);
    }
    // They take any score for some place.
    Ok(plan.or_erratum(Erratum::E_63, Allowed::Unspecified(Clause::GEORADIUS_1), Vec::new()))
}

/// Stores what was found in place of whatever the destination holds.
fn store(call: &Call<'_>, destination: &[u8], by_distance: bool, found: &[Found<'_>]) -> Plan {
    let count = length(found.len());
    let existed = call.find(destination).is_some();
    if found.is_empty() {
        let plan = Plan::integer(Clause::GEORADIUS_11, 0);
        return match existed {
            true => plan.with(Change::Remove { db: call.db(), key: destination.to_vec() }).verbatim(),
            false => plan,
        };
    }
    call.cite(Clause::EXPIRY_9);
    let score = |found: &Found<'_>| Score(if by_distance { found.distance } else { found.score });
    let members = found.iter().map(|found| (found.member.clone(), score(found)));
    let value = Value::Zset(ZsetValue::of(members, &call.model.server.thresholds()));
    Plan::integer(Clause::GEORADIUS_10, count)
        .with(Change::Put { db: call.db(), key: destination.to_vec(), value, expiry: Expiry::Clear })
        .verbatim()
}

/// The answer for a missing key, which nothing behind it can change. [GEORADIUS-12]
fn nothing() -> Plan {
    Plan::reply(Clause::GEORADIUS_12, Reply::Array(Vec::new()))
}

fn around_place(call: &Call<'_>, stores: bool) -> Result<Plan, Refusal> {
    let Some(zset) = call.find_zset(call.args[1])? else { return Ok(nothing()) };
    let centre = place_argument(call, 2)?;
    search(call, zset, centre, 4, stores)
}

/// What real servers make of a centre off the map: they find anything, mostly nothing.
fn garbage(call: &Call<'_>, stores: bool) -> (Allowed, Vec<Change>) {
    match Options::parse(call, 5, stores).map(|options| options.store) {
        Ok(Some((key, _))) => {
            (Allowed::Exactly(Reply::Integer(0)), vec![Change::Remove { db: call.db(), key: key.to_vec() }])
        }
        _ => (Allowed::Unspecified(Clause::GEORADIUSBYMEMBER_2), Vec::new()),
    }
}

fn around_member(call: &Call<'_>, stores: bool) -> Result<Plan, Refusal> {
    let Some(zset) = call.find_zset(call.args[1])? else { return Ok(nothing()) };
    let score = zset.scores.get(call.args[2]).map(|score| score.0);
    let plan = match score.filter(|&score| is_place(score)) {
        Some(score) => {
            call.cite(Clause::GEORADIUSBYMEMBER_1);
            search(call, zset, Place::of_score(score), 3, stores)
        }
        None => Err(Refusal::new(Clause::GEORADIUSBYMEMBER_2, "ERR could not decode requested zset member")),
    };
    if score.is_none_or(|score| is_place(score) && Place::of_score(score).is_on_map()) {
        return plan;
    }
    let (found, changes) = garbage(call, stores);
    Ok(plan.unwrap_or_else(Plan::from).or_erratum(Erratum::E_43, found, changes))
}

pub(crate) fn georadius(call: &Call<'_>) -> Result<Plan, Refusal> {
    around_place(call, true)
}

pub(crate) fn georadius_ro(call: &Call<'_>) -> Result<Plan, Refusal> {
    call.cite(Clause::GEORADIUS_15);
    around_place(call, false)
}

pub(crate) fn georadiusbymember(call: &Call<'_>) -> Result<Plan, Refusal> {
    around_member(call, true)
}

pub(crate) fn georadiusbymember_ro(call: &Call<'_>) -> Result<Plan, Refusal> {
    call.cite(Clause::GEORADIUS_15);
    around_member(call, false)
}

/// The key that STORE or STOREDIST names last in a line.
pub(crate) fn stored_under<'a>(line: &[&'a [u8]]) -> Option<&'a [u8]> {
    let mut store = None;
    let mut position = 5;
    while let (Some(word), Some(&key)) = (line.get(position), line.get(position + 1)) {
        if matches!(word.to_ascii_lowercase().as_slice(), b"store" | b"storedist") {
            store = Some(key);
            position += 1;
        }
        position += 1;
    }
    store
}
