//! SORT.

use super::Argument::{Index, Key, OneOf, Options, SignedCount, SortPattern, Word};
use super::Family::Sort;
use super::Grammar;
use super::Want::{Any, Sortable};

pub(super) const COMMANDS: &[Grammar] = &[Grammar::new(
    "sort",
    Sort,
    30,
    &[
        Key(Sortable),
        OneOf(&[
            &[],
            &[Word("ALPHA")],
            &[Options(&[
                &[Word("BY"), SortPattern],
                &[Word("LIMIT"), Index, SignedCount],
                &[Word("GET"), SortPattern],
                &[OneOf(&[&[Word("ASC")], &[Word("DESC")]])],
                &[Word("ALPHA")],
                &[Word("STORE"), Key(Any)],
            ])],
            &[
                Word("ALPHA"),
                Options(&[
                    &[Word("BY"), SortPattern],
                    &[Word("LIMIT"), Index, SignedCount],
                    &[Word("GET"), SortPattern],
                    &[Word("DESC")],
                    &[Word("STORE"), Key(Any)],
                ]),
            ],
        ]),
    ],
)];
