//! Publish and subscribe: who listens to which channel or pattern, and the way of a message to them.
//!
//! A client gets a message once for the channel, then once for each of its patterns that match, in the order in which it
//! subscribed to them. A pattern is matched once per message, however many clients subscribed to it.
//!
//! Invariants: every subscription stands in its client's [`Subscriptions`] and in the table here; a channel or pattern
//! stands here only while somebody listens, and a client has [`Subscriptions`] only while it has one.

use std::collections::{BTreeMap, BTreeSet};

use crate::client::{Client, ClientTable, ReplyMode};
use crate::config::Config;
use crate::event::ClientId;
use crate::glob::{self, Case};
use crate::resp::Output;
use crate::state::Server;

/// What one client listens to.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    pub(crate) channels: BTreeSet<Vec<u8>>,
    /// By the number of the subscription, which rises.
    pub(crate) patterns: BTreeMap<u64, Vec<u8>>,
}

impl Subscriptions {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.channels.len() + self.patterns.len()
    }
}

/// Who listens to what.
#[derive(Debug, Default)]
pub(crate) struct PubSub {
    channels: BTreeMap<Vec<u8>, BTreeSet<ClientId>>,
    /// Each client with the number of its subscription.
    patterns: BTreeMap<Vec<u8>, BTreeMap<ClientId, u64>>,
    /// Subscriptions to patterns.
    pattern_count: usize,
    next_number: u64,
    /// Room for the message that is being sent.
    message: Output,
}

impl PubSub {
    /// Whether nobody listens.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.channels.is_empty() && self.patterns.is_empty()
    }

    /// Channels that somebody listens to.
    pub(crate) fn channels(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.channels.keys().map(Vec::as_slice)
    }

    /// How many listen to a channel.
    pub(crate) fn listeners(&self, channel: &[u8]) -> usize {
        self.channels.get(channel).map_or(0, BTreeSet::len)
    }

    /// Subscriptions to patterns, those of several clients to the same one counted each.
    pub(crate) fn pattern_count(&self) -> usize {
        self.pattern_count
    }

    /// Patterns that somebody listens to.
    pub(crate) fn distinct_patterns(&self) -> usize {
        self.patterns.len()
    }

    /// Subscriptions to channels.
    pub(crate) fn channel_subscriptions(&self) -> usize {
        self.channels.values().map(BTreeSet::len).sum()
    }

    /// The client listens to a channel, if it did not before.
    pub(crate) fn subscribe(&mut self, client: &mut Client, channel: &[u8]) {
        let own = client.subscriptions.get_or_insert_default();
        if own.channels.contains(channel) {
            return;
        }
        own.channels.insert(channel.to_vec());
        match self.channels.get_mut(channel) {
            Some(listeners) => listeners.insert(client.id),
            None => self.channels.entry(channel.to_vec()).or_default().insert(client.id),
        };
    }

    /// The client listens to all channels that match a pattern, if it did not before.
    pub(crate) fn subscribe_pattern(&mut self, client: &mut Client, pattern: &[u8]) {
        if self.patterns.get(pattern).is_some_and(|listeners| listeners.contains_key(&client.id)) {
            return;
        }
        let number = self.next_number;
        self.next_number += 1;
        self.pattern_count += 1;
        self.patterns.entry(pattern.to_vec()).or_default().insert(client.id, number);
        client.subscriptions.get_or_insert_default().patterns.insert(number, pattern.to_vec());
    }

    /// The client does not listen to the channel any more.
    pub(crate) fn unsubscribe(&mut self, client: &mut Client, channel: &[u8]) {
        let Some(own) = &mut client.subscriptions else { return };
        if !own.channels.remove(channel) {
            return;
        }
        if own.len() == 0 {
            client.subscriptions = None;
        }
        if let Some(listeners) = self.channels.get_mut(channel) {
            listeners.remove(&client.id);
            if listeners.is_empty() {
                self.channels.remove(channel);
            }
        }
    }

    /// The client does not listen to the pattern any more.
    pub(crate) fn unsubscribe_pattern(&mut self, client: &mut Client, pattern: &[u8]) {
        let Some(listeners) = self.patterns.get_mut(pattern) else { return };
        let Some(number) = listeners.remove(&client.id) else { return };
        if listeners.is_empty() {
            self.patterns.remove(pattern);
        }
        self.pattern_count -= 1;
        let Some(own) = &mut client.subscriptions else { return };
        own.patterns.remove(&number);
        if own.len() == 0 {
            client.subscriptions = None;
        }
    }

    /// The client listens to nothing any more.
    pub(crate) fn forget(&mut self, client: &mut Client) {
        let Some(own) = client.subscriptions.take() else { return };
        for channel in &own.channels {
            if let Some(listeners) = self.channels.get_mut(channel) {
                listeners.remove(&client.id);
                if listeners.is_empty() {
                    self.channels.remove(channel);
                }
            }
        }
        for pattern in own.patterns.values() {
            if let Some(listeners) = self.patterns.get_mut(pattern) {
                self.pattern_count -= usize::from(listeners.remove(&client.id).is_some());
                if listeners.is_empty() {
                    self.patterns.remove(pattern);
                }
            }
        }
    }

    /// Checks the invariants, as far as the table alone shows them.
    ///
    /// # Panics
    /// When one does not hold.
    pub(crate) fn validate(&self, clients: &ClientTable) {
        assert!(self.channels.values().all(|listeners| !listeners.is_empty()));
        assert!(self.patterns.values().all(|listeners| !listeners.is_empty()));
        let subscribed = || clients.iter().filter_map(|client| client.subscriptions.as_deref());
        assert!(subscribed().all(|own| own.len() > 0), "a client without subscriptions keeps no list of them");
        let channels: usize = subscribed().map(|own| own.channels.len()).sum();
        assert_eq!(channels, self.channel_subscriptions());
        let patterns: usize = subscribed().map(|own| own.patterns.len()).sum();
        assert_eq!(patterns, self.pattern_count);
        assert_eq!(patterns, self.patterns.values().map(BTreeMap::len).sum::<usize>());
    }
}

