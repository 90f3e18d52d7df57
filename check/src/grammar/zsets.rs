//! Sorted sets.

use super::Argument::{
    Count, CountedKeys, Cursor, Index, Key, LexLimit, Many, Member, MemberPattern, OneOf, Optional, Options,
    PerCountedKey, Score, ScoreLimit, SignedCount, Word,
};
use super::Family::Zsets;
use super::Want::{Any, AnySet, Zset};
use super::{Argument, Grammar};

const KEY: Argument = Key(Zset);
const WITHSCORES: &[Argument] = &[Word("WITHSCORES")];
const LIMIT: &[Argument] = &[Word("LIMIT"), OneOf(&[&[Index], &[Count]]), SignedCount];
const FLAGS: Argument = Options(&[
    &[OneOf(&[&[Word("NX")], &[Word("XX")]])],
    &[Word("CH")],
    &[OneOf(&[&[Word("INCR")], &[Word("CH")], &[Word("NX")]])],
]);
const COMBINATION: Argument = Options(&[
    &[Word("WEIGHTS"), PerCountedKey(&[Score])],
    &[Word("AGGREGATE"), OneOf(&[&[Word("SUM")], &[Word("MIN")], &[Word("MAX")]])],
]);

pub(super) const COMMANDS: &[Grammar] = &[
    Grammar::new(
        "zadd",
        Zsets,
        45,
        &[
            KEY,
            OneOf(&[&[], &[FLAGS]]),
            OneOf(&[&[Many(&[Score, Member])], &[Many(&[Score, Member])], &[Score, Member]]),
        ],
    ),
    Grammar::new("zcard", Zsets, 6, &[KEY]),
    Grammar::new("zcount", Zsets, 12, &[KEY, ScoreLimit, ScoreLimit]),
    Grammar::new("zincrby", Zsets, 15, &[KEY, Score, Member]),
    Grammar::new("zinterstore", Zsets, 12, &[Key(Any), CountedKeys(AnySet), COMBINATION]),
    Grammar::new("zlexcount", Zsets, 10, &[KEY, LexLimit, LexLimit]),
    Grammar::new("zpopmax", Zsets, 8, &[KEY, Optional(&[SignedCount])]),
    Grammar::new("zpopmin", Zsets, 8, &[KEY, Optional(&[SignedCount])]),
    Grammar::new("zrange", Zsets, 20, &[KEY, Index, Index, Optional(WITHSCORES)]),
    Grammar::new("zrangebylex", Zsets, 12, &[KEY, LexLimit, LexLimit, Optional(LIMIT)]),
    Grammar::new("zrangebyscore", Zsets, 15, &[KEY, ScoreLimit, ScoreLimit, Options(&[WITHSCORES, LIMIT])]),
    Grammar::new("zrank", Zsets, 12, &[KEY, Member]),
    Grammar::new("zrem", Zsets, 20, &[KEY, Many(&[Member])]),
    Grammar::new("zremrangebylex", Zsets, 5, &[KEY, LexLimit, LexLimit]),
    Grammar::new("zremrangebyrank", Zsets, 5, &[KEY, Index, Index]),
    Grammar::new("zremrangebyscore", Zsets, 5, &[KEY, ScoreLimit, ScoreLimit]),
    Grammar::new("zrevrange", Zsets, 12, &[KEY, Index, Index, Optional(WITHSCORES)]),
    Grammar::new("zrevrangebylex", Zsets, 12, &[KEY, LexLimit, LexLimit, Optional(LIMIT)]),
    Grammar::new("zrevrangebyscore", Zsets, 12, &[KEY, ScoreLimit, ScoreLimit, Options(&[WITHSCORES, LIMIT])]),
    Grammar::new("zrevrank", Zsets, 10, &[KEY, Member]),
    Grammar::new(
        "zscan",
        Zsets,
        12,
        &[KEY, Cursor, Options(&[&[Word("COUNT"), Count], &[Word("MATCH"), MemberPattern]])],
    ),
    Grammar::new("zscore", Zsets, 15, &[KEY, Member]),
    Grammar::new("zunionstore", Zsets, 12, &[Key(Any), CountedKeys(AnySet), COMBINATION]),
];
