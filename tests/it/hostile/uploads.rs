//! DoPut: streams without a command, bytes that are no Arrow data, batches that do not fit.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Int16Array, Int64Array, ListArray, RecordBatch, StringArray,
};
use arrow::datatypes::Int32Type;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::sql::{
    CommandPreparedStatementQuery, CommandPreparedStatementUpdate, CommandStatementIngest,
    CommandStatementUpdate, ProstMessageExt, TableDefinitionOptions, TableExistsOption,
    TableNotExistOption,
};
use arrow_flight::{FlightData, FlightDescriptor};
use futures::{TryStreamExt, stream};
use prost::Message;
use rand::RngExt;
use tonic::Code;

use super::request::{Request, put_message};
use super::tickets::handle_of;
use super::{
    Case, EXISTS, INVALID, INVALID_OR_NOT_FOUND, INVALID_OR_UNSUPPORTED, NOT_FOUND, OK_OR_INVALID,
    PROTECTED, UNSUPPORTED,
};
use crate::client::ingest_command;
use crate::random;
use crate::rows::{Value, single};
use crate::server::Server;

/// Streams with one byte of the Arrow data changed.
const ALTERED_STREAMS: usize = 80;
const SEED_VARIABLE: &str = "KALAMDB_HOSTILE_SEED";
/// An altered byte may change a value, the meaning of the data, or nothing; it is never our fault.
const CLIENTS_FAULT_OR_NONE: &[Code] =
    &[Code::Ok, Code::InvalidArgument, Code::ResourceExhausted, Code::Unimplemented];

pub async fn set_up(server: &Server) {
    let root = server.root().await;
    let target = "CREATE TABLE default.target \
        (id BIGINT PRIMARY KEY, name TEXT NOT NULL, small SMALLINT)";
    root.update(target).await.unwrap();
    root.update("CREATE TABLE default.scratch (id BIGINT, name TEXT, small SMALLINT)")
        .await
        .unwrap();
}

/// Whatever was refused has left nothing behind.
pub async fn check_nothing_written(server: &Server) {
    let root = server.root().await;
    let count = root.rows("SELECT count(*) FROM default.target").await.unwrap();
    assert_eq!(single(&count), Value::Int(0), "rows of refused uploads");
}

pub async fn cases(server: &Server) -> Vec<Case> {
    let mut cases = without_data();
    cases.extend(broken_streams().await);
    cases.extend(altered_streams().await);
    cases.extend(wrong_batches().await);
    cases.extend(wrong_targets().await);
    cases.extend(wrong_bindings(server).await);
    cases
}

fn append() -> TableDefinitionOptions {
    TableDefinitionOptions {
        if_not_exist: TableNotExistOption::Fail.into(),
        if_exists: TableExistsOption::Append.into(),
    }
}

fn into_target() -> CommandStatementIngest {
    ingest_command("default", "target", append())
}

/// Columns that fit `default.target`.
fn good_batch() -> RecordBatch {
    batch(vec![
        ("id", Arc::new(Int64Array::from(vec![1, 2, 3]))),
        ("name", Arc::new(StringArray::from(vec!["a", "b", "c"]))),
        ("small", Arc::new(Int16Array::from(vec![Some(1), None, Some(3)]))),
    ])
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true)))
        .unwrap()
}

/// A stream as a client sends it: the command with the schema, then the batches.
async fn messages(command: &impl ProstMessageExt, batches: Vec<RecordBatch>) -> Vec<FlightData> {
    let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
    let encoder = FlightDataEncoderBuilder::new().with_flight_descriptor(Some(descriptor));
    encoder.build(stream::iter(batches.into_iter().map(Ok))).try_collect().await.unwrap()
}

