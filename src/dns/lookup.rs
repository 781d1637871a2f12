//! `evdns_getaddrinfo`: addresses of both families for a name, looked up at the same time.

use super::addresses::{Addresses, Found, find_in_hosts};
use super::code;
use super::global;
use super::log;
use super::request::{Receiver, RequestPtr};
use super::resolver::{BasePtr, EvdnsBase, Hold};
use super::wire::record;
use crate::base::Guard;
use crate::base::pending::Blocking;
use crate::event::{Event, EventPtr, assign, debug};
use crate::hooks::log::Severity;
use crate::hooks::memory;
use crate::list::{List, ListLink, links};
use crate::timers::time;
use crate::util::interfaces;
use crate::util::resolve::{self, Immediate};
use crate::util::resolve_async::{self, ResolveFn};
use crate::util::resolve_errors::CANCELED;
use crate::util::socket_address::SocketAddress;
use libc::addrinfo;
use std::cell::{Cell, UnsafeCell};
use std::ffi::{CStr, c_char, c_int, c_short, c_void};
use std::ops::Deref;
use std::ptr::{self, NonNull};

/// `struct evdns_getaddrinfo_request`.
pub struct EvdnsGetaddrinfoRequest {
    links: UnsafeCell<ListLink<EvdnsGetaddrinfoRequest>>,
    /// The resolver, of which this holds a reference.
    base: *mut EvdnsBase,
    /// The look-ups of IPv4 and IPv6 addresses, until they have reported their results.
    families: [Cell<Option<RequestPtr>>; 2],
    /// What they found.
    found: [Cell<*mut addrinfo>; 2],
    /// Ends the wait for the slower family.
    skew_timer: UnsafeCell<Event>,
    canonical: Cell<*mut c_char>,
    /// How the family that is known has failed.
    error: Cell<c_int>,
    hints: addrinfo,
    port: u16,
    canceled: Cell<bool>,
    /// The result was reported to the program, or never will be.
    over: Cell<bool>,
    callback: Option<ResolveFn>,
    argument: *mut c_void,
}

links! {
    /// The links of a resolver's list of these.
    pub struct LookupLinks: ListLink<EvdnsGetaddrinfoRequest> in cell links;
}

/// A look-up that lives. Its fields are used with the resolver's lock held.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct LookupPtr(NonNull<EvdnsGetaddrinfoRequest>);

impl Deref for LookupPtr {
    type Target = EvdnsGetaddrinfoRequest;
    fn deref(&self) -> &EvdnsGetaddrinfoRequest {
        // SAFETY: whoever has the pointer knows that it lives; its fields are cells.
        unsafe { self.0.as_ref() }
    }
}

/// Types of the records of the families.
const KINDS: [u16; 2] = [record::A, record::AAAA];
const FAMILIES: [c_int; 2] = [libc::AF_INET, libc::AF_INET6];

/// Registers this layer's functions with the layer below.
pub fn register() {
    resolve_async::register_start(Some(start_untyped));
    resolve_async::register_cancel(Some(cancel_untyped));
}

unsafe extern "C-unwind" fn start_untyped(
    base: *mut c_void,
    node: *const c_char,
    service: *const c_char,
    hints: *const addrinfo,
    callback: Option<ResolveFn>,
    argument: *mut c_void,
) -> *mut c_void {
    // SAFETY: as the caller guarantees.
    let request = unsafe { start(base.cast(), node, service, hints, callback, argument) };
    request.map_or(ptr::null_mut(), |request| request.as_ptr().cast())
}

unsafe extern "C-unwind" fn cancel_untyped(request: *mut c_void) {
    // SAFETY: as the caller guarantees.
    unsafe { cancel(request.cast()) };
}

/// What is to be looked up, or the answer if it is known already.
enum Start {
    Lookup(LookupPtr),
    Now(c_int, *mut addrinfo),
}

/// Looks a name up. Nothing when the callback has been called already.
///
/// # Safety
/// The resolver lives or is null (the global one), the strings and the hints are null or valid, and
/// the callback may be called with the argument.
pub unsafe fn start(
    base: *mut EvdnsBase,
    node: *const c_char,
    service: *const c_char,
    hints: *const addrinfo,
    callback: Option<ResolveFn>,
    argument: *mut c_void,
) -> Option<NonNull<EvdnsGetaddrinfoRequest>> {
    // SAFETY: the caller guarantees all of it.
    let start = unsafe {
        let base = if base.is_null() { global::get() } else { base };
        begin(base, node, service, hints, callback, argument)
    };
    match (start, callback) {
        (Start::Lookup(lookup), _) => Some(lookup.0),
        (Start::Now(code, list), Some(callback)) => {
            // SAFETY: the callback is the program's, and takes the list over.
            unsafe { callback(code, list, argument) };
            None
        }
        (Start::Now(_, list), None) => {
            // SAFETY: only this function has the list.
            unsafe { resolve::free_list(list) };
            None
        }
    }
}

