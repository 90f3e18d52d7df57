//! What Redis 5.0.14 answered one client, line by line, is what the engine answers; see [`recording`] for lines that are
//! passed over. How many lines were compared is printed, and bounded below.
#![allow(clippy::unwrap_used)]

mod recording;

use recording::{Session, accepts, erratum, stored};

fn replay(family: &str, at_least: usize) {
    let mut session = Session::new();
    let (mut compared, mut passed_over, mut errata) = (0, 0, 0);
    let mut wrong = Vec::new();
    for (index, line) in recording::lines(family).enumerate() {
        let arguments = recording::arguments(&line);
        let name = String::from_utf8_lossy(&arguments[0]).to_lowercase();
        let client = line["conn"].as_u64().unwrap_or(0);
        let connection = session.connection(client);
        let db = session.selected.get(&client).copied().unwrap_or(0);
        // A silenced command may have failed too.
        let failed = line["reply"]["e"].is_string() || line["reply"]["none"] == true;
        // COMMAND's answers about commands that are absent here.
        let about: Vec<String> =
            arguments[1..].iter().map(|word| String::from_utf8_lossy(word).to_lowercase()).collect();
        if name == "command" && (about.is_empty() || about[0] == "count" || about.iter().any(|word| !session.has(word)))
        {
            passed_over += 1;
            continue;
        }
        if !session.has(&name) {
            if !failed {
                session.spread(db, &name, &arguments, false);
            }
            passed_over += 1;
            continue;
        }
        // What failed there changed nothing, and changes nothing here unless it is sent; but SORT turns a ziplist into a
        // skiplist before it fails.
        if line["reply"]["e"].is_string() && name != "sort" && session.is_foreign(db, &name, &arguments) {
            passed_over += 1;
            continue;
        }
        let replies = session.send(connection, &arguments);
        if !failed {
            session.follow(client, &name, &arguments);
        }
        if session.is_foreign(db, &name, &arguments) {
            // Also where it failed there: here it may have changed something.
            session.spread(db, &name, &arguments, failed);
            passed_over += 1;
            continue;
        }
        compared += 1;
        let right = match &replies[..] {
            [] => line["reply"]["none"] == true,
            [reply] => accepts(&line, reply),
            _ => false,
        };
        if let Some(_erratum) = erratum(family, index + 1, &line).filter(|_| !right) {
            // The recorded server holds something else now.
            let changed: Vec<_> = match name.strip_prefix("georadius") {
                // A search changes nothing but its destination.
                Some(_) => stored(&arguments).map(|key| (db, key.clone())).collect(),
                None => session.keys(&name, &arguments).iter().map(|key| (db, key.clone())).collect(),
            };
            session.foreign.extend(changed);
            errata += 1;
        } else if !right {
            let shown: Vec<String> = replies.iter().map(ToString::to_string).collect();
            wrong.push(format!("line {}: {} => {}", index + 1, line, shown.join(" ")));
        }
    }
    println!("{family}: {compared} lines compared, {errata} errata of 5.0.14, {passed_over} passed over");
    let shown = wrong.iter().take(20).map(String::as_str).collect::<Vec<_>>().join("\n");
    assert!(wrong.is_empty(), "{family}: {} lines differ, the first:\n{shown}", wrong.len());
    assert!(compared >= at_least, "only {compared} lines of {family} were compared");
}

#[test]
fn strings_answer_as_recorded() {
    replay("strings", 3500);
}

#[test]
fn hyperloglog_answers_as_recorded() {
    replay("hll", 4500);
}

#[test]
fn geo_answers_as_recorded() {
    replay("geo", 3000);
}

#[test]
fn bits_answer_as_recorded() {
    replay("bits", 2500);
}

#[test]
fn keys_answer_as_recorded() {
    replay("keys", 1000);
}

#[test]
fn several_databases_answer_as_recorded() {
    replay("multidb", 1200);
}

#[test]
fn administration_answers_as_recorded() {
    replay("admin", 3500);
}

#[test]
fn object_and_debug_answer_as_recorded() {
    replay("object-debug-memory", 250);
}

#[test]
fn lists_answer_as_recorded() {
    replay("lists", 6000);
}

#[test]
fn hashes_answer_as_recorded() {
    replay("hashes", 7000);
}

#[test]
fn sets_answer_as_recorded() {
    replay("sets", 7500);
}

#[test]
fn sorted_sets_answer_as_recorded() {
    replay("zsets", 7500);
}

#[test]
fn streams_answer_as_recorded() {
    replay("streams", 7900);
}

#[test]
fn ranges_of_bytes_answer_as_recorded() {
    replay("zlex", 5500);
}

#[test]
fn scripts_answer_as_recorded() {
    replay("scripting", 7500);
}
