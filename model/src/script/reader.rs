//! Reads a script into a tree, as far as it keeps to the part of Lua that the model knows.
//!
//! What is beyond it is no error: nobody says then what the script has to answer.

use super::syntax::{Block, Expression, Item, Sign, Statement};
use super::words::{Word, words};

/// How deep statements and expressions may be nested.
const DEEPEST: usize = 60;

/// The script, if the model knows all of its words.
pub(crate) fn read(text: &[u8]) -> Option<Block> {
    let mut reader = Reader { words: words(text)?, at: 0, depth: 0 };
    let block = reader.block()?;
    (reader.at == reader.words.len()).then_some(block)
}

struct Reader {
    words: Vec<(Word, u32)>,
    at: usize,
    depth: usize,
}

const RESERVED: [&str; 21] = [
    "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "if", "in", "local", "nil", "not", "or",
    "repeat", "return", "then", "true", "until", "while",
];

impl Reader {
    fn peek(&self) -> Option<&Word> {
        self.words.get(self.at).map(|(word, _)| word)
    }

    fn line(&self) -> u32 {
        self.words.get(self.at.min(self.words.len().saturating_sub(1))).map_or(1, |(_, line)| *line)
    }

    fn is_name(&self, name: &str) -> bool {
        matches!(self.peek(), Some(Word::Name(word)) if word == name)
    }

    fn is_sign(&self, sign: &str) -> bool {
        matches!(self.peek(), Some(Word::Sign(word)) if *word == sign)
    }

    /// Takes this reserved word if it comes next.
    fn takes(&mut self, name: &str) -> bool {
        let is_next = self.is_name(name);
        self.at += usize::from(is_next);
        is_next
    }

    fn takes_sign(&mut self, sign: &str) -> bool {
        let is_next = self.is_sign(sign);
        self.at += usize::from(is_next);
        is_next
    }

    fn expect(&mut self, name: &str) -> Option<()> {
        self.takes(name).then_some(())
    }

    fn expect_sign(&mut self, sign: &str) -> Option<()> {
        self.takes_sign(sign).then_some(())
    }

    fn name(&mut self) -> Option<String> {
        match self.peek() {
            Some(Word::Name(name)) if !RESERVED.contains(&name.as_str()) => {
                let name = name.clone();
                self.at += 1;
                Some(name)
            }
            _ => None,
        }
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        if self.depth >= DEEPEST {
            return None;
        }
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        read
    }

    fn block(&mut self) -> Option<Block> {
        self.deeper(|reader| {
            let mut block = Vec::new();
            loop {
                let ends = ["end", "else", "elseif"].iter().any(|name| reader.is_name(name));
                if ends || reader.peek().is_none() {
                    return Some(block);
                }
                let statement = reader.statement()?;
                let last = matches!(statement, Statement::Return(_) | Statement::Break);
                block.push(statement);
                reader.takes_sign(";");
                if last {
                    return Some(block);
                }
            }
        })
    }

    fn statement(&mut self) -> Option<Statement> {
        let line = self.line();
        if self.takes("local") {
            let mut names = vec![self.name()?];
            while self.takes_sign(",") {
                names.push(self.name()?);
            }
            let values = if self.takes_sign("=") { self.expressions()? } else { Vec::new() };
            return Some(Statement::Local(names, values));
        }
        if self.takes("if") {
            return self.condition();
        }
        if self.takes("for") {
            return self.repetition();
        }
        if self.takes("while") {
            let condition = self.expression()?;
            self.expect("do")?;
            let block = self.block()?;
            self.expect("end")?;
            return Some(Statement::While(condition, block));
        }
        if self.takes("do") {
            let block = self.block()?;
            self.expect("end")?;
            return Some(Statement::Block(block));
        }
        if self.takes("break") {
            return Some(Statement::Break);
        }
        if self.takes("return") {
            let ends = ["end", "else", "elseif"].iter().any(|name| self.is_name(name));
            let values =
                if ends || self.peek().is_none() || self.is_sign(";") { Vec::new() } else { self.expressions()? };
            return Some(Statement::Return(values));
        }
        let place = self.suffixed()?;
        if self.takes_sign("=") {
            let value = self.expression()?;
            return match place {
                Expression::Name(..) | Expression::Index { .. } => Some(Statement::Assign { place, value, line }),
                _ => None,
            };
        }
        matches!(place, Expression::Call { .. } | Expression::Protected(_)).then_some(Statement::Call(place))
    }

