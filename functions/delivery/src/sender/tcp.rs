//! Connections to receivers, below TLS: to checked addresses only, and read no further than the attempt's allowance.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use echo_shared::address::AddressRules;
use hyper::Uri;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, ServiceExt, service_fn};

use crate::sender::allowance::Allowance;
use crate::sender::resolver::addresses;

/// Connects to the host of a URL.
pub(crate) type Tcp = BoxCloneSyncService<Uri, TokioIo<Allowed>, BoxError>;

pub(crate) fn connector(rules: AddressRules, allowance: Allowance) -> Tcp {
    let resolver = service_fn(move |name: Name| {
        let rules = rules.clone();
        async move {
            let permitted = addresses(name.as_str(), &rules).await?;
            // Port 0 leaves the port to the URL.
            Ok::<_, BoxError>(permitted.into_iter().map(|ip| SocketAddr::new(ip, 0)))
        }
    });
    let mut tcp = HttpConnector::new_with_resolver(resolver);
    tcp.set_nodelay(true);
    tcp.enforce_http(false);
    let allowed = move |tcp: TokioIo<TcpStream>| {
        TokioIo::new(Allowed { tcp: tcp.into_inner(), allowance: allowance.clone() })
    };
    BoxCloneSyncService::new(tcp.map_response(allowed).map_err(BoxError::from))
}

/// A connection that fails to read once its attempt's allowance is spent.
#[derive(Debug)]
pub(crate) struct Allowed {
    tcp: TcpStream,
    allowance: Allowance,
}

impl AsyncRead for Allowed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.allowance.check(Instant::now())?;
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.tcp).poll_read(context, buffer))?;
        self.allowance.take(buffer.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Allowed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(context, slices)
    }
}

impl Connection for Allowed {
    fn connected(&self) -> Connected {
        self.tcp.connected()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::sender::allowance::Spent;

    #[tokio::test]
    async fn a_read_fails_once_the_allowance_is_spent_though_there_is_more() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/", listener.local_addr().expect("an address"));
        let allowance = Allowance::none();
        let connector = connector(AddressRules::default(), allowance.clone());
        let connecting = connector.oneshot(url.parse().expect("a URL"));
        let (connection, accepted) = tokio::join!(connecting, listener.accept());
        let mut connection = connection.expect("a connection").into_inner();
        let mut receiver = accepted.expect("a connection").0;
        receiver.write_all(b"twelve bytes").await.expect("room for twelve");
        let mut read = [0; 4];

        allowance.renew(Instant::now() + Duration::from_secs(60));
        connection.read_exact(&mut read).await.expect("four bytes in time");
        allowance.take(usize::MAX);
        let refused = connection.read_exact(&mut read).await.expect_err("a read of too much");
        assert_eq!(refused.downcast::<Spent>().expect("its reason"), Spent::Bytes);
        allowance.renew(Instant::now());
        let refused = connection.read_exact(&mut read).await.expect_err("a read past the deadline");
        assert_eq!(refused.downcast::<Spent>().expect("its reason"), Spent::Time);
        allowance.renew(Instant::now() + Duration::from_secs(60));
        connection.read_exact(&mut read).await.expect("four bytes more");
    }
}
