//! Where in the text an error of the planner is, and what was probably meant. All of this is found
//! out when a statement has failed, so that right ones do not pay for it.

use std::sync::Arc;

use kalamdb_commons::{Principal, SqlState};
use kalamdb_sql::{CatalogSnapshot, ParsedStatement, Position, Sought, nearest};

use crate::{Engine, EngineError};

impl Engine {
    /// The error with its place in the statement's text, if it has one there, and with the name
    /// of the function that was probably meant.
    pub(crate) fn explained(
        &self,
        error: EngineError,
        principal: &Principal,
        namespace: &str,
        catalog: &Arc<CatalogSnapshot>,
        statement: &ParsedStatement,
    ) -> EngineError {
        let error = self.with_function_meant(error);
        if error.subject().is_none() {
            return error;
        }
        let hint = self.failing_place(principal, namespace, catalog, statement);
        error.placed(statement, hint)
    }

    /// The place the planner names when it is asked to keep places: the statement is planned
    /// again.
    fn failing_place(
        &self,
        principal: &Principal,
        namespace: &str,
        catalog: &Arc<CatalogSnapshot>,
        statement: &ParsedStatement,
    ) -> Option<Position> {
        let mut state = self.planning.clone();
        state.config_mut().options_mut().sql_parser.collect_spans = true;
        let statement = &statement.statement;
        let planned =
            kalamdb_tables::plan_statement(&state, catalog, principal, namespace, statement);
        let error = planned.err()?;
        let start = error.diagnostic()?.span?.start;
        Some(Position { line: start.line, column: start.column })
    }

    fn with_function_meant(&self, error: EngineError) -> EngineError {
        let Some(Sought::Function(name)) = error.subject() else { return error };
        if error.state() != SqlState::UndefinedFunction
            || !error.to_string().ends_with("does not exist")
        {
            return error;
        }
        let state = &self.planning;
        if state.window_functions().contains_key(name) {
            let advice = format!(" outside of a window, write {name}() OVER (…)");
            return error.and(&advice);
        }
        let scalar = state.scalar_functions().keys();
        let aggregate = state.aggregate_functions().keys();
        let table = state.table_functions().keys();
        let mut known: Vec<&str> = scalar
            .chain(table)
            .chain(state.window_functions().keys())
            .map(String::as_str)
            .collect();
        for name in kalamdb_tables::other_function_names() {
            known.push(name);
        }
        known.sort_unstable();
        // Of several as near the first is taken: `cout` is rather count than cot.
        let mut common: Vec<&str> = aggregate.map(String::as_str).collect();
        common.sort_unstable();
        common.append(&mut known);
        let known = common;
        match nearest(name, known) {
            // It is there, but makes no rows.
            Some(meant) if meant == name.as_str() => {
                let advice = format!(", {name}(…) is a value, call it in the select list");
                error.and(&advice)
            }
            Some(meant) => error.and(&format!(", did you mean '{meant}'?")),
            None => error,
        }
    }
}
