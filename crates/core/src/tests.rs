//! The engine as a whole, on a real data directory.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Array, ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::DataType;
use futures::{StreamExt, TryStreamExt};
use kalamdb_commons::ErrorKind;
use tempfile::TempDir;

use crate::{
    BatchStream, Engine, EngineError, EngineSettings, IngestIfExists, IngestIfMissing,
    IngestRequest, Session, StatementKind,
};

mod alter_table;
mod bounds;
mod definitions;
mod upserts;

struct Fixture {
    engine: Arc<Engine>,
    session: Arc<Session>,
    _dir: TempDir,
}

impl Fixture {
    fn new() -> Self {
        Self::with(|_| ())
    }

    /// With settings changed by `change`.
    fn with(change: impl FnOnce(&mut EngineSettings)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = EngineSettings::new(dir.path());
        settings.root_password = Some("root password".into());
        change(&mut settings);
        let engine = Engine::open(settings).unwrap();
        let session = engine.session(engine.principal("root").unwrap());
        Self { engine, session, _dir: dir }
    }

    async fn run(&self, sql: &str) -> Result<u64, EngineError> {
        self.engine.execute_script(&self.session, sql).await
    }

    async fn rows(&self, sql: &str) -> Result<RecordBatch, EngineError> {
        self.rows_bound(sql, None).await
    }

    async fn rows_bound(
        &self,
        sql: &str,
        bound: Option<&RecordBatch>,
    ) -> Result<RecordBatch, EngineError> {
        let prepared = self.engine.prepare(&self.session, sql).await?;
        let result = self.engine.query(&self.session, &prepared, bound, None).await?;
        let batches: Vec<RecordBatch> = result.batches.try_collect().await?;
        assert!(batches.iter().all(|batch| batch.schema() == result.schema));
        Ok(concat_batches(&result.schema, &batches).unwrap())
    }

    async fn number(&self, sql: &str) -> i64 {
        let batch = self.rows(sql).await.unwrap();
        batch.column(0).as_any().downcast_ref::<Int64Array>().unwrap().value(0)
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.engine.close();
    }
}

fn bound(columns: Vec<ArrayRef>) -> RecordBatch {
    let names = (0..).map(|position: usize| position.to_string());
    RecordBatch::try_from_iter(names.zip(columns)).unwrap()
}

#[tokio::test]
async fn preparing_executes_nothing() {
    let db = Fixture::new();
    let create = "CREATE TABLE t (id INT PRIMARY KEY, name TEXT)";
    db.engine.prepare(&db.session, create).await.unwrap();
    let missing = db.rows("SELECT * FROM t").await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    db.run(create).await.unwrap();
    let insert = "INSERT INTO t VALUES (1, 'a')";
    let prepared = db.engine.prepare(&db.session, insert).await.unwrap();
    assert_eq!(prepared.kind(), StatementKind::Update);
    assert!(prepared.schema().fields().is_empty());
    assert_eq!(db.number("SELECT count(*) FROM t").await, 0);
}

#[tokio::test]
async fn parameters_are_typed_from_where_they_stand() {
    let db = Fixture::new();
    db.run("CREATE TABLE t (id INT PRIMARY KEY, name TEXT, price DECIMAL(10, 2))").await.unwrap();
    let cases = [
        ("SELECT * FROM t WHERE id = ?", vec![DataType::Int32]),
        ("SELECT * FROM t WHERE name LIKE $1 LIMIT $2", vec![DataType::Utf8, DataType::Int64]),
        ("INSERT INTO t (id, name) VALUES (?, ?)", vec![DataType::Int32, DataType::Utf8]),
        (
            "UPDATE t SET price = $2 WHERE id = $1",
            vec![DataType::Int32, DataType::Decimal128(10, 2)],
        ),
        ("SELECT $1", vec![DataType::Utf8]),
    ];
    for (sql, expected) in cases {
        let prepared = db.engine.prepare(&db.session, sql).await.unwrap();
        let types: Vec<DataType> =
            prepared.parameters().fields().iter().map(|field| field.data_type().clone()).collect();
        assert_eq!(types, expected, "{sql}");
        assert!(prepared.parameters().fields().iter().all(|field| field.is_nullable()));
    }
}

