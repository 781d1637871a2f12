//! The way of a question: to a server, again to the next one, and to its end.

use super::channel::Sent;
use super::code;
use super::health;
use super::name_server::ServerPtr;
use super::reply::{Answer, Verdict};
use super::request::{Place, RequestPtr};
use super::resolver::BasePtr;
use crate::list::TailQueue;
use crate::system::{errno, set_errno};
use crate::util::SystemError;
use std::ffi::{CStr, c_int};

/// A stream that ended without an answer is tried again once.
const MOST_STREAMED: u8 = 2;

/// Asks the first question of a look-up now, or lets it wait. Fails without memory.
pub fn submit(base: BasePtr, request: RequestPtr) -> Result<(), SystemError> {
    if !base.may_ask() {
        base.wait_for_turn(request);
        return Ok(());
    }
    base.reserve()?;
    launch(base, request);
    if let Err(refused) = base.timeouts.update_timer(base) {
        request.withdraw(base);
        return Err(refused);
    }
    Ok(())
}

/// Sends waiting questions, as many as may be under way.
pub fn promote(base: BasePtr) {
    while base.may_ask() {
        // SAFETY: look-ups in the queue are live.
        let first = unsafe { RequestPtr::new(TailQueue::first(base.waiting.get())) };
        let Some(request) = first else {
            return;
        };
        // Without memory it continues to wait.
        if base.reserve().is_err() {
            return;
        }
        base.stop_waiting(request);
        launch(base, request);
    }
}

impl BasePtr {
    fn may_ask(self) -> bool {
        self.server_count() > 0 && self.in_flight() < usize::from(self.options.most_in_flight.get())
    }

    /// How many questions are under way.
    pub(super) fn in_flight(self) -> usize {
        // SAFETY: the lock is held, and nothing here calls the program.
        unsafe { (*self.table.get()).count() }
    }

    /// Makes room for one more question.
    pub(super) fn reserve(self) -> Result<(), SystemError> {
        // SAFETY: as in `in_flight`.
        unsafe { (*self.table.get()).try_reserve() }?;
        Ok(())
    }

    /// The question with an id.
    pub(super) fn asked(self, id: u16) -> Option<RequestPtr> {
        // SAFETY: as in `in_flight`.
        unsafe { (*self.table.get()).find(id) }
    }

    fn wait_for_turn(self, request: RequestPtr) {
        request.place.set(Place::Waiting);
        // SAFETY: the queue is initialised, and the look-up in none.
        unsafe { TailQueue::push_back(self.waiting.get(), request.as_ptr()) };
    }

    /// Puts a question that was under way back at the front of the waiting ones, as if it had never
    /// been sent.
    pub(super) fn suspend(self, request: RequestPtr) {
        request.withdraw(self);
        request.transmissions.set(0);
        request.reissued.set(false);
        request.streamed.set(0);
        request.asked.set(0);
        request.place.set(Place::Waiting);
        // SAFETY: as in `wait_for_turn`.
        unsafe { TailQueue::push_front(self.waiting.get(), request.as_ptr()) };
    }
}

impl RequestPtr {
    /// Takes a look-up out of everything.
    pub(super) fn withdraw(self, base: BasePtr) {
        base.stop_waiting(self);
        if self.unassign() {
            // SAFETY: the lock is held, and nothing here calls the program.
            unsafe { (*base.table.get()).remove(self.id.get()) };
        }
    }

    /// Frees a look-up that was withdrawn, without telling anybody.
    pub(super) fn forget(self) {
        if let Some(server) = self.probed() {
            server.probe.set(None);
        }
        self.free();
    }
}

/// Sends a question, for which there is room, with a new id.
fn launch(base: BasePtr, request: RequestPtr) {
    if let Some(server) = base.pick_server() {
        launch_at(base, request, server);
    }
}

/// The same at a server of the caller's choice.
pub(super) fn launch_at(base: BasePtr, request: RequestPtr, server: ServerPtr) {
    // SAFETY: the lock is held, and nothing here calls the program.
    unsafe {
        let table = &mut *base.table.get();
        request.set_id(table.new_id());
        table.insert(request);
    }
    transmit(base, request, server);
}

/// Sends a question, which is in no queue, to a server and lets it wait, for the answer or for room
/// in the socket.
fn transmit(base: BasePtr, request: RequestPtr, server: ServerPtr) {
    server.renew_socket(base);
    server.channel().resume(base);
    request.assign_to(server);
    request.streamed.set(0);
    let sent = if server.first_unsent().is_some() {
        Sent::NoRoom
    } else {
        server.send(request.packet())
    };
    if sent != Sent::NoRoom || !server.wait_for_room(base, request) {
        note_sent(base, request, server, sent);
    }
}

/// A question is on its way, or as good as lost on it, and waits for the answer.
pub(super) fn note_sent(base: BasePtr, request: RequestPtr, server: ServerPtr, sent: Sent) {
    let error = errno();
    request.asked.set(request.asked.get() | server.bit());
    request
        .transmissions
        .set(request.transmissions.get().saturating_add(1));
    base.wait_for_answer(request);
    if sent == Sent::Failed {
        set_errno(error);
        health::failed_by_system(base, server);
    }
}

