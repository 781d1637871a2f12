//! Reading a message: its head, and its body, piece by piece as it comes in.

use super::connection::{ChunkPart, ConnectionPtr, State};
use super::framing::Framing;
use super::parser::{self, Fault, Progress};
use super::request::RequestPtr;
use super::{client, incoming};
use crate::buffer::Guard as BufferGuard;

/// What follows the head of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// The body.
    Body,
    /// Nothing.
    Nothing,
    /// Another head: this one was of an interim reply.
    AnotherHead,
    /// Something has to be written first.
    Pause,
}

/// Less than this is copied out of the input, so that bytes that arrive one by one lie close
/// together.
const SHORT_PIECE: usize = 1024;

impl ConnectionPtr {
    /// Continues reading with what has arrived. The caller has a pin.
    pub(super) fn read_message(self, request: RequestPtr) -> Result<Progress, Fault> {
        loop {
            let Some(input) = self.input() else {
                return Err(Fault::Ended);
            };
            let progress = match self.state.get() {
                State::FirstLine | State::Headers => match self.read_head(request, &input)? {
                    Some(After::Nothing) => return Ok(Progress::Done),
                    Some(After::Pause) | None => Progress::More,
                    Some(_) => Progress::Done,
                },
                State::Body => match self.read_body(request, &input)? {
                    Progress::Done if self.state.get() == State::Body => {
                        return Ok(Progress::Done);
                    }
                    progress => progress,
                },
                State::Trailer => return self.read_trailer(request, &input),
                State::Discarding => return self.discard(request, &input),
                _ => Progress::More,
            };
            if progress == Progress::More {
                return Ok(Progress::More);
            }
        }
    }

    fn read_head(self, request: RequestPtr, input: &BufferGuard) -> Result<Option<After>, Fault> {
        let mut head = self.head.get();
        let limit = self.most_headers.get();
        let mut begun = self.state.get() == State::Headers;
        let progress = parser::read_head(request, input, &mut head, &mut begun, limit);
        self.head.set(head);
        if begun {
            self.state.set(State::Headers);
        }
        if progress? == Progress::More {
            return Ok(None);
        }
        let after = if self.is_incoming() {
            incoming::handle_head(self, request)?
        } else {
            client::handle_head(self, request)?
        };
        match after {
            After::AnotherHead => self.begin_message(),
            After::Body if self.state.get() == State::Headers => self.state.set(State::Body),
            _ => {}
        }
        Ok(Some(after))
    }

    #[inline(never)]
    fn read_trailer(self, request: RequestPtr, input: &BufferGuard) -> Result<Progress, Fault> {
        let mut head = self.head.get();
        let limit = self.most_headers.get();
        let progress = parser::read_trailer(request, input, &mut head, limit);
        self.head.set(head);
        progress
    }

    #[inline(never)]
    fn read_body(self, request: RequestPtr, input: &BufferGuard) -> Result<Progress, Fault> {
        match self.framing.get() {
            Framing::Empty => Ok(Progress::Done),
            Framing::Length(_) => self.read_counted(request, input),
            Framing::Chunked => self.read_chunks(request, input),
            Framing::UntilClose => {
                self.check_body(request, input.length() as i64)?;
                let taken = take_body(request, input, i64::MAX)?;
                if taken > 0 {
                    self.deliver(request)?;
                }
                Ok(Progress::More)
            }
        }
    }

    fn read_counted(self, request: RequestPtr, input: &BufferGuard) -> Result<Progress, Fault> {
        let wanted = request.ntoread.get();
        // A client may have a callback for each piece, which shall not be larger than it was.
        let in_large_pieces = self.is_incoming() && request.chunk_cb.get().is_none();
        let portion = match in_large_pieces {
            true => self.portion(input, request.body_size.get(), wanted),
            false => wanted,
        };
        if portion == 0 && wanted > 0 {
            return Ok(Progress::More);
        }
        let taken = take_body(request, input, portion)?;
        let missing = wanted - taken;
        request.ntoread.set(missing);
        if in_large_pieces {
            self.read_in_pieces_for(missing);
            self.make_room_for_stretch(request.body_size.get(), missing);
        }
        if taken > 0 {
            self.deliver(request)?;
        }
        Ok(if missing > 0 {
            Progress::More
        } else {
            Progress::Done
        })
    }

