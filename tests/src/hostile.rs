//! Servers that break the rules: raw TCP, one behaviour each.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// The server's behaviour on each connection. It reads the whole request first unless the variant says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// Accepts the connection and neither reads nor writes.
    IgnoresTheRequest,
    /// Reads the request and stays silent.
    NeverAnswers,
    /// Sends a byte of the status line now and then, for ever.
    DripsTheHead,
    /// Sends `200` and then a byte of the body now and then, for ever.
    DripsTheBody,
    /// Sends `200` and 2 KiB at once, then single bytes for ever.
    DripsAfterTwoKib,
    /// Sends `200` and a body without an end, as fast as the sender reads.
    EndlessBody,
    /// Sends header lines without an end.
    EndlessHeaders,
    /// Sends interim answers (`103`) without an end.
    EndlessInterim,
    /// Closes the connection as soon as it is open.
    ClosesAtOnce,
    /// Reads the request and closes the connection without an answer.
    ClosesAfterTheRequest,
    /// Reads the request, closes its own sending side and keeps the connection open.
    HalfCloses,
    /// Sends `200` and a body shorter than announced, then closes.
    BreaksOffTheBody,
    /// Sends `200` and a body shorter than announced, then nothing more.
    StallsInTheBody,
    /// Sends bytes that are no HTTP.
    SpeaksNonsense,
    /// Sends `200` with a body that is not UTF-8.
    InvalidUtf8,
    /// Sends `200` with `content-encoding: gzip` and a body that is not gzip.
    ClaimsGzip,
    /// Sends `200` with a `content-length` that is no number.
    ImpossibleLength,
    /// Sends a proper `200` that allows another request on the connection, and closes the connection all the same.
    AnswersAndHangsUp,
}

/// A hostile server, which stops when it is dropped.
pub struct HostileReceiver {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for HostileReceiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl HostileReceiver {
    /// # Panics
    /// When no port is free.
    pub async fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&connections);
        let server = tokio::spawn(async move {
            // Dropping the set closes all connections, and stopping the server drops the set.
            let mut open = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                // Errors on a connection do not matter: the sender may well close it first.
                open.spawn(async move { drop(behave(behaviour, stream).await) });
            }
        });
        Self { address, connections, server }
    }

    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// The number of connections so far. It equals the number of attempts, since no connection here serves two
    /// requests.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// Reads the request to the end of its body, which `content-length` gives.
async fn read_request(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        request.extend_from_slice(&buffer[..count]);
        let Some(end) = request.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&request[..end]).to_lowercase();
        let length =
            head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
        if request.len() >= end + 4 + length.unwrap_or(0) {
            return Ok(());
        }
    }
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n";

async fn behave(behaviour: Behaviour, mut stream: TcpStream) -> std::io::Result<()> {
    if behaviour == Behaviour::IgnoresTheRequest {
        return forever().await;
    }
    if behaviour == Behaviour::ClosesAtOnce {
        return Ok(());
    }
    read_request(&mut stream).await?;
    match behaviour {
        Behaviour::IgnoresTheRequest | Behaviour::ClosesAtOnce | Behaviour::ClosesAfterTheRequest => Ok(()),
        Behaviour::NeverAnswers => forever().await,
        Behaviour::DripsTheHead => drip(&mut stream, b"HTTP/1.1 200 O").await,
        Behaviour::DripsTheBody => {
            stream.write_all(&[OK, b"content-length: 1000\r\n\r\n"].concat()).await?;
            drip(&mut stream, b"a").await
        }
        Behaviour::DripsAfterTwoKib => {
            stream.write_all(&[OK, b"content-length: 100000\r\n\r\n", &[b'a'; 2048]].concat()).await?;
            drip(&mut stream, b"a").await
        }
        Behaviour::EndlessBody => {
            stream.write_all(&[OK, b"connection: close\r\n\r\n"].concat()).await?;
            flood(&mut stream, &[b'a'; 16 * 1024]).await
        }
        Behaviour::EndlessHeaders => {
            stream.write_all(OK).await?;
            flood(&mut stream, "x-more: aaaaaaaaaaaaaaaaaaaaaaaa\r\n".repeat(500).as_bytes()).await
        }
        Behaviour::EndlessInterim => {
            flood(&mut stream, b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n").await
        }
        Behaviour::HalfCloses => {
            stream.shutdown().await?;
            forever().await
        }
        Behaviour::BreaksOffTheBody => {
            stream.write_all(&[OK, b"content-length: 1000\r\n\r\nonly this"].concat()).await
        }
        Behaviour::StallsInTheBody => {
            stream.write_all(&[OK, b"content-length: 1000\r\n\r\nonly this"].concat()).await?;
            forever().await
        }
        Behaviour::SpeaksNonsense => stream.write_all(b"220 mail.example.com ESMTP\r\n\r\n").await,
        Behaviour::InvalidUtf8 => {
            stream.write_all(&[OK, b"content-length: 8\r\n\r\nok\xff\xfe\xc3ok\xe2"].concat()).await
        }
        Behaviour::ClaimsGzip => {
            stream
                .write_all(&[OK, b"content-encoding: gzip\r\ncontent-length: 9\r\n\r\nnot gzip!"].concat())
                .await
        }
        Behaviour::AnswersAndHangsUp => {
            stream.write_all(&[OK, b"content-length: 2\r\n\r\nok"].concat()).await
        }
        Behaviour::ImpossibleLength => {
            stream.write_all(&[OK, b"content-length: many\r\n\r\nok"].concat()).await
        }
    }
}

async fn forever() -> std::io::Result<()> {
    std::future::pending().await
}

/// Each byte comes long before any idle limit, so only a deadline over the whole request ends this.
async fn drip(stream: &mut TcpStream, text: &[u8]) -> std::io::Result<()> {
    for byte in text.iter().chain(std::iter::repeat(&b' ')) {
        stream.write_all(&[*byte]).await?;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

/// Writes the text for ever, with pauses just long enough to leave the machine to other work.
async fn flood(stream: &mut TcpStream, text: &[u8]) -> std::io::Result<()> {
    loop {
        stream.write_all(text).await?;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