#[tokio::test]
async fn parameters_carry_the_extension_of_the_column_they_meet() {
    let db = Fixture::new();
    db.run("CREATE TABLE t (id UUID PRIMARY KEY, doc JSON, name TEXT)").await.unwrap();
    let (uuid, json) = (Some("arrow.uuid"), Some("arrow.json"));
    let cases: [(&str, &[Option<&str>]); 8] = [
        ("INSERT INTO t VALUES (?, ?, ?)", &[uuid, json, None]),
        ("INSERT INTO t VALUES (?, ?, ?), (?, '{}', ?)", &[uuid, json, None, uuid, None]),
        ("INSERT INTO t (doc, id) SELECT ?, ?", &[json, uuid]),
        ("UPDATE t SET doc = ?, name = ?", &[json, None]),
        ("SELECT * FROM t WHERE doc = ? OR name = ?", &[json, None]),
        ("DELETE FROM t WHERE $1 IS NULL OR doc = $1", &[json]),
        // What stands for a JSON and a plain text is a plain text.
        ("INSERT INTO t VALUES ($1, $2, $2)", &[uuid, None]),
        // Compared with a UUID it is text, which every driver can bind.
        ("SELECT * FROM t WHERE id = ? OR id IN (?, ?)", &[None, None, None]),
    ];
    for (sql, expected) in cases {
        let prepared = db.engine.prepare(&db.session, sql).await.unwrap();
        let fields = prepared.parameters().fields();
        let extensions: Vec<_> = fields.iter().map(|field| field.extension_type_name()).collect();
        assert_eq!(extensions, expected, "{sql}");
        for field in fields {
            let uuid = field.extension_type_name() == Some("arrow.uuid");
            let storage = if uuid { DataType::FixedSizeBinary(16) } else { DataType::Utf8 };
            assert_eq!(field.data_type(), &storage, "{sql}");
        }
    }
}

#[tokio::test]
async fn one_parameter_may_stand_in_several_places_of_one_type() {
    let db = Fixture::new();
    db.run(
        "CREATE TABLE t (id INT PRIMARY KEY, name TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b')",
    )
    .await
    .unwrap();
    let sql = "SELECT id FROM t WHERE $1 IS NULL OR id = $1";
    for (value, expected) in [(Some(2), 1), (None, 2), (Some(3), 0)] {
        let value = bound(vec![Arc::new(Int32Array::from(vec![value]))]);
        assert_eq!(db.rows_bound(sql, Some(&value)).await.unwrap().num_rows(), expected);
    }
    let sql = "SELECT id FROM t WHERE id = $1 OR name = $1";
    let error = db.engine.prepare(&db.session, sql).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("parameter $1 is"), "{error}");
}

#[tokio::test]
async fn every_bound_row_is_an_execution() {
    let db = Fixture::new();
    db.run("CREATE TABLE t (id INT PRIMARY KEY, name TEXT)").await.unwrap();
    let insert = db.engine.prepare(&db.session, "INSERT INTO t VALUES (?, upper(?))").await;
    let insert = insert.unwrap();
    let rows = bound(vec![
        Arc::new(Int64Array::from(vec![1, 2, 3])),
        Arc::new(StringArray::from(vec![Some("a"), None, Some("c")])),
    ]);
    assert_eq!(db.engine.execute(&db.session, &insert, Some(&rows)).await.unwrap(), 3);
    let names = db.rows("SELECT name FROM t ORDER BY id").await.unwrap();
    let names = names.column(0).as_any().downcast_ref::<StringArray>().unwrap().clone();
    assert_eq!(names, StringArray::from(vec![Some("A"), None, Some("C")]));

    let ids = bound(vec![Arc::new(Int32Array::from(vec![3, 1]))]);
    let found = db.rows_bound("SELECT name FROM t WHERE id = ?", Some(&ids)).await.unwrap();
    let found = found.column(0).as_any().downcast_ref::<StringArray>().unwrap().clone();
    assert_eq!(found, StringArray::from(vec!["C", "A"]));

    let delete = db.engine.prepare(&db.session, "DELETE FROM t WHERE id = ?").await.unwrap();
    let ids = bound(vec![Arc::new(Int32Array::from(vec![3, 1, 99]))]);
    assert_eq!(db.engine.execute(&db.session, &delete, Some(&ids)).await.unwrap(), 2);
}

#[tokio::test]
async fn rows_bound_to_one_insert_are_written_together_or_not_at_all() {
    let db = Fixture::new();
    db.run("CREATE TABLE t (id INT PRIMARY KEY)").await.unwrap();
    let insert = db.engine.prepare(&db.session, "INSERT INTO t VALUES (?)").await.unwrap();
    let twice = bound(vec![Arc::new(Int64Array::from(vec![1, 2, 1]))]);
    let error = db.engine.execute(&db.session, &insert, Some(&twice)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConstraintViolation, "{error}");
    assert_eq!(db.number("SELECT count(*) FROM t").await, 0);
}

