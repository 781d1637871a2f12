//! The end of connections: of one that may be connected again, and of the object.
//!
//! Either is completed also when the close callback of the program throws.

use super::connection::{ConnectionPtr, State, bit};
use super::{connect, incoming};
use crate::buffer::{End, Evbuffer, Guard as BufferGuard};
use crate::bufferevent::abi::BuffereventOptions;
use crate::bufferevent::{BuffereventPtr, Direction, Guard};
use crate::event::kind;
use crate::system;
use crate::util::sockets;
use std::ffi::c_int;
use std::ptr;

impl ConnectionPtr {
    /// Tells the program that the connection ends, if there is one.
    fn notify_close(self) {
        if self.is_connected() {
            if let Some(callback) = self.close_callback.get() {
                // SAFETY: the program's function; the caller has a pin.
                unsafe { callback(self.as_ptr(), self.close_argument.get()) };
            }
        }
    }

    /// Ends the connection, if there is one; the object can be connected again.
    pub fn reset(self) {
        let pin = self.pin();
        if let Some(bufferevent) = self.bufferevent() {
            bufferevent.set_callbacks(None, None, None, ptr::null_mut());
            // Refusals were logged.
            let _ = bufferevent.disable_hard(kind::READ | kind::WRITE);
        }
        let disconnecting = Disconnecting(self);
        let unfinished = self.unfinished(0);
        pin.notify_close();
        unfinished.finish();
        drop(disconnecting);
    }

    /// Frees the connection, and its requests unless they belong to the program. None of their
    /// callbacks is called.
    pub fn free(self) {
        if self.is_freed() {
            return;
        }
        let pin = self.pin();
        self.insert(bit::FREED);
        if let Some(bufferevent) = self.bufferevent() {
            bufferevent.set_callbacks(None, None, None, ptr::null_mut());
        }
        let dismantling = Dismantling(self);
        pin.notify_close();
        drop(dismantling);
    }
}

/// The rest of [`ConnectionPtr::reset`], also when the close callback throws.
struct Disconnecting(ConnectionPtr);

impl Drop for Disconnecting {
    fn drop(&mut self) {
        let connection = self.0;
        if connection.is_freed() {
            return;
        }
        if let Some(bufferevent) = connection.bufferevent() {
            close_descriptor(*bufferevent);
            for direction in Direction::ALL {
                empty(bufferevent.buffer(direction));
            }
        }
        incoming::stop_watching(connection);
        connection.written_callback.set(None);
        connection.remove(bit::PEER_ENDED | bit::HELD | bit::WRITING_FAILED);
        connection.state.set(State::Disconnected);
    }
}

/// The rest of [`ConnectionPtr::free`], also when the close callback throws.
struct Dismantling(ConnectionPtr);

impl Drop for Dismantling {
    fn drop(&mut self) {
        let connection = self.0;
        incoming::stop_watching(connection);
        incoming::leave_server(connection);
        connection.free_replied();
        while let Some(request) = connection.current() {
            connection.detach(request);
            request.free_unless_owned();
        }
        connect::free_part(connection);
        connection.unschedule();
        if let Some(bufferevent) = connection.take_bufferevent() {
            end(bufferevent);
        }
        connection.state.set(State::Disconnected);
    }
}

/// Tells the peer that nothing more will be sent.
fn shut_down(descriptor: c_int) {
    // SAFETY: shutdown takes integers only; a peer that has gone already is no failure.
    unsafe { system::shutdown(descriptor, libc::SHUT_WR) };
}

/// Throws away what is in a buffer of a bufferevent that has no descriptor any more.
fn empty(buffer: *mut Evbuffer) {
    // SAFETY: the buffer's bufferevent is guarded by the caller.
    let buffer = unsafe { BufferGuard::new(buffer) };
    if buffer.length() > 0 {
        buffer.set_frozen(End::Front, false);
        let _ = buffer.drain(buffer.length());
    }
}

/// Ends a connection and closes its descriptor, which no bufferevent, also of those below, has any
/// more then: the number may soon be another file's.
fn close_descriptor(bufferevent: BuffereventPtr) {
    let descriptor = bufferevent.descriptor();
    if descriptor >= 0 {
        shut_down(descriptor);
    }
    let mut lowest = bufferevent;
    while let Some(below) = lowest.underlying() {
        lowest = below;
    }
    // The kernel forgets the descriptor before it is closed.
    let _ = lowest.set_descriptor(-1);
    if descriptor >= 0 {
        let _ = sockets::close(descriptor);
    }
}

/// Closes the descriptor of a bufferevent and frees it.
fn end(bufferevent: Guard) {
    const CLOSE_ON_FREE: c_int = BuffereventOptions::BEV_OPT_CLOSE_ON_FREE as c_int;
    if bufferevent.options() & CLOSE_ON_FREE == 0 {
        // A refusal was logged.
        let _ = bufferevent.disable_hard(kind::READ | kind::WRITE);
        close_descriptor(*bufferevent);
    } else if let descriptor @ 0.. = bufferevent.descriptor() {
        shut_down(descriptor);
    }
    BuffereventPtr::free(bufferevent);
}
