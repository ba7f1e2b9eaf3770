//! The shell's side of Flight SQL: sign in, prepare, run, read rows, list tables.

use std::collections::VecDeque;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::client::{FlightSqlServiceClient, PreparedStatement};
use arrow_flight::sql::{
    CommandGetDbSchemas, CommandGetPrimaryKeys, CommandGetTables, DoPutUpdateResult,
};
use arrow_flight::{FlightData, FlightEndpoint, FlightInfo, HandshakeRequest};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures::{Stream, StreamExt, stream};
use prost::Message;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request};

use super::arguments::{Password, ServerAddress, SignIn};
use super::error::{ShellError, innermost};
use super::line_editor;

/// How long reaching the server may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of one message the server may send: a row with a large value does not fit in 4 MiB.
const MESSAGE_BYTES_MAX: usize = 128 << 20;
/// Time between two signs of life on a connection that waits for a long statement.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// A statement the server has planned and not yet run.
pub type Prepared = PreparedStatement<Channel>;

/// What can be asked about the server's tables.
#[derive(Debug, Clone)]
pub enum Metadata {
    /// The namespaces, Flight SQL's "schemas".
    Namespaces(CommandGetDbSchemas),
    /// The tables, with or without their columns.
    Tables(CommandGetTables),
    /// The key of one table.
    PrimaryKeys(CommandGetPrimaryKeys),
}

/// A signed-in connection to one server.
#[derive(Clone)]
pub struct Connection {
    address: ServerAddress,
    user: String,
    password: Password,
    client: FlightSqlServiceClient<Channel>,
}

impl Connection {
    /// Connects and signs in.
    pub async fn open(
        address: ServerAddress,
        user: String,
        password: Password,
    ) -> Result<Self, ShellError> {
        let channel = connect(&address).await?;
        let flight = FlightServiceClient::new(channel)
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX);
        let client = FlightSqlServiceClient::new_from_inner(flight);
        let mut connection = Self { address, user, password, client };
        connection.sign_in().await?;
        Ok(connection)
    }

    /// Connects with what the command line says; a missing password is asked for.
    pub async fn sign_in_with(sign_in: SignIn) -> Result<Self, ShellError> {
        let SignIn { address, user, password } = sign_in;
        let password = match password {
            Some(password) => password,
            None => line_editor::ask_password(&user)?,
        };
        Self::open(address, user, password).await
    }

    /// Signs in once more: an upload cannot be repeated when its token has run out.
    pub async fn renew(&mut self) -> Result<(), ShellError> {
        self.sign_in().await
    }

    /// Sends rows into a table, all in one commit, and gives their number. The server takes the
    /// end of `messages` for the end of the rows, so they must never end early.
    pub async fn ingest(
        &mut self,
        messages: impl Stream<Item = FlightData> + Send + 'static,
    ) -> Result<u64, ShellError> {
        let uri = self.address.uri.clone();
        let answer = self.client.do_put(messages).await;
        let mut answer = answer.map_err(|error| ShellError::from_flight(&error, &uri))?;
        let message = answer.message().await;
        let result = message
            .map_err(|status| ShellError::from_status(&status, &uri))?
            .ok_or_else(|| ShellError::Protocol("the upload was not answered".into()))?;
        let result = DoPutUpdateResult::decode(&*result.app_metadata)
            .map_err(|error| ShellError::Protocol(error.to_string()))?;
        Ok(u64::try_from(result.record_count).unwrap_or_default())
    }

    /// The server's address as the user wrote it.
    pub fn uri(&self) -> &str {
        &self.address.uri
    }

    /// The user who is signed in.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Exchanges name and password for a token; a server that hands out none gets them each time.
    async fn sign_in(&mut self) -> Result<(), ShellError> {
        let basic = format!(
            "Basic {}",
            BASE64_STANDARD.encode(format!("{}:{}", self.user, self.password.0))
        );
        let greeting = HandshakeRequest { protocol_version: 0, payload: Default::default() };
        let mut request = Request::new(stream::iter([greeting]));
        let header = basic
            .parse()
            .map_err(|_| ShellError::Usage("the user name or password is too long".into()))?;
        request.metadata_mut().insert("authorization", header);
        self.client.clear_token();
        let answer = self.client.inner_mut().handshake(request).await;
        let answer = answer.map_err(|status| self.sign_in_error(&status))?;
        let token = answer
            .metadata()
            .get("authorization")
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "));
        match token {
            Some(token) => self.client.set_token(token.to_string()),
            None => self.client.set_header("authorization", basic),
        }
        let mut messages = answer.into_inner();
        while messages.message().await.map_err(|status| self.sign_in_error(&status))?.is_some() {}
        Ok(())
    }

    fn sign_in_error(&self, status: &tonic::Status) -> ShellError {
        match ShellError::from_status(status, self.uri()) {
            ShellError::Statement { message, .. } => {
                ShellError::SignIn { user: self.user.clone(), message }
            }
            other => other,
        }
    }

    /// Has the server plan one statement. A token that has run out meanwhile is renewed once.
    pub async fn prepare(&mut self, sql: &str) -> Result<Prepared, ShellError> {
        match self.try_prepare(sql).await {
            Err(error) if error.is_unauthenticated() => {
                self.sign_in().await?;
                self.try_prepare(sql).await
            }
            result => result,
        }
    }

    async fn try_prepare(&mut self, sql: &str) -> Result<Prepared, ShellError> {
        let prepared = self.client.prepare(sql.to_string(), None).await;
        prepared.map_err(|error| ShellError::from_flight(&error, self.uri()))
    }

    /// Starts a query and gives its rows.
    pub async fn query(&self, prepared: &mut Prepared) -> Result<Rows, ShellError> {
        let info = prepared.execute().await;
        Ok(self.rows(info.map_err(|error| ShellError::from_flight(&error, self.uri()))?))
    }

    /// Runs a statement that has no rows; the number of rows it changed, where the server knows.
    pub async fn execute(&self, prepared: &mut Prepared) -> Result<Option<u64>, ShellError> {
        let count = prepared.execute_update().await;
        let count = count.map_err(|error| ShellError::from_flight(&error, self.uri()))?;
        Ok(u64::try_from(count).ok())
    }

    /// Gives the statement back to the server.
    pub async fn close(&self, prepared: Prepared) {
        // Only the server's memory is at stake, and there statements expire by themselves.
        let _closed = prepared.close().await;
    }

    /// The answer to a metadata command, which is small.
    pub async fn metadata(&mut self, command: &Metadata) -> Result<Vec<RecordBatch>, ShellError> {
        let info = match self.try_metadata(command).await {
            Err(error) if error.is_unauthenticated() => {
                self.sign_in().await?;
                self.try_metadata(command).await?
            }
            result => result?,
        };
        let mut rows = self.rows(info);
        let mut batches = Vec::new();
        while let Some(batch) = rows.next().await? {
            batches.push(batch);
        }
        Ok(batches)
    }

    async fn try_metadata(&mut self, command: &Metadata) -> Result<FlightInfo, ShellError> {
        let info = match command.clone() {
            Metadata::Namespaces(command) => self.client.get_db_schemas(command).await,
            Metadata::Tables(command) => self.client.get_tables(command).await,
            Metadata::PrimaryKeys(command) => self.client.get_primary_keys(command).await,
        };
        info.map_err(|error| ShellError::from_flight(&error, self.uri()))
    }

    fn rows(&self, info: FlightInfo) -> Rows {
        Rows {
            client: self.client.clone(),
            uri: self.address.uri.clone(),
            endpoints: info.endpoint.into(),
            current: None,
        }
    }
}