#[tokio::test]
async fn a_statement_prepared_before_its_table_changed_says_so() {
    let db = Fixture::new();
    db.run("CREATE TABLE t (id INT PRIMARY KEY)").await.unwrap();
    let same = db.engine.prepare(&db.session, "SELECT id FROM t").await.unwrap();
    db.run("DROP TABLE t; CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (7)")
        .await
        .unwrap();
    let result = db.engine.query(&db.session, &same, None, None).await.unwrap();
    let batches: Vec<RecordBatch> = result.batches.try_collect().await.unwrap();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 1);

    db.run("DROP TABLE t; CREATE TABLE t (id TEXT PRIMARY KEY)").await.unwrap();
    let mut result = db.engine.query(&db.session, &same, None, None).await.unwrap();
    let error = result.batches.next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FailedPrecondition);
}

#[tokio::test]
async fn concurrent_updates_of_one_row_all_count() {
    let db = Fixture::new();
    db.run("CREATE TABLE t (id INT PRIMARY KEY, n BIGINT); INSERT INTO t VALUES (1, 0)")
        .await
        .unwrap();
    let update = "UPDATE t SET n = n + 1 WHERE id = 1";
    let update = db.engine.prepare(&db.session, update).await.unwrap();
    let writers = (0..4).map(|_| {
        let (engine, session, update) =
            (Arc::clone(&db.engine), Arc::clone(&db.session), Arc::clone(&update));
        tokio::spawn(async move {
            let mut done = 0;
            for _ in 0..25 {
                match engine.execute(&session, &update, None).await {
                    Ok(1) => done += 1,
                    Ok(other) => panic!("{other} rows"),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error}"),
                }
            }
            done
        })
    });
    let mut done = 0;
    for writer in futures::future::join_all(writers).await {
        done += writer.unwrap();
    }
    assert_eq!(db.number("SELECT n FROM t").await, done);
}

fn ingest(table: &str, batch: &RecordBatch, if_exists: IngestIfExists) -> IngestRequest {
    IngestRequest {
        namespace: None,
        table: table.into(),
        schema: batch.schema(),
        if_missing: IngestIfMissing::Create,
        if_exists,
    }
}

fn stream(items: Vec<Result<RecordBatch, EngineError>>) -> BatchStream {
    futures::stream::iter(items).boxed()
}

#[tokio::test]
async fn an_ingest_is_all_or_nothing() {
    let db = Fixture::new();
    let batch = bound(vec![Arc::new(Int64Array::from(vec![1, 2, 3]))]);
    let broken = || EngineError::new(ErrorKind::InvalidInput, "the client went away");

    // A table that an ingest creates appears with its rows, or not at all.
    let request = ingest("t", &batch, IngestIfExists::Fail);
    let items = vec![Ok(batch.clone()), Err(broken())];
    db.engine.ingest(&db.session, request.clone(), stream(items)).await.unwrap_err();
    let missing = db.rows("SELECT * FROM t").await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    let items = vec![Ok(batch.clone()), Ok(batch.clone())];
    assert_eq!(db.engine.ingest(&db.session, request, stream(items)).await.unwrap(), 6);

    // A table that an ingest replaces keeps its rows until the new ones are there.
    let request = ingest("t", &batch, IngestIfExists::Replace);
    let items = vec![Ok(batch.clone()), Err(broken())];
    db.engine.ingest(&db.session, request.clone(), stream(items)).await.unwrap_err();
    assert_eq!(db.number("SELECT count(*) FROM t").await, 6);
    db.engine.ingest(&db.session, request, stream(vec![Ok(batch.clone())])).await.unwrap();
    assert_eq!(db.number("SELECT count(*) FROM t").await, 3);

    let request = ingest("t", &batch, IngestIfExists::Fail);
    let error = db.engine.ingest(&db.session, request, stream(vec![Ok(batch)])).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::AlreadyExists);
}

#[tokio::test]
async fn a_query_stops_when_its_time_is_up() {
    let db = Fixture::new();
    db.run("SET statement_timeout = '50ms'").await.unwrap();
    let slow = "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b";
    let error = db.rows(slow).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DeadlineExceeded, "{error}");
    assert_eq!(db.number("SELECT 1").await, 1);
}

