//! epoll: the kernel keeps the registrations, and a wait returns only what is ready.
//!
//! A descriptor whose events all end with their callback is registered for one report
//! (EPOLLONESHOT). The report disarms it, so that deleting the events costs nothing and adding
//! them again one call: a change of the disarmed entry, which fails for a new file of that number.

use super::changelist::{self, Changelist};
use super::{Options, Report, Timeout, wait_result};
use crate::event::{EventPtr, kind};
use crate::hooks::memory::Array;
use crate::interest::{Interest, Slot};
use crate::system::{self, errno, set_errno, substitutes, uncancelled};
use crate::timers::{Microseconds, time};
use crate::util::SystemError;
use crate::util::file;
use crate::{hooks::memory::OutOfMemory, warning_with_errno};
use libc::epoll_event;
use std::ffi::{c_int, c_short};

/// Longest wait in milliseconds; some kernels took longer ones for negative.
const LONGEST_WAIT: c_int = 35 * 60 * 1000;
const FIRST_BATCH: usize = 32;
const LARGEST_BATCH: usize = 4096;
/// User data of the timer descriptor; no generation and descriptor combine to it.
const TIMER: u64 = u64::MAX;
/// This many waits in a row with the same report for nobody mean that the file, closed under its
/// number, is still open elsewhere and will be reported for ever.
const STALE_WAITS: u32 = 16;

/// What the kernel was told about a descriptor, or should be: kinds of readiness, as bits of
/// [`kind`], and how they are reported. Zero: not watched. Kept in the bits of the slot, where one
/// bit more is the list of changes'.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
struct Registered(u8);

impl Registered {
    /// Reported once, then disarmed until armed again.
    const ONCE: Registered = Registered(0x01);
    /// The kernel has an entry for the descriptor, armed or not.
    const PRESENT: Registered = Registered(0x40);
    /// The last event went and another came since the kernel was told: it may be another file.
    const RENEWED: Registered = Registered(0x10);
    /// Reported when readiness changes.
    const EDGE: Registered = Registered(kind::EDGE_TRIGGERED as u8);
    const KINDS: u8 = kind::IO as u8;

    /// Only kinds.
    #[inline]
    fn of_kinds(kinds: c_short) -> Registered {
        Registered(kinds as u8 & Self::KINDS)
    }

    /// The kinds.
    #[inline]
    fn kinds(self) -> c_short {
        (self.0 & Self::KINDS).into()
    }

    /// Whether it is reported so.
    #[inline]
    fn has(self, manner: Registered) -> bool {
        self.0 & manner.0 != 0
    }

    /// The same and `manner`.
    #[inline]
    fn with(self, manner: Registered) -> Registered {
        Registered(self.0 | manner.0)
    }

    /// The same without `manner`.
    #[inline]
    fn without(self, manner: Registered) -> Registered {
        Registered(self.0 & !manner.0)
    }

    /// No kinds: the entry is disarmed.
    #[inline]
    fn disarmed(self) -> Registered {
        Registered(self.0 & !Self::KINDS)
    }

    /// What the events of a descriptor want. Edge-triggered only if every event is, because the
    /// others would miss readiness; once if no event outlives its callback anyway.
    #[inline]
    fn wanted_by(slot: &Slot) -> Registered {
        let kinds = Registered::of_kinds(slot.kinds());
        if slot.all_edge_triggered() {
            kinds.with(Registered::EDGE)
        } else if slot.none_persistent() {
            kinds.with(Registered::ONCE)
        } else {
            kinds
        }
    }

    /// Whether a kernel that was told this behaves as wanted. Repeated reports are as good
    /// as single ones, because deleting an event ends them.
    #[inline]
    fn suffices(self, wanted: Registered) -> bool {
        let difference = self.0 ^ wanted.0;
        if wanted.0 & Self::KINDS == 0 {
            return difference & Self::KINDS == 0;
        }
        let needless = Self::PRESENT.0 | (wanted.0 & Self::ONCE.0);
        difference & !needless == 0
    }
}

/// The slot of a descriptor, with what epoll keeps there: what the kernel was told, and a
/// generation: how often the descriptor went from no events to one, which identifies reports for an
/// earlier life.
trait EpollSlot {
    fn registered(&self) -> Registered;
    fn set_registered(&mut self, registered: Registered);
    fn generation(&self) -> u32;
    fn renew(&mut self);
    /// The kernel has no entry for the descriptor, not even a disarmed one, and is not about to get
    /// one.
    fn is_unregistered(&self) -> bool;
}

