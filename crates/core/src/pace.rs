//! Joins give way: whatever they compare, other statements run beside them and a statement that
//! is cancelled or out of time stops soon.
//!
//! A join without an equality, or with one that many rows share, compares each row of its probe
//! side with a large part of its build side. Within one poll it does so for a whole batch, which
//! may be minutes of work without a row to show, and nothing can stop it meanwhile. Here
//!
//! ```text
//! probe side ──► Pace (slices) ──► join ──► Pace ──► aggregate, client, …
//! ```
//!
//! the probe side is handed out in slices that keep the join busy for about [`SLICE_TIME`] each,
//! learnt from how long it took over the last one, and both ways give the thread back after that
//! time. Most joins are through with a whole batch sooner and see no difference.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::DataFusionError;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::joins::{CrossJoinExec, HashJoinExec, NestedLoopJoinExec};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
    replace_children_if_necessary,
};
use futures::{Stream, StreamExt};
use kalamdb_commons::limits::BATCH_ROWS;

/// How long a join may keep a thread before others have their turn.
const SLICE_TIME: Duration = Duration::from_millis(10);
/// How much larger than the last one a slice may be: rows differ.
const GROWTH_MAX: usize = 8;

/// The plan with joins that give way.
pub(crate) fn pace(
    plan: Arc<dyn ExecutionPlan>,
) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
    plan.transform_up(|node| {
        let compares = node.is::<NestedLoopJoinExec>() || node.is::<HashJoinExec>();
        if !compares && !node.is::<CrossJoinExec>() {
            return Ok(Transformed::no(node));
        }
        let mut children: Vec<_> = node.children().into_iter().map(Arc::clone).collect();
        let join = match (compares, children.pop()) {
            // The probe side comes last.
            (true, Some(probe)) => {
                children.push(Arc::new(PaceExec { input: probe, slices: true }));
                replace_children_if_necessary(node, children)?
            }
            _ => node,
        };
        Ok(Transformed::yes(Arc::new(PaceExec { input: join, slices: false })))
    })
    .data()
}

/// Passes batches on, gives the thread back in between, and cuts batches into slices if told so.
#[derive(Debug, Clone)]
struct PaceExec {
    input: Arc<dyn ExecutionPlan>,
    slices: bool,
}

impl DisplayAs for PaceExec {
    fn fmt_as(
        &self,
        _format: DisplayFormatType,
        f: &mut std::fmt::Formatter<'_>,
    ) -> std::fmt::Result {
        write!(f, "PaceExec: slices={}", self.slices)
    }
}

impl ExecutionPlan for PaceExec {
    fn name(&self) -> &str {
        "PaceExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        match (children.pop(), children.is_empty()) {
            (Some(input), true) => Ok(Arc::new(Self { input, slices: self.slices })),
            _ => Err(DataFusionError::Internal("PaceExec has one input".to_owned())),
        }
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        use datafusion::physical_plan::ChildrenPropertiesMode::Recompute;
        self.replace_children(children, ReplaceChildrenOptions::new(Recompute))
    }

    fn apply_expressions(
        &self,
        _visit: &mut dyn FnMut(
            &Arc<dyn PhysicalExpr>,
        ) -> Result<TreeNodeRecursion, DataFusionError>,
    ) -> Result<TreeNodeRecursion, DataFusionError> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream, DataFusionError> {
        let input = self.input.execute(partition, context)?;
        let slicer = self.slices.then(Slicer::new);
        Ok(Box::pin(PaceStream { input, slicer, running_since: None }))
    }
}

struct PaceStream {
    input: SendableRecordBatchStream,
    slicer: Option<Slicer>,
    /// When the thread was given to this stream; `None` after it was given back.
    running_since: Option<Instant>,
}

