//! SHOW STATS FOR TABLE: what the counters of a table say, and what RocksDB estimates.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray, UInt32Array, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use kalamdb_commons::{Principal, Role, TableType};
use kalamdb_sql::{ObjectKind, RESERVED_NAMESPACES, SqlError, Statement, TableName};
use kalamdb_store::stream_rows;

use crate::session::Session;
use crate::{Engine, EngineError, Prepared};

pub(crate) fn schema() -> SchemaRef {
    let count = |name: &str| Field::new(name, DataType::UInt64, false);
    let time = |name: &str, nullable| {
        Field::new(name, DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), nullable)
    };
    Arc::new(Schema::new(vec![
        Field::new("namespace", DataType::Utf8, false),
        Field::new("table_name", DataType::Utf8, false),
        // Of a USER table: the rows of the one who asks, or of all users.
        Field::new("rows_of", DataType::Utf8, false),
        count("live_rows"),
        count("deleted_rows_kept"),
        count("hot_rows"),
        count("hot_bytes_uncompressed"),
        count("estimated_file_bytes"),
        Field::new("schema_version", DataType::UInt32, false),
        time("created_at", false),
        time("updated_at", false),
        time("last_written_at", true),
        count("as_of_commit"),
    ]))
}

/// One row for the table that the statement names.
///
/// # Errors
/// `NotFound` for a table that is not there or not to be seen.
pub(crate) async fn rows(
    engine: &Arc<Engine>,
    session: &Session,
    prepared: &Arc<Prepared>,
) -> Result<RecordBatch, EngineError> {
    let Statement::ShowStats { table } = &prepared.statement.statement else {
        return Err(EngineError::invalid("the statement asks for no figures"));
    };
    let (table, namespace) = (table.clone(), Arc::clone(&prepared.namespace));
    let (work, principal) = (Arc::clone(engine), session.principal().clone());
    engine.execution.run_blocking(move || figures(&work, &principal, &namespace, &table)).await
}

fn figures(
    engine: &Engine,
    principal: &Principal,
    namespace: &str,
    table: &TableName,
) -> Result<RecordBatch, EngineError> {
    if RESERVED_NAMESPACES.contains(&table.namespace_or(namespace)) {
        return Err(EngineError::invalid(format!(
            "{table} is the system's own and made when it is read, there are no figures of it"
        )));
    }
    let catalog = engine.catalog.snapshot();
    if let Ok(found) = catalog.shown_view(principal, namespace, table) {
        return Err(EngineError::from(SqlError::WrongObject {
            name: found.definition.qualified_name(),
            found: ObjectKind::View,
            advice: "there are figures of the tables it reads",
        }));
    }
    let entry = catalog.shown_table(principal, namespace, table)?;
    let definition = &entry.definition;
    // Others' rows of a USER table are nobody's business but the administrator's.
    let own = definition.table_type == TableType::User && !principal.has_role(Role::Dba);
    let owner = own.then_some(&principal.user_id);
    let view = engine.store.view()?;
    let counts = view.table_counts(definition.id, owner)?;
    // Rows of a stream stay stored for a while after they have expired.
    let shown = stream_rows(&view, &entry.layout)?.unwrap_or(counts.live_rows);
    let count = |number: u64| -> ArrayRef { Arc::new(UInt64Array::from(vec![number])) };
    let time = |us: Option<i64>| -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from(vec![us]).with_timezone("UTC"))
    };
    let text = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text])) };
    let columns = vec![
        text(&definition.namespace),
        text(&definition.name),
        text(if own { &principal.user_name } else { "all" }),
        count(shown),
        count(counts.tombstones),
        count(counts.live_rows + counts.tombstones),
        count(counts.bytes),
        count(view.estimated_file_bytes(definition.id, owner)?),
        Arc::new(UInt32Array::from(vec![definition.schema_version])),
        time(Some(definition.created_at_us)),
        time(Some(definition.updated_at_us)),
        time(view.last_written_us(definition.id, owner)?),
        count(view.commit_seq().0),
    ];
    RecordBatch::try_new(schema(), columns)
        .map_err(|error| EngineError::internal("show the figures of a table", error))
}
