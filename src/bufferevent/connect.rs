//! Connecting sockets, by address and by name.

use super::abi::{BEV_EVENT_CONNECTED, BEV_EVENT_ERROR};
use super::lifetime::DEFER_CALLBACKS;
use super::operations::Failed;
use super::socket::bufferevent_ops_socket;
use super::{BuffereventPtr, Direction, Guard, flag, suspension};
use crate::event::kind;
use crate::hooks::memory;
use crate::system::{self, errno, set_errno};
use crate::util::sockets::{self, Connecting};
use crate::util::{resolve, resolve_async, resolve_errors};
use libc::{addrinfo, sockaddr, sockaddr_storage, socklen_t};
use std::cell::{Cell, UnsafeCell};
use std::ffi::{c_char, c_int, c_void};
use std::fmt::Write;
use std::mem::{MaybeUninit, size_of};
use std::ptr::{self, addr_of_mut};

/// The address of a peer, of any family.
pub type PeerAddress = sockaddr_storage;

/// What only bufferevents with a known peer have, in a separate block.
pub struct Peer {
    address: UnsafeCell<PeerAddress>,
    /// The look-up under way, or null.
    lookup: Cell<*mut c_void>,
    /// Look-ups that were cancelled and not yet answered.
    cancelled_lookups: Cell<u32>,
}

/// An address of family 0.
pub fn no_address() -> *const sockaddr {
    static NONE: MaybeUninit<PeerAddress> = MaybeUninit::zeroed();
    NONE.as_ptr().cast()
}

/// How far a connection is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Still waiting.
    Waiting,
    /// Made, and reported to the program.
    Made,
    /// Failed, and reported to the program.
    Failed,
}

impl BuffereventPtr {
    /// The socket is ready in a direction: what became of the connection?
    pub(super) fn finish_connecting(self, ready: Direction) -> Progress {
        match sockets::finished_connecting(self.event(Direction::Write).fd()) {
            Ok(Connecting::InProgress) => Progress::Waiting,
            Err(_) => {
                self.clear_flags(flag::CONNECTING);
                let error = errno();
                for direction in Direction::ALL {
                    // A refusal was logged; the event is removed in any case.
                    let _ = self.delete_event(direction);
                }
                set_errno(error);
                self.run_event_callback(BEV_EVENT_ERROR, 0);
                Progress::Failed
            }
            Ok(_) => {
                self.clear_flags(flag::CONNECTING);
                self.set_flags(flag::ESTABLISHED);
                // The end of connecting is no reason for the write callback.
                let idle = !self.is_running(Direction::Write) || self.length(Direction::Write) == 0;
                if ready == Direction::Read && idle {
                    let _ = self.delete_event(Direction::Write);
                }
                self.run_event_callback(BEV_EVENT_CONNECTED, 0);
                Progress::Made
            }
        }
    }

    /// Connects to an address, or waits for a connection of the descriptor that is being made
    /// already. After success the event callback gets the outcome. The caller has a guard.
    ///
    /// # Safety
    /// `address` is null or points to `length` bytes.
    pub unsafe fn connect(self, address: *const sockaddr, length: socklen_t) -> Result<(), Failed> {
        let present = self.descriptor();
        if present >= 0 {
            // SAFETY: the caller guarantees the address.
            return unsafe { self.connect_descriptor(present, address, length) };
        }
        if address.is_null() {
            return Err(Failed);
        }
        // SAFETY: the caller guarantees the address.
        let family = c_int::from(unsafe { (*address).sa_family });
        let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK;
        let made = sockets::socket(family, kind, 0).map_err(|_| Failed)?;
        // SAFETY: the caller guarantees the address.
        unsafe { self.connect_descriptor(made, address, length) }.inspect_err(|_| {
            let error = errno();
            if self.descriptor() == made {
                let _ = self.set_descriptor(-1);
            }
            let _ = sockets::close(made);
            set_errno(error);
        })
    }

