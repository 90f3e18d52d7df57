//! What the statements and expressions of a script mean.

use super::Script;
use super::library::{FUNCTIONS, OTHER_GLOBALS, constant};
use super::run::Answers;
use super::syntax::{Block, Expression, Item, Sign, Statement};
use super::value::{Beyond, Key, Tables, Value, number_text};
use crate::deviation::{Deviation, Verdict};
use crate::model::Model;
use crate::propagation::Propagated;
use crate::reply::Bytes;
use crate::span::Span;

/// The most statements and expressions that are followed.
const MOST_STEPS: i64 = 100_000;

/// Why a script does not go on.
#[derive(Debug)]
pub(super) enum Stop {
    /// It raised this error; where, as the answer tells it.
    Raised { value: Value, at: String },
    /// What comes now only a real Lua, or an answer that is not told, could decide.
    Beyond,
    /// A command was answered what it must not be.
    Deviates(Box<Deviation>),
}

impl From<Beyond> for Stop {
    fn from(_: Beyond) -> Self {
        Self::Beyond
    }
}

/// How what a script does is propagated. [EVAL-28] [EVAL-30] [EVAL-31]
#[derive(Clone, Copy, Debug)]
pub(super) struct Replication {
    pub(super) to_aof: bool,
    pub(super) to_replicas: bool,
    /// A command flagged `write` was called.
    pub(super) wrote: bool,
    /// MULTI was put before.
    pub(super) began: bool,
    /// By what its commands propagate, and not as it came. [EVAL-31]
    pub(super) by_effects: bool,
    /// A command flagged `random` was called. [EVAL-32]
    pub(super) took_chance: bool,
    /// A command was propagated as other commands than it came. [EVAL-35]
    pub(super) rewritten: bool,
    /// A command was refused for lack of memory. [EVAL-37]
    pub(super) refused: bool,
}

/// A script that runs.
pub(super) struct Meaning<'m> {
    pub(super) model: &'m mut Model,
    pub(super) script: &'m Script,
    pub(super) span: Span,
    pub(super) tables: Tables,
    pub(super) answers: Answers,
    pub(super) repl: Replication,
    /// Whether its commands that need memory are refused, once one of them has come. [EVICTION-21]
    pub(super) out_of_memory: Option<bool>,
    /// The database that its client is in.
    pub(super) db: usize,
    /// It runs within a transaction.
    pub(super) queued: bool,
    pub(super) pieces: Vec<Propagated>,
    pub(super) verdict: Verdict,
    keys: Value,
    arguments: Value,
    scopes: Vec<Vec<(String, Value)>>,
    /// How many scopes are not those of the function that runs now.
    outer: usize,
    steps: i64,
}

/// How a block ended.
enum Flow {
    On,
    Broken,
    Returned(Vec<Value>),
}

impl<'m> Meaning<'m> {
    pub(super) fn new(model: &'m mut Model, script: &'m Script, span: Span, answers: Answers, queued: bool) -> Self {
        let mut tables = Tables::default();
        let db = model.selected_db(super::SCRIPTS);
        let texts = |words: &[Bytes]| words.iter().cloned().map(Value::Text).collect::<Vec<Value>>();
        let keys = tables.list(texts(&script.keys));
        let arguments = tables.list(texts(&script.arguments));
        let repl = Replication {
            to_aof: true,
            to_replicas: true,
            wrote: false,
            began: false,
            by_effects: model.server.replicates_effects,
            took_chance: false,
            rewritten: false,
            refused: false,
        };
        Self {
            model,
            script,
            span,
            tables,
            answers,
            repl,
            out_of_memory: None,
            db,
            queued,
            pieces: Vec::new(),
            verdict: Verdict::default(),
            keys,
            arguments,
            scopes: Vec::new(),
            outer: 0,
            steps: 0,
        }
    }

    /// Runs it to its end; what it returns.
    pub(super) fn run(&mut self) -> Result<Value, Stop> {
        let script = self.script;
        match self.block(&script.block)? {
            // [EVAL-24]
            Flow::Returned(values) => Ok(values.into_iter().next().unwrap_or(Value::Nil)),
            Flow::On => Ok(Value::Nil),
            Flow::Broken => Err(Stop::Beyond),
        }
    }

