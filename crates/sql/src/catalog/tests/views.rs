//! Views: made, replaced, in the way of others, dropped, and still there after a restart.

use std::sync::Arc;

use kalamdb_commons::{ColumnDefinition, ColumnId, ColumnType, ErrorKind, Role, TableId};

use super::{Database, create, principal, root};
use crate::{CreateView, NewView, SqlError, Statement, TableName, VIEW_DEPTH_MAX, parse};

fn view(sql: &str) -> CreateView {
    match parse(sql).unwrap().remove(0).statement {
        Statement::CreateView(view) => *view,
        other => panic!("{other:?}"),
    }
}

fn table(database: &Database, name: &str) -> TableId {
    let table = create(&format!("CREATE TABLE {name} (a INT)"));
    database.catalog.create_table(&root(), "default", &table).unwrap().definition.id
}

/// Creates a view of one column as if planning had found that it reads `reads`.
fn put(database: &Database, sql: &str, reads: &[TableId]) -> Result<TableId, SqlError> {
    let columns = vec![ColumnDefinition::new(ColumnId(1), "a", ColumnType::Int32)];
    put_columns(database, sql, reads, columns)
}

fn put_columns(
    database: &Database,
    sql: &str,
    reads: &[TableId],
    columns: Vec<ColumnDefinition>,
) -> Result<TableId, SqlError> {
    let catalog = &database.catalog;
    let (view, new) = (view(sql), NewView { columns, reads: reads.to_vec() });
    catalog.create_view(&root(), "default", &view, new, &catalog.snapshot())?;
    Ok(catalog.snapshot().view("default", &view.name.table).unwrap().definition.id)
}

fn names(database: &Database) -> Vec<String> {
    let snapshot = database.catalog.snapshot();
    snapshot.views().map(|view| view.definition.qualified_name()).collect()
}

#[test]
fn the_text_of_the_query_is_kept_as_it_was_written() {
    for (sql, text) in [
        ("CREATE VIEW v AS SELECT  1", "SELECT  1"),
        (
            "SELECT 0;\n  CREATE VIEW \"ü\" (a)\nAS\n /* c */ (SELECT 'é', -- x\n 2) ;",
            "(SELECT 'é', -- x\n 2)",
        ),
        (
            "create or replace view v as with x as (select 1) select * from x",
            "with x as (select 1) select * from x",
        ),
    ] {
        let statement = parse(sql).unwrap().pop().unwrap().statement;
        let Statement::CreateView(view) = statement else { panic!("{sql}") };
        assert_eq!(view.text, text, "{sql}");
    }
}

#[test]
fn views_survive_a_restart_and_keep_their_numbers() {
    let database = Database::new();
    let t = table(&database, "t");
    let id = put(&database, "CREATE VIEW v (a) COMMENT 'c' AS SELECT a FROM t", &[t]).unwrap();
    let over = put(&database, "CREATE VIEW w AS SELECT * FROM v", &[id]).unwrap();
    let again = put(&database, "CREATE OR REPLACE VIEW v AS SELECT 2 AS a", &[]).unwrap();
    assert_eq!(again, id);
    let before = database.catalog.snapshot();
    let database = database.reopen();
    let after = database.catalog.snapshot();
    assert_eq!(names(&database), ["default.v", "default.w"]);
    for id in [id, over] {
        let (before, after) = (before.view_by_id(id).unwrap(), after.view_by_id(id).unwrap());
        assert_eq!(before.definition, after.definition);
        assert!(after.query().is_ok());
    }
    let next = table(&database, "u");
    assert!(next > over, "{next} was given to a view before");
}

#[test]
fn a_name_is_a_tables_or_a_views() {
    let database = Database::new();
    let t = table(&database, "t");
    put(&database, "CREATE VIEW v AS SELECT 1 AS a", &[]).unwrap();
    for (sql, message) in [
        ("CREATE VIEW t AS SELECT 1 AS a", "table 'default.t' already exists"),
        ("CREATE OR REPLACE VIEW t AS SELECT 1 AS a", "table 'default.t' already exists"),
        ("CREATE VIEW v AS SELECT 1 AS a", "view 'default.v' already exists"),
    ] {
        let error = put(&database, sql, &[t]).unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::AlreadyExists, message));
    }
    let catalog = &database.catalog;
    for sql in ["CREATE TABLE v (a INT)", "CREATE TABLE IF NOT EXISTS v (a INT)"] {
        let error = catalog.create_table(&root(), "default", &create(sql)).unwrap_err();
        assert_eq!(error.to_string(), "view 'default.v' already exists", "{sql}");
    }
    let error = catalog.stage_table(&root(), "default", &create("CREATE TABLE v (a INT)"));
    assert_eq!(error.unwrap_err().kind(), ErrorKind::AlreadyExists);
    let (v, t) = (TableName::bare("v"), TableName::bare("t"));
    let error = catalog.drop_table(&root(), "default", &v, true, true).unwrap_err();
    assert_eq!(error.to_string(), "'default.v' is a view, use DROP VIEW");
    let error = catalog.drop_view(&root(), "default", &t, true, true).unwrap_err();
    assert_eq!(error.to_string(), "'default.t' is a table, use DROP TABLE");
}

