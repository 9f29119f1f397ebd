//! One filter on one call, without a gateway: what `runner try` and `runner
//! test` do. The module is loaded, configured, called, limited and answered as
//! in `runner serve`; where there would be a connection stands a model of
//! APISIX, behind each grant what `provided` has, and every host call is
//! written down.
//!
//! Must not know who asks, nor how it is shown.

mod model_gateway;
pub mod provided;
pub mod witness;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use gateway_model::{
    ClientResponse, HttpOutcome, HttpRequest, UpstreamResponse, request_phase, response_phase,
};
use protocol::gateway_side::{HttpAction, Reply, decode_reply};
use protocol::{FrameBuilder, frame, http_req_call, http_resp_call};
use sandbox::{
    CodeOrigin, Engine, EngineSettings, Failed, Filter, Grants, Instructions, Plugin, RequestCall,
    ResponseCall, SandboxError, SnapshotPolicy, ThreadStart, Verdict,
};
use tokio::runtime::Runtime;

use self::model_gateway::ModelGateway;
use self::provided::Provided;
use self::witness::{Event, Witness};
use crate::after_chain;
use crate::compiled_code::open_cache;
use crate::config::{Config, TenantConfig};
use crate::error_reply::CallError;
use crate::handlers::Outcome;
use crate::translate::from_wire::{ReceivedRequest, ReceivedResponse};
use crate::translate::to_wire;

/// Instances at the same time: one call has one, and a component with several
/// memories takes several places.
const PLACES: u32 = 16;

/// How often a call is repeated to find out how long it takes, and how long
/// that may take.
const REPEATS: u32 = 20;
const REPEATS_TIME: Duration = Duration::from_millis(5);

/// The number of every call, and the token: nobody looks at either.
const ID: u32 = 1;

/// Where filters are tried.
pub struct Workshop {
    engine: Arc<Engine>,
    runtime: Runtime,
    config: TenantConfig,
    witness: Witness,
}

/// What a filter is to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// The client's request.
    pub request: HttpRequest,
    /// The upstream's response to it: the filter is called in the response
    /// phase.
    pub response: Option<UpstreamResponse>,
}

/// A module that was loaded.
pub struct Candidate<'a> {
    workshop: &'a Workshop,
    /// The plugin behind it.
    pub plugin: Arc<Plugin>,
    /// What the operator granted it.
    granted: Arc<Grants>,
    /// How long loading took.
    pub loaded_in: Duration,
}

/// What became of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Came {
    /// The filter looked at a request.
    Request(HttpOutcome),
    /// The filter looked at a response; the client gets this.
    Response(ClientResponse),
}

/// Why a call came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum NoResult {
    /// The filter failed, or refused its configuration.
    #[error(transparent)]
    Filter(SandboxError),
    /// What it did cannot be said in the gateway's protocol, or the gateway
    /// would not have called.
    #[error("{0}")]
    Inexpressible(String),
}

/// Everything there is to know about one call.
#[derive(Debug)]
pub struct Report {
    /// What became of it.
    pub came: Result<Came, NoResult>,
    /// What the filter did, in order.
    pub events: Vec<Event>,
    /// How long a call takes, from a fresh instance to the handler's answer:
    /// the median of some.
    pub took: Duration,
    /// How long the first one took.
    pub first_took: Duration,
    /// Bytes of the instance's memory.
    pub memory: usize,
    /// What was executed, unless the filter failed before its handler.
    pub instructions: Option<Instructions>,
}

impl Workshop {
    /// Opens it, with the limits of a tenant. The log of this process goes to a [`Witness`] from here on.
    ///
    /// # Errors
    /// Where the engine does not start.
    pub fn open(config: &Config, tenant: &TenantConfig) -> Result<Self> {
        let (cache, config) = (&config.cache, tenant.clone());
        let witness = Witness::install()?;
        let settings = EngineSettings {
            instances: PLACES,
            guest_memory: config.guest_memory,
            snapshot_memory: 0,
            cache: open_cache(cache),
            count_instructions: true,
            compiler: None,
            thread_start: ThreadStart::default(),
        };
        let engine = Engine::start(settings)
            .map_err(|error| anyhow!("the WebAssembly engine does not start: {error:#}"))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        Ok(Workshop {
            engine,
            runtime,
            config,
            witness,
        })
    }

