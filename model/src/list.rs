//! Lists and their commands.

use std::collections::VecDeque;

use crate::call::Call;
use crate::clause::Clause;
use crate::edit::Edit;
use crate::plan::{Change, Plan, Refusal};
use crate::reply::{Bytes, Reply};
use crate::strings::length;
use crate::value::Value;

/// A list; its encoding is always quicklist. [LIST-4]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListValue {
    /// From head to tail.
    pub items: VecDeque<Bytes>,
}

/// One of the ends of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Where index 0 is.
    Head,
    /// Where index -1 is.
    Tail,
}

/// What is done to a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListEdit {
    /// These come to an end, one after the other.
    Push(End, Vec<Bytes>),
    /// The element at an end goes.
    Pop(End),
    /// The tail becomes the head.
    Rotate,
    /// The element at an index is replaced.
    Set(usize, Bytes),
    /// An element comes to stand at an index, before what stood there.
    Insert(usize, Bytes),
    /// Only the elements from one index up to and without another stay.
    Keep(usize, usize),
    /// The elements at these indexes, which rise, go.
    Remove(Vec<usize>),
}

impl ListValue {
    /// Makes a change in place. Indexes that do not exist change nothing.
    pub(crate) fn apply(&mut self, edit: ListEdit) {
        match edit {
            ListEdit::Push(End::Head, items) => items.into_iter().for_each(|item| self.items.push_front(item)),
            ListEdit::Push(End::Tail, items) => self.items.extend(items),
            ListEdit::Pop(End::Head) => drop(self.items.pop_front()),
            ListEdit::Pop(End::Tail) => drop(self.items.pop_back()),
            ListEdit::Rotate => self.items.rotate_right(usize::from(!self.items.is_empty())),
            ListEdit::Set(index, item) => {
                if let Some(place) = self.items.get_mut(index) {
                    *place = item;
                }
            }
            ListEdit::Insert(index, item) => self.items.insert(index.min(self.items.len()), item),
            ListEdit::Keep(first, end) => {
                self.items.truncate(end);
                self.items.drain(..first.min(self.items.len()));
            }
            ListEdit::Remove(indexes) => {
                let mut indexes = indexes.into_iter().peekable();
                let mut index = 0;
                self.items.retain(|_| {
                    let goes = indexes.next_if_eq(&index).is_some();
                    index += 1;
                    !goes
                });
            }
        }
    }

    /// The position that an index means; `None` beyond either end. [LIST-3]
    fn position(&self, index: i64) -> Option<usize> {
        let index = if index < 0 { index.checked_add(length(self.items.len()))? } else { index };
        usize::try_from(index).ok().filter(|&index| index < self.items.len())
    }
}

impl<'a> Call<'a> {
    /// The list at a key; an error if the key holds something else.
    pub(crate) fn find_list(&self, key: &[u8]) -> Result<Option<&'a ListValue>, Refusal> {
        match self.find(key).map(|entry| &entry.value) {
            None => Ok(None),
            Some(Value::List(list)) => Ok(Some(list)),
            Some(_) => Err(Self::wrong_type()),
        }
    }

    fn edit_list(&self, key: &[u8], edit: ListEdit) -> Change {
        self.cite(Clause::LIST_1);
        Change::Edit { db: self.db(), key: key.to_vec(), edit: Edit::List(edit) }
    }
}

pub(crate) fn lpush(call: &Call<'_>) -> Result<Plan, Refusal> {
    push(call, End::Head, Clause::LPUSH_1)
}

pub(crate) fn rpush(call: &Call<'_>) -> Result<Plan, Refusal> {
    push(call, End::Tail, Clause::RPUSH_1)
}

fn push(call: &Call<'_>, end: End, clause: Clause) -> Result<Plan, Refusal> {
    let present = call.find_list(call.args[1])?.map_or(0, |list| list.items.len());
    let items: Vec<Bytes> = call.args[2..].iter().map(|item| item.to_vec()).collect();
    let plan = Plan::integer(clause, length(present + items.len()));
    Ok(plan.with(call.edit_list(call.args[1], ListEdit::Push(end, items))).verbatim())
}

