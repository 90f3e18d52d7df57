//! What is wrong with bytes that claim to be a structure.

/// Where the bytes stop to make sense, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {offset}: {reason}")]
pub struct DecodeError {
    /// Bytes from the structure's beginning to the field that is wrong.
    pub offset: usize,
    /// What is wrong with it.
    pub reason: &'static str,
}
