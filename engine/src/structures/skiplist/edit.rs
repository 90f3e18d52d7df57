//! How members get into the list, out of it, and to another place.
//!
//! A *path* holds for each level the last member before a place (nothing for the head) and how many members come before
//! or at that one. All changes are made at the ends of paths.

use std::ops::Range;
use std::ptr::NonNull;

use super::super::dict::{Link, Node as _};
use super::node::{Forward, HEIGHT_MAX, Scored};
use super::{Skiplist, order};

/// Bits drawn for a level: it is there when they are all zeros.
const LEVEL_BITS: u32 = 2;

/// The last member before a place on each level, with the number of members up to it.
struct Path([(Link<Scored>, usize); HEIGHT_MAX]);

impl Skiplist {
    /// A height: higher than `n` with a probability of 4^-n.
    fn draw_height(&mut self) -> usize {
        let mut height = 1;
        loop {
            let zeros = self.chance.next().trailing_zeros();
            height += (zeros / LEVEL_BITS) as usize;
            if zeros < u64::BITS || height >= HEIGHT_MAX {
                return height.min(HEIGHT_MAX);
            }
        }
    }

    /// The path to the place before which `goes_before` holds for all members; it is told how many members come before or
    /// at the one that it judges.
    fn path(&self, goes_before: impl Fn(NonNull<Scored>, usize) -> bool) -> Path {
        let mut path = Path([(None, 0); HEIGHT_MAX]);
        let (mut at, mut rank) = (None, 0);
        for level in (0..self.head.len()).rev() {
            loop {
                let forward = self.forward(at, level);
                self.expect_below(at, level);
                match forward.node {
                    Some(node) if goes_before(node, rank + forward.span) => {
                        at = Some(node);
                        rank += forward.span;
                    }
                    _ => break,
                }
            }
            path.0[level] = (at, rank);
        }
        path
    }

    /// The path to where a member with this score is or belongs.
    fn path_to(&self, score: f64, member: &[u8]) -> Path {
        self.path(|node, _| {
            let (found_score, found) = self.read(node);
            order(found_score, found, score, member).is_lt()
        })
    }

    fn set_forward(&mut self, from: Link<Scored>, level: usize, forward: Forward) {
        match from {
            // SAFETY: entries in the list are live, and a path leads only to members that have the level.
            Some(node) => unsafe { Scored::set_forward(node, level, forward) },
            None => self.head[level] = forward,
        }
    }

    /// Links an entry that is in no list to the end of its path. `len`: the members of the list without it.
    fn link(&mut self, node: NonNull<Scored>, path: &Path, len: usize) {
        // SAFETY: the caller gives a live entry that is not in the list.
        let height = unsafe { Scored::height(node) };
        while self.head.len() < height {
            self.head.push(Forward { node: None, span: len });
        }
        let (before, rank) = path.0[0];
        for (level, &(from, from_rank)) in path.0.iter().enumerate().take(self.head.len()) {
            let old = self.forward(from, level);
            let (mut link, mut span) = (old.node, old.span + 1);
            if level < height {
                let steps = rank - from_rank;
                // SAFETY: as above, and it has the level.
                unsafe { Scored::set_forward(node, level, Forward { node: old.node, span: old.span - steps }) };
                (link, span) = (Some(node), steps + 1);
            }
            self.set_forward(from, level, Forward { node: link, span });
        }
        // SAFETY: as above; the member behind it is in the list and live.
        unsafe {
            Scored::set_before(node, before);
            match Scored::after(node) {
                Some(after) => Scored::set_before(after, Some(node)),
                None => self.tail = Some(node),
            }
        }
    }

    /// Takes the member at the end of its path out of the list; it stays in the dict.
    fn unlink(&mut self, node: NonNull<Scored>, path: &Path) {
        // SAFETY: the caller gives a member of the list, so it is live, and so are its neighbours.
        let (height, before, after) = unsafe { (Scored::height(node), Scored::before(node), Scored::after(node)) };
        for (level, &(from, _)) in path.0.iter().enumerate().take(self.head.len()) {
            let old = self.forward(from, level);
            let forward = if level < height {
                let own = self.forward(Some(node), level);
                Forward { node: own.node, span: old.span + own.span - 1 }
            } else {
                Forward { node: old.node, span: old.span - 1 }
            };
            self.set_forward(from, level, forward);
        }
        match after {
            // SAFETY: as above.
            Some(after) => unsafe { Scored::set_before(after, before) },
            None => self.tail = before,
        }
        self.lower_head();
    }

    fn lower_head(&mut self) {
        while self.head.len() > 1 && self.head.last().is_some_and(|top| top.node.is_none()) {
            self.head.pop();
        }
    }

