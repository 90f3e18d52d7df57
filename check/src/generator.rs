//! Makes commands: mostly fitting the state, sometimes of the wrong type, sometimes malformed.
//!
//! A [`Swarm`] is drawn once per episode: which commands, how often, over which few keys and values, from how many clients.
//! Small pools make commands meet; leaving most commands out of an episode lets the rest reach states that an even mix
//! never does. Everything comes from a [`Choice`], so equal choices make equal scripts.

mod channels;
mod collections;
mod dump;
mod gathering;
mod pools;
mod scripting;
mod smallest;
mod streams;
mod terms;

pub use dump::{Body, classify, serialize, string_body};
pub use gathering::Gathering;
pub use pools::{Pools, hostile_word};

use tally_model::stream::StreamValue;
use tally_model::value::Kind;

use crate::choice::Choice;
use crate::grammar::{self, Argument, Family, Grammar};
use crate::request::Request;

/// What a generator may know of the state it makes commands for.
pub trait View {
    /// What the key holds in the client's database, and its length in bytes or elements.
    fn key(&self, key: &[u8]) -> Option<(Kind, usize)>;
    /// What the key, which stands at that place of the pool, holds in the client's database.
    fn kind(&self, _place: usize, key: &[u8]) -> Option<Kind> {
        self.key(key).map(|(kind, _)| kind)
    }
    /// The stream at the key, if it holds one.
    fn stream(&self, _key: &[u8]) -> Option<&StreamValue> {
        None
    }
    /// Unix time in milliseconds.
    fn now_ms(&self) -> i64;
    /// Serializations that DUMP answered in this episode.
    fn payloads(&self) -> &[Vec<u8>];
    /// The cursor that this command of the SCAN family last answered, of this key where it has one.
    fn cursor(&self, command: &[u8], key: &[u8]) -> Option<&[u8]>;
    /// What the server hears from the client now.
    fn mode(&self) -> Mode {
        Mode::Plain
    }
    /// The SHA-1 of the scripts that are kept.
    fn scripts(&self) -> Vec<Vec<u8>> {
        Vec::new()
    }
    /// Ids of connections, as CLIENT ID answered them.
    fn client_ids(&self) -> &[i64] {
        &[]
    }
}

/// What a client's state makes of what it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It is executed.
    Plain,
    /// It is queued.
    Transaction,
    /// Only little is allowed.
    Subscribed,
}

impl Mode {
    /// The mode after a request, if that is not refused.
    #[must_use]
    pub fn after(self, request: &Request) -> Self {
        match self {
            Self::Plain if request.is(0, "multi") => Self::Transaction,
            Self::Transaction if request.is(0, "exec") || request.is(0, "discard") => Self::Plain,
            mode => mode,
        }
    }
}

/// Knows nothing: for generators without a model at hand.
#[derive(Clone, Copy, Debug)]
pub struct Blind;

impl View for Blind {
    fn key(&self, _key: &[u8]) -> Option<(Kind, usize)> {
        None
    }

    fn now_ms(&self) -> i64 {
        1_700_000_000_000
    }

    fn payloads(&self) -> &[Vec<u8>] {
        &[]
    }

    fn cursor(&self, _command: &[u8], _key: &[u8]) -> Option<&[u8]> {
        None
    }
}

/// What may be drawn at all; the same for every episode of a run.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// Only (or nearly only) these families; all when empty.
    pub families: Vec<Family>,
    /// Time costs as much as it says: no long pauses, and deadlines that need no waiting.
    pub real_time: bool,
    /// Memory is made short in every episode, on a live server too, not only in few of an engine that is nobody else's. Whoever
    /// else uses the server loses keys.
    pub short_of_memory: bool,
    /// Names of commands that are left out, in lower case.
    pub without: Vec<&'static str>,
    /// Episodes of at most this many commands; 0 for no limit.
    pub commands: usize,
}

