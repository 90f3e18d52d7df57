//! The command table: data, equal to what COMMAND of Redis 5.0.14 answers for every command present.
//!
//! One line per command, sorted by name: name, arity (negative: at least that many, the name counted), flags, first
//! key, last key (negative: counted from the end), step between keys, handler.

use super::{
    Handler, bitfield, bits, blocking, client, cluster, command as introspection, config, connection, debug, dump,
    expire, geo, hashes, hyperloglog, increments, info, keys, latency, lists, lolwut, memory, migrate, object, pubsub,
    replication, scan, scripting, server, set_algebra, sets, slowlog, sort, stream_groups, stream_info, stream_read,
    streams, strings, transactions, zset_algebra, zset_ranges, zsets,
};

/// Changes data.
pub const WRITE: u32 = 1 << 0;
/// Reads data and changes none.
pub const READONLY: u32 = 1 << 1;
/// Refused when memory is short.
pub const DENYOOM: u32 = 1 << 2;
/// For administrators.
pub const ADMIN: u32 = 1 << 3;
/// Publish and subscribe.
pub const PUBSUB: u32 = 1 << 4;
/// Not for scripts.
pub const NOSCRIPT: u32 = 1 << 5;
/// Answers by chance.
pub const RANDOM: u32 = 1 << 6;
/// Its answer is sorted for scripts.
pub const SORT_FOR_SCRIPT: u32 = 1 << 7;
/// Allowed while the dataset is loaded.
pub const LOADING: u32 = 1 << 8;
/// Allowed on a replica that has lost its primary.
pub const STALE: u32 = 1 << 9;
/// Not shown to MONITOR.
pub const SKIP_MONITOR: u32 = 1 << 10;
/// Implies ASKING in a cluster.
pub const ASKING: u32 = 1 << 11;
/// Takes constant or logarithmic time.
pub const FAST: u32 = 1 << 12;
/// Its keys cannot be found by first, last and step alone.
pub const MOVABLEKEYS: u32 = 1 << 13;

/// The flags with their names, in the order in which COMMAND lists them.
pub const FLAG_NAMES: &[(u32, &str)] = &[
    (WRITE, "write"),
    (READONLY, "readonly"),
    (DENYOOM, "denyoom"),
    (ADMIN, "admin"),
    (PUBSUB, "pubsub"),
    (NOSCRIPT, "noscript"),
    (RANDOM, "random"),
    (SORT_FOR_SCRIPT, "sort_for_script"),
    (LOADING, "loading"),
    (STALE, "stale"),
    (SKIP_MONITOR, "skip_monitor"),
    (ASKING, "asking"),
    (FAST, "fast"),
    (MOVABLEKEYS, "movablekeys"),
];

/// One command.
#[derive(Clone, Copy, Debug)]
pub struct Command {
    /// In lower case.
    pub name: &'static str,
    /// Number of arguments with the name; negative: at least that many.
    pub arity: i32,
    /// [`WRITE`] and the others, or-ed.
    pub flags: u32,
    /// Place of the first key, 0 for none.
    pub first_key: i32,
    /// Place of the last key; negative: from the end.
    pub last_key: i32,
    /// Distance from key to key.
    pub step: i32,
    pub(crate) handler: Handler,
}

impl Command {
    /// Whether this many arguments, the name counted, are as many as the command takes.
    #[must_use]
    #[inline]
    pub fn accepts(&self, arguments: usize) -> bool {
        let wanted = self.arity.unsigned_abs() as usize;
        if self.arity > 0 { arguments == wanted } else { arguments >= wanted }
    }

    /// The places of the keys in a request of this many arguments.
    pub fn keys(&self, arguments: usize) -> impl Iterator<Item = usize> + use<> {
        let first = usize::try_from(self.first_key).unwrap_or(0);
        let last = match usize::try_from(self.last_key) {
            Ok(last) => last,
            Err(_) => arguments.saturating_sub(self.last_key.unsigned_abs() as usize),
        };
        let step = usize::try_from(self.step).unwrap_or(1).max(1);
        let places = if first == 0 { 0..0 } else { first..(last + 1).min(arguments) };
        places.step_by(step)
    }

    /// Whether it has this flag.
    #[must_use]
    #[inline]
    pub fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }
}

