//! The part of Lua that scripts for the model are written in, as a tree.

use crate::reply::Bytes;

/// Statements that belong together.
pub(crate) type Block = Vec<Statement>;

/// A statement, with the line that it begins in where that can be seen.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Statement {
    /// `local a, b = …`
    Local(Vec<String>, Vec<Expression>),
    /// `place = value`
    Assign { place: Expression, value: Expression, line: u32 },
    /// A call whose results are dropped.
    Call(Expression),
    /// Conditions with their blocks in order, and the block behind `else`.
    If(Vec<(Expression, Block)>, Block),
    /// `for name = from, to, step do`
    Count { name: String, from: Expression, to: Expression, step: Option<Expression>, block: Block },
    /// `for index, element in ipairs(table) do`
    Each { index: String, element: String, table: Expression, block: Block },
    /// `while`
    While(Expression, Block),
    /// `do … end`
    Block(Block),
    /// `break`
    Break,
    /// `return`
    Return(Vec<Expression>),
}

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expression {
    Nil,
    True,
    False,
    Number(f64),
    Text(Bytes),
    Name(String, u32),
    /// `of[key]`, `of.key`
    Index {
        of: Box<Expression>,
        key: Box<Expression>,
        line: u32,
    },
    Call {
        function: Box<Expression>,
        arguments: Vec<Expression>,
        line: u32,
    },
    /// `pcall(function() … end)`
    Protected(Block),
    /// `(…)`: one value, whatever is within.
    Single(Box<Expression>),
    Not(Box<Expression>),
    Negate(Box<Expression>, u32),
    Length(Box<Expression>, u32),
    And(Box<Expression>, Box<Expression>),
    Or(Box<Expression>, Box<Expression>),
    Binary {
        sign: Sign,
        left: Box<Expression>,
        right: Box<Expression>,
        line: u32,
    },
    Table(Vec<Item>),
}

/// An element of a table constructor.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Item {
    /// At the next index.
    Next(Expression),
    /// `[key] = value`, `key = value`
    Keyed(Expression, Expression),
}

/// An operator between two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Power,
    Concatenate,
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}
