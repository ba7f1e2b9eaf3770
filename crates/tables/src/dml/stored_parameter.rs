//! A parameter whose value goes into a column as it is, or spells a UUID.
//!
//! The column travels in the metadata of the placeholder's type, so that a bound value can be
//! converted as any other value that is stored there, before the statement runs.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, FieldRef};
use arrow::error::ArrowError;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::expr::Placeholder;
use kalamdb_commons::ColumnType;

use super::assign::{AssignColumn, convert};
use crate::TablesError;

/// The key of the metadata that names the table.
const TABLE_KEY: &str = "kalamdb:stored_in_table";
/// The key of the metadata that names the column.
const COLUMN_KEY: &str = "kalamdb:stored_in_column";
/// The key of the metadata that spells the column's type.
const TYPE_KEY: &str = "kalamdb:stored_as";

/// The key of the metadata of a text that spells a UUID.
const UUID_KEY: &str = "kalamdb:spells_uuid";

/// The placeholder `id` as a text that spells a UUID: every client can bind that.
pub(crate) fn uuid_placeholder(id: String) -> Expr {
    let metadata = HashMap::from([(UUID_KEY.to_owned(), String::new())]);
    let field = Field::new(&id, DataType::Utf8, true).with_metadata(metadata);
    Expr::Placeholder(Placeholder::new_with_field(id, Some(Arc::new(field))))
}

/// Whether the value of a placeholder of this type spells a UUID.
pub fn spells_uuid(field: &Field) -> bool {
    field.metadata().contains_key(UUID_KEY)
}

/// The values as ones of a column of the type: fields by their names, text as what it spells.
///
/// # Errors
/// What is wrong with the first value that cannot be one.
pub fn as_stored(values: &ArrayRef, column_type: &ColumnType) -> Result<ArrayRef, ArrowError> {
    convert(values, column_type, false)
}

/// The column a bound value is stored in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredParameter(AssignColumn);

impl StoredParameter {
    /// The placeholder `id` as one whose value goes to `column`.
    pub(super) fn placeholder(id: String, column: &AssignColumn) -> Expr {
        let field = column.column_type().to_field(&id, true);
        let mut metadata = field.metadata().clone();
        metadata.insert(TABLE_KEY.to_owned(), column.table().to_owned());
        metadata.insert(COLUMN_KEY.to_owned(), column.name().to_owned());
        metadata.insert(TYPE_KEY.to_owned(), column.column_type().to_string());
        let field = Arc::new(field.with_metadata(metadata));
        Expr::Placeholder(Placeholder::new_with_field(id, Some(field)))
    }

    /// What the type of a placeholder tells: the column, if there is one, and the type without it.
    pub fn split(field: &Field) -> (Option<Self>, FieldRef) {
        let mut metadata: HashMap<String, String> = field.metadata().clone();
        let table = metadata.remove(TABLE_KEY);
        let name = metadata.remove(COLUMN_KEY);
        let column_type = metadata.remove(TYPE_KEY);
        metadata.remove(UUID_KEY);
        let plain = Arc::new(field.clone().with_metadata(metadata));
        let column_type = column_type.and_then(|text| kalamdb_sql::parse_column_type(&text).ok());
        let stored = match (table, name, column_type) {
            (Some(table), Some(name), Some(column_type)) => {
                Some(Self(AssignColumn::of_parameter(table, name, column_type)))
            }
            _ => None,
        };
        (stored, plain)
    }

    /// The declared type of the column.
    pub fn column_type(&self) -> &ColumnType {
        self.0.column_type()
    }

    /// The bound values as ones of the column, the first being of row 1.
    ///
    /// # Errors
    /// [`TablesError::BadValue`] for the first value that cannot be one.
    pub fn assign(&self, values: &ArrayRef) -> Result<ArrayRef, TablesError> {
        self.0.assign(values, 1)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, Float64Array};
    use arrow::datatypes::Int32Type;

    use super::*;

    #[test]
    fn the_column_travels_with_the_type_and_only_there() {
        let column =
            AssignColumn::of_parameter(String::from("ns.t"), String::from("c"), ColumnType::Int32);
        let placeholder = StoredParameter::placeholder(String::from("$1"), &column);
        let Expr::Placeholder(Placeholder { field: Some(field), .. }) = placeholder else {
            panic!("{placeholder}");
        };
        let (stored, plain) = StoredParameter::split(&field);
        assert_eq!(*plain, ColumnType::Int32.to_field("$1", true));
        let stored = stored.unwrap();
        let values: ArrayRef = Arc::new(Float64Array::from(vec![30.7, 2.5]));
        let rounded = stored.assign(&values).unwrap();
        assert_eq!(rounded.as_primitive::<Int32Type>().values(), &[31, 2]);
        let values: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 1e10]));
        let error = stored.assign(&values).unwrap_err().to_string();
        for part in ["ns.t", "column c", "row 2"] {
            assert!(error.contains(part), "{part} in {error}");
        }
        assert_eq!(StoredParameter::split(&plain).0, None);
    }
}
