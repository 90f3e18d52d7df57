//! Scripts as values: made whole before anything runs, for proptest, and held against the engine.

use proptest::strategy::{NewTree, Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use crate::choice::Choice;
use crate::coverage::Coverage;
use crate::generator::{Blind, Limits, Swarm};
use crate::profile::{self, Version};
use crate::request::Request;
use crate::runner::run_script;
use crate::script::{Script, Step};
use crate::target::{Embedded, Setup};

/// Steps of a script where the limits name no number of commands.
const MOST_COMMANDS: usize = 100;

/// The script that a source of choices makes.
fn script(choice: &mut impl Choice, limits: &Limits) -> Script {
    let swarm = Swarm::draw(choice, limits);
    let mut script = Script { seed: 1, chunked: swarm.chunked, ..Script::default() };
    for (name, value) in &swarm.config {
        if Setup::is_of_the_start(name) {
            script.config.push((name.clone(), value.clone()));
        } else {
            script.steps.push(Step::command(1, ["CONFIG", "SET", name, value].iter().collect()));
        }
    }
    let most = if limits.commands == 0 { MOST_COMMANDS } else { limits.commands };
    while script.steps.len() < most {
        if swarm.pauses > choice.below(256) {
            script.steps.push(Step::Pass(swarm.pause(choice)));
        }
        let mut request = Request::new();
        let client = 1 + choice.below(swarm.clients);
        let Some(grammar) = swarm.command(choice, &Blind, &mut request) else { continue };
        if profile::is_wasteful(&request) || grammar.alone && profile::ends_service(&request).is_some() {
            continue;
        }
        let pipelined = swarm.pipeline > 1 && choice.ratio(1, 2);
        script.steps.push(Step::Command { client, request, pipelined, inline: false });
    }
    script
}

/// The engine answers a script as the model allows.
///
/// # Panics
/// When it does not.
pub fn the_engine_answers_what_the_model_allows(script: &Script) {
    let mut target = Embedded::new();
    let profile = Version::REDIS_5_0.model(false, false);
    if let Err(finding) = run_script(&mut target, script, profile, &mut Coverage::default(), &mut |_, _| {}) {
        panic!("{finding}\n{script}");
    }
}

/// Scripts for proptest: made by the generator from the runner's seed, made smaller by deleting steps.
pub fn script_strategy(limits: Limits) -> impl Strategy<Value = Script> {
    ScriptStrategy { limits }
}

#[derive(Clone, Debug)]
struct ScriptStrategy {
    limits: Limits,
}

impl Strategy for ScriptStrategy {
    type Tree = ScriptTree;
    type Value = Script;

    fn new_tree(&self, runner: &mut TestRunner) -> NewTree<Self> {
        let mut seed = [0; 32];
        runner.rng().fill_bytes(&mut seed);
        let mut choice = ChaCha8Rng::from_seed(seed);
        let script = script(&mut choice, &self.limits);
        let chunk = script.steps.len().div_ceil(2).max(1);
        Ok(ScriptTree { before: script.clone(), script, chunk, start: 0 })
    }
}

/// Deletes chunks of steps, halves first; a deletion after which the test passes is taken back.
#[derive(Clone, Debug)]
struct ScriptTree {
    script: Script,
    before: Script,
    chunk: usize,
    start: usize,
}

impl ValueTree for ScriptTree {
    type Value = Script;

    fn current(&self) -> Script {
        self.script.clone()
    }

    fn simplify(&mut self) -> bool {
        loop {
            if self.start < self.script.steps.len() {
                self.before = self.script.clone();
                let end = (self.start + self.chunk).min(self.script.steps.len());
                self.script.steps.drain(self.start..end);
                return true;
            }
            if self.chunk == 1 {
                return false;
            }
            self.chunk = self.chunk.div_ceil(2);
            self.start = 0;
        }
    }

    fn complicate(&mut self) -> bool {
        self.script = self.before.clone();
        self.start += self.chunk;
        self.simplify()
    }
}
