//! Keys of the change log.

use kalamdb_commons::{CommitSeq, TableId, UserId};

use crate::StoreError;
use crate::key_codec::{append_escaped, append_unescaped};

/// Seconds of changes that are trimmed together.
pub const LOG_BUCKET_SECONDS: u32 = 300;

const MICROS_PER_SECOND: i64 = 1_000_000;
/// Table and bucket.
const BUCKET_PREFIX_BYTES: usize = 4 + 4;
/// Commit seq and part.
const COMMIT_BYTES: usize = 8 + 4;

/// The bucket that changes of this time go to.
pub(crate) fn bucket_of(updated_us: i64) -> u32 {
    let bucket = updated_us / (i64::from(LOG_BUCKET_SECONDS) * MICROS_PER_SECOND);
    u32::try_from(bucket.max(0)).unwrap_or(u32::MAX)
}

/// A decoded key of the change log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogKey {
    /// The table.
    pub table: TableId,
    /// Its time, in units of [`LOG_BUCKET_SECONDS`].
    pub bucket: u32,
    /// Whose rows changed, in a USER table.
    pub owner: Option<UserId>,
    /// The commit.
    pub commit_seq: CommitSeq,
    /// Which part of the commit, from 0.
    pub part: u32,
}

impl LogKey {
    /// The key's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut key = bucket_prefix(self.table, self.bucket, self.owner.as_ref());
        key.extend_from_slice(&self.commit_seq.0.to_be_bytes());
        key.extend_from_slice(&self.part.to_be_bytes());
        key
    }

    /// The key these bytes encode.
    pub fn decode(key: &[u8]) -> Result<Self, StoreError> {
        let corrupt = || StoreError::Corrupt {
            what: "change log key",
            detail: format!("{key:02x?} is not table, bucket, owner, commit and part"),
        };
        let (table, bucket) = table_and_bucket(key).ok_or_else(corrupt)?;
        let rest = key.get(BUCKET_PREFIX_BYTES..).ok_or_else(corrupt)?;
        let (owner, commit) = rest.split_last_chunk::<COMMIT_BYTES>().ok_or_else(corrupt)?;
        let (seq, part) = commit.split_at(8);
        Ok(Self {
            table,
            bucket,
            owner: decode_owner(owner)?,
            commit_seq: CommitSeq(u64::from_be_bytes(seq.try_into().map_err(|_| corrupt())?)),
            part: u32::from_be_bytes(part.try_into().map_err(|_| corrupt())?),
        })
    }
}

fn decode_owner(mut escaped: &[u8]) -> Result<Option<UserId>, StoreError> {
    if escaped.is_empty() {
        return Ok(None);
    }
    let corrupt = |detail: String| StoreError::Corrupt { what: "change log key", detail };
    let mut owner = Vec::new();
    append_unescaped(&mut escaped, &mut owner)
        .ok_or_else(|| corrupt("the owner does not end".to_owned()))?;
    if !escaped.is_empty() {
        return Err(corrupt(format!("{} bytes follow the owner", escaped.len())));
    }
    let owner = String::from_utf8(owner).map_err(|error| corrupt(error.to_string()))?;
    Ok(Some(UserId::new(owner)))
}

/// What the keys of a table's bucket begin with, of one owner or of all.
pub(crate) fn bucket_prefix(table: TableId, bucket: u32, owner: Option<&UserId>) -> Vec<u8> {
    let mut prefix = first_key_of_bucket(table, bucket).to_vec();
    if let Some(owner) = owner {
        append_escaped(owner.as_str().as_bytes(), &mut prefix);
    }
    prefix
}

/// A bound before every key of a table's bucket.
pub(crate) fn first_key_of_bucket(table: TableId, bucket: u32) -> [u8; BUCKET_PREFIX_BYTES] {
    let mut key = [0; BUCKET_PREFIX_BYTES];
    let (table_bytes, bucket_bytes) = key.split_at_mut(4);
    table_bytes.copy_from_slice(&table.0.to_be_bytes());
    bucket_bytes.copy_from_slice(&bucket.to_be_bytes());
    key
}

/// The table and bucket of a key.
pub(crate) fn table_and_bucket(key: &[u8]) -> Option<(TableId, u32)> {
    let (table, rest) = key.split_first_chunk::<4>()?;
    let bucket = rest.first_chunk::<4>()?;
    Some((TableId(u32::from_be_bytes(*table)), u32::from_be_bytes(*bucket)))
}