/// # Safety
/// As for [`start`]; the resolver is null when there is none.
unsafe fn begin(
    base: *mut EvdnsBase,
    node: *const c_char,
    service: *const c_char,
    hints: *const addrinfo,
    callback: Option<ResolveFn>,
    argument: *mut c_void,
) -> Start {
    if base.is_null() {
        log_missing_base();
        return Start::Now(libc::EAI_FAIL, ptr::null_mut());
    }
    // SAFETY: the caller guarantees strings and hints; zero bytes are hints that want nothing.
    unsafe {
        let mut wanted = hints.as_ref().copied().unwrap_or(std::mem::zeroed());
        if wanted.ai_flags & libc::AI_NUMERICHOST != 0 {
            let mut list = ptr::null_mut();
            let code = resolve::resolve(node, service, hints, &mut list);
            return Start::Now(code, list);
        }
        interfaces::adjust_hints(&mut wanted);
        let text = |text: *const c_char| (!text.is_null()).then(|| CStr::from_ptr(text));
        let port = match resolve::resolve_immediately(text(node), text(service), &mut wanted) {
            Ok(Immediate::NeedsLookup(port)) => port,
            Ok(Immediate::Addresses(list)) => return Start::Now(0, list),
            Err(code) => return Start::Now(code, ptr::null_mut()),
        };
        let name = text(node).map_or(&b""[..], CStr::to_bytes);
        let hold = Hold::new(base);
        if let Some(Found { code, list }) = find_in_hosts(*hold, name, &wanted, port) {
            return Start::Now(code, list);
        }
        match create(*hold, &wanted, port, callback, argument) {
            Some(lookup) => ask(*hold, lookup, name),
            None => Start::Now(libc::EAI_MEMORY, ptr::null_mut()),
        }
    }
}

fn log_missing_base() {
    log::message(
        Severity::Warning,
        format_args!("Call to getaddrinfo_async with no evdns_base configured."),
    );
}

fn create(
    base: BasePtr,
    hints: &addrinfo,
    port: u16,
    callback: Option<ResolveFn>,
    argument: *mut c_void,
) -> Option<LookupPtr> {
    let block = memory::malloc(size_of::<EvdnsGetaddrinfoRequest>());
    let lookup = LookupPtr(NonNull::new(block.cast())?);
    // SAFETY: the block is new and large enough; zero bytes are valid links and a valid event. The
    // loop's base outlives the resolver.
    unsafe {
        lookup.0.write(EvdnsGetaddrinfoRequest {
            links: UnsafeCell::new(std::mem::zeroed()),
            base: base.as_ptr(),
            families: [Cell::new(None), Cell::new(None)],
            found: [Cell::new(ptr::null_mut()), Cell::new(ptr::null_mut())],
            skew_timer: UnsafeCell::new(std::mem::zeroed()),
            canonical: Cell::new(ptr::null_mut()),
            error: Cell::new(0),
            hints: *hints,
            port,
            canceled: Cell::new(false),
            over: Cell::new(false),
            callback,
            argument,
        });
        let argument = block.cast();
        let event = lookup.skew_timer.get();
        assign::private(event, base.event_base, -1, 0, skew_is_over, argument);
        List::push_front(base.lookups.get(), lookup.as_ptr());
    }
    base.hold_reference();
    Some(lookup)
}

/// Asks for the wanted families.
fn ask(base: BasePtr, lookup: LookupPtr, name: &[u8]) -> Start {
    for (i, kind) in KINDS.into_iter().enumerate() {
        if [libc::AF_UNSPEC, FAMILIES[i]].contains(&lookup.hints.ai_family) {
            let request = base.resolve(name, kind, true, Receiver::Lookup(lookup));
            lookup.families[i].set(request);
        }
    }
    if lookup.is_waiting() {
        return Start::Lookup(lookup);
    }
    // The lock is held by the caller to the end, so the resolver outlives this reference.
    lookup.unlink(base);
    lookup.free();
    Start::Now(libc::EAI_FAIL, ptr::null_mut())
}

