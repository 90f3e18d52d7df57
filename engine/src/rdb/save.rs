//! The dataset as an RDB file.

use std::io::{self, Write};

use super::{Attributes, Writer};
use crate::engine::Engine;
use crate::lru;
use crate::object::ObjectRef;
use crate::state::Server;
use crate::values::CollectionRef;

/// The version of Redis whose format and behaviour this is; written into every file, so that tools know it.
const REDIS_VERSION: &[u8] = b"5.0.14";

impl Engine {
    /// Writes the dataset as an RDB file of version 9 and returns its size in bytes. [RDB-11]
    ///
    /// Changes nothing, so that a forked child can do it. The settings `rdbcompression` and `rdbchecksum` count, and
    /// under an LRU or LFU policy each key's idle time or frequency is written too.
    pub fn snapshot(&self, sink: &mut dyn Write) -> io::Result<u64> {
        self.server.write_snapshot(sink, false)
    }
}

impl Engine {
    /// Shows every key: database, key, value, deadline in Unix milliseconds. In no particular order within a database.
    pub fn for_each_key(&self, mut visit: impl FnMut(usize, &[u8], Held<'_>, Option<i64>)) {
        for (index, db) in self.server.keyspace.iter().enumerate() {
            for entry in db.keys.iter() {
                let object = ObjectRef::new(entry);
                let mut digits = Default::default();
                let held = match (object.collection(), object.string()) {
                    (Some(collection), _) => Held::Collection(collection),
                    (None, Ok(string)) => Held::String(string.bytes(&mut digits)),
                    (None, Err(_)) => continue,
                };
                visit(index, object.key(), held, object.expiry());
            }
        }
    }
}

/// What a key holds.
#[derive(Clone, Copy, Debug)]
pub enum Held<'a> {
    /// A string.
    String(&'a [u8]),
    /// Anything else.
    Collection(CollectionRef<'a>),
}

impl Server {
    /// Writes the dataset; `preamble`: at the beginning of an append-only file.
    pub(crate) fn write_snapshot(&self, sink: &mut dyn Write, preamble: bool) -> io::Result<u64> {
        let config = &self.config;
        let mut writer = Writer::new(sink, config.rdbcompression, config.rdbchecksum)?;
        writer.aux(b"redis-ver", REDIS_VERSION)?;
        writer.aux(b"redis-bits", b"64")?;
        writer.aux(b"ctime", self.clock.unix_s().to_string().as_bytes())?;
        writer.aux(b"used-mem", self.keyspace.bytes().to_string().as_bytes())?;
        writer.aux(b"aof-preamble", if preamble { b"1" } else { b"0" })?;
        let now_ms = self.clock.unix_ms();
        for (index, db) in self.keyspace.iter().enumerate().filter(|(_, db)| !db.keys.is_empty()) {
            writer.database(index as u64, db.keys.len() as u64, db.keys.expiring() as u64)?;
            for entry in db.keys.iter() {
                let object = ObjectRef::new(entry);
                let attributes = self.attributes(object, now_ms);
                writer.key(object, attributes)?;
            }
        }
        writer.finish().map(|(_, bytes)| bytes)
    }

    fn attributes(&self, object: ObjectRef<'_>, now_ms: i64) -> Attributes {
        let policy = self.config.maxmemory_policy;
        Attributes {
            expires_at_ms: object.expiry(),
            idle_seconds: policy.is_lru().then(|| lru::idle_ms(lru::clock(now_ms), object.lru()) / 1000),
            frequency: policy
                .is_lfu()
                .then(|| lru::decayed(object.lru(), lru::minutes(now_ms), self.config.lfu_decay_time)),
        }
    }
}
