//! Streams.

use super::Argument::{
    Consumer, Count, DeliveredId, Element, EntryId, Field, Group, Key, Many, Milliseconds, NewId, OneOf, Optional,
    Options, SignedCount, StreamLength, StreamLimit, Streams as Keys, UnixMilliseconds, Word,
};
use super::Family::Streams;
use super::StreamIds::{AboveAny, Undelivered};
use super::Want::Stream;
use super::{Argument, Grammar};

const KEY: Argument = Key(Stream);
const COUNT: &[Argument] = &[Word("COUNT"), SignedCount];
/// Trimming as far as nodes allow is what shows where nodes end.
const MAXLEN: &[Argument] = &[Word("MAXLEN"), OneOf(&[&[], &[Word("~")], &[Word("~")], &[Word("=")]]), StreamLength];
/// Entries of one node mostly have the same fields in a real stream; here half of them do.
const PAIRS: Argument = OneOf(&[
    &[Many(&[Field, Element])],
    &[Word("f"), Element],
    &[Word("f"), Element, Word("g"), Element],
    &[Word("f"), Element, Word("g"), Element],
]);
const CLAIM: Argument = Options(&[
    &[Word("FORCE")],
    &[Word("FORCE")],
    &[Word("JUSTID")],
    &[Word("IDLE"), Milliseconds],
    &[Word("TIME"), UnixMilliseconds],
    &[Word("RETRYCOUNT"), SignedCount],
    &[Word("LASTID"), EntryId],
]);
/// BLOCK with a time that is refused; whoever waits is the business of other families.
const WRONG_BLOCK: &[Argument] = &[Word("BLOCK"), OneOf(&[&[Word("-1")], &[Word("soon")]])];

pub(super) const COMMANDS: &[Grammar] = &[
    Grammar::new("xack", Streams, 20, &[KEY, Group, Many(&[EntryId])]),
    Grammar::new("xadd", Streams, 80, &[KEY, OneOf(&[&[], &[], &[], &[Optional(MAXLEN)]]), NewId, PAIRS]),
    Grammar::new("xclaim", Streams, 25, &[KEY, Group, Consumer, Milliseconds, Many(&[EntryId]), CLAIM]),
    Grammar::new("xdel", Streams, 20, &[KEY, Many(&[EntryId])]),
    Grammar::new(
        "xgroup",
        Streams,
        25,
        &[OneOf(&[
            &[Word("CREATE"), KEY, Group, DeliveredId],
            &[Word("CREATE"), KEY, Group, DeliveredId, Word("MKSTREAM")],
            &[Word("CREATE"), KEY, Group, DeliveredId, Word("MKSTREAM")],
            &[Word("SETID"), KEY, Group, DeliveredId],
            &[Word("SETID"), KEY, Group, DeliveredId],
            &[Word("DESTROY"), KEY, Group],
            &[Word("DELCONSUMER"), KEY, Group, Consumer],
            &[Word("HELP")],
        ])],
    ),
    Grammar::new(
        "xinfo",
        Streams,
        20,
        &[OneOf(&[
            &[Word("STREAM"), KEY],
            &[Word("STREAM"), KEY],
            &[Word("GROUPS"), KEY],
            &[Word("CONSUMERS"), KEY, Group],
            &[Word("HELP")],
        ])],
    ),
    Grammar::new("xlen", Streams, 8, &[KEY]),
    Grammar::new(
        "xpending",
        Streams,
        20,
        &[KEY, Group, Optional(&[StreamLimit, StreamLimit, SignedCount, Optional(&[Consumer])])],
    ),
    Grammar::new("xrange", Streams, 15, &[KEY, StreamLimit, StreamLimit, Optional(COUNT)]),
    Grammar::new(
        "xread",
        Streams,
        15,
        &[OneOf(&[&[], &[], &[COUNT_OPTION], &[Options(&[WRONG_BLOCK])]]), Word("STREAMS"), Keys(AboveAny)],
    ),
    Grammar::new(
        "xreadgroup",
        Streams,
        45,
        &[
            Word("GROUP"),
            Group,
            Consumer,
            OneOf(&[
                &[],
                &[],
                &[COUNT_OPTION],
                &[Word("NOACK")],
                &[COUNT_OPTION, Word("NOACK")],
                &[Options(&[WRONG_BLOCK])],
            ]),
            Word("STREAMS"),
            Keys(Undelivered),
        ],
    ),
    Grammar::new("xrevrange", Streams, 12, &[KEY, StreamLimit, StreamLimit, Optional(COUNT)]),
    Grammar::new("xsetid", Streams, 4, &[KEY, NewId]),
    Grammar::new(
        "xtrim",
        Streams,
        10,
        &[KEY, Word("MAXLEN"), OneOf(&[&[], &[Word("~")], &[Word("~")], &[Word("=")]]), StreamLength],
    ),
];

const COUNT_OPTION: Argument = OneOf(&[&[Word("COUNT"), Count], COUNT]);
