//! SHOW and DESCRIBE: small results straight from the catalog, only what the principal may see.
//! What it may not see is answered as what is not there.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::compute::filter_record_batch;
use arrow::compute::kernels::comparison::like;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use kalamdb_commons::ErrorKind;
use kalamdb_sql::{
    ObjectKind, RESERVED_NAMESPACES, SessionSetting, SqlError, Statement, TableEntry, TableName,
    ViewEntry, nearest, show_create_table, show_create_view,
};

use crate::session::Session;
use crate::{EngineError, MetadataView, TableInfo, describe_table, show_functions, show_stats};

/// The schema of what `statement` lists.
pub(crate) fn schema(statement: &Statement) -> SchemaRef {
    let text = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
    Arc::new(Schema::new(match statement {
        Statement::ShowNamespaces { .. } => vec![text("namespace", false)],
        Statement::ShowStats { .. } => return show_stats::schema(),
        Statement::ShowFunctions { .. } => return show_functions::schema(),
        Statement::ShowSettings => vec![text("name", false), text("value", false)],
        Statement::ShowTables { .. } => vec![
            text("namespace", false),
            text("table_name", false),
            text("table_type", false),
            text("comment", true),
        ],
        Statement::ShowViews { .. } => {
            vec![text("namespace", false), text("view_name", false), text("comment", true)]
        }
        Statement::Describe { .. } => describe_table::fields(),
        Statement::DescribeHistory { .. } => describe_table::history_fields(),
        Statement::ShowCreateTable { .. } => {
            vec![text("table_name", false), text("statement", false)]
        }
        Statement::ShowUsers => {
            vec![text("user_name", false), text("role", false)]
        }
        Statement::ShowSetting { setting } => vec![text(setting.as_str(), false)],
        _ => Vec::new(),
    }))
}

/// The rows of what `statement` lists of what `view` shows. Unqualified names stand in `namespace`.
pub(crate) fn rows(
    view: &MetadataView,
    session: &Session,
    namespace: &str,
    statement: &Statement,
) -> Result<RecordBatch, EngineError> {
    let (catalog, principal) = (view.snapshot(), view.principal());
    let columns: Vec<ArrayRef> = match statement {
        Statement::ShowNamespaces { .. } => {
            vec![texts(catalog.visible_namespaces(principal).iter().map(|ns| Some(&*ns.name)))]
        }
        Statement::ShowTables { all: true, .. } => {
            let views = catalog.visible_views(principal);
            list_tables(
                catalog.tables().filter(|table| table.is_visible_to(principal)),
                views.iter(),
            )
        }
        Statement::ShowTables { namespace: named, .. } => {
            let namespace = named.as_deref().unwrap_or(namespace);
            if RESERVED_NAMESPACES.contains(&namespace) {
                list_system_tables(&view.tables_in(namespace))
            } else {
                catalog.shown_namespace(principal, namespace)?;
                let views = catalog.views_in(namespace);
                list_tables(
                    catalog.tables_in(namespace).filter(|t| t.is_visible_to(principal)),
                    views.filter(|view| catalog.shows_view(principal, view)),
                )
            }
        }
        Statement::ShowViews { namespace: named, .. } => {
            let namespace = named.as_deref().unwrap_or(namespace);
            if !RESERVED_NAMESPACES.contains(&namespace) {
                catalog.shown_namespace(principal, namespace)?;
            }
            let views = catalog.views_in(namespace);
            list_views(views.filter(|view| catalog.shows_view(principal, view)))
        }
        Statement::Describe { table } => match shown(view, namespace, table)? {
            Shown::Table(entry) => describe_table::columns(&entry.definition),
            Shown::View(view) => describe_table::columns_of_other(&TableInfo::of_view(view)),
            Shown::System(table) => describe_table::columns_of_other(&table),
        },
        Statement::DescribeHistory { table } => match shown(view, namespace, table)? {
            Shown::Table(entry) => describe_table::history(catalog, entry),
            Shown::View(view) => {
                return Err(EngineError::from(SqlError::WrongObject {
                    name: view.definition.qualified_name(),
                    found: ObjectKind::View,
                    advice: "only tables have versions",
                }));
            }
            Shown::System(table) => {
                return Err(EngineError::invalid(format!(
                    "{}.{} is the system's own, only tables that were created have versions",
                    table.namespace, table.name
                )));
            }
        },
        Statement::ShowCreateTable { table } => match shown(view, namespace, table)? {
            Shown::Table(entry) => {
                let name = entry.definition.qualified_name();
                let statement = show_create_table(&entry.definition);
                vec![texts([Some(name.as_str())]), texts([Some(statement.as_str())])]
            }
            Shown::View(view) => {
                let name = view.definition.qualified_name();
                let statement = show_create_view(&view.definition);
                vec![texts([Some(name.as_str())]), texts([Some(statement.as_str())])]
            }
            Shown::System(table) => {
                return Err(EngineError::invalid(format!(
                    "{}.{} is the system's own, no CREATE TABLE makes it, use DESCRIBE",
                    table.namespace, table.name
                )));
            }
        },
        Statement::ShowUsers => {
            let users = catalog.visible_users(principal);
            vec![
                texts(users.iter().map(|user| Some(&*user.name))),
                texts(users.iter().map(|user| Some(user.role.as_str()))),
            ]
        }
        Statement::ShowSetting { setting } => {
            vec![texts([Some(session.setting(*setting).as_str())])]
        }
        Statement::ShowSettings => vec![
            texts(SessionSetting::ALL.map(|setting| Some(setting.as_str()))),
            texts(SessionSetting::ALL.map(|setting| Some(session.setting(setting)))),
        ],
        other => {
            let message = format!("{} is no listing", other.name());
            return Err(EngineError::new(ErrorKind::Internal, message));
        }
    };
    let rows = RecordBatch::try_new(schema(statement), columns)
        .map_err(|error| EngineError::internal("build a listing", error))?;
    match statement {
        Statement::ShowNamespaces { like: Some(pattern) } => matching(&rows, "namespace", pattern),
        Statement::ShowTables { like: Some(pattern), .. } => matching(&rows, "table_name", pattern),
        Statement::ShowViews { like: Some(pattern), .. } => matching(&rows, "view_name", pattern),
        _ => Ok(rows),
    }
}

