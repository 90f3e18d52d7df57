//! Where memory goes, as INFO and MEMORY show it.
//!
//! ```text
//! used ─┬─ overhead ─┬─ startup      what the process took before it held anything
//!       │            ├─ clients      buffers of connections
//!       │            ├─ AOF          what is not written yet
//!       │            └─ tables       buckets, and the lists of keys that expire
//!       └─ dataset                   keys and values
//! process: allocated ≤ active ≤ resident (pages of the allocator) ≤ rss (pages of the process)
//! ```
//!
//! Parts are never more than the whole: a part that was measured at another moment is cut to fit, so that no difference
//! is below zero.

use crate::client::Client;
use crate::state::Server;
use crate::world::World;

/// Bytes by what they are used for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Figures {
    /// All that is allocated.
    pub(crate) used: u64,
    /// The most that was.
    pub(crate) peak: u64,
    /// What was before the first key.
    pub(crate) startup: u64,
    /// Of connections.
    pub(crate) clients: u64,
    /// Of the AOF, not written yet.
    pub(crate) aof_buffer: u64,
    /// Of each database that holds keys.
    pub(crate) tables: Vec<Tables>,
    /// All but keys and values.
    pub(crate) overhead: u64,
    /// Keys and values.
    pub(crate) dataset: u64,
    /// Keys of all databases.
    pub(crate) keys: u64,
    /// Handed out by the allocator.
    pub(crate) allocated: u64,
    /// Pages in which it hands out.
    pub(crate) active: u64,
    /// Pages that it has in core.
    pub(crate) resident: u64,
    /// Pages of the process in core.
    pub(crate) rss: u64,
}

/// Bytes of the tables of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tables {
    /// The database.
    pub(crate) index: usize,
    /// Buckets.
    pub(crate) keys: u64,
    /// The list of keys that expire.
    pub(crate) expires: u64,
}

impl Figures {
    /// The figures now. `client` is who asks: it is not in the server's table meanwhile.
    pub(crate) fn take(server: &Server, client: &Client, world: &dyn World) -> Figures {
        let fact = |field: &str| world.process_fact(field).and_then(|text| text.parse::<u64>().ok());
        let used = server.used_memory(world) as u64;
        let startup = (server.stats.startup_memory as u64).min(used);
        let everyone = server.clients.iter().chain(std::iter::once(client));
        let clients: u64 = everyone.map(|client| client.memory() as u64).sum();
        let aof_buffer = server.memory_not_counted() as u64;
        let in_use = server.keyspace.iter().enumerate().filter(|(_, db)| !db.keys.is_empty());
        let tables: Vec<Tables> = in_use
            .map(|(index, db)| Tables {
                index,
                keys: db.keys.dict().table_bytes() as u64,
                expires: db.keys.expiring_bytes() as u64,
            })
            .collect();
        let of_tables: u64 = tables.iter().map(|tables| tables.keys + tables.expires).sum();
        let overhead = (startup + clients + aof_buffer + of_tables).min(used);
        let allocated = fact("allocator_allocated").unwrap_or(used);
        let active = fact("allocator_active").unwrap_or(allocated);
        let resident = fact("allocator_resident").unwrap_or(active);
        Figures {
            used,
            peak: (server.stats.peak_memory as u64).max(used),
            startup,
            clients,
            aof_buffer,
            tables,
            overhead,
            dataset: used - overhead,
            keys: server.keyspace.iter().map(|db| db.keys.len() as u64).sum(),
            allocated,
            active,
            resident,
            rss: fact("used_memory_rss").unwrap_or(used),
        }
    }

    /// What was allocated since the start.
    pub(crate) fn grown(&self) -> u64 {
        self.used - self.startup
    }
}

/// How large `part` is beside `whole`; 0 beside nothing.
pub(crate) fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// By how much `left` exceeds `right`.
pub(crate) fn excess(left: u64, right: u64) -> i64 {
    let difference = i128::from(left) - i128::from(right);
    i64::try_from(difference).unwrap_or(if difference < 0 { i64::MIN } else { i64::MAX })
}
