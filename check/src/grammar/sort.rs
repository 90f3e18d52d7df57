//! SORT.

use super::Argument::{Index, Key, OneOf, Options, SortPattern, Word};
use super::Family::Sort;
use super::Grammar;
use super::Want::{Any, Sortable};

pub(super) const COMMANDS: &[Grammar] = &[Grammar::new(
    "sort",
    Sort,
    30,
    &[
        Key(Sortable),
        Options(&[
            &[Word("ALPHA")],
            &[OneOf(&[&[Word("ASC")], &[Word("DESC")]])],
            &[Word("LIMIT"), Index, Index],
            &[Word("BY"), SortPattern],
            &[Word("GET"), SortPattern],
            &[Word("STORE"), Key(Any)],
        ]),
    ],
)];
