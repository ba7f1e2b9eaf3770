//! Connections: how many there may be, altogether and from one origin, and how long one may be
//! silent before its first call.
//!
//! ```text
//! listener ──► Incoming (admits or closes) ──► TLS ──► HTTP/2 ──► Noticed ──► service
//! ```
//!
//! A connection counts from its acceptance until it is closed, whatever it does in between.

use std::collections::HashMap;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::Stream;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};
use tonic::Extensions;
use tonic::codegen::Service;
use tonic::codegen::http::Request;
use tonic::server::NamedService;
use tonic::transport::server::{Connected, TcpIncoming};

use crate::origin::Origin;

/// How long no connection is accepted after an attempt failed, for want of file handles, say.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The bounds of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionBounds {
    /// Connections of all peers.
    pub total_max: usize,
    /// Connections from one origin.
    pub per_origin_max: usize,
    /// How long a connection may exist before a call arrives on it, TLS and HTTP/2 included.
    pub first_call_within: Duration,
}

/// The peer of a connection; an extension of each of its requests.
#[derive(Debug, Clone)]
pub struct Peer {
    address: Option<SocketAddr>,
    has_called: Arc<AtomicBool>,
}

/// The address a request comes from.
pub fn peer_address(extensions: &Extensions) -> Option<SocketAddr> {
    extensions.get::<Peer>().and_then(|peer| peer.address)
}

/// The connections that are let in.
#[derive(Debug)]
pub struct Incoming {
    listener: TcpIncoming,
    admission: Arc<Admission>,
    first_call_within: Duration,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Incoming {
    /// Lets in what `listener` accepts, within `bounds`.
    pub fn new(listener: TcpIncoming, bounds: ConnectionBounds) -> Self {
        Self {
            listener,
            admission: Arc::new(Admission { bounds, open: Mutex::default() }),
            first_call_within: bounds.first_call_within,
            pause: None,
        }
    }

    /// The connection, unless there are too many; it is closed then.
    fn admit(&self, stream: TcpStream) -> Option<Connection> {
        let address = stream.peer_addr().ok();
        let origin = Origin::of(address.map(|address| address.ip()));
        let permit = match Admission::enter(&self.admission, origin) {
            Ok(permit) => permit,
            Err(full) => {
                metrics::counter!("kalamdb_connections_refused_total", "full" => full).increment(1);
                tracing::debug!(?address, full, "too many connections, one was closed");
                return None;
            }
        };
        let peer = Peer { address, has_called: Arc::default() };
        let silence_ends = Some(Box::pin(sleep(self.first_call_within)));
        Some(Connection { stream, peer, silence_ends, _permit: permit })
    }
}

impl Stream for Incoming {
    type Item = io::Result<Connection>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(context));
                self.pause = None;
            }
            match ready!(Pin::new(&mut self.listener).poll_next(context)) {
                Some(Ok(stream)) => {
                    if let Some(connection) = self.admit(stream) {
                        return Poll::Ready(Some(Ok(connection)));
                    }
                }
                Some(Err(error)) if is_the_peers(&error) => {}
                Some(Err(error)) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    self.pause = Some(Box::pin(sleep(ACCEPT_PAUSE)));
                }
                None => return Poll::Ready(None),
            }
        }
    }
}

/// True when a peer that gave up made accepting its connection fail.
fn is_the_peers(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

/// Counts connections.
#[derive(Debug)]
struct Admission {
    bounds: ConnectionBounds,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    by_origin: HashMap<Origin, usize>,
}

impl Admission {
    /// A place for one more connection, or the name of the bound that has been reached.
    fn enter(admission: &Arc<Self>, origin: Origin) -> Result<Permit, &'static str> {
        let mut open = admission.open.lock();
        if open.total >= admission.bounds.total_max {
            return Err("max_connections");
        }
        let of_origin = open.by_origin.get(&origin).copied().unwrap_or_default();
        if of_origin >= admission.bounds.per_origin_max {
            return Err("max_connections_per_peer");
        }
        open.total += 1;
        open.by_origin.insert(origin, of_origin + 1);
        metrics::gauge!("kalamdb_connections_open").set(open.total as f64);
        Ok(Permit { admission: Arc::clone(admission), origin })
    }
}

/// A connection's place; free again when dropped.
#[derive(Debug)]
struct Permit {
    admission: Arc<Admission>,
    origin: Origin,
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut open = self.admission.open.lock();
        open.total -= 1;
        if let Some(count) = open.by_origin.get_mut(&self.origin) {
            *count -= 1;
            if *count == 0 {
                open.by_origin.remove(&self.origin);
            }
        }
        metrics::gauge!("kalamdb_connections_open").set(open.total as f64);
    }
}

/// A connection that was let in. Reading from it fails when its first call is late.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    peer: Peer,
    silence_ends: Option<Pin<Box<Sleep>>>,
    _permit: Permit,
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Some(silence_ends) = &mut this.silence_ends {
            if this.peer.has_called.load(Ordering::Relaxed) {
                this.silence_ends = None;
            } else if silence_ends.as_mut().poll(context).is_ready() {
                metrics::counter!("kalamdb_connections_silent_total").increment(1);
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        Pin::new(&mut this.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// A service that takes note of which connections its calls come from.
#[derive(Debug, Clone)]
pub struct Noticed<S>(pub S);

impl<S: NamedService> NamedService for Noticed<S> {
    const NAME: &'static str = S::NAME;
}

impl<S, B> Service<Request<B>> for Noticed<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if let Some(peer) = request.extensions().get::<Peer>() {
            peer.has_called.store(true, Ordering::Relaxed);
        }
        self.0.call(request)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;

    fn origin(address: &str) -> Origin {
        Origin::of(Some(address.parse().unwrap()))
    }

    #[test]
    fn places_are_bounded_altogether_and_by_origin_and_given_back() {
        let bounds = ConnectionBounds {
            total_max: 3,
            per_origin_max: 2,
            first_call_within: Duration::from_secs(1),
        };
        let admission = Arc::new(Admission { bounds, open: Mutex::default() });
        let (one, two) = (origin("192.0.2.1"), origin("192.0.2.2"));
        let first = Admission::enter(&admission, one).unwrap();
        let _second = Admission::enter(&admission, one).unwrap();
        assert_eq!(Admission::enter(&admission, one).unwrap_err(), "max_connections_per_peer");
        let third = Admission::enter(&admission, two).unwrap();
        assert_eq!(Admission::enter(&admission, two).unwrap_err(), "max_connections");
        drop(first);
        let _again = Admission::enter(&admission, one).unwrap();
        drop(third);
        assert!(!admission.open.lock().by_origin.contains_key(&two), "nothing is kept");
    }

    #[tokio::test]
    async fn a_connection_that_calls_is_not_silent_any_more() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let bounds = ConnectionBounds {
            total_max: 2,
            per_origin_max: 2,
            first_call_within: Duration::from_millis(50),
        };
        let mut incoming = Incoming::new(TcpIncoming::from(listener), bounds);
        let _clients = [
            TcpStream::connect(address).await.unwrap(),
            TcpStream::connect(address).await.unwrap(),
        ];
        let mut next = async || futures::StreamExt::next(&mut incoming).await.unwrap().unwrap();
        let (mut calls, mut silent) = (next().await, next().await);
        calls.peer.has_called.store(true, Ordering::Relaxed);
        let error = silent.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        // Its time was up before the silent one's, and reading from it still waits.
        let read = futures::FutureExt::now_or_never(calls.read_u8());
        assert!(read.is_none(), "{read:?}");
    }
}
