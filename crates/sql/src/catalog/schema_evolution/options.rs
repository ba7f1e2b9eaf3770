//! SET TBLPROPERTIES: the options of a table that can change while it has rows.

use kalamdb_commons::{Durability, TableOptions, TableType};

use crate::error::SqlError;
use crate::parse::no_files;

/// Takes over the options written, and says in words what became of each that is another now.
///
/// # Errors
/// Options that mean nothing for such a table, and bounds of a stream that would be wider.
pub(super) fn set(
    table: &mut TableOptions,
    table_type: TableType,
    written: &[String],
    new: &TableOptions,
) -> Result<Vec<String>, SqlError> {
    let mut said = Vec::new();
    for name in written {
        let before = table.clone();
        refuse_other_tables(name, table_type)?;
        match name.as_str() {
            "access_level" => table.access_level = new.access_level,
            "durability" => table.durability = new.durability,
            "deleted_retention_hours" => {
                table.deleted_retention_hours = new.deleted_retention_hours;
            }
            "flush_policy" => table.flush_policy = new.flush_policy,
            "compression" => table.compression = new.compression,
            "ttl_seconds" => {
                refuse_wider("TTL_SECONDS", table.ttl_seconds, new.ttl_seconds)?;
                table.ttl_seconds = new.ttl_seconds;
            }
            "max_rows" => {
                refuse_wider("MAX_ROWS", table.max_rows, new.max_rows)?;
                table.max_rows = new.max_rows;
            }
            other => {
                return Err(SqlError::unsupported(
                    format!("changing the option {other}"),
                    "it holds for good, create a new table with it",
                ));
            }
        }
        if *table != before {
            said.push(format!("set {} = {}", name.to_uppercase(), shown(name, table)));
        }
    }
    Ok(said)
}

/// Refuses options that are for tables of other types.
fn refuse_other_tables(name: &str, table_type: TableType) -> Result<(), SqlError> {
    let stream = table_type == TableType::Stream;
    let kind = table_type.as_str().to_uppercase();
    match name {
        "access_level" if table_type != TableType::Shared => Err(SqlError::invalid(format!(
            "ACCESS_LEVEL is for SHARED tables, not for {kind} tables"
        ))),
        "deleted_retention_hours" if stream => Err(SqlError::invalid(
            "DELETED_RETENTION_HOURS is not for STREAM tables, their rows are never deleted, they \
             expire after TTL_SECONDS",
        )),
        "flush_policy" | "compression" if stream => Err(no_files(name)),
        "ttl_seconds" | "max_rows" if !stream => Err(SqlError::invalid(format!(
            "{} is for STREAM tables, rows of a {kind} table stay until they are deleted",
            name.to_uppercase()
        ))),
        _ => Ok(()),
    }
}

/// A stream's rows beyond its bounds may have been removed at any time: a wider bound would show
/// some of them again, and others not.
fn refuse_wider(name: &str, old: Option<u64>, new: Option<u64>) -> Result<(), SqlError> {
    match (old, new) {
        (Some(old), Some(new)) if new > old => Err(SqlError::unsupported(
            format!("a larger {name} than {old}"),
            "rows beyond the bound are gone already: it can only become smaller, create a new \
             stream with a larger one",
        )),
        _ => Ok(()),
    }
}

fn shown(name: &str, options: &TableOptions) -> String {
    let number = |number: Option<u64>| number.map(|n| n.to_string()).unwrap_or_default();
    match name {
        "access_level" => format!("'{}'", options.access_level.as_str()),
        "durability" => match options.durability {
            Durability::Sync => "'sync'".to_owned(),
            Durability::Interval { interval_ms } => format!("'interval:{interval_ms}ms'"),
        },
        "deleted_retention_hours" => options.deleted_retention_hours.to_string(),
        "flush_policy" => {
            options.flush_policy.map(|policy| format!("'{policy}'")).unwrap_or_default()
        }
        "compression" => {
            options.compression.map(|kind| format!("'{}'", kind.as_str())).unwrap_or_default()
        }
        "ttl_seconds" => number(options.ttl_seconds),
        _ => number(options.max_rows),
    }
}
