//! event2/dns.h: the resolver and the DNS server.

use super::{EvutilSocket, optional_string, status};
use crate::base::EventBase;
use crate::dns::log::DnsLogFn;
use crate::dns::lookup::{self, EvdnsGetaddrinfoRequest};
use crate::dns::name_server::{self, NotAdded, PORT};
use crate::dns::options::part;
use crate::dns::port::{self, Answered, DnsRequestFn, EvdnsServerPort};
use crate::dns::question::{self, EvdnsServerRequest};
use crate::dns::request::{DnsResultFn, EvdnsRequest, Receiver, RequestPtr};
use crate::dns::resolver::{self, EvdnsBase, Hold, start};
use crate::dns::response::{Added, Data};
use crate::dns::wire::record;
use crate::dns::{flight, global, log, reverse};
use crate::util::resolve_async::ResolveFn;
use crate::util::socket_address::SocketAddress;
use libc::{addrinfo, in_addr, in6_addr, sockaddr, socklen_t};
use std::ffi::{CStr, c_char, c_int, c_uint, c_ulong, c_void};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ptr::{self, NonNull};

/// Success.
pub const DNS_ERR_NONE: c_int = 0;
/// The server could not parse the query.
pub const DNS_ERR_FORMAT: c_int = 1;
/// The server failed.
pub const DNS_ERR_SERVERFAILED: c_int = 2;
/// The name does not exist.
pub const DNS_ERR_NOTEXIST: c_int = 3;
/// The server does not support this kind of query.
pub const DNS_ERR_NOTIMPL: c_int = 4;
/// The server refused to answer.
pub const DNS_ERR_REFUSED: c_int = 5;
/// The answer does not fit into a datagram and could not be fetched over TCP.
pub const DNS_ERR_TRUNCATED: c_int = 65;
/// The answer is malformed.
pub const DNS_ERR_UNKNOWN: c_int = 66;
/// No server answered in time.
pub const DNS_ERR_TIMEOUT: c_int = 67;
/// The resolver was freed.
pub const DNS_ERR_SHUTDOWN: c_int = 68;
/// The look-up was cancelled.
pub const DNS_ERR_CANCEL: c_int = 69;
/// The name exists, but has no such records.
pub const DNS_ERR_NODATA: c_int = 70;

/// Result type: IPv4 addresses.
#[allow(non_upper_case_globals)]
pub const DNS_IPv4_A: c_int = 1;
/// Result type: a name.
pub const DNS_PTR: c_int = 2;
/// Result type: IPv6 addresses.
#[allow(non_upper_case_globals)]
pub const DNS_IPv6_AAAA: c_int = 3;

/// Flag for a look-up: do not try the domains of the search list.
pub const DNS_QUERY_NO_SEARCH: c_int = 1;

/// Read the search list and the option `ndots`.
pub const DNS_OPTION_SEARCH: c_int = 1;
/// Read the name servers and the option `bind-to`. If there is no server, use the one on this
/// machine.
pub const DNS_OPTION_NAMESERVERS: c_int = 2;
/// Read all other options.
pub const DNS_OPTION_MISC: c_int = 4;
/// Read the names in `/etc/hosts`.
pub const DNS_OPTION_HOSTSFILE: c_int = 8;
/// Do not use the server on this machine if there is no other.
pub const DNS_OPTION_NAMESERVERS_NO_DEFAULT: c_int = 16;

/// Flag for evdns_base_new(): use the system's configuration.
pub const EVDNS_BASE_INITIALIZE_NAMESERVERS: c_int = 1;
/// Flag for evdns_base_new(): while no look-up is under way, the resolver does not keep the loop
/// running.
pub const EVDNS_BASE_DISABLE_WHEN_INACTIVE: c_int = 0x8000;
/// Flag for evdns_base_new(): add no server if the system configures none.
pub const EVDNS_BASE_NAMESERVERS_NO_DEFAULT: c_int = 0x10000;

/// Section for the records that answer the question.
pub const EVDNS_ANSWER_SECTION: c_int = 0;
/// Section for records about the zone.
pub const EVDNS_AUTHORITY_SECTION: c_int = 1;
/// Section for any other records.
pub const EVDNS_ADDITIONAL_SECTION: c_int = 2;

