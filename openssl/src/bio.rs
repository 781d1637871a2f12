//! The BIO through which an SSL reads from and writes to a bufferevent.

use crate::libevent::*;
use crate::openssl::*;
use std::ffi::{CStr, c_char, c_int, c_long, c_void};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, Ordering};

/// A type number that OpenSSL does not use, without the bits for descriptors, sources and sinks,
/// and filters.
const TYPE: c_int = 57;

/// Made once per process and never freed, because BIOs may outlive everything else.
static METHOD: AtomicPtr<BIO_METHOD> = AtomicPtr::new(ptr::null_mut());

/// The method table in a slot, made and stored there on first use. Several threads may call this at
/// once.
pub fn made_once(
    place: &AtomicPtr<BIO_METHOD>,
    make: impl FnOnce() -> Option<NonNull<BIO_METHOD>>,
) -> Option<NonNull<BIO_METHOD>> {
    let present = place.load(Ordering::Acquire);
    if !present.is_null() {
        return NonNull::new(present);
    }
    let new = make()?;
    let (order, failed) = (Ordering::AcqRel, Ordering::Acquire);
    match place.compare_exchange(ptr::null_mut(), new.as_ptr(), order, failed) {
        Ok(_) => Some(new),
        Err(other) => {
            // SAFETY: the new table was not published, so nobody else has it.
            unsafe { BIO_meth_free(new.as_ptr()) };
            NonNull::new(other)
        }
    }
}

fn method() -> Option<NonNull<BIO_METHOD>> {
    // SAFETY: the new table is nobody else's before it is published.
    made_once(&METHOD, || unsafe {
        let new = NonNull::new(BIO_meth_new(TYPE, c"bufferevent".as_ptr()))?;
        BIO_meth_set_write(new.as_ptr(), write);
        BIO_meth_set_read(new.as_ptr(), read);
        BIO_meth_set_puts(new.as_ptr(), puts);
        BIO_meth_set_ctrl(new.as_ptr(), control);
        BIO_meth_set_create(new.as_ptr(), create);
        Some(new)
    })
}

/// A BIO on a bufferevent, which must outlive every use of the BIO.
pub fn on_bufferevent(bufferevent: *mut Bufferevent) -> Option<*mut BIO> {
    let method = method()?;
    // SAFETY: the table is complete.
    unsafe {
        let bio = BIO_new(method.as_ptr());
        if bio.is_null() {
            ERR_clear_error();
            return None;
        }
        BIO_set_data(bio, bufferevent.cast());
        BIO_set_init(bio, 1);
        Some(bio)
    }
}

/// How many more bytes may be added to the output of a bufferevent.
///
/// # Safety
/// The bufferevent is live.
pub unsafe fn room(bufferevent: *mut Bufferevent) -> usize {
    // SAFETY: the caller guarantees the bufferevent.
    unsafe {
        let high = (*bufferevent).write_marks.get().high;
        match high {
            0 => usize::MAX,
            _ => high.saturating_sub(evbuffer_get_length((*bufferevent).output.get())),
        }
    }
}

/// The bufferevent that a BIO belongs to.
///
/// # Safety
/// The BIO was made by this module.
unsafe fn below(bio: *mut BIO) -> *mut Bufferevent {
    // SAFETY: the caller guarantees the BIO.
    unsafe { BIO_get_data(bio).cast() }
}

unsafe extern "C-unwind" fn create(bio: *mut BIO) -> c_int {
    // SAFETY: OpenSSL calls this with a new BIO.
    unsafe {
        BIO_set_init(bio, 0);
        BIO_set_data(bio, ptr::null_mut());
        BIO_set_shutdown(bio, 0);
    }
    1
}

unsafe extern "C-unwind" fn read(bio: *mut BIO, data: *mut c_char, length: c_int) -> c_int {
    // SAFETY: OpenSSL guarantees BIO and room.
    unsafe {
        BIO_clear_flags(bio, retry::ALL);
        let bufferevent = below(bio);
        if bufferevent.is_null() || data.is_null() || length <= 0 {
            return 0;
        }
        let input = (*bufferevent).input.get();
        if evbuffer_get_length(input) == 0 {
            BIO_set_flags(bio, retry::READ);
            return -1;
        }
        evbuffer_remove(input, data.cast(), length as usize)
    }
}

unsafe extern "C-unwind" fn write(bio: *mut BIO, data: *const c_char, length: c_int) -> c_int {
    // SAFETY: OpenSSL guarantees BIO and data.
    unsafe {
        BIO_clear_flags(bio, retry::ALL);
        let bufferevent = below(bio);
        if bufferevent.is_null() || data.is_null() || length <= 0 {
            return 0;
        }
        let length = (length as usize).min(room(bufferevent));
        if length == 0 {
            BIO_set_flags(bio, retry::WRITE);
            return -1;
        }
        match evbuffer_add((*bufferevent).output.get(), data.cast(), length) {
            0 => length as c_int,
            _ => -1,
        }
    }
}

unsafe extern "C-unwind" fn puts(bio: *mut BIO, text: *const c_char) -> c_int {
    // SAFETY: OpenSSL guarantees BIO and text.
    unsafe {
        let length = CStr::from_ptr(text).count_bytes();
        write(bio, text, length.min(c_int::MAX as usize) as c_int)
    }
}

unsafe extern "C-unwind" fn control(
    bio: *mut BIO,
    command: c_int,
    number: c_long,
    _: *mut c_void,
) -> c_long {
    // SAFETY: OpenSSL guarantees the BIO; the bufferevent is live.
    unsafe {
        let is_filled = |buffer| c_long::from(evbuffer_get_length(buffer) > 0);
        let bufferevent = below(bio);
        match command {
            control::GET_CLOSE => c_long::from(BIO_get_shutdown(bio)),
            control::SET_CLOSE => {
                BIO_set_shutdown(bio, number as c_int);
                1
            }
            control::PENDING if !bufferevent.is_null() => is_filled((*bufferevent).input.get()),
            control::WRITE_PENDING if !bufferevent.is_null() => {
                is_filled((*bufferevent).output.get())
            }
            control::DUPLICATE | control::FLUSH => 1,
            _ => 0,
        }
    }
}
