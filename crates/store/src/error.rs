//! The one error of this crate: what failed, with the facts, and what kind of failure it is.

use std::path::PathBuf;
use std::sync::Arc;

use kalamdb_commons::{ErrorKind, SqlState};
use thiserror::Error;

/// Why a commit was not taken although nothing is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConflictReason {
    /// One of its keys was written after the statement's view.
    KeyWritten,
    /// The statement's view is older than what the committer remembers.
    ViewTooOld,
    /// Rows of a table were written after the view in which all of them were looked at.
    TableWritten,
    /// The table's schema version changed: plan the statement again.
    TableChanged,
    /// The table was dropped.
    TableDropped,
}

impl std::fmt::Display for ConflictReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::KeyWritten => "a concurrent statement wrote one of its keys",
            Self::ViewTooOld => "the statement's view is too old to be checked",
            Self::TableWritten => "its rows were changed meanwhile",
            Self::TableChanged => "the table was altered meanwhile",
            Self::TableDropped => "the table was dropped meanwhile",
        })
    }
}

/// What can go wrong in the hot tier.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The statement must run again on a fresh view (or be planned again, see `reason`).
    #[error("conflict on table {table}: {reason}; run the statement again")]
    Conflict {
        /// The table that was changed, `namespace.table`.
        table: String,
        /// What changed.
        reason: ConflictReason,
    },
    /// The user whose rows a statement reads or writes was dropped meanwhile.
    #[error("the user this statement runs for was dropped, sign in as another")]
    OwnerDropped,
    /// Stored bytes cannot be what was written.
    #[error("corrupt {what}: {detail}")]
    Corrupt {
        /// Which stored thing.
        what: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// The directory holds fewer commits than were acknowledged.
    #[error(
        "{path} holds commits up to {recovered}, but {high_water} were acknowledged as durable; \
         restore the directory, or start with data loss accepted", path = path.display()
    )]
    DataLoss {
        /// The data directory.
        path: PathBuf,
        /// The last commit found.
        recovered: u64,
        /// The last commit known to have been durable.
        high_water: u64,
    },
    /// The directory lacks the file that says how many commits were acknowledged.
    #[error(
        "{path} holds commits up to {recovered}, but its file HIGH_WATER, which says how many \
         were acknowledged as durable, is missing; restore it, or start with data loss accepted",
        path = path.display()
    )]
    HighWaterMissing {
        /// The data directory.
        path: PathBuf,
        /// The last commit found.
        recovered: u64,
    },
    /// The directory was written by another version of the format.
    #[error(
        "{path} has storage format {found}, this program reads {supported}",
        path = path.display()
    )]
    FormatVersion {
        /// The data directory.
        path: PathBuf,
        /// The version found.
        found: u64,
        /// The version this program reads and writes.
        supported: u64,
    },
    /// A write failed earlier; nothing is written until the server is restarted.
    #[error("writes are stopped until restart: {reason}")]
    Fenced {
        /// The failure that stopped them.
        reason: Arc<str>,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// Too many commits are waiting.
    #[error("{queued} commits are waiting to be written; try again later")]
    QueueFull {
        /// Commits in the queue.
        queued: usize,
    },
    /// The disk has too little room left.
    #[error(
        "the disk of the data directory has {free_bytes} bytes free, below {floor_bytes} no rows \
         are written; make room, and writes go on by themselves"
    )]
    DiskAlmostFull {
        /// Bytes free when it was looked at last.
        free_bytes: u64,
        /// Bytes that must be free.
        floor_bytes: u64,
    },
    /// One statement writes more than one batch may hold.
    #[error("the statement writes {bytes} bytes, at most {bytes_max} are possible; split it")]
    StatementTooLarge {
        /// Encoded bytes of the statement.
        bytes: usize,
        /// The bound.
        bytes_max: usize,
    },
    /// The caller broke the rules of an interface of this crate.
    #[error("invalid storage request: {reason}")]
    InvalidRequest {
        /// Which rule.
        reason: String,
    },
    /// A catalog entity cannot be written as JSON.
    #[error("encode an entity of {family}")]
    EncodeEntity {
        /// The column family.
        family: &'static str,
        /// What serde said.
        #[source]
        source: serde_json::Error,
    },
    /// A call into RocksDB failed.
    #[error("{operation}: {source}")]
    RocksDb {
        /// What was being done.
        operation: &'static str,
        /// What RocksDB said.
        #[source]
        source: rocksdb::Error,
    },
    /// A call into the file system failed.
    #[error("{operation} {path}: {source}", path = path.display())]
    Io {
        /// What was being done.
        operation: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A key column of this type was asked for.
    #[error(
        "key column {position} has the type {type_name}, which has no key order; use a scalar type",
        position = .position + 1
    )]
    NotAKeyType {
        /// The column's position in the key, from 0.
        position: usize,
        /// The SQL name of its type.
        type_name: String,
    },
    /// NULL in a key column.
    #[error(
        "row {row} has NULL in key column {position}; give every key column a value",
        row = .row + 1, position = .position + 1
    )]
    NullInKey {
        /// The column's position in the key, from 0.
        position: usize,
        /// The row in the batch, from 0.
        row: usize,
    },
    /// NULL in a NOT NULL column or in a NOT NULL field of a STRUCT.
    #[error("row {row} has NULL in \"{column}\", which is NOT NULL", row = .row + 1)]
    NullInColumn {
        /// The column or field.
        column: String,
        /// The row in the batch, from 0.
        row: usize,
    },
    /// The key of a row is too long.
    #[error(
        "the key of row {row} takes {bytes} bytes, at most {bytes_max} are possible; use a shorter key",
        row = .row + 1
    )]
    KeyTooLong {
        /// The row in the batch, from 0.
        row: usize,
        /// Its key's encoded length.
        bytes: usize,
        /// The bound.
        bytes_max: usize,
    },
    /// A row is too large.
    #[error(
        "row {row} takes {bytes} bytes, at most {bytes_max} are possible; make its values smaller",
        row = .row + 1
    )]
    RowTooLarge {
        /// The row in the batch, from 0.
        row: usize,
        /// Its encoded length.
        bytes: usize,
        /// The bound.
        bytes_max: usize,
    },
    /// Rows with more bytes than one column of a record batch can address.
    #[error(
        "one column of a batch would hold more than {bytes_max} bytes; read fewer rows at once"
    )]
    BatchTooLarge {
        /// The bound.
        bytes_max: usize,
    },
    /// Arrow refused an array or a batch.
    #[error("{operation}: {source}")]
    Arrow {
        /// What was being done.
        operation: &'static str,
        /// What Arrow said.
        #[source]
        source: arrow::error::ArrowError,
    },
}

