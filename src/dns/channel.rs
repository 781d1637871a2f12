//! The sockets through which a server is asked. A socket has a port, which whoever forges answers
//! must guess, so each serves for some questions only. One that was replaced stays open until its
//! questions have their answers.

use super::flight;
use super::name_server::ServerPtr;
use super::receive;
use super::request::{Place, RequestPtr};
use super::resolver::{BasePtr, Hold};
use crate::base::Guard;
use crate::base::pending::Blocking;
use crate::event::{Event, EventPtr, assign, debug, kind, state};
use crate::list::TailQueue;
use crate::system::{self, errno};
use crate::util::SystemError;
use crate::util::random;
use crate::util::socket_address::SocketAddress;
use crate::util::sockets::{self, OwnedSocket};
use std::cell::{Cell, UnsafeCell};
use std::ffi::{c_int, c_short, c_void};

/// A socket is used for this many questions, and up to as many more.
const QUESTIONS: u16 = 64;
/// While more than this are under way, no other socket is taken: the program may have asked for
/// larger buffers than a new one gets.
const MOST_IN_FLIGHT: u16 = 32;

/// A socket and what waits for it.
pub struct Channel {
    event: UnsafeCell<Event>,
    /// -1 while it is not in use.
    socket: Cell<c_int>,
    /// How many questions were sent through it and wait for answers: never more than there are ids.
    pub(super) in_flight: Cell<u16>,
    /// Reading failed, and is tried again after the next question: the socket may go on saying that
    /// there is something to read.
    resting: Cell<bool>,
}

/// What became of a datagram.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// It is on its way.
    Sent,
    /// Not now.
    NoRoom,
    /// The system refuses; errno says why.
    Failed,
}

impl Channel {
    pub(super) const fn new() -> Channel {
        Channel {
            // SAFETY: zero bytes are a valid event.
            event: UnsafeCell::new(unsafe { std::mem::zeroed() }),
            socket: Cell::new(-1),
            in_flight: Cell::new(0),
            resting: Cell::new(false),
        }
    }

    /// The socket, or -1.
    pub(super) fn socket(&self) -> c_int {
        self.socket.get()
    }

    fn event(&self) -> EventPtr {
        // SAFETY: part of a live object; the address of a field is not null.
        unsafe { EventPtr::new(self.event.get()).unwrap_unchecked() }
    }

    /// Takes a socket into use, which stays the caller's when that is refused.
    fn open(&self, base: BasePtr, server: ServerPtr, socket: c_int) -> Result<(), SystemError> {
        let argument = server.as_ptr().cast();
        // SAFETY: the event stays as long as the server, which ends it; the loop's base outlives
        // both.
        unsafe {
            let event = self.event.get();
            let wanted = kind::PERSIST;
            assign::private(event, base.event_base, socket, wanted, is_ready, argument);
        }
        self.resting.set(false);
        if let Err(refused) = self.wait_for(base, kind::READ) {
            debug::note_teardown(self.event());
            return Err(refused);
        }
        self.socket.set(socket);
        Ok(())
    }

    /// Makes the loop wait for what is wanted: replies, unless the channel is paused, and space to
    /// write. Waiting for replies alone does not keep the loop running where the program does not
    /// want that.
    fn wait_for(&self, base: BasePtr, wanted: c_short) -> Result<(), SystemError> {
        let event = self.event();
        // SAFETY: the loop's base outlives its resolvers.
        let mut guard = unsafe { Guard::lock(base.event_base) };
        // A refusal was logged; the event is out.
        let _ = guard.delete(event, Blocking::No);
        event.set_events(wanted | kind::PERSIST);
        if base.quiet && wanted & kind::WRITE == 0 {
            event.entry().insert(state::INTERNAL);
        } else {
            event.entry().remove(state::INTERNAL);
        }
        let waits = wanted == 0 || guard.add(event, None).is_ok();
        if !waits {
            self.resting.set(true);
            event.set_events(0);
            return Err(SystemError);
        }
        Ok(())
    }

    fn waits_for_room(&self) -> bool {
        self.event().wants(kind::WRITE)
    }

