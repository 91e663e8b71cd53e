//! TLS as receivers get it wrong: each failure names the thing to mend (contract §6).

use echo_shared::attempt::TlsFault;
use echo_shared::tls::Tls;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio_rustls::TlsAcceptor;

use super::*;

pub(super) const BOTH: &[&SupportedProtocolVersion] = &[&TLS12, &TLS13];
pub(super) const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

pub(super) struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

/// A receiver's certificates, its own first, and its key.
pub(super) type Presented = (Vec<CertificateDer<'static>>, KeyPair);

pub(super) fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = named(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

impl Authority {
    pub(super) fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let params = authority_params(name);
        let certificate = params.self_signed(&key).expect("a certificate").der().clone();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    fn under(other: &Self) -> Self {
        let key = KeyPair::generate().expect("a key");
        let params = authority_params("an intermediate authority");
        let certificate = params.signed_by(&key, &other.issuer).expect("a certificate").der().clone();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    pub(super) fn signs(&self, params: &CertificateParams) -> Presented {
        let key = KeyPair::generate().expect("a key");
        (vec![params.signed_by(&key, &self.issuer).expect("a certificate").der().clone()], key)
    }

    pub(super) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).expect("a root");
        roots
    }

    /// A sender that trusts this authority alone.
    pub(super) fn sender(&self) -> Sender {
        Sender::new(TIMEOUT, rules(), &Tls::trusting(self.roots()).expect("roots"))
    }
}

pub(super) fn server(versions: &[&'static SupportedProtocolVersion], presented: Presented) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let (chain, key) = presented;
    ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, PrivatePkcs8KeyDer::from(key.serialize_der()).into())
        .expect("a server")
}

/// A receiver that reads over TLS, writes these bytes, and closes TCP without a word of TLS.
pub(super) async fn tls_receiver(
    config: ServerConfig,
    answer: &'static [u8],
) -> (String, oneshot::Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("https://{}/hook", listener.local_addr().expect("an address"));
    let (seen, request) = oneshot::channel();
    tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.expect("a connection");
        let Ok(mut tls) = TlsAcceptor::from(Arc::new(config)).accept(tcp).await else {
            return seen.send(Vec::new());
        };
        let mut read = Vec::new();
        while !read.ends_with(b"{\"a\":1}") && tls.read_buf(&mut read).await.is_ok_and(|read| read > 0) {}
        let _ = tls.write_all(answer).await;
        let _ = tls.flush().await;
        seen.send(read)
    });
    (url, request)
}

/// The fault that a sender sees in these certificates, when it trusts `authority`.
async fn fault_of(authority: &Authority, presented: Presented) -> TlsFault {
    let (url, request) = tls_receiver(server(BOTH, presented), OK).await;
    let outcome = authority.sender().send(post(&url)).await.outcome;
    assert_eq!(request.await.expect("a receiver"), b"", "a byte of the request was sent");
    let Outcome::Failed { cause: SendFailure::Tls(fault) } = outcome else { panic!("{outcome:?}") };
    fault
}

/// Names a URL of the issuer's certificate, as the certificates of public authorities do.
fn with_issuer_is_at(mut params: CertificateParams) -> CertificateParams {
    // SEQUENCE { SEQUENCE { caIssuers, [6] "http://a.example/" } }
    let mut content =
        vec![0x30, 0x1f, 0x30, 0x1d, 0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x02];
    content.extend([0x86, 0x11]);
    content.extend(b"http://a.example/");
    params.custom_extensions.push(CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], content));
    params
}

#[tokio::test]
async fn a_certificates_fault_is_named() {
    let authority = Authority::new("the trusted one");
    let good = || named("a receiver");
    assert_eq!(
        fault_of(
            &authority,
            authority.signs(&{
                let mut params = good();
                params.not_before = date_time_ymd(2020, 1, 1);
                params.not_after = date_time_ymd(2021, 1, 1);
                params
            })
        )
        .await,
        TlsFault::Expired
    );
    assert_eq!(
        fault_of(
            &authority,
            authority.signs(&{
                let mut params = good();
                params.not_before = date_time_ymd(4000, 1, 1);
                params
            })
        )
        .await,
        TlsFault::NotYetValid
    );
    let elsewhere = CertificateParams::new(vec!["elsewhere.example".to_owned()]).expect("a name");
    assert_eq!(fault_of(&authority, authority.signs(&elsewhere)).await, TlsFault::OtherHost);

    for params in [good(), authority_params("a receiver")] {
        let key = KeyPair::generate().expect("a key");
        let own = params.self_signed(&key).expect("a certificate").der().clone();
        assert_eq!(fault_of(&authority, (vec![own], key)).await, TlsFault::SelfSigned);
    }

    let stranger = Authority::new("a stranger");
    assert_eq!(fault_of(&authority, stranger.signs(&good())).await, TlsFault::IssuerUnknown);
    let (mut chain, key) = stranger.signs(&with_issuer_is_at(good()));
    chain.push(stranger.certificate.clone());
    assert_eq!(fault_of(&authority, (chain, key)).await, TlsFault::IssuerUnknown, "its root comes along");

    let between = Authority::under(&authority);
    let (mut chain, key) = between.signs(&with_issuer_is_at(good()));
    assert_eq!(fault_of(&authority, (chain.clone(), key)).await, TlsFault::ChainIncomplete);
    let (_, key) = between.signs(&good());
    chain.clear();
    chain.push(good().signed_by(&key, &between.issuer).expect("a certificate").der().clone());
    chain.push(between.certificate.clone());
    let (url, _) = tls_receiver(server(BOTH, (chain, key)), OK).await;
    assert_eq!(authority.sender().send(post(&url)).await.outcome, answered(200, "ok"), "a whole chain");
}

