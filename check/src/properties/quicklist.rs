//! Quicklists: a sequence under any changes, however long its nodes may become and whatever is compressed; and nodes
//! that come from outside are taken as they are.

use tally_engine::structures::lzf;
use tally_engine::structures::quicklist::{End, NodeView, Options, Quicklist, Side};
use tally_engine::structures::ziplist::{Value, Ziplist};

use super::ziplist;

/// A step of [`a_quicklist_is_a_sequence`]. Places are taken modulo the number of elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Adds an element at an end.
    Push(End, Vec<u8>),
    /// Removes so many elements at an end, one by one.
    Pop(End, u8),
    /// Puts another element in a place.
    Set(u8, Vec<u8>),
    /// Adds an element beside the first that equals the one in a place.
    InsertBeside(u8, Side, Vec<u8>),
    /// Removes elements that equal the one in a place: so many of them, from the end that the sign says.
    Remove(u8, i8),
    /// Removes elements at both ends.
    Trim(u8, u8),
    /// Adds a node of these elements.
    PushNode(Vec<Vec<u8>>),
    /// Reads so many elements from a place on.
    Visit(u8, u8),
}

/// Elements: those of ziplists, and some that fill a node.
fn element(kind: u8, n: u8) -> Vec<u8> {
    match kind {
        0..=15 => vec![b'n'; 8150 + usize::from(n % 64)],
        16..=23 => vec![b'm'; 4060 + usize::from(n % 64)],
        _ => ziplist::value(kind, n),
    }
}

/// Options and operations for any bytes.
#[must_use]
pub fn operations(bytes: &[u8]) -> (Options, Vec<Operation>) {
    let (first, rest) = bytes.split_at(bytes.len().min(2));
    let at = |chunk: &[u8], index: usize| chunk.get(index).copied().unwrap_or(0);
    let fill = i64::from(at(first, 0) % 16) - 5;
    let options = Options::new(fill, i64::from(at(first, 1) % 4));
    let end = |bit: u8| if bit.is_multiple_of(2) { End::Front } else { End::Back };
    let side = |bit: u8| if bit.is_multiple_of(2) { Side::Before } else { Side::After };
    let decode = |chunk: &[u8]| {
        let (place, a, b) = (at(chunk, 1), at(chunk, 2), at(chunk, 3));
        match at(chunk, 0) % 24 {
            0..=7 => Operation::Push(end(place), element(a, b)),
            8 | 9 => Operation::Pop(end(place), a % 8),
            10..=12 => Operation::Set(place, element(a, b)),
            13..=17 => Operation::InsertBeside(place, side(b), element(a, b)),
            18 => Operation::Remove(place, a as i8 % 4),
            19 => Operation::Trim(a % 8, b % 8),
            20 => Operation::PushNode((0..place % 6).map(|index| element(a, b.wrapping_add(index))).collect()),
            _ => Operation::Visit(place, a),
        }
    };
    (options, rest.chunks(4).map(decode).collect())
}

/// Lists of so many bytes are looked through after every step, longer ones more rarely: to look through all of
/// a long one each time would take a fuzzer seconds for one input.
const LOOKED_THROUGH: usize = 1 << 16;
/// Elements of which each is also read by its place; of more, every so many-th is.
const READ_BY_PLACE: usize = 128;

/// A quicklist holds what a vector holds after every step, and its nodes are as its options say whenever it is looked
/// through.
pub fn a_quicklist_is_a_sequence(options: Options, operations: &[Operation]) {
    let mut list = Quicklist::new(options);
    let mut wanted: Vec<Vec<u8>> = Vec::new();
    let mut steps = 0;
    for operation in operations {
        apply(&mut list, &mut wanted, operation);
        steps += 1;
        if steps > list.uncompressed_bytes() / LOOKED_THROUGH {
            list.validate();
            steps = 0;
        }
        assert_eq!(list.len(), wanted.len());
        assert_eq!(list.is_empty(), wanted.is_empty());
        assert_eq!(list.node_count(), list.nodes().len());
    }
    list.validate();
    same(&list, &wanted);
    // The serialized form: its nodes, one after the other.
    let mut again = Quicklist::new(options);
    let nodes: Vec<Ziplist> = list.nodes().map(plain).collect();
    assert_eq!(list.uncompressed_bytes(), nodes.iter().map(Ziplist::byte_len).sum::<usize>());
    for node in nodes {
        again.push_node(node);
    }
    again.validate();
    same(&again, &wanted);
    assert_eq!(again.node_count(), list.node_count());
}

/// The ziplist of a node.
fn plain(node: NodeView<'_>) -> Ziplist {
    let bytes = match node {
        NodeView::Plain(list) => list.as_bytes().to_vec(),
        NodeView::Packed { block, size } => {
            let mut bytes = Vec::new();
            assert_eq!(lzf::decompress(block, size, &mut bytes), Ok(()));
            bytes
        }
    };
    Ziplist::from_bytes(&bytes).unwrap_or_else(|error| panic!("a node holds no ziplist: {error}"))
}

