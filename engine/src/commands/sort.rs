//! SORT: the elements of a list, set or sorted set by their weights.
//!
//! ```text
//!   elements ── BY ─► weights ─► order ── LIMIT ─► some of them ── GET ─► values ─► reply, or a list that is STOREd
//! ```
//!
//! The elements are copied first, one after the other into one buffer, because weights and values are found under other
//! keys, whose look-up may remove what is over. The order is total (weight, then the element's bytes), so that only the
//! wanted part has to be sorted.

use std::cmp::Ordering;
use std::ops::Range;

use super::{Context, Refusal};
use crate::faults::{self, Fault};
use crate::number::{I64_TEXT_MAX, parse_weight};
use crate::resp::Args;
use crate::structures::quicklist::End;
use crate::values::{Collection, CollectionRef, Element, List, Type};

const NOT_A_WEIGHT: Refusal = Refusal::Fixed("ERR One or more scores can't be converted into double");

/// What BY and GET name with their patterns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pattern<'a> {
    /// `#`: the element itself.
    Element,
    /// Nothing: there is no asterisk for the element to stand in.
    Nothing,
    /// A key, and a field of the hash there.
    Place { before: &'a [u8], after: &'a [u8], field: Option<&'a [u8]> },
}

impl<'a> Pattern<'a> {
    fn parse(text: &'a [u8]) -> Pattern<'a> {
        if text == b"#" {
            return Pattern::Element;
        }
        let Some(star) = text.iter().position(|&byte| byte == b'*') else { return Pattern::Nothing };
        let (before, after) = (&text[..star], &text[star + 1..]);
        let shortest = if faults::is(Fault::SortIgnoresShortFields) { 2 } else { 1 };
        let arrow = after.windows(2).position(|pair| pair == b"->");
        match arrow.filter(|arrow| after.len() >= arrow + 2 + shortest) {
            Some(arrow) => Pattern::Place { before, after: &after[..arrow], field: Some(&after[arrow + 2..]) },
            None => Pattern::Place { before, after, field: None },
        }
    }

    /// Looks at what the pattern names for an element; `key` is room for the key.
    fn look<T>(
        self,
        cx: &mut Context<'_>,
        element: &[u8],
        key: &mut Vec<u8>,
        look: impl FnOnce(Option<&[u8]>) -> T,
    ) -> T {
        let (before, after, field) = match self {
            Pattern::Element => return look(Some(element)),
            Pattern::Nothing => return look(None),
            Pattern::Place { before, after, field } => (before, after, field),
        };
        key.clear();
        key.extend([before, element, after].into_iter().flatten());
        let Some(object) = cx.lookup_read(key) else { return look(None) };
        let mut digits = [0; I64_TEXT_MAX];
        match field {
            Some(field) => match object.hash().ok().and_then(|hash| hash.get(field)) {
                Some(value) => look(Some(value.text(&mut digits))),
                None => look(None),
            },
            None => look(object.string().ok().map(|string| string.bytes(&mut digits))),
        }
    }
}

/// What a request asks for.
#[derive(Debug, Default)]
struct Options<'a> {
    descending: bool,
    alpha: bool,
    /// Elements that are left out at the beginning.
    offset: usize,
    /// Elements that follow; `None` for all.
    count: Option<usize>,
    /// Of BY, if it has an asterisk.
    by: Option<Pattern<'a>>,
    /// A BY without asterisk: elements stay in their order.
    unsorted: bool,
    get: Vec<Pattern<'a>>,
    store: Option<&'a [u8]>,
}

impl<'a> Options<'a> {
    fn parse(args: &Args<'a>) -> Result<Self, Refusal> {
        let mut options = Options::default();
        let mut at = 2;
        while at < args.len() {
            let value = args.get(at + 1);
            let taken = match value {
                _ if args.is(at, "asc") => {
                    options.descending = false;
                    1
                }
                _ if args.is(at, "desc") => {
                    options.descending = true;
                    1
                }
                _ if args.is(at, "alpha") => {
                    options.alpha = true;
                    1
                }
                Some(offset) if args.is(at, "limit") && at + 2 < args.len() => {
                    let number = |text| crate::number::parse_i64(text).ok_or(Refusal::NOT_AN_INTEGER);
                    let (offset, count) = (number(offset)?, number(&args[at + 2])?);
                    options.offset = usize::try_from(offset).unwrap_or(0);
                    options.count = usize::try_from(count).ok();
                    3
                }
                Some(key) if args.is(at, "store") => {
                    options.store = Some(key);
                    2
                }
                Some(pattern) if args.is(at, "by") => {
                    let pattern = Pattern::parse(pattern);
                    match pattern {
                        Pattern::Place { .. } => options.by = Some(pattern),
                        Pattern::Element | Pattern::Nothing => options.unsorted = true,
                    }
                    2
                }
                Some(pattern) if args.is(at, "get") => {
                    options.get.push(Pattern::parse(pattern));
                    2
                }
                _ => return Err(Refusal::SYNTAX),
            };
            at += taken;
        }
        Ok(options)
    }