impl StoreError {
    /// What the caller should do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Conflict { .. } => ErrorKind::Conflict,
            Self::OwnerDropped => ErrorKind::Unauthenticated,
            Self::Corrupt { .. } | Self::DataLoss { .. } | Self::HighWaterMissing { .. } => {
                ErrorKind::DataLoss
            }
            Self::FormatVersion { .. } => ErrorKind::FailedPrecondition,
            Self::Fenced { .. } | Self::Closed => ErrorKind::Unavailable,
            Self::QueueFull { .. }
            | Self::DiskAlmostFull { .. }
            | Self::StatementTooLarge { .. } => ErrorKind::ResourceExhausted,
            Self::InvalidRequest { .. } | Self::EncodeEntity { .. } => ErrorKind::Internal,
            Self::RocksDb { source, .. } => rocksdb_kind(source),
            Self::Io { .. } => ErrorKind::Unavailable,
            Self::NotAKeyType { .. } | Self::KeyTooLong { .. } | Self::RowTooLarge { .. } => {
                ErrorKind::InvalidInput
            }
            Self::NullInKey { .. } | Self::NullInColumn { .. } => ErrorKind::ConstraintViolation,
            Self::BatchTooLarge { .. } => ErrorKind::ResourceExhausted,
            Self::Arrow { .. } => ErrorKind::Internal,
        }
    }

    /// What a program is told.
    pub fn state(&self) -> SqlState {
        match self {
            Self::NullInKey { .. } | Self::NullInColumn { .. } => SqlState::NotNull,
            Self::KeyTooLong { .. }
            | Self::RowTooLarge { .. }
            | Self::BatchTooLarge { .. }
            | Self::StatementTooLarge { .. } => SqlState::TooLarge,
            Self::NotAKeyType { .. } => SqlState::InvalidTableDefinition,
            Self::DiskAlmostFull { .. } => SqlState::DiskFull,
            other => SqlState::of_kind(other.kind()),
        }
    }

    /// Stored bytes that cannot be what was written.
    pub(crate) fn corrupt(what: &'static str, detail: impl Into<String>) -> Self {
        Self::Corrupt { what, detail: detail.into() }
    }

    /// A caller that broke the rules of an interface of this crate.
    pub(crate) fn invalid(reason: impl Into<String>) -> Self {
        Self::InvalidRequest { reason: reason.into() }
    }

    /// Wraps what RocksDB said about `operation`.
    pub(crate) fn rocksdb(operation: &'static str) -> impl FnOnce(rocksdb::Error) -> Self {
        move |source| Self::RocksDb { operation, source }
    }
}

/// Damage found by RocksDB's checksums is damage; everything else is a disk that does not work.
fn rocksdb_kind(error: &rocksdb::Error) -> ErrorKind {
    match error.kind() {
        rocksdb::ErrorKind::Corruption => ErrorKind::DataLoss,
        _ => ErrorKind::Unavailable,
    }
}
