//! Where the settings come from: a configuration file (or standard input) and the options of the command line.
//!
//! `tally serve [FILE | -] [--directive value …] …`. Options become lines of configuration that follow the file's, so
//! that an option wins over the file and an error in either is shown the same way. As in Redis, a server that was told
//! anything at all starts without the default save points.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use tally_engine::Config;
use tally_engine::config::ConfigError;
use tally_engine::config::parse::lines_from_options;

/// Why the settings are not usable.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    /// The file cannot be read.
    #[error("Fatal error, can't open config file '{}': {source}", path.display())]
    File {
        /// As it was given.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A line of it, or an option, is wrong.
    #[error(transparent)]
    Line(#[from] ConfigError),
}

/// Reads what the command line names. The second value says whether it named anything.
pub(crate) fn gather(arguments: &[OsString]) -> Result<(Config, bool), SettingsError> {
    if arguments.is_empty() {
        return Ok((Config::for_server(), false));
    }
    let (file, options) = match arguments.split_first() {
        Some((first, rest)) if !first.as_bytes().starts_with(b"--") => (Some(PathBuf::from(first)), rest),
        _ => (None, arguments),
    };
    let mut config = Config::default();
    let mut text = Vec::new();
    if let Some(path) = file {
        let failed = |source| SettingsError::File { path: path.clone(), source };
        if path == Path::new("-") {
            io::stdin().read_to_end(&mut text).map_err(failed)?;
        } else {
            text = fs::read(&path).map_err(failed)?;
            config.config_file = std::path::absolute(&path).map_err(failed)?.into_os_string().into_encoded_bytes();
        }
        text.push(b'\n');
    }
    text.extend(lines_from_options(options.iter().map(|option| option.as_bytes())));
    config.apply(&text, &mut |path| {
        fs::read(std::ffi::OsStr::from_bytes(path))
            .map_err(|error| format!("can't open config file '{}': {error}", String::from_utf8_lossy(path)))
    })?;
    Ok((config, true))
}
