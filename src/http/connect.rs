//! Connecting a client: by name or address, from a local address, with retries.

use super::abi::{RequestError, RequestQueue, flag};
use super::client::{self, CON_READ_ON_WRITE_ERROR, CON_REUSE_CONNECTED_ADDR, Client, NotMade};
use super::connection::{ConnectionPtr, State, bit};
use super::listening::bound_socket;
use super::request::RequestPtr;
use super::server::CON_LINGERING_CLOSE;
use crate::base::pending::Blocking;
use crate::base::{self, EventBase, Guard as BaseGuard};
use crate::bufferevent::abi::{BEV_EVENT_CONNECTED, BEV_EVENT_ERROR, BEV_EVENT_TIMEOUT};
use crate::bufferevent::{Bufferevent, Direction, Guard};
use crate::event::{EventPtr, assign, debug};
use crate::hooks::memory::{self, OutOfMemory};
use crate::system::{errno, set_errno};
use crate::timers::time;
use crate::util::socket_address::SocketAddress;
use crate::{require, warning};
use libc::timeval;
use std::cell::{Cell, UnsafeCell};
use std::ffi::{c_int, c_short, c_void};
use std::mem::zeroed;
use std::ptr::{self, addr_of_mut};

const fn seconds(seconds: libc::time_t) -> timeval {
    timeval {
        tv_sec: seconds,
        tv_usec: 0,
    }
}

const NO_TIME: timeval = seconds(0);
const CONNECT_TIMEOUT: timeval = seconds(45);
const TIMEOUT: timeval = seconds(50);
const FIRST_PAUSE: timeval = seconds(2);
/// In microseconds.
const LONGEST_PAUSE: i64 = 3_600_000_000;

fn is_zero(time: timeval) -> bool {
    time.tv_sec == 0 && time.tv_usec == 0
}

/// A connection for requests to a host. Without a bufferevent of the program's it has one of its
/// own. The program's stays the program's if this fails.
///
/// # Safety
/// Base, DNS base and bufferevent are live or null.
pub unsafe fn create(
    base: *mut EventBase,
    dns_base: *mut c_void,
    bufferevent: *mut Bufferevent,
    address: &[u8],
    port: u16,
) -> Result<ConnectionPtr, OutOfMemory> {
    let part = memory::allocate_zeroed::<Client>()?;
    // SAFETY: zero bytes are a valid part; the queue stays where it is.
    unsafe {
        let fields = part.as_ptr();
        (*fields).dns_base = dns_base;
        RequestQueue::initialise(UnsafeCell::raw_get(addr_of_mut!((*fields).unconnected)));
        (*fields).connect_timeout = Cell::new(CONNECT_TIMEOUT);
        (*fields).read_timeout = Cell::new(TIMEOUT);
        (*fields).write_timeout = Cell::new(TIMEOUT);
        (*fields).first_pause = Cell::new(FIRST_PAUSE);
    }
    // SAFETY: the caller guarantees base and bufferevent.
    let made = unsafe { ConnectionPtr::create(base, bufferevent, address, port) };
    let connection = match made {
        Ok(connection) => connection,
        Err(refused) => {
            // SAFETY: nobody knows the block.
            unsafe { memory::free(part.as_ptr().cast()) };
            return Err(refused);
        }
    };
    connection.client.set(part.as_ptr());
    // SAFETY: the caller guarantees the base.
    unsafe {
        if !bufferevent.is_null() {
            adopt_base(base, bufferevent);
        } else if !base::or_current(base).is_null() && connection.set_base(base).is_err() {
            connection.free();
            return Err(OutOfMemory);
        }
    }
    Ok(connection)
}

/// Moves the program's bufferevent to the connection's base.
///
/// # Safety
/// The bufferevent is live, the base too or null.
unsafe fn adopt_base(base: *mut EventBase, bufferevent: *mut Bufferevent) {
    // SAFETY: the caller guarantees both.
    unsafe {
        let bufferevent = Guard::new(bufferevent);
        if !base.is_null() && bufferevent.base.get() != base {
            // A kind that stays where it is works there.
            let _ = bufferevent.set_base(base);
        }
    }
}

/// The connection is freed: frees what only a client has.
pub(super) fn free_part(connection: ConnectionPtr) {
    let Some(client) = connection.client_part() else {
        return;
    };
    stop_retrying(connection);
    while let Some(request) = first_unconnected(client) {
        forget_unconnected(connection, request);
        request.free_unless_owned();
    }
    // SAFETY: the connection's own, and nothing of it is used any more.
    unsafe {
        let address = client.local_address.get();
        if !address.is_null() {
            memory::free(address.cast());
        }
        memory::free(connection.client.replace(ptr::null_mut()).cast());
    }
}

