//! event2/event.h, second part: configurations, bases and the loop.

use super::{EvutilSocket, status};
use crate::backend::{self, Mechanism};
use crate::base::config::{EventConfig, flag};
use crate::base::inspect::{EventForeachFn, counted};
use crate::base::run::{Outcome, loop_flag, request_exit};
use crate::base::{self, EventBase, Guard, create};
use crate::event::{Event, EventCallbackFn, kind};
use crate::timers::time;
use crate::util::clock;
use crate::{require, system, warning};
use libc::timeval;
use std::ffi::{CStr, c_char, c_int, c_short, c_uint, c_void};
use std::fmt;
use std::ptr;

/// Wait at most once, and return when no event is active any more.
pub const EVLOOP_ONCE: c_int = 0x01;
/// Do not wait; return when no event is ready.
pub const EVLOOP_NONBLOCK: c_int = 0x02;
/// Do not return because there are no events.
pub const EVLOOP_NO_EXIT_ON_EMPTY: c_int = 0x04;

/// Count active events and other queued callbacks.
pub const EVENT_BASE_COUNT_ACTIVE: c_uint = 1;
/// Count everything that keeps the loop running without being an event.
pub const EVENT_BASE_COUNT_VIRTUAL: c_uint = 2;
/// Count what events wait for: a descriptor or signal, a timeout, and a queued callback count one
/// each.
pub const EVENT_BASE_COUNT_ADDED: c_uint = 4;

/// An upper bound for the number of priorities; a base accepts at most one less.
pub const EVENT_MAX_PRIORITIES: c_int = 256;

/// What a backend can do; bits for event_config_require_features().
#[repr(C)]
#[allow(non_camel_case_types)]
pub enum EventMethodFeature {
    /// Edge-triggered events.
    EV_FEATURE_ET = 0x01,
    /// Adding, deleting and activating an event takes constant time.
    EV_FEATURE_O1 = 0x02,
    /// Any kind of descriptor works, including those of regular files.
    EV_FEATURE_FDS = 0x04,
    /// `EV_CLOSED` works.
    EV_FEATURE_EARLY_CLOSE = 0x08,
}

/// Bits for event_config_set_flag().
#[repr(C)]
#[allow(non_camel_case_types)]
pub enum EventBaseConfigFlag {
    /// Use no lock even if threads are set up: the base is used by one thread only.
    EVENT_BASE_FLAG_NOLOCK = 0x01,
    /// Ignore environment variables when choosing the backend.
    EVENT_BASE_FLAG_IGNORE_ENV = 0x02,
    /// For another operating system; has no effect here.
    EVENT_BASE_FLAG_STARTUP_IOCP = 0x04,
    /// Read the clock whenever the time is needed, instead of once per pass.
    EVENT_BASE_FLAG_NO_CACHE_TIME = 0x08,
    /// Collect changes and pass them to epoll just before it waits. Not for descriptors made with
    /// `dup()`.
    EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST = 0x10,
    /// Use a clock with microsecond precision instead of the cheapest one.
    EVENT_BASE_FLAG_PRECISE_TIMER = 0x20,
}

