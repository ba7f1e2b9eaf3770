//! Descriptors: bytes that are no command, commands at the wrong place, names that look like
//! paths, messages over every limit.

use arrow_flight::FlightDescriptor;
use arrow_flight::flight_descriptor::DescriptorType;
use arrow_flight::sql::{
    CommandGetCrossReference, CommandGetDbSchemas, CommandGetPrimaryKeys, CommandGetSqlInfo,
    CommandGetTables, CommandGetXdbcTypeInfo, CommandPreparedStatementQuery,
    CommandStatementIngest, CommandStatementQuery, CommandStatementUpdate, ProstMessageExt,
};
use prost::Message;

use super::request::{Request, any, field};
use super::{
    Case, INVALID, INVALID_OR_NOT_FOUND, INVALID_OR_UNSUPPORTED, NOT_FOUND, OK, OK_OR_INVALID,
    TOO_LARGE, UNDECODABLE, UNSUPPORTED,
};

const GET_FLIGHT_INFO: &str = "/arrow.flight.protocol.FlightService/GetFlightInfo";
const QUERY: &str = "CommandStatementQuery";
/// More than any server of ours takes in one message.
const OVERSIZED_BYTES: usize = 80 << 20;

pub fn cases() -> Vec<Case> {
    let mut cases = bytes_that_are_no_command();
    cases.extend(commands_out_of_place());
    cases.extend(descriptors());
    cases.extend(metadata_requests());
    cases.extend(below_the_protocol());
    cases
}

/// Every one to GetFlightInfo, to GetSchema and as a ticket to DoGet.
fn bytes_that_are_no_command() -> Vec<Case> {
    let sql = b"SELECT 1".as_slice();
    let good = any(QUERY, &field(1, sql));
    let mut nested = good.clone();
    for _ in 0..100 {
        nested = any("Any", &nested);
    }
    let bytes: Vec<(&str, Vec<u8>, _)> = vec![
        ("nothing", vec![], INVALID),
        ("spaces", b"   \n".to_vec(), INVALID),
        ("zeros", vec![0; 64], INVALID),
        ("ones", vec![0xff; 64], INVALID),
        ("text that is no SQL", b"hello, world".to_vec(), INVALID),
        ("SQL and a NUL", b"SELECT 1\0".to_vec(), INVALID),
        ("half of a command", good[..good.len() / 2].to_vec(), INVALID),
        ("a command without its last byte", good[..good.len() - 1].to_vec(), INVALID),
        ("a length beyond the end", any(QUERY, &[0x0a, 0xff, 0xff, 0x7f]), INVALID),
        ("a varint without end", any(QUERY, &[0xff; 32]), INVALID),
        ("a wire type that is none", any(QUERY, &[0x0f, 0, 0]), INVALID),
        ("a group left open", any(QUERY, &[0x0b]), INVALID),
        ("a number where text belongs", any(QUERY, &[0x08, 1]), INVALID),
        ("SQL that is not UTF-8", any(QUERY, &field(1, b"SELECT '\xff\xfe'")), INVALID),
        ("SQL with half a character", any(QUERY, &field(1, b"SELECT '\xe6\x97'")), INVALID),
        ("SQL with a surrogate", any(QUERY, &field(1, b"SELECT '\xed\xa0\x80'")), INVALID),
        ("no SQL", any(QUERY, &[]), INVALID),
        ("empty SQL", any(QUERY, &field(1, b"")), INVALID),
        ("a transaction", any(QUERY, &[field(1, sql), field(2, b"tx")].concat()), INVALID),
        ("a command of tomorrow", any("CommandStatementTomorrow", b"x"), INVALID_OR_UNSUPPORTED),
        ("a type without a name", any("", b"x"), INVALID_OR_UNSUPPORTED),
        ("commands in each other", nested, INVALID_OR_UNSUPPORTED),
        ("a Substrait plan", any("CommandStatementSubstraitPlan", b""), UNSUPPORTED),
        ("another type's bytes", any("CommandGetTables", &[0x28, 0xff]), INVALID),
    ];
    let mut cases = Vec::new();
    for (name, bytes, expected) in bytes {
        let descriptor = FlightDescriptor::new_cmd(bytes.clone());
        cases.push(Case::new(format!("info: {name}"), Request::info(bytes.clone()), expected));
        cases.push(Case::new(format!("schema: {name}"), Request::Schema(descriptor), expected));
        cases.push(Case::new(format!("ticket: {name}"), Request::Get(bytes), expected));
    }
    cases
}

