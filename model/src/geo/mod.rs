//! Geo commands: places on the earth as the scores of a sorted set.
//!
//! - `place`: how a place becomes a score and a score a place, and how far two places are apart;
//! - `radius`: the commands that find members around a place.

mod place;
mod radius;

use crate::allowed::Allowed;
use crate::call::Call;
use crate::clause::Clause;
use crate::edit::Edit;
use crate::erratum::Erratum;
use crate::long_double::LongDouble;
use crate::plan::{Plan, Propagation, Refusal};
use crate::reply::{Bytes, Reply};
use crate::score::{Score, parse_score};
use crate::zset::{ZsetEdit, ZsetValue};

use place::{Place, is_place};
pub(crate) use radius::{georadius, georadius_ro, georadiusbymember, georadiusbymember_ro, stored_under};

/// A number given as an argument.
fn number(call: &Call<'_>, position: usize) -> Result<f64, Refusal> {
    parse_score(call.args[position]).ok_or_else(|| Refusal::new(Clause::SCORE_3, "ERR value is not a valid float"))
}

/// A longitude and the latitude behind it.
fn place_argument(call: &Call<'_>, position: usize) -> Result<Place, Refusal> {
    let (longitude, latitude) = (number(call, position)?, number(call, position + 1)?);
    let place = Place { longitude, latitude };
    if !place.is_on_map() {
        let line = format!("ERR invalid longitude,latitude pair {longitude:.6},{latitude:.6}");
        return Err(Refusal::with(Clause::GEO_2, line));
    }
    Ok(place)
}

/// Meters of a unit.
fn unit(call: &Call<'_>, position: usize) -> Result<f64, Refusal> {
    match call.args[position] {
        b"m" => Ok(1.0),
        b"km" => Ok(1000.0),
        b"ft" => Ok(0.3048),
        b"mi" => Ok(1609.34),
        _ => Err(Refusal::new(Clause::GEO_7, "ERR unsupported unit provided. please use m, km, ft, mi")),
    }
}

/// A distance as it is answered.
fn distance_reply(distance: f64) -> Reply {
    Reply::bulk(format!("{distance:.4}"))
}

/// A place as it is answered.
fn place_reply(place: Place) -> Reply {
    let coordinate = |degrees: f64| Reply::Bulk(LongDouble::of(degrees).to_text());
    Reply::Array(vec![coordinate(place.longitude), coordinate(place.latitude)])
}

pub(crate) fn geoadd(call: &Call<'_>) -> Result<Plan, Refusal> {
    if !(call.args.len() - 2).is_multiple_of(3) {
        let line = "ERR syntax error. Try GEOADD key [x1] [y1] [name1] [x2] [y2] [name2] ... ";
        return Err(Refusal::new(Clause::GEOADD_2, line));
    }
    let key = call.args[1];
    let mut places: Vec<(&[u8], f64, u64)> = Vec::new();
    for position in (2..call.args.len()).step_by(3) {
        let bits = place_argument(call, position)?.to_bits();
        call.cite(Clause::GEO_1);
        // The nearest double, should the bits be too many for it.
        places.push((call.args[position + 2], bits as f64, bits));
    }
    let zset = call.find_zset(key)?;
    let mut command: Vec<Bytes> = vec![b"zadd".to_vec(), key.to_vec()];
    let mut scores: Vec<(Bytes, Score)> = Vec::new();
    let (mut added, mut changed) = (0, false);
    for (member, score, bits) in places {
        command.push(bits.to_string().into_bytes());
        command.push(member.to_vec());
        let earlier = scores.iter().rev().find(|(earlier, _)| earlier == member).map(|(_, score)| *score);
        match earlier.or_else(|| zset.and_then(|zset| zset.scores.get(member).copied())) {
            None => added += 1,
            Some(present) if present == Score(score) => continue,
            Some(_) => {}
        }
        changed = true;
        scores.push((member.to_vec(), Score(score)));
    }
    let plan = Plan::integer(Clause::GEOADD_1, added);
    if !changed {
        return Ok(plan);
    }
    call.cite(Clause::GEOADD_3);
    let edit = call.edit(key, Edit::Zset(ZsetEdit::Score(scores)));
    let aof = vec![command];
    let replicas = Some(aof.clone());
    Ok(Plan { propagation: Propagation::Instead { aof, replicas }, ..plan.with(edit) })
}

/// The place of a member, if there is one.
fn place_of(zset: Option<&ZsetValue>, member: &[u8]) -> Option<Place> {
    zset?.scores.get(member).map(|score| Place::of_score(score.0))
}

pub(crate) fn geopos(call: &Call<'_>) -> Result<Plan, Refusal> {
    let zset = call.find_zset(call.args[1])?;
    call.cite(Clause::GEO_3);
    call.cite(Clause::GEO_4);
    let places = call.args[2..].iter().map(|member| place_of(zset, member).map_or(Reply::NilArray, place_reply));
    Ok(Plan::reply(Clause::GEOPOS_1, Reply::Array(places.collect())))
}

pub(crate) fn geodist(call: &Call<'_>) -> Result<Plan, Refusal> {
    let meters = match call.args.len() {
        4 => 1.0,
        5 => unit(call, 4)?,
        _ => return Err(Refusal::new(Clause::GEODIST_2, "ERR syntax error")),
    };
    let zset = call.find_zset(call.args[1])?;
    call.cite(Clause::GEO_5);
    call.cite(Clause::GEO_6);
    Ok(match (place_of(zset, call.args[2]), place_of(zset, call.args[3])) {
        (Some(one), Some(other)) => Plan::reply(Clause::GEODIST_1, distance_reply(one.distance(other) / meters)),
        _ => Plan::reply(Clause::GEODIST_3, Reply::NilBulk),
    })
}

pub(crate) fn geohash(call: &Call<'_>) -> Result<Plan, Refusal> {
    let zset = call.find_zset(call.args[1])?;
    let mut hashes = Vec::new();
    for member in &call.args[2..] {
        let score = zset.and_then(|zset| zset.scores.get(*member)).map(|score| score.0);
        hashes.push(match score.filter(|&score| is_place(score)) {
            Some(score) => Reply::bulk(Place::of_score(score).to_geohash()),
            None => Reply::NilBulk,
        });
    }
    let plan = Plan::reply(Clause::GEOHASH_1, Reply::Array(hashes));
    let scores = call.args[2..].iter().filter_map(|member| zset?.scores.get(*member));
    let odd = |score: f64| !is_place(score) || !Place::of_score(score).is_on_map();
    if scores.into_iter().any(|score| odd(score.0)) {
        return Ok(plan.or_erratum(Erratum::E_43, Allowed::Unspecified(Clause::GEOHASH_2), Vec::new()));
    }
    Ok(plan)
}
