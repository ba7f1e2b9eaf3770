//! Sessions: what a client has set up (its namespace), found again by the token it shows, else
//! by the connection it uses.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kalamdb_commons::{Principal, UserId};
use kalamdb_core::{Engine, Session};
use parking_lot::Mutex;

/// Sessions kept at the same time; beyond it the one idle for longest goes.
const SESSIONS_MAX: usize = 16_384;
/// How long a session lives after its last request.
const SESSION_IDLE: Duration = Duration::from_secs(4 * 3600);

/// What names a session.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SessionKey {
    /// The id of a bearer token.
    Token(Arc<str>),
    /// A user on a connection, for clients that send a password with every request.
    Connection(Option<SocketAddr>, UserId),
}

/// The sessions of all clients.
#[derive(Debug, Default)]
pub struct Sessions {
    by_key: Mutex<HashMap<SessionKey, Entry>>,
}

#[derive(Debug)]
struct Entry {
    session: Arc<Session>,
    used_at: Instant,
}

impl Sessions {
    /// The session under `key` and whether it is new. A session whose principal has another role
    /// by now is replaced by one with the same namespace.
    pub fn open(
        &self,
        engine: &Engine,
        key: &SessionKey,
        principal: &Principal,
    ) -> (Arc<Session>, bool) {
        let mut by_key = self.by_key.lock();
        let mut namespace = None;
        if let Some(entry) = by_key.get_mut(key) {
            entry.used_at = Instant::now();
            if entry.session.principal() == principal {
                return (Arc::clone(&entry.session), false);
            }
            namespace = Some(entry.session.namespace());
        } else if by_key.len() >= SESSIONS_MAX {
            remove_idlest(&mut by_key);
        }
        let session = engine.session(principal.clone());
        if let Some(namespace) = &namespace {
            // Where the new role may not see the namespace, the session starts over in the default.
            let kept = engine.use_namespace(&session, namespace);
            tracing::debug!(kept = kept.is_ok(), "role changed, session renewed");
        }
        let entry = Entry { session: Arc::clone(&session), used_at: Instant::now() };
        by_key.insert(key.clone(), entry);
        (session, namespace.is_none())
    }

    /// The session under `key`, if there is one; does not count as a use.
    pub fn peek(&self, key: &SessionKey) -> Option<Arc<Session>> {
        self.by_key.lock().get(key).map(|entry| Arc::clone(&entry.session))
    }

    /// Marks the session as used: a long result keeps its session alive.
    pub fn touch(&self, key: &SessionKey) {
        if let Some(entry) = self.by_key.lock().get_mut(key) {
            entry.used_at = Instant::now();
        }
    }

    /// Ends the session; false when there was none.
    pub fn close(&self, key: &SessionKey) -> bool {
        self.by_key.lock().remove(key).is_some()
    }

    /// Ends sessions that nobody has used for long.
    pub fn sweep(&self) {
        self.by_key.lock().retain(|_, entry| entry.used_at.elapsed() < SESSION_IDLE);
    }

    /// Sessions open now.
    pub fn count(&self) -> usize {
        self.by_key.lock().len()
    }
}

fn remove_idlest(by_key: &mut HashMap<SessionKey, Entry>) {
    let idlest = by_key.iter().min_by_key(|(_, entry)| entry.used_at);
    if let Some(key) = idlest.map(|(key, _)| key.clone()) {
        by_key.remove(&key);
    }
}
