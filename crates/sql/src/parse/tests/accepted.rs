//! Statements that are accepted, and what they mean.

use kalamdb_commons::{Role, TableType};

use super::{one, statement};
use crate::{
    ExplainFormat, InsertSource, SessionSetting, Statement, TableName, is_default_keyword, parse,
};

#[test]
fn every_statement_is_known_by_its_name() {
    let cases = [
        ("SELECT 1", "SELECT", true),
        ("select 1;", "SELECT", true),
        ("(SELECT 1) UNION ALL (SELECT 2)", "SELECT", true),
        ("WITH a AS (SELECT 1 AS x) SELECT * FROM a", "SELECT", true),
        ("VALUES (1, 'a'), (2, 'b')", "SELECT", true),
        ("FROM t", "SELECT", true),
        ("-- a comment\nSELECT 1 /* another */", "SELECT", true),
        ("EXPLAIN SELECT 1", "EXPLAIN", true),
        ("INSERT INTO t VALUES (1)", "INSERT", false),
        ("INSERT INTO t (a, b) SELECT 1, 2", "INSERT", false),
        ("INSERT INTO t WITH s AS (SELECT 1) SELECT * FROM s", "INSERT", false),
        ("WITH s AS (SELECT 1) INSERT INTO t SELECT * FROM s", "INSERT", false),
        ("WITH s AS (SELECT 1) UPDATE t SET a = 1", "UPDATE", false),
        ("WITH s AS (SELECT 1) DELETE FROM t", "DELETE", false),
        ("EXPLAIN WITH s AS (SELECT 1) DELETE FROM t", "EXPLAIN", true),
        ("UPDATE t SET a = 1", "UPDATE", false),
        ("INSERT INTO t AS x VALUES (1) ON CONFLICT DO NOTHING", "INSERT", false),
        ("INSERT INTO t TABLE u", "INSERT", false),
        ("INSERT INTO t VALUES (1) RETURNING *", "INSERT", true),
        ("UPDATE t SET a = 1 RETURNING a", "UPDATE", true),
        ("DELETE FROM t ORDER BY a LIMIT 1 RETURNING a", "DELETE", true),
        ("DELETE FROM t", "DELETE", false),
        ("MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN DELETE", "MERGE", false),
        (
            "WITH x AS (SELECT 1) MERGE INTO t USING x ON true WHEN MATCHED THEN DELETE",
            "MERGE",
            false,
        ),
        ("WITH x(a) AS (SELECT (1) merge) SELECT (a) merge FROM x", "SELECT", true),
        ("CREATE NAMESPACE n", "CREATE NAMESPACE", false),
        ("CREATE SCHEMA IF NOT EXISTS n", "CREATE NAMESPACE", false),
        ("DROP NAMESPACE IF EXISTS n CASCADE", "DROP NAMESPACE", false),
        ("SHOW NAMESPACES", "SHOW NAMESPACES", true),
        ("SHOW SCHEMAS", "SHOW NAMESPACES", true),
        ("CREATE TABLE t (a INT)", "CREATE TABLE", false),
        ("DROP TABLE IF EXISTS n.t", "DROP TABLE", false),
        ("DROP USER TABLE t", "DROP TABLE", false),
        ("SHOW TABLES", "SHOW TABLES", true),
        ("SHOW VIEWS FROM n", "SHOW VIEWS", true),
        ("TRUNCATE a, ONLY b.c, only, \"table\" RESTRICT", "TRUNCATE", false),
        ("SHOW TABLES IN n", "SHOW TABLES", true),
        ("DESCRIBE t", "DESCRIBE", true),
        ("DESC TABLE t", "DESCRIBE", true),
        ("SHOW COLUMNS FROM t", "DESCRIBE", true),
        ("SHOW CREATE TABLE t", "SHOW CREATE TABLE", true),
        ("CREATE USER u WITH PASSWORD 'p'", "CREATE USER", false),
        ("ALTER USER u SET PASSWORD 'p'", "ALTER USER", false),
        ("DROP USER u", "DROP USER", false),
        ("SHOW USERS", "SHOW USERS", true),
        ("USE n", "USE", false),
        ("SET NAMESPACE = n", "USE", false),
        ("SET statement_timeout = 1000", "SET", false),
        ("RESET statement_timeout", "SET", false),
        ("SHOW time_zone", "SHOW", true),
    ];
    for (sql, name, returns_rows) in cases {
        let statement = statement(sql);
        assert_eq!(statement.name(), name, "{sql}");
        assert_eq!(statement.returns_rows(), returns_rows, "{sql}");
    }
}

