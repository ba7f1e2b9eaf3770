//! The statements KalamDB understands.

use std::fmt;

use datafusion::sql::sqlparser::ast;
use kalamdb_commons::Role;

use crate::parse::definitions::{
    AlterTable, CommentObject, CreateTable, CreateTableAs, CreateTableLike, CreateView,
    NamespaceChange,
};
use crate::parse::merge::MergeStatement;
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
    /// The ordinals of those that stand in window frames: what they are bound to belongs to the
    /// plan.
    pub frame_parameters: Vec<usize>,
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
    /// EXPLAIN of a query or of INSERT, UPDATE, DELETE, MERGE.
    Explain(Explain),
    /// INSERT.
    Insert(Box<InsertStatement>),
    /// UPDATE.
    Update(Box<UpdateStatement>),
    /// DELETE.
    Delete(Box<DeleteStatement>),
    /// MERGE.
    Merge(Box<MergeStatement>),
    /// CREATE NAMESPACE.
    CreateNamespace {
        /// The new namespace.
        name: String,
        /// Whether an existing one is fine.
        if_not_exists: bool,
        /// The COMMENT text.
        comment: Option<String>,
    },
    /// ALTER NAMESPACE.
    AlterNamespace {
        /// The namespace.
        name: String,
        /// What changes.
        change: NamespaceChange,
    },
    /// COMMENT ON.
    CommentOn {
        /// What it is about.
        object: CommentObject,
        /// The text; `None` takes it away.
        comment: Option<String>,
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
    ShowNamespaces {
        /// A LIKE pattern for the names.
        like: Option<String>,
    },
    /// CREATE TABLE.
    CreateTable(Box<CreateTable>),
    /// CREATE TABLE … AS query.
    CreateTableAs(Box<CreateTableAs>),
    /// CREATE TABLE … LIKE another.
    CreateTableLike(Box<CreateTableLike>),
    /// ALTER TABLE.
    AlterTable(Box<AlterTable>),
    /// DROP TABLE.
    DropTable {
        /// The tables.
        names: Vec<TableName>,
        /// Whether missing ones are fine.
        if_exists: bool,
        /// Whether views that read them go too.
        cascade: bool,
    },
    /// TRUNCATE.
    Truncate {
        /// The tables, one at least: all are emptied or none is.
        tables: Vec<TableName>,
    },
    /// CREATE VIEW.
    CreateView(Box<CreateView>),
    /// DROP VIEW.
    DropView {
        /// The view.
        name: TableName,
        /// Whether a missing one is fine.
        if_exists: bool,
        /// Whether views that read it go too.
        cascade: bool,
    },
    /// `SHOW [ALL] TABLES [IN namespace] [LIKE pattern]`; without a namespace: the session's.
    ShowTables {
        /// The namespace to list.
        namespace: Option<String>,
        /// Whether all namespaces are listed.
        all: bool,
        /// A LIKE pattern for the names.
        like: Option<String>,
    },
    /// `SHOW VIEWS [IN namespace] [LIKE pattern]`; without a namespace: the session's.
    ShowViews {
        /// The namespace to list.
        namespace: Option<String>,
        /// A LIKE pattern for the names.
        like: Option<String>,
    },
    /// SHOW STATS FOR TABLE t.
    ShowStats {
        /// The table.
        table: TableName,
    },
    /// SHOW FUNCTIONS [LIKE pattern].
    ShowFunctions {
        /// A LIKE pattern for the names.
        like: Option<String>,
    },
    /// SHOW ALL: the settings.
    ShowSettings,
    /// `DESCRIBE [TABLE] t` and SHOW COLUMNS FROM t.
    Describe {
        /// The table.
        table: TableName,
    },
    /// `DESCRIBE [TABLE] t HISTORY`.
    DescribeHistory {
        /// The table.
        table: TableName,
    },
    /// SHOW CREATE TABLE t and SHOW CREATE VIEW v.
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
    /// True for statements whose answer is rows (RETURNING included); false for those whose
    /// answer is a count.
    pub fn returns_rows(&self) -> bool {
        match self {
            Self::Query(_)
            | Self::Explain(_)
            | Self::ShowNamespaces { .. }
            | Self::ShowTables { .. }
            | Self::ShowViews { .. }
            | Self::ShowStats { .. }
            | Self::ShowFunctions { .. }
            | Self::ShowSettings
            | Self::Describe { .. }
            | Self::DescribeHistory { .. }
            | Self::ShowCreateTable { .. }
            | Self::ShowUsers
            | Self::ShowSetting { .. } => true,
            Self::Insert(_) | Self::Update(_) | Self::Delete(_) => !self.returning().is_empty(),
            Self::Merge(_)
            | Self::CreateNamespace { .. }
            | Self::AlterNamespace { .. }
            | Self::CommentOn { .. }
            | Self::DropNamespace { .. }
            | Self::CreateTable(_)
            | Self::CreateTableAs(_)
            | Self::CreateTableLike(_)
            | Self::AlterTable(_)
            | Self::DropTable { .. }
            | Self::Truncate { .. }
            | Self::CreateView(_)
            | Self::DropView { .. }
            | Self::CreateUser(_)
            | Self::AlterUser(_)
            | Self::DropUser { .. }
            | Self::Use { .. }
            | Self::Set { .. } => false,
        }
    }

    /// What a changing statement gives back of the rows it changed; empty: a count.
    pub fn returning(&self) -> &[ast::SelectItem] {
        match self {
            Self::Insert(insert) => &insert.returning,
            Self::Update(update) => &update.returning,
            Self::Delete(delete) => &delete.returning,
            _ => &[],
        }
    }

    /// True for INSERT, UPDATE, DELETE and MERGE.
    pub fn is_dml(&self) -> bool {
        matches!(self, Self::Insert(_) | Self::Update(_) | Self::Delete(_) | Self::Merge(_))
    }

    /// The statement's name as users write it, for messages and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Query(_) => "SELECT",
            Self::Explain(_) => "EXPLAIN",
            Self::Insert(_) => "INSERT",
            Self::Update(_) => "UPDATE",
            Self::Delete(_) => "DELETE",
            Self::Merge(_) => "MERGE",
            Self::CreateNamespace { .. } => "CREATE NAMESPACE",
            Self::DropNamespace { .. } => "DROP NAMESPACE",
            Self::AlterNamespace { .. } => "ALTER NAMESPACE",
            Self::CommentOn { .. } => "COMMENT ON",
            Self::ShowNamespaces { .. } => "SHOW NAMESPACES",
            Self::ShowStats { .. } => "SHOW STATS",
            Self::ShowFunctions { .. } => "SHOW FUNCTIONS",
            Self::ShowSettings => "SHOW ALL",
            Self::CreateTable(_) | Self::CreateTableLike(_) => "CREATE TABLE",
            Self::CreateTableAs(_) => "CREATE TABLE AS",
            Self::Truncate { .. } => "TRUNCATE",
            Self::CreateView(_) => "CREATE VIEW",
            Self::DropView { .. } => "DROP VIEW",
            Self::AlterTable(_) => "ALTER TABLE",
            Self::DropTable { .. } => "DROP TABLE",
            Self::ShowTables { .. } => "SHOW TABLES",
            Self::ShowViews { .. } => "SHOW VIEWS",
            Self::Describe { .. } => "DESCRIBE",
            Self::DescribeHistory { .. } => "DESCRIBE HISTORY",
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
    /// A query or one of INSERT, UPDATE, DELETE, MERGE.
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

/// INSERT INTO table [AS alias] [(columns)] source [ON CONFLICT …] [RETURNING …].
#[derive(Debug, Clone)]
pub struct InsertStatement {
    /// The target.
    pub table: TableName,
    /// The name the target goes by in ON CONFLICT and RETURNING, when given one.
    pub alias: Option<ast::Ident>,
    /// Target columns in the order of the source's; empty: all declared columns.
    pub columns: Vec<String>,
    /// Where the rows come from.
    pub source: InsertSource,
    /// What becomes of rows whose key is taken; `None`: they are an error.
    pub on_conflict: Option<OnConflict>,
    /// What is given back of each row inserted or updated; empty: a count.
    pub returning: Vec<ast::SelectItem>,
}

/// `ON CONFLICT [(columns)] DO …`.
#[derive(Debug, Clone)]
pub struct OnConflict {
    /// The columns whose values must differ, as stored; `None` when not said.
    pub columns: Option<Vec<String>>,
    /// What becomes of a row whose key is taken.
    pub action: ConflictAction,
}

/// What ON CONFLICT does with a row whose key is taken.
#[derive(Debug, Clone)]
pub enum ConflictAction {
    /// The row is left out.
    Nothing,
    /// The row that has the key is changed.
    Update {
        /// What is set; each column at most once.
        assignments: Vec<Assignment>,
        /// Which rows; `None` is all of them.
        predicate: Option<ast::Expr>,
    },
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

/// [WITH …] UPDATE table SET … [FROM …] [WHERE …] [ORDER BY …] [LIMIT n] [RETURNING …].
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
    /// What is given back of each row changed, as it is then; empty: a count.
    pub returning: Vec<ast::SelectItem>,
}

/// [WITH …] DELETE FROM table [USING …] [WHERE …] [ORDER BY …] [LIMIT n] [RETURNING …].
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
    /// What is given back of each row deleted, as it was; empty: a count.
    pub returning: Vec<ast::SelectItem>,
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
