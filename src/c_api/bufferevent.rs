//! event2/bufferevent.h: streams with buffers.

use super::{status, EvutilSocket};
use crate::base::EventBase;
use crate::buffer::{Evbuffer, Guard as BufferGuard};
use crate::bufferevent::abi::{
    BuffereventDataFn, BuffereventEventFn, BuffereventFilterFn, FlushModeValue,
};
use crate::bufferevent::bucket::BucketConfig as TokenBucketConfig;
use crate::bufferevent::group::Group as RateLimitGroup;
use crate::bufferevent::limit::Resume;
use crate::bufferevent::{
    filter, pair, socket, Bufferevent, BuffereventPtr, Direction, Guard, Watermarks,
};
use crate::event::kind;
use crate::hooks::memory;
use libc::{sockaddr, timeval};
use std::ffi::{c_char, c_int, c_short, c_void};
use std::ptr::{self, NonNull};

/// `struct evdns_base`, of a layer above.
/// cbindgen:ignore
type EvdnsBase = c_void;

const NO_TIME: timeval = timeval {
    tv_sec: 0,
    tv_usec: 0,
};

/// Makes a bufferevent on a descriptor, which should be non-blocking; -1 is none yet.
///
/// It begins with `EV_WRITE` enabled, and touches the descriptor when there is something to write
/// or a direction is enabled. Besides sockets, everything works that can be polled. `options` are
/// `BEV_OPT_*` flags, or-ed. A `base` of NULL is that of event_init().
///
/// Returns NULL when memory is short, or for options that cannot be served: `THREADSAFE` without
/// lock callbacks, `UNLOCK_CALLBACKS` without `DEFER_CALLBACKS`. The caller owns it:
/// bufferevent_free(), before the base is freed.
#[no_mangle]
pub unsafe extern "C-unwind" fn bufferevent_socket_new(
    base: *mut EventBase,
    fd: EvutilSocket,
    options: c_int,
) -> *mut Bufferevent {
    // SAFETY: the caller guarantees the base, or null.
    unsafe { socket::create(base, fd, options) }.map_or(ptr::null_mut(), NonNull::as_ptr)
}

/// Connects a bufferevent on a socket to an address.
///
/// Without a descriptor it gets a new socket, which is the caller's if this fails afterwards only
/// by an event. With a NULL address, the descriptor is being connected by the caller already.
///
/// Returns -1 when it cannot even start, and no callback will follow. After 0 the event callback
/// gets `BEV_EVENT_CONNECTED` or `BEV_EVENT_ERROR`, later and from the loop; before that, it may
/// get a write timeout.
#[no_mangle]
pub unsafe extern "C-unwind" fn bufferevent_socket_connect(
    bufev: *mut Bufferevent,
    addr: *const sockaddr,
    socklen: c_int,
) -> c_int {
    // SAFETY: the caller guarantees the bufferevent and the address, or null.
    status(unsafe { Guard::new(bufev).connect(addr, socklen as libc::socklen_t) })
}

/// Looks a host name up and connects to its first address, as bufferevent_socket_connect() does.
///
/// `family` is `AF_INET`, `AF_INET6`, or `AF_UNSPEC` for either; `hostname` is a name or a numeric
/// address, also in brackets. With an `evdns_base` the look-up goes on in the loop; with NULL this
/// function waits for it. Both directions rest until it ends.
///
/// Returns -1 for a family or port out of range and while another look-up is under way; after 0,
/// every outcome is told to the event callback, perhaps before this returns. See
/// bufferevent_socket_get_dns_error().
#[no_mangle]
pub unsafe extern "C-unwind" fn bufferevent_socket_connect_hostname(
    bufev: *mut Bufferevent,
    evdns_base: *mut EvdnsBase,
    family: c_int,
    hostname: *const c_char,
    port: c_int,
) -> c_int {
    // SAFETY: zero bytes and null pointers are hints without wishes.
    let mut hints: libc::addrinfo = unsafe { std::mem::zeroed() };
    hints.ai_family = family;
    hints.ai_protocol = libc::IPPROTO_TCP;
    hints.ai_socktype = libc::SOCK_STREAM;
    // SAFETY: the caller guarantees the bufferevent, the DNS base and the name.
    status(unsafe { Guard::new(bufev).connect_to_name(evdns_base, &hints, hostname, port) })
}

