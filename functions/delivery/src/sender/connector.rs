//! Connections to receivers: to checked addresses only, with TLS where the URL asks for it.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use echo_shared::address::AddressRules;
use echo_shared::attempt::{Missing, SendFailure, TlsFault};
use echo_shared::tls::{Identity, Tls};
use futures_util::stream::{FuturesUnordered, StreamExt};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use crate::sender::trust::ClientCertificate;
use crate::sender::{Deadline, failure, resolver, trust};

/// The head start of each of a host's addresses over the next one: RFC 8305 §5.
const HEAD_START: Duration = Duration::from_millis(250);

/// The most addresses of a host that are tried: a name with hundreds must not use up the process's sockets.
const MOST_ADDRESSES: usize = 8;

/// TCP, or TLS over it.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

pub(crate) struct Connection {
    pub(crate) stream: Box<dyn Stream>,
    /// Whether the receiver asked for a client certificate. TLS 1.3 lets it refuse the connection for the sake of that only
    /// after the handshake.
    pub(crate) client: ClientCertificate,
    /// Whether an answer came over it before.
    pub(crate) is_reused: bool,
}

impl Connection {
    const fn new(stream: Box<dyn Stream>, client: ClientCertificate) -> Self {
        Self { stream, client, is_reused: false }
    }

    /// Whether the receiver has neither closed it nor said anything since its answer.
    pub(crate) fn is_silent(&mut self) -> bool {
        let mut byte = [0];
        let mut context = Context::from_waker(Waker::noop());
        Pin::new(&mut *self.stream).poll_read(&mut context, &mut ReadBuf::new(&mut byte)).is_pending()
    }

    /// Closes it; with TLS it says so first, as far as that needs no waiting.
    pub(crate) fn close(mut self) {
        let mut context = Context::from_waker(Waker::noop());
        let _ = Pin::new(&mut *self.stream).poll_shutdown(&mut context);
    }
}

pub(crate) struct Connector {
    rules: AddressRules,
    tls: Arc<ClientConfig>,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").field("rules", &self.rules).finish_non_exhaustive()
    }
}

impl Connector {
    pub(crate) fn new(rules: AddressRules, tls: &Tls) -> Self {
        Self { rules, tls: Arc::new(trust::client_config(tls)) }
    }

    pub(crate) const fn rules(&self) -> &AddressRules {
        &self.rules
    }

    /// Connects to the host of a URL that has passed the rules. A receiver that asks for a client certificate gets that
    /// of `identity`.
    pub(crate) async fn connect(
        &self,
        url: &Url,
        identity: Option<&Identity>,
        deadline: Deadline,
    ) -> Result<Connection, SendFailure> {
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err(SendFailure::Connect);
        };
        let addresses = deadline.within(Missing::Address, self.addresses(&host)).await??;
        let connected = deadline.within(Missing::Connection, to_any(&addresses, port)).await?;
        let tcp = connected.map_err(|_| SendFailure::Connect)?;
        // The last piece of a request must not wait for the receiver's acknowledgement of the one before.
        tcp.set_nodelay(true).map_err(|_| SendFailure::Connect)?;
        if url.scheme() == "http" {
            return Ok(Connection::new(Box::new(tcp), ClientCertificate::NotAsked));
        }
        let name = server_name(&host).ok_or(SendFailure::Tls(TlsFault::Other))?;
        let config = match identity {
            Some(identity) => Arc::new(trust::with_certificate(&self.tls, identity)),
            None => Arc::clone(&self.tls),
        };
        let handshake = trust::listening(TlsConnector::from(config).connect(name, tcp));
        let (connected, notes) = deadline.within(Missing::Handshake, handshake).await?;
        match connected {
            Ok(tls) => Ok(Connection::new(Box::new(tls), notes.client)),
            Err(error) => Err(failure::of_handshake(&error, notes).into()),
        }
    }

    async fn addresses(&self, host: &Host<&str>) -> Result<Vec<IpAddr>, SendFailure> {
        match host {
            Host::Ipv4(ip) => Ok(vec![IpAddr::V4(*ip)]),
            Host::Ipv6(ip) => Ok(vec![IpAddr::V6(*ip)]),
            Host::Domain(name) => resolver::addresses(name, &self.rules).await.map_err(failure::of_name),
        }
    }
}

fn server_name(host: &Host<&str>) -> Option<ServerName<'static>> {
    match host {
        Host::Ipv4(ip) => Some(IpAddr::V4(*ip).into()),
        Host::Ipv6(ip) => Some(IpAddr::V6(*ip).into()),
        Host::Domain(name) => ServerName::try_from((*name).to_owned()).ok(),
    }
}

/// Connects to the first of the addresses that answers; each gets a head start over the next.
async fn to_any(addresses: &[IpAddr], port: u16) -> io::Result<TcpStream> {
    let mut left = families_in_turn(addresses).into_iter().take(MOST_ADDRESSES);
    let mut under_way = FuturesUnordered::new();
    let mut failed = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        match left.next() {
            Some(ip) => under_way.push(TcpStream::connect(SocketAddr::new(ip, port))),
            None if under_way.is_empty() => return Err(failed),
            None => {}
        }
        match timeout(HEAD_START, under_way.next()).await {
            Ok(Some(Ok(tcp))) => return Ok(tcp),
            Ok(Some(Err(error))) => failed = error,
            Ok(None) | Err(_) => {}
        }
    }
}

/// The first address's family first, then both in turn (RFC 8305 §4), so that a family without a route costs little.
fn families_in_turn(addresses: &[IpAddr]) -> Vec<IpAddr> {
    let is_first_family =
        |ip: &&IpAddr| addresses.first().is_some_and(|first| first.is_ipv4() == ip.is_ipv4());
    let mut first = addresses.iter().filter(is_first_family);
    let mut second = addresses.iter().filter(|ip| !is_first_family(ip));
    let pairs = std::iter::from_fn(|| match (first.next(), second.next()) {
        (None, None) => None,
        pair => Some(pair),
    });
    pairs.flat_map(|(one, other)| [one, other]).flatten().copied().collect()
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn families_take_turns() {
        let ips = |texts: &[&str]| -> Vec<IpAddr> {
            texts.iter().map(|text| text.parse().expect("an address")).collect()
        };
        let mixed = ips(&["::1", "::2", "::3", "10.0.0.1"]);
        assert_eq!(families_in_turn(&mixed), ips(&["::1", "10.0.0.1", "::2", "::3"]));
        assert!(families_in_turn(&[]).is_empty());
    }

    #[tokio::test]
    async fn an_address_that_refuses_gives_way_to_the_next() {
        let listener = TcpListener::bind("127.0.0.2:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let addresses = ["127.0.0.1", "127.0.0.2"].map(|text| text.parse().expect("an address"));
        let tcp = to_any(&addresses, port).await.expect("a connection");
        assert_eq!(tcp.peer_addr().expect("an address").ip(), addresses[1]);
        assert!(to_any(&addresses[..1], port).await.is_err());
        assert!(to_any(&[], port).await.is_err());
    }
}
