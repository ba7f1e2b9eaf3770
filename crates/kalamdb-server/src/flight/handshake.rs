//! Handshake: a password sign-in becomes a bearer token; a bearer token is confirmed.

use std::net::IpAddr;

use arrow_flight::{BasicAuth, HandshakeRequest, HandshakeResponse};
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, stream};
use kalamdb_commons::ErrorKind;
use prost::Message;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Response, Status};

use super::Shared;
use crate::auth::Credentials;
use crate::status;

/// Bytes of a handshake payload; longer ones are refused unread.
const PAYLOAD_BYTES_MAX: usize = 16 << 10;

/// Signs in by the request's headers, else by the payload of its first message. The token is in
/// the answer's header and in its payload, as different clients look in different places.
pub async fn handshake<S>(
    shared: &Shared,
    headers: &MetadataMap,
    peer: Option<IpAddr>,
    mut messages: S,
) -> Result<Response<BoxStream<'static, Result<HandshakeResponse, Status>>>, Status>
where
    S: Stream<Item = Result<HandshakeRequest, Status>> + Send + Unpin,
{
    let in_headers = Credentials::from_headers(headers)
        .map_err(|error| status::refuse(ErrorKind::Unauthenticated, error.to_string()))?;
    let (credentials, protocol_version) = match in_headers {
        Some(credentials) => (credentials, 0),
        None => {
            let first = messages.next().await.transpose()?.unwrap_or_default();
            (from_payload(&first.payload)?, first.protocol_version)
        }
    };
    let identity = shared.authenticator.verify(&credentials, peer).await?;
    let token = match credentials {
        // The same token again: a client must not lose its session by saying hello.
        Credentials::Bearer(token) => token,
        Credentials::Basic { .. } => shared.authenticator.issue_token(&identity)?,
    };
    let answer = HandshakeResponse { protocol_version, payload: token.clone().into() };
    let mut response = Response::new(stream::iter([Ok(answer)]).boxed());
    let value = MetadataValue::try_from(format!("Bearer {token}"))
        .map_err(|_| status::refuse(ErrorKind::Internal, "the token does not fit into a header"))?;
    response.metadata_mut().insert("authorization", value);
    Ok(response)
}

/// The payload of the older sign-in: a name and a password in a message.
fn from_payload(payload: &Bytes) -> Result<Credentials, Status> {
    let refused = || {
        status::refuse(
            ErrorKind::Unauthenticated,
            "no credentials, send them in the authorization header or as a BasicAuth payload",
        )
    };
    if payload.is_empty() || payload.len() > PAYLOAD_BYTES_MAX {
        return Err(refused());
    }
    let basic = BasicAuth::decode(payload.clone()).map_err(|_| refused())?;
    Ok(Credentials::basic(&basic.username, &basic.password))
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    #[test]
    fn a_payload_holds_name_and_password() {
        let basic = BasicAuth { username: "root".into(), password: "secret".into() };
        let credentials = from_payload(&basic.encode_to_vec().into()).unwrap();
        assert_eq!(credentials, Credentials::basic("root", "secret"));
    }

    #[test]
    fn a_payload_without_credentials_is_unauthenticated() {
        for payload in [vec![], vec![0xff; 10], vec![0; PAYLOAD_BYTES_MAX + 1]] {
            let error = from_payload(&payload.into()).unwrap_err();
            assert_eq!(error.code(), Code::Unauthenticated);
        }
    }
}
