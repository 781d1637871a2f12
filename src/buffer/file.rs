//! Parts of files as data: sent without being read where the buffer allows it, else mapped or
//! read into memory when first needed.

use super::abi::*;
use super::chain::{ChainPtr, flag};
use super::chains::Run;
use super::{End, Guard, Refused};
use crate::hooks::memory::{self, OutOfMemory};
use crate::hooks::threads::Lock;
use crate::system::{self, uncancelled};
use crate::warning_with_errno;
use std::cell::Cell;
use std::ffi::{c_int, c_uint, c_void};
use std::mem::offset_of;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, Ordering::*};

/// `struct evbuffer_file_segment`: a range of a file, shared by the chains that show it.
///
/// Invariants: `contents` is null until the range is in memory and never changes after that;
/// `mapping_length` is 0 unless the contents are a mapping, which then begins at `mapping`.
#[repr(C)]
pub struct FileSegment {
    lock: Lock,
    references: AtomicI32,
    flags: c_uint,
    /// What the segment is, as [`nature`]; libevent's own tests read it by offset.
    nature: AtomicU32,
    descriptor: c_int,
    offset: usize,
    length: usize,
    contents: AtomicPtr<u8>,
    mapping: Cell<*mut c_void>,
    mapping_length: Cell<usize>,
    cleanup: Cell<Option<EvbufferFileSegmentCleanupFn>>,
    cleanup_argument: Cell<*mut c_void>,
}

const _: () = assert!(offset_of!(FileSegment, nature) == 16);

/// Bits of what a segment is.
mod nature {
    /// The kernel can send it.
    pub const SENDFILE: u32 = 1;
    /// Its contents are a mapping.
    pub const MAPPING: u32 = 2;
}

fn file_status(descriptor: c_int) -> Result<libc::stat, Refused> {
    let mut status = std::mem::MaybeUninit::uninit();
    // SAFETY: fstat fills the structure when it succeeds.
    unsafe {
        if system::fstat(descriptor, status.as_mut_ptr()) < 0 {
            return Err(Refused::System);
        }
        Ok(status.assume_init())
    }
}

/// The length of a range, which for `None` goes to the end of the file, if its end is a valid
/// offset.
fn length_of_range(
    descriptor: c_int,
    offset: usize,
    length: Option<usize>,
) -> Result<usize, Refused> {
    let length = match length {
        Some(length) => length,
        None => usize::try_from(file_status(descriptor)?.st_size)
            .ok()
            .and_then(|size| size.checked_sub(offset))
            .ok_or(Refused::Range)?,
    };
    match offset.checked_add(length) {
        Some(end) if end <= isize::MAX as usize => Ok(length),
        _ => Err(Refused::Range),
    }
}

impl FileSegment {
    /// The range of `length` bytes at `offset` (to the end of the file, for `None`). The caller
    /// owns one reference.
    pub fn create(
        descriptor: c_int,
        offset: usize,
        length: Option<usize>,
        flags: c_uint,
    ) -> Result<NonNull<FileSegment>, Refused> {
        let length = length_of_range(descriptor, offset, length)?;
        let segment = FileSegment::allocate(descriptor, offset, length, flags)?;
        if flags & EVBUF_FS_DISABLE_SENDFILE != 0 {
            // SAFETY: the segment is new, and nobody else has seen it.
            unsafe {
                if let Err(refused) = segment.as_ref().load() {
                    segment.as_ref().lock.free(0);
                    memory::free(segment.as_ptr().cast());
                    return Err(refused);
                }
            }
        }
        Ok(segment)
    }

    fn allocate(
        descriptor: c_int,
        offset: usize,
        length: usize,
        flags: c_uint,
    ) -> Result<NonNull<FileSegment>, OutOfMemory> {
        let lock = match flags & EVBUF_FS_DISABLE_LOCKING {
            0 => Lock::allocate(0)?,
            _ => Lock::NONE,
        };
        let block = memory::malloc(size_of::<FileSegment>()).cast::<FileSegment>();
        let Some(segment) = NonNull::new(block) else {
            // SAFETY: nobody else has seen the lock.
            unsafe { lock.free(0) };
            return Err(OutOfMemory);
        };
        // SAFETY: the block is fresh and large enough.
        unsafe {
            block.write(FileSegment {
                lock,
                references: AtomicI32::new(1),
                flags,
                nature: AtomicU32::new(match flags & EVBUF_FS_DISABLE_SENDFILE {
                    0 => nature::SENDFILE,
                    _ => 0,
                }),
                descriptor,
                offset,
                length,
                contents: AtomicPtr::new(ptr::null_mut()),
                mapping: Cell::new(ptr::null_mut()),
                mapping_length: Cell::new(0),
                cleanup: Cell::new(None),
                cleanup_argument: Cell::new(ptr::null_mut()),
            });
        }
        Ok(segment)
    }

