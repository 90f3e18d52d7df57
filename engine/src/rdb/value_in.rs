//! Values out of a file: the bytes of a value into the collection that they are.
//!
//! Nothing is believed: packed structures are checked once as a whole, and members, fields and scores one by one. What
//! Redis cannot have written is damage. The encodings are those in which Redis holds the value after loading it, which
//! need not be the ones in which it was saved: packed structures stay packed while they have no more entries than the
//! configuration allows, and elements that come one by one are added as commands would add them. [RESTORE-9]

use std::io::Read;

use super::input::{Input, Scratch};
use super::stream::StreamForm;
use super::{RdbError, RdbErrorKind, value_type as ty};
use crate::config::Config;
use crate::faults::{self, Fault};
use crate::number::{I64_TEXT_MAX, parse_f64};
use crate::structures::DecodeError;
use crate::structures::dict::HashKey;
use crate::structures::intset::Intset;
use crate::structures::listpack::Listpack;
use crate::structures::quicklist::{End, Options};
use crate::structures::ziplist::Ziplist;
use crate::structures::zipmap;
use crate::values::zset::NoZset;
use crate::values::{
    Collection, ELEMENT_MAX, FillingHash, FillingSet, FillingZset, Hash, HashLimits, List, NoHash, Set, SetLimits,
    Zset, ZsetLimits,
};

/// Lengths of a score's text that mean something else: not a number, and the infinities.
const NOT_A_NUMBER: u8 = 253;
const POSITIVE_INFINITY: u8 = 254;
const NEGATIVE_INFINITY: u8 = 255;

/// How a node of a newer list is stored: one large element, or a listpack. [RDBVAL-10]
const PLAIN_NODE: u64 = 1;
const PACKED_NODE: u64 = 2;
/// Bytes by which an entry of a ziplist can be longer than the same one of a listpack.
const ENTRY_GROWTH: usize = 10;

/// How values are made: what decides about their encodings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Holding {
    list: Options,
    set: SetLimits,
    hash: HashLimits,
    zset: ZsetLimits,
}

impl Holding {
    /// As configured; `hash_key` is the secret of hash tables.
    pub(crate) fn new(config: &Config, hash_key: HashKey) -> Holding {
        Holding {
            list: config.list_options(),
            set: SetLimits::new(config, hash_key),
            hash: HashLimits::new(config, hash_key),
            zset: ZsetLimits::new(config, hash_key),
        }
    }
}

impl Default for Holding {
    fn default() -> Self {
        Holding::new(&Config::default(), HashKey::default())
    }
}

/// The collection of type `code` that begins here; `None`, and nothing is read, when the engine does not hold the type.
pub(super) fn collection<R: Read>(
    code: u8,
    input: &mut Input<R>,
    scratch: &mut Scratch,
    holding: &Holding,
) -> Result<Option<Collection>, RdbError> {
    let mut source = Source { input, scratch };
    Ok(Some(match code {
        ty::LIST => Collection::List(source.list(holding)?),
        ty::LIST_ZIPLIST => Collection::List(source.list_of_ziplist(holding)?),
        ty::LIST_QUICKLIST => Collection::List(source.list_of_nodes(holding)?),
        ty::SET => Collection::Set(source.set(holding)?),
        ty::SET_INTSET => Collection::Set(source.set_of_intset(holding)?),
        ty::ZSET | ty::ZSET_2 => Collection::Zset(source.zset(holding, code == ty::ZSET_2)?),
        ty::ZSET_ZIPLIST => Collection::Zset(source.zset_of_ziplist(holding)?),
        ty::HASH => Collection::Hash(source.hash(holding)?),
        ty::HASH_ZIPLIST => Collection::Hash(source.hash_of_ziplist(holding)?),
        ty::HASH_ZIPMAP => Collection::Hash(source.hash_of_zipmap(holding)?),
        ty::STREAM_LISTPACKS => Collection::Stream(source.stream(StreamForm::V9)?),
        ty::STREAM_LISTPACKS_2 => Collection::Stream(source.stream(StreamForm::V10)?),
        ty::STREAM_LISTPACKS_3 => Collection::Stream(source.stream(StreamForm::V11)?),
        ty::LIST_QUICKLIST_2 => Collection::List(source.list_of_newer_nodes(holding)?),
        ty::SET_LISTPACK => Collection::Set(source.set_of_listpack(holding)?),
        ty::HASH_LISTPACK => Collection::Hash(source.hash_of_listpack(holding)?),
        ty::ZSET_LISTPACK => Collection::Zset(source.zset_of_listpack(holding)?),
        _ => return Ok(None),
    }))
}

