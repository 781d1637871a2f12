//! Connection listeners: accepting connections on a socket and handing them to the program.
//!
//! Lock order: the listener's lock before the one of its base. Functions of the program run without
//! it, so that they may wait for other threads that use the listener. Once a listener is disabled
//! or freed, none is called that was not on its way already; disabling waits for that one.

use crate::base::pending::Blocking;
use crate::base::{self, EventBase, Guard};
use crate::event::{Event, EventPtr, assign, debug, kind};
use crate::hooks::memory::{self, OutOfMemory};
use crate::hooks::threads::{Lock, RECURSIVE};
use crate::system::{errno, set_errno};
use crate::timers::time;
use crate::util::SystemError;
use crate::util::sockets::{self, OwnedSocket};
use crate::warning_with_errno;
use libc::{sockaddr, sockaddr_storage, socklen_t, timeval};
use std::cell::{Cell, UnsafeCell};
use std::ffi::{c_int, c_short, c_uint, c_void};
use std::mem::{MaybeUninit, forget, size_of};
use std::ops::Deref;
use std::ptr::NonNull;

/// Takes over an accepted connection.
pub type EvconnlistenerFn =
    unsafe extern "C-unwind" fn(*mut Evconnlistener, c_int, *mut sockaddr, c_int, *mut c_void);
/// Learns that accepting failed.
pub type EvconnlistenerErrorFn = unsafe extern "C-unwind" fn(*mut Evconnlistener, *mut c_void);

/// What a listener does differently, as bits.
#[allow(missing_docs)]
pub mod option {
    use std::ffi::c_uint;
    pub const LEAVE_SOCKETS_BLOCKING: c_uint = 0x01;
    pub const CLOSE_ON_FREE: c_uint = 0x02;
    pub const CLOSE_ON_EXEC: c_uint = 0x04;
    pub const REUSEABLE: c_uint = 0x08;
    pub const THREADSAFE: c_uint = 0x10;
    pub const DISABLED: c_uint = 0x20;
    pub const DEFERRED_ACCEPT: c_uint = 0x40;
    pub const REUSEABLE_PORT: c_uint = 0x80;
    pub const BIND_IPV6ONLY: c_uint = 0x100;
}

/// The length of the kernel's queue where the program leaves it to us.
const DEFAULT_BACKLOG: c_int = 128;

/// The pauses after accept failed, in microseconds: the first one, and the longest one. The
/// connection that could not be accepted stays in the kernel's queue and would wake the loop again
/// at once.
const FIRST_PAUSE: i64 = 10_000;
const LONGEST_PAUSE: i64 = 100_000;

/// `struct evconnlistener`.
///
/// What changes are cells: while one thread has a reference here, the loop's thread, with the lock
/// of the base, writes the events.
pub struct Evconnlistener {
    /// Waits for connections. Added while the listener is enabled, has a callback and does not
    /// pause.
    connections: UnsafeCell<Event>,
    /// Ends a pause.
    pause_over: UnsafeCell<Event>,
    lock: Lock,
    /// The loop is in the callback of one of the events.
    running: Cell<bool>,
    /// The program has freed the listener, which is destroyed when the loop is not in a callback.
    freed: Cell<bool>,
    options: Cell<c_uint>,
    enabled: Cell<bool>,
    /// Accepting failed and is tried again when `pause_over` runs.
    paused: Cell<bool>,
    /// How long the last pause was; 0 while accepting works.
    pause: Cell<i64>,
    callback: Cell<Option<EvconnlistenerFn>>,
    error_callback: Cell<Option<EvconnlistenerErrorFn>>,
    argument: Cell<*mut c_void>,
}

/// Why there is no listener.
#[derive(Debug)]
pub struct NoListener;

impl From<SystemError> for NoListener {
    fn from(_: SystemError) -> Self {
        NoListener
    }
}

impl From<OutOfMemory> for NoListener {
    fn from(_: OutOfMemory) -> Self {
        NoListener
    }
}

