//! The mechanisms of the kernel that report which descriptors are ready. Each is one file behind
//! the few operations below; none of them knows the base.
//!
//! A wait is done in three steps, because the base's lock is free while the kernel waits:
//! [`Backend::prepare`] with the lock held makes a [`Wait`] that owns or points to all the kernel
//! needs, [`Wait::run`] blocks, and with the lock held again [`epoll::Results`], or
//! [`Backend::report_portably`], hand out what is ready.

pub mod changelist;
pub mod epoll;
pub mod poll;
pub mod select;

use crate::event::{EventPtr, kind};
use crate::interest::{Interest, Slot};
use crate::system::errno;
use crate::timers::Microseconds;
use crate::util::SystemError;
use std::ffi::{c_int, c_short};
use std::ptr::NonNull;

/// The mechanisms by name, in the order in which a base tries them.
#[derive(Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Mechanism {
    Epoll,
    Poll,
    Select,
}

/// Edge-triggered events work.
pub const FEATURE_EDGE_TRIGGERED: c_int = 0x01;
/// Adding, removing and activating take constant time.
pub const FEATURE_CONSTANT_TIME: c_int = 0x02;
/// Any kind of descriptor can be watched.
pub const FEATURE_ANY_DESCRIPTOR: c_int = 0x04;
/// The end of a connection is reported without reading.
pub const FEATURE_EARLY_CLOSE: c_int = 0x08;

impl Mechanism {
    /// Every mechanism, the preferred one first.
    pub const ALL: [Mechanism; 3] = [Mechanism::Epoll, Mechanism::Poll, Mechanism::Select];

    /// Its name for programs.
    pub const fn name(self) -> &'static std::ffi::CStr {
        match self {
            Mechanism::Epoll => c"epoll",
            Mechanism::Poll => c"poll",
            Mechanism::Select => c"select",
        }
    }

    /// The environment variable that disables it.
    pub fn disabling_variable(self) -> &'static std::ffi::CStr {
        match self {
            Mechanism::Epoll => c"EVENT_NOEPOLL",
            Mechanism::Poll => c"EVENT_NOPOLL",
            Mechanism::Select => c"EVENT_NOSELECT",
        }
    }

    /// What it can do.
    pub const fn features(self) -> c_int {
        match self {
            Mechanism::Epoll => {
                FEATURE_EDGE_TRIGGERED | FEATURE_CONSTANT_TIME | FEATURE_EARLY_CLOSE
            }
            Mechanism::Poll => FEATURE_ANY_DESCRIPTOR | FEATURE_EARLY_CLOSE,
            Mechanism::Select => FEATURE_ANY_DESCRIPTOR,
        }
    }
}

/// Options of a base for its mechanism.
#[derive(Clone, Copy, Default)]
pub struct Options {
    /// Collect changes and pass them to epoll just before the wait.
    pub changelist: bool,
    /// Wait with microsecond steps where the mechanism can.
    pub precise: bool,
    /// Other threads may change interest during a wait.
    pub shared: bool,
}

/// How long a wait may last.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Timeout {
    /// Do not wait.
    None,
    /// Until the deadline; the second is the present time, which is earlier.
    Until(Microseconds, Microseconds),
    /// Until something happens.
    Forever,
}

impl Timeout {
    /// In milliseconds, rounded up so that a wait never ends early, at most `longest`; -1: endless.
    fn milliseconds(self, longest: c_int) -> c_int {
        match self {
            Timeout::None => 0,
            Timeout::Forever => -1,
            Timeout::Until(deadline, now) => {
                let left = deadline.saturating_sub(now).max(0);
                let rounded = left / 1000 + (left % 1000 != 0) as i64;
                rounded.min(longest.into()) as c_int
            }
        }
    }
}

/// One descriptor that is ready.
pub struct Report {
    /// The newest event on the descriptor.
    pub first: Option<EventPtr>,
    /// Kinds of readiness.
    pub ready: c_short,
    /// An error or hang-up, which concerns every event on the descriptor, whatever it waits for.
    pub failed: bool,
    /// The edge-triggered bit, if the mechanism knows edges: reported to events that have it too.
    pub edge: c_short,
}

impl Report {
    /// There is something to read, as epoll reports it.
    #[inline(always)]
    pub fn readable(first: Option<EventPtr>) -> Report {
        Report {
            first,
            ready: kind::READ,
            failed: false,
            edge: kind::EDGE_TRIGGERED,
        }
    }

