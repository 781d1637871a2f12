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
//!
//! # No reference lives across a function of the program
//!
//! A callback may free the object that calls it, or use it in any other way; so may other threads
//! while a lock is given up for it. What is called and its argument are therefore copied out, the
//! lock is given up ([`hooks::threads::Lock::released`], which takes it again also when the callback
//! unwinds), and what was known before is looked up again afterwards. State that must not outlast a
//! callback is put back by a value that is dropped.
//!
//! Objects come in two forms:
//!
//! - Buffers ([`buffer::Guard`]), bufferevents ([`bufferevent::Guard`]) and listeners
//!   ([`listener::Hold`]) are reached through a guard: the lock, held, and a reference that keeps the
//!   object there. Their fields are cells, and a reference to a field lasts for one expression. So
//!   code of the program may run anywhere in between, and there is never an exclusive reference.
//! - A base is reached through [`base::Guard`], which gives exclusive references to it: the loop and
//!   the queues are worth the better code. Functions of the program run in [`base::Guard::unlocked`]
//!   only, which takes the guard exclusively, so that the compiler refuses a reference that would
//!   live on. What is used without the lock is no part of it (the block behind a base), or is never
//!   changed (the lock itself).
//!
//! Events belong to the program, which reads and writes their fields at any time: there is no
//! reference to one at all, only [`event::EventPtr`].
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
