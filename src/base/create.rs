//! Making and freeing a base.

use super::active::MORE_QUEUES;
use super::config::{EventConfig, flag};
use super::{
    BaseBlock, DispatchLimits, EventBase, Guard, Loop, current, event_global_current_base_, live,
    once,
};
use crate::backend::{Backend, Mechanism, Options};
use crate::event::{ActiveLinks, CallbackPtr, Closure, debug, state};
use crate::hooks::log::{self, Severity};
use crate::hooks::memory::{self, OutOfMemory, SpareBlock};
use crate::hooks::panic;
use crate::hooks::threads::{self, Condition, Lock};
use crate::interest::Interest;
use crate::list::TailQueue;
use crate::signals::Signals;
use crate::timers::time::BaseTime;
use crate::timers::{Timers, common};
use crate::util::SystemError;
use crate::util::{clock, environment};
use crate::warning;
use std::ffi::{CStr, c_int, c_uint};
use std::mem::size_of;
use std::ptr::{self, addr_of_mut};
use std::sync::atomic::Ordering::Relaxed;

/// The lock of a base is not recursive.
const LOCK_KIND: c_uint = 0;
/// More priorities than this cannot be asked for.
pub const MOST_PRIORITIES: c_int = 255;

/// A new base as `config` asks for it; null, with a warning, if there can be none.
pub fn new(config: &EventConfig) -> *mut EventBase {
    panic::install();
    debug::note_base_created();
    let variables_count = config.flags & flag::IGNORE_ENVIRONMENT == 0;
    let set = |name| variables_count && environment::is_set(name);
    let precise = config.flags & flag::PRECISE_TIMER != 0 || set(c"EVENT_PRECISE_TIMER");
    let locked = threads::locking_enabled() && config.flags & flag::NO_LOCK == 0;
    let changelist =
        config.flags & flag::EPOLL_USE_CHANGELIST != 0 || set(c"EVENT_EPOLL_USE_CHANGELIST");
    let options = Options {
        changelist,
        precise,
        shared: locked,
    };
    let Some(backend) = choose_backend(config, options, set) else {
        warning!("event_base_new_with_config: no event mechanism available");
        return ptr::null_mut();
    };
    // Even where the environment is to be ignored: it changes nothing but the log.
    if environment::is_set(c"EVENT_SHOW_METHOD") {
        let name = backend.name().to_str().unwrap_or_default();
        log::message(Severity::Message, format_args!("libevent using: {name}"));
    }
    let clock_flags = if precise { clock::PRECISE } else { 0 };
    let time = BaseTime::new(clock_flags, config.flags & flag::NO_CACHE_TIME == 0);
    let Ok(base) = allocate(config, backend, time) else {
        warning!("event_base_new_with_config: out of memory");
        return ptr::null_mut();
    };
    // SAFETY: the base was just made and nobody else knows it.
    unsafe {
        if let Err(problem) = finish(base, locked) {
            warning!("event_base_new_with_config: {problem}");
            free(base, true);
            return ptr::null_mut();
        }
    }
    base
}