    /// An error with a text.
    pub(super) fn raise(&self, text: impl Into<Bytes>, line: u32) -> Stop {
        Stop::Raised { value: Value::text(text), at: format!("@user_script:{line}") }
    }

    /// An error of the language itself.
    fn fail(&self, text: &str, line: u32) -> Stop {
        self.raise(format!("user_script:{line}: {text}"), line)
    }

    pub(super) fn spend(&mut self, steps: i64) -> Result<(), Stop> {
        self.steps = self.steps.saturating_add(steps);
        if self.steps > MOST_STEPS { Err(Stop::Beyond) } else { Ok(()) }
    }

    fn block(&mut self, block: &Block) -> Result<Flow, Stop> {
        self.block_with(Vec::new(), block)
    }

    fn block_with(&mut self, names: Vec<(String, Value)>, block: &Block) -> Result<Flow, Stop> {
        self.scopes.push(names);
        let mut flow = Ok(Flow::On);
        for statement in block {
            flow = self.statement(statement);
            if !matches!(flow, Ok(Flow::On)) {
                break;
            }
        }
        self.scopes.pop();
        flow
    }

    fn statement(&mut self, statement: &Statement) -> Result<Flow, Stop> {
        self.spend(1)?;
        match statement {
            Statement::Local(names, values) => {
                let values = self.values(values)?;
                let mut values = values.into_iter();
                for name in names {
                    let value = values.next().unwrap_or(Value::Nil);
                    if let Some(scope) = self.scopes.last_mut() {
                        scope.push((name.clone(), value));
                    }
                }
            }
            Statement::Assign { place, value, line } => self.assign(place, value, *line)?,
            Statement::Call(call) => {
                self.values(std::slice::from_ref(call))?;
            }
            Statement::If(arms, otherwise) => {
                for (condition, block) in arms {
                    if self.holds(condition)? {
                        return self.block(block);
                    }
                }
                return self.block(otherwise);
            }
            Statement::Count { name, from, to, step, block } => {
                let mut number = |expression: &Expression| match self.value(expression)? {
                    Value::Number(number) => Ok(number),
                    _ => Err(Stop::Beyond),
                };
                let (mut at, to) = (number(from)?, number(to)?);
                let step = step.as_ref().map_or(Ok(1.0), number)?;
                if step == 0.0 || step.is_nan() {
                    return Err(Stop::Beyond);
                }
                while if step > 0.0 { at <= to } else { at >= to } {
                    self.spend(1)?;
                    match self.block_with(vec![(name.clone(), Value::Number(at))], block)? {
                        Flow::On => {}
                        Flow::Broken => break,
                        returned => return Ok(returned),
                    }
                    at += step;
                }
            }
            Statement::Each { index, element, table, block } => {
                let Value::Table(table) = self.value(table)? else { return Err(Stop::Beyond) };
                for at in 1.. {
                    self.spend(1)?;
                    let value = self.tables.get(table, &Key::Index(at));
                    if value == Value::Nil {
                        break;
                    }
                    let names = vec![(index.clone(), Value::Number(at as f64)), (element.clone(), value)];
                    match self.block_with(names, block)? {
                        Flow::On => {}
                        Flow::Broken => break,
                        returned => return Ok(returned),
                    }
                }
            }
            Statement::While(condition, block) => {
                while self.holds(condition)? {
                    self.spend(1)?;
                    match self.block(block)? {
                        Flow::On => {}
                        Flow::Broken => break,
                        returned => return Ok(returned),
                    }
                }
            }
            Statement::Block(block) => return self.block(block),
            Statement::Break => return Ok(Flow::Broken),
            Statement::Return(values) => return Ok(Flow::Returned(self.values(values)?)),
        }
        Ok(Flow::On)
    }

