//! Short sequences without an allocation: the way from the root to a node, and the key that it spells.

/// A stack whose first `N` elements need no heap.
#[derive(Clone, Debug)]
pub(super) struct Stack<T: Copy, const N: usize> {
    near: [T; N],
    len: usize,
    far: Vec<T>,
}

impl<T: Copy, const N: usize> Stack<T, N> {
    /// An empty one; `filler` is never seen.
    pub(super) fn new(filler: T) -> Self {
        Stack { near: [filler; N], len: 0, far: Vec::new() }
    }

    #[inline]
    pub(super) fn push(&mut self, element: T) {
        match self.near.get_mut(self.len) {
            Some(place) => *place = element,
            None => self.far.push(element),
        }
        self.len += 1;
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<T> {
        self.len = self.len.checked_sub(1)?;
        if self.len >= N { self.far.pop() } else { self.near.get(self.len).copied() }
    }
}

/// Bytes that grow and shrink at their end; the first [`NEAR`] need no heap.
#[derive(Clone, Debug)]
pub(super) struct Spelling {
    near: [u8; NEAR],
    /// All bytes, while there are more than fit.
    far: Vec<u8>,
    len: usize,
}

/// Ids of streams have sixteen bytes, most names no more than this.
const NEAR: usize = 32;

impl Spelling {
    pub(super) const fn new() -> Self {
        Spelling { near: [0; NEAR], far: Vec::new(), len: 0 }
    }

    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        if self.len <= NEAR { &self.near[..self.len] } else { &self.far }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        if end <= NEAR {
            self.near[self.len..end].copy_from_slice(bytes);
        } else {
            if self.len <= NEAR {
                self.far.clear();
                self.far.extend_from_slice(&self.near[..self.len]);
            }
            self.far.extend_from_slice(bytes);
        }
        self.len = end;
    }

    #[inline]
    pub(super) fn truncate(&mut self, len: usize) {
        if self.len > NEAR {
            self.far.truncate(len);
            if len <= NEAR {
                self.near[..len].copy_from_slice(&self.far);
            }
        }
        self.len = self.len.min(len);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spelling_is_a_vector_on_both_sides_of_its_border() {
        let (mut spelling, mut wanted) = (Spelling::new(), Vec::new());
        for step in 0..400usize {
            if step % 3 == 2 {
                let len = wanted.len() - (step * 7 % 40).min(wanted.len());
                spelling.truncate(len);
                wanted.truncate(len);
            } else {
                let piece = vec![step as u8; step % 25];
                spelling.push(&piece);
                wanted.extend_from_slice(&piece);
            }
            assert_eq!((spelling.bytes(), spelling.len()), (&wanted[..], wanted.len()));
        }
    }

    #[test]
    fn a_stack_is_a_vector_on_both_sides_of_its_border() {
        let (mut stack, mut wanted) = (Stack::<usize, 4>::new(0), Vec::new());
        for step in 0..200 {
            if step % 16 < 9 {
                stack.push(step);
                wanted.push(step);
            } else {
                assert_eq!(stack.pop(), wanted.pop());
            }
        }
    }
}
