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

/// There is a result.
pub const DNS_ERR_NONE: c_int = 0;
/// The server could not read the question.
pub const DNS_ERR_FORMAT: c_int = 1;
/// The server has failed.
pub const DNS_ERR_SERVERFAILED: c_int = 2;
/// There is no such name.
pub const DNS_ERR_NOTEXIST: c_int = 3;
/// The server does not know this kind of question.
pub const DNS_ERR_NOTIMPL: c_int = 4;
/// The server does not want to answer.
pub const DNS_ERR_REFUSED: c_int = 5;
/// The answer has no room in a datagram and could not be fetched over TCP.
pub const DNS_ERR_TRUNCATED: c_int = 65;
/// The answer makes no sense.
pub const DNS_ERR_UNKNOWN: c_int = 66;
/// No server has answered in time.
pub const DNS_ERR_TIMEOUT: c_int = 67;
/// The resolver was freed.
pub const DNS_ERR_SHUTDOWN: c_int = 68;
/// The look-up was cancelled.
pub const DNS_ERR_CANCEL: c_int = 69;
/// The name exists, but has no such records.
pub const DNS_ERR_NODATA: c_int = 70;

/// Addresses of IPv4.
#[allow(non_upper_case_globals)]
pub const DNS_IPv4_A: c_int = 1;
/// A name.
pub const DNS_PTR: c_int = 2;
/// Addresses of IPv6.
#[allow(non_upper_case_globals)]
pub const DNS_IPv6_AAAA: c_int = 3;

/// Flag of a look-up: the domains of the search list are not tried.
pub const DNS_QUERY_NO_SEARCH: c_int = 1;

/// The search list, and the option `ndots`.
pub const DNS_OPTION_SEARCH: c_int = 1;
/// The servers, and the option `bind-to`. Where there is none, the one of this machine.
pub const DNS_OPTION_NAMESERVERS: c_int = 2;
/// All other options.
pub const DNS_OPTION_MISC: c_int = 4;
/// The names in `/etc/hosts`.
pub const DNS_OPTION_HOSTSFILE: c_int = 8;
/// Not the server of this machine where there is none.
pub const DNS_OPTION_NAMESERVERS_NO_DEFAULT: c_int = 16;

/// Flag of evdns_base_new(): use what the system configures.
pub const EVDNS_BASE_INITIALIZE_NAMESERVERS: c_int = 1;
/// Flag of evdns_base_new(): the loop ends although there are servers, when there are no look-ups.
pub const EVDNS_BASE_DISABLE_WHEN_INACTIVE: c_int = 0x8000;
/// Flag of evdns_base_new(): no server is added where the system configures none.
pub const EVDNS_BASE_NAMESERVERS_NO_DEFAULT: c_int = 0x10000;

/// The records that answer the question.
pub const EVDNS_ANSWER_SECTION: c_int = 0;
/// The records about the zone.
pub const EVDNS_AUTHORITY_SECTION: c_int = 1;
/// Other records.
pub const EVDNS_ADDITIONAL_SECTION: c_int = 2;

/// An address of IPv4.
pub const EVDNS_TYPE_A: c_int = 1;
/// A server of a zone.
pub const EVDNS_TYPE_NS: c_int = 2;
/// The name that this one is an alias of.
pub const EVDNS_TYPE_CNAME: c_int = 5;
/// The start of a zone.
pub const EVDNS_TYPE_SOA: c_int = 6;
/// A name that this one points to.
pub const EVDNS_TYPE_PTR: c_int = 12;
/// Where mail goes.
pub const EVDNS_TYPE_MX: c_int = 15;
/// Text.
pub const EVDNS_TYPE_TXT: c_int = 16;
/// An address of IPv6.
pub const EVDNS_TYPE_AAAA: c_int = 28;
/// A question for a whole zone.
pub const EVDNS_QTYPE_AXFR: c_int = 252;
/// A question for all records.
pub const EVDNS_QTYPE_ALL: c_int = 255;
/// The class of the Internet.
pub const EVDNS_CLASS_INET: c_int = 1;

