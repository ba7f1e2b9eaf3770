//! What statements mean and what metadata exists.
//!
//! ```text
//! SQL text ──► parse ──► ParsedStatement ──► (tables, core)
//!                              │ DDL
//!                              ▼
//! Principal ──► Catalog ──► CatalogSnapshot: namespaces, tables, users, who may do what
//!                 │ one commit a change
//!                 ▼
//!               store
//! ```
//!
//! - [`parse`] turns a text into [`Statement`]s: an allow-list, everything else is refused by
//!   name. Queries and the parts of DML stay sqlparser's trees; all other statements are our own.
//! - [`Catalog`] keeps namespaces, tables and users; a [`CatalogSnapshot`] never changes, so that
//!   a statement sees one state of it from beginning to end.
//!
//! It does *not* plan or execute anything, and knows nothing of sessions, Flight or files.
//!
//! ```
//! let statements = kalamdb_sql::parse("SELECT * FROM t WHERE id = ?; SHOW TABLES;").unwrap();
//! assert_eq!(statements.len(), 2);
//! assert_eq!(statements[0].parameter_count, 1);
//! ```

mod catalog;
mod error;
mod parse;
mod sought;
mod suggest;

pub use catalog::{
    Access, Catalog, CatalogSnapshot, ColumnWithoutValue, DEFAULT_NAMESPACE, INFORMATION_SCHEMA,
    Namespace, NewView, PlannedAlter, RESERVED_NAMESPACES, ROOT_USER, SYSTEM_NAMESPACE, TableEntry,
    User, VIEW_DEPTH_MAX, ViewEntry, fill_value,
};
pub use error::{ObjectKind, Position, SqlError};
pub use parse::{
    AlterAction, AlterOperation, AlterTable, AlterUser, Assignment, CATALOG_NAME, CommentObject,
    ConflictAction, CreateTable, CreateTableAs, CreateTableLike, CreateUser, CreateView,
    DEFAULT_FUNCTIONS, DeleteStatement, Explain, ExplainFormat, InsertSource, InsertStatement,
    MergeAction, MergeClause, MergeMatching, MergeStatement, NESTING_MAX, NamespaceChange,
    NewColumn, OPERATORS_MAX, OnConflict, PARAMETERS_MAX, PLAN_TABLES_MAX, ParsedStatement,
    Password, SET_OPERATORS_MAX, SessionSetting, Statement, TABLES_PER_SELECT_MAX, TableName,
    UpdateStatement, check_catalog, check_create_table, check_expression, check_new_name,
    column_type_from_ast, find_in_text, is_default_keyword, not_found, parse, parse_column_type,
    parse_default, parse_statement_timeout, quote_name, show_create_table, show_create_view,
    stored_name,
};
pub use sought::Sought;
pub use suggest::nearest;