/// The character of one episode.
#[derive(Clone, Debug)]
pub struct Swarm {
    /// How many commands the episode has.
    pub commands: usize,
    /// How many clients take part.
    pub clients: u32,
    /// The most commands a client sends at once.
    pub pipeline: u32,
    /// Of 256 batches, so many are preceded by a pause.
    pub pauses: u32,
    /// Of 256 commands, so many are sent inline.
    pub inline: u32,
    /// Requests are cut into pieces, at places drawn from this seed.
    pub chunked: Option<u64>,
    /// Databases in use.
    pub databases: u32,
    /// Strings are cut down once they are longer than this, bytes.
    pub longest: usize,
    /// Keys of collections are deleted once they have more elements than this.
    pub most_elements: usize,
    /// Of 256 repetitions of members, so many have a crowd of them.
    pub crowds: u32,
    /// Of 256 batches, so many are preceded by a reload of the dataset.
    pub reloads: u32,
    /// Of 256 batches, so many are preceded by a new limit of the memory.
    pub squeezes: u32,
    /// Of 256 batches, so many are preceded by a turn in how scripts are propagated, which begins with themselves.
    pub script_turns: u32,
    /// Of 256 batches, so many are preceded by the end of a connection.
    pub departures: u32,
    /// What the clients have gathered for.
    pub gathering: Gathering,
    /// Time is real, see [`Limits::real_time`].
    pub real_time: bool,
    /// Directives that differ from the defaults.
    pub config: Vec<(String, String)>,
    /// Keys, values and the like.
    pub pools: Pools,
    /// One entry per unit of weight.
    table: Vec<&'static Grammar>,
}

impl Swarm {
    /// Draws the character of an episode.
    pub fn draw(choice: &mut impl Choice, limits: &Limits) -> Self {
        let clients = 1 + choice.below(4);
        let pipeline = [1, 4, 16, 32][choice.below(4) as usize];
        let most = [300, 1000, 3000, 10_000][choice.below(4) as usize];
        let commands = if limits.commands == 0 { most } else { most.min(limits.commands) };
        let many_keys = choice.ratio(1, 12);
        let chunked = choice.ratio(1, 6).then(|| choice.int(1..=i64::from(u32::MAX)) as u64);
        let mut config = Vec::new();
        if choice.ratio(1, 6) {
            config.push(("appendonly".to_owned(), "yes".to_owned()));
        }
        let mut short_of_memory = limits.short_of_memory;
        if choice.ratio(1, 6) {
            let drawn = choice.below(24) as usize;
            let policy = ["allkeys-lfu", "volatile-lru", "allkeys-lru"][drawn / 8];
            config.push(("maxmemory-policy".to_owned(), policy.to_owned()));
            // Two episodes in a hundred. Elsewhere somebody else's keys would go.
            short_of_memory |= drawn.is_multiple_of(8) && !limits.real_time;
        }
        let squeezes = if short_of_memory { [16, 64][choice.below(2) as usize] } else { 0 };
        if squeezes > 0 {
            config.push(("maxmemory-policy".to_owned(), POLICIES[choice.below(8) as usize].to_owned()));
        }
        if choice.ratio(1, 6) {
            config.push(("lazyfree-lazy-expire".to_owned(), "yes".to_owned()));
        }
        encoding_thresholds(choice, &mut config);
        let most_elements = [20, 20, 140, 600][choice.below(4) as usize];
        let mut pools = Pools::draw(choice, many_keys, chunked.is_some());
        let mut table = table(choice, limits);
        let gathering = Gathering::draw(choice, limits);
        gathering.prefer(choice, limits, &mut table);
        let (clients, departures) = match gathering {
            Gathering::None => (clients, if clients == 1 { 0 } else { [0, 0, 2][choice.below(3) as usize] }),
            _ => (3 + choice.below(4), [0, 2, 8][choice.below(3) as usize]),
        };
        match gathering {
            Gathering::None => {}
            Gathering::Waiting | Gathering::Watching => pools.keys.truncate(2 + choice.below(4) as usize),
            Gathering::Listening => config.push(("notify-keyspace-events".to_owned(), "KEA".to_owned())),
        }
        let runs_scripts = table.iter().any(|grammar| grammar.name == "eval");
        // What a live server does by itself is not to be changed.
        let turns = runs_scripts && !limits.real_time && choice.ratio(1, 3);
        let script_turns = if turns { [1, 16][choice.below(2) as usize] } else { 0 };
        // Where it is turned seldom it is the directive that begins it.
        if script_turns == 1 || runs_scripts && limits.real_time && choice.ratio(1, 6) {
            config.push(("lua-replicate-commands".to_owned(), "no".to_owned()));
        }
        Self {
            commands,
            clients,
            pipeline,
            script_turns,
            pauses: [0, 4, 32][choice.below(3) as usize],
            inline: [0, if chunked.is_some() { 32 } else { 0 }, 8][choice.below(3) as usize],
            chunked,
            databases: if choice.ratio(1, 3) { 3 } else { 1 },
            longest: [2_000, 64 * 1024, 300_000][if choice.ratio(1, 16) { 2 } else { choice.below(2) as usize }],
            most_elements,
            crowds: if most_elements > 20 { [0, 2, 6][choice.below(3) as usize] } else { 0 },
            squeezes,
            reloads: if choice.ratio(1, 12) { [4, 40][choice.below(2) as usize] } else { 0 },
            departures,
            gathering,
            real_time: limits.real_time,
            config,
            pools,
            table,
        }
    }