    /// Goes from chunk to chunk, and after the last one to the trailer.
    fn read_chunks(self, request: RequestPtr, input: &BufferGuard) -> Result<Progress, Fault> {
        loop {
            match self.chunk_part.get() {
                ChunkPart::Size => {
                    let Some(size) = parser::read_chunk_size(input)? else {
                        return Ok(Progress::More);
                    };
                    if size == 0 {
                        request.ntoread.set(0);
                        self.state.set(State::Trailer);
                        return Ok(Progress::Done);
                    }
                    self.check_body(request, size)?;
                    request.ntoread.set(size);
                    self.chunk_part.set(ChunkPart::Data);
                }
                ChunkPart::Data => {
                    let wanted = request.ntoread.get();
                    let missing = wanted - take_body(request, input, wanted)?;
                    request.ntoread.set(missing);
                    if missing > 0 {
                        return Ok(Progress::More);
                    }
                    request.ntoread.set(-1);
                    self.chunk_part.set(ChunkPart::End);
                    self.deliver(request)?;
                }
                ChunkPart::End => {
                    if parser::read_chunk_end(input)? == Progress::More {
                        return Ok(Progress::More);
                    }
                    self.chunk_part.set(ChunkPart::Size);
                }
            }
        }
    }

    /// Refuses a body that grows beyond what is allowed.
    pub(super) fn check_body(self, request: RequestPtr, more: i64) -> Result<(), Fault> {
        let size = (request.body_size.get() as u64).saturating_add(more as u64);
        if size > self.most_body.get() {
            return Err(Fault::BodyTooLong);
        }
        Ok(())
    }

    /// Discards what the peer still sends of a body that is too long.
    #[inline(never)]
    fn discard(self, request: RequestPtr, input: &BufferGuard) -> Result<Progress, Fault> {
        let wanted = request.ntoread.get();
        let count = (input.length() as u64).min(wanted as u64) as usize;
        // The front of an input is not frozen.
        let _ = input.drain(count);
        request.ntoread.set(wanted - count as i64);
        if request.ntoread.get() > 0 {
            return Ok(Progress::More);
        }
        Err(Fault::BodyTooLong)
    }

    /// Passes what has arrived of the body to the program, if it wants to see it piece by piece.
    fn deliver(self, request: RequestPtr) -> Result<(), Fault> {
        let Some(callback) = request.chunk_cb.get() else {
            return Ok(());
        };
        /// What a function has seen that throws is not shown again.
        struct Seen(RequestPtr);
        impl Drop for Seen {
            fn drop(&mut self) {
                let rest = self.0.input();
                let _ = rest.drain(rest.length());
            }
        }
        let argument = request.cb_arg.get();
        let unfinished = self.unfinished(0);
        let ((), alive) = request.call(|pointer| {
            let seen = Seen(request);
            // SAFETY: the program set this function for the request.
            unsafe { callback(pointer, argument) };
            std::mem::forget(seen);
        });
        unfinished.finish();
        if alive.is_none() || self.is_freed() || self.current() != alive {
            return Err(Fault::Ended);
        }
        drop(Seen(request));
        Ok(())
    }
}

/// Moves up to that many bytes of a body to the request. Returns how many.
fn take_body(request: RequestPtr, input: &BufferGuard, wanted: i64) -> Result<i64, Fault> {
    let count = (input.length() as u64).min(wanted as u64) as usize;
    if count == 0 {
        return Ok(0);
    }
    let body = request.input();
    let taken = if count <= SHORT_PIECE && body.length() > 0 {
        let bytes = input.pull_up(Some(count)).map_err(|_| Fault::Memory)?;
        // SAFETY: so many bytes lie there, in another buffer.
        unsafe { body.append(bytes, count) }.map_err(|_| Fault::Memory)?;
        // The front of an input is not frozen.
        let _ = input.drain(count);
        count
    } else {
        let taken = input.move_to(&body, count).map_err(|_| Fault::Memory)?;
        if taken < count {
            return Err(Fault::Memory);
        }
        taken
    };
    request.body_size.set(request.body_size.get() + taken);
    Ok(taken as i64)
}
