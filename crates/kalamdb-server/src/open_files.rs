//! The limit on open files: connections must never take the handles that storage needs.

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};

/// Handles that everything but connections may need: storage, spilling, logs.
const OTHERS: u64 = 1024;
/// Connections that are offered even where that leaves storage fewer.
const CONNECTIONS_MIN: u64 = 64;

/// Raises the limit so that `wanted` connections fit beside everything else; answers how many do.
pub fn make_room(wanted: usize) -> usize {
    let wanted = u64::try_from(wanted).unwrap_or(u64::MAX);
    let (mut handles, maximum) = match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((RLIM_INFINITY, _)) => return fitting(wanted, None),
        Ok(limits) => limits,
        Err(error) => {
            tracing::debug!(%error, "the limit on open files is not known");
            return fitting(wanted, None);
        }
    };
    let needed = wanted.saturating_add(OTHERS);
    if handles < needed {
        let raised = maximum.min(needed);
        match setrlimit(Resource::RLIMIT_NOFILE, raised, maximum) {
            Ok(()) => handles = raised,
            Err(error) => tracing::debug!(%error, "the limit on open files stays {handles}"),
        }
    }
    fitting(wanted, Some(handles))
}

fn fitting(wanted: u64, handles: Option<u64>) -> usize {
    let room = handles.map_or(u64::MAX, |handles| handles.saturating_sub(OTHERS));
    let connections = wanted.min(room.max(CONNECTIONS_MIN));
    if connections < wanted {
        tracing::warn!(
            wanted,
            connections,
            "the limit on open files leaves room for fewer connections, raise it (ulimit -n)"
        );
    }
    usize::try_from(connections).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_handles_for_storage() {
        assert_eq!(fitting(4096, None), 4096);
        assert_eq!(fitting(4096, Some(1 << 20)), 4096);
        assert_eq!(fitting(4096, Some(2048)), 1024);
        assert_eq!(fitting(4096, Some(256)), 64);
        assert_eq!(fitting(8, Some(256)), 8);
    }
}
