//! What exists: namespaces, tables and users; and who may do what with it.
//!
//! Readers take a [`CatalogSnapshot`] and never wait. Changes are made one at a time: checked
//! against the newest snapshot, written in one commit, then published as the next snapshot.

mod access;
mod alter_table;
mod comments;
mod entities;
mod ids;
mod load;
mod namespaces;
mod passwords;
mod rename;
mod schema_evolution;
mod snapshot;
mod tables;
#[cfg(test)]
mod tests;
mod users;
mod views;

pub use access::Access;
pub use alter_table::PlannedAlter;
pub use entities::{Namespace, TableEntry, User, ViewEntry};
pub use schema_evolution::{ColumnWithoutValue, fill_value};
pub use snapshot::CatalogSnapshot;
pub use views::{NewView, VIEW_DEPTH_MAX};

use std::sync::Arc;

use arc_swap::ArcSwap;
use kalamdb_commons::{
    Clock, NamespaceId, SystemClock, TableDefinition, TableId, UserId, ViewDefinition,
};
use kalamdb_store::{CommitRequest, EntityStore, Store, SystemFamily};
use parking_lot::Mutex;

use crate::error::SqlError;

/// The namespace every database has.
pub const DEFAULT_NAMESPACE: &str = "default";
/// The namespace of the system tables.
pub const SYSTEM_NAMESPACE: &str = "system";
/// The namespace of the standard's catalog views.
pub const INFORMATION_SCHEMA: &str = "information_schema";
/// Namespaces nobody can create, drop or put tables into.
pub const RESERVED_NAMESPACES: [&str; 2] = [SYSTEM_NAMESPACE, INFORMATION_SCHEMA];
/// The user that exists from the first start, with the role `system`.
pub const ROOT_USER: &str = "root";

/// The catalog of one database.
///
/// Every method that changes something blocks until the change is durable.
pub struct Catalog {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    namespaces: EntityStore<NamespaceId, Namespace>,
    tables: EntityStore<(TableId, u32), TableDefinition>,
    views: EntityStore<TableId, ViewDefinition>,
    users: EntityStore<UserId, User>,
    current: ArcSwap<CatalogSnapshot>,
    /// Held from the check of a change to the publication of what it made.
    changing: Mutex<()>,
}

impl Catalog {
    /// Reads the catalog; in a fresh database creates the namespace `default`.
    pub fn open(store: Arc<Store>) -> Result<Self, SqlError> {
        Self::open_with_clock(store, Arc::new(SystemClock))
    }

    /// As [`Catalog::open`]; `clock` dates what is created and altered.
    pub fn open_with_clock(store: Arc<Store>, clock: Arc<dyn Clock>) -> Result<Self, SqlError> {
        let catalog = Self {
            clock,
            namespaces: EntityStore::new(Arc::clone(&store), SystemFamily::Namespaces),
            tables: EntityStore::new(Arc::clone(&store), SystemFamily::Tables),
            views: EntityStore::new(Arc::clone(&store), SystemFamily::Views),
            users: EntityStore::new(Arc::clone(&store), SystemFamily::Users),
            current: ArcSwap::from_pointee(CatalogSnapshot::default()),
            changing: Mutex::new(()),
            store,
        };
        catalog.current.store(Arc::new(catalog.load()?));
        catalog.ensure_default_namespace()?;
        Ok(catalog)
    }

    /// The catalog as it is now.
    pub fn snapshot(&self) -> Arc<CatalogSnapshot> {
        self.current.load_full()
    }

    /// Commits a change and publishes the snapshot that has it. The caller holds `changing`.
    fn commit(&self, request: CommitRequest, mut next: CatalogSnapshot) -> Result<(), SqlError> {
        self.store.committer().commit_blocking(request)?;
        next.advance_version();
        self.current.store(Arc::new(next));
        Ok(())
    }
}
