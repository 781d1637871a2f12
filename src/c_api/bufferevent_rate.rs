//! event2/bufferevent.h, second part: limits of the transfer rate.

use super::{give, status};
use crate::base::EventBase;
use crate::bufferevent::bucket::BucketConfig as TokenBucketConfig;
use crate::bufferevent::group::Group as RateLimitGroup;
use crate::bufferevent::limit::Resume;
use crate::bufferevent::{Bufferevent, Direction, Guard};
use crate::hooks::memory;
use libc::timeval;
use std::ffi::c_int;
use std::ptr::{self, NonNull};

/// Makes a configuration for rate limits: `read_rate` and `write_rate` bytes per tick on average,
/// and at most `read_burst` and `write_burst` bytes at once after a pause.
///
/// A tick lasts `tick_len`, rounded down to milliseconds; NULL means one second.
///
/// Returns NULL if memory is short, a rate is below 1 or above its burst, a burst is above
/// `EV_RATE_LIMIT_MAX`, or the tick is shorter than a millisecond. The caller owns it and frees it
/// with ev_token_bucket_cfg_free() once no bufferevent uses it any more.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn ev_token_bucket_cfg_new(
    read_rate: usize,
    read_burst: usize,
    write_rate: usize,
    write_burst: usize,
    tick_len: *const timeval,
) -> *mut TokenBucketConfig {
    const SECOND: timeval = timeval {
        tv_sec: 1,
        tv_usec: 0,
    };
    // SAFETY: the caller guarantees the time, or null.
    let tick = unsafe { tick_len.as_ref() }.copied().unwrap_or(SECOND);
    let rates = ([read_rate, read_burst], [write_rate, write_burst]);
    let Some(config) = TokenBucketConfig::new(rates.0, rates.1, tick) else {
        return ptr::null_mut();
    };
    let block = memory::malloc(size_of::<TokenBucketConfig>()).cast::<TokenBucketConfig>();
    if !block.is_null() {
        // SAFETY: the block is new and large enough.
        unsafe { block.write(config) };
    }
    block
}

/// Frees what ev_token_bucket_cfg_new() made; NULL is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn ev_token_bucket_cfg_free(cfg: *mut TokenBucketConfig) {
    if !cfg.is_null() {
        // SAFETY: the caller guarantees that nobody uses it any more.
        unsafe { memory::free(cfg.cast()) };
    }
}

/// Limits the rate of a bufferevent on a descriptor; NULL removes the limit. For other kinds it has
/// no effect: limit the bufferevent that they are based on.
///
/// `cfg` is not copied. It may be shared by several bufferevents, and must outlive its use. If
/// there is a limit already, its rates change; the bytes allowed at the moment stay, up to the new
/// burst.
///
/// Returns 0, or -1, with nothing changed, if memory is short.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_set_rate_limit(
    bev: *mut Bufferevent,
    cfg: *mut TokenBucketConfig,
) -> c_int {
    // SAFETY: the caller guarantees the bufferevent and the configuration.
    status(unsafe { Guard::new(bev).set_rate_limit(cfg) })
}

/// Makes a group of bufferevents that share a rate limit. `cfg` is copied. The group keeps the loop
/// of `base` running.
///
/// Returns NULL if memory is short. The caller owns it and frees it with
/// bufferevent_rate_limit_group_free().
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_rate_limit_group_new(
    base: *mut EventBase,
    cfg: *const TokenBucketConfig,
) -> *mut RateLimitGroup {
    // SAFETY: the caller guarantees the base and the configuration.
    unsafe { RateLimitGroup::create(base, &*cfg) }.map_or(ptr::null_mut(), NonNull::as_ptr)
}

/// Changes the limit of a group. `cfg` is copied. Returns 0, or -1 if an argument is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_rate_limit_group_set_cfg(
    group: *mut RateLimitGroup,
    cfg: *const TokenBucketConfig,
) -> c_int {
    // SAFETY: the caller guarantees both, or null.
    match unsafe { (group.as_ref(), cfg.as_ref()) } {
        (Some(group), Some(config)) => {
            group.set_config(config);
            0
        }
        _ => -1,
    }
}

/// Sets the smallest number of bytes that a member of a group may move at a time, 64 by default. If
/// the group has many members, each then waits longer for its turn instead of moving less.
///
/// Returns 0, or -1 if `share` is above `EV_RATE_LIMIT_MAX`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_rate_limit_group_set_min_share(
    group: *mut RateLimitGroup,
    share: usize,
) -> c_int {
    let Ok(share) = isize::try_from(share) else {
        return -1;
    };
    // SAFETY: the caller guarantees the group.
    unsafe { (*group).set_min_share(share) };
    0
}

/// Frees a group, which must have no members. Freeing a bufferevent removes it from its group.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_rate_limit_group_free(group: *mut RateLimitGroup) {
    if let Some(group) = NonNull::new(group) {
        // SAFETY: the caller hands the group over.
        unsafe { RateLimitGroup::free(group) };
    }
}

/// Adds a bufferevent to a group, and removes it from the group that it was in. It may also have a
/// limit of its own. A NULL `group` only removes it.
///
/// Returns 0, or -1, with nothing changed, if memory is short.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_add_to_rate_limit_group(
    bev: *mut Bufferevent,
    group: *mut RateLimitGroup,
) -> c_int {
    // SAFETY: the caller guarantees the bufferevent and the group, or null.
    unsafe {
        let bufferevent = Guard::new(bev);
        match NonNull::new(group) {
            Some(group) => status(bufferevent.join_group(group)),
            None => {
                bufferevent.leave_group(Resume::Yes);
                0
            }
        }
    }
}

