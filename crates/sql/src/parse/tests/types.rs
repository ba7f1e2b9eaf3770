//! The names of types.

use datafusion::sql::sqlparser::ast::DataType;
use kalamdb_commons::{ColumnType, StructField, TimePrecision};

use crate::{column_type_from_ast, parse_column_type};

fn timestamp(precision: TimePrecision, utc: bool) -> ColumnType {
    ColumnType::Timestamp { precision, utc }
}

fn list(item: ColumnType) -> ColumnType {
    ColumnType::List(Box::new(item))
}

fn field(name: &str, field_type: ColumnType, nullable: bool) -> StructField {
    StructField { name: name.into(), field_type, nullable }
}

#[test]
fn type_aliases_mean_one_type_each() {
    use ColumnType::*;
    let cases: Vec<(ColumnType, &[&str])> = vec![
        (Boolean, &["BOOLEAN", "bool"]),
        (Int8, &["TINYINT", "INT1"]),
        (Int16, &["SMALLINT", "INT2", "INT16"]),
        (Int32, &["INT", "INTEGER", "INT4", "INT32", "MEDIUMINT", "INT(11)"]),
        (Int64, &["BIGINT", "INT8", "INT64", "BIGINT(20)"]),
        (UInt8, &["TINYINT UNSIGNED", "UTINYINT"]),
        (UInt16, &["SMALLINT UNSIGNED", "USMALLINT", "UINT16"]),
        (UInt32, &["INT UNSIGNED", "INTEGER UNSIGNED", "UINTEGER", "UINT32"]),
        (UInt64, &["BIGINT UNSIGNED", "UBIGINT", "UINT64"]),
        (Float32, &["REAL", "FLOAT4", "FLOAT(24)", "FLOAT32"]),
        (Float64, &["DOUBLE", "FLOAT", "DOUBLE PRECISION", "FLOAT8", "FLOAT(53)", "FLOAT64"]),
        (Decimal { precision: 38, scale: 10 }, &["DECIMAL", "NUMERIC", "DEC"]),
        (Decimal { precision: 5, scale: 0 }, &["DECIMAL(5)", "NUMERIC(5, 0)"]),
        (Decimal { precision: 12, scale: 2 }, &["DECIMAL(12,2)", "numeric(12, 2)"]),
        (
            Text,
            &[
                "TEXT",
                "STRING",
                "VARCHAR",
                "VARCHAR(10)",
                "CHAR(3)",
                "CHARACTER VARYING(5)",
                "NVARCHAR(5)",
                "CLOB",
                "BPCHAR",
                "VARCHAR(MAX)",
                "STRING(9)",
                "LONGTEXT",
            ],
        ),
        (Bytes, &["BYTES", "BYTEA", "BLOB", "BINARY(4)", "VARBINARY", "VARBINARY(10)"]),
        (Date, &["DATE"]),
        (Time, &["TIME", "TIME(6)", "TIME WITHOUT TIME ZONE"]),
        (
            timestamp(TimePrecision::Micros, false),
            &[
                "TIMESTAMP",
                "TIMESTAMP(6)",
                "TIMESTAMP WITHOUT TIME ZONE",
                "DATETIME",
                "TIMESTAMP_US",
            ],
        ),
        (
            timestamp(TimePrecision::Micros, true),
            &["TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE", "TIMESTAMP(6) WITH TIME ZONE"],
        ),
        (timestamp(TimePrecision::Seconds, false), &["TIMESTAMP(0)", "TIMESTAMP_S"]),
        (timestamp(TimePrecision::Millis, false), &["TIMESTAMP(3)", "TIMESTAMP_MS"]),
        (timestamp(TimePrecision::Nanos, true), &["TIMESTAMPTZ(9)"]),
        (Interval, &["INTERVAL"]),
        (Uuid, &["UUID"]),
        (Json, &["JSON", "JSONB"]),
        (Embedding(384), &["EMBEDDING(384)", "VECTOR(384)", "FLOAT[384]", "REAL[384]"]),
        (
            list(Int32),
            &["INT[]", "ARRAY<INT>", "LIST<INTEGER>", "INT ARRAY", "LIST(INT)", "ARRAY(INT)"],
        ),
        (list(list(Text)), &["TEXT[][]", "ARRAY<ARRAY<TEXT>>", "ARRAY<TEXT>[]", "ARRAY<TEXT[]>"]),
        (
            Struct(vec![field("a", Int32, true), field("B c", list(Text), false)]),
            &[
                "STRUCT(a INT, \"B c\" TEXT[] NOT NULL)",
                "STRUCT<A: INT, \"B c\": ARRAY<TEXT> NOT NULL>",
            ],
        ),
        (
            Struct(vec![field("a", Struct(vec![field("b", list(Uuid), true)]), true)]),
            &["STRUCT<a STRUCT<b ARRAY<UUID>>>", "STRUCT(a STRUCT(b UUID[]))"],
        ),
    ];
    for (expected, names) in cases {
        for name in names {
            assert_eq!(parse_column_type(name).unwrap(), expected, "{name}");
        }
        assert_eq!(parse_column_type(&expected.to_string()).unwrap(), expected, "{expected}");
    }
}

