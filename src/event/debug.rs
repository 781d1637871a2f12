//! Debug mode: a table of the events that were assigned, so that misuse ends the program at the
//! place where it happens.

use super::{Event, EventPtr, kind};
use crate::hooks::log;
use crate::hooks::memory::{self, OutOfMemory};
use crate::hooks::threads::{self, event_debug_created_threadable_ctx_, event_debug_mode_on_};
use crate::{require, system};
use std::ffi::{c_int, c_short, c_uint};
use std::mem::size_of;
use std::ptr::{self, addr_of, addr_of_mut};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering::Relaxed};

/// An event or a base was made, so that debug mode can no longer be switched on.
static TOO_LATE: AtomicBool = AtomicBool::new(false);

/// The events that are assigned. Protected by `threads::debug_table_lock`.
static mut TABLE: DebugTable = DebugTable::new();

/// Whether debug mode is on.
#[inline]
pub fn enabled() -> bool {
    // SAFETY: written before other threads start; reading a word is enough.
    unsafe { *addr_of!(event_debug_mode_on_) != 0 }
}

/// Switches debug mode on; fatal when it is on already or something was made before.
pub fn enable() {
    if enabled() {
        log::fatal(1, format_args!("event_enable_debug_mode was called twice!"));
    }
    if TOO_LATE.load(Relaxed) {
        log::fatal(
            1,
            format_args!(
                "event_enable_debug_mode must be called *before* creating any events or event_bases"
            ),
        );
    }
    // SAFETY: the documented time to call this is before other threads use the library.
    unsafe { *addr_of_mut!(event_debug_mode_on_) = 1 };
}

/// Switches debug mode off and forgets every event.
pub fn disable() {
    let lock = threads::debug_table_lock();
    lock.acquire();
    // SAFETY: the table and the mode are only changed with the lock held that was just taken.
    unsafe {
        (*addr_of_mut!(TABLE)).forget_all();
        *addr_of_mut!(event_debug_mode_on_) = 0;
    }
    lock.release();
}

/// A base is being made.
pub fn note_base_created() {
    note_use();
    // SAFETY: an exported word that only ever goes to 1, by any thread that makes a base.
    unsafe { AtomicI32::from_ptr(addr_of_mut!(event_debug_created_threadable_ctx_)) }
        .store(1, Relaxed);
}

#[cold]
fn with_table<R>(use_table: impl FnOnce(&mut DebugTable) -> R) -> R {
    let lock = threads::debug_table_lock();
    lock.acquire();
    // SAFETY: the lock is held, and nothing that runs here comes back.
    let result = use_table(unsafe { &mut *addr_of_mut!(TABLE) });
    lock.release();
    result
}

fn describe(what: &str, event: EventPtr) -> ! {
    log::fatal(
        log::INTERNAL_ERROR,
        format_args!(
            "{what} event {:p} (events: 0x{:x}, fd: {}, flags: 0x{:x})",
            event.as_ptr(),
            event.events(),
            event.fd(),
            event.entry().flags()
        ),
    )
}

/// An event is being assigned: debug mode comes too late from now on.
#[inline]
pub fn note_use() {
    TOO_LATE.store(true, Relaxed);
}

/// An event was assigned.
#[inline]
pub fn note_setup(event: EventPtr) {
    note_use();
    if enabled() && with_table(move |table| table.insert(event)).is_err() {
        log::fatal(1, format_args!("event_debug_note_setup_: out of memory"));
    }
}

/// An event is no longer to be used.
#[inline]
pub fn note_teardown(event: EventPtr) {
    if enabled() {
        with_table(move |table| table.remove(event));
    }
}

/// An event was added. The library's own events are not in the table.
#[inline]
pub fn note_added(event: EventPtr) {
    if enabled() {
        with_table(move |table| table.mark(event, true));
    }
}

/// An event was deleted.
#[inline]
pub fn note_deleted(event: EventPtr) {
    if enabled() {
        with_table(move |table| table.mark(event, false));
    }
}

/// The event must have been assigned.
#[inline]
pub fn require_setup(event: EventPtr) {
    if enabled() && with_table(move |table| table.find(event)).is_none() {
        describe(
            "event_debug_assert_is_setup_ called on a non-initialized",
            event,
        );
    }
}

/// The event that is to be deleted must have been assigned.
#[inline]
pub fn require_setup_for_deletion(event: EventPtr) {
    if enabled() && with_table(move |table| table.find(event)).is_none() {
        describe("event_debug_note_del_: noting a del on a non-setup", event);
    }
}

/// The event must not be added.
#[inline]
pub fn require_not_added(event: EventPtr) {
    if enabled() && with_table(move |table| table.find(event)) == Some(true) {
        describe(
            "event_debug_assert_not_added_ called on an already added",
            event,
        );
    }
}

/// A descriptor that is watched must not block.
pub fn require_nonblocking(fd: c_int, events: c_short) {
    if !enabled() || fd < 0 || events & kind::SIGNAL != 0 {
        return;
    }
    // SAFETY: any number may be asked about.
    let flags = unsafe { system::fcntl(fd, libc::F_GETFL) };
    if flags >= 0 {
        require!(
            flags & libc::O_NONBLOCK != 0,
            "Assertion flags & O_NONBLOCK failed in event_debug_assert_socket_nonblocking_"
        );
    }
}

/// One event that is assigned.
struct DebugEntry {
    next: *mut DebugEntry,
    event: EventPtr,
    added: bool,
}

