//! Lists.

use super::Argument::{Element, Index, Key, Many, Member, OneOf, SignedCount, Word};
use super::Family::Lists;
use super::Want::List;
use super::{Argument, Grammar};

const KEY: Argument = Key(List);

pub(super) const COMMANDS: &[Grammar] = &[
    Grammar::new("lindex", Lists, 10, &[KEY, Index]),
    Grammar::new("linsert", Lists, 12, &[KEY, OneOf(&[&[Word("BEFORE")], &[Word("AFTER")]]), Member, Element]),
    Grammar::new("llen", Lists, 8, &[KEY]),
    Grammar::new("lpop", Lists, 12, &[KEY]),
    Grammar::new("lpush", Lists, 30, &[KEY, Many(&[Element])]),
    Grammar::new("lpushx", Lists, 8, &[KEY, Many(&[Element])]),
    Grammar::new("lrange", Lists, 20, &[KEY, Index, Index]),
    Grammar::new("lrem", Lists, 12, &[KEY, SignedCount, Member]),
    Grammar::new("lset", Lists, 15, &[KEY, Index, Element]),
    Grammar::new("ltrim", Lists, 5, &[KEY, Index, Index]),
    Grammar::new("rpop", Lists, 12, &[KEY]),
    Grammar::new("rpoplpush", Lists, 12, &[KEY, KEY]),
    Grammar::new("rpush", Lists, 30, &[KEY, Many(&[Element])]),
    Grammar::new("rpushx", Lists, 8, &[KEY, Many(&[Element])]),
];
