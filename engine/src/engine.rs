//! The engine's outside: events in, effects out, and the buffers through which bytes come and go.

use crate::aof::append::Next as FileStep;
use crate::aof::rewrite::{ParentEnds, Pipe, PipeEvent};
use crate::client::{Client, Waiting};
use crate::commands::{self, transactions};
use crate::config::Config;
use crate::cron;
use crate::effect::{Effect, FileId, LogLevel};
use crate::event::{ClientId, Event, Peer};
use crate::keyspace::expire::Cycle;
use crate::object::ObjectRef;
use crate::propagation::Propagated;
use crate::resp::{Limits, RequestParser};
use crate::state::{Server, TimeEvent};
use crate::structures::key_entry::KEY_MAX;
use crate::timers::Next;
use crate::world::World;

/// The engine, see the [crate].
pub struct Engine {
    pub(crate) server: Server,
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

    /// Tells the engine what time it is when it starts, from which uptime and LASTSAVE count. The first event does it
    /// where nobody did before.
    pub fn start(&mut self, world: &mut dyn World) {
        let server = &mut self.server;
        server.clock.read(world);
        server.stats.started_us = server.clock.now_us;
        server.stats.started_ms = server.clock.unix_ms();
        server.stats.startup_memory = server.used_memory(world);
        server.saving.last_save_s = server.clock.unix_s();
        server.lru_clock = crate::lru::clock(server.clock.unix_ms());
        server.started = true;
        if server.config.appendonly {
            server.aof.open(0, &mut server.effects);
        }
    }

