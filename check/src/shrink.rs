//! Makes a script that shows a finding as small as it can.
//!
//! Any command is legal in any state (it just answers an error), so deleting steps needs no care. A candidate counts only
//! when its finding has the same [`Fingerprint`]: no slipping to another bug. The order is cheapest first: cut behind the
//! finding, slice by keys, unwrap, delete chunks, simplify arguments; the last two until nothing changes.

use std::collections::BTreeSet;

use crate::grammar::index::{command_index, grammar_at};
use crate::request::{Request, append_integer};
use crate::script::{Script, Slot, Step};
use crate::session::{Finding, Fingerprint};

/// How much shrinking may cost.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Commands sent in all.
    pub commands: usize,
    /// What a fresh start costs, in commands.
    pub start: usize,
    /// Runs of a candidate before it counts as not showing the finding: more than one where the target chooses.
    pub attempts: u32,
}

impl Budget {
    /// For the embedded engine: a few seconds.
    pub const EMBEDDED: Self = Self { commands: 2_500_000, start: 4, attempts: 1 };
    /// For a live server.
    pub const LIVE: Self = Self { commands: 60_000, start: 40, attempts: 3 };
}

/// So many bytes of arguments cost as much as a command.
const BYTES_OF_A_COMMAND: usize = 256;

/// Scripts of more steps are not searched for pairs that can go together.
const MOST_PAIRED: usize = 14;

/// A shrunk script.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The steps.
    pub script: Script,
    /// What they show.
    pub finding: Box<Finding>,
    /// The finding showed again when its script was run a second time.
    pub reproduced: bool,
}

/// Shrinks. `run` runs a script from a fresh start and answers what it finds.
pub fn shrink(
    script: &Script,
    finding: &Finding,
    budget: Budget,
    run: &mut dyn FnMut(&Script) -> Option<Box<Finding>>,
) -> Shrunk {
    let mut shrinker = Shrinker {
        best: script.clone(),
        finding: Box::new(finding.clone()),
        wanted: finding.fingerprint(),
        budget,
        run,
    };
    let mut whole = script.clone();
    whole.end_with_batch_of(finding.command);
    let reproduced = shrinker.begins(whole);
    if reproduced {
        shrinker.slice();
        shrinker.unwrap();
        loop {
            let before = size(&shrinker.best);
            shrinker.delete_chunks();
            if shrinker.merge_keys() | shrinker.plain_writes() {
                shrinker.delete_chunks();
            }
            shrinker.delete_pairs();
            shrinker.simplify_arguments();
            shrinker.unwrap();
            if size(&shrinker.best) >= before || shrinker.budget.commands == 0 {
                break;
            }
        }
        shrinker.rename();
    }
    Shrunk { script: shrinker.best, finding: shrinker.finding, reproduced }
}

/// What shrinking makes smaller: steps first, then arguments, then bytes.
fn size(script: &Script) -> (usize, usize, usize) {
    let requests = || {
        script.steps.iter().filter_map(|step| match step {
            Step::Command { request, .. } => Some(request),
            _ => None,
        })
    };
    (script.steps.len(), requests().map(Request::len).sum(), requests().map(Request::payload).sum())
}

/// Bytes of all arguments.
fn payload(script: &Script) -> usize {
    size(script).2
}

struct Shrinker<'a> {
    best: Script,
    finding: Box<Finding>,
    wanted: Fingerprint,
    budget: Budget,
    run: &'a mut dyn FnMut(&Script) -> Option<Box<Finding>>,
}

