//! When every connection is gone the engine holds nothing on behalf of any.

use tally_check::properties::held::everything_is_released;

/// How much to try: `TALLY_CASES` scales it, 100 being the normal amount.
fn cases() -> u64 {
    let cases = std::env::var("TALLY_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(100u64);
    (cases * 3).max(10)
}

#[test]
fn nothing_is_held_after_everybody_left() {
    for seed in 0..cases() {
        everything_is_released(seed, 400);
    }
}
