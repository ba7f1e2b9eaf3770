//! The names of column types, aliases of other systems included.

use std::collections::HashSet;

use datafusion::sql::sqlparser::ast::DataType as AstType;
use datafusion::sql::sqlparser::tokenizer::Token;
use kalamdb_commons::limits::{EMBEDDING_DIMENSIONS_MAX, TYPE_DEPTH_MAX};
use kalamdb_commons::{ColumnType, StructField, TimePrecision, TypeError, intern};

use crate::error::{ObjectKind, SqlError};
use crate::parse::dialect::KalamDialect;
use crate::parse::names::{check_new_name, unknown_word};
use crate::parse::reader::{Reader, is_word};
use crate::parse::split::split;

/// DECIMAL without digits.
const DECIMAL_DEFAULT: (u8, i8) = (38, 10);

/// Types that take nothing in brackets.
const PLAIN: &[(&str, ColumnType)] = &[
    ("BIGINT", ColumnType::Int64),
    ("BLOB", ColumnType::Bytes),
    ("BOOL", ColumnType::Boolean),
    ("BOOLEAN", ColumnType::Boolean),
    ("BPCHAR", ColumnType::Text),
    ("BYTEA", ColumnType::Bytes),
    ("BYTES", ColumnType::Bytes),
    ("CLOB", ColumnType::Text),
    ("DATE", ColumnType::Date),
    ("DATE32", ColumnType::Date),
    ("FLOAT32", ColumnType::Float32),
    ("FLOAT4", ColumnType::Float32),
    ("FLOAT64", ColumnType::Float64),
    ("FLOAT8", ColumnType::Float64),
    ("INT1", ColumnType::Int8),
    ("INT16", ColumnType::Int16),
    ("INT2", ColumnType::Int16),
    ("INT32", ColumnType::Int32),
    ("INT4", ColumnType::Int32),
    ("INT64", ColumnType::Int64),
    ("INT8", ColumnType::Int64),
    ("INTERVAL", ColumnType::Interval),
    ("JSON", ColumnType::Json),
    ("JSONB", ColumnType::Json),
    ("LONGTEXT", ColumnType::Text),
    ("MEDIUMTEXT", ColumnType::Text),
    ("REAL", ColumnType::Float32),
    ("STRING", ColumnType::Text),
    ("TEXT", ColumnType::Text),
    ("TINYTEXT", ColumnType::Text),
    ("UBIGINT", ColumnType::UInt64),
    ("UINT16", ColumnType::UInt16),
    ("UINT32", ColumnType::UInt32),
    ("UINT64", ColumnType::UInt64),
    ("UINTEGER", ColumnType::UInt32),
    ("USMALLINT", ColumnType::UInt16),
    ("UTINYINT", ColumnType::UInt8),
    ("UUID", ColumnType::Uuid),
    // The bracketed number is the greatest length.
    ("BINARY", ColumnType::Bytes),
    ("VARBINARY", ColumnType::Bytes),
    ("CHAR", ColumnType::Text),
    ("CHARACTER", ColumnType::Text),
    ("NCHAR", ColumnType::Text),
    ("NVARCHAR", ColumnType::Text),
    ("VARCHAR", ColumnType::Text),
    // The bracketed number is a display width, and bounds nothing.
    ("INT", ColumnType::Int32),
    ("INTEGER", ColumnType::Int32),
    ("SMALLINT", ColumnType::Int16),
    ("TINYINT", ColumnType::Int8),
];

/// Types read by their own rule.
const SPECIAL: &[&str] = &[
    "ARRAY",
    "DATETIME",
    "DEC",
    "DECIMAL",
    "DOUBLE",
    "EMBEDDING",
    "FLOAT",
    "LIST",
    "MAP",
    "MEDIUMINT",
    "NUMERIC",
    "ROW",
    "STRUCT",
    "TIME",
    "TIMESTAMP",
    "TIMESTAMPTZ",
    "TIMESTAMP_MS",
    "TIMESTAMP_NS",
    "TIMESTAMP_S",
    "TIMESTAMP_US",
    "VECTOR",
    "BIGSERIAL",
    "SERIAL",
    "SERIAL8",
];

