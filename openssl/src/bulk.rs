//! The BIO for bulk data: it is chained before the BIO of a socket and reads, or sends, several
//! records with one system call.
//!
//! An SSL gets one the first time that more than a record is transferred in a turn, so connections
//! with short messages, and idle ones, have none. For the time of a turn, it works in one of two
//! modes:
//!
//! - [`Fetching`]: it reads more than the SSL asks for. What is left when the turn ends is kept in
//!   a block of just that size.
//! - [`Collecting`]: it keeps what the SSL sends until that is pushed out. What the socket does not
//!   take then is sent before anything else.
//!
//! At other times everything passes straight through, so the program can use the SSL without the
//! bufferevent. Blocks are freed as soon as they are empty.

use crate::bio::made_once;
use crate::byte_queue::ByteQueue;
use crate::ending::{errno, set_errno};
use crate::libevent::{event_mm_calloc_, event_mm_free_};
use crate::openssl::*;
use std::cell::Cell;
use std::ffi::{c_char, c_int, c_long, c_void};
use std::ops::Deref;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicI32, AtomicPtr, Ordering};

/// How many of the longest records are transferred at once: the more, the less each costs here, and
/// at the peer, which has to wake up for them. Still more would need blocks so large that
/// allocators map and unmap them each time.
pub const RECORDS: usize = 7;

/// How much is read at once: these records, with what ciphers usually add.
const FETCH: usize = RECORDS * (LONGEST_RECORD + 64);

/// The most room that a collected record takes, whatever the cipher adds.
const COLLECTED_RECORD: usize = LONGEST_RECORD + 256;

const _: () = assert!(RECORDS * COLLECTED_RECORD < 128 * 1024);

/// The header of a record: its type, two bytes of version, two of length.
const HEADER: usize = 5;
const APPLICATION_DATA: u8 = 23;

/// The data of a bulk BIO.
pub struct Bulk {
    bio: *mut BIO,
    fetches: Cell<bool>,
    /// The room to reserve for what is collected; 0 outside of [`Collecting`].
    collects: Cell<usize>,
    /// The last turn read so much that the next one starts by fetching.
    flows: Cell<bool>,
    fetched: ByteQueue,
    collected: ByteQueue,
}

/// The result of pushing out what was collected.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Push {
    /// All of it was sent.
    Done,
    /// The socket takes no more for now.
    Blocked,
    /// The socket has failed, with this errno.
    Failed(c_int),
}

/// The bulk data of an SSL. It lives as long as its BIO, which the SSL has a reference of.
#[derive(Clone, Copy)]
pub struct BulkPtr(NonNull<Bulk>);

impl Deref for BulkPtr {
    type Target = Bulk;
    fn deref(&self) -> &Bulk {
        // SAFETY: the functions that make the pointer require that the BIO outlives it; what
        // changes is in cells.
        unsafe { self.0.as_ref() }
    }
}

impl BulkPtr {
    /// The bulk BIO of an SSL, if it has one.
    ///
    /// # Safety
    /// The SSL is live, and the pointer is used only as long as it keeps its BIOs.
    pub unsafe fn of(ssl: *mut SSL) -> Option<BulkPtr> {
        // SAFETY: the caller guarantees the SSL. The type is that of these BIOs alone.
        unsafe {
            let bio = SSL_get_rbio(ssl);
            let is_one = !bio.is_null() && BIO_method_type(bio) == TYPE.load(Ordering::Relaxed);
            is_one.then(|| BulkPtr::of_bio(bio)).flatten()
        }
    }

    /// Inserts a bulk BIO into an SSL that has none. Returns `None` if the SSL is not on a plain
    /// socket, must not read ahead, or memory is short.
    ///
    /// # Safety
    /// As for [`BulkPtr::of`], and no operation of the SSL is under way.
    pub unsafe fn insert(ssl: *mut SSL) -> Option<BulkPtr> {
        // SAFETY: as above. The SSL gives up its references of the BIO below; the chain has one.
        unsafe {
            let below = SSL_get_rbio(ssl);
            let is_plain = !below.is_null()
                && below == SSL_get_wbio(ssl)
                && BIO_method_type(below) == TYPE_SOCKET;
            if !is_plain || !may_read_ahead(ssl) {
                return None;
            }
            let bio = BIO_new(method()?.as_ptr());
            if bio.is_null() {
                ERR_clear_error();
                return None;
            }
            BIO_up_ref(below);
            BIO_push(bio, below);
            SSL_set_bio(ssl, bio, bio);
            BulkPtr::of_bio(bio)
        }
    }

    /// # Safety
    /// The BIO was made by this module.
    unsafe fn of_bio(bio: *mut BIO) -> Option<BulkPtr> {
        // SAFETY: the caller guarantees the BIO.
        NonNull::new(unsafe { BIO_get_data(bio) }.cast()).map(BulkPtr)
    }

