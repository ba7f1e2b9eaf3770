//! The DataFusion session states of statements: functions, limits, settings.
//!
//! Two are made when the engine opens. One has all functions and plans statements; it is shared,
//! names are looked up elsewhere. The other has none: expressions in a plan carry theirs. It is
//! cloned for each run, and gets the statement's view; with hundreds of functions a clone would
//! cost more than reading a row.

use std::collections::HashMap;
use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use datafusion::execution::FunctionRegistry;
use datafusion::execution::SessionState;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{GreedyMemoryPool, TrackConsumersPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::functions_aggregate::first_last::first_value_udaf;
use datafusion::optimizer::{Analyzer, AnalyzerRule};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::prelude::SessionConfig;
use kalamdb_commons::limits::BATCH_ROWS;

use crate::grouping_sets::GroupingSets;
use crate::membership::Membership;
use crate::mixed_types::MixedTypes;
use crate::moving_frames::MovingFrames;
use crate::nullable_subqueries::NullableSubqueries;
use crate::overflow::{CheckedArithmetic, checked_sum};
use crate::range_frames::RangeFrames;
use crate::real_keys::RealKeys;
use crate::rounded_casts::{RoundedCasts, WrittenCasts};
use crate::session::DEFAULT_NAMESPACE;
use crate::text_casts::TextCasts;
use crate::truth_tests::TruthTests;
use crate::value_subqueries::ValueSubqueries;
use crate::{EngineError, EngineSettings, simplify};

/// The one catalog there is.
pub(crate) const CATALOG: &str = "kalam";
/// The directory statements spill to, under the data directory.
const SPILL_DIR: &str = "spill";
/// Memory consumers an out-of-memory error names.
const NAMED_CONSUMERS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4);
/// Bytes buffered under a merge once its sort was eliminated; the default of 1 GiB is no bound.
const SORT_PUSHDOWN_BUFFER_BYTES: usize = 2 << 20;

/// Plans statements.
pub(crate) fn planning(settings: &EngineSettings) -> Result<SessionState, EngineError> {
    let mut state = SessionStateBuilder::new_with_default_features()
        .with_config(config(settings.execution_threads))
        .with_runtime_env(runtime_env(settings)?)
        // No statement reads or writes files: neither formats nor table factories exist.
        .with_table_factories(HashMap::new())
        .with_file_formats(Vec::new())
        .with_optimizer_rules(simplify::optimizer_rules())
        .with_analyzer_rules(analyzer_rules())
        .with_physical_optimizer_rules(physical_optimizer_rules())
        .build();
    for function in kalamdb_tables::scalar_functions(Arc::clone(&settings.clock)) {
        state.register_udf(function)?;
    }
    state.register_udaf(Arc::new(checked_sum()))?;
    state.register_expr_planner(Arc::new(kalamdb_tables::IntervalOperators))?;
    state.register_expr_planner(Arc::new(kalamdb_tables::IntervalTexts))?;
    Ok(state)
}

/// The engine's rules, and ours in their places.
fn analyzer_rules() -> Vec<Arc<dyn AnalyzerRule + Send + Sync>> {
    let mut rules = Analyzer::new().rules;
    // Settling types gives expressions other names, and those in grouping sets are lost then.
    let types = rules.iter().position(|rule| rule.name() == "type_coercion");
    let types = types.unwrap_or(0);
    rules.insert(types, Arc::new(WrittenCasts));
    rules.insert(types, Arc::new(MixedTypes));
    rules.insert(types, Arc::new(RangeFrames));
    rules.insert(types, Arc::new(GroupingSets));
    rules.push(Arc::new(RoundedCasts));
    rules.push(Arc::new(TextCasts));
    rules.push(Arc::new(NullableSubqueries));
    rules.push(Arc::new(Membership));
    rules.push(Arc::new(ValueSubqueries));
    rules.push(Arc::new(CheckedArithmetic));
    rules.push(Arc::new(TruthTests));
    rules.push(Arc::new(RealKeys));
    rules.push(Arc::new(MovingFrames));
    rules
}

/// The engine's rules, and ours in their places.
fn physical_optimizer_rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let rules = PhysicalOptimizer::new().rules.into_iter();
    let mut rules: Vec<_> = rules.map(kalamdb_tables::PushedFilters::guard).collect();
    let sorted = rules.iter().position(|rule| rule.name() == "EnsureRequirements");
    rules.insert(sorted.map_or(0, |place| place + 1), Arc::new(kalamdb_tables::MergedOrder));
    rules.push(Arc::new(kalamdb_tables::OnePartition));
    rules
}

/// Optimizes and runs what `planning` planned, with the same limits.
pub(crate) fn running(planning: &SessionState) -> SessionState {
    SessionStateBuilder::new()
        .with_config(planning.config().clone())
        .with_runtime_env(Arc::clone(planning.runtime_env()))
        .with_optimizer_rules(planning.optimizers().to_vec())
        .with_physical_optimizer_rules(planning.physical_optimizers().to_vec())
        .with_query_planner(Arc::new(kalamdb_tables::WritePlanner))
        // DISTINCT ON becomes this one while it is optimized.
        .with_aggregate_functions(vec![first_value_udaf()])
        .build()
}

fn config(partitions: usize) -> SessionConfig {
    let mut config = SessionConfig::new()
        .with_batch_size(BATCH_ROWS)
        .with_target_partitions(partitions.max(1))
        .with_default_catalog_and_schema(CATALOG, DEFAULT_NAMESPACE)
        .with_create_default_catalog_and_schema(false)
        // Ours shows only what the principal may see.
        .with_information_schema(false);
    let options = config.options_mut();
    options.sql_parser.map_string_types_to_utf8view = false;
    // It compares what is said of NULLs before and after planning, which the engine's own CASE and
    // comparisons say differently; rows are not concerned.
    options.execution.skip_physical_aggregate_schema_check = true;
    options.execution.time_zone = Some(String::from("UTC"));
    options.execution.sort_pushdown_buffer_capacity = SORT_PUSHDOWN_BUFFER_BYTES;
    config
}

fn runtime_env(settings: &EngineSettings) -> Result<Arc<RuntimeEnv>, EngineError> {
    let spill_dir = settings.data_dir.join(SPILL_DIR);
    empty_directory(&spill_dir)?;
    let disk = DiskManagerBuilder::default()
        .with_mode(DiskManagerMode::Directories(vec![spill_dir]))
        .with_max_temp_directory_size(settings.spill_bytes_max);
    let pool = GreedyMemoryPool::new(settings.memory_limit_bytes);
    Ok(RuntimeEnvBuilder::new()
        .with_disk_manager_builder(disk)
        .with_memory_pool(Arc::new(TrackConsumersPool::new(pool, NAMED_CONSUMERS)))
        .build_arc()?)
}

/// Removes what statements of an earlier run spilled.
fn empty_directory(path: &Path) -> Result<(), EngineError> {
    let empty = || -> std::io::Result<()> {
        if path.exists() {
            fs::remove_dir_all(path)?;
        }
        fs::create_dir_all(path)
    };
    empty().map_err(|error| EngineError::internal(&format!("empty {}", path.display()), error))
}
