//! Random histories of a table, rows written at random versions: read at the newest they are what
//! a model in memory says. What the model casts with is Arrow's, not ours.

use std::collections::HashMap;

use arrow::array::{
    Array, AsArray, Date32Array, Int32Array, StringArray, TimestampMicrosecondArray,
    TimestampMillisecondArray, TimestampSecondArray, new_empty_array, new_null_array,
};
use arrow::compute::{CastOptions, cast_with_options, concat};
use arrow::datatypes::{DataType, TimestampMicrosecondType, TimestampMillisecondType};
use kalamdb_commons::{
    ColumnDefinition, ColumnId, ColumnType, ErrorKind, FillValue, TableDefinition, TableType,
    TimePrecision,
};
use proptest::prelude::*;
use proptest::sample::Index;

use super::columns::ColumnRef;
use super::null_bit::NullBit;
use super::tests::{columns, load, store, version, widened};
use super::widen::WidenStep;
use super::*;
use crate::row_format::Place;
use crate::row_format::arbitrary::{
    Random, array, as_key_values, batch, column_type, definition, fill_value, key_type,
};

/// One ALTER TABLE.
#[derive(Debug, Clone)]
enum Step {
    Add {
        column_type: ColumnType,
        nullable: bool,
        filled: bool,
    },
    Drop(Index),
    Rename(Index),
    Widen(Index, Index),
    /// A default or an option: another version, the same rows.
    Nothing,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (value_type(), any::<bool>(), any::<bool>())
            .prop_map(|(column_type, nullable, filled)| Step::Add { column_type, nullable, filled }),
        2 => any::<Index>().prop_map(Step::Drop),
        1 => any::<Index>().prop_map(Step::Rename),
        3 => (any::<Index>(), any::<Index>()).prop_map(|(column, to)| Step::Widen(column, to)),
        1 => Just(Step::Nothing),
    ]
}

fn value_type() -> impl Strategy<Value = ColumnType> {
    prop_oneof![2 => prop::sample::select(numbers_and_times()), 1 => column_type()]
}

fn decimal(precision: u8, scale: i8) -> ColumnType {
    ColumnType::Decimal { precision, scale }
}

fn timestamp(precision: TimePrecision, utc: bool) -> ColumnType {
    ColumnType::Timestamp { precision, utc }
}

/// What may widen, and to what. Any DATE fits seconds and milliseconds.
fn numbers_and_times() -> Vec<ColumnType> {
    vec![
        ColumnType::Int8,
        ColumnType::Int16,
        ColumnType::Int32,
        ColumnType::Int64,
        ColumnType::UInt8,
        ColumnType::UInt16,
        ColumnType::UInt32,
        ColumnType::UInt64,
        ColumnType::Float32,
        ColumnType::Float64,
        decimal(3, 0),
        decimal(5, 2),
        decimal(12, 2),
        decimal(20, 0),
        decimal(24, 4),
        decimal(38, 10),
        ColumnType::Date,
        timestamp(TimePrecision::Seconds, false),
        timestamp(TimePrecision::Millis, false),
    ]
}

/// What a column may become, as far as every arbitrary value fits.
fn wider_types(from: &ColumnType) -> Vec<ColumnType> {
    let fits = |to: &ColumnType| match (from, to) {
        (ColumnType::Date, ColumnType::Timestamp { .. }) => true,
        // Not every number of seconds is one of milliseconds; those that are have their own test.
        (ColumnType::Timestamp { .. }, ColumnType::Timestamp { .. }) => from == to,
        _ => from.widens_to(to),
    };
    numbers_and_times().into_iter().filter(fits).collect()
}

/// Whether values of a column of type `from` can be read as those of type `to`.
fn widens(from: &ColumnType, to: &ColumnType) -> bool {
    let width = crate::row_format::fixed_width(from);
    let place = width.map_or(Place::Var { index: 0 }, |width| Place::Fixed { at: 0, width });
    WidenStep::new(from, to, place, NullBit::NEVER, ColumnRef::W8(0)).is_some()
}

/// The versions of a table, and the fill values of the newest.
#[derive(Debug)]
struct History {
    versions: Vec<Arc<TableDefinition>>,
    fills: HashMap<ColumnId, ArrayRef>,
}

