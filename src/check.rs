//! `tally check`: finds where a server departs from the specification.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use tally_check::campaign::{Campaign, Watch};
use tally_check::coverage::Coverage;
use tally_check::generator::Limits;
use tally_check::grammar::Family;
use tally_check::profile::Version;
use tally_check::progress::Progress;
use tally_check::racing::{Anomaly, Race};
use tally_check::report::{Asked, Report, summary};
use tally_check::runner::Plan;
use tally_check::script::parse_seed;
use tally_check::target::{Embedded, Live, LiveError, Setup, Target, Url};

/// How long a run takes when nothing else was asked for, seconds.
const DEFAULT_SECONDS: f64 = 20.0;

/// Checks the embedded engine, or the server at URL, against the specification.
#[derive(Args)]
pub(crate) struct Check {
    /// `redis://[:password@]host[:port]` or `unix:///path`; the embedded engine when absent.
    url: Option<String>,
    /// Ends after so many seconds [default: 20].
    #[arg(long, value_name = "N", conflicts_with = "commands")]
    seconds: Option<f64>,
    /// Ends after so many commands.
    #[arg(long, value_name = "N")]
    commands: Option<u64>,
    /// Everything random comes from it; decimal, or hexadecimal after 0x.
    #[arg(long, value_name = "S", default_value = "1", value_parser = seed)]
    seed: u64,
    /// Only commands of this family; may be given several times.
    #[arg(long = "family", value_name = "NAME", value_parser = family)]
    families: Vec<Family>,
    #[command(flatten)]
    judging: Judging,
    /// The server may hold keys: they will be deleted.
    #[arg(long)]
    flush: bool,
    /// Also send what is known to kill or exhaust this profile.
    #[arg(long)]
    lethal: bool,
    /// Makes memory short in every episode, so that keys are evicted all the time.
    #[arg(long, conflicts_with_all = ["racing", "url"])]
    short_of_memory: bool,
    /// Lets clients race over connections of their own, instead of one command after the other: what happened must be
    /// explained by some order that is consistent with time.
    #[arg(long, requires = "url", conflicts_with = "families")]
    racing: bool,
    /// Writes the report there, in the form that the extension names: json, xml (JUnit) or html.
    #[arg(long, value_name = "FILE.{json,xml,html}", value_parser = report_file)]
    report: Option<PathBuf>,
}

/// How strictly answers are judged.
#[derive(Args)]
pub(crate) struct Judging {
    /// The version that a live server is taken for.
    #[arg(long, default_value = "5.0", value_parser = version)]
    profile: Version,
    /// What to do about known departures of that version [default: accept on a live server, fail on the embedded engine].
    #[arg(long)]
    errata: Option<Errata>,
    /// Compare error replies whole, or only their codes.
    #[arg(long, default_value = "text")]
    errors: Errors,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Errata {
    Accept,
    Fail,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Errors {
    Text,
    Code,
}

impl Judging {
    /// The model's profile for a target.
    pub(crate) fn profile(&self, live: bool) -> tally_check::profile::Profile {
        let accept = match self.errata {
            Some(errata) => errata == Errata::Accept,
            None => live,
        };
        self.profile.model(accept, self.errors == Errors::Code)
    }

    /// Its name.
    pub(crate) fn name(&self) -> &'static str {
        self.profile.name
    }
}

fn seed(text: &str) -> Result<u64, String> {
    parse_seed(text).ok_or_else(|| "neither a decimal number nor 0x and hexadecimal digits".to_owned())
}

fn family(text: &str) -> Result<Family, String> {
    Family::of_name(text).ok_or_else(|| {
        let names: Vec<_> = Family::ALL.iter().map(|family| family.name()).collect();
        format!("the families are {}", names.join(", "))
    })
}

fn version(text: &str) -> Result<Version, String> {
    Version::of_name(text).ok_or_else(|| "the only profile is 5.0".to_owned())
}

fn report_file(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("json" | "xml" | "html") => Ok(path),
        _ => Err("a report's name ends in .json, .xml or .html".to_owned()),
    }
}

