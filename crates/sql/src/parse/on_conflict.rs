//! ON CONFLICT of INSERT.

use datafusion::sql::sqlparser::ast::{self, ConflictTarget, OnConflictAction, OnInsert};

use crate::TableName;
use crate::error::SqlError;
use crate::parse::dml::{assign, refuse_repeated};
use crate::parse::names::stored_name;
use crate::parse::statement::{ConflictAction, OnConflict};

/// What ON CONFLICT on `table` says; the forms of other systems are refused by name.
pub(crate) fn on_conflict(on: OnInsert, table: &TableName) -> Result<OnConflict, SqlError> {
    let OnInsert::OnConflict(ast::OnConflict { conflict_target, action }) = on else {
        return Err(SqlError::unsupported(
            "ON DUPLICATE KEY UPDATE",
            "use ON CONFLICT DO UPDATE SET …",
        ));
    };
    let columns = match conflict_target {
        None => None,
        Some(ConflictTarget::Columns(columns)) => {
            let columns: Vec<String> = columns.iter().map(stored_name).collect();
            refuse_repeated(&columns)?;
            Some(columns)
        }
        Some(ConflictTarget::OnConstraint(_)) => {
            return Err(SqlError::unsupported(
                "ON CONFLICT ON CONSTRAINT",
                "name the columns of the primary key: ON CONFLICT (…)",
            ));
        }
    };
    let action = match action {
        OnConflictAction::DoNothing => ConflictAction::Nothing,
        OnConflictAction::DoUpdate(update) => {
            let mut assignments = Vec::with_capacity(update.assignments.len());
            for assignment in update.assignments {
                assign(assignment, table, None, &mut assignments)?;
            }
            let set: Vec<String> = assignments.iter().map(|set| set.column.clone()).collect();
            refuse_repeated(&set)?;
            ConflictAction::Update { assignments, predicate: update.selection }
        }
    };
    Ok(OnConflict { columns, action })
}
