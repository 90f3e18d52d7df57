//! Sets: an intset while all members are integers and not too many, a dict of members from then on.
//!
//! ```text
//! Set ─ Intset            one allocation of sorted integers
//!     └ Table ─ Dict      one allocation for each member, and the buckets
//! ```
//!
//! Invariants, verified by [`Set::validate`]: those of the structures; the account of the members' bytes is right.

use std::ops::Range;

use super::{Encoding, Measured};
use crate::chance::Chance;
use crate::config::Config;
use crate::faults::{self, Fault};
use crate::number::{I64_TEXT_MAX, parse_i64};
use crate::structures::dict::{self, Arrivals, Arrived, Dict, HashKey};
use crate::structures::intset::Intset;
use crate::structures::member::Member;
use crate::structures::tagged::Either::{Large, Small};
use crate::structures::tagged::Tagged;
use crate::structures::ziplist::Value;

/// Longest text that is an integer.
const INTEGER_TEXT_MAX: usize = I64_TEXT_MAX;
/// Buckets visited for each member that a page should have: a bound for nearly empty tables.
const BUCKETS_PER_MEMBER: u64 = 10;

/// What decides how a set is stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SetLimits {
    /// Most members of an intset.
    pub(crate) intset_entries: usize,
    /// The secret of the hash of members.
    pub(crate) hash_key: HashKey,
}

impl SetLimits {
    /// As configured.
    pub(crate) fn new(config: &Config, hash_key: HashKey) -> SetLimits {
        let entries = usize::try_from(config.set_max_intset_entries).unwrap_or(0);
        SetLimits { intset_entries: entries.min(Intset::MAX_LEN), hash_key }
    }
}

/// The set, see the [module](self).
#[derive(Debug)]
#[repr(transparent)]
pub struct Set(Tagged<Intset, Table>);

struct Table {
    dict: Dict<Member>,
    /// Bytes of the members' allocations.
    members: usize,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_set().entries(self.dict.iter().map(|member| member.key())).finish()
    }
}

/// The integer that a member is the text of.
#[inline]
fn integer(member: &[u8]) -> Option<i64> {
    if member.len() <= INTEGER_TEXT_MAX { parse_i64(member) } else { None }
}

impl Table {
    fn new(hash_key: HashKey) -> Table {
        Table { dict: Dict::new(hash_key), members: 0 }
    }

    #[inline]
    fn insert(&mut self, member: &[u8]) -> bool {
        if self.dict.find(member).is_some() {
            return false;
        }
        self.dict.insert_new(Member::create(member));
        self.members += Member::allocated(member.len());
        true
    }

    /// Adds a member that has waited for its turn.
    fn admit<T>(&mut self, arrived: Arrived<Member, T>, expected: usize) -> Result<(), T> {
        let Arrived { hash, node, note } = arrived;
        let member = node.as_entry().key();
        if self.dict.holds(hash, member) {
            return Err(note);
        }
        self.members += Member::allocated(member.len());
        self.dict.grow_towards(expected);
        self.dict.insert_hashed(hash, node);
        Ok(())
    }

    fn remove(&mut self, member: &[u8]) -> bool {
        if self.dict.remove(member).is_none() {
            return false;
        }
        self.members -= Member::allocated(member.len());
        if self.dict.is_sparse() {
            self.dict.shrink();
        }
        true
    }
}

/// A set that is filled from a file, and how many members are said to come. Each is added with a note, which is the
/// answer when it is there already; that can turn out some members later.
pub(crate) struct Filling<T> {
    set: Set,
    expected: usize,
    arrivals: Arrivals<Member, T>,
}

impl<T> Filling<T> {
    /// Nothing yet.
    pub(crate) fn new(expected: u64) -> Self {
        let expected = usize::try_from(expected).unwrap_or(usize::MAX);
        Filling { set: Set::new(), expected, arrivals: Arrivals::new() }
    }

