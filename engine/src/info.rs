//! The text of INFO: sections of `field:value` lines.
//!
//! Facts about the process (memory of the allocator, processor time, the kernel) are the world's; a world that does not
//! know one leaves a zero or an empty value, never the field away, because clients index fields.

use std::fmt::{Display, Write as _};

use crate::client::Client;
use crate::commands::table;
use crate::config::value::Choice as _;
use crate::loading::Progress;
use crate::memory::{Figures, excess, ratio};
use crate::state::Server;
use crate::world::World;

/// What is shown of the Redis version whose behaviour this is; clients choose their commands by it.
pub const REDIS_VERSION: &str = "5.0.14";

/// Names of the sections as they are asked for, each with its heading, in the order of a full report.
const SECTIONS: [(&str, &str); 10] = [
    ("server", "Server"),
    ("clients", "Clients"),
    ("memory", "Memory"),
    ("persistence", "Persistence"),
    ("stats", "Stats"),
    ("replication", "Replication"),
    ("cpu", "CPU"),
    ("commandstats", "Commandstats"),
    ("cluster", "Cluster"),
    ("keyspace", "Keyspace"),
];

/// The report. `section` is one of them, `all`, or `default` (all but the statistics of commands); none for another word.
/// `client` is who asks: it is not in the server's table meanwhile.
pub(crate) fn report(server: &Server, client: &Client, world: &dyn World, section: &[u8]) -> String {
    let all = section.eq_ignore_ascii_case(b"all");
    let default = section.eq_ignore_ascii_case(b"default");
    let mut report = Report { server, client, world, text: String::new() };
    for (name, heading) in SECTIONS {
        let wanted = all || (default && name != "commandstats") || section.eq_ignore_ascii_case(name.as_bytes());
        if wanted {
            if !report.text.is_empty() {
                report.text.push_str("\r\n");
            }
            report.section(heading);
        }
    }
    report.text
}

struct Report<'a> {
    server: &'a Server,
    client: &'a Client,
    world: &'a dyn World,
    text: String,
}

