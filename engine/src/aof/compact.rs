//! The fewest commands that make the present dataset: what a rewritten append-only file begins with.
//!
//! With `aof-use-rdb-preamble` it is an RDB file instead, which loads faster.

use std::io::{self, Write};

use super::append::{begin_command, encode_command, push_argument};
use super::compact_stream::compact_stream;
use crate::engine::Engine;
use crate::number::format_f64;
use crate::object::{ObjectRef, Type};
use crate::state::Server;
use crate::values::{CollectionRef, Element};

/// Commands are passed on in pieces of about this many bytes.
const BUFFER: usize = 64 * 1024;
/// Most elements that one command makes, so that nobody who loads the file waits for long.
const BATCH: usize = 64;

impl Engine {
    /// Writes the dataset as a new append-only file and returns its size in bytes. Changes nothing, so that a forked
    /// child can do it.
    pub fn compact_aof(&self, sink: &mut dyn Write) -> io::Result<u64> {
        self.server.write_compact_aof(sink)
    }
}

impl Server {
    pub(crate) fn write_compact_aof(&self, sink: &mut dyn Write) -> io::Result<u64> {
        if self.config.aof_use_rdb_preamble {
            return self.write_snapshot(sink, true);
        }
        let mut sink = Sink { sink, buffer: Vec::new(), written: 0 };
        for (index, db) in self.keyspace.iter().enumerate().filter(|(_, db)| !db.keys.is_empty()) {
            sink.command(&[b"SELECT", index.to_string().as_bytes()])?;
            for entry in db.keys.iter() {
                compact_key(ObjectRef::new(entry), &mut sink)?;
            }
        }
        sink.finish()
    }
}

/// Where commands go, gathered into pieces.
pub(super) struct Sink<'a> {
    sink: &'a mut dyn Write,
    pub(super) buffer: Vec<u8>,
    written: u64,
}

impl Sink<'_> {
    pub(super) fn command(&mut self, arguments: &[&[u8]]) -> io::Result<()> {
        encode_command(arguments.iter().copied(), &mut self.buffer);
        self.pass_on_if_full()
    }

    pub(super) fn pass_on_if_full(&mut self) -> io::Result<()> {
        if self.buffer.len() < BUFFER { Ok(()) } else { self.pass_on() }
    }

    fn pass_on(&mut self) -> io::Result<()> {
        self.sink.write_all(&self.buffer)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Passes on the rest; answers the bytes of all.
    fn finish(mut self) -> io::Result<u64> {
        self.pass_on()?;
        self.sink.flush()?;
        Ok(self.written)
    }
}

fn compact_key(object: ObjectRef<'_>, sink: &mut Sink<'_>) -> io::Result<()> {
    let key = object.key();
    if let Some(CollectionRef::Stream(stream)) = object.collection() {
        compact_stream(object, stream, sink)?;
    } else if let Some(collection) = object.collection() {
        compact_collection(key, collection, sink)?;
    } else if let Ok(string) = object.string() {
        sink.command(&[b"SET", key, string.bytes(&mut Default::default())])?;
    }
    match object.expiry() {
        Some(at_ms) => sink.command(&[b"PEXPIREAT", key, at_ms.to_string().as_bytes()]),
        None => Ok(()),
    }
}

/// Elements in commands of at most [`BATCH`].
fn compact_collection(key: &[u8], collection: CollectionRef<'_>, sink: &mut Sink<'_>) -> io::Result<()> {
    let (name, words): (&[u8], usize) = match collection.kind() {
        Type::List => (b"RPUSH", 1),
        Type::Set => (b"SADD", 1),
        Type::Zset => (b"ZADD", 2),
        Type::Hash => (b"HMSET", 2),
        Type::String | Type::Stream => unreachable!("these have commands of their own"),
    };
    let mut left = collection.len();
    let mut in_batch = 0;
    let mut outcome = Ok(());
    collection.for_each(|element| {
        if outcome.is_err() {
            return;
        }
        if in_batch == 0 {
            in_batch = left.min(BATCH);
            left -= in_batch;
            begin_command(2 + in_batch * words, &mut sink.buffer);
            push_argument(name, &mut sink.buffer);
            push_argument(key, &mut sink.buffer);
        }
        match element {
            Element::Item(item) => push_argument(item, &mut sink.buffer),
            Element::Field(field, value) => {
                push_argument(field, &mut sink.buffer);
                push_argument(value, &mut sink.buffer);
            }
            Element::Scored(member, score) => {
                push_argument(format_f64(score).as_bytes(), &mut sink.buffer);
                push_argument(member, &mut sink.buffer);
            }
            Element::Entry(_) => unreachable!("streams have commands of their own"),
        }
        in_batch -= 1;
        outcome = sink.pass_on_if_full();
    });
    outcome
}
