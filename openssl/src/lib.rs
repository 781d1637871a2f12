//! TLS bufferevents: `libevent_openssl`.
//!
//! The map, from the outside in:
//!
//! - [`c_api`]: the functions of `event2/bufferevent_ssl.h`; checks and conversions only.
//! - [`operations`]: the functions that the core calls for a TLS bufferevent.
//! - [`tls`]: the data of a TLS bufferevent, its states, its lock.
//! - [`create`][mod@create]: creation.
//! - [`handshake`], [`reading`], [`writing`]: what it does when the transport is ready.
//! - [`ending`]: errors and ends of stream, and how they are reported.
//! - [`interest`]: what it waits for.
//! - [`socket`]: TLS on a socket; [`bulk`], [`byte_queue`]: several records per system call.
//! - [`filter`], [`bio`]: TLS on top of another bufferevent.
//! - [`libevent`], [`openssl`]: declarations of what is used of the core and of OpenSSL.
//!
//! The core is a separate shared library, used only through the functions it exports, so that a
//! process has one copy of its state however the libraries were loaded.
#![warn(missing_docs)]

pub mod bio;
pub mod bulk;
pub mod byte_queue;
pub mod c_api;
pub mod create;
pub mod ending;
pub mod filter;
pub mod handshake;
pub mod interest;
#[allow(missing_docs)]
pub mod libevent;
#[allow(missing_docs)]
pub mod openssl;
pub mod operations;
mod panic;
pub mod reading;
pub mod socket;
pub mod tls;
pub mod writing;
