//! LATENCY: operations that took longer than `latency-monitor-threshold`, by what they were.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;

use crate::state::Server;

/// Samples kept of each event: one per second in which it was slow.
const SAMPLES: usize = 160;
/// Columns of the graph.
const COLUMNS: usize = 80;
/// Lines of the graph.
const ROWS: usize = 4;

/// The slowest of an event within one second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    /// Unix seconds.
    pub(crate) at_s: i64,
    /// Milliseconds.
    pub(crate) ms: u64,
}

/// What is known of one event.
#[derive(Clone, Debug, Default)]
pub(crate) struct Series {
    /// Oldest first.
    samples: VecDeque<Sample>,
    /// Milliseconds, of all time.
    pub(crate) worst_ms: u64,
}

/// A series in figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Figures {
    average_ms: u64,
    /// Mean distance from the average.
    deviation_ms: u64,
    least_ms: u64,
    most_ms: u64,
    /// Seconds since the first sample.
    period_s: i64,
}

impl Series {
    /// Oldest first.
    pub(crate) fn samples(&self) -> impl ExactSizeIterator<Item = &Sample> {
        self.samples.iter()
    }

    /// The last one.
    pub(crate) fn latest(&self) -> Option<&Sample> {
        self.samples.back()
    }

    fn add(&mut self, at_s: i64, ms: u64) {
        self.worst_ms = self.worst_ms.max(ms);
        match self.samples.back_mut() {
            Some(last) if last.at_s == at_s => last.ms = last.ms.max(ms),
            _ => {
                if self.samples.len() == SAMPLES {
                    self.samples.pop_front();
                }
                self.samples.push_back(Sample { at_s, ms });
            }
        }
    }

    fn figures(&self, now_s: i64) -> Option<Figures> {
        let count = self.samples.len() as u64;
        let sum =
            |of: &dyn Fn(u64) -> u64| self.samples.iter().fold(0u64, |sum, sample| sum.saturating_add(of(sample.ms)));
        let average_ms = sum(&|ms| ms).checked_div(count)?;
        Some(Figures {
            average_ms,
            deviation_ms: sum(&|ms| ms.abs_diff(average_ms)) / count,
            least_ms: self.samples.iter().map(|sample| sample.ms).min()?,
            most_ms: self.samples.iter().map(|sample| sample.ms).max()?,
            period_s: now_s.saturating_sub(self.samples.front()?.at_s).max(1),
        })
    }
}

/// All events that were slow at least once.
#[derive(Debug, Default)]
pub(crate) struct Latency {
    events: BTreeMap<&'static str, Series>,
}

impl Latency {
    /// The events by name.
    pub(crate) fn events(&self) -> impl ExactSizeIterator<Item = (&'static str, &Series)> {
        self.events.iter().map(|(name, series)| (*name, series))
    }

    /// One event, by its exact name.
    pub(crate) fn event(&self, name: &[u8]) -> Option<(&'static str, &Series)> {
        self.events.iter().find(|(known, _)| known.as_bytes() == name).map(|(name, series)| (*name, series))
    }

    /// Forgets one event; false when there is none of this name.
    pub(crate) fn reset(&mut self, name: &[u8]) -> bool {
        let before = self.events.len();
        self.events.retain(|known, _| known.as_bytes() != name);
        self.events.len() < before
    }

    /// Forgets all events; answers how many there were.
    pub(crate) fn reset_all(&mut self) -> usize {
        std::mem::take(&mut self.events).len()
    }

    /// A graph of the last samples: a column each, as high as it was slow, with the time since below.
    pub(crate) fn graph(&self, name: &[u8], now_s: i64) -> Option<String> {
        let (name, series) = self.event(name)?;
        let shown: Vec<Sample> = series.samples().skip(series.samples.len().saturating_sub(COLUMNS)).copied().collect();
        let least = shown.iter().map(|sample| sample.ms).min()?;
        let most = shown.iter().map(|sample| sample.ms).max()?;
        let mut text = format!("{name} - high {most} ms, low {least} ms (all time high {} ms)\n", series.worst_ms);
        text.push_str(&"-".repeat(COLUMNS));
        text.push('\n');
        // Three heights per line, drawn as `_`, `o` and `#`; what the lines above hold is `|` below them.
        let steps = (ROWS * 3 - 1) as u64;
        let height = |ms: u64| if most == least { 0 } else { (ms - least) * steps / (most - least) };
        for row in (0..ROWS as u64).rev() {
            let base = row * 3;
            let line: String = shown.iter().map(|sample| mark(height(sample.ms), base)).collect();
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text.push('\n');
        let labels: Vec<String> = shown.iter().map(|sample| ago(now_s.saturating_sub(sample.at_s))).collect();
        let depth = labels.iter().map(String::len).max().unwrap_or(0);
        for at in 0..depth {
            let line: String = labels.iter().map(|label| label.chars().nth(at).unwrap_or(' ')).collect();
            text.push_str(line.trim_end());
            text.push('\n');
        }
        Some(text)
    }

    /// What the samples say, in words, and what may be done about it.
    pub(crate) fn report(&self, now_s: i64, threshold_ms: i64, slowlog_us: i64) -> String {
        if threshold_ms <= 0 && self.events.is_empty() {
            return "Latency is not being monitored. Set latency-monitor-threshold to a number of milliseconds above \
                    0 with CONFIG SET to begin.\n"
                .to_owned();
        }
        if self.events.is_empty() {
            return format!("No operation took longer than {threshold_ms} ms since monitoring began or was reset.\n");
        }
        let mut text = String::from("Operations that took longer than the threshold:\n\n");
        for (number, (name, series)) in self.events().enumerate() {
            let Some(figures) = series.figures(now_s) else { continue };
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "{}. {name}: {} in {} s (average {} ms, mean deviation {} ms, from {} to {} ms), worst of all time {} ms",
                number + 1,
                series.samples.len(),
                figures.period_s,
                figures.average_ms,
                figures.deviation_ms,
                figures.least_ms,
                figures.most_ms,
                series.worst_ms,
            );
        }
        text.push_str("\nWhat may help:\n\n");
        for advice in self.advice(threshold_ms, slowlog_us) {
            text.push_str("- ");
            text.push_str(&advice);
            text.push('\n');
        }
        text
    }

