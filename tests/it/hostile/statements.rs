//! SQL that is not ours to run, reaches for files, or says what cannot be; and what
//! [`extremes`] makes.

use crate::rows::{Value, single};
use crate::server::Server;

use super::extremes;
use super::request::Request;
use super::{
    Case, EXISTS, INVALID, INVALID_OR_EXHAUSTED, INVALID_OR_NOT_FOUND, INVALID_OR_UNSUPPORTED,
    NO_SUCH_FUNCTION, NOT_FOUND, OK, OK_OR_INVALID, PROTECTED, UNSUPPORTED,
};
use tonic::Code;

/// Where COPY would write if it could.
const OUTSIDE: &str = "/tmp/kalamdb-must-not-write-this";

pub async fn set_up(server: &Server) {
    let root = server.root().await;
    root.update("CREATE TABLE default.victim (id BIGINT PRIMARY KEY, v INT NOT NULL)")
        .await
        .unwrap();
    root.update("INSERT INTO default.victim VALUES (1, 10), (2, 20)").await.unwrap();
}

/// None of the statements has touched what it must not touch.
pub async fn check_nothing_changed(server: &Server) {
    let root = server.root().await;
    let sum = root.rows("SELECT sum(id * v) FROM default.victim").await.unwrap();
    assert_eq!(single(&sum), Value::Int(50));
    let users = root.rows("SELECT count(*) FROM system.users").await.unwrap();
    assert_eq!(single(&users), Value::Int(1), "root is the only user");
    assert!(!std::path::Path::new(OUTSIDE).exists(), "{OUTSIDE} was written");
}

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, sql, expected) in extremes::all() {
        cases.push(Case::new(name, Request::Query(sql.clone()), expected));
        if expected == INVALID {
            cases.push(Case::new(
                format!("prepare: {name}"),
                Request::Prepare(sql.clone()),
                INVALID,
            ));
            cases.push(Case::new(format!("update: {name}"), Request::Update(sql), INVALID));
        }
    }
    for (sql, expected) in NO_STATEMENT {
        cases.push(Case::new(format!("query {sql:?}"), Request::Query((*sql).into()), expected));
        cases.push(Case::new(format!("update {sql:?}"), Request::Update((*sql).into()), expected));
        cases.push(Case::new(
            format!("prepare {sql:?}"),
            Request::Prepare((*sql).into()),
            expected,
        ));
    }
    for (sql, expected) in FILES.iter().chain(NOT_OFFERED) {
        let sql = sql.replace("OUTSIDE", OUTSIDE);
        cases.push(Case::new(format!("query {sql}"), Request::Query(sql.clone()), expected));
        cases.push(Case::new(format!("update {sql}"), Request::Update(sql.clone()), expected));
        cases.push(Case::new(format!("prepare {sql}"), Request::Prepare(sql), expected));
    }
    for (sql, expected) in QUERIES {
        cases.push(Case::new(*sql, Request::Query((*sql).into()), expected));
    }
    for (sql, expected) in PROTECTED_OBJECTS.iter().chain(DEFINITIONS).chain(CHANGES) {
        cases.push(Case::new(*sql, Request::Update((*sql).into()), expected));
    }
    cases
}

type Table = &'static [(&'static str, &'static [Code])];

/// Texts without a statement, or with something that is none.
const NO_STATEMENT: Table = &[
    ("", INVALID),
    ("  \t\n", INVALID),
    (";", INVALID),
    (" ; ;; ", INVALID),
    ("-- nothing", INVALID),
    ("/* nothing */", INVALID),
    ("/* open", INVALID),
    ("SELEC 1", INVALID),
    ("SELECT", OK_OR_INVALID),
    ("SELECT 'open", INVALID),
    ("SELECT \"open", INVALID),
    ("SELECT $tag$ open", INVALID),
    ("SELECT 1 \0", INVALID),
    ("\u{feff}SELECT 1", INVALID),
    ("SELECT \u{202e}1", INVALID),
    ("SELECT 1)", INVALID),
    ("🦀", INVALID),
];

