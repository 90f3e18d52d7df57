//! RDB files and payloads: the engine and the naive decoder read the same in them, and no damage does harm.

use std::collections::BTreeMap;

use tally_engine::Engine;
use tally_engine::config::Config;
use tally_engine::rdb::{self, RdbError, RdbErrorKind};
use tally_engine::world::Still;
use tally_model::rdb as naive;

/// What a key holds: its bytes, its deadline, and what the file says of its use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The string.
    pub value: Vec<u8>,
    /// Unix milliseconds.
    pub deadline_ms: Option<i64>,
}

/// Databases and their keys.
pub type Dataset = BTreeMap<(u64, Vec<u8>), Held>;

/// What a file is loaded into, and when.
pub struct Loader {
    engine: Engine,
    world: Still,
}

/// When files are loaded: in 2023.
const NOW_MS: i64 = 1_700_000_000_000;

impl Default for Loader {
    fn default() -> Self {
        // A wrong checksum would hide everything else.
        let config = Config { rdbchecksum: false, save: Vec::new(), ..Config::default() };
        let world = Still { unix_us: NOW_MS * 1000, ..Still::default() };
        Self { engine: Engine::new(config, 1), world }
    }
}

fn from_naive(file: &naive::File, alive_at_ms: Option<i64>) -> Dataset {
    let alive = |key: &&naive::Key| match (key.deadline_ms, alive_at_ms) {
        (Some(deadline), Some(now)) => deadline >= now,
        _ => true,
    };
    let held = |key: &naive::Key| {
        let value = key.value.string()?.clone();
        Some(((key.db, key.key.clone()), Held { value, deadline_ms: key.deadline_ms }))
    };
    file.keys().filter(alive).filter_map(held).collect()
}

impl Loader {
    /// Loads and checks every structure.
    pub fn load(&mut self, file: &[u8]) -> Result<rdb::LoadReport, RdbError> {
        let report = self.engine.load_rdb(&mut self.world, &mut &*file);
        if report.is_ok() {
            self.engine.validate();
        }
        report
    }

    /// The file that the engine would save.
    #[must_use]
    pub fn save(&self) -> Vec<u8> {
        let mut file = Vec::new();
        let written = self.engine.snapshot(&mut file).unwrap_or_else(|error| panic!("writing to memory: {error}"));
        assert_eq!(written, file.len() as u64);
        file
    }

    /// What the engine holds, by way of the naive decoder.
    #[must_use]
    pub fn dataset(&self) -> Dataset {
        let saved = self.save();
        let read = naive::file(&saved).unwrap_or_else(|error| panic!("the model refuses what was saved: {error}"));
        assert_eq!(read.length, saved.len(), "the saved file goes on behind its end");
        from_naive(&read, None)
    }

    /// Any bytes: both halves load the same dataset, or both refuse. Loaded or refused, nothing breaks, and an
    /// error has an offset inside the file.
    pub fn judges_as_the_model(&mut self, bytes: &[u8]) -> bool {
        let loaded = self.load(bytes);
        let report = match loaded {
            Ok(report) => report,
            Err(error) => {
                assert!(error.offset <= bytes.len() as u64, "an error beyond the file: {error}");
                self.refusal_is_justified(bytes, &error);
                return false;
            }
        };
        let length = usize::try_from(report.bytes).unwrap_or(usize::MAX);
        assert!(length <= bytes.len(), "more was read than there is");
        // The engine was told to take any checksum; the model takes the one that says there is none.
        let mut unsummed = bytes[..length].to_vec();
        if report.version >= 5 {
            let sum = unsummed.len() - 8;
            unsummed[sum..].fill(0);
        }
        match naive::file(&unsummed) {
            Ok(file) => self.holds_what_is_alive_in(&file),
            // What had expired was left out, so that the engine need not have seen it twice.
            Err(error) if error.kind == naive::RdbErrorKind::Duplicate && report.expired > 0 => {}
            Err(error) => panic!("the model refuses what the engine takes: {error}"),
        }
        true
    }

    fn holds_what_is_alive_in(&self, file: &naive::File) {
        let mut wanted = from_naive(file, Some(NOW_MS));
        self.engine.for_each_string(|db, key, value, deadline_ms| {
            let held = wanted.remove(&(db as u64, key.to_vec()));
            let held = held.unwrap_or_else(|| panic!("the engine holds a key that the model does not: {key:?}"));
            assert_eq!((held.value.as_slice(), held.deadline_ms), (value, deadline_ms), "{key:?}");
        });
        assert!(wanted.is_empty(), "the engine does not hold {wanted:?}");
    }