impl History {
    fn new(first: TableDefinition, steps: &[Step], seed: u64) -> Self {
        let mut history = Self { versions: vec![Arc::new(first)], fills: HashMap::new() };
        for (step, seed) in steps.iter().zip(seed..) {
            let mut next = TableDefinition::clone(history.newest());
            next.schema_version += 1;
            history.alter(&mut next, step, seed);
            history.versions.push(Arc::new(next));
        }
        history
    }

    fn newest(&self) -> &Arc<TableDefinition> {
        self.versions.last().unwrap()
    }

    fn alter(&mut self, table: &mut TableDefinition, step: &Step, seed: u64) {
        let values: Vec<usize> = (0..table.columns.len())
            .filter(|i| !table.primary_key.contains(&table.columns[*i].id))
            .collect();
        match step {
            Step::Add { column_type, nullable, filled } => {
                let id = ColumnId(table.next_column_id);
                table.next_column_id += 1;
                let mut column = ColumnDefinition::new(id, &format!("c{id}"), column_type.clone());
                column.nullable = *nullable;
                if *filled || !nullable {
                    let value = array(column_type, false, 1, &mut Random(seed));
                    column.fill = Some(fill_value(&value));
                    self.fills.insert(id, value);
                }
                // Anywhere among the others: rows are in the order of ids.
                table.columns.insert(seed as usize % (table.columns.len() + 1), column);
            }
            Step::Drop(at) if !values.is_empty() => {
                table.columns.remove(*at.get(&values));
            }
            Step::Rename(at) if !table.columns.is_empty() => {
                let version = table.schema_version;
                let column = at.index(table.columns.len());
                table.columns[column].name = format!("renamed{version}").into();
            }
            Step::Widen(at, to) if !values.is_empty() => {
                let column = &mut table.columns[*at.get(&values)];
                let wider = wider_types(&column.column_type);
                if wider.is_empty() {
                    return;
                }
                column.column_type = to.get(&wider).clone();
                if let Some(fill) = self.fills.get_mut(&column.id) {
                    *fill = cast(fill, &column.column_type);
                    column.fill = Some(fill_value(fill));
                }
            }
            _ => {}
        }
    }

    /// What rows written at `version` are in a column of the newest.
    fn expected(
        &self,
        layout: &TableLayout,
        version: &TableDefinition,
        batch: &RecordBatch,
        wanted: usize,
    ) -> ArrayRef {
        let rows = batch.num_rows();
        let column = &self.newest().columns[wanted];
        let data_type = column.column_type.to_arrow();
        match version.columns.iter().position(|written| written.id == column.id) {
            Some(written) if layout.key_position(wanted).is_some() => {
                as_key_values(batch.column(written))
            }
            Some(written) => cast(batch.column(written), &column.column_type),
            None => match self.fills.get(&column.id) {
                Some(fill) => concat_all(&vec![Arc::clone(fill); rows], &data_type),
                None => new_null_array(&data_type, rows),
            },
        }
    }
}

fn cast(array: &ArrayRef, column_type: &ColumnType) -> ArrayRef {
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(array, &column_type.to_arrow(), &options).unwrap()
}

