//! Integers as text.

use crate::call::Call;
use crate::clause::Clause;
use crate::plan::Refusal;

/// The integer that a text is in its one canonical form, if it is one ([INT-1]).
pub fn parse_integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    match digits {
        [] => return None,
        [b'0'] if negative => return None,
        [b'0', _, ..] => return None,
        _ => {}
    }
    // So many digits always fit.
    let mut value: u64 = 0;
    if digits.len() > 19 {
        return None;
    }
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value * 10 + u64::from(digit - b'0');
    }
    let value = i128::from(value);
    i64::try_from(if negative { -value } else { value }).ok()
}

impl Call<'_> {
    /// An argument that has to be an integer.
    pub fn integer(&self, position: usize) -> Result<i64, Refusal> {
        self.cite(Clause::INT_1);
        parse_integer(self.args[position])
            .ok_or_else(|| Refusal::new(Clause::INT_2, "ERR value is not an integer or out of range"))
    }
}

#[cfg(test)]
mod tests {
    use super::parse_integer;

    #[test]
    fn only_the_canonical_form_is_an_integer() {
        for value in [0, 1, -1, 10, i64::MAX, i64::MIN] {
            assert_eq!(parse_integer(value.to_string().as_bytes()), Some(value));
        }
        for text in
            ["", "-", "+1", "01", "-0", "-01", " 1", "1 ", "1.0", "0x1", "9223372036854775808", "-9223372036854775809"]
        {
            assert_eq!(parse_integer(text.as_bytes()), None, "{text}");
        }
    }
}
