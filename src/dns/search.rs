//! The search list: domains that are appended to names, and in which order these are tried.

use super::resolver::BasePtr;
use crate::hooks::memory::{self, OutOfMemory};
use std::cell::Cell;
use std::ffi::c_int;
use std::mem::size_of;
use std::ops::Deref;
use std::ptr::{self, NonNull};

/// A list of domains that never changes: look-ups that are under way keep the one that they started
/// with. The domains follow it in the same block, each after its length.
pub struct SearchList {
    references: Cell<usize>,
    count: usize,
    /// Bytes of the domains with their lengths.
    size: usize,
    longest: usize,
}

/// One reference on a list.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SearchPtr(NonNull<SearchList>);

impl Deref for SearchPtr {
    type Target = SearchList;
    fn deref(&self) -> &SearchList {
        // SAFETY: whoever has the pointer has a reference.
        unsafe { self.0.as_ref() }
    }
}

/// Bytes of the length in front of a domain.
const LENGTH: usize = size_of::<u16>();

impl SearchPtr {
    fn build<'a>(
        domains: impl Iterator<Item = &'a [u8]> + Clone,
    ) -> Result<SearchPtr, OutOfMemory> {
        let size: usize = domains.clone().map(|domain| LENGTH + domain.len()).sum();
        let block = memory::malloc(size_of::<SearchList>() + size);
        let list = NonNull::new(block.cast::<SearchList>()).ok_or(OutOfMemory)?;
        let longest = domains.clone().map(<[u8]>::len).max().unwrap_or(0);
        // SAFETY: the block has room for the head and, after it, the domains.
        unsafe {
            list.write(SearchList {
                references: Cell::new(1),
                count: domains.clone().count(),
                size,
                longest,
            });
            let mut place = list.as_ptr().add(1).cast::<u8>();
            for domain in domains {
                place.cast::<u16>().write_unaligned(domain.len() as u16);
                ptr::copy_nonoverlapping(domain.as_ptr(), place.add(LENGTH), domain.len());
                place = place.add(LENGTH + domain.len());
            }
        }
        Ok(SearchPtr(list))
    }

    /// Another reference.
    pub fn share(self) -> SearchPtr {
        self.references.set(self.references.get() + 1);
        self
    }

    /// Gives the reference up.
    pub fn release(self) {
        let left = self.references.get() - 1;
        self.references.set(left);
        if left == 0 {
            // SAFETY: the block came from the hooks, and this was the last reference.
            unsafe { memory::free(self.0.as_ptr().cast()) };
        }
    }

    /// The longest domain.
    pub fn longest(self) -> usize {
        self.longest
    }

    /// How many there are.
    pub fn count(self) -> usize {
        self.count
    }

    /// The domains in the order in which they are tried.
    fn domains<'a>(self) -> impl Iterator<Item = &'a [u8]> + Clone {
        // SAFETY: the bytes after the head live as long as the list, of which the caller keeps a
        // reference meanwhile, and never change.
        let mut rest: &'a [u8] =
            unsafe { std::slice::from_raw_parts(self.0.as_ptr().add(1).cast::<u8>(), self.size) };
        std::iter::from_fn(move || {
            let (&length, after) = rest.split_first_chunk::<LENGTH>()?;
            let (domain, after) = after.split_at_checked(u16::from_ne_bytes(length).into())?;
            rest = after;
            Some(domain)
        })
    }

    /// One of the domains.
    pub fn domain<'a>(self, index: usize) -> Option<&'a [u8]> {
        self.domains().nth(index)
    }
}

/// Longer domains make no name.
const LONGEST_DOMAIN: usize = 255;

/// The domains without dots in front, and without those that make no name.
fn usable<'a>(
    domains: impl Iterator<Item = &'a [u8]> + Clone,
) -> impl Iterator<Item = &'a [u8]> + Clone {
    let without_dots = domains.map(|domain| {
        let dots = domain.iter().take_while(|&&byte| byte == b'.').count();
        &domain[dots..]
    });
    without_dots.filter(|domain| domain.len() <= LONGEST_DOMAIN)
}

impl BasePtr {
    /// Puts a domain in front of the others. One that is too long for any name is left out.
    pub fn add_search_domain(self, domain: &[u8]) -> Result<(), OutOfMemory> {
        let present = self.search.get().into_iter().flat_map(SearchPtr::domains);
        let list = SearchPtr::build(usable(std::iter::once(domain)).chain(present))?;
        self.replace_search(Some(list));
        Ok(())
    }

    /// Replaces the domains; without any there is no list.
    pub fn set_search_domains<'a>(
        self,
        domains: impl Iterator<Item = &'a [u8]> + Clone,
    ) -> Result<(), OutOfMemory> {
        let domains = usable(domains);
        let list = match domains.clone().next() {
            Some(_) => Some(SearchPtr::build(domains)?),
            None => None,
        };
        self.replace_search(list);
        Ok(())
    }

    /// Forgets all domains.
    pub fn clear_search_domains(self) {
        self.replace_search(None);
    }

    fn replace_search(self, list: Option<SearchPtr>) {
        if let Some(old) = self.search.replace(list) {
            old.release();
        }
    }

    /// The number of dots from which on a name is tried as it is first.
    pub fn set_ndots(self, ndots: c_int) {
        self.options.ndots.set(ndots);
    }

    /// Uses the domain of this machine's name, if it has one.
    pub fn search_own_domain(self) -> Result<(), OutOfMemory> {
        let mut name = [0u8; 256];
        // SAFETY: the room has the size that is given, and one byte more for the terminator.
        let known = unsafe { libc::gethostname(name.as_mut_ptr().cast(), name.len() - 1) } == 0;
        let end = name.iter().position(|&byte| byte == 0).unwrap_or(0);
        let dot = name[..end].iter().position(|&byte| byte == b'.');
        let domain = dot.filter(|_| known).map(|dot| &name[dot + 1..end]);
        self.set_search_domains(domain.into_iter())
    }
}
