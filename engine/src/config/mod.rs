//! The configuration: what redis.conf, the command line and CONFIG SET can say.
//!
//! One [`Config`] value holds every setting, typed. [`directive::DIRECTIVES`] is the data table that maps each name of
//! CONFIG GET to its field, its kind and its limits; everything else reads that table:
//!
//! ```text
//!   redis.conf text, `--name value` ──parse──┐
//!   CONFIG SET name value ──────────set──────┼─► Config ──directive──► CONFIG GET, INFO
//!   old redis.conf + Config ────────rewrite──┘                   └───► CONFIG REWRITE
//! ```
//!
//! Invariants: a value of a field is always one that its directive accepts, and the old and the new name of a renamed
//! directive (`slave-…`, `replica-…`) share one field.

pub mod directive;
pub mod parse;
pub mod quote;
pub mod rename;
pub mod rewrite;
pub mod set;
pub mod value;

pub use directive::{DIRECTIVES, Directive, WITHOUT_EFFECT};
pub use parse::{ConfigError, lines_from_options};
pub use set::SetError;
pub use value::{
    AppendFsync, BufferLimit, ClientClass, MaxmemoryPolicy, NotifyEvents, SavePoint, Supervised, SyslogFacility,
};

use crate::effect::LogLevel;

/// Every setting. Sizes are bytes; other units are named with the field.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // The fields are the directives of redis.conf under their own names.
pub struct Config {
    // Text.
    pub dbfilename: Vec<u8>,
    /// Empty: no password.
    pub requirepass: Vec<u8>,
    pub masterauth: Vec<u8>,
    pub cluster_announce_ip: Vec<u8>,
    pub unixsocket: Vec<u8>,
    /// Empty: standard output.
    pub logfile: Vec<u8>,
    pub pidfile: Vec<u8>,
    pub replica_announce_ip: Vec<u8>,
    pub appendfilename: Vec<u8>,
    pub cluster_config_file: Vec<u8>,
    pub syslog_ident: Vec<u8>,
    /// The working directory, absolute once the driver started; empty: wherever the process was started.
    pub dir: Vec<u8>,

    // Sizes in bytes.
    /// 0: no limit.
    pub maxmemory: u64,
    pub proto_max_bulk_len: u64,
    pub client_query_buffer_limit: u64,
    pub active_defrag_ignore_bytes: u64,
    pub auto_aof_rewrite_min_size: u64,
    pub repl_backlog_size: u64,

    // Numbers.
    pub maxmemory_samples: i64,
    pub lfu_log_factor: i64,
    /// Minutes.
    pub lfu_decay_time: i64,
    /// Seconds; 0: never.
    pub timeout: i64,
    pub active_defrag_threshold_lower: i64,
    pub active_defrag_threshold_upper: i64,
    pub active_defrag_cycle_min: i64,
    pub active_defrag_cycle_max: i64,
    pub active_defrag_max_scan_fields: i64,
    pub auto_aof_rewrite_percentage: i64,
    pub hash_max_ziplist_entries: i64,
    pub hash_max_ziplist_value: i64,
    pub stream_node_max_bytes: i64,
    pub stream_node_max_entries: i64,
    pub list_max_ziplist_size: i64,
    pub list_compress_depth: i64,
    pub set_max_intset_entries: i64,
    pub zset_max_ziplist_entries: i64,
    pub zset_max_ziplist_value: i64,
    pub hll_sparse_max_bytes: i64,
    /// Milliseconds.
    pub lua_time_limit: i64,
    /// Scripts hand on their effects, and not themselves.
    pub lua_replicate_commands: bool,
    /// Microseconds; negative: off.
    pub slowlog_log_slower_than: i64,
    /// Milliseconds; 0: off.
    pub latency_monitor_threshold: i64,
    pub slowlog_max_len: i64,
    pub port: i64,
    pub cluster_announce_port: i64,
    pub cluster_announce_bus_port: i64,
    pub tcp_backlog: i64,
    pub databases: i64,
    /// Seconds.
    pub repl_ping_replica_period: i64,
    /// Seconds.
    pub repl_timeout: i64,
    /// Seconds; 0: never.
    pub repl_backlog_ttl: i64,
    pub maxclients: i64,
    /// Milliseconds; 0: off.
    pub watchdog_period: i64,
    pub replica_priority: i64,
    pub replica_announce_port: i64,
    pub min_replicas_to_write: i64,
    /// Seconds.
    pub min_replicas_max_lag: i64,
    /// Ticks a second, 1 to 500.
    pub hz: i64,
    /// Milliseconds.
    pub cluster_node_timeout: i64,
    pub cluster_migration_barrier: i64,
    pub cluster_replica_validity_factor: i64,
    /// Seconds.
    pub repl_diskless_sync_delay: i64,
    /// Seconds; 0: off.
    pub tcp_keepalive: i64,
    /// Permission bits of the Unix socket, 0: the process's umask decides.
    pub unixsocketperm: i64,

