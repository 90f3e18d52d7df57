//! What Redis 5.0.14 answered several clients, and what it told them unasked, is what the engine answers and tells; see
//! [`recording`] for lines that are passed over. How many lines were compared is printed, and bounded below.
#![allow(clippy::unwrap_used)]

mod recording;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use recording::{Session, accepts, equal, erratum};
use serde_json::Value;
use tally_check::target::{Received, Target, Wait};
use tally_model::Reply;

/// One recorded line, with what its transaction made of it.
struct Line {
    number: usize,
    recorded: Value,
    arguments: Vec<Vec<u8>>,
    /// In lower case.
    name: String,
    conn: u64,
    /// For a queued command of a transaction that was executed: its reply in EXEC's answer.
    element: Option<Value>,
    /// For EXEC that was executed: its queued commands, as places in the list of lines.
    queued: Vec<usize>,
}

impl Line {
    /// What the command came to, be it at once or in EXEC.
    fn outcome(&self) -> &Value {
        self.element.as_ref().unwrap_or(&self.recorded["reply"])
    }

    fn is_queued(&self) -> bool {
        self.recorded["reply"]["s"] == "QUEUED"
    }
}

/// Scripts of the recordings that do what one command does: that command.
fn plain(arguments: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let [name, script, _, key] = &arguments[..] else { return arguments };
    if !name.eq_ignore_ascii_case(b"eval") {
        return arguments;
    }
    let words: &[&[u8]] = match &script[..] {
        b"return redis.call(\"incr\",KEYS[1])" => &[b"INCR"],
        b"redis.call('rpush',KEYS[1],'e1','e2') return redis.call('llen',KEYS[1])" => &[b"RPUSH", b"e1", b"e2"],
        _ => return arguments,
    };
    let mut command = vec![words[0].to_vec(), key.clone()];
    command.extend(words[1..].iter().map(|word| word.to_vec()));
    command
}

fn read(family: &str) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut open: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (index, recorded) in recording::lines(family).enumerate() {
        let arguments = plain(recording::arguments(&recorded));
        let name = String::from_utf8_lossy(&arguments[0]).to_lowercase();
        let conn = recorded["conn"].as_u64().unwrap_or(0);
        let mut queued = Vec::new();
        match name.as_str() {
            "multi" if recorded["reply"]["s"] == "OK" => {
                open.insert(conn, Vec::new());
            }
            "exec" => {
                queued = open.remove(&conn).unwrap_or_default();
                for (at, element) in queued.iter().zip(recorded["reply"]["a"].as_array().into_iter().flatten()) {
                    lines[*at].element = Some(element.clone());
                }
            }
            "discard" => {
                open.remove(&conn);
            }
            _ => {
                if let (Some(queue), true) = (open.get_mut(&conn), recorded["reply"]["s"] == "QUEUED") {
                    queue.push(index);
                }
            }
        }
        lines.push(Line { number: index + 1, recorded, arguments, name, conn, element: None, queued });
    }
    lines
}

/// What a client was told, request or not.
fn told(line: &Line) -> BTreeMap<u64, VecDeque<Value>> {
    let mut told: BTreeMap<u64, VecDeque<Value>> = BTreeMap::new();
    for push in line.recorded["pushes"].as_array().into_iter().flatten() {
        told.entry(push["conn"].as_u64().unwrap()).or_default().push_back(push["reply"].clone());
    }
    told
}

struct Replay {
    family: &'static str,
    session: Session,
    lines: Vec<Line>,
    /// Commands of open transactions that were not sent.
    left_out: BTreeSet<usize>,
    /// Clients whose transaction the recorded server spoiled for a command that the engine does not have.
    spoiled: BTreeSet<u64>,
    /// Keys that a client watches.
    watched: BTreeMap<u64, BTreeSet<(usize, Vec<u8>)>>,
    /// Clients that watch a key which PERSIST changed: the recorded server overlooks that.
    persisted: BTreeSet<u64>,
    /// Clients that are blocked in the recording by a command that was not sent.
    absent: BTreeSet<u64>,
    compared: usize,
    passed_over: usize,
    errata: usize,
    wrong: Vec<String>,
}