/// The program's callback and its argument.
#[derive(Clone, Copy)]
pub struct Receiver {
    /// Gets each connection.
    pub callback: Option<EvconnlistenerFn>,
    /// Passed to the callback.
    pub argument: *mut c_void,
}

/// A listener on a bound socket, which stays the caller's if this fails. A `backlog` of 0 means
/// that the socket listens already, a negative one that the length of the kernel's queue does not
/// matter.
///
/// # Safety
/// `base` is live or null, and outlives the listener.
pub unsafe fn new(
    base: *mut EventBase,
    receiver: Receiver,
    options: c_uint,
    backlog: c_int,
    fd: c_int,
) -> Result<NonNull<Evconnlistener>, NoListener> {
    let base = base::or_current(base);
    if base.is_null() {
        return Err(NoListener);
    }
    match backlog {
        0 => {}
        ..0 => sockets::listen(fd, DEFAULT_BACKLOG)?,
        _ => sockets::listen(fd, backlog)?,
    }
    let listener = allocate(receiver, options)?;
    // SAFETY: the listener is new; the caller guarantees the base.
    unsafe {
        let this = listener.as_ptr();
        let argument = this.cast();
        let wanted = kind::READ | kind::PERSIST;
        let connections = (*this).connections.get();
        assign::private(connections, base, fd, wanted, connections_wait, argument);
        let pause_over = (*this).pause_over.get();
        assign::private(pause_over, base, -1, 0, end_pause, argument);
        if options & option::DISABLED == 0 && Hold::new(this).enable().is_err() {
            // A refusal was logged; the events are out.
            (*this).options.set(options & !option::CLOSE_ON_FREE);
            destroy(this);
            return Err(NoListener);
        }
    }
    Ok(listener)
}

/// A listener with its lock, and without its events.
fn allocate(receiver: Receiver, options: c_uint) -> Result<NonNull<Evconnlistener>, NoListener> {
    let listener = memory::allocate_zeroed::<Evconnlistener>()?;
    let lock = if options & option::THREADSAFE != 0 {
        Lock::allocate(RECURSIVE)
    } else {
        Ok(Lock::NONE)
    };
    let Ok(lock) = lock else {
        // SAFETY: nobody knows the memory.
        unsafe { memory::free(listener.as_ptr().cast()) };
        return Err(NoListener);
    };
    // SAFETY: new memory, in which zero bytes are valid.
    unsafe {
        let this = listener.as_ptr();
        (*this).lock = lock;
        (*this).options.set(options);
        (*this).callback.set(receiver.callback);
        (*this).argument.set(receiver.argument);
    }
    Ok(listener)
}

/// A listener on a new socket.
///
/// # Safety
/// As for [`new`]; `address` is null or points to `length` bytes.
pub unsafe fn bind(
    base: *mut EventBase,
    receiver: Receiver,
    options: c_uint,
    backlog: c_int,
    address: *const sockaddr,
    length: socklen_t,
) -> Result<NonNull<Evconnlistener>, NoListener> {
    if backlog == 0 {
        return Err(NoListener);
    }
    let family = if address.is_null() {
        libc::AF_UNSPEC
    } else {
        // SAFETY: the caller guarantees the address, which begins with the family.
        c_int::from(unsafe { (*address).sa_family })
    };
    let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | close_on_exec(options);
    let socket = OwnedSocket(sockets::socket(family, kind, 0)?);
    prepare_socket(socket.0, options)?;
    // SAFETY: the caller guarantees the address.
    unsafe {
        sockets::bind(socket.0, address, length)?;
        let listener = new(base, receiver, options, backlog, socket.0)?;
        socket.into_inner();
        Ok(listener)
    }
}

