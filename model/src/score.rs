//! Scores of sorted sets: how they compare, how they are written and how they are read.

use std::cmp::Ordering;
use std::fmt;

/// A score: any number but not-a-number; both zeros are equal.
#[derive(Clone, Copy, Debug)]
pub struct Score(pub f64);

impl Ord for Score {
    fn cmp(&self, other: &Self) -> Ordering {
        if self.0 < other.0 {
            Ordering::Less
        } else if self.0 > other.0 {
            Ordering::Greater
        } else {
            Ordering::Equal
        }
    }
}

impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Score {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Score {}

impl fmt::Display for Score {
    /// Seventeen significant digits without needless zeros; the exponent form below 1e-4 and from 1e17 on.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: i32 = 17;
        if self.0.is_infinite() {
            return f.write_str(if self.0 > 0.0 { "inf" } else { "-inf" });
        }
        let text = format!("{:.16e}", self.0);
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let exponent: i32 = exponent.parse().unwrap_or(0);
        let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
        let digits: String = mantissa.chars().filter(|&character| character != '.').collect();
        let significant = digits.trim_end_matches('0');
        let significant = if significant.is_empty() { "0" } else { significant };
        f.write_str(sign)?;
        if !(-4..DIGITS).contains(&exponent) {
            let (first, rest) = significant.split_at(1);
            let point = if rest.is_empty() { "" } else { "." };
            let sign = if exponent < 0 { '-' } else { '+' };
            return write!(f, "{first}{point}{rest}e{sign}{:02}", exponent.abs());
        }
        if exponent < 0 {
            return write!(f, "0.{}{significant}", "0".repeat((-exponent - 1) as usize));
        }
        let whole = exponent as usize + 1;
        if significant.len() <= whole {
            return write!(f, "{significant}{}", "0".repeat(whole - significant.len()));
        }
        let (whole, fraction) = significant.split_at(whole);
        write!(f, "{whole}.{fraction}")
    }
}
