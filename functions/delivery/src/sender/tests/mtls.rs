//! Receivers that want a client certificate.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use echo_shared::attempt::TlsFault;
use echo_shared::receiver_auth::Mtls;
use rcgen::date_time_ymd;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SupportedProtocolVersion};
use tokio_rustls::TlsAcceptor;

use super::tls::{Authority, BOTH, OK, Presented, named, server, tls_receiver};
use super::*;

fn wanting_a_client_certificate(
    authority: &Authority,
    version: &'static SupportedProtocolVersion,
) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let clients =
        WebPkiClientVerifier::builder_with_provider(Arc::new(authority.roots()), Arc::clone(&provider));
    let (chain, key) = authority.signs(&named("a receiver"));
    ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .expect("a version")
        .with_client_cert_verifier(clients.build().expect("a verifier"))
        .with_single_cert(chain, PrivatePkcs8KeyDer::from(key.serialize_der()).into())
        .expect("a server")
}

#[tokio::test]
async fn a_receiver_that_wants_a_client_certificate_says_so_in_both_versions() {
    let authority = Authority::new("the trusted one");
    for version in BOTH {
        let config = wanting_a_client_certificate(&authority, version);
        let (url, _request) = tls_receiver(config, OK).await;
        let outcome = authority.sender().send(post(&url)).await.outcome;
        assert_eq!(outcome, failed(TlsFault::ClientCertificate.into()), "{version:?}");
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

fn with_certificate(url: &str, (chain, key): &Presented) -> Post {
    let chain = chain.iter().map(|one| pem("CERTIFICATE", one)).collect();
    let key = pem("PRIVATE KEY", &key.serialize_der());
    Post { auth: Some(Auth::Mtls(Mtls { certificate: chain, key: key.into() })), ..post(url) }
}

#[tokio::test]
async fn a_receiver_gets_the_endpoints_certificate_and_its_refusal_is_told() {
    let (authority, other) = (Authority::new("the trusted one"), Authority::new("another"));
    let mut expired = named("an expired client");
    expired.not_after = date_time_ymd(2020, 1, 1);
    for version in BOTH {
        for (presented, wanted) in [
            (authority.signs(&named("a client")), answered(200, "ok")),
            (other.signs(&named("a stranger")), failed(TlsFault::ClientCertificateUntrusted.into())),
            (authority.signs(&expired), failed(TlsFault::ClientCertificateExpired.into())),
        ] {
            let (url, _request) = tls_receiver(wanting_a_client_certificate(&authority, version), OK).await;
            let outcome = authority.sender().send(with_certificate(&url, &presented)).await.outcome;
            assert_eq!(outcome, wanted, "{version:?}");
        }
    }
}

/// The names in the certificates of the connections that a receiver had, each of which serves two requests.
async fn names_of_connections(config: ServerConfig) -> (String, Arc<std::sync::Mutex<Vec<Vec<u8>>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("https://{}/hook", listener.local_addr().expect("an address"));
    let (seen, acceptor) = (Arc::new(std::sync::Mutex::new(Vec::new())), TlsAcceptor::from(Arc::new(config)));
    let list = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let (acceptor, list) = (acceptor.clone(), Arc::clone(&list));
            tokio::spawn(async move {
                let Ok(mut tls) = acceptor.accept(tcp).await else { return };
                let shown = tls.get_ref().1.peer_certificates().map(|all| all[0].to_vec());
                list.lock().expect("a list").push(shown.unwrap_or_default());
                let mut read = Vec::new();
                while tls.read_buf(&mut read).await.is_ok_and(|read| read > 0) {
                    if read.ends_with(b"{\"a\":1}") {
                        read.clear();
                        let _ = tls.write_all(OK).await;
                        let _ = tls.flush().await;
                    }
                }
            });
        }
    });
    (url, seen)
}

#[tokio::test]
async fn a_connection_with_a_certificate_serves_no_other_credential() {
    let authority = Authority::new("the trusted one");
    let (url, seen) = names_of_connections(wanting_a_client_certificate(&authority, &TLS13)).await;
    let [one, other] = ["one", "other"].map(|name| authority.signs(&named(name)));
    let (sender, first) = (authority.sender(), with_certificate(&url, &one));
    let changed = Post { auth: with_certificate(&url, &other).auth, ..copy(&first) };
    for post in [copy(&first), copy(&first), changed, Post { auth: None, ..copy(&first) }] {
        let is_without = post.auth.is_none();
        let outcome = sender.send(post).await.outcome;
        let wanted =
            if is_without { failed(TlsFault::ClientCertificate.into()) } else { answered(200, "ok") };
        assert_eq!(outcome, wanted);
    }
    let shown: Vec<Vec<u8>> = [&one, &other].map(|(chain, _)| chain[0].to_vec()).to_vec();
    assert_eq!(*seen.lock().expect("a list"), shown, "the first connection served two requests");
}

#[tokio::test]
async fn a_receiver_that_asks_for_no_certificate_gets_none() {
    let authority = Authority::new("the trusted one");
    let (url, _request) = tls_receiver(server(BOTH, authority.signs(&named("a receiver"))), OK).await;
    let post = with_certificate(&url, &authority.signs(&named("a client")));
    assert_eq!(authority.sender().send(post).await.outcome, answered(200, "ok"));
}

/// OpenSSL's servers say `handshake_failure` in TLS 1.2 when a client certificate is missing, where rustls has an alert of
/// its own. A relay changes the one into the other.
#[tokio::test]
async fn a_client_certificate_is_wanted_though_the_alert_is_a_common_one() {
    const OF_RUSTLS: &[u8] = &[0x15, 3, 3, 0, 2, 2, 116];
    let authority = Authority::new("the trusted one");
    let config = wanting_a_client_certificate(&authority, &TLS12);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("https://{}/", listener.local_addr().expect("an address"));
    let (server, relay) = tokio::io::duplex(65_536);
    tokio::spawn(TlsAcceptor::from(Arc::new(config)).accept(server));
    let changed = tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.expect("a connection");
        let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
            (tcp.into_split(), tokio::io::split(relay));
        tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
        let (mut bytes, mut changed) = (vec![0; 16_384], false);
        loop {
            let read = from_server.read(&mut bytes).await.unwrap_or(0);
            if read == 0 {
                return changed;
            }
            if bytes[..read].ends_with(OF_RUSTLS) {
                bytes[read - 1] = 40;
                changed = true;
            }
            let _ = to_client.write_all(&bytes[..read]).await;
        }
    });
    let outcome = authority.sender().send(post(&url)).await.outcome;
    assert_eq!(outcome, failed(TlsFault::ClientCertificate.into()));
    assert!(changed.await.expect("the relay"), "the alert did not come by");
}