/// Flag of an answer: the server is responsible for the zone.
pub const EVDNS_FLAGS_AA: c_int = 0x400;
/// Flag of an answer: the server would ask others (in the message that is "recursion available").
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

/// Makes a resolver on the loop of `event_base`; `NULL` is the base that event_init() made.
///
/// `flags` are `EVDNS_BASE_*`; 0 makes a resolver without servers. Flags that do not exist mean
/// `EVDNS_BASE_INITIALIZE_NAMESERVERS`, as any number did once.
///
/// The base must outlive the resolver. Returns `NULL` when memory is short or `/etc/resolv.conf`
/// cannot be read; when it names no server, the one of this machine is asked.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_base_new(
    event_base: *mut EventBase,
    flags: c_int,
) -> *mut EvdnsBase {
    // SAFETY: the caller guarantees the base.
    or_null(unsafe { resolver::create(event_base, flags) })
}

/// Frees a resolver.
///
/// Look-ups without a result are told `DNS_ERR_SHUTDOWN` from the loop (`fail_requests`), or never.
/// Results that were found already are told in either case. The requests of look-ups that are not
/// told anything must not be used any more. `NULL` is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_base_free(base: *mut EvdnsBase, fail_requests: c_int) {
    if !base.is_null() {
        // SAFETY: the caller hands the resolver over.
        unsafe { resolver::free(base, fail_requests != 0) };
    }
}

/// Forgets all names from hosts files.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_base_clear_host_addresses(base: *mut EvdnsBase) {
    // SAFETY: the caller guarantees the resolver.
    unsafe { Hold::new(base) }.clear_hosts();
}

/// The text of a `DNS_ERR_*` code.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_err_to_string(err: c_int) -> *const c_char {
    crate::dns::error_text(err).as_ptr()
}

/// Adds a server at an IPv4 address in network byte order, at port 53.
///
/// Returns 0, or another number: -1 when memory is short, 1 without a socket, 2 when the socket
/// cannot be used or bound, 3 when the resolver has this server already.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_base_nameserver_add(
    base: *mut EvdnsBase,
    address: c_ulong,
) -> c_int {
    let address = Ipv4Addr::from((address as u32).to_ne_bytes());
    // SAFETY: the caller guarantees the resolver.
    added(unsafe { Hold::new(base) }.add_server(SocketAddress::v4(address, PORT)))
}

/// How many servers a resolver has, whether they answer or not.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_base_count_nameservers(base: *mut EvdnsBase) -> c_int {
    // SAFETY: the caller guarantees the resolver.
    unsafe { Hold::new(base) }.server_count() as c_int
}

/// Forgets all servers. Look-ups that are under way, and new ones, wait until there is a server;
/// evdns_base_resume() then asks it. Returns 0.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_base_clear_nameservers_and_suspend(
    base: *mut EvdnsBase,
) -> c_int {
    // SAFETY: the caller guarantees the resolver.
    unsafe { name_server::clear_and_suspend(base) };
    0
}

/// Asks the servers what waits, as far as `max-inflight` allows. Returns 0.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_base_resume(base: *mut EvdnsBase) -> c_int {
    // SAFETY: the caller guarantees the resolver.
    flight::promote(*unsafe { Hold::new(base) });
    0
}

/// Adds a server at an address given as text: `1.2.3.4`, `1.2.3.4:53`, `::1`, `[::1]` or `[::1]:53`,
/// the IPv6 ones also with `%interface`. Without a port it is 53.
///
/// Returns as evdns_base_nameserver_add() does, and 4 when the text is no address.
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

/// Adds a server at a socket address of `len` bytes, with its port. `flags` must be 0.
///
/// Returns as evdns_base_nameserver_add() does.
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
/// `flags` are 0 or `DNS_QUERY_NO_SEARCH`. Returns a request, valid until `callback` has returned,
/// which evdns_cancel_request() takes; or `NULL`, and then `callback` is never called: the name is
/// none, or memory is short. The callback is never called before this returns in the loop's thread.
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