    /// The settings in force.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.server.config
    }

    /// The text that CONFIG REWRITE writes: the settings in force, laid out as the old text of the file.
    #[must_use]
    pub fn rewritten_config(&self, old: &[u8]) -> Vec<u8> {
        self.server.config.rewritten(old)
    }

    /// A connection was accepted. Where it has to be refused (`maxclients`, `protected-mode`) the refusal is its first
    /// output and its end is announced at the end of the batch.
    pub fn connect(&mut self, world: &mut dyn World, peer: Peer) -> ClientId {
        self.read_clock(world);
        let server = &mut self.server;
        let id = server.clients.next_id();
        let mut client = Box::new(Client::new(id, peer, server.clock.unix_ms()));
        match refusal(server, &client.peer) {
            Some(text) => {
                client.reply().error(text.as_bytes());
                client.refused = true;
                client.closing = true;
                server.stats.rejected_connections += 1;
            }
            None => server.stats.connections += 1,
        }
        server.announce(&mut client);
        server.clients.insert(client);
        id
    }

    /// Whether this client's script runs at the moment, see [`World::serve_others`].
    #[must_use]
    pub fn runs_script_of(&self, client: ClientId) -> bool {
        self.server.scripting.slow == Some(client)
    }

    /// Whether a command of this client goes on while others are served: its script, or the loading that it asked for.
    /// Its connection is left alone until that is over.
    #[must_use]
    pub fn is_busy_for(&self, client: ClientId) -> bool {
        let loads = || {
            let waiting = self.server.clients.get(client).and_then(|client| client.waiting);
            matches!(waiting, Some(Waiting::Reload { saving: false } | Waiting::LoadAof))
        };
        self.runs_script_of(client) || self.server.loading && loads()
    }

    /// Room to read the client's bytes into; [`Event::Input`] must be handled before another client's room is asked
    /// for. Empty when the client is gone.
    pub fn input_buffer(&mut self, client: ClientId) -> &mut [u8] {
        let Some(known) = self.server.clients.get_mut(client) else {
            return &mut [];
        };
        if let Some(parser) = known.parser.as_mut().filter(|parser| !parser.is_idle()) {
            self.room_of = None;
            return parser.room();
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
            let Some(place) = room.get_mut(..piece.len()).filter(|place| !place.is_empty()) else {
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
        // What ends a batch or a connection happens at the moment of what came before it.
        if !matches!(event, Event::BatchEnd | Event::Closed { .. }) {
            self.read_clock(world);
        }
        match event {
            Event::Input { client, bytes } => self.input(world, client, bytes),
            Event::Closed { client } => {
                self.server.forget(client);
            }
            Event::BatchEnd => self.batch_end(world),
            Event::Tick => self.tick(world),
            Event::SnapshotEnded { result, copied_on_write } => {
                let client = self.server.snapshot_ended(&result, copied_on_write);
                self.resume(world, client);
            }
            Event::ChildStarted { fork_us } => {
                let client = self.server.child_started(fork_us);
                self.resume(world, client);
            }
            Event::RewriteEnded { result, copied_on_write } => {
                let client = self.server.rewrite_ended(result, copied_on_write);
                self.resume(world, client);
            }
            Event::Reloaded { result } => {
                let client = self.server.reloaded(&result);
                self.resume(world, client);
            }
            Event::ConfigRewritten { result } => {
                let client = self.server.config_rewritten(&result);
                self.resume(world, client);
            }
            Event::Terminate => {
                // The log says why it does not.
                let _ = self.server.shut_down(None, None);
            }
            Event::FileDone { file: FileId::Aof, .. } => {
                self.server.note_aof_step();
                let next = self.server.aof.done(&mut self.server.effects);
                self.after_file_step(next);
            }
            Event::FileFailed { file: FileId::Aof, bytes, failure } => {
                let next = self.server.aof.failed(bytes, &failure, &mut self.server.effects);
                self.after_file_step(next);
            }
            Event::FileDone { file: FileId::AofRewritten, .. } => self.server.rewritten_step_done(),
            Event::FileFailed { file: FileId::AofRewritten, failure, .. } => {
                self.server.rewritten_step_failed(&failure);
            }
        }
    }

    /// Takes a step of the hand-off to the child that rewrites the append-only file; nothing when there is none.
    pub fn rewrite_step<P: Pipe>(&mut self, ends: &mut ParentEnds<P>, event: PipeEvent) {
        if let Some(parent) = self.server.rewrites.diff() {
            parent.step(ends, event);
        }
    }

    /// Whether there is something to send to that child, so that a step with [`PipeEvent::Data`] is worth while.
    pub fn rewrite_has_diff(&mut self) -> bool {
        self.server.rewrites.diff().is_some_and(|parent| parent.wants_to_send() || parent.owes_acknowledgement())
    }

    /// What the driver is to do, in order. It drains the list and keeps the allocation for the next time.
    pub fn effects(&mut self) -> &mut Vec<Effect> {
        &mut self.server.effects
    }

    /// When the next [`Event::Tick`] is due, Unix milliseconds, for a driver whose wall clock shows `now_ms`: at once
    /// when it is overdue or the clock was set back. A tick that comes early does nothing.
    #[must_use]
    pub fn next_tick_ms(&self, now_ms: i64) -> i64 {
        self.server.timers.next_ms(now_ms)
    }

    /// The bytes that [`crate::FileEffect::Write`] is about.
    #[must_use]
    pub fn file_bytes(&self, file: FileId) -> &[u8] {
        match file {
            FileId::Aof => self.server.aof.bytes(),
            FileId::AofRewritten => self.server.rewrites.bytes(),
        }
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
        if known.closing && known.output.is_empty() {
            server.forget(client);
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

    /// How a key's value is stored, as OBJECT ENCODING names it. Looking so leaves no trace, and finds a key that is over
    /// until it is removed.
    pub fn encoding_of(&self, db: usize, key: &[u8]) -> Option<&'static str> {
        let db = self.server.keyspace.iter().nth(db)?;
        db.keys.peek(key).map(|entry| ObjectRef::new(entry).encoding().name())
    }

    /// Checks the invariants of every structure.
    ///
    /// # Panics
    /// When one does not hold.
    pub fn validate(&self) {
        for client in self.server.clients.iter() {
            client.input().validate();
        }
        self.server.keyspace.validate();
        self.server.watches.validate();
        self.server.pubsub.validate(&self.server.clients);
        self.server.blocking.validate(&self.server.clients);
    }

    pub(crate) fn read_clock(&mut self, world: &mut dyn World) {
        if self.server.started {
            self.server.clock.read(world);
        } else {
            self.start(world);
        }
    }

    fn input(&mut self, world: &mut dyn World, id: ClientId, bytes: usize) {
        let server = &mut self.server;
        let Some(mut client) = server.clients.take(id) else {
            return;
        };
        server.stats.input_bytes += bytes as u64;
        if client.closing {
            // It only waits for its last output; nothing more is read.
            server.clients.put(client);
            return;
        }
        client.last_interaction_ms = server.clock.unix_ms();
        let mut parser = client.parser.take().unwrap_or_default();
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
        client.parser = Some(parser);
        self.put_back(client);
    }

    /// Goes on with a client whose command waited for something.
    fn resume(&mut self, world: &mut dyn World, client: Option<ClientId>) {
        let Some(mut client) = client.and_then(|id| self.server.clients.take(id)) else {
            return;
        };
        client.waiting = None;
        if transactions::is_running(&client) {
            transactions::resume(&mut self.server, &mut client, world);
            if client.waiting.is_some() {
                self.put_back(client);
                return;
            }
        }
        self.go_on(world, client);
    }

    /// Runs what a client sent while its input was held back.
    fn go_on(&mut self, world: &mut dyn World, mut client: Box<Client>) {
        let mut parser = client.parser.take().unwrap_or_default();
        process(&mut self.server, &mut client, &mut parser, world);
        parser.compact();
        client.parser = Some(parser);
        self.put_back(client);
    }

    /// Puts a client back into the table after its input was handled, or ends it where it went too far.
    fn put_back(&mut self, mut client: Box<Client>) {
        let server = &mut self.server;
        let limit = server.config.client_output_buffer_limit[client.class() as usize];
        let unread = client.input().unread() as u64;
        let excess = if unread > server.config.client_query_buffer_limit {
            Some("max query buffer length reached")
        } else if client.doomed || cron::over_limit(&mut client, &limit, server.clock.unix_ms()) {
            Some("output buffer limits overcome")
        } else {
            None
        };
        if let Some(reason) = excess {
            let text = format!("Closing client {} at {}: {reason}", client.id.0, client.peer.address);
            server.log(LogLevel::Warning, text);
            let id = client.id;
            server.clients.put(client);
            server.close_now(id);
            return;
        }
        server.announce(&mut client);
        server.clients.put(client);
    }

    fn batch_end(&mut self, world: &mut dyn World) {
        if self.server.scripting.slow.is_some() {
            // A script is in the middle of its commands: only those are answered who asked meanwhile.
            return self.announce_output();
        }
        self.run_unblocked(world);
        if !self.server.doomed.is_empty() {
            self.server.close_doomed();
        }
        // Of a dataset that is not complete nothing expires.
        if !self.server.loading {
            self.server.expire_cycle(world, Cycle::Fast);
        }
        self.server.flush_aof();
        // Under `appendfsync always` a reply promises that the file holds what it answers.
        if !self.server.aof.holds_replies() {
            self.announce_output();
        }
    }

    /// Runs what clients sent while they were blocked. What they send may unblock others, which have their turn too.
    fn run_unblocked(&mut self, world: &mut dyn World) {
        loop {
            let unblocked = self.server.blocking.take_unblocked();
            if unblocked.is_empty() {
                return;
            }
            for id in unblocked {
                let Some(mut client) = self.server.clients.take(id) else { continue };
                client.unblocked = false;
                self.go_on(world, client);
            }
        }
    }

    fn after_file_step(&mut self, next: FileStep) {
        match next {
            FileStep::Wait => {}
            FileStep::Flush => self.server.flush_aof(),
            FileStep::Release => self.announce_output(),
            FileStep::Die => self.server.effects.push(Effect::Exit { code: 1 }),
        }
    }

    fn announce_output(&mut self) {
        let server = &mut self.server;
        let mut ids = std::mem::take(&mut server.announce);
        for id in ids.drain(..) {
            let Some(client) = server.clients.get_mut(id) else {
                continue;
            };
            client.announced = false;
            let silent = client.output.is_empty();
            if !silent {
                server.effects.push(Effect::Output { client: id });
            }
            if client.closing {
                server.effects.push(Effect::Close { client: id, after_output: true });
                if silent {
                    server.forget(id);
                }
            }
        }
        server.announce = ids;
    }

    fn tick(&mut self, world: &mut dyn World) {
        let now_ms = self.server.clock.unix_ms();
        let mut round = self.server.timers.begin(now_ms);
        while let Some((id, what)) = self.server.timers.next_due(&mut round) {
            let next = match what {
                TimeEvent::Cron => Next::After(cron::run(&mut self.server, world)),
            };
            self.server.timers.finish(id, now_ms, next);
        }
        if self.server.paused_until_ms.is_some() && !self.server.is_paused(now_ms) {
            self.end_pause(world);
        }
        self.run_unblocked(world);
    }

    fn end_pause(&mut self, world: &mut dyn World) {
        self.server.paused_until_ms = None;
        for id in std::mem::take(&mut self.server.paused) {
            if let Some(mut client) = self.server.clients.take(id) {
                client.paused = false;
                self.go_on(world, client);
            }
        }
    }
}

/// Runs the requests that the parser holds, as far as they may run now.
fn process(server: &mut Server, client: &mut Client, parser: &mut RequestParser, world: &mut dyn World) {
    client.input_held = parser.held();
    client.input_room = parser.free_room();
    while !client.closing && client.waiting.is_none() && !server.leaving {
        if server.paused_until_ms.is_some() && !client.monitor && server.is_paused(server.clock.unix_ms()) {
            if !client.paused {
                client.paused = true;
                server.paused.push(client.id);
            }
            break;
        }
        let limits = Limits {
            // Keys, members and fields are counted in 31 bits, whatever the configuration allows.
            max_bulk: i64::try_from(server.config.proto_max_bulk_len).unwrap_or(i64::MAX).min(KEY_MAX as i64),
            unauthenticated: !client.authenticated && !server.config.requirepass.is_empty(),
        };
        match parser.next(&limits) {
            Ok(true) => commands::process(server, client, world, &parser.args()),
            Ok(false) => break,
            Err(error) => {
                let mark = client.output.mark();
                client.reply().error(&error.reply());
                client.silence(mark);
                client.closing = true;
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

/// What a stranger reads under `protected-mode`, word for word what Redis sends: tools show it to their users.
const PROTECTED: &str = "DENIED Redis is running in protected mode because protected mode is enabled, no bind address \
    was specified, no authentication password is requested to clients. In this mode connections are only accepted \
    from the loopback interface. If you want to connect from external computers to Redis you may adopt one of the \
    following solutions: 1) Just disable protected mode sending the command 'CONFIG SET protected-mode no' from the \
    loopback interface by connecting to Redis from the same host the server is running, however MAKE SURE Redis is \
    not publicly accessible from internet if you do so. Use CONFIG REWRITE to make this change permanent. 2) \
    Alternatively you can just disable the protected mode by editing the Redis configuration file, and setting the \
    protected mode option to 'no', and then restarting the server. 3) If you started the server manually just for \
    testing, restart it with the '--protected-mode no' option. 4) Setup a bind address or an authentication password. \
    NOTE: You only need to do one of the above things in order for the server to start accepting connections from the \
    outside.";

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
