//! Seeds: every randomized test prints its seed and takes it back from the environment.

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

/// The seed in the environment variable `variable`, or a new one; printed either way, so that the
/// output of a failed test says how to run it again.
pub fn seed(variable: &str) -> u64 {
    let seed = number(variable).unwrap_or_else(|| rand::rng().random());
    println!("{variable}={seed}");
    seed
}

/// The number in the environment variable `variable`.
pub fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} must be a number, not '{text}'")))
}

/// A generator of its own for one part of a test, so that parts that run side by side do not
/// disturb each other's choices.
pub fn generator(seed: u64, part: u64) -> StdRng {
    let mut mixed = StdRng::seed_from_u64(seed);
    let base: u64 = mixed.random();
    StdRng::seed_from_u64(base.wrapping_add(part))
}

/// One of `choices`.
pub fn one_of<'a, T>(rng: &mut impl Rng, choices: &'a [T]) -> &'a T {
    &choices[rng.random_range(0..choices.len())]
}
