//! Servers: their settings, and the hosts that they serve.

use super::abi::{BuffereventMakerFn, method};
use super::block::Spares;
use super::connection::{ConnectionPtr, ConnectionQueue, limit};
use super::date::DateCache;
use super::dispatch::matches;
use super::incoming;
use super::listening::SocketLinks;
use super::paths::{Handler, NotAdded, PathTable};
use crate::base::EventBase;
use crate::hooks::memory::{self, OutOfMemory};
use crate::list::{TailLink, TailQueue, links};
use crate::warning;
use libc::timeval;
use std::cell::{Cell, UnsafeCell};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem::offset_of;
use std::ops::Deref;
use std::ptr::{self, NonNull, addr_of_mut};

/// The flag of a server that reads bodies that are too long to their end.
pub const SERVER_LINGERING_CLOSE: c_int = 0x0001;
/// The same of its connections.
pub const CON_LINGERING_CLOSE: c_int = 0x0020;

static DEFAULT_CONTENT_TYPE: &CStr = c"text/html; charset=ISO-8859-1";

/// `struct evhttp`. Programs look at the first word of `connections`, which is null while there are
/// none; so it keeps its place.
#[repr(C)]
pub struct Server {
    link: TailLink<Server>,
    pub(super) sockets: UnsafeCell<TailQueue<SocketLinks>>,
    virtual_hosts: UnsafeCell<TailQueue<HostLinks>>,
    connections: UnsafeCell<ConnectionQueue>,
    pub(super) base: Cell<*mut EventBase>,
    /// The server that this one is a virtual host of.
    parent: Cell<*mut Server>,
    /// The hosts that it is for, as such.
    pattern: Cell<*mut c_char>,
    aliases: UnsafeCell<TailQueue<AliasLinks>>,
    /// How many aliases it and the servers below it have.
    named: Cell<usize>,
    paths: UnsafeCell<PathTable>,
    pub(super) fallback: Cell<Option<Handler>>,
    pub(super) bufferevent_maker: Cell<Option<BuffereventMakerFn>>,
    pub(super) bufferevent_argument: Cell<*mut c_void>,
    content_type: Cell<*mut c_char>,
    most_headers: Cell<usize>,
    most_body: Cell<u64>,
    timeout: Cell<timeval>,
    flags: Cell<c_int>,
    pub(super) methods: Cell<u16>,
    pub(super) date: DateCache,
    pub(super) spares: Spares,
    pins: Cell<u32>,
    pub(super) freed: Cell<bool>,
}

const _: () = assert!(offset_of!(Server, connections) == 48);

links! {
    /// The links of a server among the virtual hosts of another one.
    pub struct HostLinks: TailLink<Server> in link;
}

/// Another name of a server.
pub struct Alias {
    link: TailLink<Alias>,
    name: *mut c_char,
}

links! {
    /// The links of an alias among those of its server.
    pub struct AliasLinks: TailLink<Alias> in link;
}

/// Why a server did not become, or was not, a virtual host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAHost;

impl From<OutOfMemory> for NotAHost {
    fn from(_: OutOfMemory) -> NotAHost {
        NotAHost
    }
}

/// A server that is live, or pinned.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ServerPtr(NonNull<Server>);

impl Deref for ServerPtr {
    type Target = Server;
    fn deref(&self) -> &Server {
        // SAFETY: `new` promised a live server. What changes in it is in cells, and its link is
        // used through raw pointers only.
        unsafe { self.0.as_ref() }
    }
}

/// Keeps the memory of a server while functions of the program run.
pub(super) struct Pin(ServerPtr);

impl Drop for Pin {
    fn drop(&mut self) {
        let pins = self.0.pins.get() - 1;
        self.0.pins.set(pins);
        if pins == 0 && self.0.freed.get() {
            self.0.release_memory();
        }
    }
}

/// A server is being freed. When the close callback of a connection throws, the server is there
/// still with what it has left, and may be freed again.
struct Freeing(ServerPtr);

impl Freeing {
    fn finish(self) {
        std::mem::forget(self);
    }
}

impl Drop for Freeing {
    fn drop(&mut self) {
        self.0.freed.set(false);
    }
}

impl ConnectionPtr {
    /// The server that accepted the connection.
    pub fn server(self) -> Option<ServerPtr> {
        // SAFETY: a server frees its connections before it ends.
        unsafe { ServerPtr::new(self.server.get()) }
    }
}

