//! What the embedded engine handed on to replicas, and its execution there.

use tally_model::Reply;

use super::Embedded;
use crate::request::{Quoted, encode_array};
use crate::target::{HandedOnErrors, Received, Target, TargetError, Wait};

/// Commands as a replica receives them.
#[derive(Debug, Default)]
pub(super) struct Stream {
    bytes: Vec<u8>,
    /// Of each command where it ends in `bytes`, its time, from which durations count, and its database.
    commands: Vec<(usize, i64, usize)>,
}

impl Stream {
    pub(super) fn push(&mut self, unix_us: i64, db: usize, arguments: &[Vec<u8>]) {
        encode_array(arguments, &mut self.bytes);
        self.commands.push((self.bytes.len(), unix_us, db));
    }

    /// Sends everything to another engine. Only those commands that `errors` names may answer an error, and have to answer that
    /// one.
    pub(super) fn run_on(&self, second: &mut Embedded, errors: &HandedOnErrors) -> Result<(), TargetError> {
        let connection = second.open()?;
        let mut selected = 0;
        // The numbers of the commands that MULTI has queued; none for SELECT.
        let mut queued: Vec<Option<usize>> = Vec::new();
        for (number, &(_, unix_us, db)) in self.commands.iter().enumerate() {
            second.world.unix_us = unix_us;
            if db != selected {
                selected = db;
                let mut select = Vec::new();
                encode_array(&["SELECT", &db.to_string()], &mut select);
                second.send(connection, &select)?;
                if second.receive(connection, Wait::Poll)? == Received::Reply(Reply::status("QUEUED")) {
                    queued.push(None);
                }
            }
            second.send(connection, self.command(number))?;
            while let Received::Reply(reply) = second.receive(connection, Wait::Poll)? {
                match reply {
                    Reply::Status(line) if line == b"QUEUED" => queued.push(Some(number)),
                    Reply::Array(replies) if !queued.is_empty() => {
                        for (number, reply) in std::mem::take(&mut queued).into_iter().zip(replies) {
                            if let Some(number) = number {
                                self.answers_as_due(number, &reply, errors)?;
                            }
                        }
                    }
                    reply => self.answers_as_due(number, &reply, errors)?,
                }
            }
        }
        Ok(())
    }

    fn command(&self, number: usize) -> &[u8] {
        let end = |number: usize| self.commands.get(number).map_or(self.bytes.len(), |&(end, ..)| end);
        let start = number.checked_sub(1).map_or(0, end);
        self.bytes.get(start..end(number)).unwrap_or_default()
    }

    fn answers_as_due(&self, number: usize, reply: &Reply, errors: &HandedOnErrors) -> Result<(), TargetError> {
        let error = match reply {
            Reply::Error(line) => Some(line),
            _ => None,
        };
        let due = errors.get(&number);
        if error == due {
            return Ok(());
        }
        let said =
            |line: Option<&Vec<u8>>| line.map_or("no error".into(), |line| String::from_utf8_lossy(line).into_owned());
        let (command, due, error) = (Quoted(self.command(number)), said(due), said(error));
        Err(TargetError::Connection(format!("{command}, handed on to replicas, answers {error} in place of {due}")))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn run(commands: &[&[&str]], errors: &[(usize, &str)]) -> Result<(), String> {
        let mut stream = Stream::default();
        for command in commands {
            let words: Vec<Vec<u8>> = command.iter().map(|word| word.as_bytes().to_vec()).collect();
            stream.push(0, 0, &words);
        }
        let errors = errors.iter().map(|&(number, line)| (number, line.as_bytes().to_vec())).collect();
        stream.run_on(&mut Embedded::new(), &errors).map_err(|error| error.to_string())
    }

    const RAISES: [&str; 3] = ["EVAL", "redis.call('incr','n') return redis.error_reply('E')", "0"];

    #[test]
    fn only_the_errors_that_are_due_are_answered_and_all_of_them() {
        let set = ["SET", "n", "1"];
        assert_eq!(run(&[&set, &RAISES], &[(1, "E")]), Ok(()));
        assert!(run(&[&set, &RAISES], &[]).unwrap_err().ends_with("answers E in place of no error"));
        assert!(run(&[&set, &RAISES], &[(1, "F")]).unwrap_err().ends_with("answers E in place of F"));
        assert!(run(&[&RAISES, &set], &[(0, "E"), (1, "E")]).unwrap_err().ends_with("answers no error in place of E"));
    }

    #[test]
    fn the_answers_of_a_transaction_are_those_of_its_commands() {
        let (multi, exec) = (["MULTI"], ["EXEC"]);
        let transaction: [&[&str]; 4] = [&multi, &["SET", "n", "1"], &RAISES, &exec];
        assert_eq!(run(&transaction, &[(2, "E")]), Ok(()));
        assert!(run(&transaction, &[]).unwrap_err().ends_with("answers E in place of no error"));
        let wrong: [&[&str]; 4] = [&multi, &["SET", "n", "1"], &["LPUSH", "n", "1"], &exec];
        assert!(run(&wrong, &[]).unwrap_err().contains("WRONGTYPE"));
    }
}
