//! DEBUG: looking inside, and provoking trouble.

use std::fmt::Write as _;

use super::{Context, Refusal, unknown_subcommand};
use crate::client::Waiting;
use crate::digest::Digest;
use crate::effect::{Effect, LogLevel};
use crate::lru;
use crate::number::{parse_f64, parse_i64};
use crate::object::{Encoding, NewString, ObjectRef};
use crate::rdb;
use crate::resp::Args;
use crate::structures::dict::{Dict, Node};
use crate::structures::key_table::KeyTable;
use crate::structures::ziplist::Value;
use crate::values::CollectionRef;

const HELP: [&str; 24] = [
    "DEBUG <subcommand> arg arg ... arg. Subcommands are:",
    "ASSERT -- End the process as a failed assertion would.",
    "CHANGE-REPL-ID -- Take a new replication id, to test replication.",
    "CRASH-AND-RECOVER <milliseconds> -- Not available here: a server does not restart itself.",
    "DIGEST -- Answer a digest of the whole dataset, forty hexadecimal digits.",
    "DIGEST-VALUE <key-1> ... <key-N> -- Answer a digest of each value named.",
    "ERROR <string> -- Answer <string> as an error.",
    "HTSTATS <dbid> -- Answer statistics of the hash table of a database.",
    "HTSTATS-KEY <key> -- The same of a value that is a hash table.",
    "LOADAOF -- Flush the append-only file and load the dataset from it.",
    "LOG <message> -- Write <message> to the log.",
    "LUA-ALWAYS-REPLICATE-COMMANDS <0|1> -- Scripts are propagated as what their commands do (1), or as they came (0).",
    "OBJECT <key> -- Show how a key's value is stored.",
    "OOM -- End the process as running out of memory would.",
    "PANIC -- End the process as a panic would.",
    "POPULATE <count> [prefix] [size] -- Create <count> string keys named key:<num>, or <prefix>:<num>.",
    "RELOAD -- Save the dataset and load it again.",
    "RESTART -- Not available here: a server does not restart itself.",
    "SDSLEN <key> -- Show lengths and sizes of a key and its string.",
    "SEGFAULT -- End the process as a bad memory access would.",
    "SET-ACTIVE-EXPIRE <0|1> -- Switch the active expiry cycle off or on.",
    "SLEEP <seconds> -- Serve nobody for <seconds>, decimals allowed.",
    "STRUCTSIZE -- Answer the sizes of some structures.",
    "ZIPLIST <key> -- Show the entries of a ziplist.",
];

/// `DEBUG subcommand …`.
pub(crate) fn debug(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let subcommand = args[1].to_ascii_lowercase();
    match (subcommand.as_slice(), args.len()) {
        (b"help", 2) => cx.reply().lines(HELP.into_iter()),
        (b"segfault", _) => crash(cx, "DEBUG SEGFAULT: a bad memory access was asked for"),
        (b"panic", _) => crash(cx, "DEBUG PANIC: a panic was asked for"),
        (b"oom", _) => crash(cx, "DEBUG OOM: running out of memory was asked for"),
        (b"assert", _) => crash(cx, "DEBUG ASSERT: a failed assertion was asked for"),
        (b"restart" | b"crash-and-recover", _) => {
            return Err(
                "ERR DEBUG RESTART and CRASH-AND-RECOVER are not available: this server does not restart itself".into(),
            );
        }
        (b"stringmatch-test", _) => {
            return Err("ERR DEBUG STRINGMATCH-TEST is not available: patterns are tested outside the server".into());
        }
        (b"reload", _) => {
            cx.wait(Waiting::Reload { saving: true });
            cx.server.save_for(cx.client.id);
        }
        (b"loadaof", _) => {
            cx.wait(Waiting::LoadAof);
            cx.server.flush_aof_now();
            cx.server.effects.push(Effect::Reload { aof: true });
        }
        (b"object", 3) => return object(cx, &args[2]),
        (b"sdslen", 3) => return string_lengths(cx, &args[2]),
        (b"ziplist", 3) => return ziplist(cx, &args[2]),
        (b"populate", 3..=5) => return populate(cx, args),
        (b"digest", 2) => {
            let digest = Digest::of_keyspace(&cx.server.keyspace).to_string();
            cx.reply().status(&digest);
        }
        (b"digest-value", _) => digest_values(cx, args),
        (b"sleep", 3) => sleep(cx, &args[2]),
        (b"set-active-expire", 3) => {
            cx.server.set_active_expire(begins_with_nonzero(&args[2]));
            cx.reply().ok();
        }
        (b"lua-always-replicate-commands", 3) => {
            cx.server.scripting.replicates_effects = begins_with_nonzero(&args[2]);
            cx.reply().ok();
        }
        (b"error", 3) => return Err(args[2].to_vec().into()),
        (b"log", 3) => {
            let text = format!("DEBUG LOG: {}", String::from_utf8_lossy(&args[2]));
            cx.server.log(LogLevel::Warning, text);
            cx.reply().ok();
        }
        (b"structsize", 2) => cx.reply().bulk(structure_sizes().as_bytes()),
        (b"htstats", 3) => return table_statistics(cx, &args[2]),
        (b"htstats-key", 3) => {
            let text = match find(cx, &args[2])?.collection() {
                Some(CollectionRef::Set(set)) => set.as_table().map(describe_tables),
                Some(CollectionRef::Zset(zset)) => zset.as_skiplist().map(|list| describe_tables(list.dict())),
                Some(CollectionRef::Hash(hash)) => hash.as_table().map(describe_tables),
                Some(CollectionRef::List(_) | CollectionRef::Stream(_)) | None => None,
            };
            let text =
                text.ok_or("ERR The value stored at the specified key is not represented using an hash table")?;
            cx.reply().bulk(text.as_bytes());
        }
        (b"change-repl-id", 2) => {
            let server = &mut *cx.server;
            server.identity.change_replication_id(&mut server.rng);
            server.log(LogLevel::Warning, "Changing replication IDs after receiving change-repl-id");
            cx.reply().ok();
        }
        _ => return Err(unknown_subcommand("DEBUG", &args[1], ".")),
    }
    Ok(())
}