/// Looks up the IPv6 addresses of a name, as evdns_base_resolve_ipv4() does those of IPv4.
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

/// Looks up the name of an IPv4 address. `flags` do not matter; else as evdns_base_resolve_ipv4().
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

/// Looks up the name of an IPv6 address. `flags` do not matter; else as evdns_base_resolve_ipv4().
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
/// One whose result was found already, and that was not told yet, still gets it; so does one whose
/// callback is running. `base` may be `NULL`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_cancel_request(base: *mut EvdnsBase, req: *mut EvdnsRequest) {
    // SAFETY: the caller guarantees both.
    unsafe { resolver::cancel(base, req) };
}

/// Sets an option by its name, with or without a colon at the end.
///
/// `ndots` (1): names with so many dots are tried as they are before the domains are. `timeout` (5):
/// seconds until a question is sent again, with a fraction. `attempts` (3): how often it is sent.
/// `max-timeouts` (3): a server that is silent more often in succession is left out.
/// `max-inflight` (64): most questions at a time. `randomize-case` (1): letters of questions get a
/// random case. `initial-probe-timeout` (10): seconds until a server that is left out is tried again.
/// `getaddrinfo-allow-skew` (3): how many seconds one family waits for the other. `bind-to`: the
/// address that new sockets are bound to. `so-rcvbuf`, `so-sndbuf`: sizes of their buffers.
///
/// Returns 0, or -1 when the value makes no sense. Options that do not exist are ignored.
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

/// Reads a resolv.conf file. `flags` are `DNS_OPTION_*`: which parts count. Servers and names are
/// added to those that there are; a `search` or `domain` line replaces the search list.
///
/// Returns 0; 1 when the file cannot be opened, and what holds without a file is used; 2 when it
/// cannot be read or memory is short; 6 when it names no server and the one of this machine was
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

/// Adds the names of a hosts file to those that evdns_getaddrinfo() knows. `NULL` stands for a file
/// that knows only `localhost`; so does one that cannot be read.
///
/// `base` may be `NULL` for the resolver of the process. Returns 0, or -1 when the file cannot be
/// read or memory is short.
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

/// Empties the search list, and sets `ndots` to 1.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_base_search_clear(base: *mut EvdnsBase) {
    // SAFETY: the caller guarantees the resolver.
    let hold = unsafe { Hold::new(base) };
    hold.clear_search_domains();
    hold.set_ndots(1);
}

/// Puts a domain in front of the search list.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_base_search_add(base: *mut EvdnsBase, domain: *const c_char) {
    // SAFETY: the caller guarantees resolver and domain.
    unsafe {
        // Without memory the list stays as it is.
        let _ = Hold::new(base).add_search_domain(CStr::from_ptr(domain).to_bytes());
    }
}

/// Names with so many dots are tried as they are before the domains are.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_base_search_ndots_set(base: *mut EvdnsBase, ndots: c_int) {
    // SAFETY: the caller guarantees the resolver.
    unsafe { Hold::new(base) }.set_ndots(ndots);
}

/// Sets what gets all messages of resolvers and servers, those for debugging included; `NULL` for the
/// general log. It must not use a resolver.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_set_log_fn(callback: Option<DnsLogFn>) {
    log::set_callback(callback);
}

/// Does nothing: random numbers come from the system.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_set_transaction_id_fn(
    function: Option<unsafe extern "C-unwind" fn() -> u16>,
) {
    let _ = function;
}

/// Does nothing: random numbers come from the system.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_set_random_bytes_fn(
    function: Option<unsafe extern "C-unwind" fn(*mut c_char, usize)>,
) {
    let _ = function;
}

/// Makes a DNS server of a bound datagram socket, which it takes over, on the loop of `base`.
///
/// `flags` must be 0. `callback` is called with every message that has questions, and `user_data`.
/// Returns `NULL` when something is not possible; the socket then stays the caller's.
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

