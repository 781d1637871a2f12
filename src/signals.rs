//! Signals as events.
//!
//! The handler does the least that is possible in a signal context: it writes the signal's number
//! into the pipe of the receiving base. The loop of that base reads the pipe and counts. When the
//! pipe is full the handler counts in [`OVERFLOW`] instead, so that no delivery is lost.
//!
//! One base of the process receives signals: the one that added a signal event or entered its loop
//! with some last.

use crate::backend::Refused;
use crate::base::{EventBase, Guard, internal};
use crate::event::{EventPtr, Registration, SourceLinks, kind};
use crate::hooks::memory::{self, Array};
use crate::hooks::threads;
use crate::interest;
use crate::list::List;
use crate::system::{self, errno, set_errno, uncancelled};
use crate::util::sockets;
use crate::{warning, warning_with_errno};
use std::ffi::{c_int, c_short, c_void};
use std::mem::{MaybeUninit, offset_of};
use std::ptr::{self, addr_of_mut};
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, Ordering::Relaxed, Ordering::SeqCst};

/// Signal numbers are below this.
pub const LIMIT: usize = 65;

// Where the handler writes; -1: nobody listens. All three change under `threads::signal_lock`.
static RECEIVER_FD: AtomicI32 = AtomicI32::new(-1);
static RECEIVER: AtomicPtr<EventBase> = AtomicPtr::new(ptr::null_mut());
static RECEIVER_SIGNALS: AtomicI32 = AtomicI32::new(0);

// Deliveries that found the pipe full.
static OVERFLOW: [AtomicU32; LIMIT] = [const { AtomicU32::new(0) }; LIMIT];

/// What a base keeps of one signal.
///
/// Invariant: while `events` is not empty our handler is installed, and `previous` is what was
/// there before.
struct SignalSlot {
    events: List<SourceLinks>,
    installed: bool,
    previous: libc::sigaction,
}

/// The signals of a base.
#[repr(C)]
pub struct Signals {
    /// The pipe: read end, write end; -1 until the first signal event. Programs that know the real
    /// structure read it by offset.
    pair: [c_int; 2],
    event: Option<EventPtr>,
    // By number; null until an event for it is added.
    slots: Array<*mut SignalSlot>,
    // How many signals have events.
    watched: c_int,
}

const _: () = assert!(offset_of!(Signals, pair) == 0);

impl Signals {
    /// Nothing watched, no memory, no pipe.
    pub const fn new() -> Signals {
        Signals {
            pair: [-1, -1],
            event: None,
            slots: Array::new(),
            watched: 0,
        }
    }

    fn slot(&self, number: c_int) -> Option<*mut SignalSlot> {
        let slot = *self.slots.get(usize::try_from(number).ok()?)?;
        (!slot.is_null()).then_some(slot)
    }

    /// The slot of a number, made when it is missing; refused for what is no signal.
    fn slot_or_new(&mut self, number: c_int) -> Result<*mut SignalSlot, Refused> {
        let number = usize::try_from(number).map_err(|_| Refused)?;
        self.slots.try_extend_to(LIMIT, ptr::null_mut())?;
        let slot = self.slots.get_mut(number).ok_or(Refused)?;
        if slot.is_null() {
            *slot = memory::allocate_zeroed::<SignalSlot>()?.as_ptr();
        }
        Ok(*slot)
    }

    /// The events of a signal, newest first.
    pub fn events(&self, number: c_int) -> impl Iterator<Item = EventPtr> + use<> {
        // SAFETY: slots live as long as their base, and events while they are inserted.
        let mut walk = unsafe {
            self.slot(number)
                .and_then(|slot| EventPtr::new((*slot).events.first()))
        };
        std::iter::from_fn(move || {
            let event = walk?;
            walk = interest::next(event);
            Some(event)
        })
    }

    /// Some event on any signal.
    pub fn any_event(&self) -> Option<EventPtr> {
        (0..LIMIT as c_int).find_map(|number| self.events(number).next())
    }
}

impl Default for Signals {
    fn default() -> Self {
        Self::new()
    }
}

/// The signal handler. Only atomics and `write`, and errno is kept.
extern "C" fn deliver(number: c_int) {
    // SAFETY: the byte is valid for the call. A descriptor that was closed
    // meanwhile makes the write fail.
    unsafe {
        let saved = errno();
        let fd = RECEIVER_FD.load(SeqCst);
        let byte = number as u8;
        while fd >= 0 && uncancelled::write(fd, ptr::from_ref(&byte).cast(), 1) < 0 {
            if errno() == libc::EINTR {
                continue;
            }
            if let Some(count) = OVERFLOW.get(number as usize) {
                count.fetch_add(1, Relaxed);
            }
            break;
        }
        set_errno(saved);
    }
}

