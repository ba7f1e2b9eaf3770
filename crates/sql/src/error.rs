//! What can be wrong with a statement or with what it names.

use std::fmt;

use kalamdb_commons::{ErrorKind, Role, SqlState, TypeError};
use kalamdb_store::StoreError;
use thiserror::Error;

use crate::sought::Sought;

/// A place in the SQL text, both numbers from 1, columns counted in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Position {
    /// The line.
    pub line: u64,
    /// The character within the line.
    pub column: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// What sort of object a message speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ObjectKind {
    /// The catalog (there is one, `kalam`).
    Catalog,
    /// A namespace.
    Namespace,
    /// A table.
    Table,
    /// A view.
    View,
    /// A column.
    Column,
    /// A user.
    User,
    /// A session setting.
    Setting,
    /// An option in WITH (…).
    Option,
    /// A column type.
    Type,
    /// A constraint of a table.
    Constraint,
}

impl fmt::Display for ObjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Catalog => "catalog",
            Self::Namespace => "namespace",
            Self::Table => "table",
            Self::View => "view",
            Self::Column => "column",
            Self::User => "user",
            Self::Setting => "setting",
            Self::Option => "option",
            Self::Type => "type",
            Self::Constraint => "constraint",
        })
    }
}

/// An error of parsing or of the catalog. The message is one line and says what would be right.
#[derive(Debug, Error)]
pub enum SqlError {
    /// The text is not a statement of our grammar.
    #[error("{message}{}", at(.position))]
    Syntax {
        /// What was expected and what stands there.
        message: String,
        /// Where, when the parser knows.
        position: Option<Position>,
    },
    /// The text is understood, and what it asks for is not offered.
    #[error("{what} is not supported{}{}", advice_suffix(.advice), at(.position))]
    Unsupported {
        /// The statement or clause, as users write it.
        what: String,
        /// What to do instead; empty when there is nothing to say.
        advice: String,
        /// Where it begins.
        position: Option<Position>,
    },
    /// The statement is well-formed but says something that cannot be.
    #[error("{message}{}", at(.position))]
    Invalid {
        /// What is wrong and what would be right.
        message: String,
        /// Where, when known.
        position: Option<Position>,
    },
    /// The same, where a program can be told more exactly what is wrong.
    #[error("{message}{}", at(.position))]
    Coded {
        /// What it is.
        state: SqlState,
        /// What is wrong and what would be right.
        message: String,
        /// Where, when known.
        position: Option<Position>,
    },
    /// A bound on the text was exceeded.
    #[error("{what} exceeds the limit of {limit}, {advice}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The bound.
        limit: usize,
        /// What to do instead.
        advice: &'static str,
    },
    /// The named object does not exist, or the caller may not know that it does.
    #[error("{object} {} does not exist{}", quoted(.name), did_you_mean(.suggestion))]
    NotFound {
        /// What sort of object was looked for.
        object: ObjectKind,
        /// The name looked for.
        name: String,
        /// An existing name that looks like it.
        suggestion: Option<String>,
    },
    /// An object of that name exists.
    #[error("{object} {} already exists", quoted(.name))]
    AlreadyExists {
        /// What sort of object it is.
        object: ObjectKind,
        /// Its name.
        name: String,
    },
    /// The principal's role does not allow this.
    #[error("user '{user}' (role {role}) may not {action}, {advice}")]
    PermissionDenied {
        /// Who asked.
        user: String,
        /// The role the user has.
        role: Role,
        /// What was refused, as a verb phrase.
        action: String,
        /// What would be needed.
        advice: String,
    },
    /// The user is unknown or the password is wrong; which of the two is not told.
    #[error("the user name or the password is wrong")]
    WrongPassword,
    /// DROP NAMESPACE of a namespace with tables.
    #[error(
        "namespace '{namespace}' holds {tables} table(s) and view(s), drop them first or add CASCADE"
    )]
    NamespaceNotEmpty {
        /// The namespace.
        namespace: String,
        /// Tables and views in it.
        tables: usize,
    },
    /// DROP of something that views read.
    #[error("{object} {} is read by {views}, drop them first or add CASCADE", quoted(.name))]
    ReadByViews {
        /// What sort of object was to go.
        object: ObjectKind,
        /// Its name.
        name: String,
        /// The views.
        views: String,
    },
    /// A namespace keeps its name while the texts of views have it.
    #[error(
        "namespace '{namespace}' cannot be renamed: {views} would look for it by its old name, \
         drop them first and create them again afterwards"
    )]
    NamedByViews {
        /// The namespace.
        namespace: String,
        /// The views in it, and those that read what stands in it.
        views: String,
    },
    /// A column that something else of its table needs.
    #[error("column {} is used by {by}, {advice}", quoted(.column))]
    ColumnInUse {
        /// The column.
        column: String,
        /// What uses it.
        by: String,
        /// What to do instead.
        advice: &'static str,
    },
    /// A change of a table after which views could not be read, or would show something else.
    #[error(
        "table '{table}' cannot be altered like this: {views} would break ({reason}), {advice}"
    )]
    BreaksViews {
        /// The table.
        table: String,
        /// The views.
        views: String,
        /// Why the first of them would.
        reason: String,
        /// What to do.
        advice: String,
    },
    /// A view cannot be what it was to become because of the views that read it.
    #[error("view {} cannot be replaced: {reason}", quoted(.name))]
    ViewInUse {
        /// The view.
        name: String,
        /// What stands in the way.
        reason: String,
    },
    /// A table where a view is needed, or a view where a table is.
    #[error("{} is a {found}, {advice}", quoted(.name))]
    WrongObject {
        /// The name.
        name: String,
        /// What it is.
        found: ObjectKind,
        /// What to do instead.
        advice: &'static str,
    },
    /// Something a new view reads has changed since it was planned.
    #[error("what view '{view}' reads was changed meanwhile, run the statement again")]
    ViewSourceChanged {
        /// The view.
        view: String,
    },
    /// A table, or what reads it, has changed since its next version was planned.
    #[error("table '{table}' was altered meanwhile, run the statement again")]
    AlteredMeanwhile {
        /// The table.
        table: String,
    },
    /// The namespace a new table was defined in gave way to another of its name.
    #[error(
        "the namespace '{namespace}' was dropped and created anew meanwhile, run the statement \
         again"
    )]
    NamespaceReplaced {
        /// The namespace.
        namespace: String,
    },
    /// A type in a column definition cannot be.
    #[error(transparent)]
    Type(#[from] TypeError),
    /// A password could not be hashed or a stored hash not be read.
    #[error("cannot process the password of user '{user}': {reason}")]
    PasswordHash {
        /// The user.
        user: String,
        /// The library's reason.
        reason: String,
    },
    /// The catalog as stored contradicts itself.
    #[error("the stored catalog is damaged: {reason}")]
    DamagedCatalog {
        /// What contradicts what.
        reason: String,
    },
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SqlError {
    /// What the caller should do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Syntax { .. } | Self::Invalid { .. } | Self::Coded { .. } | Self::Type(_) => {
                ErrorKind::InvalidInput
            }
            Self::Unsupported { .. } => ErrorKind::Unsupported,
            Self::TooLarge { .. } => ErrorKind::InvalidInput,
            // What a statement says of an object that does exist is the statement's fault.
            Self::NotFound {
                object:
                    ObjectKind::Column | ObjectKind::Setting | ObjectKind::Option | ObjectKind::Type,
                ..
            } => ErrorKind::InvalidInput,
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::AlreadyExists { .. } => ErrorKind::AlreadyExists,
            Self::PermissionDenied { .. } => ErrorKind::PermissionDenied,
            Self::WrongPassword => ErrorKind::Unauthenticated,
            Self::NamespaceNotEmpty { .. }
            | Self::ReadByViews { .. }
            | Self::NamedByViews { .. }
            | Self::ColumnInUse { .. }
            | Self::BreaksViews { .. }
            | Self::ViewInUse { .. } => ErrorKind::FailedPrecondition,
            Self::WrongObject { .. } => ErrorKind::InvalidInput,
            Self::NamespaceReplaced { .. }
            | Self::ViewSourceChanged { .. }
            | Self::AlteredMeanwhile { .. } => ErrorKind::Conflict,
            Self::PasswordHash { .. } => ErrorKind::Internal,
            Self::DamagedCatalog { .. } => ErrorKind::DataLoss,
            Self::Store(error) => error.kind(),
        }
    }

    /// Where in the text the error is, when it has a place there.
    pub fn position(&self) -> Option<Position> {
        match self {
            Self::Syntax { position, .. }
            | Self::Unsupported { position, .. }
            | Self::Coded { position, .. }
            | Self::Invalid { position, .. } => *position,
            _ => None,
        }
    }

    /// An [`SqlError::Invalid`] without a position.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid { message: message.into(), position: None }
    }

    /// An [`SqlError::Coded`] without a position.
    pub fn coded(state: SqlState, message: impl Into<String>) -> Self {
        Self::Coded { state, message: message.into(), position: None }
    }

    /// What a program is told.
    pub fn state(&self) -> SqlState {
        match self {
            Self::Syntax { .. } => SqlState::Syntax,
            Self::Coded { state, .. } => *state,
            Self::TooLarge { .. } => SqlState::TooLarge,
            Self::NotFound { object, .. } => match object {
                ObjectKind::Catalog => SqlState::UndefinedCatalog,
                ObjectKind::Namespace => SqlState::UndefinedNamespace,
                ObjectKind::Table | ObjectKind::View => SqlState::UndefinedTable,
                ObjectKind::Column => SqlState::UndefinedColumn,
                _ => SqlState::UndefinedObject,
            },
            Self::AlreadyExists { object, .. } => match object {
                ObjectKind::Namespace => SqlState::DuplicateNamespace,
                ObjectKind::Table | ObjectKind::View => SqlState::DuplicateTable,
                ObjectKind::Column => SqlState::DuplicateColumn,
                _ => SqlState::DuplicateObject,
            },
            Self::WrongPassword => SqlState::WrongPassword,
            Self::NamespaceNotEmpty { .. }
            | Self::ReadByViews { .. }
            | Self::NamedByViews { .. }
            | Self::ColumnInUse { .. }
            | Self::BreaksViews { .. } => SqlState::DependentObjects,
            Self::Type(_) => SqlState::InvalidTableDefinition,
            Self::Store(error) => error.state(),
            other => SqlState::of_kind(other.kind()),
        }
    }

    /// The name the error is about, for [`crate::find_in_text`].
    pub fn subject(&self) -> Option<Sought> {
        match self {
            Self::NotFound { object, name, .. } | Self::AlreadyExists { object, name } => {
                match object {
                    ObjectKind::Table => Some(Sought::table(name)),
                    ObjectKind::Column => Some(Sought::Column(name.clone())),
                    _ => Some(Sought::Name(name.clone())),
                }
            }
            Self::Coded { state: SqlState::UndefinedColumn, message, position: None } => {
                let (name, _) = message.strip_prefix("column '")?.split_once("' does not exist")?;
                Some(Sought::Column(name.to_owned()))
            }
            _ => None,
        }
    }

    /// An [`SqlError::Unsupported`] without a position.
    pub fn unsupported(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::Unsupported { what: what.into(), advice: advice.into(), position: None }
    }

    /// The same error, placed at `place` unless it has a place already.
    pub(crate) fn at(mut self, place: Option<Position>) -> Self {
        match &mut self {
            Self::Syntax { position, .. }
            | Self::Unsupported { position, .. }
            | Self::Coded { position, .. }
            | Self::Invalid { position, .. } => *position = position.or(place),
            _ => {}
        }
        self
    }
}

fn at(position: &Option<Position>) -> String {
    position.map(|position| format!(" (at {position})")).unwrap_or_default()
}

fn advice_suffix(advice: &str) -> String {
    if advice.is_empty() { String::new() } else { format!(", {advice}") }
}

fn did_you_mean(suggestion: &Option<String>) -> String {
    match suggestion {
        Some(name) => format!(", did you mean {}?", quoted(name)),
        None => String::new(),
    }
}

/// A name for a message: control characters escaped, long names cut.
fn quoted(name: &str) -> String {
    const SHOWN_CHARS_MAX: usize = 200;
    let mut shown: String = name.chars().take(SHOWN_CHARS_MAX).flat_map(escape_control).collect();
    if name.chars().nth(SHOWN_CHARS_MAX).is_some() {
        shown.push('…');
    }
    format!("'{shown}'")
}

fn escape_control(c: char) -> Vec<char> {
    if c.is_control() { c.escape_default().collect() } else { vec![c] }
}
