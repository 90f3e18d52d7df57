//! What is known of a version of Redis beyond its specification: what kills it, what exhausts it.

use tally_model::ErrorPolicy;
pub use tally_model::Profile;
use tally_model::stream::StreamId;

use crate::generator::{Body, classify};
use crate::request::Request;

/// A named version, chosen by `--profile`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// As `--profile` names it.
    pub name: &'static str,
}

impl Version {
    /// Redis 5.0.
    pub const REDIS_5_0: Self = Self { name: "5.0" };

    /// The version of that name.
    pub fn of_name(name: &str) -> Option<Self> {
        matches!(name, "5.0" | "5").then_some(Self::REDIS_5_0)
    }

    /// What the model accepts for it.
    pub fn model(self, accept_errata: bool, only_error_codes: bool) -> Profile {
        let errors = if only_error_codes { ErrorPolicy::CodeOnly } else { ErrorPolicy::Exact };
        let profile = if accept_errata { Profile::redis_5_0() } else { Profile::strict() };
        Profile { errors, ..profile }
    }
}

/// Bytes above which a single command is not sent: so that one run stays within a gigabyte.
const MOST_BYTES: i64 = 4 * 1024 * 1024;

/// The most samples for which a real server's stack has room, with much to spare.
const MOST_SAMPLES: i64 = 10_000;

/// The longest CLIENT PAUSE of a run, milliseconds.
const LONGEST_PAUSE_MS: i64 = 5000;

/// The length that strings cannot exceed, bytes: an offset beyond it is refused, one below is paid for.
const STRING_LIMIT: i64 = 512 * 1024 * 1024;

/// Does the command end, stop or lock up any server, because that is what it is for? Says why.
pub fn ends_service(request: &Request) -> Option<&'static str> {
    if request.is(0, "shutdown") {
        return Some("ends the server");
    }
    if request.is(0, "debug") {
        return debug_is_lethal(request);
    }
    if request.is(0, "config") && request.is(1, "set") && request.is(2, "requirepass") {
        return Some("locks out whoever else uses the server");
    }
    if request.is(0, "client") && request.is(1, "kill") && kills_anyone(request) {
        return Some("closes connections that are not the run's");
    }
    if request.is(0, "client")
        && request.is(1, "pause")
        && number(request.argument(2)).is_some_and(|ms| ms > LONGEST_PAUSE_MS)
    {
        return Some("stops the server for a while");
    }
    if request.is(0, "migrate") && !leads_nowhere(request) {
        return Some("hands keys to whoever listens there");
    }
    if ["slaveof", "replicaof", "sync", "psync"].into_iter().any(|name| request.is(0, name)) {
        return Some("changes the server's role or the connection's");
    }
    None
}

/// Does the command ask for the end of its own connection?
pub fn ends_connection(request: &Request) -> bool {
    ["quit", "post", "host:"].into_iter().any(|name| request.is(0, name))
}

/// As [`ends_connection`], or may whoever says it be among those whom it closes?
pub fn may_end_connection(request: &Request) -> bool {
    ends_connection(request) || request.is(0, "client") && request.is(1, "kill")
}

/// Does the command do, or lead to, what only replies tell: a choice, a wait, a transaction's end, a message, or whether a
/// known defect kept SORT from storing? Then it is not sent by clients that asked for no replies.
pub fn needs_replies(request: &Request) -> bool {
    const NAMES: [&str; 13] = [
        "spop",
        "sort",
        "wait",
        "multi",
        "exec",
        "blpop",
        "brpop",
        "brpoplpush",
        "bzpopmin",
        "bzpopmax",
        "subscribe",
        "psubscribe",
        "monitor",
    ];
    NAMES.into_iter().any(|name| request.is(0, name)) || request.is(0, "client") && request.is(1, "id")
}

/// Does the command add an entry to a stream, whose id is a live server's time, without telling it? Scripts need not return it.
pub fn adds_untold(request: &Request, quiet: bool) -> bool {
    let in_script = request.is(0, "eval") || request.is(0, "script");
    quiet && request.is(0, "xadd")
        || in_script && request.arguments().any(|text| text.windows(4).any(|word| word.eq_ignore_ascii_case(b"xadd")))
}

