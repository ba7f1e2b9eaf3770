//! Golden tests: the schemas and codes drivers compare with, written out.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, UInt32Type};
use arrow_flight::IpcMessage;
use arrow_flight::sql::{
    CommandGetDbSchemas, CommandGetPrimaryKeys, CommandGetSqlInfo, CommandGetTables,
    CommandGetXdbcTypeInfo,
};
use kalamdb_core::{TableInfo, TableKind};

use super::*;

/// `name type` with `!` for not null and `?` for nullable.
fn shape(schema: &Schema) -> Vec<String> {
    let field = |field: &Arc<Field>| {
        let mark = if field.is_nullable() { '?' } else { '!' };
        format!("{} {}{mark}", field.name(), field.data_type())
    };
    schema.fields().iter().map(field).collect()
}

fn table(namespace: &str, name: &str, kind: TableKind, primary_key: &[&str]) -> TableInfo {
    let schema = Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("price", DataType::Decimal128(10, 2), true),
    ]);
    TableInfo {
        namespace: namespace.into(),
        name: name.into(),
        kind,
        schema: Arc::new(schema),
        type_names: vec!["BIGINT".into(), "DECIMAL(10, 2)".into()],
        column_comments: vec![Some("the key".into()), None],
        primary_key: primary_key.iter().map(|name| Arc::from(*name)).collect(),
        comment: None,
    }
}

fn column(batch: &RecordBatch, name: &str) -> Vec<String> {
    let column = batch.column_by_name(name).unwrap().as_string::<i32>();
    column.iter().map(|value| value.unwrap_or("NULL").to_owned()).collect()
}

#[test]
fn metadata_schemas_are_the_protocol_s() {
    let schema = |command: MetadataCommand| shape(&command.schema());
    assert_eq!(schema(MetadataCommand::Catalogs), ["catalog_name Utf8!"]);
    assert_eq!(
        schema(MetadataCommand::DbSchemas(CommandGetDbSchemas::default())),
        ["catalog_name Utf8?", "db_schema_name Utf8!"]
    );
    let tables = |include_schema| {
        MetadataCommand::Tables(CommandGetTables { include_schema, ..Default::default() })
    };
    let plain =
        ["catalog_name Utf8?", "db_schema_name Utf8?", "table_name Utf8!", "table_type Utf8!"];
    assert_eq!(schema(tables(false)), plain);
    let with_schema: Vec<&str> = plain.iter().copied().chain(["table_schema Binary!"]).collect();
    assert_eq!(schema(tables(true)), with_schema);
    assert_eq!(schema(MetadataCommand::TableTypes), ["table_type Utf8!"]);
    assert_eq!(
        schema(MetadataCommand::PrimaryKeys(CommandGetPrimaryKeys::default())),
        [
            "catalog_name Utf8?",
            "db_schema_name Utf8?",
            "table_name Utf8!",
            "column_name Utf8!",
            "key_sequence Int32!",
            "key_name Utf8?",
        ]
    );
    assert_eq!(
        schema(MetadataCommand::ForeignKeys),
        [
            "pk_catalog_name Utf8?",
            "pk_db_schema_name Utf8?",
            "pk_table_name Utf8!",
            "pk_column_name Utf8!",
            "fk_catalog_name Utf8?",
            "fk_db_schema_name Utf8?",
            "fk_table_name Utf8!",
            "fk_column_name Utf8!",
            "key_sequence Int32!",
            "fk_key_name Utf8?",
            "pk_key_name Utf8?",
            "update_rule UInt8!",
            "delete_rule UInt8!",
        ]
    );
    let sql_info = schema(MetadataCommand::SqlInfo(CommandGetSqlInfo::default()));
    assert_eq!(sql_info[0], "info_name UInt32!");
    assert!(sql_info[1].starts_with("value Union(Dense"), "{}", sql_info[1]);
    let types = MetadataCommand::XdbcTypeInfo(CommandGetXdbcTypeInfo::default()).schema();
    assert_eq!(types.fields().len(), 19);
}

#[test]
fn every_sql_info_code_is_there_with_its_type() {
    let (string, boolean, bigint, bitmask, list, map) = (0, 1, 2, 3, 4, 5);
    let mut expected: BTreeMap<u32, i8> = BTreeMap::new();
    let mut expect = |codes: Vec<u32>, type_id: i8| {
        for code in codes {
            assert_eq!(expected.insert(code, type_id), None, "{code}");
        }
    };
    expect(vec![0, 1, 2, 6, 7, 504, 513, 514, 529, 530, 531], string);
    expect((508..=512).collect(), list);
    expect(vec![3, 4, 5, 9, 10, 11, 500, 501, 502, 506, 515, 516], boolean);
    expect(vec![518, 519, 520, 521, 523, 524, 527, 532, 536, 537, 539], boolean);
    expect(vec![556, 563, 565, 566, 572, 573, 574, 575, 576], boolean);
    expect(vec![8, 100, 101, 503, 505, 507, 522, 525, 526, 528], bitmask);
    expect(vec![533, 534, 535, 538, 540, 564, 567, 568, 569, 570, 571], bitmask);
    expect((541..=555).chain(557..=562).collect(), bigint);
    expect(vec![517], map);
    assert_eq!(expected.len(), 91);

    let info = sql_info::build(None).unwrap();
    let all = info.record_batch(std::iter::empty()).unwrap();
    let codes = all.column(0).as_primitive::<UInt32Type>();
    let values = all.column(1).as_union();
    let found: BTreeMap<u32, i8> =
        (0..all.num_rows()).map(|row| (codes.value(row), values.type_id(row))).collect();
    assert_eq!(found, expected);

    // Asked for some, answers those; an unknown code is left out.
    assert_eq!(info.record_batch([0, 8, 99_999]).unwrap().num_rows(), 2);
}

