//! The directives: names, values, and what the model knows of their present values.

use std::collections::BTreeMap;

use super::config_rules::Rule;
use crate::notify::Flags;
use crate::numbers::parse_integer;
use crate::reply::Bytes;
use crate::shared::Shared;
use crate::thresholds::Thresholds;

/// One directive.
#[derive(Clone, Copy, Debug)]
pub struct Directive {
    /// Its name, the one with `slave` where there are two.
    pub name: &'static str,
    /// Its other name. [CONFIG-4]
    pub alias: Option<&'static str>,
    /// The values it admits.
    pub rule: Rule,
    /// Its default, where the host or the way it was started does not decide it.
    pub default: Option<&'static str>,
}

const fn directive(
    name: &'static str,
    alias: Option<&'static str>,
    rule: Rule,
    default: Option<&'static str>,
) -> Directive {
    Directive { name, alias, rule, default }
}

const INT: i64 = i32::MAX as i64;
const LONG: i64 = i64::MAX;
const POLICIES: &[&str] = &[
    "volatile-lru",
    "volatile-lfu",
    "volatile-random",
    "volatile-ttl",
    "allkeys-lru",
    "allkeys-lfu",
    "allkeys-random",
    "noeviction",
];

/// All directives, sorted by name.
#[rustfmt::skip]
pub static DIRECTIVES: &[Directive] = &[
    directive("active-defrag-cycle-max", None, Rule::Integer(1, 99), Some("75")),
    directive("active-defrag-cycle-min", None, Rule::Integer(1, 99), Some("5")),
    directive("active-defrag-ignore-bytes", None, Rule::Memory, Some("104857600")),
    directive("active-defrag-max-scan-fields", None, Rule::Integer(1, LONG), Some("1000")),
    directive("active-defrag-threshold-lower", None, Rule::Integer(0, 1000), Some("10")),
    directive("active-defrag-threshold-upper", None, Rule::Integer(0, 1000), Some("100")),
    directive("activedefrag", None, Rule::Switch, Some("no")),
    directive("activerehashing", None, Rule::Switch, Some("yes")),
    directive("aof-load-truncated", None, Rule::Switch, Some("yes")),
    directive("aof-rewrite-incremental-fsync", None, Rule::Switch, Some("yes")),
    directive("aof-use-rdb-preamble", None, Rule::Switch, Some("yes")),
    directive("appendfsync", None, Rule::Word(&["always", "everysec", "no"]), Some("everysec")),
    directive("appendonly", None, Rule::Switch, Some("no")),
    directive("auto-aof-rewrite-min-size", None, Rule::Memory, Some("67108864")),
    directive("auto-aof-rewrite-percentage", None, Rule::Integer(0, INT), Some("100")),
    directive("bind", None, Rule::Fixed, None),
    directive("client-output-buffer-limit", None, Rule::OutputLimits, Some("normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60")),
    directive("client-query-buffer-limit", None, Rule::Memory, Some("1073741824")),
    directive("cluster-announce-bus-port", None, Rule::Integer(0, 65_535), Some("0")),
    directive("cluster-announce-ip", None, Rule::Text(usize::MAX), Some("")),
    directive("cluster-announce-port", None, Rule::Integer(0, 65_535), Some("0")),
    directive("cluster-migration-barrier", None, Rule::Integer(0, INT), Some("1")),
    directive("cluster-node-timeout", None, Rule::Integer(0, LONG), Some("15000")),
    directive("cluster-require-full-coverage", None, Rule::Switch, Some("yes")),
    directive("cluster-slave-no-failover", Some("cluster-replica-no-failover"), Rule::Switch, Some("no")),
    directive("cluster-slave-validity-factor", Some("cluster-replica-validity-factor"), Rule::Integer(0, INT), Some("10")),
    directive("daemonize", None, Rule::Fixed, None),
    directive("databases", None, Rule::Fixed, None),
    directive("dbfilename", None, Rule::FileName, Some("dump.rdb")),
    directive("dir", None, Rule::Directory, None),
    directive("dynamic-hz", None, Rule::Switch, Some("yes")),
    directive("hash-max-ziplist-entries", None, Rule::Integer(0, LONG), Some("512")),
    directive("hash-max-ziplist-value", None, Rule::Integer(0, LONG), Some("64")),
    directive("hll-sparse-max-bytes", None, Rule::Integer(0, LONG), Some("3000")),
    directive("hz", None, Rule::Hz, Some("10")),
    directive("latency-monitor-threshold", None, Rule::Integer(0, LONG), Some("0")),
    directive("lazyfree-lazy-eviction", None, Rule::Switch, Some("no")),
    directive("lazyfree-lazy-expire", None, Rule::Switch, Some("no")),
    directive("lazyfree-lazy-server-del", None, Rule::Switch, Some("no")),
    directive("lfu-decay-time", None, Rule::Integer(0, INT), Some("1")),
    directive("lfu-log-factor", None, Rule::Integer(0, INT), Some("10")),
    directive("list-compress-depth", None, Rule::Integer(0, INT), Some("0")),
    directive("list-max-ziplist-size", None, Rule::Integer(-INT - 1, INT), Some("-2")),
    directive("logfile", None, Rule::Fixed, None),
    directive("loglevel", None, Rule::Word(&["debug", "verbose", "notice", "warning"]), Some("notice")),
    directive("lua-time-limit", None, Rule::Integer(0, LONG), Some("5000")),
    directive("masterauth", None, Rule::Text(usize::MAX), Some("")),
    directive("maxclients", None, Rule::MaxClients, None),
    directive("maxmemory", None, Rule::Memory, Some("0")),
    directive("maxmemory-policy", None, Rule::Word(POLICIES), Some("noeviction")),
    directive("maxmemory-samples", None, Rule::Integer(1, INT), Some("5")),
    directive("min-slaves-max-lag", Some("min-replicas-max-lag"), Rule::Integer(0, INT), Some("10")),
    directive("min-slaves-to-write", Some("min-replicas-to-write"), Rule::Integer(0, INT), Some("0")),
    directive("no-appendfsync-on-rewrite", None, Rule::Switch, Some("no")),
    directive("notify-keyspace-events", None, Rule::Events, Some("")),
    directive("pidfile", None, Rule::Fixed, None),
    directive("port", None, Rule::Fixed, None),
    directive("protected-mode", None, Rule::Switch, Some("yes")),
    directive("proto-max-bulk-len", None, Rule::BulkLength, Some("536870912")),
    directive("rdb-save-incremental-fsync", None, Rule::Switch, Some("yes")),
    directive("rdbchecksum", None, Rule::Fixed, Some("yes")),
    directive("rdbcompression", None, Rule::Switch, Some("yes")),
    directive("repl-backlog-size", None, Rule::Backlog, Some("1048576")),
    directive("repl-backlog-ttl", None, Rule::Integer(0, LONG), Some("3600")),
    directive("repl-disable-tcp-nodelay", None, Rule::Switch, Some("no")),
    directive("repl-diskless-sync", None, Rule::Switch, Some("no")),
    directive("repl-diskless-sync-delay", None, Rule::Integer(0, INT), Some("5")),
    directive("repl-ping-slave-period", Some("repl-ping-replica-period"), Rule::Integer(1, INT), Some("10")),
    directive("repl-timeout", None, Rule::Integer(1, INT), Some("60")),
    directive("requirepass", None, Rule::Text(512), Some("")),
    directive("save", None, Rule::Save, None),
    directive("set-max-intset-entries", None, Rule::Integer(0, LONG), Some("512")),
    directive("slave-announce-ip", Some("replica-announce-ip"), Rule::Text(usize::MAX), Some("")),
    directive("slave-announce-port", Some("replica-announce-port"), Rule::Integer(0, 65_535), Some("0")),
    directive("slave-ignore-maxmemory", Some("replica-ignore-maxmemory"), Rule::Switch, Some("yes")),
    directive("slave-lazy-flush", Some("replica-lazy-flush"), Rule::Switch, Some("no")),
    directive("slave-priority", Some("replica-priority"), Rule::Integer(0, INT), Some("100")),
    directive("slave-read-only", Some("replica-read-only"), Rule::Switch, Some("yes")),
    directive("slave-serve-stale-data", Some("replica-serve-stale-data"), Rule::Switch, Some("yes")),
    directive("slaveof", None, Rule::Fixed, None),
    directive("slowlog-log-slower-than", None, Rule::Integer(-1, LONG), Some("10000")),
    directive("slowlog-max-len", None, Rule::Integer(0, LONG), Some("128")),
    directive("stop-writes-on-bgsave-error", None, Rule::Switch, Some("yes")),
    directive("stream-node-max-bytes", None, Rule::Integer(0, LONG), Some("4096")),
    directive("stream-node-max-entries", None, Rule::Integer(0, LONG), Some("100")),
    directive("supervised", None, Rule::Fixed, None),
    directive("syslog-facility", None, Rule::Fixed, None),
    directive("tcp-backlog", None, Rule::Fixed, None),
    directive("tcp-keepalive", None, Rule::Integer(0, INT), Some("300")),
    directive("timeout", None, Rule::Integer(0, INT), Some("0")),
    directive("unixsocket", None, Rule::Fixed, None),
    directive("unixsocketperm", None, Rule::Fixed, None),
    directive("watchdog-period", None, Rule::Watchdog, Some("0")),
    directive("zset-max-ziplist-entries", None, Rule::Integer(0, LONG), Some("128")),
    directive("zset-max-ziplist-value", None, Rule::Integer(0, LONG), Some("64")),
];

