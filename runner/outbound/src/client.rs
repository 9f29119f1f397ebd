//! A request from its check to its answer. Whoever asks may be on any runtime;
//! all I/O is on the client's own. Must not know who asks.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{HOST, HeaderValue};
use hyper::{HeaderMap, Method, Uri};
use ipnet::IpNet;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use crate::answer;
use crate::connecting;
use crate::connection::{Connection, Outgoing, Unanswered};
use crate::error::{Reason, SendError};
use crate::headers;
use crate::networks;
use crate::pool::Pool;
use crate::resolver::Resolver;
use crate::roots::Roots;
use crate::rule;
use crate::settings::Settings;
use crate::target::Target;
use crate::tasks::OwnedTask;

/// How long a kept connection may need until its last request is wholly over.
const SETTLING: Duration = Duration::from_millis(100);

/// What a filter wants to send.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// As on the wire: GET, not get.
    pub method: String,
    /// Whole, from http:// or https:// on.
    pub url: String,
    /// Those of one name in their order; the framing, Host and what is of the
    /// connection are not the filter's.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Whole.
    pub body: Vec<u8>,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// From 200; a redirect as it is.
    pub status: u16,
    /// Names in lower case, those of one name in their order; without those of the
    /// connection.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Whole, as sent: what is compressed stays so.
    pub body: Vec<u8>,
}

/// One tenant's way out. A clone is the same client.
#[derive(Debug, Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Settings,
    resolver: Resolver,
    tls: TlsConnector,
    runtime: Handle,
    places: Semaphore,
    waiting: AtomicU32,
    pool: Arc<Pool>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// A request that a rule allows.
struct Allowed {
    target: Target,
    excepted: Vec<IpNet>,
    method: Method,
    headers: HeaderMap,
    path_and_query: Uri,
    body: Bytes,
}

impl Client {
    /// A client whose I/O is on `runtime`, which must have I/O and time enabled.
    ///
    /// # Errors
    /// A sentence on a setting with which nothing could be answered.
    pub fn new(
        settings: Settings,
        resolver: Resolver,
        roots: &Roots,
        runtime: Handle,
    ) -> Result<Self, String> {
        settings.check()?;
        let shared = Shared {
            places: Semaphore::new(settings.concurrent as usize),
            waiting: AtomicU32::new(0),
            pool: Pool::new(settings.concurrent as usize),
            tls: TlsConnector::from(Arc::new(roots.tls()?)),
            settings,
            resolver,
            runtime,
        };
        Ok(Client {
            shared: Arc::new(shared),
        })
    }

    /// Sends a request and reads its answer. The future may be polled anywhere;
    /// when it is dropped the request ends, and its place is free.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn send(
        &self,
        request: Request,
    ) -> impl Future<Output = Result<Response, SendError>> + Send + 'static {
        let shared = Arc::clone(&self.shared);
        async move {
            let allowed = shared.check(request)?;
            let runtime = shared.runtime.clone();
            let task = OwnedTask::new(runtime.spawn(shared.answer_in_time(allowed)));
            let ended = |_| SendError::Unreachable(Reason::new("the client's runtime has ended"));
            task.await.map_err(ended)?
        }
    }
}

impl Shared {
    /// What needs no I/O, in the order of the crate's page.
    fn check(&self, request: Request) -> Result<Allowed, SendError> {
        let target = Target::parse(&request.url).map_err(SendError::invalid)?;
        let method = rule::method(&request.method).map_err(SendError::invalid)?;
        let excepted = rule::permit(&self.settings.rules, method.as_str(), &target)
            .map_err(SendError::Denied)?;
        let mut headers = headers::checked(&request.headers).map_err(SendError::invalid)?;
        let host = HeaderValue::try_from(target.authority())
            .map_err(|_| SendError::invalid("the URL's host is no name of a host"))?;
        headers.insert(HOST, host);
        let path_and_query = Uri::try_from(target.path_and_query())
            .map_err(|error| SendError::invalid(format!("the URL's path or query: {error}")))?;
        let most = self.settings.request_body;
        if request.body.len() > most {
            return Err(SendError::limit(format!(
                "the request's body is larger than {most} bytes"
            )));
        }
        Ok(Allowed {
            target,
            excepted,
            method,
            headers,
            path_and_query,
            body: request.body.into(),
        })
    }

    async fn answer_in_time(self: Arc<Self>, allowed: Allowed) -> Result<Response, SendError> {
        let time = self.settings.time;
        let deadline = Instant::now() + time;
        let answered = timeout_at(deadline, async {
            let _place = self.place().await?;
            self.answer(&allowed).await
        });
        answered.await.unwrap_or_else(|_| {
            let (host, time) = (allowed.target.host(), time.as_millis());
            Err(SendError::Timeout(Reason::new(format!(
                "no whole response from {host} in {time} ms"
            ))))
        })
    }

