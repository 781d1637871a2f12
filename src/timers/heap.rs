//! The timer heap: four children a node, the deadlines in the array itself, so that moving through
//! it reads no event. Events with equal deadlines come out in the order they went in.
//!
//! Nor does it write to one: the memory of the events is large and scattered. An event only knows its
//! *slot*, a number that stays while it is in the heap, and a small table says where the node of each
//! slot is now.

use super::Microseconds;
use crate::event::EventPtr;
use crate::hooks::memory::{Array, OutOfMemory};

/// An element of the heap. Compared by deadline, then by the order of insertion.
#[derive(Clone, Copy)]
struct Node {
    deadline: Microseconds,
    // The order above, the slot below: comparing the order costs nothing extra.
    order_and_slot: u64,
}

impl Node {
    #[inline]
    fn new(deadline: Microseconds, order: u32, slot: u32) -> Node {
        Node {
            deadline,
            order_and_slot: u64::from(order) << 32 | u64::from(slot),
        }
    }

    #[inline]
    fn slot(self) -> u32 {
        self.order_and_slot as u32
    }

    /// One comparison of 128 bits has no branch to predict.
    #[inline]
    fn before(self, other: Node) -> bool {
        let key = |node: Node| i128::from(node.deadline) << 64 | i128::from(node.order_and_slot);
        key(self) < key(other)
    }
}

/// Invariants: no node is before its parent. `positions` says of the slot of every node where that
/// is, and `events` whose it is; that event knows the slot. The slots that no node has any more are
/// a list through `positions`. Each array has room for `room` elements.
pub struct Heap {
    nodes: Array<Node>,
    positions: Array<u32>,
    events: Array<EventPtr>,
    room: usize,
    free_slot: u32,
    // Counts insertions. It wraps, and then timers with equal deadlines may come out of order.
    order: u32,
}

const CHILDREN: usize = 4;
const NO_SLOT: u32 = u32::MAX;

impl Heap {
    /// An empty heap without memory.
    pub const fn new() -> Heap {
        Heap {
            nodes: Array::new(),
            positions: Array::new(),
            events: Array::new(),
            room: 0,
            free_slot: NO_SLOT,
            order: 0,
        }
    }

    /// How many events are in the heap.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is no timer.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The events in the order of the array, which is not sorted.
    pub fn get(&self, index: usize) -> Option<EventPtr> {
        self.nodes.get(index).map(|node| self.event_of(node))
    }

    /// The event that is due first, and its deadline.
    #[inline]
    pub fn first(&self) -> Option<(Microseconds, EventPtr)> {
        let root = self.nodes.first()?;
        Some((root.deadline, self.event_of(root)))
    }

    /// The event that is cheapest to take out.
    pub fn last(&self) -> Option<EventPtr> {
        self.nodes.last().map(|node| self.event_of(node))
    }

    /// Whether an event in the heap is due first.
    pub fn is_first(&self, event: EventPtr) -> bool {
        let root = self.nodes.first();
        root.is_some_and(|root| root.slot() == event.heap_slot())
    }

    #[inline]
    fn event_of(&self, node: &Node) -> EventPtr {
        self.events[node.slot() as usize]
    }

    /// Makes room for one insertion.
    #[inline]
    pub fn try_reserve(&mut self) -> Result<(), OutOfMemory> {
        if self.nodes.len() < self.room {
            Ok(())
        } else {
            self.grow()
        }
    }

    #[cold]
    fn grow(&mut self) -> Result<(), OutOfMemory> {
        let room = (self.room * 2).max(8);
        if room >= NO_SLOT as usize {
            return Err(OutOfMemory);
        }
        self.nodes.try_reserve(room - self.nodes.len())?;
        self.positions.try_reserve(room - self.positions.len())?;
        self.events.try_reserve(room - self.events.len())?;
        self.room = room;
        Ok(())
    }

    /// A slot for an event.
    #[inline]
    fn take_slot(&mut self, event: EventPtr) -> u32 {
        let slot = self.free_slot;
        if slot == NO_SLOT {
            self.positions.push_reserved(NO_SLOT);
            self.events.push_reserved(event);
            return self.events.len() as u32 - 1;
        }
        self.free_slot = self.positions[slot as usize];
        self.events[slot as usize] = event;
        slot
    }

