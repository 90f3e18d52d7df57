//! Strings, counters and bits.

use super::Argument::{
    Bit, BitOffset, ByteOffset, FieldOffset, FieldType, Float, Index, Integer, Key, Many, Milliseconds, OneOf,
    Optional, Options, Seconds, Value, Word,
};
use super::Family::{Bits, Strings};
use super::Want::String;
use super::{Argument, Grammar};

const KEY: Argument = Key(String);

const FIELD_OPERATION: Argument = OneOf(&[
    &[Word("GET"), FieldType, FieldOffset],
    &[Word("SET"), FieldType, FieldOffset, Integer],
    &[Word("INCRBY"), FieldType, FieldOffset, Integer],
    &[Word("OVERFLOW"), OneOf(&[&[Word("WRAP")], &[Word("SAT")], &[Word("FAIL")]])],
]);

pub(super) const COMMANDS: &[Grammar] = &[
    Grammar::new("append", Strings, 20, &[KEY, Value]),
    Grammar::new("decr", Strings, 10, &[KEY]),
    Grammar::new("decrby", Strings, 10, &[KEY, Integer]),
    Grammar::new("get", Strings, 40, &[KEY]),
    Grammar::new("getrange", Strings, 20, &[KEY, Index, Index]),
    Grammar::new("getset", Strings, 10, &[KEY, Value]),
    Grammar::new("incr", Strings, 10, &[KEY]),
    Grammar::new("incrby", Strings, 10, &[KEY, Integer]),
    Grammar::new("incrbyfloat", Strings, 6, &[KEY, Float]),
    Grammar::new("mget", Strings, 10, &[Many(&[KEY])]),
    Grammar::new("mset", Strings, 10, &[Many(&[KEY, Value])]),
    Grammar::new("msetnx", Strings, 8, &[Many(&[KEY, Value])]),
    Grammar::new("psetex", Strings, 8, &[KEY, Milliseconds, Value]),
    Grammar::new(
        "set",
        Strings,
        60,
        &[
            KEY,
            Value,
            Options(&[
                &[OneOf(&[&[Word("EX"), Seconds], &[Word("PX"), Milliseconds]])],
                &[OneOf(&[&[Word("NX")], &[Word("XX")]])],
            ]),
        ],
    ),
    Grammar::new("setex", Strings, 8, &[KEY, Seconds, Value]),
    Grammar::new("setnx", Strings, 8, &[KEY, Value]),
    Grammar::new("setrange", Strings, 20, &[KEY, ByteOffset, Value]),
    Grammar::new("strlen", Strings, 10, &[KEY]),
    Grammar::new("substr", Strings, 4, &[KEY, Index, Index]),
    Grammar::new("bitcount", Bits, 15, &[KEY, Optional(&[Index, Index])]),
    Grammar::new("bitfield", Bits, 30, &[KEY, Many(&[FIELD_OPERATION])]),
    Grammar::new(
        "bitop",
        Bits,
        15,
        &[OneOf(&[&[Word("AND")], &[Word("OR")], &[Word("XOR")], &[Word("NOT")]]), KEY, Many(&[KEY])],
    ),
    Grammar::new("bitpos", Bits, 15, &[KEY, Bit, Optional(&[Index, Optional(&[Index])])]),
    Grammar::new("getbit", Bits, 10, &[KEY, BitOffset]),
    Grammar::new("setbit", Bits, 20, &[KEY, BitOffset, Bit]),
];
