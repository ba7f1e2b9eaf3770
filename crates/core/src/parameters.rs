//! Statement parameters: which there are, of what type, and how bound values reach a plan.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, FixedSizeBinaryArray, Float32Array, RecordBatch, StringArray,
};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Schema, SchemaRef};
use arrow::error::ArrowError;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{ParamValues, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::{Expr, LogicalPlan};

use uuid::Uuid;

use crate::EngineError;

/// The length of a UUID.
const UUID_BYTES: i32 = 16;

/// The plan with a type on every placeholder, and the schema of the parameters: one nullable
/// field per ordinal, named `$1`, `$2`, ….
///
/// A placeholder whose type the plan does not tell is an Int64 in LIMIT and OFFSET, else Utf8.
pub(crate) fn resolve(
    plan: LogicalPlan,
    count: usize,
) -> Result<(LogicalPlan, SchemaRef), EngineError> {
    if count == 0 {
        return Ok((plan, Arc::new(Schema::empty())));
    }
    let known = known_fields(&plan)?;
    let plan = type_placeholders(plan, &known)?;
    let typed = known_fields(&plan)?;
    let fields: Vec<Field> = (1..=count)
        .map(|ordinal| {
            let name = format!("${ordinal}");
            match typed.get(&name) {
                // The extension type (UUID, JSON) tells drivers what they may bind.
                Some(field) => Field::new(name, bindable(field.data_type()), true)
                    .with_metadata(field.metadata().clone()),
                None => Field::new(name, DataType::Utf8, true),
            }
        })
        .collect();
    Ok((plan, Arc::new(Schema::new(fields))))
}

/// What clients can bind: JDBC knows neither views nor NULL as a type.
fn bindable(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8View | DataType::Null => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::Dictionary(_, value) => bindable(value),
        other => other.clone(),
    }
}

/// What the plan tells of its parameters: each as the column that it is compared with or stored
/// into. One compared with a UUID is text, see the planner, and so has no extension type: that
/// of UUIDs is for 16 bytes, and drivers refuse it on anything else.
fn known_fields(plan: &LogicalPlan) -> Result<HashMap<String, FieldRef>, DataFusionError> {
    let mut known: HashMap<String, FieldRef> = HashMap::new();
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                if let Expr::Placeholder(Placeholder { id, field: Some(field) }) = expr {
                    let field = match known.get(id) {
                        Some(other) => in_both_places(id, other, field)?,
                        None => Arc::clone(field),
                    };
                    known.insert(id.clone(), field);
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(known)
}

/// The field of a parameter that stands in two places. It has an extension type only if it has
/// it in both.
fn in_both_places(id: &str, one: &FieldRef, two: &FieldRef) -> Result<FieldRef, DataFusionError> {
    if one.data_type() != two.data_type() {
        return Err(DataFusionError::Plan(format!(
            "parameter {id} is {} in one place and {} in another, use a parameter for each",
            one.data_type(),
            two.data_type()
        )));
    }
    if one.metadata() == two.metadata() {
        return Ok(Arc::clone(one));
    }
    Ok(Arc::new(one.as_ref().clone().with_metadata(HashMap::new())))
}

fn type_placeholders(
    plan: LogicalPlan,
    known: &HashMap<String, FieldRef>,
) -> Result<LogicalPlan, DataFusionError> {
    let typed = plan.transform_up_with_subqueries(|node| {
        let fallback = match &node {
            LogicalPlan::Limit(_) => DataType::Int64,
            _ => DataType::Utf8,
        };
        let node = node.map_expressions(|expr| {
            expr.transform_up(|expr| match expr {
                Expr::Placeholder(Placeholder { id, field: None }) => {
                    let field = match known.get(&id) {
                        Some(field) => field.as_ref().clone().with_name(&id).with_nullable(true),
                        None => Field::new(&id, fallback.clone(), true),
                    };
                    let typed = Placeholder::new_with_field(id, Some(Arc::new(field)));
                    Ok(Transformed::yes(Expr::Placeholder(typed)))
                }
                other => Ok(Transformed::no(other)),
            })
        })?;
        node.map_data(LogicalPlan::recompute_schema)
    })?;
    Ok(typed.data)
}

/// The bound batch as the plan expects it: right number, right order (by name where every column
/// is named after its parameter), right types.
pub(crate) fn conform(
    bound: &RecordBatch,
    parameters: &SchemaRef,
) -> Result<RecordBatch, EngineError> {
    let wanted = parameters.fields().len();
    if bound.num_columns() != wanted {
        return Err(EngineError::invalid(format!(
            "the statement has {wanted} parameters, but {} were bound",
            bound.num_columns()
        )));
    }
    if wanted == 0 {
        return Ok(bound.clone());
    }
    let columns = parameters
        .fields()
        .iter()
        .enumerate()
        .map(|(position, field)| {
            let column = bound.column_by_name(field.name()).unwrap_or(bound.column(position));
            cast(column, field)
        })
        .collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new(Arc::clone(parameters), columns)
        .map_err(|error| EngineError::internal("build the bound parameters", error))
}

fn cast(column: &ArrayRef, field: &Field) -> Result<ArrayRef, EngineError> {
    if column.data_type() == field.data_type() {
        return Ok(Arc::clone(column));
    }
    let cast = match (column.data_type(), field.data_type()) {
        (DataType::Utf8, DataType::FixedSizeBinary(UUID_BYTES)) => uuids_of_text(column),
        (DataType::FixedSizeBinary(UUID_BYTES), DataType::Utf8) => Ok(text_of_uuids(column)),
        (DataType::Float64, DataType::Float32) => reals_of_doubles(column),
        (_, wanted) => {
            let options = CastOptions { safe: false, ..CastOptions::default() };
            cast_with_options(column, wanted, &options)
        }
    };
    cast.map_err(|error| {
        EngineError::invalid(format!(
            "parameter {} is {} and cannot be bound as {}: {error}",
            field.name(),
            column.data_type(),
            field.data_type()
        ))
    })
}

/// Drivers without a UUID type bind its text.
fn uuids_of_text(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let text: &StringArray = column.as_string();
    let bytes = text
        .iter()
        .map(|value| value.map(Uuid::parse_str).transpose())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| ArrowError::CastError(error.to_string()))?;
    let bytes = bytes.iter().map(|uuid| uuid.as_ref().map(Uuid::as_bytes));
    Ok(Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(bytes, UUID_BYTES)?))
}

