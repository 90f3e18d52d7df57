//! Everything the engine knows, apart from the one client whose command runs at the moment.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

use crate::aof::append::{AppendFile, Flush};
use crate::aof::rewriting::Rewrites;
use crate::blocking::Blocking;
use crate::client::{Client, ClientTable};
use crate::commands::table::Renames;
use crate::config::Config;
use crate::effect::{Effect, LogLevel};
use crate::event::ClientId;
use crate::identity::Identity;
use crate::keyspace::Keyspace;
use crate::latency::Latency;
use crate::migration::KeptLinks;
use crate::propagation::{Cause, Held, Propagated, Propagation, Targets};
use crate::pubsub::PubSub;
use crate::saving::Saving;
use crate::scripting::Scripting;
use crate::slowlog::Slowlog;
use crate::stats::Stats;
use crate::timers::Timers;
use crate::transaction::WatchTable;
use crate::world::World;

/// The clocks as read at the beginning of the event that is handled, moved on by the monotonic one.
///
/// The wall clock is read once per event; within it time passes by the monotonic clock, which is read anyway to time
/// each command. So a pipeline costs one clock reading a command, and a wall clock that is set back meanwhile cannot
/// make a command's end come before its beginning.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clock {
    /// Monotonic microseconds, last reading.
    pub(crate) now_us: u64,
    /// Unix microseconds at that moment.
    pub(crate) unix_us: i64,
}

impl Clock {
    /// Reads both clocks.
    pub(crate) fn read(&mut self, world: &mut dyn World) {
        self.now_us = world.now_us();
        self.unix_us = world.unix_us();
    }

    /// Reads the monotonic clock and moves the other on; returns the microseconds that passed.
    #[inline]
    pub(crate) fn advance(&mut self, world: &mut dyn World) -> u64 {
        let now_us = world.now_us();
        let passed = now_us.saturating_sub(self.now_us);
        self.now_us = now_us;
        self.unix_us = self.unix_us.saturating_add_unsigned(passed);
        passed
    }

    /// Unix milliseconds.
    #[inline]
    pub(crate) fn unix_ms(&self) -> i64 {
        self.unix_us.div_euclid(1000)
    }

    /// Unix seconds.
    pub(crate) fn unix_s(&self) -> i64 {
        self.unix_us.div_euclid(1_000_000)
    }
}

/// What the engine has time events for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeEvent {
    /// The cron.
    Cron,
}

/// The state of the server.
pub(crate) struct Server {
    pub(crate) config: Config,
    pub(crate) stats: Stats,
    /// The only source of chance; seeded by whoever made the engine.
    pub(crate) rng: ChaCha8Rng,
    /// Whether the clock has been read for the first time.
    pub(crate) started: bool,
    pub(crate) clock: Clock,
    /// Names of this run.
    pub(crate) identity: Identity,
    pub(crate) clients: ClientTable,
    pub(crate) keyspace: Keyspace,
    pub(crate) effects: Vec<Effect>,
    /// Changes since the last successful snapshot, as `rdb_changes_since_last_save` counts them.
    pub(crate) dirty: u64,
    /// What the command that runs said about its propagation.
    pub(crate) propagation: Propagation,
    /// The scripts that are known.
    pub(crate) scripting: Scripting,
    /// Who watches which keys.
    pub(crate) watches: WatchTable,
    /// Who listens to what.
    pub(crate) pubsub: PubSub,
    /// Who waits for which keys.
    pub(crate) blocking: Blocking,
    /// Clients that are shown every command.
    pub(crate) monitors: Vec<ClientId>,
    /// Clients that are closed when the command that runs is over: too much output waits for them.
    pub(crate) doomed: Vec<ClientId>,
    pub(crate) slowlog: Slowlog,
    pub(crate) latency: Latency,
    /// Clients whose output, or end, is announced when the batch ends.
    pub(crate) announce: Vec<ClientId>,
    /// The append-only file.
    pub(crate) aof: AppendFile,
    /// Rewrites of the append-only file.
    pub(crate) rewrites: Rewrites,
    /// What `rename-command` changed.
    pub(crate) renames: Renames,
    /// Connections to servers that keys were handed over to.
    pub(crate) migration: KeptLinks,
    /// Snapshots.
    pub(crate) saving: Saving,
    pub(crate) timers: Timers<TimeEvent>,
    /// Runs of the cron.
    pub(crate) cron_runs: u64,
    /// Runs of the cron a second, `hz` raised by `dynamic-hz`.
    pub(crate) cron_hz: i64,
    /// The clock of objects, as of the last run of the cron.
    pub(crate) lru_clock: u32,
    /// A dataset is being loaded: only some commands may run.
    pub(crate) loading: bool,
    /// How far that is, when clients can ask.
    pub(crate) loading_progress: Option<crate::loading::Progress>,
    /// The process is about to end: nothing more runs.
    pub(crate) leaving: bool,
    /// CLIENT PAUSE: until when, Unix milliseconds.
    pub(crate) paused_until_ms: Option<i64>,
    /// Clients whose input waits for the end of the pause.
    pub(crate) paused: Vec<ClientId>,
    /// What was propagated, when somebody asked to know.
    pub(crate) recorded: Option<Vec<Propagated>>,
}