#[test]
fn impossible_types_are_refused() {
    for (name, part) in [
        ("DECIMAL(39, 0)", "1 to 38"),
        ("DECIMAL(5, 6)", "out of range"),
        ("DECIMAL(5, -1)", "a negative scale"),
        ("EMBEDDING", "expected (dimensions)"),
        ("EMBEDDING(0)", "use 1 to 8192 dimensions"),
        ("EMBEDDING(9000)", "use 1 to 8192 dimensions"),
        ("TIMESTAMP(4)", "use 0, 3, 6 or 9"),
        ("FLOAT(54)", "use 1 to 53"),
        ("TIME WITH TIME ZONE", "TIME WITH TIME ZONE is not supported"),
        ("INT[3]", "a list of fixed length"),
        ("MAP<INT, TEXT>", "MAP is not supported"),
        ("UINT8", "UINT8 is not supported"),
        ("HUGEINT", "HUGEINT is not supported, integers have up to 64 bits, use DECIMAL(38, 0)"),
        ("TIMETZ", "use TIME or TIMESTAMPTZ"),
        ("ENUM('a', 'b')", "use TEXT with CHECK"),
        ("MONEY", "use DECIMAL(19, 4)"),
        ("SMALLSERIAL", "use BIGSERIAL"),
        ("INT[3][]", "a list of fixed length"),
        ("REAL[0]", "use 1 to 8192 dimensions"),
        ("VARCHAR(0)", "use 1 to"),
        ("STRUCT()", "expected a field name"),
        ("STRUCT(a INT, a INT)", "named twice"),
        ("ARRAY<INT>>", "in a type"),
        ("ARRAY", "expected '<'"),
        ("VARCHER(10)", "did you mean 'VARCHAR'?"),
        ("GEOMETRY", "there is no type 'GEOMETRY'"),
    ] {
        let message = parse_column_type(name).unwrap_err().to_string();
        assert!(message.contains(part), "{name}: {message}");
    }
    for deep in ["INT".to_owned() + &"[]".repeat(17), "ARRAY<".repeat(17) + "INT" + &">".repeat(17)]
    {
        let message = parse_column_type(&deep).unwrap_err().to_string();
        assert!(message.contains("nested more than 16 deep"), "{message}");
    }
}

#[test]
fn types_of_casts_are_the_same_types() {
    for (ast, expected) in [
        (DataType::Int(None), ColumnType::Int32),
        (DataType::BigIntUnsigned(None), ColumnType::UInt64),
        (DataType::DoublePrecision, ColumnType::Float64),
        (DataType::Text, ColumnType::Text),
        (DataType::Bytea, ColumnType::Bytes),
        (DataType::JSON, ColumnType::Json),
        (DataType::Uuid, ColumnType::Uuid),
    ] {
        assert_eq!(column_type_from_ast(&ast).unwrap(), expected);
    }
    // Casts in queries may name every type of ours.
    for name in ["EMBEDDING(3)", "INT[]", "TIMESTAMPTZ", "TINYINT UNSIGNED", "JSON"] {
        let statement = super::statement(&format!("SELECT CAST(x AS {name})"));
        let crate::Statement::Query(query) = statement else { panic!() };
        let select = query.body.as_select().unwrap();
        let datafusion::sql::sqlparser::ast::SelectItem::UnnamedExpr(
            datafusion::sql::sqlparser::ast::Expr::Cast { data_type, .. },
        ) = &select.projection[0]
        else {
            panic!()
        };
        let expected = parse_column_type(name).unwrap();
        assert_eq!(column_type_from_ast(data_type).unwrap(), expected, "{name}");
    }
}
