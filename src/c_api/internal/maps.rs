//! Internal exported symbols of the tables of descriptors and signals, the list of changes, the
//! signal handling and the backends. All but those that say so need the base's lock.

use crate::backend::changelist::Changelist;
use crate::backend::{Backend, Mechanism, Options, Report, Timeout};
use crate::base::inspect::EventForeachFn;
use crate::base::{EventBase, Guard};
use crate::c_api::status;
use crate::event::{Event, EventPtr, kind};
use crate::interest::Interest;
use crate::timers::time;
use crate::util::SystemError;
use libc::timeval;
use std::ffi::{c_char, c_int, c_short, c_void};
use std::ptr::{self, addr_of_mut};

/// The event of a call and its base.
///
/// # Safety
/// Both are live, and the base's lock is held.
unsafe fn with_event(
    base: *mut EventBase,
    event: *mut Event,
    call: impl FnOnce(&mut EventBase, EventPtr) -> Result<bool, SystemError>,
) -> c_int {
    // SAFETY: the caller guarantees both.
    match unsafe { EventPtr::new(event).map(|event| call(&mut Guard::held(base), event)) } {
        Some(Ok(changed)) => changed.into(),
        Some(Err(SystemError)) | None => -1,
    }
}

/// Makes a table empty.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evmap_io_initmap_(table: *mut Interest) {
    // SAFETY: the caller guarantees the memory.
    unsafe { table.write(Interest::new()) };
}

/// Frees what a table holds.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evmap_io_clear_(table: *mut Interest) {
    // SAFETY: the caller guarantees the table, which has no events.
    unsafe { (*table).free() };
}

/// Registers an event for its descriptor: -1 refused, 0 the backend did not change, 1 it did.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evmap_io_add_(
    base: *mut EventBase,
    _fd: c_int,
    event: *mut Event,
) -> c_int {
    // SAFETY: the caller guarantees both.
    unsafe {
        with_event(base, event, |base, event| {
            base.interest.add(&mut base.backend, event)
        })
    }
}

/// Removes an event; results as for adding.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evmap_io_del_(
    base: *mut EventBase,
    _fd: c_int,
    event: *mut Event,
) -> c_int {
    // SAFETY: the caller guarantees both.
    unsafe {
        with_event(base, event, |base, event| {
            base.interest.remove(&mut base.backend, event)
        })
    }
}

/// Makes the events on a descriptor active that want one of `events`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evmap_io_active_(base: *mut EventBase, fd: c_int, events: c_short) {
    // SAFETY: the caller guarantees the base.
    let mut guard = unsafe { Guard::held(base) };
    let report = Report {
        first: guard.interest.get(fd).and_then(|slot| slot.first()),
        ready: events & kind::IO,
        failed: false,
        edge: events & kind::EDGE_TRIGGERED,
    };
    guard.activate_reported(report);
}

/// What the backend keeps for a descriptor; null when it has never had an event.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evmap_io_get_fdinfo_(
    table: *mut Interest,
    fd: c_int,
) -> *mut c_void {
    // SAFETY: the caller guarantees the table.
    let slot = unsafe { (*table).get_used(fd) };
    slot.map_or(ptr::null_mut(), |slot| {
        addr_of_mut!(slot.backend_number).cast()
    })
}

/// Makes a table empty.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evmap_signal_initmap_(table: *mut Interest) {
    // SAFETY: as the caller guarantees. A base keeps its signals elsewhere, so that a table of
    // signals is one that was made here.
    unsafe { evmap_io_initmap_(table) };
}

/// Frees what a table holds.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evmap_signal_clear_(table: *mut Interest) {
    // SAFETY: the caller guarantees a table that evmap_signal_initmap_ made.
    unsafe { evmap_io_clear_(table) };
}

/// Registers an event for its signal: -1 refused, 1 done.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evmap_signal_add_(
    base: *mut EventBase,
    _number: c_int,
    event: *mut Event,
) -> c_int {
    // SAFETY: the caller guarantees both.
    unsafe {
        with_event(base, event, |base, event| {
            base.add_signal(event).map(|()| true)
        })
    }
}

/// Removes an event; results as for adding.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evmap_signal_del_(
    base: *mut EventBase,
    _number: c_int,
    event: *mut Event,
) -> c_int {
    // SAFETY: the caller guarantees both.
    unsafe {
        with_event(base, event, |base, event| {
            base.remove_signal(event).map(|()| true)
        })
    }
}

