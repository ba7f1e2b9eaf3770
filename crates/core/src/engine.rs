//! The engine: opens the data directory, holds the catalog, the threads and the limits.

use std::sync::Arc;

use datafusion::execution::SessionState;
use datafusion::optimizer::Optimizer;
use kalamdb_commons::{ErrorKind, Principal};
use kalamdb_sql::{Catalog, CatalogSnapshot, RESERVED_NAMESPACES, ROOT_USER};
use kalamdb_store::{ReadView, Store, StoreOptions};
use kalamdb_tables::{CheckPlans, ScanPool, StatementContext, catalog_list};

use crate::runtime::ExecutionRuntime;
use crate::session::Session;
use crate::{
    EngineError, EngineSettings, MetadataView, literals, optimize, secrets, session_state,
};

/// One state of all tables, for a result that may be read more than once.
#[derive(Debug, Clone)]
pub struct PinnedView(pub(crate) Arc<ReadView>);

/// Tells whether what was found out about a user before still holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UserRevision {
    /// When the password or the role was last set, µs since the Unix epoch: a password verified
    /// before says nothing any more.
    pub changed_at_us: i64,
    /// Counts changes of the password: a token issued in an earlier generation has ended.
    pub credential_generation: u64,
}

/// Everything behind the wire. One per process; shared as `Arc`.
pub struct Engine {
    pub(crate) settings: EngineSettings,
    pub(crate) store: Arc<Store>,
    pub(crate) catalog: Arc<Catalog>,
    /// Has all functions.
    pub(crate) planning: SessionState,
    /// What the state of a run is cloned from.
    pub(crate) running: SessionState,
    pub(crate) optimizer_of_one_table: Optimizer,
    pub(crate) execution: ExecutionRuntime,
    scan_pool: Arc<ScanPool>,
    pub(crate) checks: Arc<CheckPlans>,
    token_secret: [u8; secrets::TOKEN_SECRET_BYTES],
    root_password_written: bool,
}

impl Engine {
    /// Opens (or creates) the data directory. Blocking: recovery replays the write-ahead log.
    ///
    /// # Errors
    /// `DataLoss` when commits that were durable are missing, `FailedPrecondition` when another
    /// process holds the directory.
    pub fn open(settings: EngineSettings) -> Result<Arc<Self>, EngineError> {
        std::fs::create_dir_all(&settings.data_dir).map_err(|error| {
            EngineError::internal(
                &format!("create the data directory {}", settings.data_dir.display()),
                error,
            )
        })?;
        let options = StoreOptions {
            accept_data_loss: settings.accept_data_loss,
            block_cache_bytes: settings.block_cache_bytes,
            free_space_floor_bytes: settings.free_space_floor_bytes,
            clock: Arc::clone(&settings.clock),
            ..StoreOptions::default()
        };
        let store = Store::open(&settings.data_dir, options)?;
        let token_secret = secrets::token_secret(&settings.data_dir)?;
        let catalog =
            Arc::new(Catalog::open_with_clock(Arc::clone(&store), Arc::clone(&settings.clock))?);
        let root_password_written = ensure_root(&catalog, &settings)?;
        let planning = session_state::planning(&settings)?;
        let running = session_state::running(&planning);
        let optimizer_of_one_table = optimize::of_one_table(running.optimizers());
        let execution = ExecutionRuntime::start(settings.execution_threads)?;
        let checks = CheckPlans::new(planning.clone(), literals::fit);
        let scan_pool = ScanPool::new(settings.execution_threads);
        Ok(Arc::new(Self {
            settings,
            store,
            catalog,
            planning,
            running,
            optimizer_of_one_table,
            execution,
            scan_pool,
            checks,
            token_secret,
            root_password_written,
        }))
    }

    /// Drains the committer, syncs the log and marks the directory cleanly closed. Blocking.
    pub fn close(&self) {
        self.store.close();
    }

    /// True when this start generated the root password and wrote it to
    /// `<data-dir>/root-password`.
    pub fn root_password_written(&self) -> bool {
        self.root_password_written
    }