/// Record type: an IPv4 address.
pub const EVDNS_TYPE_A: c_int = 1;
/// Record type: a name server of the zone.
pub const EVDNS_TYPE_NS: c_int = 2;
/// Record type: the name that this name is an alias for.
pub const EVDNS_TYPE_CNAME: c_int = 5;
/// Record type: the start of a zone.
pub const EVDNS_TYPE_SOA: c_int = 6;
/// Record type: the name that an address points to.
pub const EVDNS_TYPE_PTR: c_int = 12;
/// Record type: where mail is delivered.
pub const EVDNS_TYPE_MX: c_int = 15;
/// Record type: text.
pub const EVDNS_TYPE_TXT: c_int = 16;
/// Record type: an IPv6 address.
pub const EVDNS_TYPE_AAAA: c_int = 28;
/// Question type: a whole zone.
pub const EVDNS_QTYPE_AXFR: c_int = 252;
/// Question type: all records.
pub const EVDNS_QTYPE_ALL: c_int = 255;
/// The Internet class.
pub const EVDNS_CLASS_INET: c_int = 1;

/// Flag of an answer: the server is authoritative for the zone.
pub const EVDNS_FLAGS_AA: c_int = 0x400;
/// Flag of an answer: the server offers recursion. In the message this is the bit "recursion
/// available".
pub const EVDNS_FLAGS_RD: c_int = 0x080;

const _: () = {
    assert!(DNS_OPTION_SEARCH == part::SEARCH);
    assert!(DNS_OPTION_NAMESERVERS == part::NAME_SERVERS);
    assert!(DNS_OPTION_MISC == part::MISCELLANEOUS);
    assert!(DNS_OPTION_HOSTSFILE == part::HOSTS_FILE);
    assert!(DNS_OPTION_NAMESERVERS_NO_DEFAULT == part::NO_DEFAULT_SERVER);
    assert!(EVDNS_BASE_INITIALIZE_NAMESERVERS == start::INITIALIZE_NAME_SERVERS);
    assert!(EVDNS_BASE_DISABLE_WHEN_INACTIVE == start::DISABLE_WHEN_INACTIVE);
    assert!(EVDNS_BASE_NAMESERVERS_NO_DEFAULT == start::NO_DEFAULT_SERVER);
};

/// The C form of whether a server was added.
fn added(result: Result<(), NotAdded>) -> c_int {
    result.map_or_else(|error| error as c_int, |()| 0)
}

fn or_null<T>(pointer: Option<NonNull<T>>) -> *mut T {
    pointer.map_or(ptr::null_mut(), NonNull::as_ptr)
}

/// Makes a resolver on the loop of `event_base`; NULL means the base of event_init().
///
/// `flags` are `EVDNS_BASE_*` bits; 0 makes a resolver without servers. If there are unknown bits
/// among them, `EVDNS_BASE_INITIALIZE_NAMESERVERS` is implied, as older interfaces took any
/// non-zero number to mean that.
///
/// The base must outlive the resolver. Returns NULL if memory is short or `/etc/resolv.conf` cannot
/// be read. If that file names no server, the one on this machine is used. The caller frees the
/// resolver with evdns_base_free().
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_base_new(
    event_base: *mut EventBase,
    flags: c_int,
) -> *mut EvdnsBase {
    // SAFETY: the caller guarantees the base.
    or_null(unsafe { resolver::create(event_base, flags) })
}

/// Frees a resolver; NULL is ignored.
///
/// With `fail_requests`, look-ups that have no result yet get `DNS_ERR_SHUTDOWN`, from the loop;
/// without it their callbacks are never called, and their requests must not be used any more.
/// Look-ups that already have a result get it in either case.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_base_free(base: *mut EvdnsBase, fail_requests: c_int) {
    if !base.is_null() {
        // SAFETY: the caller hands the resolver over.
        unsafe { resolver::free(base, fail_requests != 0) };
    }
}

/// Forgets all names that were read from hosts files.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_base_clear_host_addresses(base: *mut EvdnsBase) {
    // SAFETY: the caller guarantees the resolver.
    unsafe { Hold::new(base) }.clear_hosts();
}

/// The English text for a `DNS_ERR_*` code: a constant.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_err_to_string(err: c_int) -> *const c_char {
    crate::dns::error_text(err).as_ptr()
}

