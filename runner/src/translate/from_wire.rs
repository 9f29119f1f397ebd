//! A received call as the sandbox wants to see it: read in place, entry by
//! entry, copied by nobody here.

use protocol::{http_req_call, http_resp_call};
use sandbox::{Headers, RequestSource, ResponseSource, VisitArg, VisitHeader};

/// A request of the wire.
pub struct ReceivedRequest {
    request: http_req_call::Req,
    method: &'static str,
}

impl ReceivedRequest {
    /// Refuses only what no filter could make sense of.
    ///
    /// # Errors
    /// A method number that the schema does not name.
    pub fn new(request: http_req_call::Req) -> Result<Self, String> {
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

/// A response of the wire.
pub struct ReceivedResponse {
    response: http_resp_call::Req,
}

impl ReceivedResponse {
    /// Any response makes sense.
    #[must_use]
    pub fn new(response: http_resp_call::Req) -> Self {
        ReceivedResponse { response }
    }
}

impl ResponseSource for ReceivedResponse {
    fn id(&self) -> u32 {
        self.response.id()
    }

    fn status(&self) -> u16 {
        self.response.status()
    }

    fn headers(&self) -> Headers<'_> {
        let headers = self.response.headers();
        Box::new(headers.map(|entry| (entry.name, entry.value.unwrap_or_default())))
    }
}