/// Closes a server: no question is read any more. Requests that are not answered still may be; the
/// socket is closed with the last of them.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_close_server_port(port: *mut EvdnsServerPort) {
    // SAFETY: the caller hands the port over.
    unsafe { port::close(port) };
}

/// Sets the flags of an answer, `EVDNS_FLAGS_AA` and `EVDNS_FLAGS_RD`, in place of those set before.
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
/// `section` is one of `EVDNS_*_SECTION`. With `is_name`, `data` is a name as text; otherwise it is
/// `datalen` bytes, or `NULL` for none. Returns 0, or -1 when the section does not exist, a name is
/// missing or memory is short.
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

/// Adds a record for each of `n` IPv4 addresses, one behind the other in network byte order, to the
/// answer section. Returns 0 or -1.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_server_request_add_a_reply(
    req: *mut EvdnsServerRequest,
    name: *const c_char,
    n: c_int,
    addrs: *const c_void,
    ttl: c_int,
) -> c_int {
    // SAFETY: as the caller guarantees.
    unsafe { add_addresses(req, name, record::A, n, addrs, 4, ttl) }
}

/// Adds a record for each of `n` IPv6 addresses, one behind the other, to the answer section. Returns
/// 0 or -1.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_server_request_add_aaaa_reply(
    req: *mut EvdnsServerRequest,
    name: *const c_char,
    n: c_int,
    addrs: *const c_void,
    ttl: c_int,
) -> c_int {
    // SAFETY: as the caller guarantees.
    unsafe { add_addresses(req, name, record::AAAA, n, addrs, 16, ttl) }
}

/// Adds the host name of an address to the answer section: of the IPv4 address `in`, or of the one
/// whose name (as `4.3.2.1.in-addr.arpa`) is `inaddr_name`; the other one is `NULL`. Returns 0 or -1.
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

/// Adds the name that `name` is an alias of to the answer section. Returns 0 or -1.
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

/// Sends an answer with the code `err`, 0 to 15, which are those of `DNS_ERR_NONE` to
/// `DNS_ERR_REFUSED` and others of the protocol.
///
/// Records that have no room in 512 bytes are left out, and the answer says that it is cut.
///
/// Returns 0 when it was sent, or given up because the system refused; 1 when it is sent as soon as
/// the socket has room: the request is not the program's any more. -1 when nothing was done: `err`
/// does not exist, or memory is short; then the request may be used on.
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

/// Frees a request without an answer. Returns 0.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_server_request_drop(req: *mut EvdnsServerRequest) -> c_int {
    // SAFETY: the caller hands the request over.
    if let Some(request) = unsafe { question::RequestPtr::new(req) } {
        request.drop_it();
    }
    0
}

/// Copies the address that a request came from. Returns its length, or -1 when it is longer than
/// `addr_len`.
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

/// Looks up the addresses of a host, as getaddrinfo() does, without blocking.
///
/// The names of hosts files come first, then the name servers are asked for both families at the same
/// time, or for the one that `hints_in` names. IPv4 addresses stand before IPv6 ones. `dns_base` may
/// be `NULL` for the resolver of the process.
///
/// Returns a request, valid until `cb` has returned; or `NULL` when `cb` was called already, before
/// this returned: the answer was at hand, or something is wrong.
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

/// Cancels a look-up: `cb` gets `EVUTIL_EAI_CANCEL`, from the loop. Not for one whose callback was
/// called.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn evdns_getaddrinfo_cancel(req: *mut EvdnsGetaddrinfoRequest) {
    // SAFETY: the caller guarantees the request.
    unsafe { lookup::cancel(req) };
}

/// Copies the address of a server. `idx` counts from the server that is asked next, which changes with
/// every question.
///
/// Returns its length; when that is more than `len`, nothing was copied. -1 when there are not so
/// many servers.
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
