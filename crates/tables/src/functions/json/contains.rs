//! Questions about whole JSON values.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, StringArray};
use arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use serde_json::Value;

use super::read::not_json;

pub(super) fn functions() -> Vec<ScalarUDF> {
    let text = |count| Signature::uniform(count, vec![DataType::Utf8], Volatility::Immutable);
    vec![
        ScalarUDF::new_from_impl(Valid { signature: text(1) }),
        ScalarUDF::new_from_impl(Contains {
            aliases: vec![String::from("jsonb_contains")],
            signature: text(2),
        }),
    ]
}

/// `json_valid(text)`
#[derive(Debug, PartialEq, Eq, Hash)]
struct Valid {
    signature: Signature,
}

impl ScalarUDFImpl for Valid {
    fn name(&self) -> &str {
        "json_valid"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        super::build::by_rows(&args, |arrays, _| {
            let valid = |text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
            let texts = arrays.iter().map(|array| array.as_string::<i32>());
            let valid: BooleanArray = texts.flatten().map(|text| text.map(valid)).collect();
            Ok(Arc::new(valid) as ArrayRef)
        })
    }
}

/// `json_contains(value, part)`: whether all of `part` is in `value`, as PostgreSQL's `@>`.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Contains {
    aliases: Vec<String>,
    signature: Signature,
}

impl ScalarUDFImpl for Contains {
    fn name(&self) -> &str {
        "json_contains"
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        super::build::by_rows(&args, |arrays, rows| {
            let [values, parts] = arrays else {
                return Err(super::read::wrong(String::from("json_contains takes two values")));
            };
            let (values, parts): (&StringArray, &StringArray) =
                (values.as_string(), parts.as_string());
            let mut out = Vec::with_capacity(rows);
            // The part is mostly the same in all rows.
            let mut last: Option<(&str, Value)> = None;
            for row in 0..rows {
                if values.is_null(row) || parts.is_null(row) {
                    out.push(None);
                    continue;
                }
                let text = parts.value(row);
                if last.as_ref().is_none_or(|(known, _)| *known != text) {
                    last = Some((text, parsed(text)?));
                }
                let whole = parsed(values.value(row))?;
                out.push(last.as_ref().map(|(_, part)| contains(&whole, part, true)));
            }
            Ok(Arc::new(BooleanArray::from(out)) as ArrayRef)
        })
    }
}

fn parsed(text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|_| not_json(text))
}

/// An array at the top also contains a scalar that is one of its items.
fn contains(whole: &Value, part: &Value, top: bool) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => part
            .iter()
            .all(|(key, part)| whole.get(key).is_some_and(|whole| contains(whole, part, false))),
        (Value::Array(whole), Value::Array(part)) => {
            part.iter().all(|part| whole.iter().any(|whole| contains(whole, part, false)))
        }
        (Value::Array(whole), part) if top && !part.is_object() => whole.contains(part),
        (Value::Number(whole), Value::Number(part)) => {
            whole == part || whole.as_f64() == part.as_f64() && (whole.is_f64() || part.is_f64())
        }
        (whole, part) => whole == part,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_contained_as_postgresql_says() {
        let cases = [
            (r#"{"a":1,"b":{"c":[1,2]}}"#, r#"{"b":{"c":[2]}}"#, true),
            (r#"{"a":1}"#, r#"{"a":2}"#, false),
            (r#"{"a":1}"#, r#"{}"#, true),
            (r#"[1,[2,3]]"#, r#"[[3]]"#, true),
            (r#"[1,2]"#, "2", true),
            (r#"[[1]]"#, "1", false),
            (r#"{"a":[1]}"#, r#"{"a":1}"#, false),
            ("1", "1.0", true),
            ("9007199254740993", "9007199254740992", false),
            ("null", "null", true),
        ];
        for (whole, part, wanted) in cases {
            let (whole, part) = (parsed(whole).unwrap(), parsed(part).unwrap());
            assert_eq!(contains(&whole, &part, true), wanted, "{whole} @> {part}");
        }
    }
}
