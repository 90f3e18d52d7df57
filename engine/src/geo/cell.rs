//! Positions, the numbers of their cells, and back.

use std::ops::Range;

/// Greatest longitude, degrees.
pub const LONGITUDE_MAX: f64 = 180.0;
/// Greatest latitude, degrees: where the map of web Mercator, a square, ends.
pub const LATITUDE_MAX: f64 = 85.051_128_78;
/// Steps of the finest division.
pub const STEPS: u32 = 26;
/// Numbers of the finest cells are below.
pub const CELLS: u64 = 1 << (2 * STEPS);

/// Letters of a geohash, five bits each.
const ALPHABET: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
/// Letters that GEOHASH shows.
pub const LETTERS: usize = 11;
/// Greatest latitude of the division that public geohashes use, degrees.
const GEOHASH_LATITUDE_MAX: f64 = 90.0;

/// A place on the earth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Position {
    /// Degrees to the east.
    pub longitude: f64,
    /// Degrees to the north.
    pub latitude: f64,
}

/// From west to east and from south to north, degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// The south-western corner.
    pub low: Position,
    /// The north-eastern corner.
    pub high: Position,
}

/// A cell of one of the divisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Number of the column, from the west, below 2^step; 2^step is the eastern edge of the map.
    pub column: u32,
    /// Number of the row, from the south, below 2^step; 2^step is the northern edge of the map.
    pub row: u32,
    /// The division: 2^step columns and rows.
    pub step: u32,
}

/// Puts zeros between the bits of a number.
fn spread(number: u32) -> u64 {
    let mut bits = u64::from(number);
    for (shift, mask) in [
        (16, 0x0000_ffff_0000_ffff),
        (8, 0x00ff_00ff_00ff_00ff),
        (4, 0x0f0f_0f0f_0f0f_0f0f),
        (2, 0x3333_3333_3333_3333),
        (1, 0x5555_5555_5555_5555),
    ] {
        bits = (bits | bits << shift) & mask;
    }
    bits
}

/// The even bits of a number, moved together.
fn gathered(bits: u64) -> u32 {
    let mut bits = bits & 0x5555_5555_5555_5555;
    for (shift, mask) in [
        (1, 0x3333_3333_3333_3333),
        (2, 0x0f0f_0f0f_0f0f_0f0f),
        (4, 0x00ff_00ff_00ff_00ff),
        (8, 0x0000_ffff_0000_ffff),
        (16, 0x0000_0000_ffff_ffff),
    ] {
        bits = (bits | bits >> shift) & mask;
    }
    bits as u32 // 32 bits are left.
}

/// Which of 2^`step` parts of -`max`..`max` holds the coordinate; the greatest coordinate begins a part of its own.
fn part(coordinate: f64, max: f64, step: u32) -> u32 {
    let share = (coordinate - -max) / (max - -max);
    (share * (1u64 << step) as f64) as u32
}

/// Where part `number` of 2^`step` begins.
fn beginning(number: u32, max: f64, step: u32) -> f64 {
    -max + f64::from(number) / (1u64 << step) as f64 * (max - -max)
}

impl Position {
    /// Whether it lies on the map.
    #[must_use]
    pub fn is_on_the_map(self) -> bool {
        (-LONGITUDE_MAX..=LONGITUDE_MAX).contains(&self.longitude)
            && (-LATITUDE_MAX..=LATITUDE_MAX).contains(&self.latitude)
    }

    /// The number of its finest cell. On the eastern and northern edges of the map that is one beyond the last, and the
    /// number not below [`CELLS`].
    #[must_use]
    pub fn number(self) -> u64 {
        let column = part(self.longitude, LONGITUDE_MAX, STEPS);
        let row = part(self.latitude, LATITUDE_MAX, STEPS);
        spread(column) << 1 | spread(row)
    }

    /// The middle of the finest cell whose number is the score's whole part. Scores that are no such numbers give
    /// positions off the map; which, is that of a processor that takes the score as a 64-bit number.
    #[must_use]
    pub fn of_score(score: f64) -> Position {
        let (column, row) = finest(score);
        let middle = |number: u32, max: f64| {
            (beginning(number, max, STEPS) + beginning(number.wrapping_add(1), max, STEPS)) / 2.0
        };
        Position { longitude: middle(column, LONGITUDE_MAX), latitude: middle(row, LATITUDE_MAX) }
    }

