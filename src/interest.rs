//! Who waits for what: a table of slots, one per descriptor, with the events on it and with what
//! the kernel has been told.

use crate::backend::{Backend, Refused};
use crate::event::{EventPtr, Registration, SourceLinks, debug, kind, state};
use crate::hooks::memory;
use crate::list::List;
use crate::warning;
use std::ffi::{c_int, c_short};
use std::mem::size_of;
use std::ptr::{self, addr_of_mut};

/// What the kernel was told about a descriptor, or should be: kinds of readiness, as bits of
/// [`kind`], and how they are reported. Zero: not watched.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Registered(u8);

impl Registered {
    /// Reported once, then silent until armed again.
    pub const ONCE: Registered = Registered(0x01);
    /// The kernel has an entry for the descriptor, watched or silent.
    pub const PRESENT: Registered = Registered(0x40);
    /// Reported when readiness changes.
    pub const EDGE: Registered = Registered(kind::EDGE_TRIGGERED as u8);
    const KINDS: u8 = kind::IO as u8;

    /// Only kinds.
    #[inline]
    pub fn of_kinds(kinds: c_short) -> Registered {
        Registered(kinds as u8 & Self::KINDS)
    }

    /// The kinds.
    #[inline]
    pub fn kinds(self) -> c_short {
        (self.0 & Self::KINDS).into()
    }

    /// Whether it is reported so.
    #[inline]
    pub fn has(self, manner: Registered) -> bool {
        self.0 & manner.0 != 0
    }

    /// The same and `manner`.
    #[inline]
    pub fn with(self, manner: Registered) -> Registered {
        Registered(self.0 | manner.0)
    }

    /// The same without `manner`.
    #[inline]
    pub fn without(self, manner: Registered) -> Registered {
        Registered(self.0 & !manner.0)
    }

    /// No kinds: the entry is silent.
    #[inline]
    pub fn silent(self) -> Registered {
        Registered(self.0 & !Self::KINDS)
    }

    /// Whether a kernel that was told this behaves as wanted. Reports that do not end are as good
    /// as single ones, because deleting an event ends them.
    #[inline]
    pub fn suffices(self, wanted: Registered) -> bool {
        let difference = self.0 ^ wanted.0;
        if wanted.0 & Self::KINDS == 0 {
            return difference & Self::KINDS == 0;
        }
        let needless = Self::PRESENT.0 | (wanted.0 & Self::ONCE.0);
        difference & !needless == 0
    }
}

/// One descriptor.
///
/// Invariants: the counts say how many of `events` want each kind, and the list is newest first.
/// All-zero bytes are a descriptor without events.
#[repr(C)]
pub struct Slot {
    events: List<SourceLinks>,
    /// Counts the times that the slot went from no events to one, so that a report for an earlier
    /// life of the descriptor number can be told apart.
    pub generation: u32,
    readers: u16,
    writers: u16,
    closers: u16,
    /// What the kernel was told.
    pub told: Registered,
    /// The slot stands in the list of changes still to be told.
    pub dirty: bool,
    level_triggered: u32,
    persistent: u32,
    /// Place in the array of poll, plus one.
    pub position: u32,
}

impl Slot {
    /// Whether no event is on the descriptor.
    pub fn is_empty(&self) -> bool {
        self.events.first().is_null()
    }

    /// The kinds that events want.
    #[inline]
    pub fn kinds(&self) -> c_short {
        let bit = |count: u16, kind: c_short| if count > 0 { kind } else { 0 };
        bit(self.readers, kind::READ)
            | bit(self.writers, kind::WRITE)
            | bit(self.closers, kind::CLOSED)
    }

    /// What the kernel should be told. Edge-triggered only if every event is, because the others
    /// would miss readiness; once if no event outlives its callback anyway.
    #[inline]
    pub fn wanted(&self) -> Registered {
        let kinds = Registered::of_kinds(self.kinds());
        if self.level_triggered == 0 {
            kinds.with(Registered::EDGE)
        } else if self.persistent == 0 {
            kinds.with(Registered::ONCE)
        } else {
            kinds
        }
    }