fn close_both(pair: &mut [c_int; 2]) {
    for fd in pair {
        if *fd >= 0 {
            // A pipe has nothing to lose.
            let _ = sockets::close(*fd);
        }
        *fd = -1;
    }
}

fn set_receiver(base: *mut EventBase, fd: c_int, signals: c_int) {
    RECEIVER.store(base, Relaxed);
    RECEIVER_SIGNALS.store(signals, Relaxed);
    RECEIVER_FD.store(fd, SeqCst);
}

/// Replaces the handling of a signal, remembering what was there.
fn install(
    slot: *mut SignalSlot,
    number: c_int,
    handler: libc::sighandler_t,
) -> Result<(), Refused> {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: zero bytes are a valid action, which is then filled; the slot is live.
    unsafe {
        let action = action.as_mut_ptr();
        (*action).sa_sigaction = handler;
        (*action).sa_flags = libc::SA_RESTART;
        libc::sigfillset(addr_of_mut!((*action).sa_mask));
        if system::sigaction(number, action, addr_of_mut!((*slot).previous)) < 0 {
            warning_with_errno!("sigaction");
            return Err(Refused);
        }
        (*slot).installed = true;
    }
    Ok(())
}

fn restore(slot: *mut SignalSlot, number: c_int) -> Result<(), Refused> {
    // SAFETY: the slot is live; `previous` holds while `installed` is set.
    unsafe {
        if !std::mem::take(&mut (*slot).installed) {
            return Ok(());
        }
        if system::sigaction(number, addr_of_mut!((*slot).previous), ptr::null_mut()) < 0 {
            warning_with_errno!("sigaction");
            return Err(Refused);
        }
    }
    Ok(())
}

impl EventBase {
    /// Watches a signal for an event; the first event of a signal installs our handler.
    pub(crate) fn add_signal(&mut self, event: EventPtr) -> Result<(), Refused> {
        let number = event.fd();
        if !(0..LIMIT as c_int).contains(&number) {
            return Err(Refused);
        }
        self.open_signal_pipe()?;
        let slot = self.signals.slot_or_new(number)?;
        // SAFETY: the slot is live.
        if unsafe { (*slot).events.first().is_null() } {
            self.set_signal_handler(number, deliver as extern "C" fn(c_int) as usize)?;
        }
        event.set_registration(Registration::new(number, 0));
        // SAFETY: the slot is live; the event is in no list, because it is not inserted.
        unsafe { List::push_front(addr_of_mut!((*slot).events), event.as_ptr()) };
        Ok(())
    }

    /// Stops watching for an event; the last event of a signal restores the old handler.
    pub(crate) fn remove_signal(&mut self, event: EventPtr) -> Result<(), Refused> {
        let number = event.registration().fd();
        if let Some(slot) = self.signals.slot(number) {
            // SAFETY: an inserted event is in the list of its signal.
            unsafe { List::remove(addr_of_mut!((*slot).events), event.as_ptr()) };
        }
        if self.signals.events(number).next().is_some() {
            return Ok(());
        }
        self.restore_signal_handler(number)
    }

    /// Installs a handler for a signal and makes this base the receiver.
    pub(crate) fn set_signal_handler(
        &mut self,
        number: c_int,
        handler: libc::sighandler_t,
    ) -> Result<(), Refused> {
        let slot = self.signals.slot_or_new(number)?;
        self.signals.watched += 1;
        self.become_receiver();
        install(slot, number, handler).inspect_err(|_| self.watch_one_less())
    }

    /// Puts the handler back that was there before.
    pub(crate) fn restore_signal_handler(&mut self, number: c_int) -> Result<(), Refused> {
        let Some(slot) = self.signals.slot(number) else {
            return Ok(());
        };
        self.watch_one_less();
        restore(slot, number)
    }

    /// Makes this base the receiver; warns when that takes signals away from another one.
    fn become_receiver(&mut self) {
        let lock = threads::signal_lock();
        lock.acquire();
        let (before, signals) = (RECEIVER.load(Relaxed), RECEIVER_SIGNALS.load(Relaxed));
        let this = ptr::from_mut(self);
        set_receiver(this, self.signals.pair[1], self.signals.watched);
        lock.release();
        if before != this && !before.is_null() && signals > 0 {
            warning!(
                "Added a signal to event base {this:p} with signals already added to event_base \
                 {before:p}.  Only one can have signals at a time with the {} backend.  The base \
                 with the most recently added signal or the most recent event_base_loop() call \
                 gets preference; do not rely on this behavior in future Libevent versions.",
                self.backend.name().to_str().unwrap_or_default()
            );
        }
    }

