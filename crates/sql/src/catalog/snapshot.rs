//! One state of the catalog, never changed once published.

mod views;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use kalamdb_commons::{NamespaceId, Principal, Role, TableDefinition, TableId};

use super::entities::{Namespace, TableEntry, User, ViewEntry};
use super::{DEFAULT_NAMESPACE, RESERVED_NAMESPACES};
use crate::TableName;
use crate::error::{ObjectKind, SqlError};
use crate::parse::not_found;

/// Everything that exists, as of one change of the catalog. Cloning shares all entries.
#[derive(Debug, Clone, Default)]
pub struct CatalogSnapshot {
    version: u64,
    namespaces: BTreeMap<Arc<str>, NamespaceEntry>,
    tables: HashMap<TableId, Arc<TableEntry>>,
    views: HashMap<TableId, Arc<ViewEntry>>,
    users: BTreeMap<Arc<str>, Arc<User>>,
}

#[derive(Debug, Clone)]
struct NamespaceEntry {
    namespace: Arc<Namespace>,
    tables: BTreeMap<Arc<str>, Arc<TableEntry>>,
    views: BTreeMap<Arc<str>, Arc<ViewEntry>>,
}

impl CatalogSnapshot {
    /// Counts the changes since the process began; a cache key, not a stored number.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// All namespaces by name, the reserved ones not among them.
    pub fn namespaces(&self) -> impl Iterator<Item = &Arc<Namespace>> {
        self.namespaces.values().map(|entry| &entry.namespace)
    }

    /// The namespace called `name`.
    pub fn namespace(&self, name: &str) -> Option<&Arc<Namespace>> {
        self.namespaces.get(name).map(|entry| &entry.namespace)
    }

