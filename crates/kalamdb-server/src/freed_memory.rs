//! Gives freed memory back to the system.
//!
//! The allocator does so when it is asked for more. After a large statement on a server that then
//! has nothing to do, nobody asks: hundreds of megabytes would stay with a process that is idle.

use std::time::Duration;

use anyhow::Context;

/// How often freed memory is given back: seldom enough that a busy server, which will want it
/// again, loses no time with it.
const INTERVAL: Duration = Duration::from_secs(5);

/// Starts the thread; it lives as long as the process.
///
/// # Errors
/// When the system gives no thread.
pub fn return_it_forever() -> anyhow::Result<()> {
    std::thread::Builder::new()
        .name("kalamdb-memory".to_owned())
        .spawn(|| {
            loop {
                std::thread::sleep(INTERVAL);
                // SAFETY: may be called from any thread at any time; touches no live memory.
                unsafe { libmimalloc_sys::mi_collect(true) };
            }
        })
        .context("cannot start the thread that returns freed memory")?;
    Ok(())
}
