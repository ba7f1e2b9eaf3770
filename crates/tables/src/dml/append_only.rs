//! STREAM tables take new rows and nothing else.

use kalamdb_commons::TableType;
use kalamdb_sql::TableEntry;

use crate::TablesError;

/// Refuses a statement that would change rows or look for their keys, when the table is a stream.
pub(super) fn refuse_change(entry: &TableEntry, statement: &str) -> Result<(), TablesError> {
    if entry.definition.table_type != TableType::Stream {
        return Ok(());
    }
    Err(TablesError::NotSupported {
        what: format!(
            "{statement} of the STREAM table {}, whose rows are only appended and expire by \
             themselves,",
            entry.definition.qualified_name()
        ),
    })
}
