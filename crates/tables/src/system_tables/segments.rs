//! `system.segments`: the cold segments of tables.

use arrow::datatypes::Field;

use super::{int, text, time};

pub(super) fn columns() -> Vec<Field> {
    vec![
        text("namespace"),
        text("table_name"),
        int("segment_id"),
        text("kind"),
        text("path"),
        int("rows"),
        int("deleted_rows"),
        int("bytes"),
        int("schema_version"),
        int("commit_seq_min"),
        int("commit_seq_max"),
        time("created_at"),
    ]
}
