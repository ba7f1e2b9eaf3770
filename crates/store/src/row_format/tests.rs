//! The row format is pinned byte by byte; its header can be read, patched and marked.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, FixedSizeListArray, Float32Array, Int16Array, Int32Array, Int64Array,
    ListArray, StringArray, StructArray,
};
use arrow::datatypes::{DataType, Int32Type};
use arrow::record_batch::RecordBatch;
use kalamdb_commons::limits::ROW_BYTES_MAX;
use kalamdb_commons::{ColumnId, ErrorKind, StructField, TableDefinition, TableType};

use super::arbitrary::definition;
use super::*;
use crate::TableLayout;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn struct_type() -> ColumnType {
    let field =
        |name: &str, field_type, nullable| StructField { name: name.into(), field_type, nullable };
    ColumnType::Struct(vec![
        field("a", ColumnType::Int16, true),
        field("b", ColumnType::Text, false),
    ])
}

/// A key and one column for each way a value is encoded.
fn golden_table() -> TableDefinition {
    let columns = [
        (ColumnType::Int64, false),
        (ColumnType::Text, true),
        (ColumnType::Int32, true),
        (ColumnType::Boolean, true),
        (ColumnType::List(Box::new(ColumnType::Int32)), true),
        (struct_type(), true),
        (ColumnType::Embedding(2), true),
        (ColumnType::List(Box::new(ColumnType::Text)), true),
    ];
    TableDefinition { schema_version: 3, ..definition(TableType::Shared, &columns, &[0]) }
}

fn golden_batch(definition: &TableDefinition) -> RecordBatch {
    let DataType::Struct(fields) = struct_type().to_arrow() else { panic!("not a struct") };
    let DataType::FixedSizeList(item, _) = ColumnType::Embedding(2).to_arrow() else {
        panic!("not an embedding")
    };
    let structs: Vec<ArrayRef> = vec![
        Arc::new(Int16Array::from(vec![None, Some(9)])),
        Arc::new(StringArray::from(vec!["xy", "under a null"])),
    ];
    let mut texts = arrow::array::ListBuilder::new(arrow::array::StringBuilder::new());
    texts.append_value([Some("p"), None, Some("qr")]);
    texts.append_null();
    let floats = Arc::new(Float32Array::from(vec![1.0, -2.0, 7.0, 7.0]));
    let second_null = Some(vec![true, false].into());
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(vec![1, 2])),
        Arc::new(StringArray::from(vec![Some("hé"), None])),
        Arc::new(Int32Array::from(vec![Some(-2), None])),
        Arc::new(BooleanArray::from(vec![Some(true), None])),
        Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([
            Some(vec![Some(5), None]),
            None,
        ])),
        Arc::new(StructArray::new(fields, structs, second_null.clone())),
        Arc::new(FixedSizeListArray::new(item, 2, floats, second_null)),
        Arc::new(texts.finish()),
    ];
    RecordBatch::try_new(definition.arrow_schema(), columns).unwrap()
}

fn golden_rows() -> ByteRows {
    let definition = Arc::new(golden_table());
    let layout = TableLayout::new(Arc::clone(&definition)).unwrap();
    let mut rows = ByteRows::new();
    layout.encode_rows(&golden_batch(&definition), false, &mut rows).unwrap();
    rows
}

#[test]
fn the_bytes_of_a_row_are_pinned() {
    let rows = golden_rows();
    let values = [
        "01 00 0000 03000000",               // format, flags, -, schema version
        "0000000000000000 0000000000000000", // commit seq, updated
        "00",                                // nulls
        "feffffff 01",                       // INT, BOOLEAN
        "03000000 10000000 19000000 21000000 35000000", // ends
        "68c3a9",                            // TEXT
        "02000000 02 05000000 00000000",     // list: count, nulls, slots
        "01 0000 02000000 7879",             // struct: nulls, slot, end, text
        "0000803f 000000c0",                 // embedding
        "03000000 02 01000000 01000000 03000000 70 7172", // list: count, nulls, ends, texts
    ];
    let expected: String = values.concat().replace(' ', "");
    assert_eq!(hex(rows.get(0)), expected);
    let nulls = "01 02 0000 03000000 0000000000000000 0000000000000000 7f 00000000 00 \
                 00000000 00000000 00000000 00000000 00000000";
    assert_eq!(hex(rows.get(1)), nulls.replace(' ', ""));
}

