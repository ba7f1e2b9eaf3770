//! Random INSERT, UPDATE and DELETE statements. Each is applied to the map first, which says how
//! many rows it affects or that it must be refused.

use rand::RngExt;
use rand::rngs::StdRng;

use super::predicate::Predicate;
use super::shape::{Column, DEFAULT_OF_N, literal};
use super::step::{Call, Expected, Parameters, Step, show};
use super::table::Table;
use crate::rows::{Row, Value};

/// Rows of one INSERT.
const ROWS_MAX: usize = 5;
/// How often a row is drawn again because its key is taken.
const DRAWS: usize = 3;

/// Any statement that changes rows.
pub fn random(rng: &mut StdRng, name: &str, table: &mut Table) -> Step {
    match rng.random_range(0..100) {
        0..32 => insert_values(rng, name, table),
        32..40 => insert_named(rng, name, table),
        40..48 => insert_prepared(rng, name, table),
        48..54 => insert_select(rng, name, table),
        54..59 => insert_bad_value(rng, name, table),
        59..78 => update(rng, name, table),
        78..81 => update_key(rng, name, table),
        _ => delete(rng, name, table),
    }
}

fn insert_values(rng: &mut StdRng, name: &str, table: &mut Table) -> Step {
    let rows = random_rows(rng, table);
    let tuples: Vec<String> = rows.iter().map(|row| show(row)).collect();
    let sql = format!("INSERT INTO {name} VALUES {}", tuples.join(", "));
    Step::update(sql, inserted(table, &rows))
}

/// INSERT with a column list: another order, and defaults for what is not named.
fn insert_named(rng: &mut StdRng, name: &str, table: &mut Table) -> Step {
    let shape = table.shape;
    let mut positions: Vec<usize> = (0..shape.leading.len()).collect();
    positions.extend((0..3).filter(|_| rng.random_bool(0.5)).map(|which| shape.payload(which)));
    positions.reverse();
    let mut rows = random_rows(rng, table);
    for row in &mut rows {
        for (position, value) in row.iter_mut().enumerate() {
            if !positions.contains(&position) {
                let is_n = position == shape.payload(2);
                *value = if is_n { Value::Int(DEFAULT_OF_N) } else { Value::Null };
            }
        }
    }
    let names: Vec<&str> = positions.iter().map(|at| shape.column(*at).name).collect();
    let tuples: Vec<String> = rows
        .iter()
        .map(|row| show(&positions.iter().map(|at| row[*at].clone()).collect::<Row>()))
        .collect();
    let sql = format!("INSERT INTO {name} ({}) VALUES {}", names.join(", "), tuples.join(", "));
    Step::update(sql, inserted(table, &rows))
}

/// A prepared INSERT with several bound rows: all or nothing.
fn insert_prepared(rng: &mut StdRng, name: &str, table: &mut Table) -> Step {
    let rows = random_rows(rng, table);
    let marks = vec!["?"; table.shape.width()].join(", ");
    let sql = format!("INSERT INTO {name} VALUES ({marks})");
    let is_text = table.shape.columns().map(|column| column.is_text).collect();
    let expected = inserted(table, &rows);
    Step { call: Call::PreparedUpdate(sql, Parameters { is_text, rows }), expected }
}

/// INSERT of a table's rows into itself, with other keys.
fn insert_select(rng: &mut StdRng, name: &str, table: &mut Table) -> Step {
    let shape = table.shape;
    let is_single_integer = shape.leading.len() == 1 && !shape.leading[0].is_text;
    if !is_single_integer {
        return insert_values(rng, name, table);
    }
    let predicate = Predicate::random(rng, shape);
    let shift = rng.random_range(0..40);
    let mut rows = predicate.rows(table);
    for row in &mut rows {
        row[0] = arithmetic(&row[0], |value| value + shift);
    }
    let condition = predicate.sql(name, shape);
    let column = shape.leading[0].name;
    let sql = format!(
        "INSERT INTO {name} SELECT {column} + {shift}, v, s, n FROM {name} WHERE {condition}"
    );
    Step::update(sql, inserted(table, &rows))
}

/// INSERT of good rows and one that no row can be: out of range, NULL, not a number.
fn insert_bad_value(rng: &mut StdRng, name: &str, table: &mut Table) -> Step {
    let mut rows = random_rows(rng, table);
    let bad = rng.random_range(0..rows.len());
    let (which, value) = match rng.random_range(0..3) {
        0 => (0, Value::Int(3_000_000_000)),
        1 => (0, Value::from("twelve")),
        _ => (2, Value::Null),
    };
    rows[bad][table.shape.payload(which)] = value;
    let tuples: Vec<String> = rows.iter().map(|row| show(row)).collect();
    Step::update(format!("INSERT INTO {name} VALUES {}", tuples.join(", ")), Expected::Refused)
}

/// UPDATE of payload columns; some assignments cannot be for some rows.
fn update(rng: &mut StdRng, name: &str, table: &mut Table) -> Step {
    let shape = table.shape;
    let predicate = Predicate::random(rng, shape);
    let keys = predicate.keys(table);
    let (assignments, changed) = assignment(rng, table, &keys);
    let condition = predicate.sql(name, shape);
    let sql = format!("UPDATE {name} SET {assignments} WHERE {condition}");
    let Some(changed) = changed else { return Step::update(sql, Expected::Refused) };
    let count = changed.len() as i64;
    table.replace(changed);
    Step::update(sql, Expected::Count(count))
}

