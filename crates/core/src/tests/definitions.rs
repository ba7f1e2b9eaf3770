//! Checks and lengths on every way to a table, renamed namespaces, figures.

use kalamdb_commons::Role;

use super::*;

async fn ingest(fixture: &Fixture, batch: RecordBatch) -> Result<u64, EngineError> {
    let request = IngestRequest {
        namespace: None,
        table: String::from("t"),
        schema: batch.schema(),
        if_missing: IngestIfMissing::Fail,
        if_exists: IngestIfExists::Append,
    };
    let batches: BatchStream = futures::stream::iter([Ok(batch)]).boxed();
    fixture.engine.ingest(&fixture.session, request, batches).await
}

fn batch(ids: Vec<i64>, texts: Vec<&str>) -> RecordBatch {
    let ids: ArrayRef = Arc::new(Int64Array::from(ids));
    let texts: ArrayRef = Arc::new(StringArray::from(texts));
    RecordBatch::try_from_iter([("id", ids), ("v", texts)]).unwrap()
}

#[tokio::test]
async fn no_way_to_a_table_leads_around_its_checks() {
    let fixture = Fixture::new();
    let table = "CREATE TABLE t (id INT PRIMARY KEY CHECK (id < 1000), v VARCHAR(3))";
    fixture.run(table).await.unwrap();
    assert_eq!(ingest(&fixture, batch(vec![1, 2], vec!["abc", "é"])).await.unwrap(), 2);
    let error = ingest(&fixture, batch(vec![3, 1000], vec!["a", "b"])).await.unwrap_err();
    assert_eq!((error.kind(), error.sqlstate()), (ErrorKind::ConstraintViolation, "23514"));
    for part in ["row 2", "t_id_check", "default.t", "id < 1000", "id = 1000"] {
        assert!(error.to_string().contains(part), "{part} is not in: {error}");
    }
    let error = ingest(&fixture, batch(vec![3, 4], vec!["a", "abcd"])).await.unwrap_err();
    assert_eq!((error.kind(), error.sqlstate()), (ErrorKind::InvalidInput, "22001"));
    for part in ["row 2", "column v (VARCHAR(3))", "4 characters"] {
        assert!(error.to_string().contains(part), "{part} is not in: {error}");
    }

    let insert = "INSERT INTO t VALUES (?, ?)";
    let prepared = fixture.engine.prepare(&fixture.session, insert).await.unwrap();
    let run = async |ids: Vec<i64>, texts: Vec<&str>| {
        let rows = batch(ids, texts);
        fixture.engine.execute(&fixture.session, &prepared, Some(&rows)).await
    };
    let error = run(vec![10, 11, 5000], vec!["a", "b", "c"]).await.unwrap_err();
    assert_eq!(error.sqlstate(), "23514", "{error}");
    assert!(error.to_string().contains("row 3"), "{error}");
    let error = run(vec![10, 11], vec!["long", "b"]).await.unwrap_err();
    assert_eq!(error.sqlstate(), "22001", "{error}");
    assert_eq!(run(vec![10, 11], vec!["a", "b"]).await.unwrap(), 2);
    let error = fixture.run("UPDATE t SET v = 'four' WHERE id = 10").await.unwrap_err();
    assert_eq!(error.sqlstate(), "22001", "{error}");
    assert_eq!(fixture.number("SELECT count(*) FROM t").await, 4);
}

#[tokio::test]
async fn a_new_table_of_an_old_name_has_its_own_checks() {
    let fixture = Fixture::new();
    fixture.run("CREATE TABLE t (id INT CHECK (id > 0)); INSERT INTO t VALUES (1)").await.unwrap();
    assert!(fixture.run("INSERT INTO t VALUES (-1)").await.is_err());
    fixture.run("DROP TABLE t; CREATE TABLE t (id INT CHECK (id < 0))").await.unwrap();
    fixture.run("INSERT INTO t VALUES (-1)").await.unwrap();
    assert!(fixture.run("INSERT INTO t VALUES (1)").await.is_err());
}

#[tokio::test]
async fn what_show_create_table_says_makes_the_same_table() {
    let fixture = Fixture::new();
    let table = "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(3) CHECK (v <> 'no' AND v LIKE '%'), \
                 CONSTRAINT \"a b\" CHECK (id BETWEEN 1 AND 5)) COMMENT 'it''s' \
                 WITH (FLUSH_POLICY = 'rows:5,bytes:9', COMPRESSION = 'snappy')";
    fixture.run(table).await.unwrap();
    let shown = async || {
        let rows = fixture.rows("SHOW CREATE TABLE t").await.unwrap();
        let texts = rows.column(1).as_any().downcast_ref::<StringArray>().unwrap().clone();
        texts.value(0).to_owned()
    };
    let text = shown().await;
    fixture.run("DROP TABLE t").await.unwrap();
    fixture.run(&text).await.unwrap();
    assert_eq!(shown().await, text);
    for (rows, sqlstate) in
        [("(1, 'no')", "23514"), ("(6, 'a')", "23514"), ("(1, 'abcd')", "22001")]
    {
        let error = fixture.run(&format!("INSERT INTO t VALUES {rows}")).await.unwrap_err();
        assert_eq!(error.sqlstate(), sqlstate, "{error}");
    }
    fixture.run("INSERT INTO t VALUES (1, 'yes')").await.unwrap();
}

