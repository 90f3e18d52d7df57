//! Files the server writes: the append-only file step by step, and dumps as a whole.
//!
//! A dump is written to `temp-<pid>.rdb`, made durable, renamed over its final name, and the directory is made durable:
//! whoever dies at any point leaves either the old dump or the new one. All paths are relative to `dir`, which is the
//! working directory of the process.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use mio::Waker;
use tally_engine::{FileId, IoFailure};

use crate::signals::Digits;

/// Bytes gathered before a write of a dump.
const BUFFER: usize = 64 * 1024;
/// With `rdb-save-incremental-fsync`, bytes after which a dump is made durable piecemeal, so that the disk is not
/// given gigabytes at once at the end.
const SYNC_STEP: u64 = 32 * 1024 * 1024;

/// An error of the system as the engine is told it: `strerror`'s words without the number.
pub(crate) fn failure(error: &io::Error) -> IoFailure {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default().to_owned();
    IoFailure::new(error.raw_os_error().unwrap_or(0), text)
}

/// The name of the dump that the process `pid` is writing.
pub(crate) fn temporary_dump(pid: u32) -> String {
    format!("temp-{pid}.rdb")
}

/// Removes this process's temporary dump; async-signal-safe.
pub(crate) fn remove_own_temporary_dump() {
    let mut path = [0_u8; 32];
    let digits = Digits::of(u64::from(std::process::id()));
    let parts: [&[u8]; 4] = [b"temp-", digits.as_bytes(), b".rdb", b"\0"];
    for (place, &byte) in path.iter_mut().zip(parts.iter().copied().flatten()) {
        *place = byte;
    }
    // SAFETY: `path` is NUL-terminated (at most 5 + 10 + 4 bytes of it are used); unlink is async-signal-safe.
    unsafe { libc::unlink(path.as_ptr().cast()) };
}

/// Writes a dump under its temporary name and puts it in place, if `wanted` does not object when it is complete. Returns
/// what `fill` says it wrote.
pub(crate) fn write_dump(
    destination: &Path,
    incremental_sync: bool,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<u64>,
    wanted: impl FnOnce() -> io::Result<()>,
) -> io::Result<u64> {
    let temporary = temporary_dump(std::process::id());
    let result = (|| {
        let stepwise = SteppedSync::new(File::create(&temporary)?, incremental_sync);
        let mut writer = BufWriter::with_capacity(BUFFER, stepwise);
        let bytes = fill(&mut writer)?;
        let stepwise = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
        stepwise.finish()?;
        wanted()?;
        fs::rename(&temporary, destination)?;
        sync_directory(destination.parent())?;
        Ok(bytes)
    })();
    if result.is_err() {
        // The first failure is the one to report.
        let _ = fs::remove_file(&temporary);
    }
    result
}

/// Makes the names in a directory durable; the working directory when there is none or an empty one.
pub(crate) fn sync_directory(directory: Option<&Path>) -> io::Result<()> {
    let directory = directory.filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match File::open(directory)?.sync_all() {
        // Some file systems do not know fsync of a directory.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
        result => result,
    }
}

/// A file whose content is made durable every `step` bytes.
#[derive(Debug)]
pub(crate) struct SteppedSync {
    file: File,
    unsynced: u64,
    step: u64,
}

impl SteppedSync {
    /// `stepwise`: not only at the end.
    pub(crate) fn new(file: File, stepwise: bool) -> SteppedSync {
        SteppedSync { file, unsynced: 0, step: if stepwise { SYNC_STEP } else { u64::MAX } }
    }

    /// Makes all of it durable.
    pub(crate) fn finish(self) -> io::Result<()> {
        self.file.sync_all()
    }
}

impl Write for SteppedSync {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.unsynced = self.unsynced.saturating_add(written as u64);
        if self.unsynced >= self.step {
            self.file.sync_data()?;
            self.unsynced = 0;
        }
        Ok(written)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The engine's files that are open, by what they are.
#[derive(Debug, Default)]
pub(crate) struct OpenFiles {
    aof: Option<Arc<File>>,
    rewritten: Option<Arc<File>>,
}

impl OpenFiles {
    fn slot(&mut self, file: FileId) -> &mut Option<Arc<File>> {
        match file {
            FileId::Aof => &mut self.aof,
            FileId::AofRewritten => &mut self.rewritten,
        }
    }

    fn get(&mut self, file: FileId) -> io::Result<&Arc<File>> {
        self.slot(file).as_ref().ok_or_else(|| io::Error::from_raw_os_error(libc::EBADF))
    }

