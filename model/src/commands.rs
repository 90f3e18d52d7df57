//! The model's own command table, and the dispatch of a command to its handler.

use crate::allowed::Allowed;
use crate::call::{Call, Handler};
use crate::clause::Clause;
use crate::client::{ClientChange, Killed};
use crate::numbers::parse_integer;
use crate::plan::{Change, Plan, Refusal};
use crate::{
    bitfield, bits, blocking, connection, dump, expire, geo, hash, hyperloglog, keys, list, migrate, monitor, object,
    pubsub, scan, script, server, sets, sort, stream, strings, transaction, zsets,
};

/// A command: what COMMAND tells of it, and its handler.
#[derive(Clone, Copy, Debug)]
pub struct Command {
    /// The name in lower case.
    pub name: &'static str,
    /// The number of arguments with the name; negative: at least so many; 0: any number.
    pub arity: i64,
    /// The flags in COMMAND's order, with spaces between them.
    pub flags: &'static str,
    /// Position of the first key, 0 for none.
    pub first_key: i64,
    /// Position of the last key, counted from the end if negative.
    pub last_key: i64,
    /// Distance between keys.
    pub step: i64,
    pub(crate) handler: Handler,
}

impl Command {
    /// Whether COMMAND tells this flag of it.
    pub(crate) fn has(&self, flag: &str) -> bool {
        self.flags.split(' ').any(|one| one == flag)
    }
}

/// The first letters of a name as one number, in the same order: compared at once instead of letter by letter.
const fn beginning(name: &[u8]) -> u64 {
    let mut number = 0;
    let mut place = 0;
    while place < 8 {
        number = number << 8 | if place < name.len() { name[place] as u64 } else { 0 };
        place += 1;
    }
    number
}

macro_rules! command {
    ($name:literal $arity:literal $flags:literal $first:literal $last:literal $step:literal $handler:path) => {
        Command {
            name: $name,
            arity: $arity,
            flags: $flags,
            first_key: $first,
            last_key: $last,
            step: $step,
            handler: $handler,
        }
    };
}