    /// Gives a slot back; where its node was.
    #[inline]
    fn give_up(&mut self, slot: u32) -> usize {
        let position = std::mem::replace(&mut self.positions[slot as usize], self.free_slot);
        self.free_slot = slot;
        position as usize
    }

    #[inline]
    fn next_order(&mut self) -> u32 {
        self.order = self.order.wrapping_add(1);
        self.order
    }

    /// Adds an event that is not in the heap, for which room was made; whether it is due first.
    #[inline]
    pub fn insert(&mut self, event: EventPtr, deadline: Microseconds) -> bool {
        let slot = self.take_slot(event);
        event.set_heap_slot(slot);
        let node = Node::new(deadline, self.next_order(), slot);
        self.nodes.push_reserved(node);
        self.sift_up(self.nodes.len() - 1, node) == 0
    }

    /// Gives an event in the heap another deadline, as if it were removed and inserted; whether it
    /// is due first.
    #[inline]
    pub fn change(&mut self, event: EventPtr, deadline: Microseconds) -> bool {
        let slot = event.heap_slot();
        let position = self.positions[slot as usize] as usize;
        assert!(position < self.nodes.len());
        let node = Node::new(deadline, self.next_order(), slot);
        self.settle(position, node) == 0
    }

    /// Takes an event out; whether it was due first.
    #[inline]
    pub fn remove(&mut self, event: EventPtr) -> bool {
        let position = self.give_up(event.heap_slot());
        event.clear_heap_slot();
        if let Some(last) = self.nodes.pop() {
            if position < self.nodes.len() {
                self.settle(position, last);
            }
        }
        position == 0
    }

    /// Stores `node` in the place `position`, or above or below it; where it is then.
    #[inline(never)]
    fn settle(&mut self, position: usize, node: Node) -> usize {
        debug_assert!(position < self.nodes.len());
        let risen = self.sift_up(position, node);
        let has_children = position * CHILDREN + 1 < self.nodes.len();
        if risen == position && has_children {
            return self.sift_down(position, node);
        }
        risen
    }

    /// Stores `node` in the place `position` or above; where it is then.
    #[inline]
    fn sift_up(&mut self, mut position: usize, node: Node) -> usize {
        debug_assert!(position < self.nodes.len());
        // SAFETY: all callers have a position below the length, and a parent's position is below its
        // child's.
        unsafe {
            while position > 0 {
                let parent = (position - 1) / CHILDREN;
                let above = *self.nodes.get_unchecked(parent);
                if !node.before(above) {
                    break;
                }
                self.place(position, above);
                position = parent;
            }
            self.place(position, node);
        }
        position
    }

    /// Stores `node` in the place `position` or below; where it is then. Apart from `settle`, which
    /// most nodes, being leaves, leave without it.
    #[inline(never)]
    fn sift_down(&mut self, mut position: usize, node: Node) -> usize {
        debug_assert!(position < self.nodes.len());
        // SAFETY: as in `sift_up`; `least_child` returns positions of nodes.
        unsafe {
            while let Some(least) = self.least_child(position) {
                let below = *self.nodes.get_unchecked(least);
                if !below.before(node) {
                    break;
                }
                self.place(position, below);
                position = least;
            }
            self.place(position, node);
        }
        position
    }

    /// Where the child of a node is that is before the others.
    #[inline]
    fn least_child(&self, position: usize) -> Option<usize> {
        let first = position * CHILDREN + 1;
        let rest = self.nodes.get(first..)?;
        let lesser = |one: usize, other: usize| match rest[other].before(rest[one]) {
            true => other,
            false => one,
        };
        let least = match rest.len() {
            // Two comparisons that do not wait for each other, and one of the winners.
            CHILDREN.. => lesser(lesser(0, 1), lesser(2, 3)),
            count => (0..count).reduce(lesser)?,
        };
        Some(first + least)
    }