impl EpollSlot for Slot {
    #[inline]
    fn registered(&self) -> Registered {
        Registered(self.backend_bits & !changelist::NOTED)
    }

    #[inline]
    fn set_registered(&mut self, registered: Registered) {
        self.backend_bits = self.backend_bits & changelist::NOTED | registered.0;
    }

    #[inline]
    fn is_unregistered(&self) -> bool {
        !self.registered().has(Registered::PRESENT) && self.backend_bits & changelist::NOTED == 0
    }

    #[inline]
    fn generation(&self) -> u32 {
        self.backend_number
    }

    #[inline]
    fn renew(&mut self) {
        self.backend_number = self.backend_number.wrapping_add(1);
        self.backend_bits |= Registered::RENEWED.0;
    }
}

/// An epoll instance.
pub struct Epoll {
    fd: c_int,
    // Whether waits have microsecond precision.
    precise: bool,
    // The timer descriptor for that; -1 if there is none.
    timer: c_int,
    // The deadline that the timer descriptor is set to.
    armed: Microseconds,
    changes: Option<Changelist>,
    // Room for the results of a wait; the first `ready` are those of the last one.
    results: Array<epoll_event>,
    ready: usize,
    // The last results disarmed a descriptor.
    disarmed: bool,
    // There is something to do before the next wait: see `do_pending_work`.
    has_pending_work: bool,
    // The kernel has refused a change of a registration.
    refused: bool,
    stale: StaleReports,
}

/// Reports that concern nobody. One for an event that another thread has just deleted is harmless
/// and is not repeated, because each life of a descriptor has a generation of its own.
#[derive(Default)]
struct StaleReports {
    /// The user data of the one that is watched for.
    suspect: u64,
    /// It came in this many consecutive waits.
    waits: u32,
    /// It came in the last wait, too.
    again: bool,
    /// Another one that came in the last wait, to be watched for next.
    other: Option<u64>,
}

impl StaleReports {
    #[cold]
    fn note(&mut self, data: u64) {
        if self.waits > 0 && data == self.suspect {
            self.again = true;
        } else {
            self.other = Some(data);
        }
    }

    /// To be called after a wait, which `left_some` if there were more reports than room. Whether
    /// one comes again and again.
    fn is_endless(&mut self, left_some: bool) -> bool {
        let other = self.other.take();
        if std::mem::take(&mut self.again) {
            self.waits += 1;
        } else if !(left_some && self.waits > 0) {
            self.suspect = other.unwrap_or(0);
            self.waits = other.is_some().into();
        }
        if self.waits < STALE_WAITS {
            return false;
        }
        self.waits = 0;
        true
    }
}

/// The reports of a wait that were not taken yet, where the kernel wrote them, which nobody
/// touches before the next wait is prepared.
pub struct Results {
    next: *const epoll_event,
    end: *const epoll_event,
}

/// One of them.
#[derive(Clone, Copy)]
pub struct Found {
    events: c_int,
    data: u64,
}

/// A prepared wait.
#[derive(Clone, Copy)]
pub struct Wait {
    fd: c_int,
    results: *mut epoll_event,
    room: c_int,
    milliseconds: c_int,
}

const EMPTY: epoll_event = epoll_event { events: 0, u64: 0 };

fn create() -> Result<c_int, SystemError> {
    let fd = substitutes::epoll_create();
    if fd < 0 {
        if errno() != libc::ENOSYS {
            warning_with_errno!("epoll_create");
        }
        return Err(SystemError);
    }
    Ok(fd)
}

fn close(fd: c_int) {
    if fd >= 0 {
        // SAFETY: the descriptor is this instance's own.
        unsafe { uncancelled::close(fd) };
    }
}

/// A timer descriptor that makes `epoll` return, or -1: then waits end with the millisecond.
fn create_timer(epoll: c_int) -> c_int {
    // SAFETY: timerfd_create takes no pointers.
    let timer = unsafe {
        system::timerfd_create(
            libc::CLOCK_MONOTONIC,
            libc::TFD_NONBLOCK | libc::TFD_CLOEXEC,
        )
    };
    if timer < 0 {
        return -1;
    }
    // Edge-triggered: its expiry is news once, and it never needs to be read.
    let mut event = epoll_event {
        events: (libc::EPOLLIN | libc::EPOLLET) as u32,
        u64: TIMER,
    };
    // SAFETY: both descriptors are ours and `event` is valid for the call.
    if unsafe { system::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, timer, &mut event) } < 0 {
        warning_with_errno!("epoll_ctl(timerfd)");
        close(timer);
        return -1;
    }
    timer
}