    fn advice(&self, threshold_ms: i64, slowlog_us: i64) -> Vec<String> {
        let mut advice = Vec::new();
        let was_slow = |name: &str| self.events.contains_key(name);
        if was_slow("command") || was_slow("fast-command") {
            let threshold_us = threshold_ms.saturating_mul(1000);
            if slowlog_us < 0 || slowlog_us > threshold_us {
                advice.push(format!(
                    "SLOWLOG leaves out commands that are slow by this threshold: CONFIG SET slowlog-log-slower-than \
                     {threshold_us}."
                ));
            }
            advice.push("SLOWLOG GET shows which commands were slow.".to_owned());
        }
        if was_slow("command") {
            advice.push("Deleting a large value takes long: keep values small, or split them.".to_owned());
        }
        if was_slow("fast-command") {
            advice.push("Commands that should always be fast were not: look for swapping, or other load.".to_owned());
        }
        if was_slow("expire-cycle") {
            advice.push("Many keys expire at the same moment: spread their deadlines.".to_owned());
        }
        if was_slow("aof-write") || was_slow("aof-fsync-always") {
            advice.push(
                "The disk of the append-only file is slow: consider another one, or appendfsync everysec.".to_owned(),
            );
        }
        advice
    }
}

/// What stands in a row of the graph for a column of this height.
fn mark(height: u64, base: u64) -> char {
    match height.checked_sub(base) {
        None => ' ',
        Some(0) => '_',
        Some(1) => 'o',
        Some(2) => '#',
        Some(_) => '|',
    }
}

/// How long ago, in the largest whole unit.
fn ago(seconds: i64) -> String {
    let seconds = seconds.max(0);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

impl Server {
    /// Takes note of an operation that took so long, if that is longer than the threshold.
    #[inline]
    pub(crate) fn took(&mut self, event: &'static str, us: u64) {
        let threshold_ms = self.config.latency_monitor_threshold;
        if threshold_ms > 0 && us / 1000 >= threshold_ms.unsigned_abs() {
            self.note_latency(event, us / 1000);
        }
    }

    /// Takes note of how long a step on the append-only file took.
    pub(crate) fn note_aof_step(&mut self) {
        let now_us = self.clock.now_us;
        let Some((event, us)) = self.aof.timed_step(now_us) else { return };
        self.took(event, us);
        if event == "aof-write" {
            // Writes are sampled once more by what else goes on.
            let circumstance = if self.aof.syncs_in_background() {
                "aof-write-pending-fsync"
            } else if self.has_child() {
                "aof-write-active-child"
            } else {
                "aof-write-alone"
            };
            self.took(circumstance, us);
        }
    }

    #[cold]
    fn note_latency(&mut self, event: &'static str, ms: u64) {
        let at_s = self.clock.unix_s();
        self.latency.events.entry(event).or_default().add(at_s, ms);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_second_keeps_its_slowest_sample_and_the_oldest_ones_go() {
        let mut series = Series::default();
        for (at_s, ms) in [(10, 5), (10, 9), (10, 7), (11, 1)] {
            series.add(at_s, ms);
        }
        let shown: Vec<(i64, u64)> = series.samples().map(|sample| (sample.at_s, sample.ms)).collect();
        assert_eq!((shown, series.worst_ms), (vec![(10, 9), (11, 1)], 9));
        for at_s in 0..1000 {
            series.add(100 + at_s, 2);
        }
        assert_eq!((series.samples().len(), series.latest().unwrap().at_s, series.worst_ms), (SAMPLES, 1099, 9));
    }

    #[test]
    fn the_graph_has_a_column_a_sample() {
        let mut latency = Latency::default();
        for (at_s, ms) in [(0, 10), (3590, 21), (3600, 15)] {
            latency.events.entry("command").or_default().add(at_s, ms);
        }
        let wanted = "command - high 21 ms, low 10 ms (all time high 21 ms)\n".to_owned()
            + &"-".repeat(80)
            + "\n #\n |\n |#\n_||\n\n110\nh0s\n s\n";
        assert_eq!(latency.graph(b"command", 3600).unwrap(), wanted);
        assert_eq!(latency.graph(b"fork", 3600), None);
        assert!(latency.report(3600, 5, 10_000).contains("1. command: 3 in 3600 s (average 15 ms"));
        assert!(latency.reset(b"command") && !latency.reset(b"command"));
    }
}
