//! What a command hands on to the append-only file and to replicas.
//!
//! A command that changed data is handed on as it came, unless it said something else for one of the two targets
//! ([`Propagation::instead`]); operations that happen on the way (lazy expiry) are handed on at once, before it.

use crate::resp::OwnedArgs;

/// Who gets a propagated command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Targets {
    /// The append-only file.
    pub aof: bool,
    /// The replicas.
    pub replicas: bool,
}

impl Targets {
    /// Nobody.
    pub const NONE: Targets = Targets { aof: false, replicas: false };
    /// Only the append-only file.
    pub const AOF: Targets = Targets { aof: true, replicas: false };
    /// Only the replicas.
    pub const REPLICAS: Targets = Targets { aof: false, replicas: true };
    /// Both.
    pub const ALL: Targets = Targets { aof: true, replicas: true };

    /// Those who are in either.
    #[must_use]
    pub(crate) fn or(self, other: Targets) -> Targets {
        Targets { aof: self.aof || other.aof, replicas: self.replicas || other.replicas }
    }

    /// Those who are in both.
    #[must_use]
    pub(crate) fn and(self, other: Targets) -> Targets {
        Targets { aof: self.aof && other.aof, replicas: self.replicas && other.replicas }
    }
}

/// One command that was handed on, kept for who asked for it ([`crate::Engine::record_propagation`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Propagated {
    /// To whom.
    pub targets: Targets,
    /// The database it works on.
    pub db: usize,
    /// The command's arguments.
    pub arguments: Vec<Vec<u8>>,
}

/// What the command that runs at the moment said about its propagation; reset before each.
#[derive(Debug)]
pub(crate) struct Propagation {
    /// Something was said: `lists` hold instead of the command as it came.
    pub(crate) said: bool,
    /// Instead for the AOF; `None` = as it came.
    pub(crate) aof: Option<Vec<OwnedArgs>>,
    /// Instead for replicas; `None` = as it came.
    pub(crate) replicas: Option<Vec<OwnedArgs>>,
    /// Whom a command may tell at all: a script decides it for its commands.
    pub(crate) allowed: Targets,
    /// Where what is handed on waits while a script runs of which is not known yet whether it is handed on itself.
    pub(crate) held: Option<Vec<Held>>,
}

/// What led to a command that is handed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// A client's command, or a script's.
    Command,
    /// A key was found expired.
    Expiry,
    /// It is MULTI or EXEC around what a script hands on.
    Wrapping,
}

/// A command that waits for the end of the script.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) cause: Cause,
    pub(crate) command: Propagated,
}

impl Default for Propagation {
    fn default() -> Self {
        Propagation { said: false, aof: None, replicas: None, allowed: Targets::ALL, held: None }
    }
}

impl Propagation {
    /// Adds a command to what goes to `targets` instead of the command as it came.
    pub(crate) fn instead(&mut self, targets: Targets, arguments: &[&[u8]]) {
        self.said = true;
        for (wanted, list) in [(targets.aof, &mut self.aof), (targets.replicas, &mut self.replicas)] {
            if wanted {
                let command = OwnedArgs::new(arguments.iter().copied());
                list.get_or_insert_default().push(command);
            }
        }
    }

    /// The command is handed on to `targets` alone, as it came, even if nothing changed.
    pub(crate) fn as_it_came(&mut self, targets: Targets) {
        self.said = true;
        self.aof = if targets.aof { None } else { Some(Vec::new()) };
        self.replicas = if targets.replicas { None } else { Some(Vec::new()) };
    }

    /// Nothing is handed on, whatever changed.
    pub(crate) fn nothing(&mut self) {
        self.said = true;
        self.aof = Some(Vec::new());
        self.replicas = Some(Vec::new());
    }

    pub(crate) fn reset(&mut self) {
        if self.said {
            self.said = false;
            self.aof = None;
            self.replicas = None;
        }
    }
}