impl ConnectionPtr {
    /// Starts to connect.
    pub fn connect(self) -> Result<(), NotMade> {
        connect(self)
    }

    /// Chooses the base of a connection that has none and is not connected.
    ///
    /// # Safety
    /// The base is live or null.
    pub unsafe fn choose_base(self, base: *mut EventBase) {
        require!(
            self.base.get().is_null() && self.state.get() == State::Disconnected,
            "the connection has a base"
        );
        // SAFETY: the caller guarantees the base. Without memory, connecting tries again.
        let _ = unsafe { self.set_base(base) };
    }

    /// Chooses the family of addresses.
    pub fn set_family(self, family: c_int) {
        if let Some(client) = self.client_part() {
            client.family.set(family);
        }
    }

    /// Sets the flags of a client; whether there are only known ones.
    pub fn set_flags(self, flags: c_int) -> bool {
        let known = flags & !(CON_REUSE_CONNECTED_ADDR | CON_READ_ON_WRITE_ERROR) == 0;
        if known {
            let others = self.flags.get() & CON_LINGERING_CLOSE;
            self.flags.set(others | flags);
        }
        known
    }

    /// Sets how often connecting is tried again.
    pub fn set_retries(self, most: c_int) {
        if let Some(client) = self.client_part() {
            client.most_retries.set(most);
        }
    }

    /// Sets the pause before the first retry; `None` means the default.
    pub fn set_first_pause(self, pause: Option<timeval>) {
        if let Some(client) = self.client_part() {
            client.first_pause.set(pause.unwrap_or(FIRST_PAUSE));
        }
    }

    /// Sets the address to connect from. Without memory it stays as it was.
    pub fn set_local_address(self, address: Option<&[u8]>) {
        require!(
            self.state.get() == State::Disconnected,
            "the connection is in use"
        );
        let (Some(client), Some(address)) = (self.client_part(), address) else {
            return;
        };
        let Ok(copy) = memory::copy_text(address) else {
            return warning!("evhttp_connection_set_local_address: out of memory");
        };
        let old = client.local_address.replace(copy.as_ptr());
        if !old.is_null() {
            // SAFETY: the client's own.
            unsafe { memory::free(old.cast()) };
        }
    }

    /// Sets the port to connect from.
    pub fn set_local_port(self, port: u16) {
        require!(
            self.state.get() == State::Disconnected,
            "the connection is in use"
        );
        if let Some(client) = self.client_part() {
            client.local_port.set(port);
        }
    }

    /// Lets the connection be freed when it is of no more use.
    pub fn free_on_completion(self) {
        self.insert(bit::FREE_ON_COMPLETION);
    }
}

/// Sets the timeouts; `None` means the defaults.
pub fn set_timeouts(connection: ConnectionPtr, timeout: Option<timeval>) {
    if timeout.is_some() {
        connection.insert(bit::TIMED);
    } else {
        connection.remove(bit::TIMED);
    }
    let io = timeout.unwrap_or(TIMEOUT);
    let Some(client) = connection.client_part() else {
        return connection.set_timeouts(io, io);
    };
    client
        .connect_timeout
        .set(timeout.unwrap_or(CONNECT_TIMEOUT));
    client.read_timeout.set(io);
    client.write_timeout.set(io);
    if connection.state.get() == State::Connecting {
        connection.set_timeouts(NO_TIME, client.connect_timeout.get());
    } else {
        connection.set_timeouts(io, io);
    }
}

/// A timeout, or the default for `None`.
fn or_default(timeout: timeval, usual: timeval) -> timeval {
    if is_zero(timeout) { usual } else { timeout }
}

/// Connects, unless that is under way. The outcome is reported from the loop.
pub(super) fn connect(connection: ConnectionPtr) -> Result<(), NotMade> {
    if connection.state.get() == State::Connecting {
        return Ok(());
    }
    let pin = connection.pin();
    connection.reset();
    if pin.is_freed() {
        return Err(NotMade);
    }
    if connection.bufferevent_ptr().is_null() {
        // SAFETY: the base is the program's, which keeps it for as long as the connection.
        unsafe { connection.set_base(connection.base.get()) }?;
    }
    let (Some(client), Some(bufferevent)) = (connection.client_part(), connection.bufferevent())
    else {
        return Err(NotMade);
    };
    bind_local(client, &bufferevent)?;
    connection.take_callbacks();
    connection.set_timeouts(
        NO_TIME,
        or_default(client.connect_timeout.get(), CONNECT_TIMEOUT),
    );
    connection.state.set(State::Connecting);
    let busy = connection.busy();
    bufferevent.enable_or_give_up(Direction::Write);
    let started = start(connection, client, &bufferevent);
    drop(busy);
    if started.is_err() {
        fail_from_loop(connection);
    }
    Ok(())
}

