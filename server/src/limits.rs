//! The limit on open files: raised to what `maxclients` needs, or `maxclients` lowered to what the system allows.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that are not clients: log, files, listeners, the poller.
const RESERVED_DESCRIPTORS: u64 = 32;

/// Raises the soft limit as far as `maxclients` needs. Returns how many clients there may be in fact, which is less
/// when the system refuses, or `None` when it refuses any at all.
pub(crate) fn make_room_for_clients(maxclients: u64) -> Option<u64> {
    let wanted = maxclients.saturating_add(RESERVED_DESCRIPTORS);
    let limit = getrlimit(Resource::Nofile);
    let current = limit.current.unwrap_or(u64::MAX);
    if current >= wanted {
        return Some(maxclients);
    }
    // An unprivileged process may go up to its hard limit; a privileged one beyond it.
    let hard = limit.maximum.unwrap_or(u64::MAX);
    let whole = Rlimit { current: Some(wanted), maximum: Some(wanted.max(hard)) };
    let Err(refusal) = setrlimit(Resource::Nofile, whole) else {
        tracing::info!("Increased maximum number of open files to {wanted} (it was originally set to {current}).");
        return Some(maxclients);
    };
    let most = if hard > current && setrlimit(Resource::Nofile, Rlimit { current: Some(hard), ..limit }).is_ok() {
        hard
    } else {
        current
    };
    if most <= RESERVED_DESCRIPTORS {
        tracing::warn!(
            "Your current 'ulimit -n' of {most} is not enough for the server to start. Please increase your open file \
             limit to at least {wanted}. Exiting."
        );
        return None;
    }
    let allowed = most - RESERVED_DESCRIPTORS;
    let refusal = std::io::Error::from(refusal);
    let reason = refusal.to_string();
    let reason = reason.split(" (os error").next().unwrap_or_default();
    tracing::warn!("You requested maxclients of {maxclients} requiring at least {wanted} max file descriptors.");
    tracing::warn!("Server can't set maximum open files to {wanted} because of OS error: {reason}.");
    tracing::warn!(
        "Current maximum open files is {most}. maxclients has been reduced to {allowed} to compensate for low ulimit. \
         If you need higher maxclients increase 'ulimit -n'."
    );
    Some(allowed)
}
