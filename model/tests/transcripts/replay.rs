//! Replays one line of a transcript after the other into the model.

use std::collections::{BTreeMap, BTreeSet};

use tally_model::{Allowed, ClientId, Model, Outcome, Peer, Profile, Reply, Span, commands};

use crate::company::Company;
use crate::recorded::{self, Line};

/// Recording times are not known; any time after the recorded past deadlines and before the future ones does.
const START_MS: i64 = 1_760_000_000_000;

#[derive(Default, Debug)]
pub(crate) struct Counts {
    pub(crate) judged: usize,
    pub(crate) errata: BTreeMap<&'static str, usize>,
    pub(crate) absent_command: usize,
    pub(crate) unknown_key: usize,
    pub(crate) nondeterministic: usize,
    pub(crate) masked: usize,
    pub(crate) pushes: usize,
    /// Scripts beyond the part of Lua that the model reads.
    pub(crate) unread_script: usize,
}

/// One of the allowed replies.
fn any_reply(allowed: &Allowed) -> Reply {
    match allowed {
        Allowed::Exactly(reply) => reply.clone(),
        Allowed::Either(one, _) => any_reply(one),
        other => panic!("{other} is not exact"),
    }
}

pub(crate) struct Replay {
    pub(crate) model: Model,
    pub(crate) now_ms: i64,
    /// Keys whose content the model does not know.
    pub(crate) unknown: BTreeSet<(usize, Vec<u8>)>,
    pub(crate) company: Company,
    pub(crate) counts: Counts,
}

impl Replay {
    pub(crate) fn new() -> Self {
        let mut model = Model::new(Profile::redis_5_0());
        for number in 0..5 {
            model.connect(ClientId(number), Peer { local: true, ..Peer::default() });
        }
        Self {
            model,
            now_ms: START_MS,
            unknown: BTreeSet::new(),
            company: Company::default(),
            counts: Counts::default(),
        }
    }

    pub(crate) fn span(&self) -> Span {
        Span::at(self.now_ms)
    }

    /// Lets the model make a command that it decides alone.
    pub(crate) fn make(&mut self, client: ClientId, command: &[&[u8]]) {
        let reply = any_reply(&self.model.allowed(client, command, self.span()));
        self.model.step(client, command, &Outcome::reply(&reply), self.span()).unwrap();
        // The recorded server may have told the same at another time.
        self.model.take_due();
    }

    /// Makes an unknown key absent in the model; in the server the same happened.
    pub(crate) fn settle_as_absent(&mut self, client: ClientId, db: usize, key: &[u8]) {
        if self.unknown.remove(&(db, key.to_vec())) && self.model.selected_db(client) == db {
            self.make(client, &[b"DEL", key]);
        }
    }

    /// An array that was sorted when it was recorded, in the order that the model wants if it has the same elements.
    fn in_order(&self, client: ClientId, command: &[&[u8]], reply: &Reply, line: &Line) -> Reply {
        if let Reply::Array(elements) = reply
            && line.flag("unordered")
            && let Allowed::Exactly(Reply::Array(wanted)) = self.model.allowed(client, command, self.span())
        {
            let sorted = |elements: &[Reply]| {
                let mut elements = elements.to_vec();
                elements.sort();
                elements
            };
            if sorted(elements) == sorted(&wanted) {
                return Reply::Array(wanted);
            }
        }
        reply.clone()
    }

    pub(crate) fn judge(&mut self, client: ClientId, command: &[&[u8]], reply: &Reply, line: &Line) {
        let mut replies = vec![self.in_order(client, command, reply, line)];
        replies.extend(line.more());
        if line.blocks() {
            replies.clear();
        }
        self.company.judged = true;
        match self.model.step(client, command, &Outcome { replies: &replies, closed: false }, self.span()) {
            Ok(verdict) => {
                self.counts.judged += 1;
                if let Some(erratum) = verdict.erratum {
                    *self.counts.errata.entry(erratum.id()).or_default() += 1;
                }
            }
            Err(deviation) => {
                panic!(
                    "line {}: {}: {deviation}",
                    line.number,
                    Reply::Array(line.command.iter().cloned().map(Reply::Bulk).collect())
                )
            }
        }
    }

