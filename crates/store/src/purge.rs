//! Recorded removals: what a commit asked to go, and which keys that is.

use kalamdb_commons::{Generation, TableId, UserId};
use rocksdb::WriteBatch;

use crate::counters::CounterDelta;
use crate::database::Database;
use crate::families::Family;
use crate::stream::{Eviction, Position};
use crate::{StoreError, change_log, meta, table_layout};

/// A recorded removal. Format: kind u8 (1 table, 2 log buckets, 3 owner, 4 stream rows, 5
/// generations); for all but kind 3 the table, u32 BE; for kind 2 the first bucket and for kind 5
/// the first generation to keep, u32 BE; for kind 3 the user's id; for kind 4 the position before
/// which nothing is kept, as it stands in keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Purge {
    /// Everything of a dropped table.
    Table(TableId),
    /// A table's log before a bucket.
    LogBuckets { table: TableId, keep_from: u32 },
    /// Everything a dropped user has in USER tables.
    Owner(UserId),
    /// The rows of a SHARED table in generations that have ended.
    Generation { table: TableId, before: Generation },
    /// The rows of a stream that no view shows any more.
    Stream(Eviction),
}

/// Keys of one family, end excluded.
type Range = (Family, Vec<u8>, Vec<u8>);

impl Purge {
    pub(crate) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Table(table) => [&[1], table.0.to_be_bytes().as_slice()].concat(),
            Self::LogBuckets { table, keep_from } => {
                [&[2], table.0.to_be_bytes().as_slice(), &keep_from.to_be_bytes()].concat()
            }
            Self::Owner(owner) => [&[3], owner.as_str().as_bytes()].concat(),
            Self::Generation { table, before } => {
                [&[5], table.0.to_be_bytes().as_slice(), &before.0.to_be_bytes()].concat()
            }
            Self::Stream(eviction) => {
                [&[4], eviction.before.key(eviction.table).as_slice()].concat()
            }
        }
    }

    pub(crate) fn decode(value: &[u8]) -> Option<Self> {
        let (&kind, rest) = value.split_first()?;
        if kind == 4 {
            let (table, before) = rest.split_first_chunk::<4>()?;
            let before = Position::decode(before)?;
            return Some(Self::Stream(Eviction {
                table: TableId(u32::from_be_bytes(*table)),
                before,
            }));
        }
        match (kind, rest.as_chunks::<4>()) {
            (1, ([table], [])) => Some(Self::Table(TableId(u32::from_be_bytes(*table)))),
            (2, ([table, bucket], [])) => Some(Self::LogBuckets {
                table: TableId(u32::from_be_bytes(*table)),
                keep_from: u32::from_be_bytes(*bucket),
            }),
            (5, ([table, before], [])) => Some(Self::Generation {
                table: TableId(u32::from_be_bytes(*table)),
                before: Generation(u32::from_be_bytes(*before)),
            }),
            (3, _) if !rest.is_empty() => {
                Some(Self::Owner(UserId::new(std::str::from_utf8(rest).ok()?)))
            }
            _ => None,
        }
    }

    /// Removes it all: first whole files, then in one batch the ranges, and with them the
    /// `record` in `meta` that asked for it. No view may be open that could still read any of it.
    pub(crate) fn run(&self, database: &Database, record: &[u8]) -> Result<(), StoreError> {
        let db = database.rocksdb();
        let mut batch = WriteBatch::default();
        let ranges = match self {
            Self::Table(table) => ranges_of_table(*table),
            Self::LogBuckets { table, keep_from } => {
                let start = change_log::first_key_of_bucket(*table, 0).to_vec();
                let end = change_log::first_key_of_bucket(*table, *keep_from).to_vec();
                vec![(Family::ChangeLog, start, end)]
            }
            Self::Generation { table, before } => {
                let keys = [Generation(0), *before]
                    .map(|generation| table_layout::generation_prefix(*table, generation));
                let samples = keys.each_ref().map(|key| meta::key_sample_key(*table, key));
                let ([start, end], [first, last]) = (keys, samples);
                vec![(Family::SharedTable, start, end), (Family::Meta, first, last)]
            }
            Self::Owner(owner) => {
                let mut ranges = Vec::new();
                for table in tables_of_owner(database, owner)? {
                    ranges.extend(ranges_of_owner(database, table, owner)?);
                    uncount_owner(database, table, owner, &mut batch)?;
                }
                ranges
            }
            Self::Stream(eviction) => ranges_of_eviction(eviction),
        };
        for (family, start, end) in ranges {
            let handle = family.handle(db)?;
            if family != Family::Meta {
                db.delete_file_in_range_cf(handle, &start, &end)
                    .map_err(StoreError::rocksdb("remove files"))?;
            }
            batch.delete_range_cf(handle, &start, &end);
        }
        if let Self::Stream(eviction) = self {
            uncount_evicted(database, eviction, &mut batch)?;
        }
        batch.delete_cf(Family::Meta.handle(db)?, record);
        database.write(batch, false)
    }
}

/// The keys with a prefix. Table ids, ends of escaped strings and kinds of `meta` keys do not
/// reach their last value, so there always is an end.
fn with_prefix(family: Family, prefix: Vec<u8>) -> Option<Range> {
    meta::prefix_successor(&prefix).map(|end| (family, prefix, end))
}

