//! Makes inputs of seeds: the same from the same number, so that every input
//! of a run can be made again.
//!
//! Must not know any target.

use fastrand::Rng;

/// Numbers at which something begins, ends or overflows.
const TELLING: [u32; 16] = [
    0,
    1,
    4,
    7,
    8,
    0x7f,
    0x80,
    0xff,
    0x100,
    0x7fff,
    0xffff,
    0x0001_0000,
    0x00ff_ffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_fffc,
];

/// Mostly one change, seldom more than a dozen: many changes at once are
/// refused at the first.
const MOST_CHANGES: u32 = 4;

/// Mixes two numbers so that neighbours have nothing in common
/// (splitmix64's finish).
#[must_use]
pub fn mix(seed: u64, number: u64) -> u64 {
    let mut mixed = seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// What inputs are made of.
#[derive(Debug)]
pub struct Material<'a> {
    /// Never empty.
    pub seeds: &'a [Vec<u8>],
    /// Words that mean something to the target.
    pub words: &'a [&'a [u8]],
    /// No input is longer.
    pub max_len: usize,
}

impl Material<'_> {
    /// The input of this number.
    pub fn make(&self, random: &mut Rng, input: &mut Vec<u8>) {
        input.clear();
        input.extend_from_slice(self.seed(random));
        let changes = 1 << random.u32(0..=MOST_CHANGES);
        for _ in 0..random.u32(1..=changes) {
            self.change(random, input);
        }
        input.truncate(self.max_len);
    }

    fn seed(&self, random: &mut Rng) -> &[u8] {
        &self.seeds[random.usize(0..self.seeds.len())]
    }

    fn change(&self, random: &mut Rng, input: &mut Vec<u8>) {
        if input.is_empty() {
            input.push(random.u8(..));
        }
        let at = random.usize(0..input.len());
        match random.u32(0..16) {
            0 | 1 => input[at] ^= 1 << random.u32(0..8),
            2 => input[at] = random.u8(..),
            3 => input[at] = input[at].wrapping_add(random.u8(0..9)).wrapping_sub(4),
            4 | 5 => telling_number(random, input, at),
            6 | 7 => offset(random, input, at),
            8 => length_in_front(random, input, at),
            9 => input.truncate(at),
            10 => {
                let end = self.end(random, input, at);
                input.drain(at..end);
            }
            11 => {
                let piece = at..self.end(random, input, at);
                let piece = input[piece].to_vec();
                let to = random.usize(0..=input.len());
                input.splice(to..to, piece);
            }
            12 => {
                let end = self.end(random, input, at);
                let to = random.usize(0..=input.len() - (end - at));
                input.copy_within(at..end, to);
            }
            13 => self.splice(random, input, at),
            14 => self.word(random, input, at),
            _ => {
                let noise: Vec<u8> = (0..random.usize(1..9)).map(|_| random.u8(..)).collect();
                input.splice(at..at, noise);
            }
        }
    }

    /// Somewhere behind `at`, mostly near.
    fn end(&self, random: &mut Rng, input: &[u8], at: usize) -> usize {
        let most = match random.u32(0..4) {
            0 => input.len(),
            1 => 64,
            _ => 8,
        };
        let left = (input.len() - at).min(most);
        at + random.usize(1..=left)
    }

    /// Goes on with a piece of another seed.
    fn splice(&self, random: &mut Rng, input: &mut Vec<u8>, at: usize) {
        let other = self.seed(random);
        if other.is_empty() {
            return;
        }
        let from = random.usize(0..other.len());
        let to = self.end(random, other, from);
        let replaced = match random.bool() {
            true => at..(at + to - from).min(input.len()),
            false => at..at,
        };
        input.splice(replaced, other[from..to].iter().copied());
    }

    fn word(&self, random: &mut Rng, input: &mut Vec<u8>, at: usize) {
        let Some(word) = random.choice(self.words) else {
            return;
        };
        let replaced = match random.bool() {
            true => at..(at + word.len()).min(input.len()),
            false => at..at,
        };
        input.splice(replaced, word.iter().copied());
    }
}

/// Writes one, of any width and in either order of bytes.
fn telling_number(random: &mut Rng, input: &mut [u8], at: usize) {
    let value = TELLING[random.usize(0..TELLING.len())];
    let (little, big) = (value.to_le_bytes(), value.to_be_bytes());
    let bytes: &[u8] = match random.u32(0..5) {
        0 => &little[..1],
        1 => &little[..2],
        2 => &little,
        3 => &big[1..],
        _ => &big,
    };
    overwrite(input, at, bytes);
}

/// Moves an aligned number of four bytes or two by a little: in a FlatBuffer
/// it is likely to lead somewhere.
fn offset(random: &mut Rng, input: &mut [u8], at: usize) {
    let by = random.i32(-16..=16);
    if random.bool() {
        let at = at & !3;
        if let Some(old) = input.get(at..).and_then(<[u8]>::first_chunk::<4>) {
            let new = u32::from_le_bytes(*old).wrapping_add_signed(by);
            overwrite(input, at, &new.to_le_bytes());
        }
    } else {
        let at = at & !1;
        if let Some(old) = input.get(at..).and_then(<[u8]>::first_chunk::<2>) {
            let new = u16::from_le_bytes(*old).wrapping_add_signed(by as i16);
            overwrite(input, at, &new.to_le_bytes());
        }
    }
}

/// Makes a length true, or wrong by little: three bytes as in a frame's
/// header, or one as in WebAssembly.
fn length_in_front(random: &mut Rng, input: &mut [u8], at: usize) {
    let wrong_by = random.i32(-1..=1);
    let behind = |width: usize| input.len().saturating_sub(at + width) as u32;
    if random.bool() {
        let length = behind(3).wrapping_add_signed(wrong_by);
        overwrite(input, at, &length.to_be_bytes()[1..]);
    } else {
        let length = behind(1).wrapping_add_signed(wrong_by) & 0x7f;
        overwrite(input, at, &[length as u8]);
    }
}

fn overwrite(input: &mut [u8], at: usize, bytes: &[u8]) {
    let places = input.iter_mut().skip(at);
    places.zip(bytes).for_each(|(old, new)| *old = *new);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_number_should_make_the_same_input() {
        let seeds = [b"one seed".to_vec(), vec![], b"another".to_vec()];
        let material = Material {
            seeds: &seeds,
            words: &[b"word"],
            max_len: 40,
        };
        let make = |number| {
            let mut input = Vec::new();
            material.make(&mut Rng::with_seed(mix(1, number)), &mut input);
            input
        };
        let inputs: Vec<_> = (0..5000).map(make).collect();
        assert_eq!(inputs, (0..5000).map(make).collect::<Vec<_>>());
        assert!(inputs.iter().all(|input| input.len() <= 40));
        let distinct: std::collections::HashSet<_> = inputs.iter().collect();
        assert!(distinct.len() > 2500, "{} distinct", distinct.len());
    }
}