    pub(crate) fn line(&mut self, line: &Line) {
        let client = ClientId(line.connection);
        let db = self.model.selected_db(client);
        let command: Vec<&[u8]> = line.command.iter().map(Vec::as_slice).collect();
        let name = line.name();
        let recorded = if line.blocks() { Some(Reply::NilArray) } else { recorded::reply(&line.reply) };
        let Some(reply) = recorded else {
            self.counts.masked += 1;
            return;
        };
        let failed = matches!(reply, Reply::Error(_));
        let spec = commands::find(command[0]).filter(|_| name != "DEBUG");
        let Some(spec) = spec else {
            if name == "DEBUG" && self.is_about_known_keys(&command, db) {
                return self.judge(client, &command, &reply, line);
            }
            self.absent(&name, &command, db, failed);
            return;
        };
        if line.blocks() {
            // All its keys are missing.
            for position in spec.used_keys(&command) {
                if name != "BRPOPLPUSH" || position == 1 {
                    self.settle_as_absent(client, db, command[position]);
                }
            }
            return self.judge(client, &command, &reply, line);
        }
        let keys: Vec<&[u8]> = spec.used_keys(&command).map(|position| command[position]).collect();
        let is_unknown = |key: &&[u8]| self.unknown.contains(&(db, key.to_vec()));
        if name == "MEMORY" && command.get(2).is_some_and(is_unknown) {
            self.counts.unknown_key += 1;
            return;
        }
        if name == "XADD" && line.flag("nondeterministic") {
            // An id made of the clock tells the time.
            let id =
                if let Reply::Bulk(id) = &reply { String::from_utf8_lossy(id).into_owned() } else { String::new() };
            let ms = id.split('-').next().and_then(|ms| ms.parse().ok()).unwrap_or(0);
            self.now_ms = self.now_ms.max(ms);
            return self.judge(client, &command, &reply, line);
        }
        let chosen = [
            "MEMORY",
            "OBJECT",
            "RANDOMKEY",
            "SCAN",
            "SSCAN",
            "HSCAN",
            "ZSCAN",
            "SPOP",
            "SRANDMEMBER",
            "UNSUBSCRIBE",
            "PUNSUBSCRIBE",
        ];
        if line.flag("nondeterministic") && !chosen.contains(&name.as_str()) {
            if name == "SORT" {
                // It makes a sorted set a skiplist all the same.
                self.unknown.insert((db, command[1].to_vec()));
            }
            self.counts.nondeterministic += 1;
            return;
        }
        let options: &[&[u8]] = if name == "SORT" { &command[2..] } else { &[] };
        // Patterns may lead to any key.
        let patterns = options.iter().any(|word| word.eq_ignore_ascii_case(b"by") || word.eq_ignore_ascii_case(b"get"));
        let whole_db = patterns || matches!(name.as_str(), "KEYS" | "SCAN" | "DBSIZE" | "RANDOMKEY");
        let clean = !(keys.iter().any(is_unknown) || whole_db && self.unknown.iter().any(|(owner, _)| *owner == db));
        match name.as_str() {
            "EVAL" | "EVALSHA" => return self.script(client, db, &command, &reply, line),
            "MOVE" if !failed => {
                let target = std::str::from_utf8(command[2]).unwrap().parse().unwrap();
                let moved = reply == Reply::Integer(1);
                let target_unknown = self.unknown.contains(&(target, command[1].to_vec()));
                if clean && !target_unknown {
                    return self.judge(client, &command, &reply, line);
                }
                self.counts.unknown_key += 1;
                if moved {
                    self.settle_as_absent(client, db, command[1]);
                    self.make(client, &[b"DEL", command[1]]);
                    self.unknown.insert((target, command[1].to_vec()));
                }
                return;
            }
            "SWAPDB" if !failed => {
                let number = |text: &[u8]| std::str::from_utf8(text).unwrap().parse::<usize>().unwrap();
                let (one, other) = (number(command[1]), number(command[2]));
                let swapped = |db: usize| match db {
                    db if db == one => other,
                    db if db == other => one,
                    db => db,
                };
                self.unknown = self.unknown.iter().map(|(db, key)| (swapped(*db), key.clone())).collect();
            }
            "FLUSHALL" if !failed => self.unknown.clear(),
            "FLUSHDB" if !failed => self.unknown.retain(|(owner, _)| *owner != db),
            // Payloads of modules' values are beyond the model.
            "RESTORE" if command.get(3).is_some_and(|payload| matches!(payload.first(), Some(6 | 7 | 16..))) => {
                return self.absent(&name, &command, db, failed);
            }
            "SORT" => {
                let stored = options.iter().position(|word| word.eq_ignore_ascii_case(b"store"));
                let stored = stored.and_then(|position| options.get(position + 1)).filter(|_| !failed);
                if clean {
                    if let Some(key) = stored {
                        self.settle_as_absent(client, db, key);
                    }
                    return self.judge(client, &command, &reply, line);
                }
                self.counts.unknown_key += 1;
                // A sorted set changes its encoding, even if the command fails.
                self.unknown.insert((db, command[1].to_vec()));
                if let Some(key) = stored {
                    self.unknown.insert((db, key.to_vec()));
                }
                return;
            }
            _ if clean && !failed && stored_places(&command).is_some() => {
                let key = stored_places(&command).unwrap();
                self.settle_as_absent(client, db, key);
                self.judge(client, &command, &reply, line);
                // Real servers overlook members and take others, so that a right number of them says little (E-63).
                if reply != Reply::Integer(0) {
                    self.make(client, &[b"DEL", key]);
                    self.unknown.insert((db, key.to_vec()));
                }
                return;
            }
            "RESTORE" | "DUMP" if !clean => return self.absent(&name, &command, db, failed),
            _ if clean => {}
            _ => return self.with_unknown_keys(line, client, db, &command, &keys, &reply),
        }
        self.judge(client, &command, &reply, line);
    }

