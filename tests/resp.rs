//! The request protocol, held against the model and against itself under every way of cutting the stream.
#![allow(clippy::unwrap_used)]

use proptest::collection::vec;
use proptest::prelude::*;
use tally_check::properties::resp::{Room, chunking_is_invisible, read};
use tally_engine::resp::Limits;

/// Arguments that meet the parser's thresholds: none, few, and more bytes than a bulk may have without a buffer of its
/// own.
fn argument() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => vec(any::<u8>(), 0..12),
        2 => vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'$'), Just(b'*'), Just(b'0')], 0..8),
        1 => (32_700..32_900usize, any::<u8>()).prop_map(|(len, byte)| vec![byte; len]),
        1 => (65_000..70_000usize).prop_map(|len| (0..len).map(|at| at as u8).collect()),
    ]
}

fn multibulk(arguments: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", arguments.len()).into_bytes();
    for argument in arguments {
        bytes.extend(format!("${}\r\n", argument.len()).into_bytes());
        bytes.extend(argument);
        bytes.extend(b"\r\n");
    }
    bytes
}

/// A piece of a stream: mostly a request, sometimes what only looks like one.
fn fragment() -> impl Strategy<Value = Vec<u8>> {
    const TOKENS: &[&[u8]] = &[
        b"*",
        b"$",
        b"\r\n",
        b"\r",
        b"\n",
        b"\"",
        b"'",
        b"\\x4",
        b"\\",
        b" ",
        b"\x0b",
        b"\0",
        b"-",
        b"0",
        b"1",
        b"3",
        b"11",
        b"16385",
        b"1048577",
        b"99999999999999999999",
        b"a",
        b"PING",
        b"\xff",
    ];
    let token = proptest::sample::select(TOKENS);
    prop_oneof![
        6 => vec(argument(), 1..5).prop_map(|arguments| multibulk(&arguments)),
        1 => vec(vec(any::<u8>(), 0..3), 9..13).prop_map(|arguments| multibulk(&arguments)),
        3 => vec(token.clone(), 0..10).prop_map(|tokens| [&tokens.concat()[..], b"\r\n"].concat()),
        2 => vec(token, 0..6).prop_map(|tokens| tokens.concat()),
        1 => (65_530..65_545usize, any::<bool>()).prop_map(|(len, ended)| {
            let mut line = vec![b'1'; len];
            line.extend(if ended { &b"\r\n"[..] } else { b"" });
            line
        }),
    ]
}

fn pieces() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![vec(1..7usize, 1..9), vec(prop_oneof![1..20usize, 1000..5000usize, 16_000..70_000usize], 1..9)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    //= SPEC.md#resp-requests
    //# [RESP-13] (wire) The meaning of a stream of requests MUST NOT depend on how it is cut into reads.
    #[test]
    fn however_a_stream_is_cut_it_means_what_the_model_reads(
        fragments in vec(fragment(), 1..6),
        pieces in pieces(),
        unauthenticated in any::<bool>(),
        max_bulk in prop_oneof![Just(512 * 1024 * 1024), Just(40_000)],
    ) {
        let limits = Limits { max_bulk, unauthenticated };
        chunking_is_invisible(&fragments.concat(), &pieces, &limits);
    }

    #[test]
    fn no_bytes_make_the_parser_panic(bytes in vec(any::<u8>(), 0..400), pieces in pieces()) {
        chunking_is_invisible(&bytes, &pieces, &Limits::default());
    }
}

#[test]
fn requests_are_whole_when_they_come_byte_by_byte() {
    let stream = [&multibulk(&[b"SET".to_vec(), b"k".to_vec(), vec![b'v'; 40_000]])[..], b"PING \"a b\"\r\n"].concat();
    for room in [Room::Own, Room::Lent] {
        let meaning = read(&stream, &[1], &Limits::default(), room);
        assert_eq!(meaning.requests[0][2], vec![b'v'; 40_000]);
        assert_eq!(meaning.requests[1], [b"PING".to_vec(), b"a b".to_vec()]);
    }
}

//= SPEC.md#protocol-limits
//# [LIMIT-5] (inside) The memory taken by an incomplete request MUST NOT exceed what has arrived of it by more than a constant factor, whatever its counts and lengths announce.
#[test]
fn a_declared_length_reserves_nothing_before_bytes_come() {
    // `read` itself holds the parser's memory against what came.
    for stream in [&b"*1048576\r\n"[..], b"*2\r\n$536870912\r\n", b"*1048576\r\n$536870912\r\nabc"] {
        let meaning = read(stream, &[3], &Limits::default(), Room::Own);
        assert!(meaning.requests.is_empty() && meaning.error.is_none());
    }
}

/// Reading a request of many small arguments, or one long one, in tiny pieces takes time proportional to its length.
#[test]
fn a_long_request_in_tiny_pieces_is_not_scanned_again_and_again() {
    let many = multibulk(&vec![b"x".to_vec(); 20_000]);
    let long = multibulk(&[vec![b'x'; 1_000_000]]);
    let line = [&vec![b'a'; 65_000][..], b"\n"].concat().repeat(10);
    for stream in [many, long, line] {
        // Quadratic work would be some hundred billion steps.
        let meaning = read(&stream, &[7], &Limits::default(), Room::Own);
        assert!(!meaning.requests.is_empty());
    }
}
