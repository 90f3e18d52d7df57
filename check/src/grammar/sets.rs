//! Sets.

use super::Argument::{Count, Cursor, Key, Many, Member, MemberPattern, OneOf, Optional, Options, SignedCount, Word};
use super::Family::Sets;
use super::Want::{Any, Set};
use super::{Argument, Grammar};

const KEY: Argument = Key(Set);

/// Where a result is stored: mostly over a set, sometimes over whatever is there.
const DESTINATION: Argument = Key(Any);

pub(super) const COMMANDS: &[Grammar] = &[
    Grammar::new("sadd", Sets, 40, &[KEY, Many(&[Member])]),
    Grammar::new("scard", Sets, 8, &[KEY]),
    Grammar::new("sdiff", Sets, 12, &[KEY, Many(&[KEY])]),
    Grammar::new("sdiffstore", Sets, 12, &[DESTINATION, KEY, Many(&[KEY])]),
    Grammar::new("sinter", Sets, 12, &[Many(&[KEY])]),
    Grammar::new("sinterstore", Sets, 12, &[DESTINATION, Many(&[KEY])]),
    Grammar::new("sismember", Sets, 15, &[KEY, Member]),
    Grammar::new("smembers", Sets, 12, &[KEY]),
    Grammar::new("smove", Sets, 15, &[KEY, KEY, Member]),
    Grammar::new("spop", Sets, 12, &[KEY, Optional(&[OneOf(&[&[Count], &[Count], &[SignedCount]])])]),
    Grammar::new("srandmember", Sets, 15, &[KEY, Optional(&[SignedCount])]),
    Grammar::new("srem", Sets, 25, &[KEY, Many(&[Member])]),
    Grammar::new(
        "sscan",
        Sets,
        15,
        &[KEY, Cursor, Options(&[&[Word("COUNT"), Count], &[Word("MATCH"), MemberPattern]])],
    ),
    Grammar::new("sunion", Sets, 12, &[Many(&[KEY])]),
    Grammar::new("sunionstore", Sets, 12, &[DESTINATION, Many(&[KEY])]),
];
