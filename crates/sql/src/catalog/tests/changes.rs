//! Comments and renamed namespaces: kept, and without a new version of a table; and what views
//! have to do with it.

use kalamdb_commons::{ErrorKind, Principal, Role, TableId};

use super::{Database, create, principal, root};
use crate::{Catalog, CommentObject, NamespaceChange, NewView, Statement, TableName, parse};

fn rename(database: &Database, from: &str, to: &str) -> Result<(), crate::SqlError> {
    let change = NamespaceChange::Rename(to.to_owned());
    database.catalog.alter_namespace(&root(), from, &change)
}

/// Creates a view as if planning had found that it reads `reads`.
fn put_view(catalog: &Catalog, sql: &str, reads: Vec<TableId>) {
    let Statement::CreateView(view) = parse(sql).unwrap().remove(0).statement else {
        panic!("{sql}")
    };
    let new = NewView { columns: Vec::new(), reads };
    catalog.create_view(&root(), "default", &view, new, &catalog.snapshot()).unwrap();
}

#[test]
fn a_renamed_namespace_keeps_ids_and_tables_for_good() {
    let database = Database::new();
    let catalog = &database.catalog;
    catalog.create_namespace_with_comment(&root(), "n", false, Some("kept")).unwrap();
    let before = catalog.snapshot().namespace("n").unwrap().id;
    let table = catalog.create_table(&root(), "n", &create("CREATE TABLE t (a INT)")).unwrap();
    rename(&database, "n", "m").unwrap();
    let check = |database: &Database| {
        let snapshot = database.catalog.snapshot();
        assert!(snapshot.namespace("n").is_none() && snapshot.table("n", "t").is_none());
        let namespace = snapshot.namespace("m").unwrap();
        assert_eq!((namespace.id, namespace.comment.as_deref()), (before, Some("kept")));
        let found = snapshot.table("m", "t").unwrap();
        assert_eq!(found.definition.id, table.definition.id);
        assert_eq!(found.definition.schema_version, 1);
        assert_eq!(found.definition.qualified_name(), "m.t");
        assert_eq!(found.layout.definition().qualified_name(), "m.t");
        assert_eq!(snapshot.table_by_id(table.definition.id).unwrap().definition, found.definition);
    };
    check(&database);
    let database = database.reopen();
    check(&database);
    // The old name is free.
    database.catalog.create_namespace(&root(), "n", false).unwrap();
    assert_eq!(rename(&database, "n", "m").unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(rename(&database, "x", "y").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(rename(&database, "default", "y").unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(rename(&database, "n", "system").unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_namespace_that_views_name_keeps_its_name() {
    let database = Database::new();
    let catalog = &database.catalog;
    for name in ["n", "m"] {
        catalog.create_namespace(&root(), name, false).unwrap();
    }
    let table = catalog.create_table(&root(), "n", &create("CREATE TABLE t (a INT)")).unwrap();
    put_view(catalog, "CREATE VIEW n.inside AS SELECT 1", Vec::new());
    put_view(catalog, "CREATE VIEW m.outside AS SELECT a FROM n.t", vec![table.definition.id]);
    let outside = catalog.snapshot().view("m", "outside").unwrap().definition.id;
    put_view(catalog, "CREATE VIEW default.over AS SELECT a FROM m.outside", vec![outside]);
    let error = rename(&database, "n", "x").unwrap_err();
    assert_eq!((error.kind(), error.state().code()), (ErrorKind::FailedPrecondition, "2BP01"));
    for part in ["views n.inside, m.outside, default.over", "drop them first"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    let error = rename(&database, "m", "x").unwrap_err();
    assert!(error.to_string().contains("views m.outside, default.over"), "{error}");
    // Nothing has happened, and nothing has after a restart.
    let database = database.reopen();
    let catalog = &database.catalog;
    let snapshot = catalog.snapshot();
    assert_eq!(snapshot.views().count(), 3);
    assert!(snapshot.view("n", "inside").is_some() && snapshot.table("n", "t").is_some());
    let drop = |name: TableName| catalog.drop_view(&root(), "default", &name, false, true).unwrap();
    drop(TableName::qualified("m", "outside"));
    assert!(rename(&database, "n", "x").is_err());
    rename(&database, "m", "y").unwrap();
    drop(TableName::qualified("n", "inside"));
    rename(&database, "n", "x").unwrap();
    let database = database.reopen();
    let snapshot = database.catalog.snapshot();
    assert!(snapshot.table("x", "t").is_some() && snapshot.namespace("y").is_some());
}

#[test]
fn a_stored_view_without_a_place_is_left_out() {
    let database = Database::new();
    let catalog = &database.catalog;
    catalog.create_namespace(&root(), "n", false).unwrap();
    let table = create("CREATE TABLE taken (a INT)");
    catalog.create_table(&root(), "default", &table).unwrap();
    put_view(catalog, "CREATE VIEW default.v AS SELECT 1", Vec::new());
    put_view(catalog, "CREATE VIEW n.v AS SELECT 1", Vec::new());
    put_view(catalog, "CREATE VIEW default.w AS SELECT 1", Vec::new());
    let (lost, hidden) = {
        let snapshot = catalog.snapshot();
        let mut lost = snapshot.view("n", "v").unwrap().definition.clone();
        lost.namespace = "gone".into();
        let mut hidden = snapshot.view("default", "w").unwrap().definition.clone();
        hidden.name = "taken".into();
        (lost, hidden)
    };
    let put = |view: &kalamdb_commons::ViewDefinition| catalog.views.put_op(&view.id, view);
    let request = kalamdb_store::CommitRequest {
        catalog: vec![put(&lost).unwrap(), put(&hidden).unwrap()],
        ..Default::default()
    };
    database.store.committer().commit_blocking(request).unwrap();
    let database = database.reopen();
    let snapshot = database.catalog.snapshot();
    let names: Vec<_> = snapshot.views().map(|view| view.definition.qualified_name()).collect();
    assert_eq!(names, ["default.v"]);
    assert!(snapshot.table("default", "taken").is_some());
    // Numbers of theirs are not given again.
    put_view(&database.catalog, "CREATE VIEW n.v AS SELECT 2", Vec::new());
    let next = database.catalog.snapshot().view("n", "v").unwrap().definition.id;
    assert!(next > lost.id && next > hidden.id);
}

#[test]
fn views_have_comments_too() {
    let database = Database::new();
    let catalog = &database.catalog;
    put_view(catalog, "CREATE VIEW default.v AS SELECT 1", Vec::new());
    catalog.create_table(&root(), "default", &create("CREATE TABLE t (a INT)")).unwrap();
    let comment = |who: Principal, object: &CommentObject| {
        catalog.comment_on(&who, "default", object, Some("about v"))
    };
    let v = || TableName::bare("v");
    comment(root(), &CommentObject::View(v())).unwrap();
    let other = comment(principal(Role::Service), &CommentObject::View(v()));
    assert_eq!(other.unwrap_err().kind(), ErrorKind::PermissionDenied);
    for (object, message) in [
        (CommentObject::Table(v()), "'default.v' is a view, use COMMENT ON VIEW"),
        (
            CommentObject::Column(v(), "a".to_owned()),
            "'default.v' is a view, comment on the columns of the tables it reads",
        ),
        (CommentObject::View(TableName::bare("t")), "'default.t' is a table, use COMMENT ON TABLE"),
        (CommentObject::View(TableName::bare("nothing")), "view 'default.nothing' does not exist"),
    ] {
        assert_eq!(comment(root(), &object).unwrap_err().to_string(), message);
    }
    let database = database.reopen();
    let snapshot = database.catalog.snapshot();
    let view = snapshot.view("default", "v").unwrap();
    assert_eq!(view.definition.comment.as_deref(), Some("about v"));
}

#[test]
fn comments_are_kept_and_make_no_new_version() {
    let database = Database::new();
    let catalog = &database.catalog;
    catalog.create_table(&root(), "default", &create("CREATE TABLE t (a INT, b TEXT)")).unwrap();
    let table = TableName::bare("t");
    let column = CommentObject::Column(table.clone(), "b".to_owned());
    let table = CommentObject::Table(table);
    catalog.comment_on(&root(), "default", &table, Some("about t")).unwrap();
    catalog.comment_on(&root(), "default", &column, Some("about b")).unwrap();
    let database = database.reopen();
    let snapshot = database.catalog.snapshot();
    let definition = &snapshot.table("default", "t").unwrap().definition;
    assert_eq!(definition.comment.as_deref(), Some("about t"));
    assert_eq!(definition.columns[1].comment.as_deref(), Some("about b"));
    assert_eq!(definition.schema_version, 1);
    database.catalog.comment_on(&root(), "default", &table, None).unwrap();
    let snapshot = database.catalog.snapshot();
    assert_eq!(snapshot.table("default", "t").unwrap().definition.comment, None);
}

#[test]
fn who_may_not_alter_may_not_comment_or_rename() {
    let database = Database::new();
    let catalog = &database.catalog;
    catalog.create_table(&root(), "default", &create("CREATE USER TABLE t (a INT)")).unwrap();
    let user = principal(Role::User);
    let objects = [
        CommentObject::Table(TableName::bare("t")),
        CommentObject::Column(TableName::bare("t"), "a".to_owned()),
        CommentObject::Namespace("default".to_owned()),
    ];
    for object in objects {
        let error = catalog.comment_on(&user, "default", &object, Some("x")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{object:?}");
    }
    catalog.create_namespace(&root(), "n", false).unwrap();
    let change = NamespaceChange::Rename("m".to_owned());
    let error = catalog.alter_namespace(&user, "n", &change).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
}