    fn condition(&mut self) -> Option<Statement> {
        let mut arms = Vec::new();
        loop {
            let condition = self.expression()?;
            self.expect("then")?;
            arms.push((condition, self.block()?));
            if self.takes("elseif") {
                continue;
            }
            let otherwise = if self.takes("else") { self.block()? } else { Vec::new() };
            self.expect("end")?;
            return Some(Statement::If(arms, otherwise));
        }
    }

    fn repetition(&mut self) -> Option<Statement> {
        let name = self.name()?;
        let statement = if self.takes_sign("=") {
            let from = self.expression()?;
            self.expect_sign(",")?;
            let to = self.expression()?;
            let step = if self.takes_sign(",") { Some(self.expression()?) } else { None };
            self.expect("do")?;
            Statement::Count { name, from, to, step, block: self.block()? }
        } else {
            self.expect_sign(",")?;
            let element = self.name()?;
            self.expect("in")?;
            self.expect("ipairs")?;
            self.expect_sign("(")?;
            let table = self.expression()?;
            self.expect_sign(")")?;
            self.expect("do")?;
            Statement::Each { index: name, element, table, block: self.block()? }
        };
        self.expect("end")?;
        Some(statement)
    }

    fn expressions(&mut self) -> Option<Vec<Expression>> {
        let mut expressions = vec![self.expression()?];
        while self.takes_sign(",") {
            // Lua has no room for hundreds of values at once.
            if expressions.len() >= 60 {
                return None;
            }
            expressions.push(self.expression()?);
        }
        Some(expressions)
    }

    fn expression(&mut self) -> Option<Expression> {
        self.deeper(|reader| reader.above(0))
    }

    /// An expression of operators that bind more tightly than `floor`.
    fn above(&mut self, floor: u8) -> Option<Expression> {
        let line = self.line();
        let mut left = if self.takes("not") {
            Expression::Not(Box::new(self.deeper(|reader| reader.above(UNARY))?))
        } else if self.takes_sign("-") {
            Expression::Negate(Box::new(self.deeper(|reader| reader.above(UNARY))?), line)
        } else if self.takes_sign("#") {
            Expression::Length(Box::new(self.deeper(|reader| reader.above(UNARY))?), line)
        } else {
            self.simple()?
        };
        loop {
            let (operator, strength, right_strength) = match self.peek() {
                Some(Word::Name(name)) if name == "or" => (Operator::Or, 1, 1),
                Some(Word::Name(name)) if name == "and" => (Operator::And, 2, 2),
                Some(Word::Sign(sign)) => match sign_of(sign) {
                    Some((sign, strength, right)) => (Operator::Sign(sign), strength, right),
                    None => return Some(left),
                },
                _ => return Some(left),
            };
            if strength <= floor {
                return Some(left);
            }
            let line = self.line();
            self.at += 1;
            let right = Box::new(self.deeper(|reader| reader.above(right_strength))?);
            left = match operator {
                Operator::Or => Expression::Or(Box::new(left), right),
                Operator::And => Expression::And(Box::new(left), right),
                Operator::Sign(sign) => Expression::Binary { sign, left: Box::new(left), right, line },
            };
        }
    }

