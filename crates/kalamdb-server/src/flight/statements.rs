//! Statements between the request that plans them and the request that fetches their rows.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow_flight::{FlightDescriptor, FlightEndpoint, FlightInfo};
use kalamdb_commons::{ErrorKind, SqlState};
use kalamdb_core::{PinnedView, Prepared, StatementKind};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::context::RequestContext;
use super::registry::{Bounds, Handle};
use super::tickets::{Issued, TICKET_LIFETIME};
use super::{Shared, encode};
use crate::status;

/// Planned statements whose rows can be fetched; each keeps a view, so their age is bounded, too,
/// as the engine's settings say.
pub const STATEMENT_BOUNDS: Bounds =
    Bounds { entries_max: 2048, bytes_max: 64 << 20, idle: TICKET_LIFETIME, age_max: None };
/// How long a prepared statement lives after its last use.
pub const PREPARED_IDLE: Duration = Duration::from_secs(3600);
/// Prepared statements of all clients.
pub const PREPARED_BOUNDS: Bounds =
    Bounds { entries_max: 8192, bytes_max: 128 << 20, idle: PREPARED_IDLE, age_max: None };
/// What a planned statement weighs beside its text and parameters.
const PLAN_BYTES: usize = 4 << 10;
/// How much larger than its text a plan is, roughly.
const PLAN_BYTES_PER_TEXT_BYTE: usize = 16;

/// A planned statement with its parameters, ready to run.
#[derive(Debug)]
pub struct Statement {
    /// The plan.
    pub prepared: Arc<Prepared>,
    /// One execution for each row.
    pub parameters: Option<RecordBatch>,
    /// What it reads, however often its ticket is redeemed.
    pub view: PinnedView,
    /// Ends every running execution.
    pub cancel: CancellationToken,
}

/// A statement a client has prepared.
#[derive(Debug)]
pub struct PreparedStatement {
    /// The plan.
    pub prepared: Arc<Prepared>,
    /// The parameters bound last.
    pub bound: Mutex<Option<RecordBatch>>,
}

impl PreparedStatement {
    /// A prepared statement nothing is bound to.
    pub fn new(prepared: Arc<Prepared>) -> Self {
        Self { prepared, bound: Mutex::new(None) }
    }

    /// The parameters bound last.
    pub fn bound(&self) -> Option<RecordBatch> {
        self.bound.lock().clone()
    }
}

/// What a planned statement with its parameters weighs in a registry.
pub fn weight(prepared: &Prepared, parameters: Option<&RecordBatch>) -> usize {
    PLAN_BYTES
        + prepared.sql().len() * PLAN_BYTES_PER_TEXT_BYTE
        + parameters.map_or(0, RecordBatch::get_array_memory_size)
}

/// Runs an update now, or registers a query to be run when its rows are fetched; either way the
/// answer tells the client how to go on.
pub async fn flight_info(
    shared: &Shared,
    context: &RequestContext,
    descriptor: FlightDescriptor,
    prepared: Arc<Prepared>,
    parameters: Option<RecordBatch>,
) -> Result<FlightInfo, Status> {
    let owner = &context.principal.user_id;
    let (issued, total_records) = match prepared.kind() {
        StatementKind::Update => {
            let affected = execute(shared, context, &prepared, parameters.as_ref()).await?;
            (shared.tickets.for_update(owner, affected), affected)
        }
        StatementKind::Query => {
            refuse_unbound(&prepared, parameters.as_ref())?;
            let handle = register(shared, context, &prepared, parameters)?;
            (shared.tickets.for_statement(owner, &handle), -1)
        }
    };
    info(prepared.schema(), descriptor, issued).map(|info| info.with_total_records(total_records))
}

/// Executes an update once for each bound row; the affected rows of all.
pub async fn execute(
    shared: &Shared,
    context: &RequestContext,
    prepared: &Arc<Prepared>,
    parameters: Option<&RecordBatch>,
) -> Result<i64, Status> {
    let affected = encode::guarded_call(async {
        shared
            .engine
            .execute(&context.session, prepared, parameters)
            .await
            .map_err(|error| status::from_engine(&error))
    })
    .await?;
    Ok(count(affected))
}

/// A count as the protocol carries it.
pub fn count(affected: u64) -> i64 {
    i64::try_from(affected).unwrap_or(i64::MAX)
}

/// A FlightInfo of one endpoint, to be fetched from where it came from.
fn info(
    schema: &Schema,
    descriptor: FlightDescriptor,
    issued: Issued,
) -> Result<FlightInfo, Status> {
    let mut endpoint = FlightEndpoint::new().with_ticket(issued.ticket);
    endpoint.expiration_time = Some(issued.expires_at);
    FlightInfo::new()
        .try_with_schema(schema)
        .map(|info| info.with_descriptor(descriptor).with_endpoint(endpoint))
        .map_err(|error| {
            status::refuse(ErrorKind::Internal, format!("cannot encode a schema: {error}"))
        })
}

fn register(
    shared: &Shared,
    context: &RequestContext,
    prepared: &Arc<Prepared>,
    parameters: Option<RecordBatch>,
) -> Result<Handle, Status> {
    let bytes = weight(prepared, parameters.as_ref());
    let statement = Statement {
        prepared: Arc::clone(prepared),
        parameters,
        view: shared.engine.pin().map_err(|error| status::from_engine(&error))?,
        cancel: CancellationToken::new(),
    };
    Ok(shared.statements.insert(
        &context.principal.user_id,
        &context.session_key,
        bytes,
        Arc::new(statement),
    ))
}

fn refuse_unbound(prepared: &Prepared, parameters: Option<&RecordBatch>) -> Result<(), Status> {
    let wanted = prepared.parameters().fields().len();
    if wanted > 0 && parameters.is_none() {
        return Err(status::refuse_as(
            ErrorKind::InvalidInput,
            SqlState::WrongParameters,
            format!(
                "the statement has {wanted} parameters, prepare it and bind their values first"
            ),
        ));
    }
    Ok(())
}
