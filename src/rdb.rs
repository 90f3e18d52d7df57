//! `tally rdb`: what an RDB file holds, or where it breaks.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value as Json, json};
use tally_engine::number::format_f64;
use tally_engine::rdb::{self, Checksum, Entry, RdbError, RdbErrorKind, Reader, Record, Value};
use tally_engine::values::stream::{Entry as StreamEntry, Group, StreamId};
use tally_engine::values::{Collection, Element, Stream, Type};

/// Checks a dump and says what is in it, or where it breaks.
#[derive(Args)]
pub(crate) struct Rdb {
    /// The dump, for example dump.rdb.
    file: PathBuf,
    /// Print the content as JSON, as it is read.
    #[arg(long)]
    json: bool,
    /// Print for each type and form how many keys, elements and bytes there are, and which key is the largest.
    #[arg(long, conflicts_with = "json")]
    stats: bool,
}

/// What keys of one type and form take.
#[derive(Default)]
struct Share {
    keys: u64,
    elements: u64,
    /// Bytes in the file, keys and attributes counted.
    bytes: u64,
    /// The largest: bytes, database, key.
    largest: (u64, u64, Vec<u8>),
}

/// What was read, apart from the keys themselves.
#[derive(Default)]
struct Summary {
    version: u32,
    bytes: u64,
    aux: Vec<(Vec<u8>, Vec<u8>)>,
    /// Per database: keys by type, and how many of all expire.
    databases: BTreeMap<u64, (BTreeMap<String, u64>, u64)>,
    /// By type and by the form in which the file has them.
    shares: BTreeMap<(String, &'static str), Share>,
    functions: u64,
    modules: Vec<String>,
    codes: Vec<(u8, u64)>,
    forms: rdb::Forms,
    checksum: Option<Checksum>,
    /// Bytes follow the end.
    trailing: bool,
    damage: Option<RdbError>,
}

impl Rdb {
    pub(crate) fn run(&self) -> ExitCode {
        let name = self.file.display();
        let file = match File::open(&self.file) {
            Ok(file) => file,
            Err(error) => {
                eprintln!("tally rdb: {name}: {error}");
                return ExitCode::from(2);
            }
        };
        let mut output = BufWriter::new(io::stdout().lock());
        let mut printer =
            Printer { output: &mut output, json: self.json, stats: self.stats, database: None, first: true };
        let mut summary = Summary::default();
        let printed = printer
            .begin(&name.to_string())
            .and_then(|()| read(file, &mut summary, &mut printer))
            .and_then(|()| printer.end(&name.to_string(), &summary))
            .and_then(|()| output.flush());
        match (printed, &summary.damage) {
            // Who reads the output may stop early.
            (Err(error), _) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            (Err(error), _) => {
                eprintln!("tally rdb: {error}");
                ExitCode::from(2)
            }
            (Ok(()), None) => ExitCode::SUCCESS,
            (Ok(()), Some(damage)) if matches!(damage.kind, RdbErrorKind::Io(_)) => {
                eprintln!("tally rdb: {name}: {damage}");
                ExitCode::from(2)
            }
            (Ok(()), Some(_)) => ExitCode::from(1),
        }
    }
}

/// Reads everything; damage goes into the summary, an error is the output's.
fn read(source: File, summary: &mut Summary, printer: &mut Printer<'_>) -> io::Result<()> {
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
                let (start, key) = (entry.offset, if printer.stats { entry.key.to_vec() } else { Vec::new() });
                printer.entry(database, entry)?;
                let share = summary.shares.entry((kind, form)).or_default();
                let bytes = reader.offset() - start;
                share.keys += 1;
                share.elements = share.elements.saturating_add(elements.unwrap_or(0));
                share.bytes += bytes;
                if bytes > share.largest.0 {
                    share.largest = (bytes, database, key);
                }
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
fn describe(entry: &Entry<'_>) -> (String, &'static str, Option<u64>) {
    match &entry.value {
        Value::String(_) => ("string".to_owned(), "string", None),
        Value::Collection(collection) => {
            let form = rdb::stored_as(entry.value_type).map_or("unknown", |(_, form)| form);
            (collection.view().kind().name().to_owned(), form, Some(collection.view().len() as u64))
        }
        Value::Other(shape) => (shape.kind.clone(), shape.encoding, shape.elements),
    }
}

/// The elements of a collection: those of lists and sorted sets in their order, scores as text, others sorted.
fn contents(collection: &Collection) -> Json {
    if let Collection::Stream(stream) = collection {
        return stream_contents(stream);
    }
    let mut elements: Vec<(Vec<u8>, Json)> = Vec::with_capacity(collection.view().len());
    collection.view().for_each(|element| {
        let json = match element {
            Element::Item(item) => json_bytes(item),
            Element::Field(field, value) => json!([json_bytes(field), json_bytes(value)]),
            Element::Scored(member, score) => json!([json_bytes(member), format_f64(score)]),
            Element::Entry(entry) => stream_entry(&entry),
        };
        let name = match element {
            Element::Item(name) | Element::Field(name, _) | Element::Scored(name, _) => name,
            Element::Entry(_) => &[],
        };
        elements.push((name.to_vec(), json));
    });
    if matches!(collection.view().kind(), Type::Set | Type::Hash) {
        elements.sort_by(|one, other| one.0.cmp(&other.0));
    }
    elements.into_iter().map(|(_, json)| json).collect()
}

/// Entries, last id and groups of a stream.
fn stream_contents(stream: &Stream) -> Json {
    let mut groups = Vec::new();
    stream.for_each_group(|name, group| groups.push(stream_group(name, group)));
    json!({
        "length": stream.len(),
        "last_generated_id": stream.last_id().to_string(),
        "entries": stream.entries().all().map(|entry| stream_entry(&entry)).collect::<Vec<_>>(),
        "groups": groups,
    })
}

fn stream_entry(entry: &StreamEntry<'_>) -> Json {
    let texts = entry.fields().flat_map(|(name, value)| [name.to_vec(), value.to_vec()]);
    json!([entry.id.to_string(), texts.map(|text| json_bytes(&text)).collect::<Vec<_>>()])
}

fn stream_group(name: &[u8], group: &Group) -> Json {
    let name_of = |consumer| group.consumer(consumer).map_or(Json::Null, |consumer| json_bytes(consumer.name()));
    let consumers = group
        .consumers()
        .map(|consumer| json!({ "name": json_bytes(consumer.name()), "pending": consumer.pending_len() }));
    let pending = group.pending_from(StreamId::MIN).map(|(id, pending)| {
        json!({
            "id": id.to_string(),
            "consumer": name_of(pending.consumer),
            "delivery_time_ms": pending.delivered_ms,
            "delivery_count": pending.deliveries,
        })
    });
    json!({
        "name": json_bytes(name),
        "last_delivered_id": group.last_id.to_string(),
        "consumers": consumers.collect::<Vec<_>>(),
        "pel": pending.collect::<Vec<_>>(),
    })
}

/// Bytes as JSON: text where they are UTF-8, else base64.
pub(crate) fn json_bytes(bytes: &[u8]) -> Json {
    match std::str::from_utf8(bytes) {
        Ok(text) => Json::from(text),
        Err(_) => json!({ "b64": base64(bytes) }),
    }
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let word = group.iter().fold(0u32, |word, &byte| word << 8 | u32::from(byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let sextet = (word >> (18 - 6 * place)) as usize & 63;
            text.push(if place <= group.len() { char::from(ALPHABET[sextet]) } else { '=' });
        }
    }
    text
}

/// Writes keys as they come.
struct Printer<'a> {
    output: &'a mut dyn Write,
    json: bool,
    stats: bool,
    /// The database whose list is open.
    database: Option<u64>,
    first: bool,
}

impl Printer<'_> {
    fn begin(&mut self, name: &str) -> io::Result<()> {
        if self.json {
            write!(self.output, "{{\"file\": {}", Json::from(name))?;
        }
        Ok(())
    }

