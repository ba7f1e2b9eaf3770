//! Credentials: none, malformed, forged, of users that are gone, of other servers.

use arrow_flight::sql::{CommandStatementQuery, ProstMessageExt};
use arrow_flight::{BasicAuth, FlightData, FlightDescriptor};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use prost::Message;
use tonic::Code;

use super::request::{PREPARE, Request, prepare_body, update_message};
use super::{Authorization, Case, OK, UNAUTHENTICATED, bearer};
use crate::server::{ROOT_PASSWORD, Server};

const PASSWORD: &str = "a-user-of-the-sign-in-test";
/// A header the transport may refuse before we see it.
const REFUSED_OR_TRANSPORT: &[Code] =
    &[Code::Unauthenticated, Code::ResourceExhausted, Code::Internal, Code::Unknown];

pub async fn cases(server: &Server) -> Vec<Case> {
    let root = server.root().await;
    for user in ["ann", "gone"] {
        let sql = format!("CREATE USER '{user}' WITH PASSWORD '{PASSWORD}' ROLE user");
        root.update(&sql).await.unwrap();
    }
    let ann = server.sign_in("ann", PASSWORD).await.unwrap();
    let gone = server.sign_in("gone", PASSWORD).await.unwrap();
    root.update("DROP USER gone").await.unwrap();
    let again = format!("CREATE USER gone WITH PASSWORD '{PASSWORD}' ROLE user");
    root.update(&again).await.unwrap();
    let elsewhere = Server::start();
    let foreign = elsewhere.root().await;

    let mut cases = without_credentials();
    cases.extend(headers());
    cases.extend(tokens(ann.token()));
    cases.push(with("another server's token", bearer(foreign.token())));
    // Created again under the same name, it is another user.
    cases.push(with("the token of a dropped user", bearer(gone.token())));
    cases.push(with("a good token", bearer(ann.token())).expecting(OK));
    cases.extend(handshakes());
    cases
}

impl Case {
    fn expecting(mut self, expected: &'static [Code]) -> Self {
        self.expected = expected;
        self
    }
}

/// A request that would succeed with good credentials.
fn with(name: &str, authorization: Authorization) -> Case {
    Case::new(name, Request::Query("SELECT 1".into()), UNAUTHENTICATED).with(authorization)
}

fn header(value: &str) -> Authorization {
    Authorization::Header(value.as_bytes().to_vec())
}

fn basic(credentials: &[u8]) -> Authorization {
    header(&format!("Basic {}", BASE64_STANDARD.encode(credentials)))
}

/// No call answers anything to nobody.
fn without_credentials() -> Vec<Case> {
    let query = CommandStatementQuery { query: "SELECT 1".into(), transaction_id: None };
    let query = FlightDescriptor::new_cmd(query.as_any().encode_to_vec());
    let tables = arrow_flight::sql::CommandGetTables::default().as_any().encode_to_vec();
    let requests = vec![
        ("info", Request::Info(query.clone())),
        ("schema", Request::Schema(query.clone())),
        ("poll", Request::Poll(query)),
        ("get", Request::Get(b"SELECT 1".to_vec())),
        ("tables", Request::Get(tables)),
        ("update", Request::Put(vec![update_message("DELETE FROM system.users")])),
        ("an empty put", Request::Put(vec![])),
        ("prepare", Request::Action(PREPARE, prepare_body("SELECT 1"))),
        ("close a session", Request::Action("CloseSession", vec![])),
        ("an unknown action", Request::Action("DropEverything", vec![])),
        ("flights", Request::ListFlights(vec![])),
        ("a handshake", Request::Handshake(vec![vec![]])),
        ("an empty handshake", Request::Handshake(vec![])),
    ];
    let nobody = |(name, request)| {
        Case::new(format!("nobody: {name}"), request, UNAUTHENTICATED).with(Authorization::Nobody)
    };
    let mut cases: Vec<Case> = requests.into_iter().map(nobody).collect();
    // What is not offered to anybody need not ask who wants it.
    let exchange = nobody(("exchange", Request::Exchange(vec![FlightData::default()])));
    cases.push(exchange.expecting(&[Code::Unauthenticated, Code::Unimplemented]));
    cases
}

