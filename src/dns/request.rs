//! A look-up of the program's: `struct evdns_request`.
//!
//! It is one block: the look-up, behind it the question as it is sent, and for one that searches the
//! name as the program gave it. It lives until its result has been told, and needs the resolver only
//! until it has one.

use super::health;
use super::lookup::{self, LookupPtr};
use super::name_server::ServerPtr;
use super::reply::{self, Answer, Question};
use super::resolver::{BasePtr, EvdnsBase};
use super::search::SearchPtr;
use super::wire::{self, Reader, record};
use super::{code, log};
use crate::base::{EventBase, Guard, deferred};
use crate::event::{CallbackPtr, EventCallback, assign, state};
use crate::hooks::log::Severity;
use crate::hooks::memory;
use crate::list::{Adapter, TailLink};
use crate::timers::Microseconds;
use crate::util::random;
use std::cell::{Cell, UnsafeCell};
use std::ffi::{c_char, c_int, c_void};
use std::mem::size_of;
use std::ops::Deref;
use std::ptr::{self, NonNull};

/// Gets a result, the type and number of what was found, for how many seconds it holds, the data,
/// and the argument.
pub type DnsResultFn =
    unsafe extern "C-unwind" fn(c_int, c_char, c_int, c_int, *mut c_void, *mut c_void);

/// Types of results, with the numbers of the C interface.
mod told {
    use std::ffi::c_char;
    pub const A: c_char = 1;
    pub const PTR: c_char = 2;
    pub const AAAA: c_char = 3;
}

/// Who wants the result.
#[derive(Clone, Copy)]
pub enum Receiver {
    /// A function of the program.
    Program(Option<DnsResultFn>, *mut c_void),
    /// A look-up of both families.
    Lookup(LookupPtr),
    /// Whoever wants to know whether a server is back.
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
    /// Its question waits until the socket of its server has room.
    Unsent,
}

/// `struct evdns_request`.
pub struct EvdnsRequest {
    entry: UnsafeCell<EventCallback>,
    links: UnsafeCell<TailLink<EvdnsRequest>>,
    /// The resolver, until there is a result.
    pub(super) base: Cell<*mut EvdnsBase>,
    event_base: *mut EventBase,
    receiver: Receiver,
    /// The server that the question was sent to last.
    pub(super) server: Cell<Option<ServerPtr>>,
    /// The one of its channels that it was sent through.
    pub(super) channel: Cell<u8>,
    /// The servers that it was ever sent to, a bit each.
    pub(super) asked: Cell<u64>,
    pub(super) deadline: Cell<Microseconds>,
    search: Cell<Option<SearchPtr>>,
    /// An own block with what was found, where the question leaves no room for it.
    found: Cell<*mut u8>,
    result: Cell<c_int>,
    ttl: Cell<c_int>,
    /// How many addresses were found; for a name whether there is one.
    count: Cell<u16>,
    /// Where, in what was found, the name begins that the asked one is an alias of.
    canonical: Cell<Option<u16>>,
    /// The type of records that are asked for.
    kind: u16,
    pub(super) id: Cell<u16>,
    packet_length: Cell<u16>,
    packet_room: u16,
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

/// The links of the queues of look-ups; each is in one at most.
pub struct RequestLinks;
// SAFETY: always the same field.
unsafe impl Adapter for RequestLinks {
    type Item = EvdnsRequest;
    type Link = TailLink<EvdnsRequest>;
    unsafe fn link(item: *mut EvdnsRequest) -> *mut TailLink<EvdnsRequest> {
        // SAFETY: the caller guarantees a live look-up.
        unsafe { (*item).links.get() }
    }
}

/// A live look-up. Its fields are used with the resolver's lock held, or, once there is a result, by
/// the loop alone.
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

/// Bytes behind a question's name.
const TYPE_AND_CLASS: usize = 4;

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

    /// A look-up with its first question; nothing when that cannot be asked, or without memory.
    pub(super) fn create(base: BasePtr, wanted: &Wanted<'_>) -> Option<RequestPtr> {
        let name = wanted.name;
        let longest = wanted.search.map_or(0, |search| 1 + search.longest());
        // The longest name that may be made, its first length and its end.
        let room = name.len() + longest + 2;
        let room = wire::HEADER + room.min(wire::LONGEST_NAME) + TYPE_AND_CLASS;
        let kept = if wanted.search.is_some() {
            name.len()
        } else {
            0
        };
        let block = memory::malloc(size_of::<EvdnsRequest>() + room + kept);
        let request = RequestPtr(NonNull::new(block.cast())?);
        let bare_first = || {
            let dots = name.iter().filter(|&&byte| byte == b'.').count();
            dots >= usize::try_from(base.options.ndots.get()).unwrap_or(0)
        };
        let fresh = EvdnsRequest {
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
            packet_room: room as u16,
            name_length: kept as u16,
            next_candidate: Cell::new(0),
            place: Cell::new(Place::Nowhere),
            transmissions: Cell::new(0),
            reissued: Cell::new(false),
            streamed: Cell::new(0),
            bare_first: wanted.search.is_some() && bare_first(),
        };
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

    fn packet_start(self) -> *mut u8 {
        // SAFETY: the block goes on behind the structure.
        unsafe { self.as_ptr().add(1).cast() }
    }

    fn name_start(self) -> *mut u8 {
        // SAFETY: the name stands behind the room of the question, in the same block.
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
            mix_case(&mut rest[..length]);
        }
        rest[length..length + 2].copy_from_slice(&self.kind.to_be_bytes());
        rest[length + 2..length + 4].copy_from_slice(&record::INTERNET.to_be_bytes());
        let length = wire::HEADER + length + TYPE_AND_CLASS;
        self.packet_length.set(length as u16);
        true
    }