    /// Adds bytes to what is collected, if this is a collecting turn and there is room.
    ///
    /// # Safety
    /// That many bytes can be read there.
    unsafe fn collect(self, data: *const u8, length: usize) -> bool {
        let (collected, room) = (&self.collected, self.collects.get());
        let is_new = collected.length() == 0;
        let fits = length <= room && collected.has_room(if is_new { room } else { length });
        if fits {
            // SAFETY: the caller guarantees the bytes; there is room.
            unsafe { ptr::copy_nonoverlapping(data, collected.room(), length) };
            collected.add(length);
        }
        fits
    }

    fn below(self) -> *mut BIO {
        // SAFETY: the BIO is live, because this is.
        unsafe { BIO_next(self.bio) }
    }

    /// Whether the next turn starts by fetching.
    pub fn flows(self) -> bool {
        self.flows.get() || self.fetched.length() > 0
    }

    /// Sets whether the next turn starts by fetching.
    pub fn set_flows(self, flows: bool) {
        self.flows.set(flows);
    }

    /// Whether what was fetched contains a whole record. It starts at the boundary of a record,
    /// because the SSL has consumed all before if it has nothing pending itself.
    pub fn has_record(self) -> bool {
        let fetched = self.fetched.bytes();
        self.body()
            .is_some_and(|length| fetched.len() >= HEADER + length)
    }

    /// An upper bound of the data in the next record, if that was fetched whole.
    pub fn next_data(self) -> Option<usize> {
        let is_data = self.fetched.bytes().first() == Some(&APPLICATION_DATA);
        (is_data && self.has_record()).then(|| self.body())?
    }

    fn body(self) -> Option<usize> {
        let header = self.fetched.bytes().get(..HEADER)?;
        Some(usize::from(u16::from_be_bytes([header[3], header[4]])))
    }

    /// Sends what was collected.
    pub fn push(self) -> Push {
        let pending = &self.collected;
        let bytes = pending.bytes();
        if bytes.is_empty() {
            return Push::Done;
        }
        // SAFETY: the BIO below lives as long as this one.
        let sent = unsafe { BIO_write(self.below(), bytes.as_ptr().cast(), bytes.len() as c_int) };
        let error = errno();
        pending.take(sent.max(0) as usize);
        pending.shrink();
        // SAFETY: as above.
        let again = sent > 0 || unsafe { BIO_test_flags(self.below(), retry::AGAIN) } != 0;
        if pending.length() == 0 {
            Push::Done
        } else if again {
            // A socket that took only a part has no room for the rest.
            Push::Blocked
        } else {
            Push::Failed(error)
        }
    }

    /// Fetches into the empty queue. Returns the result of the read, or `None` without memory.
    fn fetch(self) -> Option<c_int> {
        if !self.fetched.has_room(FETCH) {
            return None;
        }
        // SAFETY: the BIO below lives as long as this one; the room is that long.
        let count = unsafe { BIO_read(self.below(), self.fetched.room().cast(), FETCH as c_int) };
        self.fetched.add(count.max(0) as usize);
        Some(count)
    }
}

/// A reference of a BIO, which keeps it alive whatever callbacks do to the SSL.
struct Kept(BulkPtr);

impl Kept {
    fn new(bulk: BulkPtr) -> Kept {
        // SAFETY: the BIO is live.
        unsafe { BIO_up_ref(bulk.bio) };
        Kept(bulk)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // SAFETY: the reference is this one's own.
        unsafe { BIO_free(self.0.bio) };
    }
}

/// A turn in which more is read than the SSL asks for, while the SSL itself does not read ahead.
pub struct Fetching(Kept, *mut SSL);

impl Fetching {
    /// Begins a turn.
    ///
    /// # Safety
    /// The SSL has the BIO, and outlives the turn.
    pub unsafe fn begin(bulk: BulkPtr, ssl: *mut SSL) -> Fetching {
        bulk.fetches.set(true);
        // SAFETY: the caller guarantees the SSL.
        unsafe { read_ahead(ssl, false) };
        Fetching(Kept::new(bulk), ssl)
    }
}

impl Drop for Fetching {
    fn drop(&mut self) {
        let bulk = self.0.0;
        bulk.fetches.set(false);
        bulk.fetched.shrink();
        // SAFETY: the SSL is live.
        unsafe { read_ahead(self.1, true) };
    }
}

/// A turn in which the output of the SSL is collected.
pub struct Collecting(Kept);

impl Collecting {
    /// Begins a turn in which up to this many bytes are to be sent. [`BulkPtr::push`] has to
    /// follow.
    pub fn begin(bulk: BulkPtr, amount: usize) -> Collecting {
        let records = amount.div_ceil(LONGEST_RECORD).min(RECORDS);
        bulk.collects.set(records * COLLECTED_RECORD);
        Collecting(Kept::new(bulk))
    }
}

