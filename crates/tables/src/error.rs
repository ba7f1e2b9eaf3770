//! What can go wrong between DataFusion and the store, and how to read it back out of a
//! `DataFusionError`.

use arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use kalamdb_commons::{ErrorKind, SqlState};
use kalamdb_sql::SqlError;
use kalamdb_store::StoreError;
use thiserror::Error;

/// An error of this crate. Inside a plan it travels as `DataFusionError::External`.
#[derive(Debug, Error)]
pub enum TablesError {
    /// The store refused or failed; a `Conflict` in here asks for a rerun on a fresh view.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The catalog refused: an unknown name, a missing right.
    #[error(transparent)]
    Sql(#[from] SqlError),
    /// DataFusion failed outside a plan (planning, expression evaluation).
    #[error(transparent)]
    Query(#[from] Box<DataFusionError>),
    /// The plan was made for another version of the table: plan the statement again.
    #[error("table {table} has changed since the statement was planned; plan it again")]
    TableChanged {
        /// `namespace.table`.
        table: String,
    },
    /// A value cannot become one of the column's type.
    #[error(
        "cannot store {value} in column {column} ({column_type}) of table {table}, row {row}: {reason}"
    )]
    BadValue {
        /// `namespace.table`.
        table: String,
        /// The column's name.
        column: String,
        /// The declared SQL type.
        column_type: String,
        /// 1-based row of the statement.
        row: u64,
        /// The value, shortened.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
    /// NULL for a NOT NULL column.
    #[error(
        "column {column} of table {table} is NOT NULL, but row {row} has NULL; give it a value"
    )]
    NullValue {
        /// `namespace.table`.
        table: String,
        /// The column's name.
        column: String,
        /// 1-based row of the statement.
        row: u64,
    },
    /// A value longer than its column takes.
    #[error(
        "the value for column {column} ({column_type}) of table {table}, row {row}, has {length} \
         {unit}: it is too long, shorten it"
    )]
    ValueTooLong {
        /// `namespace.table`.
        table: String,
        /// The column's name.
        column: String,
        /// The declared SQL type.
        column_type: String,
        /// 1-based row of the statement.
        row: u64,
        /// The value's length.
        length: usize,
        /// What is counted.
        unit: &'static str,
    },
    /// A row larger than what a client can be sent.
    #[error(
        "row {row} for table {table} takes {bytes} bytes, a row takes {bytes_max} at most; make its values smaller or keep them in several rows"
    )]
    RowTooLarge {
        /// `namespace.table`.
        table: String,
        /// 1-based row of the statement.
        row: u64,
        /// Its encoded length.
        bytes: usize,
        /// The bound.
        bytes_max: usize,
    },
    /// A row that a CHECK is false for.
    #[error(
        "row {row} violates the check constraint {constraint} of table {table}, \
         CHECK ({condition}), with {values}"
    )]
    CheckViolation {
        /// `namespace.table`.
        table: String,
        /// The constraint's name.
        constraint: String,
        /// Its condition as SQL text.
        condition: String,
        /// 1-based row of the statement.
        row: u64,
        /// The row's values of the columns the condition uses.
        values: String,
    },
    /// The key is taken.
    #[error("duplicate key {key} in table {table}, row {row}: a row with this key exists already")]
    DuplicateKey {
        /// `namespace.table`.
        table: String,
        /// The key's columns and values.
        key: String,
        /// 1-based row of the statement.
        row: u64,
    },
    /// The statement itself gives one key twice.
    #[error(
        "duplicate key {key} in table {table}: rows {first_row} and {row} of the statement have the same key"
    )]
    DuplicateKeyInStatement {
        /// `namespace.table`.
        table: String,
        /// The key's columns and values.
        key: String,
        /// 1-based row that had it first.
        first_row: u64,
        /// 1-based row that has it again.
        row: u64,
    },
    /// MERGE finds several rows of its source for one that it changes.
    #[error(
        "MERGE would change the row {key} of table {table} twice: several rows of the source match \
         it; make the source give one, for instance with row_number() or a narrower ON"
    )]
    ChangedTwice {
        /// `namespace.table`.
        table: String,
        /// The key's columns and values.
        key: String,
    },
    /// ON CONFLICT DO UPDATE would change one row for several rows of the statement.
    #[error(
        "ON CONFLICT DO UPDATE cannot affect a row a second time: rows {first_row} and {row} of the statement have the key {key} of table {table}; give each key once"
    )]
    AffectedTwice {
        /// `namespace.table`.
        table: String,
        /// The key's columns and values.
        key: String,
        /// 1-based row that had it first.
        first_row: u64,
        /// 1-based row that has it again.
        row: u64,
    },
    /// RETURNING gives back more than is kept for a client.
    #[error(
        "RETURNING gives more than {limit_bytes} bytes; leave it out, or split the statement into smaller ones"
    )]
    ReturnedTooLarge {
        /// The bound.
        limit_bytes: usize,
    },
    /// More bytes than one statement may write.
    #[error(
        "the statement writes more than {limit_bytes} bytes to table {table}; split it into smaller ones"
    )]
    StatementTooLarge {
        /// `namespace.table`.
        table: String,
        /// The bound.
        limit_bytes: usize,
    },
    /// The query of a view, which once could be planned, no longer can.
    #[error("view {view} cannot be read any more, drop it or replace it: {source}")]
    BrokenView {
        /// `namespace.view`.
        view: String,
        /// What planning says.
        source: Box<DataFusionError>,
    },
    /// A DML statement that is wrong in itself.
    #[error("{reason}")]
    InvalidStatement {
        /// What is wrong and what to do.
        reason: String,
    },
    /// A plan with a node that is not allowed.
    #[error("{what} is not supported")]
    NotSupported {
        /// The statement or plan node.
        what: String,
    },
    /// The statement was cancelled.
    #[error("the statement was cancelled")]
    Cancelled,
    /// A plan ran without its context: a defect.
    #[error("the session carries no statement context")]
    NoContext,
    /// A defect.
    #[error("internal error: {reason}")]
    Internal {
        /// What was found.
        reason: String,
    },
}