    /// Opens for appending; one that is not there is made if `create`.
    pub(crate) fn open(&mut self, file: FileId, path: &Path, create: bool) -> io::Result<()> {
        let opened = OpenOptions::new().append(true).create(create).open(path)?;
        *self.slot(file) = Some(Arc::new(opened));
        Ok(())
    }

    /// Appends; on failure says how many bytes were taken before it.
    pub(crate) fn append(&mut self, file: FileId, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
        let mut open: &File = self.get(file).map_err(|error| (0, error))?;
        let mut done = 0;
        while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
            match open.write(rest) {
                Ok(0) => return Err((done, io::ErrorKind::WriteZero.into())),
                Ok(written) => done += written,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err((done, error)),
            }
        }
        Ok(())
    }

    /// Makes what was appended durable.
    pub(crate) fn sync(&mut self, file: FileId) -> io::Result<()> {
        self.get(file)?.sync_data()
    }

    /// Another reference to the open file, for a thread that syncs it.
    pub(crate) fn share(&mut self, file: FileId) -> io::Result<Arc<File>> {
        self.get(file).cloned()
    }

    /// Cuts the file.
    pub(crate) fn truncate(&mut self, file: FileId, length: u64) -> io::Result<()> {
        self.get(file)?.set_len(length)
    }

    /// After a rename of `from` over `to`: the open file is now known by its new name. Answers the file that was.
    pub(crate) fn renamed(&mut self, from: FileId, to: FileId) -> Option<Arc<File>> {
        let file = self.slot(from).take()?;
        self.slot(to).replace(file)
    }

    /// Closes.
    pub(crate) fn close(&mut self, file: FileId) {
        *self.slot(file) = None;
    }
}

/// A thread that does nothing but fsync and close, so that `appendfsync everysec` does not make clients wait for the disk.
///
/// Invariant: it allocates and frees memory only while it holds the lock of its queues, so that whoever holds that lock
/// may fork: see [`crate::child`].
#[derive(Debug)]
pub(crate) struct BackgroundSync {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    queues: Mutex<Queues>,
    /// Something was asked for, or the thread is to end.
    asked: Condvar,
}

#[derive(Debug, Default)]
struct Queues {
    /// Files to sync, and without an id to close.
    requests: VecDeque<(Option<FileId>, Arc<File>)>,
    results: VecDeque<(FileId, io::Result<()>)>,
    over: bool,
}

impl Shared {
    /// The queues; a panic elsewhere leaves them as whole as they were.
    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, waker: &Waker) {
        let mut queues = self.lock();
        while !queues.over {
            let Some((id, file)) = queues.requests.pop_front() else {
                queues = self.asked.wait(queues).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            // Only the file itself is closed without the lock.
            let Some(id) = id else {
                let last = Arc::into_inner(file);
                drop(queues);
                drop(last);
                queues = self.lock();
                continue;
            };
            drop(queues);
            let result = file.sync_data();
            queues = self.lock();
            drop(file);
            queues.results.push_back((id, result));
            // A loop that cannot be woken finds the result at its next turn.
            let _ = waker.wake();
        }
    }
}

impl BackgroundSync {
    /// Starts the thread; `waker` ends the event loop's wait when a sync is done. It ends when this value is dropped.
    pub(crate) fn start(waker: Waker) -> io::Result<BackgroundSync> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        thread::Builder::new().name("fsync".to_owned()).spawn(move || theirs.run(&waker))?;
        Ok(BackgroundSync { shared })
    }

    fn push(&self, id: Option<FileId>, file: Arc<File>) {
        self.shared.lock().requests.push_back((id, file));
        self.shared.asked.notify_one();
    }

    /// Asks for a sync.
    pub(crate) fn request(&self, id: FileId, file: Arc<File>) {
        self.push(Some(id), file);
    }

    /// Closes a file that has lost its name: the system takes its time to free it.
    pub(crate) fn close(&self, file: Arc<File>) {
        self.push(None, file);
    }

    /// A sync that ended since the last call.
    pub(crate) fn finished(&self) -> Option<(FileId, io::Result<()>)> {
        self.shared.lock().results.pop_front()
    }

    /// Runs `fork` while the thread holds no lock of the allocator.
    pub(crate) fn while_it_allocates_nothing<T>(&self, fork: impl FnOnce() -> T) -> T {
        let _queues = self.shared.lock();
        fork()
    }
}

impl Drop for BackgroundSync {
    fn drop(&mut self) {
        self.shared.lock().over = true;
        self.shared.asked.notify_one();
    }
}