/// Why the look-up of bufferevent_socket_connect_hostname() failed: an `EVUTIL_EAI_*` code for
/// evutil_gai_strerror(), or 0.
#[no_mangle]
pub unsafe extern "C-unwind" fn bufferevent_socket_get_dns_error(bev: *mut Bufferevent) -> c_int {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { Guard::new(bev) }.dns_error()
}

/// Moves a bufferevent to another base.
///
/// Returns -1, with nothing changed, for another kind than one on a descriptor, and while it waits
/// for something: before it is enabled, or after it was disabled, is the time.
#[no_mangle]
pub unsafe extern "C-unwind" fn bufferevent_base_set(
    base: *mut EventBase,
    bufev: *mut Bufferevent,
) -> c_int {
    if base.is_null() {
        return -1;
    }
    // SAFETY: the caller guarantees both.
    status(unsafe { Guard::new(bufev).set_base(base) })
}

/// The base of a bufferevent.
#[no_mangle]
pub unsafe extern "C-unwind" fn bufferevent_get_base(bev: *mut Bufferevent) -> *mut EventBase {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { (*bev).base.get() }
}

/// Sets the priority of a bufferevent, from 0, the most urgent, to below the number of priorities
/// of its base. It applies to its input and output and to deferred callbacks.
///
/// Returns -1 for a priority out of range, for a pair or filter, and while one of its events is
/// waiting for its turn to run.
#[no_mangle]
pub unsafe extern "C-unwind" fn bufferevent_priority_set(
    bufev: *mut Bufferevent,
    pri: c_int,
) -> c_int {
    // SAFETY: the caller guarantees the bufferevent.
    status(unsafe { Guard::new(bufev) }.set_priority(pri))
}

/// The priority of a bufferevent.
#[no_mangle]
pub unsafe extern "C-unwind" fn bufferevent_get_priority(bufev: *const Bufferevent) -> c_int {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { BuffereventPtr::new(bufev.cast_mut()) }.map_or(-1, BuffereventPtr::priority)
}

/// Gives a bufferevent up.
///
/// None of its callbacks is called any more. Output that was not sent is lost. The rest happens
/// in the loop of its base, or when the base is freed: only then is the descriptor closed, with
/// `BEV_OPT_CLOSE_ON_FREE`.
#[no_mangle]
pub unsafe extern "C-unwind" fn bufferevent_free(bufev: *mut Bufferevent) {
    // SAFETY: the caller guarantees the bufferevent and gives up its reference.
    BuffereventPtr::free(unsafe { Guard::new(bufev) });
}

/// Sets the callbacks of a bufferevent and their argument. NULL is no callback.
///
/// `readcb` is called when something came in and the input holds at least its low watermark;
/// `writecb` when something went out and the output holds no more than its low watermark;
/// `eventcb` for everything else.
#[no_mangle]
pub unsafe extern "C-unwind" fn bufferevent_setcb(
    bufev: *mut Bufferevent,
    readcb: Option<BuffereventDataFn>,
    writecb: Option<BuffereventDataFn>,
    eventcb: Option<BuffereventEventFn>,
    cbarg: *mut c_void,
) {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { Guard::new(bufev) }.set_callbacks(readcb, writecb, eventcb, cbarg);
}