fn without_data() -> Vec<Case> {
    let put = |command: Vec<u8>| {
        let descriptor = Some(FlightDescriptor::new_cmd(command));
        Request::Put(vec![FlightData { flight_descriptor: descriptor, ..Default::default() }])
    };
    let path = Some(FlightDescriptor::new_path(vec!["target".into()]));
    let path = Request::Put(vec![FlightData { flight_descriptor: path, ..Default::default() }]);
    let query =
        arrow_flight::sql::CommandStatementQuery { query: "SELECT 1".into(), transaction_id: None };
    let in_transaction = CommandStatementUpdate {
        query: "DELETE FROM default.target".into(),
        transaction_id: Some(b"tx".as_slice().into()),
    };
    vec![
        Case::new("no message", Request::Put(vec![]), INVALID),
        Case::new("no descriptor", Request::Put(vec![FlightData::default()]), INVALID),
        Case::new("an empty command", put(vec![]), INVALID),
        Case::new("a command of ones", put(vec![0xff; 50]), INVALID),
        Case::new("plain SQL", put(b"DELETE FROM default.target".to_vec()), INVALID_OR_UNSUPPORTED),
        Case::new("a path", path, INVALID_OR_UNSUPPORTED),
        Case::new("a query", put(query.as_any().encode_to_vec()), INVALID_OR_UNSUPPORTED),
        Case::new(
            "a transaction",
            put(in_transaction.as_any().encode_to_vec()),
            INVALID_OR_UNSUPPORTED,
        ),
        Case::new(
            "an ingest without options",
            put(CommandStatementIngest { table_definition_options: None, ..into_target() }
                .as_any()
                .encode_to_vec()),
            INVALID,
        ),
        Case::new(
            "an ingest without a schema",
            put(into_target().as_any().encode_to_vec()),
            INVALID,
        ),
    ]
}

async fn broken_streams() -> Vec<Case> {
    let good = messages(&into_target(), vec![good_batch()]).await;
    let with = |at: usize, change: &dyn Fn(&mut FlightData)| {
        let mut messages = good.clone();
        change(&mut messages[at]);
        Request::Put(messages)
    };
    let cut = |bytes: &bytes::Bytes, keep: usize| bytes.slice(..keep.min(bytes.len()));
    let mut repeated = good.clone();
    repeated.extend(good.clone());
    let mut reversed = good.clone();
    reversed.reverse();
    reversed[0].flight_descriptor = good[0].flight_descriptor.clone();
    vec![
        Case::new(
            "a schema of ones",
            with(0, &|m| m.data_header = vec![0xff; 100].into()),
            INVALID,
        ),
        Case::new("a schema of zeros", with(0, &|m| m.data_header = vec![0; 100].into()), INVALID),
        Case::new("half a schema", with(0, &|m| m.data_header = cut(&m.data_header, 40)), INVALID),
        Case::new("no schema bytes", with(0, &|m| m.data_header.clear()), INVALID),
        Case::new("a batch of ones", with(1, &|m| m.data_header = vec![0xff; 100].into()), INVALID),
        Case::new(
            "half a batch header",
            with(1, &|m| m.data_header = cut(&m.data_header, 40)),
            INVALID,
        ),
        Case::new("a batch without a body", with(1, &|m| m.data_body.clear()), INVALID),
        Case::new("half a body", with(1, &|m| m.data_body = cut(&m.data_body, 20)), INVALID),
        Case::new("the schema twice", Request::Put(repeated), INVALID),
        Case::new("the batch before the schema", Request::Put(reversed), INVALID),
    ]
}

/// One byte changed anywhere in the Arrow data: into the keyless table, since some pass.
async fn altered_streams() -> Vec<Case> {
    let seed = random::seed(SEED_VARIABLE);
    let mut rng = random::generator(seed, 0);
    let good = messages(&ingest_command("default", "scratch", append()), vec![good_batch()]).await;
    (0..ALTERED_STREAMS)
        .map(|number| {
            let mut messages = good.clone();
            let at = rng.random_range(0..messages.len());
            let in_body = !messages[at].data_body.is_empty() && rng.random_bool(0.4);
            let part =
                if in_body { &mut messages[at].data_body } else { &mut messages[at].data_header };
            let mut bytes = part.to_vec();
            let place = rng.random_range(0..bytes.len());
            bytes[place] ^= 1 << rng.random_range(0..8);
            *part = bytes.into();
            let part = if in_body { "body" } else { "header" };
            let name =
                format!("altered stream {number}: byte {place} of the {part} of message {at}");
            Case::new(name, Request::Put(messages), CLIENTS_FAULT_OR_NONE)
        })
        .collect()
}

