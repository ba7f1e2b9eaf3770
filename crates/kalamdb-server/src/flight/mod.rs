//! The Flight SQL service: a thin shell that checks who asks, decodes, calls, and encodes.
//!
//! The stock service trait of the protocol's library leaves out several calls (GetSchema,
//! PollFlightInfo, ListFlights), the session actions, and one field that JDBC looks for; so the
//! plain Flight service is implemented here, command by command.

mod actions;
mod context;
mod encode;
mod get;
mod handshake;
mod info;
mod ingest;
mod list;
pub mod metadata;
mod put;
mod put_stream;
mod registry;
mod request;
mod session_options;
mod sessions;
mod statements;
mod tickets;

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_flight::flight_service_server::FlightService;
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo,
    HandshakeRequest, HandshakeResponse, PollInfo, PutResult, SchemaResult, Ticket,
};
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use kalamdb_commons::ErrorKind;
use kalamdb_core::Engine;
use prost::Message;
use tonic::{Request, Response, Status, Streaming};

use self::context::RequestContext;
use self::registry::{Bounds, Registry};
use self::sessions::Sessions;
use self::statements::{PREPARED_BOUNDS, PreparedStatement, STATEMENT_BOUNDS, Statement};
use self::tickets::Tickets;
use crate::auth::{Authenticator, SigningKey};
use crate::{connections, status};

/// The name of the one catalog.
pub const CATALOG: &str = "kalam";
/// How often idle sessions and statements are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_secs(30);

/// What all requests share.
pub(crate) struct Shared {
    engine: Arc<Engine>,
    authenticator: Authenticator,
    tickets: Tickets,
    sessions: Sessions,
    statements: Registry<Statement>,
    prepared: Registry<PreparedStatement>,
    metadata: metadata::StaticAnswers,
    /// One clone for each call that is being answered.
    open_calls: Arc<()>,
}

/// The Flight service over an engine. Cheap to clone.
#[derive(Clone)]
pub struct FlightServer {
    shared: Arc<Shared>,
}

impl FlightServer {
    /// A service whose bearer tokens hold for `token_lifetime`.
    ///
    /// # Errors
    /// When the fixed metadata answers cannot be built.
    pub fn new(engine: Arc<Engine>, token_lifetime: Duration) -> Result<Self, Status> {
        let tickets = Tickets::new(SigningKey::derive(engine.token_secret(), "ticket"));
        let statement_timeout = engine.settings().statement_timeout;
        let shared = Shared {
            authenticator: Authenticator::new(Arc::clone(&engine), token_lifetime),
            tickets,
            sessions: Sessions::default(),
            statements: Registry::new(Bounds {
                age_max: Some(engine.settings().view_age_max),
                ..STATEMENT_BOUNDS
            }),
            prepared: Registry::new(PREPARED_BOUNDS),
            metadata: metadata::StaticAnswers::new(statement_timeout)?,
            open_calls: Arc::new(()),
            engine,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Calls that are being answered, results on their way to clients included.
    pub fn open_calls(&self) -> usize {
        Arc::strong_count(&self.shared.open_calls) - 1
    }

    /// Forgets what nobody has used for long, again and again. Runs until dropped.
    pub async fn sweep_forever(self) {
        let mut ticks = tokio::time::interval(SWEEP_INTERVAL);
        loop {
            ticks.tick().await;
            let shared = &self.shared;
            shared.sessions.sweep();
            shared.statements.sweep();
            shared.prepared.sweep();
            metrics::gauge!("kalamdb_sessions_open").set(shared.sessions.count() as f64);
            metrics::gauge!("kalamdb_statements_held").set(shared.statements.count() as f64);
            metrics::gauge!("kalamdb_prepared_statements_held").set(shared.prepared.count() as f64);
        }
    }
}

/// Counts and times one call.
async fn observed<T>(
    shared: &Shared,
    method: &'static str,
    call: impl Future<Output = Result<T, Status>>,
) -> Result<T, Status> {
    let _open = Arc::clone(&shared.open_calls);
    let started = Instant::now();
    let outcome = call.await;
    let code = outcome.as_ref().err().map_or(tonic::Code::Ok, Status::code);
    metrics::counter!("kalamdb_flight_calls_total", "method" => method, "code" => format!("{code:?}"))
        .increment(1);
    metrics::histogram!("kalamdb_flight_call_seconds", "method" => method)
        .record(started.elapsed().as_secs_f64());
    outcome
}

#[tonic::async_trait]
impl FlightService for FlightServer {
    type HandshakeStream = BoxStream<'static, Result<HandshakeResponse, Status>>;
    type ListFlightsStream = BoxStream<'static, Result<FlightInfo, Status>>;
    type DoGetStream = BoxStream<'static, Result<FlightData, Status>>;
    type DoPutStream = BoxStream<'static, Result<PutResult, Status>>;
    type DoExchangeStream = BoxStream<'static, Result<FlightData, Status>>;
    type DoActionStream = BoxStream<'static, Result<arrow_flight::Result, Status>>;
    type ListActionsStream = BoxStream<'static, Result<ActionType, Status>>;

    async fn handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        observed(&self.shared, "Handshake", async {
            let peer = connections::peer_address(request.extensions());
            let (headers, _, messages) = request.into_parts();
            handshake::handshake(&self.shared, &headers, peer.map(|peer| peer.ip()), messages).await
        })
        .await
    }

    async fn list_flights(
        &self,
        request: Request<Criteria>,
    ) -> Result<Response<Self::ListFlightsStream>, Status> {
        observed(&self.shared, "ListFlights", async {
            let context = RequestContext::open(&self.shared, &request).await?;
            let infos = list::list_flights(&self.shared, &context, request.get_ref())?;
            Ok(Response::new(stream::iter(infos.into_iter().map(Ok)).boxed()))
        })
        .await
    }

    async fn get_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        observed(&self.shared, "GetFlightInfo", async {
            let context = RequestContext::open(&self.shared, &request).await?;
            info::get_flight_info(&self.shared, &context, request.into_inner())
                .await
                .map(Response::new)
        })
        .await
    }

