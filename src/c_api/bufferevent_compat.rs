//! event2/bufferevent_compat.h: functions for bufferevents that the 1.x series had.

use super::EvutilSocket;
use super::bufferevent::{bufferevent_set_timeouts, bufferevent_setcb, bufferevent_socket_new};
use crate::bufferevent::Bufferevent;
use crate::bufferevent::abi::{BuffereventDataFn, BuffereventEventFn};
use libc::timeval;
use std::ffi::{c_int, c_void};

/// Makes a bufferevent on a descriptor, on the base of event_init(), and sets its callbacks.
///
/// To use another base, call bufferevent_base_set() before enabling it. Returns NULL if memory is
/// short or event_init() was not called.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_new(
    fd: EvutilSocket,
    readcb: Option<BuffereventDataFn>,
    writecb: Option<BuffereventDataFn>,
    errorcb: Option<BuffereventEventFn>,
    cbarg: *mut c_void,
) -> *mut Bufferevent {
    // SAFETY: a null base is the current one.
    unsafe {
        let bufferevent = bufferevent_socket_new(std::ptr::null_mut(), fd, 0);
        if !bufferevent.is_null() {
            bufferevent_setcb(bufferevent, readcb, writecb, errorcb, cbarg);
        }
        bufferevent
    }
}

/// Sets the timeouts of a bufferevent in seconds; 0 means none.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn bufferevent_settimeout(
    bufev: *mut Bufferevent,
    timeout_read: c_int,
    timeout_write: c_int,
) {
    let [read, write] = [timeout_read, timeout_write].map(|seconds| timeval {
        tv_sec: seconds.into(),
        tv_usec: 0,
    });
    // SAFETY: the caller guarantees the bufferevent.
    unsafe { bufferevent_set_timeouts(bufev, &read, &write) };
}
