//! Options by name, as in resolv.conf.

use super::resolver::BasePtr;
use crate::timers::Microseconds;
use crate::util::socket_address::{self, SocketAddress};
use std::cell::Cell;
use std::ffi::c_int;

/// Which parts of a resolv.conf file count.
#[allow(missing_docs)]
pub mod part {
    use std::ffi::c_int;
    pub const SEARCH: c_int = 1;
    pub const NAME_SERVERS: c_int = 2;
    pub const MISCELLANEOUS: c_int = 4;
    pub const HOSTS_FILE: c_int = 8;
    pub const ALL: c_int = SEARCH | NAME_SERVERS | MISCELLANEOUS | HOSTS_FILE;
    pub const NO_DEFAULT_SERVER: c_int = 16;
}

const SECOND: Microseconds = 1_000_000;
/// The longest pause before a server that has failed is tried again.
pub const LONGEST_PROBE_PAUSE: Microseconds = 3600 * SECOND;

/// What the program may set.
pub struct Options {
    /// Names with at least this many dots are first tried as they are.
    pub ndots: Cell<c_int>,
    /// How long an answer may take.
    pub timeout: Cell<Microseconds>,
    /// How often a question is sent.
    pub attempts: Cell<c_int>,
    /// A server that is silent more often than this in succession has failed.
    pub most_timeouts: Cell<u16>,
    /// Most questions at a time.
    pub most_in_flight: Cell<u16>,
    /// Whether letters of names get a random case.
    pub random_case: Cell<bool>,
    /// When a server that has failed is tried again for the first time.
    pub first_probe_pause: Cell<Microseconds>,
    /// How long one family waits for the other.
    pub skew: Cell<Microseconds>,
    /// What new sockets are bound to.
    pub bind_to: Cell<Option<SocketAddress>>,
    /// Sizes of the buffers of new sockets; 0 leaves them alone.
    pub receive_buffer: Cell<c_int>,
    /// See `receive_buffer`.
    pub send_buffer: Cell<c_int>,
}

impl Options {
    /// What holds until something else is set.
    pub const fn new() -> Options {
        Options {
            ndots: Cell::new(1),
            timeout: Cell::new(5 * SECOND),
            attempts: Cell::new(3),
            most_timeouts: Cell::new(3),
            most_in_flight: Cell::new(64),
            random_case: Cell::new(true),
            first_probe_pause: Cell::new(10 * SECOND),
            skew: Cell::new(3 * SECOND),
            bind_to: Cell::new(None),
            receive_buffer: Cell::new(0),
            send_buffer: Cell::new(0),
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

/// The value makes no sense.
#[derive(Debug)]
pub struct BadValue;

impl BasePtr {
    /// Sets an option if the selected parts include it. The name may be followed by a colon and
    /// anything. Unknown options are ignored.
    pub fn set_option(self, name: &[u8], value: &[u8], parts: c_int) -> Result<(), BadValue> {
        let name = name.split(|&byte| byte == b':').next().unwrap_or(name);
        let options = &self.options;
        let wanted = |part: c_int| parts & part != 0;
        match name {
            b"ndots" => {
                let ndots = integer(value)?;
                if wanted(part::SEARCH) {
                    options.ndots.set(ndots);
                }
            }
            b"bind-to" if wanted(part::NAME_SERVERS) => {
                let address = socket_address::parse(value).ok_or(BadValue)?;
                options.bind_to.set(Some(address));
            }
            _ => options.set_miscellaneous(name, value, wanted(part::MISCELLANEOUS))?,
        }
        Ok(())
    }
}

impl Options {
    /// Sets one of the options that belong neither to the search list nor to the servers, if that
    /// part is wanted. The value is checked in any case.
    fn set_miscellaneous(&self, name: &[u8], value: &[u8], wanted: bool) -> Result<(), BadValue> {
        match name {
            b"timeout" => set(&self.timeout, duration(value)?, wanted),
            b"getaddrinfo-allow-skew" => set(&self.skew, duration(value)?, wanted),
            b"initial-probe-timeout" => {
                let pause = duration(value)?.min(LONGEST_PROBE_PAUSE);
                set(&self.first_probe_pause, pause, wanted);
            }
            b"max-timeouts" => {
                let most = integer(value)?.clamp(1, 255);
                set(&self.most_timeouts, most as u16, wanted);
            }
            b"max-inflight" => {
                let most = integer(value)?.clamp(1, 65000);
                set(&self.most_in_flight, most as u16, wanted);
            }
            b"attempts" => set(&self.attempts, integer(value)?.min(255), wanted),
            b"randomize-case" => set(&self.random_case, integer(value)? != 0, wanted),
            b"so-rcvbuf" => set(&self.receive_buffer, integer(value)?, wanted),
            b"so-sndbuf" => set(&self.send_buffer, integer(value)?, wanted),
            _ => {}
        }
        Ok(())
    }
}

fn set<T>(option: &Cell<T>, value: T, wanted: bool) {
    if wanted {
        option.set(value);
    }
}

/// A number, if it is the whole text, as strtol reads it; an empty text is 0. -1 means an error.
fn integer(text: &[u8]) -> Result<c_int, BadValue> {
    if text.is_empty() {
        return Ok(0);
    }
    let blanks = text
        .iter()
        .take_while(|&&byte| crate::util::ascii::is_space(byte));
    let text = &text[blanks.count()..];
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(BadValue);
    }
    let magnitude = digits.iter().fold(0i64, |value, digit| {
        (value * 10 + i64::from(digit - b'0')).min(i64::from(u32::MAX))
    });
    let value = if negative { -magnitude } else { magnitude };
    match c_int::try_from(value) {
        Ok(-1) => Err(BadValue),
        Ok(value) => Ok(value),
        Err(_) => Ok(if negative { c_int::MIN } else { c_int::MAX }),
    }
}

/// Longer durations are as good as endless.
const LONGEST: f64 = 1e9;

/// Seconds with a fraction; at least a millisecond.
fn duration(text: &[u8]) -> Result<Microseconds, BadValue> {
    let text = std::str::from_utf8(text).map_err(|_| BadValue)?;
    let seconds: f64 = text.trim_start().parse().map_err(|_| BadValue)?;
    if !seconds.is_finite() || !(0.001..=LONGEST).contains(&seconds) {
        return Err(BadValue);
    }
    Ok((seconds * SECOND as f64) as Microseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers() {
        for (text, value) in [("", 0), ("0", 0), ("7", 7), (" +7", 7), ("-2", -2)] {
            assert_eq!(integer(text.as_bytes()).unwrap(), value);
        }
        assert_eq!(integer(b"99999999999999999999").unwrap(), c_int::MAX);
        for text in ["-1", "x", "1x", "1 ", "+", " "] {
            assert!(integer(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn durations() {
        for (text, value) in [("1", SECOND), ("0.001", 1000), ("10000", 10_000 * SECOND)] {
            assert_eq!(duration(text.as_bytes()).unwrap(), value);
        }
        for text in ["", "0", "-1", "0.0001", "x", "nan", "inf", "1e300", "1x"] {
            assert!(duration(text.as_bytes()).is_err(), "{text}");
        }
    }
}
