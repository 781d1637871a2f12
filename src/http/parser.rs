//! Lines, first lines and header lines of messages.
//!
//! Lines are looked at where they lie in the buffer, and none of their bytes twice, however they
//! drip in. What a line may have is decided here, alike for both sides, except that a request has
//! to be what it should be in more respects than a reply.

use super::abi::{method, request_kind};
use super::headers::{Evkeyval, Evkeyvalq};
use super::request::RequestPtr;
use super::uri::NoUri;
use crate::buffer::Guard as BufferGuard;
use crate::buffer::line::LineEnd;
use crate::hooks::memory::{self, OutOfMemory};
use crate::util::ascii;
use memchr::memchr;
use std::ffi::{CStr, c_char};
use std::ptr;

/// How far a part of a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It is all there.
    Done,
    /// Bytes are missing.
    More,
}

/// Why a message cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not what it should be.
    Corrupt,
    /// The head is longer than allowed.
    HeadTooLong,
    /// The body is longer than allowed.
    BodyTooLong,
    /// Memory is short.
    Memory,
    /// The program has ended the request meanwhile.
    Ended,
    /// The header callback does not want the reply.
    Unwanted,
}

impl From<OutOfMemory> for Fault {
    fn from(_: OutOfMemory) -> Fault {
        Fault::Memory
    }
}

/// What is remembered between the pieces of a head.
#[derive(Clone, Copy, Default)]
pub struct HeadState {
    /// How many bytes at the front of the input have no line end.
    scanned: usize,
    /// The length of the value of the last header and the room of its block, once it was folded.
    folded: Option<(usize, usize)>,
}

/// A request line shorter than this cannot be one.
const SHORTEST_REQUEST_LINE: usize = 14;
/// The longest line with the size of a chunk.
const LONGEST_CHUNK_LINE: usize = 4096;

/// What a line is followed by.
enum Next {
    Line,
    End,
}

/// Takes lines out of the input, without their ends, until `take` has had the last one.
fn take_lines(
    input: &BufferGuard,
    scanned: &mut usize,
    mut take: impl FnMut(&[u8]) -> Result<Next, Fault>,
) -> Result<Progress, Fault> {
    loop {
        let start = (*scanned).min(input.length());
        let Some((bytes, first)) = front_with_line(input, start)? else {
            *scanned = input.length();
            return Ok(Progress::More);
        };
        let (mut used, mut end) = (0, first);
        let next = loop {
            let line = &bytes[used..end];
            used = end + 1;
            let next = take(line.strip_suffix(b"\r").unwrap_or(line));
            if !matches!(next, Ok(Next::Line)) {
                break next;
            }
            match memchr(b'\n', &bytes[used..]) {
                Some(feed) => end = used + feed,
                None => break next,
            }
        };
        *scanned = bytes.len() - used;
        // The front of an input is not frozen.
        let _ = input.drain(used);
        if let Next::End = next? {
            *scanned = 0;
            return Ok(Progress::Done);
        }
    }
}

/// The bytes at the front of the input that lie together, with a whole line at least, and where
/// that ends, which is not among the first `start` bytes; `None` when there is none yet.
fn front_with_line(input: &BufferGuard, start: usize) -> Result<Option<(&[u8], usize)>, Fault> {
    let front = |length: usize| -> Result<&[u8], Fault> {
        let bytes = input.pull_up(Some(length)).map_err(|_| Fault::Memory)?;
        let there = input.contiguous().max(length);
        // SAFETY: so many bytes lie there, and the buffer is not changed while they are looked at.
        Ok(unsafe { std::slice::from_raw_parts(bytes, there) })
    };
    let contiguous = input.contiguous();
    if start < contiguous {
        let bytes = front(contiguous)?;
        if let Some(feed) = memchr(b'\n', &bytes[start..]) {
            return Ok(Some((bytes, start + feed)));
        }
    }
    let mut from = crate::buffer::position::Position::NOT_FOUND;
    if input
        .set_position(&mut from, start.max(contiguous))
        .is_err()
    {
        return Ok(None);
    }
    let (found, _) = input.search_line_end(Some(&from), LineEnd::Feed);
    let Some(feed) = found.offset() else {
        return Ok(None);
    };
    Ok(Some((front(feed + 1)?, feed)))
}