    /// As [`Position::of_score`]; `None` for a score that no position on the map has.
    #[must_use]
    pub fn of_place(score: f64) -> Option<Position> {
        let (column, row) = finest(score);
        // Beyond both edges; much greater scores lose their upper bits.
        let in_range = (0.0..(4 * CELLS) as f64).contains(&score);
        (in_range && column <= 1 << STEPS && row <= 1 << STEPS).then(|| Position::of_score(score))
    }

    /// The letters by which the public knows the place.
    #[must_use]
    pub fn geohash(self) -> [u8; LETTERS] {
        let column = part(self.longitude, LONGITUDE_MAX, STEPS).min((1 << STEPS) - 1);
        let row = part(self.latitude, GEOHASH_LATITUDE_MAX, STEPS).min((1 << STEPS) - 1);
        let bits = spread(column) << 1 | spread(row);
        // 52 bits are ten letters; what is left for the eleventh is not used.
        std::array::from_fn(|at| match (2 * STEPS as usize).checked_sub(5 * (at + 1)) {
            Some(shift) => ALPHABET[(bits >> shift & 0x1f) as usize],
            None => ALPHABET[0],
        })
    }
}

/// Column and row of the finest cell whose number is the score's whole part.
fn finest(score: f64) -> (u32, u32) {
    let bits = bits_of(score);
    (gathered(bits >> 1), gathered(bits))
}

/// A score as a 64-bit number: its whole part; negative ones from 2^64 downwards, and 0 for those beyond.
fn bits_of(score: f64) -> u64 {
    const HALF: f64 = (1u64 << 63) as f64;
    if score < HALF {
        (score as i64).cast_unsigned()
    } else if score - HALF < HALF {
        ((score - HALF) as u64) ^ 1 << 63
    } else {
        0
    }
}

impl Cell {
    /// The cell of a division in which a position lies, or the nearest one. Edges belong to the cells before them.
    #[must_use]
    pub fn containing(position: Position, step: u32) -> Cell {
        let last = (1 << step) - 1;
        let Cell { column, row, .. } = Cell::or_edge(position, step);
        Cell { column: column.min(last), row: row.min(last), step }
    }

    /// As [`Cell::containing`], but the eastern and the northern edge of the map are cells of their own.
    #[must_use]
    pub fn or_edge(position: Position, step: u32) -> Cell {
        let on_the_map = |coordinate: f64, max: f64| coordinate.clamp(-max, max);
        Cell {
            column: part(on_the_map(position.longitude, LONGITUDE_MAX), LONGITUDE_MAX, step),
            row: part(on_the_map(position.latitude, LATITUDE_MAX), LATITUDE_MAX, step),
            step,
        }
    }

    /// The cell this many columns to the east and rows to the north; both begin anew behind the last.
    #[must_use]
    pub fn moved(self, east: i32, north: i32) -> Cell {
        let mask = (1 << self.step) - 1;
        Cell {
            column: self.column.wrapping_add_signed(east) & mask,
            row: self.row.wrapping_add_signed(north) & mask,
            step: self.step,
        }
    }

    /// Its corners.
    #[must_use]
    pub fn bounds(self) -> Bounds {
        let corner = |column, row| Position {
            longitude: beginning(column, LONGITUDE_MAX, self.step),
            latitude: beginning(row, LATITUDE_MAX, self.step),
        };
        Bounds { low: corner(self.column, self.row), high: corner(self.column + 1, self.row + 1) }
    }

    /// The numbers of the finest cells within.
    #[must_use]
    pub fn numbers(self) -> Range<u64> {
        let shift = 2 * (STEPS - self.step);
        let number = spread(self.column) << 1 | spread(self.row);
        number << shift..(number + 1) << shift
    }

    /// The scores whose whole parts are numbers within. Of cells on the edges others may be among them.
    #[must_use]
    pub fn scores(self) -> Range<f64> {
        // Beyond 2^53 only every second number is a double, and each of those belongs to one cell.
        let score = |number: u64| if number > 2 * CELLS { number + (number & 1) } else { number } as f64;
        let Range { start, end } = self.numbers();
        score(start)..score(end)
    }
}
