//! Every operation, what it makes of a definition, and what it refuses.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array};
use kalamdb_commons::{ColumnType, Durability, ErrorKind, NamespaceId, TableId, TableOptions};

use super::*;
use crate::{Statement, parse};

/// The first version of the table that a statement would create, stored as CREATE TABLE does it.
fn table(sql: &str) -> TableDefinition {
    let Statement::CreateTable(create) = parse(sql).unwrap().remove(0).statement else {
        panic!("{sql}")
    };
    let columns: Vec<ColumnDefinition> = (1..)
        .zip(&create.columns)
        .map(|(id, column)| ColumnDefinition {
            nullable: column.nullable,
            length_max: column.length_max,
            default: column.default.clone(),
            ..ColumnDefinition::new(ColumnId(id), &column.name, column.column_type.clone())
        })
        .collect();
    let id_of = |name: &String| columns.iter().find(|c| *c.name == **name).map(|c| c.id);
    TableDefinition {
        id: TableId(7),
        namespace_id: NamespaceId(1),
        namespace: "default".into(),
        name: "t".into(),
        table_type: create.table_type,
        created_by: UserId::new("root"),
        created_at_us: 5,
        updated_at_us: 5,
        schema_version: 1,
        next_column_id: columns.len() as u32 + 1,
        primary_key: create.primary_key.iter().filter_map(id_of).collect(),
        columns,
        options: create.options.clone(),
        comment: None,
        checks: create.checks.clone(),
        change: None,
    }
}

fn usual() -> TableDefinition {
    table("CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(5) DEFAULT 'x', c TEXT NOT NULL)")
}

fn five() -> Option<FillValue> {
    let five: ArrayRef = Arc::new(Int32Array::from(vec![5]));
    fill_value(&five).unwrap()
}

fn operations(sql: &str) -> Vec<AlterOperation> {
    match parse(&format!("ALTER TABLE t {sql}")).unwrap().remove(0).statement {
        Statement::AlterTable(alter) => alter.operations,
        other => panic!("{sql}: {other:?}"),
    }
}

fn try_evolve(before: &TableDefinition, sql: &str) -> Result<Option<Evolution>, SqlError> {
    let operations = operations(sql);
    let fills: Vec<Option<FillValue>> = operations
        .iter()
        .map(|operation| match &operation.action {
            AlterAction::AddColumn { column, .. } if column.default.is_some() => five(),
            _ => None,
        })
        .collect();
    evolve(before, &operations, &fills, &UserId::new("ann"), 9)
}

fn evolved(before: &TableDefinition, sql: &str) -> Evolution {
    match try_evolve(before, sql) {
        Ok(Some(evolution)) => evolution,
        other => panic!("{sql}: {other:?}"),
    }
}

fn next(before: &TableDefinition, sql: &str) -> TableDefinition {
    evolved(before, sql).definition
}

fn refused(before: &TableDefinition, sql: &str) -> SqlError {
    match try_evolve(before, sql) {
        Err(error) => error,
        other => panic!("{sql}: {other:?}"),
    }
}

fn names(table: &TableDefinition) -> Vec<&str> {
    table.columns.iter().map(|column| &*column.name).collect()
}

fn what(table: &TableDefinition) -> &str {
    &table.change.as_ref().unwrap().what
}

#[test]
fn a_version_says_who_made_it_when_and_what_changed() {
    let before = usual();
    let after = next(&before, "ADD d INT NOT NULL DEFAULT 5, DROP a, RENAME b TO \"B\"");
    assert_eq!((after.schema_version, after.updated_at_us), (2, 9));
    let change = after.change.as_ref().unwrap();
    assert_eq!(change.by, UserId::new("ann"));
    assert_eq!(
        change.what,
        "added column d INT NOT NULL DEFAULT 5; dropped column a; renamed column b to \"B\""
    );
    assert_eq!(names(&after), ["id", "B", "c", "d"]);
    assert_eq!((after.created_at_us, after.id), (5, TableId(7)));
}

