//! `tally aof`: what an append-only file holds, or where it is damaged; `--fix` cuts it there, after asking.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use tally_engine::aof::{self, AofErrorKind, Scan};
use tally_engine::commands::table;

/// Commands that make no sense where they stand are told of, so many at most.
const MOST_STRANGE: usize = 10;
/// The bytes of an unknown name that are shown.
const SHOWN_NAME: usize = 64;

/// Checks an append-only file and says what is in it, or where it is damaged.
#[derive(Args)]
#[command(
    after_help = "Exit codes: 0 the file is whole, or was cut; 1 it is damaged, or holds commands that make no sense there, and was left as it is; 2 it could not be read or cut."
)]
pub(crate) struct Aof {
    /// The file, for example appendonly.aof.
    file: PathBuf,
    /// Cut a damaged file after its last whole command or transaction.
    #[arg(long)]
    fix: bool,
    /// With --fix: cut without asking.
    #[arg(long, requires = "fix")]
    yes: bool,
}

impl Aof {
    pub(crate) fn run(&self) -> ExitCode {
        match self.check() {
            Ok(code) => code,
            Err(error) => {
                eprintln!("tally aof: {}: {error}", self.file.display());
                ExitCode::from(2)
            }
        }
    }

    fn check(&self) -> io::Result<ExitCode> {
        let name = self.file.display();
        let file = File::open(&self.file)?;
        let length = file.metadata()?.len();
        let mut names: BTreeMap<String, u64> = BTreeMap::new();
        let (mut strange, mut is_open) = (Vec::new(), false);
        let scan = aof::scan(file, |offset, command| {
            let name = command.as_args()[0].to_ascii_uppercase();
            let nonsense = nonsense(&name, &mut is_open);
            if strange.len() < MOST_STRANGE {
                strange.extend(nonsense.map(|why| (offset, why)));
            }
            // A damaged file may hold any number of names; those of commands are short.
            if names.len() < 1000 || names.contains_key(&*String::from_utf8_lossy(&name)) {
                *names.entry(name.escape_ascii().to_string()).or_default() += 1;
            }
        });
        if let Some(AofErrorKind::Io(kind)) = scan.damage.as_ref().map(|damage| &damage.kind) {
            return Err((*kind).into());
        }
        println!("{name}: {} commands in {length} bytes", scan.commands);
        if let Some(keys) = scan.preamble_keys {
            println!("  preamble of {keys} keys");
        }
        for (name, count) in names {
            println!("  {name:<12} {count}");
        }
        for (offset, why) in &strange {
            println!("{name}: offset {offset}: {why}");
        }
        if strange.len() == MOST_STRANGE {
            println!("{name}: and perhaps more of that sort");
        }
        let Some(damage) = &scan.damage else {
            if strange.is_empty() {
                println!("{name}: whole");
                return Ok(ExitCode::SUCCESS);
            }
            // To cut there would lose what follows, which may well be wanted.
            println!("{name}: every command is whole, but the file is not as a server writes it");
            return Ok(ExitCode::from(1));
        };
        println!("{name}: DAMAGED at {damage}");
        println!("{name}: whole until {}, {} bytes follow", scan.whole_until, length - scan.whole_until);
        if self.fix { self.cut(&scan, length) } else { Ok(ExitCode::from(1)) }
    }

    fn cut(&self, scan: &Scan, length: u64) -> io::Result<ExitCode> {
        let name = self.file.display();
        if scan.damage.as_ref().is_some_and(|damage| matches!(damage.kind, AofErrorKind::Preamble(_))) {
            println!("{name}: the preamble is damaged; nothing after it can be trusted, so it is left as it is");
            return Ok(ExitCode::from(1));
        }
        let question =
            format!("{name}: cut {} bytes, so that {} are left?", length - scan.whole_until, scan.whole_until);
        if !self.yes && !agreed(&question)? {
            println!("{name}: left as it is");
            return Ok(ExitCode::from(1));
        }
        let file = OpenOptions::new().write(true).open(&self.file)?;
        file.set_len(scan.whole_until)?;
        file.sync_all()?;
        println!("{name}: cut from {length} to {} bytes", scan.whole_until);
        Ok(ExitCode::SUCCESS)
    }
}

/// Why a whole command, its name in capitals, makes no sense where it stands: in a transaction if one is open.
fn nonsense(name: &[u8], is_open: &mut bool) -> Option<String> {
    match name {
        b"EXEC" => (!std::mem::replace(is_open, false)).then(|| "EXEC without MULTI, which is passed over".to_owned()),
        b"MULTI" => {
            std::mem::replace(is_open, true).then(|| "MULTI inside a transaction, which is passed over".to_owned())
        }
        _ if table::find(name).is_some() => None,
        // [AOF-8]
        _ => {
            let shown = name.get(..SHOWN_NAME).unwrap_or(name).escape_ascii();
            Some(format!("unknown command '{shown}', for which a server refuses the file"))
        }
    }
}

/// Whether the answer on standard input is y or yes; its end is none.
fn agreed(question: &str) -> io::Result<bool> {
    print!("{question} [y/N] ");
    io::stdout().flush()?;
    let mut answer = String::new();
    let given = io::stdin().read_line(&mut answer)?;
    if given == 0 {
        println!();
    }
    Ok(["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()))
}