    /// What the report means for an event; 0 if it does not concern it.
    #[inline(always)]
    pub fn ready_for(&self, event: EventPtr) -> c_short {
        let wanted = event.events();
        let ready = match wanted & self.ready {
            // Nothing else would notify a closed-only event, and the kernel would go on reporting.
            0 if self.failed => wanted & kind::CLOSED,
            ready => ready,
        };
        if ready == 0 {
            0
        } else {
            ready | wanted & self.edge
        }
    }
}

/// The mechanism of a base.
pub enum Backend {
    /// Linux' own.
    Epoll(epoll::Epoll),
    /// The portable one.
    Poll(poll::Poll),
    /// The oldest one.
    Select(select::Select),
    /// None any more: the base is being freed.
    Closed,
}

/// A wait, and the memory that the kernel reads and writes during it. From [`Backend::prepare`]
/// until its results are reported, nothing else touches that memory.
#[derive(Clone, Copy)]
pub enum Wait {
    /// On an epoll instance.
    Epoll(epoll::Wait),
    /// On an array of descriptors.
    Poll(poll::Wait),
    /// On sets of descriptors.
    Select(select::Wait),
}

impl Backend {
    /// Sets the mechanism up, with a warning if the system refuses.
    pub fn new(mechanism: Mechanism, options: Options) -> Result<Backend, SystemError> {
        match mechanism {
            Mechanism::Epoll => epoll::Epoll::new(options).map(Backend::Epoll),
            Mechanism::Poll => Ok(Backend::Poll(poll::Poll::new(options))),
            Mechanism::Select => Ok(Backend::Select(select::Select::new(options))),
        }
    }

    /// The mechanism; `None` once it is closed.
    pub fn mechanism(&self) -> Option<Mechanism> {
        match self {
            Backend::Epoll(_) => Some(Mechanism::Epoll),
            Backend::Poll(_) => Some(Mechanism::Poll),
            Backend::Select(_) => Some(Mechanism::Select),
            Backend::Closed => None,
        }
    }