/// Does the command change the state of its own connection in a way that leaves half a reply when it is run by EXEC, or
/// stop the server for what a file takes?
pub fn is_unfit_in_transaction(request: &Request) -> bool {
    const NAMES: [&str; 12] = [
        "monitor",
        "subscribe",
        "psubscribe",
        "unsubscribe",
        "punsubscribe",
        "save",
        "bgsave",
        "bgrewriteaof",
        "shutdown",
        "post",
        "host:",
        "sync",
    ];
    NAMES.into_iter().any(|name| request.is(0, name))
        || request.is(0, "client") && ["reply", "kill", "pause"].into_iter().any(|word| request.is(1, word))
        || request.is(0, "config") && request.is(1, "rewrite")
        || request.is(0, "debug") && ["reload", "loadaof", "restart"].into_iter().any(|word| request.is(1, word))
}

/// Would the command make a server of the profile crash, hang or fill its memory? Says why.
pub fn lethal(request: &Request) -> Option<&'static str> {
    if request.is(0, "setrange") && number(request.argument(2)).is_some_and(|offset| offset > i64::MAX - (1 << 32)) {
        return Some("the sum of offset and length overflows, and 5.0.14 crashes");
    }
    if request.is(0, "srandmember") && number(request.argument(2)).is_some_and(|count| count < -2_147_483_647) {
        return Some("5.0.14 fills memory with repetitions");
    }
    if (request.is(0, "restore") || request.is(0, "restore-asking")) && classify(request.argument(3)) == Body::Other {
        return Some("5.0.14 exits on a damaged value with a right checksum");
    }
    let finds_places = request.is(0, "georadius") || request.is(0, "georadiusbymember");
    if finds_places && (2..request.len()).any(|index| request.is(index, "store") || request.is(index, "storedist")) {
        return Some("5.0.14 may overlook members (E-63), and what it stored then nobody knows");
    }
    if request.is(0, "xadd") || request.is(0, "xsetid") {
        return makes_last_id(request)
            .then_some("5.0.6 goes on behind the greatest id, and breaks their order (E-111)");
    }
    if request.is(0, "sort") {
        return sort_is_lethal(request);
    }
    let sets_samples = request.is(0, "config") && request.is(1, "set") && request.is(2, "maxmemory-samples");
    if sets_samples && number(request.argument(3)).is_some_and(|samples| samples > MOST_SAMPLES) {
        return Some("5.0 crashes when it evicts then (E-181)");
    }
    // When the script was made its commands were looked at with other arguments.
    if request.is(0, "evalsha")
        && request
            .arguments()
            .skip(3)
            .filter_map(number)
            .any(|number| number.unsigned_abs() > MOST_BYTES.unsigned_abs())
    {
        return Some("the script may take the number for an offset or a count");
    }
    None
}

/// What a server cannot be asked of SORT: E-41 breaks the stream of replies, and what E-52 stores nobody can foretell.
fn sort_is_lethal(request: &Request) -> Option<&'static str> {
    let words = 2..request.len();
    let has = |name: &str| words.clone().any(|index| request.is(index, name));
    let overflows = words.clone().filter(|&index| request.is(index, "limit")).any(|index| {
        let end = |index: usize| number(request.argument(index)).unwrap_or(0).max(0);
        end(index + 1).checked_add(end(index + 2)).is_none()
    });
    if overflows {
        return Some("the sum of LIMIT's numbers overflows, and 5.0.14 announces elements that do not come");
    }
    (has("by") && has("alpha") && has("store")).then_some("5.0.14 stores equal weights in any order")
}

/// Is an argument an id that has no other behind it in its millisecond, where that is not long past?
fn makes_last_id(request: &Request) -> bool {
    const FAR: u64 = 1 << 40;
    let is_last = |text: &[u8]| {
        let id = StreamId::parse(text, 0);
        id.is_some_and(|id| id.ms == u64::MAX || id.ms > FAR && id.seq >= u64::MAX - 1)
    };
    (2..request.len()).any(|index| is_last(request.argument(index)))
}

/// Is MIGRATE's target one of the ports of this host that nobody listens at?
fn leads_nowhere(request: &Request) -> bool {
    let port = number(request.argument(2));
    request.argument(1) == b"127.0.0.1" && port.is_some_and(|port| port <= 1)
}

/// Does CLIENT KILL with filters spare nobody by address or id?
fn kills_anyone(request: &Request) -> bool {
    let mut filters = (2..request.len()).step_by(2);
    let names_one = |index: usize| {
        request.is(index, "addr")
            || request.is(index, "id") && number(request.argument(index + 1)).is_none_or(|id| id > 0)
            || request.is(index, "type") && !request.is(index + 1, "normal")
    };
    request.len() > 3 && !filters.any(names_one)
}

