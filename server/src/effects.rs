//! Executing what the engine asks for, in order.
//!
//! An effect's answer (a file's bytes are written, a snapshot ended) is handed to the engine at once, and what the
//! engine adds because of it is executed before the effects that were waiting: so a failed append to the AOF can end the
//! process before any reply to the commands in it leaves.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use tally_engine::{Effect, Engine, Event, FileEffect, FileId, IoFailure, SnapshotMode};

use crate::child::{Child, Work};
use crate::event_loop::{EventLoop, LoadFailure};
use crate::{files, limits, logging, rewrite};

/// A path as the configuration holds it.
pub(crate) fn path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}

impl EventLoop {
    /// Executes everything the engine left, and what comes of that.
    pub(crate) fn execute_effects(&mut self, engine: &mut Engine) {
        if self.executing || self.exit.is_some() || engine.effects().is_empty() {
            return;
        }
        self.executing = true;
        loop {
            self.pending.extend(engine.effects().drain(..).rev());
            let Some(effect) = self.pending.pop() else {
                break;
            };
            self.execute(engine, effect);
            if self.exit.is_some() {
                self.pending.clear();
                break;
            }
        }
        self.executing = false;
    }

    fn execute(&mut self, engine: &mut Engine, effect: Effect) {
        match effect {
            Effect::Output { client } => {
                if let Some(slot) = self.connections.slot_of(client) {
                    self.write(engine, slot);
                }
            }
            Effect::Close { client, after_output } => {
                if let Some(slot) = self.connections.slot_of(client) {
                    match self.connections.get(slot) {
                        Some(connection) if after_output => {
                            connection.closing = true;
                            self.write(engine, slot);
                        }
                        _ => self.close(engine, slot),
                    }
                }
            }
            Effect::File(step) => self.file_step(engine, step),
            Effect::Snapshot(SnapshotMode::Foreground) => {
                let result = self.save(engine);
                self.tell(engine, Event::SnapshotEnded { result, copied_on_write: 0 });
            }
            Effect::Snapshot(SnapshotMode::Background) => self.start_child(engine),
            Effect::StopSnapshot => self.stop_child(Work::Snapshot),
            Effect::Rewrite => self.start_rewrite(engine),
            Effect::StopRewrite => self.stop_child(Work::Rewrite),
            Effect::Reload { aof } => {
                let result = self.reload(engine, aof);
                // Else it was not loaded to its end, and nobody is left to be told.
                if self.exit.is_none() {
                    self.tell(engine, Event::Reloaded { result });
                }
            }
            Effect::RewriteConfig => {
                let result = self.rewrite_config(engine).map_err(|error| files::failure(&error));
                self.tell(engine, Event::ConfigRewritten { result });
            }
            Effect::ConfigChanged { directive } => self.config_changed(engine, directive),
            Effect::Log { level, text } => logging::line(level, &text),
            Effect::Exit { code } => self.exit = Some(code),
            Effect::Crash { reason } => crate::crash::on_purpose(reason),
        }
    }

    fn file_path(&self, engine: &Engine, file: FileId) -> PathBuf {
        match file {
            FileId::Aof => path(&engine.config().appendfilename),
            FileId::AofRewritten => self.rewritten.clone(),
        }
    }

    fn file_step(&mut self, engine: &mut Engine, step: FileEffect) {
        let (file, result) = match step {
            FileEffect::Open(file) => {
                let path = self.file_path(engine, file);
                (file, self.files.open(file, &path, true))
            }
            FileEffect::Reopen(file) => {
                let path = self.file_path(engine, file);
                (file, self.files.open(file, &path, false))
            }
            FileEffect::Write(file) => {
                let bytes = engine.file_bytes(file);
                let length = bytes.len();
                match self.files.append(file, bytes) {
                    Ok(()) => return self.tell(engine, Event::FileDone { file, bytes: length }),
                    Err((bytes, error)) => {
                        let failure = files::failure(&error);
                        return self.tell(engine, Event::FileFailed { file, bytes, failure });
                    }
                }
            }
            FileEffect::Fsync(file) => (file, self.files.sync(file)),
            FileEffect::FsyncInBackground(file) => {
                match self.files.share(file) {
                    // How it ended is told when the thread is done.
                    Ok(open) => return self.fsync.request(file, open),
                    Err(error) => (file, Err(error)),
                }
            }
            FileEffect::Truncate(file, length) => (file, self.files.truncate(file, length)),
            FileEffect::Rename(from, to) => {
                let renamed = fs::rename(self.file_path(engine, from), self.file_path(engine, to));
                if renamed.is_ok()
                    && let Some(old) = self.files.renamed(from, to)
                {
                    self.fsync.close(old);
                }
                (from, renamed)
            }
            FileEffect::Close(file) => {
                self.files.close(file);
                (file, Ok(()))
            }
            FileEffect::Remove(file) => (file, fs::remove_file(self.file_path(engine, file))),
            FileEffect::SyncDirectory => (FileId::Aof, files::sync_directory(None)),
        };
        self.background_sync_ended(engine, file, result);
    }

    /// Tells the engine how a step without bytes ended.
    pub(crate) fn background_sync_ended(&mut self, engine: &mut Engine, file: FileId, result: io::Result<()>) {
        match result {
            Ok(()) => self.tell(engine, Event::FileDone { file, bytes: 0 }),
            Err(error) => self.tell(engine, Event::FileFailed { file, bytes: 0, failure: files::failure(&error) }),
        }
    }

