//! Filters: bufferevents that transform the data to and from another one, the one below.
//!
//! A filter holds a reference to the one below, uses its callbacks, and shares its lock.

use super::abi::{
    BuffereventFilterFn, BuffereventFilterResult, BuffereventFlushMode, FilterResultValue,
    FlushModeValue,
};
use super::lifetime::{self, CLOSE_ON_FREE, DEFER_CALLBACKS};
use super::operations::{Operations, Request, RequestData};
use super::{Bufferevent, BuffereventPtr, Direction, Guard, suspension};
use crate::base::deferred;
use crate::buffer::abi::{EVBUFFER_CB_ENABLED, EvbufferCallbackInfo};
use crate::buffer::callbacks::Function;
use crate::buffer::{Evbuffer, Guard as BufferGuard};
use crate::event::{EventCallback, kind, state};
use crate::hooks::memory::OutOfMemory;
use crate::hooks::threads::Lock;
use crate::util::status;
use crate::warning;
use std::cell::{Cell, UnsafeCell};
use std::ffi::{c_int, c_short, c_uint, c_void};

/// The table of filters.
#[unsafe(no_mangle)]
pub static bufferevent_ops_filter: Operations = Operations {
    name: c"filter".as_ptr(),
    offset: 0,
    enable,
    disable,
    unlink: Some(unlink),
    destruct: Some(destruct),
    adjust_timeouts: Some(adjust_timeouts),
    flush: Some(flush),
    control: Some(control),
};

/// Frees the argument of a filter's functions.
pub type FreeContextFn = unsafe extern "C-unwind" fn(*mut c_void);

const OK: FilterResultValue = BuffereventFilterResult::BEV_OK as FilterResultValue;
const NORMAL: FlushModeValue = BuffereventFlushMode::BEV_NORMAL as FlushModeValue;

#[repr(C)]
struct Filter {
    common: Bufferevent,
    below: Cell<*mut Bufferevent>,
    input_filter: Cell<Option<BuffereventFilterFn>>,
    output_filter: Cell<Option<BuffereventFilterFn>>,
    free_context: Cell<Option<FreeContextFn>>,
    context: Cell<*mut c_void>,
    /// The output is being processed: what the write callback appends is not processed inside.
    writing: Cell<bool>,
    /// For each direction: how much of what is there its function has seen when it asked for more.
    seen: [Cell<usize>; 2],
    /// Processes from the loop what became possible without anything new coming or going. Holds a
    /// reference while it is queued.
    pass: UnsafeCell<EventCallback>,
}

/// A filter that is kept alive, and whose lock is held.
#[derive(Clone, Copy)]
struct FilterPtr(BuffereventPtr);

/// The result of calling the function for one direction as often as is useful.
#[derive(Default)]
struct Pass {
    /// It ever moved anything.
    moved: bool,
    /// It has not asked for more data, and may be called again when something is there.
    willing: bool,
}

/// What a filter is made of.
pub struct Parts {
    /// Changes what comes in; none passes it on.
    pub input: Option<BuffereventFilterFn>,
    /// Changes what goes out.
    pub output: Option<BuffereventFilterFn>,
    /// The argument of both, and what frees it.
    pub context: *mut c_void,
    #[allow(missing_docs)]
    pub free_context: Option<FreeContextFn>,
}

/// Makes a filter on another bufferevent. The caller has a guard of that one.
pub fn create(below: BuffereventPtr, parts: Parts, options: c_int) -> Option<*mut Bufferevent> {
    let own_options = options & !lifetime::THREADSAFE;
    // SAFETY: the base of the one below is live; zero bytes are a valid filter.
    let block = unsafe {
        lifetime::create::<Filter>(below.base.get(), &bufferevent_ops_filter, own_options)
    }?;
    let filter = FilterPtr(BuffereventPtr(block.cast()));
    filter.0.add_options(options);
    if filter.set_up(below, options).is_err() {
        // SAFETY: nobody has seen it yet.
        unsafe { filter.0.discard() };
        return None;
    }
    // SAFETY: the one below is live. It may just have got the lock.
    let _locked = unsafe { Guard::new(below.as_ptr()) };
    let this = filter.get();
    this.below.set(below.as_ptr());
    this.input_filter.set(parts.input);
    this.output_filter.set(parts.output);
    this.context.set(parts.context);
    this.free_context.set(parts.free_context);
    filter.take_over(below);
    Some(filter.0.as_ptr())
}

