//! The naive request protocol against what a real server answered to raw bytes, and what authentication lets through.
#![allow(clippy::unwrap_used)]

mod recorded;

use proptest::prelude::*;
use tally_model::protocol::{self, Front, Limits, Stream};
use tally_model::{ClientId, Model, Outcome, Peer, Profile, Reply, Span, commands};

const NOW: Span = Span { earliest_ms: 1_760_000_000_000, latest_ms: 1_760_000_000_000 };
const ME: ClientId = ClientId(1);

fn read(bytes: &[u8]) -> Stream {
    protocol::stream(bytes, Limits::default())
}

fn requests(bytes: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let stream = read(bytes);
    assert_eq!(stream.error, None, "{}", String::from_utf8_lossy(bytes));
    stream.requests
}

fn words(words: &[&str]) -> Vec<Vec<u8>> {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

fn error(bytes: &[u8]) -> String {
    String::from_utf8(read(bytes).error.unwrap().line).unwrap()
}

/// The bytes that a row sends: quoted, or described.
fn row_bytes(command: &str) -> Vec<u8> {
    if command.starts_with('"') && !command.contains(" then ") && !command.contains(" after ") {
        return recorded::words(command).concat();
    }
    let repeated = |count: usize, byte: &str| byte.repeat(count).into_bytes();
    match command {
        "65536 times \"a\", no newline" => repeated(65_536, "a"),
        "65537 times \"a\", no newline" => repeated(65_537, "a"),
        "70000 times \"a\", no newline" => repeated(70_000, "a"),
        "\"*\" then 65537 times \"1\", no newline" => [b"*".to_vec(), repeated(65_537, "1")].concat(),
        "\"*1\\r\\n$\" then 65537 times \"1\", no newline" => [b"*1\r\n$".to_vec(), repeated(65_537, "1")].concat(),
        "\"*1\\r\\n\" then 65537 times \"a\", no newline" => [b"*1\r\n".to_vec(), repeated(65_537, "a")].concat(),
        "ECHO + 65000 times \"a\" + CRLF" => [b"ECHO ".to_vec(), repeated(65_000, "a"), b"\r\n".to_vec()].concat(),
        "\"*1\\r\\n$1048577\\r\\n\" after CONFIG SET proto-max-bulk-len 1048576" => b"*1\r\n$1048577\r\n".to_vec(),
        "\"*1\\r\\n$1048576\\r\\n\" after CONFIG SET proto-max-bulk-len 1048576" => b"*1\r\n$1048576\r\n".to_vec(),
        other => panic!("no bytes for {other}"),
    }
}

fn row_limits(command: &str) -> Limits {
    let longest_argument = if command.contains("proto-max-bulk-len 1048576") { 1_048_576 } else { 512 * 1024 * 1024 };
    Limits { longest_argument, ..Limits::default() }
}

//= SPEC.md#protocol-limits
//# [LIMIT-2] (wire) A multibulk count line of more than 65,536 bytes before its CR, arrived or not, MUST be answered by `-ERR Protocol error: too big mbulk count string` and the connection closed.
//= SPEC.md#protocol-limits
//# [LIMIT-3] (wire) An argument length line of more than 65,536 bytes before its CR, arrived or not, MUST be answered by `-ERR Protocol error: too big bulk count string` and the connection closed.
//= SPEC.md#resp-requests
//# [RESP-11] (wire) After the reply to a protocol error the connection MUST be closed, and nothing that follows on it is executed.
//= SPEC.md#resp-requests
//# [RESP-6] (wire) A multibulk count that is not an integer, is empty or exceeds 1,048,576 MUST be answered by `-ERR Protocol error: invalid multibulk length`.
//= SPEC.md#resp-requests
//# [RESP-8] (wire) An argument length that is not an integer, is negative or exceeds `proto-max-bulk-len` MUST be answered by `-ERR Protocol error: invalid bulk length`.
//= SPEC.md#protocol-limits
//# [LIMIT-1] (wire) An inline request of more than 65,536 bytes before its LF, arrived or not, MUST be answered by `-ERR Protocol error: too big inline request` and the connection closed.
#[test]
fn recorded_raw_bytes_lead_to_the_recorded_errors() {
    let mut protocol_errors = 0;
    let table = recorded::text("reference/errors-5.0.tsv");
    for line in table.lines().filter(|line| line.starts_with("(raw bytes)\t") && line.ends_with("\tprotocol")) {
        let columns: Vec<&str> = line.split('\t').collect();
        let stream = protocol::stream(&row_bytes(columns[1]), row_limits(columns[1]));
        let answer = columns[2].strip_prefix('-').unwrap();
        if let Some(text) = answer.strip_suffix(" (then closed)") {
            let error = stream.error.unwrap_or_else(|| panic!("{line}"));
            assert_eq!(String::from_utf8_lossy(&error.line), text, "{line}");
            protocol_errors += 1;
            continue;
        }
        // Not an error of the protocol: the model judges the request's answer.
        assert_eq!(stream.error, None, "{line}");
        let arguments: Vec<&[u8]> = stream.requests[0].iter().map(Vec::as_slice).collect();
        let mut model = Model::new(Profile::strict());
        model.connect(ME, Peer::default());
        if answer == "(connection closed, no reply)" {
            let outcome = Outcome { replies: &[], closed: true };
            model.step(ME, &arguments, &outcome, NOW).unwrap();
        } else if commands::find(arguments[0]).is_some() || answer.contains("unknown command") {
            let reply = Reply::Error(answer.strip_suffix(" (stays open)").unwrap().as_bytes().to_vec());
            model
                .step(ME, &arguments, &Outcome::reply(&reply), NOW)
                .unwrap_or_else(|deviation| panic!("{line}: {deviation}"));
        }
    }
    assert!(protocol_errors >= 28, "{protocol_errors}");
}

//= SPEC.md#resp-requests
//# [RESP-5] (wire) A multibulk count that is zero or negative MUST be skipped without a reply.
#[test]
fn recorded_raw_bytes_that_are_no_error_are_none() {
    let table = recorded::text("reference/accepted-5.0.tsv");
    let mut waiting = 0;
    for line in table.lines().filter(|line| line.starts_with("(raw bytes)\t") && line.ends_with("\tprotocol")) {
        let columns: Vec<&str> = line.split('\t').collect();
        let stream = protocol::stream(&row_bytes(columns[1]), row_limits(columns[1]));
        assert_eq!(stream.error, None, "{line}");
        if columns[2].contains("no reply") {
            assert_eq!(stream.requests.len(), 0, "{line}");
            waiting += 1;
        } else {
            assert!(!stream.requests.is_empty(), "{line}");
        }
    }
    assert!(waiting >= 10);
}

//= SPEC.md#resp-requests
//# [RESP-2] (wire) A multibulk request MUST be read as `*`, a count in decimal, CR and one byte, followed by that many arguments, each written as `$`, a length in decimal, CR and one byte, that many bytes of content and two bytes.
//= SPEC.md#resp-requests
//# [RESP-3] (wire) The byte that follows a CR in a request and the two bytes that follow an argument MUST be skipped without being compared with LF or CR LF.
#[test]
fn line_ends_are_counted_but_not_read() {
    assert_eq!(requests(b"*1\rx$4\ryPINGzz*1\r\n$4\r\nPING\r\n"), [words(&["PING"]), words(&["PING"])]);
}

//= SPEC.md#resp-requests
//# [RESP-4] (wire) Counts and lengths MUST be canonical decimal integers of 64 bits: no sign but one leading `-`, no leading zero, no space, and not `-0`.
#[test]
fn only_canonical_counts_are_counts() {
    for count in ["01", "+1", " 1", "1 ", "-0", "00", "1.0", "", "-", "9223372036854775808"] {
        assert_eq!(
            error(format!("*{count}\r\n").as_bytes()),
            "ERR Protocol error: invalid multibulk length",
            "{count:?}"
        );
        assert_eq!(
            error(format!("*1\r\n${count}\r\n").as_bytes()),
            "ERR Protocol error: invalid bulk length",
            "{count:?}"
        );
    }
    assert_eq!(requests(b"*-5\r\n*0\r\n*-9223372036854775808\r\n*1\r\n$0\r\n\r\n"), [words(&[""])]);
}

//= SPEC.md#resp-requests
//# [RESP-7] (wire) A byte other than `$` where an argument should begin MUST be answered by `-ERR Protocol error: expected '$', got 'X'` with that byte for X, a CR or LF shown as a space, once the CR that ends its line and one byte more have arrived.
#[test]
fn an_argument_has_to_begin_with_a_dollar() {
    assert_eq!(read(b"*1\r\nPING\r").error, None);
    assert_eq!(error(b"*1\r\nPING\rx"), "ERR Protocol error: expected '$', got 'P'");
    assert_eq!(error(b"*1\r\n\r\n"), "ERR Protocol error: expected '$', got ' '");
    assert_eq!(error(b"*1\r\n\n\r\n"), "ERR Protocol error: expected '$', got ' '");
}

//= SPEC.md#resp-requests
//# [RESP-9] (wire) While a password is set and the client has not authenticated, a multibulk count above 10 MUST be answered by `-ERR Protocol error: unauthenticated multibulk length`.
//= SPEC.md#resp-requests
//# [RESP-10] (wire) While a password is set and the client has not authenticated, an argument length above 16,384 MUST be answered by `-ERR Protocol error: unauthenticated bulk length`.
#[test]
fn strangers_may_send_little() {
    let limits = Limits { unauthenticated: true, ..Limits::default() };
    let line = |bytes: &[u8]| protocol::stream(bytes, limits).error.map(|error| String::from_utf8(error.line).unwrap());
    assert_eq!(line(b"*10\r\n$16384\r\n"), None);
    assert_eq!(line(b"*11\r\n").unwrap(), "ERR Protocol error: unauthenticated multibulk length");
    assert_eq!(line(b"*1\r\n$16385\r\n").unwrap(), "ERR Protocol error: unauthenticated bulk length");
}

//= SPEC.md#resp-requests
//# [RESP-1] (wire) A request whose first byte is `*` MUST be read as a multibulk request, and any other first byte begins an inline request.
//= SPEC.md#resp-requests
//# [RESP-12] (wire) Requests that were complete before a protocol error MUST be executed and answered in order.
#[test]
fn requests_before_an_error_stand() {
    let stream = read(b"PING\r\n*1\r\n$4\r\nPING\r\n*x\r\nPING\r\n");
    assert_eq!(stream.requests.len(), 2);
    assert!(stream.error.is_some());
}

//= SPEC.md#resp-requests
//# [RESP-16] (wire) A zero byte in the line of a count, of a length or of an inline request hides the end of that line, so that the server MUST wait for more until the limit of 65,536 bytes is passed.
#[test]
fn a_zero_byte_hides_the_end_of_its_line() {
    for bytes in [b"ECHO a\0b\r\nPING\r\n".as_slice(), b"*1\0\r\n$4\r\nPING\r\n", b"*1\r\n$4\0\r\nPING\r\n"] {
        assert_eq!(protocol::front(bytes, Limits::default()), Front::Incomplete);
        let mut more = bytes.to_vec();
        more.resize(70_000, b'\n');
        assert!(read(&more).error.is_some());
    }
}

//= SPEC.md#inline-requests
//# [INLINE-3] (wire) White space (space, tab, CR, vertical tab, form feed) before an argument MUST be skipped.
//= SPEC.md#inline-requests
//# [INLINE-4] (wire) An unquoted argument MUST end at a space, tab, CR or the end of the line, vertical tab and form feed being part of it.
//= SPEC.md#inline-requests
//# [INLINE-5] (wire) Between double quotes `\xHH` with two hexadecimal digits MUST mean that byte, `\n`, `\r`, `\t`, `\b` and `\a` their control characters, and a backslash before any other byte that byte alone.
//= SPEC.md#inline-requests
//# [INLINE-6] (wire) Between single quotes `\'` MUST mean a single quote, and every other byte, backslash included, itself.
//= SPEC.md#inline-requests
//# [INLINE-7] (wire) A quote MAY open in the middle of an unquoted argument, whose bytes it continues.
//= SPEC.md#inline-requests
//# [INLINE-9] (wire) Arguments of an inline request that are empty, as `""` is, MUST be dropped from the request.
#[test]
fn inline_requests_split_as_a_real_server_splits_them() {
    for (line, arguments) in [
        ("\x0b\x0cECHO a\x0bb", ["ECHO", "a\x0bb"].as_slice()),
        ("ECHO foo\"bar\"", &["ECHO", "foobar"]),
        (r#"ECHO "\x41\xzz\n\r\t\b\a\q\"""#, &["ECHO", "Axzz\n\r\t\x08\x07q\""]),
        (r"ECHO 'a\'b\n'", &["ECHO", r"a'b\n"]),
        ("ECHO a''", &["ECHO", "a"]),
        ("ECHO \"a\" ", &["ECHO", "a"]),
        ("ECHO \"a\"\x0bb", &["ECHO", "a", "b"]),
        ("PING\rX", &["PING", "X"]),
        ("ECHO \"\" ''", &["ECHO"]),
    ] {
        assert_eq!(requests(format!("{line}\r\n").as_bytes()), [words(arguments)], "{line}");
    }
}

//= SPEC.md#inline-requests
//# [INLINE-8] (wire) A quote that is not closed, or is closed by a quote with neither white space nor the end of the line behind it, MUST be answered by `-ERR Protocol error: unbalanced quotes in request`, and the connection is closed.
#[test]
fn quotes_have_to_close_before_white_space() {
    for line in ["ECHO 'a", "ECHO \"", "ECHO a\"b c\"d", "ECHO a\"\"b", "ECHO \"\"a"] {
        assert_eq!(error(format!("{line}\n").as_bytes()), "ERR Protocol error: unbalanced quotes in request");
    }
}

//= SPEC.md#inline-requests
//# [INLINE-1] (wire) An inline request MUST end at its first LF, and a CR directly before that LF is not part of it.
//= SPEC.md#inline-requests
//# [INLINE-2] (wire) An inline request without arguments, for example an empty line or one of spaces, MUST be skipped without a reply.
#[test]
fn empty_lines_are_skipped() {
    assert_eq!(requests(b"\r\n\n   \r\nPING\n\nPING\r\n"), [words(&["PING"]), words(&["PING"])]);
}

proptest! {
    //= SPEC.md#resp-requests
    //# [RESP-14] (wire) An argument MAY hold any bytes, an empty one included.
    #[test]
    fn any_arguments_survive_the_multibulk_form(
        sent in proptest::collection::vec(proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 1..5), 0..5),
    ) {
        let bytes: Vec<u8> = sent.iter().flat_map(|request| tally_model::aof::write_command(request)).collect();
        let stream = read(&bytes);
        prop_assert_eq!(stream.error, None);
        prop_assert_eq!(stream.consumed, bytes.len());
        prop_assert_eq!(stream.requests, sent);
    }

    /// A longer stream means what its beginning meant, and perhaps more.
    #[test]
    fn what_came_first_is_not_changed_by_what_follows(
        bytes in proptest::collection::vec(prop_oneof![
            Just(b'*'), Just(b'$'), Just(b'\r'), Just(b'\n'), Just(b'1'), Just(b'2'), Just(b'-'), Just(b'"'), Just(b'\\'), Just(b'a'), Just(b' '), any::<u8>(),
        ], 0..60),
        cut in any::<prop::sample::Index>(),
    ) {
        let whole = read(&bytes);
        let part = read(&bytes[..cut.index(bytes.len() + 1)]);
        prop_assert!(whole.requests.starts_with(&part.requests));
        prop_assert!(whole.consumed >= part.consumed);
        if part.error.is_some() {
            prop_assert_eq!(whole, part);
        }
    }
}

//= SPEC.md#auth
//# [AUTH-4] (wire) While a password is set, every known command of right arity but AUTH and QUIT from a client that has not authenticated MUST answer `-NOAUTH Authentication required.`.
//= SPEC.md#auth
//# [AUTH-5] (wire) Unknown commands and wrong arity MUST be answered as such before authentication is looked at.
#[test]
fn recorded_answers_to_strangers_are_accepted() {
    let table = recorded::text("reference/errors-5.0.tsv");
    let mut judged = 0;
    for line in table.lines().filter(|line| line.ends_with("\tauth")) {
        let columns: Vec<&str> = line.split('\t').collect();
        let mut model = Model::new(Profile::strict());
        model.connect(ME, Peer::default());
        let mut step = |command: &str, reply: Reply| {
            let words = recorded::words(command);
            let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
            let known = commands::find(words[0]).is_some() || columns[2].contains("unknown command");
            if known {
                model
                    .step(ME, &words, &Outcome::reply(&reply), NOW)
                    .unwrap_or_else(|deviation| panic!("{line}: {deviation}"));
            }
            known
        };
        step("CONFIG SET requirepass foobared", Reply::ok());
        for setup in columns[0].split(';').skip(1) {
            let refused = Reply::Error(b"ERR invalid password".to_vec());
            step(setup, if setup == "AUTH foobared" { Reply::ok() } else { refused });
        }
        let answer = columns[2].strip_prefix('-').unwrap();
        judged += usize::from(step(columns[1], Reply::Error(answer.as_bytes().to_vec())));
    }
    assert!(judged >= 14, "{judged}");
}