/// Tells the callbacks of a bufferevent and their argument; each place may be NULL.
#[no_mangle]
pub unsafe extern "C-unwind" fn bufferevent_getcb(
    bufev: *mut Bufferevent,
    readcb_ptr: *mut Option<BuffereventDataFn>,
    writecb_ptr: *mut Option<BuffereventDataFn>,
    eventcb_ptr: *mut Option<BuffereventEventFn>,
    cbarg_ptr: *mut *mut c_void,
) {
    // SAFETY: the caller guarantees the bufferevent and the places, or null.
    unsafe {
        let bufferevent = Guard::new(bufev);
        give(readcb_ptr, bufferevent.read_callback.get());
        give(writecb_ptr, bufferevent.write_callback.get());
        give(eventcb_ptr, bufferevent.event_callback.get());
        give(cbarg_ptr, bufferevent.argument.get());
    }
}

/// Stores an answer where the caller wants it.
///
/// # Safety
/// `place` is null or writable.
unsafe fn give<T>(place: *mut T, value: T) {
    if !place.is_null() {
        // SAFETY: the caller guarantees the place.
        unsafe { place.write(value) };
    }
}

/// Has a bufferevent use another descriptor from now on; -1 is none.
///
/// Enabled directions start on it. Buffers, callbacks, watermarks and timeouts stay; a connection
/// that was being made, or a look-up, is forgotten. The old descriptor is not closed.
///
/// Returns -1 for a kind without a descriptor, or when the new one cannot be polled.
#[no_mangle]
pub unsafe extern "C-unwind" fn bufferevent_setfd(
    bufev: *mut Bufferevent,
    fd: EvutilSocket,
) -> c_int {
    // SAFETY: the caller guarantees the bufferevent.
    status(unsafe { Guard::new(bufev) }.set_descriptor(fd))
}

/// The descriptor of a bufferevent, or of the one below it; -1 when there is none.
#[no_mangle]
pub unsafe extern "C-unwind" fn bufferevent_getfd(bufev: *mut Bufferevent) -> EvutilSocket {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { Guard::new(bufev) }.descriptor()
}

/// The bufferevent that a filter works on; NULL for other kinds.
#[no_mangle]
pub unsafe extern "C-unwind" fn bufferevent_get_underlying(
    bufev: *mut Bufferevent,
) -> *mut Bufferevent {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { Guard::new(bufev) }
        .underlying()
        .map_or(ptr::null_mut(), BuffereventPtr::as_ptr)
}

/// Appends `size` bytes to the output. They are sent from the loop.
#[no_mangle]
pub unsafe extern "C-unwind" fn bufferevent_write(
    bufev: *mut Bufferevent,
    data: *const c_void,
    size: usize,
) -> c_int {
    // SAFETY: the caller guarantees the bufferevent, whose buffers live as long, and the data.
    status(unsafe { BufferGuard::new((*bufev).output.get()).append(data.cast(), size) })
}

/// Moves all of a buffer to the output.
#[no_mangle]
pub unsafe extern "C-unwind" fn bufferevent_write_buffer(
    bufev: *mut Bufferevent,
    buf: *mut Evbuffer,
) -> c_int {
    // SAFETY: the caller guarantees the bufferevent, whose buffers live as long, and the buffer.
    unsafe { super::buffer::evbuffer_add_buffer((*bufev).output.get(), buf) }
}

/// Takes up to `size` bytes out of the input. Returns how many.
#[no_mangle]
pub unsafe extern "C-unwind" fn bufferevent_read(
    bufev: *mut Bufferevent,
    data: *mut c_void,
    size: usize,
) -> usize {
    // SAFETY: the caller guarantees the bufferevent, whose buffers live as long, and the room.
    unsafe { BufferGuard::new((*bufev).input.get()).remove(data.cast(), size) }.unwrap_or(0)
}

/// Moves all of the input to the end of a buffer.
#[no_mangle]
pub unsafe extern "C-unwind" fn bufferevent_read_buffer(
    bufev: *mut Bufferevent,
    buf: *mut Evbuffer,
) -> c_int {
    // SAFETY: the caller guarantees the bufferevent, whose buffers live as long, and the buffer.
    unsafe { super::buffer::evbuffer_add_buffer(buf, (*bufev).input.get()) }
}

