//! Random queries with the rows the map gives for them.

use std::collections::BTreeMap;

use rand::RngExt;
use rand::rngs::StdRng;

use super::predicate::Predicate;
use super::shape::literal;
use super::step::{Call, Expected, Parameters, Step};
use super::table::Table;
use crate::rows::{Row, Value};

/// Any query.
pub fn random(rng: &mut StdRng, name: &str, table: &Table) -> Step {
    match rng.random_range(0..100) {
        0..20 => filtered(rng, name, table),
        20..38 => ordered_by_key(rng, name, table),
        38..46 => ordered_by_value(rng, name, table),
        46..60 if table.shape.has_key() => points(rng, name, table),
        60..66 => limited(rng, name, table),
        66..80 => counted(rng, name, table),
        80..88 => aggregated(name, table),
        88..93 => grouped(name, table),
        _ => deleted(name, table),
    }
}

/// The whole contents, in key order.
pub fn contents(name: &str, table: &Table) -> Step {
    let order = order_by_key(table, false);
    Step::query(format!("SELECT * FROM {name} ORDER BY {order}"), Expected::Rows(table.rows()))
}

/// The row count the server keeps.
pub fn count(name: &str, table: &Table) -> Step {
    let count = vec![Value::Int(table.live.len() as i64)];
    Step::query(format!("SELECT count(*) FROM {name}"), Expected::Rows(vec![count]))
}

fn filtered(rng: &mut StdRng, name: &str, table: &Table) -> Step {
    let predicate = Predicate::random(rng, table.shape);
    let condition = predicate.sql(name, table.shape);
    let rows = predicate.rows(table);
    Step::query(format!("SELECT * FROM {name} WHERE {condition}"), Expected::Bag(rows))
}

/// A range of the key, forward or backward, some rows of it.
fn ordered_by_key(rng: &mut StdRng, name: &str, table: &Table) -> Step {
    let shape = table.shape;
    let predicate = match rng.random_range(0..3) {
        0 => Predicate::Always,
        1 if shape.has_key() => Predicate::on_key(rng, shape),
        _ => Predicate::random(rng, shape),
    };
    let descending = rng.random_bool(0.6);
    let mut rows = predicate.rows(table);
    if descending {
        rows.reverse();
    }
    let window = window(rng, &mut rows);
    let sql = format!(
        "SELECT * FROM {name} WHERE {} ORDER BY {}{window}",
        predicate.sql(name, shape),
        order_by_key(table, descending)
    );
    Step::query(sql, Expected::Rows(rows))
}

/// An order no index gives, made unique by the key.
fn ordered_by_value(rng: &mut StdRng, name: &str, table: &Table) -> Step {
    let v = table.shape.payload(0);
    let descending = rng.random_bool(0.5);
    // The map's rows are in key order and the sort is stable; NULL is its least value.
    let mut rows = table.rows();
    rows.sort_by(|one, other| {
        let order = one[v].cmp(&other[v]);
        if descending { order.reverse() } else { order }
    });
    let direction = if descending { "DESC NULLS LAST" } else { "ASC NULLS FIRST" };
    let window = window(rng, &mut rows);
    let key = order_by_key(table, false);
    let sql = format!("SELECT * FROM {name} ORDER BY v {direction}, {key}{window}");
    Step::query(sql, Expected::Rows(rows))
}

/// Point lookups through one prepared statement, several bound rows in one go.
fn points(rng: &mut StdRng, name: &str, table: &Table) -> Step {
    let shape = table.shape;
    let bound: Vec<Row> = (0..rng.random_range(1..4))
        .map(|_| shape.key.iter().map(|at| literal(rng, shape.column(*at))).collect())
        .collect();
    let found = bound.iter().filter_map(|key| table.live.get(key));
    let rows = found.map(|row| row[shape.payload(1)..].to_vec()).collect();
    let conditions: Vec<String> = shape
        .key_names()
        .enumerate()
        .map(|(at, column)| format!("{column} = ${}", at + 1))
        .collect();
    let sql = format!("SELECT s, n FROM {name} WHERE {}", conditions.join(" AND "));
    let is_text = shape.key.iter().map(|at| shape.column(*at).is_text).collect();
    let call = Call::PreparedQuery(sql, Parameters { is_text, rows: bound });
    Step { call, expected: Expected::Rows(rows) }
}

