//! What to say of a function that does not exist.

use datafusion::error::DataFusionError;
use kalamdb_sql::nearest;

use super::function_forms;
use crate::TablesError;

/// How the query engine's message begins.
const UNKNOWN: &str = "Invalid function '";

/// The error with a better suggestion, if it is about an unknown function.
pub(super) fn explained(error: DataFusionError, known: &[String]) -> DataFusionError {
    let message = error.strip_backtrace();
    let Some((_, name)) = message.split_once(UNKNOWN) else { return error };
    let Some((name, _)) = name.split_once('\'') else { return error };
    let name = name.to_lowercase();
    if let Some(advice) = function_forms::advice(&name) {
        let message = format!("there is no function {name}, {advice}");
        return TablesError::invalid(message).into();
    }
    let mut names: Vec<&str> = known.iter().map(String::as_str).collect();
    for name in function_forms::names() {
        names.push(name);
    }
    let message = match nearest(&name, names) {
        Some(meant) => format!("there is no function {name}, did you mean {meant}?"),
        None => format!("there is no function {name}"),
    };
    TablesError::invalid(message).into()
}
