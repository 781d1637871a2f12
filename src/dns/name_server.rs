//! The servers that a resolver asks.

use super::channel::Channel;
use super::health;
use super::log;
use super::request::{RequestLinks, RequestPtr};
use super::resolver::{BasePtr, EvdnsBase, Hold};
use super::stream::StreamPtr;
use crate::base::Guard;
use crate::base::pending::Blocking;
use crate::event::{Event, EventPtr, assign, debug};
use crate::hooks::log::Severity;
use crate::hooks::memory::{self, Array, OutOfMemory};
use crate::list::TailQueue;
use crate::util::SystemError;
use crate::util::socket_address::{self, SocketAddress};
use crate::util::sockets::{self, OwnedSocket};
use crate::util::text::Text;
use libc::{sockaddr, socklen_t};
use std::cell::{Cell, UnsafeCell};
use std::ffi::c_int;
use std::ops::Deref;
use std::ptr::NonNull;

/// The port of name servers.
pub const PORT: u16 = 53;

/// Why a server was not added, with the numbers of the C interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum NotAdded {
    NoMemory = -1,
    NoSocket = 1,
    NotUsable = 2,
    Present = 3,
    NoAddress = 4,
    SendBuffer = -libc::SO_SNDBUF as isize,
    ReceiveBuffer = -libc::SO_RCVBUF as isize,
}

/// A server.
pub struct NameServer {
    base: *mut EvdnsBase,
    /// Where it is.
    pub(super) address: SocketAddress,
    pub(super) channels: [Channel; 2],
    /// Which of them is in use.
    pub(super) current: Cell<u8>,
    /// For how many questions more its socket serves.
    pub(super) questions_left: Cell<u16>,
    /// Identifies it in the set [`super::request::EvdnsRequest::asked`].
    number: u32,
    probe_timer: UnsafeCell<Event>,
    /// It is not part of its resolver any more.
    pub(super) removed: Cell<bool>,
    pub(super) up: Cell<bool>,
    /// How many questions it has left unanswered since its last answer.
    pub(super) silent: Cell<u16>,
    pub(super) failed_probes: Cell<u8>,
    /// The probe under way.
    pub(super) probe: Cell<Option<RequestPtr>>,
    /// Questions that wait until the socket is writable.
    pub(super) unsent: UnsafeCell<TailQueue<RequestLinks>>,
    /// The connection to it, once there was need of one.
    pub(super) stream: Cell<Option<StreamPtr>>,
}

/// A server that lives. Its fields are used with the lock of its resolver held.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ServerPtr(NonNull<NameServer>);

impl Deref for ServerPtr {
    type Target = NameServer;
    #[inline]
    fn deref(&self) -> &NameServer {
        // SAFETY: `new` promised a live object; its fields are cells.
        unsafe { self.0.as_ref() }
    }
}

impl BasePtr {
    /// How many servers there are.
    pub fn server_count(self) -> usize {
        // SAFETY: the lock is held, and nothing here calls the program.
        unsafe { &*self.servers.get() }.len()
    }

    /// A server, counted from the first in the ring.
    pub(super) fn server(self, index: usize) -> Option<ServerPtr> {
        // SAFETY: as in `server_count`.
        unsafe { (&(*self.servers.get())).get(index).copied() }
    }

    /// A server, counted from the one whose turn it is.
    pub fn server_address(self, index: usize) -> Option<SocketAddress> {
        let count = self.server_count();
        let place = (index < count).then(|| (self.turn.get() as usize + index) % count)?;
        self.server(place).map(|server| server.address)
    }

    /// The server whose turn it is: the next one that is up, or the next one where none is.
    pub(super) fn pick_server(self) -> Option<ServerPtr> {
        let (count, turn) = (self.server_count(), self.turn.get() as usize);
        let after = |place: usize| if place + 1 < count { place + 1 } else { 0 };
        let is_up = |place: usize| self.server(place).is_some_and(|server| server.up.get());
        let mut place = turn;
        for _ in 0..count {
            if is_up(place) {
                break;
            }
            // Where none is up, this comes back to the first.
            place = after(place);
        }
        self.turn.set(after(place) as u32);
        self.server(place)
    }

