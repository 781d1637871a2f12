//! URI references: taken apart, changed in parts, put together.
//!
//! Nothing is decoded or normalised here: each part is the text as it stood.

use super::encoding::is_unreserved;
use crate::hooks::memory::{self, OutOfMemory};
use crate::util::address::parse_ipv6;
use crate::util::ascii::decimal;
use crate::util::text::Text;
use memchr::{memchr, memchr2, memchr3};
use std::ffi::{CStr, c_char, c_int, c_uint};
use std::mem::{MaybeUninit, size_of};
use std::ptr::{self, NonNull};

/// The flag of [`Uri`] by which path, query and fragment may have any bytes.
pub const NONCONFORMANT: c_uint = 1;

/// The highest port that a text may have.
const HIGHEST_PORT: u32 = 65535;
/// The port of a URI without one.
const NO_PORT: c_int = -1;

/// A part of a URI that is text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Part {
    Scheme,
    Userinfo,
    Host,
    Path,
    Query,
    Fragment,
}

impl Part {
    const ALL: [Part; 6] = [
        Part::Scheme,
        Part::Userinfo,
        Part::Host,
        Part::Path,
        Part::Query,
        Part::Fragment,
    ];

    /// Whether this part may be that text.
    fn allows(self, text: &[u8], flags: c_uint) -> bool {
        let anything = flags & NONCONFORMANT != 0;
        match self {
            Part::Scheme => is_scheme(text),
            Part::Userinfo => consists_of(text, is_userinfo),
            Part::Host => is_host(text),
            Part::Path if anything => memchr2(b'?', b'#', text).is_none(),
            Part::Path => consists_of(text, is_path),
            Part::Query if anything => memchr(b'#', text).is_none(),
            Part::Fragment if anything => true,
            Part::Query | Part::Fragment => consists_of(text, |byte| is_path(byte) || byte == b'?'),
        }
    }
}

/// Why there is no such URI, or no such part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoUri {
    /// The text is not what it should be.
    Syntax,
    /// Memory is short.
    Memory,
}

impl From<OutOfMemory> for NoUri {
    fn from(_: OutOfMemory) -> NoUri {
        NoUri::Memory
    }
}

fn is_userinfo(byte: u8) -> bool {
    is_name(byte) || byte == b':'
}

fn is_path(byte: u8) -> bool {
    is_name(byte) || matches!(byte, b':' | b'@' | b'/')
}

/// Unreserved characters and those that a part may use to divide itself.
fn is_name(byte: u8) -> bool {
    NAME_BYTES[usize::from(byte)]
}

/// What [`is_name`] says of each byte, because texts may be long.
static NAME_BYTES: [bool; 256] = {
    let mut allowed = [false; 256];
    let mut byte = 0;
    while byte < allowed.len() {
        let dividing = matches!(byte as u8, b'!' | b'$' | b'&'..=b',' | b';' | b'=');
        allowed[byte] = dividing || is_unreserved(byte as u8);
        byte += 1;
    }
    allowed
};

/// Whether a text has only such bytes, and escapes.
fn consists_of(text: &[u8], allowed: impl Fn(u8) -> bool) -> bool {
    let mut rest = text;
    loop {
        rest = match rest {
            [] => return true,
            [byte, behind @ ..] if allowed(*byte) => behind,
            [b'%', high, low, behind @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                behind
            }
            _ => return false,
        }
    }
}

fn is_scheme(text: &[u8]) -> bool {
    let may_follow = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
    text.first().is_some_and(u8::is_ascii_alphabetic) && text.iter().all(may_follow)
}

/// A name or an address; an IPv6 address is in brackets.
fn is_host(text: &[u8]) -> bool {
    match text {
        [b'[', literal @ .., b']'] => is_future_address(literal) || parse_ipv6(literal).is_some(),
        _ => consists_of(text, is_name),
    }
}

/// An address of a future version: `v`, its number in hexadecimal, a dot, the address.
fn is_future_address(literal: &[u8]) -> bool {
    let Some(rest) = literal.strip_prefix(b"v") else {
        return false;
    };
    let digits = rest.iter().take_while(|b| b.is_ascii_hexdigit()).count();
    digits > 0
        && rest
            .get(digits..)
            .and_then(|rest| rest.strip_prefix(b"."))
            .is_some_and(|address| address.iter().all(|&byte| is_userinfo(byte)))
}

