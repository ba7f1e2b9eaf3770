//! What is particular to the definition of a STREAM table.
//!
//! A stream is one set of rows for everybody, in the order of their arrival. Rows are appended and
//! never changed; they go when they are older than `TTL_SECONDS` or when `MAX_ROWS` newer ones
//! have come. So there is nothing a key, a retention of deleted rows, or files could be for.

use kalamdb_commons::{Durability, TableType, stream_bucket_seconds};

use crate::error::SqlError;
use crate::parse::definitions::CreateTable;
use crate::parse::options::WrittenOptions;

/// Seconds a row may live: a hundred years.
pub(crate) const TTL_SECONDS_MAX: u64 = 100 * 366 * 24 * 3600;
/// Rows a stream may be bounded to.
pub(crate) const MAX_ROWS_MAX: u64 = 1_000_000_000_000;
/// Milliseconds between two syncs of a stream that does not say how durable it is.
const INTERVAL_MS_DEFAULT: u32 = 100;

/// Fills in what a STREAM table does not say.
///
/// # Errors
/// Options that mean nothing for its rows.
pub(crate) fn complete(table: &mut CreateTable, written: &WrittenOptions) -> Result<(), SqlError> {
    if table.table_type != TableType::Stream {
        return Ok(());
    }
    if written.is_written("access_level") {
        return Err(SqlError::invalid(
            "ACCESS_LEVEL is for SHARED tables, everybody reads and appends to a STREAM table",
        ));
    }
    if written.is_written("deleted_retention_hours") {
        return Err(SqlError::invalid(
            "DELETED_RETENTION_HOURS is not for STREAM tables, their rows are never deleted, they \
             expire after TTL_SECONDS",
        ));
    }
    if !written.is_written("durability") {
        table.options.durability = Durability::Interval { interval_ms: INTERVAL_MS_DEFAULT };
    }
    table.options.deleted_retention_hours = 0;
    table.options.bucket_seconds = table.options.ttl_seconds.map(stream_bucket_seconds);
    Ok(())
}

/// Checks what a definition says of streams, from whatever source it is.
pub(crate) fn check(table: &CreateTable) -> Result<(), SqlError> {
    let options = &table.options;
    if table.table_type != TableType::Stream {
        for (option, given) in [
            ("TTL_SECONDS", options.ttl_seconds.is_some()),
            ("MAX_ROWS", options.max_rows.is_some()),
        ] {
            if given {
                return Err(SqlError::invalid(format!(
                    "{option} is for STREAM tables, rows of a {} table stay until they are deleted",
                    table.table_type.as_str().to_uppercase()
                )));
            }
        }
        return Ok(());
    }
    if options.ttl_seconds.is_none() {
        return Err(SqlError::invalid(
            "a STREAM table needs WITH (TTL_SECONDS = n), the seconds after which a row expires",
        ));
    }
    if !table.primary_key.is_empty() {
        return Err(SqlError::invalid(
            "a STREAM table has no PRIMARY KEY, its rows are appended and told apart by _row_id",
        ));
    }
    Ok(())
}

/// Refuses an option that is about files, which streams do not have.
pub(crate) fn no_files(option: &str) -> SqlError {
    SqlError::unsupported(
        format!("the option {option} of a STREAM table"),
        "its rows are never written to files, they expire after TTL_SECONDS",
    )
}
