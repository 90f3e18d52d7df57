//! Ziplists and quicklists beside the vectors that they stand for: filling, finding, changing inside.
//!
//! `cargo bench -p tally-engine --bench packed`.

use std::collections::VecDeque;
use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use tally_engine::structures::quicklist::{End, Options, Quicklist, Side};
use tally_engine::structures::ziplist::{Value, Ziplist};

fn text(number: usize) -> Vec<u8> {
    format!("element:{number:06}").into_bytes()
}

fn ziplists(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("128 short texts");
    let texts: Vec<Vec<u8>> = (0..128).map(text).collect();
    let list = Ziplist::of(texts.iter().map(|text| Value::of(text)));
    group.bench_function("fill a ziplist", |bencher| {
        bencher.iter(|| Ziplist::of(texts.iter().map(|text| Value::of(black_box(text)))));
    });
    group.bench_function("fill a vector", |bencher| {
        bencher.iter(|| texts.iter().map(|text| black_box(text).clone()).collect::<Vec<_>>());
    });
    group.bench_function("find in a ziplist", |bencher| {
        bencher.iter(|| list.find(list.first(), black_box(&texts[100]), 0));
    });
    group.bench_function("find in a vector", |bencher| {
        bencher.iter(|| texts.iter().position(|text| text == black_box(&texts[100])));
    });
    let long = vec![b'x'; 250];
    let chain = Ziplist::of(std::iter::repeat_n(Value::Bytes(&long), 128));
    group.bench_function("cascade through a ziplist", |bencher| {
        bencher.iter_batched_ref(
            || chain.clone(),
            |list| list.push_front(Value::Bytes(&[b'y'; 300])),
            criterion::BatchSize::SmallInput,
        );
    });
    group.finish();
}

fn quicklists(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("list");
    for len in [100, 100_000] {
        let mut list = Quicklist::new(Options::new(-2, 0));
        let mut deque: VecDeque<Vec<u8>> = VecDeque::new();
        for number in 0..len {
            list.push(End::Back, &text(number));
            deque.push_back(text(number));
        }
        group.bench_function(BenchmarkId::new("queue through a quicklist", len), |bencher| {
            bencher.iter(|| {
                let element = list.peek(End::Front).map(Value::to_vec).unwrap_or_default();
                list.drop_end(End::Front);
                list.push(End::Back, &element);
            });
        });
        group.bench_function(BenchmarkId::new("queue through a deque", len), |bencher| {
            bencher.iter(|| {
                let element = deque.pop_front().unwrap_or_default();
                deque.push_back(element);
            });
        });
        group.bench_function(BenchmarkId::new("read the middle of a quicklist", len), |bencher| {
            bencher.iter(|| list.read(black_box(len / 2), |element| element.text_len()));
        });
        group.bench_function(BenchmarkId::new("insert into a quicklist", len), |bencher| {
            let pivot = list.read(len / 2, |element| element.to_vec()).unwrap_or_default();
            bencher.iter(|| {
                list.insert_beside(&pivot, Side::After, b"inserted");
                list.remove(b"inserted", 1)
            });
        });
        group.bench_function(BenchmarkId::new("insert into a deque", len), |bencher| {
            let pivot = deque[len / 2].clone();
            bencher.iter(|| {
                let at = deque.iter().position(|held| *held == pivot).unwrap_or(0);
                deque.insert(at + 1, b"inserted".to_vec());
                deque.remove(at + 1)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, ziplists, quicklists);
criterion_main!(benches);
