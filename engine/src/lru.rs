//! The 24 bits of every object that eviction and OBJECT IDLETIME / FREQ read.
//!
//! Under an LRU policy (and without any) they hold the clock of the last access, in seconds; it wraps after 194 days.
//! Under an LFU policy they hold 16 bits of minutes and a logarithmic counter of 8 bits, which loses one for every
//! `lfu-decay-time` minutes without access.

use crate::structures::key_entry::LRU_BITS;

/// Largest value of the clock.
pub const LRU_MAX: u32 = (1 << LRU_BITS) - 1;
/// Milliseconds of one tick of the clock.
const TICK_MS: u64 = 1000;
/// The counter of a new object, so that it is not evicted before it had a chance.
pub const LFU_INITIAL: u8 = 5;

/// The clock at this time, Unix milliseconds.
#[inline]
#[must_use]
pub fn clock(unix_ms: i64) -> u32 {
    // Times before 1970 wrap as any other.
    (unix_ms.div_euclid(TICK_MS as i64) as u32) & LRU_MAX
}

/// Milliseconds since `stamp`. Across the wrap of the clock one tick is lost, as in Redis: it counts from [`LRU_MAX`],
/// not from one past it.
#[must_use]
pub fn idle_ms(now: u32, stamp: u32) -> u64 {
    let ticks = if now >= stamp { now - stamp } else { now + (LRU_MAX - stamp) };
    u64::from(ticks) * TICK_MS
}

/// The minutes at this time, 16 bits of them.
#[inline]
#[must_use]
pub fn minutes(unix_ms: i64) -> u16 {
    unix_ms.div_euclid(60_000) as u16
}

/// The bits for a counter that was looked at in this minute.
#[inline]
#[must_use]
pub fn frequency_bits(minutes: u16, counter: u8) -> u32 {
    u32::from(minutes) << 8 | u32::from(counter)
}

/// The counter, less what it lost since it was last looked at; `decay_time` in minutes, 0 for no decay.
#[must_use]
pub fn decayed(bits: u32, minutes: u16, decay_time: i64) -> u8 {
    let counter = (bits & 0xff) as u8;
    let stamp = (bits >> 8) as u16;
    // Across the wrap one minute is lost, as with the clock.
    let elapsed = if minutes >= stamp { minutes - stamp } else { u16::MAX - stamp + minutes };
    match u64::try_from(decay_time) {
        Ok(0) | Err(_) => counter,
        Ok(decay_time) => {
            let periods = u64::from(elapsed) / decay_time;
            counter.saturating_sub(u8::try_from(periods).unwrap_or(u8::MAX))
        }
    }
}

/// The counter after one more access: the larger it is, the less likely it grows. `chance` is a random number.
#[must_use]
pub fn incremented(counter: u8, log_factor: i64, chance: u32) -> u8 {
    if counter == u8::MAX {
        return counter;
    }
    let base = u64::from(counter.saturating_sub(LFU_INITIAL));
    let factor = u64::try_from(log_factor).unwrap_or(0);
    // Grows with probability 1 / (base * factor + 1).
    let odds = u128::from(base) * u128::from(factor) + 1;
    if u128::from(chance) * odds < 1 << 32 { counter + 1 } else { counter }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    //= SPEC.md#idle-time-and-frequency
    //# [IDLE-3] (inside) The clock MUST have 24 bits and a resolution of one second, and wrap.
    #[test]
    fn idle_time_counts_seconds_and_loses_one_across_the_wrap() {
        assert_eq!(idle_ms(10, 4), 6000);
        assert_eq!(idle_ms(4, 4), 0);
        assert_eq!(idle_ms(0, LRU_MAX), 0);
        assert_eq!(idle_ms(5, LRU_MAX - 3), 8000);
        assert_eq!(clock((1 << LRU_BITS) * 1000 + 2999), 2);
    }

    //= SPEC.md#idle-time-and-frequency
    //# [FREQUENCY-4] (inside) The counter MUST decay by one for each `lfu-decay-time` minutes since the last decay, not below 0, and not at all if that is 0.
    #[test]
    fn a_counter_loses_one_for_every_decay_time_without_access() {
        assert_eq!(decayed(frequency_bits(100, 7), 103, 1), 4);
        assert_eq!(decayed(frequency_bits(100, 7), 103, 2), 6);
        assert_eq!(decayed(frequency_bits(100, 7), 103, 0), 7);
        assert_eq!(decayed(frequency_bits(100, 2), 200, 1), 0);
        assert_eq!(decayed(frequency_bits(u16::MAX, 7), 2, 1), 5);
    }

    //= SPEC.md#idle-time-and-frequency
    //# [FREQUENCY-3] (inside) A use MUST increment the counter below 255 with the probability 1 / ((counter - 5, at least 0) * `lfu-log-factor` + 1), after the decay.
    #[test]
    fn a_counter_grows_always_when_small_and_seldom_when_large() {
        assert_eq!(incremented(0, 10, u32::MAX), 1);
        assert_eq!(incremented(5, 10, u32::MAX), 6);
        assert_eq!(incremented(6, 10, u32::MAX), 6);
        assert_eq!(incremented(6, 10, 0), 7);
        assert_eq!(incremented(255, 0, 0), 255);
        assert_eq!(incremented(200, 0, u32::MAX), 201);
    }

    //= SPEC.md#idle-time-and-frequency
    //# [FREQUENCY-1] (inside) Under an LFU policy the 24 bits MUST hold 16 bits of minutes of the last decay and an 8-bit logarithmic counter.
    #[test]
    fn minutes_and_counter_share_the_twenty_four_bits() {
        assert_eq!(frequency_bits(u16::MAX, u8::MAX), LRU_MAX);
        assert_eq!(frequency_bits(1, 2), 1 << 8 | 2);
        // 65,535 minutes are 45 days, then they begin again.
        assert_eq!(minutes(60_000 * 65_536), minutes(0));
    }
}