/// Types of other systems that no column can have, and what to use.
const REFUSED: &[(&str, &str)] = &[
    ("BIT", "use BOOLEAN, or BYTES for many"),
    ("ENUM", "use TEXT with CHECK (column IN ('one', 'another'))"),
    ("HUGEINT", "integers have up to 64 bits, use DECIMAL(38, 0)"),
    ("INT128", "integers have up to 64 bits, use DECIMAL(38, 0)"),
    ("MAP", "use JSON, or STRUCT(key …, value …)[]"),
    ("MONEY", "use DECIMAL(19, 4)"),
    ("SERIAL2", "generated numbers have 64 bits, use BIGSERIAL"),
    ("SMALLSERIAL", "generated numbers have 64 bits, use BIGSERIAL"),
    ("TIMETZ", "a time of day has no date its zone could be found by, use TIME or TIMESTAMPTZ"),
    ("UHUGEINT", "integers have up to 64 bits, use DECIMAL(38, 0)"),
    ("UINT128", "integers have up to 64 bits, use DECIMAL(38, 0)"),
    ("UINT8", "use TINYINT UNSIGNED (8 bits) or BIGINT UNSIGNED (8 bytes)"),
    ("UNION", "use JSON, or a STRUCT with a field for each alternative"),
    ("XML", "use TEXT"),
];

/// The names suggested first.
const USUAL: [&str; 8] = ["INT", "TEXT", "BOOLEAN", "DATE", "DOUBLE", "BIGINT", "BYTES", "REAL"];

/// A type read from text, as CREATE TABLE reads it.
pub fn parse_column_type(text: &str) -> Result<ColumnType, SqlError> {
    let mut parts = split(text)?;
    let (Some(part), true) = (parts.pop(), parts.is_empty()) else {
        return Err(SqlError::invalid("one type is expected"));
    };
    let dialect = KalamDialect::for_tokens(part.tokens.len());
    let mut reader = Reader::new(&dialect, part.tokens);
    let column_type = column_type(&mut reader)?;
    reader.expect_end()?;
    Ok(column_type)
}

/// The column type that a type in an expression (`CAST(x AS …)`) names.
pub fn column_type_from_ast(data_type: &AstType) -> Result<ColumnType, SqlError> {
    parse_column_type(&data_type.to_string())
}

/// A type at the reader. Lengths in it bound nothing: CAST does not cut values off.
pub(crate) fn column_type(reader: &mut Reader<'_>) -> Result<ColumnType, SqlError> {
    Ok(read_type(reader)?.0)
}

/// The type of a column at the reader, and the greatest length of its values.
pub(crate) fn declared_type(
    reader: &mut Reader<'_>,
) -> Result<(ColumnType, Option<u32>), SqlError> {
    let position = reader.position();
    let (column_type, lengths) = read_type(reader)?;
    match (&column_type, lengths.as_slice()) {
        (_, []) => Ok((column_type, None)),
        (ColumnType::Text | ColumnType::Bytes, [length]) => Ok((column_type, Some(*length))),
        _ => Err(SqlError::unsupported(
            "a length inside a type",
            "leave it out, or bound the values by CHECK",
        )
        .at(position)),
    }
}

/// A type, and the lengths that stand in it.
fn read_type(reader: &mut Reader<'_>) -> Result<(ColumnType, Vec<u32>), SqlError> {
    let position = reader.position();
    let mut angles = Angles::default();
    let column_type = type_at_depth(reader, 0, &mut angles).map_err(|error| error.at(position))?;
    if angles.owed {
        return Err(SqlError::Syntax { message: "unexpected '>>' in a type".to_owned(), position });
    }
    Ok((column_type, angles.lengths))
}

/// What is remembered while a type is read.
#[derive(Default)]
struct Angles {
    /// `>>` closes two types at once: the second closing is still owed.
    owed: bool,
    /// Lengths of texts and bytes so far.
    lengths: Vec<u32>,
}

impl Angles {
    fn close(&mut self, reader: &mut Reader<'_>) -> Result<(), SqlError> {
        if std::mem::take(&mut self.owed) {
            return Ok(());
        }
        if reader.eat(&Token::ShiftRight) {
            self.owed = true;
            return Ok(());
        }
        reader.expect(&Token::Gt)
    }
}

