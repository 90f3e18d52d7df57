//! Hashes and their commands.

use std::collections::{BTreeMap, BTreeSet};

use crate::allowed::Allowed;
use crate::call::Call;
use crate::clause::Clause;
use crate::edit::Edit;
use crate::erratum::Erratum;
use crate::long_double::LongDouble;
use crate::numbers::parse_integer;
use crate::plan::{Change, Expiry, Plan, Refusal};
use crate::reply::{Bytes, Reply};
use crate::scan_elements::{Scanned, scan_elements};
use crate::strings::length;
use crate::thresholds::Thresholds;
use crate::value::{Encoding, Value};

/// A hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashValue {
    /// Its fields and their values.
    pub fields: BTreeMap<Bytes, Bytes>,
    /// Ziplist, until something does not fit; then hashtable for good.
    pub encoding: Encoding,
}

/// What is done to a hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashEdit {
    /// These fields get these values, in order; what is too long for a ziplist makes it a hashtable. [HASHENC-2]
    Set(Vec<(Bytes, Bytes)>),
    /// This field gets this number, however long its text. [HASHENC-4]
    SetNumber(Bytes, Bytes),
    /// These fields go.
    Remove(Vec<Bytes>),
    /// It becomes a hashtable.
    Convert,
}

impl Default for HashValue {
    fn default() -> Self {
        Self::new()
    }
}

impl HashValue {
    /// A hash that has no fields yet.
    pub(crate) fn new() -> Self {
        Self { fields: BTreeMap::new(), encoding: Encoding::Ziplist }
    }

    /// Sets a field; then there may be too many for a ziplist, even if it was there before. [HASHENC-3]
    fn set(&mut self, field: Bytes, value: Bytes, thresholds: &Thresholds) {
        self.fields.insert(field, value);
        if self.fields.len() > thresholds.hash_ziplist_entries {
            self.encoding = Encoding::Hashtable;
        }
    }

    /// Makes a change in place.
    pub(crate) fn apply(&mut self, edit: HashEdit, thresholds: &Thresholds) {
        match edit {
            HashEdit::Set(pairs) => {
                let longest = pairs.iter().map(|(field, value)| field.len().max(value.len())).max();
                if longest.is_some_and(|longest| longest > thresholds.hash_ziplist_value) {
                    self.encoding = Encoding::Hashtable;
                }
                pairs.into_iter().for_each(|(field, value)| self.set(field, value, thresholds));
            }
            HashEdit::SetNumber(field, number) => self.set(field, number, thresholds),
            HashEdit::Remove(fields) => {
                for field in &fields {
                    self.fields.remove(field);
                }
            }
            HashEdit::Convert => self.encoding = Encoding::Hashtable,
        }
    }
}

impl<'a> Call<'a> {
    /// The hash at a key; an error if the key holds something else.
    pub(crate) fn find_hash(&self, key: &[u8]) -> Result<Option<&'a HashValue>, Refusal> {
        match self.find(key).map(|entry| &entry.value) {
            None => Ok(None),
            Some(Value::Hash(hash)) => Ok(Some(hash)),
            Some(_) => Err(Self::wrong_type()),
        }
    }

    fn edit_hash(&self, edit: HashEdit) -> Change {
        Change::Edit { db: self.db(), key: self.args[1].to_vec(), edit: Edit::Hash(edit) }
    }

    /// The value of the field that the second argument names, if key and field are there.
    fn find_field(&self) -> Result<Option<&'a Bytes>, Refusal> {
        Ok(self.find_hash(self.args[1])?.and_then(|hash| hash.fields.get(self.args[2])))
    }
}

pub(crate) fn hset(call: &Call<'_>) -> Result<Plan, Refusal> {
    let (added, change) = set_fields(call)?;
    Ok(Plan::integer(Clause::HSET_1, added).with(change).verbatim())
}

pub(crate) fn hmset(call: &Call<'_>) -> Result<Plan, Refusal> {
    let (_, change) = set_fields(call)?;
    Ok(Plan::ok(Clause::HMSET_1).with(change).verbatim())
}

