//! Several connections in a transcript: transactions, and what others receive of a line.
//!
//! A transaction is kept back until its end, because nobody knows before whether the model has all of its commands. What the
//! model lacks may serve blocked clients and touch watched keys: then the model is told what became of them.

use std::collections::{BTreeMap, BTreeSet};

use tally_model::{Allowed, ClientId, Due, ErrorPolicy, Peer, commands};

use crate::recorded::{self, Line};
use crate::replay::Replay;

/// What the replay knows of its connections.
#[derive(Default)]
pub(crate) struct Company {
    /// Lines of transactions that have not ended.
    transactions: BTreeMap<u64, Vec<Line>>,
    /// Keys that connections watch.
    watched: BTreeMap<u64, BTreeSet<(usize, Vec<u8>)>>,
    /// Connections of whose watched keys one was changed, or may have been, by something that the model lacks.
    tainted: BTreeSet<u64>,
    /// The model was asked about the line.
    pub(crate) judged: bool,
}

fn is_transaction_end(line: &Line) -> bool {
    ["EXEC", "DISCARD"].contains(&line.name().as_str()) && line.command.len() == 1
}

/// The scripts of the recordings that come down to one command, if they succeeded, as that command.
fn without_script(line: &Line, reply: &serde_json::Value) -> Line {
    let words: Vec<&[u8]> = line.command.iter().map(Vec::as_slice).collect();
    let [_, script, b"1", key] = words.as_slice() else { return line.clone() };
    let command: &[&[u8]] = match *script {
        b"redis.call('rpush',KEYS[1],'e1','e2') return redis.call('llen',KEYS[1])" => &[b"RPUSH", key, b"e1", b"e2"],
        b"return redis.call(\"incr\",KEYS[1])" => &[b"INCR", key],
        _ => return line.clone(),
    };
    if line.name() != "EVAL" || reply.get("i").is_none() {
        return line.clone();
    }
    Line { command: command.iter().map(|word| word.to_vec()).collect(), ..line.clone() }
}

impl Replay {
    /// One line, or its part in a transaction, and what other connections received.
    pub(crate) fn take(&mut self, line: &Line) {
        let line = &without_script(line, &line.reply);
        self.company.judged = false;
        let unknown = self.unknown.clone();
        let connection = line.connection;
        let succeeded = !line.fails();
        if self.company.transactions.contains_key(&connection) && is_transaction_end(line) {
            let lines = self.company.transactions.remove(&connection).unwrap();
            self.end_transaction(lines, line);
            self.company.watched.remove(&connection);
        } else if let Some(lines) = self.company.transactions.get_mut(&connection) {
            lines.push(line.clone());
            return;
        } else if line.name() == "MULTI" && line.reply == serde_json::json!({"s": "OK"}) {
            self.company.transactions.insert(connection, vec![line.clone()]);
            return;
        } else {
            self.line(line);
            let db = self.model.selected_db(ClientId(connection));
            match line.name().as_str() {
                "WATCH" if succeeded => {
                    for key in &line.command[1..] {
                        if self.unknown.contains(&(db, key.clone())) {
                            self.company.tainted.insert(connection);
                        }
                        self.company.watched.entry(connection).or_default().insert((db, key.clone()));
                    }
                }
                "UNWATCH" if succeeded => {
                    self.company.watched.remove(&connection);
                    self.company.tainted.remove(&connection);
                }
                _ => {}
            }
        }
        self.taint(&unknown);
        self.receive(line);
    }

    /// Keys that became known or unknown may have been changed.
    fn taint(&mut self, before: &BTreeSet<(usize, Vec<u8>)>) {
        for (connection, watched) in &self.company.watched {
            if watched.iter().any(|key| before.contains(key) || self.unknown.contains(key)) {
                self.company.tainted.insert(*connection);
            }
        }
    }

    /// Whether the model has a command and knows the keys that it works on.
    fn knows(&self, db: usize, line: &Line) -> bool {
        let command: Vec<&[u8]> = line.command.iter().map(Vec::as_slice).collect();
        let Some(spec) = commands::find(command[0]) else {
            // What is no command of Redis either is refused by both.
            return line.name() == "NOSUCHCMD";
        };
        !spec.used_keys(&command).any(|place| self.unknown.contains(&(db, command[place].to_vec())))
    }

