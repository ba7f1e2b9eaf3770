//! Casts of text to INTERVAL and TIME read what SQL writes.
//!
//! The query engine takes a bare number for months, or for microseconds since midnight, and knows
//! neither `1 day 02:00:00` nor `1 week ago`. When types are settled all casts are known, those
//! that settling them has put in, too; the ones of text become functions.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    Cast, ColumnarValue, Expr, ExprSchemable, LogicalPlan, ReturnFieldArgs, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, TryCast, Volatility,
};
use datafusion::optimizer::AnalyzerRule;
use kalamdb_tables::{reads_text, text_cast};

use crate::keep_names::rewrite_expressions;

/// Puts the reading of text in the place of casts. To run when types are settled.
#[derive(Debug)]
pub(crate) struct TextCasts;

impl AnalyzerRule for TextCasts {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| {
            let schema = merge_schema(&node.inputs());
            let named = !matches!(node, LogicalPlan::Join(_) | LogicalPlan::Filter(_));
            rewrite_expressions(node, |expr| read(expr, &schema, named))
        })
        .data()
    }

    fn name(&self) -> &str {
        "text_casts"
    }
}

fn read(expr: Expr, schema: &DFSchema, named: bool) -> Result<Transformed<Expr>> {
    let (value, target, safe) = match &expr {
        Expr::Cast(Cast { expr, field }) => (expr, field, false),
        Expr::TryCast(TryCast { expr, field }) => (expr, field, true),
        _ => return Ok(Transformed::no(expr)),
    };
    if !value.get_type(schema).is_ok_and(|from| reads_text(&from, target.data_type())) {
        return Ok(Transformed::no(expr));
    }
    if let Expr::Literal(text, _) = value.as_ref() {
        let read = text_cast(&text.to_array()?, target.data_type(), safe)?;
        let read = ScalarValue::try_from_array(&read, 0)?;
        return Ok(Transformed::yes(Expr::Literal(read, None)));
    }
    let signature = Signature::any(1, Volatility::Immutable);
    let function = ReadText { target: Arc::clone(target), safe, named, signature };
    let function = Arc::new(ScalarUDF::new_from_impl(function));
    let call = ScalarFunction::new_udf(function, vec![value.as_ref().clone()]);
    Ok(Transformed::yes(Expr::ScalarFunction(call)))
}

/// A cast of text.
#[derive(Debug, PartialEq, Eq, Hash)]
struct ReadText {
    /// The field of the cast.
    target: FieldRef,
    /// Whether what cannot be read is NULL: TRY_CAST.
    safe: bool,
    /// Whether its column is called as that of the cast. What joins compare become columns beside
    /// those of the tables, and need names of their own.
    named: bool,
    signature: Signature,
}

fn only<T>(arguments: &[T]) -> Result<&T> {
    match arguments {
        [one] => Ok(one),
        _ => Err(DataFusionError::Internal(String::from("a cast has one argument"))),
    }
}

impl ScalarUDFImpl for ReadText {
    fn name(&self) -> &str {
        if self.safe { "try_read_text" } else { "read_text" }
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let value = only(args)?.schema_name().to_string();
        Ok(if self.named { value } else { format!("{}({value})", self.name()) })
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(self.target.data_type().clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let text = only(args.arg_fields)?;
        let nullable = self.safe || text.is_nullable();
        Ok(Arc::new(self.target.as_ref().clone().with_name(text.name()).with_nullable(nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let value = only(&args.args)?;
        let read = text_cast(&value.to_array(1)?, self.target.data_type(), self.safe)?;
        Ok(match value {
            ColumnarValue::Array(_) => ColumnarValue::Array(read),
            ColumnarValue::Scalar(_) => {
                ColumnarValue::Scalar(ScalarValue::try_from_array(&read, 0)?)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{Field, IntervalUnit, Schema};
    use datafusion::logical_expr::{cast, col, lit, try_cast};

    use super::*;

    const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

    fn read_of(expr: Expr) -> Result<Transformed<Expr>> {
        let field = |name, data_type| Field::new(name, data_type, true);
        let fields = vec![field("t", DataType::Utf8), field("i", INTERVAL)];
        read(expr, &DFSchema::try_from(Schema::new(fields))?, true)
    }

    #[test]
    fn text_is_read_here_and_constants_at_once() {
        let of_column = cast(col("t"), INTERVAL);
        let becomes = read_of(of_column.clone()).unwrap().data;
        assert!(matches!(becomes, Expr::ScalarFunction(_)), "{becomes}");
        assert_eq!(becomes.schema_name().to_string(), of_column.schema_name().to_string());
        let thirty_seconds = lit(ScalarValue::new_interval_mdn(0, 0, 30_000_000_000));
        assert_eq!(read_of(cast(lit("30"), INTERVAL)).unwrap().data, thirty_seconds);
        assert!(read_of(cast(lit("soon"), INTERVAL)).is_err());
        let none = read_of(try_cast(lit("soon"), INTERVAL)).unwrap().data;
        assert_eq!(none, lit(ScalarValue::IntervalMonthDayNano(None)));
    }

    #[test]
    fn other_casts_stay() {
        for expr in [cast(col("t"), DataType::Int64), cast(col("i"), INTERVAL), col("t")] {
            assert!(!read_of(expr.clone()).unwrap().transformed, "{expr}");
        }
    }
}
