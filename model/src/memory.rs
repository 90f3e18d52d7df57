//! Commands that are refused because memory is short.

use crate::client::{ClientChange, ClientId, Replies};
use crate::commands;
use crate::erratum::Erratum;
use crate::model::Model;
use crate::reply::Reply;
use crate::span::Outcome;

/// No server serves with so little, in bytes.
const TOO_LITTLE: i64 = 64 * 1024;

/// The answer of a command that is refused. [OOM-1]
const REFUSED: &[u8] = b"OOM command not allowed when used memory > 'maxmemory'.";

impl Model {
    /// Whether the outcome is that memory was short, and may be. How much is in use is not for the model to know. [OOM-1] [OOM-2]
    pub(crate) fn was_refused_for_memory(&self, client: ClientId, command: &[&[u8]], outcome: &Outcome<'_>) -> bool {
        let limit = self.server.config.effects().memory_limit;
        if limit == 0 || outcome.closed {
            return false;
        }
        let Some(spec) = command.first().and_then(|name| commands::find(name)) else { return false };
        // A real server lets only EXEC end a transaction then (E-91). [MULTI-4]
        let ends = spec.name == "exec" || spec.name == "discard" && !self.has(Erratum::E_91);
        let needs_memory = spec.flags.split(' ').any(|flag| flag == "denyoom") || self.in_transaction(client) && !ends;
        if !needs_memory || !spec.takes(command.len()) {
            return false;
        }
        let silenced = self.clients.get(&client).is_some_and(|client| client.replies != Replies::On);
        match outcome.replies {
            [Reply::Error(line)] => line == REFUSED,
            [] => silenced && limit <= TOO_LITTLE,
            _ => false,
        }
    }

    /// A command was refused before it was looked at, so that all it did was to be its client's last, to use up CLIENT REPLY
    /// SKIP and to spoil a transaction. [MULTI-3] [CLIENT-7]
    pub(crate) fn note_refusal(&mut self, client: ClientId, command: &[&[u8]]) {
        let Some(client) = self.clients.get_mut(&client) else { return };
        client.last_command = command.first().and_then(|name| commands::find(name)).map(|spec| spec.name);
        if client.replies == Replies::SkipNext {
            client.replies = Replies::On;
        }
        client.apply(ClientChange::Spoil);
    }
}
