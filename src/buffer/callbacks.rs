//! Calling the program when a buffer has changed.
//!
//! Callbacks run with the buffer's lock held, newest first. One may add, remove, enable and
//! disable callbacks, change the buffer (which starts a nested round) and free it.

use super::abi::{EVBUFFER_CB_ENABLED, EvbufferCallbackFn, EvbufferCallbackInfo};
use super::{Evbuffer, Guard, Refused};
use crate::hooks::memory::{self, OutOfMemory};
use crate::list::{List, ListLink, links};
use std::cell::Cell;
use std::ffi::c_void;
use std::mem::transmute;
use std::ptr::{self, NonNull, addr_of, addr_of_mut};

/// A callback of the 1.4 interface: buffer, old length, new length, argument.
pub type EvbufferLegacyCallbackFn =
    unsafe extern "C-unwind" fn(*mut Evbuffer, usize, usize, *mut c_void);

/// A callback's function, or none: then the entry does nothing.
#[derive(Clone, Copy)]
pub enum Function {
    /// Gets the details.
    Current(Option<EvbufferCallbackFn>),
    /// Gets the lengths.
    Legacy(EvbufferLegacyCallbackFn),
}

impl Function {
    fn kind_flag(self) -> u32 {
        match self {
            Function::Current(_) => 0,
            Function::Legacy(_) => LEGACY,
        }
    }

    fn address(self) -> usize {
        match self {
            Function::Current(function) => function.map_or(0, |function| function as usize),
            Function::Legacy(function) => function as usize,
        }
    }
}

/// The entry is called at once although the buffer's callbacks are deferred.
pub const NOT_DEFERRED: u32 = 2;
/// The entry's function is of the older type.
const LEGACY: u32 = 0x4_0000;
/// The flags that the program may change.
const CHANGEABLE: u32 = 0xffff;

/// `struct evbuffer_cb_entry`: one registered callback. Belongs to the list it is in.
#[repr(C)]
pub struct CallbackEntry {
    link: ListLink<CallbackEntry>,
    // The address of the function; `LEGACY` among the flags says of which kind.
    function: usize,
    argument: *mut c_void,
    flags: u32,
}

impl CallbackEntry {
    fn function(&self) -> Function {
        // SAFETY: entries are made from a `Function`, of the kind that the flag tells; the address
        // 0 is `None`.
        unsafe {
            if self.flags & LEGACY != 0 {
                Function::Legacy(transmute::<usize, EvbufferLegacyCallbackFn>(self.function))
            } else {
                Function::Current(transmute::<usize, Option<EvbufferCallbackFn>>(
                    self.function,
                ))
            }
        }
    }
}

links! {
    /// Names the link of an entry.
    pub struct ByLink: ListLink<CallbackEntry> in link;
}

/// The callbacks of a buffer, newest first.
pub type CallbackList = List<ByLink>;

/// One pass over the callbacks, on the stack of the thread that makes it. Rounds of a buffer nest;
/// removing the entry that a round would call next moves the round on.
pub struct Round {
    next: Cell<*mut CallbackEntry>,
    outer: *const Round,
}

impl Evbuffer {
    fn first_callback(&self) -> *mut CallbackEntry {
        // SAFETY: the list is only touched with the buffer's lock held.
        unsafe { (*self.callbacks.get()).first() }
    }

    /// Whether no one is to be notified of changes.
    #[inline]
    pub(super) fn is_unwatched(&self) -> bool {
        self.first_callback().is_null() && !self.notifies_parent.get()
    }

    /// Whether no one needs to know how the buffer changed: the parent is only notified of added
    /// bytes.
    #[inline]
    fn concerns_nobody(&self) -> bool {
        self.is_unwatched() || self.added.get() == 0 && self.first_callback().is_null()
    }

    fn unlink_callback(&self, entry: *mut CallbackEntry) {
        // SAFETY: the entry is in this buffer's list; rounds live on the stacks of calls that
        // hold the lock, which this thread does.
        unsafe {
            let next = CallbackList::next(entry);
            let mut round = self.round.get();
            while !round.is_null() {
                if (*round).next.get() == entry {
                    (*round).next.set(next);
                }
                round = (*round).outer;
            }
            CallbackList::remove(self.callbacks.get(), entry);
            memory::free(entry.cast());
        }
    }

