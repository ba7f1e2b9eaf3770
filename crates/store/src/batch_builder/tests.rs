//! What was encoded comes back, whatever the types; damaged bytes are an error.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Int32Array, Int64Array, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{Decimal128Type, Float64Type, Int64Type};
use kalamdb_commons::{
    ColumnDefinition, ColumnId, ColumnType, CommitSeq, ErrorKind, Generation, TableDefinition,
    TableType, UserId,
};
use proptest::prelude::*;

use super::*;
use crate::ByteRows;
use crate::row_format::arbitrary::{as_key_values, batch, column_type, definition, key_type};
use crate::row_format::patch;

/// The keys and rows of a batch, and how long the keys' prefix is.
pub(super) struct Stored {
    pub(super) keys: ByteRows,
    pub(super) rows: ByteRows,
    pub(super) prefix_len: usize,
}

pub(super) fn store(layout: &TableLayout, batch: &RecordBatch) -> Stored {
    let user = UserId::new("us\0er");
    let owner = (layout.definition().table_type == TableType::User).then_some(&user);
    let ids = layout.row_id_index().map(|_| 40..40 + batch.num_rows() as u64);
    let (mut keys, mut rows) = (ByteRows::new(), ByteRows::new());
    layout.encode_keys(batch, Generation(2), owner, ids, &mut keys).unwrap();
    layout.encode_rows(batch, false, &mut rows).unwrap();
    for i in 0..rows.len() {
        patch(rows.get_mut(i), CommitSeq(100 + i as u64), -5).unwrap();
    }
    let prefix_len = layout.key_prefix(Generation(2), owner).len();
    for key in keys.iter() {
        assert_eq!(layout.prefix_len(key).unwrap(), prefix_len);
        assert_eq!(layout.owner(key).unwrap().as_ref(), owner);
    }
    Stored { keys, rows, prefix_len }
}

pub(super) fn load(builder: &mut BatchBuilder, stored: &Stored) -> Result<RecordBatch, StoreError> {
    for (key, row) in stored.keys.iter().zip(stored.rows.iter()) {
        builder.append(stored.prefix_len, key, row)?;
    }
    assert_eq!(builder.len(), stored.keys.len());
    builder.finish()
}

/// The batch as it comes back: floats of key columns have lost their -0.0 and NaN payloads.
fn expected(layout: &TableLayout, batch: &RecordBatch) -> Vec<ArrayRef> {
    (0..batch.num_columns())
        .map(|i| match layout.key_position(i) {
            Some(_) => as_key_values(batch.column(i)),
            None => Arc::clone(batch.column(i)),
        })
        .collect()
}