fn choose_backend(
    config: &EventConfig,
    options: Options,
    set: impl Fn(&'static CStr) -> bool,
) -> Option<Backend> {
    let wanted = config.required_features;
    Mechanism::ALL
        .into_iter()
        .filter(|mechanism| mechanism.features() & wanted == wanted)
        .filter(|mechanism| !config.avoids(*mechanism) && !set(mechanism.disabling_variable()))
        .find_map(|mechanism| Backend::new(mechanism, options).ok())
}

fn allocate(
    config: &EventConfig,
    backend: Backend,
    time: BaseTime,
) -> Result<*mut EventBase, OutOfMemory> {
    let block = memory::allocate_zeroed::<BaseBlock>()?.as_ptr();
    let base: *mut EventBase = block.cast();
    let unlimited =
        config.max_dispatch_interval.is_none() && config.max_dispatch_callbacks == c_int::MAX;
    let limits = DispatchLimits {
        interval: config.max_dispatch_interval,
        callbacks: config.max_dispatch_callbacks,
        min_priority: if unlimited {
            c_int::MAX
        } else {
            config.limited_priority
        },
    };
    // SAFETY: the block is new; the fields that are not written here are valid as zeros.
    unsafe {
        addr_of_mut!((*base).run).write(Loop::new(limits));
        addr_of_mut!((*base).signals).write(Signals::new());
        addr_of_mut!((*base).lock).write(Lock::NONE);
        addr_of_mut!((*base).callback_ended).write(Condition::NONE);
        addr_of_mut!((*base).wake_fds).write([-1, -1]);
        addr_of_mut!((*base).wake_event).write(None);
        addr_of_mut!((*base).backend).write(backend);
        addr_of_mut!((*base).interest).write(Interest::new());
        addr_of_mut!((*base).timers).write(Timers::new());
        addr_of_mut!((*base).time).write(time);
        addr_of_mut!((*base).once).write(once::OnceList::EMPTY);
        addr_of_mut!((*block).spare).write(SpareBlock::new());
    }
    Ok(base)
}

impl Loop {
    fn new(limits: DispatchLimits) -> Loop {
        Loop {
            queues: ptr::null_mut(),
            priorities: 0,
            running_priority: -1,
            running_queue: ptr::null_mut(),
            current: None,
            current_event: None,
            invocation: 0,
            calls_left: 0,
            running: false,
            exit_requested: false,
            break_requested: false,
            continue_requested: false,
            spurious: false,
            has_run: false,
            deferred: 0,
            active: Default::default(),
            virtual_events: Default::default(),
            pending: Default::default(),
            limits,
        }
    }
}

/// What needs the base to exist: its queues, its lock, its wake-up descriptor.
///
/// # Safety
/// The caller owns the new base.
unsafe fn finish(base: *mut EventBase, locked: bool) -> Result<(), &'static str> {
    // SAFETY: the caller owns the base.
    unsafe {
        live::enter(base)
            .and_then(|()| (*base).make_queues(1))
            .map_err(|OutOfMemory| "out of memory")?;
        if !locked {
            return Ok(());
        }
        (*base).lock = Lock::allocate(LOCK_KIND).map_err(|OutOfMemory| "cannot make a lock")?;
        (*base).callback_ended =
            Condition::allocate().map_err(|OutOfMemory| "cannot make a condition")?;
        Guard::lock(base)
            .make_notifiable()
            .map_err(|_| "Unable to make base notifiable.")
    }
}

impl EventBase {
    /// Gives the base another number of priorities. SystemError while anything is queued.
    pub(crate) fn set_priorities(&mut self, count: c_int) -> Result<(), SystemError> {
        if self.run.active.now > 0 || !(1..=MOST_PRIORITIES).contains(&count) {
            return Err(SystemError);
        }
        if count != self.run.priorities {
            self.make_queues(count)?;
        }
        Ok(())
    }

    fn make_queues(&mut self, count: c_int) -> Result<(), OutOfMemory> {
        let heads = count as usize + MORE_QUEUES;
        let queues: *mut TailQueue<ActiveLinks> =
            memory::calloc(heads, size_of::<TailQueue<ActiveLinks>>()).cast();
        if queues.is_null() {
            return Err(OutOfMemory);
        }
        for index in 0..heads {
            // SAFETY: the block has that many heads and does not move.
            unsafe { TailQueue::initialise(queues.add(index)) };
        }
        // SAFETY: the old queues are empty, or there were none.
        unsafe { memory::free(self.run.queues.cast()) };
        self.run.queues = queues;
        self.run.priorities = count;
        // A callback may ask for it while the loop runs.
        if let Ok(priority) = u8::try_from(self.run.running_priority) {
            self.run.running_queue = self.queue(priority);
        }
        Ok(())
    }
}

