//! The directives as data: each name with its field in [`Config`], its kind, its limits and whether CONFIG SET takes it.
//!
//! The table is in the order of CONFIG GET; directives that CONFIG GET does not show follow the shown ones. A renamed
//! directive stands in it under both names, as in Redis 5; CONFIG REWRITE writes the new name.

use super::Config;
use super::value::Choice;

/// A field of [`Config`], reached for reading and for writing.
pub struct Field<T> {
    /// Reads.
    pub get: fn(&Config) -> &T,
    /// Writes.
    pub get_mut: fn(&mut Config) -> &mut T,
}

/// How a directive's value is read, kept and printed.
pub enum Kind {
    /// Bytes as they are.
    Text(Field<Vec<u8>>),
    /// A decimal integer within limits, both included.
    Number {
        /// Where it is kept.
        field: Field<i64>,
        /// Least value.
        min: i64,
        /// Greatest value.
        max: i64,
    },
    /// Bytes, with the units `b`, `k`, `kb`, `m`, `mb`, `g`, `gb`.
    Size {
        /// Where it is kept.
        field: Field<u64>,
        /// Least value that CONFIG SET takes.
        min: u64,
        /// Greatest value.
        max: u64,
    },
    /// `yes` or `no`.
    Switch(Field<bool>),
    /// One of a few words.
    Choice {
        /// The word of the present value.
        word: fn(&Config) -> &'static str,
        /// Sets the value of a word; false when there is no such word.
        set: fn(&mut Config, &[u8]) -> bool,
        /// What the error for a configuration file says.
        complaint: &'static str,
    },
    /// `save seconds changes`, repeated.
    Save,
    /// `client-output-buffer-limit class hard soft seconds`, repeated.
    BufferLimits,
    /// Octal permission bits.
    Permissions,
    /// `replicaof host port`.
    Primary,
    /// Letters of event classes.
    Events,
    /// `bind address…`.
    Bind,
    /// The working directory; the driver changes to it.
    Directory,
    /// `rename-command old new`, repeated.
    Rename,
    /// `loadmodule path arguments…`, repeated.
    Module,
    /// Accepted in configuration files and ignored, as Redis does with what it dropped long ago.
    Obsolete,
}

/// One directive.
pub struct Directive {
    /// Its name, lower case.
    pub name: &'static str,
    /// Its value.
    pub kind: Kind,
    /// CONFIG GET shows it.
    pub shown: bool,
    /// CONFIG SET takes it.
    pub settable: bool,
    /// Accepted in configuration files and on the command line.
    pub in_file: bool,
    /// The name that replaced it in Redis 5, for the old `slave-…` names.
    pub renamed_to: Option<&'static str>,
}

/// Greatest value of a directive that Redis keeps in a C `int`.
const INT_MAX: i64 = i32::MAX as i64;

/// Least size of the replication backlog, bytes; smaller settings are raised to it.
pub const BACKLOG_MIN: u64 = 16 * 1024;
/// Least and greatest ticks a second; settings beyond them are moved to the nearest.
pub const HZ_LIMITS: (i64, i64) = (1, 500);
/// Least period of the software watchdog, milliseconds, unless it is 0 (off).
pub const WATCHDOG_MIN: i64 = 200;

macro_rules! field {
    ($name:ident) => {
        Field { get: |config| &config.$name, get_mut: |config| &mut config.$name }
    };
}

/// A settable, shown directive that files may hold; the functions below turn parts of that off.
const fn shown(name: &'static str, kind: Kind) -> Directive {
    Directive { name, kind, shown: true, settable: true, in_file: true, renamed_to: None }
}

impl Directive {
    /// Only a configuration file or the command line can set it.
    const fn fixed(self) -> Self {
        match self {
            Self { name, kind, shown, in_file, renamed_to, .. } => {
                Self { name, kind, shown, settable: false, in_file, renamed_to }
            }
        }
    }

