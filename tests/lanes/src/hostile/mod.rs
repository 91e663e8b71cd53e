//! Receivers that do harm, on purpose or not. Each sends raw bytes, because no HTTP library would send such answers.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::authority::Authority;

mod behaviour;

use behaviour::behave;

/// The behaviour of a receiver on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hostility {
    NeverAnswers,
    DripsHeaders,
    DripsBody,
    HugeBody,
    EndlessChunks,
    EndlessHeaders,
    OneEndlessHeader,
    EndlessContinue,
    EndlessContinueOverTls,
    EndlessEarlyHints,
    DripsContinue,
    EndlessChunkSize,
    EndlessChunkExtension,
    EndlessTrailers,
    GzipBomb,
    HalfCloses,
    ClosesAtOnce,
    Resets,
    Garbage,
    HugeChunkSize,
    RedirectsToMetadata,
    RedirectsHome,
    InvalidUtf8,
    PlainWhereTlsIsDue,
    SilentTls,
    TlsAlert,
    BreaksOffItsBody,
    ThousandFields,
    ChunkedInHttp10,
    NoCloseNotify,
}

/// The outcome that an attempt at a hostile receiver must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// The attempt got an answer with this status. The answer's body may be broken.
    Answered(u16),
    /// The attempt got no answer, and its error message contains this text.
    Failed(&'static str),
}

impl Hostility {
    pub const ALL: [Self; 30] = [
        Self::NeverAnswers,
        Self::DripsHeaders,
        Self::DripsBody,
        Self::HugeBody,
        Self::EndlessChunks,
        Self::EndlessHeaders,
        Self::OneEndlessHeader,
        Self::EndlessContinue,
        Self::EndlessContinueOverTls,
        Self::EndlessEarlyHints,
        Self::DripsContinue,
        Self::EndlessChunkSize,
        Self::EndlessChunkExtension,
        Self::EndlessTrailers,
        Self::GzipBomb,
        Self::HalfCloses,
        Self::ClosesAtOnce,
        Self::Resets,
        Self::Garbage,
        Self::HugeChunkSize,
        Self::RedirectsToMetadata,
        Self::RedirectsHome,
        Self::InvalidUtf8,
        Self::PlainWhereTlsIsDue,
        Self::SilentTls,
        Self::TlsAlert,
        Self::BreaksOffItsBody,
        Self::ThousandFields,
        Self::ChunkedInHttp10,
        Self::NoCloseNotify,
    ];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NeverAnswers => "never answers",
            Self::DripsHeaders => "drips headers, a byte a second",
            Self::DripsBody => "drips its body, a byte a second",
            Self::HugeBody => "answers 300 MiB",
            Self::EndlessChunks => "answers without end",
            Self::EndlessHeaders => "sends headers without end",
            Self::OneEndlessHeader => "sends one header without end",
            Self::EndlessContinue => "says 100 Continue without end",
            Self::EndlessContinueOverTls => "says 100 Continue without end, over TLS",
            Self::EndlessEarlyHints => "says 103 Early Hints without end",
            Self::DripsContinue => "says 100 Continue, 20 a second",
            Self::EndlessChunkSize => "sends a chunk size without end",
            Self::EndlessChunkExtension => "sends a chunk extension without end",
            Self::EndlessTrailers => "sends trailers without end",
            Self::GzipBomb => "answers 300 MiB, gzipped",
            Self::HalfCloses => "half-closes without an answer",
            Self::ClosesAtOnce => "closes at once",
            Self::Resets => "resets after the request",
            Self::Garbage => "speaks no HTTP",
            Self::HugeChunkSize => "claims a chunk of 2^64 bytes",
            Self::RedirectsToMetadata => "redirects to instance metadata",
            Self::RedirectsHome => "redirects to loopback",
            Self::InvalidUtf8 => "answers invalid UTF-8",
            Self::PlainWhereTlsIsDue => "plain HTTP where TLS is due",
            Self::SilentTls => "never answers the TLS handshake",
            Self::TlsAlert => "refuses the TLS handshake",
            Self::BreaksOffItsBody => "breaks its body off",
            Self::ThousandFields => "sends 1,000 header fields",
            Self::ChunkedInHttp10 => "answers in chunks under HTTP 1.0",
            Self::NoCloseNotify => "ends TLS without a close_notify",
        }
    }

    #[must_use]
    pub const fn scheme(self) -> &'static str {
        match self {
            Self::EndlessContinueOverTls
            | Self::PlainWhereTlsIsDue
            | Self::SilentTls
            | Self::TlsAlert
            | Self::NoCloseNotify => "https",
            _ => "http",
        }
    }

    #[must_use]
    pub const fn expected(self) -> Expected {
        match self {
            Self::DripsBody
            | Self::HugeBody
            | Self::EndlessChunks
            | Self::EndlessChunkSize
            | Self::EndlessChunkExtension
            | Self::EndlessTrailers
            | Self::HugeChunkSize
            | Self::GzipBomb
            | Self::InvalidUtf8
            | Self::BreaksOffItsBody
            | Self::ThousandFields
            | Self::ChunkedInHttp10
            | Self::NoCloseNotify => Expected::Answered(200),
            Self::RedirectsToMetadata => Expected::Answered(302),
            Self::RedirectsHome => Expected::Answered(307),
            Self::NeverAnswers => Expected::Failed("no answer within 1 s"),
            Self::DripsHeaders | Self::DripsContinue => {
                Expected::Failed("no complete head of an answer within 1 s")
            }
            Self::SilentTls => Expected::Failed("no complete TLS handshake within 1 s"),
            Self::PlainWhereTlsIsDue => Expected::Failed("was not TLS"),
            Self::TlsAlert => Expected::Failed("common cipher suite"),
            // The error of a flood depends on the machine: either the head reaches its size limit first, or the time
            // is up.
            _ => Expected::Failed(""),
        }
    }
}

