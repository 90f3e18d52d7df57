//! Counters that INFO shows and CONFIG RESETSTAT clears.

use crate::commands::table;

/// How often a command ran, and how long in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CommandStat {
    pub(crate) calls: u64,
    /// Microseconds.
    pub(crate) usec: u64,
}

/// Samples of a rising counter, for "per second" figures over the last sixteen samples.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rate {
    last_count: u64,
    last_us: u64,
    samples: [u64; 16],
    next: usize,
}

impl Rate {
    /// Takes one sample; `now_us` is the monotonic clock.
    pub(crate) fn sample(&mut self, count: u64, now_us: u64) {
        let elapsed = now_us.saturating_sub(self.last_us);
        let grown = count.saturating_sub(self.last_count);
        self.last_count = count;
        self.last_us = now_us;
        if elapsed == 0 {
            return;
        }
        let per_second = u128::from(grown) * 1_000_000 / u128::from(elapsed);
        if let Some(place) = self.samples.get_mut(self.next) {
            *place = u64::try_from(per_second).unwrap_or(u64::MAX);
        }
        self.next = (self.next + 1) % self.samples.len();
    }

    /// The average of the samples.
    pub(crate) fn per_second(&self) -> u64 {
        let sum = self.samples.iter().fold(0u64, |sum, &one| sum.saturating_add(one));
        sum / self.samples.len() as u64
    }
}

/// The counters.
#[derive(Clone, Debug)]
pub(crate) struct Stats {
    /// Monotonic microseconds when the engine began; not reset.
    pub(crate) started_us: u64,
    /// Unix milliseconds of the same; not reset.
    pub(crate) started_ms: i64,
    /// Highest memory figure seen by the cron; not reset by RESETSTAT (it is in Redis neither).
    pub(crate) peak_memory: usize,
    /// The memory figure at the start; not reset.
    pub(crate) startup_memory: usize,
    pub(crate) connections: u64,
    pub(crate) rejected_connections: u64,
    pub(crate) commands: u64,
    pub(crate) input_bytes: u64,
    pub(crate) output_bytes: u64,
    pub(crate) keyspace_hits: u64,
    pub(crate) keyspace_misses: u64,
    pub(crate) expired_keys: u64,
    /// Estimated share of keys that are expired and still there, in percent.
    pub(crate) expired_stale_percent: f64,
    pub(crate) expired_time_cap_reached: u64,
    pub(crate) evicted_keys: u64,
    /// Microseconds that the last fork took.
    pub(crate) fork_usec: u64,
    pub(crate) command_rate: Rate,
    pub(crate) input_rate: Rate,
    pub(crate) output_rate: Rate,
    /// By index in the command table; empty until the first command ran.
    pub(crate) by_command: Vec<CommandStat>,
}

impl Stats {
    pub(crate) fn new() -> Stats {
        Stats {
            started_us: 0,
            started_ms: 0,
            peak_memory: 0,
            startup_memory: 0,
            connections: 0,
            rejected_connections: 0,
            commands: 0,
            input_bytes: 0,
            output_bytes: 0,
            keyspace_hits: 0,
            keyspace_misses: 0,
            expired_keys: 0,
            expired_stale_percent: 0.0,
            expired_time_cap_reached: 0,
            evicted_keys: 0,
            fork_usec: 0,
            command_rate: Rate::default(),
            input_rate: Rate::default(),
            output_rate: Rate::default(),
            by_command: vec![CommandStat::default(); table::COMMANDS.len()],
        }
    }

    /// CONFIG RESETSTAT.
    pub(crate) fn reset(&mut self) {
        *self = Stats {
            started_us: self.started_us,
            started_ms: self.started_ms,
            peak_memory: self.peak_memory,
            startup_memory: self.startup_memory,
            fork_usec: 0,
            ..Stats::new()
        };
    }

    /// Counts one call of the command at `index` in the table.
    #[inline]
    pub(crate) fn count(&mut self, index: usize, usec: u64) {
        self.commands += 1;
        if let Some(stat) = self.by_command.get_mut(index) {
            stat.calls += 1;
            stat.usec += usec;
        }
    }
}