    // Switches.
    pub cluster_enabled: bool,
    pub cluster_require_full_coverage: bool,
    pub cluster_replica_no_failover: bool,
    pub no_appendfsync_on_rewrite: bool,
    pub replica_serve_stale_data: bool,
    pub replica_read_only: bool,
    pub replica_ignore_maxmemory: bool,
    pub stop_writes_on_bgsave_error: bool,
    pub daemonize: bool,
    pub rdbcompression: bool,
    pub rdbchecksum: bool,
    pub activerehashing: bool,
    pub activedefrag: bool,
    pub protected_mode: bool,
    pub repl_disable_tcp_nodelay: bool,
    pub repl_diskless_sync: bool,
    pub aof_rewrite_incremental_fsync: bool,
    pub rdb_save_incremental_fsync: bool,
    pub aof_load_truncated: bool,
    pub aof_use_rdb_preamble: bool,
    pub lazyfree_lazy_eviction: bool,
    pub lazyfree_lazy_expire: bool,
    pub lazyfree_lazy_server_del: bool,
    pub replica_lazy_flush: bool,
    pub dynamic_hz: bool,
    pub appendonly: bool,
    pub syslog_enabled: bool,
    pub always_show_logo: bool,

    // Choices.
    pub maxmemory_policy: MaxmemoryPolicy,
    pub loglevel: LogLevel,
    pub supervised: Supervised,
    pub appendfsync: AppendFsync,
    pub syslog_facility: SyslogFacility,

    // Settings of their own kind.
    /// The save points, in the order given.
    pub save: Vec<SavePoint>,
    /// By [`ClientClass`].
    pub client_output_buffer_limit: [BufferLimit; 3],
    pub notify_keyspace_events: NotifyEvents,
    /// Addresses to listen on; empty: all.
    pub bind: Vec<Vec<u8>>,
    /// Host and port of the primary.
    pub replicaof: Option<(Vec<u8>, i64)>,
    /// Old name (lower case) and new name; an empty new name removes the command.
    pub rename_command: Vec<(Vec<u8>, Vec<u8>)>,
    /// Path and arguments of `loadmodule` lines.
    pub loadmodule: Vec<Vec<Vec<u8>>>,
    /// Absolute path of the file that CONFIG REWRITE rewrites; empty: started without one. The driver sets it.
    pub config_file: Vec<u8>,
}