/// All commands, sorted by name.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    command!("append" 3 "write denyoom" 1 1 1 strings::append),
    command!("asking" 1 "fast" 0 0 0 server::asking),
    command!("auth" 2 "noscript loading stale skip_monitor fast" 0 0 0 connection::auth),
    command!("bgrewriteaof" 1 "admin noscript" 0 0 0 server::bgrewriteaof),
    command!("bgsave" -1 "admin noscript" 0 0 0 server::bgsave),
    command!("bitcount" -2 "readonly" 1 1 1 bits::bitcount),
    command!("bitfield" -2 "write denyoom" 1 1 1 bitfield::bitfield),
    command!("bitop" -4 "write denyoom" 2 -1 1 bits::bitop),
    command!("bitpos" -3 "readonly" 1 1 1 bits::bitpos),
    command!("blpop" -3 "write noscript" 1 -2 1 blocking::blpop),
    command!("brpop" -3 "write noscript" 1 -2 1 blocking::brpop),
    command!("brpoplpush" 4 "write denyoom noscript" 1 2 1 blocking::brpoplpush),
    command!("bzpopmax" -3 "write noscript fast" 1 -2 1 blocking::bzpopmax),
    command!("bzpopmin" -3 "write noscript fast" 1 -2 1 blocking::bzpopmin),
    command!("client" -2 "admin noscript" 0 0 0 connection::client),
    command!("cluster" -2 "admin" 0 0 0 server::cluster),
    command!("command" 0 "random loading stale" 0 0 0 server::command),
    command!("config" -2 "admin noscript loading stale" 0 0 0 server::config),
    command!("dbsize" 1 "readonly fast" 0 0 0 keys::dbsize),
    command!("debug" -2 "admin noscript" 0 0 0 server::debug),
    command!("decr" 2 "write denyoom fast" 1 1 1 strings::decr),
    command!("decrby" 3 "write denyoom fast" 1 1 1 strings::decrby),
    command!("del" -2 "write" 1 -1 1 keys::del),
    command!("discard" 1 "noscript fast" 0 0 0 transaction::discard),
    command!("dump" 2 "readonly random" 1 1 1 dump::dump),
    command!("echo" 2 "fast" 0 0 0 connection::echo),
    command!("eval" -3 "noscript movablekeys" 0 0 0 script::eval),
    command!("evalsha" -3 "noscript movablekeys" 0 0 0 script::eval),
    command!("exec" 1 "noscript skip_monitor" 0 0 0 transaction::exec),
    command!("exists" -2 "readonly fast" 1 -1 1 keys::exists),
    command!("expire" 3 "write fast" 1 1 1 expire::expire),
    command!("expireat" 3 "write fast" 1 1 1 expire::expireat),
    command!("flushall" -1 "write" 0 0 0 keys::flushall),
    command!("flushdb" -1 "write" 0 0 0 keys::flushdb),
    command!("geoadd" -5 "write denyoom" 1 1 1 geo::geoadd),
    command!("geodist" -4 "readonly" 1 1 1 geo::geodist),
    command!("geohash" -2 "readonly" 1 1 1 geo::geohash),
    command!("geopos" -2 "readonly" 1 1 1 geo::geopos),
    command!("georadius" -6 "write movablekeys" 1 1 1 geo::georadius),
    command!("georadius_ro" -6 "readonly movablekeys" 1 1 1 geo::georadius_ro),
    command!("georadiusbymember" -5 "write movablekeys" 1 1 1 geo::georadiusbymember),
    command!("georadiusbymember_ro" -5 "readonly movablekeys" 1 1 1 geo::georadiusbymember_ro),
    command!("get" 2 "readonly fast" 1 1 1 strings::get),
    command!("getbit" 3 "readonly fast" 1 1 1 bits::getbit),
    command!("getrange" 4 "readonly" 1 1 1 strings::getrange),
    command!("getset" 3 "write denyoom" 1 1 1 strings::getset),
    command!("hdel" -3 "write fast" 1 1 1 hash::hdel),
    command!("hexists" 3 "readonly fast" 1 1 1 hash::hexists),
    command!("hget" 3 "readonly fast" 1 1 1 hash::hget),
    command!("hgetall" 2 "readonly random" 1 1 1 hash::hgetall),
    command!("hincrby" 4 "write denyoom fast" 1 1 1 hash::hincrby),
    command!("hincrbyfloat" 4 "write denyoom fast" 1 1 1 hash::hincrbyfloat),
    command!("hkeys" 2 "readonly sort_for_script" 1 1 1 hash::hkeys),
    command!("hlen" 2 "readonly fast" 1 1 1 hash::hlen),
    command!("hmget" -3 "readonly fast" 1 1 1 hash::hmget),
    command!("hmset" -4 "write denyoom fast" 1 1 1 hash::hmset),
    command!("host:" -1 "loading stale" 0 0 0 connection::attack),
    command!("hscan" -3 "readonly random" 1 1 1 hash::hscan),
    command!("hset" -4 "write denyoom fast" 1 1 1 hash::hset),
    command!("hsetnx" 4 "write denyoom fast" 1 1 1 hash::hsetnx),
    command!("hstrlen" 3 "readonly fast" 1 1 1 hash::hstrlen),
    command!("hvals" 2 "readonly sort_for_script" 1 1 1 hash::hvals),
    command!("incr" 2 "write denyoom fast" 1 1 1 strings::incr),
    command!("incrby" 3 "write denyoom fast" 1 1 1 strings::incrby),
    command!("incrbyfloat" 3 "write denyoom fast" 1 1 1 strings::incrbyfloat),
    command!("info" -1 "random loading stale" 0 0 0 server::info),
    command!("keys" 2 "readonly sort_for_script" 0 0 0 keys::keys),
    command!("lastsave" 1 "random fast" 0 0 0 server::lastsave),
    command!("latency" -2 "admin noscript loading stale" 0 0 0 server::latency),
    command!("lindex" 3 "readonly" 1 1 1 list::lindex),
    command!("linsert" 5 "write denyoom" 1 1 1 list::linsert),
    command!("llen" 2 "readonly fast" 1 1 1 list::llen),
    command!("lolwut" -1 "readonly" 0 0 0 server::lolwut),
    command!("lpop" 2 "write fast" 1 1 1 list::lpop),
    command!("lpush" -3 "write denyoom fast" 1 1 1 list::lpush),
    command!("lpushx" -3 "write denyoom fast" 1 1 1 list::lpushx),
    command!("lrange" 4 "readonly" 1 1 1 list::lrange),
    command!("lrem" 4 "write" 1 1 1 list::lrem),
    command!("lset" 4 "write denyoom" 1 1 1 list::lset),
    command!("ltrim" 4 "write" 1 1 1 list::ltrim),
    command!("memory" -2 "readonly random" 0 0 0 server::memory),
    command!("mget" -2 "readonly fast" 1 -1 1 strings::mget),
    command!("migrate" -6 "write random movablekeys" 0 0 0 migrate::migrate),
    command!("module" -2 "admin noscript" 0 0 0 server::module),
    command!("monitor" 1 "admin noscript" 0 0 0 monitor::monitor),
    command!("move" 3 "write fast" 1 1 1 keys::move_to),
    command!("mset" -3 "write denyoom" 1 -1 2 strings::mset),
    command!("msetnx" -3 "write denyoom" 1 -1 2 strings::msetnx),
    command!("multi" 1 "noscript fast" 0 0 0 transaction::multi),
    command!("object" -2 "readonly random" 2 2 1 object::object),
    command!("persist" 2 "write fast" 1 1 1 expire::persist),
    command!("pexpire" 3 "write fast" 1 1 1 expire::pexpire),
    command!("pexpireat" 3 "write fast" 1 1 1 expire::pexpireat_command),
    command!("pfadd" -2 "write denyoom fast" 1 1 1 hyperloglog::pfadd),
    command!("pfcount" -2 "readonly" 1 -1 1 hyperloglog::pfcount),
    command!("pfdebug" -3 "write" 0 0 0 hyperloglog::pfdebug),
    command!("pfmerge" -2 "write denyoom" 1 -1 1 hyperloglog::pfmerge),
    command!("pfselftest" 1 "admin" 0 0 0 hyperloglog::pfselftest),
    command!("ping" -1 "stale fast" 0 0 0 connection::ping),
    command!("post" -1 "loading stale" 0 0 0 connection::attack),
    command!("psetex" 4 "write denyoom" 1 1 1 strings::psetex),
    command!("psubscribe" -2 "pubsub noscript loading stale" 0 0 0 pubsub::psubscribe),
    command!("pttl" 2 "readonly random fast" 1 1 1 expire::pttl),
    command!("publish" 3 "pubsub loading stale fast" 0 0 0 pubsub::publish),
    command!("pubsub" -2 "pubsub random loading stale" 0 0 0 pubsub::pubsub),
    command!("punsubscribe" -1 "pubsub noscript loading stale" 0 0 0 pubsub::punsubscribe),
    command!("randomkey" 1 "readonly random" 0 0 0 keys::randomkey),
    command!("readonly" 1 "fast" 0 0 0 server::readonly),
    command!("readwrite" 1 "fast" 0 0 0 server::readwrite),
    command!("rename" 3 "write" 1 2 1 keys::rename),
    command!("renamenx" 3 "write fast" 1 2 1 keys::renamenx),
    command!("restore" -4 "write denyoom" 1 1 1 dump::restore),
    command!("restore-asking" -4 "write denyoom asking" 1 1 1 dump::restore),
    command!("role" 1 "noscript loading stale" 0 0 0 server::role),
    command!("rpop" 2 "write fast" 1 1 1 list::rpop),
    command!("rpoplpush" 3 "write denyoom" 1 2 1 list::rpoplpush),
    command!("rpush" -3 "write denyoom fast" 1 1 1 list::rpush),
    command!("rpushx" -3 "write denyoom fast" 1 1 1 list::rpushx),
    command!("sadd" -3 "write denyoom fast" 1 1 1 sets::sadd),
    command!("save" 1 "admin noscript" 0 0 0 server::save),
    command!("scan" -2 "readonly random" 0 0 0 scan::scan),
    command!("scard" 2 "readonly fast" 1 1 1 sets::scard),
    command!("script" -2 "noscript" 0 0 0 script::script_command),
    command!("sdiff" -2 "readonly sort_for_script" 1 -1 1 sets::sdiff),
    command!("sdiffstore" -3 "write denyoom" 1 -1 1 sets::sdiffstore),
    command!("select" 2 "loading fast" 0 0 0 keys::select),
    command!("set" -3 "write denyoom" 1 1 1 strings::set),
    command!("setbit" 4 "write denyoom" 1 1 1 bits::setbit),
    command!("setex" 4 "write denyoom" 1 1 1 strings::setex),
    command!("setnx" 3 "write denyoom fast" 1 1 1 strings::setnx),
    command!("setrange" 4 "write denyoom" 1 1 1 strings::setrange),
    command!("shutdown" -1 "admin noscript loading stale" 0 0 0 server::shutdown),
    command!("sinter" -2 "readonly sort_for_script" 1 -1 1 sets::sinter),
    command!("sinterstore" -3 "write denyoom" 1 -1 1 sets::sinterstore),
    command!("sismember" 3 "readonly fast" 1 1 1 sets::sismember),
    command!("slowlog" -2 "admin random" 0 0 0 server::slowlog),
    command!("smembers" 2 "readonly sort_for_script" 1 1 1 sets::smembers),
    command!("smove" 4 "write fast" 1 2 1 sets::smove),
    command!("sort" -2 "write denyoom movablekeys" 1 1 1 sort::sort),
    command!("spop" -2 "write random fast" 1 1 1 sets::spop),
    command!("srandmember" -2 "readonly random" 1 1 1 sets::srandmember),
    command!("srem" -3 "write fast" 1 1 1 sets::srem),
    command!("sscan" -3 "readonly random" 1 1 1 sets::sscan),
    command!("strlen" 2 "readonly fast" 1 1 1 strings::strlen),
    command!("subscribe" -2 "pubsub noscript loading stale" 0 0 0 pubsub::subscribe),
    command!("substr" 4 "readonly" 1 1 1 strings::getrange),
    command!("sunion" -2 "readonly sort_for_script" 1 -1 1 sets::sunion),
    command!("sunionstore" -3 "write denyoom" 1 -1 1 sets::sunionstore),
    command!("swapdb" 3 "write fast" 0 0 0 keys::swapdb),
    command!("time" 1 "random fast" 0 0 0 server::time),
    command!("touch" -2 "readonly fast" 1 1 1 keys::touch),
    command!("ttl" 2 "readonly random fast" 1 1 1 expire::ttl),
    command!("type" 2 "readonly fast" 1 1 1 keys::type_of),
    command!("unlink" -2 "write fast" 1 -1 1 keys::unlink),
    command!("unsubscribe" -1 "pubsub noscript loading stale" 0 0 0 pubsub::unsubscribe),
    command!("unwatch" 1 "noscript fast" 0 0 0 transaction::unwatch),
    command!("wait" 3 "noscript" 0 0 0 blocking::wait),
    command!("watch" -2 "noscript fast" 1 -1 1 transaction::watch),
    command!("xack" -4 "write fast" 1 1 1 stream::xack),
    command!("xadd" -5 "write denyoom random fast" 1 1 1 stream::xadd),
    command!("xclaim" -6 "write random fast" 1 1 1 stream::xclaim),
    command!("xdel" -3 "write fast" 1 1 1 stream::xdel),
    command!("xgroup" -2 "write denyoom" 2 2 1 stream::xgroup),
    command!("xinfo" -2 "readonly random" 2 2 1 stream::xinfo),
    command!("xlen" 2 "readonly fast" 1 1 1 stream::xlen),
    command!("xpending" -3 "readonly random" 1 1 1 stream::xpending),
    command!("xrange" -4 "readonly" 1 1 1 stream::xrange),
    command!("xread" -4 "readonly noscript movablekeys" 1 1 1 stream::xread),
    command!("xreadgroup" -7 "write noscript movablekeys" 1 1 1 stream::xreadgroup),
    command!("xrevrange" -4 "readonly" 1 1 1 stream::xrevrange),
    command!("xsetid" 3 "write denyoom fast" 1 1 1 stream::xsetid),
    command!("xtrim" -2 "write random fast" 1 1 1 stream::xtrim),
    command!("zadd" -4 "write denyoom fast" 1 1 1 zsets::zadd),
    command!("zcard" 2 "readonly fast" 1 1 1 zsets::zcard),
    command!("zcount" 4 "readonly fast" 1 1 1 zsets::zcount),
    command!("zincrby" 4 "write denyoom fast" 1 1 1 zsets::zincrby),
    command!("zinterstore" -4 "write denyoom movablekeys" 0 0 0 zsets::zinterstore),
    command!("zlexcount" 4 "readonly fast" 1 1 1 zsets::zlexcount),
    command!("zpopmax" -2 "write fast" 1 1 1 zsets::zpopmax),
    command!("zpopmin" -2 "write fast" 1 1 1 zsets::zpopmin),
    command!("zrange" -4 "readonly" 1 1 1 zsets::zrange),
    command!("zrangebylex" -4 "readonly" 1 1 1 zsets::zrangebylex),
    command!("zrangebyscore" -4 "readonly" 1 1 1 zsets::zrangebyscore),
    command!("zrank" 3 "readonly fast" 1 1 1 zsets::zrank),
    command!("zrem" -3 "write fast" 1 1 1 zsets::zrem),
    command!("zremrangebylex" 4 "write" 1 1 1 zsets::zremrangebylex),
    command!("zremrangebyrank" 4 "write" 1 1 1 zsets::zremrangebyrank),
    command!("zremrangebyscore" 4 "write" 1 1 1 zsets::zremrangebyscore),
    command!("zrevrange" -4 "readonly" 1 1 1 zsets::zrevrange),
    command!("zrevrangebylex" -4 "readonly" 1 1 1 zsets::zrevrangebylex),
    command!("zrevrangebyscore" -4 "readonly" 1 1 1 zsets::zrevrangebyscore),
    command!("zrevrank" 3 "readonly fast" 1 1 1 zsets::zrevrank),
    command!("zscan" -3 "readonly random" 1 1 1 zsets::zscan),
    command!("zscore" 3 "readonly fast" 1 1 1 zsets::zscore),
    command!("zunionstore" -4 "write denyoom movablekeys" 0 0 0 zsets::zunionstore),
];

