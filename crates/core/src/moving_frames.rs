//! Aggregates over frames that move: `sum(x) OVER (ORDER BY id ROWS 1 PRECEDING)`.
//!
//! The query engine takes the values that leave a frame away again. What came with them does not
//! leave: after an infinity or a very large number every later sum of a DOUBLE is wrong. And most
//! aggregates cannot take values away at all. So these aggregates keep what is in the frame, and
//! are computed from that alone.

use std::collections::VecDeque;
use std::mem::size_of_val;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{DataType, FieldRef, Schema};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNodeRecursion};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::expr::WindowFunctionParams;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Expr, ExprSchemable, LogicalPlan, Signature,
    WindowFunctionDefinition,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion::physical_expr::{PhysicalExpr, PhysicalSortExpr};

use crate::keep_names::rewrite_expressions;

/// What the engine computes rightly for any values, taken away or not.
const EXACT: [&str; 3] = ["count", "min", "max"];
/// What it computes rightly for any values but those of REAL and DOUBLE.
const EXACT_OF_INTEGERS: [&str; 2] = ["sum", "avg"];
/// Whose partial results are small and are merged as well as values are.
const MERGED: [&str; 10] = [
    "sum",
    "avg",
    "bit_and",
    "bit_or",
    "bit_xor",
    "bool_and",
    "bool_or",
    "corr",
    "covar_samp",
    "covar_pop",
];
const MERGED_FAMILIES: [&str; 3] = ["var", "stddev", "regr_"];

/// Puts such aggregates in windows. To run when types are settled.
#[derive(Debug)]
pub(crate) struct MovingFrames;

impl AnalyzerRule for MovingFrames {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let mut concerned = false;
        plan.apply_with_subqueries(|node| {
            concerned |= matches!(node, LogicalPlan::Window(_));
            Ok(if concerned { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        })?;
        if !concerned {
            return Ok(plan);
        }
        plan.transform_up_with_subqueries(|node| {
            if !matches!(node, LogicalPlan::Window(_)) {
                return Ok(Transformed::no(node));
            }
            let schema = merge_schema(&node.inputs());
            rewrite_expressions(node, |expr| Ok(kept(expr, &schema)))
        })
        .data()
    }

    fn name(&self) -> &str {
        "moving_frames"
    }
}

fn kept(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let Expr::WindowFunction(mut window) = expr else { return Transformed::no(expr) };
    let params = &window.params;
    if let WindowFunctionDefinition::AggregateUDF(inner) = &window.fun
        && !params.window_frame.start_bound.is_unbounded()
        && !EXACT.contains(&inner.name())
    {
        let is_real = |arg: &Expr| !matches!(arg.get_type(schema), Ok(of) if !of.is_floating());
        let exact = EXACT_OF_INTEGERS.contains(&inner.name()) && !params.args.iter().any(is_real);
        if !exact {
            let function = KeptFrame { inner: Arc::clone(inner) };
            let function = Arc::new(AggregateUDF::new_from_impl(function));
            window.fun = WindowFunctionDefinition::AggregateUDF(function);
            return Transformed::yes(Expr::WindowFunction(window));
        }
    }
    Transformed::no(Expr::WindowFunction(window))
}

/// An aggregate that computes a moving frame from the values in it.
#[derive(Debug, PartialEq, Eq, Hash)]
struct KeptFrame {
    inner: Arc<AggregateUDF>,
}

impl AggregateUDFImpl for KeptFrame {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arg_types)
    }

    fn return_field(&self, arg_fields: &[FieldRef]) -> Result<FieldRef> {
        self.inner.return_field(arg_fields)
    }

    fn window_function_schema_name(&self, params: &WindowFunctionParams) -> Result<String> {
        self.inner.window_function_schema_name(params)
    }

    fn window_function_display_name(&self, params: &WindowFunctionParams) -> Result<String> {
        self.inner.window_function_display_name(params)
    }

    fn is_nullable(&self) -> bool {
        self.inner.is_nullable()
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(arg_types)
    }

    fn default_value(&self, data_type: &DataType) -> Result<ScalarValue> {
        self.inner.default_value(data_type)
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        self.inner.state_fields(args)
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        self.inner.accumulator(args)
    }

    fn create_sliding_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn Accumulator>> {
        let name = self.inner.name();
        let is_merged =
            MERGED.contains(&name) || MERGED_FAMILIES.iter().any(|family| name.starts_with(family));
        let merged = is_merged && !args.is_distinct;
        let new = New::of(&self.inner, &args);
        let later = new.accumulator()?;
        let (earlier, rows) = (Vec::new(), VecDeque::new());
        Ok(if merged {
            Box::new(MergedFrame { new, earlier, rows, later })
        } else {
            Box::new(RecomputedFrame { new, rows })
        })
    }
}

