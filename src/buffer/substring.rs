//! Finding a string in one piece of memory, over and over.
//!
//! The general algorithm is linear but slow when the data is full of beginnings of the string. Most
//! strings have a byte, or two neighbouring ones, that are rare in the data: then it is much
//! faster to look for these alone and to compare the whole string only where they are. What is
//! rare is learned from a sample. Data may prove the sample wrong, so comparisons that fail are
//! counted against the bytes passed over, and when they get out of hand the next method takes over.

use memchr::memmem::Finder;

/// Places looked at to learn what is rare.
const SAMPLE: usize = 256;

/// A string to find, and what was learned about the data it is looked for in.
pub struct Substring<'n> {
    needle: &'n [u8],
    whole: Finder<'n>,
    /// The methods to try before the general one, best last.
    probes: [Option<Probe<'n>>; 2],
}

impl<'n> Substring<'n> {
    /// Prepares for looking for `needle`, which is not empty, in data that begins with `data`.
    pub fn new(needle: &'n [u8], data: &[u8]) -> Substring<'n> {
        Substring {
            needle,
            whole: Finder::new(needle),
            probes: choose_probes(needle, data),
        }
    }

    /// Where the string first occurs.
    pub fn find_in(&mut self, data: &[u8]) -> Option<usize> {
        let mut from = 0;
        for place in self.probes.iter_mut().rev() {
            let Some(probe) = place else { continue };
            match probe.find(self.needle, data, from) {
                Outcome::Found(start) => return Some(start),
                Outcome::Absent => return None,
                Outcome::Hopeless(reached) => {
                    *place = None;
                    from = reached;
                }
            }
        }
        self.whole.find(&data[from..]).map(|index| from + index)
    }
}

/// What came of probing.
enum Outcome {
    /// The string begins here.
    Found(usize),
    /// The string is nowhere.
    Absent,
    /// Too many comparisons failed; the string does not begin before this place.
    Hopeless(usize),
}

/// A rare part of the string to look for.
struct Probe<'n> {
    part: Finder<'n>,
    /// Where it is in the string.
    offset: usize,
    /// What each byte passed over earns and what each comparison costs besides its bytes.
    earning: isize,
    cost: isize,
    balance: isize,
}

impl<'n> Probe<'n> {
    /// One byte is looked for at the speed of memory, which comparisons soon spoil: then two are
    /// better.
    fn for_byte(needle: &'n [u8], offset: usize) -> Self {
        Self::new(&needle[offset..offset + 1], offset, 1, 1024)
    }

    /// After two bytes comes the general algorithm, which may be slower than many comparisons.
    fn for_two_bytes(needle: &'n [u8], offset: usize) -> Self {
        Self::new(&needle[offset..offset + 2], offset, 4, 64)
    }

    fn new(part: &'n [u8], offset: usize, earning: isize, cost: isize) -> Self {
        Probe {
            part: Finder::new(part),
            offset,
            earning,
            cost,
            balance: 4096,
        }
    }

    fn find(&mut self, needle: &[u8], data: &[u8], from: usize) -> Outcome {
        let behind = needle.len() - self.offset - self.part.needle().len();
        let Some(end) = data.len().checked_sub(behind) else {
            return Outcome::Absent;
        };
        let mut at = from + self.offset;
        while let Some(passed) = data.get(at..end).and_then(|rest| self.part.find(rest)) {
            let start = at + passed - self.offset;
            if data[start..].starts_with(needle) {
                return Outcome::Found(start);
            }
            at += passed + 1;
            self.balance += self.earning * passed as isize - self.cost - needle.len() as isize;
            if self.balance < 0 {
                return Outcome::Hopeless(start + 1);
            }
        }
        Outcome::Absent
    }
}

/// How often bytes, and pairs of them, were seen in a sample of the data.
struct Counts {
    bytes: [u16; 256],
    pairs: [u16; 256],
}

impl Counts {
    /// Pairs share counters; that makes a rare pair look frequent, never the other way round.
    fn pair(pair: &[u8]) -> usize {
        usize::from(pair[0].wrapping_mul(37) ^ pair[1])
    }

    fn of(data: &[u8]) -> Counts {
        let mut counts = Counts {
            bytes: [0; 256],
            pairs: [0; 256],
        };
        // An odd step sees both halves of data that alternates.
        for pair in data.windows(2).step_by((data.len() / SAMPLE) | 1) {
            counts.bytes[usize::from(pair[0])] += 1;
            counts.pairs[Counts::pair(pair)] += 1;
        }
        counts
    }
}

/// The methods that a sample of the data promises to be good. Short data is not worth a sample.
fn choose_probes<'n>(needle: &'n [u8], data: &[u8]) -> [Option<Probe<'n>>; 2] {
    if data.len() < 8 * SAMPLE || needle.len() < 2 {
        return [None, None];
    }
    let counts = Counts::of(data);
    let byte_count = |byte: u8| counts.bytes[usize::from(byte)];
    let rarest_pair = needle.windows(2).enumerate().min_by_key(|(_, pair)| {
        let single = byte_count(pair[0]).min(byte_count(pair[1]));
        (counts.pairs[Counts::pair(pair)], single)
    });
    let rarest_byte = needle
        .iter()
        .enumerate()
        .min_by_key(|(_, &byte)| byte_count(byte));
    let unseen_byte = rarest_byte.filter(|(_, &byte)| byte_count(byte) == 0);
    [
        rarest_pair.map(|(offset, _)| Probe::for_two_bytes(needle, offset)),
        unseen_byte.map(|(offset, _)| Probe::for_byte(needle, offset)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naive(needle: &[u8], data: &[u8]) -> Option<usize> {
        data.windows(needle.len())
            .position(|window| window == needle)
    }

    fn check(needle: &[u8], data: &[u8]) {
        let mut substring = Substring::new(needle, data);
        for piece in [data, &data[..data.len() / 2], &data[data.len() / 2..]] {
            assert_eq!(substring.find_in(piece), naive(needle, piece));
        }
    }

    #[test]
    fn it_finds_what_a_naive_search_finds() {
        let mut state = 1u32;
        let mut random = move |bound: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) % bound
        };
        for round in 0..300 {
            let letters = 1 + random(5);
            let length = if round % 2 == 0 { 3000 } else { 40 };
            let data: Vec<u8> = (0..length)
                .map(|i| {
                    if i % 701 == 700 {
                        b'z'
                    } else {
                        b'a' + random(letters) as u8
                    }
                })
                .collect();
            let start = random(length - 30) as usize;
            let size = 1 + random(29) as usize;
            check(&data[start..start + size], &data);
            check(b"zy", &data);
            check(b"aaaaaaaaaaaaaaaaaaaaaaaz", &data);
            check(b"q", &data);
        }
    }

    #[test]
    fn rare_bytes_that_become_frequent_do_not_make_it_quadratic() {
        // The sample sees 'a' only; then come beginnings of the string.
        let first = vec![b'a'; 1 << 20];
        let mut needle = vec![b'b'; 50_000];
        needle[49_999] = b'c';
        let mut substring = Substring::new(&needle, &first);
        assert_eq!(substring.find_in(&first), None);
        let start = std::time::Instant::now();
        for tail in [&b"b"[..], b"bc", b"bbbbbbbc", b"c"] {
            let mut data = tail.repeat((1 << 20) / tail.len());
            assert_eq!(substring.find_in(&data), None);
            data.extend_from_slice(&needle);
            let found = substring.find_in(&data).unwrap();
            assert_eq!(&data[found..], &needle[..]);
        }
        assert!(start.elapsed().as_secs() < 10);
    }
}
