//! The one schema a result has from prepare to the last batch.
//!
//! Stock clients cannot read every Arrow encoding (views, dictionaries, run ends, half floats,
//! small decimals), and they refuse a stream whose schema differs from the announced one. So the
//! announced schema is normalised once, and every batch is cast to it.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use datafusion::common::DFSchema;

use kalamdb_commons::ColumnType;

use crate::EngineError;

/// What keys of metadata begin with that are for the planner alone.
const OWN_METADATA: &str = "kalamdb:";

/// The wire schema of a plan whose logical schema is `schema`.
pub(crate) fn of_plan(schema: &DFSchema) -> SchemaRef {
    let fields: Vec<Field> = schema.fields().iter().map(|field| plain_field(field)).collect();
    Arc::new(Schema::new(fields))
}

fn plain_field(field: &Field) -> Field {
    let mut metadata = field.metadata().clone();
    metadata.retain(|key, _| !key.starts_with(OWN_METADATA));
    let plain = Field::new(field.name(), plain_type(field.data_type()), field.is_nullable())
        .with_metadata(metadata);
    ColumnType::with_uuids(&plain)
}

fn plain_ref(field: &FieldRef) -> FieldRef {
    Arc::new(plain_field(field))
}

/// The plain encoding of a type, inside nested types too.
fn plain_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::Float16 => DataType::Float32,
        DataType::Decimal32(p, s) | DataType::Decimal64(p, s) => DataType::Decimal128(*p, *s),
        DataType::Dictionary(_, value) => plain_type(value),
        DataType::RunEndEncoded(_, values) => plain_type(values.data_type()),
        DataType::Timestamp(unit, Some(zone)) if is_utc(zone) => {
            DataType::Timestamp(*unit, Some("UTC".into()))
        }
        DataType::List(item) | DataType::ListView(item) => DataType::List(plain_ref(item)),
        DataType::LargeList(item) | DataType::LargeListView(item) => {
            DataType::LargeList(plain_ref(item))
        }
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(plain_ref(item), *size),
        DataType::Struct(fields) => {
            DataType::Struct(fields.iter().map(plain_ref).collect::<Fields>())
        }
        DataType::Map(entries, sorted) => DataType::Map(plain_ref(entries), *sorted),
        other => other.clone(),
    }
}

fn is_utc(zone: &str) -> bool {
    matches!(zone, "UTC" | "+00:00" | "Z")
}

/// The batch with exactly `schema`; columns that fit already are shared, not copied.
pub(crate) fn conform(batch: RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, EngineError> {
    if Arc::ptr_eq(batch.schema_ref(), schema) {
        return Ok(batch);
    }
    let rows = batch.num_rows();
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let columns = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(|(column, field)| {
            if column.data_type() == field.data_type() {
                return Ok(Arc::clone(column));
            }
            cast_with_options(column, field.data_type(), &options)
        })
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| EngineError::internal("convert a result to its wire schema", error))?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
        .map_err(|error| EngineError::internal("give a result its wire schema", error))
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int32Array, StringViewArray};

    use super::*;

    #[test]
    fn encodings_stock_clients_cannot_read_become_plain_ones() {
        let inner = Field::new("s", DataType::Utf8View, true);
        let cases = [
            (DataType::Utf8View, DataType::Utf8),
            (DataType::Float16, DataType::Float32),
            (
                DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8View)),
                DataType::Utf8,
            ),
            (
                DataType::Struct(vec![inner].into()),
                DataType::Struct(vec![Field::new("s", DataType::Utf8, true)].into()),
            ),
        ];
        for (from, to) in cases {
            assert_eq!(plain_type(&from), to);
        }
    }

    #[test]
    fn sixteen_bytes_are_a_uuid() {
        let field = plain_field(&Field::new("v", DataType::FixedSizeBinary(16), true));
        assert_eq!(ColumnType::from_arrow(&field), Ok(ColumnType::Uuid));
    }

    #[test]
    fn a_batch_takes_the_announced_schema() {
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("a", Arc::new(Int32Array::from(vec![1, 2]))),
            ("b", Arc::new(StringViewArray::from(vec!["x", "y"]))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let schema = Arc::new(Schema::new(vec![
            Field::new("a", DataType::Int64, true),
            Field::new("b", DataType::Utf8, true),
        ]));
        let conformed = conform(batch, &schema).unwrap();
        assert_eq!(conformed.schema_ref(), &schema);
        assert_eq!(conformed.num_rows(), 2);
    }
}
