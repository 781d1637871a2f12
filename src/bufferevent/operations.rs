//! The table of functions that makes a kind of bufferevent.
//!
//! Part of the binary interface: other libraries of the family bring tables of their own, and a
//! bufferevent's kind is recognised by the address of its table.

use super::abi::FlushModeValue;
use super::pair::{self, bufferevent_ops_pair};
use super::socket::bufferevent_ops_socket;
use super::{Bufferevent, BuffereventPtr};
use crate::buffer::abi::EvbufferCallbackInfo;
use libc::off_t;
use std::ffi::{CStr, c_char, c_int, c_short, c_uint, c_void};

/// What [`Operations::control`] is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Request {
    /// Use this descriptor.
    SetDescriptor = 0,
    /// Tell the descriptor.
    GetDescriptor = 1,
    /// Tell the bufferevent below.
    GetUnderlying = 2,
    /// Cancel what is under way: the program has freed the bufferevent.
    CancelAll = 3,
    /// The output has changed. Only kinds of this library and its family know that.
    OutputChanged = 256,
}

impl Request {
    /// The request of a number.
    pub fn from_number(number: c_uint) -> Option<Request> {
        match number {
            0 => Some(Request::SetDescriptor),
            1 => Some(Request::GetDescriptor),
            2 => Some(Request::GetUnderlying),
            3 => Some(Request::CancelAll),
            256 => Some(Request::OutputChanged),
            _ => None,
        }
    }
}

/// Parameter or answer of a [`Request`].
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub union RequestData {
    pub pointer: *mut c_void,
    pub descriptor: c_int,
    pub change: *const EvbufferCallbackInfo,
}

type DirectionsFn = unsafe extern "C-unwind" fn(*mut Bufferevent, c_short) -> c_int;
type NotifyFn = unsafe extern "C-unwind" fn(*mut Bufferevent);
type AdjustFn = unsafe extern "C-unwind" fn(*mut Bufferevent) -> c_int;
type FlushFn = unsafe extern "C-unwind" fn(*mut Bufferevent, c_short, FlushModeValue) -> c_int;
type ControlFn = unsafe extern "C-unwind" fn(*mut Bufferevent, c_uint, *mut RequestData) -> c_int;

/// `struct bufferevent_ops`. All functions are called with the bufferevent's lock held; negative
/// numbers mean failure.
#[repr(C)]
pub struct Operations {
    /// The name of the kind.
    pub name: *const c_char,
    /// Where the bufferevent is in its allocation.
    pub offset: off_t,
    /// Starts input or output for these directions, or restarts their timers.
    pub enable: DirectionsFn,
    /// Stops them. Leaves `enabled` alone, as `enable` does.
    pub disable: DirectionsFn,
    /// The last reference is gone: cuts links to other objects.
    pub unlink: Option<NotifyFn>,
    /// No callback can run any more: releases what the kind owns.
    pub destruct: Option<NotifyFn>,
    /// The timeouts have changed.
    pub adjust_timeouts: Option<AdjustFn>,
    /// See `bufferevent_flush()`.
    pub flush: Option<FlushFn>,
    /// See [`Request`]: 0, or -1 when the kind does not support it.
    pub control: Option<ControlFn>,
}

// SAFETY: tables are constant, and so are the names they point to.
unsafe impl Sync for Operations {}

const _: () = assert!(size_of::<Operations>() == 72);

/// The kind cannot do this, or failed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed;

/// The result of a function of the table.
pub fn checked(result: c_int) -> Result<(), Failed> {
    if result < 0 { Err(Failed) } else { Ok(()) }
}

