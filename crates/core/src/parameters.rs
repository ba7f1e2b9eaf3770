//! Statement parameters: which there are, of what type, and where their values go.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::{Between, InList, Placeholder};
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan};
use kalamdb_tables::{StoredParameter, spells_uuid};

use crate::{EngineError, parameter_types};

/// Where the value of a parameter goes.
#[derive(Debug, Default)]
pub(crate) struct Destination {
    /// The column it is stored in as it is.
    pub(crate) stored: Option<StoredParameter>,
    /// The name of the column it is compared with.
    pub(crate) compared_with: Option<String>,
    /// Whether it is the text of a UUID, in whose place its bytes may be bound.
    pub(crate) uuid: bool,
}

/// The parameters of a statement, and where each of them goes.
type Parameters = (SchemaRef, Vec<Destination>);

/// The plan with a type on every placeholder, and the schema of the parameters: one nullable
/// field per ordinal, named `$1`, `$2`, ….
///
/// A placeholder whose type the plan does not tell is an Int64 in LIMIT and OFFSET, else Utf8. Those
/// `in_frames`, by their ordinals, are not in the plan; unless they stand elsewhere too, they are
/// Int64.
pub(crate) fn resolve(
    plan: LogicalPlan,
    count: usize,
    in_frames: &[usize],
) -> Result<(LogicalPlan, Parameters), EngineError> {
    if count == 0 {
        return Ok((plan, (Arc::new(Schema::empty()), Vec::new())));
    }
    let known = known_fields(&plan)?;
    let (plan, known) = if parameter_types::may_infer(&plan)? {
        let plan = parameter_types::infer(with_known(plan, &known)?)?;
        let known = known_fields(&plan)?;
        (plan, known)
    } else {
        (plan, known)
    };
    let plan = type_placeholders(plan, &known)?;
    let typed = known_fields(&plan)?;
    let mut columns = compared_columns(&plan)?;
    let mut fields = Vec::with_capacity(count);
    let mut destinations = Vec::with_capacity(count);
    for ordinal in 1..=count {
        let name = format!("${ordinal}");
        let compared_with = columns.remove(&name);
        let uuid = typed.get(&name).is_some_and(|field| spells_uuid(field));
        let (stored, field) = match typed.get(&name) {
            Some(field) => {
                let (stored, field) = StoredParameter::split(field);
                // The extension type (UUID, JSON) tells drivers what they may bind.
                let plain = Field::new(name, bindable(field.data_type()), true)
                    .with_metadata(field.metadata().clone());
                (stored, plain)
            }
            None if in_frames.contains(&ordinal) => (None, Field::new(name, DataType::Int64, true)),
            None => (None, Field::new(name, DataType::Utf8, true)),
        };
        fields.push(field);
        destinations.push(Destination { stored, compared_with, uuid });
    }
    Ok((plan, (Arc::new(Schema::new(fields)), destinations)))
}

/// The columns that parameters are compared with.
fn compared_columns(plan: &LogicalPlan) -> Result<HashMap<String, String>, DataFusionError> {
    let mut columns = HashMap::new();
    let mut note = |column: &Expr, with: &Expr| {
        if let (Expr::Column(column), Expr::Placeholder(placeholder)) = (column, with) {
            columns.insert(placeholder.id.clone(), column.name.clone());
        }
    };
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                match expr {
                    Expr::BinaryExpr(BinaryExpr { left, right, .. }) => {
                        note(left, right);
                        note(right, left);
                    }
                    Expr::InList(InList { expr, list, .. }) => {
                        list.iter().for_each(|item| note(expr, item));
                    }
                    Expr::Between(Between { expr, low, high, .. }) => {
                        note(expr, low);
                        note(expr, high);
                    }
                    _ => {}
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(columns)
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

/// The field of a parameter that stands in two places. It has an extension type, and a column that
/// it is stored in, only if it has it in both.
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
    let mut metadata = one.metadata().clone();
    metadata.retain(|key, value| two.metadata().get(key) == Some(value));
    Ok(Arc::new(one.as_ref().clone().with_metadata(metadata)))
}

/// The plan with the types that are told in one place in all other places.
fn with_known(
    plan: LogicalPlan,
    known: &HashMap<String, FieldRef>,
) -> Result<LogicalPlan, DataFusionError> {
    let typed = plan.transform_up_with_subqueries(|node| {
        node.map_expressions(|expr| {
            expr.transform_up(|expr| match expr {
                Expr::Placeholder(Placeholder { id, field: None }) if known.contains_key(&id) => {
                    let field = known.get(&id).map(|field| {
                        Arc::new(field.as_ref().clone().with_name(&id).with_nullable(true))
                    });
                    let typed = Placeholder::new_with_field(id, field);
                    Ok(Transformed::yes(Expr::Placeholder(typed)))
                }
                other => Ok(Transformed::no(other)),
            })
        })
    })?;
    Ok(typed.data)
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
