//! Episodes in which several clients meet: they wait for the same keys, watch them, or listen.

use super::{Limits, is_known};
use crate::choice::Choice;
use crate::grammar::{self, Family, Grammar};

/// What the clients of an episode have gathered for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gathering {
    /// Nothing in particular.
    None,
    /// Some block on few keys, others make keys ready in every way there is.
    Waiting,
    /// Some watch few keys, others touch them in every way there is.
    Watching,
    /// Some listen to channels, patterns, events and MONITOR while others work.
    Listening,
}

/// What those who wait do, and what makes keys ready or takes them away; how often.
const WAITING: [(&str, u32); 35] = [
    ("blpop", 14),
    ("brpop", 14),
    ("brpoplpush", 16),
    ("bzpopmax", 10),
    ("bzpopmin", 10),
    ("client", 10),
    ("config", 1),
    ("del", 6),
    ("discard", 1),
    ("exec", 2),
    ("expire", 2),
    ("flushall", 1),
    ("georadius", 1),
    ("linsert", 2),
    ("lpop", 2),
    ("lpush", 12),
    ("lpushx", 2),
    ("ltrim", 1),
    ("move", 5),
    ("multi", 10),
    ("pexpire", 2),
    ("rename", 8),
    ("renamenx", 3),
    ("restore", 4),
    ("rpoplpush", 8),
    ("rpush", 12),
    ("select", 4),
    ("set", 3),
    ("sort", 10),
    ("swapdb", 4),
    ("watch", 3),
    ("zadd", 14),
    ("zincrby", 4),
    ("zinterstore", 3),
    ("zunionstore", 5),
];

/// Added to all other commands.
const WATCHING: [(&str, u32); 7] =
    [("discard", 1), ("exec", 2), ("multi", 16), ("select", 3), ("swapdb", 2), ("unwatch", 2), ("watch", 18)];

/// Added to all other commands.
const LISTENING: [(&str, u32); 9] = [
    ("client", 2),
    ("config", 4),
    ("monitor", 2),
    ("psubscribe", 8),
    ("publish", 16),
    ("pubsub", 6),
    ("punsubscribe", 2),
    ("subscribe", 8),
    ("unsubscribe", 2),
];

impl Gathering {
    /// Draws one: seldom where anything goes, mostly where the families ask for it.
    pub(super) fn draw(choice: &mut impl Choice, limits: &Limits) -> Self {
        let wanted = |family| limits.families.contains(&family);
        let own = match () {
            () if wanted(Family::Blocking) => Self::Waiting,
            () if wanted(Family::Transactions) => Self::Watching,
            () if wanted(Family::PubSub) => Self::Listening,
            () if limits.families.is_empty() => {
                return match choice.below(24) {
                    0 => Self::Waiting,
                    1 => Self::Watching,
                    2 => Self::Listening,
                    _ => Self::None,
                };
            }
            () => Self::None,
        };
        if own != Self::None && choice.ratio(3, 4) { own } else { Self::None }
    }

    /// Changes the commands of an episode, one entry per unit of weight.
    pub(super) fn prefer(self, choice: &mut impl Choice, limits: &Limits, table: &mut Vec<&'static Grammar>) {
        let (list, only): (&[(&str, u32)], bool) = match self {
            Self::None => return,
            Self::Waiting => (&WAITING, choice.ratio(3, 4)),
            Self::Watching => (&WATCHING, false),
            Self::Listening => (&LISTENING, false),
        };
        let known = |name: &str| {
            let allowed = !limits.without.contains(&name);
            grammar::find(name.as_bytes()).filter(|grammar| allowed && is_known(grammar))
        };
        let preferred = list.iter().filter_map(|&(name, weight)| Some((known(name)?, weight)));
        if only {
            table.clear();
        } else if !limits.families.is_empty() {
            // Those who watch or listen need others who do anything.
            // Early 5.0 releases lay streams out otherwise than 5.0.14.
            let strange = limits.real_time && !limits.families.contains(&Family::Streams);
            // What scripts do is beside the point where other families are asked for.
            let plain = |grammar: &&Grammar| {
                (!grammar.alone || grammar.family == Family::Blocking)
                    && !(strange && grammar.family == Family::Streams)
                    && (grammar.family != Family::Scripting || limits.families.contains(&Family::Scripting))
            };
            for grammar in grammar::all().filter(plain).filter(|grammar| known(grammar.name).is_some()) {
                table.extend(std::iter::repeat_n(grammar, usize::from(grammar.weight).div_ceil(4)));
            }
        }
        let unit = if only { 1 } else { table.len() / 200 + 1 };
        for (grammar, weight) in preferred {
            table.extend(std::iter::repeat_n(grammar, weight as usize * unit));
        }
    }
}