    /// Adds the server at an address given as text; without a port, at the usual one.
    pub fn add_server_text(self, text: &[u8]) -> Result<(), NotAdded> {
        let Some(mut address) = socket_address::parse(text) else {
            log::message(
                Severity::Warning,
                format_args!(
                    "Unable to parse nameserver address {}",
                    ShownText::of(text).as_str()
                ),
            );
            return Err(NotAdded::NoAddress);
        };
        let port = match &mut address {
            SocketAddress::V4(v4) => &mut v4.sin_port,
            SocketAddress::V6(v6) => &mut v6.sin6_port,
        };
        if *port == 0 {
            *port = PORT.to_be();
        }
        self.add_server(address)
    }

    /// Adds the server at a socket address.
    ///
    /// # Safety
    /// `address` points to `length` bytes.
    pub unsafe fn add_server_sockaddr(
        self,
        address: *const sockaddr,
        length: socklen_t,
    ) -> Result<(), NotAdded> {
        if length as usize > size_of::<libc::sockaddr_storage>() {
            return Err(NotAdded::NotUsable);
        }
        // SAFETY: the caller guarantees the address; its length was just compared.
        match unsafe { SocketAddress::read(address) } {
            Some(address) if length >= address.length() => self.add_server(address),
            _ => {
                // SAFETY: the caller guarantees at least a family.
                unsafe { log_refusal(address, NotAdded::NoSocket) };
                Err(NotAdded::NoSocket)
            }
        }
    }

    /// Adds a server.
    pub fn add_server(self, address: SocketAddress) -> Result<(), NotAdded> {
        let present = |i| {
            self.server(i)
                .is_some_and(|server| same(&server.address, &address))
        };
        if (0..self.server_count()).any(present) {
            return Err(NotAdded::Present);
        }
        self.add_new_server(address).inspect_err(|&error| {
            // SAFETY: a complete address.
            unsafe { log_refusal(address.as_ptr(), error) };
        })
    }

    fn add_new_server(self, address: SocketAddress) -> Result<(), NotAdded> {
        if self.event_base.is_null() {
            return Err(NotAdded::NotUsable);
        }
        self.reserve_server()
            .map_err(|OutOfMemory| NotAdded::NoMemory)?;
        let socket = self.make_socket(&address).inspect_err(|&error| {
            if error == NotAdded::NotUsable {
                log::message(
                    Severity::Warning,
                    format_args!("Couldn't bind to outgoing address"),
                );
            }
        })?;
        let server = self
            .allocate_server(address)
            .map_err(|OutOfMemory| NotAdded::NoMemory)?;
        server.prepare_timer(self);
        if server.open(self, socket).is_err() {
            server.destroy();
            return Err(NotAdded::NotUsable);
        }
        self.insert_server(server);
        Ok(())
    }

    fn allocate_server(self, address: SocketAddress) -> Result<ServerPtr, OutOfMemory> {
        let block = memory::malloc(size_of::<NameServer>());
        let server = ServerPtr(NonNull::new(block.cast()).ok_or(OutOfMemory)?);
        let number = self.numbers.replace(self.numbers.get().wrapping_add(1));
        // SAFETY: the block is new and large enough; zero bytes are valid events.
        unsafe {
            server.0.write(NameServer {
                base: self.as_ptr(),
                address,
                channels: [Channel::new(), Channel::new()],
                current: Cell::new(0),
                questions_left: Cell::new(0),
                number,
                probe_timer: UnsafeCell::new(std::mem::zeroed()),
                removed: Cell::new(false),
                up: Cell::new(true),
                silent: Cell::new(0),
                failed_probes: Cell::new(0),
                probe: Cell::new(None),
                unsent: UnsafeCell::new(std::mem::zeroed()),
                stream: Cell::new(None),
            });
            TailQueue::initialise(server.unsent.get());
        }
        Ok(server)
    }

