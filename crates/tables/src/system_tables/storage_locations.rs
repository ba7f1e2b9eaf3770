//! `system.storage_locations`: where cold segments are kept.

use arrow::datatypes::Field;

use super::{int, optional_text, text, time};

pub(super) fn columns() -> Vec<Field> {
    vec![
        text("location_name"),
        text("location_type"),
        text("path"),
        optional_text("credentials_ref"),
        int("usage_count"),
        time("created_at"),
        time("updated_at"),
    ]
}