impl Report<'_> {
    fn section(&mut self, heading: &str) {
        self.text.push_str("# ");
        self.text.push_str(heading);
        self.text.push_str("\r\n");
        match heading {
            "Server" => self.server_section(),
            "Clients" => self.clients(),
            "Memory" => self.memory(),
            "Persistence" => self.persistence(),
            "Stats" => self.stats(),
            "Replication" => self.replication(),
            "CPU" => self.cpu(),
            "Commandstats" => self.command_stats(),
            "Cluster" => self.line("cluster_enabled", 0),
            _ => self.keyspace(),
        }
    }

    fn line(&mut self, field: &str, value: impl Display) {
        // Writing to a String cannot fail.
        let _ = write!(self.text, "{field}:{value}\r\n");
    }

    /// A line per flag or count that is always the same here, because its system is not built in or not running.
    fn lines<const N: usize>(&mut self, lines: [(&str, &str); N]) {
        for (field, value) in lines {
            self.line(field, value);
        }
    }

    /// A fact of the world, or `otherwise`.
    fn fact(&self, field: &str, otherwise: &str) -> String {
        self.world.process_fact(field).unwrap_or_else(|| otherwise.to_owned())
    }

    fn fact_line(&mut self, field: &str, otherwise: &str) {
        let value = self.fact(field, otherwise);
        self.line(field, value);
    }

    /// A count of bytes that the world knows.
    fn fact_bytes(&self, field: &str) -> Option<u64> {
        self.world.process_fact(field)?.parse().ok()
    }

    /// A count of bytes, and the same for people.
    fn bytes(&mut self, field: &str, bytes: u64) {
        self.line(field, bytes);
        self.line(&format!("{field}_human"), for_people(bytes));
    }

    fn server_section(&mut self) {
        let server = self.server;
        let uptime_s = server.clock.now_us.saturating_sub(server.stats.started_us) / 1_000_000;
        self.line("redis_version", REDIS_VERSION);
        self.lines([
            ("redis_git_sha1", "00000000"),
            ("redis_git_dirty", "0"),
            ("redis_build_id", "0"),
            ("redis_mode", "standalone"),
        ]);
        for (field, otherwise) in [
            ("os", "simulated"),
            ("arch_bits", "64"),
            ("multiplexing_api", "none"),
            ("atomicvar_api", "none"),
            ("gcc_version", "0.0.0"),
            ("process_id", "0"),
        ] {
            self.fact_line(field, otherwise);
        }
        self.line("run_id", &server.identity.run_id);
        self.line("tcp_port", server.config.port);
        self.line("uptime_in_seconds", uptime_s);
        self.line("uptime_in_days", uptime_s / (24 * 3600));
        self.line("hz", server.cron_hz);
        self.line("configured_hz", server.config.hz);
        self.line("lru_clock", server.lru_clock);
        self.fact_line("executable", "");
        self.line("config_file", String::from_utf8_lossy(&server.config.config_file));
        self.line("server_name", "tally");
        self.line("tally_version", env!("CARGO_PKG_VERSION"));
    }

    fn clients(&mut self) {
        let all = || self.server.clients.iter().chain(std::iter::once(self.client));
        let most_input = all().map(|client| client.input().unread()).max().unwrap_or(0);
        let most_output = all().map(|client| client.output.len()).max().unwrap_or(0);
        self.line("connected_clients", self.server.clients.len());
        self.line("client_recent_max_input_buffer", most_input);
        self.line("client_recent_max_output_buffer", most_output);
        self.line("blocked_clients", self.server.blocking.clients());
    }

    fn memory(&mut self) {
        let server = self.server;
        let figures = Figures::take(server, self.client, self.world);
        let Figures { used, peak, startup, overhead, dataset, allocated, active, resident, rss, .. } = figures;

        self.bytes("used_memory", used);
        self.bytes("used_memory_rss", rss);
        self.bytes("used_memory_peak", peak);
        self.line("used_memory_peak_perc", percent(used, peak));
        self.line("used_memory_overhead", overhead);
        self.line("used_memory_startup", startup);
        self.line("used_memory_dataset", dataset);
        self.line("used_memory_dataset_perc", percent(dataset, figures.grown()));
        self.line("allocator_allocated", allocated);
        self.line("allocator_active", active);
        self.line("allocator_resident", resident);
        self.bytes("total_system_memory", self.fact_bytes("total_system_memory").unwrap_or(0));
        self.bytes("used_memory_lua", server.scripting.lua_memory() as u64);
        self.bytes("used_memory_scripts", server.scripting.memory() as u64);
        self.line("number_of_cached_scripts", server.scripting.len());
        self.bytes("maxmemory", server.config.maxmemory);
        self.line("maxmemory_policy", server.config.maxmemory_policy.word());
        self.line("allocator_frag_ratio", quotient(active, allocated));
        self.line("allocator_frag_bytes", excess(active, allocated));
        self.line("allocator_rss_ratio", quotient(resident, active));
        self.line("allocator_rss_bytes", excess(resident, active));
        self.line("rss_overhead_ratio", quotient(rss, resident));
        self.line("rss_overhead_bytes", excess(rss, resident));
        self.line("mem_fragmentation_ratio", quotient(rss, used));
        self.line("mem_fragmentation_bytes", excess(rss, used));
        self.line("mem_not_counted_for_evict", figures.aof_buffer);
        self.line("mem_replication_backlog", 0);
        self.line("mem_clients_slaves", 0);
        self.line("mem_clients_normal", figures.clients);
        self.line("mem_aof_buffer", figures.aof_buffer);
        self.fact_line("mem_allocator", "none");
        self.lines([("active_defrag_running", "0"), ("lazyfree_pending_objects", "0")]);
    }

    fn persistence(&mut self) {
        let server = self.server;
        let saving = &server.saving;
        let now_s = server.clock.unix_s();
        let current_s = saving.background.map_or(-1, |background| (now_s - background.started_s).max(0));
        self.line("loading", u8::from(server.loading));
        self.line("rdb_changes_since_last_save", server.dirty);
        self.line("rdb_bgsave_in_progress", u8::from(saving.background.is_some()));
        self.line("rdb_last_save_time", saving.last_save_s);
        self.line("rdb_last_bgsave_status", if saving.last_ok { "ok" } else { "err" });
        self.line("rdb_last_bgsave_time_sec", saving.last_duration_s);
        self.line("rdb_current_bgsave_time_sec", current_s);
        self.line("rdb_last_cow_size", saving.last_copied);
        let rewrites = &server.rewrites;
        let rewriting_s = rewrites.started_s().map_or(-1, |started_s| (now_s - started_s).max(0));
        self.line("aof_enabled", u8::from(server.aof.is_enabled()));
        self.line("aof_rewrite_in_progress", u8::from(rewrites.is_running()));
        self.line("aof_rewrite_scheduled", u8::from(rewrites.scheduled));
        self.line("aof_last_rewrite_time_sec", rewrites.last_duration_s);
        self.line("aof_current_rewrite_time_sec", rewriting_s);
        self.line("aof_last_bgrewrite_status", if rewrites.last_ok { "ok" } else { "err" });
        self.line("aof_last_write_status", server.aof_last_write_status());
        self.line("aof_last_cow_size", rewrites.last_copied);
        if server.aof.is_enabled() {
            let (current, base) = server.aof_sizes();
            self.line("aof_current_size", current);
            self.line("aof_base_size", base);
            self.line("aof_pending_rewrite", u8::from(rewrites.scheduled));
            self.line("aof_buffer_length", server.aof_buffered());
            self.line("aof_rewrite_buffer_length", rewrites.buffered());
            self.line("aof_pending_bio_fsync", u8::from(server.aof.syncs_in_background()));
            self.line("aof_delayed_fsync", server.aof.delayed_syncs);
        }
        if let Some(progress) = server.loading_progress {
            self.loading(progress, now_s);
        }
    }

    /// How far loading is. [LOADING-3]
    fn loading(&mut self, progress: Progress, now_s: i64) {
        let Progress { started_s, total, loaded } = progress;
        let elapsed_s = u64::try_from(now_s - started_s).unwrap_or(0);
        // A guess, while there is nothing to reckon with.
        let eta_s = match (elapsed_s, loaded) {
            (0, _) | (_, 0) => 1,
            _ => u128::from(elapsed_s) * u128::from(total.saturating_sub(loaded)) / u128::from(loaded),
        };
        self.line("loading_start_time", started_s);
        self.line("loading_total_bytes", total);
        self.line("loading_loaded_bytes", loaded);
        self.line("loading_loaded_perc", format_args!("{:.2}", loaded as f64 * 100.0 / total.max(1) as f64));
        self.line("loading_eta_seconds", eta_s);
    }

    fn stats(&mut self) {
        let stats = &self.server.stats;
        self.line("total_connections_received", stats.connections);
        self.line("total_commands_processed", stats.commands);
        self.line("instantaneous_ops_per_sec", stats.command_rate.per_second());
        self.line("total_net_input_bytes", stats.input_bytes);
        self.line("total_net_output_bytes", stats.output_bytes);
        self.line("instantaneous_input_kbps", kilobytes(stats.input_rate.per_second()));
        self.line("instantaneous_output_kbps", kilobytes(stats.output_rate.per_second()));
        self.line("rejected_connections", stats.rejected_connections);
        self.lines([("sync_full", "0"), ("sync_partial_ok", "0"), ("sync_partial_err", "0")]);
        self.line("expired_keys", stats.expired_keys);
        self.line("expired_stale_perc", format_args!("{:.2}", stats.expired_stale_percent));
        self.line("expired_time_cap_reached_count", stats.expired_time_cap_reached);
        self.line("evicted_keys", stats.evicted_keys);
        self.line("keyspace_hits", stats.keyspace_hits);
        self.line("keyspace_misses", stats.keyspace_misses);
        self.line("pubsub_channels", self.server.pubsub.channels().len());
        self.line("pubsub_patterns", self.server.pubsub.pattern_count());
        self.line("latest_fork_usec", stats.fork_usec);
        self.line("migrate_cached_sockets", self.server.migration.len());
        self.lines([
            ("slave_expires_tracked_keys", "0"),
            ("active_defrag_hits", "0"),
            ("active_defrag_misses", "0"),
            ("active_defrag_key_hits", "0"),
            ("active_defrag_key_misses", "0"),
        ]);
    }

    fn replication(&mut self) {
        let identity = &self.server.identity;
        self.lines([("role", "master"), ("connected_slaves", "0")]);
        self.line("master_replid", &identity.replication_id);
        self.line("master_replid2", &identity.second_replication_id);
        self.lines([("master_repl_offset", "0"), ("second_repl_offset", "-1"), ("repl_backlog_active", "0")]);
        self.line("repl_backlog_size", self.server.config.repl_backlog_size);
        self.lines([("repl_backlog_first_byte_offset", "0"), ("repl_backlog_histlen", "0")]);
    }

    fn cpu(&mut self) {
        for field in ["used_cpu_sys", "used_cpu_user", "used_cpu_sys_children", "used_cpu_user_children"] {
            self.fact_line(field, "0.000000");
        }
    }

    fn command_stats(&mut self) {
        for (command, stat) in table::COMMANDS.iter().zip(&self.server.stats.by_command) {
            if stat.calls > 0 {
                let each = stat.usec as f64 / stat.calls as f64;
                let field = format!("cmdstat_{}", command.name);
                self.line(&field, format_args!("calls={},usec={},usec_per_call={each:.2}", stat.calls, stat.usec));
            }
        }
    }

    fn keyspace(&mut self) {
        for (index, keys, expires, average_ttl_ms) in self.server.databases_in_use() {
            let field = format!("db{index}");
            self.line(&field, format_args!("keys={keys},expires={expires},avg_ttl={average_ttl_ms}"));
        }
    }
}