#[tokio::test]
async fn commits_and_catalog_are_there_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = EngineSettings::new(dir.path());
    settings.root_password = Some("root password".into());
    for round in 0..3_i64 {
        let engine = Engine::open(settings.clone()).unwrap();
        let root = engine.sign_in("root", "root password").await.unwrap();
        assert!(engine.sign_in("root", "another").await.is_err());
        let session = engine.session(root);
        let script = if round == 0 { "CREATE TABLE t (id BIGINT PRIMARY KEY);" } else { "" };
        let script = format!("{script} INSERT INTO t VALUES ({round})");
        engine.execute_script(&session, &script).await.unwrap();
        let prepared = engine.prepare(&session, "SELECT count(*) FROM t").await.unwrap();
        let result = engine.query(&session, &prepared, None, None).await.unwrap();
        let batches: Vec<RecordBatch> = result.batches.try_collect().await.unwrap();
        let count = batches[0].column(0).as_any().downcast_ref::<Int64Array>().unwrap().value(0);
        assert_eq!(count, round + 1);
        engine.close();
    }
}

#[tokio::test]
async fn arithmetic_beyond_its_type_is_an_error_and_stores_nothing() {
    let db = Fixture::new();
    db.run("CREATE TABLE t (n BIGINT); INSERT INTO t VALUES (9223372036854775807)").await.unwrap();
    for sql in ["UPDATE t SET n = n + 1", "UPDATE t SET n = n * n", "UPDATE t SET n = -2 - n"] {
        let error = db.run(sql).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{sql}: {error}");
    }
    assert_eq!(db.rows("SELECT n + 1 FROM t").await.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(db.number("SELECT n FROM t").await, i64::MAX);
}

#[tokio::test]
async fn a_pinned_result_stays_what_it_was() {
    let db = Fixture::new();
    db.run("CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1), (2), (3)")
        .await
        .unwrap();
    let pinned = db.engine.pin().unwrap();
    let prepared = db.engine.prepare(&db.session, "SELECT id FROM t").await.unwrap();
    db.run("DELETE FROM t WHERE id < 3; INSERT INTO t VALUES (9)").await.unwrap();
    for _ in 0..2 {
        let result = db.engine.query(&db.session, &prepared, None, Some(&pinned)).await.unwrap();
        let batches: Vec<RecordBatch> = result.batches.try_collect().await.unwrap();
        assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 3);
    }
    assert_eq!(db.number("SELECT count(*) FROM t").await, 2);
}

/// One column of text.
fn texts(batch: &RecordBatch, column: &str) -> Vec<String> {
    let column = batch.column_by_name(column).unwrap();
    let column = column.as_any().downcast_ref::<StringArray>().unwrap();
    column.iter().map(|text| text.unwrap_or("NULL").to_owned()).collect()
}

#[tokio::test]
async fn listings_of_system_tables_say_what_the_metadata_says() {
    let db = Fixture::new();
    let metadata = db.engine.metadata(db.session.principal());
    for namespace in ["system", "information_schema"] {
        let tables = metadata.tables_in(namespace);
        assert!(!tables.is_empty());
        let names: Vec<&str> = tables.iter().map(|table| &*table.name).collect();
        let listed = db.rows(&format!("SHOW TABLES IN {namespace}")).await.unwrap();
        assert_eq!(texts(&listed, "table_name"), names);
        for table in &tables {
            let name = format!("{namespace}.{}", table.name);
            let described = db.rows(&format!("DESCRIBE {name}")).await.unwrap();
            let read = db.rows(&format!("SELECT * FROM {name}")).await.unwrap();
            let columns: Vec<&str> =
                read.schema_ref().fields().iter().map(|field| field.name().as_str()).collect();
            assert_eq!(texts(&described, "column_name"), columns, "{name}");
            assert_eq!(texts(&described, "data_type"), table.type_names, "{name}");
            // Each has the name of a column type, not of an Arrow one.
            let sql = format!(
                "SELECT data_type FROM information_schema.columns WHERE table_schema = \
                 '{namespace}' AND table_name = '{}' ORDER BY ordinal_position",
                table.name
            );
            assert_eq!(texts(&db.rows(&sql).await.unwrap(), "data_type"), table.type_names);
            let known = ["BIGINT", "TEXT", "TIMESTAMPTZ", "INT", "BOOLEAN", "DOUBLE"];
            assert!(table.type_names.iter().all(|name| known.contains(&&**name)), "{table:?}");
        }
    }
    let error = db.rows("DESCRIBE system.user").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("did you mean 'users'?"), "{error}");
    let error = db.rows("SHOW CREATE TABLE system.users").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
}