const _: () = {
    assert!(EVLOOP_ONCE == loop_flag::ONCE && EVLOOP_NONBLOCK == loop_flag::NONBLOCK);
    assert!(EVLOOP_NO_EXIT_ON_EMPTY == loop_flag::NO_EXIT_ON_EMPTY);
    assert!(EVENT_BASE_COUNT_ACTIVE == counted::ACTIVE);
    assert!(
        EVENT_BASE_COUNT_VIRTUAL == counted::VIRTUAL && EVENT_BASE_COUNT_ADDED == counted::ADDED
    );
    assert!(EVENT_MAX_PRIORITIES == create::MOST_PRIORITIES + 1);
    use EventBaseConfigFlag::*;
    assert!(EVENT_BASE_FLAG_NOLOCK as c_int == flag::NO_LOCK);
    assert!(EVENT_BASE_FLAG_IGNORE_ENV as c_int == flag::IGNORE_ENVIRONMENT);
    assert!(EVENT_BASE_FLAG_NO_CACHE_TIME as c_int == flag::NO_CACHE_TIME);
    assert!(EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST as c_int == flag::EPOLL_USE_CHANGELIST);
    assert!(EVENT_BASE_FLAG_PRECISE_TIMER as c_int == flag::PRECISE_TIMER);
    use EventMethodFeature::*;
    assert!(EV_FEATURE_ET as c_int == backend::FEATURE_EDGE_TRIGGERED);
    assert!(EV_FEATURE_O1 as c_int == backend::FEATURE_CONSTANT_TIME);
    assert!(EV_FEATURE_FDS as c_int == backend::FEATURE_ANY_DESCRIPTOR);
    assert!(EV_FEATURE_EARLY_CLOSE as c_int == backend::FEATURE_EARLY_CLOSE);
};

/// Makes a configuration with default values.
///
/// Returns it, to be freed with event_config_free(), or NULL if there is no memory. A configuration
/// may be used by one thread at a time.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_config_new() -> *mut EventConfig {
    EventConfig::allocate().unwrap_or(ptr::null_mut())
}

/// Frees a configuration; bases made with it are not affected. NULL is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_config_free(config: *mut EventConfig) {
    if !config.is_null() {
        // SAFETY: the caller hands the configuration over.
        unsafe { EventConfig::free(config) };
    }
}

/// Excludes a backend: "epoll", "poll" or "select"; other names have no effect.
///
/// Returns 0, or -1 if `config` is NULL or there is no memory.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_config_avoid_method(
    config: *mut EventConfig,
    method: *const c_char,
) -> c_int {
    // SAFETY: the caller guarantees both, or null.
    unsafe {
        match config.as_mut() {
            Some(config) if !method.is_null() => status(config.avoid(CStr::from_ptr(method))),
            _ => -1,
        }
    }
}

/// Requires features of the backend, as `EV_FEATURE_*` bits, replacing those required before.
///
/// Returns 0, or -1 if `config` is NULL. If no backend has the features, making the base fails.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_config_require_features(
    config: *mut EventConfig,
    features: c_int,
) -> c_int {
    // SAFETY: the caller guarantees the configuration, or null.
    configured(unsafe { config.as_mut() }, |config| {
        config.required_features = features
    })
}

/// Adds `EVENT_BASE_FLAG_*` bits. Returns 0, or -1 if `config` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_config_set_flag(
    config: *mut EventConfig,
    flags: c_int,
) -> c_int {
    // SAFETY: the caller guarantees the configuration, or null.
    configured(unsafe { config.as_mut() }, |config| config.flags |= flags)
}

/// For another operating system: has no effect here. Returns 0, or -1 if `config` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_config_set_num_cpus_hint(
    config: *mut EventConfig,
    cpus: c_int,
) -> c_int {
    let _ = cpus;
    // SAFETY: the caller guarantees the configuration, or null.
    configured(unsafe { config.as_mut() }, |_| ())
}

/// Limits how long callbacks run before the loop looks for more urgent events again.
///
/// The limit is the time `max_interval`, unless NULL, and the number `max_callbacks`, unless
/// negative. It applies to priorities from `min_priority` on; more urgent callbacks are not
/// limited. Returns 0, or -1 if `config` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_config_set_max_dispatch_interval(
    config: *mut EventConfig,
    max_interval: *const timeval,
    max_callbacks: c_int,
    min_priority: c_int,
) -> c_int {
    // SAFETY: the caller guarantees both, or null.
    let (config, interval) = unsafe { (config.as_mut(), max_interval.as_ref()) };
    configured(config, |config| {
        config.max_dispatch_interval = interval.copied().map(time::from_timeval);
        config.max_dispatch_callbacks = if max_callbacks < 0 {
            c_int::MAX
        } else {
            max_callbacks
        };
        config.limited_priority = min_priority.max(0);
    })
}