/// Everything that would reach a file or a URL.
const FILES: Table = &[
    ("COPY (SELECT 1) TO 'OUTSIDE'", UNSUPPORTED),
    ("COPY default.victim TO 'OUTSIDE' STORED AS PARQUET", UNSUPPORTED),
    ("COPY default.victim FROM '/etc/passwd'", UNSUPPORTED),
    ("copy/**/default.victim TO PROGRAM 'touch OUTSIDE'", UNSUPPORTED),
    ("EXPLAIN COPY (SELECT 1) TO 'OUTSIDE'", INVALID_OR_UNSUPPORTED),
    ("EXPLAIN ANALYZE COPY (SELECT 1) TO 'OUTSIDE'", INVALID_OR_UNSUPPORTED),
    ("CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'", UNSUPPORTED),
    ("CREATE UNBOUNDED EXTERNAL TABLE x (a INT) STORED AS CSV LOCATION 'OUTSIDE'", UNSUPPORTED),
    ("UNLOAD (SELECT 1) TO 'OUTSIDE'", UNSUPPORTED),
    ("EXPORT DATABASE 'OUTSIDE'", UNSUPPORTED),
    ("IMPORT DATABASE '/etc'", UNSUPPORTED),
    ("LOAD '/lib/x.so'", UNSUPPORTED),
    ("LOAD DATA INPATH '/etc/passwd' INTO TABLE default.victim", UNSUPPORTED),
    ("INSTALL httpfs", UNSUPPORTED),
    ("ATTACH '/etc/passwd' AS x", UNSUPPORTED),
    ("ATTACH DATABASE 'OUTSIDE' AS x", UNSUPPORTED),
];

/// Statements of other systems.
const NOT_OFFERED: Table = &[
    ("BEGIN", UNSUPPORTED),
    ("START TRANSACTION", UNSUPPORTED),
    ("COMMIT", UNSUPPORTED),
    ("ROLLBACK", UNSUPPORTED),
    ("SAVEPOINT s", UNSUPPORTED),
    ("PREPARE p AS SELECT 1", UNSUPPORTED),
    ("EXECUTE p", UNSUPPORTED),
    ("DEALLOCATE ALL", UNSUPPORTED),
    ("DECLARE c CURSOR FOR SELECT 1", UNSUPPORTED),
    ("GRANT ALL ON default.victim TO root", UNSUPPORTED),
    ("VACUUM", UNSUPPORTED),
    ("PRAGMA database_list", UNSUPPORTED),
    ("CALL pg_sleep(1)", UNSUPPORTED),
    ("DO $$ BEGIN END $$", UNSUPPORTED),
    ("LISTEN x", UNSUPPORTED),
    ("LOCK TABLE default.victim", UNSUPPORTED),
    ("CREATE MATERIALIZED VIEW default.w AS SELECT 1", UNSUPPORTED),
    ("CREATE INDEX i ON default.victim (v)", UNSUPPORTED),
    ("CREATE FUNCTION f() RETURNS INT RETURN 1", UNSUPPORTED),
    ("CREATE TEMPORARY TABLE x (a INT)", UNSUPPORTED),
    ("CREATE OR REPLACE TABLE default.victim (a INT)", INVALID_OR_UNSUPPORTED),
    ("CREATE STREAM TABLE default.events (a INT)", INVALID_OR_UNSUPPORTED),
    ("SELECT * INTO x FROM default.victim", UNSUPPORTED),
    ("SELECT * FROM default.victim FOR UPDATE", UNSUPPORTED),
    ("WITH d AS (DELETE FROM default.victim RETURNING *) SELECT * FROM d", INVALID_OR_UNSUPPORTED),
    ("EXPLAIN EXPLAIN SELECT 1", INVALID_OR_UNSUPPORTED),
];

