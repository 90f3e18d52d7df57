//! The hot path: requests in, replies out, through one engine, alone and in pipelines of sixteen.
//!
//! `cargo bench -p tally-engine` measures; `cargo bench -p tally-engine -- get` only what is named so.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tally_engine::world::Still;
use tally_engine::{ClientId, Config, Engine, Event, Peer};

/// Distinct keys that the commands touch.
const KEYS: usize = 100_000;
const PIPELINE: usize = 16;

fn request(arguments: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", arguments.len()).into_bytes();
    for argument in arguments {
        bytes.extend(format!("${}\r\n", argument.len()).into_bytes());
        bytes.extend(*argument);
        bytes.extend(b"\r\n");
    }
    bytes
}

/// An engine with one connection.
struct Connection {
    engine: Engine,
    world: Still,
    client: ClientId,
}

impl Connection {
    fn new() -> Connection {
        let mut world = Still { unix_us: 1_700_000_000_000_000, ..Still::default() };
        let mut engine = Engine::new(Config::default(), 1);
        let peer = Peer { address: "127.0.0.1:1".into(), descriptor: 1, local: true, unix_socket: false };
        let client = engine.connect(&mut world, peer);
        Connection { engine, world, client }
    }

    /// One round of a driver: read, handle, end the batch, write.
    fn round(&mut self, bytes: &[u8]) -> usize {
        self.engine.feed(&mut self.world, self.client, bytes);
        self.engine.handle(&mut self.world, Event::BatchEnd);
        self.engine.effects().clear();
        let sent: usize = self.engine.output(self.client).map(|slice| black_box(slice).len()).sum();
        self.engine.written(self.client, sent);
        sent
    }
}

fn commands(criterion: &mut Criterion) {
    let key = |number: usize| format!("key:{number:012}").into_bytes();
    // The keys are drawn in an order that has nothing to do with that of their insertion.
    let drawn = |round: usize| key(round.wrapping_mul(0x9e37_79b9) % KEYS);
    for (name, make) in [
        ("ping", Box::new(|_| request(&[b"PING"])) as Box<dyn Fn(usize) -> Vec<u8>>),
        ("get", Box::new(move |round| request(&[b"GET", &drawn(round)]))),
        ("set", Box::new(move |round| request(&[b"SET", &drawn(round), b"xxx"]))),
        ("incr", Box::new(move |round| request(&[b"INCR", &[b"n", &drawn(round)[..]].concat()]))),
    ] {
        let mut connection = Connection::new();
        let keys: Vec<u8> = (0..KEYS).flat_map(|number| request(&[b"SET", &key(number), b"xxx"])).collect();
        connection.round(&keys);
        let mut group = criterion.benchmark_group(name);
        for pipeline in [1, PIPELINE] {
            let rounds: Vec<Vec<u8>> = (0..KEYS / pipeline)
                .map(|round| (0..pipeline).flat_map(|at| make(round * pipeline + at)).collect())
                .collect();
            let mut next = rounds.iter().cycle();
            group.throughput(Throughput::Elements(pipeline as u64));
            group.bench_function(format!("pipeline-{pipeline}"), |bencher| {
                bencher.iter(|| next.next().map(|bytes| connection.round(bytes)));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, commands);
criterion_main!(benches);
