//! Pairs: two bufferevents, each of which reads what the other writes.
//!
//! Data moves in memory, inside the call that makes it possible; callbacks are always deferred.
//! Both halves share one lock.

use super::abi::{BEV_EVENT_EOF, BuffereventFlushMode, FlushModeValue};
use super::lifetime::{self, DEFER_CALLBACKS};
use super::operations::Operations;
use super::{Bufferevent, BuffereventPtr, Direction, Guard};
use crate::base::EventBase;
use crate::buffer::Guard as BufferGuard;
use crate::buffer::abi::EvbufferCallbackInfo;
use crate::event::kind;
use crate::util::status;
use std::cell::Cell;
use std::ffi::{c_int, c_short};
use std::ptr;

/// The table of pairs.
#[unsafe(no_mangle)]
pub static bufferevent_ops_pair: Operations = Operations {
    name: c"pair_elt".as_ptr(),
    offset: 0,
    enable,
    disable,
    unlink: Some(unlink),
    destruct: None,
    adjust_timeouts: Some(adjust_timeouts),
    flush: Some(flush),
    control: None,
};

/// One half.
#[repr(C)]
struct Half {
    common: Bufferevent,
    /// The other half; null once it is gone.
    partner: Cell<*mut Bufferevent>,
}

/// Whether the receiver's settings count.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Force {
    /// What it has room for.
    No,
    /// At least something is moved, and all of it once the receiver is full.
    Yes,
}

/// Makes a pair.
///
/// # Safety
/// `base` is live or null.
pub unsafe fn create(base: *mut EventBase, options: c_int) -> Option<[*mut Bufferevent; 2]> {
    let options = options | DEFER_CALLBACKS;
    // SAFETY: the caller guarantees the base.
    unsafe {
        let first = create_half(base, options)?;
        // The second half gets the lock of the first.
        let second = create_half(base, options & !lifetime::THREADSAFE);
        let joined = second
            .filter(|second| first.lock().is_none() || second.enable_locking(first.lock()).is_ok());
        let Some(joined) = joined else {
            first.discard();
            if let Some(second) = second {
                second.discard();
            }
            return None;
        };
        joined.add_options(options);
        first.set_partner(Some(joined));
        joined.set_partner(Some(first));
        Some([first.as_ptr(), joined.as_ptr()])
    }
}

/// # Safety
/// As for [`create`].
unsafe fn create_half(base: *mut EventBase, options: c_int) -> Option<BuffereventPtr> {
    // SAFETY: the caller guarantees the base; zero bytes are a valid half.
    let half = unsafe { lifetime::create::<Half>(base, &bufferevent_ops_pair, options) }?;
    let half = BuffereventPtr(half.cast());
    half.make_events_timers();
    for direction in Direction::ALL {
        half.set_frozen(direction, true);
    }
    Some(half)
}

/// The other half. `None` for another kind, and once it is gone.
pub fn partner(bufferevent: BuffereventPtr) -> Option<BuffereventPtr> {
    let half = bufferevent.half()?;
    // SAFETY: the link is cut before the partner ends.
    unsafe { BuffereventPtr::new((*half).partner.get()) }
}

impl BuffereventPtr {
    fn half(self) -> Option<*mut Half> {
        self.is_kind(&bufferevent_ops_pair)
            .then(|| self.as_ptr().cast())
    }

    fn set_partner(self, partner: Option<BuffereventPtr>) {
        if let Some(half) = self.half() {
            let partner = partner.map_or(ptr::null_mut(), BuffereventPtr::as_ptr);
            // SAFETY: a live half.
            unsafe { (*half).partner.set(partner) };
        }
    }

    /// Whether something is to be moved to a receiver by itself.
    fn may_deliver(self, receiver: BuffereventPtr) -> bool {
        self.is_enabled(Direction::Write)
            && receiver.is_running(Direction::Read)
            && self.length(Direction::Write) > 0
    }

    /// Moves output to the input of the receiver. Code of the program may run; the caller has a
    /// guard of both.
    fn deliver(self, receiver: BuffereventPtr, force: Force) {
        let opened = (
            self.opened(Direction::Write),
            receiver.opened(Direction::Read),
        );
        self.move_output(receiver, force);
        drop(opened);
        // Timers only fail without memory, and then run out later than they should.
        let _ = receiver.restart_timer(Direction::Read);
        let _ = self.restart_timer(Direction::Write);
        receiver.trigger(Direction::Read, 0);
        self.trigger(Direction::Write, 0);
    }

