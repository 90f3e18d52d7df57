//! Every clause of SPEC.md, by id. Written by `TALLY_BLESS=1 cargo test -p tally-model --test clauses`.

use crate::specification::Observable;

/// A clause of SPEC.md.
#[allow(non_camel_case_types, missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u16)]
pub enum Clause {
    DISPATCH_1,
}

impl Clause {
    /// All clauses, in document order.
    pub const ALL: &'static [Self] = &[
        Self::DISPATCH_1,
    ];

    /// The id as SPEC.md writes it, for example `SET-2`.
    pub fn id(self) -> &'static str {
        FACTS[self as usize].0
    }

    /// How the clause can be observed.
    pub fn observable(self) -> Observable {
        FACTS[self as usize].1
    }
}

#[rustfmt::skip]
const FACTS: &[(&str, Observable)] = &[
    ("DISPATCH-1", Observable::Wire),
];
