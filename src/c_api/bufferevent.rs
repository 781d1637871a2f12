//! event2/bufferevent.h, first part: streams with buffers.

use super::{EvutilSocket, give, status};
use crate::base::EventBase;
use crate::buffer::{Evbuffer, Guard as BufferGuard};
use crate::bufferevent::abi::{
    BuffereventDataFn, BuffereventEventFn, BuffereventFilterFn, FlushModeValue,
};
use crate::bufferevent::{
    Bufferevent, BuffereventPtr, Direction, Guard, Watermarks, filter, pair, socket,
};
use crate::event::kind;
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

/// Makes a bufferevent on a descriptor, which should be non-blocking; -1 means none yet.
///
/// It starts with `EV_WRITE` enabled, and does not touch the descriptor before there is something
/// to write or a direction is enabled. Besides sockets, any descriptor that can be polled works.
/// `options` are `BEV_OPT_*` flags. A `base` of NULL is that of event_init().
///
/// Returns NULL if memory is short or the options cannot be satisfied: `THREADSAFE` without lock
/// callbacks, or `UNLOCK_CALLBACKS` without `DEFER_CALLBACKS`. The caller owns it and frees it with
/// bufferevent_free(), before the base.
#[unsafe(no_mangle)]
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
/// If it has no descriptor, a new socket is made for it; that one is closed again if this returns
/// -1, but not if connecting fails later. If `addr` is NULL, the program has already started to
/// connect the descriptor.
///
/// Returns 0, or -1 if connecting cannot even start, in which case no callback follows. After 0 the
/// event callback gets `BEV_EVENT_CONNECTED` or `BEV_EVENT_ERROR`, later and from the loop; a write
/// timeout may come first.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_socket_connect(
    bufev: *mut Bufferevent,
    addr: *const sockaddr,
    socklen: c_int,
) -> c_int {
    // SAFETY: the caller guarantees the bufferevent and the address, or null.
    status(unsafe { Guard::new(bufev).connect(addr, socklen as libc::socklen_t) })
}

/// Looks up a host name and connects to its first address, like bufferevent_socket_connect().
///
/// `family` is `AF_INET`, `AF_INET6`, or `AF_UNSPEC` for either; `hostname` is a name or a numeric
/// address, which may be in brackets. With an `evdns_base` the look-up runs in the loop; with NULL
/// this function blocks until it is done. Reading and writing pause until then.
///
/// Returns 0, or -1 if the family or port is out of range or another look-up is under way. After 0,
/// the outcome is always reported to the event callback, possibly before this returns. See
/// bufferevent_socket_get_dns_error().
#[unsafe(no_mangle)]
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

/// Why the look-up by bufferevent_socket_connect_hostname() failed: an `EVUTIL_EAI_*` code for
/// evutil_gai_strerror(), or 0.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_socket_get_dns_error(bev: *mut Bufferevent) -> c_int {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { Guard::new(bev) }.dns_error()
}

/// Moves a bufferevent to another base.
///
/// It must be idle: call this before it is enabled, or after it was disabled.
///
/// Returns 0, or -1, with nothing changed, if the bufferevent is not one on a descriptor, one of
/// its events is pending, or the loop of its present base is calling one of its callbacks in
/// another thread.
#[unsafe(no_mangle)]
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
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_get_base(bev: *mut Bufferevent) -> *mut EventBase {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { (*bev).base.get() }
}

/// Sets the priority of a bufferevent, from 0, the most urgent, to one less than the number of
/// priorities of its base. It applies to reading, writing and deferred callbacks.
///
/// Returns 0, or -1 if the priority is out of range, the bufferevent is a pair or a filter, or one
/// of its events is active.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_priority_set(
    bufev: *mut Bufferevent,
    pri: c_int,
) -> c_int {
    // SAFETY: the caller guarantees the bufferevent.
    status(unsafe { Guard::new(bufev) }.set_priority(pri))
}

/// The priority of a bufferevent.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_get_priority(bufev: *const Bufferevent) -> c_int {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { BuffereventPtr::new(bufev.cast_mut()) }.map_or(-1, BuffereventPtr::priority)
}

/// Frees a bufferevent. May be called from its own callbacks.
///
/// None of its callbacks is called any more, and output that was not sent yet is lost. The rest is
/// done in the loop of its base, or when the base is freed: only then is the descriptor closed,
/// with `BEV_OPT_CLOSE_ON_FREE`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_free(bufev: *mut Bufferevent) {
    // SAFETY: the caller guarantees the bufferevent and gives up its reference.
    BuffereventPtr::free(unsafe { Guard::new(bufev) });
}