fn configured(config: Option<&mut EventConfig>, change: impl FnOnce(&mut EventConfig)) -> c_int {
    config.map_or(-1, |config| {
        change(config);
        0
    })
}

/// Makes a base with the default configuration; see event_base_new_with_config().
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_base_new() -> *mut EventBase {
    create::new(&EventConfig::DEFAULT)
}

/// Makes a base; NULL stands for the default configuration. The configuration is not needed
/// afterwards.
///
/// Environment variables may exclude backends (`EVENT_NOEPOLL`, `EVENT_NOPOLL`, `EVENT_NOSELECT`)
/// unless the configuration ignores them. Returns the base, to be freed with event_base_free(); or
/// NULL, with a warning, if no backend is suitable, or memory or descriptors are short.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_base_new_with_config(
    config: *const EventConfig,
) -> *mut EventBase {
    // SAFETY: the caller guarantees the configuration, or null.
    create::new(unsafe { config.as_ref() }.unwrap_or(&EventConfig::DEFAULT))
}

/// Frees a base; NULL stands for the one of event_init().
///
/// Its events are deleted without calling their callbacks, but still belong to the program, which
/// frees them. Finalizers that are waiting are called. Descriptors are not closed, and signal
/// handlers are restored. No loop may be running, and no other thread may use the base.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_base_free(base: *mut EventBase) {
    // SAFETY: the caller hands the base over.
    unsafe { free(base, true) };
}

/// event_base_free() that drops waiting finalizers instead of calling them.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_base_free_nofinalize(base: *mut EventBase) {
    // SAFETY: the caller hands the base over.
    unsafe { free(base, false) };
}

/// # Safety
/// The base is handed over.
unsafe fn free(base: *mut EventBase, finalize: bool) {
    let base = base::or_current(base);
    if base.is_null() {
        warning!("event_base_free_: no base to free");
        return;
    }
    // SAFETY: the caller hands the base over.
    unsafe { create::free(base, finalize) };
}

/// The base's lock; `None` for null.
///
/// # Safety
/// The base is live or null.
pub(super) unsafe fn lock(base: *mut EventBase) -> Option<Guard> {
    // SAFETY: the caller guarantees the base.
    (!base.is_null()).then(|| unsafe { Guard::lock(base) })
}

/// Makes a base usable in a child process after `fork()`.
///
/// The child gets kernel objects of its own; events, timeouts and a running loop are kept. Without
/// this call, changes in the child affect the parent. Returns 0, or -1 if a descriptor could not be
/// registered again or a system call failed.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_reinit(base: *mut EventBase) -> c_int {
    // SAFETY: the caller guarantees the base.
    unsafe { lock(base) }.map_or(-1, |mut guard| status(guard.reinitialise()))
}

/// The name of a base's backend, such as "epoll". Takes no lock.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_base_get_method(base: *const EventBase) -> *const c_char {
    require!(
        !base.is_null(),
        "Assertion base failed in event_base_get_method"
    );
    // SAFETY: the caller guarantees the base, whose backend does not change.
    unsafe { (*base).backend.name().as_ptr() }
}

/// The features of a base's backend, as `EV_FEATURE_*` bits. Takes no lock.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_base_get_features(base: *const EventBase) -> c_int {
    // SAFETY: the caller guarantees the base, whose backend does not change.
    let mechanism = unsafe { base.as_ref() }.and_then(|base| base.backend.mechanism());
    mechanism.map_or(0, Mechanism::features)
}