fn type_at_depth(
    reader: &mut Reader<'_>,
    depth: usize,
    angles: &mut Angles,
) -> Result<ColumnType, SqlError> {
    if depth > TYPE_DEPTH_MAX {
        return Err(reader.unsupported(
            &format!("a type nested more than {TYPE_DEPTH_MAX} deep"),
            "use fewer levels",
        ));
    }
    let mut column_type = base_type(reader, depth, angles)?;
    let mut lists = 0;
    while !angles.owed && (reader.eat(&Token::LBracket) || reader.eat_word("ARRAY")) {
        // The word ARRAY behaves as `[]`; a length between brackets bounds nothing.
        if matches!(reader.peek(), Token::Number(..)) {
            if column_type != ColumnType::Float32 {
                return Err(reader.unsupported(
                    "a list of fixed length",
                    "use T[], for REAL also REAL[n] or EMBEDDING(n)",
                ));
            }
            column_type = embedding_of(reader.number("the number of items")?)?;
            reader.expect(&Token::RBracket)?;
            continue;
        }
        reader.eat(&Token::RBracket);
        lists += 1;
        if depth + lists > TYPE_DEPTH_MAX {
            return Err(reader.unsupported(
                &format!("a type nested more than {TYPE_DEPTH_MAX} deep"),
                "use fewer levels",
            ));
        }
        column_type = ColumnType::List(Box::new(column_type));
    }
    Ok(column_type)
}

fn base_type(
    reader: &mut Reader<'_>,
    depth: usize,
    angles: &mut Angles,
) -> Result<ColumnType, SqlError> {
    let Some(word) = reader.peek_any_word() else { return Err(reader.expected("a type")) };
    let unknown = || unknown_type(&word);
    if let Some((_, plain)) = PLAIN.iter().find(|(name, _)| *name == word) {
        reader.next();
        return sized(reader, plain.clone(), angles);
    }
    if let Some((name, advice)) = REFUSED.iter().find(|(name, _)| *name == word) {
        return Err(SqlError::unsupported(*name, *advice));
    }
    if !SPECIAL.contains(&word.as_str()) {
        return Err(unknown());
    }
    reader.next();
    match word.as_str() {
        "MEDIUMINT" => sized(reader, ColumnType::Int32, angles),
        "DOUBLE" => {
            reader.eat_word("PRECISION");
            Ok(ColumnType::Float64)
        }
        "FLOAT" => float(reader),
        "DECIMAL" | "NUMERIC" | "DEC" => decimal(reader),
        "TIME" => time(reader),
        "TIMESTAMP" | "TIMESTAMPTZ" | "DATETIME" => timestamp(reader, word == "TIMESTAMPTZ"),
        "TIMESTAMP_S" => Ok(without_zone(TimePrecision::Seconds)),
        "TIMESTAMP_MS" => Ok(without_zone(TimePrecision::Millis)),
        "TIMESTAMP_US" => Ok(without_zone(TimePrecision::Micros)),
        "TIMESTAMP_NS" => Ok(without_zone(TimePrecision::Nanos)),
        "EMBEDDING" | "VECTOR" => embedding(reader),
        "ARRAY" | "LIST" if reader.eat(&Token::LParen) => {
            let item = type_at_depth(reader, depth + 1, angles)?;
            reader.expect(&Token::RParen)?;
            Ok(ColumnType::List(Box::new(item)))
        }
        "ARRAY" | "LIST" => {
            reader.expect(&Token::Lt)?;
            let item = type_at_depth(reader, depth + 1, angles)?;
            angles.close(reader)?;
            Ok(ColumnType::List(Box::new(item)))
        }
        "STRUCT" | "ROW" => structure(reader, depth, angles),
        "SERIAL" | "BIGSERIAL" | "SERIAL8" => Err(SqlError::unsupported(
            format!("{word} inside a type"),
            "it is a column's type only",
        )),
        _ => Err(unknown()),
    }
}

fn unknown_type(word: &str) -> SqlError {
    let others = PLAIN.iter().map(|(name, _)| *name).chain(SPECIAL.iter().copied());
    unknown_word(ObjectKind::Type, word, USUAL.into_iter().chain(others))
}

