//! What crosses the borders between the runner, the launcher and a compiler: a
//! request and its answer on a socket of their own, and that socket itself with
//! whose it is and what it may cost.
//!
//! A request is a byte of flags, the length of a component as eight bytes, and
//! the component. An answer comes in parts, each a byte of kind, its length as
//! four bytes, and as many bytes; the last part says how it ended. So whoever
//! passes parts on can still say that no more will come.
//!
//! Must not know who is at which end.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use sandbox::{CompileJob, Shape, Target};

use super::CompileLimits;

/// Bytes of the longest part.
const PART: usize = 256 << 10;

/// Bytes before a component, and before a part.
const REQUEST_HEAD: usize = 9;
const PART_HEAD: usize = 5;

/// Bytes of the longest component: far more than a module may have
/// (`limits.module_mib`), with the memory that a captured one carries.
const LONGEST: u64 = 4 << 30;

/// Bytes of an order before the tenant's name, and of the name.
const ORDER_HEAD: usize = 20;
const LONGEST_NAME: usize = 1024;

const COUNTS_INSTRUCTIONS: u8 = 1;
const IS_SHORT: u8 = 2;
const WITHOUT_SHIM: u8 = 4;

/// Whose a request is, and what answering it may cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) limits: CompileLimits,
    pub(super) tenant: Vec<u8>,
}

/// What is asked of a compiler.
pub(super) struct Request {
    pub(super) target: Target,
    pub(super) shape: Shape,
    pub(super) wasm: Vec<u8>,
}

/// A piece of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// Some of the code.
    Code(Vec<u8>),
    /// That was all of it.
    Done,
    /// There is no code, for this reason.
    Failed(Failure, String),
}

/// Why there is no code, as a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    Refused = 2,
    TooSlow = 3,
    TooMuchMemory = 4,
    Crashed = 5,
    Killed = 6,
    NotNow = 7,
}

const FAILURES: [Failure; 6] = [
    Failure::Refused,
    Failure::TooSlow,
    Failure::TooMuchMemory,
    Failure::Crashed,
    Failure::Killed,
    Failure::NotNow,
];

const CODE: u8 = 0;
const DONE: u8 = 1;

/// Sends the socket on which a request comes and its answer goes.
///
/// # Errors
/// The system's.
pub(super) fn hand_over(to: impl AsFd, order: &Order, socket: &UnixStream) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let sockets = [socket.as_fd()];
    if !control.push(SendAncillaryMessage::ScmRights(&sockets)) {
        return Err(io::Error::other("no room for a descriptor"));
    }
    let bytes = order.to_bytes();
    let bytes = [IoSlice::new(&bytes)];
    sendmsg(to, &bytes, &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

impl Order {
    fn to_bytes(&self) -> Vec<u8> {
        let CompileLimits {
            time,
            memory,
            niceness,
        } = self.limits;
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let mut bytes = millis.to_le_bytes().to_vec();
        bytes.extend((memory as u64).to_le_bytes());
        bytes.extend(niceness.to_le_bytes());
        bytes.extend(&self.tenant);
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (millis, rest) = bytes.split_first_chunk()?;
        let (memory, rest) = rest.split_first_chunk()?;
        let (niceness, tenant) = rest.split_first_chunk()?;
        let limits = CompileLimits {
            time: Duration::from_millis(u64::from_le_bytes(*millis)),
            memory: usize::try_from(u64::from_le_bytes(*memory)).ok()?,
            niceness: i32::from_le_bytes(*niceness),
        };
        Some(Order {
            limits,
            tenant: tenant.to_vec(),
        })
    }
}

/// Receives what [`hand_over`] sent. `None` where nobody is left to send.
///
/// # Errors
/// The system's.
pub(super) fn take_over(from: impl AsFd) -> io::Result<Option<(Order, UnixStream)>> {
    let mut bytes = vec![0; ORDER_HEAD + LONGEST_NAME];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(&mut bytes)];
    let flags = RecvFlags::CMSG_CLOEXEC;
    let received = match recvmsg(from, &mut parts, &mut control, flags) {
        Ok(received) if received.bytes > 0 => received.bytes,
        Ok(_) => return Ok(None),
        Err(rustix::io::Errno::CONNRESET) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut socket = None;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(sockets) = message {
            socket = sockets.last().or(socket);
        }
    }
    let no_socket = || io::Error::new(ErrorKind::OutOfMemory, "a request came without its socket");
    let socket: OwnedFd = socket.ok_or_else(no_socket)?;
    let order = Order::from_bytes(&bytes[..received]).ok_or(ErrorKind::InvalidData)?;
    Ok(Some((order, socket.into())))
}

