//! Tickets and handles: altered, forged, of other users, of other servers.

use arrow_flight::sql::{
    Any, CommandPreparedStatementQuery, ProstMessageExt, TicketStatementQuery,
};
use prost::Message;
use tonic::Code;

use super::request::{Request, any, field, put_message};
use super::{Case, INVALID, INVALID_OR_NOT_FOUND, INVALID_OR_UNSUPPORTED, NOT_FOUND, OK, bearer};
use crate::client::Client;
use crate::server::Server;

/// Places in a ticket where a byte is changed.
const PLACES: usize = 32;
const PASSWORD: &str = "a-user-of-the-ticket-test";
/// A ticket of this server whose bytes were changed is nobody's ticket, whatever it says now.
const REFUSED: &[Code] = &[Code::InvalidArgument, Code::PermissionDenied, Code::NotFound];
const NOT_YOURS: &[Code] = &[Code::PermissionDenied, Code::NotFound];

pub async fn cases(server: &Server) -> Vec<Case> {
    let root = server.root().await;
    for user in ["ann", "bob"] {
        let sql = format!("CREATE USER '{user}' WITH PASSWORD '{PASSWORD}' ROLE user");
        root.update(&sql).await.unwrap();
    }
    let ann = server.sign_in("ann", PASSWORD).await.unwrap();
    let bob = server.sign_in("bob", PASSWORD).await.unwrap();
    let elsewhere = Server::start();
    let foreign = ticket(&elsewhere.root().await, "SELECT 1").await;
    let own = ticket(&root, "SELECT 1").await;

    let mut cases = vec![
        Case::new("a good ticket", Request::Get(own.clone()), OK),
        Case::new("the same ticket again", Request::Get(own.clone()), OK),
        Case::new("another server's ticket", Request::Get(foreign), REFUSED),
        Case::new("a ticket cut short", Request::Get(own[..own.len() - 1].to_vec()), REFUSED),
        Case::new(
            "a ticket made longer",
            Request::Get([&*own, &[0x1a, 1, 1]].concat()),
            &[
                // Bytes after the command that the message format skips.
                Code::Ok,
                Code::InvalidArgument,
            ],
        ),
        Case::new("a ticket twice over", Request::Get([&*own, &*own].concat()), REFUSED_OR_OK),
    ];
    cases.extend(altered(&own));
    cases.extend(forged());
    cases.extend(of_another_user(&ann, &bob).await);
    cases
}

const REFUSED_OR_OK: &[Code] =
    &[Code::Ok, Code::InvalidArgument, Code::PermissionDenied, Code::NotFound];

/// The signed part of the ticket with one byte changed.
fn altered(ticket: &[u8]) -> Vec<Case> {
    let any = Any::decode(ticket).unwrap();
    let statement = TicketStatementQuery::decode(&*any.value).unwrap();
    let signed = statement.statement_handle;
    let places = (0..PLACES).map(|place| place * (signed.len() - 1) / (PLACES - 1));
    places
        .map(|place| {
            let mut bytes = signed.to_vec();
            bytes[place] ^= 0x10;
            let ticket = TicketStatementQuery { statement_handle: bytes.into() };
            let name = format!("a ticket with byte {place} of {} changed", signed.len());
            Case::new(name, Request::Get(ticket.as_any().encode_to_vec()), REFUSED)
        })
        .collect()
}

fn forged() -> Vec<Case> {
    let granted = |handle: &[u8]| Request::Get(any("TicketStatementQuery", &field(1, handle)));
    vec![
        Case::new("a ticket without a handle", granted(b""), INVALID),
        Case::new("a ticket that is SQL", granted(b"SELECT 1"), INVALID),
        Case::new("a ticket of ones", granted(&[0xff; 200]), INVALID),
        Case::new("a ticket with an empty signature", granted(&field(1, b"payload")), INVALID),
        Case::new("a ticket of 10,000 bytes", granted(&[0x0a; 10_000]), INVALID),
        Case::new(
            "an update as a ticket",
            Request::Get(any("CommandStatementUpdate", &field(1, b"SELECT 1"))),
            INVALID_OR_UNSUPPORTED,
        ),
        Case::new(
            "an ingest as a ticket",
            Request::Get(any("CommandStatementIngest", b"")),
            INVALID_OR_UNSUPPORTED,
        ),
        Case::new(
            "an unknown handle as a ticket",
            Request::Get(any("CommandPreparedStatementQuery", &field(1, &[1; 16]))),
            INVALID_OR_NOT_FOUND,
        ),
    ]
}

/// Ann's tickets and prepared statements in Bob's hands.
async fn of_another_user(ann: &Client, bob: &Client) -> Vec<Case> {
    let anns_ticket = ticket(ann, "SELECT 1").await;
    let handle = handle_of(ann, "SELECT 1").await;
    let prepared =
        CommandPreparedStatementQuery { prepared_statement_handle: handle.clone().into() };
    let prepared = prepared.as_any().encode_to_vec();
    let update = arrow_flight::sql::CommandPreparedStatementUpdate {
        prepared_statement_handle: handle.clone().into(),
    };
    let close = any("ActionClosePreparedStatementRequest", &field(1, &handle));
    let for_bob = |name: &str, request: Request, expected: &'static [Code]| {
        Case::new(name, request, expected).with(bearer(bob.token()))
    };
    let for_ann = |name: &str, request: Request, expected: &'static [Code]| {
        Case::new(name, request, expected).with(bearer(ann.token()))
    };
    vec![
        for_bob("another user's ticket", Request::Get(anns_ticket.clone()), NOT_YOURS),
        for_bob("another user's handle: info", Request::info(prepared.clone()), NOT_FOUND),
        for_bob("another user's handle: get", Request::Get(prepared.clone()), NOT_FOUND),
        for_bob("another user's handle: put", Request::Put(vec![put_message(&update)]), NOT_FOUND),
        for_bob(
            "another user's handle: close",
            Request::Action("ClosePreparedStatement", close),
            OK,
        ),
        Case::new("another user's ticket, by root", Request::Get(anns_ticket.clone()), NOT_YOURS),
        Case::new("another user's handle, by root", Request::info(prepared.clone()), NOT_FOUND),
        // Nobody's attempts have harmed the owner.
        for_ann("the owner's ticket", Request::Get(anns_ticket), OK),
        for_ann("the owner's handle", Request::info(prepared), OK),
    ]
}

async fn ticket(client: &Client, sql: &str) -> Vec<u8> {
    let info = client.sql().execute(sql.to_owned(), None).await.unwrap();
    info.endpoint[0].ticket.clone().unwrap().ticket.to_vec()
}

/// The handle of a prepared statement that is never closed.
pub async fn handle_of(client: &Client, sql: &str) -> Vec<u8> {
    let action = arrow_flight::Action {
        r#type: super::request::PREPARE.to_owned(),
        body: super::request::prepare_body(sql).into(),
    };
    let mut answers = client.sql().do_action(action).await.unwrap();
    let answer = answers.message().await.unwrap().expect("one answer");
    let any = Any::decode(&*answer.body).unwrap();
    let result = arrow_flight::sql::ActionCreatePreparedStatementResult::decode(&*any.value);
    result.unwrap().prepared_statement_handle.to_vec()
}
