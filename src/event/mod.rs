//! `struct event`: its fields, and the pointer type that everything below the C boundary uses.

pub mod abi;
pub mod assign;
pub mod debug;

use crate::base::EventBase;
use crate::list::links;
pub use abi::{
    CallbackFunction, Event, EventCallback, EventCallbackFn, EventFinalizeFn, Registration,
    SelfCallbackFn,
};
use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
use std::ffi::{c_int, c_short, c_void};
use std::ptr::{NonNull, addr_of_mut};
use std::sync::atomic::{AtomicI16, Ordering::Relaxed};

/// Kinds of interest and of results, as bits of `ev_events` and `ev_res`.
#[allow(missing_docs)]
pub mod kind {
    use std::ffi::c_short;
    pub const TIMEOUT: c_short = 0x01;
    pub const READ: c_short = 0x02;
    pub const WRITE: c_short = 0x04;
    pub const SIGNAL: c_short = 0x08;
    pub const PERSIST: c_short = 0x10;
    pub const EDGE_TRIGGERED: c_short = 0x20;
    pub const FINALIZE: c_short = 0x40;
    pub const CLOSED: c_short = 0x80;
    /// What a descriptor can be watched for.
    pub const IO: c_short = READ | WRITE | CLOSED;
}

/// States of an event, as bits of `evcb_flags`. They are independent and programs read them.
#[allow(missing_docs)]
pub mod state {
    use std::ffi::c_short;
    pub const TIMEOUT: c_short = 0x01;
    pub const INSERTED: c_short = 0x02;
    pub const ACTIVE: c_short = 0x08;
    pub const INTERNAL: c_short = 0x10;
    pub const ACTIVE_LATER: c_short = 0x20;
    pub const FINALIZING: c_short = 0x40;
    pub const INITIALISED: c_short = 0x80;
    /// Beside [`ACTIVE_LATER`]: the library's own work, which runs before the next wait.
    pub const BEFORE_WAIT: c_short = 0x100;
    /// In one of the queues of callbacks to run.
    pub const QUEUED: c_short = ACTIVE | ACTIVE_LATER;
}

/// How the loop runs a queue entry (`evcb_closure`).
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Closure {
    Event = 0,
    EventSignal = 1,
    EventPersist = 2,
    Callback = 3,
    CallbackFinalize = 4,
    EventFinalize = 5,
    EventFinalizeFree = 6,
    /// A callback that holds something while it is queued; see [`crate::base::deferred`].
    HoldingCallback = 7,
}

impl Closure {
    /// Whether it belongs to no event and is no finalizer.
    pub fn is_deferred(self) -> bool {
        matches!(self, Closure::Callback | Closure::HoldingCallback)
    }

    fn from_field(value: u8) -> Closure {
        match value {
            1 => Closure::EventSignal,
            2 => Closure::EventPersist,
            3 => Closure::Callback,
            4 => Closure::CallbackFinalize,
            5 => Closure::EventFinalize,
            6 => Closure::EventFinalizeFree,
            7 => Closure::HoldingCallback,
            _ => Closure::Event,
        }
    }
}

impl Registration {
    const FD_BITS: u32 = 27;
    /// Descriptors from here on are refused.
    pub const FD_LIMIT: c_int = (1 << Self::FD_BITS) - 1;

    /// Interest in a descriptor or signal below [`Registration::FD_LIMIT`].
    pub fn new(fd: c_int, events: c_short) -> Registration {
        // The bits that count, moved together: 0x02, 0x04 and 0x10, 0x20 and 0x80.
        let packed = ((events & (kind::READ | kind::WRITE)) >> 1)
            | ((events & (kind::PERSIST | kind::EDGE_TRIGGERED)) >> 2)
            | ((events & kind::CLOSED) >> 3);
        Registration(fd as u32 | (packed as u32) << Self::FD_BITS)
    }

    /// The descriptor or signal number.
    pub fn fd(self) -> c_int {
        (self.0 & ((1 << Self::FD_BITS) - 1)) as c_int
    }

    /// How many combinations of the bits there are.
    pub const KINDS: usize = 1 << (u32::BITS - Self::FD_BITS);

    /// A number below [`Registration::KINDS`] for the bits.
    #[inline]
    pub const fn index(self) -> usize {
        (self.0 >> Self::FD_BITS) as usize
    }

    /// One with the bits of that number.
    pub const fn of_index(index: usize) -> Registration {
        Registration((index as u32) << Self::FD_BITS)
    }

    /// The kinds of readiness, whether edge-triggered, whether persistent.
    pub const fn events(self) -> c_short {
        let packed = self.index() as c_short;
        ((packed << 1) & (kind::READ | kind::WRITE))
            | ((packed << 2) & (kind::PERSIST | kind::EDGE_TRIGGERED))
            | ((packed << 3) & kind::CLOSED)
    }

    /// Nothing is registered: an event without a descriptor.
    pub const NOTHING: Registration = Registration(u32::MAX);
}