impl Epoll {
    /// A new instance.
    pub fn new(options: Options) -> Result<Epoll, SystemError> {
        let mut results = Array::new();
        results.try_extend_to(FIRST_BATCH, EMPTY)?;
        let fd = create()?;
        Ok(Epoll {
            fd,
            precise: options.precise,
            timer: if options.precise {
                create_timer(fd)
            } else {
                -1
            },
            armed: 0,
            changes: options.changelist.then(Changelist::new),
            results,
            ready: 0,
            disarmed: false,
            has_pending_work: options.changelist,
            refused: false,
            stale: StaleReports::default(),
        })
    }

    /// Whether changes are passed to the kernel just before the wait.
    pub fn collects_changes(&self) -> bool {
        self.changes.is_some()
    }

    /// The list of changes, in the mode that has one.
    pub fn changelist(&mut self) -> Option<&mut Changelist> {
        self.changes.as_mut()
    }

    /// See [`super::Backend::update`].
    #[inline(always)]
    pub fn update(&mut self, fd: c_int, slot: &mut Slot) -> Result<bool, SystemError> {
        let wanted = Registered::wanted_by(slot);
        if wanted.kinds() != 0 && slot.is_empty() {
            slot.renew();
        }
        if slot.registered().suffices(wanted) {
            return Ok(false);
        }
        match &mut self.changes {
            // The kernel is asked at once, for one that it refuses would never be heard of.
            Some(_) if slot.is_unregistered() && file::is_file(fd) => {
                self.set_registration(fd, slot, wanted)?;
            }
            Some(changes) => changes.note(fd, slot)?,
            None => {
                if let Err(error) = self.set_registration(fd, slot, wanted) {
                    self.note_refused();
                    return Err(error);
                }
            }
        }
        Ok(true)
    }

    #[cold]
    fn note_refused(&mut self) {
        self.refused = true;
        self.has_pending_work = true;
    }

    /// See [`super::Backend::report_again`].
    pub fn report_again(&mut self, fd: c_int, slot: &mut Slot, edge: bool) {
        let registered = slot.registered();
        if edge {
            // The kernel reports an edge again when it is registered again.
            slot.set_registered(registered.disarmed());
        }
        if self.update(fd, slot).is_err() {
            slot.set_registered(registered);
        }
    }

    #[inline(always)]
    fn set_registration(
        &self,
        fd: c_int,
        slot: &mut Slot,
        wanted: Registered,
    ) -> Result<(), SystemError> {
        if wanted.kinds() == 0 {
            self.unregister(fd, slot)
        } else {
            self.register(fd, slot, wanted)
        }
    }

    #[inline(never)]
    fn register(&self, fd: c_int, slot: &mut Slot, wanted: Registered) -> Result<(), SystemError> {
        let mut event = epoll_event {
            events: kernel_events(wanted),
            u64: u64::from(slot.generation()) << 32 | fd as u64,
        };
        let mut control = |operation| {
            // SAFETY: `event` is valid for the call; any descriptor number may be tried.
            unsafe { system::epoll_ctl(self.fd, operation, fd, &mut event) == 0 }
        };
        let (first, missing, second) = if slot.registered().has(Registered::PRESENT) {
            // The descriptor may have been closed and opened again.
            (libc::EPOLL_CTL_MOD, libc::ENOENT, libc::EPOLL_CTL_ADD)
        } else {
            // A duplicate that took this number may have brought its registration.
            (libc::EPOLL_CTL_ADD, libc::EEXIST, libc::EPOLL_CTL_MOD)
        };
        if control(first) || (errno() == missing && control(second)) {
            slot.set_registered(wanted.with(Registered::PRESENT));
            return Ok(());
        }
        let name = if slot.registered().has(Registered::PRESENT) {
            "MOD"
        } else {
            "ADD"
        };
        refused(name, fd, slot.registered(), wanted)
    }

