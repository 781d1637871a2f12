//! Reading a whole file.

use super::{SystemError, checked};
use crate::hooks::memory;
use crate::system::{self, errno, uncancelled};
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::mem::MaybeUninit;

/// Why a file's content is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// It cannot be opened; errno says why.
    Open,
    /// It cannot be read, is too large, or there is no memory.
    Read,
}

/// Opens a file that a program started by exec does not inherit.
pub fn open(path: &CStr, flags: c_int, mode: c_uint) -> Result<c_int, SystemError> {
    // SAFETY: the path is terminated.
    checked(unsafe { system::open(path.as_ptr(), flags | libc::O_CLOEXEC, mode) })
}

/// A file's content and its length, in a block of the memory hooks that belongs to the caller. A
/// NUL follows the content. The file is read up to the size it has when it is opened.
pub fn read(path: &CStr) -> Result<(*mut c_char, usize), ReadError> {
    let file = open(path, libc::O_RDONLY, 0).map_err(|_| ReadError::Open)?;
    let content = read_descriptor(file);
    // SAFETY: the descriptor was just opened here.
    unsafe { uncancelled::close(file) };
    content.ok_or(ReadError::Read)
}

fn read_descriptor(file: c_int) -> Option<(*mut c_char, usize)> {
    let size = size_of_file(file)?;
    let block = memory::malloc(size.checked_add(1)?);
    if block.is_null() {
        return None;
    }
    // SAFETY: the block has room for `size` bytes.
    let Some(length) = (unsafe { read_up_to(file, block.cast(), size) }) else {
        // SAFETY: the block was allocated above.
        unsafe { memory::free(block) };
        return None;
    };
    // SAFETY: the block has one byte more than `size`.
    unsafe { block.cast::<u8>().add(length).write(0) };
    Some((block.cast(), length))
}

/// Whether a descriptor is a file's, a directory's or a device's, rather than a connection's.
pub fn is_file(descriptor: c_int) -> bool {
    let kinds = [libc::S_IFREG, libc::S_IFDIR, libc::S_IFCHR, libc::S_IFBLK];
    status_of(descriptor).is_some_and(|status| kinds.contains(&(status.st_mode & libc::S_IFMT)))
}

fn status_of(descriptor: c_int) -> Option<libc::stat> {
    let mut status = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: fstat fills the structure when it reports success.
    unsafe {
        checked(system::fstat(descriptor, status.as_mut_ptr())).ok()?;
        Some(status.assume_init())
    }
}

fn size_of_file(file: c_int) -> Option<usize> {
    usize::try_from(status_of(file)?.st_size).ok()
}

/// The number of bytes read: fewer than `size` when the file has become shorter.
///
/// # Safety
/// `block` has room for `size` bytes.
unsafe fn read_up_to(file: c_int, block: *mut u8, size: usize) -> Option<usize> {
    let mut length = 0;
    while length < size {
        // SAFETY: the caller guarantees the room.
        let count =
            unsafe { system::read(file, block.add(length).cast::<c_void>(), size - length) };
        match usize::try_from(count) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(_) if errno() == libc::EINTR => {}
            Err(_) => return None,
        }
    }
    Some(length)
}
