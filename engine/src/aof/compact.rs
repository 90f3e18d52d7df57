//! The fewest commands that make the present dataset: what a rewritten append-only file begins with.
//!
//! With `aof-use-rdb-preamble` it is an RDB file instead, which loads faster.

use std::io::{self, Write};

use super::append::encode_command;
use crate::engine::Engine;
use crate::object::ObjectRef;
use crate::state::Server;

/// Commands are passed on in pieces of about this many bytes.
const BUFFER: usize = 64 * 1024;

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
        let mut buffer = Vec::new();
        let mut written = 0;
        for (index, db) in self.keyspace.iter().enumerate().filter(|(_, db)| !db.keys.is_empty()) {
            encode_command([&b"SELECT"[..], index.to_string().as_bytes()].into_iter(), &mut buffer);
            for entry in db.keys.iter() {
                compact_key(ObjectRef::new(entry), &mut buffer);
                if buffer.len() >= BUFFER {
                    sink.write_all(&buffer)?;
                    written += buffer.len() as u64;
                    buffer.clear();
                }
            }
        }
        sink.write_all(&buffer)?;
        sink.flush()?;
        Ok(written + buffer.len() as u64)
    }
}

fn compact_key(object: ObjectRef<'_>, target: &mut Vec<u8>) {
    // Other types will be other arms.
    let Ok(string) = object.string() else { return };
    let mut digits = Default::default();
    encode_command([&b"SET"[..], object.key(), string.bytes(&mut digits)].into_iter(), target);
    if let Some(at_ms) = object.expiry() {
        encode_command([&b"PEXPIREAT"[..], object.key(), at_ms.to_string().as_bytes()].into_iter(), target);
    }
}