    fn move_output(self, receiver: BuffereventPtr, force: Force) {
        // SAFETY: the buffers live as long as the bufferevents.
        let (output, input) = unsafe { BufferGuard::pair(self.output.get(), receiver.input.get()) };
        // Without memory for the part of a chain, or with an end that the program froze, the data
        // stays where it is.
        let _ = match receiver.input_room() {
            None => output.move_all_to(&input),
            Some(0) if force == Force::Yes => output.move_all_to(&input),
            Some(room) => output.move_to(&input, room).map(|_| ()),
        };
    }
}

/// Takes part in what is done to both halves: a guard of the bufferevent's partner.
fn partner_guard(bufferevent: BuffereventPtr) -> Option<Guard> {
    // SAFETY: the partner is live, and its lock, which this one shares, is held.
    partner(bufferevent).map(|partner| unsafe { Guard::new(partner.as_ptr()) })
}

/// # Safety
/// For all functions of the table: the bufferevent is live and its lock held.
unsafe fn guard(bufferevent: *mut Bufferevent) -> Guard {
    // SAFETY: the caller guarantees a live bufferevent.
    unsafe { Guard::new(bufferevent) }
}

/// What was appended to the output goes over to the partner.
///
/// # Safety
/// `half` was not finalized yet, and its lock is held.
#[inline(never)]
pub(super) unsafe fn output_changed(half: BuffereventPtr, change: &EvbufferCallbackInfo) {
    // SAFETY: the caller guarantees the memory.
    let Some(half) = (unsafe { Guard::if_alive(half.as_ptr()) }) else {
        return;
    };
    if change.n_added <= change.n_deleted {
        return;
    }
    match partner_guard(*half) {
        Some(receiver) if half.may_deliver(*receiver) => half.deliver(*receiver, Force::No),
        // A timer only fails without memory.
        _ => {
            let _ = half.update_timer(Direction::Write);
        }
    }
}

unsafe extern "C-unwind" fn enable(bufferevent: *mut Bufferevent, directions: c_short) -> c_int {
    // SAFETY: see `guard`.
    let half = unsafe { guard(bufferevent) };
    let mut result = Ok(());
    for direction in Direction::ALL {
        if directions & direction.kind() != 0 {
            result = result.and(half.restart_timer(direction));
        }
    }
    let Some(partner) = partner_guard(*half) else {
        return status(result);
    };
    if directions & kind::READ != 0 && partner.may_deliver(*half) {
        partner.deliver(*half, Force::No);
    }
    if directions & kind::WRITE != 0 && half.may_deliver(*partner) {
        half.deliver(*partner, Force::No);
    }
    status(result)
}

unsafe extern "C-unwind" fn disable(bufferevent: *mut Bufferevent, directions: c_short) -> c_int {
    // SAFETY: see `guard`.
    let half = unsafe { guard(bufferevent) };
    for direction in Direction::ALL {
        if directions & direction.kind() != 0 {
            // A timer is never refused.
            let _ = half.delete_event(direction);
        }
    }
    0
}

unsafe extern "C-unwind" fn unlink(bufferevent: *mut Bufferevent) {
    // SAFETY: see `guard`.
    let half = unsafe { guard(bufferevent) };
    if let Some(partner) = partner(*half) {
        half.set_partner(None);
        partner.set_partner(None);
        // The partner outlives this half: whatever ends later is finalized later.
        half.hand_over_lock(partner);
    }
}

unsafe extern "C-unwind" fn adjust_timeouts(bufferevent: *mut Bufferevent) -> c_int {
    // SAFETY: see `guard`.
    status(unsafe { guard(bufferevent) }.restart_timers())
}

unsafe extern "C-unwind" fn flush(
    bufferevent: *mut Bufferevent,
    directions: c_short,
    mode: FlushModeValue,
) -> c_int {
    // SAFETY: see `guard`.
    let half = unsafe { guard(bufferevent) };
    let Some(partner) = partner_guard(*half) else {
        return -1;
    };
    if mode == BuffereventFlushMode::BEV_NORMAL as FlushModeValue {
        return 0;
    }
    // A flush calls the read callback also when nothing was given: programs that use the reference
    // take that for a part of the end of the stream.
    if directions & kind::READ != 0 {
        partner.deliver(*half, Force::Yes);
    }
    if directions & kind::WRITE != 0 {
        half.deliver(*partner, Force::Yes);
    }
    if mode == BuffereventFlushMode::BEV_FINISHED as FlushModeValue {
        let mut what = BEV_EVENT_EOF;
        for (mine, theirs) in [
            (Direction::Read, Direction::Write),
            (Direction::Write, Direction::Read),
        ] {
            if directions & mine.kind() != 0 {
                what |= theirs.event_flag();
            }
        }
        partner.run_event_callback(what, 0);
    }
    0
}
