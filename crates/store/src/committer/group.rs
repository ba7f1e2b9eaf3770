//! One group of commits becoming one batch: rows, change log, counters, samples, catalog.

use std::collections::HashMap;

use kalamdb_commons::{CommitSeq, Durability, Generation, TableDefinition, TableId, UserId};
use rocksdb::{ColumnFamily, WriteBatch};

use super::{ChangeOp, CommitReceipt, CommitReply, CommitRequest, RowChanges};
use crate::change_log::{LogWriter, LoggedCommit};
use crate::counters::CounterDelta;
use crate::database::Database;
use crate::families::Family;
use crate::purge::Purge;
use crate::{StoreError, meta, row_format, scan, stream};

/// What RocksDB adds to a key and value in a batch, at most: tag, family, two lengths.
const BATCH_ENTRY_BYTES_MAX: usize = 16;

/// Commits that are written together.
pub(super) struct Group {
    batch: WriteBatch,
    /// Who waits, in commit order.
    pub(super) replies: Vec<(CommitReply, CommitReceipt)>,
    /// Encoded bytes of the requests taken in.
    pub(super) bytes: usize,
    counters: HashMap<(TableId, Option<UserId>), CounterDelta>,
    /// True when a member must be on disk before it is acknowledged.
    pub(super) sync: bool,
    /// The shortest interval after which members that need no sync want one.
    pub(super) interval_ms: u32,
    row_ids_used: bool,
    /// True when a member asked for a removal.
    pub(super) records_purges: bool,
}

impl Group {
    /// An empty group with room for `bytes` of requests.
    pub(super) fn new(request_bytes: usize, request_rows: usize) -> Self {
        // Rows stand in the batch twice, once in the log.
        let capacity = 2 * (request_bytes + request_rows * BATCH_ENTRY_BYTES_MAX) + 1024;
        Self {
            batch: WriteBatch::with_capacity_bytes(capacity),
            replies: Vec::new(),
            bytes: 0,
            counters: HashMap::new(),
            sync: false,
            interval_ms: u32::MAX,
            row_ids_used: false,
            records_purges: false,
        }
    }

    /// Takes in a commit that was checked and numbered. An error leaves the batch unusable.
    pub(super) fn add(
        &mut self,
        database: &Database,
        log: &mut LogWriter,
        request: CommitRequest,
        receipt: CommitReceipt,
        reply: CommitReply,
    ) -> Result<(), StoreError> {
        self.bytes += request.byte_len();
        self.replies.push((reply, receipt));
        self.note_durability(&request);
        let mut log_parts = LogParts::default();
        for changes in request.changes {
            self.add_changes(database, log, changes, &receipt, &mut log_parts)?;
        }
        for table in &request.tables_truncated {
            self.truncate(database, log, table, &receipt)?;
        }
        let db = database.rocksdb();
        for op in request.catalog {
            let family = op.family.handle(db)?;
            match op.value {
                Some(value) => self.batch.put_cf(family, op.key, value),
                None => self.batch.delete_cf(family, op.key),
            }
        }
        let dropped = request.tables_changed.iter().filter(|(_, version)| version.is_none());
        for (table, _) in dropped.clone() {
            database.key_samples.remove(*table);
            database.streams.remove(*table);
        }
        for owner in &request.owners_dropped {
            database.key_samples.remove_owner(owner);
        }
        let tables = dropped.map(|(table, _)| Purge::Table(*table));
        let purges = tables.chain(request.owners_dropped.iter().cloned().map(Purge::Owner));
        let generations = &database.generations;
        let purges = purges.chain(request.tables_truncated.iter().map(|table| Purge::Generation {
            table: table.id,
            before: generations.newest(table.id),
        }));
        for (number, purge) in (0..).zip(purges) {
            let key = meta::purge_key(receipt.commit_seq.0, number);
            self.batch.put_cf(Family::Meta.handle(db)?, key, purge.encode());
            self.records_purges = true;
        }
        Ok(())
    }

    /// A commit is synced unless every table it touches says that later will do.
    fn note_durability(&mut self, request: &CommitRequest) {
        let rows_only = request.catalog.is_empty()
            && request.tables_changed.is_empty()
            && request.tables_truncated.is_empty()
            && request.owners_dropped.is_empty();
        self.sync |= !rows_only || request.changes.is_empty();
        for changes in &request.changes {
            match changes.layout.definition().options.durability {
                Durability::Sync => self.sync = true,
                Durability::Interval { interval_ms } => {
                    self.interval_ms = self.interval_ms.min(interval_ms);
                }
            }
        }
    }

