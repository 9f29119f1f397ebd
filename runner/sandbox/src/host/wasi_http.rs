//! `wasi:http` for components that were made for it: its requests go through
//! the same port as those of `apisix:filter/http`, within the same limits. Only
//! requests of the guest's own; it is asked nothing over it.
//!
//! Here a request is under way while the guest does something else, and the
//! host holds bodies that the guest has not written or read to the end. All
//! those of an instance together may have as many bytes as one body may.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use wasmtime::component::{Linker, ResourceTable};
use wasmtime_wasi_http::p2::bindings::LinkOptions;
use wasmtime_wasi_http::p2::bindings::http as interfaces;
use wasmtime_wasi_http::{
    Error, RequestOptions, WasiBody, WasiHttp, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks,
    WasiHttpView as _,
};

use crate::call_state::{CallState, Identity};
use crate::guest_clock::GuestClock;
use crate::services::{Exhausted, ServiceAllowance, ServiceUse, UnderWay};
use crate::{Outbound, OutboundError, OutboundRequest, OutboundResponse};

/// Requests that an instance may have under way at the same time.
const AT_ONCE: u32 = 8;

/// Bytes that a guest may write of a body before somebody takes them: it may
/// have begun as many bodies as it may hold handles.
const BODY_CHUNK: usize = 16 << 10;

/// Bytes that the headers of one message take in the host, about.
const FIELDS: usize = 64 << 10;

/// Links `wasi:http`, but not the interface by which a guest would be asked.
pub(crate) fn link(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    let options = LinkOptions::default();
    interfaces::outgoing_handler::add_to_linker::<_, WasiHttp>(linker, CallState::http)?;
    interfaces::types::add_to_linker::<_, WasiHttp>(linker, &options.into(), CallState::http)
}

/// What an instance has of it.
pub(crate) struct WasiHttpState {
    context: WasiHttpCtx,
    requests: Requests,
}

/// How its requests are sent.
struct Requests {
    identity: Arc<Identity>,
    clock: Arc<GuestClock>,
    /// Of the call that the instance serves, or served last.
    services: Option<Arc<ServiceUse>>,
    /// Whether it serves one.
    in_a_call: bool,
    /// Bytes of bodies.
    held: Arc<AtomicUsize>,
}

impl WasiHttpState {
    pub(crate) fn new(identity: Arc<Identity>, clock: Arc<GuestClock>) -> Self {
        let mut context = WasiHttpCtx::new();
        context.set_field_size_limit(FIELDS);
        WasiHttpState {
            context,
            requests: Requests {
                identity,
                clock,
                services: None,
                in_a_call: false,
                held: Arc::default(),
            },
        }
    }

    /// `services`: those of the call that the instance serves.
    pub(crate) fn view<'a>(
        &'a mut self,
        services: Option<Arc<ServiceUse>>,
        table: &'a mut ResourceTable,
    ) -> WasiHttpCtxView<'a> {
        self.requests.in_a_call = services.is_some();
        if services.is_some() {
            self.requests.services = services;
        }
        WasiHttpCtxView {
            hooks: &mut self.requests,
            table,
            ctx: &mut self.context,
        }
    }

    /// Whether requests of the last call are still under way.
    pub(crate) fn left_requests(&self) -> bool {
        let services = self.requests.services.as_ref();
        services.is_some_and(|services| services.under_way() > 0)
    }
}

type Sent = Result<
    (
        http::Response<WasiBody>,
        Box<dyn Future<Output = Result<(), Error>> + Send>,
    ),
    Error,
>;

impl WasiHttpHooks for Requests {
    /// The port writes it.
    fn set_host_header(&mut self) -> bool {
        false
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        BODY_CHUNK
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        // What it is charged for begins here, whenever it is sent.
        let begun = self.begin();
        let held = Held::nothing(&self.held, self.identity.account.limits.body);
        Box::new(async move {
            let (outbound, under_way) = begun?;
            let (time, shorter) = (under_way.time, options.and_then(shorter));
            let sending = send(outbound, request, time, held);
            let sent = under_way.within(shorter, sending).await;
            let response = sent.map_err(|_| Error::ConnectionReadTimeout)??;
            let nothing: Box<dyn Future<Output = _> + Send> = Box::new(async { Ok(()) });
            Ok((response, nothing))
        })
    }
}

