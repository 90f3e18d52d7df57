//! Persistence as long as the engine has none.
use std::io::{self, Read, Write};
use tally_engine::{Engine, FileId, World};
fn absent<T>() -> io::Result<T> {
    Err(io::Error::other("this build cannot save or load yet"))
}
pub(crate) trait Absent {
    fn snapshot(&self, _: &mut dyn Write) -> io::Result<u64> {
        absent()
    }
    fn load_rdb(&mut self, _: &mut dyn World, _: &mut dyn Read) -> io::Result<()> {
        absent()
    }
    fn load_aof(&mut self, _: &mut dyn World, _: &mut dyn Read) -> io::Result<()> {
        absent()
    }
    fn file_bytes(&self, _: FileId) -> &[u8] {
        &[]
    }
}
impl Absent for Engine {}
