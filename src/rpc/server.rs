//! The calls that a server handles.

use super::abi::Evrpc;
use super::hooks::{Hooked, HookedPtr};
use super::request::{self, Request};
use crate::hooks::memory::{self, OutOfMemory};
use crate::http::paths::{Handler, NotAdded};
use crate::http::server::{Server as HttpServer, ServerPtr as HttpServerPtr};
use crate::list::{TailLink, TailQueue, links};
use std::cell::{Cell, UnsafeCell};
use std::ffi::{CStr, c_char, c_void};
use std::ops::Deref;
use std::ptr::{self, NonNull, addr_of_mut};

/// What the path of every call begins with.
pub const PATH_PREFIX: &[u8] = b"/.rpc.";

/// `struct evrpc_base`.
#[repr(C)]
pub struct Server {
    hooked: Hooked,
    /// Null when it is gone.
    http: Cell<*mut HttpServer>,
    registrations: UnsafeCell<RegistrationList>,
}

/// The handler of the calls of one name. It stays until its last request is done.
pub struct Registration {
    link: TailLink<Registration>,
    pub(super) rpc: *mut Evrpc,
    path: *mut c_char,
    /// Null when it is gone.
    server: Cell<*mut Server>,
    /// New requests are accepted.
    is_open: Cell<bool>,
    requests: Cell<usize>,
}

links! {
    /// The links among the registrations of a server.
    pub struct RegistrationLinks: TailLink<Registration> in link;
}
type RegistrationList = TailQueue<RegistrationLinks>;

/// Why calls of a name cannot be handled.
pub enum NotRegistered {
    /// Memory is short.
    OutOfMemory,
    /// There is a handler already.
    Taken,
}

impl From<OutOfMemory> for NotRegistered {
    fn from(_: OutOfMemory) -> Self {
        NotRegistered::OutOfMemory
    }
}

/// A server's side that is live, or pinned.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ServerPtr(NonNull<Server>);

impl Deref for ServerPtr {
    type Target = Server;
    fn deref(&self) -> &Server {
        // SAFETY: `new` promised a live object, and what changes in it is in cells.
        unsafe { self.0.as_ref() }
    }
}

/// The path of the calls of a name.
pub fn path_of(name: &[u8]) -> Result<NonNull<c_char>, OutOfMemory> {
    let length = PATH_PREFIX.len() + name.len();
    let path = NonNull::new(memory::malloc(length + 1).cast::<u8>()).ok_or(OutOfMemory)?;
    // SAFETY: the block has room for both and the zero byte.
    unsafe {
        ptr::copy_nonoverlapping(PATH_PREFIX.as_ptr(), path.as_ptr(), PATH_PREFIX.len());
        let behind = path.as_ptr().add(PATH_PREFIX.len());
        ptr::copy_nonoverlapping(name.as_ptr(), behind, name.len());
        behind.add(name.len()).write(0);
    }
    Ok(path.cast())
}

impl ServerPtr {
    /// `None` for null.
    ///
    /// # Safety
    /// The object stays live, or pinned, for as long as the pointer, or a copy of it, is used.
    pub unsafe fn new(server: *mut Server) -> Option<ServerPtr> {
        NonNull::new(server).map(ServerPtr)
    }

    /// The raw pointer.
    pub fn as_ptr(self) -> *mut Server {
        self.0.as_ptr()
    }

    /// The server's side of calls on an HTTP server, without registrations.
    pub fn create(http: *mut HttpServer) -> Result<ServerPtr, OutOfMemory> {
        let server = memory::allocate_zeroed::<Server>()?;
        // SAFETY: the block is new and stays where it is.
        unsafe {
            let place = server.as_ptr();
            Hooked::initialise(addr_of_mut!((*place).hooked), request::resume);
            RegistrationList::initialise((*place).registrations.get());
            (*place).http.set(http);
        }
        Ok(ServerPtr(server))
    }

    /// What it has in common with pools.
    pub fn hooked(self) -> HookedPtr {
        // SAFETY: a part of a live object.
        unsafe { HookedPtr::new(self.0.as_ptr().cast()) }.expect("not null")
    }

    /// Registers `rpc` for the calls of its name. The server then owns it and its name.
    ///
    /// # Safety
    /// `rpc` is filled but for its base; it and its name are blocks of `memory`.
    pub unsafe fn register(self, rpc: *mut Evrpc) -> Result<(), NotRegistered> {
        let server = self.http().ok_or(NotRegistered::Taken)?;
        let registration = memory::allocate_zeroed::<Registration>()?.as_ptr();
        // SAFETY: the block is new, and freed when it is of no use; the caller guarantees the rest.
        unsafe {
            (*registration).rpc = rpc;
            let added = path_of(CStr::from_ptr((*rpc).uri).to_bytes());
            let added = added.map_err(NotRegistered::from).and_then(|path| {
                (*registration).path = path.as_ptr();
                add_path(server, registration)
            });
            if added.is_err() {
                Registration::free(registration);
                return added;
            }
            (*rpc).base = self.as_ptr();
            (*registration).server.set(self.as_ptr());
            (*registration).is_open.set(true);
            RegistrationList::push_back(self.registrations.get(), registration);
        }
        Ok(())
    }