    /// CONFIG GET does not know it.
    const fn hidden(self) -> Self {
        match self {
            Self { name, kind, in_file, renamed_to, .. } => {
                Self { name, kind, shown: false, settable: false, in_file, renamed_to }
            }
        }
    }

    /// Only CONFIG SET can set it.
    const fn not_in_file(self) -> Self {
        match self {
            Self { name, kind, shown, settable, renamed_to, .. } => {
                Self { name, kind, shown, settable, in_file: false, renamed_to }
            }
        }
    }

    const fn now(self, new_name: &'static str) -> Self {
        match self {
            Self { name, kind, shown, settable, in_file, .. } => {
                Self { name, kind, shown, settable, in_file, renamed_to: Some(new_name) }
            }
        }
    }

    /// The directive of a name, in any letter case.
    #[must_use]
    pub fn find(name: &[u8]) -> Option<&'static Self> {
        DIRECTIVES.iter().find(|directive| directive.name.as_bytes().eq_ignore_ascii_case(name))
    }

    /// The value as CONFIG GET prints it.
    #[must_use]
    pub fn printed(&self, config: &Config) -> Vec<u8> {
        match &self.kind {
            Kind::Text(field) => (field.get)(config).clone(),
            Kind::Number { field, .. } => (field.get)(config).to_string().into_bytes(),
            Kind::Size { field, .. } => (field.get)(config).to_string().into_bytes(),
            Kind::Switch(field) => yes_or_no(*(field.get)(config)).as_bytes().to_vec(),
            Kind::Choice { word, .. } => word(config).as_bytes().to_vec(),
            Kind::Save => {
                let points: Vec<String> =
                    config.save.iter().map(|point| format!("{} {}", point.seconds, point.changes)).collect();
                points.join(" ").into_bytes()
            }
            Kind::BufferLimits => {
                let limits: Vec<String> = super::ClientClass::ALL
                    .iter()
                    .map(|&class| {
                        let limit = config.client_output_buffer_limit[class as usize];
                        format!("{} {} {} {}", class.name(), limit.hard, limit.soft, limit.soft_seconds)
                    })
                    .collect();
                limits.join(" ").into_bytes()
            }
            Kind::Permissions => format!("{:o}", config.unixsocketperm).into_bytes(),
            Kind::Primary => match &config.replicaof {
                Some((host, port)) => {
                    let mut text = host.clone();
                    text.extend_from_slice(format!(" {port}").as_bytes());
                    text
                }
                None => Vec::new(),
            },
            Kind::Events => config.notify_keyspace_events.letters().into_bytes(),
            Kind::Bind => config.bind.join(&b' '),
            Kind::Directory => config.dir.clone(),
            Kind::Rename | Kind::Module | Kind::Obsolete => Vec::new(),
        }
    }
}

/// `yes` or `no`.
#[must_use]
pub fn yes_or_no(on: bool) -> &'static str {
    if on { "yes" } else { "no" }
}

macro_rules! text {
    ($name:literal, $field:ident) => {
        shown($name, Kind::Text(field!($field)))
    };
}
macro_rules! number {
    ($name:literal, $field:ident, $min:expr, $max:expr) => {
        shown($name, Kind::Number { field: field!($field), min: $min, max: $max })
    };
}
macro_rules! size {
    ($name:literal, $field:ident, $min:expr, $max:expr) => {
        shown($name, Kind::Size { field: field!($field), min: $min, max: $max })
    };
}
macro_rules! switch {
    ($name:literal, $field:ident) => {
        shown($name, Kind::Switch(field!($field)))
    };
}
macro_rules! choice {
    ($name:literal, $field:ident, $complaint:literal) => {
        shown(
            $name,
            Kind::Choice {
                word: |config| config.$field.word(),
                set: |config, word| match Choice::from_word(word) {
                    Some(value) => {
                        config.$field = value;
                        true
                    }
                    None => false,
                },
                complaint: $complaint,
            },
        )
    };
}

const MB: u64 = 1024 * 1024;
const SIZE_MAX: u64 = i64::MAX as u64;

