//! The next version of a table: what ALTER TABLE makes of a definition.
//!
//! No row is touched. Every column keeps its id for good, and no id is given out twice, so a row
//! written with any earlier version says what it says by ids: a renamed column keeps its values,
//! one that is dropped and added again is another column, one that is added has its fill value in
//! the rows there are, one that is widened is computed when it is read. What could lose or
//! reinterpret a value is refused.

mod columns;
mod fill;
mod options;

pub use fill::fill_value;

use kalamdb_commons::{
    CheckConstraint, ColumnDefinition, ColumnId, FillValue, SqlState, TableDefinition, TableType,
    UserId, VersionChange, intern,
};

use crate::error::{ObjectKind, Position, SqlError};
use crate::parse::{
    AlterAction, AlterOperation, CreateTable, added_check, check_create_table, columns_of_check,
    not_found, quote_name,
};

/// A table's next version, and what must hold of its rows before it may be one.
#[derive(Debug, Clone)]
pub(super) struct Evolution {
    /// The next version.
    pub(super) definition: TableDefinition,
    /// Columns that become NOT NULL: no row may have NULL in them. They are told by id, as they
    /// may have another name in the next version.
    pub(super) needs_check_not_null: Vec<ColumnId>,
    /// Checks that are new: every row must meet them. They speak of the columns by the names of
    /// the version before.
    pub(super) needs_checks: Vec<CheckConstraint>,
    /// Columns without a value for the rows there are: there may be none.
    pub(super) needs_no_rows: Vec<ColumnWithoutValue>,
    /// Whether what depends on a dropped column goes with it.
    pub(super) cascade: bool,
}

/// A column that is added NOT NULL, and has no value for rows that are there already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnWithoutValue {
    /// The column in the next version.
    pub id: ColumnId,
    /// What is said where there are rows.
    pub refusal: String,
    /// Where the statement asks for it.
    pub position: Option<Position>,
}

/// Applies `operations` one after the other, all or none. `fills` has the fill value of each
/// operation that adds a column, at the operation's place. Returns `None` when they change
/// nothing.
///
/// # Errors
/// Names that do not exist or exist already, and changes that cannot be; each with its place in
/// the text.
pub(super) fn evolve(
    before: &TableDefinition,
    operations: &[AlterOperation],
    fills: &[Option<FillValue>],
    by: &UserId,
    now_us: i64,
) -> Result<Option<Evolution>, SqlError> {
    let mut evolving = Evolving {
        before,
        table: before.clone(),
        said: Vec::new(),
        not_null: Vec::new(),
        checks: Vec::new(),
        without_value: Vec::new(),
        position: None,
        cascade: false,
    };
    for (index, operation) in operations.iter().enumerate() {
        let fill = fills.get(index).cloned().flatten();
        evolving.position = operation.position;
        let applied = evolving.apply(&operation.action, fill);
        applied
            .and_then(|()| check_create_table(&evolving.as_created()))
            .map_err(|error| error.at(operation.position))?;
    }
    let Evolving { mut table, said, not_null, checks, without_value, cascade, .. } = evolving;
    if table == *before {
        return Ok(None);
    }
    table.schema_version = before.schema_version.checked_add(1).ok_or_else(|| {
        SqlError::invalid(format!("table {} has no versions left", before.qualified_name()))
    })?;
    table.updated_at_us = now_us.max(before.updated_at_us);
    table.change = Some(VersionChange { by: by.clone(), what: said.join("; ") });
    Ok(Some(Evolution {
        definition: table,
        needs_check_not_null: not_null,
        needs_checks: checks,
        needs_no_rows: without_value,
        cascade,
    }))
}

/// A definition on its way.
struct Evolving<'a> {
    before: &'a TableDefinition,
    table: TableDefinition,
    /// What was done, in words.
    said: Vec<String>,
    not_null: Vec<ColumnId>,
    checks: Vec<CheckConstraint>,
    without_value: Vec<ColumnWithoutValue>,
    /// Where the operation stands that is being applied.
    position: Option<Position>,
    cascade: bool,
}