    #[inline(never)]
    fn unregister(&self, fd: c_int, slot: &mut Slot) -> Result<(), SystemError> {
        if !slot.registered().has(Registered::PRESENT) {
            return Ok(());
        }
        let mut ignored = EMPTY;
        // SAFETY: `ignored` is valid for the call; any descriptor number may be tried.
        let result = unsafe { system::epoll_ctl(self.fd, libc::EPOLL_CTL_DEL, fd, &mut ignored) };
        // A closed descriptor has left the set by itself.
        if result == 0 || matches!(errno(), libc::ENOENT | libc::EBADF | libc::EPERM) {
            slot.set_registered(Registered::default());
            return Ok(());
        }
        let registered = slot.registered();
        // What is registered now is not known: the next event on this number must be registered.
        slot.set_registered(registered.disarmed());
        refused("DEL", fd, registered, Registered::default())
    }

    /// See [`super::Backend::prepare`].
    #[inline(always)]
    pub fn prepare(&mut self, interest: &mut Interest, timeout: Timeout) -> Wait {
        if self.has_pending_work {
            self.do_pending_work(interest);
        }
        let milliseconds = match timeout {
            Timeout::Until(deadline, now) if deadline > now && self.set_timer(deadline) => -1,
            other => other.milliseconds(LONGEST_WAIT),
        };
        let room = self.results.len() as c_int;
        Wait {
            fd: self.fd,
            results: self.results.as_mut_ptr(),
            room,
            milliseconds,
        }
    }

    /// What has to be done before the next wait.
    #[inline(never)]
    fn do_pending_work(&mut self, interest: &mut Interest) {
        if self.disarmed {
            self.rearm(interest);
        }
        if self.changes.is_some() {
            self.apply_changes(interest);
        }
        if self.stale.other.is_some() || self.stale.waits > 0 {
            self.drop_stale_descriptors(interest);
        }
        if self.ready == self.results.len() {
            self.make_room();
        }
        if self.refused {
            self.retry_reported(interest);
        }
        self.has_pending_work = self.changes.is_some() || self.stale.waits > 0 || self.refused;
    }

    /// The kernel has refused a change. Changes of the descriptors that it reported last are passed
    /// to it again, because otherwise it would report the same for ever.
    fn retry_reported(&mut self, interest: &mut Interest) {
        for index in 0..self.ready {
            let fd = self.results[index].u64 as c_int;
            if let Some(slot) = interest.get(fd).filter(|slot| slot.kinds() != 0) {
                // A refusal was logged.
                let _ = self.update(fd, slot);
            }
        }
    }

    /// Rearms descriptors that the last results disarmed and whose events still wait.
    fn rearm(&mut self, interest: &mut Interest) {
        self.disarmed = false;
        for index in 0..self.ready {
            let fd = self.results[index].u64 as c_int;
            if let Some(slot) = interest.get(fd) {
                if slot.kinds() != 0 && slot.awaits_readiness() {
                    // A refusal was logged; the events stay pending, as in a wait that fails.
                    let _ = self.update(fd, slot);
                }
            }
        }
    }

    fn apply_changes(&mut self, interest: &mut Interest) {
        let noted = |epoll: &Epoll, index| epoll.changes.as_ref()?.noted().get(index).copied();
        let (mut index, mut kept) = (0, 0);
        while let Some(fd) = noted(self, index) {
            let slot = interest.slot(fd);
            let wanted = Registered::wanted_by(slot);
            // Often nothing has changed in the end. A refusal was logged; the event stays pending.
            let refused = !slot.registered().suffices(wanted)
                && self.set_registration(fd, slot, wanted).is_err();
            self.refused |= refused;
            // What the kernel lacks now it may have at the next wait.
            if refused && matches!(errno(), libc::ENOMEM | libc::ENOSPC) {
                if let Some(changes) = &mut self.changes {
                    changes.exchange(kept, index);
                }
                kept += 1;
            }
            index += 1;
        }
        if let Some(changes) = &mut self.changes {
            changes.forget_from(kept, interest);
        }
    }

    /// A file that was closed under its number while a duplicate stays open can only be got rid of
    /// together with the whole set.
    fn drop_stale_descriptors(&mut self, interest: &mut Interest) {
        if self.stale.is_endless(self.ready == self.results.len()) {
            let _ = self.rebuild(interest);
        }
    }

    fn make_room(&mut self) {
        let room = self.results.len();
        if room < LARGEST_BATCH {
            // Without memory the batches stay as small as they are.
            let _: Result<(), OutOfMemory> = self
                .results
                .try_extend_to((room * 4).min(LARGEST_BATCH), EMPTY);
        }
    }

