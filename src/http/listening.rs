//! Where a server listens.

use super::accepting::accepted;
use super::server::ServerPtr;
use crate::hooks::memory::{self, OutOfMemory};
use crate::list::{TailLink, TailQueue, links};
use crate::listener::{self, Evconnlistener, Hold, Receiver, option};
use crate::util::text::Text;
use crate::util::{resolve, sockets};
use crate::warning;
use libc::{addrinfo, sockaddr};
use std::ffi::{c_char, c_int, c_uint};
use std::mem::zeroed;
use std::ptr::{self, NonNull};

/// The length of the kernel's queue.
const BACKLOG: c_int = 128;

/// `struct evhttp_bound_socket`: a listener of a server.
pub struct BoundSocket {
    link: TailLink<BoundSocket>,
    listener: *mut Evconnlistener,
}

links! {
    /// The links of a listener among those of its server.
    pub struct SocketLinks: TailLink<BoundSocket> in link;
}

impl BoundSocket {
    /// The listener.
    pub fn listener(&self) -> *mut Evconnlistener {
        self.listener
    }
}

/// No function takes connections over.
const NOBODY: Receiver = Receiver {
    callback: None,
    argument: ptr::null_mut(),
};

/// Why a server does not listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotListening;

impl From<OutOfMemory> for NotListening {
    fn from(_: OutOfMemory) -> NotListening {
        NotListening
    }
}

impl ServerPtr {
    /// Listens on an address, of which the name may have to be looked up.
    ///
    /// # Safety
    /// `name` is null or a string.
    pub unsafe fn bind(
        self,
        name: *const c_char,
        port: u16,
    ) -> Result<NonNull<BoundSocket>, NotListening> {
        // SAFETY: the caller guarantees the name.
        let socket = unsafe { bound_socket(name, port, 1) }?;
        let listened = self.listen(socket.0, BACKLOG);
        if listened.is_ok() {
            socket.into_inner();
        }
        listened
    }

    /// Accepts connections on a socket that listens already.
    pub fn accept_on(self, descriptor: c_int) -> Result<NonNull<BoundSocket>, NotListening> {
        self.listen(descriptor, 0)
    }

    fn listen(
        self,
        descriptor: c_int,
        backlog: c_int,
    ) -> Result<NonNull<BoundSocket>, NotListening> {
        const OPTIONS: c_uint = option::CLOSE_ON_EXEC | option::CLOSE_ON_FREE;
        let socket = memory::allocate_zeroed::<BoundSocket>()?;
        // SAFETY: the base outlives the server.
        let listener =
            unsafe { listener::new(self.base.get(), NOBODY, OPTIONS, backlog, descriptor) };
        let Ok(listener) = listener else {
            // SAFETY: nobody knows the block.
            unsafe { memory::free(socket.as_ptr().cast()) };
            return Err(NotListening);
        };
        // SAFETY: both are new.
        unsafe {
            self.add_socket(socket, listener.as_ptr()).inspect_err(|_| {
                let listener = Hold::new(listener.as_ptr());
                listener.leave_socket();
                listener.free();
            })
        }
    }

    /// Accepts connections of a listener, which becomes the server's.
    ///
    /// # Safety
    /// The listener is live.
    pub unsafe fn adopt_listener(
        self,
        listener: *mut Evconnlistener,
    ) -> Result<NonNull<BoundSocket>, NotListening> {
        let socket = memory::allocate_zeroed::<BoundSocket>()?;
        // SAFETY: the block is new; the caller guarantees the listener.
        unsafe { self.add_socket(socket, listener) }
    }

