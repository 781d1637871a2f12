//! Finding the function of the program that handles a request: by method, host and path.

use super::abi::{flag, method};
use super::connection::ConnectionPtr;
use super::encoding::{self, Plus};
use super::paths::Handler;
use super::request::RequestPtr;
use super::server::ServerPtr;
use super::uri::Part;
use crate::hooks::memory;

/// What becomes of a request.
pub enum Answer {
    /// The program handles it.
    Handler(Handler),
    /// Nothing handles that path.
    NotFound,
}

/// Finds what handles a request.
pub fn route(connection: ConnectionPtr, request: RequestPtr) -> Answer {
    let Some(root) = connection.server() else {
        return Answer::NotFound;
    };
    let server = if root.has_names() {
        let host = request.host_text();
        host.map_or(root, |host| virtual_host(root, host))
    } else {
        root
    };
    let path = request.uri_part(Part::Path).unwrap_or(b"");
    let handler = handler_of_path(server, path);
    handler
        .or_else(|| server.fallback.get())
        .map_or(Answer::NotFound, Answer::Handler)
}

/// Whether a server takes requests with that method at all.
pub fn is_allowed(connection: ConnectionPtr, request: RequestPtr) -> bool {
    connection
        .server()
        .is_none_or(|root| request.method.get() & u32::from(root.methods.get()) != 0)
}

/// Paths up to this length are decoded on the stack.
const SHORT_PATH: usize = 512;

/// What handles a path, of which escapes are undone first.
fn handler_of_path(server: ServerPtr, path: &[u8]) -> Option<Handler> {
    if !path.contains(&b'%') {
        return server.handler(path);
    }
    if path.len() < SHORT_PATH {
        let mut room = [0; SHORT_PATH];
        // SAFETY: the room has a byte more than the path, which only gets shorter.
        let length =
            unsafe { encoding::decode(path.as_ptr(), path.len(), room.as_mut_ptr(), Plus::Plus) };
        return server.handler(&room[..length]);
    }
    let (text, length) = encoding::decoded(path, Plus::Plus).ok()?;
    // SAFETY: the text is a new block with this many bytes.
    unsafe {
        let decoded = std::slice::from_raw_parts(text.as_ptr().cast::<u8>(), length);
        let handler = server.handler(decoded);
        memory::free(text.as_ptr().cast());
        handler
    }
}

/// The server, of a root and its virtual hosts, that a host belongs to: the one that has it as an
/// alias; else down from the root the first whose pattern fits, for as long as there is one.
fn virtual_host(root: ServerPtr, host: &[u8]) -> ServerPtr {
    if let Some(server) = root.with_alias(host) {
        return server;
    }
    let mut server = root;
    while let Some(below) = server.virtual_host(host) {
        server = below;
    }
    server
}

/// A target with another server's name in it is meant for that one.
pub fn mark_proxy_request(connection: ConnectionPtr, request: RequestPtr) {
    let (Some(scheme), Some(host)) = (request.uri_part(Part::Scheme), request.uri_part(Part::Host))
    else {
        return;
    };
    let is_http = [&b"http"[..], b"https"]
        .iter()
        .any(|name| scheme.eq_ignore_ascii_case(name));
    let Some(root) = connection.server().filter(|_| is_http) else {
        return;
    };
    let known = root.with_alias(host).is_some() || virtual_host(root, host) != root;
    if !known && request.method.get() != method::CONNECT {
        request.insert(flag::PROXY_REQUEST);
    }
}

/// Whether a host matches a pattern, in which a star matches any text.
pub fn matches(pattern: &[u8], host: &[u8]) -> bool {
    let (mut p, mut h) = (0, 0);
    // Behind the last star, and up to where it reaches.
    let mut star: Option<(usize, usize)> = None;
    while h < host.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p + 1, h));
            p += 1;
        } else if pattern
            .get(p)
            .is_some_and(|byte| byte.eq_ignore_ascii_case(&host[h]))
        {
            p += 1;
            h += 1;
        } else if let Some((behind, reach)) = star {
            star = Some((behind, reach + 1));
            (p, h) = (behind, reach + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn stars_stand_for_any_text() {
        for (pattern, host) in [
            ("a.com", "A.COM"),
            ("*", "x"),
            ("*", ""),
            ("*.foo.com", "x.y.foo.com"),
            ("*.foo.com", ".foo.com"),
            ("a*", "a"),
            ("a*c*", "abcd"),
            ("manolito.*", "manolito.x"),
            ("a*b*c", "aXbbYc"),
        ] {
            assert!(
                matches(pattern.as_bytes(), host.as_bytes()),
                "{pattern} {host}"
            );
        }
        for (pattern, host) in [
            ("*.foo.com", "foo.com"),
            ("a.com", "b.com"),
            ("", "x"),
            ("?", "x"),
            ("a*b", "abc"),
            ("[a]", "a"),
        ] {
            assert!(
                !matches(pattern.as_bytes(), host.as_bytes()),
                "{pattern} {host}"
            );
        }
        // As many stars as there could be steps back.
        let pattern = "*a".repeat(200) + "b";
        assert!(!matches(pattern.as_bytes(), "a".repeat(2000).as_bytes()));
    }
}