    /// Whether the timer descriptor will end the wait at the deadline.
    fn set_timer(&mut self, deadline: Microseconds) -> bool {
        if self.timer < 0 {
            return false;
        }
        if self.armed == deadline {
            return true;
        }
        let at = time::to_timeval(deadline);
        let zero = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let expiry = libc::timespec {
            tv_sec: at.tv_sec,
            tv_nsec: at.tv_usec * 1000,
        };
        let setting = libc::itimerspec {
            it_interval: zero,
            it_value: expiry,
        };
        // SAFETY: `setting` is valid for the call and the old setting is not asked for.
        let result = unsafe {
            system::timerfd_settime(
                self.timer,
                libc::TFD_TIMER_ABSTIME,
                &setting,
                std::ptr::null_mut(),
            )
        };
        if result < 0 {
            warning_with_errno!("timerfd_settime");
            return false;
        }
        self.armed = deadline;
        true
    }

    /// Takes the results of a wait back.
    #[inline(always)]
    pub fn finish(&mut self, ready: Result<usize, SystemError>) -> Result<Results, SystemError> {
        self.ready = ready.unwrap_or(0);
        if self.ready == self.results.len() {
            self.has_pending_work = true;
        }
        let next = self.results.as_mut_ptr().cast_const();
        ready.map(|count| Results {
            next,
            // The kernel wrote no more than there is room for.
            end: next.wrapping_add(count),
        })
    }

    /// A result was for a descriptor that nobody watches any more.
    pub fn note_stale(&mut self, found: Found) {
        // The timer has done all it is for: the wait is over.
        if found.data != TIMER {
            self.stale.note(found.data);
            self.has_pending_work = true;
        }
    }

    /// A result disarmed a descriptor.
    #[inline]
    pub fn note_disarmed(&mut self) {
        self.disarmed = true;
        self.has_pending_work = true;
    }

    /// Closes the instance; [`Epoll::rebuild`] makes another. Until then the kernel refuses
    /// everything, and for removals that is success.
    pub fn abandon(&mut self) {
        close(std::mem::replace(&mut self.fd, -1));
        close(std::mem::replace(&mut self.timer, -1));
    }

    /// Replaces the instance by a new one and registers everything again.
    pub fn rebuild(&mut self, interest: &mut Interest) -> Result<(), SystemError> {
        let fd = create()?;
        self.abandon();
        self.fd = fd;
        if self.precise {
            self.timer = create_timer(fd);
        }
        self.armed = 0;
        self.ready = 0;
        self.disarmed = false;
        self.has_pending_work = self.changes.is_some();
        self.refused = false;
        self.stale = StaleReports::default();
        if let Some(changes) = &mut self.changes {
            changes.forget(interest);
        }
        let mut result = Ok(());
        for (fd, slot) in interest.slots() {
            slot.set_registered(Registered::default());
            result = result.and(self.update(fd, slot).map(|_| ()));
        }
        result
    }
}

impl Drop for Epoll {
    fn drop(&mut self) {
        // Closing the set is all: it may be shared with a parent process, whose registrations
        // must stay.
        close(self.fd);
        close(self.timer);
        if let Some(changes) = &mut self.changes {
            changes.free();
        }
    }
}

impl Results {
    /// How many are left.
    pub fn count(&self) -> usize {
        // SAFETY: both point into the room for results, or to its end, which comes last.
        unsafe { self.end.offset_from(self.next) as usize }
    }

    /// Takes the next one.
    #[inline(always)]
    pub fn take(&mut self) -> Option<Found> {
        if self.next == self.end {
            return None;
        }
        // SAFETY: it is in front of the end, and the kernel wrote it.
        let epoll_event { events, u64: data } = unsafe { *self.next };
        self.next = self.next.wrapping_add(1);
        Some(Found {
            events: events as c_int,
            data,
        })
    }
}

impl Found {
    /// The descriptor, unless nobody watches it any more.
    #[inline(always)]
    pub fn slot(self, interest: &mut Interest) -> Option<&mut Slot> {
        interest
            .get(self.data as c_int)
            .filter(|slot| !slot.is_empty() && slot.generation() == (self.data >> 32) as u32)
    }