impl Shrinker<'_> {
    /// Runs the whole script. What was found in the middle of a pipeline may look different at its end, where a reply too
    /// many is seen: then that is what is looked for.
    fn begins(&mut self, whole: Script) -> bool {
        if self.accepts(whole.clone()) {
            return true;
        }
        match (self.run)(&whole) {
            Some(finding) if finding.command == self.finding.command => {
                self.wanted = finding.fingerprint();
                self.best = whole;
                self.finding = finding;
                true
            }
            _ => false,
        }
    }

    /// Runs a candidate, and keeps it if it shows the same.
    fn accepts(&mut self, candidate: Script) -> bool {
        for _ in 0..self.budget.attempts {
            let cost = candidate.commands() + payload(&candidate) / BYTES_OF_A_COMMAND + self.budget.start;
            if self.budget.commands < cost {
                self.budget.commands = 0;
                return false;
            }
            self.budget.commands -= cost;
            let Some(finding) = (self.run)(&candidate) else { continue };
            if finding.fingerprint() != self.wanted {
                continue;
            }
            self.best = candidate;
            self.best.end_with_batch_of(finding.command);
            self.finding = finding;
            return true;
        }
        false
    }

    /// Keeps what shares a key with the failing command, and what has no key; where that is too little, what shares one
    /// with it transitively.
    fn slice(&mut self) {
        let mut keys: BTreeSet<Vec<u8>> = self.keys_of_finding();
        if self.slice_by(&keys) {
            return;
        }
        loop {
            let before = keys.len();
            for step in &self.best.steps {
                let Step::Command { request, .. } = step else { continue };
                let own = request_keys(request);
                if own.iter().any(|key| keys.contains(key)) {
                    keys.extend(own);
                }
            }
            if keys.len() == before {
                break;
            }
        }
        self.slice_by(&keys);
    }

    fn slice_by(&mut self, keys: &BTreeSet<Vec<u8>>) -> bool {
        // First without what has no key at all, which is mostly irrelevant; then with it.
        for keep_keyless in [false, true] {
            let mut candidate = self.best.clone();
            let last = candidate.steps.len().saturating_sub(1);
            let mut index = 0;
            candidate.steps.retain(|step| {
                index += 1;
                index > last
                    || match step {
                        Step::Command { request, .. } => {
                            let own = request_keys(request);
                            own.iter().any(|key| keys.contains(key))
                                || own.is_empty() && (keep_keyless || changes_state(request))
                        }
                        _ => true,
                    }
            });
            if candidate.steps.len() < self.best.steps.len() && self.accepts(candidate) {
                return true;
            }
        }
        false
    }

    /// The keys of the failing command. EXEC's are those of the commands that it runs, and those that its client watches.
    fn keys_of_finding(&self) -> BTreeSet<Vec<u8>> {
        let mut keys = request_keys(&self.finding.request);
        if self.finding.request.is(0, "exec") {
            let own = self.best.steps.iter().rev().filter_map(|step| match step {
                Step::Command { client, request, .. } if *client == self.finding.client => Some(request),
                _ => None,
            });
            keys.extend(own.clone().take_while(|request| !request.is(0, "multi")).flat_map(request_keys));
            let watching = own.skip(1).take_while(|request| !request.is(0, "exec"));
            keys.extend(watching.filter(|request| request.is(0, "watch")).flat_map(request_keys));
        }
        keys
    }

    /// Lets clients go, one by one: all that one does, or another does it in its place.
    fn fewer_clients(&mut self) {
        let mut clients: Vec<Slot> = self.best.steps.iter().filter_map(client_of).collect();
        clients.sort_unstable();
        clients.dedup();
        if clients.len() < 2 {
            return;
        }
        for &client in clients.iter().rev() {
            let mut candidate = self.best.clone();
            candidate.steps.retain(|step| client_of(step) != Some(client));
            if !candidate.steps.is_empty() && candidate.steps.len() < self.best.steps.len() && self.accepts(candidate) {
                continue;
            }
            for &other in clients.iter().take_while(|&&other| other < client) {
                let mut candidate = self.best.clone();
                for_clients(&mut candidate, |slot| {
                    if *slot == client {
                        *slot = other;
                    }
                });
                if candidate != self.best && self.accepts(candidate) {
                    break;
                }
            }
        }
    }

    /// Takes commands out of their transactions: MULTI goes, and the EXEC or DISCARD that belongs to it.
    fn unwrap_transactions(&mut self) {
        let mut index = 0;
        while index < self.best.steps.len() && self.budget.commands > 0 {
            let end = transaction_end(&self.best.steps, index);
            if let Some(end) = end {
                let mut candidate = self.best.clone();
                candidate.steps.remove(end);
                candidate.steps.remove(index);
                if !candidate.steps.is_empty() && self.accepts(candidate) {
                    continue;
                }
            }
            index += 1;
        }
    }

    /// Drops everything around the commands, one by one.
    fn unwrap(&mut self) {
        let mut attempt = |change: &dyn Fn(&mut Script)| {
            let mut candidate = self.best.clone();
            change(&mut candidate);
            if candidate != self.best {
                self.accepts(candidate);
            }
        };
        attempt(&|script| script.chunked = None);
        attempt(&|script| script.seed = 0);
        attempt(&|script| script.config.clear());
        attempt(&|script| for_commands(script, |pipelined, _| *pipelined = false));
        attempt(&|script| for_commands(script, |_, inline| *inline = false));
        attempt(&|script| for_clients(script, |client| *client = 1));
        self.fewer_clients();
        self.unwrap_transactions();
    }

    /// Deletes chunks of steps: halves, quarters, … down to single steps.
    fn delete_chunks(&mut self) {
        let mut chunk = self.best.steps.len().div_ceil(2).max(1);
        loop {
            let mut start = 0;
            while start < self.best.steps.len() && self.budget.commands > 0 {
                let mut candidate = self.best.clone();
                let end = (start + chunk).min(candidate.steps.len());
                let dropped: Vec<Step> = candidate.steps.drain(start..end).collect();
                // What depends on the time of day shows only while as much of it passes; single pauses go in the end.
                let pause = dropped.iter().map(|step| if let Step::Pass(ms) = step { *ms } else { 0 }).sum();
                if pause > 0 && dropped.len() > 1 {
                    candidate.steps.insert(start, Step::Pass(pause));
                }
                if candidate.steps.is_empty() || !self.accepts(candidate) {
                    start += chunk;
                }
            }
            if chunk == 1 || self.budget.commands == 0 {
                return;
            }
            chunk = chunk.div_ceil(2);
        }
    }

    /// Deletes two steps at once, where neither can go alone: a SWAPDB and the SELECT that follows it.
    fn delete_pairs(&mut self) {
        if self.best.steps.len() > MOST_PAIRED {
            return;
        }
        let mut first = 0;
        while first < self.best.steps.len() {
            let mut second = first + 1;
            while second < self.best.steps.len() && self.budget.commands > 0 {
                let mut candidate = self.best.clone();
                candidate.steps.remove(second);
                candidate.steps.remove(first);
                if candidate.steps.is_empty() || !self.accepts(candidate) {
                    second += 1;
                }
            }
            first += 1;
        }
    }

    /// Makes arguments fewer and shorter, step by step.
    fn simplify_arguments(&mut self) {
        let mut step = 0;
        while step < self.best.steps.len() && self.budget.commands > 0 {
            match self.best.steps[step].clone() {
                Step::Command { request, .. } => self.simplify_request(step, &request),
                Step::Pass(ms) => {
                    for shorter in [1, 10, 100, 1000, 10_000] {
                        let mut candidate = self.best.clone();
                        candidate.steps[step] = Step::Pass(shorter);
                        if shorter < ms && self.accepts(candidate) {
                            break;
                        }
                    }
                }
                Step::Cut { client, .. } => {
                    let mut candidate = self.best.clone();
                    candidate.steps[step] = Step::Close(client);
                    self.accepts(candidate);
                }
                Step::Reload | Step::Replay | Step::Close(_) => {}
            }
            step += 1;
        }
    }

    fn simplify_request(&mut self, step: usize, request: &Request) {
        let mut arguments: Vec<Vec<u8>> = request.arguments().map(<[u8]>::to_vec).collect();
        self.halve_crowd(step, &mut arguments);
        // Fewer: single arguments, then pairs, from the end.
        for width in [1, 2, 3] {
            let mut index = arguments.len();
            while index > 1 {
                index -= 1;
                if index + width > arguments.len() {
                    continue;
                }
                let mut fewer = arguments.clone();
                fewer.drain(index..index + width);
                if self.replaces(step, &fewer) {
                    arguments = fewer;
                }
            }
        }
        for index in 1..arguments.len() {
            let mut tried = 0;
            'smaller: while tried < 24 {
                for simpler in simpler(&arguments[index]) {
                    tried += 1;
                    let mut candidate = arguments.clone();
                    candidate[index] = simpler;
                    if self.replaces(step, &candidate) {
                        arguments = candidate;
                        continue 'smaller;
                    }
                }
                break;
            }
        }
    }

    /// Drops runs of many arguments: halves, quarters, … down to a handful, in multiples of 6 so that pairs and triples stay
    /// together.
    fn halve_crowd(&mut self, step: usize, arguments: &mut Vec<Vec<u8>>) {
        let mut chunk = arguments.len().next_power_of_two() / 2 * 3;
        while chunk >= 6 {
            let mut end = arguments.len();
            while end > chunk {
                let mut fewer = arguments.clone();
                fewer.drain(end - chunk..end);
                if self.replaces(step, &fewer) {
                    *arguments = fewer;
                    end = end.min(arguments.len());
                } else {
                    end -= chunk;
                }
            }
            chunk = (chunk / 2).next_multiple_of(6).min(chunk - 1);
            chunk -= chunk % 6;
        }
    }

    fn replaces(&mut self, step: usize, arguments: &[Vec<u8>]) -> bool {
        if self.budget.commands == 0 {
            return false;
        }
        let mut candidate = self.best.clone();
        let Some(Step::Command { request, .. }) = candidate.steps.get_mut(step) else { return false };
        *request = arguments.into();
        self.accepts(candidate)
    }

    /// Makes one key of two, where the finding does not mind.
    fn merge_keys(&mut self) -> bool {
        let keys: Vec<Vec<u8>> = self.keys().into_iter().collect();
        let mut merged = false;
        for (index, key) in keys.iter().enumerate().take(8) {
            merged |= keys[..index].iter().any(|other| self.replaces_word(key, other));
        }
        merged
    }

    /// Puts SET in place of whatever else makes a key.
    fn plain_writes(&mut self) -> bool {
        let mut changed = false;
        for step in 0..self.best.steps.len().saturating_sub(1).min(20) {
            let Some(Step::Command { request, .. }) = self.best.steps.get(step) else { continue };
            let Some(key) = request_keys(request).into_iter().next() else { continue };
            if !request.is(0, "set") {
                changed |= self.replaces(step, &[b"set".to_vec(), key, b"1".to_vec()]);
            }
        }
        changed
    }

    fn keys(&self) -> BTreeSet<Vec<u8>> {
        let mut keys = BTreeSet::new();
        for step in &self.best.steps {
            if let Step::Command { request, .. } = step {
                keys.extend(request_keys(request));
            }
        }
        keys
    }

    /// Writes `name` wherever an argument is `word`.
    fn replaces_word(&mut self, word: &[u8], name: &[u8]) -> bool {
        let mut candidate = self.best.clone();
        for step in &mut candidate.steps {
            if let Step::Command { request, .. } = step {
                *request = request.arguments().map(|argument| if argument == word { name } else { argument }).collect();
            }
        }
        candidate != self.best && self.accepts(candidate)
    }

    /// Gives keys plain names, and clients numbers from 1 on.
    fn rename(&mut self) {
        let mut clients: Vec<Slot> = Vec::new();
        for client in self.best.steps.iter().filter_map(client_of) {
            if !clients.contains(&client) {
                clients.push(client);
            }
        }
        let mut candidate = self.best.clone();
        for_clients(&mut candidate, |client| {
            *client = clients.iter().zip(1..).find(|(known, _)| *known == client).map_or(*client, |(_, number)| number);
        });
        if candidate != self.best {
            self.accepts(candidate);
        }
        for (index, key) in self.keys().into_iter().enumerate() {
            let name = if index == 0 { b"k".to_vec() } else { format!("k{}", index + 1).into_bytes() };
            self.replaces_word(&key, &name);
        }
    }
}

