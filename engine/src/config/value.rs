//! The kinds of values that directives have beyond text, numbers and switches, each with its reader and its printer.

use crate::effect::LogLevel;

/// What to evict when `maxmemory` is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum MaxmemoryPolicy {
    VolatileLru,
    VolatileLfu,
    VolatileRandom,
    VolatileTtl,
    AllkeysLru,
    AllkeysLfu,
    AllkeysRandom,
    NoEviction,
}

impl MaxmemoryPolicy {
    /// Objects carry an LFU counter instead of an LRU clock.
    #[must_use]
    pub fn is_lfu(self) -> bool {
        matches!(self, Self::VolatileLfu | Self::AllkeysLfu)
    }

    /// Only keys with a deadline may go.
    #[must_use]
    pub fn is_volatile(self) -> bool {
        matches!(self, Self::VolatileLru | Self::VolatileLfu | Self::VolatileRandom | Self::VolatileTtl)
    }

    /// Idle time decides, so that shared integers would falsify it.
    #[must_use]
    pub fn is_lru(self) -> bool {
        matches!(self, Self::VolatileLru | Self::AllkeysLru)
    }
}

/// When the AOF is made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum AppendFsync {
    No,
    EverySec,
    Always,
}

/// Which supervisor is told that the server is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Supervised {
    No,
    Systemd,
    Upstart,
    Auto,
}

/// The syslog facility.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyslogFacility {
    /// `user`.
    User,
    /// `local0` to `local7`.
    Local(u8),
}

/// A directive whose value is one of a few words.
pub trait Choice: Sized + Copy + PartialEq + 'static {
    /// Every word with its value, in the order Redis lists them.
    const WORDS: &'static [(&'static str, Self)];

    /// The value of a word, in any letter case.
    fn from_word(word: &[u8]) -> Option<Self> {
        Self::WORDS.iter().find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(word)).map(|&(_, value)| value)
    }

    /// The word of a value.
    fn word(self) -> &'static str {
        Self::WORDS.iter().find(|&&(_, value)| value == self).map_or("unknown", |&(name, _)| name)
    }
}

impl Choice for MaxmemoryPolicy {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("volatile-lru", Self::VolatileLru),
        ("volatile-lfu", Self::VolatileLfu),
        ("volatile-random", Self::VolatileRandom),
        ("volatile-ttl", Self::VolatileTtl),
        ("allkeys-lru", Self::AllkeysLru),
        ("allkeys-lfu", Self::AllkeysLfu),
        ("allkeys-random", Self::AllkeysRandom),
        ("noeviction", Self::NoEviction),
    ];
}

impl Choice for AppendFsync {
    const WORDS: &'static [(&'static str, Self)] =
        &[("everysec", Self::EverySec), ("always", Self::Always), ("no", Self::No)];
}

impl Choice for Supervised {
    const WORDS: &'static [(&'static str, Self)] =
        &[("upstart", Self::Upstart), ("systemd", Self::Systemd), ("auto", Self::Auto), ("no", Self::No)];
}

impl Choice for LogLevel {
    const WORDS: &'static [(&'static str, Self)] =
        &[("debug", Self::Debug), ("verbose", Self::Verbose), ("notice", Self::Notice), ("warning", Self::Warning)];
}

impl Choice for SyslogFacility {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("user", Self::User),
        ("local0", Self::Local(0)),
        ("local1", Self::Local(1)),
        ("local2", Self::Local(2)),
        ("local3", Self::Local(3)),
        ("local4", Self::Local(4)),
        ("local5", Self::Local(5)),
        ("local6", Self::Local(6)),
        ("local7", Self::Local(7)),
    ];
}

/// Snapshot when `changes` or more happened within `seconds`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct SavePoint {
    pub seconds: i64,
    pub changes: i64,
}

