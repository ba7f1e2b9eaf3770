//! DoAction: names nobody knows, bodies that are something else, what is not offered.

use arrow_flight::sql::ProstMessageExt;
use prost::Message;
use tonic::Code;

use super::request::{PREPARE, Request, any, field};
use super::tickets::handle_of;
use super::{
    Case, INVALID, INVALID_OR_NOT_FOUND, INVALID_OR_UNSUPPORTED, NOT_FOUND, OK, OK_OR_INVALID,
    UNSUPPORTED,
};
use crate::server::Server;

/// What a client may be told when it closes or cancels something that is not there.
const OK_OR_REFUSED: &[Code] =
    &[Code::Ok, Code::InvalidArgument, Code::NotFound, Code::Unimplemented];

/// Actions that read a body.
const WITH_BODY: [&str; 5] = [
    PREPARE,
    "ClosePreparedStatement",
    "CancelFlightInfo",
    "RenewFlightEndpoint",
    "SetSessionOptions",
];

/// Actions of Flight SQL that are not offered.
const NOT_OFFERED: [&str; 5] = [
    "BeginTransaction",
    "EndTransaction",
    "BeginSavepoint",
    "EndSavepoint",
    "CreatePreparedSubstraitPlan",
];

pub async fn cases(server: &Server) -> Vec<Case> {
    let root = server.root().await;
    let handle = handle_of(&root, "SELECT 1").await;
    let mut cases = preparing();
    cases.extend(closing(&handle));
    cases.extend(unknown());
    cases.extend(foreign_bodies());
    cases.extend(session_options());
    cases
}

fn unknown() -> Vec<Case> {
    let names = ["", "DropEverything", "../../bin/sh", "createpreparedstatement"];
    let mut cases: Vec<Case> = names
        .into_iter()
        .map(|name| {
            let request = Request::Action(name, vec![]);
            Case::new(format!("the action {name:?}"), request, INVALID_OR_UNSUPPORTED)
        })
        .collect();
    for name in NOT_OFFERED {
        let request = Request::Action(name, vec![]);
        cases.push(Case::new(format!("{name}, empty"), request, INVALID_OR_UNSUPPORTED));
        let request = any(&format!("Action{name}Request"), &[]);
        cases.push(Case::new(name, Request::Action(name, request), UNSUPPORTED));
    }
    cases
}

fn preparing() -> Vec<Case> {
    let prepare = |sql: &str| Request::Prepare(sql.to_owned());
    vec![
        Case::new("a statement prepared", prepare("SELECT 1"), OK),
        Case::new("no table, prepared", prepare("SELECT * FROM nothing"), NOT_FOUND),
        Case::new("two statements prepared", prepare("SELECT 1; SELECT 2"), INVALID),
        Case::new("nothing prepared", Request::Action(PREPARE, vec![]), INVALID),
        Case::new("a transaction's", prepared_in_transaction(), INVALID_OR_UNSUPPORTED),
    ]
}

fn closing(handle: &[u8]) -> Vec<Case> {
    let close = |handle: &[u8]| {
        let body = any("ActionClosePreparedStatementRequest", &field(1, handle));
        Request::Action("ClosePreparedStatement", body)
    };
    vec![
        Case::new("close", close(handle), OK),
        Case::new("close again", close(handle), OK),
        Case::new("close what never was", close(&[3; 16]), OK),
        Case::new("close nothing", close(&[]), OK),
        Case::new("close 10,000 bytes", close(&[3; 10_000]), OK),
    ]
}

fn foreign_bodies() -> Vec<Case> {
    let mut cases = Vec::new();
    for name in WITH_BODY {
        let mut push = |what: &str, body: Vec<u8>, expected| {
            let request = Request::Action(name, body);
            cases.push(Case::new(format!("{name} of {what}"), request, expected));
        };
        push("ones", vec![0xff; 64], INVALID);
        push("half a field", vec![0x0a, 0x40, 1], INVALID);
        // As a plain message these bytes are fields nobody knows, or a name without a value.
        let expected = if name == PREPARE { INVALID } else { OK_OR_REFUSED };
        push("another command", any("CommandGetTables", &[0x28, 1]), expected);
    }
    let cancel = Request::Action("CancelQuery", vec![0xff; 64]);
    cases.push(Case::new("cancel bytes", cancel, INVALID_OR_UNSUPPORTED));
    let cancel = Request::Action("CancelFlightInfo", vec![]);
    cases.push(Case::new("cancel nothing", cancel, OK_OR_REFUSED));
    let renew = Request::Action("RenewFlightEndpoint", vec![]);
    cases.push(Case::new("renew nothing", renew, INVALID_OR_NOT_FOUND));
    cases
}

fn prepared_in_transaction() -> Request {
    let request = arrow_flight::sql::ActionCreatePreparedStatementRequest {
        query: "SELECT 1".into(),
        transaction_id: Some(b"tx".as_slice().into()),
    };
    Request::Action(PREPARE, request.as_any().encode_to_vec())
}

/// Options travel as a plain message: a map of names to values of several types. What cannot be
/// set is named in the answer, so that the call itself succeeds.
fn session_options() -> Vec<Case> {
    let text = |value: &str| field(1, value.as_bytes());
    let set = |name: &str, value: Vec<u8>| {
        let entry = [field(1, name.as_bytes()), field(2, &value)].concat();
        Request::Action("SetSessionOptions", field(1, &entry))
    };
    vec![
        Case::new("an option nobody knows", set("nonsense", text("x")), OK),
        Case::new("an option without a name", set("", text("x")), OK),
        Case::new("a namespace that is not there", set("schema", text("nowhere")), OK),
        Case::new("a namespace that is a path", set("schema", text("../../etc")), OK),
        Case::new("a catalog that is not there", set("catalog", text("elsewhere")), OK),
        Case::new(
            "a number for a namespace",
            set("schema", vec![0x19, 1, 0, 0, 0, 0, 0, 0, 0]),
            OK,
        ),
        Case::new("a value of no type", set("schema", vec![]), OK),
        Case::new(
            "an option name that is not UTF-8",
            {
                let entry = [field(1, &[0xff, 0xfe]), field(2, &text("x"))].concat();
                Request::Action("SetSessionOptions", field(1, &entry))
            },
            INVALID,
        ),
        // These requests say nothing, so that what their bodies hold need not be read.
        Case::new(
            "options of bytes",
            Request::Action("GetSessionOptions", vec![0xff; 20]),
            OK_OR_INVALID,
        ),
        Case::new(
            "a close of bytes",
            Request::Action("CloseSession", vec![0xff; 20]),
            OK_OR_INVALID,
        ),
    ]
}
