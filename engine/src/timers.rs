//! Time events: things to do when a moment has come, once or again and again.
//!
//! Moments are of the wall clock, which may be set. When it was set back, every event is due at once: an event that
//! fires early does less harm than one that does not fire for as long as the clock was set back.
//!
//! A round ([`Timers::begin`]) fires each event that existed when it began and is due, newest first, at most once;
//! what is created while it goes on waits for the next round, what is deleted does not fire any more.

/// A time event's number; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimerId(u64);

/// What an event that fired answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Again, this many milliseconds from now.
    After(i64),
    /// No more.
    Never,
}

#[derive(Clone, Copy, Debug)]
struct TimeEvent<T> {
    id: TimerId,
    /// Unix milliseconds.
    due_ms: i64,
    what: T,
}

/// A round that fires what is due; see [`Timers::begin`].
#[derive(Debug)]
pub struct Round {
    now_ms: i64,
    /// Events from this number on had their turn, or are too young.
    below: u64,
}

/// The time events, by number. There are few: the list is walked.
#[derive(Clone, Debug)]
pub struct Timers<T> {
    events: Vec<TimeEvent<T>>,
    next_id: u64,
    /// The latest moment seen, Unix milliseconds.
    seen_ms: i64,
}

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Timers { events: Vec::new(), next_id: 0, seen_ms: i64::MIN }
    }
}

impl<T: Copy> Timers<T> {
    /// Something to do `delay_ms` milliseconds after `now_ms`.
    pub fn create(&mut self, now_ms: i64, delay_ms: i64, what: T) -> TimerId {
        let id = TimerId(self.next_id);
        self.next_id += 1;
        self.events.push(TimeEvent { id, due_ms: now_ms.saturating_add(delay_ms), what });
        id
    }

    /// Forgets an event; false when there is none of this number.
    pub fn delete(&mut self, id: TimerId) -> bool {
        let before = self.events.len();
        self.events.retain(|event| event.id != id);
        self.events.len() < before
    }

    /// When the next event is due, Unix milliseconds.
    #[must_use]
    pub fn nearest_ms(&self) -> Option<i64> {
        self.events.iter().map(|event| event.due_ms).min()
    }

    /// When the next round is due as seen at `now_ms`: at once after a clock set back, never without events.
    #[must_use]
    pub fn next_ms(&self, now_ms: i64) -> i64 {
        match self.nearest_ms() {
            None => i64::MAX,
            Some(_) if now_ms < self.seen_ms => now_ms,
            Some(due_ms) => due_ms.max(now_ms),
        }
    }

    /// Begins a round at `now_ms`.
    pub fn begin(&mut self, now_ms: i64) -> Round {
        if now_ms < self.seen_ms {
            for event in &mut self.events {
                event.due_ms = i64::MIN;
            }
        }
        self.seen_ms = now_ms;
        Round { now_ms, below: self.next_id }
    }

    /// The round's next event that is due. After doing it, [`Timers::finish`] tells what becomes of it.
    pub fn next_due(&mut self, round: &mut Round) -> Option<(TimerId, T)> {
        let due = self.events.iter().rev().find(|event| event.id.0 < round.below && event.due_ms <= round.now_ms)?;
        round.below = due.id.0;
        Some((due.id, due.what))
    }

    /// Tells what becomes of an event that fired; nothing, when it was deleted meanwhile.
    pub fn finish(&mut self, id: TimerId, now_ms: i64, next: Next) {
        match next {
            Next::Never => {
                self.delete(id);
            }
            Next::After(delay_ms) => {
                if let Some(event) = self.events.iter_mut().find(|event| event.id == id) {
                    event.due_ms = now_ms.saturating_add(delay_ms);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fires all that is due and lets each repeat after `again`.
    fn fire(timers: &mut Timers<&'static str>, now_ms: i64, again: Next) -> Vec<&'static str> {
        let mut fired = Vec::new();
        let mut round = timers.begin(now_ms);
        while let Some((id, what)) = timers.next_due(&mut round) {
            fired.push(what);
            timers.finish(id, now_ms, again);
        }
        fired
    }

    //= SPEC.md#cron-and-time-events
    //# [CRON-3] (inside) A time event MUST come due after its delay and then either be renewed with the delay that its handler answers or end.
    #[test]
    fn an_event_fires_when_its_delay_is_over_and_not_before() {
        let mut timers = Timers::default();
        timers.create(1000, 50, "a");
        assert_eq!(timers.nearest_ms(), Some(1050));
        assert!(fire(&mut timers, 1049, Next::Never).is_empty());
        assert_eq!(fire(&mut timers, 1050, Next::After(100)), ["a"]);
        assert_eq!(timers.nearest_ms(), Some(1150));
        assert_eq!(fire(&mut timers, 5000, Next::Never), ["a"]);
        assert_eq!(timers.nearest_ms(), None);
    }

    //= SPEC.md#cron-and-time-events
    //# [CRON-4] (inside) When the clock goes backwards, time events MUST fire at once rather than wait until it has caught up.
    #[test]
    fn a_clock_set_back_fires_every_event_at_once() {
        let mut timers = Timers::default();
        timers.create(1_000_000, 10, "cron");
        assert!(fire(&mut timers, 1_000_000, Next::After(10)).is_empty());
        assert_eq!(timers.next_ms(1_000_001), 1_000_010);
        assert_eq!(timers.next_ms(500), 500);
        assert_eq!(fire(&mut timers, 500, Next::After(10)), ["cron"]);
        assert_eq!(timers.nearest_ms(), Some(510));
    }

    #[test]
    fn what_is_created_in_a_round_waits_for_the_next_one() {
        let mut timers = Timers::default();
        timers.create(0, 0, "old");
        let mut round = timers.begin(10);
        let mut fired = Vec::new();
        while let Some((id, what)) = timers.next_due(&mut round) {
            fired.push(what);
            timers.create(10, 0, "new");
            timers.finish(id, 10, Next::After(0));
        }
        assert_eq!(fired, ["old"]);
        assert_eq!(fire(&mut timers, 10, Next::Never), ["new", "old"]);
    }

    //= SPEC.md#cron-and-time-events
    //# [CRON-5] (inside) A time event that is deleted while events are processed, by itself or by another, MUST NOT fire again.
    #[test]
    fn an_event_may_delete_itself_and_others_while_it_runs() {
        let mut timers = Timers::default();
        let older = timers.create(0, 0, "older");
        timers.create(0, 0, "newer");
        let mut round = timers.begin(0);
        let mut fired = Vec::new();
        while let Some((id, what)) = timers.next_due(&mut round) {
            fired.push(what);
            assert!(timers.delete(older));
            assert!(timers.delete(id));
            timers.finish(id, 0, Next::After(5));
        }
        assert_eq!(fired, ["newer"]);
        assert_eq!(timers.nearest_ms(), None);
    }
}