    /// Does not wait for replies any more.
    pub(super) fn pause(&self, base: BasePtr) {
        self.resting.set(true);
        let room = self.event().events() & kind::WRITE;
        let _ = self.wait_for(base, room);
    }

    /// Waits for replies again.
    #[inline]
    pub(super) fn resume(&self, base: BasePtr) {
        if self.resting.replace(false) {
            let room = self.event().events() & kind::WRITE;
            // If that fails, the channel stays paused.
            let _ = self.wait_for(base, room | kind::READ);
        }
    }

    /// Starts or stops waiting for space to write.
    fn watch_for_room(&self, base: BasePtr, room: bool) -> Result<(), SystemError> {
        let replies = if self.resting.get() { 0 } else { kind::READ };
        let room = if room { kind::WRITE } else { 0 };
        self.wait_for(base, replies | room)
    }

    /// Closes the socket, if there is one.
    pub(super) fn close(&self, blocking: Blocking) {
        let socket = self.socket.replace(-1);
        if socket < 0 {
            return;
        }
        let event = self.event();
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
        self.channel().open(base, self, socket.0)?;
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
        if other.open(base, self, socket.0).is_err() {
            return;
        }
        socket.into_inner();
        self.current.set(1 - self.current.get());
        if present.in_flight.get() == 0 {
            present.close(Blocking::No);
        }
    }

    /// Sends a datagram.
    pub(super) fn send(self, packet: &[u8]) -> Sent {
        let socket = self.channel().socket();
        let (address, length) = (self.address.as_ptr(), self.address.length());
        loop {
            // SAFETY: the packet and the address are complete.
            let sent = unsafe {
                let bytes = packet.as_ptr().cast();
                system::sendto(socket, bytes, packet.len(), 0, address, length)
            };
            if sent >= 0 {
                return Sent::Sent;
            }
            match errno() {
                libc::EINTR => {}
                libc::EAGAIN => return Sent::NoRoom,
                _ => return Sent::Failed,
            }
        }
    }

    /// The first of the questions that wait until the socket is writable.
    pub(super) fn first_unsent(self) -> Option<RequestPtr> {
        // SAFETY: look-ups in the queue are live.
        unsafe { RequestPtr::new(TailQueue::first(self.unsent.get())) }
    }

    /// Lets a question wait until the socket is writable; whether that is possible.
    pub(super) fn wait_for_room(self, base: BasePtr, request: RequestPtr) -> bool {
        let channel = self.channel();
        if !channel.waits_for_room() && channel.watch_for_room(base, true).is_err() {
            return false;
        }
        request.place.set(Place::Unsent);
        // SAFETY: the queue is initialised, and the look-up in none.
        unsafe { TailQueue::push_back(self.unsent.get(), request.as_ptr()) };
        true
    }

    /// Sends waiting questions until the socket is full.
    fn send_waiting(self, base: BasePtr) {
        while let Some(request) = self.first_unsent() {
            let sent = self.send(request.packet());
            if sent == Sent::NoRoom {
                return;
            }
            base.stop_waiting(request);
            flight::note_sent(base, request, self, sent);
            if self.removed.get() {
                return;
            }
        }
        let channel = self.channel();
        if channel.waits_for_room() {
            let _ = channel.watch_for_room(base, false);
        }
    }
}

/// Runs when the socket of a channel has replies, or is writable again.
unsafe extern "C-unwind" fn is_ready(socket: c_int, what: c_short, server: *mut c_void) {
    // SAFETY: the memory of the server stays until this function has returned.
    unsafe {
        let Some(server) = ServerPtr::new(server.cast()) else {
            return;
        };
        let Some(hold) = Hold::enter(server.base().as_ptr()) else {
            return;
        };
        // The caller that removed it closes its channels without the lock.
        if server.removed.get() {
            return;
        }
        let mut channels = server.channels.iter();
        let Some(channel) = channels.find(|channel| channel.socket() == socket) else {
            return;
        };
        if what & kind::READ != 0 {
            receive::read_replies(*hold, server, channel);
        }
        if what & kind::WRITE != 0 && !server.removed.get() {
            server.send_waiting(*hold);
        }
        flight::promote(*hold);
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
