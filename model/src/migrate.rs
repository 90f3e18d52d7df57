//! MIGRATE, as far as the server that is asked shows it. Who listens at the target, and what that one answers, the model
//! does not know: it states what comes before the connection and what comes of a port without a listener, and learns
//! from any other answer which keys are gone.

use std::net::IpAddr;
use std::sync::Arc;

use crate::allowed::{Allowed, Judge};
use crate::call::Call;
use crate::clause::Clause;
use crate::erratum::Erratum;
use crate::observe::Observation;
use crate::plan::{Change, Plan, Propagation, Refusal};
use crate::reply::{Bytes, Reply};
use crate::server::integer;

/// What stands behind the timeout.
#[derive(Default)]
struct Options<'a> {
    copy: bool,
    keys: Option<&'a [&'a [u8]]>,
}

/// [MIGRATE-1] [MIGRATE-2]
fn options<'a>(key: &[u8], words: &'a [&'a [u8]]) -> Result<Options<'a>, Refusal> {
    let mut options = Options::default();
    let mut rest = words;
    while let [word, behind @ ..] = rest {
        rest = behind;
        match (word.to_ascii_lowercase().as_slice(), behind) {
            (b"copy", _) => options.copy = true,
            (b"replace", _) => {}
            (b"auth", [_password, behind @ ..]) => rest = behind,
            (b"keys", _) if !key.is_empty() => {
                let line = "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string";
                return Err(Refusal::new(Clause::MIGRATE_2, line));
            }
            (b"keys", keys) => {
                options.keys = Some(keys);
                return Ok(options);
            }
            _ => return Err(Refusal::new(Clause::MIGRATE_1, "ERR syntax error")),
        }
    }
    Ok(options)
}

/// The keys of a command line, name included. [COMMAND-15]
pub(crate) fn keys(line: &[&[u8]]) -> Vec<Bytes> {
    let key = line[3];
    let mut rest = &line[6..];
    while let [word, behind @ ..] = rest {
        if key.is_empty() && word.eq_ignore_ascii_case(b"keys") {
            return behind.iter().map(|key| key.to_vec()).collect();
        }
        rest = if word.eq_ignore_ascii_case(b"auth") { behind.get(1..).unwrap_or(&[]) } else { behind };
    }
    vec![key.to_vec()]
}

/// The keys that real servers take for such: they know nothing of passwords. (E-177)
pub(crate) fn keys_behind_first_word(line: &[&[u8]]) -> Vec<Bytes> {
    let word = line[6..].iter().position(|word| word.eq_ignore_ascii_case(b"keys")).filter(|_| line[3].is_empty());
    word.map_or_else(|| vec![line[3].to_vec()], |at| line[6 + at + 1..].iter().map(|key| key.to_vec()).collect())
}

/// [MIGRATE-22]
fn port_number(text: &[u8]) -> i64 {
    let text = text.trim_ascii_start();
    let (sign, digits) = match text {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] => (1, digits),
        digits => (1, digits),
    };
    let digits = digits.iter().take_while(|digit| digit.is_ascii_digit());
    sign * digits.fold(0i64, |port, digit| port.saturating_mul(10).saturating_add(i64::from(digit - b'0')))
}

/// Nobody listens at the first ports of this host.
fn is_deserted(host: &[u8], port: i64) -> bool {
    let address = std::str::from_utf8(host).ok().and_then(|host| host.parse::<IpAddr>().ok());
    address.is_some_and(|address| address.is_loopback()) && port <= 1
}

const UNREACHABLE: &[u8] = b"ERR Can't connect to target node: ";

/// The answers that there are once somebody was asked. [MIGRATE-6] [MIGRATE-7] [MIGRATE-8] [MIGRATE-13] [MIGRATE-14]
/// [MIGRATE-16]
#[derive(Debug)]
struct OfTarget;

impl Judge for OfTarget {
    fn describe(&self) -> String {
        "OK, or an error of the target or of the way to it".into()
    }

    fn judge(&self, reply: &Reply) -> Result<(), String> {
        let beginnings: [&[u8]; 3] =
            [UNREACHABLE, b"ERR Target instance replied with error: ", b"IOERR error or timeout "];
        match reply {
            Reply::Status(text) if text == b"OK" => Ok(()),
            Reply::Error(line) if beginnings.iter().any(|beginning| line.starts_with(beginning)) => Ok(()),
            _ => Err("neither".into()),
        }
    }
}

/// MIGRATE.
pub(crate) fn migrate(call: &Call<'_>) -> Result<Plan, Refusal> {
    let &[_, host, port, key, database, timeout, ref words @ ..] = call.args else { return Err(call.wrong_arity()) };
    let options = options(key, words)?;
    if integer(timeout).is_none() || integer(database).is_none() {
        return Err(Refusal::new(Clause::MIGRATE_3, "ERR value is not an integer or out of range"));
    }
    let named = options.keys.unwrap_or(std::slice::from_ref(&key));
    let keys: Vec<Bytes> = named.iter().filter(|key| call.find(key).is_some()).map(|key| key.to_vec()).collect();
    if keys.is_empty() {
        return Ok(Plan::reply(Clause::MIGRATE_4, Reply::Status(b"NOKEY".to_vec())));
    }
    let db = call.db();
    let used = Change::Use { db, keys: keys.clone() };
    let port = port_number(port);
    if !(0..=65_535).contains(&port) {
        let cannot = Allowed::Checked("that there is no connection, and why", |reply| match reply {
            Reply::Error(line) if line.starts_with(UNREACHABLE) => Ok(()),
            _ => Err("not that".into()),
        });
        let elsewhere = Allowed::Unspecified(Clause::MIGRATE_6);
        return Ok(Plan::new(Clause::MIGRATE_6, cannot).with(used).or_erratum(Erratum::E_176, elsewhere, Vec::new()));
    }
    if is_deserted(host, port) {
        let line = "IOERR error or timeout writing to target instance";
        return Ok(Plan::from(Refusal::new(Clause::MIGRATE_7, line)).with(used));
    }
    let mut plan = Plan::new(Clause::MIGRATE_16, Allowed::Judged(Arc::new(OfTarget))).with(used);
    if !options.copy {
        // [MIGRATE-12] [MIGRATE-20]
        plan.propagation = Propagation::Unspecified;
        plan = plan.with(Change::Observe(Observation::HandedOver { db, keys }));
    }
    Ok(plan)
}
