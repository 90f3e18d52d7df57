//! A key with its value, expiry and object header, in one allocation.
//!
//! ```text
//! offset  0  next entry of the bucket                                   8 bytes
//!         8  24 bits LRU clock or LFU counter | type 4 | encoding 4     4 bytes
//!        12  length of the key, 31 bits | has an expiry slot            4 bytes
//!        16  expiry slot, when there is one: Unix milliseconds, place in the list of expiring keys
//!                                                                       16 bytes
//!         …  value word: an integer (8 bytes), a growable string (24 bytes) or a collection; nothing for embstr
//!         …  key
//!         …  embstr: length, capacity (1 byte each), bytes
//! ```
//!
//! An expiry slot stays when the expiry goes, so that setting one again costs nothing.
//!
//! The type never changes in place. The encoding of a collection is its own matter, because it changes while the entry
//! stays: the header says only that there is a collection.
//!
//! Invariants, verified by [`validate`]: the encoding fits the type; embstr holds at most [`EMBSTR_MAX`] bytes and no
//! more than its capacity; a shared integer is in 0..10000.

use std::alloc::{self, Layout};
use std::borrow::Cow;
use std::ptr::NonNull;

use super::dict::{EntryRef, Link, Node, Owned};
use crate::values::{Collection, CollectionMut, CollectionRef, Hash, List, Set, Stream, Type, Zset};

/// Longest string that is kept beside its key, bytes.
pub const EMBSTR_MAX: usize = 44;
/// Integers below this are shared by all keys that hold them, as far as OBJECT REFCOUNT tells.
pub const SHARED_INTEGERS: i64 = 10_000;

/// Bits of the LRU clock or LFU counter.
pub const LRU_BITS: u32 = 24;
/// Bits of the type.
pub const TYPE_BITS: u32 = 4;
/// Bits of the encoding.
pub const ENCODING_BITS: u32 = 4;
const _: () = assert!(LRU_BITS + TYPE_BITS + ENCODING_BITS == u32::BITS, "type, encoding and clock share one word");

/// Longest key, bytes.
pub const KEY_MAX: usize = (1 << 31) - 1;
const EXPIRY_SLOT: u32 = 1 << 31;

const HEADER: usize = size_of::<KeyEntry>();
const SLOT: usize = size_of::<ExpirySlot>();
const ALIGN: usize = align_of::<KeyEntry>();
const _: () = assert!(HEADER == 16 && SLOT == 16 && ALIGN == 8);

/// What the value word is. The numbers of strings are Redis's own, apart from the last, which Redis does not tell from
/// `Int`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Form {
    /// A growable string.
    Raw = 0,
    /// An integer.
    Int = 1,
    /// A short string beside its key.
    Embstr = 8,
    /// A collection, which knows its encoding.
    Collection = 14,
    /// An integer that is shared with other keys, as far as clients can tell.
    SharedInt = 15,
}

/// Place in the list of expiring keys of an entry that is not in it.
pub(crate) const NOT_LISTED: u32 = u32::MAX;

#[repr(C)]
#[derive(Clone, Copy)]
struct ExpirySlot {
    /// Unix milliseconds; means something only while `place` is.
    at_ms: i64,
    place: u32,
    padding: u32,
}

/// The header; what follows it is reached by offsets.
#[repr(C)]
pub struct KeyEntry {
    next: Link<KeyEntry>,
    object: u32,
    key: u32,
}

/// A value to be stored, its encoding chosen.
pub enum Payload<'a> {
    /// An integer.
    Int {
        /// The integer.
        value: i64,
        /// It counts as shared: only for 0..[`SHARED_INTEGERS`].
        shared: bool,
    },
    /// At most [`EMBSTR_MAX`] bytes.
    Embstr(Cow<'a, [u8]>),
    /// A growable string.
    Raw(Vec<u8>),
    /// A value that is no string.
    Collection(Collection),
}

impl Payload<'_> {
    fn kind(&self) -> Type {
        match self {
            Payload::Collection(collection) => collection.view().kind(),
            _ => Type::String,
        }
    }

    fn form(&self) -> Form {
        match self {
            Payload::Int { shared: true, .. } => Form::SharedInt,
            Payload::Int { shared: false, .. } => Form::Int,
            Payload::Embstr(_) => Form::Embstr,
            Payload::Raw(_) => Form::Raw,
            Payload::Collection(_) => Form::Collection,
        }
    }
}

