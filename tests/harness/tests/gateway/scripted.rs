//! A runner that says what a test tells it to say.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::BytesMut;
use harness::{RouteConf, TestGateway};
use protocol::gateway_side::decode_error_code;
use protocol::http_req_call::{self, Action};
use protocol::{
    Frame, FrameBuilder, RpcType, err_resp, extra_info, frame, http_resp_call, prepare_conf,
};
use tempfile::TempDir;

/// What the runner does next.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Write these bytes.
    Send(Vec<u8>),
    /// Write a question and keep its answer.
    Ask(Vec<u8>),
    /// Close the connection.
    Close,
    /// Let time pass.
    Wait(Duration),
}

type Script = dyn Fn(&Frame) -> Vec<Step> + Send + Sync;

pub(crate) struct ScriptedRunner {
    directory: TempDir,
    seen: Arc<Mutex<Vec<(usize, Frame)>>>,
}

impl ScriptedRunner {
    /// `script` is asked what to do with each call.
    pub(crate) fn start(script: impl Fn(&Frame) -> Vec<Step> + Send + Sync + 'static) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let listener = UnixListener::bind(socket_in(&directory)).expect("a socket");
        let seen = Arc::default();
        let (script, log): (Arc<Script>, _) = (Arc::new(script), Arc::clone(&seen));
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let (script, log) = (Arc::clone(&script), Arc::clone(&log));
                let stream = stream.expect("a connection");
                std::thread::spawn(move || serve(stream, number, &*script, &log));
            }
        });
        Self { directory, seen }
    }

    /// A runner that gives token 1 and does `steps` in every call.
    pub(crate) fn doing(steps: Vec<Step>) -> Self {
        Self::start(move |frame| match frame.known_type() {
            Some(RpcType::PrepareConf) => prepared(1),
            _ => steps.clone(),
        })
    }

    pub(crate) fn gateway(&self) -> TestGateway {
        TestGateway::new(socket_in(&self.directory)).read_timeout(Duration::from_secs(10))
    }

    /// Connection and type of each frame it was sent, answers included.
    pub(crate) fn seen(&self) -> Vec<(usize, u8)> {
        self.frames()
            .iter()
            .map(|(connection, frame)| (*connection, frame.rpc_type))
            .collect()
    }

    pub(crate) fn frames(&self) -> Vec<(usize, Frame)> {
        self.seen.lock().expect("no panic").clone()
    }

    /// What the gateway answered to the questions, in order.
    pub(crate) fn answers(&self) -> Vec<Option<Vec<u8>>> {
        let answers = self
            .frames()
            .into_iter()
            .filter(|(_, frame)| frame.rpc_type == 3);
        let decode = |frame: Frame| extra_info::decode_answer(frame.payload).expect("an answer");
        answers
            .map(|(_, frame)| decode(frame).map(Vec::from))
            .collect()
    }
}

pub(crate) fn route() -> RouteConf {
    RouteConf::new("route#1#ext-plugin-pre-req#1").plugin("any", "{}")
}

pub(crate) fn prepared(token: u32) -> Vec<Step> {
    let mut frame = FrameBuilder::new();
    vec![Step::Send(
        prepare_conf::encode_reply(&mut frame, token)
            .expect("small")
            .to_vec(),
    )]
}

pub(crate) fn refuse(code: err_resp::Code) -> Step {
    Step::Send(
        err_resp::encode(&mut FrameBuilder::new(), code)
            .expect("small")
            .to_vec(),
    )
}

pub(crate) fn act(action: Action<'_>) -> Step {
    let mut frame = FrameBuilder::new();
    Step::Send(
        http_req_call::encode_reply(&mut frame, 0, action)
            .expect("allowed")
            .to_vec(),
    )
}

pub(crate) fn edit(edits: &http_resp_call::Edits<'_>) -> Step {
    let mut frame = FrameBuilder::new();
    Step::Send(
        http_resp_call::encode_reply(&mut frame, 0, edits)
            .expect("allowed")
            .to_vec(),
    )
}

pub(crate) fn ask(question: extra_info::Question<'_>) -> Step {
    let mut frame = FrameBuilder::new();
    Step::Ask(
        extra_info::encode_question(&mut frame, question)
            .expect("small")
            .to_vec(),
    )
}

/// An error code in a frame of another type, as some runners send it.
pub(crate) fn disguised_error(code: err_resp::Code, rpc_type: RpcType) -> Step {
    let Step::Send(mut bytes) = refuse(code) else {
        unreachable!()
    };
    bytes[0] = rpc_type.byte();
    let payload = bytes[frame::HEADER_LEN..].to_vec();
    assert_eq!(decode_error_code(payload.into()), Ok(code as u8));
    Step::Send(bytes)
}

fn serve(
    mut stream: UnixStream,
    number: usize,
    script: &Script,
    seen: &Mutex<Vec<(usize, Frame)>>,
) {
    let mut buffer = BytesMut::new();
    let mut receive = |stream: &mut UnixStream| loop {
        if let Some(frame) = frame::decode(&mut buffer).expect("the gateway writes frames") {
            seen.lock().expect("no panic").push((number, frame.clone()));
            return Some(frame);
        }
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk) {
            Ok(read @ 1..) => buffer.extend_from_slice(&chunk[..read]),
            _ => return None,
        }
    };
    while let Some(call) = receive(&mut stream) {
        for step in script(&call) {
            let written = match step {
                Step::Send(bytes) => stream.write_all(&bytes),
                Step::Ask(bytes) => {
                    let asked = stream.write_all(&bytes);
                    receive(&mut stream);
                    asked
                }
                Step::Wait(time) => {
                    std::thread::sleep(time);
                    Ok(())
                }
                Step::Close => return,
            };
            if written.is_err() {
                return;
            }
        }
    }
}

fn socket_in(directory: &TempDir) -> PathBuf {
    Path::new(directory.path()).join("scripted.sock")
}