impl Drop for Collecting {
    fn drop(&mut self) {
        self.0.0.collects.set(0);
    }
}

/// The method table of bulk BIOs, once there is one.
static TYPE: AtomicI32 = AtomicI32::new(-1);
static METHOD: AtomicPtr<BIO_METHOD> = AtomicPtr::new(ptr::null_mut());

fn method() -> Option<NonNull<BIO_METHOD>> {
    // SAFETY: the new table is nobody else's before it is published.
    made_once(&METHOD, || unsafe {
        if TYPE.load(Ordering::Relaxed) < 0 {
            let new = TYPE_FILTER | BIO_get_new_index();
            let _ = TYPE.compare_exchange(-1, new, Ordering::Relaxed, Ordering::Relaxed);
        }
        let kind = TYPE.load(Ordering::Relaxed);
        let new = NonNull::new(BIO_meth_new(kind, c"bufferevent bulk".as_ptr()))?;
        BIO_meth_set_write(new.as_ptr(), write);
        BIO_meth_set_read(new.as_ptr(), read);
        BIO_meth_set_ctrl(new.as_ptr(), control);
        BIO_meth_set_create(new.as_ptr(), create);
        BIO_meth_set_destroy(new.as_ptr(), destroy);
        Some(new)
    })
}

unsafe extern "C-unwind" fn create(bio: *mut BIO) -> c_int {
    // SAFETY: OpenSSL calls this with a new BIO. Zero bytes are empty stretches.
    unsafe {
        let block: *mut Bulk = event_mm_calloc_(1, size_of::<Bulk>()).cast();
        if block.is_null() {
            return 0;
        }
        (*block).bio = bio;
        BIO_set_data(bio, block.cast());
        BIO_set_init(bio, 1);
    }
    1
}

unsafe extern "C-unwind" fn destroy(bio: *mut BIO) -> c_int {
    // SAFETY: OpenSSL calls this once, last of all.
    unsafe {
        if let Some(bulk) = BulkPtr::of_bio(bio) {
            bulk.fetched.clear();
            bulk.collected.clear();
            BIO_set_data(bio, ptr::null_mut());
            event_mm_free_(bulk.0.as_ptr().cast());
        }
    }
    1
}

unsafe extern "C-unwind" fn read(bio: *mut BIO, data: *mut c_char, length: c_int) -> c_int {
    // SAFETY: OpenSSL guarantees BIO and room.
    unsafe {
        BIO_clear_flags(bio, retry::ALL);
        let Some(bulk) = BulkPtr::of_bio(bio) else {
            return 0;
        };
        let fetched = &bulk.fetched;
        if fetched.length() == 0 {
            let count = if bulk.fetches.get() {
                bulk.fetch()
            } else {
                None
            };
            if !matches!(count, Some(1..)) {
                fetched.clear();
                let count = count.unwrap_or_else(|| BIO_read(bulk.below(), data.cast(), length));
                BIO_copy_next_retry(bio);
                return count;
            }
        }
        let count = fetched.length().min(length.max(0) as usize);
        ptr::copy_nonoverlapping(fetched.bytes().as_ptr(), data.cast(), count);
        fetched.take(count);
        count as c_int
    }
}

unsafe extern "C-unwind" fn write(bio: *mut BIO, data: *const c_char, length: c_int) -> c_int {
    // SAFETY: OpenSSL guarantees BIO and data.
    unsafe {
        BIO_clear_flags(bio, retry::ALL);
        let Some(bulk) = BulkPtr::of_bio(bio) else {
            return 0;
        };
        if bulk.collects.get() > 0 && bulk.collect(data.cast(), length.max(0) as usize) {
            return length;
        }
        // What was collected goes first.
        match bulk.push() {
            Push::Done => {
                let count = BIO_write(bulk.below(), data.cast(), length);
                BIO_copy_next_retry(bio);
                count
            }
            Push::Blocked => {
                BIO_set_flags(bio, retry::WRITE);
                -1
            }
            Push::Failed(error) => {
                set_errno(error);
                -1
            }
        }
    }
}

unsafe extern "C-unwind" fn control(
    bio: *mut BIO,
    command: c_int,
    number: c_long,
    pointer: *mut c_void,
) -> c_long {
    // SAFETY: OpenSSL guarantees the BIO and what belongs to the command.
    unsafe {
        let Some(bulk) = BulkPtr::of_bio(bio) else {
            return 0;
        };
        match command {
            control::PENDING if bulk.fetched.length() > 0 => bulk.fetched.length() as c_long,
            control::WRITE_PENDING if bulk.collected.length() > 0 => {
                bulk.collected.length() as c_long
            }
            control::DUPLICATE => 1,
            control::FLUSH if bulk.push() == Push::Blocked => {
                BIO_set_flags(bio, retry::WRITE);
                -1
            }
            _ => BIO_ctrl(bulk.below(), command, number, pointer),
        }
    }
}
