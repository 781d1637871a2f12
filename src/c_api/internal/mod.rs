//! The functions that the real libraries export without declaring them in a public header, by the
//! area that they belong to. libevent's own tests, and its library for TLS, call them.
//!
//! A comment that ends with numbers, such as "0 or -1", says with them what is returned for success
//! and for failure.

mod buffer;
mod bufferevent;
mod event;
mod http;
mod http_text;
mod log;
mod maps;
mod memory;
mod random;
mod resolve;
mod rpc;
mod socket;
mod tag;
mod text;
mod thread;
mod time;