    fn add_changes(
        &mut self,
        database: &Database,
        log: &mut LogWriter,
        mut changes: RowChanges,
        receipt: &CommitReceipt,
        log_parts: &mut LogParts,
    ) -> Result<(), StoreError> {
        let table = changes.table();
        let owner = changes.owner.clone();
        let (family, prefix) = scan::rows_of(&changes.layout, Generation(0), owner.as_ref())?;
        let db = database.rocksdb();
        let (rows_family, log_family) = (family.handle(db)?, Family::ChangeLog.handle(db)?);
        let stream = changes.layout.definition().stream_options();
        let mut prefix_len = prefix.len();
        if let Some(options) = stream {
            prefix_len = stream::PREFIX_BYTES;
            let (time_us, keys) = (receipt.updated_us, &mut changes.keys);
            database.streams.append(table, options, time_us, keys, &changes.rows);
        } else if changes.op == ChangeOp::Insert {
            self.row_ids_used |= changes.layout.definition().has_hidden_key();
            self.add_samples(database, table, &changes)?;
        }
        log.begin(&LoggedCommit {
            table,
            owner: owner.as_ref(),
            schema_version: changes.layout.definition().schema_version,
            commit_seq: receipt.commit_seq,
            updated_us: receipt.updated_us,
            first_part: log_parts.next(table, owner.as_ref()),
        });
        for index in 0..changes.rows.len() {
            row_format::patch(changes.rows.get_mut(index), receipt.commit_seq, receipt.updated_us)?;
        }
        let mut delta = CounterDelta { updated_us_max: receipt.updated_us, ..Default::default() };
        let mut rows = RowsIntoBatch {
            batch: &mut self.batch,
            rows_family,
            log_family,
            log,
            delta: &mut delta,
        };
        for index in 0..changes.keys.len() {
            rows.add(&changes, index, prefix_len)?;
        }
        let batch = &mut self.batch;
        let next_part = log.finish(&mut |key, value| batch.put_cf(log_family, key, value));
        log_parts.set(table, owner.as_ref(), next_part);
        if let Some(owner) = owner {
            self.counters.entry((table, Some(owner))).or_default().add(&delta);
        }
        self.counters.entry((table, None)).or_default().add(&delta);
        Ok(())
    }

    /// Begins the table's new generation, of which nothing is counted yet.
    fn truncate(
        &mut self,
        database: &Database,
        log: &mut LogWriter,
        table: &TableDefinition,
        receipt: &CommitReceipt,
    ) -> Result<(), StoreError> {
        let db = database.rocksdb();
        let family = Family::Meta.handle(db)?;
        let generation = database.generations.newest(table.id);
        self.batch.put_cf(family, meta::generation_key(table.id), generation.0.to_be_bytes());
        database.key_samples.remove(table.id);
        self.counters.remove(&(table.id, None));
        let counted = CounterDelta { updated_us_max: receipt.updated_us, ..Default::default() };
        self.batch.put_cf(family, meta::counters_key(table.id, None), counted.encode());
        log.begin(&LoggedCommit {
            table: table.id,
            owner: None,
            schema_version: table.schema_version,
            commit_seq: receipt.commit_seq,
            updated_us: receipt.updated_us,
            first_part: 0,
        });
        let log_family = Family::ChangeLog.handle(db)?;
        let batch = &mut self.batch;
        let mut put = |key: &[u8], value: &[u8]| batch.put_cf(log_family, key, value);
        log.append(ChangeOp::Truncate, &[], &[], &[], &mut put)?;
        log.finish(&mut put);
        Ok(())
    }

    fn add_samples(
        &mut self,
        database: &Database,
        table: TableId,
        changes: &RowChanges,
    ) -> Result<(), StoreError> {
        let samples = database.key_samples.count_inserts(table, &changes.keys);
        let family = Family::Meta.handle(database.rocksdb())?;
        for (key, value) in samples.puts {
            self.batch.put_cf(family, key, value);
        }
        for key in samples.deletes {
            self.batch.delete_cf(family, key);
        }
        Ok(())
    }

    /// The finished batch: what the group as a whole must leave behind is appended.
    pub(super) fn into_batch(
        mut self,
        database: &Database,
        last_seq: CommitSeq,
        seq_block_end: Option<u64>,
    ) -> Result<WriteBatch, StoreError> {
        let family = Family::Meta.handle(database.rocksdb())?;
        for ((table, owner), delta) in &self.counters {
            let key = meta::counters_key(*table, owner.as_ref());
            self.batch.merge_cf(family, key, delta.encode());
        }
        for (key, value) in database.streams.records() {
            self.batch.put_cf(family, key, value);
        }
        if self.row_ids_used {
            let next = database.next_row_id.load(std::sync::atomic::Ordering::SeqCst);
            self.batch.put_cf(family, meta::NEXT_ROW_ID, next.to_be_bytes());
        }
        if let Some(end) = seq_block_end {
            self.batch.put_cf(family, meta::SEQ_BLOCK_END, end.to_be_bytes());
        }
        self.batch.put_cf(family, meta::LAST_COMMIT_SEQ, last_seq.0.to_be_bytes());
        Ok(self.batch)
    }
}

