//! The catalog against a real store.

mod alter_table;
mod changes;
mod rights;
mod tables;
mod users;
mod views;

use std::path::Path;
use std::sync::Arc;

use kalamdb_commons::{Principal, Role, UserId};
use kalamdb_store::{Store, StoreOptions};
use tempfile::TempDir;

use crate::{Catalog, CreateTable, Statement, parse};

/// A catalog in a directory of its own.
struct Database {
    directory: TempDir,
    store: Arc<Store>,
    catalog: Catalog,
}

impl Database {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (store, catalog) = open(directory.path());
        Self { directory, store, catalog }
    }

    /// The same directory, closed and opened again.
    fn reopen(self) -> Self {
        let Self { directory, store, catalog } = self;
        drop(catalog);
        store.close();
        drop(store);
        let (store, catalog) = open(directory.path());
        Self { directory, store, catalog }
    }
}

fn open(directory: &Path) -> (Arc<Store>, Catalog) {
    let store = Store::open(directory, StoreOptions::default()).unwrap();
    let catalog = Catalog::open(Arc::clone(&store)).unwrap();
    (store, catalog)
}

fn principal(role: Role) -> Principal {
    let name = format!("a-{role}");
    Principal { user_id: UserId::new(name.as_str()), user_name: name.into(), role }
}

fn root() -> Principal {
    principal(Role::System)
}

/// The CREATE TABLE statement in a text.
fn create(sql: &str) -> CreateTable {
    match parse(sql).unwrap().remove(0).statement {
        Statement::CreateTable(table) => *table,
        other => panic!("{other:?}"),
    }
}