/// The buffer with what came in. It belongs to the bufferevent; take from it, and do not append.
#[no_mangle]
pub unsafe extern "C-unwind" fn bufferevent_get_input(bufev: *mut Bufferevent) -> *mut Evbuffer {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { (*bufev).input.get() }
}

/// The buffer with what is to go out. It belongs to the bufferevent; append to it, and do not take
/// from it.
#[no_mangle]
pub unsafe extern "C-unwind" fn bufferevent_get_output(bufev: *mut Bufferevent) -> *mut Evbuffer {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { (*bufev).output.get() }
}

/// Enables directions of a bufferevent: `EV_READ`, `EV_WRITE` or both.
///
/// On a descriptor, enabling `EV_WRITE` without output has the write callback called once as soon
/// as it could be written to. Returns -1 when the kernel refuses to watch the descriptor; the
/// directions count as enabled nevertheless.
#[no_mangle]
pub unsafe extern "C-unwind" fn bufferevent_enable(
    bufev: *mut Bufferevent,
    event: c_short,
) -> c_int {
    // SAFETY: the caller guarantees the bufferevent.
    status(unsafe { Guard::new(bufev) }.enable(event))
}

/// Disables directions of a bufferevent. Output then waits; nothing more comes in, and neither the
/// end of the stream nor errors are noticed in that direction.
#[no_mangle]
pub unsafe extern "C-unwind" fn bufferevent_disable(
    bufev: *mut Bufferevent,
    event: c_short,
) -> c_int {
    // SAFETY: the caller guarantees the bufferevent.
    status(unsafe { Guard::new(bufev) }.disable(event))
}

/// The directions that are enabled. The end of the stream, an error or a timeout disables one.
#[no_mangle]
pub unsafe extern "C-unwind" fn bufferevent_get_enabled(bufev: *mut Bufferevent) -> c_short {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { Guard::new(bufev) }.enabled.get()
}

/// Sets the timeouts of a bufferevent; NULL or a time of zero is none.
///
/// One passes when so much time goes by in which it wants to read, or has something to write, and
/// nothing moves. The direction is then disabled, and the event callback gets
/// `BEV_EVENT_TIMEOUT`. Times of event_base_init_common_timeout() may be given.
#[no_mangle]
pub unsafe extern "C-unwind" fn bufferevent_set_timeouts(
    bufev: *mut Bufferevent,
    timeout_read: *const timeval,
    timeout_write: *const timeval,
) -> c_int {
    // SAFETY: the caller guarantees the bufferevent and the times, or null.
    unsafe {
        let read = timeout_read.as_ref().copied().unwrap_or(NO_TIME);
        let write = timeout_write.as_ref().copied().unwrap_or(NO_TIME);
        status(Guard::new(bufev).set_timeouts(read, write))
    }
}

/// Sets the watermarks, in bytes, of the directions in `events`; 0 is none.
///
/// Input: the read callback is called from `lowmark` on; reading stops at `highmark` until some of
/// it is taken. Output: the write callback is called down from `lowmark`; a filter above stops
/// filling it at `highmark`.
#[no_mangle]
pub unsafe extern "C-unwind" fn bufferevent_setwatermark(
    bufev: *mut Bufferevent,
    events: c_short,
    lowmark: usize,
    highmark: usize,
) {
    let marks = Watermarks {
        low: lowmark,
        high: highmark,
    };
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { Guard::new(bufev) }.set_watermarks(events, marks);
}

/// Tells the watermarks of one direction; each place may be NULL.
///
/// Returns -1 when `events` is not exactly one of `EV_READ` and `EV_WRITE`.
#[no_mangle]
pub unsafe extern "C-unwind" fn bufferevent_getwatermark(
    bufev: *mut Bufferevent,
    events: c_short,
    lowmark: *mut usize,
    highmark: *mut usize,
) -> c_int {
    let direction = match events {
        kind::READ => Direction::Read,
        kind::WRITE => Direction::Write,
        _ => return -1,
    };
    // SAFETY: the caller guarantees the bufferevent and the places, or null.
    unsafe {
        let marks = Guard::new(bufev).marks(direction);
        give(lowmark, marks.low);
        give(highmark, marks.high);
    }
    0
}