    /// Removes the handler of the calls of a name. Returns whether there was one.
    pub fn unregister(self, name: &[u8]) -> bool {
        // SAFETY: registrations in the list are live, and so are their names.
        unsafe {
            let mut registration = RegistrationList::first(self.registrations.get());
            while !registration.is_null() {
                let uri = (*(*registration).rpc).uri;
                if (*registration).is_open.get() && CStr::from_ptr(uri).to_bytes() == name {
                    self.close(registration);
                    Registration::free_if_unused(registration);
                    return true;
                }
                registration = RegistrationList::next(registration);
            }
        }
        false
    }

    fn http(self) -> Option<HttpServerPtr> {
        // SAFETY: the pointer is cleared when the server ends, which reports that.
        unsafe { HttpServerPtr::new(self.http.get()) }
    }

    /// Accepts no new requests for a registration.
    ///
    /// # Safety
    /// The registration is one of this server's.
    unsafe fn close(self, registration: *mut Registration) {
        // SAFETY: the caller guarantees the registration.
        unsafe {
            let was_open = (*registration).is_open.replace(false);
            if let Some(server) = self.http().filter(|_| was_open) {
                server.remove_path(CStr::from_ptr((*registration).path).to_bytes());
            }
        }
    }

    /// Ends the server's side. Calls that wait for a hook are answered with an error; those that
    /// handlers have stay theirs.
    pub fn free(self) {
        // SAFETY: registrations in the list are live; so is the first of the paused calls.
        unsafe {
            loop {
                let registration = RegistrationList::first(self.registrations.get());
                if registration.is_null() {
                    break;
                }
                self.close(registration);
                RegistrationList::remove(self.registrations.get(), registration);
                (*registration).server.set(ptr::null_mut());
                Registration::free_if_unused(registration);
            }
            while let Some(context) = self.hooked().take_paused() {
                request::fail(context.cast::<Request>());
            }
        }
        self.hooked().end();
    }
}

impl Registration {
    /// A request begins.
    ///
    /// # Safety
    /// The registration is live.
    pub(super) unsafe fn hold(registration: *mut Registration) {
        // SAFETY: the caller guarantees the registration.
        let requests = unsafe { &(*registration).requests };
        requests.set(requests.get() + 1);
    }

    /// A request ends.
    ///
    /// # Safety
    /// The registration is live, and the request held it.
    pub(super) unsafe fn release(registration: *mut Registration) {
        // SAFETY: the caller guarantees the registration.
        unsafe {
            let requests = &(*registration).requests;
            requests.set(requests.get() - 1);
            Registration::free_if_unused(registration);
        }
    }

    /// The server's side, unless it is gone.
    ///
    /// # Safety
    /// The registration is live.
    pub(super) unsafe fn server(registration: *mut Registration) -> Option<ServerPtr> {
        // SAFETY: the caller guarantees the registration, which knows no server that is gone.
        unsafe { ServerPtr::new((*registration).server.get()) }
    }

    unsafe fn free_if_unused(registration: *mut Registration) {
        // SAFETY: when nobody has the registration, its blocks are only known here.
        unsafe {
            if (*registration).requests.get() > 0 || (*registration).is_open.get() {
                return;
            }
            if let Some(server) = Registration::server(registration) {
                RegistrationList::remove(server.registrations.get(), registration);
            }
            let rpc = (*registration).rpc;
            memory::free((*rpc).uri.cast_mut().cast::<c_void>());
            memory::free(rpc.cast());
            Registration::free(registration);
        }
    }

    unsafe fn free(registration: *mut Registration) {
        // SAFETY: nobody has the registration any more.
        unsafe {
            memory::free((*registration).path.cast());
            memory::free(registration.cast());
        }
    }
}

/// Registers the path of a registration with the HTTP server.
fn add_path(server: HttpServerPtr, registration: *mut Registration) -> Result<(), NotRegistered> {
    let handler = Handler {
        callback: request::arrived,
        argument: registration.cast(),
        gone: Some(http_gone),
    };
    // SAFETY: the text of a live registration.
    let path = unsafe { CStr::from_ptr((*registration).path) };
    server
        .add_path(path.to_bytes(), handler)
        .map_err(|not| match not {
            NotAdded::Present => NotRegistered::Taken,
            NotAdded::Memory => NotRegistered::OutOfMemory,
        })
}

/// Called by the HTTP server for each path when it ends.
unsafe fn http_gone(registration: *mut c_void) {
    // SAFETY: a registration that ends takes its path away before.
    let server = unsafe { Registration::server(registration.cast()) };
    if let Some(server) = server {
        server.http.set(ptr::null_mut());
    }
}
