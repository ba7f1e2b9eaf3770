//! What a table is: its columns, its key, its options.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow_schema::{Field, Schema, SchemaRef};
use serde::{Deserialize, Serialize};

use crate::{ColumnId, ColumnType, FillValue, NamespaceId, TableId, UserId};

/// Whose rows a table holds and how long they live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TableType {
    /// One set of rows for everybody.
    Shared,
    /// One partition per user: the same SQL returns each user's own rows.
    User,
    /// Short-lived, append-only events.
    Stream,
}

impl TableType {
    /// The name used in SQL and in system tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::User => "user",
            Self::Stream => "stream",
        }
    }
}

/// Who may read and write a SHARED table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccessLevel {
    /// Everybody reads; service and above write.
    Public,
    /// Service and above read and write.
    #[default]
    Private,
    /// Service and above read and write; listed to dba and above only.
    Restricted,
}

impl AccessLevel {
    /// The name used in SQL and in system tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "private",
            Self::Restricted => "restricted",
        }
    }
}

/// When a commit to the table is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// After fsync: what is visible is durable.
    #[default]
    Sync,
    /// At once; the log is synced every so many milliseconds. A machine that loses power may
    /// lose the last interval, never a commit in the middle.
    Interval {
        /// Milliseconds between two syncs.
        interval_ms: u32,
    },
}

/// How rows are compressed once they leave the hot tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Not at all.
    None,
    /// Snappy.
    Snappy,
    /// Zstandard.
    Zstd,
}

impl Compression {
    /// Every way there is.
    pub const ALL: [Self; 3] = [Self::None, Self::Snappy, Self::Zstd];

    /// The name used in SQL and in system tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Snappy => "snappy",
            Self::Zstd => "zstd",
        }
    }
}

/// When rows are to leave the hot tier: whichever bound is reached first. It is kept with the
/// table; nothing moves rows before there is a tier to move them to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct FlushPolicy {
    /// After so many rows.
    pub rows: Option<u64>,
    /// After so many seconds.
    pub interval_seconds: Option<u64>,
    /// After so many bytes.
    pub bytes: Option<u64>,
}

/// As the option is written: `rows:1000,interval:60,bytes:1048576`.
impl fmt::Display for FlushPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts =
            [("rows", self.rows), ("interval", self.interval_seconds), ("bytes", self.bytes)];
        let parts = parts.into_iter().filter_map(|(name, bound)| Some((name, bound?)));
        for (position, (name, bound)) in parts.enumerate() {
            let comma = if position == 0 { "" } else { "," };
            write!(f, "{comma}{name}:{bound}")?;
        }
        Ok(())
    }
}

/// A condition every row of a table meets, or is NULL for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CheckConstraint {
    /// Its name, unique in the table.
    pub name: String,
    /// The condition as SQL text.
    pub expression: String,
}

/// The WITH options of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TableOptions {
    /// Who may use a SHARED table.
    pub access_level: AccessLevel,
    /// When commits are acknowledged.
    pub durability: Durability,
    /// Hours a deleted row's last image is kept; 0 removes it at once.
    pub deleted_retention_hours: u32,
    /// Seconds a STREAM row lives.
    pub ttl_seconds: Option<u64>,
    /// When rows are to leave the hot tier.
    pub flush_policy: Option<FlushPolicy>,
    /// How rows are to be compressed outside the hot tier.
    pub compression: Option<Compression>,
    /// How many rows of a STREAM table are shown at most, the newest. Storage may hold an eighth
    /// more, or a thousand rows.
    pub max_rows: Option<u64>,
    /// Seconds in a time bucket of a STREAM table; storage depends on it: it never changes.
    pub bucket_seconds: Option<u32>,
}

/// Hours a deleted row is kept unless the table says otherwise.
const DELETED_RETENTION_HOURS_DEFAULT: u32 = 168;

impl Default for TableOptions {
    fn default() -> Self {
        Self {
            access_level: AccessLevel::default(),
            durability: Durability::default(),
            deleted_retention_hours: DELETED_RETENTION_HOURS_DEFAULT,
            ttl_seconds: None,
            flush_policy: None,
            compression: None,
            max_rows: None,
            bucket_seconds: None,
        }
    }
}

/// One declared column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnDefinition {
    /// Stable identity; survives rename, is never reused.
    pub id: ColumnId,
    /// The name as stored: lower-cased unless it was quoted.
    pub name: Arc<str>,
    /// The type of its values.
    pub column_type: ColumnType,
    /// False for NOT NULL and for key columns.
    pub nullable: bool,
    /// The most characters of a text, or bytes of BYTES; no bound when not given.
    #[serde(default)]
    pub length_max: Option<u32>,
    /// The DEFAULT expression as SQL text: what rows get that are written from now on.
    pub default: Option<String>,
    /// What the column is in rows written before it was added: stored in none of them, the same
    /// for all of them, and decided once and for all by ADD COLUMN. None is NULL. A changed
    /// default leaves it as it is.
    #[serde(default)]
    pub fill: Option<FillValue>,
    /// The COMMENT ON text.
    pub comment: Option<String>,
}

