//! Internal exported symbols of bufferevents, for kinds in other libraries. The caller holds the
//! lock where a function does not say that it takes it.

use crate::base::EventBase;
use crate::bufferevent::bucket::{Bucket, BucketConfig};
use crate::bufferevent::limit::Resume;
use crate::bufferevent::operations::Operations;
use crate::bufferevent::{Bufferevent, BuffereventPtr, Direction, Guard, timeouts};
use crate::c_api::{EvutilSocket, status};
use crate::event::{Event, EventPtr};
use crate::hooks::threads::Lock;
use libc::{sockaddr, timeval};
use std::ffi::{c_int, c_short};

/// Runs a function on a bufferevent that is not null.
///
/// # Safety
/// The bufferevent is live.
unsafe fn with<R>(bufev: *mut Bufferevent, call: impl FnOnce(BuffereventPtr) -> R) -> Option<R> {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { BuffereventPtr::new(bufev) }.map(call)
}

/// Prepares the common part of zeroed memory. 0, or -1 with nothing held.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_init_common_(
    bufev: *mut Bufferevent,
    base: *mut EventBase,
    operations: *const Operations,
    options: c_int,
) -> c_int {
    // SAFETY: the caller guarantees the memory, the base and the table.
    unsafe {
        with(bufev, |bufev| {
            status(bufev.initialise(base, operations, options))
        })
    }
    .unwrap_or(-1)
}

/// Gives a bufferevent, its buffers and the one below a lock: the given one, that of the one
/// below, or a new one. 0, or -1 when it has one or none can be made.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_enable_locking_(
    bufev: *mut Bufferevent,
    lock: *mut std::ffi::c_void,
) -> c_int {
    // SAFETY: the caller guarantees the bufferevent and the lock.
    unsafe {
        with(bufev, |bufev| {
            status(bufev.enable_locking(Lock::from_ptr(lock)))
        })
    }
    .unwrap_or(-1)
}

/// Takes the lock and a reference.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_incref_and_lock_(bufev: *mut Bufferevent) {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { Guard::new(bufev) }.keep();
}

/// Releases a reference and the lock; 1 if it was the last reference.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_decref_and_unlock_(bufev: *mut Bufferevent) -> c_int {
    // SAFETY: the caller holds both.
    unsafe { Guard::adopt(bufev) }.release().into()
}

/// Adds reasons for pausing reading; takes the lock.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_suspend_read_(bufev: *mut Bufferevent, what: u16) {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { Guard::new(bufev) }.suspend(Direction::Read, what);
}

/// Removes such reasons; takes the lock.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_unsuspend_read_(bufev: *mut Bufferevent, what: u16) {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { Guard::new(bufev) }.resume(Direction::Read, what);
}

/// Adds reasons for pausing writing; takes the lock.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_suspend_write_(bufev: *mut Bufferevent, what: u16) {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { Guard::new(bufev) }.suspend(Direction::Write, what);
}

/// Removes such reasons; takes the lock.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_unsuspend_write_(bufev: *mut Bufferevent, what: u16) {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { Guard::new(bufev) }.resume(Direction::Write, what);
}

/// Disables directions and forgets that a connection is being made; takes the lock.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_disable_hard_(
    bufev: *mut Bufferevent,
    event: c_short,
) -> c_int {
    // SAFETY: the caller guarantees the bufferevent.
    status(unsafe { Guard::new(bufev) }.disable_hard(event))
}

/// Calls the read callback, now or from the loop.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_run_readcb_(bufev: *mut Bufferevent, options: c_int) {
    // SAFETY: the caller guarantees the bufferevent and holds a reference.
    unsafe {
        with(bufev, |bufev| {
            bufev.run_data_callback(Direction::Read, options)
        })
    };
}

/// Calls the write callback, now or from the loop.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_run_writecb_(bufev: *mut Bufferevent, options: c_int) {
    // SAFETY: the caller guarantees the bufferevent and holds a reference.
    unsafe {
        with(bufev, |bufev| {
            bufev.run_data_callback(Direction::Write, options)
        })
    };
}

/// Calls the event callback, now or from the loop.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_run_eventcb_(
    bufev: *mut Bufferevent,
    what: c_short,
    options: c_int,
) {
    // SAFETY: the caller guarantees the bufferevent and holds a reference.
    unsafe { with(bufev, |bufev| bufev.run_event_callback(what, options)) };
}

/// Adds an event; a time of zero is no timeout. 0 or -1.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_add_event_(
    event: *mut Event,
    timeout: *const timeval,
) -> c_int {
    // SAFETY: the caller guarantees the event and the time.
    unsafe {
        let timeout = timeout.as_ref().copied();
        let timeout = timeout.filter(|time| time.tv_sec != 0 || time.tv_usec != 0);
        EventPtr::new(event).map_or(-1, |event| status(timeouts::add(event, timeout)))
    }
}

