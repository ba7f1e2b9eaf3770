//! ALTER TABLE in the catalog: planned, committed, found again after a restart.

use std::sync::Arc;

use kalamdb_commons::{ErrorKind, Principal, Role, TableDefinition};

use super::{Database, create, principal, root};
use crate::{AlterTable, Catalog, PlannedAlter, SqlError, Statement, TableName, parse};

fn alter(sql: &str) -> AlterTable {
    match parse(sql).unwrap().remove(0).statement {
        Statement::AlterTable(alter) => *alter,
        other => panic!("{sql}: {other:?}"),
    }
}

fn plan(catalog: &Catalog, who: &Principal, sql: &str) -> Result<Option<PlannedAlter>, SqlError> {
    let alter = alter(sql);
    let fills = vec![None; alter.operations.len()];
    catalog.plan_alter(who, "default", &alter, &fills)
}

fn run(catalog: &Catalog, sql: &str) {
    let planned = plan(catalog, &root(), sql).unwrap().unwrap();
    catalog.commit_alter(&root(), &planned, None).unwrap();
}

fn versions(catalog: &Catalog, name: &str) -> Vec<Arc<TableDefinition>> {
    let snapshot = catalog.snapshot();
    snapshot.table("default", name).unwrap().versions().cloned().collect()
}

fn changes(versions: &[Arc<TableDefinition>]) -> Vec<&str> {
    let changes = versions.iter().filter_map(|version| version.change.as_ref());
    changes.map(|change| change.what.as_str()).collect()
}

#[test]
fn every_version_is_kept_over_a_restart_and_goes_with_the_table() {
    let database = Database::new();
    let catalog = &database.catalog;
    let table = create("CREATE TABLE t (id INT PRIMARY KEY, a INT, b TEXT)");
    let first = catalog.create_table(&root(), "default", &table).unwrap();
    run(catalog, "ALTER TABLE t DROP b, RENAME a TO z");
    run(catalog, "ALTER TABLE t RENAME TO u");
    run(catalog, "ALTER TABLE u ADD b TEXT");
    let before = versions(catalog, "u");
    let numbers: Vec<_> = before.iter().map(|version| version.schema_version).collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
    assert_eq!(before[0], first.definition);
    assert_eq!(
        changes(&before),
        ["dropped column b; renamed column a to z", "renamed table t to u", "added column b TEXT"]
    );
    let id = first.definition.id;
    assert_eq!(catalog.snapshot().older_versions(id), &before[..3]);
    assert!(catalog.snapshot().table("default", "t").is_none());

    let database = database.reopen();
    let catalog = &database.catalog;
    assert_eq!(versions(catalog, "u"), before);
    assert_eq!(catalog.snapshot().older_versions(id), &before[..3]);
    // A comment is no version, and takes none away.
    let object = crate::CommentObject::Table(TableName::bare("u"));
    catalog.comment_on(&root(), "default", &object, Some("about u")).unwrap();
    assert_eq!(versions(catalog, "u").len(), 4);
    catalog.drop_table(&root(), "default", &TableName::bare("u"), false, false).unwrap();
    assert!(catalog.snapshot().older_versions(id).is_empty());
    let database = database.reopen();
    assert_eq!(database.catalog.snapshot().tables().count(), 0);
}

#[test]
fn a_renamed_namespace_renames_every_version() {
    let database = Database::new();
    let catalog = &database.catalog;
    catalog.create_namespace(&root(), "n", false).unwrap();
    catalog.create_table(&root(), "n", &create("CREATE TABLE n.t (a INT, b INT)")).unwrap();
    run(catalog, "ALTER TABLE n.t DROP b");
    let rename = crate::NamespaceChange::Rename("m".to_owned());
    catalog.alter_namespace(&root(), "n", &rename).unwrap();
    let database = database.reopen();
    let snapshot = database.catalog.snapshot();
    let names: Vec<_> = snapshot
        .table("m", "t")
        .unwrap()
        .versions()
        .map(|version| version.qualified_name())
        .collect();
    assert_eq!(names, ["m.t", "m.t"]);
}

#[test]
fn altering_takes_the_right_to_drop() {
    let database = Database::new();
    let catalog = &database.catalog;
    let service = principal(Role::Service);
    catalog.create_table(&root(), "default", &create("CREATE TABLE t (a INT)")).unwrap();
    catalog.create_table(&service, "default", &create("CREATE TABLE own (a INT)")).unwrap();
    catalog.create_table(&root(), "default", &create("CREATE USER TABLE u (a INT)")).unwrap();
    let kind =
        |who: Role, sql: &str| plan(catalog, &principal(who), sql).err().map(|error| error.kind());
    assert_eq!(kind(Role::Service, "ALTER TABLE own ADD b INT"), None);
    assert_eq!(kind(Role::Dba, "ALTER TABLE t ADD b INT"), None);
    let denied = Some(ErrorKind::PermissionDenied);
    assert_eq!(kind(Role::Service, "ALTER TABLE t ADD b INT"), denied);
    assert_eq!(kind(Role::User, "ALTER TABLE u ADD b INT"), denied);
    // What one may not read is not there.
    assert_eq!(kind(Role::User, "ALTER TABLE t ADD b INT"), Some(ErrorKind::NotFound));
    assert_eq!(kind(Role::Dba, "ALTER TABLE nothing ADD b INT"), Some(ErrorKind::NotFound));
    let missing = plan(catalog, &root(), "ALTER TABLE IF EXISTS nothing ADD b INT").unwrap();
    assert!(missing.is_none());
    assert!(kind(Role::System, "ALTER TABLE system.tables ADD b INT").is_some());
}

#[test]
fn a_plan_holds_as_long_as_the_table_does() {
    let database = Database::new();
    let catalog = &database.catalog;
    catalog.create_table(&root(), "default", &create("CREATE TABLE t (a INT, b INT)")).unwrap();
    let first = plan(catalog, &root(), "ALTER TABLE t ADD c INT").unwrap().unwrap();
    let second = plan(catalog, &root(), "ALTER TABLE t ADD c INT").unwrap().unwrap();
    catalog.commit_alter(&root(), &first, None).unwrap();
    let error = catalog.commit_alter(&root(), &second, None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert_eq!(versions(catalog, "t").len(), 2);

    // Rows must be looked at where the next version speaks of them.
    let not_null = plan(catalog, &root(), "ALTER TABLE t ALTER a SET NOT NULL").unwrap().unwrap();
    assert!(not_null.needs_rows());
    assert!(catalog.commit_alter(&root(), &not_null, None).is_err());
    let seq = database.store.view().unwrap().commit_seq();
    catalog.commit_alter(&root(), &not_null, Some(seq)).unwrap();
    assert!(!versions(catalog, "t")[2].columns[0].nullable);
}

#[test]
fn a_new_name_must_be_free_when_it_is_taken() {
    let database = Database::new();
    let catalog = &database.catalog;
    catalog.create_table(&root(), "default", &create("CREATE TABLE t (a INT)")).unwrap();
    let planned = plan(catalog, &root(), "ALTER TABLE t RENAME TO u").unwrap().unwrap();
    catalog.create_table(&root(), "default", &create("CREATE TABLE u (a INT)")).unwrap();
    let late = catalog.commit_alter(&root(), &planned, None).unwrap_err();
    assert_eq!(late.kind(), ErrorKind::AlreadyExists);
    let early = plan(catalog, &root(), "ALTER TABLE t RENAME TO u").unwrap_err();
    assert_eq!(early.kind(), ErrorKind::AlreadyExists);
}
