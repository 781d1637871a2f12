//! Requests: their texts and who owns them.

use super::abi::{EvhttpRequest, flag, method, request_kind};
use super::connection::ConnectionPtr;
use super::headers::{self, Evkeyvalq};
use super::parser::trim;
use super::status;
use super::uri::{NoUri, Part, Uri};
use crate::buffer::Guard as BufferGuard;
use crate::hooks::memory::{self, OutOfMemory};
use std::ffi::{CStr, c_char, c_int};
use std::ops::Deref;
use std::ptr::{self, NonNull};

/// A request that is live: attached to a connection, owned by the program, or kept from being freed
/// while one of its callbacks runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RequestPtr(NonNull<EvhttpRequest>);

impl Deref for RequestPtr {
    type Target = EvhttpRequest;
    fn deref(&self) -> &EvhttpRequest {
        // SAFETY: `new` promised a live request. What changes in it is in cells, and its links are
        // used through raw pointers only.
        unsafe { self.0.as_ref() }
    }
}

/// The text at a pointer that may be null.
///
/// # Safety
/// `text` is null or NUL-terminated, and stays unchanged while the result is used.
unsafe fn optional_text<'a>(text: *const c_char) -> Option<&'a [u8]> {
    // SAFETY: the caller guarantees the terminator.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_bytes())
}

impl RequestPtr {
    /// `None` for null.
    ///
    /// # Safety
    /// The request stays live for as long as the pointer, or a copy of it, is used.
    pub unsafe fn new(request: *mut EvhttpRequest) -> Option<RequestPtr> {
        NonNull::new(request).map(RequestPtr)
    }

    /// The raw pointer.
    pub fn as_ptr(self) -> *mut EvhttpRequest {
        self.0.as_ptr()
    }

    /// Frees the request; while a callback of it runs, when that has returned.
    pub fn free(self) {
        if self.has(flag::DEFER_FREE) {
            self.insert(flag::NEEDS_FREE);
        } else {
            self.destroy();
        }
    }

    /// Frees the request unless it belongs to the program.
    pub fn free_unless_owned(self) {
        if !self.has(flag::USER_OWNED) {
            self.free();
        }
    }

    /// Whether any of the flags is set.
    pub fn has(self, flags: c_int) -> bool {
        self.flags.get() & flags != 0
    }

    /// Sets flags.
    pub fn insert(self, flags: c_int) {
        self.flags.set(self.flags.get() | flags);
    }

    /// Clears flags.
    pub fn remove(self, flags: c_int) {
        self.flags.set(self.flags.get() & !flags);
    }

    /// Runs a function of the program that gets the request. The request is not freed before this
    /// returns; if it was to be freed, there is only a result.
    pub fn call<R>(self, function: impl FnOnce(*mut EvhttpRequest) -> R) -> (R, Option<Self>) {
        struct Hold {
            request: RequestPtr,
            outermost: bool,
        }
        impl Hold {
            /// Whether the request is still there.
            fn end(&mut self) -> bool {
                if !std::mem::take(&mut self.outermost) {
                    return true;
                }
                self.request.remove(flag::DEFER_FREE);
                let to_be_freed = self.request.has(flag::NEEDS_FREE);
                if to_be_freed {
                    self.request.destroy();
                }
                !to_be_freed
            }
        }
        impl Drop for Hold {
            fn drop(&mut self) {
                self.end();
            }
        }
        let mut hold = Hold {
            request: self,
            outermost: !self.has(flag::DEFER_FREE),
        };
        self.insert(flag::DEFER_FREE);
        let result = function(self.as_ptr());
        let alive = hold.end();
        (result, alive.then_some(self))
    }

    /// Notifies the program that the request is done, and frees it unless it belongs to the
    /// program.
    pub fn call_last(self) {
        let argument = self.cb_arg.get();
        let callback = self.cb.get();
        let last = Last::of(self, true);
        if let Some(callback) = callback {
            // SAFETY: the program set this function for the request, which is not freed meanwhile.
            unsafe { callback(self.as_ptr(), argument) };
        }
        drop(last);
    }

    /// Runs the last function of the program that gets the request, and then frees it.
    pub fn call_and_free(self, function: impl FnOnce(*mut EvhttpRequest)) {
        let last = Last::of(self, false);
        function(self.as_ptr());
        drop(last);
    }