fn headers() -> Vec<Case> {
    let long = format!("Bearer {}", "x".repeat(100_000));
    vec![
        with("an empty header", header("")),
        with("a scheme alone", header("Bearer")),
        with("a scheme and a space", header("Basic ")),
        with("another scheme", header("Digest username=root")),
        with("no scheme", header(&BASE64_STANDARD.encode("root:x"))),
        with("Basic that is not base64", header("Basic !!!!")),
        with("Basic without a colon", basic(b"root")),
        with("Basic with nothing", basic(b":")),
        with("Basic that is not UTF-8", basic(b"root:\xff\xfe")),
        with("Basic with a NUL", basic(b"ro\0ot:x")),
        with("an unknown user", basic(b"nobody:x")),
        with("a user that is a path", basic(b"../../etc/passwd:x")),
        with("a user that is SQL", basic(b"' OR 1=1 --:x")),
        with("a wrong password", basic(b"ann:wrong")),
        with("no password", basic(b"ann:")),
        with("a password of 10,000 bytes", basic(&[b"ann:".as_slice(), &[b'x'; 10_000]].concat())),
        with("a name of 10,000 bytes", basic(&[&[b'n'; 10_000], b":x".as_slice()].concat())),
        with("bytes above ASCII", Authorization::Header(b"Bearer \xe6\x97\xa5".to_vec())),
        with("a header of 100,000 bytes", header(&long)).expecting(REFUSED_OR_TRANSPORT),
        with("root's password in the wrong case", basic(b"ROOT:root-of-the-test-server")),
        with("a good password", basic(format!("root:{ROOT_PASSWORD}").as_bytes())).expecting(OK),
    ]
}

/// Tokens made from a good one.
fn tokens(good: &str) -> Vec<Case> {
    let parts: Vec<&str> = good.split('.').collect();
    let [head, payload, signature] = parts[..] else { panic!("a JWT has three parts: {good}") };
    let claims = BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap();
    let claims = String::from_utf8(claims).unwrap();
    let encode = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    let as_root = encode(&claims.replace("\"ann\"", "\"root\""));
    let no_algorithm = encode(r#"{"alg":"none","typ":"JWT"}"#);
    let none_in_capitals = encode(r#"{"alg":"NoNe","typ":"JWT"}"#);
    let other_algorithm = encode(r#"{"alg":"HS512","typ":"JWT"}"#);
    let public_key =
        encode(r#"{"alg":"RS256","typ":"JWT","jwk":{"kty":"RSA","n":"AQAB","e":"AQAB"}}"#);
    let by_path = encode(r#"{"alg":"HS256","typ":"JWT","kid":"../../../dev/null"}"#);
    let mut changed = signature.to_owned();
    let first = if changed.starts_with('A') { "B" } else { "A" };
    changed.replace_range(..1, first);
    let named = [
        ("text for a token", "hello".to_owned()),
        ("dots", "..".to_owned()),
        ("three words", "a.b.c".to_owned()),
        ("a token without its signature", format!("{head}.{payload}.")),
        ("a token of two parts", format!("{head}.{payload}")),
        ("a token of four parts", format!("{good}.{signature}")),
        ("a token with another signature", format!("{head}.{payload}.{changed}")),
        ("a token cut short", good[..good.len() - 3].to_owned()),
        ("claims changed to root's", format!("{head}.{as_root}.{signature}")),
        ("algorithm none", format!("{no_algorithm}.{as_root}.")),
        ("algorithm none, own claims", format!("{no_algorithm}.{payload}.")),
        ("algorithm none, signed", format!("{no_algorithm}.{payload}.{signature}")),
        ("algorithm NoNe", format!("{none_in_capitals}.{payload}.")),
        ("another algorithm", format!("{other_algorithm}.{payload}.{signature}")),
        ("a public key in the header", format!("{public_key}.{as_root}.{signature}")),
        ("a key that is a path", format!("{by_path}.{as_root}.{signature}")),
        ("claims that are no JSON", format!("{head}.{}.{signature}", encode("[[["))),
        ("a token of 5,000 bytes", format!("{head}.{}.{signature}", encode(&"x".repeat(5_000)))),
    ];
    named.iter().map(|(name, token)| with(name, bearer(token))).collect()
}

fn handshakes() -> Vec<Case> {
    let auth = |user: &str, password: &str| {
        BasicAuth { username: user.to_owned(), password: password.to_owned() }.encode_to_vec()
    };
    let shake = |name: &str, payloads: Vec<Vec<u8>>, expected| {
        Case::new(name, Request::Handshake(payloads), expected).with(Authorization::Nobody)
    };
    vec![
        shake("a handshake of ones", vec![vec![0xff; 30]], UNAUTHENTICATED),
        shake("a handshake of text", vec![b"root".to_vec()], UNAUTHENTICATED),
        shake("a handshake with a wrong password", vec![auth("ann", "no")], UNAUTHENTICATED),
        shake("a handshake without a name", vec![auth("", "")], UNAUTHENTICATED),
        shake("a handshake that is not UTF-8", vec![vec![0x12, 2, 0xff, 0xfe]], UNAUTHENTICATED),
        shake(
            "a handshake of 10,000 bytes",
            vec![auth(&"n".repeat(5_000), &"p".repeat(5_000))],
            UNAUTHENTICATED,
        ),
        shake("a good handshake", vec![auth("root", ROOT_PASSWORD)], OK),
        Case::new(
            "a handshake with a forged token",
            Request::Handshake(vec![vec![]]),
            UNAUTHENTICATED,
        )
        .with(bearer("a.b.c")),
        Case::new("a handshake with root's token", Request::Handshake(vec![vec![]]), OK),
    ]
}