    /// Without success nothing has changed but the listener's callback.
    ///
    /// # Safety
    /// The listener is live, and the socket new.
    unsafe fn add_socket(
        self,
        socket: NonNull<BoundSocket>,
        listener: *mut Evconnlistener,
    ) -> Result<NonNull<BoundSocket>, NotListening> {
        let receiver = Receiver {
            callback: Some(accepted),
            argument: self.as_ptr().cast(),
        };
        // SAFETY: the caller guarantees both.
        unsafe {
            let hold = Hold::new(listener);
            if hold.set_receiver(receiver).is_err() {
                let _ = hold.set_receiver(NOBODY);
                memory::free(socket.as_ptr().cast());
                return Err(NotListening);
            }
            (*socket.as_ptr()).listener = listener;
            TailQueue::push_back(self.sockets.get(), socket.as_ptr());
        }
        Ok(socket)
    }

    /// Stops listening.
    ///
    /// # Safety
    /// The socket is one of this server's.
    pub unsafe fn remove_socket(self, socket: *mut BoundSocket) {
        // SAFETY: the caller guarantees the socket.
        unsafe {
            TailQueue::remove(self.sockets.get(), socket);
            Hold::new((*socket).listener).free();
            memory::free(socket.cast());
        }
    }

    /// Calls a function for each listener.
    pub fn for_each_socket(self, mut call: impl FnMut(*mut BoundSocket)) {
        // SAFETY: sockets in the list are live.
        unsafe {
            let mut socket = TailQueue::first(self.sockets.get());
            while !socket.is_null() {
                let next = TailQueue::<SocketLinks>::next(socket);
                call(socket);
                socket = next;
            }
        }
    }
}

/// A socket bound to the first address of a name; with `reuse`, also one that was in use lately.
///
/// # Safety
/// `name` is null or a string.
pub(super) unsafe fn bound_socket(
    name: *const c_char,
    port: u16,
    reuse: c_int,
) -> Result<sockets::OwnedSocket, NotListening> {
    if name.is_null() && port == 0 {
        // The kernel chooses when the socket begins to listen.
        return new_socket(libc::AF_INET);
    }
    // SAFETY: zero bytes are hints without wishes.
    let mut hints: addrinfo = unsafe { zeroed() };
    hints.ai_family = libc::AF_UNSPEC;
    hints.ai_socktype = libc::SOCK_STREAM;
    hints.ai_flags = libc::AI_PASSIVE | libc::AI_ADDRCONFIG;
    let service = Text::<8>::of(format_args!("{port}\0"));
    let mut list = ptr::null_mut();
    // SAFETY: the caller guarantees the name; the service is terminated.
    unsafe {
        let result = resolve::resolve(name, service.as_bytes().as_ptr().cast(), &hints, &mut list);
        if result != 0 || list.is_null() {
            warning!("evhttp_bind_socket: the address cannot be resolved");
            return Err(NotListening);
        }
        let bound = bind_to(
            (*list).ai_family,
            (*list).ai_addr,
            (*list).ai_addrlen,
            reuse,
        );
        resolve::free_list(list);
        bound
    }
}

fn new_socket(family: c_int) -> Result<sockets::OwnedSocket, NotListening> {
    let socket = sockets::stream_socket(family).map_err(|_| NotListening)?;
    let socket = sockets::OwnedSocket(socket);
    sockets::set_option(socket.0, libc::SOL_SOCKET, libc::SO_KEEPALIVE, 1)
        .map_err(|_| NotListening)?;
    Ok(socket)
}

/// # Safety
/// The address has `length` bytes.
unsafe fn bind_to(
    family: c_int,
    address: *const sockaddr,
    length: libc::socklen_t,
    reuse: c_int,
) -> Result<sockets::OwnedSocket, NotListening> {
    let socket = new_socket(family)?;
    if reuse != 0 {
        sockets::set_option(socket.0, libc::SOL_SOCKET, libc::SO_REUSEADDR, reuse)
            .map_err(|_| NotListening)?;
    }
    // SAFETY: the caller guarantees the address.
    unsafe { sockets::bind(socket.0, address, length) }.map_err(|_| NotListening)?;
    Ok(socket)
}
