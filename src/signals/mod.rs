//! Signals as events.
//!
//! Every base with an event for a signal gets each delivery once its loop has run. Of those whose
//! loop has not, it is the newest alone, as in libevent, whose tests rely on that: they raise a
//! signal that two bases watch before either has run, and again when the first has been told. The
//! handler (`handler`) counts for a base and wakes its loop through a pipe.

mod disposition;
mod handler;

use crate::base::{EventBase, Guard, internal};
use crate::event::{EventPtr, Registration, SourceLinks, kind, state};
use crate::hooks::futex::RawMutex;
use crate::hooks::memory::{self, Array};
use crate::hooks::threads::{self, Lock};
use crate::interest;
use crate::list::List;
use crate::system::uncancelled;
use crate::util::SystemError;
use crate::util::sockets;
use crate::warning_with_errno;
use handler::Receiver;
use std::ffi::{c_int, c_short, c_void};
use std::mem::offset_of;
use std::ptr::NonNull;

/// Signal numbers are below this.
pub const LIMIT: usize = 65;

/// So many lists of events are made at once: those of most signals that programs watch.
const LISTS: usize = 16;

/// The right to change what the process knows about signals: the lock that the program's callbacks
/// made for that or, while there are none, one of our own.
struct Held(Lock);

static WITHOUT_CALLBACKS: RawMutex = RawMutex::new();

impl Held {
    fn lock() -> Held {
        let lock = threads::signal_lock();
        if lock.is_none() {
            WITHOUT_CALLBACKS.lock();
        }
        lock.acquire();
        Held(lock)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.0.is_none() {
            WITHOUT_CALLBACKS.unlock();
        }
        self.0.release();
    }
}

/// The signals of a base.
#[repr(C)]
pub struct Signals {
    /// The pipe: read end, write end; -1 until the first signal event. Programs that know the real
    /// structure read it by offset.
    pair: [c_int; 2],
    event: Option<EventPtr>,
    // The events of each signal by its number, as far as one was watched. While there are some our
    // handler is installed for this base.
    events: Array<List<SourceLinks>>,
    // The signals for which our handler is installed, as bits.
    installed: u64,
    // What the handler knows of this base; made with the first pipe.
    receiver: Option<NonNull<Receiver>>,
}

const _: () = assert!(offset_of!(Signals, pair) == 0);

impl Signals {
    /// Nothing watched, no memory, no pipe.
    pub const fn new() -> Signals {
        Signals {
            pair: [-1, -1],
            event: None,
            events: Array::new(),
            installed: 0,
            receiver: None,
        }
    }

    /// The list of a number that was watched.
    fn list(&mut self, number: c_int) -> Option<&mut List<SourceLinks>> {
        self.events.get_mut(usize::try_from(number).ok()?)
    }

    /// Makes the list of a number when it is missing; refused for what is no signal.
    fn reach(&mut self, number: c_int) -> Result<(), SystemError> {
        let number = usize::try_from(number).map_err(|_| SystemError)?;
        if number >= LIMIT {
            return Err(SystemError);
        }
        if number >= self.events.len() {
            let length = (number + 1).next_multiple_of(LISTS).min(LIMIT);
            self.events.try_set_capacity(length)?;
            self.events.try_extend_to(length, List::EMPTY)?;
        }
        Ok(())
    }

    /// Whether there are deliveries that the loop has not looked at.
    #[inline]
    pub fn have_arrived(&self) -> bool {
        self.receiver().is_some_and(Receiver::has_some)
    }

    /// The loop begins to run.
    #[inline]
    pub fn note_run(&self) {
        if let Some(receiver) = self.receiver() {
            receiver.settle();
        }
    }

    /// The base is the last that began to watch a signal.
    pub fn note_newest(&self) {
        if let Some(receiver) = self.receiver() {
            receiver.become_newest();
        }
    }

    fn receiver(&self) -> Option<&Receiver> {
        // SAFETY: the receiver lives as long as the signals of its base.
        self.receiver.map(|receiver| unsafe { &*receiver.as_ptr() })
    }