    fn version(&mut self, version: u32) -> io::Result<()> {
        if self.json {
            write!(self.output, ",\n\"rdb_version\": {version},\n\"dbs\": {{")?;
        }
        Ok(())
    }

    fn entry(&mut self, database: u64, entry: Entry<'_>) -> io::Result<()> {
        if !self.json {
            return Ok(());
        }
        if self.database != Some(database) {
            let close = if self.database.is_some() { "\n]," } else { "" };
            write!(self.output, "{close}\n\"{database}\": [")?;
            self.database = Some(database);
            self.first = true;
        }
        let comma = if self.first { "" } else { "," };
        self.first = false;
        let mut object = json!({
            "key": json_bytes(entry.key),
            "offset": entry.offset,
            "expire_at_ms": entry.expires_at_ms,
        });
        let (kind, form, elements) = describe(&entry);
        object["type"] = kind.into();
        match entry.value {
            Value::String(text) => object["value"] = json_bytes(&text.into_bytes()),
            Value::Collection(collection) => {
                object["encoding"] = form.into();
                object["elements"] = elements.into();
                object["value"] = contents(&collection);
            }
            Value::Other(_) => {
                object["encoding"] = form.into();
                object["elements"] = elements.into();
            }
        }
        if let Some(seconds) = entry.idle_seconds {
            object["idle_seconds_in_file"] = seconds.into();
        }
        if let Some(frequency) = entry.frequency {
            object["freq_in_file"] = frequency.into();
        }
        write!(self.output, "{comma}\n {object}")
    }

