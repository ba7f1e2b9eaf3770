//! Arbitrary types, arrays and tables for the property tests of the codecs.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, ArrowPrimitiveType, BinaryArray, BooleanArray, FixedSizeBinaryArray,
    FixedSizeListArray, Float32Array, Float64Array, ListArray, PrimitiveArray, StringArray,
    StructArray,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, Time64MicrosecondType,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::RecordBatch;
use kalamdb_commons::{
    ColumnDefinition, ColumnId, ColumnType, FillValue, NamespaceId, StructField, TableDefinition,
    TableId, TableOptions, TableType, TimePrecision, UserId,
};
use proptest::prelude::*;

/// Every type a key column may have.
pub(crate) fn key_type() -> BoxedStrategy<ColumnType> {
    let precision = prop_oneof![
        Just(TimePrecision::Seconds),
        Just(TimePrecision::Millis),
        Just(TimePrecision::Micros),
        Just(TimePrecision::Nanos),
    ];
    prop_oneof![
        4 => Just(ColumnType::Text),
        2 => Just(ColumnType::Bytes),
        10 => prop::sample::select(vec![
            ColumnType::Boolean,
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
            ColumnType::Date,
            ColumnType::Time,
            ColumnType::Uuid,
        ]),
        1 => (precision, any::<bool>())
            .prop_map(|(precision, utc)| ColumnType::Timestamp { precision, utc }),
        1 => (1_u8..=38, 0_i8..=38)
            .prop_map(|(p, s)| ColumnType::Decimal { precision: p, scale: s.min(p as i8) }),
    ]
    .boxed()
}

/// Every type a column may have, nested up to three deep.
pub(crate) fn column_type() -> BoxedStrategy<ColumnType> {
    prop_oneof![
        8 => key_type(),
        1 => Just(ColumnType::Interval),
        1 => Just(ColumnType::Json),
        1 => (1_u32..=5).prop_map(ColumnType::Embedding),
    ]
    .prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|item| ColumnType::List(Box::new(item))),
            prop::collection::vec((inner, any::<bool>()), 1..4).prop_map(|fields| {
                let fields = (0..).zip(fields).map(|(i, (field_type, nullable))| StructField {
                    name: format!("f{i}").into(),
                    field_type,
                    nullable,
                });
                ColumnType::Struct(fields.collect())
            }),
        ]
    })
    .boxed()
}

/// A table with these columns (type, nullable), keyed by the columns at `key`.
pub(crate) fn definition(
    table_type: TableType,
    columns: &[(ColumnType, bool)],
    key: &[usize],
) -> TableDefinition {
    let columns: Vec<ColumnDefinition> = (1..)
        .zip(columns)
        .map(|(id, (column_type, nullable))| ColumnDefinition {
            nullable: *nullable,
            ..ColumnDefinition::new(ColumnId(id), &format!("c{id}"), column_type.clone())
        })
        .collect();
    TableDefinition {
        id: TableId(7),
        namespace_id: NamespaceId(1),
        namespace: "default".into(),
        name: "t".into(),
        table_type,
        created_by: UserId::new("root"),
        created_at_us: 0,
        updated_at_us: 0,
        schema_version: 1,
        next_column_id: columns.len() as u32 + 1,
        primary_key: key.iter().map(|i| columns[*i].id).collect(),
        columns,
        options: TableOptions::default(),
        comment: None,
        checks: Vec::new(),
        change: None,
    }
}

/// A batch of arbitrary rows of a table's declared columns.
pub(crate) fn batch(definition: &TableDefinition, rows: usize, seed: u64) -> RecordBatch {
    let mut random = Random(seed);
    let columns = definition
        .columns
        .iter()
        .map(|column| {
            let is_key = definition.primary_key.contains(&column.id);
            array(&column.column_type, column.nullable && !is_key, rows, &mut random)
        })
        .collect();
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(definition.arrow_schema(), columns, &options).unwrap()
}

/// The fill value of a column that ADD COLUMN gives this one value.
pub(crate) fn fill_value(value: &ArrayRef) -> FillValue {
    let batch = RecordBatch::try_from_iter([("fill", Arc::clone(value))]).unwrap();
    let mut writer = StreamWriter::try_new(Vec::new(), batch.schema_ref()).unwrap();
    writer.write(&batch).unwrap();
    FillValue::from_ipc(writer.into_inner().unwrap())
}