const NO_SDS: Refusal = Refusal::Fixed("ERR Not an sds encoded string.");

fn crash(cx: &mut Context<'_>, reason: &'static str) {
    cx.server.effects.push(Effect::Crash { reason });
}

/// Finds a key without leaving a trace on it.
fn find<'a>(cx: &'a mut Context<'_>, key: &[u8]) -> Result<ObjectRef<'a>, Refusal> {
    let found = cx.server.find(cx.client.db, key, cx.now_ms).ok_or(Refusal::NO_SUCH_KEY)?;
    Ok(found.into_view())
}

fn object(cx: &mut Context<'_>, key: &[u8]) -> Result<(), Refusal> {
    let compress = cx.server.config.rdbcompression;
    let clock = lru::clock(cx.now_ms);
    let object = find(cx, key)?;
    let serialized = rdb::value_bytes(object, compress, Vec::new());
    // Where a value lies says nothing that a client could use, and would make runs differ.
    let text = format!(
        "Value at:0x{:012x} refcount:{} encoding:{} serializedlength:{} lru:{} lru_seconds_idle:{}{}",
        0,
        object.refcount(),
        object.encoding().name(),
        serialized.len(),
        object.lru(),
        lru::idle_ms(clock, object.lru()) / 1000,
        describe_nodes(object),
    );
    cx.reply().status(&text);
    Ok(())
}

/// What is particular to lists.
fn describe_nodes(object: ObjectRef<'_>) -> String {
    let Some(CollectionRef::List(list)) = object.collection() else { return String::new() };
    let nodes = list.node_count();
    let compressed = list.options().depth() > 0;
    format!(
        " ql_nodes:{nodes} ql_avg_node:{:.2} ql_ziplist_max:{} ql_compressed:{} ql_uncompressed_size:{}",
        list.len() as f64 / nodes.max(1) as f64,
        list.options().fill(),
        u8::from(compressed),
        list.uncompressed_bytes(),
    )
}

/// `DEBUG ZIPLIST key`: the entries go into the log.
fn ziplist(cx: &mut Context<'_>, key: &[u8]) -> Result<(), Refusal> {
    let ziplist = match find(cx, key)?.collection() {
        Some(CollectionRef::Hash(hash)) => hash.as_ziplist(),
        Some(CollectionRef::Zset(zset)) => zset.as_ziplist(),
        Some(CollectionRef::List(_) | CollectionRef::Set(_) | CollectionRef::Stream(_)) | None => None,
    };
    let ziplist = ziplist.ok_or(NO_SDS)?;
    let mut text = format!("DEBUG ZIPLIST: {} bytes, {} entries", ziplist.byte_len(), ziplist.len());
    let mut position = ziplist.first();
    while let Some(at) = position {
        let bytes = ziplist.entry_len(at);
        let _ = match ziplist.get(at) {
            Value::Int(value) => write!(text, "; {bytes} bytes: integer {value}"),
            Value::Bytes(held) => write!(text, "; {bytes} bytes: \"{}\"", held.escape_ascii()),
        };
        position = ziplist.next(at);
    }
    cx.server.log(LogLevel::Warning, text);
    cx.reply().status("Ziplist structure printed on stdout");
    Ok(())
}

fn string_lengths(cx: &mut Context<'_>, key: &[u8]) -> Result<(), Refusal> {
    let object = find(cx, key)?;
    if !matches!(object.encoding(), Encoding::Raw | Encoding::Embstr) {
        return Err(NO_SDS);
    }
    let length = object.string()?.len();
    // A short string lies beside its key and has no room of its own to grow.
    let allocated = if object.encoding() == Encoding::Raw { object.memory().saturating_sub(key.len()) } else { length };
    let text = format!(
        "key_sds_len:{}, key_sds_avail:0, key_zmalloc: {}, val_sds_len:{length}, val_sds_avail:{}, val_zmalloc: {allocated}",
        key.len(),
        key.len(),
        allocated.saturating_sub(length),
    );
    cx.reply().status(&text);
    Ok(())
}

