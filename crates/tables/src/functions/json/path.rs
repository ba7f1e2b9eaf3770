//! Paths into JSON values as PostgreSQL writes them: `'{a,b}'`, or a list of their steps.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListBuilder, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::read::{is_text, wrong};

/// What gives the steps of a path that is not known when the statement is planned.
pub(crate) const PATH_STEPS: &str = "json_path_steps";

/// What is no path.
pub(crate) const WRONG_PATH: &str =
    "#> and #>> take a path as '{a,b}' or ARRAY['a', 'b'], or use json_get(value, 'a', 'b')";

pub(super) fn functions() -> Vec<ScalarUDF> {
    vec![ScalarUDF::new_from_impl(PathSteps {
        signature: Signature::any(1, Volatility::Immutable),
    })]
}

/// The steps of `{a,b}`; `None` for what is no path.
pub(crate) fn steps_of_path(path: &str) -> Option<Vec<&str>> {
    let inner = path.trim().strip_prefix('{')?.strip_suffix('}')?;
    let steps = inner.split(',').filter(|_| !inner.is_empty());
    Some(steps.map(|step| step.trim().trim_matches('"')).collect())
}

/// The type of a path that is a list.
pub(super) fn steps_type() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)))
}

/// `json_path_steps(path)`
#[derive(Debug, PartialEq, Eq, Hash)]
struct PathSteps {
    signature: Signature,
}

impl ScalarUDFImpl for PathSteps {
    fn name(&self) -> &str {
        PATH_STEPS
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        use DataType::{FixedSizeList, LargeList, List};
        let is_step = |step: &DataType| is_text(step) || step.is_integer();
        match arg_types {
            [path] if is_text(path) => Ok(steps_type()),
            [List(step) | LargeList(step) | FixedSizeList(step, _)]
                if is_step(step.data_type()) =>
            {
                Ok(steps_type())
            }
            _ => Err(wrong(String::from(WRONG_PATH))),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        super::build::by_rows(&args, |arrays, _| {
            let [paths] = arrays else { return Err(wrong(String::from(WRONG_PATH))) };
            if !is_text(paths.data_type()) {
                return Ok(cast(paths, &steps_type())?);
            }
            let mut out = ListBuilder::new(StringBuilder::new());
            for path in cast(paths, &DataType::Utf8)?.as_string::<i32>() {
                let Some(path) = path else {
                    out.append_null();
                    continue;
                };
                let steps = steps_of_path(path)
                    .ok_or_else(|| DataFusionError::Execution(String::from(WRONG_PATH)))?;
                steps.iter().for_each(|step| out.values().append_value(step));
                out.append(true);
            }
            Ok(Arc::new(out.finish()) as ArrayRef)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_in_braces() {
        assert_eq!(steps_of_path("{a, \"b c\",0}"), Some(vec!["a", "b c", "0"]));
        assert_eq!(steps_of_path("{}"), Some(Vec::new()));
        assert_eq!(steps_of_path("a"), None);
    }
}
