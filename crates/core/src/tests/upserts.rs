//! ON CONFLICT and RETURNING with bound values, prepared and run.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int32Array, Int64Array, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::DataType;

use super::{Fixture, bound};
use crate::StatementKind;

const COUNTERS: &str = "CREATE TABLE default.counters (id INT PRIMARY KEY, n INT, name TEXT)";

fn ints(values: &[i32]) -> ArrayRef {
    Arc::new(Int32Array::from(values.to_vec()))
}

impl Fixture {
    async fn execute_bound(&self, sql: &str, columns: Vec<ArrayRef>) -> u64 {
        let prepared = self.engine.prepare(&self.session, sql).await.unwrap();
        let rows = bound(columns);
        self.engine.execute(&self.session, &prepared, Some(&rows)).await.unwrap()
    }
}

#[tokio::test]
async fn bound_rows_of_an_upsert_are_one_commit() {
    let fixture = Fixture::new();
    fixture.run(COUNTERS).await.unwrap();
    fixture.run("INSERT INTO default.counters VALUES (1, 10, 'a'), (2, 20, 'b')").await.unwrap();
    let upsert = "INSERT INTO default.counters (id, n) VALUES (?, ?) \
                  ON CONFLICT (id) DO UPDATE SET n = counters.n + excluded.n";
    let columns = vec![ints(&[3, 1, 4]), ints(&[3, 1, 4])];
    assert_eq!(fixture.execute_bound(upsert, columns).await, 3);
    let commits = "SELECT count(DISTINCT _commit_seq) FROM default.counters WHERE id <> 2";
    assert_eq!(fixture.number(commits).await, 1);
    assert_eq!(fixture.number("SELECT sum(n) FROM default.counters").await, 38);
    let nothing = "INSERT INTO default.counters (id, n) VALUES (?, ?) ON CONFLICT DO NOTHING";
    let columns = vec![ints(&[5, 1, 5, 6]), ints(&[50, 0, 51, 60])];
    assert_eq!(fixture.execute_bound(nothing, columns).await, 2);
    assert_eq!(fixture.number("SELECT sum(n) FROM default.counters WHERE id >= 5").await, 110);
    let commits = "SELECT count(DISTINCT _commit_seq) FROM default.counters WHERE id >= 5";
    assert_eq!(fixture.number(commits).await, 1);
}

#[tokio::test]
async fn bound_rows_with_one_key_end_as_if_run_one_after_the_other() {
    let fixture = Fixture::new();
    fixture.run(COUNTERS).await.unwrap();
    let upsert = "INSERT INTO default.counters (id, n) VALUES (?, ?) \
                  ON CONFLICT DO UPDATE SET n = counters.n * 10 + excluded.n";
    let columns = vec![ints(&[1, 2, 1, 1, 2]), ints(&[1, 2, 3, 4, 5])];
    assert_eq!(fixture.execute_bound(upsert, columns).await, 5);
    assert_eq!(fixture.number("SELECT sum(n) FROM default.counters WHERE id = 1").await, 134);
    assert_eq!(fixture.number("SELECT sum(n) FROM default.counters WHERE id = 2").await, 25);
    // Each reads what those before it have left.
    let counting = "INSERT INTO default.counters (id) VALUES (?) \
                    ON CONFLICT DO UPDATE SET n = (SELECT count(*) FROM default.counters)";
    assert_eq!(fixture.execute_bound(counting, vec![ints(&[3, 1])]).await, 2);
    assert_eq!(fixture.number("SELECT sum(n) FROM default.counters WHERE id = 1").await, 3);
}