/// The parts of a text, which it contains all.
#[derive(Default)]
struct Parts<'a> {
    texts: [Option<&'a [u8]>; Part::ALL.len()],
    port: Option<c_int>,
}

impl<'a> Parts<'a> {
    /// Takes a URI reference apart.
    fn of(text: &'a [u8], flags: c_uint) -> Option<Parts<'a>> {
        let mut parts = Parts::default();
        // Most targets of requests are a path and what follows it.
        let rest = match begins_with_path(text) {
            true => text,
            false => parts.take_front(text)?,
        };
        let (rest, fragment) = split_at_first(rest, b"#");
        let (path, query) = split_at_first(rest, b"?");
        parts.texts[Part::Path as usize] = Some(path);
        parts.texts[Part::Query as usize] = query;
        parts.texts[Part::Fragment as usize] = fragment;
        parts.are_allowed(flags).then_some(parts)
    }

    /// Takes what stands in front of the path. What is left begins with that.
    #[inline(never)]
    fn take_front(&mut self, text: &'a [u8]) -> Option<&'a [u8]> {
        let (scheme, rest) = match split_at_first(text, b":") {
            (scheme, Some(rest)) if is_scheme(scheme) => (Some(scheme), rest),
            _ => (None, text),
        };
        self.texts[Part::Scheme as usize] = scheme;
        let hierarchical = rest.strip_prefix(b"//");
        let rest = hierarchical.unwrap_or(rest);
        let end = memchr3(b'/', b'?', b'#', rest);
        let (front, behind) = rest.split_at(end.unwrap_or(rest.len()));
        if hierarchical.is_some() {
            self.take_authority(front)?;
            return Some(behind);
        }
        // What looks like a scheme and is none.
        let misleading = scheme.is_none() && front.contains(&b':');
        (!misleading).then_some(rest)
    }

    /// Parses what is between the slashes and the path.
    fn take_authority(&mut self, authority: &'a [u8]) -> Option<()> {
        let (userinfo, rest) = match split_at_first(authority, b"@") {
            (userinfo, Some(rest)) => (Some(userinfo), rest),
            (_, None) => (None, authority),
        };
        let not_digit = |byte: &u8| !byte.is_ascii_digit();
        let host = match rest.iter().rposition(not_digit) {
            Some(colon) if rest[colon] == b':' => {
                let digits = &rest[colon + 1..];
                if !digits.is_empty() {
                    self.port = Some(decimal(digits, HIGHEST_PORT)? as c_int);
                }
                &rest[..colon]
            }
            _ => rest,
        };
        self.texts[Part::Userinfo as usize] = userinfo;
        self.texts[Part::Host as usize] = Some(host);
        Some(())
    }

    /// Whether each part may be what it is. From the path on that may be anything in a URI that
    /// need not conform: only that divides it which ends the part.
    fn are_allowed(&self, flags: c_uint) -> bool {
        let strict = match flags & NONCONFORMANT {
            0 => Part::ALL.len(),
            _ => Part::Path as usize,
        };
        let mut both = Part::ALL.iter().zip(&self.texts).take(strict);
        both.all(|(part, text)| text.is_none_or(|text| part.allows(text, flags)))
    }
}

/// Whether a URI reference has nothing in front of its path.
fn begins_with_path(text: &[u8]) -> bool {
    matches!(text, [b'/', rest @ ..] if rest.first() != Some(&b'/'))
}

/// What precedes the first such byte, and what follows it if there is one.
fn split_at_first<'a>(text: &'a [u8], byte: &[u8; 1]) -> (&'a [u8], Option<&'a [u8]>) {
    match memchr(byte[0], text) {
        Some(place) => (&text[..place], Some(&text[place + 1..])),
        None => (text, None),
    }
}

/// The query of a conformant URI reference, if it has one.
pub fn query_of(text: &[u8]) -> Result<Option<&[u8]>, NoUri> {
    let parts = Parts::of(text, 0).ok_or(NoUri::Syntax)?;
    Ok(parts.texts[Part::Query as usize])
}

/// A URI reference: `struct evhttp_uri`.
///
/// Invariant: each text is null or a NUL-terminated string, which either lies with the URI itself,
/// in the `inside` bytes behind this structure, or is a block of its own.
pub struct Uri {
    flags: c_uint,
    port: c_int,
    texts: [*mut c_char; Part::ALL.len()],
    inside: usize,
    /// It lies in a [`UriRoom`] and not in a block of its own.
    in_room: bool,
    /// There are texts in blocks of their own.
    changed: bool,
}

/// How many bytes of texts a [`UriRoom`] has room for.
const SHORT_TEXTS: usize = 48;

/// Room for a URI that is short.
#[repr(C)]
pub struct UriRoom {
    uri: MaybeUninit<Uri>,
    texts: MaybeUninit<[c_char; SHORT_TEXTS]>,
}

impl Uri {
    /// A URI without any part.
    pub fn new() -> Result<NonNull<Uri>, OutOfMemory> {
        Uri::of(&Parts::default(), 0, ptr::null_mut())
    }