    /// Adds a member; false when it is there already.
    ///
    /// # Panics
    /// When the score is NaN.
    pub fn insert(&mut self, member: &[u8], score: f64) -> bool {
        if self.dict.find(member).is_some() {
            return false;
        }
        self.insert_new(member, score);
        true
    }

    /// Adds a member that is known to be absent.
    ///
    /// # Panics
    /// When the score is NaN.
    pub fn insert_new(&mut self, member: &[u8], score: f64) {
        assert!(!score.is_nan(), "a score that is no number");
        let height = self.draw_height();
        let entry = Scored::create(member, score, height);
        let node = entry.as_raw();
        let path = self.path_to(score, member);
        let len = self.len();
        // SAFETY: the entry was just made.
        self.entries += unsafe { Scored::allocated(node) };
        self.dict.insert_new(entry);
        self.link(node, &path, len);
    }

    /// Gives a member another score, and answers the one before; nothing when it is not there.
    ///
    /// # Panics
    /// When the score is NaN.
    pub fn set_score(&mut self, member: &[u8], score: f64) -> Option<f64> {
        assert!(!score.is_nan(), "a score that is no number");
        let node = self.dict.find(member)?.as_raw();
        let (old, _) = self.read(node);
        if self.stays(node, score) {
            // SAFETY: the entry is live, and nobody looks at it.
            unsafe { Scored::set_score(node, score) };
            return Some(old);
        }
        let path = self.path_to(old, member);
        self.unlink(node, &path);
        // SAFETY: as above.
        unsafe { Scored::set_score(node, score) };
        let path = self.path_to(score, member);
        // The dict still counts the member.
        self.link(node, &path, self.len() - 1);
        Some(old)
    }

    /// Whether a member of the list stays between its neighbours with another score.
    fn stays(&self, node: NonNull<Scored>, score: f64) -> bool {
        // SAFETY: the caller gives a member of the list, so it is live.
        let (before, after) = unsafe { (Scored::before(node), Scored::after(node)) };
        let (_, member) = self.read(node);
        let in_order = |first: (f64, &[u8]), second: (f64, &[u8])| order(first.0, first.1, second.0, second.1).is_lt();
        before.is_none_or(|before| in_order(self.read(before), (score, member)))
            && after.is_none_or(|after| in_order((score, member), self.read(after)))
    }

    /// Takes a member out, and answers its score; nothing when it is not there.
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let node = self.dict.find(member)?.as_raw();
        let (score, _) = self.read(node);
        let path = self.path_to(score, member);
        self.unlink(node, &path);
        // SAFETY: the entry is live until it is dropped with what the dict answers.
        self.entries -= unsafe { Scored::allocated(node) };
        drop(self.dict.remove(member));
        self.shrink_if_sparse();
        Some(score)
    }

    /// Takes out the members of these ranks, gives each to `removed` in order, and answers how many there were. Costs one
    /// descent for each end, and the members themselves.
    pub fn remove_range(&mut self, ranks: Range<usize>, mut removed: impl FnMut(&[u8], f64)) -> usize {
        let end = ranks.end.min(self.len());
        let Some(count) = end.checked_sub(ranks.start).filter(|&count| count > 0) else { return 0 };
        let begin = self.path(|_, rank| rank <= ranks.start);
        let finish = self.path(|_, rank| rank <= end);
        let mut link = self.forward(begin.0[0].0, 0).node;
        let after = self.forward(finish.0[0].0, 0).node;
        // Each level goes on from the last member before the range to where the last member in or before it led.
        for level in 0..self.head.len() {
            let ((from, from_rank), (to, to_rank)) = (begin.0[level], finish.0[level]);
            let forward = self.forward(to, level);
            let span = to_rank + forward.span - from_rank - count;
            self.set_forward(from, level, Forward { node: forward.node, span });
        }
        match after {
            // SAFETY: it is a member of the list, so it is live.
            Some(after) => unsafe { Scored::set_before(after, begin.0[0].0) },
            None => self.tail = begin.0[0].0,
        }
        self.lower_head();
        while let Some(node) = link.filter(|_| link != after) {
            // SAFETY: the entry is in the dict still; nothing of it is used once it is dropped with what the dict answers.
            unsafe {
                link = Scored::after(node);
                self.entries -= Scored::allocated(node);
                let member = Scored::key(node);
                removed(member, Scored::score(node));
                drop(self.dict.remove(member));
            }
        }
        self.shrink_if_sparse();
        count
    }

    fn shrink_if_sparse(&mut self) {
        if self.dict.is_sparse() {
            self.dict.shrink();
        }
    }
}
