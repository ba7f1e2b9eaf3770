//! CHECK, UNIQUE, lengths, namespaces, comments and what SHOW lists: read and refused.

use kalamdb_commons::{ErrorKind, limits::TABLE_CHECKS_MAX};

use super::{refusal, statement};
use crate::{CommentObject, CreateTable, NamespaceChange, Statement, TableName};

fn table(sql: &str) -> CreateTable {
    match statement(sql) {
        Statement::CreateTable(table) => *table,
        other => panic!("{sql}: {other:?}"),
    }
}

fn checks(sql: &str) -> Vec<(String, String)> {
    table(sql).checks.into_iter().map(|check| (check.name, check.expression)).collect()
}

#[test]
fn checks_are_named_as_postgresql_names_them() {
    let named = checks(
        "CREATE TABLE n.t (a INT CHECK (a > 0) CONSTRAINT odd CHECK (a % 2 = 1) CHECK (t.a < 9), \
         b TEXT CHECK (b <> '' AND a > 1), CONSTRAINT t_a_check2 CHECK (A IS NOT NULL), \
         CHECK (1 = 1), CHECK (\"b\" LIKE 'x%'),)",
    );
    let expected = [
        ("t_a_check", "a > 0"),
        ("odd", "a % 2 = 1"),
        ("t_a_check1", "a < 9"),
        ("t_check", "b <> '' AND a > 1"),
        ("t_a_check2", "A IS NOT NULL"),
        ("t_check1", "1 = 1"),
        ("t_b_check", "\"b\" LIKE 'x%'"),
    ];
    let named: Vec<(&str, &str)> = named.iter().map(|(n, c)| (n.as_str(), c.as_str())).collect();
    assert_eq!(named, expected);
}

#[test]
fn what_a_check_cannot_depend_on_is_refused() {
    for (condition, part) in [
        ("b > 0", "column 'b' does not exist"),
        ("s.a > 0", "column 's' does not exist"),
        ("_updated IS NULL", "cannot use the system column _updated"),
        ("a > ?", "takes no parameters"),
        ("a IN (SELECT 1)", "a query in a check"),
        ("EXISTS (SELECT 1)", "a query in a check"),
        ("a = (SELECT 1)", "a query in a check"),
        ("row_number() OVER () = 1", "a window function in a check"),
        ("a >", "expected an expression"),
    ] {
        let message = refusal(&format!("CREATE TABLE t (a INT, CHECK ({condition}))")).to_string();
        assert!(message.contains(part), "{condition}: {message}");
        let placed = message.contains("line 1, column");
        assert!(placed || message.contains("does not exist"), "{condition}: {message}");
    }
    let twice = "CREATE TABLE t (a INT, CONSTRAINT c CHECK (a > 0), CONSTRAINT c CHECK (a < 9))";
    assert!(refusal(twice).to_string().contains("the constraint c is declared twice"));
    let many = "CHECK (a > 0),".repeat(TABLE_CHECKS_MAX + 1);
    let message = refusal(&format!("CREATE TABLE t (a INT, {many})")).to_string();
    assert!(message.contains("exceeds the limit of 100"), "{message}");
    let nameless = refusal("CREATE TABLE t (a INT CONSTRAINT c)").to_string();
    assert!(nameless.contains("a constraint after its name"), "{nameless}");
}

#[test]
fn what_nothing_enforces_is_refused_with_a_way_out() {
    for (columns, what, advice) in [
        ("a INT UNIQUE", "UNIQUE of other columns", "PRIMARY KEY"),
        ("a INT PRIMARY KEY, b INT, UNIQUE (a, b)", "UNIQUE of other columns", "PRIMARY KEY"),
        ("a INT REFERENCES s (a)", "REFERENCES", "join"),
        ("a INT, CONSTRAINT f FOREIGN KEY (a) REFERENCES s (a)", "FOREIGN KEY", "join"),
        ("a TEXT COLLATE \"de\"", "COLLATE", "lower"),
        ("a INT, EXCLUDE USING gist (a WITH =)", "EXCLUDE", "PRIMARY KEY"),
        ("a INT, b INT GENERATED ALWAYS AS (a + 1) STORED", "a column computed", "in the query"),
        ("a INT, b INT AS (a + 1)", "a column computed", "in the query"),
        ("a BIGINT GENERATED ALWAYS AS IDENTITY", "GENERATED ALWAYS AS", "BY DEFAULT"),
        ("a BIGINT IDENTITY(1, 1)", "the start or the step", "leave it out"),
        ("a SMALLSERIAL", "SMALLSERIAL", "BIGSERIAL"),
        ("a VARCHAR(3)[]", "a length inside a type", "CHECK"),
    ] {
        let error = refusal(&format!("CREATE TABLE t ({columns})"));
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{columns}: {error}");
        let message = error.to_string();
        assert!(message.starts_with(what) && message.contains(advice), "{columns}: {message}");
    }
    // Of the key it holds anyway.
    for columns in ["a INT PRIMARY KEY UNIQUE", "a INT, b INT, PRIMARY KEY (a, b), UNIQUE (b, a)"] {
        assert!(table(&format!("CREATE TABLE t ({columns})")).checks.is_empty());
    }
}

