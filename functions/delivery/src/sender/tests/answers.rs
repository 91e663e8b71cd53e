//! The meaning of answers (contract §5): the final head decides, and heads are taken as clients take them.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpSocket;

use super::*;

#[tokio::test]
async fn the_head_decides_though_the_body_breaks_off() {
    let cut_short = BodyFault::CutShort;
    let cases: [(&'static [u8], Outcome); 7] = [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", broken_off(200, "half", cut_short)),
        (b"HTTP/1.1 410 Gone\r\ncontent-length: 100\r\n\r\nhalf", broken_off(410, "half", cut_short)),
        (b"HTTP/1.1 500 Oops\r\ncontent-length: 100\r\n\r\n", broken_off(500, "", cut_short)),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
            broken_off(200, "abc", cut_short),
        ),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nmany\r\nabc\r\n",
            broken_off(200, "", BodyFault::BadChunks),
        ),
        // No head, no answer.
        (b"", failed(SendFailure::Closed)),
        (b"HTTP/1.1 200 OK\r\ncontent-le", failed(SendFailure::Broken)),
    ];
    for (answer, expected) in cases {
        assert_eq!(outcome_of(answer).await, expected, "{}", String::from_utf8_lossy(answer));
    }
}

#[tokio::test]
async fn a_wait_counts_though_the_connection_is_reset() {
    let (url, _request) = receiver(async |mut stream| {
        let _ =
            stream.write_all(b"HTTP/1.1 503 Busy\r\nretry-after: 6\r\ncontent-length: 100\r\n\r\nhalf").await;
        // Until it is read, or the reset could overtake it.
        sleep(Duration::from_millis(100)).await;
        stream.set_zero_linger().expect("a socket");
    })
    .await;
    let expected = ended(503, "half", Some(Duration::from_secs(6)), Some(BodyFault::Reset));
    assert_eq!(post_to(&url).await, expected);
}

#[tokio::test]
async fn a_gone_whose_body_never_comes_counts_at_the_deadline() {
    let (url, _request) = receiver(async |mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 410 Gone\r\n\r\nhalf").await;
        sleep(TIMEOUT * 5).await;
    })
    .await;
    let expected = broken_off(410, "half", BodyFault::TimedOut { seconds: TIMEOUT.as_secs() });
    assert_eq!(post_until_the_deadline(&url).await, expected);
}

#[tokio::test]
async fn the_longest_wait_counts_of_several() {
    for lines in ["retry-after: 6, 5", "retry-after: soon\r\nretry-after: 6", "retry-after:\r\n 6"] {
        let answer = format!("HTTP/1.1 429 Slow\r\n{lines}\r\ncontent-length: 0\r\n\r\n");
        let outcome = outcome_of(answer).await;
        let Outcome::Answered { status: 429, retry_after, .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!(retry_after, Some(Duration::from_secs(6)), "{lines}");
    }
}

#[tokio::test]
async fn heads_that_clients_take_are_taken() {
    let many = |count: usize, line: &str| line.repeat(count);
    let cases = [
        many(101, "x-a: b\r\n"),
        many(1_000, "x-a: b\r\n"),
        many(150, "set-cookie: session=0123456789012345678901234567890123456789; Path=/; Secure\r\n"),
        "x-folded: one\r\n two\r\n\tthree\r\n".to_owned(),
        "x-space : v\r\n".to_owned(),
        ": no name\r\n".to_owned(),
        "x y: a name with a space\r\n".to_owned(),
        "no colon\r\n".to_owned(),
    ];
    for fields in cases {
        let answer = format!("HTTP/1.1 200 OK\r\n{fields}content-length: 2\r\n\r\nok");
        assert_eq!(outcome_of(answer).await, answered(200, "ok"), "{fields}");
    }
    let trailers = many(101, "x-a: b\r\n");
    let chunks = format!("transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n{trailers}\r\n");
    for version in ["1.0", "1.1"] {
        let answer = format!("HTTP/{version} 200 OK\r\n{chunks}");
        assert_eq!(outcome_of(answer).await, answered(200, "ok"), "{version}");
    }
}

#[tokio::test]
async fn heads_that_contradict_themselves_stay_refused() {
    for head in [
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: -2\r\n",
        "HTTP/2 200\r\ncontent-length: 2\r\n",
        "HTTP/1.1 200 O\x01K\r\ncontent-length: 2\r\n",
    ] {
        let outcome = outcome_of(format!("{head}\r\nok")).await;
        assert_eq!(outcome, failed(SendFailure::NotHttp), "{head}");
    }
}

/// The receiver takes 4 KiB at a time, reads no more than the head of the request, answers and closes. The kernel answers
/// the rest of the request with a reset.
async fn answers_early() -> SocketAddr {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4_096).expect("a small buffer");
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("a free port");
    let listener = socket.listen(64).expect("a listener");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        for number in 0.. {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut head = Vec::new();
            while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                if stream.read_buf(&mut head).await.expect("a request") == 0 {
                    break;
                }
            }
            let answer =
                format!("HTTP/1.1 {} X\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok", early(number));
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    address
}