/// Removes a bufferevent from its group, if it is in one. Returns 0.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_remove_from_rate_limit_group(
    bev: *mut Bufferevent,
) -> c_int {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { Guard::new(bev) }.leave_group(Resume::Yes);
    0
}

/// Sets the most bytes that are read at a time; 0 means the default of 16384. Returns 0.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_set_max_single_read(
    bev: *mut Bufferevent,
    size: usize,
) -> c_int {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { Guard::new(bev) }.set_max_single(Direction::Read, size);
    0
}

/// Sets the most bytes that are written at a time; 0 means the default of 16384. Returns 0.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_set_max_single_write(
    bev: *mut Bufferevent,
    size: usize,
) -> c_int {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { Guard::new(bev) }.set_max_single(Direction::Write, size);
    0
}

/// The most bytes that are read at a time.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_get_max_single_read(bev: *mut Bufferevent) -> isize {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { Guard::new(bev) }.max_single(Direction::Read) as isize
}

/// The most bytes that are written at a time.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_get_max_single_write(bev: *mut Bufferevent) -> isize {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { Guard::new(bev) }.max_single(Direction::Write) as isize
}

/// How many bytes a bufferevent's own limit allows it to read now, which may be negative.
/// `EV_SSIZE_MAX` if it has no limit of its own.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_get_read_limit(bev: *mut Bufferevent) -> isize {
    // SAFETY: the caller guarantees the bufferevent.
    let limit = unsafe { Guard::new(bev) }.own_limit(Direction::Read);
    limit.unwrap_or(isize::MAX)
}

/// Like bufferevent_get_read_limit(), for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_get_write_limit(bev: *mut Bufferevent) -> isize {
    // SAFETY: the caller guarantees the bufferevent.
    let limit = unsafe { Guard::new(bev) }.own_limit(Direction::Write);
    limit.unwrap_or(isize::MAX)
}

/// How many bytes the next read may take, given all limits.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_get_max_to_read(bev: *mut Bufferevent) -> isize {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { Guard::new(bev) }.transfer_limit(Direction::Read) as isize
}

/// How many bytes the next write may take, given all limits.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_get_max_to_write(bev: *mut Bufferevent) -> isize {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { Guard::new(bev) }.transfer_limit(Direction::Write) as isize
}

/// A bufferevent's own limit, as it was set; NULL if it has none.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_get_token_bucket_cfg(
    bev: *const Bufferevent,
) -> *const TokenBucketConfig {
    // SAFETY: the caller guarantees the bufferevent, whose lock is not part of its value.
    unsafe { Guard::new(bev.cast_mut()) }.rate_limit()
}

/// How many bytes the limit of a group allowed to be read at its last tick, minus what was read
/// since; may be negative.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_rate_limit_group_get_read_limit(
    group: *mut RateLimitGroup,
) -> isize {
    // SAFETY: the caller guarantees the group.
    unsafe { (*group).limit(Direction::Read) }
}

/// Like bufferevent_rate_limit_group_get_read_limit(), for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_rate_limit_group_get_write_limit(
    group: *mut RateLimitGroup,
) -> isize {
    // SAFETY: the caller guarantees the group.
    unsafe { (*group).limit(Direction::Write) }
}

/// Counts `decr` bytes as read against a bufferevent's own limit, which it must have; a negative
/// number gives some back. Returns 0.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_decrement_read_limit(
    bev: *mut Bufferevent,
    decr: isize,
) -> c_int {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { Guard::new(bev) }.charge_own(Direction::Read, decr);
    0
}

/// Like bufferevent_decrement_read_limit(), for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_decrement_write_limit(
    bev: *mut Bufferevent,
    decr: isize,
) -> c_int {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { Guard::new(bev) }.charge_own(Direction::Write, decr);
    0
}

/// Counts `decr` bytes as read against the limit of a group; a negative number gives some back.
/// Returns 0.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_rate_limit_group_decrement_read(
    group: *mut RateLimitGroup,
    decr: isize,
) -> c_int {
    // SAFETY: the caller guarantees the group.
    unsafe { (*group).charge(Direction::Read, decr) };
    0
}

/// Like bufferevent_rate_limit_group_decrement_read(), for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_rate_limit_group_decrement_write(
    group: *mut RateLimitGroup,
    decr: isize,
) -> c_int {
    // SAFETY: the caller guarantees the group.
    unsafe { (*group).charge(Direction::Write, decr) };
    0
}

/// Gets the number of bytes that the members of a group have moved since the totals were last
/// reset; each pointer may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_rate_limit_group_get_totals(
    group: *mut RateLimitGroup,
    total_read_out: *mut u64,
    total_written_out: *mut u64,
) {
    // SAFETY: the caller guarantees the group and the places, or null.
    unsafe {
        give(total_read_out, (*group).total(Direction::Read));
        give(total_written_out, (*group).total(Direction::Write));
    }
}

/// Resets the totals of a group to 0.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_rate_limit_group_reset_totals(
    group: *mut RateLimitGroup,
) {
    // SAFETY: the caller guarantees the group.
    unsafe { (*group).reset_totals() };
}
