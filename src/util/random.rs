//! Random numbers that cannot be guessed, from the kernel.
//!
//! Small requests are served from a page of random bytes, so that they need no system call. Bytes
//! are wiped when they are given out, and the kernel empties the page in a forked child.

use crate::hooks::log;
use crate::system::{self, errno};
use std::ffi::c_void;
use std::ptr;
use std::sync::Mutex;

/// Fills `out`. Works in any thread; never fails.
pub fn fill(out: &mut [u8]) {
    // Somebody else has the page, perhaps a thread that a fork left behind: do without it.
    let served = match PAGE.try_lock() {
        Ok(mut page) if out.len() <= LARGEST_BUFFERED => page.serve(out),
        _ => false,
    };
    if !served {
        fill_from_kernel(out);
    }
}

/// Larger requests take no longer from the kernel itself.
const LARGEST_BUFFERED: usize = 128;
const BYTES: usize = 512;

static PAGE: Mutex<PageSlot> = Mutex::new(PageSlot::Untried);

enum PageSlot {
    Untried,
    /// The kernel cannot empty a page in a child.
    Unavailable,
    Mapped(ptr::NonNull<Page>),
}

// SAFETY: the page belongs to the slot, which is reached through its lock only.
unsafe impl Send for PageSlot {}

/// Memory of its own, which reads as zeros in a forked child: nothing is available there.
struct Page {
    available: usize,
    bytes: [u8; BYTES],
}

impl PageSlot {
    /// Fills `out` from the page, if there is one.
    fn serve(&mut self, out: &mut [u8]) -> bool {
        if let PageSlot::Untried = self {
            *self = map_page().map_or(PageSlot::Unavailable, PageSlot::Mapped);
        }
        let PageSlot::Mapped(page) = self else {
            return false;
        };
        // SAFETY: the page is mapped for the rest of the process and used under the lock only.
        let page = unsafe { page.as_mut() };
        if page.available < out.len() {
            fill_from_kernel(&mut page.bytes);
            page.available = BYTES;
        }
        let rest = page.available - out.len();
        let taken = &mut page.bytes[rest..page.available];
        out.copy_from_slice(taken);
        taken.fill(0);
        page.available = rest;
        true
    }
}

fn map_page() -> Option<ptr::NonNull<Page>> {
    let length = size_of::<Page>();
    // SAFETY: a new anonymous mapping; nothing else lies there.
    unsafe {
        let page = system::mmap(
            ptr::null_mut(),
            length,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        );
        if page == libc::MAP_FAILED {
            return None;
        }
        if system::madvise(page, length, libc::MADV_WIPEONFORK) != 0 {
            system::munmap(page, length);
            return None;
        }
        ptr::NonNull::new(page.cast())
    }
}

fn fill_from_kernel(out: &mut [u8]) {
    let mut filled = 0;
    while filled < out.len() {
        let rest = &mut out[filled..];
        // SAFETY: the kernel writes at most the length of the slice.
        let count = unsafe { system::getrandom(rest.as_mut_ptr().cast::<c_void>(), rest.len(), 0) };
        match usize::try_from(count) {
            Ok(count) => filled += count,
            Err(_) if errno() == libc::EINTR => {}
            Err(_) => return fill_from_device(&mut out[filled..]),
        }
    }
}

/// For kernels and sandboxes without getrandom.
#[cold]
fn fill_from_device(out: &mut [u8]) {
    let device = super::file::open(c"/dev/urandom", libc::O_RDONLY, 0);
    let mut filled = 0;
    while let (Ok(device), true) = (device, filled < out.len()) {
        let rest = &mut out[filled..];
        // SAFETY: at most the length of the slice is written.
        let count = unsafe { system::read(device, rest.as_mut_ptr().cast(), rest.len()) };
        match usize::try_from(count) {
            Ok(count) if count > 0 => filled += count,
            Err(_) if errno() == libc::EINTR => {}
            _ => break,
        }
    }
    if let Ok(device) = device {
        let _ = super::sockets::close(device);
    }
    if filled < out.len() {
        log::fatal(1, format_args!("The system gives no random bytes"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_every_size_differ() {
        for size in [8, 127, 128, 129, 4096] {
            let (mut a, mut b) = (vec![0; size], vec![0; size]);
            for _ in 0..20 {
                fill(&mut a);
                fill(&mut b);
                assert_ne!(a, b);
            }
        }
        fill(&mut []);
    }
}