/// Gives the bufferevent a socket bound to the local address that the program has set.
fn bind_local(client: &Client, bufferevent: &Guard) -> Result<(), NotMade> {
    let (address, port) = (client.local_address.get(), client.local_port.get());
    if address.is_null() && port == 0 {
        return Ok(());
    }
    // SAFETY: the address is a string of the client's.
    let socket = unsafe { bound_socket(address, port, 0) }.map_err(|_| NotMade)?;
    bufferevent.set_descriptor(socket.0).map_err(|_| NotMade)?;
    socket.into_inner();
    Ok(())
}

fn start(connection: ConnectionPtr, client: &Client, bufferevent: &Guard) -> Result<(), NotMade> {
    let reuse = connection.flags.get() & CON_REUSE_CONNECTED_ADDR != 0;
    let known = bufferevent.peer_address();
    // SAFETY: the address is complete, or of family 0. The strings are the connection's.
    let started = unsafe {
        match SocketAddress::read(known).filter(|_| reuse) {
            Some(address) => bufferevent.connect(address.as_ptr(), address.length()),
            None => {
                let mut hints: libc::addrinfo = zeroed();
                hints.ai_family = client.family.get();
                hints.ai_protocol = libc::IPPROTO_TCP;
                hints.ai_socktype = libc::SOCK_STREAM;
                let port = c_int::from(connection.port.get());
                let host = connection.address.get();
                bufferevent.connect_to_name(client.dns_base, &hints, host, port)
            }
        }
    };
    started.map_err(|_| NotMade)
}

/// Handles an event of a connection that is being made.
pub(super) fn handle_event(connection: ConnectionPtr, what: c_short) {
    if what & BEV_EVENT_CONNECTED != 0 {
        return connected(connection);
    }
    let cause = errno();
    let looked_up = connection
        .bufferevent()
        .is_some_and(|bufferevent| bufferevent.dns_error() == 0);
    let refused = what & BEV_EVENT_ERROR != 0 && cause == libc::ECONNREFUSED && looked_up;
    if let Some(client) = connection.client_part() {
        client.error.set(cause);
    }
    connection.insert(bit::CONNECT_FAILED);
    if refused || what & BEV_EVENT_TIMEOUT != 0 {
        connection.insert(bit::CONNECT_REFUSED);
    }
    if connection.has(bit::BUSY) {
        connection.schedule();
    } else {
        failed(connection);
    }
}

fn connected(connection: ConnectionPtr) {
    let Some(client) = connection.client_part() else {
        return;
    };
    client.retries.set(0);
    client.doublings.set(0);
    connection.state.set(State::Idle);
    connection.set_timeouts(
        or_default(client.read_timeout.get(), TIMEOUT),
        or_default(client.write_timeout.get(), TIMEOUT),
    );
    connection.start_reading();
    client::start_next(connection);
}

/// Leaves it to the loop to deal with a connection that could not be made.
pub(super) fn fail_from_loop(connection: ConnectionPtr) {
    if let Some(client) = connection.client_part() {
        client.error.set(errno());
    }
    connection.insert(bit::CONNECT_FAILED);
    connection.schedule();
}

/// A connection could not be made.
pub(super) fn failed(connection: ConnectionPtr) {
    let refused = connection.has(bit::CONNECT_REFUSED);
    connection.remove(bit::CONNECT_FAILED | bit::CONNECT_REFUSED);
    if let Some(client) = connection.client_part() {
        set_errno(client.error.get());
    }
    if !refused {
        return client::fail(connection, RequestError::Eof);
    }
    connection.reset();
    if connection.current().is_some() && !retry_later(connection) {
        notify_unconnected(connection);
    }
    connection.free_if_complete();
}

