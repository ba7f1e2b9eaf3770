//! CREATE USER, ALTER USER, DROP USER, and proof of a user's identity.

use std::sync::Arc;

use kalamdb_commons::{Principal, Role, SqlState, UserId, intern};
use kalamdb_store::CommitRequest;

use super::access::require;
use super::entities::User;
use super::passwords::{hash_password, verify_password};
use super::{Catalog, CatalogSnapshot, ROOT_USER};
use crate::error::{ObjectKind, SqlError};
use crate::parse::{AlterUser, CreateUser, Password, check_new_name, not_found};

/// Characters of a password, at least.
const PASSWORD_CHARS_MIN: usize = 8;

impl Catalog {
    /// Creates the user `root` with the role `system` unless there is one. Returns whether it
    /// was created, and so whether `password` is its password.
    pub fn ensure_root(&self, password: &str) -> Result<bool, SqlError> {
        if self.snapshot().user(ROOT_USER).is_some() {
            return Ok(false);
        }
        let hash = hash_password(ROOT_USER, password)?;
        let _changing = self.changing.lock();
        if self.snapshot().user(ROOT_USER).is_some() {
            return Ok(false);
        }
        self.put_user(self.new_user(UserId::new(ROOT_USER), ROOT_USER, Role::System, hash))?;
        Ok(true)
    }

    /// Who signs in as `name` with `password`. Takes tens of milliseconds, for unknown names too.
    ///
    /// # Errors
    /// Unauthenticated, which does not tell whether the name or the password is wrong.
    pub fn verify_password(&self, name: &str, password: &str) -> Result<Principal, SqlError> {
        let snapshot = self.snapshot();
        let user = snapshot.user(name);
        verify_password(name, password, user.map(|user| user.password_hash.as_str()))?;
        user.map(|user| user.principal()).ok_or(SqlError::WrongPassword)
    }

    /// Creates a user; returns false when it existed and `IF NOT EXISTS` says that is fine.
    ///
    /// # Errors
    /// PermissionDenied below dba or for a role above one's own, AlreadyExists.
    pub fn create_user(&self, principal: &Principal, user: &CreateUser) -> Result<bool, SqlError> {
        let CreateUser { name, password, role, if_not_exists } = user;
        require(principal, Role::Dba, || format!("create the user {name}"))?;
        require(principal, *role, || format!("give the role {role}"))?;
        check_new_name(ObjectKind::User, name)?;
        if name.contains(':') {
            let message = "a user name cannot contain ':', which ends it when signing in";
            return Err(SqlError::invalid(message));
        }
        if *if_not_exists && self.snapshot().user(name).is_some() {
            return Ok(false);
        }
        check_password(password)?;
        // Hashed before the lock is taken: it takes long.
        let hash = hash_password(name, &password.0)?;
        let _changing = self.changing.lock();
        if self.snapshot().user(name).is_some() {
            if *if_not_exists {
                return Ok(false);
            }
            let (object, name) = (ObjectKind::User, name.clone());
            return Err(SqlError::AlreadyExists { object, name });
        }
        let id = UserId::new(uuid::Uuid::now_v7().simple().to_string());
        self.put_user(self.new_user(id, name, *role, hash))?;
        tracing::info!(%name, %role, by = %principal.user_name, "user created");
        Ok(true)
    }

