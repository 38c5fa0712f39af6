//! Connections: accepted, timed, drained.
//!
//! An idle connection costs its socket and a few KiB; no timer runs for it. A request that has begun must bring its
//! whole head within seconds ([`Limits`]); its body is timed where it is read (`request.rs`).

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep, sleep, sleep_until};

/// How long what may last.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// The head of a request must be there this long after its first byte.
    head_within: Duration,
    /// What still runs this long after a stop was asked for is closed.
    drain_within: Duration,
}

const LIMITS: Limits = Limits { head_within: Duration::from_secs(10), drain_within: Duration::from_secs(10) };
/// Pause after a failed accept: out of file descriptors, it would fail again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Headers of one request.
const HEADERS_MAX: usize = 100;
/// Bytes buffered of one request's head.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Serves connections until `shutdown` resolves, then lets running requests finish.
pub async fn serve(listener: TcpListener, router: Router, shutdown: impl Future<Output = ()>) {
    serve_within(listener, router, shutdown, LIMITS).await;
}

async fn serve_within(listener: TcpListener, router: Router, shutdown: impl Future<Output = ()>, limits: Limits) {
    let mut http = http1::Builder::new();
    http.keep_alive(true)
        .pipeline_flush(true)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .header_read_timeout(None);
    let service = TowerToHyperService::new(router);
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let connection = connection(&http, stream, service.clone(), &graceful, limits);
                    connections.spawn(connection);
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    // Refuse what comes now; requests that have begun finish, idle connections close at once.
    drop(listener);
    tokio::select! {
        () = graceful.shutdown() => {}
        () = sleep(limits.drain_within) => {
            tracing::warn!(connections = connections.len(), "requests were still running when time was up: closed");
        }
    }
    connections.shutdown().await;
}

fn connection(
    http: &http1::Builder,
    stream: TcpStream,
    service: TowerToHyperService<Router>,
    graceful: &GracefulShutdown,
    limits: Limits,
) -> impl Future<Output = ()> + Send + use<> {
    // Answers are small and written whole: waiting to fill a segment would only delay them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no TCP_NODELAY");
    }
    let phase = Phase::default();
    let timed = Timed { inner: stream, phase: phase.clone(), deadline: None, head_within: limits.head_within };
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        phase.set(BUSY);
        let (phase, answer) = (phase.clone(), hyper::service::Service::call(&service, request));
        async move {
            let answer = answer.await;
            phase.set(IDLE);
            answer
        }
    });
    let connection = graceful.watch(http.serve_connection(TokioIo::new(timed), service));
    async move {
        if let Err(error) = connection.await {
            // Clients that go away in the middle are everyday life.
            tracing::debug!(%error, "a connection ended early");
        }
    }
}

/// Nothing of a request is there.
const IDLE: u8 = 0;
/// A request's head is coming in.
const HEAD: u8 = 1;
/// A request is being served.
const BUSY: u8 = 2;

/// Where a connection stands, shared between its socket and its service.
#[derive(Clone, Default)]
struct Phase(Arc<AtomicU8>);

impl Phase {
    fn set(&self, phase: u8) {
        self.0.store(phase, Ordering::Relaxed);
    }

    fn get(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A socket that gives up on a head that does not come to its end. A timer is made only when a head came in parts.
struct Timed<S> {
    inner: S,
    phase: Phase,
    deadline: Option<Pin<Box<Sleep>>>,
    head_within: Duration,
}

impl<S: AsyncRead + Unpin> AsyncRead for Timed<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        if let Poll::Ready(read) = Pin::new(&mut self.inner).poll_read(cx, buf) {
            if buf.filled().len() > before && self.phase.get() == IDLE {
                self.phase.set(HEAD);
                self.deadline = None;
            }
            return Poll::Ready(read);
        }
        if self.phase.get() != HEAD {
            self.deadline = None;
            return Poll::Pending;
        }
        let until = Instant::now() + self.head_within;
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep_until(until)));
        ready!(deadline.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the head of a request did not come in time")))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Timed<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::{get, post};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::oneshot;

    const SHORT: Limits = Limits { head_within: Duration::from_millis(200), drain_within: Duration::from_millis(200) };

    async fn start() -> (std::net::SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/ping", get(|| async { "pong" }))
            .route("/body", post(|body: axum::body::Bytes| async move { body.len().to_string() }));
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async {
            let _ = stopped.await;
        };
        let served = tokio::spawn(serve_within(listener, router, shutdown, SHORT));
        (address, stop, served)
    }

    fn run(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
    }

    async fn answer(stream: &mut TcpStream, request: &str) -> String {
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = vec![0; 4096];
        let read = stream.read(&mut text).await.unwrap();
        String::from_utf8_lossy(&text[..read]).into_owned()
    }

    #[test]
    fn connections_are_kept_and_pipelined_requests_answered_in_order() {
        run(async {
            let (address, stop, served) = start().await;
            let mut stream = TcpStream::connect(address).await.unwrap();
            let ping = "GET /ping HTTP/1.1\r\nHost: x\r\n\r\n";
            for _ in 0..3 {
                assert!(answer(&mut stream, ping).await.ends_with("pong"));
            }
            let two = answer(&mut stream, &format!("{ping}{ping}")).await;
            assert_eq!(two.matches("pong").count(), 2, "{two}");
            drop(stop);
            served.await.unwrap();
            assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0, "an idle connection closes when serving ends");
        });
    }

    #[test]
    fn a_half_sent_body_does_not_hold_the_drain() {
        run(async {
            let (address, stop, served) = start().await;
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf").await.unwrap();
            sleep(Duration::from_millis(50)).await;
            drop(stop);
            let drained = tokio::time::timeout(Duration::from_secs(5), served).await;
            assert!(drained.is_ok(), "the drain was held");
        });
    }

    #[test]
    fn a_head_that_never_ends_is_given_up_and_an_idle_connection_is_not() {
        run(async {
            let (address, _stop, _served) = start().await;
            let mut slow = TcpStream::connect(address).await.unwrap();
            let mut idle = TcpStream::connect(address).await.unwrap();
            slow.write_all(b"GET /ping HT").await.unwrap();
            let mut rest = Vec::new();
            let closed = tokio::time::timeout(Duration::from_secs(5), slow.read_to_end(&mut rest)).await;
            assert!(closed.is_ok(), "the slow one is still open");
            assert!(answer(&mut idle, "GET /ping HTTP/1.1\r\nHost: x\r\n\r\n").await.ends_with("pong"));
        });
    }
}
