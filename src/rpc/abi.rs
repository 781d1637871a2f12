//! C types and constants of event2/rpc.h and event2/rpc_struct.h.

use super::request::Request;
use super::server::Server;
use crate::buffer::Evbuffer;
use crate::http::abi::EvhttpRequest;
use crate::list::TailLink;
use std::ffi::{c_char, c_int, c_uint, c_void};
use std::mem::{offset_of, size_of};

/// A number of `enum EVRPC_HOOK_TYPE`.
pub type HookTypeValue = c_uint;
/// A number of `enum EVRPC_HOOK_RESULT`.
pub type HookResultValue = c_int;

/// Makes a message.
pub type NewFn = unsafe extern "C-unwind" fn(argument: *mut c_void) -> *mut c_void;
/// Does something with a message that cannot fail: frees it, or makes it empty.
pub type MessageFn = unsafe extern "C-unwind" fn(message: *mut c_void);
/// Returns -1 if a message is incomplete.
pub type CompleteFn = unsafe extern "C-unwind" fn(message: *mut c_void) -> c_int;
/// Appends a message to a buffer.
pub type MarshalFn = unsafe extern "C-unwind" fn(buffer: *mut Evbuffer, message: *mut c_void);
/// Reads a message; -1 means that it is malformed.
pub type UnmarshalFn =
    unsafe extern "C-unwind" fn(message: *mut c_void, buffer: *mut Evbuffer) -> c_int;
/// Handles a call at the server.
pub type HandlerFn = unsafe extern "C-unwind" fn(request: *mut Request, argument: *mut c_void);
/// Called when a call of a client has ended.
pub type ReplyFn = unsafe extern "C-unwind" fn(
    status: *mut EvrpcStatus,
    request: *mut c_void,
    reply: *mut c_void,
    argument: *mut c_void,
);
/// A hook: sees the messages of calls on their way.
pub type HookFn = unsafe extern "C-unwind" fn(
    ctx: *mut c_void,
    http_req: *mut EvhttpRequest,
    buffer: *mut Evbuffer,
    argument: *mut c_void,
) -> c_int;

/// `struct evrpc`. A program may fill one itself.
#[repr(C)]
#[allow(missing_docs)]
pub struct Evrpc {
    pub next: TailLink<Evrpc>,
    pub uri: *const c_char,
    pub request_new: Option<NewFn>,
    pub request_new_arg: *mut c_void,
    pub request_free: Option<MessageFn>,
    pub request_unmarshal: Option<UnmarshalFn>,
    pub reply_new: Option<NewFn>,
    pub reply_new_arg: *mut c_void,
    pub reply_free: Option<MessageFn>,
    pub reply_complete: Option<CompleteFn>,
    pub reply_marshal: Option<MarshalFn>,
    pub cb: Option<HandlerFn>,
    pub cb_arg: *mut c_void,
    pub base: *mut Server,
}

const _: () = {
    assert!(size_of::<Evrpc>() == 120);
    assert!(offset_of!(Evrpc, uri) == 16);
    assert!(offset_of!(Evrpc, base) == 112);
};

/// `struct evrpc_status`.
#[repr(C)]
#[allow(missing_docs)]
pub struct EvrpcStatus {
    pub error: c_int,
    pub http_req: *mut EvhttpRequest,
}

/// How a call ended.
#[derive(Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
#[repr(i32)]
pub enum Outcome {
    Replied = 0,
    TimedOut = 1,
    BadPayload = 2,
    Unstarted = 3,
    HookAborted = 4,
}
