//! What the engine may ask of its surroundings while it handles an event.

/// What the driver wants of a long-running operation that polled it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Busy {
    /// Go on.
    Continue,
    /// Stop at the next safe point (SCRIPT KILL, or a shutdown).
    Stop,
}

/// The engine's surroundings, asked during an event because budgets are about time that passes inside one.
pub trait World {
    /// Monotonic clock, microseconds; advances while an event is handled.
    fn now_us(&mut self) -> u64;
    /// Wall clock, microseconds since the Unix epoch; may step backwards.
    fn unix_us(&mut self) -> i64;
    /// Bytes in use: the allocator's figure in the server, the engine's own account in a simulated world.
    fn used_memory(&self) -> usize;
    /// Sleeps (DEBUG SLEEP); a simulated world only moves its clocks.
    fn sleep_us(&mut self, us: u64);
    /// Called now and then by operations that keep the engine busy for long.
    fn poll_while_busy(&mut self) -> Busy;
    /// Facts for INFO that only the process knows, as `(field, value)`; unknown fields are absent.
    fn process_fact(&self, field: &str) -> Option<String>;
}
