//! Which cells hold everything within a distance of a place.
//!
//! The division is chosen so that mostly the place's own cell and its eight neighbours are enough. They come first, in
//! the order in which Redis looks at them, less those that the area does not reach:
//!
//! ```text
//!   7 nw   2 n    6 ne
//!   5 w    1      4 e
//!   9 sw   3 s    8 se
//! ```
//!
//! Where that is not enough — near the poles meridians draw together, and beyond one the area goes on at the opposite
//! longitude — the further cells of the area's true bounds follow, row by row, and so do the edges of the map.

use super::cell::{Bounds, Cell, LONGITUDE_MAX, Position, STEPS};
use super::distance::{EARTH_RADIUS, degrees, metres, radians};
use crate::faults::{self, Fault};

/// Half the length of the equator on the map, metres: a step less for each time that the radius goes into it.
const MERCATOR_MAX: f64 = 20_037_726.37;
/// Degrees added to bounds, far more than rounding takes from them and far less than the finest cell.
const MARGIN: f64 = 1e-8;
/// Columns and rows from the middle to the cells in order of [`cells`], the middle first.
const NEIGHBOURS: [(i32, i32); 9] = [(0, 0), (0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1)];

/// The cells in which everything lies that is at most `radius` metres from `centre`, which is a place; each once.
#[must_use]
pub fn cells(centre: Position, radius: f64) -> Vec<Cell> {
    let mut step = fitting_step(radius, centre.latitude);
    let mut middle = Cell::containing(centre, step);
    if step > 1 && neighbours_fall_short(centre, radius, middle) {
        step -= 1;
        middle = Cell::containing(centre, step);
    }
    let mut cells = Vec::with_capacity(NEIGHBOURS.len());
    let bounds = middle.bounds();
    let near = near_bounds(centre, radius);
    for (east, north) in NEIGHBOURS {
        // In the coarsest division neighbours on both sides are the same.
        let useless = step >= 2
            && (north < 0 && bounds.low.latitude < near.low.latitude
                || north > 0 && bounds.high.latitude > near.high.latitude
                || east < 0 && bounds.low.longitude < near.low.longitude
                || east > 0 && bounds.high.longitude > near.high.longitude);
        let cell = middle.moved(east, north);
        if !useless && !cells.contains(&cell) {
            cells.push(cell);
        }
    }
    if !faults::is(Fault::GeoMissesBeyondPoles) {
        add_rest(centre, radius, step, &mut cells);
    }
    cells
}

/// The division in which a cell's neighbours mostly reach as far as the radius.
fn fitting_step(radius: f64, latitude: f64) -> u32 {
    if radius == 0.0 {
        return STEPS;
    }
    let mut step: i32 = 1;
    let mut reach = radius;
    while reach < MERCATOR_MAX {
        reach *= 2.0;
        step += 1;
    }
    // Coarser, so that the radius is within the neighbours; and more so where columns are narrow.
    step -= 2;
    step -= i32::from(latitude.abs() > 66.0) + i32::from(latitude.abs() > 80.0);
    step.clamp(1, STEPS as i32).unsigned_abs()
}

/// Whether the area goes beyond the outer edge of a neighbour to the north, south, east or west.
fn neighbours_fall_short(centre: Position, radius: f64, middle: Cell) -> bool {
    let edge = |east, north| middle.moved(east, north).bounds();
    let at_latitude = |latitude| Position { latitude, ..centre };
    let at_longitude = |longitude| Position { longitude, ..centre };
    [
        at_latitude(edge(0, 1).high.latitude),
        at_latitude(edge(0, -1).low.latitude),
        at_longitude(edge(1, 0).high.longitude),
        at_longitude(edge(-1, 0).low.longitude),
    ]
    .into_iter()
    .any(|outer| metres(centre, outer) < radius)
}

/// Bounds of the area as if meridians were parallel: they tell which neighbours come at their usual place.
fn near_bounds(centre: Position, radius: f64) -> Bounds {
    let height = degrees(radius / EARTH_RADIUS);
    let width = degrees(radius / EARTH_RADIUS / radians(centre.latitude).cos());
    let corner =
        |sign: f64| Position { longitude: centre.longitude + sign * width, latitude: centre.latitude + sign * height };
    Bounds { low: corner(-1.0), high: corner(1.0) }
}