/// Bytes of the value word.
const fn word(form: Form, kind: Type) -> usize {
    match (form, kind) {
        (Form::Int | Form::SharedInt, _) => size_of::<i64>(),
        (Form::Raw, _) => size_of::<Vec<u8>>(),
        (Form::Collection, Type::List) => size_of::<Option<List>>(),
        (Form::Collection, Type::Hash) => size_of::<Option<Hash>>(),
        (Form::Collection, Type::Set) => size_of::<Option<Set>>(),
        (Form::Collection, Type::Zset) => size_of::<Option<Zset>>(),
        (Form::Collection, Type::Stream) => size_of::<Option<Stream>>(),
        (Form::Embstr, _) | (Form::Collection, Type::String) => 0,
    }
}

// A small value costs its key's entry no more than a pointer, and a list its options beside that. Every offset before
// the key stays a multiple of eight.
const _: () = assert!(
    word(Form::Collection, Type::Hash) == 8
        && word(Form::Collection, Type::Set) == 8
        && word(Form::Collection, Type::Zset) == 8
        && word(Form::Collection, Type::Stream) == 8
        && word(Form::Collection, Type::List) == 16
);

/// A value inside an entry.
#[derive(Clone, Copy, Debug)]
pub enum Stored<'a> {
    /// An integer.
    Int(i64),
    /// Bytes.
    Bytes(&'a [u8]),
    /// A value that is no string.
    Collection(CollectionRef<'a>),
}

/// Reads and writes the parts of a live entry through its pointer, which has the provenance of the whole allocation.
///
/// All functions of this block: `this` points to a live entry, and nobody else reads or writes it meanwhile, apart from
/// other readers during a read.
impl KeyEntry {
    #[inline]
    unsafe fn object(this: NonNull<Self>) -> u32 {
        // SAFETY: see the block.
        unsafe { (&raw const (*this.as_ptr()).object).read() }
    }

    #[inline]
    unsafe fn key_word(this: NonNull<Self>) -> u32 {
        // SAFETY: see the block.
        unsafe { (&raw const (*this.as_ptr()).key).read() }
    }

    #[inline]
    pub(crate) unsafe fn form(this: NonNull<Self>) -> Form {
        // SAFETY: see the block.
        match unsafe { Self::object(this) } & 15 {
            1 => Form::Int,
            8 => Form::Embstr,
            14 => Form::Collection,
            15 => Form::SharedInt,
            _ => Form::Raw,
        }
    }

    #[inline]
    unsafe fn has_slot(this: NonNull<Self>) -> bool {
        // SAFETY: see the block.
        unsafe { Self::key_word(this) & EXPIRY_SLOT != 0 }
    }

    #[inline]
    unsafe fn key_len(this: NonNull<Self>) -> usize {
        // SAFETY: see the block.
        unsafe { (Self::key_word(this) & !EXPIRY_SLOT) as usize }
    }

    /// Offset of the value word.
    #[inline]
    unsafe fn word_at(this: NonNull<Self>) -> usize {
        // SAFETY: see the block.
        HEADER + if unsafe { Self::has_slot(this) } { SLOT } else { 0 }
    }

    /// Offset of the key.
    #[inline]
    unsafe fn key_at(this: NonNull<Self>) -> usize {
        // SAFETY: see the block.
        unsafe { Self::word_at(this) + word(Self::form(this), Self::kind(this)) }
    }

    #[inline]
    unsafe fn at(this: NonNull<Self>, offset: usize) -> NonNull<u8> {
        // SAFETY: every offset asked for lies inside the allocation.
        unsafe { this.cast::<u8>().add(offset) }
    }

    /// Length and capacity of an embstr, and the place of its bytes.
    #[inline]
    unsafe fn embstr(this: NonNull<Self>) -> (usize, usize, NonNull<u8>) {
        // SAFETY: an embstr follows the key: two bytes, then its capacity.
        unsafe {
            let at = Self::at(this, Self::key_at(this) + Self::key_len(this));
            (usize::from(at.read()), usize::from(at.add(1).read()), at.add(2))
        }
    }

    #[inline]
    unsafe fn vec(this: NonNull<Self>) -> NonNull<Vec<u8>> {
        // SAFETY: a raw string's word is a vector; every offset before the key is a multiple of eight.
        unsafe { Self::at(this, Self::word_at(this)).cast() }
    }

    #[inline]
    unsafe fn kind(this: NonNull<Self>) -> Type {
        // SAFETY: see the block.
        match unsafe { Self::object(this) } >> ENCODING_BITS & ((1 << TYPE_BITS) - 1) {
            1 => Type::List,
            2 => Type::Set,
            3 => Type::Zset,
            4 => Type::Hash,
            6 => Type::Stream,
            _ => Type::String,
        }
    }

    /// The value word of a collection of type `T`, which is `None` only once it was taken out.
    ///
    /// The caller has seen by form and type that this is what the word holds.
    #[inline]
    unsafe fn slot_of<'a, T>(this: NonNull<Self>) -> &'a mut Option<T> {
        // SAFETY: see the block; every offset before the key is a multiple of eight.
        unsafe { Self::at(this, Self::word_at(this)).cast::<Option<T>>().as_mut() }
    }

    /// As [`KeyEntry::slot_of`], to look at the collection.
    #[inline]
    unsafe fn held<'a, T: 'a>(this: NonNull<Self>) -> &'a T {
        // SAFETY: as in `slot_of`.
        match unsafe { Self::at(this, Self::word_at(this)).cast::<Option<T>>().as_ref() } {
            Some(value) => value,
            None => unreachable!("an entry whose value was taken is freed unseen"),
        }
    }

    /// The collection of an entry that holds one.
    #[inline]
    unsafe fn collection<'a>(this: NonNull<Self>) -> CollectionRef<'a> {
        // SAFETY: see the block; the word is what form and type say.
        unsafe {
            match Self::kind(this) {
                Type::List => CollectionRef::List(Self::held(this)),
                Type::Hash => CollectionRef::Hash(Self::held(this)),
                Type::Set => CollectionRef::Set(Self::held(this)),
                Type::Zset => CollectionRef::Zset(Self::held(this)),
                Type::Stream => CollectionRef::Stream(Self::held(this)),
                Type::String => unreachable!("a string is no collection"),
            }
        }
    }

    /// Moves the collection out of an entry that will only be freed afterwards; `None` if there is none.
    unsafe fn take_collection(this: NonNull<Self>) -> Option<Collection> {
        // SAFETY: see the block; the word is what form and type say.
        unsafe {
            match Self::kind(this) {
                Type::List => Self::slot_of(this).take().map(Collection::List),
                Type::Hash => Self::slot_of(this).take().map(Collection::Hash),
                Type::Set => Self::slot_of(this).take().map(Collection::Set),
                Type::Zset => Self::slot_of(this).take().map(Collection::Zset),
                Type::Stream => Self::slot_of(this).take().map(Collection::Stream),
                Type::String => None,
            }
        }
    }

    /// Writes a collection of the entry's type where none is, or over one that was taken.
    unsafe fn put_collection(this: NonNull<Self>, collection: Collection) {
        // SAFETY: see the block; the entry's type is the collection's, so the word has its size.
        unsafe {
            let word = Self::at(this, Self::word_at(this));
            match collection {
                Collection::List(list) => word.cast().write(Some(list)),
                Collection::Hash(hash) => word.cast().write(Some(hash)),
                Collection::Set(set) => word.cast().write(Some(set)),
                Collection::Zset(zset) => word.cast().write(Some(zset)),
                Collection::Stream(stream) => word.cast().write(Some(stream)),
            }
        }
    }

    #[inline]
    unsafe fn integer(this: NonNull<Self>) -> NonNull<i64> {
        // SAFETY: an integer's word is an `i64`; every offset before the key is a multiple of eight.
        unsafe { Self::at(this, Self::word_at(this)).cast() }
    }

    unsafe fn layout(this: NonNull<Self>) -> Layout {
        // SAFETY: see the block.
        let bytes = unsafe {
            let end = Self::key_at(this) + Self::key_len(this);
            match Self::form(this) {
                Form::Embstr => end + 2 + Self::embstr(this).1,
                _ => end,
            }
        };
        layout(bytes)
    }

    /// Bytes of the entry, with those that its value owns elsewhere.
    pub(crate) unsafe fn bytes(this: NonNull<Self>) -> usize {
        // SAFETY: see the block.
        unsafe {
            let own = Self::layout(this).size();
            match Self::form(this) {
                Form::Raw => own + (*Self::vec(this).as_ptr()).capacity(),
                Form::Collection => own + Self::collection(this).bytes(),
                _ => own,
            }
        }
    }

    /// The growable string of a raw entry.
    #[inline]
    pub(crate) unsafe fn raw_mut<'a>(this: NonNull<Self>) -> Option<&'a mut Vec<u8>> {
        // SAFETY: see the block; the word is a vector for this form.
        unsafe {
            match Self::form(this) {
                Form::Raw => Some(&mut *Self::vec(this).as_ptr()),
                _ => None,
            }
        }
    }

    /// The collection of an entry that holds one, to change it.
    #[inline]
    pub(crate) unsafe fn collection_mut<'a>(this: NonNull<Self>) -> Option<CollectionMut<'a>> {
        // SAFETY: see the block; the word is what form and type say.
        unsafe {
            match (Self::form(this), Self::kind(this)) {
                (Form::Collection, Type::List) => Self::slot_of(this).as_mut().map(CollectionMut::List),
                (Form::Collection, Type::Hash) => Self::slot_of(this).as_mut().map(CollectionMut::Hash),
                (Form::Collection, Type::Set) => Self::slot_of(this).as_mut().map(CollectionMut::Set),
                (Form::Collection, Type::Zset) => Self::slot_of(this).as_mut().map(CollectionMut::Zset),
                (Form::Collection, Type::Stream) => Self::slot_of(this).as_mut().map(CollectionMut::Stream),
                _ => None,
            }
        }
    }

    /// Stores the LRU clock or LFU counter.
    #[inline]
    pub(crate) unsafe fn set_lru(this: NonNull<Self>, lru: u32) {
        debug_assert!(lru < 1 << LRU_BITS);
        // SAFETY: see the block.
        unsafe {
            let low = Self::object(this) & 0xff;
            (&raw mut (*this.as_ptr()).object).write(lru << 8 | low);
        }
    }

    #[inline]
    unsafe fn set_form(this: NonNull<Self>, form: Form) {
        // SAFETY: see the block.
        unsafe {
            let rest = Self::object(this) & !15;
            (&raw mut (*this.as_ptr()).object).write(rest | form as u32);
        }
    }

    #[inline]
    unsafe fn slot(this: NonNull<Self>) -> Option<NonNull<ExpirySlot>> {
        // SAFETY: see the block; the slot follows the header.
        unsafe { Self::has_slot(this).then(|| Self::at(this, HEADER).cast()) }
    }

    /// The place in the list of expiring keys, when it is in it.
    #[inline]
    pub(crate) unsafe fn place(this: NonNull<Self>) -> Option<u32> {
        // SAFETY: see the block.
        unsafe { Self::slot(this).map(|slot| slot.as_ref().place).filter(|&place| place != NOT_LISTED) }
    }

    /// Sets expiry and place; false when there is no slot for them.
    #[inline]
    pub(crate) unsafe fn set_slot(this: NonNull<Self>, at_ms: i64, place: u32) -> bool {
        // SAFETY: see the block.
        unsafe {
            let Some(slot) = Self::slot(this) else { return false };
            slot.write(ExpirySlot { at_ms, place, padding: 0 });
        }
        true
    }

    /// Sets only the place, which the entry must have.
    #[inline]
    pub(crate) unsafe fn set_place(this: NonNull<Self>, place: u32) {
        // SAFETY: see the block.
        if let Some(mut slot) = unsafe { Self::slot(this) } {
            // SAFETY: the slot is part of the entry.
            unsafe { slot.as_mut().place = place }
        }
    }

    /// Writes the value over the old one where it fits the room that is there; gives it back otherwise.
    #[inline]
    pub(crate) unsafe fn overwrite<'p>(this: NonNull<Self>, payload: Payload<'p>) -> Result<(), Payload<'p>> {
        // SAFETY: see the block; sizes are compared before anything is written.
        unsafe {
            match (Self::form(this), payload) {
                (Form::Int | Form::SharedInt, Payload::Int { value, shared }) => {
                    Self::set_form(this, if shared { Form::SharedInt } else { Form::Int });
                    Self::integer(this).write(value);
                }
                (Form::Embstr, Payload::Embstr(bytes)) => {
                    let (_, capacity, place) = Self::embstr(this);
                    let Ok(len) = u8::try_from(bytes.len()) else { return Err(Payload::Embstr(bytes)) };
                    if bytes.len() > capacity.min(EMBSTR_MAX) {
                        return Err(Payload::Embstr(bytes));
                    }
                    place.copy_from_nonoverlapping(NonNull::from(&*bytes).cast(), bytes.len());
                    place.sub(2).write(len);
                }
                (Form::Raw, Payload::Raw(bytes)) => *Self::vec(this).as_ptr() = bytes,
                (Form::Collection, Payload::Collection(collection)) if Self::kind(this) == collection.view().kind() => {
                    drop(Self::take_collection(this));
                    Self::put_collection(this, collection);
                }
                (_, payload) => return Err(payload),
            }
        }
        Ok(())
    }

    /// Moves the value out of an entry that will only be freed afterwards.
    unsafe fn take_payload<'a>(this: NonNull<Self>) -> Payload<'a> {
        // SAFETY: see the block; a vector is taken, and an empty one left; likewise a collection, and nothing left.
        unsafe {
            match Self::form(this) {
                Form::Raw => Payload::Raw(std::mem::take(&mut *Self::vec(this).as_ptr())),
                Form::Collection => match Self::take_collection(this) {
                    Some(collection) => Payload::Collection(collection),
                    None => unreachable!("a value is taken once"),
                },
                form @ (Form::Int | Form::SharedInt) => {
                    Payload::Int { value: Self::integer(this).read(), shared: form == Form::SharedInt }
                }
                Form::Embstr => {
                    let (len, _, bytes) = Self::embstr(this);
                    Payload::Embstr(Cow::Borrowed(std::slice::from_raw_parts(bytes.as_ptr(), len)))
                }
            }
        }
    }

    /// A new entry with room for an expiry that takes over the value of this one, which will only be freed afterwards.
    pub(crate) unsafe fn with_slot_moved(this: NonNull<Self>) -> Owned<Self> {
        // SAFETY: see the block; key and embstr are copied at once.
        unsafe {
            let lru = Self::object(this) >> 8;
            new_entry(Self::key(this), Self::take_payload(this), lru, true)
        }
    }

    #[inline]
    unsafe fn stored<'a>(this: NonNull<Self>) -> Stored<'a> {
        // SAFETY: see the block; the word or the embstr is initialized as the form says.
        unsafe {
            match Self::form(this) {
                Form::Int | Form::SharedInt => Stored::Int(Self::integer(this).read()),
                Form::Raw => Stored::Bytes((*Self::vec(this).as_ptr()).as_slice()),
                Form::Embstr => {
                    let (len, _, bytes) = Self::embstr(this);
                    Stored::Bytes(std::slice::from_raw_parts(bytes.as_ptr(), len))
                }
                Form::Collection => Stored::Collection(Self::collection(this)),
            }
        }
    }
}