fn for_commands(script: &mut Script, change: impl Fn(&mut bool, &mut bool)) {
    for step in &mut script.steps {
        if let Step::Command { pipelined, inline, .. } = step {
            change(pipelined, inline);
        }
    }
}

fn for_clients(script: &mut Script, change: impl Fn(&mut Slot)) {
    for step in &mut script.steps {
        match step {
            Step::Command { client, .. } | Step::Close(client) | Step::Cut { client, .. } => change(client),
            Step::Pass(_) | Step::Reload | Step::Replay => {}
        }
    }
}

fn client_of(step: &Step) -> Option<Slot> {
    match step {
        Step::Command { client, .. } | Step::Close(client) | Step::Cut { client, .. } => Some(*client),
        Step::Pass(_) | Step::Reload | Step::Replay => None,
    }
}

/// Where the transaction ends that begins with the step of that index, if one does.
fn transaction_end(steps: &[Step], begin: usize) -> Option<usize> {
    let Some(Step::Command { client, request, .. }) = steps.get(begin) else { return None };
    if !request.is(0, "multi") {
        return None;
    }
    let ends = |step: &Step| match step {
        Step::Command { client: of, request, .. } => {
            of == client && (request.is(0, "exec") || request.is(0, "discard"))
        }
        _ => false,
    };
    Some(begin + 1 + steps[begin + 1..].iter().position(ends)?)
}