/// A hash table by the event's address, with a chain for each place.
///
/// Invariant: `chains` points to `capacity` chains, a power of two, or is null with 0.
#[repr(C)]
pub struct DebugTable {
    chains: *mut *mut DebugEntry,
    capacity: c_uint,
    count: c_uint,
    /// The entry that was found last, or null: an event is mostly asked about twice, first whether it
    /// may be used so, then to note that it was.
    last: *mut DebugEntry,
}

impl DebugTable {
    const fn new() -> DebugTable {
        DebugTable {
            chains: ptr::null_mut(),
            capacity: 0,
            count: 0,
            last: ptr::null_mut(),
        }
    }

    /// The chain of an event; there is at least one chain. Events of the program that lie side by
    /// side have chains side by side: they are mostly used one after the other. Those that lie a
    /// power of two apart are spread by the shifts.
    fn chain(&self, event: EventPtr) -> *mut *mut DebugEntry {
        let place = event.as_ptr() as usize / size_of::<Event>();
        let hash = place + (place >> 5) + (place >> 11);
        // SAFETY: the mask keeps the index below the capacity.
        unsafe { self.chains.add(hash & (self.capacity as usize - 1)) }
    }

    /// The link that leads to the entry of an event.
    fn link(&self, event: EventPtr) -> Option<*mut *mut DebugEntry> {
        if self.capacity == 0 {
            return None;
        }
        let mut link = self.chain(event);
        // SAFETY: chains end with null and their entries are live.
        unsafe {
            while !(*link).is_null() && (**link).event != event {
                link = addr_of_mut!((**link).next);
            }
            (!(*link).is_null()).then_some(link)
        }
    }

    /// The entry of an event.
    fn entry(&mut self, event: EventPtr) -> Option<*mut DebugEntry> {
        // SAFETY: entries are live, also the last one found: `remove` forgets it.
        unsafe {
            if self.last.is_null() || (*self.last).event != event {
                self.last = *self.link(event)?;
            }
        }
        Some(self.last)
    }

    /// Whether the event is added, if it is in the table.
    fn find(&mut self, event: EventPtr) -> Option<bool> {
        // SAFETY: the entry is live.
        self.entry(event).map(|entry| unsafe { (*entry).added })
    }

    fn mark(&mut self, event: EventPtr, added: bool) -> bool {
        match self.entry(event) {
            None => false,
            Some(entry) => {
                // SAFETY: the entry is live.
                unsafe { (*entry).added = added };
                true
            }
        }
    }

    fn insert(&mut self, event: EventPtr) -> Result<(), OutOfMemory> {
        if self.mark(event, false) {
            return Ok(());
        }
        if self.count >= self.capacity {
            self.grow(self.count + 1)?;
        }
        let entry = memory::allocate_zeroed::<DebugEntry>()?.as_ptr();
        let chain = self.chain(event);
        // SAFETY: the entry is new memory and the chain is live.
        unsafe {
            entry.write(DebugEntry {
                next: *chain,
                event,
                added: false,
            });
            *chain = entry;
        }
        self.count += 1;
        Ok(())
    }

    fn remove(&mut self, event: EventPtr) {
        if let Some(link) = self.link(event) {
            // SAFETY: the entry is live and leaves its chain before it is freed.
            unsafe {
                let entry = *link;
                *link = (*entry).next;
                memory::free(entry.cast());
            }
            self.last = ptr::null_mut();
            self.count -= 1;
        }
    }

    /// Makes at least `capacity` chains and distributes the entries again.
    pub fn grow(&mut self, capacity: c_uint) -> Result<(), OutOfMemory> {
        if capacity <= self.capacity {
            return Ok(());
        }
        let capacity = capacity
            .max(64)
            .checked_next_power_of_two()
            .ok_or(OutOfMemory)?;
        let chains: *mut *mut DebugEntry =
            memory::calloc(capacity as usize, size_of::<*mut DebugEntry>()).cast();
        if chains.is_null() {
            return Err(OutOfMemory);
        }
        let larger = DebugTable {
            chains,
            capacity,
            count: self.count,
            last: self.last,
        };
        for index in 0..self.capacity as usize {
            // SAFETY: old and new chains are live; every entry moves from one to the other.
            unsafe {
                let mut entry = *self.chains.add(index);
                while !entry.is_null() {
                    let next = (*entry).next;
                    let chain = larger.chain((*entry).event);
                    (*entry).next = *chain;
                    *chain = entry;
                    entry = next;
                }
            }
        }
        self.free_chains();
        *self = larger;
        Ok(())
    }

    /// Gives the chains back, not the entries.
    pub fn free_chains(&mut self) {
        // SAFETY: the block is this table's own or null.
        unsafe { memory::free(self.chains.cast()) };
        *self = DebugTable::new();
    }

    fn forget_all(&mut self) {
        for index in 0..self.capacity as usize {
            // SAFETY: chains end with null and their entries are this table's own.
            unsafe {
                let mut entry = *self.chains.add(index);
                while !entry.is_null() {
                    let next = (*entry).next;
                    memory::free(entry.cast());
                    entry = next;
                }
            }
        }
        self.free_chains();
    }

    /// Whether the invariants hold.
    pub fn is_consistent(&self) -> bool {
        if self.chains.is_null() != (self.capacity == 0) {
            return false;
        }
        let mut found = 0;
        for index in 0..self.capacity as usize {
            // SAFETY: chains end with null and their entries are live.
            unsafe {
                let mut entry = *self.chains.add(index);
                while !entry.is_null() {
                    if self.chain((*entry).event) != self.chains.add(index) {
                        return false;
                    }
                    found += 1;
                    entry = (*entry).next;
                }
            }
        }
        found == self.count
    }
}
