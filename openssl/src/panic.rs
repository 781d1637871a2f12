//! A panic must never cross into C: it ends the process in the way a broken invariant does.

use crate::libevent::event_errx;
use std::fmt::Write;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

static INSTALLED: AtomicBool = AtomicBool::new(false);

/// The code with which a broken invariant of the library ends a program.
const INTERNAL_ERROR: std::ffi::c_int = 0xdeaddead_u32 as i32;

/// Makes panics end in the fatal callback. Called by the constructors.
pub fn install() {
    if !INSTALLED.load(Relaxed) {
        // The closure captures nothing, so the box allocates nothing.
        #[expect(clippy::disallowed_types)]
        std::panic::set_hook(Box::new(|panic| {
            let mut text = Text([0; 300], 0);
            // A message that does not fit is truncated.
            let _ = write!(text, "{panic}");
            // SAFETY: both are strings; the last byte is never written.
            unsafe { event_errx(INTERNAL_ERROR, c"%s".as_ptr(), text.0.as_ptr()) };
        }));
        INSTALLED.store(true, Relaxed);
    }
}

/// The start of a message, NUL-terminated.
struct Text([u8; 300], usize);

impl Write for Text {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let room = self.0.len() - 1 - self.1;
        let part = &text.as_bytes()[..text.len().min(room)];
        self.0[self.1..][..part.len()].copy_from_slice(part);
        self.1 += part.len();
        Ok(())
    }
}