fn apply(list: &mut Quicklist, wanted: &mut Vec<Vec<u8>>, operation: &Operation) {
    let place = |place: u8| (!wanted.is_empty()).then(|| usize::from(place) % wanted.len());
    match operation {
        Operation::Push(end, text) => {
            list.push(*end, text);
            wanted.insert(if *end == End::Front { 0 } else { wanted.len() }, text.clone());
        }
        Operation::Pop(end, count) => {
            for _ in 0..*count {
                let held = list.peek(*end).map(Value::to_vec);
                list.drop_end(*end);
                let index = if *end == End::Front { 0 } else { wanted.len().saturating_sub(1) };
                assert_eq!(held, (!wanted.is_empty()).then(|| wanted.remove(index)));
            }
        }
        Operation::Set(at, text) => {
            let at = place(*at);
            assert_eq!(list.set(at.unwrap_or(0), text), at.is_some());
            if let Some(at) = at {
                wanted[at].clone_from(text);
            }
            assert!(!list.set(wanted.len(), text));
        }
        Operation::InsertBeside(at, side, text) => {
            let pivot = place(*at).map_or(b"nobody".to_vec(), |at| wanted[at].clone());
            let first = wanted.iter().position(|held| *held == pivot);
            assert_eq!(list.insert_beside(&pivot, *side, text), first.is_some());
            if let Some(first) = first {
                wanted.insert(if *side == Side::Before { first } else { first + 1 }, text.clone());
            }
        }
        Operation::Remove(at, count) => {
            let text = place(*at).map_or(b"nobody".to_vec(), |at| wanted[at].clone());
            assert_eq!(list.remove(&text, i64::from(*count)), remove(wanted, &text, *count));
        }
        Operation::Trim(front, back) => {
            list.trim(usize::from(*front), usize::from(*back));
            wanted.drain(..usize::from(*front).min(wanted.len()));
            wanted.truncate(wanted.len().saturating_sub(usize::from(*back)));
        }
        Operation::PushNode(texts) => {
            list.push_node(Ziplist::of(texts.iter().map(|text| Value::of(text))));
            wanted.extend_from_slice(texts);
        }
        Operation::Visit(at, count) => {
            let at = place(*at).unwrap_or(0);
            let mut seen = Vec::new();
            list.visit(at, usize::from(*count), |element| seen.push(element.to_vec()));
            let shown: Vec<Vec<u8>> = wanted.iter().skip(at).take(usize::from(*count)).cloned().collect();
            assert_eq!(seen, shown);
        }
    }
}

fn remove(wanted: &mut Vec<Vec<u8>>, text: &[u8], count: i8) -> usize {
    let before = wanted.len();
    let most = if count == 0 { usize::MAX } else { usize::from(count.unsigned_abs()) };
    let mut equal: Vec<usize> = (0..before).filter(|&at| wanted[at] == text).collect();
    if count < 0 {
        equal.reverse();
    }
    equal.truncate(most);
    equal.sort_unstable();
    for at in equal.into_iter().rev() {
        wanted.remove(at);
    }
    before - wanted.len()
}

fn same(list: &Quicklist, wanted: &[Vec<u8>]) {
    let mut held = Vec::new();
    list.visit(0, usize::MAX, |element| held.push(element.to_vec()));
    assert_eq!(held, wanted);
    for (index, text) in wanted.iter().enumerate().step_by(1 + wanted.len() / READ_BY_PLACE) {
        assert_eq!(list.read(index, |element| element.to_vec()).as_ref(), Some(text));
    }
    assert_eq!(list.read(wanted.len(), |element| element.to_vec()), None);
    assert_eq!(list.peek(End::Front).map(Value::to_vec).as_ref(), wanted.first());
    assert_eq!(list.peek(End::Back).map(Value::to_vec).as_ref(), wanted.last());
}

/// Nodes from any bytes, cut where a marker stands, are taken or refused one by one; a list of those taken holds their
/// entries and goes on.
pub fn any_nodes_are_taken_or_refused(bytes: &[u8]) {
    /// Ends a node; no entry of a small ziplist begins so.
    const CUT: [u8; 2] = [0xFF, 0xFE];
    let mut list = Quicklist::new(Options::new(-2, 1));
    let mut wanted: Vec<Vec<u8>> = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let end = rest.windows(2).position(|window| window == CUT).unwrap_or(rest.len());
        for node in [rest[..end].to_vec(), ziplist::with_header(&rest[..end])] {
            if let Ok(node) = Ziplist::from_bytes(&node) {
                wanted.extend(node.iter().map(Value::to_vec));
                list.push_node(node);
                list.validate();
            }
        }
        rest = rest.get(end + CUT.len()..).unwrap_or_default();
    }
    same(&list, &wanted);
    list.push(End::Front, b"front");
    list.push(End::Back, b"back");
    list.validate();
    list.trim(1, 1);
    list.validate();
    same(&list, &wanted);
}
