//! Functions that are other forms of what there is: `year(d)`, `mod(a, b)`, `count_if(c)`,
//! `j -> 'key'`.
//!
//! They are written out before a query is planned, so a plan shows what they stand for.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::LazyLock;

use datafusion::error::Result;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, Ident, ObjectName, ObjectNamePart, Value, VisitMut, visit_expressions_mut,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::{date_differences, row_comparisons, text_formats, text_patterns};
use crate::TablesError;
use crate::functions::{AT_TIME_ZONE, PATH_STEPS, WRONG_PATH, steps_of_path};

/// Functions of another name.
const OTHER_NAMES: [(&str, &str); 31] = [
    ("approx_count_distinct", "approx_distinct"),
    ("array_remove", "array_remove_all"),
    ("array_replace", "array_replace_all"),
    ("array_value", "make_array"),
    ("ceiling", "ceil"),
    ("char", "chr"),
    ("every", "bool_and"),
    ("first", "first_value"),
    ("gen_random_uuid", "uuid"),
    ("json_extract_path", "json_get"),
    ("json_extract_path_text", "json_get_text"),
    ("jsonb_array_length", "json_array_length"),
    ("jsonb_build_array", "json_build_array"),
    ("jsonb_build_object", "json_build_object"),
    ("jsonb_extract_path", "json_get"),
    ("jsonb_extract_path_text", "json_get_text"),
    ("jsonb_typeof", "json_typeof"),
    ("last", "last_value"),
    ("lcase", "lower"),
    ("list", "array_agg"),
    ("list_remove", "array_remove_all"),
    ("list_replace", "array_replace_all"),
    ("list_value", "make_array"),
    ("pg_typeof", "typeof"),
    ("rand", "random"),
    ("sign", "signum"),
    ("str_split", "string_to_array"),
    ("string_split", "string_to_array"),
    ("to_jsonb", "to_json"),
    ("ucase", "upper"),
    ("variance", "var_samp"),
];

/// Functions written out: name, number of arguments, what they stand for.
const WRITTEN_OUT: [(&str, usize, &str); 45] = [
    ("arg_max", 2, MAX_BY),
    ("arg_min", 2, MIN_BY),
    ("count_if", 1, "count(CASE WHEN $1 THEN 1 END)"),
    ("countif", 1, "count(CASE WHEN $1 THEN 1 END)"),
    ("date", 1, "CAST($1 AS DATE)"),
    ("date_add", 2, "$1 + $2"),
    ("date_sub", 2, "$1 - $2"),
    ("day", 1, "CAST(date_part('day', $1) AS BIGINT)"),
    ("dayname", 1, "to_char($1, '%A')"),
    ("dayofmonth", 1, "CAST(date_part('day', $1) AS BIGINT)"),
    ("dayofweek", 1, "CAST(date_part('dow', $1) AS BIGINT)"),
    ("dayofyear", 1, "CAST(date_part('doy', $1) AS BIGINT)"),
    ("div", 2, "($1 - $1 % $2) / $2"),
    ("epoch", 1, "date_part('epoch', $1)"),
    ("epoch_ms", 1, "CAST(CAST($1 AS TIMESTAMP(3)) AS BIGINT)"),
    ("epoch_ns", 1, "CAST(CAST($1 AS TIMESTAMP(9)) AS BIGINT)"),
    ("epoch_us", 1, "CAST(CAST($1 AS TIMESTAMP(6)) AS BIGINT)"),
    ("group_concat", 1, "string_agg($1, ',')"),
    ("group_concat", 2, "string_agg($1, $2)"),
    ("hour", 1, "CAST(date_part('hour', $1) AS BIGINT)"),
    ("if", 3, "CASE WHEN $1 THEN $2 ELSE $3 END"),
    ("iif", 3, "CASE WHEN $1 THEN $2 ELSE $3 END"),
    ("isodow", 1, "CAST(date_part('isodow', $1) AS BIGINT)"),
    (
        "last_day",
        1,
        "CAST(date_trunc('month', $1) + INTERVAL '1 month' - INTERVAL '1 day' AS DATE)",
    ),
    ("listagg", 2, "string_agg($1, $2)"),
    ("max_by", 2, MAX_BY),
    ("min_by", 2, MIN_BY),
    ("minute", 1, "CAST(date_part('minute', $1) AS BIGINT)"),
    ("mod", 2, "$1 % $2"),
    ("month", 1, "CAST(date_part('month', $1) AS BIGINT)"),
    ("monthname", 1, "to_char($1, '%B')"),
    ("quarter", 1, "CAST(date_part('quarter', $1) AS BIGINT)"),
    ("regexp_extract", 2, "coalesce(regexp_match($1, '(' || $2 || ')')[1], '')"),
    ("regexp_extract", 3, "coalesce(regexp_match($1, '(' || $2 || ')')[$3 + 1], '')"),
    ("second", 1, "CAST(date_part('second', $1) AS BIGINT)"),
    ("strftime", 2, "to_char($1, $2)"),
    ("strptime", 2, "CAST(to_timestamp($1, $2) AS TIMESTAMP)"),
    ("subtract", 2, "$1 - $2"),
    ("week", 1, "CAST(date_part('week', $1) AS BIGINT)"),
    ("weekday", 1, "CAST(date_part('dow', $1) AS BIGINT)"),
    ("weekofyear", 1, "CAST(date_part('week', $1) AS BIGINT)"),
    ("year", 1, "CAST(date_part('year', $1) AS BIGINT)"),
    ("add", 2, "$1 + $2"),
    ("multiply", 2, "$1 * $2"),
    ("square", 1, "$1 * $1"),
];