impl BuffereventPtr {
    fn table(self) -> &'static Operations {
        // SAFETY: set at construction to a table that lives as long as its library.
        unsafe { &*self.operations.get() }
    }

    /// Whether this is the bufferevent's kind.
    pub fn is_kind(self, kind: &'static Operations) -> bool {
        std::ptr::eq(self.operations.get(), kind)
    }

    /// Whether this is one of the kinds for TLS, which other libraries bring.
    pub fn is_tls(self) -> bool {
        // SAFETY: the names of kinds are constant strings.
        let name = unsafe { CStr::from_ptr(self.table().name) };
        name.to_bytes().starts_with(b"ssl")
    }

    /// See [`Operations::offset`].
    pub fn allocation(self) -> *mut c_void {
        self.as_ptr()
            .cast::<u8>()
            .wrapping_offset(-(self.table().offset as isize))
            .cast()
    }

    /// See [`Operations::enable`].
    pub fn start(self, directions: c_short) -> Result<(), Failed> {
        // SAFETY: the bufferevent is live and its lock held, as for all of these.
        checked(unsafe { (self.table().enable)(self.as_ptr(), directions) })
    }

    /// See [`Operations::disable`].
    pub fn stop(self, directions: c_short) -> Result<(), Failed> {
        // SAFETY: as in `start`.
        checked(unsafe { (self.table().disable)(self.as_ptr(), directions) })
    }

    /// See [`Operations::unlink`].
    pub(super) fn unlink(self) {
        if let Some(unlink) = self.table().unlink {
            // SAFETY: as in `start`.
            unsafe { unlink(self.as_ptr()) }
        }
    }

    /// See [`Operations::destruct`].
    pub(super) fn destruct(self) {
        if let Some(destruct) = self.table().destruct {
            // SAFETY: as in `start`.
            unsafe { destruct(self.as_ptr()) }
        }
    }

    /// See [`Operations::adjust_timeouts`].
    pub(super) fn adjust_timeouts(self) -> Result<(), Failed> {
        match self.table().adjust_timeouts {
            // SAFETY: as in `start`.
            Some(adjust) => checked(unsafe { adjust(self.as_ptr()) }),
            None => Ok(()),
        }
    }

    /// See [`Operations::flush`].
    pub fn flush(self, directions: c_short, mode: FlushModeValue) -> c_int {
        match self.table().flush {
            // SAFETY: as in `start`.
            Some(flush) => unsafe { flush(self.as_ptr(), directions, mode) },
            None => -1,
        }
    }

    fn control(self, request: Request, data: &mut RequestData) -> Result<(), Failed> {
        let control = self.table().control.ok_or(Failed)?;
        // SAFETY: as in `start`; the data fits the request.
        checked(unsafe { control(self.as_ptr(), request as c_uint, data) })
    }

    /// Uses another descriptor from now on.
    pub fn set_descriptor(self, descriptor: c_int) -> Result<(), Failed> {
        self.control(Request::SetDescriptor, &mut RequestData { descriptor })
    }

    /// The descriptor, or -1.
    pub fn descriptor(self) -> c_int {
        let mut data = RequestData { descriptor: -1 };
        match self.control(Request::GetDescriptor, &mut data) {
            // SAFETY: this request is answered with a descriptor.
            Ok(()) => unsafe { data.descriptor },
            Err(Failed) => -1,
        }
    }

    /// The bufferevent below, if there is one.
    pub fn underlying(self) -> Option<BuffereventPtr> {
        // Whoever writes asks each time, mostly a socket.
        if self.is_kind(&bufferevent_ops_socket) {
            return None;
        }
        let mut data = RequestData {
            pointer: std::ptr::null_mut(),
        };
        self.control(Request::GetUnderlying, &mut data).ok()?;
        // SAFETY: this request is answered with a bufferevent or null; this one's reference keeps
        // the one below alive.
        unsafe { BuffereventPtr::new(data.pointer.cast()) }
    }

    /// Notifies the kind that the output has changed. Code of the program may run.
    pub(super) fn output_changed(self, change: &EvbufferCallbackInfo) {
        if self.is_kind(&bufferevent_ops_pair) {
            // The tables of pairs have no such function, as programs can see.
            // SAFETY: as in `start`.
            return unsafe { pair::output_changed(self, change) };
        }
        // A kind of another library has a callback of the buffer for that.
        let _ = self.control(Request::OutputChanged, &mut RequestData { change });
    }

    /// Cancels what is under way.
    pub(super) fn cancel_all(self) {
        let mut data = RequestData { descriptor: -1 };
        // A kind that has nothing to cancel does not support it.
        let _ = self.control(Request::CancelAll, &mut data);
    }
}