/// Takes the lock of a bufferevent, if it has one, and a reference. Calls nest.
#[no_mangle]
pub unsafe extern "C-unwind" fn bufferevent_lock(bufev: *mut Bufferevent) {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { Guard::new(bufev) }.keep();
}

/// Gives up what bufferevent_lock() took.
#[no_mangle]
pub unsafe extern "C-unwind" fn bufferevent_unlock(bufev: *mut Bufferevent) {
    // SAFETY: the caller holds the lock and the reference.
    drop(unsafe { Guard::adopt(bufev) });
}

/// Takes a reference, which keeps a bufferevent alive after bufferevent_free().
#[no_mangle]
pub unsafe extern "C-unwind" fn bufferevent_incref(bufev: *mut Bufferevent) {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { Guard::new(bufev) }.add_reference();
}

/// Gives a reference up. Returns 1 if it was the last, 0 otherwise.
#[no_mangle]
pub unsafe extern "C-unwind" fn bufferevent_decref(bufev: *mut Bufferevent) -> c_int {
    // SAFETY: the caller guarantees the bufferevent and a reference of its own.
    unsafe { Guard::acquire(bufev) }.release().into()
}

/// Has a filter or pair move more data than it would by itself, in the directions `iotype`.
///
/// Enabled bits and watermarks do not count then. A bufferevent on a descriptor ignores it.
///
/// Returns 1 when a filter moved something, 0 when nothing was to be done or it is not told, and
/// -1 on failure.
#[no_mangle]
pub unsafe extern "C-unwind" fn bufferevent_flush(
    bufev: *mut Bufferevent,
    iotype: c_short,
    mode: FlushModeValue,
) -> c_int {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { Guard::new(bufev) }.flush(iotype, mode)
}

/// Calls the read callback, the write callback, or both, as `iotype` says, if the watermarks allow
/// it. `options` are `BEV_TRIG_*` flags, or-ed.
#[no_mangle]
pub unsafe extern "C-unwind" fn bufferevent_trigger(
    bufev: *mut Bufferevent,
    iotype: c_short,
    options: c_int,
) {
    // SAFETY: the caller guarantees the bufferevent.
    let bufferevent = unsafe { Guard::new(bufev) };
    for direction in Direction::ALL {
        if iotype & direction.kind() != 0 {
            bufferevent.trigger(direction, options);
        }
    }
}

/// Calls the event callback with `what`. `options` is 0 or `BEV_TRIG_DEFER_CALLBACKS`.
#[no_mangle]
pub unsafe extern "C-unwind" fn bufferevent_trigger_event(
    bufev: *mut Bufferevent,
    what: c_short,
    options: c_int,
) {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { Guard::new(bufev) }.run_event_callback(what, options);
}

/// Makes a filter: a bufferevent that changes what passes to and from another one, `underlying`.
///
/// `input_filter` moves what that one has received to the input of the filter, `output_filter`
/// what was written to the filter to the output of that one; NULL passes everything on. Both get
/// `ctx`, which `free_context`, unless it is NULL, is called with when the filter is gone. The
/// filter uses the callbacks of `underlying`, which the program must then leave alone, and keeps
/// it alive; with `BEV_OPT_CLOSE_ON_FREE` it frees it with itself. They share one lock.
///
/// The filter begins with `EV_WRITE` enabled. Returns NULL when memory is short, `underlying` is
/// NULL, or for options that cannot be served. The caller owns it: bufferevent_free().
#[no_mangle]
pub unsafe extern "C-unwind" fn bufferevent_filter_new(
    underlying: *mut Bufferevent,
    input_filter: Option<BuffereventFilterFn>,
    output_filter: Option<BuffereventFilterFn>,
    options: c_int,
    free_context: Option<unsafe extern "C-unwind" fn(context: *mut c_void)>,
    ctx: *mut c_void,
) -> *mut Bufferevent {
    if underlying.is_null() {
        return ptr::null_mut();
    }
    let parts = filter::Parts {
        input: input_filter,
        output: output_filter,
        context: ctx,
        free_context,
    };
    // SAFETY: the caller guarantees the bufferevent.
    let underlying = unsafe { Guard::new(underlying) };
    filter::create(*underlying, parts, options).unwrap_or(ptr::null_mut())
}