/// Appends the cells of the division that the area's true bounds touch and that are not there yet.
fn add_rest(centre: Position, radius: f64, step: u32, cells: &mut Vec<Cell>) {
    let angle = radius / EARTH_RADIUS;
    let height = degrees(angle) + MARGIN;
    let (south, north) = (centre.latitude - height, centre.latitude + height);
    let reach = angle.sin() / radians(centre.latitude).cos();
    // The meridians that touch the circle; around a pole there are none.
    let width = if south <= -90.0 || north >= 90.0 || reach >= 1.0 {
        LONGITUDE_MAX
    } else {
        (degrees(reach.asin()) + MARGIN).min(LONGITUDE_MAX)
    };
    let row = |latitude| Cell::or_edge(Position { longitude: 0.0, latitude }, step).row;
    let column = |longitude| Cell::or_edge(Position { longitude, latitude: 0.0 }, step).column;
    let (west, east) = (centre.longitude - width, centre.longitude + width);
    // Behind the eastern edge of the map the west begins.
    let spans = if width >= LONGITUDE_MAX {
        [(-LONGITUDE_MAX, LONGITUDE_MAX); 2]
    } else if west < -LONGITUDE_MAX {
        [(west + 2.0 * LONGITUDE_MAX, LONGITUDE_MAX), (-LONGITUDE_MAX, east)]
    } else if east > LONGITUDE_MAX {
        [(west, LONGITUDE_MAX), (-LONGITUDE_MAX, east - 2.0 * LONGITUDE_MAX)]
    } else {
        [(west, east); 2]
    };
    for row in row(south)..=row(north) {
        for (west, east) in spans {
            let columns = column(west)..=column(east);
            // The eastern edge is the same meridian as the western one, where the first column begins.
            let edge = (*columns.start() == 0).then_some(1 << step);
            for column in columns.chain(edge) {
                let cell = Cell { column, row, step };
                if !cells.contains(&cell) {
                    cells.push(cell);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geo::cell::LATITUDE_MAX;

    /// Places drawn without a generator: multiples of numbers that no grid shares.
    fn places(count: u32) -> impl Iterator<Item = Position> {
        (0..count).map(|at| {
            let turn = |step: f64| (f64::from(at) * step).fract() * 2.0 - 1.0;
            Position {
                longitude: turn(0.618_033_988_749_895) * LONGITUDE_MAX,
                latitude: turn(0.754_877_666_246_693) * LATITUDE_MAX,
            }
        })
    }

    #[test]
    fn every_place_within_the_distance_lies_in_one_of_few_cells() {
        let edges = [
            (180.0, 85.05112878),
            (180.0, 12.0),
            (-77.0, 85.05112878),
            (-180.0, -85.05112878),
            (180.0, -85.0),
            (-180.0, 12.0),
        ];
        let edges = edges.map(|(longitude, latitude)| Position { longitude, latitude });
        for (at, centre) in edges.into_iter().chain(places(300)).enumerate() {
            for radius in [0.0, 1.0, 1000.0, 50_000.0, 600_000.0, 2e6, 5e6, 9e6, 1.5e7, 2e7, f64::INFINITY] {
                let score = centre.number() as f64;
                for centre in [centre].into_iter().chain(Position::of_place(score)) {
                    let cells = cells(centre, radius);
                    assert!(cells.len() <= 60, "{} cells around {centre:?}, {radius} m", cells.len());
                    for other in places(300).skip(at % 7).step_by(7).chain([centre]).chain(edges) {
                        let score = other.number() as f64;
                        if metres(centre, Position::of_score(score)) <= radius {
                            let found = cells.iter().filter(|cell| cell.scores().contains(&score)).count();
                            assert_eq!(found, 1, "{other:?} around {centre:?}, {radius} m");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn beyond_a_pole_is_the_opposite_longitude() {
        let (here, there) =
            (Position { longitude: 0.0, latitude: 80.0 }, Position { longitude: 179.0, latitude: 80.0 });
        assert!(metres(here, there) < 2.3e6);
        assert!(cells(here, 2.5e6).iter().any(|cell| cell.numbers().contains(&there.number())));
    }

    #[test]
    fn what_a_position_becomes_is_a_place_and_near() {
        for position in places(500).chain([Position { longitude: 180.0, latitude: 85.05112878 }]) {
            let place = Position::of_place(position.number() as f64);
            assert!(place.is_some_and(|place| metres(place, position) < 0.5), "{position:?}");
        }
        for score in [-1.0, -0.5, 1e17, 2f64.powi(54), f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(Position::of_place(score), None, "{score}");
        }
    }
}
