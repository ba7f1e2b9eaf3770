//! What a table is: its columns, its key, its options.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{Field, Schema, SchemaRef};
use serde::{Deserialize, Serialize};

use crate::{ColumnId, ColumnType, NamespaceId, TableId, UserId};

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
    /// The DEFAULT expression as SQL text.
    pub default: Option<String>,
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
            default: None,
            comment: None,
        }
    }

    /// The same column, NOT NULL.
    pub fn not_null(mut self) -> Self {
        self.nullable = false;
        self
    }

    /// The Arrow field of the column, extension type included.
    pub fn to_field(&self) -> Field {
        self.column_type.to_field(&self.name, self.nullable)
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