    /// Takes a URI reference apart. The text has no NUL.
    pub fn parse(text: &[u8], flags: c_uint) -> Result<NonNull<Uri>, NoUri> {
        let parts = Parts::of(text, flags).ok_or(NoUri::Syntax)?;
        Ok(Uri::of(&parts, flags, ptr::null_mut())?)
    }

    /// Takes the target of a request apart, into the room, unless it is null, if it fits. The text
    /// has no NUL.
    ///
    /// # Safety
    /// The room stays as long as the URI is used, and there is no other in it.
    pub unsafe fn parse_target(text: &[u8], room: *mut UriRoom) -> Result<NonNull<Uri>, NoUri> {
        if begins_with_path(text) {
            return Ok(Uri::of_path_on(text, room)?);
        }
        let parts = Parts::of(text, NONCONFORMANT).ok_or(NoUri::Syntax)?;
        Ok(Uri::of(&parts, NONCONFORMANT, room)?)
    }

    /// A URI that begins with its path and need not conform, as most targets of requests: the copy
    /// of the text, cut where the query and the fragment begin.
    fn of_path_on(text: &[u8], room: *mut UriRoom) -> Result<NonNull<Uri>, OutOfMemory> {
        let inside = text.len() + 1;
        let (uri, in_room) = Uri::place_for(inside, room)?;
        let mut texts = [ptr::null_mut(); Part::ALL.len()];
        let cut = memchr2(b'?', b'#', text);
        // SAFETY: behind the structure there is room for the text and a NUL, and both places of
        // cuts are in the text.
        unsafe {
            let start = uri.as_ptr().add(1).cast::<c_char>();
            start.copy_from_nonoverlapping(text.as_ptr().cast(), text.len());
            start.add(text.len()).write(0);
            texts[Part::Path as usize] = start;
            if let Some(place) = cut {
                start.add(place).write(0);
                let mut fragment = (text[place] == b'#').then_some(place);
                if fragment.is_none() {
                    texts[Part::Query as usize] = start.add(place + 1);
                    fragment = memchr(b'#', &text[place + 1..]).map(|sign| place + 1 + sign);
                }
                if let Some(sign) = fragment {
                    start.add(sign).write(0);
                    texts[Part::Fragment as usize] = start.add(sign + 1);
                }
            }
            uri.write(Uri {
                flags: NONCONFORMANT,
                port: NO_PORT,
                texts,
                inside,
                in_room,
                changed: false,
            });
        }
        Ok(uri)
    }

    /// Where a URI is made with so many bytes of texts behind it: in the room, unless it is null, if
    /// they fit; whether it is there.
    fn place_for(inside: usize, room: *mut UriRoom) -> Result<(NonNull<Uri>, bool), OutOfMemory> {
        let in_room = !room.is_null() && inside <= SHORT_TEXTS;
        let place = if in_room {
            room.cast::<Uri>()
        } else {
            memory::malloc(size_of::<Uri>() + inside).cast::<Uri>()
        };
        Ok((NonNull::new(place).ok_or(OutOfMemory)?, in_room))
    }

