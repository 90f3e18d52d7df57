//! LZF, expanded by plain loops.
//!
//! ```text
//! 000ccccc                     c + 1 literal bytes follow            [LZF-1]
//! nnndddddd dddddddd           copy n + 2 bytes from d + 1 back      [LZF-2], n < 7
//! 111ddddd nnnnnnnn dddddddd   copy n + 7 + 2 bytes from d + 1 back  [LZF-2]
//! ```

use std::fmt;

/// What is wrong with compressed bytes. [LZF-4]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LzfError {
    /// The input ends within an item.
    Truncated,
    /// A copy begins before the output does.
    BeforeStart {
        /// Bytes back.
        distance: usize,
        /// Bytes of output there were.
        written: usize,
    },
    /// More comes out than was announced.
    TooLong {
        /// The announced length.
        announced: usize,
    },
    /// Less comes out than was announced.
    TooShort {
        /// The announced length.
        announced: usize,
        /// What came out.
        written: usize,
    },
}

impl fmt::Display for LzfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("compressed bytes end within an item"),
            Self::BeforeStart { distance, written } => {
                write!(f, "a copy from {distance} bytes back after {written} bytes")
            }
            Self::TooLong { announced } => write!(f, "more than the announced {announced} bytes"),
            Self::TooShort { announced, written } => {
                write!(f, "{written} bytes instead of the announced {announced}")
            }
        }
    }
}

/// Expands to exactly `length` bytes.
pub fn expand(input: &[u8], length: usize) -> Result<Vec<u8>, LzfError> {
    let mut output: Vec<u8> = Vec::new();
    let mut at = 0;
    while at < input.len() {
        let control = usize::from(input[at]);
        at += 1;
        if control < 32 {
            let count = control + 1;
            let literal = input.get(at..at + count).ok_or(LzfError::Truncated)?;
            if output.len() + count > length {
                return Err(LzfError::TooLong { announced: length });
            }
            output.extend_from_slice(literal);
            at += count;
            continue;
        }
        let mut count = control >> 5;
        if count == 7 {
            count += usize::from(*input.get(at).ok_or(LzfError::Truncated)?);
            at += 1;
        }
        count += 2;
        let low = usize::from(*input.get(at).ok_or(LzfError::Truncated)?);
        at += 1;
        let distance = ((control & 0x1f) << 8 | low) + 1;
        if distance > output.len() {
            return Err(LzfError::BeforeStart { distance, written: output.len() });
        }
        if output.len() + count > length {
            return Err(LzfError::TooLong { announced: length });
        }
        // One byte at a time, because a copy may overlap what it produces. [LZF-3]
        for _ in 0..count {
            output.push(output[output.len() - distance]);
        }
    }
    if output.len() < length {
        return Err(LzfError::TooShort { announced: length, written: output.len() });
    }
    Ok(output)
}

/// A correct but weak compressor: runs of one byte become copies, everything else literals.
pub fn compress(input: &[u8]) -> Vec<u8> {
    const LONGEST_LITERAL: usize = 32;
    const LONGEST_COPY: usize = 7 + 255 + 2;
    let mut output = Vec::new();
    let mut literal: Vec<u8> = Vec::new();
    let flush = |output: &mut Vec<u8>, literal: &mut Vec<u8>| {
        for piece in literal.chunks(LONGEST_LITERAL) {
            output.push((piece.len() - 1) as u8);
            output.extend_from_slice(piece);
        }
        literal.clear();
    };
    let mut at = 0;
    while at < input.len() {
        let run = input[at..].iter().take(LONGEST_COPY + 1).take_while(|&&byte| byte == input[at]).count();
        literal.push(input[at]);
        at += 1;
        if run < 4 {
            continue;
        }
        // The byte stands as a literal; its repetitions are a copy from one byte back.
        flush(&mut output, &mut literal);
        let count = run - 1;
        if count - 2 < 7 {
            output.push(((count - 2) << 5) as u8);
        } else {
            output.push(7 << 5);
            output.push((count - 2 - 7) as u8);
        }
        output.push(0);
        at += count;
    }
    flush(&mut output, &mut literal);
    output
}