/// Random assignments, and the rows after them, or `None` when some row cannot take them.
fn assignment(rng: &mut StdRng, table: &Table, keys: &[Row]) -> (String, Option<Vec<(Row, Row)>>) {
    let (v, s, n) = (table.shape.payload(0), table.shape.payload(1), table.shape.payload(2));
    let number = rng.random_range(-6..14);
    let text = literal(rng, table.shape.column(s));
    match rng.random_range(0..10) {
        0 => (format!("v = {number}"), each(table, keys, |row| row[v] = Value::Int(number))),
        1 => ("v = NULL".into(), each(table, keys, |row| row[v] = Value::Null)),
        2 => (
            format!("v = v + {number}"),
            each(table, keys, |row| row[v] = arithmetic(&row[v], |value| value + number)),
        ),
        3 => (format!("s = {text}"), each(table, keys, |row| row[s] = text.clone())),
        4 => (
            "s = s || 'x', v = v - 1".into(),
            each(table, keys, |row| {
                if let Value::Text(text) = &mut row[s] {
                    text.push('x');
                }
                row[v] = arithmetic(&row[v], |value| value - 1);
            }),
        ),
        // Both sides see the row as it was.
        5 => (
            "v = n, n = coalesce(v, 0)".into(),
            each(table, keys, |row| {
                let before = row[v].clone();
                row[v] = row[n].clone();
                row[n] = if before == Value::Null { Value::Int(0) } else { before };
            }),
        ),
        6 => (
            "v = CASE WHEN n > 5 THEN 1 ELSE v END".into(),
            each(table, keys, |row| {
                if row[n] > Value::Int(5) {
                    row[v] = Value::Int(1);
                }
            }),
        ),
        7 => {
            let divides_by_zero = keys.iter().any(|key| table.live[key][v] == Value::Int(0));
            let changed =
                each(table, keys, |row| row[v] = arithmetic(&row[v], |value| 100 / value.max(1)));
            let changed = if divides_by_zero { None } else { changed };
            // The map divides as SQL does only where no value is below one.
            let is_simple = keys.iter().all(|key| {
                table.live[key][v] == Value::Null || table.live[key][v] >= Value::Int(0)
            });
            if is_simple {
                ("v = 100 / v".into(), changed)
            } else {
                ("v = v".into(), each(table, keys, |_| {}))
            }
        }
        8 if !keys.is_empty() => ("n = NULL".into(), None),
        _ => (
            "v = v + 2147483640".into(),
            each(table, keys, |row| row[v] = arithmetic(&row[v], |value| value + 2_147_483_640)),
        ),
    }
}

/// Keys cannot be updated, whatever the rows.
fn update_key(rng: &mut StdRng, name: &str, table: &mut Table) -> Step {
    let shape = table.shape;
    let Some(first) = shape.key.first() else { return update(rng, name, table) };
    let value = literal(rng, shape.column(*first));
    let column = shape.column(*first).name;
    Step::update(format!("UPDATE {name} SET {column} = {value}"), Expected::Refused)
}

fn delete(rng: &mut StdRng, name: &str, table: &mut Table) -> Step {
    let predicate = Predicate::random(rng, table.shape);
    let keys = predicate.keys(table);
    let condition = predicate.sql(name, table.shape);
    let is_always = matches!(predicate, Predicate::Always);
    let count = keys.len() as i64;
    table.delete(keys);
    let sql = match is_always {
        true => format!("DELETE FROM {name}"),
        false => format!("DELETE FROM {name} WHERE {condition}"),
    };
    Step::update(sql, Expected::Count(count))
}

fn inserted(table: &mut Table, rows: &[Row]) -> Expected {
    match table.insert(rows) {
        Ok(()) => Expected::Count(rows.len() as i64),
        Err(_) => Expected::Refused,
    }
}

/// A few rows whose keys are mostly free.
fn random_rows(rng: &mut StdRng, table: &Table) -> Vec<Row> {
    let shape = table.shape;
    let columns: Vec<&Column> = shape.columns().collect();
    let key = |row: &Row| shape.key.iter().map(|at| row[*at].clone()).collect::<Row>();
    let mut rows: Vec<Row> = Vec::new();
    for _ in 0..rng.random_range(1..=ROWS_MAX) {
        let mut row: Row = Vec::new();
        for _ in 0..DRAWS {
            row = (0..columns.len()).map(|position| shape.value(rng, position)).collect();
            let taken = table.live.contains_key(&key(&row))
                || rows.iter().any(|other| key(other) == key(&row));
            if !shape.has_key() || !taken {
                break;
            }
        }
        rows.push(row);
    }
    rows
}

/// The rows under `keys` after `change`, or `None` when a value leaves the range of `v`.
fn each(table: &Table, keys: &[Row], change: impl Fn(&mut Row)) -> Option<Vec<(Row, Row)>> {
    let v = table.shape.payload(0);
    keys.iter()
        .map(|key| {
            let mut row = table.live[key].clone();
            change(&mut row);
            let fits = match &row[v] {
                Value::Int(value) => i32::try_from(*value).is_ok(),
                _ => true,
            };
            fits.then(|| (key.clone(), row))
        })
        .collect()
}

fn arithmetic(value: &Value, operation: impl Fn(i64) -> i64) -> Value {
    match value {
        Value::Int(number) => Value::Int(operation(*number)),
        other => other.clone(),
    }
}
