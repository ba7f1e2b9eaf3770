//! Every bound that more than one crate must agree on, by name.

/// Rows in one record batch, from the scan to the wire.
pub const BATCH_ROWS: usize = 8192;
/// Bytes of one group of small commits in a single write batch.
pub const COMMIT_GROUP_BYTES_MAX: usize = 8 << 20;
/// Commits waiting for the committer.
pub const COMMIT_QUEUE_LEN_MAX: usize = 4096;
/// Encoded bytes (new rows, old images and keys) one statement may write.
pub const STATEMENT_BYTES_MAX: usize = 1 << 30;
/// Bytes RETURNING may give back to a client; they are kept until the client fetches them.
pub const RETURNED_BYTES_MAX: usize = 64 << 20;
/// Attempts of one statement against concurrent writers before the client sees a conflict.
pub const STATEMENT_ATTEMPTS_MAX: usize = 10;
/// Bytes of change-log entries stored under one key.
pub const LOG_PART_BYTES_MAX: usize = 1 << 20;
/// Bytes of one encoded primary key.
pub const KEY_BYTES_MAX: usize = 8 << 10;
/// Bytes of one row's value: less than one message to a client holds, so that every row that is
/// stored can be read.
pub const ROW_BYTES_MAX: usize = 4_000_000;
/// Columns of one table.
pub const TABLE_COLUMNS_MAX: usize = 1000;
/// Bytes of an identifier.
pub const NAME_BYTES_MAX: usize = 128;
/// CHECK constraints of one table.
pub const TABLE_CHECKS_MAX: usize = 100;
/// Bytes of the text of COMMENT ON.
pub const COMMENT_BYTES_MAX: usize = 16 << 10;
/// Bytes of one SQL text.
pub const SQL_BYTES_MAX: usize = 1 << 20;
/// Names the string interner keeps.
pub const INTERNED_STRINGS_MAX: usize = 1 << 20;
/// Virtual shards the users of USER tables are hashed over.
pub const USER_SHARDS: u16 = 1024;
/// Inserted rows between two sampled keys of a table (split points of parallel scans).
pub const KEY_SAMPLE_ROWS: u64 = 64 << 10;
/// The stack of every thread that reads statements: they may nest as deep as [`SQL_BYTES_MAX`] and
/// the bounds on nesting let them. Only what is used of it takes memory.
pub const THREAD_STACK_BYTES: usize = 8 << 20;
/// Dimensions of an EMBEDDING column.
pub const EMBEDDING_DIMENSIONS_MAX: u32 = 8192;
/// How deep column types may nest.
pub const TYPE_DEPTH_MAX: usize = 16;
