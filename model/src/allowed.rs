//! What the specification lets a server answer.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::clause::Clause;
use crate::profile::ErrorPolicy;
use crate::reply::{Bytes, Reply, quoted};
use crate::span::Outcome;

/// A check that no simple shape expresses, for example an INFO text: answers what is wrong with the reply, if anything.
pub type Check = fn(&Reply) -> Result<(), String>;

/// A shape of reply that no simple variant expresses, with what it has to hold: an INFO text, a CLIENT LIST, a payload.
pub trait Judge: fmt::Debug + Send + Sync {
    /// What the reply should be, for people.
    fn describe(&self) -> String;
    /// What is wrong with a reply, if anything.
    fn judge(&self, reply: &Reply) -> Result<(), String>;
}

/// A set of acceptable outcomes of one command.
#[derive(Clone, Debug)]
pub enum Allowed {
    /// This reply.
    Exactly(Reply),
    /// An array of these elements in any order.
    AnyOrder(Vec<Reply>),
    /// An array of these pairs in any order, the two of a pair one after the other.
    PairsInAnyOrder(Vec<(Reply, Reply)>),
    /// An array of different bulk strings: all of `must`, and any of `may`.
    Between {
        /// Elements that have to be there.
        must: BTreeSet<Bytes>,
        /// Elements that may be there.
        may: BTreeSet<Bytes>,
    },
    /// One bulk string of the pool.
    OneOf(BTreeSet<Bytes>),
    /// A page of SCAN: an opaque cursor, then keys of the pool, repetitions allowed; if the cursor is 0 (the iteration
    /// ends), all of `missing` among them.
    Page {
        /// Keys that may be in it.
        pool: BTreeSet<Bytes>,
        /// Keys that the iteration still owes.
        missing: BTreeSet<Bytes>,
    },
    /// An integer in this range.
    Within(RangeInclusive<i64>),
    /// An array of these, element by element.
    Elements(Vec<Allowed>),
    /// This error: the whole line, code first.
    Error(Cow<'static, [u8]>),
    /// A reply that passes a check; the text says what it should be.
    Checked(&'static str, Check),
    /// A reply that a judge finds nothing wrong with.
    Judged(Arc<dyn Judge>),
    /// Either of two.
    Either(Box<Allowed>, Box<Allowed>),
    /// No reply at all.
    Nothing,
    /// Several replies, one after the other.
    Several(Vec<Allowed>),
    /// The ends of subscriptions, one reply each, in any order of the names: an array of the kind, the name and how many
    /// subscriptions are left then, which in the end are so many.
    Departures {
        /// `unsubscribe`
        kind: &'static str,
        /// What the subscriptions are to.
        names: BTreeSet<Bytes>,
        /// The last number.
        left: i64,
    },
    /// This, and then the connection is closed.
    Closing(Box<Allowed>),
    /// Left open by this clause: counted and reported, never silent.
    Unspecified(Clause),
}

impl Allowed {
    /// `+OK`
    pub fn ok() -> Self {
        Self::Exactly(Reply::ok())
    }

    /// Whether the outcome is one of the allowed ones.
    pub fn admits(&self, outcome: &Outcome<'_>, errors: ErrorPolicy) -> bool {
        match self {
            Self::Closing(inner) => outcome.closed && inner.admits(&Outcome { closed: false, ..*outcome }, errors),
            Self::Either(one, other) => one.admits(outcome, errors) || other.admits(outcome, errors),
            Self::Nothing => outcome.replies.is_empty() && !outcome.closed,
            Self::Several(parts) => {
                !outcome.closed
                    && parts.len() == outcome.replies.len()
                    && parts.iter().zip(outcome.replies).all(|(part, reply)| part.admits_reply(reply, errors))
            }
            Self::Departures { kind, names, left } => {
                let last = i64::try_from(names.len()).unwrap_or(i64::MAX).saturating_add(*left);
                let mut rest = names.clone();
                let fits = |(reply, count): (&Reply, i64)| match reply {
                    Reply::Array(parts) => match parts.as_slice() {
                        [Reply::Bulk(of), Reply::Bulk(name), Reply::Integer(number)] => {
                            of == kind.as_bytes() && *number == count && rest.remove(name)
                        }
                        _ => false,
                    },
                    _ => false,
                };
                !outcome.closed
                    && outcome.replies.len() == names.len()
                    && outcome.replies.iter().zip((*left..last).rev()).all(fits)
            }
            _ => match outcome.replies {
                [reply] if !outcome.closed => self.admits_reply(reply, errors),
                _ => false,
            },
        }
    }

    /// Whether one reply is allowed.
    pub fn admits_reply(&self, reply: &Reply, errors: ErrorPolicy) -> bool {
        match (self, reply) {
            (Self::Exactly(wanted), reply) => wanted == reply,
            (Self::AnyOrder(wanted), Reply::Array(got)) => {
                let mut wanted: Vec<&Reply> = wanted.iter().collect();
                let mut got: Vec<&Reply> = got.iter().collect();
                wanted.sort();
                got.sort();
                wanted == got
            }
            (Self::PairsInAnyOrder(wanted), Reply::Array(got)) => {
                let (pairs, rest) = got.as_chunks::<2>();
                let mut wanted: Vec<(&Reply, &Reply)> = wanted.iter().map(|(one, other)| (one, other)).collect();
                let mut got: Vec<(&Reply, &Reply)> = pairs.iter().map(|[one, other]| (one, other)).collect();
                wanted.sort();
                got.sort();
                rest.is_empty() && wanted == got
            }
            (Self::Between { must, may }, Reply::Array(got)) => {
                let Some(elements) = bulks(got) else { return false };
                let distinct: BTreeSet<&[u8]> = elements.iter().copied().collect();
                distinct.len() == elements.len()
                    && must.iter().all(|key| distinct.contains(key.as_slice()))
                    && elements.iter().all(|&key| must.contains(key) || may.contains(key))
            }
            (Self::OneOf(pool), Reply::Bulk(got)) => pool.contains(got),
            (Self::Page { pool, missing }, Reply::Array(parts)) => {
                let [Reply::Bulk(cursor), Reply::Array(keys)] = parts.as_slice() else { return false };
                let Some(keys) = bulks(keys) else { return false };
                let last = cursor == b"0";
                is_cursor(cursor)
                    && keys.iter().all(|&key| pool.contains(key))
                    && (!last || missing.iter().all(|key| keys.contains(&key.as_slice())))
            }
            (Self::Within(range), Reply::Integer(value)) => range.contains(value),
            (Self::Elements(wanted), Reply::Array(got)) => {
                wanted.len() == got.len()
                    && wanted.iter().zip(got).all(|(wanted, got)| wanted.admits_reply(got, errors))
            }
            (Self::Error(wanted), Reply::Error(got)) => match errors {
                ErrorPolicy::Exact => wanted.as_ref() == got.as_slice(),
                ErrorPolicy::CodeOnly => Reply::error_code(wanted) == Reply::error_code(got),
            },
            (Self::Checked(_, check), reply) => check(reply).is_ok(),
            (Self::Judged(judge), reply) => judge.judge(reply).is_ok(),
            (Self::Either(one, other), reply) => one.admits_reply(reply, errors) || other.admits_reply(reply, errors),
            (Self::Unspecified(_), _) => true,
            _ => false,
        }
    }

    /// Whether the connection has to end.
    pub(crate) fn closes(&self) -> bool {
        matches!(self, Self::Closing(_))
    }

    /// How many replies are due.
    pub(crate) fn count(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Several(parts) => parts.len(),
            Self::Departures { names, .. } => names.len(),
            Self::Closing(inner) => inner.count(),
            Self::Either(one, _) => one.count(),
            _ => 1,
        }
    }

    pub(crate) fn expects_error(&self) -> bool {
        match self {
            Self::Error(_) => true,
            Self::Closing(inner) => inner.expects_error(),
            Self::Either(one, other) => one.expects_error() && other.expects_error(),
            _ => false,
        }
    }

    /// Whether the reply has a RESP type that is allowed.
    pub(crate) fn same_type(&self, reply: &Reply) -> bool {
        match self {
            Self::Exactly(wanted) => std::mem::discriminant(wanted) == std::mem::discriminant(reply),
            Self::AnyOrder(_)
            | Self::PairsInAnyOrder(_)
            | Self::Between { .. }
            | Self::Page { .. }
            | Self::Elements(_)
            | Self::Departures { .. } => {
                matches!(reply, Reply::Array(_))
            }
            Self::OneOf(_) => matches!(reply, Reply::Bulk(_)),
            Self::Within(_) => matches!(reply, Reply::Integer(_)),
            Self::Error(_) => matches!(reply, Reply::Error(_)),
            Self::Either(one, other) => one.same_type(reply) || other.same_type(reply),
            Self::Closing(inner) => inner.same_type(reply),
            Self::Several(parts) => parts.first().is_some_and(|part| part.same_type(reply)),
            Self::Checked(..) | Self::Judged(_) | Self::Unspecified(_) => true,
            Self::Nothing => false,
        }
    }

    /// Whether anything at all was checked.
    pub(crate) fn is_unspecified(&self) -> bool {
        match self {
            Self::Unspecified(_) => true,
            Self::Closing(inner) => inner.is_unspecified(),
            _ => false,
        }
    }
}

fn bulks(replies: &[Reply]) -> Option<Vec<&[u8]>> {
    replies
        .iter()
        .map(|reply| match reply {
            Reply::Bulk(bytes) => Some(bytes.as_slice()),
            _ => None,
        })
        .collect()
}

/// A cursor is an unsigned 64-bit integer in decimal.
pub(crate) fn is_cursor(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| text.parse::<u64>().is_ok_and(|value| value.to_string() == text))
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = |f: &mut fmt::Formatter<'_>, keys: &BTreeSet<Bytes>| {
            const SHOWN: usize = 16;
            f.write_str("{")?;
            for (index, key) in keys.iter().take(SHOWN).enumerate() {
                write!(f, "{}{}", if index > 0 { ", " } else { "" }, quoted(key))?;
            }
            if keys.len() > SHOWN {
                write!(f, ", and {} more", keys.len() - SHOWN)?;
            }
            f.write_str("}")
        };
        match self {
            Self::Exactly(reply) => write!(f, "{reply}"),
            Self::AnyOrder(elements) => write!(f, "{} in any order", Reply::Array(elements.clone())),
            Self::PairsInAnyOrder(pairs) => {
                let elements = pairs.iter().flat_map(|(one, other)| [one.clone(), other.clone()]).collect();
                write!(f, "{} with its pairs in any order", Reply::Array(elements))
            }
            Self::Between { must, may } => {
                f.write_str("all of ")?;
                keys(f, must)?;
                if !may.is_empty() {
                    f.write_str(" and any of ")?;
                    keys(f, may)?;
                }
                Ok(())
            }
            Self::OneOf(pool) => {
                f.write_str("one of ")?;
                keys(f, pool)
            }
            Self::Page { pool, missing } => {
                f.write_str("a cursor and keys of ")?;
                keys(f, pool)?;
                if !missing.is_empty() {
                    f.write_str(", and before the cursor 0 also ")?;
                    keys(f, missing)?;
                }
                Ok(())
            }
            Self::Within(range) => write!(f, "(integer) {} to {}", range.start(), range.end()),
            Self::Elements(parts) => {
                f.write_str("[")?;
                for (index, part) in parts.iter().enumerate() {
                    write!(f, "{}{part}", if index > 0 { ", " } else { "" })?;
                }
                f.write_str("]")
            }
            Self::Error(line) => write!(f, "(error) {}", String::from_utf8_lossy(line)),
            Self::Checked(text, _) => f.write_str(text),
            Self::Judged(judge) => f.write_str(&judge.describe()),
            Self::Either(one, other) => write!(f, "{one} or {other}"),
            Self::Nothing => f.write_str("no reply"),
            Self::Several(parts) => {
                for (index, part) in parts.iter().enumerate() {
                    write!(f, "{}{part}", if index > 0 { " then " } else { "" })?;
                }
                Ok(())
            }
            Self::Departures { kind, names, left } => {
                write!(f, "a {kind} for each of ")?;
                keys(f, names)?;
                write!(f, " down to {left}")
            }
            Self::Closing(inner) => write!(f, "{inner}, then the connection closed"),
            Self::Unspecified(clause) => write!(f, "anything ({})", clause.id()),
        }
    }
}
