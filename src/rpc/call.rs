//! One call at the client, from its request to the callback.

use super::abi::{EvrpcStatus, MarshalFn, MessageFn, Outcome, ReplyFn, UnmarshalFn};
use super::hooks::{Paused, Pin, Verdict, Way};
use super::meta::Context;
use super::pool::{Pool, PoolPtr};
use super::server;
use crate::base::Guard as BaseGuard;
use crate::base::pending::Blocking;
use crate::event::{Event, EventPtr, assign};
use crate::hooks::memory::{self, OutOfMemory};
use crate::http::abi::{EvhttpRequest, flag, method};
use crate::http::client;
use crate::http::connection::{Connection, ConnectionPtr};
use crate::http::request::RequestPtr as HttpRequestPtr;
use crate::list::{TailLink, TailQueue, links};
use libc::timeval;
use std::cell::{Cell, UnsafeCell};
use std::ffi::{CStr, c_char, c_int, c_short, c_void};
use std::ops::Deref;
use std::ptr::{self, NonNull, addr_of_mut};

/// The messages of a call, and the program's functions for them.
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub struct Messages {
    pub request: *mut c_void,
    pub reply: *mut c_void,
    pub marshal: Option<MarshalFn>,
    pub clear: Option<MessageFn>,
    pub unmarshal: Option<UnmarshalFn>,
}

/// How far a call is, and whose its HTTP request is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It has no HTTP request yet, or one of its own.
    Preparing,
    /// The HTTP layer takes the request.
    Sending,
    /// The HTTP layer has the request.
    Sent,
    /// The HTTP layer shows the answer.
    Answered,
    /// It has kept the answer.
    Kept,
}

/// `struct evrpc_request_wrapper`.
#[repr(C)]
pub struct Call {
    context: Context,
    link: TailLink<Call>,
    /// The list that it is in, or null.
    queue: Cell<*mut CallQueue>,
    paused: UnsafeCell<Paused>,
    pool: Cell<*mut Pool>,
    messages: Messages,
    callback: Cell<Option<ReplyFn>>,
    argument: Cell<*mut c_void>,
    path: *mut c_char,
    stage: Cell<Stage>,
    /// Null when there is none.
    http: Cell<*mut EvhttpRequest>,
    /// The connection that it was sent on, which may be gone.
    connection: Cell<*mut Connection>,
    /// Ends the call when it takes too long.
    timer: UnsafeCell<Event>,
    has_timer: Cell<bool>,
    /// It is over, and freed as soon as nothing holds it.
    has_ended: Cell<bool>,
    holds: Cell<u32>,
}

links! {
    /// The links of calls.
    pub struct CallLinks: TailLink<Call> in link;
}
/// Calls in the order in which they were made.
pub type CallQueue = TailQueue<CallLinks>;

/// A call that has not ended, or is held.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CallPtr(NonNull<Call>);

impl Deref for CallPtr {
    type Target = Call;
    fn deref(&self) -> &Call {
        // SAFETY: `new` promised a live call, and what changes in it is in cells.
        unsafe { self.0.as_ref() }
    }
}

/// Keeps a call, and the pool with it, while functions of the program run.
struct Hold {
    call: CallPtr,
    pool: PoolPtr,
    /// Dropped after the call.
    pin: Pin,
}

impl Drop for Hold {
    fn drop(&mut self) {
        let call = self.call;
        call.holds.set(call.holds.get() - 1);
        call.free_if_unused();
    }
}

/// Continues a call that was paused.
///
/// # Safety
/// `context` is a call that was in the list of the paused ones.
pub unsafe fn resume(context: *mut c_void, verdict: Verdict) {
    // SAFETY: the caller guarantees the call.
    let call = unsafe { CallPtr::new(context.cast()) }.expect("not null");
    let hold = call.hold();
    match (call.stage.get(), verdict) {
        (Stage::Kept, Verdict::Terminate) => hold.abort(),
        (Stage::Kept, _) => hold.deliver(),
        (_, Verdict::Terminate) => hold.finish(Outcome::Unstarted, ptr::null_mut()),
        (_, _) => hold.send(),
    }
}

