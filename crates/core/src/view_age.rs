//! How long a statement may hold what it reads.
//!
//! While a view lives, storage keeps everything that later statements replace. So no statement
//! keeps one for ever, whether it computes, waits for a client that has stopped reading, or has
//! been asked to run without a time limit.

use std::future::Future;
use std::time::Duration;

use kalamdb_commons::ErrorKind;
use kalamdb_store::ReadView;

use crate::EngineError;

/// Runs `work`, which reads `view`, until the view is older than `age_max`; what `work` holds is
/// let go of then.
///
/// # Errors
/// `DeadlineExceeded` when the view is too old.
pub(crate) async fn within<T>(
    view: &ReadView,
    age_max: Duration,
    work: impl Future<Output = Result<T, EngineError>>,
) -> Result<T, EngineError> {
    let left = age_max.saturating_sub(view.age());
    if left.is_zero() {
        return Err(too_old(age_max));
    }
    tokio::time::timeout(left, work).await.unwrap_or_else(|_| Err(too_old(age_max)))
}

/// Waits for `step`, with which the client takes or gives the next batch.
///
/// # Errors
/// `ResourceExhausted` when nothing has moved for `stall_max`.
pub(crate) async fn unless_stalled<T>(
    stall_max: Duration,
    step: impl Future<Output = T>,
) -> Result<T, EngineError> {
    tokio::time::timeout(stall_max, step).await.map_err(|_| {
        metrics::counter!("kalamdb_clients_stalled_total").increment(1);
        EngineError::new(
            ErrorKind::ResourceExhausted,
            format!(
                "the client neither took nor sent a batch for {stall_max:?} and the statement was \
                 ended, run it again and keep reading, or raise stall_seconds"
            ),
        )
    })
}

fn too_old(age_max: Duration) -> EngineError {
    metrics::counter!("kalamdb_views_too_old_total").increment(1);
    EngineError::new(
        ErrorKind::DeadlineExceeded,
        format!(
            "the statement held the state it reads for more than {age_max:?} and was ended, run it \
             again and read faster, narrow it, or raise view_age_seconds"
        ),
    )
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use kalamdb_store::{Store, StoreOptions};

    use super::*;

    #[tokio::test]
    async fn work_on_a_view_ends_with_its_age() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), StoreOptions::default()).unwrap();
        let view = store.view().unwrap();
        let hour = Duration::from_secs(3600);
        assert_eq!(within(&view, hour, async { Ok(7) }).await.unwrap(), 7);
        let endless = within(&view, Duration::from_millis(20), pending::<Result<(), _>>());
        assert_eq!(endless.await.unwrap_err().kind(), ErrorKind::DeadlineExceeded);
        let too_late = within(&view, Duration::ZERO, async { Ok(7) }).await;
        assert_eq!(too_late.unwrap_err().kind(), ErrorKind::DeadlineExceeded);
    }

    #[tokio::test]
    async fn a_client_that_does_nothing_is_not_waited_for() {
        let stalled = unless_stalled(Duration::from_millis(20), pending::<()>()).await;
        assert_eq!(stalled.unwrap_err().kind(), ErrorKind::ResourceExhausted);
        assert_eq!(unless_stalled(Duration::from_secs(60), async { 7 }).await.unwrap(), 7);
    }
}
