//! Names from hosts files.

use super::resolver::BasePtr;
use crate::hooks::memory::{self, Array, OutOfMemory};
use crate::util::file;
use crate::util::random;
use crate::util::socket_address::{self, SocketAddress};
use std::ffi::CStr;
use std::hash::{DefaultHasher, Hasher};
use std::mem::size_of;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ptr;
use std::sync::OnceLock;

#[derive(Clone, Copy)]
struct Entry {
    address: SocketAddress,
    /// Where the name is among the names.
    start: usize,
    length: u32,
    /// The next entry in the same bucket, or [`END`].
    next: u32,
}

const END: u32 = u32::MAX;

/// Names and addresses in the order in which they were added.
pub struct Hosts {
    entries: Array<Entry>,
    names: Array<u8>,
    /// The first entry of each bucket; made when a name is looked up, and none after the entries
    /// changed.
    buckets: Array<u32>,
}

impl Hosts {
    /// None.
    pub const fn new() -> Hosts {
        Hosts {
            entries: Array::new(),
            names: Array::new(),
            buckets: Array::new(),
        }
    }

    /// Gives back what has no use while nothing is added.
    fn trim(&mut self) {
        // Where that fails it stays as it is.
        let _ = self.entries.try_set_capacity(self.entries.len());
        let _ = self.names.try_set_capacity(self.names.len());
    }

    fn add(&mut self, address: SocketAddress, name: &[u8]) -> Result<(), OutOfMemory> {
        self.entries.try_reserve(1)?;
        self.names.try_reserve(name.len())?;
        let entry = Entry {
            address,
            start: self.names.len(),
            length: u32::try_from(name.len()).map_err(|_| OutOfMemory)?,
            next: END,
        };
        name.iter().for_each(|&byte| self.names.push_reserved(byte));
        self.entries.push_reserved(entry);
        self.buckets.truncate(0);
        Ok(())
    }

    /// What every machine calls itself.
    fn add_localhost(&mut self) -> Result<(), OutOfMemory> {
        self.add(SocketAddress::v4(Ipv4Addr::LOCALHOST, 0), b"localhost")?;
        self.add(SocketAddress::v6(Ipv6Addr::LOCALHOST, 0, 0), b"localhost")
    }

    /// Adds what a line of a hosts file says, if anything.
    fn add_line(&mut self, line: &[u8]) -> Result<(), OutOfMemory> {
        let line = line.split(|&byte| byte == b'#').next().unwrap_or(line);
        let mut words = words(line);
        let address = words.next().and_then(socket_address::parse);
        let Some(address) = address.filter(|address| port(address) == 0) else {
            return Ok(());
        };
        words.try_for_each(|name| self.add(address, name))
    }

    fn name(&self, entry: &Entry) -> &[u8] {
        &self.names[entry.start..entry.start + entry.length as usize]
    }

    /// Gives the addresses of a name, in the order in which they were added, to `each`.
    pub fn find(&mut self, name: &[u8], mut each: impl FnMut(SocketAddress)) {
        if self.entries.is_empty() {
            return;
        }
        if self.index().is_err() {
            // Without memory for an index all are looked at.
            let same = |entry: &&Entry| self.name(entry).eq_ignore_ascii_case(name);
            self.entries
                .iter()
                .filter(same)
                .for_each(|entry| each(entry.address));
            return;
        }
        let mut walk = self.buckets[hash(name) & (self.buckets.len() - 1)];
        while let Some(entry) = self.entries.get(walk as usize) {
            if self.name(entry).eq_ignore_ascii_case(name) {
                each(entry.address);
            }
            walk = entry.next;
        }
    }

    /// Brings the buckets up to date.
    fn index(&mut self) -> Result<(), OutOfMemory> {
        if !self.buckets.is_empty() {
            return Ok(());
        }
        let count = u32::try_from(self.entries.len()).map_err(|_| OutOfMemory)?;
        let size = self.entries.len().next_power_of_two();
        self.buckets.try_extend_to(size, END)?;
        // From the last to the first, so that the first ends up at the front.
        for i in (0..count).rev() {
            let bucket = hash(self.name(&self.entries[i as usize])) & (size - 1);
            self.entries[i as usize].next = self.buckets[bucket];
            self.buckets[bucket] = i;
        }
        Ok(())
    }
}

/// A resolver's hosts, in a block of their own: most resolvers know none.
pub(super) struct KnownHosts(*mut Hosts);

impl KnownHosts {
    pub(super) const NONE: KnownHosts = KnownHosts(ptr::null_mut());

    /// Those that there are, if any.
    pub(super) fn get(&mut self) -> Option<&mut Hosts> {
        // SAFETY: the block belongs to this object alone.
        unsafe { self.0.as_mut() }
    }

    fn get_or_create(&mut self) -> Result<&mut Hosts, OutOfMemory> {
        if self.0.is_null() {
            let block: *mut Hosts = memory::malloc(size_of::<Hosts>()).cast();
            if block.is_null() {
                return Err(OutOfMemory);
            }
            // SAFETY: the block is new and large enough.
            unsafe { block.write(Hosts::new()) };
            self.0 = block;
        }
        self.get().ok_or(OutOfMemory)
    }
}