    /// Whether it is the kernel's last report about the descriptor, which is noted there.
    #[inline(always)]
    pub fn disarms(self, slot: &mut Slot) -> bool {
        let registered = slot.registered();
        if !registered.has(Registered::ONCE) {
            return false;
        }
        slot.set_registered(registered.disarmed());
        true
    }

    /// Whether there is something to read and nothing else, as in most reports.
    #[inline(always)]
    pub fn is_readable_only(self) -> bool {
        self.events == libc::EPOLLIN
    }

    /// Any report, for the events from `first` on.
    #[inline(always)]
    pub fn report(self, first: Option<EventPtr>) -> Report {
        let events = self.events;
        let hung_up = events & libc::EPOLLHUP != 0 && events & libc::EPOLLRDHUP == 0;
        let failed = hung_up || events & libc::EPOLLERR != 0;
        let ready = if failed {
            kind::READ | kind::WRITE
        } else {
            let bit = |set: c_int, kind| if events & set != 0 { kind } else { 0 };
            bit(libc::EPOLLIN, kind::READ)
                | bit(libc::EPOLLOUT, kind::WRITE)
                | bit(libc::EPOLLRDHUP, kind::CLOSED)
        };
        Report {
            first,
            ready,
            failed,
            edge: kind::EDGE_TRIGGERED,
        }
    }
}

impl Wait {
    /// Blocks until something is ready.
    #[inline(always)]
    pub fn run(self) -> Result<usize, SystemError> {
        // SAFETY: there is that much room for results, which nobody else touches during a wait.
        let count =
            unsafe { system::epoll_wait(self.fd, self.results, self.room, self.milliseconds) };
        wait_result(count, "epoll_wait")
    }
}

/// Logs what the kernel did not do.
#[cold]
fn refused(
    name: &str,
    fd: c_int,
    registered: Registered,
    wanted: Registered,
) -> Result<(), SystemError> {
    let events = kernel_events(wanted.without(Registered::ONCE));
    let (old, new) = (registered.kinds(), wanted.kinds());
    let error = errno();
    warning_with_errno!(
        "Epoll {name}({events}) on fd {fd} failed. Old events were {old}; \
         read change was {}; write change was {}; close change was {}",
        change(old, new, kind::READ),
        change(old, new, kind::WRITE),
        change(old, new, kind::CLOSED)
    );
    set_errno(error);
    Err(SystemError)
}

/// How a message describes what was to change.
fn change(old: c_short, new: c_short, kind: c_short) -> &'static str {
    match (old & kind != 0, new & kind != 0) {
        (false, true) => "1 (add)",
        (true, false) => "2 (del)",
        _ => "0 (none)",
    }
}

fn kernel_events(wanted: Registered) -> u32 {
    let bit = |set: bool, bit: c_int| if set { bit } else { 0 };
    let events = bit(wanted.kinds() & kind::READ != 0, libc::EPOLLIN)
        | bit(wanted.kinds() & kind::WRITE != 0, libc::EPOLLOUT)
        | bit(wanted.kinds() & kind::CLOSED != 0, libc::EPOLLRDHUP)
        | bit(wanted.has(Registered::EDGE), libc::EPOLLET)
        | bit(wanted.has(Registered::ONCE), libc::EPOLLONESHOT);
    events as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits_until_endless(stale: &mut StaleReports, data: impl Fn(u32) -> u64) -> Option<u32> {
        (0..100).find(|wait| {
            stale.note(data(*wait));
            stale.is_endless(false)
        })
    }

    #[test]
    fn only_the_same_report_again_and_again_is_endless() {
        let mut stale = StaleReports::default();
        assert_eq!(waits_until_endless(&mut stale, |wait| wait.into()), None);
        let mut stale = StaleReports::default();
        assert_eq!(
            waits_until_endless(&mut stale, |_| 7),
            Some(STALE_WAITS - 1)
        );
    }

    #[test]
    fn a_wait_without_it_ends_the_suspicion_unless_there_was_no_room() {
        let mut stale = StaleReports::default();
        for wait in 0..100 {
            if wait % 2 == 0 {
                stale.note(7);
            }
            assert!(!stale.is_endless(false));
        }
        let mut stale = StaleReports::default();
        let endless = (0..100).find(|wait| {
            stale.note(if wait % 2 == 0 { 7 } else { 8 });
            stale.is_endless(true)
        });
        assert_eq!(endless, Some(2 * STALE_WAITS - 2));
    }
}