/// A length after text and binary types, a display width and UNSIGNED after integers.
fn sized(
    reader: &mut Reader<'_>,
    column_type: ColumnType,
    angles: &mut Angles,
) -> Result<ColumnType, SqlError> {
    match column_type {
        ColumnType::Text | ColumnType::Bytes => {
            reader.eat_word("VARYING");
            length(reader, angles)?;
            reader.eat_word("VARYING");
            Ok(column_type)
        }
        ColumnType::Int8 | ColumnType::Int16 | ColumnType::Int32 | ColumnType::Int64 => {
            bracketed_number(reader)?;
            if !reader.eat_word("UNSIGNED") {
                reader.eat_word("SIGNED");
                return Ok(column_type);
            }
            Ok(match column_type {
                ColumnType::Int8 => ColumnType::UInt8,
                ColumnType::Int16 => ColumnType::UInt16,
                ColumnType::Int32 => ColumnType::UInt32,
                _ => ColumnType::UInt64,
            })
        }
        _ => Ok(column_type),
    }
}

/// `(n)` or `(MAX)` after a text or binary type.
fn length(reader: &mut Reader<'_>, angles: &mut Angles) -> Result<(), SqlError> {
    if matches!(reader.peek(), Token::LParen) && is_word(reader.peek_nth(1), "MAX") {
        reader.next();
        reader.next();
        return reader.expect(&Token::RParen);
    }
    let Some(length) = bracketed_number(reader)? else { return Ok(()) };
    match u32::try_from(length) {
        Ok(length @ 1..) => {
            angles.lengths.push(length);
            Ok(())
        }
        _ => Err(SqlError::Type(TypeError::OutOfRange {
            type_name: format!("the length {length}"),
            reason: format!("use 1 to {}", u32::MAX),
        })),
    }
}

/// `(n)`, when it comes next.
fn bracketed_number(reader: &mut Reader<'_>) -> Result<Option<u64>, SqlError> {
    if !reader.eat(&Token::LParen) {
        return Ok(None);
    }
    let number = reader.number("a number")?;
    reader.expect(&Token::RParen)?;
    Ok(Some(number))
}

/// `FLOAT[(p)]`: up to 24 binary digits are a REAL, up to 53 and any other a DOUBLE.
fn float(reader: &mut Reader<'_>) -> Result<ColumnType, SqlError> {
    const REAL_DIGITS_MAX: u64 = 24;
    const DOUBLE_DIGITS_MAX: u64 = 53;
    // `FLOAT[3]` is a vector, whose numbers are REAL.
    let of_vector =
        *reader.peek() == Token::LBracket && matches!(reader.peek_nth(1), Token::Number(..));
    match bracketed_number(reader)? {
        None if of_vector => Ok(ColumnType::Float32),
        Some(1..=REAL_DIGITS_MAX) => Ok(ColumnType::Float32),
        None | Some(25..=DOUBLE_DIGITS_MAX) => Ok(ColumnType::Float64),
        Some(digits) => Err(SqlError::Type(TypeError::OutOfRange {
            type_name: format!("FLOAT({digits})"),
            reason: format!("use 1 to {DOUBLE_DIGITS_MAX} binary digits"),
        })),
    }
}

/// `DECIMAL[(p[, s])]`.
fn decimal(reader: &mut Reader<'_>) -> Result<ColumnType, SqlError> {
    let (mut precision, mut scale) =
        (u64::from(DECIMAL_DEFAULT.0), u64::from(DECIMAL_DEFAULT.1.unsigned_abs()));
    if reader.eat(&Token::LParen) {
        precision = reader.number("the number of digits")?;
        scale = 0;
        if reader.eat(&Token::Comma) {
            if matches!(reader.peek(), Token::Minus) {
                return Err(reader.unsupported("a negative scale", "use a scale from 0"));
            }
            scale = reader.number("the digits after the point")?;
        }
        reader.expect(&Token::RParen)?;
    }
    let precision = u8::try_from(precision).unwrap_or(u8::MAX);
    let scale = i8::try_from(scale).unwrap_or(i8::MAX);
    Ok(ColumnType::decimal(precision, scale)?)
}

