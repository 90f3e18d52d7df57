//! What racing clients do: a few turns each on few keys, from a seed.

use super::history::keys;
use crate::choice::Choice;
use crate::request::Request;

/// Requests that are sent at once, without waiting for answers in between.
pub type Burst = Vec<Request>;

/// What belongs together: one command, or a transaction with its WATCH and what is read before it.
pub type Turn = Vec<Burst>;

/// What each client does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// One program per client.
    pub programs: Vec<Vec<Turn>>,
}

/// Does the command wait for a key?
pub(super) fn blocks(request: &Request) -> bool {
    ["blpop", "brpop", "brpoplpush", "bzpopmin", "bzpopmax"].into_iter().any(|name| request.is(0, name))
}

/// Templates of commands; `K` is a key of the type, `J` another one, `V` a value that nobody else writes.
const STRINGS: &[&str] = &[
    "GET K",
    "GET K",
    "SET K V",
    "SET K V",
    "GETSET K V",
    "APPEND K V",
    "SETNX K V",
    "STRLEN K",
    "DEL K",
    "EXISTS K",
    "MGET K J",
    "MSET K V J V",
    "MSETNX K V J V",
    "RENAME K J",
    "INCR n",
    "INCR n",
    "GET n",
];
const LISTS: &[&str] = &[
    "RPUSH K V",
    "LPUSH K V",
    "RPUSH K V V",
    "LPOP K",
    "RPOP K",
    "LRANGE K 0 -1",
    "LLEN K",
    "RPOPLPUSH K J",
    "DEL K",
    "LINDEX K 0",
    "BLPOP K 0",
    "BRPOP K J 0",
    "BRPOPLPUSH K J 0",
    "LREM K 0 V",
    "RENAME K J",
    "LTRIM K 1 -1",
];
const SETS: &[&str] = &[
    "SADD K m1 m2",
    "SADD K m2",
    "SREM K m1",
    "SMEMBERS K",
    "SCARD K",
    "SISMEMBER K m1",
    "SPOP K",
    "SMOVE K J m2",
    "SUNIONSTORE K J K",
];
const ZSETS: &[&str] = &[
    "ZADD K 1 m1",
    "ZADD K 2 m2 1 m3",
    "ZINCRBY K 2 m1",
    "ZRANGE K 0 -1 WITHSCORES",
    "ZCARD K",
    "ZPOPMIN K",
    "ZREM K m1",
    "BZPOPMIN K 0",
    "BZPOPMAX K J 0",
    "ZSCORE K m1",
    "ZUNIONSTORE K 2 K J",
];
const HASHES: &[&str] = &[
    "HSET K f1 V",
    "HINCRBY K f2 1",
    "HINCRBY K f2 1",
    "HGETALL K",
    "HDEL K f1",
    "HLEN K",
    "HGET K f2",
    "HMGET K f1 f2",
];

/// The keys of each type: few, so that clients meet.
const TYPES: [(&[&str], [&str; 2]); 5] = [
    (STRINGS, ["s1", "s2"]),
    (LISTS, ["l1", "l2"]),
    (SETS, ["t1", "t2"]),
    (ZSETS, ["z1", "z2"]),
    (HASHES, ["h1", "h2"]),
];

/// Draws what the clients of a round do. `number` makes its values different from those of other rounds.
pub fn draw(choice: &mut impl Choice, clients: usize, number: u64) -> Round {
    // Most rounds stay with one or two types.
    let types: Vec<usize> = (0..1 + choice.below(2)).map(|_| choice.below(TYPES.len() as u32) as usize).collect();
    let mut values = Values { round: number, next: 0 };
    let transactions = choice.below(8);
    let programs = (0..clients)
        .map(|_| {
            let turns = 1 + choice.below(4);
            (0..turns)
                .map(|_| {
                    if transactions > choice.below(16) {
                        transaction(choice, &types, &mut values)
                    } else {
                        vec![vec![command(choice, &types, &mut values)]]
                    }
                })
                .collect()
        })
        .collect();
    Round { programs }
}

struct Values {
    round: u64,
    next: u32,
}

impl Values {
    fn fresh(&mut self) -> String {
        self.next += 1;
        format!("{}.{}", self.round, self.next)
    }
}

fn command(choice: &mut impl Choice, types: &[usize], values: &mut Values) -> Request {
    let (templates, names) = TYPES[types[choice.below(types.len() as u32) as usize]];
    let template = templates[choice.below(templates.len() as u32) as usize];
    let first = usize::from(choice.ratio(1, 4));
    let mut request = Request::new();
    for word in template.split(' ') {
        match word {
            "K" => request.push(names[first].as_bytes()),
            "J" => request.push(names[1 - first].as_bytes()),
            "V" => request.push(values.fresh().as_bytes()),
            word => request.push(word.as_bytes()),
        }
    }
    request
}

/// MULTI, a few commands, EXEC; often after a WATCH, and a look at what is watched.
fn transaction(choice: &mut impl Choice, types: &[usize], values: &mut Values) -> Turn {
    let mut turn: Turn = Vec::new();
    let body: Vec<Request> = (0..1 + choice.below(3)).map(|_| command(choice, types, values)).collect();
    if choice.ratio(1, 2) {
        let mut watch: Request = ["WATCH"].iter().collect();
        for key in body.iter().flat_map(keys).take(2) {
            watch.push(&key);
        }
        if watch.len() > 1 {
            turn.push(vec![watch]);
            let (templates, _) = TYPES[types[0]];
            if choice.ratio(1, 2) && !templates.is_empty() {
                let read = command(choice, types, values);
                if !blocks(&read) {
                    turn.push(vec![read]);
                }
            }
        }
    }
    let end = if choice.ratio(1, 12) { "DISCARD" } else { "EXEC" };
    let mut burst: Burst = vec![["MULTI"].iter().collect()];
    burst.extend(body);
    burst.push([end].iter().collect());
    if choice.ratio(1, 2) {
        turn.push(burst);
    } else {
        turn.extend(burst.into_iter().map(|request| vec![request]));
    }
    turn
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha8Rng;
    use rand_core::SeedableRng;

    #[test]
    fn equal_seeds_make_equal_rounds_and_every_command_has_a_grammar() {
        for seed in 0..200 {
            let round = || draw(&mut ChaCha8Rng::seed_from_u64(seed), 3, seed);
            assert_eq!(round(), round());
            for request in round().programs.iter().flatten().flatten().flatten() {
                assert!(crate::grammar::find(request.name()).is_some(), "{request}");
            }
        }
    }
}
