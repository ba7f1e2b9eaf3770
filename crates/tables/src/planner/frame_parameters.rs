//! Parameters in window frames: `ROWS BETWEEN $1 PRECEDING AND CURRENT ROW`.
//!
//! The engine plans numbers there and nothing else. A statement is prepared with stand-ins, which
//! change neither its result's columns nor their types, and planned again with the numbers that
//! are bound.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::common::{ParamValues, ScalarValue};
use datafusion::execution::SessionState;
use datafusion::sql::sqlparser::ast::{
    Expr, NamedWindowExpr, Query, Select, Value, ValueWithSpan, VisitMut, VisitorMut, WindowFrame,
    WindowFrameBound, WindowFrameUnits, WindowType,
};
use datafusion::sql::sqlparser::tokenizer::Span;
use kalamdb_commons::SqlState;
use kalamdb_sql::{Position, SqlError};

/// Stand-ins for a bound that is as far as can be, and for one that is at the row itself: no
/// frame begins after its end with them.
const FAR: u64 = i64::MAX as u64;
const AT_THE_ROW: u64 = 0;

/// What is bound to the parameters in a statement's window frames. Planning finds it among the
/// extensions of the session.
#[derive(Debug)]
pub struct FrameOffsets(HashMap<String, ScalarValue>);

impl FrameOffsets {
    /// Of the parameters with these ordinals, from 1.
    pub fn bound(ordinals: &[usize], values: &ParamValues) -> Self {
        let offset = |ordinal: &usize| {
            let name = format!("${ordinal}");
            let bound = values.get_placeholders_with_values(&name).ok()?;
            Some((name, bound.value))
        };
        Self(ordinals.iter().filter_map(offset).collect())
    }
}

fn whole(value: &ScalarValue) -> Option<u64> {
    let number = value.cast_to(&arrow::datatypes::DataType::Int64).ok()?;
    let same = number.cast_to(&value.data_type()).is_ok_and(|back| back == *value);
    match number {
        ScalarValue::Int64(Some(number)) if same => u64::try_from(number).ok(),
        _ => None,
    }
}

/// Writes numbers in the place of parameters in window frames: those bound, else stand-ins.
///
/// # Errors
/// A parameter in a RANGE frame, since what it may be depends on what the window is ordered by; NULL,
/// negative values, and what is no whole number.
pub(super) fn write_out(state: &SessionState, query: &mut Query) -> Result<(), SqlError> {
    let bound = state.config().get_extension::<FrameOffsets>();
    match query.visit(&mut Frames { bound: bound.as_deref() }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(*error),
    }
}

struct Frames<'a> {
    bound: Option<&'a FrameOffsets>,
}

impl VisitorMut for Frames<'_> {
    type Break = Box<SqlError>;

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Self::Break> {
        let windows = select.named_window.iter_mut().filter_map(|named| match &mut named.1 {
            NamedWindowExpr::WindowSpec(spec) => spec.window_frame.as_mut(),
            NamedWindowExpr::NamedWindow(_) => None,
        });
        for frame in windows {
            self.write(frame)?;
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        if let Expr::Function(function) = expr
            && let Some(WindowType::WindowSpec(spec)) = &mut function.over
            && let Some(frame) = &mut spec.window_frame
        {
            self.write(frame)?;
        }
        ControlFlow::Continue(())
    }
}

impl Frames<'_> {
    fn write(&self, frame: &mut WindowFrame) -> ControlFlow<Box<SqlError>> {
        let units = frame.units;
        let bounds = [(Some(&mut frame.start_bound), true), (frame.end_bound.as_mut(), false)];
        for (bound, starts) in bounds {
            let (offset, far) = match bound {
                Some(WindowFrameBound::Preceding(Some(offset))) => (offset, starts),
                Some(WindowFrameBound::Following(Some(offset))) => (offset, !starts),
                _ => continue,
            };
            let Expr::Value(ValueWithSpan { value, span }) = offset.as_mut() else { continue };
            let Value::Placeholder(name) = value else { continue };
            if units == WindowFrameUnits::Range {
                // Not `Unsupported`: clients take that for a server that cannot prepare at all.
                return ControlFlow::Break(Box::new(SqlError::Coded {
                    state: SqlState::FeatureNotSupported,
                    message: String::from(
                        "a parameter in a RANGE frame is not supported, write the value, or use \
                         ROWS or GROUPS",
                    ),
                    position: begin_of(*span),
                }));
            }
            let rows = match self.bound.and_then(|bound| bound.0.get(name)) {
                None if far => FAR,
                None => AT_THE_ROW,
                Some(bound) => match whole(bound) {
                    Some(rows) => rows,
                    None => {
                        return ControlFlow::Break(Box::new(SqlError::Coded {
                            state: SqlState::WindowError,
                            message: format!(
                                "parameter {name} in a window frame is a number of rows, from 0, \
                                 not {bound}"
                            ),
                            position: begin_of(*span),
                        }));
                    }
                },
            };
            *value = Value::Number(rows.to_string(), false);
        }
        ControlFlow::Continue(())
    }
}

/// A token made by a rewrite stands nowhere.
fn begin_of(span: Span) -> Option<Position> {
    let Span { start, .. } = span;
    (start.line > 0).then_some(Position { line: start.line, column: start.column })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_numbers_from_zero_are_offsets() {
        for (value, wanted) in [
            (ScalarValue::Int64(Some(2)), Some(2)),
            (ScalarValue::Int32(Some(0)), Some(0)),
            (ScalarValue::from("3"), Some(3)),
            (ScalarValue::Float64(Some(4.0)), Some(4)),
            (ScalarValue::Float64(Some(4.5)), None),
            (ScalarValue::Int64(Some(-1)), None),
            (ScalarValue::Int64(None), None),
            (ScalarValue::from("x"), None),
            (ScalarValue::Null, None),
        ] {
            assert_eq!(whole(&value), wanted, "{value}");
        }
    }
}
