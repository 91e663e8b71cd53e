//! The bytes that each hostile receiver sends once it has read the start of a request.

use std::io;
use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::Hostility;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\n";
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
const MIB: usize = 1_048_576;
const SECOND: Duration = Duration::from_secs(1);

pub(super) async fn behave(
    hostility: Hostility,
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    own: SocketAddr,
) -> io::Result<()> {
    match hostility {
        Hostility::NeverAnswers | Hostility::SilentTls => until_closed(stream).await,
        Hostility::DripsHeaders => drip(stream, OK.chunks(1), SECOND).await,
        Hostility::DripsBody => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n").await?;
            drip(stream, [b'x'; 500].chunks(1), SECOND).await
        }
        Hostility::HugeBody => {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", 300 * MIB);
            stream.write_all(head.as_bytes()).await?;
            repeat(stream, &[b'x'; 65_536], 300 * MIB / 65_536).await
        }
        Hostility::EndlessChunks => {
            stream.write_all(CHUNKED).await?;
            repeat(stream, b"1\r\nx\r\n", usize::MAX).await
        }
        Hostility::EndlessHeaders => {
            stream.write_all(OK).await?;
            repeat(stream, b"x-more: and more and more and more\r\n", usize::MAX).await
        }
        Hostility::OneEndlessHeader => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nx-long: ").await?;
            repeat(stream, &[b'x'; 65_536], usize::MAX).await
        }
        Hostility::EndlessContinue | Hostility::EndlessContinueOverTls => {
            repeat(stream, CONTINUE, usize::MAX).await
        }
        Hostility::EndlessEarlyHints => {
            let hint = b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload; as=style\r\n\r\n";
            repeat(stream, hint, usize::MAX).await
        }
        Hostility::DripsContinue => {
            drip(stream, std::iter::repeat(CONTINUE), Duration::from_millis(50)).await
        }
        // The digits are zeros, so that the chunk size never becomes too large a number.
        Hostility::EndlessChunkSize => {
            stream.write_all(CHUNKED).await?;
            repeat(stream, b"0", usize::MAX).await
        }
        Hostility::EndlessChunkExtension => {
            stream.write_all(CHUNKED).await?;
            stream.write_all(b"1;more=").await?;
            repeat(stream, b"x", usize::MAX).await
        }
        Hostility::EndlessTrailers => {
            stream.write_all(CHUNKED).await?;
            stream.write_all(b"1\r\nx\r\n0\r\n").await?;
            repeat(stream, b"x-more: and more and more and more\r\n", usize::MAX).await
        }
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
            until_closed(stream).await
        }
        Hostility::Garbage => repeat(stream, b"\x00\xff\x13\x37 this is not HTTP\n", 10_000).await,
        Hostility::HugeChunkSize => {
            stream.write_all(CHUNKED).await?;
            stream.write_all(b"FFFFFFFFFFFFFFFFF\r\n").await?;
            repeat(stream, &[b'x'; 512], 1).await
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
        // The alert is a fatal `handshake_failure`.
        Hostility::TlsAlert => stream.write_all(b"\x15\x03\x03\x00\x02\x02\x28").await,
        Hostility::BreaksOffItsBody => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").await
        }
        Hostility::ThousandFields => {
            let fields = "x-more: and more\r\n".repeat(1_000);
            stream.write_all(format!("HTTP/1.1 200 OK\r\n{fields}\r\nok").as_bytes()).await
        }
        Hostility::ChunkedInHttp10 => {
            let answer = b"HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
            stream.write_all(answer).await
        }
        Hostility::NoCloseNotify => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nto the end").await?;
            stream.flush().await
        }
        Hostility::ClosesAtOnce | Hostility::Resets => Ok(()),
    }
}

/// Writes the pieces one by one with a pause after each, until the last piece or until the other side closes.
async fn drip<'a>(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    pieces: impl Iterator<Item = &'a [u8]>,
    pause: Duration,
) -> io::Result<()> {
    for piece in pieces {
        stream.write_all(piece).await?;
        if let Ok(closed) = timeout(pause, until_closed(stream)).await {
            return closed;
        }
    }
    Ok(())
}

async fn until_closed(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
    let mut rest = [0; 4_096];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

async fn repeat(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8], times: usize) -> io::Result<()> {
    // Large pieces keep the flood fast: many small writes would slow it down.
    let piece = bytes.repeat((65_536 / bytes.len()).max(1).min(times));
    let pieces = times / (piece.len() / bytes.len()).max(1);
    for _ in 0..pieces {
        stream.write_all(&piece).await?;
    }
    Ok(())
}

/// 300 MiB of zeros, packed into about 300 KiB: a gzip stream may have any number of members.
fn bomb() -> io::Result<Vec<u8>> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(&vec![0; MIB])?;
    Ok(packed.finish()?.repeat(300))
}
