//! What happens to columns.

use kalamdb_commons::{
    ColumnDefinition, ColumnId, ColumnType, FillValue, SqlState, TableType, declared_type, intern,
};

use super::fill::widened;
use super::{ColumnWithoutValue, Evolving, impossible};
use crate::error::{ObjectKind, SqlError};
use crate::parse::{NewColumn, parse_default, quote_name, renamed_in_check};

impl Evolving<'_> {
    pub(super) fn add_column(
        &mut self,
        new: &NewColumn,
        if_not_exists: bool,
        fill: Option<FillValue>,
    ) -> Result<(), SqlError> {
        if self.table.column(&new.name).is_some() {
            if if_not_exists {
                return Ok(());
            }
            let (object, name) = (ObjectKind::Column, new.name.clone());
            return Err(SqlError::AlreadyExists { object, name });
        }
        let shown = quote_name(&new.name);
        let id = ColumnId(self.table.next_column_id);
        if !new.nullable && fill.is_none() {
            self.without_rows(
                id,
                format!(
                    "column {shown} would be NULL in the rows there are, and it is NOT NULL: give \
                     it a DEFAULT that is not NULL, or add it without NOT NULL, UPDATE the rows \
                     and ALTER COLUMN {shown} SET NOT NULL"
                ),
            )?;
        }
        self.table.next_column_id = self
            .table
            .next_column_id
            .checked_add(1)
            .ok_or_else(|| SqlError::invalid("the table has no column ids left"))?;
        let column = ColumnDefinition {
            id,
            name: intern(&new.name),
            column_type: new.column_type.clone(),
            nullable: new.nullable,
            length_max: new.length_max,
            default: new.default.as_deref().map(parse_default).transpose()?,
            fill,
            comment: new.comment.clone(),
        };
        let not_null = if column.nullable { "" } else { " NOT NULL" };
        let default = column.default.as_ref().map(|text| format!(" DEFAULT {text}"));
        self.said.push(format!(
            "added column {shown} {}{not_null}{}",
            column.declared_type(),
            default.unwrap_or_default()
        ));
        self.table.columns.push(column);
        Ok(())
    }

    pub(super) fn drop_column(
        &mut self,
        name: &str,
        if_exists: bool,
        cascade: bool,
    ) -> Result<(), SqlError> {
        let position = match self.position(name) {
            Err(_) if if_exists => return Ok(()),
            position => position?,
        };
        let id = self.table.columns[position].id;
        self.refuse_key(position, "dropped")?;
        if cascade {
            for check in self.checks_of(name)? {
                self.drop_check(&check);
            }
            self.cascade = true;
        } else {
            self.refuse_in_check(name, "drop it first or add CASCADE")?;
        }
        self.table.columns.remove(position);
        self.not_null.retain(|checked| *checked != id);
        self.without_value.retain(|column| column.id != id);
        self.said.push(format!("dropped column {}", quote_name(name)));
        Ok(())
    }

    pub(super) fn rename_column(&mut self, from: &str, to: &str) -> Result<(), SqlError> {
        let position = self.position(from)?;
        if from == to {
            return Ok(());
        }
        if self.table.column(to).is_some() {
            let (object, name) = (ObjectKind::Column, to.to_owned());
            return Err(SqlError::AlreadyExists { object, name });
        }
        let users = self.checks_of(from)?;
        for check in &mut self.table.checks {
            if users.contains(&check.name) {
                check.expression = renamed_in_check(&check.expression, from, to)?;
            }
        }
        self.table.columns[position].name = intern(to);
        self.said.push(format!("renamed column {} to {}", quote_name(from), quote_name(to)));
        Ok(())
    }

    pub(super) fn set_type(
        &mut self,
        name: &str,
        column_type: &ColumnType,
        length_max: Option<u32>,
    ) -> Result<(), SqlError> {
        let position = self.position(name)?;
        let column = &self.table.columns[position];
        if column.column_type == *column_type && column.length_max == length_max {
            return Ok(());
        }
        let (from, to) = (column.declared_type(), declared_type(column_type, length_max));
        let refused = |reason: String| {
            let shown = quote_name(name);
            let message = format!("column {shown} cannot become {to} from {from}: {reason}");
            SqlError::coded(SqlState::CannotCoerce, message)
        };
        if column.column_type == *column_type {
            let longer = match (column.length_max, length_max) {
                (_, None) => true,
                (None, Some(_)) => false,
                (Some(old), Some(new)) => new >= old,
            };
            if !longer {
                return Err(refused(
                    "rows may hold longer values, only longer lengths are taken; bound the values \
                     to come by ADD CHECK"
                        .to_owned(),
                ));
            }
        } else {
            if !column.column_type.widens_to(column_type) {
                let wider = match column.column_type.wider_types() {
                    none if none.is_empty() => "no other type holds every value of it".to_owned(),
                    wider => format!("every value must stay what it is, it may become {wider}"),
                };
                return Err(refused(format!(
                    "{wider}; for another type add a column, UPDATE it from this one and drop this \
                     one"
                )));
            }
            self.refuse_key(position, "given another type")?;
            self.refuse_in_check(name, "drop it first and add it again afterwards")?;
        }
        let column = &mut self.table.columns[position];
        column.fill = column.fill.take().map(|fill| widened(&fill, column_type)).transpose()?;
        column.column_type = column_type.clone();
        column.length_max = length_max;
        self.said.push(format!("widened column {} from {from} to {to}", quote_name(name)));
        Ok(())
    }

    pub(super) fn set_default(
        &mut self,
        name: &str,
        default: Option<&str>,
    ) -> Result<(), SqlError> {
        let position = self.position(name)?;
        let default = default.map(parse_default).transpose()?;
        let column = &mut self.table.columns[position];
        if column.default == default {
            return Ok(());
        }
        let shown = quote_name(name);
        self.said.push(match &default {
            Some(text) => format!("set default of column {shown} to {text}"),
            None => format!("dropped default of column {shown}"),
        });
        column.default = default;
        Ok(())
    }

    pub(super) fn drop_not_null(&mut self, name: &str) -> Result<(), SqlError> {
        let position = self.position(name)?;
        self.refuse_key(position, "NULL")?;
        let column = &mut self.table.columns[position];
        if !column.nullable {
            column.nullable = true;
            self.not_null.retain(|checked| *checked != column.id);
            self.without_value.retain(|without| without.id != column.id);
            self.said.push(format!("dropped NOT NULL of column {}", quote_name(name)));
        }
        Ok(())
    }

    pub(super) fn set_not_null(&mut self, name: &str) -> Result<(), SqlError> {
        let position = self.position(name)?;
        if !self.table.columns[position].nullable {
            return Ok(());
        }
        self.refuse_in_stream(
            "SET NOT NULL",
            "rows that are not shown any more could have NULL; create a new stream with it",
        )?;
        let id = self.table.columns[position].id;
        match self.as_before(id) {
            // It was NOT NULL before the statement.
            Some(before) if !before.nullable => {}
            Some(_) => self.not_null.push(id),
            None if self.table.columns[position].fill.is_some() => {}
            None => self.without_rows(
                id,
                format!(
                    "column {} is NULL in the rows there are, add it with a DEFAULT",
                    quote_name(name)
                ),
            )?,
        }
        self.table.columns[position].nullable = false;
        self.said.push(format!("set NOT NULL of column {}", quote_name(name)));
        Ok(())
    }

    /// Takes a NOT NULL column that has no value for rows there are, for a table without rows;
    /// `refusal` is said where there are some.
    fn without_rows(&mut self, id: ColumnId, refusal: String) -> Result<(), SqlError> {
        // Rows that are not shown any more are there all the same.
        if self.table.table_type == TableType::Stream {
            return Err(SqlError::coded(SqlState::NotNull, refusal));
        }
        let position = self.position;
        self.without_value.push(ColumnWithoutValue { id, refusal, position });
        Ok(())
    }

    /// Refuses a change of a key column: rows are stored by it.
    fn refuse_key(&self, position: usize, what: &str) -> Result<(), SqlError> {
        let column = &self.table.columns[position];
        if !self.table.primary_key.contains(&column.id) {
            return Ok(());
        }
        Err(impossible(format!(
            "column {} belongs to the primary key, by which rows are stored: it cannot be {what}; \
             create a new table and fill it with INSERT … SELECT",
            quote_name(&column.name)
        )))
    }
}
