//! Queries over the hot tier give what DataFusion gives over the same rows in memory.

use std::fmt::Write;
use std::sync::Arc;

use datafusion::datasource::MemTable;
use datafusion::prelude::{SessionConfig, SessionContext};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::test_database::{Database, lines, root};

const ROWS: i64 = 3_000;
const RANDOM_QUERIES: usize = 400;
const KEYS: [&str; 5] = ["", "a", "ab", "b%c", "zebra"];

/// The table `m` in our store and in memory.
async fn both() -> (Database, SessionContext) {
    let database = Database::with_tables(&[
        "CREATE TABLE m (k1 INT, k2 TEXT, k3 TIMESTAMP, a BIGINT, f DOUBLE, b BOOLEAN, t TEXT, \
         PRIMARY KEY (k1, k2, k3))",
    ]);
    let mut rng = StdRng::seed_from_u64(7);
    let mut values = Vec::new();
    for row in 0..ROWS {
        let mut optional =
            |text: String| if rng.random_bool(0.1) { String::from("NULL") } else { text };
        let a = optional(format!("{}", row % 97 - 40));
        let f = optional(format!("{}.25", row % 31));
        let b = optional(format!("{}", row % 3 == 0));
        let t = optional(format!("'text {}'", row % 53));
        let key = KEYS[usize::try_from(row % 5).unwrap()];
        let time = format!("2024-01-{:02} 00:00:{:02}", row % 28 + 1, row % 60);
        values.push(format!("({}, '{key}', '{time}', {a}, {f}, {b}, {t})", row / 60 - 10));
    }
    for chunk in values.chunks(1_000) {
        let insert = format!("INSERT INTO m VALUES {}", chunk.join(", "));
        database.execute(&insert).await;
    }
    // Some rows have been updated, some deleted, so that the store has more than inserts.
    database.execute("UPDATE m SET t = 'changed', a = a + 1 WHERE k1 % 7 = 1").await;
    database.execute("DELETE FROM m WHERE k1 % 11 = 5").await;
    let batches = database.run_as(&root(), "SELECT * FROM m").await.unwrap();
    let schema = batches[0].schema();
    let memory = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(2));
    let table = MemTable::try_new(schema, vec![batches]).unwrap();
    memory.register_table("m", Arc::new(table)).unwrap();
    (database, memory)
}

async fn compare(database: &Database, memory: &SessionContext, sql: &str, ordered: bool) {
    let batches = memory.sql(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let mut expected = lines(&batches.collect().await.unwrap());
    let mut found = database.rows(sql).await;
    if !ordered {
        expected.sort();
        found.sort();
    }
    assert_eq!(found, expected, "{sql}\n{}", database.explain(sql).await);
}

#[tokio::test]
async fn chosen_queries() {
    let (database, memory) = both().await;
    for sql in [
        "SELECT * FROM m WHERE k1 = 3",
        "SELECT * FROM m WHERE k1 = 3 AND k2 = 'ab'",
        "SELECT * FROM m WHERE k1 = 3 AND k2 = ''",
        "SELECT * FROM m WHERE k1 IN (-10, 0, 39) AND k2 IN ('a', 'zebra', 'none')",
        "SELECT k3 FROM m WHERE k1 = 5 AND k2 = 'a' AND k3 >= '2024-01-10T00:00:00'",
        "SELECT count(*) FROM m WHERE k1 < -5 OR k1 > 35",
        "SELECT count(*), sum(a), avg(f), min(t), max(k3) FROM m",
        "SELECT count(a), count(*) FROM m WHERE NOT (a > 0)",
        "SELECT k2, count(*), sum(a) FROM m WHERE b GROUP BY k2",
        "SELECT k1, max(f) FROM m WHERE a IS NULL GROUP BY k1",
        "SELECT DISTINCT k2 FROM m WHERE k2 LIKE 'a%'",
        "SELECT count(*) FROM m WHERE k2 LIKE 'b\\%%'",
        "SELECT x.k1, count(*) FROM m x JOIN m y ON x.k1 = y.k1 AND x.k2 = y.k2 GROUP BY x.k1",
        "SELECT count(*) FROM m x LEFT JOIN m y ON x.a = y.k1 AND y.k2 = 'a'",
        "SELECT count(*) FROM m WHERE a IN (SELECT k1 FROM m WHERE f > 20)",
        "SELECT count(*) FROM m WHERE k1 > (SELECT avg(k1) FROM m)",
        "SELECT k1 FROM m WHERE k1 BETWEEN 3 AND 4 AND f + 1 > 20",
        "SELECT count(*) FROM m WHERE k3 > '2024-01-20T00:00:00' AND k3 < '2024-01-22T00:00:00'",
        "SELECT 1 FROM m WHERE k1 = 9999",
        "SELECT count(*) FROM m WHERE k1 = 1 AND k1 = 2",
        "SELECT count(*) FROM m WHERE k1 = NULL",
        "SELECT count(*) FROM m WHERE k1 IN (1, NULL)",
        "SELECT count(*) FROM m WHERE k1 NOT IN (1, 2)",
        "SELECT count(*) FROM m WHERE b = true AND k1 = 7",
        "SELECT sum(rank) FROM (SELECT rank() OVER (PARTITION BY k1 ORDER BY k2) AS rank FROM m)",
    ] {
        compare(&database, &memory, sql, false).await;
    }
    for sql in [
        "SELECT k1, k2, k3 FROM m ORDER BY k1, k2, k3",
        "SELECT k1, k2, k3 FROM m ORDER BY k1 DESC, k2 DESC, k3 DESC LIMIT 70",
        "SELECT k2, k3, t FROM m WHERE k1 = 2 ORDER BY k2 DESC, k3 DESC LIMIT 7",
        "SELECT k3 FROM m WHERE k1 = 2 AND k2 = 'a' ORDER BY k3 LIMIT 3 OFFSET 2",
        "SELECT k1, k2, k3 FROM m WHERE a > 10 ORDER BY k1, k2, k3 LIMIT 20",
        "SELECT k1, k2, k3 FROM m WHERE k1 IN (1, 5) ORDER BY k1 DESC, k2 DESC, k3 DESC",
        "SELECT k1, k2, k3 FROM m ORDER BY k1, k2 DESC, k3 LIMIT 9",
        "SELECT f, k1, k2, k3 FROM m ORDER BY f DESC NULLS LAST, k1, k2, k3 LIMIT 15",
    ] {
        compare(&database, &memory, sql, true).await;
    }
}

fn comparison(rng: &mut StdRng) -> &'static str {
    ["=", "<", "<=", ">", ">=", "<>"][rng.random_range(0..6)]
}