    fn simple(&mut self) -> Option<Expression> {
        let simple = match self.peek()? {
            Word::Number(number) => Expression::Number(*number),
            Word::Text(text) => Expression::Text(text.clone()),
            Word::Name(name) => match name.as_str() {
                "nil" => Expression::Nil,
                "true" => Expression::True,
                "false" => Expression::False,
                _ => return self.suffixed(),
            },
            Word::Sign("{") => return self.table(),
            Word::Sign(_) => return self.suffixed(),
        };
        self.at += 1;
        Some(simple)
    }

    /// A name or something in parentheses, with fields, indexes and calls behind it.
    fn suffixed(&mut self) -> Option<Expression> {
        let line = self.line();
        let mut of = if self.takes_sign("(") {
            let within = self.expression()?;
            self.expect_sign(")")?;
            Expression::Single(Box::new(within))
        } else {
            Expression::Name(self.name()?, line)
        };
        loop {
            let line = self.line();
            if self.takes_sign(".") {
                let key = Box::new(Expression::Text(self.name()?.into_bytes()));
                of = Expression::Index { of: Box::new(of), key, line };
            } else if self.takes_sign("[") {
                let key = Box::new(self.expression()?);
                self.expect_sign("]")?;
                of = Expression::Index { of: Box::new(of), key, line };
            } else if self.is_sign("(") {
                // Lua refuses what may be a call or a statement of its own.
                if self.words.get(self.at.wrapping_sub(1)).is_some_and(|(_, before)| *before != line) {
                    return None;
                }
                self.at += 1;
                if matches!(&of, Expression::Name(name, _) if name == "pcall") && self.takes("function") {
                    self.expect_sign("(")?;
                    self.expect_sign(")")?;
                    let block = self.block()?;
                    self.expect("end")?;
                    self.expect_sign(")")?;
                    of = Expression::Protected(block);
                    continue;
                }
                let arguments = if self.is_sign(")") { Vec::new() } else { self.expressions()? };
                self.expect_sign(")")?;
                of = Expression::Call { function: Box::new(of), arguments, line };
            } else {
                return Some(of);
            }
        }
    }

    fn table(&mut self) -> Option<Expression> {
        self.expect_sign("{")?;
        let mut items = Vec::new();
        while !self.takes_sign("}") {
            let names_key = matches!(self.words.get(self.at + 1), Some((Word::Sign("="), _)));
            if self.takes_sign("[") {
                let key = self.expression()?;
                self.expect_sign("]")?;
                self.expect_sign("=")?;
                items.push(Item::Keyed(key, self.expression()?));
            } else if names_key {
                let key = Expression::Text(self.name()?.into_bytes());
                self.expect_sign("=")?;
                items.push(Item::Keyed(key, self.expression()?));
            } else {
                items.push(Item::Next(self.expression()?));
            }
            if !self.takes_sign(",") && !self.takes_sign(";") && !self.is_sign("}") {
                return None;
            }
        }
        Some(Expression::Table(items))
    }
}

enum Operator {
    Or,
    And,
    Sign(Sign),
}

/// How tightly `not`, `-` and `#` bind what stands behind them.
const UNARY: u8 = 7;

/// An operator, how tightly it binds, and how tightly one behind it has to bind to come first.
fn sign_of(sign: &str) -> Option<(Sign, u8, u8)> {
    Some(match sign {
        "<" => (Sign::Less, 3, 3),
        ">" => (Sign::Greater, 3, 3),
        "<=" => (Sign::LessOrEqual, 3, 3),
        ">=" => (Sign::GreaterOrEqual, 3, 3),
        "~=" => (Sign::Unequal, 3, 3),
        "==" => (Sign::Equal, 3, 3),
        // Both of these bind from the right.
        ".." => (Sign::Concatenate, 4, 3),
        "+" => (Sign::Add, 5, 5),
        "-" => (Sign::Subtract, 5, 5),
        "*" => (Sign::Multiply, 6, 6),
        "/" => (Sign::Divide, 6, 6),
        "%" => (Sign::Remainder, 6, 6),
        "^" => (Sign::Power, 8, 7),
        _ => return None,
    })
}
