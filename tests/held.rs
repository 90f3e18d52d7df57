//! When every connection is gone the engine holds nothing on behalf of any.

use tally_check::properties::held::{Experience, everything_is_released};
use tally_engine::Held;

/// How much to try: `TALLY_CASES` scales it, 100 being the normal amount.
fn cases() -> u64 {
    let cases = std::env::var("TALLY_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(100u64);
    (cases * 3).max(10)
}

#[test]
fn nothing_is_held_after_everybody_left() {
    let runs = (0..cases()).map(|seed| everything_is_released(seed, 400));
    let experience = runs.fold(Experience::default(), Experience::and);
    // Whatever was never held was not seen to be released either. A script and what makes keys ready are over with the
    // event that began them.
    let over_at_once = Held { ready_keys: 1, slow_scripts: 1, ..experience.most };
    let text = format!("{over_at_once:?}");
    assert!(cases() < 300 || !text.contains(": 0,") && !text.contains(": 0 "), "{experience:?}");
    assert!(cases() < 300 || experience.killed > 0 && experience.interrupted > experience.killed, "{experience:?}");
}