    /// The result of `event_base_get_method`.
    pub fn name(&self) -> &'static std::ffi::CStr {
        match self {
            Backend::Epoll(epoll) if epoll.collects_changes() => c"epoll (with changelist)",
            _ => self.mechanism().map_or(c"", Mechanism::name),
        }
    }

    /// Brings the registration of `fd` with the kernel in line with what its events want. Returns
    /// whether anything had to change; on an error the previous registration remains.
    pub fn update(&mut self, fd: c_int, interest: &mut Interest) -> Result<bool, SystemError> {
        let place = NonNull::from(interest.slot(fd));
        // SAFETY: that is where the slot is.
        unsafe { self.update_at(place, fd, interest) }
    }

    /// The same for who knows where in the table the slot is.
    ///
    /// # Safety
    /// The slot of the descriptor is there, and no reference to it is alive.
    #[inline(always)]
    pub unsafe fn update_at(
        &mut self,
        mut place: NonNull<Slot>,
        fd: c_int,
        interest: &mut Interest,
    ) -> Result<bool, SystemError> {
        if let Backend::Epoll(epoll) = self {
            // SAFETY: the caller guarantees the place; the table is borrowed exclusively.
            epoll.update(fd, unsafe { place.as_mut() })
        } else {
            self.update_portably(fd, interest)
        }
    }

    /// [`Backend::update`] for the mechanisms that other systems have too.
    #[inline(never)]
    fn update_portably(&mut self, fd: c_int, interest: &mut Interest) -> Result<bool, SystemError> {
        match self {
            Backend::Poll(poll) => poll.update(fd, interest),
            Backend::Select(select) => select.update(fd, interest.slot(fd)),
            Backend::Epoll(_) | Backend::Closed => Ok(false),
        }
    }

    /// Makes the kernel report again what it reported of `fd` when that was not passed on; with
    /// `edge`, also what it reports only once. A refusal was logged.
    pub fn report_again(&mut self, fd: c_int, edge: bool, interest: &mut Interest) {
        // The others report at each wait what is ready.
        if let Backend::Epoll(epoll) = self {
            if let Some(slot) = interest.get(fd) {
                epoll.report_again(fd, slot, edge);
            }
        }
    }

    /// Whether a change takes effect in a wait that is in progress in another thread, or that wait
    /// must end first.
    #[inline]
    pub fn applies_changes_while_waiting(&self) -> bool {
        matches!(self, Backend::Epoll(epoll) if !epoll.collects_changes())
    }

    /// The list of changes, in the mode that has one.
    pub fn changelist(&mut self) -> Option<&mut changelist::Changelist> {
        match self {
            Backend::Epoll(epoll) => epoll.changelist(),
            _ => None,
        }
    }

    /// Lets go of kernel objects that are shared with a parent process, so that changes made here
    /// do not reach them.
    pub fn abandon(&mut self) {
        if let Backend::Epoll(epoll) = self {
            epoll.abandon();
        }
    }

    /// Registers everything with a new kernel object. Every descriptor is tried; an error means
    /// that one of them, or the object itself, was refused.
    pub fn reinitialise(&mut self, interest: &mut Interest) -> Result<(), SystemError> {
        if let Backend::Epoll(epoll) = self {
            return epoll.rebuild(interest);
        }
        // The others keep nothing in the kernel. They only learn what they do not know.
        let mut result = Ok(());
        let mut from = 0;
        while let Some(fd) = interest.next_watched(from) {
            result = result.and(self.update(fd, interest).map(|_| ()));
            from = fd + 1;
        }
        result
    }

    /// The last steps before a wait.
    #[inline(always)]
    pub fn prepare(
        &mut self,
        interest: &mut Interest,
        timeout: Timeout,
    ) -> Result<Wait, SystemError> {
        match self {
            Backend::Epoll(epoll) => Ok(Wait::Epoll(epoll.prepare(interest, timeout))),
            Backend::Poll(poll) => poll.prepare(timeout).map(Wait::Poll),
            Backend::Select(select) => select.prepare(timeout).map(Wait::Select),
            Backend::Closed => Err(SystemError),
        }
    }

    /// For the mechanisms that other systems have too: takes the results of a wait back; an
    /// interrupted wait has none.
    pub fn finish_portably(
        &mut self,
        ready: Result<usize, SystemError>,
    ) -> Result<usize, SystemError> {
        match self {
            Backend::Poll(poll) => poll.finish(ready),
            Backend::Select(select) => select.finish(ready),
            Backend::Epoll(_) | Backend::Closed => Err(SystemError),
        }
    }

    /// For the same: the next result of the last wait, asked for as often as there are; `None`:
    /// nothing to tell there.
    pub fn report_portably(&mut self, interest: &mut Interest) -> Option<Report> {
        match self {
            Backend::Poll(poll) => poll.report(interest),
            Backend::Select(select) => select.report(interest),
            Backend::Epoll(_) | Backend::Closed => None,
        }
    }
}

impl Wait {
    /// Blocks. Runs without the base's lock.
    #[inline(always)]
    pub fn run(self) -> Result<usize, SystemError> {
        match self {
            Wait::Epoll(wait) => wait.run(),
            Wait::Poll(wait) => wait.run(),
            Wait::Select(wait) => wait.run(),
        }
    }
}

/// Where to begin looking for results, so that no descriptor is always served first.
#[derive(Default)]
struct Rotation(u32);

impl Rotation {
    /// A place below `count`, another one each time; 0 when there are none.
    fn next(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 as usize >> 4).checked_rem(count).unwrap_or(0)
    }
}

/// The result of a waiting system call: an interruption counts as an empty result, not as an error.
#[inline(always)]
fn wait_result(result: c_int, call: &str) -> Result<usize, SystemError> {
    if result >= 0 {
        return Ok(result as usize);
    }
    wait_failed(call)
}

#[cold]
fn wait_failed(call: &str) -> Result<usize, SystemError> {
    if errno() == libc::EINTR {
        return Ok(0);
    }
    crate::warning_with_errno!("{call}");
    Err(SystemError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_rounded_up_and_capped() {
        assert_eq!(Timeout::Until(1, 0).milliseconds(100), 1);
        assert_eq!(Timeout::Until(1001, 0).milliseconds(100), 2);
        assert_eq!(Timeout::Until(i64::MAX, -5).milliseconds(100), 100);
        assert_eq!(Timeout::Until(5, 9).milliseconds(100), 0);
        assert_eq!(Timeout::Forever.milliseconds(100), -1);
    }
}