/// Makes the events of a signal active, for that many deliveries.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evmap_signal_active_(
    base: *mut EventBase,
    number: c_int,
    deliveries: c_int,
) {
    let deliveries = c_short::try_from(deliveries).unwrap_or(c_short::MAX);
    // SAFETY: the caller guarantees the base.
    unsafe { Guard::held(base) }.activate_signal(number, deliveries);
}

/// Registers everything with the backend again. 0 or -1.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evmap_reinit_(base: *mut EventBase) -> c_int {
    // SAFETY: the caller guarantees the base.
    let base = &mut *unsafe { Guard::held(base) };
    status(base.backend.reinitialise(&mut base.interest))
}

/// Deletes every event on a descriptor or signal. Takes the lock.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evmap_delete_all_(base: *mut EventBase) {
    // SAFETY: the caller guarantees the base.
    unsafe { Guard::lock(base) }.delete_registered_events();
}

/// Ends the process when a table contradicts itself.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evmap_check_integrity_(base: *mut EventBase) {
    // SAFETY: the caller guarantees the base.
    unsafe { Guard::held(base) }.require_consistency();
}

/// Calls a function for every event on a descriptor or signal until it returns other than 0.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evmap_foreach_event_(
    base: *mut EventBase,
    callback: EventForeachFn,
    arg: *mut c_void,
) -> c_int {
    // SAFETY: the caller guarantees the base and a function for this call.
    unsafe { Guard::held(base).for_each_registered(|event| callback(base, event.as_ptr(), arg)) }
}

/// Makes a list empty.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_changelist_init_(changes: *mut Changelist) {
    // SAFETY: the caller guarantees the memory.
    unsafe { changes.write(Changelist::new()) };
}

/// Notes that the backend must learn of a descriptor's new kinds before the next wait. 0 or -1.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_changelist_add_(
    base: *mut EventBase,
    fd: c_int,
    _old: c_short,
    _events: c_short,
    _place: *mut c_void,
) -> c_int {
    // SAFETY: the caller guarantees the base.
    let base = &mut *unsafe { Guard::held(base) };
    let Some(slot) = base.interest.get(fd) else {
        return -1;
    };
    base.backend
        .changelist()
        .map_or(-1, |changes| status(changes.note(fd, slot)))
}

/// The same for kinds that are no longer wanted.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_changelist_del_(
    base: *mut EventBase,
    fd: c_int,
    old: c_short,
    events: c_short,
    place: *mut c_void,
) -> c_int {
    // SAFETY: the caller guarantees what adding wants: deleting is a change like another.
    unsafe { event_changelist_add_(base, fd, old, events, place) }
}

/// Forgets all changes.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_changelist_remove_all_(
    changes: *mut Changelist,
    base: *mut EventBase,
) {
    // SAFETY: the caller guarantees both.
    unsafe { (*changes).forget(&mut Guard::held(base).interest) };
}

/// Frees a list's memory.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_changelist_freemem_(changes: *mut Changelist) {
    // SAFETY: the caller guarantees the list.
    unsafe { (*changes).free() };
}

/// Makes the signal pipe. 0 or -1.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evsig_init_(base: *mut EventBase) -> c_int {
    // SAFETY: the caller guarantees the base.
    status(unsafe { Guard::held(base) }.open_signal_pipe())
}

/// Restores all handlers, closes the pipe and frees everything of signals. Takes the lock.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evsig_dealloc_(base: *mut EventBase) {
    // SAFETY: the caller guarantees the base.
    unsafe { Guard::lock(base) }.free_signals();
}

/// Makes a base the one that receives signals, of those whose loop has not run; all others receive
/// those that they watch in any case. The lock is held.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evsig_set_base_(base: *mut EventBase) {
    // SAFETY: the caller guarantees the base.
    unsafe { Guard::held(base) }.signals.note_newest();
}

/// Installs a handler for a signal, remembering the old one. 0 or -1.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evsig_set_handler_(
    base: *mut EventBase,
    number: c_int,
    handler: extern "C" fn(c_int),
) -> c_int {
    // SAFETY: the caller guarantees the base.
    status(unsafe { Guard::held(base) }.set_signal_handler(number, handler as usize))
}

/// Puts the remembered handler back. 0 or -1.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evsig_restore_handler_(
    base: *mut EventBase,
    number: c_int,
) -> c_int {
    // SAFETY: the caller guarantees the base.
    status(unsafe { Guard::held(base) }.restore_signal_handler(number))
}

