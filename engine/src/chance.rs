//! Random numbers for the choices of one command or one structure.
//!
//! The server's generator is seeded by whoever made the engine, and is the only source of chance. What has no access to
//! it, because a value is borrowed or because it lies in a structure, draws from a small generator of its own that was
//! seeded from there: a counter that goes through all 64-bit numbers, each mixed until its bits look unrelated
//! (SplitMix64).

/// Distance from one state to the next: odd, so that all are gone through.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The generator.
#[derive(Clone, Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    /// Begins at `seed`.
    #[must_use]
    pub(crate) fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    /// Sixty-four random bits.
    #[inline]
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number below `bound`, all with equal chances; 0 when there is no such number.
    #[inline]
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        loop {
            // The high half of the product is below the bound; words whose low half falls into the incomplete last
            // stretch are drawn anew.
            let product = u128::from(self.next()) * u128::from(bound);
            if bound <= 1 || product as u64 >= bound.wrapping_neg() % bound {
                return (product >> 64) as u64;
            }
        }
    }

    /// An index of a sequence of `len` elements; 0 when it is empty.
    #[inline]
    pub(crate) fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::Chance;

    #[test]
    fn all_numbers_below_a_bound_are_equally_likely() {
        let mut chance = Chance::new(7);
        assert_eq!((chance.below(0), chance.below(1)), (0, 0));
        let mut counts = [0u32; 7];
        for _ in 0..70_000 {
            counts[chance.index(7)] += 1;
        }
        // Ten standard deviations.
        assert!(counts.iter().all(|count| count.abs_diff(10_000) < 1_000), "{counts:?}");
    }
}