fn ranges_of_table(table: TableId) -> Vec<Range> {
    Family::OF_TABLES
        .into_iter()
        .filter_map(|family| with_prefix(family, table.0.to_be_bytes().to_vec()))
        .chain(with_prefix(Family::Meta, meta::counters_prefix(table)))
        .chain(with_prefix(Family::Meta, meta::key_samples_prefix(table)))
        .chain(with_prefix(Family::Meta, meta::log_floor_key(table)))
        .chain(with_prefix(Family::Meta, meta::generation_key(table)))
        .chain(with_prefix(Family::Meta, meta::stream_head_key(table)))
        .chain(with_prefix(Family::Meta, meta::stream_pieces_prefix(table)))
        .collect()
}

/// The beginning of a stream, and what `meta` knows of it.
fn ranges_of_eviction(eviction: &Eviction) -> Vec<Range> {
    let table = eviction.table;
    let start = table.0.to_be_bytes().to_vec();
    let rows = (Family::StreamTable, start, eviction.before.key_before(table));
    let first_piece = meta::stream_pieces_prefix(table);
    let end_of_pieces = meta::stream_piece_key(table, &eviction.before.encode());
    vec![rows, (Family::Meta, first_piece, end_of_pieces)]
}

/// Takes what goes off the table's counters. The pieces know: no row is read.
fn uncount_evicted(
    database: &Database,
    eviction: &Eviction,
    batch: &mut WriteBatch,
) -> Result<(), StoreError> {
    let counted = database.streams.take_before(eviction);
    // A table dropped in the meantime has no counters to be kept right.
    if counted.live_rows > 0 {
        let family = Family::Meta.handle(database.rocksdb())?;
        let key = meta::counters_key(eviction.table, None);
        batch.merge_cf(family, key, counted.negated().encode());
        metrics::counter!("kalamdb_stream_rows_evicted_total")
            .increment(u64::try_from(counted.live_rows).unwrap_or(0));
    }
    Ok(())
}

/// The tables an owner ever had rows in: those that count them.
fn tables_of_owner(database: &Database, owner: &UserId) -> Result<Vec<TableId>, StoreError> {
    let mut tables = Vec::new();
    let mut next = Some(TableId(0));
    while let Some(from) = next {
        let key = database.key_at_or_after(Family::Meta, &meta::counters_key(from, None))?;
        let Some(table) = key.as_deref().and_then(meta::table_of_counters) else { break };
        if database.get(Family::Meta, &meta::counters_key(table, Some(owner)))?.is_some() {
            tables.push(table);
        }
        next = table.0.checked_add(1).map(TableId);
    }
    Ok(tables)
}

/// The rows of an owner in one table, their sampled keys, and their changes in the log.
fn ranges_of_owner(
    database: &Database,
    table: TableId,
    owner: &UserId,
) -> Result<Vec<Range>, StoreError> {
    let rows = table_layout::owner_prefix(table, Generation(0), owner);
    let samples = meta::key_sample_key(table, &rows);
    let mut ranges: Vec<Range> = with_prefix(Family::UserTable, rows).into_iter().collect();
    ranges.extend(with_prefix(Family::Meta, samples));
    let mut next = Some(0);
    while let Some(from) = next {
        let first = change_log::first_key_of_bucket(table, from);
        let key = database.key_at_or_after(Family::ChangeLog, &first)?;
        let found = key.as_deref().and_then(change_log::table_and_bucket);
        let Some((_, bucket)) = found.filter(|(logged, _)| *logged == table) else { break };
        let of_owner = change_log::bucket_prefix(table, bucket, Some(owner));
        ranges.extend(with_prefix(Family::ChangeLog, of_owner));
        next = bucket.checked_add(1);
    }
    Ok(ranges)
}

/// Takes an owner's counters away, and what they say off the table's.
fn uncount_owner(
    database: &Database,
    table: TableId,
    owner: &UserId,
    batch: &mut WriteBatch,
) -> Result<(), StoreError> {
    let of_owner = meta::counters_key(table, Some(owner));
    let stored = database.get(Family::Meta, &of_owner)?;
    let counted = CounterDelta::decode_stored(stored.as_deref())?;
    let family = Family::Meta.handle(database.rocksdb())?;
    batch.merge_cf(family, meta::counters_key(table, None), counted.negated().encode());
    batch.delete_cf(family, of_owner);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_keep_their_bytes() {
        let generations = Purge::Generation { table: TableId(3), before: Generation(258) };
        let before = Position { bucket: 1, time_us: 2, row_id: 3 };
        let records: [(Purge, &[u8]); 5] = [
            (generations, &[5, 0, 0, 0, 3, 0, 0, 1, 2]),
            (Purge::Table(TableId(1)), &[1, 0, 0, 0, 1]),
            (Purge::LogBuckets { table: TableId(2), keep_from: 258 }, &[2, 0, 0, 0, 2, 0, 0, 1, 2]),
            (Purge::Owner(UserId::new("ann")), b"\x03ann"),
            (
                Purge::Stream(Eviction { table: TableId(5), before }),
                &[4, 0, 0, 0, 5, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0x80, 0, 0, 0, 0, 0, 0, 3],
            ),
        ];
        for (purge, bytes) in records {
            assert_eq!(purge.encode(), bytes);
            assert_eq!(Purge::decode(bytes), Some(purge));
        }
        for damaged in [&[][..], &[1, 0, 0, 0], &[2, 0, 0, 0, 1], &[3], &[3, 0xFF], &[4, 1], &[5]] {
            assert_eq!(Purge::decode(damaged), None, "{damaged:?}");
        }
    }
}