    /// A URI of what CONNECT asks for, `host:port`, with an empty path. The text has no NUL.
    pub fn parse_authority(text: &[u8]) -> Result<NonNull<Uri>, NoUri> {
        let mut parts = Parts::default();
        parts.take_authority(text).ok_or(NoUri::Syntax)?;
        parts.texts[Part::Path as usize] = Some(b"");
        if !parts.are_allowed(0) {
            return Err(NoUri::Syntax);
        }
        Ok(Uri::of(&parts, 0, ptr::null_mut())?)
    }

    /// A URI of copies of the parts, all in one block, or in the room, unless it is null, if they
    /// fit.
    fn of(parts: &Parts, flags: c_uint, room: *mut UriRoom) -> Result<NonNull<Uri>, OutOfMemory> {
        let inside = parts.texts.iter().flatten().map(|text| text.len() + 1);
        let inside = inside.sum::<usize>();
        let (uri, in_room) = Uri::place_for(inside, room)?;
        let place = uri.as_ptr();
        let mut texts = [ptr::null_mut(); Part::ALL.len()];
        // SAFETY: behind the structure there is room for all parts and their NULs.
        unsafe {
            let mut end = place.add(1).cast::<c_char>();
            for (copy, text) in texts.iter_mut().zip(parts.texts) {
                let Some(text) = text else { continue };
                end.copy_from_nonoverlapping(text.as_ptr().cast(), text.len());
                end.add(text.len()).write(0);
                *copy = end;
                end = end.add(text.len() + 1);
            }
            place.write(Uri {
                flags,
                port: parts.port.unwrap_or(NO_PORT),
                texts,
                inside,
                in_room,
                changed: false,
            });
        }
        Ok(uri)
    }

    /// Frees a URI.
    ///
    /// # Safety
    /// `uri` came from this module and is in use by nobody.
    pub unsafe fn free(uri: *mut Uri) {
        // SAFETY: the caller guarantees the URI.
        unsafe {
            if (*uri).changed {
                (*uri).drop_texts();
            }
            if !(*uri).in_room {
                memory::free(uri.cast());
            }
        }
    }

    #[cold]
    fn drop_texts(&mut self) {
        for part in Part::ALL {
            self.drop_text(part);
        }
    }

    /// Frees the block of a part, if it has one of its own.
    fn drop_text(&mut self, part: Part) {
        let text = self.texts[part as usize];
        let start = ptr::from_mut(self) as usize + size_of::<Uri>();
        if !text.is_null() && !(start..start + self.inside).contains(&(text as usize)) {
            // SAFETY: the invariant: what lies elsewhere is a block of its own.
            unsafe { memory::free(text.cast()) };
        }
        self.texts[part as usize] = ptr::null_mut();
    }

    /// The text of a part, null when there is none.
    pub fn text(&self, part: Part) -> *const c_char {
        self.texts[part as usize]
    }

    /// The bytes of a part.
    pub fn part(&self, part: Part) -> Option<&[u8]> {
        let text = self.text(part);
        // SAFETY: the invariant: texts are terminated.
        (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_bytes())
    }

    /// The port, -1 when there is none.
    pub fn port(&self) -> c_int {
        self.port
    }

    /// Changes the flags, which later changes of parts obey.
    pub fn set_flags(&mut self, flags: c_uint) {
        self.flags = flags;
    }

    /// Changes a part, or changes nothing. The text has no NUL.
    pub fn set_part(&mut self, part: Part, text: Option<&[u8]>) -> Result<(), NoUri> {
        let copy = match text {
            None => ptr::null_mut(),
            Some(text) if part.allows(text, self.flags) => memory::copy_text(text)?.as_ptr(),
            Some(_) => return Err(NoUri::Syntax),
        };
        self.drop_text(part);
        self.texts[part as usize] = copy;
        self.changed = true;
        Ok(())
    }