/// All that an accumulator is made of.
#[derive(Debug)]
struct New {
    function: Arc<AggregateUDF>,
    return_field: FieldRef,
    schema: Schema,
    ignore_nulls: bool,
    order_bys: Vec<PhysicalSortExpr>,
    is_reversed: bool,
    name: String,
    is_distinct: bool,
    exprs: Vec<Arc<dyn PhysicalExpr>>,
    expr_fields: Vec<FieldRef>,
}

impl New {
    fn of(function: &Arc<AggregateUDF>, args: &AccumulatorArgs<'_>) -> Self {
        Self {
            function: Arc::clone(function),
            return_field: Arc::clone(&args.return_field),
            schema: args.schema.clone(),
            ignore_nulls: args.ignore_nulls,
            order_bys: args.order_bys.to_vec(),
            is_reversed: args.is_reversed,
            name: args.name.to_owned(),
            is_distinct: args.is_distinct,
            exprs: args.exprs.to_vec(),
            expr_fields: args.expr_fields.to_vec(),
        }
    }

    fn accumulator(&self) -> Result<Box<dyn Accumulator>> {
        self.function.accumulator(AccumulatorArgs {
            return_field: Arc::clone(&self.return_field),
            schema: &self.schema,
            ignore_nulls: self.ignore_nulls,
            order_bys: &self.order_bys,
            is_reversed: self.is_reversed,
            name: &self.name,
            is_distinct: self.is_distinct,
            exprs: &self.exprs,
            expr_fields: &self.expr_fields,
        })
    }
}

/// Arguments of rows, as they came.
type Values = Vec<ArrayRef>;

fn row_count(values: &[ArrayRef]) -> usize {
    values.first().map_or(0, |column| column.len())
}

fn slice(values: &[ArrayRef], offset: usize, rows: usize) -> Values {
    values.iter().map(|column| column.slice(offset, rows)).collect()
}

/// Takes as many rows away, from the front.
fn drop_first(kept: &mut VecDeque<Values>, mut rows: usize) {
    while rows > 0
        && let Some(first) = kept.front_mut()
    {
        let there = row_count(first);
        if there > rows {
            *first = slice(first, rows, there - rows);
            return;
        }
        rows -= there;
        kept.pop_front();
    }
}

/// The values of the frame, aggregated anew for each row.
#[derive(Debug)]
struct RecomputedFrame {
    new: New,
    rows: VecDeque<Values>,
}

impl Accumulator for RecomputedFrame {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        if row_count(values) > 0 {
            self.rows.push_back(values.to_vec());
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        drop_first(&mut self.rows, row_count(values));
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut all = self.new.accumulator()?;
        for values in &self.rows {
            all.update_batch(values)?;
        }
        all.evaluate()
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.rows.len() * size_of::<Values>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        no_parts()
    }

    fn merge_batch(&mut self, _states: &[ArrayRef]) -> Result<()> {
        no_parts()
    }
}

fn no_parts<T>() -> Result<T> {
    Err(datafusion::error::DataFusionError::Internal(String::from(
        "the aggregate of a window frame has no parts",
    )))
}

/// The frame in two parts. Of the earlier rows it has what each aggregates to with all earlier
/// ones after it, of the later ones what they aggregate to; when the earlier ones are used up,
/// the later ones become them. So a row costs the same, however long the frame is.
#[derive(Debug)]
struct MergedFrame {
    new: New,
    /// The last is of all earlier rows.
    earlier: Vec<Vec<ScalarValue>>,
    rows: VecDeque<Values>,
    later: Box<dyn Accumulator>,
}

