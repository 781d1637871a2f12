//! Who waits for what: a table of slots, one per descriptor, with the events on it. In addition, a
//! slot has room for what the backend of the base keeps about the descriptor.

use crate::backend::Backend;
use crate::event::{EventPtr, Registration, SourceLinks, debug, kind, state};
use crate::hooks::memory;
use crate::list::List;
use crate::util::SystemError;
use crate::warning;
use std::ffi::{c_int, c_short};
use std::mem::size_of;
use std::ptr::{self, NonNull, addr_of_mut};

/// One descriptor.
///
/// Invariants: the counts are those of `events`, and the list is newest first. All-zero bytes are a
/// descriptor without events.
#[repr(C)]
pub struct Slot {
    events: List<SourceLinks>,
    counts: Counts,
    /// A number and bits that belong to the mechanism, which alone knows what they mean; zeros
    /// until it changes them.
    pub backend_number: u32,
    /// See [`Slot::backend_number`].
    pub backend_bits: u8,
    // The descriptor has had events.
    used: bool,
    level_triggered: Tally,
}

const _: () = assert!(size_of::<Slot>() == 24);

/// How many events want each kind, and how many are persistent, in 16 bits each: an event is counted
/// with one addition.
#[derive(Clone, Copy, Default)]
struct Counts(u64);

impl Counts {
    const READERS: u32 = 0;
    const WRITERS: u32 = 16;
    const CLOSERS: u32 = 32;
    /// The highest bits, which count like a [`Tally`].
    const PERSISTENT: u32 = 48;
    const ENDLESS: u64 = (u16::MAX as u64) << Self::PERSISTENT;

    /// One event, for each combination of bits of a registration.
    const ONE: [u64; Registration::KINDS] = {
        let mut table = [0; Registration::KINDS];
        let mut index = 0;
        while index < table.len() {
            let events = Registration::of_index(index).events();
            table[index] = ((events & kind::READ != 0) as u64) << Self::READERS
                | ((events & kind::WRITE != 0) as u64) << Self::WRITERS
                | ((events & kind::CLOSED != 0) as u64) << Self::CLOSERS
                | ((events & kind::PERSIST != 0) as u64) << Self::PERSISTENT;
            index += 1;
        }
        table
    };

    #[inline]
    fn at(self, place: u32) -> u16 {
        (self.0 >> place) as u16
    }

    #[inline]
    fn increment(&mut self, registration: Registration) {
        let one = Self::ONE[registration.index()];
        let sum = self.0.checked_add(one);
        self.0 = sum.unwrap_or_else(|| self.0 + (one & !Self::ENDLESS));
    }

    #[inline]
    fn decrement(&mut self, registration: Registration) {
        let one = Self::ONE[registration.index()];
        self.0 -= if self.0 >= Self::ENDLESS {
            one & !Self::ENDLESS
        } else {
            one
        };
    }

    /// Whether one more event can be counted.
    #[inline]
    fn have_room_for(self, registration: Registration) -> bool {
        const HALF_FULL: u64 = 0x8000_8000_8000;
        self.0 & HALF_FULL == 0 || self.are_below_limit(registration)
    }

    #[cold]
    fn are_below_limit(self, registration: Registration) -> bool {
        let one = Counts(Self::ONE[registration.index()]);
        [Self::READERS, Self::WRITERS, Self::CLOSERS]
            .iter()
            .all(|place| one.at(*place) == 0 || self.at(*place) < u16::MAX)
    }
}

/// Counts to a limit that only a misuse reaches. There it stays until the descriptor has no events
/// left: what is counted is taken to exist.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Tally(u16);

impl Tally {
    #[inline]
    fn increment(&mut self, by: bool) {
        self.0 = self.0.saturating_add(u16::from(by));
    }

    #[inline]
    fn decrement(&mut self, by: bool) {
        if self.0 != u16::MAX {
            self.0 -= u16::from(by);
        }
    }

    fn agrees(self, count: usize) -> bool {
        self.0 == u16::MAX || usize::from(self.0) == count
    }
}