impl Requests {
    fn begin(&self) -> Result<(Arc<dyn Outbound>, UnderWay), Error> {
        let Some(outbound) = self.identity.grants.http.clone() else {
            return Err(Error::HttpRequestDenied);
        };
        let Some(services) = self.services.as_ref().filter(|_| self.in_a_call) else {
            let text = "wasi:http works in on-request and on-response only";
            return Err(Error::InternalError(Some(text.into())));
        };
        if services.under_way() >= AT_ONCE {
            return Err(Error::ConnectionLimitReached);
        }
        let limits = &self.identity.account.limits;
        let allowed = ServiceAllowance {
            calls: limits.service_calls,
            time: limits.services_time,
        };
        match services.begin(allowed, &self.clock) {
            Ok(under_way) => Ok((outbound, under_way)),
            Err(Exhausted::Calls(_)) => Err(Error::ConnectionLimitReached),
            Err(Exhausted::Time(_)) => Err(Error::ConnectionReadTimeout),
        }
    }
}

/// Nothing comes before all of it has: connecting and the first byte are one
/// wait.
fn shorter(options: RequestOptions) -> Option<std::time::Duration> {
    let first_byte = options.first_byte_timeout?;
    Some(first_byte.saturating_add(options.connect_timeout.unwrap_or_default()))
}

async fn send(
    outbound: Arc<dyn Outbound>,
    request: http::Request<WasiBody>,
    time: std::time::Duration,
    mut held: Held,
) -> Result<http::Response<WasiBody>, Error> {
    let (parts, body) = request.into_parts();
    let body = collected(body, &mut held).await?;
    let headers = parts.headers.iter();
    let headers = headers.filter(|(name, _)| *name != http::header::CONTENT_LENGTH);
    let request = OutboundRequest {
        method: parts.method.to_string(),
        url: parts.uri.to_string(),
        headers: headers
            .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
            .collect(),
        body: Some(body).filter(|body| !body.is_empty()),
        time,
        response_body: held.left(),
    };
    let response = outbound.send(request).await.map_err(code)?;
    received(response, held)
}

/// The whole body as the guest writes it.
async fn collected(mut body: WasiBody, held: &mut Held) -> Result<Bytes, Error> {
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        // Trailers are not sent on.
        let Ok(data) = frame?.into_data() else {
            continue;
        };
        if !held.add(data.len()) {
            return Err(Error::HttpRequestBodySize(None));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.freeze())
}

fn received(response: OutboundResponse, mut held: Held) -> Result<http::Response<WasiBody>, Error> {
    if !held.add(response.body.len()) {
        return Err(Error::HttpResponseBodySize(None));
    }
    let mut built = http::Response::builder().status(response.status);
    for (name, value) in &response.headers {
        built = built.header(name.as_str(), value.as_slice());
    }
    let body = Bytes::from_owner(HeldBody {
        body: response.body,
        _held: held,
    });
    let body = Full::new(body).map_err(|never| match never {});
    built
        .body(body.boxed_unsync())
        .map_err(|_| Error::HttpProtocolError)
}

/// Bytes of bodies that the host holds for an instance, until this is dropped.
struct Held {
    all: Arc<AtomicUsize>,
    most: usize,
    own: usize,
}

impl Held {
    fn nothing(all: &Arc<AtomicUsize>, most: usize) -> Self {
        Held {
            all: Arc::clone(all),
            most,
            own: 0,
        }
    }

    /// False where that would be too many.
    fn add(&mut self, bytes: usize) -> bool {
        let more = |all: usize| all.checked_add(bytes).filter(|all| *all <= self.most);
        let order = Ordering::Relaxed;
        let is_allowed = self.all.fetch_update(order, order, more).is_ok();
        self.own += if is_allowed { bytes } else { 0 };
        is_allowed
    }

    fn left(&self) -> usize {
        self.most.saturating_sub(self.all.load(Ordering::Relaxed))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.all.fetch_sub(self.own, Ordering::Relaxed);
    }
}

struct HeldBody {
    body: Bytes,
    _held: Held,
}

impl AsRef<[u8]> for HeldBody {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

/// The codes have no texts, but two.
fn code(error: OutboundError) -> Error {
    match error {
        OutboundError::Denied(_) => Error::HttpRequestDenied,
        OutboundError::Invalid(_) => Error::HttpRequestUriInvalid,
        OutboundError::Limit(_) => Error::HttpResponseBodySize(None),
        OutboundError::Unresolvable(text) => Error::DnsError {
            rcode: Some(text),
            info_code: None,
        },
        OutboundError::Unreachable(_) => Error::DestinationUnavailable,
        OutboundError::Timeout(_) => Error::ConnectionReadTimeout,
        OutboundError::Protocol(_) => Error::HttpProtocolError,
        OutboundError::Other(text) => Error::InternalError(Some(text)),
    }
}
