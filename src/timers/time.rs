//! The time of a base: its clock, the time cached for one pass, and the way to wall-clock time.

use super::Microseconds;
use crate::util::clock::{self, MonotonicClock};
use crate::util::cold_path;
use libc::timeval;
use std::ffi::c_int;

const SECOND: Microseconds = 1_000_000;

/// A duration or time of the program as microseconds. Microseconds outside 0..1,000,000 carry over;
/// what does not fit saturates, so a huge duration is practically endless.
#[inline]
pub fn from_timeval(time: timeval) -> Microseconds {
    let exact = time.tv_sec.checked_mul(SECOND);
    let saturated = move || {
        time.tv_sec
            .saturating_mul(SECOND)
            .saturating_add(time.tv_usec)
    };
    exact
        .and_then(|seconds| seconds.checked_add(time.tv_usec))
        .unwrap_or_else(|| cold_path(saturated))
}

/// So much later; a time that does not fit is as late as can be.
#[inline]
pub fn later(time: Microseconds, length: Microseconds) -> Microseconds {
    let sum = time.checked_add(length);
    sum.unwrap_or_else(|| cold_path(move || time.saturating_add(length)))
}

/// The opposite of [`from_timeval`]; always normalised.
#[inline]
pub fn to_timeval(time: Microseconds) -> timeval {
    let Ok(time) = u64::try_from(time) else {
        return cold_path(move || timeval {
            tv_sec: time.div_euclid(SECOND),
            tv_usec: time.rem_euclid(SECOND),
        });
    };
    let seconds = time / SECOND as u64;
    timeval {
        tv_sec: seconds as i64,
        tv_usec: (time - seconds * SECOND as u64) as i64,
    }
}

/// Readings of the clock are normalised and start near zero.
#[inline]
fn of_clock(reading: timeval) -> Microseconds {
    reading.tv_sec * SECOND + reading.tv_usec
}

/// The sum of two normalised times, neither of which is huge.
#[inline]
fn sum(a: timeval, b: timeval) -> timeval {
    let (tv_sec, tv_usec) = (a.tv_sec + b.tv_sec, a.tv_usec + b.tv_usec);
    if tv_usec < SECOND {
        return timeval { tv_sec, tv_usec };
    }
    timeval {
        tv_sec: tv_sec + 1,
        tv_usec: tv_usec - SECOND,
    }
}

/// Clock and cached times of a base.
pub struct BaseTime {
    clock: MonotonicClock,
    /// Whether a reading is kept for a pass.
    caching: bool,
    /// Whether `cached` counts as now until the pass ends.
    is_cached: bool,
    /// A reading of the clock, in the parts in which programs are told what it is.
    cached: timeval,
    /// Whether `to_wall` is known: it is found when first asked for after the cache was filled; or,
    /// while nothing is cached, known for a second.
    compares: bool,
    /// Wall-clock time minus clock time.
    to_wall: timeval,
    /// When that was found.
    compared: Microseconds,
}

impl BaseTime {
    /// `clock_flags` as for [`MonotonicClock::new`].
    pub fn new(clock_flags: c_int, caching: bool) -> BaseTime {
        BaseTime {
            clock: MonotonicClock::new(clock_flags),
            caching,
            is_cached: false,
            cached: to_timeval(0),
            compares: false,
            to_wall: to_timeval(0),
            compared: 0,
        }
    }

    /// A fresh reading of the clock.
    #[inline]
    pub fn read(&mut self) -> Microseconds {
        let now = of_clock(self.clock.now());
        if self.compares && !self.is_cached && now - self.compared >= SECOND {
            self.compares = false;
        }
        now
    }

    /// The cached time, else a fresh reading.
    #[inline]
    pub fn now(&mut self) -> Microseconds {
        if self.is_cached {
            of_clock(self.cached)
        } else {
            self.read()
        }
    }

    /// Keeps the time for this pass, if the base caches times at all; returns the reading.
    #[inline]
    pub fn update_cache(&mut self) -> Microseconds {
        if !self.caching {
            return self.read();
        }
        self.cached = self.clock.now();
        self.is_cached = true;
        self.compares = false;
        of_clock(self.cached)
    }

