//! Statements that are refused, with which kind of error and which advice.

use kalamdb_commons::ErrorKind;
use kalamdb_commons::limits::SQL_BYTES_MAX;

use super::refusal;
use crate::Position;

/// Refused by name: known from elsewhere, not offered here.
#[test]
fn what_is_not_offered_is_refused_by_name() {
    let cases = [
        ("COPY t TO '/tmp/x.parquet'", "COPY"),
        ("COPY t FROM '/etc/passwd'", "COPY"),
        ("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'", "CREATE EXTERNAL TABLE"),
        ("CREATE UNBOUNDED EXTERNAL TABLE t LOCATION 'x'", "CREATE UNBOUNDED TABLE"),
        ("LOAD 'x.so'", "LOAD"),
        ("INSTALL httpfs", "INSTALL"),
        ("ATTACH 'x.db'", "ATTACH"),
        ("DETACH x", "DETACH"),
        ("EXPORT DATABASE 'x'", "EXPORT"),
        ("UNLOAD (SELECT 1) TO 's3://x'", "UNLOAD"),
        ("BEGIN", "BEGIN"),
        ("START TRANSACTION", "START"),
        ("COMMIT", "COMMIT"),
        ("ROLLBACK", "ROLLBACK"),
        ("PRAGMA foo", "PRAGMA"),
        ("PREPARE p AS SELECT 1", "PREPARE"),
        ("EXECUTE p", "EXECUTE"),
        ("GRANT SELECT ON t TO u", "GRANT"),
        ("VACUUM", "VACUUM"),
        ("CREATE MATERIALIZED VIEW v AS SELECT 1", "CREATE MATERIALIZED VIEW"),
        ("CREATE OR REPLACE TABLE t (a INT)", "CREATE OR REPLACE TABLE"),
        ("CREATE OR REPLACE USER TABLE t (a INT)", "CREATE OR REPLACE USER TABLE"),
        ("CREATE OR REPLACE TEMP VIEW v AS SELECT 1", "CREATE OR REPLACE TEMP VIEW"),
        ("CREATE OR REPLACE FUNCTION f() RETURNS INT", "CREATE OR REPLACE FUNCTION"),
        ("CREATE TEMPORARY TABLE t (a INT)", "CREATE TEMPORARY TABLE"),
        ("CREATE TEMP VIEW v AS SELECT 1", "CREATE TEMP VIEW"),
        ("CREATE INDEX i ON t (a)", "CREATE INDEX"),
        ("CREATE FUNCTION f() RETURNS INT RETURN 1", "CREATE FUNCTION"),
        ("CREATE ROLE r", "CREATE ROLE"),
        ("CREATE TABLE t (a INT) AS SELECT 1", "a column definition before AS"),
        ("CREATE TABLE t CLONE s", "CREATE TABLE … CLONE"),
        (
            "CREATE STREAM TABLE t (a INT) WITH (ttl_seconds = 1, flush_policy = 'rows:1')",
            "the option flush_policy of a STREAM table",
        ),
        ("CREATE STREAM TABLE t WITH (ttl_seconds = 1) AS SELECT 1", "CREATE STREAM TABLE … AS"),
        ("CREATE TABLE t (a INT UNIQUE)", "UNIQUE"),
        ("CREATE TABLE t (a INT REFERENCES s (a))", "REFERENCES"),
        ("CREATE TABLE t (a INT, FOREIGN KEY (a) REFERENCES s (a))", "FOREIGN KEY"),
        ("ALTER TABLE t ADD PRIMARY KEY (a)", "ADD PRIMARY KEY"),
        ("ALTER INDEX i RENAME TO j", "ALTER INDEX"),
        ("DROP INDEX v", "DROP INDEX"),
        ("DROP VIEW a, b", "DROP VIEW of several views"),
        ("DESCRIBE SELECT 1", "DESCRIBE of SELECT"),
        ("EXPLAIN CREATE TABLE t (a INT)", "EXPLAIN CREATE TABLE"),
        ("EXPLAIN SHOW TABLES", "EXPLAIN SHOW TABLES"),
        ("SET TIME ZONE 'Europe/Berlin'", "the time zone"),
        ("SET LOCAL statement_timeout = 1", "SET LOCAL"),
        ("SELECT * FROM t FOR UPDATE", "SELECT … FOR UPDATE / FOR SHARE"),
        ("SELECT * FROM (SELECT * FROM t FOR SHARE) x", "SELECT … FOR UPDATE / FOR SHARE"),
        ("SELECT * INTO s FROM t", "SELECT … INTO"),
        ("SELECT * FROM t TABLESAMPLE (10 PERCENT)", "TABLESAMPLE"),
        ("SELECT * FROM t FETCH FIRST 5 ROWS WITH TIES", "FETCH … WITH TIES / PERCENT"),
        ("WITH a AS (INSERT INTO t VALUES (1)) DELETE FROM t", "INSERT inside a query"),
        ("WITH a AS (DELETE FROM t) SELECT 1", "DELETE inside a query"),
        ("INSERT OR IGNORE INTO t VALUES (1)", "INSERT OR IGNORE"),
        ("INSERT OR REPLACE INTO t VALUES (1)", "INSERT OR REPLACE"),
        ("INSERT IGNORE INTO t VALUES (1)", "INSERT IGNORE"),
        ("INSERT INTO t VALUES (1) ON DUPLICATE KEY UPDATE a = 1", "ON DUPLICATE KEY UPDATE"),
        (
            "INSERT INTO t VALUES (1) ON CONFLICT ON CONSTRAINT k DO NOTHING",
            "ON CONFLICT ON CONSTRAINT",
        ),
        ("INSERT OVERWRITE t VALUES (1)", "INSERT OVERWRITE"),
        ("UPDATE t JOIN s ON t.a = s.a SET a = 1", "UPDATE of a join"),
        ("DELETE FROM t, s WHERE t.a = s.a", "DELETE from several tables"),
    ];
    for (sql, what) in cases {
        let error = refusal(sql);
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{sql}: {error}");
        let message = error.to_string();
        assert!(message.starts_with(what), "{sql}: {message}");
        assert!(!message.contains('\n') && !message.ends_with('.'), "{message}");
    }
}