impl LookupPtr {
    fn as_ptr(self) -> *mut EvdnsGetaddrinfoRequest {
        self.0.as_ptr()
    }

    /// Whether a family is not known yet.
    fn is_waiting(self) -> bool {
        self.families.iter().any(|family| family.get().is_some())
    }

    fn skew_timer(self) -> EventPtr {
        // SAFETY: part of a live object; the address of a field is not null.
        unsafe { EventPtr::new(self.skew_timer.get()).unwrap_unchecked() }
    }

    /// Lets the slower family some time more. Without memory for the timer it has all that it
    /// needs.
    fn start_skew_timer(self, base: BasePtr) {
        let skew = time::to_timeval(base.options.skew.get());
        // SAFETY: the loop's base outlives the resolver.
        let _ = unsafe { Guard::lock(base.event_base) }.add(self.skew_timer(), Some(&skew));
    }

    fn unlink(self, base: BasePtr) {
        self.over.set(true);
        // SAFETY: it is in the list of its resolver.
        unsafe { List::remove(base.lookups.get(), self.as_ptr()) };
    }

    /// Takes over what a family has found.
    fn take(self, family: usize, request: RequestPtr) {
        let code = match request.result() {
            code::NONE => self.copy_addresses(family, request),
            code::NOT_EXIST => libc::EAI_NONAME,
            _ => libc::EAI_FAIL,
        };
        self.error.set(code);
        let wants_name = self.hints.ai_flags & libc::AI_CANONNAME != 0;
        if code == 0 && wants_name && self.canonical.get().is_null() {
            if let Some(name) = request.canonical_name() {
                // SAFETY: the name is terminated. Without memory there is none.
                self.canonical.set(unsafe { memory::strdup(name) });
            }
        }
    }

    /// Makes a list of the addresses that were found; a resolver's code.
    fn copy_addresses(self, family: usize, request: RequestPtr) -> c_int {
        let mut list = Addresses::new();
        let width = if family == 0 { 4 } else { 16 };
        for bytes in request.addresses().chunks_exact(width) {
            let address = match (<[u8; 4]>::try_from(bytes), <[u8; 16]>::try_from(bytes)) {
                (Ok(v4), _) => SocketAddress::v4(v4.into(), self.port),
                (_, Ok(v6)) => SocketAddress::v6(v6.into(), self.port, 0),
                _ => continue,
            };
            if !list.push(&address, &self.hints) {
                list.free();
                return libc::EAI_MEMORY;
            }
        }
        self.found[family].set(list.first);
        if list.first.is_null() {
            libc::EAI_NODATA
        } else {
            0
        }
    }

    /// What is reported to the program: everything that was found, IPv4 first.
    fn result(self) -> (c_int, *mut addrinfo) {
        let [v4, v6] = [0, 1].map(|family| self.found[family].replace(ptr::null_mut()));
        // SAFETY: both lists are this look-up's own.
        let list = unsafe { resolve::append(v4, v6) };
        if list.is_null() {
            return (self.error.get(), list);
        }
        // SAFETY: as above; the name comes from the same memory.
        unsafe { (*list).ai_canonname = self.canonical.replace(ptr::null_mut()) };
        (0, list)
    }

    /// Frees a look-up that is in no list. The lock may be held once more only by the caller's own
    /// guard.
    fn free(self) {
        // SAFETY: the loop's base outlives the resolver. A refusal was logged; the event is out.
        // Nobody uses the look-up any more.
        unsafe {
            let skew_timer = self.skew_timer();
            let _ = Guard::lock(skew_timer.base()).delete(skew_timer, Blocking::Yes);
            debug::note_teardown(skew_timer);
            for found in &self.found {
                resolve::free_list(found.get());
            }
            if !self.canonical.get().is_null() {
                memory::free(self.canonical.get().cast());
            }
            let base = BasePtr::of(self.base);
            memory::free(self.as_ptr().cast());
            base.release();
        }
    }

    /// Cancels the families that have no result yet; whether none is being reported at this moment.
    fn forget_families(self, base: BasePtr) -> bool {
        let mut all = true;
        for family in &self.families {
            let Some(request) = family.get() else {
                continue;
            };
            if request.is_done() {
                all &= request.discard_result();
            } else {
                request.withdraw(base);
                request.free();
            }
            family.set(None);
        }
        all
    }