/// Where a value is read from.
pub(super) struct Source<'a, R> {
    pub(super) input: &'a mut Input<R>,
    scratch: &'a mut Scratch,
}

impl<R: Read> Source<'_, R> {
    /// The next string, given to `take`.
    pub(super) fn text<T>(&mut self, take: impl FnOnce(&[u8]) -> T) -> Result<T, RdbError> {
        let mut digits = [0; I64_TEXT_MAX];
        Ok(take(self.input.text(self.scratch)?.bytes(&mut digits)))
    }

    /// The next string, copied into `target`.
    pub(super) fn text_into(&mut self, target: &mut Vec<u8>) -> Result<(), RdbError> {
        self.text(|text| {
            target.clear();
            target.extend_from_slice(text);
        })
    }

    /// The next string, in which `read` finds a structure.
    pub(super) fn packed<T>(&mut self, read: impl FnOnce(&[u8]) -> Result<T, RdbErrorKind>) -> Result<T, RdbError> {
        let offset = self.input.offset();
        self.text(read)?.map_err(|kind| self.input.error(offset, kind))
    }

    fn ziplist(&mut self) -> Result<Ziplist, RdbError> {
        self.packed(|bytes| Ziplist::from_bytes(bytes).map_err(no_ziplist))
    }

    fn listpack(&mut self) -> Result<Listpack, RdbError> {
        self.packed(|bytes| {
            Listpack::from_bytes(bytes).map_err(|error| RdbErrorKind::Structure {
                structure: "listpack",
                at: error.offset as u64,
                reason: error.reason.to_string(),
            })
        })
    }

    /// A listpack as the ziplist of its elements, which is what this engine packs values into.
    fn listpack_as_ziplist(&mut self) -> Result<Ziplist, RdbError> {
        let offset = self.input.offset();
        let listpack = self.listpack()?;
        // Entries of a ziplist can be a few bytes longer than those of a listpack.
        if listpack.len().saturating_mul(ENTRY_GROWTH).saturating_add(listpack.byte_len()) > ELEMENT_MAX {
            return Err(self.input.error(offset, RdbErrorKind::Length(listpack.byte_len() as u64)));
        }
        Ok(Ziplist::of(&listpack))
    }

    /// An error at `offset`, where a member stands that was there before.
    fn twice(&self, offset: u64) -> RdbError {
        self.input.error(offset, RdbErrorKind::DuplicateMember)
    }

    fn list(&mut self, holding: &Holding) -> Result<List, RdbError> {
        let mut list = List::new(holding.list);
        for _ in 0..self.input.number()? {
            self.list_element(&mut list)?;
        }
        Ok(list)
    }

    fn list_element(&mut self, list: &mut List) -> Result<(), RdbError> {
        let offset = self.input.offset();
        let length = self.text(|item| {
            if item.len() <= ELEMENT_MAX {
                list.push(End::Back, item);
            }
            item.len()
        })?;
        if length > ELEMENT_MAX {
            return Err(self.input.error(offset, RdbErrorKind::Length(length as u64)));
        }
        Ok(())
    }

    fn list_of_ziplist(&mut self, holding: &Holding) -> Result<List, RdbError> {
        let ziplist = self.ziplist()?;
        let mut list = List::new(holding.list);
        let mut digits = [0; I64_TEXT_MAX];
        for value in &ziplist {
            list.push(End::Back, value.text(&mut digits));
        }
        Ok(list)
    }

    fn list_of_nodes(&mut self, holding: &Holding) -> Result<List, RdbError> {
        let mut list = List::new(holding.list);
        let nodes = self.input.number()?;
        for number in 0..nodes {
            let node = self.ziplist()?;
            let lost = faults::is(Fault::LoadedListLosesNode) && number >= 2 && number + 1 == nodes;
            if !lost {
                list.push_node(node);
            }
        }
        Ok(list)
    }

    /// Nodes that are one large element or a listpack of small ones. [RDBVAL-10] [LOADENC-7]
    fn list_of_newer_nodes(&mut self, holding: &Holding) -> Result<List, RdbError> {
        let mut list = List::new(holding.list);
        let mut digits = [0; I64_TEXT_MAX];
        for _ in 0..self.input.number()? {
            let offset = self.input.offset();
            match self.input.number()? {
                PLAIN_NODE => self.list_element(&mut list)?,
                PACKED_NODE => {
                    for value in &self.listpack()? {
                        list.push(End::Back, value.text(&mut digits));
                    }
                }
                other => return Err(self.input.error(offset, RdbErrorKind::NodeForm(other))),
            }
        }
        Ok(list)
    }

    fn set(&mut self, holding: &Holding) -> Result<Set, RdbError> {
        let count = self.input.number()?;
        let mut set = FillingSet::new(count);
        for _ in 0..count {
            let offset = self.input.offset();
            let added = self.text(|member| set.add(member, offset, &holding.set))?;
            added.map_err(|offset| self.twice(offset))?;
        }
        set.finish().map_err(|offset| self.twice(offset))
    }

    fn set_of_intset(&mut self, holding: &Holding) -> Result<Set, RdbError> {
        let intset = self.packed(|bytes| {
            Intset::decode(bytes).map_err(|error| RdbErrorKind::Structure {
                structure: "intset",
                at: error.offset as u64,
                reason: error.reason.to_owned(),
            })
        })?;
        Ok(Set::from_intset(intset, &holding.set))
    }

    fn set_of_listpack(&mut self, holding: &Holding) -> Result<Set, RdbError> {
        let offset = self.input.offset();
        let listpack = self.listpack()?;
        let mut set = FillingSet::new(listpack.len() as u64);
        let mut digits = [0; I64_TEXT_MAX];
        for member in &listpack {
            set.add(member.text(&mut digits), offset, &holding.set).map_err(|offset| self.twice(offset))?;
        }
        set.finish().map_err(|offset| self.twice(offset))
    }

    fn hash(&mut self, holding: &Holding) -> Result<Hash, RdbError> {
        let count = self.input.number()?;
        let mut hash = FillingHash::new(count);
        let mut field = Vec::new();
        for _ in 0..count {
            let offset = self.input.offset();
            self.text_into(&mut field)?;
            let added = self.text(|value| hash.add(&field, value, offset, &holding.hash))?;
            added.map_err(|offset| self.twice(offset))?;
        }
        hash.finish().map_err(|offset| self.twice(offset))
    }

    /// [RDBVAL-4] [LOADENC-4]
    fn hash_of_ziplist(&mut self, holding: &Holding) -> Result<Hash, RdbError> {
        let hash = self.packed(|bytes| Hash::from_bytes(bytes).map_err(no_ziplist)?.map_err(no_hash))?;
        Ok(within_limits(hash, holding))
    }

    fn hash_of_listpack(&mut self, holding: &Holding) -> Result<Hash, RdbError> {
        let offset = self.input.offset();
        let ziplist = self.listpack_as_ziplist()?;
        let hash = Hash::from_bytes(ziplist.as_bytes()).map_err(no_ziplist).and_then(|hash| hash.map_err(no_hash));
        Ok(within_limits(hash.map_err(|kind| self.input.error(offset, kind))?, holding))
    }

    fn hash_of_zipmap(&mut self, holding: &Holding) -> Result<Hash, RdbError> {
        let mut hash = FillingHash::new(0);
        self.packed(|bytes| {
            let pairs = zipmap::decode(bytes).map_err(|error| RdbErrorKind::Structure {
                structure: "zipmap",
                at: error.offset as u64,
                reason: error.reason.to_owned(),
            })?;
            for (field, value) in pairs {
                hash.add(field, value, (), &holding.hash).map_err(|()| RdbErrorKind::DuplicateMember)?;
            }
            hash.finish().map_err(|()| RdbErrorKind::DuplicateMember)
        })
    }

    fn zset(&mut self, holding: &Holding, binary: bool) -> Result<Zset, RdbError> {
        let count = self.input.number()?;
        let mut zset = FillingZset::new(count, &holding.zset);
        let mut member = Vec::new();
        for _ in 0..count {
            let offset = self.input.offset();
            self.text_into(&mut member)?;
            let score = if binary { f64::from_le_bytes(self.input.array()?) } else { self.score_text()? };
            if score.is_nan() {
                return Err(self.input.error(offset, RdbErrorKind::Score));
            }
            zset.add(&member, score, offset).map_err(|offset| self.twice(offset))?;
        }
        zset.finish(&holding.zset).map_err(|offset| self.twice(offset))
    }

    /// A score as text behind its length in one byte.
    fn score_text(&mut self) -> Result<f64, RdbError> {
        let offset = self.input.offset();
        let score = match self.input.byte()? {
            NOT_A_NUMBER => None,
            POSITIVE_INFINITY => Some(f64::INFINITY),
            NEGATIVE_INFINITY => Some(f64::NEG_INFINITY),
            length => parse_f64(self.input.bytes(u64::from(length), &mut Vec::new())?),
        };
        score.ok_or_else(|| self.input.error(offset, RdbErrorKind::Score))
    }

    /// [RDBVAL-5] [LOADENC-6]
    fn zset_of_ziplist(&mut self, holding: &Holding) -> Result<Zset, RdbError> {
        self.packed(|bytes| Zset::from_bytes(bytes, &holding.zset).map_err(no_ziplist)?.map_err(no_zset))
    }

    fn zset_of_listpack(&mut self, holding: &Holding) -> Result<Zset, RdbError> {
        let offset = self.input.offset();
        let ziplist = self.listpack_as_ziplist()?;
        let zset = Zset::from_ziplist(ziplist, &holding.zset);
        zset.map_err(|trouble| self.input.error(offset, no_zset(trouble)))
    }
}

fn no_ziplist(error: DecodeError) -> RdbErrorKind {
    RdbErrorKind::Structure { structure: "ziplist", at: error.offset as u64, reason: error.reason.to_owned() }
}

/// [RDBVAL-4]
fn no_hash(trouble: NoHash) -> RdbErrorKind {
    match trouble {
        NoHash::Odd(entries) => RdbErrorKind::Odd(entries as u64),
        NoHash::Twice => RdbErrorKind::DuplicateMember,
    }
}

/// [RDBVAL-5]
fn no_zset(trouble: NoZset) -> RdbErrorKind {
    match trouble {
        NoZset::Odd(entries) => RdbErrorKind::Odd(entries as u64),
        NoZset::Score => RdbErrorKind::Score,
        NoZset::Order => RdbErrorKind::Order,
        NoZset::Twice => RdbErrorKind::DuplicateMember,
    }
}

/// A hash that was packed, a table if it has too many fields. [LOADENC-4]
fn within_limits(mut hash: Hash, holding: &Holding) -> Hash {
    if hash.len() > holding.hash.entries {
        hash.make_table(holding.hash.hash_key);
    }
    hash
}