    fn assign(&mut self, place: &Expression, value: &Expression, line: u32) -> Result<(), Stop> {
        match place {
            Expression::Name(name, _) => {
                let value = self.value(value)?;
                let named = self.scopes.iter_mut().rev().flat_map(|scope| scope.iter_mut().rev());
                let Some((_, place)) = named.into_iter().find(|(of, _)| of == name) else {
                    let known = FUNCTIONS.iter().any(|function| function.split('.').next() == Some(name.as_str()));
                    if known || OTHER_GLOBALS.contains(&name.as_str()) || matches!(name.as_str(), "KEYS" | "ARGV") {
                        return Err(Stop::Beyond);
                    }
                    let text = format!("user_script:{line}: Script attempted to create global variable '{name}'");
                    return Err(Stop::Raised { value: Value::text(text), at: "@enable_strict_lua:8".into() });
                };
                *place = value;
                Ok(())
            }
            Expression::Index { of, key, line } => {
                let Value::Table(table) = self.value(of)? else { return Err(Stop::Beyond) };
                let key = self.value(key)?;
                let value = self.value(value)?;
                let key = match key {
                    Value::Nil => return Err(self.fail("table index is nil", *line)),
                    key => Self::key(&key)?,
                };
                self.tables.set(table, key, value);
                Ok(())
            }
            _ => Err(Stop::Beyond),
        }
    }

    fn key(value: &Value) -> Result<Key, Stop> {
        match value {
            Value::Number(number) if number.fract() == 0.0 && number.abs() < 1e15 => Ok(Key::Index(*number as i64)),
            Value::Text(text) => Ok(Key::Text(text.clone())),
            _ => Err(Stop::Beyond),
        }
    }

    /// Whether a condition holds: all but `nil` and `false` do.
    fn holds(&mut self, condition: &Expression) -> Result<bool, Stop> {
        let value = self.value(condition)?;
        Self::is_true(&value)
    }

    fn is_true(value: &Value) -> Result<bool, Stop> {
        match value {
            Value::Untold(_) => Err(Stop::Beyond),
            value => Ok(!matches!(value, Value::Nil | Value::Boolean(false))),
        }
    }

    /// All values of a list of expressions: the last one may have several.
    fn values(&mut self, expressions: &[Expression]) -> Result<Vec<Value>, Stop> {
        let mut values = Vec::new();
        for (place, expression) in expressions.iter().enumerate() {
            let mut own = self.several(expression)?;
            if place + 1 < expressions.len() {
                own.truncate(1);
                own.resize(1, Value::Nil);
            }
            values.append(&mut own);
        }
        Ok(values)
    }

    fn value(&mut self, expression: &Expression) -> Result<Value, Stop> {
        Ok(self.several(expression)?.into_iter().next().unwrap_or(Value::Nil))
    }

    fn several(&mut self, expression: &Expression) -> Result<Vec<Value>, Stop> {
        self.spend(1)?;
        let value = match expression {
            Expression::Nil => Value::Nil,
            Expression::True => Value::Boolean(true),
            Expression::False => Value::Boolean(false),
            Expression::Number(number) => Value::Number(*number),
            Expression::Text(text) => Value::Text(text.clone()),
            Expression::Name(name, line) => self.named(name, *line)?,
            Expression::Index { of, key, line } => self.index(of, key, *line)?,
            Expression::Call { function, arguments, line } => {
                let called = self.value(function)?;
                let arguments = self.values(arguments)?;
                return match called {
                    Value::Function(name) => self.function(name, arguments, *line),
                    Value::Untold(_) => Err(Stop::Beyond),
                    other => Err(self.misused("call", function, &other, *line)),
                };
            }
            Expression::Protected(block) => return self.protected(block),
            Expression::Single(within) => self.value(within)?,
            Expression::Not(of) => {
                let value = self.value(of)?;
                Value::Boolean(!Self::is_true(&value)?)
            }
            Expression::Negate(of, line) => {
                let value = self.value(of)?;
                match value.number()? {
                    Some(number) => Value::Number(-number),
                    None => return Err(self.misused("perform arithmetic on", of, &value, *line)),
                }
            }
            Expression::Length(of, line) => match self.value(of)? {
                Value::Text(text) => Value::Number(text.len() as f64),
                Value::Table(table) => Value::Number(self.tables.length(table)? as f64),
                Value::Untold(_) => return Err(Stop::Beyond),
                other => return Err(self.misused("get length of", of, &other, *line)),
            },
            Expression::And(left, right) => {
                let value = self.value(left)?;
                if Self::is_true(&value)? { self.value(right)? } else { value }
            }
            Expression::Or(left, right) => {
                let value = self.value(left)?;
                if Self::is_true(&value)? { value } else { self.value(right)? }
            }
            Expression::Binary { sign, left, right, line } => {
                let (one, other) = (self.value(left)?, self.value(right)?);
                self.combined(*sign, (left, &one), (right, &other), *line)?
            }
            Expression::Table(items) => self.constructed(items)?,
        };
        Ok(vec![value])
    }