fn commands_out_of_place() -> Vec<Case> {
    let update = CommandStatementUpdate { query: "SELECT 1".into(), transaction_id: None };
    let ingest = CommandStatementIngest { table: "t".into(), ..Default::default() };
    let commands = [
        ("an update", update.as_any().encode_to_vec(), INVALID_OR_UNSUPPORTED),
        ("an ingest", ingest.as_any().encode_to_vec(), INVALID_OR_UNSUPPORTED),
        ("a prepared update", any("CommandPreparedStatementUpdate", b""), INVALID_OR_UNSUPPORTED),
        ("an action's request", any("ActionBeginTransactionRequest", b""), INVALID_OR_UNSUPPORTED),
        ("an answer", any("DoPutUpdateResult", b""), INVALID_OR_UNSUPPORTED),
        ("a ticket", any("TicketStatementQuery", &field(1, b"x")), INVALID_OR_UNSUPPORTED),
        ("an unknown handle", prepared(b"0123456789abcdef".to_vec()), INVALID_OR_NOT_FOUND),
        ("no handle", prepared(vec![]), INVALID_OR_NOT_FOUND),
        ("a handle of a megabyte", prepared(vec![7; 1 << 20]), INVALID_OR_NOT_FOUND),
        ("a handle that is a path", prepared(b"../../etc/passwd".to_vec()), INVALID_OR_NOT_FOUND),
        ("a handle that is SQL", prepared(b"SELECT 1".to_vec()), INVALID_OR_NOT_FOUND),
    ];
    let mut cases = Vec::new();
    for (name, bytes, expected) in commands {
        cases.push(Case::new(format!("info: {name}"), Request::info(bytes.clone()), expected));
        let descriptor = FlightDescriptor::new_cmd(bytes);
        cases.push(Case::new(format!("schema: {name}"), Request::Schema(descriptor), expected));
    }
    cases
}

