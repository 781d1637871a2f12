//! The table of paths that a server has functions for.

use super::abi::RequestFn;
use super::block::WatcherFn;
use crate::hooks::memory::{self, Array, OutOfMemory};
use std::ffi::c_void;
use std::mem::size_of;
use std::ptr;

/// What handles a request.
#[derive(Clone, Copy)]
pub struct Handler {
    /// The program's function.
    pub callback: RequestFn,
    /// Passed on.
    pub argument: *mut c_void,
    /// Called with the argument when the whole table is freed.
    pub gone: Option<WatcherFn>,
}

/// One path. Its bytes follow in the same block.
struct Entry {
    next: *mut Entry,
    hash: u32,
    length: u32,
    handler: Handler,
}

impl Entry {
    /// # Safety
    /// The entry is live while the result is used.
    unsafe fn path<'a>(entry: *const Entry) -> &'a [u8] {
        // SAFETY: the caller guarantees the entry, behind which so many bytes lie.
        unsafe { std::slice::from_raw_parts(entry.add(1).cast(), (*entry).length as usize) }
    }
}

/// Why a path was not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAdded {
    /// It is there already.
    Present,
    /// Memory is short.
    Memory,
}

/// Paths by their bytes. All keys are the program's, so that no peer can make them collide.
pub struct PathTable {
    /// Chains of entries; none, or a power of two.
    buckets: Array<*mut Entry>,
    count: usize,
}

/// Chains have this many entries on average at most: more would make them slow to search, fewer take memory.
const MOST_PER_BUCKET: usize = 2;

/// FNV-1a.
fn hash(path: &[u8]) -> u32 {
    path.iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

impl PathTable {
    /// Without any path.
    pub const fn empty() -> PathTable {
        PathTable {
            buckets: Array::new(),
            count: 0,
        }
    }

    fn bucket(&self, hash: u32) -> usize {
        (hash as usize) & (self.buckets.len() - 1)
    }

    /// The place of the pointer to the entry of a path, or to null.
    fn find(&mut self, path: &[u8]) -> Option<*mut *mut Entry> {
        if self.buckets.is_empty() {
            return None;
        }
        let hash = hash(path);
        let bucket = self.bucket(hash);
        let mut place = ptr::from_mut(&mut self.buckets[bucket]);
        // SAFETY: all entries in the table are live.
        unsafe {
            while !(*place).is_null() {
                let entry = *place;
                if (*entry).hash == hash && Entry::path(entry) == path {
                    break;
                }
                place = ptr::addr_of_mut!((*entry).next);
            }
        }
        Some(place)
    }

    /// What handles a path.
    pub fn handler(&mut self, path: &[u8]) -> Option<Handler> {
        let place = self.find(path)?;
        // SAFETY: all entries in the table are live.
        unsafe { (*place).as_ref() }.map(|entry| entry.handler)
    }

    /// Adds a path.
    pub fn add(&mut self, path: &[u8], handler: Handler) -> Result<(), NotAdded> {
        if self.handler(path).is_some() {
            return Err(NotAdded::Present);
        }
        let length = u32::try_from(path.len()).map_err(|_| NotAdded::Memory)?;
        self.grow().map_err(|OutOfMemory| NotAdded::Memory)?;
        let entry = memory::malloc(size_of::<Entry>() + path.len()).cast::<Entry>();
        if entry.is_null() {
            return Err(NotAdded::Memory);
        }
        let hash = hash(path);
        let bucket = self.bucket(hash);
        // SAFETY: the block has room for the entry and the path.
        unsafe {
            entry.write(Entry {
                next: self.buckets[bucket],
                hash,
                length,
                handler,
            });
            ptr::copy_nonoverlapping(path.as_ptr(), entry.add(1).cast(), path.len());
        }
        self.buckets[bucket] = entry;
        self.count += 1;
        Ok(())
    }

    /// Makes sure that there are enough chains for one more entry.
    fn grow(&mut self) -> Result<(), OutOfMemory> {
        if self.count < MOST_PER_BUCKET * self.buckets.len() {
            return Ok(());
        }
        let mut larger = Array::new();
        let size = (2 * self.buckets.len()).max(1);
        larger.try_set_capacity(size)?;
        larger.try_extend_to(size, ptr::null_mut())?;
        let old = std::mem::replace(&mut self.buckets, larger);
        for mut entry in old.iter().copied() {
            while !entry.is_null() {
                // SAFETY: all entries in the table are live.
                unsafe {
                    let next = (*entry).next;
                    let bucket = self.bucket((*entry).hash);
                    (*entry).next = self.buckets[bucket];
                    self.buckets[bucket] = entry;
                    entry = next;
                }
            }
        }
        Ok(())
    }

    /// Removes a path; whether it was there.
    pub fn remove(&mut self, path: &[u8]) -> bool {
        let Some(place) = self.find(path) else {
            return false;
        };
        // SAFETY: all entries in the table are live; the one that is taken out is the table's own.
        unsafe {
            let entry = *place;
            if entry.is_null() {
                return false;
            }
            *place = (*entry).next;
            memory::free(entry.cast());
        }
        self.count -= 1;
        true
    }

    /// Removes all paths.
    pub fn clear(&mut self) {
        for bucket in 0..self.buckets.len() {
            let mut entry = self.buckets[bucket];
            while !entry.is_null() {
                // SAFETY: the entries are the table's own.
                unsafe {
                    let (next, handler) = ((*entry).next, (*entry).handler);
                    memory::free(entry.cast());
                    if let Some(gone) = handler.gone {
                        gone(handler.argument);
                    }
                    entry = next;
                }
            }
        }
        self.buckets = Array::new();
        self.count = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::abi::EvhttpRequest;

    unsafe extern "C-unwind" fn nothing(_: *mut EvhttpRequest, _: *mut c_void) {}

    fn handler(number: usize) -> Handler {
        Handler {
            callback: nothing,
            argument: number as *mut c_void,
            gone: None,
        }
    }

    #[test]
    fn many_paths_are_found_and_removed() {
        let mut table = PathTable::empty();
        assert!(table.handler(b"/").is_none() && !table.remove(b"/"));
        let path = |number: usize| format!("/p{number}").into_bytes();
        for number in 0..1000 {
            table.add(&path(number), handler(number)).unwrap();
        }
        assert_eq!(table.add(b"/p7", handler(0)), Err(NotAdded::Present));
        for number in (0..1000).step_by(2) {
            assert!(table.remove(&path(number)));
        }
        for number in 0..1000 {
            let found = table
                .handler(&path(number))
                .map(|found| found.argument as usize);
            assert_eq!(found, (number % 2 == 1).then_some(number));
        }
        table.clear();
        assert!(table.handler(b"/p1").is_none());
    }
}