    /// # Safety
    /// The position is below the length, and the node comes from this heap.
    #[inline]
    unsafe fn place(&mut self, position: usize, node: Node) {
        // SAFETY: the caller guarantees the position; slots of nodes are in the table.
        unsafe {
            *self.nodes.get_unchecked_mut(position) = node;
            *self.positions.get_unchecked_mut(node.slot() as usize) = position as u32;
        }
    }

    /// Whether the invariants hold.
    pub fn is_consistent(&self) -> bool {
        let mut slot = self.free_slot;
        let mut free = 0;
        while slot != NO_SLOT && free < self.positions.len() {
            slot = self.positions[slot as usize];
            free += 1;
        }
        slot == NO_SLOT
            && free + self.nodes.len() == self.positions.len()
            && (0..self.nodes.len()).all(|position| self.node_is_consistent(position))
    }

    fn node_is_consistent(&self, position: usize) -> bool {
        let node = self.nodes[position];
        let in_order = position == 0 || !node.before(self.nodes[(position - 1) / CHILDREN]);
        in_order
            && self.positions[node.slot() as usize] as usize == position
            && self.event_of(&node).heap_slot() == node.slot()
    }
}

impl Default for Heap {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;
    use std::collections::BTreeMap;

    fn events(count: usize) -> Vec<EventPtr> {
        (0..count)
            .map(|_| {
                // SAFETY: all-zero bytes are a valid event; the box is leaked, so it stays alive.
                unsafe { EventPtr::new(Box::leak(Box::new(std::mem::zeroed::<Event>()))).unwrap() }
            })
            .collect()
    }

    #[test]
    fn equal_deadlines_come_out_in_order_of_insertion() {
        let events = events(50);
        let mut heap = Heap::new();
        for event in &events {
            heap.try_reserve().unwrap();
            heap.insert(*event, 7);
        }
        for event in &events {
            assert!(heap.first() == Some((7, *event)));
            heap.remove(*event);
        }
    }

    #[test]
    fn agrees_with_a_sorted_map_over_random_operations() {
        let events = events(300);
        let mut heap = Heap::new();
        let mut model: BTreeMap<(i64, u32), usize> = BTreeMap::new();
        let mut keys: Vec<Option<(i64, u32)>> = vec![None; events.len()];
        let mut random = 12345u64;
        for step in 1..20_000u32 {
            random = random
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            let which = (random >> 33) as usize % events.len();
            let deadline = (random >> 20) as i64 % 40;
            match keys[which] {
                Some(key) if random & (1 << 60) != 0 => {
                    heap.remove(events[which]);
                    model.remove(&key);
                    keys[which] = None;
                    assert_eq!(events[which].heap_slot(), NO_SLOT);
                }
                old => {
                    match old {
                        Some(key) => {
                            model.remove(&key);
                            heap.change(events[which], deadline);
                        }
                        None => {
                            heap.try_reserve().unwrap();
                            heap.insert(events[which], deadline);
                        }
                    }
                    keys[which] = Some((deadline, step));
                    model.insert((deadline, step), which);
                }
            }
            assert!(heap.is_consistent());
            let first = model
                .first_key_value()
                .map(|(key, which)| (key.0, events[*which]));
            assert!(heap.first() == first);
        }
    }

    #[test]
    fn deadlines_are_kept_when_the_count_of_insertions_wraps() {
        let events = events(30);
        let mut heap = Heap::new();
        heap.order = u32::MAX - 200;
        let mut deadlines = vec![None; events.len()];
        for step in 0..400usize {
            let which = step * 7 % events.len();
            let deadline = (step * 11 % 13) as i64;
            if deadlines[which].is_none() {
                heap.try_reserve().unwrap();
                heap.insert(events[which], deadline);
            } else {
                heap.change(events[which], deadline);
            }
            deadlines[which] = Some(deadline);
            assert!(heap.is_consistent());
            let least = deadlines.iter().flatten().min().copied();
            assert_eq!(heap.first().map(|(deadline, _)| deadline), least);
        }
        assert!(heap.order < 300);
    }
}
