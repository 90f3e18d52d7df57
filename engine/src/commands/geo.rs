//! Geo: members of a sorted set whose scores are places, see [`crate::geo`].

use super::{Context, Refusal, zsets};
use crate::faults::{self, Fault};
use crate::geo::area;
use crate::geo::cell::Position;
use crate::geo::distance::{Unit, metres};
use crate::number::{I64_TEXT_MAX, parse_f64, parse_i64, without_trailing_zeros};
use crate::propagation::Targets;
use crate::resp::{Args, OwnedArgs, Reply};
use crate::structures::ziplist::Value;
use crate::values::zset::range::ScoreRange;
use crate::values::{Collection, Zset, ZsetLimits};

const UNKNOWN_UNIT: Refusal = Refusal::Fixed("ERR unsupported unit provided. please use m, km, ft, mi");

fn unit(name: &[u8]) -> Result<Unit, Refusal> {
    Unit::named(name).ok_or(UNKNOWN_UNIT)
}

/// A longitude and a latitude that lie on the map.
fn position(longitude: &[u8], latitude: &[u8]) -> Result<Position, Refusal> {
    let degrees = |text| parse_f64(text).ok_or(Refusal::NOT_A_FLOAT);
    let position = Position { longitude: degrees(longitude)?, latitude: degrees(latitude)? };
    if position.is_on_the_map() {
        return Ok(position);
    }
    let Position { longitude, latitude } = position;
    Err(format!("ERR invalid longitude,latitude pair {longitude:.6},{latitude:.6}").into())
}

fn write_position(reply: &mut Reply<'_>, position: Position) {
    reply.array(2);
    for degrees in [position.longitude, position.latitude] {
        reply.bulk(without_trailing_zeros(&format!("{degrees:.17}")).as_bytes());
    }
}

fn write_distance(reply: &mut Reply<'_>, distance: f64) {
    reply.bulk(format!("{distance:.4}").as_bytes());
}

/// `GEOADD key longitude latitude member [longitude latitude member …]`: ZADD of the places' numbers, and handed on as
/// such.
pub(crate) fn geoadd(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    if args.len() % 3 != 2 {
        return Err("ERR syntax error. Try GEOADD key [x1] [y1] [name1] [x2] [y2] [name2] ... ".into());
    }
    let mut zadd = OwnedArgs::new([&b"zadd"[..], &args[1]]);
    for at in (2..args.len()).step_by(3) {
        zadd.push(position(&args[at], &args[at + 1])?.number().to_string().as_bytes());
        zadd.push(&args[at + 2]);
    }
    let dirty = cx.server.dirty;
    zsets::zadd(cx, &zadd.as_args())?;
    if cx.server.dirty != dirty {
        let arguments: Vec<&[u8]> = zadd.as_args().iter().collect();
        cx.propagate_instead(Targets::ALL, &arguments);
    }
    Ok(())
}

/// `GEOPOS key member…`.
pub(crate) fn geopos(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    for_each_member(cx, args, |reply, score| match score.map(Position::of_score) {
        Some(position) => write_position(reply, position),
        None => reply.nil_array(),
    })
}

/// `GEOHASH key member…`.
pub(crate) fn geohash(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    for_each_member(cx, args, |reply, score| match score.and_then(Position::of_place) {
        Some(place) => reply.bulk(&place.geohash()),
        None => reply.nil(),
    })
}