impl Replay {
    fn new(family: &'static str) -> Self {
        let mut session = Session::new();
        session.connection(0);
        Self {
            family,
            session,
            lines: read(family),
            left_out: BTreeSet::new(),
            spoiled: BTreeSet::new(),
            watched: BTreeMap::new(),
            persisted: BTreeSet::new(),
            absent: BTreeSet::new(),
            compared: 0,
            passed_over: 0,
            errata: 0,
            wrong: Vec::new(),
        }
    }

    fn db(&self, conn: u64) -> usize {
        self.session.selected.get(&conn).copied().unwrap_or(0)
    }

    /// Everything that waits for a client.
    fn drain(&mut self, conn: u64) -> Vec<Reply> {
        let connection = self.session.connection(conn);
        let mut replies = Vec::new();
        while let Received::Reply(reply) = self.session.target.receive(connection, Wait::Settled).unwrap() {
            replies.push(reply);
        }
        replies
    }

    /// Whether the command cannot be sent: the engine does not have it, or it failed there for what is not here.
    fn is_left_out(&mut self, at: usize) -> bool {
        let (name, arguments) = (self.lines[at].name.clone(), self.lines[at].arguments.clone());
        let stream = name == "restore" && arguments.get(3).is_some_and(|payload| payload.first() == Some(&15));
        if stream || !self.session.has(&name) {
            return true;
        }
        let db = self.db(self.lines[at].conn);
        let failed = self.lines[at].outcome()["e"].is_string();
        let foreign = self.session.is_foreign(db, &name, &arguments);
        foreign && ((failed && name != "sort") || name.starts_with('b') && name != "bitop")
    }

    /// The command had an effect there that it does not have here.
    fn leave_out(&mut self, at: usize) {
        let line = &self.lines[at];
        let db = self.db(line.conn);
        self.passed_over += 1;
        if line.is_queued() {
            self.left_out.insert(at);
            return;
        }
        if line.recorded["reply"]["blocked"] == true {
            self.absent.insert(line.conn);
        }
        if line.recorded["reply"]["e"].is_string() {
            self.spoiled.insert(line.conn);
        } else {
            self.session.spread(db, &line.name, &line.arguments, false);
        }
    }

    /// Replays one line.
    fn step(&mut self, at: usize) {
        if self.is_left_out(at) {
            self.leave_out(at);
            self.compare_pushes(at, true);
            return;
        }
        let line = &self.lines[at];
        let (conn, name, arguments) = (line.conn, line.name.clone(), line.arguments.clone());
        let connection = self.session.connection(conn);
        let db = self.db(conn);
        let nothing = line.recorded["reply"]["nil"] == "array" || line.recorded["reply"]["e"].is_string();
        if name == "exec" && nothing {
            let watched = self.watched.remove(&conn).unwrap_or_default();
            let foreign = watched.iter().any(|key| self.session.foreign.contains(key));
            if self.spoiled.remove(&conn) || foreign {
                // It was not executed there, for reasons that may not hold here.
                self.session.send(connection, &[b"DISCARD".to_vec()]);
                self.passed_over += 1;
                return;
            }
        }
        let replies = self.session.send(connection, &arguments);
        self.note(at);
        if name == "exec" {
            self.compare_exec(at, &replies);
            for one in self.lines[at].queued.clone() {
                if self.lines[one].name == "persist" && self.lines[one].outcome()["i"] == 1 {
                    self.persist(one);
                }
            }
            self.watched.remove(&conn);
            self.persisted.remove(&conn);
            self.compare_pushes(at, false);
            return;
        }
        if !self.lines[at].is_queued() {
            let failed = self.lines[at].recorded["reply"]["e"].is_string();
            if !failed {
                self.session.follow(conn, &name, &arguments);
            }
            if self.session.is_foreign(db, &name, &arguments) {
                self.session.spread(db, &name, &arguments, failed);
                self.passed_over += 1;
                self.compare_pushes(at, true);
                return;
            }
        }
        self.compared += 1;
        if !self.is_as_recorded(at, &replies) {
            self.complain(at, &replies);
        }
        self.compare_pushes(at, false);
    }

