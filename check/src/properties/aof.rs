//! Append-only files: both halves find the same commands and the same damage, and a replay makes the same dataset.

use tally_engine::Engine;
use tally_engine::aof::{self, AofErrorKind};
use tally_engine::config::Config;
use tally_engine::world::Still;
use tally_model::aof as naive;

/// A command and where it begins.
type Placed = (u64, Vec<Vec<u8>>);

/// Any bytes: both halves find the same commands, the same end, and damage in the same command.
pub fn files_are_judged_alike(bytes: &[u8]) {
    let mut commands: Vec<Placed> = Vec::new();
    let scan = aof::scan(bytes, |offset, command| {
        commands.push((offset, command.as_args().iter().map(<[u8]>::to_vec).collect()));
    });
    commands.retain(|(offset, _)| *offset < scan.whole_until);
    let model = naive::file(bytes);
    match (&scan.damage, &model) {
        (None, Ok(file)) => {
            assert_eq!(file.end, naive::AofEnd::Whole);
            compare(&commands, &scan, file);
        }
        (Some(damage), Ok(file)) => {
            assert!(matches!(damage.kind, AofErrorKind::Truncated { .. }), "the model takes it, the engine: {damage}");
            assert_ne!(file.end, naive::AofEnd::Whole);
            compare(&commands, &scan, file);
        }
        (Some(damage), Err(error)) => {
            let preamble = matches!(error.kind, naive::AofErrorKind::Preamble(_));
            if !preamble {
                assert!(!matches!(damage.kind, AofErrorKind::Truncated { .. }), "more is wrong than the end: {error}");
                assert_eq!(damage.offset, error.offset as u64, "{damage} / {error}");
            }
        }
        // The tools read newer preambles than the model, which stops at version 9.
        (None, Err(error)) => {
            assert!(
                matches!(error.kind, naive::AofErrorKind::Preamble(_)),
                "the engine takes what the model refuses: {error}"
            );
        }
    }
}

fn compare(commands: &[Placed], scan: &aof::Scan, file: &naive::AofFile) {
    assert_eq!(scan.whole_until, file.whole as u64, "the halves would cut at different places");
    let model: Vec<Placed> = file.commands.iter().map(|(at, command)| (*at as u64, command.clone())).collect();
    assert_eq!(commands, model, "the halves find different commands");
    assert_eq!(scan.commands, model.len() as u64);
}

/// Any bytes may be loaded: never a panic, an error has an offset inside the file, and what was loaded is whole.
pub fn loading_is_total(bytes: &[u8]) {
    let mut engine = Engine::new(Config::default(), 1);
    let mut world = Still::default();
    match engine.load_aof(&mut world, &mut &*bytes) {
        Ok(report) => assert!(report.bytes <= bytes.len() as u64),
        Err(error) => assert!(error.offset <= bytes.len() as u64, "an error beyond the file: {error}"),
    }
    engine.validate();
}
