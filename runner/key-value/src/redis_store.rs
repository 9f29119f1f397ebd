//! The values of one tenant in a Redis that other tenants and runners use too.
//! Every key begins with the tenant's name in braces, and that name contains
//! neither braces nor a colon, so no key of one tenant is one of another.
//!
//! Must not know how a connection is made.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::{Cmd, FromRedisValue, Pipeline, RedisError, cmd};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::clock::milliseconds;
use crate::redis_link::{Link, LinkError, Redis};
use crate::{OpenError, RedisSettings, StoreError};

const NO_ANSWER: StoreError = StoreError::Unavailable("the store did not answer in time");
const NO_CONNECTION: StoreError = StoreError::Unavailable("the store cannot be reached");
const REFUSED: StoreError = StoreError::Unavailable("the store refused the operation");

/// See the head of this file.
pub(crate) struct RedisStore {
    prefix: String,
    shared: Arc<Shared>,
    waiting: Arc<Semaphore>,
    runtime: Handle,
}

/// What operations need that go on without whoever asked.
struct Shared {
    redis: Redis,
    tenant: String,
    timeout: Duration,
    /// One line in the log when it begins to fail, one when it ends.
    failing: AtomicBool,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("no answer in time")]
    TooLate,
    #[error("{0}")]
    NoConnection(#[from] LinkError),
    #[error("{0}")]
    Redis(#[from] RedisError),
}

impl RedisStore {
    pub(crate) fn open(
        settings: RedisSettings,
        tenant: &str,
        runtime: &Handle,
    ) -> Result<Self, OpenError> {
        let shared = Shared {
            redis: Redis::at(&settings.address)?,
            tenant: tenant.to_owned(),
            timeout: settings.timeout,
            failing: AtomicBool::new(false),
        };
        Ok(RedisStore {
            prefix: format!("apisix-filter:{{{tenant}}}:"),
            shared: Arc::new(shared),
            waiting: Arc::new(Semaphore::new(settings.max_waiting)),
            runtime: runtime.clone(),
        })
    }

    pub(crate) async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.ask(self.on(key, "GET")).await
    }

    pub(crate) async fn set(
        &self,
        key: &str,
        value: Vec<u8>,
        lifetime: Option<Duration>,
    ) -> Result<(), StoreError> {
        let mut command = self.on(key, "SET");
        command.arg(value);
        if let Some(lifetime) = lifetime {
            command.arg("PX").arg(milliseconds(lifetime));
        }
        self.ask(command).await
    }

    pub(crate) async fn remove(&self, key: &str) -> Result<(), StoreError> {
        self.ask(self.on(key, "DEL")).await
    }

    /// With a lifetime, in one transaction: a 0 where there is no key, which
    /// gets the lifetime, and then the addition. A script would hand the sum
    /// through a floating-point number.
    pub(crate) async fn increment(
        &self,
        key: &str,
        by: i64,
        lifetime: Option<Duration>,
    ) -> Result<i64, StoreError> {
        let mut addition = self.on(key, "INCRBY");
        addition.arg(by);
        let Some(lifetime) = lifetime else {
            return self.ask(addition).await;
        };
        let mut zero = self.on(key, "SET");
        zero.arg(0).arg("PX").arg(milliseconds(lifetime)).arg("NX");
        let mut transaction = redis::pipe();
        transaction.atomic().add_command(zero).ignore();
        transaction.add_command(addition);
        let (sum,) = self.ask(transaction).await?;
        Ok(sum)
    }

    /// No further operation begins.
    pub(crate) fn close(&self) {
        self.waiting.close();
    }

    fn on(&self, key: &str, name: &str) -> Cmd {
        let mut command = cmd(name);
        command.arg(format!("{}{key}", self.prefix));
        command
    }

    /// Sends and waits on the store's own runtime: whoever asked may go away.
    async fn ask<T>(&self, question: impl Question) -> Result<T, StoreError>
    where
        T: FromRedisValue + Send + 'static,
    {
        let place = self.waiting.clone().try_acquire_owned();
        let place = place.map_err(|error| match error {
            tokio::sync::TryAcquireError::NoPermits => StoreError::Busy,
            tokio::sync::TryAcquireError::Closed => StoreError::Unavailable("the store is closed"),
        })?;
        let shared = self.shared.clone();
        let answered = self.runtime.spawn(async move {
            let _place = place;
            shared.ask(question).await
        });
        answered.await.unwrap_or(Err(NO_CONNECTION))
    }
}