impl FilterPtr {
    fn get(&self) -> &Filter {
        // SAFETY: a live filter, whose fields are cells.
        unsafe { &*self.0.as_ptr().cast::<Filter>() }
    }

    fn below(self) -> Option<BuffereventPtr> {
        // SAFETY: the filter's reference keeps it alive.
        unsafe { BuffereventPtr::new(self.get().below.get()) }
    }

    /// The steps of construction that may fail.
    fn set_up(self, below: BuffereventPtr, options: c_int) -> Result<(), OutOfMemory> {
        self.0.make_events_timers();
        let argument: *mut c_void = self.0.as_ptr().cast();
        // SAFETY: the entry is part of new memory; the base is live.
        unsafe {
            let priority = (*self.0.deferred.get()).evcb_pri;
            deferred::initialise_holding(self.get().pass.get(), priority, run_pass, argument);
        }
        // SAFETY: the buffer lives as long as the bufferevent.
        let input = unsafe { BufferGuard::new(self.0.input.get()) };
        let changed = Function::Current(Some(input_changed));
        input.add_callback(changed, argument, EVBUFFER_CB_ENABLED)?;
        // Before there is a lock.
        drop(input);
        if options & lifetime::THREADSAFE != 0 && below.lock().is_none() {
            below.enable_locking(Lock::NONE).map_err(|_| OutOfMemory)?;
        }
        if !below.lock().is_none() {
            self.0
                .enable_locking(below.lock())
                .map_err(|_| OutOfMemory)?;
        }
        Ok(())
    }

    /// Takes over the callbacks of the one below.
    fn take_over(self, below: BuffereventPtr) {
        let argument = self.0.as_ptr().cast();
        below.set_callbacks(
            Some(readable_below),
            Some(writable_below),
            Some(event_below),
            argument,
        );
        below.add_reference();
        // A refusal was logged.
        let _ = below.enable(kind::READ | kind::WRITE);
        below.suspend(Direction::Read, suspension::FILTER_READ);
    }

    /// Whether the one below is still wired to this filter.
    fn is_wired_to(self, below: BuffereventPtr) -> bool {
        std::ptr::eq(below.argument.get(), self.0.as_ptr().cast())
            && below.read_callback.get().is_some_and(|callback| {
                std::ptr::fn_addr_eq(callback, readable_below as super::abi::BuffereventDataFn)
            })
    }

    /// Makes the loop process what waits, if it can.
    fn schedule_pass_if_useful(self) {
        let useful = |direction| self.0.is_running(direction) && self.has_news(direction);
        if !Direction::ALL.into_iter().any(useful) {
            return;
        }
        // SAFETY: the base outlives its bufferevents; the reference keeps the entry alive.
        if unsafe { deferred::schedule(self.0.base.get(), self.get().pass.get()) } {
            self.0.add_reference();
        }
    }

    /// Bytes that the one below may still be given; `None` is any number.
    fn room_below(self) -> Option<usize> {
        let below = self.below()?;
        let high = below.marks(Direction::Write).high;
        (high != 0).then(|| high.saturating_sub(below.length(Direction::Write)))
    }

    /// Calls the function for one direction as often as is useful. Code of the program runs; the
    /// caller has a guard.
    fn process(self, direction: Direction, mode: FlushModeValue) -> Pass {
        if mode == NORMAL && !self.is_open(direction) {
            return Pass::default();
        }
        let pass = self.call_function(direction, mode);
        let left = self.pending(direction);
        self.get().seen[direction as usize].set(if pass.willing { 0 } else { left });
        pass
    }