    /// The settings the engine was opened with.
    pub fn settings(&self) -> &EngineSettings {
        &self.settings
    }

    /// The key that signs tokens and tickets; random, kept in the data directory.
    pub fn token_secret(&self) -> &[u8; secrets::TOKEN_SECRET_BYTES] {
        &self.token_secret
    }

    /// Checks a user's password. Costs the same whether or not the user exists: a core for tens
    /// of milliseconds and 19 MiB, so the caller bounds how many checks run at once.
    ///
    /// # Errors
    /// `Unauthenticated` when they do not match.
    pub async fn sign_in(&self, user: &str, password: &str) -> Result<Principal, EngineError> {
        let (user, password) = (user.to_owned(), password.to_owned());
        let catalog = Arc::clone(&self.catalog);
        self.execution.run_blocking(move || Ok(catalog.verify_password(&user, &password)?)).await
    }

    /// The principal of a user who has shown a token: the role is the current one.
    ///
    /// # Errors
    /// `Unauthenticated` when the user is no more.
    pub fn principal(&self, user: &str) -> Result<Principal, EngineError> {
        let catalog = self.catalog.snapshot();
        catalog.user(user).map(|user| user.principal()).ok_or_else(|| {
            EngineError::new(
                ErrorKind::Unauthenticated,
                format!("user '{user}' is no more, sign in as another"),
            )
        })
    }

    /// How recent what somebody shows for the user must be. `None` for a user that does not exist.
    pub fn user_revision(&self, user: &str) -> Option<UserRevision> {
        self.catalog.snapshot().user(user).map(|user| UserRevision {
            changed_at_us: user.updated_at_us,
            credential_generation: user.credential_generation,
        })
    }

    /// A new session of `principal`.
    pub fn session(&self, principal: Principal) -> Arc<Session> {
        Session::new(principal, self.settings.statement_timeout)
    }

    /// Makes the session's unqualified names mean `namespace`.
    ///
    /// # Errors
    /// `NotFound` when there is no such namespace that the principal may see.
    pub fn use_namespace(&self, session: &Session, namespace: &str) -> Result<(), EngineError> {
        let snapshot = self.catalog.snapshot();
        if !RESERVED_NAMESPACES.contains(&namespace) {
            snapshot.shown_namespace(session.principal(), namespace)?;
        }
        session.set_namespace(namespace);
        Ok(())
    }

    /// What there is, as far as `principal` may see it.
    pub fn metadata(&self, principal: &Principal) -> MetadataView {
        let catalog = self.catalog.snapshot();
        let providers = catalog_list(Arc::clone(&catalog), principal.clone());
        MetadataView::new(catalog, principal.clone(), providers)
    }

    /// Keeps the present state of all tables readable, for as long as the pin lives. While it
    /// does, storage keeps what later statements replace: do not hold one for long.
    pub fn pin(&self) -> Result<PinnedView, EngineError> {
        Ok(PinnedView(self.store.view()?))
    }

    /// What one run of a statement reads through and on whose behalf.
    pub(crate) fn statement_context(
        &self,
        principal: &Principal,
        catalog: Arc<CatalogSnapshot>,
        view: Arc<ReadView>,
    ) -> Arc<StatementContext> {
        let (scan_pool, checks) = (Arc::clone(&self.scan_pool), Arc::clone(&self.checks));
        StatementContext::new(view, principal.clone(), catalog, scan_pool, checks)
    }
}

fn ensure_root(catalog: &Catalog, settings: &EngineSettings) -> Result<bool, EngineError> {
    if catalog.snapshot().user(ROOT_USER).is_some() {
        return Ok(false);
    }
    match &settings.root_password {
        Some(password) => {
            catalog.ensure_root(password)?;
            Ok(false)
        }
        None => {
            let password = secrets::generate_root_password(&settings.data_dir)?;
            catalog.ensure_root(&password)?;
            Ok(true)
        }
    }
}