/// Every directive of Redis 5.0.14.
pub static DIRECTIVES: &[Directive] = &[
    text!("dbfilename", dbfilename),
    text!("requirepass", requirepass),
    text!("masterauth", masterauth),
    text!("cluster-announce-ip", cluster_announce_ip),
    text!("unixsocket", unixsocket).fixed(),
    text!("logfile", logfile).fixed(),
    text!("pidfile", pidfile).fixed(),
    text!("slave-announce-ip", replica_announce_ip).now("replica-announce-ip"),
    text!("replica-announce-ip", replica_announce_ip),
    size!("maxmemory", maxmemory, 0, SIZE_MAX),
    size!("proto-max-bulk-len", proto_max_bulk_len, MB, SIZE_MAX / 2),
    size!("client-query-buffer-limit", client_query_buffer_limit, 0, SIZE_MAX),
    number!("maxmemory-samples", maxmemory_samples, 1, INT_MAX),
    number!("lfu-log-factor", lfu_log_factor, 0, INT_MAX),
    number!("lfu-decay-time", lfu_decay_time, 0, INT_MAX),
    number!("timeout", timeout, 0, INT_MAX),
    number!("active-defrag-threshold-lower", active_defrag_threshold_lower, 0, 1000),
    number!("active-defrag-threshold-upper", active_defrag_threshold_upper, 0, 1000),
    size!("active-defrag-ignore-bytes", active_defrag_ignore_bytes, 0, SIZE_MAX),
    number!("active-defrag-cycle-min", active_defrag_cycle_min, 1, 99),
    number!("active-defrag-cycle-max", active_defrag_cycle_max, 1, 99),
    number!("active-defrag-max-scan-fields", active_defrag_max_scan_fields, 1, i64::MAX),
    number!("auto-aof-rewrite-percentage", auto_aof_rewrite_percentage, 0, INT_MAX),
    size!("auto-aof-rewrite-min-size", auto_aof_rewrite_min_size, 0, SIZE_MAX),
    number!("hash-max-ziplist-entries", hash_max_ziplist_entries, 0, i64::MAX),
    number!("hash-max-ziplist-value", hash_max_ziplist_value, 0, i64::MAX),
    number!("stream-node-max-bytes", stream_node_max_bytes, 0, i64::MAX),
    number!("stream-node-max-entries", stream_node_max_entries, 0, i64::MAX),
    number!("list-max-ziplist-size", list_max_ziplist_size, i32::MIN as i64, INT_MAX),
    number!("list-compress-depth", list_compress_depth, 0, INT_MAX),
    number!("set-max-intset-entries", set_max_intset_entries, 0, i64::MAX),
    number!("zset-max-ziplist-entries", zset_max_ziplist_entries, 0, i64::MAX),
    number!("zset-max-ziplist-value", zset_max_ziplist_value, 0, i64::MAX),
    number!("hll-sparse-max-bytes", hll_sparse_max_bytes, 0, i64::MAX),
    number!("lua-time-limit", lua_time_limit, 0, i64::MAX),
    number!("slowlog-log-slower-than", slowlog_log_slower_than, -1, i64::MAX),
    number!("latency-monitor-threshold", latency_monitor_threshold, 0, i64::MAX),
    number!("slowlog-max-len", slowlog_max_len, 0, i64::MAX),
    number!("port", port, 0, 65535).fixed(),
    number!("cluster-announce-port", cluster_announce_port, 0, 65535),
    number!("cluster-announce-bus-port", cluster_announce_bus_port, 0, 65535),
    number!("tcp-backlog", tcp_backlog, 0, INT_MAX).fixed(),
    number!("databases", databases, 1, INT_MAX).fixed(),
    number!("repl-ping-slave-period", repl_ping_replica_period, 1, INT_MAX).now("repl-ping-replica-period"),
    number!("repl-ping-replica-period", repl_ping_replica_period, 1, INT_MAX),
    number!("repl-timeout", repl_timeout, 1, INT_MAX),
    size!("repl-backlog-size", repl_backlog_size, 0, SIZE_MAX),
    number!("repl-backlog-ttl", repl_backlog_ttl, 0, i64::MAX),
    number!("maxclients", maxclients, 1, INT_MAX),
    number!("watchdog-period", watchdog_period, 0, INT_MAX).not_in_file(),
    number!("slave-priority", replica_priority, 0, INT_MAX).now("replica-priority"),
    number!("replica-priority", replica_priority, 0, INT_MAX),
    number!("slave-announce-port", replica_announce_port, 0, 65535).now("replica-announce-port"),
    number!("replica-announce-port", replica_announce_port, 0, 65535),
    number!("min-slaves-to-write", min_replicas_to_write, 0, INT_MAX).now("min-replicas-to-write"),
    number!("min-replicas-to-write", min_replicas_to_write, 0, INT_MAX),
    number!("min-slaves-max-lag", min_replicas_max_lag, 0, INT_MAX).now("min-replicas-max-lag"),
    number!("min-replicas-max-lag", min_replicas_max_lag, 0, INT_MAX),
    number!("hz", hz, 0, INT_MAX),
    number!("cluster-node-timeout", cluster_node_timeout, 0, i64::MAX),
    number!("cluster-migration-barrier", cluster_migration_barrier, 0, INT_MAX),
    number!("cluster-slave-validity-factor", cluster_replica_validity_factor, 0, INT_MAX)
        .now("cluster-replica-validity-factor"),
    number!("cluster-replica-validity-factor", cluster_replica_validity_factor, 0, INT_MAX),
    number!("repl-diskless-sync-delay", repl_diskless_sync_delay, 0, INT_MAX),
    number!("tcp-keepalive", tcp_keepalive, 0, INT_MAX),
    switch!("cluster-require-full-coverage", cluster_require_full_coverage),
    switch!("cluster-slave-no-failover", cluster_replica_no_failover).now("cluster-replica-no-failover"),
    switch!("cluster-replica-no-failover", cluster_replica_no_failover),
    switch!("no-appendfsync-on-rewrite", no_appendfsync_on_rewrite),
    switch!("slave-serve-stale-data", replica_serve_stale_data).now("replica-serve-stale-data"),
    switch!("replica-serve-stale-data", replica_serve_stale_data),
    switch!("slave-read-only", replica_read_only).now("replica-read-only"),
    switch!("replica-read-only", replica_read_only),
    switch!("slave-ignore-maxmemory", replica_ignore_maxmemory).now("replica-ignore-maxmemory"),
    switch!("replica-ignore-maxmemory", replica_ignore_maxmemory),
    switch!("stop-writes-on-bgsave-error", stop_writes_on_bgsave_error),
    switch!("daemonize", daemonize).fixed(),
    switch!("rdbcompression", rdbcompression),
    switch!("rdbchecksum", rdbchecksum).fixed(),
    switch!("activerehashing", activerehashing),
    switch!("activedefrag", activedefrag),
    switch!("protected-mode", protected_mode),
    switch!("repl-disable-tcp-nodelay", repl_disable_tcp_nodelay),
    switch!("repl-diskless-sync", repl_diskless_sync),
    switch!("aof-rewrite-incremental-fsync", aof_rewrite_incremental_fsync),
    switch!("rdb-save-incremental-fsync", rdb_save_incremental_fsync),
    switch!("aof-load-truncated", aof_load_truncated),
    switch!("aof-use-rdb-preamble", aof_use_rdb_preamble),
    switch!("lazyfree-lazy-eviction", lazyfree_lazy_eviction),
    switch!("lazyfree-lazy-expire", lazyfree_lazy_expire),
    switch!("lazyfree-lazy-server-del", lazyfree_lazy_server_del),
    switch!("slave-lazy-flush", replica_lazy_flush).now("replica-lazy-flush"),
    switch!("replica-lazy-flush", replica_lazy_flush),
    switch!("dynamic-hz", dynamic_hz),
    choice!("maxmemory-policy", maxmemory_policy, "Invalid maxmemory policy"),
    choice!("loglevel", loglevel, "Invalid log level. Must be one of debug, verbose, notice, warning"),
    choice!(
        "supervised",
        supervised,
        "Invalid option for 'supervised'. Allowed values: 'upstart', 'systemd', 'auto', or 'no'"
    )
    .fixed(),
    choice!("appendfsync", appendfsync, "argument must be 'no', 'always' or 'everysec'"),
    choice!("syslog-facility", syslog_facility, "Invalid log facility. Must be one of USER or between LOCAL0-LOCAL7")
        .fixed(),
    switch!("appendonly", appendonly),
    shown("dir", Kind::Directory),
    shown("save", Kind::Save),
    shown("client-output-buffer-limit", Kind::BufferLimits),
    shown("unixsocketperm", Kind::Permissions).fixed(),
    shown("slaveof", Kind::Primary).fixed().now("replicaof"),
    shown("notify-keyspace-events", Kind::Events),
    shown("bind", Kind::Bind).fixed(),
    shown("replicaof", Kind::Primary).hidden(),
    text!("appendfilename", appendfilename).hidden(),
    text!("cluster-config-file", cluster_config_file).hidden(),
    text!("syslog-ident", syslog_ident).hidden(),
    switch!("cluster-enabled", cluster_enabled).hidden(),
    switch!("syslog-enabled", syslog_enabled).hidden(),
    switch!("always-show-logo", always_show_logo).hidden(),
    switch!("lua-replicate-commands", lua_replicate_commands).hidden(),
    shown("rename-command", Kind::Rename).hidden(),
    shown("loadmodule", Kind::Module).hidden(),
    shown("list-max-ziplist-entries", Kind::Obsolete).hidden(),
    shown("list-max-ziplist-value", Kind::Obsolete).hidden(),
];

