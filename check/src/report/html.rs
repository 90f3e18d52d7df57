//! The report as one HTML page without anything from elsewhere.

use std::fmt::Write;

use super::{Counted, Report, escaped, summary};

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em}\
pre{background:#f4f4f4;padding:.8em;overflow:auto}table{border-collapse:collapse}td,th{padding:.1em .8em;\
text-align:left;border-bottom:1px solid #ddd}td.n{text-align:right}.bad{color:#a00}.good{color:#070}";

/// Renders the report.
pub(super) fn render(report: &Report) -> String {
    let mut page = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut page, report);
    page
}

fn write(page: &mut String, report: &Report) -> std::fmt::Result {
    let (class, verdict) = if report.findings.is_empty() { ("good", "holds") } else { ("bad", "deviates") };
    let target = escaped(&report.target);
    writeln!(page, "<!doctype html><meta charset=utf-8><title>tally check: {target}</title><style>{STYLE}</style>")?;
    writeln!(page, "<h1>{target} <span class={class}>{verdict}</span></h1>")?;
    for finding in &report.findings {
        writeln!(page, "<h2 class=bad>{}</h2>", escaped(finding.clause.unwrap_or(&finding.kind)))?;
        if let Some(text) = &finding.clause_text {
            writeln!(page, "<blockquote>{}</blockquote>", escaped(text))?;
        }
        writeln!(page, "<pre>{}</pre>", escaped(&finding.commands.join("\n")))?;
        writeln!(page, "<table><tr><th>expected<td>{}", escaped(&finding.expected))?;
        writeln!(page, "<tr><th>received<td>{}", escaped(&finding.received))?;
        writeln!(page, "<tr><th>replay<td><code>{}</code></table>", escaped(&finding.replay))?;
    }
    let only_totals = Report { findings: Vec::new(), ..report.clone() };
    writeln!(page, "<h2>The run</h2><pre>{}</pre>", escaped(&summary(&only_totals)))?;
    table(page, "Errata met", &report.errata)?;
    table(page, "Commands", &report.exercised)?;
    writeln!(page, "<h2>Error paths</h2><table>")?;
    for path in &report.error_paths {
        let (error, count) = (escaped(&path.error), path.count);
        writeln!(page, "<tr><td>{}<td>{error}<td class=n>{count}", path.command)?;
    }
    writeln!(page, "</table>")?;
    table(page, "Clauses witnessed", &report.clauses)?;
    writeln!(page, "<h2>Clauses not witnessed</h2><p>{}", report.unwitnessed.join(" "))
}

fn table(page: &mut String, title: &str, rows: &[Counted]) -> std::fmt::Result {
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(page, "<h2>{title}</h2><table>")?;
    for row in rows {
        writeln!(page, "<tr><td>{}<td class=n>{}", escaped(&row.name), row.count)?;
    }
    writeln!(page, "</table>")
}
