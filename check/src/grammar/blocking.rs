//! Commands that wait for a key to be ready.

use super::Argument::{BlockTimeout, Key, Many, OneOf, Word};
use super::Family::Blocking;
use super::Want::{AwaitedList, AwaitedZset, List};
use super::{Argument, Grammar};

const LISTS: Argument = Many(&[Key(AwaitedList)]);
const ZSETS: Argument = Many(&[Key(AwaitedZset)]);

pub(super) const COMMANDS: &[Grammar] = &[
    Grammar::new("blpop", Blocking, 8, &[LISTS, BlockTimeout]).alone(),
    Grammar::new("brpop", Blocking, 8, &[LISTS, BlockTimeout]).alone(),
    Grammar::new("brpoplpush", Blocking, 8, &[Key(AwaitedList), Key(List), BlockTimeout]).alone(),
    Grammar::new("bzpopmax", Blocking, 6, &[ZSETS, BlockTimeout]).alone(),
    Grammar::new("bzpopmin", Blocking, 6, &[ZSETS, BlockTimeout]).alone(),
    Grammar::new("wait", Blocking, 1, &[REPLICAS, WAIT_MILLISECONDS]).alone(),
];

const REPLICAS: Argument = OneOf(&[&[Word("0")], &[Word("1")], &[Word("-1")]]);

/// Not less than half a second: on a live server the answer must not come before it is clear that it does not come at once.
const WAIT_MILLISECONDS: Argument = OneOf(&[&[Word("0")], &[Word("700")], &[Word("100000")]]);
