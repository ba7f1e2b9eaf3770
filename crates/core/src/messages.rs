//! What the query engine's errors say, in words for whoever wrote the statement.
//!
//! Its messages are for its own developers: they show data structures, name settings nobody can
//! reach, and take a wrong argument for a defect.

use datafusion::common::{Column, SchemaError};
use datafusion::error::DataFusionError;
use kalamdb_commons::ErrorKind;

/// Columns a message names at most.
const NAMED_COLUMNS_MAX: usize = 20;
/// Columns DELETE and UPDATE read besides those of the table.
const OWN_COLUMNS: [&str; 2] = ["_location", "_image"];

/// The kind and the message of an error: one line without prefixes, hints and backtraces.
pub(crate) fn of(error: &DataFusionError) -> (ErrorKind, String) {
    let kind = kalamdb_tables::kind_of(error);
    if let DataFusionError::SchemaError(inner, _) = error.find_root()
        && let SchemaError::FieldNotFound { field, valid_fields } = inner.as_ref()
    {
        return (kind, unknown_column(field, valid_fields));
    }
    let message = innermost(error);
    match known(&message) {
        Some(clear) => clear,
        None => (kind, without_structures(&message)),
    }
}

fn innermost(error: &DataFusionError) -> String {
    let message = match error {
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => {
            return innermost(inner);
        }
        DataFusionError::Shared(inner) => return innermost(inner),
        DataFusionError::Collection(all) => match all.first() {
            Some(first) => return innermost(first),
            None => String::from("several errors at once"),
        },
        DataFusionError::External(inner) => match inner.downcast_ref::<DataFusionError>() {
            Some(nested) => return innermost(nested),
            None => inner.to_string(),
        },
        DataFusionError::Plan(message)
        | DataFusionError::NotImplemented(message)
        | DataFusionError::Execution(message)
        | DataFusionError::ResourcesExhausted(message)
        | DataFusionError::Configuration(message) => message.clone(),
        DataFusionError::ArrowError(inner, _) => inner.to_string(),
        DataFusionError::SchemaError(inner, _) => inner.to_string(),
        other => other.strip_backtrace(),
    };
    let message = DataFusionError::Plan(message).strip_backtrace();
    let message = message.trim_start_matches("Error during planning: ");
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn unknown_column(field: &Column, valid: &[Column]) -> String {
    let mut message = format!("column {} does not exist", field.flat_name());
    let mut names: Vec<&str> = Vec::new();
    for column in valid {
        if !OWN_COLUMNS.contains(&column.name.as_str()) && !names.contains(&column.name.as_str()) {
            names.push(&column.name);
        }
    }
    let other_case = names.iter().find(|name| name.eq_ignore_ascii_case(&field.name));
    if let Some(name) = other_case.filter(|name| **name != field.name) {
        let written = format!("{} is written \"{name}\" here", field.name);
        message.push_str(&format!(", {written}: names in double quotes are taken as they stand"));
    } else if !names.is_empty() {
        let rest = names.len().saturating_sub(NAMED_COLUMNS_MAX);
        names.truncate(NAMED_COLUMNS_MAX);
        message.push_str(&format!(", there are {}", names.join(", ")));
        if rest > 0 {
            message.push_str(&format!(" and {rest} more"));
        }
    }
    message
}

/// The words for messages that are known to be none for a user.
fn known(message: &str) -> Option<(ErrorKind, String)> {
    let unsupported = |text: &str| Some((ErrorKind::Unsupported, text.to_owned()));
    let invalid = |text: String| Some((ErrorKind::InvalidInput, text));
    if message.contains("Set comparison subquery should only return one column")
        || message.contains("InSubquery should only return one column")
    {
        return invalid(String::from("IN, ANY and ALL take a subquery of one column, name one"));
    }
    if message.contains("In/Exist/SetComparison subquery can only be used in") {
        return not_evaluated("Exists");
    }
    if message.contains("Unsupported JOIN operator") {
        return unsupported(
            "this kind of join is not supported, use INNER, LEFT, RIGHT, FULL or CROSS JOIN; for \
             a semi or anti join write LEFT SEMI JOIN or LEFT ANTI JOIN, or EXISTS",
        );
    }
    if let Some((_, what)) =
        message.split_once("Physical plan does not support logical expression ")
    {
        return not_evaluated(what);
    }
    if let Some((reason, call)) =
        message.split_once("No function matches the given name and argument types '")
        && let Some((call, _)) = call.split_once('\'')
    {
        // Functions of our own say themselves what they take.
        let reason = reason.trim();
        if reason.starts_with(|first: char| first.is_ascii_lowercase()) {
            return invalid(reason.to_owned());
        }
        return invalid(format!("there is no function {call}, cast its arguments to other types"));
    }
    if let Some((_, name)) = message.split_once("Internal error: Function '")
        && let Some((name, _)) = name.split_once('\'')
    {
        return invalid(format!(
            "function {name} does not take arguments of these types, cast them"
        ));
    }
    if let Some((_, column)) = message.split_once("While expanding wildcard, column \"") {
        let (column, _) = column.split_once("\" must appear")?;
        if OWN_COLUMNS.iter().any(|own| column.ends_with(own)) {
            return invalid(String::from(
                "an aggregate cannot stand in UPDATE, DELETE or MERGE itself, compute it in a subquery: \
                 (SELECT …)",
            ));
        }
        return invalid(format!(
            "column {column} is neither in GROUP BY nor inside an aggregate, put it into one"
        ));
    }
    None
}

/// An expression in a place where it cannot be computed.
fn not_evaluated(what: &str) -> Option<(ErrorKind, String)> {
    let named = |name: &str| what.starts_with(name);
    if named("WindowFunction") {
        return Some((
            ErrorKind::InvalidInput,
            String::from(
                "a window function (OVER) cannot stand in a condition, compute it in a subquery \
                 and filter that",
            ),
        ));
    }
    if named("AggregateFunction") {
        return Some((
            ErrorKind::InvalidInput,
            String::from(
                "an aggregate cannot stand in a condition on single rows, use HAVING or a subquery",
            ),
        ));
    }
    let text = if named("InSubquery") || named("Exists") || named("SetComparison") {
        "IN (SELECT …), EXISTS, ANY and ALL are not supported in this place, only in the select \
         list, SET, WHERE and HAVING; write a join instead"
    } else if named("ScalarSubquery") || named("OuterReferenceColumn") {
        "a subquery that names columns of the outer query in this way is not supported, write a \
         join instead"
    } else {
        "an expression of this kind is not supported in this place"
    };
    Some((ErrorKind::Unsupported, text.to_owned()))
}

/// The message up to the first data structure it shows: `Name {` or `Name(Name`.
fn without_structures(message: &str) -> String {
    let mut end = message.len();
    for (at, _) in message.match_indices(" {") {
        let word = message[..at].rfind([' ', '(']).map_or(0, |before| before + 1);
        if is_type_name(&message[word..at]) {
            let start = message[..at].rfind(' ').map_or(0, |space| space + 1);
            end = end.min(start);
            break;
        }
    }
    if end == message.len() {
        return message.to_owned();
    }
    let kept = message[..end].trim_end_matches([' ', ':', ',', '(']);
    if kept.is_empty() { String::from("the statement is not supported") } else { kept.to_owned() }
}

/// Whether it is written as types are: `WindowFunction`.
fn is_type_name(word: &str) -> bool {
    word.starts_with(|first: char| first.is_ascii_uppercase())
        && word.chars().any(|one| one.is_ascii_lowercase())
        && word.chars().all(|one| one.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(message: &str) -> (ErrorKind, String) {
        of(&DataFusionError::NotImplemented(message.to_owned()))
    }

    #[test]
    fn columns_are_named_once_and_ours_never() {
        let column = |name| Column::new(Some("x.t"), name);
        let valid = vec![column("_location"), column("id"), Column::new_unqualified("id")];
        let unknown = unknown_column(&Column::new_unqualified("nope"), &valid);
        assert_eq!(unknown, "column nope does not exist, there are id");
        let quoted = unknown_column(&Column::new_unqualified("ID"), &valid);
        assert!(quoted.contains("ID is written \"id\" here"), "{quoted}");
    }

    #[test]
    fn data_structures_are_not_shown() {
        let cases = [
            "Unsupported JOIN operator Semi(On(BinaryOp { left: Identifier(Ident { value: \"a\"",
            "Physical plan does not support logical expression InSubquery(InSubquery { expr: x",
            "Physical plan does not support logical expression WindowFunction(WindowFunction { f",
            "cannot do this: Something(Other { inner: 1 })",
        ];
        for message in cases {
            let (_, said) = said(message);
            assert!(!said.is_empty() && !said.contains('{'), "{said}");
        }
        assert_eq!(said(cases[0]).0, ErrorKind::Unsupported);
        assert_eq!(said(cases[2]).0, ErrorKind::InvalidInput);
        assert_eq!(said(cases[3]).1, "cannot do this");
        let plain = "cannot read the document { \"a\": 1 }";
        assert_eq!(said(plain).1, plain);
    }

    #[test]
    fn wrong_arguments_are_no_defect() {
        let message = "Function 'sum' failed to match any signature, errors: Error during planning";
        let error = DataFusionError::Internal(message.to_owned());
        let (kind, said) = of(&error);
        assert_eq!(kind, ErrorKind::InvalidInput);
        assert!(said.starts_with("function sum "), "{said}");
    }
}
