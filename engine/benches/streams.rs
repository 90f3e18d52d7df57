//! Listpacks and radix trees beside the vectors and ordered maps of the standard library, and streams made of them.
//!
//! `cargo bench -p tally-engine --bench streams`.

use std::collections::BTreeMap;
use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use tally_engine::structures::listpack::{Listpack, Value};
use tally_engine::structures::rax::{Rax, Seek};
use tally_engine::values::Stream;
use tally_engine::values::stream::{StreamId, StreamLimits};

fn listpacks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("128 short texts");
    let texts: Vec<Vec<u8>> = (0..128).map(|number| format!("element:{number:06}").into_bytes()).collect();
    let list = Listpack::of(texts.iter().map(|text| Value::of(text)));
    group.bench_function("fill a listpack", |bencher| {
        bencher.iter(|| Listpack::of(texts.iter().map(|text| Value::of(black_box(text)))));
    });
    group.bench_function("fill a vector", |bencher| {
        bencher.iter(|| texts.iter().map(|text| black_box(text).clone()).collect::<Vec<_>>());
    });
    group.bench_function("go through a listpack", |bencher| {
        bencher.iter(|| list.iter().map(Value::text_len).sum::<usize>());
    });
    group.bench_function("go through a vector", |bencher| {
        bencher.iter(|| texts.iter().map(|text| black_box(text).len()).sum::<usize>());
    });
    group.finish();
}

/// Ids as a clock and a counter give them.
fn ids(count: u64) -> impl Iterator<Item = [u8; 16]> {
    (0..count).map(|number| StreamId { ms: 1_700_000_000_000 + number / 3, seq: number % 3 }.to_key())
}

fn trees(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ids");
    for len in [100, 100_000] {
        let keys: Vec<[u8; 16]> = ids(len).collect();
        let mut rax = Rax::new();
        let mut map = BTreeMap::new();
        for key in &keys {
            rax.insert(key, 0u64);
            map.insert(*key, 0u64);
        }
        group.bench_function(BenchmarkId::new("fill a radix tree", len), |bencher| {
            bencher.iter(|| {
                keys.iter().fold(Rax::new(), |mut tree, key| {
                    tree.insert(black_box(key), 0u64);
                    tree
                })
            });
        });
        group.bench_function(BenchmarkId::new("fill an ordered map", len), |bencher| {
            bencher.iter(|| keys.iter().map(|key| (black_box(*key), 0u64)).collect::<BTreeMap<_, _>>());
        });
        let mut drawn = keys.iter().cycle().step_by(7919);
        group.bench_function(BenchmarkId::new("find in a radix tree", len), |bencher| {
            bencher.iter(|| drawn.next().map(|key| rax.get(black_box(key))));
        });
        group.bench_function(BenchmarkId::new("find in an ordered map", len), |bencher| {
            bencher.iter(|| drawn.next().map(|key| map.get(black_box(key))));
        });
        group.bench_function(BenchmarkId::new("seek ten in a radix tree", len), |bencher| {
            bencher.iter(|| {
                let mut cursor = rax.seek(Seek::AtLeast, black_box(&keys[keys.len() / 2]));
                (0..10)
                    .filter(|_| {
                        cursor.forward();
                        cursor.get().is_some()
                    })
                    .count()
            });
        });
        group.bench_function(BenchmarkId::new("seek ten in an ordered map", len), |bencher| {
            bencher.iter(|| map.range(black_box(keys[keys.len() / 2])..).take(10).count());
        });
    }
    group.finish();
}

fn streams(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("10000 entries");
    let limits = StreamLimits { bytes: 4096, entries: 100 };
    let fields: [&[u8]; 4] = [b"temperature", b"21", b"humidity", b"40 percent"];
    let fill = || {
        let mut stream = Stream::new();
        for ms in 1..=10_000 {
            let _ = stream.append(StreamId { ms, seq: 0 }, black_box(fields).into_iter(), &limits);
        }
        stream
    };
    let owned = || fields.map(<[u8]>::to_vec).to_vec();
    let stream = fill();
    let map: BTreeMap<u64, Vec<Vec<u8>>> = (1..=10_000).map(|ms| (ms, owned())).collect();
    group.bench_function("fill a stream", |bencher| bencher.iter(fill));
    group.bench_function("fill an ordered map", |bencher| {
        bencher.iter(|| (1..=10_000).map(|ms: u64| (ms, owned())).collect::<BTreeMap<_, _>>());
    });
    group.bench_function("show ten of a stream", |bencher| {
        let from = StreamId { ms: 5_050, seq: 0 };
        bencher.iter(|| {
            let range = stream.entries().range(black_box(from), StreamId::MAX).take(10);
            range.flat_map(|entry| entry.fields()).map(|(_, value)| value.text_len()).sum::<usize>()
        });
    });
    group.bench_function("show ten of an ordered map", |bencher| {
        bencher.iter(|| {
            let range = map.range(black_box(5_050)..).take(10);
            range.flat_map(|(_, texts)| texts).map(Vec::len).sum::<usize>()
        });
    });
    group.finish();
}

criterion_group!(benches, listpacks, trees, streams);
criterion_main!(benches);
