//! Turns credentials into a principal with its current role.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kalamdb_commons::{ErrorKind, Principal, UserId};
use kalamdb_core::{Engine, EngineError};
use tokio::sync::Semaphore;
use tonic::Status;
use tonic::metadata::MetadataMap;

use super::attempts::{Attempts, TooManyAttempts};
use super::password_cache::{Login, PasswordCache};
use super::{BearerTokens, Credentials, SigningKey};
use crate::origin::Origin;
use crate::status;

/// Passwords checked at the same time; each check takes a core and 19 MiB.
const PASSWORD_CHECKS_MAX: usize = 2;
/// Sign-ins that may wait for their turn.
const SIGN_INS_WAITING_MAX: usize = 256;

/// Who is asking, and by which token if by one.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The user, with the role it has now.
    pub principal: Principal,
    /// The id of the bearer token shown.
    pub token_id: Option<Arc<str>>,
    /// Which of the user's passwords, counted from 0, the identity goes back to.
    credential_generation: u64,
}

/// What a bearer token says of whom it was issued to.
#[derive(Debug, Clone)]
pub struct IssuedTo {
    /// The user's stable id.
    pub user_id: UserId,
    /// The token's own id.
    pub token_id: Arc<str>,
}

/// Checks credentials against the engine's users.
pub struct Authenticator {
    engine: Arc<Engine>,
    tokens: BearerTokens,
    verified: PasswordCache,
    attempts: Attempts,
    checks: Semaphore,
    waiting: AtomicUsize,
}

impl Authenticator {
    /// An authenticator whose tokens hold for `token_lifetime`.
    pub fn new(engine: Arc<Engine>, token_lifetime: Duration) -> Self {
        let secret = engine.token_secret();
        let tokens = BearerTokens::new(&SigningKey::derive(secret, "bearer token"), token_lifetime);
        let verified = PasswordCache::new(SigningKey::derive(secret, "verified password"));
        Self {
            engine,
            tokens,
            verified,
            attempts: Attempts::default(),
            checks: Semaphore::new(PASSWORD_CHECKS_MAX),
            waiting: AtomicUsize::new(0),
        }
    }

    /// The identity behind the headers of a request from `peer`.
    ///
    /// # Errors
    /// `Unauthenticated` without credentials or with wrong ones, `ResourceExhausted` when
    /// passwords were guessed too often.
    pub async fn identify(
        &self,
        headers: &MetadataMap,
        peer: Option<IpAddr>,
    ) -> Result<Identity, Status> {
        let credentials = Credentials::from_headers(headers)
            .map_err(|error| status::refuse(ErrorKind::Unauthenticated, error.to_string()))?
            .ok_or_else(|| {
                status::refuse(
                    ErrorKind::Unauthenticated,
                    "no credentials, sign in with a user name and password or a bearer token",
                )
            })?;
        self.verify(&credentials, peer).await
    }

    /// Whom a bearer token in the headers was issued to, though it may have ended since: its time
    /// is over, or the password is another. Good for giving back what was opened with it, and
    /// for nothing else.
    pub fn issued_to(&self, headers: &MetadataMap) -> Option<IssuedTo> {
        let Ok(Some(Credentials::Bearer(token))) = Credentials::from_headers(headers) else {
            return None;
        };
        let claims = self.tokens.verify_origin(&token).ok()?;
        Some(IssuedTo { user_id: UserId::new(claims.uid), token_id: claims.jti.into() })
    }

    /// The identity behind `credentials` from `peer`; errors as [`Self::identify`].
    pub async fn verify(
        &self,
        credentials: &Credentials,
        peer: Option<IpAddr>,
    ) -> Result<Identity, Status> {
        match credentials {
            Credentials::Bearer(token) => self.verify_token(token),
            Credentials::Basic { user, password } => {
                self.verify_password(user, password, Origin::of(peer)).await
            }
        }
    }

    /// A bearer token for an identity proven by a password.
    pub fn issue_token(&self, identity: &Identity) -> Result<String, Status> {
        self.tokens
            .issue(&identity.principal, identity.credential_generation)
            .map_err(|error| status::refuse(ErrorKind::Internal, error.to_string()))
    }