    /// A script: what one that the model cannot read does to its keys nobody knows.
    fn script(&mut self, client: ClientId, db: usize, command: &[&[u8]], reply: &Reply, line: &Line) {
        let count: usize = std::str::from_utf8(command[2]).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
        let keys: Vec<(usize, Vec<u8>)> = command[3..].iter().take(count).map(|key| (db, key.to_vec())).collect();
        let text = match command[0].eq_ignore_ascii_case(b"eval") {
            true => Some(command[1].to_vec()),
            false => self
                .model
                .scripts()
                .find(|(name, _)| name.eq_ignore_ascii_case(command[1]))
                .map(|(_, text)| text.to_vec()),
        };
        let opens = matches!(self.model.allowed(client, command, self.span()), Allowed::Unspecified(_));
        if !keys.iter().any(|key| self.unknown.contains(key)) {
            if opens {
                self.counts.unread_script += 1;
                self.counts.judged -= 1;
            }
            self.judge(client, command, reply, line);
        } else {
            self.counts.unknown_key += 1;
            let is_kept = !matches!(reply, Reply::Error(line) if line.starts_with(b"ERR Number") || line.starts_with(b"ERR Error compiling"));
            if let (Some(text), true) = (&text, is_kept) {
                self.make(client, &[b"SCRIPT", b"LOAD", text]);
            }
        }
        let writes = text.is_some_and(|text| text.windows(6).any(|word| word == b"redis."));
        if (opens || keys.iter().any(|key| self.unknown.contains(key))) && writes {
            self.unknown.extend(keys);
        }
    }

    /// A DEBUG subcommand that shows keys whose content the model knows.
    fn is_about_known_keys(&self, command: &[&[u8]], db: usize) -> bool {
        let shows =
            [b"object".as_slice(), b"sdslen", b"digest-value", b"ziplist", b"htstats-key", b"reload", b"structsize"];
        command.get(1).is_some_and(|word| shows.contains(&word.to_ascii_lowercase().as_slice()))
            && !command[2..].iter().any(|key| self.unknown.contains(&(db, key.to_vec())))
            || command.get(1).is_some_and(|word| word.eq_ignore_ascii_case(b"digest")) && self.unknown.is_empty()
    }

    /// A command of a family that the model lacks: what it names may now hold anything.
    fn absent(&mut self, name: &str, command: &[&[u8]], db: usize, failed: bool) {
        self.counts.absent_command += 1;
        if name == "DEBUG" && command.get(1).is_some_and(|word| word.eq_ignore_ascii_case(b"sleep")) {
            let seconds: f64 = std::str::from_utf8(command[2]).unwrap().parse().unwrap();
            self.now_ms += (seconds * 1000.0) as i64 + 5;
        }
        let reads = [
            "DUMP",
            "MEMORY",
            "DEBUG",
            "LRANGE",
            "SORT",
            "GEORADIUS",
            "XINFO",
            "XLEN",
            "XPENDING",
            "XRANGE",
            "XREAD",
            "XREVRANGE",
        ];
        if !failed && (!reads.contains(&name) || (name == "SORT" && command.len() > 3)) {
            // A member that is not a key does no harm: no line will use it as one.
            let writes_one = name.starts_with('X') || name == "GEOADD";
            let keys = match name {
                "XGROUP" => &command[2..3.min(command.len())],
                _ if writes_one => &command[1..2.min(command.len())],
                _ => &command[1..],
            };
            self.unknown.extend(keys.iter().map(|argument| (db, argument.to_vec())));
        }
    }

