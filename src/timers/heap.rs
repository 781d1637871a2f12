//! The timer heap: four children a node, the deadlines in the array itself, so that moving through
//! it reads no event. Events with equal deadlines come out in the order they went in.
//!
//! Two things keep it away from the memory of the events, which is large and scattered:
//!
//! - An event has a *slot*, a number that stays while it is in the heap, and a table of the slots
//!   says where its node is now. A node that moves changes the small table, not its event.
//! - A timer that is put off, as that of a busy connection is again and again, does not move. Its
//!   node keeps the earlier deadline and gets the true one, which the event knows, as soon as it
//!   has come to the root.

use super::Microseconds;
use crate::event::{EventPtr, HeapPlace};
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
    fn order(self) -> u32 {
        (self.order_and_slot >> 32) as u32
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
/// is, `events` whose it is, and the [`HeapPlace`] of that event names the slot. No node is due
/// later than its event, and the root is due when its event is. The slots that no node has are a
/// list through `positions`. The three arrays have the same length; the nodes are the first
/// `length` of theirs.
pub struct Heap {
    nodes: Array<Node>,
    positions: Array<u32>,
    events: Array<Option<EventPtr>>,
    length: usize,
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
            length: 0,
            free_slot: NO_SLOT,
            order: 0,
        }
    }

    /// How many events are in the heap.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there is no timer.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The events in the order of the array, which is not sorted.
    pub fn get(&self, index: usize) -> Option<EventPtr> {
        self.nodes[..self.length]
            .get(index)
            .and_then(|node| self.event_of(*node))
    }

    /// The event that is due first, and its deadline.
    #[inline]
    pub fn first(&self) -> Option<(Microseconds, EventPtr)> {
        let root = self.root()?;
        Some((root.deadline, self.event_of(root)?))
    }

    /// Whether an event in the heap is due first.
    #[inline]
    pub fn is_first(&self, event: EventPtr) -> bool {
        self.root()
            .is_some_and(|root| root.slot() == event.heap_place().slot)
    }

    #[inline]
    fn root(&self) -> Option<Node> {
        // SAFETY: there is a node.
        (self.length > 0).then(|| unsafe { self.node(0) })
    }

    #[inline]
    fn event_of(&self, node: Node) -> Option<EventPtr> {
        // SAFETY: slots of nodes are in the table.
        unsafe { *self.events.get_unchecked(node.slot() as usize) }
    }

    /// Makes room for one insertion.
    #[inline]
    pub fn try_reserve(&mut self) -> Result<(), OutOfMemory> {
        if self.length < self.positions.len() {
            Ok(())
        } else {
            self.grow()
        }
    }

    /// Doubles the slots, or changes nothing.
    #[cold]
    fn grow(&mut self) -> Result<(), OutOfMemory> {
        let old = self.positions.len();
        let new = (old * 2).max(8);
        if new >= NO_SLOT as usize {
            return Err(OutOfMemory);
        }
        self.nodes.try_reserve(new - old)?;
        self.events.try_reserve(new - old)?;
        self.positions.try_extend_to(new, NO_SLOT)?;
        // There is memory for these.
        self.nodes.try_extend_to(new, Node::new(0, 0, NO_SLOT))?;
        self.events.try_extend_to(new, None)?;
        for slot in (old..new).rev() {
            self.give_up(slot as u32);
        }
        Ok(())
    }

    /// Puts a slot on the list of those that no node has.
    #[inline]
    fn give_up(&mut self, slot: u32) {
        self.positions[slot as usize] = self.free_slot;
        self.free_slot = slot;
    }

    #[inline]
    fn next_order(&mut self) -> u32 {
        self.order = self.order.wrapping_add(1);
        self.order
    }

    /// Adds an event that is not in the heap, for which room was made; whether it is due first.
    #[inline]
    pub fn insert(&mut self, event: EventPtr, deadline: Microseconds) -> bool {
        assert!(self.length < self.positions.len());
        let (slot, order) = (self.free_slot, self.next_order());
        // SAFETY: there are more slots than nodes, so the list of the others has one.
        unsafe {
            self.free_slot = *self.positions.get_unchecked(slot as usize);
            *self.events.get_unchecked_mut(slot as usize) = Some(event);
        }
        event.set_heap_place(HeapPlace {
            slot,
            order,
            deadline,
        });
        self.length += 1;
        self.sift_up(self.length - 1, Node::new(deadline, order, slot)) == 0
    }

    /// Gives an event in the heap another deadline, as if it were removed and inserted; whether it
    /// is due first.
    #[inline]
    pub fn change(&mut self, event: EventPtr, deadline: Microseconds) -> bool {
        let old = event.heap_place();
        let new = HeapPlace {
            slot: old.slot,
            order: self.next_order(),
            deadline,
        };
        event.set_heap_place(new);
        if deadline < old.deadline {
            self.move_forward(Node::new(deadline, new.order, new.slot))
        } else {
            self.is_first(event) && self.put_off_root(event)
        }
    }

    /// The event at the root is due later than it was; whether it still is the first.
    #[inline(never)]
    fn put_off_root(&mut self, event: EventPtr) -> bool {
        self.refresh_root();
        self.is_first(event)
    }

    /// Stores a node if it is before the one that its slot has; whether it is the root.
    #[inline(never)]
    fn move_forward(&mut self, node: Node) -> bool {
        let position = self.positions[node.slot() as usize] as usize;
        node.before(self.nodes[position]) && self.sift_up(position, node) == 0
    }

    /// Takes an event out; whether it was due first.
    #[inline]
    pub fn remove(&mut self, event: EventPtr) -> bool {
        let slot = event.heap_place().slot;
        let position = self.positions[slot as usize] as usize;
        self.give_up(slot);
        event.clear_heap_place();
        self.length = self.length.saturating_sub(1);
        if position == 0 {
            self.replace_root();
            return true;
        }
        if position < self.length {
            self.fill(position);
        }
        false
    }

    /// Moves the node behind the last one to the root, which is free, or where it belongs.
    #[inline(never)]
    fn replace_root(&mut self) {
        if self.length > 0 {
            self.sift_down(0, self.nodes[self.length]);
            self.refresh_root();
        }
    }

    /// Moves the node behind the last one to a free place below the root, or where it belongs.
    #[inline(never)]
    fn fill(&mut self, position: usize) {
        let node = self.nodes[self.length];
        let is_leaf = position * CHILDREN + 1 >= self.length;
        if is_leaf || node.before(self.nodes[(position - 1) / CHILDREN]) {
            self.sift_up(position, node);
        } else {
            self.sift_down(position, node);
        }
    }

    /// Lets nodes go from the root whose events were put off, until one is due as it says.
    #[inline(never)]
    fn refresh_root(&mut self) {
        while let Some((root, event)) = self
            .root()
            .and_then(|root| Some((root, self.event_of(root)?)))
        {
            let place = event.heap_place();
            if (place.deadline, place.order) == (root.deadline, root.order()) {
                break;
            }
            self.sift_down(0, Node::new(place.deadline, place.order, root.slot()));
        }
    }

    /// Stores `node` in the place `position` or above; where it is then.
    #[inline]
    fn sift_up(&mut self, mut position: usize, node: Node) -> usize {
        debug_assert!(position < self.length);
        // SAFETY: all callers have a position below the length, and a parent's position is below its
        // child's.
        unsafe {
            while position > 0 {
                let parent = (position - 1) / CHILDREN;
                let above = self.node(parent);
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

    /// Stores `node` in the place `position` or below.
    fn sift_down(&mut self, mut position: usize, node: Node) {
        debug_assert!(position < self.length);
        // SAFETY: as in `sift_up`; `least_child` returns positions of nodes.
        unsafe {
            while let Some(least) = self.least_child(position) {
                let below = self.node(least);
                if !below.before(node) {
                    break;
                }
                self.place(position, below);
                position = least;
            }
            self.place(position, node);
        }
    }

    /// Where the child of a node is that is before the others.
    #[inline]
    fn least_child(&self, position: usize) -> Option<usize> {
        let first = position * CHILDREN + 1;
        let rest = self.nodes.get(first..self.length)?;
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
    /// There is a node at the position.
    #[inline]
    unsafe fn node(&self, position: usize) -> Node {
        // SAFETY: the caller guarantees the position.
        unsafe { *self.nodes.get_unchecked(position) }
    }

    /// # Safety
    /// There is a place for a node at the position, and the node comes from this heap.
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
            && free + self.length == self.positions.len()
            && (0..self.length).all(|position| self.node_is_consistent(position))
    }

    fn node_is_consistent(&self, position: usize) -> bool {
        let node = self.nodes[position];
        let Some(place) = self.event_of(node).map(EventPtr::heap_place) else {
            return false;
        };
        let true_node = Node::new(place.deadline, place.order, place.slot);
        let in_order = position == 0 || !node.before(self.nodes[(position - 1) / CHILDREN]);
        let up_to_date = !true_node.before(node) && !node.before(true_node);
        self.positions[node.slot() as usize] as usize == position
            && place.slot == node.slot()
            && in_order
            && place.deadline >= node.deadline
            && (position > 0 || up_to_date)
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
                    assert_eq!(events[which].heap_place().slot, NO_SLOT);
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