#[test]
fn what_views_read_goes_with_them_or_not_at_all() {
    let database = Database::new();
    let catalog = &database.catalog;
    let (t, u) = (table(&database, "t"), table(&database, "u"));
    let v = put(&database, "CREATE VIEW v AS SELECT a FROM t", &[t]).unwrap();
    put(&database, "CREATE VIEW w AS SELECT a FROM v", &[v]).unwrap();
    put(&database, "CREATE VIEW x AS SELECT a FROM u", &[u]).unwrap();
    let name = TableName::bare("t");
    let error = catalog.drop_table(&root(), "default", &name, false, false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FailedPrecondition);
    assert_eq!(
        error.to_string(),
        "table 'default.t' is read by views default.v, default.w, drop them first or add CASCADE"
    );
    // Nor does it give way to another of its name.
    let (staged, _) =
        catalog.stage_table(&root(), "default", &create("CREATE TABLE t (b INT)")).unwrap();
    let error = catalog.publish_table(&root(), &staged, None, true).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FailedPrecondition);
    let error = catalog.drop_view(&root(), "default", &TableName::bare("v"), false, false);
    assert_eq!(error.unwrap_err().kind(), ErrorKind::FailedPrecondition);
    assert!(catalog.drop_table(&root(), "default", &name, false, true).unwrap());
    assert_eq!(names(&database), ["default.x"]);
    let database = database.reopen();
    assert_eq!(names(&database), ["default.x"]);
}

#[test]
fn a_namespace_takes_the_views_that_read_it_along() {
    let database = Database::new();
    let catalog = &database.catalog;
    catalog.create_namespace(&root(), "n", false).unwrap();
    let made = catalog.create_table(&root(), "n", &create("CREATE TABLE t (a INT)")).unwrap();
    put(&database, "CREATE VIEW outside AS SELECT a FROM n.t", &[made.definition.id]).unwrap();
    let new = NewView { columns: Vec::new(), reads: Vec::new() };
    let inside = view("CREATE VIEW n.v AS SELECT 1");
    catalog.create_view(&root(), "default", &inside, new, &catalog.snapshot()).unwrap();
    let error = catalog.drop_namespace(&root(), "n", false, false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FailedPrecondition);
    catalog.drop_namespace(&root(), "n", false, true).unwrap();
    assert_eq!(names(&database), Vec::<String>::new());
    assert_eq!(names(&database.reopen()), Vec::<String>::new());
}

#[test]
fn a_view_reads_neither_itself_nor_through_too_many_others() {
    let database = Database::new();
    let mut below = put(&database, "CREATE VIEW v1 AS SELECT 1 AS a", &[]).unwrap();
    let first = below;
    for depth in 2..=VIEW_DEPTH_MAX {
        below = put(&database, &format!("CREATE VIEW v{depth} AS SELECT 1"), &[below]).unwrap();
    }
    let error = put(&database, "CREATE VIEW v AS SELECT 1", &[below]).unwrap_err();
    assert!(error.to_string().contains("views that read each other"), "{error}");
    // Nor may one below grow.
    let other = put(&database, "CREATE VIEW other AS SELECT 1", &[]).unwrap();
    let error = put(&database, "CREATE OR REPLACE VIEW v1 AS SELECT 1", &[other]).unwrap_err();
    assert!(error.to_string().contains("views that read each other"), "{error}");
    for reads in [below, first] {
        let error = put(&database, "CREATE OR REPLACE VIEW v1 AS SELECT 1", &[reads]).unwrap_err();
        assert_eq!(error.to_string(), "view default.v1 would read itself");
    }
}