    fn call_function(self, direction: Direction, mode: FlushModeValue) -> Pass {
        let mut pass = Pass::default();
        let Some(below) = self.below() else {
            return pass;
        };
        let (source, target) = match direction {
            Direction::Read => (below.input.get(), self.0.input.get()),
            Direction::Write => (self.0.output.get(), below.output.get()),
        };
        // SAFETY: all four buffers live as long as the filter, which holds the one below.
        let lengths = || unsafe { ((*source).length(), (*target).length()) };
        // Input is only ever processed on a request, and without any the function is asked once.
        if mode == NORMAL && direction == Direction::Write && self.pending(direction) == 0 {
            return pass;
        }
        loop {
            let before = lengths();
            let ok = self.filter_once(direction, source, target, mode) == OK;
            pass.moved |= ok;
            // A function that claims success without doing anything would be called for ever.
            pass.willing = ok && lengths() != before;
            let more = self.pending(direction) > 0 && self.0.is_enabled(direction);
            if !pass.willing || !more || (mode == NORMAL && !self.is_open(direction)) {
                return pass;
            }
        }
    }

    /// How much there is to process.
    fn pending(self, direction: Direction) -> usize {
        match direction {
            Direction::Read => self
                .below()
                .map_or(0, |below| below.length(Direction::Read)),
            Direction::Write => self.0.length(Direction::Write),
        }
    }

    /// Whether there is anything besides the bytes of which the function wants more.
    fn has_news(self, direction: Direction) -> bool {
        self.pending(direction) > self.get().seen[direction as usize].get()
    }

    /// Whether the program wants a direction, and there is room for what comes of it.
    fn is_open(self, direction: Direction) -> bool {
        let room = match direction {
            Direction::Read => self.0.input_room(),
            Direction::Write => self.room_below(),
        };
        self.0.is_enabled(direction) && room != Some(0)
    }

    fn filter_once(
        self,
        direction: Direction,
        source: *mut Evbuffer,
        target: *mut Evbuffer,
        mode: FlushModeValue,
    ) -> FilterResultValue {
        let (function, room) = match direction {
            Direction::Read => (self.get().input_filter.get(), self.0.input_room()),
            Direction::Write => (self.get().output_filter.get(), self.room_below()),
        };
        let limit = room.filter(|_| mode == NORMAL);
        let context = self.get().context.get();
        match function {
            // SAFETY: the program gave this function to be called like this; guards of the caller
            // keep everything alive.
            Some(function) => unsafe {
                let limit = limit.map_or(-1, |limit| limit as isize);
                function(source, target, limit, mode, context)
            },
            None => pass_on(source, target, limit),
        }
    }

    /// Processes input and notifies the program. The caller has a guard.
    fn read(self, options: c_int) {
        if self.process(Direction::Read, NORMAL).moved {
            // A timer only fails without memory.
            let _ = self.0.restart_timer(Direction::Read);
            self.0.trigger(Direction::Read, options);
        }
    }

    /// Processes output and notifies the program; whether anything was moved. The caller has a
    /// guard.
    fn write(self, mode: FlushModeValue, options: c_int) -> bool {
        struct Writing<'a>(&'a Cell<bool>);
        impl Drop for Writing<'_> {
            fn drop(&mut self) {
                self.0.set(false);
            }
        }
        if self.get().writing.replace(true) {
            return false;
        }
        let writing = Writing(&self.get().writing);
        let mut pass = self.process(Direction::Write, mode);
        let moved = pass.moved;
        while pass.moved {
            self.0.trigger(Direction::Write, options);
            if !pass.willing {
                break;
            }
            // What the callback appended is processed as usual.
            pass = self.process(Direction::Write, NORMAL);
        }
        drop(writing);
        let waits = self.0.is_running(Direction::Write)
            && self.0.event(Direction::Write).has(state::TIMEOUT);
        // A timer only fails without memory.
        let _ = if moved {
            self.0.restart_timer_also_idle(Direction::Write)
        } else if waits {
            Ok(())
        } else {
            self.0.restart_timer(Direction::Write)
        };
        moved
    }
}

