//! select: sets of descriptors as bits, given to the kernel at every wait. The sets grow with the
//! highest descriptor, beyond the size that the C type has.

use super::{Options, Report, Rotation, Timeout, wait_result};
use crate::event::kind;
use crate::hooks::memory::{Array, OutOfMemory};
use crate::interest::{Interest, Slot};
use crate::system::{self, errno, set_errno};
use crate::timers::time;
use crate::util::SystemError;
use crate::util::sockets;
use crate::warning_with_errno;
use std::ffi::{c_int, c_short};

const BITS: usize = u64::BITS as usize;
/// The result of a wait that found a descriptor closed; what it comes to is seen afterwards.
const BAD_DESCRIPTOR: usize = usize::MAX;

/// A set of readers and a set of writers of the same length.
#[derive(Default)]
struct Sets {
    readers: Array<u64>,
    writers: Array<u64>,
}

impl Sets {
    fn try_reach(&mut self, words: usize) -> Result<(), OutOfMemory> {
        // Both or neither, so that they stay equally long.
        self.readers
            .try_reserve(words.saturating_sub(self.readers.len()))?;
        self.writers.try_extend_to(words, 0)?;
        self.readers.try_extend_to(words, 0)
    }
}

impl Sets {
    /// The kinds that a bit of a word means.
    fn kinds(&self, word: usize, bit: u64) -> c_short {
        let has = |set: &Array<u64>| set.get(word).is_some_and(|word| word & bit != 0);
        let of = |set, kind| if has(set) { kind } else { 0 };
        of(&self.readers, kind::READ) | of(&self.writers, kind::WRITE)
    }
}

/// The sets that are watched.
pub struct Select {
    watched: Sets,
    // What the kernel writes; results still to be handed out, found from `next` on.
    results: Sets,
    next: usize,
    rotation: Rotation,
}

/// A prepared wait.
#[derive(Clone, Copy)]
pub struct Wait {
    readers: *mut u64,
    writers: *mut u64,
    words: usize,
    timeout: Timeout,
}

impl Select {
    /// Nothing watched, no memory.
    pub fn new(_options: Options) -> Select {
        Select {
            watched: Sets::default(),
            results: Sets::default(),
            next: 0,
            rotation: Rotation::default(),
        }
    }

    /// See [`super::Backend::update`]. The closing of a connection cannot be watched for.
    pub fn update(&mut self, fd: c_int, slot: &Slot) -> Result<bool, SystemError> {
        let kinds = slot.kinds() & (kind::READ | kind::WRITE);
        let (word, bit) = (fd as usize / BITS, 1 << (fd as usize % BITS));
        if self.watched.kinds(word, bit) == kinds {
            return Ok(false);
        }
        self.watched.try_reach(word + 1)?;
        for (set, kind) in [
            (&mut self.watched.readers, kind::READ),
            (&mut self.watched.writers, kind::WRITE),
        ] {
            if kinds & kind != 0 {
                set[word] |= bit;
            } else {
                set[word] &= !bit;
            }
        }
        Ok(true)
    }

    /// See [`super::Backend::prepare`].
    pub fn prepare(&mut self, timeout: Timeout) -> Result<Wait, SystemError> {
        let words = self.watched.readers.len();
        self.results.try_reach(words)?;
        self.results.readers.copy_from_slice(&self.watched.readers);
        self.results.writers.copy_from_slice(&self.watched.writers);
        let (readers, writers) = (&mut self.results.readers, &mut self.results.writers);
        Ok(Wait {
            readers: readers.as_mut_ptr(),
            writers: writers.as_mut_ptr(),
            words,
            timeout,
        })
    }

    /// Takes the results of a wait back.
    pub fn finish(&mut self, ready: Result<usize, SystemError>) -> Result<usize, SystemError> {
        self.next = self.rotation.next(self.results.readers.len());
        if ready == Ok(BAD_DESCRIPTOR) {
            return self.bad_descriptor();
        }
        if !matches!(ready, Ok(1..)) {
            return ready;
        }
        let words = self.results.readers.iter().zip(self.results.writers.iter());
        Ok(words
            .map(|(readers, writers)| (readers | writers).count_ones() as usize)
            .sum())
    }

    /// The outcome of a wait that found a descriptor closed. Another thread may have withdrawn it
    /// since the wait was prepared, as it should before it closes it.
    #[cold]
    fn bad_descriptor(&self) -> Result<usize, SystemError> {
        let Sets { readers, writers } = &self.watched;
        let mut words = readers.iter().zip(writers.iter()).enumerate();
        let still_watched = words.any(|(word, (readers, writers))| {
            (0..BITS)
                .filter(|place| (readers | writers) & 1 << place != 0)
                .any(|place| !sockets::is_open((word * BITS + place) as c_int))
        });
        if !still_watched {
            return Ok(0);
        }
        set_errno(libc::EBADF);
        warning_with_errno!("select");
        Err(SystemError)
    }

    /// The next result.
    pub fn report(&mut self, interest: &mut Interest) -> Option<Report> {
        let Sets { readers, writers } = &mut self.results;
        let word = (self.next..readers.len())
            .chain(0..self.next.min(readers.len()))
            .find(|word| readers[*word] | writers[*word] != 0)?;
        self.next = word;
        let place = (readers[word] | writers[word]).trailing_zeros();
        let take = |set: &mut u64, kind| {
            let was = *set & (1 << place) != 0;
            *set &= !(1 << place);
            if was { kind } else { 0 }
        };
        let ready = take(&mut readers[word], kind::READ) | take(&mut writers[word], kind::WRITE);
        let fd = (word * BITS) as c_int + place as c_int;
        Some(Report {
            first: interest.get(fd)?.first(),
            ready,
            failed: false,
            edge: 0,
        })
    }
}

impl Wait {
    /// Blocks until something is ready.
    pub fn run(self) -> Result<usize, SystemError> {
        let mut limit;
        let limit = match self.timeout {
            Timeout::Forever => std::ptr::null_mut(),
            Timeout::None => {
                limit = time::to_timeval(0);
                &mut limit
            }
            Timeout::Until(deadline, now) => {
                limit = time::to_timeval(deadline.saturating_sub(now).max(0));
                &mut limit as *mut libc::timeval
            }
        };
        let count = (self.words * BITS) as c_int;
        // SAFETY: both sets have `count` bits, which nobody else touches during a wait.
        let ready = unsafe {
            system::select(
                count,
                self.readers.cast(),
                self.writers.cast(),
                std::ptr::null_mut(),
                limit,
            )
        };
        if ready < 0 && errno() == libc::EBADF {
            return Ok(BAD_DESCRIPTOR);
        }
        wait_result(ready, "select")
    }
}
