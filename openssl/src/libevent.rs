//! What this library uses of the core: the layout of a bufferevent and exported C functions.
//!
//! Both libraries come from one build, so this one may rely on those private fields of a
//! bufferevent whose offsets the core promises.

use std::cell::{Cell, UnsafeCell};
use std::ffi::{c_char, c_int, c_short, c_uint, c_void};
use std::marker::PhantomData;
use std::mem::offset_of;

pub use libc::timeval;

macro_rules! opaque {
    ($($(#[$text:meta])* $name:ident),*) => {$(
        $(#[$text])*
        #[repr(C)]
        pub struct $name {
            _bytes: [u8; 0],
            _not_shared: PhantomData<*mut c_void>,
        }
    )*};
}

opaque! {
    /// A loop.
    EventBase,
    /// A queue of bytes.
    Evbuffer
}

/// `struct event`.
#[repr(C)]
pub struct Event([usize; 16]);

/// An entry of the loop's queue that needs no event.
#[repr(C)]
pub struct EventCallback {
    _links: [usize; 2],
    _flags: c_short,
    _priority: u8,
    closure: u8,
    _function_and_argument: [usize; 2],
}

/// A callback that holds something while it is queued. If the base ends before, it is called with a
/// null entry, so that it can release that.
const HOLDING: u8 = 7;

/// Initialises a callback of that kind.
///
/// # Safety
/// The callback is in no queue, and the function takes the argument.
pub unsafe fn init_holding_callback(
    callback: *mut EventCallback,
    priority: u8,
    function: SelfCallbackFn,
    argument: *mut c_void,
) {
    // SAFETY: as the caller guarantees.
    unsafe {
        event_deferred_cb_init_(callback, priority, function, argument);
        (*callback).closure = HOLDING;
    }
}

/// Kinds of readiness, and of events.
pub mod kind {
    use std::ffi::c_short;
    pub const TIMEOUT: c_short = 0x01;
    pub const READ: c_short = 0x02;
    pub const WRITE: c_short = 0x04;
    pub const PERSIST: c_short = 0x10;
    pub const FINALIZE: c_short = 0x40;
}

/// What event callbacks report: `BEV_EVENT_…`.
pub mod event_flag {
    use std::ffi::c_short;
    pub const READING: c_short = 0x01;
    pub const WRITING: c_short = 0x02;
    pub const EOF: c_short = 0x10;
    pub const ERROR: c_short = 0x20;
    pub const TIMEOUT: c_short = 0x40;
    pub const CONNECTED: c_short = 0x80;
}

/// Options of a bufferevent.
pub mod option {
    use std::ffi::c_int;
    pub const CLOSE_ON_FREE: c_int = 0x01;
    pub const DEFER_CALLBACKS: c_int = 0x04;
}

/// The reason for which a bufferevent below is suspended while the TLS bufferevent does not read.
pub const SUSPENDED_BY_FILTER: u16 = 0x10;

/// The watermarks of a direction.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Watermarks {
    pub low: usize,
    pub high: usize,
}

/// A descriptor, as the C headers call it.
pub type EvutilSocket = c_int;
/// An `enum bufferevent_ssl_state`, in which a C caller may have put any number.
pub type SslStateValue = c_uint;

pub type DataFn = unsafe extern "C-unwind" fn(*mut Bufferevent, *mut c_void);
pub type EventFn = unsafe extern "C-unwind" fn(*mut Bufferevent, c_short, *mut c_void);
pub type ReadinessFn = unsafe extern "C-unwind" fn(c_int, c_short, *mut c_void);
pub type SelfCallbackFn = unsafe extern "C-unwind" fn(*mut EventCallback, *mut c_void);

/// How a buffer has changed.
#[repr(C)]
pub struct BufferChange {
    pub original_size: usize,
    pub added: usize,
    pub deleted: usize,
}

/// `struct bufferevent` and the private fields whose offsets are promised.
#[repr(C)]
pub struct Bufferevent {
    pub base: Cell<*mut EventBase>,
    pub operations: Cell<*const Operations>,
    pub read_event: UnsafeCell<Event>,
    pub write_event: UnsafeCell<Event>,
    pub input: Cell<*mut Evbuffer>,
    pub output: Cell<*mut Evbuffer>,
    pub read_marks: Cell<Watermarks>,
    pub write_marks: Cell<Watermarks>,
    pub read_callback: Cell<Option<DataFn>>,
    pub write_callback: Cell<Option<DataFn>>,
    pub event_callback: Cell<Option<EventFn>>,
    pub argument: Cell<*mut c_void>,
    pub read_timeout: Cell<timeval>,
    pub write_timeout: Cell<timeval>,
    pub enabled: Cell<c_short>,
    _high_mark: Cell<usize>,
    _flags: Cell<u32>,
    pub read_suspended: Cell<u16>,
    pub write_suspended: Cell<u16>,
    _pending: [Cell<u32>; 2],
    _deferred: UnsafeCell<EventCallback>,
    pub options: Cell<c_int>,
    pub references: Cell<c_int>,
    pub lock: Cell<*mut c_void>,
    _rest: [Cell<usize>; 4],
}

const _: () = {
    assert!(size_of::<Event>() == 128);
    assert!(size_of::<EventCallback>() == 40);
    assert!(offset_of!(EventCallback, closure) == 19);
    assert!(offset_of!(Bufferevent, read_event) == 16);
    assert!(offset_of!(Bufferevent, write_event) == 144);
    assert!(offset_of!(Bufferevent, input) == 272);
    assert!(offset_of!(Bufferevent, read_callback) == 320);
    assert!(offset_of!(Bufferevent, read_timeout) == 352);
    assert!(offset_of!(Bufferevent, enabled) == 384);
    assert!(offset_of!(Bufferevent, read_suspended) == 404);
    assert!(offset_of!(Bufferevent, write_suspended) == 406);
    assert!(offset_of!(Bufferevent, options) == 456);
    assert!(offset_of!(Bufferevent, references) == 460);
    assert!(offset_of!(Bufferevent, lock) == 464);
    // Functions that the core calls.
    assert!(size_of::<Bufferevent>() == 504);
};

/// What [`Operations::control`] is asked for.
pub mod request {
    use std::ffi::c_uint;
    pub const SET_DESCRIPTOR: c_uint = 0;
    pub const GET_DESCRIPTOR: c_uint = 1;
    pub const GET_UNDERLYING: c_uint = 2;
    pub const OUTPUT_CHANGED: c_uint = 256;
}

/// Parameter or result of a request.
#[repr(C)]
pub union RequestData {
    pub pointer: *mut c_void,
    pub descriptor: c_int,
    pub change: *const BufferChange,
}

/// `struct bufferevent_ops`: the functions that define a kind of bufferevent. All are called with
/// the lock held; negative results mean failure.
#[repr(C)]
pub struct Operations {
    pub name: *const c_char,
    pub offset: libc::off_t,
    pub enable: unsafe extern "C-unwind" fn(*mut Bufferevent, c_short) -> c_int,
    pub disable: unsafe extern "C-unwind" fn(*mut Bufferevent, c_short) -> c_int,
    pub unlink: unsafe extern "C-unwind" fn(*mut Bufferevent),
    pub destruct: unsafe extern "C-unwind" fn(*mut Bufferevent),
    pub adjust_timeouts: unsafe extern "C-unwind" fn(*mut Bufferevent) -> c_int,
    pub flush: unsafe extern "C-unwind" fn(*mut Bufferevent, c_short, c_uint) -> c_int,
    pub control: unsafe extern "C-unwind" fn(*mut Bufferevent, c_uint, *mut RequestData) -> c_int,
}

// SAFETY: the table is constant, and so is the name that it points to.
unsafe impl Sync for Operations {}

const _: () = assert!(size_of::<Operations>() == 72);

unsafe extern "C-unwind" {
    pub static bufferevent_ops_pair: Operations;

    pub fn event_mm_calloc_(count: usize, size: usize) -> *mut c_void;
    pub fn event_mm_malloc_(size: usize) -> *mut c_void;
    pub fn event_mm_realloc_(block: *mut c_void, size: usize) -> *mut c_void;
    pub fn event_mm_free_(block: *mut c_void);
    pub fn event_warnx(format: *const c_char, ...);
    pub fn event_errx(code: c_int, format: *const c_char, ...);

    pub fn event_assign(
        event: *mut Event,
        base: *mut EventBase,
        fd: c_int,
        events: c_short,
        callback: ReadinessFn,
        argument: *mut c_void,
    ) -> c_int;
    pub fn event_del(event: *mut Event) -> c_int;
    pub fn event_pending(event: *const Event, events: c_short, expiry: *mut timeval) -> c_int;
    pub fn event_active_later_(event: *mut Event, result: c_int);
    pub fn event_get_priority(event: *const Event) -> c_int;
    pub fn event_priority_set(event: *mut Event, priority: c_int) -> c_int;
    pub fn event_deferred_cb_init_(
        callback: *mut EventCallback,
        priority: u8,
        function: SelfCallbackFn,
        argument: *mut c_void,
    );
    pub fn event_deferred_cb_schedule_(base: *mut EventBase, callback: *mut EventCallback)
    -> c_int;

    pub fn evbuffer_get_length(buffer: *const Evbuffer) -> usize;
    pub fn evbuffer_add(buffer: *mut Evbuffer, data: *const c_void, length: usize) -> c_int;
    pub fn evbuffer_remove(buffer: *mut Evbuffer, data: *mut c_void, length: usize) -> c_int;
    pub fn evbuffer_drain(buffer: *mut Evbuffer, length: usize) -> c_int;
    pub fn evbuffer_peek(
        buffer: *mut Evbuffer,
        length: isize,
        start: *mut c_void,
        vectors: *mut libc::iovec,
        count: c_int,
    ) -> c_int;
    pub fn evbuffer_reserve_space(
        buffer: *mut Evbuffer,
        size: isize,
        vectors: *mut libc::iovec,
        count: c_int,
    ) -> c_int;
    pub fn evbuffer_commit_space(
        buffer: *mut Evbuffer,
        vectors: *mut libc::iovec,
        count: c_int,
    ) -> c_int;

    pub fn bufferevent_init_common_(
        bufev: *mut Bufferevent,
        base: *mut EventBase,
        operations: *const Operations,
        options: c_int,
    ) -> c_int;
    pub fn bufferevent_enable_locking_(bufev: *mut Bufferevent, lock: *mut c_void) -> c_int;
    pub fn bufferevent_incref_and_lock_(bufev: *mut Bufferevent);
    pub fn bufferevent_decref_and_unlock_(bufev: *mut Bufferevent) -> c_int;
    pub fn bufferevent_incref(bufev: *mut Bufferevent);
    pub fn bufferevent_decref(bufev: *mut Bufferevent) -> c_int;
    pub fn bufferevent_free(bufev: *mut Bufferevent);
    pub fn bufferevent_enable(bufev: *mut Bufferevent, events: c_short) -> c_int;
    pub fn bufferevent_trigger_event(bufev: *mut Bufferevent, what: c_short, options: c_int);
    pub fn bufferevent_setcb(
        bufev: *mut Bufferevent,
        read: Option<DataFn>,
        write: Option<DataFn>,
        event: Option<EventFn>,
        argument: *mut c_void,
    );
    pub fn bufferevent_setwatermark(
        bufev: *mut Bufferevent,
        events: c_short,
        low: usize,
        high: usize,
    );
    pub fn bufferevent_setfd(bufev: *mut Bufferevent, fd: c_int) -> c_int;
    pub fn bufferevent_getfd(bufev: *mut Bufferevent) -> c_int;
    pub fn bufferevent_get_underlying(bufev: *mut Bufferevent) -> *mut Bufferevent;
    pub fn bufferevent_suspend_read_(bufev: *mut Bufferevent, what: u16);
    pub fn bufferevent_unsuspend_read_(bufev: *mut Bufferevent, what: u16);
    pub fn bufferevent_run_readcb_(bufev: *mut Bufferevent, options: c_int);
    pub fn bufferevent_run_writecb_(bufev: *mut Bufferevent, options: c_int);
    pub fn bufferevent_run_eventcb_(bufev: *mut Bufferevent, what: c_short, options: c_int);
    pub fn bufferevent_add_event_(event: *mut Event, timeout: *const timeval) -> c_int;
    pub fn bufferevent_init_generic_timeout_cbs_(bufev: *mut Bufferevent);
    pub fn bufferevent_generic_adj_existing_timeouts_(bufev: *mut Bufferevent) -> c_int;
    pub fn bufferevent_get_read_max_(bufev: *mut Bufferevent) -> isize;
    pub fn bufferevent_get_write_max_(bufev: *mut Bufferevent) -> isize;
    pub fn bufferevent_decrement_read_buckets_(bufev: *mut Bufferevent, bytes: isize) -> c_int;
    pub fn bufferevent_decrement_write_buckets_(bufev: *mut Bufferevent, bytes: isize) -> c_int;
    pub fn evutil_closesocket(fd: c_int) -> c_int;
    pub fn evutil_socket_finished_connecting_(fd: c_int) -> c_int;
}