#[test]
fn what_is_wrong_is_refused_with_what_would_be_right() {
    let cases = [
        ("", "holds no statement"),
        (" ;; -- nothing\n", "holds no statement"),
        ("SELEC 1", "did you mean SELECT?"),
        ("FOO BAR", "expected a statement, found 'FOO'"),
        ("42", "expected a statement, found '42'"),
        ("SELECT 1 1", "expected the end of the statement, found '1'"),
        ("SELECT FROM WHERE", "expected"),
        ("INSERT INTO t (a, a) VALUES (1, 2)", "column a is named twice"),
        ("UPDATE t SET a = 1, a = 2", "column a is named twice"),
        ("UPDATE t SET s.a = 1", "no column of the table"),
        ("UPDATE t SET (a, b) = (1, 2, 3)", "2 columns are set from something else"),
        ("DROP TABLE a.b.c.d", "at most three parts"),
        ("DROP TABLE other.b.c", "catalog 'other' does not exist, did you mean 'kalam'?"),
        ("CREATE TABLE t ()", "at least one column"),
        ("CREATE TABLE t (a INT, A TEXT)", "column a is declared twice"),
        ("CREATE TABLE t (_updated INT)", "reserved for a system column"),
        ("CREATE TABLE t (a INTT)", "there is no type 'INTT', did you mean 'INT'?"),
        ("CREATE TABLE t (a JSON PRIMARY KEY)", "cannot be a key"),
        ("CREATE TABLE t (a INT, PRIMARY KEY (b))", "column 'b' does not exist"),
        ("CREATE TABLE t (a INT PRIMARY KEY, b INT PRIMARY KEY)", "two primary keys"),
        ("CREATE TABLE t (a INT, PRIMARY KEY (a, a))", "stands twice in the key"),
        ("CREATE TABLE t (a INT NULL NOT NULL)", "both NULL and NOT NULL"),
        ("CREATE TABLE t (a INT NOT NULL DEFAULT NULL)", "NOT NULL with DEFAULT NULL"),
        ("CREATE TABLE t (a INT DEFAULT b)", "cannot use the column 'b'"),
        ("CREATE TABLE t (a INT DEFAULT ?)", "a default takes no parameters"),
        ("CREATE TABLE t (a INT) WITH (acess_level = 'public')", "did you mean 'access_level'?"),
        ("CREATE TABLE t (a INT) WITH (access_level = 'open')", "use 'public', 'private'"),
        ("CREATE TABLE t (a INT) WITH (durability = 'never')", "use 'sync' or 'interval:"),
        ("CREATE TABLE t (a INT) WITH (durability = 'interval:0ms')", "use 'sync'"),
        ("CREATE USER TABLE t (a INT) WITH (access_level = 'public')", "for SHARED tables"),
        ("CREATE USER TABLE t (a INT) WITH (type = 'shared')", "say it once"),
        ("CREATE TABLE t (a INT) WITH (type = 'user', TYPE = 'user')", "given twice"),
        ("CREATE USER u", "expected PASSWORD"),
        ("CREATE USER u PASSWORD 'x' ROLE king", "unknown role 'king', use user, service"),
        ("ALTER USER u", "expected PASSWORD '…' or ROLE"),
        ("SET statement_timeout = 'soon'", "'soon' is no timeout"),
        ("SET datafusion.execution.batch_size = 1", "there is no setting 'datafusion'"),
        ("SET statement_timout = 1", "did you mean 'statement_timeout'?"),
        ("EXPLAIN EXPLAIN SELECT 1", "expected a query or INSERT, UPDATE, DELETE"),
        ("SHOW TABLES IN", "found the end of the statement"),
        ("SELECT 'abc", "nterminated"),
        ("CREATE NAMESPACE ?", "expected a namespace name"),
        ("SHOW TABLES IN \"n\" extra", "expected the end of the statement"),
    ];
    for (sql, part) in cases {
        let error = refusal(sql);
        assert!(
            matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::NotFound),
            "{sql}: {:?}",
            error.kind()
        );
        let message = error.to_string();
        assert!(message.contains(part), "{sql}: {message}");
        assert!(!message.contains('\n') && !message.ends_with('.'), "{message}");
    }
}

