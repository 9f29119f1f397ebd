//! A received request as the sandbox wants to see it: read in place, entry by
//! entry, copied by nobody here.

use protocol::http_req_call::Req;
use sandbox::{RequestSource, VisitArg, VisitHeader};

/// A request of the wire.
pub struct ReceivedRequest {
    request: Req,
    method: &'static str,
}

impl ReceivedRequest {
    /// Refuses only what no filter could make sense of.
    ///
    /// # Errors
    /// A method number that the schema does not name.
    pub fn new(request: Req) -> Result<Self, String> {
        match request.method() {
            Some(method) => Ok(ReceivedRequest { request, method }),
            None => Err("the request has a method that the schema does not name".into()),
        }
    }
}

impl RequestSource for ReceivedRequest {
    fn id(&self) -> u32 {
        self.request.id()
    }

    fn method(&self) -> &str {
        self.method
    }

    fn source_address(&self) -> &[u8] {
        self.request.src_ip()
    }

    fn path(&self) -> &[u8] {
        self.request.path().unwrap_or_default()
    }

    fn visit_headers(&self, visit: &mut VisitHeader<'_>) {
        for entry in self.request.headers() {
            visit(entry.name, entry.value.unwrap_or_default());
        }
    }

    fn visit_args(&self, visit: &mut VisitArg<'_>) {
        for entry in self.request.args() {
            visit(entry.name, entry.value);
        }
    }
}
