//! The bytes of a chain: a few in place, more by themselves on the heap.

/// Bytes that need no heap: with them a chain takes no more than its pointer and length would.
const NEAR: usize = 14;

/// The bytes, see the [module](self).
pub(super) struct Run(Form);

enum Form {
    Near {
        len: u8,
        bytes: [u8; NEAR],
    },
    /// A thin pointer, for the size of the whole.
    Far(Box<Box<[u8]>>),
}

impl Run {
    /// A run of these bytes.
    pub(super) fn of(bytes: &[u8]) -> Run {
        let mut near = [0; NEAR];
        Run(match near.get_mut(..bytes.len()) {
            Some(place) => {
                place.copy_from_slice(bytes);
                Form::Near { len: bytes.len() as u8, bytes: near }
            }
            None => Form::Far(Box::new(bytes.into())),
        })
    }

    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        match &self.0 {
            Form::Near { len, bytes } => &bytes[..usize::from(*len)],
            Form::Far(bytes) => bytes,
        }
    }

    /// Bytes of the heap that it takes.
    pub(super) fn heap(&self) -> usize {
        match &self.0 {
            Form::Near { .. } => 0,
            Form::Far(bytes) => size_of::<Box<[u8]>>() + bytes.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_gives_back_its_bytes_on_both_sides_of_its_border() {
        assert_eq!(size_of::<Run>(), 16);
        let bytes: Vec<u8> = (0..=255).collect();
        for len in (0..NEAR + 3).chain([255, 256]) {
            let run = Run::of(&bytes[..len]);
            assert_eq!(run.bytes(), &bytes[..len]);
            assert_eq!(run.heap() > 0, len > NEAR);
        }
    }
}
