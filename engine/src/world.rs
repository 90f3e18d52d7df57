//! What the engine may ask of its surroundings while it handles an event.

use crate::engine::Engine;

/// What the driver wants of a long-running operation that polled it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Busy {
    /// Go on.
    Continue,
    /// Stop at the next safe point (SCRIPT KILL, or a shutdown).
    Stop,
}

/// A connection to another server, by the number that the driver gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId(pub u64);

/// Why another server could not be talked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerFailure {
    /// There is no way to it, for the reason in the system's words.
    Unreachable(String),
    /// It took too long.
    TimedOut,
    /// Nobody listens there, or the connection ended.
    Broken,
}

/// The engine's surroundings, asked during an event because budgets are about time that passes inside one.
pub trait World {
    /// Monotonic clock, microseconds; advances while an event is handled.
    fn now_us(&mut self) -> u64;
    /// Wall clock, microseconds since the Unix epoch; may step backwards.
    fn unix_us(&mut self) -> i64;
    /// Bytes in use: the allocator's figure in the server. A world without an allocator that counts begins with what
    /// `account` answers, the engine's own sum of what keys, values and tables take.
    fn used_memory(&self, account: &dyn Fn() -> usize) -> usize;
    /// Sleeps (DEBUG SLEEP); a simulated world only moves its clocks.
    fn sleep_us(&mut self, us: u64);
    /// Called now and then while a script runs for longer than `lua-time-limit`. The driver hands to `engine`, which is the
    /// one that runs the script, what others sent and executes what that leaves; [`Event::BatchEnd`] has their answers
    /// announced. The script's own client ([`Engine::runs_script_of`]) is left alone, and no [`Event::Tick`] is told.
    ///
    /// [`Event::BatchEnd`]: crate::Event::BatchEnd
    /// [`Event::Tick`]: crate::Event::Tick
    fn serve_others(&mut self, _engine: &mut Engine) -> Busy {
        Busy::Continue
    }
    /// Facts for INFO that only the process knows, as `(field, value)`; unknown fields are absent.
    fn process_fact(&self, field: &str) -> Option<String>;
    /// Gives pages back that the allocator does not need (MEMORY PURGE).
    fn release_memory(&mut self) {}
    /// Connects to another server (MIGRATE), waiting no longer than that. A world of its own has no others: nobody listens.
    fn connect_peer(&mut self, _host: &[u8], _port: u16, _timeout_ms: u64) -> Result<PeerId, PeerFailure> {
        Err(PeerFailure::Broken)
    }
    /// Sends all of the bytes, waiting no longer than that.
    fn send_to_peer(&mut self, _peer: PeerId, _bytes: &[u8], _timeout_ms: u64) -> Result<(), PeerFailure> {
        Err(PeerFailure::Broken)
    }
    /// Waits for bytes, no longer than that, and fills in those that came: one at least.
    fn receive_from_peer(&mut self, _peer: PeerId, _room: &mut [u8], _timeout_ms: u64) -> Result<usize, PeerFailure> {
        Err(PeerFailure::Broken)
    }
    /// Closes a connection to another server.
    fn close_peer(&mut self, _peer: PeerId) {}
    /// Changes the working directory (CONFIG SET dir) and returns its absolute path, or the system's words why not. A
    /// world without directories has none but the root.
    fn change_directory(&mut self, path: &[u8]) -> Result<Vec<u8>, String> {
        if path == b"/" { Ok(path.to_vec()) } else { Err("No such file or directory".to_owned()) }
    }
}

/// A world in which only the hand that moves its clock makes time pass: for tests and tools.
#[derive(Clone, Debug, Default)]
pub struct Still {
    /// Monotonic clock, microseconds.
    pub now_us: u64,
    /// Wall clock, microseconds since the Unix epoch.
    pub unix_us: i64,
    /// The figure for bytes in use.
    pub used_memory: usize,
}

impl World for Still {
    fn now_us(&mut self) -> u64 {
        self.now_us
    }
    fn unix_us(&mut self) -> i64 {
        self.unix_us
    }
    fn used_memory(&self, _account: &dyn Fn() -> usize) -> usize {
        self.used_memory
    }
    fn sleep_us(&mut self, us: u64) {
        self.now_us = self.now_us.saturating_add(us);
        self.unix_us = self.unix_us.saturating_add_unsigned(us);
    }
    fn process_fact(&self, _field: &str) -> Option<String> {
        None
    }
}
