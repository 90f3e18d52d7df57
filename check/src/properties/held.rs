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
use tally_model::Reply;
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

/// Scripts that run for so long that others are served meanwhile, and end by themselves where nobody ends them.
const SLOW: [&str; 4] = [
    "for i = 1, 1e6 do end",
    "redis.call('get', KEYS[1]) for i = 1, 1e6 do end return redis.pcall('ping')",
    "pcall(function() for i = 1, 1e6 do end end) return redis.call('lpush', KEYS[1], 'x')",
    // Nobody may end it any more.
    "redis.call('set', KEYS[1], 'x') for i = 1, 1e6 do end",
];

/// What a run had the engine hold, and do.
#[derive(Clone, Copy, Debug, Default)]
pub struct Experience {
    /// The most that was held of each.
    pub most: Held,
    /// Scripts that others talked to the engine during.
    pub interrupted: usize,
    /// Scripts that somebody killed.
    pub killed: usize,
}

impl Experience {
    /// Of two runs.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let (one, two) = (self.most, other.most);
        let most = Held {
            clients: one.clients.max(two.clients),
            blocked_clients: one.blocked_clients.max(two.blocked_clients),
            blocking_keys: one.blocking_keys.max(two.blocking_keys),
            ready_keys: one.ready_keys.max(two.ready_keys),
            watched_keys: one.watched_keys.max(two.watched_keys),
            subscriptions: one.subscriptions.max(two.subscriptions),
            patterns: one.patterns.max(two.patterns),
            monitors: one.monitors.max(two.monitors),
            queued_commands: one.queued_commands.max(two.queued_commands),
            paused: one.paused.max(two.paused),
            slow_scripts: one.slow_scripts.max(two.slow_scripts),
            output_bytes: one.output_bytes.max(two.output_bytes),
            input_bytes: one.input_bytes.max(two.input_bytes),
        };
        let (interrupted, killed) = (self.interrupted + other.interrupted, self.killed + other.killed);
        Self { most, interrupted, killed }
    }
}

/// Clients come, block, watch, subscribe, monitor, queue, pause, run scripts, kill those of others and leave, many in the
/// middle of a request and with answers unread; when the last one is gone the engine holds nothing for any of them.
///
/// # Panics
/// When it holds something, or an invariant does not hold.
pub fn everything_is_released(seed: u64, steps: usize) -> Experience {
    let mut choice = ChaCha8Rng::seed_from_u64(seed);
    let family = [Family::Blocking, Family::Transactions, Family::PubSub, Family::Scripting][choice.below(4) as usize];
    let limits = Limits { families: vec![family, Family::Connection], ..Limits::default() };
    let mut experience = Experience::default();
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
            2..=12 => {
                while let Ok(crate::target::Received::Reply(reply)) = engine.receive(*connection, Wait::Poll) {
                    let killed = |line: &[u8]| line.windows(21).any(|part| part == b"Script killed by user");
                    experience.killed += usize::from(matches!(reply, Reply::Error(line) if killed(&line)));
                }
            }
            14 if choice.ratio(1, 4) => {
                let sent = engine.send(*connection, b"CLIENT PAUSE 50\r\n");
                sent.unwrap_or_else(|error| crashed(error));
                continue;
            }
            13 if family == Family::Scripting => {
                let other = choice.below(open.len() as u32) as usize;
                let interrupted = interrupt(&mut choice, &mut engine, open[whom].0, open[other].0);
                experience.interrupted += usize::from(interrupted.unwrap_or_else(|error| crashed(error)));
                continue;
            }
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
        experience = experience.and(Experience { most: engine.engine().held(), ..Experience::default() });
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
    experience
}

/// One client runs a slow script, during which another one says something, kills the script and leaves, or some of that.
fn interrupt(
    choice: &mut ChaCha8Rng,
    engine: &mut Embedded,
    runs: Connection,
    other: Connection,
) -> Result<bool, TargetError> {
    let script = SLOW[choice.below(SLOW.len() as u32) as usize];
    let (mut eval, mut meanwhile) = (Vec::new(), Vec::new());
    Request::from(&["eval", script, "1", "k"][..]).encode(&mut eval);
    let said: [&[&str]; 4] = [&["ping"], &["blpop", "k", "0"], &["script", "exists", "x"], &["client", "pause", "10"]];
    if choice.ratio(1, 2) {
        Request::from(said[choice.below(said.len() as u32) as usize]).encode(&mut meanwhile);
    }
    Request::from(&["script", "kill"][..]).encode(&mut meanwhile);
    if choice.ratio(1, 8) {
        meanwhile.truncate(choice.below(meanwhile.len() as u32) as usize);
    }
    engine.send_interrupted(runs, &eval, other, &meanwhile, choice.ratio(1, 4))
}