#[test]
fn errors_tell_line_and_column() {
    for (sql, line, column) in [
        ("SELECT 1 +", 1, 11),
        ("SELECT 1;\nSELECT\n  a b c", 3, 7),
        ("CREATE TABLE t (\n  a INT,\n  b WRONG\n)", 3, 5),
        ("CREATE NAMESPACE é x", 1, 20),
        ("SELECT 1;\n\nDROP INDEX v", 3, 1),
    ] {
        let error = refusal(sql);
        assert_eq!(error.position(), Some(Position { line, column }), "{sql}: {error}");
        assert!(error.to_string().contains(&format!("line {line}, column {column}")), "{error}");
    }
}

#[test]
fn long_names_and_control_characters_are_refused() {
    let long = "x".repeat(129);
    for sql in [
        format!("CREATE TABLE {long} (a INT)"),
        format!("CREATE TABLE t ({long} INT)"),
        format!("CREATE USER {long} PASSWORD 'x'"),
    ] {
        let message = refusal(&sql).to_string();
        assert!(message.contains("has 129 bytes, use at most 128"), "{message}");
    }
    for sql in ["CREATE TABLE \"a\nb\" (a INT)", "CREATE TABLE t (\"a\0\" INT)"] {
        let message = refusal(sql).to_string();
        assert!(message.contains("control character") && !message.contains('\n'), "{message}");
    }
    assert!(refusal("CREATE TABLE \"\" (a INT)").to_string().contains("is empty"));
}

#[test]
fn a_text_over_the_limit_is_refused_before_it_is_read() {
    let sql = format!("SELECT '{}'", "x".repeat(SQL_BYTES_MAX));
    assert!(refusal(&sql).to_string().contains("exceeds the limit of 1048576"));
}