/// Adds the server at an IPv4 address, given in network byte order, with port 53.
///
/// Returns 0 on success, -1 if memory is short, 1 if no socket could be made, 2 if the socket
/// cannot be used or bound, or 3 if the resolver already has this server.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_base_nameserver_add(
    base: *mut EvdnsBase,
    address: c_ulong,
) -> c_int {
    let address = Ipv4Addr::from((address as u32).to_ne_bytes());
    // SAFETY: the caller guarantees the resolver.
    added(unsafe { Hold::new(base) }.add_server(SocketAddress::v4(address, PORT)))
}

/// The number of servers that a resolver has, whether they answer or not.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_base_count_nameservers(base: *mut EvdnsBase) -> c_int {
    // SAFETY: the caller guarantees the resolver.
    unsafe { Hold::new(base) }.server_count() as c_int
}

/// Forgets all servers. Look-ups under way, and new ones, wait until a server is added and
/// evdns_base_resume() is called. Returns 0.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_base_clear_nameservers_and_suspend(
    base: *mut EvdnsBase,
) -> c_int {
    // SAFETY: the caller guarantees the resolver.
    unsafe { name_server::clear_and_suspend(base) };
    0
}

/// Sends the queries that are waiting, as far as `max-inflight` allows. Returns 0.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_base_resume(base: *mut EvdnsBase) -> c_int {
    // SAFETY: the caller guarantees the resolver.
    flight::promote(*unsafe { Hold::new(base) });
    0
}

/// Adds the server at an address given as text: `1.2.3.4`, `1.2.3.4:53`, `::1`, `[::1]` or
/// `[::1]:53`; IPv6 addresses may end with `%interface`. The default port is 53.
///
/// Returns what evdns_base_nameserver_add() returns, or 4 if the text is not an address.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_base_nameserver_ip_add(
    base: *mut EvdnsBase,
    ip_as_string: *const c_char,
) -> c_int {
    // SAFETY: the caller guarantees resolver and text.
    unsafe {
        let text = optional_string(ip_as_string).map_or(&b""[..], CStr::to_bytes);
        added(Hold::new(base).add_server_text(text))
    }
}

/// Adds the server at a socket address of `len` bytes, which includes the port. `flags` must be 0.
///
/// Returns what evdns_base_nameserver_add() returns.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_base_nameserver_sockaddr_add(
    base: *mut EvdnsBase,
    sa: *const sockaddr,
    len: socklen_t,
    flags: c_uint,
) -> c_int {
    let _ = flags;
    // SAFETY: the caller guarantees resolver and address.
    added(unsafe { Hold::new(base).add_server_sockaddr(sa, len) })
}

/// # Safety
/// The resolver lives, and the name is a string.
unsafe fn resolve(
    base: *mut EvdnsBase,
    name: &[u8],
    kind: u16,
    searches: bool,
    callback: Option<DnsResultFn>,
    argument: *mut c_void,
) -> *mut EvdnsRequest {
    let receiver = Receiver::Program(callback, argument);
    // SAFETY: the caller guarantees the resolver.
    let request = unsafe { Hold::new(base) }.resolve(name, kind, searches, receiver);
    request.map_or(ptr::null_mut(), RequestPtr::as_ptr)
}

/// Looks up the IPv4 addresses of a name.
///
/// `flags` is 0 or `DNS_QUERY_NO_SEARCH`. `callback` is called from the loop, never before this
/// returns in the loop's thread.
///
/// Returns a request that can be passed to evdns_cancel_request() until `callback` has returned.
/// Returns NULL, and never calls `callback`, if the name is not valid or memory is short.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_base_resolve_ipv4(
    base: *mut EvdnsBase,
    name: *const c_char,
    flags: c_int,
    callback: Option<DnsResultFn>,
    ptr: *mut c_void,
) -> *mut EvdnsRequest {
    let searches = flags & DNS_QUERY_NO_SEARCH == 0;
    // SAFETY: the caller guarantees resolver and name.
    unsafe {
        let name = CStr::from_ptr(name).to_bytes();
        resolve(base, name, record::A, searches, callback, ptr)
    }
}

/// Looks up the IPv6 addresses of a name; otherwise like evdns_base_resolve_ipv4().
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_base_resolve_ipv6(
    base: *mut EvdnsBase,
    name: *const c_char,
    flags: c_int,
    callback: Option<DnsResultFn>,
    ptr: *mut c_void,
) -> *mut EvdnsRequest {
    let searches = flags & DNS_QUERY_NO_SEARCH == 0;
    // SAFETY: the caller guarantees resolver and name.
    unsafe {
        let name = CStr::from_ptr(name).to_bytes();
        resolve(base, name, record::AAAA, searches, callback, ptr)
    }
}

