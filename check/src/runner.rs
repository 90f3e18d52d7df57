//! Runs scripts, and runs made up as they go: episodes of a few thousand commands, each from a fresh start.
//!
//! Everything an episode does is recorded as a [`Script`], so that a finding comes with what led to it.

use std::cell::RefCell;

use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;
use tally_model::value::Kind;
use tally_model::{Profile, Reply};

use crate::choice::Choice;
use crate::coverage::Coverage;
use crate::generator::{Limits, Mode, Swarm, View};
use crate::grammar::index::{command_index, grammar_at};
use crate::journal::Journal;
use crate::profile;
use crate::request::Request;
use crate::script::{Script, Slot, Step};
use crate::session::{Delivered, Finding, Sent, Session, Wrong};
use crate::target::{Chunked, Setup, Target, TargetError};

/// What a run may draw and how it judges.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Everything random comes from it.
    pub seed: u64,
    /// What the generator may draw.
    pub limits: Limits,
    /// What the model takes the target for.
    pub profile: Profile,
    /// Also send what kills or exhausts the profile.
    pub lethal: bool,
}

/// A finding and the script that led to it.
#[derive(Clone, Debug)]
pub struct Discovery {
    /// What was wrong.
    pub finding: Box<Finding>,
    /// The steps up to it.
    pub script: Script,
    /// The number of the episode, from 0.
    pub episode: u64,
}

/// Commands withheld one after the other before something else is tried.
const MOST_WITHHELD: u32 = 100;
/// Keys asked about after a batch.
const MOST_PROBES: usize = 16;
/// States that a key may be in without being asked for.
const MOST_STATES: usize = 3;
/// Keys that a payload is restored to.
const MOST_RESTORED: usize = 8;
/// Keys asked for at the end of an episode.
const AUDITED_KEYS: usize = 200;

/// Runs episodes until something is found or `enough` says so; it is asked between batches.
///
/// # Errors
/// When the target cannot be used at all.
pub fn explore(
    target: &mut dyn Target,
    plan: &Plan,
    coverage: &mut Coverage,
    enough: &mut dyn FnMut(&Coverage) -> bool,
) -> Result<Option<Discovery>, TargetError> {
    let mut episode = 0;
    while !enough(coverage) {
        if let Some(discovery) = run_episode(target, plan, episode, coverage, enough)? {
            return Ok(Some(discovery));
        }
        coverage.episodes += 1;
        episode += 1;
    }
    Ok(None)
}

