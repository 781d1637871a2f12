//! The memory of requests.
//!
//! A request is one block with its lists of headers; those of a server have room for what is short as
//! a rule. Beside it are the buffers of both bodies and, once the library has added headers to it, room for
//! these. A server keeps the memory of requests that have ended for those to come, with the headers
//! that came in: a client sends mostly the same ones again.

use super::abi::{EvhttpRequest, RequestFn, RequestQueue, flag, request_kind};
use super::connection::ConnectionPtr;
use super::headers::{self, Evkeyvalq, PairRoom};
use super::request::RequestPtr;
use super::uri::UriRoom;
use crate::buffer::{Evbuffer, Guard as BufferGuard};
use crate::hooks::memory::{self, OutOfMemory};
use std::cell::{Cell, UnsafeCell};
use std::ffi::{c_char, c_void};
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull, addr_of_mut};

/// Bytes of headers that are kept at most.
const MOST_KEPT: usize = 2048;

/// Room for a text.
pub(super) type TextRoom<const SIZE: usize> = UnsafeCell<MaybeUninit<[c_char; SIZE]>>;

/// Called when something ends.
pub type WatcherFn = unsafe fn(argument: *mut c_void);

/// A request with what is always there beside it.
#[repr(C)]
pub(super) struct Block {
    request: EvhttpRequest,
    input_headers: Evkeyvalq,
    output_headers: Evkeyvalq,
    watcher: Cell<Option<WatcherFn>>,
    watcher_argument: Cell<*mut c_void>,
    /// The own block for headers that the library adds, or null.
    added_headers: Cell<*mut PairRoom>,
    pub(super) reason: TextRoom<32>,
    /// What is behind this in the same memory, or null.
    server_part: Cell<*const ServerPart>,
}

/// What only requests of servers have, which are used again and again.
pub(super) struct ServerPart {
    /// Those that came in with the request before.
    old_headers: UnsafeCell<Evkeyvalq>,
    pub(super) remote_host: TextRoom<48>,
    pub(super) uri: TextRoom<48>,
    pub(super) uri_parts: UnsafeCell<UriRoom>,
}

/// The memory of a server's request.
#[repr(C)]
struct ServerBlock {
    block: Block,
    part: ServerPart,
}

impl RequestPtr {
    /// A request of its own.
    pub fn create(
        callback: Option<RequestFn>,
        argument: *mut c_void,
    ) -> Result<RequestPtr, OutOfMemory> {
        let block = memory::allocate_zeroed::<Block>()?;
        // SAFETY: the block is new, and all zero.
        let request = unsafe { RequestPtr::in_block(block) }?;
        request.cb.set(callback);
        request.cb_arg.set(argument);
        Ok(request)
    }

    /// A request for a server.
    fn create_for_server() -> Result<RequestPtr, OutOfMemory> {
        let memory = memory::allocate_zeroed::<ServerBlock>()?;
        // SAFETY: the memory is new, and all zero; the part stays where it is.
        unsafe {
            let part = addr_of_mut!((*memory.as_ptr()).part);
            Evkeyvalq::initialise((*part).old_headers.get());
            (*memory.as_ptr()).block.server_part.set(part);
            RequestPtr::in_block(memory.cast())
        }
    }

