//! Against real receivers on this machine, most of them badly behaved.

mod answers;
mod curl;
mod mtls;
mod oauth2;
mod reuse;
mod tls;

use std::time::Instant;

use echo_shared::attempt::{BodyFault, MAX_RESPONSE_BODY_BYTES};
use echo_shared::time::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::*;

const TIMEOUT: Duration = Duration::from_secs(2);

fn rules() -> AddressRules {
    AddressRules::parse("127.0.0.0/8,::1/128").expect("networks")
}

fn sender(rules: AddressRules) -> Sender {
    sender_within(TIMEOUT, rules)
}

fn sender_within(timeout: Duration, rules: AddressRules) -> Sender {
    Sender::new(timeout, rules, &echo_shared::tls::Tls::new().expect("root certificates"))
}

fn post(url: &str) -> Post {
    let url = EndpointUrl::parse(url, &rules()).expect("a permitted URL");
    let headers = vec![("x-echo-event".to_owned(), "call.ended".to_owned())];
    let (project, endpoint) = (ProjectId::new(Timestamp::now()), EndpointId::new(Timestamp::now()));
    Post { project, endpoint, url, headers, body: b"{\"a\":1}".to_vec(), auth: None }
}

/// Another request of the same endpoint.
fn copy(post: &Post) -> Post {
    Post {
        project: post.project,
        endpoint: post.endpoint,
        url: post.url.clone(),
        headers: post.headers.clone(),
        body: post.body.clone(),
        auth: post.auth.clone(),
    }
}

async fn post_to(url: &str) -> Outcome {
    sender(rules()).send(post(url)).await.outcome
}

/// The outcome of a request that must end at its deadline; a busy machine may take some time more.
async fn post_until_the_deadline(url: &str) -> Outcome {
    let began = Instant::now();
    let outcome = post_to(url).await;
    let took = began.elapsed();
    assert!(took >= TIMEOUT && took < TIMEOUT * 5, "{took:?}");
    outcome
}

/// A receiver for one connection: reads the request, then does as `answer` says. The request comes through the
/// channel.
async fn receiver<F>(
    answer: impl FnOnce(TcpStream) -> F + Send + 'static,
) -> (String, oneshot::Receiver<String>)
where
    F: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/hook?a=b", listener.local_addr().expect("an address"));
    let (seen, request) = oneshot::channel();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut read = Vec::new();
        while !read.ends_with(b"{\"a\":1}") {
            if stream.read_buf(&mut read).await.expect("a request") == 0 {
                break;
            }
        }
        let _ = seen.send(String::from_utf8(read).expect("text"));
        answer(stream).await;
    });
    (url, request)
}

/// The outcome when the receiver writes these bytes and closes.
async fn outcome_of(answer: impl AsRef<[u8]> + Send + Sync + 'static) -> Outcome {
    let (url, _request) = receiver(async move |mut stream| {
        let _ = stream.write_all(answer.as_ref()).await;
    })
    .await;
    post_to(&url).await
}

fn answered(status: u16, body: &str) -> Outcome {
    ended(status, body, None, None)
}

fn broken_off(status: u16, body: &str, fault: BodyFault) -> Outcome {
    ended(status, body, None, Some(fault))
}

fn ended(status: u16, body: &str, retry_after: Option<Duration>, broken_off: Option<BodyFault>) -> Outcome {
    Outcome::Answered {
        status,
        body: body.to_owned(),
        truncated: false,
        location: None,
        retry_after,
        broken_off,
    }
}

fn failed(cause: SendFailure) -> Outcome {
    Outcome::Failed { cause }
}

const fn timed_out(missing: Missing) -> SendFailure {
    SendFailure::TimedOut { missing, seconds: TIMEOUT.as_secs() }
}

#[tokio::test]
async fn the_request_is_what_the_contract_says() {
    let (url, request) = receiver(async |mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    })
    .await;
    assert_eq!(post_to(&url).await, answered(200, "ok"));
    let request = request.await.expect("a request");
    let (head, body) = request.split_once("\r\n\r\n").expect("a head and a body");
    let head = format!("{head}\r\n");
    assert!(head.starts_with("POST /hook?a=b HTTP/1.1\r\n"), "{head}");
    assert_eq!(body, "{\"a\":1}");
    let mut names: Vec<&str> = head.lines().skip(1).filter_map(|line| line.split(':').next()).collect();
    assert_eq!(names[0], "host", "RFC 9110 §7.2");
    names.sort_unstable();
    assert_eq!(names, ["accept", "content-length", "host", "user-agent", "x-echo-event"]);
    let authority = url.split('/').nth(2).expect("a host and a port");
    assert!(head.contains(&format!("\r\nhost: {authority}\r\n")), "{head}");
    assert!(head.contains("\r\ncontent-length: 7\r\n"), "{head}");
    assert!(
        head.contains(concat!("\r\nuser-agent: echo-webhooks/", env!("CARGO_PKG_VERSION"), "\r\n")),
        "{head}"
    );
}