/// Connects to a live server, or explains why that cannot be.
pub(crate) fn connect(url: &str, flush: bool) -> Result<Live, String> {
    let url: Url = url.parse().map_err(|error: tally_check::target::LiveError| error.to_string())?;
    Live::connect(&url, flush).map_err(|error| error.to_string())
}

impl Check {
    /// Prints a report, writes it where that was asked for, and says what it means.
    fn conclude(&self, report: &Report) -> ExitCode {
        print!("{}", summary(report));
        if let Some(path) = &self.report
            && let Err(error) = report.write(path)
        {
            eprintln!("tally check: cannot write {}: {error}", path.display());
            return ExitCode::from(2);
        }
        ExitCode::from(u8::from(!report.findings.is_empty()))
    }

    /// So many seconds, unless a number of commands was asked for.
    fn limit(&self) -> Option<f64> {
        match (self.seconds, self.commands) {
            (None, None) => Some(DEFAULT_SECONDS),
            (seconds, _) => seconds,
        }
    }

    fn race(&self, url: &str) -> Result<ExitCode, String> {
        // It is asked whether it may be used, and gets its settings back in the end.
        let mut live = connect(url, self.flush)?;
        live.reset(&Setup::default()).map_err(|error| error.to_string())?;
        let description = format!("{url} ({}), racing", live.description());
        let race = Race {
            url: url.parse().map_err(|error: LiveError| error.to_string())?,
            seed: self.seed,
            profile: self.judging.profile(true),
        };
        let mut progress = Progress::new(self.limit(), self.commands);
        let mut coverage = Coverage::default();
        let outcome = race.run(&mut coverage, &mut |coverage| progress.enough(coverage));
        let outcome = outcome.map_err(|error| error.to_string())?;
        let asked = Asked {
            target: description,
            profile: self.judging.name().to_owned(),
            seed: self.seed,
            families: Vec::new(),
        };
        let mut report = Report::new(asked, &coverage, progress.seconds());
        if let Some(anomaly) = &outcome.anomaly {
            let file = format!("race-{:#x}-{}.txt", self.seed, anomaly.round);
            let text = format!("expected {}\n{}", Anomaly::EXPECTED, anomaly.history);
            std::fs::write(&file, text).map_err(|error| format!("cannot write {file}: {error}"))?;
            let replay = format!("tally check {url} --racing --seed {:#x} (who wins a race is chance)", self.seed);
            report.raced(anomaly, &file, replay);
        }
        Ok(self.conclude(&report))
    }

    pub(crate) fn run(self) -> ExitCode {
        // The embedded engine's world has a count of its own.
        tally_server::memory::stop_counting();
        if let (true, Some(url)) = (self.racing, &self.url) {
            return self.race(url).unwrap_or_else(|reason| {
                eprintln!("tally check: {reason}");
                ExitCode::from(2)
            });
        }
        let (mut embedded, mut live);
        let (target, description): (&mut dyn Target, String) = match &self.url {
            None => {
                embedded = Embedded::new();
                (&mut embedded, "embedded engine".to_owned())
            }
            Some(url) => match connect(url, self.flush) {
                Ok(server) => {
                    live = server;
                    let description = format!("{url} ({})", live.description());
                    (&mut live, description)
                }
                Err(reason) => {
                    eprintln!("tally check: {reason}");
                    return ExitCode::from(2);
                }
            },
        };
        let real_time = target.can().live;
        let seconds = self.limit();
        let mut campaign = Campaign {
            target,
            plan: Plan {
                seed: self.seed,
                limits: Limits {
                    families: self.families.clone(),
                    real_time,
                    short_of_memory: self.short_of_memory,
                    ..Limits::default()
                },
                profile: self.judging.profile(real_time),
                lethal: self.lethal,
            },
            asked: Asked {
                target: description,
                profile: self.judging.name().to_owned(),
                seed: self.seed,
                families: self.families.iter().map(|family| family.name()).collect(),
            },
            folder: PathBuf::new(),
            replay_suffix: self.url.as_ref().map_or(String::new(), |url| format!(" {url}")),
        };
        let report = match campaign.run(&mut Progress::new(seconds, self.commands)) {
            Ok(report) => report,
            Err(error) => {
                eprintln!("tally check: {error}");
                return ExitCode::from(2);
            }
        };
        self.conclude(&report)
    }
}
