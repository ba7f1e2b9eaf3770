//! Types of parameters that the query engine does not tell: by the function, the operator or the
//! place they stand in.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, IntervalUnit};
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{
    Case, Placeholder, ScalarFunction, WindowFunction, WindowFunctionDefinition,
};
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprSchemable, Filter, LogicalPlan, LogicalPlanBuilder, Operator, Projection,
    Union, Values,
};

/// What a parameter of a function may be, in the order it is tried.
const CANDIDATES: [DataType; 4] =
    [DataType::Utf8, DataType::Int64, DataType::Float64, DataType::Boolean];
/// Parameters without a type in one call whose types are tried out.
const TRIED_PARAMETERS_MAX: usize = 4;
/// Functions whose arguments all have one type.
const ALIKE: [&str; 6] = ["coalesce", "nvl", "ifnull", "nullif", "greatest", "least"];
/// Functions of vectors.
const OF_VECTORS: [&str; 6] = [
    "cosine_distance",
    "cosine_similarity",
    "l2_distance",
    "l1_distance",
    "inner_product",
    "negative_inner_product",
];
/// The function of paths into JSON, which are lists of steps.
const OF_PATHS: &str = "json_path_steps";
/// Functions whose further arguments are places in an array.
const BY_POSITION: [&str; 2] = ["array_element", "array_slice"];
/// Window functions by their first argument that is a number of rows.
const BY_ROWS: [(&str, usize); 4] = [("lag", 1), ("lead", 1), ("nth_value", 1), ("ntile", 0)];

/// Whether there is a parameter whose type is not told, or may be told better.
pub(crate) fn may_infer(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            found = found
                || expr.exists(|expr| {
                    Ok(match expr {
                        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                            matches!(op, Operator::Plus | Operator::Minus)
                                && [left, right]
                                    .into_iter()
                                    .any(|side| matches!(side.as_ref(), Expr::Placeholder(_)))
                        }
                        expr => is_untyped(expr),
                    })
                })?;
            Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        })?;
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

/// The plan with more of its parameters typed.
pub(crate) fn infer(plan: LogicalPlan) -> Result<LogicalPlan> {
    // What a change does with a value tells more of its type than that nothing else does.
    let untold = (!matches!(plan, LogicalPlan::Dml(_))).then_some(DataType::Utf8);
    let typed = plan.transform_up_with_subqueries(|node| {
        let node = match node {
            LogicalPlan::Filter(Filter { predicate, input, .. }) => {
                let predicate = typed(predicate, &DataType::Boolean);
                LogicalPlan::Filter(Filter::try_new(predicate, input)?)
            }
            LogicalPlan::Values(values) if has_untyped(&values) => rows(values, untold.as_ref())?,
            LogicalPlan::Union(union) => branches(union)?,
            other => other,
        };
        let schema = merge_schema(&node.inputs());
        let node = node.map_expressions(|expr| {
            expr.transform_up(|expr| Ok(Transformed::yes(infer_expr(expr, &schema))))
        })?;
        node.map_data(LogicalPlan::recompute_schema)
    })?;
    Ok(typed.data)
}

/// The branches of a set operation with parameters that are a column of one typed as in the others.
fn branches(union: Union) -> Result<LogicalPlan> {
    let columns = union.schema.fields().len();
    let types: Vec<Option<DataType>> = (0..columns)
        .map(|column| {
            let mut types =
                union.inputs.iter().map(|input| input.schema().field(column).data_type());
            types.find(|of| **of != DataType::Null).cloned()
        })
        .collect();
    let branch = |input: Arc<LogicalPlan>| -> Result<Arc<LogicalPlan>> {
        let LogicalPlan::Projection(projection) = input.as_ref() else { return Ok(input) };
        if !projection.expr.iter().any(|expr| is_untyped(unaliased(expr))) {
            return Ok(input);
        }
        let items = projection.expr.iter().zip(&types).map(|(item, of)| match (item, of) {
            (Expr::Alias(alias), Some(of)) => {
                let typed = typed((*alias.expr).clone(), of);
                typed.alias_qualified(alias.relation.clone(), alias.name.clone())
            }
            (item, Some(of)) => typed(item.clone(), of),
            (item, None) => item.clone(),
        });
        let typed = Projection::try_new(items.collect(), Arc::clone(&projection.input))?;
        Ok(Arc::new(LogicalPlan::Projection(typed)))
    };
    let inputs = union.inputs.into_iter().map(branch).collect::<Result<Vec<_>>>()?;
    Ok(LogicalPlan::Union(Union::try_new_with_loose_types(inputs)?))
}

fn unaliased(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => &alias.expr,
        other => other,
    }
}

fn is_untyped(expr: &Expr) -> bool {
    matches!(expr, Expr::Placeholder(Placeholder { field: None, .. }))
}

/// The expression with that type if it is a parameter without one.
fn typed(expr: Expr, data_type: &DataType) -> Expr {
    match expr {
        Expr::Placeholder(Placeholder { id, field: None }) => of_type(id, data_type.clone()),
        other => other,
    }
}

