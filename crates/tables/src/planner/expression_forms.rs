//! Forms of expressions that other systems have, written out before a query is planned: LIKE ANY,
//! COLLATE, `ARRAY(SELECT …)`, `'{1,2}'::INT[]`, `a && b`, `substring(x FROM 'regex')`.

use std::ops::ControlFlow;

use datafusion::error::Result;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, DataType, DateTimeField, Expr, FunctionArguments, Interval,
    ObjectName, Value, VisitMut, visit_expressions_mut,
};
use kalamdb_sql::{SqlError, stored_name};

use super::function_forms::{call, formed};
use super::{array_texts, pattern_lists, subquery_arrays, time_forms};
use crate::TablesError;

/// Collations that order text as it is ordered here: by its bytes.
const COLLATIONS: [&str; 3] = ["c", "posix", "ucs_basic"];

/// Writes out the forms in a query or an expression.
///
/// # Errors
/// Forms that are refused by name.
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

fn written(expr: &Expr) -> Result<Option<Expr>, TablesError> {
    match expr {
        Expr::Like { .. } | Expr::ILike { .. } => pattern_lists::written(expr),
        Expr::Collate { expr, collation } => {
            check_collation(collation)?;
            Ok(Some(expr.as_ref().clone()))
        }
        Expr::BinaryOp { left, op: BinaryOperator::PGOverlap, right } => {
            let sides = vec![left.as_ref().clone(), right.as_ref().clone()];
            Ok(Some(call("array_has_any", sides)))
        }
        Expr::Substring { expr, substring_from: Some(from), substring_for, .. }
            if text_of(from).is_some() =>
        {
            if substring_for.is_some() {
                let what = "substring(… FROM pattern FOR escape)";
                let advice = "use substring(text FROM 'regular expression')";
                return Err(SqlError::unsupported(what, advice).into());
            }
            let arguments = [expr.as_ref().clone(), from.as_ref().clone()];
            formed("regexp_match($1, $2)[1]", &arguments).map(Some)
        }
        Expr::Cast {
            expr,
            data_type: data_type @ DataType::Array(_),
            kind: kind @ (CastKind::Cast | CastKind::DoubleColon),
            array,
            format: None,
        } => {
            let Some(text) = text_of(expr) else { return Ok(None) };
            let items = array_texts::read(text).ok_or_else(|| {
                let message = format!("'{text}' is no array, write it as '{{1,2}}' or ARRAY[1, 2]");
                SqlError::invalid(message)
            })?;
            Ok(Some(Expr::Cast {
                kind: kind.clone(),
                expr: Box::new(items),
                data_type: data_type.clone(),
                array: *array,
                format: None,
            }))
        }
        Expr::Function(function) => match &function.args {
            FunctionArguments::Subquery(query)
                if function.name.to_string().eq_ignore_ascii_case("array") =>
            {
                subquery_arrays::written(query).map(Some)
            }
            _ => time_forms::of_function(function),
        },
        Expr::Extract { field, expr, .. } => time_forms::of_part(&field.to_string(), expr),
        Expr::Interval(interval) => qualified(interval),
        _ => Ok(None),
    }
}

/// The text of a literal.
pub(super) fn text_of(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

fn check_collation(name: &ObjectName) -> Result<(), TablesError> {
    let last = name.0.last().and_then(|part| part.as_ident()).map(stored_name);
    if last.is_some_and(|last| COLLATIONS.contains(&last.to_lowercase().as_str())) {
        return Ok(());
    }
    let advice = "text is ordered by its bytes, as COLLATE \"C\" says; use lower(…) to compare \
                  without case";
    Err(SqlError::unsupported(format!("COLLATE {name}"), advice).into())
}

/// `INTERVAL '1-2' YEAR TO MONTH`: what the text says by itself needs no units after it.
fn qualified(interval: &Interval) -> Result<Option<Expr>, TablesError> {
    use DateTimeField::{Day, Hour, Minute, Month, Second, Year};
    let (Some(first), Some(last)) = (&interval.leading_field, &interval.last_field) else {
        return Ok(None);
    };
    let text = text_of(&interval.value).unwrap_or_default().trim();
    let colons = text.matches(':').count();
    let plain =
        interval.leading_precision.is_none() && interval.fractional_seconds_precision.is_none();
    let says_itself = match (first, last) {
        (Year, Month) => {
            let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            let unsigned = text.trim_start_matches(['+', '-']);
            unsigned.split_once('-').is_some_and(|(year, month)| digits(year) && digits(month))
        }
        (Day | Hour, Second) => colons == 2,
        (Day | Hour, Minute) => colons == 1,
        _ => false,
    };
    if !says_itself || !plain {
        let what = format!("INTERVAL '{text}' {first} TO {last}");
        let advice = "write the units into the text, as in INTERVAL '1 year 2 months'";
        return Err(SqlError::unsupported(what, advice).into());
    }
    let value = interval.value.clone();
    Ok(Some(Expr::Interval(Interval {
        value,
        leading_field: None,
        last_field: None,
        leading_precision: None,
        fractional_seconds_precision: None,
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn out(expr: &str) -> Result<String> {
        let sql = format!("SELECT {expr} FROM t");
        match kalamdb_sql::parse(&sql).unwrap().remove(0).statement {
            kalamdb_sql::Statement::Query(mut query) => {
                write_out(&mut query)?;
                let text = query.to_string();
                Ok(text["SELECT ".len()..text.len() - " FROM t".len()].to_owned())
            }
            other => panic!("{} is no query", other.name()),
        }
    }

    #[test]
    fn forms_are_written_out() {
        for (form, wanted) in [
            ("a COLLATE \"C\"", "a"),
            ("a && b", "array_has_any(a, b)"),
            ("substring(a FROM 'o.b')", "regexp_match(a, 'o.b')[1]"),
            ("substring(a FROM 2 FOR 3)", "SUBSTRING(a FROM 2 FOR 3)"),
            ("'{1, NULL}'::INT[]", "ARRAY['1', NULL]::INT[]"),
            ("a LIKE ANY (ARRAY['x', b])", "(a LIKE 'x' OR a LIKE b)"),
            ("a NOT ILIKE ALL (ARRAY['x', b])", "(a NOT ILIKE 'x' AND a NOT ILIKE b)"),
            ("INTERVAL '1-2' YEAR TO MONTH", "INTERVAL '1-2'"),
            ("INTERVAL '1 02:03' DAY TO MINUTE", "INTERVAL '1 02:03'"),
            ("date_trunc('milliseconds', a)", "date_trunc('millisecond', a)"),
            (
                "ARRAY(SELECT b FROM u ORDER BY 1 DESC)",
                "coalesce((SELECT array_agg(b ORDER BY b DESC) FROM u), make_array())",
            ),
            (
                "ARRAY(SELECT max(b) FROM u)",
                "coalesce((SELECT array_agg(item) FROM (SELECT max(b) FROM u) AS items (item)), \
                 make_array())",
            ),
        ] {
            assert_eq!(out(form).unwrap(), wanted);
        }
    }

    #[test]
    fn what_is_not_there_is_refused_by_name() {
        for (form, wanted) in [
            ("a COLLATE \"de_DE\"", "COLLATE \"de_DE\""),
            ("a LIKE ANY (b)", "LIKE ANY"),
            ("INTERVAL '1:30' MINUTE TO SECOND", "INTERVAL '1:30' MINUTE TO SECOND"),
            ("ARRAY(SELECT max(b) FROM u ORDER BY 1)", "ARRAY(SELECT … ORDER BY …)"),
            ("'1,2'::INT[]", "'1,2' is no array"),
        ] {
            let error = out(form).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }
}
