//! Lets clients race: one thread and one connection each.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tally_model::Reply;

use super::history::{History, Operation, keys};
use super::program::{Round, Turn, blocks};
use crate::request::Request;
use crate::target::link::Link;
use crate::target::{TargetError, Url};

/// After so long without any answer those who wait are helped.
const STANDSTILL: Duration = Duration::from_millis(8);

/// The connections of racing clients, and one that helps those who wait in vain.
pub(super) struct Racers {
    links: Vec<Link>,
    helper: Link,
    ids: Vec<i64>,
}

/// What the helper may know of a client while it races.
#[derive(Default)]
struct Progress {
    /// The keys of all its commands that may wait: which of them the helper meets cannot be told.
    keys: Vec<Vec<u8>>,
    waits: AtomicBool,
    finished: AtomicBool,
}

impl Progress {
    fn of(program: &[Turn]) -> Self {
        let waiting = program.iter().flatten().flatten().filter(|request| blocks(request));
        Self { keys: waiting.flat_map(keys).collect(), ..Self::default() }
    }
}

impl Racers {
    pub(super) fn open(url: &Url, clients: usize) -> Result<Self, TargetError> {
        let mut links = Vec::with_capacity(clients);
        let mut ids = Vec::with_capacity(clients + 1);
        for _ in 0..clients {
            let mut link = Link::open(url)?;
            ids.push(own_id(&mut link)?);
            links.push(link);
        }
        let mut helper = Link::open(url)?;
        ids.push(own_id(&mut helper)?);
        Ok(Self { links, helper, ids })
    }

    /// Runs a round on an empty server, and says what happened.
    pub(super) fn run(&mut self, round: &Round) -> Result<History, TargetError> {
        ask(&mut self.helper, &["FLUSHALL"])?;
        let clients = round.programs.len().min(self.links.len());
        let progress: Vec<Progress> =
            round.programs.iter().take(clients).map(|program| Progress::of(program)).collect();
        let answers = AtomicU64::new(0);
        let barrier = Barrier::new(clients);
        let began = Instant::now();
        let helper = &mut self.helper;
        let mut ids = self.ids[..clients].to_vec();
        ids.extend(self.ids.last());
        let (raced, helped) = thread::scope(|scope| {
            let racers: Vec<_> = self
                .links
                .iter_mut()
                .zip(&round.programs)
                .enumerate()
                .map(|(client, (link, program))| {
                    let race = Race { client, began, progress: &progress[client], answers: &answers };
                    let barrier = &barrier;
                    scope.spawn(move || {
                        barrier.wait();
                        let outcome = race.run(link, program);
                        race.progress.finished.store(true, Ordering::Release);
                        outcome
                    })
                })
                .collect();
            let helped = help(helper, &ids, &progress, &answers, began);
            let raced: Vec<_> = racers.into_iter().map(thread::ScopedJoinHandle::join).collect();
            (raced, helped)
        });
        let mut history = History { operations: helped?, ids };
        for outcome in raced {
            let crashed = |_| TargetError::Connection("a client of ours came to grief".to_owned());
            history.operations.extend(outcome.map_err(crashed)??);
        }
        history.operations.sort_by_key(|operation| operation.called);
        Ok(history)
    }
}

fn ask(link: &mut Link, words: &[&str]) -> Result<Reply, TargetError> {
    let request: Request = words.iter().collect();
    request.encode(&mut link.outgoing);
    link.flush();
    link.await_reply()
}

fn own_id(link: &mut Link) -> Result<i64, TargetError> {
    match ask(link, &["CLIENT", "ID"])? {
        Reply::Integer(id) => Ok(id),
        other => Err(TargetError::Connection(format!("CLIENT ID answers {other}"))),
    }
}

fn nanoseconds(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// One client's part.
struct Race<'a> {
    client: usize,
    began: Instant,
    progress: &'a Progress,
    answers: &'a AtomicU64,
}

impl Race<'_> {
    fn run(&self, link: &mut Link, program: &[Turn]) -> Result<Vec<Operation>, TargetError> {
        let mut operations = Vec::new();
        for burst in program.iter().flatten() {
            self.progress.waits.store(burst.iter().any(blocks), Ordering::Release);
            for request in burst {
                request.encode(&mut link.outgoing);
            }
            let called = nanoseconds(self.began);
            link.flush();
            for request in burst {
                let reply = link.await_reply()?;
                let returned = nanoseconds(self.began);
                self.answers.fetch_add(1, Ordering::Relaxed);
                operations.push(Operation::new(self.client, request.clone(), reply, called, returned));
            }
            self.progress.waits.store(false, Ordering::Release);
        }
        Ok(operations)
    }
}

/// Unblocks whoever still waits when nothing moves any more; its own commands are part of the history.
fn help(
    link: &mut Link,
    ids: &[i64],
    progress: &[Progress],
    answers: &AtomicU64,
    began: Instant,
) -> Result<Vec<Operation>, TargetError> {
    let mut operations = Vec::new();
    let (mut last, mut since) = (0, Instant::now());
    loop {
        if progress.iter().all(|client| client.finished.load(Ordering::Acquire)) {
            return Ok(operations);
        }
        let now = answers.load(Ordering::Relaxed);
        if now != last {
            (last, since) = (now, Instant::now());
        }
        if since.elapsed() < STANDSTILL {
            thread::sleep(Duration::from_micros(100));
            continue;
        }
        for (client, id) in progress.iter().zip(ids) {
            if !client.waits.load(Ordering::Acquire) {
                continue;
            }
            let request: Request = ["CLIENT", "UNBLOCK", &id.to_string()].iter().collect();
            let called = nanoseconds(began);
            request.encode(&mut link.outgoing);
            link.flush();
            let reply = link.await_reply()?;
            let returned = nanoseconds(began);
            let keys = client.keys.clone();
            operations.push(Operation { client: progress.len(), request, reply, called, returned, keys });
            // One after the other: what the first of them does then may serve the next.
            since = Instant::now();
            break;
        }
        thread::sleep(Duration::from_micros(100));
    }
}
