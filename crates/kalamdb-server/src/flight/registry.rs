//! Things clients refer to by handle: bounded in number and in bytes, and gone after a while.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kalamdb_commons::UserId;
use parking_lot::Mutex;
use uuid::Uuid;

use super::sessions::SessionKey;

/// Bytes of a handle.
const HANDLE_BYTES: usize = 16;

/// Names one entry; random, so that it cannot be guessed.
pub type Handle = [u8; HANDLE_BYTES];

/// The bounds of one registry.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Entries kept; beyond it the one not used for longest goes.
    pub entries_max: usize,
    /// Bytes all entries may weigh together; beyond it the same.
    pub bytes_max: usize,
    /// How long an entry lives after its last use.
    pub idle: Duration,
    /// How long an entry lives, however much it is used.
    pub age_max: Option<Duration>,
}

impl Bounds {
    fn are_over<V>(&self, entry: &Entry<V>) -> bool {
        entry.used_at.elapsed() >= self.idle
            || self.age_max.is_some_and(|age_max| entry.made_at.elapsed() >= age_max)
    }
}

/// Values by handle, each for its owner only.
#[derive(Debug)]
pub struct Registry<V> {
    bounds: Bounds,
    state: Mutex<State<V>>,
}

#[derive(Debug)]
struct State<V> {
    entries: HashMap<Handle, Entry<V>>,
    /// Handles in the order of their last use.
    by_use: BTreeMap<u64, Handle>,
    next_use: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Entry<V> {
    value: Arc<V>,
    owner: UserId,
    session: SessionKey,
    bytes: usize,
    last_use: u64,
    made_at: Instant,
    used_at: Instant,
}

impl<V> Registry<V> {
    /// An empty registry.
    pub fn new(bounds: Bounds) -> Self {
        let state =
            State { entries: HashMap::new(), by_use: BTreeMap::new(), next_use: 0, bytes: 0 };
        Self { bounds, state: Mutex::new(state) }
    }

    /// Keeps `value`, which weighs `bytes`, for `owner`; it goes with `session` at the latest.
    pub fn insert(
        &self,
        owner: &UserId,
        session: &SessionKey,
        bytes: usize,
        value: Arc<V>,
    ) -> Handle {
        let handle = Uuid::new_v4().into_bytes();
        let mut state = self.state.lock();
        while !state.entries.is_empty()
            && (state.entries.len() >= self.bounds.entries_max
                || state.bytes.saturating_add(bytes) > self.bounds.bytes_max)
        {
            state.remove_least_used();
        }
        let last_use = state.stamp(handle);
        state.bytes += bytes;
        state.entries.insert(
            handle,
            Entry {
                value,
                owner: owner.clone(),
                session: session.clone(),
                bytes,
                last_use,
                made_at: Instant::now(),
                used_at: Instant::now(),
            },
        );
        handle
    }

    /// The value under `handle`, if it is there and `owner`'s; counts as a use.
    pub fn get(&self, handle: &[u8], owner: &UserId) -> Option<Arc<V>> {
        let handle = Handle::try_from(handle).ok()?;
        let mut state = self.state.lock();
        let entry = state.entries.get(&handle).filter(|entry| entry.owner == *owner)?;
        if self.bounds.are_over(entry) {
            state.remove(&handle);
            return None;
        }
        let before = entry.last_use;
        state.by_use.remove(&before);
        let last_use = state.stamp(handle);
        let entry = state.entries.get_mut(&handle)?;
        entry.last_use = last_use;
        entry.used_at = Instant::now();
        Some(Arc::clone(&entry.value))
    }

    /// Takes the value out, if it is there and `owner`'s.
    pub fn remove(&self, handle: &[u8], owner: &UserId) -> Option<Arc<V>> {
        let handle = Handle::try_from(handle).ok()?;
        let mut state = self.state.lock();
        state.entries.get(&handle).filter(|entry| entry.owner == *owner)?;
        state.remove(&handle)
    }

    /// Removes everything of `session`.
    pub fn remove_session(&self, session: &SessionKey) {
        self.state.lock().remove_where(|entry| entry.session == *session);
    }

    /// Removes what has not been used for the idle time, and what is too old.
    pub fn sweep(&self) {
        self.state.lock().remove_where(|entry| self.bounds.are_over(entry));
    }

    /// Entries kept now.
    pub fn count(&self) -> usize {
        self.state.lock().entries.len()
    }
}

impl<V> State<V> {
    fn stamp(&mut self, handle: Handle) -> u64 {
        let stamp = self.next_use;
        self.next_use += 1;
        self.by_use.insert(stamp, handle);
        stamp
    }