/// Looks up the name of an IPv4 address. `flags` is ignored; otherwise like
/// evdns_base_resolve_ipv4().
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_base_resolve_reverse(
    base: *mut EvdnsBase,
    r#in: *const in_addr,
    flags: c_int,
    callback: Option<DnsResultFn>,
    ptr: *mut c_void,
) -> *mut EvdnsRequest {
    let _ = flags;
    // SAFETY: the caller guarantees resolver and address.
    unsafe {
        let address = Ipv4Addr::from((*r#in).s_addr.to_ne_bytes());
        let name = reverse::name_of_v4(address);
        resolve(base, name.as_bytes(), record::PTR, false, callback, ptr)
    }
}

/// Looks up the name of an IPv6 address. `flags` is ignored; otherwise like
/// evdns_base_resolve_ipv4().
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_base_resolve_reverse_ipv6(
    base: *mut EvdnsBase,
    r#in: *const in6_addr,
    flags: c_int,
    callback: Option<DnsResultFn>,
    ptr: *mut c_void,
) -> *mut EvdnsRequest {
    let _ = flags;
    // SAFETY: the caller guarantees resolver and address.
    unsafe {
        let name = reverse::name_of_v6(Ipv6Addr::from((*r#in).s6_addr));
        resolve(base, name.as_bytes(), record::PTR, false, callback, ptr)
    }
}

/// Cancels a look-up: its callback gets `DNS_ERR_CANCEL`, from the loop.
///
/// A look-up that already has a result still gets it, and nothing happens if its callback is
/// running. `base` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_cancel_request(base: *mut EvdnsBase, req: *mut EvdnsRequest) {
    // SAFETY: the caller guarantees both.
    unsafe { resolver::cancel(base, req) };
}

/// Sets an option by name, with or without a colon at the end of the name. Defaults are in
/// parentheses.
///
/// - `ndots` (1): names with at least this many dots are first tried as they are, without the search list.
/// - `timeout` (5): seconds, possibly with a fraction, until a query is sent again.
/// - `attempts` (3): how often a query is sent.
/// - `max-timeouts` (3): a server that times out more often than this in a row counts as down.
/// - `max-inflight` (64): how many queries may be under way at a time.
/// - `randomize-case` (1): whether the letters of queries get random case.
/// - `initial-probe-timeout` (10): seconds until a server that is down is first probed.
/// - `getaddrinfo-allow-skew` (3): seconds that evdns_getaddrinfo() waits for the second address family.
/// - `bind-to`: the address that new sockets are bound to.
/// - `so-rcvbuf`, `so-sndbuf`: the sizes of the buffers of new sockets.
///
/// Returns 0, or -1 if the value is not valid. Unknown options are ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_base_set_option(
    base: *mut EvdnsBase,
    option: *const c_char,
    val: *const c_char,
) -> c_int {
    // SAFETY: the caller guarantees resolver and strings.
    unsafe {
        let (Some(option), Some(value)) = (optional_string(option), optional_string(val)) else {
            return -1;
        };
        status(Hold::new(base).set_option(option.to_bytes(), value.to_bytes(), part::ALL))
    }
}

/// Reads a resolv.conf file. `flags` are `DNS_OPTION_*` bits that say which parts of it to use.
/// Servers and names are added to the existing ones; a `search` or `domain` line replaces the
/// search list.
///
/// Returns 0 on success, 1 if the file cannot be opened (the defaults are then used), 2 if it
/// cannot be read or memory is short, or 6 if it names no server and the one on this machine was
/// added.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_base_resolv_conf_parse(
    base: *mut EvdnsBase,
    flags: c_int,
    filename: *const c_char,
) -> c_int {
    // SAFETY: the caller guarantees resolver and name.
    let result = unsafe { Hold::new(base).parse_resolv_conf(flags, optional_string(filename)) };
    result.map_or_else(|failure| failure as c_int, |()| 0)
}

/// Adds the names in a hosts file to those that evdns_getaddrinfo() knows. If `hosts_fname` is
/// NULL, or the file cannot be read, only `localhost` is added.
///
/// `base` may be NULL for the resolver of evdns_init(). Returns 0, or -1 if the file cannot be read
/// or memory is short.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_base_load_hosts(
    base: *mut EvdnsBase,
    hosts_fname: *const c_char,
) -> c_int {
    let base = if base.is_null() { global::get() } else { base };
    if base.is_null() {
        return -1;
    }
    // SAFETY: the caller guarantees resolver and name.
    status(unsafe { Hold::new(base).load_hosts(optional_string(hosts_fname)) })
}

/// Empties the search list and sets `ndots` to 1.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_base_search_clear(base: *mut EvdnsBase) {
    // SAFETY: the caller guarantees the resolver.
    let hold = unsafe { Hold::new(base) };
    hold.clear_search_domains();
    hold.set_ndots(1);
}