#[test]
fn lengths_stay_with_the_column() {
    let table = table(
        "CREATE TABLE t (a VARCHAR(10), b CHAR(3), c CHARACTER VARYING(5), d STRING(7), \
         e VARBINARY(4), f TEXT, g VARCHAR, h VARCHAR(MAX), i CHAR, j BPCHAR, k INT(11))",
    );
    let lengths: Vec<Option<u32>> = table.columns.iter().map(|column| column.length_max).collect();
    let bounds = [Some(10), Some(3), Some(5), Some(7), Some(4)];
    assert_eq!(lengths[..5], bounds);
    assert!(lengths[5..].iter().all(Option::is_none));
    for (wrong, part) in [("VARCHAR(0)", "use 1 to"), ("CHAR(99999999999)", "use 1 to")] {
        let message = refusal(&format!("CREATE TABLE t (a {wrong})")).to_string();
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn flush_policies_are_read_back_as_written() {
    let policy = |text: &str| {
        let sql = format!("CREATE TABLE t (a INT) WITH (FLUSH_POLICY = '{text}')");
        table(&sql).options.flush_policy.unwrap().to_string()
    };
    assert_eq!(policy("rows:10"), "rows:10");
    assert_eq!(policy("BYTES: 4096 , interval:5,rows:10"), "rows:10,interval:5,bytes:4096");
    for wrong in ["", "rows", "rows:0", "rows:x", "rows:1,rows:2", "days:1"] {
        let sql = format!("CREATE TABLE t (a INT) WITH (FLUSH_POLICY = '{wrong}')");
        assert!(refusal(&sql).to_string().contains("use 'rows:<n>'"), "{wrong}");
    }
    for (option, part) in [
        ("storage_id = 'x'", "there is one storage"),
        ("use_user_storage = true", "there is one storage"),
        ("compression = 'lzma'", "use 'none', 'snappy' or 'zstd'"),
        ("flush_polcy = 'rows:1'", "did you mean 'flush_policy'?"),
    ] {
        let message = refusal(&format!("CREATE TABLE t (a INT) WITH ({option})")).to_string();
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn namespaces_and_comments() {
    let create = |sql: &str| match statement(sql) {
        Statement::CreateNamespace { name, if_not_exists, comment } => {
            (name, if_not_exists, comment)
        }
        other => panic!("{other:?}"),
    };
    let commented = ("n".to_owned(), true, Some("it's".to_owned()));
    for sql in [
        "CREATE NAMESPACE IF NOT EXISTS n COMMENT 'it''s'",
        "CREATE SCHEMA IF NOT EXISTS n WITH (COMMENT = 'it''s')",
        "CREATE DATABASE IF NOT EXISTS N WITH OPTIONS (description = 'it''s',)",
    ] {
        assert_eq!(create(sql), commented, "{sql}");
    }
    let alter = |sql: &str| match statement(sql) {
        Statement::AlterNamespace { name, change } => (name, change),
        other => panic!("{other:?}"),
    };
    let renamed = NamespaceChange::Rename("m".to_owned());
    assert_eq!(alter("ALTER SCHEMA n RENAME TO m"), ("n".to_owned(), renamed));
    let comment = NamespaceChange::Comment(None);
    assert_eq!(alter("ALTER NAMESPACE n SET DESCRIPTION NULL"), ("n".to_owned(), comment));
    let object = |sql: &str| match statement(sql) {
        Statement::CommentOn { object, comment } => (object, comment),
        other => panic!("{other:?}"),
    };
    let column = CommentObject::Column(TableName::qualified("n", "t"), "C".to_owned());
    assert_eq!(object("COMMENT ON COLUMN n.t.\"C\" IS NULL"), (column, None));
    for (sql, part) in [
        ("CREATE NAMESPACE n WITH (colour = 'red')", "there is no option 'colour'"),
        ("CREATE NAMESPACE n COMMENT 'a' COMMENT 'b'", "given twice"),
        ("CREATE SCHEMA n AUTHORIZATION joe", "AUTHORIZATION is not supported"),
        ("ALTER NAMESPACE n OWNER TO joe", "OWNER is not supported"),
        ("ALTER NAMESPACE n", "expected RENAME TO or SET COMMENT"),
        ("COMMENT ON COLUMN c IS 'x'", "without its table"),
        ("COMMENT ON FUNCTION f IS 'x'", "COMMENT ON FUNCTION is not supported"),
        ("COMMENT ON TABLE t IS 5", "or NULL"),
        ("COMMENT ON TABLE t", "expected IS"),
    ] {
        let message = refusal(sql).to_string();
        assert!(message.contains(part), "{sql}: {message}");
    }
    let long = format!("COMMENT ON TABLE t IS '{}'", "x".repeat(20_000));
    assert!(refusal(&long).to_string().contains("exceeds the limit"));
}

#[test]
fn what_show_lists() {
    let cases = [
        ("SHOW ALL", "SHOW ALL"),
        ("SHOW ALL TABLES LIKE 'x'", "SHOW TABLES"),
        ("SHOW TABLES FROM n LIKE '%x'", "SHOW TABLES"),
        ("SHOW VIEWS IN n LIKE '%x'", "SHOW VIEWS"),
        ("SHOW SCHEMAS LIKE 'x'", "SHOW NAMESPACES"),
        ("SHOW FUNCTIONS LIKE 'a%'", "SHOW FUNCTIONS"),
        ("SHOW STATS FOR TABLE n.t", "SHOW STATS"),
    ];
    for (sql, name) in cases {
        let statement = statement(sql);
        assert_eq!(statement.name(), name, "{sql}");
        assert!(statement.returns_rows(), "{sql}");
    }
    assert!(refusal("SHOW TABLES LIKE x").to_string().contains("a pattern"));
}
