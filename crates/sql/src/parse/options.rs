//! The WITH (…) options of CREATE TABLE.

use std::collections::HashSet;

use datafusion::sql::sqlparser::tokenizer::Token;
use kalamdb_commons::{AccessLevel, Durability, SqlState, TableOptions, TableType};

use crate::error::{ObjectKind, SqlError};
use crate::parse::names::unknown_word;
use crate::parse::reader::Reader;

/// Every option there is.
const OPTIONS: [&str; 4] = ["type", "access_level", "durability", "deleted_retention_hours"];

/// Options known from elsewhere or to come, refused by name rather than as typos.
const NOT_OFFERED: [&str; 9] = [
    "ttl_seconds",
    "flush_policy",
    "storage_id",
    "use_user_storage",
    "compression",
    "eviction_strategy",
    "max_stream_size_bytes",
    "retention",
    "deleted_retention",
];

/// Milliseconds between two syncs of a table with `durability = 'interval:…'`.
const INTERVAL_MS_MAX: u32 = 60_000;
/// Hours a deleted row may be kept: a hundred years.
const RETENTION_HOURS_MAX: u32 = 100 * 366 * 24;

/// The options as written.
#[derive(Default)]
pub(crate) struct WrittenOptions {
    pub(crate) options: TableOptions,
    pub(crate) table_type: Option<TableType>,
    pub(crate) access_level_written: bool,
    seen: HashSet<String>,
}

/// `(name = value, …)`, after WITH.
pub(crate) fn with_options(
    reader: &mut Reader<'_>,
    written: &mut WrittenOptions,
) -> Result<(), SqlError> {
    reader.expect(&Token::LParen)?;
    loop {
        let position = reader.position();
        let name = reader.name("an option")?.to_lowercase();
        reader.expect(&Token::Eq)?;
        let value = value(reader)?;
        if !written.seen.insert(name.clone()) {
            return Err(SqlError::invalid(format!("the option {name} is given twice")).at(position));
        }
        apply(&name, &value, written).map_err(|error| error.at(position))?;
        if !reader.eat(&Token::Comma) {
            break;
        }
    }
    reader.expect(&Token::RParen)
}

/// A string, a number or a word, as text.
fn value(reader: &mut Reader<'_>) -> Result<String, SqlError> {
    if matches!(reader.peek(), Token::Number(..)) {
        return Ok(reader.number("a whole number")?.to_string());
    }
    reader.name_or_string("a value")
}

fn apply(name: &str, value: &str, written: &mut WrittenOptions) -> Result<(), SqlError> {
    match name {
        "type" => {
            written.table_type = Some(match value.to_ascii_lowercase().as_str() {
                "shared" => TableType::Shared,
                "user" => TableType::User,
                "stream" => return Err(stream_refused()),
                _ => return Err(wrong(name, value, "'shared' or 'user'")),
            });
        }
        "access_level" => {
            written.access_level_written = true;
            written.options.access_level = match value.to_ascii_lowercase().as_str() {
                "public" => AccessLevel::Public,
                "private" => AccessLevel::Private,
                "restricted" => AccessLevel::Restricted,
                _ => return Err(wrong(name, value, "'public', 'private' or 'restricted'")),
            };
        }
        "durability" => written.options.durability = durability(value)?,
        "deleted_retention_hours" => {
            written.options.deleted_retention_hours = match value.parse() {
                Ok(hours) if hours <= RETENTION_HOURS_MAX => hours,
                _ => {
                    let right = format!("a whole number of hours up to {RETENTION_HOURS_MAX}");
                    return Err(wrong(name, value, &right));
                }
            };
        }
        other if NOT_OFFERED.contains(&other) => {
            let advice = format!("the options are {}", OPTIONS.join(", "));
            return Err(SqlError::unsupported(format!("the option {other}"), advice));
        }
        other => return Err(unknown_word(ObjectKind::Option, other, OPTIONS)),
    }
    Ok(())
}

/// `sync` and `interval:100ms`.
fn durability(value: &str) -> Result<Durability, SqlError> {
    let lower = value.to_ascii_lowercase();
    if lower == "sync" {
        return Ok(Durability::Sync);
    }
    let milliseconds =
        lower.strip_prefix("interval:").map(|text| text.trim_end_matches("ms").trim());
    match milliseconds.and_then(|text| text.parse().ok()) {
        Some(interval_ms @ 1..=INTERVAL_MS_MAX) => Ok(Durability::Interval { interval_ms }),
        _ => {
            let right = format!("'sync' or 'interval:<1 to {INTERVAL_MS_MAX}>ms'");
            Err(wrong("durability", value, &right))
        }
    }
}

fn wrong(option: &str, value: &str, right: &str) -> SqlError {
    let shown: String = value.chars().take(64).flat_map(char::escape_debug).collect();
    SqlError::coded(
        SqlState::InvalidParameterValue,
        format!("the option {option} cannot be '{shown}', use {right}"),
    )
}

pub(crate) fn stream_refused() -> SqlError {
    SqlError::unsupported("a STREAM table", "use a SHARED or USER table")
}
