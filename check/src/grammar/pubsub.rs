//! Channels, and what can be heard there.

use super::Argument::{Channel, ChannelPattern, Many, OneOf, Optional, Value, Word};
use super::Family::PubSub;
use super::Grammar;

pub(super) const COMMANDS: &[Grammar] = &[
    Grammar::new("psubscribe", PubSub, 6, &[Many(&[ChannelPattern])]).alone(),
    Grammar::new("publish", PubSub, 30, &[Channel, Value]),
    Grammar::new(
        "pubsub",
        PubSub,
        8,
        &[OneOf(&[
            &[Word("CHANNELS"), Optional(&[ChannelPattern])],
            &[Word("NUMSUB")],
            &[Word("NUMSUB"), Many(&[Channel])],
            &[Word("NUMPAT")],
            &[Word("HELP")],
        ])],
    ),
    Grammar::new("punsubscribe", PubSub, 3, &[OneOf(&[&[], &[Many(&[ChannelPattern])]])]).alone(),
    Grammar::new("subscribe", PubSub, 6, &[Many(&[Channel])]).alone(),
    Grammar::new("unsubscribe", PubSub, 3, &[OneOf(&[&[], &[Many(&[Channel])]])]).alone(),
];
