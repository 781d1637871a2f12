//! Which bases exist.
//!
//! Programs free events after their base. An idle event has nothing to do with its base any more,
//! but its pointer dangles; here one can ask before following it.

use super::EventBase;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::Acquire, Ordering::Release};

const PLACES: usize = 64;

static BASES: [AtomicPtr<EventBase>; PLACES] = [const { AtomicPtr::new(ptr::null_mut()) }; PLACES];
// Bases that found no place; while there are any, every base counts as live.
static OTHERS: AtomicUsize = AtomicUsize::new(0);

/// A base was made.
pub(super) fn enter(base: *mut EventBase) {
    let free = |place: &AtomicPtr<EventBase>| {
        place
            .compare_exchange(ptr::null_mut(), base, Release, Acquire)
            .is_ok()
    };
    if !BASES.iter().any(free) {
        OTHERS.fetch_add(1, Release);
    }
}

/// A base is being freed.
pub(super) fn leave(base: *mut EventBase) {
    let own = |place: &AtomicPtr<EventBase>| {
        place
            .compare_exchange(base, ptr::null_mut(), Release, Acquire)
            .is_ok()
    };
    if !BASES.iter().any(own) {
        OTHERS.fetch_sub(1, Release);
    }
}

/// Whether the pointer may be followed, as far as is known.
#[inline(never)]
pub fn is_live(base: *mut EventBase) -> bool {
    OTHERS.load(Acquire) > 0 || BASES.iter().any(|place| place.load(Acquire) == base)
}
