//! ON CONFLICT and RETURNING beside other writers, with many rows, and as EXPLAIN shows them.

use datafusion::physical_plan::collect;

use crate::test_database::{Database, lines, root};
use crate::{affects_a_row_twice, conflict_of};

async fn counters() -> Database {
    let database =
        Database::with_tables(&["CREATE TABLE counters (id INT PRIMARY KEY, n INT NOT NULL)"]);
    assert_eq!(database.execute("INSERT INTO counters VALUES (1, 10), (2, 20)").await, 2);
    database
}

const ALL: &str = "SELECT * FROM counters ORDER BY id";

#[tokio::test]
async fn what_another_statement_wrote_meanwhile_is_a_conflict() {
    let upsert = "INSERT INTO counters VALUES (1, 1), (3, 1) \
                  ON CONFLICT DO UPDATE SET n = counters.n + excluded.n";
    let skip = "INSERT INTO counters VALUES (1, 1), (3, 1) ON CONFLICT DO NOTHING";
    let cases = [
        (upsert, "UPDATE counters SET n = 0 WHERE id = 1", true),
        (upsert, "INSERT INTO counters VALUES (3, 0)", true),
        (upsert, "DELETE FROM counters WHERE id = 1", true),
        (upsert, "UPDATE counters SET n = 0 WHERE id = 2", false),
        (skip, "INSERT INTO counters VALUES (3, 0)", true),
        // What is left out is not written: it may have changed.
        (skip, "UPDATE counters SET n = 0 WHERE id = 1", false),
    ];
    for (sql, other, conflicts) in cases {
        let database = counters().await;
        let context = database.context(&root());
        let plan = database.plan(&root(), sql).unwrap();
        let (plan, state) = database.physical(&context, plan).await.unwrap();
        database.execute(other).await;
        let outcome = collect(plan, state.task_ctx()).await;
        match outcome {
            Err(error) => {
                assert!(conflicts && conflict_of(&error).is_some(), "{sql} {other}: {error}");
                // On a fresh view it goes through.
                database.execute(sql).await;
            }
            Ok(_) => assert!(!conflicts, "{sql} did not see {other}"),
        }
    }
}

#[tokio::test]
async fn many_rows_come_back_in_the_order_of_the_statement() {
    let database = Database::with_tables(&["CREATE TABLE many (id BIGINT PRIMARY KEY, n BIGINT)"]);
    let insert = "INSERT INTO many SELECT value, 0 FROM generate_series(1, 30000) AS s(value) \
                  WHERE value % 2 = 0 ORDER BY value DESC RETURNING id";
    let expected: Vec<String> = (1..=15_000).rev().map(|id| (id * 2).to_string()).collect();
    assert!(database.rows(insert).await == expected, "another order");
    let upsert = "INSERT INTO many SELECT value, 1 FROM generate_series(1, 30000) AS s(value) \
                  ORDER BY value DESC ON CONFLICT DO UPDATE SET n = many.n + 2 WHERE many.id % 4 = 0 \
                  RETURNING id, n";
    let expected: Vec<String> = (1..=30_000)
        .rev()
        .filter(|id| id % 2 == 1 || id % 4 == 0)
        .map(|id| format!("{id}|{}", if id % 2 == 1 { 1 } else { 2 }))
        .collect();
    assert!(database.rows(upsert).await == expected, "another order");
    let sums = database.rows("SELECT count(*), sum(n) FROM many").await;
    assert_eq!(sums, ["30000|30000"]);
}

#[tokio::test]
async fn one_row_is_affected_once() {
    let database = counters().await;
    let twice = "INSERT INTO counters VALUES (5, 1), (4, 1), (5, 2) \
                 ON CONFLICT DO UPDATE SET n = excluded.n";
    let error = database.error(twice).await;
    assert!(affects_a_row_twice(&error), "{error}");
    let message = error.to_string();
    assert!(message.contains("rows 1 and 3") && message.contains("id = 5"), "{message}");
    assert_eq!(database.rows(ALL).await, ["1|10", "2|20"]);
}

#[tokio::test]
async fn explain_says_what_a_statement_does() {
    let database = counters().await;
    let cases = [
        (
            "INSERT INTO counters VALUES (1, 1) ON CONFLICT DO UPDATE SET n = counters.n + 1",
            "WriteExec: insert into default.counters on conflict do update\n",
        ),
        (
            "INSERT INTO counters VALUES (1, 1) ON CONFLICT DO NOTHING RETURNING id",
            "WriteExec: insert into default.counters on conflict do nothing returning\n",
        ),
        (
            "UPDATE counters SET n = 1 RETURNING id",
            "WriteExec: update default.counters returning\n",
        ),
        ("DELETE FROM counters RETURNING *", "WriteExec: delete from default.counters returning\n"),
    ];
    for (sql, first) in cases {
        let plan = database.explain(sql).await;
        assert!(plan.starts_with(first), "{sql}: {plan}");
    }
    assert_eq!(database.rows(ALL).await, ["1|10", "2|20"]);
}

#[tokio::test]
async fn a_failing_returning_writes_nothing() {
    let database = counters().await;
    let statements = [
        "INSERT INTO counters VALUES (3, 0) RETURNING 1 / n",
        "UPDATE counters SET n = n - 10 RETURNING 1 / n",
        "DELETE FROM counters RETURNING 1 / (n - 20)",
        "INSERT INTO counters VALUES (1, 0) ON CONFLICT DO UPDATE SET n = 0 RETURNING 1 / n",
    ];
    for sql in statements {
        let plan = database.plan(&root(), sql).unwrap();
        let context = database.context(&root());
        let (plan, state) = database.physical(&context, plan).await.unwrap();
        let outcome = collect(plan, state.task_ctx()).await;
        assert!(outcome.is_err(), "{sql} gave {:?}", lines(&outcome.unwrap()));
        assert_eq!(database.rows(ALL).await, ["1|10", "2|20"], "{sql}");
    }
}

#[tokio::test]
async fn a_column_may_be_called_as_the_place() {
    let database = Database::with_tables(&[
        "CREATE TABLE odd (\"place in the statement\" INT PRIMARY KEY, excluded INT)",
    ]);
    let upsert = "INSERT INTO odd VALUES (7, 1) ON CONFLICT DO UPDATE \
                  SET excluded = excluded.excluded + odd.excluded RETURNING *";
    assert_eq!(database.rows(upsert).await, ["7|1"]);
    assert_eq!(database.rows(upsert).await, ["7|2"]);
}
