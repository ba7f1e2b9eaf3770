//! The change log: every commit's changes with old and new images, written in the commit's own
//! batch. What follows a table reads here; nothing is announced that is not in it.
//!
//! **Key**: `table_id u32 BE · bucket u32 BE · [user_id, escaped] · commit_seq u64 BE · part u32
//! BE`. The bucket is the commit's `_updated` in units of [`LOG_BUCKET_SECONDS`]; `_updated`
//! never runs backwards within a table, so keys of one table (and owner) are in commit order, and
//! old buckets go as ranges. The owner stands in the key, so one user's changes are a key range.
//!
//! **Value**, format 1, all numbers LE; at most [`LOG_PART_BYTES_MAX`] bytes unless a single
//! change is larger; a commit's parts are numbered from 0:
//!
//! ```text
//! format u8 = 1 · schema_version u32 · updated_us i64 · change*
//! change = op u8 (1 insert, 2 update, 3 delete, 4 truncate) · key_len u32 · new_len u32 · old_len u32
//!          · key (without the table's prefix) · new image · old image
//! ```
//!
//! An insert has no old image (not even when it replaced a tombstone), a delete no new one.
//! A truncate has no key and no images: every row the table had before this commit is gone. The
//! rows themselves are in the log as what brought them.
//!
//! [`LOG_PART_BYTES_MAX`]: kalamdb_commons::limits::LOG_PART_BYTES_MAX

mod decode;
mod encode;
mod key;

pub use decode::{ChangeLogEntry, ChangeLogPart, LoggedChange};
pub(crate) use encode::{LogWriter, LoggedCommit};
pub use key::{LOG_BUCKET_SECONDS, LogKey};
pub(crate) use key::{bucket_of, bucket_prefix, first_key_of_bucket, table_and_bucket};

const FORMAT: u8 = 1;
/// Format, schema version, time.
const PART_HEADER_BYTES: usize = 1 + 4 + 8;
/// Op and three lengths.
const CHANGE_HEADER_BYTES: usize = 1 + 3 * 4;

#[cfg(test)]
mod tests;