    /// A place among the requests under way, for as long as it is held.
    async fn place(&self) -> Result<SemaphorePermit<'_>, SendError> {
        if let Ok(place) = self.places.try_acquire() {
            return Ok(place);
        }
        let _waiting = Waiting::enter(&self.waiting, self.settings.waiting).ok_or_else(|| {
            let most = self.settings.concurrent;
            SendError::limit(format!("{most} requests are under way, and others wait"))
        })?;
        // Nobody closes it.
        let closed = |_| SendError::limit("no more requests are taken");
        self.places.acquire().await.map_err(closed)
    }

    async fn answer(&self, allowed: &Allowed) -> Result<Response, SendError> {
        if let Some(kept) = self.kept(allowed).await {
            match self.exchange(kept, allowed).await {
                // The server may close a kept connection at any time (RFC 9112,
                // 9.3.1): once more, on a new one.
                Err(unanswered) if unanswered.may_be_repeated(&allowed.method) => {}
                other => return other.map_err(Unanswered::into_error),
            }
        }
        let fresh = self.connect(allowed).await?;
        let answer = self.exchange(fresh, allowed).await;
        answer.map_err(Unanswered::into_error)
    }

    async fn exchange(
        &self,
        mut connection: Connection,
        allowed: &Allowed,
    ) -> Result<Response, Unanswered> {
        let head = connection.send(allowed.outgoing()).await?;
        let answer = answer::read(head, self.settings.response_body).await?;
        self.pool.put(&allowed.target, connection);
        Ok(answer)
    }

    /// A kept connection to an address that this request may reach.
    async fn kept(&self, allowed: &Allowed) -> Option<Connection> {
        let may_reach = |address| networks::reachable(address, &allowed.excepted);
        while let Some(mut kept) = self.pool.take(&allowed.target, may_reach) {
            if timeout(SETTLING, kept.is_ready()).await == Ok(true) {
                return Some(kept);
            }
        }
        None
    }

    /// A new connection to an address that was found and checked for it.
    async fn connect(&self, allowed: &Allowed) -> Result<Connection, SendError> {
        let target = &allowed.target;
        let addresses = self.checked_addresses(allowed).await?;
        let time = self.settings.connect_time;
        let bound = self.settings.response_headers;
        let opened = timeout(time, Connection::open(target, &addresses, &self.tls, bound));
        opened.await.unwrap_or_else(|_| {
            let (host, time) = (target.host(), time.as_millis());
            let text = format!("no connection to {host} in {time} ms");
            let tried = list(addresses.iter().map(SocketAddr::ip));
            Err(SendError::Timeout(Reason::with_secret(text, tried)))
        })
    }

    /// The addresses of the request's host that it may reach, at least one.
    async fn checked_addresses(&self, allowed: &Allowed) -> Result<Vec<SocketAddr>, SendError> {
        let target = &allowed.target;
        let found = match target.address() {
            Some(address) => vec![address],
            None => self.addresses(target.host()).await?,
        };
        let reachable: Vec<SocketAddr> = found
            .iter()
            .filter(|address| networks::reachable(**address, &allowed.excepted))
            .map(|address| SocketAddr::new(networks::connected(*address), target.port()))
            .collect();
        if reachable.is_empty() {
            return Err(SendError::Denied(denied_address(target, &found)));
        }
        Ok(connecting::order(&reachable))
    }

    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, SendError> {
        let text = format!("the host {host} has no address");
        match self.resolver.addresses(host).await {
            Ok(found) if !found.is_empty() => Ok(found),
            Ok(_) => Err(SendError::Unresolvable(Reason::new(text))),
            Err(error) => Err(SendError::Unresolvable(Reason::with_secret(text, error))),
        }
    }
}

impl Allowed {
    fn outgoing(&self) -> Outgoing {
        let mut request = hyper::Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.path_and_query.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }
}

fn denied_address(target: &Target, found: &[IpAddr]) -> Reason {
    let host = target.host();
    let text = format!(
        "the host {host} lies in a network that filters do not reach; ask the operator to name \
         its network in the rule for it"
    );
    let with_purpose = |address: &IpAddr| {
        let purpose = networks::blocked(*address).map_or("public", |row| row.purpose);
        format!("{address}: {purpose}")
    };
    Reason::with_secret(text, list(found.iter().map(with_purpose)))
}

fn list(items: impl Iterator<Item = impl ToString>) -> String {
    let texts: Vec<String> = items.map(|item| item.to_string()).collect();
    texts.join(", ")
}

/// One of those who wait, until it is dropped.
struct Waiting<'a>(&'a AtomicU32);

impl<'a> Waiting<'a> {
    fn enter(count: &'a AtomicU32, most: u32) -> Option<Self> {
        let one_more = |now: u32| (now < most).then(|| now + 1);
        count
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .ok()?;
        Some(Waiting(count))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
