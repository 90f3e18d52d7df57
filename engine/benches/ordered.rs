//! Intsets and skiplists beside the ordered collections of the standard library: filling, finding, ranks, ranges.
//!
//! `cargo bench -p tally-engine --bench ordered`.

use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use tally_engine::structures::dict::HashKey;
use tally_engine::structures::intset::Intset;
use tally_engine::structures::skiplist::Skiplist;

/// Numbers in an order that has nothing to do with their size.
fn scattered(count: u32) -> impl Iterator<Item = u32> {
    (0..count).map(|number| number.wrapping_mul(0x9e37_79b1))
}

fn intsets(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("integers");
    for len in [16, 512] {
        let values: Vec<i64> = scattered(len).map(|number| i64::from(number % 30_000)).collect();
        let set = values.iter().fold(Intset::new(), |mut set, value| {
            set.insert(*value);
            set
        });
        let tree: BTreeSet<i64> = values.iter().copied().collect();
        group.bench_function(BenchmarkId::new("fill an intset", len), |bencher| {
            bencher.iter(|| {
                let mut set = Intset::new();
                for value in &values {
                    set.insert(black_box(*value));
                }
                set
            });
        });
        group.bench_function(BenchmarkId::new("fill a tree", len), |bencher| {
            bencher.iter(|| values.iter().map(|value| black_box(*value)).collect::<BTreeSet<i64>>());
        });
        let mut drawn = values.iter().cycle();
        group.bench_function(BenchmarkId::new("find in an intset", len), |bencher| {
            bencher.iter(|| drawn.next().map(|value| set.contains(black_box(*value))));
        });
        group.bench_function(BenchmarkId::new("find in a tree", len), |bencher| {
            bencher.iter(|| drawn.next().map(|value| tree.contains(black_box(value))));
        });
    }
    group.finish();
}

fn member(number: u32) -> Vec<u8> {
    format!("member:{number:010}").into_bytes()
}

/// A score as a key of a tree: bits in the order of the numbers.
fn key(score: f64) -> u64 {
    score.to_bits()
}

fn skiplists(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("scores");
    for len in [1000, 100_000] {
        let numbers: Vec<u32> = scattered(len).collect();
        let mut list = Skiplist::new(HashKey(1, 2));
        let mut tree: BTreeMap<(u64, Vec<u8>), ()> = BTreeMap::new();
        for number in &numbers {
            list.insert(&member(*number), f64::from(*number));
            tree.insert((key(f64::from(*number)), member(*number)), ());
        }
        let mut drawn = numbers.iter().copied().cycle();
        let mut next = move || drawn.next().unwrap_or(0);
        group.bench_function(BenchmarkId::new("move a member of a skiplist", len), |bencher| {
            bencher.iter_batched(
                || (member(next()), f64::from(next())),
                |(member, score)| list.set_score(&member, score),
                BatchSize::SmallInput,
            );
        });
        group.bench_function(BenchmarkId::new("move a member of a tree", len), |bencher| {
            bencher.iter_batched(
                || (next(), key(f64::from(next()))),
                |(number, score)| {
                    tree.remove(&(key(f64::from(number)), member(number)));
                    tree.insert((score, member(number)), ());
                    tree.remove(&(score, member(number)));
                    tree.insert((key(f64::from(number)), member(number)), ());
                },
                BatchSize::SmallInput,
            );
        });
        group.bench_function(BenchmarkId::new("rank in a skiplist", len), |bencher| {
            bencher.iter_batched(|| member(next()), |member| list.rank(&member), BatchSize::SmallInput);
        });
        group.bench_function(BenchmarkId::new("rank in a tree", len), |bencher| {
            let end = (key(f64::from(u32::MAX / 2)), Vec::new());
            bencher.iter(|| tree.range(..black_box(&end).clone()).count());
        });
        group.bench_function(BenchmarkId::new("ten members from the middle of a skiplist", len), |bencher| {
            let middle = len as usize / 2;
            bencher.iter(|| list.range(middle..middle + 10).map(|(member, _)| member.len()).sum::<usize>());
        });
    }
    group.finish();
}

criterion_group!(benches, intsets, skiplists);
criterion_main!(benches);