/// Commands without keys that later ones depend on.
fn changes_state(request: &Request) -> bool {
    const NAMES: [&str; 18] = [
        "auth",
        "client",
        "config",
        "debug",
        "discard",
        "exec",
        "flushall",
        "flushdb",
        "monitor",
        "multi",
        "psubscribe",
        "publish",
        "punsubscribe",
        "select",
        "subscribe",
        "swapdb",
        "unsubscribe",
        "unwatch",
    ];
    NAMES.into_iter().any(|name| request.is(0, name))
}

fn request_keys(request: &Request) -> BTreeSet<Vec<u8>> {
    match grammar_at(command_index(request.name())) {
        Some(grammar) => grammar.keys(request).map(|index| request.argument(index).to_vec()).collect(),
        None => request.arguments().skip(1).map(<[u8]>::to_vec).collect(),
    }
}

/// Does the line begin a loop? It ends by what its body's first line does, and without that a live server would never answer
/// again.
fn is_loop(line: &[u8]) -> bool {
    line.trim_ascii_start().starts_with(b"while ")
}

/// Simpler forms of an argument, simplest first.
fn simpler(argument: &[u8]) -> Vec<Vec<u8>> {
    let mut forms: Vec<Vec<u8>> = Vec::new();
    let number = std::str::from_utf8(argument).ok().and_then(|text| text.parse::<i64>().ok());
    if let Some(number) = number {
        let mut smaller = vec![0, 1, number / 2];
        let mut piece = number / 4;
        while piece != 0 {
            smaller.push(number - piece);
            piece /= 2;
        }
        smaller.push(number - number.signum());
        smaller.retain(|smaller| smaller.unsigned_abs() < number.unsigned_abs());
        for smaller in smaller {
            let mut text = Vec::new();
            append_integer(&mut text, smaller);
            forms.push(text);
        }
        return forms;
    }
    // Scripts lose single lines, or a block's first and last one with what is between.
    let lines: Vec<&[u8]> = argument.split(|&byte| byte == b'\n').collect();
    if lines.len() > 1 {
        let mut push = |form: Vec<&[u8]>| {
            if form.windows(2).all(|pair| !is_loop(pair[0]) || lines.windows(2).any(|known| known == pair)) {
                forms.push(form.join(&b'\n'));
            }
        };
        for width in (1..lines.len()).rev() {
            for first in 0..=lines.len() - width {
                push([&lines[..first], &lines[first + width..]].concat());
            }
        }
        for first in 0..lines.len() {
            for last in first + 1..lines.len() {
                push([&lines[..first], &lines[first + 1..last], &lines[last + 1..]].concat());
            }
        }
        return forms;
    }
    if argument.len() > 1 {
        forms.push(b"v".to_vec());
        forms.push(argument[..argument.len() / 2].to_vec());
        forms.push(argument[argument.len() / 2..].to_vec());
        // Ever smaller pieces off the end, so that a length at an edge is found in few steps.
        let mut piece = argument.len() / 4;
        while piece > 0 {
            forms.push(argument[..argument.len() - piece].to_vec());
            piece /= 2;
        }
    }
    if argument.len() > 1 && argument.iter().any(|&byte| byte != b'v') {
        forms.push(vec![b'v'; argument.len()]);
    }
    forms
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::script;
    use crate::session::Wrong;

    /// Finds something wrong with `GET` of a key that was set to a value of at least three bytes while another client exists.
    fn broken(script: &Script) -> Option<Box<Finding>> {
        let (mut long, mut others, mut commands) = (BTreeSet::new(), false, 0);
        for step in &script.steps {
            let Step::Command { client, request, .. } = step else { continue };
            others |= *client != 1;
            if request.is(0, "set") && request.argument(2).len() >= 3 {
                long.insert(request.argument(1).to_vec());
            }
            if request.is(0, "get") && others && long.contains(request.argument(1)) {
                return Some(Box::new(Finding {
                    command: commands,
                    client: *client,
                    request: request.clone(),
                    wrong: Wrong::Invariant("short".to_owned()),
                }));
            }
            commands += 1;
        }
        None
    }

    #[test]
    fn a_long_script_shrinks_to_the_steps_that_matter() {
        let mut text = String::new();
        for index in 0..200 {
            text.push_str(&format!("1> SET other{index} value\n+5ms\n2>> INCR n{index}\n2> GET n{index}\n"));
        }
        text.push_str("1> MSET a b\n1> SET wanted \"a long value\" EX 100\n1~> GET wanted\n1> PING\n");
        let long = script::parse(&text).unwrap().script;
        let finding = broken(&long).unwrap();
        let shrunk = shrink(&long, &finding, Budget::EMBEDDED, &mut broken);
        assert!(shrunk.reproduced);
        assert!(shrunk.script.steps.len() <= 3, "{}", shrunk.script);
        assert_eq!(shrunk.finding.fingerprint(), finding.fingerprint());
        assert!(shrunk.script.to_string().contains("> SET k v"), "{}", shrunk.script);
    }

    /// Finds something wrong with an EXEC of a client that watched `k`, if another client ran DEL on it after that.
    fn broken_watch(script: &Script) -> Option<Box<Finding>> {
        let (mut watching, mut touched, mut commands) = (None, false, 0);
        for step in &script.steps {
            match step {
                Step::Command { client, request, .. } => {
                    match request.name() {
                        b"WATCH" if request.is(1, "k") => watching = Some(*client),
                        b"DEL" if request.is(1, "k") => touched |= watching.is_some_and(|who| who != *client),
                        b"EXEC" if touched && watching == Some(*client) => {
                            let wrong = Wrong::Invariant("ran".to_owned());
                            let request = request.clone();
                            return Some(Box::new(Finding { command: commands, client: *client, request, wrong }));
                        }
                        _ => {}
                    }
                    commands += 1;
                }
                Step::Close(client) | Step::Cut { client, .. } if watching == Some(*client) => watching = None,
                _ => {}
            }
        }
        None
    }

    #[test]
    fn watchers_and_those_who_touch_stay_while_bystanders_and_other_transactions_go() {
        let mut text = String::new();
        for index in 0..60 {
            text.push_str(&format!("{}> SET other{index} x\n4> MULTI\n4> GET k\n4> EXEC\n", index % 3 + 5));
        }
        text.push_str("3> WATCH k\n@cut 4 9 GET k\n6> DEL k\n3> MULTI\n3> SET a b\n5> GET k\n3> EXEC\n");
        let long = script::parse(&text).unwrap().script;
        let finding = broken_watch(&long).unwrap();
        let shrunk = shrink(&long, &finding, Budget::EMBEDDED, &mut broken_watch);
        assert_eq!(shrunk.script.to_string(), "1> WATCH k\n2> DEL k\n1> EXEC\n");
    }

    #[test]
    fn loops_go_whole_or_keep_what_ends_them() {
        let text = b"local n = 0\nwhile n < 3 do\n n = n + 1\n redis.call('ping')\nend\nreturn n";
        let forms = simpler(text);
        assert!(forms.iter().any(|form| form == b"local n = 0\nwhile n < 3 do\n n = n + 1\nend\nreturn n"));
        assert!(forms.iter().any(|form| form == b"local n = 0\nreturn n"));
        for form in forms.iter().map(|form| String::from_utf8_lossy(form)) {
            let loops = form.contains("while") && form.contains("end");
            assert!(!loops || form.contains("n = n + 1"), "{form}");
        }
    }

    #[test]
    fn what_does_not_show_again_is_left_as_it_was() {
        let script = script::parse("1> GET a\n1> GET b\n").unwrap().script;
        let request: Request = ["GET", "b"].iter().collect();
        let finding = Finding { command: 1, client: 1, request, wrong: Wrong::Invariant(String::new()) };
        let shrunk = shrink(&script, &finding, Budget::LIVE, &mut |_| None);
        assert!(!shrunk.reproduced);
        assert_eq!(shrunk.script, script);
    }
}
