//! Data that hooks store with a call.

use crate::hooks::memory::{self, OutOfMemory};
use crate::http::connection::Connection;
use std::cell::Cell;
use std::ffi::c_void;
use std::ptr::{self, NonNull};

/// Finds the connection of a call, or null.
pub type ConnectionOfFn = unsafe fn(context: *mut c_void) -> *mut Connection;

/// `struct evrpc_hook_meta`: the data that is stored with one call.
pub struct Meta {
    first: Cell<*mut Entry>,
    last: Cell<*mut Entry>,
    connection_of: Cell<Option<ConnectionOfFn>>,
}

/// One piece of data, followed by its bytes and those of its key.
#[repr(C, align(16))]
struct Entry {
    next: Cell<*mut Entry>,
    size: usize,
    key_length: usize,
}

/// What every call begins with, at the server and at the client: hooks get its address. Zero bytes
/// mean that nothing is stored.
#[repr(C)]
pub struct Context {
    meta: Cell<*mut Meta>,
}

impl Entry {
    fn data(entry: *mut Entry) -> *mut u8 {
        entry.wrapping_add(1).cast()
    }

    /// Whether it has that key.
    ///
    /// # Safety
    /// The entry is live.
    unsafe fn is(entry: *mut Entry, key: &[u8]) -> bool {
        // SAFETY: the bytes of the key follow those of the data.
        unsafe {
            let start = Entry::data(entry).add((*entry).size);
            std::slice::from_raw_parts(start, (*entry).key_length) == key
        }
    }
}

impl Context {
    fn meta(&self) -> Result<&Meta, OutOfMemory> {
        if self.meta.get().is_null() {
            self.meta.set(memory::allocate_zeroed::<Meta>()?.as_ptr());
        }
        // SAFETY: it stays until `forget`.
        Ok(unsafe { &*self.meta.get() })
    }

    /// Lets hooks ask for the connection.
    pub fn provide_connection(&self, connection_of: ConnectionOfFn) -> Result<(), OutOfMemory> {
        self.meta()?.connection_of.set(Some(connection_of));
        Ok(())
    }

    /// The connection, or null when it is gone or no hook has run.
    pub fn connection(&self) -> *mut Connection {
        // SAFETY: what is there stays until `forget`.
        let meta = unsafe { self.meta.get().as_ref() };
        let connection_of = meta.and_then(|meta| meta.connection_of.get());
        let context = ptr::from_ref(self).cast_mut().cast::<c_void>();
        // SAFETY: this is the call that the function was given for.
        connection_of.map_or(ptr::null_mut(), |of| unsafe { of(context) })
    }

    /// Stores a copy of data.
    ///
    /// # Safety
    /// `data` has `size` bytes.
    pub unsafe fn add(&self, key: &[u8], data: *const u8, size: usize) -> Result<(), OutOfMemory> {
        let meta = self.meta()?;
        let total = size_of::<Entry>().checked_add(key.len());
        let total = total.and_then(|total| total.checked_add(size));
        let block = memory::malloc(total.ok_or(OutOfMemory)?).cast::<Entry>();
        let entry = NonNull::new(block).ok_or(OutOfMemory)?.as_ptr();
        // SAFETY: the block has room for all three, and the caller guarantees the data.
        unsafe {
            entry.write(Entry {
                next: Cell::new(ptr::null_mut()),
                size,
                key_length: key.len(),
            });
            if size > 0 {
                ptr::copy_nonoverlapping(data, Entry::data(entry), size);
            }
            let behind = Entry::data(entry).add(size);
            ptr::copy_nonoverlapping(key.as_ptr(), behind, key.len());
            match meta.last.replace(entry).as_ref() {
                Some(last) => last.next.set(entry),
                None => meta.first.set(entry),
            }
        }
        Ok(())
    }

    /// The data that was stored first with a key, and its size.
    pub fn find(&self, key: &[u8]) -> Option<(*mut u8, usize)> {
        // SAFETY: entries stay until `forget`.
        unsafe {
            let mut entry = self.meta.get().as_ref()?.first.get();
            while !entry.is_null() {
                if Entry::is(entry, key) {
                    return Some((Entry::data(entry), (*entry).size));
                }
                entry = (*entry).next.get();
            }
        }
        None
    }

    /// Frees all of it.
    pub fn forget(&self) {
        let meta = self.meta.replace(ptr::null_mut());
        if meta.is_null() {
            return;
        }
        // SAFETY: nobody else knows the blocks any more.
        unsafe {
            let mut entry = (*meta).first.get();
            while !entry.is_null() {
                let next = (*entry).next.get();
                memory::free(entry.cast());
                entry = next;
            }
            memory::free(meta.cast());
        }
    }
}
