//! A server on a simulated disk dies at any moment, and what it finds when it starts again is a state that it had, none
//! of what it promised to keep being lost.
//!
//! The states are compared by DEBUG DIGEST after each command, or after each transaction as a whole: a file that brings
//! half of one brings a state that never was.
//!
//! | policy | what may be lost |
//! |---|---|
//! | `always` | nothing that was answered |
//! | `everysec` | what was answered in the last second, and while syncs were under way |
//! | `no` | with the process nothing, with the power anything |
//! | a dump | what came after the last SAVE that was answered or the last background save that ended |
//!
//! While the disk refuses to write, the server says so, and only what was promised before is held against it.

use std::collections::VecDeque;

use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;
use tally_engine::config::Config;
use tally_engine::world::Still;

use crate::choice::Choice;
use crate::reply_reader::ReplyReader;
use crate::simulator::disk::Disk;
use crate::simulator::machine::{Machine, Notice, Process};

/// What runs of this property went through.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lives {
    /// Crashes with the loss of power.
    pub power: u64,
    /// Crashes of the process alone.
    pub kills: u64,
    /// Commands that were answered.
    pub answered: u64,
    /// Background saves that ended well.
    pub saves: u64,
    /// Append-only files that were rewritten.
    pub rewrites: u64,
    /// Lives in which the disk failed.
    pub failures: u64,
}

/// The policy and its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Policy {
    Always,
    EverySec,
    No,
    /// No append-only file, but dumps.
    Dumps,
}

/// An index into the states, and the time since when it must not be lost.
#[derive(Clone, Copy, Debug)]
struct Answered {
    state: usize,
    at_us: u64,
}

/// What is known of one life of the server.
struct Oracle {
    policy: Policy,
    /// Digests, each that of the dataset after a command or transaction.
    states: Vec<String>,
    /// Requests that wait for so many replies, and the states they lead to.
    unanswered: VecDeque<(usize, usize, bool)>,
    replies: ReplyReader,
    answered: Vec<Answered>,
    /// The last state that a dump holds which was promised, or that of an append-only file that was begun.
    saved: usize,
    /// That of the background save under way.
    forked: usize,
    /// What the server began with.
    loaded: usize,
    /// What was promised of it, which is on the disk or on its way there: a loss of power may take it yet.
    cached: usize,
    /// Nothing after this state is promised: the disk has failed since.
    cap: Option<usize>,
    /// The append-only file was switched off, and is not in place again.
    off: bool,
}

impl Oracle {
    fn latest(&self) -> usize {
        self.states.len() - 1
    }

    fn hear(&mut self, process: &mut Process, machine: &Machine, lives: &mut Lives) -> Result<(), String> {
        for notice in std::mem::take(&mut process.notices) {
            match notice {
                Notice::Output => {}
                Notice::Forked => self.forked = self.latest(),
                Notice::Saved => {
                    lives.saves += 1;
                    if self.policy == Policy::Dumps {
                        self.saved = self.saved.max(self.forked);
                    }
                }
                Notice::Begun => {
                    lives.rewrites += 1;
                    if self.off {
                        self.off = false;
                        self.saved = self.answered.last().map_or(0, |answered| answered.state);
                    }
                }
            }
        }
        self.replies.push(&std::mem::take(&mut process.output));
        while let Some(reply) = self.replies.next_reply().map_err(|error| format!("a damaged reply: {error:?}"))? {
            let Some((left, state, saves)) = self.unanswered.front_mut() else {
                return Err(format!("a reply to nothing: {reply:?}"));
            };
            *left -= 1;
            if *left == 0 {
                let (state, saves) = (*state, *saves);
                self.unanswered.pop_front();
                lives.answered += 1;
                self.answered.push(Answered { state, at_us: machine.world.now_us });
                if saves && self.policy == Policy::Dumps && reply == crate::Reply::ok() {
                    self.saved = self.saved.max(state);
                    // Whoever says OK has saved, whatever the disk did.
                    self.cap = self.cap.map(|cap| cap.max(state));
                }
            }
        }
        Ok(())
    }

    /// The first state that may be found after a crash now.
    fn least(&self, power: bool, machine: &Machine) -> usize {
        let now_us = machine.world.now_us;
        let before = |window_us: u64| {
            let kept = self.answered.iter().rev().find(|answered| answered.at_us + window_us <= now_us);
            kept.map_or(0, |answered| answered.state)
        };
        let promised = match self.policy {
            _ if self.off => 0,
            Policy::Dumps => self.saved,
            Policy::Always => before(0),
            // The write waits for the sync before it, its own sync begins at the next tick of the second after that.
            Policy::EverySec if power => before(1_200_000 + 2 * machine.sync_us),
            Policy::EverySec => before(machine.sync_us + 200_000),
            Policy::No if power => 0,
            Policy::No => before(0),
        };
        let kept = if power { self.saved } else { self.saved.max(self.cached) };
        let promised = promised.max(if self.off { 0 } else { kept });
        match self.cap {
            Some(cap) if self.policy != Policy::Always => promised.min(cap),
            _ => promised,
        }
    }

