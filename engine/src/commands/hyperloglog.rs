//! HyperLogLog: strings that count distinct elements, see [`crate::structures::hyperloglog`].
//!
//! A command that is refused leaves everything as it was: what a corrupted string would let happen in part is tried on a
//! copy. One that succeeds makes the string raw, even if it changes nothing in it.

use super::{Context, Refusal, SILENT, until_nul};
use crate::object::{Encoding, NewString, ObjectMut, ObjectRef, StringRef};
use crate::resp::Args;
use crate::structures::hyperloglog::{self as hll, Corrupt, Form, HllMut, HllRef, Registers};

const NOT_A_HYPERLOGLOG: Refusal = Refusal::Fixed("WRONGTYPE Key is not a valid HyperLogLog string value.");
const CORRUPT: Refusal = Refusal::Fixed("INVALIDOBJ Corrupted HLL object detected");

impl From<Corrupt> for Refusal {
    fn from(_: Corrupt) -> Refusal {
        CORRUPT
    }
}

/// The string that a value holds, if that is a HyperLogLog.
fn recognized(object: ObjectRef<'_>) -> Result<HllRef<'_>, Refusal> {
    match object.string()? {
        StringRef::Int(_) => Err(NOT_A_HYPERLOGLOG),
        StringRef::Bytes(bytes) => HllRef::recognize(bytes).ok_or(NOT_A_HYPERLOGLOG),
    }
}

/// Changes a HyperLogLog in place; it is raw then.
fn change<T>(
    object: &mut ObjectMut<'_>,
    change: impl FnOnce(&mut HllMut<'_>) -> Result<T, Corrupt>,
) -> Result<T, Refusal> {
    let mut bytes = object.make_raw()?;
    let mut hll = HllMut::recognize(&mut bytes).ok_or(NOT_A_HYPERLOGLOG)?;
    Ok(change(&mut hll)?)
}

/// As [`change`], on a copy that takes the value's place when nothing was refused.
fn change_copy<T>(
    object: &mut ObjectMut<'_>,
    change: impl FnOnce(&mut HllMut<'_>) -> Result<T, Corrupt>,
) -> Result<T, Refusal> {
    let StringRef::Bytes(bytes) = object.string()? else { return Err(NOT_A_HYPERLOGLOG) };
    let mut copy = bytes.to_vec();
    let mut hll = HllMut::recognize(&mut copy).ok_or(NOT_A_HYPERLOGLOG)?;
    let outcome = change(&mut hll)?;
    *object.make_raw()? = copy;
    Ok(outcome)
}

fn sparse_max(cx: &Context<'_>) -> usize {
    usize::try_from(cx.server.config.hll_sparse_max_bytes).unwrap_or(usize::MAX)
}

/// Adds every element; true when one raised a register.
fn add_all<'e>(
    hll: &mut HllMut<'_>,
    elements: impl Iterator<Item = &'e [u8]>,
    sparse_max: usize,
) -> Result<bool, Corrupt> {
    let mut raised = false;
    for element in elements {
        raised |= hll.add(element, sparse_max)?;
    }
    Ok(raised)
}

/// `PFADD key [element…]`.
pub(crate) fn pfadd(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let key = &args[1];
    let sparse_max = sparse_max(cx);
    let elements = args.iter().skip(2);
    let updated = match cx.lookup_write(key) {
        Some(mut object) => {
            let form = recognized(object.view())?.form();
            let raw = object.view().encoding() == Encoding::Raw;
            // A single element is added wholly or not at all, and dense registers refuse none.
            if raw && (form == Form::Dense || elements.len() <= 1) {
                change(&mut object, |hll| add_all(hll, elements, sparse_max))?
            } else {
                change_copy(&mut object, |hll| add_all(hll, elements, sparse_max))?
            }
        }
        None => {
            let mut bytes = hll::empty();
            if let Some(mut hll) = HllMut::recognize(&mut bytes) {
                hll.invalidate();
                add_all(&mut hll, elements, sparse_max)?;
            }
            cx.set_string(key, NewString::RawOwned(bytes));
            true
        }
    };
    if updated {
        cx.modified(key, "pfadd");
    }
    cx.reply().integer(i64::from(updated));
    Ok(())
}

/// `PFCOUNT key…`.
pub(crate) fn pfcount(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let cardinality = if args.len() == 2 { count_one(cx, &args[1])? } else { union(cx, args)?.registers.estimate() };
    // Numbers from 2^63 on, which only hand-made registers give, are shown as Redis shows them.
    cx.reply().integer(cardinality.cast_signed());
    Ok(())
}

/// The cardinality of one key, from its header or computed and put there. That is a change which others have to learn
/// of, although the command counts as one that reads.
fn count_one(cx: &mut Context<'_>, key: &[u8]) -> Result<u64, Refusal> {
    let Some(object) = cx.lookup_read(key) else { return Ok(0) };
    let found = recognized(object)?;
    let cached = found.cached();
    let cardinality = match cached {
        Some(cardinality) => cardinality,
        None => found.estimate()?,
    };
    if cached.is_some() && object.encoding() == Encoding::Raw {
        return Ok(cardinality);
    }
    let (db, now_ms) = (cx.client.db, cx.now_ms);
    if let Some(mut object) = cx.server.find(db, key, now_ms) {
        change(&mut object, |hll| {
            hll.store_cardinality(cardinality);
            Ok(())
        })?;
    }
    if cached.is_none() {
        cx.modified(key, SILENT);
    }
    Ok(cardinality)
}

/// What several keys hold together.
struct Union {
    registers: Registers,
    /// One of them is dense.
    dense: bool,
}

/// Unites all keys that the command names.
fn union(cx: &mut Context<'_>, args: &Args<'_>) -> Result<Union, Refusal> {
    let mut union = Union { registers: Registers::default(), dense: false };
    for key in args.iter().skip(1) {
        if let Some(object) = cx.lookup_read(key) {
            let found = recognized(object)?;
            union.dense |= found.form() == Form::Dense;
            union.registers.merge(found)?;
        }
    }
    Ok(union)
}

/// `PFMERGE destkey [sourcekey…]`. The destination is a source too.
pub(crate) fn pfmerge(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let key = &args[1];
    let sparse_max = sparse_max(cx);
    let Union { registers, dense } = union(cx, args)?;
    match cx.lookup_write(key) {
        Some(mut object) => change(&mut object, |hll| hll.merge(&registers, dense, sparse_max))?,
        None => {
            let mut bytes = hll::empty();
            if let Some(mut hll) = HllMut::recognize(&mut bytes) {
                hll.merge(&registers, dense, sparse_max)?;
            }
            cx.set_string(key, NewString::RawOwned(bytes));
        }
    }
    cx.modified(key, "pfadd");
    cx.reply().ok();
    Ok(())
}

/// `PFDEBUG GETREG|DECODE|ENCODING|TODENSE key`. The key stands where COMMAND does not say, as in Redis.
pub(crate) fn pfdebug(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let object = cx.lookup_write(&args[2]).ok_or("ERR The specified key does not exist")?;
    recognized(object.view())?;
    let run: fn(&mut Context<'_>, &[u8]) -> Result<(), Refusal> = match () {
        () if args.is(1, "getreg") => show_registers,
        () if args.is(1, "decode") => show_opcodes,
        () if args.is(1, "encoding") => show_form,
        () if args.is(1, "todense") => make_dense,
        () => return Err(quoting("ERR Unknown PFDEBUG subcommand '", &args[1], "'")),
    };
    if args.len() != 3 {
        return Err(quoting("ERR Wrong number of arguments for the '", &args[1], "' subcommand"));
    }
    run(cx, &args[2])
}

fn quoting(before: &str, subcommand: &[u8], after: &str) -> Refusal {
    [before.as_bytes(), until_nul(subcommand), after.as_bytes()].concat().into()
}

/// Makes the key's string raw and dense; says whether it was sparse. A change of form is handed on, so that replicas and
/// the AOF hold the same bytes.
fn to_dense(cx: &mut Context<'_>, key: &[u8]) -> Result<bool, Refusal> {
    let (db, now_ms) = (cx.client.db, cx.now_ms);
    let Some(mut object) = cx.server.find(db, key, now_ms) else { return Err(Refusal::NO_SUCH_KEY) };
    let converted = change_copy_if_sparse(&mut object)?;
    if converted {
        cx.server.dirty = cx.server.dirty.saturating_add(1);
    }
    Ok(converted)
}

fn change_copy_if_sparse(object: &mut ObjectMut<'_>) -> Result<bool, Refusal> {
    match recognized(object.view())?.form() {
        Form::Dense => Ok(false),
        Form::Sparse => change_copy(object, |hll| hll.make_dense()),
    }
}

fn make_dense(cx: &mut Context<'_>, key: &[u8]) -> Result<(), Refusal> {
    let converted = to_dense(cx, key)?;
    cx.reply().integer(i64::from(converted));
    Ok(())
}

fn show_registers(cx: &mut Context<'_>, key: &[u8]) -> Result<(), Refusal> {
    to_dense(cx, key)?;
    let (db, now_ms) = (cx.client.db, cx.now_ms);
    let Some(object) = cx.server.find(db, key, now_ms) else { return Err(Refusal::NO_SUCH_KEY) };
    let mut registers = Registers::default();
    registers.merge(recognized(object.view())?)?;
    let mut reply = cx.client.reply();
    reply.array(hll::REGISTERS);
    for value in registers.iter() {
        reply.integer(i64::from(value));
    }
    Ok(())
}

fn show_form(cx: &mut Context<'_>, key: &[u8]) -> Result<(), Refusal> {
    let form = with_raw(cx, key, |hll| Ok(hll.form()))?;
    cx.reply().status(form.name());
    Ok(())
}

/// One word for each opcode: `z:length` and `Z:length` for zeros of one byte and of two, `v:value,length` for others.
fn show_opcodes(cx: &mut Context<'_>, key: &[u8]) -> Result<(), Refusal> {
    let words = with_raw(cx, key, |hll| {
        if hll.form() == Form::Dense {
            return Err("ERR HLL encoding is not sparse".into());
        }
        let mut words = String::new();
        // What is cut off at the end is no run.
        for hll::sparse::Run { value, length, bytes } in hll.runs().map_while(Result::ok) {
            words.push_str(&match (value, bytes) {
                (0, 1) => format!("z:{length} "),
                (0, _) => format!("Z:{length} "),
                _ => format!("v:{value},{length} "),
            });
        }
        Ok(words)
    })?;
    cx.reply().bulk(words.trim_end().as_bytes());
    Ok(())
}

/// Looks at the key's HyperLogLog; unless that is refused, the string is raw then.
fn with_raw<T>(
    cx: &mut Context<'_>,
    key: &[u8],
    look: impl FnOnce(HllRef<'_>) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    let (db, now_ms) = (cx.client.db, cx.now_ms);
    let Some(mut object) = cx.server.find(db, key, now_ms) else { return Err(Refusal::NO_SUCH_KEY) };
    let seen = look(recognized(object.view())?)?;
    object.make_raw()?;
    Ok(seen)
}

/// `PFSELFTEST`.
pub(crate) fn pfselftest(cx: &mut Context<'_>, _args: &Args<'_>) -> Result<(), Refusal> {
    hll::self_test::run().map_err(|failure| Refusal::from(format!("TESTFAILED {failure}")))?;
    cx.reply().ok();
    Ok(())
}