    fn remove(&mut self, handle: &Handle) -> Option<Arc<V>> {
        let entry = self.entries.remove(handle)?;
        self.by_use.remove(&entry.last_use);
        self.bytes -= entry.bytes;
        Some(entry.value)
    }

    fn remove_least_used(&mut self) {
        if let Some((_, handle)) = self.by_use.pop_first() {
            self.remove(&handle);
        }
    }

    fn remove_where(&mut self, gone: impl Fn(&Entry<V>) -> bool) {
        let handles: Vec<Handle> = self
            .entries
            .iter()
            .filter(|(_, entry)| gone(entry))
            .map(|(handle, _)| *handle)
            .collect();
        for handle in handles {
            self.remove(&handle);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry(entries_max: usize, bytes_max: usize, idle: Duration) -> Registry<u32> {
        Registry::new(Bounds { entries_max, bytes_max, idle, age_max: None })
    }

    fn session(id: &str) -> SessionKey {
        SessionKey::Token(id.into())
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn an_entry_is_its_owner_s_only() {
        let registry = registry(8, 1000, HOUR);
        let (alice, bob) = (UserId::new("alice"), UserId::new("bob"));
        let handle = registry.insert(&alice, &session("a"), 1, Arc::new(7));
        assert!(registry.get(&handle, &bob).is_none());
        assert!(registry.remove(&handle, &bob).is_none());
        assert_eq!(registry.get(&handle, &alice).as_deref(), Some(&7));
        assert!(registry.get(b"short", &alice).is_none());
        assert_eq!(registry.remove(&handle, &alice).as_deref(), Some(&7));
        assert_eq!(registry.count(), 0);
    }

    #[test]
    fn beyond_the_bounds_the_least_used_goes() {
        let registry = registry(2, 1000, HOUR);
        let alice = UserId::new("alice");
        let first = registry.insert(&alice, &session("a"), 1, Arc::new(1));
        let second = registry.insert(&alice, &session("a"), 1, Arc::new(2));
        registry.get(&first, &alice);
        registry.insert(&alice, &session("a"), 1, Arc::new(3));
        assert!(registry.get(&first, &alice).is_some());
        assert!(registry.get(&second, &alice).is_none());
    }

    #[test]
    fn the_bytes_are_bounded_too() {
        let registry = registry(100, 10, HOUR);
        let alice = UserId::new("alice");
        for i in 0..20 {
            registry.insert(&alice, &session("a"), 4, Arc::new(i));
        }
        assert_eq!(registry.count(), 2);
        // One entry above the bound is kept alone.
        registry.insert(&alice, &session("a"), 40, Arc::new(99));
        assert_eq!(registry.count(), 1);
    }

    #[test]
    fn a_session_takes_its_entries_along() {
        let registry = registry(8, 1000, HOUR);
        let alice = UserId::new("alice");
        registry.insert(&alice, &session("a"), 1, Arc::new(1));
        let kept = registry.insert(&alice, &session("b"), 1, Arc::new(2));
        registry.remove_session(&session("a"));
        assert_eq!(registry.count(), 1);
        assert!(registry.get(&kept, &alice).is_some());
    }

    #[test]
    fn what_is_too_old_is_gone_however_much_it_is_used() {
        let bounds = Bounds { entries_max: 8, bytes_max: 1000, idle: HOUR, age_max: None };
        let alice = UserId::new("alice");
        let young = Registry::new(Bounds { age_max: Some(HOUR), ..bounds });
        let handle = young.insert(&alice, &session("a"), 1, Arc::new(1));
        assert!(young.get(&handle, &alice).is_some());
        let old = Registry::new(Bounds { age_max: Some(Duration::ZERO), ..bounds });
        let handle = old.insert(&alice, &session("a"), 1, Arc::new(1));
        assert!(old.get(&handle, &alice).is_none());
        old.insert(&alice, &session("a"), 1, Arc::new(1));
        old.sweep();
        assert_eq!(old.count(), 0);
    }

    #[test]
    fn what_is_idle_for_too_long_is_gone() {
        let registry = registry(8, 1000, Duration::ZERO);
        let alice = UserId::new("alice");
        let handle = registry.insert(&alice, &session("a"), 1, Arc::new(1));
        assert!(registry.get(&handle, &alice).is_none());
        registry.insert(&alice, &session("a"), 1, Arc::new(1));
        registry.sweep();
        assert_eq!(registry.count(), 0);
    }
}
