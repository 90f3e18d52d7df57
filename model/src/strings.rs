//! String and counter commands.

use crate::allowed::Allowed;
use crate::call::Call;
use crate::clause::Clause;
use crate::erratum::Erratum;
use crate::expire;
use crate::long_double::LongDouble;
use crate::numbers::parse_integer;
use crate::plan::{Change, Expiry, Plan, Propagation, Refusal};
use crate::reply::{Bytes, Reply};
use crate::value::{StringValue, Value};

/// The longest string: 512 MB.
pub(crate) const LONGEST: usize = 512 * 1024 * 1024;

impl Call<'_> {
    /// The change that stores a string under a key of the sender's database.
    pub(crate) fn store(&self, key: &[u8], value: StringValue, expiry: Expiry) -> Change {
        Change::Put { db: self.db(), key: key.to_vec(), value: Value::String(value), expiry }
    }

    /// A string as SET stores it.
    pub(crate) fn new_string(&self, bytes: &[u8]) -> StringValue {
        StringValue::encoded(bytes, self.model.server.shares_integers())
    }
}

fn syntax_error(clause: Clause) -> Refusal {
    Refusal::new(clause, "ERR syntax error")
}

fn too_long(clause: Clause) -> Refusal {
    Refusal::new(clause, "ERR string exceeds maximum allowed size (512MB)")
}

/// The options of SET, and where the number of EX or PX stands.
#[derive(Default)]
struct SetOptions {
    only_new: bool,
    only_existing: bool,
    seconds: Option<usize>,
    milliseconds: Option<usize>,
    /// One of them is given twice.
    repeated: bool,
}

impl SetOptions {
    fn parse(args: &[&[u8]]) -> Result<Self, Refusal> {
        let mut options = Self::default();
        let mut position = 3;
        while position < args.len() {
            let followed = position + 1 < args.len();
            match args[position].to_ascii_lowercase().as_slice() {
                b"nx" if !options.only_existing => {
                    options.repeated |= options.only_new;
                    options.only_new = true;
                }
                b"xx" if !options.only_new => {
                    options.repeated |= options.only_existing;
                    options.only_existing = true;
                }
                b"ex" if options.milliseconds.is_none() && followed => {
                    options.repeated |= options.seconds.is_some();
                    position += 1;
                    options.seconds = Some(position);
                }
                b"px" if options.seconds.is_none() && followed => {
                    options.repeated |= options.milliseconds.is_some();
                    position += 1;
                    options.milliseconds = Some(position);
                }
                b"nx" | b"xx" | b"ex" | b"px" => return Err(syntax_error(Clause::SET_3)),
                _ => return Err(syntax_error(Clause::SET_2)),
            }
            position += 1;
        }
        Ok(options)
    }
}

pub(crate) fn set(call: &Call<'_>) -> Result<Plan, Refusal> {
    let options = SetOptions::parse(call.args)?;
    if options.repeated {
        call.cite(Clause::SET_4);
    }
    let (key, value) = (call.args[1], call.args[2]);
    let lifetime = match (options.seconds, options.milliseconds) {
        (Some(position), _) => Some(expire::lifetime(call, position, expire::SECOND, Clause::SET_7)?),
        (None, Some(position)) => Some(expire::lifetime(call, position, 1, Clause::SET_7)?),
        (None, None) => None,
    };
    let lifetime = judged_first(call, lifetime)?;
    if lifetime.is_some() && (options.only_new || options.only_existing) {
        call.cite(Clause::SET_8);
    }
    if (options.only_new || options.only_existing) && call.find(key).is_some() == options.only_new {
        let nothing = Plan::reply(Clause::SET_5, Reply::NilBulk);
        return Ok(match lifetime {
            Some(expire::Lifetime::Overflow(refusal)) => {
                Plan::from(refusal).or_erratum(Erratum::E_2, nothing.allowed, Vec::new())
            }
            _ => nothing,
        });
    }
    let has_lifetime = lifetime.is_some();
    let plan = store_for(call, Clause::SET_1, key, value, lifetime)?;
    if call.args.len() > 3 && !has_lifetime {
        call.cite(Clause::PROPAGATION_4);
        let aof = vec![vec![b"SET".to_vec(), key.to_vec(), value.to_vec()]];
        return Ok(Plan { propagation: Propagation::Instead { aof, replicas: None }, ..plan });
    }
    Ok(plan)
}

