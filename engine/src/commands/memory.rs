//! MEMORY: what a key takes, where the rest goes, and whether that looks healthy.

use super::{Context, Refusal, unknown_subcommand};
use crate::memory::{Figures, excess, ratio};
use crate::number::{format_f64, parse_i64};
use crate::resp::{Args, Reply};

const HELP: [&str; 6] = [
    "MEMORY <subcommand> arg arg ... arg. Subcommands are:",
    "DOCTOR -- Tell what is remarkable about the use of memory.",
    "MALLOC-STATS -- Answer what the allocator tells about itself.",
    "PURGE -- Ask the allocator to give back pages that it does not need.",
    "STATS -- Answer where memory goes.",
    "USAGE <key> [SAMPLES <count>] -- Answer the bytes that a key and its value take (they are counted, not sampled).",
];

/// `MEMORY subcommand …`.
pub(crate) fn memory(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let subcommand = args[1].to_ascii_lowercase();
    match (subcommand.as_slice(), args.len()) {
        (b"help", 2) => cx.reply().lines(HELP.into_iter()),
        (b"usage", 3..) => return usage(cx, args),
        (b"stats", 2) => {
            let figures = Figures::take(cx.server, cx.client, cx.world);
            statistics(&figures, &mut cx.reply());
        }
        (b"doctor", 2) => {
            let figures = Figures::take(cx.server, cx.client, cx.world);
            let clients = cx.server.clients.len() as u64 + 1;
            cx.reply().bulk(diagnosis(&figures, clients).as_bytes());
        }
        (b"malloc-stats", 2) => {
            let text = cx.world.process_fact("malloc_stats");
            cx.reply().bulk(text.as_deref().unwrap_or("Stats not supported for the current allocator").as_bytes());
        }
        (b"purge", 2) => {
            cx.world.release_memory();
            cx.reply().ok();
        }
        _ => return Err(unknown_subcommand("MEMORY", &args[1], "")),
    }
    Ok(())
}

/// `MEMORY USAGE key [SAMPLES count]`. Values know their bytes, so a sample would only be worse.
fn usage(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let mut at = 3;
    while at < args.len() {
        if !args.is(at, "samples") || at + 1 == args.len() {
            return Err(Refusal::SYNTAX);
        }
        if parse_i64(&args[at + 1]).ok_or(Refusal::NOT_AN_INTEGER)? < 0 {
            return Err(Refusal::SYNTAX);
        }
        at += 2;
    }
    /// The key's share of the table: one bucket.
    const BUCKET: usize = size_of::<usize>();
    let found = cx.server.find(cx.client.db, &args[2], cx.now_ms);
    let bytes = found.map(|object| object.view().memory() + BUCKET);
    match bytes {
        Some(bytes) => cx.reply().count(bytes),
        None => cx.reply().nil(),
    }
    Ok(())
}

fn statistics(figures: &Figures, reply: &mut Reply<'_>) {
    /// Fields beside those of databases.
    const FIELDS: usize = 25;
    let per_key = figures.grown().checked_div(figures.keys).unwrap_or(0);
    reply.array((FIELDS + figures.tables.len()) * 2);
    let mut count = |name: &str, value: u64| {
        reply.bulk(name.as_bytes());
        reply.integer(i64::try_from(value).unwrap_or(i64::MAX));
    };
    count("peak.allocated", figures.peak);
    count("total.allocated", figures.used);
    count("startup.allocated", figures.startup);
    count("replication.backlog", 0);
    count("clients.slaves", 0);
    count("clients.normal", figures.clients);
    count("aof.buffer", figures.aof_buffer);
    count("lua.caches", 0);
    for tables in &figures.tables {
        reply.bulk(format!("db.{}", tables.index).as_bytes());
        reply.array(4);
        reply.bulk(b"overhead.hashtable.main");
        reply.integer(i64::try_from(tables.keys).unwrap_or(i64::MAX));
        reply.bulk(b"overhead.hashtable.expires");
        reply.integer(i64::try_from(tables.expires).unwrap_or(i64::MAX));
    }
    let mut count = |name: &str, value: u64| {
        reply.bulk(name.as_bytes());
        reply.integer(i64::try_from(value).unwrap_or(i64::MAX));
    };
    count("overhead.total", figures.overhead);
    count("keys.count", figures.keys);
    count("keys.bytes-per-key", per_key);
    count("dataset.bytes", figures.dataset);
    share(reply, "dataset.percentage", ratio(figures.dataset, figures.grown()) * 100.0);
    share(reply, "peak.percentage", ratio(figures.used, figures.peak) * 100.0);
    for (name, bytes) in [
        ("allocator.allocated", figures.allocated),
        ("allocator.active", figures.active),
        ("allocator.resident", figures.resident),
    ] {
        reply.bulk(name.as_bytes());
        reply.integer(i64::try_from(bytes).unwrap_or(i64::MAX));
    }
    for (quotient, difference, left, right) in [
        ("allocator-fragmentation.ratio", "allocator-fragmentation.bytes", figures.active, figures.allocated),
        ("allocator-rss.ratio", "allocator-rss.bytes", figures.resident, figures.active),
        ("rss-overhead.ratio", "rss-overhead.bytes", figures.rss, figures.resident),
        ("fragmentation", "fragmentation.bytes", figures.rss, figures.used),
    ] {
        share(reply, quotient, ratio(left, right));
        reply.bulk(difference.as_bytes());
        reply.integer(excess(left, right));
    }
}