/// Finds a command by its name in any letter case.
pub fn find(name: &[u8]) -> Option<&'static Command> {
    let mut room = [0; 32];
    let lower = room.get_mut(..name.len())?;
    lower.copy_from_slice(name);
    lower.make_ascii_lowercase();
    let first = beginning(lower);
    let start = BEGINNINGS.partition_point(|beginning| *beginning < first);
    let candidates = COMMANDS.iter().zip(&BEGINNINGS).skip(start).take_while(|(_, beginning)| **beginning == first);
    candidates.map(|(command, _)| command).find(|command| command.name.as_bytes() == &*lower)
}

/// Those of the commands' names, close together: every command is looked for among them.
static BEGINNINGS: [u64; COMMANDS.len()] = {
    let mut beginnings = [0; COMMANDS.len()];
    let mut index = 0;
    while index < COMMANDS.len() {
        beginnings[index] = beginning(COMMANDS[index].name.as_bytes());
        index += 1;
    }
    beginnings
};

/// Commands that look at keys without using them ([IDLE-2]).
const LOOKERS: &[&str] = &["object", "pttl", "ttl", "type", "watch"];

impl Command {
    /// The positions of the keys that the command works on in a line, name included. These are the table's, except that
    /// TOUCH works on all its keys though the table names only the first, PFDEBUG on one though it names none, XREAD and
    /// XREADGROUP on those behind STREAMS, and ZUNIONSTORE and ZINTERSTORE on as many as they say.
    pub fn used_keys(&self, line: &[&[u8]]) -> impl Iterator<Item = usize> {
        let all = match self.name {
            "touch" => 2..line.len(),
            "pfdebug" => 2..line.len().min(3),
            _ => 0..0,
        };
        let reads_streams = matches!(self.name, "xread" | "xreadgroup");
        let streams = if reads_streams { stream::key_positions(line).unwrap_or(0..0) } else { 0..0 };
        let fixed = self.key_positions(if reads_streams { 0 } else { line.len() });
        fixed.chain(all).chain(streams).chain(self.counted_keys(line).into_iter().flatten())
    }

