//! Bearer tokens: JWTs signed with HS256, issued after a password sign-in.

use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use kalamdb_commons::Principal;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

use super::SigningKey;

/// Who issues the tokens.
const ISSUER: &str = "kalamdb";
/// Whom they are for.
const AUDIENCE: &str = "kalamdb-flight";
/// Seconds two clocks may differ.
const CLOCK_SKEW_SECONDS: u64 = 30;
/// Bytes of a token; longer ones are refused unread.
const TOKEN_BYTES_MAX: usize = 4096;

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The user's name.
    pub sub: String,
    /// The user's stable id: a user dropped and created again under the same name is another.
    pub uid: String,
    /// The token's own id; it names the session.
    pub jti: String,
    /// Which of the user's passwords it was issued for, counted from 0; a later one ends it.
    #[serde(rename = "gen", default)]
    pub generation: u64,
    iss: String,
    aud: String,
    /// When it was issued, seconds since the Unix epoch.
    pub iat: u64,
    /// When it ends, seconds since the Unix epoch.
    pub exp: u64,
}

/// Why a token does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TokenError {
    /// The time is over.
    #[error("the token has expired, sign in again")]
    Expired,
    /// Not one of ours, or changed on the way.
    #[error("the token is not valid, sign in again")]
    Invalid,
    /// The token could not be made.
    #[error("cannot issue a token: {reason}")]
    NotIssued {
        /// What the library says.
        reason: String,
    },
}

/// Issues and checks bearer tokens.
pub struct BearerTokens {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
    /// The same, whatever the time.
    of_any_time: Validation,
    lifetime: Duration,
}

impl BearerTokens {
    /// Tokens signed by `key` that hold for `lifetime`.
    pub fn new(key: &SigningKey, lifetime: Duration) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.leeway = CLOCK_SKEW_SECONDS;
        let mut of_any_time = validation.clone();
        of_any_time.validate_exp = false;
        Self {
            of_any_time,
            encoding: EncodingKey::from_secret(key.as_bytes()),
            decoding: DecodingKey::from_secret(key.as_bytes()),
            validation,
            lifetime,
        }
    }

    /// A new token for `principal`, issued for the password of `generation`.
    pub fn issue(&self, principal: &Principal, generation: u64) -> Result<String, TokenError> {
        let now = jsonwebtoken::get_current_timestamp();
        let claims = Claims {
            sub: principal.user_name.to_string(),
            uid: principal.user_id.as_str().to_owned(),
            jti: Uuid::new_v4().to_string(),
            generation,
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            iat: now,
            exp: now.saturating_add(self.lifetime.as_secs()),
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.encoding)
            .map_err(|error| TokenError::NotIssued { reason: error.to_string() })
    }

    /// The claims of a token that holds.
    pub fn verify(&self, token: &str) -> Result<Claims, TokenError> {
        self.claims(token, &self.validation)
    }

    /// The claims of a token that was issued here, whether or not its time is over.
    pub fn verify_origin(&self, token: &str) -> Result<Claims, TokenError> {
        self.claims(token, &self.of_any_time)
    }

    fn claims(&self, token: &str, validation: &Validation) -> Result<Claims, TokenError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::Invalid);
        }
        match jsonwebtoken::decode::<Claims>(token, &self.decoding, validation) {
            Ok(decoded) => Ok(decoded.claims),
            Err(error) => match error.kind() {
                jsonwebtoken::errors::ErrorKind::ExpiredSignature => Err(TokenError::Expired),
                _ => Err(TokenError::Invalid),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use kalamdb_commons::{Role, UserId};

    use super::*;

    fn tokens(purpose: &str, lifetime_seconds: u64) -> BearerTokens {
        let key = SigningKey::derive(&[1; 32], purpose);
        BearerTokens::new(&key, Duration::from_secs(lifetime_seconds))
    }

    fn alice() -> Principal {
        Principal { user_id: UserId::new("u1"), user_name: "alice".into(), role: Role::User }
    }

    #[test]
    fn a_token_names_its_user_and_itself() {
        let tokens = tokens("token", 60);
        let first = tokens.verify(&tokens.issue(&alice(), 0).unwrap()).unwrap();
        let second = tokens.verify(&tokens.issue(&alice(), 7).unwrap()).unwrap();
        assert_eq!((first.sub.as_str(), first.uid.as_str()), ("alice", "u1"));
        assert_eq!((first.generation, second.generation), (0, 7));
        assert_ne!(first.jti, second.jti);
    }

    #[test]
    fn a_changed_or_foreign_token_is_refused() {
        let tokens = tokens("token", 60);
        let token = tokens.issue(&alice(), 0).unwrap();
        let foreign = self::tokens("another", 60).issue(&alice(), 0).unwrap();
        let cut = &token[..token.len() - 1];
        for bad in [cut, foreign.as_str(), "a.b.c", "", &"x".repeat(10_000)] {
            assert_eq!(tokens.verify(bad), Err(TokenError::Invalid));
            assert_eq!(tokens.verify_origin(bad), Err(TokenError::Invalid));
        }
    }

    #[test]
    fn an_unsigned_token_is_refused() {
        // {"alg":"none"} and claims that would be fine.
        let claims = "eyJzdWIiOiJyb290IiwidWlkIjoicm9vdCIsImp0aSI6IjEiLCJpc3MiOiJrYWxhbWRiIiwi\
                      YXVkIjoia2FsYW1kYi1mbGlnaHQiLCJpYXQiOjEsImV4cCI6OTk5OTk5OTk5OX0";
        let token = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{claims}.");
        assert_eq!(tokens("token", 60).verify(&token), Err(TokenError::Invalid));
    }

    #[test]
    fn a_token_ends() {
        let mut tokens = tokens("token", 0);
        let token = tokens.issue(&alice(), 0).unwrap();
        tokens.validation.leeway = 0;
        tokens.validation.reject_tokens_expiring_in_less_than = 1;
        assert_eq!(tokens.verify(&token), Err(TokenError::Expired));
    }
}