    /// Makes room for one more server, and no more: there are few.
    fn reserve_server(self) -> Result<(), OutOfMemory> {
        // SAFETY: the lock is held, and nothing here calls the program.
        let servers = unsafe { &mut *self.servers.get() };
        if servers.len() < servers.capacity() {
            return Ok(());
        }
        servers.try_set_capacity(2 * servers.len())
    }

    /// Inserts a server, for which there is room, after the one whose turn it is.
    fn insert_server(self, server: ServerPtr) {
        // SAFETY: the lock is held, and nothing here calls the program.
        let servers = unsafe { &mut *self.servers.get() };
        servers.push_reserved(server);
        let place = (self.turn.get() as usize + 1).min(servers.len() - 1);
        servers[place..].rotate_right(1);
    }

    /// A socket for questions to a server.
    pub(super) fn make_socket(self, address: &SocketAddress) -> Result<OwnedSocket, NotAdded> {
        // SAFETY: a complete address.
        let (family, local) = unsafe {
            let local = socket_address::is_loopback(address.as_ptr());
            (c_int::from((*address.as_ptr()).sa_family), local)
        };
        let kind = libc::SOCK_DGRAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        let socket = sockets::socket(family, kind, 0).map_err(|SystemError| NotAdded::NoSocket)?;
        let socket = OwnedSocket(socket);
        if let (Some(bound), false) = (self.options.bind_to.get(), local) {
            // SAFETY: a complete address.
            unsafe { sockets::bind(socket.0, bound.as_ptr(), bound.length()) }
                .map_err(|SystemError| NotAdded::NotUsable)?;
        }
        let buffers = [
            (
                self.options.receive_buffer.get(),
                libc::SO_RCVBUF,
                NotAdded::ReceiveBuffer,
            ),
            (
                self.options.send_buffer.get(),
                libc::SO_SNDBUF,
                NotAdded::SendBuffer,
            ),
        ];
        for (size, option, error) in buffers {
            if size != 0 {
                sockets::set_option(socket.0, libc::SOL_SOCKET, option, size).map_err(|_| error)?;
            }
        }
        Ok(socket)
    }

    /// Takes all servers out of the resolver, whose look-ups do not use them any more.
    pub(super) fn take_servers(self) -> Array<ServerPtr> {
        // SAFETY: the lock is held, and nothing here calls the program.
        let servers = std::mem::take(unsafe { &mut *self.servers.get() });
        servers.iter().for_each(|server| server.removed.set(true));
        self.turn.set(0);
        servers
    }
}

/// Forgets all servers; their questions wait for others.
///
/// # Safety
/// The resolver lives.
pub unsafe fn clear_and_suspend(base: *mut EvdnsBase) {
    // SAFETY: the caller guarantees the resolver.
    let hold = unsafe { Hold::new(base) };
    while let Some(request) = hold.any_in_flight() {
        if request.probed().is_some() {
            request.withdraw(*hold);
            request.forget();
        } else {
            hold.suspend(request);
        }
    }
    let servers = hold.take_servers();
    drop(hold);
    servers.iter().for_each(|server| server.destroy());
}

impl BasePtr {
    /// Some question that is under way, the one that was sent last if possible.
    fn any_in_flight(self) -> Option<RequestPtr> {
        // SAFETY: look-ups in the queue are live.
        let sent = unsafe { RequestPtr::new(TailQueue::last(self.timeouts.queue.get())) };
        sent.or_else(|| self.any_at_servers())
    }

    /// Some question that its server knows of.
    pub(super) fn any_at_servers(self) -> Option<RequestPtr> {
        let at_server = |server: ServerPtr| {
            let streamed = || server.stream.get()?.timeouts.first();
            let unsent = || server.first_unsent();
            server.probe.get().or_else(streamed).or_else(unsent)
        };
        (0..self.server_count()).find_map(|i| at_server(self.server(i)?))
    }
}

/// Says that the server at an address was not added.
///
/// # Safety
/// As for [`socket_address::format`].
unsafe fn log_refusal(address: *const sockaddr, error: NotAdded) {
    // SAFETY: as the caller guarantees.
    let text = unsafe { socket_address::format(address) };
    let text = ShownText::of(text.as_bytes());
    let (text, error) = (text.as_str(), error as c_int);
    log::message(
        Severity::Warning,
        format_args!("Unable to add nameserver {text}: error {error}"),
    );
}