    /// Sets what is called when the segment is gone.
    pub fn set_cleanup(
        &self,
        cleanup: Option<EvbufferFileSegmentCleanupFn>,
        argument: *mut c_void,
    ) {
        self.cleanup.set(cleanup);
        self.cleanup_argument.set(argument);
    }

    /// Brings the range into memory, once.
    fn load(&self) -> Result<*mut u8, Refused> {
        self.lock.acquire();
        let mut result = Ok(self.contents.load(Relaxed));
        if result == Ok(ptr::null_mut()) {
            result = self.load_now();
            if let Ok(contents) = result {
                self.contents.store(contents, Relaxed);
            }
        }
        self.lock.release();
        result
    }

    fn load_now(&self) -> Result<*mut u8, Refused> {
        if self.length == 0 {
            system::set_errno(libc::EINVAL);
            return Err(Refused::System);
        }
        let status = file_status(self.descriptor)?;
        let is_regular = status.st_mode & libc::S_IFMT == libc::S_IFREG;
        // Pages after the end of a file must not be touched. Some files, such as those of /proc, do
        // not know where their end is: reading finds out.
        let ends_early = is_regular && (status.st_size as usize) < self.offset + self.length;
        if self.flags & EVBUF_FS_DISABLE_MMAP == 0 && !ends_early {
            if let Some(contents) = self.map() {
                return Ok(contents);
            }
            warning_with_errno!(
                "evbuffer_file_segment_materialize: mmap({}, {}, {}) failed",
                self.descriptor,
                self.offset,
                self.length
            );
        }
        self.read()
    }

    fn map(&self) -> Option<*mut u8> {
        // SAFETY: sysconf has no precondition.
        let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).ok()?;
        let leading = self.offset % page;
        let length = self.length.checked_add(leading)?;
        // SAFETY: a fresh private mapping at an address of the kernel's choice.
        let mapping = unsafe {
            system::mmap(
                ptr::null_mut(),
                length,
                libc::PROT_READ,
                libc::MAP_PRIVATE,
                self.descriptor,
                (self.offset - leading) as libc::off_t,
            )
        };
        if mapping == libc::MAP_FAILED {
            return None;
        }
        self.mapping.set(mapping);
        self.mapping_length.set(length);
        self.nature.fetch_or(nature::MAPPING, Relaxed);
        Some(mapping.cast::<u8>().wrapping_add(leading))
    }

    fn read(&self) -> Result<*mut u8, Refused> {
        let block = memory::malloc(self.length).cast::<u8>();
        if block.is_null() {
            return Err(Refused::OutOfMemory);
        }
        let mut done = 0;
        while done < self.length {
            // SAFETY: `length - done` bytes of the block are still to be filled.
            let count = unsafe {
                system::pread(
                    self.descriptor,
                    block.add(done).cast(),
                    self.length - done,
                    (self.offset + done) as libc::off_t,
                )
            };
            if count <= 0 {
                // SAFETY: the block came from the hooks and nobody else has seen it.
                unsafe { memory::free(block.cast()) };
                return Err(Refused::System);
            }
            done += count as usize;
        }
        Ok(block)
    }

    /// One more reference.
    fn add_reference(&self) {
        self.references.fetch_add(1, Relaxed);
    }

    /// Gives up a reference; the last one ends the segment.
    ///
    /// # Safety
    /// The segment is live and the reference the caller's to give.
    pub unsafe fn release(segment: NonNull<FileSegment>) {
        // SAFETY: live until the last reference is gone; what follows that is ours alone.
        unsafe {
            if segment.as_ref().references.fetch_sub(1, AcqRel) == 1 {
                Self::destroy(segment);
            }
        }
    }

    /// # Safety
    /// The last reference is gone.
    unsafe fn destroy(segment: NonNull<FileSegment>) {
        // SAFETY: nobody else uses the segment, its contents, its lock or its descriptor.
        unsafe {
            let this = segment.as_ref();
            if this.mapping_length.get() > 0 {
                system::munmap(this.mapping.get(), this.mapping_length.get());
            } else if !this.contents.load(Relaxed).is_null() {
                memory::free(this.contents.load(Relaxed).cast());
            }
            if this.flags & EVBUF_FS_CLOSE_ON_FREE != 0 && this.descriptor >= 0 {
                uncancelled::close(this.descriptor);
            }
            if let Some(cleanup) = this.cleanup.get() {
                cleanup(
                    segment.as_ptr(),
                    this.flags as c_int,
                    this.cleanup_argument.get(),
                );
            }
            this.lock.free(0);
            memory::free(segment.as_ptr().cast());
        }
    }
}