#[tokio::test]
async fn whole_answers_are_answers() {
    let cases: [(&[u8], Outcome); 6] = [
        (b"HTTP/1.1 204 No Content\r\n\r\n", answered(204, "")),
        (b"HTTP/1.1 500 Oops\r\ncontent-length: 4\r\n\r\nfail", answered(500, "fail")),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", answered(200, "abc")),
        // Its end is where the receiver closes.
        (b"HTTP/1.0 200 OK\r\n\r\nto the end", answered(200, "to the end")),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", answered(200, "")),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\na\xffb", answered(200, "a\u{fffd}b")),
    ];
    for (answer, expected) in cases {
        assert_eq!(outcome_of(answer).await, expected);
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let elsewhere = listener.local_addr().expect("an address");
    let redirect = format!("HTTP/1.1 307 T\r\nlocation: http://{elsewhere}/\r\ncontent-length: 0\r\n\r\n");
    let Outcome::Answered { status: 307, location, .. } = outcome_of(redirect).await else {
        panic!("no answer")
    };
    assert_eq!(location, Some(format!("http://{elsewhere}/")));
    let followed = tokio::time::timeout(Duration::from_millis(100), listener.accept()).await;
    assert!(followed.is_err(), "the redirect was followed");
}

#[tokio::test]
async fn retry_after_is_read_of_429_and_503() {
    for (status, expected) in [(429, Some(120)), (503, Some(120)), (500, None)] {
        let answer = format!("HTTP/1.1 {status} X\r\nretry-after: 120\r\ncontent-length: 0\r\n\r\n");
        let retry_after = expected.map(Duration::from_secs);
        assert_eq!(outcome_of(answer).await, ended(status, "", retry_after, None));
    }
}

#[tokio::test]
async fn only_a_redirect_has_a_target() {
    let answer = "HTTP/1.1 201 X\r\nlocation: https://example.com/b\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(outcome_of(answer).await, answered(201, ""));
}

#[tokio::test]
async fn an_answer_longer_than_is_kept_says_so() {
    for (length, expected) in [(1_024, false), (1_025, true), (60_000, true)] {
        let answer = format!("HTTP/1.1 500 X\r\ncontent-length: {length}\r\n\r\n{}", "x".repeat(length));
        let Outcome::Answered { body, truncated, .. } = outcome_of(answer).await else { panic!("{length}") };
        assert_eq!((body.len(), truncated), (1_024, expected), "{length}");
    }
}

#[tokio::test]
async fn a_receiver_that_hangs_is_given_up_at_the_deadline() {
    let (url, _request) = receiver(async |_stream| sleep(Duration::from_secs(10)).await).await;
    assert_eq!(post_until_the_deadline(&url).await, failed(timed_out(Missing::Answer)));
}

#[tokio::test]
async fn a_body_that_drips_is_given_up_at_the_same_deadline_and_its_status_counts() {
    let (url, _request) = receiver(async |mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n").await;
        while stream.write_all(b".").await.is_ok() {
            sleep(Duration::from_millis(150)).await;
        }
    })
    .await;
    let outcome = post_until_the_deadline(&url).await;
    let Outcome::Answered { status: 200, body, broken_off: Some(BodyFault::TimedOut { seconds: 2 }), .. } =
        outcome
    else {
        panic!("{outcome:?}")
    };
    assert!(body.starts_with("...") && body.len() < 1_000, "{body}");
}

/// A receiver that sends `100 Continue`, `times` in one write, again and again. When a write fails, the channel gets a
/// value.
async fn continuing(times: usize, pause: Duration) -> (String, oneshot::Receiver<()>) {
    let (closed, is_closed) = oneshot::channel();
    let (url, _request) = receiver(async move |mut stream| {
        let flood = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(times);
        while stream.write_all(&flood).await.is_ok() {
            sleep(pause).await;
        }
        let _ = closed.send(());
    })
    .await;
    (url, is_closed)
}

