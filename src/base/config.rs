//! `struct event_config`: how a base is to be made.

use crate::backend::Mechanism;
use crate::hooks::memory::{self, Array, OutOfMemory};
use crate::timers::Microseconds;
use std::ffi::{CStr, c_char, c_int};

/// Flags of a base.
#[allow(missing_docs)]
pub mod flag {
    use std::ffi::c_int;
    pub const NO_LOCK: c_int = 0x01;
    pub const IGNORE_ENVIRONMENT: c_int = 0x02;
    pub const NO_CACHE_TIME: c_int = 0x08;
    pub const EPOLL_USE_CHANGELIST: c_int = 0x10;
    pub const PRECISE_TIMER: c_int = 0x20;
}

/// `struct event_config`; only read while a base is made.
pub struct EventConfig {
    avoided: Array<*mut c_char>,
    pub(crate) required_features: c_int,
    pub(crate) flags: c_int,
    pub(crate) max_dispatch_interval: Option<Microseconds>,
    pub(crate) max_dispatch_callbacks: c_int,
    pub(crate) limited_priority: c_int,
}

impl EventConfig {
    /// What a base gets without a configuration.
    pub const DEFAULT: EventConfig = EventConfig {
        avoided: Array::new(),
        required_features: 0,
        flags: 0,
        max_dispatch_interval: None,
        max_dispatch_callbacks: c_int::MAX,
        limited_priority: 1,
    };

    /// A default configuration in memory of its own.
    pub fn allocate() -> Result<*mut EventConfig, OutOfMemory> {
        let config = memory::allocate_zeroed::<EventConfig>()?.as_ptr();
        // SAFETY: the block is new and large enough.
        unsafe { config.write(EventConfig::DEFAULT) };
        Ok(config)
    }

    /// Frees a configuration.
    ///
    /// # Safety
    /// `config` came from [`EventConfig::allocate`] and is used no more.
    pub unsafe fn free(config: *mut EventConfig) {
        // SAFETY: the caller hands the block over.
        unsafe {
            std::ptr::drop_in_place(config);
            memory::free(config.cast());
        }
    }

    /// Remembers a copy of the name of a mechanism that must not be used.
    pub fn avoid(&mut self, name: &CStr) -> Result<(), OutOfMemory> {
        self.avoided.try_reserve(1)?;
        // SAFETY: the name is a C string.
        let copy = unsafe { memory::strdup(name.as_ptr()) };
        if copy.is_null() {
            return Err(OutOfMemory);
        }
        self.avoided.try_push(copy)
    }

    /// Whether the mechanism was named to [`EventConfig::avoid`].
    pub fn avoids(&self, mechanism: Mechanism) -> bool {
        // SAFETY: the list holds C strings of its own.
        self.avoided
            .iter()
            .any(|name| unsafe { CStr::from_ptr(*name) } == mechanism.name())
    }
}

impl Drop for EventConfig {
    fn drop(&mut self) {
        while let Some(name) = self.avoided.pop() {
            // SAFETY: the name is this list's own copy.
            unsafe { memory::free(name.cast()) };
        }
    }
}
