//! What a reply means for the question that it answers.

use super::code;
use super::wire::{self, Header, Malformed, Reader, Record, flag, record};
use std::ffi::c_int;

/// More addresses than this are not looked at.
pub const MOST_ADDRESSES: usize = 32;

/// What was asked.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// The name in wire form.
    pub name: &'a [u8],
    /// The type of records.
    pub kind: u16,
    /// Whether a name that differs in the case of letters is the same.
    pub ignoring_case: bool,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing: this answers another question.
    Ignore,
    /// Ask over TCP.
    Truncated,
    /// Ask once more: the server has failed.
    ServerFailed,
    /// Ask another server: this one will not answer, for the reason given.
    Refused(c_int),
    /// Report it.
    Final(Answer),
}

/// The result of a look-up and where in the message its data are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// [`code`].
    pub result: c_int,
    /// How many seconds the answer holds.
    pub ttl: c_int,
    /// How many addresses there are.
    pub count: usize,
    /// Where they are.
    pub addresses: [u16; MOST_ADDRESSES],
    /// Where the name is that an address belongs to.
    pub target: Option<u16>,
    /// Where the name is that the asked one is an alias of.
    pub canonical: Option<u16>,
}

impl Answer {
    /// Without data.
    pub const fn of(result: c_int) -> Answer {
        Answer {
            result,
            ttl: 0,
            count: 0,
            addresses: [0; MOST_ADDRESSES],
            target: None,
            canonical: None,
        }
    }
}

/// Bytes of an address in a record of this type.
pub fn address_length(kind: u16) -> usize {
    if kind == record::AAAA { 16 } else { 4 }
}

/// Evaluates a message that has the head of a reply.
pub fn evaluate(message: &[u8], question: Question<'_>) -> Verdict {
    let mut reader = Reader::new(message);
    let Ok(header) = reader.header() else {
        return Verdict::Ignore;
    };
    let result = c_int::from(header.flags & flag::RESULT);
    let truncated = header.flags & flag::TRUNCATED != 0;
    let echo = find_question(&mut reader, &header, question);
    if echo == Ok(Echo::Other) {
        return Verdict::Ignore;
    }
    // Servers that cannot make an answer may leave the question out.
    match result {
        _ if truncated => return Verdict::Truncated,
        code::NONE | code::NOT_EXIST => {}
        code::SERVER_FAILED => return Verdict::ServerFailed,
        code::NOT_IMPLEMENTED | code::REFUSED => return Verdict::Refused(result),
        code::FORMAT => return Verdict::Final(Answer::of(result)),
        _ => return Verdict::Final(Answer::of(code::UNKNOWN)),
    }
    if echo != Ok(Echo::Same) {
        return Verdict::Final(Answer::of(code::UNKNOWN));
    }
    match read_answer(message, reader, &header, question.kind) {
        Ok(answer) => Verdict::Final(answer),
        Err(Malformed) => Verdict::Final(Answer::of(code::UNKNOWN)),
    }
}

/// Which question a reply repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Echo {
    None,
    Same,
    /// The same but for the case of letters, where that counts.
    Similar,
    Other,
}

/// Reads all questions of a reply.
fn find_question(
    reader: &mut Reader<'_>,
    header: &Header,
    question: Question<'_>,
) -> Result<Echo, Malformed> {
    let mut echo = Echo::None;
    for _ in 0..header.counts[0] {
        let (mut exact, mut loose) = (*reader, *reader);
        let same = exact.name_is(question.name, question.ignoring_case)?;
        let similar = same || loose.name_is(question.name, true)?;
        *reader = exact;
        let asked = reader.type_and_class()? == (question.kind, record::INTERNET);
        let this = match (same, similar, asked) {
            (true, _, true) => Echo::Same,
            (_, true, true) => Echo::Similar,
            _ => Echo::Other,
        };
        echo = match (echo, this) {
            (Echo::Same, _) | (_, Echo::Same) => Echo::Same,
            (Echo::Similar, _) | (_, Echo::Similar) => Echo::Similar,
            _ => Echo::Other,
        };
    }
    Ok(echo)
}

/// Reads the records after the questions. Their owner names do not matter, because a server follows
/// aliases itself.
fn read_answer(
    message: &[u8],
    mut reader: Reader<'_>,
    header: &Header,
    kind: u16,
) -> Result<Answer, Malformed> {
    let result = c_int::from(header.flags & flag::RESULT);
    let mut answer = Answer::of(result);
    let mut ttl = None;
    for _ in 0..header.counts[1] {
        let record = reader.record()?;
        if record.class != record::INTERNET {
            continue;
        }
        if record.kind == kind && answer.take(message, &record)? {
            ttl = Some(ttl.unwrap_or(u32::MAX).min(seconds(record.ttl)));
            if answer.count == MOST_ADDRESSES {
                break;
            }
        } else if record.kind == record::CNAME && answer.canonical.is_none() {
            Reader::at(message, record.start).labels(|_| {})?;
            answer.canonical = u16::try_from(record.start).ok();
        }
    }
    if ttl.is_none() {
        answer.result = if result == code::NONE {
            code::NO_DATA
        } else {
            result
        };
        ttl = negative_ttl(message, reader, header.counts[2])?;
    }
    answer.ttl = ttl.unwrap_or(0) as c_int;
    Ok(answer)
}

