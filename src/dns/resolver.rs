//! `struct evdns_base`: what a resolver has, its lock, its life.
//!
//! Lock order: the resolver's lock before the one of the loop's base. Results are reported from the
//! loop without it. Of the program's functions, only the log function may run with it held.

use super::flight;
use super::hosts::KnownHosts;
use super::lookup::{self, LookupLinks};
use super::name_server::ServerPtr;
use super::options::{Options, part};
use super::reply::Answer;
use super::request::{EvdnsRequest, Receiver, RequestLinks, RequestPtr, Wanted};
use super::resolv_conf::{Failure, SYSTEM_FILE};
use super::search::SearchPtr;
use super::table::Table;
use super::timeouts::{Timeouts, questions_are_due};
use super::{code, log};
use crate::base::{self, EventBase, Guard};
use crate::hooks::log::Severity;
use crate::hooks::memory::{self, Array};
use crate::hooks::threads::{Lock, RECURSIVE};
use crate::list::{List, TailQueue};
use crate::system::uncancelled::Uncancelled;
use crate::timers::Microseconds;
use std::cell::{Cell, UnsafeCell};
use std::ffi::c_int;
use std::ops::Deref;
use std::ptr::NonNull;

/// What a new resolver does, as bits.
#[allow(missing_docs)]
pub mod start {
    use std::ffi::c_int;
    pub const INITIALIZE_NAME_SERVERS: c_int = 1;
    pub const DISABLE_WHEN_INACTIVE: c_int = 0x8000;
    pub const NO_DEFAULT_SERVER: c_int = 0x10000;
    pub const KNOWN: c_int = INITIALIZE_NAME_SERVERS | DISABLE_WHEN_INACTIVE | NO_DEFAULT_SERVER;
}

/// `struct evdns_base`.
pub struct EvdnsBase {
    lock: Lock,
    pub(super) event_base: *mut EventBase,
    /// The program's, and one for each look-up of both families, which use the lock to the end.
    references: Cell<u32>,
    freed: Cell<bool>,
    /// The servers' sockets do not keep the loop running.
    pub(super) quiet: bool,
    pub(super) options: Options,
    /// The domains to search; none is no list.
    pub(super) search: Cell<Option<SearchPtr>>,
    pub(super) hosts: UnsafeCell<KnownHosts>,
    pub(super) servers: UnsafeCell<Array<ServerPtr>>,
    /// The server that is next in turn.
    pub(super) turn: Cell<u32>,
    /// Numbers for new servers.
    pub(super) numbers: Cell<u32>,
    pub(super) table: UnsafeCell<Table>,
    pub(super) waiting: UnsafeCell<TailQueue<RequestLinks>>,
    pub(super) timeouts: Timeouts,
    pub(super) lookups: UnsafeCell<List<LookupLinks>>,
}

/// A resolver that lives: the program has not freed it, or a reference is held. Fields are used
/// with the lock held, for the time of one expression.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BasePtr(NonNull<EvdnsBase>);

impl Deref for BasePtr {
    type Target = EvdnsBase;
    #[inline]
    fn deref(&self) -> &EvdnsBase {
        // SAFETY: the resolver lives; its fields are cells.
        unsafe { self.0.as_ref() }
    }
}

/// A resolver's lock, held. When it is released, the timers are as the queues need them. Until then
/// the thread is not cancelled: a question that is being sent would be in no queue.
pub struct Hold {
    base: BasePtr,
    _uncancelled: Uncancelled,
}

impl Deref for Hold {
    type Target = BasePtr;
    #[inline]
    fn deref(&self) -> &BasePtr {
        &self.base
    }
}

impl Hold {
    /// Takes the lock.
    ///
    /// # Safety
    /// The resolver lives, and so it does until the lock is released.
    pub unsafe fn new(base: *mut EvdnsBase) -> Hold {
        // SAFETY: a live resolver is not null; its lock never changes.
        let base = BasePtr(unsafe { NonNull::new_unchecked(base) });
        let uncancelled = Uncancelled::new();
        base.lock.acquire();
        Hold {
            base,
            _uncancelled: uncancelled,
        }
    }

