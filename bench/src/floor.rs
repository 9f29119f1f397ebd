//! The floor under every figure: a program that reads frames off a unix socket
//! and answers each with constant bytes. No runner on this machine and this
//! runtime can be cheaper; what one costs beyond it is what it does.
//!
//! It does not look at what it reads, with one exception: a call's number is
//! copied into the reply, because the driver holds every runner to that. That
//! is four reads at known places, and nothing is verified.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::{UnixListener, UnixStream};

const HEADER: usize = 4;

/// Grows where a request is larger.
const INBOX: usize = 16 * 1024;

const PREPARE_CONF: u8 = 1;

/// `PrepareConf.Resp` with token 1: where the table is, its fields, the table.
const TOKEN_REPLY: [u8; 24] = [
    1, 0, 0, 20, 12, 0, 0, 0, 0, 0, 6, 0, 8, 0, 4, 0, 6, 0, 0, 0, 1, 0, 0, 0,
];

/// `HTTPReqCall.Resp` without an action, in the same form; ends with the number.
const CALL_REPLY: [u8; 24] = [
    2, 0, 0, 20, 12, 0, 0, 0, 0, 0, 6, 0, 8, 0, 4, 0, 6, 0, 0, 0, 0, 0, 0, 0,
];

#[tokio::main]
async fn main() -> io::Result<()> {
    let Some(path) = std::env::args_os().nth(1) else {
        return Err(io::Error::other("usage: floor SOCKET"));
    };
    let listener = UnixListener::bind(path)?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            // The driver is gone then.
            let _ = serve(stream).await;
        });
    }
}

async fn serve(mut stream: UnixStream) -> io::Result<()> {
    let mut inbox = vec![0; INBOX];
    let mut filled = 0;
    loop {
        while let Some(length) = whole_frame(&inbox[..filled]) {
            answer(&stream, &inbox[..length]).await?;
            inbox.copy_within(length..filled, 0);
            filled -= length;
        }
        if filled == inbox.len() {
            inbox.resize(filled * 2, 0);
        }
        match read_some(&mut stream, &mut inbox[filled..]).await? {
            0 => return Ok(()),
            read => filled += read,
        }
    }
}

/// Not `try_read`: this one knows that a short read has emptied the socket, and
/// saves the read that would say so.
async fn read_some(stream: &mut UnixStream, room: &mut [u8]) -> io::Result<usize> {
    poll_fn(|context| {
        let mut room = ReadBuf::new(room);
        Pin::new(&mut *stream)
            .poll_read(context, &mut room)
            .map_ok(|()| room.filled().len())
    })
    .await
}

fn whole_frame(inbox: &[u8]) -> Option<usize> {
    let [_, high, middle, low] = *inbox.first_chunk::<HEADER>()?;
    let length = HEADER + u32::from_be_bytes([0, high, middle, low]) as usize;
    (inbox.len() >= length).then_some(length)
}

async fn answer(stream: &UnixStream, frame: &[u8]) -> io::Result<()> {
    let reply = match frame[0] {
        PREPARE_CONF => TOKEN_REPLY,
        _ => {
            let mut reply = CALL_REPLY;
            reply[20..].copy_from_slice(&number(&frame[HEADER..]).unwrap_or_default());
            reply
        }
    };
    loop {
        match stream.try_write(&reply) {
            Ok(written) if written == reply.len() => return Ok(()),
            Ok(_) => return Err(io::ErrorKind::WriteZero.into()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => stream.writable().await?,
            Err(error) => return Err(error),
        }
    }
}

/// The first field of the root table: the call's number.
fn number(payload: &[u8]) -> Option<[u8; 4]> {
    let table = u32::from_le_bytes(*payload.first_chunk()?) as usize;
    let back = i32::from_le_bytes(*payload.get(table..)?.first_chunk()?);
    let fields = usize::try_from(i64::try_from(table).ok()? - i64::from(back)).ok()?;
    let field = u16::from_le_bytes(*payload.get(fields + 4..)?.first_chunk()?);
    match field {
        0 => None,
        field => payload
            .get(table + usize::from(field)..)?
            .first_chunk()
            .copied(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::Frame;
    use protocol::gateway_side::{HttpAction, HttpReqCall, Reply, decode_reply};

    fn decoded(frame: &[u8]) -> Reply {
        let frame = Frame {
            rpc_type: frame[0],
            payload: bytes::Bytes::copy_from_slice(&frame[HEADER..]),
        };
        decode_reply(frame).expect("a reply")
    }

    #[test]
    fn the_constant_replies_should_be_right_ones() {
        assert_eq!(decoded(&TOKEN_REPLY), Reply::PrepareConf { conf_token: 1 });
        let expected = Reply::HttpReqCall {
            id: 0,
            action: HttpAction::None,
        };
        assert_eq!(decoded(&CALL_REPLY), expected);
    }

    #[test]
    fn the_number_of_a_call_should_be_found() {
        let call = HttpReqCall {
            id: 77,
            path: b"/",
            conf_token: 1,
            ..HttpReqCall::default()
        };
        let mut builder = protocol::FrameBuilder::new();
        let frame = call.encode(&mut builder).expect("a frame");
        assert_eq!(number(&frame[HEADER..]), Some(77_u32.to_le_bytes()));
        for torn in 0..frame.len() - HEADER {
            // Nothing to be said, but no panic.
            let _ = number(&frame[HEADER..HEADER + torn]);
        }
    }
}