const fn command(name: &'static str, arity: i32, flags: u32, keys: (i32, i32, i32), handler: Handler) -> Command {
    let (first_key, last_key, step) = keys;
    Command { name, arity, flags, first_key, last_key, step, handler }
}

const NO_KEYS: (i32, i32, i32) = (0, 0, 0);

#[rustfmt::skip] // A table is read by its columns.
const TABLE: &[Command] = &[
    command("append", 3, WRITE | DENYOOM, (1, 1, 1), strings::append),
    command("asking", 1, FAST, NO_KEYS, cluster::refused),
    command("auth", 2, NOSCRIPT | LOADING | STALE | SKIP_MONITOR | FAST, NO_KEYS, connection::auth),
    command("bgrewriteaof", 1, ADMIN | NOSCRIPT, NO_KEYS, server::bgrewriteaof),
    command("bgsave", -1, ADMIN | NOSCRIPT, NO_KEYS, server::bgsave),
    command("bitcount", -2, READONLY, (1, 1, 1), bits::bitcount),
    command("bitfield", -2, WRITE | DENYOOM, (1, 1, 1), bitfield::bitfield),
    command("bitop", -4, WRITE | DENYOOM, (2, -1, 1), bits::bitop),
    command("bitpos", -3, READONLY, (1, 1, 1), bits::bitpos),
    command("blpop", -3, WRITE | NOSCRIPT, (1, -2, 1), blocking::blpop),
    command("brpop", -3, WRITE | NOSCRIPT, (1, -2, 1), blocking::brpop),
    command("brpoplpush", 4, WRITE | DENYOOM | NOSCRIPT, (1, 2, 1), blocking::brpoplpush),
    command("bzpopmax", -3, WRITE | NOSCRIPT | FAST, (1, -2, 1), blocking::bzpopmax),
    command("bzpopmin", -3, WRITE | NOSCRIPT | FAST, (1, -2, 1), blocking::bzpopmin),
    command("client", -2, ADMIN | NOSCRIPT, NO_KEYS, client::client),
    command("cluster", -2, ADMIN, NO_KEYS, cluster::refused),
    command("command", 0, RANDOM | LOADING | STALE, NO_KEYS, introspection::command),
    command("config", -2, ADMIN | NOSCRIPT | LOADING | STALE, NO_KEYS, config::config),
    command("dbsize", 1, READONLY | FAST, NO_KEYS, keys::dbsize),
    command("debug", -2, ADMIN | NOSCRIPT, NO_KEYS, debug::debug),
    command("decr", 2, WRITE | DENYOOM | FAST, (1, 1, 1), increments::decr),
    command("decrby", 3, WRITE | DENYOOM | FAST, (1, 1, 1), increments::decrby),
    command("del", -2, WRITE, (1, -1, 1), keys::del),
    command("discard", 1, NOSCRIPT | FAST, NO_KEYS, transactions::discard),
    command("dump", 2, READONLY | RANDOM, (1, 1, 1), dump::dump),
    command("echo", 2, FAST, NO_KEYS, connection::echo),
    command("eval", -3, NOSCRIPT | MOVABLEKEYS, NO_KEYS, scripting::eval),
    command("evalsha", -3, NOSCRIPT | MOVABLEKEYS, NO_KEYS, scripting::evalsha),
    command("exec", 1, NOSCRIPT | SKIP_MONITOR, NO_KEYS, transactions::exec),
    command("exists", -2, READONLY | FAST, (1, -1, 1), keys::exists),
    command("expire", 3, WRITE | FAST, (1, 1, 1), expire::expire),
    command("expireat", 3, WRITE | FAST, (1, 1, 1), expire::expireat),
    command("flushall", -1, WRITE, NO_KEYS, keys::flushall),
    command("flushdb", -1, WRITE, NO_KEYS, keys::flushdb),
    command("geoadd", -5, WRITE | DENYOOM, (1, 1, 1), geo::geoadd),
    command("geodist", -4, READONLY, (1, 1, 1), geo::geodist),
    command("geohash", -2, READONLY, (1, 1, 1), geo::geohash),
    command("geopos", -2, READONLY, (1, 1, 1), geo::geopos),
    command("georadius", -6, WRITE | MOVABLEKEYS, (1, 1, 1), geo::georadius),
    command("georadius_ro", -6, READONLY | MOVABLEKEYS, (1, 1, 1), geo::georadius_ro),
    command("georadiusbymember", -5, WRITE | MOVABLEKEYS, (1, 1, 1), geo::georadiusbymember),
    command("georadiusbymember_ro", -5, READONLY | MOVABLEKEYS, (1, 1, 1), geo::georadiusbymember_ro),
    command("get", 2, READONLY | FAST, (1, 1, 1), strings::get),
    command("getbit", 3, READONLY | FAST, (1, 1, 1), bits::getbit),
    command("getrange", 4, READONLY, (1, 1, 1), strings::getrange),
    command("getset", 3, WRITE | DENYOOM, (1, 1, 1), strings::getset),
    command("hdel", -3, WRITE | FAST, (1, 1, 1), hashes::hdel),
    command("hexists", 3, READONLY | FAST, (1, 1, 1), hashes::hexists),
    command("hget", 3, READONLY | FAST, (1, 1, 1), hashes::hget),
    command("hgetall", 2, READONLY | RANDOM, (1, 1, 1), hashes::hgetall),
    command("hincrby", 4, WRITE | DENYOOM | FAST, (1, 1, 1), hashes::hincrby),
    command("hincrbyfloat", 4, WRITE | DENYOOM | FAST, (1, 1, 1), hashes::hincrbyfloat),
    command("hkeys", 2, READONLY | SORT_FOR_SCRIPT, (1, 1, 1), hashes::hkeys),
    command("hlen", 2, READONLY | FAST, (1, 1, 1), hashes::hlen),
    command("hmget", -3, READONLY | FAST, (1, 1, 1), hashes::hmget),
    command("hmset", -4, WRITE | DENYOOM | FAST, (1, 1, 1), hashes::hmset),
    command("host:", -1, LOADING | STALE, NO_KEYS, server::http),
    command("hscan", -3, READONLY | RANDOM, (1, 1, 1), hashes::hscan),
    command("hset", -4, WRITE | DENYOOM | FAST, (1, 1, 1), hashes::hset),
    command("hsetnx", 4, WRITE | DENYOOM | FAST, (1, 1, 1), hashes::hsetnx),
    command("hstrlen", 3, READONLY | FAST, (1, 1, 1), hashes::hstrlen),
    command("hvals", 2, READONLY | SORT_FOR_SCRIPT, (1, 1, 1), hashes::hvals),
    command("incr", 2, WRITE | DENYOOM | FAST, (1, 1, 1), increments::incr),
    command("incrby", 3, WRITE | DENYOOM | FAST, (1, 1, 1), increments::incrby),
    command("incrbyfloat", 3, WRITE | DENYOOM | FAST, (1, 1, 1), increments::incrbyfloat),
    command("info", -1, RANDOM | LOADING | STALE, NO_KEYS, info::info),
    command("keys", 2, READONLY | SORT_FOR_SCRIPT, NO_KEYS, keys::keys),
    command("lastsave", 1, RANDOM | FAST, NO_KEYS, server::lastsave),
    command("latency", -2, ADMIN | NOSCRIPT | LOADING | STALE, NO_KEYS, latency::latency),
    command("lindex", 3, READONLY, (1, 1, 1), lists::lindex),
    command("linsert", 5, WRITE | DENYOOM, (1, 1, 1), lists::linsert),
    command("llen", 2, READONLY | FAST, (1, 1, 1), lists::llen),
    command("lolwut", -1, READONLY, NO_KEYS, lolwut::lolwut),
    command("lpop", 2, WRITE | FAST, (1, 1, 1), lists::lpop),
    command("lpush", -3, WRITE | DENYOOM | FAST, (1, 1, 1), lists::lpush),
    command("lpushx", -3, WRITE | DENYOOM | FAST, (1, 1, 1), lists::lpushx),
    command("lrange", 4, READONLY, (1, 1, 1), lists::lrange),
    command("lrem", 4, WRITE, (1, 1, 1), lists::lrem),
    command("lset", 4, WRITE | DENYOOM, (1, 1, 1), lists::lset),
    command("ltrim", 4, WRITE, (1, 1, 1), lists::ltrim),
    command("memory", -2, READONLY | RANDOM, NO_KEYS, memory::memory),
    command("mget", -2, READONLY | FAST, (1, -1, 1), strings::mget),
    command("migrate", -6, WRITE | RANDOM | MOVABLEKEYS, NO_KEYS, migrate::migrate),
    command("module", -2, ADMIN | NOSCRIPT, NO_KEYS, cluster::module),
    command("monitor", 1, ADMIN | NOSCRIPT, NO_KEYS, server::monitor),
    command("move", 3, WRITE | FAST, (1, 1, 1), keys::move_),
    command("mset", -3, WRITE | DENYOOM, (1, -1, 2), strings::mset),
    command("msetnx", -3, WRITE | DENYOOM, (1, -1, 2), strings::msetnx),
    command("multi", 1, NOSCRIPT | FAST, NO_KEYS, transactions::multi),
    command("object", -2, READONLY | RANDOM, (2, 2, 1), object::object),
    command("persist", 2, WRITE | FAST, (1, 1, 1), expire::persist),
    command("pexpire", 3, WRITE | FAST, (1, 1, 1), expire::pexpire),
    command("pexpireat", 3, WRITE | FAST, (1, 1, 1), expire::pexpireat),
    command("pfadd", -2, WRITE | DENYOOM | FAST, (1, 1, 1), hyperloglog::pfadd),
    command("pfcount", -2, READONLY, (1, -1, 1), hyperloglog::pfcount),
    command("pfdebug", -3, WRITE, NO_KEYS, hyperloglog::pfdebug),
    command("pfmerge", -2, WRITE | DENYOOM, (1, -1, 1), hyperloglog::pfmerge),
    command("pfselftest", 1, ADMIN, NO_KEYS, hyperloglog::pfselftest),
    command("ping", -1, STALE | FAST, NO_KEYS, connection::ping),
    command("post", -1, LOADING | STALE, NO_KEYS, server::http),
    command("psetex", 4, WRITE | DENYOOM, (1, 1, 1), strings::psetex),
    command("psubscribe", -2, PUBSUB | NOSCRIPT | LOADING | STALE, NO_KEYS, pubsub::psubscribe),
    command("pttl", 2, READONLY | RANDOM | FAST, (1, 1, 1), expire::pttl),
    command("publish", 3, PUBSUB | LOADING | STALE | FAST, NO_KEYS, pubsub::publish),
    command("pubsub", -2, PUBSUB | RANDOM | LOADING | STALE, NO_KEYS, pubsub::pubsub),
    command("punsubscribe", -1, PUBSUB | NOSCRIPT | LOADING | STALE, NO_KEYS, pubsub::punsubscribe),
    command("randomkey", 1, READONLY | RANDOM, NO_KEYS, keys::randomkey),
    command("readonly", 1, FAST, NO_KEYS, cluster::refused),
    command("readwrite", 1, FAST, NO_KEYS, cluster::readwrite),
    command("rename", 3, WRITE, (1, 2, 1), keys::rename),
    command("renamenx", 3, WRITE | FAST, (1, 2, 1), keys::renamenx),
    command("restore", -4, WRITE | DENYOOM, (1, 1, 1), dump::restore),
    command("restore-asking", -4, WRITE | DENYOOM | ASKING, (1, 1, 1), dump::restore),
    command("role", 1, NOSCRIPT | LOADING | STALE, NO_KEYS, replication::role),
    command("rpop", 2, WRITE | FAST, (1, 1, 1), lists::rpop),
    command("rpoplpush", 3, WRITE | DENYOOM, (1, 2, 1), lists::rpoplpush),
    command("rpush", -3, WRITE | DENYOOM | FAST, (1, 1, 1), lists::rpush),
    command("rpushx", -3, WRITE | DENYOOM | FAST, (1, 1, 1), lists::rpushx),
    command("sadd", -3, WRITE | DENYOOM | FAST, (1, 1, 1), sets::sadd),
    command("save", 1, ADMIN | NOSCRIPT, NO_KEYS, server::save),
    command("scan", -2, READONLY | RANDOM, NO_KEYS, scan::scan),
    command("scard", 2, READONLY | FAST, (1, 1, 1), sets::scard),
    command("script", -2, NOSCRIPT, NO_KEYS, scripting::script),
    command("sdiff", -2, READONLY | SORT_FOR_SCRIPT, (1, -1, 1), set_algebra::sdiff),
    command("sdiffstore", -3, WRITE | DENYOOM, (1, -1, 1), set_algebra::sdiffstore),
    command("select", 2, LOADING | FAST, NO_KEYS, connection::select),
    command("set", -3, WRITE | DENYOOM, (1, 1, 1), strings::set),
    command("setbit", 4, WRITE | DENYOOM, (1, 1, 1), bits::setbit),
    command("setex", 4, WRITE | DENYOOM, (1, 1, 1), strings::setex),
    command("setnx", 3, WRITE | DENYOOM | FAST, (1, 1, 1), strings::setnx),
    command("setrange", 4, WRITE | DENYOOM, (1, 1, 1), strings::setrange),
    command("shutdown", -1, ADMIN | NOSCRIPT | LOADING | STALE, NO_KEYS, server::shutdown),
    command("sinter", -2, READONLY | SORT_FOR_SCRIPT, (1, -1, 1), set_algebra::sinter),
    command("sinterstore", -3, WRITE | DENYOOM, (1, -1, 1), set_algebra::sinterstore),
    command("sismember", 3, READONLY | FAST, (1, 1, 1), sets::sismember),
    command("slowlog", -2, ADMIN | RANDOM, NO_KEYS, slowlog::slowlog),
    command("smembers", 2, READONLY | SORT_FOR_SCRIPT, (1, 1, 1), set_algebra::smembers),
    command("smove", 4, WRITE | FAST, (1, 2, 1), sets::smove),
    command("sort", -2, WRITE | DENYOOM | MOVABLEKEYS, (1, 1, 1), sort::sort),
    command("spop", -2, WRITE | RANDOM | FAST, (1, 1, 1), sets::spop),
    command("srandmember", -2, READONLY | RANDOM, (1, 1, 1), sets::srandmember),
    command("srem", -3, WRITE | FAST, (1, 1, 1), sets::srem),
    command("sscan", -3, READONLY | RANDOM, (1, 1, 1), sets::sscan),
    command("strlen", 2, READONLY | FAST, (1, 1, 1), strings::strlen),
    command("subscribe", -2, PUBSUB | NOSCRIPT | LOADING | STALE, NO_KEYS, pubsub::subscribe),
    command("substr", 4, READONLY, (1, 1, 1), strings::getrange),
    command("sunion", -2, READONLY | SORT_FOR_SCRIPT, (1, -1, 1), set_algebra::sunion),
    command("sunionstore", -3, WRITE | DENYOOM, (1, -1, 1), set_algebra::sunionstore),
    command("swapdb", 3, WRITE | FAST, NO_KEYS, keys::swapdb),
    command("time", 1, RANDOM | FAST, NO_KEYS, server::time),
    command("touch", -2, READONLY | FAST, (1, 1, 1), keys::touch),
    command("ttl", 2, READONLY | RANDOM | FAST, (1, 1, 1), expire::ttl),
    command("type", 2, READONLY | FAST, (1, 1, 1), keys::type_),
    command("unlink", -2, WRITE | FAST, (1, -1, 1), keys::unlink),
    command("unsubscribe", -1, PUBSUB | NOSCRIPT | LOADING | STALE, NO_KEYS, pubsub::unsubscribe),
    command("unwatch", 1, NOSCRIPT | FAST, NO_KEYS, transactions::unwatch),
    command("wait", 3, NOSCRIPT, NO_KEYS, replication::wait),
    command("watch", -2, NOSCRIPT | FAST, (1, -1, 1), transactions::watch),
    command("xack", -4, WRITE | FAST, (1, 1, 1), stream_groups::xack),
    command("xadd", -5, WRITE | DENYOOM | RANDOM | FAST, (1, 1, 1), streams::xadd),
    command("xclaim", -6, WRITE | RANDOM | FAST, (1, 1, 1), stream_groups::xclaim),
    command("xdel", -3, WRITE | FAST, (1, 1, 1), streams::xdel),
    command("xgroup", -2, WRITE | DENYOOM, (2, 2, 1), stream_groups::xgroup),
    command("xinfo", -2, READONLY | RANDOM, (2, 2, 1), stream_info::xinfo),
    command("xlen", 2, READONLY | FAST, (1, 1, 1), streams::xlen),
    command("xpending", -3, READONLY | RANDOM, (1, 1, 1), stream_groups::xpending),
    command("xrange", -4, READONLY, (1, 1, 1), streams::xrange),
    command("xread", -4, READONLY | NOSCRIPT | MOVABLEKEYS, (1, 1, 1), stream_read::xread),
    command("xreadgroup", -7, WRITE | NOSCRIPT | MOVABLEKEYS, (1, 1, 1), stream_read::xreadgroup),
    command("xrevrange", -4, READONLY, (1, 1, 1), streams::xrevrange),
    command("xsetid", 3, WRITE | DENYOOM | FAST, (1, 1, 1), streams::xsetid),
    command("xtrim", -2, WRITE | RANDOM | FAST, (1, 1, 1), streams::xtrim),
    command("zadd", -4, WRITE | DENYOOM | FAST, (1, 1, 1), zsets::zadd),
    command("zcard", 2, READONLY | FAST, (1, 1, 1), zsets::zcard),
    command("zcount", 4, READONLY | FAST, (1, 1, 1), zset_ranges::zcount),
    command("zincrby", 4, WRITE | DENYOOM | FAST, (1, 1, 1), zsets::zincrby),
    command("zinterstore", -4, WRITE | DENYOOM | MOVABLEKEYS, NO_KEYS, zset_algebra::zinterstore),
    command("zlexcount", 4, READONLY | FAST, (1, 1, 1), zset_ranges::zlexcount),
    command("zpopmax", -2, WRITE | FAST, (1, 1, 1), zset_ranges::zpopmax),
    command("zpopmin", -2, WRITE | FAST, (1, 1, 1), zset_ranges::zpopmin),
    command("zrange", -4, READONLY, (1, 1, 1), zset_ranges::zrange),
    command("zrangebylex", -4, READONLY, (1, 1, 1), zset_ranges::zrangebylex),
    command("zrangebyscore", -4, READONLY, (1, 1, 1), zset_ranges::zrangebyscore),
    command("zrank", 3, READONLY | FAST, (1, 1, 1), zsets::zrank),
    command("zrem", -3, WRITE | FAST, (1, 1, 1), zsets::zrem),
    command("zremrangebylex", 4, WRITE, (1, 1, 1), zset_ranges::zremrangebylex),
    command("zremrangebyrank", 4, WRITE, (1, 1, 1), zset_ranges::zremrangebyrank),
    command("zremrangebyscore", 4, WRITE, (1, 1, 1), zset_ranges::zremrangebyscore),
    command("zrevrange", -4, READONLY, (1, 1, 1), zset_ranges::zrevrange),
    command("zrevrangebylex", -4, READONLY, (1, 1, 1), zset_ranges::zrevrangebylex),
    command("zrevrangebyscore", -4, READONLY, (1, 1, 1), zset_ranges::zrevrangebyscore),
    command("zrevrank", 3, READONLY | FAST, (1, 1, 1), zsets::zrevrank),
    command("zscan", -3, READONLY | RANDOM, (1, 1, 1), zsets::zscan),
    command("zscore", 3, READONLY | FAST, (1, 1, 1), zsets::zscore),
    command("zunionstore", -4, WRITE | DENYOOM | MOVABLEKEYS, NO_KEYS, zset_algebra::zunionstore),
];