    /// Two keys, three values, one client, every command of the families with the same weight: for exhaustive enumeration.
    pub fn smallest(families: &[Family]) -> Self {
        let table = grammar::all().filter(|grammar| families.contains(&grammar.family)).collect();
        Self {
            commands: 3,
            clients: 1,
            pipeline: 1,
            pauses: 0,
            inline: 0,
            chunked: None,
            databases: 1,
            longest: 1000,
            most_elements: 10,
            crowds: 0,
            reloads: 0,
            squeezes: 0,
            script_turns: 0,
            departures: 0,
            gathering: Gathering::None,
            real_time: false,
            config: Vec::new(),
            pools: Pools::smallest(),
            table,
        }
    }

    /// The commands of this episode, each once.
    pub fn commands_in_play(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.table.iter().map(|grammar| grammar.name).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Appends a command's arguments to the empty `into`, and says by which grammar.
    pub fn command(&self, choice: &mut impl Choice, view: &impl View, into: &mut Request) -> Option<&'static Grammar> {
        let grammar = match steered(choice, view.mode()) {
            Some(grammar) => grammar,
            None => *self.table.get(choice.below(self.table.len() as u32) as usize)?,
        };
        Some(self.compose(choice, view, grammar, into))
    }

    /// Appends the arguments of a command with this grammar to the empty `into`; the grammar of another one if a value has
    /// become too long.
    fn compose(
        &self,
        choice: &mut impl Choice,
        view: &impl View,
        grammar: &'static Grammar,
        into: &mut Request,
    ) -> &'static Grammar {
        let luck = choice.below(100);
        // Where the one unfitting argument goes, if there is one.
        let wrong_in = if (85..95).contains(&luck) { choice.below(3) } else { u32::MAX };
        let mut terms = terms::Terms::new(self, view, wrong_in, choice.ratio(1, 8));
        terms.word(choice, grammar.name, into);
        terms.sequence(choice, grammar.arguments, into);
        if terms.too_long
            && let Some(del) = grammar::find(b"del")
        {
            let key = into.argument(grammar.keys(into).next().unwrap_or(1)).to_vec();
            into.clear();
            into.push(b"DEL");
            into.push(&key);
            return del;
        }
        if luck >= 95 {
            self.spoil(choice, into);
        }
        grammar
    }

    /// Damages a fitting command: its length, or one argument.
    fn spoil(&self, choice: &mut impl Choice, request: &mut Request) {
        let mut arguments: Vec<Vec<u8>> = request.arguments().map(<[u8]>::to_vec).collect();
        let place = choice.below(arguments.len() as u32) as usize;
        match choice.below(8) {
            0 => {
                arguments.pop();
            }
            1 => arguments.push(hostile_word(choice).to_vec()),
            2 => arguments.truncate(1),
            3 => {
                let copy = arguments[place].clone();
                arguments.push(copy);
            }
            4 if arguments.len() > 2 => {
                let other = 1 + choice.below(arguments.len() as u32 - 1) as usize;
                let place = place.max(1);
                arguments.swap(place, other);
            }
            5 if choice.ratio(1, 4) => arguments[0] = b"no-such-command".to_vec(),
            _ => {
                let last = arguments.len() - 1;
                arguments[place.max(1).min(last)] = hostile_word(choice).to_vec();
            }
        }
        request.clear();
        if arguments.is_empty() {
            arguments.push(b"get".to_vec());
        }
        for argument in &arguments {
            request.push(argument);
        }
    }

    /// The next limit of the memory, so much being in use now, and what else steers eviction: directives and values.
    pub fn squeeze(&self, choice: &mut impl Choice, used: i64) -> Vec<(&'static str, String)> {
        const MARGINS: [i64; 8] = [-20_000, -2000, -300, -50, 0, 300, 2000, 20_000];
        let mut directives = Vec::new();
        if choice.ratio(1, 4) {
            directives.push(("maxmemory-policy", POLICIES[choice.below(8) as usize].to_owned()));
        }
        if choice.ratio(1, 4) {
            directives.push(("maxmemory-samples", ["1", "5", "20"][choice.below(3) as usize].to_owned()));
        }
        if choice.ratio(1, 4) {
            let value = if choice.ratio(1, 2) { "yes" } else { "no" };
            directives.push(("lazyfree-lazy-eviction", value.to_owned()));
        }
        let margin = MARGINS[choice.below(8) as usize];
        let limit = if choice.ratio(1, 8) { 0 } else { used.saturating_add(margin).max(1) };
        directives.push(("maxmemory", limit.to_string()));
        directives
    }

    /// A pause in milliseconds.
    pub fn pause(&self, choice: &mut impl Choice) -> u64 {
        if self.real_time {
            return [1, 1, 2, 5, 12][choice.below(5) as usize];
        }
        [1, 5, 10, 100, 100, 1000, 1000, 5000, 100_000][choice.below(9) as usize]
    }
}

