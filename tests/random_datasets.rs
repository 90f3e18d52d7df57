//! Random datasets over all types go from the engine to a real Redis 5 and back by their dumps, and stay what they are.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

use conversation::Conversation;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use spawned::{Server, exchange, folder, free_port, request};
use tally_engine::config::Config;
use tally_model::rdb::{self as naive, Content};

mod conversation;
mod spawned;

const DATASETS: u64 = 200;

/// What fills a dataset, all from one seed.
struct Filler {
    rng: ChaCha8Rng,
    server: Conversation,
}

impl Filler {
    fn below(&mut self, limit: u64) -> u64 {
        self.rng.next_u64() % limit
    }

    fn one_of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// Integers of all widths, short text, long text that compresses, and bytes that do not.
    fn text(&mut self) -> Vec<u8> {
        match self.below(8) {
            0..=2 => ((self.rng.next_u64() as i64) >> self.below(64)).to_string().into_bytes(),
            3..=5 => format!("text{}", self.below(500)).into_bytes(),
            6 => vec![b'a' + self.below(26) as u8; self.below(300) as usize],
            _ => {
                let mut bytes = vec![0; self.below(120) as usize];
                self.rng.fill_bytes(&mut bytes);
                bytes
            }
        }
    }

    fn score(&mut self) -> Vec<u8> {
        let number = self.below(2000) as f64 - 1000.0;
        match self.below(6) {
            0 => b"inf".to_vec(),
            1 => b"-inf".to_vec(),
            2 => format!("{}", number / 7.0).into_bytes(),
            3 => format!("{number}e300").into_bytes(),
            _ => number.to_string().into_bytes(),
        }
    }

    fn say(&mut self, words: &[Vec<u8>]) {
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let answer = self.server.exchange(&words);
        // A key may be of another type by now, and a group or entry be there or not.
        let allowed: [&[u8]; 4] = [b"-WRONGTYPE", b"-BUSYGROUP", b"-NOGROUP", b"-ERR The ID"];
        let refused = answer.starts_with(b"-") && !allowed.iter().any(|start| answer.starts_with(start));
        assert!(!refused, "{words:?}: {}", answer.escape_ascii());
    }

    fn command(&mut self, line: &str, more: Vec<Vec<u8>>) {
        let words = line.split(' ').map(|word| word.as_bytes().to_vec());
        self.say(&words.chain(more).collect::<Vec<_>>());
    }

    fn several(&mut self, one: impl Fn(&mut Self) -> Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        let count = if self.below(8) == 0 { 1 + self.below(200) } else { 1 + self.below(12) };
        (0..count).flat_map(|_| one(self)).collect()
    }

    fn step(&mut self) {
        let key = format!("key{}", self.below(40));
        match self.below(13) {
            0 => {
                let value = self.text();
                self.command(&format!("SET {key}"), vec![value]);
            }
            1 => {
                let items = self.several(|filler| vec![filler.text()]);
                let side = self.one_of(&["LPUSH", "RPUSH"]);
                self.command(&format!("{side} {key}"), items);
            }
            2 => {
                let members = self.several(|filler| vec![filler.text()]);
                self.command(&format!("SADD {key}"), members);
            }
            3 => {
                let members = self.several(|filler| vec![filler.below(100_000).to_string().into_bytes()]);
                self.command(&format!("SADD {key}"), members);
            }
            4 => {
                let members = self.several(|filler| vec![filler.score(), filler.text()]);
                self.command(&format!("ZADD {key}"), members);
            }
            5 => {
                let pairs = self.several(|filler| vec![filler.text(), filler.text()]);
                self.command(&format!("HSET {key}"), pairs);
            }
            6 => {
                let elements = self.several(|filler| vec![filler.text()]);
                self.command(&format!("PFADD {key}"), elements);
            }
            7 => {
                let at = format!("{} {}", self.below(360) as i64 - 180, self.below(170) as i64 - 85);
                let member = self.text();
                self.command(&format!("GEOADD {key} {at}"), vec![member]);
            }
            8 => {
                for _ in 0..1 + self.below(20) {
                    let pairs = self.several(|filler| vec![filler.text(), filler.text()]);
                    self.command(&format!("XADD {key} *"), pairs);
                    self.server.world.unix_us += 1000 * (1 + self.rng.next_u64() % 5) as i64;
                }
            }
            9 => {
                let group = self.one_of(&["g", "h"]);
                self.command(&format!("XGROUP CREATE {key} {group} 0 MKSTREAM"), Vec::new());
                let (consumer, count) = (self.one_of(&["alice", "bob"]), 1 + self.below(9));
                self.command(&format!("XREADGROUP GROUP {group} {consumer} COUNT {count} STREAMS {key} >"), Vec::new());
            }
            10 => {
                let count = self.below(15);
                self.command(&format!("XTRIM {key} MAXLEN {count}"), Vec::new());
            }
            11 => {
                let at_ms = 4_000_000_000_000_i64 + self.below(1 << 40) as i64;
                self.command(&format!("PEXPIREAT {key} {at_ms}"), Vec::new());
            }
            _ => {
                let database = self.below(16);
                self.command(&format!("SELECT {database}"), Vec::new());
            }
        }
    }
}

