//! The argument grammar of every command, as data.
//!
//! One definition serves the generator, the key positions that the shrinker slices by, and the synopses of `tally spec`.
//! A grammar says what *fits*; the generator strays from it on purpose.

mod blocking;
mod connection;
mod geo;
mod hashes;
mod hyperloglog;
pub mod index;
mod keys;
mod lists;
mod pubsub;
mod scripting;
mod server;
mod sets;
mod sort;
mod streams;
mod strings;
mod transactions;
mod zsets;

use std::fmt;

use tally_model::value::Kind;

use crate::request::Request;

/// A group of commands that belong together; `--family` names one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// String values and counters.
    Strings,
    /// Strings as arrays of bits.
    Bits,
    /// Keys whatever their type: deletion, renaming, databases, iteration.
    Keys,
    /// Deadlines.
    Expiry,
    /// DUMP and RESTORE.
    Dump,
    /// What a client says about its connection.
    Connection,
    /// Introspection and configuration.
    Server,
    /// DEBUG, and the dataset's way through files.
    Debug,
    /// Lists.
    Lists,
    /// Sets.
    Sets,
    /// Sorted sets.
    Zsets,
    /// Hashes.
    Hashes,
    /// HyperLogLogs.
    HyperLogLog,
    /// Sorted sets of places.
    Geo,
    /// SORT.
    Sort,
    /// Streams.
    Streams,
    /// MULTI, EXEC, WATCH.
    Transactions,
    /// Commands that wait.
    Blocking,
    /// Channels.
    PubSub,
    /// EVAL and SCRIPT.
    Scripting,
}

impl Family {
    /// All of them.
    pub const ALL: [Self; 20] = [
        Self::Strings,
        Self::Bits,
        Self::Keys,
        Self::Expiry,
        Self::Dump,
        Self::Connection,
        Self::Server,
        Self::Debug,
        Self::Lists,
        Self::Sets,
        Self::Zsets,
        Self::Hashes,
        Self::HyperLogLog,
        Self::Geo,
        Self::Sort,
        Self::Streams,
        Self::Transactions,
        Self::Blocking,
        Self::PubSub,
        Self::Scripting,
    ];

    /// As the command line spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Strings => "strings",
            Self::Bits => "bits",
            Self::Keys => "keys",
            Self::Expiry => "expiry",
            Self::Dump => "dump",
            Self::Connection => "connection",
            Self::Server => "server",
            Self::Debug => "debug",
            Self::Lists => "lists",
            Self::Sets => "sets",
            Self::Zsets => "zsets",
            Self::Hashes => "hashes",
            Self::HyperLogLog => "hyperloglog",
            Self::Geo => "geo",
            Self::Sort => "sort",
            Self::Streams => "streams",
            Self::Transactions => "transactions",
            Self::Blocking => "blocking",
            Self::PubSub => "pubsub",
            Self::Scripting => "scripting",
        }
    }

    /// The family of that name; a plural's ending may be left out, and `hll` is understood.
    pub fn of_name(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case("hll") {
            return Some(Self::HyperLogLog);
        }
        let plain = |name: &str| {
            let name = name.to_ascii_lowercase();
            name.strip_suffix("es").or_else(|| name.strip_suffix('s')).unwrap_or(&name).to_owned()
        };
        Self::ALL.into_iter().find(|family| plain(family.name()) == plain(name))
    }
}

/// What a key should hold to fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// A string, or nothing.
    String,
    /// A list, or nothing.
    List,
    /// A set, or nothing.
    Set,
    /// A sorted set, or nothing.
    Zset,
    /// A hash, or nothing.
    Hash,
    /// A stream, or nothing.
    Stream,
    /// A set or a sorted set, or nothing.
    AnySet,
    /// What SORT takes: a list, a set or a sorted set, or nothing.
    Sortable,
    /// A list to wait for: as often nothing.
    AwaitedList,
    /// A sorted set to wait for: as often nothing.
    AwaitedZset,
    /// Anything that exists.
    Existing,
    /// Anything, also nothing.
    Any,
}

