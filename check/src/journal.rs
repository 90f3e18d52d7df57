//! What an episode has done so far, in a form that costs next to nothing to keep: most episodes find nothing, and then
//! nobody reads it.
//!
//! All arguments of all commands stand one behind the other in `bytes`; `ends` says where each ends. A [`Script`] is made of
//! it only when there is a finding.
//!
//! [`Script`]: crate::script::Script

use std::cell::Cell;

use crate::request::Request;
use crate::script::{Slot, Step};

#[derive(Clone, Copy, Debug)]
enum Entry {
    Command { client: Slot, arguments: usize, pipelined: bool, inline: bool },
    Pass(u64),
    Close(Slot),
    Cut { client: Slot, bytes: usize, arguments: usize },
}

thread_local! {
    /// The memory of the journal that ended last: a new one of some megabytes for each episode would have to be cleared by
    /// the system first.
    static SPARE: Cell<Journal> = Cell::default();
}

/// Steps as they happened.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    entries: Vec<Entry>,
}

impl Journal {
    /// An empty journal.
    pub(crate) fn begin() -> Self {
        let mut journal = SPARE.take();
        journal.bytes.clear();
        journal.ends.clear();
        journal.entries.clear();
        journal
    }

    /// Nobody will read it any more.
    pub(crate) fn end(self) {
        SPARE.set(self);
    }

    /// A client sent a command.
    pub(crate) fn command(&mut self, client: Slot, request: &Request, pipelined: bool, inline: bool) {
        self.arguments(request);
        self.entries.push(Entry::Command { client, arguments: request.len(), pipelined, inline });
    }

    /// Time passed, in milliseconds.
    pub(crate) fn pass(&mut self, ms: u64) {
        self.entries.push(Entry::Pass(ms));
    }

    /// A client closed its connection.
    pub(crate) fn close(&mut self, client: Slot) {
        self.entries.push(Entry::Close(client));
    }

    /// A client's connection ended within a request.
    pub(crate) fn cut(&mut self, client: Slot, bytes: usize, request: &Request) {
        self.arguments(request);
        self.entries.push(Entry::Cut { client, bytes, arguments: request.len() });
    }

    fn arguments(&mut self, request: &Request) {
        let (bytes, ends) = request.flat();
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        self.ends.extend(ends.iter().map(|end| start + end));
    }

    /// The steps of a script.
    pub(crate) fn steps(&self) -> Vec<Step> {
        let mut ends = self.ends.iter();
        let mut start = 0;
        let mut request = |arguments: usize| {
            let mut request = Request::new();
            for &end in ends.by_ref().take(arguments) {
                request.push(&self.bytes[start..end]);
                start = end;
            }
            request
        };
        let step = |entry: &Entry| match *entry {
            Entry::Pass(ms) => Step::Pass(ms),
            Entry::Close(client) => Step::Close(client),
            Entry::Cut { client, bytes, arguments } => Step::Cut { client, bytes, request: request(arguments) },
            Entry::Command { client, arguments, pipelined, inline } => {
                Step::Command { client, request: request(arguments), pipelined, inline }
            }
        };
        self.entries.iter().map(step).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_gives_back_what_it_was_told() {
        let mut journal = Journal::begin();
        let (one, other): (Request, Request) = (["SET", "", "v"].iter().collect(), ["PING"].iter().collect());
        journal.command(1, &one, true, false);
        journal.pass(7);
        journal.cut(3, 5, &one);
        journal.close(1);
        journal.command(2, &other, false, true);
        let expected = [
            Step::Command { client: 1, request: one.clone(), pipelined: true, inline: false },
            Step::Pass(7),
            Step::Cut { client: 3, bytes: 5, request: one },
            Step::Close(1),
            Step::Command { client: 2, request: other, pipelined: false, inline: true },
        ];
        assert_eq!(journal.steps(), expected);
    }
}
