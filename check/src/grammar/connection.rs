//! What clients say about their own connection, and of each other.

use super::Argument::{
    Address, ClientId, ClientName, OneOf, Optional, Options, Password, PauseMilliseconds, Value, Word,
};
use super::Family::Connection;
use super::Grammar;

pub(super) const COMMANDS: &[Grammar] = &[
    Grammar::new("asking", Connection, 1, &[]),
    Grammar::new("auth", Connection, 2, &[Password]),
    Grammar::new(
        "client",
        Connection,
        14,
        &[OneOf(&[
            &[Word("GETNAME")],
            &[Word("SETNAME"), ClientName],
            &[Word("ID")],
            &[Word("ID")],
            &[Word("UNBLOCK"), ClientId, OneOf(&[&[], &[Word("TIMEOUT")], &[Word("ERROR")]])],
            &[Word("UNBLOCK"), ClientId, OneOf(&[&[], &[Word("TIMEOUT")], &[Word("ERROR")]])],
            &[Word("PAUSE"), PauseMilliseconds],
            &[Word("KILL"), Word("ID"), ClientId],
            &[
                Word("LIST"),
                Optional(&[Word("TYPE"), OneOf(&[&[Word("normal")], &[Word("replica")], &[Word("pubsub")]])]),
            ],
            &[Word("KILL"), Address],
            &[
                Word("KILL"),
                Options(&[
                    &[Word("ID"), ClientId],
                    &[Word("ADDR"), Address],
                    &[Word("TYPE"), OneOf(&[&[Word("master")], &[Word("slave")], &[Word("pubsub")]])],
                    &[Word("SKIPME"), OneOf(&[&[Word("yes")], &[Word("no")]])],
                ]),
            ],
            &[Word("REPLY"), OneOf(&[&[Word("ON")], &[Word("ON")], &[Word("OFF")], &[Word("SKIP")]])],
            &[Word("HELP")],
        ])],
    )
    .alone(),
    Grammar::new("cluster", Connection, 1, &[OneOf(&[&[Word("INFO")], &[Word("NODES")], &[Word("MYID")]])]),
    Grammar::new("echo", Connection, 5, &[Value]),
    // Browsers that are tricked into talking to the port: both close the connection.
    Grammar::new("host:", Connection, 1, &[Optional(&[Value])]).alone(),
    Grammar::new("monitor", Connection, 1, &[]).alone(),
    Grammar::new("ping", Connection, 5, &[Optional(&[Value])]),
    Grammar::new("post", Connection, 1, &[Optional(&[Value])]).alone(),
    Grammar::new("quit", Connection, 1, &[]).alone(),
    Grammar::new("readonly", Connection, 1, &[]),
    Grammar::new("readwrite", Connection, 1, &[]),
];