impl ColumnDefinition {
    /// A nullable column without a default.
    pub fn new(id: ColumnId, name: &str, column_type: ColumnType) -> Self {
        Self {
            id,
            name: crate::intern(name),
            column_type,
            nullable: true,
            length_max: None,
            default: None,
            fill: None,
            comment: None,
        }
    }

    /// The same column, NOT NULL.
    pub fn not_null(mut self) -> Self {
        self.nullable = false;
        self
    }

    /// The type as declared: what CREATE TABLE reads back.
    pub fn declared_type(&self) -> String {
        declared_type(&self.column_type, self.length_max)
    }

    /// The Arrow field of the column, extension type included.
    pub fn to_field(&self) -> Field {
        self.column_type.to_field(&self.name, self.nullable)
    }
}

/// The SQL name of a type with the bound on the length of its values.
pub fn declared_type(column_type: &ColumnType, length_max: Option<u32>) -> String {
    match (column_type, length_max) {
        (ColumnType::Text, Some(length)) => format!("VARCHAR({length})"),
        (ColumnType::Bytes, Some(length)) => format!("VARBINARY({length})"),
        (other, _) => other.to_string(),
    }
}

/// One version of a table. A new version is a new definition; the id stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableDefinition {
    /// Leads the table's keys in storage.
    pub id: TableId,
    /// The namespace it stands in.
    pub namespace_id: NamespaceId,
    /// The namespace's name.
    pub namespace: Arc<str>,
    /// The table's name.
    pub name: Arc<str>,
    /// Whose rows it holds.
    pub table_type: TableType,
    /// Who created it.
    pub created_by: UserId,
    /// When it was created, µs since the Unix epoch.
    pub created_at_us: i64,
    /// When this version was made, µs since the Unix epoch.
    pub updated_at_us: i64,
    /// The schema's version, from 1.
    pub schema_version: u32,
    /// The next column id to give out.
    pub next_column_id: u32,
    /// Declared columns in declared order.
    pub columns: Vec<ColumnDefinition>,
    /// Key columns in key order; empty for a table keyed by the hidden `_row_id`.
    pub primary_key: Vec<ColumnId>,
    /// The WITH options.
    pub options: TableOptions,
    /// The COMMENT ON text.
    pub comment: Option<String>,
    /// What every row meets.
    #[serde(default)]
    pub checks: Vec<CheckConstraint>,
    /// What ALTER TABLE made this version; none for a table's first version.
    #[serde(default)]
    pub change: Option<VersionChange>,
}

/// How a version of a table differs from the one before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionChange {
    /// Who altered the table. When is the version's `updated_at_us`.
    pub by: UserId,
    /// What was changed, in words.
    pub what: String,
}

impl TableDefinition {
    /// `namespace.name`, for messages.
    pub fn qualified_name(&self) -> String {
        format!("{}.{}", self.namespace, self.name)
    }

    /// True when no primary key was declared: rows are keyed by `_row_id`.
    pub fn has_hidden_key(&self) -> bool {
        self.primary_key.is_empty()
    }

    /// The position and definition of the column called `name`.
    pub fn column(&self, name: &str) -> Option<(usize, &ColumnDefinition)> {
        self.columns.iter().enumerate().find(|(_, column)| &*column.name == name)
    }

    /// Positions of the key columns among the declared columns, in key order.
    pub fn key_positions(&self) -> Vec<usize> {
        self.primary_key
            .iter()
            .filter_map(|id| self.columns.iter().position(|column| column.id == *id))
            .collect()
    }

    /// The declared columns as an Arrow schema.
    pub fn arrow_schema(&self) -> SchemaRef {
        let fields: Vec<Field> = self.columns.iter().map(ColumnDefinition::to_field).collect();
        Arc::new(Schema::new_with_metadata(fields, HashMap::new()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What earlier releases wrote has neither lengths nor checks, and fewer options.
    #[test]
    fn definitions_of_earlier_releases_are_read() {
        let stored = r#"{"id":1,"namespace_id":1,"namespace":"n","name":"t","table_type":"shared",
            "created_by":"root","created_at_us":5,"updated_at_us":6,"schema_version":1,
            "next_column_id":2,"columns":[{"id":1,"name":"a","column_type":"text","nullable":true,
            "default":null,"comment":null}],"primary_key":[],"options":{"access_level":"private",
            "durability":"sync","deleted_retention_hours":168,"ttl_seconds":null},"comment":null}"#;
        let table: TableDefinition = serde_json::from_str(stored).unwrap();
        assert_eq!(table.columns[0].length_max, None);
        assert_eq!(table.columns[0].fill, None);
        assert!(table.checks.is_empty());
        assert_eq!(table.change, None);
        assert_eq!(table.options, TableOptions::default());
        let again: TableDefinition =
            serde_json::from_str(&serde_json::to_string(&table).unwrap()).unwrap();
        assert_eq!(again, table);
    }
}