/// Sends what waits for a server's socket elsewhere, if another server is up.
pub(super) fn move_unsent(base: BasePtr, server: ServerPtr) {
    while let Some(request) = server.first_unsent() {
        let other = base
            .pick_server()
            .filter(|&other| other != server && other.up.get());
        let (Some(other), None) = (other, request.probed()) else {
            return;
        };
        base.stop_waiting(request);
        transmit(base, request, other);
    }
}

/// A question has waited long enough for its answer.
pub(super) fn expire(base: BasePtr, request: RequestPtr) {
    base.stop_waiting(request);
    let Some(server) = request.server.get() else {
        return;
    };
    if request.streamed.get() > 0 {
        end(base, request, &Answer::of(code::TRUNCATED), &[]);
        return;
    }
    if !may_ask_again(base, request) {
        give_up(base, request, server);
        return;
    }
    server.silent.set(server.silent.get().saturating_add(1));
    if server.silent.get() > base.options.most_timeouts.get() {
        health::failed(base, server, format_args!("request timed out."));
    }
    ask_again(base, request);
}

fn may_ask_again(base: BasePtr, request: RequestPtr) -> bool {
    c_int::from(request.transmissions.get()) < base.options.attempts.get()
}

/// Sends a question, which is in no queue, to the server whose turn it is; a probe to its own.
fn ask_again(base: BasePtr, request: RequestPtr) {
    if let Some(server) = request.probed().or_else(|| base.pick_server()) {
        transmit(base, request, server);
    }
}

/// A question was sent often enough without an answer.
fn give_up(base: BasePtr, request: RequestPtr, server: ServerPtr) {
    let probes = request.probed().is_some();
    end(base, request, &Answer::of(code::TIMEOUT), &[]);
    if !probes {
        health::failed(base, server, format_args!("request timed out."));
    }
}

/// A reply has arrived from a server that this question was sent to.
pub(super) fn answered(
    base: BasePtr,
    request: RequestPtr,
    server: ServerPtr,
    verdict: &Verdict,
    message: &[u8],
) {
    match verdict {
        Verdict::Ignore => {}
        Verdict::Truncated if request.probed().is_none() && request.streamed.get() == 0 => {
            health::answered(base, server, None);
            ask_over_stream(base, request, server);
        }
        Verdict::Truncated => {
            health::answered(base, server, request.probed());
            end(base, request, &Answer::of(code::TRUNCATED), &[]);
        }
        Verdict::ServerFailed => server_failed(base, request),
        Verdict::Refused(result) => server_refused(base, request, server, *result),
        Verdict::Final(answer) => {
            health::answered(base, server, request.probed());
            end(base, request, answer, message);
        }
    }
}

/// A server has failed to answer: the next one is asked at once.
fn server_failed(base: BasePtr, request: RequestPtr) {
    base.stop_waiting(request);
    if request.probed().is_some() {
        end(base, request, &Answer::of(code::SERVER_FAILED), &[]);
    } else if may_ask_again(base, request) {
        ask_again(base, request);
    } else if let Some(server) = request.server.get() {
        give_up(base, request, server);
    }
}

/// A server refuses to answer: another one is asked, once, if there is one.
fn server_refused(base: BasePtr, request: RequestPtr, server: ServerPtr, result: c_int) {
    base.stop_waiting(request);
    if request.probed().is_some() || request.reissued.get() {
        end(base, request, &Answer::of(result), &[]);
        return;
    }
    request.reissued.set(true);
    let text = super::error_text(result).to_str().unwrap_or_default();
    health::failed(base, server, format_args!("Bad response {result} ({text})"));
    match base.pick_server().filter(|&other| other != server) {
        Some(other) => {
            transmit(base, request, other);
        }
        None => end(base, request, &Answer::of(result), &[]),
    }
}

/// A question has its result: the next name is tried, or the result reported.
fn end(base: BasePtr, request: RequestPtr, answer: &Answer, message: &[u8]) {
    request.withdraw(base);
    let failed = !matches!(answer.result, code::NONE | code::TIMEOUT);
    if failed && request.ask_next_candidate(base) {
        request.transmissions.set(0);
        request.reissued.set(false);
        request.streamed.set(0);
        request.asked.set(0);
        if submit(base, request).is_ok() {
            return;
        }
    }
    request.complete(answer, message);
}

/// The answer does not fit into a datagram.
pub(super) fn ask_over_stream(base: BasePtr, request: RequestPtr, server: ServerPtr) {
    base.stop_waiting(request);
    request.assign_to(server);
    if request.streamed.get() == MOST_STREAMED || !server.send_over_stream(base, request) {
        end(base, request, &Answer::of(code::TRUNCATED), &[]);
        return;
    }
    request.streamed.set(request.streamed.get() + 1);
    base.wait_for_answer(request);
}

/// The text of errno, valid until the next call.
pub(super) fn system_error() -> &'static str {
    // SAFETY: strerror returns a string that stays until this thread asks for the next.
    unsafe { CStr::from_ptr(libc::strerror(errno())) }
        .to_str()
        .unwrap_or_default()
}
