//! `system.views`: the views whose tables the principal may know of.

use arrow::array::ArrayRef;
use arrow::datatypes::Field;

use super::{int, ints, optional_text, optional_texts, text, texts, time, times};
use crate::StatementContext;

pub(super) fn columns() -> Vec<Field> {
    vec![
        int("view_id"),
        int("namespace_id"),
        text("namespace"),
        text("view_name"),
        text("definition"),
        text("search_namespace"),
        text("reads"),
        optional_text("comment"),
        text("created_by"),
        time("created_at"),
    ]
}

pub(super) fn rows(context: &StatementContext) -> Vec<ArrayRef> {
    let catalog = &context.catalog;
    let views = catalog.visible_views(&context.principal);
    let each = || views.iter().map(|view| &view.definition);
    vec![
        ints(each().map(|view| i64::from(view.id.0))),
        ints(each().map(|view| i64::from(view.namespace_id.0))),
        texts(each().map(|view| &*view.namespace)),
        texts(each().map(|view| &*view.name)),
        texts(each().map(|view| view.query.as_str())),
        texts(each().map(|view| &*view.search_namespace)),
        texts(views.iter().map(|view| catalog.read_by_view(view).join(", "))),
        optional_texts(each().map(|view| view.comment.as_deref())),
        texts(each().map(|view| view.created_by.as_str())),
        times(each().map(|view| view.created_at_us)),
    ]
}
