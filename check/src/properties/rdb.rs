//! RDB files and payloads: the engine and the naive decoder read the same in them, and no damage does harm.

use std::collections::{BTreeMap, BTreeSet};

use tally_engine::Engine;
use tally_engine::config::Config;
use tally_engine::rdb::{self, RdbError, RdbErrorKind};
use tally_engine::values::{CollectionRef, Element, Type};
use tally_engine::world::Still;
use tally_model::rdb as naive;
use tally_model::rdb::{Content, ValueType};
use tally_model::stream::StreamValue;

/// What a key holds, and how the file to load holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The value.
    pub value: Value,
    /// The form in which it stands in the file that is loaded; a form that cannot hold the value stands for the first
    /// that can.
    pub form: u8,
    /// Unix milliseconds.
    pub deadline_ms: Option<i64>,
}

/// A value, such that equal ones are equal whatever holds them. Scores are the bits of their floats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A string.
    String(Vec<u8>),
    /// Elements in order.
    List(Vec<Vec<u8>>),
    /// Members.
    Set(BTreeSet<Vec<u8>>),
    /// Members and scores.
    Zset(BTreeMap<Vec<u8>, u64>),
    /// Fields and values.
    Hash(BTreeMap<Vec<u8>, Vec<u8>>),
    /// A stream.
    Stream(StreamValue),
}

impl From<Content> for Value {
    fn from(content: Content) -> Self {
        match content {
            Content::String(bytes) => Value::String(bytes),
            Content::List(items) => Value::List(items),
            Content::Set(members) => Value::Set(members.into_iter().collect()),
            Content::Zset(members) => {
                Value::Zset(members.into_iter().map(|(member, score)| (member, score.to_bits())).collect())
            }
            Content::Hash(pairs) => Value::Hash(pairs.into_iter().collect()),
            Content::Stream(stream) => Value::Stream(stream),
        }
    }
}

impl From<&Value> for Content {
    fn from(value: &Value) -> Self {
        match value {
            Value::String(bytes) => Content::String(bytes.clone()),
            Value::List(items) => Content::List(items.clone()),
            Value::Set(members) => Content::Set(members.iter().cloned().collect()),
            Value::Zset(members) => {
                Content::Zset(members.iter().map(|(member, bits)| (member.clone(), f64::from_bits(*bits))).collect())
            }
            Value::Hash(pairs) => {
                Content::Hash(pairs.iter().map(|(field, value)| (field.clone(), value.clone())).collect())
            }
            Value::Stream(stream) => Content::Stream(stream.clone()),
        }
    }
}

impl From<CollectionRef<'_>> for Value {
    fn from(collection: CollectionRef<'_>) -> Self {
        let mut value = match collection.kind() {
            Type::String => Value::String(Vec::new()),
            Type::List => Value::List(Vec::new()),
            Type::Set => Value::Set(BTreeSet::new()),
            Type::Zset => Value::Zset(BTreeMap::new()),
            Type::Hash => Value::Hash(BTreeMap::new()),
            // By way of the naive decoder: groups are more than elements.
            Type::Stream => {
                let payload = rdb::collection_payload(collection, true);
                return match naive::payload(&payload).map(naive::value_of_payload) {
                    Some(Ok((_, content, 0))) => Value::from(content),
                    other => panic!("the model does not read what was written: {other:?}"),
                };
            }
        };
        collection.for_each(|element| {
            let fresh = match (&mut value, element) {
                (Value::List(items), Element::Item(item)) => {
                    items.push(item.to_vec());
                    true
                }
                (Value::Set(members), Element::Item(member)) => members.insert(member.to_vec()),
                (Value::Zset(members), Element::Scored(member, score)) => {
                    members.insert(member.to_vec(), score.to_bits()).is_none()
                }
                (Value::Hash(pairs), Element::Field(field, value)) => {
                    pairs.insert(field.to_vec(), value.to_vec()).is_none()
                }
                (value, element) => panic!("{element:?} in {value:?}"),
            };
            assert!(fresh, "{element:?} stands twice");
        });
        value
    }
}

impl Value {
    /// The forms that can hold it.
    #[must_use]
    pub fn forms(&self) -> Vec<ValueType> {
        let integers = |members: &BTreeSet<Vec<u8>>| {
            members.iter().all(|member| tally_engine::number::parse_i64(member).is_some())
        };
        match self {
            Value::String(_) => vec![ValueType::STRING],
            Value::List(_) => {
                vec![ValueType::LIST, ValueType::LIST_ZIPLIST, ValueType::QUICKLIST, ValueType::QUICKLIST_2]
            }
            Value::Set(members) if integers(members) => {
                vec![ValueType::SET, ValueType::INTSET, ValueType::SET_LISTPACK]
            }
            Value::Set(_) => vec![ValueType::SET, ValueType::SET_LISTPACK],
            Value::Zset(_) => {
                vec![ValueType::ZSET, ValueType::ZSET_2, ValueType::ZSET_ZIPLIST, ValueType::ZSET_LISTPACK]
            }
            Value::Hash(_) => vec![ValueType::HASH, ValueType::HASH_ZIPLIST, ValueType::HASH_LISTPACK],
            Value::Stream(_) => vec![ValueType::STREAM, ValueType::STREAM_2, ValueType::STREAM_3],
        }
    }
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
        Self::with_databases(Config::default().databases)
    }
}