    fn named(&self, name: &str, line: u32) -> Result<Value, Stop> {
        let named = self.scopes.iter().rev().flat_map(|scope| scope.iter().rev()).find(|(of, _)| of == name);
        match name {
            _ if named.is_some() => Ok(named.map_or(Value::Nil, |(_, value)| value.clone())),
            "KEYS" => Ok(self.keys.clone()),
            "ARGV" => Ok(self.arguments.clone()),
            name => {
                if let Some(function) = FUNCTIONS.into_iter().find(|function| *function == name) {
                    return Ok(Value::Function(function));
                }
                if OTHER_GLOBALS.contains(&name) || matches!(name, "math" | "redis" | "string" | "table") {
                    return Err(Stop::Beyond);
                }
                let text =
                    format!("user_script:{line}: Script attempted to access nonexistent global variable '{name}'");
                Err(Stop::Raised { value: Value::text(text), at: "@enable_strict_lua:15".into() })
            }
        }
    }

    fn index(&mut self, of: &Expression, key: &Expression, line: u32) -> Result<Value, Stop> {
        if let (Expression::Name(library, _), Expression::Text(field)) = (of, key)
            && matches!(library.as_str(), "math" | "redis" | "string" | "table")
            && !self.scopes.iter().flatten().any(|(name, _)| name == library)
        {
            if let Some(number) = constant(field).filter(|_| library == "redis") {
                return Ok(Value::Number(number));
            }
            let whole = [library.as_bytes(), b".", field].concat();
            let known = FUNCTIONS.into_iter().find(|function| function.as_bytes() == whole);
            return known.map(Value::Function).ok_or(Stop::Beyond);
        }
        match self.value(of)? {
            Value::Table(table) => match self.value(key)? {
                Value::Nil | Value::Boolean(_) => Ok(Value::Nil),
                key => Ok(self.tables.get(table, &Self::key(&key)?)),
            },
            // Strings have the functions of the library as fields.
            Value::Text(_) | Value::Untold(_) => Err(Stop::Beyond),
            other => {
                self.value(key)?;
                Err(self.misused("index", of, &other, line))
            }
        }
    }

    /// The error that something was done to a value of the wrong type, which names where the value came from.
    fn misused(&self, what: &str, expression: &Expression, value: &Value, line: u32) -> Stop {
        let origin = match expression {
            Expression::Name(name, _) => {
                let scope = self.scopes.iter().rposition(|scope| scope.iter().any(|(of, _)| of == name));
                match scope {
                    Some(scope) if scope >= self.outer => format!("local '{name}' "),
                    Some(_) => format!("upvalue '{name}' "),
                    None => format!("global '{name}' "),
                }
            }
            Expression::Index { key, .. } => match &**key {
                Expression::Text(field) => format!("field '{}' ", String::from_utf8_lossy(field)),
                _ => "field '?' ".to_owned(),
            },
            _ => String::new(),
        };
        let article = if origin.is_empty() { "a ".to_owned() } else { format!("{origin}(a ") };
        let end = if origin.is_empty() { " value" } else { " value)" };
        self.fail(&format!("attempt to {what} {article}{}{end}", value.type_name()), line)
    }