/// An arbitrary table with up to three key columns among up to nine others.
fn table() -> impl Strategy<Value = TableDefinition> {
    let table_type = prop_oneof![Just(TableType::Shared), Just(TableType::User)];
    let keys = prop::collection::vec(key_type(), 0..4);
    let values = prop::collection::vec((column_type(), any::<bool>()), 0..10);
    (table_type, keys, values).prop_map(|(table_type, keys, values)| {
        let columns: Vec<(ColumnType, bool)> =
            keys.iter().map(|key| (key.clone(), false)).chain(values).collect();
        // Key order is not declared order.
        let key: Vec<usize> = (0..keys.len()).rev().collect();
        definition(table_type, &columns, &key)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn encode_then_decode_is_the_identity(
        definition in table(),
        // More than the stage holds.
        rows in prop_oneof![0_usize..40, 60_usize..140],
        skipped in 0_usize..4,
        seed: u64,
    ) {
        let layout = Arc::new(TableLayout::new(Arc::new(definition)).unwrap());
        // A slice: buffers with an offset.
        let batch = batch(layout.definition(), rows + skipped, seed).slice(skipped, rows);
        let stored = store(&layout, &batch);
        let declared: Vec<usize> = (0..layout.declared_len()).collect();
        let mut builder = BatchBuilder::new(Arc::clone(&layout), &declared).unwrap();
        for _ in 0..2 {
            let loaded = load(&mut builder, &stored).unwrap();
            prop_assert_eq!(loaded.schema_ref(), layout.declared_schema());
            prop_assert_eq!(loaded.num_rows(), rows);
            let expected = expected(&layout, &batch);
            for (i, column) in expected.iter().enumerate() {
                prop_assert_eq!(loaded.column(i), column, "column {}", i);
            }
        }
    }

    #[test]
    fn any_projection_gives_the_same_columns(
        definition in table(),
        rows in 1_usize..10,
        picks in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        seed: u64,
    ) {
        let layout = Arc::new(TableLayout::new(Arc::new(definition)).unwrap());
        let batch = batch(layout.definition(), rows, seed);
        let stored = store(&layout, &batch);
        let wide: Vec<usize> = (0..layout.wide_schema().fields().len()).collect();
        let mut all = BatchBuilder::new(Arc::clone(&layout), &wide).unwrap();
        let all = load(&mut all, &stored).unwrap();
        let projection: Vec<usize> = picks.iter().map(|pick| pick.index(wide.len())).collect();
        let mut builder = BatchBuilder::new(Arc::clone(&layout), &projection).unwrap();
        let loaded = load(&mut builder, &stored).unwrap();
        prop_assert_eq!(loaded.schema_ref(), builder.schema());
        prop_assert_eq!(loaded, all.project(&projection).unwrap());
    }

    #[test]
    fn damaged_bytes_are_an_error_or_other_values_and_never_a_panic(
        definition in table(),
        seed: u64,
        cut in any::<prop::sample::Index>(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let layout = Arc::new(TableLayout::new(Arc::new(definition)).unwrap());
        let stored = store(&layout, &batch(layout.definition(), 1, seed));
        let (key, row) = (stored.keys.get(0), stored.rows.get(0));
        let declared: Vec<usize> = (0..layout.declared_len()).collect();
        let mut builder = BatchBuilder::new(Arc::clone(&layout), &declared).unwrap();

        let short = &row[..cut.index(row.len())];
        let error = builder.append(stored.prefix_len, key, short).unwrap_err();
        prop_assert_eq!(error.kind(), ErrorKind::DataLoss);
        if !declared.is_empty() && layout.row_id_index().is_none() {
            let short = &key[..cut.index(key.len())];
            prop_assert!(builder.append(stored.prefix_len, short, row).is_err());
            let long = [key, b"\0"].concat();
            prop_assert!(builder.append(stored.prefix_len, &long, row).is_err());
        }

        let (mut key, mut row) = (key.to_vec(), row.to_vec());
        for (at, flip) in flips {
            let (key_at, row_at) = (at.index(key.len()), at.index(row.len()));
            key[key_at] ^= flip;
            row[row_at] ^= flip;
            if builder.append(stored.prefix_len, &key, &row).is_ok() {
                let _ = builder.finish();
            }
        }
        // The builder is as good as new after all that.
        let again = load(&mut builder, &stored).unwrap();
        prop_assert_eq!(again.num_rows(), 1);
    }
}

#[test]
fn batches_of_many_chunks_come_back_whole() {
    let types = [
        (ColumnType::Int64, false),
        (ColumnType::Text, true),
        (ColumnType::Boolean, true),
        (ColumnType::List(Box::new(ColumnType::Text)), true),
    ];
    let definition = definition(TableType::Shared, &types, &[0]);
    let layout = Arc::new(TableLayout::new(Arc::new(definition)).unwrap());
    let batch = batch(layout.definition(), 5000, 11).slice(17, 4500);
    let stored = store(&layout, &batch);
    let mut builder = BatchBuilder::new(layout, &[0, 1, 2, 3]).unwrap();
    assert_eq!(load(&mut builder, &stored).unwrap(), batch);
}

pub(super) fn columns(types: &[(&str, u32, ColumnType)]) -> Vec<ColumnDefinition> {
    types
        .iter()
        .map(|(name, id, column_type)| {
            ColumnDefinition::new(ColumnId(*id), name, column_type.clone())
        })
        .collect()
}

pub(super) fn version(schema_version: u32, columns: Vec<ColumnDefinition>) -> Arc<TableDefinition> {
    let mut table = definition(TableType::Shared, &[], &[]);
    (table.schema_version, table.columns) = (schema_version, columns);
    Arc::new(table)
}

fn record_batch(layout: &TableLayout, columns: Vec<ArrayRef>) -> RecordBatch {
    RecordBatch::try_new(Arc::clone(layout.declared_schema()), columns).unwrap()
}

#[test]
fn rows_of_older_schema_versions_are_read_by_column_id() {
    let old = version(
        1,
        columns(&[
            ("dropped", 1, ColumnType::Text),
            ("a", 2, ColumnType::Int32),
            ("same_name", 3, ColumnType::Int32),
        ]),
    );
    let new = version(
        2,
        columns(&[
            ("same_name", 4, ColumnType::Int32),
            ("renamed", 2, ColumnType::Int32),
            ("list", 5, ColumnType::List(Box::new(ColumnType::Text))),
        ]),
    );
    let old_layout = TableLayout::new(Arc::clone(&old)).unwrap();
    let old_rows = store(
        &old_layout,
        &record_batch(
            &old_layout,
            vec![
                Arc::new(StringArray::from(vec!["x", "y"])),
                Arc::new(Int32Array::from(vec![Some(7), None])),
                Arc::new(Int32Array::from(vec![1, 1])),
            ],
        ),
    );
    let layout = Arc::new(TableLayout::with_versions(Arc::clone(&new), &[old]).unwrap());
    let new_rows = store(&layout, &batch(&new, 2, 1));
    let mut builder = BatchBuilder::new(Arc::clone(&layout), &[0, 1, 2]).unwrap();
    for stored in [&new_rows, &old_rows, &new_rows] {
        for (key, row) in stored.keys.iter().zip(stored.rows.iter()) {
            builder.append(stored.prefix_len, key, row).unwrap();
        }
    }
    let loaded = builder.finish().unwrap();
    let middle = loaded.slice(2, 2);
    assert_eq!(middle.column(0).null_count(), 2);
    assert_eq!(middle.column(1).as_ref(), &Int32Array::from(vec![Some(7), None]) as &dyn Array);
    assert_eq!(middle.column(2).null_count(), 2);
    assert_eq!(loaded.slice(0, 2), loaded.slice(4, 2));
    assert_eq!(loaded.slice(0, 2), batch(&new, 2, 1));

    let current_only = Arc::new(TableLayout::new(new).unwrap());
    let mut builder = BatchBuilder::new(current_only, &[0]).unwrap();
    let error = load(&mut builder, &old_rows).unwrap_err();
    assert!(error.to_string().contains("never had schema version 1"), "{error}");
}

#[test]
fn a_not_null_column_that_old_rows_lack_is_corrupt() {
    let old = version(1, columns(&[("a", 1, ColumnType::Int32)]));
    let mut with_b = columns(&[("a", 1, ColumnType::Int32), ("b", 2, ColumnType::Int32)]);
    with_b[1].nullable = false;
    let old_layout = TableLayout::new(Arc::clone(&old)).unwrap();
    let stored = store(&old_layout, &batch(&old, 1, 1));
    let layout = Arc::new(TableLayout::with_versions(version(2, with_b), &[old]).unwrap());
    let mut builder = BatchBuilder::new(layout, &[0, 1]).unwrap();
    let error = load(&mut builder, &stored).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DataLoss);
    assert!(error.to_string().contains("\"b\" is NOT NULL"), "{error}");
}

pub(super) fn widened(
    from: ColumnType,
    to: ColumnType,
    column: ArrayRef,
) -> Result<ArrayRef, StoreError> {
    let old = version(1, columns(&[("a", 1, from)]));
    let new = version(2, columns(&[("a", 1, to)]));
    let old_layout = TableLayout::new(Arc::clone(&old)).unwrap();
    let stored = store(&old_layout, &record_batch(&old_layout, vec![column]));
    let layout = Arc::new(TableLayout::with_versions(new, &[old]).unwrap());
    let mut builder = BatchBuilder::new(layout, &[0])?;
    Ok(Arc::clone(load(&mut builder, &stored)?.column(0)))
}

#[test]
fn widened_columns_keep_the_values_of_old_rows() {
    let numbers: ArrayRef = Arc::new(Int32Array::from(vec![Some(i32::MIN), None, Some(3)]));
    let wide = widened(ColumnType::Int32, ColumnType::Int64, Arc::clone(&numbers)).unwrap();
    assert_eq!(
        wide.as_primitive::<Int64Type>(),
        &Int64Array::from(vec![Some(-2147483648), None, Some(3)])
    );
    let floats = widened(ColumnType::Int32, ColumnType::Float64, Arc::clone(&numbers)).unwrap();
    assert_eq!(floats.as_primitive::<Float64Type>().value(0), -2147483648.0);
    let decimal = ColumnType::Decimal { precision: 12, scale: 2 };
    let decimals = widened(ColumnType::Int32, decimal, Arc::clone(&numbers)).unwrap();
    assert_eq!(decimals.as_primitive::<Decimal128Type>().value(2), 300);
    let reals: ArrayRef = Arc::new(arrow::array::Float32Array::from(vec![0.5, -0.0, f32::NAN]));
    let doubles = widened(ColumnType::Float32, ColumnType::Float64, reals).unwrap();
    let doubles = doubles.as_primitive::<Float64Type>();
    assert_eq!((doubles.value(0), doubles.value(1).to_bits()), (0.5, (-0.0_f64).to_bits()));
    assert!(doubles.value(2).is_nan());
    let bytes: ArrayRef = Arc::new(arrow::array::UInt8Array::from(vec![255]));
    let wide = widened(ColumnType::UInt8, ColumnType::Int16, bytes).unwrap();
    assert_eq!(wide.as_primitive::<arrow::datatypes::Int16Type>().value(0), 255);
}

#[test]
fn types_that_would_lose_values_do_not_widen() {
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let narrow = ColumnType::Decimal { precision: 20, scale: 2 };
    for to in [ColumnType::Int32, ColumnType::UInt64, ColumnType::Float64, ColumnType::Text, narrow]
    {
        let error = widened(ColumnType::Int64, to, Arc::clone(&numbers)).unwrap_err();
        assert!(error.to_string().contains("does not widen"), "{error}");
    }
}

#[test]
fn system_columns_come_from_the_header_and_the_key() {
    let definition = definition(TableType::Shared, &[(ColumnType::Text, true)], &[]);
    let layout = Arc::new(TableLayout::new(Arc::new(definition)).unwrap());
    let names: Vec<&str> =
        layout.wide_schema().fields().iter().map(|field| field.name().as_str()).collect();
    let wide = ["c1", "_row_id", "_updated", "_deleted", "_commit_seq", "_location", "_image"];
    assert_eq!(names, wide);
    assert_eq!(names[layout.row_id_index().unwrap()], "_row_id");
    assert_eq!(names[layout.updated_index()], "_updated");
    assert_eq!(names[layout.deleted_index()], "_deleted");
    assert_eq!(names[layout.commit_seq_index()], "_commit_seq");
    assert_eq!(names[layout.location_index()], "_location");
    assert_eq!(names[layout.image_index()], "_image");

    let rows = record_batch(&layout, vec![Arc::new(StringArray::from(vec![Some("x"), None]))]);
    let mut stored = store(&layout, &rows);
    let last = stored.rows.get(1).to_vec();
    stored.rows.truncate(1);
    row_format::as_tombstone(&last, &mut stored.rows).unwrap();
    let all: Vec<usize> = (0..wide.len()).collect();
    let mut builder = BatchBuilder::new(Arc::clone(&layout), &all).unwrap();
    let loaded = load(&mut builder, &stored).unwrap();
    let times = TimestampMicrosecondArray::from(vec![-5, -5]).with_timezone("UTC");
    let expected: Vec<ArrayRef> = vec![
        Arc::clone(rows.column(0)),
        Arc::new(Int64Array::from(vec![40, 41])),
        Arc::new(times),
        Arc::new(BooleanArray::from(vec![false, true])),
        Arc::new(Int64Array::from(vec![100, 101])),
        Arc::new(BinaryArray::from_iter_values(stored.keys.iter())),
        Arc::new(BinaryArray::from_iter_values(stored.rows.iter())),
    ];
    assert_eq!(loaded.columns(), expected);
    assert_eq!(loaded.schema_ref(), layout.wide_schema());
}

#[test]
fn a_projection_without_columns_counts_rows() {
    let definition = definition(TableType::Shared, &[(ColumnType::Text, true)], &[]);
    let layout = Arc::new(TableLayout::new(Arc::new(definition)).unwrap());
    let stored = store(&layout, &batch(layout.definition(), 5, 3));
    let mut builder = BatchBuilder::new(layout, &[]).unwrap();
    let loaded = load(&mut builder, &stored).unwrap();
    assert_eq!((loaded.num_rows(), loaded.num_columns()), (5, 0));
    assert_eq!(builder.finish().unwrap().num_rows(), 0);
    assert!(builder.is_empty());
}

#[test]
fn a_position_outside_the_wide_schema_is_refused() {
    let layout = TableLayout::new(Arc::new(definition(TableType::Shared, &[], &[]))).unwrap();
    assert!(BatchBuilder::new(Arc::new(layout), &[6]).is_err());
}

#[test]
fn text_that_is_not_utf8_is_corrupt() {
    let definition = definition(TableType::Shared, &[(ColumnType::Text, true)], &[]);
    let layout = Arc::new(TableLayout::new(Arc::new(definition)).unwrap());
    let rows = record_batch(&layout, vec![Arc::new(StringArray::from(vec!["ab"]))]);
    let mut stored = store(&layout, &rows);
    *stored.rows.get_mut(0).last_mut().unwrap() = 0xFF;
    let mut builder = BatchBuilder::new(layout, &[0]).unwrap();
    let error = load(&mut builder, &stored).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DataLoss);
    assert!(error.to_string().contains("\"c1\""), "{error}");
}

#[test]
fn small_batches_do_not_keep_the_room_of_large_ones() {
    let definition = definition(TableType::Shared, &[(ColumnType::Int64, true)], &[]);
    let layout = Arc::new(TableLayout::new(Arc::new(definition)).unwrap());
    let stored = store(&layout, &batch(layout.definition(), 3, 3));
    let mut builder = BatchBuilder::new(layout, &[0]).unwrap();
    let loaded = load(&mut builder, &stored).unwrap();
    assert!(loaded.get_array_memory_size() < 1024, "{}", loaded.get_array_memory_size());
}

#[test]
fn users_are_apart_and_spread_over_shards() {
    let definition = definition(TableType::User, &[(ColumnType::Int64, false)], &[0]);
    let layout = TableLayout::new(Arc::new(definition)).unwrap();
    let all = layout.key_prefix(Generation(1), None);
    assert_eq!(all, [0, 0, 0, 7, 0, 0, 0, 1]);
    let prefixes: HashSet<Vec<u8>> = (0..100)
        .map(|i| layout.key_prefix(Generation(1), Some(&UserId::new(format!("user{i}")))))
        .collect();
    assert_eq!(prefixes.len(), 100);
    assert!(prefixes.iter().all(|prefix| prefix.starts_with(&all)));
    let shards: HashSet<&[u8]> = prefixes.iter().map(|prefix| &prefix[8..10]).collect();
    assert!(shards.len() > 50, "{}", shards.len());
    // Pinned: rows are found by it.
    let prefix = layout.key_prefix(Generation(1), Some(&UserId::new("ann")));
    assert_eq!(&prefix[8..], &[0x02, 0xc8, b'a', b'n', b'n', 0, 1]);
    assert!(layout.prefix_len(&prefix[..9]).is_err());
    assert!(layout.prefix_len(&[0, 0, 0, 8, 0, 0, 0, 1]).is_err());
}

#[test]
fn owners_and_row_ids_must_fit_the_table() {
    let user = UserId::new("ann");
    let shared = definition(TableType::Shared, &[(ColumnType::Int64, false)], &[0]);
    let layout = TableLayout::new(Arc::new(shared)).unwrap();
    let rows = batch(layout.definition(), 2, 1);
    let mut keys = ByteRows::new();
    assert!(layout.encode_keys(&rows, Generation(1), Some(&user), None, &mut keys).is_err());
    assert!(layout.encode_keys(&rows, Generation(1), None, Some(0..2), &mut keys).is_err());
    let hidden = definition(TableType::User, &[(ColumnType::Int64, true)], &[]);
    let layout = TableLayout::new(Arc::new(hidden)).unwrap();
    let ids = [None, Some(0..1), Some(0..u64::MAX)];
    for ids in ids {
        assert!(layout.encode_keys(&rows, Generation(1), Some(&user), ids, &mut keys).is_err());
    }
    assert!(layout.encode_keys(&rows, Generation(1), None, Some(0..2), &mut keys).is_err());
    assert!(keys.is_empty());
    layout.encode_keys(&rows, Generation(1), Some(&user), Some(5..7), &mut keys).unwrap();
}
