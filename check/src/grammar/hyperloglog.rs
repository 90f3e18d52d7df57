//! HyperLogLogs: strings of a form of their own, beside which other strings stand as corrupted ones.

use super::Argument::{Key, Many, Member, OneOf, Optional, Word};
use super::Family::HyperLogLog;
use super::Want::{Existing, String};
use super::{Argument, Grammar};

const KEY: Argument = Key(String);

pub(super) const COMMANDS: &[Grammar] = &[
    Grammar::new("pfadd", HyperLogLog, 40, &[KEY, Optional(&[Many(&[Member])])]),
    Grammar::new("pfcount", HyperLogLog, 25, &[Many(&[KEY])]),
    Grammar::new(
        "pfdebug",
        HyperLogLog,
        4,
        &[
            OneOf(&[
                &[Word("ENCODING")],
                &[Word("ENCODING")],
                &[Word("DECODE")],
                &[Word("TODENSE")],
                &[Word("GETREG")],
            ]),
            Key(Existing),
        ],
    ),
    Grammar::new("pfmerge", HyperLogLog, 15, &[KEY, Optional(&[Many(&[KEY])])]),
    Grammar::new("pfselftest", HyperLogLog, 0, &[]).heavy(),
];
