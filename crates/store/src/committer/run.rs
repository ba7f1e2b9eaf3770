//! The committer's thread.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use kalamdb_commons::limits::COMMIT_GROUP_BYTES_MAX;
use kalamdb_commons::{CommitSeq, TableId, TableType};

use super::group::{Group, check_shape};
use super::queue::{Message, PendingCommit};
use super::sequence::SeqAllocator;
use super::validation::ValidationMemory;
use super::{CommitReceipt, CommitRequest, RowChanges};
use crate::change_log::LogWriter;
use crate::counters::CounterDelta;
use crate::database::Database;
use crate::families::Family;
use crate::{StoreError, meta};

/// What the thread keeps from group to group.
pub(super) struct CommitThread {
    database: Arc<Database>,
    seqs: SeqAllocator,
    memory: ValidationMemory,
    log: LogWriter,
    /// The greatest `_updated` of each table.
    updated_us: HashMap<TableId, i64>,
    /// When commits that are visible but not on disk must be.
    sync_by: Option<Instant>,
}

/// What comes next for the thread.
enum Next {
    Commit(PendingCommit),
    SyncIsDue,
    Close,
}

impl CommitThread {
    pub(super) fn new(
        database: Arc<Database>,
        last_allocated_seq: u64,
        seq_block_end: u64,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            database,
            seqs: SeqAllocator::new(last_allocated_seq, seq_block_end),
            memory: ValidationMemory::new(last_allocated_seq),
            log: LogWriter::new(),
            updated_us: HashMap::new(),
            sync_by: None,
        })
    }

    pub(super) fn run(mut self, messages: &Receiver<Message>) {
        // A commit that did not fit into the group before.
        let mut left_over = None;
        loop {
            let first = match left_over.take() {
                Some(pending) => pending,
                None => match self.next(messages) {
                    Next::Commit(pending) => pending,
                    Next::SyncIsDue => {
                        self.sync();
                        continue;
                    }
                    Next::Close => break,
                },
            };
            let closing = self.commit_group(first, messages, &mut left_over);
            if self.sync_by.is_some_and(|by| by <= Instant::now()) {
                self.sync();
            }
            if closing && left_over.is_none() {
                break;
            }
        }
        if self.sync_by.is_some() {
            self.sync();
        }
        for message in messages.try_iter() {
            if let Message::Commit(pending) = message {
                (pending.reply)(Err(StoreError::Closed));
            }
        }
    }

    fn next(&self, messages: &Receiver<Message>) -> Next {
        let received = match self.sync_by {
            Some(by) => messages.recv_timeout(by.saturating_duration_since(Instant::now())),
            None => messages.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match received {
            Ok(Message::Commit(pending)) => Next::Commit(pending),
            Err(RecvTimeoutError::Timeout) => Next::SyncIsDue,
            Ok(Message::Close) | Err(RecvTimeoutError::Disconnected) => Next::Close,
        }
    }

    /// Writes `first` and what else is waiting; true when the queue said to close.
    fn commit_group(
        &mut self,
        first: PendingCommit,
        messages: &Receiver<Message>,
        left_over: &mut Option<PendingCommit>,
    ) -> bool {
        let rows = first.request.changes.iter().map(|changes| changes.keys.len()).sum();
        let mut group = Group::new(first.bytes, rows);
        let mut closing = false;
        let mut taken = self.take(&mut group, first);
        // No lingering: what came in while the last group was synced makes the next one.
        while taken.is_ok() && group.bytes < COMMIT_GROUP_BYTES_MAX {
            match messages.try_recv() {
                Ok(Message::Commit(pending))
                    if group.bytes + pending.bytes > COMMIT_GROUP_BYTES_MAX =>
                {
                    *left_over = Some(pending);
                    break;
                }
                Ok(Message::Commit(pending)) => taken = self.take(&mut group, pending),
                Ok(Message::Close) => {
                    closing = true;
                    break;
                }
                Err(_) => break,
            }
        }
        self.finish(group, taken);
        closing
    }

    /// Checks and numbers a commit and puts it into the group. Refusals are answered here; an
    /// error means that the group cannot be written.
    fn take(&mut self, group: &mut Group, pending: PendingCommit) -> Result<(), StoreError> {
        let PendingCommit { request, reply, .. } = pending;
        let updated_us = match self.admit(&request) {
            Ok(updated_us) => updated_us,
            Err(error) => {
                metrics::counter!("kalamdb_commits_refused_total").increment(1);
                reply(Err(error));
                return Ok(());
            }
        };
        let commit_seq = self.seqs.allocate();
        self.memory.record(&request, commit_seq);
        for (table, version) in &request.tables_changed {
            self.database.table_versions.record(*table, commit_seq, *version);
        }
        for table in &request.tables_truncated {
            // What was located before stands in a generation that has ended.
            let version = Some(table.schema_version);
            self.database.table_versions.record(table.id, commit_seq, version);
            self.database.generations.end(table.id, commit_seq);
            self.updated_us.insert(table.id, updated_us);
        }
        for owner in &request.owners_dropped {
            self.database.dropped_owners.record(owner, commit_seq);
        }
        for changes in &request.changes {
            self.updated_us.insert(changes.table(), updated_us);
        }
        let receipt = CommitReceipt { commit_seq, updated_us, durable: true };
        group.add(&self.database, &mut self.log, request, receipt, reply)
    }

    /// Decides whether a commit may be made; its time, if so.
    fn admit(&mut self, request: &CommitRequest) -> Result<i64, StoreError> {
        self.database.check_fence()?;
        check_shape(request)?;
        for changes in &request.changes {
            let definition = changes.layout.definition();
            self.database.table_versions.check_write(definition, request.read_seq)?;
            if let Some(owner) = &changes.owner {
                self.database.dropped_owners.check_write(owner)?;
            }
        }
        for table in &request.tables_truncated {
            if table.table_type != TableType::Shared {
                return Err(StoreError::invalid("only SHARED tables are emptied at once"));
            }
            self.database.table_versions.check_write(table, request.read_seq)?;
        }
        self.memory.check(request)?;
        let is_stream =
            |changes: &RowChanges| changes.layout.definition().stream_options().is_some();
        let mut updated_us = if request.changes.iter().any(is_stream) {
            self.database.streams.begin(&*self.database.clock)
        } else {
            self.database.clock.now_us()
        };
        for changes in &request.changes {
            updated_us = updated_us.max(self.last_updated_us(changes.table())?);
        }
        for table in &request.tables_truncated {
            updated_us = updated_us.max(self.last_updated_us(table.id)?);
        }
        Ok(updated_us)
    }

    /// The greatest `_updated` of the table; read from storage once.
    fn last_updated_us(&mut self, table: TableId) -> Result<i64, StoreError> {
        if let Some(updated_us) = self.updated_us.get(&table) {
            return Ok(*updated_us);
        }
        let stored = self.database.get(Family::Meta, &meta::counters_key(table, None))?;
        let updated_us = CounterDelta::decode_stored(stored.as_deref())?.updated_us_max;
        self.updated_us.insert(table, updated_us);
        Ok(updated_us)
    }

    /// Writes the group and answers its members, in commit order.
    fn finish(&mut self, mut group: Group, built: Result<(), StoreError>) {
        let replies = std::mem::take(&mut group.replies);
        if replies.is_empty() {
            self.database.streams.end_group();
            return;
        }
        let (sync, interval_ms, records_purges) =
            (group.sync, group.interval_ms, group.records_purges);
        let last_seq = CommitSeq(self.seqs.last());
        let seq_block_end = if sync { None } else { self.seqs.extend_block() };
        let durable = sync || seq_block_end.is_some();
        let started = Instant::now();
        let written = built
            .and_then(|()| group.into_batch(&self.database, last_seq, seq_block_end))
            .map_err(|error| self.database.set_fence(&format!("build a commit: {error}")))
            .and_then(|batch| self.database.write(batch, durable));
        if written.is_err() {
            for (reply, _) in replies {
                reply(Err(self.database.fenced()));
            }
            return;
        }
        metrics::histogram!("kalamdb_commit_write_seconds").record(started.elapsed());
        metrics::histogram!("kalamdb_commit_group_commits").record(replies.len() as f64);
        metrics::counter!("kalamdb_commits_total").increment(replies.len() as u64);
        self.published(last_seq, durable, interval_ms);
        self.database.streams.end_group();
        if records_purges {
            self.database.purges_waiting.store(true, Ordering::SeqCst);
        }
        for (reply, receipt) in replies {
            reply(Ok(CommitReceipt { durable, ..receipt }));
        }
    }

    fn published(&mut self, last_seq: CommitSeq, durable: bool, interval_ms: u32) {
        self.database.last_commit_seq.store(last_seq.0, Ordering::SeqCst);
        if durable {
            // A sync takes everything before it along.
            self.database.durable_commit_seq.store(last_seq.0, Ordering::SeqCst);
            self.sync_by = None;
        } else {
            let by = Instant::now() + Duration::from_millis(u64::from(interval_ms));
            self.sync_by = Some(self.sync_by.map_or(by, |earlier| earlier.min(by)));
        }
    }

    /// Puts everything visible on disk. A failure fences; whoever commits next is told.
    fn sync(&mut self) {
        self.sync_by = None;
        let started = Instant::now();
        if self.database.sync().is_ok() {
            metrics::histogram!("kalamdb_wal_sync_seconds").record(started.elapsed());
            let last = self.database.last_commit_seq.load(Ordering::SeqCst);
            self.database.durable_commit_seq.store(last, Ordering::SeqCst);
        }
    }
}
