//! Common timeouts: many timers of one duration in a first-in first-out list, so that adding and
//! removing one costs no search. A program names such a duration by a `timeval` whose microseconds
//! carry a mark and the number of the list in their upper bits.

use super::{Microseconds, time};
use crate::event::{CommonTimeoutLinks, Event, EventPtr, debug};
use crate::hooks::memory::{self, Array, OutOfMemory};
use crate::list::TailQueue;
use libc::timeval;
use std::ptr::{NonNull, addr_of_mut};

const MICROSECONDS: i64 = 0x000f_ffff;
const MARK_BITS: i64 = 0xf000_0000;
const MARK: i64 = 0x5000_0000;
const INDEX_BITS: i64 = 0x0ff0_0000;
const INDEX_SHIFT: u32 = 20;

/// More durations than this do not fit into the mark.
pub const LIMIT: usize = 256;

/// One duration and the events that wait for it, sorted by deadline.
pub struct CommonTimeout {
    /// What the program passes to `event_add`: the duration with the mark.
    pub marked: timeval,
    /// The waiting events.
    pub events: TailQueue<CommonTimeoutLinks>,
    /// The internal event in the heap that represents the first of them.
    pub timer: Event,
}

/// A handle to a list, valid until the base is freed.
pub type CommonTimeoutPtr = NonNull<CommonTimeout>;

/// The lists of a base; they are never removed one by one, so that a marked duration stays valid.
pub struct CommonTimeouts {
    lists: Array<CommonTimeoutPtr>,
}

/// Removes the mark: the plain duration or deadline.
pub fn unmarked(mut time: timeval) -> timeval {
    time.tv_usec &= MICROSECONDS;
    time
}

impl CommonTimeouts {
    /// No lists.
    pub const fn new() -> CommonTimeouts {
        CommonTimeouts {
            lists: Array::new(),
        }
    }

    /// The list that a marked time belongs to; `None` for ordinary times, also for those that look
    /// marked but name no list.
    #[inline]
    pub fn of(&self, time: timeval) -> Option<CommonTimeoutPtr> {
        if self.lists.is_empty() {
            None
        } else {
            self.marked_list(time)
        }
    }

    #[inline(never)]
    fn marked_list(&self, time: timeval) -> Option<CommonTimeoutPtr> {
        if time.tv_usec & !(MICROSECONDS | INDEX_BITS) != MARK {
            return None;
        }
        let index = (time.tv_usec & INDEX_BITS) >> INDEX_SHIFT;
        self.lists.get(index as usize).copied()
    }

    /// The list of a duration given without a mark.
    pub fn find(&self, duration: Microseconds) -> Option<CommonTimeoutPtr> {
        self.lists.iter().copied().find(|list| {
            // SAFETY: lists live until the base is freed.
            let marked = unsafe { (*list.as_ptr()).marked };
            time::from_timeval(unmarked(marked)) == duration
        })
    }

    /// Every list.
    pub fn iter(&self) -> impl Iterator<Item = CommonTimeoutPtr> + '_ {
        self.lists.iter().copied()
    }

    /// Whether no further duration can be named.
    pub fn is_full(&self) -> bool {
        self.lists.len() >= LIMIT
    }

    /// A new, empty list; the caller initialises its timer. There must be fewer than [`LIMIT`].
    pub fn create(&mut self, duration: Microseconds) -> Result<CommonTimeoutPtr, OutOfMemory> {
        self.lists.try_reserve(1)?;
        let list = memory::allocate_zeroed::<CommonTimeout>()?;
        let mut marked = time::to_timeval(duration);
        marked.tv_usec |= MARK | ((self.lists.len() as i64) << INDEX_SHIFT);
        // SAFETY: the block was just allocated and does not move.
        unsafe {
            (*list.as_ptr()).marked = marked;
            TailQueue::initialise(addr_of_mut!((*list.as_ptr()).events));
        }
        self.lists.try_push(list)?;
        Ok(list)
    }

    /// Gives the lists' memory back.
    ///
    /// # Safety
    /// No event is in a list and no list's timer is pending.
    pub unsafe fn free(&mut self) {
        while let Some(list) = self.lists.pop() {
            // SAFETY: the block came from the hooks and is used no more.
            unsafe {
                let timer = EventPtr::new(addr_of_mut!((*list.as_ptr()).timer));
                timer.into_iter().for_each(debug::note_teardown);
                memory::free(list.as_ptr().cast());
            }
        }
    }
}

impl Default for CommonTimeouts {
    fn default() -> Self {
        Self::new()
    }
}

/// A deadline with the mark of the list that it is in.
pub fn mark_deadline(list: CommonTimeoutPtr, deadline: Microseconds) -> timeval {
    // SAFETY: lists live until the base is freed.
    let mark = unsafe { (*list.as_ptr()).marked.tv_usec } & (MARK_BITS | INDEX_BITS);
    let mut time = time::to_timeval(deadline);
    time.tv_usec |= mark;
    time
}

/// Inserts an event into a list after every event that is due no later. New deadlines are almost
/// always the latest, so the search starts at the end.
///
/// # Safety
/// The event is in no list, and its `deadline` field is set.
pub unsafe fn insert(list: CommonTimeoutPtr, event: EventPtr) {
    let due = |event: EventPtr| time::from_timeval(unmarked(event.deadline()));
    // SAFETY: the list is live; its elements were added by this function and are therefore live.
    unsafe {
        let queue = addr_of_mut!((*list.as_ptr()).events);
        let mut place = EventPtr::new(TailQueue::last(queue));
        while let Some(earlier) = place {
            if due(earlier) <= due(event) {
                TailQueue::insert_after(queue, earlier.as_ptr(), event.as_ptr());
                return;
            }
            place = EventPtr::new(TailQueue::<CommonTimeoutLinks>::previous(earlier.as_ptr()));
        }
        TailQueue::push_front(queue, event.as_ptr());
    }
}

/// The event that is due first.
///
/// # Safety
/// The events in the list are live.
pub unsafe fn first(list: CommonTimeoutPtr) -> Option<EventPtr> {
    // SAFETY: the list is live, and the caller vouches for the events.
    unsafe { EventPtr::new(TailQueue::first(addr_of_mut!((*list.as_ptr()).events))) }
}

/// Takes an event out of the list it is in.
///
/// # Safety
/// The event is in this list.
pub unsafe fn remove(list: CommonTimeoutPtr, event: EventPtr) {
    // SAFETY: the caller guarantees membership.
    unsafe { TailQueue::remove(addr_of_mut!((*list.as_ptr()).events), event.as_ptr()) };
    event.clear_heap_position();
}
