//! Streams: an ordered map under any changes; payloads of any bytes are taken or refused without harm.
#![allow(clippy::unwrap_used)]

use conversation::Conversation;
use proptest::collection::vec;
use proptest::prelude::*;
use tally_check::properties::stream_payload::{
    a_stream_is_an_ordered_map, any_payload_is_taken_or_refused, body, operations,
};
use tally_model::Reply;
use tally_model::rdb::{self, Content};

mod conversation;

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

//= SPEC.md#stream-values
//# [RDBSTREAM-6] (file) A reader MUST refuse as damage a stream whose listpacks break a rule of "Listpacks" or of "Stream encodings", the use of flag 2 aside, whose ids, those of deleted entries aside, do not ascend or exceed the last generated one, or whose entries are not as many as it says.
#[test]
fn deleted_entries_may_be_above_what_follows_them() {
    // XSETID sets the last id back behind the entries that are left; the later entry is below the deleted one, or has
    // its id, or there is none.
    for later in [None, Some("5-0"), Some("9-0")] {
        let mut conversation = Conversation::new();
        conversation.say(&["XADD", "k", "1-0", "f", "v"]);
        conversation.say(&["XADD", "k", "9-0", "g", "w"]);
        conversation.say(&["XDEL", "k", "9-0"]);
        conversation.say(&["XSETID", "k", "1"]);
        if let Some(id) = later {
            conversation.say(&["XADD", "k", id, "f", "v"]);
        }
        let Reply::Bulk(payload) = conversation.say(&["DUMP", "k"]) else { panic!("no payload") };
        let (_, content, rest) = rdb::value_of_payload(rdb::payload(&payload).unwrap()).unwrap();
        let Content::Stream(stream) = content else { panic!("{content:?}") };
        let ids: Vec<String> = stream.entries().map(|(id, _)| id.to_string()).collect();
        let expected: Vec<&str> = std::iter::once("1-0").chain(later).collect();
        assert_eq!((ids, rest), (expected.iter().map(ToString::to_string).collect(), 0));
        let answer = conversation.exchange(&[b"RESTORE", b"l", b"0", &payload]);
        assert_eq!(answer.escape_ascii().to_string(), "+OK\\r\\n");
        assert_eq!(conversation.say(&["XRANGE", "l", "-", "+"]), conversation.say(&["XRANGE", "k", "-", "+"]));
    }
}
