//! Random WHERE clauses, as SQL and as a function of a row, with SQL's third truth value.

use rand::RngExt;
use rand::rngs::StdRng;

use super::shape::{Shape, literal};
use super::table::Table;
use crate::random::one_of;
use crate::rows::{Row, Value};

/// How deep AND, OR and NOT nest.
const DEPTH_MAX: u32 = 2;
const COMPARISONS: [&str; 6] = ["=", "<>", "<", "<=", ">", ">="];

/// A condition on a row; columns are positions.
pub enum Predicate {
    Always,
    Never,
    Unknown,
    Compare(usize, &'static str, Value),
    Between(usize, Value, Value),
    In(usize, Vec<Value>),
    IsNull(usize, bool),
    /// The column is among the `n` of the rows whose `n` is at least this much.
    InSelect(usize, i64),
    /// Some row of the table has an `n` of at least this much.
    Exists(i64),
    Not(Box<Predicate>),
    And(Box<Predicate>, Box<Predicate>),
    Or(Box<Predicate>, Box<Predicate>),
}

impl Predicate {
    /// Any condition. Subqueries stand alone or in a conjunction, never under NOT.
    pub fn random(rng: &mut StdRng, shape: &Shape) -> Self {
        match rng.random_range(0..20) {
            0 => Self::Always,
            1 => Self::Never,
            2 => Self::Unknown,
            3 => Self::InSelect(rng.random_range(0..shape.width()), rng.random_range(-6..14))
                .suiting(shape),
            4 => Self::Exists(rng.random_range(-6..20)),
            5 => {
                let subquery = Self::InSelect(shape.payload(0), rng.random_range(-6..14));
                Self::And(Box::new(subquery), Box::new(Self::plain(rng, shape, 0)))
            }
            6..12 if shape.has_key() => Self::on_key(rng, shape),
            _ => Self::plain(rng, shape, DEPTH_MAX),
        }
    }

    /// A condition that leads the scan to some keys: equality, a list, a range, a prefix.
    pub fn on_key(rng: &mut StdRng, shape: &Shape) -> Self {
        let mut equal =
            |position: usize| Self::Compare(position, "=", literal(rng, shape.column(position)));
        let all = shape.key.iter().map(|position| equal(*position)).reduce(Self::and);
        let (first, last) = (shape.key[0], shape.key[shape.key.len() - 1]);
        match rng.random_range(0..7) {
            0 => all.unwrap_or(Self::Always),
            1 => Self::Compare(first, "=", literal(rng, shape.column(first))),
            2 => Self::list(rng, shape, first),
            3 => Self::between(rng, shape, first),
            // Equality on the leading column, a range of the last one: open, closed, or both.
            4 => {
                let equal = Self::Compare(first, "=", literal(rng, shape.column(first)));
                equal.and(Self::bounded(rng, shape, last))
            }
            5 => Self::bounded(rng, shape, first).and(Self::bounded(rng, shape, last)),
            _ => {
                let range = Self::between(rng, shape, first);
                range.and(Self::plain(rng, shape, 0))
            }
        }
    }

    /// The condition as SQL.
    pub fn sql(&self, table: &str, shape: &Shape) -> String {
        let name = |position: &usize| shape.column(*position).name;
        match self {
            Self::Always => "true".to_owned(),
            Self::Never => "1 = 0".to_owned(),
            Self::Unknown => "NULL".to_owned(),
            Self::Compare(column, operator, value) => {
                format!("{} {operator} {value}", name(column))
            }
            Self::Between(column, low, high) => {
                format!("{} BETWEEN {low} AND {high}", name(column))
            }
            Self::In(column, values) => {
                let values: Vec<String> = values.iter().map(Value::to_string).collect();
                format!("{} IN ({})", name(column), values.join(", "))
            }
            Self::IsNull(column, true) => format!("{} IS NULL", name(column)),
            Self::IsNull(column, false) => format!("{} IS NOT NULL", name(column)),
            Self::InSelect(column, least) => {
                format!("{} IN (SELECT n FROM {table} WHERE n >= {least})", name(column))
            }
            Self::Exists(least) => format!("EXISTS (SELECT 1 FROM {table} WHERE n >= {least})"),
            Self::Not(inner) => format!("NOT ({})", inner.sql(table, shape)),
            Self::And(left, right) => {
                format!("({}) AND ({})", left.sql(table, shape), right.sql(table, shape))
            }
            Self::Or(left, right) => {
                format!("({}) OR ({})", left.sql(table, shape), right.sql(table, shape))
            }
        }
    }

    /// Keys of the live rows for which the condition is true.
    pub fn keys(&self, table: &Table) -> Vec<Row> {
        let rows = table.live.iter().filter(|(_, row)| self.holds(row, table) == Some(true));
        rows.map(|(key, _)| key.clone()).collect()
    }

