//! HTTP: servers and clients on bufferevents, and the text that they are made of.
//!
//! - [`headers`]: lists of names and values.

pub mod headers;
