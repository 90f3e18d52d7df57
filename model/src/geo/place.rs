//! A place on the map, as two angles and as 52 bits.
//!
//! ```text
//! latitude:  26 bits, its share of -85.05112878 to 85.05112878, at the even bits (bit 0 is its lowest)
//! longitude: 26 bits, its share of -180 to 180, at the odd bits
//! ```

/// The latitudes of the map end here, where it is as high as it is wide.
const GREATEST_LATITUDE: f64 = 85.051_128_78;
const GREATEST_LONGITUDE: f64 = 180.0;
/// Bits of each angle.
const BITS: u32 = 26;
/// The earth's radius in meters.
const EARTH: f64 = 6_372_797.560_856;
/// The digits of a geohash.
const DIGITS: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";

/// A place, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Place {
    pub(super) longitude: f64,
    pub(super) latitude: f64,
}

/// The share of an angle of its range, in units of the last bit, whole.
fn share(angle: f64, greatest: f64) -> u64 {
    let cells = f64::from(1u32 << BITS);
    // Not negative and hardly above the number of cells.
    ((angle + greatest) / (greatest + greatest) * cells) as u64
}

/// The middle of a cell. The cell's number counts in 32 bits and wraps.
fn middle(cell: u32, greatest: f64) -> f64 {
    let cells = f64::from(1u32 << BITS);
    let edge = |cell: u32| -greatest + f64::from(cell) / cells * (greatest + greatest);
    (edge(cell) + edge(cell.wrapping_add(1))) / 2.0
}

/// The bits of two numbers in turn, the first one's at the even places.
fn interleave(even: u64, odd: u64) -> u64 {
    let mut bits = 0;
    for place in 0..u32::BITS {
        bits |= (even >> place & 1) << (2 * place) | (odd >> place & 1) << (2 * place + 1);
    }
    bits
}

/// Every second bit, beginning with bit 0.
fn every_second(bits: u64) -> u32 {
    let mut number = 0;
    for place in 0..u32::BITS {
        number |= ((bits >> (2 * place) & 1) as u32) << place;
    }
    number
}

/// The bits of a score that need not be a geohash: its whole part, modulo 2 to the 64 where it is negative, and 0 from
/// there on. [GEO-4]
fn bits_of(score: f64) -> u64 {
    const HALF: f64 = 9_223_372_036_854_775_808.0;
    if score < HALF {
        // Saturates below the least integer.
        (score as i64) as u64
    } else if score < HALF + HALF {
        score as u64
    } else {
        0
    }
}

/// Whether GEOADD could have stored this score: a cell of the map, or one beyond its last where the place is at the very
/// edge. [GEO-8]
pub(super) fn is_place(score: f64) -> bool {
    const CELLS: u32 = 1 << BITS;
    let bits = bits_of(score);
    (0.0..18_014_398_509_481_984.0).contains(&score) && every_second(bits) <= CELLS && every_second(bits >> 1) <= CELLS
}

impl Place {
    /// Whether it can be on the map.
    pub(super) fn is_on_map(self) -> bool {
        let within = |angle: f64, greatest: f64| (-greatest..=greatest).contains(&angle);
        within(self.longitude, GREATEST_LONGITUDE) && within(self.latitude, GREATEST_LATITUDE)
    }

    /// The bits of its cell. [GEO-1]
    pub(super) fn to_bits(self) -> u64 {
        interleave(share(self.latitude, GREATEST_LATITUDE), share(self.longitude, GREATEST_LONGITUDE))
    }

    /// The middle of the cell that a score stands for. [GEO-3]
    pub(super) fn of_score(score: f64) -> Self {
        let bits = bits_of(score);
        Self {
            longitude: middle(every_second(bits >> 1), GREATEST_LONGITUDE),
            latitude: middle(every_second(bits), GREATEST_LATITUDE),
        }
    }

    /// The way to another place along the surface, in meters. [GEO-5]
    pub(super) fn distance(self, other: Self) -> f64 {
        let radians = |degrees: f64| degrees * (std::f64::consts::PI / 180.0);
        let (one, two) = (radians(self.latitude), radians(other.latitude));
        let across = ((two - one) / 2.0).sin();
        let along = ((radians(other.longitude) - radians(self.longitude)) / 2.0).sin();
        let share = across * across + one.cos() * two.cos() * along * along;
        2.0 * EARTH * share.sqrt().min(1.0).asin()
    }

    /// Its geohash as it is usual elsewhere: latitudes from -90 to 90, five bits a letter, the longitude's first. Two bits
    /// are left over, so that the last letter is always a 0. [GEOHASH-1]
    pub(super) fn to_geohash(self) -> Vec<u8> {
        let last = (1 << BITS) - 1;
        let bits = interleave(share(self.latitude, 90.0).min(last), share(self.longitude, 180.0).min(last));
        let mut text: Vec<u8> = (1..=10).map(|letter| DIGITS[(bits >> (52 - letter * 5) & 31) as usize]).collect();
        text.push(b'0');
        text
    }
}