    /// The connection, unless there is none (any more).
    pub fn connection(self) -> Option<ConnectionPtr> {
        // SAFETY: a connection that goes takes itself out of its requests.
        unsafe { ConnectionPtr::new(self.evcon.get()) }
    }

    /// The body that was received.
    pub fn input(self) -> BufferGuard {
        // SAFETY: the buffer lives as long as the request.
        unsafe { BufferGuard::new(self.input_buffer.get()) }
    }

    /// The body to send.
    pub fn output(self) -> BufferGuard {
        // SAFETY: as above.
        unsafe { BufferGuard::new(self.output_buffer.get()) }
    }

    /// The value of a received header.
    pub fn input_header(&self, name: &[u8]) -> Option<&[u8]> {
        // SAFETY: the list is the request's, its texts are terminated.
        unsafe { value_of(self.input_headers.get(), name) }
    }

    /// The value of a header to send.
    pub fn output_header(&self, name: &[u8]) -> Option<&[u8]> {
        // SAFETY: as above.
        unsafe { value_of(self.output_headers.get(), name) }
    }

    /// Whether a word is among those of the received headers with that name.
    pub fn input_has_word(&self, name: &[u8], word: &[u8]) -> bool {
        // SAFETY: the list is the request's, its texts are terminated.
        unsafe { any_has_word(self.input_headers.get(), name, word) }
    }

    /// Whether a word is among those of the headers with that name to send.
    pub fn output_has_word(&self, name: &[u8], word: &[u8]) -> bool {
        // SAFETY: as above.
        unsafe { any_has_word(self.output_headers.get(), name, word) }
    }

    /// Removes the first header with that name from those to send.
    pub fn remove_output_header(self, name: &[u8]) {
        // SAFETY: the list is the request's.
        unsafe { headers::remove(self.output_headers.get(), name) };
    }

    /// Whether the version is at least 1.1.
    pub fn is_version_1_1(self) -> bool {
        (self.major.get(), self.minor.get()) >= (1, 1)
    }

    /// Stores the target.
    pub fn set_uri(self, uri: &[u8]) -> Result<(), OutOfMemory> {
        let room = self.server_part().map(|part| &part.uri);
        self.store(&self.uri, room, uri)?;
        Ok(())
    }

    /// The target.
    pub fn uri_text(&self) -> Option<&[u8]> {
        // SAFETY: texts of a request are terminated.
        unsafe { optional_text(self.uri.get()) }
    }

    /// Stores the target of a received request, as text and parsed.
    pub(super) fn set_target(self, target: &[u8]) -> Result<(), NoUri> {
        self.drop_uri_parts();
        let room = self.server_part().map(|part| part.uri_parts.get());
        let parts = match self.method.get() {
            method::CONNECT => Uri::parse_authority(target)?,
            // SAFETY: the room is the request's, and there are no parts in it any more.
            _ => unsafe { Uri::parse_target(target, room.unwrap_or(ptr::null_mut()))? },
        };
        self.uri_elems.set(parts.as_ptr());
        self.set_uri(target)?;
        Ok(())
    }

    /// Forgets the parsed target.
    pub(super) fn drop_uri_parts(self) {
        let parts = self.uri_elems.replace(ptr::null_mut());
        if !parts.is_null() {
            // SAFETY: the request's own.
            unsafe { Uri::free(parts) };
        }
    }

    /// A part of the target.
    pub fn uri_part(&self, part: Part) -> Option<&[u8]> {
        // SAFETY: the request's own, unchanged while the result is used.
        unsafe { self.uri_elems.get().as_ref() }.and_then(|uri| uri.part(part))
    }

    /// Makes the request a reply with that code. Without a reason it has the usual one; line ends
    /// in a reason become blanks.
    pub fn set_response(self, code: c_int, reason: Option<&[u8]>) -> Result<(), OutOfMemory> {
        let room = Some(&self.block().reason);
        match reason {
            None => {
                let phrase = status::phrase(code).as_bytes();
                self.store(&self.response_code_line, room, phrase)?;
            }
            Some(reason) => {
                let copy = self.store(&self.response_code_line, room, reason)?;
                for place in 0..reason.len() {
                    // SAFETY: the copy has that many bytes.
                    unsafe {
                        let byte = copy.add(place);
                        if matches!(*byte as u8, b'\r' | b'\n') {
                            *byte = b' ' as c_char;
                        }
                    }
                }
            }
        }
        self.kind.set(request_kind::RESPONSE);
        self.response_code.set(code);
        Ok(())
    }

