//! The result of a look-up, and reporting it: from the loop, without the resolver.

use super::code;
use super::health;
use super::lookup;
use super::reply::{self, Answer};
use super::request::DnsResultFn;
use super::request::{Receiver, RequestPtr};
use super::wire::{self, Reader, record};
use crate::base::{Guard, deferred};
use crate::event::{CallbackPtr, EventCallback, assign, state};
use crate::hooks::memory;
use std::ffi::{c_char, c_int, c_void};
use std::ptr;

/// Types of results, with the numbers of the C interface.
mod result_type {
    use std::ffi::c_char;
    pub const A: c_char = 1;
    pub const PTR: c_char = 2;
    pub const AAAA: c_char = 3;
}

impl RequestPtr {
    /// Whether there is a result that only waits to be reported.
    pub(super) fn is_done(self) -> bool {
        self.base.get().is_null()
    }

    /// The look-up is over: makes the loop report the result. It is in no queue any more.
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
        // SAFETY: the base of the loop outlives what it is asked to do; the entry lives until it
        // ran.
        unsafe {
            let priority = assign::middle_priority(self.event_base);
            let entry = self.entry.get();
            deferred::initialise(entry, priority, deliver_result, self.as_ptr().cast());
            deferred::schedule(self.event_base, entry);
        }
    }

    /// Takes the result back, if it is not being reported, and frees the look-up; whether it did.
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

    /// Copies what was found from the message, into the space of the question if it fits there.
    fn store(self, answer: &Answer, message: &[u8]) -> Option<()> {
        let at = |place: u16| Reader::at(message, usize::from(place)).name().ok();
        let target = answer.target.and_then(at);
        let canonical = match self.receiver {
            Receiver::Lookup(_) => answer.canonical.and_then(at),
            _ => None,
        };
        let width = reply::address_length(self.kind);
        let addresses = answer.count * width;
        let names = [&target, &canonical].map(|name| name.as_ref().map(wire::NameText::as_bytes));
        let size = names
            .iter()
            .flatten()
            .fold(addresses, |size, name| size + name.len() + 1);
        if size > usize::from(self.packet_room) {
            self.found.set(memory::malloc(size).cast());
            if self.found.get().is_null() {
                return None;
            }
        }
        // SAFETY: both places have room for this much, and the message is no part of either.
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
        self.store_names(&mut found[addresses..], addresses, names);
        Some(())
    }

    /// Stores the name that was found, and the canonical one, as far as there are any, in what is
    /// left from `start` on.
    fn store_names(&self, left: &mut [u8], start: usize, names: [Option<&[u8]>; 2]) {
        let mut end = 0;
        for (name, canonical) in names.into_iter().zip([false, true]) {
            if let Some(name) = name {
                left[end..end + name.len()].copy_from_slice(name);
                if canonical {
                    self.canonical.set(Some((start + end) as u16));
                } else {
                    self.count.set(1);
                }
                end += name.len() + 1;
            }
        }
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

    /// The addresses that were found, one after the other.
    pub(super) fn addresses<'a>(self) -> &'a [u8] {
        let length = usize::from(self.count.get()) * reply::address_length(self.kind);
        // SAFETY: `store` wrote this much, which stays until the look-up is freed.
        unsafe { std::slice::from_raw_parts(self.found_start(), length) }
    }

    /// The name that the asked one is an alias of, and its end.
    pub(super) fn canonical_name(self) -> Option<*const c_char> {
        // SAFETY: `store` put the name there, followed by a NUL.
        let name = |place: u16| unsafe { self.found_start().add(usize::from(place)) };
        self.canonical
            .get()
            .map(|place| name(place).cast_const().cast())
    }

    /// Calls the program.
    fn call(self, callback: DnsResultFn, argument: *mut c_void) {
        let result = self.result.get();
        let mut name: *mut c_char = self.found_start().cast();
        let (kind, data): (c_char, *mut c_void) = match self.kind {
            _ if result != code::NONE => (0, ptr::null_mut()),
            record::A => (result_type::A, name.cast()),
            record::AAAA => (result_type::AAAA, name.cast()),
            _ => (result_type::PTR, ptr::from_mut(&mut name).cast()),
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

/// Runs from the loop when a look-up has a result.
unsafe extern "C-unwind" fn deliver_result(_: *mut EventCallback, request: *mut c_void) {
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
        Receiver::Program(Some(callback), argument) => request.call(callback, argument),
        Receiver::Lookup(lookup) => lookup::family_done(lookup, request),
        Receiver::Program(None, _) | Receiver::Probe(_) => {}
    }
}
