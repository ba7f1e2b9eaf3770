//! What one execution of one statement runs with.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use datafusion::prelude::SessionConfig;
use kalamdb_commons::Principal;
use kalamdb_sql::CatalogSnapshot;
use kalamdb_store::ReadView;

use crate::{CheckPlans, ScanPool, StatementRows, TablesError};

/// Asks everything that works for a statement to stop; checked once per batch.
#[derive(Debug, Clone, Default)]
pub struct CancelFlag(Arc<AtomicBool>);

impl CancelFlag {
    /// A flag that is not set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the flag, for good.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// True once [`CancelFlag::cancel`] was called.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What one execution of one statement runs with. Plans and providers hold none of it, so an
/// analyzed plan can be kept and executed again with another view.
///
/// It travels as an extension of the session's configuration:
/// `SessionConfig::with_extension(Arc<StatementContext>)`.
pub struct StatementContext {
    /// The snapshot all tables of the statement are read at.
    pub view: Arc<ReadView>,
    /// On whose behalf the statement runs; binds USER tables to their owner.
    pub principal: Principal,
    /// The catalog the statement sees; its table versions must be those of the plan.
    pub catalog: Arc<CatalogSnapshot>,
    /// Where large scans run.
    pub scan_pool: Arc<ScanPool>,
    /// The CHECK constraints of tables, ready to be computed.
    pub checks: Arc<CheckPlans>,
    /// Set when the client has gone or the time is up.
    pub cancel: CancelFlag,
    /// What the parts of a changing statement tell each other.
    pub rows: StatementRows,
}

impl std::fmt::Debug for StatementContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StatementContext")
            .field("commit_seq", &self.view.commit_seq())
            .field("principal", &self.principal)
            .finish_non_exhaustive()
    }
}

impl StatementContext {
    /// A context with a fresh cancel flag.
    pub fn new(
        view: Arc<ReadView>,
        principal: Principal,
        catalog: Arc<CatalogSnapshot>,
        scan_pool: Arc<ScanPool>,
        checks: Arc<CheckPlans>,
    ) -> Arc<Self> {
        let (cancel, rows) = (CancelFlag::new(), StatementRows::default());
        Arc::new(Self { view, principal, catalog, scan_pool, checks, cancel, rows })
    }

    /// The context an execution was given.
    pub(crate) fn of(config: &SessionConfig) -> Result<Arc<Self>, TablesError> {
        config.get_extension::<Self>().ok_or(TablesError::NoContext)
    }
}
