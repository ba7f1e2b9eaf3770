//! A Flight SQL client for tests: the `arrow-flight` client with a deadline on every call, errors
//! as gRPC statuses, and a check that the announced schema is the schema that comes.

use std::collections::HashMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::client::{FlightSqlServiceClient, PreparedStatement};
use arrow_flight::sql::{
    CommandStatementIngest, CommandStatementUpdate, DoPutUpdateResult, ProstMessageExt,
    TableDefinitionOptions, TableExistsOption, TableNotExistOption,
};
use arrow_flight::{FlightData, FlightDescriptor, FlightInfo, HandshakeRequest};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures::{Stream, TryStreamExt, stream};
use prost::Message as _;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use crate::rows::{Row, rows};

/// How long any one statement of a test may take.
pub const STATEMENT_WITHIN: Duration = Duration::from_secs(60);

/// One signed-in connection. Clones share it; statements of clones run side by side.
#[derive(Clone)]
pub struct Client {
    sql: FlightSqlServiceClient<Channel>,
}

impl Client {
    /// Connects and signs in with Basic credentials, as the drivers do.
    pub async fn sign_in(address: SocketAddr, user: &str, password: &str) -> Result<Self, Status> {
        let channel = connect(address).await?;
        let token = handshake(channel.clone(), user, password).await?;
        Ok(Self::with_token(channel, token))
    }

    /// A new connection for a token that an earlier one was given.
    pub async fn resume(address: SocketAddr, token: &str) -> Result<Self, Status> {
        Ok(Self::with_token(connect(address).await?, token.to_owned()))
    }

    /// A client that shows `token` on an existing connection.
    pub fn with_token(channel: Channel, token: String) -> Self {
        let mut sql = FlightSqlServiceClient::new(channel);
        sql.set_token(token);
        Self { sql }
    }

    /// The bearer token the server gave.
    pub fn token(&self) -> &str {
        self.sql.token().expect("a signed-in client has a token")
    }

    /// The `arrow-flight` client, for calls that have no shorthand here.
    pub fn sql(&self) -> FlightSqlServiceClient<Channel> {
        self.sql.clone()
    }

    /// Runs a query: GetFlightInfo, then DoGet.
    pub async fn query(&self, sql: &str) -> Result<Vec<RecordBatch>, Status> {
        let info = within(self.sql().execute(sql.to_owned(), None)).await?;
        self.fetch(info).await
    }

    /// Runs a query and decodes its rows.
    pub async fn rows(&self, sql: &str) -> Result<Vec<Row>, Status> {
        Ok(rows(&self.query(sql).await?))
    }

    /// The batches behind a FlightInfo, whose schema must be the announced one (metadata aside:
    /// the stock clients compare names, types and nullability).
    pub async fn fetch(&self, info: FlightInfo) -> Result<Vec<RecordBatch>, Status> {
        let announced = info.clone().try_decode_schema().expect("FlightInfo carries a schema");
        let mut batches = Vec::new();
        for endpoint in info.endpoint {
            let ticket = endpoint.ticket.expect("every endpoint has a ticket");
            let (schema, part) = within(async {
                let mut sql = self.sql();
                let mut stream = sql.do_get(ticket).await?;
                let mut part = Vec::new();
                while let Some(batch) = stream.try_next().await? {
                    part.push(batch);
                }
                Ok((stream.schema().cloned(), part))
            })
            .await?;
            let schema = schema.expect("a stream has a schema message, rows or not");
            let fields = |schema: &arrow::datatypes::Schema| -> Vec<_> {
                let fields = schema.fields().iter();
                fields.map(|f| (f.name().clone(), f.data_type().clone(), f.is_nullable())).collect()
            };
            assert_eq!(fields(&announced), fields(&schema), "announced schema != sent schema");
            batches.extend(part);
        }
        Ok(batches)
    }

    /// Runs a statement by the update path (DoPut) and answers the affected rows.
    pub async fn update(&self, sql: &str) -> Result<i64, Status> {
        let command = CommandStatementUpdate { query: sql.to_owned(), transaction_id: None };
        let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
        let message = FlightData { flight_descriptor: Some(descriptor), ..Default::default() };
        within(self.put(stream::iter([message]))).await
    }

    /// Prepares a statement.
    pub async fn prepare(&self, sql: &str) -> Result<Prepared, Status> {
        let statement = within(self.sql().prepare(sql.to_owned(), None)).await?;
        Ok(Prepared { statement, client: self.clone() })
    }

    /// Appends batches to an existing table with one ingest command.
    pub async fn append(
        &self,
        namespace: &str,
        table: &str,
        batches: Vec<RecordBatch>,
    ) -> Result<i64, Status> {
        let options = TableDefinitionOptions {
            if_not_exist: TableNotExistOption::Fail.into(),
            if_exists: TableExistsOption::Append.into(),
        };
        self.ingest(ingest_command(namespace, table, options), batches).await
    }