/// How many fields are new, and the change that sets them all.
fn set_fields(call: &Call<'_>) -> Result<(i64, Change), Refusal> {
    if !call.args.len().is_multiple_of(2) {
        return Err(Refusal::new(Clause::HSET_2, "ERR wrong number of arguments for HMSET"));
    }
    let hash = call.find_hash(call.args[1])?;
    let pairs: Vec<(Bytes, Bytes)> =
        call.args[2..].chunks_exact(2).map(|pair| (pair[0].to_vec(), pair[1].to_vec())).collect();
    let is_new = |field: &&Bytes| hash.is_none_or(|hash| !hash.fields.contains_key(*field));
    let added: BTreeSet<&Bytes> = pairs.iter().map(|(field, _)| field).filter(is_new).collect();
    let added = length(added.len());
    Ok((added, call.edit_hash(HashEdit::Set(pairs))))
}

pub(crate) fn hsetnx(call: &Call<'_>) -> Result<Plan, Refusal> {
    let (field, value) = (call.args[2], call.args[3]);
    let hash = call.find_hash(call.args[1])?;
    if !hash.is_some_and(|hash| hash.fields.contains_key(field)) {
        let change = call.edit_hash(HashEdit::Set(vec![(field.to_vec(), value.to_vec())]));
        return Ok(Plan::integer(Clause::HSETNX_1, 1).with(change).verbatim());
    }
    let plan = Plan::integer(Clause::HSETNX_2, 0);
    let too_long = field.len().max(value.len()) > call.model.server.thresholds().hash_ziplist_value;
    if too_long && hash.is_some_and(|hash| hash.encoding == Encoding::Ziplist) {
        let allowed = plan.allowed.clone();
        return Ok(plan.or_erratum(Erratum::E_51, allowed, vec![call.edit_hash(HashEdit::Convert)]));
    }
    Ok(plan)
}

pub(crate) fn hget(call: &Call<'_>) -> Result<Plan, Refusal> {
    Ok(match call.find_field()? {
        Some(value) => Plan::reply(Clause::HGET_1, Reply::bulk(value.as_slice())),
        None => Plan::reply(Clause::HGET_2, Reply::NilBulk),
    })
}

pub(crate) fn hmget(call: &Call<'_>) -> Result<Plan, Refusal> {
    let hash = call.find_hash(call.args[1])?;
    let value = |field: &&[u8]| hash.and_then(|hash| hash.fields.get(*field));
    let values = call.args[2..]
        .iter()
        .map(|field| value(field).map_or(Reply::NilBulk, |value| Reply::bulk(value.as_slice())))
        .collect();
    Ok(Plan::reply(Clause::HMGET_1, Reply::Array(values)))
}

pub(crate) fn hgetall(call: &Call<'_>) -> Result<Plan, Refusal> {
    let Some(hash) = call.find_hash(call.args[1])? else { return Ok(nothing(Clause::HGETALL_2)) };
    let pairs = hash.fields.iter().map(|(field, value)| (Reply::bulk(field.as_slice()), Reply::bulk(value.as_slice())));
    Ok(Plan::new(Clause::HGETALL_1, Allowed::PairsInAnyOrder(pairs.collect())))
}

pub(crate) fn hkeys(call: &Call<'_>) -> Result<Plan, Refusal> {
    let Some(hash) = call.find_hash(call.args[1])? else { return Ok(nothing(Clause::HGETALL_2)) };
    let fields = hash.fields.keys().map(|field| Reply::bulk(field.as_slice())).collect();
    Ok(Plan::new(Clause::HKEYS_1, Allowed::AnyOrder(fields)))
}

pub(crate) fn hvals(call: &Call<'_>) -> Result<Plan, Refusal> {
    let Some(hash) = call.find_hash(call.args[1])? else { return Ok(nothing(Clause::HGETALL_2)) };
    let values = hash.fields.values().map(|value| Reply::bulk(value.as_slice())).collect();
    Ok(Plan::new(Clause::HVALS_1, Allowed::AnyOrder(values)))
}

fn nothing(clause: Clause) -> Plan {
    Plan::reply(clause, Reply::Array(Vec::new()))
}

pub(crate) fn hdel(call: &Call<'_>) -> Result<Plan, Refusal> {
    let Some(hash) = call.find_hash(call.args[1])? else { return Ok(Plan::integer(Clause::HDEL_1, 0)) };
    let present: BTreeSet<&[u8]> =
        call.args[2..].iter().copied().filter(|&field| hash.fields.contains_key(field)).collect();
    let plan = Plan::integer(Clause::HDEL_1, length(present.len()));
    if present.is_empty() {
        return Ok(plan);
    }
    if present.len() == hash.fields.len() {
        call.cite(Clause::HASH_2);
    }
    let fields = present.into_iter().map(<[u8]>::to_vec).collect();
    Ok(plan.with(call.edit_hash(HashEdit::Remove(fields))).verbatim())
}