/// `struct eventop`: the operations of a backend, on a base.
#[repr(C)]
pub struct EventOperations {
    name: *const c_char,
    init: Option<unsafe extern "C-unwind" fn(*mut EventBase) -> *mut c_void>,
    add: Option<ChangeFn>,
    del: Option<ChangeFn>,
    dispatch: Option<unsafe extern "C-unwind" fn(*mut EventBase, *mut timeval) -> c_int>,
    dealloc: Option<unsafe extern "C-unwind" fn(*mut EventBase)>,
    need_reinit: c_int,
    features: c_int,
    fdinfo_len: usize,
}

const _: () = assert!(std::mem::size_of::<EventOperations>() == 64);

type ChangeFn =
    unsafe extern "C-unwind" fn(*mut EventBase, c_int, c_short, c_short, *mut c_void) -> c_int;

// SAFETY: constants.
unsafe impl Sync for EventOperations {}

/// Gives a base a fresh backend, which knows of no descriptor; null when the system refuses.
unsafe extern "C-unwind" fn init<const MECHANISM: usize>(base: *mut EventBase) -> *mut c_void {
    // SAFETY: the caller guarantees the base.
    let base = &mut *unsafe { Guard::held(base) };
    let options = Options {
        shared: !base.lock.is_none(),
        ..Options::default()
    };
    match Backend::new(Mechanism::ALL[MECHANISM], options) {
        Ok(backend) => {
            base.backend = backend;
            base.interest.forget_backend();
            addr_of_mut!(base.backend).cast()
        }
        Err(SystemError) => ptr::null_mut(),
    }
}

/// Updates the registration of a descriptor to what its events want now.
unsafe extern "C-unwind" fn change(
    base: *mut EventBase,
    fd: c_int,
    _old: c_short,
    _events: c_short,
    _place: *mut c_void,
) -> c_int {
    // SAFETY: the caller guarantees the base.
    let base = &mut *unsafe { Guard::held(base) };
    if base.interest.get(fd).is_none() {
        return -1;
    }
    status(base.backend.update(fd, &mut base.interest))
}

/// Accepts everything.
unsafe extern "C-unwind" fn ignore(
    _base: *mut EventBase,
    _fd: c_int,
    _old: c_short,
    _events: c_short,
    _place: *mut c_void,
) -> c_int {
    0
}

/// Waits once and makes events active. 0 or -1.
unsafe extern "C-unwind" fn dispatch(base: *mut EventBase, limit: *mut timeval) -> c_int {
    // SAFETY: the caller guarantees the base, and the limit or null.
    let (mut guard, limit) = unsafe { (Guard::held(base), limit.as_ref()) };
    let timeout = match limit {
        None => Timeout::Forever,
        Some(limit) => Timeout::Until(time::from_timeval(*limit), 0),
    };
    status(guard.wait(timeout))
}

/// Removes the backend of a base. Takes the lock.
unsafe extern "C-unwind" fn dealloc(base: *mut EventBase) {
    // SAFETY: the caller guarantees the base.
    unsafe { Guard::lock(base) }.backend = Backend::Closed;
}

const fn operations<const MECHANISM: usize>(fdinfo_len: usize) -> EventOperations {
    let mechanism = Mechanism::ALL[MECHANISM];
    EventOperations {
        name: mechanism.name().as_ptr(),
        init: Some(init::<MECHANISM>),
        add: Some(change),
        del: Some(change),
        dispatch: Some(dispatch),
        dealloc: Some(dealloc),
        need_reinit: 1,
        features: mechanism.features(),
        fdinfo_len,
    }
}

/// The operations of epoll.
#[unsafe(no_mangle)]
pub static epollops: EventOperations = operations::<0>(0);
/// The operations of poll.
#[unsafe(no_mangle)]
pub static pollops: EventOperations = operations::<1>(4);
/// The operations of select.
#[unsafe(no_mangle)]
pub static selectops: EventOperations = operations::<2>(0);
/// The operations of no backend: registrations may be removed, nothing else.
#[unsafe(no_mangle)]
pub static nil_eventop: EventOperations = EventOperations {
    name: c"nil".as_ptr(),
    init: None,
    add: None,
    del: Some(ignore),
    dispatch: None,
    dealloc: None,
    need_reinit: 0,
    features: 0,
    fdinfo_len: 0,
};
