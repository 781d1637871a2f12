//! Finding a string in one piece of memory, over and over.
//!
//! Nothing is faster than looking for the first byte of the string and comparing where it occurs,
//! as long as that byte is rare: there is nothing to prepare, and the data is scanned at memory
//! speed. Where the byte is frequent, preparation pays. A sample of the data shows which two
//! neighbouring bytes of the string are rare in it, and the string is compared only where these
//! occur. Where they are frequent too, a general algorithm takes over, whose time is linear for any
//! data. Failed comparisons are weighed against the bytes passed over; when there are too many, the
//! next method takes over.

use memchr::memmem::Finder;
use std::ffi::{c_int, c_void};

/// Places looked at to learn what is rare.
const SAMPLE: usize = 128;
/// Shorter data is not worth a sample.
const WORTH_SAMPLING: usize = 16 * SAMPLE;

/// A string to find, and what was learned about the data it is looked for in.
pub struct Substring<'n> {
    needle: &'n [u8],
    method: Method<'n>,
}

enum Method<'n> {
    FirstByte(FirstByteAccount),
    RarePair(RarePair<'n>),
    General(Finder<'n>),
}

impl<'n> Substring<'n> {
    /// Gets ready to look for `needle`, which is not empty.
    #[inline]
    pub fn new(needle: &'n [u8]) -> Substring<'n> {
        Substring {
            needle,
            method: Method::FirstByte(Account { balance: 16 * 1024 }),
        }
    }

    /// Where the string first occurs.
    #[inline]
    pub fn find_in(&mut self, data: &[u8]) -> Option<usize> {
        let needle = self.needle;
        let mut from = 0;
        loop {
            let outcome = match &mut self.method {
                Method::FirstByte(account) => {
                    let find = |places: &[u8]| find_byte(needle[0], places);
                    probe(needle, data, from, 0, find, account)
                }
                Method::RarePair(pair) => pair.probe(needle, data, from),
                Method::General(finder) => {
                    return finder.find(&data[from..]).map(|index| from + index);
                }
            };
            match outcome {
                Outcome::Found(start) => return Some(start),
                Outcome::Absent => return None,
                Outcome::Hopeless(reached) => {
                    from = reached;
                    self.take_next_method(&data[from..]);
                }
            }
        }
    }

    #[cold]
    fn take_next_method(&mut self, data: &[u8]) {
        let worth_sampling =
            matches!(self.method, Method::FirstByte(_)) && data.len() >= WORTH_SAMPLING;
        self.method = if worth_sampling {
            Method::RarePair(RarePair::choose(self.needle, data))
        } else {
            Method::General(Finder::new(self.needle))
        };
    }
}

/// The result of probing.
enum Outcome {
    /// The string begins here.
    Found(usize),
    /// The string is nowhere.
    Absent,
    /// Too many comparisons failed; the string does not begin before this place.
    Hopeless(usize),
}

/// Looks, from a place on, for a part of the string that is `offset` bytes into it, and compares
/// the string wherever the part is.
#[inline]
fn probe<const EARNING: isize, const COST: isize>(
    needle: &[u8],
    data: &[u8],
    from: usize,
    offset: usize,
    find_part: impl Fn(&[u8]) -> Option<usize>,
    account: &mut Account<EARNING, COST>,
) -> Outcome {
    let mut start = from;
    while let Some(passed) = data.get(start + offset..).and_then(&find_part) {
        start += passed;
        if data[start..].starts_with(needle) {
            return Outcome::Found(start);
        }
        start += 1;
        if !account.charge(passed, needle.len()) {
            return Outcome::Hopeless(start);
        }
    }
    Outcome::Absent
}

/// Counts comparisons that fail against the bytes passed over: each byte earns something, each
/// comparison costs something besides its bytes.
struct Account<const EARNING: isize, const COST: isize> {
    balance: isize,
}

/// One byte is looked for at the speed of memory, which comparisons soon spoil. It takes a few of
/// them to cost as much as preparing anything better.
type FirstByteAccount = Account<1, 1024>;

/// The general algorithm after the pair of bytes may be slower than many comparisons.
type RarePairAccount = Account<4, 64>;

impl<const EARNING: isize, const COST: isize> Account<EARNING, COST> {
    /// A comparison has failed. Whether the account allows more.
    #[inline]
    fn charge(&mut self, passed: usize, compared: usize) -> bool {
        self.balance += EARNING * passed as isize - COST - compared as isize;
        self.balance >= 0
    }
}

/// Where a byte first occurs.
#[inline]
pub fn find_byte(byte: u8, data: &[u8]) -> Option<usize> {
    let start = data.as_ptr().cast::<c_void>();
    // SAFETY: the slice says how many bytes may be read.
    let found = unsafe { libc::memchr(start, c_int::from(byte), data.len()) };
    (!found.is_null()).then(|| found as usize - start as usize)
}

/// Two neighbouring bytes of the string, which begin `offset` bytes into it.
struct RarePair<'n> {
    bytes: Finder<'n>,
    offset: usize,
    account: RarePairAccount,
}

impl<'n> RarePair<'n> {
    /// The pair that is rarest in a sample of the data.
    fn choose(needle: &'n [u8], data: &[u8]) -> Self {
        let counts = Counts::of(data);
        let pairs = needle.windows(2).enumerate();
        let rarest = pairs.min_by_key(|(_, pair)| counts.of_pair(pair));
        let offset = rarest.map_or(0, |(offset, _)| offset);
        RarePair {
            bytes: Finder::new(&needle[offset..offset + 2]),
            offset,
            account: Account { balance: 4096 },
        }
    }

    fn probe(&mut self, needle: &[u8], data: &[u8], from: usize) -> Outcome {
        let find = |places: &[u8]| self.bytes.find(places);
        probe(needle, data, from, self.offset, find, &mut self.account)
    }
}

/// How often bytes, and pairs of them, were seen in a sample of the data.
struct Counts {
    bytes: [u8; 256],
    pairs: [u8; 256],
}

impl Counts {
    fn of(data: &[u8]) -> Counts {
        let mut counts = Counts {
            bytes: [0; 256],
            pairs: [0; 256],
        };
        // An odd step sees both halves of data that alternates.
        for pair in data.windows(2).step_by((data.len() / SAMPLE) | 1) {
            counts.bytes[usize::from(pair[0])] += 1;
            counts.pairs[Counts::index(pair)] += 1;
        }
        counts
    }

    /// Pairs share counters; that makes a rare pair look frequent, never the other way round.
    fn index(pair: &[u8]) -> usize {
        usize::from(pair[0].wrapping_mul(37) ^ pair[1])
    }

    /// How often a pair was seen; between equals, its rarer byte decides.
    fn of_pair(&self, pair: &[u8]) -> (u8, u8) {
        let byte = |byte: u8| self.bytes[usize::from(byte)];
        (
            self.pairs[Counts::index(pair)],
            byte(pair[0]).min(byte(pair[1])),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naive(needle: &[u8], data: &[u8]) -> Option<usize> {
        data.windows(needle.len())
            .position(|window| window == needle)
    }

    fn check(needle: &[u8], data: &[u8]) {
        let mut substring = Substring::new(needle);
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
        let mut substring = Substring::new(&needle);
        assert_eq!(substring.find_in(&first), None);
        let start = std::time::Instant::now();
        for tail in [&b"b"[..], b"bc", b"bbbbbbbc", b"c"] {
            let mut data = tail.repeat((1 << 20) / tail.len());
            assert_eq!(substring.find_in(&data), None);
            data.extend_from_slice(&needle);
            let found = substring.find_in(&data).unwrap();
            assert_eq!(&data[found..], &needle[..]);
        }
        assert!(start.elapsed().as_secs() < 60);
    }
}
