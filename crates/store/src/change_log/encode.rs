//! Writing the change log: changes are gathered into parts, each part becomes one put.

use kalamdb_commons::limits::LOG_PART_BYTES_MAX;
use kalamdb_commons::{CommitSeq, TableId, UserId};

use super::{CHANGE_HEADER_BYTES, FORMAT, bucket_of, bucket_prefix};
use crate::{ChangeOp, StoreError};

/// The log entry of one commit for one table and owner, in parts. Reusable: the buffer stays.
pub(crate) struct LogWriter {
    /// Everything of the key but the part's number.
    key: Vec<u8>,
    prefix_len: usize,
    part: u32,
    header: Vec<u8>,
    value: Vec<u8>,
}

/// Which commit an entry belongs to.
pub(crate) struct LoggedCommit<'a> {
    pub(crate) table: TableId,
    pub(crate) owner: Option<&'a UserId>,
    pub(crate) schema_version: u32,
    pub(crate) commit_seq: CommitSeq,
    pub(crate) updated_us: i64,
    /// The number of its first part: more than 0 when an earlier entry of the same commit, table
    /// and owner went before.
    pub(crate) first_part: u32,
}

impl LogWriter {
    pub(crate) fn new() -> Self {
        Self { key: Vec::new(), prefix_len: 0, part: 0, header: Vec::new(), value: Vec::new() }
    }

    /// Begins an entry; the one before must be finished.
    pub(crate) fn begin(&mut self, commit: &LoggedCommit<'_>) {
        self.key = bucket_prefix(commit.table, bucket_of(commit.updated_us), commit.owner);
        self.key.extend_from_slice(&commit.commit_seq.0.to_be_bytes());
        self.prefix_len = self.key.len();
        self.part = commit.first_part;
        self.header.clear();
        self.header.push(FORMAT);
        self.header.extend_from_slice(&commit.schema_version.to_le_bytes());
        self.header.extend_from_slice(&commit.updated_us.to_le_bytes());
        self.value.clear();
    }

    /// Appends a change; `put` is called with key and value of each part that is full.
    pub(crate) fn append(
        &mut self,
        op: ChangeOp,
        key: &[u8],
        new: &[u8],
        old: &[u8],
        put: &mut impl FnMut(&[u8], &[u8]),
    ) -> Result<(), StoreError> {
        let bytes = CHANGE_HEADER_BYTES + key.len() + new.len() + old.len();
        if !self.value.is_empty() && self.value.len() + bytes > LOG_PART_BYTES_MAX {
            self.put_part(put);
        }
        if self.value.is_empty() {
            self.value.extend_from_slice(&self.header);
        }
        self.value.push(op_code(op));
        for field in [key, new, old] {
            let len = u32::try_from(field.len()).map_err(|_| StoreError::StatementTooLarge {
                bytes: field.len(),
                bytes_max: u32::MAX as usize,
            })?;
            self.value.extend_from_slice(&len.to_le_bytes());
        }
        for field in [key, new, old] {
            self.value.extend_from_slice(field);
        }
        Ok(())
    }

    /// Ends the entry, returns the number its next part would have.
    pub(crate) fn finish(&mut self, put: &mut impl FnMut(&[u8], &[u8])) -> u32 {
        if !self.value.is_empty() {
            self.put_part(put);
        }
        // One huge row must not stay in memory for ever.
        self.value.shrink_to(LOG_PART_BYTES_MAX);
        self.part
    }

    fn put_part(&mut self, put: &mut impl FnMut(&[u8], &[u8])) {
        self.key.truncate(self.prefix_len);
        self.key.extend_from_slice(&self.part.to_be_bytes());
        put(&self.key, &self.value);
        self.part += 1;
        self.value.clear();
    }
}

fn op_code(op: ChangeOp) -> u8 {
    match op {
        ChangeOp::Insert => 1,
        ChangeOp::Update => 2,
        ChangeOp::Delete => 3,
        ChangeOp::Truncate => 4,
    }
}