/// One connection. It begins when the receiver accepts it, and ends when the receiver closes it or sees the other
/// side close it.
#[derive(Debug, Clone, Copy)]
struct Connection {
    began: Instant,
    ended: Option<Instant>,
}

type Connections = Arc<Mutex<Vec<Connection>>>;

fn lock(connections: &Connections) -> MutexGuard<'_, Vec<Connection>> {
    connections.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A hostile receiver. It stops when it is dropped. It runs on a thread of its own, because its flood must not slow
/// the test down.
#[derive(Debug)]
pub struct HostileReceiver {
    pub address: SocketAddr,
    connections: Connections,
    stop: Arc<Notify>,
}

impl Drop for HostileReceiver {
    fn drop(&mut self) {
        self.stop.notify_one();
    }
}

impl HostileReceiver {
    /// # Errors
    /// When no port is free or no thread can be started.
    pub fn start(hostility: Hostility, authority: &Authority) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let connections = Connections::default();
        let stop: Arc<Notify> = Arc::default();
        let (noted, stopped) = (Arc::clone(&connections), Arc::clone(&stop));
        let behaviour = Behaviour { hostility, own: address, tls: authority.acceptor() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().spawn(move || {
            runtime.block_on(async move {
                tokio::select! {
                    () = stopped.notified() => {}
                    () = accept(behaviour, listener, noted) => {}
                }
            });
        })?;
        Ok(Self { address, connections, stop })
    }

    /// The number of connections. It must equal the number of attempts, because no hostile receiver lets the function
    /// use a connection twice.
    #[must_use]
    pub fn connections(&self) -> usize {
        lock(&self.connections).len()
    }

    /// Waits for the first connection, and returns the time at which it came.
    pub async fn first_connection(&self) -> Instant {
        loop {
            if let Some(first) = lock(&self.connections).first() {
                return first.began;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The length of the longest connection.
    #[must_use]
    pub fn longest_connection(&self) -> Duration {
        let now = Instant::now();
        let connections = lock(&self.connections);
        let lengths = connections.iter().map(|one| one.ended.unwrap_or(now) - one.began);
        lengths.max().unwrap_or_default()
    }
}

#[derive(Clone)]
struct Behaviour {
    hostility: Hostility,
    own: SocketAddr,
    tls: tokio_rustls::TlsAcceptor,
}

async fn accept(behaviour: Behaviour, listener: std::net::TcpListener, noted: Connections) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    let mut open = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let index = {
            let mut noted = lock(&noted);
            noted.push(Connection { began: Instant::now(), ended: None });
            noted.len() - 1
        };
        let (behaviour, noted) = (behaviour.clone(), Arc::clone(&noted));
        open.spawn(async move {
            // An error ends the connection too.
            drop(behaviour.meet(stream).await);
            lock(&noted)[index].ended = Some(Instant::now());
        });
    }
}

impl Behaviour {
    async fn meet(self, mut stream: TcpStream) -> io::Result<()> {
        match self.hostility {
            Hostility::ClosesAtOnce => Ok(()),
            Hostility::Resets => {
                read_request(&mut stream).await?;
                stream.set_zero_linger()
            }
            Hostility::EndlessContinueOverTls | Hostility::NoCloseNotify => {
                let mut stream = self.tls.accept(stream).await?;
                read_request(&mut stream).await?;
                behave(self.hostility, &mut stream, self.own).await
            }
            _ => {
                read_request(&mut stream).await?;
                behave(self.hostility, &mut stream, self.own).await
            }
        }
    }
}

async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
    let mut request = [0; 4_096];
    stream.read(&mut request).await.map(drop)
}