/// Adds a domain at the front of the search list.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_base_search_add(base: *mut EvdnsBase, domain: *const c_char) {
    // SAFETY: the caller guarantees resolver and domain.
    unsafe {
        // Without memory the list stays as it is.
        let _ = Hold::new(base).add_search_domain(CStr::from_ptr(domain).to_bytes());
    }
}

/// Sets how many dots a name must have to be tried as it is before the search list.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_base_search_ndots_set(base: *mut EvdnsBase, ndots: c_int) {
    // SAFETY: the caller guarantees the resolver.
    unsafe { Hold::new(base) }.set_ndots(ndots);
}

/// Sets the function that gets all messages of resolvers and DNS servers, including debug messages;
/// NULL restores the general log. It must not use a resolver.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_set_log_fn(callback: Option<DnsLogFn>) {
    log::set_callback(callback);
}

/// Has no effect: random numbers come from the system.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_set_transaction_id_fn(
    function: Option<unsafe extern "C-unwind" fn() -> u16>,
) {
    let _ = function;
}

/// Has no effect: random numbers come from the system.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_set_random_bytes_fn(
    function: Option<unsafe extern "C-unwind" fn(*mut c_char, usize)>,
) {
    let _ = function;
}

/// Makes a DNS server on a bound datagram socket, in the loop of `base`.
///
/// The server takes the socket over. `flags` must be 0. `callback` gets every message that has
/// questions, and `user_data`.
///
/// Returns the server, to be closed with evdns_close_server_port(), or NULL on failure; the socket
/// then remains the caller's.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_add_server_port_with_base(
    base: *mut EventBase,
    socket: EvutilSocket,
    flags: c_int,
    callback: Option<DnsRequestFn>,
    user_data: *mut c_void,
) -> *mut EvdnsServerPort {
    if flags != 0 {
        return ptr::null_mut();
    }
    // SAFETY: the caller guarantees the base.
    or_null(unsafe { port::create(base, socket, callback, user_data) })
}

/// Closes a server: it reads no more questions. Requests that are not answered yet may still be
/// answered; the socket is closed with the last of them.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_close_server_port(port: *mut EvdnsServerPort) {
    // SAFETY: the caller hands the port over.
    unsafe { port::close(port) };
}

/// Sets the flags of an answer, `EVDNS_FLAGS_AA` and `EVDNS_FLAGS_RD`, replacing those set before.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_server_request_set_flags(
    req: *mut EvdnsServerRequest,
    flags: c_int,
) {
    // SAFETY: the caller guarantees the request.
    if let Some(request) = unsafe { question::RequestPtr::new(req) } {
        let _port = request.hold_port();
        request.set_flags(flags);
    }
}

/// # Safety
/// The request is the program's.
unsafe fn add(req: *mut EvdnsServerRequest, added: &Added<'_>) -> c_int {
    // SAFETY: the caller guarantees the request.
    let Some(request) = (unsafe { question::RequestPtr::new(req) }) else {
        return -1;
    };
    let _port = request.hold_port();
    status(request.add_record(added))
}

