//! The functions that the core calls for a TLS bufferevent.

use crate::interest::WaitFailed;
use crate::libevent::*;
use crate::openssl::SSL_free;
use crate::socket;
use crate::tls::TlsPtr;
use std::ffi::{c_int, c_short, c_uint};

/// The function table. Its address identifies TLS bufferevents.
#[unsafe(no_mangle)]
pub static bufferevent_ops_openssl: Operations = Operations {
    name: c"ssl".as_ptr(),
    offset: 0,
    enable,
    disable,
    unlink,
    destruct,
    adjust_timeouts,
    flush,
    control,
};

/// Whether a bufferevent is a TLS bufferevent.
///
/// # Safety
/// The pointer is null or to a live bufferevent.
pub unsafe fn of_this_kind(bufferevent: *mut Bufferevent) -> Option<TlsPtr> {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe {
        let common = bufferevent.as_ref()?;
        let kind = std::ptr::eq(common.operations.get(), &bufferevent_ops_openssl);
        kind.then(|| TlsPtr::new(bufferevent))
    }
}

fn status(result: Result<(), WaitFailed>) -> c_int {
    match result {
        Ok(()) => 0,
        Err(WaitFailed) => -1,
    }
}

unsafe extern "C-unwind" fn enable(bufferevent: *mut Bufferevent, directions: c_short) -> c_int {
    // SAFETY: the core calls these functions with a live bufferevent, whose lock it holds.
    let tls = unsafe { TlsPtr::new(bufferevent) };
    let result = tls.start(directions);
    tls.start_timers(directions);
    status(result)
}

unsafe extern "C-unwind" fn disable(bufferevent: *mut Bufferevent, directions: c_short) -> c_int {
    // SAFETY: as in `enable`.
    let tls = unsafe { TlsPtr::new(bufferevent) };
    let result = tls.stop(directions);
    tls.stop_timers(directions);
    status(result)
}

unsafe extern "C-unwind" fn unlink(bufferevent: *mut Bufferevent) {
    // SAFETY: as in `enable`.
    let tls = unsafe { TlsPtr::new(bufferevent) };
    tls.detached().set(true);
    tls.session.set(tls.session.get().wrapping_add(1));
    if tls.is_filter() {
        tls.release_below();
    }
}

unsafe extern "C-unwind" fn destruct(bufferevent: *mut Bufferevent) {
    // SAFETY: as in `enable`; nobody uses the SSL after this.
    unsafe {
        let tls = TlsPtr::new(bufferevent);
        if tls.common.options.get() & option::CLOSE_ON_FREE != 0 {
            if !tls.is_filter() {
                socket::close(tls.descriptor.get());
            }
            SSL_free(tls.ssl());
        }
    }
}

unsafe extern "C-unwind" fn adjust_timeouts(bufferevent: *mut Bufferevent) -> c_int {
    // SAFETY: as in `enable`.
    unsafe {
        let tls = TlsPtr::new(bufferevent);
        if !tls.is_filter() {
            return bufferevent_generic_adj_existing_timeouts_(bufferevent);
        }
        tls.start_timers(kind::READ | kind::WRITE);
        0
    }
}

unsafe extern "C-unwind" fn flush(_: *mut Bufferevent, _: c_short, _: c_uint) -> c_int {
    0
}

unsafe extern "C-unwind" fn control(
    bufferevent: *mut Bufferevent,
    request: c_uint,
    data: *mut RequestData,
) -> c_int {
    // SAFETY: as in `enable`; the data fits the request.
    unsafe {
        let tls = TlsPtr::new(bufferevent);
        // First, because it happens at each write of the program.
        if request == request::OUTPUT_CHANGED {
            tls.output_changed(&*(*data).change);
            return 0;
        }
        answer(tls, request, data)
    }
}

/// The rare requests.
///
/// # Safety
/// The data fits the request.
#[inline(never)]
unsafe fn answer(tls: TlsPtr, request: c_uint, data: *mut RequestData) -> c_int {
    // SAFETY: the caller guarantees the data.
    unsafe {
        match request {
            request::SET_DESCRIPTOR => return set_descriptor(tls, (*data).descriptor),
            request::GET_DESCRIPTOR if tls.is_filter() => {
                (*data).descriptor = bufferevent_getfd(tls.below.get());
            }
            request::GET_DESCRIPTOR => (*data).descriptor = tls.descriptor.get(),
            request::GET_UNDERLYING => (*data).pointer = tls.below.get().cast(),
            _ => return -1,
        }
    }
    0
}

fn set_descriptor(tls: TlsPtr, descriptor: c_int) -> c_int {
    status(if tls.is_filter() {
        tls.attach_below(descriptor)
    } else {
        tls.attach(descriptor)
    })
}