/// Runs the episode of that number.
///
/// # Errors
/// When the target cannot be reset.
pub fn run_episode(
    target: &mut dyn Target,
    plan: &Plan,
    episode: u64,
    coverage: &mut Coverage,
    enough: &mut dyn FnMut(&Coverage) -> bool,
) -> Result<Option<Discovery>, TargetError> {
    let mut choice = ChaCha8Rng::seed_from_u64(plan.seed ^ episode.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    run_drawn(target, plan, episode, &mut choice, coverage, enough)
}

/// Runs an episode drawn from any source of choices, for example a fuzzer's bytes; the number only names it.
///
/// # Errors
/// When the target cannot be reset.
pub fn run_drawn(
    target: &mut dyn Target,
    plan: &Plan,
    episode: u64,
    choice: &mut impl Choice,
    coverage: &mut Coverage,
    enough: &mut dyn FnMut(&Coverage) -> bool,
) -> Result<Option<Discovery>, TargetError> {
    run_restored(target, plan, episode, None, choice, coverage, enough)
}

/// As [`run_drawn`], but a payload is restored to the episode's keys first, if there is one.
///
/// # Errors
/// When the target cannot be reset.
pub fn run_restored(
    target: &mut dyn Target,
    plan: &Plan,
    episode: u64,
    payload: Option<&[u8]>,
    choice: &mut impl Choice,
    coverage: &mut Coverage,
    enough: &mut dyn FnMut(&Coverage) -> bool,
) -> Result<Option<Discovery>, TargetError> {
    let swarm = Swarm::draw(choice, &plan.limits);
    let (config, commands) = split_config(&swarm.config);
    let script = Script { seed: choice.int(1..=i64::MAX) as u64, config, chunked: swarm.chunked, steps: Vec::new() };
    let mut chunked;
    let target: &mut dyn Target = match script.chunked {
        Some(seed) => {
            chunked = Chunked::new(target, seed);
            &mut chunked
        }
        None => target,
    };
    let session = Session::begin(target, plan.profile.clone(), &setup(&script), coverage)?;
    let (journal, kinds) = (Journal::begin(), Kinds::default());
    let mut episode_run = Episode { session, journal, swarm, plan, follow_ups: Vec::new(), kinds };
    let outcome = episode_run.open(&commands, payload).and_then(|()| episode_run.run(choice, enough));
    let Episode { session, journal, .. } = episode_run;
    session.coverage.add_witnessed(&session.model);
    let discovery = outcome.err().map(|finding| {
        let mut script = Script { steps: journal.steps(), ..script };
        script.end_with_batch_of(finding.command);
        Discovery { finding, script, episode }
    });
    journal.end();
    Ok(discovery)
}

/// Directives that the target starts with, and those that a client sets.
type Directives = Vec<(String, String)>;

fn split_config(config: &Directives) -> (Directives, Directives) {
    config.iter().cloned().partition(|(name, _)| Setup::is_of_the_start(name))
}

fn setup(script: &Script) -> Setup {
    let records = script.config.iter().any(|(name, value)| name == "appendonly" && value == "yes");
    Setup { seed: script.seed, config: script.config.clone(), record_propagation: records }
}

struct Episode<'a, 'p> {
    session: Session<'a>,
    /// Every step so far.
    journal: Journal,
    swarm: Swarm,
    plan: &'p Plan,
    /// Questions about keys that a command failed on.
    follow_ups: Vec<Sent>,
    kinds: Kinds,
}

impl Episode<'_, '_> {
    /// What comes before anything is drawn: directives, and the payload of the first keys.
    fn open(&mut self, directives: &Directives, payload: Option<&[u8]>) -> Result<(), Box<Finding>> {
        for (name, value) in directives {
            let request = ["CONFIG", "SET", name, value].iter().collect();
            self.send(1, &[Sent { request, inline: false }])?;
        }
        if self.swarm.script_turns > 0 && !self.session.target.propagates_whole_scripts() {
            self.turn_scripts(1, true)?;
        }
        let Some(payload) = payload else { return Ok(()) };
        let keys: Vec<Vec<u8>> = self.swarm.pools.keys.iter().take(MOST_RESTORED).cloned().collect();
        for key in keys {
            let request = [b"RESTORE".as_slice(), &key, b"0", payload].into_iter().collect();
            self.send(1, &[Sent { request, inline: false }])?;
        }
        Ok(())
    }

    fn run(&mut self, choice: &mut impl Choice, enough: &mut dyn FnMut(&Coverage) -> bool) -> Result<(), Box<Finding>> {
        let mut batch: Vec<Sent> = Vec::new();
        let mut pending: Option<Sent> = None;
        let mut slot = 1;
        while self.session.commands() < self.swarm.commands && !enough(self.session.coverage) {
            if self.swarm.pauses > choice.below(256) {
                self.pause(choice)?;
            }
            if self.swarm.reloads > choice.below(256) {
                self.reload(self.speaker(slot))?;
            }
            if self.swarm.squeezes > 0 && self.swarm.squeezes > choice.below(256) {
                self.squeeze(choice)?;
            }
            if self.swarm.script_turns > 0 && self.swarm.script_turns > choice.below(256) {
                let whole = choice.ratio(3, 4);
                self.turn_scripts(self.speaker(slot), whole)?;
            }
            if self.swarm.departures > 0 && self.swarm.departures > choice.below(256) {
                self.departure(choice)?;
            }
            if let Some(alone) = pending.take() {
                if self.is_chancy(slot, &alone.request) {
                    self.session.coverage.withheld += 1;
                    continue;
                }
                self.send(slot, std::slice::from_ref(&alone))?;
                continue;
            }
            if !self.follow_ups.is_empty() && self.speaker(slot) != slot {
                self.follow_ups.clear();
            }
            if !self.follow_ups.is_empty() {
                let questions = std::mem::take(&mut self.follow_ups);
                self.send(slot, &questions)?;
                continue;
            }
            slot = self.heard(1 + choice.below(self.swarm.clients));
            // One that asked for no replies would stay, unheard, on a live server (E-15).
            let leaves = !(self.session.target.can().live && self.session.is_quiet(slot));
            if self.session.is_monitor(slot) && leaves && choice.ratio(1, 3) {
                let request = ["QUIT"].iter().collect();
                self.send(slot, &[Sent { request, inline: false }])?;
                continue;
            }
            if self.session.is_quiet(slot) && choice.ratio(1, 6) {
                let request = ["CLIENT", "REPLY", "ON"].iter().collect();
                self.send(slot, &[Sent { request, inline: false }])?;
            }
            let wanted = 1 + choice.below(self.swarm.pipeline) as usize;
            let mut length = 0;
            // A source that ran dry may draw what is withheld again and again.
            let mut withheld = 0;
            let mut mode = self.session.mode(slot);
            self.kinds.begin();
            while length < wanted && withheld < MOST_WITHHELD {
                if batch.len() == length {
                    batch.push(Sent::default());
                }
                let alone = self.generate(choice, slot, mode, &mut batch[length]);
                match alone {
                    None => withheld += 1,
                    Some(false) => {
                        mode = mode.after(&batch[length].request);
                        length += 1;
                    }
                    Some(true) => {
                        pending = batch.get(length).cloned();
                        break;
                    }
                }
            }
            self.send(slot, &batch[..length])?;
            self.probe_encodings(&batch[..length]);
            self.probe_states(slot);
        }
        let auditor = self.auditor();
        if self.swarm.squeezes > 0 {
            // From now on nothing goes of itself, so that what is there shows.
            let request = ["CONFIG", "SET", "maxmemory", "0"].iter().collect();
            self.send(auditor, &[Sent { request, inline: false }])?;
        }
        for question in self.session.audit(AUDITED_KEYS).chunks(32) {
            self.send(auditor, question)?;
        }
        self.session.conclude()
    }

    /// A client that takes no part in the episode, so that it is heard whatever the others wait for.
    fn auditor(&self) -> Slot {
        self.swarm.clients + 1
    }

    /// The next client that is heard: not a blocked one; of those who monitor few say something.
    fn heard(&self, slot: Slot) -> Slot {
        let clients = self.swarm.clients;
        let candidates = (0..clients).map(|step| 1 + (slot - 1 + step) % clients);
        let heard = |slot: &Slot| !self.session.is_blocked(*slot) && !self.session.is_monitor(*slot);
        if self.session.is_monitor(slot) && self.session.commands().is_multiple_of(4) {
            return slot;
        }
        candidates.into_iter().find(heard).unwrap_or(self.auditor())
    }

    /// This client, or the auditor if it is in a state where a command is not executed at once.
    fn speaker(&self, slot: Slot) -> Slot {
        let plain = self.session.mode(slot) == Mode::Plain && !self.session.is_blocked(slot);
        if plain && !self.session.is_monitor(slot) { slot } else { self.auditor() }
    }

    /// A client leaves, perhaps in the middle of a request.
    fn departure(&mut self, choice: &mut impl Choice) -> Result<(), Box<Finding>> {
        let slot = 1 + choice.below(self.swarm.clients);
        if self.session.client(slot).is_none() {
            return Ok(());
        }
        let mut begun = Sent::default();
        self.kinds.begin();
        let cuts = choice.ratio(1, 2) && self.generate(choice, slot, Mode::Plain, &mut begun).is_some();
        if !cuts || begun.request.is_empty() {
            self.journal.close(slot);
            return self.session.leave(slot, None);
        }
        let bytes = choice.below(begun.request.encoded_len() as u32) as usize;
        self.journal.cut(slot, bytes, &begun.request);
        self.session.leave(slot, Some((bytes, &begun.request)))
    }

    fn pause(&mut self, choice: &mut impl Choice) -> Result<(), Box<Finding>> {
        let ms = self.swarm.pause(choice);
        self.journal.pass(ms);
        self.session.pass(ms)
    }

    /// The dataset goes through an RDB file, as if the server were restarted.
    fn reload(&mut self, slot: Slot) -> Result<(), Box<Finding>> {
        let request = ["DEBUG", "RELOAD"].iter().collect();
        self.send(slot, &[Sent { request, inline: false }])
    }

    /// From now on scripts are propagated as they came, or as what their commands propagate.
    fn turn_scripts(&mut self, slot: Slot, whole: bool) -> Result<(), Box<Finding>> {
        let request = ["DEBUG", "LUA-ALWAYS-REPLICATE-COMMANDS", if whole { "0" } else { "1" }].iter().collect();
        self.send(slot, &[Sent { request, inline: false }])
    }

    /// Asks next how the keys of a batch are stored, where that shows in no other way.
    fn probe_encodings(&mut self, batch: &[Sent]) {
        if !self.session.target.can().live || batch.iter().any(|sent| sent.request.is(0, "select")) {
            return;
        }
        let mut keys: Vec<&[u8]> = Vec::new();
        for sent in batch {
            let Some(grammar) = grammar_at(command_index(sent.request.name())) else { continue };
            keys.extend(grammar.keys(&sent.request).map(|index| sent.request.argument(index)));
        }
        keys.sort_unstable();
        keys.dedup();
        let probe = |key: &[u8]| [b"OBJECT".as_slice(), b"ENCODING", key].into_iter().collect();
        let probes = keys.into_iter().take(MOST_PROBES).map(|key| Sent { request: probe(key), inline: false });
        self.follow_ups.extend(probes);
    }

    /// Asks for the keys of which too many states are left, as eviction leads to: each could be the old value, changed, or a
    /// new one.
    fn probe_states(&mut self, slot: Slot) {
        if self.swarm.squeezes == 0 {
            return;
        }
        let db = self.session.client(slot).map_or(0, |client| self.session.model.selected_db(client));
        let model = &self.session.model;
        let keys = model.with_many_states(MOST_STATES).filter(|(of, _)| *of == db).take(MOST_PROBES);
        let probe = |key: &[u8]| [b"DUMP".as_slice(), key].into_iter().collect();
        self.follow_ups.extend(keys.map(|(_, key)| Sent { request: probe(key), inline: false }));
    }

    /// Sets a limit to the memory that bites now or soon, or takes it off; sometimes changes what is evicted.
    fn squeeze(&mut self, choice: &mut impl Choice) -> Result<(), Box<Finding>> {
        let slot = self.auditor();
        let question = Sent { request: ["INFO", "memory"].iter().collect(), inline: false };
        self.journal.command(slot, &question.request, false, false);
        self.session.take_delivered();
        let mut used = None;
        self.session.batch(slot, &[question], |_, replies| used = replies.first().and_then(used_memory))?;
        for (name, value) in self.swarm.squeeze(choice, used.unwrap_or(0)) {
            let request = ["CONFIG", "SET", name, &value].iter().collect();
            self.send(slot, &[Sent { request, inline: false }])?;
        }
        Ok(())
    }

    /// Makes one command; none when it has to be withheld. True when it has to be sent alone.
    fn generate(&mut self, choice: &mut impl Choice, slot: Slot, mode: Mode, sent: &mut Sent) -> Option<bool> {
        let db = self.session.client(slot).map_or(0, |client| self.session.model.selected_db(client));
        let view = ModelView { session: &self.session, kinds: &self.kinds, db, mode };
        sent.request.clear();
        let grammar = self.swarm.command(choice, &view, &mut sent.request)?;
        let live = self.session.target.can().live;
        // A line that begins with `*` is no inline request.
        sent.inline = self.swarm.inline > 0
            && self.swarm.inline > choice.below(256)
            && sent.request.payload() < 10_000
            && !sent.request.name().starts_with(b"*")
            // One of empty arguments alone would be no request [INLINE-2], and its answer would be waited for in vain.
            && sent.request.arguments().any(|argument| !argument.is_empty());
        let withheld = profile::is_wasteful(&sent.request)
            // Without replies nobody knows what was refused for lack of memory.
            || self.swarm.squeezes > 0 && sent.request.is(0, "client") && sent.request.is(1, "reply")
            || grammar.alone && profile::ends_service(&sent.request).is_some()
            || live && !self.plan.lethal && profile::lethal(&sent.request).is_some()
            // Nobody would know which members are left, or who waits.
            || (self.session.is_quiet(slot) || slot == self.auditor()) && profile::needs_replies(&sent.request)
            || mode == Mode::Transaction && self.is_unfit_in_transaction(&sent.request)
            // What our own connection says would be logged too.
            || live && sent.request.is(0, "config") && sent.request.is(2, "slowlog-log-slower-than")
            || live && profile::adds_untold(&sent.request, self.session.is_quiet(slot))
            // Redis 5 never closes a connection without replies (E-15), and never hears it again.
            || live && self.session.is_quiet(slot) && profile::may_end_connection(&sent.request);
        if withheld {
            self.session.coverage.withheld += 1;
            return None;
        }
        Some(grammar.alone || stores_some(&sent.request) || live && may_be_chancy(&sent.request))
    }

    /// May the command not be queued? Not where its answer, on a live server, or what it stores depends on what nobody knows.
    fn is_unfit_in_transaction(&self, request: &Request) -> bool {
        let live = self.session.target.can().live;
        profile::is_unfit_in_transaction(request) || stores_some(request) || live && may_be_chancy(request)
    }

    /// Does a live server answer with whatever the levels of its skiplist, the bytes behind a string or the order of those
    /// who wait lead to? Or does any store what nobody is told?
    fn is_chancy(&self, slot: Slot, request: &Request) -> bool {
        let client = self.session.client(slot);
        let db = client.map_or(0, |client| self.session.model.selected_db(client));
        let model = &self.session.model;
        if stores_some(request) {
            let words: Vec<&[u8]> = request.arguments().collect();
            return client.is_none_or(|client| model.stores_arbitrarily(client, &words, self.session.span()));
        }
        self.session.target.can().live
            && (is_by_bytes(request) && model.has_chancy_ranges(db, request.argument(1))
                || swaps(request)
                    && match [request.argument(1), request.argument(2)].map(number) {
                        [Some(one), Some(other)] => model.has_chancy_swap(one, other),
                        _ => false,
                    }
                || counts_distinct(request)
                    && request.arguments().skip(1).any(|word| model.has_damaged_hyperloglog(db, word)))
    }

    /// Sends a batch, records it, and notes what to ask next.
    fn send(&mut self, slot: Slot, batch: &[Sent]) -> Result<(), Box<Finding>> {
        for (index, sent) in batch.iter().enumerate() {
            self.journal.command(slot, &sent.request, index + 1 < batch.len(), sent.inline);
        }
        let follow_ups = &mut self.follow_ups;
        self.session.take_delivered();
        self.session.batch(slot, batch, |request, replies| {
            if let [Reply::Error(_)] = replies
                && follow_ups.len() < 4
            {
                ask_after_failure(request, follow_ups);
            }
        })
    }
}

/// Can the command be one whose answer depends on what nobody knows? Then what was sent before it must be known.
fn may_be_chancy(request: &Request) -> bool {
    is_by_bytes(request) || counts_distinct(request) || swaps(request)
}

/// Is it a search around a place that stores no more members than it is told to?
fn stores_some(request: &Request) -> bool {
    let has = |word: &str| (4..request.len()).any(|index| request.is(index, word));
    (request.is(0, "georadius") || request.is(0, "georadiusbymember"))
        && has("count")
        && (has("store") || has("storedist"))
}

/// Is it SWAPDB?
fn swaps(request: &Request) -> bool {
    request.is(0, "swapdb") && request.len() == 3
}

fn number(text: &[u8]) -> Option<usize> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Is it one of the commands on ranges of a sorted set's members?
fn is_by_bytes(request: &Request) -> bool {
    const NAMES: [&str; 4] = ["zlexcount", "zrangebylex", "zrevrangebylex", "zremrangebylex"];
    NAMES.into_iter().any(|name| request.is(0, name))
}

/// Is it one of the commands on HyperLogLogs?
fn counts_distinct(request: &Request) -> bool {
    const NAMES: [&str; 4] = ["pfadd", "pfcount", "pfmerge", "pfdebug"];
    NAMES.into_iter().any(|name| request.is(0, name))
}

/// The field `used_memory` of INFO.
fn used_memory(info: &Reply) -> Option<i64> {
    let Reply::Bulk(text) = info else { return None };
    let text = String::from_utf8_lossy(text);
    text.lines().find_map(|line| line.strip_prefix("used_memory:"))?.trim().parse().ok()
}

/// A failed command must leave no trace: asks what became of its key.
fn ask_after_failure(request: &Request, questions: &mut Vec<Sent>) {
    let Some(grammar) = grammar_at(command_index(request.name())) else { return };
    let Some(key) = grammar.keys(request).next() else { return };
    let key = request.argument(key);
    // Once in a while is enough; the key's first byte and the command's length serve as the die.
    if (request.payload() + key.len()).is_multiple_of(4) {
        questions.push(Sent { request: [b"EXISTS".as_slice(), key].into_iter().collect(), inline: false });
        questions.push(Sent { request: [b"OBJECT".as_slice(), b"ENCODING", key].into_iter().collect(), inline: false });
    }
}

/// What the keys of the pool hold, each looked up once per batch: nothing changes while one is put together.
#[derive(Debug, Default)]
struct Kinds {
    /// The number of the batch.
    batch: u64,
    /// By place in the pool: the batch of the last look-up, and what it found.
    found: RefCell<Vec<(u64, Option<Kind>)>>,
}

impl Kinds {
    /// A batch begins.
    fn begin(&mut self) {
        self.batch += 1;
    }

    fn of(&self, place: usize, look_up: impl FnOnce() -> Option<Kind>) -> Option<Kind> {
        let mut found = self.found.borrow_mut();
        if found.len() <= place {
            found.resize(place + 1, (0, None));
        }
        match found[place] {
            (batch, kind) if batch == self.batch => kind,
            _ => {
                let kind = look_up();
                found[place] = (self.batch, kind);
                kind
            }
        }
    }
}

struct ModelView<'a, 's> {
    session: &'a Session<'s>,
    kinds: &'a Kinds,
    db: usize,
    mode: Mode,
}

impl View for ModelView<'_, '_> {
    fn key(&self, key: &[u8]) -> Option<(Kind, usize)> {
        self.session.model.likely(self.db, key)
    }

    fn kind(&self, place: usize, key: &[u8]) -> Option<Kind> {
        self.kinds.of(place, || self.session.model.likely_kind(self.db, key))
    }

    fn stream(&self, key: &[u8]) -> Option<&tally_model::stream::StreamValue> {
        self.session.model.stream(self.db, key)
    }

    fn now_ms(&self) -> i64 {
        self.session.span().latest_ms
    }

    fn payloads(&self) -> &[Vec<u8>] {
        &self.session.harvest.payloads
    }

    fn mode(&self) -> Mode {
        self.mode
    }

    fn scripts(&self) -> Vec<Vec<u8>> {
        self.session.model.scripts().map(|(name, _)| name.to_vec()).collect()
    }

    fn client_ids(&self) -> &[i64] {
        &self.session.harvest.client_ids
    }

    fn cursor(&self, command: &[u8], key: &[u8]) -> Option<&[u8]> {
        self.session.harvest.cursor(command, key)
    }
}

/// Who is told what a script leads to.
pub trait Observer {
    /// The step of that index was answered.
    fn answered(&mut self, step: usize, replies: &[Reply]);

    /// Because of the step of that index a client received something that it did not ask for just now.
    fn delivered(&mut self, step: usize, delivered: Delivered) {
        let _ = (step, delivered);
    }
}

impl<F: FnMut(usize, &[Reply])> Observer for F {
    fn answered(&mut self, step: usize, replies: &[Reply]) {
        self(step, replies);
    }
}

/// Runs a script from a fresh start; `answered` is told of every step's index and replies.
///
/// # Errors
/// What was found.
pub fn run_script(
    target: &mut dyn Target,
    script: &Script,
    profile: Profile,
    coverage: &mut Coverage,
    mut answered: &mut dyn FnMut(usize, &[Reply]),
) -> Result<(), Box<Finding>> {
    run_script_for(target, script, profile, coverage, &mut answered)
}

/// Runs a script from a fresh start, and tells an observer what it leads to.
///
/// # Errors
/// What was found.
pub fn run_script_for(
    target: &mut dyn Target,
    script: &Script,
    profile: Profile,
    coverage: &mut Coverage,
    observer: &mut dyn Observer,
) -> Result<(), Box<Finding>> {
    let nowhere = |error| {
        let request = Request::from(&[b"(begin)"][..]);
        Box::new(Finding { command: 0, client: 0, request, wrong: Wrong::Target(error) })
    };
    let mut chunked;
    let target: &mut dyn Target = match script.chunked {
        Some(seed) => {
            chunked = Chunked::new(target, seed);
            &mut chunked
        }
        None => target,
    };
    let mut session = Session::begin(target, profile, &setup(script), coverage).map_err(nowhere)?;
    let outcome = steps(&mut session, script, observer);
    session.coverage.add_witnessed(&session.model);
    outcome.and_then(|()| session.conclude())
}

fn steps(session: &mut Session<'_>, script: &Script, observer: &mut dyn Observer) -> Result<(), Box<Finding>> {
    let mut batch: Vec<Sent> = Vec::new();
    let mut steps = script.steps.iter().enumerate().peekable();
    let mut last_client = 1;
    while let Some((index, step)) = steps.next() {
        let command = |name, argument| (last_client, [name, argument].iter().collect(), false, false);
        let (client, request, pipelined, inline) = match step {
            Step::Command { client, request, pipelined, inline } => (*client, request.clone(), *pipelined, *inline),
            Step::Reload => command("DEBUG", "RELOAD"),
            Step::Replay => command("DEBUG", "LOADAOF"),
            Step::Pass(_) | Step::Close(_) | Step::Cut { .. } => {
                let outcome = match step {
                    Step::Pass(ms) => session.pass(*ms),
                    Step::Cut { client, bytes, request } => session.leave(*client, Some((*bytes, request))),
                    Step::Close(client) => session.leave(*client, None),
                    _ => Ok(()),
                };
                tell(session, index, observer);
                outcome?;
                continue;
            }
        };
        last_client = client;
        batch.push(Sent { request, inline });
        let goes_on = matches!(steps.peek(), Some((_, Step::Command { client: next, .. })) if *next == client);
        if pipelined && goes_on {
            continue;
        }
        let mut at = index + 1 - batch.len();
        let outcome = session.batch(client, &batch, |_, replies| {
            observer.answered(at, replies);
            at += 1;
        });
        batch.clear();
        tell(session, index, observer);
        outcome?;
    }
    Ok(())
}

fn tell(session: &mut Session<'_>, step: usize, observer: &mut dyn Observer) {
    for delivered in session.take_delivered() {
        observer.delivered(step, delivered);
    }
}