impl Stream for PaceStream {
    type Item = Result<RecordBatch, DataFusionError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let now = Instant::now();
        if let Some(slicer) = &mut this.slicer {
            slicer.asked_again(now);
        }
        let since = *this.running_since.get_or_insert(now);
        if now.duration_since(since) >= SLICE_TIME {
            // Behind all others that are ready.
            this.running_since = None;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let Some(slicer) = &mut this.slicer else {
            return this.input.poll_next_unpin(context);
        };
        if slicer.rest.is_none() {
            match ready!(this.input.poll_next_unpin(context)) {
                Some(Ok(batch)) => slicer.rest = Some(batch),
                ended => return Poll::Ready(ended),
            }
        }
        Poll::Ready(slicer.next_slice().map(Ok))
    }
}

impl RecordBatchStream for PaceStream {
    fn schema(&self) -> SchemaRef {
        self.input.schema()
    }
}

/// Cuts batches into slices of as many rows as the reader is through with in [`SLICE_TIME`].
struct Slicer {
    rest: Option<RecordBatch>,
    rows: usize,
    /// When the last slice was handed out, and how many rows it had.
    handed_out: Option<(Instant, usize)>,
}

impl Slicer {
    /// Begins with one row: the other side may be of any size.
    fn new() -> Self {
        Self { rest: None, rows: 1, handed_out: None }
    }

    /// The reader is through with the last slice.
    fn asked_again(&mut self, now: Instant) {
        if let Some((at, rows)) = self.handed_out.take() {
            self.rows = next_rows(self.rows, rows, now.duration_since(at));
        }
    }

    fn next_slice(&mut self) -> Option<RecordBatch> {
        let batch = self.rest.take()?;
        let rows = batch.num_rows();
        let slice = if rows <= self.rows {
            batch
        } else {
            self.rest = Some(batch.slice(self.rows, rows - self.rows));
            batch.slice(0, self.rows)
        };
        self.handed_out = Some((Instant::now(), slice.num_rows()));
        Some(slice)
    }
}

/// The rows of the next slice, after one of `handed_out` rows, where `rows` were allowed, kept the
/// reader busy for `took`.
fn next_rows(rows: usize, handed_out: usize, took: Duration) -> usize {
    let fitting = match took.as_nanos() {
        0 => usize::MAX,
        took => {
            let fitting = handed_out as u128 * SLICE_TIME.as_nanos() / took;
            usize::try_from(fitting).unwrap_or(usize::MAX)
        }
    };
    // The end of a batch is shorter than allowed, and says nothing against longer slices.
    let kept = if handed_out < rows && took <= SLICE_TIME { rows } else { 1 };
    fitting.min(handed_out.saturating_mul(GROWTH_MAX)).clamp(kept, BATCH_ROWS.max(kept))
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array};

    use super::*;

    #[test]
    fn slices_follow_the_time_they_take() {
        let ms = Duration::from_millis;
        assert_eq!(next_rows(100, 100, ms(10)), 100);
        assert_eq!(next_rows(100, 100, ms(1000)), 1);
        assert_eq!(next_rows(100, 100, ms(20)), 50);
        assert_eq!(next_rows(1, 1, Duration::ZERO), GROWTH_MAX);
        assert_eq!(next_rows(1, 1, ms(100_000)), 1, "there is always a row");
        assert_eq!(next_rows(BATCH_ROWS, BATCH_ROWS, ms(1)), BATCH_ROWS);
        // The end of a batch.
        assert_eq!(next_rows(4096, 1, ms(1)), 4096);
        assert_eq!(next_rows(4096, 1, ms(20)), 1);
    }

    #[test]
    fn slices_have_every_row_once_and_in_order() {
        let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..10));
        let batch = RecordBatch::try_from_iter([("n", column)]).unwrap();
        let mut slicer = Slicer { rest: Some(batch.clone()), rows: 4, handed_out: None };
        let slices: Vec<_> = std::iter::from_fn(|| slicer.next_slice()).collect();
        let rows: Vec<_> = slices.iter().map(RecordBatch::num_rows).collect();
        assert_eq!(rows, [4, 4, 2]);
        let whole = arrow::compute::concat_batches(&batch.schema(), &slices).unwrap();
        assert_eq!(whole, batch);
    }
}
