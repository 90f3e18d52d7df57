//! A node of a quicklist: one ziplist, as it is or compressed.

use std::borrow::Cow;

use crate::structures::lzf;
use crate::structures::ziplist::Ziplist;

/// Ziplists below this many bytes are not worth compressing.
const WORTH_BYTES: usize = 48;
/// Bytes that compression must gain.
const WORTH_GAIN: usize = 8;

/// One node.
#[derive(Clone, Debug)]
pub(super) struct Node {
    body: Body,
    /// Bytes of the ziplist, uncompressed.
    pub(super) size: u32,
    /// Number of its entries.
    pub(super) count: u32,
}

#[derive(Clone, Debug)]
enum Body {
    Plain(Ziplist),
    /// LZF of the ziplist's bytes.
    Packed(Box<[u8]>),
}

/// What a node holds, for files.
#[derive(Clone, Copy, Debug)]
pub enum NodeView<'a> {
    /// A ziplist.
    Plain(&'a Ziplist),
    /// LZF of a ziplist's bytes.
    Packed {
        /// The compressed bytes.
        block: &'a [u8],
        /// Bytes that they decompress to.
        size: usize,
    },
}

impl Node {
    pub(super) fn new(list: Ziplist) -> Node {
        let count = list.len();
        Node { size: size_of_list(&list), count: count as u32, body: Body::Plain(list) }
    }

    /// Bytes of heap.
    pub(super) fn bytes(&self) -> usize {
        match &self.body {
            Body::Plain(list) => list.bytes(),
            Body::Packed(block) => block.len(),
        }
    }

    pub(super) fn view(&self) -> NodeView<'_> {
        match &self.body {
            Body::Plain(list) => NodeView::Plain(list),
            Body::Packed(block) => NodeView::Packed { block, size: self.size as usize },
        }
    }

    pub(super) fn is_packed(&self) -> bool {
        matches!(self.body, Body::Packed(_))
    }

    /// The ziplist; that of a packed node is decompressed for as long as it is looked at.
    pub(super) fn read(&self) -> Cow<'_, Ziplist> {
        match &self.body {
            Body::Plain(list) => Cow::Borrowed(list),
            Body::Packed(block) => Cow::Owned(unpacked(block, self.size)),
        }
    }

    /// The ziplist, to change; decompressed. Whoever changes it calls [`Node::changed`] afterwards.
    pub(super) fn list(&mut self) -> &mut Ziplist {
        self.unpack();
        match &mut self.body {
            Body::Plain(list) => list,
            Body::Packed(_) => unreachable!("it was unpacked"),
        }
    }

    /// Takes note that entries came or went.
    pub(super) fn changed(&mut self, count: u32) {
        self.count = count;
        if let Body::Plain(list) = &self.body {
            self.size = size_of_list(list);
        }
    }

    pub(super) fn into_list(mut self) -> Ziplist {
        self.unpack();
        match self.body {
            Body::Plain(list) => list,
            Body::Packed(_) => unreachable!("it was unpacked"),
        }
    }

    pub(super) fn unpack(&mut self) {
        if let Body::Packed(block) = &self.body {
            self.body = Body::Plain(unpacked(block, self.size));
        }
    }

    /// Compresses the ziplist if that gains something.
    pub(super) fn pack(&mut self) {
        let Body::Plain(list) = &self.body else { return };
        let bytes = list.as_bytes();
        if bytes.len() < WORTH_BYTES {
            return;
        }
        let mut block = Vec::new();
        if lzf::compress(bytes, bytes.len() - WORTH_GAIN - 1, &mut block) {
            self.body = Body::Packed(block.into_boxed_slice());
        }
    }

    pub(super) fn validate(&self) {
        let list = self.read();
        list.validate();
        assert_eq!(list.byte_len(), self.size as usize);
        assert_eq!(list.len(), self.count as usize);
    }
}

fn size_of_list(list: &Ziplist) -> u32 {
    // The length of a ziplist is a 32-bit number, and it has fewer entries than bytes.
    list.byte_len() as u32
}

fn unpacked(block: &[u8], size: u32) -> Ziplist {
    let mut bytes = Vec::new();
    let list = lzf::decompress(block, size as usize, &mut bytes).ok().and_then(|()| Ziplist::from_bytes(&bytes).ok());
    match list {
        Some(list) => list,
        None => unreachable!("blocks are compressed from ziplists"),
    }
}
