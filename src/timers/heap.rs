//! The timer heap: four children a node, the deadlines in the array itself, so that moving through
//! it reads no event. Events with equal deadlines come out in the order they went in.

use super::Microseconds;
use crate::event::EventPtr;
use crate::hooks::memory::{Array, OutOfMemory};

#[derive(Clone, Copy)]
struct Node {
    deadline: Microseconds,
    // Counts insertions. It wraps: ties are right while fewer than 2^31 insertions lie between.
    sequence: u32,
    event: EventPtr,
}

impl Node {
    #[inline]
    fn before(&self, other: &Node) -> bool {
        self.deadline < other.deadline
            || (self.deadline == other.deadline
                && (self.sequence.wrapping_sub(other.sequence) as i32) < 0)
    }
}

/// Invariants: no node is before its parent; the `heap_index` of every event in here is its place.
pub struct Heap {
    nodes: Array<Node>,
    sequence: u32,
}

const CHILDREN: usize = 4;

impl Heap {
    /// An empty heap without memory.
    pub const fn new() -> Heap {
        Heap {
            nodes: Array::new(),
            sequence: 0,
        }
    }

    /// How many events are in the heap.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is no timer.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The events in the order of the array, which is not sorted.
    pub fn get(&self, index: usize) -> Option<EventPtr> {
        self.nodes.get(index).map(|node| node.event)
    }

    /// The event that is due first, and its deadline.
    #[inline]
    pub fn first(&self) -> Option<(Microseconds, EventPtr)> {
        self.nodes.first().map(|node| (node.deadline, node.event))
    }

    /// Makes room so that the next insertion cannot fail.
    pub fn try_reserve(&mut self) -> Result<(), OutOfMemory> {
        self.nodes.try_reserve(1)
    }

    /// Adds an event that is not in the heap.
    pub fn insert(&mut self, event: EventPtr, deadline: Microseconds) -> Result<(), OutOfMemory> {
        self.sequence = self.sequence.wrapping_add(1);
        let node = Node {
            deadline,
            sequence: self.sequence,
            event,
        };
        self.nodes.try_push(node)?;
        self.sift_up(self.nodes.len() - 1, node);
        Ok(())
    }

    /// Gives an event in the heap another deadline, as if it were removed and inserted.
    pub fn change(&mut self, event: EventPtr, deadline: Microseconds) {
        self.sequence = self.sequence.wrapping_add(1);
        let node = Node {
            deadline,
            sequence: self.sequence,
            event,
        };
        self.settle(event.heap_index() as usize, node);
    }

    /// Takes an event out.
    pub fn remove(&mut self, event: EventPtr) {
        let index = event.heap_index() as usize;
        debug_assert!(self.nodes[index].event == event);
        if let Some(last) = self.nodes.pop() {
            if index < self.nodes.len() {
                self.settle(index, last);
            }
        }
        event.set_heap_index(-1);
    }

    /// Stores `node` somewhere on the way up or down from the free place `index`.
    fn settle(&mut self, index: usize, node: Node) {
        if index > 0 && node.before(&self.nodes[(index - 1) / CHILDREN]) {
            self.sift_up(index, node);
        } else {
            self.sift_down(index, node);
        }
    }

    fn sift_up(&mut self, mut index: usize, node: Node) {
        while index > 0 {
            let parent = (index - 1) / CHILDREN;
            if !node.before(&self.nodes[parent]) {
                break;
            }
            self.place(index, self.nodes[parent]);
            index = parent;
        }
        self.place(index, node);
    }

    fn sift_down(&mut self, mut index: usize, node: Node) {
        loop {
            let first = index * CHILDREN + 1;
            let children = first..(first + CHILDREN).min(self.nodes.len());
            let Some(least) = children.reduce(|least, child| {
                if self.nodes[child].before(&self.nodes[least]) {
                    child
                } else {
                    least
                }
            }) else {
                break;
            };
            if !self.nodes[least].before(&node) {
                break;
            }
            self.place(index, self.nodes[least]);
            index = least;
        }
        self.place(index, node);
    }

    #[inline]
    fn place(&mut self, index: usize, node: Node) {
        self.nodes[index] = node;
        node.event.set_heap_index(index as i32);
    }

    /// Whether both invariants hold.
    pub fn is_consistent(&self) -> bool {
        self.nodes.iter().enumerate().all(|(index, node)| {
            node.event.heap_index() == index as i32
                && (index == 0 || !node.before(&self.nodes[(index - 1) / CHILDREN]))
        })
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
            heap.insert(*event, 7).unwrap();
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
                    assert_eq!(events[which].heap_index(), -1);
                }
                old => {
                    match old {
                        Some(key) => {
                            model.remove(&key);
                            heap.change(events[which], deadline);
                        }
                        None => heap.insert(events[which], deadline).unwrap(),
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
}