macro_rules! fields {
    ($($(#[$doc:meta])* $get:ident, $set:ident: $type:ty = $($path:ident).+;)*) => {
        $(
            $(#[$doc])*
            #[inline]
            pub fn $get(self) -> $type {
                // SAFETY: `new` promised a live object for as long as this pointer is used.
                unsafe { (*self.0.as_ptr()).$($path).+ }
            }
            /// Stores the field.
            #[inline]
            pub fn $set(self, value: $type) {
                // SAFETY: as for reading; only the holder of the base's lock uses the object.
                unsafe { (*self.0.as_ptr()).$($path).+ = value }
            }
        )*
    };
}

/// A queue entry that its owner keeps alive.
///
/// Plain field access through a raw pointer: no reference is formed, because the program may
/// read and write the same memory.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct CallbackPtr(NonNull<EventCallback>);

impl CallbackPtr {
    /// `None` for null.
    ///
    /// # Safety
    /// The entry stays alive for as long as the pointer, or a copy of it, is used.
    pub unsafe fn new(entry: *mut EventCallback) -> Option<CallbackPtr> {
        NonNull::new(entry).map(CallbackPtr)
    }

    /// The raw pointer.
    pub fn as_ptr(self) -> *mut EventCallback {
        self.0.as_ptr()
    }

    /// State bits. They change only with the base's lock held, but are sometimes read without it,
    /// so both are atomic; no other memory depends on the values.
    #[inline]
    pub fn flags(self) -> c_short {
        // SAFETY: `new` promised a live object.
        unsafe { AtomicI16::from_ptr(addr_of_mut!((*self.0.as_ptr()).evcb_flags)) }.load(Relaxed)
    }
    /// Stores the state bits.
    #[inline]
    pub fn set_flags(self, flags: c_short) {
        // SAFETY: as for reading.
        unsafe { AtomicI16::from_ptr(addr_of_mut!((*self.0.as_ptr()).evcb_flags)) }
            .store(flags, Relaxed);
    }

    fields! {
        /// Priority; 0 is the most urgent.
        priority, set_priority: u8 = evcb_pri;
        /// What the callback is called with.
        argument, set_argument: *mut c_void = evcb_arg;
        /// The function to call.
        function, set_function: CallbackFunction = evcb_cb_union;
    }

    /// Whether the loop runs it as the callback of a persistent event, which most are.
    #[inline]
    pub fn is_persistent(self) -> bool {
        // SAFETY: `new` promised a live object.
        unsafe { (*self.0.as_ptr()).evcb_closure == Closure::EventPersist as u8 }
    }

    /// How the loop runs it.
    pub fn closure(self) -> Closure {
        // SAFETY: `new` promised a live object.
        Closure::from_field(unsafe { (*self.0.as_ptr()).evcb_closure })
    }

    /// Chooses how the loop runs it.
    pub fn set_closure(self, closure: Closure) {
        // SAFETY: as for reading.
        unsafe { (*self.0.as_ptr()).evcb_closure = closure as u8 }
    }

    /// Whether any of the state bits is set.
    #[inline]
    pub fn has(self, states: c_short) -> bool {
        self.flags() & states != 0
    }

    /// Sets state bits.
    #[inline]
    pub fn insert(self, states: c_short) {
        self.set_flags(self.flags() | states);
    }

    /// Clears state bits.
    #[inline]
    pub fn remove(self, states: c_short) {
        self.set_flags(self.flags() & !states);
    }

    /// The event whose first member this entry is; entries of deferred callbacks are no events.
    pub fn event(self) -> Option<EventPtr> {
        self.event_by(self.flags())
    }

    /// The same for an event that has these flags.
    #[inline]
    pub fn event_by(self, flags: c_short) -> Option<EventPtr> {
        (flags & state::INITIALISED != 0).then_some(EventPtr(self.0.cast()))
    }
}

/// An event that its owner keeps alive; see [`CallbackPtr`].
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct EventPtr(NonNull<Event>);

impl EventPtr {
    /// `None` for null.
    ///
    /// # Safety
    /// The event stays alive for as long as the pointer, or a copy of it, is used.
    pub unsafe fn new(event: *mut Event) -> Option<EventPtr> {
        NonNull::new(event).map(EventPtr)
    }

    /// The raw pointer.
    pub fn as_ptr(self) -> *mut Event {
        self.0.as_ptr()
    }

    /// The part that is linked into an active queue.
    #[inline]
    pub fn entry(self) -> CallbackPtr {
        CallbackPtr(self.0.cast())
    }

    fields! {
        /// Descriptor, signal number or -1.
        fd, set_fd: c_int = ev_fd;
        /// Interest bits as the program gave them.
        events, set_events: c_short = ev_events;
        /// Flags of the last activation.
        result, set_result: c_short = ev_res;
        /// The base it belongs to.
        base, set_base: *mut EventBase = ev_base;
        /// Deadline on the base's clock; programs read it.
        deadline, set_deadline: libc::timeval = ev_timeout;
        /// What was registered when it was inserted.
        registration, set_registration: Registration = registered;
    }

    /// Whether any of the state bits is set.
    #[inline]
    pub fn has(self, states: c_short) -> bool {
        self.entry().has(states)
    }

    /// Whether the program is interested in any of the kinds.
    #[inline]
    pub fn wants(self, kinds: c_short) -> bool {
        self.events() & kinds != 0
    }

    /// Whether it is in any list or queue.
    #[inline]
    pub fn is_pending(self) -> bool {
        self.has(state::INSERTED | state::TIMEOUT | state::QUEUED)
    }

    /// The kinds that it waits for or is active with when it has these flags.
    #[inline]
    pub fn pending_kinds(self, flags: c_short) -> c_short {
        let kinds = kind::TIMEOUT | kind::IO | kind::SIGNAL;
        let mut pending = 0;
        if flags & state::INSERTED != 0 {
            pending |= self.events() & (kind::IO | kind::SIGNAL);
        }
        if flags & state::QUEUED != 0 {
            pending |= self.result();
        }
        if flags & state::TIMEOUT != 0 {
            pending |= kind::TIMEOUT;
        }
        pending & kinds
    }

    /// Repeat interval of a persistent event.
    pub fn interval(self) -> libc::timeval {
        // SAFETY: a live event; the member is plain data whatever the union was used for.
        unsafe { (*self.as_ptr()).ev_.ev_io.ev_timeout }
    }

    /// Stores the repeat interval.
    pub fn set_interval(self, interval: libc::timeval) {
        // SAFETY: as for reading.
        unsafe { (*self.as_ptr()).ev_.ev_io.ev_timeout = interval }
    }

    /// How often a signal callback is still to be called.
    pub fn signal_calls(self) -> c_short {
        // SAFETY: as for `interval`.
        unsafe { (*self.as_ptr()).ev_.ev_signal.ev_ncalls }
    }

    /// Stores how often a signal callback is to be called.
    pub fn set_signal_calls(self, calls: c_short) {
        // SAFETY: as for `interval`.
        unsafe { (*self.as_ptr()).ev_.ev_signal.ev_ncalls = calls }
    }

    /// No calls are to be made and nobody counts them.
    pub fn clear_signal_calls(self) {
        // SAFETY: as for `interval`.
        unsafe {
            (*self.as_ptr()).ev_.ev_signal.ev_ncalls = 0;
            (*self.as_ptr()).ev_.ev_signal.ev_pncalls = std::ptr::null_mut();
        }
    }

    /// Position in the timer heap.
    #[inline]
    pub fn heap_position(self) -> u32 {
        // SAFETY: as for `interval`.
        unsafe { (*self.as_ptr()).ev_timeout_pos.min_heap_idx }
    }

    /// Stores the position in the timer heap.
    #[inline]
    pub fn set_heap_position(self, position: u32) {
        // SAFETY: as for `interval`.
        unsafe { (*self.as_ptr()).ev_timeout_pos.min_heap_idx = position }
    }

    /// The event is not in the timer heap.
    #[inline]
    pub fn clear_heap_position(self) {
        self.set_heap_position(u32::MAX);
    }

    /// See [`prefetch`].
    #[inline]
    pub fn prefetch(self) {
        prefetch(self.as_ptr().cast());
    }
}

/// Makes the processor fetch the memory of an event, or another entry, that will be used soon; if
/// it has been freed by then, this does no harm. Nothing is done for null, because it takes the
/// processor a while to find out that there is no memory.
#[inline]
pub fn prefetch(entry: *mut EventCallback) {
    if entry.is_null() {
        return;
    }
    let start = entry.cast::<i8>();
    for offset in [0, 64] {
        // SAFETY: fetching reads nothing, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(start.wrapping_add(offset)) };
    }
}

links! {
    /// The links of the active queues.
    pub struct ActiveLinks: TailLink<EventCallback> in evcb_active_next;
}

links! {
    /// The links of the common-timeout lists.
    pub struct CommonTimeoutLinks: TailLink<Event> in ev_timeout_pos.ev_next_with_common_timeout;
}

links! {
    /// The links of the events of one descriptor, and of one signal: the two fields coincide.
    pub struct SourceLinks: ListLink<Event> in ev_.ev_io.ev_io_next;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registration_gives_back_what_went_in() {
        const BITS: [c_short; 5] = [
            kind::READ,
            kind::WRITE,
            kind::CLOSED,
            kind::EDGE_TRIGGERED,
            kind::PERSIST,
        ];
        for fd in [0, 1, 4095, Registration::FD_LIMIT - 1] {
            for chosen in 0..32 {
                let events = (0..5)
                    .filter(|i| chosen & (1 << i) != 0)
                    .map(|i| BITS[i])
                    .sum();
                let registration = Registration::new(fd, events | kind::TIMEOUT | kind::FINALIZE);
                assert_eq!((registration.fd(), registration.events()), (fd, events));
                assert!(registration != Registration::NOTHING);
            }
        }
    }
}
