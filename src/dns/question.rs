//! A question that a client has asked: `struct evdns_server_request`.
//!
//! It is one block: the part that programs see, the rest, the list of questions, and the address of
//! the client.

use super::datagrams::Source;
use super::port::PortPtr;
use super::wire::{Header, Malformed, Reader, flag};
use crate::hooks::memory::{self, Array, OutOfMemory};
use crate::list::{TailLink, links};
use libc::{sockaddr, socklen_t};
use std::cell::{Cell, UnsafeCell};
use std::ffi::{CStr, c_char, c_int};
use std::mem::{offset_of, size_of};
use std::ops::Deref;
use std::ptr::{self, NonNull};

/// `struct evdns_server_request`, as programs see it.
#[repr(C)]
pub struct EvdnsServerRequest {
    flags: c_int,
    nquestions: c_int,
    questions: *mut *mut EvdnsServerQuestion,
}

/// `struct evdns_server_question`.
#[repr(C)]
pub struct EvdnsServerQuestion {
    kind: c_int,
    class: c_int,
    /// As long as it takes.
    name: [c_char; 1],
}

/// What a request is for this library.
#[repr(C)]
pub struct Request {
    seen: EvdnsServerRequest,
    port: PortPtr,
    links: UnsafeCell<TailLink<Request>>,
    /// What was added to the answer, in order; see [`super::response`].
    pub(super) records: UnsafeCell<Array<u8>>,
    /// Bits of the answer that the program has set.
    pub(super) flags: Cell<u16>,
    /// The answer, while it waits until it can be sent.
    pub(super) answer: UnsafeCell<Array<u8>>,
    pub(super) id: u16,
    /// Bits of the question that the answer repeats.
    pub(super) kept: u16,
    question_count: usize,
    /// Where the client's address is in the block.
    source_place: usize,
    source_length: socklen_t,
}

links! {
    /// The links of the queue of answers that wait.
    pub struct RequestLinks: TailLink<Request> in cell links;
}

/// A request that was neither answered nor dropped.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RequestPtr(NonNull<Request>);

impl Deref for RequestPtr {
    type Target = Request;
    fn deref(&self) -> &Request {
        // SAFETY: `new` promised a live object. Programs write to the part that they see, to which
        // no reference is made beyond one expression.
        unsafe { self.0.as_ref() }
    }
}

const ALIGNMENT: usize = size_of::<usize>();

/// Bytes of a question with a name of this length.
fn size_of_question(name_length: usize) -> usize {
    let size = offset_of!(EvdnsServerQuestion, name) + name_length + 1;
    size.next_multiple_of(ALIGNMENT)
}

