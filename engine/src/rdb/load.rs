//! An RDB file into the dataset.
//!
//! Keys go into new databases, which take the place of the old ones only when the whole file was good. So a damaged
//! file changes nothing.

use std::borrow::Cow;
use std::io::{Chain, Cursor, Read};

use super::value_in::Holding;
use super::{Checksum, Entry, NEWEST_READABLE, RdbError, RdbErrorKind, Reader, Record, Text, Value};
use crate::effect::LogLevel;
use crate::engine::Engine;
use crate::keyspace::Keyspace;
use crate::lru;
use crate::object::NewString;
use crate::state::Server;
use crate::structures::dict::{Arrivals, Arrived};
use crate::structures::key_entry::{KeyEntry, Payload, new_entry};
use crate::structures::key_table::{Detached, is_over};
use crate::world::World;

/// A step ends with the record that reaches so many bytes: meanwhile nobody is served.
const STEP: u64 = 2 * 1024 * 1024;
/// Bytes that a key takes in a file at least: its type, its length and a value.
const LEAST_ENTRY: u64 = 3;
/// Longest idle time that an object's bits can say, seconds: half the clock's range. [RESTORE-13]
const MAX_IDLE_SECONDS: u64 = (lru::LRU_MAX / 2) as u64;

/// What a file brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadReport {
    /// The file's version.
    pub version: u32,
    /// Bytes read.
    pub bytes: u64,
    /// Keys that are now in the dataset.
    pub keys: u64,
    /// Keys left out because their deadline had passed. [RDB-30]
    pub expired: u64,
    /// Keys left out because their value held nothing.
    pub empty: u64,
    /// Libraries of functions left out, which Redis 5 does not have. [RDB-38]
    pub functions: u64,
    /// What the file said about its checksum.
    pub checksum: Checksum,
}

/// What a reader holds behind the dump: bytes read ahead, then the rest.
type Rest<R> = Chain<Cursor<Vec<u8>>, R>;

impl Engine {
    /// Replaces the dataset by what an RDB file of version 1 to 11 holds. On an error the dataset is as it was.
    pub fn load_rdb(&mut self, world: &mut dyn World, source: &mut dyn Read) -> Result<LoadReport, RdbError> {
        self.read_clock(world);
        let mut load = SnapshotLoad::begin(&self.server, source, LoadedAs::Dump)?;
        while load.step(&mut self.server)? {}
        let (report, _) = load.finish(&mut self.server);
        self.server.dirty = 0;
        Ok(report)
    }
}

/// What a file is loaded as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoadedAs {
    /// By itself: what has expired is left out.
    Dump,
    /// As the preamble of an append-only file, whose later commands may count on keys that have expired since.
    Preamble,
}

/// An RDB file on its way into the dataset.
pub(crate) struct SnapshotLoad<R> {
    reader: Reader<R>,
    destination: Destination,
}

/// Where keys that are read go.
struct Destination {
    fresh: Keyspace,
    /// The database of the next key.
    database: usize,
    /// How many keys it is said to get, a hint.
    expected: usize,
    /// For how many keys tables may still be made on the word of a file: no more than the file can hold.
    room: usize,
    /// Keys of that database on their way into it.
    arrivals: Arrivals<KeyEntry, Origin>,
    kind: LoadedAs,
    report: LoadReport,
}

/// What has to be known of a key when its turn comes.
struct Origin {
    expiry: Option<i64>,
    offset: u64,
    value_type: u8,
}

impl<R: Read> SnapshotLoad<R> {
    /// Reads the header.
    pub(crate) fn begin(server: &Server, source: R, kind: LoadedAs) -> Result<Self, RdbError> {
        let mut reader = Reader::new(source, NEWEST_READABLE)?.holding(server.holding());
        if !server.config.rdbchecksum {
            reader = reader.without_verification();
        }
        let report = LoadReport {
            version: reader.version(),
            bytes: 0,
            keys: 0,
            expired: 0,
            empty: 0,
            functions: 0,
            checksum: Checksum::Absent,
        };
        let fresh = server.keyspace.empty_twin();
        let arrivals = Arrivals::new();
        Ok(Self {
            reader,
            destination: Destination { fresh, database: 0, expected: 0, room: 0, arrivals, kind, report },
        })
    }

