//! The report as JUnit XML: one case per command, so that continuous integration shows what was exercised.

use std::fmt::Write;

use super::{Report, escaped};

/// Renders the report.
pub(super) fn render(report: &Report) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Writing to a String cannot fail.
    let _ = write(&mut xml, report);
    xml
}

fn write(xml: &mut String, report: &Report) -> std::fmt::Result {
    let skipped = report.unexercised.len();
    let cases = report.exercised.len() + skipped + report.findings.len();
    writeln!(
        xml,
        "<testsuites><testsuite name=\"tally check {}\" tests=\"{cases}\" failures=\"{}\" skipped=\"{skipped}\" time=\"{:.3}\">",
        escaped(&report.target),
        report.findings.len(),
        report.seconds,
    )?;
    writeln!(
        xml,
        "<properties><property name=\"seed\" value=\"{}\"/><property name=\"commands\" value=\"{}\"/></properties>",
        report.seed, report.commands
    )?;
    for command in &report.exercised {
        let name = escaped(&command.name);
        writeln!(xml, "<testcase classname=\"commands\" name=\"{name}\" assertions=\"{}\"/>", command.count)?;
    }
    for name in &report.unexercised {
        writeln!(xml, "<testcase classname=\"commands\" name=\"{name}\"><skipped/></testcase>")?;
    }
    for finding in &report.findings {
        let clause = finding.clause.unwrap_or("none");
        let name = escaped(finding.commands.last().map_or("", String::as_str));
        writeln!(xml, "<testcase classname=\"deviations.{clause}\" name=\"{name}\">")?;
        let message = format!("expected {}, received {}", finding.expected, finding.received);
        writeln!(xml, "<failure type=\"{}\" message=\"{}\">", finding.kind, escaped(&message))?;
        writeln!(xml, "{}\n{}", escaped(&finding.commands.join("\n")), escaped(&finding.replay))?;
        writeln!(xml, "</failure></testcase>")?;
    }
    writeln!(xml, "</testsuite></testsuites>")
}