impl Evolving<'_> {
    fn apply(&mut self, action: &AlterAction, fill: Option<FillValue>) -> Result<(), SqlError> {
        match action {
            AlterAction::AddColumn { column, if_not_exists } => {
                self.add_column(column, *if_not_exists, fill)
            }
            AlterAction::DropColumn { name, if_exists, cascade } => {
                self.drop_column(name, *if_exists, *cascade)
            }
            AlterAction::RenameColumn { from, to } => self.rename_column(from, to),
            AlterAction::SetType { name, column_type, length_max } => {
                self.set_type(name, column_type, *length_max)
            }
            AlterAction::SetDefault { name, default } => self.set_default(name, default.as_deref()),
            AlterAction::SetNullable { name, nullable: true } => self.drop_not_null(name),
            AlterAction::SetNullable { name, nullable: false } => self.set_not_null(name),
            AlterAction::Rename { to } => {
                if to.namespace.as_deref().is_some_and(|named| *named != *self.table.namespace) {
                    return Err(SqlError::unsupported(
                        "moving a table to another namespace",
                        "create it there anew and fill it with INSERT … SELECT",
                    ));
                }
                if *self.table.name != *to.table {
                    self.said.push(format!(
                        "renamed table {} to {}",
                        quote_name(&self.table.name),
                        quote_name(&to.table)
                    ));
                    self.table.name = intern(&to.table);
                }
                Ok(())
            }
            AlterAction::SetOptions { written, options } => {
                let table_type = self.table.table_type;
                let said = options::set(&mut self.table.options, table_type, written, options)?;
                self.said.extend(said);
                Ok(())
            }
            AlterAction::AddCheck { name, condition } => {
                let (check, used) = added_check(name.clone(), condition, &self.as_created())?;
                self.add_check(check, &used)
            }
            AlterAction::DropConstraint { name, if_exists } => {
                if self.table.checks.iter().any(|check| check.name == *name) {
                    self.drop_check(name);
                    return Ok(());
                }
                if *if_exists {
                    return Ok(());
                }
                let known = self.table.checks.iter().map(|check| check.name.as_str());
                Err(not_found(ObjectKind::Constraint, name, known))
            }
        }
    }

    /// The statement that would create the table as it is now.
    fn as_created(&self) -> CreateTable {
        CreateTable::of(&self.table)
    }

    /// The position of a column among the declared ones.
    fn position(&self, name: &str) -> Result<usize, SqlError> {
        let names = || self.table.columns.iter().map(|column| &*column.name);
        names()
            .position(|known| known == name)
            .ok_or_else(|| not_found(ObjectKind::Column, name, names()))
    }

    /// The column as it was before the statement; `None` when the statement adds it.
    fn as_before(&self, id: ColumnId) -> Option<&ColumnDefinition> {
        self.before.columns.iter().find(|column| column.id == id)
    }

    fn add_check(&mut self, check: CheckConstraint, used: &[String]) -> Result<(), SqlError> {
        if self.table.checks.iter().any(|known| known.name == check.name) {
            return Err(SqlError::AlreadyExists {
                object: ObjectKind::Constraint,
                name: check.name,
            });
        }
        for name in used {
            let now = &self.table.columns[self.position(name)?];
            let same = self.as_before(now.id).is_some_and(|before| {
                before.name == now.name && before.column_type == now.column_type
            });
            if !same {
                return Err(SqlError::unsupported(
                    format!("a check of column {} in the statement that", quote_name(name))
                        + " adds or changes the column",
                    "add the check by a statement of its own",
                ));
            }
        }
        let name = quote_name(&check.name);
        self.said.push(format!("added constraint {name} CHECK ({})", check.expression));
        self.checks.push(check.clone());
        self.table.checks.push(check);
        Ok(())
    }

    fn drop_check(&mut self, name: &str) {
        self.table.checks.retain(|check| check.name != name);
        self.checks.retain(|check| check.name != name);
        self.said.push(format!("dropped constraint {}", quote_name(name)));
    }

    /// The names of the checks that use a column.
    fn checks_of(&self, column: &str) -> Result<Vec<String>, SqlError> {
        let table = self.as_created();
        let mut names = Vec::new();
        for check in &self.table.checks {
            if columns_of_check(check, &table)?.iter().any(|used| used == column) {
                names.push(check.name.clone());
            }
        }
        Ok(names)
    }

    /// Refuses a change of a column that a check uses.
    fn refuse_in_check(&self, column: &str, advice: &'static str) -> Result<(), SqlError> {
        let checks = self.checks_of(column)?;
        if checks.is_empty() {
            return Ok(());
        }
        let word = if checks.len() == 1 { "constraint" } else { "constraints" };
        let names: Vec<String> = checks.iter().map(|name| quote_name(name)).collect();
        Err(SqlError::ColumnInUse {
            column: column.to_owned(),
            by: format!("{word} {}", names.join(", ")),
            advice,
        })
    }

    fn refuse_in_stream(&self, what: &str, advice: &str) -> Result<(), SqlError> {
        if self.table.table_type == TableType::Stream {
            return Err(SqlError::unsupported(format!("{what} of a STREAM table"), advice));
        }
        Ok(())
    }
}

/// What cannot be said of a table at all.
fn impossible(message: String) -> SqlError {
    SqlError::coded(SqlState::InvalidTableDefinition, message)
}

#[cfg(test)]
mod tests;
