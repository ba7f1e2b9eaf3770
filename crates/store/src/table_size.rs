//! How much a table takes and when it was written last, as far as that is known without reading it.

use kalamdb_commons::{Generation, TableId, UserId};
use rocksdb::Range;

use crate::counters::CounterDelta;
use crate::families::Family;
use crate::{ReadView, StoreError, meta, table_layout};

impl ReadView {
    /// RocksDB's estimate of the bytes that a table's rows, or, with `owner`, that owner's rows of
    /// a USER table, take in files: compressed, without what is still in memory only.
    pub fn estimated_file_bytes(
        &self,
        table: TableId,
        owner: Option<&UserId>,
    ) -> Result<u64, StoreError> {
        let (families, prefix) = match owner {
            Some(owner) => (
                &[Family::UserTable] as &[Family],
                table_layout::owner_prefix(table, Generation(0), owner),
            ),
            None => (
                &[Family::SharedTable, Family::UserTable, Family::StreamTable] as &[Family],
                table.0.to_be_bytes().to_vec(),
            ),
        };
        let Some(end) = meta::prefix_successor(&prefix) else { return Ok(0) };
        let db = self.rocksdb();
        let mut bytes = 0;
        for family in families {
            let range = [Range::new(&prefix, &end)];
            bytes += db.get_approximate_sizes_cf(family.handle(db)?, &range).iter().sum::<u64>();
        }
        Ok(bytes)
    }

    /// The `_updated` of the last commit that changed rows of the table, or of one owner's part
    /// of it; µs since the Unix epoch. `None` when nothing was written yet.
    pub fn last_written_us(
        &self,
        table: TableId,
        owner: Option<&UserId>,
    ) -> Result<Option<i64>, StoreError> {
        let value = self.get(Family::Meta, &meta::counters_key(table, owner))?;
        let counters = CounterDelta::decode_stored(value.as_deref())?;
        Ok(Some(counters.updated_us_max).filter(|written_us| *written_us > 0))
    }
}