/// All commands, sorted by name.
pub static COMMANDS: &[Command] = TABLE;

/// Slots of the lookup table: a power of two, sparse enough for next to no collisions.
const SLOTS: usize = 2048;
const EMPTY: u16 = u16::MAX;
/// Longer names are no commands.
const LONGEST_NAME: usize = 24;

/// A name in lower case as three words, zeros after its end, and its length: compared in three steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Folded {
    words: [u64; 3],
    len: usize,
}

impl Folded {
    const fn slot(&self) -> usize {
        let [a, b, c] = self.words;
        let mixed = (a ^ b.rotate_left(21) ^ c.rotate_left(42)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> (u64::BITS - SLOTS.trailing_zeros())) as usize
    }
}

/// Folds a name of at most [`LONGEST_NAME`] bytes.
#[inline]
const fn fold(name: &[u8]) -> Folded {
    let mut words = [0; 3];
    words[0] = fold_word(name, 0);
    if name.len() > 8 {
        words[1] = fold_word(name, 8);
        words[2] = fold_word(name, 16);
    }
    Folded { words, len: name.len() }
}

/// Up to eight bytes from `from` on, in lower case, as a number.
#[inline]
const fn fold_word(name: &[u8], from: usize) -> u64 {
    let mut word = 0u64;
    let mut at = from;
    while at < name.len() && at < from + 8 {
        word = word << 8 | name[at] as u64;
        at += 1;
    }
    // In each byte: bit 7 of the sums tells whether it is at least `A`, and beyond `Z`. Bytes that have it themselves
    // are no letters.
    const HIGH: u64 = 0x8080_8080_8080_8080;
    const EACH: u64 = 0x0101_0101_0101_0101;
    let low = word & !HIGH;
    let from_a = low + EACH * (0x80 - b'A' as u64);
    let beyond_z = low + EACH * (0x80 - b'Z' as u64 - 1);
    let capital = from_a & !beyond_z & !word & HIGH;
    word | capital >> 2
}