    /// All tables by namespace and name.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<TableEntry>> {
        self.namespaces.values().flat_map(|entry| entry.tables.values())
    }

    /// The tables of one namespace by name; none when there is no such namespace.
    pub fn tables_in(&self, namespace: &str) -> impl Iterator<Item = &Arc<TableEntry>> {
        self.namespaces.get(namespace).into_iter().flat_map(|entry| entry.tables.values())
    }

    /// A table by namespace and name.
    pub fn table(&self, namespace: &str, name: &str) -> Option<&Arc<TableEntry>> {
        self.namespaces.get(namespace)?.tables.get(name)
    }

    /// A table by its id.
    pub fn table_by_id(&self, id: TableId) -> Option<&Arc<TableEntry>> {
        self.tables.get(&id)
    }

    /// The older versions of a table, from the first on: rows may be stored as any of them says.
    /// None of a table that is not there.
    pub fn older_versions(&self, id: TableId) -> &[Arc<TableDefinition>] {
        self.tables.get(&id).map_or(&[], |table| &table.older)
    }

    /// All users by name.
    pub fn users(&self) -> impl Iterator<Item = &Arc<User>> {
        self.users.values()
    }

    /// The user called `name`.
    pub fn user(&self, name: &str) -> Option<&Arc<User>> {
        self.users.get(name)
    }

    /// The namespaces a principal may know of, by name: a namespace is hidden from the role
    /// `user` when it holds tables or views and every one of them is. `default` never is.
    pub fn visible_namespaces(&self, principal: &Principal) -> Vec<Arc<Namespace>> {
        self.namespaces
            .values()
            .filter(|entry| {
                principal.has_role(Role::Service)
                    || &*entry.namespace.name == DEFAULT_NAMESPACE
                    || (entry.tables.is_empty() && entry.views.is_empty())
                    || entry.tables.values().any(|table| table.is_visible_to(principal))
                    || entry.views.values().any(|view| self.shows_view(principal, view))
            })
            .map(|entry| Arc::clone(&entry.namespace))
            .collect()
    }

    /// The tables a principal may know of, by namespace and name.
    pub fn visible_tables(&self, principal: &Principal) -> Vec<Arc<TableEntry>> {
        self.tables().filter(|table| table.is_visible_to(principal)).cloned().collect()
    }

    /// The users a principal may know of, by name: all for dba and above, else only itself.
    pub fn visible_users(&self, principal: &Principal) -> Vec<Arc<User>> {
        self.users()
            .filter(|user| principal.has_role(Role::Dba) || user.id == principal.user_id)
            .cloned()
            .collect()
    }

    /// The namespace a statement names.
    ///
    /// # Errors
    /// NotFound, with the most similar name the principal may know of.
    pub fn resolve_namespace(
        &self,
        principal: &Principal,
        name: &str,
    ) -> Result<&Arc<Namespace>, SqlError> {
        self.namespace(name).ok_or_else(|| {
            let visible = self.visible_namespaces(principal);
            let names = visible.iter().map(|namespace| &*namespace.name);
            not_found(ObjectKind::Namespace, name, names.chain(RESERVED_NAMESPACES))
        })
    }

    /// The namespace a statement looks into: one the principal may not know of is like none.
    ///
    /// # Errors
    /// NotFound, with the most similar name the principal may know of.
    pub fn shown_namespace(
        &self,
        principal: &Principal,
        name: &str,
    ) -> Result<Arc<Namespace>, SqlError> {
        let visible = self.visible_namespaces(principal);
        match visible.iter().find(|namespace| &*namespace.name == name) {
            Some(namespace) => Ok(Arc::clone(namespace)),
            None => {
                let names = visible.iter().map(|namespace| &*namespace.name);
                Err(not_found(ObjectKind::Namespace, name, names.chain(RESERVED_NAMESPACES)))
            }
        }
    }

    /// The table a statement names: one the principal may not read is like none.
    ///
    /// # Errors
    /// NotFound, with the most similar name the principal may know of.
    pub fn shown_table(
        &self,
        principal: &Principal,
        default_namespace: &str,
        name: &TableName,
    ) -> Result<&Arc<TableEntry>, SqlError> {
        let namespace = name.namespace_or(default_namespace);
        let found = self.table(namespace, &name.table);
        if let Some(table) = found.filter(|table| self.authorize_read(principal, table).is_ok()) {
            return Ok(table);
        }
        if !RESERVED_NAMESPACES.contains(&namespace) {
            self.shown_namespace(principal, namespace)?;
        }
        Err(self.no_such_table(principal, namespace, &name.table))
    }

    fn no_such_table(&self, principal: &Principal, namespace: &str, name: &str) -> SqlError {
        let visible = self.tables_in(namespace).filter(|table| table.is_visible_to(principal));
        let views = self.views_in(namespace).filter(|view| self.shows_view(principal, view));
        let names = visible.map(|table| &*table.definition.name);
        let names = names.chain(views.map(|view| &*view.definition.name));
        let near = crate::nearest(name, names);
        SqlError::NotFound {
            object: ObjectKind::Table,
            name: format!("{namespace}.{name}"),
            suggestion: near.or_else(|| self.elsewhere(principal, name)),
        }
    }

    /// The full name of a table of this name that the principal may know of.
    fn elsewhere(&self, principal: &Principal, name: &str) -> Option<String> {
        let visible = self.tables().filter(|table| table.is_visible_to(principal));
        let named = visible.filter(|table| &*table.definition.name == name);
        named.map(|table| table.definition.qualified_name()).min()
    }

    pub(super) fn advance_version(&mut self) {
        self.version += 1;
    }

    pub(super) fn put_namespace(&mut self, namespace: Arc<Namespace>) {
        let name = Arc::clone(&namespace.name);
        let entry = NamespaceEntry { namespace, tables: BTreeMap::new(), views: BTreeMap::new() };
        self.namespaces.insert(name, entry);
    }

    /// The same namespace with other properties; its tables stay.
    pub(super) fn update_namespace(&mut self, namespace: Arc<Namespace>) {
        if let Some(entry) = self.namespaces.get_mut(&namespace.name) {
            entry.namespace = namespace;
        }
    }

    /// Removes a namespace, its tables and its views.
    pub(super) fn remove_namespace(&mut self, name: &str) {
        let Some(entry) = self.namespaces.remove(name) else { return };
        for table in entry.tables.values() {
            self.tables.remove(&table.definition.id);
        }
        for view in entry.views.values() {
            self.views.remove(&view.definition.id);
        }
    }

    /// Adds a table, or replaces an older version of it.
    pub(super) fn put_table(&mut self, table: Arc<TableEntry>) -> Result<(), SqlError> {
        let definition = &table.definition;
        let namespace_id = |entry: &NamespaceEntry| entry.namespace.id;
        let known: Option<NamespaceId> =
            self.namespaces.get(&definition.namespace).map(namespace_id);
        if known != Some(definition.namespace_id) {
            return Err(SqlError::DamagedCatalog {
                reason: format!(
                    "table {} stands in namespace {}, which does not exist",
                    definition.qualified_name(),
                    definition.namespace_id
                ),
            });
        }
        if let Some(entry) = self.namespaces.get_mut(&definition.namespace) {
            self.tables.insert(definition.id, Arc::clone(&table));
            entry.tables.insert(Arc::clone(&definition.name), table);
        }
        Ok(())
    }

    pub(super) fn remove_table(&mut self, table: &TableEntry) {
        let definition = &table.definition;
        self.tables.remove(&definition.id);
        if let Some(entry) = self.namespaces.get_mut(&definition.namespace) {
            entry.tables.remove(&definition.name);
        }
    }

    pub(super) fn put_user(&mut self, user: Arc<User>) {
        self.users.insert(Arc::clone(&user.name), user);
    }

    pub(super) fn remove_user(&mut self, name: &str) {
        self.users.remove(name);
    }
}
