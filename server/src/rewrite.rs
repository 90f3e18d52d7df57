//! The rewrite of the append-only file over real pipes: both ends of the hand-off that the engine's
//! [`tally_engine::aof::rewrite`] describes.
//!
//! ```text
//! parent                                child
//!   at the end of each turn ── data ──► read whenever a piece of the file was written, then until it is told to stop
//! ```
//!
//! All ends are non-blocking. A parent that dies closes its ends, which the child notices while it waits: then it removes
//! its file and leaves.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use tally_engine::Engine;
use tally_engine::aof::rewrite::{
    ChildEnds, ChildWants, GaveUp, ParentEnds, Pipe, PipeEvent, QUIET_WAITS, RewriteChild, Sound, Transfer,
};

use crate::child::{Child, Work};
use crate::files::SteppedSync;

/// One end of a pipe.
#[derive(Debug)]
pub(crate) struct PipeEnd(Option<OwnedFd>);

impl PipeEnd {
    /// Its descriptor, while it is open.
    pub(crate) fn descriptor(&self) -> Option<RawFd> {
        self.0.as_ref().map(AsRawFd::as_raw_fd)
    }

    fn transfer(&self, mut call: impl FnMut(BorrowedFd<'_>) -> Result<usize, Errno>) -> Transfer {
        let Some(descriptor) = &self.0 else { return Transfer::Ended };
        loop {
            return match call(descriptor.as_fd()) {
                Ok(0) | Err(Errno::PIPE) => Transfer::Ended,
                Ok(bytes) => Transfer::Moved(bytes),
                Err(Errno::AGAIN) => Transfer::NotNow,
                Err(Errno::INTR) => continue,
                Err(_) => Transfer::Failed,
            };
        }
    }

    /// Waits until it can be read.
    fn wait(&self, at_most_ms: u64) -> bool {
        let Some(descriptor) = &self.0 else { return false };
        let mut wanted = [PollFd::new(descriptor, PollFlags::IN)];
        let seconds = i64::try_from(at_most_ms / 1000).unwrap_or(i64::MAX);
        // Below a thousand million.
        let timeout = Timespec { tv_sec: seconds, tv_nsec: (at_most_ms % 1000 * 1_000_000) as _ };
        matches!(poll(&mut wanted, Some(&timeout)), Ok(1..))
    }
}

impl Pipe for PipeEnd {
    fn try_write(&mut self, bytes: &[u8]) -> Transfer {
        self.transfer(|descriptor| rustix::io::write(descriptor, bytes))
    }

    fn try_read(&mut self, into: &mut [u8]) -> Transfer {
        self.transfer(|descriptor| rustix::io::read(descriptor, &mut *into))
    }

    fn close(&mut self) {
        self.0 = None;
    }
}

fn pipe() -> io::Result<(PipeEnd, PipeEnd)> {
    let (reading, writing) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    Ok((PipeEnd(Some(reading)), PipeEnd(Some(writing))))
}

/// Forks the child. `unwanted` are descriptors (listening sockets) that it must not keep alive.
pub(crate) fn start(engine: &Engine, unwanted: &[BorrowedFd<'_>]) -> io::Result<(Child, ParentEnds<PipeEnd>)> {
    let (data_out, data_in) = pipe()?;
    let (requests_out, requests_in) = pipe()?;
    let (acknowledgements_out, acknowledgements_in) = pipe()?;
    let parent = ParentEnds { data: data_in, requests: requests_out, acknowledgements: acknowledgements_in };
    let ends = ChildEnds { data: data_out, requests: requests_in, acknowledgements: acknowledgements_out };
    let mut unwanted: Vec<RawFd> = unwanted.iter().map(AsRawFd::as_raw_fd).collect();
    // The parent's ends: while the child held them too, it would not notice that the parent is gone.
    unwanted
        .extend([&parent.data, &parent.requests, &parent.acknowledgements].iter().filter_map(|end| end.descriptor()));
    let stepwise = engine.config().aof_rewrite_incremental_fsync;
    // The ends of the child are closed with the value, in the parent right after the fork.
    let child = Child::fork(Work::Rewrite, &unwanted, |path| {
        let result = in_child(engine, ends, path, stepwise);
        if result.is_err() {
            // The first failure is the one to report.
            let _ = fs::remove_file(path);
        }
        result
    })?;
    Ok((child, parent))
}

/// The child's side while it writes: each piece of the file is a chance to take what the parent sends.
struct Listening<'a> {
    file: BufWriter<SteppedSync>,
    side: &'a mut RewriteChild<Sound>,
    ends: &'a mut ChildEnds<PipeEnd>,
}

impl Write for Listening<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Time does not matter before the dataset is written; whether the parent is gone does.
        if let ChildWants::GiveUp(why) = self.side.step(self.ends, PipeEvent::Data, 0) {
            return Err(gave_up(why));
        }
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn in_child(engine: &Engine, mut ends: ChildEnds<PipeEnd>, path: &Path, stepwise: bool) -> io::Result<u64> {
    let mut side = RewriteChild::<Sound>::new(QUIET_WAITS);
    let file = BufWriter::with_capacity(64 * 1024, SteppedSync::new(File::create(path)?, stepwise));
    let mut listening = Listening { file, side: &mut side, ends: &mut ends };
    let dataset = engine.compact_aof(&mut listening)?;
    let mut file = listening.file;
    let began = Instant::now();
    let now_ms = || u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let mut wants = side.snapshot_written(now_ms());
    let received = loop {
        let event = match wants {
            ChildWants::Snapshot => PipeEvent::Nothing,
            ChildWants::Data { at_most_ms } => ready(&ends.data, at_most_ms, PipeEvent::Data),
            ChildWants::Signal { at_most_ms } => ready(&ends.acknowledgements, at_most_ms, PipeEvent::Signal),
            ChildWants::Finish => break side.received(),
            ChildWants::GiveUp(why) => return Err(gave_up(why)),
        };
        wants = side.step(&mut ends, event, now_ms());
    };
    file.write_all(received)?;
    file.into_inner().map_err(io::IntoInnerError::into_error)?.finish()?;
    ends.close();
    Ok(dataset.saturating_add(received.len() as u64))
}

fn ready(end: &PipeEnd, at_most_ms: u64, event: PipeEvent) -> PipeEvent {
    if end.wait(at_most_ms) { event } else { PipeEvent::Nothing }
}

/// As an error of the system, because the child's report has room for its number only.
fn gave_up(why: GaveUp) -> io::Error {
    io::Error::from_raw_os_error(match why {
        GaveUp::ParentGone => libc::EPIPE,
        GaveUp::NotAcknowledged => libc::ETIMEDOUT,
        GaveUp::PipeFailed | GaveUp::Unexpected(_) => libc::EPROTO,
    })
}