/// The connection of a call, or null.
unsafe fn connection_of(context: *mut c_void) -> *mut Connection {
    // SAFETY: hooks get the address of a live call, whose pool is live or pinned.
    unsafe {
        let call = CallPtr(NonNull::new_unchecked(context.cast::<Call>()));
        let connection = call.connection.get();
        let attached = call
            .http
            .get()
            .as_ref()
            .map_or(ptr::null_mut(), |http| http.evcon.get());
        let pool = PoolPtr::new(call.pool.get());
        let is_member = pool.is_some_and(|pool| pool.member(connection).is_some());
        if is_member || attached == connection {
            connection
        } else {
            ptr::null_mut()
        }
    }
}

/// Called by the HTTP layer with the answer, or with null if there is none.
unsafe extern "C-unwind" fn answered(http: *mut EvhttpRequest, call: *mut c_void) {
    // SAFETY: a call that ends first does not leave this with its HTTP request.
    let call = unsafe { CallPtr::new(call.cast()) }.expect("not null");
    let hold = call.hold();
    call.stop_timer();
    call.stage.set(Stage::Answered);
    call.http.set(http);
    // SAFETY: the HTTP layer keeps the request until this returns.
    let Some(message) = (unsafe { HttpRequestPtr::new(http) }) else {
        call.clear_reply();
        return hold.finish(Outcome::TimedOut, ptr::null_mut());
    };
    message.watch(None, ptr::null_mut());
    match hold.run_hooks(Way::In, message) {
        Some(Verdict::Continue) => hold.deliver(),
        Some(Verdict::Terminate) => hold.abort(),
        Some(Verdict::Pause) => {
            message.insert(flag::USER_OWNED);
            call.stage.set(Stage::Kept);
            // The connection is free.
            hold.start_others();
        }
        None => {}
    }
}

/// What the HTTP request calls when it ends without any other notification.
unsafe fn http_gone(call: *mut c_void) {
    // SAFETY: as in `answered`.
    let call = unsafe { CallPtr::new(call.cast()) }.expect("not null");
    call.http.set(ptr::null_mut());
    if call.stage.get() != Stage::Sending {
        call.abandon();
    }
}

/// The call has taken too long.
unsafe extern "C-unwind" fn timed_out(_: c_int, _: c_short, call: *mut c_void) {
    // SAFETY: the timer is deleted when the call ends.
    let call = unsafe { CallPtr::new(call.cast()) }.expect("not null");
    let hold = call.hold();
    call.has_timer.set(false);
    call.take_back();
    if !call.has_ended.get() {
        call.clear_reply();
        hold.finish(Outcome::TimedOut, ptr::null_mut());
    }
}

impl CallPtr {
    /// `None` for null.
    ///
    /// # Safety
    /// The call has not ended, or is held, for as long as the pointer, or a copy of it, is used.
    pub unsafe fn new(call: *mut Call) -> Option<CallPtr> {
        NonNull::new(call).map(CallPtr)
    }

    /// The raw pointer.
    pub fn as_ptr(self) -> *mut Call {
        self.0.as_ptr()
    }

    /// A call that is not made yet.
    pub fn create(
        pool: *mut Pool,
        name: &CStr,
        messages: Messages,
        callback: Option<ReplyFn>,
        argument: *mut c_void,
    ) -> Result<CallPtr, OutOfMemory> {
        let path = server::path_of(name.to_bytes())?;
        let Ok(block) = memory::allocate_zeroed::<Call>() else {
            // SAFETY: nobody else knows the text.
            unsafe { memory::free(path.as_ptr().cast()) };
            return Err(OutOfMemory);
        };
        // SAFETY: the block is new, and zero bytes are valid for all other fields.
        unsafe {
            let place = block.as_ptr();
            addr_of_mut!((*place).messages).write(messages);
            addr_of_mut!((*place).path).write(path.as_ptr());
            addr_of_mut!((*place).stage).write(Cell::new(Stage::Preparing));
        }
        let call = CallPtr(block);
        call.pool.set(pool);
        call.callback.set(callback);
        call.argument.set(argument);
        Ok(call)
    }

    /// The pool that it is to be made on.
    pub fn pool(self) -> *mut Pool {
        self.pool.get()
    }

    /// Chooses another pool.
    pub fn set_pool(self, pool: *mut Pool) {
        self.pool.set(pool);
    }

    /// Chooses another callback.
    pub fn set_callback(self, callback: Option<ReplyFn>, argument: *mut c_void) {
        self.callback.set(callback);
        self.argument.set(argument);
    }