/// Sets the callbacks of a bufferevent and their argument. NULL means no callback.
///
/// `readcb` is called when data has arrived and the input holds at least the low watermark;
/// `writecb` when data was sent and the output holds no more than the low watermark; `eventcb` for
/// everything else.
#[unsafe(no_mangle)]
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

/// Gets the callbacks of a bufferevent and their argument; each pointer may be NULL.
#[unsafe(no_mangle)]
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

/// Changes the descriptor of a bufferevent; -1 means none.
///
/// Enabled directions start on the new descriptor. Buffers, callbacks, watermarks and timeouts
/// stay; a connect or look-up under way is abandoned. The old descriptor is not closed.
///
/// Returns 0, or -1 if this kind has no descriptor or the new one cannot be polled.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_setfd(
    bufev: *mut Bufferevent,
    fd: EvutilSocket,
) -> c_int {
    // SAFETY: the caller guarantees the bufferevent.
    status(unsafe { Guard::new(bufev) }.set_descriptor(fd))
}

/// The descriptor of a bufferevent, or of the one that it is based on; -1 if there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_getfd(bufev: *mut Bufferevent) -> EvutilSocket {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { Guard::new(bufev) }.descriptor()
}

/// The bufferevent that a filter is based on; NULL for other kinds.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_get_underlying(
    bufev: *mut Bufferevent,
) -> *mut Bufferevent {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { Guard::new(bufev) }
        .underlying()
        .map_or(ptr::null_mut(), BuffereventPtr::as_ptr)
}

/// Appends `size` bytes to the output. They are sent from the loop. Returns 0, or -1 if memory is
/// short.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_write(
    bufev: *mut Bufferevent,
    data: *const c_void,
    size: usize,
) -> c_int {
    // SAFETY: the caller guarantees the bufferevent, whose buffers live as long, and the data.
    status(unsafe { BufferGuard::new((*bufev).output.get()).append(data.cast(), size) })
}

/// Moves the contents of a buffer to the output. Returns 0, or -1 on failure.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_write_buffer(
    bufev: *mut Bufferevent,
    buf: *mut Evbuffer,
) -> c_int {
    // SAFETY: the caller guarantees the bufferevent, whose buffers live as long, and the buffer.
    unsafe { super::buffer::evbuffer_add_buffer((*bufev).output.get(), buf) }
}

/// Removes up to `size` bytes from the input. Returns how many.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_read(
    bufev: *mut Bufferevent,
    data: *mut c_void,
    size: usize,
) -> usize {
    // SAFETY: the caller guarantees the bufferevent, whose buffers live as long, and the room.
    unsafe { BufferGuard::new((*bufev).input.get()).remove(data.cast(), size) }.unwrap_or(0)
}

/// Moves all of the input to the end of a buffer. Returns 0, or -1 on failure.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_read_buffer(
    bufev: *mut Bufferevent,
    buf: *mut Evbuffer,
) -> c_int {
    // SAFETY: the caller guarantees the bufferevent, whose buffers live as long, and the buffer.
    unsafe { super::buffer::evbuffer_add_buffer(buf, (*bufev).input.get()) }
}

/// The buffer with the received data. It belongs to the bufferevent; remove data from it, but do
/// not add any.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_get_input(bufev: *mut Bufferevent) -> *mut Evbuffer {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { (*bufev).input.get() }
}

/// The buffer with the data to send. It belongs to the bufferevent; add data to it, but do not
/// remove any.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_get_output(bufev: *mut Bufferevent) -> *mut Evbuffer {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { (*bufev).output.get() }
}

/// Enables directions of a bufferevent: `EV_READ`, `EV_WRITE` or both.
///
/// On a descriptor, enabling `EV_WRITE` without output makes the write callback run once as soon as
/// the descriptor is writable. Returns 0, or -1 if the kernel refuses to watch the descriptor; the
/// directions count as enabled nevertheless.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_enable(
    bufev: *mut Bufferevent,
    event: c_short,
) -> c_int {
    // SAFETY: the caller guarantees the bufferevent.
    status(unsafe { Guard::new(bufev) }.enable(event))
}

/// Disables directions of a bufferevent. Output then waits, no more data is read, and neither the
/// end of the stream nor errors are noticed in that direction.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_disable(
    bufev: *mut Bufferevent,
    event: c_short,
) -> c_int {
    // SAFETY: the caller guarantees the bufferevent.
    status(unsafe { Guard::new(bufev) }.disable(event))
}

