//! Panics where a library reads what a client sent: they are the client's fault, not a defect.
//!
//! The Arrow reader checks most of a message and panics on some of what it does not check. Such a
//! panic ends the reading of that message only, and is not logged as a defect.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};

thread_local! {
    /// True while this thread reads what a client sent.
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// Keeps contained panics out of the log; every other panic is reported as before.
pub fn install_hook() {
    let report = take_hook();
    set_hook(Box::new(move |panic| {
        if CONTAINED.get() {
            tracing::debug!(reason = %panic, "a client sent data that cannot be read");
        } else {
            report(panic);
        }
    }));
}

/// The outcome of `read`, or `None` when it panicked. What `read` works on must not be used
/// again after that.
pub fn contain<T>(read: impl FnOnce() -> T) -> Option<T> {
    let outer = CONTAINED.replace(true);
    let outcome = catch_unwind(AssertUnwindSafe(read));
    CONTAINED.set(outer);
    outcome.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_contained_and_the_thread_goes_on() {
        assert_eq!(contain(|| 1), Some(1));
        assert_eq!(contain(|| -> i32 { panic!("boom") }), None);
        assert!(!CONTAINED.get());
        assert_eq!(contain(|| 2), Some(2));
    }
}