    fn hold(self) -> Hold {
        // SAFETY: calls that are made have a pool, which takes them along when it ends.
        let pool = unsafe { PoolPtr::new(self.pool.get()) }.expect("a pool");
        self.holds.set(self.holds.get() + 1);
        Hold {
            call: self,
            pool,
            pin: pool.pin(),
        }
    }

    /// Moves the call to the end of a list, from the one that it is in.
    pub(super) fn enter(self, queue: *mut CallQueue) {
        self.leave();
        self.queue.set(queue);
        // SAFETY: the list is one of the pool's, and the call is in none.
        unsafe { CallQueue::push_back(queue, self.as_ptr()) };
    }

    fn leave(self) {
        let queue = self.queue.replace(ptr::null_mut());
        if !queue.is_null() {
            // SAFETY: the call is in that list.
            unsafe { CallQueue::remove(queue, self.as_ptr()) };
        }
    }

    /// Starts the call on a connection that is free.
    pub(super) fn begin(self, connection: ConnectionPtr) {
        let hold = self.hold();
        self.enter(hold.pool.begun());
        self.connection.set(connection.as_ptr());
        let Ok(message) = HttpRequestPtr::create(Some(answered), self.as_ptr().cast()) else {
            return hold.finish(Outcome::Unstarted, ptr::null_mut());
        };
        self.http.set(message.as_ptr());
        if let Some(marshal) = self.messages.marshal {
            // SAFETY: the program gave this function for that message.
            unsafe { marshal(message.output_buffer.get(), self.messages.request) };
        }
        if self.has_ended.get() {
            return;
        }
        match hold.run_hooks(Way::Out, message) {
            Some(Verdict::Continue) => hold.send(),
            Some(Verdict::Terminate) => hold.finish(Outcome::Unstarted, ptr::null_mut()),
            Some(Verdict::Pause) | None => {}
        }
    }

    fn start_timer(
        self,
        base: *mut crate::base::EventBase,
        seconds: c_int,
    ) -> Result<(), OutOfMemory> {
        let limit = timeval {
            tv_sec: seconds.into(),
            tv_usec: 0,
        };
        // SAFETY: the base outlives its connections; the event stays where it is, and is deleted
        // before the call goes.
        unsafe {
            let mut base = BaseGuard::lock(base);
            let event = self.timer.get();
            let event =
                assign::private(event, base.as_ptr(), -1, 0, timed_out, self.as_ptr().cast());
            base.add(event, Some(&limit)).map_err(|_| OutOfMemory)?;
        }
        self.has_timer.set(true);
        Ok(())
    }

    fn stop_timer(self) {
        if !self.has_timer.replace(false) {
            return;
        }
        // SAFETY: the event was assigned, and its base outlives it.
        unsafe {
            let event = EventPtr::new(self.timer.get()).expect("not null");
            let _ = BaseGuard::lock(event.base()).delete(event, Blocking::UnlessFinalizable);
        }
    }

    /// Takes the request back from the HTTP layer.
    fn take_back(self) {
        if !matches!(self.stage.get(), Stage::Sending | Stage::Sent) {
            return;
        }
        self.stage.set(Stage::Answered);
        // SAFETY: the pointer is cleared when the request ends, which reports that.
        let message = unsafe { HttpRequestPtr::new(self.http.replace(ptr::null_mut())) };
        if let Some(message) = message {
            message.watch(None, ptr::null_mut());
            client::cancel(message);
        }
    }

    fn clear_reply(self) {
        if let Some(clear) = self.messages.clear {
            // SAFETY: the program gave this function for that message.
            unsafe { clear(self.messages.reply) };
        }
    }

    /// Ends the call without calling its callback.
    pub(super) fn abandon(self) {
        self.end();
        self.holds.set(self.holds.get() + 1);
        self.take_back();
        self.holds.set(self.holds.get() - 1);
        self.free_if_unused();
    }

    fn end(self) {
        self.has_ended.set(true);
        self.leave();
        // SAFETY: a part of this call.
        unsafe { Paused::leave(self.paused.get()) };
        self.stop_timer();
    }

    fn free_if_unused(self) {
        if self.has_ended.get() && self.holds.get() == 0 {
            self.free();
        }
    }

