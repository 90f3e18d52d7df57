//! Lists and hashes have, after the same history, the bytes that Redis has: ziplists with their cascades, and how the
//! nodes of lists fill, split and merge.
#![allow(clippy::unwrap_used)]

mod conversation;

use std::path::Path;

use conversation::Conversation;

/// A word of the recording: `x*250` stands for 250 times `x`, `""` for nothing.
fn word(text: &str) -> Vec<u8> {
    match text.split_once('*') {
        Some((byte, count)) => byte.as_bytes().repeat(count.parse().unwrap()),
        None if text == "\"\"" => Vec::new(),
        None => text.as_bytes().to_vec(),
    }
}

fn exchange(client: &mut Conversation, words: &[Vec<u8>]) -> Vec<u8> {
    let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
    client.exchange(&words)
}

//= SPEC.md#ziplists
//# [ZIPLIST-1] (file) A ziplist MUST be its length in bytes (four bytes), the offset of its last entry (four bytes), the number of its entries (two bytes, 65,535 when there are more or the number is not known), all little-endian, the entries and the byte 0xFF, the offset being 10 in an empty one.
//= SPEC.md#ziplists
//# [ZIPLIST-2] (file) An entry MUST begin with the length of the entry before it, 0 for the first, in one byte below 254 or in the byte 254 and four bytes (little-endian), of which a reader accepts the longer form where the shorter one would do.
//= SPEC.md#ziplists
//# [ZIPLIST-3] (file) A string MUST follow as `00nnnnnn`, `01nnnnnn nnnnnnnn` or 0x80 and four bytes, each the length n (high bits first) and then its bytes, in the shortest of these forms.
//= SPEC.md#ziplists
//# [ZIPLIST-6] (file) An entry that grows past 253 bytes MUST have its length in five bytes in the entry behind it, and so on from entry to entry as far as each grows past 253 bytes by it.
//= SPEC.md#ziplists
//# [ZIPLIST-7] (file) The five bytes for the length of the entry before MAY stay when that entry shrinks or is replaced by a shorter one.
#[test]
fn lists_and_hashes_have_the_bytes_of_redis_after_the_same_history() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/histories/ziplists.txt");
    let recorded = std::fs::read_to_string(path).unwrap();
    let mut client = Conversation::new();
    let mut compared = 0;
    for (number, line) in recorded.lines().enumerate() {
        if line.starts_with('#') {
            continue;
        }
        if let Some(command) = line.strip_prefix("! ") {
            let words: Vec<Vec<u8>> = command.split(' ').map(word).collect();
            assert!(exchange(&mut client, &words).starts_with(b"+OK"));
            continue;
        }
        let (command, wanted) = line.split_once(" -> ").unwrap();
        let words: Vec<Vec<u8>> = command.split(' ').map(word).collect();
        exchange(&mut client, &words);
        let dumped = exchange(&mut client, &[b"DUMP".to_vec(), words[1].clone()]);
        let held = match dumped.strip_prefix(b"$-1") {
            Some(_) => "none".to_owned(),
            None => {
                let start = dumped.iter().position(|&byte| byte == b'\n').unwrap() + 1;
                let payload = &dumped[start..dumped.len() - 2];
                let checksum: String = payload[payload.len() - 8..].iter().map(|byte| format!("{byte:02x}")).collect();
                format!("{} {checksum}", payload.len())
            }
        };
        assert_eq!(held, wanted, "line {}: {}", number + 1, &command[..command.len().min(200)]);
        compared += 1;
    }
    assert!(compared > 2000, "only {compared} payloads");
}
