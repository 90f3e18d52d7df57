//! One pass over a dump: what it holds, summed up.

use std::collections::BTreeMap;
use std::io::{self, Read};

use tally_engine::rdb::{self, Checksum, Entry, RdbError, Reader, Record, Text, Value};

use super::largest::Largest;
use super::print::Printer;

/// What keys of one type and form take.
#[derive(Default)]
pub(super) struct Share {
    pub(super) keys: u64,
    pub(super) elements: u64,
    /// Bytes in the file, keys and attributes counted.
    pub(super) bytes: u64,
    /// Bytes of memory that this engine would hold them in.
    pub(super) memory: u64,
}

/// What was read, apart from the keys themselves.
#[derive(Default)]
pub(super) struct Summary {
    pub(super) version: u32,
    pub(super) bytes: u64,
    pub(super) aux: Vec<(Vec<u8>, Vec<u8>)>,
    /// Per database: keys by type, and how many of all expire.
    pub(super) databases: BTreeMap<u64, (BTreeMap<String, u64>, u64)>,
    /// By type and by the form in which the file has them.
    pub(super) shares: BTreeMap<(String, &'static str), Share>,
    pub(super) largest: Largest,
    pub(super) functions: u64,
    pub(super) modules: Vec<String>,
    pub(super) codes: Vec<(u8, u64)>,
    pub(super) forms: rdb::Forms,
    pub(super) checksum: Option<Checksum>,
    /// Bytes follow the end.
    pub(super) trailing: bool,
    pub(super) damage: Option<RdbError>,
}

/// Reads everything; damage goes into the summary, an error is the output's.
pub(super) fn read(source: impl Read, summary: &mut Summary, printer: &mut Printer<'_>) -> io::Result<()> {
    let mut reader = match Reader::new(source, rdb::NEWEST_READABLE) {
        Ok(reader) => reader.counting(),
        Err(damage) => {
            summary.damage = Some(damage);
            return Ok(());
        }
    };
    summary.version = reader.version();
    printer.version(summary.version)?;
    let mut database = 0;
    loop {
        match reader.read() {
            Ok(None) => break,
            Ok(Some(Record::Aux { name, text })) => summary.aux.push((name.to_vec(), text.to_vec())),
            Ok(Some(Record::SelectDb(index))) => database = index,
            Ok(Some(Record::ResizeDb { .. } | Record::SlotInfo { .. })) => {}
            Ok(Some(Record::ModuleAux { module, .. })) => summary.modules.push(module),
            Ok(Some(Record::Function(_))) => summary.functions += 1,
            Ok(Some(Record::Entry(entry))) => {
                let (types, expires) = summary.databases.entry(database).or_default();
                let (kind, form, elements) = describe(&entry);
                *types.entry(kind.clone()).or_default() += 1;
                *expires += u64::from(entry.expires_at_ms.is_some());
                let (start, memory) = (entry.offset, memory(&entry));
                let share = summary.shares.entry((kind, form)).or_default();
                share.keys += 1;
                share.elements = share.elements.saturating_add(elements.unwrap_or(0));
                share.memory += memory;
                summary.largest.offer(memory, database, entry.key);
                printer.entry(database, entry)?;
                share.bytes += reader.offset() - start;
            }
            Ok(Some(Record::End(checksum))) => summary.checksum = Some(checksum),
            Err(damage) => {
                summary.damage = Some(damage);
                break;
            }
        }
    }
    summary.bytes = reader.offset();
    summary.codes = reader.codes().collect();
    summary.forms = reader.forms();
    summary.trailing = summary.damage.is_none() && !reader.at_end().unwrap_or(true);
    Ok(())
}

/// Type, form in the file, and number of elements.
pub(super) fn describe(entry: &Entry<'_>) -> (String, &'static str, Option<u64>) {
    match &entry.value {
        Value::String(_) => ("string".to_owned(), "string", None),
        Value::Collection(collection) => {
            let form = rdb::stored_as(entry.value_type).map_or("unknown", |(_, form)| form);
            (collection.view().kind().name().to_owned(), form, Some(collection.view().len() as u64))
        }
        Value::Module(name) => (name.clone(), "module", None),
    }
}

/// Bytes that key and value take, once loaded.
fn memory(entry: &Entry<'_>) -> u64 {
    let value = match &entry.value {
        Value::String(Text::Integer(_)) | Value::Module(_) => 0,
        Value::String(Text::Bytes(bytes)) => bytes.len(),
        Value::Collection(collection) => collection.view().bytes(),
    };
    (entry.key.len() + value) as u64
}
