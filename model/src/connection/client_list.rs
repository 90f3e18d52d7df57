//! The text of CLIENT LIST. [CLIENT-6] [CLIENT-7] [CLIENT-29] [CLIENT-30]

use crate::allowed::Judge;
use crate::client::{Client, Touched};
use crate::reply::{Bytes, Reply};
use crate::strings::length;

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
    /// Its last command, if known.
    pub command: Option<&'static str>,
    /// Letters among its flags, each with whether it stands there, if known.
    pub flags: Vec<(char, bool)>,
    /// Its subscriptions to channels and to patterns.
    pub subscriptions: (usize, usize),
    /// Its queued commands, -1 outside of a transaction, if known.
    pub queued: Option<i64>,
}

impl Line {
    /// What it says of a connection, of whose watched keys one may be touched by now, and which may be the one that asks, within EXEC or not.
    pub(crate) fn of(client: &Client, touched: Touched, own: bool, executing: bool) -> Self {
        let mut flags =
            vec![('O', client.monitors), ('P', client.is_subscribed()), ('b', client.blocked.is_some()), ('N', false)];
        let queued = client.queued().map_or(-1, length);
        let unspecial = !client.monitors && !client.is_subscribed() && client.blocked.is_none();
        let mut known = true;
        match touched {
            Touched::No => flags.push(('d', false)),
            Touched::Surely => flags.push(('d', true)),
            Touched::Spuriously | Touched::Perhaps | Touched::Overlooked => known = false,
        }
        // Within EXEC the one that asks may still count as in its transaction.
        if own && executing {
            known = false;
        } else {
            flags.push(('x', client.transaction.is_some()));
        }
        let may_be_none = unspecial && client.transaction.is_none() && touched != Touched::Surely || !known;
        if may_be_none {
            flags.retain(|(letter, _)| *letter != 'N');
        }
        let command = match (own, executing) {
            (true, true) => Some("exec"),
            (true, false) => Some("client"),
            (false, _) => client.last_command,
        };
        Self {
            id: client.id,
            name: client.name.clone(),
            db: client.db,
            command,
            flags,
            subscriptions: (client.channels.len(), client.patterns.len()),
            queued: (!(own && executing)).then_some(queued),
        }
    }
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
                    && line.command.is_none_or(|command| fields[17] == command)
                    && line.flags.iter().all(|(letter, stands)| fields[6].contains(*letter) == *stands)
                    && is_in_order(fields[6])
                    && fields[8] == line.subscriptions.0.to_string()
                    && fields[9] == line.subscriptions.1.to_string()
                    && line.queued.is_none_or(|queued| fields[10] == queued.to_string())
            };
            if !found.iter().any(|fields| fits(&fields)) {
                return Err(format!("no line as {line:?}"));
            }
        }
        Ok(())
    }
}

/// Whether the letters of flags stand in their order, and `N` alone. [CLIENT-29]
fn is_in_order(flags: &str) -> bool {
    const ORDER: &str = "OSMPxbdcuAUr";
    let places: Option<Vec<usize>> = flags.chars().map(|letter| ORDER.find(letter)).collect();
    flags == "N" || places.is_some_and(|places| !places.is_empty() && places.is_sorted())
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