    /// Ends the validity of the cached time.
    #[inline]
    pub fn clear_cache(&mut self) {
        self.is_cached = false;
        self.compares = false;
    }

    /// Stores the wall-clock time; while a time is cached, that one.
    #[inline]
    pub fn wall_clock(&mut self, place: &mut timeval) {
        if !self.is_cached {
            *place = clock::time_of_day();
            return;
        }
        if !self.compares {
            self.compare_clocks();
        }
        *place = sum(self.cached, self.to_wall);
    }

    /// Wall-clock time of a point on the base's clock. Clocks are only asked when it is not known how
    /// far they are apart: who asks for many deadlines should not pay for two clocks each time.
    pub fn wall_clock_of(&mut self, time: Microseconds) -> Microseconds {
        if !self.compares {
            self.compare_clocks();
        }
        time.saturating_add(from_timeval(self.to_wall))
    }

    /// The same for an ordinary time, with its parts added one by one, which is quicker; `None` for
    /// others, and when clocks would have to be asked.
    #[inline]
    pub fn known_wall_clock_of(&self, time: timeval) -> Option<timeval> {
        let parts = (time.tv_sec as u64, time.tv_usec as u64);
        if !self.compares || parts.0 >= 1 << 40 || parts.1 >= SECOND as u64 {
            return None;
        }
        Some(sum(time, self.to_wall))
    }

    #[cold]
    fn compare_clocks(&mut self) {
        self.compared = self.read();
        self.to_wall = to_timeval(from_timeval(clock::time_of_day()) - self.compared);
        self.compares = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_wall_clock_time_is_kept_for_a_second_or_a_pass() {
        let mut time = BaseTime::new(0, true);
        let first = time.wall_clock_of(0);
        assert_eq!(time.wall_clock_of(5), first + 5);
        time.to_wall = to_timeval(7);
        time.read();
        assert_eq!(time.wall_clock_of(5), 12);
        time.compared -= 2 * SECOND;
        time.read();
        assert!((time.wall_clock_of(0) - first).abs() < SECOND);
        time.update_cache();
        time.wall_clock_of(0);
        time.to_wall = to_timeval(7);
        time.compared -= 2 * SECOND;
        time.read();
        assert_eq!(time.wall_clock_of(5), 12);
        time.clear_cache();
        assert!((time.wall_clock_of(0) - first).abs() < SECOND);
    }

    #[test]
    fn wall_clock_time_is_the_same_by_parts() {
        let mut time = BaseTime::new(0, true);
        assert!(time.known_wall_clock_of(to_timeval(5)).is_none());
        time.wall_clock_of(0);
        for offset in [0, 7, 1_999_999, -1, -3_000_001, 1 << 50] {
            time.to_wall = to_timeval(offset);
            for at in [0, 1, 999_999, 1_000_000, 86_400_000_001, 1 << 58] {
                let sum = time.known_wall_clock_of(to_timeval(at)).unwrap();
                assert_eq!(from_timeval(sum), time.wall_clock_of(at));
                assert!((0..SECOND).contains(&sum.tv_usec));
            }
        }
        let (tv_sec, tv_usec) = (5, 0x5000_0007);
        let marked = timeval { tv_sec, tv_usec };
        assert!(time.known_wall_clock_of(marked).is_none());
        assert!(time.known_wall_clock_of(to_timeval(i64::MAX)).is_none());
        assert!(time.known_wall_clock_of(to_timeval(-5)).is_none());
    }

    #[test]
    fn odd_timevals_are_normalised_and_huge_ones_saturate() {
        let of = |tv_sec, tv_usec| from_timeval(timeval { tv_sec, tv_usec });
        assert_eq!(of(0, 3_500_000), 3_500_000);
        assert_eq!(of(1, -1), 999_999);
        assert_eq!(of(i64::MAX, 999_999), i64::MAX);
        assert_eq!(of(i64::MIN, 0), i64::MIN);
        let back = to_timeval(-1);
        assert_eq!((back.tv_sec, back.tv_usec), (-1, 999_999));
    }
}
