//! HTTP: servers and clients on bufferevents, and the text that messages are made of.
//!
//! - [`headers`]: lists of names and values.
//! - [`uri`]: URI references and their parts.
//! - [`encoding`]: percent-encoding, and escaping for HTML.
//! - [`query`]: the parameters of a query.
//!
//! Both sides share as much as possible:
//!
//! - [`abi`]: C types and constants.
//! - [`request`], [`block`]: a request and its reply, and their memory.
//! - [`parser`], [`framing`], [`reading`]: reading messages.
//! - [`head`], [`status`], [`date`]: writing the heads of messages.
//! - [`connection`], [`callbacks`], [`ending`]: what all connections have in common.
//! - [`server`], [`paths`], [`dispatch`]: servers, and which function handles a request.
//! - [`listening`], [`accepting`]: the sockets of a server, and accepting connections.
//! - [`incoming`], [`reply`]: the connections of a server.
//! - [`client`], [`connect`]: the connections of a client.

pub mod abi;
pub mod accepting;
pub mod block;
pub mod callbacks;
pub mod client;
pub mod connect;
pub mod connection;
pub mod date;
pub mod dispatch;
pub mod encoding;
pub mod ending;
pub mod framing;
pub mod head;
pub mod headers;
pub mod incoming;
pub mod listening;
pub mod parser;
pub mod paths;
pub mod query;
pub mod reading;
pub mod reply;
pub mod request;
pub mod server;
pub mod status;
pub mod uri;
