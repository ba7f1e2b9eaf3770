//! How often a password may be guessed.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Wrong passwords for one user name within [`WINDOW`].
pub(super) const FAILURES_PER_WINDOW_MAX: u32 = 10;
/// The time over which wrong passwords are counted.
pub(super) const WINDOW: Duration = Duration::from_secs(60);
/// User names remembered; beyond it the counts of the oldest windows are forgotten first.
const NAMES_MAX: usize = 10_000;

/// Counts wrong passwords by user name, known or not.
#[derive(Debug, Default)]
pub(super) struct FailedAttempts {
    windows: Mutex<HashMap<String, FailureWindow>>,
}

#[derive(Debug, Clone, Copy)]
struct FailureWindow {
    started: Instant,
    failures: u32,
}

impl FailedAttempts {
    /// True when `user` has used up the attempts of the present window.
    pub(super) fn is_locked(&self, user: &str, now: Instant) -> bool {
        self.windows.lock().get(user).is_some_and(|window| {
            now.saturating_duration_since(window.started) < WINDOW
                && window.failures >= FAILURES_PER_WINDOW_MAX
        })
    }

    /// Counts a wrong password.
    pub(super) fn record(&self, user: &str, now: Instant) {
        let mut windows = self.windows.lock();
        if windows.len() >= NAMES_MAX && !windows.contains_key(user) {
            make_room(&mut windows, now);
        }
        let window =
            windows.entry(user.to_owned()).or_insert(FailureWindow { started: now, failures: 0 });
        if now.saturating_duration_since(window.started) >= WINDOW {
            *window = FailureWindow { started: now, failures: 0 };
        }
        window.failures += 1;
    }
}

fn make_room(windows: &mut HashMap<String, FailureWindow>, now: Instant) {
    windows.retain(|_, window| now.saturating_duration_since(window.started) < WINDOW);
    if windows.len() >= NAMES_MAX {
        let oldest = windows.iter().min_by_key(|(_, window)| window.started);
        if let Some(name) = oldest.map(|(name, _)| name.clone()) {
            windows.remove(&name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guessing_is_stopped_for_the_rest_of_the_window() {
        let attempts = FailedAttempts::default();
        let start = Instant::now();
        for _ in 0..FAILURES_PER_WINDOW_MAX {
            assert!(!attempts.is_locked("root", start));
            attempts.record("root", start);
        }
        assert!(attempts.is_locked("root", start));
        assert!(!attempts.is_locked("alice", start));
        assert!(!attempts.is_locked("root", start + WINDOW));
    }

    #[test]
    fn the_memory_of_names_is_bounded() {
        let attempts = FailedAttempts::default();
        let start = Instant::now();
        for i in 0..NAMES_MAX + 10 {
            attempts.record(&format!("user{i}"), start);
        }
        assert!(attempts.windows.lock().len() <= NAMES_MAX);
    }
}
