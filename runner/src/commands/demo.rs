//! `runner demo`: a runner with two example filters on a socket of its own,
//! and the gateway's side of the conversation played from captured frames.
//! Everything between the two is what `runner serve` runs.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use gateway_model::{HttpOutcome, HttpRequest, request_phase};
use protocol::gateway_side::{NamedValue, Reply, decode_reply, set_conf_token};
use protocol::http_req_call;
use tokio::net::UnixStream;
use tracing::level_filters::LevelFilter;

use crate::compiler::Launched;
use crate::config::{self, Config, ProcessEnvironment};
use crate::doors::Sockets;
use crate::gateway_link::GatewayLink;
use crate::granting::Authorities;
use crate::picture::Picture;
use crate::serving::{self, Circumstances};
use crate::telemetry::{self, DroppedLines};

/// The filters, built from `examples-wasm/`; a test rebuilds and compares them.
const FILTERS: [(&str, &[u8]); 2] = [
    (
        "rewrite",
        include_bytes!("../../../examples-wasm/prebuilt/rewrite.wasm"),
    ),
    (
        "stop",
        include_bytes!("../../../examples-wasm/prebuilt/stop.wasm"),
    ),
];

/// A configuration and a call with it, as APISIX 3.18 sent them.
struct Capture {
    title: &'static str,
    prepare_conf: &'static [u8],
    call: &'static [u8],
}

const CAPTURES: [Capture; 2] = [
    Capture {
        title: "a route with the plugin `rewrite`",
        prepare_conf: include_bytes!(
            "../../../tests/frames/first-request-id-0.01.c2r.prepareconf.bin"
        ),
        call: include_bytes!("../../../tests/frames/static-route-rewrite.01.c2r.httpreqcall.bin"),
    },
    Capture {
        title: "a route with the plugin `stop`",
        prepare_conf: include_bytes!(
            "../../../tests/frames/static-route-stop.01.c2r.prepareconf.bin"
        ),
        call: include_bytes!("../../../tests/frames/static-route-stop.03.c2r.httpreqcall.bin"),
    },
];

/// How long the demo waits for its own runner.
const PATIENCE: Duration = Duration::from_secs(30);

/// Starts the runner, plays the captures, prints what became of them.
///
/// # Errors
/// Where the runner does not start or does not answer as a runner does.
pub fn run() -> Result<()> {
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let modules = folder.path().join("modules");
    std::fs::create_dir(&modules)?;
    for (name, wasm) in FILTERS {
        std::fs::write(modules.join(format!("{name}.wasm")), wasm)?;
    }
    let socket = folder.path().join("runner.sock");
    let mut config = config::load(None, socket.to_str(), &ProcessEnvironment)?;
    config.log_level = LevelFilter::WARN;
    // It leaves nothing behind.
    config.cache.max_bytes = 0;
    config.tenants[0].modules = Some(modules);
    let launched = Launched::start(PATIENCE, 1);
    let log = telemetry::start(config.log_level, config.log_format, &[]);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(play(&socket, config, launched, log.dropped()))
}

async fn play(
    socket: &Path,
    config: Config,
    launched: Launched,
    dropped: DroppedLines,
) -> Result<()> {
    // The demo ends when everything was played, or when the runner fails.
    let circumstances = Circumstances {
        watch: false,
        sockets: Sockets::Own,
        authorities: Authorities::read(&config),
        launched: Some(launched),
        wall: None,
        dropped,
    };
    let serving = serving::serve(config, circumstances, std::future::pending());
    tokio::select! {
        served = serving => served,
        played = tokio::time::timeout(PATIENCE, play_all(socket)) => {
            played.context("the runner did not answer")?
        }
    }
}

async fn play_all(socket: &Path) -> Result<()> {
    let mut out = anstream::stdout();
    writeln!(
        out,
        "A runner listens on unix:{} and serves:",
        socket.display()
    )?;
    for (name, wasm) in FILTERS {
        writeln!(
            out,
            "  {name}.wasm  {} bytes, a fresh instance for every request",
            wasm.len()
        )?;
    }
    for capture in CAPTURES {
        let (before, after) = capture.play(socket).await?;
        let picture = Picture::of_request(&before, &after);
        writeln!(
            out,
            "\n{}, request captured from APISIX:\n\n{picture}",
            capture.title
        )?;
    }
    writeln!(
        out,
        "Next: `runner serve --help` says how to point APISIX at a folder of filters."
    )?;
    Ok(())
}

impl Capture {
    /// Sends the configuration, then the call with the token it got.
    async fn play(&self, socket: &Path) -> Result<(HttpRequest, HttpOutcome)> {
        let link = GatewayLink::new(connect(socket).await?);
        let Reply::PrepareConf { conf_token } = exchange(&link, self.prepare_conf).await? else {
            bail!("the runner did not answer PrepareConf with a token");
        };
        let mut call = self.call.to_vec();
        // The captured call carries the token of the runner it was sent to.
        set_conf_token(&mut call, conf_token)?;
        let Reply::HttpReqCall { action, .. } = exchange(&link, &call).await? else {
            bail!("the runner did not answer the call");
        };
        let payload = call.split_off(protocol::frame::HEADER_LEN);
        let request = captured(&http_req_call::Req::decode(payload.into())?);
        let outcome = request_phase::apply(action, &request, true);
        Ok((request, outcome))
    }
}

/// The request as the gateway had it when it sent the call.
fn captured(call: &http_req_call::Req) -> HttpRequest {
    let owned = |entry: protocol::Entry<'_>| NamedValue {
        name: entry.name.to_vec(),
        value: entry.value.map(<[u8]>::to_vec),
    };
    HttpRequest {
        path: call.path().unwrap_or_default().to_vec(),
        args: call.args().map(owned).collect(),
        headers: call.headers().map(owned).collect(),
        src_ip: call.src_ip().to_vec(),
        ..HttpRequest::new(call.method().unwrap_or("?"), "/")
    }
}

/// The runner binds its socket while we already want to connect.
async fn connect(socket: &Path) -> Result<UnixStream> {
    loop {
        match UnixStream::connect(socket).await {
            Ok(stream) => return Ok(stream),
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

async fn exchange(link: &GatewayLink, frame: &[u8]) -> Result<Reply> {
    link.write(frame).await?;
    let reply = link
        .read_frame()
        .await?
        .context("the runner closed the connection")?;
    Ok(decode_reply(reply)?)
}