    /// Remembers what a client watches.
    fn note(&mut self, at: usize) {
        let line = &self.lines[at];
        let (conn, db) = (line.conn, self.db(line.conn));
        match line.name.as_str() {
            "watch" if line.recorded["reply"]["s"] == "OK" => {
                let keys = line.arguments.iter().skip(1).map(|key| (db, key.clone()));
                self.watched.entry(conn).or_default().extend(keys);
            }
            "multi" if line.recorded["reply"]["s"] == "OK" => {
                self.spoiled.remove(&conn);
            }
            "unwatch" | "discard" if line.recorded["reply"]["e"].is_null() => {
                self.watched.remove(&conn);
                self.persisted.remove(&conn);
            }
            "persist" if line.recorded["reply"]["i"] == 1 => self.persist(at),
            _ => {}
        }
    }

    /// PERSIST took a deadline away.
    fn persist(&mut self, at: usize) {
        let key = (self.db(self.lines[at].conn), self.lines[at].arguments[1].clone());
        let watchers = self.watched.iter().filter(|(_, keys)| keys.contains(&key)).map(|(conn, _)| *conn);
        self.persisted.extend(watchers);
    }

    fn is_as_recorded(&self, at: usize, replies: &[Reply]) -> bool {
        let line = &self.lines[at].recorded;
        if line["reply"]["blocked"] == true || line["reply"]["none"] == true {
            return replies.is_empty();
        }
        let more = line["more"].as_array().map(Vec::as_slice).unwrap_or_default();
        let Some((first, others)) = replies.split_first() else { return false };
        if others.len() != more.len() {
            return false;
        }
        if self.lines[at].name == "unsubscribe" && self.lines[at].arguments.len() == 1 {
            // The channels come in any order, each with the number that is left.
            let parts = |reply: &Value| (reply["a"][1].clone(), reply["a"][2]["i"].as_u64());
            let recorded: Vec<_> = std::iter::once(&line["reply"]).chain(more).map(parts).collect();
            let numbers = replies.iter().zip(&recorded).all(|(reply, (_, number))| {
                matches!(reply, Reply::Array(parts) if matches!(parts[2], Reply::Integer(left) if u64::try_from(left).ok() == *number))
            });
            let named = |channel: &Value| {
                replies.iter().any(|reply| matches!(reply, Reply::Array(parts) if equal(channel, &parts[1])))
            };
            return numbers && recorded.iter().all(|(channel, _)| named(channel));
        }
        accepts(line, first)
            && others.len() == more.len()
            && more.iter().zip(others).all(|(one, other)| equal(one, other))
    }

    /// Compares EXEC's answer, without the commands that were not sent.
    fn compare_exec(&mut self, at: usize, replies: &[Reply]) {
        let queued = self.lines[at].queued.clone();
        let executed = self.lines[at].recorded["reply"]["a"].is_array();
        let conn = self.lines[at].conn;
        if !executed {
            queued.iter().for_each(|at| {
                self.left_out.remove(at);
            });
            self.compared += 1;
            if !self.is_as_recorded(at, replies) {
                self.complain(at, replies);
            }
            return;
        }
        let sent: Vec<usize> = queued.iter().copied().filter(|at| !self.left_out.contains(at)).collect();
        let elements = match replies {
            [Reply::Array(elements)] if elements.len() == sent.len() => elements.clone(),
            _ => return self.complain(at, replies),
        };
        let mut elements = elements.iter();
        self.compared += 1;
        for one in queued {
            let line = &self.lines[one];
            let (name, arguments) = (line.name.clone(), line.arguments.clone());
            let failed = line.outcome()["e"].is_string();
            let db = self.db(conn);
            if self.left_out.remove(&one) {
                if !failed {
                    self.session.spread(db, &name, &arguments, false);
                }
                continue;
            }
            let Some(element) = elements.next() else { return };
            if !failed {
                self.session.follow(conn, &name, &arguments);
            }
            if self.session.is_foreign(db, &name, &arguments) {
                self.session.spread(db, &name, &arguments, failed);
                continue;
            }
            let line = &self.lines[one];
            if !equal(line.outcome(), element) && !self.is_artefact(one, line.outcome(), element) {
                self.wrong.push(format!("line {}: {} => {element}", line.number, line.outcome()));
            }
        }
    }

