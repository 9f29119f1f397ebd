//! A compiler: a process that makes native code of components of one tenant,
//! one after the other, and has nothing but a socket to the launcher. What it
//! may use is bounded before it sees the first of them.
//!
//! Must not know who asks, nor how long it may take.

use std::any::Any;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::{Context, Result, anyhow};
use confinement::Wall;
use rustix::process::{
    Resource, Rlimit, Signal, getrlimit, nice, set_parent_process_death_signal, setrlimit,
};
use sandbox::{CodeMaker, CompileError, Target};

use super::message::{self, Failure, Part, Request};
use crate::cli::CompileWorkerOptions;

/// Compiles until nobody is left to ask.
///
/// # Errors
/// Where it cannot bound itself, or its socket fails.
pub fn run(options: &CompileWorkerOptions) -> Result<()> {
    restrict(options)?;
    // What panics is told to whoever asked.
    std::panic::set_hook(Box::new(|_| {}));
    let socket = io::stdin().as_fd().try_clone_to_owned()?;
    let mut socket = UnixStream::from(socket);
    let mut maker = None;
    while let Some(request) = message::read_request(&mut socket)? {
        match compiled(&mut maker, &request) {
            Ok(code) => message::write_code(&mut socket, &code)?,
            Err((failure, text)) => {
                message::write_part(&mut socket, &Part::Failed(failure, text))?;
            }
        }
    }
    Ok(())
}

/// The one maker of code that there is; all requests are for the same target.
type Maker = Option<(Target, CodeMaker)>;

fn compiled(maker: &mut Maker, request: &Request) -> Result<Vec<u8>, (Failure, String)> {
    let compile = || {
        let maker = match maker.take_if(|(target, _)| *target == request.target) {
            Some(known) => &maker.insert(known).1,
            None => {
                let new = CodeMaker::new(request.target);
                let new = new.map_err(|error| (Failure::Crashed, format!("{error:#}")))?;
                &maker.insert((request.target, new)).1
            }
        };
        maker
            .compile(&request.wasm, request.shape)
            .map_err(|error| match error {
                CompileError::Refused(text) => (Failure::Refused, text),
                other => (Failure::Crashed, other.to_string()),
            })
    };
    let outcome = catch_unwind(AssertUnwindSafe(compile));
    outcome.unwrap_or_else(|panic| Err((Failure::Crashed, said(&*panic))))
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("it panicked").to_owned()
}

/// Takes from this process what compiling does not need.
fn restrict(options: &CompileWorkerOptions) -> Result<()> {
    // The launcher's end is ours, also where it comes too suddenly to say so.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // Where memory is short, the kernel may take it here first; where it will
    // not hear of it, nothing is lost.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    // Without it, it competes with the calls; nothing fails.
    let _ = nice(options.niceness);
    let mapped = address_space()?;
    for (resource, most) in [
        (Resource::Core, 0),
        (Resource::Fsize, 0),
        // It neither forks nor starts threads.
        (Resource::Nproc, 0),
        (Resource::As, mapped.saturating_add(options.memory)),
    ] {
        lower(resource, most).with_context(|| format!("cannot lower {resource:?}"))?;
    }
    // It has all it needs, a socket, and has not seen a component yet. What the
    // kernel lacks of this, the runner's own wall lacks too, and says so.
    let wall = Wall::default();
    drop(wall.raise_early());
    lower(Resource::Nofile, DESCRIPTORS).context("cannot lower Nofile")?;
    drop(wall.raise_late());
    Ok(())
}

/// Three for the standard streams, one for the socket, and some for what is
/// opened for a moment.
const DESCRIPTORS: u64 = 16;

fn lower(resource: Resource, most: u64) -> io::Result<()> {
    let most = match getrlimit(resource).maximum {
        Some(maximum) => most.min(maximum),
        None => most,
    };
    let limit = Rlimit {
        current: Some(most),
        maximum: Some(most),
    };
    Ok(setrlimit(resource, limit)?)
}

/// Bytes that are mapped now: the program itself, mostly.
fn address_space() -> Result<u64> {
    let text = std::fs::read_to_string("/proc/self/statm")?;
    let pages = text.split(' ').next().and_then(|pages| pages.parse().ok());
    let pages: u64 = pages.ok_or_else(|| anyhow!("/proc/self/statm holds {text:?}"))?;
    Ok(pages.saturating_mul(rustix::param::page_size() as u64))
}
