//! Names that an engine gives itself: 40 hexadecimal digits, drawn anew for each run.

use rand_chacha::rand_core::Rng;

/// Digits of an identity.
const DIGITS: usize = 40;

/// The run's id, and the ids of the replication histories it takes part in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// `run_id` of INFO.
    pub(crate) run_id: String,
    /// `master_replid`: the history that this server writes.
    pub(crate) replication_id: String,
    /// `master_replid2`: the history it followed before; all zeros for none.
    pub(crate) second_replication_id: String,
}

impl Identity {
    /// Draws both ids.
    pub(crate) fn draw(rng: &mut impl Rng) -> Self {
        Self { run_id: draw(rng), replication_id: draw(rng), second_replication_id: "0".repeat(DIGITS) }
    }

    /// Begins a history of its own, unrelated to any other (DEBUG CHANGE-REPL-ID).
    pub(crate) fn change_replication_id(&mut self, rng: &mut impl Rng) {
        self.replication_id = draw(rng);
        self.second_replication_id = "0".repeat(DIGITS);
    }
}

fn draw(rng: &mut impl Rng) -> String {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut bytes = [0u8; DIGITS];
    rng.fill_bytes(&mut bytes);
    bytes.iter().map(|byte| char::from(HEX[usize::from(byte & 15)])).collect()
}