fn merge(into: &mut dyn Accumulator, state: &[ScalarValue]) -> Result<()> {
    let state = state.iter().map(ScalarValue::to_array).collect::<Result<Vec<_>>>()?;
    into.merge_batch(&state)
}

impl MergedFrame {
    fn turn(&mut self) -> Result<()> {
        while let Some(values) = self.rows.pop_back() {
            for row in (0..row_count(&values)).rev() {
                let mut with_row = self.new.accumulator()?;
                with_row.update_batch(&slice(&values, row, 1))?;
                if let Some(after) = self.earlier.last() {
                    merge(with_row.as_mut(), after)?;
                }
                self.earlier.push(with_row.state()?);
            }
        }
        self.later = self.new.accumulator()?;
        Ok(())
    }
}

impl Accumulator for MergedFrame {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        if row_count(values) > 0 {
            self.later.update_batch(values)?;
            self.rows.push_back(values.to_vec());
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let mut rows = row_count(values);
        while rows > 0 {
            if self.earlier.is_empty() {
                if self.rows.is_empty() {
                    return Ok(());
                }
                self.turn()?;
            }
            let left = self.earlier.len().saturating_sub(rows);
            rows -= self.earlier.len() - left;
            self.earlier.truncate(left);
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut all = self.new.accumulator()?;
        if let Some(earlier) = self.earlier.last() {
            merge(all.as_mut(), earlier)?;
        }
        if !self.rows.is_empty() {
            merge(all.as_mut(), &self.later.state()?)?;
        }
        all.evaluate()
    }

    fn size(&self) -> usize {
        let state = self.earlier.first().map_or(0, |state| size_of_val(state.as_slice()));
        size_of_val(self) + self.earlier.len() * state + self.rows.len() * size_of::<Values>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        no_parts()
    }

    fn merge_batch(&mut self, _states: &[ArrayRef]) -> Result<()> {
        no_parts()
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Float64Array;
    use arrow::datatypes::Field;
    use datafusion::functions_aggregate::stddev::stddev_pop_udaf;
    use datafusion::functions_aggregate::sum::sum_udaf;
    use datafusion::physical_expr::expressions::Column;

    use super::*;

    /// The aggregates of frames of two rows.
    fn over_two(function: Arc<AggregateUDF>, values: &[f64]) -> Vec<String> {
        let field = Arc::new(Field::new("x", DataType::Float64, true));
        let exprs: [Arc<dyn PhysicalExpr>; 1] = [Arc::new(Column::new("x", 0))];
        let args = AccumulatorArgs {
            return_field: Arc::clone(&field),
            schema: &Schema::new(vec![Arc::clone(&field)]),
            ignore_nulls: false,
            order_bys: &[],
            is_reversed: false,
            name: "x",
            is_distinct: false,
            exprs: &exprs,
            expr_fields: &[field],
        };
        let mut frame = KeptFrame { inner: function }.create_sliding_accumulator(args).unwrap();
        let row = |at: usize| -> Values { vec![Arc::new(Float64Array::from(vec![values[at]]))] };
        (0..values.len())
            .map(|at| {
                frame.update_batch(&row(at)).unwrap();
                if at > 1 {
                    frame.retract_batch(&row(at - 2)).unwrap();
                }
                frame.evaluate().unwrap().to_string()
            })
            .collect()
    }

    #[test]
    fn what_has_left_the_frame_is_gone() {
        let sums = over_two(sum_udaf(), &[1e20, 1.0, 1.0, 2.0, f64::INFINITY, 1.0, 2.0]);
        assert_eq!(sums[2..4], ["2", "3"]);
        assert_eq!(sums[4..], ["inf", "inf", "3"]);
        let deviations = over_two(stddev_pop_udaf(), &[f64::NAN, 1.0, 1.0, 3.0]);
        assert_eq!(deviations[2..], ["0", "1"]);
    }
}
