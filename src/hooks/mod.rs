//! What the program may replace: where memory comes from, where messages go, how threads lock.

pub(crate) mod futex;
pub mod global_locks;
pub mod lock_debugging;
pub mod log;
pub mod memory;
pub mod panic;
pub mod pthreads;
pub mod thread_abi;
pub mod thread_callbacks;
pub mod threads;