/// A lifetime that is out of range is refused before the key is looked up; servers with E-2 do not refuse it. [SET-8]
fn judged_first(call: &Call<'_>, lifetime: Option<expire::Lifetime>) -> Result<Option<expire::Lifetime>, Refusal> {
    match lifetime {
        Some(expire::Lifetime::Overflow(refusal)) if !call.model.profile.errata.contains(&Erratum::E_2) => Err(refusal),
        other => Ok(other),
    }
}

/// Stores a value with a lifetime in milliseconds or without one.
fn store_for(
    call: &Call<'_>,
    clause: Clause,
    key: &[u8],
    value: &[u8],
    lifetime: Option<expire::Lifetime>,
) -> Result<Plan, Refusal> {
    let lifetime = judged_first(call, lifetime)?;
    // The look-up only removes an expired key, which is propagated before the command itself.
    call.find(key);
    let string = call.new_string(value);
    match lifetime {
        None => Ok(Plan::ok(clause).with(call.store(key, string, Expiry::Clear)).verbatim()),
        Some(expire::Lifetime::Until(deadline)) => {
            let set = clause == Clause::SET_1;
            call.cite(if set { Clause::SET_6 } else { clause });
            call.cite(if set { Clause::PROPAGATION_4 } else { Clause::PROPAGATION_5 });
            let aof = vec![vec![b"SET".to_vec(), key.to_vec(), value.to_vec()], expire::pexpireat(key, deadline)];
            let plan = Plan::ok(clause).with(call.store(key, string, Expiry::Set(deadline)));
            Ok(Plan { propagation: Propagation::Instead { aof, replicas: None }, ..plan })
        }
        Some(expire::Lifetime::Overflow(refusal)) => {
            let change = call.store(key, string, Expiry::Set(expire::SOME_DEADLINE));
            Ok(Plan::from(refusal).or_erratum(Erratum::E_2, Allowed::ok(), vec![change]))
        }
    }
}

pub(crate) fn setnx(call: &Call<'_>) -> Result<Plan, Refusal> {
    if call.find(call.args[1]).is_some() {
        return Ok(Plan::integer(Clause::SETNX_2, 0));
    }
    let change = call.store(call.args[1], call.new_string(call.args[2]), Expiry::Clear);
    Ok(Plan::integer(Clause::SETNX_1, 1).with(change).verbatim())
}

pub(crate) fn setex(call: &Call<'_>) -> Result<Plan, Refusal> {
    let lifetime = expire::lifetime(call, 2, expire::SECOND, Clause::SETEX_2)?;
    store_for(call, Clause::SETEX_1, call.args[1], call.args[3], Some(lifetime))
}

pub(crate) fn psetex(call: &Call<'_>) -> Result<Plan, Refusal> {
    let lifetime = expire::lifetime(call, 2, 1, Clause::PSETEX_2)?;
    store_for(call, Clause::PSETEX_1, call.args[1], call.args[3], Some(lifetime))
}

pub(crate) fn get(call: &Call<'_>) -> Result<Plan, Refusal> {
    Ok(match call.find_string(call.args[1])? {
        Some(string) => Plan::reply(Clause::GET_1, Reply::bulk(string.bytes.as_slice())),
        None => Plan::reply(Clause::GET_2, Reply::NilBulk),
    })
}

pub(crate) fn getset(call: &Call<'_>) -> Result<Plan, Refusal> {
    let before = match call.find_string(call.args[1])? {
        Some(string) => Reply::bulk(string.bytes.as_slice()),
        None => Reply::NilBulk,
    };
    let change = call.store(call.args[1], call.new_string(call.args[2]), Expiry::Clear);
    Ok(Plan::reply(Clause::GETSET_1, before).with(change).verbatim())
}

pub(crate) fn mget(call: &Call<'_>) -> Result<Plan, Refusal> {
    let mut elements = Vec::new();
    for key in &call.args[1..] {
        elements.push(match call.find_string(key) {
            Ok(Some(string)) => Reply::bulk(string.bytes.as_slice()),
            Ok(None) | Err(_) => Reply::NilBulk,
        });
    }
    Ok(Plan::reply(Clause::MGET_1, Reply::Array(elements)))
}

/// A key and its value.
type Pair<'a> = (&'a [u8], &'a [u8]);

/// Keys and values in turn, from the second argument on.
fn pairs<'a>(call: &Call<'a>) -> Result<Vec<Pair<'a>>, Refusal> {
    if call.args.len().is_multiple_of(2) {
        return Err(Refusal::new(Clause::MSET_2, "ERR wrong number of arguments for MSET"));
    }
    Ok(call.args[1..].chunks(2).map(|pair| (pair[0], pair[1])).collect())
}

