//! Natural numbers of any size, just enough of them for exact floating point.

use std::cmp::Ordering;

/// Little-endian 32-bit limbs without zero limbs at the end; zero has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Natural(Vec<u32>);

impl Natural {
    pub(crate) fn new(value: u64) -> Self {
        let low = (value & 0xffff_ffff) as u32;
        let high = (value >> 32) as u32;
        Self(vec![low, high]).trimmed()
    }

    fn trimmed(mut self) -> Self {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
        self
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of bits without leading zeros.
    pub(crate) fn bits(&self) -> usize {
        self.0.last().map_or(0, |&top| self.0.len() * 32 - top.leading_zeros() as usize)
    }

    /// Becomes `self * factor + addend`.
    pub(crate) fn multiply_add(&mut self, factor: u32, addend: u32) {
        let mut carry = u64::from(addend);
        for limb in &mut self.0 {
            let product = u64::from(*limb) * u64::from(factor) + carry;
            *limb = (product & 0xffff_ffff) as u32;
            carry = product >> 32;
        }
        if carry > 0 {
            self.0.push(carry as u32);
        }
    }

    /// Becomes `self * 10^power`.
    pub(crate) fn multiply_power_of_ten(&mut self, power: usize) {
        for _ in 0..power / 9 {
            self.multiply_add(1_000_000_000, 0);
        }
        for _ in 0..power % 9 {
            self.multiply_add(10, 0);
        }
    }

    pub(crate) fn shifted_left(&self, bits: usize) -> Self {
        if self.is_zero() {
            return self.clone();
        }
        let mut limbs = vec![0; bits / 32];
        let mut carry = 0u64;
        for &limb in &self.0 {
            let wide = (u64::from(limb) << (bits % 32)) | carry;
            limbs.push((wide & 0xffff_ffff) as u32);
            carry = wide >> 32;
        }
        limbs.push(carry as u32);
        Self(limbs).trimmed()
    }

    pub(crate) fn plus(&self, other: &Self) -> Self {
        let mut limbs = Vec::new();
        let mut carry = 0u64;
        for index in 0..self.0.len().max(other.0.len()) {
            let limb = |number: &Self| u64::from(number.0.get(index).copied().unwrap_or(0));
            let sum = limb(self) + limb(other) + carry;
            limbs.push((sum & 0xffff_ffff) as u32);
            carry = sum >> 32;
        }
        limbs.push(carry as u32);
        Self(limbs).trimmed()
    }

    /// Loses `other`, which is not greater.
    pub(crate) fn subtract(&mut self, other: &Self) {
        let mut borrow = 0i64;
        for (index, limb) in self.0.iter_mut().enumerate() {
            let mut difference = i64::from(*limb) - i64::from(other.0.get(index).copied().unwrap_or(0)) - borrow;
            borrow = i64::from(difference < 0);
            if difference < 0 {
                difference += 1 << 32;
            }
            *limb = difference as u32;
        }
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
    }

    /// Its decimal digits.
    pub(crate) fn to_decimal(&self) -> String {
        let mut limbs = self.0.clone();
        let mut groups = Vec::new();
        while !limbs.is_empty() {
            let mut rest = 0u64;
            for limb in limbs.iter_mut().rev() {
                let dividend = (rest << 32) | u64::from(*limb);
                *limb = (dividend / 1_000_000_000) as u32;
                rest = dividend % 1_000_000_000;
            }
            groups.push(rest);
            while limbs.last() == Some(&0) {
                limbs.pop();
            }
        }
        let Some(first) = groups.pop() else { return "0".to_owned() };
        let mut text = first.to_string();
        for group in groups.iter().rev() {
            text.push_str(&format!("{group:09}"));
        }
        text
    }
}

impl PartialOrd for Natural {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Natural {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_length = self.0.len().cmp(&other.0.len());
        by_length.then_with(|| self.0.iter().rev().cmp(other.0.iter().rev()))
    }
}