/// Sets the options of a socket that is to be bound; connections inherit them.
fn prepare_socket(socket: c_int, options: c_uint) -> Result<(), SystemError> {
    let wanted = [
        (0, libc::SOL_SOCKET, libc::SO_KEEPALIVE),
        (option::REUSEABLE, libc::SOL_SOCKET, libc::SO_REUSEADDR),
        (option::REUSEABLE_PORT, libc::SOL_SOCKET, libc::SO_REUSEPORT),
        (
            option::DEFERRED_ACCEPT,
            libc::IPPROTO_TCP,
            libc::TCP_DEFER_ACCEPT,
        ),
        (option::BIND_IPV6ONLY, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY),
    ];
    wanted
        .into_iter()
        .filter(|(when, ..)| options & when == *when)
        .try_for_each(|(_, level, name)| sockets::set_option(socket, level, name, 1))
}

/// The flag for new sockets.
fn close_on_exec(options: c_uint) -> c_int {
    if options & option::CLOSE_ON_EXEC != 0 {
        libc::SOCK_CLOEXEC
    } else {
        0
    }
}

/// A listener whose lock is held. It lives as long as this: the program does not free it while it
/// uses it, and the loop destroys it only after its own callbacks.
///
/// Functions of the program run only in `Hold::unlocked`.
pub struct Hold {
    listener: NonNull<Evconnlistener>,
    /// Whether this is the hold of a callback of the loop.
    in_loop: bool,
}

impl Hold {
    /// Takes the lock of a listener of the program's.
    ///
    /// # Safety
    /// The program has not freed the listener.
    pub unsafe fn new(listener: *mut Evconnlistener) -> Hold {
        // SAFETY: a live listener is not null; its lock never changes.
        let listener = unsafe {
            (*listener).lock.acquire();
            NonNull::new_unchecked(listener)
        };
        Hold {
            listener,
            in_loop: false,
        }
    }

    /// For the callbacks of its events: nothing when the listener was freed. Then it is being
    /// destroyed, which waits for such a callback to return.
    ///
    /// # Safety
    /// The memory of the listener is there.
    unsafe fn enter(listener: *mut Evconnlistener) -> Option<Hold> {
        // SAFETY: the memory is there, and what is not yet destroyed has a lock.
        let mut hold = unsafe { Hold::new(listener) };
        if hold.freed.get() {
            hold.lock.release();
            forget(hold);
            return None;
        }
        hold.in_loop = true;
        hold.running.set(true);
        Some(hold)
    }

    /// Runs `call` without the lock, which is taken again also when it unwinds.
    fn unlocked(&self, call: impl FnOnce()) {
        let lock = self.lock;
        lock.released(call);
    }

    /// The event that waits for connections.
    fn connections(&self) -> Option<EventPtr> {
        // SAFETY: the event lives as long as the hold.
        unsafe { EventPtr::new(self.connections.get()) }
    }

    /// The event that ends a pause.
    fn pause_over(&self) -> Option<EventPtr> {
        // SAFETY: the event lives as long as the hold.
        unsafe { EventPtr::new(self.pause_over.get()) }
    }

    fn base_guard(&self) -> Guard {
        // SAFETY: the base outlives the listener.
        unsafe { Guard::lock(self.base()) }
    }

    fn add(&self, event: Option<EventPtr>, timeout: Option<&timeval>) -> Result<(), SystemError> {
        event.map_or(Err(SystemError), |event| {
            self.base_guard().add(event, timeout)
        })
    }

    /// Without waiting: a callback of the event that is about to run finds that it has nothing to
    /// do.
    fn delete(&self, event: Option<EventPtr>) -> Result<(), SystemError> {
        event.map_or(Err(SystemError), |event| {
            self.base_guard().delete(event, Blocking::No)
        })
    }

    /// Accepts connections from now on.
    pub fn enable(&self) -> Result<(), SystemError> {
        self.enabled.set(true);
        self.wait_for_connections()
    }

