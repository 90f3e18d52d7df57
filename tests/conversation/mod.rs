//! A client of an engine of its own, in a world whose clock only the test moves.
#![allow(dead_code, clippy::unwrap_used)] // Each test uses its part.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tally_check::reply_reader::ReplyReader;
use tally_check::request::Request;
use tally_engine::config::Config;
use tally_engine::world::Still;
use tally_engine::{ClientId, Effect, Engine, Event, Peer};
use tally_model::Reply;

/// Unix milliseconds at which every conversation begins.
pub(crate) const BEGIN_MS: i64 = 1_700_000_000_000;

pub(crate) struct Conversation {
    pub(crate) engine: Engine,
    pub(crate) world: Still,
    client: ClientId,
    /// Other clients, by the number that a test calls them.
    others: BTreeMap<u64, ClientId>,
    /// Effects besides output.
    pub(crate) effects: Vec<Effect>,
}

impl Conversation {
    pub(crate) fn new() -> Self {
        Self::with(Config::default())
    }

    pub(crate) fn with(config: Config) -> Self {
        let mut engine = Engine::new(config, 1);
        let mut world = Still { unix_us: BEGIN_MS * 1000, now_us: 5_000_000, used_memory: 1 << 20 };
        engine.start(&mut world);
        let peer = Peer { address: "127.0.0.1:1".into(), descriptor: 5, local: true, unix_socket: false };
        let client = engine.connect(&mut world, peer);
        Self { engine, world, client, others: BTreeMap::new(), effects: Vec::new() }
    }

    /// Sends a request and returns the bytes of its reply, in the protocol's form.
    pub(crate) fn exchange(&mut self, words: &[&[u8]]) -> Vec<u8> {
        self.exchange_as(0, words)
    }

    /// The client of this number, which is connected when it is named first.
    pub(crate) fn client(&mut self, number: u64) -> ClientId {
        if number == 0 {
            return self.client;
        }
        if let Some(known) = self.others.get(&number) {
            return *known;
        }
        let address = format!("127.0.0.1:{}", 1 + number);
        let peer = Peer { address, descriptor: 5 + number as i32, local: true, unix_socket: false };
        let client = self.engine.connect(&mut self.world, peer);
        self.others.insert(number, client);
        client
    }

    /// As [`Conversation::exchange`], for another client.
    pub(crate) fn exchange_as(&mut self, number: u64, words: &[&[u8]]) -> Vec<u8> {
        let client = self.client(number);
        let mut request = Request::new();
        words.iter().for_each(|word| request.push(word));
        let mut bytes = Vec::new();
        request.encode(&mut bytes);
        self.engine.feed(&mut self.world, client, &bytes);
        self.end_batch();
        self.take_output(number)
    }

    /// Ends the batch and executes what that asks for.
    pub(crate) fn end_batch(&mut self) {
        self.engine.handle(&mut self.world, Event::BatchEnd);
        self.effects.extend(self.engine.effects().drain(..).filter(|effect| !matches!(effect, Effect::Output { .. })));
    }

    /// The bytes that wait for a client.
    pub(crate) fn take_output(&mut self, number: u64) -> Vec<u8> {
        let client = self.client(number);
        let output = self.engine.output(client).collect::<Vec<_>>().concat();
        self.engine.written(client, output.len());
        output
    }

    /// Sends a request of a client, the words split at blanks, and shows what it gets.
    pub(crate) fn tell(&mut self, number: u64, line: &str) -> String {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let output = self.exchange_as(number, &words);
        shown(&output)
    }

    /// Shows what a client got unasked.
    pub(crate) fn heard(&mut self, number: u64) -> String {
        let output = self.take_output(number);
        shown(&output)
    }

    /// Sends a request and reads its one reply.
    pub(crate) fn say(&mut self, words: &[&str]) -> Reply {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        let mut reader = ReplyReader::default();
        reader.push(&self.exchange(&words));
        reader.next_reply().unwrap().expect("one reply")
    }

    /// The text of a bulk or status reply.
    pub(crate) fn text(&mut self, words: &[&str]) -> String {
        match self.say(words) {
            Reply::Bulk(text) | Reply::Status(text) => String::from_utf8(text).unwrap(),
            other => panic!("{words:?}: {other:?}"),
        }
    }

    /// Lets time pass.
    pub(crate) fn pass_ms(&mut self, ms: u64) {
        self.world.now_us += ms * 1000;
        self.world.unix_us += i64::try_from(ms).unwrap() * 1000;
    }

    /// Lets time pass, and the cron run at the end of it.
    pub(crate) fn wait_ms(&mut self, ms: u64) {
        self.pass_ms(ms);
        self.engine.handle(&mut self.world, Event::Tick);
        self.end_batch();
    }
}

/// Bytes of the protocol as one line.
fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace("\r\n", "|")
}

/// A reply as the recordings write it.
pub(crate) fn typed(value: &Value) -> Reply {
    let (kind, content) = value.as_object().unwrap().iter().next().unwrap();
    let text = || content.as_str().unwrap().as_bytes().to_vec();
    match kind.as_str() {
        "s" => Reply::Status(text()),
        "e" => Reply::Error(text()),
        "i" => Reply::Integer(content.as_i64().unwrap()),
        "b" => Reply::Bulk(text()),
        "b64" => Reply::Bulk(STANDARD.decode(text()).unwrap()),
        "nil" if content == "bulk" => Reply::NilBulk,
        "nil" => Reply::NilArray,
        "a" => Reply::Array(content.as_array().unwrap().iter().map(typed).collect()),
        other => panic!("{other}"),
    }
}