impl Shared {
    async fn ask<T: FromRedisValue>(&self, question: impl Question) -> Result<T, StoreError> {
        let limit = tokio::time::Instant::now() + self.timeout;
        let outcome = match tokio::time::timeout_at(limit, self.redis.link()).await {
            Ok(Ok(link)) => {
                let answer = tokio::time::timeout_at(limit, question.send(&link)).await;
                let outcome = answer.unwrap_or(Err(Failure::TooLate));
                if outcome.as_ref().is_err_and(Failure::ends_the_link) {
                    self.redis.give_up(&link);
                }
                outcome
            }
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(Failure::TooLate),
        };
        self.judge(outcome)
    }

    /// What the guest is told, and what the log.
    fn judge<T>(&self, outcome: Result<T, Failure>) -> Result<T, StoreError> {
        let failure = match outcome {
            Ok(answer) => {
                self.note_success();
                return Ok(answer);
            }
            Err(failure) => failure,
        };
        if let Failure::Redis(error) = &failure
            && let Some(error) = fault_of_the_guest(error)
        {
            self.note_success();
            return Err(error);
        }
        self.note_failure(&failure);
        Err(match failure {
            Failure::TooLate => NO_ANSWER,
            Failure::NoConnection(_) => NO_CONNECTION,
            Failure::Redis(error) if error.is_io_error() => NO_CONNECTION,
            Failure::Redis(_) => REFUSED,
        })
    }

    fn note_success(&self) {
        if self.failing.load(Ordering::Relaxed) && self.failing.swap(false, Ordering::Relaxed) {
            let (address, tenant) = (self.redis.address(), &self.tenant);
            tracing::info!("redis at {address} serves the store of tenant {tenant} again");
        }
    }

    fn note_failure(&self, failure: &Failure) {
        if !self.failing.swap(true, Ordering::Relaxed) {
            let (address, tenant) = (self.redis.address(), &self.tenant);
            tracing::warn!("redis at {address} fails the store of tenant {tenant}: {failure}");
        }
    }
}

impl Failure {
    /// A link that leaves one question without an answer is not trusted with the
    /// next: the other machine may be gone without a word.
    fn ends_the_link(&self) -> bool {
        match self {
            Failure::TooLate => true,
            Failure::NoConnection(_) => false,
            Failure::Redis(error) => error.is_unrecoverable_error(),
        }
    }
}

/// What Redis says where it works and the value is to blame. It has no code for
/// two of these, only texts, which have been the same since Redis 2.6.
fn fault_of_the_guest(error: &RedisError) -> Option<StoreError> {
    let text = error.to_string();
    if error.code() == Some("WRONGTYPE") || text.contains("WRONGTYPE") {
        return Some(StoreError::NotANumber);
    }
    if text.contains("value is not an integer or out of range") {
        return Some(StoreError::NotANumber);
    }
    let overflow = text.contains("increment or decrement would overflow");
    overflow.then_some(StoreError::Overflow)
}

/// One command, or a transaction.
trait Question: Send + 'static {
    fn send<T: FromRedisValue>(
        &self,
        link: &Arc<Link>,
    ) -> impl Future<Output = Result<T, Failure>> + Send;
}

impl Question for Cmd {
    async fn send<T: FromRedisValue>(&self, link: &Arc<Link>) -> Result<T, Failure> {
        Ok(self.query_async(&mut link.connection()).await?)
    }
}

impl Question for Pipeline {
    async fn send<T: FromRedisValue>(&self, link: &Arc<Link>) -> Result<T, Failure> {
        Ok(self.query_async(&mut link.connection()).await?)
    }
}