/// The names of all backends: an array that ends with NULL and belongs to the library.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_get_supported_methods() -> *mut *const c_char {
    struct Names([*const c_char; Mechanism::ALL.len() + 1]);
    // SAFETY: the names are constants.
    unsafe impl Sync for Names {}
    static NAMES: Names = Names([
        Mechanism::ALL[0].name().as_ptr(),
        Mechanism::ALL[1].name().as_ptr(),
        Mechanism::ALL[2].name().as_ptr(),
        ptr::null(),
    ]);
    NAMES.0.as_ptr().cast_mut()
}

/// Runs the loop until there is nothing left to wait for or it is told to end; see
/// event_base_loop().
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_base_dispatch(base: *mut EventBase) -> c_int {
    // SAFETY: the caller guarantees the base.
    unsafe { event_base_loop(base, 0) }
}

/// Waits for events and calls their callbacks, in passes; `flags` are `EVLOOP_*` bits.
///
/// In each pass, the callbacks of the most urgent priority that has active ones are called, in the
/// order in which they became active; then the loop looks for new events. Only one loop may run on
/// a base at a time. Returns 0 if it was told to end (by event_base_loopexit(),
/// event_base_loopbreak() or `flags`), 1 if there was nothing left to wait for, or -1 on an error.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_base_loop(base: *mut EventBase, flags: c_int) -> c_int {
    // SAFETY: the caller guarantees the base.
    match unsafe { lock(base) }.map(|mut guard| guard.run_loop(flags)) {
        Some(Ok(Outcome::Stopped)) => 0,
        Some(Ok(Outcome::Empty)) => 1,
        Some(Err(_)) | None => -1,
    }
}

/// Ends the loop after `timeout`, or, if that is NULL, as soon as the active callbacks have run.
///
/// Also works before the loop runs: a loop with nothing else to do then ends at once. Returns 0, or
/// -1 if `base` is NULL or there is no memory. May be called from any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_base_loopexit(
    base: *mut EventBase,
    timeout: *const timeval,
) -> c_int {
    // SAFETY: the caller guarantees the base and the duration, or null.
    unsafe {
        event_base_once(
            base,
            -1,
            EV_TIMEOUT,
            Some(request_exit),
            base.cast(),
            timeout,
        )
    }
}

const EV_TIMEOUT: c_short = kind::TIMEOUT;

/// Ends the running loop after the current callback. Other active events stay active.
///
/// Has no effect on a loop that starts later. Returns 0, or -1 if `base` is NULL or a loop in
/// another thread could not be woken. May be called from any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_base_loopbreak(base: *mut EventBase) -> c_int {
    // SAFETY: the caller guarantees the base.
    unsafe { lock(base) }.map_or(-1, |mut guard| {
        guard.run.break_requested = true;
        status(guard.interrupt())
    })
}

/// Makes the running loop look for events after the current callback, before it calls others.
///
/// Returns 0, or -1 if `base` is NULL or a loop in another thread could not be woken. May be called
/// from any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_base_loopcontinue(base: *mut EventBase) -> c_int {
    // SAFETY: the caller guarantees the base.
    unsafe { lock(base) }.map_or(-1, |mut guard| {
        guard.run.continue_requested = true;
        status(guard.interrupt())
    })
}

/// Whether event_base_loopexit() ended the loop, or will. Cleared when a loop starts.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_base_got_exit(base: *mut EventBase) -> c_int {
    // SAFETY: the caller guarantees the base.
    unsafe { lock(base) }
        .is_some_and(|guard| guard.run.exit_requested)
        .into()
}

/// Whether event_base_loopbreak() ended the loop, or will. Cleared when a loop starts.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_base_got_break(base: *mut EventBase) -> c_int {
    // SAFETY: the caller guarantees the base.
    unsafe { lock(base) }
        .is_some_and(|guard| guard.run.break_requested)
        .into()
}

