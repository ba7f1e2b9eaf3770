//! Runs a [`WritePlan`](super::WritePlan): the source's rows, what conflicts become, what
//! RETURNING gives, and then, when nothing went wrong, the commit.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, RecordBatchOptions, UInt64Array};
use arrow::compute::{concat_batches, sort_to_indices, take_record_batch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, InputDistributionRequirements,
    Partitioning, PlanProperties, ReplaceChildrenOptions, execute_stream,
};
use futures::{StreamExt, TryStreamExt};
use kalamdb_commons::limits::{BATCH_ROWS, RETURNED_BYTES_MAX, STATEMENT_BYTES_MAX};
use kalamdb_store::ChangeOp;

use super::commit::commit;
use super::sink::{StatementWriter, gather};
use super::statement_rows::{RowsDecoder, RowsOf};
use super::upsert::{OrderedChanges, split};
use super::write_plan::{OnTaken, WriteSpec, wrong_inputs};
use crate::{StatementContext, TablesError};

/// The plan.
#[derive(Debug, Clone)]
pub(super) struct WriteExec {
    spec: WriteSpec,
    /// The source, then the query of ON CONFLICT, then that of RETURNING.
    inputs: Vec<Arc<dyn ExecutionPlan>>,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
}

impl WriteExec {
    pub(super) fn new(spec: WriteSpec, inputs: Vec<Arc<dyn ExecutionPlan>>) -> Result<Self> {
        let wanted =
            1 + usize::from(spec.on_taken == OnTaken::Update) + usize::from(spec.returning);
        let schema = match inputs.last() {
            Some(_) if inputs.len() != wanted => return Err(wrong_inputs().into()),
            None => return Err(wrong_inputs().into()),
            Some(returning) if spec.returning => {
                let fields =
                    returning.schema().fields().iter().skip(1).cloned().collect::<Vec<_>>();
                Arc::new(Schema::new(fields))
            }
            Some(_) => Arc::new(Schema::new(vec![Field::new("count", DataType::UInt64, false)])),
        };
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Ok(Self { spec, inputs, schema, properties: Arc::new(properties) })
    }

    fn input(&self, position: usize, task: &Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.inputs.get(position).ok_or_else(wrong_inputs)?;
        execute_stream(Arc::clone(input), Arc::clone(task))
    }

    async fn run(self, task: Arc<TaskContext>) -> Result<Vec<RecordBatch>> {
        let context = StatementContext::of(task.session_config())?;
        let (entry, write) = (&self.spec.entry, self.spec.write);
        if self.spec.returning || self.spec.on_taken == OnTaken::Update {
            let authorized = context.catalog.authorize_read(&context.principal, entry);
            authorized.map_err(TablesError::from)?;
        }
        let source = self.input(0, &task)?;
        let (writer, memory) = gather(entry, write, source, &context, &task).await?;
        let changes = match self.spec.on_taken {
            OnTaken::Refuse => writer.into_changes().await?.into_iter().collect(),
            OnTaken::Skip | OnTaken::Update => {
                self.upsert(writer, &context, &task, &memory).await?
            }
        };
        let changes: Vec<OrderedChanges> =
            changes.into_iter().filter(|part| !part.changes.keys.is_empty()).collect();
        let count: usize = changes.iter().map(|part| part.changes.keys.len()).sum();
        self.check_size(&changes)?;
        let answer = if !self.spec.returning {
            let count: ArrayRef = Arc::new(UInt64Array::from(vec![count as u64]));
            vec![RecordBatch::try_new(Arc::clone(&self.schema), vec![count])?]
        } else if count == 0 {
            Vec::new()
        } else {
            self.returned(&changes, &context, &task, &memory).await?
        };
        if !changes.is_empty() {
            let changes = changes.into_iter().map(|part| part.changes).collect();
            commit(&context.view, changes, &context.cancel).await?;
        }
        Ok(answer)
    }

    /// Inserts what is new and updates what is in the way.
    async fn upsert(
        &self,
        writer: StatementWriter,
        context: &StatementContext,
        task: &Arc<TaskContext>,
        memory: &MemoryReservation,
    ) -> Result<Vec<OrderedChanges>> {
        let updates = self.spec.on_taken == OnTaken::Update;
        let parts = writer.apart(move |rows| split(rows, updates)).await?;
        if parts.conflicts.is_empty() {
            return Ok(vec![parts.new]);
        }
        let shown = parts.conflicts.show(context)?;
        memory.try_grow(shown)?;
        let updated = parts.conflicts.updates(self.input(1, task)?).await?;
        context.rows.set(RowsOf::Conflicts, Vec::new());
        memory.shrink(shown);
        Ok(vec![parts.new, updated])
    }

    fn check_size(&self, changes: &[OrderedChanges]) -> Result<(), TablesError> {
        let bytes = |part: &OrderedChanges| {
            let changes = &part.changes;
            changes.keys.byte_len() + changes.rows.byte_len() + changes.old.byte_len()
        };
        if changes.iter().map(bytes).sum::<usize>() > STATEMENT_BYTES_MAX {
            return Err(TablesError::StatementTooLarge {
                table: self.spec.entry.definition.qualified_name(),
                limit_bytes: STATEMENT_BYTES_MAX,
            });
        }
        Ok(())
    }

