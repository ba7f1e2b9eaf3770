//! Values between text and Arrow: what import reads is what export writes.

pub mod from_text;
pub mod interval;
pub mod json_text;
pub mod nested;
pub mod to_text;

use arrow::datatypes::{DataType, Field};

/// Field metadata that names an extension type.
const EXTENSION_NAME_KEY: &str = "ARROW:extension:name";

/// True for columns of JSON documents.
pub fn is_json(field: &Field) -> bool {
    field.metadata().get(EXTENSION_NAME_KEY).is_some_and(|name| name == "arrow.json")
}

/// True for columns of UUIDs.
pub fn is_uuid(field: &Field) -> bool {
    field.data_type() == &DataType::FixedSizeBinary(16)
        && field.metadata().get(EXTENSION_NAME_KEY).is_some_and(|name| name == "arrow.uuid")
}

/// True for any encoding of text.
pub fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}