    /// Changes the port; -1 removes it.
    pub fn set_port(&mut self, port: c_int) -> Result<(), NoUri> {
        if port < NO_PORT {
            return Err(NoUri::Syntax);
        }
        self.port = port;
        Ok(())
    }

    /// Puts the URI together, with a NUL behind it; whether it fits into `size` bytes and means
    /// the same parts when it is taken apart again.
    ///
    /// # Safety
    /// `out` has room for `size` bytes.
    pub unsafe fn join(&self, out: *mut u8, size: usize) -> bool {
        if !self.can_be_joined() {
            return false;
        }
        let mut length = 0;
        self.for_each_piece(&mut |piece| length += piece.len());
        if length >= size {
            return false;
        }
        let mut end = out;
        // SAFETY: the pieces and a NUL fit; the caller guarantees the room.
        unsafe {
            self.for_each_piece(&mut |piece| {
                end.copy_from_nonoverlapping(piece.as_ptr(), piece.len());
                end = end.add(piece.len());
            });
            end.write(0);
        }
        true
    }

    /// Behind a host a path begins with a slash; without one it may not look as if it had one.
    fn can_be_joined(&self) -> bool {
        let path = self.part(Part::Path).unwrap_or(b"");
        match self.part(Part::Host) {
            Some(_) => path.is_empty() || path.starts_with(b"/"),
            None => !path.starts_with(b"//"),
        }
    }

