//! Random choices are even: what RANDOMKEY, SRANDMEMBER and SPOP pick is held against the uniform distribution.
//!
//! Each property draws many times from one engine with a fixed seed and adds up Pearson's statistic
//! `Σ (observed − expected)² / expected`, which follows the chi-square distribution with one degree of freedom fewer than
//! there are outcomes. The answer is the probability of a statistic at least as great under even choice. A test refuses
//! what is below [`SIGNIFICANCE`]; since seeds are fixed, it does so always or never.
//!
//! Redis picks a random bucket of its hash table and then a random entry of the bucket, so that an entry with two
//! neighbours in its bucket comes up a third as often as one alone; five thousand draws show that beyond doubt, as a test
//! does with [`by_buckets`]. Choices here must be better.

use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;
use tally_model::Reply;

use crate::choice::Choice;
use crate::request::Request;
use crate::target::{Connection, Embedded, Received, Setup, Target, Wait};

/// Probability below which a deviation from even choice is no chance any more: one in ten thousand.
pub const SIGNIFICANCE: f64 = 1e-4;

/// How a set of this many members comes about.
#[derive(Clone, Copy, Debug)]
pub enum Population {
    /// Integers, few enough for an intset.
    Integers(usize),
    /// Words, in a hash table that has just the size for them.
    Words(usize),
    /// Words that are left when nine of ten were removed again: most buckets are empty.
    Remains(usize),
    /// Words, so many that the table has just begun to move to one of twice its size.
    Moving(usize),
}

impl Population {
    /// Number of members.
    pub fn len(self) -> usize {
        match self {
            Self::Integers(length) | Self::Words(length) | Self::Remains(length) => length,
            // One more than a table of a power of two has buckets.
            Self::Moving(length) => length.next_power_of_two() + 1,
        }
    }

    /// Is there nobody?
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    fn name(self, number: usize) -> String {
        match self {
            Self::Integers(_) => number.to_string(),
            _ => format!("member:{number}"),
        }
    }

    /// The commands that make it: one element each by `make`, and again fewer by `unmake`.
    fn requests(self, make: impl Fn(&str) -> Request, unmake: impl Fn(&str) -> Request) -> Vec<Request> {
        let mut requests: Vec<Request> = (0..self.len()).map(|number| make(&self.name(number))).collect();
        if let Self::Remains(length) = self {
            requests.extend((length..10 * length).map(|number| make(&self.name(number))));
            requests.extend((length..10 * length).map(|number| unmake(&self.name(number))));
        }
        requests
    }
}

/// The embedded engine and one connection to it.
struct Server {
    target: Embedded,
    connection: Connection,
}

impl Server {
    fn start(seed: u64) -> Self {
        let mut target = Embedded::new();
        let started = target.reset(&Setup { seed, ..Setup::default() });
        assert_eq!(started, Ok(()));
        match target.open() {
            Ok(connection) => Self { target, connection },
            Err(error) => panic!("no connection: {error}"),
        }
    }

    /// Sends everything at once; the answers, of which none may be an error.
    fn ask(&mut self, requests: &[Request]) -> Vec<Reply> {
        let mut replies = Vec::with_capacity(requests.len());
        for batch in requests.chunks(1000) {
            let mut bytes = Vec::new();
            batch.iter().for_each(|request| request.encode(&mut bytes));
            assert_eq!(self.target.send(self.connection, &bytes), Ok(()));
            for request in batch {
                match self.target.receive(self.connection, Wait::Reply) {
                    Ok(Received::Reply(Reply::Error(text))) => {
                        panic!("{request} answers {}", String::from_utf8_lossy(&text));
                    }
                    Ok(Received::Reply(reply)) => replies.push(reply),
                    other => panic!("{request} answers {other:?}"),
                }
            }
        }
        replies
    }
}

/// How often each element of a population was drawn.
struct Tally {
    population: Population,
    counts: Vec<u64>,
}

impl Tally {
    fn new(population: Population) -> Self {
        Self { population, counts: vec![0; population.len()] }
    }

