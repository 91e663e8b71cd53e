//! Receivers that mean harm, or might as well. Each speaks raw bytes, because no HTTP library would.

use std::io;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// What a receiver does once it has a connection.
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
}

/// What an attempt there must come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// A whole answer, or as much as is read of one, with this status.
    Answered(u16),
    /// No whole answer; the reason contains this.
    Failed(&'static str),
}

impl Hostility {
    pub const ALL: [Self; 20] = [
        Self::NeverAnswers,
        Self::DripsHeaders,
        Self::DripsBody,
        Self::HugeBody,
        Self::EndlessChunks,
        Self::EndlessHeaders,
        Self::OneEndlessHeader,
        Self::EndlessContinue,
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
        }
    }

    #[must_use]
    pub const fn scheme(self) -> &'static str {
        match self {
            Self::PlainWhereTlsIsDue | Self::SilentTls | Self::TlsAlert => "https",
            _ => "http",
        }
    }

    #[must_use]
    pub const fn expected(self) -> Expected {
        match self {
            Self::HugeBody | Self::EndlessChunks | Self::GzipBomb | Self::InvalidUtf8 => {
                Expected::Answered(200)
            }
            Self::RedirectsToMetadata => Expected::Answered(302),
            Self::RedirectsHome => Expected::Answered(307),
            Self::NeverAnswers
            | Self::DripsHeaders
            | Self::DripsBody
            | Self::EndlessContinue
            | Self::SilentTls => Expected::Failed("no complete answer"),
            Self::PlainWhereTlsIsDue | Self::TlsAlert => Expected::Failed("TLS"),
            _ => Expected::Failed(""),
        }
    }
}

/// A hostile receiver; it stops when dropped. It has a thread of its own: a flood must not slow the test down.
#[derive(Debug)]
pub struct HostileReceiver {
    pub address: SocketAddr,
    connections: Arc<AtomicU32>,
    stop: Arc<Notify>,
}

impl Drop for HostileReceiver {
    fn drop(&mut self) {
        self.stop.notify_one();
    }
}

impl HostileReceiver {
    /// # Errors
    /// When no port or no thread can be had.
    pub fn start(hostility: Hostility) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let connections: Arc<AtomicU32> = Arc::default();
        let stop: Arc<Notify> = Arc::default();
        let (counted, stopped) = (Arc::clone(&connections), Arc::clone(&stop));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().spawn(move || {
            runtime.block_on(async move {
                tokio::select! {
                    () = stopped.notified() => {}
                    () = accept(hostility, listener, address, &counted) => {}
                }
            });
        })?;
        Ok(Self { address, connections, stop })
    }

    /// How many connections came: no more than attempts, for none of these lets one be used again.
    #[must_use]
    pub fn connections(&self) -> u32 {
        self.connections.load(Ordering::Relaxed)
    }
}

async fn accept(hostility: Hostility, listener: std::net::TcpListener, own: SocketAddr, counted: &AtomicU32) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    let mut open = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        counted.fetch_add(1, Ordering::Relaxed);
        // However it ends, it has ended.
        open.spawn(async move { drop(behave(hostility, stream, own).await) });
    }
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\n";
const MIB: usize = 1_048_576;

async fn behave(hostility: Hostility, mut stream: TcpStream, own: SocketAddr) -> io::Result<()> {
    if hostility == Hostility::ClosesAtOnce {
        return Ok(());
    }
    let mut request = [0; 4_096];
    let _ = stream.read(&mut request).await?;
    match hostility {
        Hostility::NeverAnswers | Hostility::SilentTls => std::future::pending().await,
        Hostility::DripsHeaders => drip(&mut stream, OK).await,
        Hostility::DripsBody => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n").await?;
            drip(&mut stream, &[b'x'; 500]).await
        }
        Hostility::HugeBody => {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", 300 * MIB);
            stream.write_all(head.as_bytes()).await?;
            repeat(&mut stream, &[b'x'; 65_536], 300 * MIB / 65_536).await
        }
        Hostility::EndlessChunks => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await?;
            repeat(&mut stream, b"1\r\nx\r\n", usize::MAX).await
        }
        Hostility::EndlessHeaders => {
            stream.write_all(OK).await?;
            repeat(&mut stream, b"x-more: and more and more and more\r\n", usize::MAX).await
        }
        Hostility::OneEndlessHeader => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nx-long: ").await?;
            repeat(&mut stream, &[b'x'; 65_536], usize::MAX).await
        }
        Hostility::EndlessContinue => repeat(&mut stream, b"HTTP/1.1 100 Continue\r\n\r\n", usize::MAX).await,
        Hostility::GzipBomb => {
            let bomb = bomb()?;
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
                bomb.len()
            );
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(&bomb).await
        }
        Hostility::HalfCloses => {
            stream.shutdown().await?;
            std::future::pending().await
        }
        Hostility::Resets => stream.set_zero_linger(),
        Hostility::Garbage => repeat(&mut stream, b"\x00\xff\x13\x37 this is not HTTP\n", 10_000).await,
        Hostility::HugeChunkSize => {
            let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n";
            stream.write_all(head).await?;
            repeat(&mut stream, &[b'x'; 512], 1).await
        }
        Hostility::RedirectsToMetadata => {
            let answer = b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/latest/meta-data/\r\n\
                content-length: 0\r\nconnection: close\r\n\r\n";
            stream.write_all(answer).await
        }
        Hostility::RedirectsHome => {
            let answer = format!(
                "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://{own}/again\r\ncontent-length: 0\r\n\
                 connection: close\r\n\r\n"
            );
            stream.write_all(answer.as_bytes()).await
        }
        Hostility::InvalidUtf8 => {
            let head = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\n";
            stream.write_all(head).await?;
            stream.write_all(b"\xff\xfe\x80a\xc3(").await
        }
        Hostility::PlainWhereTlsIsDue => {
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await
        }
        // A fatal handshake_failure.
        Hostility::TlsAlert => stream.write_all(b"\x15\x03\x03\x00\x02\x02\x28").await,
        Hostility::ClosesAtOnce => Ok(()),
    }
}

async fn drip(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    for byte in bytes {
        stream.write_all(&[*byte]).await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Ok(())
}

async fn repeat(stream: &mut TcpStream, bytes: &[u8], times: usize) -> io::Result<()> {
    // In pieces of some size, or the cost of writing would slow the flood down.
    let piece = bytes.repeat((65_536 / bytes.len()).max(1).min(times));
    let pieces = times / (piece.len() / bytes.len()).max(1);
    for _ in 0..pieces {
        stream.write_all(&piece).await?;
    }
    Ok(())
}

/// 300 MiB of nothing in about 300 KiB: a gzip stream may have any number of members.
fn bomb() -> io::Result<Vec<u8>> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(&vec![0; MIB])?;
    Ok(packed.finish()?.repeat(300))
}
