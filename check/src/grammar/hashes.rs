//! Hashes.

use super::Argument::{Count, Cursor, Element, Field, Float, Integer, Key, Many, MemberPattern, Options, Word};
use super::Family::Hashes;
use super::Want::Hash;
use super::{Argument, Grammar};

const KEY: Argument = Key(Hash);

pub(super) const COMMANDS: &[Grammar] = &[
    Grammar::new("hdel", Hashes, 15, &[KEY, Many(&[Field])]),
    Grammar::new("hexists", Hashes, 8, &[KEY, Field]),
    Grammar::new("hget", Hashes, 15, &[KEY, Field]),
    Grammar::new("hgetall", Hashes, 10, &[KEY]),
    Grammar::new("hincrby", Hashes, 12, &[KEY, Field, Integer]),
    Grammar::new("hincrbyfloat", Hashes, 8, &[KEY, Field, Float]),
    Grammar::new("hkeys", Hashes, 6, &[KEY]),
    Grammar::new("hlen", Hashes, 8, &[KEY]),
    Grammar::new("hmget", Hashes, 10, &[KEY, Many(&[Field])]),
    Grammar::new("hmset", Hashes, 15, &[KEY, Many(&[Field, Element])]),
    Grammar::new(
        "hscan",
        Hashes,
        15,
        &[KEY, Cursor, Options(&[&[Word("COUNT"), Count], &[Word("MATCH"), MemberPattern]])],
    ),
    Grammar::new("hset", Hashes, 40, &[KEY, Many(&[Field, Element])]),
    Grammar::new("hsetnx", Hashes, 10, &[KEY, Field, Element]),
    Grammar::new("hstrlen", Hashes, 6, &[KEY, Field]),
    Grammar::new("hvals", Hashes, 6, &[KEY]),
];
