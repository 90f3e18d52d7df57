//! Scripts, in the part of Lua that the model reads: calls of any commands that scripts may call, with their arguments from
//! KEYS, from ARGV or as they are, among branches, loops, caught errors and conversions.
//!
//! Each statement is a line of its own, so that errors tell where they are and the shrinker can take lines away. A command
//! that leaves a choice and changes something by it comes last, where the answer shows what it chose.

use std::sync::OnceLock;

use super::terms::Terms;
use super::{Swarm, View, hostile_word, is_known};
use crate::choice::Choice;
use crate::grammar::{self, Family, Grammar, Want};
use crate::profile;
use crate::request::Request;

/// Commands that leave a choice and change something by it, or go on from it.
const CHOOSERS: [&str; 6] = ["spop", "scan", "sscan", "hscan", "zscan", "xadd"];

/// Families of commands that scripts may call and whose answers show something.
const CALLED: [Family; 14] = [
    Family::Strings,
    Family::Bits,
    Family::Keys,
    Family::Expiry,
    Family::Dump,
    Family::Lists,
    Family::Sets,
    Family::Zsets,
    Family::Hashes,
    Family::HyperLogLog,
    Family::Geo,
    Family::Sort,
    Family::Streams,
    Family::Transactions,
];

/// A script that is being written, with what it is given.
#[derive(Default)]
struct Draft {
    text: Vec<u8>,
    keys: Vec<Vec<u8>>,
    arguments: Vec<Vec<u8>>,
    /// How many results have names, `r1` and so on.
    results: u32,
    /// How deep the next line is nested.
    depth: u32,
    /// Names that are visible now.
    visible: Vec<u32>,
}

/// A string as Lua takes it.
fn quoted(bytes: &[u8], into: &mut Vec<u8>) {
    into.push(b'\'');
    for (place, &byte) in bytes.iter().enumerate() {
        match byte {
            b'\'' | b'\\' => into.extend([b'\\', byte]),
            b' '..=b'~' => into.push(byte),
            // Three digits where another one follows.
            _ if bytes.get(place + 1).is_some_and(u8::is_ascii_digit) => {
                into.extend(format!("\\{byte:03}").into_bytes());
            }
            _ => into.extend(format!("\\{byte}").into_bytes()),
        }
    }
    into.push(b'\'');
}

/// Integers that stand the same in a script as in a request.
fn is_plain_integer(word: &[u8]) -> bool {
    let text = std::str::from_utf8(word).ok();
    text.and_then(|text| text.parse::<i32>().ok()).is_some_and(|number| number.to_string().as_bytes() == word)
}

impl Draft {
    fn line(&mut self, line: &str) {
        self.text.extend(std::iter::repeat_n(b' ', self.depth as usize));
        self.text.extend_from_slice(line.as_bytes());
        self.text.push(b'\n');
    }

    /// The place of a word among keys or arguments, new if it is not among them.
    fn place(words: &mut Vec<Vec<u8>>, word: &[u8]) -> usize {
        match words.iter().position(|known| known == word) {
            Some(place) => place + 1,
            None => {
                words.push(word.to_vec());
                words.len()
            }
        }
    }

    fn key(&mut self, choice: &mut impl Choice, key: &[u8]) -> String {
        if choice.ratio(1, 8) {
            let mut text = Vec::new();
            quoted(key, &mut text);
            return String::from_utf8_lossy(&text).into_owned();
        }
        format!("KEYS[{}]", Self::place(&mut self.keys, key))
    }

    fn word(&mut self, choice: &mut impl Choice, word: &[u8]) -> String {
        match choice.below(4) {
            0 if is_plain_integer(word) => String::from_utf8_lossy(word).into_owned(),
            0 | 1 if word.len() <= 60 => {
                let mut text = Vec::new();
                quoted(word, &mut text);
                String::from_utf8_lossy(&text).into_owned()
            }
            _ => format!("ARGV[{}]", Self::place(&mut self.arguments, word)),
        }
    }

    /// A name for a result, visible from here on.
    fn name(&mut self) -> u32 {
        self.results += 1;
        self.visible.push(self.results);
        self.results
    }
}