    /// Where the keys stand whose number the line tells, sources before the destination; `None` if it does not, or wrongly.
    pub(crate) fn counted_keys(&self, line: &[&[u8]]) -> Option<Vec<usize>> {
        let stores = matches!(self.name, "zunionstore" | "zinterstore");
        if !stores && !matches!(self.name, "eval" | "evalsha") {
            return None;
        }
        let count = usize::try_from(parse_integer(line.get(2)?)?).ok()?;
        let destination = stores.then_some(1);
        (1..=line.len() - 3).contains(&count).then(|| (3..3 + count).chain(destination).collect())
    }

    /// The positions of the keys among so many arguments, name included, as the table tells.
    pub fn key_positions(&self, arguments: usize) -> impl Iterator<Item = usize> {
        let last = if self.last_key < 0 {
            (arguments + 1).saturating_sub(usize::try_from(-self.last_key).unwrap_or(0))
        } else {
            usize::try_from(self.last_key).map_or(0, |last| last + 1)
        };
        let first = usize::try_from(self.first_key).unwrap_or(0);
        let step = usize::try_from(self.step).unwrap_or(0).max(1);
        (first..last.min(arguments)).step_by(step).filter(|&position| position > 0)
    }

    /// Whether its keys count as used.
    pub(crate) fn uses_keys(&self) -> bool {
        (self.first_key > 0 || matches!(self.name, "pfdebug" | "zunionstore" | "zinterstore"))
            && !LOOKERS.contains(&self.name)
    }

