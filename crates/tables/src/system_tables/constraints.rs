//! `information_schema.table_constraints` and `.check_constraints`. What is NOT NULL stands in
//! `columns` alone.

use arrow::array::ArrayRef;
use arrow::datatypes::Field;
use kalamdb_commons::{CheckConstraint, TableDefinition};
use kalamdb_sql::CATALOG_NAME;

use super::{text, texts};
use crate::StatementContext;

pub(super) fn table_constraints_columns() -> Vec<Field> {
    vec![
        text("constraint_catalog"),
        text("constraint_schema"),
        text("constraint_name"),
        text("table_catalog"),
        text("table_schema"),
        text("table_name"),
        text("constraint_type"),
        text("is_deferrable"),
        text("initially_deferred"),
        text("enforced"),
    ]
}

pub(super) fn table_constraints_rows(context: &StatementContext) -> Vec<ArrayRef> {
    let tables = context.catalog.visible_tables(&context.principal);
    let mut rows: Vec<(&TableDefinition, String, &str)> = Vec::new();
    for table in &tables {
        let table = table.definition.as_ref();
        if !table.has_hidden_key() {
            rows.push((table, format!("{}_pkey", table.name), "PRIMARY KEY"));
        }
        rows.extend(table.checks.iter().map(|check| (table, check.name.clone(), "CHECK")));
    }
    let each = |value: &'static str| texts(rows.iter().map(|_| value));
    let namespaces = || texts(rows.iter().map(|(table, _, _)| &*table.namespace));
    vec![
        each(CATALOG_NAME),
        namespaces(),
        texts(rows.iter().map(|(_, name, _)| name)),
        each(CATALOG_NAME),
        namespaces(),
        texts(rows.iter().map(|(table, _, _)| &*table.name)),
        texts(rows.iter().map(|(_, _, kind)| kind)),
        each("NO"),
        each("NO"),
        each("YES"),
    ]
}

pub(super) fn check_constraints_columns() -> Vec<Field> {
    vec![
        text("constraint_catalog"),
        text("constraint_schema"),
        text("constraint_name"),
        text("check_clause"),
    ]
}

pub(super) fn check_constraints_rows(context: &StatementContext) -> Vec<ArrayRef> {
    let tables = context.catalog.visible_tables(&context.principal);
    let mut rows: Vec<(&TableDefinition, &CheckConstraint)> = Vec::new();
    for table in &tables {
        let table = table.definition.as_ref();
        rows.extend(table.checks.iter().map(|check| (table, check)));
    }
    vec![
        texts(rows.iter().map(|_| CATALOG_NAME)),
        texts(rows.iter().map(|(table, _)| &*table.namespace)),
        texts(rows.iter().map(|(_, check)| &check.name)),
        texts(rows.iter().map(|(_, check)| &check.expression)),
    ]
}
