//! Lists of names and values: the headers of a request, the parameters of a query.
//!
//! Lists and pairs have the layout of the C macros for tail queues, because programs walk through
//! them, and exchange values, on their own. So each pair and each of its strings is a block of its
//! own. Names are compared without regard to the case of ASCII letters; pairs keep their order and
//! their spelling, and a name may occur in a list several times.

use crate::hooks::memory::{self, OutOfMemory};
use crate::list::{Adapter, TailLink, TailQueue};
use memchr::memchr3;
use std::ffi::{CStr, c_char};
use std::mem::{MaybeUninit, size_of};
use std::ptr::{self, NonNull};

/// One pair: `struct evkeyval`. Both strings are blocks of [`memory`] and end with a NUL.
#[repr(C)]
#[allow(missing_docs)]
pub struct Evkeyval {
    pub next: TailLink<Evkeyval>,
    pub key: *mut c_char,
    pub value: *mut c_char,
}

/// The only links of a pair.
pub struct PairLinks;

// SAFETY: the field's place never changes.
unsafe impl Adapter for PairLinks {
    type Item = Evkeyval;
    type Link = TailLink<Evkeyval>;
    unsafe fn link(item: *mut Evkeyval) -> *mut TailLink<Evkeyval> {
        // SAFETY: the caller guarantees the pair.
        unsafe { ptr::addr_of_mut!((*item).next) }
    }
}

/// A list of pairs: `struct evkeyvalq`.
pub type Evkeyvalq = TailQueue<PairLinks>;

/// Why a pair was not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PairNotAdded {
    /// The name is empty or has a line end or a NUL.
    Name,
    /// The value has a NUL, or a line end that no blank follows.
    Value,
    /// Memory is short.
    Memory,
}

impl From<OutOfMemory> for PairNotAdded {
    fn from(_: OutOfMemory) -> PairNotAdded {
        PairNotAdded::Memory
    }
}

/// A list of its own on the heap, empty.
pub fn new_list() -> Result<NonNull<Evkeyvalq>, OutOfMemory> {
    let list = memory::allocate_zeroed::<Evkeyvalq>()?;
    // SAFETY: the block is new, and stays where it is.
    unsafe { Evkeyvalq::initialise(list.as_ptr()) };
    Ok(list)
}

/// Frees a list from [`new_list`] with all that is in it.
///
/// # Safety
/// `list` came from there, is in use by nobody, and its pairs are as [`append`] made them.
pub unsafe fn free_list(list: *mut Evkeyvalq) {
    // SAFETY: the caller guarantees the list.
    unsafe {
        clear(list);
        memory::free(list.cast());
    }
}

/// The first pair of that name, or null.
///
/// # Safety
/// `list` is initialised and its names are NUL-terminated.
pub unsafe fn find(list: *const Evkeyvalq, name: &[u8]) -> *mut Evkeyval {
    // SAFETY: the caller guarantees the list.
    unsafe { find_from(Evkeyvalq::first(list), name) }
}

/// The first pair of that name behind `pair`, or null.
///
/// # Safety
/// As [`find`]; `pair` is in the list.
pub unsafe fn find_next(pair: *mut Evkeyval, name: &[u8]) -> *mut Evkeyval {
    // SAFETY: the caller guarantees the pair.
    unsafe { find_from(Evkeyvalq::next(pair), name) }
}

/// The first pair of that name from `pair` on, or null.
///
/// # Safety
/// As [`find`]; `pair` is in the list, or null.
unsafe fn find_from(mut pair: *mut Evkeyval, name: &[u8]) -> *mut Evkeyval {
    // SAFETY: the caller guarantees the list.
    unsafe {
        while !pair.is_null() && !is_called((*pair).key, name) {
            pair = Evkeyvalq::next(pair);
        }
    }
    pair
}

/// Whether a key is that name.
///
/// # Safety
/// `key` is NUL-terminated.
unsafe fn is_called(key: *const c_char, name: &[u8]) -> bool {
    for (place, wanted) in name.iter().enumerate() {
        // SAFETY: no byte before was the NUL, so the string goes on.
        let byte = unsafe { *key.add(place) } as u8;
        // Nearly all names differ, also where bytes that are no letters are taken for such.
        if byte == 0 || byte | LOWER_CASE != wanted | LOWER_CASE {
            return false;
        }
    }
    // SAFETY: as above; so many bytes are there.
    unsafe {
        let same = std::slice::from_raw_parts(key.cast::<u8>(), name.len());
        *key.add(name.len()) == 0 && same.eq_ignore_ascii_case(name)
    }
}