    /// Whether a command with so many arguments, name included, has the right number of them.
    pub fn takes(&self, arguments: usize) -> bool {
        let arguments = i64::try_from(arguments).unwrap_or(i64::MAX);
        if self.arity > 0 { arguments == self.arity } else { arguments >= -self.arity }
    }
}

/// What is acceptable as the answer to a call.
pub(crate) fn plan(call: &Call<'_>) -> Plan {
    if call.client.killed == Killed::Surely {
        return Plan { executed: false, ..Plan::new(Clause::CLIENT_12, Allowed::Closing(Box::new(Allowed::Nothing))) };
    }
    let mut plan = match connection::quit(call) {
        Some(plan) if !call.model.executing => Plan { executed: false, ..plan },
        _ => dispatch(call),
    };
    connection::suppress_replies(call, &mut plan);
    plan
}

/// An error reply, which leaves the data set as it was.
fn refused(call: &Call<'_>, refusal: Refusal) -> Plan {
    call.cite(Clause::DB_4);
    refusal.into()
}

/// Whether the command is executed now: neither refused nor queued.
pub(crate) fn executes(call: &Call<'_>) -> bool {
    let queued = call.client.transaction.is_some() && !call.model.executing;
    call.client.killed != Killed::Surely && !queued && admitted(call).is_ok()
}