impl Loader {
    /// One whose engine has so many databases; every one of them is made anew for each file.
    #[must_use]
    pub fn with_databases(databases: i64) -> Self {
        // A wrong checksum would hide everything else.
        let config = Config { rdbchecksum: false, save: Vec::new(), databases, ..Config::default() };
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
        // An empty collection is left out.
        let full = !key.value.is_empty_collection();
        let value = || Value::from(key.value.clone());
        full.then(|| ((key.db, key.key.clone()), Held { value: value(), form: 0, deadline_ms: key.deadline_ms }))
    };
    file.keys().filter(alive).filter_map(held).collect()
}

/// The dataset without what is about the file alone.
#[must_use]
pub fn content(dataset: &Dataset) -> Dataset {
    dataset.iter().map(|(key, held)| (key.clone(), Held { form: 0, ..held.clone() })).collect()
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
            // What had expired or was empty was left out, so that the engine need not have seen it twice.
            Err(error) if error.kind == naive::RdbErrorKind::Duplicate && report.expired + report.empty > 0 => {}
            Err(error) => panic!("the model refuses what the engine takes: {error}"),
        }
        true
    }

    fn holds_what_is_alive_in(&self, file: &naive::File) {
        let mut wanted = from_naive(file, Some(NOW_MS));
        self.engine.for_each_key(|db, key, value, deadline_ms| {
            let held = wanted.remove(&(db as u64, key.to_vec()));
            let held = held.unwrap_or_else(|| panic!("the engine holds a key that the model does not: {key:?}"));
            let value = match value {
                rdb::Held::String(bytes) => Value::String(bytes.to_vec()),
                rdb::Held::Collection(collection) => Value::from(collection),
            };
            assert_eq!((held.value, held.deadline_ms), (value, deadline_ms), "{key:?}");
        });
        assert!(wanted.is_empty(), "the engine does not hold {wanted:?}");
    }

    fn refusal_is_justified(&self, bytes: &[u8], error: &RdbError) {
        // What the model does not judge: it holds no databases, and describes what a server refuses.
        let beyond = error.opcode == Some(rdb::opcode::MODULE_AUX)
            || matches!(error.kind, RdbErrorKind::Database { .. } | RdbErrorKind::ModuleMissing(_));
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
    let mut writer = naive::Writer::new(naive::HIGHEST_READ, forms);
    let mut selected = None;
    for ((db, key), held) in dataset {
        if selected != Some(*db) {
            writer.select_db(*db);
            selected = Some(*db);
        }
        if let Some(deadline) = held.deadline_ms {
            writer.expire_ms(deadline);
        }
        let content = Content::from(&held.value);
        if !writer.value(key, &content, ValueType(held.form)) {
            let form = held.value.forms().first().copied();
            let written = form.is_some_and(|form| writer.value(key, &content, form));
            assert!(written, "no form holds {content:?}");
        }
    }
    writer.finish()
}

/// What either half writes, in whatever of the allowed forms, both read as the dataset it was.
pub fn files_keep_their_dataset(dataset: &Dataset, forms: naive::Forms) {
    let mut alive = content(dataset);
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

/// What a payload's value is, as the engine reads it.
fn read(payload: &[u8]) -> Result<Value, rdb::PayloadError> {
    rdb::read_payload(payload, |value| match value {
        rdb::Value::String(text) => Value::String(text.into_bytes().into_owned()),
        rdb::Value::Collection(collection) => {
            collection.view().validate();
            Value::from(collection.view())
        }
        rdb::Value::Module(name) => panic!("a value of a module was handed over: {name:?}"),
    })
}

/// Any payload: both halves restore the same value, or both refuse, for the same of the two reasons.
pub fn payloads_are_judged_alike(payload: &[u8]) {
    let model = naive::payload(payload).map(naive::value_of_payload);
    match (read(payload), model) {
        (Ok(value), Some(Ok((_, content, _)))) => {
            assert!(!content.is_empty_collection(), "an empty value was restored");
            assert_eq!(value, Value::from(content), "the halves restore different values");
        }
        (Err(rdb::PayloadError::Footer), None) | (Err(rdb::PayloadError::Value(_)), Some(Err(_))) => {}
        (Err(rdb::PayloadError::Value(error)), Some(Ok((_, content, _))))
            if content.is_empty_collection() && error.kind == RdbErrorKind::Empty => {}
        (engine, model) => panic!("the engine says {engine:?}, the model {model:?}"),
    }
}

/// A value's payload is restored by both halves, in whatever of the forms that can hold it; those of newer versions are
/// refused, since a payload says that it is of version 9.
pub fn payloads_keep_their_value(value: &Value, forms: naive::Forms) {
    let content = Content::from(value);
    let (known, newer): (Vec<ValueType>, Vec<ValueType>) =
        value.forms().into_iter().partition(|form| *form <= ValueType::STREAM);
    let payload_in = |form| naive::payload_of_value(&content, form, forms);
    for payload in newer.into_iter().filter_map(payload_in) {
        payloads_are_judged_alike(&payload);
        assert!(read(&payload).is_err(), "a form of a newer version was restored");
    }
    let mut payloads: Vec<Vec<u8>> = known.into_iter().filter_map(payload_in).collect();
    if let Value::String(bytes) = value {
        payloads.extend([true, false].map(|compress| rdb::string_payload(bytes, compress)));
    }
    for payload in payloads {
        if content.is_empty_collection() {
            assert!(matches!(read(&payload), Err(rdb::PayloadError::Value(_))), "an empty value was restored");
            continue;
        }
        assert_eq!(read(&payload).as_ref(), Ok(value));
        match naive::payload(&payload).map(naive::value_of_payload) {
            Some(Ok((_, read, 0))) => assert_eq!(Value::from(read), *value),
            other => panic!("the model reads something else: {other:?}"),
        }
    }
}
