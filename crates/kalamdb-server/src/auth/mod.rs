//! Who is asking: passwords, bearer tokens, and the keys that sign what clients carry around.
//!
//! ```text
//! authorization header ──► credentials ──► token check  ──┐
//!                                     └──► password check ┴──► Identity (current role)
//! ```

mod attempts;
mod credentials;
mod password_cache;
mod sign_in;
mod signing;
mod token;

pub use credentials::{Credentials, MalformedCredentials};
pub use sign_in::{Authenticator, Identity, IssuedTo};
pub use signing::SigningKey;
pub use token::{BearerTokens, Claims, TokenError};