/// The text at a pointer that may be null.
///
/// # Safety
/// `text` is null or NUL-terminated, and stays unchanged while the result is used.
unsafe fn optional_text<'a>(text: *const c_char) -> Option<&'a [u8]> {
    // SAFETY: the caller guarantees the terminator.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_bytes())
}

/// Stores another text, which belongs to the server, in place of the present one.
fn replace(place: &Cell<*mut c_char>, text: *mut c_char) {
    let old = place.replace(text);
    if !old.is_null() && old.cast_const() != DEFAULT_CONTENT_TYPE.as_ptr() {
        // SAFETY: the other texts of a server are blocks of `memory` and its own.
        unsafe { memory::free(old.cast()) };
    }
}

impl Server {
    /// The type of bodies for which the program names none.
    pub fn content_type(&self) -> Option<&[u8]> {
        // SAFETY: the server's own.
        unsafe { optional_text(self.content_type.get()) }
    }

    /// A connection of a server ends.
    ///
    /// # Safety
    /// The server is live, and the connection is one of its.
    pub(super) unsafe fn forget(server: *mut Server, connection: ConnectionPtr) {
        // SAFETY: the caller guarantees both.
        unsafe {
            let connections = (*server).connections.get();
            ConnectionQueue::remove(connections, connection.as_ptr());
            if ConnectionQueue::first(connections).is_null() {
                (*server).spares.leave(1);
            }
        }
    }
}

impl ServerPtr {
    /// `None` for null.
    ///
    /// # Safety
    /// The server is live, and stays so while the pointer, or a copy, is used.
    pub unsafe fn new(server: *mut Server) -> Option<ServerPtr> {
        NonNull::new(server).map(ServerPtr)
    }

    /// The raw pointer.
    pub fn as_ptr(self) -> *mut Server {
        self.0.as_ptr()
    }

    /// A server that listens nowhere. A null base is the current one.
    pub fn create(base: *mut EventBase) -> Result<ServerPtr, OutOfMemory> {
        let block = memory::allocate_zeroed::<Server>()?;
        // SAFETY: zero bytes are valid for all fields but the table, which is written before a
        // reference to the whole is made. The lists stay where they are.
        let server = unsafe {
            let fields = block.as_ptr();
            addr_of_mut!((*fields).paths).write(UnsafeCell::new(PathTable::empty()));
            TailQueue::initialise((*fields).sockets.get());
            TailQueue::initialise((*fields).virtual_hosts.get());
            TailQueue::initialise((*fields).connections.get());
            TailQueue::initialise((*fields).aliases.get());
            Spares::initialise(addr_of_mut!((*fields).spares));
            ServerPtr(block)
        };
        server.base.set(base);
        // It is only read, and not freed.
        let content_type = DEFAULT_CONTENT_TYPE.as_ptr();
        server.content_type.set(content_type.cast_mut());
        server.most_headers.set(usize::MAX);
        server.most_body.set(u64::MAX);
        server.methods.set(method::DEFAULT);
        Ok(server)
    }

    /// Keeps the memory while functions of the program run.
    pub(super) fn pin(self) -> Pin {
        self.pins.set(self.pins.get() + 1);
        Pin(self)
    }

    /// Frees the server with its listeners, connections and virtual hosts.
    pub fn free(self) {
        if self.freed.get() {
            return;
        }
        let pin = self.pin();
        self.freed.set(true);
        let freeing = Freeing(self);
        self.free_sockets();
        self.free_connections();
        self.free_hosts();
        // SAFETY: the paths are the server's own, and nobody has a reference to them.
        unsafe { (*self.paths.get()).clear() };
        replace(&self.pattern, ptr::null_mut());
        replace(&self.content_type, ptr::null_mut());
        self.spares.leave(0);
        freeing.finish();
        drop(pin);
    }

    fn free_sockets(self) {
        // SAFETY: what is in the list is live and the server's own.
        unsafe {
            while let Some(socket) = NonNull::new(TailQueue::first(self.sockets.get())) {
                self.remove_socket(socket.as_ptr());
            }
        }
    }

    fn free_connections(self) {
        // SAFETY: what is in the list is live and the server's own.
        unsafe {
            while let Some(connection) =
                ConnectionPtr::new(TailQueue::first(self.connections.get()))
            {
                if connection.is_freed() {
                    // Its close callback runs, and has freed the server.
                    incoming::leave_server(connection);
                } else {
                    connection.free();
                }
            }
        }
    }

