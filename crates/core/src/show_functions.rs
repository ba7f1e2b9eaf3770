//! SHOW FUNCTIONS: what SQL can call, with what is known of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::execution::SessionState;
use datafusion::logical_expr::Documentation;

use crate::{EngineError, listing};

pub(crate) fn schema() -> SchemaRef {
    let text = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
    Arc::new(Schema::new(vec![
        text("function_name", false),
        text("kind", false),
        text("signature", false),
        text("description", true),
    ]))
}

/// What stands in one line: signature and description.
type Line = (String, Option<String>);

/// The functions of `state`, those named by `like` when it is given, by name and kind.
pub(crate) fn rows(state: &SessionState, like: Option<&str>) -> Result<RecordBatch, EngineError> {
    let mut lines: BTreeMap<(String, &str), Line> = BTreeMap::new();
    for (name, function) in state.scalar_functions() {
        lines.insert((name.clone(), "scalar"), line(name, function.documentation()));
    }
    for (name, function) in state.aggregate_functions() {
        lines.insert((name.clone(), "aggregate"), line(name, function.documentation()));
    }
    for (name, function) in state.window_functions() {
        lines.insert((name.clone(), "window"), line(name, function.documentation()));
    }
    for name in state.table_functions().keys() {
        lines.insert((name.clone(), "table"), line(name, None));
    }
    let names = lines.keys().map(|(name, _)| Some(name.as_str()));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter(names)),
        Arc::new(StringArray::from_iter(lines.keys().map(|(_, kind)| Some(*kind)))),
        Arc::new(StringArray::from_iter(lines.values().map(|(signature, _)| Some(signature)))),
        Arc::new(StringArray::from_iter(lines.values().map(|(_, text)| text.as_deref()))),
    ];
    let rows = RecordBatch::try_new(schema(), columns)
        .map_err(|error| EngineError::internal("list the functions", error))?;
    match like {
        Some(pattern) => listing::matching(&rows, "function_name", pattern),
        None => Ok(rows),
    }
}

/// An alias has the text of the function it stands for.
fn line(name: &str, documentation: Option<&Documentation>) -> Line {
    match documentation {
        Some(known) => {
            let description = known.description.split_whitespace().collect::<Vec<_>>().join(" ");
            (known.syntax_example.clone(), Some(description))
        }
        None => (format!("{name}(…)"), None),
    }
}