/// The bit that makes letters small.
const LOWER_CASE: u8 = 0x20;

/// Adds a pair at the end, for a program: what could end the line in a message is refused, except
/// that a value may be folded as messages once were: a line end and the blanks behind it become
/// one blank.
///
/// # Safety
/// `list` is initialised.
pub unsafe fn add(
    list: *mut Evkeyvalq,
    name: &[u8],
    value: &[u8],
) -> Result<NonNull<Evkeyval>, PairNotAdded> {
    if name.is_empty() || memchr3(b'\r', b'\n', 0, name).is_some() {
        return Err(PairNotAdded::Name);
    }
    let length = match memchr3(b'\r', b'\n', 0, value) {
        None => value.len(),
        Some(_) => unfolded(value, |_, _| {}).ok_or(PairNotAdded::Value)?,
    };
    // SAFETY: the caller guarantees the list.
    let pair = unsafe { append(list, name, value) }?;
    if length < value.len() {
        // SAFETY: the pair is new, and its value has room for the longer text that was copied.
        unsafe {
            let text = (*pair.as_ptr()).value;
            unfolded(value, |place, byte| text.add(place).write(byte as c_char));
            text.add(length).write(0);
        }
    }
    Ok(pair)
}

/// Gives `put` each byte of the value without folds, with its place; the length of the whole.
/// `None` when there is a line end that is no fold, or a NUL.
fn unfolded(value: &[u8], mut put: impl FnMut(usize, u8)) -> Option<usize> {
    let is_blank = |byte: &u8| *byte == b' ' || *byte == b'\t';
    let (mut rest, mut length) = (value, 0);
    while let [first, behind @ ..] = rest {
        let fold = match rest {
            [b'\r', b'\n', behind @ ..] | [b'\n', behind @ ..] => Some(behind),
            [b'\r' | 0, ..] => return None,
            _ => None,
        };
        let byte = if let Some(behind) = fold {
            let blanks = behind.iter().take_while(|byte| is_blank(byte)).count();
            if blanks == 0 {
                return None;
            }
            rest = &behind[blanks..];
            b' '
        } else {
            rest = behind;
            *first
        };
        put(length, byte);
        length += 1;
    }
    Some(length)
}

/// Adds a pair at the end as it is. Neither text has a NUL.
///
/// # Safety
/// `list` is initialised.
pub unsafe fn append(
    list: *mut Evkeyvalq,
    name: &[u8],
    value: &[u8],
) -> Result<NonNull<Evkeyval>, OutOfMemory> {
    let pair = memory::allocate_zeroed::<Evkeyval>()?;
    // SAFETY: the pair is new; what it has not got yet is null, which `free_pair` leaves out. The
    // caller guarantees the list.
    unsafe {
        let fields = pair.as_ptr();
        match memory::copy_text(name) {
            Ok(key) => (*fields).key = key.as_ptr(),
            Err(refused) => return Err(undone(fields, refused)),
        }
        match memory::copy_text(value) {
            Ok(value) => (*fields).value = value.as_ptr(),
            Err(refused) => return Err(undone(fields, refused)),
        }
        Evkeyvalq::push_back(list, fields);
    }
    Ok(pair)
}

/// [`append`], over the first pair of another list if that has this name and a value of the same
/// length, as the same header of the message before has mostly. If it has not, it is freed.
///
/// # Safety
/// Both lists are initialised, and the pairs of the other one are as [`append`] made them, and in
/// use by nobody.
pub unsafe fn append_over(
    list: *mut Evkeyvalq,
    old: *mut Evkeyvalq,
    name: &[u8],
    value: &[u8],
) -> Result<(), OutOfMemory> {
    // SAFETY: the caller guarantees the lists.
    unsafe {
        let pair = Evkeyvalq::first(old);
        if pair.is_null() {
            return append(list, name, value).map(|_| ());
        }
        Evkeyvalq::remove_first(old, pair);
        if !is_alike(pair, name, value) {
            free_pair(pair);
            return append(list, name, value).map(|_| ());
        }
        ptr::copy_nonoverlapping(value.as_ptr().cast(), (*pair).value, value.len());
        Evkeyvalq::push_back(list, pair);
    }
    Ok(())
}