#[tokio::test]
async fn interim_answers_without_end_are_not_read_for_long() {
    let (url, is_closed) = continuing(1_000, Duration::ZERO).await;
    assert_eq!(post_to(&url).await, failed(SendFailure::HeadTooLong));
    let closed = tokio::time::timeout(Duration::from_secs(1), is_closed).await;
    assert!(matches!(closed, Ok(Ok(()))), "the connection is still open");
}

#[tokio::test]
async fn interim_answers_that_drip_are_given_up_at_the_deadline() {
    let (url, is_closed) = continuing(1, Duration::from_millis(20)).await;
    assert_eq!(post_until_the_deadline(&url).await, failed(timed_out(Missing::Head)));
    let closed = tokio::time::timeout(Duration::from_secs(1), is_closed).await;
    assert!(matches!(closed, Ok(Ok(()))), "the connection is still open");
}

#[tokio::test]
async fn a_connection_that_was_given_up_is_not_used_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let sender = sender(rules());
    let mut streams = Vec::new();
    for _ in 0..2 {
        let (sent, accepted) = tokio::join!(sender.send(post(&url)), listener.accept());
        assert_eq!(sent, Sent { outcome: failed(timed_out(Missing::Answer)), again: false });
        streams.push(accepted.expect("a connection of its own").0);
    }
    for mut stream in streams {
        let mut request = Vec::new();
        let closed = tokio::time::timeout(Duration::from_secs(1), stream.read_to_end(&mut request)).await;
        assert!(closed.is_ok(), "the connection is still open");
    }
}

#[tokio::test]
async fn a_large_body_is_cut_and_the_connection_dropped() {
    let (closed, is_closed) = oneshot::channel();
    let (url, _request) = receiver(async move |mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n").await;
        while stream.write_all(&[b'x'; 4_096]).await.is_ok() {}
        let _ = closed.send(());
    })
    .await;
    let Outcome::Answered { status: 200, body, truncated: true, .. } = post_to(&url).await else {
        panic!("no answer that was cut")
    };
    assert_eq!(body, "x".repeat(MAX_RESPONSE_BODY_BYTES));
    let dropped = tokio::time::timeout(TIMEOUT, is_closed).await;
    assert!(matches!(dropped, Ok(Ok(()))), "the connection is still open");
}

#[tokio::test]
async fn an_answer_that_is_not_http_is_named() {
    assert_eq!(outcome_of(b"SSH-2.0-OpenSSH_9.2\r\n").await, failed(SendFailure::NotHttp));
    // Neither is waited for until its end, for it has none.
    for endless in [&b"x-endless: header\r\n"[..], &[b'x'; 4_096]] {
        let (url, _request) = receiver(async move |mut stream| {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nx-endless: ").await;
            while stream.write_all(endless).await.is_ok() {}
        })
        .await;
        assert_eq!(post_to(&url).await, failed(SendFailure::HeadTooLong));
    }
}

#[tokio::test]
async fn a_closed_port_refuses() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    drop(listener);
    assert_eq!(post_to(&url).await, failed(SendFailure::Connect));
}

#[tokio::test]
async fn localhost_is_reached_where_loopback_is_exempt() {
    let (url, _request) = receiver(async |mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    })
    .await;
    assert_eq!(post_to(&url.replace("127.0.0.1", "hooks.localhost")).await, answered(200, ""));
}

#[tokio::test]
async fn a_name_that_leads_home_is_forbidden() {
    // The sender's own rules exempt nothing: the URL got past the rules of another day.
    let sent = sender(AddressRules::default()).send(post("http://localhost:9/")).await;
    assert_eq!(sent.outcome, failed(SendFailure::ForbiddenAddress));
}

/// The outcome when a machine's resolver has the time to give up.
async fn resolved(url: &str, rules: AddressRules) -> Outcome {
    sender_within(Duration::from_secs(60), rules).send(post(url)).await.outcome
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_a_dns_failure() {
    assert_eq!(resolved("https://nowhere.invalid/", rules()).await, failed(SendFailure::Dns));
}

/// A tenant who tries the names of a private network must not learn which of them exist.
#[tokio::test]
async fn a_name_with_a_private_address_reads_like_a_name_that_does_not_exist() {
    let message = async |url: &str| match resolved(url, AddressRules::default()).await {
        Outcome::Failed { cause } => cause.to_string(),
        Outcome::Answered { .. } | Outcome::NoToken { .. } => panic!("{url} answered"),
    };
    let [private, unknown] =
        [message("http://localhost:9/").await, message("https://nowhere.invalid/").await];
    assert_eq!(private, unknown);
    assert!(private.contains("no public address"), "{private}");
}
