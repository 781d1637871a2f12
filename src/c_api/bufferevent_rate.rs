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

/// Makes a limit of the transfer rate: so many bytes per tick on average, and at most so many
/// (`burst`) after a pause.
///
/// The unit of a limit is a tick of `tick_len`, of which milliseconds count; NULL is a second.
///
/// Returns NULL when memory is short, for a rate below 1 or above its burst, for a burst above
/// `EV_RATE_LIMIT_MAX`, and for a tick shorter than a millisecond. The caller owns it:
/// ev_token_bucket_cfg_free(), after no bufferevent uses it any more.
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

/// Limits the rate of a bufferevent on a descriptor; NULL ends that. For other kinds it has no
/// effect: limit the one below.
///
/// `cfg` is not copied. It may be shared, and must outlive its use. Another one in place of the
/// one in use changes the rates; what may pass at the moment stays, up to the new burst.
///
/// Returns -1, with nothing changed, when memory is short.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_set_rate_limit(
    bev: *mut Bufferevent,
    cfg: *mut TokenBucketConfig,
) -> c_int {
    // SAFETY: the caller guarantees the bufferevent and the configuration.
    status(unsafe { Guard::new(bev).set_rate_limit(cfg) })
}

/// Makes a group of bufferevents that share a limit. `cfg` is copied. The group keeps the loop of
/// `base` running.
///
/// Returns NULL when memory is short. The caller owns it: bufferevent_rate_limit_group_free().
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_rate_limit_group_new(
    base: *mut EventBase,
    cfg: *const TokenBucketConfig,
) -> *mut RateLimitGroup {
    // SAFETY: the caller guarantees the base and the configuration.
    unsafe { RateLimitGroup::create(base, &*cfg) }.map_or(ptr::null_mut(), NonNull::as_ptr)
}

/// Changes the limit of a group. `cfg` is copied. Returns -1 when an argument is NULL.
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

/// Sets the smallest number of bytes that a member of a group may move at a time, 64 at first.
/// With many members each gets less often a turn then, not less at a time.
///
/// Returns -1 for more than `EV_RATE_LIMIT_MAX`.
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

/// Frees a group. It must have no members: a bufferevent leaves it when it is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_rate_limit_group_free(group: *mut RateLimitGroup) {
    if let Some(group) = NonNull::new(group) {
        // SAFETY: the caller gives the group up.
        unsafe { RateLimitGroup::free(group) };
    }
}

/// Makes a bufferevent a member of a group, which it may share with others, and of no other group.
/// It may have a limit of its own besides. NULL only removes it from its group.
///
/// Returns -1, with nothing changed, when memory is short.
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

/// Sets how many bytes are read at a time at most; 0 is the default of 16384. Returns 0.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_set_max_single_read(
    bev: *mut Bufferevent,
    size: usize,
) -> c_int {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { Guard::new(bev) }.set_max_single(Direction::Read, size);
    0
}

/// Sets how many bytes are written at a time at most; 0 is the default of 16384. Returns 0.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_set_max_single_write(
    bev: *mut Bufferevent,
    size: usize,
) -> c_int {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { Guard::new(bev) }.set_max_single(Direction::Write, size);
    0
}

/// How many bytes are read at a time at most.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_get_max_single_read(bev: *mut Bufferevent) -> isize {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { Guard::new(bev) }.max_single(Direction::Read) as isize
}

/// How many bytes are written at a time at most.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_get_max_single_write(bev: *mut Bufferevent) -> isize {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { Guard::new(bev) }.max_single(Direction::Write) as isize
}

/// How many bytes the own limit of a bufferevent allows to be read now; it may be negative.
/// `EV_SSIZE_MAX` without a limit of its own.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_get_read_limit(bev: *mut Bufferevent) -> isize {
    // SAFETY: the caller guarantees the bufferevent.
    let limit = unsafe { Guard::new(bev) }.own_limit(Direction::Read);
    limit.unwrap_or(isize::MAX)
}

/// The same for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_get_write_limit(bev: *mut Bufferevent) -> isize {
    // SAFETY: the caller guarantees the bufferevent.
    let limit = unsafe { Guard::new(bev) }.own_limit(Direction::Write);
    limit.unwrap_or(isize::MAX)
}

/// How many bytes the next read may take, by all limits.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_get_max_to_read(bev: *mut Bufferevent) -> isize {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { Guard::new(bev) }.most_to_move(Direction::Read) as isize
}

/// How many bytes the next write may take, by all limits.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_get_max_to_write(bev: *mut Bufferevent) -> isize {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { Guard::new(bev) }.most_to_move(Direction::Write) as isize
}

/// The own limit of a bufferevent, as it was set; NULL without one.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_get_token_bucket_cfg(
    bev: *const Bufferevent,
) -> *const TokenBucketConfig {
    // SAFETY: the caller guarantees the bufferevent, whose lock is not part of its value.
    unsafe { Guard::new(bev.cast_mut()) }.rate_limit()
}

/// How many bytes the limit of a group allowed to be read at its last tick, less what was read
/// since; it may be negative.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_rate_limit_group_get_read_limit(
    group: *mut RateLimitGroup,
) -> isize {
    // SAFETY: the caller guarantees the group.
    unsafe { (*group).limit(Direction::Read) }
}

/// The same for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_rate_limit_group_get_write_limit(
    group: *mut RateLimitGroup,
) -> isize {
    // SAFETY: the caller guarantees the group.
    unsafe { (*group).limit(Direction::Write) }
}

/// Counts `decr` bytes as read in the own limit of a bufferevent, which must have one; a negative
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

/// The same for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_decrement_write_limit(
    bev: *mut Bufferevent,
    decr: isize,
) -> c_int {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { Guard::new(bev) }.charge_own(Direction::Write, decr);
    0
}

/// Counts `decr` bytes as read in the limit of a group; a negative number gives some back.
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

/// The same for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_rate_limit_group_decrement_write(
    group: *mut RateLimitGroup,
    decr: isize,
) -> c_int {
    // SAFETY: the caller guarantees the group.
    unsafe { (*group).charge(Direction::Write, decr) };
    0
}

/// Tells how many bytes the members of a group have moved since the totals were last reset; each
/// place may be NULL.
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

/// Sets the totals of a group to 0.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_rate_limit_group_reset_totals(
    group: *mut RateLimitGroup,
) {
    // SAFETY: the caller guarantees the group.
    unsafe { (*group).reset_totals() };
}