/// Adds a record to an answer; everything is copied.
///
/// `section` is one of the `EVDNS_*_SECTION` constants. With `is_name`, `data` is a name as text;
/// otherwise it is `datalen` bytes, or NULL for no data.
///
/// Returns 0, or -1 if the section does not exist, a name is missing or memory is short.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_server_request_add_reply(
    req: *mut EvdnsServerRequest,
    section: c_int,
    name: *const c_char,
    r#type: c_int,
    dns_class: c_int,
    ttl: c_int,
    datalen: c_int,
    is_name: c_int,
    data: *const c_char,
) -> c_int {
    // SAFETY: the caller guarantees request, names and data.
    unsafe {
        let data = match (is_name != 0, data.is_null()) {
            (true, true) => return -1,
            (true, false) => Data::Name(CStr::from_ptr(data).to_bytes()),
            (false, true) => Data::Bytes(&[]),
            (false, false) => {
                let length = usize::from(datalen as u16);
                Data::Bytes(std::slice::from_raw_parts(data.cast(), length))
            }
        };
        let Some(name) = optional_string(name) else {
            return -1;
        };
        let added = Added {
            section,
            name: name.to_bytes(),
            kind: r#type as u16,
            class: dns_class as u16,
            ttl: ttl as u32,
            data,
        };
        add(req, &added)
    }
}

/// # Safety
/// The request is the program's; the name is a string, and there are `count` addresses of `width`
/// bytes.
unsafe fn add_addresses(
    req: *mut EvdnsServerRequest,
    name: *const c_char,
    kind: u16,
    count: c_int,
    addresses: *const c_void,
    width: usize,
    ttl: c_int,
) -> c_int {
    // SAFETY: the caller guarantees all of it.
    unsafe {
        let (Some(request), Some(name), Ok(count)) = (
            question::RequestPtr::new(req),
            optional_string(name),
            usize::try_from(count),
        ) else {
            return -1;
        };
        let addresses: &[u8] = if count == 0 {
            &[]
        } else {
            std::slice::from_raw_parts(addresses.cast(), count * width)
        };
        let _port = request.hold_port();
        status(request.add_addresses(name.to_bytes(), kind, addresses, width, ttl as u32))
    }
}

/// Adds a record to the answer section for each of the `n` IPv4 addresses in the array `addrs`, in
/// network byte order. Returns 0 or -1.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_server_request_add_a_reply(
    req: *mut EvdnsServerRequest,
    name: *const c_char,
    n: c_int,
    addrs: *const c_void,
    ttl: c_int,
) -> c_int {
    // SAFETY: the caller guarantees the request, the name and `n` addresses of 4 bytes.
    unsafe { add_addresses(req, name, record::A, n, addrs, 4, ttl) }
}

/// Adds a record to the answer section for each of the `n` IPv6 addresses in the array `addrs`.
/// Returns 0 or -1.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_server_request_add_aaaa_reply(
    req: *mut EvdnsServerRequest,
    name: *const c_char,
    n: c_int,
    addrs: *const c_void,
    ttl: c_int,
) -> c_int {
    // SAFETY: the caller guarantees the request, the name and `n` addresses of 16 bytes.
    unsafe { add_addresses(req, name, record::AAAA, n, addrs, 16, ttl) }
}

