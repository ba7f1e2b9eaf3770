//! How often a password may be guessed, and from where.
//!
//! Guessing is slow, and nobody locks out anybody else:
//!
//! - an origin may be wrong [`FAILURES_PER_LOGIN_MAX`] times a [`WINDOW`] about one user name, and
//!   [`FAILURES_PER_ORIGIN_MAX`] times about all names together;
//! - a name that was guessed wrong [`FAILURES_PER_NAME_FREE`] times from everywhere is answered at
//!   a steady pace: attempts wait for their turn, and are refused when too many wait.
//!
//! An origin from which a user has signed in lately is known for that user: it is asked for the
//! first bound only, so that strangers, however many, do not keep users out where they usually are.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::origin::Origin;

/// The time over which wrong passwords are counted.
pub(super) const WINDOW: Duration = Duration::from_secs(60);
/// Wrong passwords for one user name from one origin.
pub(super) const FAILURES_PER_LOGIN_MAX: u32 = 10;
/// Wrong passwords from one origin, whatever the names.
pub(super) const FAILURES_PER_ORIGIN_MAX: u32 = 100;
/// Wrong passwords for one user name, wherever from, before its attempts are slowed down.
pub(super) const FAILURES_PER_NAME_FREE: u32 = 50;
/// The time between two attempts for a name that is slowed down.
pub(super) const PACE: Duration = Duration::from_millis(500);
/// How long an attempt may wait for its turn.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(5);
/// How long an origin stays known after a sign-in.
const KNOWN_FOR: Duration = Duration::from_secs(24 * 3600);
/// Entries of each kind; beyond it the oldest go. A window sees fewer wrong passwords than this:
/// each costs a core for tens of milliseconds.
const ENTRIES_MAX: usize = 10_000;

/// Why an attempt is not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooManyAttempts;

/// Counts wrong passwords by user name and origin, known names or not.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    /// Names are kept as hashes: they may be long, and there may be many.
    hasher: RandomState,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    by_login: Recent<(u64, Origin), Failures>,
    by_origin: Recent<Origin, Failures>,
    by_name: Recent<u64, Failures>,
    /// When the next attempt for a slowed-down name may be looked at.
    next_turns: Recent<u64, Instant>,
    /// Where users have signed in from.
    known: Recent<(u64, Origin), ()>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Failures(u32);

impl Attempts {
    /// How long an attempt must wait before it is looked at; most need not.
    pub(super) fn admit(
        &self,
        user: &str,
        origin: Origin,
        now: Instant,
    ) -> Result<Duration, TooManyAttempts> {
        let name = self.hasher.hash_one(user);
        let mut state = self.state.lock();
        if state.is_spent(name, origin, now) {
            return Err(TooManyAttempts);
        }
        let is_known = state.known.get(&(name, origin), KNOWN_FOR, now).is_some();
        if is_known || state.by_name.failures(&name, now) < FAILURES_PER_NAME_FREE {
            return Ok(Duration::ZERO);
        }
        let next_turn = state.next_turns.get(&name, WINDOW, now).copied().unwrap_or(now);
        let wait = next_turn.saturating_duration_since(now);
        if wait > WAIT_MAX {
            return Err(TooManyAttempts);
        }
        state.next_turns.put(name, next_turn.max(now) + PACE, now);
        Ok(wait)
    }

    /// True when the origin has used up its attempts: asked once more before a password is
    /// checked, because attempts that were admitted together count together.
    pub(super) fn is_spent(&self, user: &str, origin: Origin, now: Instant) -> bool {
        self.state.lock().is_spent(self.hasher.hash_one(user), origin, now)
    }

    /// Counts a wrong password.
    pub(super) fn failed(&self, user: &str, origin: Origin, now: Instant) {
        let name = self.hasher.hash_one(user);
        let mut state = self.state.lock();
        state.by_login.add_failure((name, origin), now);
        state.by_origin.add_failure(origin, now);
        state.by_name.add_failure(name, now);
    }

    /// Remembers where a user has signed in from.
    pub(super) fn succeeded(&self, user: &str, origin: Origin, now: Instant) {
        self.state.lock().known.put((self.hasher.hash_one(user), origin), (), now);
    }
}

impl State {
    fn is_spent(&self, name: u64, origin: Origin, now: Instant) -> bool {
        let login = (name, origin);
        let is_known = self.known.get(&login, KNOWN_FOR, now).is_some();
        self.by_login.failures(&login, now) >= FAILURES_PER_LOGIN_MAX
            || !is_known && self.by_origin.failures(&origin, now) >= FAILURES_PER_ORIGIN_MAX
    }
}

/// A bounded number of values, each with the time it was put there.
#[derive(Debug)]
struct Recent<K, V>(HashMap<K, (Instant, V)>);

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash + Copy, V> Recent<K, V> {
    /// The value, when it is younger than `lifetime`.
    fn get(&self, key: &K, lifetime: Duration, now: Instant) -> Option<&V> {
        let (since, value) = self.0.get(key)?;
        (now.saturating_duration_since(*since) < lifetime).then_some(value)
    }

    fn put(&mut self, key: K, value: V, now: Instant) {
        if self.0.len() >= ENTRIES_MAX
            && !self.0.contains_key(&key)
            && let Some(oldest) = self.0.iter().min_by_key(|(_, (since, _))| *since)
        {
            let oldest = *oldest.0;
            self.0.remove(&oldest);
        }
        self.0.insert(key, (now, value));
    }
}

