//! The sockets through which a server is asked. A socket has a port, which whoever forges answers must
//! guess, so each serves for some questions only. One that was replaced stays open until its questions
//! have their answers.

use super::name_server::{NameServer, ServerPtr};
use super::receive;
use super::request::RequestPtr;
use super::resolver::BasePtr;
use crate::base::Guard;
use crate::base::pending::Blocking;
use crate::event::{Event, EventPtr, assign, debug, kind};
use crate::util::SystemError;
use crate::util::random;
use crate::util::socket_address::SocketAddress;
use crate::util::sockets::{self, OwnedSocket};
use std::cell::{Cell, UnsafeCell};
use std::ffi::c_int;
use std::ptr;

/// A socket serves for so many questions, and up to as many more.
const QUESTIONS: u16 = 64;
/// While more than this are under way, no other socket is taken: the program may have asked for
/// larger buffers than a new one gets.
const MOST_IN_FLIGHT: usize = 32;

/// A socket and what waits for it.
pub struct Channel {
    pub(super) server: Cell<*mut NameServer>,
    /// -1 while it is not in use.
    socket: Cell<c_int>,
    read_event: UnsafeCell<Event>,
    /// Reading failed, and is tried again after the next question: the socket may go on saying that
    /// there is something to read.
    resting: Cell<bool>,
    /// How many questions were sent through it and wait for answers.
    pub(super) in_flight: Cell<usize>,
}

impl Channel {
    pub(super) const fn new() -> Channel {
        Channel {
            server: Cell::new(ptr::null_mut()),
            socket: Cell::new(-1),
            // SAFETY: zero bytes are a valid event.
            read_event: UnsafeCell::new(unsafe { std::mem::zeroed() }),
            resting: Cell::new(false),
            in_flight: Cell::new(0),
        }
    }

    /// The socket, or -1.
    pub(super) fn socket(&self) -> c_int {
        self.socket.get()
    }

    fn read_event(&self) -> EventPtr {
        // SAFETY: part of a live object; the address of a field is not null.
        unsafe { EventPtr::new(self.read_event.get()).unwrap_unchecked() }
    }

    /// Takes a socket into use, which stays the caller's when that is refused.
    fn open(&self, base: BasePtr, socket: c_int) -> Result<(), SystemError> {
        let wanted = kind::READ | kind::PERSIST;
        let (event, argument) = (self.read_event.get(), ptr::from_ref(self).cast_mut().cast());
        // SAFETY: the event stays as long as the server, which ends it; the loop's base outlives
        // both.
        unsafe {
            let loop_base = base.event_base;
            if base.quiet {
                let made = assign::internal(
                    event,
                    loop_base,
                    socket,
                    wanted,
                    receive::replies_wait,
                    argument,
                );
                made.entry()
                    .set_priority(assign::middle_priority(loop_base));
            } else {
                let function = receive::replies_wait;
                assign::private(event, loop_base, socket, wanted, function, argument);
            }
            if let Err(refused) = Guard::lock(loop_base).add(self.read_event(), None) {
                debug::note_teardown(self.read_event());
                return Err(refused);
            }
        }
        self.socket.set(socket);
        self.resting.set(false);
        Ok(())
    }

    /// Does not wait for replies any more.
    pub(super) fn rest(&self) {
        let event = self.read_event();
        // SAFETY: the loop's base outlives its resolvers. A refusal was logged; the event is out.
        let _ = unsafe { Guard::lock(event.base()) }.delete(event, Blocking::No);
        self.resting.set(true);
    }

    /// Waits for replies again.
    pub(super) fn wake(&self) {
        if self.resting.get() {
            let event = self.read_event();
            // SAFETY: the loop's base outlives its resolvers.
            let woken = unsafe { Guard::lock(event.base()) }
                .add(event, None)
                .is_ok();
            self.resting.set(!woken);
        }
    }

    /// Closes the socket, if there is one.
    pub(super) fn close(&self, blocking: Blocking) {
        let socket = self.socket.replace(-1);
        if socket < 0 {
            return;
        }
        let event = self.read_event();
        // SAFETY: the loop's base outlives its resolvers. A refusal was logged; the event is out.
        let _ = unsafe { Guard::lock(event.base()) }.delete(event, blocking);
        debug::note_teardown(event);
        let _ = sockets::close(socket);
    }
}

impl ServerPtr {
    /// The channel that questions are sent through now.
    pub(super) fn channel(&self) -> &Channel {
        &self.channels[usize::from(self.current.get())]
    }

    fn other_channel(&self) -> &Channel {
        &self.channels[usize::from(1 - self.current.get())]
    }

    /// Begins with a socket.
    pub(super) fn open(self, base: BasePtr, socket: OwnedSocket) -> Result<(), SystemError> {
        for channel in &self.channels {
            channel.server.set(self.as_ptr());
        }
        self.channel().open(base, socket.0)?;
        socket.into_inner();
        self.questions_left.set(lifetime());
        Ok(())
    }

    /// Takes another socket where the present one has served long enough, and one can be had.
    pub(super) fn renew_socket(self, base: BasePtr) {
        if let Some(left) = self.questions_left.get().checked_sub(1) {
            self.questions_left.set(left);
            return;
        }
        let fixed_port = base.options.bind_to.get().is_some_and(|address| {
            let port = match address {
                SocketAddress::V4(v4) => v4.sin_port,
                SocketAddress::V6(v6) => v6.sin6_port,
            };
            port != 0
        });
        let (present, other) = (self.channel(), self.other_channel());
        let busy = present.in_flight.get() > MOST_IN_FLIGHT || other.in_flight.get() > 0;
        if fixed_port || busy || self.first_unsent().is_some() {
            return;
        }
        self.questions_left.set(lifetime());
        let Ok(socket) = base.make_socket(&self.address) else {
            return;
        };
        other.close(Blocking::No);
        if other.open(base, socket.0).is_err() {
            return;
        }
        socket.into_inner();
        self.current.set(1 - self.current.get());
        if present.in_flight.get() == 0 {
            present.close(Blocking::No);
        }
    }
}

/// For how many questions a new socket serves.
fn lifetime() -> u16 {
    let mut byte = [0];
    random::fill(&mut byte);
    QUESTIONS + u16::from(byte[0]) % QUESTIONS
}

impl RequestPtr {
    /// Makes the present socket of a server responsible for a question.
    pub(super) fn assign_to(self, server: ServerPtr) {
        self.unassign();
        let count = &server.channel().in_flight;
        count.set(count.get() + 1);
        self.server.set(Some(server));
        self.channel.set(server.current.get());
    }

    /// No server is responsible any more; whether one was.
    pub(super) fn unassign(self) -> bool {
        let Some(server) = self.server.take() else {
            return false;
        };
        let channel = &server.channels[usize::from(self.channel.get())];
        channel.in_flight.set(channel.in_flight.get() - 1);
        if channel.in_flight.get() == 0 && self.channel.get() != server.current.get() {
            channel.close(Blocking::No);
        }
        true
    }
}
