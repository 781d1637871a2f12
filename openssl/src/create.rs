//! Creation of TLS bufferevents.

use crate::interest::WaitFailed;
use crate::libevent::*;
use crate::openssl::{self, SSL, SSL_free};
use crate::operations::bufferevent_ops_openssl;
use crate::tls::{State, Tls, TlsPtr};
use crate::{filter, panic, socket};
use std::ffi::{c_int, c_void};
use std::ptr::{self, NonNull};

/// The transport of a new bufferevent: what carries the ciphertext.
#[derive(Clone, Copy)]
pub enum Transport {
    /// A socket, or -1 if there is none yet.
    Descriptor(c_int),
    /// Another bufferevent.
    Bufferevent(*mut Bufferevent),
}

/// Creates a bufferevent. On failure the SSL is freed if the options contain
/// `BEV_OPT_CLOSE_ON_FREE`; the transport is not.
///
/// # Safety
/// Base, SSL and the underlying bufferevent are live.
pub unsafe fn create(
    base: *mut EventBase,
    transport: Transport,
    ssl: *mut SSL,
    state: Option<State>,
    options: c_int,
) -> *mut Bufferevent {
    panic::install();
    // SAFETY: the caller guarantees that base, SSL and the underlying bufferevent are live.
    let made = state.and_then(|state| unsafe { make(base, transport, ssl, state, options) });
    match made {
        Some(tls) => tls.as_ptr(),
        None => {
            if options & option::CLOSE_ON_FREE != 0 {
                // SAFETY: with this option the SSL is ours to free.
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
            socket::bind_descriptor(ssl, descriptor)
        }?),
    };
    // SAFETY: all-zero bytes are a valid TLS bufferevent; the core initialises its own part.
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

/// Zeroed memory for a bufferevent. Filters have a queue entry at the end of the block.
fn allocate(is_filter: bool) -> Option<NonNull<c_void>> {
    let entry = if is_filter {
        size_of::<EventCallback>()
    } else {
        0
    };
    // SAFETY: allocates.
    NonNull::new(unsafe { event_mm_calloc_(1, size_of::<Tls>() + entry) })
}

/// Completes a bufferevent of which the core has initialised its part.
///
/// # Safety
/// As for [`create`].
unsafe fn set_up(tls: TlsPtr, descriptor: c_int) -> Result<(), WaitFailed> {
    let argument = tls.as_ptr().cast();
    // SAFETY: only the new bufferevent is changed, which nobody else has yet; the base is live.
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
    // From here on the bufferevent is in use, so its lock is held.
    // SAFETY: it is live.
    let guard = unsafe { crate::tls::Guard::new(tls.as_ptr()) };
    guard.begin()?;
    guard.begin_waiting()
}

/// A filter always shares the lock of the underlying bufferevent, even without
/// `BEV_OPT_THREADSAFE`.
unsafe fn share_lock(tls: TlsPtr) -> Result<(), WaitFailed> {
    // SAFETY: the underlying bufferevent is live, as `create` requires.
    unsafe {
        let lock = (*tls.below.get()).lock.get();
        let shared = tls.common.lock.get();
        if shared.is_null()
            && !lock.is_null()
            && bufferevent_enable_locking_(tls.as_ptr(), lock) < 0
        {
            return Err(WaitFailed);
        }
    }
    Ok(())
}

impl TlsPtr {
    fn begin_waiting(self) -> Result<(), WaitFailed> {
        if self.is_filter() {
            self.take_over_below();
            self.schedule_handshake();
            Ok(())
        } else if self.is_open() {
            // Not for anything yet: it is not enabled.
            Ok(())
        } else {
            self.update_interest()
        }
    }
}

/// Releases a bufferevent whose creation failed, but neither its SSL nor its transport. The loop
/// frees the memory.
fn discard(tls: TlsPtr) {
    let options = &tls.common.options;
    options.set(options.get() & !option::CLOSE_ON_FREE);
    tls.below.set(ptr::null_mut());
    // SAFETY: it is live, and the program never received it.
    unsafe { bufferevent_free(tls.as_ptr()) };
}
