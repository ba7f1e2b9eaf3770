//! Sampled keys: every so many inserted rows one key is kept, so that a scan can be split into
//! parts of about the same size without asking storage (RocksDB's size estimates leave out what
//! is still in memory).

use std::collections::{BTreeSet, HashMap, btree_set};
use std::ops::Bound;

use kalamdb_commons::limits::KEY_SAMPLE_ROWS;
use kalamdb_commons::{Generation, TableId, UserId};
use parking_lot::RwLock;

use crate::table_layout::owner_prefix;
use crate::{ByteRows, StoreError, meta};

/// Samples of one table; with more, every second one is dropped and the distance doubled.
const KEY_SAMPLES_MAX: usize = 1024;

struct TableSamples {
    keys: BTreeSet<Vec<u8>>,
    /// Inserted rows between two samples.
    distance: u64,
    /// Rows inserted since the last one.
    rows_since: u64,
}

impl Default for TableSamples {
    fn default() -> Self {
        Self { keys: BTreeSet::new(), distance: KEY_SAMPLE_ROWS, rows_since: 0 }
    }
}

/// What a commit must write so that the samples survive a restart.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct SampleChanges {
    /// `meta` keys and values to put.
    pub(crate) puts: Vec<(Vec<u8>, [u8; 8])>,
    /// `meta` keys to delete.
    pub(crate) deletes: Vec<Vec<u8>>,
}

/// The samples of all tables.
#[derive(Default)]
pub(crate) struct KeySamples {
    tables: RwLock<HashMap<TableId, TableSamples>>,
}

impl KeySamples {
    /// Takes in a stored sample (`key` and `value` as they stand in `meta`).
    pub(crate) fn load(&self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let (Some((table, storage_key)), Some(distance)) =
            (meta::split_key_sample(key), meta::decode_u64(value))
        else {
            return Err(StoreError::Corrupt {
                what: "key sample",
                detail: format!("key {key:02x?}, {} bytes of value", value.len()),
            });
        };
        let mut tables = self.tables.write();
        let samples = tables.entry(table).or_default();
        samples.distance = samples.distance.max(distance);
        samples.keys.insert(storage_key.to_vec());
        Ok(())
    }

    /// Counts inserted rows, samples those whose turn it is.
    pub(crate) fn count_inserts(&self, table: TableId, keys: &ByteRows) -> SampleChanges {
        let mut changes = SampleChanges::default();
        let mut tables = self.tables.write();
        let samples = tables.entry(table).or_default();
        let mut index = 0;
        let rows = keys.len() as u64;
        loop {
            let until_next = samples.distance.saturating_sub(samples.rows_since).max(1);
            if index + until_next > rows {
                samples.rows_since += rows - index;
                return changes;
            }
            index += until_next;
            samples.rows_since = 0;
            let row = usize::try_from(index - 1).unwrap_or(usize::MAX);
            samples.insert(table, keys.get(row), &mut changes);
        }
    }

    /// Forgets a dropped table.
    pub(crate) fn remove(&self, table: TableId) {
        self.tables.write().remove(&table);
    }

    /// Forgets a dropped user's keys.
    pub(crate) fn remove_owner(&self, owner: &UserId) {
        for (table, samples) in &mut *self.tables.write() {
            let start = owner_prefix(*table, Generation(0), owner);
            let end = meta::prefix_successor(&start);
            let keys: Vec<Vec<u8>> = samples.between(&start, end.as_deref()).cloned().collect();
            keys.iter().for_each(|key| {
                samples.keys.remove(key);
            });
        }
    }

    /// The sampled keys with `lower <= key < upper`, in order.
    pub(crate) fn between(
        &self,
        table: TableId,
        lower: &[u8],
        upper: Option<&[u8]>,
    ) -> Vec<Vec<u8>> {
        let tables = self.tables.read();
        tables
            .get(&table)
            .map_or_else(Vec::new, |samples| samples.between(lower, upper).cloned().collect())
    }

    /// How many there are with `lower <= key < upper`.
    pub(crate) fn count_between(
        &self,
        table: TableId,
        lower: &[u8],
        upper: Option<&[u8]>,
    ) -> usize {
        let tables = self.tables.read();
        tables.get(&table).map_or(0, |samples| samples.between(lower, upper).count())
    }
}