fn concat_all(arrays: &[ArrayRef], data_type: &DataType) -> ArrayRef {
    if arrays.is_empty() {
        return new_empty_array(data_type);
    }
    concat(&arrays.iter().map(AsRef::as_ref).collect::<Vec<_>>()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn rows_of_any_version_are_read_at_the_newest(
        keys in prop::collection::vec(key_type(), 0..3),
        values in prop::collection::vec((value_type(), any::<bool>()), 0..6),
        steps in prop::collection::vec(step(), 0..8),
        // At which version, how many rows, and whether a batch ends behind them.
        runs in prop::collection::vec((any::<Index>(), 1_usize..90, any::<bool>()), 0..8),
        picks in prop::collection::vec(any::<Index>(), 0..8),
        seed: u64,
    ) {
        let columns: Vec<(ColumnType, bool)> =
            keys.iter().map(|key| (key.clone(), false)).chain(values).collect();
        let key: Vec<usize> = (0..keys.len()).collect();
        let seed = seed >> 1;
        let history = History::new(definition(TableType::Shared, &columns, &key), &steps, seed);
        let newest = Arc::clone(history.newest());
        let layout = Arc::new(TableLayout::with_versions(newest, &history.versions).unwrap());
        let declared = layout.declared_len();
        let projection: Vec<usize> = match declared {
            0 => Vec::new(),
            _ => picks.iter().map(|pick| pick.index(declared)).collect(),
        };
        let mut builder = BatchBuilder::new(Arc::clone(&layout), &projection).unwrap();
        let mut expected = vec![Vec::new(); projection.len()];
        let mut loaded = Vec::new();
        for ((version, rows, ends), seed) in runs.iter().zip(seed..) {
            let version = version.get(&history.versions);
            let written = TableLayout::new(Arc::clone(version)).unwrap();
            let batch = batch(version, *rows, seed);
            let stored = store(&written, &batch);
            for (key, row) in stored.keys.iter().zip(stored.rows.iter()) {
                builder.append(stored.prefix_len, key, row).unwrap();
            }
            for (expected, wanted) in expected.iter_mut().zip(&projection) {
                expected.push(history.expected(&layout, version, &batch, *wanted));
            }
            if *ends {
                loaded.push(builder.finish().unwrap());
            }
        }
        loaded.push(builder.finish().unwrap());
        let loaded = arrow::compute::concat_batches(builder.schema(), &loaded).unwrap();
        let rows: usize = runs.iter().map(|(_, rows, _)| rows).sum();
        prop_assert_eq!(loaded.num_rows(), rows);
        for (i, expected) in expected.iter().enumerate() {
            let data_type = loaded.column(i).data_type();
            prop_assert_eq!(loaded.column(i), &concat_all(expected, data_type), "column {}", i);
        }
    }
}

/// A column altered twice is read as one altered once.
#[test]
fn widening_is_transitive() {
    let mut types = numbers_and_times();
    types.push(timestamp(TimePrecision::Micros, false));
    types.push(timestamp(TimePrecision::Micros, true));
    for a in &types {
        for b in types.iter().filter(|b| widens(a, b)) {
            for c in types.iter().filter(|c| widens(b, c)) {
                assert!(widens(a, c), "{a} widens to {b}, this to {c}");
            }
        }
        for b in types.iter().filter(|b| a.widens_to(b)) {
            assert!(widens(a, b), "{a} may be altered to {b}");
        }
    }
}

#[test]
fn what_loses_values_does_not_widen() {
    let nanos = timestamp(TimePrecision::Nanos, false);
    for (from, to) in [
        (ColumnType::Date, nanos.clone()),
        (timestamp(TimePrecision::Micros, false), nanos),
        (timestamp(TimePrecision::Micros, false), timestamp(TimePrecision::Millis, false)),
        (timestamp(TimePrecision::Seconds, false), timestamp(TimePrecision::Seconds, true)),
        (timestamp(TimePrecision::Seconds, false), ColumnType::Date),
        (ColumnType::Date, ColumnType::Int64),
        (ColumnType::Int8, ColumnType::UInt64),
        (ColumnType::UInt32, ColumnType::Int32),
        (ColumnType::Int32, ColumnType::Float32),
        (ColumnType::Float64, ColumnType::Float32),
        (decimal(10, 2), decimal(10, 4)),
        (decimal(10, 2), decimal(12, 1)),
        (decimal(10, 0), ColumnType::Int64),
        (ColumnType::Text, ColumnType::Json),
        (ColumnType::Boolean, ColumnType::Int8),
    ] {
        assert!(!widens(&from, &to), "{from} to {to}");
    }
}

#[test]
fn dates_become_midnights() {
    let dates: ArrayRef = Arc::new(Date32Array::from(vec![Some(0), None, Some(-1), Some(20_000)]));
    let day = 86_400_000_000_i64;
    for utc in [false, true] {
        let to = timestamp(TimePrecision::Micros, utc);
        let column = widened(ColumnType::Date, to.clone(), Arc::clone(&dates)).unwrap();
        assert_eq!(column.data_type(), &to.to_arrow());
        let micros: Vec<Option<i64>> =
            column.as_primitive::<TimestampMicrosecondType>().iter().collect();
        assert_eq!(micros, [Some(0), None, Some(-day), Some(20_000 * day)]);
    }
    let seconds: ArrayRef = Arc::new(TimestampSecondArray::from(vec![Some(-7), None]));
    let (from, to) = (TimePrecision::Seconds, TimePrecision::Millis);
    let column = widened(timestamp(from, false), timestamp(to, false), seconds).unwrap();
    let millis: Vec<Option<i64>> =
        column.as_primitive::<TimestampMillisecondType>().iter().collect();
    assert_eq!(millis, [Some(-7000), None]);
}

#[test]
fn a_date_behind_the_end_of_time_is_an_error() {
    let micros = timestamp(TimePrecision::Micros, false);
    let dates: ArrayRef = Arc::new(Date32Array::from(vec![i32::MAX]));
    let error = widened(ColumnType::Date, micros.clone(), dates).unwrap_err();
    assert!(error.to_string().contains("out of the range of its type"), "{error}");
    let millis: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![i64::MIN]));
    let from = timestamp(TimePrecision::Millis, false);
    assert_eq!(widened(from, micros, millis).unwrap_err().kind(), ErrorKind::DataLoss);
    // The last day of the calendar is none of them.
    let last: ArrayRef = Arc::new(Date32Array::from(vec![95_026_236]));
    let last = widened(ColumnType::Date, timestamp(TimePrecision::Micros, true), last).unwrap();
    let expected = TimestampMicrosecondArray::from(vec![95_026_236 * 86_400_000_000_i64]);
    assert_eq!(last.as_primitive::<TimestampMicrosecondType>().values(), expected.values());
}