/// A random dataset under random thresholds.
fn dataset(seed: u64) -> (Conversation, String) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut directives = String::from("save \"\"\n");
    let mut maybe = |line: &str, values: &[&str]| {
        if rng.next_u64() % 2 == 0 {
            directives += &format!("{line} {}\n", values[(rng.next_u64() % values.len() as u64) as usize]);
        }
    };
    maybe("hash-max-ziplist-entries", &["0", "4", "1000"]);
    maybe("hash-max-ziplist-value", &["4", "1000"]);
    maybe("zset-max-ziplist-entries", &["0", "4", "1000"]);
    maybe("set-max-intset-entries", &["0", "4", "1000"]);
    maybe("list-max-ziplist-size", &["-1", "-5", "1", "3"]);
    maybe("list-compress-depth", &["1", "2"]);
    maybe("stream-node-max-entries", &["1", "3"]);
    maybe("stream-node-max-bytes", &["64", "500"]);
    maybe("rdbcompression", &["yes", "no"]);
    maybe("rdbchecksum", &["yes", "no"]);
    let server = Conversation::with(Config::parse(&directives).unwrap());
    let mut filler = Filler { rng, server };
    for _ in 0..20 + filler.below(80) {
        filler.step();
    }
    (filler.server, directives)
}

fn digest(server: &mut Conversation) -> String {
    String::from_utf8(server.exchange(&[b"DEBUG", b"DIGEST"])).unwrap()
}

/// Every key with all that is stored about it, groups and deliveries of streams included; the order of members aside.
fn contents(file: &[u8]) -> BTreeMap<(u64, Vec<u8>), (Content, Option<i64>)> {
    let file = naive::file(file).unwrap_or_else(|error| panic!("the model refuses a dump: {error}"));
    let sorted = |content: &Content| {
        let mut content = content.clone();
        match &mut content {
            Content::Set(members) => members.sort(),
            Content::Hash(pairs) => pairs.sort(),
            Content::Zset(members) => members.sort_by(|one, other| one.0.cmp(&other.0)),
            _ => {}
        }
        content
    };
    file.keys().map(|key| ((key.db, key.key.clone()), (sorted(&key.value), key.deadline_ms))).collect()
}

fn real(program: &Path, folder: &Path) -> Server {
    let port = free_port();
    let mut command = Command::new(program);
    command.args(["--port", &port.to_string(), "--save", ""]).current_dir(folder);
    Server::run(command, port, folder)
}

//= SPEC.md#rdb-values
//# [RDBVAL-2] (file) A writer MUST write a value with the type byte that the table names for its encoding.
//= SPEC.md#stream-values
//# [RDBSTREAM-9] (wire) A stream that was dumped and restored, or saved and loaded, MUST have the same entries in the same nodes, the same last generated id and the same groups with their consumers and pending entries, times included.
#[test]
fn random_datasets_survive_the_way_to_a_real_redis_and_back() {
    let Some(program) = env::var_os("TALLY_REDIS5") else {
        assert!(env::var_os("CI").is_none(), "TALLY_REDIS5 names no Redis 5.0.x");
        println!("SKIPPED: TALLY_REDIS5 names no Redis 5.0.x");
        return;
    };
    let mut keys = 0;
    for seed in 0..DATASETS {
        let (mut engine, directives) = dataset(seed);
        let circumstances = format!("seed {seed}, {directives}");
        let folder = folder();
        let path = folder.path().join("dump.rdb");
        let mut dump = Vec::new();
        engine.engine.snapshot(&mut dump).unwrap();
        fs::write(&path, &dump).unwrap();
        let redis = real(Path::new(&program), folder.path());
        let wanted = digest(&mut engine);
        assert_eq!(exchange(redis.socket(), &request(&["DEBUG", "DIGEST"])), wanted, "{circumstances}");
        assert_eq!(exchange(redis.socket(), &request(&["SAVE"])), "+OK\r\n", "{circumstances}");
        let saved = fs::read(&path).unwrap();
        let mut back = Conversation::with(Config::parse(&directives).unwrap());
        back.engine.load_rdb(&mut back.world, &mut saved.as_slice()).unwrap();
        back.engine.validate();
        assert_eq!(digest(&mut back), wanted, "{circumstances}");
        let mut again = Vec::new();
        back.engine.snapshot(&mut again).unwrap();
        let wanted = contents(&dump);
        assert_eq!(contents(&saved), wanted, "{circumstances}");
        assert_eq!(contents(&again), wanted, "{circumstances}");
        keys += wanted.len();
    }
    assert!(keys > 2_000, "only {keys} keys in all: the datasets are too small to show anything");
}
