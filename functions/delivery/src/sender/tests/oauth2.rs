//! Requests with access tokens, against a token URL and a receiver on this machine.

use std::sync::atomic::{AtomicUsize, Ordering};

use echo_shared::attempt::{NoToken, TokenRefusal};
use echo_shared::receiver_auth::OAuth2;
use futures_util::future::join_all;

use super::*;

/// A server that answers its requests, counted from 0, as `answer` says. Its requests come through the list.
struct Server {
    url: String,
    seen: Arc<std::sync::Mutex<Vec<String>>>,
}

impl Server {
    async fn start(answer: impl Fn(usize, &str) -> String + Send + Sync + 'static) -> Self {
        Self::slow(Duration::ZERO, answer).await
    }

    async fn slow(after: Duration, answer: impl Fn(usize, &str) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/it", listener.local_addr().expect("an address"));
        let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
        let (requests, answer, count) = (Arc::clone(&seen), Arc::new(answer), Arc::new(AtomicUsize::new(0)));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (requests, answer, count) =
                    (Arc::clone(&requests), Arc::clone(&answer), Arc::clone(&count));
                tokio::spawn(async move {
                    let request = whole(&mut stream).await;
                    let text = answer(count.fetch_add(1, Ordering::Relaxed), &request);
                    requests.lock().expect("a list").push(request);
                    sleep(after).await;
                    let _ = stream.write_all(text.as_bytes()).await;
                });
            }
        });
        Self { url, seen }
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().expect("a list").clone()
    }
}

/// A request with its body.
async fn whole(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.and_then(|length| length.parse().ok()).unwrap_or(0) {
                return text;
            }
        }
        if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
            return text;
        }
    }
}