#[test]
fn a_row_of_a_newer_version_is_an_error() {
    let old = version(1, columns(&[("a", 1, ColumnType::Int32)]));
    let new = version(2, columns(&[("a", 1, ColumnType::Int64)]));
    let new_layout = TableLayout::new(Arc::clone(&new)).unwrap();
    let stored = store(&new_layout, &batch(&new, 1, 1));
    // A newer version among the older ones is none of them.
    let layout = Arc::new(TableLayout::with_versions(old, &[new]).unwrap());
    let mut builder = BatchBuilder::new(layout, &[0]).unwrap();
    let error = load(&mut builder, &stored).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DataLoss);
    assert!(error.to_string().contains("the newest is 1"), "{error}");
}

#[test]
fn a_damaged_fill_value_and_another_key_are_refused() {
    let old = version(1, columns(&[("a", 1, ColumnType::Int32)]));
    let mut added = columns(&[("a", 1, ColumnType::Int32), ("b", 2, ColumnType::Int32)]);
    let two: ArrayRef = Arc::new(Int32Array::from(vec![1, 2]));
    let text: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
    for fill in [FillValue::from_ipc(vec![1, 2, 3]), fill_value(&two), fill_value(&text)] {
        added[1].fill = Some(fill);
        let new = version(2, added.clone());
        let error = TableLayout::with_versions(new, &[Arc::clone(&old)]).unwrap_err();
        assert!(error.to_string().contains("fill value: of column \"b\""), "{error}");
    }
    let keyed = |schema_version, column_type| {
        let mut table = definition(TableType::Shared, &[(column_type, false)], &[0]);
        table.schema_version = schema_version;
        Arc::new(table)
    };
    let (old, new) = (keyed(1, ColumnType::Int32), keyed(2, ColumnType::Int64));
    let error = TableLayout::with_versions(new, &[old]).unwrap_err();
    assert!(error.to_string().contains("another key in schema version 1"), "{error}");
}

#[test]
fn fill_values_count_as_bytes_of_the_batch() {
    let old = version(1, columns(&[("a", 1, ColumnType::Int32)]));
    let mut added = columns(&[("a", 1, ColumnType::Int32), ("b", 2, ColumnType::Text)]);
    let text: ArrayRef = Arc::new(StringArray::from(vec!["twelve bytes"]));
    added[1].fill = Some(fill_value(&text));
    let old_layout = TableLayout::new(Arc::clone(&old)).unwrap();
    let stored = store(&old_layout, &batch(&old, 10, 1));
    let layout = Arc::new(TableLayout::with_versions(version(2, added), &[old]).unwrap());
    let mut builder = BatchBuilder::new(layout, &[1]).unwrap();
    for (key, row) in stored.keys.iter().zip(stored.rows.iter()) {
        builder.append(stored.prefix_len, key, row).unwrap();
    }
    assert_eq!(builder.byte_len(), 120);
    let texts = builder.finish().unwrap();
    assert_eq!(
        texts.column(0).as_ref(),
        &StringArray::from(vec!["twelve bytes"; 10]) as &dyn Array
    );
}
