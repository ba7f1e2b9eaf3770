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

/// ALTER TABLE.
#[derive(Debug, Clone, PartialEq)]
pub struct AlterTable {
    /// The table.
    pub name: TableName,
    /// Whether a missing one is fine.
    pub if_exists: bool,
    /// What is done to it, one after the other: all of it or nothing.
    pub operations: Vec<AlterOperation>,
}

/// One operation of ALTER TABLE.
#[derive(Debug, Clone, PartialEq)]
pub struct AlterOperation {
    /// What is done.
    pub action: AlterAction,
    /// Where the name stands that it is about.
    pub position: Option<Position>,
}

/// What an operation of ALTER TABLE does.
#[derive(Debug, Clone, PartialEq)]
pub enum AlterAction {
    /// ADD COLUMN.
    AddColumn {
        /// The new column, which comes last.
        column: NewColumn,
        /// Whether an existing one is fine.
        if_not_exists: bool,
    },
    /// DROP COLUMN.
    DropColumn {
        /// The column.
        name: String,
        /// Whether a missing one is fine.
        if_exists: bool,
        /// Whether checks and views that use it go too.
        cascade: bool,
    },
    /// RENAME COLUMN.
    RenameColumn {
        /// The name it has.
        from: String,
        /// The name it gets.
        to: String,
    },
    /// ALTER COLUMN … TYPE.
    SetType {
        /// The column.
        name: String,
        /// The type it gets.
        column_type: ColumnType,
        /// The most characters of a text, or bytes of BYTES.
        length_max: Option<u32>,
    },
    /// ALTER COLUMN … SET DEFAULT and DROP DEFAULT.
    SetDefault {
        /// The column.
        name: String,
        /// The expression as SQL text; `None` is DROP DEFAULT.
        default: Option<String>,
    },
    /// ALTER COLUMN … SET NOT NULL and DROP NOT NULL.
    SetNullable {
        /// The column.
        name: String,
        /// True for DROP NOT NULL.
        nullable: bool,
    },
    /// RENAME TO.
    Rename {
        /// The name the table gets.
        to: TableName,
    },
    /// SET TBLPROPERTIES.
    SetOptions {
        /// The options written, in lower case.
        written: Vec<String>,
        /// Their values; what is not written is as if nothing were said.
        options: TableOptions,
    },
    /// ADD CHECK.
    AddCheck {
        /// The constraint's name, when given one.
        name: Option<String>,
        /// What every row meets.
        condition: Box<ast::Expr>,
    },
    /// DROP CONSTRAINT.
    DropConstraint {
        /// The constraint.
        name: String,
        /// Whether a missing one is fine.
        if_exists: bool,
    },
}
