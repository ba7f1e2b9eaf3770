//! `system.live_queries`: the subscriptions that are open.

use arrow::datatypes::Field;

use super::{int, text, time};

pub(super) fn columns() -> Vec<Field> {
    vec![
        text("live_id"),
        text("connection_id"),
        text("table_name"),
        text("query_id"),
        text("user_id"),
        text("query"),
        text("options"),
        time("created_at"),
        time("updated_at"),
        int("changes"),
        text("node"),
    ]
}
