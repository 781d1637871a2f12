//! Which servers answer. One that does not is skipped as long as another does, and is asked now and
//! then for a name that exists, to see whether it is back.

use super::code;
use super::flight;
use super::log;
use super::name_server::ServerPtr;
use super::options::LONGEST_PROBE_PAUSE;
use super::request::{Place, Receiver, RequestPtr, Wanted};
use super::resolver::{BasePtr, Hold};
use super::wire::record;
use crate::base::Guard;
use crate::base::pending::Blocking;
use crate::hooks::log::Severity;
use crate::timers::{Microseconds, time};
use std::ffi::{c_int, c_short, c_void};
use std::fmt;

/// A name that exists.
const PROBED_NAME: &[u8] = b"google.com";
/// Each pause between probes is this many times as long as the one before.
const PAUSE_GROWS: i64 = 3;

/// A server does not do its work.
pub fn failed(base: BasePtr, server: ServerPtr, reason: fmt::Arguments<'_>) {
    if !server.up.replace(false) {
        return;
    }
    log::message(
        Severity::Message,
        format_args!("Nameserver {} has failed: {reason}", server.text()),
    );
    if !(0..base.server_count()).any(|i| base.server(i).is_some_and(|server| server.up.get())) {
        log::message(
            Severity::Message,
            format_args!("All nameservers have failed"),
        );
    }
    server.failed_probes.set(0);
    schedule_probe(base, server);
    flight::move_unsent(base, server);
}

/// The system refuses to reach a server; errno says why.
pub fn failed_by_system(base: BasePtr, server: ServerPtr) {
    failed(base, server, format_args!("{}", flight::system_error()));
}

/// A server has answered a question, or this probe.
pub fn answered(base: BasePtr, server: ServerPtr, probe: Option<ServerPtr>) {
    server.silent.set(0);
    if server.up.replace(true) {
        return;
    }
    log::message(
        Severity::Message,
        format_args!("Nameserver {} is back up", server.text()),
    );
    // SAFETY: the loop's base outlives the resolver. A refusal was logged; the timer is off.
    let _ = unsafe { Guard::lock(base.event_base) }.delete(server.probe_timer(), Blocking::No);
    if probe.is_none() {
        if let Some(probe) = server.probe.get() {
            probe.withdraw(base);
            probe.forget();
        }
    }
}

/// A probe has ended. If its server answered at all, it is marked as up already.
pub fn probed(server: ServerPtr, result: c_int) {
    server.probe.set(None);
    // SAFETY: servers live as long as they are part of their resolver.
    let base = unsafe { server.base() };
    let silent = matches!(
        result,
        code::TIMEOUT | code::SERVER_FAILED | code::NOT_IMPLEMENTED | code::REFUSED
    );
    if silent && !server.up.get() {
        server
            .failed_probes
            .set(server.failed_probes.get().saturating_add(1));
        schedule_probe(base, server);
    }
}

/// Sets the timer for the next probe.
fn schedule_probe(base: BasePtr, server: ServerPtr) {
    let mut pause = base.options.first_probe_pause.get();
    for _ in 0..server.failed_probes.get() {
        pause = (pause * PAUSE_GROWS).min(LONGEST_PROBE_PAUSE);
        if pause == LONGEST_PROBE_PAUSE {
            break;
        }
    }
    wait(base, server, pause);
}

/// Sets the timer of a server that has failed: for the next probe, or the end of the one under way.
/// Without a timer the server is asked when no other is up, which then shows that it is back.
pub(super) fn wait(base: BasePtr, server: ServerPtr, pause: Microseconds) {
    let pause = time::to_timeval(pause);
    // SAFETY: the loop's base outlives the resolver.
    let _ = unsafe { Guard::lock(base.event_base) }.add(server.probe_timer(), Some(&pause));
}

/// Runs when a server that has failed is to be tried, or has not answered.
///
/// # Safety
/// The argument is a server whose memory is there.
pub unsafe extern "C-unwind" fn probe_is_due(_: c_int, _: c_short, server: *mut c_void) {
    // SAFETY: the memory of the server stays until this function has returned.
    unsafe {
        let Some(server) = ServerPtr::new(server.cast()) else {
            return;
        };
        let Some(hold) = Hold::enter(server.base().as_ptr()) else {
            return;
        };
        if server.removed.get() || server.up.get() {
            return;
        }
        match server.probe.get() {
            None => probe(*hold, server),
            Some(request) if request.place.get() == Place::Sent => flight::expire(*hold, request),
            Some(_) => {}
        }
    }
}

fn probe(base: BasePtr, server: ServerPtr) {
    let wanted = Wanted {
        name: PROBED_NAME,
        kind: record::A,
        search: None,
        receiver: Receiver::Probe(server),
    };
    let request = RequestPtr::create(base, &wanted);
    match request.filter(|_| base.reserve().is_ok()) {
        Some(request) => {
            server.probe.set(Some(request));
            flight::launch_at(base, request, server);
        }
        None => {
            if let Some(request) = request {
                request.free();
            }
            schedule_probe(base, server);
        }
    }
}