#[test]
fn every_column_type_has_its_row_in_type_info() {
    use kalamdb_commons::{ColumnType, TimePrecision};
    let types = type_info::build().unwrap().record_batch(None).unwrap();
    let names = column(&types, "type_name");
    let all = [
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
        ColumnType::Decimal { precision: 5, scale: 1 },
        ColumnType::Text,
        ColumnType::Bytes,
        ColumnType::Date,
        ColumnType::Time,
        ColumnType::Timestamp { precision: TimePrecision::Nanos, utc: false },
        ColumnType::timestamptz(),
        ColumnType::Interval,
        ColumnType::Uuid,
        ColumnType::Json,
        ColumnType::List(Box::new(ColumnType::Int8)),
        ColumnType::Struct(vec![]),
        ColumnType::Embedding(3),
    ];
    assert_eq!(names.len(), all.len());
    for column_type in all {
        let name = type_names::base_name(&column_type);
        assert!(names.iter().any(|listed| listed == name), "{name}");
    }
}

#[test]
fn table_filters_are_like_patterns_and_exact_types() {
    let all = [
        table("app", "my_table", TableKind::Table, &[]),
        table("app", "myXtable", TableKind::Table, &[]),
        table("system", "users", TableKind::SystemTable, &[]),
    ];
    let names =
        |command: CommandGetTables| column(&tables::tables(&command, &all).unwrap(), "table_name");
    let text = |value: &str| Some(value.to_owned());
    let any = CommandGetTables::default();
    assert_eq!(names(any.clone()), ["myXtable", "my_table", "users"]);
    let pattern =
        |value| CommandGetTables { table_name_filter_pattern: text(value), ..any.clone() };
    assert_eq!(names(pattern("my_table")), ["myXtable", "my_table"]);
    assert_eq!(names(pattern("my\\_table")), ["my_table"]);
    assert_eq!(names(pattern("MY%")), Vec::<String>::new());
    let schema = |value| CommandGetTables { db_schema_filter_pattern: text(value), ..any.clone() };
    assert_eq!(names(schema("sys%")), ["users"]);
    assert_eq!(names(schema("")), Vec::<String>::new());
    let types =
        CommandGetTables { table_types: vec!["SYSTEM TABLE".into(), "VIEW".into()], ..any.clone() };
    assert_eq!(names(types), ["users"]);
    let catalog = |value| CommandGetTables { catalog: text(value), ..any.clone() };
    assert_eq!(names(catalog("kalam")).len(), 3);
    assert_eq!(names(catalog("")).len(), 0);
    assert_eq!(names(catalog("other")).len(), 0);
}

#[test]
fn table_schemas_are_encapsulated_and_annotated() {
    let all = [table("app", "t", TableKind::Table, &["id"])];
    let command = CommandGetTables { include_schema: true, ..Default::default() };
    let batch = tables::tables(&command, &all).unwrap();
    let bytes = batch.column_by_name("table_schema").unwrap().as_binary::<i32>().value(0).to_vec();
    assert_eq!(bytes[..4], [0xff; 4], "continuation marker");
    let schema = Schema::try_from(IpcMessage(bytes.into())).unwrap();
    let metadata =
        |position: usize| -> HashMap<String, String> { schema.field(position).metadata().clone() };
    let key = |name: &str| format!("ARROW:FLIGHT:SQL:{name}");
    assert!(!schema.field(0).is_nullable());
    assert_eq!(metadata(0)[&key("TYPE_NAME")], "BIGINT");
    assert_eq!(metadata(0)[&key("REMARKS")], "the key");
    assert_eq!(metadata(1)[&key("TYPE_NAME")], "DECIMAL");
    assert_eq!(metadata(1)[&key("PRECISION")], "10");
    assert_eq!(metadata(1)[&key("SCALE")], "2");
    for name in ["DB_SCHEMA_NAME", "SCHEMA_NAME"] {
        assert_eq!(metadata(1)[&key(name)], "app");
    }
}

#[test]
fn primary_keys_come_in_key_order() {
    let all = [
        table("app", "t", TableKind::Table, &["price", "id"]),
        table("app", "other", TableKind::Table, &["id"]),
    ];
    let command = CommandGetPrimaryKeys { table: "t".into(), ..Default::default() };
    let batch = keys::primary_keys(&command, &all).unwrap();
    assert_eq!(column(&batch, "column_name"), ["price", "id"]);
    let elsewhere =
        CommandGetPrimaryKeys { db_schema: Some("x".into()), table: "t".into(), catalog: None };
    assert_eq!(keys::primary_keys(&elsewhere, &all).unwrap().num_rows(), 0);
}
