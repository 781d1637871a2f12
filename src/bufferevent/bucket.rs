//! Token buckets: how many bytes may pass, counted per tick.

use super::Direction;
use libc::timeval;
use std::ffi::{c_int, c_uint};

/// Largest limit: the rates of a configuration are at most this.
const MAXIMUM: usize = isize::MAX as usize;
/// The longest tick in seconds whose milliseconds fit an `int`.
const LONGEST_TICK: i64 = c_int::MAX as i64 / 1000;

fn microseconds(time: timeval) -> u64 {
    (time.tv_sec as u64)
        .wrapping_mul(1_000_000)
        .wrapping_add(time.tv_usec as u64)
}

/// `struct ev_token_bucket_cfg`: what is filled in per tick, and what a bucket holds at most.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct BucketConfig {
    read_rate: usize,
    read_maximum: usize,
    write_rate: usize,
    write_maximum: usize,
    /// The length of a tick as the program gave it.
    pub tick: timeval,
    /// What of it counts.
    tick_milliseconds: c_uint,
}

const _: () = assert!(size_of::<BucketConfig>() == 56);

impl BucketConfig {
    /// Rate and maximum of each direction; `None` when they are out of range.
    pub fn new(read: [usize; 2], write: [usize; 2], tick: timeval) -> Option<BucketConfig> {
        let valid =
            |[rate, maximum]: [usize; 2]| (1..=maximum).contains(&rate) && maximum <= MAXIMUM;
        let seconds = (0..=LONGEST_TICK).contains(&tick.tv_sec);
        if !valid(read) || !valid(write) || !seconds || !(0..1_000_000).contains(&tick.tv_usec) {
            return None;
        }
        let milliseconds = tick.tv_sec * 1000 + tick.tv_usec / 1000;
        let tick_milliseconds = c_uint::try_from(milliseconds).ok().filter(|&m| m > 0)?;
        Some(BucketConfig {
            read_rate: read[0],
            read_maximum: read[1],
            write_rate: write[0],
            write_maximum: write[1],
            tick,
            tick_milliseconds,
        })
    }

    /// Bytes per tick.
    pub fn rate(&self, direction: Direction) -> isize {
        match direction {
            Direction::Read => self.read_rate as isize,
            Direction::Write => self.write_rate as isize,
        }
    }

    /// What a bucket holds at most.
    fn maximum(&self, direction: Direction) -> isize {
        match direction {
            Direction::Read => self.read_maximum as isize,
            Direction::Write => self.write_maximum as isize,
        }
    }

    /// Whether ticks are numbered alike.
    pub fn has_same_ticks(&self, other: &BucketConfig) -> bool {
        self.tick_milliseconds == other.tick_milliseconds
    }

    /// The number of the tick at a time, modulo 2^32.
    pub fn tick_at(&self, time: timeval) -> u32 {
        (microseconds(time) / self.tick_microseconds()) as u32
    }

    /// How long it is until the next tick begins. Waiting for that, and not for the length of a
    /// tick, no tick is passed over, however late the waits end.
    pub fn until_next_tick(&self, time: timeval) -> timeval {
        let length = self.tick_microseconds();
        let left = length - microseconds(time) % length;
        timeval {
            tv_sec: (left / 1_000_000) as i64,
            tv_usec: (left % 1_000_000) as i64,
        }
    }

    fn tick_microseconds(&self) -> u64 {
        u64::from(self.tick_milliseconds.max(1)) * 1000
    }
}

/// `struct ev_token_bucket`: what may pass now; not above 0: nothing.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Bucket {
    read: isize,
    write: isize,
    updated: u32,
}

const _: () = assert!(size_of::<Bucket>() == 24);

impl Bucket {
    /// Filled for one tick.
    pub fn new(config: &BucketConfig, tick: u32) -> Bucket {
        Bucket {
            read: config.rate(Direction::Read),
            write: config.rate(Direction::Write),
            updated: tick,
        }
    }

    /// The same content, as far as it fits another configuration, counted in its ticks from now on.
    pub fn reconfigured(self, config: &BucketConfig, tick: u32) -> Bucket {
        Bucket {
            read: self.read.min(config.maximum(Direction::Read)),
            write: self.write.min(config.maximum(Direction::Write)),
            updated: tick,
        }
    }

    /// What may pass in a direction.
    pub fn limit(&self, direction: Direction) -> isize {
        match direction {
            Direction::Read => self.read,
            Direction::Write => self.write,
        }
    }

    fn limit_mut(&mut self, direction: Direction) -> &mut isize {
        match direction {
            Direction::Read => &mut self.read,
            Direction::Write => &mut self.write,
        }
    }

