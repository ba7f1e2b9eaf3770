//! What CREATE TABLE and CREATE VIEW say.

use datafusion::sql::sqlparser::ast;
use kalamdb_commons::{CheckConstraint, ColumnType, TableOptions, TableType};

use crate::{Position, TableName};

/// CREATE [USER | SHARED | STREAM] TABLE.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateTable {
    /// The new table.
    pub name: TableName,
    /// Whether an existing one is fine.
    pub if_not_exists: bool,
    /// Whose rows it holds.
    pub table_type: TableType,
    /// Declared columns in declared order.
    pub columns: Vec<NewColumn>,
    /// Names of the key columns in key order; empty for the hidden `_row_id`.
    pub primary_key: Vec<String>,
    /// The WITH options.
    pub options: TableOptions,
    /// The COMMENT text.
    pub comment: Option<String>,
    /// The CHECK constraints, each with a name.
    pub checks: Vec<CheckConstraint>,
}

/// CREATE [USER | SHARED] TABLE … AS query.
#[derive(Debug, Clone)]
pub struct CreateTableAs {
    /// The new table.
    pub name: TableName,
    /// Whether an existing one is fine.
    pub if_not_exists: bool,
    /// Whose rows it holds.
    pub table_type: TableType,
    /// The columns' names; empty when they have those of the query's.
    pub columns: Vec<String>,
    /// Names of the key columns in key order; empty for the hidden `_row_id`.
    pub primary_key: Vec<String>,
    /// The WITH options.
    pub options: TableOptions,
    /// The COMMENT text.
    pub comment: Option<String>,
    /// Where columns and rows come from.
    pub query: Box<ast::Query>,
    /// False for WITH NO DATA.
    pub with_data: bool,
}

/// CREATE [USER | SHARED] TABLE … LIKE another.
#[derive(Debug, Clone)]
pub struct CreateTableLike {
    /// The new table.
    pub name: TableName,
    /// Whether an existing one is fine.
    pub if_not_exists: bool,
    /// Whose rows it holds; the other table's type when not said.
    pub table_type: Option<TableType>,
    /// The table whose columns, defaults, key and options it gets.
    pub source: TableName,
}

/// CREATE VIEW.
#[derive(Debug, Clone)]
pub struct CreateView {
    /// The new view.
    pub name: TableName,
    /// Whether an existing view gives way.
    pub or_replace: bool,
    /// Whether an existing one is fine.
    pub if_not_exists: bool,
    /// The columns' names; empty when they have those of the query's.
    pub columns: Vec<String>,
    /// The COMMENT text.
    pub comment: Option<String>,
    /// What it shows.
    pub query: Box<ast::Query>,
    /// Where the query begins in the text.
    pub query_begins: Option<Position>,
    /// The query as it was written.
    pub text: String,
}

/// A column of CREATE TABLE.
#[derive(Debug, Clone, PartialEq)]
pub struct NewColumn {
    /// The name as stored: lower-cased unless it was quoted.
    pub name: String,
    /// The type of its values.
    pub column_type: ColumnType,
    /// False for NOT NULL and for key columns.
    pub nullable: bool,
    /// The most characters of a text, or bytes of BYTES.
    pub length_max: Option<u32>,
    /// The DEFAULT expression as SQL text.
    pub default: Option<String>,
    /// The COMMENT text.
    pub comment: Option<String>,
}

impl NewColumn {
    /// A nullable column without a default.
    pub fn new(name: String, column_type: ColumnType) -> Self {
        Self { name, column_type, nullable: true, length_max: None, default: None, comment: None }
    }
}

/// What COMMENT ON speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommentObject {
    /// A table.
    Table(TableName),
    /// A column of a table.
    Column(TableName, String),
    /// A view.
    View(TableName),
    /// A namespace.
    Namespace(String),
}

/// What ALTER NAMESPACE does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamespaceChange {
    /// RENAME TO.
    Rename(String),
    /// SET COMMENT; `None` takes it away.
    Comment(Option<String>),
}