    /// Reports to the program, without the lock, and frees the look-up.
    fn deliver(self, hold: Hold, code: c_int, list: *mut addrinfo) {
        struct Free(LookupPtr);
        impl Drop for Free {
            fn drop(&mut self) {
                self.0.free();
            }
        }
        self.unlink(*hold);
        drop(hold);
        // Also when the callback unwinds.
        let free = Free(self);
        match self.callback {
            // SAFETY: the callback is the program's, and takes the list over.
            Some(callback) => unsafe { callback(code, list, self.argument) },
            // SAFETY: only this function has the list.
            None => unsafe { resolve::free_list(list) },
        }
        drop(free);
    }
}

/// One family is known. Runs from the loop; the look-up of that family is freed afterwards.
pub fn family_done(lookup: LookupPtr, request: RequestPtr) {
    // SAFETY: the look-up has a reference on its resolver.
    let hold = unsafe { Hold::new(lookup.base) };
    let is_this = |family: &usize| lookup.families[*family].get() == Some(request);
    if lookup.over.get() {
        // Nobody wants to know, and nobody else can free it.
        drop(hold);
        lookup.free();
        return;
    }
    let Some(family) = (0..KINDS.len()).find(is_this) else {
        return;
    };
    lookup.families[family].set(None);
    if !lookup.canceled.get() {
        lookup.take(family, request);
    }
    if lookup.is_waiting() {
        if !lookup.canceled.get() {
            lookup.start_skew_timer(*hold);
        }
        return;
    }
    if lookup.canceled.get() {
        lookup.deliver(hold, CANCELED, ptr::null_mut());
    } else {
        let (code, list) = lookup.result();
        lookup.deliver(hold, code, list);
    }
}

/// Runs when one family has waited long enough for the other.
unsafe extern "C-unwind" fn skew_is_over(_: c_int, _: c_short, lookup: *mut c_void) {
    // SAFETY: the memory stays until this function has returned, and the reference on the resolver
    // with it.
    let (lookup, hold) = unsafe {
        let Some(lookup) = NonNull::new(lookup.cast()).map(LookupPtr) else {
            return;
        };
        (lookup, Hold::new(lookup.base))
    };
    if lookup.over.get() || lookup.canceled.get() {
        return;
    }
    // This is the loop's thread, which reports nothing else in the meantime.
    lookup.forget_families(*hold);
    super::flight::promote(*hold);
    let (code, list) = lookup.result();
    lookup.deliver(hold, code, list);
}

/// Cancels a look-up, which is reported to the program from the loop. Null is ignored.
///
/// # Safety
/// The result was not reported to the program yet.
pub unsafe fn cancel(lookup: *mut EvdnsGetaddrinfoRequest) {
    let Some(lookup) = NonNull::new(lookup).map(LookupPtr) else {
        return;
    };
    // SAFETY: the caller guarantees the look-up, which has a reference on its resolver.
    let hold = unsafe { Hold::new(lookup.base) };
    if lookup.over.get() || lookup.canceled.replace(true) {
        return;
    }
    for family in &lookup.families {
        if let Some(request) = family.get() {
            hold.cancel(request);
        }
    }
}

/// The resolver is being freed without reporting: moves the look-ups that are not about to be
/// reported anyway to another list.
///
/// # Safety
/// The other list stays where it is until it is empty.
pub unsafe fn abandon_all(base: BasePtr, abandoned: *mut List<LookupLinks>) {
    // SAFETY: the lock is held; look-ups in the list are live.
    unsafe {
        let mut next = NonNull::new((*base.lookups.get()).first()).map(LookupPtr);
        while let Some(lookup) = next {
            next = NonNull::new(List::<LookupLinks>::next(lookup.as_ptr())).map(LookupPtr);
            let open = |family: &Cell<Option<RequestPtr>>| {
                family.get().is_some_and(|request| !request.is_done())
            };
            if lookup.canceled.get() || !lookup.families.iter().any(open) {
                continue;
            }
            lookup.unlink(base);
            if lookup.forget_families(base) {
                List::push_front(abandoned, lookup.as_ptr());
            }
        }
    }
}

/// Frees what [`abandon_all`] has moved. The lock is not held.
///
/// # Safety
/// As for [`abandon_all`].
pub unsafe fn free_all(abandoned: *mut List<LookupLinks>) {
    // SAFETY: look-ups in the list are live, and nobody else has them.
    unsafe {
        while let Some(lookup) = NonNull::new((*abandoned).first()).map(LookupPtr) {
            List::remove(abandoned, lookup.as_ptr());
            lookup.free();
        }
    }
}