/// An array with an element for each member that the request names, made of its score.
fn for_each_member(
    cx: &mut Context<'_>,
    args: &Args<'_>,
    mut write: impl FnMut(&mut Reply<'_>, Option<f64>),
) -> Result<(), Refusal> {
    let (found, mut reply) = cx.read(&args[1]);
    let zset = found.map(|object| object.zset()).transpose()?;
    reply.array(args.len() - 2);
    for member in args.iter().skip(2) {
        write(&mut reply, zset.and_then(|zset| zset.score(member)));
    }
    Ok(())
}

/// `GEODIST key member member [unit]`.
pub(crate) fn geodist(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let unit = match args.len() {
        4 => Unit::Metre,
        5 => unit(&args[4])?,
        _ => return Err(Refusal::SYNTAX),
    };
    let (found, mut reply) = cx.read(&args[1]);
    let Some(object) = found else {
        reply.nil();
        return Ok(());
    };
    let zset = object.zset()?;
    match (zset.score(&args[2]), zset.score(&args[3])) {
        (Some(one), Some(other)) => {
            let distance = metres(Position::of_score(one), Position::of_score(other));
            write_distance(&mut reply, distance / unit.metres());
        }
        _ => reply.nil(),
    }
    Ok(())
}

/// Where the middle of an area is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Middle {
    /// At the coordinates that the request gives.
    Coordinates,
    /// Where a member is.
    Member,
}

/// `GEORADIUS key longitude latitude radius unit [option…]`.
pub(crate) fn georadius(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    search(cx, args, Middle::Coordinates, true)
}

/// `GEORADIUS_RO`: GEORADIUS without STORE and STOREDIST.
pub(crate) fn georadius_ro(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    search(cx, args, Middle::Coordinates, false)
}

/// `GEORADIUSBYMEMBER key member radius unit [option…]`.
pub(crate) fn georadiusbymember(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    search(cx, args, Middle::Member, true)
}

/// `GEORADIUSBYMEMBER_RO`: GEORADIUSBYMEMBER without STORE and STOREDIST.
pub(crate) fn georadiusbymember_ro(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    search(cx, args, Middle::Member, false)
}

/// Order by distance.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Nearest,
    Farthest,
}

/// What a search answers, besides the members.
#[derive(Default)]
struct Options<'a> {
    with_distance: bool,
    with_number: bool,
    with_position: bool,
    order: Option<Order>,
    /// Most members that are answered.
    count: Option<usize>,
    /// Where the result is stored.
    store: Option<&'a [u8]>,
    /// Stored scores are distances.
    store_distances: bool,
}

impl<'a> Options<'a> {
    fn parse(args: &Args<'a>, from: usize, may_store: bool) -> Result<Self, Refusal> {
        let mut options = Options::default();
        let mut at = from;
        while at < args.len() {
            let value = args.get(at + 1);
            let mut taken = 1;
            if args.is(at, "withdist") {
                options.with_distance = true;
            } else if args.is(at, "withhash") {
                options.with_number = true;
            } else if args.is(at, "withcoord") {
                options.with_position = true;
            } else if args.is(at, "asc") {
                options.order = Some(Order::Nearest);
            } else if args.is(at, "desc") {
                options.order = Some(Order::Farthest);
            } else if let Some(count) = value.filter(|_| args.is(at, "count")) {
                let count = parse_i64(count).ok_or(Refusal::NOT_AN_INTEGER)?;
                let count = usize::try_from(count).ok().filter(|&count| count > 0);
                options.count = Some(count.ok_or("ERR COUNT must be > 0")?);
                taken = 2;
            } else if let Some(key) = value.filter(|_| may_store && args.is(at, "store")) {
                options.store = Some(key);
                options.store_distances = false;
                taken = 2;
            } else if let Some(key) = value.filter(|_| may_store && args.is(at, "storedist")) {
                options.store = Some(key);
                options.store_distances = true;
                taken = 2;
            } else {
                return Err(Refusal::SYNTAX);
            }
            at += taken;
        }
        if options.store.is_some() && (options.with_distance || options.with_number || options.with_position) {
            return Err("ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORDS \
                        options"
                .into());
        }
        // Some of several members are only well defined as the nearest ones.
        if options.count.is_some() && !faults::is(Fault::GeoCountTakesAnyMembers) {
            options.order.get_or_insert(Order::Nearest);
        }
        Ok(options)
    }
}

/// A member that a search found.
#[derive(Clone, Copy)]
struct Found<'a> {
    member: Value<'a>,
    score: f64,
    position: Position,
    /// From the middle, metres.
    distance: f64,
}

