//! What this library uses of OpenSSL.
//!
//! The functions are declared here and not taken from `openssl-sys` because they call functions of
//! the program, and system calls in which a thread can be cancelled: both may unwind, so the
//! declarations must allow that (`C-unwind`).

use std::ffi::{c_char, c_int, c_long, c_ulong, c_void};

pub use openssl_sys::{
    BIO, BIO_METHOD, SSL, SSL_ERROR_SSL, SSL_ERROR_SYSCALL, SSL_ERROR_WANT_READ,
    SSL_ERROR_WANT_WRITE, SSL_ERROR_WANT_X509_LOOKUP, SSL_ERROR_ZERO_RETURN,
};

/// Most bytes that a record can hold.
pub const LONGEST_RECORD: usize = 16384;

/// `SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER`: a repeated write may have its bytes at another address.
const MODE_ACCEPT_MOVING_WRITE_BUFFER: c_long = 0x2;
const CONTROL_MODE: c_int = 33;
/// `SSL_OP_ENABLE_KTLS`: the kernel decrypts, so reading ahead is useless and would break it.
const OPTION_ENABLE_KTLS: u64 = 1 << 3;
/// `SSL_RECEIVED_SHUTDOWN`.
const RECEIVED_SHUTDOWN: c_int = 2;
/// `BIO_TYPE_DESCRIPTOR`: the bit in the type of all BIOs on a descriptor.
const TYPE_DESCRIPTOR: c_int = 0x100;
/// `BIO_TYPE_FILTER`: the bit in the type of a BIO that is chained before another.
pub const TYPE_FILTER: c_int = 0x200;
/// `BIO_TYPE_SOCKET`.
pub const TYPE_SOCKET: c_int = 0x505;
const LIBRARY_SSL: c_ulong = 20;
const UNEXPECTED_EOF: c_ulong = 294;

/// Numbers of BIO controls.
pub mod control {
    use std::ffi::c_int;
    pub const GET_CLOSE: c_int = 8;
    pub const SET_CLOSE: c_int = 9;
    pub const PENDING: c_int = 10;
    pub const FLUSH: c_int = 11;
    pub const DUPLICATE: c_int = 12;
    pub const WRITE_PENDING: c_int = 13;
}

/// BIO flags: why the last operation should be repeated.
pub mod retry {
    use std::ffi::c_int;
    pub const READ: c_int = 0x01 | 0x08;
    pub const WRITE: c_int = 0x02 | 0x08;
    pub const AGAIN: c_int = 0x08;
    pub const ALL: c_int = 0x0f;
}

pub type BioWriteFn = unsafe extern "C-unwind" fn(*mut BIO, *const c_char, c_int) -> c_int;
pub type BioReadFn = unsafe extern "C-unwind" fn(*mut BIO, *mut c_char, c_int) -> c_int;
pub type BioPutsFn = unsafe extern "C-unwind" fn(*mut BIO, *const c_char) -> c_int;
pub type BioControlFn = unsafe extern "C-unwind" fn(*mut BIO, c_int, c_long, *mut c_void) -> c_long;
pub type BioNotifyFn = unsafe extern "C-unwind" fn(*mut BIO) -> c_int;