/// Calls a callback once, without an event that the program has to manage.
///
/// `events` are `EV_READ`, `EV_WRITE` and `EV_CLOSED` for a descriptor, or `EV_TIMEOUT` alone; in
/// the latter case the callback becomes active at once if `timeout` is NULL or `{0, 0}`. Returns 0,
/// or -1 if `events` has other bits, `base` is NULL, there is no memory, or the system refuses the
/// descriptor. May be called from any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_base_once(
    base: *mut EventBase,
    fd: EvutilSocket,
    events: c_short,
    callback: Option<EventCallbackFn>,
    arg: *mut c_void,
    timeout: *const timeval,
) -> c_int {
    let refused = events & (kind::SIGNAL | kind::PERSIST) != 0;
    let possible = events & (kind::TIMEOUT | kind::IO) != 0;
    // SAFETY: the caller guarantees the base and the duration, or null.
    match (unsafe { lock(base) }, callback) {
        (Some(mut guard), Some(callback)) if possible && !refused => {
            // SAFETY: as above.
            let timeout = unsafe { timeout.as_ref() }.copied();
            status(guard.once(fd, events, callback, arg, timeout))
        }
        _ => -1,
    }
}

/// The event whose callback is running; NULL outside of callbacks and in threads other than the
/// loop's. A callback that has freed its event still gets the address.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_base_get_running_event(base: *mut EventBase) -> *mut Event {
    // SAFETY: the caller guarantees the base.
    unsafe { lock(base) }
        .and_then(|guard| guard.running_event())
        .unwrap_or(ptr::null_mut())
}

/// Gives a base priorities from 0, the most urgent, to `npriorities` - 1.
///
/// Events made later get the middle one, so this is best called before events are made. Returns 0,
/// or -1 if the number is not from 1 to 255, an event is active, or there is no memory. Not
/// thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_base_priority_init(
    base: *mut EventBase,
    npriorities: c_int,
) -> c_int {
    // SAFETY: the caller guarantees the base.
    unsafe { lock(base) }.map_or(-1, |mut guard| status(guard.set_priorities(npriorities)))
}

/// The number of priorities of a base; NULL stands for the one of event_init().
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_base_get_npriorities(base: *mut EventBase) -> c_int {
    // SAFETY: the caller guarantees the base.
    unsafe { lock(base::or_current(base)) }.map_or(0, |guard| guard.run.priorities)
}

/// Prepares a duration that many timeouts of a base share, so that adding and deleting them takes
/// constant time.
///
/// Returns a value to pass to event_add() instead of `duration`; it belongs to the base and is
/// always the same for the same duration. Returns NULL, with a warning, if the base has 256 already
/// or there is no memory.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_base_init_common_timeout(
    base: *mut EventBase,
    duration: *const timeval,
) -> *const timeval {
    // SAFETY: the caller guarantees the base and the duration, or null.
    let (guard, duration) = unsafe { (lock(base), duration.as_ref().copied()) };
    let marked = guard
        .zip(duration)
        .and_then(|(mut guard, time)| guard.common_timeout(time));
    marked.map_or(ptr::null(), |marked| marked.as_ptr().cast_const())
}

/// The current number of what the `EVENT_BASE_COUNT_*` bits in `types` select, summed up.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_base_get_num_events(
    base: *mut EventBase,
    types: c_uint,
) -> c_int {
    // SAFETY: the caller guarantees the base.
    unsafe { lock(base) }.map_or(0, |mut guard| guard.number_of_events(types))
}

/// The highest number so far of what the `EVENT_BASE_COUNT_*` bits in `types` select, summed up.
/// With `clear`, the maximums are reset to 0.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_base_get_max_events(
    base: *mut EventBase,
    types: c_uint,
    clear: c_int,
) -> c_int {
    // SAFETY: the caller guarantees the base.
    unsafe { lock(base) }.map_or(0, |mut guard| guard.most_events(types, clear != 0))
}