/// Refuses a head that exceeds the limit, even before its line is complete.
fn check_partial(request: RequestPtr, input: &BufferGuard, limit: usize) -> Result<(), Fault> {
    let partial = input.length();
    // What may be the first half of a line end does not count.
    if partial > 1 && request.headers_size.get().saturating_add(partial - 1) > limit {
        return Err(Fault::HeadTooLong);
    }
    Ok(())
}

/// Counts a line.
fn count(request: RequestPtr, line: &[u8], limit: usize) -> Result<(), Fault> {
    let size = request.headers_size.get().saturating_add(line.len());
    request.headers_size.set(size);
    if size > limit {
        return Err(Fault::HeadTooLong);
    }
    Ok(())
}

/// Takes the first line: of a request, or of a reply.
fn parse_first_line(request: RequestPtr, line: &[u8]) -> Result<(), Fault> {
    match request.kind.get() {
        request_kind::REQUEST => parse_request_line(request, line),
        _ => parse_status_line(request, line),
    }
}

/// The digits of a version, 0 or 1 before the point.
fn version(text: &[u8]) -> Result<(u8, u8), Fault> {
    match text {
        [
            b'H',
            b'T',
            b'T',
            b'P',
            b'/',
            major @ b'0'..=b'1',
            b'.',
            minor @ b'0'..=b'9',
        ] => Ok((major - b'0', minor - b'0')),
        _ => Err(Fault::Corrupt),
    }
}

fn set_version(request: RequestPtr, (major, minor): (u8, u8)) {
    request.major.set(major as c_char);
    request.minor.set(minor as c_char);
}

/// The method of a name.
fn method_of(name: &[u8]) -> std::ffi::c_uint {
    match name {
        b"GET" => method::GET,
        b"POST" => method::POST,
        b"HEAD" => method::HEAD,
        b"PUT" => method::PUT,
        b"DELETE" => method::DELETE,
        b"OPTIONS" => method::OPTIONS,
        b"TRACE" => method::TRACE,
        b"CONNECT" => method::CONNECT,
        b"PATCH" => method::PATCH,
        _ => method::UNKNOWN,
    }
}

/// The name of a method.
pub fn method_name(method: std::ffi::c_uint) -> Option<&'static str> {
    Some(match method {
        method::GET => "GET",
        method::POST => "POST",
        method::HEAD => "HEAD",
        method::PUT => "PUT",
        method::DELETE => "DELETE",
        method::OPTIONS => "OPTIONS",
        method::TRACE => "TRACE",
        method::CONNECT => "CONNECT",
        method::PATCH => "PATCH",
        _ => return None,
    })
}

/// The method is what stands before the first blank, the version what stands behind the last one:
/// the target between may have blanks.
fn parse_request_line(request: RequestPtr, line: &[u8]) -> Result<(), Fault> {
    let trailing = line.iter().rev().take_while(|byte| **byte == b' ').count();
    let line = &line[..line.len() - trailing];
    if line.len() < SHORTEST_REQUEST_LINE {
        return Err(Fault::Corrupt);
    }
    let is_blank = |byte: &u8| *byte == b' ';
    let first = line.iter().position(is_blank).ok_or(Fault::Corrupt)?;
    let last = line.iter().rposition(is_blank).ok_or(Fault::Corrupt)?;
    // There is a method, and there is a target.
    if first == 0 || last <= first + 1 {
        return Err(Fault::Corrupt);
    }
    if ascii::has_control(&line[..last]) {
        return Err(Fault::Corrupt);
    }
    let target = &line[first + 1..last];
    set_version(request, version(&line[last + 1..])?);
    request.method.set(method_of(&line[..first]));
    request.set_target(target).map_err(|refused| match refused {
        NoUri::Syntax => Fault::Corrupt,
        NoUri::Memory => Fault::Memory,
    })
}

