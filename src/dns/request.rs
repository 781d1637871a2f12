//! A look-up of the program's: `struct evdns_request`.
//!
//! It is one block: the look-up, then the question as it is sent, and if it searches domains, then
//! the name as the program gave it. It lives until its result has been reported, and needs the
//! resolver only until it has one.

use super::letter_case::randomise_case;
use super::log;
use super::lookup::LookupPtr;
use super::name_server::ServerPtr;
use super::reply::Question;
use super::resolver::{BasePtr, EvdnsBase};
use super::search::SearchPtr;
use super::wire::{self, record};
use crate::base::EventBase;
use crate::event::EventCallback;
use crate::hooks::log::Severity;
use crate::hooks::memory;
use crate::list::{TailLink, links};
use crate::timers::Microseconds;
use std::cell::{Cell, UnsafeCell};
use std::ffi::{c_char, c_int, c_void};
use std::mem::size_of;
use std::ops::Deref;
use std::ptr::{self, NonNull};

/// Gets a result, the type and number of what was found, for how many seconds it holds, the data,
/// and the argument.
pub type DnsResultFn =
    unsafe extern "C-unwind" fn(c_int, c_char, c_int, c_int, *mut c_void, *mut c_void);

/// Who wants the result.
#[derive(Clone, Copy)]
pub enum Receiver {
    /// A function of the program.
    Program(Option<DnsResultFn>, *mut c_void),
    /// A look-up of both families.
    Lookup(LookupPtr),
    /// The server that is probed, to find out whether it is back.
    Probe(ServerPtr),
}

/// Where a look-up is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In no queue.
    Nowhere,
    /// It waits until a question may be sent.
    Waiting,
    /// Its question was sent, and waits for the answer or the time-out.
    Sent,
    /// Its question waits until the socket of its server is writable.
    Unsent,
}

/// `struct evdns_request`.
pub struct EvdnsRequest {
    pub(super) entry: UnsafeCell<EventCallback>,
    links: UnsafeCell<TailLink<EvdnsRequest>>,
    /// The resolver, until there is a result.
    pub(super) base: Cell<*mut EvdnsBase>,
    pub(super) event_base: *mut EventBase,
    pub(super) receiver: Receiver,
    /// The server that the question was sent to last.
    pub(super) server: Cell<Option<ServerPtr>>,
    /// The one of its channels that it was sent through.
    pub(super) channel: Cell<u8>,
    /// The servers that it was ever sent to, a bit each.
    pub(super) asked: Cell<u64>,
    pub(super) deadline: Cell<Microseconds>,
    pub(super) search: Cell<Option<SearchPtr>>,
    /// A separate block with what was found, if the space of the question is too small.
    pub(super) found: Cell<*mut u8>,
    pub(super) result: Cell<c_int>,
    pub(super) ttl: Cell<c_int>,
    /// How many addresses were found; for a name whether there is one.
    pub(super) count: Cell<u16>,
    /// Where, in what was found, the name begins that the asked one is an alias of.
    pub(super) canonical: Cell<Option<u16>>,
    /// The type of records that are asked for.
    pub(super) kind: u16,
    pub(super) id: Cell<u16>,
    packet_length: Cell<u16>,
    pub(super) packet_room: u16,
    name_length: u16,
    /// The next of the names to try: 0 to the number of domains; see [`RequestPtr::candidate`].
    next_candidate: Cell<u16>,
    pub(super) place: Cell<Place>,
    pub(super) transmissions: Cell<u8>,
    pub(super) reissued: Cell<bool>,
    /// How often the question was sent over TCP.
    pub(super) streamed: Cell<u8>,
    /// The name is tried as it is before the domains are.
    bare_first: bool,
}

links! {
    /// The links of the queues of look-ups; each is in one at most.
    pub struct RequestLinks: TailLink<EvdnsRequest> in cell links;
}

/// A live look-up. Its fields are used with the resolver's lock held, or, once there is a result,
/// by the loop alone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RequestPtr(NonNull<EvdnsRequest>);

impl Deref for RequestPtr {
    type Target = EvdnsRequest;
    #[inline]
    fn deref(&self) -> &EvdnsRequest {
        // SAFETY: `new` promised a live object; its fields are cells.
        unsafe { self.0.as_ref() }
    }
}

