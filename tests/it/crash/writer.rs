//! A writer: one random statement after another, each with the effects it must have, until the
//! connection is lost.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray};
use rand::RngExt;
use rand::rngs::StdRng;
use tonic::{Code, Status};

use super::ledger::{Content, Effects, Key, Ledger};
use crate::client::Client;
use crate::random::one_of;

/// Ids a writer uses; few, so that deleted rows come back.
const IDS: i64 = 300;
/// Rows of one INSERT ... VALUES.
const INSERT_ROWS_MAX: i64 = 64;
/// Ids one UPDATE or DELETE spans.
const SPAN_MAX: i64 = 50;
/// Rows of one ingested group.
const INGEST_ROWS: std::ops::Range<i64> = 100..600;
/// Groups a writer keeps before it deletes one.
const GROUPS_MAX: usize = 12;
/// Bytes of a usual and of a rare body.
const BODY_BYTES: usize = 200;
/// A statement of [`INSERT_ROWS_MAX`] of these stays below the bound on SQL texts, 1 MiB.
const LARGE_BODY_BYTES: usize = 16_000;

/// One of the writers.
pub struct Writer {
    number: u64,
    client: Client,
    ledger: Ledger,
    rng: StdRng,
    killed: Arc<AtomicBool>,
}

/// How a statement is sent.
enum Request {
    Sql(String),
    Append(RecordBatch),
}

/// In one of this many statements a writer counts up what all count up.
const COUNT_ONE_IN: u32 = 6;
const COUNT_UP: &str = "UPDATE crash.counter SET n = n + 1 WHERE id = 1";

impl Writer {
    /// A writer that goes on from `ledger`; `killed` is set before the server is killed.
    pub fn new(
        number: u64,
        client: Client,
        ledger: Ledger,
        rng: StdRng,
        killed: Arc<AtomicBool>,
    ) -> Self {
        Self { number, client, ledger, rng, killed }
    }

    /// Writes until the server is gone.
    pub async fn run(mut self) -> Ledger {
        loop {
            let is_lost = match self.rng.random_ratio(1, COUNT_ONE_IN) {
                true => self.count_up().await,
                false => self.change_own_rows().await,
            };
            if is_lost {
                return self.ledger;
            }
        }
    }

    /// Runs a statement on rows that only this writer touches; true when the connection is lost.
    async fn change_own_rows(&mut self) -> bool {
        let (request, effects) = self.next();
        match self.send(&request).await {
            Ok(count) => {
                let expected = effects.len() as i64;
                assert_eq!(count, expected, "rows affected by {}", describe(&request));
                self.ledger.acknowledge(effects);
                false
            }
            Err(error) => {
                let killed = self.killed.load(Ordering::SeqCst);
                assert!(killed, "the server lives and answers {error} to {}", describe(&request));
                self.ledger.leave_unanswered(describe(&request), effects);
                true
            }
        }
    }

    /// Runs a statement on the row that all writers touch; true when the connection is lost. When
    /// others were faster too often, the server may give up: then nothing was counted.
    async fn count_up(&mut self) -> bool {
        match self.client.update(COUNT_UP).await {
            Ok(count) => {
                assert_eq!(count, 1, "rows affected by {COUNT_UP}");
                self.ledger.count();
                false
            }
            Err(error) if error.code() == Code::Aborted => false,
            Err(error) => {
                let killed = self.killed.load(Ordering::SeqCst);
                assert!(killed, "the server lives and answers {error} to {COUNT_UP}");
                self.ledger.leave_uncounted();
                true
            }
        }
    }

    async fn send(&self, request: &Request) -> Result<i64, Status> {
        match request {
            Request::Sql(sql) => self.client.update(sql).await,
            Request::Append(batch) => {
                self.client.append("crash", "groups", vec![batch.clone()]).await
            }
        }
    }

    fn next(&mut self) -> (Request, Effects) {
        let keyed = *one_of(&mut self.rng, &["crash.rows", "crash.loose", "crash.own"]);
        match self.rng.random_range(0..100) {
            0..30 => self.insert(keyed, 1),
            30..45 => {
                let rows = self.rng.random_range(2..=INSERT_ROWS_MAX);
                self.insert(keyed, rows)
            }
            45..55 => self.insert_group(),
            55..60 => self.ingest_group(),
            60..85 => self.update(keyed),
            85..95 => self.delete(keyed),
            _ => self.delete_group(),
        }
    }

    /// INSERT of up to `rows` ids that are free; deleted ids among them come back.
    fn insert(&mut self, table: &'static str, rows: i64) -> (Request, Effects) {
        let mut ids: BTreeSet<i64> = BTreeSet::new();
        for _ in 0..rows {
            let id = self.rng.random_range(0..IDS);
            if !self.ledger.rows().contains_key(&Key { table, id, position: 0 }) {
                ids.insert(id);
            }
        }
        if ids.is_empty() {
            return self.delete(table);
        }
        let effects: Effects = ids
            .into_iter()
            .map(|id| {
                (Key { table, id, position: 0 }, Some(Content { version: 0, body: self.body() }))
            })
            .collect();
        let writer = self.number;
        let leading = if table == "crash.own" { String::new() } else { format!("{writer}, ") };
        let tuples = effects.iter().map(|(key, content)| {
            let body = content.as_ref().map_or("", |content| &content.body);
            format!("({leading}{}, 0, '{body}')", key.id)
        });
        let sql = format!("INSERT INTO {table} VALUES {}", join(tuples));
        (Request::Sql(sql), effects)
    }

