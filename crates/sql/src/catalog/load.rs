//! Reads the whole catalog at the start.

use std::collections::BTreeMap;
use std::sync::Arc;

use kalamdb_commons::{TableDefinition, ViewDefinition};

use super::entities::{TableEntry, ViewEntry};
use super::{Catalog, CatalogSnapshot};
use crate::error::SqlError;

impl Catalog {
    /// Everything stored, as one snapshot.
    pub(super) fn load(&self) -> Result<CatalogSnapshot, SqlError> {
        let view = self.view()?;
        let mut snapshot = CatalogSnapshot::default();
        for item in self.namespaces.scan_iter(Arc::clone(&view)) {
            let (_, namespace) = item?;
            snapshot.put_namespace(Arc::new(namespace));
        }
        let mut versions: BTreeMap<_, Vec<Arc<TableDefinition>>> = BTreeMap::new();
        for item in self.tables.scan_iter(Arc::clone(&view)) {
            let ((table, version), definition) = item?;
            if definition.id != table || definition.schema_version != version {
                return Err(SqlError::DamagedCatalog {
                    reason: format!(
                        "the entry of table {table} version {version} holds table {} version {}",
                        definition.id, definition.schema_version
                    ),
                });
            }
            versions.entry(table).or_default().push(Arc::new(definition));
        }
        for mut definitions in versions.into_values() {
            // Keys order by version, so the newest comes last.
            let Some(newest) = definitions.pop() else { continue };
            snapshot.put_table(Arc::new(TableEntry::new(newest, definitions)?))?;
        }
        for item in self.views.scan_iter(Arc::clone(&view)) {
            let (_, definition) = item?;
            put_view(&mut snapshot, definition);
        }
        for item in self.users.scan_iter(view) {
            let (_, user) = item?;
            snapshot.put_user(Arc::new(user));
        }
        snapshot.advance_version();
        Ok(snapshot)
    }
}

/// Adds a stored view. One that has no place is left out, and stays stored: it holds no rows, and
/// everything else can be read without it.
fn put_view(snapshot: &mut CatalogSnapshot, definition: ViewDefinition) {
    let (id, name) = (definition.id, definition.qualified_name());
    if snapshot.table(&definition.namespace, &definition.name).is_some() {
        tracing::error!(view = name, id = id.0, "view left out, a table has its name");
    } else if let Err(error) = snapshot.put_view(Arc::new(ViewEntry::new(definition))) {
        tracing::error!(view = name, id = id.0, %error, "view left out");
    }
}