fn debug_is_lethal(request: &Request) -> Option<&'static str> {
    const FATAL: [&str; 8] =
        ["segfault", "panic", "restart", "crash-and-recover", "oom", "assert", "loadaof", "change-repl-id"];
    if FATAL.into_iter().any(|name| request.is(1, name)) {
        return Some("ends the server or needs files it may not have");
    }
    if request.is(1, "sleep") && request.argument(2) != b"0" {
        return Some("stops the server for a while");
    }
    if request.is(1, "populate") && number(request.argument(2)).is_some_and(|count| count > 100_000) {
        return Some("fills memory");
    }
    None
}

/// Would the command make any server spend more memory than a run may?
pub fn is_wasteful(request: &Request) -> bool {
    let within = |offset: Option<i64>| offset.is_some_and(|bytes| (MOST_BYTES..STRING_LIMIT).contains(&bytes));
    if request.is(0, "setrange") {
        return within(number(request.argument(2)));
    }
    if request.is(0, "srandmember") {
        // A negative count allows repetitions, so the answer is as long as it says; beyond this it is refused (E-42).
        return number(request.argument(2)).is_some_and(|count| (-2_147_483_647..-100_000).contains(&count));
    }
    if request.is(0, "setbit") {
        return within(number(request.argument(2)).map(|bits| bits >> 3));
    }
    if request.is(0, "bitfield") {
        return field_offsets(request).any(|argument| {
            let (factor, digits) = match argument {
                [b'#', digits @ ..] => (64, digits),
                digits => (1, digits),
            };
            within(number(digits).and_then(|offset| offset.checked_mul(factor)).map(|bits| bits >> 3))
        });
    }
    false
}

/// The offsets that BITFIELD's operations name, up to the first word that is no operation: there it fails as a whole.
fn field_offsets(request: &Request) -> impl Iterator<Item = &[u8]> {
    let mut at = 2;
    std::iter::from_fn(move || {
        while request.is(at, "overflow") {
            at += 2;
        }
        let offset = at + 2;
        at += match () {
            () if request.is(at, "get") => 3,
            () if request.is(at, "set") || request.is(at, "incrby") => 4,
            () => return None,
        };
        Some(request.argument(offset))
    })
}

fn number(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::request::split_arguments;

    #[test]
    fn what_kills_or_exhausts_is_known() {
        let request = |line: &str| split_arguments(line).unwrap();
        assert!(lethal(&request("SETRANGE k 9223372036854775807 x")).is_some());
        assert!(ends_service(&request("client pause 9223372036854775807")).is_some());
        assert!(ends_service(&request("client pause 20")).is_none());
        assert!(lethal(&request("setrange k 9 x")).is_none());
        assert!(ends_service(&request("migrate 127.0.0.1 1 k 0 10")).is_none());
        assert!(ends_service(&request("migrate 127.0.0.1 6379 k 0 10")).is_some());
        assert!(ends_service(&request("migrate example.org 1 k 0 10")).is_some());
        assert!(ends_service(&request("debug SEGFAULT")).is_some());
        assert!(lethal(&request("sort k limit 5 9223372036854775806")).is_some());
        assert!(lethal(&request("sort k limit 0 9223372036854775807 alpha store d")).is_none());
        assert!(lethal(&request("sort k by w_* alpha store d")).is_some());
        assert!(lethal(&request("restore k 0 x")).is_none());
        assert!(lethal(&request("config set maxmemory-samples 2147483647")).is_some());
        assert!(lethal(&request("config set maxmemory-samples 10")).is_none());
        assert!(is_wasteful(&request("setbit k 4294967295 1")));
        assert!(!is_wasteful(&request("setbit k 4294967296 1")));
        assert!(is_wasteful(&request("SRANDMEMBER k -1000000")));
        assert!(lethal(&request("SRANDMEMBER k -9223372036854775808")).is_some());
        assert!(lethal(&request("evalsha ab 1 k -9223372036854775808")).is_some());
        assert!(lethal(&request("evalsha ab 1 k 127 v")).is_none());
        assert!(is_wasteful(&request("BITFIELD k SET u8 #60000000 1")));
        assert!(!is_wasteful(&request("BITFIELD k SET u8 #6 2147483648")));
        assert!(is_wasteful(&request("BITFIELD k OVERFLOW SAT GET u8 0 INCRBY u8 2147483648 1")));
    }
}
