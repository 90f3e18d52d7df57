//! MIGRATE from one engine to another over a way that may break anywhere: each of the two behaves as its model says, and
//! no key is lost.
//!
//! ```text
//!   source and its model ── Road: what is said, what arrives, what gets back ── target and its model
//! ```
//! The model of the source does not know what the target answers; here it is known, so what MIGRATE has to send, answer,
//! remove and hand on is told exactly, from what the road let through.

mod road;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;
use tally_engine::PeerFailure;
use tally_model::Reply;

use crate::choice::Choice;
use crate::request::Request;
use crate::target::{Connection, HandedOn, Neighbour, Target};
use road::{Conduct, Failure, Held, Road, Said, shown};

/// Steps of a run.
const STEPS: u32 = 60;
const KEYS: [&str; 4] = ["a", "b", "c", "d"];
/// Databases of the target that keys are sent to; the last two it has not.
const DATABASES: [i64; 5] = [0, 0, 1, 16, -1];
const TIMEOUT_MS: u64 = 50;
/// Longer than connections are kept without use, with the second that the clock may be behind.
const LONG_MS: u64 = 12_000;

/// What runs of this property went through.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moves {
    /// Keys that the target took.
    pub taken: u64,
    /// Calls that the target refused something of.
    pub refused: u64,
    /// Calls that failed for the way's sake.
    pub broken: u64,
    /// Calls that connected a second time.
    pub repeated: u64,
    /// Calls on a connection that was kept.
    pub kept: u64,
}

/// A call of MIGRATE.
#[derive(Debug)]
struct Call {
    keys: Vec<&'static str>,
    /// Named by KEYS, which also one key may be.
    by_option: bool,
    db: i64,
    copy: bool,
    replace: bool,
    password: Option<&'static str>,
}

impl Call {
    fn draw(choice: &mut impl Choice) -> Call {
        let by_option = choice.ratio(2, 3);
        let count = if by_option { 1 + choice.below(5) } else { 1 };
        Call {
            keys: (0..count).map(|_| KEYS[choice.below(KEYS.len() as u32) as usize]).collect(),
            by_option,
            db: DATABASES[choice.below(DATABASES.len() as u32) as usize],
            copy: choice.ratio(1, 3),
            replace: choice.ratio(1, 2),
            password: choice.ratio(1, 4).then(|| if choice.ratio(3, 4) { "secret" } else { "wrong" }),
        }
    }

    fn words(&self) -> Vec<String> {
        let key = if self.by_option { "" } else { self.keys[0] };
        let mut words: Vec<String> =
            ["MIGRATE", "neighbour", "6379", key, &self.db.to_string(), &TIMEOUT_MS.to_string()]
                .map(str::to_owned)
                .into();
        let mut push = |more: &[&str]| words.extend(more.iter().map(|word| (*word).to_owned()));
        if self.copy {
            push(&["COPY"]);
        }
        if self.replace {
            push(&["REPLACE"]);
        }
        if let Some(password) = self.password {
            push(&["AUTH", password]);
        }
        if self.by_option {
            push(&["KEYS"]);
            push(&self.keys);
        }
        words
    }

    /// What tells the target who asks and where the keys belong. [MIGRATE-9]
    fn introduction(&self, selected: Option<i64>) -> Vec<Vec<Vec<u8>>> {
        let auth = self.password.map(|password| vec![b"AUTH".to_vec(), password.into()]);
        let select = (selected != Some(self.db)).then(|| vec![b"SELECT".to_vec(), self.db.to_string().into()]);
        auth.into_iter().chain(select).collect()
    }
}

/// The two servers and whoever asks the source.
struct Run {
    source: Held,
    client: Connection,
    road: Rc<RefCell<Road>>,
    /// Asks the target.
    observer: Connection,
}

