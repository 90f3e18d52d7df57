//! What saving and loading makes of the data set, and what RESTORE says of a key's use.

use crate::keyspace::{Access, Entry, Fate, Slot};
use crate::loading;
use crate::model::Model;
use crate::span::Span;

/// The LRU clock counts seconds in so many bits; an idle time that does not fit before its zero becomes half its range in real servers.
const CLOCK_SECONDS: i64 = 1 << 24;

impl Model {
    /// The data set was saved and loaded: deadlines stay, expired keys are left out [RDB-30], values are encoded anew
    /// [RDB-35], and nothing was used since.
    pub(crate) fn reload(&mut self, span: Span) {
        let shares_integers = self.server.shares_integers();
        let counts_frequency = self.server.counts_frequency();
        let thresholds = self.server.thresholds();
        for db in self.keyspace.databases.values_mut() {
            db.keys.retain(|_, slot| slot.fate(span) != Fate::Gone);
            for slot in db.keys.values_mut() {
                let entries: Vec<&mut Entry> = match &mut **slot {
                    Slot::Known(entry) => vec![entry],
                    Slot::Open(versions) => versions.iter_mut().flatten().collect(),
                };
                for entry in entries {
                    loading::reload(&mut entry.value, &thresholds, shares_integers);
                    if counts_frequency {
                        entry.access.last = Access::UNKNOWN;
                        continue;
                    }
                    entry.access.most_frequent = u8::MAX;
                    entry.access.last = Span {
                        // An idle time may have been kept in the file. [RDB-36]
                        earliest_ms: entry.access.last.earliest_ms - 1000,
                        latest_ms: entry.access.last.latest_ms.max(span.latest_ms),
                    };
                }
            }
        }
    }
}

/// When a key was last used whose idle time is told in seconds. [RESTORE-13]
pub(crate) fn last_use(idle_seconds: i64, span: Span) -> Span {
    let ago = |now_ms: i64, seconds: i64| now_ms.saturating_sub(seconds.saturating_mul(1000));
    let clock = span.earliest_ms.div_euclid(1000).rem_euclid(CLOCK_SECONDS);
    let fits = idle_seconds < clock;
    let most = if fits { idle_seconds } else { idle_seconds.max(CLOCK_SECONDS) };
    let least = if fits { idle_seconds } else { idle_seconds.min(CLOCK_SECONDS / 2) };
    Span { earliest_ms: ago(span.earliest_ms, most), latest_ms: ago(span.latest_ms, least) }
}
