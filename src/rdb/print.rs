//! What `tally rdb` prints: every key as JSON while it is read, or a summary at the end.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde_json::{Value as Json, json};
use tally_engine::rdb::{self, Checksum, Entry, Value};

use super::content::{contents, json_bytes};
use super::summary::{Share, Summary, describe};

/// Writes keys as they come.
pub(super) struct Printer<'a> {
    output: &'a mut dyn Write,
    json: bool,
    stats: bool,
    /// The database whose list is open.
    database: Option<u64>,
    first: bool,
}

impl<'a> Printer<'a> {
    /// Prints everything as JSON, or a summary, with statistics or without.
    pub(super) fn new(output: &'a mut dyn Write, json: bool, stats: bool) -> Self {
        Self { output, json, stats, database: None, first: true }
    }

    pub(super) fn begin(&mut self, name: &str) -> io::Result<()> {
        if self.json {
            write!(self.output, "{{\"file\": {}", Json::from(name))?;
        }
        Ok(())
    }

    pub(super) fn version(&mut self, version: u32) -> io::Result<()> {
        if self.json {
            write!(self.output, ",\n\"rdb_version\": {version},\n\"dbs\": {{")?;
        }
        Ok(())
    }

    pub(super) fn entry(&mut self, database: u64, entry: Entry<'_>) -> io::Result<()> {
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
            Value::Module(_) => object["encoding"] = form.into(),
        }
        if let Some(seconds) = entry.idle_seconds {
            object["idle_seconds_in_file"] = seconds.into();
        }
        if let Some(frequency) = entry.frequency {
            object["freq_in_file"] = frequency.into();
        }
        write!(self.output, "{comma}\n {object}")
    }

    pub(super) fn end(&mut self, name: &str, summary: &Summary) -> io::Result<()> {
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
            statistics(output, summary)?;
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

/// The table of types and forms, and the largest keys.
fn statistics(output: &mut dyn Write, summary: &Summary) -> io::Result<()> {
    writeln!(
        output,
        "  {:<10} {:<11} {:>10} {:>12} {:>14} {:>14}",
        "type", "form", "keys", "elements", "file bytes", "memory bytes"
    )?;
    for ((kind, form), share) in &summary.shares {
        let Share { keys, elements, bytes, memory } = share;
        writeln!(output, "  {kind:<10} {form:<11} {keys:>10} {elements:>12} {bytes:>14} {memory:>14}")?;
    }
    writeln!(output, "  largest keys, bytes of memory")?;
    for (bytes, database, key) in summary.largest.descending() {
        let key: String = key.escape_ascii().to_string().chars().take(60).collect();
        writeln!(output, "  {bytes:>14}  db {database}  {key}")?;
    }
    Ok(())
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