    /// Which of `length` elements are wanted.
    fn wanted(&self, length: usize) -> Range<usize> {
        let start = self.offset.min(length);
        let end = self.count.map_or(length, |count| start.saturating_add(count).min(length));
        start..end
    }
}

/// What an element is sorted by.
#[derive(Clone, Debug)]
enum Weight {
    /// Its own bytes.
    Own,
    /// A number.
    Number(f64),
    /// A text, in the same buffer as the elements; `None` when there is none.
    Text(Option<Range<usize>>),
}

/// The elements and their weights.
#[derive(Default)]
struct Elements {
    /// Their bytes, one after the other; texts of weights after them.
    bytes: Vec<u8>,
    items: Vec<(Range<usize>, Weight)>,
}

impl Elements {
    fn push(&mut self, element: &[u8]) {
        let at = self.add(element);
        self.items.push((at, Weight::Own));
    }

    fn add(&mut self, text: &[u8]) -> Range<usize> {
        let from = self.bytes.len();
        self.bytes.extend_from_slice(text);
        from..self.bytes.len()
    }

    fn weigh(&mut self, cx: &mut Context<'_>, options: &Options<'_>) -> Result<(), Refusal> {
        let mut key = Vec::new();
        let mut text = Vec::new();
        for at in 0..self.items.len() {
            let element = &self.bytes[self.items[at].0.clone()];
            self.items[at].1 = match (options.by, options.alpha) {
                (None, true) => Weight::Own,
                (None, false) => Weight::Number(parse_weight(element).ok_or(NOT_A_WEIGHT)?),
                (Some(pattern), false) => {
                    let number = pattern.look(cx, element, &mut key, |text| text.map_or(Some(0.0), parse_weight));
                    Weight::Number(number.ok_or(NOT_A_WEIGHT)?)
                }
                (Some(pattern), true) => {
                    text.clear();
                    let found = pattern.look(cx, element, &mut key, |found| {
                        found.map(|found| text.extend_from_slice(found)).is_some()
                    });
                    Weight::Text(found.then(|| self.add(&text)))
                }
            };
        }
        Ok(())
    }

    /// Brings the wanted elements into their places of the order.
    fn sort(&mut self, descending: bool, wanted: Range<usize>) {
        let Elements { bytes, items } = self;
        let order = |one: &(Range<usize>, Weight), other: &(Range<usize>, Weight)| {
            let text = |range: &Range<usize>| &bytes[range.clone()];
            let weights = match (&one.1, &other.1) {
                (Weight::Number(one), Weight::Number(other)) => one.partial_cmp(other).unwrap_or(Ordering::Equal),
                (Weight::Text(one), Weight::Text(other)) => one.as_ref().map(text).cmp(&other.as_ref().map(text)),
                _ => Ordering::Equal,
            };
            let ties = || text(&one.0).cmp(text(&other.0));
            let ascending = match one.1 {
                Weight::Number(_) if faults::is(Fault::SortTiesFromBehind) => weights.then_with(|| ties().reverse()),
                _ => weights.then_with(ties),
            };
            if descending { ascending.reverse() } else { ascending }
        };
        let mut part = &mut items[..];
        // Only what is wanted is sorted to the end; the rest need only be on its side.
        if wanted.end < part.len() {
            part.select_nth_unstable_by(wanted.end, order);
            part = &mut part[..wanted.end];
        }
        if wanted.start > 0 && wanted.start < part.len() {
            part.select_nth_unstable_by(wanted.start, order);
            part = &mut part[wanted.start..];
        }
        part.sort_unstable_by(order);
    }

    fn element(&self, at: usize) -> &[u8] {
        &self.bytes[self.items[at].0.clone()]
    }
}

/// Copies what is to be sorted. Elements that are not to be sorted are copied only as far as they are wanted.
fn copied(collection: CollectionRef<'_>, options: &Options<'_>, sorted: bool) -> (Elements, Range<usize>) {
    let wanted = options.wanted(collection.len());
    let mut elements = Elements::default();
    match collection {
        CollectionRef::List(list) if !sorted => {
            let length = list.len();
            let from = if options.descending { length - wanted.end } else { wanted.start };
            let mut digits = [0; I64_TEXT_MAX];
            list.visit(from, wanted.len(), |element| elements.push(element.text(&mut digits)));
            if options.descending {
                elements.items.reverse();
            }
            return (elements, 0..wanted.len());
        }
        _ => collection.for_each(|element| match element {
            Element::Item(bytes) | Element::Scored(bytes, _) => elements.push(bytes),
            Element::Field(..) | Element::Entry(_) => {}
        }),
    }
    if !sorted && options.descending {
        elements.items.reverse();
    }
    (elements, wanted)
}