    /// The server found this when it started again, of which `least` was promised, and `durable` even if power is lost now.
    fn found(&mut self, digest: &str, least: usize, durable: usize) -> Result<(), String> {
        let Some(state) = self.states.iter().rposition(|known| known == digest) else {
            return Err("the dataset is none that the server ever had".to_owned());
        };
        if state < least {
            let latest = self.latest();
            return Err(format!("state {state} is back, but {least} of {latest} was promised"));
        }
        self.states.truncate(state + 1);
        self.unanswered.clear();
        self.replies = ReplyReader::default();
        self.answered = vec![Answered { state: durable, at_us: 0 }];
        (self.saved, self.forked, self.loaded, self.cached) = (durable, durable, state, least);
        (self.cap, self.off) = (None, false);
        Ok(())
    }
}

fn write(chance: &mut ChaCha8Rng) -> String {
    let key = ["a", "b", "c"][chance.below(3) as usize];
    let number = chance.below(1000);
    match chance.below(10) {
        0 => format!("SET s:{key} {number}"),
        1 => format!("INCRBY n:{key} {number}"),
        2 => format!("RPUSH l:{key} {number} x{number}"),
        3 => format!("SADD t:{key} {number}"),
        4 => format!("HSET h:{key} f{} {number}", number % 7),
        5 => format!("ZADD z:{key} {number} m{}", number % 5),
        6 => format!("XADD x:{key} * f {number}"),
        7 => format!("PEXPIREAT s:{key} 1800000000{number:03}"),
        8 => format!("APPEND s:{key} {}", "y".repeat(number as usize % 60)),
        _ => format!("DEL {}:{key}", ["s", "l", "n"][number as usize % 3]),
    }
}

/// A request, or a transaction of several, with the number of its replies, and whether it saves when it is answered.
fn request(chance: &mut ChaCha8Rng, policy: Policy, off: bool) -> (String, usize, bool) {
    match chance.below(40) {
        0 => ("BGREWRITEAOF".into(), 1, false),
        1 => ("BGSAVE".into(), 1, false),
        2 if policy == Policy::Dumps => ("SAVE".into(), 1, true),
        3 | 4 => (format!("SELECT {}", chance.below(3)), 1, false),
        5..=10 => {
            let count = 2 + chance.below(3) as usize;
            let mut lines = vec!["MULTI".to_owned()];
            lines.extend((0..count).map(|_| write(chance)));
            // While nothing is appended, the file of a rewrite that forks inside of a transaction is that of its middle, as on
            // real servers: a state that nobody else saw.
            if chance.ratio(1, 4) && !off {
                lines[1] = "BGREWRITEAOF".into();
                lines.swap(1, 2);
            }
            lines.push("EXEC".into());
            (lines.join("\r\n"), count + 2, false)
        }
        _ => (write(chance), 1, false),
    }
}

/// Everything that a seed decides: a few lives of a server, each ending in a crash. What is wrong, else.
pub fn nothing_promised_is_lost(seed: u64, lives: &mut Lives) -> Result<(), String> {
    run(seed, lives).map_err(|why| format!("seed {seed}: {why}"))
}