fn layout(bytes: usize) -> Layout {
    match Layout::from_size_align(bytes.next_multiple_of(ALIGN), ALIGN) {
        Ok(layout) => layout,
        Err(_) => unreachable!("keys are shorter than 2^31 bytes"),
    }
}

/// Allocates an entry.
///
/// # Panics
/// When the key is longer than [`KEY_MAX`], an embstr than [`EMBSTR_MAX`], or `lru` has more than 24 bits.
#[must_use]
pub fn new_entry(key: &[u8], payload: Payload<'_>, lru: u32, with_slot: bool) -> Owned<KeyEntry> {
    assert!(key.len() <= KEY_MAX, "a key of 2 GiB or more");
    assert!(lru < 1 << LRU_BITS);
    let (form, kind) = (payload.form(), payload.kind());
    let end = HEADER + if with_slot { SLOT } else { 0 } + word(form, kind) + key.len();
    let embstr = if let Payload::Embstr(bytes) = &payload { bytes.len() } else { 0 };
    assert!(embstr <= EMBSTR_MAX);
    let layout = layout(if form == Form::Embstr { end + 2 + embstr } else { end });
    // SAFETY: the layout is not empty. Everything that is read later is written here: header, slot, word, key, and the
    // embstr with its two bytes in front. The embstr's capacity is what the rounded size leaves, at most 44 + 7.
    unsafe {
        let start = alloc::alloc(layout);
        let Some(this) = NonNull::new(start.cast::<KeyEntry>()) else { alloc::handle_alloc_error(layout) };
        let slot_bit = if with_slot { EXPIRY_SLOT } else { 0 };
        this.write(KeyEntry {
            next: None,
            object: lru << 8 | (kind as u32) << ENCODING_BITS | form as u32,
            key: key.len() as u32 | slot_bit,
        });
        KeyEntry::set_slot(this, 0, NOT_LISTED);
        let key_place = KeyEntry::at(this, KeyEntry::key_at(this));
        key_place.copy_from_nonoverlapping(NonNull::from(key).cast(), key.len());
        match payload {
            Payload::Int { value, .. } => KeyEntry::integer(this).write(value),
            Payload::Raw(bytes) => KeyEntry::vec(this).write(bytes),
            Payload::Collection(collection) => KeyEntry::put_collection(this, collection),
            Payload::Embstr(bytes) => {
                let place = key_place.add(key.len());
                place.write(bytes.len() as u8);
                place.add(1).write((layout.size() - end - 2) as u8);
                place.add(2).copy_from_nonoverlapping(NonNull::from(&*bytes).cast(), bytes.len());
            }
        }
        Owned::from_raw(this)
    }
}

