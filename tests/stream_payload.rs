//! Streams: an ordered map under any changes; payloads of any bytes are taken or refused without harm.
#![allow(clippy::unwrap_used)]

use proptest::collection::vec;
use proptest::prelude::*;
use tally_check::properties::stream_payload::{
    a_stream_is_an_ordered_map, any_payload_is_taken_or_refused, body, operations,
};

proptest! {
    #[test]
    fn a_stream_is_an_ordered_map_for_any_bytes(bytes in vec(any::<u8>(), 0..400)) {
        let (limits, operations) = operations(&bytes);
        a_stream_is_an_ordered_map(&limits, &operations);
    }

    //= SPEC.md#stream-values
    //# [RDBSTREAM-7] (file) A reader MUST refuse as damage a group or a consumer that stands twice, and pending entries of which not each one belongs to exactly one consumer.
    #[test]
    fn any_payload_of_a_stream_is_taken_or_refused(bytes in vec(any::<u8>(), 0..120)) {
        any_payload_is_taken_or_refused(&bytes);
    }

    #[test]
    fn a_damaged_payload_of_a_stream_is_taken_or_refused(
        bytes in vec(any::<u8>(), 0..80), at: prop::sample::Index, change: u8, cut in 0usize..3,
    ) {
        let mut payload = body(&bytes);
        let at = at.index(payload.len());
        payload[at] ^= change;
        payload.truncate(payload.len().saturating_sub(cut));
        any_payload_is_taken_or_refused(payload.get(1..).unwrap_or_default());
    }
}

#[test]
fn most_payloads_that_are_made_are_streams() {
    // Small numbers draw no mistakes.
    let bytes = |turn: u8| (0..90).map(move |at: u8| at.wrapping_mul(turn.wrapping_add(3)) % 16).collect::<Vec<u8>>();
    let taken = (0..100).filter(|turn| any_payload_is_taken_or_refused(&bytes(*turn))).count();
    println!("{taken} of 100 are streams");
    assert!(taken >= 10, "only {taken} of 100 are streams");
}
