//! The text of CLIENT LIST. [CLIENT-6] [CLIENT-7]

use crate::allowed::Judge;
use crate::reply::{Bytes, Reply};

/// The fields of a line, in order.
const FIELDS: [&str; 18] = [
    "id",
    "addr",
    "fd",
    "name",
    "age",
    "idle",
    "flags",
    "db",
    "sub",
    "psub",
    "multi",
    "qbuf",
    "qbuf-free",
    "obl",
    "oll",
    "omem",
    "events",
    "cmd",
];

/// What the list has to say of one connection.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// Its id, if known.
    pub id: Option<i64>,
    /// Its name.
    pub name: Bytes,
    /// Its database.
    pub db: usize,
    /// It is the one that asks.
    pub own: bool,
}

/// The connections that have to be in the list; others may be.
#[derive(Clone, Debug)]
pub(crate) struct ClientList {
    /// One line each.
    pub lines: Vec<Line>,
}

impl Judge for ClientList {
    fn describe(&self) -> String {
        format!("a list of {} connections or more", self.lines.len())
    }

    fn judge(&self, reply: &Reply) -> Result<(), String> {
        let Reply::Bulk(text) = reply else { return Err("not a bulk string".into()) };
        let text = std::str::from_utf8(text).map_err(|error| error.to_string())?;
        let mut found = Vec::new();
        for line in text.split_terminator('\n') {
            found.push(fields(line)?);
        }
        if !text.is_empty() && !text.ends_with('\n') {
            return Err("the last line has no end".into());
        }
        if found.len() < self.lines.len() {
            return Err(format!("only {} lines", found.len()));
        }
        for line in &self.lines {
            let id = line.id.map(|id| id.to_string());
            let fits = |fields: &&[&str; 18]| {
                id.as_ref().is_none_or(|id| fields[0] == id)
                    && fields[3].as_bytes() == line.name
                    && fields[7] == line.db.to_string()
                    && (!line.own || fields[17] == "client")
            };
            if !found.iter().any(|fields| fits(&fields)) {
                return Err(format!("no line of the connection {:?} in database {}", line.id, line.db));
            }
        }
        Ok(())
    }
}

/// The values of a line's fields.
fn fields(line: &str) -> Result<[&str; 18], String> {
    let mut values = [""; 18];
    let mut words = line.split(' ');
    for (value, field) in values.iter_mut().zip(FIELDS) {
        let word = words.next().ok_or_else(|| format!("no field {field} in `{line}`"))?;
        let rest = word.strip_prefix(field).and_then(|rest| rest.strip_prefix('='));
        *value = rest.ok_or_else(|| format!("`{word}` where {field} is due"))?;
    }
    if words.next().is_some() {
        return Err(format!("more fields than due in `{line}`"));
    }
    for index in [0, 4, 5, 7, 8, 9, 11, 12, 13, 14, 15] {
        if values[index].parse::<u64>().is_err() {
            return Err(format!("{} is `{}`", FIELDS[index], values[index]));
        }
    }
    Ok(values)
}
