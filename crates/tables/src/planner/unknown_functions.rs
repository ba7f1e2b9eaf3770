//! What to use in the place of functions that other systems have.

use datafusion::error::DataFusionError;

use super::function_forms;

/// How the query engine's message begins.
const UNKNOWN: &str = "Invalid function '";

/// The error with advice, if it is about a function of another system.
pub(super) fn explained(error: DataFusionError) -> DataFusionError {
    let message = error.strip_backtrace();
    let Some((_, name)) = message.split_once(UNKNOWN) else { return error };
    let Some((name, _)) = name.split_once('\'') else { return error };
    match function_forms::advice(&name.to_lowercase()) {
        Some(advice) => DataFusionError::Plan(format!("{UNKNOWN}{name}', {advice}")),
        None => error,
    }
}