    /// Whether readiness is still news to some event: its callback is not about to run, or does not
    /// know of every kind yet.
    pub fn awaits_readiness(&self) -> bool {
        self.iter().any(|event| {
            !event.has(state::QUEUED) || event.events() & kind::IO & !event.result() != 0
        })
    }

    /// Whether the counts agree with the events.
    pub fn is_consistent(&self) -> bool {
        let count = |kind| {
            self.iter()
                .filter(|e| e.registration().events() & kind != 0)
                .count()
        };
        let edge = count(kind::EDGE_TRIGGERED);
        count(kind::READ) == usize::from(self.readers)
            && count(kind::WRITE) == usize::from(self.writers)
            && count(kind::CLOSED) == usize::from(self.closers)
            && count(kind::PERSIST) == self.persistent as usize
            && self.iter().count() - edge == self.level_triggered as usize
    }

    /// The newest event, where a walk along [`next`] begins.
    #[inline]
    pub fn first(&self) -> Option<EventPtr> {
        // SAFETY: events stay alive while they are inserted: their owners must delete them first.
        unsafe { EventPtr::new(self.events.first()) }
    }

    /// The events, newest first. The next one is found before an event is handed out.
    pub fn iter(&self) -> impl Iterator<Item = EventPtr> + use<> {
        let mut walk = self.first();
        std::iter::from_fn(move || {
            let event = walk?;
            walk = next(event);
            Some(event)
        })
    }

    fn counts(&mut self) -> [(&mut u16, c_short); 3] {
        [
            (&mut self.readers, kind::READ),
            (&mut self.writers, kind::WRITE),
            (&mut self.closers, kind::CLOSED),
        ]
    }

    #[inline]
    fn count_in(&mut self, events: c_short) {
        for (count, kind) in self.counts() {
            *count += u16::from(events & kind != 0);
        }
        self.level_triggered += u32::from(events & kind::EDGE_TRIGGERED == 0);
        self.persistent += u32::from(events & kind::PERSIST != 0);
    }

    #[inline]
    fn count_out(&mut self, events: c_short) {
        for (count, kind) in self.counts() {
            *count -= u16::from(events & kind != 0);
        }
        self.level_triggered -= u32::from(events & kind::EDGE_TRIGGERED == 0);
        self.persistent -= u32::from(events & kind::PERSIST != 0);
    }

    /// Whether an event with these bits can be counted too and may join the newest one, `other`.
    fn accept(&mut self, fd: c_int, other: EventPtr, events: c_short) -> Result<(), Refused> {
        if self
            .counts()
            .iter()
            .any(|(count, kind)| events & kind != 0 && **count == u16::MAX)
        {
            warning!("Too many events reading or writing on fd {fd}");
            return Err(Refused);
        }
        if debug::enabled() && (other.events() ^ events) & kind::EDGE_TRIGGERED != 0 {
            warning!("Tried to mix edge-triggered and non-edge-triggered events on fd {fd}");
            return Err(Refused);
        }
        Ok(())
    }
}

/// The event behind an inserted one on the same descriptor or signal.
#[inline]
pub fn next(event: EventPtr) -> Option<EventPtr> {
    // SAFETY: an inserted event is in such a list, and its neighbours are alive.
    unsafe { EventPtr::new(List::<SourceLinks>::next(event.as_ptr())) }
}

/// The table. The layout of the two fields is that of the structure which the exported internal
/// functions take.
///
/// Invariant: `entries` points to `count` initialised slots from the hooks, or is null with 0.
#[repr(C)]
pub struct Interest {
    entries: *mut Slot,
    count: c_int,
}

impl Interest {
    /// A table without memory.
    pub const fn new() -> Interest {
        Interest {
            entries: ptr::null_mut(),
            count: 0,
        }
    }

    /// The slots, in the order of their descriptors.
    #[inline]
    pub fn slots(&mut self) -> &mut [Slot] {
        if self.entries.is_null() {
            return &mut [];
        }
        // SAFETY: the invariant.
        unsafe { std::slice::from_raw_parts_mut(self.entries, self.count as usize) }
    }

