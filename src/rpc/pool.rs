//! The connections of a client, and the calls that wait for one.

use super::call::{self, CallPtr, CallQueue};
use super::hooks::{Hooked, HookedPtr, Pin};
use crate::base::{self, EventBase};
use crate::hooks::memory::{self, OutOfMemory};
use crate::http::connect;
use crate::http::connection::{Connection, ConnectionPtr, ConnectionQueue, bit};
use crate::{require, warning};
use libc::timeval;
use std::cell::{Cell, UnsafeCell};
use std::ffi::c_int;
use std::ops::Deref;
use std::ptr::{NonNull, addr_of_mut};

/// `struct evrpc_pool`.
#[repr(C)]
pub struct Pool {
    hooked: Hooked,
    base: Cell<*mut EventBase>,
    connections: UnsafeCell<ConnectionQueue>,
    /// Calls that wait for a connection.
    waiting: UnsafeCell<CallQueue>,
    /// Calls that have begun and not ended.
    begun: UnsafeCell<CallQueue>,
    /// Seconds that a call may take; below zero when the program has not said.
    timeout: Cell<c_int>,
    /// [`PoolPtr::start_calls`] is running, and goes on until no more calls can start.
    is_starting: Cell<bool>,
}

/// A pool that is live, or pinned.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PoolPtr(NonNull<Pool>);

impl Deref for PoolPtr {
    type Target = Pool;
    fn deref(&self) -> &Pool {
        // SAFETY: `new` promised a live pool, and what changes in it is in cells.
        unsafe { self.0.as_ref() }
    }
}

impl PoolPtr {
    /// `None` for null.
    ///
    /// # Safety
    /// The pool stays live, or pinned, for as long as the pointer, or a copy of it, is used.
    pub unsafe fn new(pool: *mut Pool) -> Option<PoolPtr> {
        NonNull::new(pool).map(PoolPtr)
    }

    /// The raw pointer.
    pub fn as_ptr(self) -> *mut Pool {
        self.0.as_ptr()
    }

    /// A pool without connections.
    pub fn create(base: *mut EventBase) -> Result<PoolPtr, OutOfMemory> {
        let pool = memory::allocate_zeroed::<Pool>()?;
        // SAFETY: the block is new and stays where it is.
        unsafe {
            let place = pool.as_ptr();
            Hooked::initialise(addr_of_mut!((*place).hooked), call::resume);
            ConnectionQueue::initialise((*place).connections.get());
            CallQueue::initialise((*place).waiting.get());
            CallQueue::initialise((*place).begun.get());
            (*place).base.set(base);
            (*place).timeout.set(-1);
        }
        Ok(PoolPtr(pool))
    }

    /// What it has in common with servers.
    pub fn hooked(self) -> HookedPtr {
        // SAFETY: a part of a live object.
        unsafe { HookedPtr::new(self.0.as_ptr().cast()) }.expect("not null")
    }

    /// Keeps the memory for as long as the result lives.
    pub fn pin(self) -> Pin {
        self.hooked().pin()
    }

    /// The base of the timers of a connection's calls.
    pub fn base_of(self, connection: ConnectionPtr) -> *mut EventBase {
        let own = self.base.get();
        let base = if own.is_null() {
            connection.event_base()
        } else {
            own
        };
        base::or_current(base)
    }

    /// The longest that a call may take, in seconds.
    pub fn limit(self) -> Option<c_int> {
        Some(self.timeout.get()).filter(|seconds| *seconds > 0)
    }

    /// Calls that have begun and not ended.
    pub(super) fn begun(self) -> *mut CallQueue {
        self.begun.get()
    }

