//! Racing clients: servers that keep commands and transactions whole hold, a proxy that takes transactions apart and one
//! that lets the effects of different keys overtake each other are caught.
#![allow(clippy::unwrap_used)]

mod spawned;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use tally_check::Reply;
use tally_check::coverage::Coverage;
use tally_check::profile::Version;
use tally_check::racing::{Outcome, Race};
use tally_check::reply_reader::ReplyReader;

/// Races until something is found or so many commands were sent.
fn race(port: u16, accept_errata: bool, commands: u64, seed: u64) -> Outcome {
    let race = Race {
        url: format!("redis://127.0.0.1:{port}").parse().unwrap(),
        seed,
        profile: Version::REDIS_5_0.model(accept_errata, false),
    };
    let mut coverage = Coverage::default();
    let outcome = race.run(&mut coverage, &mut |coverage| coverage.commands >= commands).unwrap();
    // How long the search for an order takes depends on how the threads met: a short race may have two that take too long.
    assert!(
        coverage.undecided <= 2 + outcome.rounds / 100,
        "{} of {} rounds undecided",
        coverage.undecided,
        outcome.rounds
    );
    outcome
}

fn holds(port: u16, accept_errata: bool, commands: u64) {
    if let Some(anomaly) = race(port, accept_errata, commands, 7).anomaly {
        panic!("round {}\n{}", anomaly.round, anomaly.history);
    }
}

/// A connection of a proxy: the client's side, and one to the server.
struct Relay {
    client: TcpStream,
    /// What the client sent and is not understood yet.
    unread: Vec<u8>,
    server: Upstream,
    /// For what the proxy does later.
    port: u16,
}

/// A connection to the server behind a proxy.
struct Upstream {
    socket: TcpStream,
    reader: ReplyReader,
}

impl Upstream {
    fn open(port: u16) -> Self {
        let socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
        socket.set_nodelay(true).unwrap();
        Self { socket, reader: ReplyReader::default() }
    }

    /// Nothing when the connection is over.
    fn ask(&mut self, request: &[Vec<u8>]) -> Option<Reply> {
        let request: tally_check::request::Request = request.iter().collect();
        let mut bytes = Vec::new();
        request.encode(&mut bytes);
        self.socket.write_all(&bytes).ok()?;
        loop {
            if let Some(reply) = self.reader.next_reply().unwrap() {
                return Some(reply);
            }
            let mut piece = [0; 4096];
            match self.socket.read(&mut piece) {
                Ok(0) | Err(_) => return None,
                Ok(length) => self.reader.push(&piece[..length]),
            }
        }
    }
}

impl Relay {
    /// The next request; nothing when the client is gone.
    fn next(&mut self) -> Option<Vec<Vec<u8>>> {
        loop {
            // What a client sends are arrays of bulk strings, as replies may be too.
            let mut reader = ReplyReader::default();
            reader.push(&self.unread);
            if let Some(Reply::Array(parts)) = reader.next_reply().unwrap() {
                self.unread = reader.pending().to_vec();
                let words = parts.into_iter().map(|part| match part {
                    Reply::Bulk(bytes) => bytes,
                    other => panic!("{other}"),
                });
                return Some(words.collect());
            }
            let mut piece = [0; 4096];
            match self.client.read(&mut piece) {
                Ok(0) | Err(_) => return None,
                Ok(length) => self.unread.extend_from_slice(&piece[..length]),
            }
        }
    }

    fn answer(&mut self, reply: &Reply) -> Option<()> {
        let mut bytes = Vec::new();
        encode(reply, &mut bytes);
        self.client.write_all(&bytes).ok()
    }
}

fn encode(reply: &Reply, into: &mut Vec<u8>) {
    let mut line = |sign: char, text: &[u8]| {
        into.push(sign as u8);
        into.extend_from_slice(text);
        into.extend_from_slice(b"\r\n");
    };
    match reply {
        Reply::Status(text) => line('+', text),
        Reply::Error(text) => line('-', text),
        Reply::Integer(value) => line(':', value.to_string().as_bytes()),
        Reply::NilBulk => line('$', b"-1"),
        Reply::NilArray => line('*', b"-1"),
        Reply::Bulk(bytes) => {
            line('$', bytes.len().to_string().as_bytes());
            into.extend_from_slice(bytes);
            into.extend_from_slice(b"\r\n");
        }
        Reply::Array(parts) => {
            line('*', parts.len().to_string().as_bytes());
            for part in parts {
                encode(part, into);
            }
        }
    }
}