#[tokio::test]
async fn parameters_may_stand_in_every_part_of_an_upsert() {
    let fixture = Fixture::new();
    fixture.run(COUNTERS).await.unwrap();
    fixture.run("INSERT INTO default.counters VALUES (1, 10, 'a')").await.unwrap();
    let sql = "INSERT INTO default.counters (id, n) VALUES ($1, $2) ON CONFLICT DO UPDATE \
               SET name = $3, n = counters.n + $4 WHERE counters.n < $5 RETURNING id + $6 AS r, name";
    let prepared = fixture.engine.prepare(&fixture.session, sql).await.unwrap();
    assert_eq!(prepared.kind(), StatementKind::Returning);
    let types: Vec<&DataType> =
        prepared.parameters().fields().iter().map(|field| field.data_type()).collect();
    use DataType::{Int32, Utf8};
    assert_eq!(types, [&Int32, &Int32, &Utf8, &Int32, &Int32, &Int32]);
    let text: ArrayRef = Arc::new(StringArray::from(vec!["x", "y", "z"]));
    let values = bound(vec![
        ints(&[1, 1, 2]),
        ints(&[0, 0, 7]),
        text,
        ints(&[5, 5, 5]),
        ints(&[15, 15, 15]),
        ints(&[100, 100, 100]),
    ]);
    let returned =
        fixture.engine.execute_returning(&fixture.session, &prepared, Some(&values)).await.unwrap();
    assert_eq!(returned.schema, *prepared.schema());
    let rows = concat_batches(&returned.schema, &returned.batches).unwrap();
    // The second run finds 15, which is not below 15; the third inserts.
    assert_eq!(rows.num_rows(), 2);
    assert_eq!(rows.column_by_name("r").unwrap().as_ref(), &Int32Array::from(vec![101, 102]));
    assert_eq!(
        rows.column_by_name("name").unwrap().as_ref(),
        &StringArray::from(vec![Some("x"), None])
    );
    assert_eq!(fixture.number("SELECT sum(n) FROM default.counters").await, 22);
    // A value the declared type does not hold is compared as it was bound.
    let more = "UPDATE default.counters SET n = 0 WHERE n < ? RETURNING id";
    let half: ArrayRef = Arc::new(Float64Array::from(vec![7.5]));
    let prepared = fixture.engine.prepare(&fixture.session, more).await.unwrap();
    let returned = fixture
        .engine
        .execute_returning(&fixture.session, &prepared, Some(&bound(vec![half])))
        .await
        .unwrap();
    assert_eq!(returned.num_rows(), 1);
}

#[tokio::test]
async fn rows_given_back_are_those_written_and_preparing_writes_none() {
    let fixture = Fixture::new();
    fixture.run(COUNTERS).await.unwrap();
    let sql = "INSERT INTO default.counters (id, n) VALUES (?, ?) RETURNING n, id";
    let prepared = fixture.engine.prepare(&fixture.session, sql).await.unwrap();
    assert_eq!(fixture.number("SELECT count(*) FROM default.counters").await, 0);
    let query = fixture.engine.query(&fixture.session, &prepared, None, None).await;
    assert!(query.is_err(), "it must not run as often as its rows are asked for");
    let wide: ArrayRef = Arc::new(Int64Array::from(vec![9, 8]));
    let rows = bound(vec![wide, ints(&[90, 80])]);
    let returned =
        fixture.engine.execute_returning(&fixture.session, &prepared, Some(&rows)).await.unwrap();
    let batch = concat_batches(&returned.schema, &returned.batches).unwrap();
    assert_eq!(batch.column(0).as_ref(), &Int32Array::from(vec![90, 80]));
    assert_eq!(batch.column(1).as_ref(), &Int32Array::from(vec![9, 8]));
    assert_eq!((returned.num_rows(), returned.byte_len() > 0), (2, true));
    // As a part of a script it counts.
    let script = "UPDATE default.counters SET n = 0 RETURNING id; DELETE FROM default.counters \
                  WHERE id = 8 RETURNING *; SELECT 1";
    assert_eq!(fixture.run(script).await.unwrap(), 3);
}

#[tokio::test]
async fn too_much_to_give_back_is_refused_before_it_is_written() {
    let fixture = Fixture::new();
    fixture.run(COUNTERS).await.unwrap();
    let sql = "INSERT INTO default.counters (id) SELECT value FROM generate_series(1, 100) AS \
               s(value) RETURNING repeat('x', 1000000)";
    let error = fixture.run(sql).await.unwrap_err();
    assert_eq!(error.kind(), kalamdb_commons::ErrorKind::ResourceExhausted, "{error}");
    assert_eq!(fixture.number("SELECT count(*) FROM default.counters").await, 0);
}

#[tokio::test]
async fn a_row_met_twice_has_a_sqlstate_of_its_own() {
    let fixture = Fixture::new();
    fixture.run(COUNTERS).await.unwrap();
    let twice = "INSERT INTO default.counters (id) VALUES (1), (1) ON CONFLICT DO UPDATE SET n = 1";
    assert_eq!(fixture.run(twice).await.unwrap_err().sqlstate(), "21000");
    let taken = "INSERT INTO default.counters (id) VALUES (1), (1)";
    assert_eq!(fixture.run(taken).await.unwrap_err().sqlstate(), "23505");
}
