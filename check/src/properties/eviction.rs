//! Eviction: what may go and what may not, and how well the policies choose.
//!
//! That the promises hold is checked command by command, beside a second engine without a limit that executes what the
//! first one hands on. How well a policy chooses is a matter of chance: the functions of the second half measure it, from a
//! fixed seed, and the tests say how good it must be.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;
use tally_engine::structures::eviction_pool::{EvictionPool, POOL};
use tally_model::Reply;

use crate::choice::Choice;
use crate::generator::{Blind, Limits, Swarm};
use crate::grammar::Family;
use crate::profile;
use crate::request::Request;
use crate::target::{Connection, Embedded, HandedOn, Received, Setup, Target, Wait};

/// Policies that evict.
pub const POLICIES: [&str; 7] =
    ["allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl"];

/// Something that happens to a pool. Keys and scores are few, so that they meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolStep {
    /// A key is shown.
    Offer {
        /// Its score.
        score: u8,
        /// Its database.
        db: u8,
        /// Its name.
        key: u8,
    },
    /// The best one goes.
    Take,
    /// All are forgotten.
    Clear,
}

/// A pool is a list, kept in order, that loses its worst candidate when it becomes too long.
///
/// # Panics
/// When it is not.
pub fn a_pool_keeps_the_best(steps: &[PoolStep]) {
    let mut pool = EvictionPool::default();
    let mut list: Vec<(u64, usize, Vec<u8>)> = Vec::new();
    for step in steps {
        match *step {
            PoolStep::Offer { score, db, key } => {
                let (score, db) = (u64::from(score), usize::from(db));
                // Long keys have buffers that are not kept.
                let key = vec![key; usize::from(key) * 40];
                pool.offer(score, db, &key);
                list.retain(|(_, other_db, other)| (*other_db, other) != (db, &key));
                list.push((score, db, key));
                list.sort_by_key(|(score, ..)| *score);
                if list.len() > POOL {
                    list.remove(0);
                }
            }
            PoolStep::Take => {
                let taken = pool.take_best();
                assert_eq!(taken.as_ref().map(|one| (one.score, one.db, one.key.clone())), list.pop());
                if let Some(candidate) = taken {
                    pool.give_back(candidate.key);
                }
            }
            PoolStep::Clear => {
                pool.clear();
                list.clear();
            }
        }
        pool.validate();
        assert_eq!((pool.len(), pool.is_empty()), (list.len(), list.is_empty()));
        let candidates = pool.candidates().iter();
        assert!(candidates.map(|one| (one.score, one.db, &one.key)).eq(list.iter().map(|(s, d, k)| (*s, *d, k))));
    }
}

/// An engine and those who ask it.
struct Asked {
    target: Embedded,
    connection: Connection,
    /// Another one, whose requests are never queued by a MULTI.
    observer: Connection,
}

fn words<const N: usize>(words: [&str; N]) -> Request {
    words.iter().collect()
}

impl Asked {
    fn start(seed: u64, config: &[(&str, &str)]) -> Self {
        let mut target = Embedded::new();
        let config = config.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let started = target.reset(&Setup { seed, config, record_propagation: true });
        assert_eq!(started, Ok(()));
        let mut open = || target.open().unwrap_or_else(|error| panic!("no connection: {error}"));
        let (connection, observer) = (open(), open());
        Self { target, connection, observer }
    }

    fn ask_as(&mut self, connection: Connection, request: &Request) -> Vec<Reply> {
        let mut bytes = Vec::new();
        request.encode(&mut bytes);
        assert_eq!(self.target.send(connection, &bytes), Ok(()), "{request}");
        let mut replies = Vec::new();
        loop {
            match self.target.receive(connection, Wait::Reply) {
                Ok(Received::Reply(reply)) => replies.push(reply),
                Ok(Received::Nothing) => return replies,
                other => panic!("{request} answers {other:?}"),
            }
        }
    }

    fn ask<const N: usize>(&mut self, request: [&str; N]) -> Reply {
        let replies = self.ask_as(self.observer, &words(request));
        replies.into_iter().next().unwrap_or_else(|| panic!("{} is not answered", words(request)))
    }