fn text_of_uuids(column: &ArrayRef) -> ArrayRef {
    let bytes: &FixedSizeBinaryArray = column.as_fixed_size_binary();
    let text = bytes.iter().map(|value| {
        value.and_then(|bytes| Uuid::from_slice(bytes).ok()).map(|uuid| uuid.to_string())
    });
    Arc::new(StringArray::from_iter(text))
}

/// A number that no REAL holds is refused; infinity is a value like any other.
fn reals_of_doubles(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let doubles = column.as_primitive::<Float64Type>();
    let reals: Float32Array = doubles.try_unary(|double| {
        let real = double as f32;
        if double.is_finite() && real.is_infinite() {
            return Err(ArrowError::CastError(format!("{double} is out of range")));
        }
        Ok(real)
    })?;
    Ok(Arc::new(reals))
}

/// One row of a bound batch, as DataFusion takes it.
pub(crate) fn row(bound: &RecordBatch, row: usize) -> Result<ParamValues, EngineError> {
    let values = bound
        .columns()
        .iter()
        .map(|column| ScalarValue::try_from_array(column, row).map(Into::into))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(ParamValues::List(values))
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, Float64Array, Int64Array};
    use arrow::datatypes::Float32Type;

    use super::*;

    fn parameters() -> SchemaRef {
        Arc::new(Schema::new(vec![
            Field::new("$1", DataType::Int32, true),
            Field::new("$2", DataType::Utf8, true),
        ]))
    }

    #[test]
    fn bound_values_are_cast_to_the_declared_types() {
        let bound = RecordBatch::try_from_iter([
            ("0", Arc::new(Int64Array::from(vec![7])) as ArrayRef),
            ("1", Arc::new(Int64Array::from(vec![8])) as ArrayRef),
        ])
        .unwrap();
        let conformed = conform(&bound, &parameters()).unwrap();
        assert_eq!(conformed.column(0).data_type(), &DataType::Int32);
        assert_eq!(conformed.column(1).data_type(), &DataType::Utf8);
    }

    #[test]
    fn a_value_that_does_not_fit_names_its_parameter() {
        let bound = RecordBatch::try_from_iter([
            ("0", Arc::new(Int64Array::from(vec![i64::MAX])) as ArrayRef),
            ("1", Arc::new(StringArray::from(vec!["x"])) as ArrayRef),
        ])
        .unwrap();
        let error = conform(&bound, &parameters()).unwrap_err().to_string();
        assert!(error.contains("parameter $1"), "{error}");
    }

    #[test]
    fn a_double_becomes_a_real_or_is_refused() {
        let parameters = Arc::new(Schema::new(vec![Field::new("$1", DataType::Float32, true)]));
        let bound = |value: f64| {
            let values: ArrayRef = Arc::new(Float64Array::from(vec![Some(value), None]));
            conform(&RecordBatch::try_from_iter([("0", values)]).unwrap(), &parameters)
        };
        for value in [0.1, f64::INFINITY, f64::NEG_INFINITY] {
            let real = bound(value).unwrap();
            let real = real.column(0).as_primitive::<Float32Type>();
            assert_eq!((real.value(0), real.is_null(1)), (value as f32, true));
        }
        let error = bound(-1e39).unwrap_err().to_string();
        assert!(error.contains("parameter $1"), "{error}");
    }

    #[test]
    fn a_wrong_number_of_values_is_refused() {
        let bound =
            RecordBatch::try_from_iter([("0", Arc::new(Int64Array::from(vec![1])) as ArrayRef)])
                .unwrap();
        let error = conform(&bound, &parameters()).unwrap_err().to_string();
        assert!(error.contains("2 parameters, but 1"), "{error}");
    }
}
