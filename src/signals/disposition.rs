//! Who handles a signal: the library while some base watches it; before and after that, whoever
//! the program had chosen.

use super::Held;
use crate::system;
use crate::util::SystemError;
use crate::warning_with_errno;
use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::ptr::{self, addr_of_mut};

/// One signal.
#[derive(Clone, Copy)]
struct Disposition {
    /// Bases that have it handled.
    bases: c_int,
    /// What was there before the first of them; holds while there are any.
    previous: MaybeUninit<libc::sigaction>,
}

/// By number. Used with [`Held`].
static mut DISPOSITIONS: [Disposition; super::LIMIT] = [Disposition {
    bases: 0,
    previous: MaybeUninit::uninit(),
}; super::LIMIT];

fn of(number: c_int) -> Result<*mut Disposition, SystemError> {
    let number = usize::try_from(number).map_err(|_| SystemError)?;
    if number >= super::LIMIT {
        return Err(SystemError);
    }
    // SAFETY: the index is in range; no reference is made to the table.
    Ok(unsafe { addr_of_mut!(DISPOSITIONS).cast::<Disposition>().add(number) })
}

/// Replaces the handling of a signal for one base more, remembering what was there.
pub fn install(number: c_int, handler: libc::sighandler_t) -> Result<(), SystemError> {
    let _held = Held::lock();
    let disposition = of(number)?;
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    let mut found = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: zero bytes are a valid action, which is then filled; the lock is held.
    unsafe {
        let action = action.as_mut_ptr();
        (*action).sa_sigaction = handler;
        (*action).sa_flags = libc::SA_RESTART;
        libc::sigfillset(addr_of_mut!((*action).sa_mask));
        if system::sigaction(number, action, found.as_mut_ptr()) < 0 {
            warning_with_errno!("sigaction");
            return Err(SystemError);
        }
        // The program may have put its own handler there between two bases.
        let foreign = (*found.as_ptr()).sa_sigaction != handler;
        if (*disposition).bases == 0 || foreign {
            (*disposition).previous = found;
        }
        (*disposition).bases += 1;
    }
    Ok(())
}

/// A base has the signal handled no more; the last one puts back what was there.
pub fn restore(number: c_int) -> Result<(), SystemError> {
    let _held = Held::lock();
    let disposition = of(number)?;
    // SAFETY: the lock is held; `previous` holds while there are bases.
    unsafe {
        if (*disposition).bases == 0 {
            return Ok(());
        }
        (*disposition).bases -= 1;
        let last = (*disposition).bases == 0;
        let previous = (*disposition).previous.as_ptr();
        if last && system::sigaction(number, previous, ptr::null_mut()) < 0 {
            warning_with_errno!("sigaction");
            return Err(SystemError);
        }
    }
    Ok(())
}
