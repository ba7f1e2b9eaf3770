//! Namespaces and tables: made, found, dropped, and still so after a restart.

use std::sync::Arc;

use kalamdb_commons::{ErrorKind, TableId};

use super::{Database, create, root};
use crate::{DEFAULT_NAMESPACE, TableName};

fn names(database: &Database) -> Vec<String> {
    database.catalog.snapshot().tables().map(|table| table.definition.qualified_name()).collect()
}

#[test]
fn a_fresh_database_has_the_default_namespace_and_nothing_else() {
    let database = Database::new();
    let snapshot = database.catalog.snapshot();
    let namespaces: Vec<_> = snapshot.namespaces().map(|namespace| &*namespace.name).collect();
    assert_eq!(namespaces, [DEFAULT_NAMESPACE]);
    assert_eq!(snapshot.tables().count(), 0);
    assert_eq!(snapshot.users().count(), 0);
}

#[test]
fn the_catalog_survives_a_restart() {
    let database = Database::new();
    let catalog = &database.catalog;
    assert!(catalog.create_namespace(&root(), "flights", false).unwrap());
    let sql = "CREATE TABLE flights.\"naïve 表\" (id BIGINT, \"a b\" TEXT DEFAULT 'x', s INT[], \
               PRIMARY KEY (id)) COMMENT 'c' WITH (ACCESS_LEVEL = 'public')";
    let made = catalog.create_table(&root(), DEFAULT_NAMESPACE, &create(sql)).unwrap();
    catalog.create_table(&root(), DEFAULT_NAMESPACE, &create("CREATE TABLE t (foo INT)")).unwrap();
    let before = catalog.snapshot();

    let database = database.reopen();
    let after = database.catalog.snapshot();
    assert_eq!(names(&database), ["default.t", "flights.naïve 表"]);
    assert!(before.namespaces().eq(after.namespaces()));
    let found = after.table("flights", "naïve 表").unwrap();
    assert_eq!(found.definition, made.definition);
    assert_eq!(after.table_by_id(made.definition.id).unwrap().definition, made.definition);
    assert_eq!(found.layout.definition(), &made.definition);
}

#[test]
fn ids_are_never_given_out_twice() {
    let mut database = Database::new();
    let mut seen: Vec<TableId> = Vec::new();
    for round in 0..6 {
        let catalog = &database.catalog;
        let table =
            catalog.create_table(&root(), "default", &create("CREATE TABLE t (a INT)")).unwrap();
        assert!(!seen.contains(&table.definition.id), "{seen:?}");
        seen.push(table.definition.id);
        catalog.drop_table(&root(), "default", &TableName::bare("t"), false, false).unwrap();
        catalog.create_namespace(&root(), "n", false).unwrap();
        let id = catalog.snapshot().namespace("n").unwrap().id;
        assert_eq!(id.0, round + 2);
        catalog.drop_namespace(&root(), "n", false, false).unwrap();
        if round % 2 == 0 {
            database = database.reopen();
        }
    }
}