/// What a look-up is for.
pub struct Wanted<'a> {
    /// The name.
    pub name: &'a [u8],
    /// The type of records.
    pub kind: u16,
    /// The domains to try, if any.
    pub search: Option<SearchPtr>,
    /// Who wants to know.
    pub receiver: Receiver,
}

/// The number of bytes after a question's name.
const TYPE_AND_CLASS: usize = 4;

impl Wanted<'_> {
    /// Room for the longest question that may be made for it.
    fn packet_room(&self) -> usize {
        let longest = self.search.map_or(0, |search| 1 + search.longest());
        // With the first length of the name, and its end.
        let name = self.name.len() + longest + 2;
        wire::HEADER + name.min(wire::LONGEST_NAME) + TYPE_AND_CLASS
    }

    /// Whether the name is tried as it is before the search list.
    fn is_tried_bare_first(&self, base: BasePtr) -> bool {
        let dots = || self.name.iter().filter(|&&byte| byte == b'.').count();
        self.search.is_some() && dots() >= usize::try_from(base.options.ndots.get()).unwrap_or(0)
    }
}

impl EvdnsRequest {
    /// A look-up that is in no queue, with that much room for its question and for its name.
    #[inline]
    fn new(base: BasePtr, wanted: &Wanted<'_>, packet_room: u16, name_length: u16) -> EvdnsRequest {
        EvdnsRequest {
            // SAFETY: zero bytes are a valid entry.
            entry: UnsafeCell::new(unsafe { std::mem::zeroed() }),
            links: UnsafeCell::new(TailLink {
                tqe_next: ptr::null_mut(),
                tqe_prev: ptr::null_mut(),
            }),
            base: Cell::new(base.as_ptr()),
            event_base: base.event_base,
            receiver: wanted.receiver,
            server: Cell::new(None),
            channel: Cell::new(0),
            asked: Cell::new(0),
            deadline: Cell::new(0),
            search: Cell::new(wanted.search.map(SearchPtr::share)),
            found: Cell::new(ptr::null_mut()),
            result: Cell::new(0),
            ttl: Cell::new(0),
            count: Cell::new(0),
            canonical: Cell::new(None),
            kind: wanted.kind,
            id: Cell::new(0),
            packet_length: Cell::new(0),
            packet_room,
            name_length,
            next_candidate: Cell::new(0),
            place: Cell::new(Place::Nowhere),
            transmissions: Cell::new(0),
            reissued: Cell::new(false),
            streamed: Cell::new(0),
            bare_first: wanted.is_tried_bare_first(base),
        }
    }
}

impl RequestPtr {
    /// # Safety
    /// The look-up lives for as long as the pointer, or a copy of it, is used.
    pub unsafe fn new(request: *mut EvdnsRequest) -> Option<RequestPtr> {
        NonNull::new(request).map(RequestPtr)
    }

    /// The raw pointer.
    pub fn as_ptr(self) -> *mut EvdnsRequest {
        self.0.as_ptr()
    }

    /// A look-up with its first question; `None` if that is not possible, or memory is short.
    pub(super) fn create(base: BasePtr, wanted: &Wanted<'_>) -> Option<RequestPtr> {
        let name = wanted.name;
        let room = wanted.packet_room();
        let kept = if wanted.search.is_some() {
            name.len()
        } else {
            0
        };
        let block = memory::malloc(size_of::<EvdnsRequest>() + room + kept);
        let request = RequestPtr(NonNull::new(block.cast())?);
        let fresh = EvdnsRequest::new(base, wanted, room as u16, kept as u16);
        // SAFETY: the block is new and has room for all three parts.
        unsafe {
            request.as_ptr().write(fresh);
            ptr::copy_nonoverlapping(name.as_ptr(), request.name_start(), kept);
        }
        let built = match wanted.search {
            Some(_) => request.ask_next_candidate(base),
            None => request.ask(name, base),
        };
        if !built {
            request.free();
            return None;
        }
        Some(request)
    }

    pub(super) fn packet_start(self) -> *mut u8 {
        // SAFETY: the block continues after the structure.
        unsafe { self.as_ptr().add(1).cast() }
    }

    fn name_start(self) -> *mut u8 {
        // SAFETY: the name follows the room of the question, in the same block.
        unsafe { self.packet_start().add(usize::from(self.packet_room)) }
    }

