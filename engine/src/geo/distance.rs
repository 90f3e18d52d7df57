//! Distances over the surface of a sphere.

use super::Position;

/// Radius of the sphere, metres.
pub const EARTH_RADIUS: f64 = 6_372_797.560_856;

/// Radians of a degree.
const RADIANS: f64 = std::f64::consts::PI / 180.0;

/// Degrees to radians.
#[must_use]
pub fn radians(degrees: f64) -> f64 {
    degrees * RADIANS
}

/// Radians to degrees.
#[must_use]
pub fn degrees(radians: f64) -> f64 {
    radians / RADIANS
}

/// Metres between two places, by the haversine formula.
#[must_use]
pub fn metres(from: Position, to: Position) -> f64 {
    let (from_latitude, to_latitude) = (radians(from.latitude), radians(to.latitude));
    let u = ((to_latitude - from_latitude) / 2.0).sin();
    let v = ((radians(to.longitude) - radians(from.longitude)) / 2.0).sin();
    let square = u * u + from_latitude.cos() * to_latitude.cos() * v * v;
    // Of opposite places the rounded sum can pass 1, which has no arc sine.
    2.0 * EARTH_RADIUS * square.sqrt().min(1.0).asin()
}

/// Units of distances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Metres.
    Metre,
    /// Kilometres.
    Kilometre,
    /// Feet.
    Foot,
    /// Miles.
    Mile,
}

impl Unit {
    /// By its name, in small letters.
    #[must_use]
    pub fn named(name: &[u8]) -> Option<Unit> {
        match name {
            b"m" => Some(Unit::Metre),
            b"km" => Some(Unit::Kilometre),
            b"ft" => Some(Unit::Foot),
            b"mi" => Some(Unit::Mile),
            _ => None,
        }
    }

    /// Its length in metres.
    #[must_use]
    pub fn metres(self) -> f64 {
        match self {
            Unit::Metre => 1.0,
            Unit::Kilometre => 1000.0,
            Unit::Foot => 0.3048,
            Unit::Mile => 1609.34,
        }
    }
}
