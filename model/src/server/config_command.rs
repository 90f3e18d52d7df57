//! CONFIG.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::config::{DIRECTIVES, Directive};
use super::config_rules::Rule;
use super::container::{help, one_line, unknown_subcommand};
use super::{Configuration, ServerChange};
use crate::allowed::{Allowed, Judge};
use crate::call::Call;
use crate::clause::Clause;
use crate::erratum::Erratum;
use crate::glob::Pattern;
use crate::observe::Observation;
use crate::plan::{Change, Plan, Refusal};
use crate::reply::{Bytes, Reply};

/// CONFIG and its subcommands.
pub(crate) fn config(call: &Call<'_>) -> Result<Plan, Refusal> {
    let name = call.args[1].to_ascii_lowercase();
    match (name.as_slice(), call.args.len()) {
        (b"help", 2) => Ok(Plan::new(Clause::CLIENT_28, help("CONFIG"))),
        (b"get", 3) => Ok(get(call)),
        (b"set", 4) => set(call),
        (b"resetstat", 2) => Ok(Plan::ok(Clause::CONFIG_26).with(Change::Server(ServerChange::ResetCounters))),
        (b"rewrite", 2) => Ok(rewrite()),
        _ => Err(unknown_subcommand(Clause::CONFIG_1, call.args[1], "CONFIG HELP.")),
    }
}

