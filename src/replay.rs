//! `tally replay`: runs a script again and says whether it holds.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use tally_check::Reply;
use tally_check::coverage::Coverage;
use tally_check::runner::{Observer, run_script_for};
use tally_check::script::{self, Step};
use tally_check::session::Delivered;
use tally_check::target::{Embedded, Target};

use crate::check::{Judging, connect};

/// Runs a script on the embedded engine, or on the server at URL.
#[derive(Args)]
pub(crate) struct Replay {
    /// The script, as `tally check` writes it.
    file: PathBuf,
    /// `redis://[:password@]host[:port]` or `unix:///path`; the embedded engine when absent.
    url: Option<String>,
    #[command(flatten)]
    judging: Judging,
    /// The server may hold keys: they will be deleted.
    #[arg(long)]
    flush: bool,
}

/// Prints what steps lead to, as the files under `tests/scripts` hold it.
struct Printer<'a> {
    steps: &'a [Step],
}

impl Observer for Printer<'_> {
    fn answered(&mut self, step: usize, replies: &[Reply]) {
        if let Some(step) = self.steps.get(step) {
            println!("{step}");
        }
        for reply in replies {
            println!("  = {reply}");
        }
    }

    fn delivered(&mut self, step: usize, delivered: Delivered) {
        // Of other steps than commands nothing has been printed yet.
        if let Some(step) = self.steps.get(step).filter(|step| !matches!(step, Step::Command { .. })) {
            println!("{step}");
        }
        println!("  = {}< {}", delivered.client, delivered.what);
    }
}

impl Replay {
    pub(crate) fn run(self) -> ExitCode {
        let cannot = |reason: String| {
            eprintln!("tally replay: {reason}");
            ExitCode::from(2)
        };
        let text = match std::fs::read_to_string(&self.file) {
            Ok(text) => text,
            Err(error) => return cannot(format!("cannot read {}: {error}", self.file.display())),
        };
        let file = match script::parse(&text) {
            Ok(file) => file,
            Err(error) => return cannot(format!("{}: {error}", self.file.display())),
        };
        let (mut embedded, mut live);
        let target: &mut dyn Target = match &self.url {
            None => {
                embedded = Embedded::new();
                &mut embedded
            }
            Some(url) => match connect(url, self.flush) {
                Ok(server) => {
                    live = server;
                    &mut live
                }
                Err(reason) => return cannot(reason),
            },
        };
        let profile = self.judging.profile(target.can().live);
        let mut coverage = Coverage::default();
        let mut printer = Printer { steps: &file.script.steps };
        let outcome = run_script_for(target, &file.script, profile, &mut coverage, &mut printer);
        match outcome {
            Ok(()) => {
                println!("{} commands hold", coverage.commands);
                ExitCode::SUCCESS
            }
            Err(finding) => {
                println!("{finding}");
                ExitCode::from(1)
            }
        }
    }
}
