//! The harness is tested by targets with one planted fault each: it finds and shrinks every one of them.
//!
//! A canary wraps the embedded engine and spoils what it answers; one idea each: a reply, a state, a time to live, an
//! encoding, an iteration, a missing and a double reply, a closed connection.
#![allow(clippy::unwrap_used)]

use tally_check::coverage::Coverage;
use tally_check::generator::Limits;
use tally_check::grammar::Family;
use tally_check::profile::Version;
use tally_check::runner::{Plan, explore, run_script};
use tally_check::script::Script;
use tally_check::shrink::{Budget, shrink};
use tally_check::target::{Capabilities, Connection, Embedded, HandedOn, Received, Setup, Target, TargetError, Wait};
use tally_model::{Peer, Reply, Span};

/// What a canary makes of a reply; nothing means that it swallows it.
type Spoil = fn(Reply) -> Vec<Reply>;

/// The embedded engine with every reply passed through a function, and every request too.
struct Canary {
    engine: Embedded,
    spoil: Spoil,
    /// Replaces bytes in requests by others of the same length.
    rewrite: Option<(&'static [u8], &'static [u8])>,
    waiting: Vec<Reply>,
}

impl Canary {
    fn new(spoil: Spoil) -> Self {
        Self { engine: Embedded::new(), spoil, rewrite: None, waiting: Vec::new() }
    }

    fn rewriting(from: &'static [u8], to: &'static [u8]) -> Self {
        assert_eq!(from.len(), to.len());
        Self { rewrite: Some((from, to)), ..Self::new(|reply| vec![reply]) }
    }
}

impl Target for Canary {
    fn reset(&mut self, setup: &Setup) -> Result<(), TargetError> {
        self.waiting.clear();
        self.engine.reset(setup)
    }

    fn open(&mut self) -> Result<Connection, TargetError> {
        self.engine.open()
    }

    fn peer(&self, connection: Connection) -> Peer {
        self.engine.peer(connection)
    }

    fn send(&mut self, connection: Connection, bytes: &[u8]) -> Result<(), TargetError> {
        let Some((from, to)) = self.rewrite else { return self.engine.send(connection, bytes) };
        let mut bytes = bytes.to_vec();
        let places: Vec<usize> = (0..bytes.len()).filter(|&at| bytes[at..].starts_with(from)).collect();
        for at in places {
            bytes[at..at + to.len()].copy_from_slice(to);
        }
        self.engine.send(connection, &bytes)
    }

    fn receive(&mut self, connection: Connection, wait: Wait) -> Result<Received, TargetError> {
        if self.waiting.is_empty() {
            match self.engine.receive(connection, wait)? {
                Received::Reply(reply) => self.waiting = (self.spoil)(reply),
                other => return Ok(other),
            }
        }
        if self.waiting.is_empty() { Ok(Received::Nothing) } else { Ok(Received::Reply(self.waiting.remove(0))) }
    }

    fn close(&mut self, connection: Connection) {
        self.engine.close(connection);
    }

    fn span(&self) -> Span {
        self.engine.span()
    }

    fn pass(&mut self, ms: u64) -> Result<(), TargetError> {
        self.engine.pass(ms)
    }

    fn can(&self) -> Capabilities {
        self.engine.can()
    }

    fn take_handed_on(&mut self) -> Vec<HandedOn> {
        self.engine.take_handed_on()
    }
}

fn is_found(canary: Canary, most_commands: usize) {
    is_found_in(&[], canary, most_commands);
}

fn is_found_in(families: &[Family], mut canary: Canary, most_commands: usize) {
    let profile = Version::REDIS_5_0.model(false, false);
    let limits = Limits { families: families.to_vec(), ..Limits::default() };
    let plan = Plan { seed: 1, limits, profile: profile.clone(), lethal: false };
    let mut coverage = Coverage::default();
    let mut enough = |coverage: &Coverage| coverage.commands >= 100_000;
    let discovery = explore(&mut canary, &plan, &mut coverage, &mut enough).unwrap();
    let discovery = discovery.expect("the canary was not found");
    let mut run = |script: &Script| {
        run_script(&mut canary, script, profile.clone(), &mut Coverage::default(), &mut |_, _| {}).err()
    };
    let shrunk = shrink(&discovery.script, &discovery.finding, Budget::EMBEDDED, &mut run);
    println!("after {} commands:\n{}{}", coverage.commands, shrunk.script, shrunk.finding);
    assert!(shrunk.reproduced);
    assert!(shrunk.script.commands() <= most_commands, "{}", shrunk.script);
}