/// `SORT key [BY pattern] [LIMIT offset count] [GET pattern…] [ASC|DESC] [ALPHA] [STORE destination]`.
pub(crate) fn sort(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let kind = match cx.lookup_read(&args[1]).map(|object| object.kind()) {
        Some(Type::String | Type::Hash | Type::Stream) => return Err(Refusal::WRONG_TYPE),
        kind => kind,
    };
    let mut options = Options::parse(args)?;
    if options.unsorted && kind == Some(Type::Set) && options.store.is_some() {
        // What is stored must be the same everywhere, and the order in a set is not.
        options = Options { unsorted: false, alpha: true, by: None, ..options };
    }
    if kind == Some(Type::Zset) {
        // It stays a skiplist, whatever comes of this.
        let hash_key = cx.zset_limits().hash_key;
        let (db, now_ms) = (cx.client.db, cx.now_ms);
        if let Some(mut object) = cx.server.find(db, &args[1], now_ms) {
            object.zset()?.make_skiplist(hash_key);
        }
    }
    let sorted = !options.unsorted;
    let (mut elements, wanted) = match cx.peek(&args[1]).and_then(|object| object.collection()) {
        Some(collection) => copied(collection, &options, sorted),
        None => Default::default(),
    };
    if sorted {
        elements.weigh(cx, &options)?;
        elements.sort(options.descending, wanted.clone());
    }
    match options.store {
        Some(destination) => store(cx, destination, &elements, wanted, &options.get),
        None => answer(cx, &elements, wanted, &options.get),
    }
    Ok(())
}

fn answer(cx: &mut Context<'_>, elements: &Elements, wanted: Range<usize>, get: &[Pattern<'_>]) {
    cx.reply().array(wanted.len() * get.len().max(1));
    let mut key = Vec::new();
    for at in wanted {
        let element = elements.element(at);
        if get.is_empty() {
            cx.reply().bulk(element);
        }
        for pattern in get {
            // The value is copied, because the reply is written while it is looked at.
            match pattern.look(cx, element, &mut key, |value| value.map(<[u8]>::to_vec)) {
                Some(value) => cx.reply().bulk(&value),
                None => cx.reply().nil(),
            }
        }
    }
}

fn store(cx: &mut Context<'_>, destination: &[u8], elements: &Elements, wanted: Range<usize>, get: &[Pattern<'_>]) {
    let mut list = List::new(cx.server.config.list_options());
    let mut key = Vec::new();
    for at in wanted {
        let element = elements.element(at);
        if get.is_empty() {
            list.push(End::Back, element);
        }
        for pattern in get {
            pattern.look(cx, element, &mut key, |value| list.push(End::Back, value.unwrap_or_default()));
        }
    }
    let length = list.len();
    if length > 0 {
        cx.set_collection(destination, Collection::List(list));
        cx.modified_times(destination, "sortstore", length);
    } else if cx.remove(destination) {
        cx.modified(destination, "del");
    }
    cx.reply().count(length);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_taken_apart_at_the_first_asterisk_and_the_first_arrow_behind_it() {
        let place = |before: &'static str, after: &'static str, field: Option<&'static str>| Pattern::Place {
            before: before.as_bytes(),
            after: after.as_bytes(),
            field: field.map(str::as_bytes),
        };
        for (text, expected) in [
            ("#", Pattern::Element),
            ("", Pattern::Nothing),
            ("##", Pattern::Nothing),
            ("a->b", Pattern::Nothing),
            ("*", place("", "", None)),
            ("w_*", place("w_", "", None)),
            ("*_*", place("", "_*", None)),
            ("a*b->c", place("a", "b", Some("c"))),
            ("a*->", place("a", "->", None)),
            ("a*->b->c", place("a", "", Some("b->c"))),
            ("a*->->", place("a", "", Some("->"))),
            ("a->*b", place("a->", "b", None)),
        ] {
            assert_eq!(Pattern::parse(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn a_limit_is_cut_to_what_is_there_whatever_its_sum() {
        let wanted = |offset: usize, count: Option<usize>| Options { offset, count, ..Options::default() }.wanted(10);
        assert_eq!(wanted(0, None), 0..10);
        assert_eq!(wanted(3, Some(4)), 3..7);
        assert_eq!(wanted(5, Some(i64::MAX as usize)), 5..10);
        assert_eq!(wanted(i64::MAX as usize, Some(i64::MAX as usize)), 10..10);
        assert_eq!(wanted(2, Some(0)), 2..2);
    }
}
