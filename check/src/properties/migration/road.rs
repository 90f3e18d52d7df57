//! The way from one server to another, which may break anywhere, and the server at its end beside its model.

use std::collections::VecDeque;

use rand_chacha::ChaCha8Rng;
use tally_engine::{PeerFailure, PeerId};
use tally_model::{ClientId, Model, Outcome, Profile, Reply};

use super::KEYS;
use crate::choice::Choice;
use crate::reply_reader::ReplyReader;
use crate::request::{Request, encode_array};
use crate::target::{Connection, Embedded, Neighbour, Received, Setup, Target, Wait};

/// An engine and its model.
pub(super) struct Held {
    pub(super) server: Embedded,
    pub(super) model: Model,
}

impl Held {
    pub(super) fn start(seed: u64) -> Result<Held, String> {
        let mut server = Embedded::new();
        let config = vec![("appendonly".to_owned(), "yes".to_owned())];
        server.reset(&Setup { seed, config, record_propagation: true }).map_err(|error| error.to_string())?;
        Ok(Held { server, model: Model::new(Profile::strict()) })
    }

    pub(super) fn open(&mut self) -> Result<Connection, String> {
        let connection = self.server.open().map_err(|error| error.to_string())?;
        self.model.connect(ClientId(connection.0), self.server.peer(connection));
        Ok(connection)
    }

    pub(super) fn close(&mut self, connection: Connection) {
        self.server.close(connection);
        self.model.disconnect(ClientId(connection.0));
    }

    /// Sends a command, and holds its reply against the model.
    pub(super) fn ask(&mut self, connection: Connection, words: &[&[u8]]) -> Result<Reply, String> {
        let span = self.server.span();
        let mut bytes = Vec::new();
        encode_array(words, &mut bytes);
        let received = self.server.send(connection, &bytes).and_then(|()| self.server.receive(connection, Wait::Reply));
        let reply = match received {
            Ok(Received::Reply(reply)) => reply,
            other => return Err(format!("{} is answered by {other:?}", Request::from(words))),
        };
        let judged = self.model.step(ClientId(connection.0), words, &Outcome::reply(&reply), span);
        judged.map_err(|deviation| format!("{}: {deviation:?}", Request::from(words)))?;
        Ok(reply)
    }

    /// Everything that is in a database, held against the model.
    pub(super) fn audit(&mut self, connection: Connection, db: &str) -> Result<(), String> {
        self.ask(connection, &[b"SELECT", db.as_bytes()])?;
        self.ask(connection, &[b"DBSIZE"])?;
        for key in KEYS {
            for question in ["TYPE", "PTTL", "DUMP"] {
                self.ask(connection, &[question.as_bytes(), key.as_bytes()])?;
            }
        }
        Ok(())
    }
}

/// How the way is when a connection is made, or used again.
#[derive(Clone, Copy, Debug)]
pub(super) enum Conduct {
    /// There is none.
    Refuses,
    NoAddress,
    ConnectsTooLate,
    /// It holds for that many commands to be executed and that many answers to come back; from then on it is closed or,
    /// if silent, nothing comes any more.
    Holds {
        executes: u32,
        answers: u32,
        silent: bool,
    },
    /// It was closed meanwhile, which shows when something is sent.
    Gone,
}

impl Conduct {
    pub(super) fn draw(choice: &mut impl Choice, new: bool) -> Conduct {
        match choice.below(12) {
            0 if new => Conduct::Refuses,
            1 if new => Conduct::NoAddress,
            2 if new => Conduct::ConnectsTooLate,
            3 => Conduct::Gone,
            4..6 => {
                let executes = choice.below(6);
                Conduct::Holds { executes, answers: choice.below(executes + 1), silent: choice.ratio(1, 3) }
            }
            _ => Conduct::Holds { executes: u32::MAX, answers: u32::MAX, silent: false },
        }
    }
}

/// A connection between the two.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) connection: Connection,
    pub(super) conduct: Conduct,
    /// Requests, which are read as replies are: arrays of bulk strings.
    pub(super) coming: ReplyReader,
    pub(super) going: VecDeque<u8>,
    pub(super) closed: bool,
    /// The database that the last call, if it succeeded, selected.
    pub(super) db: Option<i64>,
}

/// A command that reached the target, and its answer if that got back.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) line: usize,
    pub(super) words: Vec<Vec<u8>>,
    pub(super) answer: Option<Reply>,
}

/// What was wanted when the way failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    Connecting(PeerFailure),
    Sending,
    Receiving(PeerFailure),
}

/// The way to the target.
pub(super) struct Road {
    pub(super) target: Held,
    pub(super) lines: Vec<Line>,
    /// For the connections that are made next.
    pub(super) conducts: VecDeque<Conduct>,
    pub(super) chance: ChaCha8Rng,
    pub(super) said: Vec<Said>,
    pub(super) failures: Vec<Failure>,
    /// How often it was tried to connect.
    pub(super) connects: usize,
    /// What the target did wrong.
    pub(super) wrong: Option<String>,
}