async fn wrong_batches() -> Vec<Case> {
    let id = || -> ArrayRef { Arc::new(Int64Array::from(vec![1, 2])) };
    let name = || -> ArrayRef { Arc::new(StringArray::from(vec!["a", "b"])) };
    let list: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([
        Some(vec![Some(1)]),
        Some(vec![Some(2)]),
    ]));
    let large: ArrayRef = Arc::new(Int64Array::from(vec![1, 70_000]));
    let empty = RecordBatch::new_empty(Arc::new(arrow::datatypes::Schema::empty()));
    let key = |values: Vec<Option<i64>>| -> ArrayRef { Arc::new(Int64Array::from(values)) };
    let names = |values: Vec<Option<&str>>| -> ArrayRef { Arc::new(StringArray::from(values)) };
    let batches: Vec<(&str, RecordBatch)> = vec![
        ("a column nobody has", batch(vec![("id", id()), ("name", name()), ("nothing", id())])),
        ("a NOT NULL column missing", batch(vec![("id", id())])),
        ("the key missing", batch(vec![("name", name())])),
        ("a column twice", batch(vec![("id", id()), ("name", name()), ("name", name())])),
        ("a list for a number", batch(vec![("id", list), ("name", name())])),
        ("text for a number", batch(vec![("id", name()), ("name", name())])),
        (
            "a flag for a key",
            batch(vec![("id", Arc::new(BooleanArray::from(vec![true, true]))), ("name", name())]),
        ),
        ("a number out of range", batch(vec![("id", id()), ("name", name()), ("small", large)])),
        ("NULL where NOT NULL", batch(vec![("id", id()), ("name", names(vec![Some("a"), None]))])),
        ("NULL for a key", batch(vec![("id", key(vec![Some(1), None])), ("name", name())])),
        ("a key twice", batch(vec![("id", key(vec![Some(5), Some(5)])), ("name", name())])),
        (
            "a system column",
            batch(vec![
                ("id", id()),
                ("name", name()),
                ("_deleted", Arc::new(BooleanArray::from(vec![true; 2]))),
            ]),
        ),
    ];
    let mut cases = Vec::new();
    for (name, batch) in batches {
        let request = Request::Put(messages(&into_target(), vec![batch]).await);
        cases.push(Case::new(format!("upload: {name}"), request, INVALID_OR_NOT_FOUND));
    }
    let request = Request::Put(messages(&into_target(), vec![empty]).await);
    cases.push(Case::new("upload: no columns and no rows", request, OK_OR_INVALID));
    // The good first batch must go with the bad second one.
    let bad = batch(vec![
        ("id", Arc::new(Int64Array::from(vec![1]))),
        ("name", Arc::new(StringArray::from(vec!["again"]))),
        ("small", Arc::new(Int16Array::from(vec![1]))),
    ]);
    let request = Request::Put(messages(&into_target(), vec![good_batch(), bad]).await);
    cases.push(Case::new("upload: a good batch, then a bad one", request, INVALID));
    cases
}