/// Draws what a call may be of.
fn called(choice: &mut impl Choice, last: bool, real_time: bool) -> Option<&'static Grammar> {
    /// By whether the call is the last one and whether time is real: put together once, drawn from for every call.
    static FITTING: [[OnceLock<Vec<&'static Grammar>>; 2]; 2] = [const { [const { OnceLock::new() }; 2] }; 2];
    let fits = |grammar: &&Grammar| {
        let chooses = CHOOSERS.contains(&grammar.name) && (grammar.name != "xadd" || real_time);
        CALLED.contains(&grammar.family)
            && is_known(grammar)
            && !grammar.alone
            && !grammar.heavy
            && (last || !chooses)
            && !(real_time && grammar.family == Family::Streams)
            && grammar.name != "swapdb"
    };
    let fitting =
        FITTING[usize::from(last)][usize::from(real_time)].get_or_init(|| grammar::all().filter(fits).collect());
    fitting.get(choice.below(fitting.len() as u32) as usize).copied()
}

impl Swarm {
    /// The arguments of a call, in parentheses; a command that would do harm is a PING.
    fn call(&self, choice: &mut impl Choice, view: &impl View, draft: &mut Draft, last: bool) -> String {
        let mut request = Request::new();
        let luck = choice.below(40);
        match called(choice, last, self.real_time) {
            Some(grammar) if luck > 0 => {
                self.compose(choice, view, grammar, &mut request);
            }
            _ => request.push([b"no-such-command".as_slice(), b"multi", b"ping", b"echo"][choice.below(4) as usize]),
        }
        // Lua has no room for hundreds of arguments.
        let crowded = request.len() > 40;
        if crowded || profile::lethal(&request).is_some() || profile::is_wasteful(&request) {
            request.clear();
            request.push(b"ping");
        }
        let positions: Vec<usize> =
            grammar::find(request.name()).map(|grammar| grammar.keys(&request).collect()).unwrap_or_default();
        let mut text = String::from("(");
        for (place, word) in request.arguments().enumerate() {
            if place > 0 {
                text.push_str(", ");
            }
            if place == 0 {
                let mut name = Vec::new();
                quoted(word, &mut name);
                text.push_str(&String::from_utf8_lossy(&name));
            } else if positions.contains(&place) {
                text.push_str(&draft.key(choice, word));
            } else {
                text.push_str(&draft.word(choice, word));
            }
        }
        text.push(')');
        text
    }

    fn some_key(&self, choice: &mut impl Choice, draft: &mut Draft) -> String {
        let keys = &self.pools.keys;
        let key = keys[choice.below(keys.len().min(12) as u32) as usize].clone();
        draft.key(choice, &key)
    }

    /// A condition whose parts never leave a choice.
    fn condition(&self, choice: &mut impl Choice, draft: &mut Draft) -> String {
        let key = self.some_key(choice, draft);
        match choice.below(8) {
            0 | 1 => format!("redis.call('exists', {key}) == {}", choice.below(2)),
            2 => format!("redis.pcall('get', {key})"),
            3 => format!("not redis.pcall('get', {key})"),
            4 => format!(
                "redis.call('type', {key}).ok == '{}'",
                ["string", "list", "set", "none"][choice.below(4) as usize]
            ),
            5 => format!("#KEYS {} #ARGV", ["<", ">=", "==", "~="][choice.below(4) as usize]),
            6 => format!("tonumber(redis.call('exists', {key})) > 0 and ARGV[1] ~= 'x'"),
            _ => ["true", "false", "nil", "0", "KEYS[1] == KEYS[2]", "ARGV[9]"][choice.below(6) as usize].to_owned(),
        }
    }

    fn statement(&self, choice: &mut impl Choice, view: &impl View, draft: &mut Draft) {
        if self.script_turns > 0 && choice.ratio(1, 5) {
            return self.of_chance(choice, draft);
        }
        match choice.below(if draft.depth > 1 { 10 } else { 18 }) {
            0..=2 => {
                let call = self.call(choice, view, draft, false);
                draft.line(&format!("redis.call{call}"));
            }
            3 | 4 => {
                let call = self.call(choice, view, draft, false);
                draft.line(&format!("redis.pcall{call}"));
            }
            5..=7 => {
                let call = self.call(choice, view, draft, false);
                let how = if choice.ratio(1, 3) { "call" } else { "pcall" };
                let name = draft.name();
                draft.line(&format!("local r{name} = redis.{how}{call}"));
            }
            8 => {
                let key = self.some_key(choice, draft);
                let name = draft.name();
                draft.line(&format!("local r{name} = redis.pcall('incrby', {key}, {})", choice.int(-3..=300)));
                draft.line(&format!(
                    "if type(r{name}) == 'number' then r{name} = (r{name} + 7) % 5 else r{name} = r{name}.err end"
                ));
            }
            9 => match choice.below(8) {
                0 => draft.line("error('boom')"),
                1 => draft.line("error('boom', 0)"),
                2 => draft.line("error({err = 'MY boom'})"),
                3 => draft.line("redis.replicate_commands()"),
                4 => draft.line(&format!(
                    "redis.set_repl({})",
                    ["redis.REPL_ALL", "redis.REPL_NONE", "redis.REPL_AOF", "2"][choice.below(4) as usize]
                )),
                5 => draft.line("local t = {} t.x = 1 t[1] = ARGV[1]"),
                6 => draft.line("undeclared = 1"),
                _ => draft.line(&format!("redis.call('select', {})", choice.below(self.databases))),
            },
            10..=12 => {
                let condition = self.condition(choice, draft);
                draft.line(&format!("if {condition} then"));
                self.nested(choice, view, draft);
                if choice.ratio(1, 2) {
                    if choice.ratio(1, 3) {
                        let condition = self.condition(choice, draft);
                        draft.line(&format!("elseif {condition} then"));
                        self.nested(choice, view, draft);
                    }
                    draft.line("else");
                    self.nested(choice, view, draft);
                }
                draft.line("end");
            }
            13 => {
                draft.line(&format!("for i = 1, {} do", choice.below(4)));
                let key = self.some_key(choice, draft);
                let call = ["rpush", "sadd", "lpush", "append", "pfadd"][choice.below(5) as usize];
                draft.line(&format!(" redis.pcall('{call}', {key}, 'e' .. i)"));
                draft.line("end");
            }
            14 => {
                draft.line("for i, v in ipairs(ARGV) do");
                let key = self.some_key(choice, draft);
                match choice.below(3) {
                    0 => draft.line(&format!(" redis.pcall('zadd', {key}, i, v)")),
                    1 => draft.line(&format!(" redis.pcall('hset', {key}, v, i * 1.5)")),
                    _ => draft.line(&format!(" if i < 3 then redis.pcall('rpush', {key}, v) else break end")),
                }
                draft.line("end");
            }
            15 => {
                let call = self.call(choice, view, draft, false);
                let (name, caught) = (draft.name(), draft.name());
                draft.line(&format!("local r{name}, r{caught} = pcall(function()"));
                draft.line(&format!(" return redis.call{call}"));
                draft.line("end)");
            }
            16 => {
                let key = self.some_key(choice, draft);
                let (name, caught) = (draft.name(), draft.name());
                draft.line(&format!(
                    "local r{name}, r{caught} = pcall(redis.call, 'hincrby', {key}, 'f', {})",
                    choice.below(9)
                ));
            }
            _ => {
                let key = self.some_key(choice, draft);
                draft.line("local n = 0");
                draft.line("while n < 3 do");
                draft.line(&format!(" if redis.pcall('rpoplpush', {key}, {key}) then n = n + 1 else n = 5 end"));
                draft.line("end");
            }
        }
    }

    /// A statement that means something else where scripts are propagated as they came.
    fn of_chance(&self, choice: &mut impl Choice, draft: &mut Draft) {
        let key = self.some_key(choice, draft);
        match choice.below(8) {
            0 => draft.line("redis.call('time')"),
            1 => draft.line("redis.call('randomkey')"),
            2 => draft.line(&format!("redis.pcall('srandmember', {key})")),
            3 => draft.line("redis.replicate_commands()"),
            4 => {
                let name = draft.name();
                draft.line(&format!("local r{name} = redis.replicate_commands()"));
            }
            5 => draft.line("redis.call('publish', 'channel', 'message')"),
            _ => {
                // The elements are given in order where that is refused, and only there the first is a known one.
                let (sets, first) = (draft.name(), draft.name());
                draft.line(&format!("local r{sets} = pcall(function() redis.set_repl(redis.REPL_ALL) end)"));
                let reads = ["smembers", "hkeys", "hvals", "sunion", "sdiff", "sinter"][choice.below(6) as usize];
                draft.line(&format!("local r{first} = redis.pcall('{reads}', {key})"));
                let target = self.some_key(choice, draft);
                draft.line(&format!(
                    "if not r{sets} and r{first}[1] then redis.pcall('rpush', {target}, r{first}[1]) end"
                ));
            }
        }
    }

    /// One or two statements of a block, whose names end with it.
    fn nested(&self, choice: &mut impl Choice, view: &impl View, draft: &mut Draft) {
        let visible = draft.visible.len();
        draft.depth += 1;
        self.statement(choice, view, draft);
        if choice.ratio(1, 3) {
            self.statement(choice, view, draft);
        }
        draft.depth -= 1;
        draft.visible.truncate(visible);
    }

    /// Something that is answered.
    fn value(&self, choice: &mut impl Choice, draft: &mut Draft, depth: u32) -> String {
        let named = draft.visible.len() as u32;
        match choice.below(16) {
            0..=5 if named > 0 => format!("r{}", draft.visible[choice.below(named) as usize]),
            6 if depth < 3 => {
                let count = choice.below(4);
                let items: Vec<String> = (0..count).map(|_| self.value(choice, draft, depth + 1)).collect();
                format!("{{{}}}", items.join(", "))
            }
            7 => format!("{{ok = 'fine', {}}}", self.value(choice, draft, 3)),
            8 => ["{err = 'MY error'}", "redis.error_reply('MY error')", "redis.status_reply('FINE')", "{ok = 1, 'a'}"]
                [choice.below(4) as usize]
                .to_owned(),
            9 => ["3.99", "-3.99", "2^31", "2^53", "1e15", "-1", "10 / 4", "7 % -3", "2^63", "1/0"]
                [choice.below(10) as usize]
                .to_owned(),
            10 => ["true", "false", "nil", "not nil"][choice.below(4) as usize].to_owned(),
            11 => {
                ["KEYS[1]", "ARGV[1]", "KEYS", "ARGV", "#KEYS", "#ARGV", "ARGV[9]"][choice.below(7) as usize].to_owned()
            }
            12 => ["tostring(0.1)", "tostring(2^53)", "'a' .. 1.5", "10 .. ''", "tostring(1/3)", "tonumber('12') + 1"]
                [choice.below(6) as usize]
                .to_owned(),
            13 => format!("redis.sha1hex('{}')", choice.below(100)),
            14 => ["KEYS[1] .. 'x'", "KEYS[9] .. 'x'", "type(KEYS)", "string.sub('hello', 2, -2)", "{unpack(ARGV)}"]
                [choice.below(5) as usize]
                .to_owned(),
            _ => "'text'".to_owned(),
        }
    }

    fn draft(&self, choice: &mut impl Choice, view: &impl View) -> Draft {
        let mut draft = Draft::default();
        for _ in 0..[0, 1, 1, 2, 3, 5][choice.below(6) as usize] {
            self.statement(choice, view, &mut draft);
        }
        match choice.below(8) {
            0 => {}
            1..=3 => {
                let call = self.call(choice, view, &mut draft, true);
                let how = ["call", "pcall"][choice.below(2) as usize];
                if choice.ratio(1, 3) {
                    let before = ["'x'", "1", "true", "false", "{}", "{'a', 'b'}"][choice.below(6) as usize];
                    draft.line(&format!("return {{{before}, redis.{how}{call}}}"));
                } else {
                    draft.line(&format!("return redis.{how}{call}"));
                }
            }
            _ => {
                let value = self.value(choice, &mut draft, 0);
                draft.line(&format!("return {value}"));
            }
        }
        draft.text.pop();
        if choice.ratio(1, 4) && !draft.text.ends_with(b"then") {
            for byte in &mut draft.text {
                if *byte == b'\n' {
                    *byte = b' ';
                }
            }
        }
        draft
    }
}

impl<V: View> Terms<'_, V> {
    /// One of the arguments that only scripts have.
    pub(super) fn script_leaf(&mut self, choice: &mut impl Choice, argument: &grammar::Argument, into: &mut Request) {
        match argument {
            grammar::Argument::ScriptCall => {
                let draft = self.swarm.draft(choice, self.view);
                into.push(&draft.text);
                let count = draft.keys.len() as i64;
                match choice.below(30) {
                    0 => into.push(hostile_word(choice)),
                    1 => into.push_integer(count + choice.int(-1..=1)),
                    _ => into.push_integer(count),
                }
                for word in draft.keys.iter().chain(&draft.arguments) {
                    into.push(word);
                }
            }
            grammar::Argument::ScriptText => into.push(&self.swarm.draft(choice, self.view).text),
            grammar::Argument::ScriptDigest => self.digest(choice, into),
            _ => {
                self.digest(choice, into);
                let count = choice.below(4);
                into.push_integer(i64::from(count));
                for _ in 0..count {
                    self.key(choice, Want::Any, false, into);
                }
                for _ in 0..choice.below(5) {
                    let values = &self.swarm.pools.values;
                    into.push(&values[choice.below(values.len() as u32) as usize]);
                }
            }
        }
    }

    /// The SHA-1 of a script that is kept, mostly.
    fn digest(&mut self, choice: &mut impl Choice, into: &mut Request) {
        let known = self.view.scripts();
        match known.get(choice.below(known.len() as u32) as usize) {
            Some(digest) if choice.ratio(9, 10) => {
                let shout = choice.ratio(1, 8);
                let digest = if shout { digest.to_ascii_uppercase() } else { digest.clone() };
                into.push(&digest);
            }
            _ => into
                .push([b"e0e1f9fabfc9d4800c877a703b823ac0578ff8db".as_slice(), b"abc", b""][choice.below(3) as usize]),
        }
    }
}