impl Slot {
    /// Whether no event is on the descriptor.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.events.first().is_null()
    }

    /// The kinds that events want.
    #[inline]
    pub fn kinds(&self) -> c_short {
        let bit = |place, kind: c_short| if self.counts.at(place) > 0 { kind } else { 0 };
        bit(Counts::READERS, kind::READ)
            | bit(Counts::WRITERS, kind::WRITE)
            | bit(Counts::CLOSERS, kind::CLOSED)
    }

    /// Whether every event is edge-triggered.
    #[inline]
    pub fn all_edge_triggered(&self) -> bool {
        self.level_triggered.0 == 0
    }

    /// Whether no event outlives its callback.
    #[inline]
    pub fn none_persistent(&self) -> bool {
        self.counts.at(Counts::PERSISTENT) == 0
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
        let counted = |place| usize::from(self.counts.at(place));
        count(kind::READ) == counted(Counts::READERS)
            && count(kind::WRITE) == counted(Counts::WRITERS)
            && count(kind::CLOSED) == counted(Counts::CLOSERS)
            && Tally(self.counts.at(Counts::PERSISTENT)).agrees(count(kind::PERSIST))
            && self.level_triggered.agrees(self.iter().count() - edge)
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

    /// The first event comes.
    #[inline]
    fn begin(&mut self) {
        self.used = true;
        self.level_triggered = Tally::default();
        self.counts = Counts::default();
    }

    #[inline]
    fn count_in(&mut self, registration: Registration) {
        self.counts.increment(registration);
        let level = registration.events() & kind::EDGE_TRIGGERED == 0;
        self.level_triggered.increment(level);
    }

    #[inline]
    fn count_out(&mut self, registration: Registration) {
        self.counts.decrement(registration);
        let level = registration.events() & kind::EDGE_TRIGGERED == 0;
        self.level_triggered.decrement(level);
    }

    /// Whether an event can be counted too and may join the newest one, `other`.
    #[inline]
    fn accept(&self, registration: Registration, other: EventPtr) -> Result<(), SystemError> {
        if !self.counts.have_room_for(registration) {
            let fd = registration.fd();
            warning!("Too many events reading or writing on fd {fd}");
            return Err(SystemError);
        }
        if debug::enabled() {
            return accept_mixture(registration, other);
        }
        Ok(())
    }
}

#[cold]
fn accept_mixture(registration: Registration, other: EventPtr) -> Result<(), SystemError> {
    if (other.events() ^ registration.events()) & kind::EDGE_TRIGGERED == 0 {
        return Ok(());
    }
    let fd = registration.fd();
    warning!("Tried to mix edge-triggered and non-edge-triggered events on fd {fd}");
    Err(SystemError)
}

/// The event after an inserted one on the same descriptor or signal.
#[inline]
pub fn next(event: EventPtr) -> Option<EventPtr> {
    // SAFETY: an inserted event is in such a list, and its neighbours are alive.
    unsafe { EventPtr::new(List::<SourceLinks>::next(event.as_ptr())) }
}

/// Slots of neighbouring descriptors, which are allocated together.
type Page = [Slot; PAGE];
const PAGE: usize = 8;

/// The table: pages that are made when one of their descriptors is first watched, so that a high
/// number costs little more than a low one. The layout of the two fields is that of the structure
/// which the exported internal functions take.
///
/// Invariant: `pages` points to `count / PAGE` pointers, each to an initialised page from the hooks
/// or null; or it is null and `count` is 0.
#[repr(C)]
pub struct Interest {
    pages: *mut *mut Page,
    /// How many descriptors the pages could hold.
    count: c_int,
}

impl Interest {
    /// A table without memory.
    pub const fn new() -> Interest {
        Interest {
            pages: ptr::null_mut(),
            count: 0,
        }
    }