    fn for_each_piece(&self, put: &mut dyn FnMut(&[u8])) {
        if let Some(scheme) = self.part(Part::Scheme) {
            put(scheme);
            put(b":");
        }
        if let Some(host) = self.part(Part::Host) {
            put(b"//");
            if let Some(userinfo) = self.part(Part::Userinfo) {
                put(userinfo);
                put(b"@");
            }
            put(host);
            if self.port >= 0 {
                put(Text::<12>::of(format_args!(":{}", self.port)).as_bytes());
            }
        }
        put(self.part(Part::Path).unwrap_or(b""));
        for (mark, part) in [(b"?", Part::Query), (b"#", Part::Fragment)] {
            if let Some(text) = self.part(part) {
                put(mark);
                put(text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A URI that frees itself.
    struct Owned(NonNull<Uri>);

    impl Drop for Owned {
        fn drop(&mut self) {
            // SAFETY: the URI is this test's alone.
            unsafe { Uri::free(self.0.as_ptr()) };
        }
    }

    impl Owned {
        fn uri(&mut self) -> &mut Uri {
            // SAFETY: the URI is this test's alone.
            unsafe { self.0.as_mut() }
        }

        fn joined(&mut self) -> Option<String> {
            let mut out = [0; 200];
            // SAFETY: the array has that room.
            let fits = unsafe { self.uri().join(out.as_mut_ptr(), out.len()) };
            let text = CStr::from_bytes_until_nul(&out).unwrap();
            fits.then(|| text.to_str().unwrap().to_owned())
        }
    }

    fn parse(text: &str, flags: c_uint) -> Option<Owned> {
        Uri::parse(text.as_bytes(), flags).ok().map(Owned)
    }

    #[test]
    fn a_text_is_taken_apart_and_put_together_again() {
        for text in [
            "",
            "//",
            "///x",
            "http:x",
            "localhost:8080/x",
            "//@h",
            "s://u:p@[::1]:80/p?q?q#f?",
            "//[v1f.a:b]?",
            "mailto:a@b",
            "/a:b",
            "./a:b",
            "a/b:c",
            "?#",
            "//h%41",
        ] {
            assert_eq!(parse(text, 0).unwrap().joined().as_deref(), Some(text));
        }
        for (text, joined) in [("http://h:", "http://h"), ("//h:0080/", "//h:80/")] {
            assert_eq!(parse(text, 0).unwrap().joined().as_deref(), Some(joined));
        }
        let mut uri = parse("s://u:p@[::1]:80/p?q?q#f?", 0).unwrap();
        let wanted = ["s", "u:p", "[::1]", "/p", "q?q", "f?"];
        for (part, wanted) in Part::ALL.into_iter().zip(wanted) {
            assert_eq!(uri.uri().part(part), Some(wanted.as_bytes()));
        }
        assert_eq!(uri.uri().port(), 80);
    }

    #[test]
    fn targets_have_the_same_parts_whether_or_not_they_begin_with_the_path() {
        let paths = ["/", "/p", "/a b//c"];
        for (path, rest) in paths.into_iter().flat_map(|path| {
            let rests = ["", "?", "#", "?q", "#f", "?q#f", "?a?b#c#d?e", "#f?g#"];
            rests.map(|rest| (path, rest))
        }) {
            let text = format!("{path}{rest}");
            // SAFETY: there is no room to look after.
            let short = unsafe { Uri::parse_target(text.as_bytes(), ptr::null_mut()) };
            let mut short = Owned(short.unwrap());
            let mut long = parse(&format!("s:{text}"), NONCONFORMANT).unwrap();
            for part in [Part::Path, Part::Query, Part::Fragment, Part::Host] {
                assert_eq!(short.uri().part(part), long.uri().part(part), "{text}");
            }
            assert_eq!(short.joined(), Some(text));
        }
    }

    #[test]
    fn bad_texts_are_refused() {
        for text in [
            "1a:b",
            ":x",
            "http://h:80abc/",
            "http://u@v@h/",
            "http://::1/",
            "http://[]/",
            "http://[::1",
            "http://[::1]x",
            "http://[fe80::1%25eth0]/",
            "http://[v1]/",
            "http://[v.a]/",
            "http://h%2/",
            "http://h:65536/",
            "http://h:99999999999999999999/",
        ] {
            assert!(parse(text, 0).is_none(), "{text}");
            assert!(parse(text, NONCONFORMANT).is_none(), "{text}");
        }
        for text in ["/a b", "/\u{80}", "/#a#b", "/%2", "?\"", "#\\", "/[x]"] {
            assert!(parse(text, 0).is_none(), "{text}");
            assert!(parse(text, NONCONFORMANT).is_some(), "{text}");
        }
    }

    #[test]
    fn parts_can_be_changed() {
        let mut owned = parse("http://h/x?y", 0).unwrap();
        let uri = owned.uri();
        for (part, text) in [
            (Part::Scheme, "1"),
            (Part::Userinfo, "a@"),
            (Part::Host, "[::1]x"),
            (Part::Host, "a:1"),
            (Part::Path, "/a?"),
            (Part::Path, "/ "),
            (Part::Query, "a#"),
            (Part::Fragment, "#"),
        ] {
            let refused = uri.set_part(part, Some(text.as_bytes()));
            assert_eq!(refused, Err(NoUri::Syntax), "{text}");
        }
        uri.set_part(Part::Host, Some(b"[::1]")).unwrap();
        uri.set_part(Part::Userinfo, Some(b"u")).unwrap();
        uri.set_part(Part::Query, None).unwrap();
        uri.set_flags(NONCONFORMANT);
        uri.set_part(Part::Path, Some(b"/ ")).unwrap();
        uri.set_part(Part::Path, Some(b"/  ")).unwrap();
        assert_eq!(uri.set_port(-2), Err(NoUri::Syntax));
        uri.set_port(99999).unwrap();
        assert_eq!(owned.joined().as_deref(), Some("http://u@[::1]:99999/  "));
    }

    #[test]
    fn what_would_mean_something_else_is_not_joined() {
        let mut uri = parse("http://h//x", 0).unwrap();
        assert_eq!(uri.joined().as_deref(), Some("http://h//x"));
        uri.uri().set_part(Part::Host, None).unwrap();
        assert_eq!(uri.joined(), None);
        let mut uri = parse("http:x", 0).unwrap();
        uri.uri().set_part(Part::Host, Some(b"")).unwrap();
        assert_eq!(uri.joined(), None);
    }

    #[test]
    fn an_authority_alone_is_host_and_port() {
        let mut uri = Owned(Uri::parse_authority(b"u@h:80").unwrap());
        assert_eq!(uri.uri().part(Part::Host), Some(b"h".as_slice()));
        assert_eq!(uri.uri().port(), 80);
        assert_eq!(Uri::parse_authority(b"h/x"), Err(NoUri::Syntax));
    }
}
