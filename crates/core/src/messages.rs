//! What the query engine's errors say, in words for whoever wrote the statement.
//!
//! Its messages are for its own developers: they show data structures, name settings nobody can
//! reach, and take a wrong argument for a defect.

use std::error::Error;

use datafusion::common::{Column, SchemaError};
use datafusion::error::DataFusionError;
use kalamdb_commons::{ErrorKind, SqlState};
use kalamdb_sql::{Sought, nearest};
use kalamdb_tables::{About, Plain, TablesError, in_sql_types, plain_words, shared_name};

use crate::EngineError;

/// An error in our words.
pub(crate) struct Said {
    pub(crate) kind: ErrorKind,
    pub(crate) state: SqlState,
    pub(crate) message: String,
    /// What it is about, to be found in the statement.
    pub(crate) subject: Option<Sought>,
}

impl Said {
    fn invalid(state: SqlState, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { kind: ErrorKind::InvalidInput, state, message, subject: None }
    }

    fn unsupported(message: &str) -> Self {
        let state = SqlState::FeatureNotSupported;
        Self { kind: ErrorKind::Unsupported, state, message: message.to_owned(), subject: None }
    }

    fn about(mut self, subject: Sought) -> Self {
        self.subject = Some(subject);
        self
    }
}

/// Columns a message names at most.
const NAMED_COLUMNS_MAX: usize = 20;
/// Columns DELETE and UPDATE read besides those of the table.
const OWN_COLUMNS: [&str; 2] = ["_location", "_image"];

/// What is said of an error: one line without prefixes, hints and backtraces.
pub(crate) fn of(error: &DataFusionError) -> Said {
    if let Some(own) = kalamdb_tables::own_error(error)
        && !matches!(own, TablesError::Query(_))
    {
        return of_ours(own);
    }
    if let DataFusionError::SchemaError(inner, _) = error.find_root()
        && let Some(said) = of_schema(inner)
    {
        return said;
    }
    let message = innermost(error);
    if let Some(said) = known(&message) {
        return said;
    }
    let kind = kalamdb_tables::kind_of(error);
    let Plain { state, message, about } = plain_words(&without_structures(&message));
    let kind = match state {
        None => kind,
        Some(SqlState::FeatureNotSupported) => ErrorKind::Unsupported,
        Some(_) => ErrorKind::InvalidInput,
    };
    let state = state.unwrap_or_else(|| match (kind, error.find_root()) {
        (ErrorKind::InvalidInput, DataFusionError::Plan(_)) => SqlState::SyntaxOrAccess,
        (ErrorKind::InvalidInput, _) => SqlState::DataException,
        (ErrorKind::ResourceExhausted, _) if message.contains(" bytes at once") => {
            SqlState::TooLarge
        }
        (ErrorKind::ResourceExhausted, _) => SqlState::OutOfMemory,
        _ => SqlState::of_kind(kind),
    });
    let subject = about.map(|(about, text)| sought(about, text));
    Said { kind, state, message, subject }
}

fn sought(about: About, text: String) -> Sought {
    match about {
        About::Column(_) => Sought::Column(text),
        About::Function(_) => Sought::Function(text),
        About::Operator(_) => Sought::Operator(text),
        About::Word(_) if text.starts_with(|c: char| c.is_alphabetic()) => {
            Sought::Words(vec![text])
        }
        About::Word(_) => Sought::Operator(text),
        About::Name(_) | About::Nothing => Sought::Name(text),
    }
}

/// What is said of an error of ours that travelled through a plan.
pub(crate) fn of_ours(error: &TablesError) -> Said {
    let subject = match error {
        TablesError::Sql(inner) => inner.subject(),
        TablesError::BadValue { value, .. } => Some(Sought::Value(value.clone())),
        TablesError::InvalidStatement { reason } if reason.contains(" of VALUES has ") => {
            Some(Sought::Words(vec![String::from("VALUES")]))
        }
        TablesError::InvalidStatement { reason } => reason
            .strip_prefix("column ")
            .and_then(|rest| rest.split(' ').next())
            .map(|name| Sought::Column(name.trim_matches(['\'', '"']).to_owned())),
        _ => None,
    };
    let kind = error.kind();
    let state = error.state().unwrap_or(SqlState::of_kind(kind));
    let message = match error {
        TablesError::BrokenView { view, source } => {
            let why = of(source).message;
            format!("view {view} cannot be read any more, drop it or replace it: {why}")
        }
        other => other.to_string(),
    };
    Said { kind, state, message, subject }
}

/// Why a view cannot be read any more, when that is what the error says, or else all it says.
pub(crate) fn of_broken_view(error: &EngineError) -> String {
    let mut next = error.source();
    while let Some(source) = next {
        if let Some(TablesError::BrokenView { source, .. }) = source.downcast_ref() {
            return of(source).message;
        }
        next = source.source();
    }
    error.to_string()
}