impl Run {
    fn start(seed: u64) -> Result<Run, String> {
        let (mut source, mut target) = (Held::start(seed)?, Held::start(seed ^ 1)?);
        let (client, observer) = (source.open()?, target.open()?);
        let road = Rc::new(RefCell::new(Road {
            target,
            lines: Vec::new(),
            conducts: VecDeque::new(),
            chance: ChaCha8Rng::seed_from_u64(seed ^ 2),
            said: Vec::new(),
            failures: Vec::new(),
            connects: 0,
            wrong: None,
        }));
        source.server.set_neighbour(Rc::clone(&road) as Rc<RefCell<dyn Neighbour>>);
        Ok(Run { source, client, road, observer })
    }

    fn write(&mut self, choice: &mut impl Choice) -> Result<(), String> {
        let key = KEYS[choice.below(KEYS.len() as u32) as usize];
        let number = choice.int(-300..=300).to_string();
        let long = "v".repeat(choice.below(200) as usize);
        let line: &[&str] = match choice.below(9) {
            0 => &["SET", key, &long],
            1 => &["SET", key, &number, "PX", "500"],
            2 => &["RPUSH", key, "one", &number, &long],
            3 => &["SADD", key, &number, "1", "2"],
            4 => &["ZADD", key, &number, "m", "1.5", "n"],
            5 => &["HSET", key, "f", &long],
            6 => &["XADD", key, "*", "f", &number],
            7 => &["PEXPIRE", key, "3000"],
            _ => &["DEL", key],
        };
        let words: Vec<&[u8]> = line.iter().map(|word| word.as_bytes()).collect();
        if choice.ratio(1, 6) {
            self.road.borrow_mut().target.ask(self.observer, &words)?;
        } else {
            self.source.ask(self.client, &words)?;
        }
        Ok(())
    }

    fn pass(&mut self, ms: u64) -> Result<(), String> {
        self.source.server.pass(ms).map_err(|error| error.to_string())?;
        self.keep_time()?;
        self.road.borrow_mut().wrong.take().map_or(Ok(()), Err)
    }

    /// Lets so much time pass that no connection is kept. [MIGRATE-17]
    fn lie_idle(&mut self) -> Result<(), String> {
        self.pass(LONG_MS)?;
        // Of a long time the engine sees few ticks, and it looks for idle connections once a second.
        self.pass(1100)?;
        match self.road.borrow().lines.iter().any(|line| !line.closed) {
            true => Err("a connection is kept that nobody uses".to_owned()),
            false => Ok(()),
        }
    }

    /// The target's clock follows that of the source.
    fn keep_time(&mut self) -> Result<(), String> {
        let mut road = self.road.borrow_mut();
        let target = &mut road.target.server;
        let behind = self.source.server.now_ms() - target.now_ms();
        target.pass(u64::try_from(behind).unwrap_or(0)).map_err(|error| error.to_string())
    }

    /// A call, and everything that it has to lead to.
    fn migrate(&mut self, choice: &mut impl Choice, moves: &mut Moves) -> Result<(), String> {
        let call = Call::draw(choice);
        // What is there, and as what it has to be sent. [MIGRATE-4] [MIGRATE-10] [MIGRATE-21]
        let mut restores = Vec::new();
        for key in &call.keys {
            let dumped = self.source.ask(self.client, &[b"DUMP", key.as_bytes()])?;
            let left = self.source.ask(self.client, &[b"PTTL", key.as_bytes()])?;
            if let (Reply::Bulk(payload), Reply::Integer(left)) = (dumped, left) {
                let ttl = if left < 0 { 0 } else { left.max(1) };
                let mut words = vec![b"RESTORE".to_vec(), key.as_bytes().to_vec(), ttl.to_string().into(), payload];
                words.extend(call.replace.then(|| b"REPLACE".to_vec()));
                restores.push(words);
            }
        }
        self.source.server.take_handed_on();
        let kept = {
            let mut road = self.road.borrow_mut();
            (road.connects, road.conducts) = (0, (0..2).map(|_| Conduct::draw(choice, true)).collect());
            road.said.clear();
            road.failures.clear();
            let kept = road.lines.iter().position(|line| !line.closed);
            if let Some(place) = kept {
                road.lines[place].conduct = Conduct::draw(choice, false);
            }
            (kept, road.lines.len())
        };
        let words = call.words();
        let slices: Vec<&[u8]> = words.iter().map(String::as_bytes).collect();
        let answer = self.source.ask(self.client, &slices)?;
        let handed_on = self.source.server.take_handed_on();
        let taken = self.judge(&call, &restores, kept, &answer, moves)?;
        self.judge_source(&call, &restores, &taken, &handed_on)?;
        self.keep_time()
    }

