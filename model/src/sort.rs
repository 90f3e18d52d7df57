//! SORT.
//!
//! Everything is worked out from the specification's reading of patterns and texts; where a real server's differs (E-52,
//! E-53), the same steps are taken a second time with that reading.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use crate::allowed::{Allowed, Judge};
use crate::call::Call;
use crate::clause::Clause;
use crate::edit::Edit;
use crate::erratum::Erratum;
use crate::list::ListValue;
use crate::plan::{Change, Expiry, Plan, Refusal};
use crate::reply::{Bytes, Reply};
use crate::score::Score;
use crate::strings::length;
use crate::value::{Encoding, Value};
use crate::weight::read_weight;
use crate::zset::ZsetEdit;

/// The answer to a weight that is no number.
const UNREADABLE: &str = "ERR One or more scores can't be converted into double";

/// What the options say. [SORT-3] [SORT-4]
#[derive(Default)]
struct Options<'a> {
    descending: bool,
    alpha: bool,
    limit: Option<(i64, i64)>,
    by: Option<&'a [u8]>,
    /// Some BY has no asterisk.
    unsorted: bool,
    get: Vec<&'a [u8]>,
    store: Option<&'a [u8]>,
}

/// How texts are read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// Byte by byte.
    Bytes,
    /// Up to the first zero byte, where E-53 says so.
    CStrings,
}

impl Reading {
    /// As much of a text as is seen.
    fn seen(self, text: &[u8]) -> &[u8] {
        match self {
            Self::Bytes => text,
            Self::CStrings => text.split(|&byte| byte == 0).next().unwrap_or_default(),
        }
    }

    /// Where some bytes first stand in a text.
    fn find(self, text: &[u8], wanted: &[u8]) -> Option<usize> {
        self.seen(text).windows(wanted.len()).position(|window| window == wanted)
    }
}

impl<'a> Options<'a> {
    fn parse(call: &Call<'a>, reading: Reading) -> Result<Self, Refusal> {
        let mut options = Self::default();
        let mut position = 2;
        while position < call.args.len() {
            let word = call.args[position].to_ascii_lowercase();
            let following = &call.args[position + 1..];
            match (word.as_slice(), following) {
                (b"asc", _) => options.descending = false,
                (b"desc", _) => options.descending = true,
                (b"alpha", _) => options.alpha = true,
                (b"limit", [_, _, ..]) => {
                    let integers = call.integer(position + 1).and_then(|o| Ok((o, call.integer(position + 2)?)));
                    options.limit = Some(integers.inspect_err(|_| call.cite(Clause::SORT_15))?);
                    position += 2;
                }
                (b"by", [pattern, ..]) => {
                    options.by = Some(pattern);
                    options.unsorted |= reading.find(pattern, b"*").is_none();
                    position += 1;
                }
                (b"get", [pattern, ..]) => {
                    options.get.push(pattern);
                    position += 1;
                }
                (b"store", [key, ..]) => {
                    options.store = Some(key);
                    position += 1;
                }
                _ => return Err(Refusal::new(Clause::SORT_3, "ERR syntax error")),
            }
            position += 1;
        }
        Ok(options)
    }

    /// The first position that LIMIT lets through, and how many there are from there on. [SORT-14]
    fn window(&self, len: usize) -> (usize, usize) {
        let (offset, count) = self.limit.unwrap_or((0, -1));
        let start = usize::try_from(offset.max(0)).unwrap_or(len).min(len);
        (start, usize::try_from(count).unwrap_or(len).min(len - start))
    }
}

/// The sorted elements, cut into runs whose order is fixed while the order within each is free.
type Runs<'a> = Vec<Vec<&'a [u8]>>;

/// One pass over the key, the weights and the patterns.
struct Sorting<'c, 'a> {
    call: &'c Call<'a>,
    options: Options<'a>,
    reading: Reading,
    /// Keys that patterns led to.
    used: RefCell<Vec<Bytes>>,
}