/// What may be evicted, and in which order.
const POLICIES: [&str; 8] = [
    "allkeys-lfu",
    "allkeys-lru",
    "allkeys-random",
    "noeviction",
    "volatile-lfu",
    "volatile-lru",
    "volatile-random",
    "volatile-ttl",
];

/// The directives that decide between encodings, as [`Swarm::draw`] may set them: in some episodes they are 0 or small,
/// so that every command meets both sides of every threshold.
fn encoding_thresholds(choice: &mut impl Choice, config: &mut Vec<(String, String)>) {
    const ELEMENTS: [&str; 3] = ["hash-max-ziplist-entries", "zset-max-ziplist-entries", "set-max-intset-entries"];
    const BYTES: [&str; 2] = ["hash-max-ziplist-value", "zset-max-ziplist-value"];
    if choice.ratio(1, 2) {
        return;
    }
    let mut set = |name: &str, value: i64| config.push((name.to_owned(), value.to_string()));
    for name in ELEMENTS {
        if choice.ratio(1, 2) {
            set(name, [0, 3, 3, 8][choice.below(4) as usize]);
        }
    }
    if choice.ratio(1, 2) {
        // An empty one takes 18 bytes, and most members add three.
        set("hll-sparse-max-bytes", [0, 21, 24, 30][choice.below(4) as usize]);
    }
    for name in BYTES {
        if choice.ratio(1, 4) {
            set(name, [0, 2, 4, 300][choice.below(4) as usize]);
        }
    }
    if choice.ratio(1, 2) {
        set("list-max-ziplist-size", [1, 2, 3, 5, -1, -5][choice.below(6) as usize]);
    }
    if choice.ratio(1, 2) {
        set("stream-node-max-entries", [0, 1, 2, 3, 3, 5][choice.below(6) as usize]);
    }
    if choice.ratio(1, 4) {
        set("stream-node-max-bytes", [0, 40, 60, 100, 300][choice.below(5) as usize]);
    }
    if choice.ratio(1, 3) {
        set("list-compress-depth", [1, 1, 2][choice.below(3) as usize]);
    }
}

/// What a client in a special state sends more often than others do.
fn steered(choice: &mut impl Choice, mode: Mode) -> Option<&'static Grammar> {
    const LISTENS: [&str; 8] =
        ["subscribe", "psubscribe", "unsubscribe", "unsubscribe", "punsubscribe", "punsubscribe", "ping", "ping"];
    let name = match mode {
        Mode::Plain => return None,
        Mode::Transaction => match choice.below(32) {
            0..=4 => "exec",
            5 if choice.ratio(1, 2) => "discard",
            _ => return None,
        },
        Mode::Subscribed => match choice.below(16) {
            0..=3 => return None,
            _ => LISTENS[choice.below(8) as usize],
        },
    };
    grammar::find(name.as_bytes()).filter(|grammar| is_known(grammar))
}

/// Commands that make a key of each type: without them an episode would exercise nothing but absence.
const MAKERS: [&str; 6] = ["set", "rpush", "sadd", "zadd", "hset", "xadd"];

