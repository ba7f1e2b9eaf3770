//! Passwords: argon2id, as PHC strings.

use std::sync::LazyLock;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{Error, PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};

use crate::error::SqlError;

/// KiB of memory one hash takes.
const MEMORY_KIB: u32 = 19 << 10;
/// Passes over that memory.
const PASSES: u32 = 2;
/// Lanes computed side by side.
const LANES: u32 = 1;
/// Bytes of a password.
const PASSWORD_BYTES_MAX: usize = 1024;

/// What the password of an unknown user is compared with: as costly as a real comparison, so
/// that the time of an answer does not tell which users exist.
static DUMMY_HASH: LazyLock<Option<String>> =
    LazyLock::new(|| hash_password("", "no user has this password").ok());

fn hasher() -> Result<Argon2<'static>, argon2::Error> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// The hash to store for a user's password. Takes tens of milliseconds.
pub(super) fn hash_password(user: &str, password: &str) -> Result<String, SqlError> {
    if password.is_empty() || password.len() > PASSWORD_BYTES_MAX {
        return Err(SqlError::invalid(format!(
            "a password has 1 to {PASSWORD_BYTES_MAX} bytes, this one has {}",
            password.len()
        )));
    }
    let failed = |reason: String| SqlError::PasswordHash { user: user.to_owned(), reason };
    let hasher = hasher().map_err(|error| failed(error.to_string()))?;
    let hash: PasswordHash =
        hasher.hash_password(password.as_bytes()).map_err(|error| failed(error.to_string()))?;
    Ok(hash.to_string())
}

/// Compares a password with a stored hash; `None` is the hash of an unknown user, which takes as
/// long and never fits.
///
/// # Errors
/// WrongPassword; PasswordHash when the stored hash cannot be read.
pub(super) fn verify_password(
    user: &str,
    password: &str,
    stored: Option<&str>,
) -> Result<(), SqlError> {
    let Some(hash) = stored.or(DUMMY_HASH.as_deref()) else { return Err(SqlError::WrongPassword) };
    // Longer passwords cannot have been set, and are not worth hashing.
    let password = password.get(..password.len().min(PASSWORD_BYTES_MAX + 1)).unwrap_or_default();
    let failed = |reason: String| SqlError::PasswordHash { user: user.to_owned(), reason };
    let hasher = hasher().map_err(|error| failed(error.to_string()))?;
    match hasher.verify_password(password.as_bytes(), hash) {
        Ok(()) if stored.is_some() => Ok(()),
        Ok(()) | Err(Error::PasswordInvalid) => Err(SqlError::WrongPassword),
        Err(error) => Err(failed(error.to_string())),
    }
}
