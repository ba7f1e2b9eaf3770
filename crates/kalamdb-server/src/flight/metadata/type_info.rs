//! GetXdbcTypeInfo: one row for each SQL type.

use arrow_flight::error::Result;
use arrow_flight::sql::metadata::{XdbcTypeInfo, XdbcTypeInfoData, XdbcTypeInfoDataBuilder};
use arrow_flight::sql::{Nullable, Searchable, XdbcDataType, XdbcDatetimeSubcode};

/// Characters a text may have, as far as drivers are concerned.
const TEXT_CHARACTERS_MAX: i32 = i32::MAX;

/// The types in the order they are declared; the builder sorts them as the protocol wants.
pub(super) fn build() -> Result<XdbcTypeInfoData> {
    let mut builder = XdbcTypeInfoDataBuilder::new();
    let types = numbers().into_iter().chain(texts()).chain(times()).chain(others());
    for info in types {
        builder.append(info);
    }
    builder.build()
}

fn base(name: &str, data_type: XdbcDataType, column_size: Option<i32>) -> XdbcTypeInfo {
    XdbcTypeInfo {
        type_name: name.to_owned(),
        data_type,
        column_size,
        nullable: Nullable::NullabilityNullable,
        case_sensitive: false,
        searchable: Searchable::Full,
        local_type_name: Some(name.to_owned()),
        sql_data_type: data_type,
        ..XdbcTypeInfo::default()
    }
}

fn numbers() -> Vec<XdbcTypeInfo> {
    let integer = |name, data_type, digits, unsigned| XdbcTypeInfo {
        unsigned_attribute: Some(unsigned),
        auto_increment: Some(false),
        minimum_scale: Some(0),
        maximum_scale: Some(0),
        num_prec_radix: Some(10),
        ..base(name, data_type, Some(digits))
    };
    let float = |name, data_type, bits| XdbcTypeInfo {
        unsigned_attribute: Some(false),
        auto_increment: Some(false),
        num_prec_radix: Some(2),
        ..base(name, data_type, Some(bits))
    };
    vec![
        base("BOOLEAN", XdbcDataType::XdbcBit, Some(1)),
        integer("TINYINT", XdbcDataType::XdbcTinyint, 3, false),
        integer("SMALLINT", XdbcDataType::XdbcSmallint, 5, false),
        integer("INT", XdbcDataType::XdbcInteger, 10, false),
        integer("BIGINT", XdbcDataType::XdbcBigint, 19, false),
        integer("TINYINT UNSIGNED", XdbcDataType::XdbcTinyint, 3, true),
        integer("SMALLINT UNSIGNED", XdbcDataType::XdbcSmallint, 5, true),
        integer("INT UNSIGNED", XdbcDataType::XdbcInteger, 10, true),
        integer("BIGINT UNSIGNED", XdbcDataType::XdbcBigint, 20, true),
        float("REAL", XdbcDataType::XdbcReal, 24),
        float("DOUBLE", XdbcDataType::XdbcDouble, 53),
        XdbcTypeInfo {
            create_params: Some(vec!["precision".to_owned(), "scale".to_owned()]),
            unsigned_attribute: Some(false),
            auto_increment: Some(false),
            minimum_scale: Some(0),
            maximum_scale: Some(38),
            num_prec_radix: Some(10),
            ..base("DECIMAL", XdbcDataType::XdbcDecimal, Some(38))
        },
    ]
}

fn texts() -> Vec<XdbcTypeInfo> {
    let quoted = |name, data_type, prefix: &str, size| XdbcTypeInfo {
        literal_prefix: Some(prefix.to_owned()),
        literal_suffix: Some("'".to_owned()),
        ..base(name, data_type, Some(size))
    };
    vec![
        XdbcTypeInfo {
            case_sensitive: true,
            ..quoted("TEXT", XdbcDataType::XdbcVarchar, "'", TEXT_CHARACTERS_MAX)
        },
        XdbcTypeInfo {
            case_sensitive: true,
            ..quoted("JSON", XdbcDataType::XdbcLongvarchar, "'", TEXT_CHARACTERS_MAX)
        },
        quoted("BYTES", XdbcDataType::XdbcVarbinary, "X'", TEXT_CHARACTERS_MAX),
        quoted("UUID", XdbcDataType::XdbcBinary, "'", 16),
    ]
}

fn times() -> Vec<XdbcTypeInfo> {
    let time = |name, data_type, prefix: &str, size, subcode, fraction: i32| XdbcTypeInfo {
        literal_prefix: Some(prefix.to_owned()),
        literal_suffix: Some("'".to_owned()),
        minimum_scale: Some(0),
        maximum_scale: Some(fraction),
        sql_data_type: XdbcDataType::XdbcDatetime,
        datetime_subcode: Some(subcode),
        ..base(name, data_type, Some(size))
    };
    // The protocol calls the subcode of dates "year"; its number is the one of SQL dates.
    let date = XdbcDatetimeSubcode::XdbcSubcodeYear;
    let zoned = XdbcDatetimeSubcode::XdbcSubcodeTimestampWithTimezone;
    vec![
        time("DATE", XdbcDataType::XdbcDate, "DATE '", 10, date, 0),
        time("TIME", XdbcDataType::XdbcTime, "TIME '", 15, XdbcDatetimeSubcode::XdbcSubcodeTime, 6),
        time(
            "TIMESTAMP",
            XdbcDataType::XdbcTimestamp,
            "TIMESTAMP '",
            29,
            XdbcDatetimeSubcode::XdbcSubcodeTimestamp,
            9,
        ),
        time("TIMESTAMPTZ", XdbcDataType::XdbcTimestamp, "TIMESTAMPTZ '", 35, zoned, 9),
        XdbcTypeInfo {
            literal_prefix: Some("INTERVAL '".to_owned()),
            literal_suffix: Some("'".to_owned()),
            ..base("INTERVAL", XdbcDataType::XdbcInterval, None)
        },
    ]
}

fn others() -> Vec<XdbcTypeInfo> {
    let nested = |name| XdbcTypeInfo {
        searchable: Searchable::None,
        ..base(name, XdbcDataType::XdbcUnknownType, None)
    };
    vec![
        nested("ARRAY"),
        nested("STRUCT"),
        XdbcTypeInfo { create_params: Some(vec!["dimensions".to_owned()]), ..nested("EMBEDDING") },
    ]
}
