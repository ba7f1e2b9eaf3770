//! What the catalog keeps of each object.

use std::fmt;
use std::sync::{Arc, OnceLock};

use datafusion::sql::sqlparser::ast;
use kalamdb_commons::{NamespaceId, Principal, Role, TableDefinition, UserId, ViewDefinition};
use kalamdb_store::{StoreError, TableLayout};
use serde::{Deserialize, Serialize};

use crate::parse::parse_view_query;

/// A namespace: a schema, in SQL terms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespace {
    /// Its identity; never given to another namespace.
    pub id: NamespaceId,
    /// Its name.
    pub name: Arc<str>,
    /// Who created it.
    pub created_by: UserId,
    /// When, µs since the Unix epoch.
    pub created_at_us: i64,
    /// The COMMENT ON text.
    #[serde(default)]
    pub comment: Option<String>,
}

/// A user account.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Partition key of the user's rows; never given to another user.
    pub id: UserId,
    /// The name the user signs in with.
    pub name: Arc<str>,
    /// What the user may do.
    pub role: Role,
    /// Argon2id, in PHC string form.
    pub(crate) password_hash: String,
    /// When the user was created, µs since the Unix epoch.
    pub created_at_us: i64,
    /// When password or role were last set, µs since the Unix epoch.
    pub updated_at_us: i64,
    /// How often the password was changed: what was issued for an earlier one, a token say, holds
    /// no more. Users written before this was counted have 0.
    #[serde(default)]
    pub credential_generation: u64,
}

impl User {
    /// The principal statements of this user run for.
    pub fn principal(&self) -> Principal {
        Principal { user_id: self.id.clone(), user_name: Arc::clone(&self.name), role: self.role }
    }
}

/// Without the password hash.
impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

/// A table, ready to be read and written.
pub struct TableEntry {
    /// The newest version of its definition.
    pub definition: Arc<TableDefinition>,
    /// How its rows are stored, those written with older versions among them.
    pub layout: Arc<TableLayout>,
    /// The older versions, from the first on.
    pub older: Arc<[Arc<TableDefinition>]>,
}

impl TableEntry {
    /// A table whose rows may have been written with one of `older` versions, too.
    ///
    /// # Errors
    /// A key of a type without an order.
    pub(super) fn new(
        definition: Arc<TableDefinition>,
        older: Vec<Arc<TableDefinition>>,
    ) -> Result<Self, StoreError> {
        let layout = Arc::new(TableLayout::with_versions(Arc::clone(&definition), &older)?);
        Ok(Self { definition, layout, older: older.into() })
    }

    /// Every version of the table, from the first on.
    pub fn versions(&self) -> impl DoubleEndedIterator<Item = &Arc<TableDefinition>> {
        self.older.iter().chain([&self.definition])
    }
}

impl fmt::Debug for TableEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableEntry").field("definition", &self.definition).finish_non_exhaustive()
    }
}

/// A view, ready to be planned.
pub struct ViewEntry {
    /// What it is.
    pub definition: ViewDefinition,
    /// Its query, parsed when it is first needed; the reason when that fails.
    query: OnceLock<Result<Box<ast::Query>, String>>,
}

impl ViewEntry {
    pub(super) fn new(definition: ViewDefinition) -> Self {
        Self { definition, query: OnceLock::new() }
    }

    /// Its query.
    ///
    /// # Errors
    /// What the parser says, should it no longer understand what it understood once.
    pub fn query(&self) -> Result<&ast::Query, &str> {
        let parse = || parse_view_query(&self.definition.query).map_err(|error| error.to_string());
        self.query.get_or_init(parse).as_deref().map_err(String::as_str)
    }
}

impl fmt::Debug for ViewEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ViewEntry").field("definition", &self.definition).finish_non_exhaustive()
    }
}