#[test]
fn a_view_that_others_read_keeps_its_columns() {
    let database = Database::new();
    let v = put(&database, "CREATE VIEW v AS SELECT 1 AS a", &[]).unwrap();
    put(&database, "CREATE VIEW w AS SELECT a FROM v", &[v]).unwrap();
    let column = |name: &str, column_type| ColumnDefinition::new(ColumnId(1), name, column_type);
    let replace =
        |columns| put_columns(&database, "CREATE OR REPLACE VIEW v AS SELECT 2", &[], columns);
    for columns in [
        vec![column("b", ColumnType::Int32)],
        vec![column("a", ColumnType::Text)],
        vec![column("b", ColumnType::Text), column("a", ColumnType::Int32)],
    ] {
        assert_eq!(replace(columns).unwrap_err().kind(), ErrorKind::FailedPrecondition);
    }
    replace(vec![column("a", ColumnType::Int32), column("b", ColumnType::Text)]).unwrap();
    let repeated = vec![column("a", ColumnType::Int32), column("a", ColumnType::Int32)];
    let error = replace(repeated).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_view_planned_before_what_it_reads_changed_is_planned_again() {
    let database = Database::new();
    let catalog = &database.catalog;
    let t = table(&database, "t");
    let before = catalog.snapshot();
    catalog.drop_table(&root(), "default", &TableName::bare("t"), false, false).unwrap();
    table(&database, "t");
    let new = NewView { columns: Vec::new(), reads: vec![t] };
    let late = view("CREATE VIEW v AS SELECT a FROM t");
    let error = catalog.create_view(&root(), "default", &late, new, &before).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
}

#[test]
fn cascade_takes_only_what_one_may_drop() {
    let database = Database::new();
    let catalog = &database.catalog;
    let service = principal(Role::Service);
    let made = create("CREATE TABLE t (a INT)");
    let t = catalog.create_table(&service, "default", &made).unwrap().definition.id;
    let put = |who: &kalamdb_commons::Principal, name: &str, reads: TableId| {
        let new = NewView { columns: Vec::new(), reads: vec![reads] };
        let sql = format!("CREATE VIEW {name} AS SELECT 1");
        catalog.create_view(who, "default", &view(&sql), new, &catalog.snapshot()).unwrap();
        catalog.snapshot().view("default", name).unwrap().definition.id
    };
    let own = put(&service, "own", t);
    put(&root(), "of_root", own);
    let (table, outer) = (TableName::bare("t"), TableName::bare("of_root"));
    for error in [
        catalog.drop_table(&service, "default", &table, false, true).unwrap_err(),
        catalog.drop_view(&service, "default", &TableName::bare("own"), false, true).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        assert!(error.to_string().contains("the view default.of_root"), "{error}");
    }
    // Without CASCADE it is told what stands in the way, and what that is called.
    let error = catalog.drop_table(&service, "default", &table, false, false).unwrap_err();
    assert_eq!((error.kind(), error.state().code()), (ErrorKind::FailedPrecondition, "2BP01"));
    assert_eq!(names(&database), ["default.of_root", "default.own"]);
    assert!(catalog.drop_view(&root(), "default", &outer, false, false).unwrap());
    assert!(catalog.drop_table(&service, "default", &table, false, true).unwrap());
    assert_eq!(names(&database), Vec::<String>::new());
}

#[test]
fn a_view_that_is_there_or_not_has_the_codes_of_tables() {
    let database = Database::new();
    put(&database, "CREATE VIEW v AS SELECT 1 AS a", &[]).unwrap();
    let exists = put(&database, "CREATE VIEW v AS SELECT 1 AS a", &[]).unwrap_err();
    let name = TableName::bare("x");
    let missing = database.catalog.drop_view(&root(), "default", &name, false, false);
    assert_eq!((exists.state().code(), missing.unwrap_err().state().code()), ("42P07", "42P01"));
}

#[test]
fn views_show_nobody_what_is_hidden() {
    let database = Database::new();
    let catalog = &database.catalog;
    catalog.create_namespace(&root(), "n", false).unwrap();
    let sql = "CREATE TABLE n.t (a INT) WITH (ACCESS_LEVEL = 'private')";
    let hidden = catalog.create_table(&root(), "default", &create(sql)).unwrap();
    let service = principal(Role::Service);
    let put = |name: &str, reads: Vec<TableId>| {
        let new = NewView { columns: Vec::new(), reads };
        let sql = format!("CREATE VIEW n.{name} AS SELECT 1");
        catalog.create_view(&service, "default", &view(&sql), new, &catalog.snapshot()).unwrap();
        catalog.snapshot().view("n", name).unwrap().definition.id
    };
    let v = put("v", vec![hidden.definition.id]);
    put("w", vec![v]);
    let (user, snapshot) = (principal(Role::User), catalog.snapshot());
    assert_eq!(snapshot.visible_views(&user).len(), 0);
    assert_eq!(snapshot.visible_views(&service).len(), 2);
    assert!(!snapshot.visible_namespaces(&user).iter().any(|n| &*n.name == "n"));
    for name in ["v", "w"] {
        let name = TableName::qualified("n", name);
        let error = snapshot.shown_view(&user, "default", &name).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(snapshot.shown_view(&service, "default", &name).is_ok());
    }
    let new = NewView { columns: Vec::new(), reads: Vec::new() };
    let denied =
        catalog.create_view(&user, "default", &view("CREATE VIEW u AS SELECT 1"), new, &snapshot);
    assert_eq!(denied.unwrap_err().kind(), ErrorKind::PermissionDenied);
    // Who made it may drop it, another of the same role may not.
    let other = kalamdb_commons::Principal {
        user_id: kalamdb_commons::UserId::new("another"),
        user_name: Arc::from("another"),
        role: Role::Service,
    };
    let name = TableName::qualified("n", "w");
    let denied = catalog.drop_view(&other, "default", &name, false, false).unwrap_err();
    assert_eq!(denied.kind(), ErrorKind::PermissionDenied);
    assert!(catalog.drop_view(&service, "default", &name, false, false).unwrap());
}