    /// Removes all callbacks.
    pub(super) fn free_callbacks(&self) {
        while !self.first_callback().is_null() {
            self.unlink_callback(self.first_callback());
        }
    }
}

impl Guard {
    /// Registers a callback before the others.
    pub fn add_callback(
        &self,
        function: Function,
        argument: *mut c_void,
        flags: u32,
    ) -> Result<NonNull<CallbackEntry>, OutOfMemory> {
        let block = memory::malloc(size_of::<CallbackEntry>()).cast::<CallbackEntry>();
        let entry = NonNull::new(block).ok_or(OutOfMemory)?;
        // SAFETY: the block is fresh and large enough; the lock is held.
        unsafe {
            block.write(CallbackEntry {
                link: ListLink {
                    le_next: ptr::null_mut(),
                    le_prev: ptr::null_mut(),
                },
                function: function.address(),
                argument,
                flags: flags | function.kind_flag(),
            });
            CallbackList::push_front(self.callbacks.get(), block);
        }
        Ok(entry)
    }

    /// Removes a callback by its handle.
    ///
    /// # Safety
    /// The entry is registered with this buffer.
    pub unsafe fn remove_entry(&self, entry: *mut CallbackEntry) {
        self.unlink_callback(entry);
    }

    /// Removes the newest callback with this function and argument.
    pub fn remove_callback(
        &self,
        function: Option<EvbufferCallbackFn>,
        argument: *mut c_void,
    ) -> Result<(), Refused> {
        let address = Function::Current(function).address();
        let mut entry = self.first_callback();
        while !entry.is_null() {
            // SAFETY: entries in the list are live while the lock is held.
            unsafe {
                if (*entry).function == address && (*entry).argument == argument {
                    self.unlink_callback(entry);
                    return Ok(());
                }
                entry = CallbackList::next(entry);
            }
        }
        Err(Refused::Range)
    }

    /// Removes all callbacks and registers at most one; on failure nothing has changed.
    pub fn replace_callbacks(
        &self,
        function: Option<EvbufferLegacyCallbackFn>,
        argument: *mut c_void,
    ) -> Result<(), OutOfMemory> {
        let Some(function) = function else {
            self.free_callbacks();
            return Ok(());
        };
        let new = self.add_callback(Function::Legacy(function), argument, EVBUFFER_CB_ENABLED)?;
        loop {
            // SAFETY: the new entry is in the list, and so is what follows it.
            let old = unsafe { CallbackList::next(new.as_ptr()) };
            if old.is_null() {
                return Ok(());
            }
            self.unlink_callback(old);
        }
    }

    /// Sets and clears flags of a callback, as far as the program may change them.
    ///
    /// # Safety
    /// The entry is registered with this buffer.
    pub unsafe fn change_callback_flags(&self, entry: *mut CallbackEntry, set: u32, clear: u32) {
        // SAFETY: the caller guarantees the entry; the lock is held.
        unsafe {
            let flags = addr_of_mut!((*entry).flags);
            *flags = (*flags | set & CHANGEABLE) & !(clear & CHANGEABLE);
        }
    }

    /// Calls the callbacks with what changed since they were last called, now or from the loop.
    #[inline]
    pub fn notify(&self) {
        if self.concerns_nobody() {
            self.forget_changes();
        } else {
            self.notify_callbacks();
        }
    }

    fn forget_changes(&self) {
        self.added.set(0);
        self.deleted.set(0);
    }

    fn changes(&self) -> Option<EvbufferCallbackInfo> {
        let (n_added, n_deleted) = (self.added.get(), self.deleted.get());
        (n_added != 0 || n_deleted != 0).then(|| EvbufferCallbackInfo {
            orig_size: self
                .length
                .get()
                .wrapping_add(n_deleted)
                .wrapping_sub(n_added),
            n_added,
            n_deleted,
        })
    }