/// `$1 ^ $2`.
const POWER: &str = "power(CAST($1 AS DOUBLE), CAST($2 AS DOUBLE))";
const MAX_BY: &str = "first_value($1 ORDER BY $2 DESC NULLS LAST) \
                      FILTER (WHERE $1 IS NOT NULL AND $2 IS NOT NULL)";
const MIN_BY: &str = "first_value($1 ORDER BY $2 ASC NULLS LAST) \
                      FILTER (WHERE $1 IS NOT NULL AND $2 IS NOT NULL)";

/// Functions of other systems that are not there, and what to use.
const ABSENT: [(&str, &str); 23] = [
    ("age", "subtract the timestamps, or use date_diff('day', a, b)"),
    ("columns", "name the columns"),
    ("currval", "INSERT … RETURNING tells the id of a new row"),
    ("format", "join texts with || or concat(…), numbers become text by CAST"),
    ("json_each", "use unnest(json_object_keys(j)) and j -> key"),
    ("json_agg", "use to_json(array_agg(…))"),
    ("jsonb_agg", "use to_json(array_agg(…))"),
    ("mode", "GROUP BY the value, ORDER BY count(*) DESC LIMIT 1"),
    ("lastval", "INSERT … RETURNING tells the id of a new row"),
    ("list_aggregate", "use unnest(…) and an aggregate over its rows"),
    ("nextval", "use SNOWFLAKE_ID(), as a column's DEFAULT or in the statement"),
    ("percentile_disc", "use percentile_cont(…) or approx_percentile_cont(…)"),
    ("pg_sleep", "nothing waits on purpose here"),
    ("printf", "join texts with || or concat(…), numbers become text by CAST"),
    ("quote_ident", "write '\"' || replace(name, '\"', '\"\"') || '\"'"),
    ("regexp_matches", "use regexp_like(text, pattern) or regexp_match(text, pattern)"),
    ("read_csv", "SQL reaches no files, use kalamdb import"),
    ("read_json", "SQL reaches no files, use kalamdb import"),
    ("read_parquet", "SQL reaches no files, use kalamdb import"),
    ("sleep", "nothing waits on purpose here"),
    ("struct_pack", "write {'name': value}"),
    ("to_number", "use CAST(replace(text, ',', '') AS DECIMAL(18, 2))"),
    ("width_bucket", "use CAST(floor((x - low) / (high - low) * count) AS BIGINT) + 1 in a CASE"),
];