    /// INSERT of a new group of rows into the table without a key.
    fn insert_group(&mut self) -> (Request, Effects) {
        let rows = self.rng.random_range(2..=INSERT_ROWS_MAX);
        let effects = self.new_group(rows);
        let writer = self.number;
        let tuples = effects.iter().map(|(key, content)| {
            let body = content.as_ref().map_or("", |content| &content.body);
            format!("({writer}, {}, {}, '{body}')", key.id, key.position)
        });
        let sql = format!("INSERT INTO crash.groups VALUES {}", join(tuples));
        (Request::Sql(sql), effects)
    }

    /// The same by bulk ingest.
    fn ingest_group(&mut self) -> (Request, Effects) {
        if self.groups().len() >= GROUPS_MAX {
            return self.delete_group();
        }
        let rows = self.rng.random_range(INGEST_ROWS);
        let effects = self.new_group(rows);
        let writer = i32::try_from(self.number).unwrap();
        let bodies = effects.iter().map(|(_, content)| content.as_ref().map(|c| c.body.as_str()));
        let columns: [(&str, ArrayRef); 4] = [
            ("writer", Arc::new(Int32Array::from(vec![writer; effects.len()]))),
            ("grp", Arc::new(Int64Array::from_iter_values(effects.iter().map(|(key, _)| key.id)))),
            (
                "position",
                Arc::new(Int64Array::from_iter_values(effects.iter().map(|(key, _)| key.position))),
            ),
            ("body", Arc::new(StringArray::from_iter(bodies))),
        ];
        (Request::Append(RecordBatch::try_from_iter(columns).unwrap()), effects)
    }

    /// UPDATE of a range of ids, which counts their versions up.
    fn update(&mut self, table: &'static str) -> (Request, Effects) {
        let (first, last, rows) = self.range(table);
        let body = self.body();
        let sql = format!(
            "UPDATE {table} SET version = version + 1, body = '{body}' WHERE {}",
            self.within(table, first, last)
        );
        let effects = rows
            .into_iter()
            .map(|key| {
                let version = self.ledger.rows()[&key].version + 1;
                (key, Some(Content { version, body: body.clone() }))
            })
            .collect();
        (Request::Sql(sql), effects)
    }

    /// DELETE of a range of ids.
    fn delete(&mut self, table: &'static str) -> (Request, Effects) {
        let (first, last, rows) = self.range(table);
        let sql = format!("DELETE FROM {table} WHERE {}", self.within(table, first, last));
        (Request::Sql(sql), rows.into_iter().map(|key| (key, None)).collect())
    }

    /// DELETE of a whole group.
    fn delete_group(&mut self) -> (Request, Effects) {
        let groups: Vec<i64> = self.groups().into_iter().collect();
        if groups.is_empty() {
            return self.insert_group();
        }
        let group = *one_of(&mut self.rng, &groups);
        let writer = self.number;
        let sql = format!("DELETE FROM crash.groups WHERE writer = {writer} AND grp = {group}");
        let keys = self.ledger.rows().keys().filter(|k| k.table == "crash.groups" && k.id == group);
        (Request::Sql(sql), keys.map(|key| (*key, None)).collect())
    }

    fn within(&self, table: &str, first: i64, last: i64) -> String {
        let range = format!("id BETWEEN {first} AND {last}");
        match table {
            "crash.own" => range,
            _ => format!("writer = {} AND {range}", self.number),
        }
    }

    fn range(&mut self, table: &'static str) -> (i64, i64, Vec<Key>) {
        let first = self.rng.random_range(0..IDS);
        let last = first + self.rng.random_range(0..SPAN_MAX);
        let bounds = Key { table, id: first, position: 0 }..=Key { table, id: last, position: 0 };
        let keys = self.ledger.rows().range(bounds).map(|(key, _)| *key).collect();
        (first, last, keys)
    }

    fn groups(&self) -> BTreeSet<i64> {
        let keys = self.ledger.rows().keys();
        keys.filter(|key| key.table == "crash.groups").map(|key| key.id).collect()
    }

    fn new_group(&mut self, rows: i64) -> Effects {
        let id = self.groups().last().map_or(0, |last| last + 1);
        let body = self.body();
        (0..rows)
            .map(|position| {
                let content = Content { version: 0, body: body.clone() };
                (Key { table: "crash.groups", id, position }, Some(content))
            })
            .collect()
    }

    fn body(&mut self) -> String {
        let large = self.rng.random_ratio(1, 100);
        let bytes = self.rng.random_range(0..if large { LARGE_BODY_BYTES } else { BODY_BYTES });
        let letter = char::from(self.rng.random_range(b'a'..=b'z'));
        std::iter::repeat_n(letter, bytes).collect()
    }
}

fn join(tuples: impl Iterator<Item = String>) -> String {
    tuples.collect::<Vec<_>>().join(", ")
}

fn describe(request: &Request) -> String {
    match request {
        Request::Sql(sql) => sql.chars().take(200).collect(),
        Request::Append(batch) => format!("an ingest of {} rows", batch.num_rows()),
    }
}