async fn wrong_targets() -> Vec<Case> {
    let fail = TableDefinitionOptions {
        if_not_exist: TableNotExistOption::Fail.into(),
        if_exists: TableExistsOption::Fail.into(),
    };
    let numbers = |if_not_exist: i32, if_exists: i32| {
        ingest_command("default", "target", TableDefinitionOptions { if_not_exist, if_exists })
    };
    let into = |namespace: &str, table: &str| ingest_command(namespace, table, append());
    let commands: Vec<(&str, CommandStatementIngest, &'static [Code])> = vec![
        ("a table that exists", ingest_command("default", "target", fail), EXISTS),
        ("a table that does not", into("default", "nothing"), NOT_FOUND),
        ("a namespace that does not", into("nowhere", "target"), NOT_FOUND),
        ("a file", into("default", "../../etc/passwd"), NOT_FOUND),
        ("a URL", into("default", "file:///tmp/x"), NOT_FOUND),
        ("no table", into("default", ""), INVALID_OR_NOT_FOUND),
        ("a system table", into("system", "users"), PROTECTED),
        (
            "another catalog",
            CommandStatementIngest { catalog: Some("elsewhere".into()), ..into_target() },
            INVALID_OR_NOT_FOUND,
        ),
        (
            "a temporary table",
            CommandStatementIngest { temporary: true, ..into_target() },
            UNSUPPORTED,
        ),
        (
            "a transaction",
            CommandStatementIngest {
                transaction_id: Some(b"tx".as_slice().into()),
                ..into_target()
            },
            INVALID_OR_UNSUPPORTED,
        ),
        ("options left open", numbers(0, 0), INVALID),
        ("options nobody has", numbers(77, -1), INVALID),
    ];
    let mut cases = Vec::new();
    for (name, command, expected) in commands {
        let request = Request::Put(messages(&command, vec![good_batch()]).await);
        cases.push(Case::new(format!("upload into {name}"), request, expected));
    }
    cases
}

async fn wrong_bindings(server: &Server) -> Vec<Case> {
    let root = server.root().await;
    let insert = handle_of(&root, "INSERT INTO default.target VALUES ($1, $2, $3)").await;
    let update = CommandPreparedStatementUpdate { prepared_statement_handle: insert.into() };
    let select = handle_of(&root, "SELECT * FROM default.target WHERE id = ?").await;
    let query = CommandPreparedStatementQuery { prepared_statement_handle: select.clone().into() };
    let query_as_update =
        CommandPreparedStatementUpdate { prepared_statement_handle: select.into() };
    let unknown = CommandPreparedStatementUpdate { prepared_statement_handle: vec![9; 16].into() };
    let text = |value: &str| -> ArrayRef { Arc::new(StringArray::from(vec![value])) };
    let number = |value: i64| -> ArrayRef { Arc::new(Int64Array::from(vec![value])) };
    let list: ArrayRef =
        Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1)])]));
    let one = |array: ArrayRef| batch(vec![("$1", array)]);
    let three = |first: ArrayRef, second: ArrayRef, third: ArrayRef| {
        batch(vec![("$1", first), ("$2", second), ("$3", third)])
    };
    let bindings: Vec<(&str, Vec<FlightData>, &'static [Code])> = vec![
        ("nothing", vec![put_message(&update)], INVALID),
        ("too few", messages(&update, vec![one(number(1))]).await, INVALID),
        (
            "a word for a number",
            messages(&update, vec![three(text("one"), text("a"), number(1))]).await,
            INVALID,
        ),
        (
            "a number out of range",
            messages(&update, vec![three(number(1), text("a"), number(70_000))]).await,
            INVALID,
        ),
        (
            "a list",
            messages(&update, vec![three(list.clone(), text("a"), number(1))]).await,
            INVALID,
        ),
        (
            "a query run as an update",
            messages(&query_as_update, vec![one(number(1))]).await,
            INVALID_OR_UNSUPPORTED,
        ),
        ("an unknown handle", messages(&unknown, vec![one(number(1))]).await, INVALID_OR_NOT_FOUND),
    ];
    let mut cases: Vec<Case> = bindings
        .into_iter()
        .map(|(name, messages, expected)| {
            Case::new(format!("bind: {name}"), Request::Put(messages), expected)
        })
        .collect();
    for (name, parameters) in [
        ("too many", three(number(1), number(2), number(3))),
        ("a list", one(list)),
        ("a word", one(text("one"))),
    ] {
        let request = Request::BindAndQuery(messages(&query, vec![parameters]).await);
        cases.push(Case::new(format!("bind to a query: {name}"), request, INVALID));
    }
    cases
}