#[test]
fn an_integer_that_is_off_by_one_is_found() {
    is_found(
        Canary::new(|reply| match reply {
            Reply::Integer(7) => vec![Reply::Integer(8)],
            other => vec![other],
        }),
        5,
    );
}

#[test]
fn a_status_instead_of_a_bulk_string_is_found() {
    is_found(
        Canary::new(|reply| match reply {
            Reply::Bulk(bytes) if bytes == b"7" => vec![Reply::Status(bytes)],
            other => vec![other],
        }),
        3,
    );
}

#[test]
fn an_error_with_another_wording_is_found() {
    is_found(
        Canary::new(|reply| match reply {
            Reply::Error(line) if line.ends_with(b"syntax error") => vec![Reply::Error(b"ERR Syntax error".to_vec())],
            other => vec![other],
        }),
        1,
    );
}

#[test]
fn a_swallowed_reply_is_found() {
    is_found(Canary::new(|reply| if reply == Reply::Integer(-2) { vec![] } else { vec![reply] }), 2);
}

#[test]
fn a_doubled_reply_is_found() {
    is_found(
        Canary::new(|reply| if reply == Reply::Integer(-1) { vec![reply.clone(), reply] } else { vec![reply] }),
        3,
    );
}

#[test]
fn a_key_that_outlives_its_deletion_is_found() {
    // UNLINK answers as EXISTS would. In a transaction its answer is part of another one: then MULTI and EXEC stay.
    is_found(Canary::rewriting(b"unlink", b"exists"), 6);
}

#[test]
fn a_deadline_in_the_wrong_unit_is_found() {
    // Milliseconds are taken for bytes to append: the key gets another value and no deadline.
    is_found(Canary::rewriting(b"pexpire\r\n", b"append\r\n\r"), 4);
}

#[test]
fn another_encoding_is_found() {
    is_found(
        Canary::new(|reply| match reply {
            Reply::Bulk(bytes) if bytes == b"embstr" => vec![Reply::Bulk(b"raw".to_vec())],
            other => vec![other],
        }),
        3, // RESTORE or DEBUG RELOAD may be what makes the encoding so
    );
}

#[test]
fn an_iteration_that_ends_too_early_is_found() {
    is_found(
        Canary::new(|reply| match reply {
            Reply::Array(mut parts) if parts.len() == 2 && matches!(parts[1], Reply::Array(_)) => {
                // Only pages of SCAN have an array behind a bulk string.
                if matches!(parts[0], Reply::Bulk(_)) {
                    parts[0] = Reply::Bulk(b"0".to_vec());
                }
                vec![Reply::Array(parts)]
            }
            other => vec![other],
        }),
        20,
    );
}

/// Is it a message of that sort, to a client that listens?
fn is_message(reply: &Reply, sort: &[u8]) -> bool {
    matches!(reply, Reply::Array(parts) if parts.first() == Some(&Reply::Bulk(sort.to_vec())))
}

#[test]
fn a_message_that_does_not_arrive_is_found() {
    let swallow = |reply| if is_message(&reply, b"pmessage") { vec![] } else { vec![reply] };
    is_found_in(&[Family::PubSub], Canary::new(swallow), 3);
}

#[test]
fn a_message_that_arrives_twice_is_found() {
    let double = |reply: Reply| if is_message(&reply, b"message") { vec![reply.clone(), reply] } else { vec![reply] };
    is_found_in(&[Family::PubSub], Canary::new(double), 3);
}

#[test]
fn a_blocked_client_that_is_told_another_key_is_found() {
    // What BLPOP and BRPOP answer has two elements; LRANGE is in no episode of this family.
    let rename = |reply| match reply {
        Reply::Array(mut parts) if parts.len() == 2 => {
            parts.swap(0, 1);
            vec![Reply::Array(parts)]
        }
        other => vec![other],
    };
    is_found_in(&[Family::Blocking], Canary::new(rename), 3);
}

#[test]
fn a_timeout_that_nobody_hears_of_is_found() {
    let swallow = |reply| if reply == Reply::NilArray { vec![] } else { vec![reply] };
    is_found_in(&[Family::Blocking], Canary::new(swallow), 4);
}

#[test]
fn an_unwatch_that_is_taken_for_a_discard_is_found() {
    is_found_in(&[Family::Transactions], Canary::rewriting(b"unwatch", b"discard"), 4);
}
