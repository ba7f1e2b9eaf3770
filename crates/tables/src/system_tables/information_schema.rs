//! `information_schema.tables`, `.schemata` and `.views`.

use arrow::array::ArrayRef;
use arrow::datatypes::Field;
use kalamdb_sql::{CATALOG_NAME, RESERVED_NAMESPACES};

use super::{SystemTable, optional_text, optional_texts, text, texts};
use crate::StatementContext;

pub(super) fn tables_columns() -> Vec<Field> {
    vec![text("table_catalog"), text("table_schema"), text("table_name"), text("table_type")]
}

pub(super) fn tables_rows(context: &StatementContext) -> Vec<ArrayRef> {
    let tables = context.catalog.visible_tables(&context.principal);
    let mut rows: Vec<(&str, &str, &str)> = tables
        .iter()
        .map(|table| (&*table.definition.namespace, &*table.definition.name, "BASE TABLE"))
        .collect();
    let views = context.catalog.visible_views(&context.principal);
    rows.extend(views.iter().map(|view| {
        let view = &view.definition;
        (&*view.namespace, &*view.name, "VIEW")
    }));
    rows.extend(
        SystemTable::all().iter().map(|table| (table.namespace(), table.name(), "SYSTEM TABLE")),
    );
    vec![
        texts(rows.iter().map(|_| CATALOG_NAME)),
        texts(rows.iter().map(|(namespace, _, _)| namespace)),
        texts(rows.iter().map(|(_, name, _)| name)),
        texts(rows.iter().map(|(_, _, kind)| kind)),
    ]
}

pub(super) fn schemata_columns() -> Vec<Field> {
    vec![
        text("catalog_name"),
        text("schema_name"),
        optional_text("schema_owner"),
        optional_text("default_character_set_catalog"),
        optional_text("default_character_set_schema"),
        optional_text("default_character_set_name"),
        optional_text("sql_path"),
    ]
}

pub(super) fn schemata_rows(context: &StatementContext) -> Vec<ArrayRef> {
    let namespaces = context.catalog.visible_namespaces(&context.principal);
    let mut rows: Vec<(&str, Option<&str>)> = namespaces
        .iter()
        .map(|namespace| (&*namespace.name, Some(namespace.created_by.as_str())))
        .collect();
    rows.extend(RESERVED_NAMESPACES.map(|namespace| (namespace, None)));
    let nothing = || optional_texts(rows.iter().map(|_| None::<&str>));
    vec![
        texts(rows.iter().map(|_| CATALOG_NAME)),
        texts(rows.iter().map(|(namespace, _)| namespace)),
        optional_texts(rows.iter().map(|(_, owner)| *owner)),
        nothing(),
        nothing(),
        nothing(),
        nothing(),
    ]
}

pub(super) fn views_columns() -> Vec<Field> {
    vec![
        text("table_catalog"),
        text("table_schema"),
        text("table_name"),
        optional_text("view_definition"),
    ]
}

pub(super) fn views_rows(context: &StatementContext) -> Vec<ArrayRef> {
    let views = context.catalog.visible_views(&context.principal);
    let each = || views.iter().map(|view| &view.definition);
    vec![
        texts(each().map(|_| CATALOG_NAME)),
        texts(each().map(|view| &*view.namespace)),
        texts(each().map(|view| &*view.name)),
        optional_texts(each().map(|view| Some(view.query.as_str()))),
    ]
}
