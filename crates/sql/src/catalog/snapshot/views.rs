//! The views of a snapshot: what they read, who may see them, what hangs on what.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use kalamdb_commons::{Principal, TableId};

use super::CatalogSnapshot;
use crate::TableName;
use crate::catalog::{RESERVED_NAMESPACES, TableEntry, VIEW_DEPTH_MAX, ViewEntry};
use crate::error::SqlError;

impl CatalogSnapshot {
    /// All views by namespace and name.
    pub fn views(&self) -> impl Iterator<Item = &Arc<ViewEntry>> {
        self.namespaces.values().flat_map(|entry| entry.views.values())
    }

    /// The views of one namespace by name; none when there is no such namespace.
    pub fn views_in(&self, namespace: &str) -> impl Iterator<Item = &Arc<ViewEntry>> {
        self.namespaces.get(namespace).into_iter().flat_map(|entry| entry.views.values())
    }

    /// A view by namespace and name.
    pub fn view(&self, namespace: &str, name: &str) -> Option<&Arc<ViewEntry>> {
        self.namespaces.get(namespace)?.views.get(name)
    }

    /// A view by its id.
    pub fn view_by_id(&self, id: TableId) -> Option<&Arc<ViewEntry>> {
        self.views.get(&id)
    }

    /// The views a principal may know of, by namespace and name.
    pub fn visible_views(&self, principal: &Principal) -> Vec<Arc<ViewEntry>> {
        self.views().filter(|view| self.shows_view(principal, view)).cloned().collect()
    }

    /// True when listings show the view to the principal: when they show all it reads.
    pub fn shows_view(&self, principal: &Principal, view: &ViewEntry) -> bool {
        self.all_tables_of(view, |table| table.is_visible_to(principal))
    }

    /// True when the principal may read all tables that the view reads.
    pub fn may_read_view(&self, principal: &Principal, view: &ViewEntry) -> bool {
        self.all_tables_of(view, |table| self.authorize_read(principal, table).is_ok())
    }

    /// The view a statement names: one over tables the principal may not read is like none.
    ///
    /// # Errors
    /// NotFound, with the most similar name the principal may know of.
    pub fn shown_view(
        &self,
        principal: &Principal,
        default_namespace: &str,
        name: &TableName,
    ) -> Result<&Arc<ViewEntry>, SqlError> {
        let namespace = name.namespace_or(default_namespace);
        let found = self.view(namespace, &name.table);
        if let Some(view) = found.filter(|view| self.may_read_view(principal, view)) {
            return Ok(view);
        }
        if !RESERVED_NAMESPACES.contains(&namespace) {
            self.shown_namespace(principal, namespace)?;
        }
        Err(self.no_such_table(principal, namespace, &name.table))
    }

    /// Whether `holds` is true of every table the view reads, itself or through other views.
    fn all_tables_of(&self, view: &ViewEntry, holds: impl Fn(&TableEntry) -> bool) -> bool {
        let mut pending = view.definition.reads.clone();
        let mut seen = HashSet::new();
        while let Some(id) = pending.pop() {
            if !seen.insert(id) {
                continue;
            }
            match (self.table_by_id(id), self.view_by_id(id)) {
                (Some(table), _) if holds(table) => {}
                (None, Some(inner)) => pending.extend(&inner.definition.reads),
                _ => return false,
            }
        }
        true
    }

    /// The names of what the view reads, as far as it exists.
    pub fn read_by_view(&self, view: &ViewEntry) -> Vec<String> {
        let name = |id: &TableId| match self.table_by_id(*id) {
            Some(table) => Some(table.definition.qualified_name()),
            None => self.view_by_id(*id).map(|view| view.definition.qualified_name()),
        };
        view.definition.reads.iter().filter_map(name).collect()
    }

    /// The views that read one of `ids`, themselves or through other views, by id.
    pub(in crate::catalog) fn dependents(
        &self,
        ids: impl IntoIterator<Item = TableId>,
    ) -> BTreeMap<TableId, Arc<ViewEntry>> {
        let mut found = BTreeMap::new();
        if self.views.is_empty() {
            return found;
        }
        let mut reached: HashSet<TableId> = ids.into_iter().collect();
        loop {
            let mut more = false;
            for (id, view) in &self.views {
                let reads = view.definition.reads.iter().any(|read| reached.contains(read));
                if reads && !found.contains_key(id) {
                    found.insert(*id, Arc::clone(view));
                    reached.insert(*id);
                    more = true;
                }
            }
            if !more {
                return found;
            }
        }
    }

    /// How many views stand on each other up to and including this one. No more than one above
    /// [`VIEW_DEPTH_MAX`] is told.
    pub(in crate::catalog) fn depth_of(&self, view: &ViewEntry) -> usize {
        let mut level: HashSet<TableId> = HashSet::from([view.definition.id]);
        let mut depth = 0;
        while depth <= VIEW_DEPTH_MAX && !level.is_empty() {
            depth += 1;
            let views = level.iter().filter_map(|id| self.view_by_id(*id));
            let reads = views.flat_map(|view| &view.definition.reads).copied();
            level = reads.filter(|id| self.views.contains_key(id)).collect();
        }
        depth
    }

    pub(in crate::catalog) fn put_view(&mut self, view: Arc<ViewEntry>) -> Result<(), SqlError> {
        let definition = &view.definition;
        let entry = self
            .namespaces
            .get_mut(&definition.namespace)
            .filter(|entry| entry.namespace.id == definition.namespace_id);
        let Some(entry) = entry else {
            return Err(SqlError::DamagedCatalog {
                reason: format!(
                    "view {} stands in namespace {}, which does not exist",
                    definition.qualified_name(),
                    definition.namespace_id
                ),
            });
        };
        entry.views.insert(Arc::clone(&definition.name), Arc::clone(&view));
        self.views.insert(definition.id, view);
        Ok(())
    }

    pub(in crate::catalog) fn remove_view(&mut self, view: &ViewEntry) {
        let definition = &view.definition;
        self.views.remove(&definition.id);
        if let Some(entry) = self.namespaces.get_mut(&definition.namespace) {
            entry.views.remove(&definition.name);
        }
    }
}