#[test]
fn columns_stand_in_the_order_of_their_ids_and_the_key_is_left_out() {
    let mut definition = definition(
        TableType::Shared,
        &[(ColumnType::Int32, true), (ColumnType::Int16, false), (ColumnType::Text, true)],
        &[1],
    );
    definition.columns.swap(0, 2);
    let layout = RowLayout::new(&definition);
    let ids: Vec<u32> = layout.columns.iter().map(|column| column.id.0).collect();
    assert_eq!(ids, [1, 3]);
    assert_eq!(layout.position(ColumnId(3)), Some(1));
    assert_eq!(layout.position(ColumnId(2)), None);
    assert_eq!(layout.tuple.places[0], Place::Fixed { at: HEADER_BYTES + 1, width: Width::W4 });
    assert_eq!(layout.tuple.places[1], Place::Var { index: 0 });
}

#[test]
fn the_committer_patches_number_and_time() {
    let mut rows = golden_rows();
    let before = rows.get(0).to_vec();
    patch(rows.get_mut(0), CommitSeq(0x0102), -1).unwrap();
    let row = rows.get(0);
    assert_eq!(hex(&row[8..24]), "0201000000000000ffffffffffffffff");
    assert_eq!((&row[..8], &row[24..]), (&before[..8], &before[24..]));
    assert_eq!(commit_seq(row).unwrap(), CommitSeq(0x0102));
    assert_eq!(updated_us(row).unwrap(), -1);
    assert_eq!(schema_version(row).unwrap(), 3);
}

#[test]
fn a_tombstone_is_the_same_row_marked() {
    let rows = golden_rows();
    let mut tombstones = ByteRows::new();
    as_tombstone(rows.get(1), &mut tombstones).unwrap();
    assert!(!is_deleted(rows.get(1)) && is_deleted(tombstones.get(0)));
    let mut expected = rows.get(1).to_vec();
    expected[1] = 3;
    assert_eq!(tombstones.get(0), expected);
}

#[test]
fn bytes_too_short_for_a_header_are_corrupt() {
    let mut short = vec![1; HEADER_BYTES - 1];
    assert!(!is_deleted(&[]));
    assert!(as_tombstone(&short, &mut ByteRows::new()).is_err());
    assert!(commit_seq(&[]).is_err() && updated_us(&short).is_err());
    let error = schema_version(&short).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DataLoss);
    assert!(patch(&mut short, CommitSeq(1), 1).is_err());
    assert!(schema_version(&[9; HEADER_BYTES]).unwrap_err().to_string().contains("format 9"));
}

#[test]
fn a_row_over_the_bound_is_refused_by_number() {
    let definition = definition(TableType::Shared, &[(ColumnType::Text, true)], &[]);
    let layout = TableLayout::new(Arc::new(definition)).unwrap();
    let large = "x".repeat(ROW_BYTES_MAX);
    let column: ArrayRef = Arc::new(StringArray::from(vec!["small", &large]));
    let batch = RecordBatch::try_new(Arc::clone(layout.declared_schema()), vec![column]).unwrap();
    let mut rows = ByteRows::new();
    let error = layout.encode_rows(&batch, false, &mut rows).unwrap_err();
    assert!(matches!(error, StoreError::RowTooLarge { row: 1, .. }), "{error}");
    let bytes = ROW_BYTES_MAX + 29;
    assert!(error.to_string().contains(&format!("row 2 takes {bytes} bytes")), "{error}");
    assert!(rows.is_empty() && rows.byte_len() == 0);
}

#[test]
fn null_where_the_type_forbids_it_is_refused() {
    let columns = [(ColumnType::Int32, false), (struct_type(), true)];
    let definition = definition(TableType::Shared, &columns, &[]);
    let layout = TableLayout::new(Arc::new(definition)).unwrap();
    let schema = arrow::datatypes::Schema::new(vec![
        arrow::datatypes::Field::new("c1", DataType::Int32, true),
        arrow::datatypes::Field::new(
            "c2",
            DataType::Struct(
                vec![
                    arrow::datatypes::Field::new("a", DataType::Int16, true),
                    arrow::datatypes::Field::new("b", DataType::Utf8, true),
                ]
                .into(),
            ),
            true,
        ),
    ]);
    let DataType::Struct(fields) = schema.field(1).data_type().clone() else { panic!() };
    let encode = |number: Option<i32>, text: Option<&str>| {
        let inner: Vec<ArrayRef> =
            vec![Arc::new(Int16Array::from(vec![1])), Arc::new(StringArray::from(vec![text]))];
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int32Array::from(vec![number])),
            Arc::new(StructArray::new(fields.clone(), inner, None)),
        ];
        let batch = RecordBatch::try_new(Arc::new(schema.clone()), columns).unwrap();
        layout.encode_rows(&batch, false, &mut ByteRows::new())
    };
    encode(Some(1), Some("b")).unwrap();
    let error = encode(None, Some("b")).unwrap_err();
    assert_eq!(error.to_string(), "row 1 has NULL in \"c1\", which is NOT NULL");
    let error = encode(Some(1), None).unwrap_err();
    assert_eq!(error.to_string(), "row 1 has NULL in \"c2.b\", which is NOT NULL");
}
