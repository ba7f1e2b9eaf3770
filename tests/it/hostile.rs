//! Malformed, hostile and merely odd requests: each gets the right code and a message fit to be
//! read, and the server answers `SELECT 1` after each of them.

mod actions;
mod commands;
mod extremes;
mod request;
mod sign_in;
mod statements;
mod tickets;
mod uploads;

use std::time::Duration;

use tonic::{Code, Status};

use crate::client::{self, Client};
use crate::rows::{Value, single};
use crate::server::Server;
use request::Request;

/// Every request is answered within this.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// `SELECT 1` is answered within this, whatever was asked before.
const ALIVE_WITHIN: Duration = Duration::from_secs(10);
/// Bytes of a status message: the stock clients refuse header blocks over 8 KiB.
const MESSAGE_BYTES_MAX: usize = 4096;
/// Address space of a server under attack: a request that makes it ask for more ends it, and the
/// test sees that.
const ADDRESS_SPACE_BYTES: u64 = 12 << 30;
/// What a message must not show: it is about the request, not about our insides.
const INSIDES: [&str; 21] = [
    "panicked",
    ".rs:",
    "ParserError(",
    "SchemaError(",
    "called `",
    "/root/",
    "/home/",
    // Data structures of the parser and the query engine.
    "BinaryOp",
    "Ident {",
    "Identifier(",
    "InSubquery",
    "Exists(",
    "ScalarSubquery",
    "Subquery {",
    "WindowFunction",
    "AggregateFunction",
    "OuterReferenceColumn",
    // Settings nobody can reach, defects that are none, columns nobody has made.
    "datafusion.sql_parser",
    "Internal error",
    "bug in DataFusion",
    "._location",
];

/// One request and what may be answered.
struct Case {
    name: String,
    /// The `authorization` header; root's token unless said otherwise.
    authorization: Authorization,
    request: Request,
    expected: &'static [Code],
}

/// Whose credentials a request carries.
#[derive(Clone)]
enum Authorization {
    Root,
    Nobody,
    Header(Vec<u8>),
}

/// The one right answer.
macro_rules! codes {
    ($($name:ident = $($code:ident)|+;)*) => {
        $(const $name: &[Code] = &[$(Code::$code),+];)*
    };
}
codes! {
    OK = Ok;
    INVALID = InvalidArgument;
    NOT_FOUND = NotFound;
    EXISTS = AlreadyExists;
    UNAUTHENTICATED = Unauthenticated;
    UNSUPPORTED = Unimplemented;
    // Where two answers are equally right.
    OK_OR_INVALID = Ok | InvalidArgument;
    INVALID_OR_UNSUPPORTED = InvalidArgument | Unimplemented;
    INVALID_OR_NOT_FOUND = InvalidArgument | NotFound;
    INVALID_OR_EXHAUSTED = InvalidArgument | ResourceExhausted;
    NO_SUCH_FUNCTION = InvalidArgument | NotFound | Unimplemented;
    PROTECTED = PermissionDenied | FailedPrecondition | InvalidArgument | Unimplemented;
    // The transport's own refusals.
    UNDECODABLE = Internal | InvalidArgument;
    TOO_LARGE = OutOfRange | ResourceExhausted;
}

impl Case {
    fn new(name: impl Into<String>, request: Request, expected: &'static [Code]) -> Self {
        Self { name: name.into(), authorization: Authorization::Root, request, expected }
    }

    fn with(mut self, authorization: Authorization) -> Self {
        self.authorization = authorization;
        self
    }
}

/// A bearer header.
fn bearer(token: &str) -> Authorization {
    Authorization::Header(format!("Bearer {token}").into_bytes())
}