const fn early(number: usize) -> u16 {
    [200, 413, 503][number % 3]
}

fn large(url: &str) -> Post {
    Post { body: vec![b' '; 255 * 1_024], ..post(url) }
}

#[tokio::test]
async fn an_answer_that_comes_before_the_request_is_sent_is_heard() {
    let url = format!("http://{}/", answers_early().await);
    let sender = sender(rules());
    for number in 0..40 {
        let expected = Sent { outcome: answered(early(number), "ok"), again: false };
        assert_eq!(sender.send(large(&url)).await, expected, "number {number}");
    }
}

/// With a small buffer of our own, most of the request is still to be sent when the answer comes.
#[tokio::test]
async fn a_receiver_that_accepts_at_the_head_gets_the_whole_request() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let request = request::written(&large(&format!("http://{address}/"))).expect("a request");
    let whole = request.len();
    let receiver = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut read = Vec::new();
        while !read.windows(4).any(|end| end == b"\r\n\r\n") {
            stream.read_buf(&mut read).await.expect("a request");
        }
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.expect("a client");
        while read.len() < whole && stream.read_buf(&mut read).await.is_ok_and(|more| more > 0) {}
        read.len()
    });
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_send_buffer_size(4_096).expect("a small buffer");
    let stream = Box::new(socket.connect(address).await.expect("a connection"));
    let mut connection = Connection { stream, client: trust::ClientCertificate::NotAsked, is_reused: false };
    let heard = exchange(&mut connection, &request, MAX_RESPONSE_BODY_BYTES, Deadline::after(TIMEOUT)).await;
    assert!(heard.is_ok_and(|heard| (heard.status, heard.is_reusable) == (204, true)));
    drop(connection);
    assert_eq!(receiver.await.expect("no panic"), whole);
}

/// With a small buffer of our own, as the kernel has for slow networks, the request cannot be handed over at once: its
/// rest meets the reset.
#[tokio::test]
async fn an_answer_is_heard_though_the_rest_of_the_request_cannot_be_sent() {
    let address = answers_early().await;
    let request = request::written(&large(&format!("http://{address}/"))).expect("a request");
    for number in 0..40 {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_send_buffer_size(4_096).expect("a small buffer");
        let stream = Box::new(socket.connect(address).await.expect("a connection"));
        let mut connection =
            Connection { stream, client: trust::ClientCertificate::NotAsked, is_reused: false };
        let heard =
            exchange(&mut connection, &request, MAX_RESPONSE_BODY_BYTES, Deadline::after(TIMEOUT)).await;
        let heard = heard.map(|heard| (heard.status, heard.is_reusable)).map_err(|no_answer| no_answer.cause);
        assert_eq!(heard, Ok((early(number), false)), "number {number}");
    }
}
