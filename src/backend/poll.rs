//! poll: an array of descriptors, given to the kernel at every wait.

use super::{Options, Report, Rotation, Timeout, wait_result};
use crate::event::{EventPtr, kind};
use crate::hooks::memory::Array;
use crate::interest::Interest;
use crate::system;
use crate::util::SystemError;
use libc::pollfd;
use std::ffi::{c_int, c_short};

/// The array that is polled.
pub struct Poll {
    // The number that a descriptor's slot keeps for this mechanism is its index in here plus one.
    watched: Array<pollfd>,
    // Other threads may change `watched` during a wait, so that a copy is polled.
    shared: bool,
    copy: Array<pollfd>,
    changed: bool,
    // Results still to be handed out, found from `next` on, around the end of the array.
    next: usize,
    rotation: Rotation,
}

/// A prepared wait.
#[derive(Clone, Copy)]
pub struct Wait {
    fds: *mut pollfd,
    count: usize,
    milliseconds: c_int,
}

impl Poll {
    /// Nothing watched, no memory.
    pub fn new(options: Options) -> Poll {
        Poll {
            watched: Array::new(),
            shared: options.shared,
            copy: Array::new(),
            changed: true,
            next: 0,
            rotation: Rotation::default(),
        }
    }

    /// See [`super::Backend::update`].
    pub fn update(&mut self, fd: c_int, interest: &mut Interest) -> Result<bool, SystemError> {
        let slot = interest.slot(fd);
        let position = slot.backend_number as usize;
        let entry = pollfd {
            fd,
            events: kernel_events(slot.kinds()),
            revents: 0,
        };
        if position == 0 {
            if entry.events == 0 {
                return Ok(false);
            }
            self.watched.try_push(entry)?;
            slot.backend_number = self.watched.len() as u32;
        } else if self.watched[position - 1].events == entry.events {
            return Ok(false);
        } else if entry.events != 0 {
            self.watched[position - 1] = entry;
        } else {
            slot.backend_number = 0;
            self.take_out(position - 1, interest);
        }
        self.changed = true;
        Ok(true)
    }

    /// Fills the place with the last entry.
    fn take_out(&mut self, place: usize, interest: &mut Interest) {
        if let Some(last) = self.watched.pop() {
            if place < self.watched.len() {
                self.watched[place] = last;
                interest.slot(last.fd).backend_number = place as u32 + 1;
            }
        }
    }

    /// See [`super::Backend::prepare`].
    pub fn prepare(&mut self, timeout: Timeout) -> Result<Wait, SystemError> {
        if self.shared && self.changed {
            self.copy.truncate(0);
            let empty = pollfd {
                fd: -1,
                events: 0,
                revents: 0,
            };
            self.copy.try_extend_to(self.watched.len(), empty)?;
            self.copy.copy_from_slice(&self.watched);
            self.changed = false;
        }
        let polled = if self.shared {
            &mut self.copy
        } else {
            &mut self.watched
        };
        let (fds, count) = (polled.as_mut_ptr(), polled.len());
        Ok(Wait {
            fds,
            count,
            milliseconds: timeout.milliseconds(c_int::MAX),
        })
    }

    /// Takes the results of a wait back.
    pub fn finish(&mut self, ready: Result<usize, SystemError>) -> Result<usize, SystemError> {
        let polled = if self.shared {
            &self.copy
        } else {
            &self.watched
        };
        self.next = self.rotation.next(polled.len());
        ready
    }

    /// The next result.
    pub fn report(&mut self, interest: &mut Interest) -> Option<Report> {
        let results = if self.shared {
            &mut self.copy
        } else {
            &mut self.watched
        };
        let place = (self.next..results.len())
            .chain(0..self.next.min(results.len()))
            .find(|place| results[*place].revents != 0)?;
        self.next = place + 1;
        let revents = std::mem::take(&mut results[place].revents);
        let slot = interest.get(results[place].fd)?;
        Some(readiness(slot.first(), revents))
    }
}

impl Wait {
    /// Blocks until something is ready.
    pub fn run(self) -> Result<usize, SystemError> {
        // SAFETY: `fds` are `count` entries that nobody else touches during a wait.
        let count =
            unsafe { system::poll(self.fds, self.count as libc::nfds_t, self.milliseconds) };
        wait_result(count, "poll")
    }
}

fn kernel_events(kinds: c_short) -> c_short {
    let bit = |wanted: c_short, bit| if kinds & wanted != 0 { bit } else { 0 };
    bit(kind::READ, libc::POLLIN)
        | bit(kind::WRITE, libc::POLLOUT)
        | bit(kind::CLOSED, libc::POLLRDHUP)
}

fn readiness(first: Option<EventPtr>, revents: c_short) -> Report {
    let failed = revents & (libc::POLLHUP | libc::POLLERR | libc::POLLNVAL) != 0;
    let bit = |set: c_short, kind| if revents & set != 0 { kind } else { 0 };
    let mut ready = bit(libc::POLLIN, kind::READ)
        | bit(libc::POLLOUT, kind::WRITE)
        | bit(libc::POLLRDHUP, kind::CLOSED);
    if failed {
        ready |= kind::READ | kind::WRITE;
    }
    Report {
        first,
        ready,
        failed,
        edge: 0,
    }
}