/// Calls `each` for every question of a message: with a reader of its name and the name's length as
/// text, its type and its class.
fn questions(
    message: &[u8],
    mut each: impl FnMut(Reader<'_>, usize, u16, u16),
) -> Result<Header, Malformed> {
    let mut reader = Reader::new(message);
    let header = reader.header()?;
    for _ in 0..header.counts[0] {
        let name = reader;
        let length = reader.name_length()?;
        let (kind, class) = reader.type_and_class()?;
        each(name, length, kind, class);
    }
    Ok(header)
}

/// Stores the questions of a message, which was read before, in `place`, and a list of them.
///
/// # Safety
/// Both have room for all of the questions.
unsafe fn store_questions(
    message: &[u8],
    mut list: *mut *mut EvdnsServerQuestion,
    mut place: *mut u8,
) {
    let stored = questions(message, |name, length, kind, class| {
        // SAFETY: the caller guarantees the room.
        unsafe {
            let question: *mut EvdnsServerQuestion = place.cast();
            (*question).kind = c_int::from(kind);
            (*question).class = c_int::from(class);
            write_text((&raw mut (*question).name).cast(), name, length);
            list.write(question);
            list = list.add(1);
            place = place.add(size_of_question(length));
        }
    });
    debug_assert!(stored.is_ok());
}

impl RequestPtr {
    /// # Safety
    /// The request is live for as long as the pointer, or a copy of it, is used.
    pub unsafe fn new(request: *mut EvdnsServerRequest) -> Option<RequestPtr> {
        NonNull::new(request.cast()).map(RequestPtr)
    }

    /// # Safety
    /// As for [`RequestPtr::new`].
    pub(super) unsafe fn of(request: *mut Request) -> Option<RequestPtr> {
        NonNull::new(request).map(RequestPtr)
    }

    /// The raw pointer.
    pub(super) fn as_ptr(self) -> *mut Request {
        self.0.as_ptr()
    }

    /// What the program gets.
    pub(super) fn seen(self) -> *mut EvdnsServerRequest {
        self.0.as_ptr().cast()
    }

    /// The port that received it.
    pub(super) fn port(self) -> PortPtr {
        self.port
    }

    /// Reads a question; nothing when it is none, or without memory.
    pub(super) fn read(port: PortPtr, message: &[u8], source: &Source) -> Option<RequestPtr> {
        let mut size = 0;
        let mut count = 0;
        let measured = questions(message, |_, length, _, _| {
            size += size_of_question(length);
            count += 1;
        });
        let header = measured.ok().filter(|_| count > 0)?;
        let list = size_of::<Request>();
        let first = list + count * size_of::<*mut EvdnsServerQuestion>();
        let address = first + size;
        let block = memory::malloc(address + source.length() as usize);
        let request = RequestPtr(NonNull::new(block.cast())?);
        let kept = header.flags & (flag::RECURSION_DESIRED | flag::CHECKING_DISABLED);
        // SAFETY: the block is new and has room for all four parts.
        unsafe {
            let at = |offset: usize| block.cast::<u8>().add(offset);
            request.as_ptr().write(Request {
                seen: EvdnsServerRequest {
                    flags: c_int::from(kept),
                    nquestions: count as c_int,
                    questions: at(list).cast(),
                },
                port,
                links: UnsafeCell::new(std::mem::zeroed()),
                records: UnsafeCell::new(Array::new()),
                flags: Cell::new(0),
                answer: UnsafeCell::new(Array::new()),
                id: header.id,
                kept,
                question_count: count,
                source_place: address,
                source_length: source.length(),
            });
            store_questions(message, at(list).cast(), at(first));
            let length = source.length() as usize;
            ptr::copy_nonoverlapping(source.as_ptr().cast::<u8>(), at(address), length);
        }
        Some(request)
    }

    /// The questions, with names as the program may have changed them.
    pub(super) fn questions<'a>(self) -> impl Iterator<Item = (&'a [u8], u16, u16)> {
        (0..self.question_count).map(move |index| {
            // SAFETY: the list and its questions are parts of the block; the names are terminated
            // and stay so in what a program may change.
            unsafe {
                let list = self.as_ptr().add(1).cast::<*mut EvdnsServerQuestion>();
                let question = *list.add(index);
                let name = CStr::from_ptr((&raw const (*question).name).cast());
                (
                    name.to_bytes(),
                    (*question).kind as u16,
                    (*question).class as u16,
                )
            }
        })
    }

    /// Where the question was sent from.
    pub(super) fn source(self) -> (*const sockaddr, socklen_t) {
        // SAFETY: the address is in the block, after the questions.
        let start = unsafe { self.as_ptr().cast::<u8>().add(self.source_place) };
        (start.cast_const().cast(), self.source_length)
    }

    /// Copies the client's address, if there is room for it; its length.
    ///
    /// # Safety
    /// `out` has room for `room` bytes.
    pub unsafe fn copy_source(self, out: *mut sockaddr, room: c_int) -> Option<c_int> {
        let (address, length) = self.source();
        let length = c_int::try_from(length)
            .ok()
            .filter(|&length| length <= room)?;
        // SAFETY: the caller guarantees the room; the address is part of the block.
        unsafe {
            ptr::copy_nonoverlapping(address.cast::<u8>(), out.cast(), length as usize);
        }
        Some(length)
    }

    /// Replaces the bits that the program sets in the answer.
    pub fn set_flags(self, flags: c_int) {
        self.flags.set(flags as u16);
    }

    /// Frees a request that is in no queue. The lock of its port is held.
    pub(super) fn free(self) {
        // SAFETY: the block was made by `read`, and nobody uses it any more.
        unsafe {
            ptr::drop_in_place(self.as_ptr());
            memory::free(self.as_ptr().cast());
        }
    }

    /// Keeps an answer that cannot be sent now.
    pub(super) fn keep_answer(self, answer: &[u8]) -> Result<(), OutOfMemory> {
        // SAFETY: the port's lock is held, and nothing here calls the program.
        let kept = unsafe { &mut *self.answer.get() };
        kept.try_reserve(answer.len())?;
        kept.extend_reserved(answer);
        Ok(())
    }
}

/// Writes a name, which was read before, and the end of a string.
///
/// # Safety
/// There is room for both.
unsafe fn write_text(text: *mut u8, mut name: Reader<'_>, length: usize) {
    // SAFETY: the caller guarantees the room, which nothing else uses.
    unsafe {
        ptr::write_bytes(text, 0, length + 1);
        let _ = name.copy_name(std::slice::from_raw_parts_mut(text, length));
    }
}

const _: () = {
    assert!(size_of::<EvdnsServerRequest>() == 16);
    assert!(offset_of!(EvdnsServerRequest, nquestions) == 4);
    assert!(offset_of!(EvdnsServerRequest, questions) == 8);
    assert!(offset_of!(EvdnsServerQuestion, class) == 4);
    assert!(offset_of!(EvdnsServerQuestion, name) == 8);
};