#[tokio::test]
async fn what_a_dropped_user_had_goes_and_nobody_gets_it() {
    let db = Fixture::new();
    let create = |name| format!("CREATE USER {name} WITH PASSWORD 'a long password' ROLE user");
    db.run("CREATE USER TABLE notes (id INT PRIMARY KEY, body TEXT)").await.unwrap();
    for name in ["ann", "bob"] {
        db.run(&create(name)).await.unwrap();
    }
    let session = |name: &str| db.engine.session(db.engine.principal(name).unwrap());
    let (old, other) = (session("ann"), session("bob"));
    for session in [&old, &other] {
        let script = "INSERT INTO notes VALUES (1, 'kept'), (2, 'gone'); \
                      DELETE FROM notes WHERE id = 2";
        db.engine.execute_script(session, script).await.unwrap();
    }
    let id = db.engine.catalog.snapshot().table("default", "notes").unwrap().definition.id;
    let insert = db.engine.prepare(&old, "INSERT INTO notes VALUES (3, 'late')").await.unwrap();
    let read = db.engine.prepare(&old, "SELECT * FROM notes").await.unwrap();
    db.run("DROP USER ann").await.unwrap();
    // A session that outlives its user gets no further.
    let error = db.engine.execute(&old, &insert, None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{error}");
    let mut rows = db.engine.query(&old, &read, None, None).await.unwrap().batches;
    let error = rows.next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{error}");

    db.run(&create("ann")).await.unwrap();
    let new = session("ann");
    assert_ne!(new.principal().user_id, old.principal().user_id);
    for sql in ["SELECT * FROM notes", "SELECT * FROM notes WHERE _deleted"] {
        let prepared = db.engine.prepare(&new, sql).await.unwrap();
        let rows = db.engine.query(&new, &prepared, None, None).await.unwrap().batches;
        assert_eq!(rows.try_collect::<Vec<_>>().await.unwrap().len(), 0, "{sql}");
    }
    let counts = |owner: Option<&Arc<Session>>| {
        let owner = owner.map(|session| &session.principal().user_id);
        db.engine.store.view().unwrap().table_counts(id, owner).unwrap()
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    while counts(Some(&old)).bytes > 0 {
        assert!(Instant::now() < deadline, "the dropped user's rows are still there");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(counts(None), counts(Some(&other)));
    assert_eq!((counts(None).live_rows, counts(None).tombstones), (1, 1));
}

#[tokio::test]
async fn several_columns_of_a_result_may_have_one_name() {
    let db = Fixture::new();
    db.run("CREATE TABLE t (id INT PRIMARY KEY, v INT)").await.unwrap();
    db.run("INSERT INTO t VALUES (1, 10)").await.unwrap();
    let cases: [(&str, &[&str]); 4] = [
        ("SELECT 1, 1", &["1", "1"]),
        ("SELECT id AS x, v AS x, v FROM t AS t", &["x", "x", "v"]),
        ("SELECT *, v AS id FROM t", &["id", "v", "id"]),
        ("SELECT max(v), max(v) FROM t AS t", &["max(v)", "max(v)"]),
    ];
    for (sql, names) in cases {
        let batch = db.rows(sql).await.unwrap();
        let given: Vec<_> = batch.schema().fields().iter().map(|f| f.name().clone()).collect();
        assert_eq!(given, names, "{sql}");
        assert_eq!(batch.num_rows(), 1, "{sql}");
    }
}

#[tokio::test]
async fn checked_arithmetic_changes_no_name_and_no_type() {
    let db = Fixture::new();
    db.run("CREATE TABLE t (id INT PRIMARY KEY, v SMALLINT)").await.unwrap();
    db.run("INSERT INTO t VALUES (1, 10), (2, 20)").await.unwrap();
    let batch =
        db.rows("SELECT v + v, -v, sum(v * 2) FROM t AS t GROUP BY v ORDER BY v").await.unwrap();
    let schema = batch.schema();
    let types: Vec<_> = schema.fields().iter().map(|field| field.data_type().clone()).collect();
    assert_eq!(types, [DataType::Int16, DataType::Int16, DataType::Int64]);
    assert_eq!(schema.field(0).name(), "v + v");
    assert_eq!(batch.column(2).as_any().downcast_ref::<Int64Array>().unwrap().values(), &[20, 40]);
    let error = db.rows("SELECT id FROM t WHERE v * v * v * v > 0").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
}