impl Server {
    /// Bytes of the AOF that are not written yet.
    fn aof_buffered(&self) -> u64 {
        self.aof.buffered() as u64
    }

    /// Bytes of the AOF now, and after its last rewrite.
    fn aof_sizes(&self) -> (u64, u64) {
        (self.aof.size(), self.aof.base_size())
    }

    /// How the last write to the AOF ended.
    fn aof_last_write_status(&self) -> &'static str {
        if self.aof.failure().is_some() { "err" } else { "ok" }
    }

    /// Index, keys, keys with an expiry, and average time to live in milliseconds of every database that holds keys.
    fn databases_in_use(&self) -> Vec<(usize, usize, usize, i64)> {
        let dbs = self.keyspace.iter().enumerate().filter(|(_, db)| !db.keys.is_empty());
        dbs.map(|(index, db)| (index, db.keys.len(), db.keys.expiring(), db.avg_ttl)).collect()
    }
}

/// Bytes in the largest unit that leaves at least one.
fn for_people(bytes: u64) -> String {
    if bytes < 1024 {
        return format!("{bytes}B");
    }
    let mut value = bytes as f64 / 1024.0;
    for unit in ["K", "M", "G", "T"] {
        if value < 1024.0 {
            return format!("{value:.2}{unit}");
        }
        value /= 1024.0;
    }
    format!("{value:.2}P")
}

fn quotient(part: u64, whole: u64) -> String {
    format!("{:.2}", ratio(part, whole))
}

fn percent(part: u64, whole: u64) -> String {
    format!("{:.2}%", ratio(part, whole) * 100.0)
}

fn kilobytes(bytes: u64) -> String {
    format!("{:.2}", bytes as f64 / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_for_people_have_two_decimals_and_a_unit() {
        for (bytes, text) in
            [(0, "0B"), (1023, "1023B"), (1024, "1.00K"), (854_304, "834.28K"), (25_276_510_208, "23.54G")]
        {
            assert_eq!(for_people(bytes), text);
        }
    }
}
