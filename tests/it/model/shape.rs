//! The shapes of tables: which columns, which key, whose rows.

use rand::RngExt;
use rand::rngs::StdRng;

use crate::random::one_of;
use crate::rows::Value;

/// A declared column.
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// Its type in SQL, constraints included.
    pub sql_type: &'static str,
    /// Whether its values are text; else they are integers.
    pub is_text: bool,
    /// Whether it may be NULL.
    pub nullable: bool,
}

/// A kind of table. Every shape ends with the columns of [`PAYLOAD`].
pub struct Shape {
    /// True for a USER table.
    pub per_user: bool,
    /// The leading columns.
    pub leading: &'static [Column],
    /// Positions of the key columns, in key order; empty for a table without a declared key.
    pub key: &'static [usize],
    /// The WITH clause.
    pub options: &'static str,
}

/// The columns every shape has after its own: NULL, NULL, NOT NULL with a default.
pub const PAYLOAD: &[Column] = &[
    Column { name: "v", sql_type: "INT", is_text: false, nullable: true },
    Column { name: "s", sql_type: "TEXT", is_text: true, nullable: true },
    Column { name: "n", sql_type: "BIGINT NOT NULL DEFAULT 7", is_text: false, nullable: false },
];
/// What the column `n` holds when an INSERT does not name it.
pub const DEFAULT_OF_N: i64 = 7;

const BIGINT_KEY: &[Column] = &[key("k", "BIGINT", false)];
const TEXT_KEY: &[Column] = &[key("k", "TEXT", true)];
const TEXT_INT_KEY: &[Column] = &[key("a", "TEXT", true), key("b", "INT", false)];
const INT_BIGINT_KEY: &[Column] = &[key("a", "INT", false), key("b", "BIGINT", false)];
const NO_KEY: &[Column] = &[key("a", "SMALLINT NOT NULL", false)];

/// Every shape, each as a SHARED and as a USER table.
pub const SHAPES: &[Shape] = &[
    shape(false, BIGINT_KEY, &[0], ""),
    shape(true, BIGINT_KEY, &[0], ""),
    shape(false, TEXT_KEY, &[0], ""),
    shape(true, TEXT_KEY, &[0], ""),
    shape(false, TEXT_INT_KEY, &[0, 1], ""),
    shape(true, TEXT_INT_KEY, &[0, 1], ""),
    // The key's order is not the declared order.
    shape(false, INT_BIGINT_KEY, &[1, 0], ""),
    shape(true, INT_BIGINT_KEY, &[1, 0], ""),
    shape(false, NO_KEY, &[], ""),
    shape(true, NO_KEY, &[], ""),
    // Deleted rows are gone at once.
    shape(false, BIGINT_KEY, &[0], " WITH (DELETED_RETENTION_HOURS = 0)"),
    shape(true, TEXT_INT_KEY, &[0, 1], " WITH (DELETED_RETENTION_HOURS = 0)"),
    // Acknowledged before it is synced.
    shape(false, BIGINT_KEY, &[0], " WITH (DURABILITY = 'interval:50ms')"),
];

/// Integers that keys and values are taken from.
const INTEGERS: std::ops::Range<i64> = -6..14;
/// Texts that keys and values are taken from: empty, quoted, prefixes of each other, control
/// characters (NUL cannot stand in SQL text), more than one byte a character.
const TEXTS: &[&str] =
    &["", "a", "ab", "a'b", "A", "b", "a%", "a\u{1}", "z\u{7f}", "é", "日本", "a b"];

const fn key(name: &'static str, sql_type: &'static str, is_text: bool) -> Column {
    Column { name, sql_type, is_text, nullable: false }
}

const fn shape(
    per_user: bool,
    leading: &'static [Column],
    key: &'static [usize],
    options: &'static str,
) -> Shape {
    Shape { per_user, leading, key, options }
}

impl Shape {
    /// All columns in declared order.
    pub fn columns(&self) -> impl Iterator<Item = &'static Column> {
        self.leading.iter().chain(PAYLOAD)
    }

    /// Declared columns.
    pub fn width(&self) -> usize {
        self.leading.len() + PAYLOAD.len()
    }

    /// The column at a position.
    pub fn column(&self, position: usize) -> &'static Column {
        self.leading.get(position).unwrap_or_else(|| &PAYLOAD[position - self.leading.len()])
    }

    /// The position of a payload column: `v` is 0, `s` is 1, `n` is 2.
    pub fn payload(&self, which: usize) -> usize {
        self.leading.len() + which
    }

    /// False for a table whose key is the hidden row id.
    pub fn has_key(&self) -> bool {
        !self.key.is_empty()
    }

    /// Whether deleted rows stay visible through `_deleted`.
    pub fn keeps_deleted(&self) -> bool {
        !self.options.contains("RETENTION")
    }

    /// The names of the key columns in key order.
    pub fn key_names(&self) -> impl Iterator<Item = &'static str> {
        self.key.iter().map(|position| self.column(*position).name)
    }

    /// CREATE TABLE.
    pub fn create(&self, table: &str) -> String {
        let columns: Vec<String> =
            self.columns().map(|column| format!("{} {}", column.name, column.sql_type)).collect();
        let key = match self.key_names().collect::<Vec<_>>().join(", ") {
            names if names.is_empty() => String::new(),
            names => format!(", PRIMARY KEY ({names})"),
        };
        let kind = if self.per_user { "USER " } else { "" };
        format!("CREATE {kind}TABLE {table} ({}{key}){}", columns.join(", "), self.options)
    }

    /// A random value for a column.
    pub fn value(&self, rng: &mut StdRng, position: usize) -> Value {
        let column = self.column(position);
        if column.nullable && rng.random_ratio(1, 5) {
            return Value::Null;
        }
        literal(rng, column)
    }
}

/// A random value of a column's type, never NULL.
pub fn literal(rng: &mut StdRng, column: &Column) -> Value {
    if column.is_text {
        Value::from(*one_of(rng, TEXTS))
    } else {
        Value::from(rng.random_range(INTEGERS))
    }
}
