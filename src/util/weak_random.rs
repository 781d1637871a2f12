//! Fast random numbers for fairness, where nobody gains anything by guessing them.

use super::clock;

/// State of a generator (`struct evutil_weakrand_state`).
#[repr(C)]
pub struct WeakRandom {
    seed: u32,
}

const MAXIMUM: u32 = 0x7fff_ffff;

impl WeakRandom {
    /// A generator that starts from `seed`; 0 means from the time and the process.
    pub fn new(seed: u32) -> Self {
        if seed != 0 {
            return WeakRandom { seed };
        }
        let now = clock::time_of_day();
        let process = std::process::id();
        WeakRandom {
            seed: (now.tv_sec as u32)
                .wrapping_add(now.tv_usec as u32)
                .wrapping_add(process),
        }
    }

    /// The number that the next ones are made from.
    pub fn seed(&self) -> u32 {
        self.seed
    }

    /// The next number, at most 0x7fffffff.
    pub fn next_number(&mut self) -> i32 {
        let next = self.seed.wrapping_mul(1_103_515_245).wrapping_add(12345);
        self.seed = next & MAXIMUM;
        self.seed as i32
    }

    /// A number below `top`, made from the high bits, which vary best; 0 when `top` is not
    /// positive.
    pub fn below(&mut self, top: i32) -> i32 {
        if top <= 0 {
            return 0;
        }
        let divisor = MAXIMUM as i32 / top;
        loop {
            let number = self.next_number() / divisor;
            if number < top {
                return number;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_below_the_top() {
        let mut random = WeakRandom::new(1);
        for top in [1, 2, 3, 1000, i32::MAX] {
            assert!((0..100).all(|_| (0..top).contains(&random.below(top))));
        }
        assert_eq!(random.below(0), 0);
        assert_eq!(random.below(-1), 0);
    }
}
