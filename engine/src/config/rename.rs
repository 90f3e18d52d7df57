//! `rename-command`: which names a configuration file may rename, and to what.

use super::Config;
use crate::commands::table::Renames;

/// Commands of Redis 5 that are not built yet. Files may rename them, so that a configuration that hides dangerous
/// commands works unchanged.
pub const COMMANDS_TO_COME: &[&str] = &["psync", "replconf", "replicaof", "slaveof", "sync"];

impl Config {
    /// Gives a command another name; none when `new` is empty.
    pub(super) fn rename(&mut self, old: &[u8], new: &[u8]) -> Result<(), String> {
        let renames = Renames::new(&self.rename_command);
        let renamed = |name: &[u8]| self.rename_command.iter().any(|(before, _)| before.eq_ignore_ascii_case(name));
        let known = |name: &[u8]| renames.find(name).is_some() || (is_to_come(name) && !renamed(name));
        if !known(old) {
            return Err("No such command in rename-command".into());
        }
        if !new.is_empty() && known(new) {
            return Err("Target command name already exists".into());
        }
        self.rename_command.push((old.to_ascii_lowercase(), new.to_vec()));
        Ok(())
    }
}

fn is_to_come(name: &[u8]) -> bool {
    COMMANDS_TO_COME.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(name))
}
