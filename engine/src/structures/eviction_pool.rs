//! The best candidates for eviction that samples have shown so far.
//!
//! Each round of sampling offers a few keys with their scores; the pool keeps the [`POOL`] greatest scores of all rounds,
//! so that over time its top comes close to what a full look at all keys would choose.
//!
//! ```text
//!  places   [ 3 ][ 8 ][ 8 ][ 40 ][ . ][ . ] …      ascending; the best is the last one in use
//!                            ▲      the rest keep their buffers for the next keys
//!                            used = 4
//! ```
//!
//! Invariants, verified by [`EvictionPool::validate`]: the places in use are ordered by score, and no key of a database
//! is in two of them; the buffers of the others are empty.

/// Candidates that are remembered.
pub const POOL: usize = 16;
/// A buffer that grew beyond this many bytes for a long key is not kept.
const KEPT_BYTES: usize = 256;

/// A key that may be evicted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Candidate {
    /// The greater, the better it is to lose the key.
    pub score: u64,
    /// The key's database.
    pub db: usize,
    /// The key.
    pub key: Vec<u8>,
}

/// See the [module](self).
#[derive(Debug, Default)]
pub struct EvictionPool {
    /// At most [`POOL`]; grows as places are needed.
    places: Vec<Candidate>,
    used: usize,
}

impl EvictionPool {
    /// Number of candidates.
    #[must_use]
    pub fn len(&self) -> usize {
        self.used
    }

    /// Whether there is no candidate.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// The candidates, the best last.
    #[must_use]
    pub fn candidates(&self) -> &[Candidate] {
        self.places.get(..self.used).unwrap_or_default()
    }

    /// Forgets all candidates.
    pub fn clear(&mut self) {
        for place in &mut self.places[..self.used] {
            place.key.clear();
        }
        self.used = 0;
    }

    /// Takes the key in, unless the pool is full of better ones. A key that is in already gets the new score.
    pub fn offer(&mut self, score: u64, db: usize, key: &[u8]) {
        let known = self.candidates().iter().position(|known| known.db == db && known.key == key);
        if let Some(place) = known {
            self.used -= 1;
            self.places[place..=self.used].rotate_left(1);
        }
        // Behind equal ones: of those the one that was offered last goes first.
        let mut place = self.candidates().partition_point(|known| known.score <= score);
        if self.used == POOL {
            // The worst one goes, which may be this.
            let Some(below) = place.checked_sub(1) else { return };
            self.places[..place].rotate_left(1);
            place = below;
        } else {
            if self.places.len() == self.used {
                self.places.push(Candidate::default());
            }
            self.places[place..=self.used].rotate_right(1);
            self.used += 1;
        }
        let candidate = &mut self.places[place];
        candidate.score = score;
        candidate.db = db;
        candidate.key.clear();
        candidate.key.shrink_to(KEPT_BYTES);
        candidate.key.extend_from_slice(key);
    }

    /// Takes the best candidate out. Its key is worth giving back by [`EvictionPool::give_back`].
    pub fn take_best(&mut self) -> Option<Candidate> {
        self.used = self.used.checked_sub(1)?;
        self.places.get_mut(self.used).map(std::mem::take)
    }

    /// An empty buffer for a key, to be given back as well.
    pub fn spare_buffer(&mut self) -> Vec<u8> {
        self.places.get_mut(self.used).map(|place| std::mem::take(&mut place.key)).unwrap_or_default()
    }

    /// Gives back the buffer of a key that was taken out, so that it serves another.
    pub fn give_back(&mut self, mut key: Vec<u8>) {
        key.clear();
        key.shrink_to(KEPT_BYTES);
        match self.places.get_mut(self.used) {
            Some(place) => place.key = key,
            None if self.used < POOL => self.places.push(Candidate { key, ..Candidate::default() }),
            None => {}
        }
    }

    /// Checks every invariant.
    ///
    /// # Panics
    /// When one does not hold.
    pub fn validate(&self) {
        let candidates = self.candidates();
        assert_eq!(candidates.len(), self.used);
        assert!(self.places.len() <= POOL);
        assert!(candidates.is_sorted_by_key(|candidate| candidate.score));
        for (place, candidate) in candidates.iter().enumerate() {
            let twin = |other: &Candidate| other.db == candidate.db && other.key == candidate.key;
            assert!(!candidates[..place].iter().any(twin), "{candidate:?} is in twice");
        }
        assert!(self.places[self.used..].iter().all(|place| place.key.is_empty()), "a key is left in a buffer");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spare_buffer_is_empty_after_any_change() {
        let mut pool = EvictionPool::default();
        for number in 0..2 * POOL as u64 {
            pool.offer(number % 5, 0, format!("key{number}").as_bytes());
            pool.validate();
        }
        let best = pool.take_best().map(|candidate| candidate.key).unwrap_or_default();
        assert!(!best.is_empty());
        pool.give_back(best);
        pool.validate();
        pool.clear();
        pool.validate();
        assert!(pool.spare_buffer().is_empty());
    }
}
