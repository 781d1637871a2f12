//! The one resolver of the 1.4 interface.

use super::log;
use super::resolver::{self, EvdnsBase};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, Ordering::Relaxed};

static BASE: AtomicPtr<EvdnsBase> = AtomicPtr::new(ptr::null_mut());

/// The resolver, or null.
pub fn get() -> *mut EvdnsBase {
    BASE.load(Relaxed)
}

/// A new resolver with what the system configures; one that was there stays as it is.
pub fn initialise() -> Option<()> {
    // SAFETY: the loop is the current one.
    let base =
        unsafe { resolver::create(ptr::null_mut(), resolver::start::INITIALIZE_NAME_SERVERS) };
    BASE.store(base?.as_ptr(), Relaxed);
    Some(())
}

/// The resolver, made without any server if there was none.
pub fn get_or_create() -> Option<NonNull<EvdnsBase>> {
    if let Some(base) = NonNull::new(get()) {
        return Some(base);
    }
    // SAFETY: the loop is the current one.
    let base = unsafe { resolver::create(ptr::null_mut(), 0) }?;
    BASE.store(base.as_ptr(), Relaxed);
    Some(base)
}

/// Frees the resolver, if there is one, and forgets the log function.
pub fn shut_down(fail: bool) {
    let base = BASE.swap(ptr::null_mut(), Relaxed);
    if !base.is_null() {
        // SAFETY: nobody else frees it.
        unsafe { resolver::free(base, fail) };
    }
    log::set_callback(None);
}
