//! The engine's outside: events in, effects out, and the buffers through which bytes come and go.

use crate::client::{Client, Closing};
use crate::commands;
use crate::config::Config;
use crate::effect::{Effect, LogLevel};
use crate::event::{ClientId, Event, Peer};
use crate::propagation::Propagated;
use crate::resp::Limits;
use crate::state::Server;
use crate::world::World;

/// The engine, see the [crate].
pub struct Engine {
    server: Server,
    /// The buffer that connections without unread input share; none before the first input.
    room: Vec<u8>,
    /// Whose input goes to `room`: the last connection that asked for it.
    room_of: Option<ClientId>,
}

/// Room of the shared read buffer, in bytes: a read of a whole pipeline costs one call.
const SHARED_ROOM: usize = 64 * 1024;

impl Engine {
    /// An empty engine. Cheap: nothing is allocated ahead.
    #[must_use]
    pub fn new(config: Config, seed: u64) -> Engine {
        Engine { server: Server::new(config, seed), room: Vec::new(), room_of: None }
    }

    /// The settings in force.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.server.config
    }

    /// A connection was accepted. Where it has to be refused (`maxclients`, `protected-mode`) the refusal is its first
    /// output and its end is announced at the end of the batch.
    pub fn connect(&mut self, world: &mut dyn World, peer: Peer) -> ClientId {
        let server = &mut self.server;
        server.clock.read(world);
        let id = server.clients.next_id();
        let mut client = Box::new(Client::new(id, peer, server.clock.unix_ms()));
        match refusal(server, &client.peer) {
            Some(text) => {
                client.reply().error(text.as_bytes());
                client.refused = true;
                client.close_after_reply();
                server.stats.rejected_connections += 1;
            }
            None => server.stats.connections += 1,
        }
        server.announce(&mut client);
        server.clients.insert(client);
        id
    }

    /// Room to read the client's bytes into; [`Event::Input`] must be handled before another client's room is asked
    /// for. Empty when the client is gone.
    pub fn input_buffer(&mut self, client: ClientId) -> &mut [u8] {
        let Some(known) = self.server.clients.get_mut(client) else {
            return &mut [];
        };
        if !known.parser.is_idle() {
            self.room_of = None;
            return known.parser.room();
        }
        if self.room.len() < SHARED_ROOM {
            self.room.resize(SHARED_ROOM, 0);
        }
        self.room_of = Some(client);
        &mut self.room
    }

    /// Copies `bytes` into the client's input buffer, piece by piece, and handles each piece.
    pub fn feed(&mut self, world: &mut dyn World, client: ClientId, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = self.input_buffer(client);
            let (piece, later) = rest.split_at(room.len().min(rest.len()));
            let Some(place) = room.get_mut(..piece.len()).filter(|room| !room.is_empty()) else {
                return;
            };
            place.copy_from_slice(piece);
            rest = later;
            let bytes = piece.len();
            self.handle(world, Event::Input { client, bytes });
        }
    }

    /// Takes in one event.
    pub fn handle(&mut self, world: &mut dyn World, event: Event) {
        match event {
            Event::Input { client, bytes } => self.input(world, client, bytes),
            Event::Closed { client } => {
                self.server.clients.remove(client);
            }
            Event::BatchEnd => self.batch_end(world),
            Event::Tick
            | Event::FileDone { .. }
            | Event::FileFailed { .. }
            | Event::SnapshotEnded { .. }
            | Event::Reloaded { .. }
            | Event::ConfigRewritten { .. }
            | Event::Terminate => {}
        }
    }

    /// What the driver is to do, in order. It drains the list and keeps the allocation for the next time.
    pub fn effects(&mut self) -> &mut Vec<Effect> {
        &mut self.server.effects
    }

    /// The bytes that wait for a client, in order.
    pub fn output(&self, client: ClientId) -> impl Iterator<Item = &[u8]> {
        let known = self.server.clients.get(client);
        known.into_iter().flat_map(|known| known.output.slices())
    }

    /// `bytes` bytes of [`Engine::output`] were sent.
    pub fn written(&mut self, client: ClientId, bytes: usize) {
        let server = &mut self.server;
        server.stats.output_bytes += bytes as u64;
        let now_ms = server.clock.unix_ms();
        let Some(known) = server.clients.get_mut(client) else {
            return;
        };
        known.output.written(bytes);
        known.last_interaction_ms = now_ms;
        if known.closing != Closing::No && known.output.is_empty() {
            server.clients.remove(client);
        }
    }

    /// Begins to keep every command that is handed on to the AOF or to replicas, for [`Engine::take_propagated`].
    pub fn record_propagation(&mut self) {
        self.server.recorded.get_or_insert_default();
    }

    /// The commands handed on since the last call, in order; empty unless [`Engine::record_propagation`] was called.
    pub fn take_propagated(&mut self) -> Vec<Propagated> {
        self.server.recorded.as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn input(&mut self, world: &mut dyn World, id: ClientId, bytes: usize) {
        let server = &mut self.server;
        let Some(mut client) = server.clients.take(id) else {
            return;
        };
        server.clock.read(world);
        server.stats.input_bytes += bytes as u64;
        client.last_interaction_ms = server.clock.unix_ms();
        // The parser is out of the client while its commands run, because their arguments lie in it.
        let mut parser = std::mem::take(&mut client.parser);
        let lent = self.room_of.take() == Some(id);
        if lent {
            parser.lend(&mut self.room, bytes);
        } else {
            parser.filled(bytes);
        }
        process(server, &mut client, &mut parser, world);
        if lent {
            parser.take_back(&mut self.room);
        } else {
            parser.compact();
        }
        client.parser = parser;
        server.announce(&mut client);
        server.clients.put(client);
    }

    fn batch_end(&mut self, world: &mut dyn World) {
        let _ = world;
        let server = &mut self.server;
        for id in std::mem::take(&mut server.announce) {
            let Some(client) = server.clients.get_mut(id) else {
                continue;
            };
            client.announced = false;
            let closing = client.closing != Closing::No;
            let silent = client.output.is_empty();
            if !silent {
                server.effects.push(Effect::Output { client: id });
            }
            if closing {
                let after_output = true;
                server.effects.push(Effect::Close { client: id, after_output });
                if silent {
                    server.clients.remove(id);
                }
            }
        }
    }
}