impl TableSamples {
    fn between(&self, lower: &[u8], upper: Option<&[u8]>) -> btree_set::Range<'_, Vec<u8>> {
        // An empty range must not look reversed, that would panic.
        let upper = upper.map_or(Bound::Unbounded, |upper| Bound::Excluded(upper.max(lower)));
        self.keys.range::<[u8], _>((Bound::Included(lower), upper))
    }

    fn insert(&mut self, table: TableId, key: &[u8], changes: &mut SampleChanges) {
        if !self.keys.insert(key.to_vec()) {
            return;
        }
        changes.puts.push((meta::key_sample_key(table, key), self.distance.to_be_bytes()));
        if self.keys.len() <= KEY_SAMPLES_MAX {
            return;
        }
        self.distance = self.distance.saturating_mul(2);
        let keys = std::mem::take(&mut self.keys);
        for (position, key) in keys.into_iter().enumerate() {
            let meta_key = meta::key_sample_key(table, &key);
            if position % 2 == 0 {
                changes.puts.push((meta_key, self.distance.to_be_bytes()));
                self.keys.insert(key);
            } else {
                changes.puts.retain(|(put, _)| *put != meta_key);
                changes.deletes.push(meta_key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(range: std::ops::Range<u64>) -> ByteRows {
        let mut keys = ByteRows::new();
        range.for_each(|key| keys.push(&key.to_be_bytes()));
        keys
    }

    #[test]
    fn one_key_in_so_many_is_sampled_however_the_rows_arrive() {
        let table = TableId(1);
        let (at_once, in_pieces) = (KeySamples::default(), KeySamples::default());
        let rows = KEY_SAMPLE_ROWS * 3 + 10;
        at_once.count_inserts(table, &keys(0..rows));
        for start in (0..rows).step_by(1000) {
            in_pieces.count_inserts(table, &keys(start..(start + 1000).min(rows)));
        }
        let sampled = at_once.between(table, &[], None);
        assert_eq!(sampled.len(), 3);
        assert_eq!(sampled[0], (KEY_SAMPLE_ROWS - 1).to_be_bytes());
        assert_eq!(sampled, in_pieces.between(table, &[], None));
    }

    #[test]
    fn a_dropped_users_samples_go_and_no_others() {
        let samples = KeySamples::default();
        let (ann, anna) = (UserId::new("ann"), UserId::new("anna"));
        for table in [TableId(1), TableId(2)] {
            for owner in [&ann, &anna] {
                let prefix = owner_prefix(table, Generation(0), owner);
                let mut keys = ByteRows::new();
                (0..KEY_SAMPLE_ROWS).for_each(|key| {
                    keys.push(&[prefix.as_slice(), &key.to_be_bytes()].concat());
                });
                samples.count_inserts(table, &keys);
            }
        }
        samples.remove_owner(&ann);
        for table in [TableId(1), TableId(2)] {
            let prefix = owner_prefix(table, Generation(0), &anna);
            let left = samples.between(table, &[], None);
            assert_eq!(left.len(), 1);
            assert!(left[0].starts_with(&prefix));
        }
    }

    #[test]
    fn too_many_samples_are_thinned_and_what_is_written_says_the_same() {
        let table = TableId(1);
        let samples = KeySamples::default();
        let mut stored = std::collections::BTreeMap::new();
        for key in 0..3 * KEY_SAMPLES_MAX as u64 {
            let mut changes = SampleChanges::default();
            let mut tables = samples.tables.write();
            let of_table = tables.entry(table).or_default();
            of_table.insert(table, &key.to_be_bytes(), &mut changes);
            drop(tables);
            stored.extend(changes.puts);
            for key in &changes.deletes {
                stored.remove(key);
            }
        }
        let kept = samples.between(table, &[], None);
        assert!(kept.len() <= KEY_SAMPLES_MAX);
        let reloaded = KeySamples::default();
        stored.iter().for_each(|(key, value)| reloaded.load(key, value).unwrap());
        assert_eq!(reloaded.between(table, &[], None), kept);
    }
}
