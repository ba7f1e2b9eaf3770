//! Casts that make a difference: `SELECT max(a), max(CAST(a AS TEXT))`, `GROUP BY a, a::DATE`.
//!
//! The query engine names a computed column without the casts in it, and then finds two columns of
//! one name. Where that happens the query is planned once more with casts that are named.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{DataFusionError, ScalarValue, SchemaError};
use datafusion::error::Result;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::sql::sqlparser::ast::{
    self, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, GroupByExpr,
    Ident, ObjectName, Query, Select, SelectItem, Value, Visit, Visitor, visit_expressions_mut,
};

/// The function's name; in SQL it would have to be quoted.
const NAMED_CAST: &str = "named cast";

/// What the query engine says of columns of one name in a projection; it has no type for it.
const REPEATED: &str = "Projections require unique expression names";

/// Whether two columns got the same name.
pub(super) fn is_repetition(error: &DataFusionError) -> bool {
    match error.find_root() {
        DataFusionError::SchemaError(error, _) => matches!(
            error.as_ref(),
            SchemaError::DuplicateUnqualifiedField { .. }
                | SchemaError::DuplicateQualifiedField { .. }
                | SchemaError::AmbiguousReference { .. }
        ),
        DataFusionError::Plan(message) => message.starts_with(REPEATED),
        _ => false,
    }
}

/// Whether a query groups by what differs by casts alone. That comes out while the plan is
/// optimized only.
pub(super) fn groups_alike(query: &Query) -> bool {
    struct Groups;
    impl Visitor for Groups {
        type Break = ();

        fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
            let GroupByExpr::Expressions(groups, _) = &select.group_by else {
                return ControlFlow::Continue(());
            };
            let mut seen: Vec<(&ast::Expr, bool)> = Vec::with_capacity(groups.len());
            for group in groups {
                let group = item_meant(select, group);
                let (inner, cast) = without_casts(group);
                if seen.iter().any(|(other, other_cast)| *other == inner && (cast || *other_cast)) {
                    return ControlFlow::Break(());
                }
                seen.push((inner, cast));
            }
            ControlFlow::Continue(())
        }
    }
    query.visit(&mut Groups).is_break()
}

/// The item of the select list that a number in GROUP BY stands for.
fn item_meant<'a>(select: &'a Select, group: &'a ast::Expr) -> &'a ast::Expr {
    let ast::Expr::Value(value) = group else { return group };
    let Value::Number(number, _) = &value.value else { return group };
    let place = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
    match place.and_then(|place| select.projection.get(place)) {
        Some(SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) => expr,
        _ => group,
    }
}

fn without_casts(mut expr: &ast::Expr) -> (&ast::Expr, bool) {
    let mut cast = false;
    loop {
        expr = match expr {
            ast::Expr::Nested(inner) => inner,
            ast::Expr::Cast { expr: inner, .. } => {
                cast = true;
                inner
            }
            other => return (other, cast),
        };
    }
}

/// Names every cast in a query; false when there is none.
pub(super) fn name_casts(query: &mut Query) -> bool {
    let mut found = false;
    let _ = visit_expressions_mut(query, |expr| {
        if let ast::Expr::Cast { data_type, .. } = expr {
            found = true;
            let target = data_type.to_string();
            let cast = std::mem::replace(expr, ast::Expr::value(Value::Null));
            *expr = call(cast, target);
        }
        ControlFlow::<()>::Continue(())
    });
    found
}

fn call(cast: ast::Expr, target: String) -> ast::Expr {
    let target = ast::Expr::value(Value::SingleQuotedString(target));
    let args = [cast, target].map(|item| FunctionArg::Unnamed(FunctionArgExpr::Expr(item)));
    ast::Expr::Function(ast::Function {
        name: ObjectName::from(vec![Ident::with_quote('"', NAMED_CAST)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: args.into(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// The function: its first argument, named after the type in the second.
pub(crate) fn named_cast() -> ScalarUDF {
    ScalarUDF::new_from_impl(NamedCast { signature: Signature::any(2, Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct NamedCast {
    signature: Signature,
}

fn misused<T>() -> Result<T> {
    Err(DataFusionError::Internal(String::from("a named cast takes a value and a type's name")))
}

impl ScalarUDFImpl for NamedCast {
    fn name(&self) -> &str {
        NAMED_CAST
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        match args {
            [value, Expr::Literal(ScalarValue::Utf8(Some(target)), _)] => {
                Ok(format!("CAST({} AS {target})", value.schema_name()))
            }
            _ => misused(),
        }
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        arg_types.first().cloned().map_or_else(misused, Ok)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        args.arg_fields.first().map(Arc::clone).map_or_else(misused, Ok)
    }

    fn simplify(&self, args: Vec<Expr>, _context: &SimplifyContext) -> Result<ExprSimplifyResult> {
        args.into_iter().next().map(ExprSimplifyResult::Simplified).map_or_else(misused, Ok)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        args.args.into_iter().next().map_or_else(misused, Ok)
    }
}