    /// Changes a user's password or role. Everybody may change its own password.
    ///
    /// # Errors
    /// PermissionDenied below dba, for users and roles above one's own, NotFound.
    pub fn alter_user(&self, principal: &Principal, change: &AlterUser) -> Result<(), SqlError> {
        let AlterUser { name, password, role } = change;
        let own_password = *name == *principal.user_name && role.is_none();
        if !own_password {
            require(principal, Role::Dba, || format!("alter the user {name}"))?;
        }
        let hash = match password {
            Some(password) => {
                known_user(&self.snapshot(), principal, name)?;
                check_password(password)?;
                Some(hash_password(name, &password.0)?)
            }
            None => None,
        };
        let _changing = self.changing.lock();
        let snapshot = self.snapshot();
        let known = known_user(&snapshot, principal, name)?;
        require(principal, known.role, || format!("alter the user {name} (role {})", known.role))?;
        let mut user = User::clone(known);
        if let Some(role) = role {
            require(principal, *role, || format!("give the role {role}"))?;
            if name == ROOT_USER && *role != user.role {
                return Err(SqlError::invalid("the role of root cannot be changed"));
            }
            user.role = *role;
        }
        if let Some(hash) = hash {
            user.password_hash = hash;
            user.credential_generation += 1;
        }
        user.updated_at_us = self.clock.now_us();
        let role = user.role;
        self.put_user(user)?;
        tracing::info!(
            %name, %role, password = password.is_some(), by = %principal.user_name, "user altered"
        );
        Ok(())
    }

    /// Drops a user; returns false when there was none and `if_exists` says that is fine. The
    /// user's rows in USER tables go once nothing reads them any more; a later user of the same
    /// name does not find them until then either, because ids are not given out twice.
    ///
    /// # Errors
    /// PermissionDenied below dba and for users above one's own role, NotFound.
    pub fn drop_user(
        &self,
        principal: &Principal,
        name: &str,
        if_exists: bool,
    ) -> Result<bool, SqlError> {
        require(principal, Role::Dba, || format!("drop the user {name}"))?;
        if name == ROOT_USER || *name == *principal.user_name {
            return Err(SqlError::invalid(format!(
                "the user {name} cannot be dropped: root always exists, and nobody drops itself"
            )));
        }
        let _changing = self.changing.lock();
        let snapshot = self.snapshot();
        let user = match known_user(&snapshot, principal, name) {
            Ok(user) => user,
            Err(_) if if_exists => return Ok(false),
            Err(error) => return Err(error),
        };
        require(principal, user.role, || format!("drop the user {name} (role {})", user.role))?;
        let request = CommitRequest {
            catalog: vec![self.users.delete_op(&user.id)],
            owners_dropped: vec![user.id.clone()],
            ..CommitRequest::default()
        };
        let mut next = CatalogSnapshot::clone(&snapshot);
        next.remove_user(name);
        self.commit(request, next)?;
        tracing::info!(name, by = %principal.user_name, "user dropped");
        Ok(true)
    }

    fn new_user(&self, id: UserId, name: &str, role: Role, password_hash: String) -> User {
        let now_us = self.clock.now_us();
        let (created_at_us, updated_at_us) = (now_us, now_us);
        User {
            id,
            name: intern(name),
            role,
            password_hash,
            created_at_us,
            updated_at_us,
            credential_generation: 0,
        }
    }

    /// The caller holds `changing`.
    fn put_user(&self, user: User) -> Result<(), SqlError> {
        let catalog = vec![self.users.put_op(&user.id, &user)?];
        let mut next = CatalogSnapshot::clone(&self.snapshot());
        next.put_user(Arc::new(user));
        self.commit(CommitRequest { catalog, ..Default::default() }, next)
    }
}

/// Refuses a password that is soon guessed.
fn check_password(password: &Password) -> Result<(), SqlError> {
    if password.0.chars().count() < PASSWORD_CHARS_MIN {
        return Err(SqlError::coded(
            SqlState::InvalidParameterValue,
            format!("the password is too short, use at least {PASSWORD_CHARS_MIN} characters"),
        ));
    }
    Ok(())
}

fn known_user<'a>(
    snapshot: &'a CatalogSnapshot,
    principal: &Principal,
    name: &str,
) -> Result<&'a Arc<User>, SqlError> {
    snapshot.user(name).ok_or_else(|| {
        let visible = snapshot.visible_users(principal);
        not_found(ObjectKind::User, name, visible.iter().map(|user| &*user.name))
    })
}