#[test]
fn a_script_is_cut_into_statements_with_their_own_texts() {
    let script = "; SELECT 'a;b' AS \"x;y\"; -- one; more\n\
                  /* ; */ INSERT INTO t VALUES ('é', ?)  ;;\n UPDATE t SET a = ?, b = ? ;";
    let statements = parse(script).unwrap();
    let texts: Vec<&str> = statements.iter().map(|parsed| parsed.text.as_str()).collect();
    assert_eq!(
        texts,
        ["SELECT 'a;b' AS \"x;y\"", "INSERT INTO t VALUES ('é', ?)", "UPDATE t SET a = ?, b = ?"]
    );
    let counts: Vec<usize> = statements.iter().map(|parsed| parsed.parameter_count).collect();
    assert_eq!(counts, [0, 1, 2]);
}

#[test]
fn names_are_lower_cased_unless_quoted() {
    let name = |sql: &str| match statement(sql) {
        Statement::DropTable { mut names, .. } => names.remove(0),
        other => panic!("{other:?}"),
    };
    assert_eq!(name("DROP TABLE Flights.Weather"), TableName::qualified("flights", "weather"));
    assert_eq!(name("DROP TABLE \"Flights\".Weather"), TableName::qualified("Flights", "weather"));
    assert_eq!(
        name("DROP TABLE kalam.default.\"a \"\"quoted\"\" naïve 表.x\""),
        TableName {
            catalog: Some("kalam".into()),
            namespace: Some("default".into()),
            table: "a \"quoted\" naïve 表.x".into(),
        }
    );
    // What Display writes reads back as the same name.
    for odd in ["select", "A", "a b", "1a", "\"", "é", "a.b", "order", "_x1"] {
        let written = TableName::qualified("default", odd);
        assert_eq!(name(&format!("DROP TABLE {written}")), written);
    }
}

#[test]
fn insert_keeps_columns_and_source() {
    let Statement::Insert(insert) = statement("INSERT INTO n.t (A, \"B\") VALUES (1, DEFAULT)")
    else {
        panic!()
    };
    assert_eq!(insert.table, TableName::qualified("n", "t"));
    assert_eq!(insert.columns, ["a", "B"]);
    let InsertSource::Query(query) = insert.source else { panic!() };
    let datafusion::sql::sqlparser::ast::SetExpr::Values(values) = *query.body else { panic!() };
    assert!(is_default_keyword(&values.rows[0].content[1]));
    assert!(!is_default_keyword(&values.rows[0].content[0]));

    let Statement::Insert(insert) = statement("INSERT INTO t DEFAULT VALUES") else { panic!() };
    assert!(matches!(insert.source, InsertSource::DefaultValues));
}

#[test]
fn update_and_delete_keep_every_part() {
    let sql = "UPDATE n.t AS x SET a = x.a + 1, x.b = s.b, (c, d) = (1, ?) FROM s \
               WHERE x.id = s.id AND s.id IN (SELECT id FROM r) ORDER BY a DESC LIMIT 5";
    let Statement::Update(update) = statement(sql) else { panic!() };
    let columns: Vec<&str> = update.assignments.iter().map(|set| set.column.as_str()).collect();
    assert_eq!(columns, ["a", "b", "c", "d"]);
    assert_eq!(update.alias.unwrap().value, "x");
    assert_eq!(update.from.len(), 1);
    assert!(update.predicate.is_some() && update.limit.is_some());
    assert_eq!(update.order_by.len(), 1);

    let sql = "DELETE FROM t AS x USING s WHERE x.id = s.id AND EXISTS (SELECT 1 FROM r) LIMIT 1";
    let Statement::Delete(delete) = statement(sql) else { panic!() };
    assert_eq!(delete.table, TableName::bare("t"));
    assert_eq!(delete.using.len(), 1);
    assert!(delete.predicate.is_some() && delete.limit.is_some());

    let Statement::Update(update) = statement("UPDATE n.t SET n.t.a = 1, t.b = 2") else {
        panic!()
    };
    assert_eq!(update.assignments.len(), 2);
}