/// Where the rows of one [`RowChanges`] go.
struct RowsIntoBatch<'a> {
    batch: &'a mut WriteBatch,
    rows_family: &'a ColumnFamily,
    log_family: &'a ColumnFamily,
    log: &'a mut LogWriter,
    delta: &'a mut CounterDelta,
}

impl RowsIntoBatch<'_> {
    fn add(
        &mut self,
        changes: &RowChanges,
        index: usize,
        prefix_len: usize,
    ) -> Result<(), StoreError> {
        let key = changes.keys.get(index);
        let new = (!changes.rows.is_empty()).then(|| changes.rows.get(index));
        let old = changes.old_image(index);
        match new {
            Some(row) => self.batch.put_cf(self.rows_family, key, row),
            None => self.batch.delete_cf(self.rows_family, key),
        }
        for (image, weight) in [(new, 1), (old, -1)] {
            if let Some(image) = image {
                let deleted = row_format::is_deleted(image);
                self.delta.count_image(weight, deleted, key.len() + image.len());
            }
        }
        let live = |image: Option<&'_ [u8]>| image.is_some_and(|i| !row_format::is_deleted(i));
        let op = match (live(old), live(new)) {
            (false, true) => ChangeOp::Insert,
            (true, true) => ChangeOp::Update,
            (true, false) => ChangeOp::Delete,
            // What was not visible and is not now is no event.
            (false, false) => return Ok(()),
        };
        let new = new.filter(|_| op != ChangeOp::Delete).unwrap_or_default();
        let old = old.filter(|_| op != ChangeOp::Insert).unwrap_or_default();
        let (batch, log_family) = (&mut *self.batch, self.log_family);
        let logged_key = key.get(prefix_len..).unwrap_or_default();
        self.log.append(op, logged_key, new, old, &mut |key, value| {
            batch.put_cf(log_family, key, value);
        })
    }
}

/// The next part number of each table and owner within one commit.
#[derive(Default)]
struct LogParts(Vec<(TableId, Option<UserId>, u32)>);

impl LogParts {
    fn next(&self, table: TableId, owner: Option<&UserId>) -> u32 {
        self.0
            .iter()
            .find(|(t, o, _)| *t == table && o.as_ref() == owner)
            .map_or(0, |(_, _, next)| *next)
    }

    fn set(&mut self, table: TableId, owner: Option<&UserId>, next: u32) {
        let known = self.0.iter_mut().find(|(t, o, _)| *t == table && o.as_ref() == owner);
        match known {
            Some((_, _, part)) => *part = next,
            None => self.0.push((table, owner.cloned(), next)),
        }
    }
}

/// Refuses requests whose parts do not fit together, before anything of them is in a batch.
pub(super) fn check_shape(request: &CommitRequest) -> Result<(), StoreError> {
    request.changes.iter().try_for_each(check_changes)
}

fn check_changes(changes: &RowChanges) -> Result<(), StoreError> {
    let (keys, rows, old) = (&changes.keys, &changes.rows, &changes.old);
    let refused = |what: &str| {
        Err(StoreError::invalid(format!("{:?} of table {}: {what}", changes.op, changes.table())))
    };
    if changes.op == ChangeOp::Truncate {
        return refused("it is no change of rows, name the table in tables_truncated");
    }
    let rows_fit = rows.len() == keys.len() || (changes.op == ChangeOp::Delete && rows.is_empty());
    if !rows_fit {
        return refused("as many rows as keys are needed");
    }
    if old.len() != keys.len() && !(changes.op == ChangeOp::Insert && old.is_empty()) {
        return refused("as many old images as keys are needed");
    }
    if changes.op != ChangeOp::Insert && old.iter().any(<[u8]>::is_empty) {
        return refused("every row needs its old image");
    }
    if rows.iter().any(|row| row.len() < row_format::HEADER_BYTES) {
        return refused("a row is shorter than its header");
    }
    let (_, prefix) = scan::rows_of(&changes.layout, Generation(0), changes.owner.as_ref())?;
    let table = changes.table().0.to_be_bytes();
    if keys.iter().any(|key| key.len() <= prefix.len() || !key.starts_with(&table)) {
        return refused("a key does not belong to the table");
    }
    if changes.layout.definition().stream_options().is_some() {
        if changes.op != ChangeOp::Insert || !old.is_empty() {
            return refused("rows of a stream are only appended");
        }
        if keys.iter().any(|key| key.len() != stream::KEY_BYTES) {
            return refused("a key is not a stream's");
        }
    }
    Ok(())
}
