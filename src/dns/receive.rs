//! Receiving replies as datagrams.

use super::channel::Channel;
use super::datagrams::{Inbox, MOST, Source};
use super::flight;
use super::health;
use super::log;
use super::name_server::ServerPtr;
use super::reply;
use super::resolver::BasePtr;
use crate::hooks::log::Severity;
use crate::system::set_errno;
use crate::util::socket_address::{self, SocketAddress};
use crate::util::sockets;
use std::mem::MaybeUninit;

/// So many system calls, then others have their turn.
const MOST_CALLS: usize = 8;

/// Reads until the socket is empty or closed.
pub(super) fn read_replies(base: BasePtr, server: ServerPtr, channel: &Channel) {
    let mut inbox = MaybeUninit::uninit();
    let inbox = Inbox::begin(&mut inbox);
    for _ in 0..MOST_CALLS {
        if channel.socket() < 0 {
            return;
        }
        // No more than are expected, so that none is asked for in vain.
        let wanted = usize::from(channel.in_flight.get()).clamp(1, MOST);
        let count = match inbox.receive(channel.socket(), wanted) {
            Ok(count) => count,
            Err(error) if sockets::read_write_retriable(error) => return,
            Err(error) => {
                channel.pause(base);
                set_errno(error);
                health::failed_by_system(base, server);
                return;
            }
        };
        for i in 0..count {
            let (message, source) = inbox.datagram(i);
            take_reply(base, server, message, source);
            if server.removed.get() {
                return;
            }
        }
        if count < wanted || channel.in_flight.get() == 0 {
            return;
        }
    }
}

/// Handles a datagram, which may be the reply to a question that this server was sent.
fn take_reply(base: BasePtr, server: ServerPtr, message: &[u8], source: &Source) {
    if !comes_from(server, source) {
        // SAFETY: the kernel has written the address.
        let text = unsafe { socket_address::format(source.as_ptr()) };
        let text = std::str::from_utf8(text.as_bytes()).unwrap_or_default();
        log::message(
            Severity::Warning,
            format_args!("Address mismatch on received DNS packet.  Apparent source was {text}"),
        );
        return;
    }
    server.silent.set(0);
    let Some(request) = reply::reply_id(message).and_then(|id| base.asked(id)) else {
        return;
    };
    if request.asked.get() & server.bit() != 0 && request.streamed.get() == 0 {
        let verdict = reply::evaluate(message, request.question(base));
        flight::answered(base, request, server, &verdict, message);
    }
}

fn comes_from(server: ServerPtr, source: &Source) -> bool {
    let (address, whole) = (&server.address, source.length() >= server.address.length());
    // SAFETY: the kernel has written the address, as long as the family says.
    match unsafe { SocketAddress::read(source.as_ptr()) }.filter(|_| whole) {
        Some(SocketAddress::V4(source)) => matches!(address, SocketAddress::V4(v4)
            if v4.sin_addr.s_addr == source.sin_addr.s_addr && v4.sin_port == source.sin_port),
        Some(SocketAddress::V6(source)) => matches!(address, SocketAddress::V6(v6)
            if v6.sin6_addr.s6_addr == source.sin6_addr.s6_addr && v6.sin6_port == source.sin6_port),
        None => false,
    }
}
