//! Which Redis the model stands for, and how strictly texts are held against it.

use crate::erratum::Erratum;

/// How error replies are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorPolicy {
    /// The whole line.
    Exact,
    /// Only the first word, for example `WRONGTYPE`.
    CodeOnly,
}

/// Departures of early versions of 5.0 that do not show at once, so that whether a server has them must be known before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamHabits {
    /// Nodes take one entry more. (E-117)
    pub roomy_nodes: bool,
    /// XCLAIM makes a consumer, and counts it as seen, even if it claims nothing. (E-121)
    pub claims_make_consumers: bool,
    /// XPENDING counts the consumer it is asked about as seen. (E-126)
    pub pending_counts_as_seen: bool,
}

/// A version of Redis as the model sees it.
#[derive(Clone, Debug)]
pub struct Profile {
    /// For reports, for example `5.0`.
    pub name: &'static str,
    /// How error replies are compared.
    pub errors: ErrorPolicy,
    /// Known departures of this version that are accepted and named; empty for a server that should have none.
    pub errata: Vec<Erratum>,
    /// What early versions do otherwise with streams.
    pub streams: StreamHabits,
    /// How far the server's cached clock may lag behind real time, milliseconds: it stamps keys for OBJECT IDLETIME.
    pub clock_lag_ms: i64,
}

impl Profile {
    /// A live Redis 5.0.x: its errata are accepted.
    pub fn redis_5_0() -> Self {
        Self {
            name: "5.0",
            errors: ErrorPolicy::Exact,
            errata: Erratum::ALL.to_vec(),
            streams: StreamHabits::default(),
            clock_lag_ms: 1100,
        }
    }

    /// A server that should be what the specification says, without errata.
    pub fn strict() -> Self {
        Self { errata: Vec::new(), ..Self::redis_5_0() }
    }
}