    /// The events of a signal, newest first.
    pub fn events(&self, number: c_int) -> impl Iterator<Item = EventPtr> + use<> {
        let list = usize::try_from(number)
            .ok()
            .and_then(|number| self.events.get(number));
        // SAFETY: events live while they are inserted.
        let mut walk = unsafe { list.and_then(|list| EventPtr::new(list.first())) };
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

fn close_both(pair: &mut [c_int; 2]) {
    for fd in pair {
        if *fd >= 0 {
            // A pipe has nothing to lose.
            let _ = sockets::close(*fd);
        }
        *fd = -1;
    }
}

impl EventBase {
    /// Watches a signal for an event; the first event of a signal installs our handler.
    pub(crate) fn add_signal(&mut self, event: EventPtr) -> Result<(), SystemError> {
        let number = event.fd();
        if !(0..LIMIT as c_int).contains(&number) {
            return Err(SystemError);
        }
        self.open_signal_pipe()?;
        self.signals.reach(number)?;
        if self.signals.events(number).next().is_none() {
            self.set_signal_handler(number, handler::deliver as extern "C" fn(c_int) as usize)?;
        }
        self.signals.note_newest();
        event.set_registration(Registration::new(number, 0));
        if let Some(list) = self.signals.list(number) {
            // SAFETY: the event is in no list, because it is not inserted.
            unsafe { List::push_front(list, event.as_ptr()) };
        }
        Ok(())
    }

    /// Stops watching for an event; the last event of a signal restores the old handler.
    pub(crate) fn remove_signal(&mut self, event: EventPtr) -> Result<(), SystemError> {
        let number = event.registration().fd();
        if let Some(list) = self.signals.list(number) {
            // SAFETY: an inserted event is in the list of its signal.
            unsafe { List::remove(list, event.as_ptr()) };
        }
        if self.signals.events(number).next().is_some() {
            return Ok(());
        }
        self.restore_signal_handler(number)
    }

    /// Has a signal handled for this base.
    pub(crate) fn set_signal_handler(
        &mut self,
        number: c_int,
        handler: libc::sighandler_t,
    ) -> Result<(), SystemError> {
        self.signals.reach(number)?;
        // Before the first delivery.
        self.watch(number, true);
        let installed = disposition::install(number, handler);
        if installed.is_ok() {
            self.signals.installed |= handler::bit(number);
        }
        installed.inspect_err(|_| self.watch(number, false))
    }

    /// Has a signal handled no more for this base.
    pub(crate) fn restore_signal_handler(&mut self, number: c_int) -> Result<(), SystemError> {
        // Number 0, which is no signal, has the bit of the last one.
        if number == 0 || self.signals.list(number).is_none() {
            return Ok(());
        }
        self.watch(number, false);
        if self.signals.installed & handler::bit(number) == 0 {
            return Ok(());
        }
        self.signals.installed &= !handler::bit(number);
        disposition::restore(number)
    }

    fn watch(&self, number: c_int, watched: bool) {
        if let Some(receiver) = self.signals.receiver() {
            receiver.watch(number, watched);
        }
    }

    /// Whether there is a pipe: an event for a signal was added at some time.
    pub(crate) fn has_signal_pipe(&self) -> bool {
        self.signals.pair[0] >= 0
    }

    /// Makes the pipe and its internal event, unless they exist.
    pub(crate) fn open_signal_pipe(&mut self) -> Result<(), SystemError> {
        if self.signals.pair[0] >= 0 {
            return Ok(());
        }
        let receiver = match self.signals.receiver {
            Some(receiver) => receiver,
            None => Receiver::allocate()?,
        };
        self.signals.receiver = Some(receiver);
        let mut pair = sockets::internal_pipe().inspect_err(|_| {
            warning_with_errno!("cannot make the signal pipe");
        })?;
        let mut event = self.signals.event;
        let watched = self.watch_internally(&mut event, pair[0], 0, signals_arrived);
        self.signals.event = event;
        if watched.is_ok() {
            self.signals.pair = pair;
            if self.run.running {
                self.signals.note_run();
            }
            // SAFETY: the receiver leaves the list before the pipe is closed, and is freed later.
            unsafe { Receiver::enter(receiver, pair[1]) };
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
        if let (Some(receiver), true) = (self.signals.receiver(), self.has_signal_pipe()) {
            receiver.leave();
        }
        close_both(&mut self.signals.pair);
    }

    /// Restores every handler and frees everything.
    pub(crate) fn free_signals(&mut self) {
        self.close_signal_pipe();
        for number in 0..self.signals.events.len() {
            // A refusal was logged.
            let _ = self.restore_signal_handler(number as c_int);
        }
        if let Some(receiver) = self.signals.receiver.take() {
            // SAFETY: no handler knows it any more.
            unsafe { memory::free(receiver.as_ptr().cast()) };
        }
        self.signals.events.truncate(0);
        internal::discard(&mut self.signals.event);
    }

    /// Looks at deliveries even if nothing in the pipe announces them: a forked child that shares
    /// it may have taken that out.
    #[inline]
    pub(crate) fn process_signals(&mut self) {
        if !self.signals.have_arrived() {
            return;
        }
        if let Some(event) = self.signals.event.filter(|event| !event.has(state::QUEUED)) {
            self.activate_event(event, kind::READ, 1);
        }
    }

    /// Makes the events of a signal active, for that many deliveries.
    pub(crate) fn activate_signal(&mut self, number: c_int, deliveries: c_short) {
        for event in self.signals.events(number) {
            self.activate_event(event, kind::SIGNAL, deliveries);
        }
    }
}

/// Runs as the callback of the pipe's event.
unsafe extern "C-unwind" fn signals_arrived(fd: c_int, _: c_short, base: *mut c_void) {
    // SAFETY: the event was made with its base as argument, which lives while its callback runs.
    let mut guard = unsafe { Guard::lock(base.cast()) };
    empty_pipe(fd);
    let Some(receiver) = guard.signals.receiver else {
        return;
    };
    // SAFETY: the receiver lives as long as the signals of its base.
    unsafe { receiver.as_ref() }.take(|number, count| {
        let deliveries = c_short::try_from(count).unwrap_or(c_short::MAX);
        guard.activate_signal(number, deliveries);
    });
}

/// What the bytes say is counted elsewhere.
fn empty_pipe(fd: c_int) {
    let mut bytes = [0u8; 64];
    // SAFETY: the buffer is as large as said.
    while unsafe { uncancelled::read(fd, bytes.as_mut_ptr().cast(), bytes.len()) }
        == bytes.len() as isize
    {}
}
