//! The timer heap: eight children a node, all that is compared in the array itself, so that moving
//! through it reads no event. Events with equal deadlines come out in the order they went in, though
//! the heap itself does not keep it: where many have one deadline, they need not move past each other.
//!
//! An event knows where its node is. Those that are due are parted from the others, and sorted.

use super::Microseconds;
use crate::event::EventPtr;
use crate::hooks::memory::{Array, OutOfMemory};
use crate::require;

/// An element of the heap: deadline, order of insertion, event.
#[derive(Clone, Copy)]
struct Node {
    // The deadline above, the upper part of the order below.
    deadline_and_order: i64,
    // The lower part of the order above, the address of the event below.
    order_and_event: u64,
}

/// The order takes what neither deadlines, which are years apart at most, nor addresses need.
const ORDER_BITS: u32 = 64 - DEADLINE_BITS + 64 - ADDRESS_BITS;
const DEADLINE_BITS: u32 = 56;
const ADDRESS_BITS: u32 = 48;
const ORDER_BESIDE_DEADLINE: i64 = (1 << (64 - DEADLINE_BITS)) - 1;
const LATEST: Microseconds = (1 << (DEADLINE_BITS - 1)) - 1;

impl Node {
    #[inline]
    fn new(deadline: Microseconds, order: u32, event: EventPtr) -> Node {
        let address = event.as_ptr().expose_provenance() as u64;
        require!(
            address >> ADDRESS_BITS == 0,
            "an event lies at an address that the kernel does not give out"
        );
        let deadline = deadline.clamp(-LATEST, LATEST);
        Node {
            deadline_and_order: deadline << (64 - DEADLINE_BITS)
                | i64::from(order >> (64 - ADDRESS_BITS)),
            order_and_event: u64::from(order) << ADDRESS_BITS | address,
        }
    }

    #[inline]
    fn deadline(self) -> Microseconds {
        self.deadline_and_order >> (64 - DEADLINE_BITS)
    }

    #[inline]
    fn event(self) -> EventPtr {
        let address = (self.order_and_event & ((1 << ADDRESS_BITS) - 1)) as usize;
        let event = std::ptr::with_exposed_provenance_mut(address);
        // SAFETY: the address is that of an event, which lives as long as it is in the heap.
        unsafe { EventPtr::new(event).unwrap_unchecked() }
    }

    /// What those that are due are sorted by: the deadline, then the order.
    #[inline]
    fn key(self) -> i128 {
        i128::from(self.deadline_and_order) << 64 | i128::from(self.order_and_event)
    }

    /// Whether its deadline is earlier, whatever the order.
    #[inline]
    fn before(self, other: Node) -> bool {
        self.deadline_and_order | ORDER_BESIDE_DEADLINE < other.deadline_and_order
    }
}

/// Invariants: no node is before its parent, and the event of each node knows its position; but for
/// the last `due` nodes, which were parted from the others and are sorted, the first one last.
/// The order plays no part in the heap, only in what was parted.
pub struct Heap {
    nodes: Array<Node>,
    due: usize,
    // Counts insertions. It wraps, and then timers with equal deadlines may come out of order.
    order: u32,
}

const CHILDREN: usize = 8;
/// A heap of no more nodes keeps its memory, and doubles it when it grows. A larger one is made
/// larger by eighths, which the allocator mostly does without copying.
const SMALL: usize = 4096;
/// How many nodes ahead of the one that is taken out the memory of events is fetched.
const AHEAD: usize = 6;

