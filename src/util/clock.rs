//! The clocks: time that never goes back, and the time of day.

use crate::system;
use libc::{clockid_t, timeval};
use std::ffi::c_int;
use std::mem::{MaybeUninit, size_of};

/// Configuration flag: exact to the microsecond, at the price of a slower reading.
pub const PRECISE: c_int = 1;
/// Configuration flag: the time of day, kept from going back.
pub const FALLBACK: c_int = 2;

/// Where a [`MonotonicClock`] reads the time. Coarse is the value of zeroed memory.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Source {
    Coarse,
    Precise,
    TimeOfDay,
}

impl Source {
    #[inline]
    fn system_clock(self) -> Option<clockid_t> {
        match self {
            Source::Coarse => Some(libc::CLOCK_MONOTONIC_COARSE),
            Source::Precise => Some(libc::CLOCK_MONOTONIC),
            Source::TimeOfDay => None,
        }
    }

    fn exists(self) -> bool {
        self.system_clock()
            .is_none_or(|clock| read_clock(clock).is_some())
    }
}

/// A clock that never goes back (`struct evutil_monotonic_timer`). All zero bytes are a valid
/// clock, configured with no flags. Not for two threads at once.
#[repr(C)]
pub struct MonotonicClock {
    source: Source,
    ratchet: Ratchet,
}

const _: () = assert!(size_of::<MonotonicClock>() == 40);

impl Default for MonotonicClock {
    fn default() -> Self {
        Self::new(0)
    }
}

impl MonotonicClock {
    /// A clock configured with `flags` ([`PRECISE`], [`FALLBACK`]); without any it is the fast one
    /// that moves in steps of a few milliseconds.
    pub fn new(flags: c_int) -> Self {
        let wanted = if flags & FALLBACK != 0 {
            Source::TimeOfDay
        } else if flags & PRECISE != 0 {
            Source::Precise
        } else {
            Source::Coarse
        };
        let candidates = [wanted, Source::Precise, Source::TimeOfDay];
        let source = candidates.into_iter().find(|source| source.exists());
        MonotonicClock {
            source: source.unwrap_or(Source::TimeOfDay),
            ratchet: Ratchet::default(),
        }
    }

    /// The time since some unspecified moment.
    #[inline]
    pub fn now(&mut self) -> timeval {
        let clock = self.source.system_clock();
        clock
            .and_then(read_clock)
            .unwrap_or_else(|| self.substitute())
    }

    /// The time when the source has none. One that was refused a reading gets another from the
    /// clock that counts from the same moment.
    #[cold]
    fn substitute(&mut self) -> timeval {
        let monotonic = match self.source {
            // The same clock at first: the exact one is ahead of the coarse one by up to a step.
            Source::Coarse | Source::Precise => self
                .source
                .system_clock()
                .and_then(read_clock)
                .or_else(|| read_clock(libc::CLOCK_MONOTONIC)),
            Source::TimeOfDay => None,
        };
        monotonic.unwrap_or_else(|| self.ratchet.advance(time_of_day()))
    }
}

/// Keeps a series of readings from going back.
///
/// Invariant: every returned time is a reading plus `correction`, and `last` is the greatest.
#[repr(C)]
struct Ratchet {
    correction: timeval,
    last: timeval,
}

impl Default for Ratchet {
    fn default() -> Self {
        Ratchet {
            correction: ZERO,
            last: ZERO,
        }
    }
}

impl Ratchet {
    #[cold]
    fn advance(&mut self, reading: timeval) -> timeval {
        let time = add(reading, self.correction);
        if (time.tv_sec, time.tv_usec) < (self.last.tv_sec, self.last.tv_usec) {
            self.correction = add(self.correction, subtract(self.last, time));
        } else {
            self.last = time;
        }
        self.last
    }
}

const ZERO: timeval = timeval {
    tv_sec: 0,
    tv_usec: 0,
};
const MICROSECONDS: i64 = 1_000_000;

