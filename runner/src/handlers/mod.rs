//! One file per RPC type that the gateway starts: from a payload to an
//! outcome. They know neither bytes of replies nor sockets.

pub mod http_req_call;
pub mod prepare_conf;

use crate::filter_chain::ChainOutcome;

/// What a frame is answered with, unless it fails.
#[derive(Debug)]
pub enum Outcome {
    /// To `PrepareConf`.
    Prepared {
        /// The token for the configuration.
        conf_token: u32,
    },
    /// To `HTTPReqCall`.
    Request {
        /// The call's number.
        id: u32,
        /// What the chain decided.
        outcome: ChainOutcome,
    },
}
