//! Keys that stand where only the arguments tell: behind options and counts.

use super::table::Command;
use crate::number::parse_i64;
use crate::resp::Args;

/// The places of a request's keys, in the order in which COMMAND GETKEYS shows them. None when the request's own count
/// of keys cannot be right; the arity is taken to be checked.
pub(crate) fn places(command: &Command, request: &Args<'_>) -> Option<Vec<usize>> {
    match command.name {
        "sort" => Some(with_stored(request, 2, &[("limit", 2), ("get", 1), ("by", 1)], &["store"])),
        "georadius" | "georadius_ro" | "georadiusbymember" | "georadiusbymember_ro" => {
            Some(with_stored(request, 5, &[], &["store", "storedist"]))
        }
        "eval" | "evalsha" => Some(of_script(request)?.collect()),
        "zunionstore" | "zinterstore" => counted(request),
        "migrate" => Some(super::migrate::key_places(request)),
        "xread" | "xreadgroup" => of_streams(request),
        _ => Some(command.keys(request.len()).collect()),
    }
}

/// The first argument, and the one behind the last of the `store` options; `skipped` options have that many arguments
/// of their own.
fn with_stored(request: &Args<'_>, from: usize, skipped: &[(&str, usize)], store: &[&str]) -> Vec<usize> {
    let mut places = vec![1];
    let mut at = from;
    while at < request.len() {
        if store.iter().any(|option| request.is(at, option)) && at + 1 < request.len() {
            places.truncate(1);
            places.push(at + 1);
            at += 1;
        } else if let Some((_, arguments)) = skipped.iter().find(|(option, _)| request.is(at, option)) {
            at += arguments;
        }
        at += 1;
    }
    places
}

/// The sources, whose number is the third argument, and the destination.
fn counted(request: &Args<'_>) -> Option<Vec<usize>> {
    let count = usize::try_from(parse_i64(request.get(2)?)?).ok()?;
    let sources = 3..3usize.checked_add(count)?;
    (count > 0 && sources.end <= request.len()).then(|| sources.chain([1]).collect())
}

/// What follows the count behind the script.
fn of_script(request: &Args<'_>) -> Option<std::ops::Range<usize>> {
    let count = usize::try_from(parse_i64(request.get(2)?)?).ok()?;
    let keys = 3..3usize.checked_add(count)?;
    (count > 0 && keys.end <= request.len()).then_some(keys)
}

/// The first half of what stands behind STREAMS. [COMMAND-14]
fn of_streams(request: &Args<'_>) -> Option<Vec<usize>> {
    let mut at = 1;
    while !request.is(at, "streams") {
        at += match () {
            () if request.is(at, "block") || request.is(at, "count") => 2,
            () if request.is(at, "group") => 3,
            () if request.is(at, "noack") => 1,
            () => return None,
        };
    }
    let behind = request.len() - at - 1;
    (behind > 0 && behind.is_multiple_of(2)).then(|| (at + 1..at + 1 + behind / 2).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::commands::table::{COMMANDS, find};
    use crate::resp::OwnedArgs;

    #[test]
    fn keys_are_found_behind_options_and_counts() {
        for (request, keys) in [
            ("sort a", Some("a")),
            ("sort a by w* get store store b", Some("a b")),
            ("sort a limit store 1 store b store c", Some("a c")),
            ("sort a store", Some("a")),
            ("georadius a 0 0 1 m store b storedist c", Some("a c")),
            ("georadiusbymember a b 1 m asc", Some("a")),
            ("zunionstore d 2 a b weights 1 2", Some("a b d")),
            ("zunionstore d 3 a b", None),
            ("zinterstore d 0 a", None),
            ("zinterstore d x a", None),
            ("mget a b", Some("a b")),
            ("migrate h 1 k 0 10 copy keys", Some("k")),
            ("migrate h 1 k 0 10 auth keys", Some("k")),
            ("xread streams a b 0 0", Some("a b")),
            ("xread count 1 block streams streams a 0", Some("a")),
            ("xreadgroup group streams c noack streams a >", Some("a")),
            ("xread streams a b 0", None),
            ("xread count 1 streams", None),
            ("xread limit 1 streams a 0", None),
            ("xread block 1 count", None),
        ] {
            let owned = OwnedArgs::new(request.split(' ').map(str::as_bytes));
            let request = owned.as_args();
            let Some(command) = find(&request[0]) else { continue };
            let found = places(&COMMANDS[command], &request);
            let shown = found.map(|places| places.into_iter().map(|place| request[place].to_vec()).collect::<Vec<_>>());
            let keys = keys.map(|keys| keys.split(' ').map(|key| key.as_bytes().to_vec()).collect::<Vec<_>>());
            assert_eq!(shown, keys, "{owned:?}");
        }
    }
}