/// Queries with what cannot be, and some that merely look so.
const QUERIES: Table = &[
    ("SELECT 1; SELECT 2", INVALID),
    ("SELECT * FROM '/etc/passwd'", INVALID_OR_NOT_FOUND),
    ("SELECT * FROM \"/etc/passwd\"", NOT_FOUND),
    ("SELECT * FROM \"../../etc/passwd\"", NOT_FOUND),
    ("SELECT * FROM \"file:///etc/passwd\"", NOT_FOUND),
    ("SELECT * FROM \"s3://bucket/key.parquet\"", NOT_FOUND),
    ("SELECT * FROM \"http://169.254.169.254/latest/meta-data\"", NOT_FOUND),
    ("SELECT * FROM '../victim.csv'", INVALID_OR_NOT_FOUND),
    ("SELECT * FROM read_csv('/etc/passwd')", NO_SUCH_FUNCTION),
    ("SELECT * FROM read_parquet('s3://bucket/key')", NO_SUCH_FUNCTION),
    ("SELECT * FROM read_json('file:///etc/passwd')", NO_SUCH_FUNCTION),
    ("SELECT * FROM glob('/*')", NO_SUCH_FUNCTION),
    ("SELECT pg_read_file('/etc/passwd')", NO_SUCH_FUNCTION),
    ("SELECT load_extension('x.so')", NO_SUCH_FUNCTION),
    ("SELECT * FROM nowhere.nothing", NOT_FOUND),
    ("SELECT * FROM default.nothing", NOT_FOUND),
    ("SELECT * FROM elsewhere.default.victim", NOT_FOUND),
    ("SELECT * FROM a.b.c.d", INVALID),
    ("SELECT nothing FROM default.victim", INVALID_OR_NOT_FOUND),
    ("SELECT nothing()", NO_SUCH_FUNCTION),
    ("SELECT * FROM information_schema.df_settings", NOT_FOUND),
    ("SELECT id FROM default.victim GROUP BY v", INVALID),
    ("SELECT sum(sum(id)) FROM default.victim", INVALID),
    ("SELECT * FROM default.victim WHERE v", INVALID),
    ("SELECT 1 / 0", INVALID),
    ("SELECT id / (v - 10) FROM default.victim", INVALID),
    ("SELECT 9223372036854775807 + 1", INVALID),
    ("SELECT 9223372036854775807 + id FROM default.victim", INVALID),
    ("SELECT 1 FROM default.victim WHERE 9223372036854775807 + id > 0", INVALID),
    ("SELECT 1 FROM default.victim WHERE -9223372036854775807 - id < 0", INVALID),
    ("SELECT id FROM default.victim ORDER BY id * 9223372036854775807", INVALID),
    ("SELECT sum(id + 9223372036854775805) FROM default.victim", INVALID),
    ("SELECT max(9223372036854775807 + id) FROM default.victim", INVALID),
    ("SELECT count(*) FROM default.victim GROUP BY 9223372036854775807 + id", INVALID),
    (
        "SELECT 1 FROM default.victim a JOIN default.victim b ON a.id < b.id + 9223372036854775806",
        INVALID,
    ),
    ("SELECT CAST('x' AS INT)", INVALID),
    ("SELECT CAST(300 AS TINYINT)", INVALID),
    ("SELECT TIMESTAMP 'yesterday'", INVALID),
    ("SELECT INTERVAL '99999999999999999999 years'", INVALID),
    ("SELECT arrow_cast(1, 'Nonsense')", INVALID),
    ("SELECT regexp_like('a', '(')", INVALID),
    ("SELECT regexp_like('a', '((a{1000}){1000}){1000}')", INVALID_OR_EXHAUSTED),
    ("SELECT (SELECT id FROM default.victim)", INVALID),
    ("SELECT a.id FROM default.victim a LEFT SEMI JOIN default.victim b ON a.id = b.id", OK),
    ("SELECT * FROM default.victim a SEMI JOIN default.victim b ON a.id = b.id", UNSUPPORTED),
    ("SELECT id FROM default.victim WHERE row_number() OVER () = 1", INVALID),
    ("SELECT id FROM default.victim WHERE sum(v) > 1", INVALID),
    ("SELECT \"ID\" FROM default.victim", INVALID_OR_NOT_FOUND),
    ("SELECT id FROM default.victim ORDER BY nope", INVALID_OR_NOT_FOUND),
    ("SELECT sum('text')", INVALID),
    ("SELECT sum(name) FROM (SELECT 'text' AS name) AS texts", INVALID),
    ("SELECT id, sum(v) FROM default.victim", INVALID),
    ("SELECT $1", INVALID),
    ("SELECT ?", INVALID),
    ("SELECT * FROM default.victim LIMIT $1", INVALID),
    ("SELECT * FROM default.victim LIMIT -1", INVALID),
    ("SELECT $0", INVALID),
    ("SELECT $99999999999999999999", INVALID),
    ("SELECT $1000000", INVALID),
    ("SELECT ? + $1", INVALID),
    ("SELECT :name", INVALID),
    ("SELECT @variable", INVALID),
    ("SET datafusion.execution.batch_size = 1", INVALID_OR_NOT_FOUND),
    ("SET datafusion.catalog.location = '/etc'", INVALID_OR_NOT_FOUND),
    ("SET datafusion.runtime.temp_directory = '/tmp'", INVALID_OR_NOT_FOUND),
    ("SET statement_timeout = 'forever'", INVALID),
    ("SET statement_timeout = 99999999999999999999", INVALID),
    ("USE nowhere", NOT_FOUND),
    ("SHOW TABLES IN nowhere", NOT_FOUND),
    ("DESCRIBE default.nothing", NOT_FOUND),
    ("SHOW CREATE TABLE default.nothing", NOT_FOUND),
    ("SELECT repeat('x', 4000000000)", INVALID_OR_EXHAUSTED),
    ("SELECT lpad('x', 2147483647, 'y')", INVALID_OR_EXHAUSTED),
    ("SELECT repeat('x', 100000000)", INVALID_OR_EXHAUSTED),
    (
        "SELECT length(repeat(repeat('x', 30000), 30000))",
        &[Code::Ok, Code::InvalidArgument, Code::ResourceExhausted],
    ),
    ("SELECT array_repeat(1, 3000000000)", INVALID_OR_EXHAUSTED),
    ("SELECT array_repeat('x', 9223372036854775807)", INVALID_OR_EXHAUSTED),
    ("SELECT range(0, 3000000000)", INVALID_OR_EXHAUSTED),
    ("SELECT generate_series(0, 3000000000)", INVALID_OR_EXHAUSTED),
    ("SELECT array_resize([1], 3000000000, 1)", INVALID_OR_EXHAUSTED),
    ("SELECT generate_series(DATE '0001-01-01', DATE '9999-12-31', INTERVAL '0 days')", INVALID),
    ("SELECT to_timestamp(9223372036854775807)", OK_OR_INVALID),
    ("SELECT factorial(9223372036854775807)", INVALID),
    ("SELECT power(10, 400), log(-1), sqrt(-1)", OK_OR_INVALID),
    ("SELECT substr('日本', -5, 9223372036854775807)", OK_OR_INVALID),
    ("SELECT chr(1114112)", INVALID),
    ("SELECT '\u{0}' || 'NUL in text'", OK_OR_INVALID),
    ("SELECT 'ﷺ' || '\u{202e}' || '🦀'", OK),
    ("SELECT * FROM default.victim;", OK),
    ("SELECT 'Robert''); DROP TABLE victim;--'", OK),
];

