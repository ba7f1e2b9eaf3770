//! What one writer knows: the rows of its acknowledged statements, and the effects of the one
//! statement it has no answer for.

use std::collections::BTreeMap;

use crate::client::Client;
use crate::rows::{Row, Value};

/// The tables of the test: a composite key; the same, acknowledged before it is synced (a killed
/// process loses nothing of it, only a lost machine may); no key; one partition per writer; and
/// one row that all writers count up.
pub const TABLES: [&str; 5] = [
    "CREATE TABLE crash.rows (writer INT, id BIGINT, version BIGINT NOT NULL, body TEXT, \
     PRIMARY KEY (writer, id))",
    "CREATE TABLE crash.loose (writer INT, id BIGINT, version BIGINT NOT NULL, body TEXT, \
     PRIMARY KEY (writer, id)) WITH (DURABILITY = 'interval:50ms')",
    "CREATE TABLE crash.groups (writer INT NOT NULL, grp BIGINT NOT NULL, \
     position BIGINT NOT NULL, body TEXT)",
    "CREATE USER TABLE crash.own (id BIGINT PRIMARY KEY, version BIGINT NOT NULL, body TEXT)",
    "CREATE TABLE crash.counter (id INT PRIMARY KEY, n BIGINT NOT NULL)",
];
/// Differences shown when stored rows are not those expected.
const DIFFERENCES_SHOWN: usize = 6;

/// Where a row stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The table's name.
    pub table: &'static str,
    /// The id, or the group of a row in `crash.groups`.
    pub id: i64,
    /// The position within the group; 0 in the other tables.
    pub position: i64,
}

/// What a row holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Counts updates; 0 where the table has no such column.
    pub version: i64,
    /// Some text.
    pub body: String,
}

/// What a statement does to the writer's own rows: their new content, or `None` where it deletes
/// them.
pub type Effects = Vec<(Key, Option<Content>)>;

/// One writer's knowledge.
#[derive(Debug, Default)]
pub struct Ledger {
    rows: BTreeMap<Key, Content>,
    unanswered: Option<(String, Effects)>,
    acknowledged: u64,
    /// Acknowledged increments of the common counter, and those without an answer.
    counted: Counted,
}

/// How often a writer has counted up.
#[derive(Debug, Default, Clone, Copy)]
pub struct Counted {
    /// Acknowledged.
    pub surely: i64,
    /// Without an answer.
    pub perhaps: i64,
}

impl Ledger {
    /// Rows of acknowledged statements.
    pub fn rows(&self) -> &BTreeMap<Key, Content> {
        &self.rows
    }

    /// Rows of acknowledged statements in one table.
    pub fn len(&self, table: &str) -> usize {
        self.rows.keys().filter(|key| key.table == table).count()
    }

    /// Statements acknowledged since the last call.
    pub fn take_acknowledged(&mut self) -> u64 {
        std::mem::take(&mut self.acknowledged)
    }

    /// Notes an acknowledged statement.
    pub fn acknowledge(&mut self, effects: Effects) {
        apply(&mut self.rows, effects);
        self.acknowledged += 1;
    }

    /// Increments since the last call.
    pub fn take_counted(&mut self) -> Counted {
        std::mem::take(&mut self.counted)
    }

    /// Notes an acknowledged increment.
    pub fn count(&mut self) {
        self.counted.surely += 1;
        self.acknowledged += 1;
    }

    /// Notes an increment as the last statement before the connection was lost.
    pub fn leave_uncounted(&mut self) {
        self.counted.perhaps += 1;
    }

    /// Notes the last statement before the connection was lost.
    pub fn leave_unanswered(&mut self, statement: String, effects: Effects) {
        self.unanswered = Some((statement, effects));
    }

    /// Compares with what is stored, and takes the stored rows as acknowledged from now on.
    /// Answers whether the unanswered statement, if there was one, took place.
    pub fn settle(&mut self, stored: BTreeMap<Key, Content>) -> Result<Option<bool>, String> {
        let unanswered = self.unanswered.take();
        if stored == self.rows {
            return Ok(unanswered.map(|_| false));
        }
        let lost_or_partial = differences(&self.rows, &stored);
        let Some((statement, effects)) = unanswered else {
            return Err(format!("no statement was unanswered, and yet {lost_or_partial}"));
        };
        apply(&mut self.rows, effects);
        if stored == self.rows {
            return Ok(Some(true));
        }
        Err(format!(
            "unanswered was: {statement}\n  without it {lost_or_partial}\n  with it {}",
            differences(&self.rows, &stored)
        ))
    }
}

/// Reads everything the writer has stored.
pub async fn read(client: &Client, number: u64) -> BTreeMap<Key, Content> {
    let keyed = |table| format!("SELECT id, 0, version, body FROM {table} WHERE writer = {number}");
    let groups = format!("SELECT grp, position, 0, body FROM crash.groups WHERE writer = {number}");
    let queries = [
        ("crash.rows", keyed("crash.rows")),
        ("crash.loose", keyed("crash.loose")),
        ("crash.groups", groups),
        ("crash.own", "SELECT id, 0, version, body FROM crash.own".to_owned()),
    ];
    let mut stored = BTreeMap::new();
    for (table, query) in queries {
        for row in client.rows(&query).await.expect("the tables are readable after a crash") {
            let (key, content) = parse(table, &row);
            let twice = stored.insert(key, content);
            assert_eq!(twice, None, "stored twice: {key:?}");
        }
    }
    stored
}

fn parse(table: &'static str, row: &Row) -> (Key, Content) {
    match row.as_slice() {
        [Value::Int(id), Value::Int(position), Value::Int(version), Value::Text(body)] => (
            Key { table, id: *id, position: *position },
            Content { version: *version, body: body.clone() },
        ),
        other => panic!("{table} holds {other:?}, which nobody wrote"),
    }
}

fn apply(rows: &mut BTreeMap<Key, Content>, effects: Effects) {
    for (key, content) in effects {
        match content {
            Some(content) => rows.insert(key, content),
            None => rows.remove(&key),
        };
    }
}

fn differences(expected: &BTreeMap<Key, Content>, stored: &BTreeMap<Key, Content>) -> String {
    let short = |content: Option<&Content>| match content {
        Some(content) => format!("version {}, {} bytes", content.version, content.body.len()),
        None => "nothing".to_owned(),
    };
    let keys: std::collections::BTreeSet<&Key> = expected.keys().chain(stored.keys()).collect();
    let different: Vec<String> = keys
        .into_iter()
        .filter(|key| expected.get(key) != stored.get(key))
        .map(|key| {
            let (expected, stored) = (expected.get(key), stored.get(key));
            format!("{key:?}: expected {}, stored {}", short(expected), short(stored))
        })
        .collect();
    let shown = different.iter().take(DIFFERENCES_SHOWN).cloned().collect::<Vec<_>>();
    format!("{} rows differ: {}", different.len(), shown.join("; "))
}
