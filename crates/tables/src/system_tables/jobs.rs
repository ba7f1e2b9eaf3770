//! `system.jobs`: flush and other jobs.

use arrow::datatypes::{DataType, Field};

use super::{optional_text, optional_time, text, time};

pub(super) fn columns() -> Vec<Field> {
    vec![
        text("job_id"),
        text("job_type"),
        optional_text("table_name"),
        text("status"),
        Field::new("progress", DataType::Float64, false),
        optional_text("result"),
        optional_text("error_message"),
        time("created_at"),
        optional_time("started_at"),
        optional_time("finished_at"),
    ]
}