    /// Loads a module as the plugin `name`.
    ///
    /// # Errors
    /// Where the file cannot be read or is no filter, in its author's terms.
    pub fn load(&self, file: &Path, name: &str) -> Result<Candidate<'_>> {
        let shown = file.display();
        let wasm = std::fs::read(file).with_context(|| match file.exists() {
            true => format!("cannot read {shown}"),
            false => format!("there is no {shown}; build the filter first"),
        })?;
        let limit = self.config.plugins.module_size;
        if wasm.len() as u64 > limit {
            let mib = limit >> 20;
            bail!("{shown} has more than {mib} MiB, the most that limits.module_mib allows");
        }
        let candidate = self.load_of(&self.config, wasm, name);
        candidate.with_context(|| format!("{shown} cannot be loaded"))
    }

    /// Loads a module of a tenant.
    ///
    /// # Errors
    /// Where it is no filter, in its author's terms.
    pub fn load_of(
        &self,
        tenant: &TenantConfig,
        wasm: Vec<u8>,
        name: &str,
    ) -> Result<Candidate<'_>> {
        let mut settings = tenant.plugins.of(name).settings.clone();
        settings.snapshot = SnapshotPolicy::Off;
        settings.instances = sandbox::InstancePolicy::Fresh;
        // It may ask for all there is; none of it leads outside.
        let granted = settings.grants;
        settings.grants = Provided::default().grants(&granted);
        let started = Instant::now();
        let loading = Plugin::load(&self.engine, name, wasm, settings, None);
        Ok(Candidate {
            workshop: self,
            plugin: self.runtime.block_on(loading)?,
            granted,
            loaded_in: started.elapsed(),
        })
    }
}

impl Candidate<'_> {
    /// Whether loading it compiled it.
    #[must_use]
    pub fn was_compiled(&self) -> bool {
        self.plugin.code_origin() == CodeOrigin::Compiled
    }

    /// Shows it a call with this configuration. `provided` is behind its grants;
    /// `repeat`: find out how long it takes, too.
    ///
    /// # Errors
    /// Only where the runner itself is at fault.
    pub fn run(
        &self,
        configuration: &[u8],
        exchange: &Exchange,
        provided: &Provided,
        repeat: bool,
    ) -> Result<Report> {
        let filter = self.filter(configuration, provided);
        let workshop = self.workshop;
        workshop.witness.begin(&provided.secrets);
        let started = Instant::now();
        let came = workshop.runtime.block_on(run(&filter, exchange));
        let first_took = started.elapsed();
        let events = workshop.witness.end();
        let usage = self.plugin.usage();
        let took = match repeat && came.is_ok() {
            true => workshop
                .runtime
                .block_on(median(&filter, exchange))
                .min(first_took),
            false => first_took,
        };
        let came = match came {
            Ok(came) => Ok(came),
            Err(Unfinished::NoResult(reason)) => Err(reason),
            Err(Unfinished::Fault(error)) => return Err(error),
        };
        Ok(Report {
            instructions: usage.instructions.filter(|_| came.is_ok()),
            came,
            events,
            took,
            first_took,
            memory: usage.memory_peak,
        })
    }

    /// Lets it read a configuration and nothing else.
    ///
    /// # Errors
    /// Its refusal, or how it failed to give one.
    pub fn configure(
        &self,
        configuration: &[u8],
        provided: &Provided,
    ) -> (Result<(), SandboxError>, Vec<Event>) {
        let filter = self.filter(configuration, provided);
        self.workshop.witness.begin(&provided.secrets);
        let outcome = self.workshop.runtime.block_on(filter.check());
        (outcome, self.workshop.witness.end())
    }

    fn filter(&self, configuration: &[u8], provided: &Provided) -> Filter {
        let plugin = Arc::clone(&self.plugin);
        let grants = provided.grants(&self.granted);
        Filter::with_grants(plugin, configuration.into(), Arc::from("try"), grants)
    }
}

/// A call that came to nothing.
enum Unfinished {
    NoResult(NoResult),
    /// Of the runner.
    Fault(anyhow::Error),
}

impl<C> From<Failed<C>> for Unfinished {
    fn from(failed: Failed<C>) -> Self {
        Unfinished::NoResult(NoResult::Filter(failed.error))
    }
}

