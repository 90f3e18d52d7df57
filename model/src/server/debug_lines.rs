//! What DEBUG shows of one value, as far as it is fixed.

use crate::allowed::Judge;
use crate::reply::Reply;
use crate::value::Encoding;

/// The line of DEBUG OBJECT. [DEBUG-2] [DEBUG-29]
#[derive(Debug)]
pub(super) struct ObjectLine {
    pub(super) encoding: Encoding,
    /// Elements of a list.
    pub(super) elements: usize,
}

const FIELDS: &[&str] = &["at", "refcount", "encoding", "serializedlength", "lru", "lru_seconds_idle"];
const LIST_FIELDS: &[&str] = &["ql_nodes", "ql_avg_node", "ql_ziplist_max", "ql_compressed", "ql_uncompressed_size"];

impl ObjectLine {
    fn fields(&self) -> impl Iterator<Item = &'static str> {
        let more = if self.encoding == Encoding::Quicklist { LIST_FIELDS } else { &[] };
        FIELDS.iter().chain(more).copied()
    }
}

impl Judge for ObjectLine {
    fn describe(&self) -> String {
        let field = |field| match field {
            "encoding" => format!("encoding:{}", self.encoding.name()),
            field => format!("{field}:…"),
        };
        format!("Value {}", self.fields().map(field).collect::<Vec<_>>().join(" "))
    }

    fn judge(&self, reply: &Reply) -> Result<(), String> {
        let Reply::Status(line) = reply else { return Err("not a status".into()) };
        let line = std::str::from_utf8(line).map_err(|error| error.to_string())?;
        let mut rest = line.strip_prefix("Value ").ok_or("does not begin with `Value `")?.split(' ');
        let mut nodes = 0;
        for field in self.fields() {
            let word = rest.next().ok_or_else(|| format!("no field {field}"))?;
            let value = word.strip_prefix(field).and_then(|rest| rest.strip_prefix(':'));
            let value = value.ok_or_else(|| format!("`{word}` where {field} is due"))?;
            let fits = match field {
                "at" => value.starts_with("0x"),
                "encoding" => value == self.encoding.name(),
                "ql_nodes" => {
                    nodes = value.parse().unwrap_or(0);
                    (1..=self.elements).contains(&nodes)
                }
                "ql_avg_node" => value == format!("{:.2}", self.elements as f64 / nodes as f64),
                "ql_ziplist_max" => value.parse::<i32>().is_ok(),
                "ql_compressed" => matches!(value, "0" | "1"),
                _ => value.parse::<i64>().is_ok_and(|value| value >= 0),
            };
            if !fits {
                return Err(format!("{field} is `{value}`"));
            }
        }
        if rest.next().is_some() { Err("more fields than due".into()) } else { Ok(()) }
    }
}

/// The statistics of DEBUG HTSTATS-KEY. [DEBUG-30]
#[derive(Debug)]
pub(super) struct Tables {
    pub(super) elements: usize,
}

impl Judge for Tables {
    fn describe(&self) -> String {
        format!("the statistics of one table or two that hold {} elements", self.elements)
    }

    fn judge(&self, reply: &Reply) -> Result<(), String> {
        let Reply::Bulk(text) = reply else { return Err("not a bulk string".into()) };
        let text = String::from_utf8_lossy(text);
        if !text.starts_with("Hash table 0 stats (main hash table):\n table size: ") {
            return Err("does not begin with the main table".into());
        }
        let numbers = |name: &str| -> Vec<usize> {
            let of = |line: &str| line.trim_start().strip_prefix(name)?.strip_prefix(": ")?.parse().ok();
            text.lines().filter_map(of).collect()
        };
        let elements = numbers("number of elements");
        if elements.iter().sum::<usize>() != self.elements {
            return Err(format!("{elements:?} elements"));
        }
        match numbers("table size").iter().find(|size| !size.is_power_of_two()) {
            Some(size) => Err(format!("a table of {size} buckets")),
            None => Ok(()),
        }
    }
}