#[test]
fn if_exists_and_if_not_exists_forgive() {
    let database = Database::new();
    let catalog = &database.catalog;
    let table = create("CREATE TABLE t (a INT)");
    let first = catalog.create_table(&root(), "default", &table).unwrap();
    let error = catalog.create_table(&root(), "default", &table).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert_eq!(error.to_string(), "table 'default.t' already exists");
    let again = create("CREATE TABLE IF NOT EXISTS t (b TEXT)");
    assert!(Arc::ptr_eq(&first, &catalog.create_table(&root(), "default", &again).unwrap()));

    let name = TableName::bare("tt");
    let error = catalog.drop_table(&root(), "default", &name, false, false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.to_string(), "table 'default.tt' does not exist, did you mean 't'?");
    assert!(!catalog.drop_table(&root(), "default", &name, true, false).unwrap());
    assert!(catalog.drop_table(&root(), "default", &TableName::bare("t"), true, false).unwrap());

    catalog.create_namespace(&root(), "n", false).unwrap();
    assert!(!catalog.create_namespace(&root(), "n", true).unwrap());
    let error = catalog.create_namespace(&root(), "n", false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert!(!catalog.drop_namespace(&root(), "nn", true, false).unwrap());
    let error = catalog.drop_namespace(&root(), "nn", false, false).unwrap_err();
    assert_eq!(error.to_string(), "namespace 'nn' does not exist, did you mean 'n'?");
}

#[test]
fn a_namespace_with_tables_is_dropped_only_by_cascade() {
    let database = Database::new();
    let catalog = &database.catalog;
    catalog.create_namespace(&root(), "n", false).unwrap();
    let mut ids = Vec::new();
    for name in ["a", "b"] {
        let sql = format!("CREATE TABLE n.{name} (x INT)");
        ids.push(catalog.create_table(&root(), "default", &create(&sql)).unwrap().definition.id);
    }
    let error = catalog.drop_namespace(&root(), "n", false, false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FailedPrecondition);
    assert!(error.to_string().contains("holds 2 table(s)"), "{error}");
    assert!(catalog.drop_namespace(&root(), "n", false, true).unwrap());
    let snapshot = catalog.snapshot();
    assert!(snapshot.namespace("n").is_none());
    assert!(ids.iter().all(|id| snapshot.table_by_id(*id).is_none()));
    let database = database.reopen();
    assert!(names(&database).is_empty());
    assert!(database.catalog.snapshot().namespace("n").is_none());
}

#[test]
fn replacing_a_table_gives_it_a_new_id_at_once() {
    let database = Database::new();
    let catalog = &database.catalog;
    let first =
        catalog.create_table(&root(), "default", &create("CREATE TABLE t (a INT)")).unwrap();
    let version = catalog.snapshot().version();
    let replacement = create("CREATE TABLE t (b TEXT)");
    let (second, staged) = catalog.stage_table(&root(), "default", &replacement).unwrap();
    assert_eq!(staged.table("default", "t").unwrap().definition, second.definition);
    assert_eq!(catalog.snapshot().table("default", "t").unwrap().definition, first.definition);
    catalog.publish_table(&root(), &second, None, false).unwrap_err();
    catalog.publish_table(&root(), &second, None, true).unwrap();
    assert_eq!(catalog.snapshot().version(), version + 1);
    assert_ne!(first.definition.id, second.definition.id);
    assert!(catalog.snapshot().table_by_id(first.definition.id).is_none());
    let database = database.reopen();
    let snapshot = database.catalog.snapshot();
    let found = snapshot.table("default", "t").unwrap();
    assert_eq!(found.definition, second.definition);
}

#[test]
fn a_staged_table_stays_out_of_another_namespace_of_the_same_name() {
    let database = Database::new();
    let catalog = &database.catalog;
    catalog.create_namespace(&root(), "n", false).unwrap();
    let table = create("CREATE TABLE n.t (a INT)");
    let (staged, _) = catalog.stage_table(&root(), "default", &table).unwrap();
    catalog.drop_namespace(&root(), "n", false, false).unwrap();
    let error = catalog.publish_table(&root(), &staged, None, false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");

    catalog.create_namespace(&root(), "n", false).unwrap();
    let before = catalog.snapshot();
    for replace in [false, true] {
        let error = catalog.publish_table(&root(), &staged, None, replace).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert_eq!(
            error.to_string(),
            "the namespace 'n' was dropped and created anew meanwhile, run the statement again"
        );
    }
    assert_eq!(catalog.snapshot().version(), before.version());
    assert!(names(&database).is_empty());
    // Running the statement again does it, and everything is found after a restart.
    let (again, _) = catalog.stage_table(&root(), "default", &table).unwrap();
    catalog.publish_table(&root(), &again, None, false).unwrap();
    let database = database.reopen();
    let found = Arc::clone(database.catalog.snapshot().table("n", "t").unwrap());
    assert_eq!(found.definition, again.definition);
    assert_ne!(found.definition.id, staged.definition.id);
}

#[test]
fn reserved_and_missing_namespaces_take_no_tables() {
    let database = Database::new();
    let catalog = &database.catalog;
    for namespace in ["system", "information_schema"] {
        let table = create(&format!("CREATE TABLE {namespace}.t (a INT)"));
        let error = catalog.create_table(&root(), "default", &table).unwrap_err();
        assert!(error.to_string().contains("the system's own"), "{error}");
        assert!(catalog.create_namespace(&root(), namespace, true).is_err());
        assert!(catalog.drop_namespace(&root(), namespace, true, true).is_err());
    }
    let error = catalog
        .create_table(&root(), "default", &create("CREATE TABLE defalt.t (a INT)"))
        .unwrap_err();
    assert_eq!(error.to_string(), "namespace 'defalt' does not exist, did you mean 'default'?");
    assert!(catalog.drop_namespace(&root(), "default", false, true).is_err());
    // A session's own namespace may be gone.
    let error =
        catalog.create_table(&root(), "gone", &create("CREATE TABLE t (a INT)")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn a_snapshot_keeps_what_is_dropped_later() {
    let database = Database::new();
    let catalog = &database.catalog;
    catalog.create_table(&root(), "default", &create("CREATE TABLE t (a INT)")).unwrap();
    let before = catalog.snapshot();
    catalog.drop_table(&root(), "default", &TableName::bare("t"), false, false).unwrap();
    assert!(before.table("default", "t").is_some());
    assert!(catalog.snapshot().table("default", "t").is_none());
    assert!(catalog.snapshot().version() > before.version());
}

#[test]
fn concurrent_creators_of_one_name_agree_on_one_table() {
    let database = Database::new();
    let catalog = &database.catalog;
    let table = create("CREATE TABLE t (a INT)");
    let outcomes: Vec<bool> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| catalog.create_table(&root(), "default", &table).is_ok()))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(outcomes.iter().filter(|created| **created).count(), 1);
    assert_eq!(names(&database), ["default.t"]);
}
