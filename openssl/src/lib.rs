//! TLS bufferevents: `libevent_openssl`.
//!
//! The map, from the outside in:
//!
//! - [`c_api`]: the functions of `event2/bufferevent_ssl.h`; checks and conversions only.
//! - [`operations`]: the table that makes a bufferevent one of this kind.
//! - [`tls`]: what such a bufferevent is, its states, its lock.
//! - [`create`][mod@create]: making one.
//! - [`handshake`], [`reading`], [`writing`]: what it does when something can be done.
//! - [`ending`]: what went wrong, and how the program is told.
//! - [`interest`]: for what it waits.
//! - [`socket`]: on a descriptor; [`bulk`], [`stretch`]: several records with a system call.
//! - [`filter`], [`bio`]: on another bufferevent.
//! - [`libevent`], [`openssl`]: what is used of both libraries.
//!
//! The core is a library of its own, and reached through what it exports: there is one copy of its
//! state, whoever loads what.
#![warn(missing_docs)]

pub mod bio;
pub mod bulk;
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
pub mod stretch;
pub mod tls;
pub mod writing;