    /// A request in memory for one, which is given back if there is none for its buffers.
    ///
    /// # Safety
    /// The block was allocated for this, and is zeroed but for where the server's part is.
    unsafe fn in_block(block: NonNull<Block>) -> Result<RequestPtr, OutOfMemory> {
        // SAFETY: the request is the block's first member.
        let request = unsafe { RequestPtr::new(block.as_ptr().cast()) }.ok_or(OutOfMemory)?;
        request.begin();
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

    /// Makes a request of memory in which there is none (any more).
    fn begin(self) {
        let block = self.as_ptr().cast::<Block>();
        let (input, output) = (self.input_buffer.get(), self.output_buffer.get());
        // SAFETY: zero bytes are a valid request without any part, and the lists stay where they
        // are.
        unsafe {
            addr_of_mut!((*block).request).write_bytes(0, 1);
            for list in [
                addr_of_mut!((*block).input_headers),
                addr_of_mut!((*block).output_headers),
            ] {
                Evkeyvalq::initialise(list);
            }
            self.input_headers.set(addr_of_mut!((*block).input_headers));
            self.output_headers
                .set(addr_of_mut!((*block).output_headers));
        }
        self.input_buffer.set(input);
        self.output_buffer.set(output);
        self.kind.set(request_kind::RESPONSE);
    }

    /// Ends the request, of which only the memory is left, and the headers that came in.
    fn end(self) {
        if let Some(watcher) = self.block().watcher.take() {
            // SAFETY: the watcher of the request supplied this function together with its argument.
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
        self.drop_uri_parts();
        // SAFETY: both are the request's own, and this is its end.
        unsafe {
            headers::clear(self.output_headers.get());
            if let Some(room) = self.block().added_headers.get().as_mut() {
                room.empty();
            }
        }
    }

    /// Gives the memory back of a request that has ended.
    fn release_memory(self) {
        for buffer in [&self.input_buffer, &self.output_buffer] {
            let buffer = buffer.get();
            if !buffer.is_null() {
                // SAFETY: the buffer is the request's own.
                unsafe { BufferGuard::new(buffer).drop_reference() };
            }
        }
        // SAFETY: the lists and both blocks are the request's, which nobody uses any more.
        unsafe {
            headers::clear(self.input_headers.get());
            if let Some(old) = self.old_headers() {
                headers::clear(old);
            }
            memory::free(self.block().added_headers.get().cast());
            memory::free(self.as_ptr().cast());
        }
    }

    /// Ends the request and gives its memory back.
    pub(super) fn destroy(self) {
        self.end();
        self.release_memory();
    }

    /// [`RequestPtr::free`] for one of a connection of a server, which keeps the memory unless the
    /// program holds part of it.
    pub(super) fn retire(self, connection: ConnectionPtr) {
        if self.has(flag::DEFER_FREE) {
            return self.free();
        }
        self.end();
        let renewed = self.renew_buffers();
        // Code of the program may have run, as what frees the memory that a body was in.
        match connection.server() {
            Some(server) if renewed && !server.spares.is_full() => {
                self.keep_headers();
                server.spares.keep(self);
            }
            _ => self.release_memory(),
        }
    }

    /// Keeps the headers that came in for the next request, if they are few, and those before no
    /// longer.
    fn keep_headers(self) {
        let few = self.headers_size.get() <= MOST_KEPT;
        let (new, old) = (self.input_headers.get(), self.old_headers());
        // SAFETY: the lists are the request's, and nobody uses the pairs any more.
        unsafe {
            if let Some(old) = old {
                headers::clear(old);
            }
            match old.filter(|_| few) {
                Some(old) => headers::move_all(new, old),
                None => headers::clear(new),
            }
        }
    }

    fn old_headers(&self) -> Option<*mut Evkeyvalq> {
        self.server_part().map(|part| part.old_headers.get())
    }

    /// Adds a header that came in. Neither text has a NUL.
    pub(super) fn add_input_header(self, name: &[u8], value: &[u8]) -> Result<(), OutOfMemory> {
        let list = self.input_headers.get();
        // SAFETY: the lists are the request's.
        unsafe {
            match self.old_headers() {
                Some(old) => headers::append_over(list, old, name, value),
                None => headers::append(list, name, value).map(|_| ()),
            }
        }
    }

    /// Whether the buffers of an ended request, emptied, are as they were made, so that they serve
    /// for another one.
    fn renew_buffers(self) -> bool {
        [&self.input_buffer, &self.output_buffer]
            .into_iter()
            .all(|buffer| {
                let buffer = buffer.get();
                // SAFETY: the buffer is the request's own.
                !buffer.is_null() && unsafe { BufferGuard::new(buffer) }.renew()
            })
    }

    pub(super) fn block(&self) -> &Block {
        // SAFETY: every request is the beginning of such a block.
        unsafe { &*self.as_ptr().cast::<Block>() }
    }

    pub(super) fn server_part(&self) -> Option<&ServerPart> {
        // SAFETY: null, or the part in the memory of the request.
        unsafe { self.block().server_part.get().as_ref() }
    }

    /// Stores another text, or none, which belongs to the request, in place of the present one.
    pub(super) fn replace(self, place: &Cell<*mut c_char>, text: *mut c_char) {
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
        let size = match self.server_part() {
            Some(_) => size_of::<ServerBlock>(),
            None => size_of::<Block>(),
        };
        (start..start + size).contains(&(text as usize))
    }

    /// Replaces a text by a copy of another, in the room if there is one and it fits.
    pub(super) fn store<const SIZE: usize>(
        self,
        place: &Cell<*mut c_char>,
        room: Option<&TextRoom<SIZE>>,
        text: &[u8],
    ) -> Result<*mut c_char, OutOfMemory> {
        let copy = if let Some(room) = room.filter(|_| text.len() < SIZE) {
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

    /// Adds a header to send.
    pub fn add_output_header(self, name: &[u8], value: &[u8]) -> Result<(), OutOfMemory> {
        let place = &self.block().added_headers;
        if place.get().is_null() {
            place.set(PairRoom::create()?.as_ptr());
        }
        // SAFETY: the room is the request's, and so is the list, whose pairs do not outlive it.
        unsafe { (*place.get()).append(self.output_headers.get(), name, value) }
    }

    /// Sets a function, or none, that is called if the request ends without any of its callbacks.
    pub fn watch(self, watcher: Option<WatcherFn>, argument: *mut c_void) {
        self.block().watcher.set(watcher);
        self.block().watcher_argument.set(argument);
    }
}

/// Memory of requests that have ended. Of a server without connections it is that of one: as much
/// as the next connection begins with.
pub(super) struct Spares {
    /// The last one in front: its memory is still near.
    ended: UnsafeCell<RequestQueue>,
    count: Cell<usize>,
}

impl Spares {
    /// As many are kept as there may be at the same time of one connection.
    const MOST: usize = super::incoming::MOST_AHEAD;

    /// Prepares zeroed memory.
    ///
    /// # Safety
    /// `spares` stays where it is.
    pub(super) unsafe fn initialise(spares: *mut Spares) {
        // SAFETY: the caller guarantees the place.
        unsafe { RequestQueue::initialise((*spares).ended.get()) };
    }

    /// A new request, in memory of one that has ended if there is any.
    pub(super) fn request(&self) -> Result<RequestPtr, OutOfMemory> {
        let Some(spare) = self.take() else {
            return RequestPtr::create_for_server();
        };
        spare.begin();
        Ok(spare)
    }

    fn is_full(&self) -> bool {
        self.count.get() >= Spares::MOST
    }

    /// Keeps the memory of a request that has ended, with its buffers as they were made.
    fn keep(&self, ended: RequestPtr) {
        // SAFETY: the queue is this one's, and the request in none.
        unsafe { RequestQueue::push_front(self.ended.get(), ended.as_ptr()) };
        self.count.set(self.count.get() + 1);
    }

    fn take(&self) -> Option<RequestPtr> {
        let queue = self.ended.get();
        // SAFETY: what is in the queue is memory of requests.
        unsafe {
            let spare = RequestPtr::new(RequestQueue::first(queue))?;
            RequestQueue::remove_first(queue, spare.as_ptr());
            self.count.set(self.count.get() - 1);
            Some(spare)
        }
    }

    /// Gives the memory back of all but so many.
    pub(super) fn leave(&self, most: usize) {
        while self.count.get() > most {
            let Some(spare) = self.take() else { return };
            spare.release_memory();
        }
    }
}
