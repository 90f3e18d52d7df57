//! What really happened: which client sent what when, and when which answer had come.

use std::collections::BTreeMap;
use std::fmt;

use tally_model::Reply;

use crate::grammar::index::{command_index, grammar_at};
use crate::request::Request;

/// One command and its answer. Between `called` and `returned` lies the moment at which it took effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Who sent it; the clients of a round are numbered from 0, whoever helps blocked ones comes after them.
    pub client: usize,
    /// What.
    pub request: Request,
    /// What came back.
    pub reply: Reply,
    /// When sending began, nanoseconds since the round did.
    pub called: u64,
    /// When the answer had come.
    pub returned: u64,
    /// The keys it is about.
    pub keys: Vec<Vec<u8>>,
}

impl Operation {
    /// An operation about the keys that the command's grammar finds.
    pub fn new(client: usize, request: Request, reply: Reply, called: u64, returned: u64) -> Self {
        let keys = keys(&request);
        Self { client, request, reply, called, returned, keys }
    }

    pub(super) fn is(&self, name: &str) -> bool {
        self.request.is(0, name)
    }
}

/// The keys of a request.
pub(super) fn keys(request: &Request) -> Vec<Vec<u8>> {
    let grammar = grammar_at(command_index(request.name()));
    let places = grammar.map(|grammar| grammar.keys(request).collect::<Vec<_>>()).unwrap_or_default();
    places.into_iter().map(|place| request.argument(place).to_vec()).collect()
}

/// The operations of a round; those of one client stand in the order in which it sent them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// All of them.
    pub operations: Vec<Operation>,
    /// The clients' ids at the server, for CLIENT UNBLOCK; that of whoever helps is the last.
    pub ids: Vec<i64>,
}

impl History {
    /// Parts that share no key: the whole can be explained if each part can, because an order of the whole can be put
    /// together from the parts' orders. What a client sends from WATCH or MULTI to the end of the transaction stays
    /// together.
    pub fn parts(&self) -> Vec<Self> {
        let units = self.units();
        let mut parents: Vec<usize> = (0..self.operations.len()).collect();
        fn root(parents: &mut [usize], mut at: usize) -> usize {
            while parents[at] != at {
                parents[at] = parents[parents[at]];
                at = parents[at];
            }
            at
        }
        let mut owners: BTreeMap<&[u8], usize> = BTreeMap::new();
        for (index, operation) in self.operations.iter().enumerate() {
            let unit = root(&mut parents, units[index]);
            parents[index] = unit;
            for key in &operation.keys {
                let owner = *owners.entry(key).or_insert(unit);
                let (one, other) = (root(&mut parents, owner), root(&mut parents, unit));
                parents[one] = other;
            }
        }
        let mut parts: BTreeMap<usize, Self> = BTreeMap::new();
        for (index, operation) in self.operations.iter().enumerate() {
            let part = root(&mut parents, index);
            let part = parts.entry(part).or_insert_with(|| Self { operations: Vec::new(), ids: self.ids.clone() });
            part.operations.push(operation.clone());
        }
        parts.into_values().collect()
    }

    /// For each operation the first one that it must stay together with.
    pub(super) fn units(&self) -> Vec<usize> {
        let mut open: BTreeMap<usize, usize> = BTreeMap::new();
        let mut units = Vec::with_capacity(self.operations.len());
        for (index, operation) in self.operations.iter().enumerate() {
            let begins = operation.is("watch") || operation.is("multi");
            let unit = match open.get(&operation.client) {
                Some(&first) => first,
                None => index,
            };
            if begins {
                open.insert(operation.client, unit);
            }
            if ["exec", "discard", "unwatch"].into_iter().any(|name| operation.is(name)) {
                open.remove(&operation.client);
            }
            units.push(unit);
        }
        units
    }
}

/// In the order of sending, with the times in microseconds.
impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut operations: Vec<&Operation> = self.operations.iter().collect();
        operations.sort_by_key(|operation| (operation.called, operation.client));
        let begin = operations.first().map_or(0, |operation| operation.called);
        for operation in operations {
            let time = |ns: u64| (ns - begin) / 1000;
            writeln!(
                f,
                "client {} {:>6}..{:<6} {} -> {}",
                operation.client + 1,
                time(operation.called),
                time(operation.returned),
                operation.request,
                operation.reply
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::request::split_arguments;

    #[test]
    fn a_transaction_joins_the_keys_that_it_touches_and_nothing_else_does() {
        let mut history = History::default();
        for (client, line) in [
            (0, "SET a 1"),
            (1, "WATCH b"),
            (0, "GET c"),
            (1, "MULTI"),
            (1, "SET a 2"),
            (1, "EXEC"),
            (1, "GET c"),
            (0, "GET b"),
        ] {
            let request = split_arguments(line).unwrap();
            history.operations.push(Operation::new(client, request, Reply::ok(), 0, 0));
        }
        let mut sizes: Vec<usize> = history.parts().iter().map(|part| part.operations.len()).collect();
        sizes.sort_unstable();
        assert_eq!(sizes, [2, 6]);
    }
}
