//! The WITH (…) options of CREATE TABLE.

use std::collections::HashSet;

use datafusion::sql::sqlparser::tokenizer::Token;
use kalamdb_commons::{
    AccessLevel, Compression, Durability, FlushPolicy, SqlState, TableOptions, TableType,
};

use crate::error::{ObjectKind, SqlError};
use crate::parse::names::unknown_word;
use crate::parse::reader::Reader;
use crate::parse::stream_tables;

/// Every option there is.
const OPTIONS: [&str; 8] = [
    "type",
    "access_level",
    "durability",
    "deleted_retention_hours",
    "ttl_seconds",
    "max_rows",
    "flush_policy",
    "compression",
];

/// Options known from elsewhere or to come, refused by name rather than as typos.
const NOT_OFFERED: [&str; 6] = [
    "storage_id",
    "use_user_storage",
    "eviction_strategy",
    "max_stream_size_bytes",
    "retention",
    "deleted_retention",
];

/// Those of them that are about files.
const OF_FILES: [&str; 4] = ["flush_policy", "storage_id", "use_user_storage", "compression"];

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

impl WrittenOptions {
    /// Options of a table whose type the statement has said already, if it has.
    pub(crate) fn of(table_type: Option<TableType>) -> Self {
        Self { table_type, ..Self::default() }
    }

    /// The options written, in lower case, by name.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.seen.iter().cloned().collect();
        names.sort_unstable();
        names
    }

    /// True when the option (in lower case) is written.
    pub(crate) fn is_written(&self, option: &str) -> bool {
        self.seen.contains(option)
    }
}

/// `(name = value, …)`, after WITH.
pub(crate) fn with_options(
    reader: &mut Reader<'_>,
    written: &mut WrittenOptions,
) -> Result<(), SqlError> {
    reader.expect(&Token::LParen)?;
    loop {
        let position = reader.position();
        let name = reader.name_or_string("an option")?.to_lowercase();
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
                "stream" => TableType::Stream,
                _ => return Err(wrong(name, value, "'shared', 'user' or 'stream'")),
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
        "ttl_seconds" => {
            written.options.ttl_seconds =
                Some(number(name, value, stream_tables::TTL_SECONDS_MAX)?);
        }
        "max_rows" => {
            written.options.max_rows = Some(number(name, value, stream_tables::MAX_ROWS_MAX)?);
        }
        other if OF_FILES.contains(&other) && written.table_type == Some(TableType::Stream) => {
            return Err(stream_tables::no_files(other));
        }
        "flush_policy" => written.options.flush_policy = Some(flush_policy(value)?),
        "compression" => {
            let named = |known: &&Compression| known.as_str().eq_ignore_ascii_case(value);
            let Some(known) = Compression::ALL.iter().find(named) else {
                return Err(wrong(name, value, "'none', 'snappy' or 'zstd'"));
            };
            written.options.compression = Some(*known);
        }
        "storage_id" | "use_user_storage" => {
            let advice = "there is one storage, the data directory; leave the option out";
            return Err(SqlError::unsupported(format!("the option {name}"), advice));
        }
        other if NOT_OFFERED.contains(&other) => {
            let advice = format!("the options are {}", OPTIONS.join(", "));
            return Err(SqlError::unsupported(format!("the option {other}"), advice));
        }
        other => return Err(unknown_word(ObjectKind::Option, other, OPTIONS)),
    }
    Ok(())
}

/// A whole number from 1 on.
fn number(name: &str, value: &str, greatest: u64) -> Result<u64, SqlError> {
    match value.parse() {
        Ok(number) if (1..=greatest).contains(&number) => Ok(number),
        _ => Err(wrong(name, value, &format!("a whole number from 1 to {greatest}"))),
    }
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

/// `rows:10000,interval:300,bytes:67108864`, at least one of them.
fn flush_policy(value: &str) -> Result<FlushPolicy, SqlError> {
    let refused = || {
        wrong(
            "flush_policy",
            value,
            "'rows:<n>', 'interval:<seconds>', 'bytes:<n>' or several of \
                                      them with commas between, each number from 1",
        )
    };
    let mut policy = FlushPolicy::default();
    for part in value.split(',') {
        let (name, number) = part.split_once(':').ok_or_else(refused)?;
        let bound = match name.trim().to_ascii_lowercase().as_str() {
            "rows" => &mut policy.rows,
            "interval" => &mut policy.interval_seconds,
            "bytes" => &mut policy.bytes,
            _ => return Err(refused()),
        };
        let number = number.trim().parse().ok().filter(|number| *number > 0);
        let number: u64 = number.ok_or_else(refused)?;
        if bound.replace(number).is_some() {
            return Err(refused());
        }
    }
    Ok(policy)
}

fn wrong(option: &str, value: &str, right: &str) -> SqlError {
    let shown: String = value.chars().take(64).flat_map(char::escape_debug).collect();
    SqlError::coded(
        SqlState::InvalidParameterValue,
        format!("the option {option} cannot be '{shown}', use {right}"),
    )
}
