//! Positions on the earth as the 52-bit numbers that sorted sets hold as scores.
//!
//! Longitude and latitude are each cut into 2^26 equal parts and their numbers interleaved, so that what is near on the
//! map is mostly near in number, and cells of any coarser division are ranges of numbers:
//!
//! ```text
//!   bit    51 50 49 48   …   3  2  1  0         longitude of -180..180 in the odd bits,
//!          x25 y25 x24 y24   x1 y1 x0 y0        latitude of -85.05112878..85.05112878 in the even ones
//!          └ step 1 ┘                           a cell of step s is the upper 2s bits
//! ```
//!
//! [`cell`] converts between positions, numbers and cells; [`distance`] measures; [`area`] finds the cells in which
//! everything within a distance lies.

pub mod area;
pub mod cell;
pub mod distance;

pub use cell::Position;
