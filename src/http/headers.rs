//! Lists of names and values: the headers of a request, the parameters of a query.
//!
//! Lists and pairs have the layout of the C macros for tail queues, because programs walk through
//! them, and exchange values, on their own. So each pair and each of its strings is a block of its
//! own. Names are compared without regard to the case of ASCII letters; pairs keep their order and
//! their spelling, and a name may stand in a list several times.

use crate::hooks::memory::{self, OutOfMemory};
use crate::list::{Adapter, TailLink, TailQueue};
use std::ffi::c_char;
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
    if name.is_empty() || name.iter().any(|byte| b"\r\n\0".contains(byte)) {
        return Err(PairNotAdded::Name);
    }
    let length = unfolded(value, |_, _| {}).ok_or(PairNotAdded::Value)?;
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

/// Strings that are part of the block of their pair begin so far behind it: at an odd address, where no
/// block of its own can be. One that is may lie right behind the pair's.
const PACKED_AT: usize = 1;

/// Where the key of a pair is that is one block with its strings.
fn packed_key(pair: *mut Evkeyval) -> *mut c_char {
    pair.wrapping_add(1)
        .cast::<c_char>()
        .wrapping_add(PACKED_AT)
}

/// [`append`] for a pair of the library's own, which is one block with its strings. The program may
/// look at them.
///
/// # Safety
/// `list` is initialised.
pub unsafe fn append_packed(
    list: *mut Evkeyvalq,
    name: &[u8],
    value: &[u8],
) -> Result<(), OutOfMemory> {
    let size = size_of::<Evkeyval>() + PACKED_AT + name.len() + value.len() + 2;
    let pair = memory::malloc(size).cast::<Evkeyval>();
    if pair.is_null() {
        return Err(OutOfMemory);
    }
    // SAFETY: the block has room for the pair and, behind it, both strings with their ends. The
    // caller guarantees the list.
    unsafe {
        let key = packed_key(pair);
        let text = key.add(name.len() + 1);
        for (place, bytes) in [(key, name), (text, value)] {
            ptr::copy_nonoverlapping(bytes.as_ptr().cast(), place, bytes.len());
            place.add(bytes.len()).write(0);
        }
        (*pair).key = key;
        (*pair).value = text;
        Evkeyvalq::push_back(list, pair);
    }
    Ok(())
}

/// Frees a pair that did not come to be.
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
/// pair's block.
unsafe fn free_pair(pair: *mut Evkeyval) {
    // SAFETY: the caller guarantees the pair.
    unsafe {
        let (key, value) = ((*pair).key, (*pair).value);
        let packed = key == packed_key(pair);
        let value_is_packed = packed && value == key.add(libc::strlen(key) + 1);
        for (text, is_packed) in [(key, packed), (value, value_is_packed)] {
            if !text.is_null() && !is_packed {
                memory::free(text.cast());
            }
        }
        memory::free(pair.cast());
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
    use std::ffi::CStr;

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