/// The directions that are enabled. The end of the stream, an error or a timeout disables a
/// direction.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_get_enabled(bufev: *mut Bufferevent) -> c_short {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { Guard::new(bufev) }.enabled.get()
}

/// Sets the timeouts of a bufferevent; NULL or zero means none.
///
/// A timeout passes if the bufferevent has been waiting to read, or has had something to write, for
/// that long without any progress. The direction is then disabled, and the event callback gets
/// `BEV_EVENT_TIMEOUT`. Values of event_base_init_common_timeout() may be used.
#[unsafe(no_mangle)]
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

/// Sets the watermarks, in bytes, of the directions in `events`; 0 means none.
///
/// Input: the read callback is called once there are `lowmark` bytes; reading pauses at `highmark`
/// until some are removed. Output: the write callback is called when no more than `lowmark` bytes
/// are left; a filter above stops adding at `highmark`.
#[unsafe(no_mangle)]
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

/// Gets the watermarks of one direction; each pointer may be NULL.
///
/// Returns 0, or -1 if `events` is not exactly one of `EV_READ` and `EV_WRITE`.
#[unsafe(no_mangle)]
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

/// Takes a reference to a bufferevent and its lock, if it has one. Calls nest.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_lock(bufev: *mut Bufferevent) {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { Guard::new(bufev) }.keep();
}

/// Releases what bufferevent_lock() took.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_unlock(bufev: *mut Bufferevent) {
    // SAFETY: the caller holds the lock and the reference.
    drop(unsafe { Guard::adopt(bufev) });
}

/// Takes a reference, which keeps a bufferevent in memory after bufferevent_free().
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_incref(bufev: *mut Bufferevent) {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { Guard::new(bufev) }.add_reference();
}

/// Releases a reference. Returns 1 if it was the last one, 0 otherwise.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_decref(bufev: *mut Bufferevent) -> c_int {
    // SAFETY: the caller guarantees the bufferevent and a reference of its own.
    unsafe { Guard::acquire(bufev) }.release().into()
}

/// Makes a filter or pair move more data than it would by itself, in the directions `iotype`.
///
/// This ignores watermarks and whether the directions are enabled. A bufferevent on a descriptor
/// ignores the call.
///
/// Returns 1 if a filter moved something, 0 if there was nothing to do or the kind does not say, or
/// -1 on failure.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_flush(
    bufev: *mut Bufferevent,
    iotype: c_short,
    mode: FlushModeValue,
) -> c_int {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { Guard::new(bufev) }.flush(iotype, mode)
}

/// Calls the read callback, the write callback, or both, as `iotype` says, if the watermarks allow
/// it. `options` are `BEV_TRIG_*` flags.
#[unsafe(no_mangle)]
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
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_trigger_event(
    bufev: *mut Bufferevent,
    what: c_short,
    options: c_int,
) {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { Guard::new(bufev) }.run_event_callback(what, options);
}

/// Makes a filter: a bufferevent that transforms the data to and from another one, `underlying`.
///
/// `input_filter` moves data from the input of `underlying` to the input of the filter, and
/// `output_filter` from the output of the filter to the output of `underlying`; NULL passes data on
/// unchanged. Both get `ctx`; `free_context`, unless it is NULL, is called with `ctx` when the
/// filter is gone. The filter uses the callbacks of `underlying`, which the program must not
/// change, and keeps it alive; with `BEV_OPT_CLOSE_ON_FREE`, freeing the filter frees it too. They
/// share one lock.
///
/// The filter starts with `EV_WRITE` enabled. Returns NULL if memory is short, `underlying` is
/// NULL, or the options cannot be satisfied. The caller owns the filter and frees it with
/// bufferevent_free().
#[unsafe(no_mangle)]
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
/// Both start with `EV_WRITE` enabled; reading must be enabled. Callbacks are always deferred. The
/// caller owns both and frees each with bufferevent_free(), of which the other is not notified.
///
/// Returns 0, or -1 if memory is short or the options cannot be satisfied.
#[unsafe(no_mangle)]
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
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_pair_get_partner(
    bev: *mut Bufferevent,
) -> *mut Bufferevent {
    // SAFETY: the caller guarantees the bufferevent.
    let bufferevent = unsafe { Guard::new(bev) };
    pair::partner(*bufferevent).map_or(ptr::null_mut(), BuffereventPtr::as_ptr)
}