/// # Errors
/// The system's.
pub(super) fn write_request(to: &mut impl Write, job: &CompileJob<'_>) -> io::Result<()> {
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    let flags = flag(job.target.counts_instructions, COUNTS_INSTRUCTIONS)
        | flag(job.target.is_short, IS_SHORT)
        | flag(job.shape == Shape::WithoutShim, WITHOUT_SHIM);
    to.write_all(&[flags])?;
    to.write_all(&(job.wasm.len() as u64).to_le_bytes())?;
    to.write_all(job.wasm)
}

/// `None` where nobody is left to ask.
///
/// # Errors
/// The system's, and where what comes is no request.
pub(super) fn read_request(from: &mut impl Read) -> io::Result<Option<Request>> {
    let Some((head, length)) = read_request_head(from)? else {
        return Ok(None);
    };
    let mut wasm = Vec::new();
    if from.take(length).read_to_end(&mut wasm)? as u64 != length {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    let has = |flag| head[0] & flag != 0;
    let shape = match has(WITHOUT_SHIM) {
        true => Shape::WithoutShim,
        false => Shape::AsItIs,
    };
    let target = Target {
        counts_instructions: has(COUNTS_INSTRUCTIONS),
        is_short: has(IS_SHORT),
    };
    Ok(Some(Request {
        target,
        shape,
        wasm,
    }))
}

/// Passes a request on as it comes.
///
/// # Errors
/// First those of the way in, then of the way out.
pub(super) fn pass_request_on(
    from: &mut impl Read,
    to: &mut impl Write,
) -> io::Result<Result<(), io::Error>> {
    let Some((head, mut left)) = read_request_head(from)? else {
        return Err(ErrorKind::UnexpectedEof.into());
    };
    if let Err(error) = to.write_all(&head) {
        return Ok(Err(error));
    }
    let mut chunk = vec![0; PART];
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(PART).min(PART);
        let read = from.read(&mut chunk[..most])?;
        if read == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if let Err(error) = to.write_all(&chunk[..read]) {
            return Ok(Err(error));
        }
        left -= read as u64;
    }
    Ok(Ok(()))
}

fn read_request_head(from: &mut impl Read) -> io::Result<Option<([u8; REQUEST_HEAD], u64)>> {
    let mut head = [0; REQUEST_HEAD];
    if from.read(&mut head[..1])? == 0 {
        return Ok(None);
    }
    from.read_exact(&mut head[1..])?;
    let [_, length @ ..] = head;
    match u64::from_le_bytes(length) {
        length @ ..=LONGEST => Ok(Some((head, length))),
        _ => Err(ErrorKind::InvalidData.into()),
    }
}

/// Writes code in parts, and that it is whole.
///
/// # Errors
/// The system's.
pub(super) fn write_code(to: &mut impl Write, code: &[u8]) -> io::Result<()> {
    for part in code.chunks(PART) {
        write_bytes(to, CODE, part)?;
    }
    write_bytes(to, DONE, &[])
}

/// # Errors
/// The system's.
pub(super) fn write_part(to: &mut impl Write, part: &Part) -> io::Result<()> {
    match part {
        Part::Code(code) => write_bytes(to, CODE, code),
        Part::Done => write_bytes(to, DONE, &[]),
        Part::Failed(failure, text) => {
            let end = text.floor_char_boundary(PART);
            write_bytes(to, *failure as u8, &text.as_bytes()[..end])
        }
    }
}

/// At most [`PART`] bytes.
fn write_bytes(to: &mut impl Write, kind: u8, bytes: &[u8]) -> io::Result<()> {
    let [a, b, c, d] = u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
    to.write_all(&[kind, a, b, c, d])?;
    to.write_all(bytes)
}