impl Directive {
    /// Finds a directive by one of its names in any letter case.
    pub fn find(name: &[u8]) -> Option<&'static Self> {
        let name = name.to_ascii_lowercase();
        DIRECTIVES.iter().find(|directive| directive.names().any(|known| known.as_bytes() == name))
    }

    /// Its one or two names.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.alias)
    }
}

/// What is known of a directive's value.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Known {
    /// This is the default, which the server may have been started without.
    Assumed(Bytes),
    /// This was set or read.
    Surely(Bytes),
    /// Nothing.
    Not,
}

/// The present values, as far as they are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    values: Shared<BTreeMap<&'static str, Known>>,
    effects: Effects,
}

/// What the values mean for commands that ask at every call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// `maxmemory` in bytes, 0 for none or if it is not known.
    pub memory_limit: i64,
    /// Connections have to authenticate.
    pub has_password: bool,
    /// Expired keys are propagated as UNLINK.
    pub lazy_expire: bool,
    /// Integers 0 to 9999 are shared objects.
    pub shares_integers: bool,
    /// The policy is an LFU one.
    pub counts_frequency: bool,
    /// When collections leave their small encodings.
    pub thresholds: Thresholds,
    /// Which events of keys are published. [NOTIFY-14]
    pub events: Flags,
    /// Samples of latency are taken, or nobody knows.
    pub samples_latency: bool,
    /// Commands that take so many microseconds are logged; `None` if it is not known.
    pub slow_us: Option<i64>,
}