fn dispatch(call: &Call<'_>) -> Plan {
    let command = match admitted(call) {
        Ok(command) => command,
        Err(plan) => return Plan { executed: false, ..*plan },
    };
    let in_transaction = call.client.transaction.is_some() && !call.model.executing;
    if in_transaction && !transaction::UNQUEUED.contains(&command.name) {
        return transaction::queued(call);
    }
    (command.handler)(call).unwrap_or_else(|refusal| refused(call, refusal))
}

/// The command, if it is to be executed or queued; what was queued is not judged a second time. [MULTI-3] [SUBSCRIBE-3]
fn admitted(call: &Call<'_>) -> Result<&'static Command, Box<Plan>> {
    let spoiling = |refusal| {
        let plan = refused(call, refusal);
        let spoils = call.client.transaction.is_some();
        if spoils {
            call.cite(Clause::MULTI_3);
        }
        Box::new(if spoils { plan.with(Change::Client(ClientChange::Spoil)) } else { plan })
    };
    let Some(command) = call.command else {
        return Err(spoiling(unknown(call)));
    };
    if !command.takes(call.args.len()) {
        return Err(spoiling(call.wrong_arity()));
    }
    if call.model.executing {
        return Ok(command);
    }
    connection::refuse_unauthenticated(call, command.name).map_err(spoiling)?;
    pubsub::refuse_to_subscribed(call, command.name).map_err(|refusal| Box::new(refused(call, refusal)))?;
    Ok(command)
}

/// The refusal of an unknown command names it and the first of its arguments, about 128 bytes of them.
fn unknown(call: &Call<'_>) -> Refusal {
    const SHOWN: usize = 128;
    let mut arguments: Vec<u8> = Vec::new();
    for argument in &call.args[1..] {
        if arguments.len() >= SHOWN {
            break;
        }
        arguments.push(b'`');
        arguments.extend(Call::quotable(argument, SHOWN - (arguments.len() - 1)));
        arguments.extend(b"`, ");
    }
    let mut line = b"ERR unknown command `".to_vec();
    line.extend(Call::quotable(call.args[0], usize::MAX));
    line.extend(b"`, with args beginning with: ");
    line.extend(arguments);
    Refusal::with(Clause::DISPATCH_2, line)
}