/// Frees a base. Its events are deleted but stay the program's; finalizers that wait are run if
/// `finalize`.
///
/// # Safety
/// `base` is a live base; no loop and no other thread uses it.
pub unsafe fn free(base: *mut EventBase, finalize: bool) {
    // SAFETY: the caller hands the base over. The lock is not taken: the base is the caller's
    // alone, and a finalizer may look at it.
    unsafe {
        let mut guard = Guard::exclusive(base);
        // Closing the mechanism ends its registrations at once; in a child process they are the
        // parent's as well and must not be removed one by one.
        guard.backend = Backend::Closed;
        guard.stop_waking();
        if !guard.run.queues.is_null() {
            delete_everything(&mut guard, finalize);
        }
        // What finalizers do may need the base, and be meant for the current one.
        if current() == base {
            event_global_current_base_.store(ptr::null_mut(), Relaxed);
        }
        live::leave(base);
        guard.free_once_events();
        guard.free_signals();
        guard.interest.free();
        guard.timers.common.free();
        memory::free(guard.run.queues.cast());
        super::internal::discard(&mut guard.wake_event);
        let (lock, condition) = (guard.lock, guard.callback_ended);
        lock.free(LOCK_KIND);
        condition.free();
        ptr::drop_in_place(base.cast::<BaseBlock>());
        memory::free(base.cast());
    }
}

/// Deletes events and runs finalizers until neither is left: a finalizer may add events and queue
/// other finalizers. One look at everything serves all that have run, however many those are.
fn delete_everything(guard: &mut Guard, finalize: bool) {
    guard.delete_events();
    while guard.empty_queues(finalize) {
        guard.delete_events();
    }
}

impl Guard {
    /// Takes out all that is queued, runs the finalizers, and has callbacks let go of what they
    /// hold; whether there were any.
    fn empty_queues(&mut self, finalize: bool) -> bool {
        let mut ran = false;
        while let Some(entry) = self.any_queued() {
            self.dequeue(entry);
            if !entry.has(state::FINALIZING) {
                if finalize && entry.closure() == Closure::HoldingCallback {
                    self.release_unrun(entry);
                    ran = true;
                }
                continue;
            }
            if finalize {
                self.run_finalizer(entry);
                ran = true;
            } else if let Some(event) = entry.event() {
                debug::note_teardown(event);
            }
        }
        ran
    }
}

impl EventBase {
    fn delete_events(&mut self) {
        self.delete_registered_events();
        self.delete_timers();
    }

    /// Deletes every event on a descriptor or signal.
    pub(crate) fn delete_registered_events(&mut self) {
        // Deleting an event that is inserted or has a deadline always succeeds in taking it out of
        // the list where it was found; finalizing events are in none of them.
        let mut from = 0;
        while let Some(fd) = self.interest.next_watched(from) {
            while let Some(event) = self.interest.slot(fd).first() {
                let _ = self.remove_event(event);
            }
            from = fd + 1;
        }
        while let Some(event) = self.signals.any_event() {
            let _ = self.remove_event(event);
        }
    }

    /// Deletes every event with a deadline: list after list, then those in the heap from its end,
    /// where none has to take the place of another.
    fn delete_timers(&mut self) {
        for index in 0.. {
            let Some(list) = self.timers.common.iter().nth(index) else {
                break;
            };
            // SAFETY: lists live as long as the base, and events in them are live.
            while let Some(event) = unsafe { common::first(list) } {
                let _ = self.remove_event(event);
            }
        }
        while let Some(event) = self.timers.heap.last() {
            let _ = self.remove_event(event);
        }
    }

    fn any_queued(&mut self) -> Option<CallbackPtr> {
        (0..self.queues()).find_map(|index| {
            // SAFETY: the base has this queue; queued entries are live.
            unsafe { CallbackPtr::new(TailQueue::first(self.run.queues.add(index as usize))) }
        })
    }
}
