//! `coalesce(v, '6f0a2f4c-…')`, `v = ANY(ARRAY['6f0a2f4c-…'])`: text among UUIDs that spells one.
//!
//! The query engine refuses a function of a UUID and text. A query that was refused is planned once
//! more with such texts in it as UUIDs.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Query,
    Value, visit_expressions_mut,
};
use uuid::Uuid;

/// Functions whose arguments all have one type.
const ALIKE: [&str; 6] = ["coalesce", "nvl", "ifnull", "nullif", "greatest", "least"];
/// Characters of a UUID as it is written.
const UUID_CHARS: usize = 36;

/// The query with the texts that may be UUIDs cast to them; `None` without any.
pub(super) fn cast(query: &Query) -> Option<Query> {
    let mut cast = query.clone();
    let mut found = false;
    let _ = visit_expressions_mut(&mut cast, |expr| {
        match expr {
            Expr::Function(function) if is_alike(function) => {
                if let FunctionArguments::List(list) = &mut function.args {
                    for arg in &mut list.args {
                        if let FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)) = arg {
                            found |= as_uuid(arg);
                        }
                    }
                }
            }
            Expr::Array(array) => {
                for item in &mut array.elem {
                    found |= as_uuid(item);
                }
            }
            _ => {}
        }
        ControlFlow::<()>::Continue(())
    });
    found.then_some(cast)
}

fn is_alike(function: &Function) -> bool {
    let name = function.name.to_string();
    ALIKE.iter().any(|alike| name.eq_ignore_ascii_case(alike))
}

/// Casts a text that spells a UUID.
fn as_uuid(expr: &mut Expr) -> bool {
    let Expr::Value(value) = expr else { return false };
    let Value::SingleQuotedString(text) = &value.value else { return false };
    if text.len() != UUID_CHARS || Uuid::try_parse(text).is_err() {
        return false;
    }
    let text = std::mem::replace(expr, Expr::value(Value::Null));
    *expr = Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(text),
        data_type: DataType::Uuid,
        array: false,
        format: None,
    };
    true
}
