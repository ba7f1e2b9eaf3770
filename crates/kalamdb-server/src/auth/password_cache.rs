//! Remembers for a short while that a password was right, because checking one costs tens of
//! milliseconds and some clients send it with every request.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::SigningKey;
use super::signing::SIGNATURE_BYTES;

/// How long a verified password is believed.
pub(super) const BELIEVED_FOR: Duration = Duration::from_secs(30);
/// Verified passwords remembered.
const ENTRIES_MAX: usize = 1024;

/// A user name and password, and when the user was last changed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Login<'a> {
    pub(super) user: &'a str,
    pub(super) password: &'a str,
    pub(super) changed_at_us: i64,
}

/// Verified passwords by a keyed hash of name, password and the moment the user was last changed:
/// a new password ends the belief in the old one. The passwords are not kept.
#[derive(Debug)]
pub(super) struct PasswordCache {
    key: SigningKey,
    verified_at: Mutex<HashMap<[u8; SIGNATURE_BYTES], Instant>>,
}

impl PasswordCache {
    pub(super) fn new(key: SigningKey) -> Self {
        Self { key, verified_at: Mutex::default() }
    }

    /// True when the pair was verified not long ago.
    pub(super) fn contains(&self, login: &Login<'_>, now: Instant) -> bool {
        let verified_at = self.verified_at.lock().get(&self.digest(login)).copied();
        verified_at.is_some_and(|at| now.saturating_duration_since(at) < BELIEVED_FOR)
    }

    /// Remembers a verified pair.
    pub(super) fn insert(&self, login: &Login<'_>, now: Instant) {
        let digest = self.digest(login);
        let mut verified_at = self.verified_at.lock();
        if verified_at.len() >= ENTRIES_MAX {
            verified_at.retain(|_, at| now.saturating_duration_since(*at) < BELIEVED_FOR);
        }
        if verified_at.len() < ENTRIES_MAX {
            verified_at.insert(digest, now);
        }
    }

    fn digest(&self, login: &Login<'_>) -> [u8; SIGNATURE_BYTES] {
        let Login { user, password, changed_at_us } = login;
        let mut message = Vec::with_capacity(16 + user.len() + password.len());
        message.extend_from_slice(&changed_at_us.to_be_bytes());
        message.extend_from_slice(&(user.len() as u64).to_be_bytes());
        message.extend_from_slice(user.as_bytes());
        message.extend_from_slice(password.as_bytes());
        self.key.sign(&message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verified_login_is_believed_for_a_while() {
        let cache = PasswordCache::new(SigningKey::derive(&[0; 32], "passwords"));
        let now = Instant::now();
        let login = Login { user: "ab", password: "c", changed_at_us: 7 };
        cache.insert(&login, now);
        assert!(cache.contains(&login, now));
        assert!(!cache.contains(&Login { user: "a", password: "bc", ..login }, now));
        assert!(!cache.contains(&Login { changed_at_us: 8, ..login }, now));
        assert!(!cache.contains(&login, now + BELIEVED_FOR));
    }
}