    /// Frees the virtual hosts, and the other names of this one.
    fn free_hosts(self) {
        // SAFETY: what is in the lists is live and the server's own.
        unsafe {
            while let Some(host) = ServerPtr::new(TailQueue::first(self.virtual_hosts.get())) {
                TailQueue::remove(self.virtual_hosts.get(), host.as_ptr());
                host.free();
            }
            while let Some(alias) = NonNull::new(TailQueue::first(self.aliases.get())) {
                self.drop_alias(alias.as_ptr());
            }
        }
    }

    fn release_memory(self) {
        // SAFETY: nobody has a pin, and the program has given the server up.
        unsafe { memory::free(self.as_ptr().cast()) };
    }

    /// Sets the limit of the head of requests; a negative one is none.
    pub fn set_most_headers(self, size: isize) {
        self.most_headers.set(limit(size));
    }

    /// Sets the limit of the body of requests; a negative one is none.
    pub fn set_most_body(self, size: isize) {
        self.most_body.set(u64::try_from(size).unwrap_or(u64::MAX));
    }

    /// Sets the timeout of connections that are accepted from now on; zero is none.
    pub fn set_timeout(self, timeout: timeval) {
        self.timeout.set(timeout);
    }

    /// Sets the flags; whether there are only known ones.
    pub fn set_flags(self, flags: c_int) -> bool {
        let known = flags & !SERVER_LINGERING_CLOSE == 0;
        if known {
            self.flags.set(flags);
        }
        known
    }

    /// Sets the methods that are allowed.
    pub fn set_methods(self, methods: u16) {
        self.methods.set(methods);
    }

    /// Sets the type of bodies for which the program names none. Without memory it stays.
    pub fn set_content_type(self, kind: Option<&[u8]>) {
        match kind.map(memory::copy_text) {
            None => replace(&self.content_type, ptr::null_mut()),
            Some(Ok(copy)) => replace(&self.content_type, copy.as_ptr()),
            Some(Err(OutOfMemory)) => warning!("evhttp_set_default_content_type: out of memory"),
        }
    }

    /// Sets what makes the bufferevents of connections.
    pub fn set_bufferevent_maker(self, maker: Option<BuffereventMakerFn>, argument: *mut c_void) {
        self.bufferevent_maker.set(maker);
        self.bufferevent_argument.set(argument);
    }

    /// Sets what handles a path.
    pub fn add_path(self, path: &[u8], handler: Handler) -> Result<(), NotAdded> {
        // SAFETY: nobody else uses the table now.
        unsafe { (*self.paths.get()).add(path, handler) }
    }

    /// Removes what handles a path; whether there was something.
    pub fn remove_path(self, path: &[u8]) -> bool {
        // SAFETY: as above.
        unsafe { (*self.paths.get()).remove(path) }
    }

    /// What handles a path.
    pub(super) fn handler(self, path: &[u8]) -> Option<Handler> {
        // SAFETY: as above.
        unsafe { (*self.paths.get()).handler(path) }
    }

    /// Sets what handles all that has no path of its own.
    pub fn set_fallback(self, handler: Option<Handler>) {
        self.fallback.set(handler);
    }

    /// Makes another server one for the hosts of a pattern. It is freed with this one.
    pub fn add_virtual_host(self, pattern: &[u8], host: ServerPtr) -> Result<(), NotAHost> {
        // SAFETY: the list is the other server's.
        let listens = unsafe { !TailQueue::first(host.sockets.get()).is_null() };
        if listens || host == self || !host.pattern.get().is_null() {
            return Err(NotAHost);
        }
        host.pattern.set(memory::copy_text(pattern)?.as_ptr());
        host.parent.set(self.as_ptr());
        // SAFETY: the other server is in no such list.
        unsafe { TailQueue::push_back(self.virtual_hosts.get(), host.as_ptr()) };
        self.count_names(host.named.get() as isize);
        Ok(())
    }

    /// Gives a virtual host back to the program.
    pub fn remove_virtual_host(self, host: ServerPtr) -> Result<(), NotAHost> {
        if host.pattern.get().is_null() || host.parent.get() != self.as_ptr() {
            return Err(NotAHost);
        }
        // SAFETY: it is in this server's list.
        unsafe { TailQueue::remove(self.virtual_hosts.get(), host.as_ptr()) };
        replace(&host.pattern, ptr::null_mut());
        host.parent.set(ptr::null_mut());
        self.count_names(-(host.named.get() as isize));
        Ok(())
    }