    /// Adds a member.
    pub(crate) fn add(&mut self, member: &[u8], note: T, limits: &SetLimits) -> Result<(), T> {
        let Large(table) = self.set.0.view_mut() else {
            return if self.set.insert(member, limits) { Ok(()) } else { Err(note) };
        };
        match self.arrivals.push(&table.dict, Member::create(member), note) {
            Some(arrived) => table.admit(arrived, self.expected),
            None => Ok(()),
        }
    }

    /// The set, when all are there.
    pub(crate) fn finish(mut self) -> Result<Set, T> {
        while let Some(arrived) = self.arrivals.pop() {
            if let Large(table) = self.set.0.view_mut() {
                table.admit(arrived, self.expected)?;
            }
        }
        Ok(self.set)
    }
}

impl Set {
    /// An empty set that is to receive `member` first.
    pub(crate) fn beginning_with(member: &[u8], limits: &SetLimits) -> Set {
        match integer(member) {
            Some(_) => Set::new(),
            None => Set::table(limits.hash_key),
        }
    }

    /// An empty set.
    pub(crate) fn new() -> Set {
        Set(Tagged::small(Intset::new()))
    }

    fn table(hash_key: HashKey) -> Set {
        Set(Tagged::large(Box::new(Table::new(hash_key))))
    }

    /// The set of these integers; a table if they are too many.
    pub(crate) fn from_intset(intset: Intset, limits: &SetLimits) -> Set {
        let mut set = Set(Tagged::small(intset));
        if set.len() > limits.intset_entries {
            set.make_table(limits.hash_key);
        }
        set
    }

    /// The integers, when they are stored as such.
    pub(crate) fn as_intset(&self) -> Option<&Intset> {
        match self.0.view() {
            Small(intset) => Some(intset),
            Large(_) => None,
        }
    }

    /// The dict of members, when there is one.
    pub(crate) fn as_table(&self) -> Option<&Dict<Member>> {
        match self.0.view() {
            Small(_) => None,
            Large(table) => Some(&table.dict),
        }
    }

    /// Stores the members in a dict from now on.
    pub(crate) fn make_table(&mut self, hash_key: HashKey) {
        let Small(intset) = self.0.view() else { return };
        let mut table = Table::new(hash_key);
        table.dict.resize_to(intset.len());
        let mut values = intset.iter();
        if faults::is(Fault::SetConversionForgetsGreatest) && intset.width() > 2 {
            values.next_back();
        }
        for value in values {
            table.insert(Value::Int(value).text(&mut [0; I64_TEXT_MAX]));
        }
        self.0 = Tagged::large(Box::new(table));
    }

    /// How it is stored.
    pub(crate) fn encoding(&self) -> Encoding {
        match self.0.view() {
            Small(_) => Encoding::Intset,
            Large(_) => Encoding::Hashtable,
        }
    }