impl SavePoint {
    /// What a server starts with when its configuration has no `save` line.
    pub const SERVER_DEFAULTS: [Self; 3] = [
        Self { seconds: 3600, changes: 1 },
        Self { seconds: 300, changes: 100 },
        Self { seconds: 60, changes: 10_000 },
    ];
}

/// Classes of clients with output buffer limits of their own; the value indexes `client_output_buffer_limit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ClientClass {
    Normal = 0,
    Replica = 1,
    Pubsub = 2,
}

impl ClientClass {
    /// By index.
    pub const ALL: [Self; 3] = [Self::Normal, Self::Replica, Self::Pubsub];

    /// The class of a name; `slave` and `replica` are one.
    #[must_use]
    pub fn from_name(name: &[u8]) -> Option<Self> {
        if name.eq_ignore_ascii_case(b"normal") {
            Some(Self::Normal)
        } else if name.eq_ignore_ascii_case(b"slave") || name.eq_ignore_ascii_case(b"replica") {
            Some(Self::Replica)
        } else if name.eq_ignore_ascii_case(b"pubsub") {
            Some(Self::Pubsub)
        } else {
            None
        }
    }

    /// The name that CONFIG GET shows.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Replica => "slave",
            Self::Pubsub => "pubsub",
        }
    }
}

/// How much output may wait for a client: over `hard` it is closed at once, over `soft` after `soft_seconds`. 0: no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct BufferLimit {
    pub hard: u64,
    pub soft: u64,
    pub soft_seconds: i64,
}

impl BufferLimit {
    /// No limit.
    pub const NONE: Self = Self { hard: 0, soft: 0, soft_seconds: 0 };
}

/// Classes of keyspace events to publish, a set of letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotifyEvents(pub u16);

impl NotifyEvents {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// `K`: publish to `__keyspace@<db>__:<key>`.
    pub const KEYSPACE: u16 = 1;
    /// `E`: publish to `__keyevent@<db>__:<event>`.
    pub const KEYEVENT: u16 = 1 << 1;
    /// `A`: all ten classes.
    pub const ALL_CLASSES: u16 = 0b1_1111_1111 << 2;

    /// Letters of the classes in the order CONFIG GET prints them, with their bits.
    const CLASSES: [(u8, u16); 9] = [
        (b'g', 1 << 2),
        (b'$', 1 << 3),
        (b'l', 1 << 4),
        (b's', 1 << 5),
        (b'h', 1 << 6),
        (b'z', 1 << 7),
        (b'x', 1 << 8),
        (b'e', 1 << 9),
        (b't', 1 << 10),
    ];

    /// The bit of the class with this letter; none for a letter that is no class.
    #[must_use]
    pub fn class(letter: u8) -> u16 {
        Self::CLASSES.iter().find(|&&(known, _)| known == letter).map_or(0, |&(_, bit)| bit)
    }

    /// Reads letters; `None` when one is unknown.
    #[must_use]
    pub fn parse(letters: &[u8]) -> Option<Self> {
        let mut bits = 0;
        for &letter in letters {
            bits |= match letter {
                b'A' => Self::ALL_CLASSES,
                b'K' => Self::KEYSPACE,
                b'E' => Self::KEYEVENT,
                _ => Self::CLASSES.iter().find(|&&(known, _)| known == letter)?.1,
            };
        }
        Some(Self(bits))
    }

    /// The letters, in Redis' order: classes (or `A` for all of them), then `K`, then `E`.
    #[must_use]
    pub fn letters(self) -> String {
        let mut letters = String::new();
        if self.0 & Self::ALL_CLASSES == Self::ALL_CLASSES {
            letters.push('A');
        } else {
            letters
                .extend(Self::CLASSES.iter().filter(|&&(_, bit)| self.0 & bit != 0).map(|&(letter, _)| letter as char));
        }
        if self.0 & Self::KEYSPACE != 0 {
            letters.push('K');
        }
        if self.0 & Self::KEYEVENT != 0 {
            letters.push('E');
        }
        letters
    }
}
