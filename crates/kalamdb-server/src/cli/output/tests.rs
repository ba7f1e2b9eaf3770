//! What each format makes of the same rows.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, FixedSizeBinaryArray, Float64Array, Int64Array, ListArray, NullArray,
    RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef};

use super::Format;

fn sample() -> RecordBatch {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from(vec![Some(1), Some(-200), None]))),
        ("name", Arc::new(StringArray::from(vec![Some("ann, \"the\" first"), Some(""), None]))),
        ("score", Arc::new(Float64Array::from(vec![Some(0.5), None, Some(1e30)]))),
        ("ok", Arc::new(BooleanArray::from(vec![Some(true), Some(false), None]))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true)))
        .unwrap()
}

fn render(format: Format, batches: &[RecordBatch]) -> String {
    let mut out = Vec::new();
    let mut writer = format.writer(batches[0].schema_ref());
    for batch in batches {
        writer.write(batch, &mut out).unwrap();
    }
    writer.finish(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn one_column(name: &str, column: ArrayRef) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable([(name, column, true)]).unwrap()
}

#[test]
fn table_aligns_columns_and_shows_nulls() {
    let expected = [
        " id   | name             | score | ok",
        "------+------------------+-------+-------",
        "    1 | ann, \"the\" first |   0.5 | true",
        " -200 |                  |  NULL | false",
        " NULL | NULL             |  1e30 | NULL",
    ];
    assert_eq!(render(Format::Table, &[sample()]).lines().collect::<Vec<_>>(), expected);
}

#[test]
fn csv_tells_null_from_empty_text() {
    let expected = "id,name,score,ok
1,\"ann, \"\"the\"\" first\",0.5,true
-200,\"\",,false
,,1e30,
";
    assert_eq!(render(Format::Csv, &[sample()]), expected);
}

#[test]
fn json_is_one_array_with_a_row_per_line() {
    let text = render(Format::Json, &[sample(), sample()]);
    let rows: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 6);
    assert_eq!(rows[1], serde_json::json!({"id": -200, "name": "", "score": null, "ok": false}));
    assert_eq!(text.lines().count(), 8);
}

#[test]
fn an_empty_result_still_has_its_columns() {
    let empty = sample().slice(0, 0);
    let table = render(Format::Table, std::slice::from_ref(&empty));
    assert_eq!(table, " id | name | score | ok\n----+------+-------+----\n");
    assert_eq!(render(Format::Csv, std::slice::from_ref(&empty)), "id,name,score,ok\n");
    assert_eq!(render(Format::Json, &[empty]), "[]\n");
}

#[test]
fn columns_grow_when_a_later_batch_is_wider() {
    let narrow = one_column("n", Arc::new(Int64Array::from(vec![7; 1000])));
    let wide = one_column("n", Arc::new(Int64Array::from(vec![123_456, 7])));
    let text = render(Format::Table, &[narrow, wide]);
    assert!(text.starts_with(" n\n---\n 7\n"), "{text}");
    assert!(text.ends_with(" 7\n 123456\n      7\n"), "{text}");
}

#[test]
fn wide_characters_are_measured_as_a_terminal_shows_them() {
    let batch = RecordBatch::try_from_iter([
        ("a", Arc::new(StringArray::from(vec!["日本", "x"])) as ArrayRef),
        ("b", Arc::new(StringArray::from(vec!["1", "2"])) as ArrayRef),
    ])
    .unwrap();
    assert!(render(Format::Table, &[batch]).ends_with(" 日本 | 1\n x    | 2\n"));
}

#[test]
fn values_of_several_lines_stay_in_their_column() {
    let columns: [(&str, ArrayRef); 3] = [
        ("a", Arc::new(StringArray::from(vec!["one\ntwo longer\n", ""]))),
        ("n", Arc::new(Int64Array::from(vec![1, 22]))),
        ("b", Arc::new(StringArray::from(vec!["x", "y\n\nz"]))),
    ];
    let text = render(Format::Table, &[RecordBatch::try_from_iter(columns).unwrap()]);
    let expected = [
        " a          | n  | b",
        "------------+----+---",
        " one        |  1 | x",
        " two longer |    |",
        "            | 22 | y",
        "            |    |",
        "            |    | z",
    ];
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn control_characters_cannot_reach_the_terminal() {
    let batch = one_column("t", Arc::new(StringArray::from(vec!["a\rb\x1b[31m"])));
    assert!(render(Format::Table, &[batch]).contains(r"a\rb\u{1b}[31m"));
}

#[test]
fn uuids_are_shown_as_text_everywhere() {
    let metadata = HashMap::from([("ARROW:extension:name".to_string(), "arrow.uuid".to_string())]);
    let field = Field::new("u", DataType::FixedSizeBinary(16), true).with_metadata(metadata);
    let schema: SchemaRef = Arc::new(Schema::new(vec![field]));
    let values = FixedSizeBinaryArray::try_from_sparse_iter_with_size(
        [Some([0x11; 16]), None].into_iter(),
        16,
    )
    .unwrap();
    let batch = RecordBatch::try_new(schema, vec![Arc::new(values)]).unwrap();
    for format in [Format::Table, Format::Csv, Format::Json] {
        let text = render(format, std::slice::from_ref(&batch));
        assert!(text.contains("11111111-1111-1111-1111-111111111111"), "{text}");
    }
}

#[test]
fn times_lists_and_typeless_nulls_have_a_text() {
    let moment = TimestampMicrosecondArray::from(vec![1_700_000_000_123_456]);
    let batch = one_column("at", Arc::new(moment.clone().with_timezone("UTC")));
    assert!(
        render(Format::Table, std::slice::from_ref(&batch))
            .contains("2023-11-14 22:13:20.123456+00:00")
    );
    assert!(render(Format::Csv, &[batch]).contains("2023-11-14T22:13:20.123456Z"));
    assert!(
        render(Format::Csv, &[one_column("at", Arc::new(moment))])
            .contains("2023-11-14T22:13:20.123456\n")
    );
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1), None])]);
    assert!(render(Format::Csv, &[one_column("l", Arc::new(list))]).contains("\"[1, NULL]\""));
    assert!(
        render(Format::Table, &[one_column("n", Arc::new(NullArray::new(1)))]).contains("NULL")
    );
}