impl Want {
    /// Does a key with a value of this type fit?
    pub fn fits(self, kind: Kind) -> bool {
        match self {
            Self::String => kind == Kind::String,
            Self::List | Self::AwaitedList => kind == Kind::List,
            Self::Set => kind == Kind::Set,
            Self::Zset | Self::AwaitedZset => kind == Kind::Zset,
            Self::Hash => kind == Kind::Hash,
            Self::Stream => kind == Kind::Stream,
            Self::AnySet => matches!(kind, Kind::Set | Kind::Zset),
            Self::Sortable => matches!(kind, Kind::List | Kind::Set | Kind::Zset),
            Self::Existing | Self::Any => true,
        }
    }

    /// Of 8 keys, so many should not be there.
    pub fn absent_of_8(self) -> u32 {
        if matches!(self, Self::AwaitedList | Self::AwaitedZset) { 5 } else { 1 }
    }
}

/// Which ids follow the keys of a stream reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamIds {
    /// Ids above which entries are wanted, `$` among them.
    AboveAny,
    /// `>` mostly, or ids of a history.
    Undelivered,
}

/// One part of a command's arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument {
    /// This word, in any letter case.
    Word(&'static str),
    /// A key.
    Key(Want),
    /// The bytes of a value.
    Value,
    /// A 64-bit integer.
    Integer,
    /// A floating-point number.
    Float,
    /// A position in a string, counted from its end when negative.
    Index,
    /// A byte offset within a string.
    ByteOffset,
    /// A bit offset within a string.
    BitOffset,
    /// BITFIELD's offset: bits, or `#` and a multiple of the field's width.
    FieldOffset,
    /// BITFIELD's field: `i` or `u` and a width.
    FieldType,
    /// 0 or 1.
    Bit,
    /// A duration in seconds.
    Seconds,
    /// A duration in milliseconds.
    Milliseconds,
    /// A moment in Unix seconds.
    UnixSeconds,
    /// A moment in Unix milliseconds.
    UnixMilliseconds,
    /// RESTORE's time to live: 0 for none, milliseconds otherwise.
    RestoreTtl,
    /// SCAN's cursor.
    Cursor,
    /// A count above 0.
    Count,
    /// A glob-style pattern over keys.
    Pattern,
    /// A database's number.
    Database,
    /// A connection's name.
    ClientName,
    /// A connection's id.
    ClientId,
    /// How long a command waits, in seconds; 0 for ever.
    BlockTimeout,
    /// How long all clients wait, in milliseconds.
    PauseMilliseconds,
    /// A channel.
    Channel,
    /// A glob-style pattern over channels.
    ChannelPattern,
    /// Classes of events in `notify-keyspace-events`.
    EventClasses,
    /// `ip:port`.
    Address,
    /// The serialization that DUMP answers.
    Payload,
    /// A password.
    Password,
    /// A command's name.
    CommandName,
    /// A whole number from 0 to 255 (FREQ) or of seconds (IDLETIME).
    SmallNumber,
    /// A member of a set or a sorted set, or an element of a list that is to be found there.
    Member,
    /// A field of a hash.
    Field,
    /// What a list or a hash's field holds.
    Element,
    /// A sorted set's score.
    Score,
    /// The end of a range of scores: a score, exclusive after `(`.
    ScoreLimit,
    /// The end of a range of members: `-`, `+`, or a member after `[` or `(`.
    LexLimit,
    /// A count with a sign.
    SignedCount,
    /// The number of keys that follow, and those keys.
    CountedKeys(Want),
    /// This as often as the last [`Argument::CountedKeys`] had keys.
    PerCountedKey(&'static [Argument]),
    /// Degrees east.
    Longitude,
    /// Degrees north.
    Latitude,
    /// A distance.
    Distance,
    /// A glob-style pattern over members or fields.
    MemberPattern,
    /// SORT's pattern for keys: `w_*`, `h_*->field`, `#`, or without an asterisk.
    SortPattern,
    /// The name of a group of consumers.
    Group,
    /// The name of a consumer.
    Consumer,
    /// The id of an entry that is added: `*`, or one above the last.
    NewId,
    /// The id of an entry that a stream has or had.
    EntryId,
    /// The end of a range of ids: `-`, `+` or an id.
    StreamLimit,
    /// The id that a group begins behind: `$`, 0 or another.
    DeliveredId,
    /// The length that a stream is trimmed to.
    StreamLength,
    /// Keys of streams, and an id for each.
    Streams(StreamIds),
    /// A script, the number of its keys, the keys and further arguments.
    ScriptCall,
    /// The same with the SHA-1 of a script in its place.
    ScriptDigestCall,
    /// A script.
    ScriptText,
    /// The SHA-1 of a script.
    ScriptDigest,
    /// A threshold between two encodings, in elements or bytes.
    Threshold,
    /// The size of a list's nodes: elements, or a class of bytes when negative.
    ListFill,
    /// Zero or one of this.
    Optional(&'static [Argument]),
    /// One or more of this.
    Many(&'static [Argument]),
    /// One of these.
    OneOf(&'static [&'static [Argument]]),
    /// Any of these in any order, mostly each once.
    Options(&'static [&'static [Argument]]),
}

/// A command and what it takes.
#[derive(Clone, Copy, Debug)]
pub struct Grammar {
    /// In lower case.
    pub name: &'static str,
    /// Where it belongs.
    pub family: Family,
    /// Picks relative to the other commands of a run; 0: few, in some episodes only.
    pub weight: u16,
    /// It is sent and answered alone, because the number of its replies or its reach beyond its connection is not fixed.
    pub alone: bool,
    /// It takes as long as hundreds of others, and always does the same: fewer episodes have it.
    pub heavy: bool,
    /// What follows the name.
    pub arguments: &'static [Argument],
    key_range: (i64, i64, i64),
    counted_at: Option<usize>,
}

impl Grammar {
    const fn new(name: &'static str, family: Family, weight: u16, arguments: &'static [Argument]) -> Self {
        let (key_range, counted_at) = (key_range(arguments), counted_at(arguments));
        Self { name, family, weight, alone: false, heavy: false, arguments, key_range, counted_at }
    }

    const fn heavy(self) -> Self {
        Self { heavy: true, ..self }
    }

    const fn alone(self) -> Self {
        Self { alone: true, ..self }
    }

    /// Where keys stand: first and last argument (negative: counted from the end) and the step between them; all 0
    /// without keys. Keys behind optional arguments are not counted, as in COMMAND's answer.
    pub fn key_range(&self) -> (i64, i64, i64) {
        self.key_range
    }

    /// The indexes of the arguments of `request` that are keys: by [`Grammar::key_range`], and those that are counted.
    pub fn keys(&self, request: &Request) -> impl Iterator<Item = usize> + use<> {
        let (first, last, step) = self.key_range;
        let count = request.len() as i64;
        let last = if last < 0 { count + last } else { last.min(count - 1) };
        let end = if first == 0 { 0 } else { last + 1 };
        let fixed = (first..end).step_by(step.max(1) as usize).map(|index| index as usize);
        let counted = self.counted_at.map_or(0..0, |place| {
            let number = std::str::from_utf8(request.argument(place + 1)).ok().and_then(|text| text.parse().ok());
            let first = place + 2;
            first..request.len().min(first.saturating_add(number.unwrap_or(0))).max(first)
        });
        let streams = (first == 0 && matches!(self.arguments.last(), Some(Argument::Streams(_)))).then(|| {
            let word = (1..request.len()).find(|&index| request.is(index, "streams"));
            let first = word.map_or(request.len(), |word| word + 1);
            first..first + (request.len() - first) / 2
        });
        // Those behind KEYS, or the one in front.
        let moved = (self.name == "migrate").then(|| {
            let word = (6..request.len()).find(|&index| request.is(index, "keys"));
            word.map_or(3..request.len().min(4), |word| word + 1..request.len())
        });
        fixed.chain(counted).chain(streams.into_iter().flatten()).chain(moved.into_iter().flatten())
    }
}

/// See [`Grammar::key_range`]; worked out once, because every command asks for its keys.
const fn key_range(arguments: &[Argument]) -> (i64, i64, i64) {
    let mut found = (0, 0, 0);
    let mut place = 0;
    while place < arguments.len() {
        let position = place as i64 + 1;
        let first = if found.0 == 0 { position } else { found.0 };
        match arguments[place] {
            Argument::Key(_) => found = (first, position, 1),
            Argument::Many(body @ [Argument::Key(_), ..]) => {
                let behind = arguments.len() as i64 - position;
                return (first, -1 - behind, body.len() as i64);
            }
            Argument::Optional(_)
            | Argument::Many(_)
            | Argument::Options(_)
            | Argument::CountedKeys(_)
            | Argument::PerCountedKey(_)
            | Argument::Streams(_) => return found,
            _ => {}
        }
        place += 1;
    }
    found
}

/// Which of the arguments is keys and their number, if one is.
const fn counted_at(arguments: &[Argument]) -> Option<usize> {
    let mut place = 0;
    while place < arguments.len() {
        match arguments[place] {
            Argument::CountedKeys(_) => return Some(place),
            // The script stands before the number.
            Argument::ScriptCall | Argument::ScriptDigestCall => return Some(place + 1),
            _ => {}
        }
        place += 1;
    }
    None
}

/// All commands with a grammar, ordered by name within a family.
pub fn all() -> impl Iterator<Item = &'static Grammar> {
    [
        strings::COMMANDS,
        keys::COMMANDS,
        lists::COMMANDS,
        sets::COMMANDS,
        zsets::COMMANDS,
        hashes::COMMANDS,
        hyperloglog::COMMANDS,
        geo::COMMANDS,
        sort::COMMANDS,
        streams::COMMANDS,
        transactions::COMMANDS,
        blocking::COMMANDS,
        pubsub::COMMANDS,
        scripting::COMMANDS,
        connection::COMMANDS,
        server::COMMANDS,
    ]
    .into_iter()
    .flatten()
}