    fn save(&mut self, engine: &Engine) -> Result<u64, IoFailure> {
        let config = engine.config();
        let (destination, incremental) = (path(&config.dbfilename), config.rdb_save_incremental_fsync);
        let saved = files::write_dump(&destination, incremental, |writer| engine.snapshot(writer), || Ok(()));
        saved.map_err(|error| files::failure(&error))
    }

    fn start_child(&mut self, engine: &mut Engine) {
        let config = engine.config();
        let (destination, incremental) = (path(&config.dbfilename), config.rdb_save_incremental_fsync);
        let unwanted = self.listening_descriptors();
        let child = self.fsync.while_it_allocates_nothing(|| Child::save(engine, &destination, incremental, &unwanted));
        match child {
            Ok(child) => {
                tracing::info!("Background saving started by pid {}", child.pid());
                let fork_us = child.fork_us;
                self.child = Some(child);
                self.tell(engine, Event::ChildStarted { fork_us });
            }
            Err(error) => {
                let failure = files::failure(&error);
                tracing::warn!("Can't save in background: fork: {}", failure.text);
                self.tell(engine, Event::SnapshotEnded { result: Err(failure), copied_on_write: 0 });
            }
        }
    }

    fn start_rewrite(&mut self, engine: &mut Engine) {
        let unwanted = self.listening_descriptors();
        let started = self.fsync.while_it_allocates_nothing(|| rewrite::start(engine, &unwanted));
        let started = started.and_then(|(child, ends)| match self.watch_rewrite(&ends) {
            Ok(()) => Ok((child, ends)),
            Err(error) => {
                child.stop();
                Err(error)
            }
        });
        match started {
            Ok((child, ends)) => {
                tracing::info!("Background append only file rewriting started by pid {}", child.pid());
                let fork_us = child.fork_us;
                self.rewritten = child.path();
                self.child = Some(child);
                self.rewrite_ends = Some(ends);
                self.tell(engine, Event::ChildStarted { fork_us });
            }
            Err(error) => {
                let failure = files::failure(&error);
                tracing::warn!("Can't rewrite append only file in background: fork: {}", failure.text);
                self.tell(engine, Event::RewriteEnded { result: Err(failure), copied_on_write: 0 });
            }
        }
    }

    fn stop_child(&mut self, work: Work) {
        if let Some(child) = self.child.take_if(|child| child.work() == work) {
            self.unwatch_rewrite();
            child.stop();
        }
    }

    /// Looks whether the child has ended.
    pub(crate) fn reap_child(&mut self, engine: &mut Engine) {
        let Some((end, work)) = self.child.as_mut().and_then(|child| Some((child.reap(false)?, child.work()))) else {
            return;
        };
        self.child = None;
        let (result, copied_on_write) = (end.result, end.copied_on_write);
        match work {
            Work::Snapshot => self.tell(engine, Event::SnapshotEnded { result, copied_on_write }),
            Work::Rewrite => {
                self.unwatch_rewrite();
                self.tell(engine, Event::RewriteEnded { result, copied_on_write });
            }
        }
    }

    /// Loads the dump or the AOF in the place of the dataset.
    fn reload(&mut self, engine: &mut Engine, aof: bool) -> Result<(), IoFailure> {
        let config = engine.config();
        let name = path(if aof { &config.appendfilename } else { &config.dbfilename });
        self.load_while_serving(engine, aof, &name).map_err(|failure| match failure {
            LoadFailure::Io(error) => files::failure(&error),
            LoadFailure::File(error) => IoFailure::new(0, error.to_string()),
        })
    }

    /// Replaces the configuration file as a whole, so that a crash leaves the old one or the new one.
    fn rewrite_config(&mut self, engine: &Engine) -> io::Result<()> {
        // Through links to the file itself: a rename would replace the link.
        let target = fs::canonicalize(path(&engine.config().config_file))?;
        let new = engine.config().rewritten(&fs::read(&target)?);
        let permissions = fs::metadata(&target)?.permissions();
        let mut name = target.clone().into_os_string();
        name.push(format!(".{}.tmp", std::process::id()));
        let temporary = PathBuf::from(name);
        let result = (|| {
            let mut file = File::create(&temporary)?;
            file.set_permissions(permissions)?;
            file.write_all(&new)?;
            file.sync_all()?;
            fs::rename(&temporary, &target)?;
            files::sync_directory(target.parent())
        })();
        if result.is_err() {
            // The first failure is the one to report.
            let _ = fs::remove_file(&temporary);
        }
        result
    }

    /// A directive that this crate acts on was set by CONFIG SET. The others are read when they are needed.
    fn config_changed(&mut self, engine: &Engine, directive: &str) {
        let config = engine.config();
        match directive {
            "loglevel" => logging::set_level(config.loglevel),
            "maxclients" => {
                limits::make_room_for_clients(u64::try_from(config.maxclients).unwrap_or(0));
            }
            _ => {}
        }
    }
}

/// Opens what is needed to say whether a file exists and can be read, with its length.
pub(crate) fn existing(path: &Path) -> io::Result<Option<u64>> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata.len())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