    fn info(&mut self, section: &str) -> BTreeMap<String, String> {
        let Reply::Bulk(text) = self.ask(["INFO", section]) else { panic!("INFO {section} is no text") };
        let text = String::from_utf8_lossy(&text).into_owned();
        let lines = text.lines().filter_map(|line| line.split_once(':'));
        lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    fn number(&mut self, section: &str, field: &str) -> u64 {
        let fields = self.info(section);
        fields[field].parse().unwrap_or_else(|_| panic!("{field} is {}", fields[field]))
    }

    fn used(&mut self) -> u64 {
        self.number("memory", "used_memory")
    }

    fn limit(&mut self, bytes: u64) {
        assert_eq!(self.ask(["CONFIG", "SET", "maxmemory", &bytes.to_string()]), Reply::Status(b"OK".to_vec()));
    }

    /// Keys, and those among them that expire.
    fn keys(&mut self) -> (u64, u64) {
        let mut sums = (0, 0);
        for counts in self.info("keyspace").values() {
            let mut counts = counts.split(',').filter_map(|part| part.split_once('=')?.1.parse::<u64>().ok());
            sums.0 += counts.next().unwrap_or(0);
            sums.1 += counts.next().unwrap_or(0);
        }
        sums
    }
}

/// A second engine, which executes what the first hands on.
struct Follower {
    asked: Asked,
    db: usize,
}

impl Follower {
    fn select(&mut self, connection: Connection, db: usize) {
        self.asked.ask_as(connection, &words(["SELECT", &db.to_string()]));
    }

    fn execute(&mut self, command: &HandedOn) {
        // What goes to the file alone is another form of the same.
        if !command.replicas {
            return;
        }
        let connection = self.asked.connection;
        if self.db != command.db {
            self.db = command.db;
            self.select(connection, command.db);
        }
        let request = Request::from(command.arguments.as_slice());
        for reply in self.asked.ask_as(connection, &request) {
            assert!(!matches!(reply, Reply::Error(_)), "{request}, handed on, answers {reply}");
        }
    }