    /// So many aliases more, or less, belong to this server and those above it.
    fn count_names(self, more: isize) {
        let mut server = Some(self);
        while let Some(counted) = server {
            let named = counted.named.get().saturating_add_signed(more);
            counted.named.set(named);
            // SAFETY: a server outlives those below it.
            server = unsafe { ServerPtr::new(counted.parent.get()) };
        }
    }

    /// Whether it matters which host a request is for.
    pub(super) fn has_names(self) -> bool {
        // SAFETY: both lists are the server's.
        unsafe {
            !TailQueue::first(self.virtual_hosts.get()).is_null()
                || !TailQueue::first(self.aliases.get()).is_null()
        }
    }

    /// The first virtual host whose pattern a host fits.
    pub(super) fn virtual_host(self, host: &[u8]) -> Option<ServerPtr> {
        self.hosts().find(|server| {
            // SAFETY: the server's own.
            let pattern = unsafe { optional_text(server.pattern.get()) };
            pattern.is_some_and(|pattern| matches(pattern, host))
        })
    }

    fn hosts(self) -> impl Iterator<Item = ServerPtr> {
        // SAFETY: virtual hosts are live as long as the server; none is changed meanwhile.
        unsafe {
            let first = ServerPtr::new(TailQueue::first(self.virtual_hosts.get()));
            std::iter::successors(first, |server| {
                ServerPtr::new(TailQueue::<HostLinks>::next(server.as_ptr()))
            })
        }
    }

    /// Gives the server another name.
    pub fn add_alias(self, name: &[u8]) -> Result<(), OutOfMemory> {
        let alias = memory::allocate_zeroed::<Alias>()?;
        match memory::copy_text(name) {
            // SAFETY: the block is new and in no list.
            Ok(name) => unsafe {
                (*alias.as_ptr()).name = name.as_ptr();
                TailQueue::push_back(self.aliases.get(), alias.as_ptr());
                self.count_names(1);
                Ok(())
            },
            Err(refused) => {
                // SAFETY: nobody knows the block.
                unsafe { memory::free(alias.as_ptr().cast()) };
                Err(refused)
            }
        }
    }

    /// Takes a name away; whether the server had it.
    pub fn remove_alias(self, name: &[u8]) -> bool {
        let alias = self.find_alias(name);
        if alias.is_null() {
            return false;
        }
        // SAFETY: it is one of this server's.
        unsafe { self.drop_alias(alias) };
        self.count_names(-1);
        true
    }

    fn find_alias(self, name: &[u8]) -> *mut Alias {
        // SAFETY: aliases in the list are live and have a name.
        unsafe {
            let mut alias = TailQueue::first(self.aliases.get());
            while !alias.is_null() {
                let other = CStr::from_ptr((*alias).name).to_bytes();
                if other.eq_ignore_ascii_case(name) {
                    break;
                }
                alias = TailQueue::<AliasLinks>::next(alias);
            }
            alias
        }
    }

    /// # Safety
    /// The alias is one of this server's.
    unsafe fn drop_alias(self, alias: *mut Alias) {
        // SAFETY: the caller guarantees the alias.
        unsafe {
            TailQueue::remove(self.aliases.get(), alias);
            memory::free((*alias).name.cast());
            memory::free(alias.cast());
        }
    }

    /// The server, this one or below it, that has a name.
    pub(super) fn with_alias(self, name: &[u8]) -> Option<ServerPtr> {
        if self.named.get() == 0 {
            return None;
        }
        if !self.find_alias(name).is_null() {
            return Some(self);
        }
        self.hosts().find_map(|server| server.with_alias(name))
    }

    /// A connection becomes one of the server's.
    pub(super) fn adopt(self, connection: ConnectionPtr) {
        connection.server.set(self.as_ptr());
        // SAFETY: the connection is new.
        unsafe { ConnectionQueue::push_back(self.connections.get(), connection.as_ptr()) };
        connection.most_headers.set(self.most_headers.get());
        connection.most_body.set(self.most_body.get());
        if self.flags.get() & SERVER_LINGERING_CLOSE != 0 {
            connection.flags.set(CON_LINGERING_CLOSE);
        }
        let timeout = self.timeout.get();
        if timeout.tv_sec != 0 || timeout.tv_usec != 0 {
            connection.set_timeouts(timeout, timeout);
        }
        connection.take_callbacks();
        connection.begin_message();
        connection.start_reading();
    }
}
