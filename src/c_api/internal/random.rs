//! Internal exported symbols about random numbers, and the set-up of the utilities, which have no
//! locks of their own to make.

use crate::util::weak_random::WeakRandom;
use std::ffi::c_int;

/// Starts a generator; 0 means from the time and the process. Returns the seed.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_weakrand_seed_(state: *mut WeakRandom, seed: u32) -> u32 {
    // SAFETY: the caller guarantees writable memory.
    unsafe {
        state.write(WeakRandom::new(seed));
        (*state).seed()
    }
}

/// The next number, 0 to 0x7fffffff.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_weakrand_(state: *mut WeakRandom) -> i32 {
    // SAFETY: the caller guarantees a generator that no other thread uses now.
    unsafe { &mut *state }.next_number()
}

/// A number from 0 to `top - 1`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_weakrand_range_(state: *mut WeakRandom, top: i32) -> i32 {
    // SAFETY: the caller guarantees a generator that no other thread uses now.
    unsafe { &mut *state }.below(top)
}

/// Nothing to set up: the secure generator needs no lock of the program's.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_secure_rng_global_setup_locks_(_enable: c_int) -> c_int {
    0
}

/// Nothing to free.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_free_secure_rng_globals_() {}

/// Nothing to set up.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_global_setup_locks_(_enable: c_int) -> c_int {
    0
}

/// Nothing to free.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evutil_free_globals_() {}