/// Adds the host name of an address to the answer section. The address is either `in`, an IPv4
/// address, or `inaddr_name`, a name such as `4.3.2.1.in-addr.arpa`; the other must be NULL.
/// Returns 0 or -1.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_server_request_add_ptr_reply(
    req: *mut EvdnsServerRequest,
    r#in: *mut in_addr,
    inaddr_name: *const c_char,
    hostname: *const c_char,
    ttl: c_int,
) -> c_int {
    // SAFETY: the caller guarantees request, address and names.
    unsafe {
        let own;
        let name = match (r#in.is_null(), optional_string(inaddr_name)) {
            (false, None) => {
                own = reverse::name_of_v4(Ipv4Addr::from((*r#in).s_addr.to_ne_bytes()));
                own.as_bytes()
            }
            (true, Some(name)) => name.to_bytes(),
            _ => return -1,
        };
        add_name(req, name, record::PTR, hostname, ttl)
    }
}

/// Adds a record to the answer section that says that `name` is an alias for `cname`. Returns 0 or
/// -1.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_server_request_add_cname_reply(
    req: *mut EvdnsServerRequest,
    name: *const c_char,
    cname: *const c_char,
    ttl: c_int,
) -> c_int {
    // SAFETY: the caller guarantees request and names.
    unsafe {
        let Some(name) = optional_string(name) else {
            return -1;
        };
        add_name(req, name.to_bytes(), record::CNAME, cname, ttl)
    }
}

/// # Safety
/// The request is the program's; the target is null or a string.
unsafe fn add_name(
    req: *mut EvdnsServerRequest,
    name: &[u8],
    kind: u16,
    target: *const c_char,
    ttl: c_int,
) -> c_int {
    // SAFETY: the caller guarantees both.
    unsafe {
        let Some(target) = optional_string(target) else {
            return -1;
        };
        let added = Added {
            section: EVDNS_ANSWER_SECTION,
            name,
            kind,
            class: record::INTERNET,
            ttl: ttl as u32,
            data: Data::Name(target.to_bytes()),
        };
        add(req, &added)
    }
}

/// Sends an answer with the response code `err`, 0 to 15: `DNS_ERR_NONE` to `DNS_ERR_REFUSED`, or
/// another code of the protocol.
///
/// Records that do not fit into 512 bytes are left out, and the answer is marked as truncated.
///
/// Returns 0 if the answer was sent, or dropped because the system refused to send it; 1 if it will
/// be sent as soon as the socket is writable. In both cases the request no longer belongs to the
/// program. Returns -1 if nothing was done, because `err` is out of range or memory is short; the
/// request may then still be used.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_server_request_respond(
    req: *mut EvdnsServerRequest,
    err: c_int,
) -> c_int {
    // SAFETY: the caller hands the request over.
    let Some(request) = (unsafe { question::RequestPtr::new(req) }) else {
        return -1;
    };
    match request.respond(err) {
        Answered::Sent => 0,
        Answered::Later => 1,
        Answered::NotSent => -1,
    }
}

/// Frees a request without answering it. Returns 0.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_server_request_drop(req: *mut EvdnsServerRequest) -> c_int {
    // SAFETY: the caller hands the request over.
    if let Some(request) = unsafe { question::RequestPtr::new(req) } {
        request.drop_request();
    }
    0
}

/// Copies the address that a request came from to `sa`. Returns its length, or -1 if that is more
/// than `addr_len`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_server_request_get_requesting_addr(
    req: *mut EvdnsServerRequest,
    sa: *mut sockaddr,
    addr_len: c_int,
) -> c_int {
    // SAFETY: the caller guarantees request and room.
    unsafe {
        let request = question::RequestPtr::new(req);
        request
            .and_then(|request| request.copy_source(sa, addr_len))
            .unwrap_or(-1)
    }
}

/// Looks up the addresses of a host, like getaddrinfo() but without blocking.
///
/// Names from hosts files come first. Otherwise the name servers are asked for both address
/// families at the same time, or for the one in `hints_in`; IPv4 addresses come before IPv6 ones.
/// `dns_base` may be NULL for the resolver of evdns_init().
///
/// Returns a request that can be passed to evdns_getaddrinfo_cancel() until `cb` has returned.
/// Returns NULL if `cb` was already called, before this returned, because the answer was known or
/// the arguments were wrong.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_getaddrinfo(
    dns_base: *mut EvdnsBase,
    nodename: *const c_char,
    servname: *const c_char,
    hints_in: *const addrinfo,
    cb: Option<ResolveFn>,
    arg: *mut c_void,
) -> *mut EvdnsGetaddrinfoRequest {
    // SAFETY: the caller guarantees all of it.
    or_null(unsafe { lookup::start(dns_base, nodename, servname, hints_in, cb, arg) })
}

/// Cancels a look-up: `cb` gets `EVUTIL_EAI_CANCEL`, from the loop. Must not be called once `cb`
/// has been called.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_getaddrinfo_cancel(req: *mut EvdnsGetaddrinfoRequest) {
    // SAFETY: the caller guarantees the request.
    unsafe { lookup::cancel(req) };
}

/// Copies the address of a server to `sa`. `idx` 0 is the server that is asked next, which changes
/// with every query.
///
/// Returns the length of the address; if that is more than `len`, nothing was copied. Returns -1 if
/// there are not that many servers.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_base_get_nameserver_addr(
    base: *mut EvdnsBase,
    idx: c_int,
    sa: *mut sockaddr,
    len: socklen_t,
) -> c_int {
    // SAFETY: the caller guarantees resolver and room.
    unsafe {
        let index = usize::try_from(idx).unwrap_or(0);
        match Hold::new(base).server_address(index) {
            Some(address) => name_server::copy_address(&address, sa, len as usize),
            None => -1,
        }
    }
}