fn of_type(id: String, data_type: DataType) -> Expr {
    let field = Field::new(&id, data_type, true);
    Expr::Placeholder(Placeholder::new_with_field(id, Some(Arc::new(field))))
}

fn infer_expr(expr: Expr, schema: &DFSchema) -> Expr {
    match expr {
        Expr::Not(inner) => Expr::Not(Box::new(typed(*inner, &DataType::Boolean))),
        Expr::Negative(inner) => Expr::Negative(Box::new(typed(*inner, &DataType::Int64))),
        Expr::BinaryExpr(binary) => of_operator(binary, schema),
        Expr::Case(case) => of_case(case, schema),
        Expr::ScalarFunction(call) if call.args.iter().any(is_untyped) => {
            Expr::ScalarFunction(of_function(call, schema))
        }
        Expr::WindowFunction(call) if call.params.args.iter().any(is_untyped) => {
            Expr::WindowFunction(Box::new(of_window(*call, schema)))
        }
        other => other,
    }
}

fn is_placeholder(expr: &Expr) -> bool {
    matches!(expr, Expr::Placeholder(_))
}

fn is_date(expr: &Expr, schema: &DFSchema) -> bool {
    matches!(expr.get_type(schema), Ok(DataType::Date32))
}

/// The expression with that type if it is a parameter, whatever type the engine gave it.
fn retyped(expr: Expr, data_type: &DataType) -> Expr {
    match expr {
        Expr::Placeholder(Placeholder { id, .. }) => of_type(id, data_type.clone()),
        other => other,
    }
}

/// `? + INTERVAL '1 day'`, compared with a date or a moment: the parameter is one.
fn of_moment(expr: Expr, other: Option<DataType>, schema: &DFSchema) -> Expr {
    let Some(other @ (DataType::Date32 | DataType::Timestamp(..))) = other else { return expr };
    match expr {
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: op @ (Operator::Plus | Operator::Minus),
            right,
        }) if is_placeholder(&left)
            && matches!(right.get_type(schema), Ok(DataType::Interval(_))) =>
        {
            let left = Box::new(retyped(*left, &other));
            Expr::BinaryExpr(BinaryExpr { left, op, right })
        }
        other => other,
    }
}

fn of_operator(binary: BinaryExpr, schema: &DFSchema) -> Expr {
    let BinaryExpr { left, op, right } = binary;
    let (left, right) = match op {
        Operator::And | Operator::Or => {
            (typed(*left, &DataType::Boolean), typed(*right, &DataType::Boolean))
        }
        // What is added to a moment or taken from it is mostly an interval.
        Operator::Plus | Operator::Minus
            if matches!(
                left.get_type(schema),
                Ok(DataType::Timestamp(..) | DataType::Time64(_))
            ) && !matches!(*left, Expr::Placeholder(_)) =>
        {
            let right = match *right {
                Expr::Placeholder(Placeholder { id, .. }) => {
                    of_type(id, DataType::Interval(IntervalUnit::MonthDayNano))
                }
                other => other,
            };
            (*left, right)
        }
        // What is added to a date are mostly days.
        Operator::Plus if is_date(&left, schema) && !is_placeholder(&left) => {
            (*left, retyped(*right, &DataType::Int64))
        }
        Operator::Plus if is_date(&right, schema) && !is_placeholder(&right) => {
            (retyped(*left, &DataType::Int64), *right)
        }
        op if op.supports_propagation() => {
            let (of_left, of_right) = (left.get_type(schema).ok(), right.get_type(schema).ok());
            (of_moment(*left, of_right, schema), of_moment(*right, of_left, schema))
        }
        _ => (*left, *right),
    };
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
}

/// Conditions are truth values, or of the type they are compared with; results are alike.
fn of_case(case: Case, schema: &DFSchema) -> Expr {
    let Case { expr, when_then_expr, else_expr } = case;
    let condition = match &expr {
        Some(base) => base.get_type(schema).ok(),
        None => Some(DataType::Boolean),
    };
    let results = when_then_expr.iter().map(|(_, then)| then).chain(else_expr.iter());
    let result = type_of_others(results.map(AsRef::as_ref), schema);
    let with = |expr: Box<Expr>, of: &Option<DataType>| match of {
        Some(of) => Box::new(typed(*expr, of)),
        None => expr,
    };
    let when_then_expr = when_then_expr
        .into_iter()
        .map(|(when, then)| (with(when, &condition), with(then, &result)))
        .collect();
    let else_expr = else_expr.map(|expr| with(expr, &result));
    Expr::Case(Case { expr, when_then_expr, else_expr })
}

/// The type of the first expression that has one.
fn type_of_others<'a>(
    exprs: impl Iterator<Item = &'a Expr>,
    schema: &DFSchema,
) -> Option<DataType> {
    exprs
        .filter(|expr| !is_untyped(expr))
        .filter_map(|expr| expr.get_type(schema).ok())
        .find(|of| !of.is_null())
}