/// Do both halves understand the command? QUIT is understood before commands are looked up, and stands in no table.
fn is_known(grammar: &Grammar) -> bool {
    let modelled = || tally_model::commands::find(grammar.name.as_bytes()).is_some();
    let built = || tally_engine::commands::table::find(grammar.name.as_bytes()).is_some();
    grammar.name == "quit" || modelled() && built()
}

fn table(choice: &mut impl Choice, limits: &Limits) -> Vec<&'static Grammar> {
    let focused = !limits.families.is_empty();
    let mut table = Vec::new();
    let everything = focused || choice.ratio(1, 4);
    let families: Vec<Family> = Family::ALL.into_iter().filter(|_| everything || choice.ratio(2, 3)).collect();
    for grammar in grammar::all().filter(|grammar| is_known(grammar) && !limits.without.contains(&grammar.name)) {
        let wanted = limits.families.contains(&grammar.family);
        let factor = match (focused, wanted) {
            (true, true) if grammar.name == "monitor" && !limits.families.contains(&Family::PubSub) => 0,
            (true, true) => 1 + choice.below(4),
            // Something must make and delete the keys that the wanted families work on.
            (true, false) if matches!(grammar.name, "set" | "del" | "pexpire" | "select" | "type") => 1,
            (true, false) => 0,
            (false, _) if limits.real_time && is_held_back_live(grammar) => 0,
            (false, _) if !families.contains(&grammar.family) => 0,
            (false, _) if everything || choice.ratio(2, 3) => 1 + choice.below(4),
            (false, _) => 0,
        };
        // A weight of 0 stands for rarer than the least: in play in some episodes only.
        let weight = match grammar.weight {
            0 if focused || choice.ratio(1, if grammar.heavy { 30 } else { 6 }) => factor,
            weight => u32::from(weight) * factor,
        };
        table.extend(std::iter::repeat_n(grammar, weight as usize));
    }
    let least = table.len() / 40 + 1;
    for maker in MAKERS {
        if let Some(grammar) = grammar::find(maker.as_bytes()).filter(|grammar| is_known(grammar)) {
            table.extend(std::iter::repeat_n(grammar, if maker == "set" { 2 * least } else { least }));
        }
    }
    table
}

/// Is the command drawn on live servers only where its family is asked for? The end of a child nobody foresees there.
fn is_held_back_live(grammar: &Grammar) -> bool {
    matches!(grammar.name, "bgsave" | "bgrewriteaof")
}

/// Does the grammar take something that can make a value longer?
fn grows(grammar_arguments: &[Argument]) -> bool {
    grammar_arguments.iter().any(|argument| match argument {
        Argument::Value | Argument::Member | Argument::Field | Argument::Element => true,
        Argument::Many(body) => grows(body),
        Argument::OneOf(bodies) => bodies.iter().any(|body| grows(body)),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha8Rng;
    use rand_core::SeedableRng;

    fn script(seed: u64) -> Vec<Request> {
        let mut choice = ChaCha8Rng::seed_from_u64(seed);
        let swarm = Swarm::draw(&mut choice, &Limits::default());
        (0..500)
            .map(|_| {
                let mut request = Request::new();
                swarm.command(&mut choice, &Blind, &mut request);
                request
            })
            .collect()
    }

    #[test]
    fn equal_seeds_make_equal_scripts() {
        assert_eq!(script(7), script(7));
        assert_ne!(script(7), script(8));
    }

    #[test]
    fn every_command_is_in_play_in_some_episode() {
        let known = grammar::all().filter(|grammar| is_known(grammar));
        let mut missing: Vec<_> = known.map(|grammar| grammar.name).collect();
        for seed in 0..300 {
            let mut choice = ChaCha8Rng::seed_from_u64(seed);
            let swarm = Swarm::draw(&mut choice, &Limits::default());
            let in_play = swarm.commands_in_play();
            missing.retain(|name| !in_play.contains(name));
        }
        assert_eq!(missing, [] as [&str; 0]);
    }

    #[test]
    fn no_command_lacks_a_name_and_none_asks_for_half_a_gigabyte() {
        for seed in 0..200 {
            for request in script(seed) {
                assert!(!request.is_empty());
                // Of SRANDMEMBER's counts the greatest are withheld, of others none is so great.
                assert!(request.is(0, "srandmember") || !crate::profile::is_wasteful(&request), "{request}");
            }
        }
    }
}