impl TablesError {
    /// What the caller should do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Store(error) => error.kind(),
            Self::Sql(error) => error.kind(),
            Self::Query(error) => kind_of(error),
            Self::TableChanged { .. } => ErrorKind::Conflict,
            Self::BadValue { .. }
            | Self::ValueTooLong { .. }
            | Self::RowTooLarge { .. }
            | Self::InvalidStatement { .. } => ErrorKind::InvalidInput,
            Self::NullValue { .. }
            | Self::CheckViolation { .. }
            | Self::DuplicateKey { .. }
            | Self::ChangedTwice { .. }
            | Self::AffectedTwice { .. }
            | Self::DuplicateKeyInStatement { .. } => ErrorKind::ConstraintViolation,
            Self::ReturnedTooLarge { .. } | Self::StatementTooLarge { .. } => {
                ErrorKind::ResourceExhausted
            }
            Self::BrokenView { .. } => ErrorKind::FailedPrecondition,
            Self::NotSupported { .. } => ErrorKind::Unsupported,
            Self::Cancelled => ErrorKind::Cancelled,
            Self::NoContext | Self::Internal { .. } => ErrorKind::Internal,
        }
    }

    /// What a program is told; `None` for what DataFusion says, which its message decides.
    pub fn state(&self) -> Option<SqlState> {
        Some(match self {
            Self::Store(error) => error.state(),
            Self::Sql(error) => error.state(),
            Self::Query(_) => return None,
            Self::BadValue { column_type, reason, .. } => bad_value(column_type, reason),
            Self::NullValue { .. } => SqlState::NotNull,
            Self::DuplicateKey { .. } => SqlState::Unique,
            Self::DuplicateKeyInStatement { .. } => SqlState::Unique,
            Self::ValueTooLong { .. } => SqlState::StringTooLong,
            Self::CheckViolation { .. } => SqlState::Check,
            Self::AffectedTwice { .. } | Self::ChangedTwice { .. } => SqlState::Cardinality,
            Self::ReturnedTooLarge { .. }
            | Self::StatementTooLarge { .. }
            | Self::RowTooLarge { .. } => SqlState::TooLarge,
            Self::InvalidStatement { reason } => invalid_statement(reason),
            other => SqlState::of_kind(other.kind()),
        })
    }

    /// What the store says of rows it encodes, the first being `first_row` of a statement that
    /// writes to `table`.
    pub(crate) fn of_rows(error: StoreError, table: &str, first_row: u64) -> Self {
        match error {
            StoreError::RowTooLarge { row, bytes, bytes_max } => Self::RowTooLarge {
                table: table.to_owned(),
                row: first_row + row as u64,
                bytes,
                bytes_max,
            },
            other => Self::Store(other),
        }
    }

    /// A wrong statement, with the reason.
    pub(crate) fn invalid(reason: impl Into<String>) -> Self {
        Self::InvalidStatement { reason: reason.into() }
    }
}