    /// Fills in what the ticks since the last update bring; whether there were any. A number of
    /// ticks that cannot be means that time went back.
    pub fn update(&mut self, config: &BucketConfig, tick: u32) -> bool {
        let ticks = tick.wrapping_sub(self.updated);
        if ticks == 0 || ticks > c_int::MAX as u32 {
            return false;
        }
        for direction in Direction::ALL {
            let (rate, maximum) = (config.rate(direction), config.maximum(direction));
            let limit = self.limit_mut(direction);
            // What the program has put in beyond the maximum stays, but does not grow.
            if *limit < maximum {
                let gain = rate.saturating_mul(ticks as isize);
                *limit = limit.saturating_add(gain).min(maximum);
            }
        }
        self.updated = tick;
        true
    }

    /// Takes out what has passed; a negative number puts in.
    pub fn charge(&mut self, direction: Direction, count: isize) {
        let limit = self.limit_mut(direction);
        *limit = limit.saturating_sub(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: timeval = timeval {
        tv_sec: 1,
        tv_usec: 0,
    };

    fn config(rate: usize, maximum: usize) -> BucketConfig {
        BucketConfig::new([rate, maximum], [rate, maximum], SECOND).unwrap()
    }

    #[test]
    fn rates_and_ticks_out_of_range_are_refused() {
        let tick = |tv_sec, tv_usec| timeval { tv_sec, tv_usec };
        let valid =
            |rate, maximum, tick| BucketConfig::new([rate, maximum], [1, 1], tick).is_some();
        assert!(valid(1, 1, SECOND));
        assert!(valid(MAXIMUM, MAXIMUM, SECOND));
        assert!(valid(1, 1, tick(0, 1000)));
        assert!(!valid(0, 1, SECOND));
        assert!(!valid(2, 1, SECOND));
        assert!(!valid(1, MAXIMUM + 1, SECOND));
        assert!(!valid(1, 1, tick(0, 999)));
        assert!(!valid(1, 1, tick(-1, 0)));
        assert!(!valid(1, 1, tick(LONGEST_TICK + 1, 0)));
        assert!(!valid(1, 1, tick(1, -1)));
    }

    #[test]
    fn a_bucket_fills_by_ticks_up_to_its_maximum() {
        let config = config(10, 25);
        let mut bucket = Bucket::new(&config, 7);
        assert_eq!(bucket.limit(Direction::Read), 10);
        assert!(!bucket.update(&config, 7));
        assert!(bucket.update(&config, 8));
        assert_eq!(bucket.limit(Direction::Read), 20);
        assert!(bucket.update(&config, 10));
        assert_eq!(bucket.limit(Direction::Read), 25);
        bucket.charge(Direction::Read, 40);
        assert!(bucket.update(&config, 11));
        assert_eq!(bucket.limit(Direction::Read), -5);
        assert_eq!(bucket.limit(Direction::Write), 25);
    }

    #[test]
    fn time_that_goes_back_changes_nothing() {
        let config = config(10, 25);
        let mut bucket = Bucket::new(&config, 7);
        assert!(!bucket.update(&config, 6));
        assert_eq!(bucket.limit(Direction::Write), 10);
        let mut wrapped = Bucket::new(&config, u32::MAX);
        assert!(wrapped.update(&config, 0));
        assert_eq!(wrapped.limit(Direction::Write), 20);
    }

    #[test]
    fn an_excess_does_not_grow() {
        let config = config(10, 20);
        let mut bucket = Bucket::new(&config, 0);
        bucket.charge(Direction::Write, -90);
        assert!(bucket.update(&config, 1000));
        assert_eq!(bucket.limit(Direction::Write), 100);
        bucket.charge(Direction::Write, isize::MIN);
        assert_eq!(bucket.limit(Direction::Write), isize::MAX);
        bucket.charge(Direction::Write, isize::MAX);
        bucket.charge(Direction::Write, isize::MAX);
        assert!(bucket.update(&config, 1001));
    }

    #[test]
    fn another_configuration_only_clips() {
        let mut bucket = Bucket::new(&config(100, 100), 5);
        bucket = bucket.reconfigured(&config(10, 30), 2000);
        assert_eq!(bucket.limit(Direction::Read), 30);
        assert!(!bucket.update(&config(10, 30), 2000));
    }

    #[test]
    fn ticks_are_numbered_by_their_length() {
        let config = BucketConfig::new(
            [1, 1],
            [1, 1],
            timeval {
                tv_sec: 0,
                tv_usec: 250_999,
            },
        );
        let time = timeval {
            tv_sec: 10,
            tv_usec: 499_999,
        };
        let config = config.unwrap();
        assert_eq!(config.tick_at(time), 41);
        let left = config.until_next_tick(time);
        assert_eq!((left.tv_sec, left.tv_usec), (0, 1));
        let left = config.until_next_tick(SECOND);
        assert_eq!((left.tv_sec, left.tv_usec), (0, 250_000));
    }
}