pub(super) fn shown(words: &[Vec<u8>]) -> String {
    let slices: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
    Request::from(&slices[..]).to_string()
}

/// The next whole request.
fn next_request(coming: &mut ReplyReader) -> Result<Option<Vec<Vec<u8>>>, String> {
    let word = |word| match word {
        Reply::Bulk(word) => Ok(word),
        other => Err(format!("{other:?} is no word of a request")),
    };
    match coming.next_reply() {
        Ok(Some(Reply::Array(words))) => words.into_iter().map(word).collect::<Result<_, _>>().map(Some),
        Ok(None) => Ok(None),
        other => Err(format!("{other:?} is no request")),
    }
}

impl Road {
    fn line(&mut self, peer: PeerId) -> Result<usize, PeerFailure> {
        let place = usize::try_from(peer.0).ok().filter(|&place| place < self.lines.len());
        place.filter(|&place| !self.lines[place].closed).ok_or(PeerFailure::Broken)
    }

    /// The target executes what has arrived whole, as long as the line holds.
    fn arrive(&mut self, place: usize) {
        loop {
            let words = match next_request(&mut self.lines[place].coming) {
                Ok(Some(words)) => words,
                Ok(None) => return,
                Err(wrong) => {
                    self.wrong.get_or_insert(wrong);
                    return;
                }
            };
            let line = &mut self.lines[place];
            let Conduct::Holds { executes, answers, .. } = &mut line.conduct else { return };
            if *executes == 0 {
                return;
            }
            *executes = executes.saturating_sub(1);
            let gets_back = *answers > 0;
            *answers = answers.saturating_sub(1);
            let slices: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
            let answer = match self.target.ask(line.connection, &slices) {
                Ok(answer) => answer,
                Err(wrong) => {
                    self.wrong.get_or_insert(wrong);
                    return;
                }
            };
            if gets_back {
                let (sign, text) = match &answer {
                    Reply::Status(text) => (b'+', text),
                    Reply::Error(text) => (b'-', text),
                    other => {
                        self.wrong.get_or_insert(format!("{} is answered by {other:?}", Request::from(&slices[..])));
                        return;
                    }
                };
                line.going.push_back(sign);
                line.going.extend(text.iter().chain(b"\r\n"));
            }
            self.said.push(Said { line: place, words, answer: Some(answer).filter(|_| gets_back) });
        }
    }
}

impl Neighbour for Road {
    fn connect(&mut self, _host: &[u8], _port: u16) -> Result<PeerId, PeerFailure> {
        self.connects += 1;
        let conduct = self.conducts.pop_front().unwrap_or(Conduct::Refuses);
        let failure = match conduct {
            Conduct::Refuses => PeerFailure::Broken,
            Conduct::NoAddress => PeerFailure::Unreachable("Name or service not known".to_owned()),
            Conduct::ConnectsTooLate => PeerFailure::TimedOut,
            Conduct::Gone | Conduct::Holds { .. } => match self.target.open() {
                Ok(connection) => {
                    let (coming, going) = (ReplyReader::default(), VecDeque::new());
                    self.lines.push(Line { connection, conduct, coming, going, closed: false, db: None });
                    return Ok(PeerId(self.lines.len() as u64 - 1));
                }
                Err(wrong) => {
                    self.wrong.get_or_insert(wrong);
                    PeerFailure::Broken
                }
            },
        };
        self.failures.push(Failure::Connecting(failure.clone()));
        Err(failure)
    }

    fn send(&mut self, peer: PeerId, bytes: &[u8]) -> Result<(), PeerFailure> {
        let place = self.line(peer)?;
        if matches!(self.lines[place].conduct, Conduct::Gone) && self.chance.ratio(1, 2) {
            self.failures.push(Failure::Sending);
            return Err(PeerFailure::Broken);
        }
        self.lines[place].coming.push(bytes);
        self.arrive(place);
        Ok(())
    }

    fn receive(&mut self, peer: PeerId, room: &mut [u8]) -> Result<usize, PeerFailure> {
        let place = self.line(peer)?;
        let line = &mut self.lines[place];
        // In pieces, as it comes.
        let most = line.going.len().min(room.len()).min(1 + self.chance.below(40) as usize);
        if most == 0 {
            let silent = matches!(line.conduct, Conduct::Holds { silent: true, .. });
            let failure = if silent { PeerFailure::TimedOut } else { PeerFailure::Broken };
            self.failures.push(Failure::Receiving(failure.clone()));
            return Err(failure);
        }
        for (place, byte) in room.iter_mut().zip(line.going.drain(..most)) {
            *place = byte;
        }
        Ok(most)
    }

    fn close(&mut self, peer: PeerId) {
        if let Ok(place) = self.line(peer) {
            self.lines[place].closed = true;
            self.target.close(self.lines[place].connection);
        }
    }
}