    #[inline(never)]
    fn notify_callbacks(&self) {
        let Some(info) = self.changes() else { return };
        if self.deferred_callback().is_some() {
            return self.notify_later(&info);
        }
        self.forget_changes();
        self.deliver(&info, Audience::ALL);
    }

    /// Queues the deferred callbacks in the loop, and runs the others.
    #[inline(never)]
    fn notify_later(&self, info: &EvbufferCallbackInfo) {
        self.schedule_callbacks();
        self.run_callbacks(info, Audience::AT_ONCE);
    }

    /// Runs the callbacks that were deferred, with all that changed since they last ran.
    pub(super) fn run_queued_callbacks(&self) {
        let Some(info) = self.changes() else { return };
        self.forget_changes();
        self.deliver(&info, Audience::DEFERRED);
    }

    /// Calls those who are meant, all with the same information, and the parent last.
    fn deliver(&self, info: &EvbufferCallbackInfo, audience: Audience) {
        if self.first_callback().is_null() {
            return self.notify_parent(info);
        }
        let references = self.references.get();
        self.run_callbacks(info, audience);
        if !self.was_freed_since(references) {
            self.notify_parent(info);
        }
    }

    #[inline(never)]
    fn run_callbacks(&self, info: &EvbufferCallbackInfo, audience: Audience) {
        let length = self.length.get();
        let references = self.references.get();
        let round = Round {
            next: Cell::new(self.first_callback()),
            outer: self.round.get(),
        };
        self.round.set(addr_of!(round));
        let _end = EndOfRound(self, round.outer);
        loop {
            let entry = round.next.get();
            if entry.is_null() || self.was_freed_since(references) {
                return;
            }
            // SAFETY: removal moves rounds on, so the entry is registered and live; nothing of
            // it is used after its function was called.
            unsafe {
                round.next.set(CallbackList::next(entry));
                let (function, argument) = ((*entry).function(), (*entry).argument);
                if audience.includes((*entry).flags) {
                    self.call(function, argument, info, length);
                }
            }
        }
    }

    /// Whether the program has freed the buffer since the references were counted: no more
    /// callbacks are to run.
    pub(super) fn was_freed_since(&self, references: i32) -> bool {
        self.references.get() < references
    }

    /// # Safety
    /// The program registered this function with this argument.
    unsafe fn call(
        &self,
        function: Function,
        argument: *mut c_void,
        info: &EvbufferCallbackInfo,
        length: usize,
    ) {
        let buffer = self.as_ptr();
        // SAFETY: the caller guarantees the function; the guard keeps the buffer alive.
        unsafe {
            match function {
                Function::Current(Some(function)) => function(buffer, info, argument),
                Function::Current(None) => {}
                Function::Legacy(function) => function(buffer, info.orig_size, length, argument),
            }
        }
    }
}

/// Which callbacks are called, by their flags: a mask, and what is left under it. If callbacks are
/// deferred, some are called at once and the others from the loop.
#[derive(Clone, Copy)]
struct Audience {
    mask: u32,
    flags: u32,
}

impl Audience {
    const ALL: Audience = Audience {
        mask: EVBUFFER_CB_ENABLED,
        flags: EVBUFFER_CB_ENABLED,
    };
    const AT_ONCE: Audience = Audience {
        mask: EVBUFFER_CB_ENABLED | NOT_DEFERRED,
        flags: EVBUFFER_CB_ENABLED | NOT_DEFERRED,
    };
    const DEFERRED: Audience = Audience {
        mask: EVBUFFER_CB_ENABLED | NOT_DEFERRED,
        flags: EVBUFFER_CB_ENABLED,
    };

    /// Whether an entry with such flags is meant.
    #[inline]
    fn includes(self, flags: u32) -> bool {
        flags & self.mask == self.flags
    }
}

/// Takes the round off the buffer's list when it ends, also by an exception of the program.
struct EndOfRound<'a>(&'a Guard, *const Round);

impl Drop for EndOfRound<'_> {
    fn drop(&mut self) {
        self.0.round.set(self.1);
    }
}