impl<K: Eq + Hash + Copy> Recent<K, Failures> {
    fn failures(&self, key: &K, now: Instant) -> u32 {
        self.get(key, WINDOW, now).map_or(0, |failures| failures.0)
    }

    fn add_failure(&mut self, key: K, now: Instant) {
        match self.0.get_mut(&key) {
            Some((since, failures)) if now.saturating_duration_since(*since) < WINDOW => {
                failures.0 += 1;
            }
            _ => self.put(key, Failures(1), now),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn origin(number: u32) -> Origin {
        Origin::of(Some(IpAddr::V4(Ipv4Addr::from_bits(number))))
    }

    /// Guesses wrong from as many origins as it takes.
    fn guess_from_everywhere(attempts: &Attempts, user: &str, times: u32, now: Instant) {
        for time in 0..times {
            attempts.failed(user, origin(1000 + time / FAILURES_PER_LOGIN_MAX), now);
        }
    }

    #[test]
    fn guessing_is_stopped_for_the_rest_of_the_window_and_only_where_it_came_from() {
        let attempts = Attempts::default();
        let start = Instant::now();
        let (stranger, home) = (origin(1), origin(2));
        for _ in 0..FAILURES_PER_LOGIN_MAX {
            assert_eq!(attempts.admit("root", stranger, start), Ok(Duration::ZERO));
            assert!(!attempts.is_spent("root", stranger, start));
            attempts.failed("root", stranger, start);
        }
        assert_eq!(attempts.admit("root", stranger, start), Err(TooManyAttempts));
        assert!(attempts.is_spent("root", stranger, start));
        assert_eq!(attempts.admit("root", home, start), Ok(Duration::ZERO));
        assert_eq!(attempts.admit("alice", stranger, start), Ok(Duration::ZERO));
        assert_eq!(attempts.admit("root", stranger, start + WINDOW), Ok(Duration::ZERO));
    }

    #[test]
    fn an_origin_that_tries_many_names_is_stopped_and_its_known_users_are_not() {
        let attempts = Attempts::default();
        let now = Instant::now();
        attempts.succeeded("alice", origin(1), now);
        for number in 0..FAILURES_PER_ORIGIN_MAX {
            attempts.failed(&format!("user{number}"), origin(1), now);
        }
        assert_eq!(attempts.admit("another", origin(1), now), Err(TooManyAttempts));
        assert_eq!(attempts.admit("alice", origin(1), now), Ok(Duration::ZERO));
        assert_eq!(attempts.admit("another", origin(2), now), Ok(Duration::ZERO));
        let later = now + KNOWN_FOR;
        for _ in 0..FAILURES_PER_ORIGIN_MAX {
            attempts.failed("bob", origin(1), later);
        }
        assert_eq!(attempts.admit("alice", origin(1), later), Err(TooManyAttempts));
    }

    #[test]
    fn a_name_that_is_guessed_from_everywhere_is_answered_at_a_steady_pace() {
        let attempts = Attempts::default();
        let now = Instant::now();
        attempts.succeeded("root", origin(1), now);
        guess_from_everywhere(&attempts, "root", FAILURES_PER_NAME_FREE, now);
        let turns = u32::try_from(WAIT_MAX.as_millis() / PACE.as_millis()).unwrap();
        for turn in 0..=turns {
            assert_eq!(attempts.admit("root", origin(2), now), Ok(PACE * turn));
        }
        // Whoever comes now would wait too long; a little later there are turns again.
        assert_eq!(attempts.admit("root", origin(2), now), Err(TooManyAttempts));
        assert_eq!(attempts.admit("root", origin(2), now + PACE), Ok(WAIT_MAX));
        assert_eq!(attempts.admit("root", origin(1), now), Ok(Duration::ZERO), "root at home");
        assert_eq!(attempts.admit("alice", origin(2), now), Ok(Duration::ZERO));
        assert_eq!(attempts.admit("root", origin(2), now + WINDOW), Ok(Duration::ZERO));
    }

    #[test]
    fn the_memory_is_bounded_and_keeps_what_is_new() {
        let attempts = Attempts::default();
        let start = Instant::now();
        for number in 0..ENTRIES_MAX as u32 + 10 {
            let now = start + Duration::from_millis(u64::from(number));
            attempts.failed(&format!("user{number}"), origin(number), now);
        }
        let state = attempts.state.lock();
        assert_eq!(state.by_login.0.len(), ENTRIES_MAX);
        assert_eq!(state.by_name.0.len(), ENTRIES_MAX);
        assert_eq!(state.by_origin.0.len(), ENTRIES_MAX);
        assert!(!state.by_origin.0.contains_key(&origin(0)));
        assert!(state.by_origin.0.contains_key(&origin(ENTRIES_MAX as u32)));
    }
}
