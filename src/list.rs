//! Intrusive lists: the links live in the elements, which belong to the program.
//!
//! The link layouts are those of the C macros `TAILQ_ENTRY` and `LIST_ENTRY`, because they are
//! part of public structures. An [`Adapter`] names one link field of an element, so one element
//! can stand in several lists. Only raw pointers are used: the program may look at or copy an
//! element at any time, so no Rust reference to one is ever made here.

use std::marker::PhantomData;
use std::ptr;

/// Names the link field that a list uses.
///
/// # Safety
/// `link` returns the address of the same field of the element for every call.
pub unsafe trait Adapter {
    /// The element.
    type Item;
    /// The link field's type.
    type Link;
    /// The address of the link field inside `item`.
    ///
    /// # Safety
    /// `item` points to a live element.
    unsafe fn link(item: *mut Self::Item) -> *mut Self::Link;
}

/// Defines an [`Adapter`] by the field with the link: `struct NAME: LINK<ITEM> in FIELD;`, or
/// `in cell FIELD` if the link is in an [`std::cell::UnsafeCell`].
macro_rules! links {
    ($(#[$meta:meta])* $visible:vis struct $name:ident: $link:ident<$item:ty> in cell $field:ident;) => {
        links!(@define $(#[$meta])* $visible struct $name: $link<$item>, item,
            std::cell::UnsafeCell::raw_get(std::ptr::addr_of!((*item).$field)));
    };
    ($(#[$meta:meta])* $visible:vis struct $name:ident: $link:ident<$item:ty> in $($field:ident).+;) => {
        links!(@define $(#[$meta])* $visible struct $name: $link<$item>, item,
            std::ptr::addr_of_mut!((*item).$($field).+));
    };
    (@define $(#[$meta:meta])* $visible:vis struct $name:ident: $link:ident<$item:ty>, $element:ident, $place:expr) => {
        $(#[$meta])*
        $visible struct $name;

        // SAFETY: the address is that of the field that is named, in every call.
        unsafe impl $crate::list::Adapter for $name {
            type Item = $item;
            type Link = $crate::list::$link<$item>;

            unsafe fn link($element: *mut $item) -> *mut Self::Link {
                // SAFETY: the caller guarantees a live element; no reference to it is made.
                unsafe { $place }
            }
        }
    };
}
pub(crate) use links;

/// Link of a [`TailQueue`]; the layout of `TAILQ_ENTRY`.
#[repr(C)]
#[allow(missing_docs)]
pub struct TailLink<T> {
    pub tqe_next: *mut T,
    pub tqe_prev: *mut *mut T,
}

impl<T> Clone for TailLink<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for TailLink<T> {}

/// A queue with constant-time append, removal and front access; the layout of `TAILQ_HEAD`.
///
/// Invariant: `last` is the address of the pointer that a new element must be stored in: `first`
/// of the head itself while empty, else `tqe_next` of the last element. The head therefore never
/// moves once [`TailQueue::initialise`] has run.
#[repr(C)]
#[allow(missing_docs)]
pub struct TailQueue<A: Adapter> {
    pub tqh_first: *mut A::Item,
    pub tqh_last: *mut *mut A::Item,
    adapter: PhantomData<A>,
}

impl<T, A: Adapter<Item = T, Link = TailLink<T>>> TailQueue<A> {
    /// Makes the queue at `queue` empty.
    ///
    /// # Safety
    /// `queue` is writable and will not move while it is used.
    pub unsafe fn initialise(queue: *mut Self) {
        // SAFETY: the caller guarantees the place.
        unsafe {
            (*queue).tqh_first = ptr::null_mut();
            (*queue).tqh_last = ptr::addr_of_mut!((*queue).tqh_first);
        }
    }

    /// The element at the front, or null.
    ///
    /// # Safety
    /// `queue` is initialised.
    pub unsafe fn first(queue: *const Self) -> *mut T {
        // SAFETY: the caller guarantees the queue.
        unsafe { (*queue).tqh_first }
    }

    /// The element after `item`, or null.
    ///
    /// # Safety
    /// `item` is in a queue of this kind.
    pub unsafe fn next(item: *mut T) -> *mut T {
        // SAFETY: the caller guarantees the element.
        unsafe { (*A::link(item)).tqe_next }
    }

    /// The element in front of `item`, or null.
    ///
    /// # Safety
    /// `item` is in a queue of this kind.
    pub unsafe fn previous(item: *mut T) -> *mut T {
        // SAFETY: `tqe_prev` is the `tqe_next` of the element before, or `tqh_first` of the head.
        // Both start a pair of pointers of the same layout, whose second member leads to the
        // pointer to that element, or, for the head, to the null after the last element.
        unsafe {
            let before: *mut TailLink<T> = (*A::link(item)).tqe_prev.cast();
            *(*before).tqe_prev
        }
    }

    /// The element at the end, or null.
    ///
    /// # Safety
    /// `queue` is initialised.
    pub unsafe fn last(queue: *const Self) -> *mut T {
        // SAFETY: as in `previous`, starting after the last element.
        unsafe {
            let end: *mut TailLink<T> = (*queue).tqh_last.cast();
            *(*end).tqe_prev
        }
    }

    /// Puts `item` at the end.
    ///
    /// # Safety
    /// `queue` is initialised; `item` is live and in no queue of this kind.
    pub unsafe fn push_back(queue: *mut Self, item: *mut T) {
        // SAFETY: the caller guarantees both; the invariant makes `tqh_last` writable.
        unsafe {
            let link = A::link(item);
            (*link).tqe_next = ptr::null_mut();
            (*link).tqe_prev = (*queue).tqh_last;
            *(*queue).tqh_last = item;
            (*queue).tqh_last = ptr::addr_of_mut!((*link).tqe_next);
        }
    }

    /// Puts `item` at the front.
    ///
    /// # Safety
    /// `queue` is initialised; `item` is live and in no queue of this kind.
    pub unsafe fn push_front(queue: *mut Self, item: *mut T) {
        // SAFETY: the caller guarantees both.
        unsafe {
            let link = A::link(item);
            (*link).tqe_next = (*queue).tqh_first;
            (*link).tqe_prev = ptr::addr_of_mut!((*queue).tqh_first);
            if (*link).tqe_next.is_null() {
                (*queue).tqh_last = ptr::addr_of_mut!((*link).tqe_next);
            } else {
                (*A::link((*link).tqe_next)).tqe_prev = ptr::addr_of_mut!((*link).tqe_next);
            }
            (*queue).tqh_first = item;
        }
    }

    /// Inserts `item` directly after `after`.
    ///
    /// # Safety
    /// `after` is in `queue`; `item` is live and in no queue of this kind.
    pub unsafe fn insert_after(queue: *mut Self, after: *mut T, item: *mut T) {
        // SAFETY: the caller guarantees all three.
        unsafe {
            let before = A::link(after);
            let link = A::link(item);
            (*link).tqe_next = (*before).tqe_next;
            (*link).tqe_prev = ptr::addr_of_mut!((*before).tqe_next);
            if (*link).tqe_next.is_null() {
                (*queue).tqh_last = ptr::addr_of_mut!((*link).tqe_next);
            } else {
                (*A::link((*link).tqe_next)).tqe_prev = ptr::addr_of_mut!((*link).tqe_next);
            }
            (*before).tqe_next = item;
        }
    }

    /// Takes `item` out, which is the first.
    ///
    /// # Safety
    /// `item` is the first in `queue`.
    #[inline]
    pub unsafe fn remove_first(queue: *mut Self, item: *mut T) {
        // SAFETY: the caller guarantees membership, so the next one is live.
        unsafe {
            let next = (*A::link(item)).tqe_next;
            (*queue).tqh_first = next;
            let to_next = ptr::addr_of_mut!((*queue).tqh_first);
            if next.is_null() {
                (*queue).tqh_last = to_next;
            } else {
                (*A::link(next)).tqe_prev = to_next;
            }
        }
    }

    /// Takes `item` out.
    ///
    /// # Safety
    /// `item` is in `queue`.
    pub unsafe fn remove(queue: *mut Self, item: *mut T) {
        // SAFETY: the caller guarantees membership, so the neighbours are live.
        unsafe {
            let link = A::link(item);
            if (*link).tqe_next.is_null() {
                (*queue).tqh_last = (*link).tqe_prev;
            } else {
                (*A::link((*link).tqe_next)).tqe_prev = (*link).tqe_prev;
            }
            *(*link).tqe_prev = (*link).tqe_next;
        }
    }
}

/// Link of a [`List`]; the layout of `LIST_ENTRY`.
#[repr(C)]
#[allow(missing_docs)]
pub struct ListLink<T> {
    pub le_next: *mut T,
    pub le_prev: *mut *mut T,
}

impl<T> Clone for ListLink<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for ListLink<T> {}

/// A list with constant-time insertion at the front and removal; the layout of `LIST_HEAD`.
///
/// Invariant: the `le_prev` of every element but the first is the address of the pointer that leads
/// to it. The first one's is not used, so that the head may move.
#[repr(C)]
pub struct List<A: Adapter> {
    first: *mut A::Item,
    adapter: PhantomData<A>,
}

impl<A: Adapter> Clone for List<A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A: Adapter> Copy for List<A> {}

impl<T, A: Adapter<Item = T, Link = ListLink<T>>> List<A> {
    /// A list without elements.
    pub const EMPTY: Self = List {
        first: ptr::null_mut(),
        adapter: PhantomData,
    };

    /// The element at the front, or null.
    pub fn first(&self) -> *mut T {
        self.first
    }

    /// The element after `item`, or null.
    ///
    /// # Safety
    /// `item` is in a list of this kind.
    pub unsafe fn next(item: *mut T) -> *mut T {
        // SAFETY: the caller guarantees the element.
        unsafe { (*A::link(item)).le_next }
    }

    /// Puts `item` at the front.
    ///
    /// # Safety
    /// `list` is live; `item` is live and in no list of this kind.
    pub unsafe fn push_front(list: *mut Self, item: *mut T) {
        // SAFETY: the caller guarantees both.
        unsafe {
            let link = A::link(item);
            (*link).le_next = (*list).first;
            (*link).le_prev = ptr::addr_of_mut!((*list).first);
            (*list).first = item;
            if !(*link).le_next.is_null() {
                (*A::link((*link).le_next)).le_prev = ptr::addr_of_mut!((*link).le_next);
            }
        }
    }

    /// Takes `item` out.
    ///
    /// # Safety
    /// `item` is in `list`.
    pub unsafe fn remove(list: *mut Self, item: *mut T) {
        // SAFETY: the caller guarantees membership, so the neighbours are live.
        unsafe {
            let next = (*A::link(item)).le_next;
            let to_item = if (*list).first == item {
                ptr::addr_of_mut!((*list).first)
            } else {
                (*A::link(item)).le_prev
            };
            *to_item = next;
            if !next.is_null() {
                (*A::link(next)).le_prev = to_item;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Node {
        tail: TailLink<Node>,
        list: ListLink<Node>,
        value: u32,
    }

    links! {
        struct ByTail: TailLink<Node> in tail;
    }

    links! {
        struct ByList: ListLink<Node> in list;
    }

    #[allow(clippy::vec_box)] // the links point to the nodes, which must not move
    fn nodes(count: u32) -> Vec<Box<Node>> {
        let link = TailLink {
            tqe_next: ptr::null_mut(),
            tqe_prev: ptr::null_mut(),
        };
        let list = ListLink {
            le_next: ptr::null_mut(),
            le_prev: ptr::null_mut(),
        };
        (0..count)
            .map(|value| {
                Box::new(Node {
                    tail: link,
                    list,
                    value,
                })
            })
            .collect()
    }

    unsafe fn tail_values(queue: *mut TailQueue<ByTail>) -> Vec<u32> {
        let mut values = Vec::new();
        // SAFETY: the test's queue and nodes are live.
        unsafe {
            let mut node = TailQueue::first(queue);
            while !node.is_null() {
                values.push((*node).value);
                node = TailQueue::<ByTail>::next(node);
            }
        }
        values
    }

    #[test]
    fn a_tail_queue_keeps_order() {
        let mut nodes = nodes(4);
        let [a, b, c, d] = [0, 1, 2, 3].map(|i| ptr::addr_of_mut!(*nodes[i]));
        let mut queue = std::mem::MaybeUninit::<TailQueue<ByTail>>::uninit();
        let queue = queue.as_mut_ptr();
        // SAFETY: the queue and the nodes outlive the block and stay in place.
        unsafe {
            TailQueue::initialise(queue);
            assert!(TailQueue::first(queue).is_null() && TailQueue::last(queue).is_null());
            TailQueue::push_back(queue, a);
            TailQueue::push_back(queue, b);
            assert_eq!(TailQueue::last(queue), b);
            TailQueue::insert_after(queue, a, c);
            TailQueue::insert_after(queue, b, d);
            assert_eq!(tail_values(queue), [0, 2, 1, 3]);
            assert_eq!(TailQueue::last(queue), d);
            TailQueue::remove(queue, d);
            TailQueue::remove(queue, a);
            TailQueue::push_back(queue, a);
            assert_eq!(tail_values(queue), [2, 1, 0]);
            TailQueue::push_front(queue, d);
            assert_eq!(TailQueue::<ByTail>::previous(c), d);
            assert!(TailQueue::<ByTail>::previous(d).is_null());
            TailQueue::remove_first(queue, d);
            assert!(TailQueue::<ByTail>::previous(c).is_null());
            for node in [c, b] {
                TailQueue::remove(queue, node);
            }
            TailQueue::remove_first(queue, a);
            assert!(TailQueue::first(queue).is_null() && TailQueue::last(queue).is_null());
            TailQueue::push_back(queue, b);
            assert_eq!(tail_values(queue), [1]);
        }
    }

    #[test]
    fn a_list_is_newest_first_and_survives_a_move_of_its_head() {
        let mut nodes = nodes(3);
        let [a, b, c] = [0, 1, 2].map(|i| ptr::addr_of_mut!(*nodes[i]));
        let mut list = List::<ByList>::EMPTY;
        let head = ptr::addr_of_mut!(list);
        // SAFETY: the lists and the nodes outlive the block.
        unsafe {
            List::push_front(head, a);
            List::push_front(head, b);
            List::push_front(head, c);
            let mut moved = *head;
            let head = ptr::addr_of_mut!(moved);
            List::remove(head, c);
            assert_eq!((*head).first(), b);
            assert_eq!(List::<ByList>::next(b), a);
            List::push_front(head, c);
            List::remove(head, b);
            assert_eq!(List::<ByList>::next(c), a);
            List::remove(head, a);
            List::remove(head, c);
            assert!((*head).first().is_null());
        }
    }
}
