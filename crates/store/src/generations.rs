//! Which generation of a table's keys holds from which commit on. TRUNCATE begins a new one:
//! what stands in the one before is out of sight at once, whatever its size, and is still there
//! for older views.

use std::collections::HashMap;

use kalamdb_commons::{CommitSeq, Generation, TableId};
use parking_lot::RwLock;

use crate::{StoreError, meta};

/// A commit, and the generation from it on.
type Begin = (CommitSeq, Generation);

/// The generations of all tables that were ever emptied, each table's in commit order.
#[derive(Default)]
pub(crate) struct Generations {
    tables: RwLock<HashMap<TableId, Vec<Begin>>>,
}

impl Generations {
    /// Takes in a stored generation (`key` and `value` as they stand in `meta`): it holds for
    /// every view there will be.
    pub(crate) fn load(&self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let Some((table, generation)) = meta::split_generation(key, value) else {
            return Err(StoreError::Corrupt {
                what: "generation of a table",
                detail: format!("key {key:02x?}, {} bytes of value", value.len()),
            });
        };
        self.tables.write().insert(table, vec![(CommitSeq(0), generation)]);
        Ok(())
    }

    /// Ends the present generation; to be called before the commit can be seen.
    pub(crate) fn end(&self, table: TableId, commit_seq: CommitSeq) {
        let mut tables = self.tables.write();
        let begins = tables.entry(table).or_default();
        let present = begins.last().map_or(Generation(0), |(_, generation)| *generation);
        begins.push((commit_seq, Generation(present.0.saturating_add(1))));
    }

    /// The generation of the newest commit, one that nobody sees yet included.
    pub(crate) fn newest(&self, table: TableId) -> Generation {
        let tables = self.tables.read();
        let begins = tables.get(&table);
        begins.and_then(|begins| begins.last()).map_or(Generation(0), |(_, newest)| *newest)
    }

    /// The generation a view reads.
    pub(crate) fn at(&self, table: TableId, view: CommitSeq) -> Generation {
        let tables = self.tables.read();
        let Some(begins) = tables.get(&table) else { return Generation(0) };
        let begun = begins.iter().rev().find(|(begin, _)| *begin <= view);
        begun.map_or(Generation(0), |(_, generation)| *generation)
    }
}

#[cfg(test)]
mod tests;
