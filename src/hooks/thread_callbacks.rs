//! Setting the callbacks for locks, conditions and thread ids, and the rules about when.

use super::threads::{
    ConditionCallbacks, IdCallback, LockCallbacks, event_debug_created_threadable_ctx_,
    event_debug_mode_on_, evthread_cond_fns_, evthread_id_fn_, evthread_lock_fns_,
};
use super::{global_locks, lock_debugging, log};
use crate::warning;
use std::ptr::{addr_of, addr_of_mut};

/// Why callbacks were not installed; those that were there before still are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetError {
    /// Some function is missing.
    Incomplete,
    /// Others are in force already.
    Conflict,
    /// A lock of the process could not be made.
    OutOfMemory,
}

/// Where the program's own lock callbacks are stored: in force, or behind the debugging wrappers.
pub fn program_lock_callbacks() -> *mut LockCallbacks {
    if lock_debugging::wrappers_in_force() {
        lock_debugging::original_lock_callbacks()
    } else {
        addr_of_mut!(evthread_lock_fns_)
    }
}

/// Where the program's own condition callbacks are stored.
pub fn program_condition_callbacks() -> *mut ConditionCallbacks {
    if lock_debugging::wrappers_in_force() {
        lock_debugging::original_condition_callbacks()
    } else {
        addr_of_mut!(evthread_cond_fns_)
    }
}

/// In debug mode the callbacks are fixed as soon as a base exists: a violation is fatal.
pub fn require_early_call() {
    // SAFETY: plain words, written when debug mode and the first base start.
    let late = unsafe {
        *addr_of!(event_debug_mode_on_) != 0 && *addr_of!(event_debug_created_threadable_ctx_) != 0
    };
    if late {
        log::fatal(
            1,
            format_args!("evthread initialization must be called BEFORE anything else!"),
        );
    }
}

/// Installs lock callbacks and makes the locks of the process with them; `None` clears them.
pub fn set_lock_callbacks(callbacks: Option<LockCallbacks>) -> Result<(), SetError> {
    require_early_call();
    // SAFETY: the callbacks are set before other threads use the library.
    let current = unsafe { &mut *program_lock_callbacks() };
    let Some(wanted) = callbacks else {
        clear_lock_callbacks(current);
        return Ok(());
    };
    if current.alloc.is_some() {
        if *current == wanted {
            return Ok(());
        }
        warning!("Can't change lock callbacks once they have been initialized.");
        return Err(SetError::Conflict);
    }
    if !wanted.is_complete() {
        return Err(SetError::Incomplete);
    }
    *current = wanted;
    global_locks::set_up_all(true).map_err(|_| {
        global_locks::give_back(&wanted);
        *current = LockCallbacks::NONE;
        SetError::OutOfMemory
    })
}

fn clear_lock_callbacks(current: &mut LockCallbacks) {
    if current.alloc.is_some() {
        warning!(
            "Trying to disable lock functions after they have been set up will probaby not work."
        );
        global_locks::keep(*current);
    }
    *current = LockCallbacks::NONE;
}

/// Installs condition callbacks; `None` clears them.
pub fn set_condition_callbacks(callbacks: Option<ConditionCallbacks>) -> Result<(), SetError> {
    require_early_call();
    // SAFETY: the callbacks are set before other threads use the library.
    let current = unsafe { &mut *program_condition_callbacks() };
    let Some(wanted) = callbacks else {
        if current.alloc_condition.is_some() {
            warning!(
                "Trying to disable condition functions after they have been set up will probaby not work."
            );
        }
        *current = ConditionCallbacks::NONE;
        lock_debugging::rewrap_condition_callbacks();
        return Ok(());
    };
    if current.alloc_condition.is_some() {
        if *current == wanted {
            return Ok(());
        }
        warning!("Can't change condition callbacks once they have been initialized.");
        return Err(SetError::Conflict);
    }
    if !wanted.is_complete() {
        return Err(SetError::Incomplete);
    }
    *current = wanted;
    lock_debugging::rewrap_condition_callbacks();
    Ok(())
}

/// Installs the function that identifies threads; `None` means that there is only one.
pub fn set_id_callback(callback: Option<IdCallback>) {
    // SAFETY: set before other threads use the library.
    unsafe { evthread_id_fn_ = callback }
}
