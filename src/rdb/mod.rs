//! `tally rdb`: what an RDB file holds, where it breaks, or how it differs from another.

mod content;
mod diff;
mod largest;
mod print;
mod progress;
mod summary;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use tally_engine::rdb::RdbErrorKind;

use self::diff::{Difference, Trouble};
use self::print::Printer;
use self::summary::Summary;

/// Checks a dump and says what is in it, or where it breaks.
///
/// Exit code 0: whole, or equal; 1: damaged, or different; 2: could not be read.
#[derive(Args)]
pub(crate) struct Rdb {
    /// The dump, for example dump.rdb.
    file: PathBuf,
    /// Print the content as JSON, as it is read.
    #[arg(long)]
    json: bool,
    /// Print for each type and form how many keys, elements and bytes there are, and which keys are the largest.
    #[arg(long, conflicts_with = "json")]
    stats: bool,
    /// Compare with another dump key by key: what is only here (-), only there (+), and what differs (~).
    #[arg(long, value_name = "OTHER", conflicts_with_all = ["json", "stats"])]
    diff: Option<PathBuf>,
}

impl Rdb {
    pub(crate) fn run(&self) -> ExitCode {
        if let Some(other) = &self.diff {
            return self.compare(other);
        }
        let name = self.file.display();
        let file = match File::open(&self.file) {
            Ok(file) => file,
            Err(error) => {
                eprintln!("tally rdb: {name}: {error}");
                return ExitCode::from(2);
            }
        };
        let mut output = BufWriter::new(io::stdout().lock());
        let mut printer = Printer::new(&mut output, self.json, self.stats);
        let mut summary = Summary::default();
        let printed = printer
            .begin(&name.to_string())
            .and_then(|()| summary::read(progress::shown(file), &mut summary, &mut printer))
            .and_then(|()| printer.end(&name.to_string(), &summary))
            .and_then(|()| output.flush());
        match (printed, &summary.damage) {
            // Who reads the output may stop early.
            (Err(error), _) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            (Err(error), _) => {
                eprintln!("tally rdb: {error}");
                ExitCode::from(2)
            }
            (Ok(()), None) => ExitCode::SUCCESS,
            (Ok(()), Some(damage)) if matches!(damage.kind, RdbErrorKind::Io(_)) => {
                eprintln!("tally rdb: {name}: {damage}");
                ExitCode::from(2)
            }
            (Ok(()), Some(_)) => ExitCode::from(1),
        }
    }

    fn compare(&self, other: &Path) -> ExitCode {
        let mut output = BufWriter::new(io::stdout().lock());
        let compared = diff::compare(&self.file, other, &mut output);
        let told = match &compared {
            Ok(Difference { equal, differing, only_first, only_second }) => writeln!(
                output,
                "{equal} keys equal, {differing} differ, {only_first} only in {}, {only_second} only in {}",
                self.file.display(),
                other.display()
            ),
            Err(_) => Ok(()),
        };
        match (compared, told.and_then(|()| output.flush())) {
            (Ok(difference), Ok(())) => ExitCode::from(u8::from(!difference.is_none())),
            (Err(Trouble::Damage(name, damage)), _) => {
                eprintln!("tally rdb: {name}: DAMAGED at {damage}");
                ExitCode::from(if matches!(damage.kind, RdbErrorKind::Io(_)) { 2 } else { 1 })
            }
            (Err(Trouble::Open(name, error)), _) => {
                eprintln!("tally rdb: {name}: {error}");
                ExitCode::from(2)
            }
            // Who reads the output may stop early.
            (Err(Trouble::Output(error)), _) | (_, Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                ExitCode::SUCCESS
            }
            (Err(Trouble::Output(error)), _) | (_, Err(error)) => {
                eprintln!("tally rdb: {error}");
                ExitCode::from(2)
            }
        }
    }
}
