//! The statements KalamDB understands.

use std::fmt;

use datafusion::sql::sqlparser::ast;
use kalamdb_commons::{ColumnType, TableOptions};
use kalamdb_commons::{Role, TableType};

use crate::{Position, TableName};

/// One statement of a SQL text.
#[derive(Debug, Clone)]
pub struct ParsedStatement {
    /// What it says. Every `?` has become `$1`, `$2`, … in the order of appearance.
    pub statement: Statement,
    /// The statement's own text as it was sent, without the closing `;`. May hold a password:
    /// logs take [`ParsedStatement::text_for_logs`].
    pub text: String,
    /// Where that begins in what was sent.
    pub start: Position,
    /// How many parameters the statement takes: `$1` to `$parameter_count`.
    pub parameter_count: usize,
}

impl ParsedStatement {
    /// The text as logs may show it: statements that carry a password are cut before it.
    pub fn text_for_logs(&self) -> &str {
        match &self.statement {
            Statement::CreateUser(_) => "CREATE USER …",
            Statement::AlterUser(_) => "ALTER USER …",
            _ => &self.text,
        }
    }
}

/// A statement, parsed but not yet held against the catalog.
#[derive(Debug, Clone)]
pub enum Statement {
    /// SELECT, WITH, VALUES.
    Query(Box<ast::Query>),
    /// EXPLAIN of a query or of INSERT, UPDATE, DELETE.
    Explain(Explain),
    /// INSERT.
    Insert(Box<InsertStatement>),
    /// UPDATE.
    Update(Box<UpdateStatement>),
    /// DELETE.
    Delete(Box<DeleteStatement>),
    /// CREATE NAMESPACE.
    CreateNamespace {
        /// The new namespace.
        name: String,
        /// Whether an existing one is fine.
        if_not_exists: bool,
    },
    /// DROP NAMESPACE.
    DropNamespace {
        /// The namespace.
        name: String,
        /// Whether a missing one is fine.
        if_exists: bool,
        /// Whether its tables go too.
        cascade: bool,
    },
    /// SHOW NAMESPACES (also SCHEMAS, DATABASES).
    ShowNamespaces,
    /// CREATE TABLE.
    CreateTable(Box<CreateTable>),
    /// DROP TABLE.
    DropTable {
        /// The table.
        name: TableName,
        /// Whether a missing one is fine.
        if_exists: bool,
    },
    /// SHOW TABLES [IN namespace]; without a namespace: the session's.
    ShowTables {
        /// The namespace to list.
        namespace: Option<String>,
    },
    /// `DESCRIBE [TABLE] t` and SHOW COLUMNS FROM t.
    Describe {
        /// The table.
        table: TableName,
    },
    /// SHOW CREATE TABLE t.
    ShowCreateTable {
        /// The table.
        table: TableName,
    },
    /// CREATE USER.
    CreateUser(CreateUser),
    /// ALTER USER.
    AlterUser(AlterUser),
    /// DROP USER.
    DropUser {
        /// The user.
        name: String,
        /// Whether a missing one is fine.
        if_exists: bool,
    },
    /// SHOW USERS.
    ShowUsers,
    /// USE namespace (also SET NAMESPACE, SET SCHEMA).
    Use {
        /// The namespace unqualified names are looked up in from now on.
        namespace: String,
    },
    /// SET name = value.
    Set {
        /// Which setting.
        setting: SessionSetting,
        /// The value as text; `None` is SET … TO DEFAULT and RESET.
        value: Option<String>,
    },
    /// SHOW name.
    ShowSetting {
        /// Which setting.
        setting: SessionSetting,
    },
}

impl Statement {
    /// True for statements whose answer is rows; false for those whose answer is a count.
    pub fn returns_rows(&self) -> bool {
        match self {
            Self::Query(_)
            | Self::Explain(_)
            | Self::ShowNamespaces
            | Self::ShowTables { .. }
            | Self::Describe { .. }
            | Self::ShowCreateTable { .. }
            | Self::ShowUsers
            | Self::ShowSetting { .. } => true,
            Self::Insert(_)
            | Self::Update(_)
            | Self::Delete(_)
            | Self::CreateNamespace { .. }
            | Self::DropNamespace { .. }
            | Self::CreateTable(_)
            | Self::DropTable { .. }
            | Self::CreateUser(_)
            | Self::AlterUser(_)
            | Self::DropUser { .. }
            | Self::Use { .. }
            | Self::Set { .. } => false,
        }
    }

    /// True for INSERT, UPDATE and DELETE.
    pub fn is_dml(&self) -> bool {
        matches!(self, Self::Insert(_) | Self::Update(_) | Self::Delete(_))
    }

    /// The statement's name as users write it, for messages and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Query(_) => "SELECT",
            Self::Explain(_) => "EXPLAIN",
            Self::Insert(_) => "INSERT",
            Self::Update(_) => "UPDATE",
            Self::Delete(_) => "DELETE",
            Self::CreateNamespace { .. } => "CREATE NAMESPACE",
            Self::DropNamespace { .. } => "DROP NAMESPACE",
            Self::ShowNamespaces => "SHOW NAMESPACES",
            Self::CreateTable(_) => "CREATE TABLE",
            Self::DropTable { .. } => "DROP TABLE",
            Self::ShowTables { .. } => "SHOW TABLES",
            Self::Describe { .. } => "DESCRIBE",
            Self::ShowCreateTable { .. } => "SHOW CREATE TABLE",
            Self::CreateUser(_) => "CREATE USER",
            Self::AlterUser(_) => "ALTER USER",
            Self::DropUser { .. } => "DROP USER",
            Self::ShowUsers => "SHOW USERS",
            Self::Use { .. } => "USE",
            Self::Set { .. } => "SET",
            Self::ShowSetting { .. } => "SHOW",
        }
    }
}