fn run(seed: u64, lives: &mut Lives) -> Result<(), String> {
    let mut chance = ChaCha8Rng::seed_from_u64(seed);
    let policy = [Policy::Always, Policy::EverySec, Policy::No, Policy::Dumps][chance.below(4) as usize];
    let switch = |on: bool| if on { "yes" } else { "no" };
    let text = format!(
        "appendonly {}\nappendfsync {}\naof-use-rdb-preamble {}\nauto-aof-rewrite-min-size {}\nsave {}\n",
        switch(policy != Policy::Dumps),
        match policy {
            Policy::Always => "always",
            Policy::EverySec => "everysec",
            Policy::No | Policy::Dumps => "no",
        },
        switch(chance.ratio(1, 2)),
        [400, 1_000_000][chance.below(2) as usize],
        if policy == Policy::Dumps { "1 1" } else { "\"\"" },
    );
    let config = Config::parse(&text).map_err(|error| error.to_string())?;
    let world = Still { unix_us: 1_700_000_000_000_000, now_us: 1_000_000, used_memory: 1_000_000 };
    let sync_us = [1, 300_000, 1_000_000][chance.below(3) as usize];
    let patient = chance.ratio(1, 2);
    let mut machine = Machine {
        disk: Disk::default(),
        world,
        chance,
        left: u32::MAX,
        failing: false,
        failed: false,
        patient,
        sync_us,
    };
    let mut oracle = Oracle {
        policy,
        states: vec![String::new()],
        unanswered: VecDeque::new(),
        replies: ReplyReader::default(),
        answered: Vec::new(),
        saved: 0,
        forked: 0,
        loaded: 0,
        cap: None,
        off: false,
        cached: 0,
    };
    let (mut least, mut durable) = (0, 0);
    for life in 0..4 {
        machine.left = u32::MAX;
        let mut process = Process::start(&mut machine, config.clone(), seed ^ life)
            .map_err(|why| format!("it does not start: {why}"))?;
        let digest = process.digest(&mut machine);
        if life == 0 {
            oracle.states = vec![digest.clone()];
        }
        oracle.found(&digest, least, durable).map_err(|why| format!("life {life} under {policy:?}: {why}"))?;
        machine.left = 1 + machine.chance.below(400);
        live(&mut machine, &mut process, &mut oracle, lives)?;
        let power = machine.chance.ratio(1, 2);
        (least, durable) = (oracle.least(power, &machine), oracle.least(true, &machine));
        lives.failures += u64::from(machine.failed);
        (machine.failing, machine.failed) = (false, false);
        if power {
            lives.power += 1;
            let mut chance = machine.chance.clone();
            machine.disk.lose_power(&mut chance);
            machine.chance = chance;
        } else {
            lives.kills += 1;
        }
        machine.world.now_us = 1_000_000;
    }
    Ok(())
}

/// One life, up to the crash.
fn live(machine: &mut Machine, process: &mut Process, oracle: &mut Oracle, lives: &mut Lives) -> Result<(), String> {
    let fails = machine.chance.ratio(1, 4);
    let switches = oracle.policy != Policy::Dumps && machine.chance.ratio(1, 4);
    while machine.left > 0 && !process.exited {
        if fails && machine.chance.ratio(1, 30) {
            machine.failing = !machine.failing;
            if machine.failing && oracle.cap.is_none() {
                oracle.cap = Some(oracle.least(true, machine));
            }
        }
        if switches && machine.chance.ratio(1, 20) {
            let on = oracle.off || machine.chance.ratio(1, 2);
            oracle.off |= !on;
            let word = if on { "yes" } else { "no" };
            send(machine, process, oracle, lives, (format!("CONFIG SET appendonly {word}"), 1, false))?;
        }
        for _ in 0..machine.chance.below(4) {
            if machine.left > 0 && !process.exited {
                let request = request(&mut machine.chance, oracle.policy, oracle.off);
                send(machine, process, oracle, lives, request)?;
            }
        }
        if machine.chance.ratio(1, 100) && process.has_child() {
            process.kill_child(machine);
            machine.failed = true;
        }
        process.turn(machine);
        oracle.hear(process, machine, lives)?;
        let us = 1 + u64::from(machine.chance.below(100_000));
        pass(machine, us);
        if machine.chance.ratio(1, 30) {
            rest(machine, process, oracle, lives)?;
            // A crash in the quiet shows what was never caught up with.
            if machine.chance.ratio(1, 4) {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn pass(machine: &mut Machine, us: u64) {
    machine.world.now_us += us;
    machine.world.unix_us += i64::try_from(us).unwrap_or(0);
}

/// Nobody asks anything for some seconds: what a healthy server is behind with then it catches up with.
fn rest(machine: &mut Machine, process: &mut Process, oracle: &mut Oracle, lives: &mut Lives) -> Result<(), String> {
    for step in 0..120 {
        if step == 30 {
            // The disk works again, and nothing is written that would make up for what failed.
            machine.failing = false;
        }
        if machine.left == 0 || process.exited {
            return Ok(());
        }
        pass(machine, 100_000);
        process.turn(machine);
        oracle.hear(process, machine, lives)?;
    }
    oracle.cap = None;
    let latest = oracle.latest();
    let kept = oracle.saved.max(oracle.loaded);
    if oracle.policy == Policy::Dumps && !machine.failed && oracle.states[kept] != oracle.states[latest] {
        return Err(format!("state {latest} is not saved although save points were reached; {kept} is"));
    }
    Ok(())
}

fn send(
    machine: &mut Machine,
    process: &mut Process,
    oracle: &mut Oracle,
    lives: &mut Lives,
    request: (String, usize, bool),
) -> Result<(), String> {
    let (text, replies, saves) = request;
    process.feed(machine, format!("{text}\r\n").as_bytes());
    // What the process did when it died is not known to anybody, but the state it led to may be found.
    oracle.states.push(process.digest(machine));
    oracle.unanswered.push_back((replies, oracle.latest(), saves));
    oracle.hear(process, machine, lives)
}
