//! Which schema version of a table holds from which commit on, as far as it changed since the
//! store was opened: finds out statements that were planned before.

use std::collections::HashMap;

use kalamdb_commons::{CommitSeq, TableDefinition, TableId};
use parking_lot::RwLock;

use crate::{ConflictReason, StoreError};

/// A commit, and the version of the table from it on; `None`: dropped.
type Change = (CommitSeq, Option<u32>);

/// The changes of all tables, each table's in commit order.
#[derive(Default)]
pub(crate) struct TableVersions {
    tables: RwLock<HashMap<TableId, Vec<Change>>>,
}

impl TableVersions {
    /// Notes a change; to be called before the commit can be seen, so that nobody sees a table's
    /// rows go without being able to know why.
    pub(crate) fn record(&self, table: TableId, commit_seq: CommitSeq, version: Option<u32>) {
        self.tables.write().entry(table).or_default().push((commit_seq, version));
    }

    /// Whether rows may be read, at this view, as this version of the table.
    pub(crate) fn check_read(
        &self,
        definition: &TableDefinition,
        view: CommitSeq,
    ) -> Result<(), StoreError> {
        let tables = self.tables.read();
        let Some(changes) = tables.get(&definition.id) else { return Ok(()) };
        match changes.iter().rev().find(|(seq, _)| *seq <= view) {
            Some((_, version)) if *version != Some(definition.schema_version) => {
                Err(conflict(definition, *version))
            }
            _ => Ok(()),
        }
    }

    /// Whether a statement that read at this view may write this version of the table now.
    pub(crate) fn check_write(
        &self,
        definition: &TableDefinition,
        view: CommitSeq,
    ) -> Result<(), StoreError> {
        let tables = self.tables.read();
        match tables.get(&definition.id).and_then(|changes| changes.last()) {
            Some((seq, version)) if *version != Some(definition.schema_version) || *seq > view => {
                Err(conflict(definition, *version))
            }
            _ => Ok(()),
        }
    }
}

fn conflict(table: &TableDefinition, version: Option<u32>) -> StoreError {
    let reason = match version {
        Some(_) => ConflictReason::TableChanged,
        None => ConflictReason::TableDropped,
    };
    StoreError::Conflict { table: table.qualified_name(), reason }
}

#[cfg(test)]
mod tests;
