//! Connections to other servers that MIGRATE keeps for its next call.

use crate::world::{PeerId, World};

/// Most connections that are kept.
const MOST_KEPT: usize = 64;
/// Seconds without use after which a connection is closed.
const IDLE_SECONDS: i64 = 10;

/// A connection to another server.
#[derive(Debug)]
pub(crate) struct Link {
    /// Host and port, as they were given.
    host: Vec<u8>,
    port: Vec<u8>,
    pub(crate) peer: PeerId,
    /// The database that is selected there for sure.
    pub(crate) db: Option<i64>,
    used_s: i64,
}

impl Link {
    /// One that was just made.
    pub(crate) fn new(host: &[u8], port: &[u8], peer: PeerId) -> Link {
        Link { host: host.to_vec(), port: port.to_vec(), peer, db: None, used_s: 0 }
    }
}

/// Those that are kept. [MIGRATE-17]
#[derive(Debug, Default)]
pub(crate) struct KeptLinks {
    /// The one that was used last at the end.
    links: Vec<Link>,
}

impl KeptLinks {
    /// How many there are. [MIGRATE-18]
    pub(crate) fn len(&self) -> usize {
        self.links.len()
    }

    /// Takes out the one to this host and port.
    pub(crate) fn take(&mut self, host: &[u8], port: &[u8]) -> Option<Link> {
        let place = self.links.iter().position(|link| link.host == host && link.port == port)?;
        Some(self.links.remove(place))
    }

    /// Keeps one that was used now, in the place of the one that was not used for longest when there are too many.
    pub(crate) fn keep(&mut self, mut link: Link, now_s: i64, world: &mut dyn World) {
        if self.links.len() >= MOST_KEPT {
            world.close_peer(self.links.remove(0).peer);
        }
        link.used_s = now_s;
        self.links.push(link);
    }

    /// Closes those that nobody used for a while.
    pub(crate) fn close_idle(&mut self, now_s: i64, world: &mut dyn World) {
        self.links.retain(|link| {
            let used = now_s.saturating_sub(link.used_s) <= IDLE_SECONDS;
            if !used {
                world.close_peer(link.peer);
            }
            used
        });
    }
}