pub(crate) fn lpushx(call: &Call<'_>) -> Result<Plan, Refusal> {
    match call.find_list(call.args[1])? {
        None => Ok(Plan::integer(Clause::LPUSHX_2, 0)),
        Some(_) => push(call, End::Head, Clause::LPUSHX_1),
    }
}

pub(crate) fn rpushx(call: &Call<'_>) -> Result<Plan, Refusal> {
    match call.find_list(call.args[1])? {
        None => Ok(Plan::integer(Clause::RPUSHX_2, 0)),
        Some(_) => push(call, End::Tail, Clause::RPUSHX_1),
    }
}

pub(crate) fn lpop(call: &Call<'_>) -> Result<Plan, Refusal> {
    pop(call, End::Head, Clause::LPOP_1)
}

pub(crate) fn rpop(call: &Call<'_>) -> Result<Plan, Refusal> {
    pop(call, End::Tail, Clause::RPOP_1)
}

fn pop(call: &Call<'_>, end: End, clause: Clause) -> Result<Plan, Refusal> {
    let Some(list) = call.find_list(call.args[1])? else {
        return Ok(Plan::reply(Clause::LPOP_2, Reply::NilBulk));
    };
    let item = match end {
        End::Head => list.items.front(),
        End::Tail => list.items.back(),
    };
    if list.items.len() == 1 {
        call.cite(Clause::LIST_2);
    }
    let reply = item.map_or(Reply::NilBulk, |item| Reply::bulk(item.as_slice()));
    Ok(Plan::reply(clause, reply).with(call.edit_list(call.args[1], ListEdit::Pop(end))).verbatim())
}

pub(crate) fn llen(call: &Call<'_>) -> Result<Plan, Refusal> {
    let list = call.find_list(call.args[1])?;
    Ok(Plan::integer(Clause::LLEN_1, list.map_or(0, |list| length(list.items.len()))))
}

pub(crate) fn lindex(call: &Call<'_>) -> Result<Plan, Refusal> {
    let Some(list) = call.find_list(call.args[1])? else {
        return Ok(Plan::reply(Clause::LINDEX_3, Reply::NilBulk));
    };
    let index = call.integer(2)?;
    call.cite(Clause::LIST_3);
    Ok(match list.position(index).and_then(|position| list.items.get(position)) {
        Some(item) => Plan::reply(Clause::LINDEX_1, Reply::bulk(item.as_slice())),
        None => Plan::reply(Clause::LINDEX_2, Reply::NilBulk),
    })
}

pub(crate) fn lset(call: &Call<'_>) -> Result<Plan, Refusal> {
    let Some(list) = call.find_list(call.args[1])? else {
        return Err(Refusal::new(Clause::LSET_2, "ERR no such key"));
    };
    let index = call.integer(2)?;
    call.cite(Clause::LIST_3);
    let Some(position) = list.position(index) else {
        return Err(Refusal::new(Clause::LSET_3, "ERR index out of range"));
    };
    let edit = ListEdit::Set(position, call.args[3].to_vec());
    Ok(Plan::ok(Clause::LSET_1).with(call.edit_list(call.args[1], edit)).verbatim())
}

pub(crate) fn linsert(call: &Call<'_>) -> Result<Plan, Refusal> {
    let behind = match call.args[2].to_ascii_lowercase().as_slice() {
        b"before" => 0,
        b"after" => 1,
        _ => return Err(Refusal::new(Clause::LINSERT_4, "ERR syntax error")),
    };
    let Some(list) = call.find_list(call.args[1])? else {
        return Ok(Plan::integer(Clause::LINSERT_3, 0));
    };
    let Some(pivot) = list.items.iter().position(|item| item == call.args[3]) else {
        return Ok(Plan::integer(Clause::LINSERT_2, -1));
    };
    let edit = ListEdit::Insert(pivot + behind, call.args[4].to_vec());
    let plan = Plan::integer(Clause::LINSERT_1, length(list.items.len() + 1));
    Ok(plan.with(call.edit_list(call.args[1], edit)).verbatim())
}

/// The two indexes of a range, which are judged before the key.
fn range(call: &Call<'_>, clause: Clause) -> Result<(i64, i64), Refusal> {
    let integers = call.integer(2).and_then(|first| Ok((first, call.integer(3)?)));
    integers.inspect_err(|_| call.cite(clause))
}