fn parse_status_line(request: RequestPtr, line: &[u8]) -> Result<(), Fault> {
    if line.iter().any(|byte| matches!(byte, 0 | b'\r')) {
        return Err(Fault::Corrupt);
    }
    let blank = memchr(b' ', line).ok_or(Fault::Corrupt)?;
    let version = version(&line[..blank])?;
    let (code, reason) = match &line[blank + 1..] {
        code @ [_, _, _] => (code, &b""[..]),
        [_, _, _, b' ', reason @ ..] => (&line[blank + 1..blank + 4], reason),
        _ => return Err(Fault::Corrupt),
    };
    if !code.iter().all(u8::is_ascii_digit) || code == b"000" {
        return Err(Fault::Corrupt);
    }
    let code = code
        .iter()
        .fold(0, |code, digit| code * 10 + i32::from(digit - b'0'));
    set_version(request, version);
    request.set_response(code, Some(reason))?;
    Ok(())
}

fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// A text without the blanks around it.
pub fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

/// What a line of a head is.
enum HeaderLine<'a> {
    /// The end.
    Empty,
    /// The value of the previous header continues.
    Fold(&'a [u8]),
    /// A name and its value.
    Pair(&'a [u8], &'a [u8]),
}

/// Whether a byte may be in a token.
static TOKEN_BYTES: [bool; 256] = {
    let mut allowed = [false; 256];
    let mut byte = 0;
    while byte < allowed.len() {
        let other = b"!#$%&'*+-.^_`|~";
        let mut place = 0;
        while place < other.len() {
            allowed[other[place] as usize] = true;
            place += 1;
        }
        allowed[byte] |= (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    allowed
};

/// Takes a line of a head apart; in a reply what is no name is tolerated.
fn parse_header_line(line: &[u8], in_reply: bool) -> Result<HeaderLine<'_>, Fault> {
    let Some(first) = line.first() else {
        return Ok(HeaderLine::Empty);
    };
    // Most lines have no control character at all.
    if ascii::has_control(line) && memchr::memchr2(0, b'\r', line).is_some() {
        return Err(Fault::Corrupt);
    }
    if is_blank(first) {
        return Ok(HeaderLine::Fold(trim(line)));
    }
    let (name, value) = match in_reply {
        true => split_leniently(line)?,
        false => split(line)?,
    };
    if name.is_empty() {
        return Err(Fault::Corrupt);
    }
    Ok(HeaderLine::Pair(name, trim(value)))
}

/// What is before and behind the colon of a header line of a request.
fn split(line: &[u8]) -> Result<(&[u8], &[u8]), Fault> {
    let is_in_token = |byte: &u8| TOKEN_BYTES[usize::from(*byte)];
    let end = line.iter().position(|byte| !is_in_token(byte));
    match end.and_then(|end| line.split_at_checked(end)) {
        Some((name, [b':', value @ ..])) => Ok((name, value)),
        _ => Err(Fault::Corrupt),
    }
}

/// The same of a reply.
fn split_leniently(line: &[u8]) -> Result<(&[u8], &[u8]), Fault> {
    let colon = memchr(b':', line).ok_or(Fault::Corrupt)?;
    let name = trim(&line[..colon]);
    if name.iter().any(|byte| *byte < b' ' || *byte == 0x7f) {
        return Err(Fault::Corrupt);
    }
    Ok((name, &line[colon + 1..]))
}

/// Reads the first line alone.
pub fn read_first_line(
    request: RequestPtr,
    input: &BufferGuard,
    state: &mut HeadState,
    limit: usize,
) -> Result<Progress, Fault> {
    let progress = take_lines(input, &mut state.scanned, |line| {
        count(request, line, limit)?;
        parse_first_line(request, line)?;
        Ok(Next::End)
    })?;
    if progress == Progress::More {
        check_partial(request, input, limit)?;
    }
    Ok(progress)
}

/// Reads header lines through the empty line.
pub fn read_headers(
    request: RequestPtr,
    input: &BufferGuard,
    state: &mut HeadState,
    limit: usize,
) -> Result<Progress, Fault> {
    read_head(request, input, state, &mut true, limit)
}

/// Reads the first line, unless the head is `begun` already, and header lines through the empty
/// line.
pub fn read_head(
    request: RequestPtr,
    input: &BufferGuard,
    state: &mut HeadState,
    begun: &mut bool,
    limit: usize,
) -> Result<Progress, Fault> {
    let in_reply = request.kind.get() != request_kind::REQUEST;
    let list = request.input_headers.get();
    let HeadState { scanned, folded } = state;
    let progress = take_lines(input, scanned, |line| {
        count(request, line, limit)?;
        if !*begun {
            parse_first_line(request, line)?;
            *begun = true;
            return Ok(Next::Line);
        }
        match parse_header_line(line, in_reply)? {
            HeaderLine::Empty => return Ok(Next::End),
            // SAFETY: the list is the request's.
            HeaderLine::Fold(text) => unsafe { unfold(list, text, folded)? },
            HeaderLine::Pair(name, value) => {
                *folded = None;
                request.add_input_header(name, value)?;
            }
        }
        Ok(Next::Line)
    })?;
    match progress {
        Progress::More => check_partial(request, input, limit)?,
        Progress::Done => *folded = None,
    }
    Ok(progress)
}

/// Reads the lines behind the last chunk, which are checked and counted and go no further.
pub fn read_trailer(
    request: RequestPtr,
    input: &BufferGuard,
    state: &mut HeadState,
    limit: usize,
) -> Result<Progress, Fault> {
    let in_reply = request.kind.get() != request_kind::REQUEST;
    let HeadState { scanned, folded } = state;
    let progress = take_lines(input, scanned, |line| {
        count(request, line, limit)?;
        match parse_header_line(line, in_reply)? {
            HeaderLine::Empty => return Ok(Next::End),
            HeaderLine::Fold(_) if folded.is_none() => return Err(Fault::Corrupt),
            HeaderLine::Fold(_) => {}
            HeaderLine::Pair(..) => *folded = Some((0, 0)),
        }
        Ok(Next::Line)
    })?;
    match progress {
        Progress::More => check_partial(request, input, limit)?,
        Progress::Done => *folded = None,
    }
    Ok(progress)
}

/// Headers on which the meaning of the message depends are not folded.
const NEVER_FOLDED: [&[u8]; 3] = [b"Content-Length", b"Transfer-Encoding", b"Host"];

/// What part of a folded value its room may be larger.
const FOLDED_SPARE: usize = 16;

/// The last header, whose value may have more than one line.
///
/// # Safety
/// The list is live.
unsafe fn foldable_header(list: *mut Evkeyvalq) -> Result<*mut Evkeyval, Fault> {
    // SAFETY: the caller guarantees the list; its strings are terminated.
    unsafe {
        let last: *mut Evkeyval = Evkeyvalq::last(list);
        if last.is_null() {
            return Err(Fault::Corrupt);
        }
        let name = CStr::from_ptr((*last).key).to_bytes();
        let refused = |never: &&[u8]| name.eq_ignore_ascii_case(never);
        if NEVER_FOLDED.iter().any(refused) {
            return Err(Fault::Corrupt);
        }
        Ok(last)
    }
}

/// Appends a line to the value of the last header, behind a blank. The room of the value grows with
/// it, so that all lines together cost time in proportion to their length.
///
/// # Safety
/// The list is live.
unsafe fn unfold(
    list: *mut Evkeyvalq,
    text: &[u8],
    folded: &mut Option<(usize, usize)>,
) -> Result<(), Fault> {
    // SAFETY: the caller guarantees the list; its strings are terminated blocks of `memory`, and
    // the room that is remembered is that of the last value.
    unsafe {
        let last = foldable_header(list)?;
        let (length, mut room) = match *folded {
            Some(known) => known,
            None => {
                let length = libc::strlen((*last).value);
                (length, length + 1)
            }
        };
        let needed = length + text.len() + 2;
        if needed > room {
            room = needed + needed / FOLDED_SPARE;
            let block = memory::realloc((*last).value.cast(), room);
            if block.is_null() {
                return Err(Fault::Memory);
            }
            (*last).value = block.cast();
        }
        let end = (*last).value.cast::<u8>().add(length);
        end.write(b' ');
        ptr::copy_nonoverlapping(text.as_ptr(), end.add(1), text.len());
        end.add(1 + text.len()).write(0);
        *folded = Some((length + 1 + text.len(), room));
    }
    Ok(())
}

/// Reads the line with the size of a chunk, which ends with CR LF; `None` when it is not there yet.
pub fn read_chunk_size(input: &BufferGuard) -> Result<Option<i64>, Fault> {
    let length = input.length().min(LONGEST_CHUNK_LINE);
    if length == 0 {
        return Ok(None);
    }
    let bytes = input.pull_up(Some(length)).map_err(|_| Fault::Memory)?;
    // SAFETY: so many bytes lie there, and the buffer is not changed while they are looked at.
    let bytes = unsafe { std::slice::from_raw_parts(bytes, length) };
    let Some(feed) = memchr(b'\n', bytes) else {
        // What has no line end yet is at least the beginning of a size.
        return match bytes.first() {
            Some(byte) if byte.is_ascii_hexdigit() && length < LONGEST_CHUNK_LINE => Ok(None),
            _ => Err(Fault::Corrupt),
        };
    };
    let line = bytes[..feed].strip_suffix(b"\r").ok_or(Fault::Corrupt)?;
    let size = chunk_size(line).ok_or(Fault::Corrupt)?;
    // The front of an input is not frozen.
    let _ = input.drain(feed + 1);
    Ok(Some(size))
}

/// The number at the front of a line; an extension may follow it.
fn chunk_size(line: &[u8]) -> Option<i64> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit());
    let (digits, rest) = line.split_at(digits.count());
    let is_extension = matches!(trim_front(rest), [] | [b';', ..]);
    if digits.is_empty() || !is_extension || memchr::memchr2(0, b'\r', rest).is_some() {
        return None;
    }
    digits.iter().try_fold(0i64, |size, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        size.checked_mul(16)?.checked_add(digit.into())
    })
}