    /// Judges what was said and answered; the keys that the target took.
    fn judge(
        &mut self,
        call: &Call,
        restores: &[Vec<Vec<u8>>],
        (kept, before): (Option<usize>, usize),
        answer: &Reply,
        moves: &mut Moves,
    ) -> Result<Vec<Vec<u8>>, String> {
        let mut road = self.road.borrow_mut();
        if let Some(wrong) = road.wrong.take() {
            return Err(format!("the target: {wrong}"));
        }
        if restores.is_empty() {
            let idle = road.connects == 0 && road.said.is_empty();
            let right = idle && *answer == Reply::status("NOKEY");
            return if right { Ok(Vec::new()) } else { Err(format!("for no key: {answer:?}")) };
        }
        // The kept connection, or one that was made for this; the second one was. [MIGRATE-15]
        let attempts = road.connects + usize::from(kept.is_some());
        let failed = attempts.checked_sub(1).and_then(|last| road.failures.get(last));
        let first = kept.unwrap_or(before);
        let answered = |said: &&Said| said.line == first && said.answer.is_some();
        let told = road
            .said
            .iter()
            .filter(answered)
            .any(|said| said.words[0] == b"RESTORE" || matches!(said.answer, Some(Reply::Error(_))));
        let broke = matches!(road.failures.first(), Some(Failure::Sending | Failure::Receiving(PeerFailure::Broken)));
        let expected = if broke && !told { 2 } else { 1 };
        if attempts != expected {
            return Err(format!("{attempts} connections, not {expected}; {:?}", road.failures));
        }
        // Each line hears what it has to, in order, up to where it broke. [MIGRATE-9] [MIGRATE-11]
        let last = if road.lines.len() > before { road.lines.len() - 1 } else { first };
        for place in kept.into_iter().chain(before..road.lines.len()) {
            let heard: Vec<&Said> = road.said.iter().filter(|said| said.line == place).collect();
            let introduction = call.introduction(road.lines[place].db);
            let refused =
                heard.iter().take(introduction.len()).any(|said| matches!(said.answer, Some(Reply::Error(_))));
            let expected: Vec<&Vec<Vec<u8>>> =
                introduction.iter().chain(restores.iter().filter(|_| !refused)).collect();
            let whole = failed.is_some() || place != last || heard.len() == expected.len();
            let begins = heard.len() <= expected.len();
            if !(whole && begins && heard.iter().zip(&expected).all(|(said, words)| said.words == **words)) {
                let heard: Vec<String> = heard.iter().map(|said| shown(&said.words)).collect();
                return Err(format!("line {place} hears {}", heard.join("; ")));
            }
        }
        let taken = road.said.iter().filter(|said| said.words[0] == b"RESTORE");
        let taken = taken.filter(|said| matches!(said.answer, Some(Reply::Status(_))));
        let taken: Vec<Vec<u8>> = taken.map(|said| said.words[1].clone()).collect();
        let error = road.said.iter().find_map(|said| match &said.answer {
            Some(Reply::Error(line)) => Some(line.clone()),
            _ => None,
        });
        // [MIGRATE-6] [MIGRATE-7] [MIGRATE-8] [MIGRATE-13] [MIGRATE-14] [MIGRATE-16]
        let expected = match (&error, failed) {
            (Some(line), _) => Reply::Error([b"ERR Target instance replied with error: ", line.as_slice()].concat()),
            (None, Some(failure)) => Reply::Error(
                match failure {
                    Failure::Connecting(PeerFailure::Unreachable(why)) => {
                        format!("ERR Can't connect to target node: {why}")
                    }
                    Failure::Connecting(PeerFailure::TimedOut) => {
                        "IOERR error or timeout connecting to the client".to_owned()
                    }
                    Failure::Connecting(PeerFailure::Broken) | Failure::Sending => {
                        "IOERR error or timeout writing to target instance".to_owned()
                    }
                    Failure::Receiving(_) => "IOERR error or timeout reading to target instance".to_owned(),
                }
                .into_bytes(),
            ),
            (None, None) if taken.len() == restores.len() => Reply::ok(),
            (None, None) => {
                return Err(format!("{} keys of {} are taken, and why is not told", taken.len(), restores.len()));
            }
        };
        if *answer != expected {
            return Err(format!("answers {answer:?}, not {expected:?}"));
        }
        let broken = failed.is_some();
        let open: Vec<usize> = (0..road.lines.len()).filter(|&place| !road.lines[place].closed).collect();
        // [MIGRATE-17]
        if open.len() != usize::from(!broken) {
            return Err(format!("{} connections are open, {:?}", open.len(), road.failures));
        }
        for place in open {
            road.lines[place].db = error.is_none().then_some(call.db);
        }
        moves.taken += taken.len() as u64;
        moves.refused += u64::from(error.is_some());
        moves.broken += u64::from(broken);
        moves.repeated += u64::from(attempts == 2);
        moves.kept += u64::from(kept.is_some());
        Ok(taken)
    }