/// Whether a pair has that name, spelt so, and a value as long as that one.
///
/// # Safety
/// The strings of the pair are NUL-terminated, or missing.
unsafe fn is_alike(pair: *const Evkeyval, name: &[u8], value: &[u8]) -> bool {
    // SAFETY: the caller guarantees the strings.
    unsafe {
        let (key, text) = ((*pair).key, (*pair).value);
        !key.is_null()
            && !text.is_null()
            && CStr::from_ptr(key).to_bytes() == name
            && libc::strlen(text) == value.len()
    }
}

/// Moves all pairs to the end of another list.
///
/// # Safety
/// Both lists are initialised.
pub unsafe fn move_all(list: *mut Evkeyvalq, other: *mut Evkeyvalq) {
    // SAFETY: the caller guarantees the lists.
    unsafe {
        loop {
            let pair = Evkeyvalq::first(list);
            if pair.is_null() {
                break;
            }
            Evkeyvalq::remove_first(list, pair);
            Evkeyvalq::push_back(other, pair);
        }
    }
}

/// Whether a string is no block of its own, but part of that of its pair: then it is at an odd
/// address, where no block can be.
fn is_packed(text: *const c_char) -> bool {
    text.addr() % 2 == 1
}

/// Where the key of a pair with its strings behind it begins, seen from there.
mod key_at {
    /// The pair is a block.
    pub const PACKED: usize = 1;
    /// It is part of that of a [`PairRoom`](super::PairRoom).
    pub const IN_ROOM: usize = 3;
}

/// The bytes of a pair with its strings behind it, at most.
fn packed_size(key_at: usize, name: &[u8], value: &[u8]) -> usize {
    size_of::<Evkeyval>() + key_at + name.len() + value.len() + 3
}

/// Makes a pair with its strings behind it, and puts it at the end of a list.
///
/// # Safety
/// There is room for [`packed_size`] at `pair`, and the list is initialised.
unsafe fn append_in_place(
    list: *mut Evkeyvalq,
    pair: *mut Evkeyval,
    key_at: usize,
    name: &[u8],
    value: &[u8],
) {
    // SAFETY: the caller guarantees room for the pair and, behind it, both strings with their ends.
    unsafe {
        let key = pair.add(1).cast::<c_char>().add(key_at);
        let end = key.add(name.len() + 1);
        let text = end.add(usize::from(!is_packed(end)));
        for (place, bytes) in [(key, name), (text, value)] {
            ptr::copy_nonoverlapping(bytes.as_ptr().cast(), place, bytes.len());
            place.add(bytes.len()).write(0);
        }
        (*pair).key = key;
        (*pair).value = text;
        Evkeyvalq::push_back(list, pair);
    }
}

/// [`append`] for a pair of the library's own, which is one block with its strings. The program may
/// look at them.
///
/// # Safety
/// `list` is initialised.
unsafe fn append_packed(
    list: *mut Evkeyvalq,
    name: &[u8],
    value: &[u8],
) -> Result<(), OutOfMemory> {
    let pair = memory::malloc(packed_size(key_at::PACKED, name, value)).cast::<Evkeyval>();
    if pair.is_null() {
        return Err(OutOfMemory);
    }
    // SAFETY: the block has that size. The caller guarantees the list.
    unsafe { append_in_place(list, pair, key_at::PACKED, name, value) };
    Ok(())
}

/// Bytes of a [`PairRoom`]: enough for what a reply gets as a rule.
const PAIR_ROOM: usize = 256;

/// Room for some pairs of the library's own, with their strings.
pub struct PairRoom {
    pairs: [MaybeUninit<Evkeyval>; PAIR_ROOM / size_of::<Evkeyval>()],
    /// How many of the places are taken.
    used: usize,
}

impl PairRoom {
    /// Without any pair.
    pub fn create() -> Result<NonNull<PairRoom>, OutOfMemory> {
        let block = memory::malloc(size_of::<PairRoom>()).cast::<PairRoom>();
        let room = NonNull::new(block).ok_or(OutOfMemory)?;
        // SAFETY: the block is new; the pairs are written when they are used.
        unsafe { ptr::addr_of_mut!((*block).used).write(0) };
        Ok(room)
    }

