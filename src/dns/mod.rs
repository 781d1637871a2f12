//! Names and addresses by the domain name system, without blocking: a resolver and a server.
//!
//! - [`wire`]: reading messages; [`message`]: writing them.
//! - [`resolver`]: `struct evdns_base`, its lock and its life.
//! - [`request`]: one look-up of the program's, with `letters` of random case; [`flight`]: how its
//!   questions are sent, again and elsewhere; [`timeouts`]: when that is; [`reply`]: what answers mean;
//!   [`receive`]: receiving them, several `datagrams` at a time; `outcome`: reporting results.
//! - [`name_server`]: the servers that are asked; [`channel`]: their sockets; [`health`]: which of
//!   them answer; [`stream`]: asking over TCP if an answer does not fit into a datagram.
//! - [`search`], [`hosts`], [`options`], [`resolv_conf`]: what the program or the system
//!   configures.
//! - [`lookup`]: `evdns_getaddrinfo`, both families at once, with lists of `addresses`;
//!   [`reverse`]: the names of addresses.
//! - [`port`], [`question`], [`response`]: the server.
//! - [`global`]: the one resolver of the 1.4 interface; [`log`]: messages.

mod addresses;
pub mod channel;
mod datagrams;
pub mod flight;
pub mod global;
pub mod health;
pub mod hosts;
mod letter_case;
pub mod log;
pub mod lookup;
pub mod message;
pub mod name_server;
pub mod options;
mod outcome;
pub mod port;
pub mod question;
pub mod receive;
pub mod reply;
pub mod request;
pub mod resolv_conf;
pub mod resolver;
pub mod response;
pub mod reverse;
pub mod search;
pub mod stream;
mod table;
pub mod timeouts;
pub mod wire;

use std::ffi::{CStr, c_int};

/// Results of look-ups: the codes of replies, and what happens without one.
#[allow(missing_docs)]
pub mod code {
    use std::ffi::c_int;
    pub const NONE: c_int = 0;
    pub const FORMAT: c_int = 1;
    pub const SERVER_FAILED: c_int = 2;
    pub const NOT_EXIST: c_int = 3;
    pub const NOT_IMPLEMENTED: c_int = 4;
    pub const REFUSED: c_int = 5;
    pub const TRUNCATED: c_int = 65;
    pub const UNKNOWN: c_int = 66;
    pub const TIMEOUT: c_int = 67;
    pub const SHUTDOWN: c_int = 68;
    pub const CANCEL: c_int = 69;
    pub const NO_DATA: c_int = 70;
}

/// The text of a result.
pub fn error_text(code: c_int) -> &'static CStr {
    match code {
        code::NONE => c"no error",
        code::FORMAT => c"misformatted query",
        code::SERVER_FAILED => c"server failed",
        code::NOT_EXIST => c"name does not exist",
        code::NOT_IMPLEMENTED => c"query not implemented",
        code::REFUSED => c"refused",
        code::TRUNCATED => c"reply truncated or ill-formed",
        code::UNKNOWN => c"unknown",
        code::TIMEOUT => c"request timed out",
        code::SHUTDOWN => c"dns subsystem shut down",
        code::CANCEL => c"dns request canceled",
        code::NO_DATA => c"no records in the reply",
        _ => c"[Unknown error code]",
    }
}