/// `EXPLAIN [ANALYZE] [VERBOSE] [FORMAT f] statement`.
#[derive(Debug, Clone)]
pub struct Explain {
    /// Whether the statement runs and is measured.
    pub analyze: bool,
    /// Whether every step of the planning is shown.
    pub verbose: bool,
    /// How the plan is drawn.
    pub format: ExplainFormat,
    /// A query or one of INSERT, UPDATE, DELETE.
    pub inner: Box<Statement>,
}

/// How EXPLAIN draws a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExplainFormat {
    /// Indented lines, logical and physical.
    #[default]
    Indent,
    /// Boxes.
    Tree,
    /// PostgreSQL's JSON.
    PgJson,
    /// A Graphviz document.
    Graphviz,
}

/// INSERT INTO table [(columns)] source.
#[derive(Debug, Clone)]
pub struct InsertStatement {
    /// The target.
    pub table: TableName,
    /// Target columns in the order of the source's; empty: all declared columns.
    pub columns: Vec<String>,
    /// Where the rows come from.
    pub source: InsertSource,
}

/// Where INSERT takes its rows from.
#[derive(Debug, Clone)]
pub enum InsertSource {
    /// VALUES or SELECT. The keyword DEFAULT in VALUES stands there as the unquoted
    /// identifier `DEFAULT`: see [`crate::is_default_keyword`].
    Query(Box<ast::Query>),
    /// DEFAULT VALUES: one row of defaults.
    DefaultValues,
}

/// `column = value` of UPDATE … SET.
#[derive(Debug, Clone)]
pub struct Assignment {
    /// The target column, as stored.
    pub column: String,
    /// The new value.
    pub value: ast::Expr,
}

/// [WITH …] UPDATE table SET … [FROM …] [WHERE …] [ORDER BY …] [LIMIT n].
#[derive(Debug, Clone)]
pub struct UpdateStatement {
    /// The target.
    pub table: TableName,
    /// The name the target goes by in the expressions, when given one.
    pub alias: Option<ast::Ident>,
    /// What is set; each column at most once.
    pub assignments: Vec<Assignment>,
    /// Other tables the expressions may use.
    pub from: Vec<ast::TableWithJoins>,
    /// Which rows; `None` is all of them.
    pub predicate: Option<ast::Expr>,
    /// The order LIMIT counts in.
    pub order_by: Vec<ast::OrderByExpr>,
    /// At most so many rows.
    pub limit: Option<ast::Expr>,
    /// The queries in front of the statement.
    pub with: Option<ast::With>,
}

/// [WITH …] DELETE FROM table [USING …] [WHERE …] [ORDER BY …] [LIMIT n].
#[derive(Debug, Clone)]
pub struct DeleteStatement {
    /// The target.
    pub table: TableName,
    /// The name the target goes by in the expressions, when given one.
    pub alias: Option<ast::Ident>,
    /// Other tables the expressions may use.
    pub using: Vec<ast::TableWithJoins>,
    /// Which rows; `None` is all of them.
    pub predicate: Option<ast::Expr>,
    /// The order LIMIT counts in.
    pub order_by: Vec<ast::OrderByExpr>,
    /// At most so many rows.
    pub limit: Option<ast::Expr>,
    /// The queries in front of the statement.
    pub with: Option<ast::With>,
}

/// CREATE [USER | SHARED] TABLE.
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
    /// The DEFAULT expression as SQL text.
    pub default: Option<String>,
    /// The COMMENT text.
    pub comment: Option<String>,
}

/// A password in a statement; not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(pub String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// `CREATE USER name [WITH] PASSWORD 'p' [ROLE r]`.
#[derive(Debug, Clone)]
pub struct CreateUser {
    /// The name to sign in with.
    pub name: String,
    /// The password.
    pub password: Password,
    /// What the user may do; `user` when not said.
    pub role: Role,
    /// Whether an existing one is fine.
    pub if_not_exists: bool,
}

/// `ALTER USER name [SET] [PASSWORD 'p'] [ROLE r]`.
#[derive(Debug, Clone)]
pub struct AlterUser {
    /// The user.
    pub name: String,
    /// The new password.
    pub password: Option<Password>,
    /// The new role.
    pub role: Option<Role>,
}

/// The settings a session may change by SET.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SessionSetting {
    /// `statement_timeout`: milliseconds as text, as the parser has checked; 0 is none.
    StatementTimeout,
    /// `time_zone`: always `UTC`.
    TimeZone,
    /// `application_name`: free text a client gives itself.
    ApplicationName,
    /// `search_path`: the namespace of unqualified names; set by USE.
    SearchPath,
}

impl SessionSetting {
    /// All settings.
    pub const ALL: [Self; 4] =
        [Self::StatementTimeout, Self::TimeZone, Self::ApplicationName, Self::SearchPath];

    /// The name in SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::StatementTimeout => "statement_timeout",
            Self::TimeZone => "time_zone",
            Self::ApplicationName => "application_name",
            Self::SearchPath => "search_path",
        }
    }
}