    fn pages(&self) -> &[*mut Page] {
        if self.pages.is_null() {
            return &[];
        }
        // SAFETY: `pages` points to an initialised pointer for each page of `count` slots.
        unsafe { std::slice::from_raw_parts(self.pages, self.count as usize / PAGE) }
    }

    /// The slots that exist, with their descriptors, in order.
    pub fn slots(&mut self) -> impl Iterator<Item = (c_int, &mut Slot)> {
        let pages = self.pages().iter().enumerate();
        let slots = pages.filter_map(|(index, page)| {
            // SAFETY: pointers to pages are null or valid; each page is handed out once, and the
            // table stays borrowed.
            let slots = unsafe { page.as_mut() }?;
            Some((index * PAGE..).zip(slots))
        });
        slots.flatten().map(|(fd, slot)| (fd as c_int, slot))
    }

    /// The first descriptor from this one on that has events.
    pub fn next_watched(&self, from: c_int) -> Option<c_int> {
        let mut number = from as usize;
        while let Some(page) = self.pages().get(number / PAGE) {
            // SAFETY: pointers to pages are null or valid.
            match unsafe { page.as_ref() } {
                Some(slots) if !slots[number % PAGE].is_empty() => return Some(number as c_int),
                Some(_) => number += 1,
                None => number = (number / PAGE + 1) * PAGE,
            }
        }
        None
    }

    /// The slot of a descriptor that has had events.
    #[inline]
    pub fn slot(&mut self, fd: c_int) -> &mut Slot {
        // SAFETY: the slot is this table's, which stays borrowed.
        unsafe { self.known_place(fd).as_mut() }
    }

    /// The slot of any number.
    #[inline(always)]
    pub fn get(&mut self, fd: c_int) -> Option<&mut Slot> {
        // SAFETY: the slot is this table's, which stays borrowed.
        self.place(fd).map(|mut place| unsafe { place.as_mut() })
    }

    /// Where the slot of any number is, and stays.
    #[inline(always)]
    fn place(&self, fd: c_int) -> Option<NonNull<Slot>> {
        // A negative number is larger than every count.
        if fd as u32 >= self.count as u32 {
            return None;
        }
        let number = fd as u32 as usize;
        // SAFETY: the number is below `count`, so there is a pointer for its page, null or valid.
        unsafe {
            let page = NonNull::new(*self.pages.add(number / PAGE))?;
            Some(page.cast::<Slot>().add(number % PAGE))
        }
    }

    /// The same for one that has had events.
    #[inline]
    fn known_place(&self, fd: c_int) -> NonNull<Slot> {
        match self.place(fd) {
            Some(place) => place,
            None => panic!("no slot for descriptor {fd}"),
        }
    }

    /// The slot of a number that has had events.
    pub fn get_used(&mut self, fd: c_int) -> Option<&mut Slot> {
        self.get(fd).filter(|slot| slot.used)
    }

    /// The slot of a descriptor, made if it is missing; on an error nothing has changed.
    #[inline]
    fn reach(&mut self, fd: c_int) -> Result<NonNull<Slot>, SystemError> {
        if let Some(place) = self.place(fd) {
            return Ok(place);
        }
        self.add_page(fd)?;
        Ok(self.known_place(fd))
    }

    #[cold]
    fn add_page(&mut self, fd: c_int) -> Result<(), SystemError> {
        if fd >= self.count {
            self.grow(fd)?;
        }
        // Zero bytes are valid slots.
        let page = memory::allocate_zeroed::<Page>()?;
        // SAFETY: the table reaches the descriptor, whose page is missing.
        unsafe { *self.pages.add(fd as usize / PAGE) = page.as_ptr() };
        Ok(())
    }