/// The same value and LRU bits under another key, or with room for an expiry; an expiry is not taken along.
pub(crate) fn rebuilt(entry: Owned<KeyEntry>, key: Option<&[u8]>, with_slot: bool) -> Owned<KeyEntry> {
    let lru = entry.as_entry().lru();
    let this = entry.as_raw();
    // SAFETY: the entry is ours; its value is moved out, and the entry is freed at the end of this function, after the
    // new one has copied key and embstr.
    unsafe {
        let payload = KeyEntry::take_payload(this);
        new_entry(key.unwrap_or(KeyEntry::key(this)), payload, lru, with_slot)
    }
}

// SAFETY: `repr(C)`, the first field is the link, and no function here changes the key of an entry.
unsafe impl Node for KeyEntry {
    #[inline]
    unsafe fn key<'a>(this: NonNull<Self>) -> &'a [u8] {
        // SAFETY: the key lies inside the allocation and is initialized.
        unsafe {
            let start = Self::at(this, Self::key_at(this));
            std::slice::from_raw_parts(start.as_ptr(), Self::key_len(this))
        }
    }

    unsafe fn free(this: NonNull<Self>) {
        // SAFETY: the entry is live and ours; the layout is read before anything is dropped.
        unsafe {
            let layout = Self::layout(this);
            match Self::form(this) {
                Form::Raw => Self::vec(this).drop_in_place(),
                Form::Collection => drop(Self::take_collection(this)),
                Form::Int | Form::Embstr | Form::SharedInt => {}
            }
            alloc::dealloc(this.as_ptr().cast(), layout);
        }
    }
}

