//! Which bases exist.
//!
//! Programs free events after their base. An idle event has nothing to do with its base any more,
//! but its pointer dangles: [`is_live`] says whether it may be followed.

use super::EventBase;
use crate::hooks::futex::RawMutex;
use crate::hooks::memory::{self, OutOfMemory};
use std::cell::UnsafeCell;
use std::mem::size_of;
use std::ptr;
use std::sync::atomic::{
    AtomicPtr, AtomicUsize,
    Ordering::{AcqRel, Acquire, Release},
};

/// The bases of most programs find places here, where they are seen without a lock.
const PLACES: usize = 64;

static BASES: [AtomicPtr<EventBase>; PLACES] = [const { AtomicPtr::new(ptr::null_mut()) }; PLACES];

/// The others, and how many those are.
static OTHERS: Others = Others {
    lock: RawMutex::new(),
    table: UnsafeCell::new(Table::new()),
};
static OTHERS_COUNT: AtomicUsize = AtomicUsize::new(0);

/// Enters a base that was just made.
pub(super) fn enter(base: *mut EventBase) -> Result<(), OutOfMemory> {
    let free = |place: &AtomicPtr<EventBase>| {
        place
            .compare_exchange(ptr::null_mut(), base, AcqRel, Acquire)
            .is_ok()
    };
    if !BASES.iter().any(free) {
        OTHERS.with(|table| table.insert(base))?;
        OTHERS_COUNT.fetch_add(1, Release);
    }
    Ok(())
}

/// Removes a base that is being freed, if it was entered.
pub(super) fn leave(base: *mut EventBase) {
    let own = |place: &AtomicPtr<EventBase>| {
        place
            .compare_exchange(base, ptr::null_mut(), AcqRel, Acquire)
            .is_ok()
    };
    if !BASES.iter().any(own) && OTHERS.with(|table| table.remove(base)) {
        OTHERS_COUNT.fetch_sub(1, Release);
    }
}

/// Whether the pointer may be followed.
#[inline(never)]
pub fn is_live(base: *mut EventBase) -> bool {
    BASES.iter().any(|place| place.load(Acquire) == base)
        || OTHERS_COUNT.load(Acquire) > 0 && OTHERS.with(|table| table.contains(base))
}

struct Others {
    lock: RawMutex,
    table: UnsafeCell<Table>,
}

// SAFETY: the table is only used with the lock held.
unsafe impl Sync for Others {}

impl Others {
    fn with<R>(&self, use_table: impl FnOnce(&mut Table) -> R) -> R {
        self.lock.lock();
        // SAFETY: the lock is held, and nothing that runs here comes back or unwinds.
        let result = use_table(unsafe { &mut *self.table.get() });
        self.lock.unlock();
        result
    }
}

/// A hash table of addresses, at most half full: each is in the first free place from its home.
///
/// Invariant: `places` points to `size` pointers from the hooks, a power of two, or is null with 0.
struct Table {
    places: *mut *mut EventBase,
    size: usize,
    count: usize,
}

impl Table {
    const fn new() -> Table {
        Table {
            places: ptr::null_mut(),
            size: 0,
            count: 0,
        }
    }

    fn place(&self, index: usize) -> *mut *mut EventBase {
        // SAFETY: the mask keeps the index in the table, which is not empty.
        unsafe { self.places.add(index & (self.size - 1)) }
    }

    fn home(base: *mut EventBase) -> usize {
        (base as usize >> 4).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20
    }

    /// The place where the base is, or would be.
    fn find(&self, base: *mut EventBase) -> usize {
        let mut index = Self::home(base);
        // SAFETY: places of the table; some are free.
        while unsafe { !(*self.place(index)).is_null() && *self.place(index) != base } {
            index += 1;
        }
        index
    }

    fn contains(&self, base: *mut EventBase) -> bool {
        // SAFETY: a place of the table.
        self.size > 0 && unsafe { *self.place(self.find(base)) == base }
    }

    fn insert(&mut self, base: *mut EventBase) -> Result<(), OutOfMemory> {
        if 2 * (self.count + 1) > self.size {
            self.grow()?;
        }
        // SAFETY: a free place of the table.
        unsafe { *self.place(self.find(base)) = base };
        self.count += 1;
        Ok(())
    }

    fn grow(&mut self) -> Result<(), OutOfMemory> {
        let size = (2 * self.size).max(PLACES);
        let places: *mut *mut EventBase = memory::calloc(size, size_of::<usize>()).cast();
        if places.is_null() {
            return Err(OutOfMemory);
        }
        let old = std::mem::replace(
            self,
            Table {
                places,
                size,
                count: self.count,
            },
        );
        for index in 0..old.size {
            // SAFETY: places of the old table; the new one has free ones.
            unsafe {
                let base = *old.places.add(index);
                if !base.is_null() {
                    *self.place(self.find(base)) = base;
                }
            }
        }
        // SAFETY: the block is of no more use.
        unsafe { memory::free(old.places.cast()) };
        Ok(())
    }

    /// Whether it was there.
    fn remove(&mut self, base: *mut EventBase) -> bool {
        if !self.contains(base) {
            return false;
        }
        let mut free = self.find(base);
        let mut index = free;
        // SAFETY: places of the table. What stands behind, up to the next free place, closes the
        // gap unless it would come before its own place.
        unsafe {
            loop {
                index += 1;
                let next = *self.place(index);
                if next.is_null() {
                    break;
                }
                let mask = self.size - 1;
                let distance = index.wrapping_sub(Self::home(next)) & mask;
                if distance >= index.wrapping_sub(free) & mask {
                    *self.place(free) = next;
                    free = index;
                }
            }
            *self.place(free) = ptr::null_mut();
        }
        self.count -= 1;
        if self.count == 0 {
            // SAFETY: the block is of no more use.
            unsafe { memory::free(self.places.cast()) };
            *self = Table::new();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_keeps_what_is_in_it() {
        let mut table = Table::new();
        let base = |n: usize| (n * 7 % 1000 * 16 + 16) as *mut EventBase;
        for round in 0..3 {
            for n in 0..1000 {
                assert!(!table.contains(base(n)));
                table.insert(base(n)).unwrap();
            }
            for n in 0..1000 {
                assert!(table.remove(base(n)) && !table.remove(base(n)));
                assert!((n + 1..1000).all(|other| table.contains(base(other))));
            }
            assert_eq!((round, table.size, table.count), (round, 0, 0));
        }
    }
}
