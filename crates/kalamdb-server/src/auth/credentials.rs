//! Credentials as clients send them in request headers.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::GeneralPurpose;
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};
use base64::{alphabet, engine};
use thiserror::Error;
use tonic::metadata::MetadataMap;

/// The header of the old pyarrow sign-in, which carries the bare token.
const LEGACY_TOKEN_HEADER: &str = "auth-token-bin";

/// ADBC's driver sends no padding, JDBC's does.
const BASE64: GeneralPurpose = engine::GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a client shows to say who it is.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A token this server issued.
    Bearer(String),
    /// A name and a password.
    Basic {
        /// The user's name.
        user: String,
        /// The password in clear.
        password: String,
    },
}

/// An `authorization` header that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "the authorization header is malformed, send 'Basic <base64 of user:password>' or 'Bearer <token>'"
)]
pub struct MalformedCredentials;

impl Credentials {
    /// The credentials among a request's headers, if there are any.
    pub fn from_headers(headers: &MetadataMap) -> Result<Option<Self>, MalformedCredentials> {
        if let Some(value) = headers.get("authorization") {
            let value = value.to_str().map_err(|_| MalformedCredentials)?;
            return Self::parse(value).map(Some);
        }
        if let Some(value) = headers.get_bin(LEGACY_TOKEN_HEADER) {
            let token = value.to_bytes().map_err(|_| MalformedCredentials)?;
            let token = String::from_utf8(token.to_vec()).map_err(|_| MalformedCredentials)?;
            return Ok(Some(Self::Bearer(token)));
        }
        Ok(None)
    }

    /// Reads the value of an `authorization` header; the scheme's case does not matter.
    pub fn parse(value: &str) -> Result<Self, MalformedCredentials> {
        let (scheme, rest) = value.trim().split_once(' ').ok_or(MalformedCredentials)?;
        let rest = rest.trim();
        if rest.is_empty() {
            return Err(MalformedCredentials);
        }
        if scheme.eq_ignore_ascii_case("bearer") {
            return Ok(Self::Bearer(rest.to_owned()));
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return Err(MalformedCredentials);
        }
        let decoded = BASE64.decode(rest).map_err(|_| MalformedCredentials)?;
        let decoded = String::from_utf8(decoded).map_err(|_| MalformedCredentials)?;
        let (user, password) = decoded.split_once(':').ok_or(MalformedCredentials)?;
        Ok(Self::basic(user, password))
    }

    /// A name and a password. Tools that cannot send a token as such send it as the password of
    /// the user `token`.
    pub fn basic(user: &str, password: &str) -> Self {
        if user == "token" && password.split('.').count() == 3 {
            return Self::Bearer(password.to_owned());
        }
        Self::Basic { user: user.to_owned(), password: password.to_owned() }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bearer(_) => f.write_str("Bearer(…)"),
            Self::Basic { user, .. } => write!(f, "Basic({user}, …)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_is_read_with_and_without_padding() {
        let expected = Credentials::Basic { user: "root".into(), password: "a:b".into() };
        // "root:a:b" is eight bytes: one padding character.
        for header in ["Basic cm9vdDphOmI=", "Basic cm9vdDphOmI", "basic  cm9vdDphOmI= "] {
            assert_eq!(Credentials::parse(header), Ok(expected.clone()), "{header}");
        }
    }

    #[test]
    fn bearer_is_read_whatever_the_scheme_s_case() {
        for header in ["Bearer abc", "bearer abc", "BEARER abc"] {
            assert_eq!(Credentials::parse(header), Ok(Credentials::Bearer("abc".into())));
        }
    }

    #[test]
    fn a_token_may_come_as_the_password_of_the_user_token() {
        assert_eq!(Credentials::basic("token", "a.b.c"), Credentials::Bearer("a.b.c".into()));
        assert!(matches!(Credentials::basic("token", "secret"), Credentials::Basic { .. }));
    }

    #[test]
    fn anything_else_is_malformed() {
        let no_colon = "Basic cm9vdA==";
        let not_utf8 = "Basic /////w==";
        for header in ["", "Basic", "Basic ", "Basic !!!", "Digest x", no_colon, not_utf8] {
            assert_eq!(Credentials::parse(header), Err(MalformedCredentials), "{header}");
        }
    }

    #[test]
    fn the_legacy_header_carries_a_token() {
        let mut headers = MetadataMap::new();
        headers.insert_bin(LEGACY_TOKEN_HEADER, tonic::metadata::MetadataValue::from_bytes(b"t"));
        let found = Credentials::from_headers(&headers);
        assert_eq!(found, Ok(Some(Credentials::Bearer("t".into()))));
        assert_eq!(Credentials::from_headers(&MetadataMap::new()), Ok(None));
    }

    #[test]
    fn secrets_do_not_show_in_debug_output() {
        let shown = format!("{:?}", Credentials::basic("root", "hunter2"));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
