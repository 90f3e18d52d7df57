//! SLOWLOG: the commands that took long, with the beginnings of their arguments.

use std::collections::VecDeque;

use crate::resp::Args;

/// Arguments kept of a command, the last of which counts those left out.
const ARGUMENTS_MAX: usize = 32;
/// Bytes kept of an argument.
const ARGUMENT_MAX: usize = 128;

/// One slow command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Rises by one with each entry.
    pub(crate) id: u64,
    /// Unix seconds.
    pub(crate) at_s: i64,
    /// Microseconds that it took.
    pub(crate) took_us: u64,
    /// Cut to the limits.
    pub(crate) arguments: Vec<Vec<u8>>,
    /// Who sent it.
    pub(crate) address: String,
    /// The sender's name, empty for none.
    pub(crate) name: Vec<u8>,
}

/// The log, newest entry first.
#[derive(Debug, Default)]
pub(crate) struct Slowlog {
    entries: VecDeque<Entry>,
    next_id: u64,
}

impl Slowlog {
    /// The entries, newest first.
    pub(crate) fn entries(&self) -> impl ExactSizeIterator<Item = &Entry> {
        self.entries.iter()
    }

    /// Forgets all entries; ids go on rising.
    pub(crate) fn reset(&mut self) {
        self.entries.clear();
    }

    /// Adds an entry, whose id is given here, and forgets the oldest ones beyond `max`.
    pub(crate) fn add(&mut self, mut entry: Entry, max: i64) {
        entry.id = self.next_id;
        self.next_id += 1;
        self.entries.push_front(entry);
        self.entries.truncate(usize::try_from(max).unwrap_or(0));
    }
}

/// The arguments as the log keeps them.
pub(crate) fn cut(args: &Args<'_>) -> Vec<Vec<u8>> {
    let kept = args.len().min(ARGUMENTS_MAX);
    (0..kept)
        .map(|at| {
            let argument = args.get(at).unwrap_or_default();
            let left_out = args.len() - kept;
            if left_out > 0 && at == kept - 1 {
                return format!("... ({} more arguments)", left_out + 1).into_bytes();
            }
            match argument.split_at_checked(ARGUMENT_MAX) {
                Some((beginning, rest)) if !rest.is_empty() => {
                    [beginning, format!("... ({} more bytes)", rest.len()).as_bytes()].concat()
                }
                _ => argument.to_vec(),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::OwnedArgs;

    #[test]
    fn long_arguments_and_long_lists_of_them_are_cut() {
        for (count, len) in [(1, 128), (32, 129), (33, 3), (500, 1000)] {
            let owned = OwnedArgs::new((0..count).map(|_| &[b'x'; 1000][..len]));
            let shown = cut(&owned.as_args());
            assert_eq!(shown.len(), count.min(32));
            if len > 128 {
                assert_eq!(shown[0], format!("{}... ({} more bytes)", "x".repeat(128), len - 128).into_bytes());
            } else {
                assert_eq!(shown[0], vec![b'x'; len]);
            }
            if count > 32 {
                assert_eq!(shown[31], format!("... ({} more arguments)", count - 31).into_bytes());
            }
        }
    }

    #[test]
    fn the_oldest_entries_go_and_ids_are_not_used_again() {
        let mut log = Slowlog::default();
        let entry =
            || Entry { id: 0, at_s: 1, took_us: 2, arguments: Vec::new(), address: String::new(), name: Vec::new() };
        for _ in 0..5 {
            log.add(entry(), 3);
        }
        assert_eq!(log.entries().map(|entry| entry.id).collect::<Vec<_>>(), [4, 3, 2]);
        log.reset();
        log.add(entry(), 3);
        assert_eq!(log.entries().map(|entry| entry.id).collect::<Vec<_>>(), [5]);
        log.add(entry(), 0);
        assert_eq!(log.entries().len(), 0);
    }
}