/// `TIME[(p)] [WITHOUT TIME ZONE]`: microseconds, whatever the precision asks for up to that.
fn time(reader: &mut Reader<'_>) -> Result<ColumnType, SqlError> {
    const TIME_DIGITS_MAX: u64 = 6;
    if let Some(digits) = bracketed_number(reader)?
        && digits > TIME_DIGITS_MAX
    {
        return Err(SqlError::Type(TypeError::OutOfRange {
            type_name: format!("TIME({digits})"),
            reason: format!("use 0 to {TIME_DIGITS_MAX} digits"),
        }));
    }
    if reader.eat_words(&["WITH", "TIME", "ZONE"]) {
        return Err(SqlError::unsupported("TIME WITH TIME ZONE", "use TIME or TIMESTAMPTZ"));
    }
    reader.eat_words(&["WITHOUT", "TIME", "ZONE"]);
    Ok(ColumnType::Time)
}

/// `TIMESTAMP[(p)] [WITH | WITHOUT TIME ZONE]` and `TIMESTAMPTZ[(p)]`.
fn timestamp(reader: &mut Reader<'_>, mut utc: bool) -> Result<ColumnType, SqlError> {
    let precision = match bracketed_number(reader)? {
        Some(0) => TimePrecision::Seconds,
        Some(3) => TimePrecision::Millis,
        None | Some(6) => TimePrecision::Micros,
        Some(9) => TimePrecision::Nanos,
        Some(digits) => {
            return Err(SqlError::Type(TypeError::OutOfRange {
                type_name: format!("TIMESTAMP({digits})"),
                reason: "use 0, 3, 6 or 9 digits".to_owned(),
            }));
        }
    };
    if reader.eat_words(&["WITH", "TIME", "ZONE"])
        || reader.eat_words(&["WITH", "LOCAL", "TIME", "ZONE"])
    {
        utc = true;
    } else {
        reader.eat_words(&["WITHOUT", "TIME", "ZONE"]);
    }
    Ok(ColumnType::Timestamp { precision, utc })
}

fn without_zone(precision: TimePrecision) -> ColumnType {
    ColumnType::Timestamp { precision, utc: false }
}

/// `EMBEDDING(n)`.
fn embedding(reader: &mut Reader<'_>) -> Result<ColumnType, SqlError> {
    embedding_of(bracketed_number(reader)?.ok_or_else(|| reader.expected("(dimensions)"))?)
}

fn embedding_of(dimensions: u64) -> Result<ColumnType, SqlError> {
    match u32::try_from(dimensions) {
        Ok(n) if (1..=EMBEDDING_DIMENSIONS_MAX).contains(&n) => Ok(ColumnType::Embedding(n)),
        _ => Err(SqlError::Type(TypeError::OutOfRange {
            type_name: format!("EMBEDDING({dimensions})"),
            reason: format!("use 1 to {EMBEDDING_DIMENSIONS_MAX} dimensions"),
        })),
    }
}

/// `STRUCT(name type [NOT NULL], …)` and `STRUCT<…>`, a colon after the name or not.
fn structure(
    reader: &mut Reader<'_>,
    depth: usize,
    angles: &mut Angles,
) -> Result<ColumnType, SqlError> {
    let angular = reader.eat(&Token::Lt);
    if !angular {
        reader.expect(&Token::LParen)?;
    }
    let mut fields: Vec<StructField> = Vec::new();
    let mut names = HashSet::new();
    loop {
        let name = reader.name("a field name")?;
        check_new_name(ObjectKind::Column, &name)?;
        reader.eat(&Token::Colon);
        let field_type = type_at_depth(reader, depth + 1, angles)?;
        let nullable = angles.owed || !reader.eat_words(&["NOT", "NULL"]);
        if !names.insert(name.clone()) {
            return Err(SqlError::invalid(format!(
                "the field '{name}' is named twice in a STRUCT, name each field once"
            )));
        }
        fields.push(StructField { name: intern(&name), field_type, nullable });
        if angles.owed || !reader.eat(&Token::Comma) {
            break;
        }
    }
    if angular {
        angles.close(reader)?;
    } else {
        reader.expect(&Token::RParen)?;
    }
    Ok(ColumnType::Struct(fields))
}
