//! Nothing is held on behalf of connections that are gone.

use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;
use tally_engine::Held;

use crate::choice::Choice;
use crate::generator::{Blind, Limits, Mode, Swarm, View};
use crate::grammar::Family;
use crate::profile;
use crate::request::Request;
use crate::target::{Connection, Embedded, Setup, Target, TargetError, Wait};
use tally_model::value::Kind;

/// Connections that are open at the same time.
const MOST_OPEN: usize = 8;

/// Knows in which state a client probably is, and nothing else.
struct Guess {
    mode: Mode,
    ids: Vec<i64>,
}

impl View for Guess {
    fn key(&self, key: &[u8]) -> Option<(Kind, usize)> {
        Blind.key(key)
    }

    fn now_ms(&self) -> i64 {
        Blind.now_ms()
    }

    fn payloads(&self) -> &[Vec<u8>] {
        &[]
    }

    fn cursor(&self, _command: &[u8], _key: &[u8]) -> Option<&[u8]> {
        None
    }

    fn mode(&self) -> Mode {
        self.mode
    }

    fn client_ids(&self) -> &[i64] {
        &self.ids
    }
}

/// Clients come, block, watch, subscribe, monitor, queue and leave, many in the middle of a request and with answers unread;
/// when the last one is gone the engine holds nothing for any of them.
///
/// # Panics
/// When it holds something, or an invariant does not hold.
pub fn everything_is_released(seed: u64, steps: usize) {
    let mut choice = ChaCha8Rng::seed_from_u64(seed);
    let families = [Family::Blocking, Family::Transactions, Family::PubSub][choice.below(3) as usize];
    let limits = Limits { families: vec![families, Family::Connection], ..Limits::default() };
    let swarm = Swarm::draw(&mut choice, &limits);
    let mut engine = Embedded::new();
    let crashed = |error: TargetError| -> ! { panic!("seed {seed:#x}: {error}") };
    let setup = Setup { seed, ..Setup::default() };
    engine.reset(&setup).unwrap_or_else(|error| crashed(error));
    let mut open: Vec<(Connection, Guess)> = Vec::new();
    for _ in 0..steps {
        let whom = choice.below(MOST_OPEN as u32) as usize;
        if whom >= open.len() {
            let connection = engine.open().unwrap_or_else(|error| crashed(error));
            // The engine numbers its clients from 1.
            let ids = (1..=connection.0 as i64 + 1).rev().take(MOST_OPEN).collect();
            open.push((connection, Guess { mode: Mode::Plain, ids }));
            continue;
        }
        let (connection, guess) = &mut open[whom];
        match choice.below(32) {
            0 => {
                engine.close(*connection);
                open.remove(whom);
                continue;
            }
            1 => engine.pass(u64::from(choice.below(3000))).unwrap_or_else(|error| crashed(error)),
            // Reads what is there, or leaves it unread.
            2..=12 => while let Ok(crate::target::Received::Reply(_)) = engine.receive(*connection, Wait::Poll) {},
            _ => {}
        }
        let mut request = Request::new();
        let Some(grammar) = swarm.command(&mut choice, guess, &mut request) else { continue };
        if profile::is_wasteful(&request) || grammar.alone && profile::ends_service(&request).is_some() {
            continue;
        }
        guess.mode = match guess.mode.after(&request) {
            Mode::Plain if request.is(0, "subscribe") || request.is(0, "psubscribe") => Mode::Subscribed,
            Mode::Subscribed if choice.ratio(1, 8) => Mode::Plain,
            mode => mode,
        };
        let mut bytes = Vec::new();
        request.encode(&mut bytes);
        let cut = choice.ratio(1, 24);
        if cut {
            bytes.truncate(choice.below(bytes.len() as u32) as usize);
        }
        let sent = engine.send(*connection, &bytes);
        sent.unwrap_or_else(|error| crashed(error));
        if cut {
            engine.close(*connection);
            open.remove(whom);
        }
    }
    while !open.is_empty() {
        let (connection, _) = open.swap_remove(choice.below(open.len() as u32) as usize);
        engine.close(connection);
    }
    // Ends the batch, and whatever was put off to the next tick.
    engine.pass(10_000).unwrap_or_else(|error| crashed(error));
    assert_eq!(engine.engine().held(), Held::default(), "seed {seed:#x}");
    engine.validate().unwrap_or_else(|text| panic!("seed {seed:#x}: {text}"));
}
