//! Roles, and the principal on whose behalf a statement runs.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::UserId;

/// What a user may do; each role includes the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Own rows of USER tables, public SHARED tables for reading.
    User,
    /// An application back end: reads and writes SHARED tables.
    Service,
    /// Administers namespaces, tables and users.
    Dba,
    /// The server's own account.
    System,
}

impl Role {
    /// All roles, least first.
    pub const ALL: [Self; 4] = [Self::User, Self::Service, Self::Dba, Self::System];

    /// The name used in SQL and in system tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Service => "service",
            Self::Dba => "dba",
            Self::System => "system",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| format!("unknown role '{text}', use user, service, dba or system"))
    }
}

/// Who a statement runs for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Principal {
    /// Partition key of USER tables.
    pub user_id: UserId,
    /// The name the user signs in with.
    pub user_name: Arc<str>,
    /// What the user may do.
    pub role: Role,
}

impl Principal {
    /// True when the principal's role includes `role`.
    pub fn has_role(&self, role: Role) -> bool {
        self.role >= role
    }
}
