//! A command being judged: its arguments, and the state as a handler may read it.
//!
//! Where the state of a key is open, a look-up takes one of its options and notes that choice; the model then runs the handler
//! again for every other option, so that handlers never see more than one possible world.

use std::cell::RefCell;

use crate::clause::Clause;
use crate::client::{Client, ClientId};
use crate::commands::Command;
use crate::keyspace::{Entry, Fate, Slot};
use crate::model::Model;
use crate::plan::{Plan, Refusal};
use crate::reply::{Bytes, Reply};
use crate::span::Span;
use crate::value::{StringValue, Value};

/// A look-up that could go several ways, and the one it took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) db: usize,
    pub(crate) key: Bytes,
    /// Which of the slot's options holds in this world.
    pub(crate) taken: usize,
    /// How many there are; 1 for an expired key.
    pub(crate) options: usize,
    /// The look-up removes the key if it is expired.
    pub(crate) removes: bool,
}

/// A command being judged.
pub struct Call<'a> {
    /// The model's state before the command.
    pub model: &'a Model,
    /// Who sent it.
    pub client_id: ClientId,
    /// The sender's state.
    pub client: &'a Client,
    /// The command, name first.
    pub args: &'a [&'a [u8]],
    /// What the command table says of it, if it is known.
    pub command: Option<&'static Command>,
    /// When it ran.
    pub span: Span,
    /// The answer being judged, if there is one: where very much is allowed, a handler need name only what bears on it.
    pub answer: Option<&'a Reply>,
    pub(crate) choices: RefCell<Vec<Choice>>,
    pub(crate) cited: RefCell<Vec<Clause>>,
}

impl<'a> Call<'a> {
    /// The sender's database.
    pub fn db(&self) -> usize {
        self.client.db
    }

    /// Notes that the answer depends on this clause too.
    pub fn cite(&self, clause: Clause) {
        self.cited.borrow_mut().push(clause);
    }

    /// The key in the sender's database. An expired key is absent, and goes.
    pub fn find(&self, key: &[u8]) -> Option<&'a Entry> {
        self.find_in(self.db(), key)
    }

    /// The key in some database. An expired key is absent, and goes.
    pub fn find_in(&self, db: usize, key: &[u8]) -> Option<&'a Entry> {
        self.choose(db, key, true)
    }

    /// The key in the sender's database. An expired key is absent, but may stay.
    pub fn look(&self, key: &[u8]) -> Option<&'a Entry> {
        self.choose(self.db(), key, false)
    }

    /// What a key may hold that has expired and may not have been removed yet.
    pub fn ghosts(&self, key: &[u8]) -> impl Iterator<Item = &'a Entry> {
        let (known, versions) = match self.model.keyspace.slot(self.db(), key) {
            Some(Slot::Known(entry)) => (Some(entry), &[][..]),
            Some(Slot::Open(versions)) => (None, versions.as_slice()),
            None => (None, &[][..]),
        };
        known.into_iter().chain(versions.iter().flatten())
    }

    fn choose(&self, db: usize, key: &[u8], removes: bool) -> Option<&'a Entry> {
        let slot = self.model.keyspace.slot(db, key)?;
        if let Slot::Known(entry) = slot
            && entry.fate(self.span) == Fate::Alive
        {
            if entry.deadline.is_some() {
                self.cite(Clause::EXPIRY_2);
            }
            return Some(entry);
        }
        self.cite(Clause::EXPIRY_1);
        let options = slot.options(self.span);
        let mut choices = self.choices.borrow_mut();
        let made = choices.iter().find(|choice| choice.db == db && choice.key == key);
        let taken = match made {
            Some(choice) => choice.taken,
            None => {
                choices.push(Choice { db, key: key.to_vec(), taken: 0, options: options.len(), removes });
                0
            }
        };
        options.get(taken).copied().flatten()
    }

    /// The string at a key; an error if the key holds something else.
    pub fn find_string(&self, key: &[u8]) -> Result<Option<&'a StringValue>, Refusal> {
        match self.find(key).map(|entry| &entry.value) {
            None => Ok(None),
            Some(Value::String(string)) => Ok(Some(string)),
            Some(_) => Err(Self::wrong_type()),
        }
    }

    /// The refusal of a key that holds another type.
    pub fn wrong_type() -> Refusal {
        Refusal::new(Clause::DB_3, "WRONGTYPE Operation against a key holding the wrong kind of value")
    }

    /// What an error message quotes of an argument: the bytes up to the first NUL, at most `limit` of them, CR and LF as
    /// spaces.
    pub fn quotable(argument: &[u8], limit: usize) -> Bytes {
        let end = argument.iter().position(|&byte| byte == 0).unwrap_or(argument.len());
        let cut = &argument[..end.min(limit)];
        cut.iter().map(|&byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte }).collect()
    }

    /// The refusal of a wrong number of arguments.
    pub fn wrong_arity(&self) -> Refusal {
        let mut line = b"ERR wrong number of arguments for '".to_vec();
        line.extend(self.args[0].to_ascii_lowercase());
        line.extend(b"' command");
        Refusal::with(Clause::DISPATCH_3, line)
    }
}

/// A command's implementation: reads, and answers what is acceptable and what follows.
pub type Handler = fn(&Call<'_>) -> Result<Plan, Refusal>;