/// Whether two addresses are one server's.
fn same(a: &SocketAddress, b: &SocketAddress) -> bool {
    let scope = |address: &SocketAddress| match address {
        SocketAddress::V4(_) => 0,
        SocketAddress::V6(v6) => v6.sin6_scope_id,
    };
    // SAFETY: both are complete.
    unsafe { socket_address::compare(a.as_ptr(), b.as_ptr(), true) == 0 && scope(a) == scope(b) }
}

/// Text for a message, cut where it is too long.
struct ShownText(Text<64>);

impl ShownText {
    fn of(text: &[u8]) -> ShownText {
        let text = std::str::from_utf8(text).unwrap_or("(not text)");
        ShownText(Text::of(format_args!("{text}")))
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(self.0.as_bytes()).unwrap_or("(not text)")
    }
}

impl ServerPtr {
    /// # Safety
    /// The server lives for as long as the pointer, or a copy of it, is used.
    pub unsafe fn new(server: *mut NameServer) -> Option<ServerPtr> {
        NonNull::new(server).map(ServerPtr)
    }

    /// The raw pointer.
    pub fn as_ptr(self) -> *mut NameServer {
        self.0.as_ptr()
    }

    /// The resolver.
    ///
    /// # Safety
    /// It lives.
    pub(super) unsafe fn base(self) -> BasePtr {
        // SAFETY: the caller guarantees the resolver.
        unsafe { BasePtr::of(self.base) }
    }

    /// Its bit in the set of servers that were asked a question.
    pub(super) fn bit(self) -> u64 {
        1 << (self.number % u64::BITS)
    }

    /// Its address and port.
    pub(super) fn text(self) -> impl std::fmt::Display {
        struct Shown(Text<64>);
        impl std::fmt::Display for Shown {
            fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str(std::str::from_utf8(self.0.as_bytes()).unwrap_or_default())
            }
        }
        // SAFETY: a complete address.
        Shown(unsafe { socket_address::format(self.address.as_ptr()) })
    }

    pub(super) fn probe_timer(self) -> EventPtr {
        // SAFETY: part of a live object; the address of a field is not null.
        unsafe { EventPtr::new(self.probe_timer.get()).unwrap_unchecked() }
    }

    fn prepare_timer(self, base: BasePtr) {
        let (timer, argument) = (self.probe_timer.get(), self.as_ptr().cast());
        // SAFETY: the event stays as long as the server, which ends it; the loop's base outlives
        // both.
        unsafe {
            assign::internal(
                timer,
                base.event_base,
                -1,
                0,
                health::probe_is_due,
                argument,
            );
        }
    }

    /// Ends and frees a server that is in no resolver any more. The lock is not held: callbacks of
    /// its events that are running in another thread end first.
    pub(super) fn destroy(self) {
        if let Some(stream) = self.stream.take() {
            // SAFETY: the caller still has a reference to the resolver.
            stream.destroy(unsafe { self.base() });
        }
        for channel in &self.channels {
            channel.close(Blocking::Yes);
        }
        let timer = self.probe_timer();
        // SAFETY: the loop's base outlives its resolvers. A refusal was logged; the timer is off.
        let _ = unsafe { Guard::lock(timer.base()) }.delete(timer, Blocking::Yes);
        debug::note_teardown(timer);
        // SAFETY: the block came from the hooks, and nobody uses it any more.
        unsafe { memory::free(self.as_ptr().cast()) };
    }
}

/// Copies the address of a server to `out`, if it has room for it; its length.
///
/// # Safety
/// `out` has room for `room` bytes.
pub unsafe fn copy_address(address: &SocketAddress, out: *mut sockaddr, room: usize) -> c_int {
    let length = address.length();
    if room >= length as usize {
        // SAFETY: the caller guarantees the room.
        unsafe { address.write(out.cast()) };
    }
    length as c_int
}
