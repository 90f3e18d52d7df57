//! Numbers as text: integers in one form, long doubles as the model reads, adds and prints them, doubles that come back.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use tally_check::properties::number::{
    doubles_round_trip, integers_are_read_in_one_form, integers_round_trip, printed_sums_are_stable, sums_agree,
};

/// Texts of numbers and what only looks like one.
fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[+-]?[0-9]{1,25}(\\.[0-9]{0,25})?([eE][+-]?[0-9]{1,4})?",
        2 => "[+-]?0[xX][0-9a-fA-F]{0,20}(\\.[0-9a-fA-F]{0,20})?([pP][+-]?[0-9]{1,5})?",
        1 => "[+-]?(inf|INF|infinity|nan|0|0\\.0)",
        1 => "[0-9+. eExXpP-]{0,12}",
        1 => any::<f64>().prop_map(|value| format!("{value:e}")),
        1 => any::<i64>().prop_map(|value| value.to_string()),
        1 => "-?4[0-9]{0,4}[eE]-?49[3-5][0-9]",
        1 => "-?[0-9]{1,3}\\.[0-9]{15,19}5?",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn engine_and_model_add_long_doubles_alike(left in number(), right in number()) {
        sums_agree(left.as_bytes(), right.as_bytes());
    }

    #[test]
    fn a_printed_long_double_prints_the_same_again(text in number()) {
        printed_sums_are_stable(text.as_bytes());
    }

    #[test]
    fn integers_have_one_text(text in prop_oneof!["-?[0-9]{0,21}", "[ +-]?0?[0-9]{1,3}[ a.]?"]) {
        integers_are_read_in_one_form(text.as_bytes());
    }

    #[test]
    fn printed_integers_come_back(value in prop_oneof![any::<i64>(), -20i64..20, Just(i64::MIN), Just(i64::MAX)]) {
        integers_round_trip(value);
    }

    #[test]
    fn printed_doubles_come_back(bits: u64) {
        doubles_round_trip(f64::from_bits(bits));
    }
}
