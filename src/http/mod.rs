//! HTTP: servers and clients on bufferevents, and the text that they are made of.
//!
//! - [`headers`]: lists of names and values.
//! - [`uri`]: URI references, their parts.
//! - [`encoding`]: percent-encoding, and escaping for HTML.
//! - [`query`]: the parameters of a query.

pub mod encoding;
pub mod headers;
pub mod query;
pub mod uri;
