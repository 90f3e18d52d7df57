//! HyperLogLog beside a hash set: adding elements, and counting what was added.
//!
//! `cargo bench -p tally-engine --bench hyperloglog`.

use std::collections::HashSet;
use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use tally_engine::structures::hyperloglog::{HllMut, HllRef, empty};

fn element(number: u64) -> [u8; 16] {
    let mut bytes = *b"element:00000000";
    bytes[8..].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    bytes
}

fn filled(elements: u64, sparse_max: usize) -> Vec<u8> {
    let mut bytes = empty();
    if let Some(mut hll) = HllMut::recognize(&mut bytes) {
        for number in 0..elements {
            let _ = hll.add(&element(number), sparse_max);
        }
    }
    bytes
}

fn add(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("add");
    for (name, elements, sparse_max) in [("sparse", 100, 3000), ("full sparse", 1500, 3000), ("dense", 50_000, 0)] {
        let before = filled(elements, sparse_max);
        group.bench_function(BenchmarkId::new("hyperloglog", name), |bencher| {
            let mut bytes = before.clone();
            let mut number = 0;
            bencher.iter(|| {
                number += 1;
                // The same elements again and again: the string stays what it is.
                HllMut::recognize(&mut bytes).map(|mut hll| hll.add(&element(number % elements), sparse_max))
            });
        });
        group.bench_function(BenchmarkId::new("hash set", name), |bencher| {
            let mut set: HashSet<[u8; 16]> = (0..elements).map(element).collect();
            let mut number = 0;
            bencher.iter(|| {
                number += 1;
                set.insert(element(number % elements))
            });
        });
    }
    group.finish();
}

fn count(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("count");
    for (name, elements, sparse_max) in [("full sparse", 1500, 3000), ("dense", 50_000, 0)] {
        let bytes = filled(elements, sparse_max);
        group.bench_function(name, |bencher| {
            bencher.iter(|| HllRef::recognize(black_box(&bytes)).map(HllRef::estimate));
        });
    }
    group.finish();
}

criterion_group!(benches, add, count);
criterion_main!(benches);
