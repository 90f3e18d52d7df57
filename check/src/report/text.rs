//! The report for a terminal.

use std::fmt::Write;

use super::{Report, commands_known};
use crate::script::{Script, Step};

/// A script as lines for redis-cli: comments say what a single redis-cli cannot do.
pub fn redis_cli(script: &Script) -> Vec<String> {
    let mut lines = Vec::new();
    let several = {
        let mut clients = script.steps.iter().filter_map(|step| match step {
            Step::Command { client, .. } => Some(*client),
            _ => None,
        });
        let first = clients.next();
        clients.any(|client| Some(client) != first)
    };
    for (name, value) in &script.config {
        lines.push(format!("# started with: {name} {value}"));
    }
    if script.chunked.is_some() {
        lines.push("# requests cut into pieces".to_owned());
    }
    for step in &script.steps {
        lines.push(match step {
            Step::Command { client, request, pipelined, inline } => {
                let mut notes = Vec::new();
                if several {
                    notes.push(format!("client {client}"));
                }
                if *pipelined {
                    notes.push("pipelined with the next".to_owned());
                }
                if *inline {
                    notes.push("inline".to_owned());
                }
                match notes.as_slice() {
                    [] => request.to_string(),
                    notes => format!("{request}    # {}", notes.join(", ")),
                }
            }
            Step::Pass(ms) => format!("# {ms} ms pass"),
            Step::Reload => "DEBUG RELOAD".to_owned(),
            Step::Replay => "DEBUG LOADAOF".to_owned(),
            Step::Close(client) => format!("# client {client} closes its connection"),
            Step::Cut { client, bytes, request } => {
                format!("# the connection of client {client} ends after {bytes} bytes of: {request}")
            }
        });
    }
    lines
}

fn plural(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(count), if count == 1 { "" } else { "s" })
}

/// A number with its thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The whole report as text.
pub fn summary(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut text, report);
    text
}

fn write(text: &mut String, report: &Report) -> std::fmt::Result {
    for finding in &report.findings {
        writeln!(text, "DEVIATION ({})", finding.kind)?;
        for command in &finding.commands {
            writeln!(text, "    {command}")?;
        }
        writeln!(text, "  expected  {}", finding.expected)?;
        writeln!(text, "  received  {}", finding.received)?;
        match (&finding.clause_text, finding.clause) {
            (Some(clause), _) => writeln!(text, "  clause    {clause}")?,
            (None, Some(id)) => writeln!(text, "  clause    [{id}]")?,
            (None, None) => {}
        }
        if !finding.reproduced {
            writeln!(text, "  It did not show again when the script was run a second time.")?;
        }
        writeln!(text, "  replay    {}", finding.replay)?;
        writeln!(text)?;
    }
    let verdict = if report.findings.is_empty() { "holds" } else { "deviates" };
    writeln!(text, "{}: {verdict}", report.target)?;
    writeln!(
        text,
        "  {} in {} ({} per second), {:.1} s, seed {}, profile {}",
        plural(report.commands, "command"),
        plural(report.episodes, "episode"),
        grouped(report.commands_per_second as u64),
        report.seconds,
        report.seed,
        report.profile,
    )?;
    if !report.families.is_empty() {
        writeln!(text, "  families: {}", report.families.join(", "))?;
    }
    let exercised: Vec<String> =
        report.exercised.iter().map(|command| format!("{} {}", command.name, grouped(command.count))).collect();
    let known = commands_known();
    let head = format!("  commands exercised: {} of {known}: ", known - report.unexercised.len());
    wrapped(text, &head, &exercised)?;
    if !report.unexercised.is_empty() {
        let names: Vec<String> = report.unexercised.iter().map(|name| (*name).to_owned()).collect();
        wrapped(text, "  commands not exercised: ", &names)?;
    }
    let commands_with_errors = {
        let mut names: Vec<_> = report.error_paths.iter().map(|path| path.command).collect();
        names.dedup();
        names.len()
    };
    writeln!(
        text,
        "  error paths exercised: {} in {commands_with_errors} commands (each in a report by --report)",
        report.error_paths.len()
    )?;
    writeln!(
        text,
        "  clauses witnessed: {} of {}",
        report.clauses.len(),
        report.clauses.len() + report.unwitnessed.len()
    )?;
    if report.unspecified > 0 {
        writeln!(text, "  answers left open by the specification: {}", grouped(report.unspecified))?;
    }
    if report.withheld > 0 {
        writeln!(text, "  withheld as lethal or wasteful: {}", plural(report.withheld, "command"))?;
    }
    if report.undecided > 0 {
        writeln!(text, "  rounds that were too much to judge: {}", grouped(report.undecided))?;
    }
    if !report.errata.is_empty() {
        let errata: Vec<String> =
            report.errata.iter().map(|erratum| format!("{} {}", erratum.name, grouped(erratum.count))).collect();
        wrapped(text, "  errata met: ", &errata)?;
    }
    Ok(())
}

/// Words after a heading, in lines of at most 110 letters.
fn wrapped(text: &mut String, head: &str, words: &[String]) -> std::fmt::Result {
    let mut line = head.to_owned();
    for (index, word) in words.iter().enumerate() {
        let end = if index + 1 < words.len() { ", " } else { "" };
        if line.len() + word.len() + end.len() > 110 {
            writeln!(text, "{}", line.trim_end())?;
            line = "    ".to_owned();
        }
        line.push_str(word);
        line.push_str(end);
    }
    writeln!(text, "{line}")
}