/// The same floats as keys keep them: no -0.0 and one NaN.
pub(crate) fn as_key_values(array: &ArrayRef) -> ArrayRef {
    if let Some(array) = array.as_any().downcast_ref::<Float64Array>() {
        let one = |v: f64| if v.is_nan() { f64::NAN } else { v + 0.0 };
        return Arc::new(array.unary::<_, Float64Type>(one));
    }
    if let Some(array) = array.as_any().downcast_ref::<Float32Array>() {
        let one = |v: f32| if v.is_nan() { f32::NAN } else { v + 0.0 };
        return Arc::new(array.unary::<_, Float32Type>(one));
    }
    Arc::clone(array)
}

/// A small generator: a shrunk case keeps its seed.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn pick<T: Copy>(&mut self, extremes: &[T], other: impl FnOnce(u64) -> T) -> T {
        match self.below(2) {
            0 => extremes[self.below(extremes.len())],
            _ => other(self.next()),
        }
    }
}

/// Arbitrary values of a type, extremes often among them; under a NULL there is another value.
pub(crate) fn array(
    column_type: &ColumnType,
    nullable: bool,
    rows: usize,
    random: &mut Random,
) -> ArrayRef {
    macro_rules! integers {
        ($arrow:ty, $native:ty) => {
            primitive::<$arrow>(column_type, nullable, rows, random, |random| {
                random.pick(&[<$native>::MIN, <$native>::MAX, 0, 1], |bits| bits as $native)
            })
        };
    }
    match column_type {
        ColumnType::Boolean => {
            let values = BooleanBuffer::collect_bool(rows, |_| random.below(2) == 0);
            Arc::new(BooleanArray::new(values, nulls(nullable, rows, random)))
        }
        ColumnType::Int8 => integers!(Int8Type, i8),
        ColumnType::Int16 => integers!(Int16Type, i16),
        ColumnType::Int32 => integers!(Int32Type, i32),
        ColumnType::Int64 => integers!(Int64Type, i64),
        ColumnType::UInt8 => integers!(UInt8Type, u8),
        ColumnType::UInt16 => integers!(UInt16Type, u16),
        ColumnType::UInt32 => integers!(UInt32Type, u32),
        ColumnType::UInt64 => integers!(UInt64Type, u64),
        ColumnType::Date => integers!(Date32Type, i32),
        ColumnType::Time => integers!(Time64MicrosecondType, i64),
        ColumnType::Timestamp { precision, .. } => match precision {
            TimePrecision::Seconds => integers!(TimestampSecondType, i64),
            TimePrecision::Millis => integers!(TimestampMillisecondType, i64),
            TimePrecision::Micros => integers!(TimestampMicrosecondType, i64),
            TimePrecision::Nanos => integers!(TimestampNanosecondType, i64),
        },
        ColumnType::Float32 => {
            primitive::<Float32Type>(column_type, nullable, rows, random, float32)
        }
        ColumnType::Float64 => {
            primitive::<Float64Type>(column_type, nullable, rows, random, float64)
        }
        ColumnType::Decimal { precision, .. } => {
            let most = 10_i128.pow(u32::from(*precision)) - 1;
            primitive::<Decimal128Type>(column_type, nullable, rows, random, |random| {
                random.pick(&[-most, most, 0, -1, 1], |bits| {
                    (i128::from(bits as i64) * i128::from(bits)) % (most + 1)
                })
            })
        }
        ColumnType::Interval => {
            primitive::<IntervalMonthDayNanoType>(column_type, nullable, rows, random, |random| {
                let (a, b) = (random.next(), random.next());
                IntervalMonthDayNano::new(a as i32, (a >> 32) as i32, b as i64)
            })
        }
        _ => var_array(column_type, nullable, rows, random),
    }
}