    /// Writes the question for the next of the names to try; whether there is one that can be asked.
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
        log::tell(
            Severity::Debug,
            format_args!("Search: trying {shown} ({} domains)", search.count()),
        );
        self.ask(&text[..length], base)
    }

    /// The text of one of the names to try: the domains in their order, and the name as it is before
    /// or after them.
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

    /// What was asked, for comparison with a reply.
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

    /// Whether the result was found and only waits to be told.
    pub(super) fn is_done(self) -> bool {
        self.base.get().is_null()
    }

    /// The look-up is over: has the result told from the loop. It is in no queue any more.
    pub(super) fn complete(self, answer: &Answer, message: &[u8]) {
        self.result.set(answer.result);
        self.ttl.set(answer.ttl);
        if self.store(answer, message).is_none() {
            self.result.set(code::UNKNOWN);
            self.ttl.set(0);
        }
        self.base.set(ptr::null_mut());
        if let Some(search) = self.search.take() {
            search.release();
        }
        if let Receiver::Probe(server) = self.receiver {
            let result = self.result.get();
            self.free();
            health::probed(server, result);
            return;
        }
        // SAFETY: the base of the loop outlives what it is asked to do; the entry lives until it ran.
        unsafe {
            let priority = assign::middle_priority(self.event_base);
            let entry = self.entry.get();
            deferred::initialise(entry, priority, tell_result, self.as_ptr().cast());
            deferred::schedule(self.event_base, entry);
        }
    }

    /// Takes the result back, if it is not being told, and frees the look-up; whether it did.
    pub(super) fn discard_result(self) -> bool {
        // SAFETY: as in `complete`.
        let queued = unsafe {
            let mut guard = Guard::lock(self.event_base);
            let entry = CallbackPtr::new(self.entry.get());
            let queued = entry.filter(|entry| entry.has(state::QUEUED));
            queued.map(|entry| guard.cancel_entry(entry, false))
        };
        if queued.is_some() {
            self.free();
        }
        queued.is_some()
    }

    /// Copies what was found out of the message, into the room of the question if it is large enough.
    fn store(self, answer: &Answer, message: &[u8]) -> Option<()> {
        let at = |place: u16| Reader::at(message, usize::from(place)).name().ok();
        let target = answer.target.and_then(at);
        let canonical = match self.receiver {
            Receiver::Lookup(_) => answer.canonical.and_then(at),
            _ => None,
        };
        let width = reply::address_length(self.kind);
        let addresses = answer.count * width;
        let named = |name: &Option<wire::NameText>| {
            name.as_ref().map_or(0, |name| name.as_bytes().len() + 1)
        };
        let size = addresses + named(&target) + named(&canonical);
        if size > usize::from(self.packet_room) {
            self.found.set(memory::malloc(size).cast());
            if self.found.get().is_null() {
                return None;
            }
        }
        // SAFETY: both places have room for so much, and the message is no part of either.
        let found = unsafe {
            ptr::write_bytes(self.found_start(), 0, size);
            std::slice::from_raw_parts_mut(self.found_start(), size)
        };
        for (out, &place) in found
            .chunks_exact_mut(width)
            .zip(&answer.addresses[..answer.count])
        {
            out.copy_from_slice(message.get(usize::from(place)..usize::from(place) + width)?);
        }
        self.count.set(answer.count as u16);
        let mut end = addresses;
        for (name, canonical) in [(&target, false), (&canonical, true)] {
            if let Some(name) = name {
                found[end..end + name.as_bytes().len()].copy_from_slice(name.as_bytes());
                if canonical {
                    self.canonical.set(Some(end as u16));
                } else {
                    self.count.set(1);
                }
                end += name.as_bytes().len() + 1;
            }
        }
        Some(())
    }

    fn found_start(self) -> *mut u8 {
        let own = self.found.get();
        if own.is_null() {
            self.packet_start()
        } else {
            own
        }
    }

    /// The result.
    pub(super) fn result(self) -> c_int {
        self.result.get()
    }

    /// The addresses that were found, one behind the other.
    pub(super) fn addresses<'a>(self) -> &'a [u8] {
        let length = usize::from(self.count.get()) * reply::address_length(self.kind);
        // SAFETY: `store` wrote so much, which stays until the look-up is freed.
        unsafe { std::slice::from_raw_parts(self.found_start(), length) }
    }

    /// The name that the asked one is an alias of, and its end.
    pub(super) fn canonical_name(self) -> Option<*const c_char> {
        // SAFETY: `store` put the name there, and a NUL behind it.
        let name = |place: u16| unsafe { self.found_start().add(usize::from(place)) };
        self.canonical
            .get()
            .map(|place| name(place).cast_const().cast())
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

    /// Calls the program.
    fn tell(self, callback: DnsResultFn, argument: *mut c_void) {
        let result = self.result.get();
        let mut name: *mut c_char = self.found_start().cast();
        let (kind, data): (c_char, *mut c_void) = match self.kind {
            _ if result != code::NONE => (0, ptr::null_mut()),
            record::A => (told::A, name.cast()),
            record::AAAA => (told::AAAA, name.cast()),
            _ => (told::PTR, ptr::from_mut(&mut name).cast()),
        };
        let count = if result == code::NONE {
            c_int::from(self.count.get())
        } else {
            0
        };
        // SAFETY: the callback is the program's; the data live until it has returned.
        unsafe { callback(result, kind, count, self.ttl.get(), data, argument) };
    }
}

