//! The incrementally rehashed dict beside the hash set of the standard library: filling, finding, taking out.
//!
//! Both hash by SipHash-1-3 with a key, so what differs is the structure. `cargo bench -p tally-engine --bench tables`.

use std::collections::HashSet;
use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use tally_engine::structures::dict::{Dict, HashKey};
use tally_engine::structures::member::Member;

fn members(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|number| format!("member:{number:010}").into_bytes()).collect()
}

fn filled(members: &[Vec<u8>]) -> Dict<Member> {
    let mut dict = Dict::new(HashKey(1, 2));
    for member in members {
        dict.insert_new(Member::create(member));
    }
    dict
}

fn tables(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("members");
    // In the caches of a core, and beyond them.
    for len in [1_000, 1_000_000] {
        let members = members(len);
        if len > 1_000 {
            group.sample_size(10);
        }
        group.bench_function(BenchmarkId::new("fill a dict", len), |bencher| {
            bencher.iter_with_large_drop(|| filled(black_box(&members)));
        });
        group.bench_function(BenchmarkId::new("fill a hash set", len), |bencher| {
            bencher.iter_with_large_drop(|| black_box(&members).iter().cloned().collect::<HashSet<_>>());
        });
        // In an order that is not that of the memory.
        let scattered = || (0..len).map(|place| &members[place * 7_919 % len]).cycle();
        let mut dict = filled(&members);
        while dict.rehash(100) {}
        let set: HashSet<Vec<u8>> = members.iter().cloned().collect();
        let mut drawn = scattered();
        group.bench_function(BenchmarkId::new("find in a dict", len), |bencher| {
            bencher.iter(|| drawn.next().map(|member| dict.peek(black_box(member)).is_some()));
        });
        let mut drawn = scattered();
        group.bench_function(BenchmarkId::new("find in a hash set", len), |bencher| {
            bencher.iter(|| drawn.next().map(|member| set.contains(black_box(member))));
        });
        group.bench_function(BenchmarkId::new("empty a dict one by one", len), |bencher| {
            let empty = |mut dict: Dict<Member>| {
                for member in &members {
                    black_box(dict.remove(member));
                }
                dict
            };
            bencher.iter_batched(|| filled(&members), empty, BatchSize::LargeInput);
        });
        group.bench_function(BenchmarkId::new("empty a hash set one by one", len), |bencher| {
            let empty = |mut set: HashSet<Vec<u8>>| {
                for member in &members {
                    black_box(set.take(member));
                }
                set
            };
            bencher.iter_batched(|| set.clone(), empty, BatchSize::LargeInput);
        });
    }
    group.finish();
}

criterion_group!(benches, tables);
criterion_main!(benches);