    /// The base stays the receiver, if it is, also with no signal left.
    fn watch_one_less(&mut self) {
        self.signals.watched = (self.signals.watched - 1).max(0);
        let lock = threads::signal_lock();
        lock.acquire();
        if RECEIVER.load(Relaxed) == ptr::from_mut(self) {
            RECEIVER_SIGNALS.store(self.signals.watched, Relaxed);
        }
        lock.release();
    }

    /// Whether there is a pipe: an event for a signal was added at some time.
    pub(crate) fn has_signal_pipe(&self) -> bool {
        self.signals.pair[0] >= 0
    }

    /// Makes this base the receiver if it watches signals: its loop is about to run.
    pub(crate) fn receive_signals(&mut self) {
        if self.signals.watched > 0 {
            self.take_signals();
        }
    }

    /// Makes this base the receiver.
    pub(crate) fn take_signals(&mut self) {
        let lock = threads::signal_lock();
        lock.acquire();
        set_receiver(
            ptr::from_mut(self),
            self.signals.pair[1],
            self.signals.watched,
        );
        lock.release();
    }

    /// Makes the pipe and its internal event, unless they exist.
    pub(crate) fn open_signal_pipe(&mut self) -> Result<(), Refused> {
        if self.signals.pair[0] >= 0 {
            return Ok(());
        }
        let mut pair = sockets::internal_pipe().inspect_err(|_| {
            warning_with_errno!("cannot make the signal pipe");
        })?;
        let mut event = self.signals.event;
        let watched = self.watch_internally(&mut event, pair[0], 0, signals_arrived);
        self.signals.event = event;
        if watched.is_ok() {
            self.signals.pair = pair;
        } else {
            close_both(&mut pair);
        }
        watched
    }

    /// Closes the pipe. Signals are still watched; [`EventBase::open_signal_pipe`] makes another.
    pub(crate) fn close_signal_pipe(&mut self) {
        if let Some(event) = self.signals.event {
            // A refusal was logged, and the descriptor is closed next.
            let _ = self.remove_event(event);
        }
        let lock = threads::signal_lock();
        lock.acquire();
        if RECEIVER.load(Relaxed) == ptr::from_mut(self) {
            set_receiver(ptr::null_mut(), -1, 0);
        }
        lock.release();
        close_both(&mut self.signals.pair);
    }

    /// Restores every handler and gives all back.
    pub(crate) fn free_signals(&mut self) {
        self.close_signal_pipe();
        for number in 0..self.signals.slots.len() {
            let slot = self.signals.slots[number];
            if !slot.is_null() {
                // A refusal was logged.
                let _ = restore(slot, number as c_int);
                // SAFETY: the slot is this base's own and has no events any more.
                unsafe { memory::free(slot.cast()) };
            }
        }
        self.signals.watched = 0;
        self.signals.slots.truncate(0);
        internal::discard(&mut self.signals.event);
    }

    /// Makes the events of a signal active, for so many deliveries.
    pub(crate) fn activate_signal(&mut self, number: c_int, deliveries: c_short) {
        for event in self.signals.events(number) {
            self.activate_event(event, kind::SIGNAL, deliveries);
        }
    }
}

/// Runs as the callback of the pipe's event.
unsafe extern "C-unwind" fn signals_arrived(fd: c_int, _: c_short, base: *mut c_void) {
    let mut deliveries = [0u32; LIMIT];
    read_pipe(fd, &mut deliveries);
    // SAFETY: the event was made with its base as argument, which lives while its callback runs.
    let mut guard = unsafe { Guard::lock(base.cast()) };
    if RECEIVER.load(Relaxed) == guard.as_ptr() {
        for (count, overflow) in deliveries.iter_mut().zip(&OVERFLOW) {
            *count = count.saturating_add(overflow.swap(0, Relaxed));
        }
    }
    for (number, count) in deliveries.into_iter().enumerate() {
        if count > 0 {
            let deliveries = c_short::try_from(count).unwrap_or(c_short::MAX);
            guard.activate_signal(number as c_int, deliveries);
        }
    }
}

fn read_pipe(fd: c_int, deliveries: &mut [u32; LIMIT]) {
    let mut bytes = [0u8; 1024];
    loop {
        // SAFETY: the buffer is as large as said.
        let count = unsafe { uncancelled::read(fd, bytes.as_mut_ptr().cast(), bytes.len()) };
        let Ok(count) = usize::try_from(count) else {
            return;
        };
        for byte in &bytes[..count] {
            if let Some(count) = deliveries.get_mut(usize::from(*byte)) {
                *count = count.saturating_add(1);
            }
        }
        if count < bytes.len() {
            return;
        }
    }
}