    /// What RETURNING gives, in the order of the statement's rows.
    async fn returned(
        &self,
        changes: &[OrderedChanges],
        context: &StatementContext,
        task: &Arc<TaskContext>,
        memory: &MemoryReservation,
    ) -> Result<Vec<RecordBatch>> {
        let layout = &self.spec.entry.layout;
        let deleted = changes.iter().any(|part| part.changes.op == ChangeOp::Delete);
        let rows = if deleted { RowsOf::Deleted } else { RowsOf::Written };
        let mut decoder = RowsDecoder::new(layout, rows)?;
        for part in changes {
            let images = if deleted { &part.changes.old } else { &part.changes.rows };
            decoder.add(layout, &part.changes.keys, images, None, |index| part.place(index))?;
        }
        let shown = decoder.finish(context)?;
        memory.try_grow(shown)?;
        let mut results = self.input(self.inputs.len().saturating_sub(1), task)?;
        let mut batches = Vec::new();
        let mut bytes = 0;
        while let Some(batch) = results.next().await {
            let batch = batch?;
            bytes += batch.get_array_memory_size();
            if bytes > RETURNED_BYTES_MAX {
                let limit_bytes = RETURNED_BYTES_MAX;
                return Err(TablesError::ReturnedTooLarge { limit_bytes }.into());
            }
            memory.try_grow(batch.get_array_memory_size())?;
            batches.push(batch);
        }
        context.rows.set(rows, Vec::new());
        memory.shrink(shown);
        in_order(batches)?.into_iter().map(|batch| self.without_place(&batch)).collect()
    }

    fn without_place(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let columns = batch.columns().iter().skip(1).cloned().collect();
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }
}

/// The batches with their rows in the order of their first column.
fn in_order(batches: Vec<RecordBatch>) -> Result<Vec<RecordBatch>> {
    let mut last = i64::MIN;
    let mut sorted = true;
    for batch in &batches {
        for place in batch.column(0).as_primitive::<Int64Type>().values() {
            sorted &= last <= *place;
            last = *place;
        }
    }
    let Some(first) = batches.first() else { return Ok(batches) };
    if sorted {
        return Ok(batches);
    }
    let all = concat_batches(&first.schema(), &batches)?;
    let order = sort_to_indices(all.column(0), None, None)?;
    let parts = (0..order.len()).step_by(BATCH_ROWS);
    let parts = parts.map(|start| {
        let rows = order.slice(start, BATCH_ROWS.min(order.len() - start));
        Ok(take_record_batch(&all, &rows)?)
    });
    parts.collect()
}

impl DisplayAs for WriteExec {
    fn fmt_as(&self, format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match format {
            DisplayFormatType::Default | DisplayFormatType::Verbose => {
                write!(f, "WriteExec: {}", self.spec)
            }
            DisplayFormatType::TreeRender => write!(f, "{}", self.spec),
        }
    }
}

impl ExecutionPlan for WriteExec {
    fn name(&self) -> &'static str {
        "WriteExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false; self.inputs.len()]
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        InputDistributionRequirements::new(vec![Distribution::SinglePartition; self.inputs.len()])
    }

    /// The order of the source is that of what RETURNING gives.
    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true; self.inputs.len()]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.inputs.iter().collect()
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::new(self.spec.clone(), children)?))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        use datafusion::physical_plan::ChildrenPropertiesMode::Recompute;
        self.replace_children(children, ReplaceChildrenOptions::new(Recompute))
    }

    fn apply_expressions(
        &self,
        _visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(
        &self,
        _partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let run = self.clone().run(context);
        let batches = futures::stream::once(run)
            .map_ok(|batches| futures::stream::iter(batches.into_iter().map(Ok)))
            .try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches)))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Int64Array;

    use super::*;

    fn batch(places: &[i64]) -> RecordBatch {
        let places: ArrayRef = Arc::new(Int64Array::from(places.to_vec()));
        RecordBatch::try_from_iter([("place", Arc::clone(&places)), ("value", places)]).unwrap()
    }

    #[test]
    fn rows_come_in_the_order_of_the_statement() {
        let places = |batches: Vec<RecordBatch>| -> Vec<i64> {
            let column =
                |batch: &RecordBatch| batch.column(1).as_primitive::<Int64Type>().values().to_vec();
            in_order(batches).unwrap().iter().flat_map(column).collect()
        };
        assert_eq!(places(vec![batch(&[0, 1]), batch(&[2])]), [0, 1, 2]);
        assert_eq!(places(vec![batch(&[3, 1]), batch(&[2, 0])]), [0, 1, 2, 3]);
        let many: Vec<i64> = (0..20_000).rev().collect();
        assert_eq!(places(vec![batch(&many)]), (0..20_000).collect::<Vec<i64>>());
        assert!(places(Vec::new()).is_empty());
    }
}