    fn refusal_is_justified(&self, bytes: &[u8], error: &RdbError) {
        // What the model does not judge: it holds no databases, and describes what a server refuses.
        let beyond = error.opcode == Some(rdb::opcode::MODULE_AUX)
            || matches!(error.kind, RdbErrorKind::Database { .. } | RdbErrorKind::NotHeld(_));
        if beyond {
            return;
        }
        match naive::file(bytes) {
            Err(_) => {}
            Ok(_) => panic!("the model takes what the engine refuses: {error}"),
        }
    }

    /// The damage property: a dataset is saved, one or two bytes of the file are changed, its checksum is made right
    /// again, and it is loaded. Answers whether it was.
    pub fn survives_damage(&mut self, dataset: &Dataset, damage: &[(usize, u8)]) -> bool {
        self.hold(dataset);
        let mut file = self.save();
        let end = file.len() - 8;
        for &(place, change) in damage {
            // The magic word alone would be a dull thing to damage.
            let place = 9 + place % (end - 9);
            file[place] ^= change;
        }
        let sum = tally_engine::crc64::crc64(&file[..end]).to_le_bytes();
        file[end..].copy_from_slice(&sum);
        let loaded = self.judges_as_the_model(&file);
        if loaded {
            let again = self.save();
            assert!(self.judges_as_the_model(&again), "what was loaded cannot be saved and loaded again");
        }
        loaded
    }

    /// Loads a dataset from a file that the model wrote.
    ///
    /// # Panics
    /// When the engine refuses it.
    pub fn hold(&mut self, dataset: &Dataset) {
        let file = written_by_the_model(dataset, naive::Forms::default());
        if let Err(error) = self.load(&file) {
            panic!("the engine refuses what the model wrote: {error}");
        }
    }
}

/// A dataset as the model writes it.
#[must_use]
pub fn written_by_the_model(dataset: &Dataset, forms: naive::Forms) -> Vec<u8> {
    let mut writer = naive::Writer::new(naive::VERSION, forms);
    let mut selected = None;
    for ((db, key), held) in dataset {
        if selected != Some(*db) {
            writer.select_db(*db);
            selected = Some(*db);
        }
        if let Some(deadline) = held.deadline_ms {
            writer.expire_ms(deadline);
        }
        writer.key(key, &held.value);
    }
    writer.finish()
}

/// What either half writes, in whatever of the allowed forms, both read as the dataset it was.
pub fn files_keep_their_dataset(dataset: &Dataset, forms: naive::Forms) {
    let mut alive = dataset.clone();
    alive.retain(|_, held| held.deadline_ms.is_none_or(|deadline| deadline >= NOW_MS));
    let mut loader = Loader::default();
    let file = written_by_the_model(dataset, forms);
    let report = loader.load(&file).unwrap_or_else(|error| panic!("the engine refuses what the model wrote: {error}"));
    assert_eq!(report.keys, alive.len() as u64);
    assert_eq!(report.expired, (dataset.len() - alive.len()) as u64);
    assert_eq!(loader.dataset(), alive);
    let mut second = Loader::default();
    let saved = loader.save();
    second.load(&saved).unwrap_or_else(|error| panic!("the engine refuses what it saved: {error}"));
    assert_eq!(second.dataset(), alive);
}

fn string_of(value: rdb::Value<'_>) -> Vec<u8> {
    match value {
        rdb::Value::String(text) => text.into_bytes().into_owned(),
        other => panic!("no string: {other:?}"),
    }
}

/// Any payload: both halves restore the same string, or both refuse, for the same of the two reasons.
pub fn payloads_are_judged_alike(payload: &[u8]) {
    let engine = rdb::read_payload(payload, string_of);
    let footer = naive::payload(payload);
    let model = footer.map(naive::value_of_payload);
    match (engine, model) {
        (Ok(value), Some(Ok((_, read, _)))) => {
            assert_eq!(Some(&value), read.string(), "the halves restore different strings")
        }
        (Err(rdb::PayloadError::Footer), None) | (Err(rdb::PayloadError::Value(_)), Some(Err(_))) => {}
        (engine, model) => panic!("the engine says {engine:?}, the model {model:?}"),
    }
}

/// A string's payload is restored by both halves, whoever wrote it.
pub fn payloads_keep_their_string(value: &[u8], forms: naive::Forms) {
    for payload in
        [rdb::string_payload(value, true), rdb::string_payload(value, false), naive::payload_of(value, forms)]
    {
        assert_eq!(rdb::read_payload(&payload, string_of).as_deref(), Ok(value));
        let read = naive::payload(&payload).map(naive::value_of_payload);
        assert!(
            matches!(&read, Some(Ok((_, read, 0))) if read.string().is_some_and(|read| read == value)),
            "the model reads something else"
        );
    }
}
