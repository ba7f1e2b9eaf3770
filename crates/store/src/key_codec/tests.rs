//! The key encoding is pinned, keeps the order of values, and decodes to what went in.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, FixedSizeBinaryArray,
    Float32Array, Float64Array, Int8Array, Int16Array, Int32Array, Int64Array, StringArray,
    Time64MicrosecondArray, TimestampNanosecondArray, UInt8Array, UInt16Array, UInt32Array,
    UInt64Array, make_comparator,
};
use arrow::compute::SortOptions;
use kalamdb_commons::{ColumnType, ErrorKind, TimePrecision};
use proptest::prelude::*;

use super::*;
use crate::row_format::arbitrary::{Random, array, as_key_values, key_type};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn encode(types: &[ColumnType], columns: &[ArrayRef]) -> ByteRows {
    let mut keys = ByteRows::new();
    KeyCodec::new(types).unwrap().encode(columns, &[], &mut keys).unwrap();
    keys
}

fn golden() -> Vec<(ColumnType, ArrayRef, &'static str)> {
    let uuid: [u8; 16] = std::array::from_fn(|i| i as u8);
    let nanos = ColumnType::Timestamp { precision: TimePrecision::Nanos, utc: false };
    let decimal = Decimal128Array::from(vec![-1, 1]).with_precision_and_scale(20, 2).unwrap();
    let f32s = vec![-1.5, -0.0, 0.0, f32::INFINITY, -f32::NAN];
    let f64s = vec![f64::NEG_INFINITY, -0.0, 1.0, f64::from_bits(0x7FF0_0000_0000_0001)];
    vec![
        (ColumnType::Boolean, Arc::new(BooleanArray::from(vec![false, true])), "00 01"),
        (ColumnType::Int8, Arc::new(Int8Array::from(vec![-128, -1, 0, 127])), "00 7f 80 ff"),
        (ColumnType::Int16, Arc::new(Int16Array::from(vec![-2, 258])), "7ffe 8102"),
        (ColumnType::Int32, Arc::new(Int32Array::from(vec![-2, 258])), "7ffffffe 80000102"),
        (
            ColumnType::Int64,
            Arc::new(Int64Array::from(vec![i64::MIN, 5])),
            "0000000000000000 8000000000000005",
        ),
        (ColumnType::UInt8, Arc::new(UInt8Array::from(vec![0, 255])), "00 ff"),
        (ColumnType::UInt16, Arc::new(UInt16Array::from(vec![258])), "0102"),
        (ColumnType::UInt32, Arc::new(UInt32Array::from(vec![258])), "00000102"),
        (ColumnType::UInt64, Arc::new(UInt64Array::from(vec![258])), "0000000000000102"),
        (
            ColumnType::Float32,
            Arc::new(Float32Array::from(f32s)),
            "403fffff 80000000 80000000 ff800000 ffc00000",
        ),
        (
            ColumnType::Float64,
            Arc::new(Float64Array::from(f64s)),
            "000fffffffffffff 8000000000000000 bff0000000000000 fff8000000000000",
        ),
        (
            ColumnType::Decimal { precision: 20, scale: 2 },
            Arc::new(decimal),
            "7fffffffffffffffffffffffffffffff 80000000000000000000000000000001",
        ),
        (ColumnType::Date, Arc::new(Date32Array::from(vec![-1])), "7fffffff"),
        (ColumnType::Time, Arc::new(Time64MicrosecondArray::from(vec![1])), "8000000000000001"),
        (nanos, Arc::new(TimestampNanosecondArray::from(vec![-1])), "7fffffffffffffff"),
        (
            ColumnType::Uuid,
            Arc::new(FixedSizeBinaryArray::new(16, uuid.to_vec().into(), None)),
            "000102030405060708090a0b0c0d0e0f",
        ),
        (
            ColumnType::Text,
            Arc::new(StringArray::from(vec!["", "a\0b", "é"])),
            "0001 6100ff620001 c3a90001",
        ),
        (
            ColumnType::Bytes,
            Arc::new(BinaryArray::from(vec![b"\x00\x00".as_slice(), b"\xff"])),
            "00ff00ff0001 ff0001",
        ),
    ]
}

#[test]
fn the_bytes_of_every_key_type_are_pinned() {
    for (column_type, column, expected) in golden() {
        let keys = encode(std::slice::from_ref(&column_type), &[column]);
        let found: Vec<String> = keys.iter().map(hex).collect();
        assert_eq!(found.join(" "), expected, "{column_type}");
    }
}

#[test]
fn a_composite_key_is_the_prefix_and_its_columns_in_order() {
    let codec = KeyCodec::new(&[ColumnType::Text, ColumnType::Int16]).unwrap();
    let columns: [ArrayRef; 2] =
        [Arc::new(StringArray::from(vec!["a", "b"])), Arc::new(Int16Array::from(vec![1, 2]))];
    let mut keys = ByteRows::new();
    keys.push(b"already there");
    codec.encode(&columns, b"\x07\x00", &mut keys).unwrap();
    assert_eq!(
        (hex(keys.get(1)), hex(keys.get(2))),
        ("07006100018001".into(), "07006200018002".into())
    );
    let mut leading = Vec::new();
    codec.encode_leading(&columns[..1], 1, &mut leading).unwrap();
    assert_eq!(hex(&leading), "620001");
}