/// The rows of one result, endpoint after endpoint. Dropping it stops the statement.
pub struct Rows {
    client: FlightSqlServiceClient<Channel>,
    uri: String,
    endpoints: VecDeque<FlightEndpoint>,
    current: Option<FlightRecordBatchStream>,
}

impl Rows {
    /// The next rows, none at the end.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, ShellError> {
        loop {
            if let Some(stream) = &mut self.current {
                match stream.next().await {
                    Some(Ok(batch)) => return Ok(Some(batch)),
                    Some(Err(error)) => return Err(ShellError::from_flight(&error, &self.uri)),
                    None => self.current = None,
                }
            }
            let Some(endpoint) = self.endpoints.pop_front() else { return Ok(None) };
            let ticket = endpoint.ticket.ok_or_else(|| {
                ShellError::Protocol("an endpoint of the result has no ticket".into())
            })?;
            let stream = self.client.do_get(ticket).await;
            self.current =
                Some(stream.map_err(|error| ShellError::from_flight(&error, &self.uri))?);
        }
    }
}

async fn connect(address: &ServerAddress) -> Result<Channel, ShellError> {
    let refused = |reason: String| ShellError::Connect { uri: address.uri.clone(), reason };
    let mut endpoint = Endpoint::from_shared(address.endpoint.clone())
        .map_err(|error| refused(innermost(&error)))?
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEP_ALIVE);
    if let Some(files) = &address.tls {
        let mut tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&files.authority))
            .domain_name(address.host.clone());
        if let Some((certificate, key)) = &files.identity {
            tls = tls.identity(Identity::from_pem(certificate, key));
        }
        endpoint = endpoint.tls_config(tls).map_err(|error| refused(innermost(&error)))?;
    }
    endpoint.connect().await.map_err(|error| refused(innermost(&error)))
}

/// True when the server does not offer what was asked for.
pub fn is_unsupported(error: &ShellError) -> bool {
    matches!(error, ShellError::Statement { code: Code::Unimplemented, .. })
}
