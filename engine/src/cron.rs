//! What is done `hz` times a second, whatever the clients do.

use crate::client::Client;
use crate::config::BufferLimit;
use crate::effect::LogLevel;
use crate::event::ClientId;
use crate::keyspace::expire::Cycle;
use crate::lru;
use crate::state::Server;
use crate::world::World;

/// Highest frequency of the cron.
const MOST_HZ: i64 = 500;
/// With `dynamic-hz`, the frequency doubles until at most this many clients are looked at in one run.
const CLIENTS_PER_RUN: i64 = 200;
/// Clients looked at in one run, at least.
const FEWEST_CLIENTS: usize = 5;
/// Milliseconds of silence after which a client's buffers are given back.
const SHRINK_AFTER_MS: i64 = 2000;

/// One run. Returns the milliseconds until the next.
pub(crate) fn run(server: &mut Server, world: &mut dyn World) -> i64 {
    server.cron_hz = frequency(server);
    server.lru_clock = lru::clock(server.clock.unix_ms());
    server.stats.peak_memory = server.stats.peak_memory.max(server.used_memory(world));
    if every(server, 100) {
        let now_us = server.clock.now_us;
        let stats = &mut server.stats;
        stats.command_rate.sample(stats.commands, now_us);
        stats.input_rate.sample(stats.input_bytes, now_us);
        stats.output_rate.sample(stats.output_bytes, now_us);
    }
    if every(server, 5000) {
        let clients = server.clients.len();
        let bytes = server.used_memory(world);
        server.log(LogLevel::Verbose, format!("{clients} clients connected (0 replicas), {bytes} bytes in use"));
    }
    if every(server, 1000) {
        server.migration.close_idle(server.clock.unix_s(), world);
    }
    clients(server);
    server.time_out_blocked();
    server.expire_cycle(world, Cycle::Slow);
    server.resize_tables(world);
    server.check_rewrites();
    server.check_save_points();
    server.flush_aof();
    server.cron_runs += 1;
    1000 / server.cron_hz
}

/// Runs a second, at the moment.
fn frequency(server: &Server) -> i64 {
    let mut hz = server.config.hz.clamp(1, MOST_HZ);
    if server.config.dynamic_hz {
        let clients = i64::try_from(server.clients.len()).unwrap_or(i64::MAX);
        while clients / hz > CLIENTS_PER_RUN && hz < MOST_HZ {
            hz = (hz * 2).min(MOST_HZ);
        }
    }
    hz
}

/// Whether something that is done every `period_ms` milliseconds is done in this run.
fn every(server: &Server, period_ms: i64) -> bool {
    let run_ms = 1000 / server.cron_hz;
    period_ms <= run_ms || server.cron_runs.is_multiple_of((period_ms / run_ms).unsigned_abs())
}

/// Looks after some of the connections, each about once a second.
fn clients(server: &mut Server) {
    let all = server.clients.slots();
    let share = all / usize::try_from(server.cron_hz).unwrap_or(1);
    let count = share.max(FEWEST_CLIENTS).min(all);
    let now_ms = server.clock.unix_ms();
    let timeout_s = server.config.timeout;
    let mut gone: Vec<(ClientId, String)> = Vec::new();
    let limits = server.config.client_output_buffer_limit;
    for client in server.clients.next_in_turn(count) {
        let silent_ms = now_ms - client.last_interaction_ms;
        let may_be_silent = client.waiting.is_some() || client.subscriptions.is_some() || client.monitor;
        if timeout_s > 0 && silent_ms > timeout_s.saturating_mul(1000) && !may_be_silent {
            gone.push((client.id, "Closing idle client".to_owned()));
        } else if over_limit(client, &limits[client.class() as usize], now_ms) {
            let text = format!("Client {} closed for overcoming of output buffer limits.", client.peer.address);
            gone.push((client.id, text));
        } else if silent_ms > SHRINK_AFTER_MS {
            if let Some(parser) = &mut client.parser {
                parser.shrink();
            }
            client.output.shrink();
        }
    }
    for (id, text) in gone {
        server.log(LogLevel::Verbose, text);
        server.close_now(id);
    }
}

/// Whether more output waits for the client than `client-output-buffer-limit` lets it leave unread.
pub(crate) fn over_limit(client: &mut Client, limit: &BufferLimit, now_ms: i64) -> bool {
    let waits = client.output.len() as u64;
    if limit.hard > 0 && waits >= limit.hard {
        return true;
    }
    if limit.soft == 0 || waits < limit.soft {
        client.over_soft_limit_since = None;
        return false;
    }
    let since = *client.over_soft_limit_since.get_or_insert(now_ms);
    now_ms - since > limit.soft_seconds.saturating_mul(1000)
}
