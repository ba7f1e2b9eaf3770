//! Who sees what, and who may do what.

use kalamdb_commons::{ErrorKind, Role};

use super::{Database, create, principal, root};
use crate::{Access, Catalog, TableName};

const TABLES: [&str; 4] = [
    "CREATE USER TABLE app.own (a INT)",
    "CREATE SHARED TABLE app.open (a INT) WITH (ACCESS_LEVEL = 'public')",
    "CREATE SHARED TABLE app.inner (a INT) WITH (ACCESS_LEVEL = 'private')",
    "CREATE SHARED TABLE app.secret (a INT) WITH (ACCESS_LEVEL = 'restricted')",
];

fn database() -> Database {
    let database = Database::new();
    database.catalog.create_namespace(&root(), "app", false).unwrap();
    for sql in TABLES {
        database.catalog.create_table(&root(), "default", &create(sql)).unwrap();
    }
    database
}

/// For each table and role: listed, read, write, drop.
#[test]
fn the_matrix_of_rights_holds() {
    let database = database();
    let snapshot = database.catalog.snapshot();
    let matrix = [
        ("own", Role::User, [true, true, true, false]),
        ("own", Role::Service, [true, true, true, false]),
        ("own", Role::Dba, [true, true, true, true]),
        ("own", Role::System, [true, true, true, true]),
        ("open", Role::User, [true, true, false, false]),
        ("open", Role::Service, [true, true, true, false]),
        ("open", Role::Dba, [true, true, true, true]),
        ("open", Role::System, [true, true, true, true]),
        ("inner", Role::User, [false, false, false, false]),
        ("inner", Role::Service, [true, true, true, false]),
        ("inner", Role::Dba, [true, true, true, true]),
        ("inner", Role::System, [true, true, true, true]),
        ("secret", Role::User, [false, false, false, false]),
        ("secret", Role::Service, [false, true, true, false]),
        ("secret", Role::Dba, [true, true, true, true]),
        ("secret", Role::System, [true, true, true, true]),
    ];
    for (name, role, expected) in matrix {
        let table = snapshot.table("app", name).unwrap();
        // Another principal than the creator.
        let mut who = principal(role);
        who.user_id = kalamdb_commons::UserId::new("someone else");
        let listed =
            snapshot.visible_tables(&who).iter().any(|seen| &*seen.definition.name == name);
        let found = [
            listed,
            snapshot.authorize_read(&who, table).is_ok(),
            snapshot.authorize_write(&who, table).is_ok(),
            snapshot.authorize_ddl(&who, table).is_ok(),
        ];
        assert_eq!(found, expected, "{name} for {role}");
    }
}

#[test]
fn refusals_name_the_role_that_would_do() {
    let database = database();
    let snapshot = database.catalog.snapshot();
    let table = snapshot.table("app", "inner").unwrap();
    let error = table.authorize(&principal(Role::User), Access::Read).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert_eq!(
        error.to_string(),
        "user 'a-user' (role user) may not read the private table app.inner, \
         it needs the role service or above"
    );
}

#[test]
fn a_service_drops_the_shared_tables_it_created_and_no_others() {
    let database = database();
    let catalog = &database.catalog;
    let service = principal(Role::Service);
    catalog.create_table(&service, "app", &create("CREATE TABLE mine (a INT)")).unwrap();
    catalog.drop_table(&service, "app", &TableName::bare("mine"), false, false).unwrap();
    let error =
        catalog.drop_table(&service, "app", &TableName::bare("open"), false, false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    let replace = create("CREATE TABLE open (a INT)");
    let (entry, _) = catalog.stage_table(&service, "app", &replace).unwrap();
    let error = catalog.publish_table(&service, &entry, None, true).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    // A USER table holds the rows of others.
    catalog.create_table(&service, "app", &create("CREATE USER TABLE theirs (a INT)")).unwrap();
    assert!(catalog.drop_table(&service, "app", &TableName::bare("theirs"), false, false).is_err());
}

#[test]
fn users_create_user_tables_only() {
    let database = database();
    let catalog = &database.catalog;
    let user = principal(Role::User);
    catalog.create_table(&user, "app", &create("CREATE USER TABLE notes (a INT)")).unwrap();
    for error in [
        catalog.create_table(&user, "app", &create("CREATE TABLE s (a INT)")).unwrap_err(),
        catalog.drop_table(&user, "app", &TableName::bare("notes"), false, false).unwrap_err(),
        catalog.create_namespace(&user, "n", false).unwrap_err(),
        catalog.drop_namespace(&principal(Role::Service), "app", false, true).unwrap_err(),
        catalog.snapshot().authorize_system(&principal(Role::Service)).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    }
}

/// Makes a table that users may not see, the only one of its namespace.
fn hide_gold(catalog: &Catalog) {
    catalog.create_namespace(&root(), "vault", false).unwrap();
    let sql = "CREATE TABLE vault.gold (a INT) WITH (ACCESS_LEVEL = 'restricted')";
    catalog.create_table(&root(), "default", &create(sql)).unwrap();
}

#[test]
fn hidden_namespaces_and_tables_are_not_suggested() {
    let database = database();
    let catalog = &database.catalog;
    hide_gold(catalog);
    let snapshot = catalog.snapshot();
    let user = principal(Role::User);
    let seen: Vec<String> =
        snapshot.visible_namespaces(&user).iter().map(|n| n.name.to_string()).collect();
    assert_eq!(seen, ["app", "default"]);
    assert_eq!(snapshot.visible_namespaces(&principal(Role::Service)).len(), 3);

    let message =
        |name: &TableName| snapshot.shown_table(&user, "default", name).unwrap_err().to_string();
    assert!(!message(&TableName::qualified("vaul", "gold")).contains("vault"));
    assert!(!message(&TableName::qualified("app", "secre")).contains("secret"));
    assert!(message(&TableName::qualified("app", "opn")).contains("did you mean 'open'?"));
    let error = snapshot.shown_table(&root(), "app", &TableName::bare("secre")).unwrap_err();
    assert!(error.to_string().contains("did you mean 'secret'?"), "{error}");
}

#[test]
fn what_may_not_be_read_is_shown_as_what_is_not_there() {
    let database = database();
    let catalog = &database.catalog;
    hide_gold(catalog);
    let snapshot = catalog.snapshot();
    let user = principal(Role::User);
    let shown = |who, namespace: &str, table: &str| {
        let name = TableName::qualified(namespace, table);
        snapshot.shown_table(who, "default", &name).map(|_| ()).map_err(|error| {
            assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
            error.to_string()
        })
    };
    for table in ["own", "open"] {
        shown(&user, "app", table).unwrap();
    }
    for table in ["inner", "secret", "nothing"] {
        let expected = format!("table 'app.{table}' does not exist");
        assert_eq!(shown(&user, "app", table).unwrap_err(), expected);
    }
    for namespace in ["vault", "cellar"] {
        let expected = format!("namespace '{namespace}' does not exist");
        assert_eq!(shown(&user, namespace, "gold").unwrap_err(), expected);
        let error = snapshot.shown_namespace(&user, namespace).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
    // Who may read a table may know its columns, listed or not.
    let service = principal(Role::Service);
    shown(&service, "vault", "gold").unwrap();
    assert_eq!(&*snapshot.shown_namespace(&service, "vault").unwrap().name, "vault");
}