    /// For the callbacks of its events: nothing when the resolver was freed, which waits for such a
    /// callback to return.
    ///
    /// # Safety
    /// The memory of the resolver is there.
    pub unsafe fn enter(base: *mut EvdnsBase) -> Option<Hold> {
        // SAFETY: the caller guarantees the memory.
        let hold = unsafe { Hold::new(base) };
        (!hold.freed.get()).then_some(hold)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        // Where that fails, the timer stays at an earlier time.
        let _ = self.timeouts.update_timer(self.base);
        self.base.lock.release();
    }
}

/// The flags, or, where there are unknown ones, what any number once meant.
fn known_flags(flags: c_int) -> c_int {
    if flags & !start::KNOWN == 0 {
        return flags;
    }
    log::message(
        Severity::Warning,
        format_args!("Unexpected flag passed to evdns_base_new(); taking it for 1"),
    );
    start::INITIALIZE_NAME_SERVERS
}

/// A new resolver on a loop.
///
/// # Safety
/// `event_base` is live or null, and outlives the resolver.
pub unsafe fn create(event_base: *mut EventBase, flags: c_int) -> Option<NonNull<EvdnsBase>> {
    let flags = known_flags(flags);
    lookup::register();
    let event_base = base::or_current(event_base);
    let block = memory::malloc(size_of::<EvdnsBase>());
    let base = BasePtr(NonNull::new(block.cast())?);
    let Ok(lock) = Lock::allocate(RECURSIVE) else {
        // SAFETY: nobody knows the memory.
        unsafe { memory::free(block) };
        return None;
    };
    // SAFETY: the block is new and large enough; the caller guarantees the loop's base.
    unsafe {
        base.as_ptr().write(EvdnsBase {
            lock,
            event_base,
            references: Cell::new(1),
            freed: Cell::new(false),
            quiet: flags & start::DISABLE_WHEN_INACTIVE != 0,
            options: Options::new(),
            search: Cell::new(None),
            hosts: UnsafeCell::new(KnownHosts::NONE),
            servers: UnsafeCell::new(Array::new()),
            turn: Cell::new(0),
            numbers: Cell::new(0),
            table: UnsafeCell::new(Table::new()),
            waiting: UnsafeCell::new(std::mem::zeroed()),
            timeouts: Timeouts::new(),
            lookups: UnsafeCell::new(List::EMPTY),
        });
        TailQueue::initialise(base.waiting.get());
        base.timeouts.prepare(base, questions_are_due, block);
        if flags & start::INITIALIZE_NAME_SERVERS != 0 && base.use_system_files(flags).is_err() {
            free(base.as_ptr(), false);
            return None;
        }
    }
    Some(base.0)
}

/// Frees a resolver. Look-ups that are under way fail (`fail`), or are forgotten.
///
/// # Safety
/// The program has not freed it, and does not use it any more.
pub unsafe fn free(base: *mut EvdnsBase, fail: bool) {
    // SAFETY: the caller guarantees a live resolver.
    let hold = unsafe { Hold::new(base) };
    hold.freed.set(true);
    let mut abandoned = List::EMPTY;
    if !fail {
        // SAFETY: the list stays where it is until it is empty.
        unsafe { lookup::abandon_all(*hold, &raw mut abandoned) };
    }
    while let Some(request) = hold.any_request() {
        request.withdraw(*hold);
        if fail && request.probed().is_none() {
            request.complete(&Answer::of(code::SHUTDOWN), &[]);
        } else {
            request.forget();
        }
    }
    let servers = hold.take_servers();
    let base = *hold;
    drop(hold);
    // SAFETY: as above.
    unsafe { lookup::free_all(&raw mut abandoned) };
    servers.iter().for_each(|server| server.destroy());
    base.timeouts.end(base);
    base.release();
}