impl<'a> Sorting<'_, 'a> {
    /// What a pattern says of an element: a string, or a field of a hash. [SORT-10] [SORT-16]
    fn look_up(&self, pattern: &[u8], element: &[u8]) -> Option<&'a Bytes> {
        let asterisk = self.reading.find(pattern, b"*")?;
        let (before, behind) = (&pattern[..asterisk], &pattern[asterisk + 1..]);
        let arrow = self.reading.find(behind, b"->").filter(|arrow| {
            let field = &behind[arrow + 2..];
            !self.reading.seen(field).is_empty()
        });
        let (behind, field) = match arrow {
            Some(arrow) => (&behind[..arrow], Some(&behind[arrow + 2..])),
            None => (behind, None),
        };
        let key = [before, element, behind].concat();
        let entry = self.call.find(&key)?;
        self.used.borrow_mut().push(key);
        match (&entry.value, field) {
            (Value::String(string), None) => Some(&string.bytes),
            (Value::Hash(hash), Some(field)) => hash.fields.get(field),
            _ => None,
        }
    }

    fn has_weights_of_others(&self) -> bool {
        self.options.by.is_some()
    }

    /// The text of each element's weight, `None` where BY finds none.
    fn weights<'e>(&self, elements: &[&'e [u8]]) -> Vec<(Option<&'e [u8]>, &'e [u8])>
    where
        'a: 'e,
    {
        let weight = |element: &'e [u8]| match self.options.by {
            None => Some(element),
            Some(pattern) => self.look_up(pattern, element).map(Vec::as_slice),
        };
        elements.iter().map(|&element| (weight(element), element)).collect()
    }

    /// The elements in the order that the options ask for.
    fn ordered<'e>(&self, elements: Vec<&'e [u8]>, is_set: bool) -> Result<Runs<'e>, Refusal>
    where
        'a: 'e,
    {
        let options = &self.options;
        let mut runs: Runs<'e> = if options.unsorted && !(is_set && options.store.is_some()) {
            self.call.cite(Clause::SORT_12);
            if is_set {
                return Ok(vec![elements]);
            }
            elements.into_iter().map(|element| vec![element]).collect()
        } else if options.unsorted {
            self.call.cite(Clause::SORT_13);
            let mut elements = elements;
            elements.sort();
            elements.into_iter().map(|element| vec![element]).collect()
        } else if options.alpha {
            self.call.cite(Clause::SORT_8);
            self.by_text(&elements)
        } else {
            self.by_number(&elements)?
        };
        if options.descending {
            self.call.cite(Clause::SORT_9);
            runs.reverse();
        }
        Ok(runs)
    }

    fn by_text<'e>(&self, elements: &[&'e [u8]]) -> Runs<'e>
    where
        'a: 'e,
    {
        let mut weighed = self.weights(elements);
        if self.reading == Reading::Bytes {
            if weighed.iter().any(|(weight, _)| weight.is_none()) {
                self.call.cite(Clause::SORT_11);
            }
            weighed.sort();
            return weighed.into_iter().map(|(_, element)| vec![element]).collect();
        }
        let compares_bytes = self.options.store.is_some();
        if !compares_bytes {
            for (weight, _) in &mut weighed {
                *weight = weight.map(|text| Reading::CStrings.seen(text));
            }
        }
        weighed.sort_by_key(|(weight, _)| *weight);
        let mut runs: Runs<'e> = Vec::new();
        let mut last = None;
        for (weight, element) in weighed {
            match runs.last_mut() {
                Some(run) if last == Some(weight) => run.push(element),
                _ => runs.push(vec![element]),
            }
            last = Some(weight);
        }
        runs
    }

    fn by_number<'e>(&self, elements: &[&'e [u8]]) -> Result<Runs<'e>, Refusal>
    where
        'a: 'e,
    {
        self.call.cite(Clause::SORT_5);
        self.call.cite(Clause::SORT_7);
        let weighed = self.weights(elements);
        let mut numbers: Vec<(Score, &'e [u8])> = Vec::new();
        for (weight, element) in weighed {
            let number = match weight {
                None => {
                    self.call.cite(Clause::SORT_11);
                    Some(0.0)
                }
                Some(text) => read_weight(text),
            };
            let Some(number) = number else {
                return Err(Refusal::new(Clause::SORT_6, UNREADABLE));
            };
            numbers.push((Score(number), element));
        }
        numbers.sort();
        Ok(numbers.into_iter().map(|(_, element)| vec![element]).collect())
    }

    /// What is answered for an element.
    fn row(&self, element: &[u8]) -> Vec<Reply> {
        if self.options.get.is_empty() {
            return vec![Reply::bulk(element)];
        }
        self.call.cite(Clause::SORT_16);
        let value = |pattern: &&[u8]| match *pattern {
            b"#" => Reply::bulk(element),
            pattern => self.look_up(pattern, element).map_or(Reply::NilBulk, |value| Reply::bulk(value.as_slice())),
        };
        self.options.get.iter().map(value).collect()
    }

    /// What is answered or stored, and the keys that were used on the way there.
    fn plan(&self, runs: &Runs<'_>) -> Plan {
        let call = self.call;
        let len = runs.iter().map(Vec::len).sum();
        let (start, count) = self.options.window(len);
        if self.options.limit.is_some() {
            call.cite(Clause::SORT_14);
        }
        let free = runs.iter().any(|run| run.len() > 1);
        let mut plan = match self.options.store {
            Some(store) => {
                let window = runs.iter().flatten().skip(start).take(count);
                let values: Vec<Bytes> = window.flat_map(|element| self.row(element)).map(stored).collect();
                self.store(store, values)
            }
            None if free => {
                let groups = runs.iter().map(|run| run.iter().map(|element| self.row(element)).collect()).collect();
                let window = Window { groups, start, count };
                Plan::new(Clause::SORT_1, Allowed::Judged(Arc::new(window)))
            }
            None => {
                let window = runs.iter().flatten().skip(start).take(count);
                Plan::reply(Clause::SORT_1, Reply::Array(window.flat_map(|element| self.row(element)).collect()))
            }
        };
        let used = std::mem::take(&mut *self.used.borrow_mut());
        if !used.is_empty() {
            plan.changes.insert(0, Change::Use { db: call.db(), keys: used });
        }
        plan
    }

    fn store(&self, key: &[u8], values: Vec<Bytes>) -> Plan {
        let call = self.call;
        let existed = call.find(key).is_some();
        call.cite(Clause::SORT_20);
        if values.is_empty() {
            let plan = Plan::integer(Clause::SORT_18, 0);
            return match existed {
                true => plan.with(Change::Remove { db: call.db(), key: key.to_vec() }).verbatim(),
                false => plan,
            };
        }
        let plan = Plan::integer(Clause::SORT_17, length(values.len()));
        let value = Value::List(ListValue { items: values.into() });
        plan.with(Change::Put { db: call.db(), key: key.to_vec(), value, expiry: Expiry::Clear }).verbatim()
    }
}