    /// Leaves connections in the kernel's queue. A callback that is running in another thread has
    /// ended afterwards.
    pub fn disable(self) -> Result<(), SystemError> {
        self.enabled.set(false);
        let stopped = self.stop_waiting();
        let base = self.base();
        let events = [self.connections(), self.pause_over()];
        drop(self);
        for event in events.into_iter().flatten() {
            // SAFETY: the base outlives the listener. Of the event only the address is looked at.
            unsafe { Guard::lock(base) }.wait_for_callback(event.entry());
        }
        stopped
    }

    /// Replaces the callback and the argument of both callbacks. Without a callback no connection
    /// is accepted.
    pub fn set_receiver(&self, receiver: Receiver) -> Result<(), SystemError> {
        self.callback.set(receiver.callback);
        self.argument.set(receiver.argument);
        if receiver.callback.is_some() {
            self.wait_for_connections()
        } else {
            self.stop_waiting()
        }
    }

    /// Whether the sockets of connections are made non-blocking.
    pub fn makes_nonblocking(&self) -> bool {
        self.options.get() & option::LEAVE_SOCKETS_BLOCKING == 0
    }

    /// Freeing the listener does not close its socket.
    pub fn leave_socket(&self) {
        self.options
            .set(self.options.get() & !option::CLOSE_ON_FREE);
    }

    /// Replaces the error callback.
    pub fn set_error_callback(&self, callback: Option<EvconnlistenerErrorFn>) {
        self.error_callback.set(callback);
    }

    /// The program frees the listener. No callback is started any more.
    pub fn free(self) {
        self.callback.set(None);
        self.error_callback.set(None);
        // A refusal was logged.
        let _ = self.stop_waiting();
        self.freed.set(true);
    }

    fn accepts(&self) -> bool {
        self.enabled.get() && self.callback.get().is_some()
    }

    fn wait_for_connections(&self) -> Result<(), SystemError> {
        if self.accepts() && !self.paused.get() {
            self.add(self.connections(), None)
        } else {
            Ok(())
        }
    }

    fn stop_waiting(&self) -> Result<(), SystemError> {
        self.paused.set(false);
        self.pause.set(0);
        let stopped = self.delete(self.connections());
        self.delete(self.pause_over()).and(stopped)
    }

    /// Accepts what has come. To accept where nothing waits costs ten times as much as to ask
    /// whether something does, which is asked after the first, as most come alone; among many it
    /// matters little.
    fn accept_all(&self) {
        if !self.accepts() || !self.accept_one() || !sockets::may_be_readable(self.fd()) {
            return;
        }
        while self.accepts() && self.accept_one() {}
    }

    /// Accepts a connection; whether there may be more.
    fn accept_one(&self) -> bool {
        let mut address = MaybeUninit::<sockaddr_storage>::zeroed();
        let address: *mut sockaddr = address.as_mut_ptr().cast();
        let mut length = size_of::<sockaddr_storage>() as socklen_t;
        // SAFETY: the storage has the length that is given.
        match unsafe { sockets::accept(self.fd(), address, &mut length, self.accept_flags()) } {
            Ok(connection) => {
                self.pause.set(0);
                self.hand_over(OwnedSocket(connection), address, length);
                true
            }
            Err(SystemError) => {
                let error = errno();
                if !sockets::accept_retriable(error) {
                    self.accept_failed(error);
                }
                false
            }
        }
    }

    fn accept_flags(&self) -> c_int {
        let blocking = self.options.get() & option::LEAVE_SOCKETS_BLOCKING != 0;
        let nonblocking = if blocking { 0 } else { libc::SOCK_NONBLOCK };
        nonblocking | close_on_exec(self.options.get())
    }

    /// Gives a connection to the program. One whose peer has no address is gone already.
    fn hand_over(&self, connection: OwnedSocket, address: *mut sockaddr, length: socklen_t) {
        let (Some(callback), true) = (self.callback.get(), length > 0) else {
            return;
        };
        let (listener, argument) = (self.listener.as_ptr(), self.argument.get());
        let connection = connection.into_inner();
        let length = length.min(size_of::<sockaddr_storage>() as socklen_t) as c_int;
        // SAFETY: the callback is the program's; the address is complete.
        self.unlocked(|| unsafe { callback(listener, connection, address, length, argument) });
    }