    /// The question as it is sent.
    pub(super) fn packet<'a>(self) -> &'a [u8] {
        let length = usize::from(self.packet_length.get());
        // SAFETY: that much was written. It changes only between two questions, where nobody looks
        // at it.
        unsafe { std::slice::from_raw_parts(self.packet_start(), length) }
    }

    /// Writes the question for a name; whether it is one.
    fn ask(self, name: &[u8], base: BasePtr) -> bool {
        let room = usize::from(self.packet_room);
        // SAFETY: the room belongs to the question; nothing else looks at it here.
        let packet = unsafe {
            ptr::write_bytes(self.packet_start(), 0, room);
            std::slice::from_raw_parts_mut(self.packet_start(), room)
        };
        let (head, rest) = packet.split_at_mut(wire::HEADER);
        head[2..6].copy_from_slice(&[1, 0, 0, 1]);
        let name_room = rest.len() - TYPE_AND_CLASS;
        let Some(length) = wire::write_name(name, &mut rest[..name_room]) else {
            return false;
        };
        if base.options.random_case.get() {
            randomise_case(&mut rest[..length]);
        }
        rest[length..length + 2].copy_from_slice(&self.kind.to_be_bytes());
        rest[length + 2..length + 4].copy_from_slice(&record::INTERNET.to_be_bytes());
        let length = wire::HEADER + length + TYPE_AND_CLASS;
        self.packet_length.set(length as u16);
        true
    }

    /// Writes the question for the next of the names to try; whether there is a valid one.
    pub(super) fn ask_next_candidate(self, base: BasePtr) -> bool {
        let Some(search) = self.search.get() else {
            return false;
        };
        let index = self.next_candidate.get();
        if usize::from(index) > search.count() {
            return false;
        }
        self.next_candidate.set(index + 1);
        // SAFETY: the name that was copied when the look-up was made.
        let name =
            unsafe { std::slice::from_raw_parts(self.name_start(), usize::from(self.name_length)) };
        let mut text = [0; 2 * (wire::LONGEST_NAME + 1)];
        let Some(length) = self.candidate(search, usize::from(index), name, &mut text) else {
            return false;
        };
        let shown = std::str::from_utf8(&text[..length]).unwrap_or("(not text)");
        log::message(
            Severity::Debug,
            format_args!("Search: trying {shown} ({} domains)", search.count()),
        );
        self.ask(&text[..length], base)
    }

    /// The text of one of the names to try: the domains in their order, and the name as it is
    /// before or after them.
    fn candidate(
        self,
        search: SearchPtr,
        index: usize,
        name: &[u8],
        text: &mut [u8],
    ) -> Option<usize> {
        let domain = match (self.bare_first, index) {
            (true, 0) => None,
            (true, index) => search.domain(index - 1),
            (false, index) => search.domain(index),
        };
        text.get_mut(..name.len())?.copy_from_slice(name);
        let mut length = name.len();
        if let Some(domain) = domain {
            if !name.ends_with(b".") {
                *text.get_mut(length)? = b'.';
                length += 1;
            }
            text.get_mut(length..length + domain.len())?
                .copy_from_slice(domain);
            length += domain.len();
        }
        Some(length)
    }

    pub(super) fn set_id(self, id: u16) {
        self.id.set(id);
        let [high, low] = id.to_be_bytes();
        // SAFETY: the question begins with the id.
        unsafe {
            self.packet_start().write(high);
            self.packet_start().add(1).write(low);
        }
    }

    /// The question, for comparison with a reply.
    pub(super) fn question<'a>(self, base: BasePtr) -> Question<'a> {
        let packet = self.packet();
        Question {
            name: &packet[wire::HEADER..packet.len() - TYPE_AND_CLASS],
            kind: self.kind,
            ignoring_case: base.options.random_case.get(),
        }
    }

    /// The server that this is to try, if it is a probe.
    pub(super) fn probed(self) -> Option<ServerPtr> {
        match self.receiver {
            Receiver::Probe(server) => Some(server),
            _ => None,
        }
    }

    /// Frees a look-up that nobody waits for.
    pub(super) fn free(self) {
        if let Some(search) = self.search.take() {
            search.release();
        }
        // SAFETY: the blocks came from the hooks and are given up.
        unsafe {
            if !self.found.get().is_null() {
                memory::free(self.found.get().cast());
            }
            memory::free(self.as_ptr().cast());
        }
    }
}