/// A text without the blanks in front.
pub fn trim_front(text: &[u8]) -> &[u8] {
    &text[text.iter().take_while(|byte| is_blank(byte)).count()..]
}

/// Reads the line end behind the data of a chunk.
pub fn read_chunk_end(input: &BufferGuard) -> Result<Progress, Fault> {
    let mut room = [0; 2];
    let bytes = input.look(&mut room).map_err(|_| Fault::Memory)?;
    match bytes {
        b"\r\n" => {
            // The front of an input is not frozen.
            let _ = input.drain(2);
            Ok(Progress::Done)
        }
        b"" | b"\r" => Ok(Progress::More),
        _ => Err(Fault::Corrupt),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_chunks_are_hexadecimal_numbers_alone() {
        for (line, size) in [
            ("0", 0),
            ("a", 10),
            ("00fF", 255),
            ("7fffffffffffffff", i64::MAX),
            ("3;x=y", 3),
            ("3 ;x", 3),
            ("3 \t", 3),
        ] {
            assert_eq!(chunk_size(line.as_bytes()), Some(size), "{line}");
        }
        for line in [
            "",
            "0x3",
            "+3",
            "-0",
            " 3",
            "3 x",
            "g",
            "8000000000000000",
            "3\0",
            ";",
            "3;\r",
        ] {
            assert_eq!(chunk_size(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn versions_have_one_digit_each() {
        assert_eq!(version(b"HTTP/1.1"), Ok((1, 1)));
        assert_eq!(version(b"HTTP/0.9"), Ok((0, 9)));
        for text in [
            "HTTP/2.0",
            "HTTP/1.10",
            "HTTP/01.1",
            "http/1.1",
            "HTTP/1.",
            "HTTP/-1.1",
        ] {
            assert_eq!(version(text.as_bytes()), Err(Fault::Corrupt), "{text}");
        }
    }
}