    /// # Safety
    /// As for [`BuffereventPtr::connect`].
    unsafe fn connect_descriptor(
        self,
        descriptor: c_int,
        address: *const sockaddr,
        length: socklen_t,
    ) -> Result<(), Failed> {
        let progress = if address.is_null() {
            Connecting::InProgress
        } else {
            // SAFETY: the caller guarantees the address.
            unsafe { sockets::connect(descriptor, address, length) }.map_err(|_| Failed)?
        };
        let error = errno();
        self.set_descriptor(descriptor)?;
        if progress == Connecting::Refused {
            set_errno(error);
            self.run_event_callback(BEV_EVENT_ERROR, DEFER_CALLBACKS);
            // A refusal was logged; both directions count as disabled.
            let _ = self.disable(kind::READ | kind::WRITE);
            return Ok(());
        }
        // Even if the connection is made already: the loop notifies the program.
        self.add_event(Direction::Write)?;
        if self.is_kind(&bufferevent_ops_socket) {
            self.set_flags(flag::CONNECTING);
        }
        Ok(())
    }

    /// Looks a name up and connects to the first address. After success the event callback is
    /// called with the outcome, perhaps before this returns. The caller has a guard.
    ///
    /// # Safety
    /// `dns_base` is null or a DNS base; `host` is null or a string.
    pub unsafe fn connect_to_name(
        self,
        dns_base: *mut c_void,
        hints: &addrinfo,
        host: *const c_char,
        port: c_int,
    ) -> Result<(), Failed> {
        let known = [libc::AF_INET, libc::AF_INET6, libc::AF_UNSPEC].contains(&hints.ai_family);
        if !known || !(1..=65535).contains(&port) || self.is_looking_up()? {
            return Err(Failed);
        }
        let service = decimal(port);
        let mut unbracketed = [0; HOST_NAME_ROOM];
        // SAFETY: the caller guarantees the string.
        let host = unsafe { without_brackets(host, &mut unbracketed) };
        for direction in Direction::ALL {
            self.suspend(direction, suspension::LOOKUP);
        }
        self.dns_error.set(0);
        // For the look-up.
        self.add_reference();
        // SAFETY: the caller guarantees base and name; the reference keeps the argument alive.
        let request = unsafe {
            let argument = self.as_ptr().cast();
            resolve_async::start(dns_base, host, service.as_ptr(), hints, looked_up, argument)
        };
        if let Some(peer) = self.known_peer().filter(|_| !request.is_null()) {
            peer.lookup.set(request);
        }
        Ok(())
    }

    /// Whether a look-up is under way, for which there is a place now.
    fn is_looking_up(self) -> Result<bool, Failed> {
        Ok(!self.peer_or_new()?.lookup.get().is_null())
    }

    /// Cancels the look-up, if one is under way.
    pub(super) fn cancel_lookup(self) {
        let Some(peer) = self.known_peer() else {
            return;
        };
        let request = peer.lookup.replace(ptr::null_mut());
        if request.is_null() {
            return;
        }
        peer.cancelled_lookups.set(peer.cancelled_lookups.get() + 1);
        // SAFETY: a request that is remembered has not been answered.
        unsafe { resolve_async::cancel(request) };
    }

    /// The answer of a look-up that was cancelled has arrived, perhaps after another look-up began
    /// or even ended, with which it has nothing to do.
    fn forget_lookup(self, peer: &Peer) {
        peer.cancelled_lookups.set(peer.cancelled_lookups.get() - 1);
        let waits = self.suspended(Direction::Write) & suspension::LOOKUP != 0;
        if peer.lookup.get().is_null() && waits {
            self.end_lookup();
            self.dns_error.set(resolve_errors::CANCELED);
        }
    }

    fn end_lookup(self) {
        for direction in [Direction::Write, Direction::Read] {
            self.resume(direction, suspension::LOOKUP);
        }
    }

    /// A look-up has ended. The caller has a guard.
    ///
    /// # Safety
    /// `list` is what the look-up found: after success at least one address.
    unsafe fn finish_lookup(self, result: c_int, list: *const addrinfo) {
        let Some(peer) = self.known_peer() else {
            return;
        };
        if result == resolve_errors::CANCELED && peer.cancelled_lookups.get() > 0 {
            self.forget_lookup(peer);
            return;
        }
        peer.lookup.set(ptr::null_mut());
        self.end_lookup();
        if result == resolve_errors::CANCELED || self.has(flag::FREED) {
            self.dns_error.set(result);
            return;
        }
        if result != 0 || list.is_null() {
            self.dns_error.set(result);
            self.run_event_callback(BEV_EVENT_ERROR, 0);
            return;
        }
        // SAFETY: the caller guarantees the list.
        let connected = unsafe {
            let (address, length) = ((*list).ai_addr, (*list).ai_addrlen);
            match self.set_peer_address(address, length as usize) {
                Ok(()) => self.connect(address, length),
                Err(Failed) => {
                    self.dns_error.set(libc::EAI_FAIL);
                    Err(Failed)
                }
            }
        };
        if connected.is_err() {
            self.run_event_callback(BEV_EVENT_ERROR, 0);
        }
    }