unsafe extern "C-unwind" {
    pub fn SSL_read(ssl: *mut SSL, data: *mut c_void, length: c_int) -> c_int;
    pub fn SSL_write(ssl: *mut SSL, data: *const c_void, length: c_int) -> c_int;
    pub fn SSL_do_handshake(ssl: *mut SSL) -> c_int;
    pub fn SSL_renegotiate(ssl: *mut SSL) -> c_int;
    pub fn SSL_get_error(ssl: *const SSL, result: c_int) -> c_int;
    pub fn SSL_pending(ssl: *const SSL) -> c_int;
    pub fn SSL_has_pending(ssl: *const SSL) -> c_int;
    pub fn SSL_clear(ssl: *mut SSL) -> c_int;
    pub fn SSL_free(ssl: *mut SSL);
    pub fn SSL_set_connect_state(ssl: *mut SSL);
    pub fn SSL_set_accept_state(ssl: *mut SSL);
    pub fn SSL_set_bio(ssl: *mut SSL, read: *mut BIO, write: *mut BIO);
    pub fn SSL_get_rbio(ssl: *const SSL) -> *mut BIO;
    pub fn SSL_get_wbio(ssl: *const SSL) -> *mut BIO;
    pub fn SSL_get_wfd(ssl: *const SSL) -> c_int;
    fn SSL_ctrl(ssl: *mut SSL, command: c_int, number: c_long, pointer: *mut c_void) -> c_long;
    fn SSL_set_read_ahead(ssl: *mut SSL, yes: c_int);
    fn SSL_get_options(ssl: *const SSL) -> u64;
    fn SSL_get_shutdown(ssl: *const SSL) -> c_int;

    pub fn BIO_new(method: *const BIO_METHOD) -> *mut BIO;
    pub fn BIO_new_socket(socket: c_int, close: c_int) -> *mut BIO;
    fn BIO_find_type(bio: *mut BIO, kind: c_int) -> *mut BIO;
    pub fn BIO_ctrl(bio: *mut BIO, command: c_int, number: c_long, pointer: *mut c_void) -> c_long;
    pub fn BIO_free(bio: *mut BIO) -> c_int;
    pub fn BIO_up_ref(bio: *mut BIO) -> c_int;
    pub fn BIO_push(bio: *mut BIO, below: *mut BIO) -> *mut BIO;
    pub fn BIO_next(bio: *mut BIO) -> *mut BIO;
    pub fn BIO_read(bio: *mut BIO, data: *mut c_void, length: c_int) -> c_int;
    pub fn BIO_write(bio: *mut BIO, data: *const c_void, length: c_int) -> c_int;
    pub fn BIO_method_type(bio: *const BIO) -> c_int;
    pub fn BIO_test_flags(bio: *const BIO, flags: c_int) -> c_int;
    pub fn BIO_copy_next_retry(bio: *mut BIO);
    pub fn BIO_get_new_index() -> c_int;
    pub fn BIO_number_read(bio: *mut BIO) -> u64;
    pub fn BIO_number_written(bio: *mut BIO) -> u64;
    pub fn BIO_get_data(bio: *mut BIO) -> *mut c_void;
    pub fn BIO_set_data(bio: *mut BIO, data: *mut c_void);
    pub fn BIO_set_init(bio: *mut BIO, init: c_int);
    pub fn BIO_get_shutdown(bio: *mut BIO) -> c_int;
    pub fn BIO_set_shutdown(bio: *mut BIO, shutdown: c_int);
    pub fn BIO_set_flags(bio: *mut BIO, flags: c_int);
    pub fn BIO_clear_flags(bio: *mut BIO, flags: c_int);
    pub fn BIO_meth_new(kind: c_int, name: *const c_char) -> *mut BIO_METHOD;
    pub fn BIO_meth_free(method: *mut BIO_METHOD);
    pub fn BIO_meth_set_write(method: *mut BIO_METHOD, function: BioWriteFn) -> c_int;
    pub fn BIO_meth_set_read(method: *mut BIO_METHOD, function: BioReadFn) -> c_int;
    pub fn BIO_meth_set_puts(method: *mut BIO_METHOD, function: BioPutsFn) -> c_int;
    pub fn BIO_meth_set_ctrl(method: *mut BIO_METHOD, function: BioControlFn) -> c_int;
    pub fn BIO_meth_set_create(method: *mut BIO_METHOD, function: BioNotifyFn) -> c_int;
    pub fn BIO_meth_set_destroy(method: *mut BIO_METHOD, function: BioNotifyFn) -> c_int;

    pub fn ERR_clear_error();
    pub fn ERR_get_error() -> c_ulong;
    pub fn ERR_peek_error() -> c_ulong;
}

/// Sets the modes of an SSL that a bufferevent needs.
///
/// # Safety
/// The SSL is live.
pub unsafe fn prepare(ssl: *mut SSL) {
    // SAFETY: the caller guarantees the SSL.
    unsafe {
        let mode = MODE_ACCEPT_MOVING_WRITE_BUFFER;
        SSL_ctrl(ssl, CONTROL_MODE, mode, std::ptr::null_mut());
    }
}

/// Whether it is allowed to read more from the transport than an SSL asks for.
///
/// # Safety
/// The SSL is live.
pub unsafe fn may_read_ahead(ssl: *mut SSL) -> bool {
    // SAFETY: the caller guarantees the SSL.
    unsafe { SSL_get_options(ssl) & OPTION_ENABLE_KTLS == 0 }
}

/// Makes an SSL read from its transport as much as it has room for (read-ahead), or only one header
/// or body of a record at a time.
///
/// # Safety
/// The SSL is live.
pub unsafe fn read_ahead(ssl: *mut SSL, ahead: bool) {
    // SAFETY: the caller guarantees the SSL.
    unsafe {
        if may_read_ahead(ssl) {
            SSL_set_read_ahead(ssl, c_int::from(ahead));
        }
    }
}

/// Whether the peer has sent close_notify.
///
/// # Safety
/// The SSL is live.
pub unsafe fn has_ended(ssl: *mut SSL) -> bool {
    // SAFETY: the caller guarantees the SSL.
    unsafe { SSL_get_shutdown(ssl) & RECEIVED_SHUTDOWN != 0 }
}

/// The socket that an SSL already writes to. From now on freeing the SSL does not close it.
///
/// # Safety
/// The SSL is live.
pub unsafe fn take_over_descriptor(ssl: *mut SSL) -> Option<c_int> {
    // SAFETY: the caller guarantees the SSL; the BIO found is part of it.
    unsafe {
        let descriptor = SSL_get_wfd(ssl);
        if descriptor < 0 {
            return None;
        }
        let bio = BIO_find_type(SSL_get_wbio(ssl), TYPE_DESCRIPTOR);
        BIO_ctrl(bio, control::SET_CLOSE, 0, std::ptr::null_mut());
        Some(descriptor)
    }
}

/// Whether an error means that the transport has ended without close_notify.
pub fn is_unexpected_eof(error: c_ulong) -> bool {
    // Errors of the system have the highest of 32 bits set.
    error >> 23 == LIBRARY_SSL && error & 0x7f_ffff == UNEXPECTED_EOF
}
