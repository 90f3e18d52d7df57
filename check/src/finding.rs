//! What was found: the wrong, the command it belongs to, and how it is told to people.

use std::fmt;

use tally_model::{Clause, Deviation, Reply};

use crate::propagation;
use crate::request::{Quoted, Request};
use crate::script::Slot;
use crate::target::TargetError;

/// What was found wrong.
#[derive(Clone, Debug)]
pub enum Wrong {
    /// An answer that the specification does not allow.
    Answer(Box<Deviation>),
    /// The target gave no answer that could be judged.
    Target(TargetError),
    /// What another client received because of the command, or did not.
    Delivery(Box<Delivery>),
    /// What was handed on to the AOF or to replicas.
    Propagation(propagation::Mismatch),
    /// An invariant inside the target.
    Invariant(String),
    /// The dataset that came out of a file.
    File(String),
    /// A key's value is not stored as it should be.
    Encoding {
        /// The key.
        key: Vec<u8>,
        /// As OBJECT ENCODING should name it.
        expected: &'static str,
        /// As it would.
        received: &'static str,
    },
}

/// What was wrong with what a client received without having asked for it just now: a published message, a line of
/// MONITOR, the reply to a command that had blocked, the end of its connection.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Who received it, or should have.
    pub to: Slot,
    /// What is wrong.
    pub sort: DeliverySort,
    /// The clause that says so, where there is one.
    pub clause: Option<Clause>,
    /// What was due next, in words.
    pub due: String,
    /// What came.
    pub came: Came,
}

/// What a client received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Came {
    /// Nothing.
    Nothing,
    /// This.
    Message(Reply),
    /// The end of its connection.
    Closed,
}

impl fmt::Display for Came {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::Message(reply) => write!(f, "{reply}"),
            Self::Closed => f.write_str("(closed)"),
        }
    }
}

/// The sort of a wrong delivery; part of a finding's fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeliverySort {
    /// What was due did not come.
    Missing,
    /// Something else came in its place.
    Differs,
    /// Something came although nothing was due.
    Unexpected,
    /// The null reply of a blocked client came before its time was over.
    Early,
    /// It did not come although its time is long over.
    Overdue,
}

/// Something found, and where.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Number of the command in its episode, from 0.
    pub command: usize,
    /// Which client sent it.
    pub client: Slot,
    /// What it sent.
    pub request: Request,
    /// What is wrong with what followed.
    pub wrong: Wrong,
}

/// What makes two findings the same bug for the shrinker.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    /// The command's name in lower case.
    pub command: String,
    /// The sort of wrong.
    pub kind: String,
    /// The clause it departs from, where there is one.
    pub clause: Option<&'static str>,
}

impl Finding {
    /// What a smaller script must show to count as showing the same.
    pub fn fingerprint(&self) -> Fingerprint {
        let command = String::from_utf8_lossy(self.request.name()).to_ascii_lowercase();
        let (kind, clause) = match &self.wrong {
            Wrong::Answer(deviation) => (format!("{:?}", deviation.kind), Some(deviation.clause.id())),
            Wrong::Target(TargetError::Crashed(text)) => {
                return Fingerprint { command: "crash".to_owned(), kind: text.clone(), clause: None };
            }
            Wrong::Target(TargetError::Timeout(_)) => ("timeout".to_owned(), None),
            Wrong::Target(TargetError::Protocol(_)) => ("protocol".to_owned(), None),
            Wrong::Target(_) => ("connection".to_owned(), None),
            // Whichever command of a pipeline it was, and however a key was made ready: the same was due, or came.
            Wrong::Delivery(delivery) => {
                return Fingerprint {
                    command: "delivery".to_owned(),
                    kind: format!("{:?} {}", delivery.sort, delivery.shape()),
                    clause: delivery.clause.map(Clause::id),
                };
            }
            Wrong::Propagation(_) => ("propagation".to_owned(), None),
            Wrong::Invariant(_) => ("invariant".to_owned(), None),
            Wrong::File(_) => ("file".to_owned(), None),
            // In the middle of a pipeline another command is the last before it is looked at.
            Wrong::Encoding { expected, received, .. } => {
                return Fingerprint {
                    command: "encoding".to_owned(),
                    kind: format!("{received} for {expected}"),
                    clause: None,
                };
            }
        };
        Fingerprint { command, kind, clause }
    }

    /// The clause, where one is known.
    pub fn clause(&self) -> Option<Clause> {
        match &self.wrong {
            Wrong::Answer(deviation) => Some(deviation.clause),
            Wrong::Delivery(delivery) => delivery.clause,
            _ => None,
        }
    }

    /// What would have been right, in words.
    pub fn expected(&self) -> String {
        match &self.wrong {
            Wrong::Answer(deviation) => deviation.allowed.to_string(),
            Wrong::Target(_) => "an answer".to_owned(),
            Wrong::Delivery(delivery) => format!("client {} then receives {}", delivery.to, delivery.due),
            Wrong::Propagation(mismatch) => mismatch.expected(),
            Wrong::Invariant(_) => "every invariant holds".to_owned(),
            Wrong::File(_) => "the dataset as it was".to_owned(),
            Wrong::Encoding { key, expected, .. } => format!("{} then stored as {expected}", Quoted(key)),
        }
    }

    /// What came, in words.
    pub fn received(&self) -> String {
        match &self.wrong {
            Wrong::Answer(deviation) => {
                let mut text = deviation.received.iter().map(Reply::to_string).collect::<Vec<_>>().join(" then ");
                if deviation.received.is_empty() {
                    text.push_str("no reply");
                }
                if deviation.closed {
                    text.push_str(", connection closed");
                }
                text
            }
            Wrong::Target(error) => error.to_string(),
            Wrong::Delivery(delivery) => format!("client {}: {}", delivery.to, delivery.came),
            Wrong::Propagation(mismatch) => mismatch.received(),
            Wrong::Invariant(text) | Wrong::File(text) => text.clone(),
            Wrong::Encoding { received, .. } => format!("stored as {received}"),
        }
    }
}

impl Delivery {
    /// What came, without what differs from run to run.
    fn shape(&self) -> String {
        match &self.came {
            Came::Nothing => "nothing".to_owned(),
            Came::Closed => "closed".to_owned(),
            Came::Message(Reply::Array(parts)) => match parts.first() {
                Some(Reply::Bulk(word)) if word.ends_with(b"message") => String::from_utf8_lossy(word).into_owned(),
                _ => "array".to_owned(),
            },
            Came::Message(Reply::Error(line)) => String::from_utf8_lossy(Reply::error_code(line)).into_owned(),
            Came::Message(Reply::NilBulk | Reply::NilArray) => "null".to_owned(),
            Came::Message(_) => "reply".to_owned(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "client {}: {}", self.client, self.request)?;
        writeln!(f, "  expected {}", self.expected())?;
        writeln!(f, "  received {}", self.received())?;
        match self.clause() {
            Some(clause) => write!(f, "  clause   [{}]", clause.id()),
            None => write!(f, "  clause   none"),
        }
    }
}