    /// Remembers the address of the peer.
    ///
    /// # Safety
    /// `address` points to `length` bytes.
    pub unsafe fn set_peer_address(
        self,
        address: *const sockaddr,
        length: usize,
    ) -> Result<(), Failed> {
        if length > size_of::<PeerAddress>() {
            return Err(Failed);
        }
        let place = self.peer_or_new()?.address.get();
        // SAFETY: the caller guarantees `length` bytes, which fit.
        unsafe { ptr::copy_nonoverlapping(address.cast::<u8>(), place.cast(), length) };
        Ok(())
    }

    fn known_peer<'a>(self) -> Option<&'a Peer> {
        // SAFETY: the block is this bufferevent's own and stays until its end, and what changes in
        // it is in cells.
        unsafe { self.peer.get().as_ref() }
    }

    fn peer_or_new<'a>(self) -> Result<&'a Peer, Failed> {
        if self.peer.get().is_null() {
            // Zero bytes are no address and no look-up.
            let block = memory::allocate_zeroed().map_err(|_| Failed)?;
            self.peer.set(block.as_ptr());
        }
        self.known_peer().ok_or(Failed)
    }

    /// At the end.
    pub(super) fn free_peer(self) {
        // SAFETY: the block is this bufferevent's own, and nobody uses it any more.
        unsafe { memory::free(self.peer.get().cast()) };
    }

    /// The remembered address; of family 0 if there is none.
    pub fn peer_address(self) -> *const sockaddr {
        self.known_peer()
            .map_or(no_address(), |peer| peer.address.get().cast())
    }

    /// Replaces a remembered address by that of the peer of a socket.
    pub fn update_peer_address(self, descriptor: c_int) {
        let Some(peer) = self.known_peer() else {
            return;
        };
        let place = peer.address.get();
        // SAFETY: zeroed or filled with an address.
        if c_int::from(unsafe { (*place).ss_family }) == libc::AF_UNSPEC {
            return;
        }
        let mut length = size_of::<PeerAddress>() as socklen_t;
        // SAFETY: the block has the length that is given. Without a peer the address stays.
        unsafe { system::getpeername(descriptor, place.cast(), addr_of_mut!(length)) };
    }
}

/// Called with the answer of a look-up, whose reference to the bufferevent it releases.
unsafe extern "C-unwind" fn looked_up(result: c_int, list: *mut addrinfo, argument: *mut c_void) {
    // SAFETY: the look-up held a reference, which becomes the guard's; the list is handed over.
    unsafe {
        let guard = Guard::acquire(argument.cast());
        guard.finish_lookup(result, list);
        if !list.is_null() {
            resolve::free_list(list);
        }
    }
}

const HOST_NAME_ROOM: usize = 256;

/// A host name without the brackets that may surround a numeric IPv6 address.
///
/// # Safety
/// `host` is null or a string.
unsafe fn without_brackets(
    host: *const c_char,
    room: &mut [c_char; HOST_NAME_ROOM],
) -> *const c_char {
    // SAFETY: the caller guarantees the string.
    let Some(text) = (!host.is_null()).then(|| unsafe { std::ffi::CStr::from_ptr(host) }) else {
        return host;
    };
    let inside = text.to_bytes().strip_prefix(b"[");
    match inside.and_then(|inside| inside.strip_suffix(b"]")) {
        Some(inside) if inside.len() < room.len() => {
            for (place, &byte) in room.iter_mut().zip(inside) {
                *place = byte as c_char;
            }
            room.as_ptr()
        }
        _ => host,
    }
}

/// A number as a NUL-terminated string.
fn decimal(number: c_int) -> [c_char; 12] {
    struct Digits([c_char; 12], usize);
    impl Write for Digits {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            for byte in text.bytes() {
                self.0[self.1] = byte as c_char;
                self.1 += 1;
            }
            Ok(())
        }
    }
    let mut digits = Digits([0; 12], 0);
    // Ten digits and a sign fit.
    let _ = write!(digits, "{number}");
    digits.0
}