    fn grow(&mut self, fd: c_int) -> Result<(), SystemError> {
        // Descriptors are below 2^27, so neither the doubling nor the size in bytes overflows.
        let mut count = (self.count as usize).max(PAGE);
        while count <= fd as usize {
            count *= 2;
        }
        let size = count / PAGE * size_of::<*mut Page>();
        // SAFETY: `pages` is this table's own block or null.
        let block = unsafe { memory::realloc(self.pages.cast(), size) };
        if block.is_null() {
            return Err(memory::OutOfMemory.into());
        }
        self.pages = block.cast();
        // SAFETY: the block has room for so many pointers, the first of which are initialised.
        unsafe {
            let old = self.count as usize / PAGE;
            ptr::write_bytes(self.pages.add(old), 0, count / PAGE - old);
        }
        self.count = count as c_int;
        Ok(())
    }

    /// Registers an event for its descriptor; whether the backend had to change anything. On an
    /// error nothing has changed. An event without a descriptor is accepted and never ready.
    #[inline(always)]
    pub fn add(&mut self, backend: &mut Backend, event: EventPtr) -> Result<bool, SystemError> {
        let (fd, events) = (event.fd(), event.events());
        if fd < 0 {
            event.set_registration(Registration::NOTHING);
            return Ok(false);
        }
        if fd >= Registration::FD_LIMIT {
            return Err(SystemError);
        }
        let registration = Registration::new(fd, events);
        let place = self.reach(fd)?;
        // SAFETY: a slot of this table; the reference ends before the next is made.
        let slot = unsafe { &mut *place.as_ptr() };
        match slot.first() {
            None => slot.begin(),
            Some(other) => slot.accept(registration, other)?,
        }
        slot.count_in(registration);
        // SAFETY: the slot is there, and its reference was used for the last time.
        match unsafe { backend.update_at(place, fd, self) } {
            Ok(changed) => {
                event.set_registration(registration);
                // SAFETY: the slot is live; the event is in no list, because it is not inserted.
                unsafe {
                    List::push_front(addr_of_mut!((*place.as_ptr()).events), event.as_ptr());
                }
                Ok(changed)
            }
            Err(refused) => {
                self.slot(fd).count_out(registration);
                Err(refused)
            }
        }
    }

    /// Takes an event out, by what was registered for it. It is out even when the kernel refuses.
    #[inline(always)]
    pub fn remove(&mut self, backend: &mut Backend, event: EventPtr) -> Result<bool, SystemError> {
        let registration = event.registration();
        if registration == Registration::NOTHING {
            return Ok(false);
        }
        let place = self.known_place(registration.fd());
        // SAFETY: a slot of this table, to which no reference is alive; an inserted event with a
        // registration is in its list.
        unsafe {
            List::remove(addr_of_mut!((*place.as_ptr()).events), event.as_ptr());
            (*place.as_ptr()).count_out(registration);
            backend.update_at(place, registration.fd(), self)
        }
    }

    /// Forgets what a mechanism kept that is gone.
    pub fn forget_backend(&mut self) {
        for (_, slot) in self.slots() {
            slot.backend_number = 0;
            slot.backend_bits = 0;
        }
    }

    /// Gives the memory back.
    ///
    /// # Safety
    /// No event is registered any more.
    pub unsafe fn free(&mut self) {
        for page in self.pages() {
            if !page.is_null() {
                // SAFETY: the page is this table's own, and nobody points into it.
                unsafe { memory::free(page.cast()) };
            }
        }
        if !self.pages.is_null() {
            // SAFETY: as for the pages.
            unsafe { memory::free(self.pages.cast()) };
        }
        *self = Interest::new();
    }
}

impl Default for Interest {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_persistent_events_are_taken_to_exist() {
        let reader = Registration::new(5, kind::READ | kind::PERSIST);
        let writer = Registration::new(5, kind::WRITE | kind::PERSIST);
        let mut counts = Counts::default();
        for _ in 0..u16::MAX {
            assert!(counts.have_room_for(reader));
            counts.increment(reader);
        }
        assert!(!counts.have_room_for(reader) && counts.have_room_for(writer));
        counts.increment(writer);
        assert_eq!(counts.at(Counts::WRITERS), 1);
        for _ in 0..u16::MAX {
            counts.decrement(reader);
        }
        counts.decrement(writer);
        assert_eq!(counts.0, Counts::ENDLESS);
    }
}