fn descriptors() -> Vec<Case> {
    let path = |parts: &[&str]| {
        let parts: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
        Request::Info(FlightDescriptor::new_path(parts))
    };
    let of_type = |number: i32| {
        let cmd = b"SELECT 1".as_slice().into();
        Request::Info(FlightDescriptor { r#type: number, cmd, path: vec![] })
    };
    let many = vec!["x"; 1000];
    vec![
        Case::new("a path that leads out", path(&["..", "..", "etc"]), NOT_FOUND),
        Case::new("a file's path", path(&["/etc/passwd"]), NOT_FOUND),
        Case::new("a URL's path", path(&["file:///etc/passwd"]), NOT_FOUND),
        Case::new("a bucket's path", path(&["s3://bucket", "key.parquet"]), NOT_FOUND),
        Case::new("a path with SQL in it", path(&["x\"; DROP TABLE y; --"]), NOT_FOUND),
        Case::new("a path with a NUL", path(&["x\0y"]), INVALID_OR_NOT_FOUND),
        Case::new("a path of empty parts", path(&["", "", ""]), INVALID_OR_NOT_FOUND),
        Case::new("no path", path(&[]), INVALID),
        Case::new("a path of 1,000 parts", path(&many), INVALID),
        Case::new("a descriptor of no type", of_type(DescriptorType::Unknown as i32), INVALID),
        Case::new("a descriptor of type 99", of_type(99), INVALID),
        Case::new("a descriptor of type -1", of_type(-1), INVALID),
        Case::new(
            "poll: bytes",
            Request::Poll(FlightDescriptor::new_cmd(vec![0xff; 9])),
            INVALID_OR_UNSUPPORTED,
        ),
        Case::new(
            "poll: SQL that is none",
            Request::Poll(FlightDescriptor::new_cmd("no sql")),
            INVALID_OR_UNSUPPORTED,
        ),
        Case::new("exchange: nothing", Request::Exchange(vec![]), INVALID_OR_UNSUPPORTED),
        Case::new(
            "exchange: an empty message",
            Request::Exchange(vec![Default::default()]),
            INVALID_OR_UNSUPPORTED,
        ),
    ]
}

fn metadata_requests() -> Vec<Case> {
    let tables = |pattern: &str, catalog: Option<&str>| CommandGetTables {
        catalog: catalog.map(str::to_owned),
        db_schema_filter_pattern: Some(pattern.to_owned()),
        table_name_filter_pattern: Some(pattern.to_owned()),
        table_types: vec![pattern.to_owned()],
        include_schema: true,
    };
    let schemas = CommandGetDbSchemas {
        catalog: Some("../..".into()),
        db_schema_filter_pattern: Some("%_%_%_%".repeat(300)),
    };
    let keys = |table: &str| CommandGetPrimaryKeys { table: table.into(), ..Default::default() };
    let requests = [
        ("a pattern of 20,000 wildcards", get(&tables(&"%_".repeat(10_000), None)), OK_OR_INVALID),
        ("a pattern that ends in an escape", get(&tables("a\\", None)), OK_OR_INVALID),
        ("a pattern with a NUL", get(&tables("\0", None)), OK),
        ("a catalog that is a path", get(&tables("%", Some("../../etc/passwd"))), OK),
        ("an empty catalog", get(&tables("%", Some(""))), OK),
        ("a schema pattern of wildcards", get(&schemas), OK_OR_INVALID),
        (
            "keys of no table",
            get(&keys("")),
            &[tonic::Code::Ok, tonic::Code::InvalidArgument, tonic::Code::NotFound],
        ),
        (
            "keys of a path",
            get(&keys("../../etc/passwd")),
            &[tonic::Code::Ok, tonic::Code::NotFound],
        ),
        ("a cross reference of nothing", get(&CommandGetCrossReference::default()), OK_OR_INVALID),
        ("an SQL info nobody knows", get(&CommandGetSqlInfo { info: vec![u32::MAX, 77_777] }), OK),
        ("100,000 SQL infos", get(&CommandGetSqlInfo { info: vec![0; 100_000] }), OK_OR_INVALID),
        ("a type nobody knows", get(&CommandGetXdbcTypeInfo { data_type: Some(i32::MIN) }), OK),
    ];
    let mut cases = Vec::new();
    for (name, bytes, expected) in requests {
        cases.push(Case::new(format!("info: {name}"), Request::info(bytes.clone()), expected));
        cases.push(Case::new(format!("ticket: {name}"), Request::Get(bytes), expected));
    }
    cases.push(Case::new(
        "flights by bytes",
        Request::ListFlights(vec![0xff; 100]),
        &[tonic::Code::Ok, tonic::Code::InvalidArgument, tonic::Code::Unimplemented],
    ));
    cases
}

fn below_the_protocol() -> Vec<Case> {
    let oversized = CommandStatementQuery {
        query: format!("SELECT '{}'", "x".repeat(OVERSIZED_BYTES)),
        transaction_id: None,
    };
    let raw = |bytes: &[u8]| Request::Raw(GET_FLIGHT_INFO, bytes.to_vec());
    let unknown = "/arrow.flight.protocol.FlightService/DropEverything";
    vec![
        Case::new("raw: ones", raw(&[0xff; 40]), UNDECODABLE),
        Case::new("raw: a length beyond the end", raw(&[0x12, 0x7f, 1]), UNDECODABLE),
        Case::new("raw: a path that is not UTF-8", raw(&field(3, &[0xff, 0xfe])), UNDECODABLE),
        Case::new("raw: an empty descriptor", raw(&[]), INVALID),
        Case::new("raw: unknown fields only", raw(&field(9, b"what")), INVALID),
        Case::new("raw: a method nobody has", Request::Raw(unknown, vec![]), UNSUPPORTED),
        Case::new(
            "raw: a service nobody has",
            Request::Raw("/no.Such/Method", vec![]),
            UNSUPPORTED,
        ),
        Case::new(
            "a message of 80 MiB",
            Request::info(oversized.as_any().encode_to_vec()),
            TOO_LARGE,
        ),
    ]
}

fn prepared(handle: Vec<u8>) -> Vec<u8> {
    let command = CommandPreparedStatementQuery { prepared_statement_handle: handle.into() };
    command.as_any().encode_to_vec()
}

fn get(command: &impl ProstMessageExt) -> Vec<u8> {
    command.as_any().encode_to_vec()
}