fn share(reply: &mut Reply<'_>, name: &str, value: f64) {
    reply.bulk(name.as_bytes());
    reply.bulk(format_f64(value).as_bytes());
}

const MIB: u64 = 1024 * 1024;

/// What is remarkable, a paragraph each.
fn diagnosis(figures: &Figures, clients: u64) -> String {
    /// Less than this says nothing yet.
    const TOO_LITTLE: u64 = 5 * MIB;
    /// Waste below this is of no interest, whatever its share.
    const WORTH_A_WORD: u64 = 10 * MIB;
    /// Buffers of one connection, on average.
    const LARGE_BUFFERS: u64 = 200 * 1024;
    if figures.used < TOO_LITTLE {
        return "Less than 5 MiB are in use: too little to judge by.\n".to_owned();
    }
    let wasted = |left: u64, right: u64, tolerated: f64| {
        ratio(left, right) > tolerated && left.saturating_sub(right) > WORTH_A_WORD
    };
    let mut found = Vec::new();
    if ratio(figures.peak, figures.used) > 1.5 {
        found.push(
            "Peak: at some time more than one and a half times the present memory was in use. The allocator may keep \
             the pages of that time, so the process can look larger than its data, and its fragmentation high. A \
             large part of it is used again as the dataset grows.",
        );
    }
    if wasted(figures.rss, figures.used, 1.4) {
        found.push(
            "Fragmentation: the process takes over 1.4 times what is in use. If no peak explains it, values of \
             changing size leave gaps; MEMORY PURGE may return some, a restart from a snapshot returns all.",
        );
    }
    if wasted(figures.active, figures.allocated, 1.1) {
        found.push("Allocator fragmentation: pages in use by the allocator are over 1.1 times what it has handed out.");
    }
    if wasted(figures.resident, figures.active, 1.1) {
        found.push(
            "Allocator pages: over 1.1 times the pages in use are kept in core. MEMORY PURGE asks for their return.",
        );
    }
    if wasted(figures.rss, figures.resident, 1.1) {
        found.push(
            "Process overhead: the process has over 1.1 times the pages of its allocator in core. Code, stacks and \
             other libraries do not often take so much.",
        );
    }
    if figures.clients / clients.max(1) > LARGE_BUFFERS {
        found.push(
            "Client buffers: on average more than 200 KiB a connection. Some clients send requests or get replies \
             faster than the other end reads them; CLIENT LIST shows which.",
        );
    }
    if found.is_empty() {
        return "Nothing is remarkable about the use of memory.\n".to_owned();
    }
    let mut text = format!("{} remarkable:\n\n", if found.len() == 1 { "One thing is" } else { "Some things are" });
    for paragraph in found {
        text.push_str(" * ");
        text.push_str(paragraph);
        text.push_str("\n\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures() -> Figures {
        Figures {
            used: 100 * MIB,
            peak: 100 * MIB,
            startup: MIB,
            clients: 0,
            aof_buffer: 0,
            tables: Vec::new(),
            overhead: MIB,
            dataset: 99 * MIB,
            keys: 10,
            allocated: 100 * MIB,
            active: 100 * MIB,
            resident: 100 * MIB,
            rss: 100 * MIB,
        }
    }

    #[test]
    fn the_doctor_names_what_is_remarkable_and_nothing_else() {
        assert!(diagnosis(&figures(), 1).starts_with("Nothing"));
        assert!(diagnosis(&Figures { used: MIB, ..figures() }, 1).starts_with("Less than"));
        let worse = |figures: Figures| diagnosis(&figures, 2);
        assert!(worse(Figures { peak: 200 * MIB, ..figures() }).contains("Peak"));
        assert!(worse(Figures { clients: 2 * MIB, ..figures() }).contains("Client buffers"));
        let text = worse(Figures { rss: 200 * MIB, ..figures() });
        assert!(text.contains(" Fragmentation") && text.contains("Process overhead") && !text.contains("Allocator"));
        assert!(worse(Figures { resident: 200 * MIB, rss: 200 * MIB, ..figures() }).contains("Allocator pages"));
    }
}
