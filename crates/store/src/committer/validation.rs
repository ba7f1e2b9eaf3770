//! What recent commits wrote: decides, without reading storage, whether something a statement
//! relied on changed since its view.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

use kalamdb_commons::{CommitSeq, TableId};
use xxhash_rust::xxh3::xxh3_64;

use super::{ChangeOp, CommitRequest, RowChanges};
use crate::{ByteRows, ConflictReason, StoreError};

/// Keys remembered one by one, over all tables (about 6 MiB).
const RECENT_KEYS_MAX: usize = 1 << 17;
/// A statement with more keys than this is remembered as the range they lie in.
const KEYS_AS_RANGE_MIN: usize = 1 << 16;
/// Ranges remembered, over all tables.
const RECENT_RANGES_MAX: usize = 1 << 10;

/// The keys are hashes already.
#[derive(Default)]
struct HashedAlready(u64);

impl Hasher for HashedAlready {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64(bytes);
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// All keys of one large statement lie between `min` and `max`, both included.
struct KeySpan {
    table: TableId,
    min: Vec<u8>,
    max: Vec<u8>,
    seq: u64,
}

/// The memory of recent commits.
pub(super) struct ValidationMemory {
    /// Hash of a complete storage key → the last commit that wrote it.
    keys: HashMap<u64, u64, BuildHasherDefault<HashedAlready>>,
    /// The same, in order of commits: what is forgotten first.
    order: VecDeque<(u64, u64)>,
    spans: VecDeque<KeySpan>,
    /// Keys of commits up to this one may have been forgotten.
    floor: u64,
    /// The last commit whose keys are, or were, remembered, of each table.
    last_writes: HashMap<TableId, u64>,
    /// The last commit that changed a row of each table, those with fresh keys among them.
    last_changes: HashMap<TableId, u64>,
}

impl ValidationMemory {
    /// An empty memory; no view is older than `opened_at`.
    pub(super) fn new(opened_at: u64) -> Self {
        Self {
            keys: HashMap::default(),
            order: VecDeque::new(),
            spans: VecDeque::new(),
            floor: opened_at,
            last_writes: HashMap::new(),
            last_changes: HashMap::new(),
        }
    }

    /// Whether everything the request relied on still holds.
    pub(super) fn check(&self, request: &CommitRequest) -> Result<(), StoreError> {
        let view = request.read_seq.0;
        let changed = |table: &TableId| self.last_changes.get(table).is_some_and(|seq| *seq > view);
        if let Some(table) = request.tables_as_read.iter().find(|table| changed(&table.id)) {
            let (table, reason) = (table.qualified_name(), ConflictReason::TableWritten);
            return Err(StoreError::Conflict { table, reason });
        }
        request.changes.iter().try_for_each(|changes| {
            self.conflict(changes, view).map_or(Ok(()), |reason| {
                let table = changes.layout.definition().qualified_name();
                Err(StoreError::Conflict { table, reason })
            })
        })
    }

    fn conflict(&self, changes: &RowChanges, view: u64) -> Option<ConflictReason> {
        let last_write = *self.last_writes.get(&changes.table())?;
        if last_write <= view || has_fresh_keys(changes) {
            return None;
        }
        if view < self.floor {
            return Some(ConflictReason::ViewTooOld);
        }
        self.written_after(changes.table(), &changes.keys, view)
            .then_some(ConflictReason::KeyWritten)
    }

    fn written_after(&self, table: TableId, keys: &ByteRows, view: u64) -> bool {
        let spans: Vec<&KeySpan> = self
            .spans
            .iter()
            .rev()
            .take_while(|span| span.seq > view)
            .filter(|span| span.table == table)
            .collect();
        let in_span = |key: &[u8]| {
            spans.iter().any(|span| span.min.as_slice() <= key && key <= span.max.as_slice())
        };
        let recent = |key: &[u8]| self.keys.get(&xxh3_64(key)).is_some_and(|seq| *seq > view);
        keys.iter().any(|key| in_span(key) || recent(key))
    }

    /// Remembers what the request writes as commit `seq`.
    pub(super) fn record(&mut self, request: &CommitRequest, seq: CommitSeq) {
        for changes in &request.changes {
            if changes.keys.is_empty() {
                continue;
            }
            self.last_changes.insert(changes.table(), seq.0);
            if has_fresh_keys(changes) {
                continue;
            }
            self.last_writes.insert(changes.table(), seq.0);
            if changes.keys.len() > KEYS_AS_RANGE_MIN {
                self.record_span(changes.table(), &changes.keys, seq.0);
            } else {
                changes.keys.iter().for_each(|key| self.record_key(xxh3_64(key), seq.0));
            }
        }
    }

    fn record_key(&mut self, hash: u64, seq: u64) {
        if self.order.len() >= RECENT_KEYS_MAX
            && let Some((oldest, oldest_seq)) = self.order.pop_front()
        {
            if self.keys.get(&oldest) == Some(&oldest_seq) {
                self.keys.remove(&oldest);
            }
            self.floor = self.floor.max(oldest_seq);
        }
        self.keys.insert(hash, seq);
        self.order.push_back((hash, seq));
    }

    fn record_span(&mut self, table: TableId, keys: &ByteRows, seq: u64) {
        if self.spans.len() >= RECENT_RANGES_MAX
            && let Some(oldest) = self.spans.pop_front()
        {
            self.floor = self.floor.max(oldest.seq);
        }
        let (Some(min), Some(max)) = (keys.iter().min(), keys.iter().max()) else { return };
        self.spans.push_back(KeySpan { table, min: min.to_vec(), max: max.to_vec(), seq });
    }
}

/// Inserts under the hidden key: the ids were given out for this statement alone, so no view
/// before its commit can have located them, and no other insert can want them.
fn has_fresh_keys(changes: &RowChanges) -> bool {
    changes.op == ChangeOp::Insert && changes.layout.definition().has_hidden_key()
}