    /// Takes over a connection of a client.
    pub fn add(self, connection: ConnectionPtr) {
        require!(
            !connection.is_incoming(),
            "a connection of a server in a pool"
        );
        let base = self.base.get();
        if !base.is_null() && connection.event_base() != base {
            let is_new = connection.event_base().is_null() && !connection.is_connected();
            require!(is_new, "a connection with another base in a pool");
            // SAFETY: the program keeps the base for as long as the pool.
            if unsafe { connection.set_base(base) }.is_err() {
                warning!("evrpc_pool_add_connection: out of memory");
            }
        }
        if !connection.has(bit::TIMED) {
            connect::set_timeouts(connection, self.connection_timeout());
        }
        // SAFETY: the connection is in no pool, and the links are those of connections of servers.
        unsafe { ConnectionQueue::push_back(self.connections.get(), connection.as_ptr()) };
        self.start_calls();
    }

    /// Removes a connection. Its calls go on.
    pub fn remove(self, connection: *mut Connection) {
        if let Some(member) = self.member(connection) {
            // SAFETY: the connection is in the list.
            unsafe { ConnectionQueue::remove(self.connections.get(), member.as_ptr()) };
        }
    }

    /// A connection that may be gone, if it is one of the pool's.
    pub fn member(self, connection: *mut Connection) -> Option<ConnectionPtr> {
        self.find(|other| other.as_ptr() == connection)
    }

    /// A connection for a call that has lost its own: a free one, or else the first.
    pub fn any(self) -> Option<ConnectionPtr> {
        self.free_connection().or_else(|| self.find(|_| true))
    }

    fn free_connection(self) -> Option<ConnectionPtr> {
        self.find(|connection| connection.current().is_none())
    }

    fn find(self, fits: impl Fn(ConnectionPtr) -> bool) -> Option<ConnectionPtr> {
        // SAFETY: connections of a pool are live.
        unsafe {
            let mut connection = ConnectionQueue::first(self.connections.get());
            while let Some(found) = ConnectionPtr::new(connection) {
                if fits(found) {
                    return Some(found);
                }
                connection = ConnectionQueue::next(connection);
            }
        }
        None
    }

    /// Sets how long calls may take, and how long its connections wait.
    pub fn set_timeout(self, seconds: c_int) {
        self.timeout.set(seconds);
        self.find(|connection| {
            connect::set_timeouts(connection, self.connection_timeout());
            false
        });
    }

    /// How long its connections wait; `None` when the program has not said.
    fn connection_timeout(self) -> Option<timeval> {
        let seconds = Some(self.timeout.get()).filter(|seconds| *seconds >= 0);
        seconds.map(|seconds| timeval {
            tv_sec: seconds.into(),
            tv_usec: 0,
        })
    }

    /// Starts a call when it is its turn, which may be now.
    pub fn queue(self, call: CallPtr) {
        call.enter(self.waiting.get());
        self.start_calls();
    }

    /// Starts waiting calls, the oldest first, as long as a connection is free.
    pub fn start_calls(self) {
        struct Starting(PoolPtr, Pin);
        impl Drop for Starting {
            fn drop(&mut self) {
                self.0.is_starting.set(false);
            }
        }
        if self.is_starting.replace(true) {
            return;
        }
        let starting = Starting(self, self.pin());
        while !starting.1.is_ended() {
            // SAFETY: calls in the list are live.
            let call = unsafe { CallPtr::new(CallQueue::first(self.waiting.get())) };
            let Some(call) = call else { break };
            let Some(connection) = self.free_connection() else {
                break;
            };
            call.begin(connection);
        }
    }

    /// Ends the pool, its connections and its calls, without calling their callbacks.
    pub fn free(self) {
        self.abandon_all(self.waiting.get());
        loop {
            // SAFETY: connections of a pool are live, and in the list until they are taken out.
            unsafe {
                let connection = ConnectionQueue::first(self.connections.get());
                let Some(found) = ConnectionPtr::new(connection) else {
                    break;
                };
                ConnectionQueue::remove(self.connections.get(), connection);
                found.free();
            }
        }
        // Those that have no connection, or one that is not the pool's any more.
        self.abandon_all(self.begun.get());
        self.hooked().end();
    }

    fn abandon_all(self, queue: *mut CallQueue) {
        // SAFETY: calls in the list are live, and leave it.
        while let Some(call) = unsafe { CallPtr::new(CallQueue::first(queue)) } {
            call.abandon();
        }
    }
}
