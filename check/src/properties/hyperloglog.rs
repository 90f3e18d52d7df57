//! HyperLogLog: any string is taken or refused, and whatever form registers are in, they only rise.

use tally_engine::structures::hyperloglog::{
    DENSE_LEN, Form, HEADER_LEN, HllMut, HllRef, REGISTERS, Registers, empty, register_of,
};

/// Registers of a small neighbourhood, so that runs are split and joined; few of them lie elsewhere.
const NEAR: usize = 12;

/// A step of [`registers_only_rise`].
#[derive(Clone, Debug)]
pub enum Operation {
    /// Raises a register.
    Raise(u16, u8),
    /// Adds an element.
    Add(Vec<u8>),
    /// Bytes that a sparse string may have from now on.
    Limit(usize),
    /// Raises several registers at once; true: the string becomes dense.
    Merge(Vec<(u16, u8)>, bool),
    /// Makes the string dense.
    MakeDense,
    /// Puts the estimate into the header.
    Count,
}

/// Steps drawn from any bytes.
#[must_use]
pub fn operations(bytes: &[u8]) -> Vec<Operation> {
    let mut bytes = bytes.iter().copied();
    let mut operations = Vec::new();
    while let Some(kind) = bytes.next() {
        let mut next = || bytes.next().unwrap_or(0);
        let mut register = || (u16::from_be_bytes([next(), next()]), next());
        operations.push(match kind % 8 {
            0..=2 => {
                let (index, value) = register();
                Operation::Raise(index, value)
            }
            3 => {
                let length = usize::from(next() % 20);
                Operation::Add(std::iter::repeat_with(next).take(length).collect())
            }
            4 => Operation::Limit(HEADER_LEN + usize::from(next())),
            5 => {
                let dense = next() > 200;
                let count = usize::from(next() % 20);
                let registers = std::iter::repeat_with(|| {
                    let [high, low, value] = [next(), next(), next()];
                    (u16::from_be_bytes([high, low]), value)
                });
                Operation::Merge(registers.take(count).collect(), dense)
            }
            6 if kind > 200 => Operation::MakeDense,
            _ => Operation::Count,
        });
    }
    operations
}

/// Which register and which value an operation means: mostly neighbours, of values that a run can hold.
fn meant(index: u16, value: u8) -> (usize, u8) {
    let index = usize::from(index);
    let index = if index.is_multiple_of(5) { index % REGISTERS } else { REGISTERS - 1 - index % NEAR };
    (index, if value > 250 { value % 52 } else { value % 6 })
}

/// Any steps leave exactly the registers that an array of numbers has, the estimate is that of those, and the header
/// says when it is not known.
///
/// # Panics
/// When it is not so.
pub fn registers_only_rise(operations: &[Operation]) {
    let mut bytes = empty();
    let mut plain = vec![0u8; REGISTERS];
    let mut limit = 3000;
    let mut stale = false;
    for operation in operations {
        let before = bytes.len();
        let mut hll = HllMut::recognize(&mut bytes).expect("it has its header");
        match operation {
            Operation::Raise(index, value) => {
                let (index, value) = meant(*index, *value);
                let raised = hll.raise(index, value, limit).expect("it is whole");
                assert_eq!(raised, value > plain[index], "register {index} from {} to {value}", plain[index]);
                plain[index] = plain[index].max(value);
                stale |= raised;
            }
            Operation::Add(element) => {
                let (index, value) = register_of(element);
                let raised = hll.add(element, limit).expect("it is whole");
                assert_eq!(raised, value > plain[index]);
                plain[index] = plain[index].max(value);
                stale |= raised;
            }
            Operation::Limit(bytes) => limit = *bytes,
            Operation::Merge(registers, dense) => {
                let mut other = empty();
                let mut source = HllMut::recognize(&mut other).expect("it has its header");
                for (index, value) in registers {
                    let (index, value) = meant(*index, *value);
                    source.raise(index, value, DENSE_LEN).expect("it is whole");
                    plain[index] = plain[index].max(value);
                }
                let mut union = Registers::default();
                union.merge(HllRef::recognize(&other).expect("it has its header")).expect("it is whole");
                hll.merge(&union, *dense, limit).expect("it is whole");
                stale = true;
            }
            Operation::MakeDense => {
                hll.make_dense().expect("it is whole");
            }
            Operation::Count => {
                let estimate = HllRef::recognize(&bytes).expect("it has its header").estimate().expect("it is whole");
                HllMut::recognize(&mut bytes).expect("it has its header").store_cardinality(estimate);
                stale = estimate >> 63 != 0;
            }
        }
        let hll = HllRef::recognize(&bytes).expect("it keeps its header");
        assert_eq!(hll.validate(), Ok(()));
        assert_eq!(hll.cached().is_none(), stale, "{operation:?}");
        if hll.form() == Form::Sparse {
            assert!(bytes.len() <= before.max(limit), "a sparse string of {} bytes, limit {limit}", bytes.len());
        }
    }
    let hll = HllRef::recognize(&bytes).expect("it keeps its header");
    let mut registers = Registers::default();
    registers.merge(hll).expect("it is whole");
    assert!(registers.iter().eq(plain.iter().copied()), "the registers are others");
    assert_eq!(hll.estimate(), Ok(registers.estimate()));
}

