//! How far a run is: a bar on a terminal, nothing elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::campaign::Watch;
use crate::coverage::Coverage;
use crate::session::Finding;

/// Ends a run after so many seconds or commands, and shows how far it is.
pub struct Progress {
    began: Instant,
    seconds: Option<f64>,
    commands: Option<u64>,
    bar: Option<ProgressBar>,
    asked: u32,
    over: bool,
    /// Time that shrinking took does not count: the bar says so.
    shrinking_since: Option<Instant>,
    shrinking: Duration,
}

impl Progress {
    /// A run of at most so many seconds and commands; none means no limit.
    pub fn new(seconds: Option<f64>, commands: Option<u64>) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let length = commands.unwrap_or_else(|| (seconds.unwrap_or(0.0) * 1000.0) as u64);
            let bar = ProgressBar::new(length);
            // A template that does not parse would only cost the looks.
            if let Ok(style) = ProgressStyle::with_template("{elapsed:>5} {bar:40} {msg}") {
                bar.set_style(style);
            }
            bar
        });
        Self {
            began: Instant::now(),
            seconds,
            commands,
            bar,
            asked: 0,
            over: false,
            shrinking_since: None,
            shrinking: Duration::ZERO,
        }
    }

    fn look(&mut self, coverage: &Coverage) {
        if let Some(since) = self.shrinking_since.take() {
            self.shrinking += since.elapsed();
        }
        let elapsed = self.seconds();
        self.over = self.seconds.is_some_and(|most| elapsed >= most);
        if let Some(bar) = &self.bar {
            let position = if self.commands.is_some() { coverage.commands } else { (elapsed * 1000.0) as u64 };
            bar.set_position(position);
            let speed = coverage.commands as f64 / elapsed.max(1e-3);
            bar.set_message(format!("{} commands, {speed:.0}/s", coverage.commands));
            if self.over {
                bar.finish_and_clear();
            }
        }
    }
}

impl Watch for Progress {
    fn enough(&mut self, coverage: &Coverage) -> bool {
        if self.commands.is_some_and(|most| coverage.commands >= most) {
            self.over = true;
        }
        if self.over {
            if let Some(bar) = self.bar.take() {
                bar.finish_and_clear();
            }
            return true;
        }
        // The clock is asked now and then; between looks pass some hundred commands on the embedded engine, and few
        // seconds at most on a server that takes its time.
        if self.asked.is_multiple_of(16) {
            self.look(coverage);
        }
        self.asked = self.asked.wrapping_add(1);
        self.over
    }

    fn seconds(&self) -> f64 {
        (self.began.elapsed().saturating_sub(self.shrinking)).as_secs_f64()
    }

    fn found(&mut self, finding: &Finding) {
        self.shrinking_since = Some(Instant::now());
        // The next question reads the clock again.
        self.asked = 0;
        let short = |text: String| text.chars().take(100).collect::<String>();
        let line = format!(
            "found: {}\n  expected {}\n  received {}\n  shrinking",
            short(finding.request.to_string()),
            short(finding.expected()),
            short(finding.received()),
        );
        match &self.bar {
            Some(bar) => bar.println(line),
            None => eprintln!("{line}"),
        }
    }
}
