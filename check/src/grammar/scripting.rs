//! Scripts.

use super::Argument::{Many, OneOf, ScriptCall, ScriptDigest, ScriptDigestCall, ScriptText, Word};
use super::Family::Scripting;
use super::Grammar;

pub(super) const COMMANDS: &[Grammar] = &[
    Grammar::new("eval", Scripting, 24, &[ScriptCall]),
    Grammar::new("evalsha", Scripting, 6, &[ScriptDigestCall]),
    Grammar::new(
        "script",
        Scripting,
        4,
        &[OneOf(&[
            &[Word("load"), ScriptText],
            &[Word("load"), ScriptText],
            &[Word("load"), ScriptText],
            &[Word("exists"), Many(&[ScriptDigest])],
            &[Word("exists"), Many(&[ScriptDigest])],
            &[Word("flush")],
            &[Word("kill")],
            &[Word("help")],
        ])],
    ),
];
