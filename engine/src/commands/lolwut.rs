//! LOLWUT: a piece of generative art, and the version.
//!
//! Ours is a tally: rows of bundles, four strokes and one across. The first row is drawn with a ruler; row by row the hand
//! gets less steady. The canvas has two by four pixels to a character, drawn with the braille patterns of Unicode.

use rand_chacha::rand_core::Rng as _;

use super::{Context, Refusal};
use crate::number::parse_i64;
use crate::resp::Args;

/// Redis' version that clients read from the last line.
const CAPTION: &str = "\nTally - strokes on braille, after a notched stick. Redis ver. 5.0.14\n";

/// `LOLWUT [columns [bundles-per-row [rows]]]`; values beyond the limits are moved into them.
pub(crate) fn lolwut(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let mut size = [66, 8, 12];
    let limits = [1000, 200, 200];
    for (at, (value, limit)) in size.iter_mut().zip(limits).enumerate() {
        if at + 1 < args.len() {
            *value = parse_i64(&args[at + 1]).ok_or(Refusal::NOT_AN_INTEGER)?.clamp(1, limit);
        }
    }
    let [columns, bundles, rows] = size;
    let rng = &mut cx.server.rng;
    let mut text = draw(columns as i32, bundles as i32, rows as i32, &mut || rng.next_u32());
    text.push_str(CAPTION);
    cx.reply().bulk(text.as_bytes());
    Ok(())
}

/// A black and white picture.
struct Canvas {
    width: i32,
    height: i32,
    pixels: Vec<bool>,
}

impl Canvas {
    fn new(width: i32, height: i32) -> Self {
        let pixels = vec![false; width.unsigned_abs() as usize * height.unsigned_abs() as usize];
        Self { width, height, pixels }
    }

    fn index(&self, x: i32, y: i32) -> Option<usize> {
        let inside = (0..self.width).contains(&x) && (0..self.height).contains(&y);
        inside.then(|| y.unsigned_abs() as usize * self.width.unsigned_abs() as usize + x.unsigned_abs() as usize)
    }

    /// A straight line; what lies outside is not drawn.
    fn line(&mut self, from: (f64, f64), to: (f64, f64)) {
        let steps = (to.0 - from.0).abs().max((to.1 - from.1).abs()).ceil().max(1.0);
        for step in 0..=steps as i32 {
            let along = f64::from(step) / steps;
            let x = from.0 + (to.0 - from.0) * along;
            let y = from.1 + (to.1 - from.1) * along;
            if let Some(index) = self.index(x.round() as i32, y.round() as i32) {
                self.pixels[index] = true;
            }
        }
    }

    /// The picture as text, a line for every four rows of pixels.
    fn braille(&self) -> String {
        /// Bit of each pixel of a character: x, y, bit.
        const DOTS: [(i32, i32, u32); 8] =
            [(0, 0, 0), (0, 1, 1), (0, 2, 2), (1, 0, 3), (1, 1, 4), (1, 2, 5), (0, 3, 6), (1, 3, 7)];
        let mut text = String::new();
        for y in (0..self.height).step_by(4) {
            for x in (0..self.width).step_by(2) {
                let set = |&(dx, dy, bit): &(i32, i32, u32)| {
                    self.index(x + dx, y + dy).is_some_and(|index| self.pixels[index]).then_some(1 << bit)
                };
                let dots: u32 = DOTS.iter().filter_map(set).sum();
                text.push(char::from_u32(0x2800 + dots).unwrap_or(' '));
            }
            text.push('\n');
        }
        text
    }
}

/// Draws the tally; `chance` gives random numbers.
fn draw(columns: i32, bundles: i32, rows: i32, chance: &mut dyn FnMut() -> u32) -> String {
    const STROKES: i32 = 4;
    /// A picture of more pixels has its lower rows cut off, or one command could take a gigabyte.
    const PIXELS_MAX: i32 = 1 << 24;
    let margin = if columns > 4 { 4 } else { 0 };
    let side = f64::from((columns * 2 - 2 * margin) / bundles).max(1.0);
    let height = ((side * f64::from(rows)) as i32 + 2 * margin).min(PIXELS_MAX / (columns * 2));
    let mut canvas = Canvas::new(columns * 2, height);
    for row in 0..rows {
        // None in the first row, up to a third of a bundle's side in the last.
        let unsteady = side / 3.0 * f64::from(row) / f64::from(rows.max(2) - 1);
        let mut wobble = |at: f64| at + (f64::from(chance()) / f64::from(u32::MAX) * 2.0 - 1.0) * unsteady;
        let top = f64::from(margin) + side * f64::from(row);
        for bundle in 0..bundles {
            let left = f64::from(margin) + side * f64::from(bundle);
            for stroke in 1..=STROKES {
                let x = left + side * f64::from(stroke) / f64::from(STROKES + 1);
                canvas.line((wobble(x), wobble(top + side * 0.1)), (wobble(x), wobble(top + side * 0.9)));
            }
            canvas.line((wobble(left), wobble(top + side * 0.8)), (wobble(left + side), wobble(top + side * 0.2)));
        }
    }
    canvas.braille()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_drawing_has_as_many_columns_as_asked_and_bounded_size() {
        let mut state = 1u32;
        let mut chance = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state
        };
        for (columns, bundles, rows) in [(66, 8, 12), (1, 1, 1), (1000, 1, 1), (1, 200, 200), (5, 200, 3)] {
            let text = draw(columns, bundles, rows, &mut chance);
            assert!(text.lines().all(|line| line.chars().count() == columns as usize), "{columns} {bundles} {rows}");
            assert!(!text.is_empty());
        }
    }
}