fn condition(rng: &mut StdRng, depth: usize) -> String {
    if depth > 0 && rng.random_bool(0.6) {
        let left = condition(rng, depth - 1);
        let right = condition(rng, depth - 1);
        return match rng.random_range(0..5) {
            0 => format!("({left} OR {right})"),
            1 => format!("NOT ({left})"),
            _ => format!("({left} AND {right})"),
        };
    }
    let op = comparison(rng);
    let key = KEYS[rng.random_range(0..KEYS.len())];
    let (low, high): (i32, i32) = (rng.random_range(-12..42), rng.random_range(-12..42));
    match rng.random_range(0..14) {
        0 | 1 => format!("k1 {op} {low}"),
        2 => format!("k1 = {low}"),
        3 => format!("k1 IN ({low}, {high}, 3, 3, NULL)"),
        4 => format!("k1 BETWEEN {low} AND {high}"),
        5 => format!("k2 {op} '{key}'"),
        6 => format!("k2 IN ('{key}', 'a')"),
        7 => String::from("k2 LIKE 'a%'"),
        8 => format!("k3 {op} TIMESTAMP '2024-01-{:02} 00:00:30'", low.rem_euclid(28) + 1),
        9 => format!("a {op} {high}"),
        10 => format!("f {op} {low}.25"),
        11 => String::from("b"),
        12 => String::from("t IS NULL"),
        _ => format!("{low} {op} k1"),
    }
}

fn query(rng: &mut StdRng) -> (String, bool) {
    let columns = ["k1", "k2", "k3", "a", "f", "b", "t"];
    let mut sql = String::from("SELECT ");
    let ordered = rng.random_bool(0.5);
    if ordered {
        sql.push_str("k1, k2, k3");
    } else {
        match rng.random_range(0..4) {
            0 => sql.push_str("count(*), sum(a)"),
            1 => sql.push('*'),
            _ => {
                let start = rng.random_range(0..columns.len());
                let end = rng.random_range(start..columns.len());
                sql.push_str(&columns[start..=end].join(", "));
            }
        }
    }
    let depth = rng.random_range(0..4);
    write!(sql, " FROM m WHERE {}", condition(rng, depth)).unwrap();
    if ordered {
        let direction = if rng.random_bool(0.5) { "ASC" } else { "DESC" };
        write!(sql, " ORDER BY k1 {direction}, k2 {direction}, k3 {direction}").unwrap();
        if rng.random_bool(0.7) {
            write!(sql, " LIMIT {} OFFSET {}", rng.random_range(0..40), rng.random_range(0..5))
                .unwrap();
        }
    }
    (sql, ordered)
}

#[tokio::test]
async fn random_queries() {
    let (database, memory) = both().await;
    let mut rng = StdRng::seed_from_u64(42);
    for _ in 0..RANDOM_QUERIES {
        let (sql, ordered) = query(&mut rng);
        compare(&database, &memory, &sql, ordered).await;
    }
}
