//! HTTP: servers and clients on bufferevents, and the text that they are made of.
//!
//! - [`headers`]: lists of names and values.
//! - [`uri`]: URI references, their parts.
//! - [`encoding`]: percent-encoding, and escaping for HTML.
//! - [`query`]: the parameters of a query.
//!
//! The engine is the same for both sides where it can be:
//!
//! - [`abi`]: C types and constants.
//! - [`request`], [`block`]: a request and its reply, and their memory.
//! - [`parser`], [`framing`], [`reading`]: reading messages.
//! - [`head`], [`status`], [`date`]: the heads of messages that go out.
//! - [`connection`], [`callbacks`], [`ending`]: what all connections have in common.
//! - [`server`], [`paths`], [`dispatch`]: servers, and who handles what.
//! - [`listening`], [`accepting`]: where servers listen, and whom they accept.
//! - [`incoming`], [`reply`]: the connections of a server.
//! - [`client`], [`connect`]: those of a client.

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