/// An absent value is stored as an empty one.
fn stored(reply: Reply) -> Bytes {
    match reply {
        Reply::Bulk(bytes) => bytes,
        _ => Bytes::new(),
    }
}

/// The key that the last STORE of a command line names, whatever else is wrong with the options.
pub(crate) fn stored_under<'a>(line: &[&'a [u8]]) -> Option<&'a [u8]> {
    let mut store = None;
    let mut position = 2;
    while let Some(word) = line.get(position) {
        position += match word.to_ascii_lowercase().as_slice() {
            b"limit" => 3,
            b"by" | b"get" => 2,
            b"store" => {
                store = line.get(position + 1).copied().or(store);
                2
            }
            _ => 1,
        };
    }
    store
}

pub(crate) fn sort(call: &Call<'_>) -> Result<Plan, Refusal> {
    let value = call.find(call.args[1]).map(|entry| &entry.value);
    let elements: Vec<&[u8]> = match value {
        None => Vec::new(),
        Some(Value::List(list)) => list.items.iter().map(Vec::as_slice).collect(),
        Some(Value::Set(set)) => set.members.iter().map(Vec::as_slice).collect(),
        Some(Value::Zset(zset)) => zset.order.iter().map(|(_, member)| member.as_slice()).collect(),
        Some(_) => {
            call.cite(Clause::SORT_2);
            return Err(Call::wrong_type());
        }
    };
    // What real servers answer when a number was out of range in some command before.
    let stale = Refusal::new(Clause::SORT_6, UNREADABLE);
    let is_set = matches!(value, Some(Value::Set(_)));
    let sorted = |reading: Reading| {
        let options = Options::parse(call, reading)?;
        let sorting = Sorting { call, options, reading, used: RefCell::default() };
        let plan = match sorting.ordered(elements.clone(), is_set) {
            Ok(runs) => sorting.plan(&runs),
            Err(refusal) => refusal.into(),
        };
        let by_text = sorting.options.alpha && !sorting.options.unsorted;
        let differs = call.args[2..].iter().any(|word| word.contains(&0))
            || by_text && (sorting.has_weights_of_others() || elements.iter().any(|element| element.contains(&0)));
        Ok((plan, differs, !sorting.options.alpha && !sorting.options.unsorted))
    };
    let (mut plan, differs, numeric) = sorted(Reading::Bytes)?;
    if differs && call.model.profile.errata.contains(&Erratum::E_53) {
        let zero_bytes = call.args[2..].iter().chain(&elements).any(|text| text.contains(&0));
        let erratum = if zero_bytes { Erratum::E_53 } else { Erratum::E_52 };
        let (real, ..) = sorted(Reading::CStrings)?;
        plan = plan.or_erratum(erratum, real.allowed, real.changes);
    }
    if numeric && !elements.is_empty() && !plan.allowed.expects_error() {
        plan = plan.or_erratum(Erratum::E_59, Allowed::Error(stale.line), Vec::new());
    }
    if let Some(Value::Zset(zset)) = value
        && zset.encoding == Encoding::Ziplist
    {
        call.cite(Clause::SORT_19);
        let convert = Change::Edit { db: call.db(), key: call.args[1].to_vec(), edit: Edit::Zset(ZsetEdit::Convert) };
        plan.changes.insert(0, convert.clone());
        plan.errata.iter_mut().for_each(|erratum| erratum.changes.insert(0, convert.clone()));
    }
    Ok(plan)
}