impl Heap {
    /// An empty heap without memory.
    pub const fn new() -> Heap {
        Heap {
            nodes: Array::new(),
            due: 0,
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
        self.nodes.get(index).map(|node| node.event())
    }

    /// The event that is due first, and its deadline.
    #[inline]
    pub fn first(&self) -> Option<(Microseconds, EventPtr)> {
        let root = self.nodes.first()?;
        Some((root.deadline(), root.event()))
    }

    /// The event that is cheapest to take out.
    pub fn last(&self) -> Option<EventPtr> {
        self.nodes.last().map(|node| node.event())
    }

    /// Whether an event in the heap is due first.
    pub fn is_first(&self, event: EventPtr) -> bool {
        self.nodes.first().is_some_and(|root| root.event() == event)
    }

    /// Makes room for one insertion.
    #[inline]
    pub fn try_reserve(&mut self) -> Result<(), OutOfMemory> {
        if self.nodes.len() < self.nodes.capacity() {
            Ok(())
        } else {
            self.grow()
        }
    }

    #[cold]
    fn grow(&mut self) -> Result<(), OutOfMemory> {
        let room = self.nodes.capacity();
        if room >= u32::MAX as usize / 2 {
            return Err(OutOfMemory);
        }
        let more = if room < SMALL { room.max(4) } else { room / 8 };
        self.nodes.try_set_capacity(room + more)
    }

    /// Gives memory back that many timers needed and few are left.
    #[inline]
    fn shrink(&mut self) {
        let room = self.nodes.capacity();
        if room > SMALL && self.nodes.len() < room / 8 {
            self.shrink_to(room / 4);
        }
    }

    #[cold]
    fn shrink_to(&mut self, room: usize) {
        // An allocator that does not make a block smaller leaves it as it is.
        let _: Result<(), OutOfMemory> = self.nodes.try_set_capacity(room);
    }

    #[inline]
    fn next_order(&mut self) -> u32 {
        self.order = (self.order + 1) % (1 << ORDER_BITS);
        self.order
    }

    /// Adds an event that is not in the heap, for which room was made; whether it is due first.
    #[inline]
    pub fn insert(&mut self, event: EventPtr, deadline: Microseconds) -> bool {
        let node = Node::new(deadline, self.next_order(), event);
        self.nodes.push_reserved(node);
        self.sift_up(self.nodes.len() - 1, node) == 0
    }

    /// Gives an event in the heap another deadline, as if it were removed and inserted; whether it
    /// is due first.
    #[inline]
    pub fn change(&mut self, event: EventPtr, deadline: Microseconds) -> bool {
        let position = event.heap_position() as usize;
        assert!(position < self.nodes.len());
        let node = Node::new(deadline, self.next_order(), event);
        self.sift(position, node) == 0
    }

    /// Takes an event out; whether it was due first.
    #[inline]
    pub fn remove(&mut self, event: EventPtr) -> bool {
        let position = event.heap_position() as usize;
        event.clear_heap_position();
        if let Some(last) = self.nodes.pop() {
            if position < self.nodes.len() {
                self.sift(position, last);
            }
        }
        self.shrink();
        position == 0
    }

    /// Parts the events that are due from the others; then [`Heap::pop_due`] has to take all of them
    /// out before anything else is done.
    #[inline]
    pub fn part_due(&mut self, now: Microseconds) {
        if self
            .nodes
            .first()
            .is_some_and(|root| root.deadline() <= now)
        {
            self.part(now);
        }
    }

    #[inline(never)]
    fn part(&mut self, now: Microseconds) {
        let due = self.count_due(now);
        let others = if due > 1 && due >= self.nodes.len() / CHILDREN {
            let others = self.move_due_behind(now);
            self.restore(others);
            others
        } else {
            self.pop_due_behind(now)
        };
        self.due = self.nodes.len() - others;
        if self.due > 1 {
            self.nodes[others..].sort_unstable_by_key(|node| std::cmp::Reverse(node.key()));
        }
    }

    /// Takes the nodes that are due out of the heap one by one and puts them behind it; how many
    /// are left in it.
    fn pop_due_behind(&mut self, now: Microseconds) -> usize {
        let mut others = self.nodes.len();
        while others > 0 && self.nodes[0].deadline() <= now {
            others -= 1;
            let last = self.nodes[others];
            self.nodes[others] = self.nodes[0];
            if others > 0 {
                self.sift_down(others, 0, last);
            }
        }
        others
    }

    /// How many nodes are due; 0 when they are too few among the others to be worth counting. They
    /// are a part of the tree that hangs together at the root, whose levels follow each other.
    fn count_due(&self, now: Microseconds) -> usize {
        let (mut due, mut start, mut width) = (0, 0, 1);
        while let Some(rest) = self.nodes.get(start..) {
            let level = &rest[..rest.len().min(width)];
            let here = level.iter().filter(|node| node.deadline() <= now).count();
            due += here;
            start += level.len();
            if here == 0 {
                break;
            }
            if start > 2 * CHILDREN * due {
                return 0;
            }
            width *= CHILDREN;
        }
        due
    }

    /// Puts the nodes that are not due in front; how many those are.
    fn move_due_behind(&mut self, now: Microseconds) -> usize {
        let mut others = 0;
        for position in 0..self.nodes.len() {
            if self.nodes[position].deadline() > now {
                self.nodes.swap(position, others);
                others += 1;
            }
        }
        others
    }

    /// Makes a heap of the first nodes again.
    fn restore(&mut self, count: usize) {
        for position in (0..count.div_ceil(CHILDREN)).rev() {
            let node = self.nodes[position];
            let mut place = position;
            while let Some(least) = least_child(&self.nodes[..count], place) {
                if !self.nodes[least].before(node) {
                    break;
                }
                self.nodes[place] = self.nodes[least];
                place = least;
            }
            self.nodes[place] = node;
        }
        for (position, node) in self.nodes[..count].iter().enumerate() {
            node.event().set_heap_position(position as u32);
        }
    }

    /// Takes out the next of the events that were parted.
    #[inline]
    pub fn pop_due(&mut self) -> Option<EventPtr> {
        self.due = self.due.checked_sub(1)?;
        let event = self.nodes.pop()?.event();
        event.clear_heap_position();
        match self.due {
            0 => self.shrink(),
            left => {
                let ahead = &self.nodes[self.nodes.len() - left.min(AHEAD)];
                ahead.event().prefetch();
            }
        }
        Some(event)
    }

    /// Stores `node` in the place `position`, or above or below it; where it is then.
    #[inline(never)]
    fn sift(&mut self, position: usize, node: Node) -> usize {
        debug_assert!(position < self.nodes.len());
        let risen = self.sift_up(position, node);
        let has_children = position * CHILDREN + 1 < self.nodes.len();
        if risen == position && has_children {
            return self.sift_down(self.nodes.len(), position, node);
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

    /// Stores `node` in the place `position` or below, among the first `count` nodes; where it is
    /// then. Apart from `sift`, which most nodes, being leaves, leave without it.
    #[inline(never)]
    fn sift_down(&mut self, count: usize, mut position: usize, node: Node) -> usize {
        assert!(position < count && count <= self.nodes.len());
        // SAFETY: as in `sift_up`; `least_child` returns positions of nodes.
        unsafe {
            while let Some(least) = least_child(&self.nodes[..count], position) {
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

    /// # Safety
    /// The position is below the length.
    #[inline]
    unsafe fn place(&mut self, position: usize, node: Node) {
        // SAFETY: the caller guarantees the position.
        unsafe { *self.nodes.get_unchecked_mut(position) = node };
        node.event().set_heap_position(position as u32);
    }

    /// Whether the invariants hold.
    pub fn is_consistent(&self) -> bool {
        self.due == 0
            && (0..self.nodes.len()).all(|position| {
                let node = self.nodes[position];
                let in_order = position == 0 || !node.before(self.nodes[(position - 1) / CHILDREN]);
                in_order && node.event().heap_position() as usize == position
            })
    }
}

/// Where a child of a node is that none of the others is before.
#[inline]
fn least_child(nodes: &[Node], position: usize) -> Option<usize> {
    let first = position * CHILDREN + 1;
    let rest = nodes.get(first..)?;
    // The order that lies beside the deadline may take part: it is not worth masking.
    let lesser = |one: usize, other: usize| match rest[other].deadline_and_order
        < rest[one].deadline_and_order
    {
        true => other,
        false => one,
    };
    let least = match rest.len() {
        // Comparisons that do not wait for each other, and then those of the winners.
        CHILDREN.. => {
            let of_four = |first| lesser(lesser(first, first + 1), lesser(first + 2, first + 3));
            lesser(of_four(0), of_four(4))
        }
        count => (0..count).reduce(lesser)?,
    };
    Some(first + least)
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
        assert!(pop_all_due(&mut heap, 6).is_empty());
        assert!(pop_all_due(&mut heap, 7) == events);
    }

    #[test]
    fn endless_and_past_deadlines_are_in_order() {
        let events = events(4);
        let mut heap = Heap::new();
        let deadlines = [i64::MAX, 5, i64::MIN, -7];
        for (event, deadline) in events.iter().zip(deadlines) {
            heap.try_reserve().unwrap();
            heap.insert(*event, deadline);
        }
        assert!(heap.first() == Some((-LATEST, events[2])));
        let order = pop_all_due(&mut heap, 1 << 50);
        assert!(order == [events[2], events[3], events[1]]);
        assert!(heap.first() == Some((LATEST, events[0])) && LATEST > 1 << 54);
    }

    fn pop_all_due(heap: &mut Heap, now: Microseconds) -> Vec<EventPtr> {
        heap.part_due(now);
        std::iter::from_fn(|| heap.pop_due()).collect()
    }

    #[test]
    fn many_or_few_due_events_come_out_in_order() {
        for few in [1, 3, 20, 90, 100] {
            let events = events(100);
            let mut heap = Heap::new();
            let mut expected = Vec::new();
            for (index, event) in events.iter().enumerate() {
                let deadline = (index * 37 % 100) as i64 / 2;
                heap.try_reserve().unwrap();
                heap.insert(*event, deadline);
                expected.push((deadline, index));
            }
            expected.sort_unstable();
            let now = few / 2;
            let out = pop_all_due(&mut heap, now);
            let due = expected.iter().take_while(|(deadline, _)| *deadline <= now);
            assert!(due.map(|(_, index)| events[*index]).eq(out.iter().copied()));
            assert!(heap.is_consistent());
            let rest = pop_all_due(&mut heap, 100);
            assert_eq!(out.len() + rest.len(), 100);
            let late = expected[out.len()..]
                .iter()
                .map(|(_, index)| events[*index]);
            assert!(late.eq(rest.iter().copied()) && heap.is_empty());
            assert!(out.iter().all(|event| event.heap_position() == u32::MAX));
        }
    }

    #[test]
    fn memory_is_given_back_when_few_are_left() {
        let events = events(40_000);
        let mut heap = Heap::new();
        for (index, event) in events.iter().enumerate() {
            heap.try_reserve().unwrap();
            heap.insert(*event, index as i64);
        }
        assert!(heap.nodes.capacity() < 46_000);
        for event in &events[..39_000] {
            heap.remove(*event);
        }
        assert!(heap.nodes.capacity() < 16_000 && heap.is_consistent());
        assert_eq!(pop_all_due(&mut heap, 50_000).len(), 1_000);
        assert!(heap.nodes.capacity() <= 2 * SMALL);
    }

    /// By deadline and order of insertion, which event it is.
    type Model = BTreeMap<(i64, u32), usize>;

    fn take_due(model: &mut Model, now: Microseconds) -> Model {
        let later = model.split_off(&(now + 1, 0));
        std::mem::replace(model, later)
    }

    #[test]
    fn agrees_with_a_sorted_map_over_random_operations() {
        let events = events(300);
        let mut heap = Heap::new();
        let mut model = Model::new();
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
                    assert_eq!(events[which].heap_position(), u32::MAX);
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
            let first = model.first_key_value().map(|(key, _)| key.0);
            assert!(heap.first().map(|(deadline, _)| deadline) == first);
            if step % 50 == 0 {
                let now = (random >> 10) as i64 % 50;
                let due = take_due(&mut model, now);
                due.values().for_each(|which| keys[*which] = None);
                let due = due.values().map(|which| events[*which]);
                assert!(due.eq(pop_all_due(&mut heap, now)));
                assert!(heap.is_consistent());
            }
        }
    }

    /// Where many have one deadline, they are where they were put, whatever becomes of the others.
    #[test]
    fn events_with_equal_deadlines_do_not_move_past_each_other() {
        let events = events(200);
        let mut heap = Heap::new();
        for event in &events {
            heap.try_reserve().unwrap();
            heap.insert(*event, 7);
        }
        for event in &events[..100] {
            let position = event.heap_position();
            heap.change(*event, 7);
            assert_eq!(event.heap_position(), position);
        }
        let order = [&events[100..], &events[..100]].concat();
        assert!(pop_all_due(&mut heap, 7) == order);
    }

    #[test]
    fn deadlines_are_kept_when_the_count_of_insertions_wraps() {
        let events = events(30);
        let mut heap = Heap::new();
        heap.order = (1 << ORDER_BITS) - 200;
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
