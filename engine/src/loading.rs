//! Loading step by step, so that a driver can serve clients in between.
//!
//! ```text
//!   begin_loading ─► load_step ─► clients' input, end of the batch ─► load_step … ─► the dataset is there, or an error
//! ```
//! Meanwhile only the commands that the table allows are executed, none of which sees a key, and the others are answered
//! `-LOADING`. The driver tells no ticks: nothing expires, is saved or evicted of a dataset that is not complete.

use std::io::Read;

use crate::aof::AofError;
use crate::aof::load::AofLoad;
use crate::engine::Engine;
use crate::rdb::RdbError;
use crate::rdb::load::{LoadedAs, SnapshotLoad};
use crate::world::World;

/// Why a file was not loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// A dump is damaged.
    #[error(transparent)]
    Rdb(#[from] RdbError),
    /// An append-only file is damaged.
    #[error(transparent)]
    Aof(#[from] AofError),
}

/// How far loading is, for INFO.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    /// When it began, Unix seconds.
    pub(crate) started_s: i64,
    /// Bytes of the file.
    pub(crate) total: u64,
    /// Bytes read so far.
    pub(crate) loaded: u64,
}

/// A file that is being loaded.
pub struct Loading<R>(Kind<R>);

enum Kind<R> {
    Dump(Box<SnapshotLoad<R>>),
    Aof(Box<AofLoad<R>>),
    Over,
}

impl Engine {
    /// Begins to load a file of `length` bytes, an append-only file or a dump, in the place of an empty dataset.
    pub fn begin_loading<R: Read>(
        &mut self,
        world: &mut dyn World,
        source: R,
        aof: bool,
        length: u64,
    ) -> Result<Loading<R>, LoadError> {
        self.read_clock(world);
        let server = &mut self.server;
        let kind = if aof {
            Kind::Aof(Box::new(AofLoad::begin(server, source).of_length(length)))
        } else {
            Kind::Dump(Box::new(SnapshotLoad::begin(server, source, LoadedAs::Dump)?.of_length(length)))
        };
        server.loading = true;
        server.loading_progress = Some(Progress { started_s: server.clock.unix_s(), total: length, loaded: 0 });
        Ok(Loading(kind))
    }

    /// Loads for a while; `false` when all of it is loaded. After an error the dataset is as it was before.
    pub fn load_step<R: Read>(&mut self, world: &mut dyn World, loading: &mut Loading<R>) -> Result<bool, LoadError> {
        self.read_clock(world);
        let server = &mut self.server;
        let (goes_on, loaded) = match &mut loading.0 {
            Kind::Dump(load) => (load.step(server).map_err(LoadError::from), load.offset()),
            Kind::Aof(load) => (load.step(server, world).map_err(LoadError::from), load.offset()),
            Kind::Over => (Ok(false), 0),
        };
        if let Ok(true) = goes_on {
            if let Some(progress) = &mut server.loading_progress {
                progress.loaded = loaded;
            }
            return goes_on;
        }
        server.loading = false;
        server.loading_progress = None;
        match (std::mem::replace(&mut loading.0, Kind::Over), goes_on.is_ok()) {
            (Kind::Dump(load), true) => {
                let _ = load.finish(server);
                server.dirty = 0;
            }
            (Kind::Aof(load), true) => {
                let _ = load.finish(server);
            }
            (Kind::Aof(load), false) => load.abandon(server),
            (Kind::Dump(_), false) | (Kind::Over, _) => {}
        }
        goes_on
    }
}