/// All members whose place is at most `radius` metres from the middle, by cells of the area.
fn within(zset: &Zset, middle: Position, radius: f64) -> Vec<Found<'_>> {
    let mut found = Vec::new();
    for cell in area::cells(middle, radius) {
        let scores = cell.scores();
        let range = ScoreRange { min: scores.start, min_open: false, max: scores.end, max_open: true };
        for (member, score) in zset.range(zset.score_ranks(&range)) {
            let Some(position) = Position::of_place(score) else { continue };
            let distance = metres(middle, position);
            if distance <= radius {
                found.push(Found { member, score, position, distance });
            }
        }
    }
    found
}

/// Puts the members in order and leaves as many as are wanted. Equally far ones stay in the order in which they were found.
fn arrange(found: &mut Vec<Found<'_>>, order: Option<Order>, count: Option<usize>) {
    match order {
        Some(Order::Nearest) => found.sort_by(|one, other| one.distance.total_cmp(&other.distance)),
        Some(Order::Farthest) => found.sort_by(|one, other| other.distance.total_cmp(&one.distance)),
        None => {}
    }
    found.truncate(count.unwrap_or(usize::MAX));
}

fn search(cx: &mut Context<'_>, args: &Args<'_>, middle: Middle, may_store: bool) -> Result<(), Refusal> {
    let limits = cx.zset_limits();
    let (found, mut reply) = cx.read(&args[1]);
    let Some(object) = found else {
        reply.array(0);
        return Ok(());
    };
    let zset = object.zset()?;
    let (place, at) = match middle {
        Middle::Coordinates => (position(&args[2], &args[3])?, 4),
        Middle::Member => {
            let place = zset.score(&args[2]).and_then(Position::of_place);
            (place.ok_or("ERR could not decode requested zset member")?, 3)
        }
    };
    let radius = parse_f64(&args[at]).ok_or("ERR need numeric radius")?;
    if radius < 0.0 {
        return Err("ERR radius cannot be negative".into());
    }
    let unit = unit(&args[at + 1])?;
    let options = Options::parse(args, at + 2, may_store)?;
    let mut found = within(zset, place, radius * unit.metres());
    arrange(&mut found, options.order, options.count);
    match options.store {
        None => {
            answer(&mut reply, &found, unit, &options);
            Ok(())
        }
        Some(destination) => {
            let result = stored(&found, unit, options.store_distances, &limits);
            store(cx, destination, result);
            Ok(())
        }
    }
}

fn answer(reply: &mut Reply<'_>, found: &[Found<'_>], unit: Unit, options: &Options<'_>) {
    let details = [options.with_distance, options.with_number, options.with_position];
    let details = details.into_iter().filter(|wanted| *wanted).count();
    let mut digits = [0; I64_TEXT_MAX];
    reply.array(found.len());
    for one in found {
        if details > 0 {
            reply.array(1 + details);
        }
        reply.bulk(one.member.text(&mut digits));
        if options.with_distance {
            write_distance(reply, one.distance / unit.metres());
        }
        if options.with_number {
            // Only numbers of cells are found.
            reply.integer(one.score as i64);
        }
        if options.with_position {
            write_position(reply, one.position);
        }
    }
}

/// The result as a sorted set, by the members' scores or by their distances.
fn stored(found: &[Found<'_>], unit: Unit, distances: bool, limits: &ZsetLimits) -> Zset {
    let mut result = Zset::skiplist(limits.hash_key);
    let mut digits = [0; I64_TEXT_MAX];
    let length = if faults::is(Fault::GeoStoresDistancesInMetres) { 1.0 } else { unit.metres() };
    for one in found {
        let score = if distances { one.distance / length } else { one.score };
        result.insert(one.member.text(&mut digits), score, limits);
    }
    result.pack(limits);
    result
}

fn store(cx: &mut Context<'_>, destination: &[u8], result: Zset) {
    let length = result.len();
    if length > 0 {
        cx.set_collection(destination, Collection::Zset(result));
        cx.modified_times(destination, "georadiusstore", length);
    } else if cx.remove(destination) {
        cx.modified(destination, "del");
    }
    cx.reply().count(length);
}
