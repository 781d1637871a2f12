//! One call at the server, from its HTTP request to the reply.

use super::abi::Evrpc;
use super::hooks::{Paused, Verdict, Way};
use super::meta::Context;
use super::server::Registration;
use crate::buffer::{Evbuffer, Guard as BufferGuard};
use crate::hooks::memory;
use crate::http::abi::{EvhttpRequest, method};
use crate::http::connection::Connection;
use crate::http::reply;
use crate::http::request::RequestPtr as HttpRequestPtr;
use std::cell::{Cell, UnsafeCell};
use std::ffi::{c_int, c_void};
use std::mem::offset_of;
use std::ptr::{self, NonNull};

/// `struct evrpc_req_generic`. Its first six members are those of the structure that programs see.
#[repr(C)]
pub struct Request {
    context: Context,
    /// The message that was received.
    pub request: Cell<*mut c_void>,
    /// The message to send.
    pub reply: Cell<*mut c_void>,
    rpc: Cell<*mut Evrpc>,
    /// Null when it is gone.
    http: Cell<*mut EvhttpRequest>,
    /// The bytes of the reply.
    data: Cell<*mut Evbuffer>,
    registration: Cell<*mut Registration>,
    paused: UnsafeCell<Paused>,
}

const _: () = {
    assert!(offset_of!(Request, request) == 8);
    assert!(offset_of!(Request, http) == 32);
    assert!(offset_of!(Request, data) == 40);
    assert!(offset_of!(Request, registration) == 48);
};

const UNAVAILABLE: c_int = 503;

/// A call that has begun and not ended.
#[derive(Clone, Copy)]
struct RequestPtr(NonNull<Request>);

impl std::ops::Deref for RequestPtr {
    type Target = Request;
    fn deref(&self) -> &Request {
        // SAFETY: whoever made the pointer knows that the call has not ended; what changes in it is
        // in cells.
        unsafe { self.0.as_ref() }
    }
}

/// Called by the HTTP server for the path of a registration.
///
/// # Safety
/// `http` is a live request that is to be replied to, and `argument` a live registration.
pub unsafe extern "C-unwind" fn arrived(http: *mut EvhttpRequest, argument: *mut c_void) {
    let registration = argument.cast::<Registration>();
    // SAFETY: the caller guarantees the request.
    let Some(message) = (unsafe { HttpRequestPtr::new(http) }) else {
        return;
    };
    let is_call = message.method.get() == method::POST && message.input().length() > 0;
    let begun = if is_call {
        memory::allocate_zeroed::<Request>().ok()
    } else {
        None
    };
    let Some(block) = begun else {
        refuse(message);
        return;
    };
    let request = RequestPtr(block);
    request.registration.set(registration);
    request.http.set(http);
    message.watch(Some(http_gone), block.as_ptr().cast());
    // SAFETY: the caller guarantees the registration.
    unsafe {
        request.rpc.set((*registration).rpc);
        Registration::hold(registration);
    }
    let verdict = request.run_hooks(Way::In, message.input_buffer.get());
    match verdict {
        Verdict::Continue => request.dispatch(),
        Verdict::Terminate => request.fail(),
        Verdict::Pause => {}
    }
}

fn refuse(message: HttpRequestPtr) {
    // SAFETY: the request is live and not replied to.
    unsafe { reply::send_error(message.as_ptr(), UNAVAILABLE, None) };
}

/// Called by the HTTP request when it ends before the call.
unsafe fn http_gone(request: *mut c_void) {
    // SAFETY: a call that ends first does not leave this with its HTTP request.
    unsafe { (*request.cast::<Request>()).http.set(ptr::null_mut()) };
}

/// The connection of a call, or null.
unsafe fn connection_of(context: *mut c_void) -> *mut Connection {
    // SAFETY: hooks get the address of a live call, which knows no request that is gone.
    unsafe {
        let http = (*context.cast::<Request>()).http.get();
        http.as_ref()
            .map_or(ptr::null_mut(), |http| http.evcon.get())
    }
}

/// Continues a call that was paused.
///
/// # Safety
/// `context` is a call that was in the list of the paused ones.
pub unsafe fn resume(context: *mut c_void, verdict: Verdict) {
    // SAFETY: the caller guarantees the call.
    let request = unsafe { pointer(context.cast()) };
    match verdict {
        Verdict::Terminate => request.fail(),
        _ if request.data.get().is_null() => request.dispatch(),
        _ => request.send(),
    }
}

/// Answers a call with an error.
///
/// # Safety
/// The call has begun and not ended.
pub unsafe fn fail(request: *mut Request) {
    // SAFETY: the caller guarantees the call.
    unsafe { pointer(request) }.fail();
}

/// Sends the reply, which the handler has filled in, and ends the call.
///
/// # Safety
/// The call has begun and not ended.
pub unsafe fn done(request: *mut Request) {
    // SAFETY: the caller guarantees the call.
    unsafe { pointer(request) }.reply();
}

/// Frees a call without an answer.
///
/// # Safety
/// The call has begun and not ended.
pub unsafe fn free(request: *mut Request) {
    // SAFETY: the caller guarantees the call.
    unsafe { pointer(request) }.free();
}