    /// `append_packed`, in this room if there is enough left.
    ///
    /// # Safety
    /// `list` is initialised, and the pair leaves it before this room is emptied or freed.
    pub unsafe fn append(
        &mut self,
        list: *mut Evkeyvalq,
        name: &[u8],
        value: &[u8],
    ) -> Result<(), OutOfMemory> {
        let needed = packed_size(key_at::IN_ROOM, name, value).div_ceil(size_of::<Evkeyval>());
        // SAFETY: the place has the room that is needed. The caller guarantees the list.
        unsafe {
            if needed > self.pairs.len() - self.used {
                return append_packed(list, name, value);
            }
            let pair = self.pairs.as_mut_ptr().add(self.used).cast();
            append_in_place(list, pair, key_at::IN_ROOM, name, value);
        }
        self.used += needed;
        Ok(())
    }

    /// None of the pairs is needed any more.
    pub fn empty(&mut self) {
        self.used = 0;
    }
}

/// Frees a pair that could not be completed.
///
/// # Safety
/// As [`free_pair`].
unsafe fn undone(pair: *mut Evkeyval, refused: OutOfMemory) -> OutOfMemory {
    // SAFETY: the caller guarantees the pair.
    unsafe { free_pair(pair) };
    refused
}

/// Frees a pair that is in no list.
///
/// # Safety
/// `pair` and its strings are blocks of [`memory`]; a string may be missing, or be part of the
/// pair's block, and all of them of that of a [`PairRoom`].
unsafe fn free_pair(pair: *mut Evkeyval) {
    // SAFETY: the caller guarantees the pair.
    unsafe {
        let (key, value) = ((*pair).key, (*pair).value);
        // The program may have put a block of its own in place of a packed value.
        for text in [key, value] {
            if !text.is_null() && !is_packed(text) {
                memory::free(text.cast());
            }
        }
        if key
            != pair
                .wrapping_add(1)
                .cast::<c_char>()
                .wrapping_add(key_at::IN_ROOM)
        {
            memory::free(pair.cast());
        }
    }
}

/// Removes the first pair of that name; whether there was one.
///
/// # Safety
/// As [`find`], and the pairs are as [`append`] made them.
pub unsafe fn remove(list: *mut Evkeyvalq, name: &[u8]) -> bool {
    // SAFETY: the caller guarantees the list.
    unsafe {
        let pair = find(list, name);
        if pair.is_null() {
            return false;
        }
        Evkeyvalq::remove(list, pair);
        free_pair(pair);
    }
    true
}

