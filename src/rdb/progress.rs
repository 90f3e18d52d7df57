//! How far a file is read: a bar on a terminal, nothing elsewhere.

use std::fs::File;
use std::io::{self, IsTerminal, Read};

use indicatif::{ProgressBar, ProgressStyle};

/// Files that are read before a bar could be looked at need none, bytes.
const WORTH_A_BAR: u64 = 64 << 20;

/// The file, which moves a bar while it is read when it is large and standard error is a terminal.
pub(super) fn shown(file: File) -> Box<dyn Read> {
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    if length < WORTH_A_BAR || !io::stderr().is_terminal() {
        return Box::new(file);
    }
    let bar = ProgressBar::new(length);
    // A template that does not parse would only cost the looks.
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left") {
        bar.set_style(style);
    }
    Box::new(bar.wrap_read(file))
}