#[test]
fn the_clock_of_versions_does_not_run_backwards() {
    let before = TableDefinition { updated_at_us: 100, ..usual() };
    assert_eq!(next(&before, "DROP a").updated_at_us, 100);
}

#[test]
fn ids_of_dropped_columns_are_not_used_again() {
    let before = usual();
    let a = before.column("a").unwrap().1.id;
    let after = next(&before, "DROP a, ADD a INT");
    let again = after.column("a").unwrap().1;
    assert_eq!((again.id, after.next_column_id), (ColumnId(5), 6));
    assert_ne!(again.id, a);
    assert_eq!(again.fill, None);
    let after = next(&next(&before, "DROP a"), "ADD a INT");
    assert_eq!(after.column("a").unwrap().1.id, ColumnId(5));
}

#[test]
fn an_added_column_has_its_fill_in_the_rows_there_are() {
    let added = next(&usual(), "ADD d INT DEFAULT 5");
    assert_eq!(added.column("d").unwrap().1.fill, five());
    // Another default is for the rows to come.
    let changed = next(&added, "ALTER d SET DEFAULT 6");
    assert_eq!(changed.column("d").unwrap().1.fill, five());
    // It is widened with its column.
    let widened = next(&changed, "ALTER d TYPE BIGINT");
    let fill = &widened.column("d").unwrap().1.fill;
    assert!(fill.is_some() && *fill != five());
    assert_eq!(next(&usual(), "ADD d INT").column("d").unwrap().1.fill, None);
}

#[test]
fn not_null_needs_a_value_for_the_rows_there_are() {
    for sql in ["ADD d INT NOT NULL", "ADD d INT, ALTER d SET NOT NULL"] {
        let evolution = evolved(&usual(), sql);
        let [without] = &evolution.needs_no_rows[..] else { panic!("{sql}") };
        assert_eq!(without.id, evolution.definition.column("d").unwrap().1.id);
        assert!(without.position.is_some(), "{sql}");
    }
    for sql in
        ["ADD d INT NOT NULL, ADD e INT, DROP d", "ADD d INT NOT NULL, ALTER d DROP NOT NULL"]
    {
        assert!(evolved(&usual(), sql).needs_no_rows.is_empty(), "{sql}");
    }
    for sql in ["ADD d INT NOT NULL DEFAULT 5", "ADD d INT DEFAULT 5, ALTER d SET NOT NULL"] {
        let evolution = evolved(&usual(), sql);
        assert!(!evolution.definition.column("d").unwrap().1.nullable, "{sql}");
        assert!(evolution.needs_check_not_null.is_empty(), "{sql}");
        assert!(evolution.needs_no_rows.is_empty(), "{sql}");
    }
}

#[test]
fn set_not_null_asks_for_a_look_at_the_rows() {
    let before = usual();
    let a = before.column("a").unwrap().1.id;
    let evolution = evolved(&before, "ALTER a SET NOT NULL, RENAME a TO z");
    assert_eq!(evolution.needs_check_not_null, [a]);
    for sql in ["ALTER a SET NOT NULL, ALTER a DROP NOT NULL", "ALTER c SET NOT NULL"] {
        assert!(try_evolve(&before, sql).unwrap().is_none(), "{sql}");
    }
    let evolution = evolved(&before, "ALTER a SET NOT NULL, DROP a");
    assert!(evolution.needs_check_not_null.is_empty());
    // What was NOT NULL before the statement holds no NULL.
    let evolution =
        evolved(&before, "ALTER c DROP NOT NULL, ALTER c SET NOT NULL, ALTER c SET DEFAULT 'y'");
    assert!(evolution.needs_check_not_null.is_empty());
    assert!(next(&before, "ALTER c DROP NOT NULL").column("c").unwrap().1.nullable);
}