    /// Runs any ingest command.
    pub async fn ingest(
        &self,
        command: CommandStatementIngest,
        batches: Vec<RecordBatch>,
    ) -> Result<i64, Status> {
        let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
        let messages = FlightDataEncoderBuilder::new()
            .with_flight_descriptor(Some(descriptor))
            .build(stream::iter(batches.into_iter().map(Ok)))
            .try_collect::<Vec<_>>()
            .await
            .map_err(status)?;
        within(self.put(stream::iter(messages))).await
    }

    /// DoPut, then the record count of its one answer. A stream that ends without an answer (the
    /// stock client panics there) is an error: the server may have been killed.
    async fn put(
        &self,
        messages: impl Stream<Item = FlightData> + Send + 'static,
    ) -> Result<i64, FlightError> {
        let mut answers = self.sql().do_put(messages).await?;
        let answer = answers.message().await?;
        let answer =
            answer.ok_or_else(|| FlightError::protocol("DoPut ended without an answer"))?;
        let result = DoPutUpdateResult::decode(&*answer.app_metadata)
            .map_err(|error| FlightError::DecodeError(error.to_string()))?;
        Ok(result.record_count)
    }
}

/// An ingest command for `namespace.table`.
pub fn ingest_command(
    namespace: &str,
    table: &str,
    options: TableDefinitionOptions,
) -> CommandStatementIngest {
    CommandStatementIngest {
        table_definition_options: Some(options),
        table: table.to_owned(),
        schema: Some(namespace.to_owned()),
        catalog: None,
        temporary: false,
        transaction_id: None,
        options: HashMap::new(),
    }
}

/// A prepared statement with the client that made it.
pub struct Prepared {
    statement: PreparedStatement<Channel>,
    client: Client,
}

impl Prepared {
    /// False for a statement that answers a count: its result has no columns.
    pub fn returns_rows(&self) -> bool {
        self.columns() > 0
    }

    /// Columns of the result.
    pub fn columns(&self) -> usize {
        self.statement.dataset_schema().map_or(0, |schema| schema.fields().len())
    }

    /// Binds `parameters`, if there are any (one execution a row), and reads all results.
    pub async fn query(&mut self, parameters: Option<RecordBatch>) -> Result<Vec<Row>, Status> {
        self.bind(parameters)?;
        let info = within(self.statement.execute()).await?;
        Ok(rows(&self.client.fetch(info).await?))
    }

    /// Binds `parameters`, if there are any (one execution a row), and answers the affected rows
    /// of all executions.
    pub async fn update(&mut self, parameters: Option<RecordBatch>) -> Result<i64, Status> {
        self.bind(parameters)?;
        within(self.statement.execute_update()).await
    }

    fn bind(&mut self, parameters: Option<RecordBatch>) -> Result<(), Status> {
        match parameters {
            Some(parameters) => self.statement.set_parameters(parameters).map_err(status),
            None => Ok(()),
        }
    }

    /// Tells the server to forget the statement.
    pub async fn close(self) -> Result<(), Status> {
        within(self.statement.close()).await
    }
}

/// A connection to a server that listens already.
pub async fn connect(address: SocketAddr) -> Result<Channel, Status> {
    connect_from(address, None).await
}

/// The same from an address of this machine.
pub async fn connect_from(address: SocketAddr, own: Option<IpAddr>) -> Result<Channel, Status> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap().local_address(own);
    let channel = endpoint.tcp_nodelay(true).connect_timeout(STATEMENT_WITHIN).connect().await;
    channel.map_err(|error| Status::unavailable(error.to_string()))
}

/// Signs in with Basic credentials and answers the bearer token.
pub async fn handshake(channel: Channel, user: &str, password: &str) -> Result<String, Status> {
    let hello = HandshakeRequest { protocol_version: 0, payload: Default::default() };
    let mut request = Request::new(stream::iter([hello]));
    let credentials = BASE64_STANDARD.encode(format!("{user}:{password}"));
    request.metadata_mut().insert("authorization", format!("Basic {credentials}").parse().unwrap());
    let response = FlightServiceClient::new(channel).handshake(request).await?;
    let header = response.metadata().get("authorization").cloned();
    let answers: Vec<_> = response.into_inner().try_collect().await?;
    assert_eq!(answers.len(), 1, "one HandshakeResponse, which the drivers wait for");
    let header = header.expect("the token comes in the authorization header");
    let token = header.to_str().unwrap().strip_prefix("Bearer ").expect("a bearer token");
    Ok(token.to_owned())
}

/// Runs one call of the `arrow-flight` client under the statement deadline.
async fn within<T>(call: impl Future<Output = Result<T, FlightError>>) -> Result<T, Status> {
    match tokio::time::timeout(STATEMENT_WITHIN, call).await {
        Ok(result) => result.map_err(status),
        Err(_) => panic!("no answer within {STATEMENT_WITHIN:?}"),
    }
}

fn status(error: FlightError) -> Status {
    match error {
        FlightError::Tonic(status) => *status,
        // Not a code any server sends on purpose: a client-side failure stands out.
        other => Status::unknown(format!("client: {other}")),
    }
}
