//! The layout of `struct event`, which programs embed: event2/event_struct.h declares it to them.

use crate::base::EventBase;
use crate::list::{ListLink, TailLink};
use std::ffi::{c_int, c_short, c_void};
use std::mem::{offset_of, size_of};

/// Callback of an event: descriptor or signal number, what happened, the event's argument.
pub type EventCallbackFn = unsafe extern "C-unwind" fn(c_int, c_short, *mut c_void);
/// Callback that only gets the queue entry it belongs to and its argument.
pub type SelfCallbackFn = unsafe extern "C-unwind" fn(*mut EventCallback, *mut c_void);
/// Finalizer of an event.
pub type EventFinalizeFn = unsafe extern "C-unwind" fn(*mut Event, *mut c_void);

/// What an [`EventCallback`] calls; `evcb_closure` says which member is valid.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub union CallbackFunction {
    pub evcb_callback: Option<EventCallbackFn>,
    pub evcb_selfcb: Option<SelfCallbackFn>,
    pub evcb_evfinalize: Option<EventFinalizeFn>,
    pub evcb_cbfinalize: Option<SelfCallbackFn>,
}

/// The part of an event that is linked into an active queue.
#[repr(C)]
#[allow(missing_docs)]
pub struct EventCallback {
    pub evcb_active_next: TailLink<EventCallback>,
    pub evcb_flags: c_short,
    pub evcb_pri: u8,
    pub evcb_closure: u8,
    pub evcb_cb_union: CallbackFunction,
    pub evcb_arg: *mut c_void,
}

/// Place among the timers: links of a common-timeout list, or a position in the heap (all ones, -1
/// in C: none).
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub union TimeoutPosition {
    pub ev_next_with_common_timeout: TailLink<Event>,
    pub min_heap_idx: u32,
}

/// What an event on a descriptor keeps: its place in the descriptor's list, its repeat interval.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub struct IoPart {
    pub ev_io_next: ListLink<Event>,
    pub ev_timeout: libc::timeval,
}

/// What a signal event keeps: its place in the signal's list, calls still to make.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub struct SignalPart {
    pub ev_signal_next: ListLink<Event>,
    pub ev_ncalls: c_short,
    pub ev_pncalls: *mut c_short,
}

/// Descriptor and signal events share the space.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub union KindPart {
    pub ev_io: IoPart,
    pub ev_signal: SignalPart,
}

/// The descriptor (or signal number) and kinds of readiness that were registered for an event.
///
/// Programs change `ev_fd` and `ev_events` of inserted events although they must not; deletion
/// undoes what was really registered.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Registration(pub u32);

/// `struct event`. Its memory belongs to the program, which may embed, zero, copy or move an idle
/// one, and reads and writes some fields directly.
#[repr(C)]
#[allow(missing_docs)]
pub struct Event {
    pub ev_evcallback: EventCallback,
    pub ev_timeout_pos: TimeoutPosition,
    pub ev_fd: c_int,
    /// What the base registered for this event while it is inserted: C sees padding here.
    pub registered: Registration,
    pub ev_base: *mut EventBase,
    pub ev_: KindPart,
    pub ev_events: c_short,
    pub ev_res: c_short,
    pub ev_timeout: libc::timeval,
}

const _: () = {
    assert!(size_of::<EventCallback>() == 40);
    assert!(offset_of!(EventCallback, evcb_active_next.tqe_next) == 0);
    assert!(offset_of!(EventCallback, evcb_active_next.tqe_prev) == 8);
    assert!(offset_of!(EventCallback, evcb_flags) == 16);
    assert!(offset_of!(EventCallback, evcb_pri) == 18);
    assert!(offset_of!(EventCallback, evcb_closure) == 19);
    assert!(offset_of!(EventCallback, evcb_cb_union) == 24);
    assert!(offset_of!(EventCallback, evcb_arg) == 32);
    assert!(size_of::<Event>() == 128);
    assert!(offset_of!(Event, ev_evcallback) == 0);
    assert!(offset_of!(Event, ev_timeout_pos.ev_next_with_common_timeout) == 40);
    assert!(offset_of!(Event, ev_timeout_pos.min_heap_idx) == 40);
    assert!(offset_of!(Event, ev_fd) == 56);
    assert!(offset_of!(Event, ev_base) == 64);
    assert!(offset_of!(Event, ev_.ev_io.ev_io_next) == 72);
    assert!(offset_of!(Event, ev_.ev_io.ev_timeout) == 88);
    assert!(offset_of!(Event, ev_.ev_signal.ev_signal_next) == 72);
    assert!(offset_of!(Event, ev_.ev_signal.ev_ncalls) == 88);
    assert!(offset_of!(Event, ev_.ev_signal.ev_pncalls) == 96);
    assert!(offset_of!(Event, ev_events) == 104);
    assert!(offset_of!(Event, ev_res) == 106);
    assert!(offset_of!(Event, ev_timeout) == 112);
};
