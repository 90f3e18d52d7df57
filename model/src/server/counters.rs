//! Counters of INFO that do not fall. [INFO-12] [EVICTION-12]

use std::collections::BTreeMap;

/// The counters that only CONFIG RESETSTAT sets back.
const RISING: [&str; 6] = [
    "total_commands_processed",
    "total_connections_received",
    "keyspace_hits",
    "keyspace_misses",
    "expired_keys",
    "evicted_keys",
];

/// The highest values seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    seen: BTreeMap<&'static str, u64>,
}

impl Counters {
    /// What is wrong with the counters in a text of INFO.
    pub(crate) fn judge(&self, fields: &BTreeMap<&str, &str>) -> Result<(), String> {
        for (&name, &seen) in &self.seen {
            if let Some(now) = fields.get(name).and_then(|value| value.parse::<u64>().ok())
                && now < seen
            {
                return Err(format!("{name} fell from {seen} to {now}"));
            }
        }
        Ok(())
    }

    /// Takes note of the counters in a text of INFO.
    pub(crate) fn learn(&mut self, text: &[u8]) {
        for line in String::from_utf8_lossy(text).split("\r\n") {
            let Some((name, value)) = line.split_once(':') else { continue };
            let Some(name) = RISING.into_iter().find(|rising| *rising == name) else { continue };
            if let Ok(value) = value.parse() {
                self.seen.insert(name, value);
            }
        }
    }
}