/// What a server without a configuration file uses: the values of Redis 5.0.14, except that `save` is empty here and
/// [`Config::for_server`] fills it, because only the server starts with save points.
impl Default for Config {
    fn default() -> Self {
        const MB: u64 = 1024 * 1024;
        Self {
            dbfilename: b"dump.rdb".to_vec(),
            requirepass: Vec::new(),
            masterauth: Vec::new(),
            cluster_announce_ip: Vec::new(),
            unixsocket: Vec::new(),
            logfile: Vec::new(),
            pidfile: Vec::new(),
            replica_announce_ip: Vec::new(),
            appendfilename: b"appendonly.aof".to_vec(),
            cluster_config_file: b"nodes.conf".to_vec(),
            syslog_ident: b"redis".to_vec(),
            dir: Vec::new(),

            maxmemory: 0,
            proto_max_bulk_len: 512 * MB,
            client_query_buffer_limit: 1024 * MB,
            active_defrag_ignore_bytes: 100 * MB,
            auto_aof_rewrite_min_size: 64 * MB,
            repl_backlog_size: MB,

            maxmemory_samples: 5,
            lfu_log_factor: 10,
            lfu_decay_time: 1,
            timeout: 0,
            active_defrag_threshold_lower: 10,
            active_defrag_threshold_upper: 100,
            active_defrag_cycle_min: 5,
            active_defrag_cycle_max: 75,
            active_defrag_max_scan_fields: 1000,
            auto_aof_rewrite_percentage: 100,
            hash_max_ziplist_entries: 512,
            hash_max_ziplist_value: 64,
            stream_node_max_bytes: 4096,
            stream_node_max_entries: 100,
            list_max_ziplist_size: -2,
            list_compress_depth: 0,
            set_max_intset_entries: 512,
            zset_max_ziplist_entries: 128,
            zset_max_ziplist_value: 64,
            hll_sparse_max_bytes: 3000,
            lua_time_limit: 5000,
            lua_replicate_commands: true,
            slowlog_log_slower_than: 10_000,
            latency_monitor_threshold: 0,
            slowlog_max_len: 128,
            port: 6379,
            cluster_announce_port: 0,
            cluster_announce_bus_port: 0,
            tcp_backlog: 511,
            databases: 16,
            repl_ping_replica_period: 10,
            repl_timeout: 60,
            repl_backlog_ttl: 3600,
            maxclients: 10_000,
            watchdog_period: 0,
            replica_priority: 100,
            replica_announce_port: 0,
            min_replicas_to_write: 0,
            min_replicas_max_lag: 10,
            hz: 10,
            cluster_node_timeout: 15_000,
            cluster_migration_barrier: 1,
            cluster_replica_validity_factor: 10,
            repl_diskless_sync_delay: 5,
            tcp_keepalive: 300,
            unixsocketperm: 0,

            cluster_enabled: false,
            cluster_require_full_coverage: true,
            cluster_replica_no_failover: false,
            no_appendfsync_on_rewrite: false,
            replica_serve_stale_data: true,
            replica_read_only: true,
            replica_ignore_maxmemory: true,
            stop_writes_on_bgsave_error: true,
            daemonize: false,
            rdbcompression: true,
            rdbchecksum: true,
            activerehashing: true,
            activedefrag: false,
            protected_mode: true,
            repl_disable_tcp_nodelay: false,
            repl_diskless_sync: false,
            aof_rewrite_incremental_fsync: true,
            rdb_save_incremental_fsync: true,
            aof_load_truncated: true,
            aof_use_rdb_preamble: true,
            lazyfree_lazy_eviction: false,
            lazyfree_lazy_expire: false,
            lazyfree_lazy_server_del: false,
            replica_lazy_flush: false,
            dynamic_hz: true,
            appendonly: false,
            syslog_enabled: false,
            always_show_logo: false,

            maxmemory_policy: MaxmemoryPolicy::NoEviction,
            loglevel: LogLevel::Notice,
            supervised: Supervised::No,
            appendfsync: AppendFsync::EverySec,
            syslog_facility: SyslogFacility::Local(0),

            save: Vec::new(),
            client_output_buffer_limit: [
                BufferLimit::NONE,
                BufferLimit { hard: 256 * MB, soft: 64 * MB, soft_seconds: 60 },
                BufferLimit { hard: 32 * MB, soft: 8 * MB, soft_seconds: 60 },
            ],
            notify_keyspace_events: NotifyEvents::NONE,
            bind: Vec::new(),
            replicaof: None,
            rename_command: Vec::new(),
            loadmodule: Vec::new(),
            config_file: Vec::new(),
        }
    }
}

impl Config {
    /// The defaults of a server process: those of [`Config::default`] with the save points 3600 s/1 change,
    /// 300 s/100 changes and 60 s/10000 changes.
    #[must_use]
    pub fn for_server() -> Self {
        Self { save: SavePoint::SERVER_DEFAULTS.to_vec(), ..Self::default() }
    }
}
