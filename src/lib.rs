//! A drop-in replacement of the libevent shared libraries.
//!
//! The map, from the outside in:
//!
//! - [`c_api`]: the exported C functions, one file per public header; checks and conversions only.
//! - [`event`]: `struct event`, its fields and states, debug mode.
//! - [`base`]: `struct event_base`: the loop and all that happens to its events.
//! - [`interest`]: which events wait for which descriptor, and what the kernel was told.
//! - [`backend`]: the kernel mechanisms: epoll, poll, select.
//! - [`timers`]: deadlines and time.
//! - [`signals`]: signals as events.
//! - [`buffer`]: the evbuffer, a queue of bytes in chains.
//! - [`bufferevent`]: streams with buffers: sockets, pairs, filters, limits of their rates.
//! - [`listener`]: accepting connections.
//! - [`http`]: HTTP servers and clients, and the text that they are made of.
//! - [`rpc`]: remote calls over HTTP.
//! - [`tag`]: tagged items in buffers.
//! - [`dns`]: names and addresses, without blocking: a resolver and a server.
//! - [`hooks`]: what the program may replace: memory, log, thread callbacks.
//! - [`list`]: the intrusive lists that link memory owned by the program.
//! - [`system`]: every system call, and errno: declared so that a thread may be cancelled in it.
//! - [`util`]: clocks, sockets, addresses, name resolution, strings, random numbers.
#![warn(missing_docs)]
#![cfg_attr(test, allow(clippy::disallowed_types))]

pub mod backend;
pub mod base;
pub mod buffer;
pub mod bufferevent;
pub mod c_api;
pub mod dns;
pub mod event;
pub mod hooks;
pub mod http;
pub mod interest;
pub mod list;
pub mod listener;
pub mod rpc;
pub mod signals;
pub mod system;
pub mod tag;
pub mod timers;
pub mod util;
