//! The event loop: what is ready is read, the engine runs it, and the replies of the whole batch are written at once.
//!
//! ```text
//!   wait ─► accept, read ready sockets ─► Event::Input … ─► Event::Tick if due ─► Event::BatchEnd ─► effects ─► wait
//! ```
//! Sockets are edge-triggered. A read that does not fill its buffer has emptied the socket, so the next event is waited
//! for without another read; a socket that still has more after a few reads is continued in the next round, so that one
//! client cannot hold up the others. Replies are written without waiting for writability; only a socket that takes less
//! than offered is registered for it.

use std::fs::File;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use rustix::io::Errno;
use rustix::net::{Shutdown, SocketFlags, acceptfrom_with, shutdown, sockopt};
use tally_engine::aof::rewrite::{ParentEnds, PipeEvent};
use tally_engine::{Busy, Effect, Engine, Event, LoadError, Peer, PeerFailure, PeerId, World};

use crate::child::Child;
use crate::connection::{Connection, Slot, Table};
use crate::files::{BackgroundSync, OpenFiles};
use crate::listen::Listener;
use crate::rewrite::PipeEnd;
use crate::world::SystemWorld;
use crate::{logging, signals};

/// Tokens from here up are listeners; below are connections' slots.
const FIRST_LISTENER: usize = usize::MAX / 2;
/// The token of the background fsync thread's waker.
const WAKER: Token = Token(usize::MAX - 1);
/// The token of the pipes to the child that rewrites the append-only file: whichever is ready, both are looked at.
const REWRITE: Token = Token(usize::MAX - 2);
/// Events taken from the kernel at once.
const EVENTS: usize = 1024;
/// Connections accepted at once, before those that are open are served again.
const ACCEPTS_AT_ONCE: usize = 1000;
/// Reads of one connection at once.
const READS_AT_ONCE: usize = 4;
/// Bytes written to one connection at once, unless it is the only one with work.
const BYTES_AT_ONCE: usize = 1024 * 1024;
/// Pieces of output given to the kernel in one call.
const SLICES: usize = 64;

/// Why a file was not loaded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadFailure {
    #[error("{}", crate::files::failure(.0).text)]
    Io(#[from] io::Error),
    #[error(transparent)]
    File(#[from] LoadError),
}

/// Everything the engine acts on, and its [`World`].
pub(crate) struct EventLoop {
    pub(crate) world: SystemWorld,
    poll: Poll,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) connections: Table,
    pub(crate) files: OpenFiles,
    pub(crate) fsync: BackgroundSync,
    pub(crate) child: Option<Child>,
    /// The pipes to the child that rewrites the append-only file.
    pub(crate) rewrite_ends: Option<ParentEnds<PipeEnd>>,
    /// The file of the last child that rewrote the append-only file.
    pub(crate) rewritten: PathBuf,
    /// Effects that are to be executed, the first one last.
    pub(crate) pending: Vec<Effect>,
    /// `execute_effects` is on the stack: what an effect's answer adds is executed by it.
    pub(crate) executing: bool,
    /// Connections that may have more to read or write without another event.
    unfinished: Vec<Slot>,
    /// Events were taken from the kernel, which tells of them only once, and may not have been looked at.
    taken: bool,
    /// Counts the turns of the loop.
    round: u64,
    /// Set by the effect that ends the process.
    pub(crate) exit: Option<i32>,
    /// Accepting failed for want of descriptors or memory: tried again at each tick.
    accept_again: bool,
    /// There may be more connections to accept without another event.
    accept_more: bool,
    last_second: i64,
}

impl EventLoop {
    /// Registers the listeners.
    pub(crate) fn new(world: SystemWorld, listeners: Vec<Listener>) -> io::Result<EventLoop> {
        let poll = Poll::new()?;
        for (index, listener) in listeners.iter().enumerate() {
            let token = Token(FIRST_LISTENER + index);
            poll.registry().register(&mut SourceFd(&listener.socket.as_raw_fd()), token, Interest::READABLE)?;
        }
        let fsync = BackgroundSync::start(Waker::new(poll.registry(), WAKER)?)?;
        Ok(EventLoop {
            world,
            poll,
            listeners,
            connections: Table::default(),
            files: OpenFiles::default(),
            fsync,
            child: None,
            rewrite_ends: None,
            rewritten: PathBuf::new(),
            pending: Vec::new(),
            executing: false,
            unfinished: Vec::new(),
            taken: false,
            round: 0,
            exit: None,
            accept_again: false,
            accept_more: false,
            last_second: 0,
        })
    }