impl Answer {
    /// Takes the data of a record of the wanted type; whether it counts.
    fn take(&mut self, message: &[u8], record: &Record<'_>) -> Result<bool, Malformed> {
        if record.kind == record::PTR {
            Reader::at(message, record.start).labels(|_| {})?;
            let first = self.target.is_none();
            if first {
                self.target = u16::try_from(record.start).ok();
            }
            return Ok(first);
        }
        let length = address_length(record.kind);
        if record.data.len() % length != 0 {
            return Err(Malformed);
        }
        for place in (0..record.data.len()).step_by(length) {
            if self.count == MOST_ADDRESSES {
                break;
            }
            self.addresses[self.count] =
                u16::try_from(record.start + place).map_err(|_| Malformed)?;
            self.count += 1;
        }
        Ok(true)
    }
}

/// How long the absence of records holds: what the zone's SOA record says.
fn negative_ttl(
    message: &[u8],
    mut reader: Reader<'_>,
    count: u16,
) -> Result<Option<u32>, Malformed> {
    for _ in 0..count {
        let record = reader.record()?;
        if record.kind == record::SOA && record.class == record::INTERNET {
            let minimum = Reader::at(message, record.start).negative_ttl()?;
            return Ok(Some(seconds(record.ttl).min(seconds(minimum))));
        }
    }
    Ok(None)
}

/// A TTL; what looks negative counts as 0.
fn seconds(ttl: u32) -> u32 {
    if ttl > i32::MAX as u32 { 0 } else { ttl }
}

/// The id of a message that is a reply.
pub fn reply_id(message: &[u8]) -> Option<u16> {
    let header = Reader::new(message).header().ok()?;
    (message.len() >= wire::HEADER && header.flags & flag::RESPONSE != 0).then_some(header.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &[u8] = b"\x01a\x02Bc\x00";

    fn reply(flags: u16, counts: [u16; 4], name: &[u8], records: &[u8]) -> Vec<u8> {
        let mut message = vec![0, 1];
        message.extend(flags.to_be_bytes());
        for count in counts {
            message.extend(count.to_be_bytes());
        }
        if counts[0] > 0 {
            message.extend(name);
            message.extend([0, 1, 0, 1]);
        }
        message.extend(records);
        message
    }

    fn of(message: &[u8]) -> Verdict {
        let question = Question {
            name: NAME,
            kind: record::A,
            ignoring_case: false,
        };
        evaluate(message, question)
    }

    fn a_record(owner: u8, kind: u8, ttl: u32, data: &[u8]) -> Vec<u8> {
        let mut record = vec![0xc0, owner, 0, kind, 0, 1];
        record.extend(ttl.to_be_bytes());
        record.extend((data.len() as u16).to_be_bytes());
        record.extend(data);
        record
    }

    #[test]
    fn addresses_are_found_in_any_record_of_their_type() {
        let mut records = a_record(12, 5, 1, b"\x01x\x00");
        records.extend(a_record(14, 1, 9, &[1, 2, 3, 4, 5, 6, 7, 8]));
        records.extend(a_record(12, 28, 2, &[0; 16]));
        let message = reply(0x8180, [1, 3, 0, 0], NAME, &records);
        let Verdict::Final(answer) = of(&message) else {
            panic!("no answer");
        };
        assert_eq!((answer.result, answer.ttl, answer.count), (0, 9, 2));
        let first = usize::from(answer.addresses[0]);
        assert_eq!(message[first..first + 8], [1, 2, 3, 4, 5, 6, 7, 8]);
        let canonical = Reader::at(&message, answer.canonical.unwrap().into()).name();
        assert_eq!(canonical.unwrap().as_bytes(), b"x");
    }

    #[test]
    fn other_questions_are_no_answers() {
        assert_eq!(
            of(&reply(0x8180, [1, 0, 0, 0], b"\x01b\x00", &[])),
            Verdict::Ignore
        );
        let unknown = Verdict::Final(Answer::of(code::UNKNOWN));
        assert_eq!(
            of(&reply(0x8180, [1, 0, 0, 0], b"\x01a\x02bc\x00", &[])),
            unknown
        );
        assert_eq!(of(&reply(0x8180, [0; 4], NAME, &[])), unknown);
        assert_eq!(of(&reply(0x8182, [0; 4], NAME, &[])), Verdict::ServerFailed);
    }

    #[test]
    fn every_cut_and_every_odd_length_is_an_error_at_most() {
        let mut records = a_record(12, 1, 9, &[1, 2, 3, 4]);
        records.extend(a_record(12, 1, 9, &[1, 2, 3]));
        let message = reply(0x8180, [1, 2, 0, 0], NAME, &records);
        let unknown = Verdict::Final(Answer::of(code::UNKNOWN));
        assert_eq!(of(&message), unknown);
        for cut in 12..message.len() {
            assert_eq!(of(&message[..cut]), unknown);
        }
    }
}
