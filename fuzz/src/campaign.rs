//! The engine for stable Rust: makes inputs of a target's seeds and tries them,
//! one after the other. The input of a number is always the same, as long as
//! the seeds are.
//!
//! Must not know what a target does, nor who watches.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use fastrand::Rng;

use crate::corpus;
use crate::mutation::{Material, mix};
use crate::{Depth, Target};

/// Attempts at making an input that panics smaller.
const SHRINKINGS: u32 = 3000;

/// A target, its seeds and the number that everything follows from.
#[derive(Debug)]
pub struct Campaign {
    target: &'static Target,
    seeds: Vec<Vec<u8>>,
    seed: u64,
}

/// What inputs came to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    /// Inputs that were tried.
    pub tried: u64,
    /// Those that meant something to the target.
    pub read: u64,
}

/// An input on which a target panicked.
#[derive(Debug, Clone)]
pub struct Fault {
    /// It, or a smaller one on which the target says the same.
    pub input: Vec<u8>,
    /// What it said.
    pub message: String,
    /// The input's number.
    pub number: u64,
}

impl Campaign {
    /// Reads the seeds.
    ///
    /// # Errors
    /// Where there are none.
    pub fn new(target: &'static Target, seed: u64) -> io::Result<Self> {
        let seeds: Vec<_> = corpus::seeds(target.name)?
            .into_iter()
            .map(|seed| seed.bytes)
            .collect();
        if seeds.is_empty() {
            let text = format!("{}: no seeds", target.name);
            return Err(io::Error::new(io::ErrorKind::NotFound, text));
        }
        Ok(Campaign {
            target,
            seeds,
            seed,
        })
    }

    /// Makes the input of this number.
    pub fn make(&self, number: u64, input: &mut Vec<u8>) {
        let material = Material {
            seeds: &self.seeds,
            words: self.target.words,
            max_len: self.target.max_len,
        };
        let mut random = Rng::with_seed(mix(self.seed, number));
        material.make(&mut random, input);
    }

    /// Tries the inputs of these numbers.
    ///
    /// # Errors
    /// The first on which the target panics.
    pub fn attack(&self, numbers: std::ops::Range<u64>, tally: &mut Tally) -> Result<(), Fault> {
        let mut input = Vec::new();
        for number in numbers {
            self.make(number, &mut input);
            tally.tried += 1;
            match attempt(self.target, &input) {
                Ok(Depth::Read) => tally.read += 1,
                Ok(Depth::Refused) => {}
                Err(message) => {
                    let input = self.shrunk(input, &message);
                    return Err(Fault {
                        input,
                        message,
                        number,
                    });
                }
            }
        }
        Ok(())
    }

    /// Leaves out what can be left out without another outcome.
    fn shrunk(&self, mut input: Vec<u8>, message: &str) -> Vec<u8> {
        let kind = |message: &str| message.chars().take(24).collect::<String>();
        let mut random = Rng::with_seed(self.seed);
        for _ in 0..SHRINKINGS {
            if input.is_empty() {
                break;
            }
            let from = random.usize(0..input.len());
            let most = (input.len() - from).min(1 << random.u32(0..12));
            let mut smaller = input.clone();
            smaller.drain(from..from + random.usize(1..=most));
            let same =
                attempt(self.target, &smaller).is_err_and(|other| kind(&other) == kind(message));
            if same {
                input = smaller;
            }
        }
        input
    }
}

/// Tries one input.
///
/// # Errors
/// What the target said when it panicked.
pub fn attempt(target: &Target, input: &[u8]) -> Result<Depth, String> {
    catch_unwind(AssertUnwindSafe(|| (target.attack)(input))).map_err(|panic| said(&*panic))
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or(panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without words").to_owned()
}