/// Directives that are accepted, kept and answered, but whose system does not act on them yet.
pub const WITHOUT_EFFECT: &[&str] = &[
    "active-defrag-cycle-max",
    "active-defrag-cycle-min",
    "active-defrag-ignore-bytes",
    "active-defrag-max-scan-fields",
    "active-defrag-threshold-lower",
    "active-defrag-threshold-upper",
    "activedefrag",
    "aof-rewrite-incremental-fsync",
    "aof-use-rdb-preamble",
    "auto-aof-rewrite-min-size",
    "auto-aof-rewrite-percentage",
    "cluster-announce-bus-port",
    "cluster-announce-ip",
    "cluster-announce-port",
    "cluster-config-file",
    "cluster-enabled",
    "cluster-migration-barrier",
    "cluster-node-timeout",
    "cluster-replica-no-failover",
    "cluster-replica-validity-factor",
    "cluster-require-full-coverage",
    "hash-max-ziplist-entries",
    "hash-max-ziplist-value",
    "hll-sparse-max-bytes",
    "latency-monitor-threshold",
    "lazyfree-lazy-expire",
    "lazyfree-lazy-server-del",
    "list-compress-depth",
    "list-max-ziplist-size",
    "loadmodule",
    "lua-time-limit",
    "masterauth",
    "min-replicas-max-lag",
    "min-replicas-to-write",
    "no-appendfsync-on-rewrite",
    "notify-keyspace-events",
    "repl-backlog-size",
    "repl-backlog-ttl",
    "repl-disable-tcp-nodelay",
    "repl-diskless-sync",
    "repl-diskless-sync-delay",
    "repl-ping-replica-period",
    "repl-timeout",
    "replica-announce-ip",
    "replica-announce-port",
    "replica-ignore-maxmemory",
    "replica-lazy-flush",
    "replica-priority",
    "replica-read-only",
    "replica-serve-stale-data",
    "replicaof",
    "set-max-intset-entries",
    "slowlog-log-slower-than",
    "slowlog-max-len",
    "stream-node-max-bytes",
    "stream-node-max-entries",
    "supervised",
    "syslog-enabled",
    "syslog-facility",
    "syslog-ident",
    "watchdog-period",
    "zset-max-ziplist-entries",
    "zset-max-ziplist-value",
];
