//! One file per RPC type that the gateway starts: from a payload to an
//! outcome. They know neither bytes of replies nor sockets.

pub mod http_req_call;
pub mod http_resp_call;
pub mod prepare_conf;

use std::sync::Arc;
use std::time::Duration;

use sandbox::{RequestEdits, ResponseCall, StopResponse};

use crate::after_chain::response::Filler;
use crate::conf_cache::{ConfCache, Prepared};
use crate::error_reply::CallError;
use crate::gateway_link::GatewayLink;
use crate::tenant::Tenant;

/// What a handler works with.
pub struct CallContext<'a> {
    /// Where configurations are.
    pub confs: &'a ConfCache,
    /// Whose call it is.
    pub tenant: &'a Tenant,
    /// The connection it came on, for questions.
    pub link: &'a Arc<GatewayLink>,
    /// How long the runner itself may wait for answers.
    pub gateway_time: Duration,
}

impl CallContext<'_> {
    fn chain(&self, conf_token: u32) -> Result<Arc<Prepared>, CallError> {
        self.confs
            .chain(self.tenant, conf_token)
            .ok_or(CallError::UnknownToken(conf_token))
    }
}

/// What a frame is answered with, unless it fails.
pub enum Outcome {
    /// To `PrepareConf`.
    Prepared {
        /// The token for the configuration.
        conf_token: u32,
    },
    /// To `HTTPReqCall`: the request goes on with these changes.
    Pass {
        /// The call's number.
        id: u32,
        /// What is to be changed.
        edits: RequestEdits,
    },
    /// To `HTTPReqCall`: the request ends here with this response.
    Stop {
        /// The call's number.
        id: u32,
        /// The response.
        response: StopResponse,
    },
    /// To `HTTPRespCall`.
    Response {
        /// The response as the filters left it.
        call: Box<ResponseCall>,
        /// What stands in for a body.
        filler: Filler,
    },
}