    /// Whether a difference comes from how the line was recorded: from scripts, which count in floating point and quote
    /// errors, and from bytes of errors that are no text.
    fn is_artefact(&self, at: usize, recorded: &Value, reply: &Reply) -> bool {
        let script = self.lines[at].recorded["cmd"][0] == "EVAL";
        match reply {
            Reply::Error(text) => {
                let shown = text.escape_ascii().to_string();
                script && recorded["e"].is_string() || recorded["e"].as_str() == Some(&shown)
            }
            Reply::Integer(number) => script && recorded["i"].as_f64() == Some(*number as f64),
            _ => false,
        }
    }

    fn compare_pushes(&mut self, at: usize, excused: bool) {
        let own = self.lines[at].conn;
        let mut told = told(&self.lines[at]);
        let conns: Vec<u64> = (0..5).filter(|conn| *conn != own).collect();
        for conn in conns {
            let mut recorded = told.remove(&conn).unwrap_or_default();
            if !recorded.is_empty() && self.absent.remove(&conn) {
                recorded.clear();
            }
            let got = self.drain(conn);
            let same = recorded.len() == got.len() && recorded.iter().zip(&got).all(|(one, other)| equal(one, other));
            if same {
                continue;
            }
            let line = &self.lines[at];
            if excused || erratum(self.family, line.number, &line.recorded).is_some() {
                self.errata += 1;
                continue;
            }
            let shown: Vec<String> = got.iter().map(ToString::to_string).collect();
            let line = &self.lines[at];
            self.wrong.push(format!(
                "line {}: {} => client {conn} got {}",
                line.number,
                line.recorded,
                shown.join(" ")
            ));
        }
    }

    fn complain(&mut self, at: usize, replies: &[Reply]) {
        let shown: Vec<String> = replies.iter().map(ToString::to_string).collect();
        let line = &self.lines[at];
        if let [reply] = replies
            && self.is_artefact(at, &line.recorded["reply"], reply)
        {
            return;
        }
        // E-90, which is about what happened before.
        let overlooked =
            line.name == "exec" && matches!(replies, [Reply::NilArray]) && self.persisted.contains(&line.conn);
        if overlooked || erratum(self.family, line.number, &line.recorded).is_some() {
            // The recorded server holds something else now.
            let (db, touched) = (self.db(line.conn), line.queued.iter().chain([&at]));
            let keys = touched.flat_map(|one| self.session.keys(&self.lines[*one].name, &self.lines[*one].arguments));
            let changed: Vec<_> = keys.map(|key| (db, key.clone())).collect();
            self.session.foreign.extend(changed);
            self.errata += 1;
            return;
        }
        self.wrong.push(format!("line {}: {} => {}", line.number, line.recorded, shown.join(" ")));
    }
}

fn replay(family: &'static str, at_least: usize) {
    let mut replay = Replay::new(family);
    for at in 0..replay.lines.len() {
        replay.step(at);
    }
    let Replay { compared, passed_over, errata, wrong, .. } = replay;
    println!("{family}: {compared} lines compared, {errata} told otherwise for good reason, {passed_over} passed over");
    let shown = wrong.iter().take(20).map(String::as_str).collect::<Vec<_>>().join("\n");
    assert!(wrong.is_empty(), "{family}: {} lines differ, the first:\n{shown}", wrong.len());
    assert!(compared >= at_least, "only {compared} lines of {family} were compared");
}

#[test]
fn transactions_answer_as_recorded() {
    replay("transactions", 5000);
}

#[test]
fn subscribers_are_told_what_was_recorded() {
    replay("pubsub", 5900);
}

#[test]
fn keyspace_events_are_told_as_recorded() {
    replay("notify", 5000);
}

#[test]
fn blocked_clients_are_served_as_recorded() {
    replay("blocking", 4000);
}