    /// Frees a call that has ended, or was never made.
    fn free(self) {
        self.context.forget();
        if matches!(self.stage.get(), Stage::Preparing | Stage::Kept) {
            // SAFETY: the request is the call's own.
            if let Some(message) = unsafe { HttpRequestPtr::new(self.http.get()) } {
                message.free();
            }
        }
        // SAFETY: nobody has the call any more.
        unsafe {
            memory::free(self.path.cast());
            memory::free(self.as_ptr().cast());
        }
    }

    /// Tells the program how the call ended.
    fn notify(self, outcome: Outcome, http: *mut EvhttpRequest) {
        let mut status = EvrpcStatus {
            error: outcome as c_int,
            http_req: http,
        };
        let (callback, argument) = (self.callback.get(), self.argument.get());
        if let Some(callback) = callback {
            // SAFETY: the program gave this function for these messages.
            unsafe {
                callback(
                    &raw mut status,
                    self.messages.request,
                    self.messages.reply,
                    argument,
                );
            }
        }
    }
}

impl Hold {
    /// Shows the call to the hooks; it is paused when they say so. `None` when it has ended in the
    /// meantime.
    fn run_hooks(&self, way: Way, message: HttpRequestPtr) -> Option<Verdict> {
        let buffer = match way {
            Way::In => message.input_buffer.get(),
            Way::Out => message.output_buffer.get(),
        };
        let (context, hooked) = (self.call.as_ptr().cast::<c_void>(), self.pool.hooked());
        // SAFETY: the call is held, and with it the pool.
        unsafe {
            let verdict = hooked.run_hooks(way, context, connection_of, message.as_ptr(), buffer);
            if self.call.has_ended.get() {
                return None;
            }
            if verdict == Verdict::Pause {
                hooked.pause(self.call.paused.get(), context);
            }
            Some(verdict)
        }
    }

    /// Hands the request over to the HTTP layer.
    fn send(&self) {
        let (call, pool) = (self.call, self.pool);
        let own = pool.member(call.connection.get());
        // SAFETY: until it is sent, the request is the call's own.
        let message = unsafe { HttpRequestPtr::new(call.http.get()) };
        let (Some(connection), Some(message)) = (own.or_else(|| pool.any()), message) else {
            return self.finish(Outcome::Unstarted, ptr::null_mut());
        };
        call.connection.set(connection.as_ptr());
        let timed = match pool.limit() {
            Some(seconds) => call.start_timer(pool.base_of(connection), seconds),
            None => Ok(()),
        };
        if timed.is_err() {
            return self.finish(Outcome::Unstarted, ptr::null_mut());
        }
        message.watch(Some(http_gone), call.as_ptr().cast());
        call.stage.set(Stage::Sending);
        // SAFETY: the path is the call's own text.
        let path = unsafe { CStr::from_ptr(call.path) };
        let made = connection.make_request(message, method::POST, path.to_bytes());
        if call.stage.get() == Stage::Sending {
            call.stage.set(Stage::Sent);
        }
        if made.is_err() && !call.has_ended.get() {
            self.finish(Outcome::Unstarted, ptr::null_mut());
        }
    }

    /// Reads the answer.
    fn deliver(&self) {
        let call = self.call;
        let http = call.http.get();
        // SAFETY: the request is kept until this returns.
        let Some(message) = (unsafe { HttpRequestPtr::new(http) }) else {
            return;
        };
        let is_success = (200..300).contains(&message.response_code.get());
        let readable = call
            .messages
            .unmarshal
            .filter(|_| is_success)
            .is_some_and(|unmarshal| {
                // SAFETY: the program gave this function for that message.
                unsafe { unmarshal(call.messages.reply, message.input_buffer.get()) != -1 }
            });
        if call.has_ended.get() {
            return;
        }
        if readable {
            return self.finish(Outcome::Replied, http);
        }
        call.clear_reply();
        self.finish(Outcome::BadPayload, http);
    }

    /// Ends the call because a hook has rejected the answer.
    fn abort(&self) {
        self.call.clear_reply();
        self.finish(Outcome::HookAborted, self.call.http.get());
    }

    /// Ends the call, reports to the program how, and starts others.
    fn finish(&self, outcome: Outcome, http: *mut EvhttpRequest) {
        if self.call.has_ended.get() {
            return;
        }
        self.call.end();
        self.call.notify(outcome, http);
        self.start_others();
    }

    fn start_others(&self) {
        if !self.pin.is_ended() {
            self.pool.start_calls();
        }
    }
}