    /// Serves until an effect ends the process; returns its exit code.
    pub(crate) fn run(&mut self, engine: &mut Engine) -> io::Result<i32> {
        let mut events = Events::with_capacity(EVENTS);
        self.tell(engine, Event::BatchEnd);
        while self.exit.is_none() {
            let patience = self.until_next_tick(engine);
            self.wait_for(&mut events, patience)?;
            self.taken = true;
            self.serve(engine, &events);
            self.tick_if_due(engine);
            let told_to_stop = signals::termination_requested();
            if told_to_stop {
                self.tell(engine, Event::Terminate);
            }
            self.tell(engine, Event::BatchEnd);
            // What the pipe does not take now is offered again in the turn that begins when it can take more.
            if self.rewrite_ends.is_some() && engine.rewrite_has_diff() {
                self.rewrite_step(engine, PipeEvent::Data);
            }
            // Not a request that came since it was looked for.
            if told_to_stop && self.exit.is_none() {
                signals::withdraw_termination();
            }
        }
        Ok(self.exit.unwrap_or(0))
    }

    /// Waits until something is ready, but no longer than `patience`.
    fn wait_for(&mut self, events: &mut Events, patience: Duration) -> io::Result<()> {
        match self.poll.poll(events, Some(patience)) {
            Ok(()) => Ok(()),
            // A signal; no event was taken.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                events.clear();
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Reads and writes what is ready, and what was left over.
    fn serve(&mut self, engine: &mut Engine, events: &Events) {
        self.round += 1;
        for slot in std::mem::take(&mut self.unfinished) {
            if let Some(connection) = self.connections.get(slot).filter(|connection| connection.queued) {
                connection.queued = false;
                self.write(engine, slot);
                self.read(engine, slot, false);
            }
        }
        for event in events {
            self.dispatch(engine, event);
        }
        if std::mem::take(&mut self.accept_more) {
            self.accept_all(engine);
        }
    }

    /// Loads a file, and serves clients after each step, most of whom are told that it loads. An effect that ends the
    /// process ends this too.
    pub(crate) fn load_while_serving(
        &mut self,
        engine: &mut Engine,
        aof: bool,
        name: &Path,
    ) -> Result<(), LoadFailure> {
        let source = File::open(name)?;
        let length = source.metadata()?.len();
        let mut loading = engine.begin_loading(self, source, aof, length)?;
        // A signal ends the process at once meanwhile.
        signals::set_loading(true);
        let loaded = loop {
            match engine.load_step(self, &mut loading) {
                Ok(true) if self.serve_others(engine) == Busy::Stop => break Ok(()),
                Ok(true) => {}
                Ok(false) => break Ok(()),
                Err(error) => break Err(error.into()),
            }
        };
        signals::set_loading(false);
        loaded
    }

    /// Hands an event to the engine and executes what it leaves.
    #[inline]
    pub(crate) fn tell(&mut self, engine: &mut Engine, event: Event) {
        engine.handle(self, event);
        self.execute_effects(engine);
    }

    fn dispatch(&mut self, engine: &mut Engine, event: &mio::event::Event) {
        match event.token() {
            WAKER => {
                while let Some((file, result)) = self.fsync.finished() {
                    self.background_sync_ended(engine, file, result);
                }
            }
            REWRITE => {
                if event.is_readable() || event.is_read_closed() || event.is_error() {
                    self.rewrite_step(engine, PipeEvent::Signal);
                }
            }
            Token(token) if token >= FIRST_LISTENER => self.accept(engine, token - FIRST_LISTENER),
            Token(slot) => {
                if event.is_writable() || event.is_write_closed() || event.is_error() {
                    if let Some(connection) = self.connections.get(slot) {
                        connection.blocked = false;
                    }
                    self.write(engine, slot);
                }
                if event.is_readable() || event.is_read_closed() || event.is_error() {
                    self.read(engine, slot, event.is_read_closed() || event.is_error());
                }
            }
        }
    }

    /// How long to wait at most: not at all while connections are unfinished.
    fn until_next_tick(&mut self, engine: &Engine) -> Duration {
        if !self.unfinished.is_empty() || self.accept_more {
            return Duration::ZERO;
        }
        let now_us = self.world.unix_us();
        let due_us = engine.next_tick_ms(now_us.div_euclid(1000)).saturating_mul(1000);
        let wait_us = due_us.saturating_sub(now_us);
        // Rounded up: woken a moment early, the loop would turn idly until the tick is due.
        Duration::from_millis(u64::try_from(wait_us).unwrap_or(0).div_ceil(1000))
    }

    fn tick_if_due(&mut self, engine: &mut Engine) {
        let now_us = self.world.unix_us();
        let now_ms = now_us.div_euclid(1000);
        if now_ms < engine.next_tick_ms(now_ms) {
            return;
        }
        if self.last_second != now_us / 1_000_000 {
            self.last_second = now_us / 1_000_000;
            logging::refresh_time_zone();
        }
        if std::mem::take(&mut self.accept_again) {
            self.accept_all(engine);
        }
        self.reap_child(engine);
        self.tell(engine, Event::Tick);
    }

    fn accept_all(&mut self, engine: &mut Engine) {
        for index in 0..self.listeners.len() {
            self.accept(engine, index);
        }
    }

    fn accept(&mut self, engine: &mut Engine, index: usize) {
        for _ in 0..ACCEPTS_AT_ONCE {
            let Some(listener) = self.listeners.get(index) else {
                return;
            };
            let unix = listener.unix;
            match acceptfrom_with(&listener.socket, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Ok((socket, address)) => {
                    let address = address.and_then(|address| SocketAddr::try_from(address).ok());
                    if let Err(error) = self.admit(engine, socket, address.filter(|_| !unix)) {
                        tracing::warn!("Error registering fd event for the new client: {error}");
                    }
                }
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(errno) => {
                    tracing::warn!("Accepting client connection: {}", crate::files::failure(&errno.into()).text);
                    self.accept_again = true;
                    return;
                }
            }
        }
        // More may wait, and an edge-triggered listener says so only once.
        self.accept_more = true;
    }

    /// A new connection; without an address it came over the Unix socket.
    fn admit(&mut self, engine: &mut Engine, socket: OwnedFd, address: Option<SocketAddr>) -> io::Result<()> {
        let descriptor = socket.as_raw_fd();
        let config = engine.config();
        let peer = match address {
            Some(address) => {
                sockopt::set_tcp_nodelay(&socket, true)?;
                let seconds = u64::try_from(config.tcp_keepalive).unwrap_or(0);
                if seconds > 0
                    && let Err(errno) = keep_alive(&socket, seconds)
                {
                    tracing::debug!("Cannot set keep-alive of a new connection: {errno}");
                }
                Peer { address: address.to_string(), descriptor, local: address.ip().is_loopback(), unix_socket: false }
            }
            None => {
                let path = String::from_utf8_lossy(&config.unixsocket);
                Peer { address: format!("{path}:0"), descriptor, local: true, unix_socket: true }
            }
        };
        let token = Token(self.connections.next_slot());
        self.poll.registry().register(&mut SourceFd(&descriptor), token, Interest::READABLE)?;
        let client = engine.connect(self, peer);
        self.connections.insert(Connection {
            socket,
            client,
            blocked: false,
            closing: false,
            queued: false,
            fed_in: 0,
        });
        self.execute_effects(engine);
        Ok(())
    }

    /// Reads what a socket holds. `ended` when the kernel said that the peer will send no more: then the end is read
    /// too, although the last read was a short one. The end is only acted on in a later round than the input before
    /// it, so that the replies to that input are sent first.
    fn read(&mut self, engine: &mut Engine, slot: Slot, ended: bool) {
        for _ in 0..READS_AT_ONCE {
            let Some(connection) = self.connections.get(slot).filter(|connection| !connection.closing) else {
                return;
            };
            let client = connection.client;
            if engine.is_busy_for(client) {
                return self.continue_later(slot);
            }
            let room = engine.input_buffer(client);
            let capacity = room.len();
            match rustix::io::read(&connection.socket, room) {
                Ok(0) if connection.fed_in == self.round => break,
                Ok(0) => return self.end(engine, slot),
                Ok(bytes) => {
                    connection.fed_in = self.round;
                    self.tell(engine, Event::Input { client, bytes });
                    if bytes < capacity {
                        if ended {
                            break;
                        }
                        return;
                    }
                }
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR) => {}
                Err(errno) => return self.lose(engine, slot, Some(errno)),
            }
        }
        self.continue_later(slot);
    }

    /// The peer sends no more. What waits for it is still delivered: it may have closed only its sending side.
    fn end(&mut self, engine: &mut Engine, slot: Slot) {
        let Some(connection) = self.connections.get(slot) else {
            return;
        };
        if connection.blocked {
            connection.closing = true;
        } else {
            self.lose(engine, slot, None);
        }
    }

    fn continue_later(&mut self, slot: Slot) {
        if let Some(connection) = self.connections.get(slot)
            && !connection.queued
        {
            connection.queued = true;
            self.unfinished.push(slot);
        }
    }

    /// Sends what the engine holds for a connection, as far as the socket takes it.
    pub(crate) fn write(&mut self, engine: &mut Engine, slot: Slot) {
        let mut sent = 0;
        loop {
            let Some(connection) = self.connections.get(slot) else {
                return;
            };
            if connection.blocked {
                return;
            }
            if engine.is_busy_for(connection.client) {
                return self.continue_later(slot);
            }
            let mut slices = [IoSlice::new(&[]); SLICES];
            let mut count = 0;
            let mut offered = 0;
            for (place, piece) in slices.iter_mut().zip(engine.output(connection.client)) {
                *place = IoSlice::new(piece);
                offered += piece.len();
                count += 1;
            }
            if offered == 0 {
                if connection.closing {
                    self.close(engine, slot);
                }
                return;
            }
            let slices = slices.get(..count).unwrap_or_default();
            let result = match slices {
                [one] => rustix::io::write(&connection.socket, one),
                several => rustix::io::writev(&connection.socket, several),
            };
            match result {
                Ok(bytes) => {
                    engine.written(connection.client, bytes);
                    sent += bytes;
                    if bytes < offered {
                        return self.wait_until_writable(engine, slot);
                    }
                    if count < SLICES && !connection.closing {
                        return;
                    }
                    if sent >= BYTES_AT_ONCE {
                        return self.continue_later(slot);
                    }
                }
                Err(Errno::AGAIN) => return self.wait_until_writable(engine, slot),
                Err(Errno::INTR) => {}
                Err(errno) => return self.lose(engine, slot, Some(errno)),
            }
        }
    }

    fn wait_until_writable(&mut self, engine: &mut Engine, slot: Slot) {
        let Some(connection) = self.connections.get(slot) else {
            return;
        };
        connection.blocked = true;
        let descriptor = connection.socket.as_raw_fd();
        let interest = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = self.poll.registry().reregister(&mut SourceFd(&descriptor), Token(slot), interest) {
            tracing::warn!("Cannot wait for a client to read its replies: {error}");
            self.lose(engine, slot, None);
        }
    }

    /// The connection ended by itself.
    fn lose(&mut self, engine: &mut Engine, slot: Slot, errno: Option<Errno>) {
        if let Some(connection) = self.connections.get(slot) {
            let client = connection.client;
            match errno {
                Some(errno) => {
                    tracing::debug!("Client {} lost: {}", client.0, crate::files::failure(&errno.into()).text);
                }
                None => tracing::debug!("Client closed connection"),
            }
            self.close(engine, slot);
        }
    }

    /// Closes a connection and tells the engine.
    pub(crate) fn close(&mut self, engine: &mut Engine, slot: Slot) {
        let Some(connection) = self.connections.remove(slot) else {
            return;
        };
        // A forked child holds copies of the descriptors: without these two calls the kernel would keep reporting
        // events of a connection that is gone, and the peer would not learn of its end until the child's.
        let _ = self.poll.registry().deregister(&mut SourceFd(&connection.socket.as_raw_fd()));
        if self.child.is_some() {
            let _ = shutdown(&connection.socket, Shutdown::Both);
        }
        drop(connection.socket);
        self.tell(engine, Event::Closed { client: connection.client });
    }

    /// Has the loop woken by the pipes of a rewrite.
    pub(crate) fn watch_rewrite(&self, ends: &ParentEnds<PipeEnd>) -> io::Result<()> {
        let watched = [(&ends.data, Interest::WRITABLE), (&ends.requests, Interest::READABLE)];
        for (end, interest) in watched {
            if let Some(descriptor) = end.descriptor() {
                self.poll.registry().register(&mut SourceFd(&descriptor), REWRITE, interest)?;
            }
        }
        Ok(())
    }

    /// Closes the pipes of a rewrite.
    pub(crate) fn unwatch_rewrite(&mut self) {
        if let Some(mut ends) = self.rewrite_ends.take() {
            for descriptor in [&ends.data, &ends.requests].into_iter().filter_map(PipeEnd::descriptor) {
                // Closing it ends its registration as well, once no child holds a copy.
                let _ = self.poll.registry().deregister(&mut SourceFd(&descriptor));
            }
            ends.close();
        }
    }

    fn rewrite_step(&mut self, engine: &mut Engine, event: PipeEvent) {
        if let Some(ends) = &mut self.rewrite_ends {
            engine.rewrite_step(ends, event);
        }
    }

    /// Descriptors a child must not keep open.
    pub(crate) fn listening_descriptors(&self) -> Vec<std::os::fd::BorrowedFd<'_>> {
        self.listeners.iter().map(|listener| listener.socket.as_fd()).collect()
    }
}

