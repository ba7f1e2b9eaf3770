//! Remembers for a short while that a password was right, because checking one costs tens of
//! milliseconds and some clients send it with every request.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::SigningKey;
use super::signing::SIGNATURE_BYTES;

/// How long a verified password is believed; a changed password may be used this much longer.
pub(super) const BELIEVED_FOR: Duration = Duration::from_secs(30);
/// Verified passwords remembered.
const ENTRIES_MAX: usize = 1024;

/// Verified passwords by a keyed hash of name and password; the passwords are not kept.
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
    pub(super) fn contains(&self, user: &str, password: &str, now: Instant) -> bool {
        let verified_at = self.verified_at.lock().get(&self.digest(user, password)).copied();
        verified_at.is_some_and(|at| now.saturating_duration_since(at) < BELIEVED_FOR)
    }

    /// Remembers a verified pair.
    pub(super) fn insert(&self, user: &str, password: &str, now: Instant) {
        let digest = self.digest(user, password);
        let mut verified_at = self.verified_at.lock();
        if verified_at.len() >= ENTRIES_MAX {
            verified_at.retain(|_, at| now.saturating_duration_since(*at) < BELIEVED_FOR);
        }
        if verified_at.len() < ENTRIES_MAX {
            verified_at.insert(digest, now);
        }
    }

    fn digest(&self, user: &str, password: &str) -> [u8; SIGNATURE_BYTES] {
        let mut message = Vec::with_capacity(8 + user.len() + password.len());
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
    fn a_verified_pair_is_believed_for_a_while() {
        let cache = PasswordCache::new(SigningKey::derive(&[0; 32], "passwords"));
        let now = Instant::now();
        cache.insert("ab", "c", now);
        assert!(cache.contains("ab", "c", now));
        assert!(!cache.contains("a", "bc", now));
        assert!(!cache.contains("ab", "c", now + BELIEVED_FOR));
    }
}
