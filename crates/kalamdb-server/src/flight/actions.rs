//! DoAction and ListActions.

use std::sync::Arc;

use arrow_flight::sql::{
    ActionCancelQueryRequest, ActionCancelQueryResult, ActionClosePreparedStatementRequest,
    ActionCreatePreparedStatementRequest, Any, ProstMessageExt,
};
use arrow_flight::{
    Action, ActionType, CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus,
    FlightEndpoint, FlightInfo, RenewFlightEndpointRequest,
};
use bytes::Bytes;
use kalamdb_commons::ErrorKind;
use kalamdb_core::StatementKind;
use prost::Message;
use tonic::{Code, Request, Status};

use super::context::RequestContext;
use super::sessions::SessionKey;
use super::statements::{self, PreparedStatement};
use super::tickets::{self, Redeemed};
use super::{Shared, info, request, session_options};
use crate::proto::v1::{CloseSessionRequest, CreatePreparedStatementResult};
use crate::status;

/// Every action offered, with what ListActions says about it.
const ACTIONS: [(&str, &str); 8] = [
    ("CreatePreparedStatement", "Plans a statement and returns its handle and schemas."),
    ("ClosePreparedStatement", "Forgets a prepared statement."),
    ("CancelFlightInfo", "Ends the running executions of a FlightInfo."),
    ("CancelQuery", "The same, for clients of older versions."),
    ("RenewFlightEndpoint", "Gives an endpoint's ticket a later end."),
    ("SetSessionOptions", "Sets the session's catalog or schema."),
    ("GetSessionOptions", "Returns the session's catalog and schema."),
    ("CloseSession", "Ends the session with its prepared statements and tickets."),
];

/// The transaction actions, known and not offered.
const TRANSACTION_ACTIONS: [&str; 4] =
    ["BeginTransaction", "EndTransaction", "BeginSavepoint", "EndSavepoint"];

/// The type url of the answer to CreatePreparedStatement.
const CREATE_PREPARED_RESULT_URL: &str =
    "type.googleapis.com/arrow.flight.protocol.sql.ActionCreatePreparedStatementResult";

/// The body of an action's one result; `None` for an action that answers with nothing.
pub async fn do_action(
    shared: &Arc<Shared>,
    context: &RequestContext,
    action: Action,
) -> Result<Option<Bytes>, Status> {
    match action.r#type.as_str() {
        "CreatePreparedStatement" => {
            let body = unpack::<ActionCreatePreparedStatementRequest>(&action.body)?;
            create_prepared(shared, context, body).await.map(Some)
        }
        "ClosePreparedStatement" => {
            let body = unpack::<ActionClosePreparedStatementRequest>(&action.body)?;
            // Closing what is closed already is fine.
            shared.prepared.remove(&body.prepared_statement_handle, &context.principal.user_id);
            Ok(None)
        }
        "CancelFlightInfo" => {
            let body: CancelFlightInfoRequest = request::action_body(&action.body)?;
            let status = cancel(shared, context, body.info.as_ref())?;
            Ok(Some(CancelFlightInfoResult { status: status.into() }.encode_to_vec().into()))
        }
        "CancelQuery" => {
            let body = unpack::<ActionCancelQueryRequest>(&action.body)?;
            let info: FlightInfo = request::action_body(&body.info)?;
            // Both enumerations number their values alike.
            let result = cancel(shared, context, Some(&info))?.into();
            Ok(Some(ActionCancelQueryResult { result }.as_any().encode_to_vec().into()))
        }
        "RenewFlightEndpoint" => {
            let body: RenewFlightEndpointRequest = request::action_body(&action.body)?;
            renew(shared, context, body).map(Some)
        }
        "SetSessionOptions" => {
            let body = request::action_body(&action.body)?;
            let result = session_options::set(shared, context, body);
            Ok(Some(result.encode_to_vec().into()))
        }
        "CloseSession" => {
            let CloseSessionRequest {} = request::action_body(&action.body)?;
            Ok(Some(session_options::close(shared, &context.session_key).encode_to_vec().into()))
        }
        other => Err(unknown_action(other)),
    }
}

/// Closes what was opened with a token that has ended since: by a password of one's own, say,
/// which clients change through a statement that they close afterwards. Nothing else is done for
/// such a token, `refused` is the answer.
pub fn give_back(
    shared: &Shared,
    request: &Request<Action>,
    refused: Status,
) -> Result<Option<Bytes>, Status> {
    if refused.code() != Code::Unauthenticated {
        return Err(refused);
    }
    let Some(issued_to) = shared.authenticator.issued_to(request.metadata()) else {
        return Err(refused);
    };
    let action = request.get_ref();
    match action.r#type.as_str() {
        "ClosePreparedStatement" => {
            let body = unpack::<ActionClosePreparedStatementRequest>(&action.body)?;
            shared.prepared.remove(&body.prepared_statement_handle, &issued_to.user_id);
            Ok(None)
        }
        "CloseSession" => {
            let CloseSessionRequest {} = request::action_body(&action.body)?;
            let key = SessionKey::Token(issued_to.token_id);
            Ok(Some(session_options::close(shared, &key).encode_to_vec().into()))
        }
        _ => Err(refused),
    }
}