    fn end(&mut self, name: &str, summary: &Summary) -> io::Result<()> {
        if self.json { self.end_json(summary) } else { self.end_text(name, summary) }
    }

    fn end_json(&mut self, summary: &Summary) -> io::Result<()> {
        if summary.version > 0 {
            let close = if self.database.is_some() { "\n]" } else { "" };
            write!(self.output, "{close}}}")?;
        }
        let keys: u64 = summary.databases.values().flat_map(|(types, _)| types.values()).sum();
        let codes: BTreeMap<String, u64> =
            summary.codes.iter().map(|(code, count)| (code_name(*code), *count)).collect();
        let forms = summary.forms;
        let forms = [
            ("raw", forms.raw),
            ("int8", forms.int8),
            ("int16", forms.int16),
            ("int32", forms.int32),
            ("lzf", forms.lzf),
        ];
        let forms: BTreeMap<&str, u64> = forms.into_iter().filter(|(_, count)| *count > 0).collect();
        let aux: Vec<Json> =
            summary.aux.iter().map(|(name, text)| json!([json_bytes(name), json_bytes(text)])).collect();
        let damage = summary.damage.as_ref().map(|damage| {
            json!({
                "offset": damage.offset,
                "opcode": damage.opcode,
                "name": damage.opcode.and_then(rdb::opcode_name),
                "reason": damage.kind.to_string(),
            })
        });
        let rest = [
            ("keys", json!(keys)),
            ("bytes", json!(summary.bytes)),
            ("aux_fields", json!(aux)),
            ("opcodes_and_types", json!(codes)),
            ("string_encodings", json!(forms)),
            ("module_aux", json!(summary.modules)),
            ("functions", json!(summary.functions)),
            ("checksum", json!(summary.checksum.map(checksum_name))),
            ("damage", json!(damage)),
        ];
        for (name, value) in rest {
            write!(self.output, ",\n\"{name}\": {value}")?;
        }
        writeln!(self.output, "}}")
    }

    fn end_text(&mut self, name: &str, summary: &Summary) -> io::Result<()> {
        let output = &mut *self.output;
        if summary.version > 0 {
            writeln!(output, "{name}: RDB version {}, {} bytes read", summary.version, summary.bytes)?;
        }
        for (name, text) in &summary.aux {
            // Scripts of the old replication are stored as such fields and may be long.
            let shown: String = text.escape_ascii().to_string().chars().take(70).collect();
            writeln!(output, "  {:<16} {shown}", name.escape_ascii().to_string())?;
        }
        for (database, (types, expires)) in &summary.databases {
            let keys: u64 = types.values().sum();
            let types: Vec<String> = types.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
            writeln!(output, "  db {database}: {keys} keys, {expires} expire ({})", types.join(", "))?;
        }
        if self.stats && !summary.shares.is_empty() {
            writeln!(
                output,
                "  {:<10} {:<11} {:>10} {:>12} {:>14}  largest",
                "type", "form", "keys", "elements", "bytes"
            )?;
            for ((kind, form), share) in &summary.shares {
                let Share { keys, elements, bytes, largest: (most, database, key) } = share;
                let key: String = key.escape_ascii().to_string().chars().take(40).collect();
                writeln!(
                    output,
                    "  {kind:<10} {form:<11} {keys:>10} {elements:>12} {bytes:>14}  {key} in db {database}, {most} bytes"
                )?;
            }
        }
        for module in &summary.modules {
            writeln!(output, "  data of module {module} skipped")?;
        }
        if summary.functions > 0 {
            writeln!(output, "  {} libraries of functions skipped", summary.functions)?;
        }
        if summary.trailing {
            writeln!(output, "  more bytes follow the end at {}", summary.bytes)?;
        }
        match (&summary.damage, summary.checksum) {
            (Some(damage), _) => writeln!(output, "{name}: DAMAGED at {damage}"),
            (None, Some(checksum)) => writeln!(output, "{name}: whole, checksum {}", checksum_name(checksum)),
            (None, None) => Ok(()),
        }
    }
}

fn checksum_name(checksum: Checksum) -> &'static str {
    match checksum {
        Checksum::Absent => "none (old version)",
        Checksum::Unused => "zero",
        Checksum::Valid(_) => "crc64",
    }
}

fn code_name(code: u8) -> String {
    let kind = if code >= rdb::opcode::FIRST { "op" } else { "type" };
    match rdb::opcode_name(code) {
        Some(name) => format!("{kind}:{name}"),
        None => format!("{kind}:{code}"),
    }
}