/// The registers that a string's bytes tell of, opcode by opcode; `None` when they are none.
fn decoded(bytes: &[u8]) -> Option<Vec<u8>> {
    let body = bytes.get(HEADER_LEN..)?;
    let mut registers = Vec::new();
    if bytes[4] == 0 {
        let bit = |at: usize| body[at / 8] >> (at % 8) & 1;
        registers.extend((0..REGISTERS).map(|index| (0..6).map(|at| bit(6 * index + at) << at).sum::<u8>()));
        return Some(registers);
    }
    let mut at = 0;
    while at < body.len() && registers.len() <= REGISTERS {
        let low = usize::from(body[at] & 0x3f);
        let (value, length, size) = match body[at] {
            0x00..=0x3f => (0, low + 1, 1),
            0x40..=0x7f => (0, low * 256 + usize::from(*body.get(at + 1)?) + 1, 2),
            0x80.. => (((body[at] - 0x80) >> 2) + 1, low % 4 + 1, 1),
        };
        registers.extend(std::iter::repeat_n(value, length));
        at += size;
    }
    (registers.len() == REGISTERS).then_some(registers)
}

/// Any string is a HyperLogLog, a broken one or none; all functions agree which, and those that change a string leave it as
/// it was when they refuse it.
///
/// # Panics
/// When it is not so.
pub fn any_string_is_taken_or_refused(bytes: &[u8]) {
    judge(bytes);
    // Most bytes have no header; as opcodes they say more.
    let headed = [&empty()[..HEADER_LEN], bytes].concat();
    judge(&headed);
}

fn judge(bytes: &[u8]) {
    let Some(hll) = HllRef::recognize(bytes) else {
        let mut copy = bytes.to_vec();
        assert!(HllMut::recognize(&mut copy).is_none());
        return;
    };
    let plain = decoded(bytes);
    let mut registers = Registers::default();
    let merged = registers.merge(hll);
    assert_eq!(hll.validate(), merged);
    assert_eq!(merged.is_ok(), plain.is_some(), "{merged:?}");
    if let Err(corrupt) = merged {
        assert!(corrupt.offset <= bytes.len());
    }
    assert!(hll.runs().count() <= bytes.len());
    match &plain {
        Some(plain) => {
            assert!(registers.iter().eq(plain.iter().copied()), "the registers are others");
            assert_eq!(hll.estimate(), Ok(registers.estimate()));
        }
        None => assert_eq!(hll.estimate(), Err(merged.expect_err("it was refused"))),
    }
    for limit in [0, HEADER_LEN + 8, 3000] {
        for element in [&b"a"[..], b"b", b"c"] {
            let mut copy = bytes.to_vec();
            let mut changed = HllMut::recognize(&mut copy).expect("it has its header");
            let (index, value) = register_of(element);
            match changed.add(element, limit) {
                Ok(raised) => {
                    assert!(copy.len() <= DENSE_LEN.max(bytes.len() + 4));
                    if let Some(plain) = &plain {
                        assert_eq!(raised, value > plain[index]);
                        let mut raised = plain.clone();
                        raised[index] = raised[index].max(value);
                        assert_eq!(decoded(&copy).as_ref(), Some(&raised));
                    }
                }
                Err(_) => {
                    assert!(plain.is_none(), "a whole string is refused");
                    assert_eq!(copy, bytes, "a refused string was changed");
                }
            }
        }
    }
    let mut copy = bytes.to_vec();
    let converted = HllMut::recognize(&mut copy).expect("it has its header").make_dense();
    assert_eq!(converted.is_ok(), plain.is_some());
    if converted.is_ok() {
        assert_eq!(decoded(&copy), plain);
    }
}
