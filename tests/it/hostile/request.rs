//! Requests as they go over the wire, sent by the protocol's bare client.

use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::{Any, CommandStatementQuery, CommandStatementUpdate, ProstMessageExt};
use arrow_flight::{Action, Criteria, FlightData, FlightDescriptor, HandshakeRequest, Ticket};
use bytes::{Buf, BufMut};
use futures::stream;
use prost::Message;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Request as Call, Status, Streaming};

/// The largest message the tests' client takes.
const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// One request.
pub enum Request {
    /// GetFlightInfo, nothing fetched.
    Info(FlightDescriptor),
    /// GetSchema.
    Schema(FlightDescriptor),
    /// PollFlightInfo.
    Poll(FlightDescriptor),
    /// DoGet, read to its end.
    Get(Vec<u8>),
    /// DoPut, answers read to their end.
    Put(Vec<FlightData>),
    /// DoPut that binds parameters, then GetFlightInfo and DoGet of the same command.
    BindAndQuery(Vec<FlightData>),
    /// DoExchange, answers read to their end.
    Exchange(Vec<FlightData>),
    /// DoAction, answers read to their end.
    Action(&'static str, Vec<u8>),
    /// ListFlights, read to its end.
    ListFlights(Vec<u8>),
    /// Handshake with these messages' payloads.
    Handshake(Vec<Vec<u8>>),
    /// GetFlightInfo and DoGet of every endpoint.
    Query(String),
    /// DoPut of an update command.
    Update(String),
    /// CreatePreparedStatement.
    Prepare(String),
    /// Any bytes as the message of any method.
    Raw(&'static str, Vec<u8>),
}

impl Request {
    /// A descriptor with these bytes as its command, for GetFlightInfo.
    pub fn info(command: impl Into<Vec<u8>>) -> Self {
        Self::Info(FlightDescriptor::new_cmd(command.into()))
    }

    /// Sends it, reads everything that comes back, and throws it away.
    pub async fn send(&self, channel: Channel, authorization: Option<&[u8]>) -> Result<(), Status> {
        let mut client = FlightServiceClient::new(channel.clone())
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(usize::MAX);
        match self {
            Self::Info(descriptor) => {
                client.get_flight_info(call(descriptor.clone(), authorization)).await.map(drop)
            }
            Self::Schema(descriptor) => {
                client.get_schema(call(descriptor.clone(), authorization)).await.map(drop)
            }
            Self::Poll(descriptor) => {
                client.poll_flight_info(call(descriptor.clone(), authorization)).await.map(drop)
            }
            Self::Get(ticket) => {
                let ticket = Ticket::new(ticket.clone());
                drain(client.do_get(call(ticket, authorization)).await?.into_inner()).await
            }
            Self::Put(messages) => {
                let messages = stream::iter(messages.clone());
                drain(client.do_put(call(messages, authorization)).await?.into_inner()).await
            }
            Self::BindAndQuery(messages) => {
                let command = messages[0].flight_descriptor.clone().expect("a command");
                let messages = stream::iter(messages.clone());
                drain(client.do_put(call(messages, authorization)).await?.into_inner()).await?;
                fetch(&mut client, command, authorization).await
            }
            Self::Exchange(messages) => {
                let messages = stream::iter(messages.clone());
                drain(client.do_exchange(call(messages, authorization)).await?.into_inner()).await
            }
            Self::Action(name, body) => {
                let action = Action { r#type: (*name).to_owned(), body: body.clone().into() };
                drain(client.do_action(call(action, authorization)).await?.into_inner()).await
            }
            Self::ListFlights(expression) => {
                let criteria = Criteria { expression: expression.clone().into() };
                drain(client.list_flights(call(criteria, authorization)).await?.into_inner()).await
            }
            Self::Handshake(payloads) => {
                let messages = payloads.clone().into_iter();
                let messages = stream::iter(messages.map(|payload| HandshakeRequest {
                    protocol_version: 0,
                    payload: payload.into(),
                }));
                drain(client.handshake(call(messages, authorization)).await?.into_inner()).await
            }
            Self::Query(sql) => {
                let command = CommandStatementQuery { query: sql.clone(), transaction_id: None };
                let command = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
                fetch(&mut client, command, authorization).await
            }
            Self::Update(sql) => {
                let messages = stream::iter([update_message(sql)]);
                drain(client.do_put(call(messages, authorization)).await?.into_inner()).await
            }
            Self::Prepare(sql) => {
                let body = prepare_body(sql);
                let action = Action { r#type: PREPARE.to_owned(), body: body.into() };
                drain(client.do_action(call(action, authorization)).await?.into_inner()).await
            }
            Self::Raw(method, bytes) => raw(channel, method, bytes.clone(), authorization).await,
        }
    }
}

/// The action that prepares a statement.
pub const PREPARE: &str = "CreatePreparedStatement";

/// The first and only message of an update.
pub fn update_message(sql: &str) -> FlightData {
    let command = CommandStatementUpdate { query: sql.to_owned(), transaction_id: None };
    put_message(&command)
}

/// A DoPut message with a command and no data.
pub fn put_message(command: &impl ProstMessageExt) -> FlightData {
    let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
    FlightData { flight_descriptor: Some(descriptor), ..Default::default() }
}

/// The body of [`PREPARE`].
pub fn prepare_body(sql: &str) -> Vec<u8> {
    let request = arrow_flight::sql::ActionCreatePreparedStatementRequest {
        query: sql.to_owned(),
        transaction_id: None,
    };
    request.as_any().encode_to_vec()
}

/// The bytes of an `Any` with any type and any value.
pub fn any(type_name: &str, value: &[u8]) -> Vec<u8> {
    let type_url = format!("type.googleapis.com/arrow.flight.protocol.sql.{type_name}");
    Any { type_url, value: value.to_vec().into() }.encode_to_vec()
}

/// A length-delimited protobuf field, as long as a varint of two bytes can say.
pub fn field(number: u8, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).unwrap();
    assert!(length < 1 << 14);
    let mut bytes = vec![number << 3 | 2, (length & 0x7f) as u8 | 0x80, (length >> 7) as u8];
    bytes.extend_from_slice(value);
    bytes
}

fn call<T>(message: T, authorization: Option<&[u8]>) -> Call<T> {
    let mut call = Call::new(message);
    if let Some(value) = authorization {
        let value = MetadataValue::try_from(value).expect("a header value");
        call.metadata_mut().insert("authorization", value);
    }
    call
}

async fn fetch(
    client: &mut FlightServiceClient<Channel>,
    command: FlightDescriptor,
    authorization: Option<&[u8]>,
) -> Result<(), Status> {
    let info = client.get_flight_info(call(command, authorization)).await?.into_inner();
    for endpoint in info.endpoint {
        let ticket = endpoint.ticket.expect("a ticket");
        drain(client.do_get(call(ticket, authorization)).await?.into_inner()).await?;
    }
    Ok(())
}

async fn drain<T>(mut answers: Streaming<T>) -> Result<(), Status> {
    while answers.message().await?.is_some() {}
    Ok(())
}

async fn raw(
    channel: Channel,
    method: &'static str,
    bytes: Vec<u8>,
    authorization: Option<&[u8]>,
) -> Result<(), Status> {
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let path = PathAndQuery::from_static(method);
    let answers = grpc.server_streaming(call(bytes, authorization), path, RawCodec).await?;
    drain(answers.into_inner()).await
}

/// Sends bytes as they are.
struct RawCodec;

impl Codec for RawCodec {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for RawCodec {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&item);
        Ok(())
    }
}

impl Decoder for RawCodec {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut bytes = vec![0; buffer.remaining()];
        buffer.copy_to_slice(&mut bytes);
        Ok(Some(bytes))
    }
}
