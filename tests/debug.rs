//! DEBUG subcommands whose effect is not a reply: what they leave for the driver to do.
#![allow(clippy::unwrap_used)]

mod conversation;

use conversation::Conversation;
use tally_engine::{Effect, LogLevel};
use tally_model::Reply;

//= SPEC.md#debug
//# [DEBUG-21] (file) DEBUG LOG MUST answer `+OK` and write `DEBUG LOG: ` and its argument to the log at level warning.
#[test]
fn debug_log_writes_its_argument_to_the_log() {
    let mut conversation = Conversation::new();
    assert_eq!(conversation.say(&["DEBUG", "LOG", "here I am"]), Reply::ok());
    let expected = Effect::Log { level: LogLevel::Warning, text: "DEBUG LOG: here I am".into() };
    assert!(conversation.effects.contains(&expected), "{:?}", conversation.effects);
}

//= SPEC.md#debug
//# [DEBUG-25] (wire) DEBUG SEGFAULT, PANIC, ASSERT, RESTART, CRASH-AND-RECOVER and STRINGMATCH-TEST MAY be refused by an error that says so, since what they do, to end the process, serves only tests of Redis itself.
#[test]
fn subcommands_that_end_the_process_do_so_or_say_why_not() {
    for subcommand in ["SEGFAULT", "panic", "ASSERT", "OOM"] {
        let mut conversation = Conversation::new();
        assert_eq!(conversation.exchange(&[b"DEBUG", subcommand.as_bytes()]), b"", "{subcommand}");
        assert!(matches!(conversation.effects.as_slice(), [Effect::Crash { .. }]), "{:?}", conversation.effects);
    }
    for subcommand in ["RESTART", "CRASH-AND-RECOVER", "STRINGMATCH-TEST"] {
        let mut conversation = Conversation::new();
        let Reply::Error(line) = conversation.say(&["DEBUG", subcommand]) else { panic!("{subcommand}") };
        assert!(String::from_utf8(line).unwrap().contains("not available"), "{subcommand}");
        assert!(conversation.effects.is_empty());
    }
}

//= SPEC.md#debug
//# [DEBUG-6] (wire) DEBUG SLEEP MUST answer `+OK` after that many seconds, a decimal fraction, in which no client is served; a text that is no number counts as zero.
#[test]
fn debug_sleep_lets_that_much_time_pass() {
    for (text, us) in [("0.25", 250_000), ("2", 2_000_000), ("nonsense", 0), ("1.5s", 1_500_000), ("-3", 0)] {
        let mut conversation = Conversation::new();
        let before = conversation.world.now_us;
        assert_eq!(conversation.say(&["DEBUG", "SLEEP", text]), Reply::ok());
        assert_eq!(conversation.world.now_us - before, us, "{text}");
    }
}

//= SPEC.md#debug
//# [DEBUG-14] (wire) DEBUG DIGEST MUST answer a status of 40 hexadecimal digits that is the same for equal datasets whatever their history and encodings, and forty zeros for an empty one.
//= SPEC.md#debug
//# [DEBUG-16] (wire) The digest of a string MUST be forty hexadecimal digits of a sum of twenty bytes that begins as zeros, into which 0 in four bytes (big-endian) and the bytes of the string are mixed and, when the key has an expiry, the text `!!expire!!` is added.
#[test]
fn digests_are_those_of_a_real_server() {
    let mut conversation = Conversation::new();
    assert_eq!(conversation.text(&["DEBUG", "DIGEST"]), "0".repeat(40));
    conversation.say(&["SET", "a", "1"]);
    conversation.say(&["SET", "b", "hello", "EX", "100"]);
    // Answered by a server of version 5.0.
    assert_eq!(conversation.text(&["DEBUG", "DIGEST"]), "669dc7955c0119edb82e7cfeb40ea4a28f89f902");
    let values = ["b4fc66738120fba0b5aa500ab5c2bf89cea1c5da", "d037c4eb8a8b36b602fbced4000daeab0714c1e3"]
        .map(|text| Reply::Status(text.into()));
    assert_eq!(conversation.say(&["DEBUG", "DIGEST-VALUE", "a", "b"]), Reply::Array(values.to_vec()));
    // The same by another way.
    let mut other = Conversation::new();
    other.say(&["SETRANGE", "b", "0", "hello"]);
    other.say(&["PEXPIRE", "b", "5"]);
    other.say(&["APPEND", "a", "1"]);
    assert_eq!(other.text(&["DEBUG", "DIGEST"]), conversation.text(&["DEBUG", "DIGEST"]));
}
