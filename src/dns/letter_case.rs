//! Random case for the letters of questions: a forger has to guess that too, if the
//! server repeats it.

use super::wire;
use crate::util::random;

/// Gives the letters of a name in wire form a random case. The lengths of labels are no letters.
pub(super) fn randomise_case(name: &mut [u8]) {
    let mut bits = [0; wire::LONGEST_NAME.div_ceil(8)];
    let bits = &mut bits[..name.len().div_ceil(8)];
    random::fill(bits);
    let mut bits = bits.iter();
    let mut eights = name.chunks_exact_mut(8);
    for (eight, &bits) in eights.by_ref().zip(&mut bits) {
        if let Ok(eight) = <&mut [u8; 8]>::try_from(eight) {
            *eight = mix_case_of_eight(*eight, bits);
        }
    }
    let rest = eights.into_remainder();
    let mut eight = [0; 8];
    eight[..rest.len()].copy_from_slice(rest);
    let mixed = mix_case_of_eight(eight, bits.next().copied().unwrap_or(0));
    rest.copy_from_slice(&mixed[..rest.len()]);
}

/// Turns the case of those letters among eight bytes whose bit is set.
fn mix_case_of_eight(bytes: [u8; 8], bits: u8) -> [u8; 8] {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x80 * EACH;
    let bytes = u64::from_ne_bytes(bytes);
    // One bit of `bits` in each byte, then the highest bit of each byte that has one.
    let spread = (u64::from(bits) * EACH) & 0x8040_2010_0804_0201;
    let chosen = (spread + 0x7f * EACH) & HIGH;
    // The highest bit of a sum says whether a byte below 128 is at least the other one.
    let small = (bytes | (0x20 * EACH)) & !HIGH;
    let from_a = small + (0x80 - u64::from(b'a')) * EACH;
    let past_z = small + (0x80 - u64::from(b'z') - 1) * EACH;
    let letters = from_a & !past_z & !bytes & HIGH;
    (bytes ^ ((chosen & letters) >> 2)).to_ne_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_alone_change_their_case() {
        for byte in 0..=255u8 {
            for place in 0..8 {
                let mut bytes = [b'x'; 8];
                bytes[place] = byte;
                let mixed = |bits| mix_case_of_eight(bytes, bits);
                assert_eq!(mixed(0), bytes);
                let mut wanted = [b'X'; 8];
                wanted[place] = if byte.is_ascii_alphabetic() {
                    byte ^ 0x20
                } else {
                    byte
                };
                assert_eq!(mixed(0xff), wanted);
                let changed = mixed(1 << place)
                    .iter()
                    .zip(bytes)
                    .filter(|(a, b)| **a != *b)
                    .count();
                assert_eq!(changed, usize::from(byte.is_ascii_alphabetic()));
            }
        }
    }

    #[test]
    fn both_cases_come() {
        let name = b"\x1eabcdefghijklmnopqrstuvwxyzabcd\x00";
        let mut seen = [[false; 2]; 30];
        for _ in 0..200 {
            let mut mixed = *name;
            randomise_case(&mut mixed);
            assert!(mixed.eq_ignore_ascii_case(name));
            for (seen, byte) in seen.iter_mut().zip(&mixed[1..]) {
                seen[usize::from(byte.is_ascii_uppercase())] = true;
            }
        }
        assert_eq!(seen, [[true; 2]; 30]);
    }
}