/// `DEBUG POPULATE count [prefix] [size]`: keys that exist stay as they are.
fn populate(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let count = parse_i64(&args[2]).and_then(|count| u64::try_from(count).ok()).ok_or(Refusal::NOT_AN_INTEGER)?;
    let prefix = args.get(3).unwrap_or(b"key");
    let size = args.get(4).map_or(Some(0), parse_i64).and_then(|size| usize::try_from(size).ok());
    let size = size.filter(|&size| size <= super::strings::STRING_MAX).ok_or(Refusal::NOT_AN_INTEGER)?;
    let db = cx.client.db;
    for index in 0..count {
        let key = [prefix, format!(":{index}").as_bytes()].concat();
        if cx.server.find(db, &key, cx.now_ms).is_some() {
            continue;
        }
        let mut value = format!("value:{index}").into_bytes();
        if size > 0 {
            value.resize(size, 0);
        }
        cx.set_string(&key, NewString::Owned(value));
        // [WATCH-10]
        cx.server.watches.touch(db, &key);
    }
    cx.reply().ok();
    Ok(())
}

fn digest_values(cx: &mut Context<'_>, args: &Args<'_>) {
    cx.reply().array(args.len() - 2);
    for key in args.iter().skip(2) {
        let digest = find(cx, key).map(Digest::of_value).unwrap_or_default().to_string();
        cx.reply().status(&digest);
    }
}

fn sleep(cx: &mut Context<'_>, text: &[u8]) {
    /// Longest number that is read.
    const TEXT_MAX: usize = 64;
    // What begins like a number counts as far as it is one, and anything else as zero.
    let ends = (1..=text.len().min(TEXT_MAX)).rev();
    let seconds = ends.filter_map(|end| parse_f64(&text[..end])).next().unwrap_or(0.0);
    cx.world.sleep_us((seconds * 1e6) as u64);
    cx.reply().ok();
}

/// Whether a text begins with an integer other than 0, as C's `atoi` reads it.
fn begins_with_nonzero(text: &[u8]) -> bool {
    let text = text.trim_ascii_start();
    let digits = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
    digits.iter().take_while(|byte| byte.is_ascii_digit()).any(|&digit| digit != b'0')
}

fn structure_sizes() -> String {
    use crate::client::Client;
    use crate::structures::key_entry::KeyEntry;
    format!(
        "bits:{} entry:{} client:{} table:{}",
        usize::BITS,
        size_of::<KeyEntry>(),
        size_of::<Client>(),
        size_of::<KeyTable>()
    )
}

fn table_statistics(cx: &mut Context<'_>, index: &[u8]) -> Result<(), Refusal> {
    let index = parse_i64(index).ok_or(Refusal::NOT_AN_INTEGER)?;
    let index = usize::try_from(index).ok().filter(|&index| index < cx.server.keyspace.count());
    let index = index.ok_or("ERR Out of range database")?;
    let keys = &cx.server.keyspace.db(index).keys;
    let text = format!("[Dictionary HT]\n{}[Expires HT]\n{}", describe_tables(keys.dict()), describe_expiring(keys));
    cx.reply().bulk(text.as_bytes());
    Ok(())
}

fn describe_tables<N: Node>(dict: &Dict<N>) -> String {
    /// Chains of this length and longer are counted together.
    const LONGEST: usize = 50;
    if dict.is_empty() {
        return "No stats available for empty dictionaries\n".to_owned();
    }
    let mut text = String::new();
    for (table, (size, used)) in dict.sizes().into_iter().zip(dict.used()).enumerate() {
        if size == 0 {
            continue;
        }
        let role = if table == 0 { "main hash table" } else { "rehashing target" };
        let lengths = dict.chain_lengths(table, LONGEST);
        let filled = size - lengths.first().copied().unwrap_or(0);
        let longest = lengths.iter().rposition(|&count| count > 0).unwrap_or(0);
        let average = if filled == 0 { 0.0 } else { used as f64 / filled as f64 };
        text.push_str(&format!(
            "Hash table {table} stats ({role}):\n table size: {size}\n number of elements: {used}\n \
             different slots: {filled}\n max chain length: {longest}\n avg chain length (counted): {average:.2}\n \
             Chain length distribution:\n"
        ));
        for (length, &count) in lengths.iter().enumerate().filter(|&(_, &count)| count > 0) {
            let more = if length == LONGEST - 1 { ">= " } else { "" };
            let share = count as f64 * 100.0 / size as f64;
            text.push_str(&format!("   {more}{length}: {count} ({share:.2}%)\n"));
        }
    }
    text
}

/// Deadlines lie beside their keys; what is listed is which keys have one.
fn describe_expiring(keys: &KeyTable) -> String {
    if keys.expiring() == 0 {
        return "No stats available for empty dictionaries\n".to_owned();
    }
    format!("Expiries lie beside their keys:\n number of elements: {}\n", keys.expiring())
}
