//! resolv.conf files.

use super::hosts::{Content, lines, words};
use super::options::part;
use super::resolver::BasePtr;
use crate::util::file::ReadError;
use std::ffi::{CStr, c_int};

/// Where the system keeps its own.
pub const SYSTEM_FILE: &CStr = c"/etc/resolv.conf";
const SYSTEM_HOSTS: &CStr = c"/etc/hosts";

/// Why a file did not give what it should, with the numbers of the C interface.
#[derive(Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Failure {
    NotOpened = 1,
    NotRead = 2,
    NoServers = 6,
}

impl BasePtr {
    /// Reads the wanted parts of a file. If it names no server, the one on this machine is used.
    pub fn parse_resolv_conf(self, parts: c_int, path: Option<&CStr>) -> Result<(), Failure> {
        if parts & part::HOSTS_FILE != 0 {
            // The names of this machine are there at least.
            let _ = self.load_hosts(Some(SYSTEM_HOSTS));
        }
        match path.map_or(Err(ReadError::Open), Content::of) {
            Ok(content) => self.apply_resolv_conf(content.bytes(), parts),
            Err(ReadError::Open) => {
                if parts & part::SEARCH != 0 {
                    self.search_own_domain().map_err(|_| Failure::NotRead)?;
                }
                self.add_default_server(parts);
                Err(Failure::NotOpened)
            }
            Err(ReadError::Read) => Err(Failure::NotRead),
        }
    }

    fn apply_resolv_conf(self, text: &[u8], parts: c_int) -> Result<(), Failure> {
        lines(text).try_for_each(|line| self.apply_line(line, parts))?;
        if parts & part::SEARCH != 0 && self.search.get().is_none() {
            self.search_own_domain().map_err(|_| Failure::NotRead)?;
        }
        let wants_servers = parts & part::NAME_SERVERS != 0;
        if wants_servers && self.server_count() == 0 && self.add_default_server(parts) {
            return Err(Failure::NoServers);
        }
        Ok(())
    }

    /// Asks this machine, if a server is wanted; whether it is.
    fn add_default_server(self, parts: c_int) -> bool {
        let wanted = parts & part::NAME_SERVERS != 0 && parts & part::NO_DEFAULT_SERVER == 0;
        if wanted {
            // A failure was logged.
            let _ = self.add_server_text(b"127.0.0.1");
        }
        wanted
    }

    fn apply_line(self, line: &[u8], parts: c_int) -> Result<(), Failure> {
        let mut words = words(line);
        let searches = parts & part::SEARCH != 0;
        match words.next() {
            Some(b"nameserver") if parts & part::NAME_SERVERS != 0 => {
                if let Some(address) = words.next() {
                    // A failure was logged.
                    let _ = self.add_server_text(address);
                }
            }
            Some(b"domain") if searches => {
                if let Some(domain) = words.next() {
                    let set = self.set_search_domains(std::iter::once(domain));
                    set.map_err(|_| Failure::NotRead)?;
                }
            }
            Some(b"search") if searches => {
                // A comment may follow the domains.
                let domains = words.take_while(|word| !matches!(word[0], b'#' | b';'));
                let set = self.set_search_domains(domains);
                set.map_err(|_| Failure::NotRead)?;
            }
            Some(b"options") => words.for_each(|option| {
                let colon = option.iter().position(|&byte| byte == b':');
                let value = colon.map_or(&b""[..], |colon| &option[colon + 1..]);
                // What makes no sense is ignored.
                let _ = self.set_option(option, value, parts);
            }),
            _ => {}
        }
        Ok(())
    }
}