    fn note(&mut self, reply: &Reply) {
        match reply {
            Reply::Array(parts) => parts.iter().for_each(|part| self.note(part)),
            Reply::Bulk(name) => {
                let text = String::from_utf8_lossy(name).into_owned();
                let number = text.trim_start_matches("member:").parse::<usize>().ok();
                let known = number.filter(|&number| self.population.name(number) == text);
                let count = known.and_then(|number| self.counts.get_mut(number));
                *count.unwrap_or_else(|| panic!("{text} is no member")) += 1;
            }
            other => panic!("{other} is no member"),
        }
    }
}

/// RANDOMKEY of a database whose keys are the population: the probability of what was drawn.
pub fn random_keys(population: Population, draws: usize, seed: u64) -> f64 {
    let mut server = Server::start(seed);
    server.ask(&population.requests(|name| ["SET", name, "v"].iter().collect(), |name| ["DEL", name].iter().collect()));
    let draw: Request = ["RANDOMKEY"].iter().collect();
    let mut tally = Tally::new(population);
    server.ask(&vec![draw; draws]).iter().for_each(|reply| tally.note(reply));
    evenness(&tally.counts, 1.0)
}

fn set_of(population: Population, key: &str) -> Vec<Request> {
    population.requests(|name| ["SADD", key, name].iter().collect(), |name| ["SREM", key, name].iter().collect())
}

/// SRANDMEMBER of one member: the probability of what was drawn.
pub fn single_members(population: Population, draws: usize, seed: u64) -> f64 {
    let mut server = Server::start(seed);
    server.ask(&set_of(population, "s"));
    let draw: Request = ["SRANDMEMBER", "s"].iter().collect();
    let mut tally = Tally::new(population);
    server.ask(&vec![draw; draws]).iter().for_each(|reply| tally.note(reply));
    evenness(&tally.counts, 1.0)
}

/// SRANDMEMBER with a count: the probability of what was drawn. Distinct members with a positive count, so that each draw
/// takes out `count` of the population and the counts vary less than those of independent draws.
pub fn several_members(population: Population, count: i64, draws: usize, seed: u64) -> f64 {
    let mut server = Server::start(seed);
    server.ask(&set_of(population, "s"));
    let draw: Request = ["SRANDMEMBER", "s", &count.to_string()].iter().collect();
    let mut tally = Tally::new(population);
    server.ask(&vec![draw; draws]).iter().for_each(|reply| tally.note(reply));
    evenness(&tally.counts, if count > 0 { spread_of_samples(population.len(), count as usize) } else { 1.0 })
}

/// SPOP from a set that is made anew each time, without a count or with one: the probability of what was drawn.
pub fn popped_members(population: Population, count: Option<usize>, draws: usize, seed: u64) -> f64 {
    let mut server = Server::start(seed);
    server.ask(&set_of(population, "all"));
    let renew: Request = ["SUNIONSTORE", "s", "all"].iter().collect();
    let draw: Request = match count {
        None => ["SPOP", "s"].iter().collect(),
        Some(count) => ["SPOP", "s", &count.to_string()].iter().collect(),
    };
    let mut tally = Tally::new(population);
    let requests: Vec<Request> = [renew, draw].into_iter().cycle().take(2 * draws).collect();
    let replies = server.ask(&requests);
    replies.iter().skip(1).step_by(2).for_each(|reply| tally.note(reply));
    evenness(&tally.counts, spread_of_samples(population.len(), count.unwrap_or(1)))
}

/// The variance of how often an element is in samples of `count` without repetition, over the variance of as many
/// independent draws, both for a population of `length`.
fn spread_of_samples(length: usize, count: usize) -> f64 {
    let (length, count) = (length as f64, count as f64);
    (1.0 - count / length) / (1.0 - 1.0 / length)
}

/// What Redis would do: draws from buckets of these lengths by bucket and then by place. The probability of it under even
/// choice, which is nil unless all buckets are alike.
pub fn by_buckets(lengths: &[usize], draws: usize, seed: u64) -> f64 {
    let mut choice = ChaCha8Rng::seed_from_u64(seed);
    let mut counts = vec![0; lengths.iter().sum()];
    for _ in 0..draws {
        let bucket = loop {
            let bucket = choice.below(lengths.len() as u32) as usize;
            if lengths[bucket] > 0 {
                break bucket;
            }
        };
        let before: usize = lengths[..bucket].iter().sum();
        counts[before + choice.below(lengths[bucket] as u32) as usize] += 1;
    }
    evenness(&counts, 1.0)
}