/// Makes two bufferevents, each of which reads what is written to the other.
///
/// Both begin with `EV_WRITE` enabled; reading must be enabled. Callbacks are always deferred.
/// Returns -1 when memory is short, or for options that cannot be served. The caller owns both:
/// bufferevent_free() on each. The other is not told when one is freed.
#[no_mangle]
pub unsafe extern "C-unwind" fn bufferevent_pair_new(
    base: *mut EventBase,
    options: c_int,
    pair: *mut *mut Bufferevent,
) -> c_int {
    // SAFETY: the caller guarantees the base, or null.
    match unsafe { pair::create(base, options) } {
        Some([first, second]) => {
            // SAFETY: the caller guarantees two places.
            unsafe {
                pair.write(first);
                pair.add(1).write(second);
            }
            0
        }
        None => -1,
    }
}

/// The other one of a pair; NULL once that is gone, and for other kinds.
#[no_mangle]
pub unsafe extern "C-unwind" fn bufferevent_pair_get_partner(
    bev: *mut Bufferevent,
) -> *mut Bufferevent {
    // SAFETY: the caller guarantees the bufferevent.
    let bufferevent = unsafe { Guard::new(bev) };
    pair::partner(*bufferevent).map_or(ptr::null_mut(), BuffereventPtr::as_ptr)
}

/// Makes a limit of the transfer rate: so many bytes per tick on average, and at most so many
/// (`burst`) after a pause.
///
/// The unit of a limit is a tick of `tick_len`, of which milliseconds count; NULL is a second.
///
/// Returns NULL when memory is short, for a rate below 1 or above its burst, for a burst above
/// `EV_RATE_LIMIT_MAX`, and for a tick shorter than a millisecond. The caller owns it:
/// ev_token_bucket_cfg_free(), after no bufferevent uses it any more.
#[no_mangle]
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
#[no_mangle]
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
#[no_mangle]
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
#[no_mangle]
pub unsafe extern "C-unwind" fn bufferevent_rate_limit_group_new(
    base: *mut EventBase,
    cfg: *const TokenBucketConfig,
) -> *mut RateLimitGroup {
    // SAFETY: the caller guarantees the base and the configuration.
    unsafe { RateLimitGroup::create(base, &*cfg) }.map_or(ptr::null_mut(), NonNull::as_ptr)
}

/// Changes the limit of a group. `cfg` is copied. Returns -1 when an argument is NULL.
#[no_mangle]
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
#[no_mangle]
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
#[no_mangle]
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
#[no_mangle]
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
#[no_mangle]
pub unsafe extern "C-unwind" fn bufferevent_remove_from_rate_limit_group(
    bev: *mut Bufferevent,
) -> c_int {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { Guard::new(bev) }.leave_group(Resume::Yes);
    0
}

/// Sets how many bytes are read at a time at most; 0 is the default of 16384. Returns 0.
#[no_mangle]
pub unsafe extern "C-unwind" fn bufferevent_set_max_single_read(
    bev: *mut Bufferevent,
    size: usize,
) -> c_int {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { Guard::new(bev) }.set_max_single(Direction::Read, size);
    0
}

/// Sets how many bytes are written at a time at most; 0 is the default of 16384. Returns 0.
#[no_mangle]
pub unsafe extern "C-unwind" fn bufferevent_set_max_single_write(
    bev: *mut Bufferevent,
    size: usize,
) -> c_int {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { Guard::new(bev) }.set_max_single(Direction::Write, size);
    0
}

/// How many bytes are read at a time at most.
#[no_mangle]
pub unsafe extern "C-unwind" fn bufferevent_get_max_single_read(bev: *mut Bufferevent) -> isize {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { Guard::new(bev) }.max_single(Direction::Read) as isize
}