/// The kernel's clocks and the process's facts are [`SystemWorld`]'s; a script that runs for long is a matter of sockets.
impl World for EventLoop {
    #[inline]
    fn now_us(&mut self) -> u64 {
        self.world.now_us()
    }

    #[inline]
    fn unix_us(&mut self) -> i64 {
        self.world.unix_us()
    }

    fn used_memory(&self, account: &dyn Fn() -> usize) -> usize {
        self.world.used_memory(account)
    }

    fn sleep_us(&mut self, us: u64) {
        self.world.sleep_us(us);
    }

    fn serve_others(&mut self, engine: &mut Engine) -> Busy {
        let mut events = Events::with_capacity(EVENTS);
        // The script may be run by what an effect's answer set going: the effects behind that one wait until it is over.
        let pending = std::mem::take(&mut self.pending);
        let executing = std::mem::take(&mut self.executing);
        // What is wrong with the poll shows in the next turn of the loop as well, which ends the process for it.
        if self.wait_for(&mut events, Duration::ZERO).is_ok() {
            if std::mem::take(&mut self.taken) {
                (0..self.connections.slots()).for_each(|slot| self.read(engine, slot, false));
                self.accept_all(engine);
            }
            self.serve(engine, &events);
            self.tell(engine, Event::BatchEnd);
        }
        self.executing = executing;
        self.pending = pending;
        if self.exit.is_some() { Busy::Stop } else { Busy::Continue }
    }

