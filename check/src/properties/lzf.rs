//! LZF: the decompressor takes any bytes, and both halves understand what either compresses.

use tally_engine::structures::lzf;
use tally_model::lzf as naive;

/// Any block with any promise is decompressed or refused, by both halves alike, and memory follows what was promised
/// and what is there.
pub fn decompression_is_total_and_judged_alike(block: &[u8], promised: usize) {
    // The naive half would allocate what it is promised.
    let promised = promised % (1 << 20);
    let before = b"before".to_vec();
    let mut output = before.clone();
    let result = lzf::decompress(block, promised, &mut output);
    match (result, naive::expand(block, promised)) {
        (Ok(()), Ok(expanded)) => {
            assert_eq!(output[before.len()..], expanded, "the halves decompress differently");
            assert_eq!(expanded.len(), promised);
        }
        (Err(_), Err(_)) => assert_eq!(output, before, "a refused block left something behind"),
        (engine, model) => panic!("the engine says {engine:?}, the model {model:?}"),
    }
    let bound = before.len() + promised.min(block.len() * 88 + 8);
    assert!(output.capacity() <= bound * 2 + 64, "{} bytes were taken", output.capacity());
}

/// What either half compresses, both decompress to what it was.
pub fn compression_is_undone_by_both_halves(plain: &[u8]) {
    let mut block = Vec::new();
    let fits = lzf::compress(plain, usize::MAX, &mut block);
    assert!(fits, "without a limit everything fits");
    for block in [block, naive::compress(plain)] {
        let mut output = Vec::new();
        assert_eq!(lzf::decompress(&block, plain.len(), &mut output), Ok(()));
        assert_eq!(output, plain);
        assert_eq!(naive::expand(&block, plain.len()).as_deref(), Ok(plain));
    }
}

/// A limit is kept: either the block fits into it or nothing is written.
pub fn compression_keeps_its_limit(plain: &[u8], limit: usize) {
    let mut unlimited = Vec::new();
    lzf::compress(plain, usize::MAX, &mut unlimited);
    let mut block = vec![7];
    let fits = lzf::compress(plain, limit, &mut block);
    assert_eq!(fits, unlimited.len() <= limit, "{} bytes, limit {limit}", unlimited.len());
    assert_eq!(block[1..], *(if fits { unlimited.as_slice() } else { &[] }));
}
