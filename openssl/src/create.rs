//! Construction.

use crate::interest::NotAwaited;
use crate::libevent::*;
use crate::openssl::{self, SSL, SSL_free};
use crate::operations::bufferevent_ops_openssl;
use crate::tls::{State, Tls, TlsPtr};
use crate::{filter, panic, socket};
use std::ffi::{c_int, c_void};
use std::ptr::{self, NonNull};

/// What the ciphertext of a new bufferevent goes over.
#[derive(Clone, Copy)]
pub enum Transport {
    /// A descriptor, or -1 for none yet.
    Descriptor(c_int),
    /// Another bufferevent.
    Bufferevent(*mut Bufferevent),
}

/// Makes a bufferevent. On failure the SSL is freed if the options have it close on free, and
/// nothing else.
///
/// # Safety
/// Base, SSL and the bufferevent below are live.
pub unsafe fn create(
    base: *mut EventBase,
    transport: Transport,
    ssl: *mut SSL,
    state: Option<State>,
    options: c_int,
) -> *mut Bufferevent {
    panic::install();
    // SAFETY: the caller guarantees all of it.
    let made = state.and_then(|state| unsafe { make(base, transport, ssl, state, options) });
    match made {
        Some(tls) => tls.as_ptr(),
        None => {
            if options & option::CLOSE_ON_FREE != 0 {
                // SAFETY: the options give the SSL to us.
                unsafe { SSL_free(ssl) };
            }
            ptr::null_mut()
        }
    }
}

/// # Safety
/// As for [`create`].
unsafe fn make(
    base: *mut EventBase,
    transport: Transport,
    ssl: *mut SSL,
    state: State,
    options: c_int,
) -> Option<TlsPtr> {
    let (below, descriptor) = match transport {
        Transport::Bufferevent(below) if below.is_null() => return None,
        Transport::Bufferevent(below) => (below, -1),
        // SAFETY: the caller guarantees the SSL.
        Transport::Descriptor(descriptor) => (ptr::null_mut(), unsafe {
            socket::settle_descriptor(ssl, descriptor)
        }?),
    };
    // SAFETY: zero bytes are a valid bufferevent of this kind; the core prepares its part.
    unsafe {
        let block = allocate(!below.is_null())?;
        let tls = TlsPtr::new(block.as_ptr().cast());
        tls.ssl.set(ssl);
        tls.below.set(below);
        tls.first_state.set(state);
        if bufferevent_init_common_(tls.as_ptr(), base, &bufferevent_ops_openssl, options) < 0 {
            event_mm_free_(block.as_ptr());
            return None;
        }
        if set_up(tls, descriptor).is_err() {
            discard(tls);
            return None;
        }
        Some(tls)
    }
}

/// Zeroed memory for a bufferevent; that of one above another has a queue entry behind it.
fn allocate(is_filter: bool) -> Option<NonNull<c_void>> {
    let entry = if is_filter {
        size_of::<EventCallback>()
    } else {
        0
    };
    // SAFETY: allocates.
    NonNull::new(unsafe { event_mm_calloc_(1, size_of::<Tls>() + entry) })
}

/// What is missing after the core has prepared its part.
///
/// # Safety
/// As for [`create`].
unsafe fn set_up(tls: TlsPtr, descriptor: c_int) -> Result<(), NotAwaited> {
    let argument = tls.as_ptr().cast();
    // SAFETY: all of it is part of the new bufferevent; the base is live.
    unsafe {
        if tls.is_filter() {
            tls.descriptor.set(-1);
            bufferevent_init_generic_timeout_cbs_(tls.as_ptr());
            let priority = event_get_priority(tls.event(crate::tls::Direction::Read)) as u8;
            init_holding_callback(tls.pass(), priority, filter::run_pass, argument);
        } else {
            tls.bind(descriptor);
        }
        openssl::prepare(tls.ssl());
        if tls.is_filter() {
            share_lock(tls)?;
            tls.set_bio_below()?;
        }
    }
    // From here on the bufferevent is used, so with its lock.
    // SAFETY: it is live.
    let guard = unsafe { crate::tls::Guard::new(tls.as_ptr()) };
    guard.begin()?;
    guard.begin_waiting()
}

/// A bufferevent shares the lock of the one below also where it was not asked to have one.
unsafe fn share_lock(tls: TlsPtr) -> Result<(), NotAwaited> {
    // SAFETY: the one below is live.
    unsafe {
        let lock = (*tls.below.get()).lock.get();
        let shared = tls.common.lock.get();
        if shared.is_null()
            && !lock.is_null()
            && bufferevent_enable_locking_(tls.as_ptr(), lock) < 0
        {
            return Err(NotAwaited);
        }
    }
    Ok(())
}

impl TlsPtr {
    fn begin_waiting(self) -> Result<(), NotAwaited> {
        if self.is_filter() {
            self.take_over_below();
            self.schedule_handshake();
            Ok(())
        } else if self.is_open() {
            // For nothing, before it is enabled.
            Ok(())
        } else {
            self.update_interest()
        }
    }
}

/// Gives back a bufferevent that nobody has seen, but neither its SSL nor what that goes over. The
/// loop frees it.
fn discard(tls: TlsPtr) {
    let options = &tls.common.options;
    options.set(options.get() & !option::CLOSE_ON_FREE);
    tls.below.set(ptr::null_mut());
    // SAFETY: it is live, and used by nobody.
    unsafe { bufferevent_free(tls.as_ptr()) };
}