/// Removes all pairs.
///
/// # Safety
/// `list` is initialised, and its pairs are as [`append`] made them.
pub unsafe fn clear(list: *mut Evkeyvalq) {
    // SAFETY: the caller guarantees the list; each pair is out of it before it is freed.
    unsafe {
        loop {
            let pair = Evkeyvalq::first(list);
            if pair.is_null() {
                break;
            }
            Evkeyvalq::remove(list, pair);
            free_pair(pair);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct List(NonNull<Evkeyvalq>);

    impl List {
        fn new() -> List {
            List(new_list().unwrap())
        }

        fn add(&self, name: &[u8], value: &[u8]) -> Result<(), PairNotAdded> {
            // SAFETY: the list is live.
            unsafe { add(self.0.as_ptr(), name, value).map(|_| ()) }
        }

        fn texts(&self) -> Vec<(String, String)> {
            let text = |text: *mut c_char| {
                // SAFETY: the strings of a pair are terminated.
                let text = unsafe { CStr::from_ptr(text) };
                text.to_str().unwrap().to_owned()
            };
            let mut texts = Vec::new();
            // SAFETY: the list and its pairs are live.
            unsafe {
                let mut pair = Evkeyvalq::first(self.0.as_ptr());
                while !pair.is_null() {
                    texts.push((text((*pair).key), text((*pair).value)));
                    pair = Evkeyvalq::next(pair);
                }
            }
            texts
        }
    }

    impl Drop for List {
        fn drop(&mut self) {
            // SAFETY: the list is this test's alone.
            unsafe { free_list(self.0.as_ptr()) };
        }
    }

    #[test]
    fn pairs_keep_order_and_spelling_and_are_found_in_any_case() {
        let list = List::new();
        for (name, value) in [("A", "1"), ("Bc", "2"), ("a", "3"), ("bcd", "")] {
            list.add(name.as_bytes(), value.as_bytes()).unwrap();
        }
        // SAFETY: the list and its pairs are live.
        unsafe {
            let first = find(list.0.as_ptr(), b"a");
            assert_eq!(first, Evkeyvalq::first(list.0.as_ptr()));
            let second = find_next(first, b"A");
            assert_eq!(*(*second).value as u8, b'3');
            assert!(find_next(second, b"a").is_null());
            assert!(find(list.0.as_ptr(), b"b").is_null());
            assert!(find(list.0.as_ptr(), b"").is_null());
            assert!(!find(list.0.as_ptr(), b"BCD").is_null());
            assert!(remove(list.0.as_ptr(), b"a"));
            assert!(!remove(list.0.as_ptr(), b"x"));
        }
        let left = [("Bc", "2"), ("a", "3"), ("bcd", "")].map(|(n, v)| (n.into(), v.into()));
        assert_eq!(list.texts(), left);
    }

    #[test]
    fn pairs_like_those_before_take_their_place() {
        let (old, new) = (List::new(), List::new());
        for (name, value) in [("Host", "a.com"), ("X", "1"), ("Y", "2")] {
            old.add(name.as_bytes(), value.as_bytes()).unwrap();
        }
        // SAFETY: the lists and their pairs are live.
        let first = unsafe { Evkeyvalq::first(old.0.as_ptr()) };
        for (name, value) in [("Host", "b.org"), ("x", "3"), ("Y", "45"), ("Z", "")] {
            let (list, over) = (new.0.as_ptr(), old.0.as_ptr());
            // SAFETY: as above.
            unsafe { append_over(list, over, name.as_bytes(), value.as_bytes()) }.unwrap();
        }
        // SAFETY: as above.
        assert_eq!(unsafe { Evkeyvalq::first(new.0.as_ptr()) }, first);
        let texts = [("Host", "b.org"), ("x", "3"), ("Y", "45"), ("Z", "")];
        assert_eq!(new.texts(), texts.map(|(n, v)| (n.into(), v.into())));
        assert!(old.texts().is_empty());
    }

    #[test]
    fn a_room_takes_as_many_pairs_as_fit() {
        let list = List::new();
        let room = PairRoom::create().unwrap();
        // SAFETY: room and list are this test's alone.
        unsafe {
            for number in 0..10u8 {
                let value = vec![b'0' + number; 4 * usize::from(number)];
                let (list, room) = (list.0.as_ptr(), room.as_ptr());
                (*room).append(list, b"Name", &value).unwrap();
            }
            let wanted = (0..10).map(|number| number.to_string().repeat(4 * number));
            assert!(list.texts().into_iter().map(|(_, value)| value).eq(wanted));
            // Both kinds, and one with a value that the program has put there.
            let pair = Evkeyvalq::first(list.0.as_ptr());
            (*pair).value = memory::copy_text(b"other").unwrap().as_ptr();
            while remove(list.0.as_ptr(), b"name") {}
            (*room.as_ptr()).empty();
            (*room.as_ptr())
                .append(list.0.as_ptr(), b"A", b"b")
                .unwrap();
            assert_eq!(list.texts(), [("A".into(), "b".into())]);
            clear(list.0.as_ptr());
            memory::free(room.as_ptr().cast());
        }
    }

    #[test]
    fn folds_become_one_blank_and_line_ends_are_refused() {
        let list = List::new();
        for value in [
            "a\r\n b",
            "a\n\t b",
            "a \r\n  \t b",
            "a\r\n \r\n b",
            "\r\n b",
            "a\r\n ",
        ] {
            list.add(b"N", value.as_bytes()).unwrap();
        }
        let values = list.texts().into_iter().map(|(_, value)| value);
        assert!(values.eq(["a b", "a b", "a  b", "a  b", " b", "a "]));
        for value in [
            "a\r",
            "a\n",
            "a\r\n",
            "a\rb",
            "a\r b",
            "a\nb",
            "a\r\nb",
            "a\r\n\r\n b",
            "\0",
        ] {
            assert_eq!(
                list.add(b"N", value.as_bytes()),
                Err(PairNotAdded::Value),
                "{value:?}"
            );
        }
        for name in ["", "a\r", "a\n b", "a\0b"] {
            assert_eq!(
                list.add(name.as_bytes(), b"v"),
                Err(PairNotAdded::Name),
                "{name:?}"
            );
        }
        assert_eq!(list.texts().len(), 6);
    }
}