/// Makes both events plain timers.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_init_generic_timeout_cbs_(bufev: *mut Bufferevent) {
    // SAFETY: the caller guarantees the bufferevent, whose events are not pending.
    unsafe { with(bufev, BuffereventPtr::make_events_timers) };
}

/// For plain timers: starts or stops them as the state and the timeouts require. 0 or -1.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_generic_adj_timeouts_(
    bufev: *mut Bufferevent,
) -> c_int {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { with(bufev, |bufev| status(bufev.restart_timers())) }.unwrap_or(-1)
}

/// Gives events that wait for a descriptor the present timeouts. 0 or -1.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_generic_adj_existing_timeouts_(
    bufev: *mut Bufferevent,
) -> c_int {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { with(bufev, |bufev| status(bufev.adjust_waiting_events())) }.unwrap_or(-1)
}

/// The options it was made with; takes the lock.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_get_options_(bufev: *mut Bufferevent) -> c_int {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { Guard::new(bufev) }.options()
}

/// The remembered address of the peer, which stays the bufferevent's; family 0 if there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_socket_get_conn_address_(
    bufev: *mut Bufferevent,
) -> *const sockaddr {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { Guard::new(bufev) }.peer_address()
}

/// Remembers the address of a peer; takes the lock. 0, or `EVUTIL_EAI_FAIL`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_socket_set_conn_address_(
    bufev: *mut Bufferevent,
    addr: *const sockaddr,
    addrlen: usize,
) -> c_int {
    // SAFETY: the caller guarantees the bufferevent and the address.
    match unsafe { Guard::new(bufev).set_peer_address(addr, addrlen) } {
        Ok(()) => 0,
        Err(_) => libc::EAI_FAIL,
    }
}

/// Replaces a remembered address by that of the peer of a socket; takes the lock.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_socket_set_conn_address_fd_(
    bufev: *mut Bufferevent,
    fd: EvutilSocket,
) {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { Guard::new(bufev) }.update_peer_address(fd);
}

/// No limits yet. 0.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_ratelim_init_(bufev: *mut Bufferevent) -> c_int {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { with(bufev, BuffereventPtr::reset_single_sizes) };
    0
}

/// How many bytes may be read now.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_get_read_max_(bufev: *mut Bufferevent) -> isize {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { with(bufev, |bufev| bufev.transfer_limit(Direction::Read)) }.unwrap_or(0) as isize
}

/// How many bytes may be written now.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_get_write_max_(bufev: *mut Bufferevent) -> isize {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { with(bufev, |bufev| bufev.transfer_limit(Direction::Write)) }.unwrap_or(0) as isize
}

/// Counts bytes as read. 0.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_decrement_read_buckets_(
    bufev: *mut Bufferevent,
    bytes: isize,
) -> c_int {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { with(bufev, |bufev| bufev.charge(Direction::Read, bytes)) };
    0
}

/// Counts bytes as written. 0.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_decrement_write_buckets_(
    bufev: *mut Bufferevent,
    bytes: isize,
) -> c_int {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { with(bufev, |bufev| bufev.charge(Direction::Write, bytes)) };
    0
}

/// Leaves the group; with `unsuspend`, directions that it has paused continue. Takes the lock. 0.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_remove_from_rate_limit_group_internal_(
    bufev: *mut Bufferevent,
    unsuspend: c_int,
) -> c_int {
    let resume = if unsuspend != 0 {
        Resume::Yes
    } else {
        Resume::No
    };
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { Guard::new(bufev) }.leave_group(resume);
    0
}

/// Fills a bucket for one tick or, to `reinitialize` it, clips what it holds. 0.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn ev_token_bucket_init_(
    bucket: *mut Bucket,
    cfg: *const BucketConfig,
    current_tick: u32,
    reinitialize: c_int,
) -> c_int {
    // SAFETY: the caller guarantees both.
    unsafe {
        *bucket = if reinitialize != 0 {
            (*bucket).reconfigured(&*cfg, current_tick)
        } else {
            Bucket::new(&*cfg, current_tick)
        };
    }
    0
}

/// Fills in what the ticks since the last update bring; 1 if there were any.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn ev_token_bucket_update_(
    bucket: *mut Bucket,
    cfg: *const BucketConfig,
    current_tick: u32,
) -> c_int {
    // SAFETY: the caller guarantees both.
    unsafe { (*bucket).update(&*cfg, current_tick) }.into()
}

/// The number of the tick at a time.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn ev_token_bucket_get_tick_(
    time: *const timeval,
    cfg: *const BucketConfig,
) -> u32 {
    // SAFETY: the caller guarantees both.
    unsafe { (*cfg).tick_at(*time) }
}