/// How many bytes are written at a time at most.
#[no_mangle]
pub unsafe extern "C-unwind" fn bufferevent_get_max_single_write(bev: *mut Bufferevent) -> isize {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { Guard::new(bev) }.max_single(Direction::Write) as isize
}

/// How many bytes the own limit of a bufferevent allows to be read now; it may be negative.
/// `EV_SSIZE_MAX` without a limit of its own.
#[no_mangle]
pub unsafe extern "C-unwind" fn bufferevent_get_read_limit(bev: *mut Bufferevent) -> isize {
    // SAFETY: the caller guarantees the bufferevent.
    let limit = unsafe { Guard::new(bev) }.own_limit(Direction::Read);
    limit.unwrap_or(isize::MAX)
}

/// The same for writing.
#[no_mangle]
pub unsafe extern "C-unwind" fn bufferevent_get_write_limit(bev: *mut Bufferevent) -> isize {
    // SAFETY: the caller guarantees the bufferevent.
    let limit = unsafe { Guard::new(bev) }.own_limit(Direction::Write);
    limit.unwrap_or(isize::MAX)
}

/// How many bytes the next read may take, by all limits.
#[no_mangle]
pub unsafe extern "C-unwind" fn bufferevent_get_max_to_read(bev: *mut Bufferevent) -> isize {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { Guard::new(bev) }.most_to_move(Direction::Read) as isize
}

/// How many bytes the next write may take, by all limits.
#[no_mangle]
pub unsafe extern "C-unwind" fn bufferevent_get_max_to_write(bev: *mut Bufferevent) -> isize {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { Guard::new(bev) }.most_to_move(Direction::Write) as isize
}

/// The own limit of a bufferevent, as it was set; NULL without one.
#[no_mangle]
pub unsafe extern "C-unwind" fn bufferevent_get_token_bucket_cfg(
    bev: *const Bufferevent,
) -> *const TokenBucketConfig {
    // SAFETY: the caller guarantees the bufferevent, whose lock is not part of its value.
    unsafe { Guard::new(bev.cast_mut()) }.rate_limit()
}

/// How many bytes the limit of a group allowed to be read at its last tick, less what was read
/// since; it may be negative.
#[no_mangle]
pub unsafe extern "C-unwind" fn bufferevent_rate_limit_group_get_read_limit(
    group: *mut RateLimitGroup,
) -> isize {
    // SAFETY: the caller guarantees the group.
    unsafe { (*group).limit(Direction::Read) }
}

/// The same for writing.
#[no_mangle]
pub unsafe extern "C-unwind" fn bufferevent_rate_limit_group_get_write_limit(
    group: *mut RateLimitGroup,
) -> isize {
    // SAFETY: the caller guarantees the group.
    unsafe { (*group).limit(Direction::Write) }
}

/// Counts `decr` bytes as read in the own limit of a bufferevent, which must have one; a negative
/// number gives some back. Returns 0.
#[no_mangle]
pub unsafe extern "C-unwind" fn bufferevent_decrement_read_limit(
    bev: *mut Bufferevent,
    decr: isize,
) -> c_int {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { Guard::new(bev) }.charge_own(Direction::Read, decr);
    0
}

/// The same for writing.
#[no_mangle]
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
#[no_mangle]
pub unsafe extern "C-unwind" fn bufferevent_rate_limit_group_decrement_read(
    group: *mut RateLimitGroup,
    decr: isize,
) -> c_int {
    // SAFETY: the caller guarantees the group.
    unsafe { (*group).charge(Direction::Read, decr) };
    0
}

/// The same for writing.
#[no_mangle]
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
#[no_mangle]
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
#[no_mangle]
pub unsafe extern "C-unwind" fn bufferevent_rate_limit_group_reset_totals(
    group: *mut RateLimitGroup,
) {
    // SAFETY: the caller guarantees the group.
    unsafe { (*group).reset_totals() };
}