/// No library makes certificates with SHA-1 any more: the signature's name is changed to one of SHA-224, as short of bits.
#[tokio::test]
async fn a_weak_digest_is_named() {
    const SHA_256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
    let authority = Authority::new("the trusted one");
    let (chain, key) = authority.signs(&named("a receiver"));
    let mut der = chain[0].to_vec();
    let places: Vec<usize> = (0..der.len()).filter(|at| der[*at..].starts_with(SHA_256)).collect();
    assert_eq!(places.len(), 2, "once signed and once beside the signature");
    for at in places {
        der[at + 7] = 0x01;
    }
    assert_eq!(fault_of(&authority, (vec![der.into()], key)).await, TlsFault::TooWeak);
}

#[tokio::test]
async fn tls_that_ends_without_a_close_notify_ends_the_answer() {
    let authority = Authority::new("the trusted one");
    let cases: [(&'static [u8], Outcome); 4] = [
        (b"HTTP/1.1 200 OK\r\n\r\nto the end", answered(200, "to the end")),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", broken_off(200, "half", BodyFault::CutShort)),
        (
            b"HTTP/1.1 410 Gone\r\ncontent-length: 10\r\n\r\nhalf",
            broken_off(410, "half", BodyFault::CutShort),
        ),
        (b"HTTP/1.1 200 OK\r\nx-cut", failed(SendFailure::Broken)),
    ];
    for version in BOTH {
        for (answer, expected) in &cases {
            let config = server(&[version], authority.signs(&named("a receiver")));
            let (url, _request) = tls_receiver(config, answer).await;
            let outcome = authority.sender().send(post(&url)).await.outcome;
            assert_eq!(outcome, *expected, "{version:?} {}", String::from_utf8_lossy(answer));
        }
    }
}

/// A receiver that answers the TLS client's first words with these bytes and closes.
async fn tls_answered_with(bytes: &'static [u8]) -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("https://{}/", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut hello = [0; 4_096];
        let _ = stream.read(&mut hello).await;
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        while stream.read(&mut hello).await.is_ok_and(|read| read > 0) {}
    });
    post_to(&url).await
}

/// A server's hello in TLS 1.0 with a random of zeros and the cipher suite AES-128-CBC-SHA.
const OLD_HELLO: &[u8] = b"\x16\x03\x01\x00\x2a\x02\x00\x00\x26\x03\x01\
    \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x00\x00\x2f\x00";

#[tokio::test]
async fn a_handshake_that_fails_says_what_the_receiver_lacks() {
    let alert = |number: u8| -> &'static [u8] { [0x15, 3, 3, 0, 2, 2, number].to_vec().leak() };
    for (bytes, fault) in [
        (OLD_HELLO, TlsFault::NoCommonVersion),
        (alert(70), TlsFault::NoCommonVersion),
        (alert(40), TlsFault::NoCommonCipher),
        (alert(71), TlsFault::NoCommonCipher),
        (alert(120), TlsFault::NoHttp1),
        (alert(112), TlsFault::UnknownName),
        (alert(80), TlsFault::Alert(80)),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", TlsFault::NotTls),
        (b"", TlsFault::Closed),
    ] {
        assert_eq!(tls_answered_with(bytes).await, failed(fault.into()), "{bytes:?}");
    }
}

#[tokio::test]
async fn a_reset_or_silence_during_the_handshake_is_told_apart_from_a_refusal() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("https://{}/", listener.local_addr().expect("an address"));
    let receiver = async {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let _ = stream.read(&mut [0; 16]).await;
        stream.set_zero_linger().expect("a socket");
    };
    let (outcome, ()) = tokio::join!(post_to(&url), receiver);
    assert_eq!(outcome, failed(TlsFault::Reset.into()));
    let (outcome, _accepted) = tokio::join!(post_to(&url), listener.accept());
    assert_eq!(outcome, failed(timed_out(Missing::Handshake)));
}

/// After the head, an error of TLS is a note, and no word of certificates.
#[tokio::test]
async fn a_tls_error_after_the_head_leaves_the_status() {
    let authority = Authority::new("the trusted one");
    let config = server(BOTH, authority.signs(&named("a receiver")));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("https://{}/", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.expect("a connection");
        let mut tls = TlsAcceptor::from(Arc::new(config)).accept(tcp).await.expect("a handshake");
        let _ = tls.read(&mut [0; 4_096]).await;
        let _ = tls.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await;
        let _ = tls.flush().await;
        let (mut tcp, _session) = tls.into_inner();
        let _ = tcp.write_all(b"this is no record of TLS").await;
    });
    let outcome = authority.sender().send(post(&url)).await.outcome;
    assert_eq!(outcome, broken_off(200, "half", BodyFault::Tls));
    assert_eq!(BodyFault::Tls.to_string(), "a TLS error broke off the answer's body");
}

#[tokio::test]
async fn without_a_connection_the_time_says_so() {
    // A listener whose queue is full takes no further connection.
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
    let listener = socket.listen(1).expect("a listener");
    let address = listener.local_addr().expect("an address");
    let mut waiting = Vec::new();
    while let Ok(Ok(stream)) =
        tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await
    {
        waiting.push(stream);
    }
    let outcome = post_until_the_deadline(&format!("http://{address}/")).await;
    assert_eq!(outcome, failed(timed_out(Missing::Connection)));
}