/// Rows in groups: the groups come in their order, the rows of a group in any order, and a window of them is answered.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    pub(crate) groups: Vec<Vec<Vec<Reply>>>,
    pub(crate) start: usize,
    pub(crate) count: usize,
}

impl Judge for Window {
    fn describe(&self) -> String {
        let mut text = format!("{} of these rows from number {} on: ", self.count, self.start);
        for group in &self.groups {
            let rows = group.iter().map(|row| Rows(row).to_string()).collect::<Vec<_>>();
            text.push_str(&match rows.as_slice() {
                [row] => format!("{row} "),
                rows => format!("{{{}}} ", rows.join(", ")),
            });
        }
        text
    }

    fn judge(&self, reply: &Reply) -> Result<(), String> {
        let Reply::Array(got) = reply else { return Err("not an array".to_owned()) };
        let width = self.groups.iter().flatten().map(Vec::len).next().unwrap_or(1);
        if got.len() != self.count * width {
            return Err(format!("{} values instead of {}", got.len(), self.count * width));
        }
        let mut got = got.chunks(width);
        let mut position = 0;
        for group in &self.groups {
            let first = position.max(self.start);
            position += group.len();
            let here = position.min(self.start + self.count).saturating_sub(first);
            // Both sorted, so that each answered row can be crossed off once.
            let mut answered: Vec<&[Reply]> = got.by_ref().take(here).collect();
            answered.sort();
            let mut rows: Vec<&[Reply]> = group.iter().map(Vec::as_slice).collect();
            rows.sort();
            let mut rows = rows.into_iter();
            for row in answered {
                if !rows.any(|candidate| candidate == row) {
                    return Err(format!("{} does not belong there", Rows(row)));
                }
            }
        }
        Ok(())
    }
}

/// A row, for people.
struct Rows<'a>(&'a [Reply]);

impl fmt::Display for Rows<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, value) in self.0.iter().enumerate() {
            write!(f, "{}{value}", if index > 0 { " " } else { "" })?;
        }
        Ok(())
    }
}