    fn process_fact(&self, field: &str) -> Option<String> {
        self.world.process_fact(field)
    }

    fn release_memory(&mut self) {
        self.world.release_memory();
    }

    fn connect_peer(&mut self, host: &[u8], port: u16, timeout_ms: u64) -> Result<PeerId, PeerFailure> {
        self.world.connect_peer(host, port, timeout_ms)
    }

    fn send_to_peer(&mut self, peer: PeerId, bytes: &[u8], timeout_ms: u64) -> Result<(), PeerFailure> {
        self.world.send_to_peer(peer, bytes, timeout_ms)
    }

    fn receive_from_peer(&mut self, peer: PeerId, room: &mut [u8], timeout_ms: u64) -> Result<usize, PeerFailure> {
        self.world.receive_from_peer(peer, room, timeout_ms)
    }

    fn close_peer(&mut self, peer: PeerId) {
        self.world.close_peer(peer);
    }

    fn change_directory(&mut self, path: &[u8]) -> Result<Vec<u8>, String> {
        self.world.change_directory(path)
    }
}

/// Probes of an idle connection: the first after `seconds`, then three more within as long again.
fn keep_alive(socket: &OwnedFd, seconds: u64) -> rustix::io::Result<()> {
    sockopt::set_socket_keepalive(socket, true)?;
    sockopt::set_tcp_keepidle(socket, Duration::from_secs(seconds))?;
    sockopt::set_tcp_keepintvl(socket, Duration::from_secs((seconds / 3).max(1)))?;
    sockopt::set_tcp_keepcnt(socket, 3)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::listen;

    //= SPEC.md#listening-and-limits
    //# [LISTEN-7] (inside) A TCP connection MUST have TCP_NODELAY set, and keep-alive probes every `tcp-keepalive` seconds when that is above 0.
    #[test]
    fn accepted_connections_send_at_once_and_are_probed() {
        for (directive, expected) in [(90, Some(90)), (0, None)] {
            let config = tally_engine::Config { tcp_keepalive: directive, ..Default::default() };
            let listeners = listen::tcp(&["127.0.0.1".to_owned()], 0, 8).unwrap();
            let address = rustix::net::getsockname(&listeners[0].socket).unwrap();
            let _client = std::net::TcpStream::connect(SocketAddr::try_from(address).unwrap()).unwrap();
            let mut server = EventLoop::new(SystemWorld::new(), listeners).unwrap();
            server.accept_all(&mut Engine::new(config, 1));
            let socket = &server.connections.get(0).unwrap().socket;
            assert!(sockopt::tcp_nodelay(socket).unwrap());
            assert_eq!(sockopt::socket_keepalive(socket).unwrap(), expected.is_some());
            if let Some(seconds) = expected {
                assert_eq!(sockopt::tcp_keepidle(socket).unwrap(), Duration::from_secs(seconds));
                assert_eq!(sockopt::tcp_keepintvl(socket).unwrap(), Duration::from_secs(seconds / 3));
            }
        }
    }
}
