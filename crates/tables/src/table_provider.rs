//! A table of ours as DataFusion scans it.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Constraint, Constraints, DFSchema};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use kalamdb_commons::{TableId, TableType as KalamTableType, UserId};
use kalamdb_sql::TableEntry;
use kalamdb_store::{KeyRange, split_points, stream_rows};

use crate::hot_scan::{ChosenAccess, HotRows, HotScanExec, choose, split};
use crate::{StatementContext, TablesError};

/// Stored rows that are worth a partition of their own.
const PARTITION_ROWS_MIN: u64 = 32 << 10;

/// Which columns of a table a scope sees, and which rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum TableShape {
    /// Declared columns.
    Narrow,
    /// Declared columns and system columns; deleted rows too where `_deleted` is named.
    Wide { include_deleted: bool },
    /// Everything a DML statement's source needs: location and stored image besides.
    Source,
    /// As `Source`, deleted rows too.
    SourceWithDeleted,
}

impl TableShape {
    fn include_deleted(self) -> bool {
        matches!(self, Self::Wide { include_deleted: true } | Self::SourceWithDeleted)
    }
}

/// One version of one table. Holds no view: a cached plan may keep it.
#[derive(Debug)]
pub(crate) struct KalamTable {
    entry: Arc<TableEntry>,
    shape: TableShape,
    schema: SchemaRef,
    constraints: Constraints,
}

impl KalamTable {
    pub(crate) fn new(entry: Arc<TableEntry>, shape: TableShape) -> Arc<Self> {
        let wide = match shape.include_deleted() {
            true => entry.layout.wide_schema_with_deleted(),
            false => entry.layout.wide_schema(),
        };
        let schema = match shape {
            TableShape::Narrow => Arc::clone(entry.layout.declared_schema()),
            TableShape::Wide { .. } => {
                let shown = entry.layout.location_index().min(entry.layout.image_index());
                let fields: Vec<_> = wide.fields().iter().take(shown).cloned().collect();
                Arc::new(Schema::new(fields))
            }
            TableShape::Source | TableShape::SourceWithDeleted => Arc::clone(wide),
        };
        let key = match entry.layout.row_id_index() {
            Some(index) if index < schema.fields().len() => vec![index],
            Some(_) => Vec::new(),
            None => entry.definition.key_positions(),
        };
        let constraints = if key.is_empty() {
            Constraints::default()
        } else {
            Constraints::new_unverified(vec![Constraint::PrimaryKey(key)])
        };
        Arc::new(Self { entry, shape, schema, constraints })
    }

    /// The table's identity.
    pub(crate) fn id(&self) -> TableId {
        self.entry.definition.id
    }
}

/// Whose rows of the table the statement sees: the principal's own in a USER table.
pub(crate) fn owner_of(entry: &TableEntry, context: &StatementContext) -> Option<UserId> {
    match entry.definition.table_type {
        KalamTableType::User => Some(context.principal.user_id.clone()),
        KalamTableType::Shared | KalamTableType::Stream => None,
    }
}

/// Refuses a plan made for another version of the table than the statement sees.
pub(crate) fn check_version(
    entry: &TableEntry,
    context: &StatementContext,
) -> Result<(), TablesError> {
    let current = context.catalog.table_by_id(entry.definition.id);
    if current
        .is_some_and(|current| current.definition.schema_version == entry.definition.schema_version)
    {
        return Ok(());
    }
    Err(TablesError::TableChanged { table: entry.definition.qualified_name() })
}

#[async_trait]
impl TableProvider for KalamTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn constraints(&self) -> Option<&Constraints> {
        Some(&self.constraints)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        filters
            .iter()
            .map(|filter| {
                Ok(if is_evaluable(filter)? {
                    TableProviderFilterPushDown::Exact
                } else {
                    TableProviderFilterPushDown::Unsupported
                })
            })
            .collect()
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let context = StatementContext::of(state.config())?;
        check_version(&self.entry, &context)?;
        context
            .catalog
            .authorize_read(&context.principal, &self.entry)
            .map_err(TablesError::from)?;
        let owner = owner_of(&self.entry, &context);
        let layout = &self.entry.layout;
        let view = &context.view;
        let mut counts = view
            .table_counts(self.entry.definition.id, owner.as_ref())
            .map_err(TablesError::from)?;
        // Rows of a stream stay stored for a while after they have expired.
        if let Some(shown) = stream_rows(view, layout).map_err(TablesError::from)? {
            counts.live_rows = shown;
        }

        // The provider's schema is the beginning of the wide one: indices are the same.
        let projection =
            projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        let chosen = choose(view, layout, owner.as_ref(), filters)?;
        let df_schema = DFSchema::try_from(Arc::clone(&self.schema))?;
        let residual = chosen
            .residual
            .iter()
            .map(|filter| state.create_physical_expr(filter.clone(), &df_schema))
            .collect::<Result<Vec<_>>>()?;
        let stored = counts.live_rows + counts.tombstones;
        let wanted = state.config().target_partitions() as u64;
        let parts = usize::try_from((stored / PARTITION_ROWS_MIN).clamp(1, wanted.max(1)));
        let partitions = self.partitions(&context, owner.as_ref(), &chosen, parts.unwrap_or(1))?;
        let rows = HotRows {
            layout: Arc::clone(layout),
            owner,
            include_deleted: self.shape.include_deleted(),
            counts,
        };
        let scan = HotScanExec::new(rows, projection, chosen, residual, partitions)?;
        Ok(Arc::new(if limit.is_some() { scan.fetching(limit)? } else { scan }))
    }
}

impl KalamTable {
    /// The ranges of the scan, divided into about `parts` partitions of equal size.
    fn partitions(
        &self,
        context: &StatementContext,
        owner: Option<&UserId>,
        chosen: &ChosenAccess,
        parts: usize,
    ) -> Result<Vec<Vec<KeyRange>>> {
        let Some(ranges) = chosen.ranges() else { return Ok(Vec::new()) };
        if parts <= 1 {
            return Ok(vec![ranges.to_vec()]);
        }
        let (Some(first), Some(last)) = (ranges.first(), ranges.last()) else {
            return Ok(vec![ranges.to_vec()]);
        };
        let whole = KeyRange { start: first.start.clone(), end: last.end.clone() };
        let points = split_points(&context.view, &self.entry.layout, owner, &whole, parts)
            .map_err(TablesError::from)?;
        Ok(split(ranges, &points))
    }
}

/// True when a scan can evaluate the filter itself: everything but subqueries, columns of outer
/// queries, volatile functions and unbound parameters.
fn is_evaluable(filter: &Expr) -> Result<bool> {
    if filter.is_volatile() {
        return Ok(false);
    }
    let mut evaluable = true;
    filter.apply(|expr| {
        let refused = matches!(
            expr,
            Expr::ScalarSubquery(_)
                | Expr::InSubquery(_)
                | Expr::Exists(_)
                | Expr::SetComparison(_)
                | Expr::OuterReferenceColumn(..)
                | Expr::Placeholder(_)
                | Expr::ScalarVariable(..)
                | Expr::AggregateFunction(_)
                | Expr::WindowFunction(_)
        );
        if refused {
            evaluable = false;
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(evaluable)
}