/// Calls `callback` for every event that is pending or active, including the library's own.
///
/// The base is locked during the calls, and the callback must not change anything. If it returns a
/// value other than 0, the enumeration ends with that result. Returns 0 at the end, or -1 if an
/// argument is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_base_foreach_event(
    base: *mut EventBase,
    callback: Option<EventForeachFn>,
    arg: *mut c_void,
) -> c_int {
    // SAFETY: the caller guarantees the base.
    match (unsafe { lock(base) }, callback) {
        (Some(mut guard), Some(callback)) => {
            // SAFETY: the program gave the function for this call.
            guard.for_each_event(|event| unsafe { callback(base, event.as_ptr(), arg) })
        }
        _ => -1,
    }
}

/// Writes a line for every pending and every active event to a stream, in a form for people to
/// read.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_base_dump_events(base: *mut EventBase, out: *mut libc::FILE) {
    struct Stream(*mut libc::FILE);
    impl fmt::Write for Stream {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            // SAFETY: the caller guarantees the stream; the text is valid for the call.
            let count = unsafe { system::fwrite(text.as_ptr().cast(), 1, text.len(), self.0) };
            if count == text.len() {
                Ok(())
            } else {
                Err(fmt::Error)
            }
        }
    }
    // SAFETY: the caller guarantees the base.
    if let Some(mut guard) = unsafe { lock(base) } {
        // The stream remembers its error; there is nobody else to tell.
        let _ = guard.dump(&mut Stream(out));
    }
}

/// Makes the events on a descriptor that wait for one of `events` active, as if it were ready.
///
/// With `EV_TIMEOUT`, it instead makes every event with this descriptor that has a timeout active,
/// with `EV_TIMEOUT`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_base_active_by_fd(
    base: *mut EventBase,
    fd: EvutilSocket,
    events: c_short,
) {
    // SAFETY: the caller guarantees the base.
    if let Some(mut guard) = unsafe { lock(base) } {
        guard.activate_by_fd(fd, events);
    }
}

/// Makes the events for a signal active as if it had been delivered once.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_base_active_by_signal(
    base: *mut EventBase,
    signal_number: c_int,
) {
    // SAFETY: the caller guarantees the base.
    if let Some(mut guard) = unsafe { lock(base) } {
        guard.activate_signal(signal_number, 1);
    }
}

/// The time of day as read once per pass, so it stays the same within a callback. NULL stands for
/// the base of event_init(). Stores it in `*now` and returns 0, or -1 if `now` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_base_gettimeofday_cached(
    base: *mut EventBase,
    now: *mut timeval,
) -> c_int {
    // SAFETY: the caller guarantees the base, and the place unless it is null.
    let (guard, now) = unsafe { (lock(base::or_current(base)), now.as_mut()) };
    let Some(now) = now else {
        return -1;
    };
    match guard {
        Some(mut guard) => guard.time.wall_clock(now),
        None => *now = clock::time_of_day(),
    }
    0
}

fn store_time(place: *mut timeval, value: timeval) -> c_int {
    if place.is_null() {
        return -1;
    }
    // SAFETY: the caller of the interface guarantees the place.
    unsafe { place.write(value) };
    0
}

/// Updates the cached time, for use in a callback that takes long. NULL stands for the base of
/// event_init(). Returns 0, or -1 if there is no base.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_base_update_cache_time(base: *mut EventBase) -> c_int {
    // SAFETY: the caller guarantees the base.
    unsafe { lock(base::or_current(base)) }.map_or(-1, |mut guard| {
        if guard.run.running {
            guard.time.update_cache();
        }
        0
    })
}

/// The current time of the clock that a base measures timeouts with. Stores it in `*now` and
/// returns 0, or -1 if an argument is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn event_gettime_monotonic(
    base: *mut EventBase,
    now: *mut timeval,
) -> c_int {
    // SAFETY: the caller guarantees the base.
    unsafe { lock(base) }.map_or(-1, |mut guard| {
        store_time(now, time::to_timeval(guard.time.read()))
    })
}
