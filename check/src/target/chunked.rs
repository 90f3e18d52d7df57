//! A target whose input is cut into pieces at places drawn from a seed: answers must not depend on it.

use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;
use tally_model::{Peer, Span, StreamHabits};

use super::{Capabilities, Connection, HandedOn, HandedOnErrors, Received, Setup, Target, TargetError, Wait};
use crate::choice::Choice;

/// Cuts every request into pieces, each of which the target reads on its own.
#[derive(Debug)]
pub struct Chunked<T> {
    inner: T,
    seed: u64,
    random: ChaCha8Rng,
}

impl<T: Target> Chunked<T> {
    /// Cuts at places drawn from `seed`.
    pub fn new(inner: T, seed: u64) -> Self {
        Self { inner, seed, random: ChaCha8Rng::seed_from_u64(seed) }
    }
}

impl<T: Target> Target for Chunked<T> {
    fn reset(&mut self, setup: &Setup) -> Result<(), TargetError> {
        self.random = ChaCha8Rng::seed_from_u64(self.seed);
        self.inner.reset(setup)
    }

    fn open(&mut self) -> Result<Connection, TargetError> {
        self.inner.open()
    }

    fn peer(&self, connection: Connection) -> Peer {
        self.inner.peer(connection)
    }

    fn send(&mut self, connection: Connection, bytes: &[u8]) -> Result<(), TargetError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let most = if rest.len() > 4096 { rest.len() } else { 24 };
            let length = 1 + self.random.below(most as u32) as usize;
            let (piece, later) = rest.split_at(length.min(rest.len()));
            self.inner.send(connection, piece)?;
            rest = later;
        }
        Ok(())
    }

    fn receive(&mut self, connection: Connection, wait: Wait) -> Result<Received, TargetError> {
        self.inner.receive(connection, wait)
    }

    fn may_have_sent(&self) -> bool {
        self.inner.may_have_sent()
    }

    fn close(&mut self, connection: Connection) {
        self.inner.close(connection);
    }

    fn span(&self) -> Span {
        self.inner.span()
    }

    fn now_ms(&self) -> i64 {
        self.inner.now_ms()
    }

    fn pass(&mut self, ms: u64) -> Result<(), TargetError> {
        self.inner.pass(ms)
    }

    fn can(&self) -> Capabilities {
        self.inner.can()
    }

    fn stream_habits(&self) -> StreamHabits {
        self.inner.stream_habits()
    }

    fn propagates_whole_scripts(&self) -> bool {
        self.inner.propagates_whole_scripts()
    }

    fn take_handed_on(&mut self) -> Vec<HandedOn> {
        self.inner.take_handed_on()
    }

    fn encoding(&self, db: usize, key: &[u8]) -> Option<&'static str> {
        self.inner.encoding(db, key)
    }

    fn validate(&self) -> Result<(), String> {
        self.inner.validate()
    }

    fn restarted_from_aof(&self) -> Result<Option<Box<dyn Target>>, TargetError> {
        self.inner.restarted_from_aof()
    }

    fn replica(&self, errors: &HandedOnErrors) -> Result<Option<Box<dyn Target>>, TargetError> {
        self.inner.replica(errors)
    }
}
