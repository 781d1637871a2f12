//! A drop-in replacement for the libevent shared libraries.
//!
//! The map, from the outside in:
//!
//! - [`c_api`]: the exported C functions, one file per public header; checks and conversions only.
//! - [`event`]: `struct event`, its fields and states, debug mode.
//! - [`base`]: `struct event_base`: the loop, and everything that happens to its events.
//! - [`interest`]: which events wait for which descriptor, and what the kernel was told.
//! - [`backend`]: the mechanisms of the kernel: epoll, poll, select.
//! - [`timers`]: deadlines and time.
//! - [`signals`]: signals as events.
//! - [`buffer`]: the evbuffer, a queue of bytes in chains.
//! - [`bufferevent`]: buffered streams: sockets, pairs, filters, rate limits.
//! - [`listener`]: accepting connections.
//! - [`http`]: HTTP servers and clients, URIs and headers.
//! - [`rpc`]: remote calls over HTTP.
//! - [`tag`]: tagged items in buffers.
//! - [`dns`]: a resolver that does not block, and a DNS server.
//! - [`hooks`]: what the program may replace: memory, log, thread callbacks.
//! - [`list`]: the intrusive lists that link memory owned by the program.
//! - [`system`]: every system call, declared so that a thread may be cancelled in it, and errno.
//! - [`util`]: clocks, sockets, addresses, name resolution, strings, random numbers.
//!
//! # No reference lives across a function of the program
//!
//! A callback may free the object that calls it, or use it in any other way; so may other threads
//! while the lock is released for it. Therefore the function and its argument are copied, the lock is
//! released ([`hooks::threads::Lock::released`] takes it again even if the callback unwinds), and
//! everything that was known before is looked up again afterwards. State that must not outlast a
//! callback is reset by a destructor.
//!
//! There are two kinds of objects:
//!
//! - Buffers ([`buffer::Guard`]), bufferevents ([`bufferevent::Guard`]) and listeners
//!   ([`listener::Hold`]) are accessed through a guard, which holds the lock and a reference that
//!   keeps the object in memory. Their fields are cells, and a reference to a field lasts for one
//!   expression. So code of the program may run anywhere in between, and there is never an exclusive
//!   reference.
//! - A base is accessed through [`base::Guard`], which gives exclusive references to it, because they
//!   make better code for the loop and the queues. Functions of the program run only in
//!   [`base::Guard::unlocked`], which takes the guard exclusively, so that the compiler rejects a
//!   reference that would stay alive. What is used without the lock is not part of the base (but of
//!   the block around it), or never changes (the lock itself).
//!
//! Events belong to the program, which reads and writes their fields at any time: there are no
//! references to them at all, only [`event::EventPtr`].
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