    async fn poll_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<PollInfo>, Status> {
        observed(&self.shared, "PollFlightInfo", async {
            let context = RequestContext::open(&self.shared, &request).await?;
            info::poll_flight_info(&self.shared, &context, request.into_inner())
                .await
                .map(Response::new)
        })
        .await
    }

    async fn get_schema(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<SchemaResult>, Status> {
        observed(&self.shared, "GetSchema", async {
            let context = RequestContext::open(&self.shared, &request).await?;
            info::get_schema(&self.shared, &context, request.get_ref()).await.map(Response::new)
        })
        .await
    }

    async fn do_get(
        &self,
        request: Request<Ticket>,
    ) -> Result<Response<Self::DoGetStream>, Status> {
        observed(&self.shared, "DoGet", async {
            let context = RequestContext::open(&self.shared, &request).await?;
            get::do_get(&self.shared, &context, request.get_ref()).await.map(Response::new)
        })
        .await
    }

    async fn do_put(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoPutStream>, Status> {
        observed(&self.shared, "DoPut", async {
            let context = RequestContext::open(&self.shared, &request).await?;
            let upload = put::do_put(&self.shared, &context, request.into_inner());
            let result = encode::guarded_call(upload).await?;
            Ok(Response::new(stream::iter([Ok(result)]).boxed()))
        })
        .await
    }

    async fn do_exchange(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        observed(&self.shared, "DoExchange", async {
            RequestContext::open(&self.shared, &request).await?;
            Err(status::refuse(ErrorKind::Unsupported, "DoExchange is not offered"))
        })
        .await
    }

    async fn do_action(
        &self,
        request: Request<Action>,
    ) -> Result<Response<Self::DoActionStream>, Status> {
        observed(&self.shared, "DoAction", async {
            let body = if request.get_ref().r#type == "GetSessionOptions" {
                let options = session_options::get(&self.shared, &request).await?;
                Some(options.encode_to_vec().into())
            } else {
                match RequestContext::open(&self.shared, &request).await {
                    Ok(context) => {
                        actions::do_action(&self.shared, &context, request.into_inner()).await?
                    }
                    Err(refused) => actions::give_back(&self.shared, &request, refused)?,
                }
            };
            let results = body.map(|body| Ok(arrow_flight::Result { body }));
            Ok(Response::new(stream::iter(results).boxed()))
        })
        .await
    }

    async fn list_actions(
        &self,
        request: Request<Empty>,
    ) -> Result<Response<Self::ListActionsStream>, Status> {
        observed(&self.shared, "ListActions", async {
            RequestContext::open(&self.shared, &request).await?;
            Ok(Response::new(stream::iter(actions::list().into_iter().map(Ok)).boxed()))
        })
        .await
    }
}
