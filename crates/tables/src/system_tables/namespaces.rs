//! `system.namespaces`: the namespaces the principal may know of.

use arrow::array::ArrayRef;
use arrow::datatypes::Field;

use super::{int, ints, optional_text, optional_texts, text, texts, time, times};
use crate::StatementContext;

pub(super) fn columns() -> Vec<Field> {
    vec![
        int("namespace_id"),
        text("name"),
        int("table_count"),
        text("created_by"),
        time("created_at"),
        optional_text("comment"),
    ]
}

pub(super) fn rows(context: &StatementContext) -> Vec<ArrayRef> {
    let namespaces = context.catalog.visible_namespaces(&context.principal);
    let table_count = |namespace: &str| {
        let tables = context.catalog.tables_in(namespace);
        tables.filter(|table| table.is_visible_to(&context.principal)).count() as i64
    };
    vec![
        ints(namespaces.iter().map(|namespace| i64::from(namespace.id.0))),
        texts(namespaces.iter().map(|namespace| &*namespace.name)),
        ints(namespaces.iter().map(|namespace| table_count(&namespace.name))),
        texts(namespaces.iter().map(|namespace| namespace.created_by.as_str())),
        times(namespaces.iter().map(|namespace| namespace.created_at_us)),
        optional_texts(namespaces.iter().map(|namespace| namespace.comment.as_deref())),
    ]
}
