//! `redis.call` and `redis.pcall`: a command within a script.

use super::meaning::{Meaning, Stop};
use super::run::flat;
use super::value::{Value, number_text, passes_unchanged};
use super::{SCRIPTS, run};
use crate::allowed::Allowed;
use crate::clause::Clause;
use crate::commands::{self, Command};
use crate::propagation::Propagated;
use crate::reply::{Bytes, Reply};
use crate::span::Outcome;

/// The line of [OOM-1], whose end stays on it.
const REFUSED: &str = "OOM command not allowed when used memory > 'maxmemory'.\r\n";

impl Meaning<'_> {
    /// An error of a call itself, as a table. [EVAL-11]
    pub(super) fn own_error(&mut self, text: &str, line: u32) -> Value {
        self.tables.with_field("err", format!("@user_script: {line}: {text}"))
    }

    /// Calls a command; errors are raised or returned. [EVAL-8] [EVAL-9]
    pub(super) fn redis_call(&mut self, arguments: &[Value], raises: bool, line: u32) -> Result<Value, Stop> {
        self.spend(10)?;
        let refusal = match Self::command_line(arguments)? {
            Err(text) => text,
            Ok(words) => {
                let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
                let refusal = match words.first().and_then(|name| commands::find(name)) {
                    None => Some("Unknown Redis command called from Lua script"),
                    Some(command) if !command.takes(words.len()) => {
                        Some("Wrong number of args calling Redis command From Lua script")
                    }
                    Some(command) if command.has("noscript") => Some("This Redis command is not allowed from scripts"),
                    Some(command) if self.is_too_late_to_write(command) => {
                        self.model.witness(Clause::EVAL_32);
                        Some(
                            "Write commands not allowed after non deterministic commands. Call \
                             redis.replicate_commands() at the start of your script in order to switch to single \
                             commands replication mode.",
                        )
                    }
                    Some(command) if self.lacks_memory(command.flags) => {
                        let text = format!("@user_script: {line}: -{REFUSED}");
                        return if raises {
                            Err(self.raise(text, line))
                        } else {
                            Ok(self.tables.with_field("err", text))
                        };
                    }
                    Some(command) => {
                        self.repl.took_chance |= command.has("random");
                        self.begin_if_due(command.has("write"));
                        None
                    }
                };
                match refusal {
                    Some(text) => text,
                    None => {
                        self.model.witness(if raises { Clause::EVAL_8 } else { Clause::EVAL_9 });
                        return match self.execute(&words)? {
                            Answer::Told(Reply::Error(error)) if raises => Err(self.raise(error, line)),
                            Answer::Told(reply) => Ok(self.tables.of_reply(&reply)),
                            Answer::Untold(number) => Ok(Value::Untold(number)),
                        };
                    }
                }
            }
        };
        self.model.witness(Clause::EVAL_11);
        if raises {
            return Err(self.raise(format!("@user_script: {line}: {refusal}"), line));
        }
        Ok(self.own_error(refusal, line))
    }

    /// The words of a command, or what is wrong with the arguments. [EVAL-10] [EVAL-11]
    fn command_line(arguments: &[Value]) -> Result<Result<Vec<Bytes>, &'static str>, Stop> {
        if arguments.is_empty() {
            return Ok(Err("Please specify at least one argument for redis.call()"));
        }
        let mut words = Vec::new();
        for argument in arguments {
            match argument {
                Value::Text(text) => words.push(text.clone()),
                Value::Number(number) if number.is_nan() => return Err(Stop::Beyond),
                Value::Number(number) => words.push(number_text(*number, 17)),
                Value::Untold(_) => return Err(Stop::Beyond),
                _ => return Ok(Err("Lua redis() command arguments must be strings or integers")),
            }
        }
        Ok(Ok(words))
    }

    /// Whether a command writes where that could depend on chance. [EVAL-32]
    fn is_too_late_to_write(&self, command: &Command) -> bool {
        command.has("write") && self.repl.took_chance && !self.repl.by_effects
    }

    /// Puts MULTI before what the next command propagates, if it is due now. [EVAL-28]
    fn begin_if_due(&mut self, writes: bool) {
        self.repl.wrote |= writes;
        let goes_anywhere = self.repl.to_aof || self.repl.to_replicas;
        if self.repl.wrote && goes_anywhere && !self.repl.began && !self.queued {
            self.repl.began = true;
            self.pieces.push(run::marker(b"MULTI", self.db));
        }
    }

    /// Whether a command is refused because memory is short, where it may be. What is refused once is refused for the rest of
    /// the script, unless that calls a command that writes. [EVICTION-21] [EVICTION-22] [EVICTION-23]
    fn lacks_memory(&mut self, flags: &str) -> bool {
        if self.repl.wrote || !self.model.is_memory_limited() || !flags.split(' ').any(|flag| flag == "denyoom") {
            return false;
        }
        self.model.witness(Clause::EVICTION_21);
        let lacks = match self.out_of_memory {
            Some(known) => known,
            None => {
                let refused = Reply::Error(REFUSED.as_bytes().to_vec());
                let is = self.answers.choose(vec![Reply::ok(), refused]) != Reply::ok();
                self.out_of_memory = Some(is);
                is
            }
        };
        self.repl.refused |= lacks;
        lacks
    }

    /// Executes a command that may be executed.
    fn execute(&mut self, words: &[&[u8]]) -> Result<Answer, Stop> {
        if self.answers.pending_change {
            // What the state is now depends on an answer that is not told yet.
            return Err(Stop::Beyond);
        }
        let mut worlds = self.model.worlds(SCRIPTS, words, self.span, None);
        let mut ways: Vec<Allowed> = Vec::new();
        for world in &worlds {
            let errata = world.plan.errata.iter().filter(|plan| self.model.has(plan.erratum));
            for allowed in std::iter::once(&world.plan.allowed).chain(errata.map(|plan| &plan.allowed)) {
                flat(allowed, &mut ways);
            }
        }
        let sorts = !self.repl.by_effects
            && words
                .first()
                .and_then(|name| commands::find(name))
                .is_some_and(|command| command.has("sort_for_script"));
        if sorts {
            self.model.witness(Clause::EVAL_33);
            ways = ways.into_iter().map(sorted).collect();
        }
        let exact: Option<Vec<Reply>> = ways.iter().map(run::exactly).collect();
        let reply = match exact {
            Some(replies) => self.answers.choose(replies),
            None => {
                let allowed = self.model.allowed(SCRIPTS, words, self.span);
                if !passes_unchanged(&allowed) {
                    return Err(Stop::Beyond);
                }
                let changes = worlds.iter().any(|world| !world.plan.changes.is_empty()) || worlds.len() > 1;
                match self.answers.tell(allowed, changes) {
                    Ok(reply) => reply,
                    Err(number) => {
                        // It was executed, whatever it answered.
                        if let (false, Some(world)) = (changes, worlds.pop()) {
                            let untold = Outcome { replies: &[], closed: false };
                            self.model.commit(SCRIPTS, words, world, &untold, self.span);
                            self.keep_piece(words);
                        }
                        return Ok(Answer::Untold(number));
                    }
                }
            }
        };
        let judged = self.model.judge(SCRIPTS, words, &Outcome::reply(&reply), self.span);
        let verdict = judged.map_err(Stop::Deviates)?;
        self.verdict.erratum = self.verdict.erratum.or(verdict.erratum);
        self.verdict.unspecified |= verdict.unspecified;
        self.keep_piece(words);
        Ok(Answer::Told(reply))
    }

    /// What the command that was executed propagates is a piece of what the script does.
    fn keep_piece(&mut self, words: &[&[u8]]) {
        let mut piece = std::mem::take(&mut self.model.propagated);
        let came = |command: &Vec<Bytes>| command.iter().map(Vec::as_slice).eq(words.iter().copied());
        self.repl.rewritten |= !piece.aof.iter().chain(&piece.replicas).all(came);
        self.direct(&mut piece);
        self.pieces.push(piece);
    }

    /// Takes out of what a command propagates what the script does not want there. [EVAL-30]
    fn direct(&self, piece: &mut Propagated) {
        if !self.repl.to_aof {
            piece.aof.clear();
        }
        if !self.repl.to_replicas {
            piece.replicas.clear();
        }
    }
}

/// The elements that a script is given in the order of their bytes, as far as they are known. [EVAL-33]
fn sorted(allowed: Allowed) -> Allowed {
    match allowed {
        Allowed::AnyOrder(mut elements) | Allowed::Exactly(Reply::Array(mut elements)) => {
            elements.sort_by(|one, other| bytes_of(one).cmp(bytes_of(other)));
            Allowed::Exactly(Reply::Array(elements))
        }
        Allowed::Between { must, may } if may.is_empty() => {
            Allowed::Exactly(Reply::Array(must.into_iter().map(Reply::Bulk).collect()))
        }
        other => other,
    }
}

fn bytes_of(element: &Reply) -> &[u8] {
    match element {
        Reply::Bulk(bytes) => bytes,
        _ => b"",
    }
}

/// The answer to a command.
enum Answer {
    Told(Reply),
    /// It leaves a choice that nobody has told yet.
    Untold(usize),
}
