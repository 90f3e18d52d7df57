//! Introspection, configuration, DEBUG, and the dataset's way through files.

use super::Argument::{
    CommandName, Count, EventClasses, Index, Key, ListFill, Many, OneOf, Optional, Pattern, Threshold, Value, Word,
};
use super::Family::{Debug, Server};
use super::Want::{Any, Existing};
use super::{Argument, Grammar};

/// The picture that LOLWUT draws grows with its arguments, and so does what it costs.
const SMALL: Argument = OneOf(&[&[Word("1")], &[Word("2")], &[Word("7")], &[Word("0")], &[Word("-1")]]);

const YES_NO: Argument = OneOf(&[&[Word("yes")], &[Word("no")]]);

pub(super) const COMMANDS: &[Grammar] = &[
    Grammar::new(
        "command",
        Server,
        3,
        &[OneOf(&[
            &[Word("COUNT")],
            &[Word("INFO"), Many(&[CommandName])],
            &[Word("GETKEYS"), Word("MSET"), Many(&[Key(Any), Value])],
            &[Word("GETKEYS"), Word("GET"), Key(Any)],
            &[Word("GETKEYS"), CommandName, Many(&[Key(Any)])],
            &[Word("HELP")],
        ])],
    ),
    Grammar::new(
        "config",
        Server,
        10,
        &[OneOf(&[
            &[Word("GET"), CONFIG_PATTERN],
            &[Word("SET"), Word("lazyfree-lazy-expire"), YES_NO],
            &[Word("SET"), Word("lazyfree-lazy-server-del"), YES_NO],
            &[Word("SET"), Word("maxmemory-samples"), Count],
            &[Word("SET"), Word("hash-max-ziplist-entries"), Threshold],
            &[Word("SET"), Word("hash-max-ziplist-value"), Threshold],
            &[Word("SET"), Word("zset-max-ziplist-entries"), Threshold],
            &[Word("SET"), Word("zset-max-ziplist-value"), Threshold],
            &[Word("SET"), Word("set-max-intset-entries"), Threshold],
            &[Word("SET"), Word("hll-sparse-max-bytes"), Threshold],
            &[Word("SET"), Word("list-max-ziplist-size"), ListFill],
            &[Word("SET"), Word("list-compress-depth"), Threshold],
            &[Word("SET"), Word("slowlog-max-len"), Count],
            &[Word("SET"), Word("slowlog-log-slower-than"), OneOf(&[&[Word("0")], &[Word("-1")], &[Word("10000")]])],
            &[Word("SET"), Word("lfu-decay-time"), Count],
            &[Word("SET"), Word("activerehashing"), YES_NO],
            &[Word("SET"), Word("notify-keyspace-events"), EventClasses],
            &[Word("SET"), Word("maxmemory-policy"), OneOf(&[&[Word("noeviction")], &[Word("allkeys-lfu")]])],
            &[Word("RESETSTAT")],
            &[Word("HELP")],
        ])],
    ),
    Grammar::new(
        "info",
        Server,
        1,
        &[Optional(&[OneOf(&[&[Word("server")], &[Word("keyspace")], &[Word("all")], &[Word("stats")], &[Value]])])],
    ),
    Grammar::new("lastsave", Server, 1, &[]),
    Grammar::new(
        "lolwut",
        Server,
        0,
        &[Optional(&[OneOf(&[&[Word("VERSION"), SMALL], &[Word("5"), SMALL, SMALL, SMALL], &[SMALL]])])],
    ),
    Grammar::new(
        "memory",
        Server,
        3,
        &[OneOf(&[
            &[Word("USAGE"), Key(Existing), Optional(&[Word("SAMPLES"), Index])],
            &[Word("USAGE"), Key(Existing)],
            &[Word("STATS")],
            &[Word("DOCTOR")],
            &[Word("PURGE")],
            &[Word("MALLOC-STATS")],
            &[Word("HELP")],
        ])],
    ),
    Grammar::new("module", Server, 1, &[OneOf(&[&[Word("LIST")], &[Word("UNLOAD"), Value], &[Word("HELP")]])]),
    Grammar::new(
        "latency",
        Server,
        2,
        &[OneOf(&[
            &[Word("LATEST")],
            &[Word("HISTORY"), EVENT],
            &[Word("GRAPH"), EVENT],
            &[Word("RESET")],
            &[Word("RESET"), EVENT],
            &[Word("DOCTOR")],
            &[Word("HELP")],
        ])],
    ),
    Grammar::new("role", Server, 1, &[]),
    Grammar::new(
        "slowlog",
        Server,
        3,
        &[OneOf(&[&[Word("GET")], &[Word("GET"), Index], &[Word("LEN")], &[Word("RESET")], &[Word("HELP")]])],
    ),
    Grammar::new("time", Server, 2, &[]),
    Grammar::new(
        "debug",
        Debug,
        7,
        &[OneOf(&[
            &[Word("OBJECT"), Key(Existing)],
            &[Word("OBJECT"), Key(Existing)],
            &[Word("SDSLEN"), Key(Existing)],
            &[Word("DIGEST")],
            &[Word("DIGEST-VALUE"), Many(&[Key(Any)])],
            &[Word("SET-ACTIVE-EXPIRE"), OneOf(&[&[Word("0")], &[Word("1")], &[Word("1")]])],
            &[Word("SLEEP"), Word("0")],
            &[Word("HTSTATS"), OneOf(&[&[Word("0")], &[Word("1")], &[Word("99")]])],
            &[Word("HTSTATS-KEY"), Key(Existing)],
            &[Word("ZIPLIST"), Key(Existing)],
            &[Word("ERROR"), Value],
            &[Word("RELOAD")],
            &[Word("HELP")],
        ])],
    )
    .alone(),
    Grammar::new("bgrewriteaof", Debug, 1, &[]).alone(),
    Grammar::new("bgsave", Debug, 1, &[Optional(&[Word("SCHEDULE")])]).alone(),
    Grammar::new("save", Debug, 1, &[]).alone(),
    Grammar::new("shutdown", Debug, 1, &[Optional(&[OneOf(&[&[Word("NOSAVE")], &[Word("SAVE")]])])]).alone(),
];

/// What LATENCY keeps apart.
const EVENT: Argument = OneOf(&[&[Word("command")], &[Word("fast-command")], &[Word("fork")], &[Value]]);

/// Patterns over directives.
const CONFIG_PATTERN: Argument = OneOf(&[
    &[Word("*max-*")],
    &[Word("lazyfree-lazy-expire")],
    &[Word("maxmemory-samples")],
    &[Word("slowlog-*")],
    &[Word("notify-keyspace-events")],
    &[Word("[a-d]*")],
    &[Word("no-such-directive")],
    &[Pattern],
]);
