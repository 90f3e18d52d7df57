//! Scripts that are propagated as they came, and what is known of them where they go.

use std::collections::BTreeSet;

use crate::clause::Clause;
use crate::model::Model;
use crate::propagation::Propagated;
use crate::reply::{Bytes, Reply};

/// The scripts whose text was propagated because EVALSHA ran them, by their SHA-1 in small letters. [EVALSHA-3]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PropagatedScripts {
    surely: BTreeSet<Bytes>,
    /// The model could not follow a run of these.
    perhaps: BTreeSet<Bytes>,
    /// A rewrite of the AOF was asked for and begins nobody knows when, or has begun.
    is_rewrite_due: bool,
}

impl PropagatedScripts {
    /// [SCRIPT-3] [EVALSHA-3]
    pub(crate) fn forget(&mut self) {
        self.surely.clear();
        self.perhaps.clear();
    }

    /// What BGREWRITEAOF answered tells when the rewrite begins.
    pub(crate) fn learn_of_rewrite(&mut self, reply: Option<&Reply>) {
        match reply {
            Some(Reply::Status(line)) if line.ends_with(b"started") => {
                self.forget();
                self.is_rewrite_due = false;
            }
            // One that was due before may be what is going on.
            Some(Reply::Error(_)) => {}
            _ => self.is_rewrite_due = true,
        }
    }

    pub(super) fn doubt(&mut self, sha: Bytes) {
        self.perhaps.insert(sha);
    }

    /// Whether the text has to be propagated now, after which it has been; `None` if that cannot be told.
    fn lacks(&mut self, sha: Bytes) -> Option<bool> {
        let doubted = self.perhaps.remove(&sha) || self.is_rewrite_due;
        let is_new = self.surely.insert(sha);
        if doubted { None } else { Some(is_new) }
    }
}

impl Model {
    /// A script as it came, in place of what its commands propagate, and the error that it ended with. [EVAL-31] [EVALSHA-3]
    pub(super) fn whole_script(
        &mut self,
        db: usize,
        command: &[&[u8]],
        pieces: &[Propagated],
        error: Option<Bytes>,
    ) -> Propagated {
        self.witness(Clause::EVAL_31);
        // MULTI and EXEC around what its commands propagate are none of these.
        let is_marker =
            |command: &Vec<Bytes>| matches!(command.as_slice(), [name] if name == b"MULTI" || name == b"EXEC");
        let any = |commands: fn(&Propagated) -> &Vec<Vec<Bytes>>| {
            pieces.iter().flat_map(commands).any(|command| !is_marker(command))
        };
        let (changes, is_sent) = (any(|piece| &piece.aof), any(|piece| &piece.replicas));
        let mut unspecified = pieces.iter().any(|piece| piece.unspecified);
        let as_it_came: Vec<Bytes> = command.iter().map(|word| word.to_vec()).collect();
        let (mut runs, mut loads) = (as_it_came, None);
        let sha = command.get(1).map(|sha| sha.to_ascii_lowercase()).unwrap_or_default();
        if command[0].eq_ignore_ascii_case(b"evalsha")
            && let Some(text) = self.server.scripts.get(&sha).cloned()
        {
            self.witness(Clause::EVALSHA_3);
            let lacks = self.server.propagated_scripts.lacks(sha);
            unspecified |= lacks.is_none();
            if lacks == Some(true) {
                let behind = command.iter().skip(2).map(|word| word.to_vec());
                runs = [b"EVAL".to_vec(), text.clone()].into_iter().chain(behind).collect();
                loads = Some(vec![b"SCRIPT".to_vec(), b"LOAD".to_vec(), text]);
            }
        }
        let stream = |does: bool| if does { vec![runs.clone()] } else { loads.iter().cloned().collect() };
        let expired = pieces.iter().flat_map(|piece| piece.expired.clone()).collect();
        Propagated {
            expired,
            db,
            aof: stream(changes),
            replicas: stream(is_sent),
            unspecified,
            // Where it is only loaded nothing raises it.
            raises: error.filter(|_| is_sent),
            further: Vec::new(),
        }
    }
}