    /// The slot of a descriptor that has had events.
    #[inline]
    pub fn slot(&mut self, fd: c_int) -> &mut Slot {
        match self.get(fd) {
            Some(slot) => slot,
            None => panic!("no slot for descriptor {fd}"),
        }
    }

    /// The slot of any number.
    #[inline]
    pub fn get(&mut self, fd: c_int) -> Option<&mut Slot> {
        // A negative number is larger than every count.
        if fd as u32 >= self.count as u32 {
            return None;
        }
        // SAFETY: the invariant.
        Some(unsafe { &mut *self.entries.add(fd as usize) })
    }

    /// Makes the table reach `fd`, or changes nothing.
    #[inline]
    fn try_reach(&mut self, fd: c_int) -> Result<(), Refused> {
        if fd < self.count {
            Ok(())
        } else {
            self.grow(fd)
        }
    }

    #[cold]
    fn grow(&mut self, fd: c_int) -> Result<(), Refused> {
        // Descriptors are below 2^27, so neither the doubling nor the size in bytes overflows.
        let mut count = self.count.max(8) as usize;
        while count <= fd as usize {
            count *= 2;
        }
        // SAFETY: `entries` is this table's own block or null.
        let block = unsafe { memory::realloc(self.entries.cast(), count * size_of::<Slot>()) };
        if block.is_null() {
            return Err(memory::OutOfMemory.into());
        }
        self.entries = block.cast();
        // SAFETY: the block has `count` slots, the first `self.count` of which are initialised;
        // zero bytes are a valid slot.
        unsafe {
            let added = self.entries.add(self.count as usize);
            ptr::write_bytes(added, 0, count - self.count as usize);
        }
        self.count = count as c_int;
        Ok(())
    }

    /// Registers an event for its descriptor; whether the backend had to change anything. On an
    /// error nothing has changed. An event without a descriptor is accepted and never ready.
    #[inline(always)]
    pub fn add(&mut self, backend: &mut Backend, event: EventPtr) -> Result<bool, Refused> {
        let (fd, events) = (event.fd(), event.events());
        if fd < 0 {
            event.set_registration(Registration::NOTHING);
            return Ok(false);
        }
        if fd >= Registration::FD_LIMIT {
            return Err(Refused);
        }
        self.try_reach(fd)?;
        let slot = self.slot(fd);
        match slot.first() {
            None => slot.generation = slot.generation.wrapping_add(1),
            Some(other) => slot.accept(fd, other, events)?,
        }
        slot.count_in(events);
        match backend.update(fd, self) {
            Ok(changed) => {
                event.set_registration(Registration::new(fd, events));
                // SAFETY: the slot is live; the event is in no list, because it is not inserted.
                unsafe {
                    List::push_front(addr_of_mut!(self.slot(fd).events), event.as_ptr());
                }
                Ok(changed)
            }
            Err(refused) => {
                self.slot(fd).count_out(events);
                Err(refused)
            }
        }
    }

    /// Takes an event out, by what was registered for it. It is out even when the kernel refuses.
    #[inline(always)]
    pub fn remove(&mut self, backend: &mut Backend, event: EventPtr) -> Result<bool, Refused> {
        let registration = event.registration();
        if registration == Registration::NOTHING {
            return Ok(false);
        }
        let slot = self.slot(registration.fd());
        // SAFETY: an inserted event with a registration is in the list of that slot.
        unsafe { List::remove(addr_of_mut!(slot.events), event.as_ptr()) };
        slot.count_out(registration.events());
        backend.update(registration.fd(), self)
    }

    /// Forgets what a backend was told that is gone.
    pub fn forget_told(&mut self) {
        for slot in self.slots() {
            slot.told = Registered::default();
            slot.dirty = false;
            slot.position = 0;
        }
    }

    /// Gives the memory back.
    ///
    /// # Safety
    /// No event is registered any more.
    pub unsafe fn free(&mut self) {
        // SAFETY: the block is this table's own or null, and nobody points into it.
        unsafe { memory::free(self.entries.cast()) };
        *self = Interest::new();
    }
}

impl Default for Interest {
    fn default() -> Self {
        Self::new()
    }
}