/// The rows whose text in `column` is LIKE the pattern.
pub(crate) fn matching(
    rows: &RecordBatch,
    column: &str,
    pattern: &str,
) -> Result<RecordBatch, EngineError> {
    let names = rows.column_by_name(column).ok_or_else(|| {
        EngineError::new(ErrorKind::Internal, format!("a listing has no column {column}"))
    })?;
    let pattern = StringArray::new_scalar(pattern);
    like(names, &pattern)
        .and_then(|matches| filter_record_batch(rows, &matches))
        .map_err(|error| EngineError::internal("compare names with a pattern", error))
}

/// A table that is described.
enum Shown<'a> {
    Table(&'a Arc<TableEntry>),
    View(&'a Arc<ViewEntry>),
    System(TableInfo),
}

/// The table `name` means: whatever can be read can be described, and nothing else is there.
fn shown<'a>(
    view: &'a MetadataView,
    default_namespace: &str,
    name: &TableName,
) -> Result<Shown<'a>, EngineError> {
    let namespace = name.namespace_or(default_namespace);
    if !RESERVED_NAMESPACES.contains(&namespace) {
        let (catalog, principal) = (view.snapshot(), view.principal());
        if let Ok(found) = catalog.shown_view(principal, default_namespace, name) {
            return Ok(Shown::View(found));
        }
        return Ok(Shown::Table(catalog.shown_table(principal, default_namespace, name)?));
    }
    let tables = view.tables_in(namespace);
    let suggestion = nearest(&name.table, tables.iter().map(|table| &*table.name));
    let found = tables.into_iter().find(|table| *table.name == name.table);
    found.map(Shown::System).ok_or_else(|| {
        let name = format!("{namespace}.{}", name.table);
        SqlError::NotFound { object: ObjectKind::Table, name, suggestion }.into()
    })
}

fn list_tables<'a>(
    tables: impl Iterator<Item = &'a Arc<TableEntry>>,
    views: impl Iterator<Item = &'a Arc<ViewEntry>>,
) -> Vec<ArrayRef> {
    let tables = tables.map(|table| {
        let table = &table.definition;
        (&table.namespace, &table.name, table.table_type.as_str(), table.comment.as_deref())
    });
    let views = views.map(|view| {
        let view = &view.definition;
        (&view.namespace, &view.name, "view", view.comment.as_deref())
    });
    let mut rows: Vec<_> = tables.chain(views).collect();
    rows.sort_unstable();
    vec![
        texts(rows.iter().map(|(namespace, ..)| Some(&***namespace))),
        texts(rows.iter().map(|(_, name, ..)| Some(&***name))),
        texts(rows.iter().map(|(_, _, kind, _)| Some(*kind))),
        texts(rows.iter().map(|(.., comment)| *comment)),
    ]
}

fn list_views<'a>(views: impl Iterator<Item = &'a Arc<ViewEntry>>) -> Vec<ArrayRef> {
    let mut views: Vec<_> = views.map(|view| &view.definition).collect();
    views.sort_unstable_by_key(|view| &view.name);
    vec![
        texts(views.iter().map(|view| Some(&*view.namespace))),
        texts(views.iter().map(|view| Some(&*view.name))),
        texts(views.iter().map(|view| view.comment.as_deref())),
    ]
}

fn list_system_tables(tables: &[TableInfo]) -> Vec<ArrayRef> {
    vec![
        texts(tables.iter().map(|table| Some(&*table.namespace))),
        texts(tables.iter().map(|table| Some(&*table.name))),
        texts(tables.iter().map(|_| Some("system"))),
        texts(tables.iter().map(|table| table.comment.as_deref())),
    ]
}

pub(crate) fn texts<T: AsRef<str>>(values: impl IntoIterator<Item = Option<T>>) -> ArrayRef {
    Arc::new(StringArray::from_iter(values))
}