/// The grammar of a command, by its name in any letter case.
pub fn find(name: &[u8]) -> Option<&'static Grammar> {
    index::grammar_at(index::command_index(name))
}

impl fmt::Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Word(word) => word,
            Self::Key(_) => "key",
            Self::Value => "value",
            Self::Integer => "integer",
            Self::Float => "float",
            Self::Index => "index",
            Self::ByteOffset => "offset",
            Self::BitOffset => "bit-offset",
            Self::FieldOffset => "offset|#index",
            Self::FieldType => "i<bits>|u<bits>",
            Self::Bit => "0|1",
            Self::Seconds => "seconds",
            Self::Milliseconds => "milliseconds",
            Self::UnixSeconds => "unix-seconds",
            Self::UnixMilliseconds => "unix-milliseconds",
            Self::RestoreTtl => "ttl",
            Self::Cursor => "cursor",
            Self::Count => "count",
            Self::Pattern => "pattern",
            Self::Database => "db",
            Self::ClientName => "name",
            Self::ClientId => "client-id",
            Self::BlockTimeout => "timeout",
            Self::PauseMilliseconds => "milliseconds",
            Self::Channel => "channel",
            Self::ChannelPattern => "pattern",
            Self::EventClasses => "classes",
            Self::Address => "ip:port",
            Self::Payload => "serialized-value",
            Self::Password => "password",
            Self::CommandName => "command",
            Self::SmallNumber => "number",
            Self::Member => "member",
            Self::Field => "field",
            Self::Element => "element",
            Self::Score => "score",
            Self::ScoreLimit => "score|(score",
            Self::LexLimit => "-|+|[member|(member",
            Self::SignedCount => "count",
            Self::CountedKeys(_) => "numkeys key [key ...]",
            Self::PerCountedKey(body) => return write!(f, "{0} [{0} ...]", Sequence(body)),
            Self::Longitude => "longitude",
            Self::Latitude => "latitude",
            Self::Distance => "distance",
            Self::MemberPattern | Self::SortPattern => "pattern",
            Self::Group => "group",
            Self::Consumer => "consumer",
            Self::NewId => "id|*",
            Self::EntryId => "id",
            Self::StreamLimit => "id|-|+",
            Self::DeliveredId => "id|$",
            Self::StreamLength => "length",
            Self::Streams(StreamIds::AboveAny) => "key [key ...] id|$ [id|$ ...]",
            Self::Streams(StreamIds::Undelivered) => "key [key ...] id|> [id|> ...]",
            Self::ScriptCall => "script numkeys [key ...] [arg ...]",
            Self::ScriptDigestCall => "sha1 numkeys [key ...] [arg ...]",
            Self::ScriptText => "script",
            Self::ScriptDigest => "sha1",
            Self::Threshold | Self::ListFill => "number",
            Self::Optional(body) => return write!(f, "[{}]", Sequence(body)),
            Self::Many(body) => return write!(f, "{0} [{0} ...]", Sequence(body)),
            Self::OneOf(bodies) => return alternatives(f, bodies, " | "),
            Self::Options(bodies) => {
                for (index, body) in bodies.iter().enumerate() {
                    write!(f, "{}[{}]", if index > 0 { " " } else { "" }, Sequence(body))?;
                }
                return Ok(());
            }
        };
        f.write_str(name)
    }
}

