//! Connections: so many at a time, so that they leave files to the store, and none that says
//! nothing.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::{Stream, stream};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};
use tonic::transport::server::{Connected, TcpConnectInfo};

use crate::telemetry;

/// The most connections unless the settings say otherwise.
pub(super) const CONNECTIONS_MAX: usize = 10_000;
/// How long a connection may take to say that it speaks HTTP.
pub(super) const PREFACE_MAX: Duration = Duration::from_secs(10);
/// What it says then at least, in bytes (RFC 9113, section 3.4).
const PREFACE_BYTES: usize = 24;
/// How long nobody is accepted when the system refuses: it has no files left, or no memory.
const PAUSE: Duration = Duration::from_secs(1);

/// How many connections there may be: what the settings say, or half of the files that the process
/// may have open.
pub(super) fn most(wanted: usize) -> usize {
    match wanted {
        0 => usize::try_from(files_max() / 2).unwrap_or(usize::MAX).clamp(1, CONNECTIONS_MAX),
        wanted => wanted,
    }
}

/// How many files the process may have open, after asking the system for as many as it gives.
fn files_max() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum
        && setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok()
    {
        return maximum.unwrap_or(u64::MAX);
    }
    current.unwrap_or(u64::MAX)
}

/// Whom it is told how many connections there are more or less, and how many were refused.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tell {
    pub(super) more: fn(f64),
    pub(super) refused: fn(u64),
}

/// Callers are counted.
pub(super) const CALLERS: Tell =
    Tell { more: telemetry::connections, refused: telemetry::connections_refused };

/// Accepts connections, `most` at a time; those beyond are closed at once.
pub(super) fn accept(
    listener: TcpListener,
    most: usize,
    tell: Tell,
) -> impl Stream<Item = io::Result<Connection>> {
    let places = Arc::new(Semaphore::new(most));
    // From now on both are exported.
    (tell.more)(0.0);
    (tell.refused)(0);
    stream::unfold((listener, places), move |(listener, places)| async move {
        loop {
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) if is_of_one(&error) => continue,
                Err(error) => {
                    tracing::warn!("no connection can be accepted: {error}");
                    sleep(PAUSE).await;
                    continue;
                }
            };
            let Ok(place) = places.clone().try_acquire_owned() else {
                (tell.refused)(1);
                continue;
            };
            // Without it an answer waits some 40 ms for the acknowledgement of its first packet.
            let connection =
                stream.set_nodelay(true).map(|()| Connection::new(stream, place, tell));
            if let Ok(connection) = connection {
                return Some((Ok(connection), (listener, places)));
            }
        }
    })
}

/// Whether an error is one of the connection that was accepted, and not of those that come.
fn is_of_one(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// A connection, and its place.
pub(super) struct Connection {
    stream: TcpStream,
    /// Until it has said so much: how much is missing, and when it is closed.
    silent: Option<(usize, Pin<Box<Sleep>>)>,
    _counted: Counted,
}

/// Counts a connection for as long as it is there.
struct Counted {
    tell: Tell,
    _place: OwnedSemaphorePermit,
}

impl Drop for Counted {
    fn drop(&mut self) {
        (self.tell.more)(-1.0);
    }
}

impl Connection {
    fn new(stream: TcpStream, place: OwnedSemaphorePermit, tell: Tell) -> Self {
        (tell.more)(1.0);
        let silent = Some((PREFACE_BYTES, Box::pin(sleep(PREFACE_MAX))));
        Self { stream, silent, _counted: Counted { tell, _place: place } }
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some((_, closes)) = &mut self.silent
            && closes.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if let Some((missing, _)) = &mut self.silent {
            *missing = missing.saturating_sub(buf.filled().len() - before);
            if *missing == 0 {
                self.silent = None;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::StreamExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::{CALLERS, PREFACE_MAX, accept};

    #[tokio::test]
    async fn connections_beyond_the_limit_are_closed_until_one_ends() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut accepted = Box::pin(accept(listener, 1, CALLERS));
        let _first = TcpStream::connect(address).await.unwrap();
        let held = accepted.next().await.unwrap().unwrap();
        let mut second = TcpStream::connect(address).await.unwrap();
        let mut answer = [0; 1];
        let closed = tokio::select! {
            biased;
            _ = accepted.next() => panic!("there is one place"),
            read = second.read(&mut answer) => read,
        };
        assert!(matches!(closed, Ok(0) | Err(_)), "{closed:?}");
        drop(held);
        let _third = TcpStream::connect(address).await.unwrap();
        assert!(accepted.next().await.unwrap().is_ok(), "its place is free");
    }

    #[tokio::test]
    async fn a_connection_that_says_nothing_is_closed_and_one_that_speaks_stays() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut accepted = Box::pin(accept(listener, 2, CALLERS));
        let mut speaks = TcpStream::connect(address).await.unwrap();
        let mut spoken = accepted.next().await.unwrap().unwrap();
        let _silent = TcpStream::connect(address).await.unwrap();
        let mut unspoken = accepted.next().await.unwrap().unwrap();
        speaks.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        let mut said = [0; 24];
        spoken.read_exact(&mut said).await.unwrap();
        tokio::time::pause();
        tokio::time::advance(PREFACE_MAX + Duration::from_secs(1)).await;
        assert!(unspoken.read_u8().await.is_err());
        tokio::time::resume();
        speaks.write_all(b"x").await.unwrap();
        assert_eq!(spoken.read_u8().await.unwrap(), b'x');
    }
}