pub(crate) fn hlen(call: &Call<'_>) -> Result<Plan, Refusal> {
    let hash = call.find_hash(call.args[1])?;
    Ok(Plan::integer(Clause::HLEN_1, hash.map_or(0, |hash| length(hash.fields.len()))))
}

pub(crate) fn hstrlen(call: &Call<'_>) -> Result<Plan, Refusal> {
    Ok(Plan::integer(Clause::HSTRLEN_1, call.find_field()?.map_or(0, |value| length(value.len()))))
}

pub(crate) fn hexists(call: &Call<'_>) -> Result<Plan, Refusal> {
    Ok(Plan::integer(Clause::HEXISTS_1, i64::from(call.find_field()?.is_some())))
}

pub(crate) fn hincrby(call: &Call<'_>) -> Result<Plan, Refusal> {
    let increment = call.integer(3).inspect_err(|_| call.cite(Clause::HINCRBY_4))?;
    let present = match call.find_field()? {
        None => 0,
        Some(value) => {
            parse_integer(value).ok_or_else(|| Refusal::new(Clause::HINCRBY_2, "ERR hash value is not an integer"))?
        }
    };
    let Some(sum) = present.checked_add(increment) else {
        return Err(Refusal::new(Clause::HINCRBY_3, "ERR increment or decrement would overflow"));
    };
    let change = call.edit_hash(HashEdit::SetNumber(call.args[2].to_vec(), sum.to_string().into_bytes()));
    Ok(Plan::integer(Clause::HINCRBY_1, sum).with(change).verbatim())
}

/// Longer texts are no numbers to HINCRBYFLOAT, in bytes.
const LONGEST_NUMBER: usize = 5_119;

/// The number that a field's value is. [HINCRBYFLOAT-4]
fn read_number(value: &[u8]) -> Option<LongDouble> {
    if value.len() > LONGEST_NUMBER {
        return None;
    }
    match value.split(|&byte| byte == 0).next() {
        None | Some([]) => Some(LongDouble::ZERO),
        Some(text) => LongDouble::parse(text),
    }
}

pub(crate) fn hincrbyfloat(call: &Call<'_>) -> Result<Plan, Refusal> {
    let increment = LongDouble::parse(call.args[3])
        .ok_or_else(|| Refusal::new(Clause::HINCRBYFLOAT_2, "ERR value is not a valid float"))?;
    let is_missing = call.find_hash(call.args[1])?.is_none();
    let present = match call.find_field()? {
        None => LongDouble::ZERO,
        Some(value) => {
            read_number(value).ok_or_else(|| Refusal::new(Clause::HINCRBYFLOAT_3, "ERR hash value is not a float"))?
        }
    };
    let sum = present.plus(increment);
    if !sum.is_finite() {
        let refusal = Refusal::new(Clause::HINCRBYFLOAT_5, "ERR increment would produce NaN or Infinity");
        let plan = Plan::from(refusal.clone());
        if !is_missing {
            return Err(refusal);
        }
        // Real servers have made the hash by then.
        let empty = Change::Put {
            db: call.db(),
            key: call.args[1].to_vec(),
            value: Value::Hash(HashValue::new()),
            expiry: Expiry::Clear,
        };
        return Ok(plan.or_erratum(Erratum::E_50, Allowed::Error(refusal.line), vec![empty]));
    }
    for clause in [Clause::FLOAT_4, Clause::FLOAT_5, Clause::HINCRBYFLOAT_6] {
        call.cite(clause);
    }
    let (field, text) = (call.args[2].to_vec(), sum.to_text());
    let hset = vec![b"HSET".to_vec(), call.args[1].to_vec(), field.clone(), text.clone()];
    let change = call.edit_hash(HashEdit::SetNumber(field, text.clone()));
    Ok(Plan::reply(Clause::HINCRBYFLOAT_1, Reply::Bulk(text)).with(change).instead(vec![hset]))
}

pub(crate) fn hscan(call: &Call<'_>) -> Result<Plan, Refusal> {
    scan_elements(call, Clause::HSCAN_1, |call, key| Ok(call.find_hash(key)?.map(Scanned::Hash)))
}
