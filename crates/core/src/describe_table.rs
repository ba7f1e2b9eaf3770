//! DESCRIBE: the columns of a table as it is, and its versions.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int32Array, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, TimeUnit};
use kalamdb_commons::{TableDefinition, UserId};
use kalamdb_sql::{CatalogSnapshot, TableEntry};

use crate::TableInfo;
use crate::listing::texts;

/// The columns of DESCRIBE.
pub(crate) fn fields() -> Vec<Field> {
    vec![
        Field::new("ordinal", DataType::Int32, false),
        Field::new("column_name", DataType::Utf8, false),
        Field::new("data_type", DataType::Utf8, false),
        Field::new("nullable", DataType::Boolean, false),
        Field::new("key_position", DataType::Int32, true),
        Field::new("default", DataType::Utf8, true),
        Field::new("comment", DataType::Utf8, true),
    ]
}

/// The columns of DESCRIBE … HISTORY.
pub(crate) fn history_fields() -> Vec<Field> {
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    vec![
        Field::new("version", DataType::Int32, false),
        Field::new("changed_at", time, false),
        Field::new("changed_by", DataType::Utf8, false),
        Field::new("change", DataType::Utf8, false),
    ]
}

/// One row a column of a table.
pub(crate) fn columns(table: &TableDefinition) -> Vec<ArrayRef> {
    let columns = &table.columns;
    let key = |id| table.primary_key.iter().position(|key| *key == id);
    vec![
        ordinals(columns.len()),
        texts(columns.iter().map(|column| Some(&*column.name))),
        texts(columns.iter().map(|column| Some(column.declared_type()))),
        Arc::new(BooleanArray::from_iter(columns.iter().map(|column| Some(column.nullable)))),
        Arc::new(Int32Array::from_iter(
            columns.iter().map(|column| key(column.id).map(|position| position as i32 + 1)),
        )),
        texts(columns.iter().map(|column| column.default.as_deref())),
        texts(columns.iter().map(|column| column.comment.as_deref())),
    ]
}

/// One row a column of a view or of a system table.
pub(crate) fn columns_of_other(table: &TableInfo) -> Vec<ArrayRef> {
    let columns = table.schema.fields();
    vec![
        ordinals(columns.len()),
        texts(columns.iter().map(|column| Some(column.name()))),
        texts(table.type_names.iter().map(Some)),
        Arc::new(BooleanArray::from_iter(columns.iter().map(|column| Some(column.is_nullable())))),
        Arc::new(Int32Array::new_null(columns.len())),
        texts(columns.iter().map(|_| None::<&str>)),
        texts(table.column_comments.iter().map(Option::as_deref)),
    ]
}

/// One row a version of a table, the newest first.
pub(crate) fn history(catalog: &CatalogSnapshot, table: &TableEntry) -> Vec<ArrayRef> {
    let versions: Vec<&Arc<TableDefinition>> = table.versions().rev().collect();
    let numbers = versions.iter().map(|version| i32::try_from(version.schema_version).ok());
    let times = versions.iter().map(|version| version.updated_at_us);
    let times = TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC");
    vec![
        Arc::new(Int32Array::from_iter(numbers.map(|number| Some(number.unwrap_or(i32::MAX))))),
        Arc::new(times),
        texts(versions.iter().map(|version| Some(user_name(catalog, changed_by(version))))),
        texts(versions.iter().map(|version| Some(what_changed(version)))),
    ]
}

/// Who made a version.
fn changed_by(version: &TableDefinition) -> &UserId {
    version.change.as_ref().map_or(&version.created_by, |change| &change.by)
}

/// What makes a version another than the one before it.
fn what_changed(version: &TableDefinition) -> &str {
    version.change.as_ref().map_or("created", |change| &change.what)
}

/// A user's name; the id of one that is no more.
fn user_name(catalog: &CatalogSnapshot, id: &UserId) -> String {
    let named = catalog.users().find(|user| user.id == *id);
    named.map_or_else(|| id.to_string(), |user| user.name.to_string())
}

fn ordinals(columns: usize) -> ArrayRef {
    Arc::new(Int32Array::from_iter_values((1..).take(columns)))
}

#[cfg(test)]
mod tests {
    use kalamdb_commons::{
        ColumnDefinition, ColumnId, ColumnType, NamespaceId, TableId, TableOptions, TableType,
        VersionChange,
    };

    use super::*;

    fn version(change: Option<VersionChange>) -> TableDefinition {
        let id = ColumnDefinition::new(ColumnId(1), "id", ColumnType::Int64).not_null();
        let text = ColumnDefinition {
            length_max: Some(20),
            default: Some("'x'".to_owned()),
            ..ColumnDefinition::new(ColumnId(2), "v", ColumnType::Text)
        };
        TableDefinition {
            id: TableId(1),
            namespace_id: NamespaceId(1),
            namespace: "default".into(),
            name: "t".into(),
            table_type: TableType::Shared,
            created_by: UserId::new("ann"),
            created_at_us: 1,
            updated_at_us: 1,
            schema_version: 1,
            next_column_id: 3,
            columns: vec![id, text],
            primary_key: vec![ColumnId(1)],
            options: TableOptions::default(),
            comment: None,
            checks: Vec::new(),
            change,
        }
    }

    #[test]
    fn described_columns_fit_their_schema() {
        let described = columns(&version(None));
        assert_eq!(described.len(), fields().len());
        for (column, field) in described.iter().zip(fields()) {
            assert_eq!(column.data_type(), field.data_type(), "{}", field.name());
            assert_eq!(column.len(), 2, "{}", field.name());
            assert!(field.is_nullable() || column.null_count() == 0, "{}", field.name());
        }
    }

    #[test]
    fn a_version_tells_who_made_it_and_what_changed() {
        let first = version(None);
        assert_eq!((changed_by(&first).as_str(), what_changed(&first)), ("ann", "created"));
        let change = VersionChange { by: UserId::new("bob"), what: "dropped column v".to_owned() };
        let second = version(Some(change));
        assert_eq!(
            (changed_by(&second).as_str(), what_changed(&second)),
            ("bob", "dropped column v")
        );
        // Users that are gone are told by id.
        assert_eq!(user_name(&CatalogSnapshot::default(), &UserId::new("bob")), "bob");
    }
}