    /// Number of members.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        match self.0.view() {
            Small(intset) => intset.len(),
            Large(table) => table.dict.len(),
        }
    }

    /// Whether there is none.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a member; false when it is there already.
    #[inline]
    pub(crate) fn insert(&mut self, member: &[u8], limits: &SetLimits) -> bool {
        match self.0.view_mut() {
            Large(table) => table.insert(member),
            Small(_) => match integer(member) {
                Some(value) => self.insert_integer(value, limits),
                None => {
                    self.make_table(limits.hash_key);
                    self.insert(member, limits)
                }
            },
        }
    }

    fn insert_integer(&mut self, value: i64, limits: &SetLimits) -> bool {
        let Small(intset) = self.0.view_mut() else {
            return self.insert(Value::Int(value).text(&mut [0; I64_TEXT_MAX]), limits);
        };
        if intset.len() == Intset::MAX_LEN && !intset.contains(value) {
            self.make_table(limits.hash_key);
            return self.insert_integer(value, limits);
        }
        let added = intset.insert(value);
        let most = limits.intset_entries.saturating_add(usize::from(faults::is(Fault::IntsetOneEntryTooMany)));
        if added && intset.len() > most {
            self.make_table(limits.hash_key);
        }
        added
    }

    /// As [`Set::insert`], for a member of another set.
    pub(crate) fn insert_value(&mut self, member: Value<'_>, limits: &SetLimits) -> bool {
        match member {
            Value::Int(value) => self.insert_integer(value, limits),
            Value::Bytes(bytes) => self.insert(bytes, limits),
        }
    }

    /// Takes a member out; false when it is not there.
    #[inline]
    pub(crate) fn remove(&mut self, member: &[u8]) -> bool {
        match self.0.view_mut() {
            Small(intset) => integer(member).is_some_and(|value| intset.remove(value)),
            Large(table) => table.remove(member),
        }
    }

    /// As [`Set::remove`], for a member of another set.
    pub(crate) fn remove_value(&mut self, member: Value<'_>) -> bool {
        self.remove(member.text(&mut [0; I64_TEXT_MAX]))
    }

    /// Whether a member is there.
    #[inline]
    pub(crate) fn contains(&self, member: &[u8]) -> bool {
        match self.0.view() {
            Small(intset) => integer(member).is_some_and(|value| intset.contains(value)),
            Large(table) => table.dict.peek(member).is_some(),
        }
    }

    /// As [`Set::contains`], for a member of another set.
    pub(crate) fn contains_value(&self, member: Value<'_>) -> bool {
        match (self.0.view(), member) {
            (Small(intset), Value::Int(value)) => intset.contains(value),
            (_, member) => self.contains(member.text(&mut [0; I64_TEXT_MAX])),
        }
    }

    /// All members: integers ascending, others in the order of the buckets.
    pub(crate) fn iter(&self) -> Iter<'_> {
        match self.0.view() {
            Small(intset) => Iter::Intset(intset, 0..intset.len()),
            Large(table) => Iter::Table(table.dict.iter()),
        }
    }

    /// A member, all with equal chances.
    pub(crate) fn pick(&self, chance: &mut Chance) -> Option<Value<'_>> {
        match self.0.view() {
            Small(intset) => intset.get(chance.index(intset.len())).map(Value::Int),
            Large(table) => table.dict.pick(|bound| chance.below(bound)).map(|member| Value::Bytes(member.key())),
        }
    }

    /// A page of SSCAN: gives members to `found` and answers the next cursor. An intset is one page.
    pub(crate) fn scan<'a>(&'a self, cursor: u64, count: u64, mut found: impl FnMut(Value<'a>)) -> u64 {
        let table = match self.0.view() {
            Small(intset) => {
                intset.iter().for_each(|value| found(Value::Int(value)));
                return 0;
            }
            Large(table) => table,
        };
        let (mut cursor, mut met) = (cursor, 0);
        let mut visits = count.saturating_mul(BUCKETS_PER_MEMBER);
        loop {
            cursor = table.dict.scan(cursor, |member| {
                found(Value::Bytes(member.key()));
                met += 1;
            });
            if cursor == 0 || visits == 0 || met >= count {
                return cursor;
            }
            visits -= 1;
        }
    }

    /// Checks every invariant.
    ///
    /// # Panics
    /// When one does not hold.
    pub fn validate(&self) {
        match self.0.view() {
            Small(intset) => intset.validate(),
            Large(table) => {
                table.dict.validate();
                let members = table.dict.iter().map(|member| Member::allocated(member.key().len()));
                assert_eq!(members.sum::<usize>(), table.members, "the account of members' bytes is wrong");
            }
        }
    }
}

impl Measured for Set {
    #[inline]
    fn bytes(&self) -> usize {
        match self.0.view() {
            Small(intset) => intset.allocated(),
            Large(table) => size_of::<Table>() + table.dict.table_bytes() + table.members,
        }
    }
}

/// The members of a set, see [`Set::iter`].
pub(crate) enum Iter<'a> {
    /// Of an intset.
    Intset(&'a Intset, Range<usize>),
    /// Of a dict.
    Table(dict::Iter<'a, Member>),
}

impl<'a> Iterator for Iter<'a> {
    type Item = Value<'a>;

    #[inline]
    fn next(&mut self) -> Option<Value<'a>> {
        match self {
            Iter::Intset(intset, places) => intset.get(places.next()?).map(Value::Int),
            Iter::Table(members) => members.next().map(|member| Value::Bytes(member.key())),
        }
    }
}

const _: () = assert!(size_of::<Set>() == 8);
