//! What every request needs: who asks, in which session.

use std::sync::Arc;

use kalamdb_commons::{ErrorKind, Principal};
use kalamdb_core::Session;
use tonic::{Request, Status};

use super::Shared;
use super::sessions::SessionKey;
use crate::auth::Identity;
use crate::{connections, status};

/// Headers in which clients name the namespace to start in. JDBC sends the extra parameters of
/// its URL as headers; many tools call the namespace a database.
const NAMESPACE_HEADERS: [&str; 2] = ["schema", "database"];

/// Who asks and in which session.
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// The user, with the role it has now.
    pub principal: Principal,
    /// The session.
    pub session: Arc<Session>,
    /// What names the session.
    pub session_key: SessionKey,
}

impl RequestContext {
    /// Checks the credentials of a request and finds or opens its session.
    pub async fn open<T>(shared: &Shared, request: &Request<T>) -> Result<Self, Status> {
        let peer = connections::peer_address(request.extensions()).map(|peer| peer.ip());
        let identity = shared.authenticator.identify(request.metadata(), peer).await?;
        let session_key = session_key(request, &identity);
        let principal = identity.principal;
        let (session, is_new) = shared.sessions.open(&shared.engine, &session_key, &principal);
        let context = Self { principal, session, session_key };
        if is_new && let Err(error) = context.apply_headers(shared, request) {
            shared.sessions.close(&context.session_key);
            return Err(error);
        }
        Ok(context)
    }

    fn apply_headers<T>(&self, shared: &Shared, request: &Request<T>) -> Result<(), Status> {
        for header in NAMESPACE_HEADERS {
            let Some(value) = request.metadata().get(header) else { continue };
            let namespace = value.to_str().map_err(|_| {
                status::refuse(
                    ErrorKind::InvalidInput,
                    format!("the header '{header}' is not readable text"),
                )
            })?;
            if namespace.is_empty() || namespace == super::CATALOG {
                continue;
            }
            return shared
                .engine
                .use_namespace(&self.session, namespace)
                .map_err(|error| status::from_engine(&error));
        }
        Ok(())
    }
}

/// The session a request belongs to: its token's, else its connection's.
pub fn session_key<T>(request: &Request<T>, identity: &Identity) -> SessionKey {
    match &identity.token_id {
        Some(id) => SessionKey::Token(Arc::clone(id)),
        None => {
            let peer = connections::peer_address(request.extensions());
            SessionKey::Connection(peer, identity.principal.user_id.clone())
        }
    }
}
