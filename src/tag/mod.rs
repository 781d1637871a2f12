//! Tagged items in buffers: the marshalling format of the RPC code and its relatives.
//!
//! A buffer holds a sequence of items: writers append to it, readers take from its front. An item
//! is a tag, the length of the payload, and the payload. What kind of payload belongs to a tag is
//! for reader and writer to agree on; nothing of it is in the stream.
//!
//! - [`encoding`]: tags and integers as bytes.
//! - [`mod@write`]: appending items, each as one change of the buffer.
//! - [`read`]: looking at items and taking them out.
//!
//! A reader allocates nothing before the whole payload is there, so what a peer declares costs no
//! memory, only what it sends.

pub mod encoding;
pub mod read;
pub mod write;