/// The first and last position that a range covers, both included; `None` if it is empty. [LRANGE-2] [LRANGE-3]
fn covered(first: i64, last: i64, len: usize) -> Option<(usize, usize)> {
    let len = length(len);
    let from_tail = |index: i64| if index < 0 { index.saturating_add(len) } else { index };
    let (first, last) = (from_tail(first).max(0), from_tail(last).min(len - 1));
    if first > last {
        return None;
    }
    Some((usize::try_from(first).ok()?, usize::try_from(last).ok()?))
}

pub(crate) fn lrange(call: &Call<'_>) -> Result<Plan, Refusal> {
    let (first, last) = range(call, Clause::LRANGE_4)?;
    let nothing = Plan::reply(Clause::LRANGE_3, Reply::Array(Vec::new()));
    let Some(list) = call.find_list(call.args[1])? else { return Ok(nothing) };
    if first < 0 || last < 0 {
        call.cite(Clause::LRANGE_2);
    }
    let Some((first, last)) = covered(first, last, list.items.len()) else { return Ok(nothing) };
    let items = list.items.range(first..=last).map(|item| Reply::bulk(item.as_slice()));
    Ok(Plan::reply(Clause::LRANGE_1, Reply::Array(items.collect())))
}

pub(crate) fn ltrim(call: &Call<'_>) -> Result<Plan, Refusal> {
    let (first, last) = range(call, Clause::LTRIM_3)?;
    let Some(list) = call.find_list(call.args[1])? else { return Ok(Plan::ok(Clause::LTRIM_4)) };
    Ok(match covered(first, last, list.items.len()) {
        Some((first, last)) => {
            Plan::ok(Clause::LTRIM_1).with(call.edit_list(call.args[1], ListEdit::Keep(first, last + 1)))
        }
        None => Plan::ok(Clause::LTRIM_2).with(call.edit_list(call.args[1], ListEdit::Keep(0, 0))),
    }
    .verbatim())
}

pub(crate) fn lrem(call: &Call<'_>) -> Result<Plan, Refusal> {
    let count = call.integer(2).inspect_err(|_| call.cite(Clause::LREM_3))?;
    let Some(list) = call.find_list(call.args[1])? else { return Ok(Plan::integer(Clause::LREM_2, 0)) };
    let equal = |(index, item): (usize, &Bytes)| (item == call.args[3]).then_some(index);
    let mut indexes: Vec<usize> = list.items.iter().enumerate().filter_map(equal).collect();
    let most = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    if count > 0 {
        indexes.truncate(most);
    } else if count < 0 {
        let spared = indexes.len().saturating_sub(most);
        indexes.drain(..spared);
    }
    if indexes.is_empty() {
        return Ok(Plan::integer(Clause::LREM_2, 0));
    }
    if indexes.len() == list.items.len() {
        call.cite(Clause::LIST_2);
    }
    let plan = Plan::integer(Clause::LREM_1, length(indexes.len()));
    Ok(plan.with(call.edit_list(call.args[1], ListEdit::Remove(indexes))).verbatim())
}

pub(crate) fn rpoplpush(call: &Call<'_>) -> Result<Plan, Refusal> {
    let (from, to) = (call.args[1], call.args[2]);
    let Some(source) = call.find_list(from)? else {
        return Ok(Plan::reply(Clause::RPOPLPUSH_2, Reply::NilBulk));
    };
    call.find_list(to).inspect_err(|_| call.cite(Clause::RPOPLPUSH_4))?;
    let Some(item) = source.items.back() else {
        return Ok(Plan::reply(Clause::RPOPLPUSH_2, Reply::NilBulk));
    };
    let reply = Reply::bulk(item.as_slice());
    if from == to {
        return Ok(Plan::reply(Clause::RPOPLPUSH_3, reply).with(call.edit_list(from, ListEdit::Rotate)).verbatim());
    }
    let push = call.edit_list(to, ListEdit::Push(End::Head, vec![item.clone()]));
    Ok(Plan::reply(Clause::RPOPLPUSH_1, reply)
        .with(push)
        .with(call.edit_list(from, ListEdit::Pop(End::Tail)))
        .verbatim())
}