pub(crate) fn mset(call: &Call<'_>) -> Result<Plan, Refusal> {
    let mut plan = Plan::ok(Clause::MSET_1).verbatim();
    for (key, value) in pairs(call)? {
        call.find(key);
        plan = plan.with(call.store(key, call.new_string(value), Expiry::Clear));
    }
    Ok(plan)
}

pub(crate) fn msetnx(call: &Call<'_>) -> Result<Plan, Refusal> {
    let pairs = pairs(call)?;
    // The first key that exists ends it: keys behind it are not looked up, so they stay even when expired.
    for (key, _) in &pairs {
        if call.find(key).is_some() {
            return Ok(Plan::integer(Clause::MSETNX_2, 0));
        }
    }
    let mut plan = Plan::integer(Clause::MSETNX_1, 1).verbatim();
    for (key, value) in pairs {
        plan = plan.with(call.store(key, call.new_string(value), Expiry::Clear));
    }
    Ok(plan)
}

pub(crate) fn append(call: &Call<'_>) -> Result<Plan, Refusal> {
    let (key, tail) = (call.args[1], call.args[2]);
    let Some(string) = call.find_string(key)? else {
        let clause = if tail.is_empty() { Clause::APPEND_2 } else { Clause::APPEND_1 };
        let change = call.store(key, call.new_string(tail), Expiry::Clear);
        return Ok(Plan::integer(clause, length(tail.len())).with(change).verbatim());
    };
    let offset = string.bytes.len();
    if offset + tail.len() > LONGEST {
        return Err(too_long(Clause::STRING_6));
    }
    let change = Change::Write { db: call.db(), key: key.to_vec(), offset, bytes: tail.to_vec() };
    Ok(Plan::integer(Clause::APPEND_1, length(offset + tail.len())).with(change).verbatim())
}