/// Parsed forms by name and number of arguments.
static FORMS: LazyLock<HashMap<(&str, usize), Expr>> = LazyLock::new(|| {
    let forms = WRITTEN_OUT.iter();
    forms.filter_map(|(name, count, text)| Some(((*name, *count), parsed(text).ok()?))).collect()
});

/// Writes out the functions and JSON operators of a query or an expression.
///
/// # Errors
/// A function that is known not to be there, and wrong arguments.
pub(super) fn write_out<N: VisitMut>(node: &mut N) -> Result<()> {
    let walked = visit_expressions_mut(node, |expr| match written(expr) {
        Ok(Some(form)) => {
            *expr = form;
            ControlFlow::Continue(())
        }
        Ok(None) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(error),
    });
    match walked {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error.into()),
    }
}

/// Names that are written out, for suggestions.
pub fn other_function_names() -> impl Iterator<Item = &'static str> {
    let written_out = WRITTEN_OUT.iter().map(|(name, ..)| *name);
    let own = [
        "date_diff",
        "datediff",
        "isinf",
        "localtime",
        "localtimestamp",
        "make_interval",
        "make_timestamp",
        "quote_literal",
        "time_bucket",
    ];
    OTHER_NAMES.iter().map(|(name, _)| *name).chain(written_out).chain(own)
}

/// What to use in the place of a function of other systems.
pub(super) fn advice(name: &str) -> Option<&'static str> {
    ABSENT.iter().find(|(absent, _)| *absent == name).map(|(_, advice)| *advice)
}

fn written(expr: &mut Expr) -> Result<Option<Expr>, TablesError> {
    if let Some(spelled) = row_comparisons::written(expr)? {
        return Ok(Some(spelled));
    }
    match expr {
        Expr::Like { .. } | Expr::ILike { .. } | Expr::SimilarTo { .. } => {
            text_patterns::written(expr)
        }
        Expr::BinaryOp {
            left,
            op: BinaryOperator::DuckIntegerDivide | BinaryOperator::MyIntegerDivide,
            right,
        } => {
            let operands = [left.as_ref().clone(), right.as_ref().clone()];
            Ok(FORMS.get(&("div", 2)).map(|form| nested(with_arguments(form.clone(), &operands))))
        }
        Expr::AtTimeZone { timestamp, time_zone } => {
            let arguments = vec![timestamp.as_ref().clone(), time_zone.as_ref().clone()];
            Ok(Some(call(AT_TIME_ZONE, arguments)))
        }
        Expr::BinaryOp { left, op: BinaryOperator::PGExp, right } => {
            let operands = [left.as_ref().clone(), right.as_ref().clone()];
            Ok(Some(formed(POWER, &operands)?))
        }
        Expr::BinaryOp { left, op, right } => {
            let name = match op {
                BinaryOperator::Arrow | BinaryOperator::HashArrow => "json_get",
                BinaryOperator::LongArrow | BinaryOperator::HashLongArrow => "json_get_text",
                _ => return Ok(None),
            };
            let path = match op {
                BinaryOperator::HashArrow | BinaryOperator::HashLongArrow => path_of(right)?,
                _ => vec![right.as_ref().clone()],
            };
            let arguments = std::iter::once(left.as_ref().clone()).chain(path).collect();
            Ok(Some(call(name, arguments)))
        }
        Expr::Interval(interval) => super::interval_texts::written(interval),
        Expr::CompoundFieldAccess { access_chain, .. } => {
            super::open_slices::write_out(access_chain);
            Ok(None)
        }
        Expr::Function(function) => of_function(function),
        _ => Ok(None),
    }
}

