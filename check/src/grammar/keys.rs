//! Keys whatever they hold, deadlines, DUMP, RESTORE and MIGRATE.

use super::Argument::{
    Count, Cursor, Database, Key, Many, Milliseconds, OneOf, Optional, Options, Pattern, Payload, RestoreTtl, Seconds,
    SmallNumber, UnixMilliseconds, UnixSeconds, Word,
};
use super::Family::{Dump, Expiry, Keys};
use super::Want::{Any, Existing};
use super::{Argument, Grammar};

const KEY: Argument = Key(Existing);

const MIGRATE_OPTIONS: &[&[Argument]] = &[&[Word("COPY")], &[Word("REPLACE")], &[Word("AUTH"), Argument::Password]];

const RESTORE_ARGUMENTS: &[Argument] = &[
    Key(Any),
    RestoreTtl,
    Payload,
    Options(&[
        &[Word("REPLACE")],
        &[Word("ABSTTL")],
        &[OneOf(&[&[Word("IDLETIME"), SmallNumber], &[Word("FREQ"), SmallNumber]])],
    ]),
];

pub(super) const COMMANDS: &[Grammar] = &[
    Grammar::new("dbsize", Keys, 8, &[]),
    Grammar::new("del", Keys, 15, &[Many(&[KEY])]),
    Grammar::new("exists", Keys, 15, &[Many(&[KEY])]),
    Grammar::new("flushall", Keys, 1, &[Optional(&[Word("ASYNC")])]),
    Grammar::new("flushdb", Keys, 2, &[Optional(&[Word("ASYNC")])]),
    Grammar::new("keys", Keys, 4, &[Pattern]),
    Grammar::new("move", Keys, 8, &[KEY, Database]),
    Grammar::new(
        "object",
        Keys,
        15,
        &[
            OneOf(&[
                &[Word("ENCODING")],
                &[Word("ENCODING")],
                &[Word("ENCODING")],
                &[Word("REFCOUNT")],
                &[Word("IDLETIME")],
                &[Word("FREQ")],
                &[Word("HELP")],
            ]),
            KEY,
        ],
    ),
    Grammar::new("randomkey", Keys, 6, &[]),
    Grammar::new("rename", Keys, 10, &[KEY, Key(Any)]),
    Grammar::new("renamenx", Keys, 6, &[KEY, Key(Any)]),
    Grammar::new("scan", Keys, 20, &[Cursor, Options(&[&[Word("COUNT"), Count], &[Word("MATCH"), Pattern]])]),
    Grammar::new("select", Keys, 6, &[Database]),
    Grammar::new("swapdb", Keys, 2, &[Database, Database]),
    Grammar::new("touch", Keys, 6, &[Many(&[KEY])]),
    Grammar::new("type", Keys, 8, &[KEY]),
    Grammar::new("unlink", Keys, 8, &[Many(&[KEY])]),
    Grammar::new("expire", Expiry, 15, &[KEY, Seconds]),
    Grammar::new("expireat", Expiry, 8, &[KEY, UnixSeconds]),
    Grammar::new("persist", Expiry, 8, &[KEY]),
    Grammar::new("pexpire", Expiry, 15, &[KEY, Milliseconds]),
    Grammar::new("pexpireat", Expiry, 8, &[KEY, UnixMilliseconds]),
    Grammar::new("pttl", Expiry, 15, &[KEY]),
    Grammar::new("ttl", Expiry, 15, &[KEY]),
    Grammar::new("dump", Dump, 10, &[KEY]),
    Grammar::new(
        "migrate",
        Dump,
        8,
        &[
            // Nobody listens at this port, whatever host the target is on.
            Word("127.0.0.1"),
            Word("1"),
            OneOf(&[
                &[KEY, Database, Milliseconds, Options(MIGRATE_OPTIONS)],
                &[Word(""), Database, Milliseconds, Options(MIGRATE_OPTIONS), Word("KEYS"), Many(&[KEY])],
            ]),
        ],
    )
    .alone(),
    Grammar::new("restore", Dump, 15, RESTORE_ARGUMENTS),
    Grammar::new("restore-asking", Dump, 3, RESTORE_ARGUMENTS),
];