/// Sends every case and reports all that were answered wrongly. A dead server ends the run.
async fn run(server: &mut Server, cases: Vec<Case>) {
    let root = server.root().await;
    let count = cases.len();
    let mut faults = Vec::new();
    for case in cases {
        // A connection of its own: a request that breaks its connection breaks no other's.
        let channel = client::connect(server.flight()).await.expect("the server accepts");
        let authorization = match &case.authorization {
            Authorization::Root => Some(format!("Bearer {}", root.token()).into_bytes()),
            Authorization::Nobody => None,
            Authorization::Header(value) => Some(value.clone()),
        };
        let answer = case.request.send(channel, authorization.as_deref());
        match tokio::time::timeout(ANSWER_WITHIN, answer).await {
            Err(_) => faults.push(format!("{}: no answer within {ANSWER_WITHIN:?}", case.name)),
            Ok(answer) => faults.extend(judge(&case, answer).err()),
        }
        if let Err(fault) = still_serves(server, &root).await {
            faults.push(format!("after {}: {fault}", case.name));
            break;
        }
    }
    assert!(faults.is_empty(), "{} of {count} cases:\n{}", faults.len(), faults.join("\n"));
    assert!(!server.log().contains("panicked at"), "something panicked:\n{}", server.log());
    println!("{count} cases answered as expected");
}

fn judge(case: &Case, answer: Result<(), Status>) -> Result<(), String> {
    let (code, message) = match &answer {
        Ok(()) => (Code::Ok, ""),
        Err(status) => (status.code(), status.message()),
    };
    let shown: String = message.chars().take(300).collect();
    if !case.expected.contains(&code) {
        return Err(format!("{}: expected {:?}, got {code:?}: {shown}", case.name, case.expected));
    }
    // The router's answer to an unknown method has no text, as the gRPC specification has it.
    let from_router = matches!(case.request, Request::Raw(..)) && code == Code::Unimplemented;
    if code != Code::Ok && message.is_empty() && !from_router {
        return Err(format!("{}: {code:?} without a message", case.name));
    }
    if message.len() > MESSAGE_BYTES_MAX {
        return Err(format!("{}: a message of {} bytes", case.name, message.len()));
    }
    match INSIDES.iter().find(|inside| message.contains(**inside)) {
        Some(inside) => Err(format!("{}: the message shows '{inside}': {shown}", case.name)),
        None => Ok(()),
    }
}

async fn still_serves(server: &mut Server, root: &Client) -> Result<(), String> {
    let answer = tokio::time::timeout(ALIVE_WITHIN, root.rows("SELECT 1")).await;
    if !server.is_alive() {
        return Err("the server is gone".to_owned());
    }
    match answer {
        Ok(Ok(rows)) if single(&rows) == Value::Int(1) => Ok(()),
        Ok(other) => Err(format!("SELECT 1 is answered by {other:?}")),
        Err(_) => Err(format!("SELECT 1 is not answered within {ALIVE_WITHIN:?}")),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_that_are_not_commands() {
    let mut server = Server::start_within(ADDRESS_SPACE_BYTES);
    run(&mut server, commands::cases()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tickets_that_were_not_issued_or_not_to_this_user() {
    let mut server = Server::start_within(ADDRESS_SPACE_BYTES);
    let cases = tickets::cases(&server).await;
    run(&mut server, cases).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_that_ask_for_too_much_or_for_what_is_not_theirs() {
    let mut server = Server::start_within(ADDRESS_SPACE_BYTES);
    statements::set_up(&server).await;
    run(&mut server, statements::cases()).await;
    statements::check_nothing_changed(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uploads_that_do_not_fit() {
    let mut server = Server::start_within(ADDRESS_SPACE_BYTES);
    uploads::set_up(&server).await;
    let cases = uploads::cases(&server).await;
    run(&mut server, cases).await;
    uploads::check_nothing_written(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn actions_with_bodies_from_elsewhere() {
    let mut server = Server::start_within(ADDRESS_SPACE_BYTES);
    let cases = actions::cases(&server).await;
    run(&mut server, cases).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_that_prove_nothing() {
    let mut server = Server::start_within(ADDRESS_SPACE_BYTES);
    let cases = sign_in::cases(&server).await;
    run(&mut server, cases).await;
}
