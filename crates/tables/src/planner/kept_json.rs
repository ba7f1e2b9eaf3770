//! What chooses among JSON values answers with JSON: `max(j)`, `coalesce(j, '{}')`, CASE.
//!
//! To the query engine JSON is text, and these forget that it was more. The result of a function
//! then goes through one that says so; an aggregate says it in its alias, since nothing else may
//! stand around it.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use datafusion::common::metadata::FieldMetadata;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::logical_expr::expr::{AggregateFunction, Case, ScalarFunction};
use datafusion::logical_expr::{Expr, ExprSchemable, ScalarUDF, WindowFunctionDefinition};
use kalamdb_commons::ColumnType;

use super::uuid_text::{is_json, json_of_literal};
use crate::functions;

static KEPT: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Arc::new(functions::json_kept()));

/// Functions that answer with one of their arguments.
const CHOOSE: [&str; 6] = ["coalesce", "nvl", "ifnull", "nullif", "greatest", "least"];
/// Aggregates that answer with one of the values.
const AGGREGATES: [&str; 2] = ["min", "max"];
/// Functions that tell JSON from text.
const TELL: [&str; 4] = ["to_json", "json_build_object", "json_build_array", "typeof"];

/// The expression as one of JSON if its values are.
pub(super) fn keep(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    match expr {
        Expr::ScalarFunction(call) if CHOOSE.contains(&call.func.name()) => {
            let ScalarFunction { func, args } = call;
            match chosen(args, schema) {
                Ok(args) => Transformed::yes(kept(called(func, args))),
                Err(args) => Transformed::no(called(func, args)),
            }
        }
        Expr::ScalarFunction(ScalarFunction { func, args }) if TELL.contains(&func.name()) => {
            let mut changed = false;
            let args = args.into_iter().map(|arg| {
                let told = of_json(&arg, schema) && !is_kept(&arg);
                changed |= told;
                if told { kept(arg) } else { arg }
            });
            let args = args.collect();
            Transformed::new_transformed(called(func, args), changed)
        }
        Expr::Case(case) => of_case(case, schema),
        Expr::AggregateFunction(AggregateFunction { ref func, ref params })
            if AGGREGATES.contains(&func.name())
                && params.args.first().is_some_and(|arg| of_json(arg, schema)) =>
        {
            Transformed::yes(named(expr))
        }
        Expr::WindowFunction(ref window)
            if matches!(&window.fun, WindowFunctionDefinition::AggregateUDF(function)
                if AGGREGATES.contains(&function.name()))
                && window.params.args.first().is_some_and(|arg| of_json(arg, schema)) =>
        {
            Transformed::yes(named(expr))
        }
        other => Transformed::no(other),
    }
}

fn called(func: Arc<ScalarUDF>, args: Vec<Expr>) -> Expr {
    Expr::ScalarFunction(ScalarFunction { func, args })
}

fn kept(expr: Expr) -> Expr {
    called(Arc::clone(&KEPT), vec![expr])
}

fn is_kept(expr: &Expr) -> bool {
    matches!(expr, Expr::ScalarFunction(call) if call.func.name() == KEPT.name())
}

/// The expression under its own name, and with the type.
fn named(expr: Expr) -> Expr {
    let name = expr.schema_name().to_string();
    let field = ColumnType::Json.to_field(&name, true);
    let metadata: BTreeMap<String, String> = field.metadata().clone().into_iter().collect();
    expr.alias_with_metadata(name, Some(FieldMetadata::new(metadata)))
}

fn of_json(expr: &Expr, schema: &DFSchema) -> bool {
    expr.to_field(schema).is_ok_and(|(_, field)| is_json(&field))
}

fn is_null(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(value, _) if value.is_null())
}

/// The values if they are JSON, NULL or literals, which are read as JSON then; else as they were.
fn chosen(values: Vec<Expr>, schema: &DFSchema) -> Result<Vec<Expr>, Vec<Expr>> {
    let json = |value: &Expr| of_json(value, schema);
    let text = |value: &Expr| matches!(value, Expr::Literal(ScalarValue::Utf8(_), _));
    let fits = |value: &Expr| json(value) || text(value) || is_null(value);
    if !values.iter().any(json) || !values.iter().all(fits) {
        return Err(values);
    }
    let read = |value| if is_null(&value) { value } else { json_of_literal(value) };
    Ok(values.into_iter().map(read).collect())
}

fn of_case(case: Case, schema: &DFSchema) -> Transformed<Expr> {
    let Case { expr, when_then_expr, else_expr } = case;
    let (whens, mut thens): (Vec<_>, Vec<_>) =
        when_then_expr.into_iter().map(|(when, then)| (when, *then)).unzip();
    let with_else = else_expr.is_some();
    thens.extend(else_expr.map(|other| *other));
    let (mut thens, changed) = match chosen(thens, schema) {
        Ok(thens) => (thens, true),
        Err(thens) => (thens, false),
    };
    let else_expr = if with_else { thens.pop().map(Box::new) } else { None };
    let thens = thens.into_iter().map(Box::new);
    let when_then_expr = whens.into_iter().zip(thens).collect();
    let case = Expr::Case(Case { expr, when_then_expr, else_expr });
    Transformed::new_transformed(if changed { kept(case) } else { case }, changed)
}
