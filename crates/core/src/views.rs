//! CREATE VIEW: the query is planned before the view is put into the catalog, so that every view
//! there is can be read.

use kalamdb_commons::limits::STATEMENT_ATTEMPTS_MAX;
use kalamdb_commons::{ColumnDefinition, ColumnId, ColumnType, ErrorKind, Principal};
use kalamdb_sql::{CreateView, NewView, quote_name};

use crate::{Engine, EngineError, literals, parameters, wire_schema};

/// Creates or replaces a view. Blocking: one synced commit.
pub(crate) fn create(
    engine: &Engine,
    principal: &Principal,
    namespace: &str,
    view: &CreateView,
) -> Result<(), EngineError> {
    let mut attempt = 1;
    loop {
        match create_once(engine, principal, namespace, view) {
            // Something it reads was changed between plan and commit.
            Err(error)
                if error.kind() == ErrorKind::Conflict && attempt < STATEMENT_ATTEMPTS_MAX =>
            {
                attempt += 1;
            }
            done => return done,
        }
    }
}

fn create_once(
    engine: &Engine,
    principal: &Principal,
    namespace: &str,
    view: &CreateView,
) -> Result<(), EngineError> {
    let catalog = &engine.catalog;
    catalog.check_new_view(principal, namespace, view)?;
    let snapshot = catalog.snapshot();
    let exists = snapshot.view(view.name.namespace_or(namespace), &view.name.table).is_some();
    if view.if_not_exists && exists {
        return Ok(());
    }
    let state = &engine.planning;
    let planned = kalamdb_tables::plan_view(state, &snapshot, principal, namespace, view)?;
    kalamdb_tables::check_plan(&planned.plan)?;
    let (plan, _) = parameters::resolve(literals::fit(planned.plan)?, 0, &[])?;
    let schema = wire_schema::of_plan(engine.analyze(plan)?.schema());
    let mut columns = Vec::with_capacity(schema.fields().len());
    for (field, id) in schema.fields().iter().zip(1..) {
        let column_type = ColumnType::from_arrow(field).map_err(|error| {
            let column = quote_name(field.name());
            EngineError::invalid(format!("column {column} of the view: {error}, cast it"))
        })?;
        let column = ColumnDefinition::new(ColumnId(id), field.name(), column_type);
        columns.push(if field.is_nullable() { column } else { column.not_null() });
    }
    let new = NewView { columns, reads: planned.reads };
    catalog.create_view(principal, namespace, view, new, &snapshot)?;
    Ok(())
}
