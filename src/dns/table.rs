//! The questions in flight, by id.

use super::request::RequestPtr;
use crate::hooks::memory::{Array, OutOfMemory};
use crate::util::random;

/// No question has this id.
const NO_ID: u16 = 0xffff;

/// Most questions at a time. There are some more ids, so that a free one is found soon; the
/// program's questions have a lower limit, probes have no other one.
const MOST: usize = 65_100;

/// So many random bytes are fetched at a time.
const POOL: usize = 16;

/// An open table, at most half full: ids are random, so they need no hashing.
pub(super) struct Table {
    slots: Array<Option<RequestPtr>>,
    count: u32,
    /// Random bytes that wait to be used as ids.
    pool: [u8; POOL],
    left: u8,
}

impl Table {
    pub(super) const fn new() -> Table {
        Table {
            slots: Array::new(),
            count: 0,
            pool: [0; POOL],
            left: 0,
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.count as usize
    }

    /// Makes room for one more.
    pub(super) fn try_reserve(&mut self) -> Result<(), OutOfMemory> {
        if self.count() >= MOST {
            return Err(OutOfMemory);
        }
        if (self.count() + 1) * 2 <= self.slots.len() {
            return Ok(());
        }
        let mut larger = Array::new();
        larger.try_extend_to((self.slots.len() * 2).max(16), None)?;
        let old = std::mem::replace(&mut self.slots, larger);
        self.count = 0;
        for request in old.iter().flatten() {
            self.insert(*request);
        }
        Ok(())
    }

    fn mask(&self) -> usize {
        self.slots.len() - 1
    }

    /// Adds a question, for which there is room.
    pub(super) fn insert(&mut self, request: RequestPtr) {
        let mask = self.mask();
        let mut place = usize::from(request.id.get()) & mask;
        while self.slots[place].is_some() {
            place = (place + 1) & mask;
        }
        self.slots[place] = Some(request);
        self.count += 1;
    }

    fn place_of(&self, id: u16) -> Option<usize> {
        if self.slots.is_empty() {
            return None;
        }
        let mut place = usize::from(id) & self.mask();
        while let Some(request) = self.slots[place] {
            if request.id.get() == id {
                return Some(place);
            }
            place = (place + 1) & self.mask();
        }
        None
    }

    /// The question with an id.
    pub(super) fn find(&self, id: u16) -> Option<RequestPtr> {
        self.slots[self.place_of(id)?]
    }

    /// Forgets the question with an id.
    pub(super) fn remove(&mut self, id: u16) {
        let Some(mut gap) = self.place_of(id) else {
            return;
        };
        let mask = self.mask();
        self.count -= 1;
        let mut place = gap;
        loop {
            place = (place + 1) & mask;
            let Some(request) = self.slots[place] else {
                break;
            };
            // An entry that a search would no longer find across the gap is moved into it.
            let home = usize::from(request.id.get()) & mask;
            if (place.wrapping_sub(home) & mask) >= (place.wrapping_sub(gap) & mask) {
                self.slots[gap] = Some(request);
                gap = place;
            }
        }
        self.slots[gap] = None;
    }

    /// An id that cannot be guessed and is not in use. There are fewer questions than ids.
    pub(super) fn new_id(&mut self) -> u16 {
        loop {
            let [high, low] = self.random_word();
            let id = u16::from_ne_bytes([high, low]);
            if id != NO_ID && self.place_of(id).is_none() {
                return id;
            }
        }
    }

    fn random_word(&mut self) -> [u8; 2] {
        if self.left < 2 {
            random::fill(&mut self.pool);
            self.left = POOL as u8;
        }
        self.left -= 2;
        let place = usize::from(self.left);
        let word = [self.pool[place], self.pool[place + 1]];
        self.pool[place..place + 2].fill(0);
        word
    }
}
