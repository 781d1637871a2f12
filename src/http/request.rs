//! Requests: their memory, their texts and who owns them.

use super::abi::{EvhttpRequest, RequestFn, flag, request_kind};
use super::connection::ConnectionPtr;
use super::headers::{self, Evkeyvalq};
use super::parser::trim;
use super::status;
use super::uri::{Part, Uri};
use crate::buffer::{Evbuffer, Guard as BufferGuard};
use crate::hooks::memory::{self, OutOfMemory};
use std::cell::{Cell, UnsafeCell};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ops::Deref;
use std::ptr::{self, NonNull, addr_of_mut};

/// A request with its lists of headers, and room for texts that are short as a rule, as one block of
/// memory.
#[repr(C)]
struct Block {
    request: EvhttpRequest,
    input_headers: Evkeyvalq,
    output_headers: Evkeyvalq,
    watcher: Cell<Option<WatcherFn>>,
    watcher_argument: Cell<*mut c_void>,
    remote_host: UnsafeCell<[c_char; 48]>,
    reason: UnsafeCell<[c_char; 32]>,
}

/// Is told that something ends.
pub type WatcherFn = unsafe fn(argument: *mut c_void);

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

    /// A request of its own.
    pub fn create(
        callback: Option<RequestFn>,
        argument: *mut c_void,
    ) -> Result<RequestPtr, OutOfMemory> {
        let block = memory::allocate_zeroed::<Block>()?;
        // SAFETY: the block is new, zero bytes are a valid request without any part, and the lists
        // stay where they are. The request is the first member.
        let request = unsafe {
            let fields = block.as_ptr();
            Evkeyvalq::initialise(addr_of_mut!((*fields).input_headers));
            Evkeyvalq::initialise(addr_of_mut!((*fields).output_headers));
            let request = RequestPtr(block.cast());
            let input = addr_of_mut!((*fields).input_headers);
            request.input_headers.set(input);
            let output = addr_of_mut!((*fields).output_headers);
            request.output_headers.set(output);
            request
        };
        request.kind.set(request_kind::RESPONSE);
        request.set_user_done(true);
        request.cb.set(callback);
        request.cb_arg.set(argument);
        for place in [&request.input_buffer, &request.output_buffer] {
            match Evbuffer::create() {
                Ok(buffer) => place.set(buffer.as_ptr()),
                Err(refused) => {
                    request.destroy();
                    return Err(refused);
                }
            }
        }
        Ok(request)
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

    fn destroy(self) {
        if let Some(watcher) = self.block().watcher.take() {
            // SAFETY: whoever watches the request gave this function and its argument.
            unsafe { watcher(self.block().watcher_argument.get()) };
        }
        for text in [
            &self.remote_host,
            &self.host_cache,
            &self.uri,
            &self.response_code_line,
        ] {
            self.replace(text, ptr::null_mut());
        }
        // SAFETY: all of these are the request's own, and this is its end.
        unsafe {
            let uri = self.uri_elems.replace(ptr::null_mut());
            if !uri.is_null() {
                Uri::free(uri);
            }
            headers::clear(self.input_headers.get());
            headers::clear(self.output_headers.get());
            for buffer in [&self.input_buffer, &self.output_buffer] {
                let buffer = buffer.get();
                if !buffer.is_null() {
                    BufferGuard::new(buffer).drop_reference();
                }
            }
            memory::free(self.as_ptr().cast());
        }
    }

    fn block(&self) -> &Block {
        // SAFETY: every request is the beginning of such a block.
        unsafe { &*self.0.as_ptr().cast::<Block>() }
    }

    /// Stores another text, or none, which belongs to the request, in place of the present one.
    fn replace(self, place: &Cell<*mut c_char>, text: *mut c_char) {
        let old = place.replace(text);
        if old.is_null() || self.has_room_of(old) {
            return;
        }
        // SAFETY: other texts of a request are blocks of `memory` and its own.
        unsafe { memory::free(old.cast()) };
    }

    /// Whether a text lies in the block of the request.
    fn has_room_of(self, text: *mut c_char) -> bool {
        let start = self.as_ptr() as usize;
        (start..start + size_of::<Block>()).contains(&(text as usize))
    }

    /// Stores a copy of a text in place of the present one: in its room if it fits.
    fn store<const SIZE: usize>(
        self,
        place: &Cell<*mut c_char>,
        room: &UnsafeCell<[c_char; SIZE]>,
        text: &[u8],
    ) -> Result<*mut c_char, OutOfMemory> {
        let copy = if text.len() < SIZE {
            let copy = room.get().cast::<c_char>();
            // SAFETY: there is room. The present text may be there, and is not needed any more; the
            // other one is not part of it unless it is all of it.
            unsafe {
                ptr::copy(text.as_ptr().cast(), copy, text.len());
                copy.add(text.len()).write(0);
            }
            copy
        } else {
            memory::copy_text(text)?.as_ptr()
        };
        self.replace(place, copy);
        Ok(copy)
    }

    /// Has a function, or none, be told when the request ends and none of its callbacks is.
    pub fn watch(self, watcher: Option<WatcherFn>, argument: *mut c_void) {
        self.block().watcher.set(watcher);
        self.block().watcher_argument.set(argument);
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

    /// Runs a function of the program that gets the request. It is not freed meanwhile, but, if it
    /// was to be, when this returns: then there is only a result.
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

    /// Tells the program that the request is done, and frees it unless it belongs to the program.
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

    /// Runs a function of the program that gets the request for the last time, which is freed then.
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

    /// What came in as body.
    pub fn input(self) -> BufferGuard {
        // SAFETY: the buffer lives as long as the request.
        unsafe { BufferGuard::new(self.input_buffer.get()) }
    }

    /// The body to go out.
    pub fn output(self) -> BufferGuard {
        // SAFETY: as above.
        unsafe { BufferGuard::new(self.output_buffer.get()) }
    }

    /// The value of a header that came in.
    pub fn input_header(&self, name: &[u8]) -> Option<&[u8]> {
        // SAFETY: the list is the request's, its texts are terminated.
        unsafe { value_of(self.input_headers.get(), name) }
    }

    /// The value of a header to go out.
    pub fn output_header(&self, name: &[u8]) -> Option<&[u8]> {
        // SAFETY: as above.
        unsafe { value_of(self.output_headers.get(), name) }
    }

    /// Whether a word is among those of the headers of that name that came in.
    pub fn input_has_word(&self, name: &[u8], word: &[u8]) -> bool {
        // SAFETY: the list is the request's, its texts are terminated.
        unsafe { any_has_word(self.input_headers.get(), name, word) }
    }

    /// Whether a word is among those of the headers of that name to go out.
    pub fn output_has_word(&self, name: &[u8], word: &[u8]) -> bool {
        // SAFETY: as above.
        unsafe { any_has_word(self.output_headers.get(), name, word) }
    }

    /// Adds a header to go out.
    pub fn add_output_header(self, name: &[u8], value: &[u8]) -> Result<(), OutOfMemory> {
        // SAFETY: the list is the request's.
        unsafe { headers::append_packed(self.output_headers.get(), name, value) }
    }

    /// Removes the first header of that name that was to go out.
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
        self.replace(&self.uri, memory::copy_text(uri)?.as_ptr());
        Ok(())
    }

    /// The target.
    pub fn uri_text(&self) -> Option<&[u8]> {
        // SAFETY: texts of a request are terminated.
        unsafe { optional_text(self.uri.get()) }
    }

    /// Stores the target taken apart.
    pub fn set_uri_parts(self, uri: NonNull<Uri>) {
        let old = self.uri_elems.replace(uri.as_ptr());
        if !old.is_null() {
            // SAFETY: the request's own.
            unsafe { Uri::free(old) };
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
        let room = &self.block().reason;
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
        self.store(&self.remote_host, &self.block().remote_host, host)?;
        self.remote_port.set(port);
        Ok(())
    }

    /// The host that is asked, without a port: of the target, else of the header; cached.
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

/// The last function of the program runs that gets the request, which is freed then, also when the
/// function throws.
struct Last {
    request: RequestPtr,
    outermost: bool,
    /// The program may have made it its own.
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

/// Whether a word is among those, divided by commas, of the headers of that name: several are one list.
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