fn of_function(call: ScalarFunction, schema: &DFSchema) -> ScalarFunction {
    let ScalarFunction { func, args } = call;
    let name = func.name().to_owned();
    let others = type_of_others(args.iter(), schema);
    if ALIKE.contains(&name.as_str())
        && let Some(of) = &others
    {
        let args = args.into_iter().map(|arg| typed(arg, of)).collect();
        return ScalarFunction { func, args };
    }
    if OF_VECTORS.contains(&name.as_str()) {
        let of = match others {
            Some(DataType::FixedSizeList(item, size)) => {
                DataType::FixedSizeList(Arc::new(item.as_ref().clone().with_nullable(true)), size)
            }
            _ => DataType::List(Arc::new(Field::new_list_field(DataType::Float64, true))),
        };
        let args = args.into_iter().map(|arg| typed(arg, &of)).collect();
        return ScalarFunction { func, args };
    }
    if name == "array_has"
        && let Some(of) = &others
        && !of.is_list()
    {
        let list = DataType::List(Arc::new(Field::new_list_field(of.clone(), true)));
        let args = args.into_iter().map(|arg| typed(arg, &list)).collect();
        return ScalarFunction { func, args };
    }
    if name == OF_PATHS {
        let path = DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)));
        let args = args.into_iter().map(|arg| typed(arg, &path)).collect();
        return ScalarFunction { func, args };
    }
    if BY_POSITION.contains(&name.as_str()) {
        let args = args.into_iter().map(|arg| typed(arg, &DataType::Int64)).collect();
        return ScalarFunction { func, args };
    }
    let tried = tried_out(&func, &args, schema).unwrap_or_default();
    let mut tried = tried.into_iter();
    let args = args.into_iter().map(|arg| match is_untyped(&arg) {
        true => typed(arg, &tried.next().unwrap_or(DataType::Utf8)),
        false => arg,
    });
    ScalarFunction { args: args.collect(), func }
}

/// The first types for the parameters that the function takes.
fn tried_out(
    func: &Arc<datafusion::logical_expr::ScalarUDF>,
    args: &[Expr],
    schema: &DFSchema,
) -> Option<Vec<DataType>> {
    let parameters = args.iter().filter(|arg| is_untyped(arg)).count();
    if parameters > TRIED_PARAMETERS_MAX {
        return None;
    }
    let known: Vec<Option<DataType>> = args
        .iter()
        .map(|arg| if is_untyped(arg) { Some(None) } else { arg.get_type(schema).ok().map(Some) })
        .collect::<Option<_>>()?;
    let combinations = CANDIDATES.len().pow(u32::try_from(parameters).ok()?);
    (0..combinations).find_map(|mut combination| {
        let mut chosen = Vec::with_capacity(parameters);
        let fields: Vec<FieldRef> = known
            .iter()
            .map(|known| {
                let of = known.clone().unwrap_or_else(|| {
                    let candidate = CANDIDATES[combination % CANDIDATES.len()].clone();
                    combination /= CANDIDATES.len();
                    chosen.push(candidate.clone());
                    candidate
                });
                Arc::new(Field::new("", of, true))
            })
            .collect();
        fields_with_udf(&fields, func.as_ref()).is_ok().then_some(chosen)
    })
}

fn of_window(mut call: WindowFunction, schema: &DFSchema) -> WindowFunction {
    let WindowFunctionDefinition::WindowUDF(function) = &call.fun else { return call };
    let Some((_, rows)) = BY_ROWS.iter().find(|(name, _)| *name == function.name()) else {
        return call;
    };
    let first = call.params.args.first().and_then(|arg| arg.get_type(schema).ok());
    let args = std::mem::take(&mut call.params.args).into_iter().enumerate();
    call.params.args = args
        .map(|(position, arg)| match &first {
            _ if position == *rows => typed(arg, &DataType::Int64),
            // What stands in for a row that is not there.
            Some(of) if position > *rows => typed(arg, of),
            _ => arg,
        })
        .collect();
    call
}

fn has_untyped(values: &Values) -> bool {
    values.values.iter().flatten().any(is_untyped)
}

fn as_told((value, of): (Expr, &Option<DataType>)) -> Expr {
    match of {
        Some(of) => typed(value, of),
        None => value,
    }
}

/// VALUES in which each parameter has the type of its column, `untold` if nothing tells.
fn rows(values: Values, untold: Option<&DataType>) -> Result<LogicalPlan> {
    let schema = DFSchema::empty();
    let columns = values.values.first().map_or(0, Vec::len);
    let types: Vec<Option<DataType>> = (0..columns)
        .map(|column| {
            let of_column = values.values.iter().filter_map(|row| row.get(column));
            type_of_others(of_column, &schema).or_else(|| untold.cloned())
        })
        .collect();
    let rows =
        values.values.into_iter().map(|row| row.into_iter().zip(&types).map(as_told).collect());
    LogicalPlanBuilder::values(rows.collect())?.build()
}