/// Pairs of directives and values, in any order. [CONFIG-2]
#[derive(Debug)]
struct Pairs(BTreeMap<&'static str, Value>);

/// What a directive's value may be.
#[derive(Debug)]
enum Value {
    Exactly(Bytes),
    /// Anything that the directive admits and that CONFIG GET would write so.
    Any(Rule),
}

impl Judge for Pairs {
    fn describe(&self) -> String {
        let pairs = self.0.iter().map(|(name, value)| match value {
            Value::Exactly(value) => format!("{name} {}", crate::reply::quoted(value)),
            Value::Any(_) => format!("{name} with some value"),
        });
        format!("the pairs {}, in any order", pairs.collect::<Vec<_>>().join(", "))
    }

    fn judge(&self, reply: &Reply) -> Result<(), String> {
        let Reply::Array(elements) = reply else { return Err("not an array".into()) };
        if elements.len() != self.0.len() * 2 {
            return Err(format!("{} elements", elements.len()));
        }
        let mut missing: Vec<&str> = self.0.keys().copied().collect();
        for pair in elements.chunks(2) {
            let [Reply::Bulk(name), Reply::Bulk(got)] = pair else { return Err("not bulk strings".into()) };
            let Some(index) = missing.iter().position(|missing| missing.as_bytes() == name) else {
                return Err(format!("{} does not belong here", String::from_utf8_lossy(name)));
            };
            let name = missing.swap_remove(index);
            let holds = match &self.0[name] {
                Value::Exactly(value) => value == got,
                Value::Any(rule) => is_written_so(*rule, got),
            };
            if !holds {
                return Err(format!("{name} is {}", crate::reply::quoted(got)));
            }
        }
        Ok(())
    }
}

/// Whether CONFIG GET could write this value.
fn is_written_so(rule: Rule, value: &[u8]) -> bool {
    match rule {
        Rule::Fixed | Rule::Directory | Rule::Text(_) | Rule::FileName => true,
        // Classes in order; the amounts are judged as if they were set again.
        Rule::OutputLimits => rule.admit(value, value).is_some_and(|written| written == value),
        _ => rule.admit(value, b"").is_some_and(|written| written == value),
    }
}

/// [CONFIG-2] [CONFIG-3] [CONFIG-4]
fn get(call: &Call<'_>) -> Plan {
    let configuration = &call.model.server.config;
    let pattern = Pattern::new(&call.args[2].to_ascii_lowercase());
    let mut pairs = BTreeMap::new();
    for directive in DIRECTIVES {
        for name in directive.names() {
            if pattern.matches(name.as_bytes()) {
                pairs.insert(name, present(configuration, directive));
            }
        }
    }
    if pairs.is_empty() {
        return Plan::reply(Clause::CONFIG_3, Reply::Array(Vec::new()));
    }
    let plan = Plan::new(Clause::CONFIG_2, Allowed::Judged(Arc::new(Pairs(pairs))));
    plan.with(Change::Observe(Observation::Configuration))
}

fn present(configuration: &Configuration, directive: &Directive) -> Value {
    match configuration.sure_value(directive.name) {
        Some(value) => Value::Exactly(value.to_vec()),
        None => Value::Any(directive.rule),
    }
}

/// [CONFIG-5] to [CONFIG-7], [CONFIG-31]
fn set(call: &Call<'_>) -> Result<Plan, Refusal> {
    let (name, value) = (call.args[2], call.args[3]);
    let directive = Directive::find(name).filter(|directive| directive.rule != Rule::Fixed);
    let Some(directive) = directive else {
        let mut line = b"ERR Unsupported CONFIG parameter: ".to_vec();
        line.extend(one_line(name));
        return Err(Refusal::with(Clause::CONFIG_5, line));
    };
    let configured = |value: Option<Bytes>| Change::Observe(Observation::Configured { name: directive.name, value });
    let ok = |clause| Plan::ok(clause);
    let current = call.model.server.config.value(directive.name).unwrap_or_default();
    match directive.rule {
        Rule::Directory => {
            let refused = Allowed::Checked("an error that the directory cannot be entered", |reply| match reply {
                Reply::Error(line) if line.starts_with(b"ERR Changing directory: ") => Ok(()),
                _ => Err("another reply".into()),
            });
            let allowed = Allowed::Either(Box::new(Allowed::ok()), Box::new(refused));
            return Ok(Plan::new(Clause::CONFIG_24, allowed).with(configured(None)));
        }
        Rule::FileName if value.contains(&b'/') => {
            let line = "ERR dbfilename can't be a path, just a filename";
            return Err(Refusal::new(Clause::CONFIG_25, line));
        }
        _ => {}
    }
    let Some(written) = directive.rule.admit(value, current) else {
        let mut line = b"ERR Invalid argument '".to_vec();
        line.extend(one_line(value));
        line.extend(b"' for CONFIG SET '");
        line.extend(one_line(name));
        line.push(b'\'');
        let refusal = Refusal::with(Clause::CONFIG_6, line);
        let memory = matches!(directive.rule, Rule::Memory | Rule::Backlog | Rule::BulkLength);
        if memory && value.first().is_some_and(u8::is_ascii_digit) {
            // Real servers multiply without looking at the product, and 5.0.6 lets any bulk length pass.
            call.cite(Clause::CONFIG_12);
            return Ok(Plan::from(refusal).or_erratum(Erratum::E_18, Allowed::ok(), vec![configured(None)]));
        }
        return Err(refusal);
    };
    let plan = match (directive.name, written.as_slice()) {
        // What the host can serve is not for the model to know.
        ("maxclients", _) => {
            let refused = Allowed::Checked("an error that names how many clients can be served", |reply| match reply {
                Reply::Error(line)
                    if line.starts_with(
                        b"ERR The operating system is not able to handle the specified number of clients, try with ",
                    ) =>
                {
                    Ok(())
                }
                _ => Err("another reply".into()),
            });
            Plan::new(Clause::CONFIG_14, Allowed::Either(Box::new(Allowed::ok()), Box::new(refused)))
        }
        ("activedefrag", b"yes") => {
            let refused = Allowed::Checked("an error that begins with DISABLED", |reply| match reply {
                Reply::Error(line) if line.starts_with(b"DISABLED ") => Ok(()),
                _ => Err("another reply".into()),
            });
            Plan::new(Clause::CONFIG_8, Allowed::Either(Box::new(Allowed::ok()), Box::new(refused)))
        }
        ("appendonly", b"yes") => {
            let refused = Allowed::Error(b"ERR Unable to turn on AOF. Check server logs.".as_slice().into());
            Plan::new(Clause::CONFIG_32, Allowed::Either(Box::new(Allowed::ok()), Box::new(refused)))
        }
        _ => ok(clause_of(directive.rule)),
    };
    Ok(plan.with(configured(Some(written))))
}

/// The clause that says which values the rule admits.
fn clause_of(rule: Rule) -> Clause {
    match rule {
        Rule::Switch => Clause::CONFIG_8,
        Rule::Integer(..) => Clause::CONFIG_9,
        Rule::Memory => Clause::CONFIG_10,
        Rule::Word(_) => Clause::CONFIG_13,
        Rule::MaxClients => Clause::CONFIG_14,
        Rule::Hz => Clause::CONFIG_15,
        Rule::Watchdog => Clause::CONFIG_16,
        Rule::Backlog => Clause::CONFIG_17,
        Rule::BulkLength => Clause::CONFIG_18,
        Rule::Text(_) => Clause::CONFIG_19,
        Rule::Save => Clause::CONFIG_20,
        Rule::OutputLimits => Clause::CONFIG_21,
        Rule::Events => Clause::CONFIG_23,
        Rule::Directory | Rule::FileName | Rule::Fixed => Clause::CONFIG_7,
    }
}

/// [CONFIG-27] [CONFIG-28]; whether the server has a file is not for the model to know.
fn rewrite() -> Plan {
    let none = Allowed::Error(b"ERR The server is running without a config file".as_slice().into());
    let failed = Allowed::Checked("an error that the file could not be rewritten", |reply| match reply {
        Reply::Error(line) if line.starts_with(b"ERR Rewriting config file: ") => Ok(()),
        _ => Err("another reply".into()),
    });
    let rewritten = Allowed::Either(Box::new(Allowed::ok()), Box::new(failed));
    Plan::new(Clause::CONFIG_27, Allowed::Either(Box::new(none), Box::new(rewritten)))
}