impl Server {
    pub(crate) fn new(config: Config, seed: u64) -> Server {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut timers = Timers::default();
        timers.create(i64::MIN, 0, TimeEvent::Cron);
        Server {
            aof: AppendFile::default(),
            rewrites: Rewrites::default(),
            renames: Renames::new(&config.rename_command),
            migration: KeptLinks::default(),
            saving: Saving::default(),
            timers,
            cron_runs: 0,
            cron_hz: config.hz,
            lru_clock: 0,
            loading: false,
            leaving: false,
            loading_progress: None,
            paused_until_ms: None,
            paused: Vec::new(),
            keyspace: Keyspace::new(config.databases, &mut rng),
            scripting: Scripting::new(config.lua_replicate_commands),
            config,
            stats: Stats::new(),
            identity: Identity::draw(&mut rng),
            rng,
            started: false,
            clock: Clock::default(),
            clients: ClientTable::default(),
            effects: Vec::new(),
            dirty: 0,
            propagation: Propagation::default(),
            watches: WatchTable::default(),
            pubsub: PubSub::default(),
            blocking: Blocking::default(),
            monitors: Vec::new(),
            doomed: Vec::new(),
            slowlog: Slowlog::default(),
            latency: Latency::default(),
            announce: Vec::new(),
            recorded: None,
        }
    }

    /// Adds a line to the log.
    pub(crate) fn log(&mut self, level: LogLevel, text: impl Into<String>) {
        self.effects.push(Effect::Log { level, text: text.into() });
    }

    /// Hands a command on to the AOF and the replicas, as they are wanted.
    pub(crate) fn hand_on<'a>(
        &mut self,
        targets: Targets,
        db: usize,
        arguments: impl ExactSizeIterator<Item = &'a [u8]> + Clone,
    ) {
        self.hand_on_for(Cause::Command, targets, db, arguments);
    }

    /// As [`Server::hand_on`], for a cause of its own.
    pub(crate) fn hand_on_for<'a>(
        &mut self,
        cause: Cause,
        targets: Targets,
        db: usize,
        arguments: impl ExactSizeIterator<Item = &'a [u8]> + Clone,
    ) {
        if self.loading || targets == Targets::NONE {
            return;
        }
        if let Some(held) = &mut self.propagation.held {
            let arguments = arguments.map(<[u8]>::to_vec).collect();
            held.push(Held { cause, command: Propagated { targets, db, arguments } });
            return;
        }
        if targets.aof {
            self.aof.append(db, arguments.clone(), self.rewrites.diff());
        }
        if let Some(recorded) = &mut self.recorded {
            recorded.push(Propagated { targets, db, arguments: arguments.map(<[u8]>::to_vec).collect() });
        }
    }

    /// Has what the AOF buffers written, and synced as the policy says.
    pub(crate) fn flush_aof(&mut self) {
        self.flush_aof_as(false);
    }

    /// Has what the AOF buffers written although a sync may be under way.
    pub(crate) fn flush_aof_now(&mut self) {
        self.flush_aof_as(true);
    }

    fn flush_aof_as(&mut self, force: bool) {
        if self.aof.is_enabled() {
            let flush = Flush {
                now_us: self.clock.now_us,
                policy: self.config.appendfsync,
                no_sync: self.config.no_appendfsync_on_rewrite && self.has_child(),
                force,
            };
            self.aof.flush(flush, &mut self.effects);
        }
    }

    /// Sees to it that the client's output and end are announced when the batch ends.
    #[inline]
    pub(crate) fn announce(&mut self, client: &mut Client) {
        if !client.announced && (!client.output.is_empty() || client.closing) {
            client.announced = true;
            self.announce.push(client.id);
        }
    }

    /// Whether clients are paused at `now_ms`.
    #[inline]
    pub(crate) fn is_paused(&self, now_ms: i64) -> bool {
        self.paused_until_ms.is_some_and(|until| now_ms <= until)
    }

    /// Forgets a connection that is in the table and has the driver close it at once.
    pub(crate) fn close_now(&mut self, id: ClientId) {
        if self.forget(id) {
            self.effects.push(Effect::Close { client: id, after_output: false });
        }
    }

    /// Forgets a connection that is in the table, and releases everything that it holds; false when it is not known.
    pub(crate) fn forget(&mut self, id: ClientId) -> bool {
        let Some(mut client) = self.clients.remove(id) else { return false };
        self.pubsub.forget(&mut client);
        self.blocking.unblock(&mut client);
        if !self.watches.is_empty() {
            self.watches.forget(id);
        }
        if client.monitor {
            self.monitors.retain(|&monitor| monitor != id);
        }
        if client.paused {
            self.paused.retain(|&paused| paused != id);
        }
        true
    }

    /// Closes the clients for which too much output waits.
    #[cold]
    pub(crate) fn close_doomed(&mut self) {
        for id in std::mem::take(&mut self.doomed) {
            let Some(client) = self.clients.get(id) else { continue };
            let text = format!("Client {} closed for overcoming of output buffer limits.", client.peer.address);
            self.log(LogLevel::Warning, text);
            self.close_now(id);
        }
    }
}
