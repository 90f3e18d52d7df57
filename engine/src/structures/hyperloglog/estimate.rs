//! From registers to a cardinality, by the estimator of Otmar Ertl ("New cardinality estimation algorithms for
//! HyperLogLog sketches", 2017): it needs only how many registers have each value, and no corrections for small or great
//! numbers.

use super::{COUNTED_BITS, REGISTER_BITS, REGISTERS};

/// 1 / (2 ln 2), the limit of the bias correction for many registers.
const ALPHA: f64 = 0.721_347_520_444_481_7;
/// The greatest value that an element gives a register.
const SATURATED: usize = COUNTED_BITS as usize + 1;

/// How many registers have each value.
#[derive(Clone, Debug)]
pub struct Histogram([u32; 1 << REGISTER_BITS]);

impl Default for Histogram {
    fn default() -> Self {
        Histogram([0; 1 << REGISTER_BITS])
    }
}

impl Histogram {
    /// Counts `registers` more of the value; values have six bits.
    #[inline]
    pub fn add(&mut self, value: u8, registers: u32) {
        self.0[usize::from(value) % (1 << REGISTER_BITS)] += registers;
    }

    /// The estimate, rounded. Registers that no elements give can mean more than 2^63; that is then the answer.
    #[must_use]
    pub fn cardinality(&self) -> u64 {
        let registers = REGISTERS as f64;
        let share = |value: usize| f64::from(self.0[value]) / registers;
        let mut sum = registers * tau((registers - f64::from(self.0[SATURATED])) / registers);
        for count in self.0[1..SATURATED].iter().rev() {
            sum = 0.5 * (sum + f64::from(*count));
        }
        sum += registers * sigma(share(0));
        let estimate = (ALPHA * registers * registers / sum).round();
        if estimate < i64::MAX as f64 { estimate as u64 } else { 1 << 63 }
    }
}

/// `x + x^2 + 2 x^4 + 4 x^8 + …`: what registers that are still zero contribute.
fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let mut factor = 1.0;
    let mut sum = x;
    loop {
        x *= x;
        let before = sum;
        sum += x * factor;
        factor += factor;
        if sum == before {
            return sum;
        }
    }
}

/// A third of `1 - x - (1 - √x)²/2 - (1 - ⁴√x)²/4 - …`: what registers that cannot grow any more contribute.
fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let mut factor = 1.0;
    let mut sum = 1.0 - x;
    loop {
        x = x.sqrt();
        let before = sum;
        factor *= 0.5;
        sum -= (1.0 - x) * (1.0 - x) * factor;
        if sum == before {
            return sum / 3.0;
        }
    }
}
