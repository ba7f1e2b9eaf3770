//! The floor that benchmarks compare with: a Flight SQL server without an engine.
//!
//! It answers every statement with batches made before the first request: a statement that
//! contains `floor_rows_<n>` gets n rows of ten columns, in batches of 8192; every other gets
//! one row. What a client measures here is the protocol, its own cost included.
//!
//! Prints `ready flight=<host:port>` and serves until its standard input closes.

#![allow(clippy::expect_used)]

use std::pin::Pin;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::SchemaRef;
use arrow::ipc::writer::IpcWriteOptions;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_server::{FlightService, FlightServiceServer};
use arrow_flight::sql::server::FlightSqlService;
use arrow_flight::sql::{
    ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest,
    ActionCreatePreparedStatementResult, CommandPreparedStatementQuery, CommandStatementQuery,
    ProstMessageExt, SqlInfo, TicketStatementQuery,
};
use arrow_flight::{
    Action, FlightDescriptor, FlightEndpoint, FlightInfo, HandshakeRequest, HandshakeResponse,
    IpcMessage, SchemaAsIpc, Ticket,
};
use futures::{Stream, StreamExt, TryStreamExt, stream};
use prost::Message;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

/// Rows of one batch, as the real server sends them.
const BATCH_ROWS: usize = 8192;
/// Rows the server can hand out.
const ROWS_MAX: usize = 1_000_000;

struct Floor {
    batches: Arc<Vec<RecordBatch>>,
    one: RecordBatch,
}

impl Floor {
    fn new() -> Self {
        let batches: Vec<_> = (0..ROWS_MAX)
            .step_by(BATCH_ROWS)
            .map(|first| messages(first, BATCH_ROWS.min(ROWS_MAX - first)))
            .collect();
        Self { batches: Arc::new(batches), one: messages(0, 1) }
    }

    fn schema(&self) -> SchemaRef {
        self.one.schema()
    }

    fn info(
        &self,
        sql: &str,
        descriptor: FlightDescriptor,
    ) -> Result<Response<FlightInfo>, Status> {
        let ticket = TicketStatementQuery { statement_handle: sql.as_bytes().to_vec().into() };
        let endpoint =
            FlightEndpoint::new().with_ticket(Ticket::new(ticket.as_any().encode_to_vec()));
        let info = FlightInfo::new()
            .try_with_schema(&self.schema())
            .map_err(|error| Status::internal(error.to_string()))?
            .with_descriptor(descriptor)
            .with_endpoint(endpoint);
        Ok(Response::new(info))
    }

    fn rows(&self, sql: &[u8]) -> Response<<Self as FlightService>::DoGetStream> {
        let wanted = wanted_rows(&String::from_utf8_lossy(sql));
        let batches: Vec<RecordBatch> = match wanted {
            None => vec![self.one.clone()],
            Some(rows) => self.batches.iter().take(rows.div_ceil(BATCH_ROWS)).cloned().collect(),
        };
        let encoded = FlightDataEncoderBuilder::new()
            .with_schema(self.schema())
            .build(stream::iter(batches).map(Ok::<_, FlightError>))
            .map_err(Status::from);
        Response::new(encoded.boxed())
    }
}

/// The n of `floor_rows_<n>`.
fn wanted_rows(sql: &str) -> Option<usize> {
    let (_, rest) = sql.split_once("floor_rows_")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok().map(|rows: usize| rows.min(ROWS_MAX))
}

/// Ten columns as a chat message has them.
fn messages(first: usize, rows: usize) -> RecordBatch {
    let ids = || (first..first + rows).map(|id| id as i64);
    let text = |make: fn(i64) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(ids().map(make)))
    };
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values(ids()))),
        ("room", Arc::new(Int32Array::from_iter_values(ids().map(|id| (id % 500) as i32)))),
        ("author", Arc::new(Int64Array::from_iter_values(ids().map(|id| id % 10_000)))),
        ("kind", text(|id| format!("k{:03}", id % 7))),
        ("title", text(|id| format!("title-{id:010}"))),
        ("body", text(|id| format!("the body of message {id:012}"))),
        ("score", Arc::new(Float64Array::from_iter_values(ids().map(|id| id as f64 / 3.0)))),
        ("likes", Arc::new(Int32Array::from_iter_values(ids().map(|id| (id % 100) as i32)))),
        ("sent_at", Arc::new(TimestampMicrosecondArray::from_iter_values(ids()))),
        ("read", Arc::new(BooleanArray::from_iter(ids().map(|id| Some(id % 2 == 0))))),
    ];
    RecordBatch::try_from_iter(columns).expect("columns of one length")
}

#[tonic::async_trait]
impl FlightSqlService for Floor {
    type FlightService = Self;

    async fn do_handshake(
        &self,
        _request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<
        Response<Pin<Box<dyn Stream<Item = Result<HandshakeResponse, Status>> + Send>>>,
        Status,
    > {
        let answer = HandshakeResponse { protocol_version: 0, payload: "floor".into() };
        let mut response = Response::new(stream::iter([Ok(answer)]).boxed() as Pin<Box<_>>);
        let token = "Bearer floor".parse().map_err(|_| Status::internal("token"))?;
        response.metadata_mut().insert("authorization", token);
        Ok(response)
    }

    async fn get_flight_info_statement(
        &self,
        query: CommandStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        self.info(&query.query, request.into_inner())
    }

    async fn get_flight_info_prepared_statement(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let sql = String::from_utf8_lossy(&query.prepared_statement_handle).into_owned();
        self.info(&sql, request.into_inner())
    }

    async fn do_get_statement(
        &self,
        ticket: TicketStatementQuery,
        _request: Request<Ticket>,
    ) -> Result<Response<<Self as FlightService>::DoGetStream>, Status> {
        Ok(self.rows(&ticket.statement_handle))
    }

    async fn do_action_create_prepared_statement(
        &self,
        query: ActionCreatePreparedStatementRequest,
        _request: Request<Action>,
    ) -> Result<ActionCreatePreparedStatementResult, Status> {
        let options = IpcWriteOptions::default();
        let message: IpcMessage = SchemaAsIpc::new(&self.schema(), &options)
            .try_into()
            .map_err(|error: arrow::error::ArrowError| Status::internal(error.to_string()))?;
        Ok(ActionCreatePreparedStatementResult {
            prepared_statement_handle: query.query.into_bytes().into(),
            dataset_schema: message.0,
            parameter_schema: Vec::new().into(),
        })
    }

    async fn do_action_close_prepared_statement(
        &self,
        _query: ActionClosePreparedStatementRequest,
        _request: Request<Action>,
    ) -> Result<(), Status> {
        Ok(())
    }

    async fn register_sql_info(&self, _id: i32, _result: &SqlInfo) {}
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("ready flight={}", listener.local_addr()?);
    let stopped = async {
        let mut input = [0; 64];
        while matches!(tokio::io::stdin().read(&mut input).await, Ok(n) if n > 0) {}
    };
    Server::builder()
        .add_service(FlightServiceServer::new(Floor::new()))
        .serve_with_incoming_shutdown(TcpIncoming::from(listener).with_nodelay(Some(true)), stopped)
        .await?;
    Ok(())
}