#[tokio::test]
async fn a_statement_prepared_before_a_namespace_was_renamed_says_so() {
    let fixture = Fixture::new();
    fixture.run("CREATE NAMESPACE n; CREATE TABLE n.t (id BIGINT)").await.unwrap();
    let engine = &fixture.engine;
    let insert = engine.prepare(&fixture.session, "INSERT INTO n.t VALUES (1)").await.unwrap();
    let select = engine.prepare(&fixture.session, "SELECT * FROM n.t").await.unwrap();
    assert_eq!(engine.execute(&fixture.session, &insert, None).await.unwrap(), 1);
    fixture.run("ALTER NAMESPACE n RENAME TO m").await.unwrap();
    let error = engine.execute(&fixture.session, &insert, None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("prepare the statement again"), "{error}");
    let read = engine.query(&fixture.session, &select, None, None).await;
    let error = match read {
        Err(error) => error,
        Ok(result) => result.batches.try_collect::<Vec<_>>().await.unwrap_err(),
    };
    assert!(error.to_string().contains("prepare the statement again"), "{error}");
    assert_eq!(fixture.number("SELECT count(*) FROM m.t").await, 1);
}

#[tokio::test]
async fn figures_are_those_of_the_rows() {
    let fixture = Fixture::new();
    fixture.run("CREATE TABLE t (id INT PRIMARY KEY); CREATE USER TABLE u (id INT)").await.unwrap();
    let stats = async |session: &Arc<Session>, table: &str| {
        let sql = format!("SHOW STATS FOR TABLE {table}");
        let prepared = fixture.engine.prepare(session, &sql).await.unwrap();
        let result = fixture.engine.query(session, &prepared, None, None).await.unwrap();
        let batches: Vec<RecordBatch> = result.batches.try_collect().await.unwrap();
        concat_batches(&result.schema, &batches).unwrap()
    };
    let number = |row: &RecordBatch, column: &str| {
        let column = row.column_by_name(column).unwrap();
        column.as_any().downcast_ref::<arrow::array::UInt64Array>().unwrap().value(0)
    };
    let before = stats(&fixture.session, "t").await;
    assert!(before.column_by_name("last_written_at").unwrap().is_null(0));
    fixture.run("INSERT INTO t VALUES (1), (2), (3); DELETE FROM t WHERE id = 2").await.unwrap();
    let after = stats(&fixture.session, "t").await;
    let rows = ["live_rows", "deleted_rows_kept", "hot_rows"].map(|name| number(&after, name));
    assert_eq!(rows, [2, 1, 3]);
    assert!(number(&after, "hot_bytes_uncompressed") > 0);
    assert!(number(&after, "as_of_commit") > number(&before, "as_of_commit"));
    assert!(!after.column_by_name("last_written_at").unwrap().is_null(0));

    // Of a USER table a user sees the own rows, an administrator all.
    fixture.run("CREATE USER ann PASSWORD 'a long password' ROLE user").await.unwrap();
    let ann = fixture.engine.session(fixture.engine.principal("ann").unwrap());
    assert_eq!(ann.principal().role, Role::User);
    fixture.run("INSERT INTO u VALUES (1), (2)").await.unwrap();
    fixture.engine.execute_script(&ann, "INSERT INTO u VALUES (7)").await.unwrap();
    assert_eq!(number(&stats(&ann, "u").await, "live_rows"), 1);
    assert_eq!(number(&stats(&fixture.session, "u").await, "live_rows"), 3);
    // Of a stream the rows it shows, though those pushed out may still be stored.
    let stream = "CREATE STREAM TABLE s (id INT) WITH (TTL_SECONDS = 3600, MAX_ROWS = 2)";
    fixture.run(stream).await.unwrap();
    fixture.run("INSERT INTO s VALUES (1), (2), (3), (4), (5)").await.unwrap();
    assert_eq!(number(&stats(&fixture.session, "s").await, "live_rows"), 2);
    // What is not to be read is not there.
    let hidden = fixture.engine.prepare(&ann, "SHOW STATS FOR TABLE t").await.unwrap();
    let refused = fixture.engine.query(&ann, &hidden, None, None).await;
    assert_eq!(refused.err().unwrap().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn functions_are_listed_with_what_is_known_of_them() {
    let fixture = Fixture::new();
    let all = fixture.rows("SHOW FUNCTIONS").await.unwrap();
    assert!(all.num_rows() > 100);
    let abs = fixture.rows("SHOW FUNCTIONS LIKE 'abs'").await.unwrap();
    let text = |column: usize| {
        let column = abs.column(column).as_any().downcast_ref::<StringArray>().unwrap();
        column.value(0).to_owned()
    };
    assert_eq!((abs.num_rows(), text(0), text(1)), (1, "abs".into(), "scalar".into()));
    assert!(text(2).starts_with("abs(") && text(3).contains("absolute value"));
    let sum = fixture.rows("SHOW FUNCTIONS LIKE 'sum'").await.unwrap();
    assert_eq!(sum.num_rows(), 1);
}