fn of_schema(error: &SchemaError) -> Option<Said> {
    Some(match error {
        SchemaError::FieldNotFound { field, valid_fields } => unknown_column(field, valid_fields),
        SchemaError::AmbiguousReference { field } => {
            let name = &field.name;
            let message = format!("column {name} is in several tables, write table.{name}");
            let subject = Sought::Column(field.flat_name());
            Said::invalid(SqlState::AmbiguousColumn, message).about(subject)
        }
        SchemaError::DuplicateQualifiedField { qualifier, .. } => {
            let table = qualifier.table();
            let message = format!("two tables in FROM are called {table}, give one an alias");
            Said::invalid(SqlState::DuplicateAlias, message)
        }
        SchemaError::DuplicateUnqualifiedField { name } => Said::invalid(
            SqlState::DuplicateColumn,
            format!("there are two columns {name}, give one another name with AS"),
        ),
    })
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

fn unknown_column(field: &Column, valid: &[Column]) -> Said {
    let name = field.flat_name();
    let shares = |column: &Column| {
        let asked = field.relation.as_ref().map(|relation| relation.table());
        shared_name(&column.name) == Some(field.name.as_str())
            && asked
                .is_none_or(|asked| column.relation.as_ref().is_some_and(|is| is.table() == asked))
    };
    if valid.iter().any(shares) {
        let message = format!(
            "several columns of the subquery are called {}, give them names of their own with AS",
            field.name
        );
        return Said::invalid(SqlState::AmbiguousColumn, message).about(Sought::Column(name));
    }
    // Results of expressions (`count(*)`) are no columns that could be named.
    let named = |name: &str| {
        !OWN_COLUMNS.contains(&name) && !name.contains('(') && !name.contains(char::is_control)
    };
    let columns = || valid.iter().filter(|column| named(&column.name));
    let tables = || columns().filter_map(|column| Some(column.relation.as_ref()?.table()));
    if let Some(relation) = &field.relation
        && columns().next().is_some()
        && !tables().any(|table| table == relation.table())
    {
        let table = relation.table();
        let meant = columns().find(|column| column.name == field.name);
        let meant = meant.map(short_name).unwrap_or_default();
        let meant = match meant.as_str() {
            "" => String::new(),
            meant => format!(", did you mean '{meant}'?"),
        };
        let message = format!("there is no table {table} in FROM for the column {name}{meant}");
        return Said::invalid(SqlState::UndefinedTable, message).about(Sought::Column(name));
    }
    let mut message = format!("column {name} does not exist");
    let mut names: Vec<&str> = Vec::new();
    for column in columns() {
        if !names.contains(&column.name.as_str()) {
            names.push(&column.name);
        }
    }
    let other_case = names.iter().find(|name| name.eq_ignore_ascii_case(&field.name));
    let same_name = columns().find(|column| column.name == field.name);
    if let Some(name) = other_case.filter(|name| **name != field.name) {
        let written = format!("{} is written \"{name}\" here", field.name);
        message.push_str(&format!(", {written}: names in double quotes are taken as they stand"));
    } else if let Some(column) = same_name {
        message.push_str(&format!(", did you mean '{}'?", short_name(column)));
    } else if let Some(meant) = nearest(&field.name, names.iter().copied()) {
        message.push_str(&format!(", did you mean '{meant}'?"));
    } else if !names.is_empty() {
        let rest = names.len().saturating_sub(NAMED_COLUMNS_MAX);
        names.truncate(NAMED_COLUMNS_MAX);
        message.push_str(&format!(", there are {}", names.join(", ")));
        if rest > 0 {
            message.push_str(&format!(" and {rest} more"));
        }
    }
    Said::invalid(SqlState::UndefinedColumn, message).about(Sought::Column(name))
}

/// `table.column`.
fn short_name(column: &Column) -> String {
    match &column.relation {
        Some(relation) => format!("{}.{}", relation.table(), column.name),
        None => column.name.clone(),
    }
}

/// The words for messages that are known to be none for a user, and that need more than a table.
fn known(message: &str) -> Option<Said> {
    if message.contains("Set comparison subquery should only return one column")
        || message.contains("InSubquery should only return one column")
    {
        let text = "IN, ANY and ALL take a subquery of one column, name one";
        return Some(Said::invalid(SqlState::Syntax, text));
    }
    if message.contains("In/Exist/SetComparison subquery can only be used in") {
        return Some(not_evaluated("Exists"));
    }
    if message.contains("Unsupported JOIN operator") {
        return Some(Said::unsupported(
            "this kind of join is not supported, use INNER, LEFT, RIGHT, FULL or CROSS JOIN; for \
             a semi or anti join write LEFT SEMI JOIN or LEFT ANTI JOIN, or EXISTS",
        ));
    }
    if let Some((_, what)) =
        message.split_once("Physical plan does not support logical expression ")
    {
        return Some(not_evaluated(what));
    }
    if let Some((_, name)) = message.split_once("Unsupported SQL type ") {
        return Some(unknown_type(name));
    }
    if let Some((reason, call)) =
        message.split_once("No function matches the given name and argument types '")
        && let Some((call, _)) = call.split_once('\'')
    {
        let name = call.split('(').next().unwrap_or_default().to_owned();
        // Functions of our own say themselves what they take.
        let reason = reason.rsplit("failed with: ").next().unwrap_or_default();
        let reason = reason.trim_start_matches("Error during planning: ").trim();
        let reason = reason.trim_end_matches('.');
        if let Plain { state: Some(state), message, about } = plain_words(reason) {
            let subject = about.map(|(about, text)| sought(about, text));
            let said = Said::invalid(state, message);
            return Some(said.about(subject.unwrap_or(Sought::Function(name))));
        }
        let call = in_sql_types(call);
        let text = if reason.starts_with(|first: char| first.is_ascii_lowercase()) {
            in_sql_types(reason)
        } else if call.ends_with("()") {
            format!("there is no function {call}, give it arguments")
        } else {
            format!("there is no function {call}, cast its arguments to other types")
        };
        let said = Said::invalid(SqlState::UndefinedFunction, text);
        return Some(said.about(Sought::Function(name)));
    }
    if let Some((_, name)) = message.split_once("Internal error: Function '")
        && let Some((name, _)) = name.split_once('\'')
    {
        let text = format!("function {name} does not take arguments of these types, cast them");
        let said = Said::invalid(SqlState::UndefinedFunction, text);
        return Some(said.about(Sought::Function(name.to_owned())));
    }
    let (_, column) = message.split_once("While expanding wildcard, column \"")?;
    let (column, _) = column.split_once("\" must appear")?;
    if OWN_COLUMNS.iter().any(|own| column.ends_with(own)) {
        let text = "an aggregate cannot stand in UPDATE, DELETE or MERGE itself, compute it \
                    in a subquery: (SELECT …)";
        return Some(Said::invalid(SqlState::Grouping, text));
    }
    let text = format!(
        "column {} is neither in GROUP BY nor inside an aggregate, put it into one",
        in_sql_types(column)
    );
    Some(Said::invalid(SqlState::Grouping, text).about(Sought::Column(column.to_owned())))
}

/// A type's name that is none of ours, as CREATE TABLE would refuse it.
fn unknown_type(name: &str) -> Said {
    let Err(error) = kalamdb_sql::parse_column_type(name) else {
        return Said::unsupported(&format!("the type {name} is not supported here"));
    };
    let message = error.to_string();
    // Its place is one in the name, not in the statement.
    let message = message.split(" (at line ").next().unwrap_or_default().to_owned();
    let word = name.split(['(', ' ', '[']).next().unwrap_or_default().to_lowercase();
    let said = Said { kind: error.kind(), state: error.state(), message, subject: None };
    said.about(Sought::Name(word))
}

/// An expression in a place where it cannot be computed.
fn not_evaluated(what: &str) -> Said {
    let named = |name: &str| what.starts_with(name);
    if named("WindowFunction") {
        return Said::invalid(
            SqlState::WindowError,
            "a window function (OVER) cannot stand in GROUP BY or in a condition, compute it in a \
             subquery",
        );
    }
    if named("AggregateFunction") {
        return Said::invalid(
            SqlState::Grouping,
            "an aggregate cannot stand in GROUP BY or in a condition on single rows, use HAVING or a \
             subquery",
        );
    }
    Said::unsupported(if named("InSubquery") || named("Exists") || named("SetComparison") {
        "IN (SELECT …), EXISTS, ANY and ALL are not supported in this place, only in the select \
         list, SET, WHERE and HAVING; write a join instead"
    } else if named("ScalarSubquery") || named("OuterReferenceColumn") {
        "a subquery that names columns of the outer query in this way is not supported, write a \
         join instead"
    } else {
        "an expression of this kind is not supported in this place"
    })
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
        let said = of(&DataFusionError::NotImplemented(message.to_owned()));
        (said.kind, said.message)
    }

    #[test]
    fn columns_are_named_once_and_ours_never() {
        let column = |name| Column::new(Some("x.t"), name);
        let valid = vec![column("_location"), column("id"), Column::new_unqualified("id")];
        let unknown = unknown_column(&Column::new_unqualified("nope"), &valid);
        assert_eq!(unknown.message, "column nope does not exist, there are id");
        let quoted = unknown_column(&Column::new_unqualified("ID"), &valid).message;
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
        let said = of(&error);
        assert_eq!(said.kind, ErrorKind::InvalidInput);
        assert!(said.message.starts_with("function sum "), "{}", said.message);
    }
}
