//! Where the body of a message ends.

use super::abi::{flag, method};
use super::headers::Evkeyvalq;
use super::parser::{Fault, trim, trim_front};
use super::request::RequestPtr;
use super::status;
use std::ffi::CStr;

/// How the end of a body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    Empty,
    /// By its length.
    Length(i64),
    /// By an empty chunk.
    Chunked,
    /// By the end of the connection.
    UntilClose,
}

/// What the headers Transfer-Encoding of a message say together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encodings {
    /// Something that cannot be.
    Invalid,
    /// The last coding is chunked, which frames the body.
    EndInChunked,
    /// None is chunked.
    WithoutChunked,
}

/// Whether a coding is chunked: its name, up to a blank or a semicolon.
pub fn is_chunked(coding: &[u8]) -> bool {
    let coding = trim_front(coding);
    let name = coding.iter().take_while(|byte| !b" \t;".contains(byte));
    coding[..name.count()].eq_ignore_ascii_case(b"chunked")
}

/// What a list of codings says.
pub fn encodings(value: &[u8]) -> Encodings {
    let mut codings = value.split(|byte| *byte == b',').rev();
    let last = codings.next().is_some_and(is_chunked);
    if codings.any(is_chunked) {
        Encodings::Invalid
    } else if last {
        Encodings::EndInChunked
    } else {
        Encodings::WithoutChunked
    }
}

/// Whether nothing but a parameter follows the name of a coding.
fn is_well_formed(coding: &[u8]) -> bool {
    let coding = trim(coding);
    let name = coding.iter().take_while(|byte| !b" \t;".contains(byte));
    matches!(trim_front(&coding[name.count()..]), [] | [b';', ..])
}

/// What the headers of a message say about its body.
#[derive(Default)]
struct FramingHeaders {
    encodings: Option<Encodings>,
    length: Option<i64>,
    hosts: usize,
}

impl FramingHeaders {
    fn of(request: RequestPtr) -> Result<FramingHeaders, Fault> {
        let mut headers = FramingHeaders::default();
        // SAFETY: the list is the request's, and its texts are terminated.
        unsafe {
            let mut pair = Evkeyvalq::first(request.input_headers.get());
            while !pair.is_null() {
                // Nearly all headers say nothing about it, and most begin otherwise.
                if matches!(*(*pair).key as u8 | 0x20, b'h' | b'c' | b't') {
                    let name = CStr::from_ptr((*pair).key).to_bytes();
                    let value = CStr::from_ptr((*pair).value).to_bytes();
                    headers.note(name, value)?;
                }
                pair = Evkeyvalq::next(pair);
            }
        }
        Ok(headers)
    }

    fn note(&mut self, name: &[u8], value: &[u8]) -> Result<(), Fault> {
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"Host") => self.hosts += 1,
            14 if name.eq_ignore_ascii_case(b"Content-Length") => {
                let length = length_of(value).ok_or(Fault::Corrupt)?;
                if self.length.replace(length).is_some() {
                    return Err(Fault::Corrupt);
                }
            }
            17 if name.eq_ignore_ascii_case(b"Transfer-Encoding") => self.note_encodings(value)?,
            _ => {}
        }
        Ok(())
    }

    /// Fields of that name are one list, in which chunked can only be the last.
    fn note_encodings(&mut self, value: &[u8]) -> Result<(), Fault> {
        let before = self.encodings.replace(encodings(value));
        let well_formed = value.split(|byte| *byte == b',').all(is_well_formed);
        if before == Some(Encodings::EndInChunked)
            || self.encodings == Some(Encodings::Invalid)
            || !well_formed
        {
            return Err(Fault::Corrupt);
        }
        Ok(())
    }

    fn check(&self) -> Result<(), Fault> {
        if self.encodings.is_some() && self.length.is_some() {
            return Err(Fault::Corrupt);
        }
        Ok(())
    }
}

/// A number of decimal digits alone.
fn length_of(value: &[u8]) -> Option<i64> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0i64, |length, byte| {
        let digit = char::from(*byte).to_digit(10)?;
        length.checked_mul(10)?.checked_add(digit.into())
    })
}

/// The framing of a request of which the head is there.
pub fn of_request(request: RequestPtr) -> Result<Framing, Fault> {
    let headers = FramingHeaders::of(request)?;
    headers.check()?;
    if headers.hosts > 1 {
        return Err(Fault::Corrupt);
    }
    match (headers.encodings, headers.length) {
        (Some(Encodings::EndInChunked), _) => {
            if !request.is_version_1_1() {
                // Whoever passed the request on may have taken its body for another request.
                request.insert(flag::CLOSE_AFTER);
            }
            Ok(Framing::Chunked)
        }
        (Some(_), _) => Err(Fault::Corrupt),
        (None, Some(length)) if length > 0 => Ok(Framing::Length(length)),
        (None, _) => Ok(Framing::Empty),
    }
}

/// The framing of a reply of which the head is there.
pub fn of_reply(request: RequestPtr) -> Result<Framing, Fault> {
    let bodiless = matches!(request.method.get(), method::HEAD | method::CONNECT)
        || status::is_bodiless(request.response_code.get());
    if bodiless {
        return Ok(Framing::Empty);
    }
    let headers = FramingHeaders::of(request)?;
    headers.check()?;
    Ok(match (headers.encodings, headers.length) {
        (Some(Encodings::EndInChunked), _) => Framing::Chunked,
        (Some(_), _) | (None, None) => Framing::UntilClose,
        (None, Some(0)) => Framing::Empty,
        (None, Some(length)) => Framing::Length(length),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunked_is_the_last_coding_or_none() {
        for (value, wanted) in [
            ("chunked", Encodings::EndInChunked),
            (" CHUNKED\t", Encodings::EndInChunked),
            ("gzip, chunked", Encodings::EndInChunked),
            ("chunked;q=1", Encodings::EndInChunked),
            ("gzip", Encodings::WithoutChunked),
            ("", Encodings::WithoutChunked),
            ("xchunked", Encodings::WithoutChunked),
            ("chunked, gzip", Encodings::Invalid),
            ("chunked, chunked", Encodings::Invalid),
            ("chunked,", Encodings::Invalid),
        ] {
            assert_eq!(encodings(value.as_bytes()), wanted, "{value}");
        }
        assert!(!is_well_formed(b"chunked x"));
        assert!(is_well_formed(b" chunked ; q=1"));
    }

    #[test]
    fn lengths_are_digits() {
        assert_eq!(length_of(b"0010"), Some(10));
        assert_eq!(length_of(b"9223372036854775807"), Some(i64::MAX));
        for value in ["", "+3", "-0", "0x3", "3,3", "3 ", "9223372036854775808"] {
            assert_eq!(length_of(value.as_bytes()), None, "{value}");
        }
    }
}