    fn has_deadline(&mut self, db: usize, key: &[u8]) -> bool {
        let observer = self.asked.observer;
        self.select(observer, db);
        let mut request = Request::new();
        request.push(b"PTTL");
        request.push(key);
        matches!(self.asked.ask_as(observer, &request)[..], [Reply::Integer(ms)] if ms >= 0)
    }
}

/// The keys that were told as evicted, with their databases, in order.
fn told(replies: &[Reply]) -> VecDeque<(usize, Vec<u8>)> {
    let one = |reply: &Reply| {
        let Reply::Array(parts) = reply else { return None };
        let [_, _, Reply::Bulk(channel), Reply::Bulk(key)] = &parts[..] else { return None };
        let channel = String::from_utf8_lossy(channel).into_owned();
        let db = channel.strip_prefix("__keyevent@")?.strip_suffix("__:evicted")?.parse().ok()?;
        Some((db, key.clone()))
    };
    replies.iter().filter_map(one).collect()
}

/// Would what is promised not hold after it? Another policy promises something else, and what a script keeps from who
/// follows is missing there. [EVAL-30]
fn spoils(request: &Request) -> bool {
    let part = b"set_repl";
    request.is(0, "config") || request.arguments().any(|word| word.windows(part.len()).any(|piece| piece == part))
}

/// Any commands under a limit that moves about: after each one memory is within the limit or nothing is left that could
/// go; a write is refused only then; what goes is told once to those who listen and once to who follows, before all else, and
/// under a volatile policy had a deadline; who follows holds the same dataset in the end.
///
/// Answers how many keys were evicted, and how many commands refused, so that nobody takes silence for success.
///
/// # Panics
/// When one of these does not hold.
pub fn eviction_keeps_its_promises(seed: u64, policy: &str, steps: usize) -> (u64, u64) {
    let mut choice = ChaCha8Rng::seed_from_u64(seed);
    let is_volatile = policy.starts_with("volatile");
    let lazy = choice.ratio(1, 2);
    let removal: &[u8] = if lazy { b"UNLINK" } else { b"DEL" };
    let config = [
        ("maxmemory-policy", policy),
        ("maxmemory-samples", ["1", "5", "64"][choice.below(3) as usize]),
        ("lazyfree-lazy-eviction", if lazy { "yes" } else { "no" }),
        ("notify-keyspace-events", "Ee"),
    ];
    let mut first = Asked::start(seed, &config);
    let mut second = Follower { asked: Asked::start(seed, &[("maxmemory-policy", policy)]), db: 0 };
    let Ok(listener) = first.target.open() else { panic!("seed {seed:#x}: no connection") };
    first.ask_as(listener, &words(["PSUBSCRIBE", "*"]));
    let families = vec![
        Family::Strings,
        Family::Keys,
        Family::Expiry,
        Family::Lists,
        Family::Sets,
        Family::Hashes,
        Family::Zsets,
        Family::Streams,
        Family::Transactions,
        Family::Scripting,
    ];
    let swarm = Swarm::draw(&mut choice, &Limits { families, ..Limits::default() });
    let (empty, mut limit) = (first.used(), 0);
    let mut refused = 0;
    for step in 0..steps {
        let place = format!("seed {seed:#x}, {policy}, step {step}");
        if choice.ratio(1, 16) {
            // Room for some keys, or for little more than their table.
            limit = empty + 500 + u64::from(choice.below(8000));
            first.limit(limit);
        }
        let mut request = Request::new();
        // Keys without a use would fill the few places; with some more of them there is a choice.
        if choice.ratio(1, 3) {
            let key = format!("key:{}", choice.below(40));
            request = words(["SET", &key, &"v".repeat(choice.below(200) as usize)]);
            if choice.ratio(1, 2) {
                request.push(b"PX");
                request.push((1 + choice.below(1 << 20)).to_string().as_bytes());
            }
        } else {
            let Some(grammar) = swarm.command(&mut choice, &Blind, &mut request) else { continue };
            let harms = profile::is_wasteful(&request) || grammar.alone && profile::ends_service(&request).is_some();
            if harms || spoils(&request) {
                continue;
            }
        }
        let replies = first.ask_as(first.connection, &request);
        let is_refused = replies.iter().any(|reply| matches!(reply, Reply::Error(text) if text.starts_with(b"OOM")));
        refused += u64::from(is_refused);
        let (used, (keys, expiring)) = (first.used(), first.keys());
        let is_full = used > limit && limit > 0;
        let evictable = match policy {
            "noeviction" => 0,
            _ if is_volatile => expiring,
            _ => keys,
        };
        assert!(evictable == 0 || !(is_full || is_refused), "{place}, {request}: {used} bytes, {limit} allowed");
        let mut evicted = told(&first.ask_as(listener, &words(["PING"])));
        // Within a transaction a DEL is the client's.
        let mut wrapped = false;
        for command in first.target.take_handed_on() {
            if let [name] = &command.arguments[..] {
                wrapped = name.eq_ignore_ascii_case(b"MULTI");
            }
            let next = evicted.front().filter(|(db, key)| {
                !wrapped
                    && command.db == *db
                    && matches!(&command.arguments[..], [name, gone] if name == removal && gone == key)
            });
            if let Some((db, key)) = next {
                assert!(command.aof && command.replicas, "{place}: an eviction that not everybody is told of");
                assert!(!is_volatile || second.has_deadline(*db, key), "{place}: it has no deadline");
                evicted.pop_front();
            }
            second.execute(&command);
        }
        assert!(evicted.is_empty(), "{place}, {request}: not handed on: {evicted:?}");
    }
    let evicted = first.number("stats", "evicted_keys");
    first.limit(0);
    first.target.take_handed_on().iter().for_each(|command| second.execute(command));
    first.target.validate().unwrap_or_else(|text| panic!("seed {seed:#x}, {policy}: {text}"));
    let digests = [&mut first, &mut second.asked].map(|asked| asked.ask(["DEBUG", "DIGEST"]));
    assert_eq!(digests[0], digests[1], "seed {seed:#x}, {policy}: who follows holds something else");
    (evicted, refused)
}

/// Accesses to keys of which some are much more popular than others: the key of rank `r` has a share proportional to
/// `1 / r` (Zipf's law with exponent 1, as measured for pages of the web).
pub struct SkewedTrace {
    choice: ChaCha8Rng,
    /// Up to each key, the sum of the weights, in units of 2⁻³².
    sums: Vec<u64>,
}

impl SkewedTrace {
    /// Over this many keys, at least one.
    pub fn new(keys: usize, seed: u64) -> Self {
        let weights = (1..=keys.max(1) as u64).map(|rank| (1u64 << 32) / rank);
        let sums = weights.scan(0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        });
        Self { choice: ChaCha8Rng::seed_from_u64(seed), sums: sums.collect() }
    }
}

impl Iterator for SkewedTrace {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let total = *self.sums.last()?;
        let drawn = self.choice.int(0..=i64::try_from(total).unwrap_or(i64::MAX) - 1).unsigned_abs();
        Some(self.sums.partition_point(|&sum| sum <= drawn))
    }
}

