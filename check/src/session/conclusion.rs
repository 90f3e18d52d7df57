//! What is asked in the end: everything the model knows, the target's invariants, and its files.

use tally_model::value::Kind;

use super::{Deliveries, Finding, Harvest, Sent, Session, Wrong};
use crate::coverage::Coverage;
use crate::request::Request;
use crate::target::{Target, TargetError};

/// Keys that a second server is asked for.
const AUDITED_KEYS: usize = 500;

impl Session<'_> {
    /// Questions about everything the model knows, so that no difference stays hidden at the end.
    pub fn audit(&self, most_keys: usize) -> Vec<Sent> {
        let mut questions: Vec<Sent> = Vec::new();
        let mut ask = |words: &[&[u8]]| questions.push(Sent { request: words.into(), inline: false });
        let mut database = None;
        for record in self.model.dataset(self.target.span()).take(most_keys) {
            if database != Some(record.db) {
                database = Some(record.db);
                ask(&[b"SELECT", record.db.to_string().as_bytes()]);
                ask(&[b"DBSIZE"]);
            }
            ask(&[b"TYPE", record.key]);
            ask(&[b"PTTL", record.key]);
            let kind = record.entry.map_or(Kind::String, |entry| entry.value.kind());
            match kind {
                Kind::String => ask(&[b"GET", record.key]),
                Kind::List => ask(&[b"LRANGE", record.key, b"0", b"-1"]),
                Kind::Set => ask(&[b"SMEMBERS", record.key]),
                Kind::Zset => ask(&[b"ZRANGE", record.key, b"0", b"-1", b"WITHSCORES"]),
                Kind::Hash => ask(&[b"HGETALL", record.key]),
                Kind::Stream => {
                    ask(&[b"XRANGE", record.key, b"-", b"+"]);
                    ask(&[b"XINFO", b"STREAM", record.key]);
                    ask(&[b"XINFO", b"GROUPS", record.key]);
                    let groups = self.model.stream(record.db, record.key).into_iter().flat_map(|stream| &stream.groups);
                    for (name, _) in groups {
                        ask(&[b"XPENDING", record.key, name, b"-", b"+", b"1000000"]);
                        ask(&[b"XINFO", b"CONSUMERS", record.key, name]);
                    }
                }
            }
            ask(&[b"OBJECT", b"ENCODING", record.key]);
        }
        questions
    }

    /// Checks what no client can see: the target's invariants, that its AOF holds the dataset, and that what replicas are
    /// sent leads to it.
    pub fn conclude(&mut self) -> Result<(), Box<Finding>> {
        self.target.validate().map_err(|text| self.at_end(Wrong::Invariant(text)))?;
        if self.file_is_ambiguous || self.lost {
            return Ok(());
        }
        let wrong = |error: TargetError| self.at_end(Wrong::File(error.to_string()));
        let restarted = self.target.restarted_from_aof().map_err(wrong)?;
        let replica = match &self.ledger {
            Some(ledger) => self.target.replica(ledger.errors()).map_err(wrong)?,
            None => None,
        };
        for (second, how) in [(restarted, "after loading the AOF"), (replica, "on a replica")] {
            if let Some(mut second) = second {
                self.holds_the_same(&mut *second, how)?;
            }
        }
        Ok(())
    }

    fn at_end(&self, wrong: Wrong) -> Box<Finding> {
        let request = Request::from(&[b"(end)"][..]);
        Box::new(Finding { command: self.commands, client: 0, request, wrong })
    }

    /// Asks a second server for the dataset.
    fn holds_the_same(&self, second: &mut dyn Target, how: &str) -> Result<(), Box<Finding>> {
        // Encodings may differ: a value that came in pieces is written to the file as one. DBSIZE may too, because a key
        // that has expired is still in the file; KEYS hides it.
        let mut questions: Vec<Sent> =
            self.audit(AUDITED_KEYS).into_iter().filter(|sent| is_in_file(&sent.request)).collect();
        for question in questions.iter_mut().filter(|sent| sent.request.is(0, "dbsize")) {
            question.request = ["KEYS", "*"].iter().collect();
        }
        let mut uncounted = Coverage::default();
        let mut model = self.model.clone();
        // The second server knows none of these connections.
        for client in self.clients.iter().flatten() {
            model.disconnect(client.id);
        }
        let mut session = Session {
            target: second,
            model,
            coverage: &mut uncounted,
            harvest: Harvest::default(),
            clients: Vec::new(),
            commands: 0,
            outgoing: Vec::new(),
            replies: Vec::new(),
            ledger: None,
            deliveries: Deliveries::default(),
            errors: self.errors,
            paused_until_ms: i64::MIN,
            ran: Vec::new(),
            sees_encodings: false,
            file_is_ambiguous: false,
            lost: false,
        };
        for batch in questions.chunks(32) {
            session.batch(1, batch, |_, _| {}).map_err(|finding| {
                let text = format!("{how} {} answers {}", finding.request, finding.received());
                self.at_end(Wrong::File(text))
            })?;
        }
        Ok(())
    }
}

/// Does the AOF hold what the question is about? It holds no encodings, and not when consumers were last seen.
fn is_in_file(question: &Request) -> bool {
    !(question.is(0, "object") || question.is(0, "xinfo") && question.is(1, "consumers"))
}