/// Sets the timer for the next attempt; whether there is to be one.
fn retry_later(connection: ConnectionPtr) -> bool {
    let Some(client) = connection.client_part() else {
        return false;
    };
    let (most, retries) = (client.most_retries.get(), client.retries.get());
    if most >= 0 && retries >= most {
        client.retries.set(0);
        return false;
    }
    let base = base::or_current(connection.base.get());
    let event = client.retry_event.get();
    let first = time::from_timeval(client.first_pause.get()).clamp(0, LONGEST_PAUSE);
    let doublings = client.doublings.get();
    let pause = first
        .saturating_mul(1 << doublings.min(40))
        .min(LONGEST_PAUSE);
    let pause = time::to_timeval(pause);
    // SAFETY: the event is part of the client and not pending; the base outlives the connection.
    let added = unsafe {
        assign::private(event, base, -1, 0, retry, connection.as_ptr().cast());
        EventPtr::new(event)
            .is_some_and(|event| BaseGuard::lock(base).add(event, Some(&pause)).is_ok())
    };
    if added {
        client.retries.set(retries.saturating_add(1));
        client.doublings.set(doublings.saturating_add(1));
        connection.insert(bit::RETRY_PENDING);
    }
    added
}

/// Called when the pause before a retry is over.
unsafe extern "C-unwind" fn retry(_: c_int, _: c_short, argument: *mut c_void) {
    // SAFETY: the timer is stopped when the connection is freed.
    let Some(connection) = (unsafe { ConnectionPtr::new(argument.cast()) }) else {
        return;
    };
    let pin = connection.pin();
    stop_retrying(*pin);
    client::start_next(*pin);
}

/// Stops the timer.
pub(super) fn stop_retrying(connection: ConnectionPtr) {
    connection.remove(bit::CONNECT_FAILED | bit::CONNECT_REFUSED);
    let Some(client) = connection.client_part() else {
        return;
    };
    if !connection.has(bit::RETRY_PENDING) {
        return;
    }
    connection.remove(bit::RETRY_PENDING);
    // SAFETY: the event was assigned when the timer was set.
    unsafe {
        if let Some(event) = EventPtr::new(client.retry_event.get()) {
            // A refusal was logged; the event is out.
            let _ = BaseGuard::lock(event.base()).delete(event, Blocking::No);
            debug::note_teardown(event);
        }
    }
}

fn first_unconnected(client: &Client) -> Option<RequestPtr> {
    // SAFETY: requests in the queue are live.
    unsafe { RequestPtr::new(RequestQueue::first(client.unconnected.get())) }
}

/// Removes a request from those that wait for their notification.
pub(super) fn forget_unconnected(connection: ConnectionPtr, request: RequestPtr) {
    let Some(client) = connection.client_part() else {
        return;
    };
    // SAFETY: the flag says that the request is in that queue.
    unsafe { RequestQueue::remove(client.unconnected.get(), request.as_ptr()) };
    request.remove(flag::UNCONNECTED);
    request.evcon.set(ptr::null_mut());
}

/// Notifies all requests that there is no connection, except those made in the meantime.
fn notify_unconnected(connection: ConnectionPtr) {
    let Some(client) = connection.client_part() else {
        return;
    };
    connection.move_requests(client.unconnected.get(), |request| {
        request.insert(flag::UNCONNECTED);
    });
    notify_remaining(connection);
}

/// A request without a connection that still has to be notified that it is done. If a close
/// callback throws first, the loop notifies it.
pub(super) struct Unnotified {
    connection: ConnectionPtr,
    request: RequestPtr,
}

impl Unnotified {
    /// The caller has a pin of the connection.
    pub(super) fn of(connection: ConnectionPtr, request: RequestPtr) -> Unnotified {
        Unnotified {
            connection,
            request,
        }
    }

    /// Notifies it.
    pub(super) fn notify(self) {
        let request = self.request;
        std::mem::forget(self);
        request.call_last();
    }
}

impl Drop for Unnotified {
    fn drop(&mut self) {
        let Some(client) = self.connection.client_part() else {
            return self.request.free_unless_owned();
        };
        self.request.evcon.set(self.connection.as_ptr());
        self.request.insert(flag::UNCONNECTED);
        // SAFETY: the request is live and in no queue.
        unsafe { RequestQueue::push_back(client.unconnected.get(), self.request.as_ptr()) };
        self.connection.schedule();
    }
}

/// Notifies those that were not notified yet that there is no connection.
pub(super) fn notify_remaining(connection: ConnectionPtr) {
    while let Some(client) = connection.client_part() {
        let Some(request) = first_unconnected(client) else {
            return;
        };
        forget_unconnected(connection, request);
        set_errno(client.error.get());
        let unfinished = connection.unfinished(0);
        request.call_last();
        unfinished.finish();
    }
}