/// # Errors
/// The system's, and where what comes is no part.
pub(super) fn read_part(from: &mut impl Read) -> io::Result<Part> {
    let mut head = [0; PART_HEAD];
    from.read_exact(&mut head)?;
    let [kind, length @ ..] = head;
    let length = u32::from_le_bytes(length) as usize;
    if length > PART {
        return Err(ErrorKind::InvalidData.into());
    }
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes)?;
    match kind {
        CODE => Ok(Part::Code(bytes)),
        DONE => Ok(Part::Done),
        kind => {
            let failure = FAILURES.into_iter().find(|known| *known as u8 == kind);
            let failure = failure.ok_or(ErrorKind::InvalidData)?;
            let text = String::from_utf8_lossy(&bytes).into_owned();
            Ok(Part::Failed(failure, text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_should_come_as_it_was_sent_however_it_is_passed_on() {
        let long = vec![7; 3 * PART + 1];
        for (wasm, shape, counts_instructions, is_short) in [
            (&b""[..], Shape::AsItIs, false, false),
            (b"\0asm", Shape::WithoutShim, true, false),
            (&long, Shape::AsItIs, false, true),
        ] {
            let target = Target {
                counts_instructions,
                is_short,
            };
            let job = CompileJob {
                wasm,
                shape,
                target,
            };
            let (mut sent, mut passed_on) = (Vec::new(), Vec::new());
            write_request(&mut sent, &job).expect("written");
            let passed = pass_request_on(&mut &sent[..], &mut passed_on);
            passed.expect("read").expect("written");
            assert_eq!(sent, passed_on);
            let request = read_request(&mut &sent[..]).expect("read").expect("one");
            assert_eq!((request.target, request.shape), (target, shape));
            assert!(request.wasm == wasm);
            for cut in [1, 8, sent.len() - 1] {
                let cut = &sent[..cut.min(sent.len() - 1)];
                assert!(read_request(&mut &*cut).is_err());
                assert!(pass_request_on(&mut &*cut, &mut Vec::new()).is_err());
            }
        }
        assert!(read_request(&mut &b""[..]).expect("read").is_none());
        let too_long = [0, 1, 0, 0, 0, 1, 0, 0, 0];
        assert!(read_request(&mut &too_long[..]).is_err());
    }

    #[test]
    fn an_answer_should_come_in_parts_and_with_its_end() {
        let code = vec![3; 2 * PART + 5];
        let mut sent = Vec::new();
        write_code(&mut sent, &code).expect("written");
        let (mut rest, mut came) = (&sent[..], Vec::new());
        loop {
            match read_part(&mut rest).expect("a part") {
                Part::Code(part) => came.extend(part),
                other => break assert_eq!(other, Part::Done),
            }
        }
        assert!(came == code && rest.is_empty());
        for failure in FAILURES {
            let part = Part::Failed(failure, "why".into());
            let mut sent = Vec::new();
            write_part(&mut sent, &part).expect("written");
            assert_eq!(read_part(&mut &sent[..]).expect("a part"), part);
            assert!(read_part(&mut &sent[..sent.len() - 1]).is_err());
        }
        for nonsense in [[9, 0, 0, 0, 0], [0, 0, 0, 0, 1]] {
            assert!(read_part(&mut &nonsense[..]).is_err());
        }
    }

    #[test]
    fn a_socket_should_change_hands_with_its_order() {
        let (ours, theirs) = super::super::launcher_socket().expect("a socket");
        let (mut near, far) = UnixStream::pair().expect("a socket");
        let order = Order {
            limits: CompileLimits {
                time: Duration::from_millis(1500),
                memory: 3 << 30,
                niceness: 7,
            },
            tenant: b"a tenant".to_vec(),
        };
        hand_over(&ours, &order, &far).expect("sent");
        drop((far, ours));
        let (came, mut socket) = take_over(&theirs).expect("received").expect("one");
        assert_eq!(came, order);
        near.write_all(b"x").expect("written");
        socket.read_exact(&mut [0]).expect("read");
        assert!(take_over(&theirs).expect("received").is_none());
    }
}