#[test]
fn explain_takes_its_options_in_both_spellings() {
    for (sql, analyze, verbose, format) in [
        ("EXPLAIN SELECT 1", false, false, ExplainFormat::Indent),
        ("EXPLAIN ANALYZE SELECT 1", true, false, ExplainFormat::Indent),
        ("EXPLAIN ANALYZE VERBOSE DELETE FROM t", true, true, ExplainFormat::Indent),
        ("EXPLAIN FORMAT TREE SELECT 1", false, false, ExplainFormat::Tree),
        ("EXPLAIN (VERBOSE, FORMAT pgjson) SELECT 1", false, true, ExplainFormat::PgJson),
        ("EXPLAIN (SELECT 1)", false, false, ExplainFormat::Indent),
    ] {
        let Statement::Explain(explain) = statement(sql) else { panic!("{sql}") };
        assert_eq!((explain.analyze, explain.verbose, explain.format), (analyze, verbose, format));
    }
}

#[test]
fn users_have_names_passwords_and_roles() {
    for (sql, name, role) in [
        ("CREATE USER Alice PASSWORD 'a''b'", "alice", Role::User),
        ("CREATE USER 'Alice' WITH PASSWORD 'a''b' ROLE service", "Alice", Role::Service),
        ("CREATE USER \"table\" ROLE 'DBA' PASSWORD 'a''b'", "table", Role::Dba),
    ] {
        let Statement::CreateUser(user) = statement(sql) else { panic!("{sql}") };
        assert_eq!((user.name.as_str(), user.role), (name, role));
        assert_eq!(user.password.0, "a'b");
        assert!(!format!("{user:?}").contains("a'b"), "a password shows in Debug");
        assert!(!one(sql).text_for_logs().contains("a''b"), "a password shows in logs");
    }
    let Statement::AlterUser(user) = statement("ALTER USER u WITH PASSWORD 'n' SET ROLE dba")
    else {
        panic!()
    };
    assert!(user.password.is_some());
    assert_eq!(user.role, Some(Role::Dba));
    // CREATE USER TABLE is a table.
    let Statement::CreateTable(table) = statement("CREATE USER TABLE t (a INT)") else { panic!() };
    assert_eq!(table.table_type, TableType::User);
}

#[test]
fn settings_are_checked_and_normalised() {
    for (sql, setting, value) in [
        ("SET statement_timeout = '30s'", SessionSetting::StatementTimeout, Some("30000")),
        ("SET statement_timeout TO 500", SessionSetting::StatementTimeout, Some("500")),
        (
            "SET SESSION statement_timeout = '5 min'",
            SessionSetting::StatementTimeout,
            Some("300000"),
        ),
        ("SET statement_timeout TO DEFAULT", SessionSetting::StatementTimeout, None),
        ("RESET statement_timeout", SessionSetting::StatementTimeout, None),
        ("SET TIME ZONE 'utc'", SessionSetting::TimeZone, Some("UTC")),
        ("SET timezone = UTC", SessionSetting::TimeZone, Some("UTC")),
        ("SET application_name = 'My Tool'", SessionSetting::ApplicationName, Some("My Tool")),
    ] {
        let Statement::Set { setting: found, value: text } = statement(sql) else {
            panic!("{sql}")
        };
        assert_eq!((found, text.as_deref()), (setting, value), "{sql}");
    }
    for sql in ["USE n", "USE NAMESPACE n", "USE kalam.n", "SET SCHEMA n", "SET search_path TO n"] {
        let Statement::Use { namespace } = statement(sql) else { panic!("{sql}") };
        assert_eq!(namespace, "n", "{sql}");
    }
    let Statement::Use { namespace } = statement("USE namespace") else { panic!() };
    assert_eq!(namespace, "namespace");
}
