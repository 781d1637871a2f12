//! Remote calls over HTTP.
//!
//! - [`abi`]: C types and constants.
//! - [`hooks`]: functions of the program that see each message, and calls that they pause.
//! - [`meta`]: data that hooks store with a call.
//! - [`server`]: the calls that a server handles.
//! - [`request`]: one call at the server, from its HTTP request to the reply.
//! - [`pool`]: the connections of a client, and the calls that wait for one.
//! - [`call`]: one call at the client, from its request to the callback.
//!
//! Messages are the program's: this layer only calls the functions that make them, free them and
//! turn them into bytes. The program may free a server's side (`struct evrpc_base`) or a pool in
//! any of its functions; whoever calls one holds a [`hooks::Pin`].

pub mod abi;
pub mod call;
pub mod hooks;
pub mod meta;
pub mod pool;
pub mod request;
pub mod server;