impl From<CallError> for Unfinished {
    fn from(error: CallError) -> Self {
        Unfinished::NoResult(NoResult::Inexpressible(error.to_string()))
    }
}

fn fault(error: impl Into<anyhow::Error>) -> Unfinished {
    Unfinished::Fault(error.into())
}

async fn run(filter: &Filter, exchange: &Exchange) -> Result<Came, Unfinished> {
    match &exchange.response {
        None => on_request(filter, &exchange.request).await,
        Some(response) => on_response(filter, &exchange.request, response).await,
    }
}

/// How long most of some more calls take.
async fn median(filter: &Filter, exchange: &Exchange) -> Duration {
    let (mut times, begun) = (Vec::new(), Instant::now());
    while times.len() < REPEATS as usize && (times.is_empty() || begun.elapsed() < REPEATS_TIME) {
        let started = Instant::now();
        // What it comes to is known.
        let _ = run(filter, exchange).await;
        times.push(started.elapsed());
    }
    times.sort();
    times[times.len() / 2]
}

/// How long the gateway may be asked by the runner itself; the model answers at
/// once.
const GATEWAY_TIME: Duration = Duration::from_secs(1);

async fn on_request(filter: &Filter, request: &HttpRequest) -> Result<Came, Unfinished> {
    let mut builder = FrameBuilder::new();
    let call = request_phase::encode(&mut builder, request, ID, ID)
        .map_err(|error| Unfinished::NoResult(NoResult::Inexpressible(error.to_string())))?;
    let payload = call[frame::HEADER_LEN..].to_vec();
    let received = http_req_call::Req::decode(payload.into()).map_err(fault)?;
    let received = ReceivedRequest::new(received).map_err(|error| fault(anyhow!(error)))?;
    let gateway = Arc::new(ModelGateway::of_request(request));
    let call = Box::new(RequestCall::new(Arc::new(received), gateway));
    let outcome = match filter.on_request(call).await? {
        (mut call, Verdict::Next) => {
            after_chain::request::complete(&mut call, GATEWAY_TIME).await?;
            Outcome::Pass {
                id: ID,
                edits: std::mem::take(call.edits_mut()),
            }
        }
        (_, Verdict::Stop(response)) => Outcome::Stop { id: ID, response },
    };
    match replied(&outcome)? {
        Reply::HttpReqCall { action, .. } => Ok(came_of(action, request)),
        other => Err(fault(anyhow!("the reply to a request is {other:?}"))),
    }
}

fn came_of(action: HttpAction, request: &HttpRequest) -> Came {
    Came::Request(request_phase::apply(action, request, true))
}

async fn on_response(
    filter: &Filter,
    request: &HttpRequest,
    upstream: &UpstreamResponse,
) -> Result<Came, Unfinished> {
    let mut builder = FrameBuilder::new();
    let call = response_phase::encode(&mut builder, upstream, ID, ID).map_err(fault)?;
    let payload = call[frame::HEADER_LEN..].to_vec();
    let received = http_resp_call::Req::decode(payload.into()).map_err(fault)?;
    let gateway = Arc::new(ModelGateway::of_response(request, upstream));
    let call = ResponseCall::new(Arc::new(ReceivedResponse::new(received)), gateway);
    let mut call = filter.on_response(Box::new(call)).await?;
    let filler = after_chain::response::complete(&mut call, GATEWAY_TIME).await;
    let filler = filler.map_err(CallError::from)?;
    match replied(&Outcome::Response { call, filler })? {
        Reply::HttpRespCall {
            status,
            headers,
            body,
            ..
        } => {
            let body = body.unwrap_or_default();
            let filtered = response_phase::edited(upstream, status, &headers, body);
            Ok(Came::Response(filtered.sent(request)))
        }
        other => Err(fault(anyhow!("the reply to a response is {other:?}"))),
    }
}

/// Through the bytes that the gateway would read.
fn replied(outcome: &Outcome) -> Result<Reply, Unfinished> {
    let mut builder = FrameBuilder::new();
    let bytes = to_wire::encode(&mut builder, outcome).map_err(CallError::from)?;
    let frame = protocol::Frame {
        rpc_type: bytes[0],
        payload: bytes[frame::HEADER_LEN..].to_vec().into(),
    };
    decode_reply(frame).map_err(fault)
}
