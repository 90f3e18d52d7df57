//! What the engine holds on behalf of connections: all of it is released when they end.

use crate::engine::Engine;

/// Counts of what connections make the engine hold. After the last one is gone, and the batch ended, all are zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Connections.
    pub clients: usize,
    /// Connections that wait for a key, or for replicas.
    pub blocked_clients: usize,
    /// Keys that somebody waits for.
    pub blocking_keys: usize,
    /// Keys that appeared, and for which nobody was served yet.
    pub ready_keys: usize,
    /// Keys that are watched, counted once for each connection that does.
    pub watched_keys: usize,
    /// Subscriptions to channels.
    pub subscriptions: usize,
    /// Subscriptions to patterns.
    pub patterns: usize,
    /// Connections that are shown every command.
    pub monitors: usize,
    /// Commands that wait for EXEC.
    pub queued_commands: usize,
    /// Connections whose input waits for the end of a pause.
    pub paused: usize,
    /// Scripts that have run for so long that others are served meanwhile.
    pub slow_scripts: usize,
    /// Bytes of output that have not been sent.
    pub output_bytes: usize,
    /// Bytes of input that belong to no finished request.
    pub input_bytes: usize,
}

impl Engine {
    /// What is held on behalf of connections, for the property that all of it is released.
    #[must_use]
    pub fn held(&self) -> Held {
        let server = &self.server;
        let queued = |client: &crate::client::Client| client.transaction.as_ref().map_or(0, |one| one.queue.len());
        Held {
            clients: server.clients.all(),
            blocked_clients: server.blocking.clients(),
            blocking_keys: server.blocking.keys(),
            ready_keys: server.blocking.ready(),
            watched_keys: server.watches.len(),
            subscriptions: server.pubsub.channel_subscriptions(),
            patterns: server.pubsub.pattern_count(),
            monitors: server.monitors.len(),
            queued_commands: server.clients.iter().map(queued).sum(),
            paused: server.paused.len(),
            slow_scripts: usize::from(server.scripting.slow.is_some()),
            output_bytes: server.clients.iter().map(|client| client.output.len()).sum(),
            input_bytes: server.clients.iter().map(|client| client.input().unread()).sum(),
        }
    }
}
