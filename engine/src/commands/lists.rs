//! Lists: pushed and popped at both ends, read and changed inside.

use super::{Context, Refusal};
use crate::number::{I64_TEXT_MAX, parse_i64};
use crate::resp::Args;
use crate::structures::quicklist::{End, Side};
use crate::values::{Collection, ELEMENT_MAX, List};

/// An element that no node can hold; Redis ends at it.
const TOO_LONG: Refusal = Refusal::Fixed("ERR element exceeds maximum allowed size (1GB)");

fn check_length(element: &[u8]) -> Result<(), Refusal> {
    if element.len() > ELEMENT_MAX { Err(TOO_LONG) } else { Ok(()) }
}

fn integer(text: &[u8]) -> Result<i64, Refusal> {
    parse_i64(text).ok_or(Refusal::NOT_AN_INTEGER)
}

/// The place that an index means in a list of `len` elements; negative ones count from the tail.
fn place(index: i64, len: usize) -> Option<usize> {
    let len = i64::try_from(len).ok()?;
    let place = if index < 0 { len.checked_add(index)? } else { index };
    usize::try_from(place).ok().filter(|_| place < len)
}

/// The elements from index `start` to index `end`, both included, of a list of `len`: the first one, and how many.
/// Nothing when there are none.
fn range(start: i64, end: i64, len: usize) -> Option<(usize, usize)> {
    let len = i64::try_from(len).ok()?;
    let from_the_head = |index: i64| if index < 0 { len.saturating_add(index) } else { index };
    let (start, end) = (from_the_head(start).max(0), from_the_head(end).min(len - 1));
    if start > end {
        return None;
    }
    Some((usize::try_from(start).ok()?, usize::try_from(end - start + 1).ok()?))
}

/// `LPUSH key element…`.
pub(crate) fn lpush(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    push(cx, args, End::Front, true)
}

/// `RPUSH key element…`.
pub(crate) fn rpush(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    push(cx, args, End::Back, true)
}

/// `LPUSHX key element…`.
pub(crate) fn lpushx(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    push(cx, args, End::Front, false)
}

/// `RPUSHX key element…`.
pub(crate) fn rpushx(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    push(cx, args, End::Back, false)
}

fn push(cx: &mut Context<'_>, args: &Args<'_>, end: End, create: bool) -> Result<(), Refusal> {
    let key = &args[1];
    let elements = args.iter().skip(2);
    elements.clone().try_for_each(check_length)?;
    let length = match cx.lookup_write(key) {
        Some(mut object) => {
            let mut list = object.list()?;
            elements.for_each(|element| list.push(end, element));
            list.len()
        }
        None if !create => {
            cx.reply().integer(0);
            return Ok(());
        }
        None => {
            let mut list = List::new(cx.server.config.list_options());
            elements.for_each(|element| list.push(end, element));
            let length = list.len();
            cx.add_collection(key, Collection::List(list));
            length
        }
    };
    let event = match end {
        End::Front => "lpush",
        End::Back => "rpush",
    };
    cx.modified_times(key, event, args.len() - 2);
    cx.reply().count(length);
    Ok(())
}

/// `LPOP key`.
pub(crate) fn lpop(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    pop(cx, &args[1], End::Front)
}

/// `RPOP key`.
pub(crate) fn rpop(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    pop(cx, &args[1], End::Back)
}

fn pop(cx: &mut Context<'_>, key: &[u8], end: End) -> Result<(), Refusal> {
    let (found, mut reply) = cx.write(key);
    let Some(mut object) = found else {
        reply.nil();
        return Ok(());
    };
    let mut list = object.list()?;
    match list.peek(end) {
        Some(element) => reply.bulk(element.text(&mut [0; I64_TEXT_MAX])),
        None => reply.nil(),
    }
    list.drop_end(end);
    let emptied = list.is_empty();
    drop(list);
    if emptied {
        object.remove();
    }
    tell_of_pop(cx, key, end, emptied);
    Ok(())
}

/// Takes the element at an end out of a list that was found before, and the key with the last one.
pub(crate) fn take_end(cx: &mut Context<'_>, key: &[u8], end: End) -> Result<(), Refusal> {
    let (db, now_ms) = (cx.client.db, cx.now_ms);
    let Some(mut object) = cx.server.find(db, key, now_ms) else { return Ok(()) };
    let mut list = object.list()?;
    list.drop_end(end);
    let emptied = list.is_empty();
    drop(list);
    if emptied {
        object.remove();
    }
    tell_of_pop(cx, key, end, emptied);
    Ok(())
}

fn tell_of_pop(cx: &mut Context<'_>, key: &[u8], end: End, emptied: bool) {
    let event = match end {
        End::Front => "lpop",
        End::Back => "rpop",
    };
    cx.modified(key, event);
    if emptied {
        cx.touched(key, "del");
    }
}

/// `LLEN key`.
pub(crate) fn llen(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let (found, mut reply) = cx.read(&args[1]);
    reply.count(match found {
        Some(object) => object.list()?.len(),
        None => 0,
    });
    Ok(())
}

/// `LINDEX key index`.
pub(crate) fn lindex(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let (found, mut reply) = cx.read(&args[1]);
    let Some(object) = found else {
        reply.nil();
        return Ok(());
    };
    let list = object.list()?;
    let shown = place(integer(&args[2])?, list.len())
        .and_then(|place| list.read(place, |element| reply.bulk(element.text(&mut [0; I64_TEXT_MAX]))));
    if shown.is_none() {
        reply.nil();
    }
    Ok(())
}

