//! The model accepts what a real server answered, line by line, as far as it knows the commands.
//!
//! Keys that commands of absent families wrote are set aside until a command whose effect is known whatever they hold
//! (DEL, SET, FLUSHALL …) makes them known again; lines that depend on them are counted as passed over, not judged.
#![allow(clippy::unwrap_used)]

mod company;
#[path = "../recorded/mod.rs"]
mod recorded;
mod replay;

use replay::Replay;

fn replay(name: &str, at_least: usize) -> usize {
    let mut replay = Replay::new();
    let lines = recorded::transcript(name);
    for line in &lines {
        replay.take(line);
    }
    eprintln!("{name}: {} lines, {:?}", lines.len(), replay.counts);
    assert!(replay.counts.judged >= at_least, "only {} lines were judged", replay.counts.judged);
    replay.counts.pushes
}

#[test]
fn recorded_answers_to_string_commands_are_accepted() {
    replay("strings", 7500);
}

#[test]
fn recorded_answers_to_bit_commands_are_accepted() {
    replay("bits", 7500);
}

#[test]
fn recorded_answers_to_key_commands_are_accepted() {
    replay("keys", 4900);
}

#[test]
fn recorded_answers_about_several_databases_are_accepted() {
    replay("multidb", 4000);
}

#[test]
fn recorded_answers_about_objects_are_accepted() {
    replay("object-debug-memory", 6000);
}

#[test]
fn recorded_answers_to_hyperloglog_commands_are_accepted() {
    replay("hll", 4000);
}

#[test]
fn recorded_answers_to_list_commands_are_accepted() {
    replay("lists", 7000);
}

#[test]
fn recorded_answers_to_hash_commands_are_accepted() {
    replay("hashes", 7500);
}

#[test]
fn recorded_answers_to_set_commands_are_accepted() {
    replay("sets", 7500);
}

#[test]
fn recorded_answers_to_sorted_set_commands_are_accepted() {
    replay("zsets", 7500);
}

#[test]
fn recorded_answers_about_ranges_of_members_are_accepted() {
    replay("zlex", 6000);
}

#[test]
fn recorded_answers_to_geo_commands_are_accepted() {
    replay("geo", 5000);
}

#[test]
fn recorded_answers_to_stream_commands_are_accepted() {
    replay("streams", 7900);
}

//= SPEC.md#eval
//# [EVAL-1] (wire) EVAL MUST run its first argument as a Lua 5.1 chunk, no command of another client between the commands that it calls, and answer what it returns as EVAL-20 to EVAL-24 convert it.
// [EVAL-2] [EVAL-3] [EVAL-4] [EVAL-7] [EVALSHA-1] [EVALSHA-2] [SCRIPT-1] [SCRIPT-2]
#[test]
fn recorded_answers_to_scripts_are_accepted() {
    replay("scripting", 5000);
}

//= SPEC.md#exec
//# [EXEC-1] (wire) EXEC MUST execute the queued commands in their order, no command of another client between them, answer an array of their replies, the empty array if there are none, and end the transaction.
#[test]
fn recorded_answers_within_transactions_are_accepted() {
    replay("transactions", 4800);
}

//= SPEC.md#publish
//# [PUBLISH-1] (wire) PUBLISH MUST send an array of `message`, the channel and the message to each client that is subscribed to the channel, and an array of `pmessage`, the pattern, the channel and the message for each subscription to a pattern that matches the channel.
#[test]
fn recorded_messages_are_what_the_model_says_is_due() {
    assert!(replay("pubsub", 5900) >= 7000);
}

//= SPEC.md#events
//# [NOTIFY-1] (wire) Each event of a key MUST be published, if its class is among those of `notify-keyspace-events`, with `K` as the event's name on the channel `__keyspace@N__:KEY` and then, with `E`, as the key on the channel `__keyevent@N__:EVENT`, N being the number of the key's database.
#[test]
fn recorded_notifications_are_what_the_model_says_is_due() {
    assert!(replay("notify", 6600) >= 1100);
}

//= SPEC.md#blocking
//# [BLOCK-10] (wire) The clients that wait for a key MUST be served in the order in which they blocked, those that wait for another type being passed over without losing their place, until the value has no more elements.
#[test]
fn recorded_clients_are_served_as_the_model_says() {
    assert!(replay("blocking", 4700) >= 110);
}
