//! The commands with a grammar by number: what counts and looks up does so by small numbers instead of names.

use std::sync::OnceLock;

use rustc_hash::FxHashMap;

use super::{Grammar, all};

/// Index of a command in [`names`], or the last index for a name without a grammar.
pub fn command_index(name: &[u8]) -> usize {
    // Looked up for every command, by names of our own: no need of a hash that withstands attacks.
    static INDEX: OnceLock<FxHashMap<Folded, u16>> = OnceLock::new();
    let index = INDEX.get_or_init(|| {
        let folded = names().iter().zip(0..).filter_map(|(name, index)| Some((fold(name.as_bytes())?, index)));
        folded.collect()
    });
    fold(name).and_then(|name| index.get(&name)).map_or_else(|| names().len(), |&index| usize::from(index))
}

/// A name in lower case, as numbers: hashed and compared without a loop over its letters.
type Folded = [u64; 3];

/// None for what is longer than any command's name.
fn fold(name: &[u8]) -> Option<Folded> {
    let mut lower = [0; size_of::<Folded>()];
    let place = lower.get_mut(..name.len())?;
    place.copy_from_slice(name);
    lower.make_ascii_lowercase();
    let (words, _) = lower.as_chunks();
    let mut folded = Folded::default();
    for (number, word) in folded.iter_mut().zip(words) {
        *number = u64::from_le_bytes(*word);
    }
    Some(folded)
}

/// The names of all commands with a grammar.
pub fn names() -> &'static [&'static str] {
    static NAMES: OnceLock<Vec<&'static str>> = OnceLock::new();
    NAMES.get_or_init(|| all().map(|grammar| grammar.name).collect())
}

/// The grammar of the command at an index.
pub fn grammar_at(index: usize) -> Option<&'static Grammar> {
    static GRAMMARS: OnceLock<Vec<&'static Grammar>> = OnceLock::new();
    GRAMMARS.get_or_init(|| all().collect()).get(index).copied()
}