/// What even root leaves alone.
const PROTECTED_OBJECTS: Table = &[
    ("INSERT INTO system.users VALUES ('x')", PROTECTED),
    ("DELETE FROM system.users", PROTECTED),
    ("DELETE FROM system.tables WHERE true", PROTECTED),
    ("UPDATE system.users SET role = 'system'", PROTECTED),
    ("DELETE FROM information_schema.tables", PROTECTED),
    ("DROP TABLE system.users", PROTECTED),
    ("CREATE TABLE system.mine (a INT)", PROTECTED),
    ("CREATE TABLE information_schema.mine (a INT)", PROTECTED),
    ("DROP NAMESPACE system CASCADE", PROTECTED),
    ("DROP NAMESPACE information_schema CASCADE", PROTECTED),
    (
        "CREATE NAMESPACE system",
        &[Code::AlreadyExists, Code::InvalidArgument, Code::PermissionDenied],
    ),
    ("DROP USER root", PROTECTED),
    ("ALTER USER root ROLE user", PROTECTED),
    ("CREATE USER root PASSWORD 'x'", &[Code::AlreadyExists, Code::InvalidArgument]),
];

/// Definitions that cannot be.
const DEFINITIONS: Table = &[
    ("CREATE NAMESPACE \"\"", INVALID),
    ("CREATE NAMESPACE \"a\u{0}b\"", INVALID),
    ("CREATE NAMESPACE \"a\nb\"", INVALID),
    (
        "CREATE NAMESPACE aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\
      aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        INVALID,
    ),
    ("CREATE NAMESPACE default", EXISTS),
    ("CREATE NAMESPACE \"../../etc\"", OK_OR_INVALID),
    ("DROP NAMESPACE IF EXISTS \"../../etc\"", OK),
    ("DROP NAMESPACE nowhere", NOT_FOUND),
    ("DROP NAMESPACE default", PROTECTED),
    ("CREATE TABLE nowhere.t (a INT)", NOT_FOUND),
    ("CREATE TABLE default.victim (a INT)", EXISTS),
    ("CREATE TABLE elsewhere.default.t (a INT)", NOT_FOUND),
    ("CREATE TABLE default.t ()", INVALID),
    ("CREATE TABLE default.t (a INT, a TEXT)", INVALID),
    ("CREATE TABLE default.t (a INT, A TEXT)", INVALID),
    ("CREATE TABLE default.t (a INT, PRIMARY KEY (b))", INVALID_OR_NOT_FOUND),
    ("CREATE TABLE default.t (a INT, PRIMARY KEY (a, a))", INVALID),
    ("CREATE TABLE default.t (a INT PRIMARY KEY, b INT PRIMARY KEY)", INVALID),
    ("CREATE TABLE default.t (a JSON PRIMARY KEY)", INVALID_OR_UNSUPPORTED),
    ("CREATE TABLE default.t (a INT[] PRIMARY KEY)", INVALID_OR_UNSUPPORTED),
    ("CREATE TABLE default.t (_updated INT)", INVALID),
    ("CREATE TABLE default.t (_row_id INT PRIMARY KEY)", INVALID),
    ("CREATE TABLE default.t (a NONSENSE)", INVALID_OR_UNSUPPORTED),
    ("CREATE TABLE default.t (a DECIMAL(99, 2))", INVALID),
    ("CREATE TABLE default.t (a DECIMAL(5, 9))", INVALID),
    ("CREATE TABLE default.t (a VARCHAR(-1))", INVALID),
    ("CREATE TABLE default.t (a EMBEDDING(0))", INVALID),
    ("CREATE TABLE default.t (a EMBEDDING(100000000))", INVALID),
    ("CREATE TABLE default.t (a TIMESTAMP(99))", INVALID),
    ("CREATE TABLE default.t (a INT DEFAULT 'x')", INVALID),
    ("CREATE TABLE default.t (a TINYINT DEFAULT 300)", INVALID),
    ("CREATE TABLE default.t (a INT DEFAULT now())", INVALID),
    ("CREATE TABLE default.t (a DATE DEFAULT 5)", INVALID),
    ("CREATE TABLE default.t (a JSON DEFAULT '{open')", INVALID),
    ("CREATE TABLE default.t (a BIGINT DEFAULT 9223372036854775807 + 1)", INVALID),
    ("CREATE TABLE default.t (a INT DEFAULT (SELECT 1))", INVALID_OR_UNSUPPORTED),
    ("CREATE TABLE default.t (a INT) WITH (NONSENSE = 1)", INVALID_OR_NOT_FOUND),
    ("CREATE TABLE default.t (a INT) WITH (DURABILITY = 'never')", INVALID),
    ("CREATE TABLE default.t (a INT) WITH (DELETED_RETENTION_HOURS = -1)", INVALID),
    ("CREATE TABLE default.t (a INT) WITH (ACCESS_LEVEL = 'everybody')", INVALID),
    ("CREATE TABLE default.t (a INT) WITH (TYPE = 'NONSENSE')", INVALID),
    ("DROP TABLE default.nothing", NOT_FOUND),
    ("CREATE USER '' PASSWORD 'x'", INVALID),
    ("CREATE USER 'a\u{0}' PASSWORD 'x'", INVALID),
    ("CREATE USER ann", INVALID),
    ("CREATE USER ann PASSWORD 'x' ROLE emperor", INVALID),
    ("ALTER USER nobody PASSWORD 'x'", NOT_FOUND),
    ("DROP USER nobody", NOT_FOUND),
];

