//! One row of the table: what is loaded, what is called, what is answered when
//! the runner asks, and what must come back.
//!
//! Must not know which rows there are, nor over what a call is made.

use std::path::Path;

use protocol::gateway_side::{Asked, HttpReqCall, HttpRespCall, Reply};
use protocol::{Entry, FrameBuilder};

use super::components;
use super::expected::Expected;

/// One trial of one hostile guest.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Its file in `tests/guests/`, without the ending.
    pub guest: &'static str,
    /// The name it is loaded under: the guest's own, or another where it is
    /// tried with other settings.
    pub plugin: &'static str,
    /// What the module is made of.
    pub source: Source,
    /// When it is called.
    pub phase: Phase,
    /// Its configuration.
    pub configuration: &'static str,
    /// What the runner's configuration says of its plugin, as YAML; empty for
    /// nothing. The same in all rows of one plugin.
    pub settings: &'static str,
    /// What the metrics count: `next`, `stop`, or the cause of its failure.
    pub outcome: &'static str,
    /// What the gateway gets.
    pub reply: Expected,
}

/// What a module is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The guest's file.
    Text,
    /// A harmless filter of requests with so many bytes of data.
    Data(usize),
    /// The same with so many bytes that nobody reads.
    Ballast(usize),
    /// These bytes.
    Bytes(&'static [u8]),
    /// There is no module.
    Nothing,
}

/// When a filter is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// For a request.
    Request,
    /// For a response.
    Response,
}

impl Phase {
    /// As the metrics call it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Phase::Request => "request",
            Phase::Response => "response",
        }
    }
}

/// The headers of the response that filters see.
pub(super) const RESPONSE_HEADERS: [(&str, &str); 2] =
    [("Content-Type", "text/plain"), ("X-Upstream", "yes")];

/// Larger than what a filter would want of a body, and small enough to be sent
/// often.
static BODY: [u8; 1 << 20] = [b'b'; 1 << 20];

impl Row {
    /// Writes the module into a folder, if there is one.
    ///
    /// # Errors
    /// The file's.
    ///
    /// # Panics
    /// Where the guest's file is not WebAssembly: a fault of its author.
    pub fn write_module(&self, folder: &Path) -> std::io::Result<()> {
        let guests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guests");
        let wasm = match self.source {
            Source::Text => {
                let file = guests.join(format!("{}.wat", self.guest));
                components::component(&std::fs::read_to_string(file)?)
            }
            Source::Data(bytes) => components::with_data(bytes),
            Source::Ballast(bytes) => components::with_ballast(bytes),
            Source::Bytes(bytes) => bytes.to_vec(),
            Source::Nothing => return Ok(()),
        };
        std::fs::write(folder.join(format!("{}.wasm", self.plugin)), wasm)
    }

    /// The frame of a call of this number with a conf token.
    ///
    /// # Panics
    /// Never: some hundred bytes fit into a frame.
    #[must_use]
    pub fn call(&self, conf_token: u32, id: u32) -> Vec<u8> {
        let mut builder = FrameBuilder::new();
        let frame = match self.phase {
            Phase::Request => HttpReqCall {
                id,
                src_ip: &[127, 0, 0, 1],
                path: b"/guests",
                args: &[Entry::new("a", "1")],
                headers: &[
                    Entry::new("host", "gateway.test"),
                    Entry::new("x-client", "yes"),
                ],
                conf_token,
                ..HttpReqCall::default()
            }
            .encode(&mut builder),
            Phase::Response => HttpRespCall {
                id,
                status: 200,
                headers: &RESPONSE_HEADERS.map(|(name, value)| Entry::new(name, value)),
                conf_token,
            }
            .encode(&mut builder),
        };
        frame.expect("a frame").to_vec()
    }

    /// What the gateway answers when it is asked inside the call.
    #[must_use]
    pub fn answer(&self, asked: &Asked) -> Option<&'static [u8]> {
        match asked {
            Asked::Var(name) if name == b"request_method" => Some(b"GET"),
            Asked::Var(_) | Asked::RespBody => None,
            Asked::ReqBody => Some(&BODY),
        }
    }

    /// Whether the reply is the one that is expected.
    ///
    /// # Errors
    /// What it is instead, for whoever reads the outcome of a test.
    pub fn verify(&self, id: u32, reply: &Reply) -> Result<(), String> {
        self.reply.verify(self.phase, id, reply)
    }
}
