//! A panic must never cross into C: it ends the process the way a broken invariant does.

use super::log;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

static INSTALLED: AtomicBool = AtomicBool::new(false);

/// Makes panics end in the fatal callback. Called by every constructor of the C interface, because
/// the library runs no code when it is loaded; all calls but the first cost one load.
#[inline]
pub fn install() {
    if !INSTALLED.load(Relaxed) {
        replace_panic_hook();
    }
}

#[cold]
fn replace_panic_hook() {
    // The closure captures nothing, so the box allocates nothing.
    #[expect(clippy::disallowed_types)]
    std::panic::set_hook(Box::new(|panic| {
        log::fatal(log::INTERNAL_ERROR, format_args!("{panic}"))
    }));
    INSTALLED.store(true, Relaxed);
}
