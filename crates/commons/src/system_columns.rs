//! The columns every table has beyond the declared ones. They answer when named; `SELECT *` does
//! not show them.

use arrow_schema::{DataType, Field, TimeUnit};

/// The hidden key of a table without a declared primary key: Int64, ascending in insert order.
pub const ROW_ID: &str = "_row_id";
/// When the row was last written: Timestamp(µs, UTC), never running backwards within a table.
pub const UPDATED: &str = "_updated";
/// True for a row that was deleted and is still kept: Boolean.
pub const DELETED: &str = "_deleted";
/// The commit that wrote the row: Int64 (JDBC has no unsigned 64-bit type).
pub const COMMIT_SEQ: &str = "_commit_seq";

/// Every system column, in the order wide schemas list them.
pub const ALL: [&str; 4] = [ROW_ID, UPDATED, DELETED, COMMIT_SEQ];

/// True when `name` is a system column's name.
pub fn is_system_column(name: &str) -> bool {
    ALL.contains(&name)
}

/// The Arrow field of `_row_id`.
pub fn row_id_field() -> Field {
    Field::new(ROW_ID, DataType::Int64, false)
}

/// The Arrow field of `_updated`.
pub fn updated_field() -> Field {
    Field::new(UPDATED, DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false)
}

/// The Arrow field of `_deleted`.
pub fn deleted_field() -> Field {
    Field::new(DELETED, DataType::Boolean, false)
}

/// The Arrow field of `_commit_seq`.
pub fn commit_seq_field() -> Field {
    Field::new(COMMIT_SEQ, DataType::Int64, false)
}