/// What ListActions answers.
pub fn list() -> Vec<ActionType> {
    ACTIONS
        .iter()
        .map(|(name, description)| ActionType {
            r#type: (*name).to_owned(),
            description: (*description).to_owned(),
        })
        .collect()
}

/// A body wrapped in `Any`, as the Flight SQL actions have it.
fn unpack<M: ProstMessageExt>(body: &Bytes) -> Result<M, Status> {
    let any: Any = request::action_body(body)?;
    any.unpack().ok().flatten().ok_or_else(|| {
        status::refuse(ErrorKind::InvalidInput, "the action's body does not match its type")
    })
}

async fn create_prepared(
    shared: &Shared,
    context: &RequestContext,
    body: ActionCreatePreparedStatementRequest,
) -> Result<Bytes, Status> {
    request::refuse_transaction(body.transaction_id.as_ref())?;
    let prepared = info::prepare(shared, context, &body.query).await?;
    let is_update = prepared.kind() == StatementKind::Update;
    // No columns means no schema: clients that do not read `is_update` go by its absence.
    let dataset_schema =
        if is_update { Bytes::new() } else { info::encapsulated(prepared.schema())? };
    let parameter_schema = if prepared.parameters().fields().is_empty() {
        Bytes::new()
    } else {
        info::encapsulated(prepared.parameters())?
    };
    let bytes = statements::weight(&prepared, None);
    let handle = shared.prepared.insert(
        &context.principal.user_id,
        &context.session_key,
        bytes,
        Arc::new(PreparedStatement::new(prepared)),
    );
    let result = CreatePreparedStatementResult {
        prepared_statement_handle: Bytes::copy_from_slice(&handle),
        dataset_schema,
        parameter_schema,
        is_update: Some(is_update),
    };
    let any = Any {
        type_url: CREATE_PREPARED_RESULT_URL.to_owned(),
        value: result.encode_to_vec().into(),
    };
    Ok(any.encode_to_vec().into())
}

/// Ends the executions of every ticket in `info` and forgets their statements.
fn cancel(
    shared: &Shared,
    context: &RequestContext,
    info: Option<&FlightInfo>,
) -> Result<CancelStatus, Status> {
    let info = info.ok_or_else(|| {
        status::refuse(ErrorKind::InvalidInput, "there is no FlightInfo to cancel")
    })?;
    let owner = &context.principal.user_id;
    let mut outcome = CancelStatus::NotCancellable;
    for ticket in info.endpoint.iter().filter_map(|endpoint| endpoint.ticket.as_ref()) {
        let signed = tickets::statement_ticket(ticket)?.statement_handle;
        if let Redeemed::Statement(handle) = shared.tickets.redeem(&signed, owner)?
            && let Some(statement) = shared.statements.remove(&handle, owner)
        {
            statement.cancel.cancel();
            outcome = CancelStatus::Cancelled;
        }
    }
    Ok(outcome)
}

fn renew(
    shared: &Shared,
    context: &RequestContext,
    body: RenewFlightEndpointRequest,
) -> Result<Bytes, Status> {
    let endpoint = body.endpoint.unwrap_or_default();
    let ticket = endpoint.ticket.as_ref().ok_or_else(|| {
        status::refuse(ErrorKind::InvalidInput, "the endpoint has no ticket to renew")
    })?;
    let owner = &context.principal.user_id;
    let issued = shared.tickets.renew(ticket, owner)?;
    let signed = tickets::statement_ticket(&issued.ticket)?.statement_handle;
    if let Redeemed::Statement(handle) = shared.tickets.redeem(&signed, owner)?
        && shared.statements.get(&handle, owner).is_none()
    {
        return Err(status::refuse(
            ErrorKind::NotFound,
            "the statement of this endpoint is gone, ask for a new FlightInfo",
        ));
    }
    let renewed = FlightEndpoint {
        ticket: Some(issued.ticket),
        expiration_time: Some(issued.expires_at),
        ..endpoint
    };
    Ok(renewed.encode_to_vec().into())
}

fn unknown_action(name: &str) -> Status {
    if TRANSACTION_ACTIONS.contains(&name) {
        return status::refuse(
            ErrorKind::Unsupported,
            "there are no transactions: every statement commits by itself",
        );
    }
    let name = status::one_line(name);
    status::refuse(ErrorKind::Unsupported, format!("there is no action '{name}'"))
}