    /// What the source keeps and hands on. [MIGRATE-12] [MIGRATE-20]
    fn judge_source(
        &mut self,
        call: &Call,
        restores: &[Vec<Vec<u8>>],
        taken: &[Vec<u8>],
        handed_on: &[HandedOn],
    ) -> Result<(), String> {
        let mut removed: Vec<Vec<u8>> = Vec::new();
        for key in taken.iter().filter(|_| !call.copy) {
            if !removed.contains(key) {
                removed.push(key.clone());
            }
        }
        let mut command = vec![b"DEL".to_vec()];
        command.extend(removed.iter().cloned());
        let expected: &[Vec<Vec<u8>>] = if removed.is_empty() { &[] } else { &[command] };
        let right = |to: fn(&HandedOn) -> bool| {
            handed_on.iter().filter(|command| to(command)).map(|command| &command.arguments).eq(expected)
        };
        if !(right(|command| command.aof) && right(|command| command.replicas)) {
            let commands: Vec<String> = handed_on.iter().map(|command| shown(&command.arguments)).collect();
            return Err(format!("hands on {}", commands.join("; ")));
        }
        for words in restores {
            let stays = self.source.ask(self.client, &[b"EXISTS", &words[1]])?;
            if stays != Reply::Integer(i64::from(!removed.contains(&words[1]))) {
                return Err(format!("{} is there {stays:?} times", Request::from(&[words[1].as_slice()][..])));
            }
        }
        Ok(())
    }

    fn conclude(mut self) -> Result<(), String> {
        self.source.audit(self.client, "0")?;
        self.source.server.validate()?;
        let mut road = self.road.borrow_mut();
        for db in ["0", "1"] {
            road.target.audit(self.observer, db)?;
        }
        road.target.server.validate()
    }
}

/// Keys go from one engine to another as the specification says, whatever happens on the way.
///
/// # Errors
/// What went otherwise, and the seed.
pub fn keys_are_handed_over(seed: u64, moves: &mut Moves) -> Result<(), String> {
    let choice = &mut ChaCha8Rng::seed_from_u64(seed);
    let mut step = 0;
    let mut run = || {
        let mut run = Run::start(seed)?;
        if choice.ratio(1, 3) {
            let command: [&[u8]; 4] = [b"CONFIG", b"SET", b"requirepass", b"secret"];
            run.road.borrow_mut().target.ask(run.observer, &command)?;
        }
        while step < STEPS {
            step += 1;
            match choice.below(8) {
                0..4 => run.write(choice)?,
                4 if choice.ratio(1, 8) => run.lie_idle()?,
                4 => run.pass(u64::from(choice.below(900)))?,
                _ => run.migrate(choice, moves)?,
            }
        }
        run.conclude()
    };
    run().map_err(|wrong| format!("seed {seed}, step {step}: {wrong}"))
}
