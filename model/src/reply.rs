//! What a server answers, as RESP2 distinguishes it.

use std::fmt;

/// A byte string.
pub type Bytes = Vec<u8>;

/// One reply.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reply {
    /// `+…`, without the sign and the line end.
    Status(Bytes),
    /// `-…`, the whole line with its code, without the sign and the line end.
    Error(Bytes),
    /// `:…`
    Integer(i64),
    /// `$n …`
    Bulk(Bytes),
    /// `$-1`
    NilBulk,
    /// `*-1`
    NilArray,
    /// `*n …`
    Array(Vec<Reply>),
}

impl Reply {
    /// `+OK`
    pub fn ok() -> Self {
        Self::Status(b"OK".to_vec())
    }

    /// A status line.
    pub fn status(text: &str) -> Self {
        Self::Status(text.as_bytes().to_vec())
    }

    /// A bulk string with these bytes.
    pub fn bulk(bytes: impl Into<Bytes>) -> Self {
        Self::Bulk(bytes.into())
    }

    /// The first word of an error line: `ERR`, `WRONGTYPE` and so on.
    pub fn error_code(line: &[u8]) -> &[u8] {
        line.split(|&byte| byte == b' ').next().unwrap_or_default()
    }
}

/// Writes bytes in double quotes with redis-cli's escapes.
pub fn quoted(bytes: &[u8]) -> String {
    let mut text = String::from("\"");
    for &byte in bytes {
        match byte {
            b'"' => text.push_str("\\\""),
            b'\\' => text.push_str("\\\\"),
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            0x07 => text.push_str("\\a"),
            0x08 => text.push_str("\\b"),
            0x20..=0x7e => text.push(char::from(byte)),
            _ => text.push_str(&format!("\\x{byte:02x}")),
        }
    }
    text.push('"');
    text
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(text) => write!(f, "{}", String::from_utf8_lossy(text)),
            Self::Error(text) => write!(f, "(error) {}", String::from_utf8_lossy(text)),
            Self::Integer(value) => write!(f, "(integer) {value}"),
            Self::Bulk(bytes) => f.write_str(&quoted(bytes)),
            Self::NilBulk => f.write_str("(nil)"),
            Self::NilArray => f.write_str("(nil array)"),
            Self::Array(elements) => {
                f.write_str("[")?;
                for (index, element) in elements.iter().enumerate() {
                    if index > 0 {
                        f.write_str(", ")?;
                    }
                    write!(f, "{element}")?;
                }
                f.write_str("]")
            }
        }
    }
}