fn add(a: timeval, b: timeval) -> timeval {
    let microseconds = a.tv_usec + b.tv_usec;
    timeval {
        tv_sec: a
            .tv_sec
            .saturating_add(b.tv_sec)
            .saturating_add(microseconds.div_euclid(MICROSECONDS)),
        tv_usec: microseconds.rem_euclid(MICROSECONDS),
    }
}

fn subtract(a: timeval, b: timeval) -> timeval {
    let microseconds = a.tv_usec - b.tv_usec;
    timeval {
        tv_sec: a
            .tv_sec
            .saturating_sub(b.tv_sec)
            .saturating_add(microseconds.div_euclid(MICROSECONDS)),
        tv_usec: microseconds.rem_euclid(MICROSECONDS),
    }
}

#[inline]
fn read_clock(clock: clockid_t) -> Option<timeval> {
    let mut time = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: the kernel fills the structure when it reports success.
    let time = unsafe {
        if system::clock_gettime(clock, time.as_mut_ptr()) != 0 {
            return None;
        }
        time.assume_init()
    };
    Some(timeval {
        tv_sec: time.tv_sec,
        // Below a second it fits, and divides faster.
        tv_usec: (time.tv_nsec as u32 / 1000).into(),
    })
}

/// Milliseconds, rounded up; `None` when they do not fit or the microseconds are out of range.
pub fn to_milliseconds(time: timeval) -> Option<i64> {
    let largest = (i64::MAX - 999) / 1000;
    if time.tv_usec > MICROSECONDS || time.tv_sec > largest {
        return None;
    }
    time.tv_sec
        .checked_mul(1000)?
        .checked_add(time.tv_usec.checked_add(999)? / 1000)
}

/// Sleeps for a time, or until a signal comes.
pub fn sleep(time: timeval) {
    let time = libc::timespec {
        tv_sec: time.tv_sec,
        tv_nsec: time.tv_usec.saturating_mul(1000),
    };
    // SAFETY: the time outlives the call; the rest is not asked for.
    unsafe { system::nanosleep(&time, std::ptr::null_mut()) };
}

/// The time of day (UTC, seconds since 1970), which may be set back.
pub fn time_of_day() -> timeval {
    let mut now = ZERO;
    // SAFETY: gettimeofday fills the structure and cannot fail with valid memory.
    unsafe { system::gettimeofday(&mut now, std::ptr::null_mut()) };
    now
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(tv_sec: i64, tv_usec: i64) -> timeval {
        timeval { tv_sec, tv_usec }
    }

    fn pair(time: timeval) -> (i64, i64) {
        (time.tv_sec, time.tv_usec)
    }

    #[test]
    fn the_ratchet_goes_on_from_where_the_clock_went_back() {
        let mut ratchet = Ratchet::default();
        assert_eq!(pair(ratchet.advance(time(100, 5))), (100, 5));
        assert_eq!(pair(ratchet.advance(time(40, 900_000))), (100, 5));
        assert_eq!(pair(ratchet.advance(time(41, 900_000))), (101, 5));
        assert_eq!(pair(ratchet.advance(time(41, 0))), (101, 5));
        assert_eq!(pair(ratchet.advance(time(41, 999_999))), (102, 4));
    }

    #[test]
    fn every_source_advances() {
        for flags in 0..4 {
            let mut clock = MonotonicClock::new(flags);
            let first = clock.now();
            let second = clock.now();
            assert!(pair(first) <= pair(second));
            assert!((0..MICROSECONDS).contains(&second.tv_usec));
        }
    }

    #[test]
    fn zero_bytes_are_the_coarse_clock() {
        // SAFETY: every field accepts zero, as the type documents.
        let clock: MonotonicClock = unsafe { std::mem::zeroed() };
        assert_eq!(clock.source, Source::Coarse);
    }
}
