//! Transactions.

use super::Argument::{Key, Many};
use super::Family::Transactions;
use super::Grammar;
use super::Want::Any;

pub(super) const COMMANDS: &[Grammar] = &[
    Grammar::new("discard", Transactions, 2, &[]),
    Grammar::new("exec", Transactions, 3, &[]),
    Grammar::new("multi", Transactions, 16, &[]),
    Grammar::new("unwatch", Transactions, 2, &[]),
    Grammar::new("watch", Transactions, 12, &[Many(&[Key(Any)])]),
];