fn of_function(function: &mut Function) -> Result<Option<Expr>, TablesError> {
    let [ObjectNamePart::Identifier(ident)] = function.name.0.as_mut_slice() else {
        return Ok(None);
    };
    if ident.quote_style.is_some() {
        return Ok(None);
    }
    let name = ident.value.to_lowercase();
    if let Some((_, other)) = OTHER_NAMES.iter().find(|(from, _)| *from == name) {
        ident.value = (*other).to_owned();
        return Ok(None);
    }
    if matches!(name.as_str(), "date_diff" | "datediff") {
        return date_differences::written(&plain_arguments(function)).map(Some);
    }
    if name == "regexp_replace" {
        text_patterns::write_replacement(function)?;
        return Ok(None);
    }
    if name == "to_char" {
        return text_formats::written(function);
    }
    if matches!(name.as_str(), "to_date" | "to_timestamp") {
        text_formats::write_read(&name, function)?;
        return Ok(None);
    }
    if !WRITTEN_OUT.iter().any(|(from, ..)| *from == name) {
        return Ok(None);
    }
    let arguments = plain_arguments(function);
    let Some(form) = FORMS.get(&(name.as_str(), arguments.len())) else {
        let counts: Vec<_> = WRITTEN_OUT
            .iter()
            .filter(|(from, ..)| *from == name)
            .map(|(_, count, _)| count.to_string())
            .collect();
        return Err(TablesError::invalid(format!(
            "{name} takes {} arguments, not {}",
            counts.join(" or "),
            arguments.len()
        )));
    };
    filled(&name, form.clone(), function, &arguments).map(Some)
}

/// The form with arguments in it; what stands behind the brackets goes along.
fn filled(
    name: &str,
    form: Expr,
    function: &Function,
    arguments: &[Expr],
) -> Result<Expr, TablesError> {
    let mut form = with_arguments(form, arguments);
    if let Expr::Function(aggregate) = &mut form {
        aggregate.over = function.over.clone();
        aggregate.null_treatment = function.null_treatment;
        aggregate.filter = match (aggregate.filter.take(), function.filter.clone()) {
            (Some(own), Some(given)) => Some(Box::new(Expr::BinaryOp {
                left: own,
                op: BinaryOperator::And,
                right: Box::new(nested(*given)),
            })),
            (own, given) => own.or(given),
        };
        return Ok(form);
    }
    if function.over.is_some() || function.filter.is_some() {
        return Err(TablesError::invalid(format!(
            "{name} is no aggregate, it takes neither OVER nor FILTER"
        )));
    }
    Ok(form)
}

fn nested(expr: Expr) -> Expr {
    match expr {
        simple @ (Expr::Value(_)
        | Expr::Identifier(_)
        | Expr::CompoundIdentifier(_)
        | Expr::Function(_)
        | Expr::Nested(_)) => simple,
        other => Expr::Nested(Box::new(other)),
    }
}

/// The arguments that are plain expressions; a name given to one counts nothing.
pub(super) fn plain_arguments(function: &Function) -> Vec<Expr> {
    let FunctionArguments::List(list) = &function.args else { return Vec::new() };
    list.args
        .iter()
        .filter_map(|arg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))
            | FunctionArg::Named { arg: FunctionArgExpr::Expr(expr), .. } => Some(expr.clone()),
            _ => None,
        })
        .collect()
}