fn limited(rng: &mut StdRng, name: &str, table: &Table) -> Step {
    let predicate = Predicate::random(rng, table.shape);
    let limit = rng.random_range(0..6);
    let rows = predicate.rows(table);
    let condition = predicate.sql(name, table.shape);
    let sql = format!("SELECT * FROM {name} WHERE {condition} LIMIT {limit}");
    Step::query(sql, Expected::Some(rows.len().min(limit), rows))
}

fn counted(rng: &mut StdRng, name: &str, table: &Table) -> Step {
    if rng.random_bool(0.3) {
        return count(name, table);
    }
    let predicate = Predicate::random(rng, table.shape);
    let counted = vec![Value::Int(predicate.keys(table).len() as i64)];
    let condition = predicate.sql(name, table.shape);
    let sql = format!("SELECT count(*) FROM {name} WHERE {condition}");
    Step::query(sql, Expected::Rows(vec![counted]))
}

fn aggregated(name: &str, table: &Table) -> Step {
    let (v, n) = (table.shape.payload(0), table.shape.payload(2));
    let of = |position: usize| {
        let values = table.live.values().map(move |row| row[position].clone());
        values.filter(|value| *value != Value::Null)
    };
    let sum = of(v).fold(Value::Null, |sum, value| match (sum, value) {
        (Value::Int(sum), Value::Int(value)) => Value::Int(sum + value),
        (_, value) => value,
    });
    let or_null = |value: Option<Value>| value.unwrap_or(Value::Null);
    let expected = vec![
        Value::Int(table.live.len() as i64),
        Value::Int(of(v).count() as i64),
        sum,
        or_null(of(n).min()),
        or_null(of(n).max()),
        or_null(of(0).min()),
        or_null(of(0).max()),
    ];
    let first = table.shape.column(0).name;
    let sql = format!(
        "SELECT count(*), count(v), sum(v), min(n), max(n), min({first}), max({first}) FROM {name}"
    );
    Step::query(sql, Expected::Rows(vec![expected]))
}

fn grouped(name: &str, table: &Table) -> Step {
    let v = table.shape.payload(0);
    let mut groups: BTreeMap<Value, i64> = BTreeMap::new();
    for row in table.live.values() {
        *groups.entry(row[v].clone()).or_default() += 1;
    }
    let rows = groups.into_iter().map(|(value, count)| vec![value, Value::Int(count)]).collect();
    Step::query(format!("SELECT v, count(*) FROM {name} GROUP BY v"), Expected::Bag(rows))
}

/// Deleted rows show themselves, with their last content, only to whoever names `_deleted`.
fn deleted(name: &str, table: &Table) -> Step {
    let first = table.shape.column(0).name;
    let n = table.shape.payload(2);
    let shown =
        |row: &Row, deleted: bool| vec![row[0].clone(), row[n].clone(), Value::Bool(deleted)];
    let live = table.live.values().map(|row| shown(row, false));
    let rows = live.chain(table.deleted.values().map(|row| shown(row, true))).collect();
    Step::query(format!("SELECT {first}, n, _deleted FROM {name}"), Expected::Bag(rows))
}

fn order_by_key(table: &Table, descending: bool) -> String {
    let direction = if descending { " DESC" } else { "" };
    let mut names: Vec<&str> = table.shape.key_names().collect();
    if names.is_empty() {
        names.push("_row_id");
    }
    names.iter().map(|name| format!("{name}{direction}")).collect::<Vec<_>>().join(", ")
}

/// A random LIMIT and OFFSET, applied to the rows.
fn window(rng: &mut StdRng, rows: &mut Vec<Row>) -> String {
    let limit = rng.random_range(0..8);
    match rng.random_range(0..3) {
        0 => String::new(),
        1 => {
            rows.truncate(limit);
            format!(" LIMIT {limit}")
        }
        _ => {
            let offset = rng.random_range(0..4);
            *rows = rows.iter().skip(offset).take(limit).cloned().collect();
            format!(" LIMIT {limit} OFFSET {offset}")
        }
    }
}