    /// Tells how many bytes the source has, so that hints of it can be believed.
    pub(crate) fn of_length(mut self, length: u64) -> Self {
        self.destination.room = usize::try_from(length / LEAST_ENTRY).unwrap_or(usize::MAX);
        self
    }

    /// Bytes read so far.
    pub(crate) fn offset(&self) -> u64 {
        self.reader.offset()
    }

    /// Reads some records; `false` when that was the last one.
    pub(crate) fn step(&mut self, server: &mut Server) -> Result<bool, RdbError> {
        let read = self.read_records(server);
        // Keys that still wait stand before whatever ended the reading, and so do their errors.
        self.destination.admit_all()?;
        read
    }

    fn read_records(&mut self, server: &mut Server) -> Result<bool, RdbError> {
        let Self { reader, destination } = self;
        let count = destination.fresh.count();
        let until = reader.offset().saturating_add(STEP);
        loop {
            let start = reader.offset();
            if start >= until {
                return Ok(true);
            }
            match reader.read()? {
                None => return Ok(false),
                Some(Record::SelectDb(index)) => {
                    destination.admit_all()?;
                    destination.expected = 0;
                    destination.database =
                        usize::try_from(index).ok().filter(|&index| index < count).ok_or_else(|| RdbError {
                            offset: start + 1,
                            opcode: Some(super::opcode::SELECTDB),
                            kind: RdbErrorKind::Database { index, databases: count as u64 },
                        })?;
                }
                Some(Record::Entry(entry)) => server.load_entry(destination, entry)?,
                Some(Record::ModuleAux { module, .. }) => {
                    let kind = RdbErrorKind::ModuleAux(module);
                    return Err(RdbError { offset: start, opcode: Some(super::opcode::MODULE_AUX), kind });
                }
                Some(Record::End(checksum)) => destination.report.checksum = checksum,
                // [RDB-38]
                Some(Record::Function(_)) => destination.report.functions += 1,
                Some(Record::Aux { name, text }) if name == b"lua" => {
                    server.scripting.load(text).map_err(|_| RdbError {
                        offset: start,
                        opcode: Some(super::opcode::AUX),
                        kind: RdbErrorKind::Script,
                    })?;
                }
                Some(Record::ResizeDb { keys, .. }) => {
                    destination.expect(usize::try_from(keys).unwrap_or(usize::MAX));
                }
                Some(Record::Aux { .. } | Record::SlotInfo { .. }) => {}
            }
        }
    }

    /// Puts what was read in the place of the dataset; returns what follows the file too.
    pub(crate) fn finish(self, server: &mut Server) -> (LoadReport, Rest<R>) {
        let Self { reader, destination: Destination { mut fresh, kind, mut report, .. } } = self;
        report.bytes = reader.offset();
        if report.functions > 0 {
            server.log(
                LogLevel::Warning,
                format!("Left out {} libraries of functions of a newer version", report.functions),
            );
        }
        let over = std::mem::take(&mut fresh.expired);
        if kind == LoadedAs::Dump {
            server.touch_everything();
        }
        server.keyspace.replace_by(fresh);
        // An append-only file that goes on has these keys in it, so it must hear that they are gone. [DEBUG-11]
        if server.aof.is_enabled() {
            for (db, key) in over {
                server.hand_on_removal(db, &key);
            }
        }
        (report, reader.into_rest())
    }
}

impl Destination {
    /// Notes how many keys the database is said to get. Where the file is long enough for them, its table gets their size
    /// at once; otherwise it follows what really comes.
    fn expect(&mut self, keys: usize) {
        self.expected = keys;
        let table = &mut self.fresh.db_mut(self.database).keys;
        if keys <= self.room && table.is_empty() {
            self.room -= keys;
            table.reserve(keys, 0);
        }
    }