/// Changes that must not take place.
const CHANGES: Table = &[
    ("INSERT INTO default.nothing VALUES (1)", NOT_FOUND),
    ("INSERT INTO \"/etc/passwd\" VALUES (1)", NOT_FOUND),
    ("INSERT INTO default.victim VALUES (3)", INVALID),
    ("INSERT INTO default.victim VALUES (3, 4, 5)", INVALID),
    ("INSERT INTO default.victim (id, nothing) VALUES (3, 4)", INVALID_OR_NOT_FOUND),
    ("INSERT INTO default.victim (id, id) VALUES (3, 4)", INVALID),
    ("INSERT INTO default.victim VALUES (1, 1)", INVALID),
    ("INSERT INTO default.victim VALUES (3, 1), (3, 2)", INVALID),
    ("INSERT INTO default.victim VALUES (3, NULL)", INVALID),
    ("INSERT INTO default.victim VALUES (NULL, 3)", INVALID),
    ("INSERT INTO default.victim VALUES (3, 'three')", INVALID),
    ("INSERT INTO default.victim VALUES (3, 3000000000)", INVALID),
    ("INSERT INTO default.victim VALUES (3, $1)", INVALID),
    ("INSERT INTO default.victim (_deleted, id, v) VALUES (true, 3, 3)", INVALID_OR_UNSUPPORTED),
    ("UPDATE default.victim SET nothing = 1", INVALID_OR_NOT_FOUND),
    ("UPDATE default.victim SET id = 9", INVALID_OR_UNSUPPORTED),
    ("UPDATE default.victim SET v = 1, v = 2", INVALID),
    ("UPDATE default.victim SET v = v / (v - 20)", INVALID),
    ("UPDATE default.victim SET v = NULL WHERE id = 1", INVALID),
    ("UPDATE default.victim SET _updated = now()", INVALID_OR_UNSUPPORTED),
    ("UPDATE default.nothing SET v = 1", NOT_FOUND),
    ("DELETE FROM default.victim WHERE nothing = 1", INVALID_OR_NOT_FOUND),
    ("DELETE FROM default.nothing", NOT_FOUND),
    ("DELETE FROM default.victim WHERE v = 'ten'", INVALID),
    ("DELETE FROM default.victim WHERE row_number() OVER () = 1", INVALID),
    ("DELETE FROM default.victim WHERE \"ID\" = 1", INVALID_OR_NOT_FOUND),
    ("UPDATE default.victim SET v = sum(v)", INVALID),
    ("DELETE FROM default.victim WHERE 1 / (id - 2) = 7", INVALID),
    ("DELETE FROM default.victim WHERE id + 9223372036854775807 < 0", INVALID),
    ("UPDATE default.victim SET v = 0 WHERE id * 9223372036854775807 < 0", INVALID),
];
