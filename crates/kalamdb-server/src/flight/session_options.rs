//! Session options: the catalog and the schema (namespace) that names mean.

use std::collections::HashMap;

use arrow_flight::Action;
use tonic::{Request, Status};

use super::context::{self, RequestContext};
use super::sessions::SessionKey;
use super::{CATALOG, Shared, request};
use crate::connections;
use crate::proto::v1::close_session_result::Status as CloseStatus;
use crate::proto::v1::session_option_value::OptionValue;
use crate::proto::v1::set_session_options_result::{Error, ErrorValue};
use crate::proto::v1::{
    CloseSessionResult, GetSessionOptionsRequest, GetSessionOptionsResult, SessionOptionValue,
    SetSessionOptionsRequest, SetSessionOptionsResult,
};

const CATALOG_OPTION: &str = "catalog";
const SCHEMA_OPTION: &str = "schema";

/// Sets what can be set and says what could not.
pub fn set(
    shared: &Shared,
    context: &RequestContext,
    request: SetSessionOptionsRequest,
) -> SetSessionOptionsResult {
    let errors = request
        .session_options
        .into_iter()
        .filter_map(|(name, value)| {
            let error = set_one(shared, context, &name, value.option_value).err()?;
            Some((name, Error { value: error.into() }))
        })
        .collect();
    SetSessionOptionsResult { errors }
}

fn set_one(
    shared: &Shared,
    context: &RequestContext,
    name: &str,
    value: Option<OptionValue>,
) -> Result<(), ErrorValue> {
    match (name, value) {
        (CATALOG_OPTION, Some(OptionValue::StringValue(catalog))) if catalog == CATALOG => Ok(()),
        (SCHEMA_OPTION, Some(OptionValue::StringValue(namespace))) => shared
            .engine
            .use_namespace(&context.session, &namespace)
            .map_err(|_| ErrorValue::InvalidValue),
        (CATALOG_OPTION | SCHEMA_OPTION, _) => Err(ErrorValue::InvalidValue),
        _ => Err(ErrorValue::InvalidName),
    }
}

/// The options of the session a request belongs to. Does not open one: clients ask this to see
/// whether their session is alive.
pub async fn get(
    shared: &Shared,
    request: &Request<Action>,
) -> Result<GetSessionOptionsResult, Status> {
    let peer = connections::peer_address(request.extensions()).map(|peer| peer.ip());
    let identity = shared.authenticator.identify(request.metadata(), peer).await?;
    let GetSessionOptionsRequest {} = request::action_body(&request.get_ref().body)?;
    let key = context::session_key(request, &identity);
    // Where there is no session yet, the options are those a new one begins with.
    let session =
        shared.sessions.peek(&key).unwrap_or_else(|| shared.engine.session(identity.principal));
    let session_options = HashMap::from([
        (CATALOG_OPTION.to_owned(), text(CATALOG)),
        (SCHEMA_OPTION.to_owned(), text(&session.namespace())),
    ]);
    Ok(GetSessionOptionsResult { session_options })
}

/// Ends the session with everything it holds.
pub fn close(shared: &Shared, session: &SessionKey) -> CloseSessionResult {
    shared.prepared.remove_session(session);
    shared.statements.remove_session(session);
    shared.sessions.close(session);
    CloseSessionResult { status: CloseStatus::Closed.into() }
}

fn text(value: &str) -> SessionOptionValue {
    SessionOptionValue { option_value: Some(OptionValue::StringValue(value.to_owned())) }
}