/// `name(arguments)`.
pub(super) fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    let args = arguments
        .into_iter()
        .map(|argument| FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)))
        .collect();
    Expr::Function(Function {
        name: ObjectName(vec![ObjectNamePart::Identifier(Ident::new(name))]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args,
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// The steps of a path: `ARRAY['a', 'b']`, `'{a,b}'`, or either as a parameter or a column.
fn path_of(expr: &Expr) -> Result<Vec<Expr>, TablesError> {
    let written = written_path(expr)?;
    Ok(written.unwrap_or_else(|| vec![call(PATH_STEPS, vec![expr.clone()])]))
}

/// The steps of a path that stands in the text.
fn written_path(expr: &Expr) -> Result<Option<Vec<Expr>>, TablesError> {
    match expr {
        Expr::Array(array) => Ok(Some(array.elem.clone())),
        Expr::Nested(inner) => written_path(inner),
        Expr::Cast { expr, kind: CastKind::DoubleColon | CastKind::Cast, .. } => written_path(expr),
        Expr::Value(value) => match &value.value {
            Value::Placeholder(_) => Ok(None),
            Value::SingleQuotedString(text) => {
                let steps = steps_of_path(text).ok_or_else(wrong_path)?.into_iter();
                let steps = steps.map(|step| Value::SingleQuotedString(step.to_owned()));
                Ok(Some(steps.map(Expr::value).collect()))
            }
            _ => Err(wrong_path()),
        },
        _ => Ok(None),
    }
}

fn wrong_path() -> TablesError {
    TablesError::invalid(WRONG_PATH)
}

/// A form of our own with arguments in the place of `$1`, `$2`, ….
pub(super) fn formed(text: &str, arguments: &[Expr]) -> Result<Expr, TablesError> {
    Ok(with_arguments(parsed(text)?, arguments))
}

fn parsed(text: &str) -> Result<Expr, TablesError> {
    let dialect = GenericDialect {};
    let parser = Parser::new(&dialect).try_with_sql(text);
    parser
        .and_then(|mut parser| parser.parse_expr())
        .map_err(|error| TablesError::Internal { reason: error.to_string() })
}

fn with_arguments(mut form: Expr, arguments: &[Expr]) -> Expr {
    let _: ControlFlow<()> = visit_expressions_mut(&mut form, |expr| {
        if let Expr::Value(value) = expr
            && let Value::Placeholder(place) = &value.value
            && let Some(ordinal) = place.strip_prefix('$').and_then(|n| n.parse::<usize>().ok())
            && let Some(argument) = arguments.get(ordinal.wrapping_sub(1))
        {
            *expr = nested(argument.clone());
        }
        ControlFlow::Continue(())
    });
    form
}

#[cfg(test)]
mod tests {
    use super::*;

    fn out(text: &str) -> Result<String> {
        let mut expr = parsed(text).unwrap();
        write_out(&mut expr)?;
        Ok(expr.to_string())
    }

    #[test]
    fn every_form_is_one_that_can_be_read() {
        assert_eq!(FORMS.len(), WRITTEN_OUT.len());
    }

    #[test]
    fn arguments_take_their_places() {
        assert_eq!(out("MOD(a + 1, $2)").unwrap(), "(a + 1) % $2");
        assert_eq!(out("iif(a > 1, b, 0)").unwrap(), "CASE WHEN (a > 1) THEN b ELSE 0 END");
        assert_eq!(out("ceiling(year(d))").unwrap(), "ceil(CAST(date_part('year', d) AS BIGINT))");
        assert_eq!(out("\"mod\"(a, b)").unwrap(), "\"mod\"(a, b)");
    }

    #[test]
    fn aggregates_keep_their_filter_and_window() {
        let filtered = out("count_if(a > 1) FILTER (WHERE b)").unwrap();
        assert_eq!(filtered, "count(CASE WHEN (a > 1) THEN 1 END) FILTER (WHERE b)");
        let both = out("arg_max(a, b) FILTER (WHERE c OR d)").unwrap();
        assert!(both.ends_with("AND (c OR d))"), "{both}");
        assert!(out("year(d) OVER ()").is_err());
    }

    #[test]
    fn json_operators_become_functions() {
        assert_eq!(out("j -> 'a'").unwrap(), "json_get(j, 'a')");
        assert_eq!(out("j #>> '{a, 0}'").unwrap(), "json_get_text(j, 'a', '0')");
        assert!(out("j #> 1").is_err());
    }

    #[test]
    fn a_wrong_number_of_arguments_says_how_many_it_takes() {
        let error = out("mod(1)").unwrap_err().to_string();
        assert!(error.contains("mod takes 2 arguments, not 1"), "{error}");
    }
}
