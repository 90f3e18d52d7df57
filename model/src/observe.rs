//! What the model learns from an accepted answer: numbers and settings that only the server knows.

use std::collections::BTreeSet;

use crate::clause::Clause;
use crate::client::{ClientId, Killed, Touched};
use crate::keyspace::Slot;
use crate::model::Model;
use crate::plan::Change;
use crate::reply::{Bytes, Reply};
use crate::span::{Outcome, Span};

/// How far a server's clock of seconds may be behind the one that the checker reads: Linux moves the former with the
/// timer's ticks, which are 10 ms apart at most.
const COARSE_CLOCK_MS: i64 = 10;

/// Something to be learned from the answer to a command that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observation {
    /// The answer is the sender's id. [CLIENT-2]
    OwnId,
    /// The answer is pairs of directives and their values. [CONFIG-2]
    Configuration,
    /// If the answer is `+OK`, this directive has this value from now on. [CONFIG-7]
    Configured {
        /// The directive's first name.
        name: &'static str,
        /// Its value as CONFIG GET writes it; `None` if that cannot be told from what was sent.
        value: Option<Bytes>,
    },
    /// The answer is the time of the last save. [LASTSAVE-1]
    LastSave,
    /// If the answer is `+OK`, the data set was saved. [SAVE-5]
    Saved,
    /// The answer is a text of INFO, with counters that do not fall. [INFO-12]
    Info,
    /// These connections were closed by another one's CLIENT KILL, or may have been. [CLIENT-12]
    Closed(Vec<(ClientId, Killed)>),
    /// The answer is entries of the slow log with their ids. [SLOWLOG-3]
    Slowlog,
    /// If the answer is `+OK`, the data set was emptied and loaded from the append-only file. [DEBUG-12]
    Loaded,
    /// The answer tells whether a rewrite of the append-only file began. [EVALSHA-3]
    Rewriting,
    /// Unless the answer is an error of the compiler, this script is kept. [EVAL-7]
    Script(Bytes),
    /// If the answer is `+OK`, these keys are gone to another server; if it is an error, some of several may be, because
    /// it tells neither which. [MIGRATE-12]
    HandedOver {
        /// Where they were.
        db: usize,
        /// Those that were there, in order.
        keys: Vec<Bytes>,
    },
    /// If the answer is 1, this one of the blocked clients, whose id is not known, was unblocked. [CLIENT-23]
    Unblocked {
        /// Who it can only be.
        client: ClientId,
        /// By an error.
        with_error: bool,
    },
}

impl Model {
    pub(crate) fn observe(&mut self, client: ClientId, observation: Observation, outcome: &Outcome<'_>, span: Span) {
        let reply = outcome.replies.first();
        let succeeded = matches!(reply, Some(Reply::Status(text)) if text == b"OK");
        match observation {
            Observation::OwnId => {
                if let (Some(client), Some(Reply::Integer(id))) = (self.clients.get_mut(&client), reply) {
                    client.id = Some(*id);
                }
            }
            Observation::Configuration => {
                let Some(Reply::Array(pairs)) = reply else { return };
                for pair in pairs.chunks_exact(2) {
                    if let [Reply::Bulk(name), Reply::Bulk(value)] = pair {
                        self.server.config.learn(name, value);
                    }
                }
            }
            Observation::Configured { name, value } => {
                // Without a reply the setting was made unless it could not be.
                if succeeded || outcome.replies.is_empty() {
                    self.server.config.set(name, value);
                    if name == "maxmemory" {
                        self.witness(Clause::EVICTION_3);
                        self.doubt_evictable(Some(client));
                    }
                }
            }
            Observation::LastSave => {
                if let Some(Reply::Integer(seconds)) = reply {
                    self.server.last_save_s = Some(*seconds);
                }
            }
            Observation::Saved => {
                if succeeded || outcome.replies.is_empty() {
                    self.server.last_save_s = Some((span.earliest_ms - COARSE_CLOCK_MS).div_euclid(1000));
                }
            }
            Observation::Info => {
                if let Some(Reply::Bulk(text)) = reply {
                    self.server.counters.learn(text);
                }
            }
            Observation::Script(text) => self.learn_script(text, reply),
            Observation::Rewriting => self.server.propagated_scripts.learn_of_rewrite(reply),
            Observation::Slowlog => self.server.slowlog.learn(reply),
            Observation::Loaded => {
                if succeeded {
                    self.foresee(&Change::Reload, span);
                }
            }
            Observation::HandedOver { db, keys } => {
                let gone = succeeded || outcome.replies.is_empty();
                if !gone && keys.len() == 1 {
                    return;
                }
                // A key may be named twice. [MIGRATE-21]
                for key in keys.into_iter().collect::<BTreeSet<_>>() {
                    let perhaps = match self.keyspace.slot(db, &key) {
                        Some(Slot::Known(entry)) if !gone => Some(Slot::Open(vec![Some(entry.clone()), None])),
                        _ => None,
                    };
                    self.keyspace.set_slot(db, &key, perhaps);
                    self.touch(db, &key, if gone { Touched::Surely } else { Touched::Perhaps });
                }
            }
            Observation::Unblocked { client, with_error } => {
                if reply == Some(&Reply::Integer(1)) {
                    self.unblock_by_command(client, with_error);
                }
            }
            Observation::Closed(clients) => {
                // An answer that counts nobody settles it for those whose id or address the model does not know.
                let nobody = matches!(reply, Some(Reply::Error(_) | Reply::Integer(0)));
                for (id, killed) in clients {
                    if nobody && killed == Killed::Perhaps {
                        continue;
                    }
                    if killed == Killed::Surely {
                        self.close(id);
                    }
                    if let Some(client) = self.clients.get_mut(&id) {
                        client.killed = killed;
                    }
                }
            }
        }
    }

    /// Whether the outcome shows that another connection's CLIENT KILL closed this one, which the model took for possible.
    pub(crate) fn was_killed_meanwhile(&self, client: ClientId, outcome: &Outcome<'_>) -> bool {
        let killed = self.clients.get(&client).map_or(Killed::No, |client| client.killed);
        killed != Killed::No && outcome.closed && outcome.replies.is_empty()
    }

    /// The server is known to have been started without any directive: CONFIG GET has to answer the defaults, as far as the
    /// host does not decide them.
    pub fn assure_defaults(&mut self) {
        self.server.config.assure_defaults();
    }

    /// Whether another connection's CLIENT KILL closed this one, so that its next answer must be that it is closed.
    pub fn is_killed(&self, client: ClientId) -> bool {
        self.clients.get(&client).is_some_and(|client| client.killed == Killed::Surely)
    }
}