impl Drop for KnownHosts {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: the block was made above, and nobody else has it.
            unsafe {
                ptr::drop_in_place(self.0);
                memory::free(self.0.cast());
            }
        }
    }
}

impl Default for Hosts {
    fn default() -> Self {
        Self::new()
    }
}

/// Unpredictable for those who choose the names.
fn hash(name: &[u8]) -> usize {
    static SECRET: OnceLock<[u8; 16]> = OnceLock::new();
    let mut hasher = DefaultHasher::new();
    // The standard library's own secret ends the process where the kernel refuses random bytes.
    hasher.write(SECRET.get_or_init(|| {
        let mut secret = [0; 16];
        random::fill(&mut secret);
        secret
    }));
    name.iter()
        .for_each(|byte| hasher.write_u8(byte.to_ascii_lowercase()));
    hasher.finish() as usize
}

fn port(address: &SocketAddress) -> u16 {
    match address {
        SocketAddress::V4(v4) => v4.sin_port,
        SocketAddress::V6(v6) => v6.sin6_port,
    }
}

/// The words between spaces and tabs, without a carriage return at the end of the line.
pub(super) fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    line.split(|&byte| matches!(byte, b' ' | b'\t' | b'\r'))
        .filter(|word| !word.is_empty())
}

/// Lines up to the end or the first NUL.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let end = text.iter().position(|&byte| byte == 0);
    text[..end.unwrap_or(text.len())].split(|&byte| byte == b'\n')
}

/// The file could not be read, or there is no memory.
#[derive(Debug)]
pub struct NotLoaded;

/// A file's content, freed at the end.
pub(super) struct Content(*mut std::ffi::c_char, usize);

impl Content {
    pub(super) fn of(path: &CStr) -> Result<Content, file::ReadError> {
        file::read(path).map(|(start, length)| Content(start, length))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: the block has that many bytes and belongs to this object.
        unsafe { std::slice::from_raw_parts(self.0.cast(), self.1) }
    }
}

impl Drop for Content {
    fn drop(&mut self) {
        // SAFETY: the block came from the hooks and nobody else has it.
        unsafe { crate::hooks::memory::free(self.0.cast()) };
    }
}

impl BasePtr {
    /// Adds what a hosts file says. Without a file, or when it cannot be read, only the names of
    /// this machine are added.
    pub fn load_hosts(self, path: Option<&CStr>) -> Result<(), NotLoaded> {
        // SAFETY: the lock is held, and nothing here calls the program.
        let hosts = unsafe { &mut *self.hosts.get() };
        let hosts = hosts.get_or_create().map_err(|OutOfMemory| NotLoaded)?;
        let loaded = hosts.load(path);
        hosts.trim();
        loaded
    }

    /// Forgets all names from hosts files.
    pub fn clear_hosts(self) {
        // SAFETY: as in `load_hosts`.
        unsafe { *self.hosts.get() = KnownHosts::NONE };
    }
}

impl Hosts {
    fn load(&mut self, path: Option<&CStr>) -> Result<(), NotLoaded> {
        let Some(path) = path else {
            return self.add_localhost().map_err(|_| NotLoaded);
        };
        let Ok(content) = Content::of(path) else {
            // As well as memory allows.
            let _ = self.add_localhost();
            return Err(NotLoaded);
        };
        lines(content.bytes())
            .try_for_each(|line| self.add_line(line))
            .map_err(|memory::OutOfMemory| NotLoaded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(hosts: &mut Hosts, name: &str) -> Vec<String> {
        let mut texts = Vec::new();
        hosts.find(name.as_bytes(), |address| {
            // SAFETY: a complete address.
            let text = unsafe { socket_address::format(address.as_ptr()) };
            texts.push(String::from_utf8(text.as_bytes().to_vec()).unwrap());
        });
        texts
    }

    #[test]
    fn lines_are_read_and_names_found_in_order() {
        let mut hosts = Hosts::new();
        let text = b"1.2.3.4 a b\r\n# x\n::1 A\n1.2.3.5:7 a\n bad a\n5.6.7.8\ta#c a\n";
        lines(text)
            .try_for_each(|line| hosts.add_line(line))
            .unwrap();
        assert_eq!(
            found(&mut hosts, "a"),
            ["1.2.3.4:0", "[::1]:0", "5.6.7.8:0"]
        );
        assert_eq!(found(&mut hosts, "B"), ["1.2.3.4:0"]);
        assert!(found(&mut hosts, "c").is_empty());
        for i in 0..1000 {
            hosts.add_line(format!("9.9.9.9 n{i}").as_bytes()).unwrap();
        }
        hosts.add_line(b"7.7.7.7 n500").unwrap();
        assert_eq!(found(&mut hosts, "n500"), ["9.9.9.9:0", "7.7.7.7:0"]);
    }
}