    /// Stops accepting for a while, and notifies the program at every attempt if it asked for that.
    fn accept_failed(&self, error: c_int) {
        let first = self.pause.get() == 0;
        self.pause_accepting();
        set_errno(error);
        if let Some(callback) = self.error_callback.get() {
            let (listener, argument) = (self.listener.as_ptr(), self.argument.get());
            // SAFETY: the callback is the program's.
            self.unlocked(|| unsafe { callback(listener, argument) });
        } else if first {
            warning_with_errno!("Error from accept() call");
        }
    }

    /// If not even a timer can be set, the listener continues without a pause.
    fn pause_accepting(&self) {
        let pause = (2 * self.pause.get()).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        self.pause.set(pause);
        let duration = time::to_timeval(pause);
        if self.add(self.pause_over(), Some(&duration)).is_ok() {
            self.paused.set(true);
            // A refusal was logged; the event is removed in any case.
            let _ = self.delete(self.connections());
        }
    }

    /// Tries again; the event is added only after accepting has worked.
    fn resume_accepting(&self) {
        self.paused.set(false);
        self.accept_all();
        if self.wait_for_connections().is_err() {
            self.pause_accepting();
        }
    }
}

impl Evconnlistener {
    /// The base of its events.
    pub fn base(&self) -> *mut EventBase {
        // SAFETY: a live listener; the base of its events never changes.
        unsafe { (*self.connections.get()).ev_base }
    }

    /// The listening socket.
    pub fn fd(&self) -> c_int {
        // SAFETY: a live listener; the descriptor of its event never changes.
        unsafe { (*self.connections.get()).ev_fd }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if self.in_loop {
            self.running.set(false);
        }
        let (over, lock) = (self.freed.get() && !self.running.get(), self.lock);
        lock.release();
        if over {
            // SAFETY: the program has given it up, and the loop finds that out.
            unsafe { destroy(self.listener.as_ptr()) };
        }
    }
}

impl Deref for Hold {
    type Target = Evconnlistener;
    fn deref(&self) -> &Evconnlistener {
        // SAFETY: the listener is live and its lock is held; see the type.
        unsafe { self.listener.as_ref() }
    }
}

/// # Safety
/// The listener is freed, the loop is not in a callback of it, and its lock is not held.
unsafe fn destroy(listener: *mut Evconnlistener) {
    // SAFETY: the memory is there until the end of this function: callbacks of the events that
    // are running in the loop's thread have returned when the events are deleted.
    unsafe {
        let base = (*listener).base();
        for event in [(*listener).connections.get(), (*listener).pause_over.get()] {
            if let Some(event) = EventPtr::new(event) {
                // A refusal was logged; the event is removed in any case.
                let _ = Guard::lock(base).delete(event, Blocking::Yes);
                debug::note_teardown(event);
            }
        }
        if (*listener).options.get() & option::CLOSE_ON_FREE != 0 {
            let _ = sockets::close((*listener).fd());
        }
        (*listener).lock.free(RECURSIVE);
        memory::free(listener.cast());
    }
}

/// Runs when connections wait.
unsafe extern "C-unwind" fn connections_wait(_: c_int, _: c_short, listener: *mut c_void) {
    // SAFETY: the memory stays until this function has returned.
    if let Some(hold) = unsafe { Hold::enter(listener.cast()) } {
        hold.accept_all();
    }
}

/// Runs when a pause is over.
unsafe extern "C-unwind" fn end_pause(_: c_int, _: c_short, listener: *mut c_void) {
    // SAFETY: the memory stays until this function has returned.
    if let Some(hold) = unsafe { Hold::enter(listener.cast()) } {
        hold.resume_accepting();
    }
}