/// Runs the requests that the parser holds.
fn process(server: &mut Server, client: &mut Client, parser: &mut crate::resp::RequestParser, world: &mut dyn World) {
    while client.closing == Closing::No && client.waiting.is_none() {
        let limits = Limits {
            max_bulk: i64::try_from(server.config.proto_max_bulk_len).unwrap_or(i64::MAX),
            unauthenticated: !client.authenticated && !server.config.requirepass.is_empty(),
        };
        match parser.next(&limits) {
            Ok(true) => commands::process(server, client, world, &parser.args()),
            Ok(false) => break,
            Err(error) => {
                client.reply().error(format!("ERR {error}").as_bytes());
                client.close_after_reply();
                let who = client.peer.address.as_str();
                server.log(LogLevel::Verbose, format!("{error} from client {who}"));
            }
        }
    }
}

/// Why a new connection is refused.
fn refusal(server: &Server, peer: &Peer) -> Option<&'static str> {
    let most = usize::try_from(server.config.maxclients).unwrap_or(0);
    if server.clients.len() >= most {
        return Some("ERR max number of clients reached");
    }
    let config = &server.config;
    let open = config.protected_mode && config.bind.is_empty() && config.requirepass.is_empty();
    if open && !peer.local && !peer.unix_socket {
        return Some(PROTECTED);
    }
    None
}

/// What a stranger reads under `protected-mode`. Clients know it by its code and its first sentence.
const PROTECTED: &str = "DENIED protected mode is on";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::world::Still;

    fn local() -> Peer {
        Peer { address: "127.0.0.1:5000".into(), descriptor: 7, local: true, unix_socket: false }
    }

    fn talk(engine: &mut Engine, client: ClientId, bytes: &[u8]) -> Vec<u8> {
        let mut world = Still::default();
        engine.feed(&mut world, client, bytes);
        engine.handle(&mut world, Event::BatchEnd);
        let output = engine.output(client).collect::<Vec<_>>().concat();
        engine.written(client, output.len());
        output
    }

    #[test]
    fn a_pipeline_is_answered_in_order_and_announced_once() {
        let mut engine = Engine::new(Config::default(), 1);
        let client = engine.connect(&mut Still::default(), local());
        let output = talk(&mut engine, client, b"PING\r\n*2\r\n$4\r\nECHO\r\n$1\r\nx\r\nSELECT 15\r\nSELECT 16\r\n");
        assert_eq!(output, b"+PONG\r\n$1\r\nx\r\n+OK\r\n-ERR DB index is out of range\r\n");
        assert_eq!(*engine.effects(), [Effect::Output { client }]);
    }

    #[test]
    fn a_protocol_error_is_answered_and_ends_the_connection() {
        let mut engine = Engine::new(Config::default(), 1);
        let client = engine.connect(&mut Still::default(), local());
        let output = talk(&mut engine, client, b"*1\r\n+PING\r\n");
        assert_eq!(output, b"-ERR Protocol error: expected '$', got '+'\r\n");
        assert!(engine.effects().contains(&Effect::Close { client, after_output: true }));
        assert!(engine.input_buffer(client).is_empty());
    }
}