#[test]
fn only_wider_types_are_taken() {
    let before = table(
        "CREATE TABLE t (i INT, u TINYINT UNSIGNED, r REAL, n DECIMAL(10, 2), d DATE, s VARCHAR(5))",
    );
    for (column, wider) in [
        ("i", "BIGINT"),
        ("i", "DOUBLE"),
        ("i", "DECIMAL(12, 2)"),
        ("u", "SMALLINT"),
        ("r", "DOUBLE"),
        ("n", "DECIMAL(14, 4)"),
        ("d", "TIMESTAMP"),
        ("s", "VARCHAR(6)"),
        ("s", "TEXT"),
    ] {
        let after = next(&before, &format!("ALTER {column} TYPE {wider}"));
        assert_eq!(after.column(column).unwrap().1.declared_type(), wider);
        assert!(what(&after).starts_with(&format!("widened column {column} from ")), "{wider}");
    }
    for (column, other, reason) in [
        ("i", "SMALLINT", "it may become BIGINT, DOUBLE, DECIMAL(p, s)"),
        ("i", "BIGINT UNSIGNED", "it may become BIGINT"),
        ("i", "TEXT", "add a column, UPDATE it"),
        ("n", "DECIMAL(12, 5)", "s of 2 or more and p - s of 8 or more"),
        ("s", "VARCHAR(4)", "only longer lengths"),
        ("s", "INT", "no other type holds every value"),
        ("d", "TIMESTAMPTZ", "it may become TIMESTAMP(0), TIMESTAMP(3), TIMESTAMP"),
    ] {
        let error = refused(&before, &format!("ALTER {column} TYPE {other}"));
        assert!(error.to_string().contains(reason), "{error}");
        assert_eq!(error.state(), SqlState::CannotCoerce, "{error}");
        assert!(error.position().is_some(), "{error}");
    }
    assert!(try_evolve(&before, "ALTER i TYPE INTEGER").unwrap().is_none());
}

#[test]
fn key_columns_keep_their_types_and_may_be_renamed() {
    for (sql, said) in [
        ("DROP id", "cannot be dropped"),
        ("ALTER id TYPE BIGINT", "cannot be given another type"),
        ("ALTER id DROP NOT NULL", "cannot be NULL"),
    ] {
        let error = refused(&usual(), sql);
        assert!(error.to_string().contains(said), "{error}");
        assert_eq!(error.state(), SqlState::InvalidTableDefinition);
    }
    let after = next(&usual(), "RENAME id TO number");
    assert_eq!(after.primary_key, usual().primary_key);
    assert_eq!(&*after.columns[0].name, "number");
}

#[test]
fn checks_follow_renamed_columns_and_hold_the_others() {
    let before = table("CREATE TABLE t (a INT CHECK (a > 0), b INT, CHECK (t.a < b), c TEXT)");
    let after = next(&before, "RENAME a TO \"A b\"");
    let texts: Vec<_> = after.checks.iter().map(|check| check.expression.as_str()).collect();
    assert_eq!(texts, ["\"A b\" > 0", "\"A b\" < b"]);
    for sql in ["DROP a", "ALTER b TYPE BIGINT"] {
        let error = refused(&before, sql);
        assert_eq!(error.kind(), ErrorKind::FailedPrecondition, "{error}");
        assert!(error.to_string().contains("t_check"), "{error}");
    }
    let evolution = evolved(&before, "DROP a CASCADE");
    assert!(evolution.definition.checks.is_empty() && evolution.cascade);
    let after = next(&before, "DROP CONSTRAINT t_check, ALTER b TYPE BIGINT");
    assert_eq!(after.checks.len(), 1);
    assert_eq!(after.column("b").unwrap().1.column_type, ColumnType::Int64);
}

#[test]
fn added_checks_speak_of_the_rows_there_are() {
    let evolution = evolved(&usual(), "ADD CHECK (a > 0), RENAME a TO z");
    assert_eq!(evolution.definition.checks[0].expression, "z > 0");
    assert_eq!(evolution.definition.checks[0].name, "t_a_check");
    assert_eq!(evolution.needs_checks[0].expression, "a > 0");
    let evolution = evolved(&usual(), "ADD CONSTRAINT n CHECK (a > 0), DROP CONSTRAINT n, DROP b");
    assert!(evolution.needs_checks.is_empty());
    for (sql, said) in [
        ("RENAME a TO z, ADD CHECK (z > 0)", "a statement of its own"),
        ("ADD d INT, ADD CHECK (d > 0)", "a statement of its own"),
        ("ADD CHECK (nothing > 0)", "column 'nothing' does not exist"),
        ("ADD CONSTRAINT n CHECK (a > 0), ADD CONSTRAINT n CHECK (a > 1)", "already exists"),
        ("DROP CONSTRAINT n", "constraint 'n' does not exist"),
    ] {
        let error = refused(&usual(), sql);
        assert!(error.to_string().contains(said), "{sql}: {error}");
    }
    assert!(try_evolve(&usual(), "DROP CONSTRAINT IF EXISTS n").unwrap().is_none());
}