fn answer(status: u16, body: &str) -> String {
    format!("HTTP/1.1 {status} As said\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

fn granted(token: &str) -> String {
    answer(200, &format!(r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":3600}}"#))
}

fn with_token(url: &str, token_url: &str) -> Post {
    let client = OAuth2 {
        token_url: token_url.to_owned(),
        client_id: "id".to_owned(),
        client_secret: "secret".to_owned().into(),
        scope: None,
    };
    Post { auth: Some(Auth::OAuth2(client)), ..post(url) }
}

fn status(outcome: &Outcome) -> u16 {
    let Outcome::Answered { status, .. } = outcome else { panic!("{outcome:?}") };
    *status
}

#[tokio::test]
async fn attempts_at_once_share_one_request_for_the_token() {
    let tokens = Server::slow(Duration::from_millis(200), |n, _| granted(&format!("t{n}"))).await;
    let receiver = Server::start(|_, _| answer(200, "")).await;
    let (sender, post) = (sender(rules()), with_token(&receiver.url, &tokens.url));
    let sent = join_all((0..8).map(|_| sender.send(copy(&post)))).await;
    assert!(sent.iter().all(|sent| status(&sent.outcome) == 200), "{sent:?}");
    assert_eq!(tokens.seen().len(), 1);
    let request = &tokens.seen()[0];
    for part in [
        "POST /it HTTP/1.1",
        "authorization: Basic aWQ6c2VjcmV0",
        "application/x-www-form-urlencoded",
        "\r\n\r\ngrant_type=client_credentials",
    ] {
        assert!(request.contains(part), "{request}");
    }
    let all = receiver.seen();
    assert!(all.len() == 8 && all.iter().all(|one| one.contains("\r\nauthorization: Bearer t0\r\n")));
}

#[tokio::test]
async fn no_other_endpoint_project_or_credential_gets_the_token() {
    let tokens = Server::start(|n, _| granted(&format!("t{n}"))).await;
    let receiver = Server::start(|_, _| answer(200, "")).await;
    let (sender, post) = (sender(rules()), with_token(&receiver.url, &tokens.url));
    let Some(Auth::OAuth2(client)) = post.auth.clone() else { panic!("a client") };
    let now = Timestamp::now();
    let scoped = OAuth2 { scope: Some("a".to_owned()), ..client };
    let others = [
        copy(&post),
        Post { endpoint: EndpointId::new(now), ..copy(&post) },
        Post { project: ProjectId::new(now), ..copy(&post) },
        Post { auth: Some(Auth::OAuth2(scoped)), ..copy(&post) },
        copy(&post),
    ];
    for one in others {
        sender.send(one).await;
    }
    let carried: Vec<bool> = ["t0", "t1", "t2", "t3", "t0"]
        .iter()
        .zip(receiver.seen())
        .map(|(token, request)| request.contains(&format!("Bearer {token}\r\n")))
        .collect();
    assert_eq!(carried, [true; 5]);
    assert_eq!(tokens.seen().len(), 4);
}

#[tokio::test]
async fn a_token_from_before_that_is_refused_is_renewed_within_the_attempt() {
    let tokens = Server::start(|n, _| granted(&format!("t{n}"))).await;
    let receiver = Server::start(|n, request| {
        let is_refused = n > 0 && request.contains("Bearer t0");
        if is_refused { answer(401, "old") } else { answer(200, "") }
    })
    .await;
    let (sender, post) = (sender(rules()), with_token(&receiver.url, &tokens.url));
    assert_eq!(status(&sender.send(copy(&post)).await.outcome), 200);
    let sent = join_all((0..4).map(|_| sender.send(copy(&post)))).await;
    assert!(sent.iter().all(|sent| status(&sent.outcome) == 200), "{sent:?}");
    assert_eq!(tokens.seen().len(), 2, "attempts at once share the new one too");
}

#[tokio::test]
async fn a_receiver_that_refuses_every_token_gets_one_new_one_for_each_attempt() {
    let tokens = Server::start(|n, _| granted(&format!("t{n}"))).await;
    let receiver = Server::start(|_, _| answer(401, "never")).await;
    let (sender, post) = (sender(rules()), with_token(&receiver.url, &tokens.url));
    for attempt in 1..=3 {
        assert_eq!(status(&sender.send(copy(&post)).await.outcome), 401);
        assert_eq!((tokens.seen().len(), receiver.seen().len()), (attempt, attempt));
    }
}

#[tokio::test]
async fn a_refusal_stands_when_no_other_token_can_be_had() {
    let tokens = Server::start(|n, _| if n == 0 { granted("t0") } else { answer(503, "") }).await;
    let receiver = Server::start(|n, _| answer(if n == 0 { 200 } else { 401 }, "")).await;
    let (sender, post) = (sender(rules()), with_token(&receiver.url, &tokens.url));
    assert_eq!(status(&sender.send(copy(&post)).await.outcome), 200);
    assert_eq!(status(&sender.send(copy(&post)).await.outcome), 401);
    assert_eq!(receiver.seen().len(), 2);
    let why = NoToken::Refused { status: 503, reason: None };
    assert_eq!(sender.send(post).await.outcome, Outcome::NoToken { why }, "the next attempt asks again");
}

#[tokio::test]
async fn without_a_token_there_is_no_request_and_the_reason_is_told() {
    let receiver = Server::start(|_, _| answer(200, "")).await;
    let large = format!(r#"{{"access_token":"t","more":"{}"}}"#, "x".repeat(17 * 1_024));
    let invalid = Some(TokenRefusal::InvalidClient);
    for (text, why) in [
        (answer(401, r#"{"error":"invalid_client"}"#), NoToken::Refused { status: 401, reason: invalid }),
        (answer(302, ""), NoToken::Refused { status: 302, reason: None }),
        (answer(200, &large), NoToken::Unreadable),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n{\"access_token\":\"t\"}".to_owned(),
            NoToken::Unreadable,
        ),
        ("nonsense\r\n\r\n".to_owned(), NoToken::Unreached(SendFailure::NotHttp)),
        (String::new(), NoToken::Unreached(SendFailure::Closed)),
    ] {
        let tokens = Server::start(move |_, _| text.clone()).await;
        let sender = sender(rules());
        let outcome = sender.send(with_token(&receiver.url, &tokens.url)).await.outcome;
        assert_eq!(outcome, Outcome::NoToken { why });
    }
    let forbidden = sender(rules()).send(with_token(&receiver.url, "https://10.0.0.1/token")).await;
    let why = NoToken::Unreached(SendFailure::ForbiddenAddress);
    assert_eq!(forbidden.outcome, Outcome::NoToken { why });
    assert_eq!(receiver.seen().len(), 0);
}

#[tokio::test]
async fn attempts_that_wait_for_a_token_share_its_refusal() {
    let refuse = |_, _: &str| answer(400, r#"{"error":"invalid_scope"}"#);
    let tokens = Server::slow(Duration::from_millis(200), refuse).await;
    let (sender, post) = (sender(rules()), with_token("http://127.0.0.1:9/", &tokens.url));
    let sent = join_all((0..8).map(|_| sender.send(copy(&post)))).await;
    let why = NoToken::Refused { status: 400, reason: Some(TokenRefusal::InvalidScope) };
    assert!(sent.iter().all(|sent| sent.outcome == Outcome::NoToken { why }), "{sent:?}");
    assert_eq!(tokens.seen().len(), 1);
    sender.send(copy(&post)).await;
    assert_eq!(tokens.seen().len(), 2, "the next attempt asks again");
}

#[tokio::test]
async fn the_token_and_the_request_have_one_deadline() {
    // Each alone comes in time.
    let tokens = Server::slow(TIMEOUT * 5 / 8, |_, _| granted("t0")).await;
    let receiver = Server::slow(TIMEOUT * 5 / 8, |_, _| answer(200, "")).await;
    let (sender, post) = (sender(rules()), with_token(&receiver.url, &tokens.url));
    let timed_out = SendFailure::TimedOut { missing: Missing::Answer, seconds: 2 };
    assert_eq!(sender.send(copy(&post)).await.outcome, Outcome::Failed { cause: timed_out });
    let silent = Server::slow(TIMEOUT * 3, |_, _| granted("t0")).await;
    let why = NoToken::Unreached(timed_out);
    let post = with_token(&receiver.url, &silent.url);
    let sent = join_all([sender.send(copy(&post)), sender.send(post)]).await;
    assert!(sent.iter().all(|sent| sent.outcome == Outcome::NoToken { why }), "{sent:?}");
}