/// Gives the letters of a name in wire form a random case. The lengths of labels are no letters.
fn mix_case(name: &mut [u8]) {
    let mut bits = [0; wire::LONGEST_NAME.div_ceil(8)];
    let bits = &mut bits[..name.len().div_ceil(8)];
    random::fill(bits);
    for (eight, &bits) in name.chunks_mut(8).zip(bits.iter()) {
        let mut bytes = [0; 8];
        bytes[..eight.len()].copy_from_slice(eight);
        let mixed = mix_case_of_eight(u64::from_ne_bytes(bytes), bits).to_ne_bytes();
        eight.copy_from_slice(&mixed[..eight.len()]);
    }
}

/// Turns the case of those letters among eight bytes whose bit is set.
fn mix_case_of_eight(bytes: u64, bits: u8) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x80 * EACH;
    // One bit of `bits` in each byte, then the highest bit of each byte that has one.
    let spread = (u64::from(bits) * EACH) & 0x8040_2010_0804_0201;
    let chosen = (spread + 0x7f * EACH) & HIGH;
    // The highest bit of a sum says whether a byte below 128 is at least the other one.
    let small = (bytes | (0x20 * EACH)) & !HIGH;
    let from_a = small + (0x80 - u64::from(b'a')) * EACH;
    let past_z = small + (0x80 - u64::from(b'z') - 1) * EACH;
    let letters = from_a & !past_z & !bytes & HIGH;
    bytes ^ ((chosen & letters) >> 2)
}

/// Runs from the loop when a look-up has a result.
unsafe extern "C-unwind" fn tell_result(_: *mut EventCallback, request: *mut c_void) {
    struct Free(RequestPtr);
    impl Drop for Free {
        fn drop(&mut self) {
            self.0.free();
        }
    }
    // SAFETY: the entry was made with its look-up as argument, which lives until now.
    let Some(request) = (unsafe { RequestPtr::new(request.cast()) }) else {
        return;
    };
    // Also when the callback unwinds.
    let _free = Free(request);
    match request.receiver {
        Receiver::Program(Some(callback), argument) => request.tell(callback, argument),
        Receiver::Lookup(lookup) => lookup::family_done(lookup, request),
        Receiver::Program(None, _) | Receiver::Probe(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_alone_change_their_case() {
        for byte in 0..=255u8 {
            for place in 0..8 {
                let mut bytes = [b'x'; 8];
                bytes[place] = byte;
                let mixed = |bits| mix_case_of_eight(u64::from_ne_bytes(bytes), bits).to_ne_bytes();
                assert_eq!(mixed(0), bytes);
                let mut wanted = [b'X'; 8];
                wanted[place] = if byte.is_ascii_alphabetic() {
                    byte ^ 0x20
                } else {
                    byte
                };
                assert_eq!(mixed(0xff), wanted);
                let changed = mixed(1 << place)
                    .iter()
                    .zip(bytes)
                    .filter(|(a, b)| **a != *b)
                    .count();
                assert_eq!(changed, usize::from(byte.is_ascii_alphabetic()));
            }
        }
    }

    #[test]
    fn both_cases_come() {
        let name = b"\x1eabcdefghijklmnopqrstuvwxyzabcd\x00";
        let mut seen = [[false; 2]; 30];
        for _ in 0..200 {
            let mut mixed = *name;
            mix_case(&mut mixed);
            assert!(mixed.eq_ignore_ascii_case(name));
            for (seen, byte) in seen.iter_mut().zip(&mixed[1..]) {
                seen[usize::from(byte.is_ascii_uppercase())] = true;
            }
        }
        assert_eq!(seen, [[true; 2]; 30]);
    }
}
