//! Users, passwords and roles.

use std::time::Instant;

use kalamdb_commons::{ErrorKind, Principal, Role};

use super::{Database, principal, root};
use crate::{AlterUser, CreateUser, Password};

fn new_user(name: &str, password: &str, role: Role) -> CreateUser {
    let (name, password) = (name.to_owned(), Password(password.to_owned()));
    CreateUser { name, password, role, if_not_exists: false }
}

fn alter(name: &str, password: Option<&str>, role: Option<Role>) -> AlterUser {
    let password = password.map(|password| Password(password.to_owned()));
    AlterUser { name: name.to_owned(), password, role }
}

#[test]
fn root_is_made_once_and_keeps_its_password() {
    let database = Database::new();
    assert!(database.catalog.ensure_root("first").unwrap());
    assert!(!database.catalog.ensure_root("second").unwrap());
    let database = database.reopen();
    let catalog = &database.catalog;
    assert!(!catalog.ensure_root("third").unwrap());
    let root = catalog.verify_password("root", "first").unwrap();
    assert_eq!((root.user_id.as_str(), root.role), ("root", Role::System));
    for wrong in ["second", "third", "", "first "] {
        let error = catalog.verify_password("root", wrong).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{wrong}");
    }
}

#[test]
fn a_user_signs_in_until_altered_or_dropped() {
    let database = Database::new();
    let catalog = &database.catalog;
    assert!(catalog.create_user(&root(), &new_user("alice", "the first one", Role::User)).unwrap());
    let error =
        catalog.create_user(&root(), &new_user("alice", "another one", Role::User)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    let mut again = new_user("alice", "another one", Role::User);
    again.if_not_exists = true;
    assert!(!catalog.create_user(&root(), &again).unwrap());

    let alice = catalog.verify_password("alice", "the first one").unwrap();
    assert_eq!((&*alice.user_name, alice.role), ("alice", Role::User));
    catalog
        .alter_user(&root(), &alter("alice", Some("the second one"), Some(Role::Service)))
        .unwrap();
    assert!(catalog.verify_password("alice", "the first one").is_err());
    let altered = catalog.verify_password("alice", "the second one").unwrap();
    assert_eq!((altered.role, altered.user_id.clone()), (Role::Service, alice.user_id.clone()));

    let database = database.reopen();
    let catalog = &database.catalog;
    assert_eq!(catalog.verify_password("alice", "the second one").unwrap(), altered);
    assert!(catalog.drop_user(&root(), "alice", false).unwrap());
    assert!(!catalog.drop_user(&root(), "alice", true).unwrap());
    assert!(catalog.verify_password("alice", "the second one").is_err());
    // A new user of that name is another user, and does not see the old one's rows.
    catalog.create_user(&root(), &new_user("alice", "the first one", Role::User)).unwrap();
    assert_ne!(catalog.verify_password("alice", "the first one").unwrap().user_id, alice.user_id);
}

/// An unknown name costs as much as a wrong password, and is answered alike.
#[test]
fn unknown_users_are_answered_as_wrong_passwords_are() {
    let database = Database::new();
    let catalog = &database.catalog;
    catalog.create_user(&root(), &new_user("alice", "the first one", Role::User)).unwrap();
    let measured = |name: &str| {
        let started = Instant::now();
        let error = catalog.verify_password(name, "wrong").unwrap_err();
        (error.to_string(), error.kind(), started.elapsed())
    };
    let _first_use = measured("nobody");
    let (message, kind, _) = measured("alice");
    let mut known: Vec<_> = (0..5).map(|_| measured("alice").2).collect();
    let mut unknown = Vec::new();
    for _ in 0..5 {
        let (other_message, other_kind, took) = measured("nobody");
        assert_eq!((&message, kind), (&other_message, other_kind));
        unknown.push(took);
    }
    known.sort();
    unknown.sort();
    assert!(unknown[2] * 3 > known[2], "unknown {unknown:?}, known {known:?}");
}

#[test]
fn nobody_gives_or_touches_a_role_above_its_own() {
    let database = Database::new();
    let catalog = &database.catalog;
    catalog.ensure_root("r").unwrap();
    let dba = principal(Role::Dba);
    catalog.create_user(&dba, &new_user("other", "the first one", Role::Dba)).unwrap();
    for error in [
        catalog
            .create_user(&principal(Role::Service), &new_user("x", "another one", Role::User))
            .unwrap_err(),
        catalog.create_user(&dba, &new_user("x", "another one", Role::System)).unwrap_err(),
        catalog.alter_user(&dba, &alter("root", Some("one of mine"), None)).unwrap_err(),
        catalog.alter_user(&dba, &alter("other", None, Some(Role::System))).unwrap_err(),
        catalog
            .alter_user(&principal(Role::User), &alter("other", Some("another one"), None))
            .unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    }
    for error in [
        catalog.drop_user(&root(), "root", false).unwrap_err(),
        catalog.alter_user(&root(), &alter("root", None, Some(Role::User))).unwrap_err(),
        catalog.create_user(&root(), &new_user("a:b", "another one", Role::User)).unwrap_err(),
        catalog.create_user(&root(), &new_user("x", "", Role::User)).unwrap_err(),
        catalog.create_user(&root(), &new_user("x", "seven··", Role::User)).unwrap_err(),
        catalog.alter_user(&root(), &alter("other", Some("seven.."), None)).unwrap_err(),
        catalog.create_user(&root(), &new_user("x", &"p".repeat(1025), Role::User)).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    }
}

#[test]
fn everybody_changes_its_own_password_but_not_its_role() {
    let database = Database::new();
    let catalog = &database.catalog;
    catalog.create_user(&root(), &new_user("alice", "the first one", Role::User)).unwrap();
    let alice: Principal = catalog.verify_password("alice", "the first one").unwrap();
    catalog.alter_user(&alice, &alter("alice", Some("one of mine"), None)).unwrap();
    assert!(catalog.verify_password("alice", "one of mine").is_ok());
    let error = catalog.alter_user(&alice, &alter("alice", None, Some(Role::Dba))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    let visible = catalog.snapshot().visible_users(&alice);
    assert_eq!(visible.len(), 1);
}

#[test]
fn a_new_password_is_a_new_generation_of_credentials_and_a_new_role_is_not() {
    let database = Database::new();
    let catalog = &database.catalog;
    catalog.create_user(&root(), &new_user("alice", "the first one", Role::User)).unwrap();
    let generation = || catalog.snapshot().user("alice").unwrap().credential_generation;
    assert_eq!(generation(), 0);
    catalog.alter_user(&root(), &alter("alice", None, Some(Role::Service))).unwrap();
    assert_eq!(generation(), 0);
    for expected in [1, 2] {
        catalog.alter_user(&root(), &alter("alice", Some("the first one"), None)).unwrap();
        assert_eq!(generation(), expected);
    }
}

#[test]
fn no_password_or_hash_shows_in_debug() {
    let database = Database::new();
    let catalog = &database.catalog;
    catalog.create_user(&root(), &new_user("alice", "hunter22", Role::User)).unwrap();
    let shown = format!("{:?}", catalog.snapshot());
    assert!(shown.contains("alice"));
    assert!(!shown.contains("argon2") && !shown.contains("hunter22"), "{shown}");
}