#[test]
fn names_are_looked_up_one_operation_after_the_other() {
    let after = next(&usual(), "RENAME a TO x, RENAME b TO a, RENAME x TO b");
    assert_eq!(names(&after), ["id", "b", "a", "c"]);
    for (sql, said) in [
        ("DROP nothing", "column 'nothing' does not exist"),
        ("RENAME a TO b", "column 'b' already exists"),
        ("ADD b INT", "column 'b' already exists"),
        ("DROP a, ALTER a SET DEFAULT 5", "column 'a' does not exist"),
        ("RENAME a TO _row_id", "reserved for a system column"),
        ("RENAME TO other.t", "another namespace"),
    ] {
        let error = refused(&usual(), sql);
        assert!(error.to_string().contains(said), "{sql}: {error}");
    }
    for sql in
        ["DROP IF EXISTS nothing", "ADD IF NOT EXISTS a TEXT", "RENAME a TO a", "RENAME TO t"]
    {
        assert!(try_evolve(&usual(), sql).unwrap().is_none(), "{sql}");
    }
    let only = table("CREATE TABLE t (a INT)");
    assert!(refused(&only, "DROP a").to_string().contains("at least one column"));
    assert_eq!(names(&next(&only, "ADD b INT, DROP a")), ["b"]);
    assert_eq!(&*next(&usual(), "RENAME TO default.u").name, "u");
}

#[test]
fn options_change_where_rows_do_not_depend_on_them() {
    let after = next(&usual(), "SET (DURABILITY = 'interval:50ms', FLUSH_POLICY = 'rows:5')");
    assert_eq!(after.options.durability, Durability::Interval { interval_ms: 50 });
    assert_eq!(what(&after), "set DURABILITY = 'interval:50ms'; set FLUSH_POLICY = 'rows:5'");
    let untouched =
        TableOptions { durability: Durability::Sync, flush_policy: None, ..after.options };
    assert_eq!(untouched, usual().options);
    let error = refused(&usual(), "SET (TTL_SECONDS = 5)");
    assert!(error.to_string().contains("is for STREAM tables"), "{error}");
    assert!(try_evolve(&usual(), "SET (DURABILITY = 'sync')").unwrap().is_none());
}

#[test]
fn streams_change_as_far_as_their_stored_rows_bear_it() {
    let stream = TableDefinition {
        table_type: TableType::Stream,
        options: TableOptions {
            ttl_seconds: Some(60),
            deleted_retention_hours: 0,
            ..TableOptions::default()
        },
        ..table("CREATE TABLE t (a INT, b TEXT)")
    };
    let after = next(&stream, "ADD c INT DEFAULT 5, DROP b, RENAME a TO z, SET (TTL_SECONDS = 30)");
    assert_eq!(after.options.ttl_seconds, Some(30));
    assert_eq!(names(&after), ["z", "c"]);
    for (sql, said) in [
        ("SET (TTL_SECONDS = 61)", "a larger TTL_SECONDS than 60 is not supported"),
        ("SET (ACCESS_LEVEL = 'public')", "is for SHARED tables"),
        ("SET (FLUSH_POLICY = 'rows:5')", "flush_policy of a STREAM table"),
        ("SET (DELETED_RETENTION_HOURS = 5)", "is not for STREAM tables"),
        ("ALTER a SET NOT NULL", "SET NOT NULL of a STREAM table"),
    ] {
        let error = refused(&stream, sql);
        assert!(error.to_string().contains(said), "{sql}: {error}");
    }
}