    fn end_transaction(&mut self, lines: Vec<Line>, end: &Line) {
        let connection = end.connection;
        let client = ClientId(connection);
        let db = self.model.selected_db(client);
        let nothing = end.reply == serde_json::json!({"nil": "array"});
        let tainted = self.company.tainted.remove(&connection);
        if tainted {
            self.make(client, &[b"UNWATCH"]);
        }
        // The reply of each queued script stands in EXEC's.
        let queued: Vec<usize> =
            (0..lines.len()).filter(|&place| lines[place].reply == serde_json::json!({"s": "QUEUED"})).collect();
        let mut lines = lines;
        for (element, &place) in queued.iter().enumerate() {
            lines[place] = without_script(&lines[place], &end.reply["a"][element]);
        }
        // What the model lacks and what had no effect is replaced by a command without one.
        let mut end = end.clone();
        let mut streams: Vec<Vec<u8>> = Vec::new();
        for (element, &place) in queued.iter().enumerate() {
            let answer = end.reply["a"][element].clone();
            let line = &lines[place];
            let is_stream_command = line.name().starts_with('X');
            if commands::find(&line.command[0]).is_some() || !is_stream_command && answer.get("e").is_none() {
                continue;
            }
            if line.name() == "XADD" && answer.get("e").is_none() {
                let others = lines.iter().enumerate().filter(|(other, _)| *other != place);
                if nothing || others.into_iter().any(|(_, other)| other.command[1..].contains(&line.command[1])) {
                    continue;
                }
                streams.push(line.command[1].clone());
            }
            lines[place].command = vec![b"ECHO".to_vec(), b"x".to_vec()];
            if answer != serde_json::Value::Null {
                end.reply["a"][element] = serde_json::json!({"b": "x"});
            }
        }
        let end = &end;
        let known = lines.iter().all(|line| self.knows(db, line));
        if known && !(tainted && nothing) {
            let db = self.model.selected_db(client);
            self.unknown.extend(streams.into_iter().map(|key| (db, key)));
            for line in lines.iter().chain([end]) {
                let command: Vec<&[u8]> = line.command.iter().map(Vec::as_slice).collect();
                let reply = recorded::reply(&line.reply).unwrap();
                self.judge(client, &command, &reply, line);
            }
            return;
        }
        self.counts.unknown_key += lines.len() + 1;
        self.make(client, &[b"UNWATCH"]);
        if end.name() == "EXEC" && !nothing && !end.fails() {
            let db = self.model.selected_db(client);
            self.unknown.extend(streams.into_iter().map(|key| (db, key)));
            for line in lines.iter().filter(|line| line.reply == serde_json::json!({"s": "QUEUED"})) {
                let command: Vec<&[u8]> = line.command.iter().map(Vec::as_slice).collect();
                let db = self.model.selected_db(client);
                match commands::find(command[0]) {
                    Some(spec) if spec.name == "flushall" => {
                        self.unknown.clear();
                        self.make(client, &command);
                    }
                    Some(spec) if spec.name == "flushdb" => {
                        self.unknown.retain(|(of, _)| *of != db);
                        self.make(client, &command);
                    }
                    Some(spec) if spec.name == "select" => {
                        if let Allowed::Exactly(_) = self.model.allowed(client, &command, self.span()) {
                            self.make(client, &command);
                        }
                    }
                    Some(spec) if !spec.flags.starts_with("write") => {}
                    Some(spec) => {
                        let keys: Vec<_> =
                            spec.used_keys(&command).map(|place| (db, command[place].to_vec())).collect();
                        self.unknown.extend(keys);
                    }
                    None => self.unknown.extend(command[1..].iter().map(|word| (db, word.to_vec()))),
                }
            }
        }
    }

    /// Holds what other connections received against what is due to them.
    fn receive(&mut self, line: &Line) {
        let mut due = self.model.take_due();
        for (connection, reply) in line.pushes() {
            let client = ClientId(connection);
            // What need not come did not, if something else of the client's comes.
            let admits = |due: &Due| due.client == client && due.admits(&reply, ErrorPolicy::Exact);
            let place = due.iter().position(|due| due.client == client && (!due.optional || admits(due)));
            let expected = match place {
                Some(place) if admits(&due[place]) => {
                    let mut later = due.split_off(place);
                    later.remove(0);
                    due.retain(|due| due.client != client);
                    due.append(&mut later);
                    true
                }
                _ => self.company.judged && self.model.unsolicited(client, &reply, self.span()).is_ok(),
            };
            due.extend(self.model.take_due());
            if expected {
                self.counts.pushes += 1;
            } else if self.company.judged && !self.served_by_the_unknown(client) {
                let next = place.map(|place| due[place].allowed.to_string());
                panic!("line {}: connection {connection} received {reply}, due is {next:?}", line.number)
            } else {
                // Something that the model lacks served it.
                self.reconnect(client);
            }
        }
        // Where the model does not know what a line did it cannot know what others receive.
        if self.company.judged {
            let left: Vec<String> =
                due.iter().filter(|due| !due.optional).map(|due| format!("{:?} {}", due.client, due.allowed)).collect();
            assert!(left.is_empty(), "line {}: {left:?} did not come", line.number);
        }
    }

    /// A client that waits in a command that the model lacks, or is served by keys that the model does not know.
    fn served_by_the_unknown(&self, client: ClientId) -> bool {
        !self.model.is_blocked(client) && !self.model.is_subscribed(client)
    }

    fn reconnect(&mut self, client: ClientId) {
        if self.model.is_blocked(client) {
            self.model.disconnect(client);
            self.model.connect(client, Peer { local: true, ..Peer::default() });
        }
    }
}