    /// The live rows for which the condition is true, in key order.
    pub fn rows(&self, table: &Table) -> Vec<Row> {
        self.keys(table).iter().map(|key| table.live[key].clone()).collect()
    }

    fn holds(&self, row: &Row, table: &Table) -> Option<bool> {
        match self {
            Self::Always => Some(true),
            Self::Never => Some(false),
            Self::Unknown => None,
            Self::Compare(column, operator, value) => compare(&row[*column], operator, value),
            Self::Between(column, low, high) => {
                and(compare(&row[*column], ">=", low), compare(&row[*column], "<=", high))
            }
            Self::In(column, values) => {
                or_all(values.iter().map(|value| compare(&row[*column], "=", value)))
            }
            Self::IsNull(column, expected) => Some((row[*column] == Value::Null) == *expected),
            Self::InSelect(column, least) => {
                let values = at_least(table, *least);
                or_all(values.map(|value| compare(&row[*column], "=", &value)))
            }
            Self::Exists(least) => Some(at_least(table, *least).next().is_some()),
            Self::Not(inner) => inner.holds(row, table).map(|truth| !truth),
            Self::And(left, right) => and(left.holds(row, table), right.holds(row, table)),
            Self::Or(left, right) => or_all([left.holds(row, table), right.holds(row, table)]),
        }
    }

    fn and(self, other: Self) -> Self {
        Self::And(Box::new(self), Box::new(other))
    }

    fn plain(rng: &mut StdRng, shape: &Shape, depth: u32) -> Self {
        let column = rng.random_range(0..shape.width());
        let inner = |rng: &mut StdRng| Box::new(Self::plain(rng, shape, depth - 1));
        match rng.random_range(0..if depth > 0 { 10 } else { 7 }) {
            0 => Self::IsNull(column, rng.random_bool(0.5)),
            1 => Self::list(rng, shape, column),
            2 => Self::between(rng, shape, column),
            3..7 => {
                let operator = *one_of(rng, &COMPARISONS);
                Self::Compare(column, operator, literal(rng, shape.column(column)))
            }
            7 => Self::Not(inner(rng)),
            8 => Self::And(inner(rng), inner(rng)),
            _ => Self::Or(inner(rng), inner(rng)),
        }
    }

    /// A lower bound, an upper bound, or both.
    fn bounded(rng: &mut StdRng, shape: &Shape, column: usize) -> Self {
        let mut bound = |operators: &[&'static str]| {
            let operator = *one_of(rng, operators);
            Self::Compare(column, operator, literal(rng, shape.column(column)))
        };
        let (lower, upper) = (bound(&[">", ">="]), bound(&["<", "<="]));
        match rng.random_range(0..3) {
            0 => lower,
            1 => upper,
            _ => lower.and(upper),
        }
    }

    fn list(rng: &mut StdRng, shape: &Shape, column: usize) -> Self {
        let values = (0..rng.random_range(1..5)).map(|_| literal(rng, shape.column(column)));
        Self::In(column, values.collect())
    }

    fn between(rng: &mut StdRng, shape: &Shape, column: usize) -> Self {
        let bound = |rng: &mut StdRng| literal(rng, shape.column(column));
        let (one, other) = (bound(rng), bound(rng));
        // Now and then an empty range.
        let (low, high) =
            if one > other && rng.random_ratio(4, 5) { (other, one) } else { (one, other) };
        Self::Between(column, low, high)
    }

    /// The subquery yields integers: a text column gives way to `n`.
    fn suiting(self, shape: &Shape) -> Self {
        match self {
            Self::InSelect(column, least) if shape.column(column).is_text => {
                Self::InSelect(shape.payload(2), least)
            }
            other => other,
        }
    }
}

fn at_least(table: &Table, least: i64) -> impl Iterator<Item = Value> {
    let column = table.shape.payload(2);
    let values = table.live.values().map(move |row| row[column].clone());
    values.filter(move |value| *value >= Value::Int(least))
}

fn compare(left: &Value, operator: &str, right: &Value) -> Option<bool> {
    if *left == Value::Null || *right == Value::Null {
        return None;
    }
    Some(match operator {
        "=" => left == right,
        "<>" => left != right,
        "<" => left < right,
        "<=" => left <= right,
        ">" => left > right,
        ">=" => left >= right,
        other => panic!("{other} is no comparison"),
    })
}

fn and(left: Option<bool>, right: Option<bool>) -> Option<bool> {
    match (left, right) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

fn or_all(truths: impl IntoIterator<Item = Option<bool>>) -> Option<bool> {
    let mut any = Some(false);
    for truth in truths {
        any = match (any, truth) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (Some(false), Some(false)) => Some(false),
            _ => None,
        };
    }
    any
}