fn alternatives(f: &mut fmt::Formatter<'_>, bodies: &[&[Argument]], between: &str) -> fmt::Result {
    for (index, body) in bodies.iter().enumerate() {
        write!(f, "{}{}", if index > 0 { between } else { "" }, Sequence(body))?;
    }
    Ok(())
}

struct Sequence<'a>(&'a [Argument]);

impl fmt::Display for Sequence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, argument) in self.0.iter().enumerate() {
            write!(f, "{}{argument}", if index > 0 { " " } else { "" })?;
        }
        Ok(())
    }
}

/// The synopsis, for example `GETRANGE key index index`.
impl fmt::Display for Grammar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name.to_ascii_uppercase())?;
        match self.arguments {
            [] => Ok(()),
            arguments => write!(f, " {}", Sequence(arguments)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_are_unique_and_in_lower_case() {
        let mut names: Vec<_> = all().map(|grammar| grammar.name).collect();
        assert!(names.iter().all(|name| name.to_ascii_lowercase() == *name));
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn keys_are_found_where_the_grammar_puts_them() {
        let keys = |line: &str| {
            let request = crate::request::split_arguments(line).unwrap();
            find(request.name()).unwrap().keys(&request).collect::<Vec<_>>()
        };
        assert_eq!(keys("mset a 1 b 2"), [1, 3]);
        assert_eq!(keys("BITOP and d a b"), [2, 3, 4]);
        assert_eq!(keys("object encoding k"), [2]);
        assert_eq!(keys("rename a b"), [1, 2]);
        assert_eq!(keys("set a 1 ex 2"), [1]);
        assert_eq!(keys("blpop a b 0"), [1, 2]);
        assert_eq!(keys("brpoplpush a b 0"), [1, 2]);
        assert_eq!(keys("watch a b"), [1, 2]);
        assert_eq!(keys("ping"), [] as [usize; 0]);
        assert_eq!(keys("get"), [] as [usize; 0]);
        assert_eq!(keys("xread count 2 streams a b 0 0"), [4, 5]);
        assert_eq!(keys("XREADGROUP GROUP g c STREAMS a >"), [5]);
        assert_eq!(keys("xread count 2"), [] as [usize; 0]);
    }

    #[test]
    fn families_are_found_by_singular_and_plural() {
        for (name, family) in [("hash", Family::Hashes), ("Hashes", Family::Hashes), ("zset", Family::Zsets)] {
            assert_eq!(Family::of_name(name), Some(family));
        }
        assert_eq!(Family::of_name("hll"), Some(Family::HyperLogLog));
        assert_eq!(Family::of_name("fish"), None);
    }

    #[test]
    fn a_synopsis_reads_like_documentation() {
        assert_eq!(find(b"getrange").unwrap().to_string(), "GETRANGE key index index");
        assert_eq!(find(b"mset").unwrap().to_string(), "MSET key value [key value ...]");
    }
}
