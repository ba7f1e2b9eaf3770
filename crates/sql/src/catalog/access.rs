//! Who may do what.
//!
//! | | user | service | dba, system |
//! |---|---|---|---|
//! | USER table: rows | own | own | own |
//! | USER table: create | yes | yes | yes |
//! | SHARED public: read / write | yes / no | yes / yes | yes / yes |
//! | SHARED private: read / write | no / no | yes / yes | yes / yes |
//! | SHARED restricted: read / write | no / no | yes / yes, not listed | yes / yes |
//! | SHARED table: create | no | yes | yes |
//! | STREAM table: create, read, append | yes | yes | yes |
//! | drop a table | no | SHARED ones it created | yes |
//! | namespaces, users | no | no | yes |
//!
//! A STREAM table is one set of rows for everybody: who may read all of it may add to it. Events
//! come from the users themselves, and rows nobody may change need no owner. Its bounds, which all
//! share, are its creator's choice; dropping it takes a dba.
//!
//! A USER table never shows one user's rows to another, whatever the role: that is not a matter
//! of rights but of the key its rows are stored under.

use kalamdb_commons::{AccessLevel, Principal, Role, SqlState, TableType};

use super::{CatalogSnapshot, RESERVED_NAMESPACES, TableEntry};
use crate::error::SqlError;

/// What a statement does with a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// SELECT.
    Read,
    /// INSERT, UPDATE, DELETE, ingest.
    Write,
    /// DROP TABLE, and changes to the definition.
    Ddl,
}

impl TableEntry {
    /// True when listings show the table to the principal.
    pub fn is_visible_to(&self, principal: &Principal) -> bool {
        let definition = &self.definition;
        match (definition.table_type, definition.options.access_level) {
            (TableType::User | TableType::Stream, _) => true,
            (TableType::Shared, AccessLevel::Public) => true,
            (TableType::Shared, AccessLevel::Private) => principal.has_role(Role::Service),
            (TableType::Shared, AccessLevel::Restricted) => principal.has_role(Role::Dba),
        }
    }

    /// The least role that may read every row meant for it.
    fn read_role(&self) -> Role {
        match (self.definition.table_type, self.definition.options.access_level) {
            (TableType::Shared, AccessLevel::Private | AccessLevel::Restricted) => Role::Service,
            _ => Role::User,
        }
    }

    fn write_role(&self) -> Role {
        match self.definition.table_type {
            TableType::Shared => Role::Service,
            TableType::User | TableType::Stream => Role::User,
        }
    }

    /// Checks one kind of access.
    ///
    /// # Errors
    /// PermissionDenied, naming the role that would do.
    pub fn authorize(&self, principal: &Principal, access: Access) -> Result<(), SqlError> {
        let definition = &self.definition;
        let (verb, needed) = match access {
            Access::Read => ("read", self.read_role()),
            Access::Write => ("write", self.write_role()),
            Access::Ddl => {
                let own = definition.table_type == TableType::Shared
                    && definition.created_by == principal.user_id;
                ("drop or alter", if own { Role::Service } else { Role::Dba })
            }
        };
        let action = || format!("{verb} {}", describe(self));
        let created = definition.created_by == principal.user_id;
        match require(principal, needed, action) {
            Err(SqlError::PermissionDenied { user, role, action, advice })
                if access == Access::Ddl && created && needed == Role::Dba =>
            {
                let advice = format!("{advice}, also of who created it: it has the rows of others");
                Err(SqlError::PermissionDenied { user, role, action, advice })
            }
            checked => checked,
        }
    }
}

fn describe(table: &TableEntry) -> String {
    let definition = &table.definition;
    let kind = match definition.table_type {
        TableType::Shared => definition.options.access_level.as_str(),
        other => other.as_str(),
    };
    format!("the {kind} table {}", definition.qualified_name())
}

impl CatalogSnapshot {
    /// May the principal read the table?
    pub fn authorize_read(
        &self,
        principal: &Principal,
        table: &TableEntry,
    ) -> Result<(), SqlError> {
        table.authorize(principal, Access::Read)
    }

    /// May the principal insert, update and delete rows of the table?
    pub fn authorize_write(
        &self,
        principal: &Principal,
        table: &TableEntry,
    ) -> Result<(), SqlError> {
        table.authorize(principal, Access::Write)
    }

    /// May the principal drop or alter the table?
    pub fn authorize_ddl(&self, principal: &Principal, table: &TableEntry) -> Result<(), SqlError> {
        table.authorize(principal, Access::Ddl)
    }

    /// May the principal read the system tables?
    pub fn authorize_system(&self, principal: &Principal) -> Result<(), SqlError> {
        require(principal, Role::Dba, || "read the system tables".to_owned())
    }
}

/// PermissionDenied unless the principal's role includes `needed`.
pub(super) fn require(
    principal: &Principal,
    needed: Role,
    action: impl FnOnce() -> String,
) -> Result<(), SqlError> {
    if principal.has_role(needed) {
        return Ok(());
    }
    Err(SqlError::PermissionDenied {
        user: principal.user_name.to_string(),
        role: principal.role,
        action: action(),
        advice: format!("it needs the role {needed} or above"),
    })
}

/// Reserved namespaces are nobody's to change.
pub(super) fn refuse_reserved(namespace: &str) -> Result<(), SqlError> {
    if RESERVED_NAMESPACES.contains(&namespace) {
        return Err(SqlError::coded(
            SqlState::ReservedName,
            format!("the namespace {namespace} is the system's own, use another"),
        ));
    }
    Ok(())
}