/// What a cache is made to hold.
#[derive(Clone, Copy, Debug)]
pub struct CacheLoad {
    /// Different keys that are asked for.
    pub keys: usize,
    /// About how many of them there is room for.
    pub room: usize,
    /// Accesses that fill the cache, then as many that count.
    pub accesses: usize,
}

/// The share of accesses of a skewed trace that find their key in an engine used as a cache: GET, and SET where that finds
/// nothing; fifty accesses a second.
pub fn hit_ratio(policy: &str, samples: &str, load: CacheLoad, seed: u64) -> f64 {
    let mut asked = Asked::start(seed, &[("maxmemory-policy", policy), ("maxmemory-samples", samples)]);
    let value = "v".repeat(100);
    let set = |asked: &mut Asked, key: usize| {
        asked.ask_as(asked.connection, &words(["SET", &format!("key:{key:06}"), &value, "EX", "1000000"]))
    };
    // The limit is what as many keys take, with their table.
    let empty = asked.used();
    (0..load.room).for_each(|key| drop(set(&mut asked, key)));
    let limit = asked.used();
    assert!(limit > empty);
    asked.ask(["FLUSHALL"]);
    asked.limit(limit);
    let mut hits = 0usize;
    for (number, key) in SkewedTrace::new(load.keys, seed).take(2 * load.accesses).enumerate() {
        let found = asked.ask_as(asked.connection, &words(["GET", &format!("key:{key:06}")]));
        if found == [Reply::NilBulk] {
            set(&mut asked, key);
        } else if number >= load.accesses {
            hits += 1;
        }
        if number % 50 == 49 {
            asked.target.pass(1000).unwrap_or_else(|error| panic!("{error}"));
            asked.target.take_handed_on();
        }
    }
    hits as f64 / load.accesses as f64
}

/// What a policy without chance goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merit {
    /// The time of the last use.
    Use,
    /// The number of uses.
    Uses,
    /// The deadline.
    Deadline,
}

/// Evicts half of `keys` keys of different merit, one by one. Answers where each stood among those that were there, by
/// merit: 0 is the one that should have gone, 1 the one that should have gone last; their mean, which is one half under a
/// policy that chooses at random.
pub fn mean_place_of_the_evicted(policy: &str, merit: Merit, samples: &str, keys: usize, seed: u64) -> f64 {
    let config = [("maxmemory-policy", policy), ("maxmemory-samples", samples), ("lfu-log-factor", "0")];
    let mut asked = Asked::start(seed, &config);
    // Merits in an order that has nothing to do with the names.
    let mut choice = ChaCha8Rng::seed_from_u64(seed);
    let mut order: Vec<usize> = (0..keys).collect();
    for place in (1..keys).rev() {
        order.swap(place, choice.below(place as u32 + 1) as usize);
    }
    for (place, key) in order.iter().enumerate() {
        let name = format!("key:{key}");
        // Keys are spread over two databases.
        asked.ask(["SELECT", if key % 2 == 0 { "0" } else { "1" }]);
        let deadline = if merit == Merit::Deadline { 100_000 + 10 * place } else { 1_000_000 };
        asked.ask(["SET", &name, "value", "EX", &deadline.to_string()]);
        match merit {
            Merit::Use => asked.target.pass(1000).unwrap_or_else(|error| panic!("{error}")),
            Merit::Uses => (0..place).for_each(|_| drop(asked.ask(["GET", &name]))),
            Merit::Deadline => {}
        }
    }
    asked.target.take_handed_on();
    let mut left: BTreeSet<usize> = (0..keys).collect();
    let mut places = Vec::new();
    while left.len() > keys / 2 {
        let used = asked.used();
        asked.limit(used - 1);
        for command in asked.target.take_handed_on() {
            let name = command.arguments.last().map(|name| String::from_utf8_lossy(name).into_owned());
            let key: Option<usize> = name.and_then(|name| name.strip_prefix("key:")?.parse().ok());
            let Some(place) = key.and_then(|key| order.iter().position(|other| *other == key)) else { continue };
            let before = left.iter().take_while(|other| **other < place).count();
            places.push(before as f64 / (left.len() - 1) as f64);
            assert!(left.remove(&place), "it went twice");
        }
    }
    places.iter().sum::<f64>() / places.len() as f64
}