    /// Adds a key that has waited for its turn.
    fn admit(&mut self, arrived: Arrived<KeyEntry, Origin>) -> Result<(), RdbError> {
        let Arrived { hash, node, note: Origin { expiry, offset, value_type } } = arrived;
        let keys = &mut self.fresh.db_mut(self.database).keys;
        if !keys.attach_arrived(hash, Detached::new(node, expiry), self.expected) {
            return Err(RdbError { offset, opcode: Some(value_type), kind: RdbErrorKind::DuplicateKey });
        }
        self.report.keys += 1;
        Ok(())
    }

    /// Adds all keys that wait.
    fn admit_all(&mut self) -> Result<(), RdbError> {
        while let Some(arrived) = self.arrivals.pop() {
            self.admit(arrived)?;
        }
        Ok(())
    }
}

impl Server {
    fn load_entry(&self, destination: &mut Destination, entry: Entry<'_>) -> Result<(), RdbError> {
        let fail = |kind| RdbError { offset: entry.offset, opcode: Some(entry.value_type), kind };
        let value = match entry.value {
            Value::String(text) => new_string(text).payload(self.config.shares_integers()),
            Value::Collection(collection) => Payload::Collection(collection),
            // [RDB-41]
            Value::Module(name) => return Err(fail(RdbErrorKind::ModuleMissing(name))),
        };
        let now_ms = self.clock.unix_ms();
        let Destination { fresh, database, kind, report, .. } = destination;
        if *kind == LoadedAs::Dump && entry.expires_at_ms.is_some_and(|at_ms| is_over(at_ms, now_ms)) {
            report.expired += 1;
            fresh.expired.push((*database, entry.key.to_vec()));
            return Ok(());
        }
        if let Payload::Collection(collection) = &value
            && collection.view().is_void()
        {
            report.empty += 1;
            destination.admit_all()?;
            let held = destination.fresh.db_mut(destination.database).keys.peek(entry.key).is_some();
            return if held { Err(fail(RdbErrorKind::DuplicateKey)) } else { Ok(()) };
        }
        let lru = self.stored_lru(now_ms, entry.idle_seconds, entry.frequency);
        let expiry = entry.expires_at_ms;
        let node = new_entry(entry.key, value, lru, expiry.is_some());
        let origin = Origin { expiry, offset: entry.offset, value_type: entry.value_type };
        let keys = &fresh.db_mut(*database).keys;
        match destination.arrivals.push(keys.dict(), node, origin) {
            Some(arrived) => destination.admit(arrived),
            None => Ok(()),
        }
    }

    /// How values that are loaded or restored are made.
    pub(crate) fn holding(&self) -> Holding {
        Holding::new(&self.config, self.keyspace.hash_key())
    }

    /// The 24 bits of an object whose idle time or frequency is stored or was given; what the policy in force does
    /// not use is ignored.
    pub(crate) fn stored_lru(&self, now_ms: i64, idle_seconds: Option<u64>, frequency: Option<u8>) -> u32 {
        if self.config.maxmemory_policy.is_lfu() {
            return match frequency {
                Some(frequency) => lru::frequency_bits(lru::minutes(now_ms), frequency),
                None => self.new_lru(now_ms),
            };
        }
        let Some(idle) = idle_seconds else {
            return self.new_lru(now_ms);
        };
        let clock = lru::clock(now_ms);
        let idle = idle.min(MAX_IDLE_SECONDS) as u32;
        // Across the wrap one tick is lost when the idle time is computed, so it is not lost here.
        if idle <= clock { clock - idle } else { clock + lru::LRU_MAX - idle }
    }
}

/// A stored string as one to keep. [RDB-35]
pub(crate) fn new_string(text: Text<'_>) -> NewString<'_> {
    match text {
        Text::Integer(value) => NewString::Int(i64::from(value)),
        Text::Bytes(Cow::Borrowed(bytes)) => NewString::Bytes(bytes),
        Text::Bytes(Cow::Owned(bytes)) => NewString::Owned(bytes),
    }
}