/// # Safety
/// `request` is a live call, not null.
unsafe fn pointer(request: *mut Request) -> RequestPtr {
    RequestPtr(NonNull::new(request).expect("a call is not null"))
}

impl RequestPtr {
    /// The HTTP request, while it is there.
    fn message(self) -> Option<HttpRequestPtr> {
        // SAFETY: the pointer is cleared when the request ends, which reports that.
        unsafe { HttpRequestPtr::new(self.http.get()) }
    }

    /// Shows the call to the hooks; it is paused when they say so.
    fn run_hooks(self, way: Way, buffer: *mut Evbuffer) -> Verdict {
        // SAFETY: the call holds its registration.
        let Some(server) = (unsafe { Registration::server(self.registration.get()) }) else {
            return Verdict::Continue;
        };
        let hooked = server.hooked();
        let context = self.0.as_ptr().cast::<c_void>();
        let pin = hooked.pin();
        // SAFETY: the server's side is pinned, and the call live.
        let verdict =
            unsafe { hooked.run_hooks(way, context, connection_of, self.http.get(), buffer) };
        if pin.is_ended() && verdict == Verdict::Pause {
            return Verdict::Terminate;
        }
        if verdict == Verdict::Pause {
            // SAFETY: a call leaves the list when it ends.
            unsafe { hooked.pause(self.paused.get(), context) };
        }
        verdict
    }

    /// Reads the request and calls the program's handler.
    fn dispatch(self) {
        if self.make_messages().is_none() {
            self.fail();
            return;
        }
        // SAFETY: the registration is held. Its function takes the call over.
        unsafe {
            let (handler, argument) = ((*self.rpc.get()).cb, (*self.rpc.get()).cb_arg);
            if let Some(handler) = handler {
                handler(self.0.as_ptr(), argument);
            }
        }
    }

    /// Makes and reads the message of the request, and makes that of the reply. `None` when that
    /// fails.
    fn make_messages(self) -> Option<()> {
        let rpc = self.rpc.get();
        // SAFETY: the registration is held, and its functions are made for such messages.
        unsafe {
            let message = ((*rpc).request_new?)((*rpc).request_new_arg);
            self.request.set(message);
            if message.is_null() {
                return None;
            }
            let input = self.message()?.input_buffer.get();
            if ((*rpc).request_unmarshal?)(message, input) == -1 {
                return None;
            }
            let reply = ((*rpc).reply_new?)((*rpc).reply_new_arg);
            self.reply.set(reply);
            (!reply.is_null()).then_some(())
        }
    }

    /// Turns the reply into bytes and sends it.
    fn reply(self) {
        let connected = self
            .message()
            .is_some_and(|message| message.connection().is_some());
        if !connected {
            // Nobody waits any more. The HTTP layer frees its request when it is replied to.
            self.fail();
            return;
        }
        if self.marshal().is_none() {
            self.fail();
            return;
        }
        match self.run_hooks(Way::Out, self.data.get()) {
            Verdict::Continue => self.send(),
            Verdict::Terminate => self.fail(),
            Verdict::Pause => {}
        }
    }

    fn marshal(self) -> Option<()> {
        let rpc = self.rpc.get();
        // SAFETY: the registration is held, and its functions are made for such messages.
        unsafe {
            if ((*rpc).reply_complete?)(self.reply.get()) == -1 {
                return None;
            }
            self.data.set(Evbuffer::create().ok()?.as_ptr());
            ((*rpc).reply_marshal?)(self.data.get(), self.reply.get());
        }
        Some(())
    }

    fn send(self) {
        let Some(message) = self.message() else {
            self.free();
            return;
        };
        let typed = message.output_header(b"Content-Type").is_some()
            || message
                .add_output_header(b"Content-Type", b"application/octet-stream")
                .is_ok();
        if !typed {
            self.fail();
            return;
        }
        message.watch(None, ptr::null_mut());
        self.http.set(ptr::null_mut());
        // SAFETY: the request is live and not replied to; the buffer is the call's own.
        unsafe { reply::send(message.as_ptr(), 200, Some(b"OK"), self.data.get()) };
        self.free();
    }

    /// Ends the call, and answers it with an error.
    fn fail(self) {
        self.forget();
        let message = self.message();
        self.free();
        if let Some(message) = message {
            refuse(message);
        }
    }

    /// Ends the call.
    fn free(self) {
        self.forget();
        if let Some(message) = self.message() {
            message.watch(None, ptr::null_mut());
        }
        // SAFETY: the call is live and ends here; its registration is held until then.
        unsafe {
            Registration::release(self.registration.get());
            memory::free(self.0.as_ptr().cast());
        }
    }

    /// Frees everything that belongs to the call.
    fn forget(self) {
        self.context.forget();
        let rpc = self.rpc.get();
        // SAFETY: the registration is held, and its functions are made for these messages.
        unsafe {
            Paused::leave(self.paused.get());
            let messages = [
                (&self.request, (*rpc).request_free),
                (&self.reply, (*rpc).reply_free),
            ];
            for (place, free) in messages {
                let message = place.replace(ptr::null_mut());
                if let (false, Some(free)) = (message.is_null(), free) {
                    free(message);
                }
            }
            let data = self.data.replace(ptr::null_mut());
            if !data.is_null() {
                BufferGuard::new(data).drop_reference();
            }
        }
    }
}