/// A length as an integer reply.
pub(crate) fn length(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

pub(crate) fn strlen(call: &Call<'_>) -> Result<Plan, Refusal> {
    let string = call.find_string(call.args[1])?;
    Ok(Plan::integer(Clause::STRLEN_1, string.map_or(0, |string| length(string.bytes.len()))))
}

/// The first and last index of a range of bytes, both included and within the string; `None` if the range is empty
/// ([GETRANGE-2], [GETRANGE-3]).
pub(crate) fn clamp_range(first: i64, last: i64, len: usize) -> Option<(usize, usize)> {
    let len = length(len);
    let from_end = |index: i64| if index < 0 { index.saturating_add(len).max(0) } else { index };
    let first = from_end(first);
    let last = from_end(last).min(len - 1);
    if first > last {
        return None;
    }
    Some((usize::try_from(first).ok()?, usize::try_from(last).ok()?))
}

pub(crate) fn getrange(call: &Call<'_>) -> Result<Plan, Refusal> {
    let integers = call.integer(2).and_then(|first| Ok((first, call.integer(3)?)));
    let (first, last) = integers.inspect_err(|_| call.cite(Clause::GETRANGE_5))?;
    if call.args[0].eq_ignore_ascii_case(b"substr") {
        call.cite(Clause::SUBSTR_1);
    }
    if first < 0 || last < 0 {
        call.cite(Clause::GETRANGE_2);
    }
    let bytes = call.find_string(call.args[1])?.map_or(&[][..], |string| &string.bytes);
    if first < 0 && last < 0 && first > last {
        return Ok(Plan::reply(Clause::GETRANGE_4, Reply::bulk(Bytes::new())));
    }
    Ok(match clamp_range(first, last, bytes.len()) {
        Some((first, last)) => Plan::reply(Clause::GETRANGE_1, Reply::bulk(&bytes[first..=last])),
        None => Plan::reply(Clause::GETRANGE_3, Reply::bulk(Bytes::new())),
    })
}

pub(crate) fn setrange(call: &Call<'_>) -> Result<Plan, Refusal> {
    let (key, bytes) = (call.args[1], call.args[3]);
    let Ok(offset) = usize::try_from(call.integer(2)?) else {
        return Err(Refusal::new(Clause::SETRANGE_3, "ERR offset is out of range"));
    };
    let string = call.find_string(key)?;
    let present = string.map_or(0, |string| string.bytes.len());
    if bytes.is_empty() {
        return Ok(Plan::integer(Clause::SETRANGE_2, length(present)));
    }
    if offset.saturating_add(bytes.len()) > LONGEST {
        // A sum that overflows kills real servers (E-1), so that there is no answer to accept.
        return Err(too_long(Clause::SETRANGE_4));
    }
    let mut plan = Plan::integer(Clause::SETRANGE_1, length(present.max(offset + bytes.len()))).verbatim();
    if string.is_none() {
        plan = plan.with(call.store(key, StringValue::raw(Bytes::new()), Expiry::Clear));
    }
    Ok(plan.with(Change::Write { db: call.db(), key: key.to_vec(), offset, bytes: bytes.to_vec() }))
}

pub(crate) fn incr(call: &Call<'_>) -> Result<Plan, Refusal> {
    add(call, 1, Clause::INCR_1)
}

pub(crate) fn decr(call: &Call<'_>) -> Result<Plan, Refusal> {
    add(call, -1, Clause::DECR_1)
}

pub(crate) fn incrby(call: &Call<'_>) -> Result<Plan, Refusal> {
    call.cite(Clause::INCRBY_2);
    let increment = call.integer(2)?;
    add(call, i128::from(increment), Clause::INCRBY_1)
}

pub(crate) fn decrby(call: &Call<'_>) -> Result<Plan, Refusal> {
    call.cite(Clause::INCRBY_2);
    let decrement = call.integer(2)?;
    let plan = add(call, -i128::from(decrement), Clause::DECRBY_1);
    if decrement != i64::MIN {
        return plan;
    }
    // Real servers negate the decrement first, which leaves the least integer as it is (E-3).
    let plan = plan.unwrap_or_else(Plan::from);
    Ok(match add(call, i128::from(i64::MIN), Clause::DECRBY_1) {
        Ok(wrong) => plan.or_erratum(Erratum::E_3, wrong.allowed, wrong.changes),
        Err(wrong) => plan.or_erratum(Erratum::E_3, Allowed::Error(wrong.line), Vec::new()),
    })
}

fn add(call: &Call<'_>, increment: i128, clause: Clause) -> Result<Plan, Refusal> {
    let key = call.args[1];
    let present = match call.find_string(key)? {
        None => 0,
        Some(string) => parse_integer(&string.bytes)
            .ok_or_else(|| Refusal::new(Clause::INCR_2, "ERR value is not an integer or out of range"))?,
    };
    let Ok(sum) = i64::try_from(i128::from(present) + increment) else {
        return Err(Refusal::new(Clause::INCR_3, "ERR increment or decrement would overflow"));
    };
    call.cite(Clause::INT_3);
    let change = call.store(key, call.new_string(sum.to_string().as_bytes()), Expiry::Keep);
    Ok(Plan::integer(clause, sum).with(change).verbatim())
}

pub(crate) fn incrbyfloat(call: &Call<'_>) -> Result<Plan, Refusal> {
    let key = call.args[1];
    let entry = call.find(key);
    let string = call.find_string(key)?;
    let not_a_float = || {
        call.cite(Clause::FLOAT_2);
        Refusal::new(Clause::INCRBYFLOAT_2, "ERR value is not a valid float")
    };
    let present = match string {
        None => LongDouble::ZERO,
        Some(string) => LongDouble::parse(&string.bytes).ok_or_else(not_a_float)?,
    };
    let increment = LongDouble::parse(call.args[2]).ok_or_else(not_a_float)?;
    for clause in [Clause::FLOAT_1, Clause::FLOAT_3, Clause::FLOAT_4, Clause::FLOAT_5] {
        call.cite(clause);
    }
    let sum = present.plus(increment);
    if !sum.is_finite() {
        return Err(Refusal::new(Clause::INCRBYFLOAT_3, "ERR increment would produce NaN or Infinity"));
    }
    let text = sum.to_text();
    if matches!(text.as_slice(), b"0" | b"-0") {
        call.cite(Clause::FLOAT_6);
    }
    call.cite(Clause::PROPAGATION_6);
    let mut commands = vec![vec![b"SET".to_vec(), key.to_vec(), text.clone()]];
    if let Some(deadline) = entry.and_then(|entry| entry.deadline) {
        commands.push(expire::pexpireat(key, deadline));
    }
    let change = call.store(key, StringValue::unparsed(&text), Expiry::Keep);
    Ok(Plan::reply(Clause::INCRBYFLOAT_1, Reply::Bulk(text)).with(change).instead(commands))
}