/// The segment that a chain shows.
fn segment_of<'a>(chain: ChainPtr) -> &'a FileSegment {
    // SAFETY: only called for file-segment chains, which hold a reference; the result is not kept
    // beyond the operation on the chain.
    unsafe { chain.record::<NonNull<FileSegment>>().read().as_ref() }
}

/// Brings the bytes of a sendfile chain into memory; other chains are left alone.
#[inline]
pub fn load(chain: ChainPtr) -> Result<(), Refused> {
    if chain.is(flag::SENDFILE) {
        load_chain(chain)
    } else {
        Ok(())
    }
}

#[cold]
fn load_chain(chain: ChainPtr) -> Result<(), Refused> {
    if chain.length.get() == 0 {
        return Ok(());
    }
    let segment = segment_of(chain);
    let contents = segment.load()?;
    chain.misalign.set(chain.misalign.get() - segment.offset);
    chain.capacity.set(segment.length);
    chain.memory.set(contents);
    chain.clear(flag::SENDFILE);
    Ok(())
}

/// The descriptor of the file that has the bytes of a chain, and where they begin in it, if the
/// kernel can send them from there: those that were never read, and those that are mapped, as long
/// as nobody but the segment closes the descriptor.
pub fn place_in_file(chain: ChainPtr) -> Option<(c_int, libc::off_t)> {
    if !chain.is(flag::FILE_SEGMENT) {
        return None;
    }
    let segment = segment_of(chain);
    if chain.is(flag::SENDFILE) {
        return Some((segment.descriptor, chain.misalign.get() as libc::off_t));
    }
    let mapped = nature::SENDFILE | nature::MAPPING;
    let sendable = segment.flags & EVBUF_FS_CLOSE_ON_FREE != 0
        && segment.nature.load(Relaxed) & mapped == mapped;
    let start = segment.offset + chain.misalign.get();
    sendable.then_some((segment.descriptor, start as libc::off_t))
}

/// A second chain that shows the first `count` bytes of a file-segment chain.
pub fn share(chain: ChainPtr, count: usize) -> Result<ChainPtr, OutOfMemory> {
    let segment = segment_of(chain);
    let part = ChainPtr::with_record(
        chain.flags.get(),
        chain.memory.get(),
        chain.capacity.get(),
        NonNull::from(segment),
    )?;
    segment.add_reference();
    part.misalign.set(chain.misalign.get());
    part.length.set(count);
    Ok(part)
}

impl Guard {
    /// Appends `length` bytes of a file from `offset` on (to its end, for `None`). The descriptor
    /// is the buffer's from the moment that there is a segment, also when adding it fails.
    pub fn append_file(
        &self,
        descriptor: c_int,
        offset: usize,
        length: Option<usize>,
    ) -> Result<(), Refused> {
        let segment = FileSegment::create(descriptor, offset, length, EVBUF_FS_CLOSE_ON_FREE)
            .inspect_err(|refused| {
                // As a segment without a chain does. The caller could not tell the two apart.
                if *refused == Refused::OutOfMemory {
                    // SAFETY: the caller gives the descriptor away.
                    unsafe { uncancelled::close(descriptor) };
                }
            })?;
        // SAFETY: the segment was just made, and this function's reference ends here.
        unsafe {
            let result = self.append_segment(segment, 0, None);
            FileSegment::release(segment);
            result
        }
    }

    /// Appends `length` bytes at `offset` of a segment (to its end, for `None`). On success the
    /// buffer holds a reference of its own.
    ///
    /// # Safety
    /// The segment is live.
    pub unsafe fn append_segment(
        &self,
        segment: NonNull<FileSegment>,
        offset: usize,
        length: Option<usize>,
    ) -> Result<(), Refused> {
        self.check_frozen(End::Back)?;
        // SAFETY: the caller guarantees the segment.
        let this = unsafe { segment.as_ref() };
        let available = this.length.checked_sub(offset).ok_or(Refused::Range)?;
        let length = length.unwrap_or(available);
        if length > available {
            return Err(Refused::Range);
        }
        self.check_total(length)?;
        let sendfile = self.flags.get() & EVBUFFER_FLAG_DRAINS_TO_FD != 0
            && this.nature.load(Relaxed) & nature::SENDFILE != 0;
        let kind = flag::FILE_SEGMENT | flag::IMMUTABLE;
        let chain = if sendfile {
            let start = this.offset + offset;
            let chain = ChainPtr::with_record(
                kind | flag::SENDFILE,
                ptr::null_mut(),
                start + length,
                segment,
            )?;
            chain.misalign.set(start);
            chain
        } else {
            let contents = this.load()?;
            let chain = ChainPtr::with_record(kind, contents, this.length, segment)?;
            chain.misalign.set(offset);
            chain
        };
        chain.length.set(length);
        this.add_reference();
        self.append_run(Run::of(chain)).release();
        self.notify();
        Ok(())
    }
}