/// Listens, and lets `serve` stand between each client and a connection of its own to the server at `behind`.
fn proxy(behind: u16, serve: fn(&mut Relay) -> Option<()>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.unwrap();
            client.set_nodelay(true).unwrap();
            let mut relay = Relay { client, unread: Vec::new(), server: Upstream::open(behind), port: behind };
            thread::spawn(move || while serve(&mut relay).is_some() {});
        }
    });
    port
}

fn is(request: &[Vec<u8>], name: &str) -> bool {
    request[0].eq_ignore_ascii_case(name.as_bytes())
}

fn words(line: &str) -> Vec<Vec<u8>> {
    line.split(' ').map(|word| word.as_bytes().to_vec()).collect()
}

/// Hands everything on as it is.
fn honest(relay: &mut Relay) -> Option<()> {
    let request = relay.next()?;
    let reply = relay.server.ask(&request)?;
    relay.answer(&reply)
}

/// Queues transactions itself, and lets their commands run one by one.
fn splits_transactions(relay: &mut Relay) -> Option<()> {
    let request = relay.next()?;
    if !is(&request, "multi") {
        let reply = relay.server.ask(&request)?;
        return relay.answer(&reply);
    }
    relay.answer(&Reply::ok())?;
    let mut queue = Vec::new();
    loop {
        let request = relay.next()?;
        if is(&request, "discard") {
            relay.server.ask(&words("UNWATCH"))?;
            return relay.answer(&Reply::ok());
        }
        if is(&request, "exec") {
            break;
        }
        queue.push(request);
        relay.answer(&Reply::status("QUEUED"))?;
    }
    let mut replies = Vec::new();
    for request in queue {
        // Each is a transaction of its own, so that none blocks; the first is kept from running by what was watched.
        relay.server.ask(&words("MULTI"))?;
        relay.server.ask(&request)?;
        match relay.server.ask(&words("EXEC"))? {
            Reply::Array(mut parts) => replies.append(&mut parts),
            nothing => return relay.answer(&nothing),
        }
        thread::sleep(Duration::from_micros(200));
    }
    relay.answer(&Reply::Array(replies))
}

/// Says that a SET of some keys is done before it is, so that what is done to other keys later overtakes it.
fn reorders_keys(relay: &mut Relay) -> Option<()> {
    let request = relay.next()?;
    if is(&request, "set") && request.len() == 3 && request[1] == b"s1" {
        let mut later = Upstream::open(relay.port);
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(2));
            later.ask(&request)
        });
        return relay.answer(&Reply::ok());
    }
    let reply = relay.server.ask(&request)?;
    relay.answer(&reply)
}

/// Both broken proxies before a server are caught by few operations, an honest one is not.
fn proxies_are_told_apart(port: u16, accept_errata: bool) {
    holds(proxy(port, honest), accept_errata, 2000);
    for (name, serve) in
        [("splits transactions", splits_transactions as fn(&mut Relay) -> Option<()>), ("reorders keys", reorders_keys)]
    {
        let port = proxy(port, serve);
        // How far a history shrinks depends on how threads meet when its rounds run again: one in a few must be short.
        let few = (7..13).any(|seed| {
            let outcome = race(port, accept_errata, 30_000, seed);
            let anomaly = outcome.anomaly.unwrap_or_else(|| panic!("{name}: not caught in {} rounds", outcome.rounds));
            println!("{name}: seed {seed}, round {}\n{}", anomaly.round, anomaly.history);
            anomaly.history.operations.len() <= 16
        });
        assert!(few, "{name}: no anomaly of few operations");
    }
}

#[test]
fn our_server_holds_and_broken_proxies_before_it_are_caught() {
    let folder = spawned::folder();
    let server = spawned::Server::start(folder.path(), &[]);
    holds(server.port, false, 8000);
    proxies_are_told_apart(server.port, false);
}

#[test]
fn a_real_redis_5_holds_and_broken_proxies_before_it_are_caught() {
    let folder = spawned::folder();
    let Some(server) = spawned::Server::real(folder.path(), &[]) else { return };
    holds(server.port, true, 8000);
    proxies_are_told_apart(server.port, true);
}