impl Default for Configuration {
    fn default() -> Self {
        let known = |directive: &Directive| match directive.default {
            Some(value) => Known::Assumed(value.as_bytes().to_vec()),
            None => Known::Not,
        };
        let values: BTreeMap<_, _> = DIRECTIVES.iter().map(|directive| (directive.name, known(directive))).collect();
        let mut configuration = Self { values: values.into(), effects: Effects::default() };
        configuration.effects = configuration.worked_out();
        configuration
    }
}

impl Configuration {
    /// The server is known to have been started without any directive: every default is what CONFIG GET has to answer.
    pub fn assure_defaults(&mut self) {
        for known in self.values.values_mut() {
            if let Known::Assumed(value) = known {
                *known = Known::Surely(std::mem::take(value));
            }
        }
    }

    /// A directive's value as CONFIG GET writes it: set, read or assumed.
    pub fn value(&self, name: &str) -> Option<&[u8]> {
        match self.values.get(name)? {
            Known::Assumed(value) | Known::Surely(value) => Some(value),
            Known::Not => None,
        }
    }

    /// The value, if CONFIG GET has to answer it.
    pub fn sure_value(&self, name: &str) -> Option<&[u8]> {
        match self.values.get(name)? {
            Known::Surely(value) => Some(value),
            Known::Assumed(_) | Known::Not => None,
        }
    }

    /// What the present values mean.
    pub fn effects(&self) -> Effects {
        self.effects
    }

    fn worked_out(&self) -> Effects {
        let limited = self.value("maxmemory") != Some(b"0");
        let policy = self.value("maxmemory-policy").unwrap_or(b"noeviction");
        let counts_frequency = policy.ends_with(b"-lfu");
        Effects {
            memory_limit: self.value("maxmemory").and_then(parse_integer).unwrap_or(0),
            has_password: !self.password().is_empty(),
            lazy_expire: self.value("lazyfree-lazy-expire") == Some(b"yes"),
            shares_integers: !(limited && (policy.ends_with(b"-lru") || counts_frequency)),
            counts_frequency,
            thresholds: Thresholds::of(self),
            events: Flags::of(self.value("notify-keyspace-events").unwrap_or_default()),
            samples_latency: self.value("latency-monitor-threshold") != Some(b"0"),
            slow_us: self.value("slowlog-log-slower-than").and_then(parse_integer),
        }
    }

    /// The password, empty for none. [AUTH-1]
    pub fn password(&self) -> &[u8] {
        self.value("requirepass").unwrap_or_default()
    }

    /// CONFIG GET answered this.
    pub(crate) fn learn(&mut self, name: &[u8], value: &[u8]) {
        if let Some(directive) = Directive::find(name) {
            self.set(directive.name, Some(value.to_vec()));
        }
    }

    /// The directive has this value from now on; `None` if it cannot be told which.
    pub(crate) fn set(&mut self, name: &'static str, value: Option<Bytes>) {
        self.values.insert(name, value.map_or(Known::Not, Known::Surely));
        self.effects = self.worked_out();
    }
}