fn var_array(
    column_type: &ColumnType,
    nullable: bool,
    rows: usize,
    random: &mut Random,
) -> ArrayRef {
    match (column_type, column_type.to_arrow()) {
        (ColumnType::Text | ColumnType::Json, _) => {
            let values = StringArray::from_iter_values((0..rows).map(|_| text(random)));
            let (offsets, values, _) = values.into_parts();
            Arc::new(StringArray::new(offsets, values, nulls(nullable, rows, random)))
        }
        (ColumnType::Bytes, _) => {
            let values = BinaryArray::from_iter_values((0..rows).map(|_| bytes(random)));
            let (offsets, values, _) = values.into_parts();
            Arc::new(BinaryArray::new(offsets, values, nulls(nullable, rows, random)))
        }
        (ColumnType::Uuid, _) => {
            let values: Vec<u8> = (0..rows * 16)
                .map(|_| random.pick(&[0, 1, 0x7F, 0x80, 0xFF], |bits| bits as u8))
                .collect();
            let nulls = nulls(nullable, rows, random);
            Arc::new(FixedSizeBinaryArray::new(16, Buffer::from_vec(values), nulls))
        }
        (ColumnType::Embedding(dimensions), DataType::FixedSizeList(item, size)) => {
            let count = rows * *dimensions as usize;
            let values: Vec<f32> = (0..count).map(|_| float32(random)).collect();
            let nulls = nulls(nullable, rows, random);
            let items = Arc::new(Float32Array::from(values));
            Arc::new(FixedSizeListArray::new(item, size, items, nulls))
        }
        (ColumnType::List(inner), DataType::List(item)) => {
            let lengths: Vec<usize> = (0..rows).map(|_| random.below(4)).collect();
            let count = lengths.iter().sum();
            let offsets = OffsetBuffer::from_lengths(lengths);
            let items = array(inner, true, count, random);
            Arc::new(ListArray::new(item, offsets, items, nulls(nullable, rows, random)))
        }
        (ColumnType::Struct(fields), DataType::Struct(arrow_fields)) => {
            let columns = fields
                .iter()
                .map(|field| array(&field.field_type, field.nullable, rows, random))
                .collect();
            Arc::new(StructArray::new(arrow_fields, columns, nulls(nullable, rows, random)))
        }
        (other, _) => panic!("no arbitrary values of {other}"),
    }
}

fn primitive<T: ArrowPrimitiveType>(
    column_type: &ColumnType,
    nullable: bool,
    rows: usize,
    random: &mut Random,
    value: impl Fn(&mut Random) -> T::Native,
) -> ArrayRef {
    let values: Vec<T::Native> = (0..rows).map(|_| value(random)).collect();
    let nulls = nulls(nullable, rows, random);
    let array = PrimitiveArray::<T>::new(values.into(), nulls);
    Arc::new(array.with_data_type(column_type.to_arrow()))
}

fn nulls(nullable: bool, rows: usize, random: &mut Random) -> Option<NullBuffer> {
    (nullable && random.below(4) != 0)
        .then(|| NullBuffer::new(BooleanBuffer::collect_bool(rows, |_| random.below(4) != 0)))
}

fn float64(random: &mut Random) -> f64 {
    let extremes = [0.0, -0.0, f64::NAN, -f64::NAN, f64::INFINITY, f64::MIN, f64::MIN_POSITIVE];
    random.pick(&extremes, f64::from_bits)
}

fn float32(random: &mut Random) -> f32 {
    let extremes = [0.0, -0.0, f32::NAN, -f32::NAN, f32::NEG_INFINITY, f32::MAX, 1e-45];
    random.pick(&extremes, |bits| f32::from_bits(bits as u32))
}

fn text(random: &mut Random) -> String {
    const CHARS: [char; 8] = ['\0', '\u{1}', 'a', 'b', '\u{7F}', 'é', '\u{FFFF}', '𝄞'];
    let length = random.pick(&[0, 1, 2, 15, 16, 17], |bits| bits as usize % 40);
    (0..length).map(|_| CHARS[random.below(CHARS.len())]).collect()
}

fn bytes(random: &mut Random) -> Vec<u8> {
    let length = random.pick(&[0, 1, 2, 15, 16, 17], |bits| bits as usize % 40);
    (0..length).map(|_| random.pick(&[0, 1, 0xFF], |bits| bits as u8)).collect()
}