/// The probability of counts as uneven as these under even choice; `spread`: their variance over that of independent draws.
pub fn evenness(counts: &[u64], spread: f64) -> f64 {
    assert!(counts.len() > 1, "one outcome cannot be uneven");
    let expected = counts.iter().sum::<u64>() as f64 / counts.len() as f64;
    assert!(expected >= 5.0, "too few draws: {expected} of each");
    let squares: f64 = counts.iter().map(|&count| (count as f64 - expected).powi(2)).sum();
    upper_chi_square(squares / expected / spread, (counts.len() - 1) as f64)
}

/// The probability that a chi-square variable with so many degrees of freedom exceeds `statistic`: the regularized upper
/// incomplete gamma function of half of each.
fn upper_chi_square(statistic: f64, degrees: f64) -> f64 {
    let (a, x) = (degrees / 2.0, statistic / 2.0);
    if x <= 0.0 {
        return 1.0;
    }
    let scale = (a * x.ln() - x - log_gamma(a)).exp();
    if x < a + 1.0 {
        // The series of the lower function.
        let (mut term, mut sum, mut n) = (1.0 / a, 1.0 / a, a);
        while term > sum * 1e-15 {
            n += 1.0;
            term *= x / n;
            sum += term;
        }
        return 1.0 - scale * sum;
    }
    // The continued fraction of the upper one, by Lentz's method.
    let tiny = 1e-300;
    let mut b = x + 1.0 - a;
    let (mut c, mut d) = (1.0 / tiny, 1.0 / b);
    let mut fraction = d;
    for i in 1..10_000 {
        let factor = -f64::from(i) * (f64::from(i) - a);
        b += 2.0;
        d = 1.0 / nonzero(factor * d + b, tiny);
        c = nonzero(b + factor / c, tiny);
        fraction *= d * c;
        if (d * c - 1.0).abs() < 1e-15 {
            break;
        }
    }
    scale * fraction
}

fn nonzero(value: f64, tiny: f64) -> f64 {
    if value.abs() < tiny { tiny } else { value }
}

/// The logarithm of the gamma function, by Stirling's series where it is exact enough.
fn log_gamma(x: f64) -> f64 {
    let (mut x, mut below) = (x, 0.0);
    while x < 10.0 {
        below += x.ln();
        x += 1.0;
    }
    let square = x * x;
    let series = (1.0 / 12.0 - (1.0 / 360.0 - (1.0 / 1260.0 - 1.0 / (1680.0 * square)) / square) / square) / x;
    (x - 0.5) * x.ln() - x + 0.5 * (2.0 * std::f64::consts::PI).ln() + series - below
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_those_of_the_tables() {
        // Statistic, degrees, probability: from printed tables of quantiles.
        for (statistic, degrees, probability) in [
            (3.841, 1.0, 0.05),
            (18.307, 10.0, 0.05),
            (124.342, 100.0, 0.05),
            (149.449, 100.0, 0.001),
            (2.558, 10.0, 0.99),
        ] {
            let found = upper_chi_square(statistic, degrees);
            assert!((found - probability).abs() < 2e-4 * (1.0 + probability), "{statistic} {degrees}: {found}");
        }
        assert_eq!(upper_chi_square(0.0, 3.0), 1.0);
    }

    #[test]
    fn even_counts_pass_and_uneven_ones_do_not() {
        assert!(evenness(&[100, 101, 99, 100], 1.0) > 0.5);
        assert!(evenness(&[100, 200, 100, 100], 1.0) < SIGNIFICANCE);
        // Samples without repetition vary less, so the same unevenness is less likely.
        assert!(evenness(&[90, 110, 100, 100], 0.2) < evenness(&[90, 110, 100, 100], 1.0));
    }
}