#[test]
fn types_without_an_order_are_refused() {
    let list = ColumnType::List(Box::new(ColumnType::Int8));
    for refused in [ColumnType::Interval, ColumnType::Json, list, ColumnType::Embedding(2)] {
        let error = KeyCodec::new(&[ColumnType::Int8, refused]).unwrap_err();
        assert!(error.to_string().starts_with("key column 2 has the type"), "{error}");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}

#[test]
fn a_null_names_its_column_and_row() {
    let codec = KeyCodec::new(&[ColumnType::Int8, ColumnType::Text]).unwrap();
    let columns: [ArrayRef; 2] = [
        Arc::new(Int8Array::from(vec![1, 2, 3])),
        Arc::new(StringArray::from(vec![Some("a"), None, None])),
    ];
    let mut keys = ByteRows::new();
    let error = codec.encode(&columns, &[], &mut keys).unwrap_err();
    assert!(matches!(error, StoreError::NullInKey { position: 1, row: 1 }), "{error}");
    assert_eq!(error.kind(), ErrorKind::ConstraintViolation);
    assert!(keys.is_empty());
    assert!(codec.encode_leading(&columns, 2, &mut Vec::new()).is_err());
    assert!(codec.encode_leading(&columns, 3, &mut Vec::new()).is_err());
    codec.encode_leading(&columns, 0, &mut Vec::new()).unwrap();
}

#[test]
fn a_key_may_be_as_long_as_the_bound_and_no_longer() {
    let codec = KeyCodec::new(&[ColumnType::Text]).unwrap();
    let fits = "a".repeat(KEY_BYTES_MAX - 2);
    let columns: [ArrayRef; 1] = [Arc::new(StringArray::from(vec![fits.clone(), fits + "a"]))];
    let mut keys = ByteRows::new();
    codec.encode(&[columns[0].slice(0, 1)], b"prefix", &mut keys).unwrap();
    let error = codec.encode(&columns, b"prefix", &mut keys).unwrap_err();
    assert!(matches!(error, StoreError::KeyTooLong { row: 1, bytes: 8193, bytes_max: 8192 }));
    assert!(error.to_string().contains("row 2"), "{error}");
    assert_eq!(keys.len(), 1);
}

#[test]
fn an_array_of_another_type_is_refused() {
    let codec = KeyCodec::new(&[ColumnType::Int8]).unwrap();
    let columns: [ArrayRef; 1] = [Arc::new(Int16Array::from(vec![1]))];
    let error = codec.encode(&columns, &[], &mut ByteRows::new()).unwrap_err();
    assert!(error.to_string().contains("a TINYINT column was given an array of Int16"), "{error}");
    assert!(codec.encode(&[], &[], &mut ByteRows::new()).is_err());
}

fn compare_rows(columns: &[ArrayRef], a: usize, b: usize) -> Ordering {
    columns
        .iter()
        .map(|column| {
            let column = as_key_values(column);
            make_comparator(&column, &column, SortOptions::default()).unwrap()(a, b)
        })
        .find(|ordering| ordering.is_ne())
        .unwrap_or(Ordering::Equal)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 256 } else { 2048 }))]

    #[test]
    fn keys_compare_as_their_values_do(
        types in prop::collection::vec(key_type(), 1..4),
        rows in 2_usize..24,
        seed: u64,
    ) {
        let mut random = Random(seed);
        let columns: Vec<ArrayRef> =
            types.iter().map(|t| array(t, false, rows, &mut random)).collect();
        let keys = encode(&types, &columns);
        for a in 0..rows {
            for b in 0..rows {
                let by_key = keys.get(a).cmp(keys.get(b));
                prop_assert_eq!(by_key, compare_rows(&columns, a, b), "rows {} and {}", a, b);
            }
        }
    }

    #[test]
    fn leading_columns_are_a_prefix_of_exactly_the_keys_that_have_them(
        types in prop::collection::vec(key_type(), 2..4),
        rows in 2_usize..16,
        seed: u64,
    ) {
        let mut random = Random(seed);
        let columns: Vec<ArrayRef> =
            types.iter().map(|t| array(t, false, rows, &mut random)).collect();
        let codec = KeyCodec::new(&types).unwrap();
        let keys = encode(&types, &columns);
        for row in 0..rows {
            let mut bound = Vec::new();
            codec.encode_leading(&columns[..1], row, &mut bound).unwrap();
            for other in 0..rows {
                let same = compare_rows(&columns[..1], row, other).is_eq();
                prop_assert_eq!(keys.get(other).starts_with(&bound), same);
            }
        }
    }

    #[test]
    fn the_first_zero_is_found_wherever_it_is(bytes in prop::collection::vec(0_u8..3, 0..40)) {
        prop_assert_eq!(decode::find_zero(&bytes), bytes.iter().position(|byte| *byte == 0));
    }
}