/// Without a filter function, data passes unchanged.
fn pass_on(
    source: *mut Evbuffer,
    target: *mut Evbuffer,
    limit: Option<usize>,
) -> FilterResultValue {
    // SAFETY: live buffers of a filter and the one below it.
    let (source, target) = unsafe { BufferGuard::pair(source, target) };
    let moved = match limit {
        None => source.move_all_to(&target).is_ok(),
        Some(limit) => source.move_to(&target, limit).is_ok(),
    };
    if moved {
        OK
    } else {
        BuffereventFilterResult::BEV_ERROR as FilterResultValue
    }
}

/// The filter of a callback, unless it is ending.
///
/// # Safety
/// The filter was not finalized yet.
unsafe fn alive(filter: *mut c_void) -> Option<(Guard, FilterPtr)> {
    // SAFETY: the caller guarantees a filter whose memory is still there.
    let guard = unsafe { Guard::if_alive(filter.cast()) }?;
    let filter = FilterPtr(*guard);
    Some((guard, filter))
}

unsafe extern "C-unwind" fn readable_below(_: *mut Bufferevent, filter: *mut c_void) {
    // SAFETY: the callbacks of the one below are taken back before the filter is finalized.
    if let Some((_guard, filter)) = unsafe { alive(filter) } {
        filter.read(0);
    }
}

unsafe extern "C-unwind" fn writable_below(_: *mut Bufferevent, filter: *mut c_void) {
    // SAFETY: as in `readable_below`.
    if let Some((_guard, filter)) = unsafe { alive(filter) } {
        filter.write(NORMAL, 0);
    }
}

unsafe extern "C-unwind" fn event_below(_: *mut Bufferevent, what: c_short, filter: *mut c_void) {
    // SAFETY: as in `readable_below`.
    if let Some((_guard, filter)) = unsafe { alive(filter) } {
        filter.0.run_event_callback(what, 0);
    }
}

/// A callback of the input: where the program has made room, what waits for it below may follow.
unsafe extern "C-unwind" fn input_changed(
    _input: *mut Evbuffer,
    info: *const EvbufferCallbackInfo,
    filter: *mut c_void,
) {
    // SAFETY: the buffer belongs to the filter, whose lock is held; the information is valid during
    // the call.
    let (info, pointer) = unsafe { (&*info, pointer(filter.cast())) };
    if info.n_deleted <= info.n_added || !pointer.0.is_full_with(info.orig_size) {
        return;
    }
    // SAFETY: as above.
    if let Some((_guard, filter)) = unsafe { alive(filter) } {
        if filter.has_news(Direction::Read) {
            filter.read(DEFER_CALLBACKS);
        }
    }
}

/// What the loop calls for the entry that processes what became possible; without one, when nothing
/// will.
unsafe extern "C-unwind" fn run_pass(entry: *mut EventCallback, filter: *mut c_void) {
    // SAFETY: the queued entry held a reference, which becomes the guard's.
    let guard = unsafe { Guard::acquire(filter.cast()) };
    let filter = FilterPtr(*guard);
    if entry.is_null() {
        return;
    }
    if filter.has_news(Direction::Read) {
        filter.read(0);
    }
    if filter.has_news(Direction::Write) {
        filter.write(NORMAL, 0);
    }
}

/// # Safety
/// For all functions of the table: the bufferevent is a live filter and its lock held.
unsafe fn pointer(bufferevent: *mut Bufferevent) -> FilterPtr {
    // SAFETY: as the caller guarantees; a live object is not at null.
    FilterPtr(unsafe { BuffereventPtr::new(bufferevent).unwrap_unchecked() })
}

unsafe extern "C-unwind" fn enable(bufferevent: *mut Bufferevent, directions: c_short) -> c_int {
    // SAFETY: see `pointer`.
    let filter = unsafe { pointer(bufferevent) };
    let mut result = Ok(());
    for direction in [Direction::Write, Direction::Read] {
        if directions & direction.kind() != 0 {
            result = result.and(filter.0.restart_timer_also_idle(direction));
        }
    }
    if directions & kind::READ != 0 {
        if let Some(below) = filter.below() {
            below.resume_if_suspended(Direction::Read, suspension::FILTER_READ);
        }
    }
    filter.schedule_pass_if_useful();
    status(result)
}