/// `LSET key index element`.
pub(crate) fn lset(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let (key, element) = (&args[1], &args[3]);
    let mut object = cx.lookup_write(key).ok_or(Refusal::NO_SUCH_KEY)?;
    let mut list = object.list()?;
    let index = integer(&args[2])?;
    check_length(element)?;
    let place = place(index, list.len()).ok_or(Refusal::INDEX_OUT_OF_RANGE)?;
    list.set(place, element);
    drop(list);
    cx.modified(key, "lset");
    cx.reply().ok();
    Ok(())
}

/// `LINSERT key BEFORE|AFTER pivot element`.
pub(crate) fn linsert(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let (key, pivot, element) = (&args[1], &args[3], &args[4]);
    let side = if args.is(2, "before") {
        Side::Before
    } else if args.is(2, "after") {
        Side::After
    } else {
        return Err(Refusal::SYNTAX);
    };
    check_length(element)?;
    let Some(mut object) = cx.lookup_write(key) else {
        cx.reply().integer(0);
        return Ok(());
    };
    let mut list = object.list()?;
    if !list.insert_beside(pivot, side, element) {
        drop(list);
        cx.reply().integer(-1);
        return Ok(());
    }
    let length = list.len();
    drop(list);
    cx.modified(key, "linsert");
    cx.reply().count(length);
    Ok(())
}

/// `LRANGE key start end`.
pub(crate) fn lrange(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let (start, end) = (integer(&args[2])?, integer(&args[3])?);
    let (found, mut reply) = cx.read(&args[1]);
    let list = match found {
        Some(object) => Some(object.list()?),
        None => None,
    };
    match list.and_then(|list| range(start, end, list.len()).map(|range| (list, range))) {
        Some((list, (first, count))) => {
            reply.array(count);
            list.visit(first, count, |element| reply.bulk(element.text(&mut [0; I64_TEXT_MAX])));
        }
        None => reply.array(0),
    }
    Ok(())
}

/// `LTRIM key start end`.
pub(crate) fn ltrim(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let key = &args[1];
    let (start, end) = (integer(&args[2])?, integer(&args[3])?);
    let Some(mut object) = cx.lookup_write(key) else {
        cx.reply().ok();
        return Ok(());
    };
    let mut list = object.list()?;
    let length = list.len();
    let (first, count) = range(start, end, length).unwrap_or((length, 0));
    list.trim(first, length - first - count);
    let emptied = list.is_empty();
    drop(list);
    if emptied {
        object.remove();
    }
    cx.modified(key, "ltrim");
    if emptied {
        cx.touched(key, "del");
    }
    cx.reply().ok();
    Ok(())
}

/// `LREM key count element`.
pub(crate) fn lrem(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let (key, element) = (&args[1], &args[3]);
    let count = integer(&args[2])?;
    let Some(mut object) = cx.lookup_write(key) else {
        cx.reply().integer(0);
        return Ok(());
    };
    let mut list = object.list()?;
    let removed = list.remove(element, count);
    let emptied = list.is_empty();
    drop(list);
    if emptied {
        object.remove();
    }
    cx.elements_removed(key, "lrem", removed, emptied);
    cx.reply().count(removed);
    Ok(())
}

/// `RPOPLPUSH source destination`.
pub(crate) fn rpoplpush(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let (source, destination) = (&args[1], &args[2]);
    let Some(object) = cx.lookup_write(source) else {
        cx.reply().nil();
        return Ok(());
    };
    let Some(tail) = object.view().list()?.peek(End::Back) else {
        cx.reply().nil();
        return Ok(());
    };
    let element = tail.to_vec();
    if source == destination {
        let mut object = object;
        let mut list = object.list()?;
        list.drop_end(End::Back);
        list.push(End::Front, &element);
        drop(list);
        cx.touched(source, "lpush");
        cx.modified(source, "rpop");
        cx.reply().bulk(&element);
        return Ok(());
    }
    match cx.lookup_write(destination) {
        Some(mut object) => object.list()?.push(End::Front, &element),
        None => {
            let mut list = List::new(cx.server.config.list_options());
            list.push(End::Front, &element);
            cx.add_collection(destination, Collection::List(list));
        }
    }
    cx.touched(destination, "lpush");
    let db = cx.client.db;
    let mut emptied = false;
    if let Some(mut object) = cx.server.find(db, source, cx.now_ms) {
        let mut list = object.list()?;
        list.drop_end(End::Back);
        emptied = list.is_empty();
        drop(list);
        if emptied {
            object.remove();
        }
    }
    cx.modified(source, "rpop");
    if emptied {
        cx.touched(source, "del");
    }
    cx.reply().bulk(&element);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_places_are_cut_to_the_list() {
        for (start, end, len, expected) in [
            (0, -1, 5, Some((0, 5))),
            (1, 3, 5, Some((1, 3))),
            (-100, 100, 5, Some((0, 5))),
            (-100, -200, 5, None),
            (4, 4, 5, Some((4, 1))),
            (5, 9, 5, None),
            (i64::MIN, i64::MAX, 3, Some((0, 3))),
            (i64::MAX, i64::MIN, 3, None),
        ] {
            assert_eq!(range(start, end, len), expected, "{start} {end}");
        }
        for (index, expected) in [(0, Some(0)), (-1, Some(2)), (-3, Some(0)), (-4, None), (3, None), (i64::MIN, None)] {
            assert_eq!(place(index, 3), expected, "{index}");
        }
    }
}