/// Why a value cannot be one of the type, from the words of [`crate::plain_words`].
fn bad_value(column_type: &str, reason: &str) -> SqlState {
    let temporal = ["DATE", "TIME", "INTERVAL"].iter().any(|name| column_type.starts_with(name))
        || reason.contains("dates have the years");
    if reason.contains("out of range") || reason.contains("does not fit") {
        if temporal { SqlState::DatetimeOverflow } else { SqlState::NumericOutOfRange }
    } else if reason.contains("cannot become") || reason.starts_with("a number is no") {
        SqlState::DatatypeMismatch
    } else if reason.contains("is NOT NULL, give it a value") {
        SqlState::NotNull
    } else if temporal {
        SqlState::InvalidDatetime
    } else {
        SqlState::InvalidText
    }
}

/// What is wrong with a statement, from our own words.
fn invalid_statement(reason: &str) -> SqlState {
    if reason.contains(" values for ") || reason.contains(", its query gives ") {
        SqlState::Syntax
    } else if reason.contains("is kept by the system") || reason.contains("primary key of") {
        SqlState::InvalidTableDefinition
    } else {
        SqlState::SyntaxOrAccess
    }
}

impl From<DataFusionError> for TablesError {
    fn from(error: DataFusionError) -> Self {
        Self::Query(Box::new(error))
    }
}

impl From<TablesError> for DataFusionError {
    fn from(error: TablesError) -> Self {
        match error {
            TablesError::Query(inner) => *inner,
            other => Self::External(Box::new(other)),
        }
    }
}

/// The innermost error of ours that `error` wraps, if there is one.
pub fn own_error(error: &DataFusionError) -> Option<&TablesError> {
    match error {
        DataFusionError::External(inner) => external(inner.as_ref()),
        DataFusionError::ArrowError(inner, _) => match inner.as_ref() {
            ArrowError::ExternalError(inner) => external(inner.as_ref()),
            _ => None,
        },
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => {
            own_error(inner)
        }
        DataFusionError::Shared(inner) => own_error(inner),
        DataFusionError::Collection(errors) => errors.iter().find_map(own_error),
        _ => None,
    }
}

fn external<'a>(
    error: &'a (dyn std::error::Error + Send + Sync + 'static),
) -> Option<&'a TablesError> {
    if let Some(error) = error.downcast_ref::<TablesError>() {
        return match error {
            TablesError::Query(inner) => own_error(inner).or(Some(error)),
            _ => Some(error),
        };
    }
    error.downcast_ref::<DataFusionError>().and_then(own_error)
}

/// The conflict with a concurrent writer that `error` wraps, if it is one: run the statement
/// again on a fresh view. [`TablesError::TableChanged`] asks to plan it again first.
pub fn conflict_of(error: &DataFusionError) -> Option<&TablesError> {
    own_error(error).filter(|error| error.kind() == ErrorKind::Conflict)
}

/// True when `error` wraps [`TablesError::AffectedTwice`].
pub fn affects_a_row_twice(error: &DataFusionError) -> bool {
    matches!(own_error(error), Some(TablesError::AffectedTwice { .. }))
}

/// The kind of any error a plan or its planning ends with.
pub fn kind_of(error: &DataFusionError) -> ErrorKind {
    if let Some(error) = own_error(error) {
        return match error {
            // Nothing of ours within: judge the DataFusion error itself.
            TablesError::Query(inner) => kind_of_foreign(inner),
            ours => ours.kind(),
        };
    }
    kind_of_foreign(error)
}

fn kind_of_foreign(error: &DataFusionError) -> ErrorKind {
    match error.find_root() {
        DataFusionError::NotImplemented(_) => ErrorKind::Unsupported,
        DataFusionError::ResourcesExhausted(_) => ErrorKind::ResourceExhausted,
        DataFusionError::Internal(_)
        | DataFusionError::IoError(_)
        | DataFusionError::ExecutionJoin(_) => ErrorKind::Internal,
        DataFusionError::ArrowError(error, _) => match error.as_ref() {
            ArrowError::MemoryError(_) => ErrorKind::ResourceExhausted,
            ArrowError::NotYetImplemented(_) => ErrorKind::Unsupported,
            ArrowError::IoError(..) => ErrorKind::Internal,
            _ => ErrorKind::InvalidInput,
        },
        // What is left, foreign errors included, says what a function thinks of its arguments
        // (a regular expression that cannot be read).
        _ => ErrorKind::InvalidInput,
    }
}