/// The folded names of the table, in its order.
static FOLDED: [Folded; TABLE.len()] = {
    let mut folded = [Folded { words: [0; 3], len: 0 }; TABLE.len()];
    let mut at = 0;
    while at < TABLE.len() {
        folded[at] = fold(TABLE[at].name.as_bytes());
        at += 1;
    }
    folded
};

/// Index by hash, open addressing with linear probing; built by the compiler.
static INDEX: [u16; SLOTS] = {
    let mut slots = [EMPTY; SLOTS];
    let mut at = 0;
    while at < TABLE.len() {
        let mut slot = fold(TABLE[at].name.as_bytes()).slot();
        while slots[slot] != EMPTY {
            slot = (slot + 1) & (SLOTS - 1);
        }
        slots[slot] = at as u16;
        at += 1;
    }
    slots
};

/// The index of the command of this name, in whatever letter case.
#[must_use]
#[inline]
pub fn find(name: &[u8]) -> Option<usize> {
    if name.len() > LONGEST_NAME {
        return None;
    }
    let wanted = fold(name);
    let mut slot = wanted.slot();
    loop {
        let index = INDEX[slot];
        if index == EMPTY {
            return None;
        }
        let index = usize::from(index);
        if FOLDED[index] == wanted {
            return Some(index);
        }
        slot = (slot + 1) & (SLOTS - 1);
    }
}

