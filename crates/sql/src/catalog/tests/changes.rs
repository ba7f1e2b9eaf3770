//! Comments and renamed namespaces: kept, and without a new version of a table.

use kalamdb_commons::{ErrorKind, Role};

use super::{Database, create, principal, root};
use crate::{CommentObject, NamespaceChange, TableName};

fn rename(database: &Database, from: &str, to: &str) -> Result<(), crate::SqlError> {
    let change = NamespaceChange::Rename(to.to_owned());
    database.catalog.alter_namespace(&root(), from, &change)
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