    fn combined(
        &mut self,
        sign: Sign,
        (left, one): (&Expression, &Value),
        (right, other): (&Expression, &Value),
        line: u32,
    ) -> Result<Value, Stop> {
        if matches!(one, Value::Untold(_)) || matches!(other, Value::Untold(_)) {
            return Err(Stop::Beyond);
        }
        match sign {
            Sign::Equal => return Ok(Value::Boolean(one == other)),
            Sign::Unequal => return Ok(Value::Boolean(one != other)),
            Sign::Concatenate => {
                let text = |value: &Value| match value {
                    Value::Text(text) => Some(text.clone()),
                    Value::Number(number) => Some(number_text(*number, 14)),
                    _ => None,
                };
                if matches!(one, Value::Number(number) if number.is_nan())
                    || matches!(other, Value::Number(number) if number.is_nan())
                {
                    return Err(Stop::Beyond);
                }
                return match (text(one), text(other)) {
                    (Some(one), Some(other)) => Self::bounded([one, other].concat()),
                    (None, _) => Err(self.misused("concatenate", left, one, line)),
                    (_, None) => Err(self.misused("concatenate", right, other, line)),
                };
            }
            Sign::Less | Sign::LessOrEqual | Sign::Greater | Sign::GreaterOrEqual => {
                // `a > b` is `b < a` to Lua, in its errors too.
                let swapped = matches!(sign, Sign::Greater | Sign::GreaterOrEqual);
                let (one, other) = if swapped { (other, one) } else { (one, other) };
                let or_equal = matches!(sign, Sign::LessOrEqual | Sign::GreaterOrEqual);
                return match (one, other) {
                    (Value::Number(one), Value::Number(other)) => {
                        Ok(Value::Boolean(if or_equal { one <= other } else { one < other }))
                    }
                    // The order of strings is the locale's.
                    (Value::Text(_), Value::Text(_)) => Err(Stop::Beyond),
                    (one, other) if one.type_name() == other.type_name() => {
                        Err(self.fail(&format!("attempt to compare two {} values", one.type_name()), line))
                    }
                    (one, other) => {
                        let text = format!("attempt to compare {} with {}", one.type_name(), other.type_name());
                        Err(self.fail(&text, line))
                    }
                };
            }
            _ => {}
        }
        let (Some(a), Some(b)) = (one.number()?, other.number()?) else {
            let (expression, value) = if one.number()?.is_none() { (left, one) } else { (right, other) };
            return Err(self.misused("perform arithmetic on", expression, value, line));
        };
        let result = match sign {
            Sign::Add => a + b,
            Sign::Subtract => a - b,
            Sign::Multiply => a * b,
            Sign::Divide => a / b,
            Sign::Remainder => a - (a / b).floor() * b,
            _ => a.powf(b),
        };
        // What a processor makes of no number is seen in its sign.
        if result.is_nan() { Err(Stop::Beyond) } else { Ok(Value::Number(result)) }
    }

    fn constructed(&mut self, items: &[Item]) -> Result<Value, Stop> {
        let table = self.tables.new_table();
        let mut index = 1;
        for (place, item) in items.iter().enumerate() {
            match item {
                Item::Next(expression) => {
                    let mut values = self.several(expression)?;
                    if place + 1 < items.len() {
                        values.truncate(1);
                        values.resize(1, Value::Nil);
                    }
                    for value in values {
                        self.tables.set(table, Key::Index(index), value);
                        index += 1;
                    }
                }
                Item::Keyed(key, expression) => {
                    let key = self.value(key)?;
                    let value = self.value(expression)?;
                    self.tables.set(table, Self::key(&key)?, value);
                }
            }
        }
        Ok(Value::Table(table))
    }

    /// `pcall` of a function without parameters: whether it ended well, and what it returned or raised.
    fn protected(&mut self, block: &Block) -> Result<Vec<Value>, Stop> {
        let (outer, depth) = (self.outer, self.scopes.len());
        self.outer = depth;
        let flow = self.block(block);
        self.outer = outer;
        self.scopes.truncate(depth);
        match flow {
            Ok(Flow::Returned(values)) => Ok(std::iter::once(Value::Boolean(true)).chain(values).collect()),
            Ok(Flow::On) => Ok(vec![Value::Boolean(true)]),
            Ok(Flow::Broken) => Err(Stop::Beyond),
            Err(Stop::Raised { value, .. }) => Ok(vec![Value::Boolean(false), value]),
            Err(stop) => Err(stop),
        }
    }
}
