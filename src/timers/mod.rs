//! Deadlines: the heap, the lists of common timeouts, and time itself.

pub mod common;
pub mod heap;
pub mod time;

use heap::Heap;

/// A point on a base's monotonic clock, or a length of time, in microseconds.
pub type Microseconds = i64;

/// The timers of a base.
pub struct Timers {
    /// Every deadline that is not in a common-timeout list.
    pub heap: Heap,
    /// The lists of events that share a duration.
    pub common: common::CommonTimeouts,
}

impl Timers {
    /// No timers and no memory.
    pub const fn new() -> Timers {
        Timers {
            heap: Heap::new(),
            common: common::CommonTimeouts::new(),
        }
    }
}

impl Default for Timers {
    fn default() -> Self {
        Self::new()
    }
}