/// What `rename-command` made of the names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Renames {
    /// Indexes of commands that lost their name.
    gone: Vec<usize>,
    /// New names, in lower case.
    added: Vec<(Vec<u8>, usize)>,
}

impl Renames {
    /// From pairs of old and new name; a command with an empty new name cannot be called any more. Names that are no
    /// commands have been refused where the configuration was read, and are passed over here.
    pub(crate) fn new(pairs: &[(Vec<u8>, Vec<u8>)]) -> Renames {
        let mut renames = Renames::default();
        for (old, new) in pairs {
            let Some(index) = renames.find(old) else {
                continue;
            };
            renames.added.retain(|(_, of)| *of != index);
            if !renames.gone.contains(&index) {
                renames.gone.push(index);
            }
            if !new.is_empty() {
                renames.added.push((new.to_ascii_lowercase(), index));
            }
        }
        renames
    }

    /// The index of the command that is called by this name, in whatever letter case.
    #[inline]
    pub(crate) fn find(&self, name: &[u8]) -> Option<usize> {
        if self.gone.is_empty() {
            return find(name);
        }
        let added = self.added.iter().find(|(new, _)| new.eq_ignore_ascii_case(name));
        added.map(|(_, index)| *index).or_else(|| find(name).filter(|index| !self.gone.contains(index)))
    }

    /// Whether the command can be called by some name.
    pub(crate) fn is_present(&self, index: usize) -> bool {
        !self.gone.contains(&index) || self.added.iter().any(|(_, of)| *of == index)
    }
}