impl<'a> EntryRef<'a, KeyEntry> {
    /// The value.
    #[inline]
    #[must_use]
    pub fn stored(self) -> Stored<'a> {
        // SAFETY: an `EntryRef`'s entry lives unchanged.
        unsafe { KeyEntry::stored(self.as_raw()) }
    }

    /// The encoding.
    #[inline]
    #[must_use]
    pub fn form(self) -> Form {
        // SAFETY: as above.
        unsafe { KeyEntry::form(self.as_raw()) }
    }

    /// The 24 bits of the LRU clock or the LFU counter.
    #[inline]
    #[must_use]
    pub fn lru(self) -> u32 {
        // SAFETY: as above.
        unsafe { KeyEntry::object(self.as_raw()) >> 8 }
    }

    /// When the key expires, Unix milliseconds.
    #[inline]
    #[must_use]
    pub fn expiry(self) -> Option<i64> {
        // SAFETY: as above.
        unsafe {
            let slot = KeyEntry::slot(self.as_raw())?;
            let slot = slot.read();
            (slot.place != NOT_LISTED).then_some(slot.at_ms)
        }
    }

    /// Bytes that entry and value take.
    #[must_use]
    pub fn bytes(self) -> usize {
        // SAFETY: as above.
        unsafe { KeyEntry::bytes(self.as_raw()) }
    }
}