    fn with_unknown_keys(
        &mut self,
        line: &Line,
        client: ClientId,
        db: usize,
        command: &[&[u8]],
        keys: &[&[u8]],
        reply: &Reply,
    ) {
        if let Reply::Error(_) = reply {
            self.counts.unknown_key += 1;
            return;
        }
        let options = command.len() > 3
            && command[3..].iter().any(|word| word.eq_ignore_ascii_case(b"nx") || word.eq_ignore_ascii_case(b"xx"));
        match line.name().as_str() {
            "DEL" | "UNLINK" => {
                self.counts.unknown_key += 1;
                for key in keys {
                    self.unknown.remove(&(db, key.to_vec()));
                    self.make(client, &[b"DEL", key]);
                }
            }
            "SET" if options => {
                self.counts.unknown_key += 1;
                if *reply == Reply::ok() {
                    let plain: Vec<&[u8]> = command
                        .iter()
                        .filter(|word| !word.eq_ignore_ascii_case(b"nx") && !word.eq_ignore_ascii_case(b"xx"))
                        .copied()
                        .collect();
                    self.settle_as_absent(client, db, command[1]);
                    self.make(client, &plain);
                }
            }
            "SET" | "SETEX" | "PSETEX" | "MSET" => {
                for key in keys {
                    self.settle_as_absent(client, db, key);
                }
                self.judge(client, command, reply, line);
            }
            "SETNX" | "MSETNX" if *reply == Reply::Integer(1) => {
                for key in keys {
                    self.settle_as_absent(client, db, key);
                }
                self.judge(client, command, reply, line);
            }
            "RENAME" | "RENAMENX" => {
                self.counts.unknown_key += 1;
                if *reply == Reply::Integer(0) || command[1] == command[2] {
                    return;
                }
                let from_unknown = self.unknown.contains(&(db, command[1].to_vec()));
                self.settle_as_absent(client, db, command[2]);
                if from_unknown {
                    self.settle_as_absent(client, db, command[1]);
                    self.make(client, &[b"DEL", command[1]]);
                    self.make(client, &[b"DEL", command[2]]);
                    self.unknown.insert((db, command[2].to_vec()));
                } else {
                    self.judge(client, command, reply, line);
                }
            }
            "BITOP" if !command[3..].iter().any(|key| self.unknown.contains(&(db, key.to_vec()))) => {
                self.settle_as_absent(client, db, command[2]);
                self.judge(client, command, reply, line);
            }
            "SINTERSTORE" | "SUNIONSTORE" | "SDIFFSTORE" | "ZINTERSTORE" | "ZUNIONSTORE" => {
                let is_source_unknown =
                    |key: &&&[u8]| **key != command[1] && self.unknown.contains(&(db, key.to_vec()));
                if keys.iter().any(|key| is_source_unknown(&key)) || command[2..].contains(&command[1]) {
                    self.counts.unknown_key += 1;
                    self.unknown.insert((db, command[1].to_vec()));
                    return;
                }
                self.settle_as_absent(client, db, command[1]);
                self.judge(client, command, reply, line);
            }
            _ => {
                self.counts.unknown_key += 1;
                if let Some(key) = stored_places(command) {
                    self.unknown.insert((db, key.to_vec()));
                    return;
                }
                // A key that is written to may now hold anything, or be gone.
                let writes = commands::find(command[0]).is_some_and(|spec| spec.flags.starts_with("write"));
                if writes {
                    self.unknown.extend(keys.iter().map(|key| (db, key.to_vec())));
                }
            }
        }
    }
}

/// Where GEORADIUS or GEORADIUSBYMEMBER stores what it finds.
fn stored_places<'a>(command: &[&'a [u8]]) -> Option<&'a [u8]> {
    let stored = command.iter().rposition(|word| word.to_ascii_lowercase().starts_with(b"store"));
    let is_search = command[0].to_ascii_lowercase().starts_with(b"georadius");
    stored.filter(|_| is_search).and_then(|position| command.get(position + 1)).copied()
}
