//! The gateway's end of one connection, for what `runner bench` does not do:
//! many configurations, the first answer of a process, single calls.
//!
//! Must not know what is measured with it.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::BytesMut;
use protocol::gateway_side::{
    HttpReqCall, PrepareConf, RepeatedCall, Reply, decode_reply, encode_answer,
};
use protocol::{Entry, FrameBuilder, frame};

/// As long the gateway waits.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection.
#[derive(Debug)]
pub(crate) struct Gateway {
    stream: UnixStream,
    inbox: BytesMut,
    builder: FrameBuilder,
}

impl Gateway {
    /// Connects.
    pub(crate) fn connect(socket: &Path) -> Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream,
            inbox: BytesMut::new(),
            builder: FrameBuilder::new(),
        })
    }

    /// The token for a plugin with a configuration.
    pub(crate) fn prepare(&mut self, plugin: &str, conf: &str) -> Result<u32> {
        let request = PrepareConf {
            key: Some(b"route#1#ext-plugin-pre-req#1"),
            conf: &[Entry::new(plugin, conf)],
        };
        self.stream.write_all(request.encode(&mut self.builder)?)?;
        match self.receive()? {
            Reply::PrepareConf { conf_token } => Ok(conf_token),
            other => bail!("{other:?} instead of a token"),
        }
    }

    /// Sends a call and waits until it is answered rightly.
    pub(crate) fn call(&mut self, call: &RepeatedCall) -> Result<()> {
        self.stream.write_all(call.frame())?;
        loop {
            match self.receive()? {
                Reply::HttpReqCall { .. } => return Ok(()),
                Reply::ExtraInfo(_) => {
                    let answer = encode_answer(&mut self.builder, None)?;
                    self.stream.write_all(answer)?;
                }
                other => bail!("{other:?} instead of a reply"),
            }
        }
    }

    fn receive(&mut self) -> Result<Reply> {
        loop {
            if let Some(frame) = frame::decode(&mut self.inbox)? {
                return Ok(decode_reply(frame)?);
            }
            let mut chunk = [0; 16 * 1024];
            match self.stream.read(&mut chunk).context("no reply")? {
                0 => bail!("the connection was closed"),
                read => self.inbox.extend_from_slice(&chunk[..read]),
            }
        }
    }
}

/// A small call with this token.
pub(crate) fn small_call(conf_token: u32) -> Result<RepeatedCall> {
    let headers = [
        Entry::new("host", "shop.example.com"),
        Entry::new("accept", "*/*"),
        Entry::new("user-agent", "curl/8.14.1"),
    ];
    let mut call = RepeatedCall::new(&HttpReqCall {
        src_ip: &[203, 0, 113, 24],
        path: b"/catalogue/shoes",
        headers: &headers,
        ..HttpReqCall::default()
    })?;
    call.set_conf_token(conf_token);
    Ok(call)
}