    fn verify_token(&self, token: &str) -> Result<Identity, Status> {
        let claims = self
            .tokens
            .verify(token)
            .map_err(|error| status::refuse(ErrorKind::Unauthenticated, error.to_string()))?;
        let principal = self.current_principal(&claims.sub)?;
        if principal.user_id.as_str() != claims.uid {
            return Err(status::refuse(
                ErrorKind::Unauthenticated,
                "the token was issued to a user that no longer exists, sign in again",
            ));
        }
        let present = self.engine.user_revision(&claims.sub).unwrap_or_default();
        if present.credential_generation != claims.generation {
            return Err(status::refuse(
                ErrorKind::Unauthenticated,
                "the password was changed after the token was issued, sign in again",
            ));
        }
        Ok(Identity {
            principal,
            token_id: Some(claims.jti.into()),
            credential_generation: claims.generation,
        })
    }

    async fn verify_password(
        &self,
        user: &str,
        password: &str,
        origin: Origin,
    ) -> Result<Identity, Status> {
        // Taken before the check: a password set meanwhile is not taken for verified.
        let revision = self.engine.user_revision(user).unwrap_or_default();
        let proven = |principal| Identity {
            principal,
            token_id: None,
            credential_generation: revision.credential_generation,
        };
        let login = Login { user, password, changed_at_us: revision.changed_at_us };
        if self.verified.contains(&login, Instant::now()) {
            return self.current_principal(user).map(proven);
        }
        let wait = self.attempts.admit(user, origin, Instant::now());
        let wait = wait.map_err(|TooManyAttempts| too_many_attempts())?;
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        let _waiting = WaitingGuard::enter(&self.waiting)?;
        let _turn = self.checks.acquire().await.map_err(|_| {
            status::refuse(ErrorKind::Unavailable, "the server is shutting down, try again later")
        })?;
        // Whoever held the turn before may have verified the same password.
        if self.verified.contains(&login, Instant::now()) {
            return self.current_principal(user).map(proven);
        }
        // Those that were before this one in the queue may have used up the attempts.
        if self.attempts.is_spent(user, origin, Instant::now()) {
            return Err(too_many_attempts());
        }
        match self.engine.sign_in(user, password).await {
            Ok(principal) => {
                self.verified.insert(&login, Instant::now());
                self.attempts.succeeded(user, origin, Instant::now());
                Ok(proven(principal))
            }
            Err(error) => Err(self.failed(user, origin, &error)),
        }
    }

    fn failed(&self, user: &str, origin: Origin, error: &EngineError) -> Status {
        if error.kind() == ErrorKind::Unauthenticated {
            self.attempts.failed(user, origin, Instant::now());
            metrics::counter!("kalamdb_sign_in_failures_total").increment(1);
            tracing::warn!(user = %status::one_line(user), "wrong user name or password");
        }
        status::from_engine(error)
    }

    /// The user with its present role; a user dropped meanwhile is refused, not "not found".
    fn current_principal(&self, user: &str) -> Result<Principal, Status> {
        self.engine.principal(user).map_err(|error| match error.kind() {
            ErrorKind::NotFound => status::refuse(
                ErrorKind::Unauthenticated,
                "the user no longer exists, sign in as another",
            ),
            _ => status::from_engine(&error),
        })
    }
}

fn too_many_attempts() -> Status {
    metrics::counter!("kalamdb_sign_ins_refused_total").increment(1);
    status::refuse(
        ErrorKind::ResourceExhausted,
        "too many wrong passwords, try again in a minute or show a bearer token",
    )
}

/// Counts a sign-in among those that wait, as long as it lives.
struct WaitingGuard<'a>(&'a AtomicUsize);

impl<'a> WaitingGuard<'a> {
    fn enter(waiting: &'a AtomicUsize) -> Result<Self, Status> {
        let guard = Self(waiting);
        if waiting.fetch_add(1, Ordering::Relaxed) >= SIGN_INS_WAITING_MAX {
            return Err(status::refuse(
                ErrorKind::ResourceExhausted,
                "too many sign-ins at once, try again in a moment",
            ));
        }
        Ok(guard)
    }
}

impl Drop for WaitingGuard<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