impl BasePtr {
    /// # Safety
    /// The resolver lives, or a reference is held, for as long as the pointer or a copy is used.
    pub(super) unsafe fn of(base: *mut EvdnsBase) -> BasePtr {
        // SAFETY: a live resolver is not null.
        BasePtr(unsafe { NonNull::new_unchecked(base) })
    }

    /// The raw pointer.
    pub fn as_ptr(self) -> *mut EvdnsBase {
        self.0.as_ptr()
    }

    /// One more reference, with the lock held.
    pub(super) fn hold_reference(self) {
        self.references.set(self.references.get() + 1);
    }

    /// Gives a reference up; the lock is not held.
    pub(super) fn release(self) {
        self.lock.acquire();
        let left = self.references.get() - 1;
        self.references.set(left);
        self.lock.release();
        if left == 0 {
            // SAFETY: nobody else has the resolver; it was made by `create`.
            unsafe {
                self.clear_search_domains();
                self.lock.free(RECURSIVE);
                std::ptr::drop_in_place(self.as_ptr());
                memory::free(self.as_ptr().cast());
            }
        }
    }

    fn use_system_files(self, flags: c_int) -> Result<(), Failure> {
        let mut parts = part::ALL;
        if flags & start::NO_DEFAULT_SERVER != 0 {
            parts |= part::NO_DEFAULT_SERVER;
        }
        match self.parse_resolv_conf(parts, Some(SYSTEM_FILE)) {
            // Unless not even that of this machine could be added.
            Err(Failure::NoServers) if self.server_count() > 0 => Ok(()),
            result => result,
        }
    }

    /// Now, on the clock of the loop.
    pub(super) fn now(self) -> Microseconds {
        // SAFETY: the loop's base outlives the resolver.
        unsafe { Guard::lock(self.event_base) }.time.now()
    }

    /// Some look-up that has no result: those that wait first.
    fn any_request(self) -> Option<RequestPtr> {
        // SAFETY: look-ups in the queue are live.
        let waiting = unsafe { RequestPtr::new(TailQueue::first(self.waiting.get())) };
        let sent = || self.timeouts.first();
        waiting.or_else(sent).or_else(|| self.any_at_servers())
    }

    /// Starts a look-up; nothing when there cannot be one.
    pub fn resolve(
        self,
        name: &[u8],
        kind: u16,
        searches: bool,
        receiver: Receiver,
    ) -> Option<RequestPtr> {
        let search = self.search.get().filter(|_| searches);
        if name.len() > 255 || (name.is_empty() && search.is_some()) {
            return None;
        }
        if log::wants_debug() {
            let shown = std::str::from_utf8(name).unwrap_or("(not text)");
            log::message(
                Severity::Debug,
                format_args!("Resolve requested for {shown}"),
            );
        }
        let wanted = Wanted {
            name,
            kind,
            search,
            receiver,
        };
        let request = RequestPtr::create(self, &wanted)?;
        if flight::submit(self, request).is_err() {
            request.free();
            return None;
        }
        Some(request)
    }
}

/// Cancels a look-up that has no result yet, which is reported from the loop.
///
/// # Safety
/// The result was not reported to the program yet, or is just being reported.
pub unsafe fn cancel(base: *mut EvdnsBase, request: *mut EvdnsRequest) {
    // SAFETY: the caller guarantees the look-up.
    let Some(request) = (unsafe { RequestPtr::new(request) }) else {
        return;
    };
    let base = if base.is_null() {
        request.base.get()
    } else {
        base
    };
    if base.is_null() || request.is_done() {
        return;
    }
    // SAFETY: a look-up without a result belongs to a live resolver.
    let hold = unsafe { Hold::new(base) };
    hold.cancel(request);
}

impl BasePtr {
    /// Cancels a look-up, unless it has a result.
    pub(super) fn cancel(self, request: RequestPtr) {
        if !request.is_done() {
            request.withdraw(self);
            request.complete(&Answer::of(code::CANCEL), &[]);
            flight::promote(self);
        }
    }
}