    /// The reason phrase.
    pub fn reason(&self) -> &[u8] {
        // SAFETY: texts of a request are terminated.
        unsafe { optional_text(self.response_code_line.get()) }.unwrap_or(b"")
    }

    /// Stores the address of the peer as text.
    pub fn set_remote(self, host: &[u8], port: u16) -> Result<(), OutOfMemory> {
        let room = self.server_part().map(|part| &part.remote_host);
        self.store(&self.remote_host, room, host)?;
        self.remote_port.set(port);
        Ok(())
    }

    /// The host of the request, without a port: from the target, otherwise from the header; cached.
    pub fn host(self) -> *const c_char {
        if self.host_cache.get().is_null() {
            let host = match self.uri_part(Part::Host) {
                Some(host) => Some(host),
                None => self.input_header(b"Host").map(without_port),
            };
            if let Some(Ok(copy)) = host.map(memory::copy_text) {
                self.replace(&self.host_cache, copy.as_ptr());
            }
        }
        self.host_cache.get()
    }

    /// [`RequestPtr::host`] as bytes.
    pub fn host_text(&self) -> Option<&[u8]> {
        // SAFETY: the text is the request's, terminated.
        unsafe { optional_text(self.host()) }
    }
}

/// The last function of the program that gets the request is running. The request is freed when
/// this is dropped, also if the function throws.
struct Last {
    request: RequestPtr,
    outermost: bool,
    /// The function may have made the program its owner.
    may_be_owned: bool,
}

impl Last {
    fn of(request: RequestPtr, may_be_owned: bool) -> Last {
        let outermost = !request.has(flag::DEFER_FREE);
        request.insert(flag::DEFER_FREE);
        Last {
            request,
            outermost,
            may_be_owned,
        }
    }
}

impl Drop for Last {
    fn drop(&mut self) {
        if self.outermost {
            self.request.remove(flag::DEFER_FREE);
        }
        if self.may_be_owned && !self.request.has(flag::NEEDS_FREE) {
            self.request.free_unless_owned();
        } else {
            self.request.free();
        }
    }
}

/// # Safety
/// The list is live and its texts are terminated; they stay unchanged while the result is used.
unsafe fn value_of<'a>(list: *const Evkeyvalq, name: &[u8]) -> Option<&'a [u8]> {
    // SAFETY: the caller guarantees the list.
    unsafe {
        let pair = headers::find(list, name);
        (!pair.is_null()).then(|| CStr::from_ptr((*pair).value).to_bytes())
    }
}

/// Whether a word is among those, separated by commas, of the headers with that name: several
/// headers are one list.
///
/// # Safety
/// The list is live and its texts are terminated.
unsafe fn any_has_word(list: *const Evkeyvalq, name: &[u8], word: &[u8]) -> bool {
    // SAFETY: the caller guarantees the list.
    unsafe {
        let mut pair = headers::find(list, name);
        while !pair.is_null() {
            let mut items = CStr::from_ptr((*pair).value)
                .to_bytes()
                .split(|byte| *byte == b',');
            if items.any(|item| trim(item).eq_ignore_ascii_case(word)) {
                return true;
            }
            pair = headers::find_next(pair, name);
        }
    }
    false
}

/// A host without the colon and digits at its end.
fn without_port(host: &[u8]) -> &[u8] {
    let digits = host.iter().rev().take_while(|byte| byte.is_ascii_digit());
    let name = &host[..host.len() - digits.count()];
    name.strip_suffix(b":").unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::without_port;

    #[test]
    fn ports_are_cut_off() {
        for (host, name) in [
            ("h", "h"),
            ("h:80", "h"),
            ("h:", "h"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
            ("10", "10"),
            ("", ""),
            (":80", ""),
            ("::1", ":"),
        ] {
            assert_eq!(without_port(host.as_bytes()), name.as_bytes());
        }
    }
}