/// The way of bytes to clients other than the one whose command runs, and to that one, which is in no table meanwhile.
pub(crate) struct Post<'a> {
    clients: &'a mut ClientTable,
    announce: &'a mut Vec<ClientId>,
    doomed: &'a mut Vec<ClientId>,
    config: &'a Config,
    current: Option<&'a mut Client>,
    now_ms: i64,
}

impl Post<'_> {
    /// Adds to what waits for a client.
    pub(crate) fn deliver(&mut self, to: ClientId, write: impl FnOnce(&mut Output)) {
        let is_current = self.current.as_ref().is_some_and(|current| current.id == to);
        let client = match &mut self.current {
            Some(current) if is_current => &mut **current,
            _ => match self.clients.get_mut(to) {
                Some(client) => client,
                None => return,
            },
        };
        let silent = !matches!(client.reply_mode, ReplyMode::On | ReplyMode::SkipNext);
        if client.closing || client.doomed || silent {
            return;
        }
        match client.transaction.as_mut().and_then(|transaction| transaction.running.as_mut()) {
            Some(running) if is_current => write(&mut running.messages),
            _ if is_current && client.in_script => write(&mut client.beside_script),
            _ => write(&mut client.output),
        }
        let limit = &self.config.client_output_buffer_limit[client.class() as usize];
        if crate::cron::over_limit(client, limit, self.now_ms) {
            client.doomed = true;
            self.doomed.push(to);
        }
        if !client.announced {
            client.announced = true;
            self.announce.push(to);
        }
    }
}

impl Server {
    /// What brings bytes to clients; `current` is the one whose command runs, if one does.
    pub(crate) fn post<'a>(&'a mut self, current: Option<&'a mut Client>) -> Post<'a> {
        Post {
            clients: &mut self.clients,
            announce: &mut self.announce,
            doomed: &mut self.doomed,
            config: &self.config,
            current,
            now_ms: self.clock.unix_ms(),
        }
    }

    /// Sends a message to who listens to the channel; answers to how many subscriptions.
    pub(crate) fn publish(&mut self, current: Option<&mut Client>, channel: &[u8], message: &[u8]) -> usize {
        if self.pubsub.is_empty() {
            return 0;
        }
        let now_ms = self.clock.unix_ms();
        let PubSub { channels, patterns, message: scratch, .. } = &mut self.pubsub;
        let mut post = Post {
            clients: &mut self.clients,
            announce: &mut self.announce,
            doomed: &mut self.doomed,
            config: &self.config,
            current,
            now_ms,
        };
        let mut receivers = 0;
        if let Some(listeners) = channels.get(channel) {
            let mut reply = scratch.reply();
            reply.array(3);
            reply.bulk(b"message");
            reply.bulk(channel);
            reply.bulk(message);
            for listener in listeners {
                post.deliver(*listener, |output| scratch.slices().for_each(|slice| output.push(slice)));
            }
            receivers += listeners.len();
            scratch.clear();
        }
        let mut matching = patterns.iter().filter(|(pattern, _)| glob::matches(pattern, channel, Case::Sensitive));
        let Some(first) = matching.next() else { return receivers };
        let mut hits: Vec<(u64, ClientId, &[u8])> = Vec::new();
        let mut lists = 0;
        for (pattern, listeners) in std::iter::once(first).chain(matching) {
            hits.extend(listeners.iter().map(|(client, number)| (*number, *client, pattern.as_slice())));
            lists += 1;
        }
        if lists > 1 {
            hits.sort_unstable();
        }
        for (_, client, pattern) in &hits {
            post.deliver(*client, |output| {
                let mut reply = output.reply();
                reply.array(4);
                reply.bulk(b"pmessage");
                reply.bulk(pattern);
                reply.bulk(channel);
                reply.bulk(message);
            });
        }
        receivers + hits.len()
    }
}