unsafe extern "C-unwind" fn disable(bufferevent: *mut Bufferevent, directions: c_short) -> c_int {
    // SAFETY: see `pointer`.
    let filter = unsafe { pointer(bufferevent) };
    for direction in Direction::ALL {
        if directions & direction.kind() != 0 {
            // A timer is never refused.
            let _ = filter.0.delete_event(direction);
        }
    }
    if directions & kind::READ != 0 {
        if let Some(below) = filter.below() {
            below.suspend(Direction::Read, suspension::FILTER_READ);
        }
    }
    0
}

unsafe extern "C-unwind" fn unlink(bufferevent: *mut Bufferevent) {
    // SAFETY: see `pointer`.
    let filter = unsafe { pointer(bufferevent) };
    let Some(below) = filter.below() else { return };
    // SAFETY: the filter's reference keeps it alive.
    let below = unsafe { Guard::new(below.as_ptr()) };
    if filter.0.options() & CLOSE_ON_FREE != 0 {
        // The creator's, the filter's, and the guard's.
        if below.references() < 3 {
            warning!("BEV_OPT_CLOSE_ON_FREE set on an bufferevent with too few references");
        } else {
            BuffereventPtr::free(below);
        }
        return;
    }
    if filter.is_wired_to(*below) {
        below.set_callbacks(None, None, None, std::ptr::null_mut());
    }
    below.resume_if_suspended(Direction::Read, suspension::FILTER_READ);
}

unsafe extern "C-unwind" fn destruct(bufferevent: *mut Bufferevent) {
    // SAFETY: see `pointer`.
    let filter = unsafe { pointer(bufferevent) };
    let (function, context) = (filter.get().free_context.get(), filter.get().context.get());
    if let Some(function) = function {
        // SAFETY: the program gave this function to be called like this, once.
        unsafe { function(context) };
    }
}

unsafe extern "C-unwind" fn adjust_timeouts(bufferevent: *mut Bufferevent) -> c_int {
    // SAFETY: see `pointer`.
    status(unsafe { pointer(bufferevent) }.0.restart_timers())
}

unsafe extern "C-unwind" fn flush(
    bufferevent: *mut Bufferevent,
    directions: c_short,
    mode: FlushModeValue,
) -> c_int {
    // SAFETY: see `pointer`.
    let guard = unsafe { Guard::new(bufferevent) };
    let filter = FilterPtr(*guard);
    let mut moved = false;
    if directions & kind::READ != 0 && filter.process(Direction::Read, mode).moved {
        moved = true;
        // A timer only fails without memory.
        let _ = filter.0.restart_timer(Direction::Read);
    }
    if directions & kind::WRITE != 0 {
        moved |= filter.write(mode, 0);
    }
    if let Some(below) = filter.below() {
        below.flush(directions, mode);
    }
    moved.into()
}

unsafe extern "C-unwind" fn control(
    bufferevent: *mut Bufferevent,
    request: c_uint,
    data: *mut RequestData,
) -> c_int {
    // SAFETY: see `pointer`; the data fits the request.
    unsafe {
        let filter = pointer(bufferevent);
        let below = filter.below();
        match (Request::from_number(request), below) {
            (Some(Request::OutputChanged), _) => {
                // What was appended is processed at once.
                if let Some((_guard, filter)) = alive(bufferevent.cast()) {
                    filter.write(NORMAL, 0);
                }
                0
            }
            (Some(Request::SetDescriptor), Some(below)) => {
                status(below.set_descriptor((*data).descriptor))
            }
            (Some(Request::GetDescriptor), Some(below)) => {
                (*data).descriptor = below.descriptor();
                0
            }
            (Some(Request::GetUnderlying), _) => {
                (*data).pointer = filter.get().below.get().cast();
                0
            }
            _ => -1,
        }
    }
}
